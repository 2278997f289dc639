package pay_test

import (
	"testing"

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
