package sim

import (
	"go.etcd.io/raft/v3/raftpb"

	"holdfast"
	"holdfast/shard"
)

// promise is what one replica, known by its identity, has told others about its disk. Whatever happens to its process, it must
// never start with less: a vote may have elected somebody, an acknowledgement may have made a majority.
type promise struct {
	term, vote uint64
	last       end // the furthest log that it has acknowledged
	// acknowledged is how far, by the term of the leader that it was told to.
	acknowledged map[uint64]uint64
}

// end is where a log ends. As Raft compares them: by the term of the last entry, then by its index.
type end struct{ term, index uint64 }

func (a end) before(b end) bool { return a.term < b.term || a.term == b.term && a.index < b.index }

// promises writes down what a message binds its sender to.
func (o *oracle) promises(from shard.ReplicaID, m *raftpb.Message, log shard.Log) {
	p := o.promiseOf(from)
	if m.GetReject() {
		return
	}
	switch m.GetType() {
	case raftpb.MsgVoteResp:
		p.give(m.GetTerm(), m.GetTo())
	case raftpb.MsgVote:
		p.give(m.GetTerm(), m.GetFrom())
	case raftpb.MsgAppResp:
		p.acknowledged[m.GetTerm()] = max(p.acknowledged[m.GetTerm()], m.GetIndex())
		if term, err := log.Term(m.GetIndex()); err == nil {
			if e := (end{term, m.GetIndex()}); p.last.before(e) {
				p.last = e
			}
		}
	}
}

// told takes what a leader tells a follower of its disk, which binds it as an acknowledgement does. The two have to be a majority of those
// who vote at what the leader has applied.
func (o *oracle) told(at holdfast.SiteID, n shard.Note, applied, safe uint64) {
	conf := o.confAt(applied)
	switch {
	case safe < n.Index:
		o.fail("durable", "site %d tells that its disk has entries up to %d of term %d, and it has them to %d", at, n.Index, n.Term, safe)
	case !conf.quorum(func(x shard.ReplicaID) bool { return x == n.From || x == n.To }):
		o.fail("quorum", "site %d tells replica %x, with which it is no majority of %x and of %x (entry %d)", at, uint64(n.To), conf.voters, conf.old, applied)
	}
	p := o.promiseOf(n.From)
	p.acknowledged[n.Term] = max(p.acknowledged[n.Term], n.Index)
	if e := (end{n.Term, n.Index}); p.last.before(e) {
		p.last = e
	}
}

// took checks what a follower takes for committed before any leader has: that leader and this replica have it on disk, and it is of the
// leader's term. own is how far the disk here is.
func (o *oracle) took(at holdfast.SiteID, lead shard.Leadership, index, own uint64, log shard.Log) {
	term, err := log.Term(index)
	if p := o.promised[lead.Leader]; err != nil || own < index || term != lead.Term || p == nil || p.acknowledged[term] < index {
		o.fail("early", "site %d takes entry %d of term %d for committed, in term %d of leader %x: no leader has so far, the log is safe here up to %d (%v)",
			at, index, term, lead.Term, uint64(lead.Leader), own, err)
	}
	o.stats.Ahead++
	o.chosen = index
}

func (o *oracle) promiseOf(id shard.ReplicaID) *promise {
	p := o.promised[id]
	if p == nil {
		p = &promise{acknowledged: map[uint64]uint64{}}
		o.promised[id] = p
	}
	return p
}

func (p *promise) give(term, vote uint64) {
	if term >= p.term {
		p.term, p.vote = term, vote
	}
}

// remembers checks, at every start of a replica, that its disk holds what it has promised. installed says that it starts from a
// fetched checkpoint: that may drop acknowledged entries, if they are none of those that were committed.
func (o *oracle) remembers(at holdfast.SiteID, id shard.ReplicaID, log shard.Log, installed bool) {
	p := o.promised[id]
	if p == nil {
		return
	}
	if hard := log.Hard(); hard.Term < p.term || hard.Term == p.term && hard.Vote != p.vote {
		o.fail("forgotten", "site %d: replica %x starts in term %d with a vote for %x, and had voted in term %d for %x",
			at, uint64(id), hard.Term, hard.Vote, p.term, p.vote)
		return
	}
	last := end{index: log.LastIndex()}
	var err error
	if last.term, err = log.Term(last.index); err != nil {
		o.fail("log", "site %d: replica %x does not know the term of its last entry %d: %v", at, uint64(id), last.index, err)
		return
	}
	committed := p.last.index > 0 && p.last.index <= uint64(len(o.log)) && o.log[p.last.index-1].entry.Term == p.last.term
	if committed && last.index < p.last.index || !installed && last.before(p.last) {
		o.fail("forgotten", "site %d: replica %x starts with a log to %d (term %d), and had acknowledged one to %d (term %d), committed %v",
			at, uint64(id), last.index, last.term, p.last.index, p.last.term, committed)
	}
}
