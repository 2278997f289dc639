package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDamagedManifest flips every byte of the list of tables of either database: the error names the directory that is
// damaged, and says what to do.
func TestDamagedManifest(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, testOptions(mem, new(deaths)))
	write(t, s, Write{Shard: testShard, Entries: entries(1, 1, 10, 200), Sync: true})
	for _, db := range []string{"log", "state"} {
		path := "data/" + db + "/MANIFEST-000001"
		info, err := mem.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range info.Size() {
			_, err := Open(o2(testOptions(nil, new(deaths)), flipped(t, mem, path, at)))
			damaged, ok := errors.AsType[*ErrDamaged](err)
			if !ok {
				t.Fatalf("%s, byte %d: %v", path, at, err)
			}
			if damaged.Path != "data/"+db || damaged.Dir != "data" || !strings.Contains(err.Error(), "MANIFEST-000001") ||
				!strings.Contains(err.Error(), "move data aside") || strings.Contains(err.Error(), "another process") {
				t.Fatalf("%s, byte %d: %v", path, at, err)
			}
		}
	}
	mustClose(t, s)
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
