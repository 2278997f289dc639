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
// route by another number of shards than the data was placed by.
const directoryFile = "SITE"

func directoryText(c Config) string {
	return fmt.Sprintf("holdfast data 1\ncluster %s\nsite %d\nshards %d\n", c.Cluster, c.Site, c.Shards)
}

// claimDirectory writes the file into an empty directory, and compares it otherwise.
func claimDirectory(c Config) error {
	path := filepath.Join(c.Data, directoryFile)
	found, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeDurably(path, directoryText(c))
	}
	if err != nil {
		return fmt.Errorf("whose data is this? %w", err)
	}
	if want := directoryText(c); string(found) != want {
		return fmt.Errorf("the data in %s is not that of this configuration: it says %q, the configuration says %q; use its own "+
			"directory, or correct site, cluster or shards", c.Data, oneLine(string(found)), oneLine(want))
	}
	return nil
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
