package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/backoffice"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func publicDER() []byte { return must(x509.MarshalPKIXPublicKey(rsaKey().Public())) }

// stall is a market that merchants are looked after in, with a client of the platform's.
type stall struct {
	*market
	t   *testing.T
	ctx context.Context
	url string
	c   *client.Client
}

func newStall(t *testing.T) *stall {
	m := newMarket()
	m.commerce.Pages = "https://pay.example"
	m.commerce.NewAppKey = func(io.Reader) ([]byte, string, error) {
		der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
		return der, publicKeyText(string(publicDER())), err
	}
	m.commerce.Endpoint = func(url string) error {
		if strings.Contains(url, "//10.") {
			return errors.New("10.0.0.1 is not an address of the open internet")
		}
		return nil
	}
	server := httptest.NewServer(asDocumented(t, m.api()))
	t.Cleanup(server.Close)
	return &stall{m, t, t.Context(), server.URL, newClient(t, server.URL, operatorKey)}
}

func (s *stall) need(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stall) refused(want string, err error) {
	s.t.Helper()
	if got := refusedAs(err); got != want || errors.Is(err, client.ErrUnknown) {
		s.t.Errorf("refused as %q (%v), want %q", got, err, want)
	}
}

// field is the member at fault that a refusal names.
func field(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

func (s *stall) sale(number string, amount holdfast.Amount) client.NewTrade {
	return client.NewTrade{Merchant: s.merchant, OutTradeNo: number, Amount: amount, Asset: cny, Subject: "tea"}
}

func TestMerchantsFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	id := must(ownerOf(11))
	asked := client.NewMerchant{ID: id, Name: "Noodles", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: client.Fee{BasisPoints: 38, Fixed: 2}, Payee: "acct-7"}
	for range 2 {
		v, err := c.RegisterMerchant(ctx, asked)
		if s.need(err); v.ID != id || v.Name != "Noodles" || v.Fee != asked.Fee || v.Payee != "acct-7" || v.RefundDays != 365 || v.Registered.IsZero() || v.Blocked {
			t.Fatalf("registered: %+v", v)
		}
	}
	other := asked
	other.Name = "Rice"
	s.refused("merchant-exists", only(c.RegisterMerchant(ctx, other)))
	other.ID = must(holdfast.NewOwner(11, 12))
	s.refused("owner-not-issued", only(c.RegisterMerchant(ctx, other)))
	if _, err := c.RegisterMerchant(ctx, other); field(err) != "id" {
		t.Errorf("the number that nobody has issued stands in %q", field(err))
	}
	s.refused("merchant-unknown", only(c.Merchant(ctx, must(ownerOf(50)))))
	if v, err := c.SetFee(ctx, id, client.Fee{BasisPoints: 10}); err != nil || v.Fee != (client.Fee{BasisPoints: 10}) {
		t.Errorf("fee: %+v %v", v, err)
	}
	if v, err := c.BlockMerchant(ctx, id, true); err != nil || !v.Blocked {
		t.Errorf("blocked: %+v %v", v, err)
	}
	blocked := s.sale("N-1", 100)
	blocked.Merchant = id
	s.refused("seller-blocked", only(c.CreateTrade(ctx, blocked)))
	s.need(only(c.BlockMerchant(ctx, id, false)))
	usd := holdfast.MustAsset("USD")
	s.refused("asset-invalid", only(c.MerchantBalance(ctx, id, usd)))
	if b, err := c.OpenCurrency(ctx, id, usd); err != nil || b != (client.MerchantBalance{Asset: usd}) {
		t.Errorf("opened: %+v %v", b, err)
	}
	for _, shop := range []client.Shop{{ID: "west"}, {ID: "east", Name: "East Gate", Tills: []string{"1", "2"}}} {
		if v, err := c.PutShop(ctx, id, shop); err != nil || v.ID != shop.ID {
			t.Errorf("shop: %+v %v", v, err)
		}
	}
	shops, next, err := c.Shops(ctx, id, "", 1)
	if s.need(err); len(shops) != 1 || shops[0].Name != "East Gate" || len(shops[0].Tills) != 2 || next != "east" {
		t.Errorf("shops: %+v %q", shops, next)
	}
	if shops, next, err = c.Shops(ctx, id, next, 1); err != nil || len(shops) != 1 || shops[0].ID != "west" || next != "" {
		t.Errorf("shops: %+v %q %v", shops, next, err)
	}
	s.refused("shop-unknown", only(c.Shop(ctx, id, "north")))
	if v, err := c.Shop(ctx, id, "east"); err != nil || v.Name != "East Gate" {
		t.Errorf("shop: %+v %v", v, err)
	}
}

func TestAppsFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	s.refused("malformed", only(c.PutApp(ctx, s.merchant, client.AppChange{Number: 1})))
	s.refused("malformed", only(c.PutApp(ctx, s.merchant, client.AppChange{PublicKey: "bm8ga2V5"})))
	good := base64.StdEncoding.EncodeToString(publicDER()) // as the key tools of Alipay write it
	s.refused("malformed", only(c.PutApp(ctx, s.merchant, client.AppChange{PublicKey: good, Permissions: []string{"everything"}})))
	s.refused("malformed", only(c.PutApp(ctx, s.merchant, client.AppChange{PublicKey: good, Notify: "https://10.0.0.1/cb"})))
	app, err := c.PutApp(ctx, s.merchant, client.AppChange{Number: 1, PublicKey: good, Notify: "https://shop.example/cb"})
	s.need(err)
	if app.ID != pay.AppID(s.merchant, 1) || app.Number != 1 || app.Merchant != s.merchant || slices.Contains(app.Permissions, "payout") || slices.Contains(app.Permissions, "all") || len(app.Permissions) != len(pay.Permissions())-4 || app.Notify != "https://shop.example/cb" || app.Disabled {
		t.Errorf("app: %+v", app)
	}
	for _, text := range []string{app.PublicKey, app.PlatformPublicKey} {
		block, _ := pem.Decode([]byte(text))
		if block == nil || string(block.Bytes) != string(publicDER()) {
			t.Errorf("no public key: %q", text)
		}
	}
	again, err := c.PutApp(ctx, s.merchant, client.AppChange{Number: 1, Notify: "https://shop.example/2", Permissions: []string{"order", "bill"}})
	if s.need(err); again.PublicKey != app.PublicKey || again.PlatformPublicKey != app.PlatformPublicKey || again.Notify != "https://shop.example/2" || len(again.Permissions) != 2 {
		t.Errorf("changed: %+v", again)
	}
	if list, err := c.Apps(ctx, s.merchant); err != nil || len(list) != 1 || list[0].ID != app.ID {
		t.Errorf("apps: %+v %v", list, err)
	}
	if v, err := c.DisableApp(ctx, s.merchant, app.ID, true); err != nil || !v.Disabled {
		t.Errorf("disabled: %+v %v", v, err)
	}
	if v, err := c.PutApp(ctx, s.merchant, client.AppChange{Number: 1, PublicKey: good}); err != nil || !v.Disabled {
		t.Errorf("a change let a disabled app in again: %+v %v", v, err)
	}
	s.refused("app-unknown", only(c.App(ctx, s.merchant, pay.AppID(s.merchant, 2))))
	s.refused("app-unknown", only(c.App(ctx, s.merchant, pay.AppID(s.alice, 1))))
	s.market.commerce.NewAppKey = nil
	s.refused("not-now", only(c.PutApp(ctx, s.merchant, client.AppChange{Number: 2, PublicKey: good})))
}

func TestTradesFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	waiting := s.sale("T-1", 1000)
	waiting.Shop, waiting.Till, waiting.Passback, waiting.Body = "east", "7", "a=1&b=\"2\"", "tea, 茶"
	for range 2 {
		v, err := c.CreateTrade(ctx, waiting)
		if s.need(err); v.Status != "WAIT_BUYER_PAY" || len(v.TradeNo) != 28 || v.Mode != "plain" || v.Passback != waiting.Passback || v.Body != waiting.Body || v.Till != "7" {
			t.Fatalf("made: %+v", v)
		}
	}
	differs := waiting
	differs.Amount++
	s.refused("trade-context-inconsistent", only(c.CreateTrade(ctx, differs)))
	if v, err := c.CloseTrade(ctx, s.merchant, "T-1"); err != nil || v.Status != "TRADE_CLOSED" || v.Closed.IsZero() {
		t.Errorf("closed: %+v %v", v, err)
	}
	s.refused("trade-status-error", only(c.CloseTrade(ctx, s.merchant, "T-1")))
	s.refused("trade-has-close", only(c.PayTrade(ctx, s.merchant, "T-1", s.alice)))

	paid := s.sale("T-2", 1000)
	paid.Payer = s.alice
	for range 2 {
		v, err := c.CreateTrade(ctx, paid)
		if s.need(err); v.Status != "TRADE_SUCCESS" || v.Payer != s.alice || v.Fee != 6 || v.RefundUntil.Before(v.Paid) {
			t.Fatalf("paid: %+v", v)
		}
	}
	found, err := c.Trade(ctx, s.merchant, "T-2")
	s.need(err)
	if same, err := c.FindTrade(ctx, found.TradeNo); err != nil || same != found {
		t.Errorf("found %+v, %v; want %+v", same, err, found)
	}
	s.refused("trade-not-exist", only(c.FindTrade(ctx, strings.Repeat("9", 28))))
	s.refused("trade-not-exist", only(c.Trade(ctx, s.merchant, "T-3")))
	list, next, err := c.Trades(ctx, s.merchant, "", 1)
	if s.need(err); len(list) != 1 || list[0].OutTradeNo != "T-1" || next == "" {
		t.Errorf("trades: %+v %q", list, next)
	}
	if list, next, err = c.Trades(ctx, s.merchant, next, 1); err != nil || len(list) != 1 || list[0] != found || next != "" {
		t.Errorf("trades: %+v %q %v", list, next, err)
	}

	for want, do := range map[string]string{"nothing": "T-9", "refunded": "T-2", "closed": "T-1"} {
		for range 2 {
			if v, err := c.CancelTrade(ctx, s.merchant, do); err != nil || v.Cancelled != want || v.Status != "TRADE_CLOSED" {
				t.Errorf("cancelled %s: %+v %v", do, v, err)
			}
		}
	}
	s.refused("balance-not-enough", only(c.CreateTrade(ctx, client.NewTrade{
		Merchant: s.merchant, OutTradeNo: "T-4", Amount: startMoney + 1, Asset: cny, Subject: "x", Payer: s.alice,
	})))
	s.refused("merchant-unknown", only(c.CreateTrade(ctx, client.NewTrade{Merchant: must(ownerOf(50)), Amount: 1, Asset: cny, Subject: "x"})))
	s.audit(t)
}

func TestTradesInTheShop(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	qr := s.sale("Q-1", 500)
	qr.QR = true
	first, err := c.CreateTrade(ctx, qr)
	s.need(err)
	second, err := c.CreateTrade(ctx, qr)
	if s.need(err); first.Token == "" || second.Token == first.Token || second.QR != "https://pay.example/q/"+second.Token {
		t.Errorf("tokens: %+v %+v", first, second)
	}
	if v, err := c.OpenCode(ctx, first.Token); err != nil || v.OutTradeNo != "Q-1" || !v.Opened {
		t.Errorf("opened: %+v %v", v, err)
	}
	_, secret, err := c.AddDevice(ctx, s.alice)
	s.need(err)
	show := func() string { return pay.PaymentCode(s.alice, secret, s.commerce.now()) }
	coded := s.sale("C-1", 700)
	coded.PaymentCode = show()
	for range 2 {
		if v, err := c.CreateTrade(ctx, coded); err != nil || v.Payer != s.alice || v.Status != "TRADE_SUCCESS" {
			t.Fatalf("paid with a code: %+v %v", v, err)
		}
	}
	replay := s.sale("C-2", 700)
	replay.PaymentCode = coded.PaymentCode
	_, err = c.CreateTrade(ctx, replay)
	if s.refused("code-used", err); field(err) != "payment_code" {
		t.Errorf("the code at fault stands in %q", field(err))
	}
	replay.PaymentCode = "280000000000000000"
	s.refused("code-invalid", only(c.CreateTrade(ctx, replay)))
	s.audit(t)
}

func TestRefundsFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	paid := s.sale("T-1", 1000)
	paid.Payer = s.bob
	s.need(only(c.CreateTrade(ctx, paid)))
	ask := client.NewRefund{Merchant: s.merchant, OutTradeNo: "T-1", OutRequestNo: "R-1", Amount: 400, Reason: "cold", Clerk: "Li"}
	var first client.Refund
	for i := range 2 {
		v, err := c.Refund(ctx, ask)
		if s.need(err); v.Amount != 400 || v.FeeReturned != 2 || v.Trade.Refunded != 400 || v.Reason != "cold" || v.Clerk != "Li" || i > 0 && v != first {
			t.Fatalf("refunded: %+v, first %+v", v, first)
		}
		first = v
	}
	if v, err := c.RefundOf(ctx, s.merchant, "T-1", "R-1"); err != nil || v != first {
		t.Errorf("read: %+v %v", v, err)
	}
	if _, err := c.RefundOf(ctx, s.merchant, "T-1", "R-2"); !client.IsNotFound(err) {
		t.Errorf("a refund that was never made: %v", err)
	}
	ask.Amount = 401
	s.refused("request-discordant", only(c.Refund(ctx, ask)))
	ask.OutRequestNo, ask.Amount = "R-2", 601
	_, err := c.Refund(ctx, ask)
	if s.refused("refund-exceeds-rest", err); field(err) != "amount" {
		t.Errorf("the amount at fault stands in %q", field(err))
	}
	ask.Amount = 600
	s.need(only(c.Refund(ctx, ask)))
	list, next, err := c.Refunds(ctx, s.merchant, "T-1", "", 1)
	if s.need(err); len(list) != 1 || list[0].OutRequestNo != "R-1" || next != "R-1" {
		t.Errorf("refunds: %+v %q", list, next)
	}
	s.refused("trade-has-close", only(c.Refund(ctx, client.NewRefund{Merchant: s.merchant, OutTradeNo: "T-1", Amount: 1})))
	s.audit(t)
}

func TestEscrowSplitsAndAuthorisations(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	escrow := s.sale("E-1", 1000)
	escrow.Mode, escrow.Payer = "escrow", s.alice
	s.need(only(c.CreateTrade(ctx, escrow)))
	if v, err := c.Escrow(ctx, s.merchant, "E-1"); err != nil || v.Held != 1000 || v.Protection != "held" {
		t.Errorf("held: %+v %v", v, err)
	}
	if v, err := c.Ship(ctx, s.merchant, "E-1", 96*time.Hour); err != nil || v.Protection != "shipped" || v.Deadline.IsZero() {
		t.Errorf("shipped: %+v %v", v, err)
	}
	_, err := c.Ship(ctx, s.merchant, "E-1", time.Minute)
	if s.refused("field-invalid", err); field(err) != "within_s" {
		t.Errorf("the time at fault stands in %q", field(err))
	}
	for range 2 {
		if v, err := c.ReleaseEscrow(ctx, s.merchant, "E-1", 300); err != nil || v.Released != 300 || v.Held != 700 {
			t.Errorf("released: %+v %v", v, err)
		}
	}
	s.refused("escrow-exceeds-rest", only(c.ReleaseEscrow(ctx, s.merchant, "E-1", 1001)))
	s.refused("escrow-status-error", only(c.DecideEscrow(ctx, s.merchant, "E-1", 100)))
	s.need(only(c.DisputeEscrow(ctx, s.merchant, "E-1", s.alice)))
	s.refused("escrow-disputed", only(c.ReleaseEscrow(ctx, s.merchant, "E-1", 400)))
	for range 2 {
		if v, err := c.DecideEscrow(ctx, s.merchant, "E-1", 0); err != nil || v.Protection != "ended" || v.Refunded != 700 {
			t.Errorf("decided: %+v %v", v, err)
		}
	}
	plain := s.sale("E-2", 1000)
	plain.Payer = s.alice
	s.need(only(c.CreateTrade(ctx, plain)))
	s.refused("escrow-none", only(c.Escrow(ctx, s.merchant, "E-2")))

	split := client.NewSplit{Merchant: s.merchant, OutTradeNo: "E-2", OutRequestNo: "S-1", Shares: []client.Share{{To: s.bob, Amount: 100, Text: "rent"}}}
	for range 2 {
		v, err := c.Split(ctx, split)
		if s.need(err); v.Trade.Shared != 100 || len(v.Shares) != 1 || v.Shares[0] != (client.Share{To: s.bob, Amount: 100, Text: "rent", Paid: true}) {
			t.Errorf("split: %+v", v)
		}
	}
	split.OutRequestNo, split.Shares[0].Amount = "S-2", 1000
	s.refused("split-exceeds-rest", only(c.Split(ctx, split)))
	split.Shares = []client.Share{{To: must(ownerOf(50)), Amount: 1}}
	s.refused("split-receiver-invalid", only(c.Split(ctx, split)))

	auth := client.NewAuthorisation{Merchant: s.merchant, OutOrderNo: "A-1", Title: "room", Amount: 900, Asset: cny}
	for range 2 {
		if v, err := c.OpenAuthorisation(ctx, auth); err != nil || v.Status != "INIT" || v.OutRequestNo != "A-1" {
			t.Errorf("opened: %+v %v", v, err)
		}
	}
	s.refused("auth-status-error", only(c.Unfreeze(ctx, s.merchant, "A-1", "U-0", 1)))
	s.need(only(c.Authorise(ctx, s.merchant, "A-1", s.alice, "")))
	take := s.sale("A-T", 500)
	take.Authorisation = "A-1"
	if v, err := c.CreateTrade(ctx, take); err != nil || v.Authorisation == "" || v.Payer != s.alice {
		t.Errorf("paid from it: %+v %v", v, err)
	}
	for range 2 {
		if v, err := c.Unfreeze(ctx, s.merchant, "A-1", "U-1", 100); err != nil || v.Rest != 300 || v.Paid != 500 {
			t.Errorf("released: %+v %v", v, err)
		}
	}
	if op, err := c.AuthorisationOperation(ctx, s.merchant, "A-1", "U-1"); err != nil || op.Kind != "unfreeze" || op.Amount != 100 {
		t.Errorf("operation: %+v %v", op, err)
	}
	if _, err := c.AuthorisationOperation(ctx, s.merchant, "A-1", "U-9"); !client.IsNotFound(err) {
		t.Errorf("an operation that never was: %v", err)
	}
	rest := s.sale("A-U", 100)
	rest.Authorisation, rest.Complete = "A-1", true
	s.need(only(c.CreateTrade(ctx, rest)))
	if v, err := c.Authorisation(ctx, s.merchant, "A-1"); err != nil || v.Status != "FINISH" || v.Rest != 0 || v.Paid != 600 {
		t.Errorf("finished: %+v %v", v, err)
	}
	rest.OutTradeNo = "A-V"
	s.refused("auth-amount-not-enough", only(c.CreateTrade(ctx, rest)))
	s.audit(t)
}

func TestSettlementsAndEventsFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	for i := range 3 {
		paid := s.sale(fmt.Sprintf("T-%d", i), 1000)
		paid.Payer, paid.Passback = s.alice, "p"
		s.need(only(c.CreateTrade(ctx, paid)))
	}
	var all []client.Event
	for cursor := ""; ; {
		page, next, err := c.Events(ctx, s.merchant, cursor, 2)
		s.need(err)
		if all = append(all, page...); len(page) == 0 {
			if next != cursor {
				t.Errorf("nothing has happened, and the cursor is %q, not %q", next, cursor)
			}
			break
		}
		cursor = next
	}
	if len(all) != 3 || all[0].Type != "trade.paid" || all[0].Data.OutTradeNo != "T-0" || all[2].Data.Fee != 6 || all[2].Data.Effect != 994 || all[1].Data.Passback != "p" || all[1].Data.Other != s.alice {
		t.Errorf("events: %+v", all)
	}
	if since, next, err := c.EventsSince(ctx, s.merchant, all[1].Time, 5); err != nil || len(since) != 2 || since[0] != all[1] || next != all[2].ID {
		t.Errorf("since the second: %+v %q %v", since, next, err)
	}
	if since, _, err := c.EventsSince(ctx, s.merchant, all[2].Time.Add(1), 5); err != nil || len(since) != 0 {
		t.Errorf("since the last: %+v %v", since, err)
	}
	if e, err := c.Event(ctx, all[1].ID); err != nil || e != all[1] {
		t.Errorf("read: %+v %v, want %+v", e, err, all[1])
	}
	s.refused("event-unknown", only(c.Event(ctx, all[1].ID[:len(all[1].ID)-1]+"g")))
	s.refused("malformed", only(c.Event(ctx, "1-2")))
	if _, _, err := c.Events(ctx, s.merchant, strings.Replace(all[0].ID, s.merchant.String(), s.alice.String(), 1), 1); field(err) != "cursor" {
		t.Errorf("a cursor of another merchant: %v", err)
	}
	const day = "2026-11-27"
	s.refused("day-not-over", only(c.Settle(ctx, s.merchant, day)))
	s.refused("field-invalid", only(c.Settle(ctx, s.merchant, "yesterday")))
	if list, err := c.Settlement(ctx, s.merchant, day); err != nil || len(list) != 0 {
		t.Errorf("not settled yet: %+v %v", list, err)
	}
	later := marketOpens.Add(24 * time.Hour)
	s.commerce.Now = func() time.Time { later = later.Add(time.Millisecond); return later }
	for range 2 {
		list, err := c.Settle(ctx, s.merchant, day)
		if s.need(err); len(list) != 1 || list[0].Payments != 3 || list[0].Paid != 3000 || list[0].Fees != 18 || list[0].Payout != 2982 || list[0].Merchant != s.merchant {
			t.Fatalf("settled: %+v", list)
		}
		if read, err := c.Settlement(ctx, s.merchant, day); err != nil || len(read) != 1 || read[0] != list[0] {
			t.Errorf("read: %+v %v", read, err)
		}
	}
	if list, next, err := c.Settlements(ctx, s.merchant, "", 5); err != nil || len(list) != 1 || list[0].Day != day || next != "" {
		t.Errorf("settlements: %+v %q %v", list, next, err)
	}
	for from, want := range map[string]int{day: 1, "2026-11-28": 0, "2026-01-01": 1} {
		if list, _, err := c.SettlementsFrom(ctx, s.merchant, from, 5); err != nil || len(list) != want {
			t.Errorf("settlements from %s: %+v %v, want %d", from, list, err, want)
		}
	}
	file, err := c.StatementFile(ctx, s.merchant, day)
	if lines := strings.Split(strings.TrimSpace(string(file)), "\n"); err != nil || len(lines) != 5 || !strings.Contains(lines[1], "T-0") || !strings.HasPrefix(lines[4], day+",total,") {
		t.Errorf("file: %s %v", file, err)
	}
	s.refused("field-invalid", only(c.StatementFile(ctx, s.merchant, "yesterday")))
	if b, err := c.MerchantBalance(ctx, s.merchant, cny); err != nil || b.Settlement != 0 || b.Outgoing != 2982 || b.Fees != 18 {
		t.Errorf("balance: %+v %v", b, err)
	}
}

func TestWebhooksFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx := s.c, s.ctx
	s.refused("malformed", only2(c.CreateWebhook(ctx, s.merchant, "http://10.0.0.1/hooks")))
	s.refused("malformed", only2(c.CreateWebhook(ctx, s.merchant, "https://shop.example/hooks", "trade.everything")))
	s.refused("merchant-unknown", only2(c.CreateWebhook(ctx, must(ownerOf(50)), "https://shop.example/hooks")))
	w, secret, err := c.CreateWebhook(ctx, s.merchant, "https://shop.example/hooks", "trade.paid", "refund.done")
	if s.need(err); !strings.HasPrefix(secret, "whsec_") || len(w.Types) != 2 || w.Disabled || w.Merchant != s.merchant {
		t.Fatalf("made: %+v %q", w, secret)
	}
	other, off := "https://shop.example/2", true
	changed, err := c.ChangeWebhook(ctx, s.merchant, w.ID, client.WebhookChange{URL: &other, Disabled: &off, Types: &[]string{}})
	if s.need(err); changed.URL != other || !changed.Disabled || len(changed.Types) != 0 {
		t.Errorf("changed: %+v", changed)
	}
	private := "https://10.0.0.1/"
	s.refused("malformed", only(c.ChangeWebhook(ctx, s.merchant, w.ID, client.WebhookChange{URL: &private})))
	off = false
	s.need(only(c.ChangeWebhook(ctx, s.merchant, w.ID, client.WebhookChange{Disabled: &off})))
	if list, err := c.Webhooks(ctx, s.merchant); err != nil || len(list) != 1 || list[0].URL != other {
		t.Errorf("webhooks: %+v %v", list, err)
	}
	if again, err := c.RotateWebhookSecret(ctx, s.merchant, w.ID); err != nil || again == secret || !strings.HasPrefix(again, "whsec_") {
		t.Errorf("the secret is %q again, or %v", again, err)
	}
	s.refused("endpoint-unknown", only(c.Webhook(ctx, s.merchant, "we0")))

	// The same request again makes nothing, and answers the same.
	body := `{"merchant":"` + s.merchant.String() + `","url":"https://shop.example/3"}`
	var first string
	for i, want := range []int{http.StatusCreated, http.StatusOK} {
		status, _, text := ask(t, s.api(), "POST", "/v1/webhooks", operatorKey, body, "Idempotency-Key", "hook-1")
		if status != want || i > 0 && text != first {
			t.Errorf("time %d: %d %s", i+1, status, text)
		}
		first = text
	}
	status, header, text := ask(t, s.api(), "POST", "/v1/webhooks", operatorKey, body)
	if p := problemIn(t, header, text); status != http.StatusBadRequest || p.Field != "Idempotency-Key" {
		t.Errorf("without a number: %d %s", status, text)
	}

	paid := s.sale("T-1", 1000)
	paid.Payer = s.alice
	s.need(only(c.CreateTrade(ctx, paid)))
	events, _, err := c.Events(ctx, s.merchant, "", 9)
	s.need(err)
	stamp := strings.TrimPrefix(events[0].ID, s.merchant.String()+"-")
	d, err := c.Redeliver(ctx, s.merchant, stamp+":"+w.ID)
	if s.need(err); d.Event != events[0].ID || d.Target != w.ID || d.Next.IsZero() || d.Done || d.Type != "trade.paid" {
		t.Errorf("redelivered: %+v", d)
	}
	if list, next, err := c.Deliveries(ctx, s.merchant, "", 1); err != nil || len(list) != 1 || list[0] != d {
		t.Errorf("deliveries: %+v %q %v", list, next, err)
	} else if rest, _, err := c.Deliveries(ctx, s.merchant, next, 1); next != "" && (err != nil || len(rest) != 0) {
		t.Errorf("behind the last one: %+v %v", rest, err)
	}
	if v, err := c.Delivery(ctx, s.merchant, d.ID); err != nil || v != d {
		t.Errorf("delivery: %+v %v", v, err)
	}
	s.refused("delivery-unknown", only(c.Delivery(ctx, s.merchant, stamp+":notice")))
	s.refused("delivery-unknown", only(c.Redeliver(ctx, s.merchant, stamp+":notice"))) // the trade named no address
	s.refused("endpoint-unknown", only(c.Redeliver(ctx, s.merchant, stamp+":we0123456789abcdef")))
	s.need(c.RemoveWebhook(ctx, s.merchant, w.ID))
	s.need(c.RemoveWebhook(ctx, s.merchant, w.ID))
	s.refused("endpoint-unknown", only(c.Webhook(ctx, s.merchant, w.ID)))
}

func only2[T, U any](_ T, _ U, err error) error { return err }

// TestEventsAreWhatWebhooksGet: who reads them and who is told of them sees the same.
func TestEventsAreWhatWebhooksGet(t *testing.T) {
	s := newStall(t)
	paid := s.sale("T-1", 1000)
	paid.Payer, paid.Shop, paid.Till, paid.Clerk, paid.Passback = s.alice, "east", "7", "Li", "p"
	s.need(only(s.c.CreateTrade(s.ctx, paid)))
	s.need(only(s.c.Refund(s.ctx, client.NewRefund{Merchant: s.merchant, OutTradeNo: "T-1", Amount: 400})))
	list, err := s.commerce.Cashier.Events(s.ctx, s.merchant, "", 9)
	if s.need(err); len(list) != 2 {
		t.Fatalf("events: %+v", list)
	}
	for i := range list {
		read, told := must(json.Marshal(eventBodyOf(&list[i]))), must(json.Marshal(backoffice.EventOf(&list[i])))
		if string(read) != string(told) {
			t.Errorf("read: %s\ntold: %s", read, told)
		}
	}
}

func TestReconciliationFromClientToBooks(t *testing.T) {
	s := newStall(t)
	c, ctx, cashier := s.c, s.ctx, s.commerce.Cashier
	for _, id := range []string{"c1", "c2"} {
		s.need(cashier.PutCase(ctx, pay.Case{
			ID: id, Account: "test/CNY", Key: "k", Kind: 1, Count: 1, Asset: cny, Amount: 500, Progress: pay.CaseOpen, Since: s.commerce.now(),
			Bank: &pay.CaseSide{Ref: "B-1", Amount: 500, Asset: cny, Other: "6222000000000001"},
		}, s.commerce.now()))
	}
	list, next, err := c.Cases(ctx, "", 1)
	if s.need(err); len(list) != 1 || list[0].ID != "c1" || next != "c1" || list[0].Bank == nil || list[0].Bank.Amount != 500 || list[0].Ledger != nil || list[0].Progress != "open" {
		t.Errorf("cases: %+v %q", list, next)
	}
	if v, err := c.ExplainCase(ctx, "c1", "asked the bank"); err != nil || v.Progress != "explained" || v.Why != "asked the bank" {
		t.Errorf("explained: %+v %v", v, err)
	}
	if v, err := c.CloseCase(ctx, "c1", "booked twice by the bank"); err != nil || v.Progress != "closed" || v.Closed.IsZero() {
		t.Errorf("closed: %+v %v", v, err)
	}
	_, err = c.CloseCase(ctx, "c1", "booked twice by the bank") // again: the same note
	s.need(err)
	v, err := c.Case(ctx, "c1")
	if err != nil || v.Progress != "closed" || len(v.Notes) != 2 || v.Notes[0].By == "" || v.Notes[0].Why != "asked the bank" || v.Notes[0].Progress != "explained" ||
		v.Notes[1].Why != "booked twice by the bank" || v.Notes[1].Time.IsZero() {
		t.Errorf("read: %+v %v", v, err)
	}
	s.need(cashier.PutCase(ctx, pay.Case{ID: "c1", Account: "test/CNY", Key: "k", Kind: 1, Asset: cny, Amount: 501, Progress: pay.CaseOpen}, s.commerce.now()))
	if v, err := c.Case(ctx, "c1"); err != nil || v.Progress != "open" || len(v.Notes) != 2 {
		t.Errorf("what was said is gone when something else is to be seen: %+v %v", v, err)
	}
	s.need(only(c.CloseCase(ctx, "c1", "booked twice by the bank")))
	if list, _, err := c.Cases(ctx, "", 9); err != nil || len(list) != 1 || list[0].ID != "c2" {
		t.Errorf("cases left: %+v %v", list, err)
	}
	s.refused("field-invalid", only(c.CloseCase(ctx, "c2", "")))
	s.refused("case-unknown", only(c.Case(ctx, "c3")))
	_, _, text := ask(t, s.api(), "GET", "/v1/reconciliation/cases/c2", readerKey, "")
	if strings.Contains(text, "6222000000000001") {
		t.Errorf("the number of somebody's account is shown: %s", text)
	}

	in, err := cashier.Deposited(ctx, pay.Deposit{Via: "test", Ref: "B-2", Asset: cny, Amount: 700, Text: "for alice", At: s.commerce.now()}, s.commerce.now())
	s.need(err)
	deposits, _, err := c.Deposits(ctx, "", 9)
	if s.need(err); len(deposits) != 1 || deposits[0].ID != in.ID || deposits[0].Amount != 700 || deposits[0].Status != "unassigned" || deposits[0].Text != "for alice" {
		t.Errorf("deposits: %+v", deposits)
	}
	for range 2 {
		if v, err := c.AssignDeposit(ctx, in.ID, s.alice); err != nil || v.Status != "assigned" || v.Owner != s.alice {
			t.Errorf("assigned: %+v %v", v, err)
		}
	}
	s.refused("order-status-error", only(c.AssignDeposit(ctx, in.ID, s.bob)))
	s.refused("order-not-exist", only(c.AssignDeposit(ctx, "nothing", s.bob)))
	s.refused("malformed", only(c.AssignDeposit(ctx, in.ID, 0)))
	if w, err := c.Wallet(ctx, s.alice, cny); err != nil || w.Available != startMoney+700 {
		t.Errorf("wallet: %+v %v", w, err)
	}
}

// TestLongAnswers: one that is too long to be kept is sent on the way, and one that breaks then does not look whole.
func TestLongAnswers(t *testing.T) {
	piece := strings.Repeat("x", 300<<10)
	for _, row := range []struct {
		pieces int
		fails  bool
	}{{1, false}, {10, false}, {1, true}, {10, true}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := takeExchange(w, r)
			defer x.release()
			f := longAnswer{x: x, contentType: csvType}
			for range row.pieces {
				if _, err := f.Write([]byte(piece)); err != nil {
					t.Error(err)
				}
			}
			if !row.fails {
				if err := f.end(); err != nil {
					t.Error(err)
				}
				return
			}
			if err := x.refuse(f.broken(edgeNotNow.problem("")), false); err == nil && row.pieces > 9 {
				t.Error("what broke off was not told")
			}
		}))
		resp, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		whole := resp.StatusCode == http.StatusOK && err == nil && len(body) == row.pieces*len(piece)
		if whole == row.fails {
			t.Errorf("%+v: status %d, %d bytes, %v", row, resp.StatusCode, len(body), err)
		}
	}
}

// TestAKeyOfAMerchantIsMadeOnceForARequest: whoever did not hear the answer asks again and has the key, and not one more that nobody knows.
func TestAKeyOfAMerchantIsMadeOnceForARequest(t *testing.T) {
	s := newStall(t)
	api, path := s.api(), "/v1/merchants/"+s.merchant.String()+"/keys"
	issue := func(number, name string) (status int, k issuedKeyBody) {
		status, _, body := ask(t, api, "POST", path, operatorKey, `{"name":"`+name+`"}`, "Idempotency-Key", number)
		if status == http.StatusCreated {
			s.need(json.Unmarshal([]byte(body), &k))
		}
		return status, k
	}
	status, first := issue("k-1", "till")
	again, second := issue("k-1", "till")
	if status != 201 || again != 201 || first != second || first.Secret == "" {
		t.Errorf("%d %d: not the same key twice", status, again)
	}
	if status, _ := issue("k-1", "office"); status != http.StatusConflict {
		t.Errorf("the same number for another key: %d", status)
	}
	if _, other := issue("k-2", "till"); other.ID == first.ID || other.Secret == first.Secret {
		t.Error("two requests have one key")
	}
	if list, err := s.c.MerchantKeys(s.ctx, s.merchant); err != nil || len(list) != 2 {
		t.Errorf("keys: %+v %v", list, err)
	}
	s.need(only(newClient(t, s.url, second.Secret).Merchant(s.ctx, s.merchant)))
}

// TestKeysOfMerchants: a merchant's key opens what is his, and nothing else.
func TestKeysOfMerchants(t *testing.T) {
	s := newStall(t)
	ctx := s.ctx
	k, secret, err := s.c.IssueMerchantKey(ctx, s.merchant, "the shop's server")
	s.need(err)
	his := newClient(t, s.url, secret)
	v, err := his.CreateTrade(ctx, client.NewTrade{OutTradeNo: "K-1", Amount: 100, Asset: cny, Subject: "tea"}) // his own number may be left out
	if s.need(err); v.Merchant != s.merchant {
		t.Errorf("made: %+v", v)
	}
	s.need(only(his.Merchant(ctx, s.merchant)))
	s.need(only(his.MerchantBalance(ctx, s.merchant, cny)))
	s.need(only(his.FindTrade(ctx, v.TradeNo)))
	taking := s.sale("K-2", 100)
	taking.Payer = s.alice
	_, err = his.CreateTrade(ctx, taking)
	if s.refused("forbidden", err); field(err) != "payer" {
		t.Errorf("a merchant took money out of a wallet: %v", err)
	}
	s.refused("forbidden", only(his.PayTrade(ctx, s.merchant, "K-1", s.alice)))
	s.refused("forbidden", only(his.DecideEscrow(ctx, s.merchant, "K-1", 1)))
	s.refused("forbidden", only(his.SetFee(ctx, s.merchant, client.Fee{})))
	s.refused("forbidden", only(his.Customer(ctx, s.alice)))
	s.refused("forbidden", only(his.MerchantKeys(ctx, s.merchant)))
	s.refused("forbidden", only(his.PutApp(ctx, s.merchant, client.AppChange{PublicKey: base64.StdEncoding.EncodeToString(publicDER())})))
	s.need(only(s.c.PutApp(ctx, s.merchant, client.AppChange{PublicKey: base64.StdEncoding.EncodeToString(publicDER())})))
	s.need(only(his.PutApp(ctx, s.merchant, client.AppChange{Notify: "https://shop.example/cb"})))
	s.refused("forbidden", only(his.PutApp(ctx, s.merchant, client.AppChange{Permissions: []string{"payout"}})))

	list, err := s.c.MerchantKeys(ctx, s.merchant)
	if s.need(err); len(list) != 1 || list[0] != k {
		t.Errorf("keys: %+v, want %+v", list, k)
	}
	s.need(s.c.RevokeMerchantKey(ctx, s.merchant, k.ID))
	s.need(only(his.Merchant(ctx, s.merchant))) // the site that knows it takes it for some seconds more
	later := s.commerce.now() + sellerLife
	s.commerce.Now = func() time.Time { return later.Std() }
	s.refused("unauthenticated", only(his.Merchant(ctx, s.merchant)))
	s.refused("unauthenticated", only(newClient(t, s.url, secret[:len(secret)-1]+"1").Merchant(ctx, s.merchant)))
}

// TestKeysOfMerchantsOpenNothingElse goes through every operation there is: with the key of another merchant it is refused, or it is one that needs no key.
func TestKeysOfMerchantsOpenNothingElse(t *testing.T) {
	m := newMarket()
	other := must(ownerOf(11))
	must(m.commerce.Cashier.RegisterMerchant(t.Context(), pay.MerchantAsk{Owner: other, Name: "x", Zone: "Asia/Shanghai"}, m.commerce.now()))
	_, secret, err := m.commerce.Cashier.IssueKey(t.Context(), other, "", [pay.KeyBytes]byte{1}, m.commerce.now())
	if err != nil {
		t.Fatal(err)
	}
	m.offer("T-1", 1, pay.Plain)
	trade := must(m.commerce.Cashier.Query(t.Context(), m.merchant, "T-1", m.commerce.now()))
	api, forbidden := m.api(), 0
	for name, op := range theDocument().ops {
		path := concrete(op.Path)
		for _, p := range op.Parameters {
			switch {
			case p.Name == "merchant" && p.In == "query":
				path += "?merchant=" + m.merchant.String()
			case p.Name == "trade_no":
				path += "&trade_no=" + trade.TradeNo
			}
		}
		status, _, body := ask(t, api, op.Method, path, secret, bodies[op.Path])
		if free := len(op.Security) > 0 && len(op.Security[0]) == 0; free != (status != http.StatusForbidden) {
			t.Errorf("%s with the key of another merchant: %d %s", name, status, body)
		}
		if status == http.StatusForbidden {
			forbidden++
		}
	}
	if forbidden < 80 {
		t.Errorf("only %d operations were tried", forbidden)
	}
}

// TestTradesAreWrittenAsDocumented: what is written by hand is what the types say.
func TestTradesAreWrittenAsDocumented(t *testing.T) {
	at := holdfast.TimeOf(marketOpens)
	whole := pay.Trade{
		Merchant: must(ownerOf(1)), OutTradeNo: "T-1", TradeNo: strings.Repeat("2", 28), Status: pay.StatusSuccess, Until: at + 1, Created: at, Opened: true,
		TradeOffer: pay.TradeOffer{
			Amount: 7, Asset: cny, Mode: pay.Protected, Buyer: must(ownerOf(2)), Subject: "茶 <\"\\\n\x01>", Body: "b", Passback: "p", Shop: "s", Till: "t", Clerk: "c", App: "a",
		},
		Payer: must(ownerOf(2)), Paid: at + 2, Closed: at + 3, AuthNo: strings.Repeat("3", 28), RefundUntil: at + 4, FeeTaken: 1, FeeBack: 2, Refunded: 3, Shared: 4,
		Kept: 5, Released: 6, Protection: pay.Shipped, Deadline: at + 5,
	}
	unpaid := whole
	unpaid.Payer, unpaid.Subject = 0, "\xff"
	for _, v := range []pay.Trade{whole, unpaid, {Merchant: whole.Merchant, OutTradeNo: "T-2", TradeNo: whole.TradeNo, Status: pay.StatusClosed, Created: at}} {
		var byHand, byType map[string]any
		if err := json.Unmarshal(appendTrade(nil, &v), &byHand); err != nil {
			t.Fatalf("%s: %v", appendTrade(nil, &v), err)
		}
		if err := json.Unmarshal(must(json.Marshal(tradeBodyOf(&v))), &byType); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(byHand, byType) {
			t.Errorf("by hand %v\nby type %v", byHand, byType)
		}
	}
}

func TestRequestsOfMerchantsAreReadStrictly(t *testing.T) {
	s := newStall(t)
	api := s.api()
	app, err := s.c.PutApp(s.ctx, s.merchant, client.AppChange{PublicKey: base64.StdEncoding.EncodeToString(publicDER())})
	s.need(err)
	m := `"merchant":"` + s.merchant.String() + `",`
	trade := func(rest string) string {
		return `{` + m + `"out_trade_no":"X","amount":1,"asset":"CNY","subject":"x"` + rest + `}`
	}
	for _, row := range []struct{ path, body, code, field string }{
		{"/v1/trades", `{"amount":1,"asset":"CNY","subject":"x","out_trade_no":"X"}`, "malformed", "merchant"},
		{"/v1/trades", trade(`,"mode":"both"`), "malformed", "mode"},
		{"/v1/trades", trade(`,"pay_until":"noon"`), "malformed", "pay_until"},
		{"/v1/trades", trade(`,"pay_until":"2026-11-27T09:00:00Z"`), "time-invalid", "pay_until"},
		{"/v1/trades", trade(`,"payer":"` + s.alice.String() + `","qr":true`), "malformed", "payer"},
		{"/v1/trades", trade(`,"complete":true`), "malformed", "complete"},
		{"/v1/trades", trade(`,"app":"2021000000019999"`), "malformed", "app"},
		{"/v1/trades", trade(`,"app":"` + app.ID + `","notify":"http://10.0.0.1/"`), "malformed", "notify"},
		{"/v1/trades", trade(`,"notify":"https://shop.example/cb"`), "malformed", "notify"},                                              // nobody signs it
		{"/v1/trades", trade(`,"app":"` + pay.AppID(s.merchant, 7) + `","notify":"https://shop.example/cb"`), "malformed", "app"},        // is not there
		{"/v1/trades", trade(`,"app":"` + pay.AppID(must(ownerOf(40)), 0) + `","notify":"https://shop.example/cb"`), "malformed", "app"}, // another merchant's
		{"/v1/authorisations", `{` + m + `"out_order_no":"A","title":"x","amount":1,"asset":"CNY","notify":"https://shop.example/cb"}`, "malformed", "notify"},
		{"/v1/authorisations", `{` + m + `"out_order_no":"A","title":"x","amount":1,"asset":"CNY","app":"` + pay.AppID(s.merchant, 7) + `"}`, "malformed", "app"},
		{"/v1/trades", trade(`,"amount":2`), "malformed", "amount"},
		{"/v1/trades", trade(`,"extra":2`), "malformed", "extra"},
		{"/v1/trades", `{` + m + `"amount":1,"asset":"CNY","subject":"x"}`, "malformed", "out_trade_no"},
		{"/v1/trades", `{` + m + `"out_trade_no":"a/b","amount":1,"asset":"CNY","subject":"x"}`, "number-invalid", "out_trade_no"},
		{"/v1/trades", `{` + m + `"out_trade_no":"X","amount":0,"asset":"CNY","subject":"x"}`, "amount-invalid", "amount"},
		{"/v1/trades", `{` + m + `"out_trade_no":"X","amount":1.5,"asset":"CNY","subject":"x"}`, "malformed", "amount"},
		{"/v1/trades", `{` + m + `"out_trade_no":"X","amount":1,"asset":"CNY"}`, "field-invalid", "subject"},
		{"/v1/refunds", `{` + m + `"out_trade_no":"X","amount":1}`, "malformed", "out_request_no"},
		{"/v1/merchants/" + s.merchant.String() + "/block", `{}`, "malformed", "blocked"},
		{"/v1/merchants/" + s.merchant.String() + "/currencies", `{}`, "malformed", "asset"},
		{"/v1/merchants/" + s.merchant.String() + "/fee", `{"basis_points":10001}`, "malformed", "basis_points"},
		{"/v1/merchants/" + s.merchant.String() + "/shops", `{"id":"a/b"}`, "number-invalid", "id"},
		{"/v1/merchants/" + s.merchant.String() + "/keys/nokey/revoke", `{}`, "field-invalid", "key"},
		{"/v1/merchants/1/block", `{"blocked":true}`, "malformed", "id"},
		{"/v1/escrows/" + s.merchant.String() + "/T/decide", `{}`, "malformed", "to_merchant"},
		{"/v1/escrows/" + s.merchant.String() + "/T/ship", `{}`, "malformed", "within_s"},
		{"/v1/authorisations", `{` + m + `"out_order_no":"A","amount":1,"asset":"CNY","until":"2026-11-27T09:00:00Z"}`, "time-invalid", "until"},
		{"/v1/settlements", `{"day":"2026-11-26"}`, "malformed", "merchant"},
	} {
		status, header, body := ask(t, api, "POST", row.path, operatorKey, row.body)
		if p := problemIn(t, header, body); status >= 500 || p.Code != row.code || p.Field != row.field || p.Detail == "" || p.Outcome == "" || p.Outcome == "unknown" {
			t.Errorf("%s %s: %d %s", row.path, row.body, status, body)
		}
	}
	if status, _, body := ask(t, api, "POST", "/v1/trades", operatorKey, `{`+m+`"out_trade_no":"N","amount":1,"asset":"CNY","subject":"x","app":"`+app.ID+`","notify":"https://shop.example/cb"}`); status != http.StatusCreated {
		t.Errorf("a trade with notices that can be sent: %d %s", status, body)
	}
	s.need(only(s.commerce.Cashier.Close(s.ctx, s.merchant, "N", s.commerce.now())))
	// The Idempotency-Key is the number where the body has none.
	body := `{` + m + `"amount":5,"asset":"CNY","subject":"x","payer":"` + s.alice.String() + `"}`
	for i, want := range []int{http.StatusCreated, http.StatusOK} {
		if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body, "Idempotency-Key", "order-1"); status != want {
			t.Errorf("time %d: %d %s", i+1, status, text)
		}
	}
	if list, _, err := s.commerce.Cashier.Trades(t.Context(), s.merchant, "", 9, s.commerce.now()); err != nil || len(list) != 2 {
		t.Errorf("trades: %+v %v", list, err)
	}
}

// TestWhatIsNotKnownIsSaidToBe: between two shards a lost answer is unknown, and what could not be proposed was not executed.
func TestWhatIsNotKnownIsSaidToBe(t *testing.T) {
	s := newStall(t)
	api := s.api()
	body := func(n string) string {
		return `{"merchant":"` + s.merchant.String() + `","out_trade_no":"` + n + `","amount":5,"asset":"CNY","subject":"x","payer":"` + s.alice.String() + `"}`
	}
	for _, row := range []struct {
		fault   paytest.Fault
		status  int
		outcome string
	}{
		{paytest.AnswerLost, http.StatusGatewayTimeout, "unknown"},
		{paytest.Overloaded, http.StatusTooManyRequests, "not-executed"},
		{paytest.Stuck, http.StatusGatewayTimeout, "unknown"},
	} {
		s.books.Fault = func(*holdfast.Txn) paytest.Fault { return row.fault }
		status, header, text := ask(t, api, "POST", "/v1/trades", tellerKey, body(fmt.Sprint("F-", row.fault)))
		if p := problemIn(t, header, text); status != row.status || p.Outcome != row.outcome {
			t.Errorf("fault %d: %d %s", row.fault, status, text)
		}
		s.books.Fault = nil
		s.books.Deliver()
		if status, _, text := ask(t, api, "POST", "/v1/trades", tellerKey, body(fmt.Sprint("F-", row.fault))); status != http.StatusOK && status != http.StatusCreated {
			t.Errorf("asked again after fault %d: %d %s", row.fault, status, text)
		}
	}
	s.audit(t)

	// The fee has been changed, and then it cannot be read: it must not be said that nothing was done.
	cfg := s.commerce.Cashier.Config
	cfg.Books = &deafened{Books: s.books}
	s.commerce.Cashier = must(pay.New(cfg))
	path := "/v1/merchants/" + s.merchant.String() + "/fee"
	status, header, text := ask(t, s.api(), "POST", path, operatorKey, `{"basis_points":1}`)
	if p := problemIn(t, header, text); status < 500 || p.Outcome != "unknown" {
		t.Errorf("changed and not read: %d %s", status, text)
	}
}

// deafened are books that cannot be read any more once something has been written.
type deafened struct {
	*paytest.Books
	deaf bool
}

func (b *deafened) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	b.deaf = true
	return b.Books.Submit(ctx, t)
}

func (b *deafened) Record(ctx context.Context, key string) (r holdfast.Record, found bool, err error) {
	if b.deaf {
		return r, false, paytest.ErrGone
	}
	return b.Books.Record(ctx, key)
}

func TestWithoutPaymentsKeysOfMerchantsAreUnknown(t *testing.T) {
	api := New(&fake{}, Options{Keys: testKeys})
	status, header, body := ask(t, api, "GET", "/v1/trades", "hfm_"+must(ownerOf(1)).String()+"_"+strings.Repeat("a", 40), "")
	if p := problemIn(t, header, body); status != http.StatusUnauthorized || p.Code != "unauthenticated" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := ask(t, api, "POST", "/v1/trades", tellerKey, `{}`); status != http.StatusNotFound || !strings.Contains(body, "payments-off") {
		t.Errorf("%d %s", status, body)
	}
}

// BenchmarkPostTrade is the way of a payment of a new trade through the edge, with books in memory.
func BenchmarkPostTrade(b *testing.B) {
	m := newMarket()
	m.topUp(m.alice, "much", 1_000_000_000)
	api := New(&fake{}, Options{Keys: testKeys, Payments: m.commerce})
	w := &sink{header: http.Header{}}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		body := fmt.Sprintf(`{"merchant":"%s","out_trade_no":"B-%d","amount":1,"asset":"CNY","subject":"tea","payer":"%s"}`, m.merchant, n, m.alice)
		r := httptest.NewRequestWithContext(b.Context(), "POST", "/v1/trades", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+tellerKey)
		api.ServeHTTP(w, r)
		if w.status != http.StatusCreated {
			b.Fatalf("status %d", w.status)
		}
	}
}

// BenchmarkReadTradeAsk and BenchmarkAppendTrade are the edge's own part of it.
func BenchmarkReadTradeAsk(b *testing.B) {
	text := `{"merchant":"2088000000010018","out_trade_no":"B-1","amount":1,"asset":"CNY","subject":"tea","payer":"2088000000020025"}`
	b.ReportAllocs()
	for b.Loop() {
		var ask tradeAsk
		if err := readTradeAsk(text, &ask); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendTrade(b *testing.B) {
	v := pay.Trade{Merchant: must(ownerOf(1)), OutTradeNo: "B-1", TradeNo: strings.Repeat("2", 28), Status: pay.StatusSuccess, Payer: must(ownerOf(2)), Created: 1, Paid: 1, TradeOffer: pay.TradeOffer{Asset: cny, Amount: 1, Subject: "茶"}}
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out = appendTrade(out[:0], &v)
	}
}

// TestAProviderActsForAMerchant: a merchant lets the app of somebody else act for him, with his own key, for some things and some time, and ends it.
func TestAProviderActsForAMerchant(t *testing.T) {
	s := newStall(t)
	ctx, c := s.ctx, s.commerce.Cashier
	app := func(o holdfast.Owner) string {
		t.Helper()
		v, err := s.c.PutApp(ctx, o, client.AppChange{PublicKey: base64.StdEncoding.EncodeToString(publicDER())})
		s.need(err)
		return v.ID
	}
	provider := must(ownerOf(77))
	s.need(only(s.c.RegisterMerchant(ctx, client.NewMerchant{ID: provider, Name: "tills", Zone: "Asia/Shanghai"})))
	theirs, own := app(provider), app(s.merchant)
	key := func(o holdfast.Owner) *client.Client {
		t.Helper()
		_, secret, err := s.c.IssueMerchantKey(ctx, o, "server")
		s.need(err)
		return newClient(t, s.url, secret)
	}
	his, others := key(s.merchant), key(provider)
	until := s.commerce.now().Std().Add(48 * time.Hour)
	ask := client.NewMandate{App: theirs, OwnApp: own, Permissions: []string{"face-to-face", "bill"}, Until: &until}
	s.refused("forbidden", second(others.GiveMandate(ctx, s.merchant, ask)))
	v, token, err := his.GiveMandate(ctx, s.merchant, ask)
	if s.need(err); v.App != theirs || v.OwnApp != own || strings.Join(v.Permissions, " ") != "bill face-to-face" || !v.Until.Equal(until) || len(token) != 40 {
		t.Errorf("%+v, %d", v, len(token))
	}
	if m, err := c.CheckMandate(ctx, theirs, token, s.commerce.now()); err != nil || m.Merchant != s.merchant || m.OwnApp != own {
		t.Errorf("%+v %v", m, err)
	}
	if list, next, err := his.Mandates(ctx, s.merchant, "", 0); err != nil || next != "" || len(list) != 1 || list[0].App != v.App || !list[0].Until.Equal(until) {
		t.Errorf("%+v %q %v", list, next, err)
	}
	s.refused("forbidden", second(others.Mandates(ctx, s.merchant, "", 0)))
	for bad, ask := range map[string]client.NewMandate{
		"own_app_id": {App: theirs, OwnApp: theirs}, "app_id": {App: own, OwnApp: own}, "permissions": {App: theirs, OwnApp: own, Permissions: []string{"x"}},
		"until": {App: theirs, OwnApp: own, Until: &time.Time{}},
	} {
		_, _, err := his.GiveMandate(ctx, s.merchant, ask)
		if field(err) != bad {
			t.Errorf("%s: %v", bad, err)
		}
	}
	s.refused("forbidden", others.RevokeMandate(ctx, s.merchant, theirs))
	for range 2 {
		s.need(his.RevokeMandate(ctx, s.merchant, theirs))
	}
	if _, err := c.CheckMandate(ctx, theirs, token, s.commerce.now()); err == nil {
		t.Error("the token is good after its end")
	}
}
