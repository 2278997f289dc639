package client

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// Config says where the sites are and how long to wait for them.
type Config struct {
	// Sites are base URLs ("http://127.0.0.1:8081"), nearest first. At least one.
	Sites []string
	// Key is the API key, sent as "Authorization: Bearer". Empty: none is sent.
	Key string
	// Hedge is how long an attempt may stay without an answer before the next site is asked too. 0 means 50 ms; negative
	// means never.
	Hedge time.Duration
	// Timeout is the deadline of a call, unless its context has an earlier one. 0 means 2 s.
	Timeout time.Duration
	// Hasty ends a call as soon as every site has refused the connection, with ErrNobody: for commands, behind which somebody waits. A
	// payment had better wait for a site that is just being started again.
	Hasty bool
	// Idle is how many unused connections to a site are kept. 0 means 256.
	Idle int
	// Signed, if set, makes every GET ask for a signature of the site, and is given what was signed (RFC 9421), from many goroutines
	// at once. A site that has no certificate signs nothing.
	Signed func(Signed)
}

// Signed is an answer with the site's signature, as the headers have it.
type Signed struct {
	Site        string // base URL
	Method      string
	Target      string // path and query
	Status      int
	Body        []byte
	Input       string // Signature-Input
	Signature   string
	Certificate string // Holdfast-Certificate
}

// askSigned is what the signature has to cover: question, status and content. It is proof.Ask, which an integrator's client does not
// import, because package proof speaks of certificates of the link; a test of package drill holds the two together.
const askSigned = `site=("@method";req "@path";req "@query";req "@status" "content-digest");keyid;alg="ecdsa-p256-sha256"`

// ErrNobody says that nothing listens where the sites should be: every connection was refused.
var ErrNobody = errors.New("nobody listens there")

// Client talks to the sites of one fleet. It may be used by many goroutines at once.
type Client struct {
	sites   []*site
	hedge   time.Duration // negative: never
	timeout time.Duration
	hasty   bool
	paces   [paces]pace
	budget  budget
	signed  func(Signed)

	life   context.Context // of what runs in the background; ends with Close
	end    context.CancelFunc
	mu     sync.Mutex
	closed bool // guarded by mu
	work   sync.WaitGroup

	requests, attempts, hedges, failures atomic.Uint64
}

const (
	defaultHedge   = 50 * time.Millisecond
	defaultTimeout = 2 * time.Second
	defaultIdle    = 256
)

// New makes a client. The error names the site whose URL cannot be used. Nothing is sent yet.
func New(cfg Config) (*Client, error) {
	if len(cfg.Sites) == 0 {
		return nil, errors.New("no site is given: name at least one base URL, for example http://127.0.0.1:8080")
	}
	c := &Client{hedge: cfg.Hedge, timeout: cfg.Timeout, hasty: cfg.Hasty, signed: cfg.Signed}
	if c.hedge == 0 {
		c.hedge = defaultHedge
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if cfg.Idle <= 0 {
		cfg.Idle = defaultIdle
	}
	for _, base := range cfg.Sites {
		s, err := newSite(base, cfg.Key, cfg.Idle)
		if err != nil {
			return nil, err
		}
		if cfg.Signed != nil {
			s.head += "Accept-Signature: " + askSigned + "\r\n"
		}
		c.sites = append(c.sites, s)
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Close drops the unused connections, breaks off attempts that lost a race and waits for them. Calls must not be under way
// or be made any more.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	for _, s := range c.sites {
		s.close()
	}
	c.work.Wait()
}

// spawn runs f in the background. [Client.Close] waits for it.
func (c *Client) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		go f() // a call that was made after Close ends with its own deadline
		return
	}
	c.work.Go(f)
}

type keyOfCall struct{}

// WithKey gives a context whose calls are made with another key than that of the client: for programs that act for many people, each with
// rights of his own, over the same connections. It panics when the key has a line break.
func WithKey(ctx context.Context, key string) context.Context {
	if key == "" || strings.ContainsAny(key, "\r\n") {
		panic("client: a key has at least one character, and no line break")
	}
	return context.WithValue(ctx, keyOfCall{}, key)
}

type numberOfCall struct{}

// WithNumber gives a context whose call carries this number as its Idempotency-Key: for what has no other number, such as a key that is issued or an
// invitation, so that asking again from another program, or from a form that was sent twice, is the same request. It is for one call that changes
// something, and panics when the number has a line break.
func WithNumber(ctx context.Context, number string) context.Context {
	if number == "" || strings.ContainsAny(number, "\r\n") {
		panic("client: the number of a request has at least one character, and no line break")
	}
	return context.WithValue(ctx, numberOfCall{}, number)
}

type passiveCall struct{}

// Passive gives a context whose calls are no use of a session: those of a page that is open, before which nobody may sit.
func Passive(ctx context.Context) context.Context { return context.WithValue(ctx, passiveCall{}, true) }

// Stats returns the counters.
func (c *Client) Stats() Stats {
	return Stats{Requests: c.requests.Load(), Attempts: c.attempts.Load(), Hedges: c.hedges.Load(), Failures: c.failures.Load()}
}

// NewID makes a UUIDv7.
func (c *Client) NewID() holdfast.ID {
	var random [10]byte
	rand.Read(random[:]) // never fails: crypto/rand
	return holdfast.NewID(holdfast.TimeOf(time.Now()), random)
}

func (c *Client) idOr(id holdfast.ID) holdfast.ID {
	if id.IsZero() {
		return c.NewID()
	}
	return id
}
