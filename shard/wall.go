package shard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// A leader stamps what it proposes, and time only rises in a log: one clock that runs away would stamp the future of its shards for ever,
// and let every hold expire at once. So a site does not believe its own clock alone. Beats carry those of the others.

const (
	// clockBound is how far a site's clock may be ahead of the median of all sites' and be believed.
	clockBound = holdfast.Time(5e9)
	// clockKept is how long what was heard of another clock counts. Beats come many times as often; longer, and the clock of a site that is
	// down speaks for it.
	clockKept = 2 * time.Second
	// clockWait is how long before a clock is heard it may have been read: what was longer on its way says little of now, and a process that
	// was stopped finds what was sent long ago.
	clockWait = 500 * time.Millisecond
	// clockPause is how often leaderships are given away while the clock is not believed. It shares no factor with the election time-out, for
	// the reason that memberTicks gives: a hand-over looks who is active.
	clockPause = 970 * time.Millisecond
	// clockStep bounds it for one shard.
	clockStep = 200 * time.Millisecond
)

// Clock is the time by which a site stamps. It is a step function: mono is any clock that does not jump and runs at the pace of a
// real one. Not safe for concurrent use.
//
// The clock of the site is believed as long as it is at most clockBound ahead of the median of the clocks of all sites that are heard, its
// own included. A median of three has two that agree. With one other heard, nobody can tell which of two is wrong: then it is
// believed unless it has jumped, by its own mono, away from where it was, and after a start, when nobody knows where that is, the earlier
// of the two is. While nobody is heard it is believed unless it has jumped, and as long as nobody ever was. A clock that is not believed is replaced by what was believed last, carried on
// by mono. One that is behind pushes nothing into the future: stamps rise anyway.
type Clock struct {
	heard  map[holdfast.SiteID]heardClock
	others []holdfast.Time // what is heard, in order, until the first of it is too old
	until  time.Duration
	base   holdfast.Time // the wall clock less mono, as it was believed last beside others
	known  bool          // base is set
	beyond holdfast.Time // how far the site's clock is ahead of the median, when it is not believed; 0: it is
}

// heardClock is the clock of another site, less our mono when it was read.
type heardClock struct {
	offset holdfast.Time
	at     time.Duration
}

// NewClock knows of no other site yet.
func NewClock() *Clock { return &Clock{heard: map[holdfast.SiteID]heardClock{}} }

// Heard notes another site's clock, which was read between two moments of mono: after was when this site asked, now is when it hears.
func (c *Clock) Heard(from holdfast.SiteID, theirs holdfast.Time, after, now time.Duration) {
	if now-after > clockWait {
		return
	}
	c.heard[from] = heardClock{theirs - holdfast.Time((after+now)/2), now}
	c.count(now)
}

// count puts the clocks in order that are not too old.
func (c *Clock) count(now time.Duration) {
	c.others, c.until = c.others[:0], now+clockKept
	for _, h := range c.heard {
		if now-h.at <= clockKept {
			c.others = append(c.others, h.offset)
			c.until = min(c.until, h.at+clockKept)
		}
	}
	slices.Sort(c.others)
}

// Now is the time to stamp with, given the site's own clock.
func (c *Clock) Now(wall holdfast.Time, mono time.Duration) holdfast.Time {
	if mono > c.until && len(c.others) > 0 {
		c.count(mono)
	}
	own := wall - holdfast.Time(mono)
	steady := c.known && own <= c.base+clockBound
	switch len(c.others) {
	case 0:
		if !c.known {
			return wall // there is nothing else
		}
		if steady {
			return c.believe(own, mono)
		}
	case 1:
		if own <= c.others[0]+clockBound || steady {
			return c.believe(own, mono)
		}
	default:
		// Ahead of this one it is ahead of the lower median of all, itself included: it is that one then.
		if own <= c.others[len(c.others)/2]+clockBound {
			return c.believe(own, mono)
		}
	}
	return c.carryOn(own, mono)
}

func (c *Clock) believe(own holdfast.Time, mono time.Duration) holdfast.Time {
	c.base, c.known, c.beyond = own, true, 0
	return own + holdfast.Time(mono)
}

// carryOn is the time when the clock is not believed.
func (c *Clock) carryOn(own holdfast.Time, mono time.Duration) holdfast.Time {
	median := c.base
	if len(c.others) > 0 {
		median = c.others[len(c.others)/2]
	}
	c.beyond = own - median
	if !c.known || len(c.others) > 1 && c.base > median+clockBound {
		c.base, c.known = median, true // it was believed when nobody could know better
	}
	if PlantedClockBelieved {
		return own + holdfast.Time(mono)
	}
	return c.base + holdfast.Time(mono)
}

// Unsure reports that the clock was never judged beside that of another site.
func (c *Clock) Unsure() bool { return !c.known }

// Beyond is how far the clock of the site is ahead of the median, if it is not believed; 0: it is.
func (c *Clock) Beyond() time.Duration { return time.Duration(c.beyond) }

// judge says of another site's clock whether it is heard, beside one more at least, and whether it is too far ahead to be believed.
func (c *Clock) judge(id holdfast.SiteID, wall holdfast.Time, mono time.Duration) (heard, ahead bool) {
	h, ok := c.heard[id]
	c.count(mono)
	all := append(slices.Clone(c.others), wall-holdfast.Time(mono))
	slices.Sort(all)
	heard = ok && len(all) >= 3 && mono-h.at <= clockKept
	return heard, heard && h.offset > all[(len(all)-1)/2]+clockBound
}

// Heir is a caught-up voter at a site whose clock would be believed, for a leader here whose clock is not; 0: there is none.
func (c *Clock) Heir(leader NodeStatus, wall holdfast.Time, mono time.Duration) ReplicaID {
	for _, f := range leader.Followers {
		if f.Replica == leader.Replica || f.Role&Voter == 0 || !f.UpToDate || !f.Active {
			continue
		}
		if heard, ahead := c.judge(f.Site, wall, mono); heard && !ahead {
			return f.Replica
		}
	}
	return 0
}

// now is the time by which this site stamps.
func (h *Host) now() holdfast.Time {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	return h.clock.Now(h.config.Wall(), time.Since(h.epoch))
}

// Time is the time that this site believes: that of its own clock, unless it is far ahead of those of the others.
func (h *Host) Time() holdfast.Time { return h.now() }

// unsure reports that nobody knows yet whether this site's clock can be believed.
func (h *Host) unsure() bool {
	if h.sure.Load() || len(h.peers()) < 2 {
		return false
	}
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	h.sure.Store(!h.clock.Unsure())
	return h.clock.Unsure()
}

// astrayBy is how far this site's clock is ahead, if it is not believed.
func (h *Host) astrayBy() time.Duration {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	h.clock.Now(h.config.Wall(), time.Since(h.epoch))
	return h.clock.Beyond()
}

// hearClock takes the clock of another site that was read after a beat of this one had left.
func (h *Host) hearClock(from holdfast.SiteID, theirs holdfast.Time, after time.Time) {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	h.clock.Heard(from, theirs, after.Sub(h.epoch), time.Since(h.epoch))
}

// clockLoop says so when this site's clock is not believed, and gives what is led here away until it is. The clock of the shards looks once
// a second and wakes it; a site with a good clock does nothing here.
func (h *Host) clockLoop() {
	for {
		select {
		case <-h.astray:
		case <-h.ctx.Done():
			return
		}
		if beyond := h.astrayBy(); beyond > 0 {
			h.config.OnEvent(Event{Kind: EventClock, Text: fmt.Sprintf("the clock of this site is %v ahead of those of the other sites: it is not believed, "+
				"entries are stamped as if it had not jumped, and leaderships go elsewhere; set it, and run chrony or another NTP client", beyond)})
			h.awaitClock()
		}
	}
}

// awaitClock gives leaderships away until the clock is believed.
func (h *Host) awaitClock() {
	t := time.NewTicker(clockPause)
	defer t.Stop()
	for h.astrayBy() > 0 {
		h.giveAway()
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
	}
}

// giveAway hands every shard that is led here to a site with a better clock, if there is one.
func (h *Host) giveAway() {
	for _, s := range *h.seats.Load() {
		if !s.lead.Load().Self {
			continue
		}
		if err := s.giveAway(); err != nil {
			h.config.Logger.Debug("handing over because of the clock", "shard", s.id, "err", err) // tried again in a second
		}
	}
}

func (s *seat) giveAway() error {
	ctx, cancel := context.WithTimeout(s.host.ctx, clockStep)
	defer cancel()
	return s.do(ctx, func(r *Replica) error {
		status, err := r.Status()
		if err != nil || status.State != "leader" {
			return err
		}
		if to := s.host.heir(status); to != 0 {
			return r.TransferTo(to)
		}
		return nil
	})
}

func (h *Host) heir(leader NodeStatus) ReplicaID {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	return h.clock.Heir(leader, h.config.Wall(), time.Since(h.epoch))
}

// ClockAhead reports that the clock of another site is so far ahead of the median that it would not be believed: no leadership belongs there.
func (h *Host) ClockAhead(site holdfast.SiteID) bool {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	_, ahead := h.clock.judge(site, h.config.Wall(), time.Since(h.epoch))
	return ahead
}
