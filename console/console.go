package console

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
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
	// Domain is that of the cookie, so that all sites below it get it: pay.example.com. "": the host that was asked alone.
	Domain   string
	Logger   *slog.Logger     // one event per page at debug level; nil: none
	Now      func() time.Time // nil: time.Now
	Deadline time.Duration    // of a page; 0: 5 s
	Streams  int              // pages that may be live at once; 0: 256. More are asked to reload themselves
}

const (
	defaultDeadline = 5 * time.Second
	defaultStreams  = 256
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
	streams atomic.Int64
	life    context.Context // ends with [Handler.End]
	end     context.CancelFunc
	forgery *http.CrossOriginProtection

	mu    sync.Mutex
	sites map[string]*client.Client // guarded by mu; by base URL: each asks that site alone
}

// New makes the handler of all pages. Close it when no request is under way any more.
func New(cfg Config) (*Handler, error) {
	if cfg.API == nil || cfg.Direct == nil {
		return nil, errors.New("console: API and Direct must be given")
	}
	if cfg.Deadline < 0 || cfg.Streams < 0 {
		return nil, errors.New("console: Deadline and Streams cannot be below 0")
	}
	p := &pages{Config: cfg, forgery: http.NewCrossOriginProtection(), sites: map[string]*client.Client{}}
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
	return &Handler{p, p.guarded(p.routes())}, nil
}

// Handler serves the pages.
type Handler struct {
	pages *pages
	http.Handler
}

// End ends what would last: pages that are live look for another site.
func (h *Handler) End() { h.pages.end() }

// Close closes what the pages have opened to other sites.
func (h *Handler) Close() {
	h.pages.mu.Lock()
	defer h.pages.mu.Unlock()
	for _, c := range h.pages.sites {
		c.Close()
	}
	h.pages.sites = nil
}

// Serves reports whether a path is one of the pages.
func Serves(path string) bool {
	switch path {
	case "/", "/sign-in", "/sign-out", "/look", "/console":
		return true
	}
	return strings.HasPrefix(path, "/console/") || strings.HasPrefix(path, "/static/")
}

func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{stamp}/{file}", serveStatic)
	mux.HandleFunc("GET /{$}", p.open(p.home))
	mux.HandleFunc("GET /sign-in", p.open(p.showSignIn))
	mux.HandleFunc("POST /sign-in", p.open(p.signIn))
	mux.HandleFunc("POST /sign-out", p.open(p.signOut))
	mux.HandleFunc("POST /look", p.open(p.setLook))
	mux.HandleFunc("GET /console", p.page(p.showFleet))
	mux.HandleFunc("GET /console/live", p.live)
	mux.HandleFunc("GET /console/trend", p.page(p.showTrend))
	mux.HandleFunc("GET /console/what-if", p.page(p.showWhatIf))
	mux.HandleFunc("GET /console/journal", p.page(p.showJournal))
	mux.HandleFunc("GET /console/search", p.page(p.search))
	mux.HandleFunc("GET /console/transfers/{id}", p.page(p.showTransfer))
	mux.HandleFunc("GET /console/transactions/{id}", p.page(p.showTransaction))
	mux.HandleFunc("GET /console/accounts/{id}", p.page(p.showAccount))
	return mux
}

// guarded sets the headers of every answer, and refuses forms that another site has made up.
func (p *pages) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		places := p.Places()
		h.Set("Content-Security-Policy", policy(places))
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Robots-Tag", "noindex")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if err := p.forged(r, places); err != nil {
			p.send(w, r, p.view(r), answer{status: http.StatusForbidden, template: "sorry", body: sorry{"forged", ""}})
			return
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		next.ServeHTTP(w, r)
	})
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

// answer is what a page came to.
type answer struct {
	status   int // 0: 200
	template string
	body     any
	title    string // key of words; "": that of the template
	redirect string
	data     any   // instead of a template: as JSON
	err      error // for the log
}

// handler makes one page. The context has the person's key, and a deadline.
type handler func(ctx context.Context, v *view, r *http.Request) answer

// open is a page that everybody may see.
func (p *pages) open(do handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Not the request's context: a browser that leaves stops waiting, not work.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.Deadline)
		defer cancel()
		v := p.view(r)
		v.w = w
		p.send(w, r, v, do(v.as(ctx), v, r))
	}
}

// page is one for people who have signed in; others are asked to, and brought back.
func (p *pages) page(do handler) http.HandlerFunc {
	return p.open(func(ctx context.Context, v *view, r *http.Request) answer {
		if v.key == "" {
			return answer{redirect: v.Link("/sign-in", "to", r.URL.RequestURI())}
		}
		return do(ctx, v, r)
	})
}

// failed is the page of an error of the API.
func failed(v *view, r *http.Request, err error) answer {
	if e, ok := errors.AsType[*client.Error](err); ok {
		switch e.Status {
		case http.StatusUnauthorized:
			return answer{redirect: v.Link("/sign-in", "to", r.URL.RequestURI(), "why", "ended"), err: err}
		case http.StatusForbidden:
			return answer{status: http.StatusForbidden, template: "sorry", body: sorry{"forbidden", e.Detail}, err: err}
		case http.StatusNotFound:
			return answer{status: http.StatusNotFound, template: "sorry", body: sorry{"not-found", e.Detail}, err: err}
		case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusConflict:
			return answer{status: e.Status, template: "sorry", body: sorry{"refused", e.Detail}, err: err}
		}
	}
	return answer{status: http.StatusServiceUnavailable, template: "sorry", body: sorry{"unavailable", ""}, err: err}
}

// sorry is why there is nothing to see: a key of words, and what the API says itself.
type sorry struct{ Why, Detail string }

// only is a client that asks one site and no other.
func (p *pages) only(base string) (*client.Client, error) {
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
	c, err := client.New(client.Config{Sites: []string{base}, Timeout: askOne, Hedge: -1, Hasty: true, Idle: 4})
	if err == nil {
		p.sites[base] = c
	}
	return c, err
}

const (
	maxSites = 64                     // that were ever in the list
	askOne   = 400 * time.Millisecond // a site that is asked about itself
)
