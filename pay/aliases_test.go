package pay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// TestWhatIsRefusedKeepsNoAlias: registrations and new aliases that are refused, for whatever reason, leave the alias to whoever has it or will have it.
func TestWhatIsRefusedKeepsNoAlias(t *testing.T) {
	w := newWorld(t)
	free := func(n int) string { return fmt.Sprintf("+86 138 0000 000%d", n) }
	register := func(o holdfast.Owner, aliases ...string) error {
		return only(w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Aliases: aliases, Assets: []holdfast.Asset{cny}}, w.tick()))
	}
	full := w.customers[1]
	for n := range 7 {
		w.must(w.cashier.AddAlias(w.ctx, full, fmt.Sprintf("a%d@example.org", n), w.tick()))
	}
	for n, c := range []struct {
		name string
		want pay.Code
		do   func(alias string) error
	}{
		{"a customer who is there", pay.CustomerExists, func(a string) error { return register(w.customers[0], a) }},
		{"one of two is taken", pay.AliasTaken, func(a string) error { return register(owner(20), a, "+86 139 0000 0001") }},
		{"one of two is none", pay.AliasInvalid, func(a string) error { return register(owner(20), a, "12") }},
		{"too many", pay.TooMany, func(a string) error { return w.cashier.AddAlias(w.ctx, full, a, w.tick()) }},
		{"nobody", pay.CustomerUnknown, func(a string) error { return w.cashier.AddAlias(w.ctx, owner(21), a, w.tick()) }},
	} {
		if got := refusal(c.do(free(n))); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
		if _, err := w.cashier.FindAlias(w.ctx, free(n)); refusal(err) != pay.AliasUnknown {
			t.Errorf("%s: the alias is found: %v", c.name, err)
		}
		if err := register(owner(30+uint32(n)), free(n)); err != nil {
			t.Errorf("%s: its holder: %v", c.name, err)
		}
	}
	o, err := w.cashier.FindAlias(w.ctx, "+86 139 0000 0001")
	if w.must(err); o != full {
		t.Errorf("an alias that was taken is of %v", o)
	}
}

// TestAnAliasOfNoCustomer: a registration that stops between the alias and the customer is not found by the alias, and goes on when it is asked again.
func TestAnAliasOfNoCustomer(t *testing.T) {
	w := newWorld(t)
	ask := pay.CustomerAsk{Owner: owner(20), Aliases: []string{"b@example.org"}, Assets: []holdfast.Asset{cny}}
	w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
		if strings.Contains(x.Records[0].Key, "/alias/") {
			return paytest.NoFault
		}
		return paytest.Gone
	}
	if err := only(w.cashier.RegisterCustomer(w.ctx, ask, w.tick())); errors.As(err, new(*pay.Refusal)) || err == nil {
		t.Fatalf("told %v", err)
	}
	w.books.Fault = nil
	w.refused(pay.AliasUnknown, only(w.cashier.FindAlias(w.ctx, "b@example.org")))
	w.must(only(w.cashier.RegisterCustomer(w.ctx, ask, w.tick())))
	if o, err := w.cashier.FindAlias(w.ctx, "b@example.org"); err != nil || o != owner(20) {
		t.Errorf("of %v: %v", o, err)
	}
}
