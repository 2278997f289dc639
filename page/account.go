package page

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/client"
)

// accountPage is what people see of their own account.
type accountPage struct {
	Fresh    bool // they have proved who they are a moment ago, and may change how they sign in
	Sessions []client.Session
	Device   string // what a passkey that is made here could be called
	At       string // the part where something was refused: "password", "passkeys", "sessions"; "": nothing was
	Problem  string // why, in the language of the page
	Confirm  bool   // because they have to sign in again first
}

// Others reports whether there are other sessions than this one.
func (a accountPage) Others() bool {
	return slices.ContainsFunc(a.Sessions, func(s client.Session) bool { return !s.Current })
}

// confirmedFor is how long somebody may change how they sign in after they have. The API decides; this is for what is shown, and a little less.
const confirmedFor = 14*time.Minute + 30*time.Second

// accountRoutes registers the pages of one's own account, which are for everybody who has a session.
func (p *pages) accountRoutes() {
	page := func(pattern string, do Handler) { p.mux.HandleFunc(pattern, p.own(do)) }
	page("GET /account", p.showAccount)
	page("POST /account/password", p.changePassword)
	page("POST /account/password/remove", p.removePassword)
	page("POST /account/passkeys", p.addPasskey)
	page("POST /account/passkeys/challenge", p.beginPasskey)
	page("POST /account/passkeys/{id}/name", p.namePasskey)
	page("POST /account/passkeys/{id}/remove", p.removePasskey)
	page("POST /account/sessions/end-others", p.endOthers)
	page("POST /account/sessions/{id}/end", p.endSession)
	p.mux.HandleFunc("GET /account/{rest...}", p.open(p.shell, back("/account"))) // a form that was reloaded
}

// own is a page for whoever has a session, in the frame of their own area. Who they are is asked anew each time: it is what the page is about.
func (p *pages) own(do Handler) http.HandlerFunc {
	return p.open(p.shell, func(ctx context.Context, v *View, r *http.Request) Answer {
		if v.key == "" {
			return Answer{Redirect: v.Link("/sign-in", "to", "/account")}
		}
		v.area = p.frame(asOperator)
		if !v.Session() {
			return Answer{Template: "own-key"}
		}
		who, err := p.API.WhoAmI(ctx)
		if e, ok := asAPI(err); ok && e.Status == http.StatusUnauthorized {
			return Answer{Redirect: v.Link("/sign-in", "to", "/account", "why", "ended"), Err: err}
		}
		if err != nil {
			return Failed(v, r, err)
		}
		v.Who, v.area = &who, p.frame(who.As)
		if err := r.ParseForm(); err != nil {
			return FormFailed(err)
		}
		return do(ctx, v, r)
	})
}

// frame is the area of a kind of people as far as it is around pages of the shell: name, navigation, and the words for it.
func (p *pages) frame(as string) *area {
	x := &area{Area: Area{As: as, Styles: []string{"account.css"}, Scripts: []string{"account.js"}}, templates: p.shell.templates}
	if a := p.areaOf(as); a != nil {
		x.Name, x.Menu, x.Words = a.Name, a.Menu, a.Words
	}
	return x
}

func (p *pages) showAccount(ctx context.Context, v *View, r *http.Request) Answer {
	return p.account(ctx, v, r, "", nil, "")
}

// account is the page; part is where err, which the API has refused something with, is told, as says if that says more.
func (p *pages) account(ctx context.Context, v *View, r *http.Request, part string, refused error, says string) Answer {
	list, err := p.API.Sessions(ctx)
	if err != nil {
		return Failed(v, r, err)
	}
	slices.Reverse(list) // the latest first
	slices.SortStableFunc(list, func(a, b client.Session) int {
		switch {
		case a.Current == b.Current:
			return 0
		case a.Current:
			return -1
		}
		return 1
	})
	body := accountPage{
		Sessions: list, Device: device(r), At: part, Problem: says, Fresh: v.Now.Sub(v.Who.Session.Created) < confirmedFor,
	}
	answer := Answer{Template: "own-account", Body: &body, Err: refused}
	if part == "" {
		return answer
	}
	answer.Status = statusOf(refused)
	if e, ok := asAPI(refused); ok && e.Code == "confirm-first" {
		body.Confirm, body.Fresh = true, false
	}
	if says == "" {
		body.Problem = problem(v, refused)
	}
	return answer
}

// did is the page after something was done, or with why it was not.
func (p *pages) did(ctx context.Context, v *View, r *http.Request, part, done string, err error) Answer {
	if err != nil {
		return p.account(ctx, v, r, part, err, "")
	}
	p.known.forget(v.key)
	return Answer{Redirect: v.Link("/account", "done", done)}
}

func (p *pages) changePassword(ctx context.Context, v *View, r *http.Request) Answer {
	current, password := r.PostForm.Get("current"), r.PostForm.Get("password")
	says := chosen(v, password, r.PostForm.Get("again"))
	if current == "" && p.needsCurrent(v) {
		says = v.T("password-current-missing")
	}
	if says != "" {
		return p.account(ctx, v, r, "password", nil, says)
	}
	err := p.setPassword(ctx, v, r, current, password)
	if err == nil {
		return p.did(ctx, v, r, "password", "own-password", nil)
	}
	says = passwordProblem(v, v.Who.PasswordShortest, err)
	if e, ok := asAPI(err); ok && e.Code == "login-wrong" {
		says = v.T("password-current-wrong")
	}
	return p.account(ctx, v, r, "password", err, says)
}

// needsCurrent reports whether the password so far has to be given: whoever has a passkey in hand need not.
func (p *pages) needsCurrent(v *View) bool {
	return !v.Who.PasswordSince.IsZero() && (v.Who.Session.By != "passkey" || v.Now.Sub(v.Who.Session.Created) >= confirmedFor)
}

// NeedsCurrent is for the template.
func (a accountPage) NeedsCurrent(v *View) bool { return v.Who.Session.By != "passkey" || !a.Fresh }

// setPassword asks the site itself: when there were too many tries, none of the others has another answer, and asking them takes time.
func (p *pages) setPassword(ctx context.Context, v *View, r *http.Request, current, password string) error {
	body := map[string]string{"current": current, "password": password}
	err := p.directlyAs(ctx, r, v.key, "/v1/session/password", body, &struct{}{})
	if e, ok := asAPI(err); ok && e.Status >= http.StatusInternalServerError {
		_, err = p.API.ChangePassword(ctx, current, password)
	}
	return err
}

func (p *pages) removePassword(ctx context.Context, v *View, r *http.Request) Answer {
	_, err := p.API.RemovePassword(ctx)
	return p.did(ctx, v, r, "password", "own-password-removed", err)
}

func (p *pages) beginPasskey(ctx context.Context, v *View, _ *http.Request) Answer {
	c, err := p.API.BeginPasskey(ctx)
	return sendCeremony(v, c, err)
}

// maxPasskeyName is the longest name of a passkey, in bytes.
const maxPasskeyName = 64

// nameIn is the name of a passkey in a form, cut to what is taken, at a whole character.
func nameIn(r *http.Request) string {
	name := strings.TrimSpace(strings.ToValidUTF8(r.PostForm.Get("name"), ""))
	for len(name) > maxPasskeyName {
		name = strings.ToValidUTF8(name[:maxPasskeyName], "")
	}
	return name
}

func (p *pages) addPasskey(ctx context.Context, v *View, r *http.Request) Answer {
	state, credential := r.PostForm.Get("state"), r.PostForm.Get("credential")
	if state == "" || credential == "" {
		return p.account(ctx, v, r, "passkeys", nil, v.T("passkey-no-script"))
	}
	_, err := p.API.AddPasskey(ctx, state, json.RawMessage(credential), nameIn(r))
	return p.did(ctx, v, r, "passkeys", "own-passkey", err)
}

func (p *pages) namePasskey(ctx context.Context, v *View, r *http.Request) Answer {
	_, err := p.API.NamePasskey(ctx, r.PathValue("id"), nameIn(r))
	return p.did(ctx, v, r, "passkeys", "own-passkey-named", err)
}

func (p *pages) removePasskey(ctx context.Context, v *View, r *http.Request) Answer {
	_, err := p.API.RemovePasskey(ctx, r.PathValue("id"))
	return p.did(ctx, v, r, "passkeys", "own-passkey-removed", err)
}

func (p *pages) endOthers(ctx context.Context, v *View, r *http.Request) Answer {
	_, err := p.API.EndOtherSessions(ctx)
	return p.did(ctx, v, r, "sessions", "own-others-ended", err)
}

// endSession ends a session; one's own is signing out.
func (p *pages) endSession(ctx context.Context, v *View, r *http.Request) Answer {
	if r.PathValue("id") == v.Who.Session.ID {
		return p.signOut(ctx, v, r)
	}
	_, err := p.API.EndSession(ctx, r.PathValue("id"))
	return p.did(ctx, v, r, "sessions", "own-session-ended", err)
}

// What the templates of these pages ask of a view.

// LastWay reports whether a person has one way to sign in only.
func (v *View) LastWay() bool {
	ways := len(v.Who.Passkeys)
	if !v.Who.PasswordSince.IsZero() {
		ways++
	}
	return ways <= 1
}

// Span is a length of time in words, rounded up: what is waited for is over then.
func (v *View) Span(d time.Duration) string {
	unit, n := "seconds", (d+time.Second-1)/time.Second
	switch {
	case d > 48*time.Hour:
		unit, n = "days", (d+24*time.Hour-1)/(24*time.Hour)
	case d > time.Hour:
		unit, n = "hours", (d+time.Hour-1)/time.Hour
	case d > time.Minute:
		unit, n = "minutes", (d+time.Minute-1)/time.Minute
	}
	if n == 1 {
		return v.T("one-" + unit)
	}
	return v.Tf(unit, int(n))
}

// Ago is how long ago something was, in words.
func (v *View) Ago(t time.Time) string {
	d := v.Now.Sub(t)
	unit, n := "days", d/(24*time.Hour)
	switch {
	case t.IsZero():
		return "–"
	case d < time.Minute:
		return v.T("just-now")
	case d < time.Hour:
		unit, n = "minutes", d/time.Minute
	case d < 48*time.Hour:
		unit, n = "hours", d/time.Hour
	case n > 60:
		return t.UTC().Format(time.DateOnly)
	}
	if n == 1 {
		return v.Tf("ago", v.T("one-"+unit))
	}
	return v.Tf("ago", v.Tf(unit, int(n)))
}

// Left is how long it is until a moment, in words.
func (v *View) Left(t time.Time) string { return v.Span(max(t.Sub(v.Now), time.Second)) }
