package wallet

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page/pagetest"
)

var (
	alice    = owner(2)
	bob      = owner(3)
	merchant = owner(1)
	cny      = holdfast.MustAsset("CNY")
	usd      = holdfast.MustAsset("USD")
	noon     = time.Date(2026, 11, 27, 4, 0, 10, 0, time.UTC)
	secret   = []byte("a secret of thirty-two bytes....")
)

func owner(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, holdfast.Slot(n))
	if err != nil {
		panic(err)
	}
	return o
}

// till is the API as a test makes it up, with the shapes of the real one.
type till struct {
	*pagetest.Desk
	t      *testing.T
	hangUp func() // ends what is live at the first site

	mu       sync.Mutex // guards all below
	posts    []string   // paths with their bodies, keys of requests included
	fail     map[string]failure
	receipts []client.Receipt
	wallets  []client.Wallet
	devices  []client.Device
	accounts []client.KeptAccount
	topUps   map[string]client.TopUp
	payouts  map[string]client.Payout
	sent     map[string]client.Sent
	trade    client.Trade
	safety   *client.Safety // nil: nobody answers
	agreed   []client.Agreement
}

// failure is how the next request to a path goes wrong. The request is done all the same where done is set: then its answer is lost.
type failure struct {
	status int
	code   string
	field  string
	done   bool
}

func newTill(t *testing.T) *till {
	k := &till{
		safety: safely(),
		t:      t, fail: map[string]failure{}, topUps: map[string]client.TopUp{}, payouts: map[string]client.Payout{}, sent: map[string]client.Sent{},
		wallets: []client.Wallet{
			{WalletState: client.WalletState{Asset: cny, Limits: client.Limits{Payment: 500_000, Day: 1_000_000}, SpentDay: 2800}, Available: 123_456, Frozen: 10_000, Outgoing: 500},
			{WalletState: client.WalletState{Asset: usd}, Available: 2000},
		},
		trade: client.Trade{
			Merchant: merchant, OutTradeNo: "T-1", TradeNo: "2026112722001400000000000001", Status: "WAIT_BUYER_PAY", Mode: "plain", Amount: 2800, Asset: cny, Subject: "Oolong, 100 g",
			Created: noon, PayUntil: noon.Add(15 * time.Minute),
		},
	}
	for i, r := range []client.Receipt{
		{Kind: "paid", Amount: -1250, Other: merchant, Number: "T-0", Text: "Jasmine tea <b>"},
		{Kind: "received", Amount: 6600, Other: bob, Number: "s-9", Text: "hongbao"},
		{Kind: "topped-up", Amount: 100_000, Number: "t-9"},
		{Kind: "withdrawn", Amount: -500, Number: "w-9"},
	} {
		r.Receipt, r.Asset, r.Time = fmt.Sprintf("%016x-%016x", i+1, i+1), cny, noon.Add(-time.Duration(i+1)*time.Hour)
		k.receipts = append(k.receipts, r)
	}
	mux := http.NewServeMux()
	k.money(mux)
	k.people(mux)
	k.bank(mux)
	k.Desk = pagetest.NewDesk(t, Area(), client.Here{As: "customer", Customer: alice}, k.failing(mux))
	k.Now = noon
	return k
}

// failing lets requests go wrong as a test wants, and remembers what was posted.
func (k *till) failing(next http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		f, ok := k.fail[r.Method+" "+r.URL.Path]
		if r.Method == http.MethodPost {
			body := new(strings.Builder)
			_, _ = fmt.Fprint(body, r.URL.Path, " ")
			var v map[string]any
			_ = json.NewDecoder(r.Body).Decode(&v)
			text, _ := json.Marshal(v)
			k.posts = append(k.posts, body.String()+string(text))
			r.Body = http.NoBody
			r.Header.Set("Body", string(text))
		}
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if f.done {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(f.status)
		outcome := "refused"
		if f.status == http.StatusGatewayTimeout {
			outcome = "unknown"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": f.status, "code": f.code, "detail": "In English.", "field": f.field, "outcome": outcome})
	})
	return mux
}

// body is what was posted.
func body[T any](r *http.Request) (v T) {
	_ = json.Unmarshal([]byte(r.Header.Get("Body")), &v)
	return v
}

func (k *till) money(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/customers/{id}/wallets", func(w http.ResponseWriter, _ *http.Request) {
		var list []client.WalletState
		for _, x := range k.wallets {
			list = append(list, x.WalletState)
		}
		pagetest.JSON(w, map[string]any{"wallets": list})
	})
	mux.HandleFunc("GET /v1/customers/{id}/wallets/{asset}", func(w http.ResponseWriter, r *http.Request) {
		for _, x := range k.wallets {
			if x.Asset.String() == r.PathValue("asset") {
				pagetest.JSON(w, x)
				return
			}
		}
		pagetest.Problem(w, http.StatusUnprocessableEntity, "wallet-missing", "None.")
	})
	mux.HandleFunc("GET /v1/customers/{id}/statement", func(w http.ResponseWriter, r *http.Request) {
		list, limit := k.receipts, 100
		if n := r.URL.Query().Get("limit"); n != "" {
			_, _ = fmt.Sscan(n, &limit)
		}
		if c := r.URL.Query().Get("cursor"); c != "" {
			i := slices.IndexFunc(list, func(x client.Receipt) bool { return x.Receipt == c })
			list = list[i+1:]
		}
		next := ""
		if len(list) > limit {
			list = list[:limit]
			next = list[limit-1].Receipt
		}
		pagetest.JSON(w, map[string]any{"receipts": list, "next": next})
	})
	mux.HandleFunc("GET /v1/customers/{id}/receipts/{receipt}", func(w http.ResponseWriter, r *http.Request) {
		for _, x := range k.receipts {
			if x.Receipt == r.PathValue("receipt") {
				pagetest.JSON(w, x)
				return
			}
		}
		pagetest.Problem(w, http.StatusNotFound, "not-found", "None.")
	})
	mux.HandleFunc("GET /v1/customers/{id}/receipts/{receipt}/safety", func(w http.ResponseWriter, _ *http.Request) {
		if k.safety == nil {
			pagetest.Problem(w, http.StatusInternalServerError, "internal", "None.")
			return
		}
		pagetest.JSON(w, k.safety)
	})
	mux.HandleFunc("POST /v1/transfers", func(w http.ResponseWriter, r *http.Request) {
		s := body[client.Send](r)
		if _, again := k.sent[s.Number]; !again {
			k.sent[s.Number] = client.Sent{From: alice, Number: s.Number, Status: "done", To: bob, Asset: s.Asset, Amount: s.Amount, Text: s.Text, Time: noon}
			k.wallets[0].Available -= s.Amount
		}
		pagetest.JSON(w, k.sent[s.Number])
	})
	mux.HandleFunc("GET /v1/customers/{id}/transfers/{number}", func(w http.ResponseWriter, r *http.Request) {
		if s, ok := k.sent[r.PathValue("number")]; ok {
			pagetest.JSON(w, s)
			return
		}
		pagetest.Problem(w, http.StatusNotFound, "order-not-exist", "None.")
	})
	mux.HandleFunc("POST /v1/codes/open", func(w http.ResponseWriter, r *http.Request) {
		if body[map[string]string](r)["token"] != "0123456789abcdef" {
			pagetest.Problem(w, http.StatusNotFound, "token-unknown", "None.")
			return
		}
		pagetest.JSON(w, client.OpenedTrade{Trade: k.trade, MerchantName: "Tea <House>"})
	})
	mux.HandleFunc("POST /v1/trades/{merchant}/{no}/pay", func(w http.ResponseWriter, _ *http.Request) {
		if k.trade.Payer == 0 {
			k.pay("paid", -k.trade.Amount, k.trade.OutTradeNo, k.trade.Subject)
			k.trade.Payer, k.trade.Paid, k.trade.Status = alice, noon, "TRADE_SUCCESS"
		}
		pagetest.JSON(w, k.trade)
	})
	mux.HandleFunc("GET /v1/trades/{merchant}/{no}", func(w http.ResponseWriter, r *http.Request) {
		if k.trade.Payer != alice || r.PathValue("no") != k.trade.OutTradeNo {
			pagetest.Problem(w, http.StatusForbidden, "forbidden", "Not yours.")
			return
		}
		pagetest.JSON(w, k.trade)
	})
	mux.HandleFunc("POST /v1/escrows/{merchant}/{no}/{what}", func(w http.ResponseWriter, r *http.Request) {
		k.trade.Protection = map[string]string{"confirm": "ended", "dispute": "disputed"}[r.PathValue("what")]
		pagetest.JSON(w, k.trade)
	})
}

// pay writes a receipt. mu is held.
func (k *till) pay(kind string, amount holdfast.Amount, number, text string) {
	n, at := len(k.receipts), k.Now
	if at.IsZero() {
		at = time.Now()
	}
	k.receipts = slices.Insert(k.receipts, 0, client.Receipt{
		Receipt: fmt.Sprintf("%016x-%016x", 0, n), Kind: kind, Amount: amount, Asset: cny, Other: merchant, Number: number, Text: text, Time: at.Add(-time.Second),
	})
	k.wallets[0].Available += amount
}

func (k *till) people(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/customers/{id}", func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, client.Customer{ID: alice, Registered: noon, Aliases: 1, Devices: k.devices})
	})
	mux.HandleFunc("POST /v1/customers/{id}/devices", func(w http.ResponseWriter, _ *http.Request) {
		k.devices = append(k.devices, client.Device{Number: uint8(len(k.devices) + 1), Added: noon})
		pagetest.JSON(w, map[string]any{"device": len(k.devices), "secret": secret})
	})
	mux.HandleFunc("POST /v1/customers/{id}/devices/{device}/remove", func(w http.ResponseWriter, r *http.Request) {
		k.devices = slices.DeleteFunc(k.devices, func(d client.Device) bool { return fmt.Sprint(d.Number) == r.PathValue("device") })
		pagetest.JSON(w, client.Customer{ID: alice})
	})
	mux.HandleFunc("GET /v1/merchants/{id}/name", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != merchant.String() {
			pagetest.Problem(w, http.StatusNotFound, "merchant-unknown", "None.")
			return
		}
		pagetest.JSON(w, map[string]string{"id": merchant.String(), "name": "Tea <House>"})
	})
	mux.HandleFunc("GET /v1/customers/{id}/agreements", func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, map[string]any{"agreements": k.agreed})
	})
	mux.HandleFunc("POST /v1/customers/{id}/agreements/{app}/revoke", func(w http.ResponseWriter, r *http.Request) {
		k.agreed = slices.DeleteFunc(k.agreed, func(a client.Agreement) bool { return a.App == r.PathValue("app") })
		pagetest.JSON(w, struct{}{})
	})
}

func (k *till) bank(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/customers/{id}/top-ups", func(w http.ResponseWriter, r *http.Request) {
		m := body[client.Money](r)
		k.topUps[m.Number] = client.TopUp{
			Owner: alice, Number: m.Number, Status: "waiting", Asset: m.Asset, Amount: m.Amount, Asked: noon, Since: noon, Reference: "HF00000002899537207715",
			PayTo: &client.BankDetails{Bank: "icbc", Number: "6222020000000000018", Holder: "Holdfast"},
		}
		pagetest.JSON(w, k.topUps[m.Number])
	})
	mux.HandleFunc("GET /v1/customers/{id}/top-ups", func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, map[string]any{"top_ups": values(k.topUps)})
	})
	mux.HandleFunc("GET /v1/customers/{id}/top-ups/{number}", func(w http.ResponseWriter, r *http.Request) { found(w, k.topUps, r.PathValue("number")) })
	mux.HandleFunc("POST /v1/payouts", func(w http.ResponseWriter, r *http.Request) {
		m := body[client.Withdrawal](r)
		if _, again := k.payouts[m.Number]; !again {
			soonest, likely := int64(60), int64(3600)
			k.payouts[m.Number] = client.Payout{
				Owner: alice, Kind: "withdrawal", Number: m.Number, Status: "waiting", Asset: m.Asset, Amount: m.Amount, Asked: noon, Since: noon,
				Estimate: &client.Estimate{Bank: "icbc", Ahead: 3, Down: true, DownSince: noon.Add(-time.Hour), Soonest: &soonest, Likely: &likely},
			}
			k.wallets[0].Available -= m.Amount
		}
		pagetest.JSON(w, k.payouts[m.Number])
	})
	mux.HandleFunc("GET /v1/customers/{id}/withdrawals", func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, map[string]any{"payouts": values(k.payouts)})
	})
	mux.HandleFunc("GET /v1/payouts/{id}/{number}", func(w http.ResponseWriter, r *http.Request) { found(w, k.payouts, r.PathValue("number")) })
	mux.HandleFunc("POST /v1/payouts/{id}/{number}/recall", func(w http.ResponseWriter, r *http.Request) {
		o := k.payouts[r.PathValue("number")]
		o.Recalled, o.Status, o.Estimate = true, "returned", nil
		k.payouts[o.Number] = o
		pagetest.JSON(w, o)
	})
	list := func(w http.ResponseWriter) { pagetest.JSON(w, map[string]any{"bank_accounts": k.accounts}) }
	mux.HandleFunc("GET /v1/customers/{id}/bank-accounts", func(w http.ResponseWriter, _ *http.Request) { list(w) })
	mux.HandleFunc("POST /v1/customers/{id}/bank-accounts", func(w http.ResponseWriter, r *http.Request) {
		b := body[map[string]string](r)
		name := b["name"]
		if name == "" {
			name = "main"
		}
		k.accounts = append(k.accounts, client.KeptAccount{Name: name, Tail: b["number"][len(b["number"])-4:], Added: noon})
		list(w)
	})
	mux.HandleFunc("POST /v1/customers/{id}/bank-accounts/{account}/remove", func(w http.ResponseWriter, r *http.Request) {
		k.accounts = slices.DeleteFunc(k.accounts, func(a client.KeptAccount) bool { return a.Name == r.PathValue("account") })
		list(w)
	})
}

func values[T any](m map[string]T) (list []T) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

func found[T any](w http.ResponseWriter, m map[string]T, key string) {
	if v, ok := m[key]; ok {
		pagetest.JSON(w, v)
		return
	}
	pagetest.Problem(w, http.StatusNotFound, "order-not-exist", "None.")
}

// asked tells how often a path was posted to.
func (k *till) asked(path string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.posts {
		if strings.HasPrefix(p, path+" ") {
			n++
		}
	}
	return n
}

// led is where a form has led.
func (k *till) led(w *httptest.ResponseRecorder) string {
	k.t.Helper()
	if w.Code != http.StatusSeeOther {
		k.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// fields are the hidden fields of the form with an action, as pairs.
func (k *till) fields(page, action string) (pairs []string) {
	k.t.Helper()
	_, form, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		k.t.Fatalf("no form for %s in %s", action, page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		pairs = append(pairs, m[1], m[2])
	}
	return pairs
}

// said checks the status and the text of an answer.
func (k *till) said(w *httptest.ResponseRecorder, status int, want ...string) string {
	k.t.Helper()
	if w.Code != status {
		k.t.Errorf("%d, want %d", w.Code, status)
	}
	pagetest.Says(k.t, w.Body.String(), want...)
	return w.Body.String()
}

func TestHomeAndStatement(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.Page("/wallet", "¥1,234.56", "¥100.00 on hold", "¥5.00 on its way", "US$20.00", "Tea &lt;House&gt;", "Jasmine tea &lt;b&gt;", "!<b>", "−¥12.50", "&#43;¥66.00",
		"Customer …"+bob.String()[12:], "!"+bob.String(), `data-live="/wallet/live"`, "/wallet/receipts/0000000000000001-0000000000000001", "Top-up")
	k.In("zh-CN")
	k.Page("/wallet", "可用余额", "冻结 ¥100.00", "付款码", "扫一扫", "转账", "充值", "尾号")
	k.In("en")
	k.wallets[0].Blocked = true
	k.Page("/wallet", "This wallet is blocked")
	k.wallets = nil
	k.Page("/wallet", "You have no wallet yet")

	k = newTill(t)
	for i := range 130 {
		asset := cny
		if i%2 == 1 {
			asset = usd
		}
		k.receipts = append(k.receipts, client.Receipt{Receipt: fmt.Sprintf("%016x-%016x", 0x100+i, 0), Kind: "sent", Amount: -1, Asset: asset, Other: bob, Time: noon.Add(-time.Duration(i) * 24 * time.Hour)})
	}
	count := func(body string) int { return strings.Count(body, "/wallet/receipts/") }
	first := k.Page("/wallet/statement", "Older", "!Newest")
	older := regexp.MustCompile(`href="(/wallet/statement\?currency=&amp;cursor=[^"]+|/wallet/statement\?[^"]*cursor=[^"]+)"`).FindStringSubmatch(first)
	if count(first) != statementLines || older == nil {
		t.Fatalf("%d lines, %q", count(first), older)
	}
	if second := k.Page(strings.ReplaceAll(older[1], "&amp;", "&"), "Newest"); count(second) != statementLines || strings.Contains(second, "0000000000000001-0000000000000001") {
		t.Errorf("%d lines", count(second))
	}
	seen, address := 0, "/wallet/statement?currency=USD"
	for range 10 {
		body := k.Page(address, "!¥")
		seen += count(body)
		next := regexp.MustCompile(`href="([^"]*cursor=[^"]*)"`).FindStringSubmatch(body)
		if next == nil {
			break
		}
		address = strings.ReplaceAll(next[1], "&amp;", "&")
	}
	if seen != 65 {
		t.Errorf("%d lines in US dollars, want 65", seen)
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.Page("/wallet/send", "Their phone number", "¥1,234.56")
	k.said(k.Post("/wallet/send", "to", "", "amount", "1", "currency", "CNY"), 422, "Say to whom", `aria-invalid="true"`)
	k.said(k.Post("/wallet/send", "to", "bob@example.com", "amount", "1.005", "currency", "CNY"), 422, "Give the amount", `value="bob@example.com"`)
	k.said(k.Post("/wallet/send", "to", "bob@example.com", "amount", "1", "currency", "EUR"), 422, "no wallet in this currency")
	k.said(k.Post("/wallet/send", "to", "bob@example.com", "amount", "9,999", "currency", "CNY"), 200, "There is not enough money", "!Send ¥")

	confirm := k.said(k.Post("/wallet/send", "to", "bob@example.com", "amount", "１２．５", "currency", "CNY", "note", "lunch <i>"), 200,
		"¥12.50", "bob@example.com", "lunch &lt;i&gt;", "¥1,222.06", "cannot be called back")
	if k.asked("/v1/transfers") != 0 {
		t.Fatal("money moved before it was confirmed")
	}
	fields := k.fields(confirm, "/wallet/send/confirm")
	k.said(k.Post("/wallet/send", append(fields, "edit", "1")...), 200, `value="bob@example.com"`, "Their phone number")
	to := k.led(k.Post("/wallet/send/confirm", fields...))
	k.Page(to, "Sent", "¥12.50", "Customer …"+bob.String()[12:], "!bob@")
	if again := k.led(k.Post("/wallet/send/confirm", fields...)); again != to || k.wallets[0].Available != 123_456-1250 {
		t.Errorf("sent twice: %s, then %s; %d left", to, again, k.wallets[0].Available)
	}
	if strings.Contains(to, "example") {
		t.Errorf("%s tells whom", to)
	}

	for _, row := range []struct {
		failure
		want int
		says string
	}{
		{failure{status: 404, code: "alias-unknown", field: "to_alias"}, 404, "Nobody here has this phone number"},
		{failure{status: 429, code: "too-many-aliases"}, 429, "Too many phone numbers"},
		{failure{status: 422, code: "limit-day"}, 422, "what you may spend today"},
		{failure{status: 409, code: "wallet-blocked"}, 409, "Ask the support why"},
		{failure{status: 409, code: "something-new"}, 409, "In English."},
	} {
		k.fail["POST /v1/transfers"] = row.failure
		k.said(k.Post("/wallet/send/confirm", fields...), row.want, row.says, `value="bob@example.com"`, "!finding out")
	}

	// It was done, and the answer was lost: nobody says that it failed.
	fields = k.fields(k.said(k.Post("/wallet/send", "to", "bob@example.com", "amount", "1", "currency", "CNY"), 200), "/wallet/send/confirm")
	k.fail["POST /v1/transfers"] = failure{status: 504, code: "outcome-unknown", done: true}
	asking := k.said(k.Post("/wallet/send/confirm", fields...), 202, "We are finding out", "Nothing can be taken twice", "!failed", `data-live="/wallet/asking/sent?number=`)
	live := regexp.MustCompile(`data-live="([^"]+)"`).FindStringSubmatch(asking)[1]
	if !strings.Contains(k.stream(live), "/wallet/sent?number=") {
		t.Error("the page is not told that it was done")
	}
	delete(k.fail, "POST /v1/transfers")
	before := k.wallets[0].Available
	k.Page(k.led(k.Post("/wallet/send/confirm", k.fields(asking, "/wallet/send/confirm")...)), "¥1.00")
	if k.wallets[0].Available != before {
		t.Error("sent twice")
	}
	k.fail["POST /v1/transfers"] = failure{status: 401, code: "unauthenticated"}
	if to := k.led(k.Post("/wallet/send/confirm", fields...)); !strings.HasPrefix(to, "/sign-in") {
		t.Errorf("led to %s", to)
	}
}

// stream reads the first event of a live page.
func (k *till) stream(address string) string {
	k.t.Helper()
	s := httptest.NewServer(k.Pages)
	defer s.CloseClientConnections()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, s.URL+strings.ReplaceAll(address, "&amp;", "&"), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Cookie", "holdfast_session="+k.Token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer a.Body.Close()
	var text strings.Builder
	for b := make([]byte, 4096); !strings.Contains(text.String(), "\n\n"); {
		n, err := a.Body.Read(b)
		text.Write(b[:n])
		if err != nil {
			break
		}
	}
	return text.String()
}

func TestScanAndPay(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	for _, link := range []string{"", "https://pay.example.com/x/0123456789abcdef", "javascript:alert(1)", "short", "https://pay.example.com/q/a b"} {
		k.said(k.Post("/wallet/scan", "link", link), 422, "This is no link of a shop")
	}
	to := k.led(k.Post("/wallet/scan", "link", " https://pay.example.com:8443/q/0123456789abcdef?x=1 "))
	if to != "/wallet/scan/0123456789abcdef" {
		t.Fatal(to)
	}
	k.Page(to, "Tea &lt;House&gt;", "¥28.00", "Oolong, 100 g", "Pay ¥28.00", "¥1,234.56")
	k.said(k.Get("/wallet/scan/ffffffffffffffff"), 422, "This code is not known")
	k.trade.Amount = 999_999
	k.Page(to, "There is not enough money", "!Pay ¥9,999.99")
	k.trade.Amount, k.trade.Asset = 2800, holdfast.MustAsset("EUR")
	k.Page(to, "You have no wallet in this currency", "!Pay €")
	k.trade.Asset = cny
	for code, says := range map[string]string{"trade-expired": "The time to pay is over", "limit-payment": "above the limit", "trade-buyer-not-match": "for somebody else"} {
		k.fail["POST /v1/trades/"+merchant.String()+"/T-1/pay"] = failure{status: 409, code: code}
		k.said(k.Post(to), 409, says, "¥28.00")
	}
	k.fail["POST /v1/trades/"+merchant.String()+"/T-1/pay"] = failure{status: 504, code: "outcome-unknown"}
	asking := k.said(k.Post(to), 202, "We are finding out", `action="/wallet/scan/0123456789abcdef"`)
	live := regexp.MustCompile(`data-live="([^"]+)"`).FindStringSubmatch(asking)[1]
	if text := k.stream(live); strings.Contains(text, "/wallet/paid") || !strings.Contains(text, "Still asking") {
		t.Errorf("told before it is known: %s", text)
	}
	delete(k.fail, "POST /v1/trades/"+merchant.String()+"/T-1/pay")
	paid := k.led(k.Post(to))
	k.Page(paid, "Paid", "¥28.00", "Tea &lt;House&gt;", "/wallet/receipts/")
	if !strings.Contains(k.stream(live), "/wallet/paid?merchant=") {
		t.Error("the page is not told that it was paid")
	}
	if again := k.led(k.Post(to)); again != paid || k.wallets[0].Available != 123_456-2800 {
		t.Errorf("paid twice: %s, %d left", again, k.wallets[0].Available)
	}
	if seen := k.led(k.Get(to)); seen != paid {
		t.Errorf("a code that is paid leads to %s", seen)
	}
	k.said(k.Get("/wallet/paid?merchant="+merchant.String()+"&trade=T-2"), 403)
}

// ask asks for a page with the cookies of a browser.
func (k *till) ask(method, path string, form url.Values, head http.Header, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header = head.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: "holdfast_session", Value: k.Token})
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	k.Pages.ServeHTTP(w, r)
	return w
}

// A browser without scripts keeps its secret in a cookie of this one page, and the site draws.
func TestCodeWithoutScripts(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	page := k.Page("/wallet/code", "Show codes in this browser", "!id=\"plain\"", `data-devices=""`, "/wallet/code/live?since=0000000000000001-0000000000000001")
	w := k.ask("POST", "/wallet/code", url.Values{"number": {k.fields(page, "/wallet/code")[1]}}, nil)
	if to := k.led(w); to != "/wallet/code?done=code-on" {
		t.Errorf("led to %s", to)
	}
	c := w.Result().Cookies()[0]
	if c.Name != codeCookie || c.Path != "/wallet/code" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.MaxAge < 1e6 {
		t.Errorf("%+v", c)
	}
	code := groups(client.PaymentCode(alice, secret, noon))
	k.said(k.ask("GET", "/wallet/code?done=code-on", nil, nil, c), 200, code, "Bar code of your payment code", "2026-11-27 04:01:00", "This browser shows your payment codes now", `data-devices="1"`)
	k.Now = noon.Add(time.Minute)
	k.said(k.ask("GET", "/wallet/code", nil, nil, c), 200, "!"+code, "QR code of your payment code")
	for _, bad := range []string{"", "x", alice.String() + ".9." + base64.RawURLEncoding.EncodeToString(secret), bob.String() + ".1." + base64.RawURLEncoding.EncodeToString(secret), alice.String() + ".1.!"} {
		k.said(k.ask("GET", "/wallet/code", nil, nil, &http.Cookie{Name: codeCookie, Value: bad}), 200, "!id=\"plain\"")
	}
	w = k.ask("POST", "/wallet/code/off", url.Values{"device": {"1"}}, nil, c)
	if to := k.led(w); to != "/wallet/code?done=code-off" || len(k.devices) != 0 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("led to %s, %v, %v", to, k.devices, w.Result().Cookies())
	}
	k.said(k.ask("GET", "/wallet/code", nil, nil, c), 200, "!id=\"plain\"")
	if w := k.Post("/wallet/code/off", "device", "0"); w.Code != 400 {
		t.Errorf("%d", w.Code)
	}

	// The hour in which nothing can be read is the one in which people want to pay.
	k.led(k.ask("POST", "/wallet/code", nil, nil))
	k.fail["GET /v1/customers/"+alice.String()] = failure{status: 503, code: "no-quorum"}
	k.said(k.ask("GET", "/wallet/code", nil, nil, c), 200, "QR code of your payment code", "The code works all the same", `data-devices="?"`)
	delete(k.fail, "GET /v1/customers/"+alice.String())
	k.devices = nil

	devices := "POST /v1/customers/" + alice.String() + "/devices"
	k.fail[devices] = failure{status: 409, code: "too-many", field: "device"}
	k.said(k.Post("/wallet/code"), 409, "There are as many as there can be")
	script := http.Header{"Accept": {"application/json"}}
	k.said(k.ask("POST", "/wallet/code", nil, script), 409, `{"problem":"There are as many as there can be. Remove one first."}`)
	k.fail[devices] = failure{status: 504, code: "outcome-unknown"}
	k.said(k.ask("POST", "/wallet/code", nil, script), 409, "try again in a moment")
	k.said(k.Post("/wallet/code", "number", "0190f3c6-2a3b-7c4d-8e5f-001122334455"), 202, `name="number" value="0190f3c6-2a3b-7c4d-8e5f-001122334455"`)
	delete(k.fail, devices)
	w = k.ask("POST", "/wallet/code", nil, script)
	k.said(w, 200, `"device":1`, base64.StdEncoding.EncodeToString(secret))
	if len(w.Result().Cookies()) != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
}

func TestAPaymentByCodeIsTold(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	live := "/wallet/code/live?since=0000000000000001-0000000000000001"
	if text := k.stream(live); strings.Contains(text, "Paid at") {
		t.Errorf("an old payment is told: %s", text)
	}
	k.pay("paid", -880, "T-7", "Dumplings")
	pagetest.Says(t, k.stream(live), "Paid at", "Tea &lt;House&gt;", "¥8.80", "!−¥8.80", `data-new="1"`, "event: paid")
	k.Page("/wallet/code", "Paid at", "!data-new")
	k.pay("received", 100, "s-3", "")
	if text := k.stream(live); strings.Contains(text, "Paid at") {
		t.Errorf("what came in is told as paid: %s", text)
	}
}

func TestTopUp(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.said(k.Post("/wallet/top-up", "amount", "abc", "currency", "CNY"), 422, "Give the amount")
	k.said(k.Post("/wallet/top-up", "amount", "1", "currency", "XXX"), 422, "no wallet in this currency")
	form := k.Page("/wallet/top-up", "Bring money from your bank", "None yet.")
	fields := append(k.fields(form, "/wallet/top-up"), "amount", "250", "currency", "CNY")
	to := k.led(k.Post("/wallet/top-up", fields...))
	if again := k.led(k.Post("/wallet/top-up", fields...)); again != to || len(k.topUps) != 1 {
		t.Errorf("announced twice: %s, %s", to, again)
	}
	k.Page(to, "HF00000002899537207715", "6222020000000000018", "icbc", "¥250.00", "Waiting for the bank", `data-live="/wallet/top-up/live?number=`)
	k.Page("/wallet/top-up", "¥250.00", "Waiting for the bank")
	for n, v := range k.topUps {
		v.Status, v.PayTo = "done", nil
		k.topUps[n] = v
	}
	pagetest.Says(t, k.stream(strings.Replace(to, "/order", "/live", 1)), "Arrived")
	k.Page(to, "Arrived", "!6222", "!data-live")
	k.fail["POST /v1/customers/"+alice.String()+"/top-ups"] = failure{status: 504, code: "outcome-unknown"}
	k.said(k.Post("/wallet/top-up", "amount", "1", "currency", "CNY"), 202, "We are finding out")
	k.said(k.Get("/wallet/top-up/order?number=nothing"), 404)
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.Page("/wallet/withdraw", "You have no bank account here yet")
	k.fail["POST /v1/customers/"+alice.String()+"/bank-accounts"] = failure{status: 400, code: "field-invalid", field: "number"}
	k.said(k.Post("/wallet/bank-accounts", "account", "12", "holder", "Alice"), 400, "This is no number of a bank account", `value="12"`)
	delete(k.fail, "POST /v1/customers/"+alice.String()+"/bank-accounts")
	if to := k.led(k.Post("/wallet/bank-accounts", "account", "6222000000000001", "holder", "Alice")); to != "/wallet/bank-accounts?done=account-kept" {
		t.Error(to)
	}
	k.Page("/wallet/bank-accounts?done=account-kept", "The bank account is kept", "Main account", "ends in 0001", "!6222000000000001")
	k.Page("/wallet/withdraw", "ends in 0001")
	k.said(k.Post("/wallet/withdraw", "amount", "9999", "currency", "CNY", "account", "main"), 422, "There is not enough money", `value="9999"`)
	k.said(k.Post("/wallet/withdraw", "amount", "1", "currency", "CNY"), 422, "Choose a bank account")
	confirm := k.said(k.Post("/wallet/withdraw", "amount", "1,000", "currency", "CNY", "account", "main"), 200, "¥1,000.00", "ends in 0001", "¥234.56")
	fields := k.fields(confirm, "/wallet/withdraw/confirm")
	k.said(k.Post("/wallet/withdraw", append(fields, "edit", "1")...), 200, `value="1,000"`)
	k.fail["POST /v1/payouts"] = failure{status: 504, code: "outcome-unknown", done: true}
	asking := k.said(k.Post("/wallet/withdraw/confirm", fields...), 202, "We are finding out")
	delete(k.fail, "POST /v1/payouts")
	// The money has left the wallet: asking again is no new withdrawal, and not refused for want of money.
	to := k.led(k.Post("/wallet/withdraw/confirm", k.fields(asking, "/wallet/withdraw/confirm")...))
	if k.wallets[0].Available != 23_456 || len(k.payouts) != 1 {
		t.Errorf("%d left, %v", k.wallets[0].Available, k.payouts)
	}
	k.Page(to, "¥1,000.00", "Waiting for the bank", "The bank does not answer, since", "2026-11-27 03:00:10", "3 orders come before yours", "2026-11-27 04:01:10", "2026-11-27 05:00:10", "Call it back")
	k.In("zh-CN")
	k.Page(to, "等待银行处理", "银行系统暂时没有应答", "前面还有 3 笔", "撤回提现")
	k.In("en")
	k.Page("/wallet/withdraw", "Waiting for the bank")
	number := strings.TrimPrefix(to, "/wallet/withdraw/order?number=")
	k.Page(k.led(k.Post("/wallet/withdraw/recall", "number", number)), "Back in your wallet", "You have asked for it back", "!Call it back")
	for _, row := range []struct {
		client.Payout
		says string
	}{
		{client.Payout{Status: "sent"}, "Sent to the bank, no answer yet"},
		{client.Payout{Status: "sent", Accepted: true}, "The bank has it"},
		{client.Payout{Status: "sent", Doubtful: true}, "Being checked with the bank"},
		{client.Payout{Status: "sent", Recalled: true}, "Being called back"},
		{client.Payout{Status: "waiting", NeedsAccount: true}, "Needs your bank account"},
		{client.Payout{Status: "done", Bank: "B-1"}, "Paid out"},
		{client.Payout{Status: "returned", Reason: "closed account"}, "closed account"},
	} {
		row.Owner, row.Kind, row.Number, row.Asset, row.Amount, row.Asked = alice, "withdrawal", "w-1", cny, 100, noon
		k.payouts["w-1"] = row.Payout
		k.Page("/wallet/withdraw/order?number=w-1", row.says, "!payout-")
	}
	k.led(k.Post("/wallet/bank-accounts/remove", "name", "main"))
	k.Page("/wallet/bank-accounts", "None yet.")
}

func TestReceiptAndProtection(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.trade.OutTradeNo, k.trade.Mode, k.trade.Payer, k.trade.Paid, k.trade.Status = "T-0", "escrow", alice, noon, "TRADE_SUCCESS"
	k.trade.Amount, k.trade.Held, k.trade.Refunded, k.trade.Protection, k.trade.Deadline = 1250, 1000, 250, "shipped", noon.Add(72*time.Hour)
	receipt := "/wallet/receipts/" + k.receipts[0].Receipt
	body := k.Page(receipt, "−¥12.50", "Tea &lt;House&gt;", "Jasmine tea", "2026112722001400000000000001", "T-0", "The shop has shipped it", "The platform keeps ¥10.00", "¥2.50", "I have got it", "Something is wrong",
		"Unless you object, the shop gets the money at", "<title>Paid · Holdfast</title>")
	links := regexp.MustCompile(`href="(/wallet/escrow[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(links) != 2 {
		t.Fatalf("%q", links)
	}
	for i, row := range []struct{ does, says, after string }{{"confirm", "cannot be undone", "The protection has ended"}, {"dispute", "until the dispute is decided", "Disputed: nothing moves"}} {
		k.trade.Protection = "shipped"
		ask := k.Page(strings.ReplaceAll(links[i][1], "&amp;", "&"), row.says, "¥10.00")
		if k.asked("/v1/escrows/"+merchant.String()+"/T-0/"+row.does) != 0 {
			t.Error("done before it was confirmed")
		}
		fields := k.fields(ask, "/wallet/escrow")
		k.fail["POST /v1/escrows/"+merchant.String()+"/T-0/"+row.does] = failure{status: 409, code: "escrow-status-error"}
		k.said(k.Post("/wallet/escrow", fields...), 409, "That cannot be done with this purchase")
		delete(k.fail, "POST /v1/escrows/"+merchant.String()+"/T-0/"+row.does)
		to := k.led(k.Post("/wallet/escrow", fields...))
		if to != receipt+"?done=escrow-"+row.does {
			t.Error(to)
		}
		k.Page(to, row.after)
	}
	k.said(k.Get("/wallet/escrow?do=steal&merchant="+merchant.String()+"&trade=T-0"), 404)
	k.said(k.Get("/wallet/receipts/ffffffffffffffff-ffffffffffffffff"), 404)
	for i, says := range []string{"", "Customer …", "/wallet/top-up/order?number=t-9", "/wallet/withdraw/order?number=w-9"} {
		k.Page("/wallet/receipts/"+k.receipts[i].Receipt, says, "!kind-")
	}
	k.receipts[1].Undecided = true
	k.Page("/wallet/receipts/"+k.receipts[1].Receipt, "may yet be taken back")
}

func TestIsMyPaymentSafe(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	name := k.receipts[0].Receipt
	receipt := "/wallet/receipts/" + name
	k.safety = safely()
	k.Page(receipt, "Is my payment safe?", "Yes, it is safe.", "hangzhou</bdi></strong> has it on its disk", "shanghai</bdi></strong> has it on its disk", "beijing</bdi></strong> did not answer", "Entry of shard 2, number 4711", "2 of 3 sites have it; it takes 2",
		receipt+"/signed", "holdfast check", "!/wallet/safety?")
	w := k.Get(receipt + "/signed")
	if w.Code != 200 || w.Body.String() != `{"holdfast_receipt":1}` || !strings.Contains(w.Header().Get("Content-Disposition"), "holdfast-receipt-"+name+".json") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	k.In("zh-CN")
	k.Page(receipt, "我的付款安全吗？", "安全，不会丢失。", "已存盘", "没有应答", "下载签名凭证")
	k.In("en")
	for _, row := range []struct{ verdict, reason, says, why string }{
		{"held", "in-log", "Almost: do not pay again", "certain in a moment"},
		{"under-way", "on-its-way", "It is on its way", "it arrives, or it comes back"},
		{"not-executed", "refused", "Nothing was paid", "nothing will be"},
		{"unknown", "no-majority", "cannot be told just now", "Too few sites"},
		{"something-new", "something-new", "cannot be told just now", "!safety-"},
	} {
		*k.safety = client.Safety{Verdict: row.verdict, Reason: row.reason, AskAgainMS: 500}
		k.Page(receipt, row.says, row.why, "!Yes, it is safe", "!/signed", "/wallet/safety?receipt="+name)
	}
	k.said(k.Get(receipt+"/signed"), 404)
	k.safety = safely()
	pagetest.Says(t, k.stream("/wallet/safety?receipt="+name), "Yes, it is safe.", "event: safety")
	k.safety = nil
	k.Page(receipt, "cannot be told just now: do not pay again", "We go on asking", "−¥12.50", "!Yes, it is safe")
}

func safely() *client.Safety {
	return &client.Safety{
		Verdict: client.SafetySafe, Reason: "committed", Entry: &client.SafetyEntry{Shard: 2, Index: 4711}, Voters: 3, Majority: 2, Holding: 2, At: noon,
		Sites:  []client.SafetySite{{Site: 1, Name: "hangzhou", Voter: true, Answered: true, State: "applied"}, {Site: 2, Name: "shanghai", Voter: true, Answered: true, State: "logged"}, {Site: 3, Name: "beijing", Voter: true}},
		Signed: json.RawMessage(`{"holdfast_receipt":1}`),
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	k.devices = []client.Device{{Number: 1, Added: noon}, {Number: 3, Added: noon}}
	k.agreed = []client.Agreement{{App: "2021000000010010", Scopes: []string{"auth_base", "auth_user"}, Since: noon}}
	k.Page("/wallet/settings", "¥5,000.00", "¥10,000.00", "spent today: ¥28.00", "none", "/wallet/devices", "/wallet/agreements", "/wallet/bank-accounts")
	k.Page("/wallet/devices", "Phone 1", "Phone 3")
	k.Page(k.led(k.Post("/wallet/devices/remove", "device", "3")), "Phone 1", "!Phone 3", "Removed")
	k.fail["POST /v1/customers/"+alice.String()+"/devices/1/remove"] = failure{status: 504, code: "outcome-unknown"}
	k.said(k.Post("/wallet/devices/remove", "device", "1"), 202, "We are finding out", `name="device" value="1"`)
	k.Page("/wallet/agreements", "2021000000010010", "what is known of you")
	k.Page(k.led(k.Post("/wallet/agreements/revoke", "app", "2021000000010010")), "No app may.", "Revoked.")
}

func TestWhatIsKeptForWhenThereIsNoNetwork(t *testing.T) {
	t.Parallel()
	k := newTill(t)
	w := k.Get("/wallet/worker.js")
	k.said(w, 200, "/wallet/offline", "wallet-code.js", "holdfast.css", "![/* files */]")
	if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Error(kind)
	}
	for _, m := range regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		k.said(k.Get(m[1]), 200)
	}
	k.said(k.Get("/wallet/offline"), 200, "this browser shows no payment codes yet", `data-owner=""`, "!"+alice.String())
}

func TestEveryWordIsThere(t *testing.T) {
	t.Parallel()
	whole := []string{
		"wallet", "statement", "code", "offline", "scan", "trade", "paid", "asking", "send", "send-confirm", "sent", "top-up", "top-up-order", "withdraw", "withdraw-confirm", "withdraw-order",
		"bank-accounts", "receipt", "escrow", "settings", "devices", "agreements",
	}
	more := []string{"not-now", "problem-link", "problem-to", "problem-amount", "problem-currency", "problem-account", "problem-bank-number", "person", "code-balance-not-enough"}
	for _, k := range []string{"paid", "refunded", "frozen", "unfrozen", "paid-frozen", "sent", "received", "topped-up", "withdrawn", "withdrawal-returned", "share", "not-paid", "share-missed"} {
		more = append(more, "kind-"+k)
	}
	for _, s := range []string{"waiting", "sent", "accepted", "done", "returned", "recalled", "doubtful", "no-account"} {
		more = append(more, "payout-"+s, "payout-"+s+"-lead")
	}
	for _, s := range []string{"top-up-waiting", "top-up-done", "top-up-returned", "protection-held", "protection-shipped", "protection-disputed", "protection-ended", "scope-auth_base", "scope-auth_user"} {
		more = append(more, s)
	}
	for _, s := range []string{"safe", "held", "under-way", "not-executed", "unknown"} {
		more = append(more, "safety-"+s)
	}
	for _, s := range []string{"committed", "in-log", "on-its-way", "reserved", "refused", "taken-back", "released", "closed", "not-paid", "not-here", "no-majority", "sites-differ"} {
		more = append(more, "safety-why-"+s)
	}
	for _, s := range []string{"confirm", "dispute"} {
		more = append(more, "escrow-"+s, "escrow-"+s+"-lead", "escrow-"+s+"-do", "done-escrow-"+s)
	}
	for _, s := range []string{"code-on", "code-off", "recalled", "account-kept", "account-removed", "device-removed", "revoked"} {
		more = append(more, "done-"+s)
	}
	pagetest.CheckWords(t, Area(), whole, more...)
}
