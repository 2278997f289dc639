package drill

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/drill/rivals"
)

// raced is what one rival did in one run: everything took a millisecond, but for what was due in the cut, which took so long.
func raced(name string, gap time.Duration) rivals.Result {
	r := rivals.Result{Name: name, Ground: "imagination", Sent: 100, Gap: gap, P99: gap, Max: gap, Cut: 400 * ms, Healed: 800 * ms}
	for i := range 100 {
		w := rivals.Wait{Due: time.Duration(i) * 12 * ms, Took: ms}
		if w.Due >= r.Cut && w.Due < r.Cut+gap {
			w.Took = r.Cut + gap - w.Due
		}
		r.Waits = append(r.Waits, w)
	}
	return r
}

func TestTheLinkHasToWinEveryRun(t *testing.T) {
	skipped := rivals.Result{Name: "multipath-tcp", Skipped: "this kernel has none"}
	lossy := raced("link", 20*ms)
	lossy.Missing = 3
	for _, c := range []struct {
		name    string
		results []rivals.Result
		reason  string // "" passes
	}{
		{"it wins", []rivals.Result{raced("tcp-redial", 400*ms), raced("multipath-tcp", 250*ms), raced("link", 30*ms)}, ""},
		{"one cannot run", []rivals.Result{raced("tcp-redial", 400*ms), skipped, raced("link", 30*ms)}, ""},
		{"messages are missing", []rivals.Result{raced("tcp-redial", 400*ms), lossy}, "3 messages of the link did not arrive"},
		{"it loses the second run", []rivals.Result{raced("tcp-redial", 400*ms), raced("link", 30*ms), raced("tcp-redial", 310*ms), raced("link", 350*ms)}, "run 2: the link had a gap of 350 ms, tcp-redial one of 310 ms"},
		{"it did not run", []rivals.Result{raced("tcp-redial", 400*ms)}, "the link did not run"},
	} {
		contest := newContest(c.results, rivals.Default)
		if got := strings.Join(contest.Reasons, "; "); got != c.reason || contest.Passed() != (c.reason == "") {
			t.Errorf("%s: %s %q, want %q", c.name, contest.Verdict, got, c.reason)
		}
	}
}

func TestReportOfAContest(t *testing.T) {
	c := newContest([]rivals.Result{
		raced("tcp-redial", 400*ms), {Name: "multipath-tcp", Skipped: "this kernel has none"}, raced("link", 30*ms),
	}, rivals.Default)
	page, err := ReportContest(c)
	if err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("HOLDFAST_REPORT_CONTEST"); file != "" { // to look at it
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"carrier-rivals", "PASS", "tcp-redial", "not run: this kernel has none", "400.0 ms", "carrier-cut · Carrier 1", `class="c1"`, `class="c3"`} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("ZgotmplZ")) || bytes.Contains(page, []byte("Recorded orders")) {
		t.Error("the report holds a number that is none, text that was thought unsafe, or something of payments")
	}
}
