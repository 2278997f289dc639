package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"testing"

	"holdfast/bench"
)

// TestBenchesOfProcesses runs the two benches that kill and start real processes, in the small. Their sizes are those of the
// examples of --help. The numbers are the machine's affair; that they are there, and that nothing is missing, is ours.
func TestBenchesOfProcesses(t *testing.T) {
	restart := benchResults(t, "restart", "--accounts", "2000", "--entries", "2000", "--length", "2s")
	if len(restart) != 2 || restart["restart-entries"].Config["entries"].(float64) < 2000 {
		t.Fatalf("%+v", restart)
	}
	for name, r := range restart {
		c := r.Config
		if c["accounts_after"] != 2001.0 || c["books_balanced"] != true || c["found"] != c["sampled"] || c["sampled"] == 0.0 ||
			c["balances_right"] != c["balances_compared"] || r.Seconds <= 0 || c["first_payment_s"].(float64) < r.Seconds {
			t.Errorf("%s: %+v", name, r)
		}
	}
	history := benchResults(t, "history", "--transfers", "400000", "--length", "1s")
	if len(history) != 5 || history["history-commit"].Config["transfers"] != 400_000.0 {
		t.Fatalf("%+v", history)
	}
	for name, want := range map[string]bool{"history-lookup": true, "history-missing": false, "history-restart": true} {
		c := history[name].Config
		if n := c["sampled"].(float64); n == 0 || (c["found"] == n) != want || !want && c["found"] != 0.0 {
			t.Errorf("%s: %+v", name, history[name])
		}
	}
	if n := history["history-lookup"].Config["sampled"].(float64); n < 50_000 {
		t.Errorf("%v ids were looked up, want 50,000", n)
	}
	if p, ok := history["history-pause"].Config["single_while_not"].(map[string]any); !ok || p["payments"] == 0.0 {
		t.Errorf("no single payment was measured: %+v", history["history-pause"])
	}
}

// TestBenchOfPayments pays as the bench does, over the native API and the gateway, in the small.
func TestBenchOfPayments(t *testing.T) {
	pay := benchResults(t, "pay", "--only", "3-site-pay,3-site-gateway", "--merchants", "5", "--customers", "400", "--length", "300ms")
	if len(pay) != 2 {
		t.Fatalf("%+v", pay)
	}
	for name, r := range pay {
		c := r.Config
		if r.PerS <= 0 || r.P50 <= 0 || r.P99 < r.P50 || c["sites"] != 3.0 || c["merchants"] != 5.0 || c["customers"] != 400.0 ||
			c["half_load_failed"] != 0.0 || c["half_load_payments"] == 0.0 || c["found"] != c["sampled"] {
			t.Errorf("%s: %+v", name, r)
		}
	}
	day := benchResults(t, "pay", "--only", "settle,webhooks", "--merchants", "5", "--customers", "50", "--transfers", "500", "--length", "300ms")
	if c := day["settle"].Config; len(day) != 2 || c["trades"] != 500.0 || c["settled_payments"] != 500.0 || c["paid_out"] != 500*99.0 || c["found"] != c["sampled"] {
		t.Errorf("%+v", day)
	}
	if c := day["webhooks"].Config; c["endpoints"] != 50.0 || c["deliveries"].(float64) < 50 || day["webhooks"].PerS <= 0 || day["webhooks"].P50 <= 0 {
		t.Errorf("%+v", day)
	}
	g := pay["3-site-gateway"].Config
	if g["rsa_2048_per_s"].(float64) <= 0 || g["rsa_share"].(float64) <= 0 || g["signatures_checked"] == 0.0 {
		t.Errorf("%+v", g)
	}
}

// benchResults runs a bench as a process, as people do, and reads its JSON.
func benchResults(t *testing.T, name string, args ...string) map[string]bench.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "holdfast", slices.Concat([]string{"bench", name, "--json", "-", "--dir", t.TempDir()}, args)...)
	errs := newListener("never said")
	cmd.Stderr = errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	var report bench.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := map[string]bench.Result{}
	for _, r := range report.Results {
		list[r.Name] = r
	}
	return list
}
