package httpapi

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
)

// What is on its way from and to a bank is listed for its customer, with where the money is to be sent; a phone that is added again is the same phone.
func TestWhatACustomerLooksThrough(t *testing.T) {
	m := newMarket()
	m.commerce.TopUpTo = func(asset holdfast.Asset) *BankDetails {
		if asset != cny {
			return nil
		}
		return &BankDetails{"icbc", "6222020000000000018", "Holdfast"}
	}
	server := httptest.NewServer(asDocumented(t, m.api()))
	defer server.Close()
	c, ctx := newClient(t, server.URL, m.newSession(m.alice)), t.Context()
	if list, next, err := c.TopUps(ctx, m.alice, "", 0); err != nil || len(list) != 1 || list[0].Number != "start" || next != "" {
		t.Errorf("before: %+v %q %v", list, next, err)
	}
	for i := range 3 {
		v, err := c.AnnounceTopUp(ctx, m.alice, client.Money{Number: fmt.Sprintf("t-%d", i), Asset: cny, Amount: holdfast.Amount(100 + i)})
		if err != nil || v.PayTo == nil || *v.PayTo != (client.BankDetails{Bank: "icbc", Number: "6222020000000000018", Holder: "Holdfast"}) {
			t.Fatalf("%+v %v", v, err)
		}
	}
	must(m.commerce.Cashier.ToppedUp(ctx, m.alice, "t-1", "B-1", m.commerce.now()))
	list, next, err := c.TopUps(ctx, m.alice, "start", 2)
	if err != nil || len(list) != 2 || list[1].Number != "t-1" || list[1].Status != "done" || list[1].PayTo != nil || list[0].PayTo == nil || next != "t-1" {
		t.Errorf("%+v %q %v", list, next, err)
	}
	if list, next, err = c.TopUps(ctx, m.alice, next, 2); err != nil || len(list) != 1 || list[0].Amount != 102 || next != "" {
		t.Errorf("%+v %q %v", list, next, err)
	}

	if _, err := c.Withdraw(ctx, m.alice, client.Withdrawal{Money: client.Money{Number: "w-1", Asset: cny, Amount: 10}}); err != nil {
		t.Fatal(err)
	}
	out, next, err := c.Withdrawals(ctx, m.alice, "", 0)
	if err != nil || len(out) != 1 || out[0].Number != "w-1" || out[0].Kind != "withdrawal" || !out[0].NeedsAccount || next != "" {
		t.Errorf("%+v %q %v", out, next, err)
	}

	if name, err := c.MerchantName(ctx, m.merchant); err != nil || name != must(m.commerce.Cashier.Merchant(ctx, m.merchant)).Name {
		t.Errorf("%q %v", name, err)
	}
	if _, err := c.MerchantName(ctx, m.bob); refusedAs(err) != string(pay.MerchantUnknown) {
		t.Error(err)
	}

	const number = "0190f3c6-2a3b-7c4d-8e5f-0011223344aa"
	first, secret, err := c.AddDeviceAs(ctx, m.alice, number)
	again, same, err2 := c.AddDeviceAs(ctx, m.alice, number)
	other, differs, err3 := c.AddDevice(ctx, m.alice)
	if err != nil || err2 != nil || err3 != nil || first != again || string(secret) != string(same) || other == first || string(differs) == string(secret) {
		t.Errorf("%d, %d, then %d: %v %v %v", first, again, other, err, err2, err3)
	}
	bob := newClient(t, server.URL, m.newSession(m.bob))
	for name, err := range map[string]error{
		"top-ups":     third(bob.TopUps(ctx, m.alice, "", 0)),
		"withdrawals": third(bob.Withdrawals(ctx, m.alice, "", 0)),
	} {
		if refusedAs(err) != "forbidden" {
			t.Errorf("%s of another: %v", name, err)
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }
