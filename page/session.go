package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/client"
)

// Kinds of people, as the API calls them.
const (
	asCustomer = "customer"
	asMerchant = "merchant"
	asOperator = "operator"
)

var peoples = []string{asCustomer, asMerchant, asOperator}

// signInForm is what the page of signing in shows.
type signInForm struct {
	As      string // as what somebody signs in
	To      string // where to go on
	Why     string // key of words: why the page is shown at all; "": because it was asked for
	At      string // what did not work: "login", "key", "passkey"; "": nothing
	Problem string // why, in the language of the page
	Login   string // as it was typed
	Phone   bool   // stay signed in
}

// Kinds are the kinds of people, for the choice.
func (signInForm) Kinds() []string { return peoples }

// Described are the ids of what describes the field of the login.
func (f signInForm) Described() string {
	var ids []string
	if f.At == "login" {
		ids = append(ids, "login-error")
	}
	if f.As == asCustomer {
		ids = append(ids, "login-hint")
	}
	return strings.Join(ids, " ")
}

// doorRoutes registers how people come in and go.
func (p *pages) doorRoutes() {
	door := &area{Area: Area{Styles: []string{"account.css"}, Scripts: []string{"account.js"}}, templates: p.shell.templates}
	p.mux.HandleFunc("GET /{$}", p.open(p.shell, p.home))
	p.mux.HandleFunc("GET /sign-in", p.open(door, p.showSignIn))
	p.mux.HandleFunc("POST /sign-in", p.open(door, p.signIn))
	p.mux.HandleFunc("POST /sign-in/passkey", p.open(door, p.signInByPasskey))
	p.mux.HandleFunc("POST /sign-in/passkey/challenge", p.open(door, p.beginPasskeySignIn))
	p.mux.HandleFunc("GET /sign-in/{rest...}", p.open(door, back("/sign-in"))) // a form that was reloaded
	p.mux.HandleFunc("GET /sign-out", p.open(door, back("/")))
	p.mux.HandleFunc("POST /sign-out", p.open(door, p.signOut))
	p.mux.HandleFunc("GET /invitation", p.open(door, p.showInvitation))
	p.mux.HandleFunc("POST /invitation", p.open(door, p.useInvitation))
}

// back leads from where there is only a form to go to, to its page.
func back(to string) Handler {
	return func(context.Context, *View, *http.Request) Answer { return Answer{Redirect: to} }
}

// home leads to where the person belongs.
func (p *pages) home(ctx context.Context, v *View, r *http.Request) Answer {
	if v.key == "" {
		return Answer{Redirect: "/sign-in"}
	}
	if bad, ok := p.know(ctx, v, r); !ok {
		return bad
	}
	if a := p.areaOf(v.Kind()); a != nil {
		return Answer{Redirect: a.Home()}
	}
	return Answer{Redirect: "/account"}
}

// areaAt is the area that an address is in; nil: none.
func (p *pages) areaAt(to string) *area {
	first, _, _ := strings.Cut(strings.TrimPrefix(to, "/"), "/")
	first, _, _ = strings.Cut(first, "?")
	if i := slices.IndexFunc(p.areas, func(a *area) bool { return a.Name == first }); i >= 0 {
		return p.areas[i]
	}
	return nil
}

// reasons are why somebody is asked to sign in.
var reasons = []string{"ended", "confirm"}

func (p *pages) showSignIn(_ context.Context, _ *View, r *http.Request) Answer {
	if to := p.overTLS(r); to != "" {
		return Answer{Redirect: to}
	}
	q := r.URL.Query()
	form := signInForm{As: q.Get("as"), To: ours(q.Get("to")), Phone: q.Get("phone") != ""}
	if why := q.Get("why"); slices.Contains(reasons, why) {
		form.Why = "signed-out-" + why
	}
	if !slices.Contains(peoples, form.As) {
		form.As = p.likely(r, form.To)
	}
	return Answer{Template: "sign-in", Body: form}
}

// likely is as what somebody signs in who has not said so: as those do whom the page is for that they want, or as at the last time.
func (p *pages) likely(r *http.Request, to string) string {
	if a := p.areaAt(to); a != nil {
		return a.As
	}
	if last := cookie(r, asCookie); slices.Contains(peoples, last) {
		return last
	}
	return asCustomer
}

// overTLS is the same address with TLS, for who came without although the site has it: a password has no business in the clear. Who asks on the machine
// itself goes on as they came.
func (p *pages) overTLS(r *http.Request) string {
	if p.secure(r) || onThisMachine(hostOf(r)) {
		return ""
	}
	for _, x := range p.Places() {
		if x.Self && strings.HasPrefix(x.URL, "https://") {
			return x.URL + r.URL.RequestURI()
		}
	}
	return ""
}

func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return strings.Trim(r.Host, "[]")
}

func onThisMachine(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// signIn opens a session, or takes an API key, if the API takes it.
func (p *pages) signIn(ctx context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "sign-in", Body: signInForm{As: asCustomer, To: "/", At: "login", Problem: v.T("problem-form")}, Err: err}
	}
	form := signInForm{
		As: r.PostForm.Get("as"), To: ours(r.PostForm.Get("to")), Login: strings.TrimSpace(r.PostForm.Get("login")), Phone: r.PostForm.Get("phone") != "",
	}
	if !slices.Contains(peoples, form.As) {
		form.As = p.likely(r, form.To)
	}
	if key := strings.TrimSpace(r.PostForm.Get("key")); key != "" {
		return p.signInByKey(ctx, v, r, form, key)
	}
	password := r.PostForm.Get("password")
	if form.Login == "" || len(form.Login) > 200 || password == "" {
		return form.wrong(v, "login", v.T("problem-login-form"), nil)
	}
	creds := client.Credentials{As: form.As, Login: form.Login, Password: password, How: p.how(r, form.Phone && form.As == asCustomer)}
	in, err := p.enter(ctx, r, "/v1/sessions", creds, func() (client.SignedIn, error) { return p.API.SignIn(ctx, creds) })
	if err != nil {
		return form.wrong(v, "login", signInProblem(v, form.As, err), err)
	}
	return p.entered(ctx, v, r, &in, form.To)
}

// how says from which device somebody comes in.
func (p *pages) how(r *http.Request, phone bool) client.How {
	how := client.How{Phone: phone, Label: device(r), Device: cookie(r, deviceCookie)}
	if len(how.Device) > 128 { // it is not one of ours
		how.Device = ""
	}
	return how
}

// wrong is the form again, with what was wrong.
func (f signInForm) wrong(v *View, at, problem string, err error) Answer {
	f.At, f.Problem = at, problem
	return Answer{Status: statusOf(err), Template: "sign-in", Body: f, Err: err}
}

// statusOf is the status of a page that shows a form again: 422, or what the API has said where that says more.
func statusOf(err error) int {
	if err == nil {
		return http.StatusUnprocessableEntity
	}
	e, ok := asAPI(err)
	switch {
	case !ok || e.Status >= http.StatusInternalServerError:
		return http.StatusServiceUnavailable
	case e.Status == http.StatusTooManyRequests:
		return e.Status
	}
	return http.StatusUnprocessableEntity
}

// signInProblem says why nobody came in.
func signInProblem(v *View, as string, err error) string {
	if e, ok := asAPI(err); ok && (e.Code == "login-wrong" || e.Code == "malformed") {
		return v.T("login-wrong-" + as)
	}
	return problem(v, err)
}

// problem says in the language of the page why the API has refused something, and how long to wait where it says that.
func problem(v *View, err error) string {
	e, ok := asAPI(err)
	switch {
	case !ok || e.Status >= http.StatusInternalServerError:
		return v.T("problem-unavailable")
	case e.Code == "too-many-tries":
		return v.Tf("problem-tries", v.Span(max(e.RetryAfter, time.Second)))
	case e.Status == http.StatusTooManyRequests:
		return v.T("problem-busy")
	}
	return Refused(v, err)
}

// enter asks the site itself, from the browser's address. When the site can do nothing just now, and has done nothing, the others are asked as for any page.
func (p *pages) enter(ctx context.Context, r *http.Request, path string, body any, elsewhere func() (client.SignedIn, error)) (in client.SignedIn, err error) {
	err = p.Directly(ctx, r, path, body, &in)
	if e, ok := asAPI(err); ok && e.Status >= http.StatusInternalServerError {
		return elsewhere()
	}
	return in, err
}

// entered gives the browser what it needs for the session, and goes on. A session that it had before ends: nobody could find it any more.
func (p *pages) entered(ctx context.Context, v *View, r *http.Request, in *client.SignedIn, to string) Answer {
	var err error
	if v.Session() && v.key != in.Token {
		err = p.API.SignOut(ctx)
		p.known.forget(v.key)
	}
	age := 0 // until the browser is closed
	if in.As == asCustomer && in.Session.Until.Sub(v.Now) > 25*time.Hour {
		age = int(in.Session.Until.Sub(v.Now).Seconds()) // their own phone: it stays
	}
	p.setCookie(v.w, r, sessionCookie, in.Token, age)
	p.setCookie(v.w, r, deviceCookie, in.Device, year)
	p.setCookie(v.w, r, asCookie, in.As, year)
	if a := p.areaAt(to); a != nil && a.As != in.As {
		to = "/" // it is for others
	}
	return Answer{Redirect: to, Err: err}
}

// signInByKey is for those who run a fleet in which nobody has a password yet.
func (p *pages) signInByKey(ctx context.Context, v *View, r *http.Request, form signInForm, key string) Answer {
	form.As = asOperator
	if !keyLike(key) {
		return form.wrong(v, "key", v.T("problem-key-form"), nil)
	}
	if _, err := p.API.Fleet(client.WithKey(ctx, key)); err != nil {
		says := problem(v, err)
		if e, ok := asAPI(err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
			says = v.T("problem-key-wrong")
		}
		return form.wrong(v, "key", says, err)
	}
	p.setCookie(v.w, r, sessionCookie, key, 0)
	p.setCookie(v.w, r, asCookie, asOperator, year)
	return Answer{Redirect: form.To}
}

// ceremony is what the script needs to use or make a passkey, or why it cannot.
type ceremony struct {
	Options json.RawMessage `json:"options,omitempty"`
	State   string          `json:"state,omitempty"`
	Problem string          `json:"problem,omitempty"` // in the language of the page
}

func sendCeremony(v *View, c client.Ceremony, err error) Answer {
	if err != nil {
		return Answer{Status: statusOf(err), JSON: ceremony{Problem: problem(v, err)}, Err: err}
	}
	return Answer{JSON: ceremony{Options: c.Options, State: c.State}}
}

func (p *pages) beginPasskeySignIn(ctx context.Context, v *View, _ *http.Request) Answer {
	c, err := p.API.BeginPasskeySignIn(ctx)
	return sendCeremony(v, c, err)
}

// signInByPasskey takes the form that the script has filled in.
func (p *pages) signInByPasskey(ctx context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "sign-in", Body: signInForm{As: asCustomer, To: "/", At: "passkey", Problem: v.T("problem-form")}, Err: err}
	}
	form := signInForm{As: r.PostForm.Get("as"), To: ours(r.PostForm.Get("to")), Phone: r.PostForm.Get("phone") != ""}
	if !slices.Contains(peoples, form.As) {
		form.As = p.likely(r, form.To)
	}
	state, credential, how := r.PostForm.Get("state"), r.PostForm.Get("credential"), p.how(r, form.Phone)
	if state == "" || credential == "" {
		return form.wrong(v, "passkey", v.T("passkey-no-script"), nil)
	}
	body := struct {
		State      string `json:"state"`
		Credential string `json:"credential"`
		client.How
	}{state, credential, how}
	in, err := p.enter(ctx, r, "/v1/sessions/passkey", body, func() (client.SignedIn, error) {
		return p.API.SignInByPasskey(ctx, state, json.RawMessage(credential), how)
	})
	if err != nil {
		return form.wrong(v, "passkey", problem(v, err), err)
	}
	return p.entered(ctx, v, r, &in, form.To)
}

// Directly posts to the site's own API as the browser would: from its address. A form that carries a number is sent with it, so that sent twice it is done once. An error of
// the API is a [*client.Error].
func (p *pages) Directly(ctx context.Context, r *http.Request, path string, body, into any) error {
	return p.directlyAs(ctx, r, "", path, body, into)
}

// directlyAs does the same with the key of a person; "": nobody's.
func (p *pages) directlyAs(ctx context.Context, r *http.Request, key, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.RemoteAddr, q.Header = r.RemoteAddr, http.Header{"Content-Type": {"application/json"}}
	if key != "" {
		q.Header.Set("Authorization", "Bearer "+key)
	}
	if n := r.PostForm.Get("number"); keyOfForm(n) {
		q.Header.Set("Idempotency-Key", n)
	}
	w := kept{header: http.Header{}, status: http.StatusOK}
	p.Direct.ServeHTTP(&w, q)
	if w.status >= http.StatusBadRequest {
		e := client.Error{Status: w.status}
		_ = json.Unmarshal(w.body.Bytes(), &e) // without it the status says enough
		e.Status = w.status
		if seconds, err := strconv.Atoi(w.header.Get("Retry-After")); err == nil {
			e.RetryAfter = time.Duration(seconds) * time.Second
		}
		return &e
	}
	return json.Unmarshal(w.body.Bytes(), into)
}

// keyOfForm reports whether a text may be the number of a form ([View.Fresh]).
func keyOfForm(n string) bool { return len(n) == 36 && strings.Trim(n, "0123456789abcdef-") == "" }

// kept is an answer that stays here.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *kept) Header() http.Header         { return w.header }
func (w *kept) WriteHeader(status int)      { w.status = status }
func (w *kept) Write(b []byte) (int, error) { return w.body.Write(b) }

// signOut ends the session; the cookie goes whether that is reached or not.
func (p *pages) signOut(ctx context.Context, v *View, r *http.Request) Answer {
	var err error
	if v.Session() {
		err = p.API.SignOut(ctx)
	}
	p.known.forget(v.key)
	p.setCookie(v.w, r, sessionCookie, "", -1)
	return Answer{Redirect: "/sign-in", Err: err}
}

const year = 365 * 24 * 3600

// setLook keeps the language and the theme that somebody has chosen.
func (p *pages) setLook(_ context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "sorry", Body: sorry{"form", ""}, Err: err}
	}
	if l := r.PostForm.Get("lang"); l == English || l == Chinese {
		p.setCookie(v.w, r, langCookie, l, year)
	}
	if t := r.PostForm.Get("theme"); t == "auto" || t == "light" || t == "dark" {
		p.setCookie(v.w, r, themeCookie, t, year)
	}
	return Answer{Redirect: ours(r.PostForm.Get("to"))}
}

// setCookie sets one that all sites get: on one host they do whatever their port is, on several by the domain. A cookie of the host alone, from before there was
// a domain, goes: browsers would send it first.
func (p *pages) setCookie(w http.ResponseWriter, r *http.Request, name, value string, age int) {
	c := http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.secure(r)}
	if domain := p.domain(r); domain != "" {
		old := c
		old.Value, old.MaxAge = "", -1
		http.SetCookie(w, &old)
		c.Domain = domain
	}
	http.SetCookie(w, &c)
}

// domain is that of cookies, where the host that was asked is below it; "": browsers would drop them.
func (p *pages) domain(r *http.Request) string {
	if host := hostOf(r); p.Domain != "" && (host == p.Domain || strings.HasSuffix(host, "."+p.Domain)) {
		return p.Domain
	}
	return ""
}

// secure reports whether the browser came by TLS: as the connection or a trusted proxy says, or because it has asked for the https address of a site.
func (p *pages) secure(r *http.Request) bool {
	return p.ByTLS(r) || slices.ContainsFunc(p.Places(), func(x Place) bool { return x.URL == "https://"+r.Host })
}

// device is what the list of sessions calls the browser.
func device(r *http.Request) string {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	browser, system := first(agent, browsers), first(agent, systems)
	switch {
	case browser != "" && system != "":
		return browser + " · " + system
	case browser != "" || system != "":
		return cmp.Or(browser, system)
	}
	const most = 60
	for len(agent) > most { // whole characters
		agent = strings.ToValidUTF8(agent[:most], "")
	}
	return agent
}

// What browsers and systems say of themselves, and what people call them. The first that is found counts: most browsers also say that they are others.
var (
	browsers = [][2]string{
		{"MicroMessenger/", "WeChat"},
		{"AlipayClient/", "Alipay"},
		{"HuaweiBrowser/", "Huawei Browser"},
		{"MiuiBrowser/", "Mi Browser"},
		{"QQBrowser/", "QQ Browser"},
		{"UCBrowser/", "UC"},
		{"EdgA/", "Edge"},
		{"EdgiOS/", "Edge"},
		{"Edg/", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"FxiOS/", "Firefox"},
		{"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = [][2]string{
		{"HarmonyOS", "HarmonyOS"},
		{"OpenHarmony", "HarmonyOS"},
		{"Android", "Android"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Mac OS X", "Mac"},
		{"Linux", "Linux"},
	}
)

func first(text string, names [][2]string) string {
	for _, n := range names {
		if strings.Contains(text, n[0]) {
			return n[1]
		}
	}
	return ""
}
