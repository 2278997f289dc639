package desk

import (
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
