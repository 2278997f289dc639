package sim

import (
	"flag"
	"reflect"
	"testing"
)

var trades = flag.Int("trades", 40, "how many schedules of each kind TestTrades runs")

// TestTrades: fleets whose customers and merchants trade through package pay under every fault, and some of them move.
func TestTrades(t *testing.T) {
	n := *trades
	if testing.Short() {
		n = min(n, 4)
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

// TestTradesRepeat: coroutines change nothing about it: the same seed gives the same run.
func TestTradesRepeat(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		for _, o := range []Options{{Shards: 3, Trades: true}, {Shards: 2, Trades: true, Slots: true}} {
			if x, y := Run(seed, o), Run(seed, o); x.TraceHash != y.TraceHash || x.Stats != y.Stats || x.Market != y.Market {
				t.Errorf("seed %d goes two ways:\n%+v\n%+v", seed, x.Market, y.Market)
			}
		}
	}
}
