package sim

import (
	"fmt"
	"time"

	"holdfast"
	"holdfast/shard"
)

// quarrelPause is how long the answers to one round of questions are waited for.
const quarrelPause = 250 * time.Millisecond

// doubt begins to ask the others when a digest has shown that one of them, or this replica, is wrong; see shard's quarrel.go.
func (r *replica) doubt() {
	if r.machine.Doubted() && !r.quarrels && !r.out && r.core != nil {
		r.quarrels = true
		r.ponder()
	}
}

// ponder tells the others once what this replica has, and decides by what has come until the next round.
func (r *replica) ponder() {
	r.quarrel++
	r.opinions = nil
	round, f, machine := r.quarrel, r.p.f, r.machine
	own := machine.Opinion(r.p.site, r.id())
	for _, other := range f.sites {
		if other == r.p {
			continue
		}
		f.net.send(r.p.site, other.site, func() {
			answer, ok := other.opine(r.shard, own)
			if !ok {
				return
			}
			f.net.send(other.site, r.p.site, func() { r.told(machine, round, answer) })
		})
	}
	r.p.after(quarrelPause, func() {
		if r.machine == machine && r.quarrel == round && r.quarrels && !r.out {
			r.ponder()
		}
	})
}

// opine is the other site's half of ponder.
func (p *process) opine(s holdfast.ShardID, theirs shard.Opinion) (answer shard.Opinion, ok bool) {
	if !p.up {
		return answer, false
	}
	r := p.replicas[s-1]
	if r.core == nil || r.out {
		return answer, false
	}
	r.machine.Hear(&theirs)
	r.doubt()
	r.pump()
	return r.machine.Opinion(p.site, r.id()), true
}

func (r *replica) told(machine *shard.Machine, round int, answer shard.Opinion) {
	if !r.p.up || r.machine != machine || r.quarrel != round || !r.quarrels || r.out {
		return
	}
	r.opinions = append(r.opinions, answer)
	cause, _ := machine.Doubt()
	verdict, differ := machine.Judge(r.p.site, r.id(), r.opinions)
	switch verdict {
	case shard.Right:
		r.quarrels = false
		r.p.f.e.logf("site %d shard %d: is right (%v); sites %v are not", r.p.site, r.shard, cause, differ)
		r.pump()
	case shard.Wrong:
		r.failed(fmt.Errorf("a majority has another state: %w", cause))
	}
}
