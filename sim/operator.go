package sim

import (
	"errors"
	"slices"
	"time"

	"holdfast/shard"
)

// What operators do to the members of a shard, at any time: in the middle of elections, partitions and crashes, and again until
// it is done, at whatever site takes itself for the leader.

// patience is how often an operator tries one thing.
const patience = 25

// operate proposes the changes that want draws from what a leader knows, until it draws none.
func (x *faults) operate(o *oracle, tries int, want func(shard.Members) (shard.MemberChange, bool)) {
	var leaders []*replica
	for _, p := range x.f.sites {
		if r := p.at(o); p.up && r.core != nil && !r.out && r.core.Leader().Self {
			leaders = append(leaders, r)
		}
	}
	if len(leaders) > 0 {
		r := pick(x.f.e.rng, leaders)
		change, more := want(r.core.Members())
		if !more || !x.propose(o, r, change) {
			return
		}
	}
	if tries == 0 {
		clear(o.unwanted) // what was proposed may still happen: then whoever knows that it is out asks to be let in
		return
	}
	x.later(5*time.Millisecond, 250*time.Millisecond, func() { x.operate(o, tries-1, want) })
}

// propose is false when the answer will not change.
func (x *faults) propose(o *oracle, r *replica, change shard.MemberChange) bool {
	err := r.core.ProposeMembers(change)
	x.f.e.logf("site %d shard %d: promote %x, remove %x: %v", r.p.site, o.shard, change.Promote, change.Remove, err)
	switch {
	case errors.Is(err, shard.ErrTooFewVoters):
		x.f.stats.TooFew++
		clear(o.unwanted)
		return false
	case errors.Is(err, shard.ErrInvariant):
		r.failed(err)
		return false
	case err == nil && len(change.Promote) > 0:
		x.f.stats.EarlyPromotions++
	}
	r.pump()
	return true
}

// order passes an order to a leader, unless the operator wants the site out.
func (f *fleet) order(r *replica, o shard.Order) error {
	if f.oracle(r.shard).unwanted[o.Site] {
		return shard.ErrNotAdmitted
	}
	return r.core.Obey(o)
}

// promoteOrdered gives the learners of sites that came back by order their votes, as the operator's plan does.
func (r *replica) promoteOrdered() error {
	list := r.core.Members().List
	for _, m := range list {
		votes := func(x shard.Member) bool { return x.Site == m.Site && x.Role&(shard.Voter|shard.OldVoter) != 0 }
		if m.Role != shard.Learner || slices.ContainsFunc(list, votes) {
			continue
		}
		if err := r.p.f.order(r, shard.Order{Kind: shard.OrderPromote, Site: m.Site}); err != nil && !tolerable(err) {
			return err
		}
	}
	return nil
}

// at is the replica of a shard at a site.
func (p *process) at(o *oracle) *replica { return p.replicas[o.shard-1] }

func (x *faults) anyShard() *oracle { return pick(x.f.e.rng, x.f.shards) }

func (x *faults) removeSite() { x.remove(x.anyShard(), x.f.anySite()) }

func (x *faults) removeLeader() {
	if p, r := x.leader(); p != nil {
		x.remove(x.f.oracle(r.shard), p)
	}
}

// removeTwo is one joint change.
func (x *faults) removeTwo() {
	a, b := x.f.anySite(), x.f.anySite()
	if len(x.f.sites) > 3 && a != b {
		x.remove(x.anyShard(), a, b)
	}
}

// remove takes all replicas at some sites out of the members, without others in their stead.
func (x *faults) remove(o *oracle, sites ...*process) {
	if x.f.nomads != nil {
		return // who drives a move sees both shards: a site that leads one and was taken out of the other goes on when it hands over
	}
	for _, p := range sites {
		o.unwanted[p.site] = true
		x.f.e.logf("shard %d: site %d is to be removed", o.shard, p.site)
	}
	x.operate(o, patience, func(m shard.Members) (change shard.MemberChange, more bool) {
		for _, member := range m.List {
			if o.unwanted[member.Site] {
				change.Remove = append(change.Remove, member.Replica)
			}
		}
		if x.strands(o, m, change) {
			return shard.MemberChange{}, true // as an order is refused: the lost ones are replaced first
		}
		return change, len(change.Remove) > 0
	})
}

// strands reports a change after which no majority of the voters would have a disk that is theirs and whole: no fleet could go on.
func (x *faults) strands(o *oracle, m shard.Members, change shard.MemberChange) bool {
	whole := map[shard.ReplicaID]bool{}
	for _, p := range x.f.sites {
		if !p.at(o).out {
			whole[shard.ReplicaID(p.disk.volume(int(o.shard-1)).Identity().Replica)] = true
		}
	}
	voters, fit := 0, 0
	for _, member := range m.List {
		if member.Role&shard.Voter == 0 || slices.Contains(change.Remove, member.Replica) {
			continue
		}
		voters++
		if whole[member.Replica] {
			fit++
		}
	}
	return fit <= voters/2
}

// takeBack lets a removed site come in again: the disk as it is, when the replica knows that it is out, or an empty one.
func (x *faults) takeBack() {
	o := x.anyShard()
	for _, p := range x.f.sites {
		if !o.unwanted[p.site] || o.counts(p) {
			continue
		}
		delete(o.unwanted, p.site)
		x.f.e.logf("shard %d: site %d may come back", o.shard, p.site)
		if x.f.ignorant(o, p) || x.f.e.chance(0.5) {
			x.f.renew(p)
		}
		return
	}
}

// promoteEarly gives a learner its vote before it has caught up, and takes it from the replica that it replaces.
func (x *faults) promoteEarly() {
	x.operate(x.anyShard(), patience/5, func(m shard.Members) (change shard.MemberChange, more bool) {
		for _, l := range m.List {
			if l.Role != shard.Learner {
				continue
			}
			change.Promote = []shard.ReplicaID{l.Replica}
			for _, other := range m.List {
				if other.Site == l.Site && other.Replica != l.Replica {
					change.Remove = append(change.Remove, other.Replica)
				}
			}
			return change, true
		}
		return change, true // there may be one soon
	})
}

// demote orders that a voter becomes a learner, as the operator's plan does. It gets its vote back by order.
func (x *faults) demote() { x.demoteAt(x.anyShard(), x.f.anySite(), patience) }

func (x *faults) demoteAt(o *oracle, p *process, tries int) {
	for _, q := range x.f.sites {
		r := q.at(o)
		if !q.up || r.core == nil || r.out || !r.core.Leader().Self {
			continue
		}
		err := r.core.Obey(shard.Order{Kind: shard.OrderDemote, Site: p.site})
		x.f.e.logf("site %d shard %d: demote site %d: %v", q.site, o.shard, p.site, err)
		switch {
		case errors.Is(err, shard.ErrTooFewVoters):
			x.f.stats.TooFew++
			return
		case errors.Is(err, shard.ErrInvariant):
			r.failed(err)
			return
		case err == nil:
			r.pump()
			return
		}
	}
	if tries > 0 {
		x.later(5*time.Millisecond, 250*time.Millisecond, func() { x.demoteAt(o, p, tries-1) })
	}
}

// counts reports whether the replica at a site is a member by all that is committed.
func (o *oracle) counts(p *process) bool {
	return o.latest().member(shard.ReplicaID(p.disk.volume(int(o.shard - 1)).Identity().Replica))
}

// away reports a site that was removed and is to stay out.
func (f *fleet) away(o *oracle, p *process) bool { return o.unwanted[p.site] && !o.counts(p) }

// ignorant reports a replica that was removed and does not know: nobody tells it, so it will never ask to be let in.
func (f *fleet) ignorant(o *oracle, p *process) bool {
	if !p.up || p.at(o).core == nil || o.counts(p) {
		return false
	}
	_, in := p.at(o).core.Members().Find(p.at(o).id())
	return in
}

// renew puts an empty disk into a site, if nothing can be lost by it, and starts it.
func (f *fleet) renew(p *process) {
	if !f.whole(p) {
		return
	}
	p.crash()
	f.emptyDisk(p)
	f.stats.Wipes++
	f.e.logf("site %d: the disk is replaced", p.site)
	p.start()
}

// recall decides for the end whether removed sites come back. A fleet that stays small has to come right as well.
func (f *fleet) recall() {
	for _, o := range f.shards {
		if f.e.chance(0.5) {
			clear(o.unwanted)
		}
	}
}

// restore gives an empty disk to a site that was removed, is wanted again, and does not know of either. Nobody tries any more to
// remove a site that has not been removed by now.
func (f *fleet) restore() {
	for _, o := range f.shards {
		for _, p := range f.sites {
			if o.counts(p) {
				delete(o.unwanted, p.site)
			}
			if !o.unwanted[p.site] && f.ignorant(o, p) {
				f.renew(p)
				return
			}
		}
	}
}

// whole reports whether a disk can be lost: every voter but the one on it is up and has everything that is committed on its disk.
// The others must know durably that the last change of members is over: as long as they take themselves to be in the joint
// configuration that replaced an earlier disk, the old majority counts, and a second lost disk would end it.
func (f *fleet) whole(but *process) bool {
	for i, o := range f.shards {
		if f.births.young(i) {
			if f.births.lost {
				return false
			}
			continue
		}
		conf := o.latest()
		if len(conf.old) > 0 {
			return false
		}
		var voters []shard.ReplicaID
		for _, p := range f.sites {
			if !p.up || p.replicas[i].core == nil && p != but {
				if !f.away(o, p) {
					return false
				}
				continue
			}
			id := p.replicas[i].id()
			if !conf.votes(id) {
				continue
			}
			voters = append(voters, id)
			if p != but && (p.disk.safe(i) < uint64(len(o.log)) || p.disk.known(i) < o.conf) {
				return false
			}
		}
		if slices.ContainsFunc(conf.voters, func(id shard.ReplicaID) bool { return !slices.Contains(voters, id) }) {
			return false
		}
	}
	return true
}
