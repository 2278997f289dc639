package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// pebbleDisk is the real store on a file system in memory that can crash. What waits for the next fsync is kept here, so that
// a crash can lose any end of it and the run still repeats itself although the engine has goroutines of its own.
type pebbleDisk struct {
	e       *engine
	fs      *vfs.MemFS
	store   *store.Store // nil: closed
	shards  int
	keep    uint64
	pending []batch
	dead    error
	fatal   error // what the store died of
	full    bool
	spare   int      // how often a full disk still says that it has room: it fills up while a checkpoint is being fetched
	told    bool     // it has said that it has none
	ends    []uint64 // where the logs ended at the last crash
}

func newPebbleDisk(e *engine, shards int, keep uint64) *pebbleDisk {
	return &pebbleDisk{e: e, fs: vfs.NewCrashableMem(), shards: shards, keep: keep}
}

func (d *pebbleDisk) open() error {
	if d.store != nil {
		return nil
	}
	s, err := store.Open(store.Options{
		Dir: "site", FS: &spaceFS{d.fs, d}, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, TailBytes: 4 << 10, KeepEntries: d.keep,
		ChunkBytes: 4 << 10, Now: func() time.Time { return time.Unix(0, epoch+int64(d.e.now)) },
		OnFatal: func(err error) { d.fatal = err },
	})
	d.store = s
	if err != nil {
		return err
	}
	for i, end := range d.ends {
		if last := s.Shard(holdfast.ShardID(i + 1)).LastIndex(); last > end {
			d.e.fail("log", "shard %d: the log ended at %d before the crash and ends at %d after it", i+1, end, last)
		}
	}
	d.ends = nil
	return nil
}

// volume opens the disk when it is closed: an operator may look at a disk before the process starts.
func (d *pebbleDisk) volume(i int) volumeOf {
	if err := d.open(); err != nil {
		d.e.fail("disk", "the store does not open: %v", err)
	}
	id := holdfast.ShardID(i + 1)
	return &pebbleVolume{Shard: d.store.Shard(id), id: id, disk: d}
}

func (d *pebbleDisk) write(batches []batch) error {
	d.pending = append(d.pending, batches...)
	return d.dead
}

func (d *pebbleDisk) written() int { return len(d.pending) }

// sync writes the oldest n batches, each in the way of the host, and fsyncs with the last.
func (d *pebbleDisk) sync(n int) {
	n = min(n, len(d.pending))
	for i, b := range d.pending[:n] {
		err := d.store.Write([]store.Write{{Shard: b.shard, Hard: b.hard, Entries: b.entries, Sync: i == n-1}})
		if err != nil {
			d.e.fail("disk", "the store does not write: %v", err)
			return
		}
		ends(d.e, &b, d.store.Shard(b.shard))
	}
	d.pending = append([]batch(nil), d.pending[n:]...)
}

func (d *pebbleDisk) safe(i int) uint64 { return d.volume(i).LastIndex() }

func (d *pebbleDisk) safeHard(i int) store.HardState { return d.volume(i).Hard() }

func (d *pebbleDisk) known(i int) uint64 {
	meta, _ := d.volume(i).Meta()
	return max(d.volume(i).Hard().Commit, meta.Index)
}

func (d *pebbleDisk) fail() { d.dead = errDisk }

// crash leaves what was synced and any part of the rest of the file system.
func (d *pebbleDisk) crash(whole, tear int) (torn bool) {
	d.sync(whole)
	for i := range d.shards {
		d.ends = append(d.ends, d.safe(i))
	}
	rng := rand.New(rand.NewPCG(uint64(whole), uint64(tear)))
	left := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: tear % 101, RNG: rng})
	d.close()
	d.fs, d.dead, d.pending = left, nil, nil
	return tear > 0
}

func (d *pebbleDisk) close() {
	if d.store == nil {
		return
	}
	if err := d.store.Close(); err != nil && !errors.Is(err, store.ErrFatal) {
		d.e.fail("disk", "the store does not close: %v", err)
	}
	d.store = nil
}

func (d *pebbleDisk) wipe() {
	d.close()
	full := d.full
	*d = *newPebbleDisk(d.e, d.shards, d.keep)
	d.fill(full)
}

// spareChunks is what a disk that becomes full still takes of a checkpoint.
const spareChunks = 4

func (d *pebbleDisk) fill(full bool) { d.full, d.spare, d.told = full, spareChunks, false }

// spaceFS is a file system that can be full. Then it takes what the log writes, and nothing of a checkpoint that is fetched: that would
// take from the log what is left.
type spaceFS struct {
	vfs.FS
	disk *pebbleDisk
}

// GetDiskUsage implements vfs.FS.
func (f *spaceFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d := f.disk
	if d.told = d.full && d.spare <= 0; d.told {
		return vfs.DiskUsage{AvailBytes: 0, TotalBytes: 1 << 40}, nil
	}
	if d.full {
		d.spare--
	}
	return vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40}, nil
}

// Create implements vfs.FS.
func (f *spaceFS) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(path, c)
	if err == nil && (strings.Contains(path, "import-") || strings.Contains(path, "install-")) {
		file = &fetchedFile{file, f.disk}
	}
	return file, err
}

// fetchedFile holds something of a checkpoint that is fetched.
type fetchedFile struct {
	vfs.File
	disk *pebbleDisk
}

// headBytes is what a file may have that only says what is to be fetched.
const headBytes = 64

// Write implements vfs.File.
func (f *fetchedFile) Write(p []byte) (int, error) {
	if f.disk.told && len(p) > headBytes {
		f.disk.e.fail("space", "%d bytes of a checkpoint are written to a full disk", len(p))
	}
	return f.File.Write(p)
}

// pebbleVolume is the replica of one shard in the store.
type pebbleVolume struct {
	*store.Shard
	id   holdfast.ShardID
	disk *pebbleDisk
}

func (v *pebbleVolume) SetIdentity(id store.Identity) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	return v.Shard.SetIdentity(id)
}

func (v *pebbleVolume) Persist(g *ledger.Segment) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	return v.Shard.Persist(g)
}

// chunks is an export as it goes over the link.
type chunks struct {
	id   uint64
	of   ledger.Meta
	list [][]byte
}

func (c chunks) meta() ledger.Meta { return c.of }

func (v *pebbleVolume) export() (export, error) {
	e, err := v.Export()
	if err != nil {
		return nil, err
	}
	c := chunks{id: e.ID, of: e.Meta}
	for n := uint32(0); err == nil; n++ {
		data, last, failed := e.Chunk(n)
		if err = failed; err == nil {
			c.list = append(c.list, data)
		}
		if last {
			break
		}
	}
	return c, errors.Join(err, e.Close())
}

// gather fetches what is missing. On a full disk it gives back what it has every other time: the log may need it, or not.
func (v *pebbleVolume) gather(from export) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	c := from.(chunks)
	im, err := v.Import(store.Copy{Export: c.id, Index: c.of.Index})
	if err != nil {
		return err
	}
	for n := im.Next(); n < uint32(len(c.list)) && err == nil; n++ {
		if err = im.Put(c.list[n]); err != nil {
			err = fmt.Errorf("chunk %d: %w", n, err)
		}
	}
	if err == nil {
		err = im.Room()
	}
	if errors.As(err, new(*store.ErrNoSpace)) && im.Next()%2 == 1 {
		return errors.Join(err, v.DropImport())
	}
	return err
}

func (v *pebbleVolume) install(from export) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	v.disk.spare = max(v.disk.spare, 1) // it has just been asked
	c := from.(chunks)
	im, err := v.Import(store.Copy{Export: c.id, Index: c.of.Index})
	if err != nil {
		return err
	}
	v.dropPending()
	_, err = im.Install()
	return err
}

func (v *pebbleVolume) forget() error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	v.dropPending()
	return v.Wipe()
}

// dropPending lets what of this shard still waits for an fsync go with what is replaced.
func (v *pebbleVolume) dropPending() {
	v.disk.pending = slices.DeleteFunc(v.disk.pending, func(b batch) bool { return b.shard == v.id })
}
