package sim

import (
	"maps"
	"slices"

	"holdfast"
)

// beat tells every other site that this one lives, and which shards that it leads are asleep.
func (p *process) beat() {
	for _, other := range p.f.sites {
		if other == p {
			continue
		}
		beat := p.beats.Beat(other.site)
		p.f.net.send(p.site, other.site, func() { other.hearBeat(p.site, beat) })
	}
}

// hearBeat takes a beat, and passes on what it says to those replicas that are awake.
func (p *process) hearBeat(from holdfast.SiteID, beat []byte) {
	if !p.up {
		return
	}
	list, err := p.beats.Hear(from, beat)
	if err != nil {
		p.f.e.fail("beat", "site %d does not understand a beat of site %d: %v", p.site, from, err)
		return
	}
	for _, id := range slices.Sorted(maps.Keys(list)) {
		r := p.replicas[id-1]
		if r.core == nil || r.out || r.rest != nil {
			continue
		}
		if r.failed(r.core.Hear(from, list[id])) {
			return
		}
		r.pump()
	}
}

// doze lets the replica fall asleep, if it may.
func (r *replica) doze() {
	if r.core == nil || r.out || r.fetching || r.machine.Doubted() || r.soon && r.core.Leader().Self || len(r.commits) > 0 {
		return
	}
	rest, err := r.p.beats.Doze(r.shard, r.core)
	if r.failed(err) || rest == nil {
		return
	}
	r.rest = rest
	r.p.f.stats.Slept++
	r.p.f.e.logf("site %d shard %d falls asleep", r.p.site, r.shard)
	r.pump()
}

// wake ends the sleep of the replica, if it sleeps.
func (r *replica) wake() {
	if r.rest == nil {
		return
	}
	r.p.beats.Rouse(r.core, r.rest)
	r.rest = nil
	r.p.f.e.logf("site %d shard %d wakes", r.p.site, r.shard)
}

// asleepTicks is how often a replica that sleeps is looked at for what time brings about.
const asleepTicks = 20

// look does for a replica that sleeps what others do beside it, and what time brings about.
func (r *replica) look() {
	if r.core == nil || r.out {
		return
	}
	r.carryOn()
	if r.ticks++; r.ticks%asleepTicks != 0 {
		return
	}
	now := r.p.clock()
	if r.core.Ready() {
		r.upkeep(now)
	}
	if g := r.machine.Seal(now); g != nil {
		r.persistLater(g)
	}
	r.pump()
}
