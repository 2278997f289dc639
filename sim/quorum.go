package sim

import (
	"fmt"
	"math"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
	"holdfast/shard"
)

// config is who counts, from a committed change of members on: written once more from the rules, as the twin is for the ledger.
type config struct {
	index    uint64 // of the change
	voters   []shard.ReplicaID
	old      []shard.ReplicaID // the outgoing half of a joint configuration; empty: it is not joint
	learners []shard.ReplicaID
	later    []shard.ReplicaID // voters of the outgoing half that will be learners
}

func (c *config) votes(id shard.ReplicaID) bool {
	return slices.Contains(c.voters, id) || slices.Contains(c.old, id)
}

// member reports whether a replica is in the configuration at all.
func (c *config) member(id shard.ReplicaID) bool {
	return c.votes(id) || slices.Contains(c.learners, id) || slices.Contains(c.later, id)
}

// quorum reports whether those for whom has is true are a majority, of both halves if there are two.
func (c *config) quorum(has func(shard.ReplicaID) bool) bool {
	return majority(c.voters, has) && (len(c.old) == 0 || majority(c.old, has))
}

func majority(list []shard.ReplicaID, has func(shard.ReplicaID) bool) bool {
	n := 0
	for _, id := range list {
		if has(id) {
			n++
		}
	}
	return n > len(list)/2
}

func without(list []shard.ReplicaID, id shard.ReplicaID) []shard.ReplicaID {
	return slices.DeleteFunc(slices.Clone(list), func(x shard.ReplicaID) bool { return x == id })
}

func with(list []shard.ReplicaID, id shard.ReplicaID) []shard.ReplicaID {
	return append(without(list, id), id)
}

// after is the configuration that a committed change makes; ok is false for one that is void.
func (c *config) after(e shard.Entry) (next *config, ok bool) {
	var change raftpb.ConfChangeV2
	if err := proto.Unmarshal(e.Data, &change); err != nil {
		return c, false
	}
	list := change.GetChanges()
	leave := len(list) == 0
	if leave != (len(c.old) > 0) { // a joint configuration can only be left, and nothing else can be
		return c, false
	}
	next = &config{index: e.Index, voters: c.voters, learners: c.learners}
	if leave {
		for _, id := range c.later {
			next.learners = with(next.learners, id)
		}
		return next, true
	}
	if len(list) > 1 {
		next.old = c.voters
	}
	for _, x := range list {
		next.one(x.GetType(), shard.ReplicaID(x.GetNodeId()))
	}
	return next, len(next.voters) > 0
}

func (c *config) one(kind raftpb.ConfChangeType, id shard.ReplicaID) {
	learns := slices.Contains(c.learners, id)
	c.learners, c.later = without(c.learners, id), without(c.later, id)
	switch kind {
	case raftpb.ConfChangeAddNode:
		c.voters = with(c.voters, id)
	case raftpb.ConfChangeAddLearnerNode:
		c.voters = without(c.voters, id)
		if slices.Contains(c.old, id) && !learns {
			c.later = with(c.later, id)
		} else {
			c.learners = with(c.learners, id)
		}
	case raftpb.ConfChangeRemoveNode:
		c.voters = without(c.voters, id)
	}
}

// apart gives two quorums, one of each configuration, that have nobody in common; "" when there are none.
func apart(a, b *config) string {
	var all []shard.ReplicaID
	for _, list := range [][]shard.ReplicaID{a.voters, a.old, b.voters, b.old} {
		for _, id := range list {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	for set := range 1 << len(all) {
		in := func(id shard.ReplicaID) bool { return set>>slices.Index(all, id)&1 == 1 }
		if a.quorum(in) && b.quorum(func(id shard.ReplicaID) bool { return !in(id) }) {
			return fmt.Sprintf("voters %x of %x, and all others of %x", set, a.voters, b.voters)
		}
	}
	return ""
}

// leastVoters is below what no removal may bring a shard: what package shard promises.
func (o *oracle) leastVoters() int { return min(3, len(o.confs[0].voters)) }

// latest is the configuration after everything that is committed.
func (o *oracle) latest() *config { return o.confs[len(o.confs)-1] }

// confAt is the configuration that holds at a replica that has applied everything up to an index.
func (o *oracle) confAt(index uint64) *config {
	for i := len(o.confs) - 1; i > 0; i-- {
		if o.confs[i].index <= index {
			return o.confs[i]
		}
	}
	return o.confs[0]
}

// changed takes a committed change of members.
func (o *oracle) changed(at holdfast.SiteID, e shard.Entry) {
	o.conf = e.Index
	was := o.latest()
	next, ok := was.after(e)
	if !ok {
		o.e.logf("shard %d: change of members %d is void", o.shard, e.Index)
		return
	}
	o.confs = append(o.confs, next)
	o.e.logf("shard %d: from entry %d on voters are %x, outgoing %x, learners %x", o.shard, e.Index, next.voters, next.old, next.learners)
	switch {
	case len(next.voters) < len(was.voters) && len(next.learners) > len(was.learners):
		o.stats.Demotions++
	case len(next.voters) < len(was.voters):
		o.stats.Removals++
	case len(next.voters) > len(was.voters):
		o.stats.Returns++
	}
	if what := apart(was, next); what != "" {
		o.fail("majorities", "entry %d (site %d) and the members before it have majorities without a common replica: %s", e.Index, at, what)
	}
	if n := len(next.voters); n < len(was.voters) && n < o.leastVoters() {
		o.fail("voters", "entry %d leaves %d voters of %d, %d is the least", e.Index, n, len(was.voters), o.leastVoters())
	}
}

// ballot is a vote on its way: of whom, for whom.
type ballot struct {
	term     uint64
	from, to shard.ReplicaID
}

// counted notes a vote that has reached its candidate.
func (o *oracle) counted(b ballot) {
	key := candidacy{b.term, b.to}
	if !slices.Contains(o.ballots[key], b.from) {
		o.ballots[key] = append(o.ballots[key], b.from)
	}
}

type candidacy struct {
	term uint64
	id   shard.ReplicaID
}

// elected checks the election of a replica that has applied everything up to an index: by a majority of those who vote at that
// index, itself one of them. The log behind it may hold one change more and not two: with two the majority that elects it need
// have nobody in common with the one that counts now.
func (o *oracle) elected(at holdfast.SiteID, id shard.ReplicaID, term, applied uint64, log shard.Log) {
	conf, votes := o.confAt(applied), o.ballots[candidacy{term, id}]
	switch {
	case !conf.votes(id):
		o.fail("elected", "site %d: replica %x leads term %d, and has no vote after entry %d: voters are %x", at, uint64(id), term, applied, conf.voters)
	case !conf.quorum(func(x shard.ReplicaID) bool { return x == id || slices.Contains(votes, x) }):
		o.fail("elected", "site %d: replica %x leads term %d by the votes of %x, which are no majority of %x and of %x (entry %d)",
			at, uint64(id), term, votes, conf.voters, conf.old, applied)
	}
	list, err := log.Entries(max(applied+1, log.FirstIndex()), log.LastIndex()+1, math.MaxUint64)
	if err != nil {
		o.fail("log", "site %d cannot read what follows entry %d: %v", at, applied, err)
	}
	n := 0
	for i := range list {
		if list[i].Type != shard.EntryNormal {
			n++
		}
	}
	if n > 1 {
		o.fail("elected", "site %d: replica %x leads term %d by the members at entry %d, and its log has %d changes behind it", at, uint64(id), term, applied, n)
	}
}

// chose checks what a leader takes to be committed: its term's entry at index is on the disks of a majority of those who vote at
// what it has applied. own is how far its own disk is.
func (o *oracle) chose(at holdfast.SiteID, id shard.ReplicaID, term, applied, index, own uint64) {
	conf := o.confAt(applied)
	o.chosen = max(o.chosen, index)
	has := func(x shard.ReplicaID) bool {
		if x == id {
			return own >= index
		}
		p := o.promised[x]
		return p != nil && p.acknowledged[term] >= index
	}
	if !conf.quorum(has) {
		o.fail("quorum", "site %d: replica %x takes entry %d for committed in term %d, which is not on a majority of %x and of %x (members at entry %d)",
			at, uint64(id), index, term, conf.voters, conf.old, applied)
	}
}
