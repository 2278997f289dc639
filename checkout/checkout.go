package checkout

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/pay"
)

// Cashier is what the page needs of pay. Its errors are those of pay: a [pay.Refusal] has not happened, a [pay.Pending] is not known, everything
// else did nothing.
type Cashier interface {
	// Open is somebody who looks at the trade of a token.
	Open(ctx context.Context, token string, now holdfast.Time) (pay.Trade, error)
	// PayWithCode pays a trade that exists with an 18-digit code. Asked again with the same code it is answered as the first time.
	PayWithCode(ctx context.Context, merchant holdfast.Owner, outTradeNo, code string, now holdfast.Time) (pay.Trade, error)
	Merchant(ctx context.Context, o holdfast.Owner) (pay.Merchant, error)
	// Visit tells how the customer came, and so where the browser goes on.
	Visit(ctx context.Context, token string) (pay.Visit, error)
}

// Config is what [New] needs.
type Config struct {
	Cashier Cashier
	// Public is the address under which customers reach any site, without a slash at its end: https://pay.example.com. QR codes lead to it.
	Public string
	// Return is where the browser goes when the trade is paid: the address of the visit with what the protocol of the merchant adds; "": nowhere. It is
	// asked for paid trades only. An error means that it is not known just now: the page then does without. nil: nowhere.
	Return func(ctx context.Context, v pay.Visit) (string, error)
	// Customers are those who have signed in, and pay from their wallets by one tap; nil: everybody pays with a code.
	Customers Customers
	// Origins are scheme and host of the other sites, as browsers reach them: their forms are ours as well. nil: there are none.
	Origins func() []string
	// Zone finds a time zone by its IANA name; nil: all times are shown in GMT+8.
	Zone     func(name string) (*time.Location, error)
	Logger   *slog.Logger     // one event per page at debug level, without anything that belongs to a customer; nil: none
	Now      func() time.Time // nil: time.Now
	Limit    int              // requests at once; 0: 1024. More are asked to come again
	Deadline time.Duration    // of a page; 0: 8 s
	Linger   time.Duration    // how long a paid page is shown before it goes on to the merchant, in whole seconds; 0: 5 s
}

const (
	defaultLimit    = 1024
	defaultDeadline = 8 * time.Second
	defaultLinger   = 5 * time.Second
	maxForm         = 4 << 10
)

// pages serves the pages.
type pages struct {
	Config
	inflight atomic.Int64
	forgery  *http.CrossOriginProtection
	origin   string // of Public
}

// New makes the handler of /cashier/ and /q/.
func New(cfg Config) (http.Handler, error) {
	u, err := url.Parse(cfg.Public)
	switch {
	case cfg.Cashier == nil:
		return nil, errors.New("checkout: Cashier must be given")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || strings.HasSuffix(cfg.Public, "/"):
		return nil, errors.New("checkout: Public must be an http or https address without a query or a slash at its end, as https://pay.example.com")
	case cfg.Limit < 0 || cfg.Deadline < 0 || cfg.Linger < 0:
		return nil, errors.New("checkout: Limit, Deadline and Linger cannot be below 0")
	}
	p := &pages{Config: cfg, forgery: http.NewCrossOriginProtection(), origin: u.Scheme + "://" + u.Host}
	p.Limit = cmp.Or(p.Limit, defaultLimit)
	p.Deadline = cmp.Or(p.Deadline, defaultDeadline)
	p.Linger = cmp.Or(p.Linger, defaultLinger)
	p.Logger = cmp.Or(p.Logger, slog.New(slog.DiscardHandler))
	if p.Now == nil {
		p.Now = time.Now
	}
	return p.guarded(p.routes()), nil
}

func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cashier/static/{file}", serveStatic)
	mux.HandleFunc("GET /cashier/{token}", p.page(p.show))
	mux.HandleFunc("POST /cashier/{token}", p.page(p.pay))
	mux.HandleFunc("GET /cashier/state/{token}", p.state)
	mux.HandleFunc("GET /q/{token}", p.page(p.show))
	return mux
}

// policy lets the page load what we serve, run nothing else, and be shown in no frame. form-action binds redirects as well, so that no POST
// leads to a merchant directly.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// guarded sets the headers of every answer, and bounds how many requests there are at once.
func (p *pages) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "strict-origin") // the token goes nowhere; a policy that says less would have browsers send forms without their origin
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Robots-Tag", "noindex")
		defer p.inflight.Add(-1)
		if p.inflight.Add(1) > int64(p.Limit) {
			p.send(w, r, p.view(r), &answer{state: unavailable, status: http.StatusServiceUnavailable})
			return
		}
		if err := p.forged(r); err != nil {
			p.send(w, r, p.view(r), &answer{state: foreign, status: http.StatusForbidden, err: err})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forged reports a form that no page of ours has sent: a cookie pays, so that a form which another page makes up would be a payment.
func (p *pages) forged(r *http.Request) error {
	err := p.forgery.Check(r)
	origin := r.Header.Get("Origin")
	if err != nil && (origin == p.origin || p.Origins != nil && slices.Contains(p.Origins(), origin)) {
		return nil // what stands before the sites may have changed the host
	}
	return err
}

// answer is what a page came to.
type answer struct {
	status   int
	state    state
	problem  string // name of the problem with the code that was typed; "": none
	redirect string
	err      error // for the log
}

// page runs one request to its end, also when the browser has gone, and sends what it came to.
func (p *pages) page(do func(ctx context.Context, v *view, r *http.Request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.Deadline)
		defer cancel()
		v := p.view(r)
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		a := do(ctx, v, r)
		p.send(w, r, v, &a)
	}
}

// open reads the trade of the token.
func (p *pages) open(ctx context.Context, v *view) (a answer, ok bool) {
	t, err := p.Cashier.Open(ctx, v.Token, v.now)
	if err != nil {
		return failed(err), false
	}
	v.Trade = t
	return answer{status: http.StatusOK, state: stateOf(&t, v.now)}, true
}

// failed is what there is to show when the trade could not be read.
func failed(err error) answer {
	var r *pay.Refusal
	if errors.As(err, &r) {
		return answer{status: http.StatusNotFound, state: unknown, err: err}
	}
	return answer{status: http.StatusServiceUnavailable, state: unavailable, err: err}
}

// show is a page that is looked at.
func (p *pages) show(ctx context.Context, v *view, _ *http.Request) answer {
	a, ok := p.open(ctx, v)
	if !ok {
		return a
	}
	return p.dress(ctx, v, a)
}

// dress adds what else is to be seen on the page of a trade.
func (p *pages) dress(ctx context.Context, v *view, a answer) answer {
	m, err := p.Cashier.Merchant(ctx, v.Trade.Merchant)
	if err != nil {
		return failed(err) // who gets the money is not left out
	}
	v.Seller = m.Name
	v.zone = p.zone(v.Trade.Zone)
	if err := p.ways(ctx, v, a.state); err != nil {
		a.err = err
		p.Logger.Warn("the way back to the merchant is not known", "merchant", v.Trade.Merchant, "error", err)
	}
	if a.state == waiting {
		v.QR, err = drawQR(v.Address)
		a.err = errors.Join(a.err, err, p.lookUp(ctx, v))
	}
	return a
}

// ways finds where the browser can go from here.
func (p *pages) ways(ctx context.Context, v *view, s state) error {
	visit, err := p.Cashier.Visit(ctx, v.Token)
	if err != nil {
		return err
	}
	v.Quit = onlyWeb(visit.Quit)
	if s != paid || visit.Return == "" || p.Return == nil {
		return nil
	}
	back, err := p.Return(ctx, visit)
	if err == nil {
		v.Return = onlyWeb(back)
	}
	return err
}

// onlyWeb drops an address that is none of the web.
func onlyWeb(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}

var platformZone = time.FixedZone("", 8*3600) // where the platform is

func (p *pages) zone(name string) *time.Location {
	if p.Zone != nil {
		if z, err := p.Zone(name); err == nil {
			return z
		}
	}
	return platformZone
}

// pay is a code that was typed, or a wallet that was tapped.
func (p *pages) pay(ctx context.Context, v *view, r *http.Request) answer {
	a, ok := p.open(ctx, v)
	if !ok {
		return a
	}
	if a.state != waiting {
		return answer{redirect: v.Link(), state: a.state} // what it has come to is said there
	}
	if err := r.ParseForm(); err != nil {
		return p.dress(ctx, v, answer{status: http.StatusUnprocessableEntity, state: waiting, problem: codeForm})
	}
	if r.PostForm.Has(fromField) {
		a = p.payFrom(ctx, v, r.PostForm.Get(fromField))
	} else {
		a = p.try(ctx, v, plainCode(r.PostForm.Get("code")))
	}
	if a.redirect != "" {
		return a
	}
	return p.dress(ctx, v, a)
}

// try pays with a code, and says what came of it.
func (p *pages) try(ctx context.Context, v *view, code string) answer {
	if !codeLike(code) {
		return answer{status: http.StatusUnprocessableEntity, state: waiting, problem: codeForm}
	}
	_, err := p.Cashier.PayWithCode(ctx, v.Trade.Merchant, v.Trade.OutTradeNo, code, v.now)
	return cameTo(v, err)
}

// cameTo says what came of a payment.
func cameTo(v *view, err error) answer {
	var refused *pay.Refusal
	var pending *pay.Pending
	switch {
	case err == nil:
		return answer{redirect: v.Link(), state: paid}
	case errors.As(err, &pending):
		return answer{redirect: v.LinkSince(), state: asking, err: err}
	case errors.As(err, &refused):
		return refusedAs(v, refused)
	case pay.UnderWay(err):
		return answer{status: http.StatusServiceUnavailable, state: waiting, problem: underWay, err: err}
	}
	return answer{status: http.StatusServiceUnavailable, state: waiting, problem: notNow, err: err}
}

// refusedAs shows a refusal. Those that are a state of the trade are shown by the page of that state.
func refusedAs(v *view, r *pay.Refusal) answer {
	switch r.Code {
	case pay.TradePaid, pay.TradeFinished:
		return answer{redirect: v.link("before", "1"), state: paid, err: r}
	case pay.TradeClosed, pay.TradeExpired:
		return answer{redirect: v.Link(), state: closed, err: r}
	case pay.TradeUnknown:
		return failed(r)
	}
	a := answer{status: http.StatusUnprocessableEntity, state: waiting, problem: string(r.Code), err: r}
	if _, known := refusals[r.Code]; !known {
		a.problem = otherRefusal
	}
	if r.Code == pay.TooManyCodes {
		a.status = http.StatusTooManyRequests
	}
	return a
}

// plainCode is a code without what people and their keyboards put between or instead of digits.
func plainCode(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == ' ' || r == '-' || r == '\t' || r == '\r' || r == '\n' || r == '\u00a0' || r == '\u2009' || r == '\u202f' || r == '\u3000':
			return -1
		}
		return r
	}, text)
}

// codeLike reports whether a text may be a payment code. Others are no guesses, and cost nothing.
func codeLike(code string) bool {
	return len(code) == 18 && strings.HasPrefix(code, "28") && strings.Trim(code, "0123456789") == ""
}
