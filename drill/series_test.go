package drill

import (
	"encoding/json"
	"testing"

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
