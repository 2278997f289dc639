package shard

import (
	"context"
	"sync"
	"time"
)

const (
	careTick   = 25 * time.Millisecond
	healthWait = 200 * time.Millisecond // for the others' answers
)

// tend runs f on the care of this site's disk, at the time that care counts.
func (h *Host) tend(f func(*Care, time.Duration)) {
	h.careMu.Lock()
	defer h.careMu.Unlock()
	f(h.care, time.Since(h.epoch))
}

// Health is what this site says of its disk; the zero value, but for the site, when little was written lately.
func (h *Host) Health() Health { return h.health() }

// health is what this site says of its disk.
func (h *Host) health() (own Health) {
	h.tend(func(c *Care, now time.Duration) { own = c.Look(h.config.Site, now) })
	return own
}

// careLoop looks at the disk again and again while there is anything to see, and hands over what is led here when another site's is
// better.
func (h *Host) careLoop() {
	t := time.NewTimer(careTick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
		calm := false
		if h.tend(func(c *Care, now time.Duration) { calm = c.Calm(now) }); calm {
			select {
			case <-h.stir:
			case <-h.ctx.Done():
				return
			}
		}
		t.Reset(careTick)
		own := h.health()
		h.setWell(own.Well, own)
		if len(h.peers()) < 2 {
			continue
		}
		asks := false
		h.tend(func(c *Care, now time.Duration) { asks = (own.Starved || h.leadsAny()) && c.Asks(own, now) })
		if asks {
			others := h.askHealth()
			h.tend(func(c *Care, now time.Duration) { c.Compare(own, others, now) })
			h.yield(own, others)
		}
	}
}

// Well reports whether this site is fit to lead, and has been for some time: see [Care].
func (h *Host) Well() bool { return h.well.Load() }

func (h *Host) setWell(well bool, own Health) {
	if h.well.Swap(well) == well {
		return
	}
	h.config.Logger.Warn("health", "well", well, "full", own.Full, "sick", own.Sick, "median", own.Median, "starved", own.Starved, "lost", own.Lost, "deaf", own.Deaf, "narrow", own.Narrow)
	h.config.OnWell(well)
}

func (h *Host) leadsAny() bool {
	for _, s := range *h.seats.Load() {
		if s.lead.Load().Self {
			return true
		}
	}
	return false
}

// askHealth asks all other sites at once. One that does not answer, or does not know the question yet, will not be handed anything.
func (h *Host) askHealth() []Health {
	ctx, cancel := context.WithTimeout(h.ctx, healthWait)
	defer cancel()
	var mu sync.Mutex
	var list []Health
	var wg sync.WaitGroup
	for _, site := range h.peers() {
		if site == h.config.Site {
			continue
		}
		wg.Go(func() {
			answer, err := h.config.Call(ctx, site, methodHealth, nil)
			if err != nil {
				return
			}
			if x, err := ParseHealth(answer); err == nil && x.Site == site {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, x)
			}
		})
	}
	wg.Wait()
	return list
}

// yield decides for each shard that is led here.
func (h *Host) yield(own Health, others []Health) {
	ctx, cancel := context.WithTimeout(h.ctx, healthWait)
	defer cancel()
	for _, s := range *h.seats.Load() {
		if !s.lead.Load().Self {
			continue
		}
		var what Yield
		err := s.do(ctx, func(r *Replica) error {
			status, err := r.Status()
			if err != nil || status.State != "leader" {
				return err
			}
			h.tend(func(c *Care, now time.Duration) { what = c.Decide(s.id, own, status, others, now) })
			s.refuses.Store(what.Refuse)
			if what.To == 0 {
				return nil
			}
			h.setWell(false, own) // first: whoever leads next must not send it back
			return r.TransferTo(what.To)
		})
		if err == nil && what.To != 0 {
			h.config.OnEvent(Event{Kind: EventYields, Shard: s.id, Text: troubleOf(own)})
		}
	}
}

// late notes that the clock ticked later than it was asked to.
func (h *Host) late(by time.Duration) {
	if by < lagLeast {
		return
	}
	starved := false
	h.tend(func(c *Care, now time.Duration) {
		c.Late(now, by)
		_, starved = c.lag.look(now)
	})
	if starved {
		h.stir.set()
	}
}

// Hears notes that of so many other sites some are heard badly on every carrier; see [Care.Hears].
func (h *Host) Hears(others, badly int) {
	h.tend(func(c *Care, now time.Duration) { c.Hears(now, others, badly) })
	if badly > 0 {
		h.stir.set()
	}
}

// Reaches notes which other sites answer this one; see [Contacts].
func (h *Host) Reaches(r Reach) {
	h.tend(func(c *Care, _ time.Duration) { c.Reaches(r) })
	if len(r.Missing) > 0 {
		h.stir.set()
	}
}

// troubleOf says why leaderships go.
func troubleOf(own Health) string {
	const hands = "this site hands its leadership to "
	why := "its writes take ten times as long as those of another site: median " + own.Median.String()
	switch {
	case own.Full:
		why = "its disk is nearly full"
	case own.Sick && own.Median == 0:
		why = "a write hangs"
	case own.Sick:
		why = "its disk is sick: a write hangs, or they take too long: median " + own.Median.String()
	case own.Starved:
		return hands + "one that runs, because this process got no processor for " + own.Lost.String() + " of the last two seconds"
	case own.Deaf:
		return hands + "one that is heard, because what it sends to most sites comes late on every carrier"
	case own.Narrow:
		return hands + "one that is answered by more sites than this one"
	}
	return hands + "one with a better disk, because " + why
}

// crowded is what new work hears while the disk here is nearly full: it waits for the hand-over, unless nobody could take over.
func (s *seat) crowded() error {
	if s.refuses.Load() || s.alone() {
		return ErrDiskFull
	}
	return NotLeaderError{Shard: s.id}
}
