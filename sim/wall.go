package sim

import (
	"time"

	"holdfast"
)

// sentBeat is when a beat left.
type sentBeat struct {
	number uint64
	at     time.Duration
}

// hearClock takes what the latest beat of another site says of its clock.
func (p *process) hearClock(from holdfast.SiteID) {
	theirs, after := p.beats.TheirWall(from)
	if left := p.sent[after%uint64(len(p.sent))]; theirs != 0 && after > 0 && left.number == after {
		p.wall.Heard(from, theirs, left.at, p.f.e.now)
	}
}

// astrayPause is how often a site whose clock is not believed hands over what it leads. It shares no factor with the election time-out.
const astrayPause = 97 * tick

// giveAway hands over what is led here, as shard.Host does, while the clock is not believed.
func (p *process) giveAway() {
	if p.clock(); p.wall.Beyond() > 0 {
		p.f.stats.Mistrusted++
		for _, r := range p.replicas {
			r.giveAway()
		}
	}
	p.after(astrayPause, p.giveAway)
}

func (r *replica) giveAway() {
	if r.core == nil || r.out || !r.core.Leader().Self {
		return
	}
	status, err := r.core.Status()
	if r.failed(err) || status.State != "leader" {
		return
	}
	to := r.p.wall.Heir(status, r.p.own(), r.p.f.e.now)
	if to == 0 {
		return
	}
	r.p.f.e.logf("site %d shard %d: hands over to replica %x, for its clock is %s ahead", r.p.site, r.shard, uint64(to), r.p.wall.Beyond())
	if err := r.core.TransferTo(to); err != nil && !tolerable(err) {
		r.failed(err)
		return
	}
	r.pump()
}

// mostAhead is how far beyond all clocks that have not run away a stamp may be: as far as one may be ahead of the median of them, and a little
// for beats that were on their way, and for questions about the past, which a leader answers when they are a little ahead of its clock.
const mostAhead = holdfast.Time(5*time.Second + time.Second)

// runawayPause is for how long all clocks are right before the next runs away: those who have heard the one before have forgotten it.
const runawayPause = 3 * time.Second

// runAway lets the clock of a site jump far ahead, until somebody sets it: of one site at a time, for a majority has to be right.
func (x *faults) runAway() {
	p := x.f.anySite()
	for _, other := range x.f.sites {
		if other.astray != 0 || x.righted > 0 && x.f.e.now-x.righted < runawayPause {
			return
		}
	}
	p.astray = x.f.e.between(20*time.Minute, 1000*time.Hour)
	p.offset += p.astray
	x.f.stats.Runaways++
	x.f.e.logf("site %d: the clock runs away, by %s", p.site, p.astray)
	x.later(100*time.Millisecond, 4*time.Second, func() { x.setClock(p) })
}

func (x *faults) setClock(p *process) {
	if p.astray == 0 {
		return
	}
	p.offset, p.astray, x.righted = p.offset-p.astray, 0, x.f.e.now
	x.f.e.logf("site %d: the clock is set to %s", p.site, p.offset)
}

// notePace notes how far ahead the clocks are that have not run away.
func (f *fleet) notePace() {
	for _, p := range f.sites {
		f.pace = max(f.pace, holdfast.Time(p.offset-p.astray))
	}
}
