package sim

import (
	"reflect"
	"testing"
)

// TestTrades: fleets whose customers and merchants trade through package pay under every fault, and some of them move.
func TestTrades(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 4
	}
	var total MarketStats
	for _, o := range []Options{{Shards: 2, Trades: true}, {Shards: 3, Trades: true}, {Shards: 2, Slots: true, Trades: true}} {
		s := RunMany(t.Context(), *firstSeed, n, o, func(r Result) bool {
			if !r.OK {
				t.Errorf("%s", r)
			}
			to, from := reflect.ValueOf(&total).Elem(), reflect.ValueOf(r.Market)
			for i := range to.NumField() {
				to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Int())
			}
			return !t.Failed()
		})
		t.Logf("%d schedules, %d shards, slots move %v", s.Runs, o.Shards, o.Slots)
	}
	t.Logf("%+v", total)
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		if v.Field(i).IsZero() && !t.Failed() && !testing.Short() {
			t.Errorf("%s is 0: the schedules never tried it", v.Type().Field(i).Name)
		}
	}
}
