package sim

import (
	"slices"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/store"
)

// faults is what goes wrong in a run: one thing after the other, or several at once, drawn from the seed.
type faults struct {
	f       *fleet
	stopped bool
	pause   time.Duration // mean time between two
	kinds   []fault
	righted time.Duration // when a clock that had run away was set last
}

// fault does something bad and sees to it that it ends.
type fault func(*faults)

func drawFaults(f *fleet) faults {
	rng := f.e.rng
	x := faults{f: f, pause: pick(rng, []time.Duration{150 * time.Millisecond, 400 * time.Millisecond, 900 * time.Millisecond})}
	if f.calm {
		return x
	}
	f.net.loss = pick(rng, []float64{0, 0.005, 0.03})
	f.net.double = pick(rng, []float64{0, 0.02, 0.1})
	f.net.longest = pick(rng, []time.Duration{3 * time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond})
	all := []fault{
		(*faults).crash, (*faults).crash, (*faults).crash, (*faults).crashAll, (*faults).isolate, (*faults).isolate,
		(*faults).split, (*faults).oneWay, (*faults).slowDisk, (*faults).failFsync, (*faults).wipe, (*faults).wipe,
		(*faults).jumpClock, (*faults).jumpClock, (*faults).handOver, (*faults).handOver, (*faults).crashLeader, (*faults).isolateLeader,
		(*faults).flicker, (*faults).stopSite, (*faults).stopLeader, (*faults).fullDisk, (*faults).flicker,
		(*faults).runAway, (*faults).runAway,
	}
	moves := []fault{
		(*faults).removeSite, (*faults).removeSite, (*faults).removeLeader, (*faults).removeTwo, (*faults).takeBack, (*faults).takeBack,
		(*faults).promoteEarly, (*faults).demote,
	}
	corrupt := rng.IntN(3) == 0 // such disks stop elections for seconds: most runs are better without
	all = append(all, moves...)
	if f.options.Unrest {
		x.kinds = []fault{(*faults).flicker, (*faults).flicker, (*faults).crashLeader, (*faults).isolateLeader, (*faults).crash}
		return x
	}
	if f.options.Moves {
		x.kinds = []fault{
			(*faults).removeSite, (*faults).removeLeader, (*faults).removeTwo, (*faults).takeBack, (*faults).takeBack, (*faults).wipe,
			(*faults).demote, (*faults).wipe, (*faults).crash, (*faults).crashAll, (*faults).crashLeader, (*faults).isolate, (*faults).isolateLeader,
		}
		return x
	}
	// Every run leaves some kinds out: some mistakes show only when nothing else disturbs.
	for _, kind := range all {
		if rng.IntN(3) > 0 {
			x.kinds = append(x.kinds, kind)
		}
	}
	if corrupt {
		x.kinds = append(x.kinds, (*faults).corrupt, (*faults).corruptBeside, (*faults).corruptTwo)
	}
	return x
}

func (x *faults) start() {
	if len(x.kinds) == 0 {
		return
	}
	x.f.e.after(600*time.Millisecond+x.f.e.between(0, 2*x.pause), x.next)
}

func (x *faults) next() {
	if x.stopped {
		return
	}
	pick(x.f.e.rng, x.kinds)(x)
	x.f.e.after(x.f.e.between(x.pause/4, 2*x.pause), x.next)
}

// stop heals everything and starts what is down.
func (x *faults) stop() {
	x.stopped = true
	x.f.net.calm()
	for _, p := range x.f.sites {
		p.slow, p.failing = 0, false
		x.setClock(p)
		x.repair(p)
		x.space(p)
		if !p.up {
			p.start()
		}
	}
}

// later ends a fault, unless all have been ended.
func (x *faults) later(low, high time.Duration, do func()) {
	x.f.e.after(x.f.e.between(low, high), func() {
		if !x.stopped {
			do()
		}
	})
}

func (x *faults) crash() { x.crashSite(x.f.anySite()) }

func (x *faults) crashSite(p *process) {
	p.crash()
	life := p.life
	x.later(10*time.Millisecond, 900*time.Millisecond, func() {
		if !p.up && p.life == life {
			p.start()
		}
	})
}

func (x *faults) crashAll() {
	if x.f.e.chance(0.5) {
		return // rarely: nothing happens while all are down
	}
	for _, p := range x.f.sites {
		x.crashSite(p)
	}
}

// leader is the site that leads a shard drawn at random, as it believes itself.
func (x *faults) leader() (*process, *replica) {
	i := x.f.e.rng.IntN(len(x.f.shards))
	for _, p := range x.f.sites {
		if p.up && p.replicas[i].core != nil && p.replicas[i].core.Leader().Self {
			return p, p.replicas[i]
		}
	}
	return nil, nil
}

func (x *faults) crashLeader() {
	if p, _ := x.leader(); p != nil {
		x.crashSite(p)
	}
}

// stopSite stops a process as a signal does: it comes back believing what it believed before.
func (x *faults) stopSite() { x.standStill(x.f.anySite()) }

func (x *faults) stopLeader() {
	if p, _ := x.leader(); p != nil {
		x.standStill(p)
	}
}

func (x *faults) standStill(p *process) {
	d := x.f.e.between(20*time.Millisecond, time.Second)
	x.f.stats.Pauses++
	x.f.e.logf("site %d stands still for %s", p.site, d)
	p.paused = x.f.e.now + d
}

// flicker takes the leader away and restarts the others again and again in the middle of the election: who forgets a vote votes
// twice.
func (x *faults) flicker() {
	p, _ := x.leader()
	if p == nil {
		return
	}
	x.crashSite(p)
	for range 12 {
		x.later(80*time.Millisecond, 350*time.Millisecond, func() {
			if other := x.f.anySite(); other != p && other.up {
				other.crash()
				other.start()
			}
		})
	}
}

func (x *faults) isolateLeader() {
	if p, _ := x.leader(); p != nil {
		x.cut("site %d is cut off while it leads", p, true, true)
	}
}

func (x *faults) isolate() { x.cut("site %d is cut off", x.f.anySite(), true, true) }

func (x *faults) oneWay() {
	if x.f.e.chance(0.5) {
		x.cut("site %d is not heard", x.f.anySite(), true, false)
	} else {
		x.cut("site %d does not hear", x.f.anySite(), false, true)
	}
}

func (x *faults) cut(text string, p *process, out, in bool) {
	x.f.stats.Cuts++
	x.f.e.logf(text, p.site)
	x.f.net.isolate(p.site, out, in)
	x.healLater()
}

func (x *faults) healLater() {
	x.later(50*time.Millisecond, 1500*time.Millisecond, func() {
		x.f.e.logf("the network heals")
		x.f.net.heal()
	})
}

func (x *faults) split() {
	party := make([]bool, len(x.f.sites)+1)
	for i := 1; i < len(party); i++ {
		party[i] = x.f.e.chance(0.5)
	}
	x.f.stats.Cuts++
	x.f.e.logf("the network splits %v", party[1:])
	x.f.net.split(party)
	x.healLater()
}

func (x *faults) slowDisk() {
	p := x.f.anySite()
	p.slow = x.f.e.between(10*time.Millisecond, 300*time.Millisecond)
	x.f.stats.SlowDisks++
	x.f.e.logf("site %d: the disk takes %s longer", p.site, p.slow)
	x.later(100*time.Millisecond, time.Second, func() { p.slow = 0 })
}

// corrupt lets a disk give back what was not written, until the replica there has forgotten, or somebody has found out that it
// was a bad cable and nothing on the disk is wrong.
func (x *faults) corrupt() { x.corruptAt(x.f.anySite(), x.f.e.rng.IntN(len(x.f.shards))) }

func (x *faults) corruptAt(p *process, i int) {
	if !p.up || p.rotten[i] > 0 || p.replicas[i].core == nil {
		return
	}
	x.f.e.logf("site %d shard %d: the disk is corrupt", p.site, i+1)
	p.rotten[i] = x.f.e.now
	p.replicas[i].failed(&store.ErrCorrupt{Shard: p.replicas[i].shard, What: "planted by the simulator"})
	x.later(time.Second, 4*time.Second, func() {
		if p.rotten[i] > 0 {
			x.repair(p)
		}
	})
}

// repair makes what a site has on its disk readable again.
func (x *faults) repair(p *process) {
	if slices.Max(p.rotten) == 0 {
		return
	}
	x.f.e.logf("site %d: the disk is good again", p.site)
	clear(p.rotten)
	if p.up {
		p.crash()
		p.start()
	}
}

// corruptBeside lets a disk turn out corrupt while another site is down.
func (x *faults) corruptBeside() {
	p, i := x.f.anySite(), x.f.e.rng.IntN(len(x.f.shards))
	if other := x.f.anySite(); other != p {
		x.crashSite(other)
	}
	x.corruptAt(p, i)
}

// corruptTwo lets two disks turn out corrupt at once, or nearly.
func (x *faults) corruptTwo() {
	p, q, i := x.f.anySite(), x.f.anySite(), x.f.e.rng.IntN(len(x.f.shards))
	x.corruptAt(p, i)
	x.later(0, 100*time.Millisecond, func() { x.corruptAt(q, i) })
}

func (x *faults) failFsync() {
	p := x.f.anySite()
	if !p.up {
		return
	}
	p.failing = true
	life := p.life
	x.later(200*time.Millisecond, 1200*time.Millisecond, func() {
		if !p.up && p.life == life {
			p.start()
		}
		p.failing = false
	})
}

// wipe replaces the disk of a site by an empty one, when the others have everything.
func (x *faults) wipe() {
	p := x.f.anySite()
	if !x.f.whole(p) {
		return
	}
	p.crash()
	x.f.emptyDisk(p)
	x.f.stats.Wipes++
	x.f.e.logf("site %d: the disk is replaced", p.site)
	life := p.life
	x.later(10*time.Millisecond, 500*time.Millisecond, func() {
		if !p.up && p.life == life {
			p.start()
		}
	})
}

// emptyDisk puts an empty disk in the place of the old one.
func (f *fleet) emptyDisk(p *process) {
	var old []store.Identity
	for i := range f.shards {
		old = append(old, p.disk.volume(i).Identity())
	}
	p.disk.wipe()
	f.births.emptied(p)
	clear(p.rotten)
	if !shard.PlantedWipedVotes {
		return
	}
	for i := range f.shards {
		if err := p.disk.volume(i).SetIdentity(old[i]); err != nil {
			f.e.fail("disk", "site %d: %v", p.site, err)
		}
	}
}

// rot alters a checkpoint on a disk behind everybody's back, so that no checksum and no balance shows it: one account has a
// little more, another a little less. From then on the replica differs from the others, and has to notice.
func (f *fleet) rot() {
	p := f.anySite()
	for i := range f.shards {
		d, ok := p.disk.(*disk)
		if !ok || !p.up || !d.volumes[i].rot() {
			continue
		}
		f.e.logf("site %d shard %d: the checkpoint rots", p.site, i+1)
		f.rotten = p
		f.shards[i].blind = true
		p.crash()
		p.start()
		if f.e.chance(0.5) {
			f.e.after(500*time.Millisecond, func() { f.crown(p, holdfast.ShardID(i+1)) })
		}
		return
	}
	f.e.after(100*time.Millisecond, f.rot)
}

// crown hands the leadership of a shard to a site: also a leader may be the one that differs, and does not see it in the log.
func (f *fleet) crown(to *process, s holdfast.ShardID) {
	for _, p := range f.sites {
		r := p.replicas[s-1]
		if !p.up || p == to || r.core == nil || r.out || !r.core.Leader().Self {
			continue
		}
		if err := r.core.TransferTo(to.replicas[s-1].id()); err != nil && !tolerable(err) {
			r.failed(err)
		}
		r.pump()
	}
}

func (x *faults) jumpClock() {
	p := x.f.anySite()
	p.offset += x.f.e.between(-3*time.Second, 3*time.Second)
	x.f.stats.ClockJumps++
	x.f.e.logf("site %d: the clock jumps to %s", p.site, p.offset)
	x.f.notePace()
}

func (x *faults) handOver() {
	_, r := x.leader()
	if r == nil {
		return
	}
	to := pick(x.f.e.rng, r.core.Members().List)
	if to.Role != shard.Voter {
		return
	}
	x.f.stats.HandOvers++
	x.f.e.logf("site %d shard %d: hands over to site %d", r.p.site, r.shard, to.Site)
	if err := r.core.TransferTo(to.Replica); err != nil && !tolerable(err) {
		r.failed(err)
		return
	}
	r.pump()
}
