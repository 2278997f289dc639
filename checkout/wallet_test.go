package checkout

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// Wallet implements Customers as the API does, and so does OneTap.
func (w *world) Wallet(ctx context.Context, session string, asset holdfast.Asset) (v Wallet, found bool, err error) {
	n, ok := w.sessions[session]
	switch {
	case w.dark:
		return v, false, errBroken
	case !ok:
		return v, false, nil
	}
	v.Owner = w.customers[n]
	all, err := w.cashier.Wallets(ctx, v.Owner, w.now)
	for _, s := range all {
		if s.Asset == asset {
			v.Open, v.Blocked, v.Limits, v.SpentDay, v.SpentMonth = true, s.Blocked, s.Limits, s.SpentDay, s.SpentMon
		}
	}
	if v.Open && err == nil {
		var b pay.Balance
		b, err = w.cashier.Balance(ctx, v.Owner, asset)
		v.Available = b.Available
	}
	return v, err == nil, err
}

func (w *world) Pay(ctx context.Context, session string, from, merchant holdfast.Owner, outTradeNo string) error {
	if n, ok := w.sessions[session]; !ok || w.customers[n] != from {
		return ErrSignedOut
	}
	_, err := w.cashier.Pay(ctx, pay.PayAsk{Merchant: merchant, OutTradeNo: outTradeNo, Payer: from}, w.now)
	return err
}

// as is a request with the session of a customer; head are further headers.
func (w *world) as(n int, method, path string, form url.Values, head ...string) *http.Request {
	const token = "hfs_session-of-customer"
	if w.sessions == nil {
		w.sessions = map[string]int{}
	}
	w.sessions[token] = n
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.AddCookie(&http.Cookie{Name: SessionCookie, Value: token})
	r.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return r
}

func (w *world) looks(n int, path string) answered {
	return w.do(0, w.as(n, http.MethodGet, path, nil))
}

// taps is the button of the page, at a site.
func (w *world) taps(site, n int, path string, head ...string) answered {
	return w.do(site, w.as(n, http.MethodPost, path, url.Values{fromField: {w.customers[n].String()}}, head...))
}

func TestOneTapPays(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	number := w.customers[0].String()
	w.looks(0, "/q/"+token).status(200).has("Pay from your wallet", number[:4]+" ···· ···· "+number[12:], "CNY 1,000.00", `name="from" value="`+number+`"`,
		"Pay CNY 12.34</button>", "<details class=\"others\"><summary>", "Pay with a code</button>", "!Sign in and pay")
	path := "/cashier/" + token
	for site := range w.sites { // the browser sends it again, to any site
		if next := w.taps(site, 0, path).goes(); next != path {
			t.Errorf("it goes to %s", next)
		}
	}
	w.looks(0, path).has("Paid", "!<form")
	if got := w.balance(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
	if next := w.taps(1, 1, path).goes(); next != path || w.balance(1) != startMoney { // another customer comes too late
		t.Errorf("it goes to %s, and they have %d", next, w.balance(1))
	}
}

func TestWhoHasNotSignedInCan(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.get(0, "/cashier/"+token, "en").has("Sign in and pay", `href="../sign-in?as=customer&amp;to=%2Fcashier%2F`+token+`"`, `id="code"`, "!<details class=\"others\"")
	w.get(0, "/cashier/"+token+"?lang=zh", "en").has("登录并付款", `href="../sign-in?as=customer&amp;lang=zh-CN&amp;to=%2Fcashier%2F`+token+`%3Flang%3Dzh-CN"`)
	for _, cookie := range []string{"hf_an-api-key", "hfs_ended", "hfs_bad\ttoken", ""} {
		r := w.as(0, http.MethodGet, "/cashier/"+token, nil)
		r.Header.Set("Cookie", SessionCookie+"="+cookie)
		w.do(0, r).status(200).has("Sign in and pay", "!name=\"from\"")
	}
	form := url.Values{fromField: {w.customers[0].String()}}
	r := w.as(0, http.MethodPost, "/cashier/"+token, form)
	r.Header.Del("Cookie")
	if next := w.do(0, r).goes(); !strings.HasPrefix(next, "/sign-in?as=customer&") {
		t.Errorf("it goes to %s", next)
	}
	w.sites[0] = w.site(Config{})
	w.dark = true
	w.looks(0, "/cashier/"+token).status(200).has(words["wallet-dark"].en, `id="code"`, "!Sign in and pay")
}

// TestAFormOfAnotherPagePaysNothing: with a cookie that pays, this is the whole defence.
func TestAFormOfAnotherPagePaysNothing(t *testing.T) {
	w := newWorld(t)
	path := "/cashier/" + w.trade("A")
	for _, head := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example.com"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
	} {
		w.taps(0, 0, path, head...).status(http.StatusForbidden).has(words["foreign"].en, words["open-again"].en, "!<form", "!tea")
	}
	if got := w.balance(0); got != startMoney {
		t.Fatalf("the payer has %d", got)
	}
	w.taps(0, 0, path, "Sec-Fetch-Site", "cross-site", "Origin", "https://two.example.com").goes() // our other site
	if got := w.balance(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
	w.taps(0, 0, "/cashier/"+w.trade("B"), "Sec-Fetch-Site", "same-origin").goes()
	w.taps(0, 0, "/cashier/"+w.trade("C"), "Origin", "https://pay.example.com").goes() // a proxy has changed the host
}

func TestATapOfWhichNobodyKnowsYet(t *testing.T) {
	w := newWorld(t)
	path := "/cashier/" + w.trade("A")
	w.stuck()
	next := w.taps(0, 0, path).goes()
	w.books.Fault = nil
	if !strings.HasPrefix(next, path+"?since=") {
		t.Fatalf("it goes to %s", next)
	}
	w.looks(0, next).has("We are finding out", "!<form", "!Nothing was taken")
	w.books.Deliver()
	w.looks(0, next).has("Paid")
	if got := w.balance(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
}

func TestWhatStopsAWallet(t *testing.T) {
	for code, c := range map[pay.Code]struct {
		make   func(*world)
		offer  func(*world, *pay.TradeAsk)
		remedy string
	}{
		pay.BalanceNotEnough: {func(*world) {}, func(_ *world, a *pay.TradeAsk) { a.Amount = startMoney + 1 }, "../wallet/top-up"},
		pay.LimitPayment: {func(w *world) {
			w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Payment: 1}, w.tick()))
		}, nil, "../wallet/settings"},
		pay.LimitDay: {func(w *world) {
			w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Day: 1}, w.tick()))
		}, nil, "../wallet/settings"},
		pay.LimitMonth: {func(w *world) {
			w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Month: 1}, w.tick()))
		}, nil, "../wallet/settings"},
		pay.WalletBlocked: {func(w *world) { w.must(w.cashier.SetBlocked(w.ctx, w.customers[0], cny, true, w.tick())) }, nil, "../wallet"},
		pay.WalletMissing: {func(w *world) { w.must(w.cashier.OpenCurrency(w.ctx, w.merchant, holdfast.MustAsset("JPY"), w.tick())) }, func(_ *world, a *pay.TradeAsk) { a.Asset = holdfast.MustAsset("JPY") }, "../wallet"},
		pay.BuyerDiffers:  {func(*world) {}, func(w *world, a *pay.TradeAsk) { a.Buyer = w.customers[1] }, ""},
	} {
		t.Run(string(code), func(t *testing.T) {
			w := newWorld(t)
			c.make(w)
			path := "/cashier/" + w.trade("A", func(a *pay.TradeAsk) {
				if c.offer != nil {
					c.offer(w, a)
				}
			})
			page := w.looks(0, path).status(200).has(stops[code].en, "!name=\"from\"", "Pay with a code", words["not-mine"].en)
			if c.remedy != "" {
				page.has(`href="` + c.remedy + `"`)
			}
			w.taps(0, 0, path).status(http.StatusUnprocessableEntity).has(refusals[code].en) // the page is no judge
		})
	}
	for code := range stops {
		if _, ok := refusals[code]; !ok {
			t.Errorf("%s is refused by nobody", code)
		}
	}
}

func TestSomebodyElseHasSignedIn(t *testing.T) {
	w := newWorld(t)
	path := "/cashier/" + w.trade("A")
	form := url.Values{fromField: {w.customers[0].String()}} // of a page that was made before
	w.do(0, w.as(1, http.MethodPost, path, form)).status(http.StatusConflict).has(troubles[otherWallet].en, `value="`+w.customers[1].String()+`"`)
	w.do(0, w.as(1, http.MethodPost, path, url.Values{fromField: {"nobody"}})).status(http.StatusUnprocessableEntity).has(troubles[otherWallet].en)
	if w.balance(0) != startMoney || w.balance(1) != startMoney {
		t.Errorf("they have %d and %d", w.balance(0), w.balance(1))
	}
}
