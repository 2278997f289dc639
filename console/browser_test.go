package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
