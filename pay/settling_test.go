package pay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// TestWhatWasAcknowledgedIsKnownAtOnce: everything is answered done, and the payers' records are settled a moment later. Whoever asks in between is
// told what has come of it.
func TestWhatWasAcknowledgedIsKnownAtOnce(t *testing.T) {
	w := newWorld(t)
	shop, a, b := w.merchants[0], w.customers[0], w.customers[1]
	w.must(w.payNew(func(a *pay.TradeAsk) { a.OutTradeNo, a.Amount = "rich", 50_000 }))
	w.plain("T", pay.Plain)
	split := w.offer(0, "S", 1000, pay.Split)
	w.must(only(w.cashier.PayNew(w.ctx, split, a, w.tick())))

	ask := w.offer(0, "P", 1000, pay.Plain)
	sent := pay.TransferAsk{From: a, Number: "s", To: b, Asset: cny, Amount: 5}
	business := pay.TransferAsk{From: shop, Number: "b", To: b, Asset: cny, Amount: 5, Business: true}
	refund := pay.RefundAsk{Merchant: shop, OutTradeNo: "T", Number: "R", Amount: 400}
	shares := pay.SplitAsk{Merchant: shop, OutTradeNo: "S", Number: "X", Shares: []pay.Share{{To: b, Amount: 10}}}
	pays := func() error { return only(w.cashier.PayNew(w.ctx, ask, a, w.tick())) }
	sends := func() error { return only(w.cashier.Transfer(w.ctx, sent, w.tick())) }
	sendsBusiness := func() error { return only(w.cashier.Transfer(w.ctx, business, w.tick())) }
	refunds := func() error { return two(w.cashier.Refund(w.ctx, refund, w.tick())) }
	splits := func() error { return two(w.cashier.Split(w.ctx, shares, w.tick())) }
	for i, c := range []struct {
		name     string
		do, then func() error
		want     pay.Code
	}{
		{"a payment again", pays, pays, ""},
		{"a transfer again", sends, sends, ""},
		{"another transfer after it", sends, func() error {
			differs := sent
			differs.Amount = 6
			return only(w.cashier.Transfer(w.ctx, differs, w.tick()))
		}, pay.RequestDiffers},
		{"a transfer asked for", sends, func() error { return only(w.cashier.QueryTransfer(w.ctx, a, sent.Number)) }, ""},
		{"a merchant's transfer again", sendsBusiness, sendsBusiness, ""},
		{"a refund again", refunds, refunds, ""},
		{"a refund asked for", refunds, func() error {
			_, _, found, err := w.cashier.QueryRefund(w.ctx, shop, "T", refund.Number, w.now)
			if err == nil && !found {
				return errors.New("not found")
			}
			return err
		}, ""},
		{"a split again", splits, splits, ""},
		{"the limits after it", sends, func() error {
			return only(w.cashier.WalletUsage(w.ctx, a, cny))
		}, ""},
	} {
		w.cashier.Wait = func(context.Context, int) error { return nil }
		number := fmt.Sprint("n", i)
		ask.OutTradeNo, sent.Number, business.Number, refund.Number, shares.Number = number, number, number, number, number
		w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Unsettled }
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		w.books.Fault = nil
		w.cashier.Wait = func(_ context.Context, n int) error {
			if n == 3 {
				w.books.Deliver()
			}
			return nil
		}
		if got := refusal(c.then()); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		w.books.Deliver()
	}
	w.audit()
}
