package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/link"
	"holdfast/shard"
)

func TestOneSite(t *testing.T) {
	f := newFleet(t, 1, 2)
	s := f.site(1)
	a, b := account(t, 1, 10), account(t, 2, 20)
	f.mustDo(s, f.open(a, b))
	pay := f.pay(a, b, 500)
	first := f.mustDo(s, pay)
	if first.Replay || first.Index == 0 || first.Time == 0 {
		t.Errorf("outcome %+v", first)
	}
	if again := f.mustDo(s, pay); !again.Replay || again.Position != first.Position || again.Time != first.Time {
		t.Errorf("the same id again: %+v, first it was %+v", again, first)
	}
	f.mustHold(s, b, 500)
	f.audit()
	f.stop(1)
	f.start(1)
	f.ready()
	f.mustHold(f.site(1), b, 500)
}

func TestWhatIsMalformedGoesNoFurther(t *testing.T) {
	f := newFleet(t, 1, 4)
	s := f.site(1)
	here, there := account(t, 1, 10), account(t, 2, 900)
	rows := []struct {
		name  string
		txn   holdfast.Txn
		code  holdfast.Code
		field string
	}{
		{"empty", holdfast.Txn{ID: f.id()}, holdfast.CodeTxnEmpty, ""},
		{"no amount", f.pay(here, account(t, 3, 10), 0), holdfast.CodeAmountInvalid, "transfers[0].amount"},
		{"three shards", holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{
			{ID: f.id(), Kind: holdfast.Immediate, Debit: here, Credit: there, Amount: 1},
			{ID: f.id(), Kind: holdfast.Immediate, Debit: here, Credit: account(t, 4, 500), Amount: 1},
		}}, holdfast.CodeShardMismatch, "transfers[1].credit"},
		{"two shards, accounts", f.open(here, there), holdfast.CodeShardMismatch, "accounts[1].id"},
		{"the platform's record", holdfast.Txn{ID: f.id(), Records: []holdfast.RecordChange{{Key: ownerRecord, Expect: holdfast.AnyVersion, Body: []byte("1")}}}, holdfast.CodeRecordReserved, "records[0].key"},
		{"hold nowhere", holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: f.id()}}}, holdfast.CodeHoldMissing, "transfers[0].hold"},
	}
	txns := []holdfast.Txn{f.open(here, account(t, 3, 10))}
	for _, row := range rows {
		txns = append(txns, row.txn)
	}
	outcomes, err := s.Submit(context.Background(), txns, false)
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Status != holdfast.Done {
		t.Errorf("the good one among them: %+v", outcomes[0])
	}
	for i, row := range rows {
		o := outcomes[i+1]
		if o.Status != holdfast.NotExecuted || o.Code != row.code || row.field != "" && o.Field != row.field || o.ID != row.txn.ID {
			t.Errorf("%s: %s %s %q, want %s %q", row.name, o.Status, o.Code, o.Field, row.code, row.field)
		}
	}
	for _, n := range []int{0, holdfast.MaxLegs + 1} {
		if _, err := s.Submit(context.Background(), make([]holdfast.Txn, n), true); err == nil {
			t.Errorf("%d transactions were taken", n)
		}
	}
}

// Messages of callers that nobody takes are not for the memory of the platform to keep without bound; payments go on.
func TestMessagesThatNobodyTakesAreBounded(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 1, 1)
	s := f.site(1)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(s, f.open(a, b))
	large := make([]holdfast.Message, 30)
	for i := range large {
		large[i] = holdfast.Message{To: 1, Topic: "test", Body: make([]byte, holdfast.MaxRecordBody-1)}
	}
	for sent := 0; ; sent += len(large) {
		o := submit(t, s, holdfast.Txn{ID: f.id(), Messages: large})
		if o.Status == holdfast.Done && sent*holdfast.MaxRecordBody < 2*mostMessageBytes {
			continue
		}
		if o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeOutboxFull || o.Field != "messages" || sent*holdfast.MaxRecordBody < mostMessageBytes {
			t.Fatalf("after %d messages: %+v", sent, o)
		}
		break
	}
	if o := submit(t, s, holdfast.Txn{ID: f.id(), Messages: []holdfast.Message{{To: 2, Topic: "test"}}}); o.Code != holdfast.CodeMessageInvalid {
		t.Errorf("a message to a shard that is not there: %+v", o)
	}
	f.mustDo(s, f.pay(a, b, 5))
	var seqs []uint64
	err := s.Read(context.Background(), 1, shard.Linearizable, func(v *shard.View) error {
		for _, m := range v.Messages("test", 0, holdfast.MaxLegs) {
			seqs = append(seqs, m.Seq)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := s.Acknowledge(context.Background(), 1, f.id(), seqs); err != nil || o.Status != holdfast.Done {
		t.Fatalf("%d messages are acknowledged: %+v %v", len(seqs), o, err)
	}
	f.mustDo(s, holdfast.Txn{ID: f.id(), Messages: large})
	if _, err := s.Acknowledge(context.Background(), 1, f.id(), []uint64{1 << 40}); !errors.Is(err, ErrNoMessage) {
		t.Errorf("a message that never was is acknowledged: %v", err)
	}
}

// An audit that could not compare with anybody proves nothing about the replicas, and says so.
func TestAnAuditThatComparedNothingIsNoProof(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 1)
	f.audit()
	f.net.CutSite(1)
	audit, err := f.site(1).Audit(t.Context())
	if err != nil || audit.Compared != 0 || audit.OK() || len(audit.Problems) == 0 {
		t.Errorf("cut off: %+v, %v", audit, err)
	}
	if !audit.Agree || !audit.Balanced {
		t.Errorf("nobody was heard to disagree: %+v", audit)
	}
}

func TestHoldsAreFoundInTheirShard(t *testing.T) {
	f := newFleet(t, 1, 4)
	s := f.site(1)
	a, b := account(t, 1, 900), account(t, 2, 901)
	f.mustDo(s, f.open(a, b))
	hold := f.pay(a, b, 50)
	hold.Transfers[0].Kind = holdfast.Hold
	f.mustDo(s, hold)
	f.mustDo(s, holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: hold.ID, Amount: 30}}})
	f.mustHold(s, b, 30)
	o := submit(t, s, holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: hold.ID}}})
	if o.Status != holdfast.Refused || o.Code != holdfast.CodeHoldPosted {
		t.Errorf("void of a posted hold: %s %s", o.Status, o.Code)
	}
}

func TestAnySiteTakesAnyRequest(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 3)
	var pairs [3][2]holdfast.AccountID
	for i := range pairs {
		pairs[i] = [2]holdfast.AccountID{account(t, uint32(i), holdfast.Slot(i*340)), account(t, uint32(i+10), holdfast.Slot(i*340+1))}
		f.mustDo(f.site(siteID(i+1)), f.open(pairs[i][:]...))
	}
	for _, s := range f.all() {
		txns := make([]holdfast.Txn, 0, 30)
		for i := range 30 { // one call with transactions of all shards
			txns = append(txns, f.pay(pairs[i%3][0], pairs[i%3][1], 10))
		}
		outcomes, err := s.Submit(context.Background(), txns, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range outcomes {
			if o.Status != holdfast.Done || o.ID != txns[i].ID {
				t.Fatalf("site %d, transaction %d: %+v", s.cfg.Site, i, o)
			}
		}
	}
	for _, s := range f.all() { // what was acknowledged is seen everywhere at once
		for _, p := range pairs {
			f.mustHold(s, p[1], 300)
		}
	}
	f.audit()
	f.checkStatus()
}

// checkStatus compares what the sites say about each other with what is.
func (f *fleet) checkStatus() {
	f.t.Helper()
	for _, s := range f.all() {
		f.until("all is well by what a site says", func() (string, bool) { return f.allWell(s) })
		families, err := s.Registry().Gather()
		if err != nil || len(families) < 20 {
			f.t.Errorf("site %d: %d metrics, %v", s.cfg.Site, len(families), err)
		}
	}
}

// allWell says what a site says of a site or a shard with which something is the matter, and whether there is none.
func (f *fleet) allWell(s *Site) (string, bool) {
	leads := 0
	for _, st := range s.Sites(context.Background()) {
		if !st.Reachable || !st.Ready || !st.DigestOK || st.Version != "test" || st.DiskFree == 0 || st.Name == "" {
			return fmt.Sprintf("site %d says of site %d: %+v", s.cfg.Site, st.Site, st), false
		}
		leads += len(st.Leads)
	}
	if n := s.extent.Load().now; leads != n {
		return fmt.Sprintf("site %d sees %d leaderships of %d shards", s.cfg.Site, leads, n), false
	}
	for _, st := range s.Shards(context.Background()) {
		if st.Leader == 0 || !st.InService || len(st.Members) != len(f.configs) || st.Applied == 0 {
			return fmt.Sprintf("site %d says of shard %d: %+v", s.cfg.Site, st.Shard, st), false
		}
	}
	return "", true
}

func TestHandOverFromAnySite(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 1)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(f.site(1), f.open(a, b))
	for n := range 6 {
		old := f.leader(1)
		to := f.other(old, siteID(n%3+1)).cfg.Site
		f.until("it is handed over", func() (string, bool) { // a busy machine may elect somebody of itself
			err := f.site(siteID(n%3+1)).HandOver(context.Background(), 1, to)
			now := f.leader(1)
			return fmt.Sprintf("site %d leads, want %d: %v", now, to, err), err == nil && now == to
		})
		f.mustDo(f.other(to), f.pay(a, b, 1))
	}
	for _, asked := range f.all() {
		f.until("a site that does not exist gets nothing", func() (string, bool) {
			err := asked.HandOver(context.Background(), 1, 9)
			if err == nil {
				t.Fatalf("it leads, asked at site %d", asked.cfg.Site)
			}
			return fmt.Sprintf("asked at site %d: %v", asked.cfg.Site, err), !errors.Is(err, ErrUnknown)
		})
	}
	ended, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	f.until("nobody waits for what has begun, or may", func() (string, bool) {
		leading := f.leader(1)
		err := f.site(leading).HandOver(ended, 1, f.other(leading).cfg.Site)
		return fmt.Sprint(err), errors.Is(err, ErrUnknown)
	})
	if err := f.site(1).HandOver(context.Background(), 2, 1); !errors.Is(err, shard.ErrNoShard) {
		t.Errorf("handing over a shard that does not exist: %v", err)
	}
}

// TestALeadershipThatCannotMove: an order that is refused changes nothing, the home neither; one of which nobody knows whether it was done
// is done in the end.
func TestALeadershipThatCannotMove(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.newcomers(4)
	f.start(4)
	ctx := context.Background()
	eventually(t, "the leadership moves, and the home", func() bool {
		return f.site(2).MoveLeader(ctx, 2, 3) == nil && f.site(2).ShardMap().Home(2) == 3
	})
	home := func() holdfast.SiteID {
		m, err := f.site(1).readMap(ctx, shard.Linearizable)
		if err != nil {
			return 0
		}
		return m.Home(2)
	}
	// Site 4 is to become a voter, and is gone: no shard can be led there.
	f.orderAsItDies(4, f.request(SiteAdd, 4, 0))
	f.until("site 1 knows of site 4", func() (string, bool) { r := f.site(1).Roster(); return fmt.Sprint(r.words()), r.role(4) == RoleVoter })
	f.until("the refusal", func() (string, bool) {
		err := f.site(1).MoveLeader(ctx, 2, 4)
		if errors.Is(err, ErrUnknown) { // a busy machine: the home may be set, and the next order would not put it back
			err = errors.Join(err, f.site(1).SetHome(ctx, 2, 3))
		}
		return fmt.Sprint(err), err != nil && !errors.Is(err, ErrUnknown) && strings.Contains(err.Error(), "site 4 has no voting replica of shard 2")
	})
	f.until("the home as it was", func() (string, bool) { h := home(); return fmt.Sprint(h), h != 0 })
	if h := home(); h != 3 {
		t.Errorf("the home of shard 2 is site %d after a refusal, it was site 3", h)
	}
	f.change(2, f.request(SiteRetire, 4, 0)) // it is given up

	// Site 2 hears nothing while it is to lead; nobody who asks waits for it to be back.
	f.net.CutSite(2)
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := f.site(1).MoveLeader(short, 2, 2); !errors.Is(err, ErrUnknown) {
		t.Errorf("a site that cannot be reached was to lead: %v", err)
	}
	f.net.HealAll()
	f.until("it leads at last, if it is the home", func() (string, bool) {
		h, leads := home(), f.leader(2)
		return fmt.Sprint("home ", h, ", led by ", leads), h != 0 && h == leads
	})
}

// A caller knows how long he can wait: the configuration is for who does not say, and the bound is the same for all.
func TestARequestHasTheTimeItsCallerGives(t *testing.T) {
	s := &Site{cfg: Default()}
	for own, want := range map[time.Duration]time.Duration{
		0: 2 * time.Second, time.Second: time.Second, 8 * time.Second: 8 * time.Second, time.Minute: MaxRequest,
	} {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		before := time.Now()
		if own > 0 {
			ctx, cancel = context.WithTimeout(ctx, own)
		}
		with, end := s.within(ctx)
		until, _ := with.Deadline()
		if most, least := until.Sub(before), time.Until(until); most < want || least > want {
			t.Errorf("with %v of its own: between %v and %v, want %v", own, least, most, want)
		}
		end()
		cancel()
	}
}

// An order that was proposed and not heard of may be carried out yet: "not now" would be a lie.
func TestAnOrderThatWasNotHeardOfIsUnknown(t *testing.T) {
	if err := unwritten("the map", holdfast.Outcome{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
	for code, want := range map[holdfast.Code]error{
		holdfast.CodeOverloaded: shard.ErrOverloaded, holdfast.CodeNoQuorum: shard.ErrNoQuorum, holdfast.CodeDeadline: shard.ErrTimeout,
		holdfast.CodeStopping: shard.ErrStopping, holdfast.CodeDiskFull: shard.ErrDiskFull, holdfast.CodeNoLeader: shard.ErrNoQuorum,
	} {
		if err := unwritten("the map", holdfast.Outcome{Status: holdfast.NotExecuted, Code: code}); !errors.Is(err, want) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", code, err)
		}
	}
	for err, unknown := range map[error]bool{
		link.ErrNoAnswer: true, &link.RemoteError{Text: "context deadline exceeded"}: true, link.ErrUnreachable: false, link.ErrBusy: false,
		&link.RemoteError{Code: codeNotExecuted}: false,
	} {
		if got := errors.Is(maybeAsked(err), ErrUnknown); got != unknown {
			t.Errorf("a call that ended with %v: unknown %t", err, got)
		}
	}
}

func TestOwnersAreIssuedOnce(t *testing.T) {
	f := newFleet(t, 3, 2)
	var mu sync.Mutex
	seen := map[holdfast.Owner]bool{}
	slots := map[holdfast.Slot]bool{}
	var all sync.WaitGroup
	for _, s := range f.all() {
		for range 2 {
			all.Go(func() {
				for range ownerBlock {
					o, err := s.IssueOwner(context.Background())
					for began := time.Now(); err != nil && time.Since(began) < patience; { // while a leader is being elected
						o, err = s.IssueOwner(context.Background())
					}
					mu.Lock()
					if err != nil || o.Check() != nil || seen[o] {
						t.Errorf("site %d: owner %s, %v, again: %t", s.cfg.Site, o, err, seen[o])
					}
					seen[o], slots[o.Slot()] = true, true
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if len(slots) != holdfast.Slots {
		t.Errorf("%d slots were used", len(slots))
	}
}

// stream pays through one site after the other, as clients do: what was not executed, or is unknown, goes to the next site
// with the same id until its deadline.
type stream struct {
	fleet    *fleet
	from, to holdfast.AccountID
	stop     chan struct{}
	done     sync.WaitGroup

	mu     sync.Mutex
	paid   int
	failed []string
	worst  time.Duration
}

func (f *fleet) stream(from, to holdfast.AccountID, payers int) *stream {
	st := &stream{fleet: f, from: from, to: to, stop: make(chan struct{})}
	for n := range payers {
		st.done.Go(func() { st.run(n) })
	}
	return st
}

func (st *stream) run(n int) {
	for {
		select {
		case <-st.stop:
			return
		default:
		}
		st.one(n)
	}
}

func (st *stream) one(n int) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	txn := st.fleet.pay(st.from, st.to, 1)
	last := "no site"
	for ctx.Err() == nil {
		sites := st.fleet.all()
		if len(sites) == 0 {
			continue
		}
		n++
		outcomes, err := sites[n%len(sites)].Submit(ctx, []holdfast.Txn{txn}, false)
		if err != nil {
			last = err.Error()
			break
		}
		o := outcomes[0]
		if o.Status == holdfast.Done {
			st.mu.Lock()
			st.paid++
			st.worst = max(st.worst, time.Since(begun))
			st.mu.Unlock()
			return
		}
		last = fmt.Sprint(o.Status, " ", o.Code)
		if o.Status == holdfast.Refused {
			break
		}
	}
	st.mu.Lock()
	st.failed = append(st.failed, last)
	st.mu.Unlock()
}

func (st *stream) count() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.paid
}

// more waits until so many more have been paid.
func (st *stream) more(n int) {
	st.fleet.t.Helper()
	goal := st.count() + n
	eventually(st.fleet.t, "payments go on", func() bool { return st.count() >= goal })
}

// end stops and returns how many were paid. None may have failed.
func (st *stream) end() int {
	st.fleet.t.Helper()
	close(st.stop)
	st.done.Wait()
	if len(st.failed) > 0 {
		st.fleet.t.Errorf("%d of %d payments failed, the first: %s", len(st.failed), st.paid, st.failed[0])
	}
	st.fleet.t.Logf("%d paid, the slowest in %s", st.paid, st.worst)
	return st.paid
}

func TestRollingRestartFailsNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(f.site(1), f.open(a, b))
	st := f.stream(a, b, 8)
	for n := 1; n <= 3; n++ {
		st.more(50)
		f.stop(siteID(n))
		st.more(50)
		f.start(siteID(n))
		f.ready()
	}
	st.more(50)
	paid := st.end()
	f.mustHold(f.site(1), b, holdfast.Amount(paid))
	f.audit()
}

func TestLeaderIsCutOffUnderLoad(t *testing.T) {
	f := newFleet(t, 3, 1)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(f.site(1), f.open(a, b))
	st := f.stream(a, b, 8)
	for range 3 {
		st.more(50)
		old := f.leader(1)
		f.net.CutSite(old)
		eventually(t, "another site leads", func() bool { l := f.other(old).board.seat(1).leader; return l != old && l != 0 })
		st.more(50)
		f.net.HealSite(old)
		f.ready()
	}
	paid := st.end()
	f.mustHold(f.site(1), b, holdfast.Amount(paid)) // none lost, none doubled
	f.audit()
}

// honest measures how long sites without a majority take to say so: to a request that was under way when the majority was
// lost, and to those after it. cut is done to the leader, or to another site.
func (f *fleet) honest(victim *Site, cut func(), from, to holdfast.AccountID) (underWay, fresh time.Duration) {
	f.t.Helper()
	outcome := make(chan holdfast.Outcome, 1)
	cut()
	begun := time.Now()
	go func() { outcome <- submit(f.t, victim, f.pay(from, to, 1)) }()
	o := <-outcome
	underWay = time.Since(begun)
	if o.Status != holdfast.Unknown && o.Code != holdfast.CodeNoQuorum {
		f.t.Errorf("under way when the majority was lost: %s %s", o.Status, o.Code)
	}
	for range 20 {
		begun = time.Now()
		if o := submit(f.t, victim, f.pay(from, to, 1)); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeNoQuorum {
			f.t.Errorf("a new request without a majority: %s %s", o.Status, o.Code)
		}
		if _, err := balance(f.t, victim, to); !errors.Is(err, shard.ErrNoQuorum) {
			f.t.Errorf("a read without a majority: %v", err)
		}
		fresh = max(fresh, time.Since(begun))
	}
	return underWay, fresh
}

// lateness runs something, and tells by how much a timer of 1 ms was late meanwhile: as long as that nobody in this process can be punctual.
func lateness(do func()) (worst time.Duration) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-over:
				worst = max(worst, time.Since(last))
				return
			case <-ticker.C:
				worst = max(worst, time.Since(last))
			}
		}
	}()
	do()
	close(over)
	<-ended
	return worst
}

func TestAMinoritySaysSo(t *testing.T) {
	f := newFleet(t, 3, 1)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(f.site(1), f.open(a, b))
	leading := func() *Site { return f.site(f.leader(1)) }
	following := func() *Site { return f.other(f.leader(1)) }
	rows := []struct {
		name   string
		victim func() *Site
		cut    func(holdfast.SiteID)
	}{
		{"leader is cut off", leading, f.net.CutSite},
		{"follower is cut off", following, f.net.CutSite},
		{"leader hears and is not heard", leading, f.net.Mute},
		{"leader is heard and does not hear", leading, f.net.Deafen},
		{"follower hears and is not heard", following, f.net.Mute},
	}
	for _, row := range rows {
		var underWay, fresh, late time.Duration
		for range 5 { // a busy machine may be late; it is not late every time
			victim := row.victim()
			late = lateness(func() { underWay, fresh = f.honest(victim, func() { row.cut(victim.cfg.Site) }, a, b) })
			f.net.HealAll()
			f.ready()
			if underWay <= HonestWithin && fresh <= HonestWithin {
				break
			}
		}
		t.Logf("%s: %s when under way, %s when new; the machine was late by %s", row.name, underWay, fresh, late)
		// What is late is first a tick, then whoever hears of it, then the answer. Where nothing was late the promise is judged as it is.
		if promised := HonestWithin + 10*max(0, late-10*time.Millisecond); underWay > promised || fresh > promised {
			t.Errorf("%s: took %s when under way, %s when new; %s is promised", row.name, underWay, fresh, promised)
		}
	}
	f.audit()
}

func TestAWipedSiteComesBackByItself(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 1)
	a, b := account(t, 1, 1), account(t, 2, 2)
	f.mustDo(f.site(1), f.open(a, b))
	st := f.stream(a, b, 4)
	st.more(50)
	victim := f.leader(1)
	f.stop(victim)
	if err := os.RemoveAll(f.configs[victim].Data); err != nil {
		t.Fatal(err)
	}
	s := f.start(victim)
	eventually(t, "the site votes again", func() bool {
		st := s.Shards(context.Background())[0]
		votes := func(m MemberStatus) bool { return m.Site == victim && !m.Learner }
		return len(st.Members) == 3 && st.InService && slices.ContainsFunc(st.Members, votes)
	})
	f.ready()
	st.more(50)
	f.mustHold(f.site(1), b, holdfast.Amount(st.end()))
	rejoined := false
	for _, e := range s.Events(0) {
		rejoined = rejoined || e.Kind == EventRejoin
	}
	if !rejoined {
		t.Error("no event says that the site has rejoined")
	}
	f.audit()
}

// A site that still replays its log leads, but executes nothing: it must not say that it is ready.
func TestASiteThatReplaysItsLogIsNotReady(t *testing.T) {
	f := newFleet(t, 1, 1)
	a, b := account(t, 1, 10), account(t, 2, 20)
	f.mustDo(f.site(1), f.open(a, b))
	for range 10 {
		f.mustDo(f.site(1), f.pay(a, b, 1))
	}
	f.stop(1)
	release := make(chan struct{})
	s, err := Open(f.configs[1], Options{
		// The replay stops after two entries, as if the store were behind: every entry is sealed, and the first one's end is held up.
		Machine:      shard.MachineConfig{SealRows: 1, MaxSealed: 1},
		OnCheckpoint: func(shard.CheckpointMade) { <-release },
	})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- s.Start(context.Background()) }() // a fleet of one waits for its own election
	eventually(t, "the site says that it still applies its log", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "still applies")
	})
	close(release)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.sites[1] = s
	f.mu.Unlock()
	eventually(t, "the site is ready", func() bool { return s.Ready() == nil })
	f.mustHold(s, b, 10)
}

func TestADirectoryBelongsToOneSite(t *testing.T) {
	f := newFleet(t, 1, 1)
	f.stop(1)
	c := f.configs[1]
	for _, hurt := range []func(*Config){
		func(c *Config) { c.Site = 2 }, func(c *Config) { c.Cluster = "other" }, func(c *Config) { c.Shards = 2 },
	} {
		wrong := c
		hurt(&wrong)
		s, err := Open(wrong, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(context.Background()); err == nil || !strings.Contains(err.Error(), "is not that of this configuration") {
			t.Errorf("%+v starts on the data of another site: %v", wrong, err)
		}
	}
	f.start(1)
}

func TestStopIsFinal(t *testing.T) {
	f := newFleet(t, 1, 1)
	s := f.site(1)
	a := account(t, 1, 1)
	f.stop(1)
	if o := submit(t, s, f.open(a)); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeStopping {
		t.Errorf("after Stop: %s %s", o.Status, o.Code)
	}
	if _, err := balance(t, s, a); err == nil {
		t.Error("a read after Stop was answered")
	}
	if err := s.Ready(); !errors.Is(err, ErrNotReady) {
		t.Errorf("after Stop: %v", err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("Stop again: %v", err)
	}
}

// TestASiteThatStartsSaysSo, and not that it is shutting down. To another site it says what every release understands.
func TestASiteThatStartsSaysSo(t *testing.T) {
	f := newFleet(t, 1, 1)
	f.stop(1)
	s, err := Open(f.configs[1], Options{OnFatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	a := account(t, 1, 1)
	if o := submit(t, s, f.open(a)); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeStarting {
		t.Errorf("before the start: %s %s", o.Status, o.Code)
	}
	if err := s.Ready(); !errors.Is(err, ErrNotReady) || !errors.Is(err, ErrStarting) || errors.Is(err, shard.ErrStopping) {
		t.Errorf("before the start: %v", err)
	}
	if _, err := balance(t, s, a); !errors.Is(err, ErrStarting) {
		t.Errorf("a read before the start: %v", err)
	}
	if x := s.serveGroup(t.Context(), group{id: 1}); !errors.Is(x.err, shard.ErrStopping) {
		t.Errorf("another site is told %v", x.err)
	}
	s.die(errors.New("planted"))
	if o := submit(t, s, f.open(a)); o.Code != holdfast.CodeStopping {
		t.Errorf("a site that must stop before it has started: %s", o.Code)
	}
}

// TestAReplicaInDoubtIsReported: a site whose replica cannot tell whether it is right is not ready, its audit says so and looks at the
// other shards, and it is ready again when the others have answered.
func TestAReplicaInDoubtIsReported(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.ready()
	s := f.other(f.leader(1))
	f.doubt(s, 1)
	a, err := s.Audit(t.Context())
	if err != nil || a.Agree || len(a.Shards) != 1 || a.Shards[0].Shard != 2 || !strings.Contains(fmt.Sprint(a.Problems), "shard 1 could not be audited here") {
		t.Errorf("audit: %+v, %v", a, err)
	}
	f.net.HealAll()
	f.until("the site ready again", func() (string, bool) { return fmt.Sprint(s.Ready()), s.Ready() == nil })
	f.audit()
}
