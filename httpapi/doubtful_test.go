package httpapi

import (
	"testing"

	"holdfast/client"
	"holdfast/pay"
)

// A withdrawal about which the bank has contradicted itself is listed, and ends by what somebody says who has asked the bank. One of which the
// bank is still asked is not decided by hand.
func TestDoubtfulPayouts(t *testing.T) {
	s := newStall(t)
	to := &client.BankAccount{Number: "6222000000005678", Holder: "Alice"}
	order := func(number string, doubtful bool) pay.BankOrder {
		out, err := s.c.Withdraw(s.ctx, s.alice, client.Withdrawal{Money: client.Money{Number: number, Asset: cny, Amount: 10}, Account: to})
		s.need(err)
		b := pay.BankOrder{Owner: s.alice, Number: out.Number}
		if doubtful {
			o, err := s.commerce.Cashier.Sent(s.ctx, b, s.commerce.now())
			s.need(err)
			_, err = s.commerce.Cashier.RecordBank(s.ctx, b, pay.BankChange{Step: pay.BankDoubting, At: s.commerce.now(), Reason: "accepted, then never heard of"}, s.commerce.now())
			s.need(err)
			if o.Status != pay.OrderSent {
				t.Errorf("%+v", o)
			}
		}
		return b
	}
	asked, paid, lost := order("w-1", false), order("w-2", true), order("w-3", true)
	before, err := s.c.Wallet(s.ctx, s.alice, cny)
	s.need(err)

	list, next, err := s.c.Doubtful(s.ctx, "", 100)
	if err != nil || next != "" || len(list) != 2 || !list[0].Doubtful {
		t.Errorf("listed: %+v %q %v", list, next, err)
	}
	s.refused("order-status-error", only(s.c.NeverPaid(s.ctx, s.alice, asked.Number, "nobody")))
	s.refused("malformed", only(s.c.PaidAfterAll(s.ctx, s.alice, paid.Number, "")))
	s.refused("malformed", only(s.c.NeverPaid(s.ctx, s.alice, lost.Number, "")))
	for range 2 { // asked again
		if v, err := s.c.PaidAfterAll(s.ctx, s.alice, paid.Number, "ICBC-7"); err != nil || v.Status != "done" || v.Bank != "ICBC-7" {
			t.Errorf("paid: %+v %v", v, err)
		}
		if v, err := s.c.NeverPaid(s.ctx, s.alice, lost.Number, "Ms Li of the bank"); err != nil || v.Status != "returned" {
			t.Errorf("not paid: %+v %v", v, err)
		}
	}
	s.refused("order-status-error", only(s.c.NeverPaid(s.ctx, s.alice, paid.Number, "somebody")))
	if list, _, err := s.c.Doubtful(s.ctx, "", 100); err != nil || len(list) != 0 {
		t.Errorf("still listed: %+v %v", list, err)
	}
	after, err := s.c.Wallet(s.ctx, s.alice, cny)
	if s.need(err); after.Available != before.Available+10 {
		t.Errorf("the wallet went from %d to %d", before.Available, after.Available)
	}
}
