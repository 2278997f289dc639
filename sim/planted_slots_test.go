//go:build planted

package sim

import (
	"context"
	"slices"
	"testing"
	"time"

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
			begun := time.Now()
			s := RunMany(context.Background(), 1, 3*seedsPerPlant, Options{Shards: 2, Slots: true}, func(r Result) bool { return r.OK })
			if len(s.Failed) == 0 {
				t.Fatalf("%d seeds, and nobody noticed", s.Runs)
			}
			r := s.Failed[0]
			t.Logf("seed %d, after %d runs, %.1fs: %s: %.160s", r.Seed, s.Runs, time.Since(begun).Seconds(), r.Invariant, r.Failure)
			if !slices.Contains(plant.invariants, r.Invariant) {
				t.Errorf("found by %q, and it is a matter of %v", r.Invariant, plant.invariants)
			}
		})
	}
}
