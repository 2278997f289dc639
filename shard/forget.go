package shard

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holdfast"
)

// Service says whether a replica takes part in its shard.
type Service uint8

const (
	// Absent: there is no replica here that runs: it waits for its birth, is between two lives, or has left service for a reason
	// other than its disk.
	Absent Service = iota
	// Serving: it takes part: it votes, acknowledges and applies.
	Serving
	// Condemned: its disk is corrupt. It has left service and waits until it may forget.
	Condemned
)

// Standing is what a replica says of itself to one of the same shard whose disk is corrupt, and which wants to know whether it
// may forget what it has. All but Site, Replica and Service is zero unless Serving.
type Standing struct {
	Site    holdfast.SiteID
	Replica ReplicaID
	Service Service

	Term    uint64
	Leads   bool    // and has applied everything from before its term
	Last    uint64  // end of its log, counting entries that are still on their way to its disk
	Applied uint64  // committed, on its disk, and applied
	Known   uint64  // up to where it would know after a crash that its log is committed
	Change  uint64  // index of the last change of members it has applied, or later
	Members Members // as of Applied
}

// Forgetting is what a corrupt replica has learned from its round of questions.
type Forgetting struct {
	// Mark is the end of everything that this replica can have helped to commit. It is to be given to the next round; 0: not
	// known yet.
	Mark uint64
	// Wipe: nothing is lost when this replica forgets all it has.
	Wipe bool
	// Waits says, while Wipe is false, what is missing.
	Waits string
}

// MayForget decides whether the replica of a shard at a site, which has left service, may wipe its disk. answers are what the
// replicas at the other sites said after it had left service; mark is 0 in the first round and then that of the round before.
//
// It may when, among the voters of every half of the configuration, a majority of all, made of others only, is in service,
// has everything that the replica can have helped to commit on its own disks, and will still know its configuration after a crash.
// What the corrupt disk itself says is not asked: the leader says where the log ended when this replica stopped
// acknowledging. DESIGN.md has the argument.
func MayForget(site holdfast.SiteID, mark uint64, answers []Standing) Forgetting {
	if PlantedWipeUnasked {
		return Forgetting{Mark: mark, Wipe: true}
	}
	lead, ok := leaderOf(site, answers)
	if !ok {
		return Forgetting{Mark: mark, Waits: leaderless(site, answers)}
	}
	serving := func(s Standing) string {
		if s.Term > lead.Term {
			return "is in a later term than the leader"
		}
		return ""
	}
	if waits := majorities(site, lead, answers, "are in service", serving); waits != "" {
		return Forgetting{Mark: mark, Waits: waits}
	}
	if mark == 0 {
		mark = lead.Last
	}
	holding := func(s Standing) string {
		switch {
		case s.Applied < mark:
			return fmt.Sprintf("has not applied entry %d yet", mark)
		case s.Known < lead.Change:
			return "would not know the members of the shard after a crash"
		}
		return serving(s)
	}
	if why := holding(lead); why != "" {
		return Forgetting{Mark: mark, Waits: fmt.Sprintf("site %d, which leads, %s", lead.Site, why)}
	}
	if waits := majorities(site, lead, answers, "hold everything for certain", holding); waits != "" {
		return Forgetting{Mark: mark, Waits: waits}
	}
	if waits := inTurn(site, lead, answers); waits != "" {
		return Forgetting{Mark: mark, Waits: waits}
	}
	return Forgetting{Mark: mark, Wipe: true}
}

// leaderOf is the leader of the highest term, if nobody in service is in a later one.
func leaderOf(site holdfast.SiteID, answers []Standing) (lead Standing, ok bool) {
	for _, s := range answers {
		if s.Site != site && s.Service == Serving && s.Leads && (!ok || s.Term > lead.Term) {
			lead, ok = s, true
		}
	}
	for _, s := range answers {
		if s.Site != site && s.Service == Serving && s.Term > lead.Term {
			return lead, false
		}
	}
	return lead, ok
}

// leaderless says what may be the reason that nobody leads, by the configuration of whoever has applied most.
func leaderless(site holdfast.SiteID, answers []Standing) string {
	var best Standing
	for _, s := range answers {
		if s.Site != site && s.Service == Serving && s.Applied >= best.Applied {
			best = s
		}
	}
	text := "no site answers that it leads the shard and has applied the log"
	if why := majorities(site, best, answers, "are in service", func(Standing) string { return "" }); why != "" {
		text += ": " + why
	}
	return text
}

// majorities says what keeps the others from being a majority of each half of the leader's configuration without this site; ""
// when they are one. what they have to be is for people; why is what is wrong with a replica in service, "" for nothing.
func majorities(site holdfast.SiteID, lead Standing, answers []Standing, what string, why func(Standing) string) string {
	for _, half := range []Role{Voter, OldVoter} {
		voters, good := 0, 0
		var bad []string
		for _, m := range lead.Members.List {
			if m.Role&half == 0 {
				continue
			}
			voters++
			if m.Site == site {
				continue
			}
			if problem := wrong(m, answers, why); problem != "" {
				bad = append(bad, fmt.Sprintf("site %d %s", m.Site, problem))
				continue
			}
			good++
		}
		if need := voters/2 + 1; voters > 0 && good < need {
			bad = slices.Compact(bad)
			return fmt.Sprintf("%d of the %d other voters that are needed %s: %s", good, need, what, strings.Join(bad, ", "))
		}
	}
	return ""
}

// wrong says why a member does not count.
func wrong(m Member, answers []Standing, why func(Standing) string) string {
	for _, s := range answers {
		switch {
		case s.Site != m.Site:
		case s.Replica != m.Replica:
			return "has another disk than the one that votes"
		case s.Service == Condemned:
			return "is corrupt itself"
		case s.Service != Serving:
			return "is not in service"
		default:
			return why(s)
		}
	}
	return "does not answer"
}

// inTurn makes corrupt replicas forget one after the other, the one with the lowest site first, and not while another disk is
// being replaced.
func inTurn(site holdfast.SiteID, lead Standing, answers []Standing) string {
	for _, m := range lead.Members.List {
		if m.Site == site || m.Role&(Voter|OldVoter) == 0 {
			continue
		}
		for _, s := range answers {
			if s.Site != m.Site {
				continue
			}
			if s.Replica != m.Replica || s.Service == Condemned && s.Site < site {
				return fmt.Sprintf("site %d has lost its disk as well, and comes first", m.Site)
			}
		}
	}
	return ""
}

const standingVersion = 1

// Append appends the binary form of a standing.
func (s Standing) Append(b []byte) []byte {
	b = append(b, standingVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(s.Site))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Replica))
	leads := byte(0)
	if s.Leads {
		leads = 1
	}
	b = append(b, byte(s.Service), leads)
	for _, n := range []uint64{s.Term, s.Last, s.Applied, s.Known, s.Change} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return s.Members.Append(b)
}

const standingHead = 1 + 2 + 8 + 1 + 1 + 5*8

// ParseStanding reads what Append wrote.
func ParseStanding(b []byte) (Standing, error) {
	if len(b) < standingHead || b[0] != standingVersion {
		return Standing{}, fmt.Errorf("standing of %d bytes is cut short or of another version", len(b))
	}
	s := Standing{
		Site: holdfast.SiteID(binary.BigEndian.Uint16(b[1:])), Replica: ReplicaID(binary.BigEndian.Uint64(b[3:])),
		Service: Service(b[11]), Leads: b[12] == 1,
	}
	for i, n := range []*uint64{&s.Term, &s.Last, &s.Applied, &s.Known, &s.Change} {
		*n = binary.BigEndian.Uint64(b[13+8*i:])
	}
	var err error
	s.Members, err = ParseMembers(b[standingHead:])
	return s, err
}

// Standing is what this replica says to a corrupt one.
func (n *Node) Standing(at holdfast.SiteID) Standing {
	return Standing{
		Site: at, Replica: n.config.Replica, Service: Serving, Term: n.raft.BasicStatus().HardState.GetTerm(), Leads: n.Ready(),
		Last: n.end, Applied: n.applied, Known: max(n.known, n.storage.checkpoint.Index), Change: n.storage.lastConf, Members: n.members,
	}
}
