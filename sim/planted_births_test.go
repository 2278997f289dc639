//go:build planted

package sim

import (
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
			mustBeFound(t, 3*seedsPerPlant, Options{Shards: 2, Births: true, Moves: true}, plant.invariants, "")
		})
	}
}
