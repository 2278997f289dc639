package pay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// TestACodePaysOnce: one code at many tills in the same instant pays one trade, and takes no round trip but that of the payment.
func TestACodePaysOnce(t *testing.T) {
	w := newWorld(t)
	payer := w.customers[0]
	code := pay.PaymentCode(payer, w.secret[:], w.now)
	if len(code) != 18 || code[:2] != "28" {
		t.Fatalf("code %q", code)
	}
	w.books.Reads()
	w.must(only(w.cashier.PayByCode(w.ctx, w.offer(0, "first", 10, 0), code, w.tick())))
	if n := w.books.Reads(); n != 0 {
		t.Errorf("a payment by code took %d reads besides glances", n)
	}
	w.now += 90e9
	code = pay.PaymentCode(payer, w.secret[:], w.now)
	var wg sync.WaitGroup
	codes := make([]pay.Code, 8)
	for i := range codes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			codes[i] = refusal(only(w.cashier.PayByCode(w.ctx, w.offer(i%2, fmt.Sprintf("T%d", i), 10, 0), code, w.now)))
		}()
	}
	wg.Wait()
	won := 0
	for i, c := range codes {
		switch c {
		case "":
			won++
		case pay.CodeUsed:
		default:
			t.Errorf("till %d was told %q", i, c)
		}
	}
	if won != 1 || w.balance(payer).Available != startMoney-20 {
		t.Errorf("%d tills were paid; the payer has %d", won, w.balance(payer).Available)
	}
	again, err := w.cashier.PayByCode(w.ctx, w.offer(0, "first", 10, 0), code, w.tick())
	if w.must(err); again.Status != pay.StatusSuccess {
		t.Errorf("asked again: %+v", again)
	}
	old := pay.PaymentCode(payer, w.secret[:], w.now-121e9)
	w.refused(pay.CodeWrong, only(w.cashier.PayByCode(w.ctx, w.offer(0, "old", 10, 0), old, w.now)))
	w.must(w.cashier.RemoveDevice(w.ctx, payer, 1, w.tick()))
	w.now += 60e9
	code = pay.PaymentCode(payer, w.secret[:], w.now)
	w.refused(pay.CodeWrong, only(w.cashier.PayByCode(w.ctx, w.offer(0, "removed", 10, 0), code, w.now)))
	w.now += holdfast.Time(48 * time.Hour)
	if n, err := w.cashier.ForgetCodes(w.ctx, payer, 100, w.tick()); n != 2 || err != nil {
		t.Errorf("forgot %d codes, %v", n, err)
	}
	w.audit()
}

// TestTwoCustomersPayOneTrade: one pays; the money of the other is back by itself, and both sides are told.
func TestTwoCustomersPayOneTrade(t *testing.T) {
	w := newWorld(t)
	ask := w.waiting("P")
	second := pay.PayAsk{Merchant: ask.Merchant, OutTradeNo: "P", Payer: w.customers[1]}
	inside := false
	w.books.Meanwhile = func(*holdfast.Txn) {
		if !inside {
			inside = true
			w.must(only(w.cashier.Pay(w.ctx, second, w.tick())))
		}
	}
	w.refused(pay.TradePaid, only(w.cashier.Pay(w.ctx, ask, w.tick())))
	if a, b := w.balance(w.customers[0]), w.balance(w.customers[1]); a.Available != startMoney || b.Available != startMoney-1000 {
		t.Errorf("they have %d and %d", a.Available, b.Available)
	}
	usage, err := w.cashier.WalletUsage(w.ctx, w.customers[0], cny)
	if w.must(err); usage.SpentDay != 0 {
		t.Errorf("%d counts against the limit of who did not pay", usage.SpentDay)
	}
	events, err := w.cashier.Events(w.ctx, ask.Merchant, "", 10)
	if w.must(err); len(events) != 2 || events[0].Kind != pay.EventNotPaid || events[0].Other != w.customers[0] {
		t.Errorf("the merchant was told %+v", events)
	}
	lines, _, err := w.cashier.Statement(w.ctx, w.customers[0], "", 10)
	if w.must(err); len(lines) != 2 || lines[0].Kind != pay.ReceiptNotPaid {
		t.Errorf("the customer was told %+v", lines)
	}
	w.audit()
}

// TestPaidWhileItIsClosed: a payment is stuck between two shards, its outcome unknown, when the merchant cancels. The money goes back.
func TestPaidWhileItIsClosed(t *testing.T) {
	w := newWorld(t)
	ask := w.waiting("P")
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck }
	err := only(w.cashier.Pay(w.ctx, ask, w.tick()))
	var pending *pay.Pending
	if !errors.As(err, &pending) || pending.ID.IsZero() {
		t.Fatalf("told %v", err)
	}
	w.books.Fault = nil
	if err := only(w.cashier.Pay(w.ctx, ask, w.tick())); !errors.As(err, &pending) {
		t.Fatalf("asked again while it is under way: %v", err)
	}
	var unavailable *pay.Unavailable
	if err := w.transferTo(w.customers[1], 5); !errors.As(err, &unavailable) {
		t.Fatalf("another payment meanwhile: %v", err)
	}
	lines, _, err := w.cashier.Statement(w.ctx, ask.Payer, "", 1)
	if w.must(err); !lines[0].Undecided {
		t.Errorf("the statement says %+v", lines[0])
	}
	_, did, err := w.cashier.Cancel(w.ctx, ask.Merchant, "P", w.tick())
	if w.must(err); did != pay.CancelledClosed {
		t.Errorf("the cancel did %d", did)
	}
	w.books.Deliver()
	if got := w.balance(ask.Payer).Available; got != startMoney {
		t.Errorf("the payer has %d", got)
	}
	w.refused(pay.TradeClosed, only(w.cashier.Pay(w.ctx, ask, w.tick())))
	_, did, err = w.cashier.Cancel(w.ctx, ask.Merchant, "unknown", w.tick())
	if w.must(err); did != pay.CancelledNothing {
		t.Errorf("the cancel of nothing did %d", did)
	}
	w.refused(pay.TradeClosed, only(w.cashier.PayNew(w.ctx, w.offer(0, "unknown", 5, 0), ask.Payer, w.tick())))
	w.audit()
}

// TestARefusedRefund: the buyer's wallet is frozen, so the other shard refuses; the merchant's documents are as before.
func TestARefusedRefund(t *testing.T) {
	w := newWorld(t)
	w.plain("P", pay.Plain)
	wallet := holdfast.AccountID{Owner: w.customers[0], Purpose: pay.Wallet, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, wallet)
	ask := pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1000}
	w.refused(pay.PayeeBlocked, two(w.cashier.Refund(w.ctx, ask, w.tick())))
	v, _, found, err := w.cashier.QueryRefund(w.ctx, ask.Merchant, "P", "R", w.now)
	if w.must(err); found || v.Status != pay.StatusSuccess || v.Refunded != 0 {
		t.Errorf("%v %+v", found, v)
	}
	w.books.Change(holdfast.ThawAccount, wallet)
	w.must(two(w.cashier.Refund(w.ctx, ask, w.tick())))
	w.audit()
}

func TestEscrow(t *testing.T) {
	w := newWorld(t)
	w.plain("E", pay.Protected)
	merchant, buyer := w.escrowAsk(w.merchants[0]), w.escrowAsk(w.customers[0])
	v, err := w.cashier.Release(w.ctx, merchant, 400, w.tick())
	if w.must(err); v.FeeTaken != 3 || v.Kept != 600 { // 2.4 and 1
		t.Fatalf("%+v", v)
	}
	w.must(only(w.cashier.Release(w.ctx, merchant, 400, w.tick()))) // again
	w.must(two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "E", Number: "R", Amount: 100}, w.tick())))
	v, err = w.cashier.Ship(w.ctx, merchant, 72*time.Hour, w.tick())
	if w.must(err); v.Protection != pay.Shipped {
		t.Fatalf("%+v", v)
	}
	w.refused(pay.BuyerDiffers, only(w.cashier.Confirm(w.ctx, merchant, w.tick())))
	w.now += holdfast.Time(73 * time.Hour)
	due, err := w.cashier.ListDue(w.ctx, v.Deadline, "", 10)
	if w.must(err); len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	w.must(w.cashier.RunDue(w.ctx, due[0], w.now))
	w.must(w.cashier.RunDue(w.ctx, due[0], w.now)) // again
	v, err = w.cashier.Query(w.ctx, w.merchants[0], "E", w.now)
	if w.must(err); v.Protection != pay.Ended || v.Released != 900 || v.FeeTaken != 6 || v.Refunded != 100 {
		t.Fatalf("%+v", v)
	}
	w.audit()
	w.plain("E2", pay.Protected)
	buyer.OutTradeNo = "E2"
	w.must(only(w.cashier.Dispute(w.ctx, buyer, w.tick())))
	w.refused(pay.EscrowDisputed, two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "E2", Number: "R", Amount: 1}, w.tick())))
	v, err = w.cashier.Decide(w.ctx, buyer, 250, w.tick())
	if w.must(err); v.Refunded != 750 || v.Released != 250 || v.Kept != 0 {
		t.Fatalf("%+v", v)
	}
	w.audit()
}

// TestASplitGoesOn: the second share fails at first; asked again, it is paid, and the first is not paid twice.
func TestASplitGoesOn(t *testing.T) {
	w := newWorld(t)
	w.plain("S", pay.Split)
	if got := w.money(w.merchants[0], pay.Royalty); got != 993 {
		t.Fatalf("%d is kept", got)
	}
	n := 0
	w.books.Fault = func(*holdfast.Txn) paytest.Fault {
		if n++; n == 3 {
			return paytest.Overloaded
		}
		return paytest.NoFault
	}
	var unavailable *pay.Unavailable
	if err := w.split("1", 100, false, w.customers[1], w.merchants[1]); !errors.As(err, &unavailable) {
		t.Fatalf("told %v", err)
	}
	w.books.Fault = nil
	w.must(w.split("1", 100, false, w.customers[1], w.merchants[1]))
	w.must(w.split("1", 100, false, w.customers[1], w.merchants[1]))
	w.refused(pay.RequestDiffers, w.split("1", 101, false, w.customers[1], w.merchants[1]))
	if a, b := w.balance(w.customers[1]).Available, w.money(w.merchants[1], pay.Settlement); a != startMoney+100 || b != 100 {
		t.Errorf("they have %d and %d", a, b)
	}
	w.audit()
	w.must(w.split("2", 0, true))
	if got := w.money(w.merchants[0], pay.Settlement); got != 793 {
		t.Errorf("the merchant has %d", got)
	}
	w.audit()
}

// told counts the events of a kind that a merchant has.
func (w *world) told(n int, kind pay.EventKind) (count int) {
	w.t.Helper()
	list, err := w.cashier.Events(w.ctx, w.merchants[n], "", 100)
	w.must(err)
	for i := range list {
		if list[i].Kind == kind {
			count++
		}
	}
	return count
}

// lastLine is the latest line of a customer's statement.
func (w *world) lastLine(o holdfast.Owner) pay.Receipt {
	w.t.Helper()
	list, _, err := w.cashier.Statement(w.ctx, o, "", 1)
	if w.must(err); len(list) != 1 {
		w.t.Fatalf("%v has no statement", o)
	}
	return list[0]
}

// runDue does what is due by some time, as long as something is, and returns what it was refused with last.
func (w *world) runDue(until holdfast.Time) (last error) {
	w.t.Helper()
	for ; w.now < until; w.now += 60e9 {
		list, err := w.cashier.ListDue(w.ctx, w.now, "", 10)
		w.must(err)
		for _, d := range list {
			if err := w.cashier.RunDue(w.ctx, d, w.tick()); err != nil {
				last = err
			}
		}
	}
	return last
}

// hours passes the time, and says how long it is over.
func (w *world) hours(n int) holdfast.Time { return w.now + holdfast.Time(n)*3600e9 }

// TestABadReceiverStopsNobody: a receiver whose wallet is closed never has his share, a blocked one has it when he can take it, or not in the end; the
// others have theirs at once. Whose trade it is has back what nobody could take, and both are told once.
func TestABadReceiverStopsNobody(t *testing.T) {
	for _, mode := range []pay.Mode{pay.Split, pay.Plain} {
		w := newWorld(t)
		w.plain("S", mode)
		wallet := func(n int) holdfast.AccountID {
			return holdfast.AccountID{Owner: w.customers[n], Purpose: pay.Wallet, Asset: cny}
		}
		earned, kept := w.money(w.merchants[0], pay.Settlement), w.money(w.merchants[0], pay.Royalty)
		w.must(w.transferTo(w.customers[1], w.balance(w.customers[0]).Available))
		w.books.Change(holdfast.CloseAccount, wallet(0))
		w.books.Change(holdfast.FreezeAccount, wallet(2))
		settlement := holdfast.AccountID{Owner: w.merchants[1], Purpose: pay.Settlement, Asset: cny}
		w.books.Change(holdfast.FreezeAccount, settlement)
		ask := pay.SplitAsk{Merchant: w.merchants[0], OutTradeNo: "S", Number: "1", Shares: []pay.Share{
			{To: w.customers[0], Amount: 1}, {To: w.customers[2], Amount: 20}, {To: w.customers[1], Amount: 300}, {To: w.merchants[1], Amount: 25}, {To: w.merchants[1], Amount: 25},
		}}
		is := func(want string) {
			t.Helper()
			got, found, err := w.cashier.QuerySplit(w.ctx, w.merchants[0], "1")
			w.must(err)
			text := ""
			for _, s := range got.Shares {
				text += map[[2]bool]string{{true, false}: "p", {false, true}: "b"}[[2]bool{s.Paid, s.Back}] + " "
			}
			if text != want || !found {
				t.Fatalf("mode %d: the shares are %q, want %q", mode, text, want)
			}
			w.audit()
		}
		for range 2 {
			v, done, err := w.cashier.Split(w.ctx, ask, w.tick())
			w.must(err)
			if v.ShareBack != 1 || !done.Shares[0].Back || !done.Shares[2].Paid || done.Shares[1].Paid {
				t.Fatalf("%+v %+v", v, done)
			}
			is("b  p   ")
		}
		if a, b := w.told(0, pay.EventSplit), w.told(0, pay.EventShareBack); a != 1 || b != 1 {
			t.Errorf("the merchant was told %d times, and %d times of what came back", a, b)
		}
		if l := w.lastLine(w.customers[0]); l.Kind != pay.ReceiptShareMissed || l.Amount != 1 || l.Other != w.merchants[0] {
			t.Errorf("the customer with the closed wallet is told %+v", l)
		}
		w.refused(pay.SellerBlocked, w.runDue(w.hours(1))) // the last of them
		is("b  p   ")
		w.books.Change(holdfast.ThawAccount, wallet(2))
		w.refused(pay.SellerBlocked, w.runDue(w.hours(24)))
		is("b p p   ")
		if got := w.balance(w.customers[2]).Available; got != startMoney+20 {
			t.Errorf("the receiver has %d", got)
		}
		_ = w.runDue(w.hours(7 * 24))
		is("b p p b b ")
		w.must(w.runDue(w.hours(48))) // nothing is due any more
		if a, b := w.told(1, pay.EventShareMissed), w.told(0, pay.EventShareBack); a != 2 || b != 3 {
			t.Errorf("the receiver was told %d times, and the merchant %d times", a, b)
		}
		w.must(two(w.cashier.Split(w.ctx, ask, w.tick())))
		w.books.Change(holdfast.ThawAccount, settlement)
		if mode == pay.Split {
			kept -= 320
		} else {
			earned -= 320
		}
		if a, b := w.money(w.merchants[0], pay.Settlement), w.money(w.merchants[0], pay.Royalty); a != earned || b != kept {
			t.Errorf("mode %d: the merchant has %d and %d, want %d and %d", mode, a, b, earned, kept)
		}
		w.must(w.split("2", 673, false, w.customers[1])) // what came back can be split again
		w.audit()
	}
}

// TestAShareOfAFinishedSplitComesBackToTheMerchant: of a trade whose split is finished nothing is kept any more.
func TestAShareOfAFinishedSplitComesBackToTheMerchant(t *testing.T) {
	w := newWorld(t)
	w.plain("S", pay.Split)
	wallet := holdfast.AccountID{Owner: w.customers[1], Purpose: pay.Wallet, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, wallet)
	w.must(w.split("1", 100, true, w.customers[1]))
	w.refused(pay.PayeeBlocked, w.runDue(w.hours(8*24)))
	if a, b := w.money(w.merchants[0], pay.Settlement), w.money(w.merchants[0], pay.Royalty); a != 993 || b != 0 {
		t.Errorf("the merchant has %d and %d", a, b)
	}
	w.audit()
}

// TestASplitIsFinishedByItself: whoever has asked for it is gone when the second share fails, and nobody asks again.
func TestASplitIsFinishedByItself(t *testing.T) {
	w := newWorld(t)
	w.plain("S", pay.Split)
	n := 0
	w.books.Fault = func(*holdfast.Txn) paytest.Fault {
		if n++; n == 3 {
			return paytest.Gone
		}
		return paytest.NoFault
	}
	if err := w.split("1", 100, false, w.customers[1], w.merchants[1]); err == nil {
		t.Fatal("done")
	}
	w.books.Fault = nil
	w.must(w.runDue(w.hours(1)))
	w.must(w.split("2", 100, false, w.merchants[1], w.merchants[1])) // two equal shares are two
	if a, b := w.balance(w.customers[1]).Available, w.money(w.merchants[1], pay.Settlement); a != startMoney+100 || b != 300 {
		t.Errorf("they have %d and %d", a, b)
	}
	w.audit()
}

// TestWhatNobodyShipsGoesBack: the buyer has his money when the time to ship is over, of which a part may have been released before; both are told.
func TestWhatNobodyShipsGoesBack(t *testing.T) {
	w := newWorld(t)
	for _, released := range []holdfast.Amount{0, 400} {
		number := fmt.Sprint("E", released)
		w.plain(number, pay.Protected)
		ask := pay.EscrowAsk{Merchant: w.merchants[0], OutTradeNo: number}
		if released > 0 {
			w.must(only(w.cashier.Release(w.ctx, ask, released, w.tick())))
		}
		v, err := w.cashier.Query(w.ctx, ask.Merchant, number, w.now)
		if w.must(err); v.Deadline != v.Paid+holdfast.Time(15*24*time.Hour) {
			t.Fatalf("to ship until %v", v.Deadline)
		}
		before, told := w.balance(w.customers[0]).Available, w.told(0, pay.EventRefunded)
		w.must(w.runDue(v.Deadline - 60e9))
		if got := w.balance(w.customers[0]).Available; got != before {
			t.Fatalf("%d came back too early", got-before)
		}
		wallet := holdfast.AccountID{Owner: w.customers[0], Purpose: pay.Wallet, Asset: cny}
		w.books.Change(holdfast.FreezeAccount, wallet)
		w.refused(pay.PayeeBlocked, w.runDue(w.hours(1)))
		w.now = w.hours(40 * 24) // nobody looks back so far
		w.refused(pay.PayeeBlocked, w.cashier.RunDue(w.ctx, dueOf(ask.Merchant, "trade/"+number), w.tick()))
		w.books.Change(holdfast.ThawAccount, wallet)
		w.must(w.runDue(w.hours(25)))
		w.must(only(w.cashier.Query(w.ctx, ask.Merchant, number, w.now)))
		late := map[holdfast.Amount]pay.Code{0: pay.TradeClosed, 400: pay.EscrowStatus}[released]
		w.refused(late, only(w.cashier.Ship(w.ctx, pay.EscrowAsk{Merchant: ask.Merchant, OutTradeNo: number, By: ask.Merchant}, 72*time.Hour, w.tick())))
		v, err = w.cashier.Query(w.ctx, ask.Merchant, number, w.now)
		if w.must(err); v.Protection != pay.Ended || v.Kept != 0 || v.Refunded != 1000-released || w.balance(w.customers[0]).Available != before+1000-released {
			t.Errorf("%+v", v)
		}
		if l := w.lastLine(w.customers[0]); l.Kind != pay.ReceiptRefunded || l.Amount != 1000-released || w.told(0, pay.EventRefunded) != told+1 {
			t.Errorf("the buyer is told %+v", l)
		}
		if r, found, err := w.cashier.QueryCancel(w.ctx, ask.Merchant, number); err != nil || !found || r.Amount != 1000-released {
			t.Errorf("the refund is %+v %v %v", r, found, err)
		}
		w.audit()
	}
	// A trade that is shipped in time is not touched, nor is one that is disputed.
	w.plain("S", pay.Protected)
	w.plain("D", pay.Protected)
	w.must(only(w.cashier.Ship(w.ctx, pay.EscrowAsk{Merchant: w.merchants[0], OutTradeNo: "S", By: w.merchants[0]}, 90*24*time.Hour, w.tick())))
	w.must(only(w.cashier.Dispute(w.ctx, pay.EscrowAsk{Merchant: w.merchants[0], OutTradeNo: "D", By: w.customers[0]}, w.tick())))
	w.must(w.runDue(w.hours(16 * 24)))
	for _, number := range []string{"S", "D"} {
		w.must(w.cashier.RunDue(w.ctx, dueOf(w.merchants[0], "trade/"+number), w.tick()))
		if v, err := w.cashier.Query(w.ctx, w.merchants[0], number, w.now); err != nil || v.Kept != 1000 {
			t.Errorf("%+v %v", v, err)
		}
	}
}

// dueOf is what is due by a record.
func dueOf(o holdfast.Owner, rest string) pay.Due {
	d, _ := pay.DueOf(&holdfast.Record{Key: holdfast.OwnedKey(o, rest)})
	return d
}

// TestAFreezeEndsByItself: what the merchant has not taken after its time is the customer's again, and both are told.
func TestAFreezeEndsByItself(t *testing.T) {
	w := newWorld(t)
	w.auth("F", 500)
	w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T1", 200, 0), "F", false, w.tick())))
	v, err := w.cashier.QueryAuth(w.ctx, w.merchants[0], "F", w.now)
	if w.must(err); v.Ends <= w.now+holdfast.Time(29*24*time.Hour) || v.Ends > w.now+holdfast.Time(30*24*time.Hour) {
		t.Fatalf("it ends at %v", v.Ends)
	}
	w.must(w.runDue(v.Ends - 60e9))
	if b := w.balance(w.customers[0]); b.Frozen != 300 {
		t.Fatalf("%+v", b)
	}
	told := w.told(0, pay.EventUnfrozen)
	wallet := holdfast.AccountID{Owner: w.customers[0], Purpose: pay.Wallet, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, wallet)
	w.refused(pay.PayeeBlocked, w.runDue(w.hours(1)))
	w.books.Change(holdfast.ThawAccount, wallet)
	for range 2 {
		w.must(w.cashier.RunDue(w.ctx, dueOf(w.customers[0], "freeze/"+v.AuthNo), w.tick()))
	}
	v, err = w.cashier.QueryAuth(w.ctx, w.merchants[0], "F", w.now)
	if b := w.balance(w.customers[0]); err != nil || b.Frozen != 0 || b.Available != startMoney-200 || v.Status != pay.AuthFinish || w.told(0, pay.EventUnfrozen) != told+1 {
		t.Errorf("%+v %+v %v", b, v, err)
	}
	if l := w.lastLine(w.customers[0]); l.Kind != pay.ReceiptUnfrozen || l.Amount != 300 {
		t.Errorf("the customer is told %+v", l)
	}
	w.refused(pay.AuthTooMuch, only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T2", 1, 0), "F", false, w.tick())))
	w.audit()
}

// TestWhoFreezesNothingHoldsNoPlace: a customer without the money leaves the authorisation to others and to himself, of whom one freezes, and never two.
func TestWhoFreezesNothingHoldsNoPlace(t *testing.T) {
	w := newWorld(t)
	w.must(w.transferTo(w.customers[1], startMoney))
	ask := pay.AuthAsk{Merchant: w.merchants[0], OutOrderNo: "F", Request: "1", Asset: cny, Amount: startMoney + 1}
	authorize := func(n int) error {
		return only(w.cashier.Authorize(w.ctx, ask.Merchant, ask.OutOrderNo, w.customers[n], "", w.tick()))
	}
	give := func(from, to int, number string, amount holdfast.Amount) {
		t.Helper()
		w.must(only(w.cashier.Transfer(w.ctx, pay.TransferAsk{From: w.customers[from], To: w.customers[to], Number: number, Asset: cny, Amount: amount}, w.tick())))
	}
	w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
	for _, n := range []int{0, 0, 2, 0, 2} {
		w.refused(pay.BalanceNotEnough, authorize(n))
	}
	v, err := w.cashier.QueryAuth(w.ctx, ask.Merchant, "F", w.now)
	if w.must(err); v.Status != pay.AuthInit || v.Rest+v.Paid != 0 {
		t.Errorf("%+v", v)
	}
	// The first has got money, and comes again while another takes the place: behind the naming, the first is too late.
	give(1, 0, "A", startMoney+1)
	inside := false
	w.books.Meanwhile = func(x *holdfast.Txn) {
		if frozen := slices.ContainsFunc(x.Records, func(r holdfast.RecordChange) bool { return strings.Contains(r.Key, "/frozen/") }); frozen && !inside {
			inside = true
			w.refused(pay.BalanceNotEnough, authorize(2))
		}
	}
	w.refused(pay.AuthPayerDiffers, authorize(0))
	w.books.Meanwhile = nil
	for range 2 {
		w.must(authorize(0)) // and takes it back
	}
	give(1, 2, "B", 100)
	w.refused(pay.AuthPayerDiffers, authorize(2))
	v, err = w.cashier.QueryAuth(w.ctx, ask.Merchant, "F", w.now)
	if w.must(err); v.Payer != w.customers[0] || v.Rest != startMoney+1 || w.balance(w.customers[2]).Frozen != 0 {
		t.Errorf("%+v", v)
	}
	w.audit()
	ask.OutOrderNo = "G"
	w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
	w.refused(pay.BalanceNotEnough, authorize(1))
	w.now = w.hours(1)
	w.refused(pay.AuthStateWrong, authorize(1))
	w.refused(pay.AuthStateWrong, authorize(2))
}

// TestWhatIsDueSaysWhyItStays: a refusal that does not come of somebody else's being faster is told.
func TestWhatIsDueSaysWhyItStays(t *testing.T) {
	w := newWorld(t)
	w.plain("E", pay.Protected)
	v, err := w.cashier.Ship(w.ctx, w.escrowAsk(w.merchants[0]), 72*time.Hour, w.tick())
	w.must(err)
	w.now = v.Deadline
	due := dueOf(w.merchants[0], "trade/E")
	settlement := holdfast.AccountID{Owner: w.merchants[0], Purpose: pay.Settlement, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, settlement)
	w.refused(pay.SellerBlocked, w.cashier.RunDue(w.ctx, due, w.tick()))
	w.books.Change(holdfast.ThawAccount, settlement)
	w.books.Meanwhile = func(*holdfast.Txn) {
		w.books.Meanwhile = nil
		w.must(only(w.cashier.Dispute(w.ctx, w.escrowAsk(w.customers[0]), w.now)))
	}
	w.must(w.cashier.RunDue(w.ctx, due, w.tick())) // the buyer was faster
}

// TestTheLeastProtection: a merchant cannot leave the buyer less time than the platform wants, and is told how much that is.
func TestTheLeastProtection(t *testing.T) {
	w := newWorld(t)
	w.plain("E", pay.Protected)
	ship := func(within time.Duration) error {
		return only(w.cashier.Ship(w.ctx, w.escrowAsk(w.merchants[0]), within, w.tick()))
	}
	for _, within := range []time.Duration{0, time.Hour, 72*time.Hour - 1, 90*24*time.Hour + 1} {
		err := ship(within)
		if w.refused(pay.FieldInvalid, err); !strings.Contains(err.Error(), "between 3 days and 90 days") {
			t.Errorf("%v: %v", within, err)
		}
	}
	w.must(ship(72 * time.Hour))
	for _, bad := range []func(*pay.Config){
		func(c *pay.Config) { c.LeastProtection = time.Minute }, func(c *pay.Config) { c.ShipWithin = time.Minute },
		func(c *pay.Config) { c.FreezeFor = 366 * 24 * time.Hour }, func(c *pay.Config) { c.LeastProtection = 91 * 24 * time.Hour },
	} {
		c := w.cashier.Config
		if bad(&c); only(pay.New(c)) == nil {
			t.Errorf("taken: %v %v %v", c.ShipWithin, c.FreezeFor, c.LeastProtection)
		}
	}
}

// TestAStrangerIsToldNothingOfAnEscrow: a step that was done before is answered to those who may do it.
func TestAStrangerIsToldNothingOfAnEscrow(t *testing.T) {
	w := newWorld(t)
	w.plain("E", pay.Protected)
	stranger, buyer := w.escrowAsk(w.customers[1]), w.escrowAsk(w.customers[0])
	ask := func(how func(context.Context, pay.EscrowAsk, holdfast.Time) (pay.Trade, error)) {
		t.Helper()
		w.refused(pay.BuyerDiffers, only(how(w.ctx, stranger, w.tick())))
		w.must(only(how(w.ctx, buyer, w.tick())))
		v, err := how(w.ctx, stranger, w.tick())
		w.refused(pay.BuyerDiffers, err)
		if v != (pay.Trade{}) {
			t.Errorf("a stranger gets %+v", v)
		}
		w.must(only(how(w.ctx, buyer, w.tick()))) // again
	}
	ask(w.cashier.Dispute)
	w.plain("E2", pay.Protected)
	stranger.OutTradeNo, buyer.OutTradeNo = "E2", "E2"
	ask(w.cashier.Confirm)
}

// TestOthersTakeFromAnAuthorisationThatIsCompleted: between the payment and the release of the rest another payment takes a part of it. The trade is
// paid, and says so; what is left then is released.
func TestOthersTakeFromAnAuthorisationThatIsCompleted(t *testing.T) {
	w := newWorld(t)
	w.auth("F", 500)
	busy := false
	w.books.Meanwhile = func(x *holdfast.Txn) {
		release := slices.ContainsFunc(x.Records, func(r holdfast.RecordChange) bool { return strings.Contains(r.Key, "~complete-T1") })
		if !release || busy {
			return
		}
		busy = true
		w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T2", 200, 0), "F", false, w.now)))
	}
	v, err := w.cashier.PayFrozen(w.ctx, w.offer(0, "T1", 100, 0), "F", true, w.tick())
	if w.must(err); v.Status != pay.StatusSuccess || !busy {
		t.Fatalf("%+v, busy %v", v, busy)
	}
	w.books.Meanwhile = nil
	a, err := w.cashier.QueryAuth(w.ctx, w.merchants[0], "F", w.now)
	if w.must(err); a.Rest != 0 || a.Paid != 300 || w.balance(w.customers[0]).Available != startMoney-300 {
		t.Errorf("%+v", a)
	}
	w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T1", 100, 0), "F", true, w.tick()))) // again
	w.audit()
	// A wallet that takes nothing keeps the rest where it is, and does not unpay the trade.
	w.auth("G", 500)
	wallet := holdfast.AccountID{Owner: w.customers[0], Purpose: pay.Wallet, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, wallet)
	v, err = w.cashier.PayFrozen(w.ctx, w.offer(0, "T3", 100, 0), "G", true, w.tick())
	if w.must(err); v.Status != pay.StatusSuccess {
		t.Errorf("%+v", v)
	}
	w.books.Change(holdfast.ThawAccount, wallet)
	w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T3", 100, 0), "G", true, w.tick())))
	if b := w.balance(w.customers[0]); b.Frozen != 0 {
		t.Errorf("%+v", b)
	}
	w.audit()
}

func TestAnAuthorisation(t *testing.T) {
	w := newWorld(t)
	ask := pay.AuthAsk{Merchant: w.merchants[0], OutOrderNo: "F", Request: "1", Title: "room", Asset: cny, Amount: 500, Notify: "https://shop.example/cb"}
	w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
	code := pay.PaymentCode(w.customers[0], w.secret[:], w.now)
	v, err := w.cashier.Authorize(w.ctx, ask.Merchant, "F", 0, code, w.tick())
	if w.must(err); v.Status != pay.AuthAuthorized || v.Rest != 500 {
		t.Fatalf("%+v", v)
	}
	w.must(only(w.cashier.Authorize(w.ctx, ask.Merchant, "F", 0, code, w.tick()))) // again
	if b := w.balance(w.customers[0]); b.Available != startMoney-500 || b.Frozen != 500 {
		t.Errorf("%+v", b)
	}
	w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T1", 200, 0), "F", false, w.tick())))
	w.must(only(w.cashier.Unfreeze(w.ctx, ask.Merchant, "F", "2", 50, "less", w.tick())))
	w.must(only(w.cashier.Unfreeze(w.ctx, ask.Merchant, "F", "2", 50, "less", w.tick())))
	w.refused(pay.RequestDiffers, only(w.cashier.Unfreeze(w.ctx, ask.Merchant, "F", "2", 51, "", w.tick())))
	w.must(only(w.cashier.PayFrozen(w.ctx, w.offer(0, "T2", 100, 0), "F", true, w.tick())))
	v, err = w.cashier.QueryAuth(w.ctx, ask.Merchant, "F", w.now)
	if w.must(err); v.Status != pay.AuthFinish || v.Paid != 300 || v.Rest != 0 {
		t.Errorf("%+v", v)
	}
	_, op, found, err := w.cashier.QueryAuthOperation(w.ctx, ask.Merchant, "F", "2", w.now)
	if w.must(err); !found || !op.Unfreeze || op.Amount != 50 {
		t.Errorf("%+v", op)
	}
	_, _, err = w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: ask.Merchant, OutTradeNo: "T1", Number: "R", Amount: 200}, w.tick())
	w.must(err)
	if got := w.balance(w.customers[0]).Available; got != startMoney-100 {
		t.Errorf("the payer has %d", got)
	}
	if m, out, err := w.cashier.FindAuth(w.ctx, v.AuthNo); m != ask.Merchant || out != "F" || err != nil {
		t.Errorf("found %v %q %v", m, out, err)
	}
	w.audit()
}

// TestAFreezeIsTold: the process dies between the freeze and telling the merchant; what is due makes up for it.
func TestAFreezeIsTold(t *testing.T) {
	w := newWorld(t)
	ask := pay.AuthAsk{Merchant: w.merchants[0], OutOrderNo: "F", Request: "1", Asset: cny, Amount: 500}
	w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
	n := 0
	w.books.Fault = func(*holdfast.Txn) paytest.Fault {
		if n++; n > 2 {
			return paytest.Gone
		}
		return paytest.NoFault
	}
	if err := only(w.cashier.Authorize(w.ctx, ask.Merchant, "F", w.customers[0], "", w.tick())); !errors.Is(err, paytest.ErrGone) {
		t.Fatalf("told %v", err)
	}
	w.books.Fault = nil
	due, err := w.cashier.ListDue(w.ctx, w.now, "", 10)
	if w.must(err); len(due) != 1 {
		t.Fatalf("due: %v", due)
	}
	w.must(w.cashier.RunDue(w.ctx, due[0], w.tick()))
	w.must(w.cashier.RunDue(w.ctx, due[0], w.tick()))
	events, err := w.cashier.Events(w.ctx, ask.Merchant, "", 10)
	if w.must(err); len(events) != 1 || events[0].Kind != pay.EventFrozen || events[0].Amount != 500 {
		t.Errorf("events: %+v", events)
	}
	if due, err = w.cashier.ListDue(w.ctx, w.now, "", 10); len(due) != 0 || err != nil {
		t.Errorf("still due: %v %v", due, err)
	}
}

func TestBankOrders(t *testing.T) {
	w := newWorld(t)
	o := w.customers[0]
	ask := pay.TopUpAsk{Owner: o, Number: "W", Asset: cny, Amount: 300}
	w.must(only(w.cashier.Withdraw(w.ctx, ask, w.tick())))
	w.must(only(w.cashier.Withdraw(w.ctx, ask, w.tick())))
	if b := w.balance(o); b.Available != startMoney-300 || b.Outgoing != 300 {
		t.Fatalf("%+v", b)
	}
	list, _, err := w.cashier.OpenOrders(w.ctx, "", 10)
	if w.must(err); len(list) != 0 {
		t.Fatalf("an order is to be sent, and nobody knows where to: %+v", list)
	}
	payee := pay.BankAccount{Number: "DE89370400440532013000", Name: "韩梅梅"}
	w.must(w.cashier.PutAccount(w.ctx, o, "", payee, w.tick()))
	list, _, err = w.cashier.OpenOrders(w.ctx, "", 10)
	if w.must(err); len(list) != 1 || list[0].BankOrder != (pay.BankOrder{Owner: o, Number: "W"}) || list[0].Payee != payee {
		t.Fatalf("%d %+v", len(list), list)
	}
	first := list[0].BankOrder
	w.must(only(w.cashier.Sent(w.ctx, first, w.tick())))
	w.must(only(w.cashier.PaidOut(w.ctx, first, "B1", w.tick())))
	w.must(only(w.cashier.PaidOut(w.ctx, first, "B1", w.tick())))
	w.refused(pay.OrderStateWrong, only(w.cashier.PayoutReturned(w.ctx, first, "no", w.tick())))
	w.refused(pay.OrderStateWrong, only(w.cashier.Recall(w.ctx, first, w.tick())))
	ask.Number = "W2"
	w.must(only(w.cashier.Withdraw(w.ctx, ask, w.tick())))
	second := pay.BankOrder{Owner: o, Number: "W2"}
	w.must(only(w.cashier.PayoutReturned(w.ctx, second, "no", w.tick())))
	w.must(only(w.cashier.PayoutReturned(w.ctx, second, "no", w.tick())))
	if b := w.balance(o); b.Available != startMoney-300 || b.Outgoing != 0 {
		t.Fatalf("%+v", b)
	}
	w.audit()
}

// TestSettlement: a day is paid out once, rows of a closed day are refused, and what a bank returns is paid with the next day.
func TestSettlement(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	for i := range 3 {
		w.plain(fmt.Sprintf("P%d", i), pay.Plain)
	}
	w.must(two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: m, OutTradeNo: "P0", Number: "R", Amount: 500}, w.tick())))
	today := w.now
	w.now = holdfast.TimeOf(time.Date(2026, 11, 27, 16, 6, 0, 0, time.UTC)) // 00:06 in the merchant's zone
	w.plain("next-day", pay.Plain)
	list, err := w.cashier.Settle(w.ctx, m, "2026-11-27", w.tick())
	w.must(err)
	want := pay.Settled{
		Day: "2026-11-27", Asset: cny, Payments: 3, Paid: 3000, Fees: 18, Refunds: 1, Refunded: 500, Net: 2482, Payout: 2482,
		Order: "2026-11-27-CNY", At: list[0].At,
	}
	if len(list) != 1 || list[0] != want {
		t.Fatalf("settled %+v\nwant %+v", list, want)
	}
	again, err := w.cashier.Settle(w.ctx, m, "2026-11-27", w.tick())
	if w.must(err); again[0] != want {
		t.Errorf("settled again: %+v", again)
	}
	var unavailable *pay.Unavailable
	if err := only(w.cashier.PayNew(w.ctx, w.offer(0, "late", 10, 0), w.customers[0], today)); !errors.As(err, &unavailable) {
		t.Errorf("a payment on a day that is closed: %v", err)
	}
	w.audit()
	b := pay.BankOrder{Owner: m, Payout: true, Number: want.Order}
	w.must(only(w.cashier.Sent(w.ctx, b, w.tick())))
	w.must(only(w.cashier.PayoutReturned(w.ctx, b, "account closed", w.tick())))
	w.audit()
	w.now += holdfast.Time(24 * time.Hour)
	list, err = w.cashier.Settle(w.ctx, m, "2026-11-28", w.tick())
	if w.must(err); list[0].Payout != 2482+993 || list[0].Other != 2482 {
		t.Errorf("the next day: %+v", list)
	}
	w.must(only(w.cashier.PaidOut(w.ctx, pay.BankOrder{Owner: m, Payout: true, Number: list[0].Order}, "B9", w.tick())))
	w.audit()
}

// TestEventsAreHinted: whoever delivers hears of each event once its transaction is done, and finds all of a minute by their index.
func TestEventsAreHinted(t *testing.T) {
	w := newWorld(t)
	var told []*pay.Event
	w.cashier.Told = func(e *pay.Event) { told = append(told, e) }
	w.plain("P", pay.Plain)
	list, err := w.books.LedByIndex(w.ctx, pay.EventIndex(w.now), "", 10)
	if w.must(err); len(list) != 1 || len(told) != 1 {
		t.Fatalf("%d events in the index, %d hints", len(list), len(told))
	}
	e, err := pay.ReadEvent(&list[0])
	if w.must(err); e != *told[0] || e.Kind != pay.EventPaid || e.Fee != 7 || e.Effect != 993 || e.Merchant != w.merchants[0] || len(e.Stamp()) != 33 {
		t.Errorf("%+v, hinted %+v", e, *told[0])
	}
}

// TestOneAliasTwoCustomers: many sites register one alias at once, and one customer gets it.
func TestOneAliasTwoCustomers(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	codes := make([]pay.Code, 6)
	for i := range codes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			o := owner(uint32(20 + i))
			codes[i] = refusal(only(w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Aliases: []string{"Ann@Example.com"}, Assets: []holdfast.Asset{cny}}, w.now)))
		}()
	}
	wg.Wait()
	winner, err := w.cashier.FindAlias(w.ctx, " ann@example.COM ")
	w.must(err)
	for i, c := range codes {
		want := pay.AliasTaken
		if owner(uint32(20+i)) == winner {
			want = ""
		}
		if c != want {
			t.Errorf("customer %d was told %q, want %q", i, c, want)
		}
	}
	ask := pay.TransferAsk{From: w.customers[0], Number: "X", Asset: cny, Amount: 70}
	w.books.Reads()
	w.must(only(w.cashier.TransferTo(w.ctx, ask, "ann@example.com", w.tick())))
	if n := w.books.Reads(); n != 4 {
		t.Errorf("a transfer by alias took %d reads", n)
	}
	w.must(only(w.cashier.TransferTo(w.ctx, ask, "ann@example.com", w.tick())))
	if got := w.balance(winner).Available; got != 70 {
		t.Errorf("the payee has %d", got)
	}
	w.must(w.cashier.RemoveAlias(w.ctx, winner, "ann@example.com", w.tick()))
	w.must(w.cashier.AddAlias(w.ctx, w.customers[1], "ann@example.com", w.tick()))
	w.audit()
}

// TestAQRCode: the customer opens what the shop shows and pays it; expired trades are closed by what is due.
func TestAQRCode(t *testing.T) {
	w := newWorld(t)
	made, token, err := w.cashier.Precreate(w.ctx, w.offer(0, "Q", 10, 0), [pay.TokenBytes]byte{1}, w.tick())
	if w.must(err); made.Opened {
		t.Error("opened before anybody has scanned it")
	}
	opened, err := w.cashier.Open(w.ctx, token, w.tick())
	if w.must(err); !opened.Opened || opened.OutTradeNo != "Q" {
		t.Errorf("%+v", opened)
	}
	w.must(only(w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: opened.Merchant, OutTradeNo: "Q", Payer: w.customers[1]}, w.tick())))
	if m, out, err := w.cashier.FindTrade(w.ctx, made.TradeNo); m != made.Merchant || out != "Q" || err != nil {
		t.Errorf("found %v %q %v", m, out, err)
	}
	made, err = w.cashier.Create(w.ctx, w.offer(0, "Z", 10, 0), w.tick())
	w.must(err)
	w.now = made.Until
	due, err := w.cashier.ListDue(w.ctx, w.now, "", 10)
	if w.must(err); len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	w.must(w.cashier.RunDue(w.ctx, due[0], w.now))
	v, err := w.cashier.Query(w.ctx, made.Merchant, "Z", w.now)
	if w.must(err); v.Status != pay.StatusClosed {
		t.Errorf("%+v", v)
	}
	w.refused(pay.TokenUnknown, only(w.cashier.Open(w.ctx, token, w.now)))
}

func TestMerchantsAppsAndShops(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	app, err := w.cashier.PutApp(w.ctx, m, 2, pay.App{PublicKey: "der", PlatformKey: "key-1", Permissions: []string{"alipay.trade.pay"}}, w.tick())
	w.must(err)
	back, err := w.cashier.App(w.ctx, app.ID)
	if w.must(err); len(app.ID) != 16 || back.Merchant != m || back.PublicKey != "der" || back.Permissions[0] != "alipay.trade.pay" {
		t.Errorf("%+v", back)
	}
	again, err := w.cashier.PutApp(w.ctx, m, 2, pay.App{PublicKey: "der 2", PlatformKey: "key-2"}, w.tick()) // asked for at two sites at once
	if w.must(err); again.PlatformKey != "key-1" || again.PublicKey != "der 2" {
		t.Errorf("an app loses the key that its merchant knows: %+v", again)
	}
	w.must(w.cashier.PutShop(w.ctx, m, pay.Shop{ID: "s1", Name: "one", Tills: []string{"t1"}}, w.tick()))
	w.must(only(w.cashier.Shop(w.ctx, m, "s1", "t1")))
	w.refused(pay.ShopUnknown, only(w.cashier.Shop(w.ctx, m, "s1", "t2")))
	w.must(w.cashier.SetFee(w.ctx, m, pay.FeePlan{}, w.tick()))
	v, err := w.cashier.PayNew(w.ctx, w.offer(0, "free", 1000, 0), w.customers[0], w.tick())
	if w.must(err); v.FeeTaken != 0 {
		t.Errorf("%+v", v)
	}
	if _, err := pay.New(pay.Config{}); err == nil {
		t.Error("an empty configuration was taken")
	}
	if _, err := w.cashier.Customer(context.Background(), m); refusal(err) != pay.CustomerUnknown {
		t.Errorf("a merchant is a customer: %v", err)
	}
	w.audit()
}

// TestALandThatMeetsAPendingRecord: a refund has written the trade and is not decided when another payment of the merchant lands; and a payment of a
// customer meets the traces of one that is under way, which the books answer with an error beside the outcome.
func TestALandThatMeetsAPendingRecord(t *testing.T) {
	w := newWorld(t)
	w.plain("P", pay.Plain)
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck }
	ask := pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 400}
	var pending *pay.Pending
	if err := two(w.cashier.Refund(w.ctx, ask, w.tick())); !errors.As(err, &pending) {
		t.Fatalf("told %v", err)
	}
	w.books.Fault = nil
	if _, _, _, err := w.cashier.QueryRefund(w.ctx, ask.Merchant, "P", "R", w.now); err == nil {
		t.Error("a refund that is not decided is told as one that is")
	}
	var unavailable *pay.Unavailable
	ask.Number = "R2"
	if err := two(w.cashier.Refund(w.ctx, ask, w.tick())); !errors.As(err, &unavailable) {
		t.Errorf("another refund meanwhile: %v", err)
	}
	if _, err := w.cashier.AuditMerchant(w.ctx, ask.Merchant, cny); !errors.As(err, &unavailable) {
		t.Errorf("an audit meanwhile: %v", err)
	}
	w.must(w.payNew(func(*pay.TradeAsk) {}))
	w.books.Deliver()
	ask.Number = "R"
	_, r, err := w.cashier.Refund(w.ctx, ask, w.tick())
	if w.must(err); !r.Again {
		t.Errorf("%+v", r)
	}
	w.audit()
}
