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

// What two replicas say to each other about a transfer, in the context of a message. To a release that does not know it, the first is a
// transfer like any other, and the second an answer to a heartbeat that confirms no read.
const (
	insistMark  = "insist"
	declineMark = "declined"
)

// declines tells whether this replica leaves it to another one to stand, although a leader wants it to: of one that resigns only who
// holds most is known, and one that hands over may not have heard yet how this site is.
func (n *Node) declines(m *pb.Message) bool {
	return n.doubted || n.reluctant && string(m.GetContext()) != insistMark
}

// decline says so to the leader, which would otherwise wait for an election time-out and propose nothing.
func (n *Node) decline(m *pb.Message) error {
	return n.post(&pb.Message{
		Type: pb.MsgHeartbeatResp.Enum(), From: new(uint64(n.config.Replica)), To: new(m.GetFrom()), Term: new(m.GetTerm()),
		Context: []byte(declineMark),
	})
}

// heedDecline ends a transfer that was declined: the library gives one up when another one is asked for, and one to the leader itself is
// none.
func (n *Node) heedDecline(m *pb.Message) {
	if status := n.raft.BasicStatus(); status.LeadTransferee != m.GetFrom() || status.HardState.GetTerm() != m.GetTerm() {
		return
	}
	n.raft.TransferLeader(uint64(n.config.Replica))
	n.stirred, n.declined = true, true
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
