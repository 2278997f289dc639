package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// refusedAs is the code with which a site has refused; "" when it has not.
func refusedAs(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// TestCustomersFromClientToBooks goes through everything that a customer is and does.
func TestCustomersFromClientToBooks(t *testing.T) {
	m := newMarket()
	server := httptest.NewServer(asDocumented(t, m.api()))
	defer server.Close()
	c, ctx := newClient(t, server.URL, operatorKey), t.Context()
	need := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string, err error) {
		t.Helper()
		if got := refusedAs(err); got != want || errors.Is(err, client.ErrUnknown) {
			t.Errorf("refused as %q (%v), want %q", got, err, want)
		}
	}

	// Who she is.
	carol := must(ownerOf(7))
	asked := client.NewCustomer{ID: carol, Aliases: []string{"+86 139-0000-0007"}, Assets: []holdfast.Asset{cny}, Limits: client.Limits{Payment: 5000, Day: 8000}}
	for range 2 { // the second time is the first again
		v, err := c.RegisterCustomer(ctx, asked)
		if need(err); v.ID != carol || v.Aliases != 1 || v.Registered.IsZero() || len(v.Devices) != 0 {
			t.Fatalf("registered: %+v", v)
		}
	}
	refused("customer-exists", only(c.RegisterCustomer(ctx, client.NewCustomer{ID: carol})))
	refused("alias-taken", only(c.AddAlias(ctx, carol, "Bob@Example.com")))
	refused("owner-not-issued", only(c.RegisterCustomer(ctx, client.NewCustomer{ID: must(holdfast.NewOwner(7, 8))})))
	refused("customer-unknown", only(c.Customer(ctx, must(ownerOf(50)))))
	need(only(c.AddAlias(ctx, carol, "carol@example.com")))
	if found, err := c.FindAlias(ctx, "CAROL@example.com"); err != nil || found != carol {
		t.Errorf("found %v, %v", found, err)
	}
	if v, err := c.RemoveAlias(ctx, carol, "carol@example.com"); err != nil || v.Aliases != 1 {
		t.Errorf("%+v %v", v, err)
	}
	refused("alias-unknown", only(c.FindAlias(ctx, "carol@example.com")))

	// Her wallets.
	usd := holdfast.MustAsset("USD")
	need(only(c.OpenWallet(ctx, carol, usd, client.Limits{Month: 9})))
	list, err := c.Wallets(ctx, carol)
	if need(err); len(list) != 2 || list[0].Asset != cny || list[1].Asset != usd || list[1].Limits.Month != 9 || list[0].Limits.Payment != 5000 {
		t.Errorf("wallets: %+v", list)
	}
	if s, err := c.SetLimits(ctx, carol, cny, client.Limits{Payment: 6000}); err != nil || s.Limits != (client.Limits{Payment: 6000}) {
		t.Errorf("%+v %v", s, err)
	}
	refused("wallet-missing", only(c.Wallet(ctx, carol, holdfast.MustAsset("EUR"))))

	// Money comes from the bank.
	top, err := c.AnnounceTopUp(ctx, carol, client.Money{Number: "t-1", Asset: cny, Amount: 20_000})
	if need(err); top.Status != "waiting" || top.Owner != carol || top.Amount != 20_000 || top.Reference != pay.TopUpReference(carol, "t-1") {
		t.Errorf("announced: %+v", top)
	}
	must(m.commerce.Cashier.ToppedUp(ctx, carol, "t-1", "B-77", m.commerce.now()))
	top, err = c.TopUp(ctx, carol, "t-1")
	if need(err); top.Status != "done" || top.Bank != "B-77" || top.Reason != "" {
		t.Errorf("topped up: %+v", top)
	}
	refused("request-discordant", only(c.AnnounceTopUp(ctx, carol, client.Money{Number: "t-1", Asset: cny, Amount: 1})))
	refused("order-not-exist", only(c.TopUp(ctx, carol, "t-2")))

	// She sends some.
	for range 2 {
		sent, err := c.Send(ctx, client.Send{From: carol, ToAlias: "alice@example.com", Number: "s-1", Asset: cny, Amount: 700, Text: "lunch"})
		if need(err); sent.To != m.alice || sent.Status != "done" || sent.Amount != 700 || sent.Text != "lunch" || sent.Time.IsZero() {
			t.Errorf("sent: %+v", sent)
		}
	}
	need(only(c.Send(ctx, client.Send{From: carol, To: m.bob, Asset: cny, Amount: 1})))
	if sent, err := c.Sent(ctx, carol, "s-1"); err != nil || sent.To != m.alice || sent.Number != "s-1" {
		t.Errorf("%+v %v", sent, err)
	}
	refused("payee-is-payer", only(c.Send(ctx, client.Send{From: carol, To: carol, Asset: cny, Amount: 1})))
	refused("limit-payment", only(c.Send(ctx, client.Send{From: carol, To: m.bob, Asset: cny, Amount: 6001})))
	refused("balance-not-enough", only(c.Send(ctx, client.Send{From: m.bob, To: carol, Asset: cny, Amount: startMoney + 2})))
	refused("payee-unknown", only(c.Send(ctx, client.Send{From: carol, To: must(ownerOf(50)), Asset: cny, Amount: 1})))

	// She pays, with and without protection.
	m.offer("T-1", 1000, pay.Plain)
	for range 2 {
		paid, err := c.PayTrade(ctx, m.merchant, "T-1", carol)
		if need(err); paid.Status != "TRADE_SUCCESS" || paid.Payer != carol || paid.Fee != 6 || paid.Paid.IsZero() || paid.RefundUntil.Before(paid.Paid) || !paid.Closed.IsZero() {
			t.Errorf("paid: %+v", paid)
		}
	}
	refused("trade-has-success", only(c.PayTrade(ctx, m.merchant, "T-1", m.bob)))
	refused("trade-not-exist", only(c.PayTrade(ctx, m.merchant, "T-0", carol)))
	refused("number-invalid", only(c.PayTrade(ctx, m.merchant, "T/0", carol)))
	for _, number := range []string{"..", ".", "a:b_c-d.e"} { // whatever is a number, is one in a path as well
		m.offer(number, 1, pay.Plain)
		if paid, err := c.PayTrade(ctx, m.merchant, number, m.bob); err != nil || paid.OutTradeNo != number {
			t.Errorf("the trade %q: %+v %v", number, paid, err)
		}
	}
	for number, what := range map[string]func(context.Context, holdfast.Owner, string, holdfast.Owner) (client.Trade, error){
		"E-1": c.ConfirmEscrow, "E-2": c.DisputeEscrow,
	} {
		m.offer(number, 500, pay.Protected)
		refused("trade-not-paid", only(what(ctx, m.merchant, number, carol)))
		held, err := c.PayTrade(ctx, m.merchant, number, carol)
		if need(err); held.Held != 500 || held.Protection != "held" || held.Mode != "escrow" {
			t.Errorf("held: %+v", held)
		}
		refused("trade-buyer-not-match", only(what(ctx, m.merchant, number, m.bob)))
		ended, err := what(ctx, m.merchant, number, carol)
		if need(err); ended.Protection != map[string]string{"E-1": "ended", "E-2": "disputed"}[number] {
			t.Errorf("%s: %+v", number, ended)
		}
	}

	// She scans the code of a shop, and shows her own.
	_, token, err := m.commerce.Cashier.Precreate(ctx, pay.TradeAsk{
		Merchant: m.merchant, OutTradeNo: "Q-1", TradeOffer: pay.TradeOffer{Amount: 10, Asset: cny, Subject: "tea"},
	}, [pay.TokenBytes]byte{1}, m.commerce.now())
	need(err)
	opened, err := c.OpenCode(ctx, token)
	if need(err); opened.OutTradeNo != "Q-1" || !opened.Opened || opened.MerchantName != "Tea House" || opened.Status != "WAIT_BUYER_PAY" || !opened.RefundUntil.IsZero() {
		t.Errorf("opened: %+v", opened)
	}
	refused("token-unknown", only(c.OpenCode(ctx, "nothing")))
	device, secret, err := c.AddDevice(ctx, carol)
	if need(err); device != 1 || len(secret) != pay.SecretBytes {
		t.Fatalf("device %d, secret of %d bytes", device, len(secret))
	}
	if v, err := c.Customer(ctx, carol); err != nil || len(v.Devices) != 1 || v.Devices[0].Number != 1 {
		t.Errorf("%+v %v", v, err)
	}
	for _, number := range []string{"A-1", "A-2"} {
		must(m.commerce.Cashier.OpenAuth(ctx, pay.AuthAsk{Merchant: m.merchant, OutOrderNo: number, Request: "r", Title: "room", Asset: cny, Amount: 300}, m.commerce.now()))
	}
	code := client.PaymentCode(carol, secret, m.commerce.now().Std())
	auth, err := c.Authorise(ctx, m.merchant, "A-1", 0, code)
	if need(err); auth.Status != "AUTHORIZED" || auth.Payer != carol || auth.Rest != 300 || auth.OutRequestNo != "r" {
		t.Errorf("authorised: %+v", auth)
	}
	refused("code-used", only(c.Authorise(ctx, m.merchant, "A-2", 0, code)))
	refused("code-invalid", only(c.Authorise(ctx, m.merchant, "A-2", 0, "280000000700000000")))
	refused("auth-not-exist", only(c.Authorise(ctx, m.merchant, "A-3", carol, "")))
	need(only(c.RemoveDevice(ctx, carol, device)))

	// She takes some to the bank.
	m.commerce.Estimate = func(_ context.Context, b pay.BankOrder, o pay.Order) (PayoutEstimate, error) {
		if b.Owner != carol || o.Status != pay.OrderWaiting {
			return PayoutEstimate{}, errors.New("the estimate is of another order")
		}
		return PayoutEstimate{Bank: "icbc", Ahead: 3, Down: true, Since: m.commerce.now(), Soonest: 1500 * time.Millisecond, Likely: time.Minute, Known: true}, nil
	}
	news := 0
	m.commerce.Ordered = func() { news++ }
	wakes := func(n int) {
		t.Helper()
		if news != n {
			t.Errorf("the bank's clerks were woken %d times, want %d", news, n)
		}
		news = 0
	}
	out, err := c.Withdraw(ctx, carol, client.Withdrawal{Money: client.Money{Number: "w-1", Asset: cny, Amount: 900}})
	if need(err); out.Kind != "withdrawal" || out.Status != "waiting" || !out.NeedsAccount {
		t.Errorf("withdrawn: %+v", out)
	}
	if e := out.Estimate; e == nil || e.Bank != "icbc" || e.Ahead != 3 || !e.Down || e.DownSince.IsZero() || *e.Soonest != 2 || *e.Likely != 60 {
		t.Errorf("estimate: %+v", e)
	}
	kept, err := c.PutBankAccount(ctx, client.OfCustomer, carol, "", client.BankAccount{Number: "6222000000001234", Holder: "Carol"})
	if need(err); len(kept) != 1 || kept[0].Name != "main" || kept[0].Tail != "1234" {
		t.Errorf("kept: %+v", kept)
	}
	wakes(2) // of the withdrawal, and of the account that it has waited for
	if out, err := c.Payout(ctx, carol, "w-1"); err != nil || out.NeedsAccount {
		t.Errorf("it has an account now: %+v %v", out, err)
	}
	back, err := c.Withdraw(ctx, carol, client.Withdrawal{Money: client.Money{Asset: cny, Amount: 5}, Account: &client.BankAccount{Number: "6222000000005678", Holder: "Dave"}})
	if need(err); back.NeedsAccount {
		t.Errorf("withdrawn: %+v", back)
	}
	for range 2 {
		if v, err := c.Recall(ctx, carol, back.Number); err != nil || v.Status != "returned" || !v.Recalled || v.Estimate != nil {
			t.Errorf("recalled: %+v %v", v, err)
		}
	}
	wakes(3)
	since := m.commerce.now()
	m.commerce.Banks = func(context.Context) ([]BankState, error) {
		return []BankState{{Bank: "icbc", Assets: []holdfast.Asset{cny}, Waiting: 3, Unknown: 2, Oldest: since, Since: since, At: since}, {Bank: "boc"}}, nil
	}
	banks, err := c.Banks(ctx)
	if need(err); len(banks) != 2 || !banks[0].Down || banks[0].DownSince.IsZero() || banks[0].Waiting != 3 || banks[0].Unknown != 2 ||
		banks[0].UnknownSince.IsZero() || banks[0].Assets[0] != cny || banks[1].Down || !banks[1].Said.IsZero() {
		t.Errorf("banks: %+v", banks)
	}
	if kept, err := c.RemoveBankAccount(ctx, client.OfCustomer, carol, "main"); err != nil || len(kept) != 0 {
		t.Errorf("%+v %v", kept, err)
	}
	if kept, err := c.BankAccounts(ctx, client.OfMerchant, m.merchant); err != nil || len(kept) != 0 {
		t.Errorf("%+v %v", kept, err)
	}
	refused("merchant-unknown", only(c.BankAccounts(ctx, client.OfMerchant, carol)))
	refused("field-invalid", only(c.PutBankAccount(ctx, client.OfCustomer, carol, "", client.BankAccount{Number: "1"})))

	// She lets a shop's app know who she is.
	var apps []string
	for n := range uint8(2) {
		apps = append(apps, must(m.commerce.Cashier.PutApp(ctx, m.merchant, n, pay.App{PublicKey: "key"}, m.commerce.now())).ID)
		agreed, code, err := c.Agree(ctx, carol, apps[n], "auth_user", "auth_base")
		if need(err); len(agreed.Scopes) != 2 || agreed.Since.IsZero() {
			t.Errorf("agreed: %+v", agreed)
		}
		tokens, err := m.commerce.Cashier.Exchange(ctx, apps[n], code, m.commerce.now())
		if need(err); tokens.Customer != carol {
			t.Errorf("the code is of %v", tokens.Customer)
		}
	}
	refused("field-invalid", second(c.Agree(ctx, carol, apps[0], "all")))
	refused("app-unknown", second(c.Agree(ctx, carol, "2021", "auth_base")))
	page, next, err := c.Agreements(ctx, carol, "", 1)
	if need(err); len(page) != 1 || page[0].App != apps[0] || next != apps[0] {
		t.Errorf("%+v, next %q", page, next)
	}
	need(c.RevokeAgreement(ctx, carol, apps[0]))
	if page, next, err := c.Agreements(ctx, carol, "", 2); err != nil || len(page) != 1 || page[0].App != apps[1] || next != "" {
		t.Errorf("%+v, next %q, %v", page, next, err)
	}
	order := pay.BankOrder{Owner: carol, Number: "w-1"}
	must(m.commerce.Cashier.Sent(ctx, order, m.commerce.now()))
	if w, err := c.Wallet(ctx, carol, cny); err != nil || w.Outgoing != 900 || w.Frozen != 300 || w.Available != 20_000-701-1000-1000-300-900 || w.SpentDay != 701+1000+1000+300+905 {
		t.Errorf("%+v %v", w, err)
	}
	must(m.commerce.Cashier.PayoutReturned(ctx, order, "account closed", m.commerce.now()))
	if out, err := c.Payout(ctx, carol, "w-1"); err != nil || out.Status != "returned" || out.Reason != "account closed" || out.Bank != "" {
		t.Errorf("%+v %v", out, err)
	}
	refused("order-not-exist", only(c.Payout(ctx, carol, "w-2")))

	// She looks at what came and went, page by page.
	kinds, names := []string{}, map[string]bool{}
	for cursor := ""; ; {
		page, next, err := c.Receipts(ctx, carol, cursor, 3)
		need(err)
		for _, r := range page {
			kinds, names[r.Receipt] = append(kinds, r.Kind), true
			one, err := c.Receipt(ctx, carol, r.Receipt)
			if need(err); one != r {
				t.Errorf("the receipt is %+v, the line %+v", one, r)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if got := strings.Join(kinds, " "); got != "withdrawal-returned withdrawal-returned withdrawn withdrawn frozen paid paid paid sent sent topped-up" || len(names) != len(kinds) {
		t.Errorf("statement: %s", got)
	}
	if _, err := c.Receipt(ctx, carol, strings.Repeat("0", 33)); !client.IsNotFound(err) {
		t.Errorf("a receipt that there is not: %v", err)
	}

	// Somebody blocks her wallet.
	if s, err := c.BlockWallet(ctx, carol, cny, true); err != nil || !s.Blocked {
		t.Errorf("%+v %v", s, err)
	}
	refused("wallet-blocked", only(c.PayTrade(ctx, m.merchant, "Q-1", carol)))
	need(only(c.BlockWallet(ctx, carol, cny, false)))
	need(only(c.PayTrade(ctx, m.merchant, "Q-1", carol)))
	teller := newClient(t, server.URL, tellerKey)
	refused("forbidden", only(teller.BlockWallet(ctx, carol, cny, true)))

	// The money of a top-up that she has announced never comes.
	top, err = c.AnnounceTopUp(ctx, carol, client.Money{Number: "t-3", Asset: cny, Amount: 700})
	if need(err); top.Until.Sub(top.Asked) != 30*24*time.Hour {
		t.Errorf("%+v", top)
	}
	end := holdfast.TimeOf(top.Until)
	for _, d := range must(m.commerce.Cashier.ListDue(ctx, end, "", 10)) {
		need(m.commerce.Cashier.RunDue(ctx, d, end+1))
	}
	if top, err = c.TopUp(ctx, carol, "t-3"); err != nil || top.Status != "expired" || top.Reason == "" || top.Bank != "" {
		t.Errorf("%+v %v", top, err)
	}
	lines, _, err := c.Receipts(ctx, carol, "", 3) // what was frozen is free again as well
	if need(err); !slices.ContainsFunc(lines, func(r client.Receipt) bool { return r.Kind == "top-up-expired" && r.Amount == 700 && r.Number == "t-3" }) {
		t.Errorf("%+v", lines)
	}
	m.audit(t)
}

func only[T any](_ T, err error) error { return err }

func second[A, B any](_ A, _ B, err error) error { return err }

// TestALostAnswerIsAskedForAgain: whatever a site answers, or does not, the payment happens once, and the client says what it knows.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	m := newMarket()
	cut := atomic.Bool{}
	api := m.api()
	near := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cut.Load() {
			api.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(httptest.NewRecorder(), r) // done, and nobody hears of it
		panic(http.ErrAbortHandler)
	}))
	defer near.Close()
	far := httptest.NewServer(m.api())
	defer far.Close()
	c, err := client.New(client.Config{Sites: []string{near.URL, far.URL}, Key: tellerKey, Hedge: -1, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, fault := range []paytest.Fault{paytest.AnswerLost, paytest.NotProposed, paytest.Overloaded, paytest.Gone, paytest.Stuck, paytest.NoFault} {
		number := fmt.Sprintf("T-%d", i)
		m.offer(number, 100, pay.Plain)
		first := true
		m.books.Fault = func(*holdfast.Txn) paytest.Fault {
			if first {
				first = false
				return fault
			}
			return paytest.NoFault
		}
		cut.Store(fault == paytest.NoFault)
		if fault == paytest.Stuck { // as a courier would
			time.AfterFunc(20*time.Millisecond, m.books.Deliver)
		}
		paid, err := c.PayTrade(t.Context(), m.merchant, number, m.alice)
		if err != nil || paid.Payer != m.alice || paid.Status != "TRADE_SUCCESS" {
			t.Errorf("fault %d: %+v %v", fault, paid, err)
		}
	}
	if w := must(m.commerce.Cashier.Balance(t.Context(), m.alice, cny)); w.Available != startMoney-600 {
		t.Errorf("she has %d: she has not paid each trade once", w.Available)
	}
	// A device is added once, and its secret comes back, although the answer was lost.
	cut.Store(true)
	if _, secret, err := c.AddDevice(t.Context(), m.alice); err != nil || len(secret) != pay.SecretBytes {
		t.Errorf("%x %v", secret, err)
	}
	if v := must(m.commerce.Cashier.Customer(t.Context(), m.alice)); len(v.Devices) != 1 {
		t.Errorf("%d devices were added", len(v.Devices))
	}
	// While nobody can tell, the client says so.
	m.offer("U-1", 100, pay.Plain)
	m.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.NotProposed }
	cut.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.PayTrade(ctx, m.merchant, "U-1", m.alice); !errors.Is(err, client.ErrUnknown) {
		t.Errorf("nobody knows, and the client says %v", err)
	}
	m.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Overloaded }
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.PayTrade(ctx, m.merchant, "U-1", m.alice); err == nil || errors.Is(err, client.ErrUnknown) {
		t.Errorf("nothing was executed, and the client says %v", err)
	}
	m.books.Fault = nil
	m.audit(t)
}

// TestTransfersAreToldApartByTheirMembers: the path of transfers between accounts takes those between people.
func TestTransfersAreToldApartByTheirMembers(t *testing.T) {
	m := newMarket()
	api := m.api()
	from, to := m.alice.String(), m.bob.String()
	for _, row := range []struct {
		body, says string
		status     int
	}{
		{onePayment, "bypass-payments", 403}, // past the wallet's limits and blocks
		{`{"from":"` + from + `","to":"` + to + `","asset":"CNY","amount":5}`, `"number":"` + uuid1 + `"`, 200},
		{`{"from":"` + from + `","to":"` + to + `","asset":"CNY","amount":6}`, `"code":"request-discordant"`, 409},
		{`{"amount":5,"to":"` + to + `","number":"n","asset":"CNY","from":"` + from + `"}`, `"number":"n"`, 200},
		{`{"from":"` + from + `","to":"` + to + `","asset":"CNY","amount":5,"debit":"` + wallet + `"}`, `of one between people`, 400},
		{`{"from":"` + from + `","asset":"CNY","amount":5}`, `"field":"to"`, 400},
		{`{"from":"` + from + `","to":"` + to + `","to_alias":"bob@example.com","asset":"CNY","amount":5}`, `"field":"to"`, 400},
		{`{"to":"` + to + `","asset":"CNY","amount":5}`, `"field":"from"`, 400},
		{`{"from":"` + from + `","to":"` + to + `","amount":5}`, `"field":"asset"`, 400},
		{`{"from":"` + from + `","to":"` + to + `","asset":"CNY"}`, `"code":"amount-invalid"`, 400},
		{`{"from":"1","to":"` + to + `","asset":"CNY"}`, `"field":"from"`, 400},
		{`{"from":"` + from + `","to":"` + to + `","asset":"cny"}`, `"field":"asset"`, 400},
	} {
		status, _, body := ask(t, api, "POST", "/v1/transfers", tellerKey, row.body, idempotencyHeader, uuid1)
		if status != row.status || !strings.Contains(body, row.says) {
			t.Errorf("%s: %d %s\nwant %d with %s", row.body, status, body, row.status, row.says)
		}
	}
	if status, _, body := ask(t, api, "POST", "/v1/transfers", operatorKey, onePayment, idempotencyHeader, uuid1); status != 201 {
		t.Errorf("an operator in the ledger itself: %d %s", status, body)
	}
	for _, txn := range []string{
		`{"records":[{"key":"o/` + from + `/wallet/CNY","body":"AA=="}]}`,
		`{"transactions":[{"id":"` + uuid1 + `","records":[{"key":"o/` + from + `/wallet/CNY","body":"AA=="}]}]}`,
	} {
		var key []string
		if strings.HasPrefix(txn, `{"records"`) {
			key = []string{idempotencyHeader, uuid1} // many have ids of their own
		}
		if status, _, body := ask(t, api, "POST", "/v1/transactions", tellerKey, txn, key...); status != 403 || !strings.Contains(body, "bypass-payments") {
			t.Errorf("%s by a teller: %d %s", txn, status, body)
		}
	}
	// Without a number and without a key nothing is sent.
	status, _, body := ask(t, api, "POST", "/v1/transfers", tellerKey, `{"from":"`+from+`","to":"`+to+`","asset":"CNY","amount":5}`)
	if status != 400 || !strings.Contains(body, "Idempotency-Key") || !strings.Contains(body, `"outcome":"not-executed"`) {
		t.Errorf("%d %s", status, body)
	}
	m.audit(t)
}

// TestRequestsOfCustomersAreReadStrictly: what is wrong with a request is said, with the member or parameter at fault.
func TestRequestsOfCustomersAreReadStrictly(t *testing.T) {
	api, o, shop := standing().api(), standing().alice.String(), standing().merchant.String()
	for _, row := range []struct{ method, path, body, field string }{
		{"GET", "/v1/customers/1", "", "id"},
		{"GET", "/v1/customers/2088000000010421", "", "id"},
		{"GET", "/v1/customers/" + o + "/wallets/cny", "", "asset"},
		{"GET", "/v1/customers/" + o + "/statement?cursor=!", "", "cursor"},
		{"GET", "/v1/customers/" + o + "/statement?limit=1001", "", "limit"},
		{"GET", "/v1/customers/" + o + "/receipts/1", "", "receipt"},
		{"GET", "/v1/payouts/1/n", "", "owner"},
		{"POST", "/v1/customers", `{}`, "id"},
		{"POST", "/v1/customers", `{"id":"` + o + `","limits":{"day":"1"}}`, "limits.day"},
		{"POST", "/v1/customers", `{"id":"` + o + `","aliases":["a b"]}`, "alias"},
		{"POST", "/v1/customers", `{"id":"` + o + `","assets":["x"]}`, "assets[0]"},
		{"POST", "/v1/customers/" + o + "/wallets", `{}`, "asset"},
		{"POST", "/v1/customers/" + o + "/wallets/CNY/limits", `{"day":-1}`, "limits"},
		{"POST", "/v1/customers/" + o + "/devices/0/remove", ``, "device"},
		{"POST", "/v1/customers/" + o + "/devices", ``, idempotencyHeader},
		{"POST", "/v1/customers/" + o + "/top-ups", `{"number":"x","amount":1}`, "asset"},
		{"POST", "/v1/customers/" + o + "/top-ups", `{"asset":"CNY","amount":1}`, "number"},
		{"POST", "/v1/customers/" + o + "/top-ups", `{"number":"a/b","asset":"CNY","amount":1}`, "number"},
		{"POST", "/v1/payouts", `{"number":"x","asset":"CNY","amount":1}`, "owner"},
		{"POST", "/v1/payouts", `{"owner":"` + o + `","number":"x","asset":"CNY"}`, "amount"},
		{"POST", "/v1/payouts", `{"owner":"` + o + `","number":"x","asset":"CNY","amount":1,"account":{"number":"1 2"}}`, "account.number"},
		{"POST", "/v1/payouts", `{"owner":"` + o + `","number":"x","asset":"CNY","amount":1,"to":"a","account":{}}`, "to"},
		{"POST", "/v1/customers/" + o + "/bank-accounts", `{"number":"x y"}`, "number"},
		{"POST", "/v1/customers/" + o + "/bank-accounts", `{"number":"6222000000001234","holder":"` + "\n" + `"}`, "holder"},
		{"GET", "/v1/customers/" + o + "/agreements?cursor=!", "", "cursor"},
		{"POST", "/v1/customers/" + o + "/agreements", `{"app_id":"2021000000010010"}`, "scopes"},
		{"POST", "/v1/trades/" + shop + "/T/pay", `{}`, "payer"},
		{"POST", "/v1/trades/1/T/pay", `{}`, "merchant"},
		{"POST", "/v1/authorisations/" + shop + "/A/authorise", `{}`, "payer"},
		{"POST", "/v1/authorisations/" + shop + "/A/authorise", `{"payer":"` + o + `","payment_code":"28"}`, "payer"},
		{"POST", "/v1/escrows/" + shop + "/E/confirm", `{}`, "by"},
	} {
		status, h, body := ask(t, api, row.method, row.path, operatorKey, row.body)
		p := problemIn(t, h, body)
		if p.Field != row.field || status != 400 && status != 404 {
			t.Errorf("%s %s %s: %d %s, want the field %s", row.method, row.path, row.body, status, body, row.field)
		}
		if row.method == "POST" && p.Outcome == "" {
			t.Errorf("%s: the refusal does not tell the outcome", row.path)
		}
	}
}

// TestPaymentCodesAgree: the client, which knows nothing of the platform, shows the codes that the platform takes.
func TestPaymentCodesAgree(t *testing.T) {
	o, secret := standing().alice, bytes.Repeat([]byte{7}, pay.SecretBytes)
	for i := range 1000 {
		at := marketOpens.Add(time.Duration(i) * 59 * time.Second)
		secret[i%len(secret)]++
		if got, want := client.PaymentCode(o, secret, at), pay.PaymentCode(o, secret, holdfast.TimeOf(at)); got != want {
			t.Fatalf("at %v the client shows %s, the platform %s", at, got, want)
		}
	}
}

// TestNothingPersonalIsShown: neither an alias nor a secret comes back in an answer that is not the one for it.
func TestNothingPersonalIsShown(t *testing.T) {
	m := newMarket()
	api := m.api()
	add := func() (v newDeviceBody) {
		_, _, body := ask(t, api, "POST", "/v1/customers/"+m.alice.String()+"/devices", tellerKey, "", idempotencyHeader, "phone-1")
		if err := json.Unmarshal([]byte(body), &v); err != nil || v.Secret == "" {
			t.Fatalf("%s: %v", body, err)
		}
		return v
	}
	first := add()
	if again := add(); again != first {
		t.Errorf("the same request has given %v and %v", first, again)
	}
	for _, path := range []string{"", "/wallets", "/statement"} {
		_, _, body := ask(t, api, "GET", "/v1/customers/"+m.alice.String()+path, readerKey, "")
		if strings.Contains(body, first.Secret) || strings.Contains(body, "alice@example.com") {
			t.Errorf("%s shows too much: %s", path, body)
		}
	}
	status, _, body := ask(t, api, "POST", "/v1/aliases/find", readerKey, `{"alias":"nobody@example.com"}`)
	if status != 404 || strings.Contains(body, "nobody@example.com") {
		t.Errorf("%d %s", status, body)
	}
}

// BenchmarkPayTrade is a payment of a trade from a wallet through the edge and package pay, on books in memory: all but net/http, the replication
// and the disk. Each makes its trade first, outside of the clock.
func BenchmarkPayTrade(b *testing.B) {
	m := newMarket()
	m.topUp(m.alice, "bench", pay.MaxAmount)
	api := m.api()
	r, err := http.NewRequest(http.MethodPost, "/", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tellerKey)
	text := []byte(`{"payer":"` + m.alice.String() + `"}`)
	body := &bodyReader{}
	r.Body, r.ContentLength = body, int64(len(text))
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		number := fmt.Sprintf("B-%d", n)
		m.offer(number, 1, pay.Plain)
		r.URL.Path = "/v1/trades/" + m.merchant.String() + "/" + number + "/pay"
		body.Reset(text)
		b.StartTimer()
		if api.ServeHTTP(w, r); w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}
