package pay_test

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
)

// TestARequestThatComesAgainNamesItsOldEnd: the answer got lost, and the same request comes again when the end that it names is near or over. It is
// answered with what has come of it; only what has to be made is refused.
func TestARequestThatComesAgainNamesItsOldEnd(t *testing.T) {
	w := newWorld(t)
	shop, a := w.merchants[0], w.customers[0]
	until := w.now + holdfast.Time(62*time.Second)
	code := pay.PaymentCode(w.customers[1], w.secret[:], w.now)
	ask := func(number string) pay.TradeAsk {
		v := w.offer(0, number, 1000, pay.Plain)
		v.Until = until
		return v
	}
	auth := pay.AuthAsk{Merchant: shop, OutOrderNo: "H", Request: "1", Title: "room", Asset: cny, Amount: 3000, Until: until}
	freezes := func() error {
		if err := only(w.cashier.OpenAuth(w.ctx, auth, w.tick())); err != nil {
			return err
		}
		return only(w.cashier.Authorize(w.ctx, shop, "H", a, "", w.tick()))
	}
	w.must(freezes())
	all := []struct {
		name string
		do   func(number string) error
	}{
		{"a trade", func(n string) error { return only(w.cashier.Create(w.ctx, ask(n), w.tick())) }},
		{"a payment", func(n string) error { return only(w.cashier.PayNew(w.ctx, ask(n), a, w.tick())) }},
		{"a payment by code", func(n string) error { return only(w.cashier.PayByCode(w.ctx, ask(n), code, w.tick())) }},
		{"a payment of what is frozen", func(n string) error { return only(w.cashier.PayFrozen(w.ctx, ask(n), "H", false, w.tick())) }},
		{"a code at a till", func(n string) error { return two(w.cashier.PrecreateUntil(w.ctx, ask(n), until, w.tick())) }},
		{"a page", func(n string) error {
			return two(w.cashier.Enter(w.ctx, ask(n), pay.Visit{Entry: pay.EntryPage, App: "1"}, w.tick()))
		}},
	}
	numbers := []string{"T0", "T1", "T2", "T3", "T4", "T5"}
	for i, c := range all {
		if err := c.do(numbers[i]); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	for _, later := range []time.Duration{5 * time.Second, 2 * time.Minute} {
		w.now += holdfast.Time(later)
		if err := freezes(); err != nil {
			t.Errorf("a hold, %v later: %v", later, err)
		}
		for i, c := range all {
			if err := c.do(numbers[i]); err != nil {
				t.Errorf("%s, %v later: %v", c.name, later, err)
			}
			if got := refusal(c.do("new")); got != pay.TimeInvalid && c.name != "a payment by code" {
				t.Errorf("%s that is new: %q", c.name, got)
			}
		}
	}
	auth.OutOrderNo = "H2"
	w.refused(pay.TimeInvalid, freezes())
	if got := w.balance(a).Available; got != startMoney-3000-1000 {
		t.Errorf("the customer has %d", got)
	}
	w.audit()
}
