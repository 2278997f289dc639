package site

import (
	"slices"
	"sync/atomic"

	"holdfast"
	"holdfast/shard"
)

// reach is which sites answer this one, and which of those that do not answer others. Each site tells the others whom it reaches, so that one
// that is cut off from a few can see that it is the one, and not they.
type reach struct {
	contacts *shard.Contacts // of the goroutine that keeps homes
	steady   atomic.Pointer[[]holdfast.SiteID]
}

// look takes down who answers now, and tells the host and, when it has changed, the others.
func (r *reach) look(s *Site) {
	now, peers := s.watch.now(), s.peers()
	ids := make([]holdfast.SiteID, 0, len(peers))
	for i := range peers {
		ids = append(ids, peers[i].Site)
		r.contacts.Note(now, peers[i].Site, s.watch.answers(s.watch.peer(peers[i].Site)))
	}
	r.contacts.Keep(ids)
	seen := r.contacts.Look(now, s.reachedBy)
	s.host.Reaches(seen)
	if old := r.steady.Swap(&seen.Steady); old == nil || !slices.Equal(*old, seen.Steady) {
		s.watch.tell()
	}
}

// told is what the others are told.
func (r *reach) told() []holdfast.SiteID {
	if list := r.steady.Load(); list != nil {
		return *list
	}
	return nil
}

// reachedBy is whom another site reaches, by its own word.
func (s *Site) reachedBy(id holdfast.SiteID) []holdfast.SiteID {
	p := s.watch.peer(id)
	if p == nil {
		return nil
	}
	if l := p.latest.Load(); l != nil {
		return l.reach
	}
	return nil
}
