package desk

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast/alipay"
)

// standing is all the money of the people of a world, and how much merchants have been told.
func (w *world) standing() string {
	w.Helper()
	w.books.Deliver()
	var b strings.Builder
	for _, o := range w.customers {
		fmt.Fprintln(&b, w.balance(o))
	}
	for _, m := range w.merchants {
		v, err := w.cashier.MerchantBalance(w.ctx, m, cny)
		w.must(err)
		events, err := w.cashier.Events(w.ctx, m, "", 1000)
		w.must(err)
		fmt.Fprintln(&b, v, len(events))
	}
	return b.String()
}

// TestTheSameRequestAtTwoSites: a site knows the nonces that it has seen itself, since it started. A request of v3 that is recorded and sent to another one changes
// nothing, whatever it asks for: what it names is done.
func TestTheSameRequestAtTwoSites(t *testing.T) {
	w := newWorld(t)
	other, err := alipay.New(alipay.Config{Desk: w.desk, Apps: w.desk, Key: platformKey(), Now: func() time.Time { return w.now }})
	w.must(err)
	nonce := 0
	twice := func(path string, body map[string]any) map[string]any {
		t.Helper()
		w.tick()
		nonce++
		text, err := json.Marshal(body)
		w.must(err)
		auth := fmt.Sprintf("app_id=%s,nonce=n%d,timestamp=%d", w.apps[0], nonce, w.now.UnixMilli())
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\nPOST\n%s\n%s\n", auth, path, text))
		sign, err := rsa.SignPKCS1v15(nil, appKey(), crypto.SHA256, sum[:])
		w.must(err)
		send := func(g http.Handler) (int, map[string]any) {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(text)))
			r.Header.Set("Authorization", "ALIPAY-SHA256withRSA "+auth+",sign="+base64.StdEncoding.EncodeToString(sign))
			rec := httptest.NewRecorder()
			g.ServeHTTP(rec, r)
			var a map[string]any
			w.must(json.Unmarshal(rec.Body.Bytes(), &a))
			return rec.Code, a
		}
		before := w.standing()
		status, a := send(w.gateway)
		after := w.standing()
		if status != http.StatusOK || after == before {
			t.Fatalf("%s: %d %v, and nothing has changed: %t", path, status, a, after == before)
		}
		if status, again := send(w.gateway); status == http.StatusOK || again["code"] != "invalid-nonce" {
			t.Errorf("%s: the site takes it again: %d %v", path, status, again)
		}
		for range 2 {
			w.now = w.now.Add(4 * time.Minute) // as long as its time is good
			status, again := send(other)
			if code, _ := again["code"].(string); status != http.StatusOK && !strings.HasPrefix(code, "ACQ.") {
				t.Errorf("%s: the other site did not look at it: %d %v", path, status, again)
			}
			if w.standing() != after {
				t.Errorf("%s: at another site it is done again: %d %v", path, status, again)
			}
			other, err = alipay.New(alipay.Config{Desk: w.desk, Apps: w.desk, Key: platformKey(), Now: func() time.Time { return w.now }})
			w.must(err)
		}
		return a
	}
	paid := func(number string) map[string]any {
		return map[string]any{"out_trade_no": number, "total_amount": "20.00", "subject": "茶", "auth_code": w.code(0), "scene": "bar_code"}
	}
	w.done("alipay.trade.pay", w.payment(1, "B", "100.00")) // so that the merchant can pay what follows
	a := twice("/v3/alipay/trade/pay", paid("A"))
	twice("/v3/alipay/trade/refund", map[string]any{"out_trade_no": "A", "refund_amount": "3.00", "out_request_no": "R"})
	twice("/v3/alipay/trade/order/settle", map[string]any{
		"out_request_no": "S", "trade_no": a["trade_no"], "royalty_parameters": []any{map[string]any{"trans_in": w.customers[1].String(), "amount": 1}},
	})
	twice("/v3/alipay/fund/trans/uni/transfer", w.transfer("B1", "2.34"))
	twice("/v3/alipay/trade/cancel", map[string]any{"out_trade_no": "A"})
	w.done("alipay.trade.create", map[string]any{"out_trade_no": "C", "total_amount": "1.00", "subject": "茶", "buyer_id": w.customers[0].String()})
	twice("/v3/alipay/trade/close", map[string]any{"out_trade_no": "C"})
	h := twice("/v3/alipay/fund/auth/order/freeze", map[string]any{
		"auth_code": w.code(1), "auth_code_type": "bar_code", "out_order_no": "H", "out_request_no": "F", "order_title": "押金", "amount": "9.00",
	})
	twice("/v3/alipay/fund/auth/order/unfreeze", map[string]any{"auth_no": h["auth_no"], "out_request_no": "U", "amount": "2.00", "remark": "back"})
	twice("/v3/alipay/trade/pay", map[string]any{
		"out_trade_no": "P", "total_amount": "1.00", "subject": "房", "product_code": "PRE_AUTH", "auth_no": h["auth_no"], "auth_confirm_mode": "COMPLETE",
	})
	w.audit()
}
