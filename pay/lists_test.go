package pay_test

import (
	"fmt"
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func TestListsOfAMerchant(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	for _, n := range []string{"C", "A", "B"} {
		_, err := w.cashier.PayNew(w.ctx, w.offer(0, n, 1000, pay.Plain), w.customers[0], w.tick())
		w.must(err)
	}
	_, err := w.cashier.PayNew(w.ctx, w.offer(1, "other", 1000, pay.Plain), w.customers[0], w.tick())
	w.must(err)
	page, next, err := w.cashier.Trades(w.ctx, m, "", 2, w.now)
	w.must(err)
	if len(page) != 2 || page[0].OutTradeNo != "A" || page[1].OutTradeNo != "B" || next != "B" || page[0].Status != pay.StatusSuccess || page[0].Merchant != m {
		t.Fatalf("first page: %+v, next %q", page, next)
	}
	page, next, err = w.cashier.Trades(w.ctx, m, next, 2, w.now)
	w.must(err)
	if len(page) != 1 || page[0].OutTradeNo != "C" || next != "" {
		t.Fatalf("second page: %+v, next %q", page, next)
	}
	if page, _, _ = w.cashier.Trades(w.ctx, m, "", 9, page[0].RefundUntil); page[2].Status != pay.StatusFinished {
		t.Errorf("a trade whose time for refunds is over is listed as %s", page[2].Status)
	}
	for i, n := range []string{"R2", "R1"} {
		_, _, err := w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: m, OutTradeNo: "A", Number: n, Amount: holdfast.Amount(10 + i)}, w.tick())
		w.must(err)
	}
	refunds, _, err := w.cashier.Refunds(w.ctx, m, "A", "", 9)
	w.must(err)
	if len(refunds) != 2 || refunds[0].Number != "R1" || refunds[0].Refund.Amount != 11 {
		t.Errorf("refunds: %+v", refunds)
	}
	b, err := w.cashier.MerchantBalance(w.ctx, m, cny)
	w.must(err)
	if want := (pay.MerchantBalance{Settlement: 3*993 - 21, Fees: 21}); b.Settlement+b.Fees != want.Settlement+want.Fees || b.Escrow != 0 {
		t.Errorf("balance: %+v, want about %+v", b, want)
	}
	_, err = w.cashier.MerchantBalance(w.ctx, m, holdfast.MustAsset("JPY"))
	w.refused(pay.AssetInvalid, err)
}

// What is not decided must not be shown as if it were.
func TestAListShowsWhatIsDecided(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	_, err := w.cashier.Create(w.ctx, w.offer(0, "A", 1000, pay.Plain), w.tick())
	w.must(err)
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck }
	if _, err := w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: m, OutTradeNo: "A", Payer: w.customers[0]}, w.tick()); err == nil {
		t.Fatal("the payment of a trade that was waiting was to be stuck")
	}
	if _, err := w.cashier.PayNew(w.ctx, w.offer(0, "B", 1000, pay.Plain), w.customers[1], w.tick()); err == nil {
		t.Fatal("the payment of a new trade was to be stuck")
	}
	w.books.Fault = nil
	list, _, err := w.cashier.Trades(w.ctx, m, "", 9, w.now)
	w.must(err)
	if len(list) > 1 || len(list) == 1 && list[0].Status != pay.StatusWaiting {
		t.Errorf("listed while payments are under way: %+v", list)
	}
	w.books.Deliver()
	if list, _, err = w.cashier.Trades(w.ctx, m, "", 9, w.now); err != nil || len(list) != 2 || list[0].Status != pay.StatusSuccess {
		t.Errorf("listed afterwards: %+v %v", list, err)
	}
}

func TestAppsAndShopsAreListed(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	for n := range uint8(10) {
		_, err := w.cashier.PutApp(w.ctx, m, 9-n, pay.App{PublicKey: "k"}, w.tick())
		w.must(err)
	}
	apps, err := w.cashier.Apps(w.ctx, m)
	w.must(err)
	if len(apps) != 10 || apps[3].ID != pay.AppID(m, 3) || apps[3].Merchant != m {
		t.Fatalf("apps: %+v", apps)
	}
	off, err := w.cashier.DisableApp(w.ctx, apps[3].ID, true, w.tick())
	w.must(err)
	if now, err := w.cashier.App(w.ctx, apps[3].ID); err != nil || !now.Disabled || !off.Disabled || now.PublicKey != "k" {
		t.Errorf("disabled: %+v %+v %v", off, now, err)
	}
	_, err = w.cashier.DisableApp(w.ctx, pay.AppID(w.merchants[1], 0), true, w.tick())
	w.refused(pay.AppUnknown, err)
	for _, id := range []string{"north", "east"} {
		w.must(w.cashier.PutShop(w.ctx, m, pay.Shop{ID: id, Name: id, Tills: []string{"1"}}, w.tick()))
	}
	shops, next, err := w.cashier.Shops(w.ctx, m, "east", 9)
	w.must(err)
	if len(shops) != 1 || shops[0].ID != "north" || shops[0].Tills[0] != "1" || next != "" {
		t.Errorf("shops: %+v %q", shops, next)
	}
}

func TestSettledDaysAreListed(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	_, err := w.cashier.PayNew(w.ctx, w.offer(0, "A", 1000, pay.Plain), w.customers[0], w.tick())
	w.must(err)
	day := "2026-11-27"
	if list, err := w.cashier.SettledDay(w.ctx, m, day); err != nil || len(list) != 0 {
		t.Fatalf("a day that is not over: %+v %v", list, err)
	}
	w.now += 30 * 3600e9
	want, err := w.cashier.Settle(w.ctx, m, day, w.now)
	w.must(err)
	got, err := w.cashier.SettledDay(w.ctx, m, day)
	w.must(err)
	all, next, err := w.cashier.Settlements(w.ctx, m, "", 5)
	w.must(err)
	if len(got) != 1 || got[0] != want[0] || len(all) != 1 || all[0] != want[0] || next != "" {
		t.Errorf("settled: %+v, listed %+v and %+v", want, got, all)
	}
	if list, _ := w.cashier.SettledDay(w.ctx, m, "2026-11-26"); len(list) != 0 {
		t.Errorf("the day before: %+v", list)
	}
}

func TestKeysOfAMerchant(t *testing.T) {
	w := newWorld(t)
	m := w.merchants[0]
	random := func(n byte) (b [pay.KeyBytes]byte) { b[0], b[24] = n, n; return b }
	key, secret, err := w.cashier.IssueKey(w.ctx, m, "the shop's server", random(1), w.tick())
	w.must(err)
	if !strings.HasPrefix(secret, "hfm_"+m.String()+"_"+key.ID) || len(secret) != 61 || strings.Contains(key.Hash, secret[29:]) {
		t.Fatalf("key %+v, text %q", key, secret)
	}
	check := func(text string) (holdfast.Owner, bool) {
		o, _, ok, err := w.cashier.CheckKey(w.ctx, text)
		w.must(err)
		return o, ok
	}
	if o, ok := check(secret); !ok || o != m {
		t.Errorf("the key is one of %s: %t", o, ok)
	}
	other := strings.Replace(secret, m.String(), w.merchants[1].String(), 1)
	for _, wrong := range []string{"", secret[:60], secret + "a", secret[:60] + "c", other, strings.ToUpper(secret), "hf_" + secret[4:]} {
		if _, ok := check(wrong); ok {
			t.Errorf("%q was taken", wrong)
		}
	}
	w.must(w.cashier.RevokeKey(w.ctx, m, key.ID, w.tick()))
	w.must(w.cashier.RevokeKey(w.ctx, m, key.ID, w.tick()))
	if _, ok := check(secret); ok {
		t.Error("the key was taken after it had been revoked")
	}
	w.refused(pay.FieldInvalid, w.cashier.RevokeKey(w.ctx, m, "../merchant", w.tick()))
	for n := range byte(10) {
		_, _, err := w.cashier.IssueKey(w.ctx, m, fmt.Sprint(n), random(n*8), w.tick())
		w.must(err)
	}
	_, _, err = w.cashier.IssueKey(w.ctx, m, "one more", random(200), w.tick())
	w.refused(pay.TooMany, err)
	_, _, err = w.cashier.IssueKey(w.ctx, w.customers[0], "no merchant", random(201), w.tick())
	w.refused(pay.MerchantUnknown, err)
}
