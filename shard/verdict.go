package shard

import (
	"encoding/binary"
	"fmt"
	"slices"

	"holdfast"
)

// Point is a digest entry of the log, and the digest of a replica's state after it.
type Point struct{ Index, Digest uint64 }

// Opinion is what a replica says of its own state to the others when two digests differ. A digest is a chain: replicas that differ
// at one point differ at all later ones, so any point that two of them know will do.
type Opinion struct {
	Site    holdfast.SiteID
	Replica ReplicaID
	Doubts  bool // it does not know whether it is right
	Points  []Point
}

// at is the digest at an index.
func (o *Opinion) at(index uint64) (uint64, bool) {
	for _, p := range o.Points {
		if p.Index == index {
			return p.Digest, true
		}
	}
	return 0, false
}

// meet is the last point that two replicas know both, and what the other has there.
func (o *Opinion) meet(other *Opinion) (own Point, theirs uint64, ok bool) {
	for _, p := range o.Points {
		if d, met := other.at(p.Index); met && p.Index >= own.Index {
			own, theirs, ok = p, d, true
		}
	}
	return own, theirs, ok
}

// Verdict is what a replica's opinion is worth among those of the voters.
type Verdict uint8

const (
	// Undecided: no majority of one opinion is known.
	Undecided Verdict = iota
	// Right: a majority of the voters has this replica's state.
	Right
	// Wrong: a majority of the voters has another state, one and the same.
	Wrong
)

// Judge compares a replica's opinion with those of others. since is the index of the difference that made it doubt: agreement before it
// proves nothing. Only voters count, one that has the opinion itself included; of a joint configuration, a majority of each half.
func Judge(own *Opinion, since uint64, members Members, others []Opinion) Verdict {
	all := append([]Opinion{*own}, others...)
	verdict := Undecided
	if PlantedNobodyAsked {
		return Wrong
	}
	for _, p := range own.Points {
		digest, ok := agreed(p.Index, members, all)
		switch {
		case !ok:
		case digest != p.Digest:
			return Wrong
		case p.Index >= since:
			verdict = Right
		}
	}
	return verdict
}

// agreed is the digest that a majority of the voters has at an index.
func agreed(index uint64, members Members, all []Opinion) (digest uint64, ok bool) {
	for i := range all {
		digest, ok := all[i].at(index)
		if ok && majorityHas(Point{index, digest}, members, all) {
			return digest, true
		}
	}
	return 0, false
}

func majorityHas(p Point, members Members, all []Opinion) bool {
	for _, half := range []Role{Voter, OldVoter} {
		voters, agree := 0, 0
		for _, m := range members.List {
			if m.Role&half == 0 {
				continue
			}
			voters++
			if slices.ContainsFunc(all, func(o Opinion) bool {
				d, ok := o.at(p.Index)
				return o.Replica == m.Replica && o.Site == m.Site && ok && d == p.Digest
			}) {
				agree++
			}
		}
		if voters > 0 && agree < voters/2+1 {
			return false
		}
	}
	return len(members.List) > 0
}

const (
	opinionVersion = 1
	opinionHead    = 1 + 2 + 8 + 1
	pointBytes     = 16
)

// Append appends the binary form of an opinion.
func (o *Opinion) Append(b []byte) []byte {
	b = append(b, opinionVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(o.Site))
	b = binary.BigEndian.AppendUint64(b, uint64(o.Replica))
	doubts := byte(0)
	if o.Doubts {
		doubts = 1
	}
	b = append(b, doubts)
	for _, p := range o.Points {
		b = binary.BigEndian.AppendUint64(b, p.Index)
		b = binary.BigEndian.AppendUint64(b, p.Digest)
	}
	return b
}

// ParseOpinion reads what Append wrote.
func ParseOpinion(b []byte) (Opinion, error) {
	if len(b) < opinionHead || b[0] != opinionVersion || (len(b)-opinionHead)%pointBytes != 0 || len(b) > opinionHead+pointBytes*(keptPoints+keptDoubts) {
		return Opinion{}, fmt.Errorf("opinion of %d bytes is cut short or of another version", len(b))
	}
	o := Opinion{Site: holdfast.SiteID(binary.BigEndian.Uint16(b[1:])), Replica: ReplicaID(binary.BigEndian.Uint64(b[3:])), Doubts: b[11] == 1}
	for b = b[opinionHead:]; len(b) > 0; b = b[pointBytes:] {
		o.Points = append(o.Points, Point{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])})
	}
	return o, nil
}
