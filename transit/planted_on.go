//go:build planted

package transit

import (
	"fmt"
	"time"

	"holdfast"
)

// Classic mistakes, one switch each, for tests that show that the simulator finds them. Set them before anything starts.
var (
	PlantedAnyLand          bool // Courier: whatever has the id of the land is taken for it
	PlantedDoneAtDepart     bool // Departed: the caller is told done before it landed
	PlantedAckUnsettled     bool // Settle: the message is acknowledged, the holds stay
	PlantedMessageKept      bool // Settle: the holds are posted, the message stays
	PlantedDepartTimeout    bool // Depart: the holds expire by themselves
	PlantedUnknownRefused   bool // FateOf: no answer is taken for a refusal
	PlantedRefusedLanded    bool // FateOf: a refusal is taken for done
	PlantedNotFoundRefused  bool // Courier: a land that a replica has not found is taken for refused
	PlantedOriginsForgotten bool // Route, Land: what a slot has been asked for where it was before is forgotten
	PlantedRecordsStand     bool // Settle: what a refused payment wrote at home stands
	PlantedRecordsUndrained bool // Payers: a slot moves while records of its owners are pending
	PlantedLandUnversioned  bool // Land: records of the payee are written whatever their version is, and preconditions are forgotten
	PlantedFreshLand        bool // Courier: every attempt to land has an id of its own
)

const plantedTimeout = 300 * time.Millisecond

func plantedAnyLand() bool          { return PlantedAnyLand }
func plantedDoneAtDepart() bool     { return PlantedDoneAtDepart }
func plantedAckUnsettled() bool     { return PlantedAckUnsettled }
func plantedMessageKept() bool      { return PlantedMessageKept }
func plantedDepartTimeout() bool    { return PlantedDepartTimeout }
func plantedUnknownRefused() bool   { return PlantedUnknownRefused }
func plantedRefusedLanded() bool    { return PlantedRefusedLanded }
func plantedNotFoundRefused() bool  { return PlantedNotFoundRefused }
func plantedOriginsForgotten() bool { return PlantedOriginsForgotten }
func plantedRecordsStand() bool     { return PlantedRecordsStand }
func plantedRecordsUndrained() bool { return PlantedRecordsUndrained }
func plantedLandUnversioned() bool  { return PlantedLandUnversioned }

func plantFreshLand(land *holdfast.Txn, now holdfast.Time) {
	if !PlantedFreshLand {
		return
	}
	fresh := func(id holdfast.ID) holdfast.ID { return own(fmt.Sprint("attempt of ", int64(now)), id) }
	land.ID = fresh(land.ID)
	for i := range land.Transfers {
		if !land.Transfers[i].ID.IsZero() {
			land.Transfers[i].ID = fresh(land.Transfers[i].ID)
		}
	}
}
