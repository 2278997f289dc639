//go:build planted

package shard

import (
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Classic mistakes, one switch each, for tests that show that the simulator finds them. Set them before anything starts.
var (
	PlantedAckBeforeFsync   bool // Node: what has to wait for the disk is sent when the write is handed out
	PlantedVoteNotPersisted bool // Node: term and vote are not written unless entries are
	PlantedStaleRead        bool // Machine and Host: a leader answers linearizable reads without asking anybody
	PlantedSkipAfterRestart bool // Machine: after a restart the first entry behind the checkpoint is not applied
	PlantedAnyNonce         bool // Answers: a waiting caller takes the next entry for its own, whatever its nonce
	PlantedLostIsRefused    bool // Host: lost leadership is answered as "not executed"
	PlantedWipedVotes       bool // Birth: a wiped disk takes its old identity again
	PlantedInstallAnyway    bool // Replica: a checkpoint is installed over a log that holds it already, dropping what follows
	PlantedClockBack        bool // Replica: entries are stamped with the clock as it is, even after it jumped back
	PlantedWipeUnasked      bool // MayForget: a corrupt replica is wiped without asking whether others hold its data
	PlantedOpinionUnheard   bool // Machine.Hear: a replica believes its own proposals, whatever the others say
	PlantedNobodyAsked      bool // Judge: whoever meets a digest that is not its own takes itself for wrong
	PlantedLaterFounds      bool // DecideLater: a replica that is not told founds its shard with those that it hears of
	PlantedClockBelieved    bool // Clock: the clock of the site is believed, however far it is ahead of all others
	PlantedOpenPast         bool // View: a past moment is answered for while entries stamped before it may still come

	PlantedTooFewVoters     bool // Node: a removal may leave two voters
	PlantedRemovedLeads     bool // Node: a leader that removed itself goes on leading
	PlantedRemovedCounts    bool // Node: the vote and the acknowledgement of a removed voter still count
	PlantedLearnerCounts    bool // Node: the leader counts a learner as a voter
	PlantedMembersAtAppend  bool // Node: a leader counts by new members when it has appended them, the others when they are committed
	PlantedStrangersJoin    bool // Replica: a removed replica that asks is let in again
	PlantedCommitNotWritten bool // Node: the commit index is not written with the entries: a restart goes back to older members
	PlantedSleepUnmatched   bool // Beats: a leader falls asleep, and vouches for all of its log, while a follower lacks some of it
	PlantedSleepOn          bool // Beats: a follower sleeps on when no beat comes any more
	PlantedSleepUnheard     bool // Beats: a leader sleeps on when nobody hears it any more
	PlantedSleepVouched     bool // Beats: a site goes on to vouch for a leader that has woken, or is none any more
	PlantedNoteUnsynced     bool // Node: a leader tells others of entries that are not on its disk yet
	PlantedNoteOldTerm      bool // Node: a leader that was just elected tells others of entries of older terms, and they take them for committed
	PlantedNoteToAll        bool // Node: a leader tells others that they make a majority with it when there are more than three voters
	PlantedEarlyUnsynced    bool // Node: a follower takes what it was told of for committed before its own disk has it
	PlantedLagUnseen        bool // Care: nobody notices that a process gets no processor
	PlantedStarvedAnyway    bool // Care: a starved leader hands over without looking whether the others are better off
	PlantedTroubleForgotten bool // Care: a site that gave something up calls itself well as soon as nothing is wrong
	PlantedRelapseForgiven  bool // Homing: a site that fails again is trusted as soon as after the first time
	PlantedReachAtOnce      bool // Contacts: a site that comes back counts as reached by whoever reaches it first
	PlantedReadsUntold      bool // Node: a leader answers reads from what it knows to be committed, whatever it has told others of
)

// early is, by node, the change that the library was told of before it was committed. Only the simulator's one goroutine plants that.
var early = map[*Node]uint64{}

// plantedChange is what the library is told of a committed change. The members that the node itself knows are right.
func plantedChange(n *Node, e Entry, cc *pb.ConfChangeV2) *pb.ConfChangeV2 {
	told := proto.CloneOf(cc)
	none := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeUpdateNode.Enum(), NodeId: new(uint64(1))}}}
	switch {
	case PlantedRemovedCounts && len(cc.GetChanges()) == 1 && cc.GetChanges()[0].GetType() == pb.ConfChangeRemoveNode:
		return none
	case PlantedLearnerCounts && n.leader.Self:
		for _, x := range told.GetChanges() {
			if x.GetType() == pb.ConfChangeAddLearnerNode {
				x.Type = pb.ConfChangeAddNode.Enum()
			}
		}
	case PlantedMembersAtAppend && early[n] == e.Index:
		return none
	}
	return told
}

// plantedAppend tells the library of a change that is only in the log.
func plantedAppend(n *Node, e *pb.Entry) {
	if !PlantedMembersAtAppend || !n.leader.Self || n.members.Joint() || len(e.GetData()) == 0 {
		return
	}
	if cc, err := parseChange(Entry{Index: e.GetIndex(), Data: e.GetData()}); err == nil && len(cc.GetChanges()) == 1 {
		early[n] = e.GetIndex()
		n.raft.ApplyConfChange(cc)
	}
}

// plantedNotes has a leader tell everybody of all that it has on disk as soon as it is elected.
func plantedNotes(n *Node) {
	if !PlantedNoteOldTerm || !n.leader.Self {
		return
	}
	for _, m := range n.members.List {
		note := Note{From: n.config.Replica, To: m.Replica, Term: n.leader.Term, Index: n.stored.index}
		if n.members.suffice(note.From, note.To) {
			n.messages = append(n.messages, Message{To: m.Replica, Site: m.Site, Payload: note.append(nil), Urgent: true})
		}
	}
}
