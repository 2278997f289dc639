package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"holdfast/client"
)

// planned is what the commands have in common that show a plan and, with --apply, order it: changes of sites, moves of slots, splits.
type planned struct {
	target
	apply string
	wait  time.Duration
}

// flags adds those of every such command; ends is what --wait waits for.
func (o *planned) flags(cmd *cobra.Command, ends string) {
	o.target.flags(cmd)
	cmd.Flags().StringVar(&o.apply, "apply", "", "order the `PLAN` of this id, as this command has shown it without --apply")
	cmd.Flags().DurationVar(&o.wait, "wait", 0, "with --apply: wait so long for the end"+ends)
}

// showPlan shows the plan P of a change.
func showPlan[P any](
	cmd *cobra.Command, o *planned, c *client.Client, what string, plan func(context.Context, *client.Client) (P, error), tell func(io.Writer, *P),
) error {
	p, err := plan(cmd.Context(), c)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	tell(words(cmd, o.file), &p)
	return writeJSON(cmd, o.file, p)
}

// watch looks again and again until something is over or the time is. over tells which; the error is that of ctx.
func (o *planned) watch(ctx context.Context, look func() (over bool)) (over bool, err error) {
	late := time.After(o.wait)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if look() {
			return true, nil
		}
		select {
		case <-ticker.C:
		case <-late:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// watchEvery is how often somebody who waits for the end of a change looks how far it is.
const watchEvery = 200 * time.Millisecond
