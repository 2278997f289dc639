package drill

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func good() Result {
	return Result{
		Scenario: "site-cut", Seed: 1, Sites: 3, Shards: 8, Carriers: 2, RTTMillis: 10, Input: "online_retail_orders",
		Payments:      Payments{Attempted: 10, Acknowledged: 10},
		BooksBalanced: true, ReplicasAgree: true, Linearizable: true,
		Latency: Latency{1, 2, 3, 4},
		Faults:  []FaultResult{{Kind: "site-cut", Target: "hangzhou", AtMillis: 5000, HealedMillis: 12000, PauseMillis: 499}},
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Result)
		reason string // "" passes
	}{
		{"nothing is wrong", func(*Result) {}, ""},
		{"nothing was paid", func(r *Result) { r.Payments = Payments{} }, "no payment was acknowledged: the drill proves nothing"},
		{"lost", func(r *Result) { r.Lost = 1 }, "1 acknowledged payment was lost"},
		{"duplicated", func(r *Result) { r.Duplicated = 2 }, "2 acknowledged payments were duplicated"},
		{"altered", func(r *Result) { r.Altered = 3 }, "3 acknowledged payments were altered"},
		{"books", func(r *Result) { r.BooksBalanced = false }, "the books do not balance"},
		{"replicas", func(r *Result) { r.ReplicasAgree = false }, "the replicas do not agree"},
		{"order", func(r *Result) { r.Linearizable = false }, "the answers cannot be put into one order (not linearizable)"},
		{"a pause at the bound", func(r *Result) { r.Faults[0].PauseMillis = 500 }, ""},
		{"a pause above the bound", func(r *Result) { r.Faults[0].PauseMillis = 501 }, "site-cut of hangzhou: a pause of 501 ms, above the bound of 500 ms"},
		{"a failed request", func(r *Result) { r.Faults[0].FailedRequests = 1 }, "site-cut of hangzhou: 1 requests without a definite answer at their deadline"},
	} {
		r := good()
		c.change(&r)
		r.judge(500*time.Millisecond, nil)
		want, verdict := []string{}, "pass"
		if c.reason != "" {
			want, verdict = []string{c.reason}, "fail"
		}
		if r.Verdict != verdict || !slices.Equal(r.Reasons, want) {
			t.Errorf("%s: %s %q, want %s %q", c.name, r.Verdict, r.Reasons, verdict, want)
		}
	}
}

func TestFindingsFailTheDrill(t *testing.T) {
	r := good()
	r.judge(time.Second, []string{"site shanghai was not ready 10 s after the fault"})
	if r.Passed() || len(r.Reasons) != 1 {
		t.Errorf("%s %q", r.Verdict, r.Reasons)
	}
}

// The JSON form is a contract: this is the text of the design, with values.
func TestResultJSON(t *testing.T) {
	const contract = `{"scenario":"site-cut","seed":1,"sites":3,"shards":8,"carriers":2,"rtt_ms":10,"input":"online_retail_orders",
 "payments":{"attempted":10,"acknowledged":10,"refused":0,"unknown_at_deadline":0},
 "lost":0,"duplicated":0,"altered":0,"books_balanced":true,"replicas_agree":true,"linearizable":true,
 "latency_ms":{"p50":1,"p99":2,"p999":3,"max":4},
 "faults":[{"kind":"site-cut","target":"hangzhou","at_ms":5000,"healed_at_ms":12000,
            "pause_ms":499,"failed_requests":0,"leader_changes":0}],
 "verdict":"pass","reasons":[]}`
	r := good()
	r.judge(500*time.Millisecond, nil)
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decoded(t, []byte(contract)), decoded(t, got)); diff != "" {
		t.Errorf("(-contract +result)\n%s", diff)
	}
}

func decoded(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
