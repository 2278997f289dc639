package page

import (
	"context"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Area is the pages of one kind of people.
type Area struct {
	Name      string       // the first element of its addresses: "wallet" serves /wallet and /wallet/...
	As        string       // whose sessions it is for: "customer", "merchant" or "operator"; others are told where they belong
	Menu      []Item       // the navigation
	Templates fs.FS        // *.html at its root; they may use those of the shell
	Static    fs.FS        // files at its root, with names that no other area has; nil: none
	Styles    []string     // of Static, for each of its pages
	Scripts   []string     // of Static, for each of its pages
	Words     Words        // looked up before those of the shell
	Routes    func(*Shell) // registers its pages
}

// Item is an entry of the navigation: where it leads, and the key of its word.
type Item struct{ Path, Word string }

// Home is where an area begins.
func (a *Area) Home() string { return "/" + a.Name }

// Shell is what an area builds on.
type Shell struct {
	*pages
	area *area
}

// area is an Area that is served.
type area struct {
	Area
	templates *template.Template
	streams   atomic.Int64 // how many of its pages are live
}

// part is what a template is given: the view, and the content of its own.
type part struct {
	*View
	Is any
}

// Handler makes one page. The context has the person's key, and a deadline.
type Handler func(ctx context.Context, v *View, r *http.Request) Answer

// Answer is what a page came to: one of Template, Redirect, JSON and File.
type Answer struct {
	Status   int    // 0: 200
	Template string // rendered within the layout, with the [View] and, as Is, the Body
	Body     any
	Title    string // "": the word "title-" + Template
	Redirect string // 303
	JSON     any
	File     *File
	Err      error // for the log
}

// File is an answer that is no page.
type File struct {
	Type    string // media type
	Name    string // "": it is shown; else the browser stores it under this name
	Content []byte
}

// Page registers a page for those of the area: somebody who has not signed in is asked to, and brought back.
func (s *Shell) Page(pattern string, do Handler) {
	s.handle(pattern, s.page(s.area, do))
}

// Upload registers a page that takes a form with files, of so many bytes in all at most. Other forms are of a few kilobytes.
func (s *Shell) Upload(pattern string, most int64, do Handler) {
	s.uploads[pattern] = most
	s.Page(pattern, do)
}

// Open registers a page that everybody may see.
func (s *Shell) Open(pattern string, do Handler) {
	s.handle(pattern, s.open(s.area, do))
}

func (s *Shell) handle(pattern string, h http.HandlerFunc) { s.mux.HandleFunc(pattern, h) }

// build parses the templates of an area over those of the shell, and registers its routes.
func (p *pages) build(a Area) error {
	set, err := template.Must(shellTemplates.Clone()).ParseFS(a.Templates, "*.html")
	if err != nil {
		return fmt.Errorf("page: the templates of %s: %w", a.Name, err)
	}
	if a.Static != nil {
		if err := p.static.add(a.Static); err != nil {
			return fmt.Errorf("page: the files of %s: %w", a.Name, err)
		}
	}
	x := &area{Area: a, templates: set}
	p.areas = append(p.areas, x)
	a.Routes(&Shell{p, x})
	p.mux.HandleFunc("GET "+a.Home()+"/{rest...}", p.page(x, func(context.Context, *View, *http.Request) Answer { return NotFound("") }))
	return nil
}

// areaOf is the area of a kind of people; nil: there is none.
func (p *pages) areaOf(as string) *area {
	for _, a := range p.areas {
		if a.As == as {
			return a
		}
	}
	return nil
}

// page is one for people who have signed in, as those whom the area is for.
func (p *pages) page(a *area, do Handler) http.HandlerFunc {
	return p.open(a, func(ctx context.Context, v *View, r *http.Request) Answer {
		if v.key == "" {
			return Answer{Redirect: v.Link("/sign-in", "to", r.URL.RequestURI(), "as", a.As)}
		}
		if bad, ok := p.know(ctx, v, r); !ok {
			return bad
		}
		if kind := v.Kind(); kind != a.As {
			return Answer{Status: http.StatusForbidden, Template: "elsewhere", Body: p.areaOf(kind)}
		}
		return do(ctx, v, r)
	})
}

// know finds who looks.
func (p *pages) know(ctx context.Context, v *View, r *http.Request) (bad Answer, ok bool) {
	if !v.Session() {
		return Answer{}, true // a key says what it may do when it is used
	}
	who, err := p.known.who(ctx, p.API, v.key, v.Now)
	if err != nil {
		return Failed(v, r, err), false
	}
	v.Who = who
	return Answer{}, true
}

// Failed is the page of an error of the API.
func Failed(v *View, r *http.Request, err error) Answer {
	e, ok := asAPI(err)
	if !ok {
		return unavailable(r, err)
	}
	switch e.Status {
	case http.StatusUnauthorized:
		as := ""
		if v.area != nil {
			as = v.area.As
		}
		to := r.URL.RequestURI()
		if r.Method != http.MethodGet {
			to = v.Path()
		}
		return Answer{Redirect: v.Link("/sign-in", "to", to, "why", "ended", "as", as), Err: err}
	case http.StatusForbidden:
		return Answer{Status: http.StatusForbidden, Template: "sorry", Body: sorry{"forbidden", e.Detail}, Err: err}
	case http.StatusNotFound:
		return Answer{Status: http.StatusNotFound, Template: "sorry", Body: sorry{"not-found", e.Detail}, Err: err}
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusConflict:
		return Answer{Status: e.Status, Template: "sorry", Body: sorry{"refused", e.Detail}, Err: err}
	}
	return unavailable(r, err)
}

// unavailable is the page when nothing can be said. A form that carries a number may have been sent before, and done: it can be sent again as it is, and
// does not get lost with its number.
func unavailable(r *http.Request, err error) Answer {
	sorry := Answer{Status: http.StatusServiceUnavailable, Template: "sorry", Body: sorry{"unavailable", ""}, Err: err}
	if r.Method != http.MethodPost || r.PostFormValue("number") == "" {
		return sorry
	}
	form := resend{Action: r.URL.RequestURI()}
	for name, values := range r.PostForm {
		if slices.Contains(notRepeated, name) {
			return sorry
		}
		for _, value := range values {
			form.Fields = append(form.Fields, [2]string{name, value})
		}
	}
	slices.SortFunc(form.Fields, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return Answer{Status: http.StatusServiceUnavailable, Template: "resend", Body: form, Err: err}
}

// resend is a form that can be sent again as it was.
type resend struct {
	Action string
	Fields [][2]string
}

// notRepeated are fields that no page repeats.
var notRepeated = []string{"password", "current", "key", "secret", "token", "invitation"}

// NotFound is the page that says that there is nothing of that name; detail is in English, "": none.
func NotFound(detail string) Answer {
	return Answer{Status: http.StatusNotFound, Template: "sorry", Body: sorry{"not-found", detail}}
}

// Refused says in the language of the page why the API has refused something: the word "code-" + its code, or else what the API says itself.
func Refused(v *View, err error) string {
	e, ok := asAPI(err)
	if !ok {
		return v.T("why-unavailable")
	}
	if key := "code-" + e.Code; v.has(key) {
		return v.T(key)
	}
	if e.Detail != "" {
		return e.Detail
	}
	return v.T("why-refused")
}

// sorry is why there is nothing to see: a key of words, and what the API says itself.
type sorry struct{ Why, Detail string }

// FormFailed is the answer to a form that could not be read: nothing was done.
func FormFailed(err error) Answer {
	return Answer{Status: http.StatusBadRequest, Template: "sorry", Body: sorry{"form", ""}, Err: err}
}
