package ledger

import (
	"cmp"
	"slices"

	"holdfast"
)

// trail is which records of a slot have changed, and when, while the slot is on its way out of the shard or into it. Whoever copies them
// compares all of them once, and afterwards only those. It is memory and no part of the state: a replica that starts anew begins a new one.
type trail struct {
	since uint64 // changes by this entry and those before it are not known
	list  []step // in the order of the log
}

// step is the change of a record.
type step struct {
	index uint64
	key   string
}

// maxTrail bounds a trail: of one that is full the older half is forgotten.
const maxTrail = 1 << 16

// followGates begins the trails of slots that are on their way, of which nothing is known before the entry with this index, and ends the
// others.
func (s *State) followGates(index uint64) {
	for slot := range s.trails {
		if !moving(s.gates.of[slot]) {
			delete(s.trails, slot)
		}
	}
	for _, slot := range s.gates.Slots() {
		if _, followed := s.trails[slot]; followed || !moving(s.gates.of[slot]) {
			continue
		}
		if s.trails == nil {
			s.trails = map[holdfast.Slot]*trail{}
		}
		s.trails[slot] = &trail{since: index}
	}
}

func moving(g Gate) bool { return g != GateOpen && g != GateGone }

// follow notes that a record of a slot has changed.
func (s *State) follow(slot holdfast.Slot, key string) {
	t := s.trails[slot]
	if t == nil {
		return
	}
	if len(t.list) == maxTrail {
		t.since = t.list[maxTrail/2-1].index
		t.list = append(t.list[:0], t.list[maxTrail/2:]...)
	}
	t.list = append(t.list, step{s.cur.index, key})
}

// Trail returns the keys of the records of a slot that have changed after an entry, some of them several times, and the entry up to which
// that is so. whole is false when there may have been more: the slot is not on its way, or the changes are too long ago.
func (s *State) Trail(slot holdfast.Slot, after uint64) (keys []string, index uint64, whole bool) {
	t := s.trails[slot]
	switch {
	case after >= s.index: // also when nothing was applied since a checkpoint was loaded
		return nil, s.index, true
	case t == nil || after < t.since:
		return nil, s.index, false
	}
	first, _ := slices.BinarySearchFunc(t.list, after+1, func(x step, index uint64) int { return cmp.Compare(x.index, index) })
	for _, x := range t.list[first:] {
		keys = append(keys, x.key)
	}
	return keys, s.index, true
}
