package shard

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Most entries are alone, and of the messages that one causes a third said no more than that it is committed. Nobody waits for those: the
// callers hear of it from the leader, or from a note. So such a message lingers here until the next tick, and with it those of all other
// shards of the site leave at once; or until something goes to the same follower that says as much: the next entries, or a heartbeat.

// lingers keeps a message back if it can wait, and drops what waits for its receiver if it says as much.
func (n *Node) lingers(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgHeartbeat:
		// One that goes no further than what is acknowledged takes no question away: see bringsCommitOnly.
		n.outrun(m.GetTo(), func(late *pb.Message) bool { return max(late.GetCommit(), late.GetIndex()) <= m.GetCommit() })
	case pb.MsgApp:
		n.outrun(m.GetTo(), func(*pb.Message) bool { return true })
		if n.bringsCommitOnly(m) {
			n.lingering = append(n.lingering, m)
			return true
		}
	}
	return false
}

// outrun drops what lingers for a replica and is told by what goes there now.
func (n *Node) outrun(to uint64, told func(late *pb.Message) bool) {
	n.lingering = slices.DeleteFunc(n.lingering, func(late *pb.Message) bool { return late.GetTo() == to && told(late) })
}

// bringsCommitOnly reports a message without entries to a follower that keeps up. To one that does not it is a question what it lacks;
// also to one that seems to, if entries to it were lost, and that question may wait for a tick but has to be asked. Of a change of members
// all shall know soon, for it may be about who they are.
func (n *Node) bringsCommitOnly(m *pb.Message) bool {
	if len(m.GetEntries()) > 0 || !n.leader.Self || m.GetTerm() != n.leader.Term || n.lastChange > n.storage.lastConf {
		return false
	}
	keepsUp := false
	n.raft.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		keepsUp = keepsUp || id == m.GetTo() && pr.State == tracker.StateReplicate
	})
	return keepsUp
}

// release lets what lingers leave: all of it, or what one follower waits for.
func (n *Node) release(to uint64) error {
	list := n.lingering
	n.lingering = nil
	for _, m := range list {
		if to != 0 && m.GetTo() != to {
			n.lingering = append(n.lingering, m)
			continue
		}
		if err := n.dispatch(m); err != nil {
			return err
		}
	}
	return nil
}
