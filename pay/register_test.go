package pay_test

import (
	"errors"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// Whoever registers a customer again, with a currency that he has no wallet in, must not be told that it is done.
func TestRegisteringAgainOpensNoWallet(t *testing.T) {
	w := newWorld(t)
	o := owner(20)
	register := func(assets ...holdfast.Asset) error {
		return only(w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Assets: assets}, w.tick()))
	}
	usd := holdfast.MustAsset("USD")
	w.must(register(cny))
	w.must(register(cny))
	err := register(cny, usd)
	var r *pay.Refusal
	if refusal(err) != pay.CustomerExists || !errors.As(err, &r) || r.Field != "assets" {
		t.Errorf("with a wallet more he was told %v, want %s of assets", err, pay.CustomerExists)
	}
	w.must(w.cashier.OpenWallet(w.ctx, o, usd, pay.Limits{}, w.tick()))
	w.must(register(cny)) // what was asked for then is there
	w.must(register(cny, usd))
}
