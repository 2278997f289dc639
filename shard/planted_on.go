//go:build planted

package shard

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
)
