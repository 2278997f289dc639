package httpapi

import (
	"fmt"
	"net/http"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// TestWrongCodesHaveALimit: whoever guesses the code of a customer is stopped, whatever key he has; other customers, and payments without a code, are not.
func TestWrongCodesHaveALimit(t *testing.T) {
	s := newStall(t)
	api := s.api()
	body := func(number, rest string) string {
		return `{"merchant":"` + s.merchant.String() + `","out_trade_no":"` + number + `","amount":5,"asset":"CNY","subject":"x"` + rest + `}`
	}
	wrong := func(o holdfast.Owner, n int) string {
		return fmt.Sprintf(`,"payment_code":"28%08d123456%02d"`, o.Sequence(), n)
	}
	for n := range pay.NamedTries {
		key := []string{tellerKey, operatorKey}[n%2]
		if status, _, text := ask(t, api, "POST", "/v1/trades", key, body(fmt.Sprint("W", n), wrong(s.alice, n))); status != http.StatusUnprocessableEntity {
			t.Fatalf("try %d: %d %s", n, status, text)
		}
	}
	status, header, text := ask(t, api, "POST", "/v1/trades", tellerKey, body("A", wrong(s.alice, 50)))
	if p := problemIn(t, header, text); status != http.StatusTooManyRequests || p.Code != "too-many-codes" || p.Outcome != "not-executed" || header.Get("Retry-After") != "60" {
		t.Errorf("%d %v %s", status, header, text)
	}
	if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body("B", `,"payer":"`+s.alice.String()+`"`)); status != http.StatusCreated {
		t.Errorf("a payment without a code: %d %s", status, text)
	}
	if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body("C", wrong(s.bob, 51))); status != http.StatusUnprocessableEntity {
		t.Errorf("another customer: %d %s", status, text)
	}
}
