package sim

import (
	"slices"
	"time"

	"holdfast/shard"
)

// tend watches the disk of the site, as shard.Host does, and hands over what is led here when another site's is better.
func (p *process) tend() {
	own := p.care.Look(p.site, p.f.e.now)
	leads := false
	for _, r := range p.replicas {
		if r.core != nil && !r.out {
			r.core.SetReluctant(!own.Well)
			leads = leads || r.core.Leader().Self
		}
	}
	if (leads || own.Starved) && p.care.Asks(own, p.f.e.now) {
		p.askHealth(own)
	}
}

// healthWait is how long the others' answers are waited for.
const healthWait = 100 * time.Millisecond

func (p *process) askHealth(own shard.Health) {
	var heard []shard.Health
	life := p.life
	for _, other := range p.f.sites {
		if other == p {
			continue
		}
		p.f.net.send(p.site, other.site, func() {
			if !other.up {
				return
			}
			answer := other.care.Look(other.site, p.f.e.now)
			p.f.net.send(other.site, p.site, func() {
				if p.life == life {
					heard = append(heard, answer)
				}
			})
		})
	}
	p.after(healthWait, func() {
		p.care.Compare(own, heard, p.f.e.now)
		for _, r := range p.replicas {
			r.yield(own, heard)
		}
	})
}

func (r *replica) yield(own shard.Health, others []shard.Health) {
	if r.core == nil || r.out || !r.core.Leader().Self {
		return
	}
	status, err := r.core.Status()
	if r.failed(err) || status.State != "leader" {
		return
	}
	what := r.p.care.Decide(r.shard, own, status, others, r.p.f.e.now)
	r.refuses = what.Refuse
	if what.To == 0 {
		return
	}
	r.p.f.ward.yielded(r)
	if r.p.f.ward != nil {
		r.p.pulse(false) // at once: whoever leads next must not send it back
	}
	r.p.f.stats.Yields++
	r.p.f.e.logf("site %d shard %d: yields to replica %x (full %v, sick %v, median %s)", r.p.site, r.shard, uint64(what.To), own.Full, own.Sick, own.Median)
	if err := r.core.TransferTo(what.To); err != nil && !tolerable(err) {
		r.failed(err)
		return
	}
	r.pump()
}

// fullDisk leaves no room for new work at a site for a while: at one that fetches a checkpoint, when there is one.
func (x *faults) fullDisk() {
	p := x.f.anySite()
	for _, other := range x.f.sites {
		if other.up && slices.ContainsFunc(other.replicas, func(r *replica) bool { return r.fetching }) {
			p = other
		}
	}
	p.full = true
	p.disk.fill(true)
	p.care.Space(true)
	x.f.stats.FullDisks++
	x.f.e.logf("site %d: the disk is full", p.site)
	x.later(300*time.Millisecond, 5*time.Second, func() { x.space(p) })
}

func (x *faults) space(p *process) {
	p.full = false
	p.disk.fill(false)
	p.care.Space(false)
}
