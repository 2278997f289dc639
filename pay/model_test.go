package pay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// twin is the model: what the trades and wallets have to look like, in a few lines.
type twin struct {
	trades map[string]*twinTrade
	wallet map[holdfast.Owner]holdfast.Amount
	frozen map[holdfast.Owner]bool // by the ledger
	auths  map[string]*twinAuth
	splits []*twinSplit
}

// twinSplit is a split whose shares go to customers: P paid, B back, otherwise it waits.
type twinSplit struct {
	t      *twinTrade
	ask    pay.SplitAsk
	states []string
}

type twinTrade struct {
	n                    int // of the merchant
	amount, back, held   holdfast.Amount
	released             holdfast.Amount // of what was held, for the merchant
	given                holdfast.Amount // to others, or set aside for them
	mode                 pay.Mode
	state                string // W, S, C
	payer                holdfast.Owner
	disputed, protection bool
}

type twinAuth struct {
	payer holdfast.Owner
	rest  holdfast.Amount
}

const paymentLimit = 4000

// pays is what a payment by o has to be answered with.
func (m *twin) pays(o holdfast.Owner, amount holdfast.Amount) pay.Code {
	switch {
	case amount > paymentLimit:
		return pay.LimitPayment
	case m.frozen[o]:
		return pay.WalletBlocked
	case m.wallet[o] < amount:
		return pay.BalanceNotEnough
	}
	return ""
}

func (t *twinTrade) paid(o holdfast.Owner) {
	t.state, t.payer = "S", o
	switch t.mode {
	case pay.Protected:
		t.held, t.protection = t.amount, true
	case pay.Split:
		t.held = t.amount - feeOf(t.amount)
	}
}

// feeOf is the fee of every trade here: 0.6 % and 1.
func feeOf(amount holdfast.Amount) holdfast.Amount { return min((amount*60+5000)/10000+1, amount) }

// withoutFee is what a refund takes of a trade beside the fee that goes back.
func (t *twinTrade) withoutFee(amount holdfast.Amount) holdfast.Amount {
	if t.mode != pay.Split {
		return amount
	}
	return amount - feeOf(t.amount)*(t.back+amount)/t.amount + feeOf(t.amount)*t.back/t.amount
}

// others reports that a refund would take the merchant's own money, because others have had that of the trade: whether he has it is not the twin's to say.
func (t *twinTrade) others(amount holdfast.Amount) bool {
	return t.mode == pay.Split && t.state == "S" && t.withoutFee(amount) > t.held
}

func (m *twin) refunds(t *twinTrade, amount holdfast.Amount) pay.Code {
	switch {
	case t.state == "W":
		return pay.TradeNotPaid
	case t.state == "C":
		return pay.TradeClosed
	case amount > t.amount-t.back:
		return pay.RefundTooMuch
	case t.disputed:
		return pay.EscrowDisputed
	case m.frozen[t.payer]:
		return pay.PayeeBlocked
	}
	m.wallet[t.payer] += amount
	t.held -= min(t.held, t.withoutFee(amount))
	if t.back += amount; t.back == t.amount {
		t.state = "C"
	}
	return ""
}

// run is one history: a world, its twin, and what goes wrong.
type run struct {
	*world
	twin   twin
	draw   func(label string, n int) int
	serial int
}

// fully does something with faults, and again without them until the answer is definite: then it has to be the one that the twin gives.
func (r *run) fully(want pay.Code, do func() error) (repeated bool) {
	r.books.Fault = func(*holdfast.Txn) paytest.Fault {
		if n := r.draw("fault", 12); n <= int(paytest.Stuck) {
			return paytest.Fault(n)
		}
		return paytest.NoFault
	}
	err := do()
	r.books.Fault = nil
	var pending *pay.Pending
	var unavailable *pay.Unavailable
	for errors.As(err, &pending) || errors.As(err, &unavailable) {
		repeated = true
		if r.draw("deliver", 2) == 0 {
			if refusal(do()) != "" { // it may still be under way: a second question must do no harm
				r.books.Deliver()
			}
		}
		r.books.Deliver()
		r.tick()
		err = do()
	}
	if got := refusal(err); got != want && (!repeated || want != "" || !onceOnly[got]) {
		r.t.Fatalf("answered %q, the twin says %q", got, want)
	}
	return repeated
}

// onceOnly are refusals of something that has been done already, where the gateway wants no success for a repetition.
var onceOnly = map[pay.Code]bool{pay.TradeStatus: true, pay.EscrowStatus: true}

// disturb changes what others read now and then, so that versions differ when they submit.
func (r *run) disturb() {
	inside := false
	r.books.Meanwhile = func(*holdfast.Txn) {
		if inside || r.draw("disturb", 8) > 0 {
			return
		}
		inside = true
		fault := r.books.Fault
		r.books.Fault = nil
		for _, o := range r.customers {
			_ = r.cashier.SetLimits(r.ctx, o, cny, pay.Limits{Payment: paymentLimit}, r.tick())
		}
		_ = r.cashier.SetFee(r.ctx, r.merchants[0], pay.FeePlan{BasisPoints: 60, Fixed: 1}, r.tick())
		r.books.Fault = fault
		inside = false
	}
}

func newRun(t fataler, draw func(string, int) int) *run {
	r := &run{world: newWorld(t), draw: draw}
	r.twin = twin{map[string]*twinTrade{}, map[holdfast.Owner]holdfast.Amount{}, map[holdfast.Owner]bool{}, map[string]*twinAuth{}, nil}
	for _, o := range r.customers {
		r.twin.wallet[o] = startMoney
		r.must(r.cashier.SetLimits(r.ctx, o, cny, pay.Limits{Payment: paymentLimit}, r.tick()))
	}
	r.disturb()
	r.books.Late = func(string) bool { return r.draw("late", 4) == 0 }
	return r
}

func (r *run) customer() holdfast.Owner  { return r.customers[r.draw("customer", len(r.customers))] }
func (r *run) amount() holdfast.Amount   { return holdfast.Amount(1 + r.draw("amount", 5000)) }
func (r *run) next(prefix string) string { r.serial++; return fmt.Sprintf("%s%d", prefix, r.serial) }

func (r *run) pick() (number string, t *twinTrade) {
	number = fmt.Sprintf("T%d", 1+r.draw("trade", max(1, r.serial)))
	if t = r.twin.trades[number]; t == nil {
		number, t = "T1", r.twin.trades["T1"]
	}
	return number, t
}

// step is one operation, and what the twin makes of it.
func (r *run) step() {
	number, t := r.pick()
	op := r.draw("op", 21)
	if t == nil {
		op = 0
	}
	switch op {
	case 0, 1:
		r.create(op == 1)
	case 2, 3:
		r.pay(number, t)
	case 4:
		r.close(number, t)
	case 5, 6:
		r.refund(number, t)
	case 7:
		r.cancel(number, t)
	case 8, 9, 10, 15, 16:
		r.protect(number, t, op)
	case 11:
		r.transfer()
	case 12:
		r.withdraw()
	case 13:
		r.authorize()
	case 14:
		r.code()
	case 17, 18:
		r.split(number, t)
	case 19, 20:
		r.goOn()
	}
	r.books.Deliver()
	r.compare()
}

func (r *run) create(paid bool) {
	number := r.next("T")
	t := &twinTrade{n: r.draw("merchant", 2), amount: r.amount(), mode: pay.Mode(r.draw("mode", 3)), state: "W"}
	ask, payer := r.offer(t.n, number, t.amount, t.mode), r.customer()
	if !paid {
		r.fully("", func() error { _, err := r.cashier.Create(r.ctx, ask, r.tick()); return err })
		r.twin.trades[number] = t
		return
	}
	want := r.twin.pays(payer, t.amount)
	r.fully(want, func() error { _, err := r.cashier.PayNew(r.ctx, ask, payer, r.tick()); return err })
	if want == "" {
		r.twin.wallet[payer] -= t.amount
		t.paid(payer)
		r.twin.trades[number] = t
	}
}

func (r *run) pay(number string, t *twinTrade) {
	payer := r.customer()
	want := r.twin.pays(payer, t.amount)
	switch {
	case t.state == "C":
		want = pay.TradeClosed
	case t.state == "S" && t.payer == payer:
		want = ""
	case t.state == "S":
		want = pay.TradePaid
	}
	r.fully(want, func() error {
		_, err := r.cashier.Pay(r.ctx, pay.PayAsk{Merchant: r.merchants[t.n], OutTradeNo: number, Payer: payer}, r.tick())
		return err
	})
	if want == "" && t.state == "W" {
		r.twin.wallet[payer] -= t.amount
		t.paid(payer)
	}
}

func (r *run) close(number string, t *twinTrade) {
	want := pay.TradeStatus
	if t.state == "W" {
		want = ""
	}
	r.fully(want, func() error { _, err := r.cashier.Close(r.ctx, r.merchants[t.n], number, r.tick()); return err })
	if want == "" {
		t.state = "C"
	}
}

func (r *run) refund(number string, t *twinTrade) {
	ask := pay.RefundAsk{Merchant: r.merchants[t.n], OutTradeNo: number, Number: r.next("R"), Amount: min(r.amount(), t.amount)}
	if t.others(ask.Amount) {
		return
	}
	want := r.twin.refunds(t, ask.Amount)
	r.fully(want, func() error { _, _, err := r.cashier.Refund(r.ctx, ask, r.tick()); return err })
	if want == "" && r.draw("twice", 2) == 0 {
		r.fully("", func() error { _, _, err := r.cashier.Refund(r.ctx, ask, r.tick()); return err })
	}
}

func (r *run) cancel(number string, t *twinTrade) {
	want := pay.Code("")
	if t.others(t.amount - t.back) {
		return
	}
	if t.state == "S" {
		want = r.twin.refunds(t, t.amount-t.back)
	} else {
		t.state = "C"
	}
	r.fully(want, func() error { _, _, err := r.cashier.Cancel(r.ctx, r.merchants[t.n], number, r.tick()); return err })
}

func (r *run) protect(number string, t *twinTrade, op int) {
	if !t.protection || t.state != "S" || t.held == 0 {
		return
	}
	ask := pay.EscrowAsk{Merchant: r.merchants[t.n], OutTradeNo: number, By: t.payer}
	switch {
	case op == 8 && !t.disputed:
		r.fully("", func() error { _, err := r.cashier.Dispute(r.ctx, ask, r.tick()); return err })
		t.disputed = true
	case op == 9 && t.disputed:
		if r.twin.frozen[t.payer] {
			return
		}
		give := holdfast.Amount(r.draw("decide", int(t.held)+1))
		r.fully("", func() error { _, err := r.cashier.Decide(r.ctx, ask, give, r.tick()); return err })
		r.twin.wallet[t.payer] += t.held - give
		if t.back += t.held - give; t.back == t.amount {
			t.state = "C"
		}
		t.held, t.released, t.disputed = 0, t.released+give, false
	case op == 10:
		want := pay.Code("")
		if t.disputed {
			want = pay.EscrowDisputed
		} else {
			t.held, t.released = 0, t.released+t.held
		}
		r.fully(want, func() error { _, err := r.cashier.Confirm(r.ctx, ask, r.tick()); return err })
	case op == 15:
		want := pay.Code("")
		if t.disputed {
			want = pay.EscrowDisputed
		}
		ask.By = ask.Merchant
		r.fully(want, func() error { _, err := r.cashier.Ship(r.ctx, ask, 72*time.Hour, r.tick()); return err })
	case op == 16:
		r.release(t, ask)
	}
}

// split gives shares to customers, of whom some are blocked.
func (r *run) split(number string, t *twinTrade) {
	if t.mode != pay.Split || t.state != "S" {
		return
	}
	x := &twinSplit{t: t, ask: pay.SplitAsk{Merchant: r.merchants[t.n], OutTradeNo: number, Number: r.next("S")}}
	var total holdfast.Amount
	for range 1 + r.draw("shares", 3) {
		s := pay.Share{To: r.customer(), Amount: 1 + holdfast.Amount(r.draw("share", int(t.amount)/2+1))}
		total += s.Amount
		x.ask.Shares = append(x.ask.Shares, s)
	}
	want := pay.Code("")
	if total > t.held || total > t.amount-feeOf(t.amount)-t.given-(t.back-feeOf(t.amount)*t.back/t.amount) {
		want = pay.SplitTooMuch
	}
	r.fully(want, func() error { _, _, err := r.cashier.Split(r.ctx, x.ask, r.tick()); return err })
	if want != "" {
		return
	}
	t.held, t.given = t.held-total, t.given+total
	x.states = make([]string, len(x.ask.Shares))
	r.twin.splits = append(r.twin.splits, x)
	r.paidShares(x, false)
}

// paidShares is what becomes of the shares of a split that somebody goes on with; over: nobody waits any longer.
func (r *run) paidShares(x *twinSplit, over bool) {
	for i, s := range x.ask.Shares {
		switch {
		case x.states[i] != "":
		case !r.twin.frozen[s.To]:
			x.states[i] = "P"
			r.twin.wallet[s.To] += s.Amount
		case over:
			x.states[i] = "B"
			x.t.given -= s.Amount
			if x.t.state == "S" {
				x.t.held += s.Amount
			}
		}
	}
}

// goOn is whoever works through what is due, or asks for the same split again.
func (r *run) goOn() {
	if len(r.twin.splits) == 0 {
		return
	}
	x := r.twin.splits[r.draw("split", len(r.twin.splits))]
	over := r.draw("over", 3) == 0
	at := func() holdfast.Time { return r.tick() }
	if over {
		at = func() holdfast.Time { return r.tick() + holdfast.Time(8*24*time.Hour) }
	}
	r.fully("", func() error {
		if over || r.draw("due", 2) == 0 {
			if err := r.cashier.RunDue(r.ctx, dueOf(x.ask.Merchant, "split/"+x.ask.Number), at()); refusal(err) != pay.PayeeBlocked {
				return err
			}
			return nil // a share waits
		}
		_, _, err := r.cashier.Split(r.ctx, x.ask, at())
		return err
	})
	r.paidShares(x, over)
}

// release gives the merchant a part of what is held.
func (r *run) release(t *twinTrade, ask pay.EscrowAsk) {
	total, want := 1+holdfast.Amount(r.draw("total", int(t.amount))), pay.Code("")
	more := total - t.released
	switch {
	case more <= 0:
	case t.disputed:
		want = pay.EscrowDisputed
	case more > t.held:
		want = pay.EscrowTooMuch
	default:
		t.held, t.released = t.held-more, total
	}
	r.fully(want, func() error { _, err := r.cashier.Release(r.ctx, ask, total, r.tick()); return err })
}

func (r *run) transfer() {
	ask := pay.TransferAsk{From: r.customer(), To: r.customer(), Number: r.next("X"), Asset: cny, Amount: r.amount()}
	want := r.twin.pays(ask.From, ask.Amount)
	if want == "" && r.twin.frozen[ask.To] {
		want = pay.PayeeBlocked
	}
	if ask.From == ask.To {
		want = pay.PayeeIsPayer
	}
	r.fully(want, func() error { _, err := r.cashier.Transfer(r.ctx, ask, r.tick()); return err })
	if want == "" {
		r.twin.wallet[ask.From] -= ask.Amount
		r.twin.wallet[ask.To] += ask.Amount
	}
	if r.draw("freeze", 6) == 0 {
		op := holdfast.FreezeAccount
		if r.twin.frozen[ask.To] {
			op = holdfast.ThawAccount
		}
		r.books.Deliver()
		r.books.Change(op, holdfast.AccountID{Owner: ask.To, Purpose: pay.Wallet, Asset: cny})
		r.twin.frozen[ask.To] = !r.twin.frozen[ask.To]
	}
}

func (r *run) withdraw() {
	ask := pay.TopUpAsk{Owner: r.customer(), Number: r.next("W"), Asset: cny, Amount: r.amount()}
	want := r.twin.pays(ask.Owner, ask.Amount)
	r.fully(want, func() error { _, err := r.cashier.Withdraw(r.ctx, ask, r.tick()); return err })
	if want != "" {
		return
	}
	r.twin.wallet[ask.Owner] -= ask.Amount
	b := pay.BankOrder{Owner: ask.Owner, Number: ask.Number}
	if r.draw("bank", 2) == 0 {
		r.fully("", func() error { _, err := r.cashier.PaidOut(r.ctx, b, "ok", r.tick()); return err })
		return
	}
	if r.twin.frozen[ask.Owner] {
		want = pay.PayeeBlocked
	}
	r.fully(want, func() error { _, err := r.cashier.PayoutReturned(r.ctx, b, "no such account", r.tick()); return err })
	if want == "" {
		r.twin.wallet[ask.Owner] += ask.Amount
	}
}

// code pays two trades with one code: the second is refused.
func (r *run) code() {
	payer := r.customer()
	r.now += 120e9
	code := pay.PaymentCode(payer, r.secret[:], r.now)
	for _, want := range []pay.Code{r.twin.pays(payer, 5), pay.CodeUsed} {
		number, t := r.next("T"), &twinTrade{n: r.draw("merchant", 2), amount: 5}
		r.fully(want, func() error {
			_, err := r.cashier.PayByCode(r.ctx, r.offer(t.n, number, 5, pay.Plain), code, r.tick())
			return err
		})
		if want != "" {
			return
		}
		r.twin.wallet[payer] -= 5
		t.paid(payer)
		r.twin.trades[number] = t
	}
}

// authorize freezes money, takes a part of it, and releases the rest.
func (r *run) authorize() {
	payer, number, amount := r.customer(), r.next("F"), r.amount()
	ask := pay.AuthAsk{Merchant: r.merchants[0], OutOrderNo: number, Request: "1", Title: "room", Asset: cny, Amount: amount}
	r.fully("", func() error { _, err := r.cashier.OpenAuth(r.ctx, ask, r.tick()); return err })
	freezes := func() pay.Code {
		want := r.twin.pays(payer, amount)
		r.fully(want, func() error {
			_, err := r.cashier.Authorize(r.ctx, ask.Merchant, number, payer, "", r.tick())
			return err
		})
		return want
	}
	for n := 0; freezes() != ""; n++ { // who cannot leaves the place to others
		if payer = r.customer(); n == 2 {
			return
		}
	}
	r.twin.wallet[payer] -= amount
	r.twin.auths[number] = &twinAuth{payer, amount}
	t := &twinTrade{n: 0, amount: 1 + amount/2}
	out := r.next("T")
	r.fully("", func() error {
		_, err := r.cashier.PayFrozen(r.ctx, r.offer(0, out, t.amount, pay.Plain), number, false, r.tick())
		return err
	})
	t.paid(payer)
	r.twin.trades[out] = t
	if rest := amount - t.amount; rest > 0 && !r.twin.frozen[payer] {
		r.fully("", func() error {
			_, err := r.cashier.Unfreeze(r.ctx, ask.Merchant, number, "2", rest, "", r.tick())
			return err
		})
		r.twin.wallet[payer] += rest
	}
}

var twinStates = map[pay.Status]string{pay.StatusWaiting: "W", pay.StatusSuccess: "S", pay.StatusClosed: "C"}

// compare checks that the platform says what the twin says, and that every account holds what the documents say.
func (r *run) compare() {
	for number, t := range r.twin.trades {
		v, err := r.cashier.Query(r.ctx, r.merchants[t.n], number, r.now)
		r.must(err)
		if twinStates[v.Status] != t.state || v.Refunded != t.back || v.Payer != t.payer || t.mode != pay.Plain && v.Kept != t.held || v.Released != t.released || v.Shared-v.ShareBack != t.given {
			r.t.Fatalf("trade %s is %+v, the twin says %+v", number, v, *t)
		}
		if back := v.FeeTaken * v.Refunded / max(1, v.Amount); t.mode == pay.Plain && v.FeeBack != back {
			r.t.Fatalf("of the fee of trade %s %d was given back, the twin says %d", number, v.FeeBack, back)
		}
	}
	for _, x := range r.twin.splits {
		got, _, err := r.cashier.QuerySplit(r.ctx, x.ask.Merchant, x.ask.Number)
		r.must(err)
		for i, s := range got.Shares {
			if s.Paid != (x.states[i] == "P") || s.Back != (x.states[i] == "B") {
				r.t.Fatalf("share %d of %s is %+v, the twin says %q", i, x.ask.Number, s, x.states[i])
			}
		}
	}
	for o, amount := range r.twin.wallet {
		if got := r.money(o, pay.Wallet); got != amount {
			r.t.Fatalf("%v has %d, the twin says %d", o, got, amount)
		}
	}
	r.audit()
}

func TestAnySequenceKeepsTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRun(t, func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) })
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			r.step()
		}
	})
}
