package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// smallDisk is a file system with so many bytes of room for the files of imports; those of the engine take nothing.
type smallDisk struct {
	vfs.FS
	room atomic.Int64
}

type smallFile struct {
	vfs.File
	disk *smallDisk
}

func (d *smallDisk) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := d.FS.Create(path, c)
	if err == nil && (strings.Contains(path, "import-") || strings.Contains(path, "install-")) {
		file = &smallFile{file, d}
	}
	return file, err
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(max(d.room.Load(), 0)), TotalBytes: 1 << 40}, nil
}

func (f *smallFile) Write(p []byte) (int, error) {
	if f.disk.room.Add(-int64(len(p))) < 0 {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

const smallReserve = 8 << 10

// onSmallDisk is a target with so much room beside the reserve.
func onSmallDisk(t *testing.T, room int64) (*smallDisk, *deaths, *world) {
	t.Helper()
	disk, died := &smallDisk{FS: vfs.NewMem()}, new(deaths)
	disk.room.Store(1 << 40)
	o := testOptions(disk, died)
	o.ReserveBytes = smallReserve
	w := target(t, o)
	disk.room.Store(smallReserve + room)
	return disk, died, w
}

// mustLive checks that nothing has happened to the site.
func mustLive(t *testing.T, disk *smallDisk, died *deaths, w *world) {
	t.Helper()
	err := w.s.Write([]Write{{Shard: testShard + 1, Entries: entries(1, 1, 10), Sync: true}})
	if err != nil || died.Load() != 0 {
		t.Fatalf("another shard of the site: %v, deaths %d", err, died.Load())
	}
	if free := disk.room.Load(); free < smallReserve {
		t.Fatalf("%d bytes are left of a reserve of %d", free, smallReserve)
	}
}

// TestImportLeavesTheReserve fetches onto a disk without room for it, then onto one that fills up on the way, and last has the disk fill up
// when everything has come. The reserve stays, the site lives, and with room the import goes on where it stopped.
func TestImportLeavesTheReserve(t *testing.T) {
	from, m, want := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(from.sh.Export())
	disk, died, to := onSmallDisk(t, 4<<10)
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	short := (*ErrNoSpace)(nil)
	fetch := func() error {
		for !im.Complete() {
			data, _, err := e.ChunkAt(im.Next(), im.Place())
			if err == nil {
				err = im.Put(data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := fetch(); !errors.As(err, &short) || im.Next() != 0 {
		t.Fatalf("without room: %v, chunk %d is wanted", err, im.Next())
	}
	if !errors.As(im.Room(), &short) || short.Need < smallReserve+2*(im.copy.State+im.copy.Journal) {
		t.Errorf("it says it needs %d, and the copy has %+v", short.Need, im.copy)
	}
	mustLive(t, disk, died, to)
	disk.room.Store(int64(short.Need) + 64<<10)
	pull(t, e, im, 3)
	disk.room.Store(smallReserve + 3<<10) // somebody else has taken the rest
	if err := fetch(); !errors.As(err, &short) || im.Next() != 3 {
		t.Fatalf("with a disk that fills up: %v, chunk %d is wanted", err, im.Next())
	}
	mustLive(t, disk, died, to)
	disk.room.Store(int64(short.Need) + 64<<10)
	if err := fetch(); err != nil {
		t.Fatal(err)
	}
	disk.room.Store(smallReserve + 3<<10)
	if _, err := im.Install(); !errors.As(err, &short) {
		t.Fatalf("installing without room: %v", err)
	}
	mustLive(t, disk, died, to)
	disk.room.Store(int64(short.Need) + 64<<10)
	if _, err := im.Install(); err != nil {
		t.Fatal(err)
	}
	mustLive(t, disk, died, to)
	checkInstalled(t, to.s, m, want, e.Meta.Index)
}

// TestImportWithoutAStatedSize leaves the reserve as well: an exporter of an earlier version says nothing of the size.
func TestImportWithoutAStatedSize(t *testing.T) {
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(from.sh.Export())
	disk, died, to := onSmallDisk(t, 16<<10)
	im := must[*Import](t)(to.sh.Import(Copy{Export: e.ID, Index: e.Meta.Index}))
	for {
		data, _, err := e.Chunk(im.Next())
		if err != nil {
			t.Fatal(err)
		}
		if err := im.Put(data); errors.As(err, new(*ErrNoSpace)) && im.Next() > 0 {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	mustLive(t, disk, died, to)
}

// TestDropImport gives back what was gathered, before and after a restart; whoever goes on with it is told.
func TestDropImport(t *testing.T) {
	from, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	e := must[*Export](t)(from.sh.Export())
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	to := target(t, o)
	im := must[*Import](t)(to.sh.Import(copyOf(t, e)))
	pull(t, e, im, 1<<20)
	s := mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{})))
	for name, s := range map[string]*Store{"before a restart": to.s, "after it": s} {
		if err := s.Shard(testShard).DropImport(); err != nil {
			t.Fatal(err)
		}
		if left := must[[]string](t)(s.opts.FS.List("data/stage")); len(left) != 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	if _, err := im.Install(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("installing what was dropped: %v", err)
	}
	data, _, err := e.Chunk(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Put(data); !errors.Is(err, ErrIncomplete) {
		t.Errorf("going on with what was dropped: %v", err)
	}
	im = must[*Import](t)(to.sh.Import(copyOf(t, e)))
	pull(t, e, im, 1<<20)
	if _, err := im.Install(); err != nil {
		t.Error(err)
	}
}
