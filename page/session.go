package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"holdfast/client"
)

// signInForm is what the page of signing in shows.
type signInForm struct {
	To      string // where to go on
	Problem string // key of words; "": none
	Ended   bool   // a session has ended
	Login   string // as it was typed
	ByKey   bool
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
	return Answer{Redirect: "/sign-in"}
}

func (p *pages) showSignIn(_ context.Context, _ *View, r *http.Request) Answer {
	q := r.URL.Query()
	return Answer{Template: "sign-in", Body: signInForm{To: ours(q.Get("to")), Ended: q.Get("why") == "ended"}}
}

// signIn opens a session, or takes an API key, if the API takes it.
func (p *pages) signIn(ctx context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "sign-in", Body: signInForm{To: "/", Problem: "form"}, Err: err}
	}
	form := signInForm{To: ours(r.PostForm.Get("to")), Login: strings.TrimSpace(r.PostForm.Get("login"))}
	if key := strings.TrimSpace(r.PostForm.Get("key")); key != "" {
		form.ByKey = true
		return p.signInByKey(ctx, v, r, form, key)
	}
	if form.Login == "" || len(form.Login) > 200 || r.PostForm.Get("password") == "" {
		form.Problem = "login-form"
		return Answer{Status: http.StatusUnprocessableEntity, Template: "sign-in", Body: form}
	}
	var in client.SignedIn
	err := p.Directly(ctx, r, "/v1/sessions", client.Credentials{
		As: "operator", Login: form.Login, Password: r.PostForm.Get("password"),
		How: client.How{Label: device(r), Device: cookie(r, deviceCookie)},
	}, &in)
	if err != nil {
		return notIn(form, err)
	}
	http.SetCookie(v.w, p.cookie(r, sessionCookie, in.Token, 0))
	http.SetCookie(v.w, p.cookie(r, deviceCookie, in.Device, year))
	return Answer{Redirect: form.To}
}

// signInByKey is for those who run a fleet in which nobody has a password yet.
func (p *pages) signInByKey(ctx context.Context, v *View, r *http.Request, form signInForm, key string) Answer {
	if !keyLike(key) {
		form.Problem = "key-form"
		return Answer{Status: http.StatusUnprocessableEntity, Template: "sign-in", Body: form}
	}
	if _, err := p.API.Fleet(client.WithKey(ctx, key)); err != nil {
		return notIn(form, err)
	}
	http.SetCookie(v.w, p.cookie(r, sessionCookie, key, 0))
	return Answer{Redirect: form.To}
}

// notIn is the form again, with what was wrong.
func notIn(form signInForm, err error) Answer {
	e, ok := errors.AsType[*client.Error](err)
	form.Problem = "unavailable"
	status := http.StatusServiceUnavailable
	switch {
	case !ok:
	case e.Status == http.StatusTooManyRequests:
		form.Problem, status = "tries", e.Status
	case e.Status < http.StatusInternalServerError && form.ByKey:
		form.Problem, status = "key-wrong", http.StatusUnprocessableEntity
	case e.Status < http.StatusInternalServerError:
		form.Problem, status = "login-wrong", http.StatusUnprocessableEntity
	}
	return Answer{Status: status, Template: "sign-in", Body: form, Err: err}
}

// Directly posts to the site's own API as the browser would: from its address. An error of the API is a [*client.Error].
func (p *pages) Directly(ctx context.Context, r *http.Request, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.RemoteAddr, q.Header = r.RemoteAddr, http.Header{"Content-Type": {"application/json"}}
	w := kept{header: http.Header{}, status: http.StatusOK}
	p.Direct.ServeHTTP(&w, q)
	if w.status >= http.StatusBadRequest {
		e := client.Error{Status: w.status}
		_ = json.Unmarshal(w.body.Bytes(), &e) // without it the status says enough
		return &e
	}
	return json.Unmarshal(w.body.Bytes(), into)
}

// kept is an answer that stays here.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *kept) Header() http.Header         { return w.header }
func (w *kept) WriteHeader(status int)      { w.status = status }
func (w *kept) Write(b []byte) (int, error) { return w.body.Write(b) }

// device is what the list of sessions calls the browser: its words, cut.
func device(r *http.Request) string {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	return agent[:min(len(agent), 60)]
}

func (p *pages) signOut(ctx context.Context, v *View, r *http.Request) Answer {
	var err error
	if v.session() {
		err = p.API.SignOut(ctx) // the cookie goes whether it is reached or not
	}
	p.known.forget(v.key)
	http.SetCookie(v.w, p.cookie(r, sessionCookie, "", -1))
	return Answer{Redirect: "/sign-in", Err: err}
}

const year = 365 * 24 * 3600

// setLook keeps the language and the theme that somebody has chosen.
func (p *pages) setLook(_ context.Context, v *View, r *http.Request) Answer {
	if err := r.ParseForm(); err != nil {
		return Answer{Status: http.StatusBadRequest, Template: "sorry", Body: sorry{"form", ""}, Err: err}
	}
	if l := r.PostForm.Get("lang"); l == English || l == Chinese {
		http.SetCookie(v.w, p.cookie(r, langCookie, l, year))
	}
	if t := r.PostForm.Get("theme"); t == "auto" || t == "light" || t == "dark" {
		http.SetCookie(v.w, p.cookie(r, themeCookie, t, year))
	}
	return Answer{Redirect: ours(r.PostForm.Get("to"))}
}

// cookie makes one that all sites get: on one host they do whatever their port is, on several by the domain.
func (p *pages) cookie(r *http.Request, name, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", Domain: p.Domain, MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.secure(r),
	}
}

// secure reports whether the browser came by TLS: to this process, or to a proxy before it, which the list of places tells.
func (p *pages) secure(r *http.Request) bool {
	return r.TLS != nil || slices.ContainsFunc(p.Places(), func(x Place) bool { return x.URL == "https://"+r.Host })
}
