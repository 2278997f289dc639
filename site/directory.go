package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// directoryFile says whose data a directory holds, so that no configuration can put one site's process on another's disk, or
// route by another number of shards than the data was placed by. When shards are born, it says so before anything is told of
// them: a site has to come back with every replica that others count on, before it can read any log.
const directoryFile = "SITE"

// extent is how many shards there are.
type extent struct {
	first int // that the fleet was born with: what the configuration says
	now   int // that there are, as far as this site knows
	seats int // that have a place here: now, and one more while it is being born, or when its birth was given up
}

// of is the text of the file. A fleet in which no shard was born has that of releases which do not know how; they refuse the
// other one.
func (x extent) of(c *Config) string {
	if x.seats == x.first {
		return fmt.Sprintf("holdfast data 1\ncluster %s\nsite %d\nshards %d\n", c.Cluster, c.Site, x.first)
	}
	return fmt.Sprintf("holdfast data 2\ncluster %s\nsite %d\nshards %d\nnow %d\nseats %d\n", c.Cluster, c.Site, x.first, x.now, x.seats)
}

// claimDirectory writes the file into an empty directory, and compares it otherwise. It returns what it says, and whether it is new.
func claimDirectory(c *Config) (x extent, fresh bool, err error) {
	path := filepath.Join(c.Data, directoryFile)
	found, err := os.ReadFile(path)
	x = extent{c.Shards, c.Shards, c.Shards}
	if errors.Is(err, fs.ErrNotExist) {
		return x, true, writeDurably(path, x.of(c))
	}
	if err != nil {
		return x, false, fmt.Errorf("whose data is this? %w", err)
	}
	if want := x.of(c); string(found) == want {
		return x, false, nil
	}
	if x, ok := readExtent(c, string(found)); ok {
		return x, false, nil
	}
	return x, false, fmt.Errorf("the data in %s is not that of this configuration: it says %q, the configuration says %q; use its own "+
		"directory, or correct site, cluster or shards", c.Data, oneLine(string(found)), oneLine(x.of(c)))
}

// readExtent reads the file of a fleet in which shards were born. The configuration may go on saying how many there were at first,
// or follow.
func readExtent(c *Config, text string) (x extent, ok bool) {
	_, numbers, _ := strings.Cut(text, "\nshards ")
	if _, err := fmt.Sscanf(numbers, "%d\nnow %d\nseats %d\n", &x.first, &x.now, &x.seats); err != nil {
		return x, false
	}
	ok = x.first >= 1 && x.first <= x.now && x.now <= x.seats && x.seats <= MaxShards+1 && x.of(c) == text
	return x, ok && c.Shards >= x.first && c.Shards <= x.now
}

// ShardsIn tells what a data directory says of the shards of its fleet: with how many it was born, and how many there are as the site knows.
// ok is false when there is no data, or it cannot be read.
func ShardsIn(dir string) (first, now int, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, directoryFile))
	if err != nil {
		return 0, 0, false
	}
	_, numbers, _ := strings.Cut(string(text), "\nshards ")
	n, _ := fmt.Sscanf(numbers, "%d\nnow %d\n", &first, &now)
	if n == 1 {
		now = first
	}
	return first, now, n >= 1
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", ", ") }

// writeDurably makes a file that is there wholly or not at all after a crash.
func writeDurably(path, text string) error {
	temp := path + ".new"
	if err := writeSynced(temp, text); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
