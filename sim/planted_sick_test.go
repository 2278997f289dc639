//go:build planted

package sim

import (
	"context"
	"testing"

	"holdfast/shard"
)

// TestPlantedSicknessIsFound: mistakes in who is well enough to lead, each with the invariants that have to notice it.
func TestPlantedSicknessIsFound(t *testing.T) {
	for _, plant := range []struct {
		name string
		on   *bool
		by   []string
		why  string
	}{
		{"nobody notices that a process gets no processor", &shard.PlantedLagUnseen, []string{"well-leads"}, ""},
		{"a starved leader does not ask whether others are better off", &shard.PlantedStarvedAnyway, []string{"alike"}, ""},
		{"a site calls itself well as soon as nothing is wrong", &shard.PlantedTroubleForgotten, []string{"kept-out"}, ""},
		{"a relapse is forgiven like the first time", &shard.PlantedRelapseForgiven, []string{"kept-out"}, ""},
		{"a site that comes back counts as reached at once", &shard.PlantedReachAtOnce, []string{"alike"}, ""},
	} {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			mustBeFound(t, 200, Options{Sick: true}, plant.by, plant.why)
		})
	}
}

// TestPlantedSicknessIsNotFoundWithoutAFault shows that the build itself is as good as the normal one.
func TestPlantedSicknessIsNotFoundWithoutAFault(t *testing.T) {
	if s := RunMany(context.Background(), 1, 6, Options{Sick: true}, nil); len(s.Failed) > 0 {
		t.Errorf("%s", s.Failed[0])
	}
}
