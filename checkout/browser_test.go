package checkout

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"holdfast"
	"holdfast/pay"
)

// action is something done in a browser.
type action = chromedp.Action[chromedp.Void]

// chromium finds the browser, or skips the test when it is not to be used.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() || os.Getenv("HOLDFAST_WITHOUT_BROWSER") != "" {
		t.Skip("without a browser (-short, or HOLDFAST_WITHOUT_BROWSER)")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: run `make browser`, or set HOLDFAST_WITHOUT_BROWSER to skip this test")
	return ""
}

// shop is the merchant's site, and the page at two sites that are asked in turn; a site that is down answers nothing.
type shop struct {
	*world
	mu    sync.Mutex // of the world, which is no server
	pages *httptest.Server
	site  *httptest.Server // of the merchant
	turn  int
	down  bool // requests get no answer
}

func newShop(t *testing.T) *shop {
	s := &shop{world: newWorld(t)}
	s.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if form := r.URL.Query().Get("forge"); form != "" {
			fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Win</title><form method="post" action="%s"><input type="hidden" name="from" value="%s"><button>Win</button></form>`,
				html.EscapeString(form), s.customers[0])
			return
		}
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Thank you</title><h1>Thank you</h1>`)
	}))
	t.Cleanup(s.site.Close)
	s.back = s.site.URL + "/paid?order=7"
	s.now = holdfast.TimeOf(time.Now())
	s.pages = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.pages.Close)
	return s
}

func (s *shop) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		panic(http.ErrAbortHandler)
	}
	s.now = max(s.now+1, holdfast.TimeOf(time.Now()))
	if to := r.URL.Query().Get("signed-in"); to != "" {
		const token = "hfs_session-of-customer"
		s.sessions = map[string]int{token: 0}
		http.SetCookie(w, &http.Cookie{Name: SessionCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	s.turn++
	s.sites[s.turn%len(s.sites)].ServeHTTP(w, r)
}

// open makes a trade and returns the address of its page.
func (s *shop) open(number, query string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages.URL + "/cashier/" + s.trade(number, func(a *pay.TradeAsk) {
		a.Subject, a.Until = "Longjing green tea, 龙井茶 250 g", s.now+holdfast.Time(15*time.Minute)
	}) + query
}

func (s *shop) freshCode(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code(n)
}

func (s *shop) elsewhere(do func()) action {
	return chromedp.Func(func(context.Context, *chromedp.Target) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
		return nil
	})
}

// browser starts one Chromium, and gives tabs in it.
func browser(t *testing.T) func(t *testing.T, languages string, scripts bool) context.Context {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	root, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(root); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return func(t *testing.T, languages string, scripts bool) context.Context {
		t.Helper()
		tab, cancel := chromedp.NewContext(root)
		t.Cleanup(cancel)
		tab, cancel = context.WithTimeout(tab, 2*time.Minute)
		t.Cleanup(cancel)
		_, err := chromedp.Call(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0", AcceptLanguage: languages})
		if err == nil {
			_, err = chromedp.Call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
		}
		if err != nil {
			t.Fatal(err)
		}
		return tab
	}
}

func run(t *testing.T, tab context.Context, actions ...action) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatal(err)
	}
}

// arrived waits until the browser is at an address.
func arrived(prefix string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for {
			at, err := chromedp.Location()(ctx, t)
			if err == nil && strings.HasPrefix(at, prefix) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("still at %s, not at %s: %w", at, prefix, ctx.Err())
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

// textOf is the text of an element, "" while there is none. Not by way of scripts, which may be off.
func textOf(ctx context.Context, t *chromedp.Target, selector string) (string, error) {
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	markup, err := chromedp.OuterHTML(chromedp.CSS(selector))(short, t)
	return html.UnescapeString(tags.ReplaceAllString(markup, "")), err
}

var tags = regexp.MustCompile(`<[^>]*>`)

// shown waits until an element with a text is to be seen.
func shown(selector, text string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for {
			has, err := textOf(ctx, t, selector)
			if err == nil && strings.Contains(has, text) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s says %q, not %q: %w", selector, has, text, ctx.Err())
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

// shot takes a picture of the whole page, for people, when HOLDFAST_SHOTS names a folder.
func shot(name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		folder := os.Getenv("HOLDFAST_SHOTS")
		if folder == "" {
			return nil
		}
		png, err := chromedp.FullScreenshot(100)(ctx, t)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	})
}

// fits checks that a page is not wider than the screen, that every control has a name and is large enough for a finger, and that every id that
// something points to is there once.
func fits(name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		wrong, err := chromedp.Evaluate[[]string](checks)(ctx, t)
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%s: %s", name, strings.Join(wrong, "; "))
		}
		return axe(ctx, t, name)
	})
}

const checks = `(() => {
  const wrong = [];
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) wrong.push('wider than the screen by ' + wide);
  if (!document.documentElement.lang || !document.title) wrong.push('no language or title');
  if (document.querySelectorAll('h1').length !== 1 || document.querySelectorAll('main').length !== 1) wrong.push('not one h1 and one main');
  for (const e of document.querySelectorAll('[aria-describedby],[aria-labelledby],label[for]'))
    for (const id of ((e.getAttribute('aria-describedby') || '') + ' ' + (e.getAttribute('aria-labelledby') || '') + ' ' + (e.htmlFor || '')).split(' '))
      if (id && document.querySelectorAll('#' + id).length !== 1) wrong.push('#' + id + ' is not there once');
  for (const e of document.querySelectorAll('a,button,input:not([type=hidden]),summary')) {
    const box = e.getBoundingClientRect();
    if (box.width && (box.width < 24 || box.height < 24)) wrong.push(e.outerHTML + ' is ' + box.width + 'x' + box.height);
    if (e.matches('input') ? !e.labels.length : !e.textContent.trim()) wrong.push(e.outerHTML + ' has no name');
  }
  const status = document.querySelector('[role=status]');
  if (!status || !status.textContent.trim()) wrong.push('no status');
  return wrong;
})()`

// axe runs axe-core, where it is installed, with the rules of WCAG 2.2 A and AA.
func axe(ctx context.Context, t *chromedp.Target, name string) error {
	source, err := os.ReadFile("../page/pagetest/testdata/axe/node_modules/axe-core/axe.min.js")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	run := string(source) + `;axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html + ' ' + n.failureSummary)))`
	found, err := chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise)(ctx, t)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%s: %s", name, strings.Join(found, "\n"))
	}
	return nil
}

func phone(dark bool) action {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Steps(
		chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait, chromedp.EmulateScale(2)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
	)
}

func TestInABrowser(t *testing.T) {
	tab := browser(t)
	for name, c := range map[string]struct {
		languages string
		scripts   bool
		do        func(*testing.T, *shop, context.Context)
	}{
		"computer":        {"zh-CN,zh", true, onAComputer},
		"phone":           {"en", true, onAPhone},
		"without scripts": {"en", false, withoutScripts},
		"unknown":         {"en", true, whileUnknown},
		"site lost":       {"en", true, whileASiteIsLost},
		"signed in":       {"zh-CN,zh", true, onceSignedIn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.do(t, newShop(t), tab(t, c.languages, c.scripts))
		})
	}
}

// onAComputer: a wrong code, the right one, and back to the merchant by itself.
func onAComputer(t *testing.T, s *shop, tab context.Context) {
	run(t, tab, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.open("A", "")),
		shown("h1", "付款"), shown("#left", "秒"), fits("waiting"), shot("computer-zh-waiting"),
		chromedp.SendKeys(chromedp.CSS("#code"), "28 0000 0003 1234 5678\r"),
		shown("#code-error", refusals[pay.CodeWrong].zh), fits("wrong code"), shot("computer-zh-wrong"),
		chromedp.SendKeys(chromedp.CSS("#code"), s.freshCode(0)), chromedp.Click(chromedp.CSS("form button")),
		arrived(s.site.URL+"/paid?order=7&sign="), shown("h1", "Thank you"))
}

// onAPhone: in English and dark; the trade is paid elsewhere, and the page notices. Who wants to stay stays.
func onAPhone(t *testing.T, s *shop, tab context.Context) {
	for i := range s.sites {
		s.sites[i] = s.world.site(Config{Linger: time.Hour})
	}
	run(t, tab, phone(true), chromedp.Navigate(s.open("A", "")), shown("h1", "Pay"), fits("waiting"), shot("phone-en-dark-waiting"),
		phone(false), fits("waiting, light"), shot("phone-en-light-waiting"), chromedp.Click(chromedp.CSS("a[lang=zh-CN]")),
		shown("h1", "付款"), fits("waiting, Chinese"), shot("phone-zh-light-waiting"), chromedp.Click(chromedp.CSS("a[lang=en]")), shown("h1", "Pay"),
		phone(true), chromedp.SendKeys(chromedp.CSS("#code"), "28\r"), shown("#code-error", "18 digits"), fits("no code"), shot("phone-en-dark-wrong"),
		s.elsewhere(func() {
			_, err := s.cashier.PayWithCode(s.ctx, s.merchant, "A", s.code(1), s.now)
			s.must(err)
		}),
		shown("#going-in", "s"), fits("paid"), shot("phone-en-dark-paid"), chromedp.Click(chromedp.CSS("#stay")))
	run(t, tab, chromedp.Sleep(1500*time.Millisecond)) // a second would be counted
	if left, err := chromedp.Run(tab, chromedp.TextContent(chromedp.CSS("#going-in"))); err != nil || left != "" {
		t.Errorf("it did not stay: %q, %v", left, err)
	}
}

// withoutScripts: a code is refused, the next one pays, and the browser arrives at the merchant; a page that watches loads itself again.
func withoutScripts(t *testing.T, s *shop, tab context.Context) {
	s.mu.Lock()
	s.must(s.cashier.SetLimits(s.ctx, s.customers[0], cny, pay.Limits{Payment: 1}, s.tick()))
	s.mu.Unlock()
	run(t, tab, phone(false), chromedp.Navigate(s.open("A", "")), shown("h1", "Pay"), shot("phone-noscript-waiting"),
		chromedp.SendKeys(chromedp.CSS("#code"), s.freshCode(0)+"\r"), shown(".problem", refusals[pay.LimitPayment].en), shot("phone-noscript-limit"),
		chromedp.SendKeys(chromedp.CSS("#code"), s.freshCode(1)+"\r"), arrived(s.site.URL+"/paid?order=7&sign="), shown("h1", "Thank you"))
	run(t, tab, chromedp.Navigate(s.open("B", "?watch=1")), shown("h1", "Waiting for your phone"), shot("phone-noscript-watching"),
		s.elsewhere(func() {
			_, err := s.cashier.PayWithCode(s.ctx, s.merchant, "B", pay.PaymentCode(s.customers[1], s.secret[:], s.now+holdfast.Time(time.Minute)), s.now)
			s.must(err)
		}),
		arrived(s.site.URL+"/paid?order=7&sign="))
}

// whileUnknown: the page says that we are finding out, and goes on when we have.
func whileUnknown(t *testing.T, s *shop, tab context.Context) {
	run(t, tab, phone(true), chromedp.Navigate(s.open("A", "")), shown("h1", "Pay"), s.elsewhere(s.stuck),
		chromedp.SendKeys(chromedp.CSS("#code"), s.freshCode(0)+"\r"), shown("h1", "We are finding out"), fits("asking"), shot("phone-en-dark-asking"),
		s.elsewhere(func() { s.books.Fault = nil; s.books.Deliver() }),
		shown("h1", "Paid"))
}

// whileASiteIsLost: nothing answers for a while, and the page goes on by itself afterwards.
func whileASiteIsLost(t *testing.T, s *shop, tab context.Context) {
	run(t, tab, chromedp.Navigate(s.open("A", "")), shown("h1", "Pay"), s.elsewhere(func() { s.down = true }),
		shown("#says", words["connection"].en), fits("lost"),
		s.elsewhere(func() {
			s.down = false
			_, err := s.cashier.PayWithCode(s.ctx, s.merchant, "A", s.code(0), s.now)
			s.must(err)
		}),
		shown("h1", "Paid"), arrived(s.site.URL+"/paid"))
}

// onceSignedIn: without a session the page offers to sign in; with one, one tap pays, and a form of another page does not.
func onceSignedIn(t *testing.T, s *shop, tab context.Context) {
	here := s.open("A", "")
	run(t, tab, phone(false), chromedp.Navigate(here), shown(".mine .button", "登录并付款"), fits("to sign in"), shot("cashier-zh-sign-in"),
		chromedp.Navigate(s.site.URL+"/?forge="+url.QueryEscape(here)), chromedp.Click(chromedp.CSS("button")), shown("h1", "没有执行"), fits("forged"),
		chromedp.Navigate(s.pages.URL+"/?signed-in="+url.QueryEscape(here)), shown(".mine form button", "付款 CNY 12.34"), fits("one tap"), shot("cashier-zh-light-one-tap"),
		phone(true), fits("one tap, dark"), shot("cashier-zh-dark-one-tap"),
		chromedp.Navigate(s.site.URL+"/?forge="+url.QueryEscape(here)), chromedp.Click(chromedp.CSS("button")), shown("h1", "没有执行"), shot("cashier-zh-forged"),
		chromedp.Click(chromedp.CSS("a.button")), shown(".mine form button", "付款 CNY 12.34"))
	if got := s.balanceNow(0); got != startMoney {
		t.Fatalf("a form of another page has left %d", got)
	}
	run(t, tab, chromedp.EmulateViewport(1440, 900), chromedp.Click(chromedp.CSS("nav a[lang=en]")), shown(".mine form button", "Pay CNY 12.34"), fits("one tap, wide"), shot("cashier-en-wide-one-tap"),
		chromedp.Click(chromedp.CSS(".mine form button")), shown("h1", "Paid"), arrived(s.site.URL+"/paid"))
	if got := s.balanceNow(0); got != startMoney-1234 {
		t.Errorf("the payer has %d", got)
	}
	s.mu.Lock()
	s.must(s.cashier.SetLimits(s.ctx, s.customers[0], cny, pay.Limits{Payment: 1000}, s.tick()))
	s.mu.Unlock()
	run(t, tab, phone(true), chromedp.Navigate(s.open("B", "?lang=en")), shown(".mine .wrong", stops[pay.LimitPayment].en), fits("above the limit"), shot("cashier-en-dark-limit"),
		chromedp.Click(chromedp.CSS(".others > summary")), shown(".others h2", "Pay with a code"), fits("other ways"), shot("cashier-en-dark-other-ways"))
}

func (s *shop) balanceNow(n int) holdfast.Amount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balance(n)
}
