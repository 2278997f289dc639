//go:build planted

package ledger

// Classic mistakes, one switch each, for tests that show that the simulator finds them. Set them before the first Apply.
var (
	PlantedForgetDedupe     bool // ids in sealed and forgotten segments are taken for new
	PlantedLandForgotten    bool // ids of payments from other shards in sealed and forgotten segments are taken for new
	PlantedHoldNotInLimit   bool // open holds do not count against the limit
	PlantedRefusalForgotten bool // a refusal is not remembered: a retry may succeed
	PlantedExpireEarly      bool // a hold can expire before its time
	PlantedLegsNotAtomic    bool // legs before the one that is refused happen
	PlantedOverPost         bool // more than the held amount can be posted
	PlantedDigestIgnored    bool // a replica that differs from the leader goes on
	PlantedGateLeaks        bool // a slot that is shut takes payments as before
	PlantedRecordLeaks      bool // a slot that is shut takes records of its owners as before
	PlantedPendingIgnored   bool // anybody changes a record that a payment under way has written
	PlantedOutboxTwice      bool // a checkpoint forgets that messages were acknowledged: a restart sends them again
	PlantedOutboxLost       bool // a checkpoint leaves new messages out: a restart loses them
	PlantedHoldsLost        bool // a checkpoint leaves new holds out
	PlantedApplyTwice       bool // a checkpoint claims to be one entry older than it is: a restart applies that entry again
)

func plantedForgetDedupe() bool     { return PlantedForgetDedupe }
func plantedLandForgotten() bool    { return PlantedLandForgotten }
func plantedHoldNotInLimit() bool   { return PlantedHoldNotInLimit }
func plantedRefusalForgotten() bool { return PlantedRefusalForgotten }
func plantedExpireEarly() bool      { return PlantedExpireEarly }
func plantedLegsNotAtomic() bool    { return PlantedLegsNotAtomic }
func plantedOverPost() bool         { return PlantedOverPost }
func plantedDigestIgnored() bool    { return PlantedDigestIgnored }
func plantedGateLeaks() bool        { return PlantedGateLeaks }
func plantedRecordLeaks() bool      { return PlantedRecordLeaks }
func plantedPendingIgnored() bool   { return PlantedPendingIgnored }

// plant spoils what a sealed segment tells the store; the state in memory stays right until a restart.
func (g *Segment) plant() {
	if PlantedOutboxTwice {
		g.Acked = nil
	}
	if PlantedOutboxLost {
		g.Queued = nil
	}
	if PlantedHoldsLost {
		g.Opened = nil
	}
	if PlantedApplyTwice {
		g.Meta.Index--
	}
}
