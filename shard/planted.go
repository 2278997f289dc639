//go:build !planted

package shard

import pb "go.etcd.io/raft/v3/raftpb"

// The planted faults: classic mistakes that tests switch on to see whether they are noticed; see planted_on.go. In a normal
// build they are constants and leave nothing behind.
const (
	PlantedAckBeforeFsync   = false
	PlantedVoteNotPersisted = false
	PlantedStaleRead        = false
	PlantedSkipAfterRestart = false
	PlantedAnyNonce         = false
	PlantedLostIsRefused    = false
	PlantedWipedVotes       = false
	PlantedInstallAnyway    = false
	PlantedClockBack        = false
	PlantedWipeUnasked      = false
	PlantedOpinionUnheard   = false
	PlantedNobodyAsked      = false
	PlantedLaterFounds      = false
	PlantedOpenPast         = false
	PlantedClockBelieved    = false

	PlantedTooFewVoters     = false
	PlantedRemovedLeads     = false
	PlantedCommitNotWritten = false
	PlantedStrangersJoin    = false

	PlantedSleepUnmatched = false
	PlantedSleepOn        = false
	PlantedSleepUnheard   = false
	PlantedSleepVouched   = false

	PlantedNoteUnsynced  = false
	PlantedNoteOldTerm   = false
	PlantedNoteToAll     = false
	PlantedEarlyUnsynced = false
	PlantedReadsUntold   = false

	PlantedLagUnseen        = false
	PlantedStarvedAnyway    = false
	PlantedTroubleForgotten = false
	PlantedRelapseForgiven  = false
	PlantedReachAtOnce      = false
)

func plantedChange(_ *Node, _ Entry, cc *pb.ConfChangeV2) *pb.ConfChangeV2 { return cc }

func plantedAppend(*Node, *pb.Entry) {}

func plantedNotes(*Node) {}
