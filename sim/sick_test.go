package sim

import (
	"reflect"
	"testing"
)

// TestSickSites: whatever a site is sick of, what it leads goes to others in time, stays there, and comes home; where the others are no better
// off nobody moves.
func TestSickSites(t *testing.T) {
	n := 16
	if testing.Short() {
		n = 8
	}
	var all SickStats
	s := RunMany(t.Context(), *firstSeed, n, Options{Sick: true}, func(r Result) bool {
		if !r.OK {
			t.Errorf("%s", r)
		}
		all.add(&r.Sick)
		return !t.Failed()
	})
	t.Logf("%d schedules: %+v", s.Runs, all)
	if testing.Short() {
		return
	}
	v := reflect.ValueOf(all)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is 0: the schedules never tried it", v.Type().Field(i).Name)
		}
	}
}
