package drill

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ran(scenario string, seed uint64, pauses ...float64) Result {
	r := good()
	r.Scenario, r.Seed, r.Faults = scenario, seed, nil
	for _, p := range pauses {
		r.Faults = append(r.Faults, FaultResult{Kind: scenario, PauseMillis: p, FailedRequests: 2, LeaderChanges: 1})
	}
	r.Verdict = "pass"
	return r
}

// A run counts with the longest of its pauses, and every scenario has a summary of its own.
func TestSeriesSumsUp(t *testing.T) {
	bad := ran("site-cut", 4, 900)
	bad.Verdict, bad.Lost, bad.Duplicated, bad.Altered = "fail", 1, 2, 3
	series := NewSeries([]Result{ran("site-cut", 3, 100, 200), bad, ran("all-kill", 3, 1000), ran("site-cut", 5, 150, 50)})
	got, err := json.Marshal(series.Summaries)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"scenario":"site-cut","runs":3,"passed":2,"first_seed":3,"pause_ms":{"median":200,"worst":900},"failed_requests":10,
		"leader_changes":5,"lost":1,"duplicated":2,"altered":3,"verdict":"fail"},
		{"scenario":"all-kill","runs":1,"passed":1,"first_seed":3,"pause_ms":{"median":1000,"worst":1000},"failed_requests":2,
		"leader_changes":1,"lost":0,"duplicated":0,"altered":0,"verdict":"pass"}]`
	if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A result within a series has the very form it has alone.
func TestSeriesHoldsResultsAsTheyAre(t *testing.T) {
	r := ran("site-cut", 1, 100)
	alone, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(NewSeries([]Result{r, r}))
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string][]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	if len(parts) != 2 || len(parts["results"]) != 2 || len(parts["summaries"]) != 1 || string(parts["results"][1]) != string(alone) {
		t.Errorf("%s", text)
	}
}

// What was found about carriers is summed up beside everything else, and only where carriers were broken.
func TestSeriesSumsUpCarriers(t *testing.T) {
	series := NewSeries([]Result{ran("carrier-cut", 1, 10, 12), ran("carrier-cut", 2, 10, 12), ran("site-cut", 1, 100)})
	for i, p99 := range []time.Duration{13 * ms, 18 * ms} {
		e := &Evidence{Result: ran("carrier-cut", uint64(i+1), 10, 12), Length: 20 * time.Second}
		e.Result.Faults[0].FailedRequests, e.Result.Faults[1].FailedRequests = 0, 0
		e.Faults = []Fault{{Kind: "carrier-cut", At: 3 * time.Second, Healed: 5 * time.Second}, {Kind: "carrier-cut", At: 8 * time.Second, Healed: 9 * time.Second}}
		e.Smooth = &Smoothness{
			P99: 12 * ms, All: 1900, Alone: 1000, Faults: []CarrierWait{{0, 100, 11 * ms, p99}, {1, 100, 11 * ms, p99}},
			Kinds: []KindWait{{"carrier-cut", 2, 200, 11 * ms, p99}},
		}
		if i == 1 {
			e.Reigns = []Reign{{1, 1, 1, 0}, {1, 2, 2, 8100 * ms}}
		}
		series.AddCarriers(e)
	}
	series.AddCarriers(&Evidence{Result: ran("site-cut", 1, 100)})
	got, err := json.Marshal(series.Summaries[0].Carriers)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"faults":4,"undisturbed":3,"p99_rise_ms":{"median":1,"worst":6},"bytes_times":{"median":1.9,"worst":1.9}}`
	if string(got) != want || series.Summaries[1].Carriers != nil {
		t.Errorf("%s, want %s; %+v", got, want, series.Summaries[1].Carriers)
	}
}
