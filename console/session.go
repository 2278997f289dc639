package console

import (
	"context"
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
}

// home leads to where the person belongs.
func (p *pages) home(_ context.Context, v *view, _ *http.Request) answer {
	if v.key == "" {
		return answer{redirect: "/sign-in"}
	}
	return answer{redirect: "/console"}
}

func (p *pages) showSignIn(_ context.Context, _ *view, r *http.Request) answer {
	q := r.URL.Query()
	return answer{template: "sign-in", body: signInForm{To: ours(q.Get("to")), Ended: q.Get("why") == "ended"}}
}

// signIn takes a key, if the API takes it.
func (p *pages) signIn(ctx context.Context, v *view, r *http.Request) answer {
	if err := r.ParseForm(); err != nil {
		return answer{status: http.StatusBadRequest, template: "sign-in", body: signInForm{To: "/", Problem: "form"}, err: err}
	}
	form := signInForm{To: ours(r.PostForm.Get("to"))}
	key := strings.TrimSpace(r.PostForm.Get("key"))
	if !keyLike(key) {
		form.Problem = "key-form"
		return answer{status: http.StatusUnprocessableEntity, template: "sign-in", body: form}
	}
	if _, err := p.API.Fleet(client.WithKey(ctx, key)); err != nil {
		form.Problem = "unavailable"
		status := http.StatusServiceUnavailable
		if e, ok := errors.AsType[*client.Error](err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
			form.Problem, status = "key-wrong", http.StatusUnprocessableEntity
		}
		return answer{status: status, template: "sign-in", body: form, err: err}
	}
	http.SetCookie(v.w, p.cookie(r, sessionCookie, key, 0))
	return answer{redirect: form.To}
}

func (p *pages) signOut(_ context.Context, v *view, r *http.Request) answer {
	http.SetCookie(v.w, p.cookie(r, sessionCookie, "", -1))
	return answer{redirect: "/sign-in"}
}

// setLook keeps the language and the theme that somebody has chosen.
func (p *pages) setLook(_ context.Context, v *view, r *http.Request) answer {
	const year = 365 * 24 * 3600
	if err := r.ParseForm(); err != nil {
		return answer{status: http.StatusBadRequest, template: "sorry", body: sorry{"form", ""}, err: err}
	}
	if l := r.PostForm.Get("lang"); l == english || l == chinese {
		http.SetCookie(v.w, p.cookie(r, langCookie, l, year))
	}
	if t := r.PostForm.Get("theme"); t == "auto" || t == "light" || t == "dark" {
		http.SetCookie(v.w, p.cookie(r, themeCookie, t, year))
	}
	return answer{redirect: ours(r.PostForm.Get("to"))}
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
