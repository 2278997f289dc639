package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holdfast/drill"
)

// runContest compares ways to use two carriers.
func runContest(cmd *cobra.Command, f *drillFlags) error {
	if err := withoutFleet(cmd); err != nil {
		return badUsage(cmd, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", drill.ContestName, drill.ContestStory)
	c, err := f.compete(cmd.Context(), f.runs, versionOf().Version)
	if err != nil {
		return fmt.Errorf("drill %s: %w", drill.ContestName, err)
	}
	printContest(words(cmd, f.json), c)
	if f.report != "" {
		page, err := drill.ReportContest(c)
		if err != nil {
			return err
		}
		if err := writeFile(f.report, page); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "report: %s\n", f.report)
	}
	return verdict(cmd, f.json, c, c.Passed())
}

// fleetFlags mean nothing where there is no fleet.
var fleetFlags = []string{"seed", "sites", "shards", "carriers", "rate", "duration", "rounds", "rtt", "busy", "keep"}

// withoutFleet refuses flags that would not do anything.
func withoutFleet(cmd *cobra.Command) (err error) {
	for _, name := range fleetFlags {
		if cmd.Flags().Changed(name) {
			err = errors.Join(err, fmt.Errorf("--%s means nothing here: %s has no fleet", name, drill.ContestName))
		}
	}
	return err
}

// competitor is drill.Compete, but in tests.
type competitor func(ctx context.Context, runs int, version string) (*drill.Contest, error)

func printContest(w io.Writer, c *drill.Contest) {
	p := paintFor(w)
	fmt.Fprintf(w, "\n%s\n", p.bold(fmt.Sprintf("%s messages, one every %g ms, over %s; carrier 1 is cut for %.0f ms; %s of each",
		thousands(c.Messages), c.EveryMs, c.Ground, c.CutMs, plural(c.Runs, "run"))))
	for i := range c.Rivals {
		r := &c.Rivals[i]
		if r.Skipped != "" {
			fmt.Fprintf(w, "  %-14s not run: %s\n", r.Name, r.Skipped)
			continue
		}
		fmt.Fprintf(w, "  %-14s longest gap: median %s, worst %.1f ms   99 of 100 in %.1f ms   the slowest in %.1f ms   %d missing\n", r.Name,
			p.bold(fmt.Sprintf("%.1f ms", r.Gap.Median)), r.Gap.Worst, r.P99.Median, r.Max, r.Missing)
	}
	mark := p.good(" PASS ")
	if !c.Passed() {
		mark = p.alarm(" FAIL ")
	}
	fmt.Fprintf(w, "\n  %s  %s\n", mark, c.Scenario)
	for _, reason := range c.Reasons {
		fmt.Fprintf(w, "    %s\n", reason)
	}
	fmt.Fprintln(w)
}
