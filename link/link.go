package link

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// MaxPayload is the largest payload of a frame or call, in bytes.
const MaxPayload = 16 << 20

// MaxMethod is the longest method name, in bytes.
const MaxMethod = 64

var (
	// ErrUnreachable says that the call never left this site: the peer is not connected, or the connection broke before the
	// request was handed to the network. It was not executed.
	ErrUnreachable = errors.New("peer is not reachable; the call was not sent")
	// ErrBusy says that a queue here or the peer's share of concurrent calls was full. It was not executed.
	ErrBusy = errors.New("too many calls at once; the call was not executed")
	// ErrNoAnswer says that the request was handed to the network and no answer came before the deadline, or before the
	// connection broke. It may or may not have been executed, now or a little later.
	ErrNoAnswer = errors.New("no answer; the call may have been executed")
	// ErrTooLarge says that a payload is above MaxPayload, or a method above MaxMethod. Nothing was sent.
	ErrTooLarge = errors.New("payload is too large for the link")
	// ErrClosed says that the link is closed or not started yet. Nothing was sent.
	ErrClosed = errors.New("link is closed")
)

// RemoteError is what the peer's [Handler] returned for a call: it was executed and failed over there.
type RemoteError struct {
	Site   holdfast.SiteID
	Method string
	Code   uint16 // what the error's LinkCode() said, 0 when it has none; never classify by Text
	Text   string
}

// Error implements error.
func (e *RemoteError) Error() string { return fmt.Sprintf("site %d, %s: %s", e.Site, e.Method, e.Text) }

// Coder is implemented by errors of a [Handler] that want to be told apart by the caller, as [RemoteError.Code].
type Coder interface{ LinkCode() uint16 }

// Handler takes what comes from the peers. All methods may be called by several goroutines at once.
type Handler interface {
	// Receive takes a payload for a shard, in the order in which the peer sent those of the shard; some may be missing. The
	// payload belongs to the handler from now on. Receive must return at once (queue, or drop): while it runs, nothing else
	// of that connection is read.
	Receive(from holdfast.SiteID, shard holdfast.ShardID, payload []byte)
	// Serve answers a call, in a goroutine of its own. The context ends with the caller's deadline (as a budget that left
	// with the request, no clocks are compared) and when the link closes. The payload belongs to the handler; the answer is
	// copied before the next use of it. An error travels to the caller as a *RemoteError: no secrets in its text.
	Serve(ctx context.Context, from holdfast.SiteID, method string, payload []byte) ([]byte, error)
}

// Link connects this site with all others. All methods may be called by several goroutines at once.
type Link struct {
	site        holdfast.SiteID
	creds       *Credentials
	handler     Handler
	notify      func(holdfast.SiteID, bool)
	dial        func(context.Context, *net.Dialer, string) (net.Conn, error)
	log         *slog.Logger
	listen      []string
	program     string
	incarnation uint64 // of this process
	firstCall   uint64 // ids of calls start anywhere, so that a reply to a former life of this process fits no call of this one
	started     time.Time
	clock       func() time.Time // for certificates, and nothing else; tests set it before Start
	timing      Timing
	limits      Limits
	peers       atomic.Pointer[map[holdfast.SiteID]*peer] // replaced as a whole under mu; see peers.go
	pool        pool
	serverTLS   *tls.Config

	dialCtx, serveCtx       context.Context
	stopDialing, stopServes context.CancelFunc
	stir                    chan struct{}  // of one place: bulk is about to leave
	goroutines              sync.WaitGroup // all of the link
	handlers                sync.WaitGroup // of these, those that serve calls
	handshakes              chan struct{}  // one token per handshake of somebody who dialled us

	strangers, failed, badFrames, refused, unroutable atomic.Uint64
	warned                                            atomic.Int64 // when the last warning was logged

	mu           sync.Mutex
	state        state
	listeners    []net.Listener
	serving      int
	servingBytes int64
}

type state uint8

const (
	stateNew state = iota
	stateRunning
	stateClosed
)

// maxHandshakes bounds the connections that have not shown yet who they are.
const maxHandshakes = 64

// New checks the configuration. Nothing listens and nothing is dialled before [Link.Start].
func New(cfg Config) (*Link, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{
		site: cfg.Site, creds: cfg.Credentials, handler: cfg.Handler, notify: cfg.Notify, log: cfg.Logger,
		listen: cfg.Listen, program: cfg.Version, started: time.Now(), clock: time.Now,
		timing: cfg.Timing.withDefaults(), limits: cfg.Limits.withDefaults(),
		handshakes: make(chan struct{}, maxHandshakes), stir: make(chan struct{}, 1),
	}
	if l.dial = cfg.Dial; l.dial == nil {
		l.dial = func(ctx context.Context, d *net.Dialer, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	l.incarnation, l.firstCall = binary.BigEndian.Uint64(random[:])|1, binary.BigEndian.Uint64(random[8:])
	l.dialCtx, l.stopDialing = context.WithCancel(context.Background())
	l.serveCtx, l.stopServes = context.WithCancel(context.Background())
	peers := map[holdfast.SiteID]*peer{}
	for site, addresses := range cfg.Peers {
		peers[site] = newPeer(l, site, addresses, l.firstCall)
	}
	l.peers.Store(&peers)
	l.serverTLS = l.tlsConfig(func(site holdfast.SiteID) bool { return l.peer(site) != nil })
	return l, nil
}

// Start listens on every carrier and begins to dial. On an error nothing is left running.
func (l *Link) Start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateNew {
		return fmt.Errorf("link: start: %w", ErrClosed)
	}
	for _, address := range l.listen {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			for _, open := range l.listeners {
				_ = open.Close()
			}
			l.listeners = nil
			return fmt.Errorf("link: listen for the other sites: %w", err)
		}
		l.listeners = append(l.listeners, listener)
	}
	l.state = stateRunning
	for carrier, listener := range l.listeners {
		l.goroutines.Go(func() { l.accept(listener, carrier) })
	}
	for _, p := range l.all() {
		l.dialPeer(p)
	}
	l.goroutines.Go(l.watch)
	return nil
}

// Close drains what is queued for at most Timing.Drain, closes every connection, ends every call (with ErrNoAnswer or
// ErrUnreachable) and waits for all goroutines, those of [Handler.Serve] included. Closing twice is no error.
func (l *Link) Close() error {
	l.mu.Lock()
	running := l.state == stateRunning
	l.state = stateClosed
	listeners := l.listeners
	l.mu.Unlock()
	var errs []error
	if running {
		for _, listener := range listeners {
			errs = append(errs, listener.Close())
		}
		for _, p := range l.all() {
			p.shut()
		}
		l.drain()
	}
	l.stopDialing()
	l.stopServes()
	for _, p := range l.all() {
		p.shut()
		p.cut()
	}
	l.goroutines.Wait()
	return errors.Join(errs...)
}

// drain waits, not for long, until the calls of peers are answered and what is queued has left.
func (l *Link) drain() {
	timeout := time.NewTimer(l.timing.Drain)
	defer timeout.Stop()
	served := make(chan struct{})
	l.goroutines.Go(func() { l.handlers.Wait(); close(served) })
	if !within(timeout, served) {
		return
	}
	var leaving []*sender
	for _, p := range l.all() {
		for _, s := range *p.live.Load() {
			s.drain()
			leaving = append(leaving, s)
		}
	}
	for _, s := range leaving {
		if !within(timeout, s.gone) {
			return
		}
	}
}

func within(timeout *time.Timer, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-timeout.C:
		return false
	}
}

// Addrs are the addresses the link listens on, one per carrier; they differ from Config.Listen where that had port 0.
func (l *Link) Addrs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, listener := range l.listeners {
		all = append(all, listener.Addr().String())
	}
	return all
}

// Send gives a payload for a shard to a peer, if all goes well: it never blocks, and drops (and counts) when the peer is not
// connected or its queue is full. Payloads of one shard arrive in the order of Send, small ones even behind large ones that
// are still queued. The payload is copied; the caller may use it again.
func (l *Link) Send(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	l.send(to, shard, payload, laneInteractive)
}

// SendUrgent is Send for small payloads that may overtake everything else, those of their own shard included: heartbeats,
// votes and the answers to them. Payloads above 1 KiB go the way of Send.
func (l *Link) SendUrgent(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	lane := laneControl
	if len(payload) > maxUrgent {
		lane = laneInteractive
	}
	l.send(to, shard, payload, lane)
}

const maxUrgent = 1 << 10

func (l *Link) send(to holdfast.SiteID, shard holdfast.ShardID, payload []byte, lane lane) {
	p := l.peer(to)
	if p == nil || len(payload) > MaxPayload {
		l.unroutable.Add(1)
		return
	}
	p.send(&message{kind: kindRaft, lane: lane, shard: shard, body: payload})
}

// Peers returns the state of every peer, by site.
func (l *Link) Peers() []PeerStatus {
	var all []PeerStatus
	peers := l.all()
	for _, site := range slices.Sorted(maps.Keys(peers)) {
		all = append(all, peers[site].status())
	}
	return all
}

// Totals returns the counters that belong to no peer.
func (l *Link) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Totals{
		Strangers: l.strangers.Load(), Handshakes: l.failed.Load(), BadFrames: l.badFrames.Load(),
		Refused: l.refused.Load(), Unroutable: l.unroutable.Load(), Serving: l.serving,
	}
}

// watch pings, and notices silence and stalls. It looks often while a carrier owes an answer, and otherwise when it is time to ping.
func (l *Link) watch() {
	t := time.NewTimer(0)
	defer t.Stop()
	var sampled time.Duration
	due := l.since()
	for {
		select {
		case <-l.dialCtx.Done():
			return
		case <-t.C:
		case <-l.stir:
		}
		now := l.since()
		ping, sample := now >= due, now-sampled >= time.Second
		for _, p := range l.all() {
			if ping {
				p.tick()
			}
			if sample {
				p.sample(now)
			}
			p.steer(now)
		}
		if ping {
			due = now + untilNext(l.timing.Ping, l.site)
		}
		if sample {
			sampled = now
		}
		t.Reset(l.pause(due - now))
	}
}

// pause is how long to wait until the next look, when the next ping is due after some time.
func (l *Link) pause(ping time.Duration) time.Duration {
	for _, p := range l.all() {
		if p.owed() {
			return min(ping, steerTime)
		}
	}
	return ping
}

// owed reports whether one of several carriers owes an answer: then it may have stalled.
func (p *peer) owed() bool {
	live := *p.live.Load()
	return len(live) > 1 && slices.ContainsFunc(live, (*sender).owes)
}

// owes reports whether an answer is waited for, or will be as soon as the writer has taken what is queued.
func (s *sender) owes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since != 0 || s.queuedLocked() > 0
}

// untilNext is how long it is until the clock shows a multiple of a period. Whatever a site does again and again it does at multiples of
// the same moments, so that it wakes once for all of it; and sites at different ones.
func untilNext(period time.Duration, site holdfast.SiteID) time.Duration {
	shifted := time.Duration(time.Now().UnixNano()) + time.Duration(site)*sitePhase
	return period - shifted%period
}

// sitePhase is by how much the moments of one site are earlier than those of the one before it.
const sitePhase = 3 * time.Millisecond

// steerTime is between two looks for stalled carriers.
const steerTime = 5 * time.Millisecond

// since is the time since the link was made, from the monotonic clock.
func (l *Link) since() time.Duration { return time.Since(l.started) }

// warn logs, but not more than once a second: strangers must not be able to fill a disk.
func (l *Link) warn(text string, args ...any) {
	now, last := int64(l.since()), l.warned.Load()
	if (last == 0 || now-last > int64(time.Second)) && l.warned.CompareAndSwap(last, now) {
		l.log.Warn(text, args...)
	}
}

// hello is the first frame of a connection, from either side.
func (l *Link) hello(to holdfast.SiteID, carrier int) []byte {
	h := hello{version: version, from: l.site, to: to, carrier: uint16(carrier), incarnation: l.incarnation, program: l.program}
	return appendFrame(nil, frame{kind: kindHello, flags: flagWhole}, nil, h.append(nil))
}
