package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
	"holdfast/evidence"
	"holdfast/proof"
)

// TestDemo runs the demo as a newcomer does, if for less long: real processes, real cables, a carrier cut, a site cut, a kill.
func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	report, signed := filepath.Join(dir, "report.html"), filepath.Join(dir, "evidence.json.gz")
	cmd := exec.CommandContext(ctx, "holdfast", "demo", "--duration", "10s", "--json", "-", "--report", report, "--evidence", signed, "--open")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "DISPLAY=:99", "PATH="+fakeBrowser(t, filepath.Join(dir, "opened"))+":"+os.Getenv("PATH"))
	errs := newListener(", password ")
	cmd.Stderr = errs
	visited := make(chan error, 1)
	go func() { visited <- visitDemo(ctx, errs) }()
	out, err := cmd.Output()
	if err := <-visited; err != nil {
		t.Errorf("nobody could look at the fleet: %v", err)
	}
	if opened, err := os.ReadFile(filepath.Join(dir, "opened")); err != nil || !regexp.MustCompile(`^http://127\.\S+/sign-in\?as=operator&to=%2Fconsole\n`+regexp.QuoteMeta(report)+`\n$`).Match(opened) {
		t.Errorf("in the browser were opened: %s, %v", opened, err)
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	said := errs.String()
	r := demoResult(t, out, said)
	if exit := cmd.ProcessState.ExitCode(); (exit == 0) != r.Passed() || exit > 1 {
		t.Errorf("exit status %d, verdict %s\n%s", exit, r.Verdict, said)
	}
	if r.Shards != 8 || r.Carriers != 2 {
		t.Errorf("%d shards, %d carriers", r.Shards, r.Carriers)
	}
	for _, want := range []string{
		"demo: starting 3 sites", "payments/s", "leaders Hangzhou", "carrier-cut of carrier 1 begins", "site-cut of", "site-kill of", "owners led elsewhere: longest pause",
		"bytes for a payment over all carriers", "What was proved", "report: " + report,
		"registering merchants and customers", "each with its entries in the ledger: 0 differ", "of 24 merchants, by the sites themselves", "booked at the bank",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the demo did not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "\x1b") {
		t.Error("the demo moves the cursor of a pipe")
	}
	checkReport(t, report, r)
	checkStands(ctx, t, signed)
	if ways := checkTampered(ctx, t, signed, func(*evidence.Receipt) bool { return true }, true); ways < 9 {
		t.Errorf("the evidence was changed in %d ways", ways)
	}
	if left := sites(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// fakeBrowser is a directory with an xdg-open that writes down what it is to open.
func fakeBrowser(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\necho \"$1\" >>'"+file+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// visitDemo signs in with what the demo has said, and looks at the console.
func visitDemo(ctx context.Context, said *listener) error {
	select {
	case <-said.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	m := regexp.MustCompile(`(http://\S+)/sign-in\S*\s+sign in as (\w+), password (\w+)\n`).FindStringSubmatch(said.String())
	if m == nil {
		return fmt.Errorf("it says: %s", said)
	}
	c, err := client.New(client.Config{Sites: []string{m[1]}})
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := c.SignIn(ctx, client.Credentials{As: "operator", Login: m[2], Password: m[3]})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m[1]+"/console", nil)
	if err != nil {
		return err
	}
	r.AddCookie(&http.Cookie{Name: "holdfast_session", Value: in.Token})
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	page, err := io.ReadAll(a.Body)
	if err == nil && (a.StatusCode != http.StatusOK || a.Request.URL.Path != "/console" || !strings.Contains(string(page), "shanghai")) {
		err = fmt.Errorf("%s at %s: %s", a.Status, a.Request.URL, page)
	}
	return err
}

// TestEvidenceOfShards has plain transfers, most of them from one shard to another, and more of them than a page of a statement has lines.
func TestEvidenceOfShards(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	signed := filepath.Join(dir, "evidence.json.gz")
	cmd := exec.CommandContext(ctx, "holdfast", "drill", "run", "site-kill", "--shards", "2", "--rate", "100", "--json", "-", "--evidence", signed)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	errs := newListener("never said")
	cmd.Stderr = errs
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if r := keptPromises(t, out, errs.String()); r.Shards != 2 || r.Carriers != 2 || r.Payments.Acknowledged < 3000 {
		t.Errorf("%d shards, %d carriers, %d acknowledged", r.Shards, r.Carriers, r.Payments.Acknowledged)
	}
	checkStands(ctx, t, signed)
	crosses := func(x *evidence.Receipt) bool { return x.Debit.Owner.Slot()*2/1000 != x.Credit.Owner.Slot()*2/1000 }
	if ways := checkTampered(ctx, t, signed, crosses, false); ways < 4 {
		t.Errorf("the evidence was changed in %d ways, a page of a statement is missing in none", ways)
	}
}

// checkStands has the program itself look at what a drill has written.
func checkStands(ctx context.Context, t *testing.T, file string) {
	t.Helper()
	if out, err := exec.CommandContext(ctx, "holdfast", "check", file).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("every receipt is honoured")) {
		t.Errorf("the evidence does not stand: %v\n%s", err, out)
	}
}

// checkTampered changes the evidence of a drill in ways that somebody might, and insists that each is found: the receipt that is changed
// is one of those chosen. It returns how many ways there were: statements of many shards are short, and have one page each. all: also those
// that have nothing to do with receipts and pages, and the program's own word on a forged file.
func checkTampered(ctx context.Context, t *testing.T, file string, chosen func(*evidence.Receipt) bool, all bool) (ways int) {
	t.Helper()
	answer := func(r *evidence.Run, has string) int {
		return slices.IndexFunc(r.Answers, func(a proof.Answer) bool { return strings.Contains(a.Target, has) })
	}
	settlement := holdfast.MustPurpose("settlement") // of merchants, whose statements are in it
	paid := func(r *evidence.Run) int {
		return slices.IndexFunc(r.Receipts, func(x evidence.Receipt) bool {
			return x.Outcome == "done" && x.Credit.Purpose == settlement && chosen(&x)
		})
	}
	sold := func(r *evidence.Run) int { // a trade of which nothing was given back
		refunded := map[string]bool{}
		for _, d := range r.Deals {
			refunded[d.Number] = refunded[d.Number] || d.Request != ""
		}
		return slices.IndexFunc(r.Deals, func(d evidence.Deal) bool {
			return d.Outcome == "done" && d.Request == "" && d.Amount > 1000 && !refunded[d.Number]
		})
	}
	whole, err := evidence.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if paid(&whole.Runs[0]) < 0 {
		t.Fatal("nobody was paid")
	}
	for _, row := range []struct {
		name   string
		tamper func(r *evidence.Run)
		want   string
		anyhow bool // whatever receipts and pages there are
	}{
		{"a receipt is left out", func(r *evidence.Run) { i := paid(r); r.Receipts = slices.Delete(r.Receipts, i, i+1) }, "no receipt asks for it", false},
		{"it was for a penny less", func(r *evidence.Run) { r.Receipts[paid(r)].Amount-- }, "altered at site 3", false},
		{"it went to another merchant", func(r *evidence.Run) {
			i := paid(r)
			other := slices.IndexFunc(r.Receipts, func(x evidence.Receipt) bool {
				return x.Credit.Purpose == settlement && x.Credit != r.Receipts[i].Credit
			})
			r.Receipts[i].Credit = r.Receipts[other].Credit
		}, "altered at site 1", false},
		{pageLeftOut, func(r *evidence.Run) { i := answer(r, "cursor="); r.Answers = slices.Delete(r.Answers, i, i+1) }, "is missing", false},
		{"the audits are left out", func(r *evidence.Run) {
			r.Answers = slices.DeleteFunc(r.Answers, func(a proof.Answer) bool { return strings.HasSuffix(a.Target, "/v1/audit") })
		}, "has signed no audit", true},
		{"an answer is rewritten", func(r *evidence.Run) {
			a := &r.Answers[answer(r, "/statement")]
			a.Body = bytes.Clone(a.Body)
			a.Body[len(a.Body)/2] ^= 1
		}, proof.ErrForged.Error(), true},
		{tradeTold, func(r *evidence.Run) { i := sold(r); r.Deals = slices.Delete(r.Deals, i, i+1) }, "no trade or settlement explains", true},
		{tradeTold + ", for a penny more", func(r *evidence.Run) { r.Deals[sold(r)].Amount++ }, "altered at site 2", true},
		{tradeTold + ", twice", func(r *evidence.Run) { r.Deals = append(r.Deals, r.Deals[sold(r)]) }, "acknowledged twice", true},
		{tradeTold + ", that nobody has paid", func(r *evidence.Run) {
			d := r.Deals[sold(r)]
			d.Number += "x"
			r.Deals = append(r.Deals, d)
		}, "lost at site 3", true},
	} {
		if strings.HasPrefix(row.name, tradeTold) && sold(&whole.Runs[0]) < 0 {
			continue
		}
		if row.name == pageLeftOut && answer(&whole.Runs[0], "cursor=") < 0 || row.anyhow && !all {
			continue
		}
		ways++
		run := whole.Runs[0]
		run.Receipts, run.Answers, run.Deals = slices.Clone(run.Receipts), slices.Clone(run.Answers), slices.Clone(run.Deals)
		row.tamper(&run)
		if v := run.Check(nil); v.OK || !strings.Contains(strings.Join(v.Broken, "\n"), row.want) {
			t.Errorf("%s: %q, want %q", row.name, v.Broken, row.want)
		}
		if row.name != "it was for a penny less" || !all {
			continue
		}
		forged := filepath.Join(t.TempDir(), "forged.json.gz")
		f := *whole
		f.Runs = []evidence.Run{run}
		if err := evidence.Write(forged, &f); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, "holdfast", "check", forged)
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("holdfast check of a forged file: %v\n%s", err, out)
		}
	}
	return ways
}

const (
	pageLeftOut = "a page of a statement is left out"
	tradeTold   = "a trade was told otherwise"
)

// demoResult reads the result and insists on the contract, on all three faults, and on every promise but those about time: how long
// a pause was is the machine's affair, and a busy one may be slow, or not let a leader be heard.
func demoResult(t *testing.T, out []byte, said string) (r drill.Result) {
	t.Helper()
	r = keptPromises(t, out, said)
	for _, field := range []string{
		"scenario", "seed", "sites", "shards", "carriers", "rtt_ms", "input", "payments", "lost", "duplicated", "altered",
		"books_balanced", "replicas_agree", "linearizable", "latency_ms", "faults", "verdict", "reasons",
	} {
		if !bytes.Contains(out, []byte(`"`+field+`":`)) {
			t.Errorf("the result has no %q:\n%s", field, out)
		}
	}
	if r.Scenario != "demo" || r.Sites != 3 || r.Carriers != 2 || r.Input != "online_retail_orders" || r.RTTMillis != 10 {
		t.Errorf("not the demo: %+v", r)
	}
	for _, reason := range r.Reasons {
		if !strings.Contains(reason, "a pause of") && !strings.Contains(reason, "without a definite answer") && !strings.Contains(reason, "were not decided") &&
			!strings.Contains(reason, "an election that nobody wanted") && !strings.HasSuffix(reason, "; it stopped") &&
			!strings.Contains(reason, "foretold that it stops; it moved") { // while nobody gets a processor, a fleet foretells the worst
			t.Errorf("failed, and not for want of time: %s\n%s", reason, said)
		}
	}
	if len(r.Faults) != 3 {
		t.Fatalf("%d faults, want a carrier cut, a site cut and a kill: %+v", len(r.Faults), r.Faults)
	}
	carrier, cut, kill := &r.Faults[0], &r.Faults[1], &r.Faults[2]
	if carrier.Kind != "carrier-cut" || carrier.Target != "carrier 1" || carrier.HealedMillis <= carrier.AtMillis || cut.AtMillis <= carrier.HealedMillis {
		t.Errorf("one carrier everywhere comes first: %+v", r.Faults)
	}
	if cut.Kind != "site-cut" || kill.Kind != "site-kill" || cut.Target == kill.Target {
		t.Errorf("faults: %+v", r.Faults)
	}
	if cut.LeaderChanges == 0 || cut.HealedMillis <= cut.AtMillis || kill.HealedMillis <= kill.AtMillis || kill.AtMillis <= cut.HealedMillis {
		t.Errorf("the site that led was not replaced, or something was not mended: %+v", r.Faults)
	}
	return r
}

// keptPromises reads the result of a drill and insists on the promises that hold however little time there was.
func keptPromises(t *testing.T, out []byte, said string) (r drill.Result) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, said)
	}
	if r.Lost+r.Duplicated+r.Altered != 0 || !r.BooksBalanced || !r.ReplicasAgree || !r.Linearizable || r.Payments.Acknowledged == 0 {
		t.Errorf("%s\n%s", out, said)
	}
	return r
}

// checkReport insists on a page that asks nobody for anything and shows what it is about.
func checkReport(t *testing.T, file string, r drill.Result) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed)\b|\b(src|href|url|@import)\s*[=(]`).Find(page); found != nil {
		t.Errorf("the report asks for something: %s", found)
	}
	for _, address := range regexp.MustCompile(`(?i)https?://[^/\s]*`).FindAllString(string(page), -1) {
		if !strings.HasPrefix(address, "http://127.") { // a site of the drill, in the text of what it answered
			t.Errorf("the report names an address outside: %s", address)
		}
	}
	for _, plot := range []string{"Latency of payments over time", "Acknowledged payments a second over time", "Bytes a second by carrier over time", "Which site led, over time"} {
		if n := bytes.Count(page, []byte(`aria-label="`+plot)); n != 2 { // one for wide screens, one for narrow
			t.Errorf("the report shows the plot %q %d times, want 2", plot, n)
		}
	}
	for _, want := range []string{"<!DOCTYPE html>", "</html>", "carrier-cut", "site-cut", "site-kill", "What was foretold", `class="fault"`, `class="median" d="M`, thousands(r.Payments.Acknowledged)} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the report does not show %q", want)
		}
	}
}

// TestDrillRuns has several runs made up, of which one fails, and looks at everything that is said of them.
func TestDrillRuns(t *testing.T) {
	var played []string
	play := func(_ context.Context, s drill.Scenario, o drill.Options) (*drill.Evidence, error) {
		played = append(played, fmt.Sprintf("%s %d", s.Name, o.Seed))
		r := drill.Result{Scenario: s.Name, Seed: o.Seed, Verdict: "pass", Reasons: []string{}, Faults: []drill.FaultResult{{PauseMillis: float64(100 * o.Seed)}}}
		if s.Name == "site-kill" && o.Seed == 8 {
			r.Verdict, r.Reasons, r.Lost = "fail", []string{"1 acknowledged payment was lost"}, 1
		}
		return &drill.Evidence{Scenario: s, Result: r}, nil
	}
	cmd := newDrillRunWith(play)
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "runs.json")
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs([]string{"all", "--runs", "3", "--seed", "7", "--json", file, "--report", filepath.Join(t.TempDir(), "runs.html")})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, errFailed) {
		t.Fatalf("%v, want a failure: one run lost a payment", err)
	}
	if n := len(drill.Scenarios()); len(played) != 3*n || played[0] != "site-cut 7" || played[5] != "site-kill 9" {
		t.Errorf("played %v", played)
	}
	for _, want := range []string{
		"site-cut                8         800 ms", "1 acknowledged payment was lost",
		"site-cut: 3 of 3 runs passed; pause: median 800 ms, worst 900 ms",
		"site-kill: 2 of 3 runs passed; pause: median 800 ms, worst 900 ms; 0 failed requests, 0 new leaders; 1 lost",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not said: %q\n%s", want, &out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSuffix(file, ".json") + "-evidence.json.gz"); err != nil {
		t.Errorf("no evidence is beside the result: %v", err)
	}
	var series drill.Series
	if err := json.Unmarshal(text, &series); err != nil || len(series.Results) != len(played) || series.Summaries[1].Passed != 2 {
		t.Errorf("%v: %s", err, text)
	}
}

// A drill that cannot be done ends the runs; what was found before it is written all the same.
func TestDrillRunsEndWithADrillThatCannotBeDone(t *testing.T) {
	broken := errors.New("no room for another site")
	cmd := newDrillRunWith(func(_ context.Context, s drill.Scenario, o drill.Options) (*drill.Evidence, error) {
		if o.Seed == 3 {
			return nil, broken
		}
		return &drill.Evidence{Scenario: s, Result: drill.Result{Scenario: s.Name, Seed: o.Seed, Verdict: "pass"}}, nil
	})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{"site-cut", "--runs", "5"})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, broken) || errors.Is(err, errFailed) {
		t.Errorf("%v, want what broke", err)
	}
	if !strings.Contains(out.String(), "2 of 2 runs passed") {
		t.Errorf("what was found is not said:\n%s", &out)
	}
}

// A drill that is killed takes its sites with it, and one that is interrupted says so and leaves nothing.
func TestADrillLeavesNothingBehind(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGKILL, syscall.SIGINT} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "holdfast", "drill", "run", "site-cut", "--rate", "50")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		heard := newListener("acknowledged")
		cmd.Stdout, cmd.Stderr = heard, heard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-heard.done:
		case err := <-ended: // at the latest when ctx does
			t.Fatalf("the drill did not come to its load: %v\n%s", err, heard)
		}
		if n := len(sites(t, dir)); n != 3 {
			t.Errorf("%d sites run, want 3", n)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Errorf("%v: the drill ended with 0", signal)
		}
		awaitNone(ctx, t, dir)
	}
}

// awaitNone waits for the kernel to have done what it was asked.
func awaitNone(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(sites(t, dir)) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("processes are left: %v", sites(t, dir))
		}
	}
}

// sites lists the processes whose command line names the directory.
func sites(t *testing.T, dir string) (found []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		if line := strings.ReplaceAll(string(text), "\x00", " "); strings.Contains(line, "serve") && strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	return found
}

// The comparison of ways to use two carriers is a drill without a fleet.
func TestDrillRivals(t *testing.T) {
	f := drillFlags{compete: func(_ context.Context, runs int, _ string) (*drill.Contest, error) {
		return &drill.Contest{
			Scenario: drill.ContestName, Runs: runs, Verdict: "fail", Reasons: []string{"run 2: too slow"},
			Rivals: []drill.Rival{{Name: "tcp-redial"}, {Name: "multipath-tcp", Skipped: "no kernel for it"}, {Name: "link", Missing: 1}},
		}, nil
	}}
	cmd := newDrillRunOf(&f)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	file := filepath.Join(t.TempDir(), "rivals.json")
	cmd.SetArgs([]string{drill.ContestName, "--runs", "3", "--json", file, "--report", filepath.Join(t.TempDir(), "rivals.html")})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, errFailed) {
		t.Errorf("%v, want a failure", err)
	}
	for _, want := range []string{"3 runs of each", "multipath-tcp  not run: no kernel for it", "run 2: too slow"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not said: %q\n%s", want, &out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c drill.Contest
	if err := json.Unmarshal(text, &c); err != nil || c.Runs != 3 || len(c.Rivals) != 3 {
		t.Errorf("%v: %s", err, text)
	}
}
