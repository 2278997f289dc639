package site

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
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
	leads    map[holdfast.ShardID]uint64 // with their terms
}

func (p *pulse) append(b []byte) []byte {
	b = append(b, wireVersion, flag(p.ready), flag(p.stopping), flag(p.digestOK), flag(p.diskFull))
	b = binary.BigEndian.AppendUint64(b, p.diskFree)
	b = appendText(b, p.version)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.leads)))
	for id, term := range p.leads {
		b = binary.BigEndian.AppendUint16(b, uint16(id))
		b = binary.BigEndian.AppendUint64(b, term)
	}
	return b
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
	quorum  int       // sites, this one included
	epoch   time.Time // where the monotonic clock is counted from

	peers    map[holdfast.SiteID]*peerWatch
	majority atomic.Pointer[majority]
	done     sync.WaitGroup
	cancel   context.CancelFunc
}

// peerWatch is what is known of one peer.
type peerWatch struct {
	answered atomic.Int64 // when the latest ping that was answered left, in nanoseconds since epoch; 0: never
	latest   atomic.Pointer[pulse]
	up       atomic.Bool // answered lately, as was told last
}

func newWatch(peers []Peer, silence time.Duration) *watch {
	w := &watch{epoch: time.Now(), silence: silence, quorum: (len(peers)+1)/2 + 1, peers: map[holdfast.SiteID]*peerWatch{}}
	for _, p := range peers {
		w.peers[p.Site] = &peerWatch{}
	}
	w.majority.Store(&majority{heard: w.quorum <= 1, changed: make(chan struct{})})
	return w
}

func (w *watch) start() {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	for id, p := range w.peers {
		w.done.Go(func() { w.ask(ctx, id, p) })
	}
	if len(w.peers) > 0 {
		w.done.Go(func() { w.look(ctx) })
	}
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
}

// pulses per silence: so many answers in a row have to be missing before a peer counts as lost.
const pulses = 5

// ask sends a pulse at every tick, whether the one before has been answered or not, so that a slow answer delays nothing. A
// call that is not answered is given up after a silence, which bounds how many are under way.
func (w *watch) ask(ctx context.Context, id holdfast.SiteID, p *peerWatch) {
	ticker := time.NewTicker(w.silence / pulses)
	defer ticker.Stop()
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
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
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
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last, listen := w.now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := w.now()
		if now-last > 3*tick {
			listen = now + 4*tick
		}
		last = now
		w.count(now >= listen)
	}
}

// count compares what has been answered with the clock and tells when something turned: what is back at any time, what is
// lost only when mayLose.
func (w *watch) count(mayLose bool) {
	heard := 1
	for id, p := range w.peers {
		up := w.answers(p)
		if up {
			heard++
		}
		switch {
		case up && !p.up.Swap(true):
			w.back(id)
		case !up && mayLose && p.up.Swap(false):
			w.lost(id)
		}
	}
	// A leader that does not hear from a majority within one election time-out ceases to be one (Raft's CheckQuorum). It is the
	// better witness where processor time is short: a heartbeat is answered when a call has still to be scheduled.
	reached := heard >= w.quorum || w.leading != nil && w.leading()
	if reached || mayLose {
		w.turn(reached)
	}
}

// now is the time since epoch, on the monotonic clock.
func (w *watch) now() time.Duration { return time.Since(w.epoch) }

func (w *watch) answers(p *peerWatch) bool {
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
