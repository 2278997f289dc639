package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
	"holdfast/httpapi"
)

// goodDrill is a program that behaves as a drill does: progress on standard error, a report on standard output.
const goodDrill = `
echo '{"line":"starting 3 sites"}' >&2
echo '{"now":{"phase":"silence","paying":true,"elapsed_s":1.5,"length_s":14,"payments":{"attempted":9,"acknowledged":8,"refused":0,"unknown_at_deadline":0},"rates":[400],"sites":[{"name":"Hangzhou","state":"cut off","leads":3}]}}' >&2
echo '{"checks":[{"name":"The books balance","detail":"at 3 sites","ok":true}]}' >&2
echo "words for people" >&2
echo '{"scenario":"site-cut","seed":7,"faults":[{"kind":"site-cut","target":"hangzhou","pause_ms":190}],"verdict":"pass","reasons":[]}'
`

// scripted runs a shell script instead of drills.
func scripted(t *testing.T, script string) *drillRuns {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "drill.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := newDrillRuns(filepath.Join(dir, "drills"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.program, d.prefix, d.grace = "/bin/sh", []string{file}, 200*time.Millisecond
	d.pipes = 100 * time.Millisecond
	d.known = func() []httpapi.Drill {
		return []httpapi.Drill{{Name: "site-cut", Takes: 40}, {Name: "no-node", Missing: "Node is missing"}}
	}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func drillID(n byte) holdfast.ID { return holdfast.NewID(1, [10]byte{9: n}) }

func (d *drillRuns) started(t *testing.T, n byte) httpapi.DrillRun {
	t.Helper()
	r, fresh, err := d.Start(httpapi.DrillOrder{ID: drillID(n), Drill: "site-cut", Seed: 7, By: "ops"})
	if err != nil || !fresh || r.State != "running" {
		t.Fatalf("%+v, fresh %t, %v", r, fresh, err)
	}
	return r
}

// until waits for something that a run comes to.
func (d *drillRuns) until(t *testing.T, id, what string, ok func(*httpapi.DrillRun) bool) httpapi.DrillRun {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		r, found := d.Run(id)
		if found && ok(&r) {
			return r
		}
		if !found || time.Now().After(end) {
			t.Fatalf("waited for %s of a run: it is %+v", what, r)
		}
	}
}

func (d *drillRuns) ended(t *testing.T, id string) httpapi.DrillRun {
	t.Helper()
	return d.until(t, id, "the end", func(r *httpapi.DrillRun) bool { return r.Ended != "" })
}

// nothingLeft insists that there is nothing of runs on the disk but their reports.
func (d *drillRuns) nothingLeft(t *testing.T) {
	t.Helper()
	files, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			t.Errorf("%s is left behind", f.Name())
		}
	}
	if len(files) > drillsKept {
		t.Errorf("%d reports are kept", len(files))
	}
}

func TestDrillRunsToItsReport(t *testing.T) {
	t.Parallel()
	d := scripted(t, `echo x > "$TMPDIR/rubbish"; echo "{\"line\":\"$*\"}" >&2`+goodDrill)
	run := d.started(t, 1)
	r := d.ended(t, run.ID)
	if r.State != "done" || r.Verdict != "pass" || r.Report == nil || r.Report.Faults[0].Pause != 190 || r.Why != "" || r.By != "ops" {
		t.Errorf("%+v", r)
	}
	if r.Now == nil || r.Now.Payments.Acknowledged != 8 || r.Now.Sites[0].State != "cut off" || len(r.Checks) != 1 || !r.Checks[0].OK {
		t.Errorf("what was seen: %+v, %+v", r.Now, r.Checks)
	}
	if len(r.Lines) != 2 || r.Lines[0].Text != "drill run site-cut --seed 7 --json - --progress json" || r.Lines[1].Text != "starting 3 sites" {
		t.Errorf("what has happened: %+v", r.Lines)
	}
	d.nothingLeft(t)

	again, fresh, err := d.Start(httpapi.DrillOrder{ID: drillID(1), Drill: "site-cut", Seed: 7, By: "ops"})
	if err != nil || fresh || again.State != "done" {
		t.Errorf("the same order again: %+v, fresh %t, %v", again, fresh, err)
	}
	for _, o := range []httpapi.DrillOrder{{ID: drillID(1), Drill: "site-cut", Seed: 8}, {ID: drillID(2), Drill: "nonsense"}, {ID: drillID(2), Drill: "no-node"}} {
		if _, _, err := d.Start(o); err == nil {
			t.Errorf("%+v was started", o)
		}
	}
	d.close()
	if _, _, err := d.Start(httpapi.DrillOrder{ID: drillID(2), Drill: "site-cut"}); !errors.Is(err, httpapi.ErrDrillsClosed) {
		t.Errorf("started although the site is stopping: %v", err)
	}

	later, err := newDrillRuns(d.dir, slog.New(slog.DiscardHandler))
	if err == nil {
		err = later.open()
	}
	if kept, ok := later.Run(run.ID); err != nil || !ok || !reflect.DeepEqual(kept, r) {
		t.Errorf("after a restart: %+v, %v; it was %+v", kept, err, r)
	}
}

// TestDrillsThatMisbehave: whatever the program does, the run ends, says why, and leaves no process and no file.
func TestDrillsThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script      string
		longest     time.Duration
		state, why  string
		stop, close bool
	}{
		"dies":                      {script: `echo "holdfast: no disk" >&2; exit 3`, state: "broken", why: "exit status 3: holdfast: no disk"},
		"is killed":                 {script: `kill -9 $$`, state: "broken", why: "signal: killed"},
		"ends without a report":     {script: `exit 0`, state: "broken", why: "without a report"},
		"says it has failed":        {script: `echo rubbish; exit 1`, state: "broken", why: "exit status 1"},
		"reports something else":    {script: `echo '{"scenario":"all-kill","verdict":"pass"}'`, state: "broken", why: "not one of this drill"},
		"reports more than we know": {script: `echo '{"scenario":"site-cut","verdict":"pass","extra":1}'`, state: "broken", why: "without a report"},
		"has no verdict":            {script: `echo '{"scenario":"site-cut","verdict":"maybe"}'`, state: "broken", why: "not one of this drill"},
		"fails":                     {script: `echo '{"scenario":"site-cut","verdict":"fail","reasons":["lost"]}'; exit 1`, state: "done"},
		"hangs":                     {script: `exec sleep 600`, longest: 100 * time.Millisecond, state: "broken", why: "not over in time"},
		"hangs and is stopped":      {script: `exec sleep 600`, state: "stopped", why: "somebody", stop: true},
		"ignores SIGTERM":           {script: `trap "" TERM; while :; do sleep 600; done`, state: "stopped", why: "somebody", stop: true},
		"outlives the site":         {script: `trap "" TERM; while :; do sleep 600; done`, state: "stopped", why: "the site", close: true},
		"floods its report":         {script: `exec cat /dev/zero`, state: "broken", why: "more than a drill has to say"},
		"floods its progress":       {script: `exec cat /dev/zero >&2`, state: "broken", why: "more than a drill has to say"},
		"has children":              {script: `sleep 600 & echo "{\"line\":\"child $!\"}" >&2; wait`, state: "stopped", why: "somebody", stop: true},
		"leaves children":           {script: `sleep 600 <&- >&- 2>&- & echo "{\"line\":\"child $!\"}" >&2; exit 4`, state: "broken", why: "exit status 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := scripted(t, `echo '{"line":"begun"}' >&2; echo x > "$TMPDIR/rubbish"; `+row.script)
			if row.longest > 0 {
				d.longest = row.longest
			}
			run := d.started(t, 1)
			if row.stop || row.close {
				d.until(t, run.ID, "its first word", func(r *httpapi.DrillRun) bool { return len(r.Lines) > 0 })
			}
			if row.stop {
				if r, ok := d.Stop(run.ID); !ok || r.State != "stopping" && r.Ended == "" {
					t.Errorf("told to stop: %+v", r)
				}
			}
			if row.close {
				d.close()
			}
			r := d.ended(t, run.ID)
			if r.State != row.state || !strings.Contains(r.Why, row.why) || row.why == "" && r.Why != "" {
				t.Errorf("%+v", r)
			}
			for _, l := range r.Lines {
				if pid, ok := strings.CutPrefix(l.Text, "child "); ok {
					endsNow(t, pid)
				}
			}
			if _, _, err := d.Start(httpapi.DrillOrder{ID: drillID(2), Drill: "site-cut"}); err != nil && !row.close {
				t.Errorf("the next one: %v", err)
			}
			d.close()
			d.nothingLeft(t)
		})
	}
}

// endsNow insists that a process ends now; one that nobody waits for may be a shadow of itself still.
func endsNow(t *testing.T, text string) {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil && syscall.Kill(pid, 0) != nil || bytes.Contains(state, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func TestOneDrillAtATimeAndSoManyReports(t *testing.T) {
	t.Parallel()
	d := scripted(t, `[ -e "$0.go" ] || exec sleep 600`+goodDrill)
	first := d.started(t, 0)
	if _, _, err := d.Start(httpapi.DrillOrder{ID: drillID(1), Drill: "site-cut"}); !errors.Is(err, httpapi.ErrDrillBusy) {
		t.Errorf("a second one at once: %v", err)
	}
	d.Stop(first.ID)
	d.ended(t, first.ID)
	if err := os.WriteFile(d.prefix[0]+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range byte(drillsKept + 2) {
		d.ended(t, d.started(t, n+1).ID)
	}
	list := d.Runs()
	if len(list) != drillsKept || list[0].ID != drillID(drillsKept+2).String() || list[0].Report != nil || list[0].Verdict != "pass" {
		t.Errorf("%d runs, first %+v", len(list), list[0])
	}
	if _, ok := d.Run(first.ID); ok {
		t.Error("the first of too many is still there")
	}
	d.nothingLeft(t)
}

// TestDrillSaysTooMuch: what is kept of progress has a bound, however much there is and whatever it looks like.
func TestDrillSaysTooMuch(t *testing.T) {
	t.Parallel()
	d := scripted(t, "")
	r := &drillRun{}
	flooded := 0
	w := &drillWords{flood: func() { flooded++ }, said: func(l *progressLine) { d.note(r, l) }}
	write := func(text string) {
		if n, err := w.Write([]byte(text)); err != nil || n != len(text) {
			t.Fatal(n, err)
		}
	}
	for range 3 * maxDrillLines {
		write(`{"line":"` + strings.Repeat("漢", 400) + "\"}\n")
	}
	write(`{"line":"` + strings.Repeat("x", maxDrillLine) + "\"}\n" + `{"line":"the last`)
	write("\x1b[2J\tone\"}\n{\"line\":\"\\u001b[2Jred\"}\n{broken\n")
	if len(r.Lines) != maxDrillLines || len(r.Lines[0].Text) > 3*maxDrillText+3 {
		t.Errorf("%d lines, the first of %d bytes", len(r.Lines), len(r.Lines[0].Text))
	}
	if last := r.Lines[len(r.Lines)-1].Text; strings.ContainsRune(last, 0x1b) || !strings.Contains(last, "red") {
		t.Errorf("the last line is %q", last)
	}
	if !strings.Contains(w.last(), "{broken") {
		t.Errorf("words for people: %q", w.last())
	}
	big, err := json.Marshal(progressLine{Now: &httpapi.DrillNow{Phase: strings.Repeat("x", 9999), Rates: make([]float64, 9999), Faults: make([]httpapi.DrillFault, 200)}})
	if err != nil {
		t.Fatal(err)
	}
	write(string(big) + "\n")
	if r.Now == nil || len(r.Now.Phase) > maxDrillText+3 || len(r.Now.Rates) != maxDrillRates || len(r.Now.Faults) != maxDrillFaults {
		t.Errorf("%+v", r.Now)
	}
	if _, err := w.Write(make([]byte, maxDrillProgress)); err == nil || flooded != 1 {
		t.Errorf("a flood: %v, told %d times", err, flooded)
	}
}

// TestReportsAreWhatDrillsWrite: the API and its client know every member of the report that drill run writes, and no other.
func TestReportsAreWhatDrillsWrite(t *testing.T) {
	t.Parallel()
	result := drill.Result{
		Scenario: "site-cut", Seed: 1, Sites: 3, Shards: 8, Carriers: 2, RTTMillis: 10, Input: "x", Payments: drill.Payments{Attempted: 1, Acknowledged: 2, Refused: 3, Unknown: 4},
		Lost: 1, Duplicated: 2, Altered: 3, BooksBalanced: true, ReplicasAgree: true, Linearizable: true, Latency: drill.Latency{P50: 1, P99: 2, P999: 3, Max: 4},
		Faults:  []drill.FaultResult{{Kind: "k", Target: "t", AtMillis: 1, HealedMillis: 2, PauseMillis: 3, FailedRequests: 4, LeaderChanges: 5}},
		Verdict: "fail", Reasons: []string{"r"},
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	report, err := reportIn(text, "site-cut")
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ReadDrillReports(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{report, list[0]} {
		if back, err := json.Marshal(v); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%T: %s\nis not %s: %v", v, back, text, err)
		}
	}
}

func TestKnownDrills(t *testing.T) {
	t.Parallel()
	list := knownDrills()
	if len(list) != len(drill.Scenarios())+1 || list[0].Name != "demo" {
		t.Fatalf("%d drills, the first is %s", len(list), list[0].Name)
	}
	for _, x := range list {
		if x.Story == "" || x.Sites < 3 || x.Shards < 1 || x.Carriers < 1 || x.Load < 5 || x.Takes <= x.Load || x.Bound < 50 || time.Duration(x.Takes)*time.Second > drillLongest/2 {
			t.Errorf("%+v", x)
		}
	}
}

func TestProgressIsForPrograms(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := &drillFlags{progress: "json"}
	s, err := f.newShower(&out)
	if err != nil {
		t.Fatal(err)
	}
	fault := drill.FaultView{Fault: drill.Fault{Kind: "site-cut", Target: "hangzhou", At: time.Second}, Pause: 190 * time.Millisecond}
	s.show(&drill.Snapshot{Phase: "silence", Changed: true, Running: true, Elapsed: 2 * time.Second, Sites: []drill.SiteView{{Name: "Hangzhou", Damage: drill.CutOff}}, Faults: []drill.FaultView{fault}})
	s.show(&drill.Snapshot{Phase: "silence", Running: true}) // too soon
	s.prove([]drill.Check{{Name: "The books balance", OK: true}})
	s.close()
	var lines []progressLine
	for line := range strings.Lines(out.String()) {
		var l progressLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if len(lines) != 4 || lines[0].Line != "silence" || lines[1].Line != "1.0 s  site-cut of Hangzhou begins" || lines[2].Now == nil || lines[2].Now.Faults[0].Pause != 190 ||
		lines[2].Now.Sites[0].State != "cut off" || len(lines[3].Checks) != 1 {
		t.Errorf("%s", out.String())
	}
	if _, err := (&drillFlags{progress: "xml"}).newShower(&out); err == nil {
		t.Error("another form was taken")
	}
}
