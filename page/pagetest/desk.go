package pagetest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/page"
)

// Desk is an area at which somebody has signed in, over an API that a test makes up.
type Desk struct {
	t     *testing.T
	Pages *page.Server
	API   *httptest.Server
	Token string    // of the session
	Now   time.Time // what the pages take for the time; zero: the real one
	lang  string
}

// NewDesk serves an area to who. The API answers what api does; who has signed in is added, and a request without their token is refused.
func NewDesk(t *testing.T, area page.Area, who client.Here, api *http.ServeMux) *Desk {
	t.Helper()
	d := &Desk{t: t, Token: "hfs_2088000000000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaa", lang: "en"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/session", func(w http.ResponseWriter, _ *http.Request) { JSON(w, client.Who{Here: who}) })
	mux.Handle("/", api)
	d.API = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+d.Token && r.URL.Path != "/livez" {
			Problem(w, http.StatusUnauthorized, "unauthenticated", "Sign in.")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(d.API.Close)
	c, err := client.New(client.Config{Sites: []string{d.API.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	d.Pages, err = page.New(page.Config{API: c, Direct: mux, Areas: []page.Area{area}, Now: func() time.Time {
		if d.Now.IsZero() {
			return time.Now()
		}
		return d.Now
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Pages.Close)
	return d
}

// In has the pages asked for in another language.
func (d *Desk) In(lang string) { d.lang = lang }

// Get asks for a page.
func (d *Desk) Get(path string) *httptest.ResponseRecorder { return d.ask(http.MethodGet, path, nil) }

// Post sends a form, of names and values.
func (d *Desk) Post(path string, pairs ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return d.ask(http.MethodPost, path, form)
}

func (d *Desk) ask(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept-Language", d.lang)
	r.Header.Set("Cookie", "holdfast_session="+d.Token)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	w := httptest.NewRecorder()
	d.Pages.ServeHTTP(w, r)
	return w
}

// Page is the text of a page that has to be there, and to say some things; with "!" before it, not to.
func (d *Desk) Page(path string, want ...string) string {
	d.t.Helper()
	w := d.Get(path)
	if w.Code != http.StatusOK {
		d.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	Says(d.t, w.Body.String(), want...)
	return w.Body.String()
}

// Says checks what a text says; with "!" before it, what it does not.
func Says(t *testing.T, body string, want ...string) {
	t.Helper()
	for _, text := range want {
		if not, is := strings.CutPrefix(text, "!"); is == strings.Contains(body, not) {
			t.Errorf("%q: not as it should be in\n%s", text, body)
		}
	}
}

// Serve serves the pages over a socket, to a browser that has signed in already, and returns the address. down: the site answers nothing.
func (d *Desk) Serve() (address string, down *atomic.Bool) {
	down = new(atomic.Bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case down.Load():
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/livez":
			w.WriteHeader(http.StatusOK)
			return
		}
		r.AddCookie(&http.Cookie{Name: "holdfast_session", Value: d.Token})
		d.Pages.ServeHTTP(w, r)
	}))
	d.t.Cleanup(func() {
		d.Pages.End() // what is live lasts until it is ended
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL, down
}

// JSON answers with a value.
func JSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Problem answers with a problem document, as the API does.
func Problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": detail})
}

var (
	asked   = regexp.MustCompile(`\.Tf? "([^"]+)"`)
	defined = regexp.MustCompile(`define "([^"]+)"`)
)

// CheckWords fails when a template of an area asks for a text that nobody has written down, or a text is there in one language only. more are keys
// that are made in code; whole are the templates that are pages of their own, and have a title: nil means all.
func CheckWords(t *testing.T, area page.Area, whole []string, more ...string) {
	t.Helper()
	keys := map[string]bool{}
	for _, k := range more {
		keys[k] = true
	}
	for _, w := range whole {
		keys["title-"+w] = true
	}
	for _, item := range area.Menu {
		keys[item.Word] = true
	}
	list, err := fs.Glob(area.Templates, "*.html")
	if err != nil || len(list) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, name := range list {
		text, err := fs.ReadFile(area.Templates, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asked.FindAllSubmatch(text, -1) {
			keys[string(m[1])] = true
		}
		for _, m := range defined.FindAllSubmatch(text, -1) {
			if whole == nil {
				keys["title-"+string(m[1])] = true
			}
		}
		if bytes.Contains(text, []byte("<script>")) || bytes.Contains(text, []byte("style=\"")) || bytes.Contains(text, []byte(" onclick=")) {
			t.Errorf("%s has a script or a style that the policy refuses", name)
		}
	}
	for key := range keys {
		w, ok := area.Words[key]
		if !ok {
			w, ok = page.ShellWord(key)
		}
		if !ok || w[0] == "" || w[1] == "" {
			t.Errorf("%q has no words", key)
		}
	}
	for key, w := range area.Words {
		if w[0] == "" || w[1] == "" {
			t.Errorf("%q has words in one language", key)
		}
	}
}
