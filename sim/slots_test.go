package sim

import (
	"reflect"
	"testing"
)

// TestSlotsMove: fleets in which slots move while their owners pay, under every fault.
func TestSlotsMove(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 12
	}
	var total SlotStats
	for _, shards := range []int{2, 3} {
		s := RunMany(t.Context(), *firstSeed, n, Options{Shards: shards, Slots: true}, func(r Result) bool {
			if !r.OK {
				t.Errorf("%s", r)
			}
			to, from := reflect.ValueOf(&total).Elem(), reflect.ValueOf(r.Slots)
			for i := range to.NumField() {
				to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Int())
			}
			return !t.Failed()
		})
		t.Logf("%d schedules with %d shards", s.Runs, shards)
	}
	t.Logf("%+v", total)
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		if v.Field(i).IsZero() && !t.Failed() && !testing.Short() {
			t.Errorf("%s is 0: the schedules never tried it", v.Type().Field(i).Name)
		}
	}
}
