//go:build planted

package transit

import "time"

// Classic mistakes, one switch each, for tests that show that the simulator finds them. Set them before anything starts.
var (
	PlantedAckUnsettled    bool // Settle: the message is acknowledged, the holds stay
	PlantedMessageKept     bool // Settle: the holds are posted, the message stays
	PlantedDepartTimeout   bool // Depart: the holds expire by themselves
	PlantedUnknownRefused  bool // FateOf: no answer is taken for a refusal
	PlantedRefusedLanded   bool // FateOf: a refusal is taken for done
	PlantedNotFoundRefused bool // Courier: a land that a replica has not found is taken for refused
)

const plantedTimeout = 300 * time.Millisecond

func plantedAckUnsettled() bool    { return PlantedAckUnsettled }
func plantedMessageKept() bool     { return PlantedMessageKept }
func plantedDepartTimeout() bool   { return PlantedDepartTimeout }
func plantedUnknownRefused() bool  { return PlantedUnknownRefused }
func plantedRefusedLanded() bool   { return PlantedRefusedLanded }
func plantedNotFoundRefused() bool { return PlantedNotFoundRefused }
