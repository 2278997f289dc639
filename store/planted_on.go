//go:build planted

package store

// The planted faults: classic mistakes that tests switch on to see whether they are noticed. Only this build has them as
// variables.
var (
	// PlantedTornTailAccepted reads entries without checking their checksums, and writes them in two steps.
	PlantedTornTailAccepted = false
	// PlantedAckBeforeFsync answers a synced write before it is on the disk.
	PlantedAckBeforeFsync = false
	// PlantedVoteNotPersisted forgets who was voted for.
	PlantedVoteNotPersisted = false
	// PlantedIDForgotten leaves the ids of a persisted segment out of the index.
	PlantedIDForgotten = false
	// PlantedTailKept leaves the old entries behind an overwritten suffix standing.
	PlantedTailKept = false
	// PlantedSplitCheckpoint ingests the rows of a segment and its checkpoint in two steps.
	PlantedSplitCheckpoint = false
)
