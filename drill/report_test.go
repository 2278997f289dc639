package drill

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
	"time"

	"holdfast"
)

// imagined is the evidence of a run that never was: a cut at 6 s and a kill at 20 s.
func imagined() *Evidence {
	r := rand.New(rand.NewPCG(1, 1))
	e := &Evidence{
		Scenario: demoScenario, Length: 30 * time.Second, Bound: failoverBound, Sites: siteNames[:3], Started: time.Unix(1_700_000_000, 0),
		Faults: []Fault{
			{Kind: "site-cut", Target: "hangzhou", At: 6300 * ms, Healed: 13500 * ms},
			{Kind: "site-kill", Target: "shenzhen", At: 19800 * ms, Healed: 24100 * ms},
		},
		Reigns: []Reign{{1, 1, 2, -time.Second}, {1, 2, 3, 6480 * ms}},
		Checks: []Check{
			{"Every acknowledged payment is there, once, unaltered", "25,334 payments × 3 sites looked up: 0 lost, 0 duplicated, 0 altered", true},
			{"The books balance", "debits equal credits at 3 sites", true},
		},
		Machine: []Fact{{"cores", "2"}, {"processor", "imagined"}},
	}
	for i := range 24_000 {
		due := time.Duration(i) * 1250 * time.Microsecond
		wait := time.Duration(11+r.ExpFloat64()*3) * ms
		if due > 6300*ms && due < 6490*ms {
			wait += 6490*ms - due
		}
		e.Samples = append(e.Samples, Sample{Shard: 1, Kind: SampleKind(i % 2), Due: due, Ended: due + wait, Status: holdfast.Done})
	}
	e.Result = Result{
		Scenario: "demo", Seed: 1, Sites: 3, Shards: 1, Carriers: 1, RTTMillis: 10, BooksBalanced: true, ReplicasAgree: true, Linearizable: true,
		Payments: count(e.Samples), Latency: Latency{11.2, 24.1, 187, 201},
		Faults: []FaultResult{{"site-cut", "hangzhou", 6300, 13500, 187, 0, 1, 0, 0}, {"site-kill", "shenzhen", 19800, 24100, 14, 0, 0, 0, 0}},
	}
	e.Result.judge(e.Bound, nil)
	return e
}

// The report must open anywhere, years later: it may not ask anybody for anything.
func TestReportIsOneFile(t *testing.T) {
	page, err := Report([]*Evidence{imagined(), imagined()})
	if err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("HOLDFAST_REPORT"); file != "" { // to look at it
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	asks := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed)\b|\b(src|href|url|@import)\s*[=(]`)
	if found := asks.Find(page); found != nil {
		t.Errorf("the report asks for something: %s", found)
	}
	for _, want := range []string{"<svg", "site-cut", "Hangzhou", "prefers-color-scheme: dark", "viewport", "10.24432/C5BW33", "24,000"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("ZgotmplZ")) {
		t.Error("the report holds a number that is none, or text that was thought unsafe")
	}
}

// Of many runs every pause is shown, and in full only what failed and the longest pause.
func TestReportOfManyRuns(t *testing.T) {
	var all []*Evidence
	for i := range uint64(12) {
		e := imagined()
		e.Result.Seed = 40 + i
		e.Result.Faults[0].PauseMillis = 100 + float64(i)
		all = append(all, e)
	}
	all[3].Result.Lost = 1
	all[3].Result.judge(all[3].Bound, nil)
	page, err := Report(all)
	if err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("HOLDFAST_REPORT_RUNS"); file != "" { // to look at it
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"demo, 12 runs", "11 of 12 runs passed", "median 105 ms, worst 111 ms", "seed 47: 107 ms, pass", "seed 43: 103 ms, fail"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for seed, full := range map[int]bool{40: false, 43: true, 50: false, 51: true} {
		if got := bytes.Contains(page, fmt.Appendf(nil, "<h3>demo, seed %d ", seed)); got != full {
			t.Errorf("seed %d is shown in full: %v, want %v", seed, got, full)
		}
	}
}

func TestAFailedReportSaysWhy(t *testing.T) {
	e := imagined()
	e.Result.Lost = 2
	e.Result.judge(e.Bound, nil)
	page, err := Report([]*Evidence{e})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("2 acknowledged payments were lost")) || !bytes.Contains(page, []byte("FAIL")) {
		t.Error("the report does not say that payments were lost")
	}
}

func TestReportOfAnEmptyRun(t *testing.T) {
	e := &Evidence{Scenario: demoScenario, Result: Result{Scenario: "demo", Sites: 3, Shards: 1}}
	e.Result.judge(time.Second, nil)
	if _, err := Report([]*Evidence{e}); err != nil {
		t.Fatal(err)
	}
}
