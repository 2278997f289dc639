package pay_test

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
)

// The totals of a day add up whatever is among them: what is held of a trade counts when it is released, and what is given back of what was held does
// not, because the merchant never had it.
func TestTotalsOfADayAddUp(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	w.plain("plain", pay.Plain)
	w.must(two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: m, OutTradeNo: "plain", Number: "R1", Amount: 300}, w.tick())))
	w.plain("held", pay.Protected) // still held at the end of the day
	w.must(two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: m, OutTradeNo: "held", Number: "R2", Amount: 400}, w.tick())))
	w.plain("E", pay.Protected)
	w.must(only(w.cashier.Release(w.ctx, w.escrowAsk(0), 1000, w.tick())))
	w.plain("S", pay.Split)
	w.must(two(w.cashier.Split(w.ctx, pay.SplitAsk{
		Merchant: m, OutTradeNo: "S", Number: "1", Finish: true, Shares: []pay.Share{{To: w.merchants[1], Amount: 100}},
	}, w.tick())))
	w.plain("whole", pay.Split) // nothing of it has come to the merchant
	w.now = holdfast.TimeOf(time.Date(2026, 11, 27, 16, 6, 0, 0, time.UTC))
	list, err := w.cashier.Settle(w.ctx, m, "2026-11-27", w.tick())
	w.must(err)
	v := list[0]
	if v.Paid-v.Fees-v.Refunded+v.Other != v.Net || v.Net != v.Payout {
		t.Errorf("%d paid, less %d in fees and %d refunded, and %d besides, is told to be %d: %+v", v.Paid, v.Fees, v.Refunded, v.Other, v.Net, v)
	}
	if v.Refunded != 300 || v.Refunds != 1 {
		t.Errorf("%d refunds of %d: what was given back of what was held is none of his", v.Refunds, v.Refunded)
	}
	w.audit()
}
