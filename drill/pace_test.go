package drill

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// One shard is probed as ever, and many are not the load: whatever their number, the sum is bounded, and they take turns.
func TestProbesOfAllShardsAreBounded(t *testing.T) {
	for _, sites := range []int{3, 5} {
		one := Options{Sites: sites, Shards: 1, Cores: 0.5}
		if got := one.paceOf(0, probeEvery, maxProbes); got != (pace{step: 5 * ms}) {
			t.Errorf("one shard of %d sites is probed at %+v", sites, got)
		}
		eight := Options{Sites: sites, Shards: 8, Cores: 2}
		if got, want := eight.probeGap(), map[int]time.Duration{3: 20 * ms, 5: 40 * ms}[sites]; got != want {
			t.Errorf("each of 8 shards of %d sites is probed every %v, want %v", sites, got, want)
		}
	}
	if got := (&Options{Sites: 3, Shards: 8, Cores: 1}).probeGap(); got != 40*ms {
		t.Errorf("with one core to give each of 8 shards is probed every %v", got)
	}
	for _, n := range []int{1, 2, 3, 5, 8, 64} {
		o := Options{Sites: 3, Shards: n, Cores: 8}
		if got := o.probeRate(); got > maxProbes {
			t.Errorf("%d shards: %d probes a second", n, got)
		}
		due := map[time.Duration]bool{}
		for k := range n {
			p := o.paceOf(k, probeEvery, maxProbes)
			if p.phase >= p.step {
				t.Errorf("shard %d of %d begins after %v, and goes on every %v", k, n, p.phase, p.step)
			}
			due[p.phase] = true
		}
		if len(due) != n {
			t.Errorf("%d shards are probed at %d moments", n, len(due))
		}
	}
}

// A pause that is measured by fewer probes is as long as one by more, or longer.
func TestRarerProbesNeverShortenAPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 60).Draw(t, "acknowledgements, in ms")
		slices.Sort(at)
		kept := rapid.SliceOfN(rapid.Bool(), len(at), len(at)).Draw(t, "kept")
		var all, some []time.Duration
		for i, x := range at {
			all = append(all, time.Duration(x)*ms)
			if kept[i] {
				some = append(some, time.Duration(x)*ms)
			}
		}
		from := time.Duration(rapid.Int64Range(0, 1000).Draw(t, "from")) * ms
		until := all[len(all)-1] + ms // the load ends with its last answer
		if from > until {
			from = until
		}
		if many, few := pause(all, from, until), pause(some, from, until); few < many && len(some) > 0 && some[0] <= from {
			t.Fatalf("%v by %d probes, and %v by %d", many, len(all), few, len(some))
		}
	})
}

// A silence of 100 ms is measured as at most a gap longer.
func TestThePauseIsMeasuredToWithinAGap(t *testing.T) {
	gap := (&Options{Sites: 3, Shards: 8, Cores: 2}).probeGap()
	for phase := time.Duration(0); phase < gap; phase += ms {
		var acks []time.Duration
		for at := phase; at < time.Second; at += gap {
			if at < 500*ms || at >= 600*ms {
				acks = append(acks, at)
			}
		}
		if got := pause(acks, 400*ms, 900*ms); got < 100*ms || got > 100*ms+gap {
			t.Errorf("probes from %v on: a pause of %v", phase, got)
		}
	}
}

// The orders of several shards are as many as the cores bear, and never more than those of one shard.
func TestTheRateIsWhatTheMachineBears(t *testing.T) {
	for _, x := range []struct {
		name   string
		shards int
		cores  float64
		asked  string
		want   int
	}{
		{"site-cut", 1, 2, "", 300},
		{"site-cut", 8, 2, "", 80},
		{"site-cut", 8, 1, "", 40},
		{"site-cut", 8, 1.5, "", 60},
		{"site-cut", 8, 4, "", 160},
		{"site-cut", 8, 64, "", 300},
		{"site-cut", 8, 2, "rate", 300},
		{"city-cut", 1, 2, "", 300},
		{"city-cut", 8, 2, "", 40},
		{"slot-move", 3, 2, "", 300},
		{"slot-move", 8, 2, "", 80},
		{"busy-machine", 8, 2, "", HalfLoad},
	} {
		s, o := mustFind(t, x.name), Defaults()
		o.Shards, o.Cores = x.shards, x.cores
		s.Fit(&o, func(option string) bool { return option == "shards" || option == x.asked })
		if o.Rate != x.want {
			t.Errorf("%s with %d shards on %v cores: %d orders a second, want %d", x.name, x.shards, x.cores, o.Rate, x.want)
		}
	}
}

// The demo replays as many of the recorded orders as the machine bears as trades, and no more than all.
func TestTheDemoReplaysWhatTheMachineBears(t *testing.T) {
	for _, x := range []struct {
		shards int
		cores  float64
		load   time.Duration
		want   int
	}{
		{1, 2, 30 * time.Second, 6000},
		{1, 2, 60 * time.Second, 12000},
		{1, 2, 10 * time.Second, 2000},
		{8, 2, 30 * time.Second, 720},
		{8, 2, 10 * time.Second, 240},
		{8, 64, 30 * time.Second, 19500},
		{8, 2, 600 * time.Second, 14400},
	} {
		s, o := Demo(), Options{Sites: 3, Shards: x.shards, Cores: x.cores, Load: x.load}
		if got := s.events(19500, &o); got != x.want {
			t.Errorf("%d shards, %v cores, %v: %d orders, want %d", x.shards, x.cores, x.load, got, x.want)
		}
	}
}

func TestFreeCores(t *testing.T) {
	for _, row := range []struct {
		text string
		idle time.Duration
		told bool
	}{
		{"cpu  10 2 3 400 55 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n", 4550 * ms, true},
		{"cpu  10 2 3 400 55", 4550 * ms, true},
		{"cpu  10 2 3", 0, false},
		{"cpu  a b c d e f", 0, false},
		{"", 0, false},
	} {
		if idle, told := idleTime(row.text); idle != row.idle || told != row.told {
			t.Errorf("%q: %v, %t", row.text, idle, told)
		}
	}
	if free := FreeCores(); free < float64(cores())/2 || free > float64(cores()) {
		t.Errorf("%v of %d cores are free", free, cores())
	}
}
