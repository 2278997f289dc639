package alipay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"holdfast"
)

// Config is what a gateway is made of. Desk, Apps and Key have to be there; the rest has a default.
type Config struct {
	Desk Desk
	Apps Apps
	// Key signs what is told to nobody in particular: that there is no such application. 2048 bits.
	Key *rsa.PrivateKey
	// Now is the time; default time.Now.
	Now func() time.Time
	// Random makes nonces and traces; default crypto/rand.
	Random io.Reader
	// Window is how far a v2 timestamp may be from now; default 24 h, because SDKs in containers send UTC for GMT+8.
	Window time.Duration
	// Timeout is for all of a request, its body included; default 3.5 s. SDKs give up after 5 s.
	Timeout time.Duration
	// Calls is how many calls the desk may have at once; default 1,024. More are told to come again, and nothing is executed.
	Calls int
	// Observe, if it is there, is told of every request when it has been answered. It must be quick.
	Observe func(Event)
}

// Event is one request, for logs and metrics. Nothing in it is secret or personal.
type Event struct {
	Trace  string
	AppID  string // "" unless it is known
	Method string // "" unless it is one of ours
	V3     bool
	Code   string // 10000, 10003 or the code of the failure
	Sub    string // sub_code of the failure
	Took   time.Duration
	Err    error // why the outcome is unknown
}

// Gateway serves /gateway.do and /v3/. It may be used by many goroutines at once.
type Gateway struct {
	Config
	index  index
	stamps stamps
	nonces nonces
	calls  atomic.Int64
}

// New makes a gateway, or says what is missing in its configuration.
func New(c Config) (*Gateway, error) {
	if c.Desk == nil || c.Apps == nil || c.Key == nil {
		return nil, errors.New("the gateway needs a Desk, Apps and a Key")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Window == 0 {
		c.Window = 24 * time.Hour
	}
	if c.Timeout == 0 {
		c.Timeout = 3500 * time.Millisecond
	}
	if c.Calls == 0 {
		c.Calls = 1024
	}
	if c.Window < 0 || c.Timeout <= 0 || c.Timeout > 4500*time.Millisecond || c.Calls < 0 {
		return nil, fmt.Errorf("the gateway's Window (%v) and Calls (%d) cannot be negative, and its Timeout (%v) has to be above 0 and at most 4.5s", c.Window, c.Calls, c.Timeout)
	}
	return &Gateway{Config: c, index: newIndex()}, nil
}

// call is one request on its way.
type call struct {
	g        *Gateway
	r        *http.Request
	control  *http.ResponseController
	p        params
	now      time.Time
	trace    string
	m        *method // nil: no such method
	named    string  // the method as it was named
	v3       bool
	app      *App // nil until it is known
	kind     SignType
	who      Caller
	products Products // that the application may use, for whom it asks
	trusted  bool     // the signature was right: what is said from here on is said to the merchant
	busy     bool     // too many calls
	err      error
}

// ServeHTTP answers one request within the time-out, whatever the caller and the desk do.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Not the request's context: a caller that leaves stops waiting, not work.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), g.Timeout)
	defer cancel()
	began := g.Now()
	c := &call{g: g, r: r, now: began.In(gmt8), trace: g.token(), kind: RSA2}
	// A body that trickles in must not last longer. What cannot set deadlines (a recorder in a test) has no slow body either.
	c.control = http.NewResponseController(w)
	_ = c.control.SetReadDeadline(time.Now().Add(g.Timeout))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	var e Event
	if strings.HasPrefix(r.URL.Path, "/v3/") {
		e = c.serveV3(ctx, w)
	} else {
		e = c.serveV2(ctx, w)
	}
	if g.Observe != nil {
		g.Observe(c.event(e, g.Now().Sub(began)))
	}
}

// bodyRead takes the deadline of the body away: the connection is used again.
func (c *call) bodyRead() { _ = c.control.SetReadDeadline(time.Time{}) }

func (c *call) event(e Event, took time.Duration) Event {
	e.Trace, e.V3, e.Took = c.trace, c.v3, took
	if c.app != nil {
		e.AppID = c.app.ID
	}
	if c.m != nil {
		e.Method = c.m.name
	}
	if e.Code == codeUnknown {
		e.Err = c.err
	}
	return e
}

// token is 32 hexadecimal digits that nobody can guess.
func (g *Gateway) token() string {
	var raw [16]byte
	if _, err := io.ReadFull(g.Random, raw[:]); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err)) // without it nonces repeat
	}
	return hex.EncodeToString(raw[:])
}

// findApp looks the application up.
func (c *call) findApp(ctx context.Context, id string) error {
	if len(id) > 32 {
		return refuse("isv.invalid-app-id")
	}
	a, found, err := c.g.Apps.App(ctx, id)
	if err != nil {
		return fmt.Errorf("look up the application: %w", err)
	}
	if !found {
		return refuse("isv.invalid-app-id")
	}
	c.app = a
	return nil
}

// key signs the answer.
func (c *call) key() *rsa.PrivateKey {
	if c.app != nil {
		return c.app.Platform
	}
	return c.g.Key
}

// permit finds out for whom the application asks, and whether it may. The signature is right by now.
func (c *call) permit(ctx context.Context, token Secret) error {
	switch {
	case c.m == nil:
		return refuse("isv.invalid-method")
	case c.app.Products&c.m.products == 0:
		return refuse("isv.insufficient-isv-permissions")
	}
	c.products = c.app.Products
	c.who = Caller{App: c.app, Merchant: c.app.Merchant, AuthApp: c.app.ID, Now: c.now, Trace: c.trace}
	if token.IsZero() {
		return nil
	}
	mandate, found, err := c.g.Apps.Acting(ctx, c.app, token)
	if err != nil {
		return fmt.Errorf("look up who gave the app_auth_token: %w", err)
	}
	if !found {
		return refuse("aop.invalid-app-auth-token")
	}
	c.who.Merchant, c.who.AuthApp = mandate.Merchant, mandate.AppID
	if c.products &= mandate.Products; c.products&c.m.products == 0 {
		return refuse("isv.insufficient-isv-permissions")
	}
	return nil
}

// fields makes the reader of the parameters of the method.
func (c *call) fields(n *node, notify string) (*fields, error) {
	if notify != "" && (len(notify) > 256 || !absolute(notify)) {
		return nil, refuseText("isv.invalid-parameter", "参数无效 (notify_url has to be an absolute http or https address of at most 256 characters)")
	}
	if notify == "" {
		notify = c.app.NotifyURL
	}
	return &fields{n: n, now: c.now, invalid: c.m.invalid, products: c.products, notify: notify}, nil
}

// do has the desk do it, unless too much is under way.
func (c *call) do(ctx context.Context, f *fields, a *answer) (result, error) {
	if c.g.calls.Add(1) > int64(c.g.Calls) {
		c.g.calls.Add(-1)
		c.busy = true
		return result{}, refuse("isv.app-call-limited")
	}
	defer c.g.calls.Add(-1)
	return c.m.run(ctx, c.g.Desk, c.who, f, a)
}

// serveNoticeVerify answers whether a notice is ours: plain text, as the old interface has it. When that is not known the status
// says so, since "false" would call a genuine notice a forgery.
func (c *call) serveNoticeVerify(ctx context.Context, w http.ResponseWriter) Event {
	w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	merchant, err := holdfast.ParseOwner(c.p.get("partner"))
	id := c.p.get("notify_id")
	genuine := false
	if err == nil && id != "" && len(id) <= 128 {
		var first time.Time
		var found bool
		if first, found, err = c.g.Desk.NoticeSent(ctx, merchant, id); err != nil {
			c.err = err
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "not known now, ask again")
			return Event{Code: codeUnknown, Sub: subCodeUnknown}
		}
		genuine = found && c.now.Sub(first) <= noticeLife
	}
	_, _ = fmt.Fprint(w, genuine)
	return Event{Code: codeSuccess}
}
