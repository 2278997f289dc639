package portal

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

//go:embed templates/*.html static
var files embed.FS

// Area is the pages of merchants.
func Area() page.Area {
	p := &portal{zones: map[holdfast.Owner]*time.Location{}, tallies: map[holdfast.Owner]*tally{}}
	return page.Area{
		Name: "portal", As: "merchant",
		Menu: []page.Item{
			{Path: "/portal", Word: "nav-today"},
			{Path: "/portal/till", Word: "nav-till"},
			{Path: "/portal/trades", Word: "nav-trades"},
			{Path: "/portal/settlements", Word: "nav-settlements"},
			{Path: "/portal/deliveries", Word: "nav-deliveries"},
			{Path: "/portal/apps", Word: "nav-apps"},
			{Path: "/portal/shops", Word: "nav-shops"},
			{Path: "/portal/people", Word: "nav-people"},
			{Path: "/portal/start", Word: "nav-start"},
		},
		Templates: below("templates"), Static: below("static"), Styles: []string{"portal.css"}, Scripts: []string{"portal.js"}, Words: words, Routes: p.routes,
	}
}

func below(dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // it is embedded
	}
	return sub
}

// portal serves the pages.
type portal struct {
	*page.Shell

	mu      sync.Mutex
	zones   map[holdfast.Owner]*time.Location // guarded by mu; a merchant's zone never changes. At most maxMerchants
	tallies map[holdfast.Owner]*tally         // guarded by mu; at most maxMerchants
}

// maxMerchants bounds what is remembered: when it is reached all is forgotten, and read again.
const maxMerchants = 1024

func (p *portal) routes(s *page.Shell) {
	p.Shell = s
	s.Page("GET /portal", p.showToday)
	s.Live("GET /portal/live", "today", time.Second, p.tellToday)
	p.tillRoutes(s)
	p.tradeRoutes(s)
	p.moneyRoutes(s)
	p.deliveryRoutes(s)
	p.webhookRoutes(s)
	p.appRoutes(s)
	p.keyRoutes(s)
	p.peopleRoutes(s)
	s.Page("GET /portal/start", p.showStart)
}

// Rights of a merchant's people, each with those before it.
const (
	look   = "look"
	work   = "work"
	manage = "manage"
)

var rights = []string{look, work, manage}

// may reports whether who looks has a right. It decides what is offered; what is allowed the API decides.
func may(v *page.View, right string) bool {
	return v.Who != nil && slices.Index(rights, v.Who.Right) >= slices.Index(rights, right)
}

// base is what every page of the portal has.
type base struct {
	Work, Manage bool   // may who looks
	Zone         string // of the merchant
	loc          *time.Location
}

// At is a moment in the merchant's time zone, to the second.
func (b base) At(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(b.loc).Format("2006-01-02 15:04:05")
}

// Clock is the time of day of a moment.
func (b base) Clock(t time.Time) string { return t.In(b.loc).Format("15:04:05") }

// Day is the day of a moment.
func (b base) Day(t time.Time) string { return t.In(b.loc).Format(time.DateOnly) }

// Masked is the number of a customer as others see it.
func (b base) Masked(o holdfast.Owner) string {
	text := o.String()
	if o == 0 || len(text) < 8 {
		return ""
	}
	return text[:4] + "********" + text[len(text)-4:]
}

// base reads the time zone of the merchant, once.
func (p *portal) base(ctx context.Context, v *page.View) (base, error) {
	o := v.Owner()
	p.mu.Lock()
	loc := p.zones[o]
	p.mu.Unlock()
	if loc == nil {
		m, err := p.API.Merchant(ctx, o)
		if err != nil {
			return base{}, err
		}
		if loc, err = time.LoadLocation(m.Zone); err != nil {
			loc = time.UTC
		}
		p.mu.Lock()
		if len(p.zones) >= maxMerchants {
			clear(p.zones)
		}
		p.zones[o] = loc
		p.mu.Unlock()
	}
	return base{Work: may(v, work), Manage: may(v, manage), Zone: loc.String(), loc: loc}, nil
}

// page is a page of the portal for those with a right.
func (p *portal) page(pattern, right string, do func(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer) {
	p.Page(pattern, func(ctx context.Context, v *page.View, r *http.Request) page.Answer {
		if !may(v, right) {
			return page.Answer{Status: http.StatusForbidden, Template: "portal-right", Body: right}
		}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				return page.FormFailed(err)
			}
		}
		b, err := p.base(ctx, v)
		if err != nil {
			return page.Failed(v, r, err)
		}
		return do(ctx, v, r, b)
	})
}

// numbered gives a call the number of its form.
func numbered(ctx context.Context, r *http.Request) context.Context {
	if n := r.PostFormValue("number"); n != "" && len(n) <= 64 && !slices.ContainsFunc([]byte(n), func(c byte) bool { return c <= ' ' || c > '~' }) {
		return client.WithNumber(ctx, n)
	}
	return ctx
}

// refusal is what the API says no with; nil: it has not said no, and nobody knows, or nothing was done.
func refusal(err error) *client.Error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok || errors.Is(err, client.ErrUnknown) || e.Status >= 500 || e.Status == http.StatusTooManyRequests {
		return nil
	}
	return e
}

// field is a value that a form carries along.
type field struct{ Name, Value string }

// again is the page of a form of which nobody knows what became of it, or which could not be carried out now: the same can be sent again.
type again struct {
	Unknown bool // it may have been done
	Action  string
	Fields  []field
	Back    string
}

// failed is the answer to a form that was not done: refused in words, or to be sent again.
func (p *portal) failed(v *page.View, r *http.Request, back string, err error) page.Answer {
	if refusal(err) != nil {
		return page.Failed(v, r, err)
	}
	body := again{Unknown: errors.Is(err, client.ErrUnknown), Action: r.URL.Path, Back: back, Fields: fieldsOf(r.PostForm)}
	status := http.StatusServiceUnavailable
	if body.Unknown {
		status = http.StatusAccepted
	}
	return page.Answer{Status: status, Template: "portal-again", Body: &body, Err: err}
}

func fieldsOf(form url.Values) (list []field) {
	for name, values := range form {
		for _, value := range values {
			list = append(list, field{name, value})
		}
	}
	slices.SortFunc(list, func(a, b field) int { return cmpText(a.Name, b.Name) })
	return list
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// confirm is a page that says what will happen, before it does. The same form is sent again with the field sure.
type confirm struct {
	base
	Title, Lead string
	Lines       []line
	Warn        string
	Action      string
	Fields      []field
	Button      string
	Back        string
}

type line struct{ Label, Value string }

// sure reports whether a form has been confirmed.
func sure(r *http.Request) bool { return r.PostFormValue("sure") == "yes" }

// ask makes the page that wants a form confirmed.
func ask(v *page.View, r *http.Request, c confirm) page.Answer {
	c.Action, c.Fields = r.URL.Path, fieldsOf(r.PostForm)
	if r.PostFormValue("number") == "" {
		c.Fields = append(c.Fields, field{"number", v.Fresh()})
	}
	return page.Answer{Template: "portal-confirm", Title: c.Title, Body: &c}
}

// done leads to a page that says what was done.
func done(v *page.View, path, what string) page.Answer {
	return page.Answer{Redirect: v.Link(path, "done", what)}
}
