package page

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"holdfast/client"
	"holdfast/pay"
	"holdfast/signin"
)

const (
	goodKey     = "hf_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	operator    = "hfs_2088000000000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	customer    = "hfs_2088000000000001_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	wantsOrigin = "http://example.com" // where httptest's requests go
)

// house is an API that knows two people and a key, and pages for operators and customers before it.
type house struct {
	t     *testing.T
	pages *Server
	mu    sync.Mutex
	asked []string // keys; guarded by mu
}

func newHouse(t *testing.T) *house {
	h := &house{t: t}
	mux := http.NewServeMux()
	who := map[string]string{operator: `{"as":"operator","person":"ops"}`, customer: `{"as":"customer","customer":"2088000000010422"}`}
	answer := func(known func(token string) (string, bool)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			h.mu.Lock()
			h.asked = append(h.asked, r.URL.Path+" "+token)
			h.mu.Unlock()
			text, ok := known(token)
			if !ok {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, `{"code":"unauthenticated","detail":"Give a key."}`)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, text)
		}
	}
	mux.HandleFunc("GET /v1/session", answer(func(token string) (string, bool) { text, ok := who[token]; return text, ok }))
	mux.HandleFunc("GET /v1/sites", answer(func(token string) (string, bool) { return `{"sites":[]}`, token == goodKey || token == operator }))
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
		io.WriteString(w, `{"as":"operator","token":"`+operator+`","device":"d1"}`)
	})
	api := httptest.NewServer(mux)
	t.Cleanup(api.Close)
	c, err := client.New(client.Config{Sites: []string{api.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	area := func(name, as string) Area {
		return Area{
			Name: name, As: as, Menu: []Item{{"/" + name, "nav-" + name}},
			Templates: fstest.MapFS{"a.html": {Data: []byte(`{{define "fleet"}}<h1>{{.T "hello"}}</h1> {{.Is}}{{end}}{{define "hello"}}<h1>{{.T "hello"}}</h1>{{.Is}}{{end}}`)}},
			Words:     Words{"hello": {"你好", "Hello from " + name}, "nav-" + name: {"页", name}, "done-sent": {"已发送", "It was sent"}, "code-exceeds-credits": {"余额不足", "Not enough"}},
			Routes: func(s *Shell) {
				s.Page("GET /"+name, func(ctx context.Context, v *View, r *http.Request) Answer {
					if as == "operator" {
						if _, err := s.API.Fleet(ctx); err != nil {
							return Failed(v, r, err)
						}
					}
					return Answer{Template: "hello", Body: v.Kind() + " " + v.Owner().String()}
				})
				s.Page("GET /"+name+"/refused", func(_ context.Context, v *View, _ *http.Request) Answer {
					return Answer{Template: "hello", Body: Refused(v, &client.Error{Status: 422, Code: "exceeds-credits"}) + Refused(v, &client.Error{Status: 422, Code: "odd", Detail: "Do this."})}
				})
				s.Page("GET /"+name+"/file", func(context.Context, *View, *http.Request) Answer {
					return Answer{File: &File{Type: "text/csv", Name: `day "1".csv`, Content: []byte("a,b\n")}}
				})
				s.Page("POST /"+name+"/pay", func(_ context.Context, v *View, r *http.Request) Answer {
					_ = r.ParseForm()
					return Failed(v, r, context.DeadlineExceeded)
				})
				s.Live("GET /"+name+"/live", "now", time.Second, func(context.Context, *View) (string, any, error) { return "hello", "<b>", nil })
			},
		}
	}
	h.pages, err = New(Config{
		API: c, Direct: mux, Areas: []Area{area("console", "operator"), area("wallet", "customer")},
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

// as asks for a page with a session or key.
func (h *house) as(token, path string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.ask("GET", path, nil, "Cookie", sessionCookie+"="+token)
}

// A page has the rights of the person and shows itself to those whom it is for.
func TestPagesHaveTheRightsOfThePerson(t *testing.T) {
	h := newHouse(t)
	w := h.ask("GET", "/console?x=1", nil)
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/sign-in?as=operator&to=%2Fconsole%3Fx%3D1" || len(h.asked) != 0 {
		t.Errorf("without a key: %d %q, asked with %v", w.Code, to, h.asked)
	}
	for _, nobody := range []string{"hf_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "hfs_2088000000000009_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		w = h.as(nobody, "/console")
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.Contains(to, "why=ended") || !strings.Contains(to, "as=operator") {
			t.Errorf("with %s: %d %q", nobody, w.Code, to)
		}
	}
	for _, row := range []struct {
		token, path string
		status      int
		says        string
	}{
		{goodKey, "/console", 200, "operator 0"},
		{operator, "/console", 200, "operator 0"},
		{customer, "/wallet", 200, "customer 2088000000010422"},
		{customer, "/console", 403, `href="/wallet"`},
		{operator, "/wallet", 403, `href="/console"`},
		{goodKey, "/wallet", 403, `href="/console"`},
		{customer, "/wallet/nowhere", 404, "There is nothing of that name"},
		{customer, "/wallet/refused", 200, "Not enoughDo this."},
		{customer, "/wallet?done=sent", 200, "It was sent"},
		{customer, "/wallet?done=<script>", 200, "Hello from wallet"},
	} {
		w := h.as(row.token, row.path)
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.says) || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%s at %s: %d %s", row.token, row.path, w.Code, w.Body)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	sessions := 0
	for _, a := range h.asked {
		if a == "/v1/session "+customer {
			sessions++
		}
	}
	if sessions != 1 {
		t.Errorf("who the customer is was asked %d times within seconds", sessions)
	}
	if got := h.as(customer, "/").Header().Get("Location"); got != "/wallet" {
		t.Errorf("home of a customer is %s", got)
	}
}

// A form whose number may have been used is not thrown away because a site cannot be asked: it can be sent again, secrets excepted.
func TestANumberIsNotLost(t *testing.T) {
	h := newHouse(t)
	post := func(form url.Values) string {
		w := h.ask("POST", "/wallet/pay?x=1", form, "Cookie", sessionCookie+"="+customer, "Origin", wantsOrigin)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%d", w.Code)
		}
		return w.Body.String()
	}
	body := post(url.Values{"number": {"n-1"}, "amount": {"<5>"}})
	for _, want := range []string{`action="/wallet/pay?x=1" data-keep`, `name="number" value="n-1"`, `name="amount" value="&lt;5&gt;"`, "done once at most"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	for _, form := range []url.Values{{"number": {"n-1"}, "password": {"secret words"}}, {"amount": {"5"}}} {
		if body := post(form); strings.Contains(body, "data-keep") || strings.Contains(body, "secret words") {
			t.Errorf("%v comes back: %s", form, body)
		}
	}
}

func TestFilesAndStreams(t *testing.T) {
	h := newHouse(t)
	w := h.as(customer, "/wallet/file")
	if w.Header().Get("Content-Disposition") != `attachment; filename="day \"1\".csv"` || w.Body.String() != "a,b\n" {
		t.Errorf("%v %q", w.Header(), w.Body)
	}
	for token, want := range map[string]int{"": 401, operator: 403, "hfs_2088000000000009_aaaaaaaaaaaaaaaaaaaaaaaaaaaa": 401} {
		if w := h.as(token, "/wallet/live"); w.Code != want {
			t.Errorf("stream with %q: %d", token, w.Code)
		}
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

// Every text that a template asks for is written down, in both languages; what states ask for, too.
func TestEveryWordIsThere(t *testing.T) {
	list, err := templateFiles.ReadDir("templates")
	if err != nil || len(list) < 5 {
		t.Fatalf("%d templates: %v", len(list), err)
	}
	keys := []string{"signed-out-ended", "signed-out-confirm", "title-sign-in", "title-invitation", "title-own-account", "title-own-key", "title-elsewhere", "title-sorry"}
	for _, name := range list {
		text, err := templateFiles.ReadFile("templates/" + name.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.Tf? "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			keys = append(keys, m[1])
		}
	}
	for _, as := range peoples {
		keys = append(keys, "as-"+as, "lead-"+as, "login-"+as, "forgot-"+as, "login-wrong-"+as)
	}
	for _, unit := range []string{"seconds", "minutes", "hours", "days"} {
		keys = append(keys, unit, "one-"+unit)
	}
	for _, x := range []string{"right-look", "right-work", "right-manage", "role-reader", "role-teller", "role-operator", "session-by-password", "session-by-passkey", "code-too-many", "code-payments-off"} {
		keys = append(keys, x)
	}
	for _, file := range sources(t) { // what the code asks for, and what it says was done
		for _, m := range regexp.MustCompile(`v\.Tf?\("([a-z-]+)"[,)]`).FindAllStringSubmatch(file, -1) {
			keys = append(keys, m[1])
		}
		for _, m := range regexp.MustCompile(`p\.did\(ctx, v, r, "[a-z]+", "([a-z-]+)"`).FindAllStringSubmatch(file, -1) {
			keys = append(keys, "done-"+m[1])
		}
	}
	for _, code := range signin.Codes() {
		if !slices.Contains([]pay.Code{signin.LoginTaken, signin.PersonUnknown, signin.PersonExists}, code) { // these are told to who manages people
			keys = append(keys, "code-"+string(code))
		}
	}
	if len(keys) < 150 {
		t.Errorf("only %d words are asked for: is this test blind?", len(keys))
	}
	for _, key := range keys {
		if w, ok := ShellWord(key); !ok || w[0] == "" || w[1] == "" {
			t.Errorf("%q has no words", key)
		}
	}
	for key := range accountWords {
		if _, twice := words[key]; twice {
			t.Errorf("%q is written down twice", key)
		}
		if !slices.Contains(keys, key) {
			t.Errorf("nobody asks for %q", key)
		}
	}
}

// sources are the files of the package.
func sources(t *testing.T) (list []string) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			list = append(list, string(text))
		}
	}
	return list
}

// TestEveryFormIsRefusedFromElsewhere: no form of the shell does anything when another site has made it up, whoever has signed in.
func TestEveryFormIsRefusedFromElsewhere(t *testing.T) {
	h := newHouse(t)
	n := 0
	for _, file := range sources(t) {
		for _, m := range regexp.MustCompile(`"POST (/[^"]+)"`).FindAllStringSubmatch(file, -1) {
			n++
			path := strings.ReplaceAll(m[1], "{id}", "a1")
			h.asked = nil
			for _, head := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
				w := h.ask("POST", path, url.Values{"login": {"ops"}, "password": {"correct horse"}}, append(head, "Cookie", sessionCookie+"="+operator)...)
				if w.Code != http.StatusForbidden || len(h.asked) != 0 || len(w.Result().Cookies()) != 0 || !strings.Contains(w.Body.String(), "was not sent from one of our pages") {
					t.Errorf("%s with %v: %d, asked %v, cookies %v", path, head, w.Code, h.asked, w.Result().Cookies())
				}
			}
		}
	}
	if n < 14 {
		t.Errorf("only %d forms were found: is this test blind?", n)
	}
}

// TestCookies: they say Secure where the browser came by TLS, and have the domain of the sites where the host that was asked is below it.
func TestCookies(t *testing.T) {
	h := newHouse(t)
	cfg := h.pages.pages.Config
	cfg.Domain, cfg.ByTLS = "pay.example", func(r *http.Request) bool { return r.Header.Get("Tls") != "" }
	cfg.Places = func() []Place {
		return []Place{{Name: "hangzhou", URL: "https://hangzhou.pay.example", Self: true}, {Name: "shanghai", URL: "https://shanghai.pay.example"}}
	}
	pages, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pages.Close()
	ask := func(method, host, path string, tls bool) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader("login=ops&password=correct+horse&as=operator"))
		r.Host = host
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if tls {
			r.Header.Set("Tls", "1")
		}
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		return w
	}
	for _, row := range []struct {
		host   string
		tls    bool
		secure bool
		domain string
	}{
		{"hangzhou.pay.example", false, true, "pay.example"}, // the address of a site that has TLS: a proxy that is not trusted
		{"pay.example", true, true, "pay.example"},
		{"pay.example:8443", true, true, "pay.example"},
		{"notpay.example", true, true, ""},
		{"127.0.0.1:8080", false, false, ""},
		{"10.0.0.1:8080", false, false, ""},
	} {
		found := 0
		for _, c := range ask("POST", row.host, "/sign-in", row.tls).Result().Cookies() {
			if c.MaxAge < 0 { // one of the host alone, from before
				if c.Domain != "" || row.domain == "" {
					t.Errorf("%s: %+v", row.host, c)
				}
				continue
			}
			found++
			if c.Secure != row.secure || c.Domain != row.domain || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
				t.Errorf("%s, TLS %v: %+v", row.host, row.tls, c)
			}
		}
		if found != 3 {
			t.Errorf("%s: %d cookies", row.host, found)
		}
	}
	// Who comes in the clear to a site that has TLS is led there, before a password is typed.
	for _, row := range []struct {
		host string
		tls  bool
		want string
	}{
		{"10.0.0.1:8080", false, "https://hangzhou.pay.example/sign-in?as=operator"},
		{"pay.example", false, "https://hangzhou.pay.example/sign-in?as=operator"},
		{"pay.example", true, ""},
		{"hangzhou.pay.example", false, ""},
		{"127.0.0.1:8080", false, ""},
		{"localhost:8080", false, ""},
		{"[::1]:8080", false, ""},
	} {
		if got := ask("GET", row.host, "/sign-in?as=operator", row.tls).Header().Get("Location"); got != row.want {
			t.Errorf("%s, TLS %v: leads to %q, want %q", row.host, row.tls, got, row.want)
		}
	}
}

func TestDevices(t *testing.T) {
	for agent, want := range map[string]string{
		"": "",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                     "Chrome · Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0":           "Edge · Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":               "Safari · Mac",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50": "WeChat · iPhone",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36":               "Chrome · Android",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0":                                                              "Firefox · Linux",
		"curl/8.5":              "curl/8.5",
		strings.Repeat("号", 30): strings.Repeat("号", 20),
		"\xff\xfe":              "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		if got := device(r); got != want {
			t.Errorf("%q is called %q, want %q", agent, got, want)
		}
	}
}
