package shard

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// A leader that hears no majority for an election time-out stops leading (CheckQuorum). Often it is still heard: a fibre was cut for
// one direction only, or it was slow to read. The others would then wait out a time-out of their own from its last heartbeat on, and
// their owners with them. So it says that it stops, to the one who holds most of what it had: that one stands at once. It is the
// message that ends a planned hand-over (Ongaro's thesis, 3.10), with the same conditions: a vote of the majority, in a new term.

// heir is the voter that holds most of the log here, if this replica leads: the library forgets that when it stops. 0: nobody.
func (n *Node) heir() (heir ReplicaID) {
	if n.raft.BasicStatus().RaftState != raft.StateLeader {
		return 0
	}
	most := uint64(0)
	n.raft.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if kind == raft.ProgressTypePeer && id != uint64(n.config.Replica) && p.Match > most {
			heir, most = ReplicaID(id), p.Match
		}
	})
	return heir
}

// resign tells the heir of a leader that it stopped leading within the last tick.
func (n *Node) resign(heir ReplicaID) error {
	status := n.raft.BasicStatus()
	if heir == 0 || status.RaftState == raft.StateLeader {
		return nil
	}
	return n.post(&pb.Message{
		Type: pb.MsgTimeoutNow.Enum(), From: new(uint64(n.config.Replica)), To: new(uint64(heir)), Term: new(status.HardState.GetTerm()),
	})
}
