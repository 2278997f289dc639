package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

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

// shown waits until a page has a text, as people see it or in its markup.
func shown(selector, text string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for {
			short, cancel := context.WithTimeout(ctx, time.Second)
			markup, err := chromedp.OuterHTML(chromedp.CSS(selector))(short, t)
			cancel()
			if err == nil && strings.Contains(markup, text) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not say %q (%w): %.600s", selector, text, ctx.Err(), markup)
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

// sound checks a page with axe-core, where it is installed, by the rules of WCAG 2.2 A and AA, that it is not wider than the screen, and takes a
// picture for people when HOLDFAST_SHOTS names a folder.
func sound(name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if folder := os.Getenv("HOLDFAST_SHOTS"); folder != "" {
			png, err := chromedp.FullScreenshot(100)(ctx, t)
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, "console-"+name+".png"), png, 0o644)
			}
			if err != nil {
				return err
			}
		}
		wide, err := chromedp.Evaluate[float64](`document.documentElement.scrollWidth - innerWidth`)(ctx, t)
		if err != nil || wide > 0 {
			return fmt.Errorf("%s: wider than the screen by %v (%w)", name, wide, err)
		}
		source, err := os.ReadFile("../checkout/testdata/axe/node_modules/axe-core/axe.min.js")
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		run := string(source) + `;axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
			.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html + ' ' + n.failureSummary)))`
		found, err := chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise)(ctx, t)
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%s: %s", name, strings.Join(found, "\n"))
		}
		return err
	})
}

// TestInABrowser signs in, looks at all pages, in both languages, light and dark, wide and on a phone; sees a cable that is cut without reloading, and goes
// on at another site when the one that served the page is gone.
func TestInABrowser(t *testing.T) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	defer cancel()
	tab, cancel := chromedp.NewContext(ctx)
	defer cancel()
	tab, cancel = context.WithTimeout(tab, time.Minute)
	defer cancel()

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
			h.handlers[i].(*Handler).End()
			sites[i].CloseClientConnections()
		}
	}()

	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	if _, err := chromedp.Call(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0", AcceptLanguage: "en"}); err != nil {
		t.Fatal(err)
	}
	do := func(actions ...action) {
		t.Helper()
		if err := chromedp.Do(tab, actions...); err != nil {
			t.Fatal(err)
		}
	}
	scheme := func(s string) {
		t.Helper()
		if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s}}}); err != nil {
			t.Fatal(err)
		}
	}
	scheme("light")
	do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(sites[0].URL+"/console/what-if"), shown("h1", "Sign in"), sound("sign-in"),
		chromedp.Click(chromedp.CSS("summary")), chromedp.SendKeys(chromedp.CSS("#key"), goodKey+"\r"), shown("h1", "What if something failed"), sound("what-if"),
		chromedp.Click(chromedp.CSS(`a[href="/console/journal"]`)), shown("h1", "What has happened"), sound("journal"),
		chromedp.Click(chromedp.CSS(`a[href="/console/search"]`)), shown("h1", "Search"), sound("search"),
		chromedp.Click(chromedp.CSS(`a[href="/console"]`)), shown("#fleet", "9.8 ms"), shown("#plots", "u-legend"), sound("fleet"))
	do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulatePortrait), chromedp.Click(chromedp.CSS(`button[lang="zh-CN"]`)), shown("#fleet", "机群图"), sound("fleet-phone-zh"))
	scheme("dark")
	do(sound("fleet-phone-zh-dark"), chromedp.Click(chromedp.CSS(`button[lang="en"]`)), shown("#fleet", "What needs attention"),
		chromedp.EmulateViewport(1440, 900))

	cut.Store(true) // the page is not loaded again: the picture changes under the eyes
	do(shown("#fleet", "✕ cut"), shown("#picture-t", "hangzhou – shanghai, carrier 2: cut"), sound("fleet-cut-dark"))

	h.handlers[0].(*Handler).End() // and now the site is gone
	sites[0].CloseClientConnections()
	sites[0].Close()
	began := time.Now()
	do(shown("#notice", "does not answer any more"))
	t.Logf("found the other site after %v", time.Since(began).Round(10*time.Millisecond))
	at, err := chromedp.Run(tab, chromedp.Location())
	if err != nil || at != sites[1].URL+"/console" {
		t.Errorf("the browser is at %s: %v", at, err)
	}
	do(shown("#fleet", "✕ cut"), sound("lost"))
}
