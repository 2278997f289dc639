package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"holdfast/sim"
)

type simFlags struct {
	seeds, steps  int
	seed          uint64
	trace, pebble bool
	calm, rot     bool
	unrest, moves bool
	slots         bool
	sites, shards int
	births, sick  bool
	trades        bool
	json          string
}

func newSim() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Simulate whole fleets in virtual time, each from one seed, under every fault at once",
		Long: `Simulate whole fleets: the code of the replicas as it is, on a network that loses, doubles, reorders and cuts, on disks
that forget what was not fsynced, with processes that crash. Every invariant is checked after every step. The same seed
gives the same run, byte for byte; a seed that fails prints how to run it again.`,
		Example: "  holdfast sim --seeds 20\n  holdfast sim --seed 7\n  holdfast sim --seed 7 --trace",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return simulate(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.seeds, "seeds", 1, "`N` fleets, with seeds from --seed on")
	flags.Uint64Var(&f.seed, "seed", 1, "the first seed, `N`")
	flags.BoolVar(&f.trace, "trace", false, "print every event of a single run")
	flags.BoolVar(&f.calm, "calm", false, "no faults at all")
	flags.BoolVar(&f.rot, "rot", false, "no fault but a stored checkpoint that was altered")
	flags.BoolVar(&f.unrest, "unrest", false, "no faults but those around elections")
	flags.BoolVar(&f.moves, "moves", false, "no faults but crashes, cuts, and disks and sites that come and go")
	flags.BoolVar(&f.sick, "sick", false, "no faults but sites that are sick and go on: slow disk, starved, losing frames, answering only some")
	flags.BoolVar(&f.pebble, "pebble", false, "store with the real engine on a disk in memory: slower")
	flags.IntVar(&f.sites, "sites", 0, "`N` sites, 3 or 5; 0: drawn from the seed")
	flags.IntVar(&f.shards, "shards", 0, "`N` shards; 0: drawn from the seed")
	flags.BoolVar(&f.slots, "slots", false, "slots move between the shards; with --shards 2 or 3")
	flags.BoolVar(&f.births, "births", false, "the last shard is born while the others are at work; with --shards 2 or 3")
	flags.BoolVar(&f.trades, "trades", false, "merchants and customers trade; with --shards 2 or 3")
	flags.IntVar(&f.steps, "steps", 0, "`N` events with faults; 0: drawn from the seed")
	jsonFlag(cmd, &f.json)
	return cmd
}

type simResult struct {
	Runs    int       `json:"runs"`
	Failed  []simFail `json:"failed"`
	Seconds float64   `json:"seconds"`
}

type simFail struct {
	Seed      uint64 `json:"seed"`
	Invariant string `json:"invariant"`
	Failure   string `json:"failure"`
}

func simulate(cmd *cobra.Command, f *simFlags) error {
	if f.seeds < 1 {
		return badUsage(cmd, fmt.Errorf("--seeds %d: simulate one fleet or more", f.seeds))
	}
	if f.trace && f.seeds != 1 {
		return badUsage(cmd, errors.New("--trace is for a single seed: leave --seeds out"))
	}
	o := sim.Options{Sites: f.sites, Shards: f.shards, Steps: f.steps, Slots: f.slots, Births: f.births, Trades: f.trades, Calm: f.calm, Rot: f.rot, Unrest: f.unrest, Moves: f.moves, Sick: f.sick}
	if f.pebble {
		o.Disk = sim.PebbleDisk
	}
	w := words(cmd, f.json)
	if f.trace {
		o.Trace = w
	}
	began, last := time.Now(), time.Now()
	done := 0
	sum := sim.RunMany(cmd.Context(), f.seed, f.seeds, o, func(r sim.Result) bool {
		if done++; time.Since(last) > time.Second {
			last = time.Now()
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d fleets, %.0f a second\n", done, f.seeds, float64(done)/time.Since(began).Seconds())
		}
		if !r.OK || f.seeds == 1 {
			fmt.Fprintln(w, r)
		}
		return true
	})
	fmt.Fprintf(w, "%d fleets from seed %d: %d failed, in %.1f s\n", sum.Runs, f.seed, len(sum.Failed), time.Since(began).Seconds())
	if sum.Runs < f.seeds {
		return fmt.Errorf("ended after %d of %d fleets: %w", sum.Runs, f.seeds, cmd.Context().Err())
	}
	out := simResult{Runs: sum.Runs, Failed: []simFail{}, Seconds: time.Since(began).Seconds()}
	for _, r := range sum.Failed {
		out.Failed = append(out.Failed, simFail{r.Seed, r.Invariant, r.Failure})
	}
	return verdict(cmd, f.json, out, len(sum.Failed) == 0)
}
