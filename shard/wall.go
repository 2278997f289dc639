package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// A leader stamps what it proposes, and time only rises in a log: one clock that runs away would stamp the future of its shards for ever,
// and let every hold expire at once. So a site does not believe its own clock alone.

const (
	// clockBound is how far a site's clock may be ahead of the median of all sites' and be believed.
	clockBound = holdfast.Time(5e9)
	// clockPause is how often sites ask each other for their clocks, clockKept how long an answer counts. It shares no factor with the election
	// time-out, for the reason that memberTicks gives: a hand-over looks who is active.
	clockPause = 970 * time.Millisecond
	clockKept  = 10 * clockPause
	clockWait  = 200 * time.Millisecond // for an answer; whoever takes longer says little of its clock
)

// Clock is the time by which a site stamps. It is a step function: mono is any clock that does not jump and runs at the pace of a
// real one. Not safe for concurrent use.
//
// The clock of the site is believed as long as it is at most clockBound ahead of the median of the clocks of all sites that are heard, its
// own included. A median of three has two that agree. With one other heard, nobody can tell which of two is wrong: then it is
// believed unless it has jumped, by its own mono, away from where it was. Alone it is believed: there is nothing else. A clock
// that is not believed is replaced by what was believed last, carried on by mono. One that is behind does no harm: stamps rise anyway.
type Clock struct {
	heard  map[holdfast.SiteID]heardClock
	base   holdfast.Time // the wall clock less mono, as it was believed last
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

// Heard notes what another site's clock was at mono.
func (c *Clock) Heard(from holdfast.SiteID, theirs holdfast.Time, mono time.Duration) {
	c.heard[from] = heardClock{theirs - holdfast.Time(mono), mono}
}

// Only forgets sites that are no more.
func (c *Clock) Only(sites []holdfast.SiteID) {
	for id := range c.heard {
		if !slices.Contains(sites, id) {
			delete(c.heard, id)
		}
	}
}

// Now is the time to stamp with, given the site's own clock.
func (c *Clock) Now(wall holdfast.Time, mono time.Duration) holdfast.Time {
	own := wall - holdfast.Time(mono)
	median, clocks := c.median(own, mono)
	ahead := own > median+clockBound
	jumped := c.known && own > c.base+clockBound
	if !ahead || clocks < 3 && !jumped {
		c.base, c.known, c.beyond = own, true, 0
		return wall
	}
	c.beyond = own - median
	if !c.known || clocks >= 3 && c.base > median+clockBound {
		c.base, c.known = median, true // it was believed when nobody else was heard
	}
	return c.base + holdfast.Time(mono)
}

// median is the lower median of all clocks that are known, less mono, and of how many.
func (c *Clock) median(own holdfast.Time, mono time.Duration) (holdfast.Time, int) {
	list := []holdfast.Time{own}
	for _, h := range c.heard {
		if mono-h.at <= clockKept {
			list = append(list, h.offset)
		}
	}
	slices.Sort(list)
	return list[(len(list)-1)/2], len(list)
}

// Beyond is how far the clock of the site is ahead of the median, if it is not believed; 0: it is.
func (c *Clock) Beyond() time.Duration { return time.Duration(c.beyond) }

// judge says of another site's clock whether it is heard, beside one more at least, and whether it is too far ahead to be believed.
func (c *Clock) judge(id holdfast.SiteID, wall holdfast.Time, mono time.Duration) (heard, ahead bool) {
	h, ok := c.heard[id]
	median, clocks := c.median(wall-holdfast.Time(mono), mono)
	heard = ok && clocks >= 3 && mono-h.at <= clockKept
	return heard, heard && h.offset > median+clockBound
}

// now is the time by which this site stamps.
func (h *Host) now() (t holdfast.Time) {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	return h.clock.Now(h.config.Wall(), time.Since(h.epoch))
}

// clockLoop asks the others for their clocks, and gives what is led here away while this site's own is not believed.
func (h *Host) clockLoop() {
	t := time.NewTicker(clockPause)
	defer t.Stop()
	said := false
	for {
		h.askClocks()
		h.now()
		h.clockMu.Lock()
		beyond := h.clock.Beyond()
		h.clockMu.Unlock()
		if beyond > 0 && !said {
			h.config.OnEvent(Event{Kind: EventClock, Text: fmt.Sprintf("the clock of this site is %v ahead of those of the other sites: it is not believed, "+
				"entries are stamped as if it had not jumped, and leaderships go elsewhere; set it, and run chrony or another NTP client", beyond)})
		}
		if said = beyond > 0; said {
			h.giveAway()
		}
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
	}
}

// askClocks asks all other sites at once. One of an older release does not know the question, and is not heard.
func (h *Host) askClocks() {
	ctx, cancel := context.WithTimeout(h.ctx, clockWait)
	defer cancel()
	peers := h.peers()
	done := make(chan struct{}, len(peers))
	for _, site := range peers {
		if site == h.config.Site {
			done <- struct{}{}
			continue
		}
		h.spawn(func() {
			defer func() { done <- struct{}{} }()
			h.askClock(ctx, site)
		})
	}
	for range peers {
		<-done
	}
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	h.clock.Only(peers)
}

func (h *Host) askClock(ctx context.Context, site holdfast.SiteID) {
	sent := time.Since(h.epoch)
	answer, err := h.config.Call(ctx, site, methodClock, nil)
	back := time.Since(h.epoch)
	if err != nil || len(answer) != 8 || back-sent > clockWait {
		return
	}
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	h.clock.Heard(site, holdfast.Time(binary.BigEndian.Uint64(answer)), sent+(back-sent)/2)
}

// giveAway hands every shard that is led here to a caught-up voter whose site has a clock that is believed.
func (h *Host) giveAway() {
	ctx, cancel := context.WithTimeout(h.ctx, clockWait)
	defer cancel()
	for _, s := range *h.seats.Load() {
		if !s.lead.Load().Self {
			continue
		}
		err := s.do(ctx, func(r *Replica) error {
			status, err := r.Status()
			if err != nil || status.State != "leader" {
				return err
			}
			for _, f := range status.Followers {
				if heard, ahead := h.clockOf(f.Site); f.Role&Voter != 0 && f.UpToDate && f.Active && heard && !ahead {
					return r.TransferTo(f.Replica)
				}
			}
			return nil
		})
		if err != nil {
			h.config.Logger.Debug("handing over because of the clock", "shard", s.id, "err", err) // tried again in a second
		}
	}
}

func (h *Host) clockOf(site holdfast.SiteID) (heard, ahead bool) {
	h.clockMu.Lock()
	defer h.clockMu.Unlock()
	return h.clock.judge(site, h.config.Wall(), time.Since(h.epoch))
}

// ClockAhead reports that the clock of another site is so far ahead of the median that it would not be believed: no leadership belongs there.
func (h *Host) ClockAhead(site holdfast.SiteID) bool {
	_, ahead := h.clockOf(site)
	return ahead
}
