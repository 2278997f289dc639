package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func TestAPageThatWaits(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	for _, path := range []string{"/cashier/" + token, "/q/" + token} {
		w.get(0, path, "zh-CN,zh;q=0.9,en;q=0.8").status(200).has(`<html lang="zh-CN">`, "收款方", "CNY 12.34", "Long&lt;jing&gt; &amp; Söhne 茶",
			"&lt;b&gt;tea&lt;/b&gt; &#34;green&#34; 绿茶", "!<b>", "付款码（18 位数字）", `<label for="code">`, `id="code"`, `aria-describedby="code-hint"`,
			"https://pay.example.com/q/"+token, `role="img"`, words["qr-alt"].zh, "!http-equiv", "!aria-invalid", `href="https://shop.example/cart"`,
			"!shop.example/paid", `hreflang="en" lang="en"`)
		w.get(1, path, "en-GB").status(200).has(`<html lang="en">`, "CNY 12.34", "Payment code (18 digits)", "!收款方")
		w.get(1, path+"?lang=zh", "en").status(200).has(`<html lang="zh-CN">`, `action="../cashier/`+token+`?lang=zh-CN"`)
	}
	if v, err := w.cashier.Query(w.ctx, w.merchant, "A", w.now); err != nil || !v.Opened {
		t.Errorf("it is not known that it has been seen: %+v, %v", v, err)
	}
}

func TestHeadersKeepTheToken(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	for _, a := range []answered{
		w.get(0, "/cashier/"+token, ""), w.post(0, "/cashier/"+token, "1", ""), w.post(0, "/cashier/"+token, w.code(0), ""),
		w.get(0, "/cashier/state/"+token, ""), w.get(0, "/cashier/nothing", ""), w.get(0, "/q/"+token, ""), w.get(0, "/cashier/", ""),
	} {
		h := a.Header()
		if h.Get("Referrer-Policy") != "strict-origin" || h.Get("Cache-Control") != "no-store" || len(a.Result().Cookies()) > 0 {
			t.Errorf("headers %v", h)
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q", csp)
		}
	}
	// Nothing on the page needs what the policy forbids.
	w.get(0, "/cashier/"+w.trade("B"), "").has("!<style", "!style=", "!onclick", "!onsubmit", "!<script>")
}

func TestPaidWithACodeAtAnotherSite(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.get(0, "/cashier/"+token, "en").status(200)
	code := w.code(0)
	spaced := code[:4] + " " + code[4:8] + " " + code[8:12] + "-" + code[12:]
	next := w.post(1, "/cashier/"+token+"?lang=en", spaced, "zh").goes()
	if next != "/cashier/"+token+"?lang=en" {
		t.Fatalf("it goes to %s", next)
	}
	back := `href="https://shop.example/paid?order=7&amp;sign=a%2Bb"`
	w.get(0, next, "zh").status(200).has("Paid", back, `<noscript><meta http-equiv="refresh" content="0; url=https://shop.example/paid?order=7&amp;sign=a%2Bb">`,
		"Go back to the shop", `data-state="paid"`, `data-in="5"`, "!<form", "2026-11-27 17:00 GMT&#43;08:00", "!shop.example/cart")
	w.get(0, next+"&stay=1", "").has(back, "!http-equiv", "!data-in")
	for site := range w.sites { // the browser sends the form again, to any site
		if again := w.post(site, "/cashier/"+token+"?lang=en", spaced, "zh").goes(); again != next {
			t.Errorf("sent again: %s", again)
		}
	}
	if got := w.balance(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
}

func TestTheWayBackIsNotKnown(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.post(0, "/cashier/"+token, w.code(0), "en").goes()
	w.backErr = errors.New("the key cannot be read")
	w.get(0, "/cashier/"+token, "en").status(200).has("Paid", "!http-equiv", words["paid-here"].en)
	w.backErr, w.back = nil, "javascript:alert(1)"
	token = w.trade("B")
	w.post(0, "/cashier/"+token, w.code(1), "en").goes()
	w.get(0, "/cashier/"+token, "en").status(200).has("Paid", "!javascript", "!http-equiv", words["paid-here"].en)
}

func TestACodeOfAShopLeadsNowhere(t *testing.T) {
	w := newWorld(t)
	token := w.scanned("A")
	w.get(0, "/q/"+token, "en").status(200).has("<form", "!shop.example")
	w.get(0, w.post(1, "/cashier/"+token, w.code(0), "en").goes(), "en").has("Paid", "!http-equiv", "!shop.example", words["paid-here"].en)
}

// stuck makes the next payment one whose outcome nobody knows until the books deliver it.
func (w *world) stuck() { w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck } }

func TestUnknownIsNeverFailed(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.get(0, "/cashier/"+token, "en")
	w.stuck()
	code := w.code(0)
	next := w.post(0, "/cashier/"+token, code, "en").goes()
	w.books.Fault = nil
	if !strings.HasPrefix(next, "/cashier/"+token+"?since=") {
		t.Fatalf("it goes to %s", next)
	}
	notFailed := []string{"!Nothing was taken", "!refused", "!Not paid", "!failed"}
	for site := range w.sites {
		w.get(site, next, "en").status(200).has(append(notFailed, "We are finding out", words["asking"].en, `http-equiv="refresh" content="3"`, "!<form", "!shop.example")...)
		w.get(site, next, "zh").status(200).has("正在确认付款结果", "!没有扣款", "!失败")
		w.get(site, next+"&still=1", "en").has("!http-equiv")
	}
	if again := w.post(1, "/cashier/"+token, code, "en").goes(); !strings.Contains(again, "since=") {
		t.Errorf("sent again: %s", again)
	}
	w.now += holdfast.Time(61 * time.Second)
	w.get(1, next, "en").status(200).has(append(notFailed, words["late"].en, "<form", "!http-equiv", `action="..`+next+`"`)...)
	// Another try is offered, and is no failure of the first.
	w.post(1, next, w.code(0), "en").goes()
	w.books.Deliver()
	w.get(1, next, "en").status(200).has("Paid", `data-state="paid"`)
	if got := w.balance(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
}

func TestAnswerLostAndNeverProposed(t *testing.T) {
	for _, fault := range []paytest.Fault{paytest.AnswerLost, paytest.NotProposed} {
		w := newWorld(t)
		token := w.trade("A")
		w.get(0, "/cashier/"+token, "en")
		w.books.Fault = func(*holdfast.Txn) paytest.Fault { return fault }
		code := w.code(0)
		w.post(0, "/cashier/"+token, code, "en").goes()
		w.books.Fault = nil
		w.post(1, "/cashier/"+token, code, "en").goes()
		w.get(1, "/cashier/"+token, "en").has(`data-state="paid"`)
		if got := w.balance(0); got != startMoney-1234 {
			t.Errorf("fault %d: the payer has %d", fault, got)
		}
	}
}

func TestNotNow(t *testing.T) {
	w := newWorld(t)
	token, other := w.trade("A"), w.trade("B")
	w.get(0, "/cashier/"+token, "")
	w.get(0, "/cashier/"+other, "")
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Overloaded }
	w.post(0, "/cashier/"+token, w.code(0), "en").status(503).has(troubles[notNow].en, "<form", `role="alert"`)
	w.stuck()
	w.post(0, "/cashier/"+token, w.code(0), "en").goes()
	w.books.Fault = nil
	w.now += holdfast.Time(time.Minute)
	w.post(0, "/cashier/"+other, w.code(0), "en").status(503).has(troubles[underWay].en, "<form")
	w.broken = true
	for _, lang := range []string{"zh", "en"} {
		a := w.get(0, "/cashier/"+token, lang).status(503).has(words["unavailable"].in(must(spoken(lang))), `http-equiv="refresh"`, `data-state="unavailable"`)
		if a.Header().Get("Retry-After") == "" || strings.Contains(a.Body.String(), "fire") {
			t.Errorf("%v\n%s", a.Header(), a.Body)
		}
	}
	w.post(0, "/cashier/"+token, w.code(0), "en").status(503)
	w.get(0, "/cashier/state/"+token, "").status(503).has(`"unavailable"`)
}

// TestTheLookIsNotNoted: that somebody has seen the trade is written down, and nobody knows whether it was.
func TestTheLookIsNotNoted(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.AnswerLost }
	w.get(0, "/cashier/"+token, "en").status(503).has(`data-state="unavailable"`, `http-equiv="refresh"`)
	w.get(1, "/cashier/"+token, "en").status(200).has(`data-state="waiting"`)
}

func must[T any](v T, _ bool) T { return v }

func TestEveryState(t *testing.T) {
	w := newWorld(t)
	expiring := w.trade("E", func(a *pay.TradeAsk) { a.Until = w.now + holdfast.Time(2*time.Minute) })
	tokens := map[state]string{
		waiting: w.trade("W"), paid: w.trade("P"), refunded: w.trade("R"), closed: w.trade("C"), expired: expiring, unknown: strings.Repeat("0", 31),
	}
	w.get(0, "/cashier/"+expiring, "en").has("1 min")
	w.post(0, "/cashier/"+tokens[paid], w.code(0), "").goes()
	w.post(0, "/cashier/"+tokens[refunded], w.code(1), "").goes()
	_, _, err := w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchant, OutTradeNo: "R", Number: "1", Amount: 1234}, w.tick())
	w.must(err)
	_, err = w.cashier.Close(w.ctx, w.merchant, "C", w.tick())
	w.must(err)
	w.now += holdfast.Time(2 * time.Minute)
	for s, token := range tokens {
		want := http.StatusOK
		if s == unknown {
			want = http.StatusNotFound
		}
		for _, l := range []language{chinese, english} {
			w.get(0, "/cashier/"+token, string(l)).status(want).has(`data-state="`+string(s)+`"`, words["title-"+string(s)].in(l), words[string(s)].in(l))
		}
		var told map[string]state
		if err := json.Unmarshal(w.get(1, "/cashier/state/"+token, "").status(200).Body.Bytes(), &told); err != nil || told["state"] != s {
			t.Errorf("%s: the script is told %v, %v", s, told, err)
		}
		if s != waiting && s != unknown { // a late form leads to what it has come to, and takes nothing
			w.get(0, w.post(0, "/cashier/"+token, w.code(1), "").goes(), "").has(`data-state="` + string(s) + `"`)
		}
	}
	w.post(0, "/cashier/"+tokens[unknown], w.code(1), "en").status(404)
	if a, b := w.balance(0), w.balance(1); a != startMoney-1234 || b != startMoney {
		t.Errorf("the customers have %d and %d", a, b)
	}
}

func TestProtectedTradesSayWhoKeepsTheMoney(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A", func(a *pay.TradeAsk) { a.Mode = pay.Protected })
	w.get(0, w.post(0, "/cashier/"+token, w.code(0), "en").goes(), "en").has(words["paid-protected"].en)
}

// TestMeanwhile: between the look at the trade and the payment another wallet pays, or the merchant closes, or the time is over.
func TestMeanwhile(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.get(0, "/cashier/"+token, "")
	mine, theirs, first := w.code(0), w.code(1), true
	w.books.Meanwhile = func(*holdfast.Txn) {
		if first {
			first = false
			_, err := w.cashier.PayWithCode(w.ctx, w.merchant, "A", theirs, w.now)
			w.must(err)
		}
	}
	next := w.post(0, "/cashier/"+token, mine, "en").goes()
	w.get(0, next, "en").has(`data-state="paid"`, words["paid-before"].en, "!http-equiv", "!data-in")
	if a, b := w.balance(0), w.balance(1); a != startMoney || b != startMoney-1234 {
		t.Errorf("the customers have %d and %d", a, b)
	}
	token = w.trade("B")
	w.get(0, "/cashier/"+token, "")
	first = true
	w.books.Meanwhile = func(*holdfast.Txn) {
		if first {
			first = false
			_, err := w.cashier.Close(w.ctx, w.merchant, "B", w.now)
			w.must(err)
		}
	}
	w.get(0, w.post(0, "/cashier/"+token, mine, "en").goes(), "en").has(`data-state="closed"`)
}

// provoked are the refusals that a customer can get on the page, and how.
var provoked = map[pay.Code]func(w *world) (token, code string){
	pay.CodeWrong: func(w *world) (string, string) { return w.trade("A"), "280000000312345678" },
	pay.TooManyCodes: func(w *world) (string, string) {
		for n := range pay.NamedTries {
			w.post(0, "/cashier/"+w.trade(fmt.Sprint("W", n)), fmt.Sprintf("28%08d1234567%d", w.customers[0].Sequence(), n), "").status(422)
		}
		return w.trade("A"), w.code(0)
	},
	pay.CodeUsed: func(w *world) (string, string) {
		w.post(0, "/cashier/"+w.trade("B"), w.code(0), "").goes()
		return w.trade("A"), w.code(0)
	},
	pay.BalanceNotEnough: func(w *world) (string, string) {
		return w.trade("A", func(a *pay.TradeAsk) { a.Amount = startMoney + 1 }), w.code(0)
	},
	pay.LimitPayment: func(w *world) (string, string) { return w.limited(pay.Limits{Payment: 1233}) },
	pay.LimitDay:     func(w *world) (string, string) { return w.limited(pay.Limits{Day: 1233}) },
	pay.LimitMonth:   func(w *world) (string, string) { return w.limited(pay.Limits{Month: 1233}) },
	pay.WalletBlocked: func(w *world) (string, string) {
		w.must(w.cashier.SetBlocked(w.ctx, w.customers[0], cny, true, w.tick()))
		return w.trade("A"), w.code(0)
	},
	pay.WalletMissing: func(w *world) (string, string) {
		gbp := holdfast.MustAsset("GBP")
		w.must(w.cashier.OpenCurrency(w.ctx, w.merchant, gbp, w.tick()))
		return w.trade("A", func(a *pay.TradeAsk) { a.Asset = gbp }), w.code(0)
	},
	pay.BuyerDiffers: func(w *world) (string, string) {
		return w.trade("A", func(a *pay.TradeAsk) { a.Buyer = w.customers[1] }), w.code(0)
	},
	pay.SellerBlocked: func(w *world) (string, string) {
		w.books.Change(holdfast.FreezeAccount, holdfast.AccountID{Owner: w.merchant, Purpose: pay.Settlement, Asset: cny})
		return w.trade("A"), w.code(0)
	},
	pay.AssetInvalid: func(w *world) (string, string) {
		gbp := holdfast.MustAsset("GBP")
		w.must(w.cashier.OpenBank(w.ctx, w.tick(), gbp))
		w.must(w.cashier.OpenWallet(w.ctx, w.customers[0], gbp, pay.Limits{}, w.tick()))
		w.topUp(w.customers[0], gbp, 100)
		return w.trade("A", func(a *pay.TradeAsk) { a.Asset = gbp; a.Amount = 1 }), w.code(0)
	},
	pay.SellerIsBuyer: func(w *world) (string, string) {
		ask := pay.CustomerAsk{Owner: w.merchant, Aliases: []string{"shop@example.com"}, Assets: []holdfast.Asset{cny}}
		_, err := w.cashier.RegisterCustomer(w.ctx, ask, w.tick())
		w.must(err)
		_, err = w.cashier.AddDevice(w.ctx, w.merchant, w.secret, [pay.NonceBytes]byte{9}, w.tick())
		w.must(err)
		return w.trade("A"), pay.PaymentCode(w.merchant, w.secret[:], w.now)
	},
	pay.LedgerRefused: nil, // a bug, or somebody who writes past pay; see TestOtherRefusals
}

func (w *world) limited(l pay.Limits) (token, code string) {
	w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, l, w.tick()))
	return w.trade("A"), w.code(0)
}

func TestEveryRefusalIsSaidInBothLanguages(t *testing.T) {
	for code := range refusals {
		provoke, listed := provoked[code]
		if !listed {
			t.Errorf("nothing here provokes %s", code)
		}
		if provoke == nil {
			continue
		}
		t.Run(string(code), func(t *testing.T) {
			w := newWorld(t)
			token, typed := provoke(w)
			before := w.balance(0)
			for _, l := range []language{chinese, english} {
				status := http.StatusUnprocessableEntity
				if code == pay.TooManyCodes {
					status = http.StatusTooManyRequests
				}
				a := w.post(0, "/cashier/"+token, typed, string(l)).status(status)
				a.has(html.EscapeString(refusals[code].in(l)), "<form", `role="alert"`, "!http-equiv", "<title>"+words["error"].in(l))
				if atField[string(code)] {
					a.has(`aria-invalid="true"`, `id="code-error"`, `aria-describedby="code-error code-hint"`)
				} else {
					a.has("!aria-invalid", "!code-error", words["problem"].in(l))
				}
				a.has("!" + typed) // a code is not written back
			}
			if w.balance(0) != before {
				t.Error("money has moved")
			}
			w.get(1, "/cashier/"+token, "en").status(200).has(`data-state="waiting"`)
		})
	}
}

// elsewhere are refusals that cannot occur on the page, and why: codes, or the beginnings of codes.
var elsewhere = map[string]string{
	"amount-invalid field-invalid time-invalid trade-context-inconsistent shop-unknown token-taken": "the trade was made before",
	"number-invalid": "the number is that of the trade's own record",
	"too-many owner-not-issued customer-exists merchant-exists app-unknown":  "nobody registers here",
	"alias- grant- endpoint- delivery- case- event-unknown order- day- key-": "the page does nothing of that kind",
	"customer-unknown": "the code of nobody is a wrong code",
	"refund- request-discordant split- trade-not-paid trade-status-error seller-balance-not-enough": "nothing is refunded or split",
	"escrow-": "nothing is done to what the platform keeps",
	"auth-":   "nothing is frozen",
	"payee-":  "money goes to a merchant, not to a wallet",
}

// TestEveryCodeIsThoughtOf: each refusal of pay either can occur here and has words, or is shown as a state, or cannot occur.
func TestEveryCodeIsThoughtOf(t *testing.T) {
	var not []string
	for codes := range elsewhere {
		not = append(not, strings.Fields(codes)...)
	}
	for _, c := range pay.Codes() {
		_, said := refusals[c]
		isNot := slices.ContainsFunc(not, func(n string) bool {
			return string(c) == n || strings.HasSuffix(n, "-") && strings.HasPrefix(string(c), n)
		})
		if n := btoi(said) + btoi(isNot) + btoi(shownAsState[c]); n != 1 {
			t.Errorf("%s: decide whether a customer can get it on the page, and if so, say it in words.go (%d decisions)", c, n)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// refusing answers every payment with one refusal.
type refusing struct {
	*world
	code pay.Code
}

func (r refusing) PayWithCode(context.Context, holdfast.Owner, string, string, holdfast.Time) (pay.Trade, error) {
	return pay.Trade{}, &pay.Refusal{Code: r.code, Text: r.code.Text()}
}

func TestOtherRefusals(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	for code, want := range map[pay.Code]said{
		pay.LedgerRefused: refusals[pay.LedgerRefused], pay.EscrowDisputed: troubles[otherRefusal], "not-there-yet": troubles[otherRefusal],
	} {
		h, err := New(Config{Cashier: refusing{w, code}, Public: "http://127.0.0.1:8080", Now: func() time.Time { return w.now.Std() }})
		w.must(err)
		w.sites[0] = h
		for _, l := range []language{chinese, english} {
			w.post(0, "/cashier/"+token, w.code(0), string(l)).status(422).has(html.EscapeString(want.in(l)))
		}
	}
	h, err := New(Config{Cashier: refusing{w, pay.TradeUnknown}, Public: "http://127.0.0.1:8080", Now: func() time.Time { return w.now.Std() }})
	w.must(err)
	w.sites[0] = h
	w.post(0, "/cashier/"+token, w.code(0), "en").status(404)
}

// A new page for the same merchant is no new guess: it is the customer whom the code names that counts.
func TestWrongCodesHaveALimit(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	for range 20 { // no codes at all: no guesses
		w.post(0, "/cashier/"+token, "29", "en").status(422).has(troubles[codeForm].en, `aria-invalid="true"`)
	}
	for n := range pay.NamedTries {
		w.post(0, "/cashier/"+w.trade(fmt.Sprint("W", n)), fmt.Sprintf("28%08d1234567%d", w.customers[0].Sequence(), n), "en").status(422).has(html.EscapeString(refusals[pay.CodeWrong].en))
	}
	a := w.post(0, "/cashier/"+token, w.code(0), "en").status(429).has(refusals[pay.TooManyCodes].en, `aria-invalid="true"`)
	if a.Header().Get("Retry-After") != "60" {
		t.Errorf("%v", a.Header())
	}
	w.post(0, "/cashier/"+w.trade("B"), w.code(1), "en").goes() // nobody else waits
	w.now += holdfast.Time(time.Minute)
	w.post(0, "/cashier/"+token, w.code(0), "en").goes()
}

func TestNoMoreThanTheLimitAtOnce(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.sites[0] = w.site(Config{Limit: 1})
	var inner answered
	w.books.Meanwhile = func(*holdfast.Txn) { // a page is asked for while another one is under way
		inner = answered{httptest.NewRecorder(), t}
		w.sites[0].ServeHTTP(inner, httptest.NewRequest(http.MethodGet, "/cashier/"+token, nil))
	}
	w.get(0, "/cashier/"+token, "").status(200)
	inner.status(503).has(`data-state="unavailable"`, `data-here="../cashier/`+token)
	w.get(0, "/cashier/"+token, "").status(200)
}

func TestFilesAndOtherPaths(t *testing.T) {
	w := newWorld(t)
	for name, kind := range map[string]string{"cashier.css": "text/css", "cashier.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		address := strings.TrimPrefix(staticAddress(name), "..")
		a := w.get(0, address, "").status(200)
		if h := a.Header(); !strings.HasPrefix(h.Get("Content-Type"), kind) || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name, h)
		}
		if h := w.get(0, address+"0", "").status(200).Header(); h.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s of another version: %v", name, h)
		}
		w.get(0, "/cashier/"+w.trade(name), "").has(html.EscapeString(staticAddress(name)))
	}
	w.get(0, "/cashier/static/none.css", "").status(404)
	w.get(0, "/cashier/static/..%2fpage.html", "").status(404)
	w.do(0, httptest.NewRequest(http.MethodPut, "/cashier/x", nil)).status(405)
	w.do(0, httptest.NewRequest(http.MethodPost, "/q/x", nil)).status(405)
	w.get(0, "/cashier/%3Cscript%3E", "").status(404).has("!<script>")
}

func TestAFormThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	token := w.trade("A")
	w.post(0, "/cashier/"+token, strings.Repeat("2", 2*maxForm), "en").status(422).has(troubles[codeForm].en)
}

func TestNothingSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	var log strings.Builder
	w.sites[0] = w.site(Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	token := w.trade("A")
	w.get(0, "/cashier/"+token, "")
	w.post(0, "/cashier/"+token, "280000000312345678", "")
	code := w.code(0)
	w.post(0, "/cashier/"+token, code, "")
	text := log.String()
	if strings.Contains(text, token) || strings.Contains(text, code[10:]) || strings.Contains(text, "280000000312345678") {
		t.Errorf("the log tells:\n%s", text)
	}
	if strings.Count(text, "msg=checkout") != 3 || !strings.Contains(text, "problem=code-invalid") {
		t.Errorf("the log tells too little:\n%s", text)
	}
}

func TestConfigs(t *testing.T) {
	w := newWorld(t)
	for _, cfg := range []Config{
		{Public: "https://pay.example.com"},
		{Cashier: w},
		{Cashier: w, Public: "pay.example.com"},
		{Cashier: w, Public: "https://pay.example.com/"},
		{Cashier: w, Public: "ftp://pay.example.com"},
		{Cashier: w, Public: "https://pay.example.com", Limit: -1},
		{Cashier: w, Public: "https://pay.example.com", Linger: -1},
	} {
		if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "checkout: ") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
