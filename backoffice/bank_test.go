package backoffice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/testbank"
	"holdfast/bank/wire"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

const (
	platformAccount = "6222020000000000018"
	bankOpening     = 1_000_000_00
	bankCutOff      = 10 * time.Minute
)

// inProcess carries requests to a handler as a network would, without one.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if recover() != nil {
			answer, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return w.Result(), nil
}

// deaf is a bank whose answers do not arrive while it is set.
type deaf struct {
	bank.Connector
	set atomic.Bool
}

func (d *deaf) Send(ctx context.Context, i *bank.Instruction) bank.Answer {
	return d.heard(d.Connector.Send(ctx, i))
}

func (d *deaf) Ask(ctx context.Context, id string) bank.Answer {
	return d.heard(d.Connector.Ask(ctx, id))
}

func (d *deaf) heard(a bank.Answer) bank.Answer {
	if d.set.Load() {
		return bank.Answer{}
	}
	return a
}

// ledBooks are books of which a site leads all or nothing.
type ledBooks struct {
	*paytest.Books
	leads *atomic.Bool
}

func (b ledBooks) Leads(holdfast.Owner) bool { return b.leads.Load() }

func (b ledBooks) Led() []holdfast.ShardID {
	if !b.leads.Load() {
		return nil
	}
	return b.Books.Led()
}

func (b ledBooks) LedByIndex(ctx context.Context, index, after string, most int) ([]holdfast.Record, error) {
	if !b.leads.Load() {
		return nil, nil
	}
	return b.Books.LedByIndex(ctx, index, after, most)
}

// bankWorld is a bank, books in three shards, some people, and offices that come and go.
type bankWorld struct {
	t         *testing.T
	ctx       context.Context
	random    *rand.Rand
	bank      *testbank.Bank
	wire      *wire.Connector
	deaf      *deaf
	books     *paytest.Books
	cashier   *pay.Cashier
	platform  holdfast.Owner
	customers []holdfast.Owner
	stop      func()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const customerMoney = 1_000_00

func newBankWorld(t *testing.T, seed uint64) *bankWorld {
	t.Helper()
	b, err := testbank.Open(testbank.Options{Late: bankCutOff})
	must(t, err)
	must(t, b.OpenAccount(testbank.Account{Number: platformAccount, Currency: "CNY", Balance: bankOpening}))
	w := &bankWorld{
		t: t, ctx: context.Background(), bank: b, random: rand.New(rand.NewPCG(seed, 1)), books: paytest.New(3), platform: ownerOf(100), stop: func() {},
	}
	w.wire, err = wire.New(wire.Config{
		URL: "http://127.0.0.1", Client: &http.Client{Transport: inProcess{b.Payments()}}, Initiator: "Holdfast", Terms: bank.Terms{Late: bankCutOff, Step: time.Second},
	})
	must(t, err)
	t.Cleanup(func() { w.stop() })
	w.deaf = &deaf{Connector: w.wire}
	w.cashier, err = pay.New(pay.Config{
		Books: w.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: w.platform, Day: time.UTC,
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return ownerOf(n), nil },
		Zone: func(name string) (*time.Location, error) {
			hours, ok := map[string]int{"Asia/Shanghai": 8, "Asia/Tokyo": 9}[name]
			if !ok {
				return nil, errors.New("no such zone")
			}
			return time.FixedZone(name, hours*3600), nil
		},
		Wait: func(ctx context.Context, n int) error {
			time.Sleep(time.Duration(n) * time.Millisecond)
			return ctx.Err()
		},
	})
	must(t, err)
	must(t, w.cashier.OpenBank(w.ctx, w.now(), cny))
	for i := range 4 {
		o := ownerOf(uint32(1 + i))
		w.customers = append(w.customers, o)
		_, err := w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Assets: []holdfast.Asset{cny}}, w.now())
		must(t, err)
		_, err = w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: "start", Asset: cny, Amount: customerMoney}, w.now())
		must(t, err)
		_, err = w.cashier.ToppedUp(w.ctx, o, "start", "by hand", w.now())
		must(t, err)
	}
	return w
}

// now passes a moment, so that no two things happen at one time.
func (w *bankWorld) now() holdfast.Time {
	time.Sleep(time.Microsecond)
	return holdfast.TimeOf(time.Now())
}

// open starts an office at a site that leads everything, or nothing.
func (w *bankWorld) open(leads bool, how func(*Config)) (*Office, *atomic.Bool) {
	w.t.Helper()
	leading := &atomic.Bool{}
	leading.Store(leads)
	account, err := bank.ParseAccount(platformAccount)
	must(w.t, err)
	cfg := Config{
		Cashier: w.cashier, Books: ledBooks{w.books, leading}, Now: time.Now, Random: rand.New(rand.NewPCG(w.random.Uint64(), 2)).Float64,
		Banks: []BankConfig{{
			Name: "test", Connector: w.deaf, Deposits: w.wire, Accounts: map[holdfast.Asset]bank.Account{cny: account}, Rescan: 10 * time.Second,
			Resolver: bank.Config{InFlight: 4, MaxFollow: time.Minute},
		}},
	}
	var mu sync.Mutex
	random := cfg.Random
	cfg.Random = func() float64 { mu.Lock(); defer mu.Unlock(); return random() }
	if how != nil {
		how(&cfg)
	}
	cfg.Logger = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	o, err := New(cfg)
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.ctx)
	var ended sync.WaitGroup
	ended.Go(func() { o.Run(ctx) })
	before := w.stop
	w.stop = func() { before(); cancel(); ended.Wait() }
	return o, leading
}

func (w *bankWorld) withdraw(o holdfast.Owner, n string, amount holdfast.Amount, to string) pay.BankOrder {
	w.t.Helper()
	ask := pay.TopUpAsk{Owner: o, Number: n, Asset: cny, Amount: amount, Account: &pay.BankAccount{Number: to, Name: "韩梅梅"}}
	for {
		_, err := w.cashier.Withdraw(w.ctx, ask, w.now())
		if err == nil {
			return pay.BankOrder{Owner: o, Number: n}
		}
		if refused := (*pay.Refusal)(nil); errors.As(err, &refused) {
			w.t.Fatal(err)
		}
		w.books.Deliver()
		time.Sleep(time.Second)
	}
}

func (w *bankWorld) order(b pay.BankOrder) pay.Order {
	w.t.Helper()
	o, err := w.cashier.QueryBankOrder(w.ctx, b)
	if pending := (*pay.Pending)(nil); errors.As(err, &pending) {
		return pay.Order{Status: pay.OrderSent}
	}
	must(w.t, err)
	return o
}

func (w *bankWorld) money(o holdfast.Owner, p holdfast.Purpose) holdfast.Amount {
	a, _, _ := w.books.Account(w.ctx, holdfast.AccountID{Owner: o, Purpose: p, Asset: cny})
	return a.Balance()
}

// audit checks that no money has come from nowhere, that the documents say what the accounts hold, and that the bank has what the ledger says.
func (w *bankWorld) audit(byHand holdfast.Amount) {
	w.t.Helper()
	w.books.Deliver()
	if sum := w.books.Money(cny); sum != 0 {
		w.t.Errorf("%d minor units have come from nowhere", sum)
	}
	for _, o := range w.customers {
		list, err := w.cashier.AuditCustomer(w.ctx, o, cny)
		must(w.t, err)
		for _, d := range list {
			w.t.Errorf("customer: %v", d)
		}
	}
	state, err := w.bank.State()
	must(w.t, err)
	if at, ledger := state.Accounts[0].Balance-bankOpening, -w.money(w.platform, pay.BankMoney)-byHand; at != ledger {
		w.t.Errorf("the bank has %d more than at the start, and the ledger says %d", at, ledger)
	}
}

// startMoney is what was brought by hand.
func (w *bankWorld) startMoney() holdfast.Amount {
	return customerMoney * holdfast.Amount(len(w.customers))
}

// TestNothingIsPaidTwice: a bank that is slow, down, loses replies, answers twice and holds messages back, books whose answers get lost, two offices
// at once, and people who want their money back: every order ends once, as the bank's book says.
func TestNothingIsPaidTwice(t *testing.T) {
	ended := map[pay.OrderStatus]int{}
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			w := newBankWorld(t, seed)
			var mu sync.Mutex
			dice, calm := rand.New(rand.NewPCG(seed, 3)), false
			w.books.Fault = func(*holdfast.Txn) paytest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if calm || dice.IntN(4) > 0 {
					return paytest.NoFault
				}
				return paytest.Fault(1 + dice.IntN(5))
			}
			w.open(true, nil)
			var orders []pay.BankOrder
			for phase := range 5 {
				must(t, w.bank.SetFaults(testbank.Faults{
					Seed: seed, LoseRequests: w.random.Float64() / 2, LoseReplies: w.random.Float64() / 2, Twice: w.random.Float64(), Hold: w.random.Float64() / 4,
					HoldMS: w.random.Int64N(30 * 60_000), SlowMS: w.random.Int64N(5_000), SettleMS: w.random.Int64N(60_000), Strict: phase%2 == 0,
					Reject: map[string]string{"REJECTED": "AC04"}, Bounce: map[string]string{"BOUNCED": "AC06"},
					Down: []string{"", "", "", "hang", "error"}[w.random.IntN(5)],
				}))
				for i := range 3 {
					to := []string{"GOOD", "GOOD", "REJECTED", "BOUNCED"}[w.random.IntN(4)]
					o := w.customers[w.random.IntN(len(w.customers))]
					orders = append(orders, w.withdraw(o, fmt.Sprintf("W%d-%d", phase, i), holdfast.Amount(1+w.random.IntN(5000)), to))
				}
				if phase == 1 {
					w.open(true, nil)
				}
				time.Sleep(time.Duration(w.random.IntN(10*60)) * time.Second)
				_, _ = w.cashier.Recall(w.ctx, orders[w.random.IntN(len(orders))], w.now())
				w.books.Deliver()
			}
			mu.Lock()
			calm = true
			mu.Unlock()
			w.books.Deliver()
			must(t, w.bank.SetFaults(testbank.Faults{Reject: map[string]string{"REJECTED": "AC04"}, Bounce: map[string]string{"BOUNCED": "AC06"}}))
			time.Sleep(2 * time.Hour)
			w.stop()
			for _, b := range orders {
				o := w.order(b)
				ended[o.Status]++
				truth, err := w.bank.Truth(b.EndToEnd())
				must(t, err)
				if want := map[pay.OrderStatus]int{pay.OrderDone: 1, pay.OrderReturned: 0}; o.Status < pay.OrderDone || truth.Booked != want[o.Status] {
					t.Errorf("seed %d: order %s is %s, and the bank has paid it %d times", seed, b.Number, o.Status, truth.Booked)
				}
			}
			w.audit(w.startMoney())
		})
	}
	if ended[pay.OrderDone] < 8 || ended[pay.OrderReturned] < 8 {
		t.Errorf("orders ended %v: these lives try too little", ended)
	}
}

// TestWithdrawalsQueueWhileTheBankIsDown: they wait with an estimate, at every site; one that was not sent comes back at once; nothing else is
// touched; and they go out when the bank is back, at the site that leads then.
func TestWithdrawalsQueueWhileTheBankIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		first, leads := w.open(true, nil)
		other, leadsToo := w.open(false, nil)
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 200}))
		for n := range 40 {
			w.withdraw(w.customers[0], fmt.Sprintf("A%d", n), 100, "GOOD")
		}
		first.WakeBanks()
		time.Sleep(30 * time.Second)
		must(t, w.bank.SetFaults(testbank.Faults{Down: "error"}))
		var list []pay.BankOrder
		for n := range 10 {
			list = append(list, w.withdraw(w.customers[1], fmt.Sprintf("B%d", n), 100, "GOOD"))
		}
		time.Sleep(30 * time.Minute)
		last := list[9]
		for name, o := range map[string]*Office{"here": first, "elsewhere": other} {
			e, err := o.Estimate(w.ctx, last, w.order(last))
			must(t, err)
			if e.Bank != "test" || !e.Down || !e.Known || e.Ahead < 9 || e.Likely < 29*time.Minute || e.Soonest > time.Minute {
				t.Errorf("%s the estimate is %+v", name, e)
			}
		}
		waiting := w.withdraw(w.customers[1], "late", 100, "GOOD")
		o, err := w.cashier.Recall(w.ctx, waiting, w.now())
		if must(t, err); o.Status != pay.OrderReturned {
			t.Errorf("recalled before it was sent: %s", o.Status)
		}
		sent, err := w.cashier.Transfer(w.ctx, pay.TransferAsk{From: w.customers[2], To: w.customers[3], Number: "T", Asset: cny, Amount: 5}, w.now())
		if must(t, err); sent.Status != pay.OrderDone {
			t.Errorf("a transfer beside: %s", sent.Status)
		}
		leads.Store(false)
		leadsToo.Store(true)
		must(t, w.bank.SetFaults(testbank.Faults{}))
		time.Sleep(3 * time.Minute)
		for _, b := range list {
			if o := w.order(b); o.Status != pay.OrderDone || o.Bank == "" {
				t.Errorf("%s is %s three minutes after the bank came back", b.Number, o.Status)
			}
		}
		w.stop()
		w.audit(w.startMoney())
	})
}

// TestEstimateOfARecalledOrder: a bank that refuses is told within seconds, at every site; an order that may have been sent and is recalled is told when
// the bank's cut-off is over, not how the queue goes; and an order made beside it is told what it takes.
func TestEstimateOfARecalledOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		here, _ := w.open(true, nil)
		other, _ := w.open(false, nil)
		estimates := func(b pay.BankOrder, check func(e Estimate) bool) {
			t.Helper()
			for name, o := range map[string]*Office{"here": here, "elsewhere": other} {
				e, err := o.Estimate(w.ctx, b, w.order(b))
				if must(t, err); e.Bank != "test" || !check(e) {
					t.Errorf("%s the estimate is %+v", name, e)
				}
			}
		}
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 200}))
		for n := range 40 {
			w.withdraw(w.customers[0], fmt.Sprintf("A%d", n), 100, "GOOD")
		}
		here.WakeBanks()
		time.Sleep(30 * time.Second)
		must(t, w.bank.SetFaults(testbank.Faults{Down: "error"}))
		sent := w.withdraw(w.customers[1], "sent", 100, "GOOD")
		here.WakeBanks()
		time.Sleep(2100 * time.Millisecond)
		estimates(sent, func(e Estimate) bool { return e.Down && e.Since != 0 && e.Known && e.Soonest < 10*time.Second })
		order, err := w.cashier.Recall(w.ctx, sent, w.now())
		if must(t, err); order.Status != pay.OrderSent || !order.Recalled {
			t.Fatalf("recalled: %+v", order)
		}
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 200}))
		time.Sleep(20 * time.Second)
		for range 4 {
			left := time.Duration(w.order(sent).Sent-w.now()) + bankCutOff + time.Second
			estimates(sent, func(e Estimate) bool {
				return !e.Down && e.Known && e.Ahead == 0 && (left-e.Soonest).Abs() < time.Second && e.Likely == e.Soonest
			})
			time.Sleep(2 * time.Minute)
		}
		beside := w.withdraw(w.customers[2], "beside", 100, "GOOD")
		estimates(beside, func(e Estimate) bool { return !e.Down && e.Known && e.Ahead == 0 && e.Soonest < 2*time.Second })
		here.WakeBanks()
		time.Sleep(2 * time.Second)
		if o := w.order(beside); o.Status != pay.OrderDone {
			t.Errorf("the order beside is %s", o.Status)
		}
		time.Sleep(4 * time.Minute)
		if o := w.order(sent); o.Status != pay.OrderReturned {
			t.Errorf("the recalled order is %s after the cut-off", o.Status)
		}
		w.stop()
		w.audit(w.startMoney())
	})
}

// TestDeposits: what a bank brings is credited by the reference in its text, once, however often it is read; what nobody can assign waits on an account
// of the platform until somebody does.
func TestDeposits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		o := w.customers[0]
		_, err := w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: "T1", Asset: cny, Amount: 500}, w.now())
		must(t, err)
		reference := pay.TopUpReference(o, "T1")
		spaced := strings.ToLower(reference[:6] + " " + reference[6:12] + "-" + reference[12:])
		wrong := reference[:10] + reference[11:12] + reference[10:11] + reference[12:]
		for i, text := range []string{"Top-up " + spaced + " thanks", reference, "for the tea", wrong} {
			must(t, w.bank.Credit(testbank.TopUp{
				Key: fmt.Sprint("K", i), Account: platformAccount, Amount: holdfast.Amount(400 + i), From: "DE89370400440532013000", EndToEnd: "NOTPROVIDED", Text: text,
			}))
		}
		w.open(true, nil)
		w.open(true, nil)
		time.Sleep(time.Minute)
		if got := w.money(o, pay.Wallet); got != customerMoney+400 {
			t.Errorf("the customer has %d", got)
		}
		if top, err := w.cashier.QueryTopUp(w.ctx, o, "T1"); err != nil || top.Status != pay.OrderDone || top.Amount != 400 {
			t.Errorf("the top-up is %+v, %v", top, err)
		}
		list, next, err := w.cashier.UnassignedDeposits(w.ctx, "", 10)
		if must(t, err); len(list) != 3 || next != "" || w.money(w.platform, pay.Unassigned) != 401+402+403 {
			t.Fatalf("%d deposits are unassigned: %+v", len(list), list)
		}
		for _, v := range list {
			if v.Why == "" || v.From != "DE89370400440532013000" {
				t.Errorf("%+v", v)
			}
			_, err := w.cashier.AssignDeposit(w.ctx, v.ID, w.customers[1], w.now())
			must(t, err)
			_, err = w.cashier.AssignDeposit(w.ctx, v.ID, w.customers[1], w.now())
			must(t, err)
		}
		if got := w.money(w.customers[1], pay.Wallet); got != customerMoney+401+402+403 {
			t.Errorf("who got the others has %d", got)
		}
		w.stop()
		must(t, w.cashier.SetDepositsSeen(w.ctx, "test", cny, 0, w.now()))
		if seen, err := w.cashier.DepositsSeen(w.ctx, "test", cny); seen != 4 || err != nil {
			t.Errorf("seen up to %d, %v", seen, err)
		}
		w.audit(w.startMoney())
	})
}

// TestTheBooksAreCompared: a day whose statement is right has no cases; one that is wrong has those that it must have; what was not known at the
// time closes by itself; and comparing again finds the same.
func TestTheBooksAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		w.books.Fault = nil
		with := func(deposits bool) func(*Config) {
			return func(c *Config) {
				c.Banks[0].Statement = w.wire.Statement
				c.Banks[0].Poll, c.Banks[0].Rescan = 5*time.Minute, 5*time.Minute
				if !deposits {
					c.Banks[0].Deposits = nil
				}
			}
		}
		o := w.customers[0]
		_, err := w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: "T1", Asset: cny, Amount: 500}, w.now())
		must(t, err)
		w.withdraw(o, "W1", 100, "GOOD")
		w.open(true, with(false))
		time.Sleep(time.Hour)
		must(t, w.bank.Credit(testbank.TopUp{Key: "K", Account: platformAccount, Amount: 500, Text: pay.TopUpReference(o, "T1")}))
		w.deaf.set.Store(true) // the bank pays this one, and nobody hears of it
		unheard := w.withdraw(o, "W2", 200, "GOOD")
		time.Sleep(25 * time.Hour) // the first day is compared at one in the morning
		names := w.cases()
		if len(names) != 2 || names["not-in-ledger"] != 1 || names["booked-though-open"] != 1 {
			t.Errorf("after the first day: %v", names)
		}
		w.stop()
		w.deaf.set.Store(false)
		w.stop = func() {}
		w.open(true, with(true)) // the deposit is read now
		time.Sleep(24 * time.Hour)
		if names := w.cases(); len(names) != 0 || w.order(unheard).Status != pay.OrderDone {
			t.Errorf("after the second day: %v, %s", names, w.order(unheard).Status)
		}
		must(t, w.bank.SetFaults(testbank.Faults{Seed: 5, Alter: 1, Invent: 1}))
		w.withdraw(o, "W3", 300, "GOOD")
		time.Sleep(24 * time.Hour)
		names = w.cases()
		if names["other-amount"] != 1 || names["not-in-ledger"] != 1 {
			t.Errorf("after the third day: %v", names)
		}
		list, _, err := w.cashier.Cases(w.ctx, "", 10)
		must(t, err)
		for _, v := range list {
			if name, todo := DescribeCase(&v); name == "other-amount" {
				if v.Amount != 1 || v.Ledger == nil || v.Bank == nil || v.Ledger.Other != "GOOD" || todo == "" {
					t.Errorf("%+v", v)
				}
				_, err := w.cashier.ExplainCase(w.ctx, v.ID, "the bank will correct it", "ann", w.now())
				must(t, err)
				_, err = w.cashier.CloseCase(w.ctx, v.ID, "the bank has corrected it", "ann", w.now())
				must(t, err)
			}
		}
		must(t, w.bank.SetFaults(testbank.Faults{}))
		time.Sleep(24 * time.Hour)
		if names := w.cases(); names["other-amount"]+names["not-at-bank"] != 0 {
			t.Errorf("what was closed has come again: %v", names)
		}
		w.stop()
		w.again()
		w.audit(w.startMoney())
	})
}

// TestDaysWithoutAStatement: a bank that has none of two days keeps nobody from comparing the days after them, and what was paid on a day of which the
// statement was lost is missing, and told. When the statements come after all, what they have is found, and the cases close.
func TestDaysWithoutAStatement(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newBankWorld(t, 1)
			w.books.Fault = nil
			var there atomic.Int64 // days whose statement has come late, as bits
			w.open(true, func(c *Config) {
				c.Banks[0].Poll, c.Banks[0].Rescan, c.Banks[0].Retry = time.Hour, time.Hour, time.Hour
				c.Banks[0].Statement = func(ctx context.Context, a bank.Account, day time.Time) (io.ReadCloser, error) {
					if d := day.Day(); (d == 2 || d == 3) && there.Load()>>d&1 == 0 { // of January 2000, when bubbles begin
						return nil, bank.ErrNoStatement
					}
					return w.wire.Statement(ctx, a, day)
				}
			})
			time.Sleep(54 * time.Hour) // the first day is compared, the third has begun
			if lost {
				w.withdraw(w.customers[0], "W1", 100, "GOOD")
			}
			if v, err := w.cashier.Compared(w.ctx, "test", cny); err != nil || v.Day != "2000-01-01" {
				t.Errorf("while there is no later statement: %+v %v", v, err)
			}
			time.Sleep(48*time.Hour + 30*time.Minute) // between two looks
			if v, err := w.cashier.Compared(w.ctx, "test", cny); err != nil || v.Day != "2000-01-04" {
				t.Errorf("the fourth day is not compared: %+v %v", v, err)
			}
			// The test bank numbers its statements day by day, so that some are missing either way.
			if names := w.cases(); names["statement-missing"] != 1 || names["not-at-bank"] != map[bool]int{true: 1}[lost] {
				t.Errorf("lost %t: %v", lost, names)
			}
			// First that of the day before the order was paid, which does not say that it is missing or not; then both are there for an hour more.
			for i, day := range []int64{2, 3, 0} {
				there.Store(there.Load() | 1<<day)
				time.Sleep(time.Hour)
				missing, absent := 1, 0
				if i > 0 {
					missing = 0
				}
				if lost && i == 0 {
					absent = 1
				}
				if names := w.cases(); names["statement-missing"] != missing || names["not-at-bank"] != absent {
					t.Errorf("lost %t, %d late statements have come: %v", lost, i+1, names)
				}
			}
			if v, err := w.cashier.Compared(w.ctx, "test", cny); err != nil || v.Day != "2000-01-04" || len(v.Without()) != 0 {
				t.Errorf("in the end: %+v %v", v, err)
			}
		})
	}
}

// cases counts the cases that are not closed by what they are.
func (w *bankWorld) cases() map[string]int {
	w.t.Helper()
	list, _, err := w.cashier.Cases(w.ctx, "", 100)
	must(w.t, err)
	names := map[string]int{}
	for i := range list {
		name, _ := DescribeCase(&list[i])
		names[name]++
	}
	return names
}

// again compares the first day once more, as after a crash: it finds nothing new.
func (w *bankWorld) again() {
	w.t.Helper()
	o, _ := w.open(false, func(c *Config) { c.Banks[0].Statement = w.wire.Statement })
	before := w.cases()
	r, err := o.banks.list[0].compare(w.ctx, cny, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), false)
	must(w.t, err)
	if after := w.cases(); r.New != 0 || len(after) != len(before) {
		w.t.Errorf("comparing a day again found %+v: %v, before %v", r, after, before)
	}
	w.stop()
}

// TestDaysAreSettledAndPaid: each merchant's day is settled after its end where he is, paid to his account once, and waits for the account of one who
// has not told it; what is due ends.
func TestDaysAreSettledAndPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		time.Sleep(14*time.Hour + 50*time.Minute) // 22:50 in Shanghai, 23:50 in Tokyo
		merchants := []holdfast.Owner{ownerOf(11), ownerOf(12)}
		for i, m := range merchants {
			_, err := w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{
				Owner: m, Name: "shop", Zone: []string{"Asia/Shanghai", "Asia/Tokyo"}[i], Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 100},
			}, w.now())
			must(t, err)
		}
		must(t, w.cashier.PutAccount(w.ctx, merchants[0], "", pay.BankAccount{Number: "SHOP0", Name: "Shop"}, w.now()))
		w.open(true, func(c *Config) { c.Settle, c.Due = &SettleConfig{}, &DueConfig{} })
		w.open(true, func(c *Config) { c.Settle, c.Due = &SettleConfig{}, &DueConfig{} })
		trade := func(m holdfast.Owner, number string) {
			ask := pay.TradeAsk{Merchant: m, OutTradeNo: number, TradeOffer: pay.TradeOffer{Amount: 1000, Asset: cny, Subject: "+tea"}}
			_, err := w.cashier.PayNew(w.ctx, ask, w.customers[0], w.now())
			must(t, err)
		}
		for _, m := range merchants {
			trade(m, "1")
			trade(m, "2")
		}
		unpaid := pay.TradeAsk{Merchant: merchants[0], OutTradeNo: "U", Until: w.now() + 300e9, TradeOffer: pay.TradeOffer{Amount: 9, Asset: cny, Subject: "cup"}}
		_, err := w.cashier.Create(w.ctx, unpaid, w.now())
		must(t, err)
		time.Sleep(30 * time.Minute) // 23:20 and 00:20
		for i, want := range []int{0, 1} {
			if list, err := w.cashier.SettledDay(w.ctx, merchants[i], "2000-01-01"); len(list) != want || err != nil {
				t.Errorf("merchant %d at half past two: %+v, %v", i, list, err)
			}
		}
		if v, err := w.cashier.Events(w.ctx, merchants[0], "", 10); err != nil || v[len(v)-1].Kind != pay.EventClosed {
			t.Errorf("the trade that nobody has paid: %+v, %v", v, err)
		}
		time.Sleep(time.Hour)
		payouts := []pay.BankOrder{
			{Owner: merchants[0], Payout: true, Number: "2000-01-01-CNY"},
			{Owner: merchants[1], Payout: true, Number: "2000-01-01-CNY"},
		}
		if a, b := w.order(payouts[0]), w.order(payouts[1]); a.Status != pay.OrderDone || a.Amount != 1980 || b.Status != pay.OrderWaiting {
			t.Errorf("payouts: %+v, %+v", a, b)
		}
		must(t, w.cashier.PutAccount(w.ctx, merchants[1], "", pay.BankAccount{Number: "SHOP1", Name: "Shop"}, w.now()))
		time.Sleep(time.Minute)
		if b := w.order(payouts[1]); b.Status != pay.OrderDone {
			t.Errorf("after the account was told the payout is %s", b.Status)
		}
		w.stop()
		w.books.Deliver()
		var file strings.Builder
		must(t, w.cashier.StatementFile(w.ctx, merchants[0], "2000-01-01", &file))
		lines := strings.Split(strings.TrimSpace(file.String()), "\n")
		if len(lines) != 5 || !strings.Contains(lines[1], ",paid,1,") || !strings.Contains(lines[1], ",'+tea,") || lines[4] != "2000-01-01,total,,,2000-01-01-CNY,,,,CNY,2000,20,0,1980,1980" {
			t.Errorf("the statement:\n%s", file.String())
		}
		for _, m := range merchants {
			list, err := w.cashier.AuditMerchant(w.ctx, m, cny)
			must(t, err)
			for _, d := range list {
				t.Errorf("merchant: %v", d)
			}
		}
		w.audit(w.startMoney())
	})
}
