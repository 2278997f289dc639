//go:build planted

package clerk

import (
	"testing"
	"testing/synctest"

	"holdfast/bank"
)

// TestPlantedFaultsAreSeen: lives of orders that are judged by what the bank has done notice every classic mistake of a resolver.
func TestPlantedFaultsAreSeen(t *testing.T) {
	for name, fault := range map[string]*bool{
		"UnknownRefused":    &bank.PlantedUnknownRefused,
		"NeverHeardTrusted": &bank.PlantedNeverHeardTrusted,
		"FreshID":           &bank.PlantedFreshID,
		"Unrecorded":        &bank.PlantedUnrecorded,
		"DuplicateRefused":  &bank.PlantedDuplicateRefused,
		"AcceptedPaid":      &bank.PlantedAcceptedPaid,
	} {
		*fault = true
		seen := ""
		synctest.Test(t, func(t *testing.T) {
			if complaints := newWorld(t, 1).held(); len(complaints) > 0 {
				seen = complaints[0]
			}
		})
		for seed := uint64(0); seed < 8*seeds && seen == ""; seed++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				if complaints := w.run(seed); len(complaints) > 0 {
					seen = complaints[0]
				}
			})
		}
		*fault = false
		if seen == "" {
			t.Errorf("nobody noticed %s", name)
		}
		t.Logf("%s: %s", name, seen)
	}
}
