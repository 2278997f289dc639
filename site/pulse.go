package site

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// pulse is what sites tell each other about themselves many times per QuorumSilence. An answer to it is the proof that the
// way is open in both directions, which merely hearing from a peer is not: in a one-way cut a site hears everybody, and
// nobody hears it.
type pulse struct {
	version  string
	ready    bool
	stopping bool
	digestOK bool
	diskFull bool
	diskFree uint64
	unwell   bool                        // not fit to lead just now, see [shard.Health], or until lately; a release that does not say it counts as fit
	leads    map[holdfast.ShardID]uint64 // with their terms
	reach    []holdfast.SiteID           // that answer it, for some time already
	knows    byte                        // what its release knows that earlier ones do not: see knowsTickets
}

// knowsTickets: a site tells those who forward requests to it how far its disk is. Sites of an earlier release do not, and refuse requests
// with tickets.
const knowsTickets = 1

// knowsLeft: a site goes by how long the callers of each group of a forwarded request wait. Those of an earlier release refuse groups that say so.
const knowsLeft = 2

func (p *pulse) append(b []byte) []byte {
	b = append(b, wireVersion, flag(p.ready), flag(p.stopping), flag(p.digestOK), flag(p.diskFull))
	b = binary.BigEndian.AppendUint64(b, p.diskFree)
	b = appendText(b, p.version)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.leads)))
	for id, term := range p.leads {
		b = binary.BigEndian.AppendUint16(b, uint16(id))
		b = binary.BigEndian.AppendUint64(b, term)
	}
	return shard.AppendSites(append(b, p.knows, flag(p.unwell)), p.reach) // last: earlier releases do not read on
}

func readPulse(b []byte) (pulse, error) {
	r := reader{b: b}
	if r.u8() != wireVersion {
		r.fail()
	}
	p := pulse{ready: r.u8() == 1, stopping: r.u8() == 1, digestOK: r.u8() == 1, diskFull: r.u8() == 1}
	p.diskFree = r.u64()
	p.version = r.text()
	n := int(r.u16())
	p.leads = make(map[holdfast.ShardID]uint64, min(n, MaxShards))
	for range n {
		id := holdfast.ShardID(r.u16())
		p.leads[id] = r.u64()
	}
	if len(r.b) > 0 {
		p.knows = r.u8()
	}
	if len(r.b) > 0 {
		p.unwell = r.u8() == 1
	}
	p.reach, _ = shard.ParseSites(r.b)
	return p, r.err()
}

// watch keeps the pulse of the other sites. One goroutine per peer asks, one looks whether a majority still answers.
type watch struct {
	link    caller
	self    func() pulse
	heard   func(from holdfast.SiteID, p pulse) // every pulse, from either side
	lost    func(peer holdfast.SiteID)          // no answer for longer than silence
	back    func(peer holdfast.SiteID)          // it answers, for the first time or again
	turned  func(heard bool)                    // the majority was lost or is back
	leading func() bool                         // consensus says that we lead, which takes a majority; may be nil
	silence time.Duration
	site    holdfast.SiteID // this one
	epoch   time.Time       // where the monotonic clock is counted from

	peers    atomic.Pointer[map[holdfast.SiteID]*peerWatch] // replaced as a whole under mu
	voters   atomic.Pointer[[][]holdfast.SiteID]            // of every shard; nil: as long as nothing else is known, all sites vote
	majority atomic.Pointer[majority]
	done     sync.WaitGroup
	cancel   context.CancelFunc

	mu  sync.Mutex
	ctx context.Context // guarded by mu; nil: not started, or stopped
}

// peerWatch is what is known of one peer.
type peerWatch struct {
	stop     context.CancelFunc
	answered atomic.Int64 // when the latest ping that was answered left, in nanoseconds since epoch; 0: never
	beaten   atomic.Int64 // when a beat of ours was confirmed last, likewise
	beats    atomic.Bool  // they came lately, as was seen last
	news     stir         // what this site says of itself has changed
	latest   atomic.Pointer[pulse]
	up       atomic.Bool // answered lately, as was told last
}

func newWatch(peers []Peer, silence time.Duration) *watch {
	w := &watch{epoch: time.Now(), silence: silence}
	list := map[holdfast.SiteID]*peerWatch{}
	for _, p := range peers {
		list[p.Site] = &peerWatch{news: newStir()}
	}
	w.peers.Store(&list)
	w.majority.Store(&majority{heard: len(peers) == 0, changed: make(chan struct{})})
	return w
}

func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.cancel = context.WithCancel(context.Background())
	for id, p := range *w.peers.Load() {
		w.begin(id, p)
	}
	if len(*w.peers.Load()) > 0 {
		ctx := w.ctx
		w.done.Go(func() { w.look(ctx) })
	}
}

// begin asks a peer from now on. Called under mu, after start.
func (w *watch) begin(id holdfast.SiteID, p *peerWatch) {
	var ctx context.Context
	ctx, p.stop = context.WithCancel(w.ctx)
	w.done.Go(func() { w.ask(ctx, id, p) })
}

func (w *watch) stop() {
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
	w.cancel()
	w.done.Wait()
}

// peer is what is known of a site; nil: it is no peer.
func (w *watch) peer(id holdfast.SiteID) *peerWatch { return (*w.peers.Load())[id] }

// setPeers takes sites into the watch and out of it, running or not. It returns those that are gone.
func (w *watch) setPeers(peers []Peer) (gone []holdfast.SiteID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, next := *w.peers.Load(), map[holdfast.SiteID]*peerWatch{}
	for _, p := range peers {
		if next[p.Site] = old[p.Site]; next[p.Site] == nil {
			next[p.Site] = &peerWatch{news: newStir()}
			if w.ctx != nil {
				w.begin(p.Site, next[p.Site])
			}
		}
	}
	for id, p := range old {
		if next[id] == nil {
			if p.stop != nil {
				p.stop()
			}
			gone = append(gone, id)
		}
	}
	w.peers.Store(&next)
	return gone
}

// enough reports whether the sites that are heard are a majority: of the voters of some shard, for there is something that can be
// done then; of all sites, as long as nothing is known about voters. While sites come and go not all shards have the same.
func (w *watch) enough(heard func(holdfast.SiteID) bool) bool {
	sets := w.voters.Load()
	if sets == nil || len(*sets) == 0 {
		all := []holdfast.SiteID{w.site}
		for id := range *w.peers.Load() {
			all = append(all, id)
		}
		sets = &[][]holdfast.SiteID{all}
	}
	for _, set := range *sets {
		n := 0
		for _, id := range set {
			if id == w.site || heard(id) {
				n++
			}
		}
		if n > len(set)/2 {
			return true
		}
	}
	return false
}

// pulses per silence: so many answers in a row have to be missing before a peer counts as lost.
const pulses = 5

// ask sends a pulse again and again, whether the one before has been answered or not, so that a slow answer delays nothing. A
// call that is not answered is given up after a silence, which bounds how many are under way. While beats prove that the way is
// open, which they do more often and for less, pulses are only news, and go once a second, or when there is some.
func (w *watch) ask(ctx context.Context, id holdfast.SiteID, p *peerWatch) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	underway := make(chan struct{}, pulses+1)
	for {
		select {
		case underway <- struct{}{}:
			calls.Go(func() {
				w.ping(ctx, id, p)
				<-underway
			})
		default:
		}
		timer.Reset(w.untilPulse(p))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.news:
		}
	}
}

func (w *watch) untilPulse(p *peerWatch) time.Duration {
	if w.beating(p) {
		return untilNext(newsTime, w.site)
	}
	return w.silence / pulses
}

// beating reports whether beats prove that the way to a peer is open.
func (w *watch) beating(p *peerWatch) bool {
	at := time.Duration(p.beaten.Load())
	return at > 0 && w.now()-at < w.silence/2
}

// untilNext is how long it is until the clock shows a multiple of a period. Whatever a site does again and again it does at multiples of
// the same moments, so that it wakes once for all of it.
func untilNext(period time.Duration, site holdfast.SiteID) time.Duration {
	if period < wakeTime {
		return period
	}
	period = period.Truncate(wakeTime)
	shifted := time.Duration(time.Now().UnixNano()) + time.Duration(site)*sitePhase
	return period - shifted%period
}

const (
	// sitePhase is by how much the moments of one site are earlier than those of the one before it.
	sitePhase = 3 * time.Millisecond
	// newsTime is how often a site says what it is while nothing has changed, and beats prove that the way is open.
	newsTime = time.Second
	// wakeTime is what the periods of a site at rest are multiples of: the time between beats.
	wakeTime = 40 * time.Millisecond
)

// confirmed notes that a peer has heard what left here then.
func (w *watch) confirmed(from holdfast.SiteID, left time.Time) {
	p := w.peer(from)
	if p == nil {
		return
	}
	p.beaten.Store(int64(w.now()))
	p.beats.Store(true)
	if p.answer(left.Sub(w.epoch)) && !p.up.Load() {
		w.count(false)
	}
}

// unwell reports whether a peer says that it is not fit to lead.
func (p *peerWatch) unwell() bool {
	l := p.latest.Load()
	return l != nil && l.unwell
}

// stops reports whether a peer is stopping, or has not said yet what it does.
func (p *peerWatch) stops() bool {
	l := p.latest.Load()
	return l == nil || l.stopping
}

// tell makes every peer hear at once what this site says of itself.
func (w *watch) tell() {
	for _, p := range *w.peers.Load() {
		p.news.set()
	}
}

func (w *watch) ping(ctx context.Context, id holdfast.SiteID, p *peerWatch) {
	mine := w.self()
	ctx, cancel := context.WithTimeout(ctx, w.silence)
	defer cancel()
	sent := w.now()
	answer, err := w.link.Call(ctx, id, methodPulse, mine.append(nil))
	if err != nil {
		return // silence is what look counts
	}
	if theirs, err := readPulse(answer); err == nil && p.answer(sent) {
		p.latest.Store(&theirs)
		w.heard(id, theirs)
		w.count(false) // at once: a request may be waiting for a majority to come back
	}
}

// answer notes that a ping of that time was answered, and reports whether it is the latest.
func (p *peerWatch) answer(sent time.Duration) bool {
	for {
		old := p.answered.Load()
		if old >= int64(sent) {
			return false
		}
		if p.answered.CompareAndSwap(old, int64(sent)) {
			return true
		}
	}
}

// look notices silence within a tenth of it. When this process itself has been asleep (stopped, or starved of processor
// time), the answers of the others may be waiting unread: then it gives them the time of two pulses first.
func (w *watch) look(ctx context.Context) {
	tick := w.silence / (2 * pulses)
	timer := time.NewTimer(tick)
	defer timer.Stop()
	last, listen := w.now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(w.untilLook(tick))
		now := w.now()
		if now-last > 3*tick {
			listen = now + 4*tick
		}
		last = now
		w.count(now >= listen)
	}
}

// untilLook is how long it is until the next look: within a tenth of a silence, or, while beats come from everybody, a fifth.
func (w *watch) untilLook(tick time.Duration) time.Duration {
	pause := untilNext(2*tick, w.site)
	for _, p := range *w.peers.Load() {
		if !w.beating(p) {
			pause = tick
			if p.beats.Swap(false) {
				p.news.set() // pulses have to prove it from now on
			}
		}
	}
	return pause
}

// count compares what has been answered with the clock and tells when something turned: what is back at any time, what is
// lost only when mayLose.
func (w *watch) count(mayLose bool) {
	for id, p := range *w.peers.Load() {
		up := w.answers(p)
		switch {
		case up && !p.up.Swap(true):
			w.back(id)
		case !up && mayLose && p.up.Swap(false):
			p.latest.Store(nil) // when it answers again, it may be another one than it was: a word of before counts as a relapse
			w.lost(id)
		}
	}
	// A leader that does not hear from a majority within one election time-out ceases to be one (Raft's CheckQuorum). It is the
	// better witness where processor time is short: a heartbeat is answered when a call has still to be scheduled.
	reached := w.enough(func(id holdfast.SiteID) bool { return w.answers(w.peer(id)) }) || w.leading != nil && w.leading()
	if reached || mayLose {
		w.turn(reached)
	}
}

// now is the time since epoch, on the monotonic clock.
func (w *watch) now() time.Duration { return time.Since(w.epoch) }

// answers reports whether a peer has answered lately; nil does not.
func (w *watch) answers(p *peerWatch) bool {
	if p == nil {
		return false
	}
	at := time.Duration(p.answered.Load())
	return at > 0 && w.now()-at <= w.silence
}

func (w *watch) turn(heard bool) {
	for {
		old := w.majority.Load()
		if old.heard == heard {
			return
		}
		if w.majority.CompareAndSwap(old, &majority{heard: heard, changed: make(chan struct{})}) {
			close(old.changed)
			w.turned(heard)
			return
		}
	}
}
