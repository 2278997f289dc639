package httpapi

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"holdfast"
	"holdfast/guard"
	"holdfast/page"
	"holdfast/page/pagetest"
	"holdfast/pay"
	"holdfast/signin"
	"holdfast/signin/signintest"
)

// porch are the pages of signing in and of one's own account over the API itself, and people who use them.
type porch struct {
	*market
	t     *testing.T
	url   string
	pages *page.Server
	staff signin.Person

	mu    sync.Mutex
	later time.Duration // guarded by mu; how far the clock was set forward
}

func newPorch(t *testing.T) *porch {
	m := newMarket()
	h := &porch{market: m, t: t}
	clock := m.commerce.Now
	m.commerce.Now = func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return clock().Add(h.later)
	}
	var api http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.pages.Serves(r.URL.Path) {
			h.pages.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	m.commerce.Porter = must(signin.New(signin.Config{
		Books: m.books, Payments: m.commerce.Cashier, Platform: must(ownerOf(0)), Key: m.commerce.Cashier.DerivedKey("signing in"), Hashing: signin.Hashing{Memory: 8, Passes: 1, Threads: 1},
		Passkeys: signin.Passkeys{RP: "localhost", Name: "Holdfast", Origins: []string{h.url}}, Strangers: pay.NewTries(maphash.MakeSeed(), signin.PersonTries, signin.PersonEvery),
	}))
	api = m.api()
	c := newClient(t, server.URL, "")
	area := func(name, as string) page.Area {
		return page.Area{
			Name: name, As: as, Templates: fstest.MapFS{"a.html": {Data: []byte(`{{define "hall"}}<div class="sheet narrow"><h1>{{.T "hall"}}</h1><p>{{.Is}}</p></div>{{end}}`)}},
			Menu: []page.Item{{Path: "/" + name, Word: "hall"}}, Words: page.Words{"hall": {"大厅 " + name, "Hall of " + name}, "title-hall": {"大厅", "Hall"}},
			Routes: func(s *page.Shell) {
				s.Page("GET /"+name, func(_ context.Context, v *page.View, _ *http.Request) page.Answer {
					return page.Answer{Template: "hall", Body: v.Kind()}
				})
				s.Page("GET /"+name+"/room", func(_ context.Context, v *page.View, _ *http.Request) page.Answer {
					return page.Answer{Template: "hall", Body: "room"}
				})
			},
		}
	}
	var err error
	h.pages, err = page.New(page.Config{
		API: c, Direct: api, Now: m.commerce.Now, Areas: []page.Area{area("wallet", "customer"), area("portal", "merchant"), area("console", "operator")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.pages.Close)
	h.session0()
	return h
}

// session0 gives everybody a password.
func (h *porch) session0() {
	h.newSession(h.alice)
	h.staff = h.market.staff(h.merchant, signin.Look)
	h.session(h.staff)
	h.session(must(h.commerce.Porter.AddOperator(context.Background(), "li-na", guard.Reader, h.commerce.now())))
}

// wait sets the clock forward.
func (h *porch) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later += d
}

// guestOf is somebody with a browser.
type guestOf struct {
	*porch
	http *http.Client
	lang string
}

func (h *porch) guest(lang string) *guestOf {
	return &guestOf{h, &http.Client{Jar: must(cookiejar.New(nil)), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, lang}
}

type told struct {
	status int
	to     string // where it leads
	body   string
	set    []string // cookies
}

func (g *guestOf) do(method, path string, form url.Values) told {
	g.t.Helper()
	r := must(http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(form.Encode())))
	r.Header.Set("Accept-Language", g.lang)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp := must(g.http.Do(r))
	defer resp.Body.Close()
	return told{resp.StatusCode, resp.Header.Get("Location"), string(must(io.ReadAll(resp.Body))), resp.Header["Set-Cookie"]}
}

func (g *guestOf) get(path string) told { g.t.Helper(); return g.do(http.MethodGet, path, nil) }

func (g *guestOf) post(path string, pairs ...string) told {
	g.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return g.do(http.MethodPost, path, form)
}

// token is the session of the browser.
func (g *guestOf) token() string {
	for _, c := range g.http.Jar.Cookies(must(url.Parse(g.url))) {
		if c.Name == "holdfast_session" {
			return c.Value
		}
	}
	return ""
}

// wants checks what came of a form.
func (g *guestOf) wants(s told, status int, to string, says ...string) {
	g.t.Helper()
	if s.status != status || s.to != to {
		g.t.Errorf("%d to %q, want %d to %q: %s", s.status, s.to, status, to, s.body)
	}
	pagetest.Says(g.t, s.body, says...)
}

// alive reports whether a session lets somebody in.
func (h *porch) alive(token string) bool {
	c := newClient(h.t, strings.Replace(h.url, "localhost", "127.0.0.1", 1), token)
	_, err := c.WhoAmI(h.t.Context())
	return err == nil
}

func TestEverybodySignsInOnPages(t *testing.T) {
	h := newPorch(t)
	login := "look." + h.merchant.String()
	rows := []struct{ as, login, home string }{
		{"customer", "alice@example.com", "/wallet"},
		{"merchant", login + "@tea.example", "/portal"},
		{"operator", "li-na", "/console"},
	}
	for _, row := range rows {
		g := h.guest("en")
		g.wants(g.get("/sign-in?as="+row.as), 200, "", `value="`+row.as+`"`, `aria-current="true"`)
		in := g.post("/sign-in", "as", row.as, "login", row.login, "password", goodPassword, "to", row.home+"/room", "number", holdfast.ID{15: 1}.String())
		g.wants(in, 303, row.home+"/room")
		set := strings.Join(in.set, "\n")
		for _, want := range []string{`(?m)^holdfast_session=hfs_[^;]+; Path=/; HttpOnly; SameSite=Lax$`, `(?m)^holdfast_device=[^;]+; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax$`} {
			if !regexp.MustCompile(want).MatchString(set) {
				t.Errorf("%s: cookies %s", row.as, set)
			}
		}
		g.wants(g.get("/"), 303, row.home)
		g.wants(g.get(row.home+"/room"), 200, "", `href="/account"`)
		first := g.token()

		// Who signs in again, has another session, and the one before is over.
		g.wants(g.post("/sign-in", "as", row.as, "login", row.login, "password", goodPassword, "to", "/"), 303, "/")
		if second := g.token(); second == first || !h.alive(second) || h.alive(first) {
			t.Errorf("%s: signed in again: the same: %v, old one alive: %v", row.as, second == first, h.alive(first))
		}
		last := g.token()
		out := g.post("/sign-out")
		g.wants(out, 303, "/sign-in")
		if g.token() != "" || h.alive(last) {
			t.Errorf("%s: signed out: %v, alive: %v", row.as, out.set, h.alive(last))
		}
		// It knows as what one has signed in before, and the device.
		g.wants(g.get("/sign-in"), 200, "", `name="as" value="`+row.as+`"`)

		for _, other := range rows {
			if other.as != row.as { // brought to one's own pages, and not to those of others
				g.wants(g.post("/sign-in", "as", row.as, "login", row.login, "password", goodPassword, "to", other.home+"/room"), 303, "/")
			}
		}
	}
}

// TestASessionIsNeverTheBrowsersChoice: a token that somebody has put into a browser is not the one that signing in gives.
func TestASessionIsNeverTheBrowsersChoice(t *testing.T) {
	h := newPorch(t)
	mallory := h.newSession(h.bob)
	g := h.guest("en")
	g.http.Jar.SetCookies(must(url.Parse(g.url)), []*http.Cookie{{Name: "holdfast_session", Value: mallory, Path: "/"}})
	g.wants(g.post("/sign-in", "as", "customer", "login", "alice@example.com", "password", goodPassword, "to", "/"), 303, "/")
	if g.token() == mallory || h.alive(mallory) {
		t.Error("the token that was there before is good for something")
	}
}

func TestWhoStaysSignedIn(t *testing.T) {
	h := newPorch(t)
	for _, row := range []struct {
		as, login, phone string
		stays            bool
	}{
		{"customer", "alice@example.com", "1", true},
		{"customer", "alice@example.com", "", false},
		{"operator", "li-na", "1", false},
	} {
		g := h.guest("en")
		in := g.post("/sign-in", "as", row.as, "login", row.login, "password", goodPassword, "phone", row.phone)
		stays := regexp.MustCompile(`(?m)^holdfast_session=[^;]+; Path=/; Max-Age=25\d{5};`).MatchString(strings.Join(in.set, "\n"))
		if in.status != 303 || stays != row.stays {
			t.Errorf("%+v: %d %v", row, in.status, in.set)
		}
	}
}

func TestWrongSignInsSayWhatToDo(t *testing.T) {
	h := newPorch(t)
	g := h.guest("en")
	g.wants(g.post("/sign-in", "as", "customer", "login", "alice@example.com", "password", "x"), 422, "", "do not fit together", `value="alice@example.com"`, `!value="x"`)
	g.wants(g.post("/sign-in", "as", "customer", "login", "nobody at all", "password", "x"), 422, "", "do not fit together")
	g.wants(g.post("/sign-in", "as", "merchant", "login", "", "password", "x"), 422, "", "Give both your name and your password")
	g.wants(g.post("/sign-in", "as", "king", "login", "x", "password", "x"), 422, "", `name="as" value="customer"`)
	zh := h.guest("zh-CN")
	zh.wants(zh.post("/sign-in", "as", "operator", "login", "li-na", "password", "x"), 422, "", "名称或密码不正确")
	for range signin.PersonTries {
		g.post("/sign-in", "as", "operator", "login", "li-na", "password", "x")
	}
	g.wants(g.post("/sign-in", "as", "operator", "login", "li-na", "password", goodPassword), 429, "", "too many wrong tries: try again in 15 minutes")
	zh.wants(zh.post("/sign-in", "as", "operator", "login", "li-na", "password", goodPassword), 429, "", "请等 15 分钟后再试")
	if g.token() != "" {
		t.Error("a session")
	}
	g.wants(g.post("/sign-in", "key", "hf_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), 422, "", "does not take this key", `id="key"`)
	g.wants(g.post("/sign-in", "key", operatorKey, "to", "/console"), 303, "/console")
	g.wants(g.get("/account"), 200, "", "You have signed in with an API key")
}

func (g *guestOf) signIn(as, login string) {
	g.t.Helper()
	g.wants(g.post("/sign-in", "as", as, "login", login, "password", goodPassword), 303, "/")
}

func TestPasswordsAreChangedOnPages(t *testing.T) {
	h := newPorch(t)
	en, zh, other := h.guest("en"), h.guest("zh-CN"), h.guest("en")
	for _, g := range []*guestOf{en, zh, other} {
		g.signIn("customer", "alice@example.com")
	}
	for _, row := range []struct {
		current, password, again string
		en, zh                   string
	}{
		{"x", "nine mountains of rice", "nine mountains of rice", "The password so far is not right", "当前密码不正确"},
		{"", "nine mountains of rice", "nine mountains of rice", "Give the password you have had so far", "请填写当前密码"},
		{goodPassword, "nine mountains", "nine mountain", "are not the same", "两次输入的新密码不一样"},
		{goodPassword, "", "", "Give a new password", "请填写新密码"},
		{goodPassword, "short", "short", "take at least 8 characters", "至少要 8 个字符"},
		{goodPassword, "password1", "password1", "tried first", "太常见"},
		{goodPassword, "alice@example.com", "alice@example.com", "your own phone number", "几乎只有您的手机号"},
		{goodPassword, goodPassword, goodPassword, "This is the password you have", "和现在的一样"},
		{goodPassword, strings.Repeat("long ", 30), strings.Repeat("long ", 30), "at most 128", "最多 128"},
	} {
		for says, g := range map[string]*guestOf{row.en: en, row.zh: zh} {
			s := g.post("/account/password", "current", row.current, "password", row.password, "again", row.again)
			if s.status != 422 && s.status != 409 || !strings.Contains(s.body, says) || strings.Contains(s.body, row.password+`"`) && row.password != "" {
				t.Errorf("%q: %d, want %q in %s", row.password, s.status, says, s.body)
			}
		}
	}
	last := other.token()
	en.wants(en.post("/account/password", "current", goodPassword, "password", "nine mountains of rice", "again", "nine mountains of rice"), 303, "/account?done=own-password")
	en.wants(en.get("/account?done=own-password"), 200, "", "all other devices are signed out", "Chosen just now")
	if h.alive(last) {
		t.Error("another device is signed in still")
	}
	zh.wants(zh.get("/account"), 303, "/sign-in?to=%2Faccount&why=ended")
	zh.wants(zh.get("/sign-in?to=%2Faccount&why=ended"), 200, "", "登录已失效")
	for range signin.PersonTries {
		en.post("/account/password", "current", "x", "password", goodPassword, "again", goodPassword)
	}
	en.wants(en.post("/account/password", "current", "nine mountains of rice", "password", goodPassword, "again", goodPassword), 429, "", "too many wrong tries: try again in 15 minutes")
}

func TestPasskeysOnPages(t *testing.T) {
	h := newPorch(t)
	g := h.guest("en")
	g.signIn("merchant", "look."+h.merchant.String()+"@tea.example")
	key := &signintest.Authenticator{Origin: h.url}
	ceremony := func(path string) (c struct {
		Options json.RawMessage
		State   string
		Problem string
	},
	) {
		t.Helper()
		if err := json.Unmarshal([]byte(g.post(path).body), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := ceremony("/account/passkeys/challenge")
	g.wants(g.post("/account/passkeys", "state", c.State, "credential", string(must(key.Create(c.Options))), "name", strings.Repeat("测试", 20)), 303, "/account?done=own-passkey")
	s := g.get("/account?done=own-passkey")
	g.wants(s, 200, "", "The passkey is added", strings.Repeat("测试", 10), "On one device only", "Do without a password")
	id := regexp.MustCompile(`/account/passkeys/([a-z0-9]+)/name`).FindStringSubmatch(s.body)[1]
	g.wants(g.post("/account/passkeys/"+id+"/name", "name", "<phone>"), 303, "/account?done=own-passkey-named")
	g.wants(g.get("/account"), 200, "", "&lt;phone&gt;")
	g.wants(g.post("/account/passkeys"), 422, "", "Passkeys need JavaScript")
	g.wants(g.post("/account/passkeys", "state", c.State, "credential", "{}"), 422, "", "was not recognised")

	// It lets its person in, each challenge once.
	g.post("/sign-out")
	c = ceremony("/sign-in/passkey/challenge")
	answer := string(must(key.Get(c.Options)))
	g.wants(g.post("/sign-in/passkey", "state", c.State, "credential", answer, "to", "/portal/room"), 303, "/portal/room")
	g.wants(g.post("/sign-in/passkey", "state", c.State, "credential", answer), 422, "", "Begin again")
	g.wants(g.post("/sign-in/passkey"), 422, "", "Passkeys need JavaScript")

	// Without the password there is one way left, and it stays.
	g.wants(g.get("/account"), 200, "", "the password so far is not needed")
	g.wants(g.post("/account/password/remove"), 303, "/account?done=own-password-removed")
	g.wants(g.get("/account"), 200, "", "You have no password", "your only way to sign in")
	g.wants(g.post("/account/passkeys/"+id+"/remove"), 422, "", "This is your only way to sign in")
	g.wants(g.post("/account/password", "password", "nine mountains of rice", "again", "nine mountains of rice"), 303, "/account?done=own-password")

	// Later one has to show that it is oneself.
	h.wait(16 * time.Minute)
	g.wants(g.get("/account"), 200, "", "/sign-in?as=merchant&amp;to=%2Faccount&amp;why=confirm", `!data-passkey="create"`)
	g.wants(g.post("/account/passkeys/"+id+"/remove"), 422, "", "too long ago", "Sign in again")
	if c := ceremony("/account/passkeys/challenge"); !strings.Contains(c.Problem, "Sign in again first") {
		t.Errorf("%+v", c)
	}
	g.wants(g.get("/sign-in?as=merchant&to=%2Faccount&why=confirm"), 200, "", "to show that it is you")
	c = ceremony("/sign-in/passkey/challenge")
	g.wants(g.post("/sign-in/passkey", "state", c.State, "credential", string(must(key.Get(c.Options))), "to", "/account"), 303, "/account")
	g.wants(g.post("/account/passkeys/"+id+"/remove"), 303, "/account?done=own-passkey-removed")
	g.wants(g.get("/account"), 200, "", "You have none yet")
}

func TestSessionsOnPages(t *testing.T) {
	h := newPorch(t)
	here, there := h.guest("en"), h.guest("en")
	here.signIn("customer", "alice@example.com")
	there.signIn("customer", "alice@example.com")
	h.wait(3 * time.Minute)
	s := here.get("/account")
	here.wants(s, 200, "", "Safari · iPhone", "This one", "3 minutes ago", "by password")
	ends := regexp.MustCompile(`/account/sessions/([a-z0-9]+)/end"`).FindAllStringSubmatch(s.body, -1)
	if len(ends) != 2 { // and the one from which the password was chosen
		t.Fatalf("%d sessions can be ended: %s", len(ends), s.body)
	}
	here.wants(here.post("/account/sessions/"+ends[0][1]+"/end"), 303, "/account?done=own-session-ended")
	if h.alive(there.token()) || !h.alive(here.token()) {
		t.Error("not the one that was meant")
	}
	here.wants(here.post("/account/sessions/"+ends[0][1]+"/end"), 303, "/account?done=own-session-ended")
	there.signIn("customer", "alice@example.com")
	here.wants(here.post("/account/sessions/end-others"), 303, "/account?done=own-others-ended")
	here.wants(here.get("/account"), 200, "", "!/end\"")
	if h.alive(there.token()) {
		t.Error("the others are not ended")
	}
	who := must(newClient(t, strings.Replace(h.url, "localhost", "127.0.0.1", 1), here.token()).WhoAmI(t.Context()))
	here.wants(here.post("/account/sessions/"+who.Session.ID+"/end"), 303, "/sign-in")
	if here.token() != "" {
		t.Error("signed out, and the cookie stays")
	}
	here.wants(here.get("/account/password"), 303, "/account")
	here.wants(here.post("/account/sessions/end-others"), 303, "/sign-in?to=%2Faccount")
}

func TestInvitationsOnPages(t *testing.T) {
	h := newPorch(t)
	ctx := context.Background()
	invite := func() string {
		token, _, err := h.commerce.Porter.InviteCustomer(ctx, h.alice, h.seed(), h.commerce.now())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := invite()
	g := h.guest("en")
	g.wants(g.get("/invitation"), 200, "", "data-invitation", "!action=\"/invitation?")
	g.wants(g.post("/invitation", "invitation", "nonsense"), 422, "", "This is no invitation")
	g.wants(g.post("/invitation", "invitation", token[:len(token)-1]+"!"), 422, "", "was used, is too old")
	s := g.post("/invitation", "invitation", " https://pay.example/invitation#"+token+"\n")
	g.wants(s, 200, "", h.alice.String(), "24 hours", "At least 8 characters", `value="`+token+`"`, "Stay signed in on this phone")
	accept := func(pairs ...string) told {
		return g.post("/invitation", append([]string{"step", "accept", "invitation", token}, pairs...)...)
	}
	g.wants(accept("password", "a b", "again", "a b"), 422, "", "take at least 8 characters", h.alice.String())
	g.wants(accept("password", "nine mountains", "again", "nine"), 422, "", "are not the same")
	g.wants(accept("password", "nine mountains of rice", "again", "nine mountains of rice", "login", "bob@example.com"), 422, "", "for somebody else than this name")
	in := accept("password", "nine mountains of rice", "again", "nine mountains of rice", "login", "alice@example.com", "phone", "1")
	g.wants(in, 303, "/")
	g.wants(g.get("/"), 303, "/wallet")
	if !strings.Contains(strings.Join(in.set, "\n"), "Max-Age=25") {
		t.Errorf("their own phone: %v", in.set)
	}
	g.wants(accept("password", "nine mountains of rice", "again", "nine mountains of rice"), 422, "", "was used, is too old")
	zh := h.guest("zh-CN")
	zh.wants(zh.post("/invitation", "invitation", token), 422, "", "已经用过")
	token = invite()
	h.wait(25 * time.Hour)
	zh.wants(zh.post("/invitation", "invitation", token), 422, "", "已过期")
}

// TestAccountsInABrowser: somebody comes with an invitation, chooses a password, adds a passkey of a virtual authenticator, and signs in with it; in both languages,
// on a phone and at a desk, light and dark.
func TestAccountsInABrowser(t *testing.T) {
	chrome := pagetest.Browser(t)
	h := newPorch(t)
	for _, look := range []struct {
		pagetest.Look
		name, sound, add, passkey, done, here string
	}{
		{pagetest.Look{Lang: "zh-CN", Width: 390}, "zh-390", "invitation account-passkey sign-in", "通行密钥已添加", "用通行密钥登录", "密码已修改", "当前设备"},
		{pagetest.Look{Lang: "en", Width: 1440, Dark: true}, "en-1440", "account-refused account-later sign-in-wrong", "The passkey is added", "Sign in with a passkey", "The password is changed", "This one"},
	} {
		look.Own = true
		tab := chrome.Tab(t, look.Look)
		sound := func(name string) pagetest.Action { // axe takes its time: each page once, and all of them when pictures are wanted
			if !slices.Contains(strings.Fields(look.sound), name) && os.Getenv("HOLDFAST_SHOTS") == "" {
				return pagetest.Shown("h1", "")
			}
			return tab.Sound(name + "-" + look.name)
		}
		key := authenticator(t, tab)
		token, _, err := h.commerce.Porter.InviteCustomer(context.Background(), h.alice, h.seed(), h.commerce.now())
		if err != nil {
			t.Fatal(err)
		}
		tab.Do(pagetest.Go(h.url+"/invitation"), pagetest.Shown("h1", ""), sound("invitation-empty"),
			pagetest.Go("about:blank"), pagetest.Go(h.url+"/invitation#"+token), pagetest.Shown("dl", h.alice.String()), sound("invitation"))
		if at := tab.At(); at != h.url+"/invitation" {
			t.Errorf("the invitation is in the address: %s", at)
		}
		const chosen = "nine mountains of rice"
		tab.Do(pagetest.Type("#new-password", chosen), pagetest.Type("#again", chosen+"\r"), pagetest.Shown("h1", "wallet"),
			pagetest.Click(`a[href="/account"]`), pagetest.Shown("#passkeys-part", ""), sound("account"))

		tab.Do(pagetest.Click(`form[data-passkey="create"] button`), pagetest.Shown(".well", look.add), sound("account-passkey"))
		if n := credentials(t, tab, key); n != 1 {
			t.Errorf("%s: the authenticator has %d passkeys", look.name, n)
		}
		tab.Do(pagetest.Click(`form[action="/sign-out"] button`), pagetest.Shown(`form[data-passkey="get"]:not([hidden])`, look.passkey), sound("sign-in"),
			pagetest.Click(`form[data-passkey="get"] button`), pagetest.Shown("h1", "wallet"))

		tab.Do(pagetest.Go(h.url+"/account"), pagetest.Click("summary"), pagetest.Type("#new-password", "seven rivers"), pagetest.Type("#again", "seven\r"),
			pagetest.Shown("#own-error", ""), sound("account-refused"), pagetest.Type("#new-password", goodPassword), pagetest.Type("#again", goodPassword+"\r"),
			pagetest.Shown(".well", look.done), pagetest.Shown(".things .badge.here", look.here))
		h.wait(16 * time.Minute)
		tab.Do(pagetest.Go(h.url+"/account"), pagetest.Shown("h1", ""), sound("account-later"), pagetest.Go(h.url+"/sign-in?as=operator"),
			pagetest.Shown("summary", ""), sound("sign-in-operator"), pagetest.Type("#login", "li-na"), pagetest.Type("#password", "x\r"),
			pagetest.Shown("#login-error", ""), sound("sign-in-wrong"))
	}
}

// authenticator gives a tab one that says yes to everything.
func authenticator(t *testing.T, tab *pagetest.Tab) webauthn.AuthenticatorID {
	t.Helper()
	if _, err := chromedp.Call(tab.Ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return must(chromedp.Call(tab.Ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		AutomaticPresenceSimulation: true,
	}})).AuthenticatorID
}

func credentials(t *testing.T, tab *pagetest.Tab, id webauthn.AuthenticatorID) int {
	t.Helper()
	return len(must(chromedp.Call(tab.Ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: id})).Credentials)
}
