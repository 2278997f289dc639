package checkout

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

var cny = holdfast.MustAsset("CNY")

const startMoney = 100_000

// world is a merchant and two customers with a phone each, in shards of their own, and the page at two sites.
type world struct {
	t         *testing.T
	ctx       context.Context
	books     *paytest.Books
	cashier   *pay.Cashier
	now       holdfast.Time
	merchant  holdfast.Owner
	customers [2]holdfast.Owner
	secret    [pay.SecretBytes]byte
	sites     [2]http.Handler
	back      string // what Return adds to
	backErr   error
	broken    bool           // reads fail
	sessions  map[string]int // customers who have signed in
	dark      bool           // nobody can say who has
}

func owner(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, holdfast.Slot(n%holdfast.Slots))
	if err != nil {
		panic(err)
	}
	return o
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), books: paytest.New(5), merchant: owner(1), customers: [2]holdfast.Owner{owner(3), owner(4)}}
	w.secret = [pay.SecretBytes]byte{1, 2, 3}
	w.back = "https://shop.example/paid?order=7"
	w.now = holdfast.TimeOf(time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC))
	day := time.FixedZone("Asia/Shanghai", 8*3600)
	var err error
	w.cashier, err = pay.New(pay.Config{
		Books: w.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: owner(100), Day: day,
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return owner(n), nil },
		Zone:    func(string) (*time.Location, error) { return day, nil },
		Wait:    func(context.Context, int) error { return nil },
		Codes:   pay.NewCodeTries(maphash.MakeSeed()),
	})
	w.must(err)
	w.must(w.cashier.OpenBank(w.ctx, w.now, cny))
	_, err = w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{
		Owner: w.merchant, Name: "Long<jing> & Söhne 茶", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny},
	}, w.tick())
	w.must(err)
	for i, o := range w.customers {
		_, err := w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{
			Owner: o, Aliases: []string{fmt.Sprintf("+861390000000%d", i)}, Assets: []holdfast.Asset{cny},
		}, w.tick())
		w.must(err)
		w.topUp(o, cny, startMoney)
		_, err = w.cashier.AddDevice(w.ctx, o, w.secret, [pay.NonceBytes]byte{byte(i)}, w.tick())
		w.must(err)
	}
	for i := range w.sites {
		w.sites[i] = w.site(Config{})
	}
	return w
}

func (w *world) topUp(o holdfast.Owner, asset holdfast.Asset, amount holdfast.Amount) {
	w.t.Helper()
	number := fmt.Sprintf("start%d", w.now)
	_, err := w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: number, Asset: asset, Amount: amount}, w.tick())
	w.must(err)
	_, err = w.cashier.ToppedUp(w.ctx, o, number, "bank-1", w.tick())
	w.must(err)
}

// site is one more site with the page.
func (w *world) site(cfg Config) http.Handler {
	w.t.Helper()
	cfg.Cashier, cfg.Public = w, "https://pay.example.com"
	cfg.Now = func() time.Time { return w.now.Std() }
	cfg.Customers, cfg.Origins = w, func() []string { return []string{"https://two.example.com"} }
	cfg.Return = func(_ context.Context, v pay.Visit) (string, error) { return v.Return + "&sign=a%2Bb", w.backErr }
	h, err := New(cfg)
	w.must(err)
	return h
}

var errBroken = errors.New("the disk is on fire")

// Open implements Cashier, and so do the next three.
func (w *world) Open(ctx context.Context, token string, now holdfast.Time) (pay.Trade, error) {
	if w.broken {
		return pay.Trade{}, &pay.Unavailable{Err: errBroken}
	}
	return w.cashier.Open(ctx, token, now)
}

func (w *world) PayWithCode(ctx context.Context, m holdfast.Owner, number, code string, now holdfast.Time) (pay.Trade, error) {
	return w.cashier.PayWithCode(ctx, m, number, code, now)
}

func (w *world) Visit(ctx context.Context, token string) (pay.Visit, error) {
	return w.cashier.Visit(ctx, token)
}

func (w *world) Merchant(ctx context.Context, o holdfast.Owner) (pay.Merchant, error) {
	return w.cashier.Merchant(ctx, o)
}

func (w *world) tick() holdfast.Time {
	w.now += 1e6
	return w.now
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected: %v", err)
	}
}

// trade makes one of 12.34 yuan and returns its token.
func (w *world) trade(number string, change ...func(*pay.TradeAsk)) string {
	w.t.Helper()
	ask := pay.TradeAsk{
		Merchant: w.merchant, OutTradeNo: number,
		TradeOffer: pay.TradeOffer{Amount: 1234, Asset: cny, Subject: `<b>tea</b> "green" 绿茶`},
	}
	for _, c := range change {
		c(&ask)
	}
	_, visit, err := w.cashier.Enter(w.ctx, ask, pay.Visit{Entry: pay.EntryPage, Return: w.back, Quit: "https://shop.example/cart"}, w.tick())
	w.must(err)
	return visit.Token
}

// scanned makes one for a QR code of a shop.
func (w *world) scanned(number string) string {
	w.t.Helper()
	ask := pay.TradeAsk{Merchant: w.merchant, OutTradeNo: number, TradeOffer: pay.TradeOffer{Amount: 1234, Asset: cny, Subject: "tea"}}
	_, token, err := w.cashier.Precreate(w.ctx, ask, [pay.TokenBytes]byte{7}, w.tick())
	w.must(err)
	return token
}

func (w *world) code(n int) string { return pay.PaymentCode(w.customers[n], w.secret[:], w.now) }

func (w *world) balance(n int) holdfast.Amount {
	w.t.Helper()
	b, err := w.cashier.Balance(w.ctx, w.customers[n], cny)
	w.must(err)
	return b.Available
}

// answered is what a site answered.
type answered struct {
	*httptest.ResponseRecorder
	t *testing.T
}

func (w *world) get(site int, path, accept string) answered {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", accept)
	return w.do(site, r)
}

func (w *world) do(site int, r *http.Request) answered {
	w.tick()
	rec := httptest.NewRecorder()
	w.sites[site].ServeHTTP(rec, r)
	return answered{rec, w.t}
}

func (w *world) post(site int, path, code, accept string) answered {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"code": {code}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept-Language", accept)
	return w.do(site, r)
}

// status checks the status.
func (a answered) status(want int) answered {
	a.t.Helper()
	if a.Code != want {
		a.t.Fatalf("status %d, want %d:\n%s", a.Code, want, a.Body)
	}
	return a
}

// has checks that a page has some texts and not others, which begin with "!".
func (a answered) has(texts ...string) answered {
	a.t.Helper()
	body := a.Body.String()
	for _, text := range texts {
		if bare, not := strings.CutPrefix(text, "!"); not && strings.Contains(body, bare) {
			a.t.Errorf("the page has %q:\n%s", bare, body)
		} else if !not && !strings.Contains(body, text) {
			a.t.Errorf("the page lacks %q:\n%s", text, body)
		}
	}
	return a
}

// goes is where a redirect goes, as a path.
func (a answered) goes() string {
	a.t.Helper()
	a.status(http.StatusSeeOther)
	location := a.Header().Get("Location")
	rest, ok := strings.CutPrefix(location, "..")
	if !ok {
		a.t.Fatalf("redirected to %q", location)
	}
	return rest
}
