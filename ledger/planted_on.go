//go:build planted

package ledger

// Classic mistakes, one switch each, for tests that show that the simulator finds them. Set them before the first Apply.
var (
	PlantedForgetDedupe     bool // ids in sealed and forgotten segments are taken for new
	PlantedHoldNotInLimit   bool // open holds do not count against the limit
	PlantedRefusalForgotten bool // a refusal is not remembered: a retry may succeed
	PlantedExpireEarly      bool // a hold can expire before its time
	PlantedLegsNotAtomic    bool // legs before the one that is refused happen
	PlantedOverPost         bool // more than the held amount can be posted
)

func plantedForgetDedupe() bool     { return PlantedForgetDedupe }
func plantedHoldNotInLimit() bool   { return PlantedHoldNotInLimit }
func plantedRefusalForgotten() bool { return PlantedRefusalForgotten }
func plantedExpireEarly() bool      { return PlantedExpireEarly }
func plantedLegsNotAtomic() bool    { return PlantedLegsNotAtomic }
func plantedOverPost() bool         { return PlantedOverPost }
