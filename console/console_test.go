package console

import (
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
	"holdfast/page"
	"holdfast/page/pagetest"
)

const goodKey = "hf_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// house is a fleet of one site that answers as a test wants, and the pages before it.
type house struct {
	t     *testing.T
	api   *httptest.Server
	pages *page.Server
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
	pages, err := page.New(page.Config{API: c, Direct: h.api2, Areas: []page.Area{Area()}, Places: func() []page.Place {
		return []page.Place{{Name: "hangzhou", URL: urls[0], Self: n == 0}, {Name: "shanghai", URL: urls[1], Self: n == 1}}
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
	h.api, h.api2 = httptest.NewServer(mux), mux
	t.Cleanup(h.api.Close)
	h.fleet = `{"sites":[{"site":1,"name":"hangzhou","self":true,"http":"URL","reachable":true,"ready":true,"digest_ok":true,"leads":[1],"carriers":[]},` +
		`{"site":2,"name":"shanghai","http":"","reachable":false,"digest_ok":true,"carriers":[{"address":"a","connected":false},{"address":"b","connected":true,"round_trip_ms":9.8}]}]}`
	c, err := client.New(client.Config{Sites: []string{h.api.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	h.pages, err = page.New(page.Config{
		API: c, Direct: mux, Areas: []page.Area{Area()}, Now: func() time.Time { return time.Date(2026, 11, 27, 10, 0, 1, 0, time.UTC) },
		Places: func() []page.Place {
			return []page.Place{{Name: "hangzhou", URL: "http://127.0.0.1:8081", Self: true}, {Name: "shanghai", URL: "http://127.0.0.1:8082"}}
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
	w := h.ask("GET", path, nil, append([]string{"Cookie", "holdfast_session" + "=" + goodKey}, head...)...)
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

func TestFleetPage(t *testing.T) {
	h := newHouse(t)
	body := h.page("/console")
	h.has(body, "hangzhou", "shanghai", `class="cable down"`, `class="cable up"`, "9.8 ms", "15/s", `data-live="/console/live"`, "leads 1", "away from home", "<title>Fleet · Holdfast</title>")
	h.has(h.page("/console", "Accept-Language", "zh-CN,zh;q=0.9"), `<html lang="zh-CN"`, "机群", "✕ 中断", "不在归属站点")
	h.has(h.page("/console/what-if"), "moves to", "stops", "shanghai", "210 ms", "&lt;b&gt;now&lt;/b&gt;")
	h.has(h.page("/console/journal"), "&lt;script&gt;", "!<script>", "shanghai", "Sites that did not answer")
	w := h.ask("GET", "/console/trend", nil, "Cookie", "holdfast_session="+goodKey)
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
	r.Header.Set("Cookie", "holdfast_session="+goodKey)
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

// The same thing at many places is one finding.
func TestFindingsAreSaidOnce(t *testing.T) {
	f := &fleet{At: time.Now(), Foretold: true}
	for i := range 3 {
		s := client.Site{Site: holdfast.SiteID(i + 1), Reachable: true, Ready: true, DigestOK: true, DiskFull: true}
		f.Sites = append(f.Sites, siteNow{Site: s, Spoke: true, Others: map[holdfast.SiteID]client.Site{s.Site: s}})
	}
	seen := map[string]int{}
	for _, n := range findings(f, new(page.View)) {
		seen[n.Code]++
		if len(n.Places) == 0 || len(n.Do) == 0 || len(n.Do) > len(n.Places) {
			t.Errorf("%s: %d places, %q", n.Code, len(n.Places), n.Do)
		}
		if seen[n.Code] > 1 {
			t.Errorf("%s is said again", n.Code)
		}
	}
	if len(seen) == 0 {
		t.Error("nothing was found of a fleet of full disks")
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

// Every text that a template, a state or a finding asks for is written down, in both languages.
func TestEveryWordIsThere(t *testing.T) {
	var keys []string
	for _, s := range []string{stateUp, stateWeak, stateDown, stateUnknown} {
		keys = append(keys, "state-"+s, "cable-"+s)
	}
	// What the doctor can find in a running fleet.
	for _, name := range []string{"../doctor/fleet.go", "../doctor/banks.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`add\([A-Za-z]+, "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			keys = append(keys, "finding-"+m[1])
		}
	}
	if len(keys) < 30 {
		t.Errorf("%d keys were found: the test looks in the wrong place", len(keys))
	}
	pagetest.CheckWords(t, Area(), []string{"fleet", "what-if", "journal", "search", "money", "account", "drills", "drill-read"}, keys...)
}
