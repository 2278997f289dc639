package sim

import (
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// readPast asks any site for what had happened by a moment that has just been, by that site's clock, as it is: linearizably, or stale.
func (c *client) readPast() {
	site, o := c.f.anySite(), c.f.oracle(c.shard)
	t := site.own() - holdfast.Time(c.f.e.between(0, 30*time.Millisecond))
	stale := c.f.e.chance(0.2)
	c.attempt++
	attempt := c.attempt
	done := func() {
		if c.attempt == attempt {
			c.attempt++
			c.next()
		}
	}
	c.f.net.rpc(0, site.site, func() {
		site.past(c.shard, t, stale, func(index uint64) {
			c.f.stats.PastReads++
			o.past(site.site, t, index)
			c.f.net.rpc(site.site, 0, done)
		})
	})
	c.f.e.after(500*time.Millisecond, done)
}

// past calls answer with the entry that the state is at, once nothing can come that is stamped up to t. Without an answer the caller
// asks no more, as it would be told that there is none.
func (p *process) past(s holdfast.ShardID, t holdfast.Time, stale bool, answer func(index uint64)) {
	if stale {
		if r := p.serving(s); r != nil && !r.machine.Doubted() && r.machine.Final(t) == nil {
			index, _ := r.machine.Applied()
			answer(index)
		}
		return
	}
	p.confirmed(s, func(r *replica) {
		if r.machine.Final(t) == nil {
			index, _ := r.machine.Applied()
			answer(index)
			return
		}
		p.close(s, t, func() {
			p.f.stats.Closings++
			p.confirmed(s, func(r *replica) {
				if err := r.machine.Final(t); err != nil {
					p.f.oracle(s).fail("past", "site %d reads after the leader has closed the past: %v", p.site, err)
					return
				}
				index, _ := r.machine.Applied()
				answer(index)
			})
		})
	})
}

// serving is the replica of a shard while it answers questions; nil: it does not.
func (p *process) serving(s holdfast.ShardID) *replica {
	if !p.up {
		return nil
	}
	if r := p.replicas[s-1]; r.core != nil && !r.out {
		return r
	}
	return nil
}

// confirmed calls then when the state here is new enough for a linearizable read, and never when that cannot be told.
func (p *process) confirmed(s holdfast.ShardID, then func(*replica)) {
	r := p.serving(s)
	if r == nil {
		return
	}
	life, core := p.life, r.core
	r.core.Read(&shard.ReadRequest{Answer: func(q *shard.ReadRequest) {
		if q.Err == nil && p.up && p.life == life && r.core == core && !r.machine.Doubted() {
			then(r)
		}
	}})
	r.pump()
}

// close asks the leader, as far as it is known here, to close the past; done is called when it says that it has.
func (p *process) close(s holdfast.ShardID, t holdfast.Time, done func()) {
	life, to := p.life, p.site
	if r := p.serving(s); r == nil || !r.core.Leader().Self {
		to = p.board(s)
	}
	if to == 0 {
		return
	}
	leader := p.f.sites[to-1]
	p.f.net.rpc(p.site, to, func() {
		r := leader.serving(s)
		if r == nil {
			return
		}
		r.core.ClosePast(&shard.PastRequest{At: t, Answer: func(q *shard.PastRequest) {
			if q.Err != nil {
				return
			}
			p.f.net.rpc(to, p.site, func() {
				if p.up && p.life == life {
					done()
				}
			})
		}})
		r.pump()
	})
}

// past checks an answer about a moment, given by a state at an entry: whatever is behind that entry, now and ever, is stamped later.
func (o *oracle) past(at holdfast.SiteID, t holdfast.Time, index uint64) {
	for _, later := range o.log[index:] {
		if later.last == 0 {
			continue // no stamp
		}
		if h, _, err := ledger.ReadEntry(later.entry.Data); err != nil || h.Time <= t {
			o.fail("past", "site %d answers at entry %d for %s, and entry %d is stamped %s (%v)", at, index, t, later.entry.Index, h.Time, err)
		}
		break // stamps rise
	}
	o.pledged = max(o.pledged, t)
}

// keepsPledge checks a new entry against all answers about the past that were given before it.
func (o *oracle) keepsPledge(index uint64, stamp holdfast.Time) {
	if stamp <= o.pledged {
		o.fail("past", "entry %d is stamped %s, and what had happened by %s was answered without it", index, stamp, o.pledged)
	}
}
