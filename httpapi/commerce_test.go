package httpapi

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
	"holdfast/signin"
)

// market is a merchant and two customers on books in memory, who has the first in another shard than the merchant, and the second in the same.
type market struct {
	books    *paytest.Books
	commerce *Commerce
	merchant holdfast.Owner
	alice    holdfast.Owner
	bob      holdfast.Owner
	bank     holdfast.Owner
	seeds    uint64
}

var cny = holdfast.MustAsset("CNY")

// ownerOf has the sequence as its slot as well.
func ownerOf(sequence uint32) (holdfast.Owner, error) {
	return holdfast.NewOwner(sequence, holdfast.Slot(sequence%holdfast.Slots))
}

// marketOpens is the time of a market until a test moves it on.
var marketOpens = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

const startMoney = 100_000

func newMarket() *market {
	m := &market{
		books: paytest.New(3), merchant: must(ownerOf(1)), alice: must(ownerOf(2)), bob: must(ownerOf(4)), bank: must(ownerOf(99)),
	}
	china := time.FixedZone("Asia/Shanghai", 8*3600)
	cashier := must(pay.New(pay.Config{
		Books: m.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: m.bank, OwnerOf: ownerOf, Day: china,
		Zone: func(name string) (*time.Location, error) {
			if name != "Asia/Shanghai" {
				return nil, errors.New("no such zone")
			}
			return china, nil
		},
		Wait:  func(context.Context, int) error { return nil },
		Codes: pay.NewCodeTries(maphash.MakeSeed()),
	}))
	var clock sync.Mutex
	now := marketOpens
	m.commerce = &Commerce{Cashier: cashier, Audited: m.books.Audited(), Now: func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(time.Millisecond)
		return now
	}}
	m.commerce.EvenWait = time.Microsecond
	m.commerce.Porter = must(signin.New(signin.Config{
		Books: m.books, Payments: cashier, Platform: must(ownerOf(0)), Key: cashier.DerivedKey("signing in"), Hashing: signin.Hashing{Memory: 8, Passes: 1, Threads: 1},
		Passkeys:  signin.Passkeys{RP: "pay.example", Name: "Holdfast", Origins: []string{"https://pay.example"}},
		Strangers: pay.NewTries(maphash.MakeSeed(), signin.PersonTries, signin.PersonEvery),
	}))
	ctx := context.Background()
	if err := cashier.OpenBank(ctx, m.commerce.now(), cny); err != nil {
		panic(err)
	}
	must(cashier.RegisterMerchant(ctx, pay.MerchantAsk{
		Owner: m.merchant, Name: "Tea House", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 60},
	}, m.commerce.now()))
	for i, o := range []holdfast.Owner{m.alice, m.bob} {
		must(cashier.RegisterCustomer(ctx, pay.CustomerAsk{
			Owner: o, Aliases: []string{[]string{"alice@example.com", "bob@example.com"}[i]}, Assets: []holdfast.Asset{cny},
		}, m.commerce.now()))
		m.topUp(o, "start", startMoney)
	}
	return m
}

// topUp brings money from the bank.
func (m *market) topUp(o holdfast.Owner, number string, amount holdfast.Amount) {
	ctx, c := context.Background(), m.commerce.Cashier
	must(c.TopUp(ctx, pay.TopUpAsk{Owner: o, Number: number, Asset: cny, Amount: amount}, m.commerce.now()))
	must(c.ToppedUp(ctx, o, number, "bank-"+number, m.commerce.now()))
}

// offer makes a trade that waits for its buyer.
func (m *market) offer(number string, amount holdfast.Amount, mode pay.Mode) {
	must(m.commerce.Cashier.Create(context.Background(), pay.TradeAsk{
		Merchant: m.merchant, OutTradeNo: number, TradeOffer: pay.TradeOffer{Amount: amount, Asset: cny, Mode: mode, Subject: "tea"},
	}, m.commerce.now()))
}

// audit reports money that has come from nowhere, and accounts that hold something else than the documents say.
func (m *market) audit(t *testing.T) {
	t.Helper()
	m.books.Deliver()
	if sum := m.books.Money(cny); sum != 0 {
		t.Errorf("%d minor units have come from nowhere", sum)
	}
	for _, o := range []holdfast.Owner{m.alice, m.bob} {
		for _, d := range must(m.commerce.Cashier.AuditCustomer(t.Context(), o, cny)) {
			t.Errorf("customer: %v", d)
		}
	}
	for _, d := range must(m.commerce.Cashier.AuditMerchant(t.Context(), m.merchant, cny)) {
		t.Errorf("merchant: %v", d)
	}
}

func (m *market) api() http.Handler {
	return New(&fake{}, Options{Keys: testKeys, Payments: m.commerce})
}

// standing is the market behind tests that care for how requests are read, and not for money.
var standing = sync.OnceValue(newMarket)

func TestEveryRefusalHasAnHTTPStatus(t *testing.T) {
	a := routed(&fake{}, Options{Payments: standing().commerce}).api
	for _, code := range pay.Codes() {
		want, known := payStatuses[code]
		switch want {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		case http.StatusTooManyRequests:
			if code != pay.TooManyCodes {
				t.Errorf("%s asks to come again", code)
			}
		default:
			t.Errorf("%s has the status %d (known: %t)", code, want, known)
		}
		h := &endpoint{api: a, name: "livez", metrics: a.metrics.of("livez"), handle: a.atTill(func(context.Context, *till) error {
			return &pay.Refusal{Code: code, Field: "amount", Text: code.Text()}
		})}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			status, header, body := askHandler(t, h, method)
			p := problemIn(t, header, body)
			if status != want || p.Status != want || p.Code != string(code) || p.Detail != code.Text() || p.Field != "amount" || p.Type != "/docs#"+string(code) {
				t.Errorf("%s: %d %+v", code, status, p)
			}
			if (p.Outcome == "refused") != (method == http.MethodPost && code != pay.TooManyCodes) {
				t.Errorf("%s %s: outcome %q", method, code, p.Outcome)
			}
		}
	}
	for code := range payStatuses {
		if code.Text() == "" {
			t.Errorf("%s has a status, and is no code of a refusal", code)
		}
	}
}

func askHandler(t *testing.T, h http.Handler, method string) (int, http.Header, string) {
	t.Helper()
	return ask(t, h, method, "/v1/nothing", "", "")
}

// TestPaymentsThatWereNotDoneSayWhy: what the caller is told when nobody knows, or nothing was done, and where to go then.
func TestPaymentsThatWereNotDoneSayWhy(t *testing.T) {
	id := holdfast.ID{1}
	a := routed(&fake{}, Options{Payments: standing().commerce}).api
	for _, row := range []struct {
		err           error
		status        int
		code, outcome string
		retry         bool
	}{
		{&pay.Pending{ID: id}, 504, "outcome-unknown", "unknown", false},
		{&pay.Unavailable{Code: holdfast.CodeNoQuorum}, 503, "no-quorum", "not-executed", true},
		{&pay.Unavailable{Code: holdfast.CodeOverloaded, Err: errors.New("x")}, 429, "overloaded", "not-executed", true},
		{&pay.Unavailable{Err: pay.ErrBusy}, 429, "records-busy", "not-executed", true},
		{&pay.Unavailable{Err: context.DeadlineExceeded}, 503, "unavailable", "not-executed", true},
		{&pay.Unavailable{Err: pay.ErrCorrupt}, 500, "internal", "not-executed", false},
		{&pay.Unavailable{Err: errors.New("another reason")}, 503, "record-pending", "not-executed", true},
		{errors.New("a bug"), 500, "internal", "unknown", false},
	} {
		h := &endpoint{api: a, name: "livez", metrics: a.metrics.of("livez"), txn: true, handle: a.atTill(func(context.Context, *till) error { return row.err })}
		status, header, body := askHandler(t, h, http.MethodPost)
		p := problemIn(t, header, body)
		if status != row.status || p.Code != row.code || p.Outcome != row.outcome || (header.Get("Retry-After") != "") != row.retry {
			t.Errorf("%v: %d %s, Retry-After %q", row.err, status, body, header.Get("Retry-After"))
		}
	}
}

// TestAStepThatWasDoneIsNotDenied: what takes several steps, and stops behind one of them, is not said to have done nothing.
func TestAStepThatWasDoneIsNotDenied(t *testing.T) {
	a := routed(&fake{}, Options{Payments: standing().commerce}).api
	for _, err := range []error{
		&pay.Unavailable{Code: holdfast.CodeNoQuorum}, &pay.Unavailable{Code: holdfast.CodeOverloaded}, &pay.Unavailable{Err: pay.ErrBusy},
	} {
		h := &endpoint{api: a, name: "livez", metrics: a.metrics.of("livez"), txn: true, handle: a.atTill(func(_ context.Context, t *till) error {
			t.wrote = true
			return err
		})}
		status, header, body := askHandler(t, h, http.MethodPost)
		if p := problemIn(t, header, body); status != 503 || p.Outcome != "unknown" {
			t.Errorf("%v: %d %s", err, status, body)
		}
	}
	// A refusal of what came behind a step that was done refuses a part only; one of the whole of it, by a call that may have several steps, is one.
	for _, row := range []struct {
		before  error
		status  int
		outcome string
	}{{nil, 504, "unknown"}, {errors.New("not done"), 422, "refused"}} {
		h := &endpoint{api: a, name: "livez", metrics: a.metrics.of("livez"), txn: true, handle: a.atTill(func(_ context.Context, t *till) error {
			t.wrote = true
			_ = t.did(row.before)
			return &pay.Refusal{Code: pay.AuthTooMuch}
		})}
		status, header, body := askHandler(t, h, http.MethodPost)
		if p := problemIn(t, header, body); status != row.status || p.Outcome != row.outcome {
			t.Errorf("refused after %v: %d %s", row.before, status, body)
		}
	}
}

func TestWithoutPaymentsTheirOperationsSayWhatToConfigure(t *testing.T) {
	api := New(&fake{}, Options{Keys: testKeys})
	for path, body := range map[string]string{"/v1/customers": `{}`, "/v1/transfers": `{"from":"` + standing().alice.String() + `"}`} {
		status, h, text := ask(t, api, "POST", path, tellerKey, body, idempotencyHeader, uuid1)
		if p := problemIn(t, h, text); status != 404 || p.Code != "payments-off" || p.Outcome != "not-executed" || !strings.Contains(p.Detail, "configure") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
