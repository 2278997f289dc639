package wallet

import (
	"context"
	"encoding/base64"
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/makiuchi-d/gozxing/qrcode"

	"holdfast/client"
	"holdfast/page"
	"holdfast/page/pagetest"
)

// painted is a picture of what an SVG path of boxes says that is dark.
func painted(t *testing.T, width, height int, d string) image.Image {
	t.Helper()
	const scale = 3
	m := image.NewGray(image.Rect(0, 0, width*scale, height*scale))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, b := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z`).FindAllStringSubmatch(d, -1) {
		for y := number(b[2]) * scale; y < (number(b[2])+number(b[4]))*scale; y++ {
			for x := number(b[1]) * scale; x < (number(b[1])+number(b[3]))*scale; x++ {
				m.SetGray(x, y, color.Gray{})
			}
		}
	}
	return m
}

// scanned reads what is drawn, as another program does that knows nothing of ours.
func scanned(t *testing.T, bars bool, d string) string {
	t.Helper()
	picture := painted(t, 29, 29, d)
	var reader gozxing.Reader = qrcode.NewQRCodeReader()
	if bars {
		picture, reader = painted(t, 154, 40, d), oned.NewCode128Reader()
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	result, err := reader.Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("no scanner reads this (%v): %s", err, d)
	}
	return result.GetText()
}

// network switches the network of a tab off, or on.
func networkIs(off bool) pagetest.Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1})
		return err
	})
}

// serveTwo serves the pages at two sites, to a browser that has signed in already; down: the first one answers nothing.
func (k *till) serveTwo() (site, other string, down *atomic.Bool) {
	k.t.Helper()
	down = new(atomic.Bool)
	c, err := client.New(client.Config{Sites: []string{k.API.URL}})
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(c.Close)
	var places []page.Place
	for i, name := range []string{"hangzhou", "shanghai"} {
		var pages *page.Server
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if i == 0 && down.Load() {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/livez" {
				return
			}
			r.AddCookie(&http.Cookie{Name: "holdfast_session", Value: k.Token})
			pages.ServeHTTP(w, r)
		}))
		places = append(places, page.Place{Name: name, URL: s.URL})
		pages, err = page.New(page.Config{API: c, Direct: http.NotFoundHandler(), Areas: []page.Area{Area()}, Places: func() []page.Place {
			list := slices.Clone(places)
			list[i].Self = true
			return list
		}})
		if err != nil {
			k.t.Fatal(err)
		}
		end := func() {
			pages.End()
			s.CloseClientConnections()
		}
		if i == 0 {
			k.hangUp = end
		}
		k.t.Cleanup(func() {
			end()
			s.Close()
			pages.Close()
		})
	}
	return places[0].URL, places[1].URL, down
}

// TestInABrowser does what people do with a wallet, on a phone and once on a wide screen, in both languages.
func TestInABrowser(t *testing.T) {
	chrome := pagetest.Browser(t)
	k := newTill(t)
	k.Now = time.Time{} // codes are made by the clock of the browser
	for i := range k.receipts {
		k.receipts[i].Time = time.Now().Add(-time.Duration(i+1) * time.Hour)
	}
	site, other, down := k.serveTwo()
	tab := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 390})
	tab.Do(pagetest.Go(site+"/wallet"), pagetest.Shown("main", "¥1,234.56"), tab.Sound("wallet-home"))

	// picture is for people, and checks nothing that others do not: only when somebody wants pictures.
	picture := func(name string) pagetest.Action {
		if os.Getenv("HOLDFAST_SHOTS") == "" {
			return chromedp.Func(func(context.Context, *chromedp.Target) error { return nil })
		}
		return tab.Sound(name)
	}

	// Money comes, and the page that is open says so.
	k.mu.Lock()
	k.pay("received", 10_000, "s-7", "thank you")
	k.mu.Unlock()
	tab.Do(pagetest.Shown("main", "¥1,334.56"), pagetest.Shown(".lines", "thank you"))

	// The browser becomes a phone that shows codes, which scanners read.
	tab.Do(pagetest.Click(`a[href="/wallet/code"]`), pagetest.Shown("h1", "Payment code"), pagetest.Shown("#codes[data-ready]", ""), picture("wallet-code-off"), pagetest.Click("#enable button"), pagetest.Shown("#digits", "28"))
	codes := func() (digits string) {
		t.Helper()
		for range 20 { // the minute may end between two looks
			digits = pagetest.Eval[string](tab, `document.getElementById("digits").textContent.replaceAll(" ", "")`)
			qr := scanned(t, false, pagetest.Eval[string](tab, `document.querySelector("#qr path").getAttribute("d")`))
			if bars := scanned(t, true, pagetest.Eval[string](tab, `document.querySelector("#bars path").getAttribute("d")`)); qr == digits && bars == digits {
				return digits
			}
		}
		t.Fatal("digits and pictures differ")
		return ""
	}
	is := func(digits string, ahead time.Duration) {
		t.Helper()
		now := time.Now().Add(ahead)
		if digits != client.PaymentCode(alice, secret, now) && digits != client.PaymentCode(alice, secret, now.Add(-time.Second)) {
			t.Errorf("%s is not the code of this minute, %s", digits, client.PaymentCode(alice, secret, now))
		}
	}
	is(codes(), 0)
	tab.Do(tab.Sound("wallet-code"))
	kept := pagetest.Eval[string](tab, `holdfastCodes.read().then((p) => p.key.extractable + " " + JSON.stringify(p))`)
	if !strings.HasPrefix(kept, "false ") || strings.Contains(kept, base64.StdEncoding.EncodeToString(secret)) {
		t.Errorf("the browser keeps %s", kept)
	}
	many := pagetest.Eval[[]string](tab, `Array.from({length: 24}, (_, i) => "28" + String((i * 7919 + 12345678901234567n.toString().length * 104729 * (i + 1)) % 1e8).padStart(8, "0") + String(i * 2503711 % 1e8).padStart(8, "0")).flatMap((c) => [c, drawCode.qr(c), drawCode.bars(c)])`)
	for i := 0; i < len(many); i += 3 {
		if qr, bars := scanned(t, false, many[i+1]), scanned(t, true, many[i+2]); qr != many[i] || bars != many[i] {
			t.Errorf("%s is read as %s and %s", many[i], qr, bars)
		}
	}

	// The shop takes the code: the page says so, and shows no code that has paid.
	k.mu.Lock()
	k.pay("paid", -880, "T-7", "Dumplings")
	k.mu.Unlock()
	tab.Do(pagetest.Shown("#paid", "¥8.80"), pagetest.Shown("#paid", "Tea <House>"), picture("wallet-code-paid"))
	if !pagetest.Eval[bool](tab, `document.getElementById("codes").classList.contains("spent")`) {
		t.Error("a code that has paid is still shown")
	}

	// Without a network the page goes on making codes, the next minute too; it even opens.
	for range 100 {
		if pagetest.Eval[bool](tab, `caches.keys().then((k) => k.length > 0)`) && pagetest.Eval[bool](tab, `navigator.serviceWorker.controller !== null`) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	// The site is silent: the page goes on where its key is, and the first page goes on elsewhere.
	home := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 390})
	home.Do(pagetest.Go(site+"/wallet"), pagetest.Shown("main", "¥1,325.76"))
	down.Store(true)
	k.hangUp()
	tab.Do(pagetest.Shown("#notice", "What you send goes to shanghai"))
	home.Do(pagetest.Shown("#notice", "does not answer any more. You are now at shanghai"), pagetest.Shown("main", "¥1,325.76"))
	if at, went := tab.At(), home.At(); at != site+"/wallet/code" || went != other+"/wallet" {
		t.Errorf("the page with codes is at %s, the first page at %s", at, went)
	}
	tab.Do(networkIs(true), pagetest.Shown("#no-net", "works all the same"))
	pagetest.Eval[bool](tab, `(() => { const real = Date.now; Date.now = () => real() + 60000; return true; })()`)
	tab.Do(chromedp.Func(func(context.Context, *chromedp.Target) error { time.Sleep(600 * time.Millisecond); return nil }))
	is(codes(), time.Minute)
	tab.Do(picture("wallet-code-offline"), pagetest.Go(site+"/wallet/code"), pagetest.Shown("#digits", "28"))
	is(codes(), 0)
	tab.Do(picture("wallet-offline"), networkIs(false))
	down.Store(false)

	// Sending, in Chinese, with a page before that says what will happen.
	tab.Do(pagetest.Go(other+"/wallet/send"), pagetest.Click(`button[lang="zh-CN"]`), pagetest.Shown("h1", "转账"), pagetest.Type("#to", "bob@example.com"), pagetest.Type("#amount", "12.5"), pagetest.Type("#note", "午饭"), picture("wallet-send-zh"),
		pagetest.Click("main button[type=submit]"), pagetest.Shown("h1", "确认转账"), pagetest.Shown("main", "¥12.50"), tab.Sound("wallet-send-confirm-zh"),
		pagetest.Click("main button.wide"), pagetest.Shown("h1", "转账成功"), picture("wallet-sent-zh"))
	tab.Look(390, true)
	tab.Do(pagetest.Go(other+"/wallet/statement"), pagetest.Shown(".lines", "收到转账"), tab.Sound("wallet-statement-zh-dark"), pagetest.Go(other+"/wallet"), pagetest.Shown("main", "可用余额"), picture("wallet-home-zh-dark"),
		pagetest.Click(`.lines a`), pagetest.Shown("h1", "付款"), tab.Sound("wallet-receipt-zh-dark"), pagetest.Go(other+"/wallet/settings"), picture("wallet-settings-zh-dark"))
	tab.Look(1440, false)
	tab.Do(pagetest.Go(other+"/wallet"), tab.Sound("wallet-home-zh-wide"), pagetest.Click(`button[lang="en"]`), pagetest.Shown("main", "Available"), pagetest.Go(site+"/wallet/code"), pagetest.Shown("#digits", "28"), picture("wallet-code-wide"),
		pagetest.Go(other+"/wallet/top-up"), pagetest.Type("#amount", "250"), pagetest.Click("main button[type=submit]"), pagetest.Shown("main", "HF0000"), picture("wallet-top-up-order"))
}
