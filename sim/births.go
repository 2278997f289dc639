package sim

import (
	"slices"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/store"
)

// nursery is the birth of the last shard of a fleet that runs: it is announced, its founders are named once, and each replica begins
// with them when its site hears of it. The versions of the shard map that say so are numbers here and not a record; every site learns of
// them in its own time, and who names the founders acts on what it saw a while ago.
type nursery struct {
	f       *fleet
	i       int // of the shard, from 0
	version int // of the map
	known   map[holdfast.SiteID]int
	list    []shard.Member           // as named
	first   []shard.Member           // with which the first replica began
	voted   map[shard.ReplicaID]bool // identities that began as founders
	begun   map[holdfast.SiteID]bool
	lost    bool // the disk of one site, since it was announced: with another there might be nobody to elect
	grown   bool // every replica has begun
	stats   BirthStats
}

// BirthStats counts what happened to shards that are born.
type BirthStats struct {
	Named, Adopted, Joined int // founders; replicas that began with them; and those that came in the stead of a lost one
	Lost, Late, Waited     int // disks lost meanwhile; replicas that began when payments went on already; looks at nobody
}

// Versions of the map.
const (
	mapAnnounced = iota + 1
	mapNamed
)

func newNursery(f *fleet) *nursery {
	return &nursery{f: f, i: len(f.shards) - 1, known: map[holdfast.SiteID]int{}, voted: map[shard.ReplicaID]bool{}, begun: map[holdfast.SiteID]bool{}}
}

// of reports the shard that is born.
func (n *nursery) of(s holdfast.ShardID) bool { return n != nil && int(s-1) == n.i }

// young reports that not every replica of the shard has begun.
func (n *nursery) young(i int) bool { return n != nil && i == n.i && !n.grown }

func (n *nursery) start() {
	n.f.e.after(n.f.e.between(700*time.Millisecond, 2500*time.Millisecond), func() {
		n.f.e.logf("shard %d is to be born", n.i+1)
		n.version = mapAnnounced
		n.drive()
	})
	for _, p := range n.f.sites {
		n.f.e.after(n.f.e.between(0, 300*time.Millisecond), func() { n.poll(p) })
	}
}

// drive names the founders when every site that was seen has a disk for the shard.
func (n *nursery) drive() {
	if n.list != nil {
		return
	}
	n.f.e.after(n.f.e.between(20*time.Millisecond, 300*time.Millisecond), n.drive)
	var seen []shard.Member
	for _, p := range n.f.sites {
		id := n.identity(p)
		if !p.up || n.known[p.site] < mapAnnounced || id.Replica == 0 {
			return
		}
		seen = append(seen, shard.Member{Replica: shard.ReplicaID(id.Replica), Site: p.site, Role: shard.Voter})
	}
	n.f.e.after(n.f.e.between(0, 400*time.Millisecond), func() { n.name(seen) })
}

// name writes the list, unless one stands there already.
func (n *nursery) name(list []shard.Member) {
	if n.list != nil {
		return
	}
	n.list, n.version = list, mapNamed
	n.stats.Named++
	n.f.e.logf("the founders of shard %d are named: %x", n.i+1, list)
	for _, m := range list {
		n.f.shards[n.i].confs[0].voters = append(n.f.shards[n.i].confs[0].voters, m.Replica)
	}
}

func (n *nursery) identity(p *process) store.Identity {
	if !p.up {
		return store.Identity{}
	}
	return p.disk.volume(n.i).Identity()
}

// poll lets a site look at the map, and its replica for its place.
func (n *nursery) poll(p *process) {
	n.f.e.after(n.f.e.between(30*time.Millisecond, 250*time.Millisecond), func() { n.poll(p) })
	if !p.up || p.paused > n.f.e.now {
		return
	}
	if n.known[p.site] < n.version && n.f.e.chance(0.6) {
		n.known[p.site] = n.version
	}
	r := p.replicas[n.i]
	switch {
	case r.core != nil:
		r.asking = false
		n.begin(p)
	case !r.out && !r.corrupt && n.known[p.site] >= mapAnnounced:
		n.look(r)
	}
}

// begin notes that the replica of a site has its place.
func (n *nursery) begin(p *process) {
	if n.begun[p.site] {
		return
	}
	n.begun[p.site] = true
	n.grown = n.grown || len(n.begun) == len(n.f.sites)
	if len(n.f.shards[n.i].log) > len(n.f.sites) {
		n.stats.Late++
	}
}

// emptied is told that a site has an empty disk.
func (n *nursery) emptied(p *process) {
	if n == nil {
		return
	}
	delete(n.known, p.site) // it hears of it anew
	if !n.grown && n.version > 0 {
		delete(n.begun, p.site)
		n.lost = true
		n.stats.Lost++
	}
}

// look makes room for a replica, and lets it decide how it begins: by what its site was told, or by what the others are.
func (n *nursery) look(r *replica) {
	id := r.volume.Identity()
	if id.Replica == 0 {
		id.Replica = n.f.identity()
		if err := r.volume.SetIdentity(id); err != nil {
			r.failed(err)
			return
		}
	}
	if id.Born || len(id.Birth) > 0 || r.asking {
		return
	}
	if n.known[r.p.site] >= mapNamed {
		told := shard.NewMembers(n.list)
		n.decide(r, &told, nil)
		return
	}
	n.ask(r)
}

// askedFor is how long the answers of the others are waited for.
const askedFor = 100 * time.Millisecond

func (n *nursery) ask(r *replica) {
	var heard []shard.Report
	life := r.p.life
	for _, other := range n.f.sites {
		if other == r.p {
			continue
		}
		n.f.net.send(r.p.site, other.site, func() {
			if report, ok := n.report(other); ok {
				n.f.net.send(other.site, r.p.site, func() { heard = append(heard, report) })
			}
		})
	}
	r.p.after(askedFor, func() {
		if r.p.life == life && r.core == nil {
			n.decide(r, nil, heard)
		}
	})
}

// report is what a site answers to those who look for their place. A replica that is not born is nobody; see shard.Host.
func (n *nursery) report(p *process) (r shard.Report, ok bool) {
	id := n.identity(p)
	r = shard.Report{Site: p.site, Replica: shard.ReplicaID(id.Replica)}
	if len(id.Birth) > 0 {
		m, err := shard.ParseMembers(id.Birth)
		if err != nil {
			n.f.e.fail("birth", "site %d: what it was born with does not read: %v", p.site, err)
			return r, false
		}
		r.Born, r.Members = true, m
	}
	return r, id.Replica != 0 && (r.Born || shard.PlantedLaterFounds)
}

// decide lets a replica begin.
func (n *nursery) decide(r *replica, told *shard.Members, others []shard.Report) {
	id := r.volume.Identity()
	if id.Replica == 0 || id.Born || len(id.Birth) > 0 {
		return // it has begun meanwhile, or its disk is another one
	}
	birth := shard.DecideLater(shard.Report{Site: r.p.site, Replica: shard.ReplicaID(id.Replica)}, told, others)
	n.f.e.logf("site %d shard %d: %x begins by %s", r.p.site, r.shard, id.Replica, birth.Kind)
	switch birth.Kind {
	case shard.BirthWait:
		n.stats.Waited++
	case shard.BirthJoin:
		n.judge(r, birth.Founders.Founders)
		n.stats.Joined++
		r.asking = true
		r.ask()
	default:
		n.judge(r, birth.Founders.Founders)
		if n.voted[shard.ReplicaID(id.Replica)] {
			n.f.oracle(r.shard).fail("birth", "site %d: an empty disk votes as %x, which has voted before", r.p.site, id.Replica)
		}
		n.voted[shard.ReplicaID(id.Replica)] = true
		n.stats.Adopted++
		id.Born, id.Birth = true, shard.NewMembers(birth.Founders.Founders).Append(nil)
		if err := r.volume.SetIdentity(id); err != nil {
			r.failed(err)
			return
		}
		r.load(false)
	}
}

// judge is what must hold of the founders with which a replica begins: they are the same everywhere, and as many as there are sites.
func (n *nursery) judge(r *replica, list []shard.Member) {
	if n.first == nil {
		n.first = list
	}
	if o := n.f.oracle(r.shard); !slices.Equal(n.first, list) || len(list) != len(n.f.sites) {
		o.fail("birth", "site %d begins with the founders %x, and another has begun with %x; there are %d sites", r.p.site, list, n.first, len(n.f.sites))
	}
}
