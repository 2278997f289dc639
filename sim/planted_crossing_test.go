//go:build planted

package sim

import (
	"context"
	"testing"

	"holdfast/ledger"
	"holdfast/transit"
)

// crossingPlants are mistakes of payments between shards, each with the invariants that speak of it: one of those has to be
// what is found.
var crossingPlants = []struct {
	name       string
	on         *bool
	shards     int
	invariants []string
}{
	{"message acknowledged without settling", &transit.PlantedAckUnsettled, 2, []string{"transit"}},
	{"settled and the message kept", &transit.PlantedMessageKept, 2, []string{"transit"}},
	{"landed under a fresh id on retry", &transit.PlantedFreshLand, 2, []string{"transit"}},
	{"landed again after a checkpoint", &ledger.PlantedLandForgotten, 2, []string{"transit", "replay", "outcome", "account"}},
	{"the holds of a depart expire", &transit.PlantedDepartTimeout, 2, []string{"transit"}},
	{"unknown taken for refused", &transit.PlantedUnknownRefused, 2, []string{"transit", "crossing"}},
	{"refused taken for landed", &transit.PlantedRefusedLanded, 2, []string{"transit", "crossing"}},
	{"not found on a replica taken for refused", &transit.PlantedNotFoundRefused, 2, []string{"transit"}},
	{"the land of another taken for ours", &transit.PlantedAnyLand, 3, []string{"transit"}},
	{"done before it landed", &transit.PlantedDoneAtDepart, 2, []string{"crossing"}},
}

func TestPlantedFaultsBetweenShardsAreFound(t *testing.T) {
	for _, plant := range crossingPlants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			mustBeFound(t, seedsPerPlant, Options{Shards: plant.shards}, plant.invariants, "")
		})
	}
}

// TestPlantedNothingBetweenShards shows that the same fleets are good without a fault.
func TestPlantedNothingBetweenShards(t *testing.T) {
	for _, shards := range []int{2, 3} {
		if s := RunMany(context.Background(), 1, 40, Options{Shards: shards}, nil); len(s.Failed) > 0 {
			t.Errorf("%s", s.Failed[0])
		}
	}
}
