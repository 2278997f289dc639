package site

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/shard"
)

// nursery is a fleet in which shards are born, in steps that may come in any order: a log with the map, sites with disks, and drivers
// that look, fall asleep, and act on what they saw.
type nursery struct {
	t      *testing.T
	seed   uint64 // of everything below: the same gives the same schedule
	rng    *rand.Rand
	maps   []*ShardMap // versions of the record; the last is what holds
	roster *Roster
	sites  []*cot
	looks  []look
	drawn  uint64                              // identities so far
	lists  map[holdfast.ShardID][]shard.Member // with which replicas of a shard began; the same for all
	voted  map[[2]uint64]bool                  // shards and identities that began as voters
	lost   bool                                // the disk of one site, since the birth under way was announced
	ids    int
	stats  *nurseryStats
}

type nurseryStats struct{ born, given, late, joined, refused int }

// cot is a site: what is on its disk, by shard.
type cot struct {
	site   holdfast.SiteID
	up     bool
	mapped uint64
	seats  map[holdfast.ShardID]*seatOnDisk
	told   map[holdfast.ShardID]*shard.Members // in memory
}

type seatOnDisk struct {
	replica shard.ReplicaID
	list    []shard.Member // founders that it began with; nil: it did not
	votes   bool
}

// look is what a driver saw, at one moment for each site.
type look struct {
	birth *birth
	sites []babyAt
	now   shardNow
}

const nurserySites = 3

func newNursery(t *testing.T, seed uint64, stats *nurseryStats) *nursery {
	n := &nursery{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), roster: &Roster{}, stats: stats, lists: map[holdfast.ShardID][]shard.Member{},
		voted: map[[2]uint64]bool{},
	}
	var ids []holdfast.SiteID
	for i := range nurserySites {
		id := siteID(i + 1)
		ids = append(ids, id)
		n.roster.put(ListedSite{Site: id, Role: RoleVoter})
		n.sites = append(n.sites, &cot{site: id, up: true, seats: map[holdfast.ShardID]*seatOnDisk{}, told: map[holdfast.ShardID]*shard.Members{}})
	}
	n.maps = []*ShardMap{newShardMap(2, ids)}
	return n
}

func (n *nursery) fail(format string, args ...any) {
	n.t.Helper()
	n.t.Fatalf("schedule %d: %s", n.seed, fmt.Sprintf(format, args...))
}

func (n *nursery) at() *ShardMap { return n.maps[len(n.maps)-1] }

// write is the log: it takes what was made from the version that holds, in the form in which it is read back.
func (n *nursery) write(m *ShardMap) bool {
	if m.Version != n.at().Version {
		return false
	}
	back, err := readShardMap(m.encode(), m.Version+1, 2, siteIDsOf(n.roster))
	if err != nil {
		n.fail("a map that nobody can read: %v", err)
	}
	n.maps = append(n.maps, back)
	return true
}

func siteIDsOf(r *Roster) (ids []holdfast.SiteID) {
	for _, s := range r.Sites {
		ids = append(ids, s.Site)
	}
	return ids
}

func (n *nursery) pick() *cot { return n.sites[n.rng.IntN(nurserySites)] }

func (n *nursery) announce() {
	if m := n.at(); m.birth == nil && len(m.Homes) < 8 {
		n.ids++
		n.lost = false
		n.write(m.announced("order-" + string(rune('a'+n.ids%26))))
	}
}

func (n *nursery) abandon() {
	if m := n.at(); m.birth != nil && m.birth.Founders == nil && n.write(m.abandoned()) {
		n.stats.given++
	}
}

// learn makes a site follow a version of the map that it may be late with.
func (n *nursery) learn() {
	s := n.pick()
	if s.up {
		n.follow(s, n.maps[n.rng.IntN(len(n.maps))])
	}
}

func (n *nursery) follow(s *cot, m *ShardMap) {
	if m.Version <= s.mapped {
		return
	}
	for i := range m.seats() {
		if id := holdfast.ShardID(i + 1); i >= m.first && s.seats[id] == nil {
			n.drawn++
			s.seats[id] = &seatOnDisk{replica: shard.NewReplicaID([8]byte(binary.BigEndian.AppendUint64(nil, 4*n.drawn)), s.site)}
		}
	}
	if b := m.birth; b != nil && b.Founders != nil {
		list := shard.NewMembers(b.members())
		s.told[b.Shard] = &list
	}
	s.mapped = m.Version
}

// begin lets a replica look for its place.
func (n *nursery) begin() {
	s := n.pick()
	for i := range n.at().seats() {
		if s.up {
			n.beginIn(s, holdfast.ShardID(i+1))
		}
	}
}

func (n *nursery) beginIn(s *cot, id holdfast.ShardID) {
	seat := s.seats[id]
	if seat == nil || seat.list != nil {
		return
	}
	var others []shard.Report
	for _, o := range n.sites { // one that is not born is nobody: see shard.Host
		if x := o.seats[id]; o != s && o.up && x != nil && x.list != nil {
			others = append(others, shard.Report{Site: o.site, Replica: x.replica, Born: true, Members: shard.NewMembers(x.list)})
		}
	}
	birth := shard.DecideLater(shard.Report{Site: s.site, Replica: seat.replica}, s.told[id], others)
	switch birth.Kind {
	case shard.BirthAdopt:
		who := [2]uint64{uint64(id), uint64(seat.replica)}
		if n.voted[who] {
			n.fail("site %d: an empty disk votes in shard %d as %x, which has voted before", s.site, id, seat.replica)
		}
		n.voted[who], seat.votes = true, true
		if n.at().birth == nil {
			n.stats.late++
		}
	case shard.BirthJoin:
		n.stats.joined++
	case shard.BirthWait:
		return
	default:
		n.fail("site %d: a replica that is born later begins by %s", s.site, birth.Kind)
	}
	seat.list = birth.Founders.Founders
	n.judge(s, id, seat.list)
}

// judge is what must hold: one list for all replicas of one number, and on it every site.
func (n *nursery) judge(s *cot, id holdfast.ShardID, list []shard.Member) {
	if first, known := n.lists[id]; known && !slices.Equal(first, list) {
		n.fail("site %d: shard %d has the founders %+v, elsewhere it has %+v", s.site, id, list, first)
	}
	n.lists[id] = list
	if len(list) != nurserySites {
		n.fail("shard %d is founded by %d of %d sites", id, len(list), nurserySites)
	}
}

// see gathers what a driver works on.
func (n *nursery) see(b *birth) look {
	l := look{birth: b, now: shardNow{shard: b.Shard}}
	voters := 0
	for _, s := range n.sites {
		baby := babyAt{site: s.site, answers: s.up, mapped: s.mapped}
		if seat := s.seats[b.Shard]; seat != nil && s.up {
			baby.replica = uint64(seat.replica)
			if seat.list != nil {
				baby.founded = foundedBy(shard.NewMembers(seat.list))
				l.now.members = append(l.now.members, memberNow{site: s.site, votes: true, fit: true})
			}
			if seat.votes {
				voters++
			}
		} else {
			l.now.members = append(l.now.members, memberNow{site: s.site, votes: true})
		}
		l.sites = append(l.sites, baby)
	}
	l.now.known = voters > nurserySites/2
	return l
}

func (n *nursery) look() {
	if m := n.at(); m.birth != nil {
		n.looks = append(n.looks, n.see(m.birth))
	}
}

// act does what a driver worked out some time ago.
func (n *nursery) act() {
	if len(n.looks) == 0 {
		return
	}
	i := n.rng.IntN(len(n.looks))
	n.step(n.looks[i])
	if n.rng.IntN(2) == 0 {
		n.looks = slices.Delete(n.looks, i, i+1)
	}
}

func (n *nursery) step(l look) {
	next := l.birth.next(n.roster, l.sites, &l.now)
	m := n.at()
	if !m.still(l.birth) {
		n.stats.refused++
		return
	}
	switch next.kind {
	case birthFound:
		n.write(m.foundedWith(next.founders))
	case birthFinish:
		if n.write(m.withBorn(n.roster, 0)) {
			n.stats.born++
		}
	case birthOrder:
		n.fail("%+v is ordered, and every site is a founder", next.order)
	}
}

func (n *nursery) crash() { n.pick().down() }

func (s *cot) down() { s.up, s.told = false, map[holdfast.ShardID]*shard.Members{} }

func (n *nursery) restart() { n.pick().up = true }

// wipe takes a disk away: of a birth that is under way only one, or there would be nobody to elect, and never the last of a shard.
func (n *nursery) wipe() {
	s := n.pick()
	for i := n.at().first; i < len(n.at().Homes); i++ {
		if n.living(holdfast.ShardID(i+1)) < 2 {
			return
		}
	}
	if n.at().birth != nil {
		if n.lost {
			return
		}
		n.lost = true
	}
	s.down()
	s.seats, s.mapped = map[holdfast.ShardID]*seatOnDisk{}, 0
}

// living is how many replicas of a shard have begun.
func (n *nursery) living(id holdfast.ShardID) (count int) {
	for _, s := range n.sites {
		if seat := s.seats[id]; seat != nil && seat.list != nil {
			count++
		}
	}
	return count
}

// settle lets every site that is up do what it can.
func (n *nursery) settle() {
	for _, s := range n.sites {
		if s.up {
			n.follow(s, n.at())
			for i := range n.at().seats() {
				n.beginIn(s, holdfast.ShardID(i+1))
			}
		}
	}
}

// drive lets a driver that is awake do the next step.
func (n *nursery) drive() {
	if b := n.at().birth; b != nil {
		n.step(n.see(b))
	}
}

// calm lets everything come to its end: nobody is lost any more.
func (n *nursery) calm() {
	for round := 0; round < 20 && (round == 0 || n.at().birth != nil); round++ {
		for _, s := range n.sites {
			s.up = true
		}
		n.settle()
		n.drive()
	}
	if b := n.at().birth; b != nil {
		l := n.see(b)
		n.fail("the birth does not end: %+v; the next step is %+v", b, b.next(n.roster, l.sites, &l.now))
	}
	for _, s := range n.sites {
		for i := n.at().first; i < len(n.at().Homes); i++ {
			if seat := s.seats[holdfast.ShardID(i+1)]; seat == nil || seat.list == nil {
				n.fail("site %d has no replica of shard %d", s.site, i+1)
			}
		}
	}
}

// play does one thing after the other.
func (n *nursery) play() {
	actions := []func(){
		n.announce, n.learn, n.learn, n.begin, n.look, n.look, n.look, n.act, n.act, n.crash, n.restart, n.restart, n.wipe, n.settle, n.settle,
		n.drive,
	}
	for range n.rng.IntN(300) {
		if n.rng.IntN(150) == 0 {
			n.abandon()
		}
		actions[n.rng.IntN(len(actions))]()
	}
}

// schedules is how many are played: some tenths of a second.
var schedules = 1000

// TestABirthHasOneListOfFounders: whatever crashes, is wiped, comes late or acts on what it saw long ago, all replicas of a shard begin with
// the same founders, no empty disk votes twice, and the birth comes to its end.
func TestABirthHasOneListOfFounders(t *testing.T) {
	var stats nurseryStats
	for seed := range uint64(schedules) {
		n := newNursery(t, seed, &stats)
		n.play()
		n.calm()
	}
	t.Logf("%+v", stats)
	if s := stats; s.born == 0 || s.given == 0 || s.late == 0 || s.joined == 0 || s.refused == 0 {
		t.Error("something was never tried")
	}
}

// TestABirthWaits has one row per thing that a birth waits for, and one for each step.
func TestABirthWaits(t *testing.T) {
	roster := &Roster{}
	for _, id := range []holdfast.SiteID{1, 2, 3} {
		roster.put(ListedSite{Site: id, Role: RoleVoter})
	}
	roster.put(ListedSite{Site: 4, Role: RoleLearner})
	fresh := birth{ID: "x", Shard: 3, At: 7}
	named := fresh
	named.Founders, named.At = []founder{{1, 10}, {2, 20}, {3, 30}}, 9
	list := foundedBy(shard.NewMembers(named.members()))
	ready := func() ([]babyAt, shardNow) {
		sites := []babyAt{{1, true, "", 9, 10, list}, {2, true, "", 9, 20, list}, {3, true, "", 9, 30, list}, {4, true, "", 9, 40, list}}
		return sites, shardNow{shard: 3, known: true, leader: 1, members: []memberNow{{site: 1, votes: true, fit: true}, {site: 2, votes: true, fit: true}, {site: 3, votes: true, fit: true}, {site: 4, fit: true}}}
	}
	for _, row := range []struct {
		name  string
		birth birth
		edit  func([]babyAt, *shardNow)
		kind  birthKind
		why   string
	}{
		{"one is silent", fresh, func(s []babyAt, _ *shardNow) { s[1].answers = false }, birthWait, "site 2 does not answer"},
		{"one has not heard of it", fresh, func(s []babyAt, _ *shardNow) { s[2].mapped = 6 }, birthWait, "site 3 makes room"},
		{"one has no identity yet", fresh, func(s []babyAt, _ *shardNow) { s[2].replica = 0 }, birthWait, "site 3 makes room"},
		{"one is of an older release", fresh, func(s []babyAt, _ *shardNow) { s[0].trouble = "is old" }, birthWait, "site 1 is old"},
		{"one has books of that number", fresh, func(s []babyAt, _ *shardNow) { s[2].founded = 5 }, birthWait, "another fleet"},
		{"a learner is silent", fresh, func(s []babyAt, _ *shardNow) { s[3].answers = false }, birthFound, ""},
		{"one has other founders", named, func(s []babyAt, _ *shardNow) { s[2].founded = 5 }, birthWait, "site 3 has other founders"},
		{"one is not born yet", named, func(s []babyAt, _ *shardNow) { s[2].founded = 0 }, birthWait, "site 3 is not born yet"},
		{"one that is born is silent", named, func(s []babyAt, n *shardNow) { s[2].answers, s[2].founded, n.members[2].fit = false, 0, false }, birthFinish, ""},
		{"nobody leads", named, func(_ []babyAt, n *shardNow) { n.known = false }, birthWait, "its leader does not answer"},
		{"one is not at work", named, func(_ []babyAt, n *shardNow) { n.members[1].fit = false }, birthWait, "site 2 is not at work"},
		{"the learner is no member", named, func(_ []babyAt, n *shardNow) { n.members = n.members[:3] }, birthOrder, ""},
		{"all is well", named, func([]babyAt, *shardNow) {}, birthFinish, ""},
	} {
		sites, now := ready()
		if row.birth.Founders == nil {
			for i := range sites {
				sites[i].founded = 0
			}
		}
		row.edit(sites, &now)
		got := row.birth.next(roster, sites, &now)
		if got.kind != row.kind || !strings.Contains(got.why, row.why) || got.kind == birthFound && len(got.founders) != 3 ||
			got.kind == birthOrder && (got.order.kind != moveAdmit || got.order.site != 4) {
			t.Errorf("%s: %+v, want kind %d %q", row.name, got, row.kind, row.why)
		}
	}
}
