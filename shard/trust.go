package shard

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"holdfast"
)

// Somebody may decide that the state of a replica is right when no majority can: see [Host.Trust]. It has to hold when a voter that differs
// was down at that moment and comes back, and when this replica starts again, for until another was rebuilt from it, which may take
// days, nobody else can serve. So it is stored: the point up to which it was decided, and who differs from where on.

// trust decides for this state up to the point of the doubt.
func (m *Machine) trust() {
	m.record.trusted, m.record.unsaved = Point{m.record.cause.Index, m.record.cause.Ours}, true
}

// blame remembers that a voter differs from a point on.
func (r *record) blame(id ReplicaID, from uint64) {
	if have, ok := r.wrong[id]; ok && have <= from {
		return
	}
	if r.wrong == nil {
		r.wrong = map[ReplicaID]uint64{}
	}
	r.wrong[id] = from
	r.unsaved = r.unsaved || r.trusted.Index > 0
}

// forgive takes back what blame has said: it has the same state now.
func (r *record) forgive(id ReplicaID) {
	if _, ok := r.wrong[id]; ok {
		delete(r.wrong, id)
		r.unsaved = r.unsaved || r.trusted.Index > 0
	}
}

// judged reports whether a difference to another replica is an old one: it differs since a point at which it was judged, or where somebody
// has decided. One that agrees at a later point was mended since, and what it says now is new.
func (r *record) judged(own, o *Opinion) bool {
	from, known := r.wrong[o.Replica]
	if !known && r.trusted.Index > 0 {
		theirs, met := o.at(r.trusted.Index)
		from, known = r.trusted.Index, met && theirs != r.trusted.Digest
	}
	if !known {
		return false
	}
	for _, p := range own.Points {
		if theirs, met := o.at(p.Index); met && p.Index >= from && theirs == p.Digest {
			r.forgive(o.Replica)
			return false
		}
	}
	r.blame(o.Replica, from)
	return true
}

// outvoted reports whether those who differ from a state that somebody has decided for turn out to be a majority with one other state: one
// of them may not have been there when it was decided. Then they are right, and this replica has to ask, and hear it.
func (m *Machine) outvoted(o *Opinion) bool {
	r := &m.record
	if r.trusted.Index == 0 {
		return false
	}
	if r.heard == nil {
		r.heard = map[ReplicaID]Opinion{}
	}
	maps.DeleteFunc(r.heard, func(id ReplicaID, _ Opinion) bool { _, ok := m.members.Find(id); return !ok })
	r.heard[o.Replica] = *o
	own := m.opinion(0, 0)
	list := make([]Opinion, 0, len(r.heard))
	for _, id := range slices.Sorted(maps.Keys(r.heard)) {
		list = append(list, r.heard[id])
	}
	return Judge(&own, r.trusted.Index, m.members, list) == Wrong
}

// opposed is a voter that serves with another state than this one; 0: there is none. It would put itself in doubt unless somebody had decided
// for it.
func (m *Machine) opposed(others []Opinion) holdfast.SiteID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	own := m.opinion(0, 0)
	for i := range others {
		o := &others[i]
		v, ok := m.members.Find(o.Replica)
		if p, theirs, met := own.meet(o); ok && v.Site == o.Site && v.Role&(Voter|OldVoter) != 0 && !o.Doubts && met && p.Digest != theirs {
			return o.Site
		}
	}
	return 0
}

// stands reports that somebody has decided for this state, and that every other voter has answered and differs since before that. Then
// a new doubt comes from one of them: the log does not say from whom.
func (m *Machine) stands(own *Opinion, others []Opinion) bool {
	if m.record.trusted.Index == 0 {
		return false
	}
	for _, v := range m.members.List {
		if v.Role&(Voter|OldVoter) == 0 || v.Replica == own.Replica {
			continue
		}
		i := slices.IndexFunc(others, func(o Opinion) bool { return o.Replica == v.Replica && o.Site == v.Site })
		if i < 0 || !m.record.judged(own, &others[i]) {
			return false
		}
	}
	return true
}

const (
	trustVersion = 1
	trustHead    = 1 + 8 + pointBytes
)

// Decision is what somebody has decided for this replica, to be stored, and whether the disk does not have it yet. Asking counts as
// storing.
func (m *Machine) Decision(id ReplicaID) (b []byte, unsaved bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.record
	if unsaved, r.unsaved = r.unsaved, false; !unsaved {
		return nil, false
	}
	b = binary.BigEndian.AppendUint64([]byte{trustVersion}, uint64(id))
	b = binary.BigEndian.AppendUint64(b, r.trusted.Index)
	b = binary.BigEndian.AppendUint64(b, r.trusted.Digest)
	for _, id := range slices.Sorted(maps.Keys(r.wrong)) {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
		b = binary.BigEndian.AppendUint64(b, r.wrong[id])
	}
	return b, true
}

// Recall takes a stored decision, before anything is applied. What was decided for the replica that was here before is void, and so is what
// was decided for another state.
func (m *Machine) Recall(b []byte, id ReplicaID) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < trustHead || b[0] != trustVersion || (len(b)-trustHead)%pointBytes != 0 {
		return fmt.Errorf("what was decided about the state, of %d bytes, is cut short or of another version", len(b))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := Point{binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])}
	own := m.opinion(0, 0)
	if has, met := own.at(t.Index); ReplicaID(binary.BigEndian.Uint64(b[1:])) != id || met && has != t.Digest {
		return nil
	}
	m.record.trusted = t
	for b = b[trustHead:]; len(b) > 0; b = b[pointBytes:] {
		m.record.blame(ReplicaID(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:]))
	}
	m.record.unsaved = false
	return nil
}
