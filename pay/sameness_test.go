package pay_test

import (
	"errors"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// TestARequestThatDiffersIsToldWhere: one number is one request; what comes with another content is refused, and the field that differs is named.
func TestARequestThatDiffersIsToldWhere(t *testing.T) {
	w := newWorld(t)
	shop, a, b := w.merchants[0], w.customers[0], w.customers[1]
	w.plain("S", pay.Plain)
	w.plain("S2", pay.Plain)
	dollar := holdfast.MustAsset("USD")
	sent := pay.TransferAsk{From: a, Number: "1", To: b, Asset: cny, Amount: 5, Text: "rent", Class: "x"}
	shares := pay.SplitAsk{Merchant: shop, OutTradeNo: "S", Number: "1", Shares: []pay.Share{{To: b, Amount: 10, Text: "rent"}}}
	out := pay.TopUpAsk{Owner: a, Number: "1", Asset: cny, Amount: 5}
	hold := pay.AuthAsk{Merchant: shop, OutOrderNo: "H", Request: "1", Title: "room", Asset: cny, Amount: 300}
	transfer := func(v pay.TransferAsk) error { return only(w.cashier.Transfer(w.ctx, v, w.tick())) }
	split := func(v pay.SplitAsk) error { return two(w.cashier.Split(w.ctx, v, w.tick())) }
	withdraw := func(v pay.TopUpAsk) error { return only(w.cashier.Withdraw(w.ctx, v, w.tick())) }
	freeze := func(v pay.AuthAsk) error { return only(w.cashier.OpenAuth(w.ctx, v, w.tick())) }
	release := func(n string, amount holdfast.Amount) error {
		return only(w.cashier.Unfreeze(w.ctx, shop, "H", n, amount, "", w.tick()))
	}
	w.must(transfer(sent))
	w.must(split(shares))
	w.must(withdraw(out))
	w.must(freeze(hold))
	w.must(only(w.cashier.Authorize(w.ctx, shop, "H", a, "", w.tick())))
	w.must(release("2", 10))
	for range 2 {
		w.must(transfer(sent))
		w.must(split(shares))
		w.must(withdraw(out))
		w.must(freeze(hold))
		w.must(release("2", 10))
	}
	for _, c := range []struct {
		field string
		err   error
	}{
		{"to", transfer(changed(sent, func(v *pay.TransferAsk) { v.To = w.customers[2] }))},
		{"amount", transfer(changed(sent, func(v *pay.TransferAsk) { v.Amount = 6 }))},
		{"asset", transfer(changed(sent, func(v *pay.TransferAsk) { v.Asset = dollar }))},
		{"text", transfer(changed(sent, func(v *pay.TransferAsk) { v.Text = "food" }))},
		{"class", transfer(changed(sent, func(v *pay.TransferAsk) { v.Class = "y" }))},
		{"out_trade_no", split(changed(shares, func(v *pay.SplitAsk) { v.OutTradeNo = "S2" }))},
		{"finish", split(changed(shares, func(v *pay.SplitAsk) { v.Finish = true }))},
		{"royalty_parameters", split(changed(shares, func(v *pay.SplitAsk) { v.Shares = []pay.Share{{To: b, Amount: 10, Text: "food"}} }))},
		{"amount", withdraw(changed(out, func(v *pay.TopUpAsk) { v.Amount = 6 }))},
		{"asset", withdraw(changed(out, func(v *pay.TopUpAsk) { v.Asset = dollar }))},
		{"out_request_no", freeze(changed(hold, func(v *pay.AuthAsk) { v.Request = "3" }))},
		{"amount", freeze(changed(hold, func(v *pay.AuthAsk) { v.Amount = 301 }))},
		{"order_title", freeze(changed(hold, func(v *pay.AuthAsk) { v.Title = "car" }))},
		{"amount", release("2", 11)},
		{"out_request_no", release("1", 300)},
	} {
		var r *pay.Refusal
		if !errors.As(c.err, &r) || r.Code != pay.RequestDiffers || r.Field != c.field {
			t.Errorf("another %s: %v", c.field, c.err)
		}
	}
	w.audit()
}

func changed[T any](v T, how func(*T)) T {
	how(&v)
	return v
}
