//go:build !planted

package ledger

// Faults can be planted into builds with the tag "planted", to show that the simulator finds them; see planted_on.go. In
// every other build these functions are constant and the branches behind them are compiled away.

func plantedForgetDedupe() bool     { return false }
func plantedLandForgotten() bool    { return false }
func plantedHoldNotInLimit() bool   { return false }
func plantedRefusalForgotten() bool { return false }
func plantedExpireEarly() bool      { return false }
func plantedLegsNotAtomic() bool    { return false }
func plantedOverPost() bool         { return false }
func plantedDigestIgnored() bool    { return false }
func plantedGateLeaks() bool        { return false }
func plantedRecordLeaks() bool      { return false }
func plantedPendingIgnored() bool   { return false }

func (*Segment) plant() {}
