package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"holdfast/store"
)

func newFsck() *cobra.Command {
	var data, depth, file string
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Verify what a stopped site has on disk",
		Long: `Verify what a stopped site has on disk. It repairs nothing: a site whose disk is bad is wiped and rebuilds itself from
the others. What was synced and is not there any more is found at every depth, also at the end of a log, where it looks like a
write that a crash cut short; the damaged log is kept in DIR/damaged.

Depths: quick (the checkpoint and every log entry after it), entries (the whole journal), all (every index row followed
into the journal, and every account compared with its statement). The exit status is 1 when something is wrong.`,
		Example: "  holdfast fsck\n  holdfast fsck --data holdfast-data --depth all --json -",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return fsck(cmd, data, depth, file) },
	}
	cmd.Flags().StringVar(&data, "data", "holdfast-data", "`DIR` that holds everything the site stores")
	cmd.Flags().StringVar(&depth, "depth", "quick", "how much to read: quick, entries or all")
	jsonFlag(cmd, &file)
	return cmd
}

// fsckLimit is how many findings per shard are told. Who sees that many wipes the disk.
const fsckLimit = 100

var depths = map[string]store.Depth{"quick": store.FsckQuick, "entries": store.FsckEntries, "all": store.FsckAll}

type fsckResult struct {
	OK       bool            `json:"ok"`
	Findings []store.Finding `json:"findings"`
}

func fsck(cmd *cobra.Command, data, depth, file string) (err error) {
	d, ok := depths[depth]
	if !ok {
		return badUsage(cmd, fmt.Errorf("--depth %s: there are quick, entries and all", depth))
	}
	// Opening a directory that is not there would make it, and find nothing wrong with it.
	if _, err := os.Stat(filepath.Join(data, "log")); err != nil {
		return fmt.Errorf("%s is not the data directory of a site: %w", data, err)
	}
	var fatal error
	s, err := store.Open(store.Options{Dir: data, OnFatal: func(err error) { fatal = err }})
	if damaged, ok := errors.AsType[*store.ErrDamaged](err); ok {
		return tellFindings(cmd, data, file, []store.Finding{damaged.Finding()})
	}
	if err != nil {
		return fmt.Errorf("open %s (is the site still running? stop it first): %w", data, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	found, err := s.Fsck(d, fsckLimit)
	if err := errors.Join(err, fatal); err != nil {
		return fmt.Errorf("verify %s: %w", data, err)
	}
	return tellFindings(cmd, data, file, found)
}

func tellFindings(cmd *cobra.Command, data, file string, found []store.Finding) error {
	w := words(cmd, file)
	for _, f := range found {
		if f.Shard > 0 {
			fmt.Fprintf(w, "shard %d, %s: ", f.Shard, f.Key)
		}
		fmt.Fprintf(w, "%s. %s\n", f.What, f.Advice)
	}
	if len(found) == 0 {
		fmt.Fprintf(w, "%s: nothing is wrong.\n", data)
	}
	return verdict(cmd, file, fsckResult{len(found) == 0, append([]store.Finding{}, found...)}, len(found) == 0)
}
