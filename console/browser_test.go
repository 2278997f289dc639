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

// TestInABrowser signs in, looks at all pages, in both languages, light and dark, wide and on a phone; sees a cable that is cut without reloading, and goes
// on at another site when the one that served the page is gone.
func TestInABrowser(t *testing.T) {
	tab := pagetest.Browser(t).Tab(t, pagetest.Look{Lang: "en", Width: 1440})
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
	tab.Do(pagetest.Click(`button[lang="zh-CN"]`), pagetest.Shown("#fleet", "机群图"), tab.Sound("fleet-phone-zh"))
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

// TestWorkInABrowser searches for a trade and follows it to its log entry, and plans and applies a move of slots: in Chinese on a phone, and in English at a
// desk. With HOLDFAST_SHOTS it looks at every other page too.
func TestWorkInABrowser(t *testing.T) {
	chrome := pagetest.Browser(t)
	o := newOffice(t, "operator")
	at, _ := o.Serve()
	tab := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 1440})
	tab.Do(pagetest.Go(at+"/console/search"), pagetest.Shown("h1", "Search"), pagetest.Type("#q", teaHouse+" T-1\r"),
		pagetest.Shown("h1", "Trade"), pagetest.Shown("main", "19.90 CNY"), tab.Sound("console-trade"),
		pagetest.Click(`main a[href^="/console/transfers/"]`), pagetest.Shown("h1", "Transfer"), pagetest.Shown("#where", "Log entry 4321 of shard 1"), pagetest.Shown(".holders", "hangzhou"))
	tab.Do(pagetest.Go(at+"/console/shards"), pagetest.Shown("#map", "The slot map"), tab.Sound("console-shards"),
		pagetest.Type("#move-slots", "300-349"), chromedp.SetValue(chromedp.CSS("#move-to"), "2"), pagetest.Click(`form[action="/console/shards/move"] button`),
		pagetest.Shown("h1", "Move slots"), pagetest.Shown("#will", "What will happen"), tab.Sound("console-plan"), pagetest.Click(".apply button"),
		pagetest.Shown(".well", "It is ordered"))
	if did := o.ordered(); !strings.Contains(did, "1f2e3d4c5b6a") {
		t.Errorf("ordered %q", did)
	}
	o.mu.Lock()
	o.moves = `[{"slots":{"from":300,"to":349},"from":1,"to":2,"stage":"copies"}]`
	o.mu.Unlock()
	tab.Do(pagetest.Shown("#shards-live", "copies; payments go on")) // without loading it again

	phone := chrome.Tab(t, pagetest.Look{Lang: "zh-CN", Width: 390, Own: true})
	phone.Do(pagetest.Go(at+"/console/search"), pagetest.Type("#q", "+86 138 0000 0000\r"), pagetest.Shown("main", "8,080.10 CNY"), phone.Sound("console-customer-phone-zh"),
		pagetest.Go(at+"/console/shards"), pagetest.Shown("#map", "槽位图"), phone.Sound("console-shards-phone-zh"),
		pagetest.Go(at+"/console/money"), pagetest.Shown("h1", "银行与资金"), phone.Sound("console-money-phone-zh"))
	if os.Getenv("HOLDFAST_SHOTS") == "" {
		return
	}
	phone.Look(390, true)
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
	}
}
