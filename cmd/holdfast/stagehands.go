package main

import (
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
			drill.Burn(cmd.Context(), length)
			return nil
		},
	}
	cmd.Flags().DurationVar(&length, "for", time.Second, "for how long (`D` like 10s)")
	return cmd
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
			return drill.Cables(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
