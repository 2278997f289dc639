package store

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// engineFormat is the version of Pebble's own formats. Raising it is a one-way step for a disk: do it one release after
// the binary that can read it.
const engineFormat = pebble.FormatValueSeparation

const (
	bloomBits     = 10       // per key: one in a hundred look-ups of an id that is not there reads a block in vain
	engineBlock   = 16 << 10 // a start reads all accounts and much of the log, and pays for each block; a look-up reads one or two
	separateBytes = 512      // entries at least this big live in blob files, where compaction never rewrites them
)

func (s *Store) commonOptions(name string) *pebble.Options {
	o := &pebble.Options{
		Cache:                      s.cache,
		FS:                         watched{s.opts.FS, s.witness},
		FormatMajorVersion:         engineFormat,
		Logger:                     engineLogger{s, s.opts.Logger.With("db", name)},
		EventListener:              s.listener(name),
		MaxOpenFiles:               4096,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	c := newCompactions()
	s.compactions = append(s.compactions, c)
	o.Experimental.CompactionScheduler = c
	// An ingestion is over when its tables are in their place, not when they wait for a flush.
	o.Experimental.DisableIngestAsFlushable = func() bool { return true }
	// What is stored is packed already, or random ids; compressing costs more CPU than it saves disk.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].BlockSize = engineBlock
		o.Levels[i].IndexBlockSize = 64 << 10
	}
	return o
}

// logOptions: every write synced by Pebble's log; big values move once, from the log to a blob file, and never again.
func (s *Store) logOptions() *pebble.Options {
	o := s.commonOptions("log")
	o.MemTableSize = s.opts.MemTableBytes
	o.MemTableStopWritesThreshold = 3
	o.L0CompactionThreshold = 8
	o.L0StopWritesThreshold = 1000 // tables of the log are tiny: never make a payment wait for their compaction
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           separateBytes,
			MaxBlobReferenceDepth: 1 << 20, // never rewrite for locality: entries are read in order or one at a time
			TargetGarbageRatio:    1.0,     // and there is next to no garbage: only overwritten tails
		}
	}
	return o
}

// stateOptions: no write-ahead log and no memtable in use, tables come by ingestion only.
func (s *Store) stateOptions() *pebble.Options {
	o := s.commonOptions("state")
	o.DisableWAL = true
	o.MemTableSize = 1 << 20
	o.L0CompactionThreshold = 8
	o.L0StopWritesThreshold = 1000
	o.LBaseMaxBytes = 512 << 20
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	o.TargetFileSizes[0] = 16 << 20
	return o
}

// tableOptions are those of a table that is built to be ingested. Filters cost CPU when built and are wanted only where
// single keys are looked up that may not be there.
func (s *Store) tableOptions(filter bool) sstable.WriterOptions {
	o := s.tableDefaults.MakeWriterOptions(0, engineFormat.MaxTableFormat())
	if !filter {
		o.FilterPolicy = pebble.NoFilterPolicy
	}
	return o
}

// listener turns failures that the engine would retry in the background into the end of the store: a write that failed once
// is not trusted to have failed wholly. Corrupt tables are damage of the shards within their bounds instead, or the process
// would die again and again of the same table.
func (s *Store) listener(name string) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if !pebble.IsCorruptionError(err) {
				s.die(fmt.Errorf("%s, in the background: %w", name, err))
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.opts.Logger.Error("a table does not hold what was written", "db", name, "what", info.String())
			s.damaged(name, info)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.opts.Logger.Warn("the engine holds up writes", "db", name, "why", info.Reason)
		},
	}
}

// damaged marks the shards that a corrupt table belongs to. The engine may hold its locks: nobody calls it under s.mu.
func (s *Store) damaged(name string, info pebble.DataCorruptionInfo) {
	first, last := info.Bounds.Start, info.Bounds.End.Key
	for _, sh := range s.snapshotShards() {
		below := len(first) >= 2 && sh.id < shardOf(first)
		above := len(last) >= 2 && sh.id > shardOf(last)
		if !below && !above {
			sh.damage.CompareAndSwap(nil, &ErrCorrupt{
				Shard: sh.id, What: fmt.Sprintf("the table %s of the %s is damaged", info.Path, name), Err: info.Details,
			})
		}
	}
}

// engineLogger takes Pebble's log. Pebble calls Fatalf where it cannot go on, and expects not to get control back; we may
// return (in tests and simulation the "process" is this store), so every success is checked against alive() afterwards.
type engineLogger struct {
	store *Store
	log   *slog.Logger
}

func (l engineLogger) Infof(string, ...any) {}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Error("engine", "what", fmt.Sprintf(format, args...))
}

func (l engineLogger) Fatalf(format string, args ...any) {
	cause := &engineFatal{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			cause.errs = append(cause.errs, err)
		}
	}
	l.store.die(cause)
}

// engineFatal is what the engine told its logger, with the errors that it printed still in the chain.
type engineFatal struct {
	text string
	errs []error
}

func (e *engineFatal) Error() string   { return e.text }
func (e *engineFatal) Unwrap() []error { return e.errs }
