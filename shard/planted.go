//go:build !planted

package shard

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
)
