package store

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options says where a store lives and what it may use. Zero fields take the default named beside them; [Open] refuses
// values that make no sense and repairs none.
type Options struct {
	// Dir is the directory of this site's data; it is made when missing. Required.
	Dir string
	// FS is the file system. Default: the machine's. Tests give one that crashes and fails on command.
	FS vfs.FS
	// CacheBytes bounds the cache of table blocks shared by both databases. Default 256 MiB.
	CacheBytes int64
	// MemTableBytes is the size at which recent log entries go from memory into tables. Default 64 MiB. Up to three are held.
	MemTableBytes uint64
	// TailBytes bounds, per shard, the most recent log entries kept in memory for followers and for applying. Default 32 MiB.
	TailBytes int
	// KeepEntries is how many entries behind the checkpoint followers are still served from the log rather than by a
	// checkpoint. Entries are never deleted; this decides what FirstIndex says. Default 1,000,000.
	KeepEntries uint64
	// ReserveBytes is the free space below which [Store.DiskFull] says so: enough for the log and one compaction to go on
	// until someone reacts. Default 2 GiB.
	ReserveBytes uint64
	// ExportIdle is how long an export that nobody reads from keeps its snapshot, and with it old tables, alive. Default
	// 2 minutes.
	ExportIdle time.Duration
	// ChunkBytes is the size of one chunk of an export. Default 1 MiB.
	ChunkBytes int
	// Now is the clock for export expiry and OnWrite, and nothing else. Default time.Now.
	Now func() time.Time
	// OnFatal is called once, with the first cause, when the store dies, from whichever goroutine noticed. Required: the
	// process must stop there (tests and simulation take the replica down instead). Whether it returns or not, no call
	// answers success any more.
	OnFatal func(error)
	// OnWrite hears how long each [Store.Write] took, fsync included, and how many bytes it carried. It must be quick. Default:
	// nobody.
	OnWrite func(took time.Duration, bytes int)
	// Logger hears what the engine has to say: warnings and errors only. Default: nobody.
	Logger *slog.Logger
}

const (
	defaultCacheBytes    = 256 << 20
	defaultMemTableBytes = 64 << 20
	defaultTailBytes     = 32 << 20
	defaultKeepEntries   = 1_000_000
	defaultReserveBytes  = 2 << 30
	defaultExportIdle    = 2 * time.Minute
	defaultChunkBytes    = 1 << 20
	maxChunkBytes        = 16 << 20
)

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnWrite == nil {
		o.OnWrite = func(time.Duration, int) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	orDefault(&o.CacheBytes, defaultCacheBytes)
	orDefault(&o.MemTableBytes, defaultMemTableBytes)
	orDefault(&o.TailBytes, defaultTailBytes)
	orDefault(&o.KeepEntries, defaultKeepEntries)
	orDefault(&o.ReserveBytes, defaultReserveBytes)
	orDefault(&o.ExportIdle, defaultExportIdle)
	orDefault(&o.ChunkBytes, defaultChunkBytes)
	return o, o.check()
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) check() error {
	switch {
	case o.Dir == "":
		return fmt.Errorf("store: no directory given: set Options.Dir")
	case o.OnFatal == nil:
		return fmt.Errorf("store: Options.OnFatal is missing: somebody has to stop the process when the disk fails")
	case o.CacheBytes < 0 || o.TailBytes < 0 || o.ExportIdle < 0:
		return fmt.Errorf("store: CacheBytes %d, TailBytes %d and ExportIdle %v must not be negative", o.CacheBytes, o.TailBytes, o.ExportIdle)
	case o.ChunkBytes < 1<<10 || o.ChunkBytes > maxChunkBytes:
		return fmt.Errorf("store: ChunkBytes %d is not within 1 KiB to %d MiB", o.ChunkBytes, maxChunkBytes>>20)
	}
	return nil
}
