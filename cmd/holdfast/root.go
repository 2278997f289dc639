package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "holdfast",
		Short: "A payment platform that keeps taking payments when a site fails, and can prove that it lost none",
		Long: `Holdfast is a double-entry ledger replicated over several sites that all work all the time. A payment is
acknowledged when it is on the disks of a majority of them.

See it survive:        holdfast demo
Use it:                holdfast serve, then http://127.0.0.1:8080/docs
Break it on purpose:   holdfast drill list
Measure it:            holdfast bench ledger
Ask a running one:     holdfast status, holdfast audit, holdfast doctor
Is my payment safe?    holdfast safe, holdfast check
Change its sites:      holdfast site list, add, replace, retire
Move its owners:       holdfast shard move, split

Exit status: 0 all is good; 1 what was checked has failed; 2 the command line makes no sense.
Results go to standard output, progress to standard error.`,
		Args:          nothing,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} })
	root.AddCommand(
		newServe(), newDemo(), newDrill(), newBench(), newStatus(), newAudit(), newDoctor(), newSite(), newShard(), newSafe(), newCheck(),
		newCert(), newKey(), newPaymentKeys(), newPerson(), newSandbox(), newTestBank(), newCases(), newSim(), newFsck(), newVersion(), newBenchSite(), newBenchCallers(), newBusy(), newCables(),
	)
	return root
}

// group is a command that only has others below it.
func group(use, short, long string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(below...)
	return cmd
}

// nothing is for commands that take no argument.
func nothing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("%s has no command or argument %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return &usageError{cmd.CommandPath(), err}
}

// one is for commands that take exactly one argument, from a list when there is one.
func one(what string, known ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &usageError{cmd.CommandPath(), fmt.Errorf("give one %s, not %d%s", what, len(args), oneOf(known))}
		}
		for _, k := range known {
			if args[0] == k {
				return nil
			}
		}
		if len(known) > 0 {
			return &usageError{cmd.CommandPath(), fmt.Errorf("no %s is called %q%s", what, args[0], oneOf(known))}
		}
		return nil
	}
}

func oneOf(known []string) string {
	if len(known) == 0 {
		return ""
	}
	return ": there are " + strings.Join(known, ", ")
}

// badUsage is the error of flags that do not go together.
func badUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{cmd.CommandPath(), err}
}
