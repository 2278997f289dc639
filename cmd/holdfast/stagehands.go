package main

import (
	"context"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"holdfast/drill"
)

// newBusy is what the drill busy-machine starts beside the sites.
func newBusy() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:     "busy",
		Short:   "Keep one core busy for a while",
		Long:    "Keep one core busy for a while and do nothing else. The drill busy-machine starts as many of these as it needs.",
		Example: "  holdfast busy --for 50ms",
		Args:    nothing,
		Hidden:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runtime.GOMAXPROCS(1)
			_ = setNice(busyNice) // and not that of the drill
			drill.Burn(cmd.Context(), length)
			return nil
		},
	}
	cmd.Flags().DurationVar(&length, "for", time.Second, "for how long (`D` like 10s)")
	return cmd
}

// Priorities in a drill, as far as they may be had. What stands for things that need no processor of the machine that is tried comes
// before what else is busy there: glass fibre, and callers, who are elsewhere. That of sites is in their configuration.
const (
	cableNice  = -15
	callerNice = -10 // as sites: on two cores, who comes later would measure its own waiting
	busyNice   = 0
)

// fromElsewhere plays a scenario with the priority of callers.
func fromElsewhere(play player) player {
	return func(ctx context.Context, s drill.Scenario, o drill.Options) (*drill.Evidence, error) {
		_ = setNice(callerNice)
		_ = easeMonitor()
		return play(ctx, s, o)
	}
}

// newCables is the network between the sites of a drill.
func newCables() *cobra.Command {
	return &cobra.Command{
		Use:   "cables",
		Short: "Be the cables between the sites of a drill",
		Long: `Be the cables between the sites of a drill: relays with a delay, which are laid, cut and healed by orders on standard
input, one a line. Every drill starts one of these; it ends when its input does.`,
		Example: "  holdfast cables",
		Args:    nothing,
		Hidden:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _ = setNice(cableNice), easeMonitor() // where it may not, they have to do without
			runtime.GOMAXPROCS(1)                    // it only passes bytes on: to wake a second thread for that takes longer than to do it
			return drill.Cables(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
