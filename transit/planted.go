//go:build !planted

package transit

import (
	"time"

	"holdfast"
)

// Faults can be planted into builds with the tag "planted", to show that the simulator finds them; see planted_on.go. In
// every other build these functions are constant and the branches behind them are compiled away.

const plantedTimeout = time.Duration(0)

func plantedAnyLand() bool          { return false }
func plantedDoneAtDepart() bool     { return false }
func plantedAckUnsettled() bool     { return false }
func plantedMessageKept() bool      { return false }
func plantedDepartTimeout() bool    { return false }
func plantedUnknownRefused() bool   { return false }
func plantedRefusedLanded() bool    { return false }
func plantedNotFoundRefused() bool  { return false }
func plantedOriginsForgotten() bool { return false }
func plantedRecordsStand() bool     { return false }
func plantedRecordsUndrained() bool { return false }
func plantedLandUnversioned() bool  { return false }

func plantFreshLand(*holdfast.Txn, holdfast.Time) {}
