package httpapi

import (
	"fmt"
	"net/http"
	"testing"

	"holdfast/pay"
)

// TestWrongCodesOfAnAPIKeyHaveALimit: whoever guesses is stopped; other keys, and payments without a code, are not.
func TestWrongCodesOfAnAPIKeyHaveALimit(t *testing.T) {
	s := newStall(t)
	api := s.api()
	body := func(number, rest string) string {
		return `{"merchant":"` + s.merchant.String() + `","out_trade_no":"` + number + `","amount":5,"asset":"CNY","subject":"x"` + rest + `}`
	}
	wrong := func(n int) string { return fmt.Sprintf(`,"payment_code":"2800000003123456%02d"`, n) }
	for n := range pay.PartyTries {
		if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body(fmt.Sprint("W", n), wrong(n))); status != http.StatusUnprocessableEntity {
			t.Fatalf("try %d: %d %s", n, status, text)
		}
	}
	status, header, text := ask(t, api, "POST", "/v1/trades", tellerKey, body("A", wrong(50)))
	if p := problemIn(t, header, text); status != http.StatusTooManyRequests || p.Code != "too-many-codes" || p.Outcome != "not-executed" || header.Get("Retry-After") != "3" {
		t.Errorf("%d %v %s", status, header, text)
	}
	if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body("B", `,"payer":"`+s.alice.String()+`"`)); status != http.StatusCreated {
		t.Errorf("a payment without a code: %d %s", status, text)
	}
	if status, _, text := ask(t, api, "POST", "/v1/trades", operatorKey, body("C", wrong(51))); status != http.StatusUnprocessableEntity {
		t.Errorf("another key: %d %s", status, text)
	}
}
