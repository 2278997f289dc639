//go:build planted

package sim

import (
	"testing"

	"holdfast/ledger"
	"holdfast/slot"
	"holdfast/transit"
)

// slotPlants are mistakes of moving slots, each with the invariants that speak of it. Two more are found by the property test of
// package slot alone: a move given up without asking and a map that is changed too early do harm only when a move is given up
// within some milliseconds.
var slotPlants = []struct {
	name       string
	on         *bool
	invariants []string
}{
	{"page taken twice", &slot.PlantedPageAgain, []string{"nomad", "slot", "books"}},
	{"shut while payments are under way", &slot.PlantedShutUndrained, []string{"slot", "liveness"}},
	{"finished before all was copied", &slot.PlantedFinishEarly, []string{"nomad", "liveness"}},
	{"holds left behind", &slot.PlantedHoldsLeft, []string{"nomad", "liveness"}},
	{"ids forgotten by the move", &transit.PlantedOriginsForgotten, []string{"nomad", "transit"}},
	{"payment accepted after the slot was shut", &ledger.PlantedGateLeaks, []string{"outcome"}},
}

func TestPlantedFaultsOfSlotsAreFound(t *testing.T) {
	for _, plant := range slotPlants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			mustBeFound(t, 3*seedsPerPlant, Options{Shards: 2, Slots: true}, plant.invariants, "")
		})
	}
}
