package console

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"holdfast/page"
	"holdfast/page/pagetest"
)

// TestInABrowser looks at the fleet and works on it, in one Chromium.
func TestInABrowser(t *testing.T) {
	chrome := pagetest.Browser(t)
	t.Run("fleet", func(t *testing.T) { lookAtTheFleet(t, chrome) })
	o := newOffice(t, "operator")
	at, _ := o.Serve()
	t.Run("work", func(t *testing.T) {
		work(t, chrome.Tab(t, pagetest.Look{Lang: "en", Width: 1440, Own: true}), o, at, "")
	})
	t.Run("work-phone-zh", func(t *testing.T) {
		work(t, chrome.Tab(t, pagetest.Look{Lang: "zh-CN", Width: 390, Own: true}), o, at, "-phone-zh")
	})
	if os.Getenv("HOLDFAST_SHOTS") != "" {
		t.Run("all", func(t *testing.T) { lookAtAll(t, chrome, at) })
	}
}

// lookAtTheFleet signs in, looks at all pages, in both languages, light and dark, wide and on a phone; sees a cable that is cut without reloading, and goes
// on at another site when the one that served the page is gone.
func lookAtTheFleet(t *testing.T, chrome *pagetest.Chrome) {
	tab := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 1440})
	h := newHouse(t)
	var cut atomic.Bool
	whole := h.fleet
	h.fleet = ""
	h.say = func() string {
		if cut.Load() {
			return strings.ReplaceAll(whole, `"connected":true`, `"connected":false`)
		}
		return whole
	}
	// Two sites with the same pages; /livez answers as that of a site does.
	var sites [2]*httptest.Server
	for i := range sites {
		sites[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/livez" {
				w.WriteHeader(http.StatusOK)
				return
			}
			h.handlers[i].ServeHTTP(w, r)
		}))
		defer sites[i].Close()
	}
	h.handlers = [2]http.Handler{h.at(0, sites[0].URL, sites[1].URL), h.at(1, sites[0].URL, sites[1].URL)}
	defer func() { // what is live lasts until it is ended
		for i := range sites {
			h.handlers[i].(*page.Server).End()
			sites[i].CloseClientConnections()
		}
	}()

	tab.Do(pagetest.Go(sites[0].URL+"/console/what-if"), pagetest.Shown("h1", "Sign in"), tab.Sound("sign-in"),
		pagetest.Click("summary"), pagetest.Type("#key", goodKey+"\r"), pagetest.Shown("h1", "What if something failed"), tab.Sound("what-if"),
		pagetest.Click(`a[href="/console/journal"]`), pagetest.Shown("h1", "What has happened"), tab.Sound("journal"),
		pagetest.Click(`a[href="/console/search"]`), pagetest.Shown("h1", "Search"), tab.Sound("search"),
		pagetest.Click(`nav a[href="/console"]`), pagetest.Shown("#fleet", "9.8 ms"), pagetest.Shown("#plots", "Elections"), tab.Sound("fleet"))
	tab.Look(390, false)
	fits := func(width float64) {
		t.Helper()
		if got := pagetest.Eval[float64](tab, "document.documentElement.scrollWidth"); got > width { // a phone makes its window wider instead of scrolling
			t.Errorf("%s is %v wide on a screen of %v", tab.At(), got, width)
		}
	}
	tab.Do(pagetest.Click(`button[lang="zh-CN"]`), pagetest.Shown("#fleet", "机群图"), tab.Sound("fleet-phone-zh"))
	fits(390)
	tab.Look(390, true)
	tab.Do(tab.Sound("fleet-phone-zh-dark"), pagetest.Click(`button[lang="en"]`), pagetest.Shown("#fleet", "What needs attention"))
	tab.Look(1440, true)

	cut.Store(true) // the page is not loaded again: the picture changes under the eyes
	tab.Do(pagetest.Shown("#fleet", "✕ cut"), pagetest.Shown("#picture-t", "hangzhou – shanghai, carrier 2: cut"), tab.Sound("fleet-cut-dark"))

	h.handlers[0].(*page.Server).End() // and now the site is gone
	sites[0].CloseClientConnections()
	sites[0].Close()
	began := time.Now()
	tab.Do(pagetest.Shown("#notice", "does not answer any more"))
	t.Logf("found the other site after %v", time.Since(began).Round(10*time.Millisecond))
	if at := tab.At(); at != sites[1].URL+"/console" {
		t.Errorf("the browser is at %s", at)
	}
	tab.Do(pagetest.Shown("#fleet", "✕ cut"), tab.Sound("lost"))
}

// work searches for a trade and follows it to its log entry, and plans and applies a move of slots, which is seen going on without loading the page again.
func work(t *testing.T, tab *pagetest.Tab, o *office, at, name string) {
	fits := func() {
		t.Helper()
		if wide := pagetest.Eval[float64](tab, "document.documentElement.scrollWidth"); wide > 390 && name != "" {
			t.Errorf("%s is %v wide", tab.At(), wide)
		}
	}
	o.mu.Lock()
	o.moves = "[]"
	o.mu.Unlock()
	say := func(key string) string {
		if name == "" {
			return Area().Words[key].In(page.English)
		}
		return Area().Words[key].In(page.Chinese)
	}
	tab.Do(pagetest.Go(at+"/console/search"), pagetest.Shown("h1", say("title-search")), pagetest.Type("#q", teaHouse+" T-1\r"),
		pagetest.Shown("h1", say("kind-trade")), pagetest.Shown("main", "19.90 CNY"), tab.Sound("console-trade"+name),
		pagetest.Click(`main a[href^="/console/transfers/"]`), pagetest.Shown("h1", say("kind-transfer")), pagetest.Shown("#where", say("log-entry")+" 4321"), pagetest.Shown(".holders", "hangzhou"))
	fits()
	tab.Do(pagetest.Go(at+"/console/shards"), pagetest.Shown("#map", say("slot-map")), tab.Sound("console-shards"+name),
		pagetest.Type("#move-slots", "300-349"), chromedp.SetValue(chromedp.CSS("#move-to"), "2"), pagetest.Click(`form[action="/console/shards/move"] button`),
		pagetest.Shown("h1", say("title-plan-move")), pagetest.Shown("#will", say("what-will-happen")), tab.Sound("console-plan"+name), pagetest.Click(".apply button"),
		pagetest.Shown(".well", say("done-ordered")))
	if did := o.ordered(); did != `/v1/slots/apply {"slots":[{"from":300,"to":349}],"to":2,"plan":"1f2e3d4c5b6a"}` {
		t.Errorf("ordered %q", did)
	}
	o.mu.Lock()
	o.moves = `[{"slots":{"from":300,"to":349},"from":1,"to":2,"stage":"copies"}]`
	o.mu.Unlock()
	tab.Do(pagetest.Shown("#shards-live", say("stage-copies")))
	fits()
}

// lookAtAll takes pictures of every other page for people.
func lookAtAll(t *testing.T, chrome *pagetest.Chrome, at string) {
	tab := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 1440, Own: true})
	phone := chrome.Tab(t, pagetest.Look{Lang: "zh-CN", Width: 390, Dark: true, Own: true})
	for name, path := range map[string]string{
		"fleet": "/console", "hour": "/console/hour", "search": "/console/search", "split": "/console/shards/split?shard=1", "leader": "/console/shards/leader?shard=1&to=2",
		"sites": "/console/shards/sites?kind=add&site=4&name=beijing&addresses=10.0.0.4:7001", "stay": "/console/shards/stay?slots=300-349", "merchant": "/console/owners/" + teaHouse,
		"customer": "/console/owners/" + anna, "limits": "/console/owners/" + anna + "/limits/CNY", "block": "/console/owners/" + anna + "/do/block-wallet?asset=CNY",
		"people": "/console/people", "money": "/console/money", "case": "/console/money/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718", "deposit": "/console/money/deposits/d1",
		"payout": "/console/payouts/" + anna + "/W-1", "decide": "/console/payouts/" + anna + "/W-1/decide", "dispute": "/console/trades/" + teaHouse + "/D-1/decide",
		"trade": "/console/trades/" + teaHouse + "/T-1", "move": "/console/shards/move?slots=300-349&to=2", "shards": "/console/shards", "nobody": "/console/owners/2088000000030032",
		"settlement": "/console/settlements/" + teaHouse + "/2026-11-26", "transfer": "/console/transfers/" + transfer,
	} {
		tab.Do(pagetest.Go(at+path), pagetest.Shown("footer", "English"), tab.Sound("look-"+name))
		phone.Do(pagetest.Go(at+path), pagetest.Shown("footer", "English"), phone.Sound("look-"+name+"-phone-zh-dark"))
		if wide := pagetest.Eval[float64](phone, "document.documentElement.scrollWidth"); wide > 390 {
			t.Errorf("%s is %v wide", path, wide)
		}
	}
}
