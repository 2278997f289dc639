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
	p := o.promised[from]
	if p == nil {
		p = &promise{acknowledged: map[uint64]uint64{}}
		o.promised[from] = p
	}
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
