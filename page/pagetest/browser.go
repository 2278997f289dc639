// Package pagetest tries pages as people do: in a real Chromium, with the accessibility rules of axe-core; and as programs do, over an API that a
// test makes up.
package pagetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
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
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Action is something done in a browser.
type Action = chromedp.Action[chromedp.Void]

// Heaviest is what all that a page loads may weigh together, in bytes as they are before compression.
const Heaviest = 150 << 10

// Chrome is one Chromium.
type Chrome struct{ root context.Context }

// Browser starts Chromium; it ends with the test. The test is skipped with -short, or when HOLDFAST_WITHOUT_BROWSER is set; without a Chromium it fails.
func Browser(t *testing.T) *Chrome {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	root, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(root); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return &Chrome{root}
}

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

// Tab is a tab of the browser, as one person uses it.
type Tab struct {
	t   *testing.T
	Ctx context.Context // of chromedp
	// Pictures is a folder into which [Tab.Sound] takes a picture of each page; "": that of HOLDFAST_SHOTS, if it is set.
	Pictures string

	width int // of the window, in CSS pixels

	mu      sync.Mutex
	loaded  map[network.RequestID]int64 // guarded by mu; what the page has loaded since it was navigated to, in bytes
	asked   map[string]bool             // guarded by mu; hosts
	streams map[network.RequestID]bool  // guarded by mu; what is live: it weighs more the longer somebody looks
}

// Look is how somebody looks at pages.
type Look struct {
	Lang      string // what the browser asks for, as "en" or "zh-CN,zh"
	Width     int    // of the window, in CSS pixels; below 600 it is a phone
	Dark      bool
	NoScripts bool
	Own       bool // with cookies of its own, as another person at another computer
}

// Tab opens a tab.
func (b *Chrome) Tab(t *testing.T, look Look) *Tab {
	t.Helper()
	var options []chromedp.ContextOption
	if look.Own {
		options = append(options, chromedp.WithNewBrowserContext())
	}
	ctx, cancel := chromedp.NewContext(b.root, options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	x := &Tab{t: t, Ctx: ctx, loaded: map[network.RequestID]int64{}, asked: map[string]bool{}, streams: map[network.RequestID]bool{}}
	_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0", AcceptLanguage: look.Lang})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: look.NoScripts})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		err = chromedp.Listen(ctx, x.listen)
	}
	if err != nil {
		t.Fatal(err)
	}
	x.Look(look.Width, look.Dark)
	return x
}

func (x *Tab) listen(event any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			x.asked[u.Host] = true
		}
		switch e.Type {
		case network.ResourceTypeDocument:
			clear(x.loaded)
		case network.ResourceTypeEventSource:
			x.streams[e.RequestID] = true
		}
	case *network.EventDataReceived:
		if !x.streams[e.RequestID] {
			x.loaded[e.RequestID] += int64(e.DataLength)
		}
	}
}

// Look makes the window another one.
func (x *Tab) Look(width int, dark bool) {
	x.t.Helper()
	x.width = width
	size := chromedp.EmulateViewport(int64(width), 900)
	if width < 600 {
		size = chromedp.EmulateViewport(int64(width), 844, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	x.Do(size, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Do does something; the test ends if that fails.
func (x *Tab) Do(actions ...Action) {
	x.t.Helper()
	if err := chromedp.Do(x.Ctx, actions...); err != nil {
		x.t.Fatal(err)
	}
}

// Go goes to an address.
func Go(address string) Action { return chromedp.Navigate(address) }

// Click clicks on the first element of a CSS selector.
func Click(selector string) Action { return found(chromedp.Click(chromedp.CSS(selector))) }

// found does something with an element until it was there for that: what is live, or a page that has just come, is made anew between the look and the
// deed, and the element with it.
func found(do Action) Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for {
			_, err := do(ctx, t)
			if err == nil || !strings.Contains(err.Error(), "(-32000)") || ctx.Err() != nil {
				return err
			}
		}
	})
}

// Type types into a field. "\r" sends its form.
func Type(selector, text string) Action {
	return found(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Set gives a field another content.
func Set(selector, text string) Action { return found(chromedp.SetValue(chromedp.CSS(selector), text)) }

// FirstView is how long it took from asking for the page until something of it was to be seen (First Contentful Paint, W3C Paint Timing); 0: not known.
func (x *Tab) FirstView() time.Duration {
	x.t.Helper()
	ms := Eval[float64](x, `performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0`)
	return time.Duration(ms * float64(time.Millisecond))
}

// At is the address that the tab is at.
func (x *Tab) At() string {
	x.t.Helper()
	at, err := chromedp.Run(x.Ctx, chromedp.Location())
	if err != nil {
		x.t.Fatal(err)
	}
	return at
}

// Eval evaluates an expression of JavaScript.
func Eval[T any](x *Tab, expression string) T {
	x.t.Helper()
	v, err := chromedp.Run(x.Ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		x.t.Fatal(err)
	}
	return v
}

// Text is the text of the first element of a selector; "": there is none. It works without scripts too.
func Text(ctx context.Context, t *chromedp.Target, selector string) (string, error) {
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	markup, err := chromedp.OuterHTML(chromedp.CSS(selector))(short, t)
	return html.UnescapeString(tags.ReplaceAllString(markup, "")), err
}

var tags = regexp.MustCompile(`<[^>]*>`)

// Shown waits, for ten seconds at most, until an element has a text.
func Shown(selector, text string) Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for {
			has, err := Text(ctx, t, selector)
			if err == nil && strings.Contains(has, text) {
				return nil
			}
			select {
			case <-ctx.Done():
				at, _ := chromedp.Location()(context.WithoutCancel(ctx), t)
				return fmt.Errorf("at %s, %s does not say %q (%w): %.600s", at, selector, text, ctx.Err(), has)
			case <-time.After(30 * time.Millisecond):
			}
		}
	})
}

// Sound checks what every page has to keep: what [Tab.Fits] does, and that axe-core (where it is installed) finds nothing against WCAG 2.2 A and AA.
func (x *Tab) Sound(name string) Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := x.Fits(name)(ctx, t); err != nil {
			return err
		}
		return axe(ctx, t, name)
	})
}

// Fits checks that a page is no wider than the screen, that all that it has loaded weighs less than [Heaviest] and came from this machine, and takes a
// picture for people, if it is to.
func (x *Tab) Fits(name string) Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if folder := cmp.Or(x.Pictures, os.Getenv("HOLDFAST_SHOTS")); folder != "" {
			png, err := chromedp.FullScreenshot(100)(ctx, t)
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
			}
			if err != nil {
				return err
			}
		}
		// Not innerWidth: on a phone the browser makes the window wider for what does not fit.
		wide, err := chromedp.Evaluate[int](`document.documentElement.scrollWidth`)(ctx, t)
		if err != nil || wide > x.width {
			return fmt.Errorf("%s: %d pixels wide on a screen of %d (%w)", name, wide, x.width, err)
		}
		return x.light(name)
	})
}

// light checks what the page has loaded.
func (x *Tab) light(name string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	total := int64(0)
	for _, n := range x.loaded {
		total += n
	}
	if total > Heaviest {
		return fmt.Errorf("%s: the page has loaded %d bytes", name, total)
	}
	for host := range x.asked {
		if !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "localhost") {
			return fmt.Errorf("%s: %s was asked", name, host)
		}
	}
	return nil
}

func axe(ctx context.Context, t *chromedp.Target, name string) error {
	source, err := axeSource()
	if err != nil || source == "" {
		return err
	}
	run := source + `;axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html + ' ' + n.failureSummary)))`
	found, err := chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise)(ctx, t)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s: %s", name, strings.Join(found, "\n"))
	}
	return err
}

// axeSource is axe-core, which `make browser` installs; "": it is not there.
var axeSource = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("pagetest: go.mod is in no directory above this one")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "page/pagetest/testdata/axe/node_modules/axe-core/axe.min.js"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), err
})
