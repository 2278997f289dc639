package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"holdfast"
)

// Config is what a link has to know. Zero values of the last groups stand for the defaults named there.
type Config struct {
	Site        holdfast.SiteID
	Listen      []string                     // one address per carrier
	Peers       map[holdfast.SiteID][]string // addresses of the other sites, one per carrier, in the same order as Listen
	Credentials *Credentials                 // of this site; they also name the cluster
	Handler     Handler
	Logger      *slog.Logger // nil: nothing is logged
	Version     string       // of the program, shown to the peers

	// Notify, when set, is told that a peer came into reach (the first carrier is up) or went out of it (the last is down).
	// It must return at once.
	Notify func(peer holdfast.SiteID, up bool)

	// Dial, when set, makes the connections to the peers with the dialer given: where sockets have to be made somewhere special,
	// as in another network namespace. It must return TCP connections.
	Dial func(ctx context.Context, d *net.Dialer, address string) (net.Conn, error)

	Timing Timing
	Limits Limits
}

// Timing holds the durations of a link.
type Timing struct {
	Silence    time.Duration // without a sign of life for so long a connection is given up and dialled anew; default 300 ms
	Ping       time.Duration // between pings on a connection; default 2/5 of Silence
	RedialMin  time.Duration // first pause before dialling again; default 20 ms
	RedialMax  time.Duration // longest pause; default 300 ms
	CallBudget time.Duration // deadline of calls whose context has none; default 10 s
	Drain      time.Duration // how long Close lets queued frames leave; default 100 ms
}

// Limits holds the bounds of a link.
type Limits struct {
	Control     int   // bytes queued per connection for urgent frames; default 1 MiB
	Interactive int   // bytes queued per connection for small frames; default 8 MiB
	Bulk        int   // bytes queued per connection for large frames; default 64 MiB
	Calls       int   // calls of peers served at once; default 1024
	CallBytes   int64 // bytes of their payloads; default 256 MiB
	Waiting     int   // calls of ours waiting for an answer, per peer; default 65,536
}

func (c *Config) check() error {
	switch {
	case c.Credentials == nil:
		return errors.New("credentials are missing: without a certificate of the cluster no site talks to this one")
	case c.Handler == nil:
		return errors.New("handler is missing")
	case c.Site == 0:
		return errors.New("sites are numbered from 1")
	case c.Credentials.Site != c.Site:
		return fmt.Errorf("this is site %d, but its certificate is that of site %d", c.Site, c.Credentials.Site)
	case len(c.Listen) == 0 || len(c.Listen) > maxCarriers:
		return fmt.Errorf("listens on %d addresses, want one per carrier, 1 to %d", len(c.Listen), maxCarriers)
	}
	return checkPeers(c.Site, len(c.Listen), c.Peers)
}

// maxCarriers is far above what sites have; what is sent on all carriers costs as many times the bytes.
const maxCarriers = 8

func (t Timing) withDefaults() Timing {
	t.Silence = cmp.Or(t.Silence, 300*time.Millisecond)
	t.Ping = cmp.Or(t.Ping, t.Silence*2/5)
	t.RedialMin = cmp.Or(t.RedialMin, 20*time.Millisecond)
	t.RedialMax = cmp.Or(t.RedialMax, 300*time.Millisecond)
	t.CallBudget = cmp.Or(t.CallBudget, 10*time.Second)
	t.Drain = cmp.Or(t.Drain, 100*time.Millisecond)
	return t
}

func (l Limits) withDefaults() Limits {
	l.Control = cmp.Or(l.Control, 1<<20)
	l.Interactive = cmp.Or(l.Interactive, 8<<20)
	l.Bulk = cmp.Or(l.Bulk, 64<<20)
	l.Calls = cmp.Or(l.Calls, 1024)
	l.CallBytes = cmp.Or(l.CallBytes, 256<<20)
	l.Waiting = cmp.Or(l.Waiting, 1<<16)
	return l
}
