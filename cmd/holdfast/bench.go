package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/bench"
)

func newBench() *cobra.Command {
	var o bench.Options
	var file string
	cmd := &cobra.Command{
		Use:   "bench NAME",
		Short: "Measure this machine: the ledger alone, payments committed, payments over HTTP",
		Long: `Measure what the platform can do on this machine.

  ledger   the ledger alone, on one core: entries applied in memory
  commit   payments on disk: on one site, and on three (processes on this machine); in batches of 8,000, and one per call
  http     payments over HTTP on three sites, with the load generator on the same machine

A commit bench looks a sample of the ids up when it ends, and fails if one is missing. Nothing else should run meanwhile.

Cases: ` + caseList(),
		Example: `  holdfast bench ledger --only apply-10k --transfers 200000
  holdfast bench commit --only 1-site-batch,1-site-single --transfers 200000 --length 1s
  holdfast bench commit --json out/bench-commit.json
  holdfast bench commit --only 3-site-mixed
  holdfast bench http --length 1s --json -`,
		Args:      one("bench", bench.Names()...),
		ValidArgs: bench.Names(),
		RunE:      func(cmd *cobra.Command, args []string) error { return runBench(cmd, args[0], &o, file) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Only, "only", nil, "`CASES` to measure, separated by commas")
	flags.IntVar(&o.Transfers, "transfers", 0, "`N` transfers in the cases that count them; by default 20 million")
	flags.DurationVar(&o.Length, "length", 0, "how long the cases take that take a time (`D` like 5s); by default 10s")
	flags.IntVar(&o.Callers, "callers", 0, "`N` callers of single payments; by default 256, over HTTP 128")
	flags.StringVar(&o.Dir, "dir", "", "`DIR` for what the sites store; by default the directory of temporary files")
	jsonFlag(cmd, &file)
	return cmd
}

func caseList() string {
	var all []string
	for _, name := range bench.Names() {
		all = append(all, strings.Join(bench.Cases(name), ", "))
	}
	return strings.Join(all, "; ")
}

func runBench(cmd *cobra.Command, name string, o *bench.Options, file string) error {
	if err := o.Check(name); err != nil {
		return badUsage(cmd, err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to start it as the sites: %w", err)
	}
	o.Program = program
	o.Say = func(what string) { fmt.Fprintln(cmd.ErrOrStderr(), "measuring", what) }
	report, err := bench.Run(cmd.Context(), name, *o)
	w := words(cmd, file)
	fmt.Fprintf(w, "%-18s %12s %10s %10s %9s\n", name, "per second", "p50 ms", "p99 ms", "seconds")
	for _, r := range report.Results {
		fmt.Fprintf(w, "%-18s %12s %10.3f %10.3f %9.2f%s\n", r.Name, thousands(int(r.PerS)), r.P50, r.P99, r.Seconds, sampled(r.Config))
	}
	return errors.Join(err, writeJSON(cmd, file, report))
}

// sampled tells how many of the ids that were looked up were found.
func sampled(config map[string]any) string {
	if config["sampled"] == nil {
		return ""
	}
	return fmt.Sprintf("   %v of %v looked up found", config["found"], config["sampled"])
}
