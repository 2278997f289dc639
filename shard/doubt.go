package shard

import (
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// A digest that differs says that one of two replicas is wrong, not which. So the state is in doubt until a majority of the voters
// is known to have one and the same: DESIGN.md has the argument. This file is the machine's half: what is remembered and judged.
// quarrel.go asks.

// How many digest entries a replica remembers, and how many points at which a doubt was settled. The first are minutes of a busy
// shard; the second serve whoever was down for longer and meets an old difference in its log.
const (
	keptPoints = 128
	keptDoubts = 16
)

// record is what a replica knows of digests. It lives as long as the machine.
type record struct {
	points  []Point            // of the last digest entries, in order
	settled []Point            // where a doubt was settled, in order
	since   uint64             // the state is in doubt from this entry on; 0: it is not
	cause   ledger.ErrDigest   // of the doubt
	wrong   map[ReplicaID]bool // voters that are known to differ: they say nothing new
}

func (r *record) note(index, digest uint64) {
	if index == 0 || len(r.points) > 0 && r.points[len(r.points)-1].Index == index {
		return
	}
	if len(r.points) == keptPoints {
		r.points = slices.Delete(r.points, 0, 1)
	}
	r.points = append(r.points, Point{index, digest})
}

func (r *record) settle(cause ledger.ErrDigest) {
	if len(r.settled) == keptDoubts {
		r.settled = slices.Delete(r.settled, 0, 1)
	}
	r.settled = append(r.settled, Point{cause.Index, cause.Ours})
	r.since, r.cause = 0, ledger.ErrDigest{}
}

// Doubted reports whether the state may be wrong. Then nothing must be answered from it, proposed from it, or handed on, until Judge
// finds that it is right.
func (m *Machine) Doubted() bool { return m.doubted.Load() }

// Doubt is the difference that put the state in doubt.
func (m *Machine) Doubt() (ledger.ErrDigest, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.record.cause, m.record.since > 0
}

// compared takes what the entry just applied has shown.
func (m *Machine) compared() {
	m.record.note(m.state.Checked())
	if d, found := m.state.TakeDifference(); found {
		m.doubt(d)
	}
}

func (m *Machine) doubt(d ledger.ErrDigest) {
	if d.Index > m.record.since {
		m.record.since, m.record.cause = d.Index, d
	}
	m.doubted.Store(true)
}

// Opinion is what this replica says of its state to the others.
func (m *Machine) Opinion(at holdfast.SiteID, id ReplicaID) Opinion {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.opinion(at, id)
}

func (m *Machine) opinion(at holdfast.SiteID, id ReplicaID) Opinion {
	return Opinion{
		Site: at, Replica: id, Doubts: m.record.since > 0, Points: slices.Concat(m.record.settled, m.record.points),
	}
}

// Hear takes the opinion of another replica that has found a difference. When it differs from this one, this state is in doubt as
// well: whoever is wrong does not see it in the log when it is the leader's own proposal.
func (m *Machine) Hear(o *Opinion) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.members.Find(o.Replica); !ok || v.Site != o.Site || v.Role&(Voter|OldVoter) == 0 {
		return
	}
	own := m.opinion(0, 0)
	p, theirs, met := own.meet(o)
	switch {
	case !met || PlantedOpinionUnheard:
	case p.Digest == theirs:
		delete(m.record.wrong, o.Replica)
	case !m.record.wrong[o.Replica]:
		m.doubt(ledger.ErrDigest{Index: p.Index, Ours: p.Digest, Theirs: theirs})
	}
}

// Judge decides the doubt by what the others say. When this replica is right the doubt is over, and differ are the sites that are
// known to be wrong.
func (m *Machine) Judge(at holdfast.SiteID, id ReplicaID, others []Opinion) (v Verdict, differ []holdfast.SiteID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.opinion(at, id)
	if m.record.since == 0 {
		return Right, nil
	}
	if v = Judge(&own, m.record.since, m.members, others); v == Right {
		differ = m.believe(&own, others)
	}
	return v, differ
}

// Believe ends the doubt because somebody who answers for it has decided that this state is right, whatever the others say.
func (m *Machine) Believe(others []Opinion) []holdfast.SiteID {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.opinion(0, 0)
	return m.believe(&own, others)
}

func (m *Machine) believe(own *Opinion, others []Opinion) (differ []holdfast.SiteID) {
	if m.record.wrong == nil {
		m.record.wrong = map[ReplicaID]bool{}
	}
	for i := range others {
		if p, theirs, met := own.meet(&others[i]); met && p.Digest != theirs {
			m.record.wrong[others[i].Replica] = true
			differ = append(differ, others[i].Site)
		}
	}
	if m.record.since > 0 {
		m.record.settle(m.record.cause)
	}
	m.doubted.Store(false)
	slices.Sort(differ)
	return differ
}
