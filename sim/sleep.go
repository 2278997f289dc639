package sim

import (
	"maps"
	"slices"

	"holdfast"
	"holdfast/shard"
)

// beat tells every other site that this one lives, and which shards that it leads are asleep.
func (p *process) beat() {
	for _, other := range p.f.sites {
		if other == p {
			continue
		}
		p.beats.Wall = p.own()
		beat, number := p.beats.Beat(other.site), p.ticks
		p.sent[p.beats.Number()%uint64(len(p.sent))] = sentBeat{p.beats.Number(), p.f.e.now}
		p.f.net.send(p.site, other.site, func() { other.hearBeat(p.site, beat, number) })
	}
}

// hearBeat takes a beat, and passes on what it says to those replicas that are awake.
func (p *process) hearBeat(from holdfast.SiteID, beat []byte, number uint64) {
	if !p.up {
		return
	}
	if h := &p.heard[from-1]; number > h.number {
		*h = heardBeat{number, p.ticks}
	}
	p.beats.Part = min(int((p.f.e.now-p.ticked)/tick), p.stride-1)
	list, err := p.beats.Hear(from, beat)
	if err != nil {
		p.f.e.fail("beat", "site %d does not understand a beat of site %d: %v", p.site, from, err)
		return
	}
	p.hearClock(from)
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

// heardBeat is what is true of the beats of one site at another, whatever those who sleep there make of them.
type heardBeat struct {
	number uint64 // how many ticks had passed where it was sent
	at     uint64 // and where it was heard
}

// Bounds of a sleep, in ticks of the sleeper. A beat may be late by what the network delays a message at most.
const (
	mostSilence  = 15
	mostOrphaned = 80
)

// guard checks that nobody here sleeps who should have woken: a follower that hears nothing of its leader's site, or whose leader is none
// any more, and a leader that is not heard.
func (p *process) guard() {
	for _, r := range p.replicas {
		switch {
		case r.rest == nil:
			r.orphaned, r.behind = 0, 0
		case r.core.Leader().Self:
			r.guardLearners()
			for _, m := range r.core.Members().List {
				if m.Role == shard.Learner {
					continue // nothing waits for it
				}
				if heard := p.f.sites[m.Site-1].heard[p.site-1].number; m.Site != p.site && p.ticks-heard > mostSilence {
					p.f.e.fail("sleep", "site %d shard %d leads asleep, and site %d has heard nothing that it sent in the last %d ticks",
						p.site, r.shard, m.Site, p.ticks-heard)
				}
			}
		default:
			r.guardFollower()
		}
	}
}

// guardLearners checks that a leader does not sleep on while a learner that could hear it lacks something.
func (r *replica) guardLearners() {
	lacks := holdfast.SiteID(0)
	for _, m := range r.core.Members().List {
		if m.Role != shard.Learner || m.Site == r.p.site {
			continue
		}
		at := r.p.f.sites[m.Site-1]
		there := at.up && at.replicas[r.shard-1].lacks(r)
		// Both ways, as of the clocks of both: what each has heard of the other.
		here := r.p.ticks-r.p.heard[m.Site-1].at <= mostSilence && r.p.ticks-at.heard[r.p.site-1].number <= mostSilence
		if there && here {
			lacks = m.Site
		}
	}
	if r.behind++; lacks == 0 {
		r.behind = 0
	}
	if r.behind > mostOrphaned {
		r.p.f.e.fail("sleep", "site %d shard %d leads asleep, and the learner of site %d, which hears it, lacks entries", r.p.site, r.shard, lacks)
	}
}

// lacks reports that a replica is at work and has applied less than its leader.
func (r *replica) lacks(leader *replica) bool {
	if r.core == nil || r.out {
		return false
	}
	mine, _ := r.machine.Applied()
	all, _ := leader.machine.Applied()
	return mine < all
}

func (r *replica) guardFollower() {
	p, lead := r.p, r.core.Leader()
	if silent := p.ticks - p.heard[lead.Site-1].at; silent > mostSilence {
		p.f.e.fail("sleep", "site %d shard %d sleeps, and has not heard site %d, which leads, for %d ticks", p.site, r.shard, lead.Site, silent)
	}
	r.orphaned++
	if at := p.f.sites[lead.Site-1]; at.up && at.replicas[r.shard-1].core != nil {
		if now := at.replicas[r.shard-1].core.Leader(); now.Self && now.Term == lead.Term && !at.replicas[r.shard-1].out {
			r.orphaned = 0
		}
	}
	if r.orphaned > mostOrphaned {
		p.f.e.fail("sleep", "site %d shard %d sleeps, and site %d does not lead it in term %d any more", p.site, r.shard, lead.Site, lead.Term)
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
