//go:build planted

package sim

import (
	"context"
	"slices"
	"testing"

	"holdfast/shard"
)

// birthPlants are mistakes of births, each with the invariants that speak of it.
var birthPlants = []struct {
	name       string
	on         *bool
	invariants []string
}{
	{"founded without being told", &shard.PlantedLaterFounds, []string{"birth"}},
	{"a wiped disk keeps its identity", &shard.PlantedWipedVotes, []string{"birth", "durable", "promise", "one-leader", "forgotten", "lost"}},
}

func TestPlantedFaultsOfBirthsAreFound(t *testing.T) {
	for _, plant := range birthPlants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			s := RunMany(context.Background(), 1, 3*seedsPerPlant, Options{Shards: 2, Births: true, Moves: true}, func(r Result) bool { return r.OK })
			if len(s.Failed) == 0 {
				t.Fatalf("%d seeds, and nobody noticed", s.Runs)
			}
			r := s.Failed[0]
			t.Logf("seed %d, after %d runs: %s: %.160s", r.Seed, s.Runs, r.Invariant, r.Failure)
			if !slices.Contains(plant.invariants, r.Invariant) {
				t.Errorf("found by %q, and it is a matter of %v", r.Invariant, plant.invariants)
			}
		})
	}
}
