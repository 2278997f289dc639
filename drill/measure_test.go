package drill

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
)

const ms = time.Millisecond

func times(millis ...int) []time.Duration {
	var out []time.Duration
	for _, m := range millis {
		out = append(out, time.Duration(m)*ms)
	}
	return out
}

func TestPause(t *testing.T) {
	for _, c := range []struct {
		name        string
		acks        []time.Duration
		from, until int
		want        int
	}{
		{"a gap inside the window", times(0, 5, 10, 150, 155, 200), 8, 200, 140},
		{"a gap that begins before the fault counts whole", times(0, 5, 100, 105), 50, 105, 95},
		{"a gap before the window does not count", times(0, 500, 505, 510), 505, 510, 5},
		{"a gap after the window does not count", times(0, 5, 10, 15, 900), 5, 15, 5},
		{"a gap that outlasts the window counts whole", times(0, 5, 10, 300), 5, 100, 290},
		{"silence to the end of the load", times(0, 5, 10), 5, 400, 390},
		{"never an acknowledgement", nil, 100, 400, 300},
		{"only before the fault", times(0, 50), 100, 400, 350},
		{"the longest of several", times(0, 100, 130, 330, 350, 500), 0, 500, 200},
	} {
		got := pause(c.acks, time.Duration(c.from)*ms, time.Duration(c.until)*ms)
		if got != time.Duration(c.want)*ms {
			t.Errorf("%s: %v, want %d ms", c.name, got, c.want)
		}
	}
}

// A stretch without an acknowledgement that the second of two faults brought about is not charged to the first, whose window it
// touches; it counts whole where it belongs, and so does one that outlasts the load.
func TestPauseOfTheNextFault(t *testing.T) {
	samples := []Sample{probe(1, 10, holdfast.Done), probe(1, 60, holdfast.Done), probe(1, 95, holdfast.Done), probe(1, 650, holdfast.Done)}
	samples = append(samples, probe(1, 700, holdfast.Done), probe(1, 820, holdfast.Done))
	faults := []Fault{{Kind: "cut", At: 20 * ms, Healed: 80 * ms}, {Kind: "cut", At: 100 * ms, Healed: 400 * ms}, {Kind: "cut", At: 710 * ms}}
	got := effects(faults, samples, nil, []holdfast.ShardID{1}, 3, 800*ms)
	for i, want := range []time.Duration{50 * ms, 555 * ms, 120 * ms} {
		if got[i].pause != want {
			t.Errorf("fault %d: a pause of %v, want %v", i+1, got[i].pause, want)
		}
	}
}

func probe(shard holdfast.ShardID, ended int, status holdfast.Status) Sample {
	return Sample{Shard: shard, Kind: Probed, Due: time.Duration(ended-1) * ms, Ended: time.Duration(ended) * ms, Status: status}
}

// The worst shard counts, only probes count, and only acknowledgements end a pause.
func TestEffects(t *testing.T) {
	samples := []Sample{
		probe(1, 10, holdfast.Done), probe(2, 10, holdfast.Done),
		probe(1, 90, holdfast.Unknown),
		{Shard: 1, Ended: 95 * ms, Status: holdfast.Done},
		probe(2, 60, holdfast.Done), probe(1, 120, holdfast.Done), probe(2, 115, holdfast.Refused),
		probe(1, 200, holdfast.Done), probe(2, 200, holdfast.Done),
		probe(1, 250, holdfast.NotExecuted), probe(1, 300, holdfast.Done), probe(2, 300, holdfast.Done),
	}
	faults := []Fault{{Kind: "cut", At: 20 * ms, Healed: 100 * ms}, {Kind: "kill", At: 210 * ms}}
	reigns := []Reign{
		{Shard: 1, Site: 1, Term: 1},
		{Shard: 1, Site: 2, Term: 2, From: 80 * ms},
		{Shard: 1, Site: 2, Term: 3, From: 90 * ms},
		{Shard: 1, Site: 3, Term: 4, From: 220 * ms},
	}
	got := effects(faults, samples, reigns, []holdfast.ShardID{1, 2}, 3, 300*ms)
	want := []effect{
		{140 * ms, []ShardPause{{1, 110 * ms, true, 1, 2, false, 0}, {2, 140 * ms, false, 0, 0, false, 0}}, 1, 1},
		{100 * ms, []ShardPause{{1, 100 * ms, true, 2, 3, false, 0}, {2, 100 * ms, false, 0, 0, false, 0}}, 1, 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got, want := strings.Join(pauseWords(got[0].pauses, longestPause), "; "), "owners whose shard got another leader: longest pause 110 ms; all others: longest pause 140 ms"; got != want {
		t.Errorf("in words %q, want %q", got, want)
	}
}

func TestAShardThatNeverAnswersPausesAllTheTime(t *testing.T) {
	got := effects([]Fault{{At: 0}}, []Sample{probe(1, 5, holdfast.Done)}, nil, []holdfast.ShardID{1, 2}, 3, time.Second)
	if got[0].pause != time.Second {
		t.Errorf("pause %v, want 1s", got[0].pause)
	}
}

// A request that was sent at the end of the load and had no answer has failed, although its deadline was after the end.
func TestWhatFailsAfterTheEndOfTheLoadCounts(t *testing.T) {
	late := Sample{Shard: 1, Kind: Replayed, Due: 290 * ms, Ended: 2290 * ms, Status: holdfast.Unknown}
	got := effects([]Fault{{At: 0}, {At: 100 * ms}}, []Sample{probe(1, 250, holdfast.Done), late}, nil, []holdfast.ShardID{1}, 3, 300*ms)
	if got[0].failed != 0 || got[1].failed != 1 {
		t.Errorf("%+v, want the failure in the last window", got)
	}
}

func TestQuantileIsNearestRank(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, c := range []struct {
		q    float64
		want int
	}{{0, 1}, {0.5, 50}, {0.99, 99}, {0.999, 100}, {1, 100}} {
		if got := Quantile(hundred, c.q); got != c.want {
			t.Errorf("quantile %v of 1-100: %d, want %d", c.q, got, c.want)
		}
	}
	if got := Quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("quantile of nothing: %d", got)
	}
}

func TestLatencyCountsOnlyWhatWasAcknowledgedAndFromWhenItWasDue(t *testing.T) {
	samples := []Sample{
		{Due: 10 * ms, Ended: 14 * ms, Status: holdfast.Done},
		{Due: 10 * ms, Ended: 12 * ms, Status: holdfast.Done},
		{Due: 10 * ms, Ended: 2010 * ms, Status: holdfast.Unknown},
	}
	got := latencies(samples, anyPayment)
	if want := (quantiles{2 * ms, 4 * ms, 4 * ms, 4 * ms}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCountAddsUp(t *testing.T) {
	samples := []Sample{
		{Status: holdfast.Done},
		{Status: holdfast.Done, Kind: Probed},
		{Status: holdfast.Done, Kind: ReadBack},
		{Status: holdfast.Refused},
		{Status: holdfast.NotExecuted},
		{Status: holdfast.Unknown},
	}
	if got, want := count(samples), (Payments{5, 2, 2, 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// lossOfOne is a cut of Hangzhou in a fleet whose shards are led from all three sites, in which shard 2 pauses for long.
func lossOfOne(long time.Duration) ([]Fault, []Sample, []Reign) {
	faults := []Fault{{Kind: "site-cut", Target: "hangzhou", At: 100 * ms, Healed: 900 * ms}}
	var samples []Sample
	for at := time.Duration(0); at < time.Second; at += 5 * ms {
		for shard := range holdfast.ShardID(3) {
			lost := shard == 0 && at > 100*ms && at < 300*ms || shard == 1 && at > 400*ms && at < 400*ms+long
			if !lost {
				samples = append(samples, Sample{Shard: shard + 1, Kind: Probed, Due: at, Ended: at, Status: holdfast.Done})
			}
		}
	}
	reigns := []Reign{{1, 1, 1, -ms}, {2, 2, 1, -ms}, {3, 3, 1, -ms}, {1, 2, 2, 290 * ms}}
	return faults, samples, reigns
}

// In a series each shard that was led from what was lost counts by itself, and no other one does.
func TestPausesOfTheShardsThatLostTheirLeader(t *testing.T) {
	faults, samples, reigns := lossOfOne(450 * ms)
	found := effects(faults, samples, reigns, []holdfast.ShardID{1, 2, 3}, 3, time.Second)
	long := slices.Clone(found[0].pauses)
	long[0].Pause = 300 * ms
	r := Result{Scenario: "site-cut"}
	s := NewSeries([]Result{r, r, r})
	for _, pauses := range [][]ShardPause{found[0].pauses, long, found[0].pauses} {
		s.AddStays(&Evidence{Result: r, Faults: faults, Pauses: [][]ShardPause{pauses}})
	}
	if got := s.Summaries[0].Led; got == nil || *got != (Spread{200, 300}) {
		t.Errorf("got %v, want a median of 200 and 300 at worst", got)
	}
	handover := []Fault{{Kind: "leader-handover", Target: "hangzhou"}}
	if got := (&Evidence{Faults: handover, Pauses: [][]ShardPause{long}}).lostPauses(); got != nil {
		t.Errorf("where nothing was lost: %v", got)
	}
}

// A pause of a shard that was led from the lost site is the price of the fault; the same pause of one led from elsewhere fails the drill.
func TestAShardThatStayedMustNotPause(t *testing.T) {
	if got := demoScenario.StayBound(10 * ms); got != 400*ms {
		t.Errorf("in the demo %v pass, want twice what passes in a drill", got)
	}
	bound := (&Scenario{bound: failoverBound}).StayBound(10 * ms)
	for long, red := range map[time.Duration]bool{50 * ms: false, bound - 10*ms: false, bound + 10*ms: true, 450 * ms: true} {
		faults, samples, reigns := lossOfOne(long)
		found := effects(faults, samples, reigns, []holdfast.ShardID{1, 2, 3}, 3, time.Second)
		reasons := disturbedStays(faults, [][]ShardPause{found[0].pauses}, bound, 0)
		if red != (len(reasons) == 1 && strings.Contains(reasons[0], "shard 2 was led from Shanghai, which stayed")) || len(reasons) > 1 {
			t.Errorf("a pause of %v of a shard that was not concerned: %v", long, reasons)
		}
		two := millis(found[0].pauses[1].Pause)
		want := fmt.Sprintf("owners led from what was lost: longest pause 200 ms (of shard 1: 200); owners led elsewhere: longest pause %.0f ms (of shard 2: %.0f, 3: %.0f)",
			two, two, millis(found[0].pauses[2].Pause))
		if got := strings.Join(pauseWords(found[0].pauses, everyPause), "; "); got != want {
			t.Errorf("in words %q, want %q", got, want)
		}
	}
}

func TestWhatALossAllowsThoseWhoStay(t *testing.T) {
	const bound, gap = 200 * ms, 80 * ms
	for target, want := range map[string]time.Duration{"hangzhou": 280 * ms, "hangzhou+shanghai": 380 * ms} {
		if got := (&Fault{Kind: "two-sites-cut", Target: target}).stays(bound, gap); got != want {
			t.Errorf("the loss of %s allows %v, want %v", target, got, want)
		}
	}
}

func TestWhoIsSparedByAFault(t *testing.T) {
	for _, row := range []struct {
		kind, target string
		leader       holdfast.SiteID
		sites        int
		spared       bool
	}{
		{"site-cut", "hangzhou", 2, 3, true},
		{"site-cut", "hangzhou", 1, 3, false},
		{"site-cut", "hangzhou", 0, 3, false},
		{"one-way-cut", "hangzhou:inbound", 3, 3, true},
		{"one-way-cut", "hangzhou:inbound", 1, 3, false},
		{"two-sites-cut", "hangzhou+shanghai", 3, 3, false},
		{"two-sites-cut", "hangzhou+shanghai", 3, 5, true},
		{"city-cut", "hangzhou+hangzhou-2", 4, 5, false},
		{"leader-handover", "hangzhou", 2, 3, false},
		{"carrier-cut", "carrier 1", 2, 3, false},
		{"all-kill", "hangzhou+shanghai+shenzhen", 2, 3, false},
	} {
		f := Fault{Kind: row.kind, Target: row.target}
		if got := f.spares(row.leader, row.sites); got != row.spared {
			t.Errorf("%s of %s spares a shard led from site %d of %d: %v", row.kind, row.target, row.leader, row.sites, got)
		}
	}
}
