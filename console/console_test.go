package console

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

const goodKey = "hf_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// house is a fleet of one site that answers as a test wants, and the pages before it.
type house struct {
	t     *testing.T
	api   *httptest.Server
	pages *Handler
	mu    sync.Mutex
	asked []string // keys; guarded by mu
	fleet string
	say   func() string // the fleet, when it changes

	api2     http.Handler
	handlers [2]http.Handler
}

// at makes the pages of one of two sites.
func (h *house) at(n int, urls ...string) http.Handler {
	h.t.Helper()
	c, err := client.New(client.Config{Sites: []string{h.api.URL}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	pages, err := New(Config{API: c, Direct: h.api2, Places: func() []Place {
		return []Place{{Name: "hangzhou", URL: urls[0], Self: n == 0}, {Name: "shanghai", URL: urls[1], Self: n == 1}}
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(pages.Close)
	return pages
}

func newHouse(t *testing.T) *house {
	h := &house{t: t}
	mux := http.NewServeMux()
	say := func(text func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h.mu.Lock()
			h.asked = append(h.asked, r.Header.Get("Authorization"))
			h.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			if k := r.Header.Get("Authorization"); k != "Bearer "+goodKey && !strings.HasPrefix(k, "Bearer hfs_") {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, `{"code":"unauthenticated","detail":"Give a key."}`)
				return
			}
			io.WriteString(w, text())
		}
	}
	mux.HandleFunc("GET /v1/sites", say(func() string {
		fleet := h.fleet
		if h.say != nil {
			fleet = h.say()
		}
		return strings.ReplaceAll(fleet, "URL", h.api.URL)
	}))
	mux.HandleFunc("GET /v1/shards", say(func() string {
		return `{"map_version":0,"shards":[{"shard":1,"leader":1,"home":2,"slots":[{"from":0,"to":999}],"in_service":true,"digest_ok":true,"members":[]}],"moves":[],"splits":[]}`
	}))
	mux.HandleFunc("GET /v1/survival", say(func() string {
		return `{"at":"2026-11-27T10:00:00Z","survives":true,"weakest":"","losses":[` +
			`{"loss":"site","sites":[1],"survives":true,"stops":[],"moves":[{"shard":1,"from":1,"to":[2]}],"pause_ms":210,"worst_pause_ms":400,"loads":[]},` +
			`{"loss":"sites","sites":[1,2],"survives":false,"stops":[1],"moves":[],"pause_ms":0,"worst_pause_ms":0,"loads":[],"breaks":"shard 1 would stop <b>now</b>"}]}`
	}))
	mux.HandleFunc("GET /v1/trend", say(func() string {
		return `{"site":1,"name":"hangzhou","step_s":1,"points":[{"at":"2026-11-27T10:00:00Z","seconds":2,"done":30,"p50_ms":3,"p99_ms":9,"waiting":4,"majority":true}]}`
	}))
	mux.HandleFunc("GET /v1/journal", say(func() string {
		return `{"events":[{"number":1,"at":"2026-11-27T10:00:00Z","kind":"cut","site":2,"detail":"<script>"}],"last":1}`
	}))
	mux.HandleFunc("POST /v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		var c client.Credentials
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || !strings.HasPrefix(r.RemoteAddr, "192.0.2.") {
			t.Errorf("asked from %s: %v", r.RemoteAddr, err)
		}
		if c.Login != "ops" || c.Password != "correct horse" || c.As != "operator" {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"code":"login-wrong"}`)
			return
		}
		io.WriteString(w, `{"token":"hfs_2088000000000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaa","device":"d1"}`)
	})
	h.api, h.api2 = httptest.NewServer(mux), mux
	t.Cleanup(h.api.Close)
	h.fleet = `{"sites":[{"site":1,"name":"hangzhou","self":true,"http":"URL","reachable":true,"ready":true,"digest_ok":true,"leads":[1],"carriers":[]},` +
		`{"site":2,"name":"shanghai","http":"","reachable":false,"digest_ok":true,"carriers":[{"address":"a","connected":false},{"address":"b","connected":true,"round_trip_ms":9.8}]}]}`
	c, err := client.New(client.Config{Sites: []string{h.api.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	h.pages, err = New(Config{
		API: c, Direct: mux, Now: func() time.Time { return time.Date(2026, 11, 27, 10, 0, 1, 0, time.UTC) },
		Places: func() []Place {
			return []Place{{Name: "hangzhou", URL: "http://127.0.0.1:8081", Self: true}, {Name: "shanghai", URL: "http://127.0.0.1:8082"}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.pages.Close)
	return h
}

func (h *house) ask(method, path string, form url.Values, head ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.pages.ServeHTTP(w, r)
	return w
}

func (h *house) page(path string, head ...string) string {
	h.t.Helper()
	w := h.ask("GET", path, nil, append([]string{"Cookie", sessionCookie + "=" + goodKey}, head...)...)
	if w.Code != http.StatusOK {
		h.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (h *house) has(body string, want ...string) {
	h.t.Helper()
	for _, text := range want {
		if not, is := strings.CutPrefix(text, "!"); is == strings.Contains(body, not) {
			h.t.Errorf("%q: not as it should be in\n%s", text, body)
		}
	}
}

func TestPagesHaveTheRightsOfThePerson(t *testing.T) {
	h := newHouse(t)
	w := h.ask("GET", "/console/what-if?x=1", nil)
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/sign-in?to=%2Fconsole%2Fwhat-if%3Fx%3D1" || len(h.asked) != 0 {
		t.Errorf("without a key: %d %q, asked with %v", w.Code, to, h.asked)
	}
	w = h.ask("GET", "/console", nil, "Cookie", sessionCookie+"=hf_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.Contains(to, "why=ended") {
		t.Errorf("with a key that nobody knows: %d %q", w.Code, to)
	}
	h.asked = nil
	h.page("/console")
	for _, k := range h.asked {
		if k != "Bearer "+goodKey {
			t.Errorf("asked with %q", k)
		}
	}
	if len(h.asked) < 4 {
		t.Errorf("asked %d times", len(h.asked))
	}
}

func TestFleetPage(t *testing.T) {
	h := newHouse(t)
	body := h.page("/console")
	h.has(body, "hangzhou", "shanghai", `class="cable down"`, `class="cable up"`, "9.8 ms", "15/s", `data-live="/console/live"`, "leads 1", "away from home", "<title>Fleet · Holdfast</title>")
	h.has(h.page("/console", "Accept-Language", "zh-CN,zh;q=0.9"), `<html lang="zh-CN"`, "机群", "✕ 中断", "不在归属站点")
	h.has(h.page("/console/what-if"), "moves to", "stops", "shanghai", "210 ms", "&lt;b&gt;now&lt;/b&gt;")
	h.has(h.page("/console/journal"), "&lt;script&gt;", "!<script>", "shanghai", "Sites that did not answer")
	w := h.ask("GET", "/console/trend", nil, "Cookie", sessionCookie+"="+goodKey)
	if got := strings.TrimSpace(w.Body.String()); !strings.Contains(got, `"rate":[15]`) || !strings.Contains(got, `"name":"shanghai","rate":[null]`) {
		t.Errorf("trend: %s", got)
	}
}

// A stream tells how things are at once and again, and ends when the site does.
func TestLive(t *testing.T) {
	h := newHouse(t)
	s := httptest.NewServer(h.pages)
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/console/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", sessionCookie+"="+goodKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Error(resp.Header)
	}
	first := make([]byte, 400)
	if _, err := io.ReadFull(resp.Body, first); err != nil || !strings.HasPrefix(string(first), "event: fleet\ndata: <div class=\"verdict") {
		t.Errorf("%s %v", first, err)
	}
	h.pages.End()
	if rest, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(rest), "\n\n") {
		t.Errorf("it ends with %.100q %v", rest, err)
	}
}

func TestSignIn(t *testing.T) {
	h := newHouse(t)
	origin := []string{"Origin", "http://example.com"} // where httptest's requests go
	in := func(pairs ...string) *httptest.ResponseRecorder {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return h.ask("POST", "/sign-in", form, origin...)
	}
	w := in("login", "ops", "password", "correct horse", "to", "/console/what-if")
	set := strings.Join(w.Result().Header["Set-Cookie"], "\n")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/what-if" ||
		!regexp.MustCompile(`(?m)^holdfast_session=hfs_[^;]*; Path=/; HttpOnly; SameSite=Lax$`).MatchString(set) || !strings.Contains(set, "holdfast_device=d1") {
		t.Errorf("%d %s %s", w.Code, w.Header().Get("Location"), set)
	}
	for _, row := range []struct {
		pairs  []string
		status int
		says   string
	}{
		{[]string{"login", "ops", "password", "wrong"}, 422, "do not fit together"},
		{[]string{"login", "", "password", "x"}, 422, "both your name and your password"},
		{[]string{"key", "nonsense"}, 422, "This is no API key"},
		{[]string{"key", "hf_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}, 422, "does not take this key"},
	} {
		w := in(row.pairs...)
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.says) || len(w.Result().Header["Set-Cookie"]) != 0 || strings.Contains(w.Body.String(), `value="wrong"`) {
			t.Errorf("%v: %d %s", row.pairs, w.Code, w.Body)
		}
	}
	if w := in("key", goodKey); w.Code != http.StatusSeeOther {
		t.Errorf("by key: %d %s", w.Code, w.Body)
	}
	// Nowhere else.
	for _, to := range []string{"//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "evil"} {
		if w := in("key", goodKey, "to", to); w.Header().Get("Location") != "/" {
			t.Errorf("%s leads to %s", to, w.Header().Get("Location"))
		}
	}
	if w := h.ask("POST", "/sign-out", url.Values{}, append(origin, "Cookie", sessionCookie+"="+goodKey)...); !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Error(w.Header())
	}
}

// A form that another site has made up does nothing; one of another site of the fleet is ours.
func TestForgedForms(t *testing.T) {
	h := newHouse(t)
	for origin, want := range map[string]int{"http://evil.example": 403, "http://127.0.0.1:8082": 303, "http://example.com": 303} {
		w := h.ask("POST", "/look", url.Values{"lang": {"zh-CN"}, "to": {"/console"}}, "Origin", origin, "Sec-Fetch-Site", map[bool]string{true: "same-origin", false: "cross-site"}[origin == "http://example.com"])
		if w.Code != want {
			t.Errorf("%s: %d %s", origin, w.Code, w.Body)
		}
	}
	w := h.ask("GET", "/sign-in", nil)
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; " +
			"form-action 'self' http://127.0.0.1:8081 http://127.0.0.1:8082; connect-src 'self' http://127.0.0.1:8081 http://127.0.0.1:8082",
		"X-Frame-Options": "DENY", "Cache-Control": "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Every text that a template, a state or a finding asks for is written down, in both languages.
func TestEveryWordIsThere(t *testing.T) {
	keys := map[string]bool{}
	list, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		text, err := os.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			keys[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`define "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if m[1] != "layout" && m[1] != "fleet-now" {
				keys["title-"+m[1]] = true
			}
		}
	}
	for _, s := range []string{stateUp, stateWeak, stateDown, stateUnknown} {
		keys["state-"+s], keys["cable-"+s] = true, true
	}
	// What the doctor can find in a running fleet.
	for _, name := range []string{"../doctor/fleet.go", "../doctor/banks.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`add\([A-Za-z]+, "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			keys["finding-"+m[1]] = true
		}
	}
	if len(keys) < 100 {
		t.Errorf("%d keys were found: the test looks in the wrong place", len(keys))
	}
	for key := range keys {
		if w, ok := words[key]; !ok || w.zh == "" || w.en == "" {
			t.Errorf("%q has no words", key)
		}
	}
	for key, w := range words {
		if w.zh == "" || w.en == "" {
			t.Errorf("%q has words in one language", key)
		}
	}
}

func TestCablesAreAsBadAsTheirWorseEnd(t *testing.T) {
	end := func(peer holdfast.SiteID, carriers ...client.Carrier) map[holdfast.SiteID]client.Site {
		return map[holdfast.SiteID]client.Site{peer: {Site: peer, Carriers: carriers}}
	}
	up, cut, lossyOne := client.Carrier{Connected: true, RoundTrip: 10}, client.Carrier{}, client.Carrier{Connected: true, Loss: .1}
	sites := []siteNow{
		{Site: client.Site{Site: 1}, Others: end(2, up, up, up, cut)}, {Site: client.Site{Site: 2}, Others: end(1, up, lossyOne, cut)}, {Site: client.Site{Site: 3}},
	}
	var got []string
	for _, c := range cables(sites) {
		got = append(got, fmt.Sprint(c.A, "-", c.B, "/", c.Carrier, " ", c.State))
	}
	want := "[1-2/1 up 1-2/2 weak 1-2/3 down 1-2/4 down 1-3/1 unknown 2-3/1 unknown]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v", got)
	}
}

func TestMinorUnits(t *testing.T) {
	for _, row := range []struct {
		n     int64
		asset string
		want  string
	}{
		{0, "CNY", "0.00"}, {5, "CNY", "0.05"}, {-123456789, "CNY", "−1,234,567.89"}, {1234, "JPY", "1,234"}, {1234, "KWD", "1.234"}, {12345, "SEAT-LH400", "12,345"},
	} {
		if got := minor(row.n, row.asset); got != row.want {
			t.Errorf("%d %s: %s", row.n, row.asset, got)
		}
	}
}

// No page is heavy: all that a browser loads for the fleet is under 150 KB.
func TestPagesAreLight(t *testing.T) {
	h := newHouse(t)
	total := len(h.page("/console"))
	for _, name := range []string{"holdfast.css", "live.js", "plots.js", "uplot.min.js", "uplot.min.css", "icon.svg"} {
		w := h.ask("GET", staticAddress(name), nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		total += w.Body.Len()
	}
	if total > 150<<10 {
		t.Errorf("the page of the fleet is %d bytes in all", total)
	}
	if w := h.ask("GET", "/static/x/..%2Fconsole.go", nil); w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
}
