package console

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/text/language"

	"holdfast"
	"holdfast/client"
)

// view is what every page has beside its own content.
type view struct {
	w    http.ResponseWriter
	key  string // API key or session; "": nobody has signed in
	now  time.Time
	path string // with query

	Lang  string // BCP 47
	Theme string // auto, light, dark
	From  string // name of the site that the browser was at before, when that does not answer any more
	Body  any
	Title string
	// Sites are where a page that has lost its site can go on.
	Sites []Place
}

const (
	sessionCookie = "holdfast_session"
	deviceCookie  = "holdfast_device"
	langCookie    = "holdfast_lang"
	themeCookie   = "holdfast_theme"
)

var languages = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// view reads what the cookies and the address say. Anything that makes no sense is as if it was not there.
func (p *pages) view(r *http.Request) *view {
	v := &view{now: p.Now(), path: r.URL.RequestURI(), Lang: english, Theme: "auto"}
	if c, err := r.Cookie(sessionCookie); err == nil && keyLike(c.Value) {
		v.key = c.Value
	}
	_, i := language.MatchStrings(languages, cookie(r, langCookie), r.Header.Get("Accept-Language"))
	if i == 1 {
		v.Lang = chinese
	}
	if t := cookie(r, themeCookie); t == "light" || t == "dark" {
		v.Theme = t
	}
	if from := r.URL.Query().Get("from"); len(from) <= 64 {
		v.From = from
	}
	return v
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// keyLike reports whether a text may be an API key or a session; others are not sent on.
func keyLike(text string) bool {
	return len(text) >= 20 && len(text) <= 200 && strings.HasPrefix(text, "hf") &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// as gives a context whose calls of the API have the person's key.
func (v *view) as(ctx context.Context) context.Context {
	if v.key == "" {
		return ctx
	}
	return client.WithKey(ctx, v.key)
}

// Link is an address of ours with parameters, in pairs.
func (v *view) Link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// ours is an address to go on to, if it is one of ours: a path, and none that browsers take for another host.
func ours(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// What the templates ask of a view.

// T is a text in the language of the page.
func (v *view) T(key string) string { return say(v.Lang, key) }

// In reports whether somebody has signed in.
func (v *view) In() bool { return v.key != "" }

// Here is the address of the page, for forms that come back to it.
func (v *view) Here() string { return v.path }

// Path is the address without its parameters.
func (v *view) Path() string {
	path, _, _ := strings.Cut(v.path, "?")
	return path
}

// Others are the sites that the page can go on at, as JSON.
func (v *view) Others() (string, error) {
	b, err := json.Marshal(v.Sites)
	return string(b), err
}

// Self is the name of the site that serves the page; "": it is not known.
func (v *view) Self() string {
	for _, s := range v.Sites {
		if s.Self {
			return s.Name
		}
	}
	return ""
}

// Time is a moment as people read it, to the second, in UTC: what happens at several sites is told in one time.
func (v *view) Time(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// Stamp is a moment for machines.
func (v *view) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Static is the address of a file of ours, with the hash of its content.
func (v *view) Static(name string) string { return staticAddress(name) }

// Markup is a part of a page that is made by a template of its own.
func (v *view) Markup(name string, body any) (template.HTML, error) {
	b, err := render(name, v, body)
	return template.HTML(b), err //nolint:gosec // it comes from our own templates, which have escaped it
}

// Themes are how the pages can look.
func (v *view) Themes() []string { return []string{"auto", "light", "dark"} }

// Bytes is an amount of storage.
func (v *view) Bytes(n uint64) string {
	switch {
	case n == 0:
		return "–"
	case n >= 1<<40:
		return fmt.Sprintf("%.1f TiB", float64(n)/(1<<40))
	case n >= 1<<30:
		return fmt.Sprintf("%.0f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

// Percent is a share.
func (v *view) Percent(x float64) string { return fmt.Sprintf("%.1f %%", x*100) }

// Outcome is the key of the word for what became of a transaction.
func (v *view) Outcome(o holdfast.Outcome) string {
	switch o.Status {
	case holdfast.Done:
		return "money-done"
	case holdfast.Refused, holdfast.NotExecuted:
		return "money-refused"
	}
	return "money-unknown"
}

// Moved reports whether a line of a statement is about money: others are about the account itself.
func (v *view) Moved(l client.Line) bool { return l.Leg != holdfast.NoLeg }

// Other is the account at the other end of a movement.
func (v *view) Other(l client.Line, id string) string {
	switch {
	case l.Debit.String() != id:
		return l.Debit.String()
	case l.Credit.String() != id:
		return l.Credit.String()
	}
	return ""
}

// Signed is what a movement adds to the balance of an account.
func (v *view) Signed(l client.Line, id string) string {
	if l.Debit.String() == id {
		return v.Amount(-l.Amount, l.Debit.Asset)
	}
	return "+" + v.Amount(l.Amount, l.Credit.Asset)
}
