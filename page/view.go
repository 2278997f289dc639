package page

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

// View is what every page has beside its own content.
type View struct {
	w      http.ResponseWriter
	area   *area
	static *static
	fresh  func() holdfast.ID
	key    string // API key or session; "": nobody has signed in
	path   string // with query

	Lang  string      // BCP 47: [English] or [Chinese]
	Theme string      // auto, light, dark
	From  string      // name of the site that the browser was at before, when that does not answer any more
	Now   time.Time   // when the page was asked for
	Who   *client.Who // who has signed in; nil: with an API key, or nobody
	Title string
	Sites []Place // where a page that has lost its site can go on
}

const (
	sessionCookie = "holdfast_session"
	deviceCookie  = "holdfast_device"
	langCookie    = "holdfast_lang"
	themeCookie   = "holdfast_theme"
	asCookie      = "holdfast_as" // as what somebody has signed in from here at last
)

var languages = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// view reads what the cookies and the address say. Anything that makes no sense is as if it was not there.
func (p *pages) view(r *http.Request, a *area) *View {
	v := &View{
		area: a, static: &p.static, fresh: p.API.NewID, Now: p.Now(), path: r.URL.RequestURI(), Lang: English, Theme: "auto",
	}
	if c, err := r.Cookie(sessionCookie); err == nil && keyLike(c.Value) {
		v.key = c.Value
	}
	_, i := language.MatchStrings(languages, cookie(r, langCookie), r.Header.Get("Accept-Language"))
	if i == 1 {
		v.Lang = Chinese
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

// withKey gives a context whose calls of the API have the person's key.
func (v *View) withKey(ctx context.Context) context.Context {
	if v.key == "" {
		return ctx
	}
	return client.WithKey(ctx, v.key)
}

// Session reports whether somebody has signed in as a person, and not with an API key.
func (v *View) Session() bool { return strings.HasPrefix(v.key, sessionPrefix) }

const sessionPrefix = "hfs_"

// Kind is as what somebody has signed in: "customer", "merchant" or "operator". API keys are those of operators.
func (v *View) Kind() string {
	if v.Who != nil {
		return v.Who.As
	}
	return "operator"
}

// Owner is the customer or merchant who has signed in; 0: neither.
func (v *View) Owner() holdfast.Owner {
	switch {
	case v.Who == nil:
		return 0
	case v.Who.Customer != 0:
		return v.Who.Customer
	}
	return v.Who.Merchant
}

// Fresh is a new number for a form: sent twice, the form is done once.
func (v *View) Fresh() string { return v.fresh().String() }

// Link is an address of ours with parameters, in pairs.
func (v *View) Link(path string, pairs ...string) string {
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

// T is a text in the language of the page. A key that nobody has written down is shown itself; tests see to it that no template has one.
func (v *View) T(key string) string {
	if said, ok := v.said(key); ok {
		return said.In(v.Lang)
	}
	return key
}

// Tf is a text into which values are put, by [fmt.Sprintf].
func (v *View) Tf(key string, values ...any) string { return fmt.Sprintf(v.T(key), values...) }

func (v *View) said(key string) (Said, bool) {
	if s, ok := v.area.Words[key]; ok {
		return s, true
	}
	return ShellWord(key)
}

func (v *View) has(key string) bool {
	_, ok := v.said(key)
	return ok
}

// Done is what has just been done, as the page says it to which a form has led; "": nothing.
func (v *View) Done() string {
	u, err := url.ParseRequestURI(v.path)
	if err != nil {
		return ""
	}
	if key := "done-" + u.Query().Get("done"); v.has(key) {
		return v.T(key)
	}
	return ""
}

// Menu is the navigation of the area.
func (v *View) Menu() []Item { return v.area.Menu }

// Styles and Scripts are those of the area.
func (v *View) Styles() []string  { return v.area.Styles }
func (v *View) Scripts() []string { return v.area.Scripts }

// Home is where the area begins.
func (v *View) Home() string {
	if v.area.Name == "" {
		return "/"
	}
	return v.area.Home()
}

// Current reports whether an entry of the navigation is the page, or above it.
func (v *View) Current(i Item) bool {
	if i.Path == v.Home() {
		return v.Path() == i.Path
	}
	return v.Path() == i.Path || strings.HasPrefix(v.Path(), i.Path+"/")
}

// In reports whether somebody has signed in.
func (v *View) In() bool { return v.key != "" }

// Here is the address of the page, for forms that come back to it.
func (v *View) Here() string { return v.path }

// Path is the address without its parameters.
func (v *View) Path() string {
	path, _, _ := strings.Cut(v.path, "?")
	return path
}

// Others are the sites that the page can go on at, as JSON.
func (v *View) Others() (string, error) {
	if v.Sites == nil {
		return "[]", nil // for a script null is no list
	}
	b, err := json.Marshal(v.Sites)
	return string(b), err
}

// Self is the name of the site that serves the page; "": it is not known.
func (v *View) Self() string {
	for _, s := range v.Sites {
		if s.Self {
			return s.Name
		}
	}
	return ""
}

// Time is a moment as people read it, to the second, in UTC: what happens at several sites is told in one time.
func (v *View) Time(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// Stamp is a moment for machines.
func (v *View) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Static is the address of a file of ours, with the hash of its content.
func (v *View) Static(name string) string { return v.static.address(name) }

// Markup is a part of a page that is made by a template of its own.
func (v *View) Markup(name string, body any) (template.HTML, error) {
	b, err := render(name, v, body)
	return template.HTML(b), err //nolint:gosec // it comes from our own templates, which have escaped it
}

// Themes are how the pages can look.
func (v *View) Themes() []string { return []string{"auto", "light", "dark"} }

// Bytes is an amount of storage.
func (v *View) Bytes(n uint64) string {
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
func (v *View) Percent(x float64) string { return fmt.Sprintf("%.1f %%", x*100) }

// Minor writes minor units as people do, by the exponent of the currency.
func (v *View) Minor(n holdfast.Amount, asset holdfast.Asset) string {
	return holdfast.FormatMinor(n, asset)
}

// Amount is an amount with its currency.
func (v *View) Amount(n holdfast.Amount, asset holdfast.Asset) string {
	return holdfast.FormatMinor(n, asset) + " " + asset.String()
}

// Moment is a time of the ledger.
func (v *View) Moment(t holdfast.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Std()
}
