package desk

import (
	"fmt"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// A trade of another currency, made by the native API, is none at the gateway: it would be told, refunded and closed as if it was in yuan.
func TestOtherCurrenciesAreUnknown(t *testing.T) {
	w := newWorld(t)
	usd := holdfast.MustAsset("USD")
	w.must(w.cashier.OpenBank(w.ctx, w.tick(), usd))
	w.must(w.cashier.OpenCurrency(w.ctx, w.merchants[0], usd, w.tick()))
	v, err := w.cashier.Create(w.ctx, pay.TradeAsk{
		Merchant: w.merchants[0], OutTradeNo: "D", TradeOffer: pay.TradeOffer{Amount: 123, Asset: usd, Subject: "tea"},
	}, w.tick())
	w.must(err)
	for _, by := range []map[string]any{{"out_trade_no": "D"}, {"trade_no": v.TradeNo}} {
		for method, more := range map[string][]any{
			"alipay.trade.query": nil, "alipay.trade.close": nil, "alipay.trade.cancel": nil,
			"alipay.trade.refund": {"refund_amount", "1.00"}, "alipay.trade.fastpay.refund.query": {"out_request_no", "R"},
		} {
			w.refused("ACQ.TRADE_NOT_EXIST", method, with(by, more...))
		}
	}
	v, err = w.cashier.Query(w.ctx, w.merchants[0], "D", w.tick())
	if err != nil || v.Status != pay.StatusWaiting {
		t.Errorf("it was changed: %+v %v", v, err)
	}
	if _, _, ok, err := w.desk.NoticeOf(w.ctx, &pay.Event{Kind: pay.EventPaid, Asset: usd, Notify: "https://shop.example/cb", App: w.apps[0]}); ok || err != nil {
		t.Errorf("a notice is sent: %v", err)
	}
}

// The gateway is no directory: an app cannot try phone numbers without end, and who has neither paid nor agreed to anything is not told by his number.
func TestAliasesCannotBeTriedWithoutEnd(t *testing.T) {
	w := newWorld(t)
	ask := func(n int, alias string) map[string]any {
		return map[string]any{"out_trade_no": fmt.Sprint("T", n), "total_amount": "1.00", "subject": "x", "buyer_logon_id": alias}
	}
	w.done("alipay.trade.create", ask(0, "+8613900000000"))
	a := w.done("alipay.trade.query", map[string]any{"out_trade_no": "T0"})
	if id := a.text("buyer_user_id"); id != "" {
		t.Errorf("the gateway tells who has the alias: %s", id)
	}
	for n := range unknownAliases {
		w.refused("ACQ.BUYER_NOT_EXIST", "alipay.trade.create", ask(n+1, fmt.Sprintf("nobody%d@example.com", n)))
	}
	w.refused(limited, "alipay.trade.create", ask(99, "+8613900000000"))
	w.now = w.now.Add(unknownEvery)
	w.done("alipay.trade.create", ask(99, "+8613900000000"))
}
