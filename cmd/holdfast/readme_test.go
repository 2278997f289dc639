package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"holdfast/bench"
)

// TestReadmeQuickStart does what the README tells a newcomer, word for word but for the port, and looks at the answers.
func TestReadmeQuickStart(t *testing.T) {
	t.Parallel() // it waits for others most of the time
	script := shellOf(t, "quick-start") + "\n" + shellOf(t, "safe")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	binary, err := exec.LookPath("holdfast")
	if err != nil {
		t.Fatal(err)
	}
	address, key := startSite(ctx, t, binary)
	shell := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(script, "http://127.0.0.1:8080", address))
	shell.Env, shell.Dir = append(os.Environ(), "HOLDFAST_KEY="+key), t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(shell.Dir, "bin"), 0o700), os.Symlink(binary, filepath.Join(shell.Dir, "bin", "holdfast"))); err != nil {
		t.Fatal(err)
	}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the quick start failed: %v\n%s", err, out)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, want := range []string{
		`"status":"done"`, `"status":"done"`, `"status":"done"`, // three accounts
		`"replay":false`, `"replay":false`, `"replay":true`, // funded, paid, paid again
		`"0190f3c6-2a3b-7c4d-8e5f-001122334455","status":"done"`, `"status":"done"`, // held, posted
		`"balance":6750,"available":6750`, // 100.00 less 12.50 less 20.00
		`"amount":2000`, `"ok":true,"balanced":true`,
		`"status":"done"`, `SAFE   The payment is safe`, // and what the receipt says of it, below
	} {
		if i >= len(answers) || !strings.Contains(answers[i], want) {
			t.Errorf("answer %d does not hold %s; the answers are:\n%s", i+1, want, out)
		}
	}
	for _, want := range []string{"on the disks of 1 of the 1 sites that vote", "5.00 CNY from 2088000000020108.wallet.CNY", "SAFE   The payment was made"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing says %q; the answers are:\n%s", want, out)
		}
	}
}

// shellOf cuts the shell block out of the README that follows a mark.
func shellOf(t *testing.T, mark string) string {
	t.Helper()
	return blockOf(t, mark, "sh")
}

// blockOf cuts the block of a language out of the README that follows a mark.
func blockOf(t *testing.T, mark, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "<!-- "+mark+":")
	_, rest, opened := strings.Cut(rest, "```"+language+"\n")
	script, _, closed := strings.Cut(rest, "\n```")
	if !found || !opened || !closed {
		t.Fatalf("the README has no block of %s after its mark %s", language, mark)
	}
	return script
}

var (
	addressLine = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	keyLine     = regexp.MustCompile(`export HOLDFAST_KEY=(hf_\S+)`)
)

// startSite runs `holdfast serve` on a free port until the test ends, and reads address and key from what it prints.
func startSite(ctx context.Context, t *testing.T, binary string) (address, key string) {
	serve := exec.CommandContext(ctx, binary, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait() // the process was told to stop: how it says so is another test's matter
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address == "" {
			address = addressLine.FindString(lines.Text())
		}
		if m := keyLine.FindStringSubmatch(lines.Text()); m != nil {
			return address, m[1]
		}
	}
	t.Fatal("serve ended without printing a key")
	return "", ""
}

// TestReadmeRunForReal does what the README says under "Run it for real", line by line, as the operator of three sites would whose
// addresses happen to be on this machine.
func TestReadmeRunForReal(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFleetOf(ctx, t)
	edits := operatorsOf(t, f)
	var printed, section string
	for line := range strings.Lines(shellOf(t, "run-for-real")) {
		line, _, _ = strings.Cut(strings.ReplaceAll(strings.TrimSpace(line), "bin/holdfast", "holdfast"), " #")
		line = strings.TrimSpace(line)
		args := strings.Fields(edits[1].Replace(line))[1:]
		switch {
		case strings.HasPrefix(line, "holdfast serve --print-config"):
			printed = f.operate(args[:len(args)-2]...)
		case strings.HasPrefix(line, "holdfast key"):
			out := f.operate(args...)
			f.key = shownKey.FindString(out)
			section = out[strings.Index(out, "[[api_key]]"):]
		case strings.HasPrefix(line, "holdfast serve --config"):
			for n := 1; n <= 3; n++ {
				f.serve(n, edits[n].Replace(printed+"\n"+section))
			}
		case strings.HasPrefix(line, "export HOLDFAST_KEY="):
			f.env = append(f.env, "HOLDFAST_KEY="+f.key)
		case strings.HasPrefix(line, "holdfast status"), strings.HasPrefix(line, "holdfast audit"):
			f.untilGood(args)
		default:
			f.operate(args...)
		}
	}
	if len(f.running) != 3 || len(f.env) != 1 {
		t.Errorf("%d sites run, with %d keys", len(f.running), len(f.env))
	}
}

var shownKey = regexp.MustCompile(`hf_[a-z2-7]{8}_[a-z2-7]{32}`)

// operatorsOf are the edits that make the configuration of the first site that of each: its own number, name, directory, and addresses.
func operatorsOf(t *testing.T, f *fleetOf) map[int]*strings.Replacer {
	var links, seconds, urls [4]string
	for n := 1; n <= 3; n++ {
		links[n], seconds[n], urls[n] = freeLoopback(t), freeLoopback(t), freeLoopback(t)
	}
	edits := map[int]*strings.Replacer{}
	for own := 1; own <= 3; own++ {
		list := []string{"holdfast-data", filepath.Join(f.dir, fmt.Sprint("data-", own)), "pki", filepath.Join(f.dir, "pki")}
		for n := 1; n <= 3; n++ {
			now := n // sites 1 and own change places
			switch n {
			case 1:
				now = own
			case own:
				now = 1
			}
			list = append(list, fmt.Sprintf("10.0.0.%d:7001", n), links[now], fmt.Sprintf("10.1.0.%d:7001", n), seconds[now], fmt.Sprintf("10.0.0.%d:8080", n), urls[now],
				fmt.Sprintf("site-%d", n), fmt.Sprintf("site-%d", now), fmt.Sprintf("\nsite = %d\n", n), fmt.Sprintf("\nsite = %d\n", now))
		}
		edits[own] = strings.NewReplacer(list...)
	}
	return edits
}

// untilGood repeats a command until it ends well: the sites have to find each other first.
func (f *fleetOf) untilGood(args []string) {
	f.t.Helper()
	var last error
	f.until(strings.Join(args, " "), func() error {
		cmd := exec.CommandContext(f.ctx, "holdfast", args...)
		cmd.Env = append(os.Environ(), f.env...)
		out, err := cmd.CombinedOutput()
		if f.ctx.Err() != nil {
			return last // what it said before it was killed
		}
		if last = err; err != nil {
			last = fmt.Errorf("%w: %s", err, out)
		}
		return last
	})
}

// operate runs a command to its end, and gives what it says.
func (f *fleetOf) operate(args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.ctx, "holdfast", args...)
	cmd.Dir = f.dir
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("holdfast %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestReadmeCommands makes sure that every command line of the README is one, that the table of comparison is a table, and that what its
// rows say can be measured again by what follows it.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	found := 0
	for line := range strings.Lines(readme) {
		line, _, _ = strings.Cut(line, "#")
		for command := range strings.SplitSeq(line, "&&") {
			command = strings.TrimPrefix(strings.TrimSpace(command), "sudo ")
			args, _, _ := strings.Cut(command, " > ")
			if rest, ok := strings.CutPrefix(args, "bin/holdfast "); ok {
				parses(t, command, strings.Fields(rest))
				found++
			}
		}
	}
	if found < 40 {
		t.Errorf("the README has %d command lines, they were more", found)
	}
	_, rest, _ := strings.Cut(readme, "## How it compares")
	_, rest, _ = strings.Cut(rest, "\n| |")
	table, rest, _ := strings.Cut(rest, "\n\n")
	for row := range strings.SplitSeq("| |"+table, "\n") {
		if strings.Count(row, "|") != 4 || !strings.HasSuffix(row, "|") {
			t.Errorf("not a row of three columns: %s", row)
		}
	}
	_, rest, _ = strings.Cut(rest, "```sh\n")
	again, _, _ := strings.Cut(rest, "\n```")
	for _, name := range bench.Names() {
		if !strings.Contains(again, "bench "+name) {
			t.Errorf("nothing says how to repeat bench %s", name)
		}
	}
	for _, what := range []string{
		"1-site-mixed,3-site-mixed", "site-cut", "leader-handover", "rolling-restart", "slot-move", "shard-split", "shard-split-kill",
		"carrier-cut", "busy-machine --duration 30m", "carrier-rivals",
	} {
		if !strings.Contains(again, what) {
			t.Errorf("nothing says how to repeat %s", what)
		}
	}
}
