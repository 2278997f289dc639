package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tables builds the tables of one ingestion, one open at a time, keys strictly rising. The first error sticks and is
// returned by close, so that the writers of rows stay simple.
type tables struct {
	store  *Store
	prefix string // of the paths
	plain  sstable.WriterOptions
	filter sstable.WriterOptions

	paths    []string // of the finished ones, and of the open one
	w        *sstable.Writer
	size     int  // bytes handed to the open table
	filtered bool // whether the open table has a filter
	err      error
}

// tableBytes is where a table is cut in two: small enough that rewriting one is short.
const tableBytes = 32 << 20

func newTables(s *Store, prefix string) *tables {
	return &tables{
		store: s, prefix: prefix,
		plain: s.tableOptions(false), filter: s.tableOptions(true),
	}
}

// open starts a table; with filter single keys are looked up in it that may not be there.
func (t *tables) open(filter bool) {
	t.cut()
	if t.err != nil {
		return
	}
	path := fmt.Sprintf("%s-%d.sst", t.prefix, len(t.paths))
	file, err := t.store.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.err = fmt.Errorf("creating table %s: %w", path, err)
		return
	}
	o := t.plain
	if filter {
		o = t.filter
	}
	t.w, t.size, t.filtered = sstable.NewWriter(objstorageprovider.NewFileWritable(file), o), 0, filter
	t.paths = append(t.paths, path)
}

// cut ends the open table, synced.
func (t *tables) cut() {
	if t.w == nil {
		return
	}
	if err := t.w.Close(); err != nil && t.err == nil {
		t.err = fmt.Errorf("writing table %s: %w", t.paths[len(t.paths)-1], err)
	}
	t.w = nil
}

// set and del add a row to the open table. Both copy.
func (t *tables) set(key, value []byte) {
	if t.err == nil {
		t.err = t.w.Set(key, value)
		t.size += len(key) + len(value)
	}
}

func (t *tables) del(key []byte) {
	if t.err == nil {
		t.err = t.w.Delete(key)
		t.size += len(key)
	}
}

// close ends the last table. After an error the files that were made are removed.
func (t *tables) close() ([]string, error) {
	t.cut()
	if t.err == nil {
		return t.paths, nil
	}
	for _, path := range t.paths {
		t.err = errors.Join(t.err, t.store.opts.FS.Remove(path))
	}
	return nil, t.err
}
