package shard

import (
	"slices"
	"time"
)

const (
	lagWindow = 2 * time.Second       // that counts
	lagLeast  = 30 * time.Millisecond // a clock that is not as late as that only shares its processor
	// lagMost is what counts of one time in which the process did not run: standing still once is not being starved, and whoever stands
	// still for longer is no leader any more.
	lagMost = 200 * time.Millisecond
	// lagStarved is how much of the window has to be lost for a site to be starved, in the two seconds of it; lagFed is how little for it
	// not to be any more.
	lagStarved = 800 * time.Millisecond
	lagFed     = 200 * time.Millisecond
	lagRatio   = 4  // of what two sites have lost, for one to be better than the other
	lagKept    = 64 // times that are remembered: more do not fit into the window
)

// lag is how much of the last seconds a process did not run although it had something to do: it was stopped, or got no processor. It is
// measured by the clock that ticks the shards: a tick that comes later than it was asked for was lost.
type lag struct {
	times   []doneWrite // ring: when it ran again, and for how long it had not
	next    int
	starved bool
}

// note takes down that a tick came so late.
func (l *lag) note(now, late time.Duration) {
	if late < lagLeast {
		return
	}
	t := doneWrite{now, min(late, lagMost)}
	if len(l.times) < lagKept {
		l.times = append(l.times, t)
		return
	}
	l.times[l.next] = t
	l.next = (l.next + 1) % lagKept
}

// look is how much of the window was lost, and whether that is too much to lead.
func (l *lag) look(now time.Duration) (lost time.Duration, starved bool) {
	for _, t := range l.times {
		if now-t.at <= lagWindow {
			lost += t.took
		}
	}
	switch {
	case PlantedLagUnseen:
	case lost >= lagStarved:
		l.starved = true
	case lost < lagFed:
		l.starved = false
	}
	return lost, l.starved
}

const (
	// lossWindow is what counts of how the others are heard, and lossTime how much of it they have to be heard badly for a site to be deaf: what a
	// connection that has been made anew or a process that stood still leaves in the measurements is less. Not in a row: of a carrier that
	// loses frames some round trips are quick, and for a moment it looks well.
	lossWindow = 5 * time.Second
	lossTime   = 2500 * time.Millisecond
	lossOver   = 2 * time.Second        // of hearing them well in a row: then the site is not deaf any more
	lossGap    = 500 * time.Millisecond // between two looks; of a longer one nobody knows how it was
)

// hearing is how well a site hears the others.
type hearing struct {
	looked  time.Duration
	badly   bool        // so many of them that no majority is left with those it hears well, at the last look
	spans   []doneWrite // of hearing them badly, within the window: when each ended and how long it was
	tooLong bool
}

// note takes down of how many other sites so many are heard badly.
func (h *hearing) note(now time.Duration, others, badly int) {
	if h.badly {
		h.spans = append(h.spans, doneWrite{now, min(now-h.looked, lossGap)})
	}
	h.looked, h.badly = now, badly > 0 && 1+others-badly <= (1+others)/2
}

// deaf reports whether it was too much of the window, and is not over.
func (h *hearing) deaf(now time.Duration) bool {
	if n := len(h.spans); n > 0 && !h.badly && now-h.spans[n-1].at >= lossOver {
		h.spans, h.tooLong = nil, false
	}
	h.spans = slices.DeleteFunc(h.spans, func(s doneWrite) bool { return now-s.at >= lossWindow })
	var lost time.Duration
	for _, s := range h.spans {
		lost += s.took
	}
	h.tooLong = h.tooLong || lost >= lossTime
	return h.tooLong
}

// quiet reports that there is nothing to be remembered.
func (h *hearing) quiet() bool { return !h.badly && !h.tooLong && len(h.spans) == 0 }
