package pay_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// turns is books that hand over before every call: whoever schedules the cashiers decides whose call is next.
type turns struct {
	*paytest.Books
	yield func(struct{}) bool
	over  bool // nobody goes on with it
}

var errOver = errors.New("nobody goes on with this")

// turn hands over.
func (b *turns) turn() error {
	if b.over = b.over || !b.yield(struct{}{}); b.over {
		return errOver
	}
	return nil
}

func (b *turns) Record(ctx context.Context, key string) (holdfast.Record, bool, error) {
	if err := b.turn(); err != nil {
		return holdfast.Record{}, false, err
	}
	return b.Books.Record(ctx, key)
}

func (b *turns) Glance(ctx context.Context, key string) (holdfast.Record, bool, error) {
	if err := b.turn(); err != nil {
		return holdfast.Record{}, false, err
	}
	return b.Books.Glance(ctx, key)
}

func (b *turns) Records(ctx context.Context, prefix, after string, max int) ([]holdfast.Record, error) {
	if err := b.turn(); err != nil {
		return nil, err
	}
	return b.Books.Records(ctx, prefix, after, max)
}

func (b *turns) Account(ctx context.Context, id holdfast.AccountID) (holdfast.Account, bool, error) {
	if err := b.turn(); err != nil {
		return holdfast.Account{}, false, err
	}
	return b.Books.Account(ctx, id)
}

func (b *turns) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	if err := b.turn(); err != nil {
		return holdfast.Outcome{}, err
	}
	return b.Books.Submit(ctx, t)
}

// asked is something that one cashier is asked for, and what came of it.
type asked struct {
	name     string
	do       func(*pay.Cashier, holdfast.Time) error
	code     pay.Code
	repeated bool // it was asked for several times: some refusals then say no more than that it is done
}

// side is a cashier of its own on the books of a world, asked for one thing until the answer is definite.
func (w *world) side(a *asked) (next func() (struct{}, bool), stop func()) {
	return iter.Pull(func(yield func(struct{}) bool) {
		books := &turns{Books: w.books, yield: yield}
		config := w.cashier.Config
		config.Books = books
		config.Wait = nil // every read is a turn of the others, and so are tries
		c, err := pay.New(config)
		w.must(err)
		now := w.now + 1e6
		for !books.over {
			err = a.do(c, now)
			var pending *pay.Pending
			var unavailable *pay.Unavailable
			switch {
			case errors.Is(err, pay.ErrBusy):
				now += holdfast.Time(25 * time.Hour) // its day is closed
			case errors.As(err, &pending) || errors.As(err, &unavailable):
				a.repeated = true
				now += 1e6
			default:
				a.code = refusal(err)
				return
			}
			_ = books.turn()
		}
	})
}

// scene is a world with one trade, T, of 1,000.
type scene struct {
	mode pay.Mode
	paid bool
}

func (s scene) world(t fataler) *world {
	w := newWorld(t)
	w.must(only(w.cashier.Create(w.ctx, w.offer(0, "T", 1000, s.mode), w.tick())))
	if s.paid {
		w.must(only(w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: w.merchants[0], OutTradeNo: "T", Payer: w.customers[0]}, w.tick())))
	}
	return w
}

// wishes are what can be asked for. Some are the same wish twice, as when somebody asks again at another site.
func (w *world) wishes() []*asked {
	ctx, shop, a, b := w.ctx, w.merchants[0], w.customers[0], w.customers[1]
	escrow := pay.EscrowAsk{Merchant: shop, OutTradeNo: "T", By: a}
	code := pay.PaymentCode(b, w.secret[:], w.now)
	pays := func(name string, o holdfast.Owner) *asked {
		return &asked{name: name, do: func(c *pay.Cashier, now holdfast.Time) error {
			return only(c.Pay(ctx, pay.PayAsk{Merchant: shop, OutTradeNo: "T", Payer: o}, now))
		}}
	}
	makes := func(name string, o holdfast.Owner) *asked {
		return &asked{name: name, do: func(c *pay.Cashier, now holdfast.Time) error {
			return only(c.PayNew(ctx, w.offer(1, "N", 400, pay.Plain), o, now))
		}}
	}
	shows := func(n int, number string) *asked {
		return &asked{name: "code for " + number, do: func(c *pay.Cashier, now holdfast.Time) error {
			return only(c.PayByCode(ctx, w.offer(n, number, 300, pay.Plain), code, now))
		}}
	}
	plain := func(name string, do func(c *pay.Cashier, now holdfast.Time) error) *asked {
		return &asked{name: name, do: do}
	}
	return []*asked{
		pays("A pays", a), pays("B pays", b), makes("A pays a new one", a), makes("B pays a new one", b),
		shows(0, "C1"), shows(1, "C2"), w.refundOf("R1", 600), w.refundOf("R1", 600), w.refundOf("R2", 500), w.refundOf("R2", 501),
		plain("close", func(c *pay.Cashier, now holdfast.Time) error { return only(c.Close(ctx, shop, "T", now)) }),
		plain("cancel", func(c *pay.Cashier, now holdfast.Time) error { _, _, err := c.Cancel(ctx, shop, "T", now); return err }),
		plain("confirm", func(c *pay.Cashier, now holdfast.Time) error { return only(c.Confirm(ctx, escrow, now)) }),
		plain("dispute", func(c *pay.Cashier, now holdfast.Time) error { return only(c.Dispute(ctx, escrow, now)) }),
		plain("decide", func(c *pay.Cashier, now holdfast.Time) error { return only(c.Decide(ctx, escrow, 250, now)) }),
		plain("release", func(c *pay.Cashier, now holdfast.Time) error { return only(c.Release(ctx, escrow, 700, now)) }),
		plain("split", func(c *pay.Cashier, now holdfast.Time) error {
			_, _, err := c.Split(ctx, pay.SplitAsk{
				Merchant: shop, OutTradeNo: "T", Number: "S", Shares: []pay.Share{{To: b, Amount: 300}, {To: w.merchants[1], Amount: 200}},
			}, now)
			return err
		}),
		plain("transfer", func(c *pay.Cashier, now holdfast.Time) error {
			return only(c.Transfer(ctx, pay.TransferAsk{From: a, To: b, Number: "X", Asset: cny, Amount: 99_500}, now))
		}),
		plain("withdraw", func(c *pay.Cashier, now holdfast.Time) error {
			return only(c.Withdraw(ctx, pay.TopUpAsk{Owner: a, Number: "W", Asset: cny, Amount: 700}, now))
		}),
		plain("settle", func(c *pay.Cashier, _ holdfast.Time) error {
			return only(c.Settle(ctx, shop, "2026-11-27", w.now+holdfast.Time(24*time.Hour)))
		}),
	}
}

// refundOf is a refund of a part of T.
func (w *world) refundOf(number string, amount holdfast.Amount) *asked {
	ask := pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "T", Number: number, Amount: amount}
	return &asked{name: fmt.Sprintf("refund %s of %d", number, amount), do: func(c *pay.Cashier, now holdfast.Time) error {
		_, _, err := c.Refund(w.ctx, ask, now)
		return err
	}}
}

// result is all that can be seen afterwards.
func (w *world) result() string {
	w.audit()
	text := ""
	for _, t := range []struct {
		n      int
		number string
	}{{0, "T"}, {1, "N"}, {0, "C1"}, {1, "C2"}} {
		v, err := w.cashier.Query(w.ctx, w.merchants[t.n], t.number, w.now)
		text += fmt.Sprintln(t.number, refusal(err), v.Status, v.Payer, v.Refunded, v.FeeTaken, v.FeeBack, v.Kept, v.Released, v.Shared, v.Protection)
	}
	for _, o := range w.customers {
		text += fmt.Sprintln(o, w.money(o, pay.Wallet), w.money(o, pay.Outgoing))
	}
	for _, o := range w.merchants {
		text += fmt.Sprintln(o, w.money(o, pay.Settlement), w.money(o, pay.Outgoing), w.money(o, pay.Royalty), w.money(o, pay.Escrow))
	}
	return text
}

// inTurn does what was picked in one order, each until it is done.
func (s scene) inTurn(t fataler, order []int) (codes map[int]pay.Code, result string) {
	w := s.world(t)
	list := w.wishes()
	codes = map[int]pay.Code{}
	for _, i := range order {
		next, stop := w.side(list[i])
		for _, more := next(); more; {
			_, more = next()
		}
		stop()
		codes[i] = list[i].code
	}
	return codes, w.result()
}

// orders are all orders of a list.
func orders(list []int) (all [][]int) {
	if len(list) < 2 {
		return [][]int{list}
	}
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, o := range orders(rest) {
			all = append(all, append([]int{list[i]}, o...))
		}
	}
	return all
}

// mostTurns is more than any schedule takes.
const mostTurns = 3000

// TestCashiersAtOnce: several cashiers, each at a site of its own, do things with the same books at the same time, call by call in any order, and
// some payments hang between two shards until a courier comes. What came of it is what would have come of one order of doing them.
func TestCashiersAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scene{pay.Mode(rapid.IntRange(0, 2).Draw(t, "mode")), rapid.Bool().Draw(t, "paid")}
		w := s.world(t)
		list := w.wishes()
		picked := rapid.SliceOfNDistinct(rapid.IntRange(0, len(list)-1), 2, 3, rapid.ID[int]).Draw(t, "wishes")
		w.books.Fault = func(*holdfast.Txn) paytest.Fault {
			if rapid.IntRange(0, 5).Draw(t, "stuck") == 0 {
				return paytest.Stuck
			}
			return paytest.NoFault
		}
		var running []func() (struct{}, bool)
		for _, i := range picked {
			next, stop := w.side(list[i])
			defer stop()
			running = append(running, next)
		}
		for n := 0; len(running) > 0; n++ {
			who := rapid.IntRange(0, len(running)).Draw(t, "who")
			if n > mostTurns {
				t.Fatalf("they do not come to an end")
			}
			if who == len(running) {
				w.books.Deliver()
			} else if _, more := running[who](); !more {
				running = slices.Delete(running, who, who+1)
			}
		}
		w.books.Fault = nil
		got := w.result()
		var serial string
		for _, order := range orders(picked) {
			codes, want := s.inTurn(t, order)
			same := want == got
			for i, code := range codes {
				a := list[i]
				same = same && (a.code == code || a.repeated && code == "" && onceOnly[a.code])
			}
			if same {
				return
			}
			serial += fmt.Sprintf("in the order %v: %v\n%s", names(list, order), codes, want)
		}
		told := map[int]pay.Code{}
		for _, i := range picked {
			told[i] = list[i].code
		}
		t.Fatalf("%+v: %v at once: %v\n%s\nno order comes to that:\n%s", s, names(list, picked), told, got, serial)
	})
}

func names(list []*asked, picked []int) (out []string) {
	for _, i := range picked {
		out = append(out, fmt.Sprint(i, " ", list[i].name))
	}
	return out
}

// A payment that hung between two shards, and is asked for again, is done and not refused, whenever the courier comes: also between the look at the
// trade and that at the wallet, in which there is too little left for another one.
func TestPaidWhileItIsAskedForAgain(t *testing.T) {
	for at := 1; at <= 120; at++ { // asking twice takes no more
		w := scene{pay.Plain, false}.world(t)
		payer := w.customers[0]
		w.must(only(w.cashier.Transfer(w.ctx, pay.TransferAsk{From: payer, To: w.customers[1], Number: "Y", Asset: cny, Amount: w.money(payer, pay.Wallet) - 500}, w.tick())))
		w.tick()
		stuck := false
		w.books.Fault = func(*holdfast.Txn) paytest.Fault {
			if stuck {
				return paytest.NoFault
			}
			stuck = true
			return paytest.Stuck
		}
		a := w.wishes()[2] // 400, for a trade that is new
		next, stop := w.side(a)
		for n := 1; ; n++ {
			if n == at || n == at+300 { // and again, when what was stuck came later
				w.books.Deliver()
			}
			if _, more := next(); !more || n > mostTurns {
				break
			}
		}
		stop()
		v, err := w.cashier.Query(w.ctx, w.merchants[1], "N", w.now)
		if a.code != "" || err != nil || v.Status != pay.StatusSuccess || w.money(payer, pay.Wallet) != 100 {
			t.Fatalf("the courier comes before call %d: told %q; %s, %v, %d left", at, a.code, v.Status, err, w.money(payer, pay.Wallet))
		}
	}
}
