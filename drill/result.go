package drill

import (
	"fmt"
	"time"
)

// Result is what a drill found. Its JSON form is a contract with other programs: add nothing, rename nothing.
type Result struct {
	Scenario      string        `json:"scenario"`
	Seed          uint64        `json:"seed"`
	Sites         int           `json:"sites"`
	Shards        int           `json:"shards"`
	Carriers      int           `json:"carriers"`
	RTTMillis     float64       `json:"rtt_ms"`
	Input         string        `json:"input"`
	Payments      Payments      `json:"payments"`
	Lost          int           `json:"lost"`
	Duplicated    int           `json:"duplicated"`
	Altered       int           `json:"altered"`
	BooksBalanced bool          `json:"books_balanced"`
	ReplicasAgree bool          `json:"replicas_agree"`
	Linearizable  bool          `json:"linearizable"`
	Latency       Latency       `json:"latency_ms"`
	Faults        []FaultResult `json:"faults"`
	Verdict       string        `json:"verdict"` // "pass" or "fail"
	Reasons       []string      `json:"reasons"` // why it failed, one sentence each

	unproved bool // the proof was not finished: what is not shown is not shown to be wrong either
}

// Payments counts what the load clients sent, probes included. Refused includes "not executed": nothing moved.
type Payments struct {
	Attempted    int `json:"attempted"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Unknown      int `json:"unknown_at_deadline"`
}

// Latency of acknowledged payments, in milliseconds, from the moment they were due.
type Latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// FaultResult is what one fault did, measured from outside. Times are milliseconds since the start of the load.
type FaultResult struct {
	Kind           string  `json:"kind"`
	Target         string  `json:"target"`
	AtMillis       int64   `json:"at_ms"`
	HealedMillis   int64   `json:"healed_at_ms"`
	PauseMillis    float64 `json:"pause_ms"`
	FailedRequests int     `json:"failed_requests"`
	LeaderChanges  int     `json:"leader_changes"`

	// What is left out when it is judged, because the machine itself stood still.
	stood   float64 // of the pause
	excused int     // of the requests
}

// Passed reports the verdict.
func (r *Result) Passed() bool { return r.Verdict == "pass" }

// judge fills Verdict and Reasons from everything else. bound is the longest pause that passes; findings are further reasons,
// from checks that have no field of their own.
func (r *Result) judge(bound time.Duration, findings []string) {
	r.Reasons = append(r.reasons(bound), findings...)
	r.Verdict = "pass"
	if len(r.Reasons) > 0 {
		r.Verdict = "fail"
	}
}

func (r *Result) reasons(bound time.Duration) []string {
	out := []string{} // an empty list in JSON, not null
	say := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(r.Payments.Acknowledged == 0, "no payment was acknowledged: the drill proves nothing")
	say(r.Lost > 0, "%s lost", payments(r.Lost))
	say(r.Duplicated > 0, "%s duplicated", payments(r.Duplicated))
	say(r.Altered > 0, "%s altered", payments(r.Altered))
	say(!r.BooksBalanced && !r.unproved, "the books do not balance")
	say(!r.ReplicasAgree && !r.unproved, "the replicas do not agree")
	say(!r.Linearizable && !r.unproved, "the answers cannot be put into one order (not linearizable)")
	say(r.unproved, "not everything could be proved")
	for _, f := range r.Faults {
		long, failed := f.PauseMillis-f.stood, f.FailedRequests-f.excused
		say(long > millis(bound), "%s of %s: a pause of %.0f ms, above the bound of %.0f ms", f.Kind, f.Target, long, millis(bound))
		say(failed > 0, "%s of %s: %d requests without a definite answer at their deadline", f.Kind, f.Target, failed)
	}
	return out
}

func payments(n int) string {
	if n == 1 {
		return "1 acknowledged payment was"
	}
	return fmt.Sprintf("%d acknowledged payments were", n)
}
