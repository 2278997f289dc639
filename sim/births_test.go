package sim

import (
	"reflect"
	"testing"
)

// TestShardsAreBorn: fleets in which a shard is born while payments go on, and slots move to it, under every fault.
func TestShardsAreBorn(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 12
	}
	var total BirthStats
	for _, o := range []Options{{Shards: 2, Births: true}, {Shards: 3, Births: true, Slots: true}, {Shards: 2, Births: true, Moves: true}} {
		s := RunMany(t.Context(), *firstSeed, n, o, func(r Result) bool {
			if !r.OK {
				t.Errorf("%s", r)
			}
			to, from := reflect.ValueOf(&total).Elem(), reflect.ValueOf(r.Births)
			for i := range to.NumField() {
				to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Int())
			}
			return !t.Failed()
		})
		t.Logf("%d schedules of %+v", s.Runs, o)
	}
	t.Logf("%+v", total)
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		if v.Field(i).IsZero() && !t.Failed() {
			t.Errorf("%s is 0: the schedules never tried it", v.Type().Field(i).Name)
		}
	}
}
