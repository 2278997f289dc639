package site

import (
	"fmt"
	"slices"

	"holdfast"
	"holdfast/shard"
)

// A shard is born in a running fleet by a change of the shard map, in steps, of which every one is a version of the record: it is
// announced, its founders are named, and it is in the map. This file says what a birth is and what is to be done next: a step function
// that remembers nothing. shardkeeper.go gathers what it works on and does what it says. Decision 0013 says why.

// birth is a shard that is being born.
type birth struct {
	ID    string           `json:"id"` // of the order
	Shard holdfast.ShardID `json:"shard"`
	// At is the version of the map that has this: a site that knows it, or a later one, has a place for the shard; and its founders,
	// when they are named.
	At       uint64    `json:"at"`
	Founders []founder `json:"founders,omitempty"` // nil: not named yet. Named once, and never again
}

// founder is one of the first members of a shard.
type founder struct {
	Site    holdfast.SiteID `json:"site"`
	Replica uint64          `json:"replica"` // identity of its disk
}

// check reports what no site writes.
func (b *birth) check() error {
	if err := checkBirthID(b.ID); err != nil {
		return err
	}
	for i, f := range b.Founders {
		if f.Site == 0 || f.Replica == 0 || i > 0 && f.Site <= b.Founders[i-1].Site {
			return fmt.Errorf("founder %d at site %d is not in order", f.Replica, f.Site)
		}
	}
	return nil
}

// checkBirthID keeps ids short and plain: they are part of the key of a record.
func checkBirthID(id string) error {
	if !plainName(id, maxBirthID) {
		return refuse("%q is not the id of an order: 1-%d characters a-z, 0-9 and \"-\"", id, maxBirthID)
	}
	return nil
}

// maxBirthID is the longest id of an order.
const maxBirthID = 64

// members are the founders as replicas know them.
func (b *birth) members() (list []shard.Member) {
	for _, f := range b.Founders {
		list = append(list, shard.Member{Replica: shard.ReplicaID(f.Replica), Site: f.Site, Role: shard.Voter})
	}
	return list
}

// babyAt is what a site says of itself, as far as the birth of a shard needs it.
type babyAt struct {
	site    holdfast.SiteID
	answers bool
	trouble string // why it cannot take part; "": nothing
	mapped  uint64 // version of the map that it follows, on disk too
	replica uint64 // identity that it has for the shard; 0: none yet
	founded uint64 // by whom its replica was born; 0: it was not
}

// birthKind says what a birth needs next.
type birthKind uint8

const (
	birthWait   birthKind = iota // why says for what
	birthFound                   // the founders can be named
	birthOrder                   // a site that is to have the shard is no member of it
	birthFinish                  // the shard can come into the map
)

// birthMove is the next step.
type birthMove struct {
	kind     birthKind
	founders []founder
	order    move
	why      string
}

func birthWaits(format string, args ...any) birthMove {
	return birthMove{why: fmt.Sprintf(format, args...)}
}

// next works out what to do, from what the sites of the list say of themselves and the leader of the shard of its members.
func (b *birth) next(r *Roster, sites []babyAt, now *shardNow) birthMove {
	if b.Founders == nil {
		return b.nameFounders(r, sites)
	}
	if m := b.awaitReplicas(sites); m.why != "" {
		return m
	}
	switch m := r.nextIn(now); m.kind {
	case moveNone:
	case moveWait:
		return birthWaits("%s", m.why)
	default:
		return birthMove{kind: birthOrder, order: m}
	}
	for _, m := range now.members {
		if i := slices.IndexFunc(sites, func(s babyAt) bool { return s.site == m.site }); !m.fit && i >= 0 && sites[i].answers {
			return birthWaits("the replica of site %d is not at work yet", m.site)
		}
	}
	return birthMove{kind: birthFinish}
}

// nameFounders names every voter of the list, when each of them has a disk for the shard and knows that it will be asked to vote. One that
// is missing is waited for: named later, it would have to be taken in, and a shard that is born with fewer keeps fewer.
func (b *birth) nameFounders(r *Roster, sites []babyAt) birthMove {
	m := birthMove{kind: birthFound}
	for _, id := range r.with(RoleVoter) {
		i := slices.IndexFunc(sites, func(s babyAt) bool { return s.site == id })
		if i < 0 || !sites[i].answers {
			if plantedNameUnasked() {
				continue
			}
			return birthWaits("site %d does not answer", id)
		}
		switch s := &sites[i]; {
		case s.trouble != "":
			return birthWaits("site %d %s", id, s.trouble)
		case s.mapped < b.At || s.replica == 0:
			return birthWaits("site %d makes room for the shard", id)
		case s.founded != 0:
			return birthWaits("site %d holds a shard %d of another fleet: stop it, empty its data directory, start it again", id, b.Shard)
		default:
			m.founders = append(m.founders, founder{Site: id, Replica: s.replica})
		}
	}
	return m
}

// awaitReplicas waits for the sites that answer. Those that do not find their way when they are back.
func (b *birth) awaitReplicas(sites []babyAt) birthMove {
	want := foundedBy(shard.NewMembers(b.members()))
	for i := range sites {
		switch s := &sites[i]; {
		case !s.answers:
		case s.trouble != "":
			return birthWaits("site %d %s", s.site, s.trouble)
		case s.mapped < b.At || s.founded == 0:
			return birthWaits("the replica of site %d is not born yet", s.site)
		case s.founded != want:
			return birthWaits("the replica of site %d has other founders than the fleet has named: stop it, empty its data directory, start it again", s.site)
		}
	}
	return birthMove{}
}

// still reports whether the birth in the map is where it was when a step was worked out.
func (m *ShardMap) still(b *birth) bool {
	return m.birth != nil && m.birth.ID == b.ID && (m.birth.At == b.At || plantedNameAgain())
}

// announced is the map in which one more shard is to be born.
func (m *ShardMap) announced(id string) *ShardMap {
	next := *m
	next.birth = &birth{ID: id, Shard: holdfast.ShardID(len(m.Homes) + 1), At: m.Version + 1}
	return &next
}

// foundedWith is the map with the founders of the shard that is being born.
func (m *ShardMap) foundedWith(founders []founder) *ShardMap {
	next, b := *m, *m.birth
	b.Founders, b.At = founders, m.Version+1
	next.birth = &b
	return &next
}

// withBorn is the map with the shard in it, without a slot: at home where it is wanted, or where the fewest are.
func (m *ShardMap) withBorn(r *Roster, wanted holdfast.SiteID) *ShardMap {
	next := *m
	count := map[holdfast.SiteID]int{}
	for _, h := range m.Homes {
		count[h]++
	}
	home := slices.MinFunc(r.with(RoleVoter), func(a, b holdfast.SiteID) int { return count[a] - count[b] })
	if r.role(wanted) == RoleVoter {
		home = wanted
	}
	next.Homes, next.birth = append(slices.Clone(m.Homes), home), nil
	return &next
}

// abandoned is the map without the birth that is under way.
func (m *ShardMap) abandoned() *ShardMap {
	next := *m
	next.birth = nil
	return &next
}
