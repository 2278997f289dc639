package link

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"

	"holdfast"
)

// peer is another site.
type peer struct {
	link  *Link
	site  holdfast.SiteID
	tls   *tls.Config // for dialling it
	paths []*path     // by carrier

	live       atomic.Pointer[[]*sender] // established sending connections, by carrier; replaced as a whole under mu
	sequence   [lanes]atomic.Uint64
	dropped    atomic.Uint64
	duplicates atomic.Uint64

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

// incarnation is one life of a peer's process, with what has been received of it.
type incarnation struct {
	id uint64

	mu      sync.Mutex
	windows [lanes]window
}

func (i *incarnation) fresh(l lane, seq uint64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.windows[l].fresh(seq)
}

func newPeer(l *Link, site holdfast.SiteID, addresses []string, firstCall uint64) *peer {
	p := &peer{link: l, site: site, raised: make(chan struct{}), calls: map[uint64]*call{}, lastCall: firstCall}
	p.live.Store(&[]*sender{})
	p.tls = l.tlsConfig(func(at holdfast.SiteID) bool { return at == site })
	for i, address := range addresses {
		p.paths = append(p.paths, &path{peer: p, carrier: i, address: address, retry: make(chan struct{}, 1)})
	}
	return p
}

// number gives the next sequence of a lane.
func (p *peer) number(l lane) uint64 { return p.sequence[l].Add(1) }

// send queues a message wherever it belongs. One that no connection takes is dropped and counted.
func (p *peer) send(m *message) {
	targets := p.pick(m)
	m.seq = p.number(m.lane)
	sent := false
	for _, s := range targets {
		sent = s.push(m) == nil || sent
	}
	if !sent {
		p.dropped.Add(1)
	}
}

// pick chooses the lane of a message that is not urgent, and the connections for it: all of them for a small one, the best one
// for a large one. Where large ones of the same shard are still queued, a small one goes behind them.
func (p *peer) pick(m *message) []*sender {
	live := *p.live.Load()
	if m.lane == laneControl && m.kind == kindRaft {
		return live
	}
	m.lane = laneInteractive
	if len(m.head)+len(m.body) > maxChunk {
		m.lane = laneBulk
		return best(live)
	}
	if m.kind != kindRaft {
		return live
	}
	for i, s := range live {
		if s.holdsBulk(m.shard) {
			m.lane = laneBulk
			return live[i : i+1]
		}
	}
	return live
}

// best returns the connection with the shortest round trip among those that answer.
func best(live []*sender) []*sender {
	if len(live) <= 1 {
		return live
	}
	i := 0
	for j, s := range live {
		quiet, than := s.quiet.Load() > 1, live[i].quiet.Load() > 1
		if quiet != than && than || quiet == than && s.path.srtt.Load() < live[i].path.srtt.Load() {
			i = j
		}
	}
	return live[i : i+1]
}

// raise takes a new sending connection into use.
func (p *peer) raise(s *sender) {
	p.change(func() {
		next := append(slices.Clone(*p.live.Load()), s)
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

// drop takes a broken sending connection out of use and ends the calls that were on no other.
func (p *peer) drop(s *sender) {
	p.change(func() {
		next := slices.DeleteFunc(slices.Clone(*p.live.Load()), func(other *sender) bool { return other == s })
		p.live.Store(&next)
		for _, c := range p.calls {
			if slices.Contains(c.on, s) {
				p.detach(c, s, errBroken)
			}
		}
	})
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

// up reports, under the lock, whether the peer can be called: it can be sent to, and it can answer.
func (p *peer) up() bool { return len(*p.live.Load()) > 0 && len(p.receivers) > 0 }

// met notes who the peer is; a new incarnation starts with empty windows.
func (p *peer) met(h hello) *incarnation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil || p.seen.id != h.incarnation {
		p.seen = &incarnation{id: h.incarnation}
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

// tick pings on every connection and gives up the silent ones.
func (p *peer) tick() {
	for _, s := range *p.live.Load() {
		s.tick()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.receivers {
		r.tick()
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
		Dropped: p.dropped.Load(), Duplicates: p.duplicates.Load(),
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
