package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/bench"
	"holdfast/site"
)

func newBench() *cobra.Command {
	var o bench.Options
	var file string
	cmd := &cobra.Command{
		Use:   "bench NAME",
		Short: "Measure this machine: the ledger, payments committed and over HTTP, restarts, a long history",
		Long: `Measure what the platform can do on this machine.

  ledger   the ledger alone, on one core: entries applied in memory
  commit   payments on disk: on one site, and on three (processes on this machine); in batches of 8,000, and one per call
  shards   the same on three sites with 1, 2, 4 and 8 shards: the curve (4 million transfers in each batch case)
  crossing how long a payment from one shard to another takes, in round trips of 10 ms between three sites, beside one within a shard
  idle     the processor time of three sites with 64 shards in which nothing happens
  http     payments over HTTP on three sites, with the load generator on the same machine
  pay      payments of people on three sites: trades made and paid over the native API, with few merchants and customers and with many, and
           over Alipay's gateway, beside how often this machine can sign (RSA-2048); a day of 10,000 merchants and a million trades settled
           beside payments; events delivered to webhooks
  restart  a site with 10 million accounts is killed with SIGKILL, under full load and with a million log entries since its last
           checkpoint; how long it takes to come back, reading from the disk, how much memory it has, and whether what it had
           acknowledged, a sample of the balances and the trial balance are right
  history  100 million transfers at one site: look-ups by id over all of it, memory, disk, how long checkpoints stop payments, and
           a restart; it refuses when there is not enough space (300 bytes a transfer)

A bench looks a sample of the ids up when it ends, and fails if one is missing or not as it was acknowledged. Nothing else
should run meanwhile.

Cases: ` + caseList(),
		Example: `  holdfast bench ledger --only apply-10k --transfers 200000
  holdfast bench commit --only 1-site-batch,1-site-single --transfers 200000 --length 1s
  holdfast bench commit --json out/bench-commit.json
  holdfast bench commit --only 3-site-mixed
  holdfast bench commit --only 3-site-single --shards 8
  holdfast bench shards --json out/bench-shards.json
  holdfast bench crossing --length 2s
  holdfast bench idle --shards 64 --json out/bench-idle.json
  holdfast bench http --length 1s --json -
  holdfast bench pay --json out/bench-pay.json
  holdfast bench pay --only 3-site-pay --merchants 5 --customers 50 --length 300ms
  holdfast bench restart --json out/bench-restart.json
  holdfast bench restart --accounts 2000 --entries 2000 --length 2s
  holdfast bench history --json out/bench-history.json
  holdfast bench history --transfers 400000 --length 1s`,
		Args:      one("bench", bench.Names()...),
		ValidArgs: bench.Names(),
		RunE:      func(cmd *cobra.Command, args []string) error { return runBench(cmd, args[0], &o, file) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Only, "only", nil, "`CASES` to measure, separated by commas")
	flags.IntVar(&o.Transfers, "transfers", 0, "`N` transfers in the cases that count them; by default 20 million, for history 100 million, for settle a million trades")
	flags.DurationVar(&o.Length, "length", 0, "how long the cases take that take a time (`D` like 5s); by default 10s")
	flags.IntVar(&o.Shards, "shards", 0, "`N` shards of the fleets of commit, http, pay, crossing and idle; by default 1, for crossing 8, for idle 64")
	flags.IntVar(&o.Callers, "callers", 0, "`N` callers of single payments; by default 256, over HTTP 128")
	flags.IntVar(&o.Merchants, "merchants", 0, "`N` merchants of the bench pay; by default 100, in its cases of many and of settlement 10,000, in others fewer")
	flags.IntVar(&o.Customers, "customers", 0, "`N` customers of the bench pay; by default 5,000, with 3-site-pay-many a million")
	flags.IntVar(&o.Accounts, "accounts", 0, "`N` accounts of the site that restarts; by default 10 million")
	flags.IntVar(&o.Entries, "entries", 0, "`N` log entries since the last checkpoint of the site that restarts; by default 1 million")
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
	_ = setNice(callerNice) // as the sites that it starts, or it would measure how long it waits for them to be done
	_ = easeMonitor()       // the same
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
		fmt.Fprintf(w, "%-18s %12s %10.3f %10.3f %9.2f%s\n", r.Name, thousands(int(r.PerS)), r.P50, r.P99, r.Seconds, found(r.Config))
	}
	return errors.Join(err, writeJSON(cmd, file, report))
}

// newBenchSite is the site that "bench restart" kills. It is a command, because it has to be a process of its own.
func newBenchSite() *cobra.Command {
	var v bench.Victim
	var file string
	cmd := &cobra.Command{
		Use:    "bench-site",
		Short:  "Be the site that a bench kills",
		Hidden: true,
		Long: `Be the site that "holdfast bench restart" kills: with --open make accounts and a checkpoint and end; otherwise commit payments
until standard input ends or somebody kills it. It tells what it has acknowledged on standard output, a line of JSON each.`,
		Example: `  holdfast bench-site --config hangzhou.toml --accounts 1000 --open`,
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := site.Load(file)
			if err != nil {
				return badUsage(cmd, err)
			}
			return v.Live(cmd.Context(), cfg, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "TOML `FILE` that configures the site")
	cmd.Flags().IntVar(&v.Accounts, "accounts", 1000, "`N` accounts that it has or makes")
	cmd.Flags().IntVar(&v.Entries, "entries", 0, "`N` log entries of one payment each to make without a checkpoint; 0: batches, with checkpoints")
	cmd.Flags().BoolVar(&v.Open, "open", false, "make the accounts and a checkpoint, and end")
	return cmd
}

// newBenchCallers is who pays while a bench has a site in its own process.
func newBenchCallers() *cobra.Command {
	var c bench.Callers
	return &cobra.Command{
		Use:    "bench-callers",
		Short:  "Pay as standard input says",
		Hidden: true,
		Long: `Be the people who pay in "holdfast bench pay": standard input says how, a line of JSON, and standard output tells what came of it. It stops
when standard input ends.`,
		Example: `  holdfast bench-callers`,
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = setNice(callerNice)
			_ = easeMonitor()
			return c.Live(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// found tells what a case found besides its times.
func found(config map[string]any) string {
	switch {
	case config["sampled"] != nil:
		return fmt.Sprintf("   %v of %v looked up found", config["found"], config["sampled"])
	case config["cpu_percent_of_one_core"] != nil:
		return fmt.Sprintf("   %v %% of one core for %v shards", config["cpu_percent_of_one_core"], config["shards"])
	case config["p50_round_trips"] != nil:
		return fmt.Sprintf("   half within %v round trips", config["p50_round_trips"])
	}
	return ""
}
