package link

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// peer is another site.
type peer struct {
	link  *Link
	site  holdfast.SiteID
	tls   *tls.Config        // for dialling it
	paths []*path            // by carrier
	stop  context.CancelFunc // ends dialling it; nil: it has not begun. Guarded by the link's mu until the peer is gone

	live       atomic.Pointer[[]*sender] // established sending connections, by carrier; replaced as a whole under mu
	bulkOn     atomic.Pointer[sender]    // carries bulk; it may be dead for a moment
	small      *backlog                  // laneInteractive: every connection carries all of it
	large      *backlog                  // laneBulk
	urgent     atomic.Uint64             // last sequence of laneControl
	dropped    atomic.Uint64
	abandoned  atomic.Uint64
	duplicates atomic.Uint64
	moves      atomic.Uint64

	notifyMu sync.Mutex // serializes Notify; taken before mu
	told     bool       // what Notify was told last

	mu        sync.Mutex
	closed    bool
	receivers []*receiver
	raised    chan struct{} // closed and replaced when a sender comes up
	calls     map[uint64]*call
	lastCall  uint64
	seen      *incarnation // of the peer's process, nil when never met
	program   string
}

func newPeer(l *Link, site holdfast.SiteID, addresses []string, firstCall uint64) *peer {
	p := &peer{link: l, site: site, raised: make(chan struct{}), calls: map[uint64]*call{}, lastCall: firstCall}
	p.live.Store(&[]*sender{})
	p.small = newBacklog(&l.pool, laneInteractive, l.limits.Interactive)
	p.large = newBacklog(&l.pool, laneBulk, l.limits.Bulk)
	p.tls = l.tlsConfig(func(at holdfast.SiteID) bool { return at == site })
	for i, address := range addresses {
		p.paths = append(p.paths, &path{peer: p, carrier: i, address: address, retry: make(chan struct{}, 1)})
	}
	return p
}

// send queues a message wherever it belongs. One that no carrier takes is dropped and counted.
func (p *peer) send(m *message) {
	if p.queue(m) != nil {
		p.dropped.Add(1)
	}
}

// queue queues a message for all connections when it is small, for the one that carries bulk when it is large, or says why
// not: errBroken or errFull.
func (p *peer) queue(m *message) error {
	live := *p.live.Load()
	if len(live) == 0 {
		return errBroken
	}
	m.lane = p.laneOf(m)
	switch m.lane {
	case laneControl:
		return p.urge(m, live)
	case laneBulk:
		p.chooseBulk(live)
		m.after = p.small.tail()
		if err := p.large.add(m); err != nil {
			return err
		}
		if on := p.bulkOn.Load(); on != nil {
			on.wake()
		}
		if len(live) > 1 {
			select {
			case p.link.stir <- struct{}{}:
			default:
			}
		}
	default:
		if err := p.small.add(m); err != nil {
			return err
		}
		for _, s := range live {
			s.wake()
		}
	}
	return nil
}

// laneOf chooses the lane of a message. Where the peer may not have large ones of the same shard yet, a small one that is not
// urgent goes behind them.
func (p *peer) laneOf(m *message) lane {
	switch {
	case m.lane == laneControl && m.kind == kindRaft:
		return laneControl
	case len(m.head)+len(m.body) > maxChunk:
		return laneBulk
	case m.kind == kindRaft && p.large.holds(m.shard, len(p.paths) == 1):
		return laneBulk
	}
	return laneInteractive
}

// urge queues an urgent message on every connection; one that takes it is enough.
func (p *peer) urge(m *message, live []*sender) (err error) {
	m.seq = p.urgent.Add(1)
	taken := false
	for _, s := range live {
		if e := s.push(m); e != nil {
			err = e
		} else {
			taken = true
		}
	}
	if taken {
		return nil
	}
	return err
}

// raise takes a new sending connection into use. It begins with what the peer is not known to have. Where that was meant for a
// former life of the peer's process, which cannot take it any more, the connections to that life end here.
func (p *peer) raise(s *sender) {
	p.change(func() {
		next := []*sender{s}
		for _, other := range *p.live.Load() {
			if other.to.id == s.to.id {
				next = append(next, other)
			} else {
				other.close(errRestarted)
			}
		}
		if len(next) == 1 {
			p.abandon()
		}
		slices.SortFunc(next, func(a, b *sender) int { return a.path.carrier - b.path.carrier })
		p.live.Store(&next)
		close(p.raised)
		p.raised = make(chan struct{})
		if p.closed {
			s.close(ErrClosed)
		}
	})
	p.link.log.Info("connected", "peer", p.site, "carrier", s.path.carrier, "rtt", s.minRTT)
}

// drop takes a broken sending connection out of use. The others go on with what it carried; after the last one, nothing that
// waits can be sent, and no call is sure of an answer.
func (p *peer) drop(s *sender) {
	p.change(func() {
		next := slices.DeleteFunc(slices.Clone(*p.live.Load()), func(other *sender) bool { return other == s })
		p.live.Store(&next)
		if len(next) == 0 {
			p.abandon()
		}
	})
	p.steer(p.link.since())
}

// abandon ends, under the lock, everything that was under way.
func (p *peer) abandon() {
	if p.small.drop()+p.large.drop() > 0 {
		p.abandoned.Add(1)
	}
	for id, c := range p.calls {
		delete(p.calls, id)
		c.done <- result{err: c.giveUp(errBroken)}
	}
}

// join enters a connection that the peer has dialled; too many of one carrier push the oldest out.
func (p *peer) join(r *receiver) {
	p.change(func() {
		p.receivers = append(p.receivers, r)
		same := 0
		for _, other := range slices.Backward(p.receivers) {
			if other.path == r.path {
				if same++; same > maxReceivers {
					other.conn.close()
				}
			}
		}
		if p.closed {
			r.conn.close()
		}
	})
	r.path.hasten()
}

func (p *peer) leave(r *receiver) {
	p.change(func() {
		p.receivers = slices.DeleteFunc(p.receivers, func(other *receiver) bool { return other == r })
	})
}

// change edits under the lock and tells the owner when the peer came into reach or went out of it.
func (p *peer) change(edit func()) {
	p.notifyMu.Lock()
	defer p.notifyMu.Unlock()
	p.mu.Lock()
	edit()
	up := p.up()
	p.mu.Unlock()
	if up != p.told {
		p.told = up
		if p.link.notify != nil {
			p.link.notify(p.site, up)
		}
	}
}

// up reports, under the lock, whether the peer can be called: it can be sent to, and it can answer. A connection from a former life
// of its process, which may not have been found broken yet, brings no answer.
func (p *peer) up() bool {
	for _, s := range *p.live.Load() {
		for _, r := range p.receivers {
			if r.from.id == s.to.id {
				return true
			}
		}
	}
	return false
}

// met notes who the peer is; a new incarnation starts with empty windows.
func (p *peer) met(h hello) *incarnation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil || p.seen.id != h.incarnation {
		p.seen = newIncarnation(h.incarnation, len(p.paths))
	}
	p.program = h.program
	return p.seen
}

// awaitSender waits until there is a connection to send on.
func (p *peer) awaitSender(ctx context.Context) bool {
	for {
		p.mu.Lock()
		raised, have := p.raised, len(*p.live.Load()) > 0
		p.mu.Unlock()
		if have {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-raised:
		}
	}
}

// tick pings on every connection, and gives up the silent ones and those whose certificate has ended.
func (p *peer) tick() {
	now := p.link.clock()
	for _, s := range *p.live.Load() {
		if s.conn.expired(now) {
			s.close(errExpired)
			continue
		}
		s.tick()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.receivers {
		if r.conn.expired(now) {
			r.conn.close()
			p.link.warn("gave a connection up", "peer", p.site, "carrier", r.path.carrier, "reason", errExpired.Error())
			continue
		}
		r.tick()
	}
}

// sample takes the loss of every carrier down.
func (p *peer) sample(now time.Duration) {
	p.mu.Lock()
	seen := p.seen
	p.mu.Unlock()
	if seen != nil {
		seen.sampleLoss(now, p.link.timing.Ping)
	}
}

// shut refuses new calls from now on.
func (p *peer) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// cut closes every connection; those that owned them finish what depended on it.
func (p *peer) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range *p.live.Load() {
		s.close(ErrClosed)
	}
	for _, r := range p.receivers {
		r.conn.close()
	}
}

func (p *peer) status() PeerStatus {
	now := p.link.since()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := PeerStatus{
		Site: p.site, Up: p.up(), Version: p.program, Waiting: len(p.calls),
		Dropped: p.dropped.Load(), Duplicates: p.duplicates.Load(), Moves: p.moves.Load(),
	}
	if p.seen != nil {
		st.Incarnation = p.seen.id
	}
	for i, path := range p.paths {
		var s *sender
		for _, other := range *p.live.Load() {
			if other.path == path {
				s = other
			}
		}
		c := path.status(now, s)
		if p.seen != nil && path.address != "" {
			n := p.seen.lossOf(i, now, p.link.timing.Ping)
			c.Loss, c.Missed, c.Late = p.seen.loss.share(i, n), n.missed, n.late
		}
		st.Carriers = append(st.Carriers, c)
		if i == 0 || c.Silence < st.Silence {
			st.Silence = c.Silence
		}
		if c.Up && (st.RTT == 0 || c.RTT < st.RTT) {
			st.RTT = c.RTT
		}
	}
	return st
}
