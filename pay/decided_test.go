package pay_test

import (
	"testing"

	"holdfast"
	"holdfast/pay"
)

// TestWhatADecisionGivesBackIsARefund: it has a number by which it is found, and the merchant is told of it as of any other.
func TestWhatADecisionGivesBackIsARefund(t *testing.T) {
	for _, c := range []struct {
		toMerchant, back holdfast.Amount
		status           pay.Status
	}{{0, 1000, pay.StatusClosed}, {250, 750, pay.StatusSuccess}, {1000, 0, pay.StatusSuccess}} {
		w := newWorld(t)
		w.plain("E", pay.Protected)
		shop, ask := w.merchants[0], w.escrowAsk(w.customers[0])
		w.must(only(w.cashier.Dispute(w.ctx, ask, w.tick())))
		for range 2 { // the second time it is done
			w.must(only(w.cashier.Decide(w.ctx, ask, c.toMerchant, w.tick())))
		}
		refunds, _, err := w.cashier.Refunds(w.ctx, shop, "E", "", 10)
		w.must(err)
		r, found, err := w.cashier.QueryCancel(w.ctx, shop, "E")
		w.must(err)
		var told []pay.Event
		events, err := w.cashier.Events(w.ctx, shop, "", 100)
		w.must(err)
		for _, e := range events {
			if e.Kind == pay.EventRefunded {
				told = append(told, e)
			}
		}
		if c.back == 0 {
			if len(refunds)+len(told) > 0 || found {
				t.Errorf("nothing goes back: %+v %+v", refunds, told)
			}
			continue
		}
		if len(refunds) != 1 || refunds[0].Number != "~decided" || refunds[0].Amount != c.back || !found || r != refunds[0].Refund {
			t.Errorf("%d for the merchant: the refunds are %+v", c.toMerchant, refunds)
		}
		if len(told) != 1 {
			t.Fatalf("%d for the merchant: he is told of %+v", c.toMerchant, told)
		}
		if e := told[0]; e.Amount != c.back || e.Refunded != c.back || e.Status != c.status || e.Number != "~decided" || e.Effect != 0 || e.Fee != 0 || e.Other != w.customers[0] {
			t.Errorf("%d for the merchant: he is told %+v", c.toMerchant, e)
		}
		w.audit()
	}
}
