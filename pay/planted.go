//go:build !planted

package pay

// Faults can be planted into builds with the tag "planted", to show that the tests find them; see planted_on.go. In every other
// build these functions are constant and the branches behind them are compiled away.

func plantedLimitIgnored() bool    { return false }
func plantedUsedVersion() uint64   { return 0 }
func plantedRefundTooMuch() bool   { return false }
func plantedFeeKept() bool         { return false }
func plantedClosedPays() bool      { return false }
func plantedEscrowLeaks() bool     { return false }
func plantedRefundForgotten() bool { return false }
func plantedUnknownFailed() bool   { return false }
func plantedDayOpen() bool         { return false }
func plantedPendingBelieved() bool { return false }
