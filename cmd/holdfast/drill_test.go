package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/drill"
)

// TestDrill runs a real drill on real processes: a site is cut off, and the result is the one other programs rely on.
func TestDrill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	report := filepath.Join(dir, "report.html")
	cmd := exec.CommandContext(ctx, "holdfast", "drill", "run", "site-cut", "--rate", "100", "--json", "-", "--report", report)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	errs := newListener("never said")
	cmd.Stderr = errs
	out, err := cmd.Output()
	var r drill.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	// How long the pause was is the machine's affair, and a busy one may be slow: that nothing was lost is not.
	if r.Lost+r.Duplicated+r.Altered != 0 || !r.BooksBalanced || !r.ReplicasAgree || !r.Linearizable || r.Payments.Acknowledged == 0 {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
	if len(r.Faults) != 1 || r.Faults[0].LeaderChanges == 0 {
		t.Errorf("the site that led was not replaced: %+v", r.Faults)
	}
	if _, err := os.Stat(report); err != nil {
		t.Error(err)
	}
	if left := sites(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// A drill that is killed takes its sites with it, and one that is interrupted says so and leaves nothing.
func TestADrillLeavesNothingBehind(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGKILL, syscall.SIGINT} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "holdfast", "drill", "run", "site-cut", "--rate", "50")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		heard := newListener("acknowledged")
		cmd.Stdout, cmd.Stderr = heard, heard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard.done:
		case <-ctx.Done():
			t.Fatalf("the drill did not come to its load:\n%s", heard)
		}
		if n := len(sites(t, dir)); n != 3 {
			t.Errorf("%d sites run, want 3", n)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
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
