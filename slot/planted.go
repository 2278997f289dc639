//go:build !planted

package slot

// Faults can be planted into builds with the tag "planted", to show that they are found; see planted_on.go.

func plantedPageAgain() bool       { return false }
func plantedShutUndrained() bool   { return false }
func plantedFinishEarly() bool     { return false }
func plantedHoldsLeft() bool       { return false }
func plantedStayUnasked() bool     { return false }
func plantedMapBeforeFinish() bool { return false }
func plantedChangesLeft() bool     { return false }
func plantedVersionsAnew() bool    { return false }
func plantedRecordsKept() bool     { return false }
