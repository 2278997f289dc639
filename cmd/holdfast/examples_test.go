package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// long are the examples that take longer than a test may: their command lines are parsed and checked, and not carried out.
// They take minutes; TestDemo runs a short one for real.
var long = map[string]string{
	"holdfast demo":        "a minute",
	"holdfast demo --open": "a minute, and a browser: TestDemo opens one that is none",
	"holdfast demo --json out/demo.json --report out/demo.html --open":                                                                  "a minute, and a browser",
	"holdfast drill run site-cut":                                                                                                       "half a minute",
	"holdfast drill run site-kill --seed 7 --rate 500 --json -":                                                                         "half a minute",
	"holdfast drill run site-cut --runs 8 --json out/site-cut.json":                                                                     "minutes",
	"holdfast safe 0190f3c6-2a3b-7c4d-8e5f-001122334455 --out receipt.json --keys keys.json":                                            "a payment: TestReadmeQuickStart runs it",
	"holdfast safe 2088000000030206/order-4711 --json -":                                                                                "a trade: TestReadmeQuickStart asks about a transaction",
	"holdfast check receipt.json --keys keys.json":                                                                                      "a payment: TestReadmeQuickStart runs it",
	"holdfast check out/evidence.json.gz":                                                                                               "TestDemo runs one",
	"holdfast check out/evidence.json.gz --ca pki/ca.crt --json -":                                                                      "TestDemo runs one",
	"holdfast drill run all --json out/drills.json --report out/drills.html --evidence out/evidence.json.gz":                            "minutes",
	"holdfast bench commit --json out/bench-commit.json":                                                                                "minutes, and gigabytes",
	"holdfast bench commit --only 3-site-mixed":                                                                                         "half a minute",
	"holdfast bench pay --json out/bench-pay.json":                                                                                      "minutes",
	"holdfast bench restart --json out/bench-restart.json":                                                                              "minutes, and gigabytes",
	"holdfast bench history --json out/bench-history.json":                                                                              "minutes, and 25 gigabytes",
	"holdfast site add 4 --name beijing --city beijing --address 10.0.0.4:7001 --address 10.1.0.4:7001":                                 "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site add 4 --name beijing --city beijing --address 10.0.0.4:7001 --address 10.1.0.4:7001 --apply 1f2e3d4c5b6a --wait 10m": "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site replace 3 --by 6 --name xian --city xian --address 10.0.0.6:7001":                                                    "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site replace 3 --by 6 --name xian --city xian --address 10.0.0.6:7001 --apply 1f2e3d4c5b6a":                               "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site retire 3":                                                  "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site retire 3 --apply 1f2e3d4c5b6a --wait 10m":                  "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site promote 7":                                                 "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site promote 7 --apply 1f2e3d4c5b6a --wait 1m":                  "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site demote 4":                                                  "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast site demote 4 --apply 1f2e3d4c5b6a --wait 1m":                   "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast shard rebuild 1 --site http://10.0.0.2:8080":                    "a fleet of three: TestSitesOfProcesses runs it",
	"holdfast shard move 300-349 --to 2":                                      "a fleet of several shards: the drill slot-move orders such moves",
	"holdfast shard move 7,300-349 --to 2 --apply 1f2e3d4c5b6a --wait 10m":    "a fleet of several shards: the drill slot-move orders such moves",
	"holdfast shard stay 300-349":                                             "a fleet of several shards: the drill slot-move orders such moves",
	"holdfast shard trust 1 --site http://10.0.0.1:8080":                      "replicas that differ: TestReplicasThatDifferAreDecidedByPeople runs it",
	"holdfast bench restart --accounts 2000 --entries 2000 --length 2s":       "TestBenchesOfProcesses runs it",
	"holdfast bench history --transfers 400000 --length 1s":                   "TestBenchesOfProcesses runs it",
	"holdfast drill run site-cut --sites 5":                                   "half a minute",
	"holdfast drill run carrier-rivals --runs 3 --report out/rivals.html":     "half a minute, and root",
	"holdfast shard split 1 --slots 500-999 --apply 1f2e3d4c5b6a --wait 10m":  "the id of a plan: TestShardIsSplitByProcesses runs it",
	"holdfast shard split 1 --cancel --wait 10m":                              "a split that is under way: TestShardIsSplitByProcesses runs it",
	"holdfast drill run carrier-cut --rounds 100 --json out/carrier-cut.json": "ten minutes",
	"holdfast drill run site-cut --shards 1 --carriers 1":                     "half a minute",
	"holdfast bench commit --only 3-site-single --shards 8":                   "half a minute",
	"holdfast bench shards --json out/bench-shards.json":                      "minutes",
	"holdfast testbank --listen 127.0.0.1:9200 --control 127.0.0.1:9201 --data testbank-data " +
		"--account 6222020000000000018:CNY:100000000": "it runs until it is stopped: TestTestBankSurvivesKill runs one",
	"holdfast bench idle --shards 64 --json out/bench-idle.json": "two minutes",
	"holdfast sandbox code":                                "a sandbox that runs: TestSandbox runs it",
	"holdfast bench-callers":                               "what to do, on standard input: TestBenchesOfProcesses runs it",
	"holdfast cases list":                                  "payments, and differences: TestCases runs it",
	"holdfast cases list --json -":                         "payments, and differences: TestCases runs it",
	"holdfast cases show 3f1c0a9be1d24be0a1b2c3d4e5f60718": "payments, and differences: TestCases runs it",
	"holdfast cases explain 3f1c0a9be1d24be0a1b2c3d4e5f60718 --why booked-twice-says-the-bank":          "payments, and differences: TestCases runs it",
	"holdfast cases close 3f1c0a9be1d24be0a1b2c3d4e5f60718 --why booked-twice-says-the-bank":            "payments, and differences: TestCases runs it",
	"holdfast sandbox pay --amount 8.88":                                                                "a sandbox that runs: TestSandbox runs it",
	"holdfast person add merchant 2088000000010420 --login lina@tea.example --name Lina --right manage": "a merchant: TestSandbox adds somebody to one",
	"holdfast person add customer 2088000000020108":                                                     "a customer: TestSandbox invites one",
	"holdfast person invite customer 2088000000020108":                                                  "a customer: TestSandbox invites one",
	"holdfast person list --merchant 2088000000010420":                                                  "a merchant: TestSandbox lists its people",
	"holdfast person remove merchant 2088000000010420 --id k3wz2v5q":                                    "a merchant: TestSandbox takes somebody away",
	"holdfast person password":                                                                          "an invitation: TestSandbox accepts one",
	"holdfast person password --site https://pay.example":                                               "an invitation: TestSandbox accepts one",
}

// TestHelpExamples executes every example of every --help, against a site that runs.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	program, err := exec.LookPath("holdfast")
	if err != nil {
		t.Fatal(err)
	}
	address, key := startSite(ctx, t, program)
	env := append(os.Environ(), "HOLDFAST_KEY="+key, "HOLDFAST_SITE="+address)
	config := runExample(ctx, t, program, dir, env, []string{"serve", "--print-config"})
	config = bytes.ReplaceAll(config, []byte("127.0.0.1:8080"), []byte("127.0.0.1:0"))
	config = bytes.ReplaceAll(config, []byte(`"holdfast-data"`), []byte(`"hangzhou-data"`))
	if err := os.WriteFile(filepath.Join(dir, "hangzhou.toml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	// A site that has run and stopped in the default directory, for the examples that look at one.
	quickest := serves(ctx, t, program, dir, env, []string{"serve"})
	used := map[string]bool{}
	eachExample(newRoot(), func(cmd *cobra.Command, line string) {
		args := strings.Fields(strings.ReplaceAll(line, address, "http://127.0.0.1:8080"))[1:]
		switch {
		case long[line] != "":
			used[line] = true
			parses(t, line, args)
		case cmd.Name() == "serve" && !strings.Contains(line, "print-config"):
			quickest = min(quickest, serves(ctx, t, program, dir, env, args))
		default:
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], localSite, address)
			}
			runExample(ctx, t, program, dir, env, args)
		}
	})
	if quickest > 3*time.Second { // each of them promises that; a busy machine keeps it now and then
		t.Errorf("a site took %v or more to be ready every time, 3 s is the limit", quickest)
	}
	for line := range long {
		if !used[line] {
			t.Errorf("%q is no example of any --help any more", line)
		}
	}
}

func eachExample(cmd *cobra.Command, do func(*cobra.Command, string)) {
	for line := range strings.Lines(cmd.Example) {
		if line = strings.TrimSpace(line); line != "" {
			do(cmd, line)
		}
	}
	for _, below := range cmd.Commands() {
		eachExample(below, do)
	}
}

func runExample(ctx context.Context, t *testing.T, program, dir string, env, args []string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if args[0] == "doctor" && cmd.ProcessState.ExitCode() == exitFailed && strings.Contains(out.String(), "disk-slow") {
		return out.Bytes() // it was right, and this machine is busy
	}
	if err != nil {
		t.Errorf("holdfast %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.Bytes()
}

// serves starts a site, waits for its greeting, asks it to stop, and insists on an end in order. It tells how long the greeting took.
func serves(ctx context.Context, t *testing.T, program, dir string, env, args []string) (took time.Duration) {
	t.Helper()
	listens := false
	for i := range args {
		listens = listens || args[i] == "--listen" || args[i] == "--config"
		args[i] = strings.Replace(args[i], "127.0.0.1:9090", "127.0.0.1:0", 1)
		args[i] = strings.Replace(args[i], "/tmp/books", filepath.Join(dir, "books"), 1)
	}
	if !listens {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	heard := newListener("takes payments")
	cmd.Stdout, cmd.Stderr = heard, heard
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard.done:
	case <-ctx.Done():
		t.Errorf("holdfast %s was not ready:\n%s", strings.Join(args, " "), heard)
	}
	took = time.Since(began)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("holdfast %s: %v\n%s", strings.Join(args, " "), err, heard)
	}
	return took
}

// parses checks a command line as cobra does before it runs the command.
func parses(t *testing.T, line string, args []string) {
	t.Helper()
	cmd, rest, err := newRoot().Find(args)
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %v", line, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: %v", line, err)
	}
}

// TestEveryCommandTeaches insists on a long text and, where a command does something, on examples.
func TestEveryCommandTeaches(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Long == "" || cmd.Short == "" {
			t.Errorf("%s does not say what it does", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(newRoot())
}
