package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

// maxReceivers bounds the connections that one peer has to us over one carrier: the live one, and some that have been given
// up over there but still hold bytes.
const maxReceivers = 4

// path is one carrier to one peer. Its goroutine dials and keeps the sending connection.
type path struct {
	peer    *peer
	carrier int
	address string
	retry   chan struct{} // capacity 1: dial now

	heard    atomic.Int64 // time since the start of the link when bytes came last, over any connection of this path
	srtt     atomic.Int64 // smoothed round trip
	rttvar   atomic.Int64 // its smoothed deviation
	minRTT   atomic.Int64 // smallest round trip ever
	sent     traffic
	received traffic
	dropped  atomic.Uint64
	dials    atomic.Uint64
	breaks   atomic.Uint64
	stalls   atomic.Uint64
	lastErr  atomic.Pointer[string]
}

type traffic struct{ frames, bytes atomic.Uint64 }

func (t *traffic) load() Traffic { return Traffic{Frames: t.frames.Load(), Bytes: t.bytes.Load()} }

// keep dials, serves the connection until it breaks, and dials again, until the context ends.
func (p *path) keep(ctx context.Context) {
	timing := p.peer.link.timing
	pause := timing.RedialMin
	for {
		p.dials.Add(1)
		s, err := p.dial(ctx)
		if err == nil {
			pause = timing.RedialMin
			p.peer.raise(s)
			p.lastErr.Store(nil)
			err = s.run()
			p.peer.drop(s)
			p.breaks.Add(1)
		}
		text := err.Error()
		if p.lastErr.Swap(&text) == nil {
			p.peer.link.log.Info("no connection", "peer", p.peer.site, "carrier", p.carrier, "reason", text)
		}
		if !p.rest(ctx, pause) {
			return
		}
		pause = min(2*pause, timing.RedialMax)
	}
}

// rest waits before the next dial, a random bit less than told, so that sites do not dial in step. A peer that has just
// dialled us ends it: it is there.
func (p *path) rest(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause - time.Duration(rand.Int64N(int64(pause/4)+1)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.retry:
	case <-t.C:
	}
	return true
}

// dial makes the connection on which this site sends: TCP, TLS, hello.
func (p *path) dial(ctx context.Context) (*sender, error) {
	l := p.peer.link
	ctx, cancel := context.WithTimeout(ctx, l.timing.Silence+l.timing.handshake())
	defer cancel()
	raw, err := l.dial(ctx, &net.Dialer{Timeout: l.timing.Silence}, p.address)
	if err != nil {
		return nil, err
	}
	if err := tune(raw); err != nil {
		_ = raw.Close()
		return nil, err
	}
	c, err := l.secure(ctx, raw, tls.Client, p.peer.tls)
	if err != nil {
		return nil, p.explain(err)
	}
	s := newSender(p, c)
	if err := s.greet(ctx); err != nil {
		c.close()
		return nil, p.explain(err)
	}
	c.batch.hold()
	return s, nil
}

// greet exchanges hellos, and takes the time for it as a first estimate of the round trip.
func (s *sender) greet(ctx context.Context) error {
	p := s.path
	l := p.peer.link
	stop := context.AfterFunc(ctx, s.conn.close)
	defer stop()
	start := l.since()
	if _, err := s.conn.Write(l.hello(p.peer.site, p.carrier)); err != nil {
		return err
	}
	f, err := s.in.next()
	if err != nil {
		return err
	}
	h, err := parseHello(f)
	if err != nil {
		return err
	}
	if h.version != version {
		return fmt.Errorf("site %d speaks version %d of the link, this one %d: upgrade the older one", p.peer.site, h.version, version)
	}
	if h.from != p.peer.site || h.to != l.site {
		return fmt.Errorf("%w: it says it is site %d and speaks to site %d", errStranger, h.from, h.to)
	}
	p.observe(l.since() - start)
	s.minRTT = l.since() - start
	s.to = p.peer.met(h)
	return nil
}

// explain counts strangers and adds what an operator can do.
func (p *path) explain(err error) error {
	l := p.peer.link
	var remote *net.OpError
	switch {
	case errors.Is(err, errStranger):
		l.strangers.Add(1)
		l.warn("address does not lead to the site it should",
			"peer", p.peer.site, "carrier", p.carrier, "address", p.address, "reason", err.Error())
		return fmt.Errorf("%s does not lead to site %d: %w", p.address, p.peer.site, err)
	case errors.As(err, &remote) && remote.Op == "remote error":
		l.warn("our certificate was refused",
			"peer", p.peer.site, "carrier", p.carrier, "address", p.address, "reason", err.Error())
		return fmt.Errorf("%s refuses the certificate of this site (%w): is it of the same cluster, and not expired?", p.address, err)
	}
	return err
}

// observe takes a measured round trip into the estimates (RFC 6298's smoothing).
func (p *path) observe(rtt time.Duration) {
	if old := p.srtt.Load(); old != 0 {
		off := int64((rtt - time.Duration(old)).Abs())
		p.rttvar.Store(p.rttvar.Load() + (off-p.rttvar.Load())/4)
		p.srtt.Store(old + (int64(rtt)-old)/8)
	} else {
		p.srtt.Store(int64(rtt))
		p.rttvar.Store(int64(rtt) / 2)
	}
	if old := p.minRTT.Load(); old == 0 || int64(rtt) < old {
		p.minRTT.Store(int64(rtt))
	}
}

// maxQuiet is how many pings may stay without a sign of life. A peer that has lately been slow gets more time, as in
// RFC 6298, up to four times as much: to dial it anew would only give it more to do.
func (p *path) maxQuiet() int32 {
	t := p.peer.link.timing
	patience := min(max(t.Silence, time.Duration(p.srtt.Load()+4*p.rttvar.Load())), 4*t.Silence)
	return int32(patience / t.Ping) // it is over when the next one is due
}

// heardNow notes a sign of life and returns the time.
func (p *path) heardNow() time.Duration {
	now := p.peer.link.since()
	p.heard.Store(int64(now))
	return now
}

// hasten makes the path dial at once if it is waiting to.
func (p *path) hasten() {
	select {
	case p.retry <- struct{}{}:
	default:
	}
}

func (p *path) status(now time.Duration, s *sender) CarrierStatus {
	c := CarrierStatus{
		Address: p.address, Up: s != nil, Silence: now - time.Duration(p.heard.Load()),
		RTT: time.Duration(p.srtt.Load()), MinRTT: time.Duration(p.minRTT.Load()),
		Sent: p.sent.load(), Received: p.received.load(), Dropped: p.dropped.Load(), Dials: p.dials.Load(), Breaks: p.breaks.Load(),
		Stalls: p.stalls.Load(),
	}
	if s != nil {
		c.Queued, c.Stalled = s.queued(), s.stalled.Load()
	}
	if text := p.lastErr.Load(); text != nil {
		c.LastErr = *text
	}
	return c
}
