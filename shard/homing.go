package shard

import (
	"time"

	"holdfast"
)

// Homing decides when leaderships go back to the sites where they are at home. It is a step function: time is an argument,
// counted from any fixed moment. Two things must not happen when a site comes back from a failure: that all leaderships
// rush to it at once, and that it gets them again and again while it keeps failing.
type Homing struct {
	patience time.Duration // a site has to be well for so long before it gets anything
	between  time.Duration // from one move to the next
	health   map[holdfast.SiteID]*fitness
	next     time.Duration // no move before
}

// fitness is how a site has been doing.
type fitness struct {
	well   bool
	since  time.Duration // of well, as it is now
	need   time.Duration // how long it has to be well before it is trusted
	failed bool          // it has, since we watch
}

// A site that fails again before it was well for calm has relapsed: it has to be well for twice as long as the last time,
// up to maxNeed.
const (
	calm      = 5 * time.Minute
	maxNeed   = 10 * time.Minute
	firstNeed = time.Second // of a site that was never seen to fail
	glimpse   = time.Second // a site that is well for less has not been
)

// NewHoming waits until a site has been well for patience, and between two moves.
func NewHoming(patience, between time.Duration) *Homing {
	return &Homing{patience: patience, between: between, health: map[holdfast.SiteID]*fitness{}}
}

// Note takes down whether a site is well now. To be called often, for every site.
func (h *Homing) Note(now time.Duration, site holdfast.SiteID, well bool) {
	s := h.health[site]
	if s == nil {
		s = &fitness{since: now, well: well, need: min(h.patience, firstNeed)} // no failure was seen yet
		h.health[site] = s
	}
	if s.well == well {
		return
	}
	switch {
	case well: // back: how long it has to be well was decided when it failed
	case s.failed && now-s.since < min(glimpse, s.need/2): // what it had said before it was heard again; the failure goes on
	case s.failed && now-s.since < calm:
		if !PlantedRelapseForgiven {
			s.need = min(2*s.need, maxNeed)
		}
	default:
		s.need = h.patience
	}
	s.failed = s.failed || !well
	s.well, s.since = well, now
}

// Trusted reports whether a site may be given leaderships.
func (h *Homing) Trusted(now time.Duration, site holdfast.SiteID) bool {
	s := h.health[site]
	return s != nil && s.well && now-s.since >= s.need
}

// Guest is a shard that is led away from home, by this site.
type Guest struct {
	Shard    holdfast.ShardID
	Home     holdfast.SiteID
	UpToDate bool // the replica at home has everything
}

// Move says which shard to send home now; false: none. The caller tries it at once and need not say how it went: what is still
// here comes up again.
func (h *Homing) Move(now time.Duration, guests []Guest) (Guest, bool) {
	if now < h.next {
		return Guest{}, false
	}
	for _, g := range guests {
		if g.UpToDate && h.Trusted(now, g.Home) {
			h.next = now + h.between
			return g, true
		}
	}
	return Guest{}, false
}
