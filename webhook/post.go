package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	connectWithin = 3 * time.Second
	maxAnswer     = 16 << 10 // bytes that are read of an answer; more ends the connection
	keptAnswer    = 512      // bytes of an answer that are kept for people to look at
	idleEach      = 32       // connections kept open to one host, which may have many receivers
	idleAll       = 2048
	idleTime      = 30 * time.Second
)

// Post is one attempt at a delivery.
type Post struct {
	URL    string
	Header http.Header // Content-Type and what the scheme of the signature wants; not changed
	Body   []byte
	// Accept says whether an answer of HTTP status 200 to 299 takes the event; nil: each does. It gets the first 512 bytes.
	Accept func(status int, body []byte) bool
}

// Answer says what became of an attempt.
type Answer struct {
	At     time.Time
	Took   time.Duration
	Status int    // HTTP status; 0: there was no answer
	Body   []byte // the first 512 bytes of the answer
	Taken  bool   // the receiver has it
	// Late: it ran into its deadline. The receiver may have the event all the same.
	Late bool
	// Gone: the receiver wants no more events (HTTP 410).
	Gone bool
	// Why says in words for people why it was not taken.
	Why string
}

// Poster posts. It follows no redirect, uses no proxy of the environment and keeps no cookie.
type Poster struct {
	addresses   Addresses
	within      time.Duration
	now         func() time.Time
	plain, over *http.Client
}

// NewPoster makes a poster whose attempts take at most within each. roots may be nil: then the certificates that the machine trusts.
func NewPoster(a Addresses, within time.Duration, roots *tls.Config, now func() time.Time) *Poster {
	client := func(plain bool) *http.Client {
		d := a.dialer(plain)
		d.Timeout = min(connectWithin, within)
		return &http.Client{
			Transport: &http.Transport{
				DialContext: d.DialContext, TLSClientConfig: roots.Clone(), TLSHandshakeTimeout: connectWithin, ForceAttemptHTTP2: true,
				MaxIdleConns: idleAll, MaxIdleConnsPerHost: idleEach, IdleConnTimeout: idleTime, MaxResponseHeaderBytes: maxAnswer,
				DisableCompression: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Poster{addresses: a, within: within, now: now, plain: client(true), over: client(false)}
}

// Close ends connections that are kept open.
func (p *Poster) Close() {
	p.plain.CloseIdleConnections()
	p.over.CloseIdleConnections()
}

// Post makes one attempt and waits for its end.
func (p *Poster) Post(ctx context.Context, x Post) (a Answer) {
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	begun := time.Now()
	a.At = p.now()
	defer func() { a.Took = time.Since(begun) }()
	u, err := p.addresses.CheckURL(x.URL)
	if err != nil {
		a.Why = err.Error()
		return a
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(x.Body))
	if err != nil {
		a.Why = "the address cannot be used"
		return a
	}
	r.Header = x.Header.Clone()
	client := p.over
	if u.Scheme == "http" {
		client = p.plain
	}
	answer, err := client.Do(r)
	if err != nil {
		a.Late = ctx.Err() != nil
		a.Why = why(err, a.Late)
		return a
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	a.Status, a.Body = answer.StatusCode, body[:min(len(body), keptAnswer)]
	a.Gone = a.Status == http.StatusGone
	switch {
	case err != nil:
		a.Late = ctx.Err() != nil
		a.Why = "the answer broke off: " + why(err, a.Late)
	case a.Status/100 == 3:
		a.Why = "the receiver answered with a redirect, which is not followed: give the address that it leads to"
	case a.Status/100 != 2:
		a.Why = "the receiver answered " + answer.Status
	case x.Accept != nil && !x.Accept(a.Status, a.Body):
		a.Why = "the receiver's answer is not the one that takes the event"
	default:
		a.Taken = true
	}
	return a
}

// why says what an error means to the owner of the receiver, without repeating the address.
func why(err error, late bool) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var opErr *net.OpError
	switch {
	case errors.Is(err, ErrAddress):
		text := err.Error()
		return text[max(0, strings.Index(text, ErrAddress.Error())):]
	case late:
		return "the receiver did not answer in time"
	case errors.As(err, &dns):
		return "the host name of the address is not known"
	case errors.As(err, &certificate):
		return "the certificate of the receiver is not trusted or not for this name"
	case errors.As(err, &opErr) && opErr.Op == "dial":
		return "no connection to the receiver could be made"
	default:
		return "the connection to the receiver broke"
	}
}
