package page

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/client"
)

// Config is what [New] needs.
type Config struct {
	// API asks the site that serves the pages, and others when it does not answer. Its own key is never used: every call has that of the
	// person. The caller closes it, after the last request.
	API *client.Client
	// Direct is the API of the site itself, to which signing in goes: it bounds wrong tries by where they come from, which is the browser.
	Direct http.Handler
	// Places are the sites as browsers reach them now: where a page goes on that has lost its site. nil: there is this one alone.
	Places func() []Place
	// Domain is that of the cookies, so that all sites below it get them: pay.example.com. "", or when another host was asked: that host alone.
	Domain string
	// ByTLS reports whether a browser came by TLS. nil: what the connection says.
	ByTLS    func(*http.Request) bool
	Logger   *slog.Logger     // one event per page at debug level; nil: none
	Now      func() time.Time // nil: time.Now
	Deadline time.Duration    // of a page; 0: 5 s
	Streams  int              // pages of an area that may be live at once; 0: 512. More are asked to reload themselves: customers take nothing from operators
	Areas    []Area           // whose pages there are
}

const (
	defaultDeadline = 5 * time.Second
	defaultStreams  = 512
	maxForm         = 16 << 10
)

// Place is a site as browsers reach it.
type Place struct {
	Name string `json:"name"`
	URL  string `json:"url"`            // scheme and host, without a slash at the end
	Self bool   `json:"self,omitempty"` // it is the site that serves the page
}

// pages serves the pages.
type pages struct {
	Config
	life    context.Context // ends with [Server.End]
	end     context.CancelFunc
	forgery *http.CrossOriginProtection
	mux     *http.ServeMux
	areas   []*area
	uploads map[string]int64 // by pattern: how long a form may be that brings a file
	shell   *area            // pages that belong to nobody in particular
	static  static
	known   known

	mu    sync.Mutex
	sites map[string]*client.Client // guarded by mu; by base URL: each asks that site alone
}

// New makes the handler of all pages. Close it when no request is under way any more.
func New(cfg Config) (*Server, error) {
	if cfg.API == nil || cfg.Direct == nil {
		return nil, errors.New("page: API and Direct must be given")
	}
	if cfg.Deadline < 0 || cfg.Streams < 0 {
		return nil, errors.New("page: Deadline and Streams cannot be below 0")
	}
	p := &pages{Config: cfg, forgery: http.NewCrossOriginProtection(), sites: map[string]*client.Client{}, uploads: map[string]int64{}}
	if p.Places == nil {
		p.Places = func() []Place { return nil }
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.Deadline = cmp.Or(p.Deadline, defaultDeadline)
	p.Streams = cmp.Or(p.Streams, defaultStreams)
	p.Logger = cmp.Or(p.Logger, slog.New(slog.DiscardHandler))
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.ByTLS == nil {
		p.ByTLS = func(r *http.Request) bool { return r.TLS != nil }
	}
	p.mux, p.shell = http.NewServeMux(), &area{templates: template.Must(shellTemplates.Clone())}
	if err := p.static.add(shellFiles); err != nil {
		return nil, err
	}
	p.routes()
	for _, a := range p.Areas {
		if err := p.build(a); err != nil {
			return nil, err
		}
	}
	return &Server{p, p.guarded(p.mux)}, nil
}

// Server serves the pages.
type Server struct {
	pages *pages
	http.Handler
}

// End ends what would last: pages that are live look for another site.
func (h *Server) End() { h.pages.end() }

// Close closes what the pages have opened to other sites.
func (h *Server) Close() {
	h.pages.mu.Lock()
	defer h.pages.mu.Unlock()
	for _, c := range h.pages.sites {
		c.Close()
	}
	h.pages.sites = nil
}

// Serves reports whether a path is one of the pages.
func (h *Server) Serves(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "", "sign-in", "sign-out", "account", "invitation", "look", "static":
		return true
	}
	return slices.ContainsFunc(h.pages.areas, func(a *area) bool { return a.Name == first })
}

// routes registers the pages that belong to nobody in particular.
func (p *pages) routes() {
	p.mux.HandleFunc("GET /static/{stamp}/{file}", p.static.serve)
	p.mux.HandleFunc("POST /look", p.open(p.shell, p.setLook))
	p.doorRoutes()
	p.accountRoutes()
}

// guarded sets the headers of every answer, and refuses forms that another site has made up.
func (p *pages) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		places := p.Places()
		h.Set("Content-Security-Policy", policy(places))
		h.Set("Referrer-Policy", "strict-origin-when-cross-origin") // same-origin would have a form for another of our sites come from "null"
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Robots-Tag", "noindex")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if err := p.forged(r, places); err != nil {
			p.send(w, r, p.view(r, p.shell), Answer{Status: http.StatusForbidden, Template: "sorry", Body: sorry{"forged", ""}})
			return
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, p.largest(r))
		}
		next.ServeHTTP(w, r)
	})
}

// largest is how long the body of a form may be.
func (p *pages) largest(r *http.Request) int64 {
	_, pattern := p.mux.Handler(r)
	return cmp.Or(p.uploads[pattern], maxForm)
}

// policy lets a page load what we serve, ask the other sites whether they live, send a form again to one of them, and be shown in no frame.
func policy(places []Place) string {
	others := ""
	for _, x := range places {
		others += " " + x.URL
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"form-action 'self'" + others + "; connect-src 'self'" + others
}

// forged reports a form that no page of ours has sent. Those of the other sites' pages are ours.
func (p *pages) forged(r *http.Request, places []Place) error {
	err := p.forgery.Check(r)
	if err == nil {
		return nil
	}
	for _, x := range places {
		if r.Header.Get("Origin") == x.URL {
			return nil
		}
	}
	return err
}

// open is a page that everybody may see.
func (p *pages) open(a *area, do Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Not the request's context: a browser that leaves stops waiting, not work.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.Deadline)
		defer cancel()
		v := p.view(r, a)
		v.w = w
		p.send(w, r, v, do(v.withKey(ctx), v, r))
	}
}

// Only is a client that asks the site at a base URL and no other, and does not wait long. Its keys are those of the context.
func (p *pages) Only(base string) (*client.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.sites[base]; c != nil {
		return c, nil
	}
	if p.sites == nil {
		return nil, errors.New("the pages are closed")
	}
	if len(p.sites) >= maxSites {
		return nil, errors.New("more sites than a fleet has")
	}
	c, err := client.New(client.Config{Sites: []string{base}, Timeout: AskOne, Hedge: -1, Hasty: true, Idle: 4})
	if err == nil {
		p.sites[base] = c
	}
	return c, err
}

const (
	maxSites = 64 // that were ever in the list

	// AskOne is how long a site may take that is asked about itself.
	AskOne = 400 * time.Millisecond
)
