package pay_test

import (
	"strings"
	"testing"
	"time"

	"holdfast"

	"holdfast/pay"
)

// A payout that the bank sends back days later comes as a deposit that nobody expects: it can be given to the merchant, who is told and finds it
// in what is settled next.
func TestAPayoutThatComesBack(t *testing.T) {
	w := newWorld(t)
	v, err := w.cashier.Deposited(w.ctx, pay.Deposit{Via: "icbc", Ref: "B1", Asset: cny, Amount: 777, Text: "returned"}, w.tick())
	if err != nil || v.Status != pay.DepositUnassigned {
		t.Fatalf("%+v %v", v, err)
	}
	m := w.merchants[0]
	for range 2 { // asked again
		if v, err = w.cashier.AssignDeposit(w.ctx, v.ID, m, w.tick()); err != nil || v.Status != pay.DepositAssigned || v.Owner != m {
			t.Fatalf("%+v %v", v, err)
		}
	}
	if _, err := w.cashier.AssignDeposit(w.ctx, v.ID, w.merchants[1], w.tick()); refusal(err) != pay.OrderStateWrong {
		t.Errorf("another merchant got it as well: %v", err)
	}
	events, err := w.cashier.Events(w.ctx, m, "", 100)
	if err != nil || len(events) == 0 {
		t.Fatalf("%v %v", events, err)
	}
	if e := events[len(events)-1]; e.Kind != pay.EventPayoutReturned || e.Effect != 777 || e.Number != v.ID {
		t.Errorf("the merchant is told %+v", e)
	}
	w.audit()
}

// TestATopUpThatNeverComesEnds: money that was announced is waited for so long and no longer, and its owner is told; when it comes all the same, it is his.
func TestATopUpThatNeverComesEnds(t *testing.T) {
	w := newWorld(t)
	o := w.customers[0]
	state := func(n string, want pay.OrderStatus, why string) pay.Order {
		t.Helper()
		v, err := w.cashier.QueryTopUp(w.ctx, o, n)
		if w.must(err); v.Status != want || v.Bank != why {
			t.Fatalf("%s is %+v", n, v)
		}
		return v
	}
	announce := func(n string) {
		t.Helper()
		w.must(only(w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: n, Asset: cny, Amount: 500}, w.tick())))
	}
	brings := func(ref, n string, want pay.DepositStatus) {
		t.Helper()
		in := pay.Deposit{Via: "icbc", Ref: ref, Asset: cny, Amount: 450, Text: "for " + pay.TopUpReference(o, n)}
		for range 2 {
			v, err := w.cashier.Deposited(w.ctx, in, w.tick())
			if w.must(err); v.Status != want {
				t.Errorf("the money of %s: %+v", n, v)
			}
		}
	}
	for _, n := range []string{"never", "late", "in time", "given up"} {
		announce(strings.ReplaceAll(n, " ", "-"))
	}
	announced := w.now
	w.must(only(w.cashier.TopUpFailed(w.ctx, o, "given-up", "no", w.tick())))
	w.must(w.runDue(announced + holdfast.Time(29*24*time.Hour)))
	if v := state("never", pay.OrderWaiting, ""); v.Until > announced+holdfast.Time(30*24*time.Hour) || v.Until < announced+holdfast.Time(30*24*time.Hour-time.Minute) {
		t.Errorf("it is waited for until %v", v.Until)
	}
	brings("B1", "in-time", pay.DepositCredited)
	w.must(w.runDue(announced + holdfast.Time(31*24*time.Hour)))
	const why = "the money has not come within 30 days"
	state("never", pay.OrderExpired, why)
	state("late", pay.OrderExpired, why)
	state("in-time", pay.OrderDone, "B1")
	state("given-up", pay.OrderReturned, "no")
	lines, _, err := w.cashier.Statement(w.ctx, o, "", 10)
	w.must(err)
	told := map[string]int{}
	for _, l := range lines {
		if l.Kind == pay.ReceiptTopUpExpired && l.Amount == 500 && l.Asset == cny {
			told[l.Number]++
		}
	}
	if len(told) != 2 || told["never"] != 1 || told["late"] != 1 {
		t.Errorf("the customer is told %v", told)
	}
	announce("never") // asked for again: it is as it is
	state("never", pay.OrderExpired, why)
	w.must(only(w.cashier.TopUpFailed(w.ctx, o, "never", "no", w.tick())))
	state("never", pay.OrderExpired, why)
	brings("B2", "late", pay.DepositCredited)
	brings("B3", "given-up", pay.DepositUnassigned)
	state("late", pay.OrderDone, "B2")
	if got := w.balance(o).Available; got != startMoney+2*450 {
		t.Errorf("the customer has %d", got)
	}
	w.must(w.runDue(w.hours(40 * 24)))
	state("late", pay.OrderDone, "B2")
	w.must(only(w.cashier.ToppedUp(w.ctx, o, "never", "B4", w.tick())))
	state("never", pay.OrderDone, "B4")
}
