//go:build !planted

package bank

// Faults can be planted into builds with the tag "planted", to show that the tests find them; see planted_on.go. In every other build
// these functions are constant and the branches behind them are compiled away.

func plantedUnknownRefused() bool    { return false }
func plantedNeverHeardTrusted() bool { return false }
func plantedFreshID() bool           { return false }
func plantedUnrecorded() bool        { return false }
func plantedDuplicateRefused() bool  { return false }
func plantedAcceptedPaid() bool      { return false }
func plantedSumsOnly() bool          { return false }
func plantedTwiceIsOnce() bool       { return false }
