package shard

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"holdfast"
)

// NewReplicaID makes the identity of a fresh disk from random bytes: never 0, and never one of the library's own numbers.
func NewReplicaID(random [8]byte, site holdfast.SiteID) ReplicaID {
	if PlantedWipedVotes {
		return ReplicaID(site)
	}
	return ReplicaID(binary.BigEndian.Uint64(random[:])>>1 | 1)
}

// Report is what a site says of its replica of a shard, before it is a member and after.
type Report struct {
	Site    holdfast.SiteID
	Replica ReplicaID // persisted: the disk will be known by it from now on; 0: no answer from that site
	Born    bool      // it has members, and perhaps data
	Members Members   // when Born
}

// BirthKind says how a replica begins.
type BirthKind uint8

const (
	// BirthWait: not enough is known. Ask again soon.
	BirthWait BirthKind = iota
	// BirthResume: this disk is that of a member. Go on.
	BirthResume
	// BirthFound: nobody has anything, and it is this site's part to write the first list of members.
	BirthFound
	// BirthAdopt: this replica is on the first list, which somebody else has written. Start empty, as a voter.
	BirthAdopt
	// BirthJoin: the shard lives without this replica. Start empty, without a vote, and ask its leader to be taken in.
	BirthJoin
)

// String names the kind for logs.
func (k BirthKind) String() string {
	return [...]string{"wait", "resume", "found", "adopt", "join"}[k]
}

// Birth is how to begin, and the first members of the shard.
type Birth struct {
	Kind     BirthKind
	Founders Members
}

// Decide says how a replica begins. It is a pure function of what this disk holds and of what the other sites report.
//
// Only the configured site with the lowest number writes the first list, and only when every site has reported an identity
// and none has anything; all others take over a list that they see. A disk that was wiped has a fresh identity, which is on no
// list: it joins, and never votes on what it has lost. (If the founding site is wiped in the very moment of the founding, two lists
// may exist that differ in its identity. The old identity is gone for ever, so every majority of either list holds a majority
// of the other sites, and both histories are one.)
func Decide(self Report, sites []holdfast.SiteID, others []Report) Birth {
	if self.Born {
		return Birth{Kind: BirthResume, Founders: self.Members}
	}
	reports := map[holdfast.SiteID]Report{self.Site: self}
	for _, r := range others {
		if r.Site != self.Site && r.Replica != 0 {
			reports[r.Site] = r
		}
	}
	if living, ok := firstBorn(reports); ok {
		founders := NewMembers(living.Members.Founders)
		if m, ok := founders.Find(self.Replica); ok && m.Site == self.Site {
			return Birth{Kind: BirthAdopt, Founders: founders}
		}
		return Birth{Kind: BirthJoin, Founders: founders}
	}
	var all []Member
	for _, site := range sites {
		r, ok := reports[site]
		if !ok {
			return Birth{Kind: BirthWait}
		}
		all = append(all, Member{Replica: r.Replica, Site: site})
	}
	if len(sites) == 0 || slices.Min(sites) != self.Site {
		return Birth{Kind: BirthWait}
	}
	return Birth{Kind: BirthFound, Founders: NewMembers(all)}
}

// firstBorn is the report of the site with the lowest number that has a list.
func firstBorn(reports map[holdfast.SiteID]Report) (Report, bool) {
	var born []Report
	for _, r := range reports {
		if r.Born && len(r.Members.Founders) > 0 {
			born = append(born, r)
		}
	}
	if len(born) == 0 {
		return Report{}, false
	}
	return slices.MinFunc(born, func(a, b Report) int { return cmp.Compare(a.Site, b.Site) }), true
}

// Append appends the binary form of a report: site, replica, born, members.
func (r Report) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(r.Site))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Replica))
	if !r.Born {
		return append(b, 0)
	}
	return r.Members.Append(append(b, 1))
}

// ParseReport reads what Append wrote.
func ParseReport(b []byte) (Report, error) {
	if len(b) < 11 {
		return Report{}, fmt.Errorf("birth report of %d bytes is cut short", len(b))
	}
	r := Report{
		Site:    holdfast.SiteID(binary.BigEndian.Uint16(b)),
		Replica: ReplicaID(binary.BigEndian.Uint64(b[2:])),
		Born:    b[10] == 1,
	}
	var err error
	if r.Born {
		r.Members, err = ParseMembers(b[11:])
	}
	return r, err
}
