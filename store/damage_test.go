package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDamagedManifest flips the bytes of the first record of the list of tables of either database: the error names the directory that is
// damaged, and says what to do.
func TestDamagedManifest(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, testOptions(mem, new(deaths)))
	write(t, s, Write{Shard: testShard, Entries: entries(1, 1, 10, 200), Sync: true})
	const first = 39 // bytes of the first record: the engine takes a damaged last one for a write that a crash cut short
	for _, db := range []string{"log", "state"} {
		path := manifest(t, mem, "data/"+db)
		info, err := mem.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range min(info.Size(), first) {
			_, err := Open(o2(testOptions(nil, new(deaths)), flipped(t, mem, path, at)))
			damaged, ok := errors.AsType[*ErrDamaged](err)
			if !ok {
				t.Fatalf("%s, byte %d: %v", path, at, err)
			}
			if damaged.Path != "data/"+db || damaged.Dir != "data" || !strings.Contains(err.Error(), "MANIFEST-") ||
				!strings.Contains(err.Error(), "move data aside") || strings.Contains(err.Error(), "another process") {
				t.Fatalf("%s, byte %d: %v", path, at, err)
			}
		}
	}
	mustClose(t, s)
}

// TestDamagedLogFile flips bits in the middle of the newest file of the log, of a store that has never been opened before:
// what follows must not be forgotten without a word.
func TestDamagedLogFile(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, testOptions(mem, new(deaths)))
	for i := range uint64(300) {
		write(t, s, Write{Shard: testShard, Entries: entries(1+i, 1, 400), Sync: true})
	}
	path, size := "", int64(0)
	for _, name := range must[[]string](t)(mem.List("data/log")) {
		if info := must[vfs.FileInfo](t)(mem.Stat("data/log/" + name)); strings.HasSuffix(name, ".log") && info.Size() > size {
			path, size = "data/log/"+name, info.Size()
		}
	}
	const block = 32 << 10 // of the engine: the damage must lie before the last one
	for at := int64(100); at < size-2*block; at += 4099 {
		_, err := Open(o2(testOptions(nil, new(deaths)), flipped(t, mem, path, at)))
		if _, ok := errors.AsType[*ErrDamaged](err); !ok {
			t.Fatalf("%s, byte %d of %d: %v", path, at, size, err)
		}
	}
	mustClose(t, s)
}

// manifest finds the newest list of tables in a directory.
func manifest(t *testing.T, disk vfs.FS, dir string) (path string) {
	t.Helper()
	for _, name := range must[[]string](t)(disk.List(dir)) {
		if strings.HasPrefix(name, "MANIFEST-") && dir+"/"+name > path {
			path = dir + "/" + name
		}
	}
	return path
}

// flipped is a copy of a disk with one bit of a file the wrong way round.
func flipped(t *testing.T, disk vfs.FS, path string, at int64) vfs.FS {
	t.Helper()
	clone := vfs.NewMem()
	if _, err := vfs.Clone(disk, clone, "data", "data"); err != nil {
		t.Fatal(err)
	}
	f := must[vfs.File](t)(clone.OpenReadWrite(path, vfs.WriteCategoryUnspecified))
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	_, err := f.WriteAt(b[:], at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return clone
}
