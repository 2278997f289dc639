package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"holdfast"
	"holdfast/transit"
)

// crossingFleet is a fleet with two shards, a payer in the first and a payee in the second.
func crossingFleet(t *testing.T, sites int) (f *fleet, payer, payee holdfast.AccountID) {
	f = newFleet(t, sites, 2)
	payer, payee = account(t, 1, 10), account(t, 2, 900)
	bank := account(t, 3, 20)
	f.mustDo(f.all()[0], f.open(payee))
	opening := f.open(bank)
	opening.Accounts = append(opening.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: payer, Limit: holdfast.LimitDebits})
	f.mustDo(f.all()[0], opening)
	f.mustDo(f.all()[0], f.pay(bank, payer, 1000))
	return f, payer, payee
}

// settled waits until nothing is in transit any more.
func (f *fleet) settled() {
	f.t.Helper()
	eventually(f.t, "every payment between shards is settled", func() bool {
		for _, s := range f.all() {
			for _, id := range s.ShardIDs() {
				if (courierView{s, context.Background(), id}).Outbox(0, 1) != nil {
					return false
				}
			}
		}
		return true
	})
}

func TestAPaymentCrossesShards(t *testing.T) {
	t.Parallel()
	f, payer, payee := crossingFleet(t, 3)
	for _, s := range f.all() {
		pay := f.pay(payer, payee, 100)
		first := f.mustDo(s, pay)
		f.mustHold(s, payee, 100*holdfast.Amount(s.cfg.Site))
		for _, again := range f.all() {
			o := f.mustDo(again, pay)
			if !o.Replay || o.ID != pay.ID || o.Position != first.Position || o.Time != first.Time {
				t.Errorf("through site %d again: %+v, first it was %+v", again.cfg.Site, o, first)
			}
		}
	}
	f.settled()
	f.mustHold(f.site(1), payer, 700)
	f.mustHold(f.site(2), holdfast.InTransit(1, 2, payer.Asset), 300)
	f.mustHold(f.site(3), holdfast.InTransit(2, 1, payer.Asset), -300)
	f.audit()
}

func TestARefusedCrossingMovesNothing(t *testing.T) {
	f, payer, payee := crossingFleet(t, 1)
	s := f.site(1)
	nobody := account(t, 7, 950)
	rows := []struct {
		name string
		txn  holdfast.Txn
		code holdfast.Code
	}{
		{"not enough money, at home", f.pay(payer, payee, 1001), holdfast.CodeExceedsCredits},
		{"no such payee, away", f.pay(payer, nobody, 10), holdfast.CodeCreditMissing},
	}
	for _, row := range rows {
		for range 2 {
			if o := submit(t, s, row.txn); o.Status != holdfast.Refused || o.Code != row.code || o.ID != row.txn.ID {
				t.Errorf("%s: %+v", row.name, o)
			}
		}
	}
	other := f.pay(payer, payee, 11)
	f.mustDo(s, other)
	other.Transfers[0].Amount = 12
	if o := submit(t, s, other); o.Code != holdfast.CodeIDTaken || o.Field == "" {
		t.Errorf("the same id with another amount: %+v", o)
	}
	f.settled()
	f.mustHold(s, payer, 989)
	f.audit()
}

// TestWhatGoesBackIsNotedFirst: of a payment with records that the away shard refuses somebody is told while its money is still held; it goes back whatever he says.
func TestWhatGoesBackIsNotedFirst(t *testing.T) {
	f, payer, payee := crossingFleet(t, 1)
	s, nobody := f.site(1), account(t, 7, 950)
	var told []holdfast.ID
	var mu sync.Mutex
	s.OnReturned(func(ctx context.Context, x *holdfast.Txn) error {
		r, _, err := s.Books().Record(ctx, x.Records[0].Key)
		mu.Lock()
		defer mu.Unlock()
		if told = append(told, x.ID); err != nil || r.Pending == nil || r.Pending.Payment != x.ID || string(r.Body) != "x" {
			t.Errorf("when it is told of, the record is %+v, %v", r, err)
		}
		if len(told) == 1 {
			return errors.New("it cannot be noted")
		}
		return nil
	})
	var want []holdfast.ID
	for i, to := range []holdfast.AccountID{nobody, payee, nobody} {
		txn := f.pay(payer, to, 10)
		txn.Records = []holdfast.RecordChange{{Key: holdfast.OwnedKey(payer.Owner, fmt.Sprint("note", i)), Body: []byte("x")}}
		o := submit(t, s, txn)
		if refused := to == nobody; (o.Status == holdfast.Refused) != refused {
			t.Fatalf("%+v", o)
		} else if refused {
			want = append(want, txn.ID)
		}
	}
	submit(t, s, f.pay(payer, nobody, 10)) // without records: there is nobody whom it could concern
	f.settled()
	f.mustHold(s, payer, 990)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}

func TestLinkedTransfersCrossAsOne(t *testing.T) {
	f, payer, payee := crossingFleet(t, 1)
	s := f.site(1)
	fee, broken := account(t, 4, 30), account(t, 5, 960)
	f.mustDo(s, f.open(fee))
	legs := func(to holdfast.AccountID) holdfast.Txn {
		return holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{
			{ID: f.id(), Kind: holdfast.Immediate, Debit: payer, Credit: payee, Amount: 90},
			{ID: f.id(), Kind: holdfast.Immediate, Debit: payer, Credit: fee, Amount: 10},
			{ID: f.id(), Kind: holdfast.Immediate, Debit: payee, Credit: to, Amount: 1},
		}}
	}
	if o := submit(t, s, legs(broken)); o.Code != holdfast.CodeCreditMissing || o.Leg != 2 {
		t.Errorf("the last leg cannot land: %+v", o)
	}
	f.mustDo(s, f.open(broken))
	f.mustDo(s, legs(broken))
	f.settled()
	f.mustHold(s, payer, 900)
	f.mustHold(s, fee, 10)
	f.mustHold(s, payee, 89)
	f.mustHold(s, broken, 1)
	f.audit()
}

func TestAHoldCrosses(t *testing.T) {
	t.Parallel()
	f, payer, payee := crossingFleet(t, 3)
	s := f.site(2)
	hold := f.pay(payer, payee, 300)
	hold.Transfers[0].Kind = holdfast.Hold
	f.mustDo(s, hold)
	part := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: hold.ID, Amount: 120}}}
	f.mustDo(f.site(1), part)
	if o := f.mustDo(f.site(3), part); !o.Replay {
		t.Errorf("posting again: %+v", o)
	}
	f.mustHold(s, payee, 120)
	void := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: hold.ID}}}
	f.until("voiding what is posted is refused", func() (string, bool) {
		o := submit(t, s, void)
		if o.Status == holdfast.Done {
			t.Fatalf("what is posted was voided: %+v", o)
		}
		return fmt.Sprintf("%+v", o), o.Status == holdfast.Refused
	})
	f.settled()
	f.mustHold(s, payer, 880)
	f.audit()
}

// TestTheCourierFinishesWhatItsCallerLeft: the site that took the request has proposed the depart, and then it is gone.
func TestTheCourierFinishesWhatItsCallerLeft(t *testing.T) {
	t.Parallel()
	f, payer, payee := crossingFleet(t, 3)
	nobody := account(t, 7, 950)
	for _, to := range []holdfast.AccountID{payee, nobody} {
		pay := f.pay(payer, to, 100)
		p, code, field := f.site(1).place(context.Background(), &pay)
		if code != holdfast.CodeOK {
			t.Fatal(code, field)
		}
		depart := p.Depart()
		f.until("it departs", func() (string, bool) {
			o, err := f.site(1).proposeOwn(context.Background(), p.Home, &depart)
			return fmt.Sprint(o, err), err == nil && o.Status == holdfast.Done
		})
	}
	f.settled()
	f.mustHold(f.site(2), payee, 100)
	f.mustHold(f.site(3), payer, 900)
	f.audit()
}

// TestCrossingsOutliveTheLossOfALeader: payments in both directions while the site that leads a shard is cut off and comes back.
func TestCrossingsOutliveTheLossOfALeader(t *testing.T) {
	t.Parallel()
	f, a, b := crossingFleet(t, 3)
	f.mustDo(f.site(1), f.pay(a, b, 500)) // so that there is something to send back
	victim := f.leader(2)
	ask := f.other(victim)
	var mu sync.Mutex
	sum := map[holdfast.AccountID]holdfast.Amount{a: 500, b: 500}
	open := map[holdfast.ID]holdfast.Txn{}
	paid, stop := 0, make(chan struct{})
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			from, to := a, b
			if i%2 == 1 {
				from, to = b, a
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				pay := f.pay(from, to, 1)
				o := submit(t, ask, pay)
				mu.Lock()
				switch o.Status {
				case holdfast.Done:
					sum[from], sum[to], paid = sum[from]-1, sum[to]+1, paid+1
				case holdfast.Unknown:
					open[pay.ID] = pay
				}
				mu.Unlock()
			}
		})
	}
	more := func(n int) {
		mu.Lock()
		want := paid + n
		mu.Unlock()
		eventually(t, "payments go on", func() bool { mu.Lock(); defer mu.Unlock(); return paid >= want })
	}
	more(50)
	f.net.CutSite(victim)
	eventually(t, "another site leads", func() bool { l := ask.board.seat(2).leader; return l != victim && l != 0 })
	more(50)
	f.net.HealSite(victim)
	more(50)
	close(stop)
	work.Wait()
	f.ready()
	for _, pay := range open { // what is unknown is settled by asking again
		eventually(t, "asking again gives an answer", func() bool {
			o := submit(t, ask, pay)
			if o.Status == holdfast.Done {
				sum[pay.Transfers[0].Debit]--
				sum[pay.Transfers[0].Credit]++
			}
			return o.Status == holdfast.Done || o.Status == holdfast.Refused
		})
	}
	f.settled()
	f.mustHold(ask, a, sum[a])
	f.mustHold(ask, b, sum[b])
	t.Logf("%d unknown were settled; %v", len(open), sum)
	f.audit()
}

// TestTooMuchUnderWayIsRefused: a shard that cannot be reached must not fill the outbox of another for ever.
func TestTooMuchUnderWayIsRefused(t *testing.T) {
	long(t)
	f, payer, payee := crossingFleet(t, 1)
	s := f.site(1)
	if err := s.stopCouriers(context.Background()); err != nil {
		t.Fatal(err)
	}
	busy := transit.NewCourier(transit.CourierConfig{Home: 1})
	s.couriers.posts[1] = &post{courier: busy}
	outbox := fullOutbox{f, payer, payee, s}
	for now := holdfast.Time(1); busy.UnderWay(2) < transit.MaxUnderWay; now++ {
		if busy.Step(now, outbox); busy.UnderWay(2) < transit.MaxUnderWay && s.couriers.full(1, 2) {
			t.Fatalf("full at %d", busy.UnderWay(2))
		}
	}
	pay := f.pay(payer, payee, 1)
	if o := submit(t, s, pay); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeOverloaded {
		t.Errorf("with %d under way: %+v", busy.UnderWay(2), o)
	}
	f.mustHold(s, payer, 1000)
	f.mustDo(s, f.pay(payer, account(t, 3, 20), 1)) // what does not cross goes on
}

// fullOutbox shows one message after the other, without end.
type fullOutbox struct {
	f            *fleet
	payer, payee holdfast.AccountID
	s            *Site
}

func (o fullOutbox) Outbox(after uint64, max int) (list []holdfast.Queued) {
	for range max {
		after++
		pay := o.f.pay(o.payer, o.payee, 1)
		p, _, _ := o.s.place(context.Background(), &pay)
		list = append(list, holdfast.Queued{Seq: after, Txn: pay.ID, Message: p.Depart().Messages[0]})
	}
	return list
}

func (fullOutbox) Places(p *transit.Payment) []holdfast.ShardID { return []holdfast.ShardID{p.Away} }

func (fullOutbox) Whereto(p *transit.Payment) (holdfast.ShardID, bool, bool) {
	return p.Away, true, true
}

func (o fullOutbox) Decided(holdfast.ShardID, holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool) {
	return nil, holdfast.Outcome{}, false
}

// TestTheAuditSeesWhatIsAmissInTransit: money that landed and was never sent, and money that was sent and never landed.
func TestTheAuditSeesWhatIsAmissInTransit(t *testing.T) {
	rows := []struct {
		name   string
		before holdfast.Amount
		now    TransitAudit
		good   bool
	}{
		{"quiet", 50, TransitAudit{Sent: 50, Landed: 50}, true},
		{"landed and not settled", 50, TransitAudit{Sent: 50, Held: 10, Landed: 60}, true},
		{"held and not landed", 50, TransitAudit{Sent: 50, Held: 10, Landed: 50}, true},
		{"settled between the looks", 50, TransitAudit{Sent: 60, Landed: 60}, true},
		{"sent, landed and settled between the looks", 50, TransitAudit{Sent: 60, Landed: 50}, true},
		{"sent and lost", 50, TransitAudit{Sent: 50, Landed: 40}, false},
		{"landed from nowhere", 50, TransitAudit{Sent: 50, Landed: 51}, false},
		{"landed twice", 50, TransitAudit{Sent: 50, Held: 10, Landed: 70}, false},
	}
	for _, row := range rows {
		a := Audit{Balanced: true}
		row.now.Home, row.now.Away, row.now.Asset = 1, 2, holdfast.MustAsset("CNY")
		a.judgeTransit(row.before, &row.now)
		if a.Balanced != row.good || row.good != (len(a.Problems) == 0) {
			t.Errorf("%s: balanced %v, %v", row.name, a.Balanced, a.Problems)
		}
	}
}
