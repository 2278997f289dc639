package store

import (
	"holdfast"
	"holdfast/ledger"
)

// Persist makes a sealed segment durable: all its effects and its Meta, which becomes the checkpoint, or nothing. It sorts
// and writes tables and takes them over in one step; after it has answered nil, [Shard.Find] and the others know all of it, and
// the ledger may forget the segment. It is meant to run in the background of payments. Segments come in the order of the
// log, and only with entries that this disk has. Errors are fatal.
func (sh *Shard) Persist(g *ledger.Segment) error { panic("unwritten") }

// Load builds the state of the checkpoint in memory: accounts, open holds, outbox. Without a checkpoint it is the empty
// state. What the log holds after the checkpoint is for the caller to apply.
func (sh *Shard) Load() (*ledger.State, error) { panic("unwritten") }

// Find implements [ledger.Past].
func (sh *Shard) Find(id holdfast.ID) (ledger.Trace, bool, error) { panic("unwritten") }

// Record implements [ledger.Past].
func (sh *Shard) Record(key string) (holdfast.Record, bool, error) { panic("unwritten") }

// Statement returns rows of an account older than before (0: all), newest first, up to max. Rows of one transaction are
// never torn apart: when the last of max rows shares its Time with older ones, those are returned as well. Account and Prev
// of the rows are zero.
func (sh *Shard) Statement(account holdfast.AccountID, before holdfast.Time, max int) ([]ledger.Row, error) {
	panic("unwritten")
}

// BalanceAt returns the newest row of an account at or before t; false when the account was not open yet, or is unknown
// to the checkpoint.
func (sh *Shard) BalanceAt(account holdfast.AccountID, t holdfast.Time) (ledger.Row, bool, error) {
	panic("unwritten")
}

// ByRef returns up to max transfers that carry ref, newest first. Prev of the rows is zero.
func (sh *Shard) ByRef(ref holdfast.Ref, max int) ([]ledger.RefRow, error) { panic("unwritten") }

// Records returns up to max records that carry the index key, with a Key above after, in order of Key.
func (sh *Shard) Records(index, after string, max int) ([]holdfast.Record, error) { panic("unwritten") }

// Outbox returns up to max undelivered messages of the checkpoint with a Seq above after, in order.
func (sh *Shard) Outbox(after uint64, max int) ([]holdfast.Queued, error) { panic("unwritten") }

// OpenHolds calls yield with every open hold of the checkpoint, in order of id, until it answers false.
func (sh *Shard) OpenHolds(yield func(*ledger.OpenHold) bool) error { panic("unwritten") }

// Export is a consistent copy of a checkpoint and its journal in numbered chunks, for a replica that is too far behind.
// The chunks of one Export are the same however often they are asked for.
type Export struct {
	ID   uint64      // tells this export from others; part of every chunk
	Meta ledger.Meta // of the checkpoint
}

// Export begins an export of the current checkpoint. It fails when there is none, or too many are under way.
func (sh *Shard) Export() (*Export, error) { panic("unwritten") }

// Chunk returns chunk n, counted from 0, of about [Options.ChunkBytes], and whether it is the last. n may be at most one
// beyond those asked for so far. After the export has expired: [ErrExportExpired].
func (e *Export) Chunk(n uint32) (data []byte, last bool, err error) { panic("unwritten") }

// Close releases what the export holds on to.
func (e *Export) Close() error { panic("unwritten") }

// Import gathers the chunks of one export on this disk, durably, so that it goes on where it stopped, after a restart too.
type Import struct{}

// Import begins or resumes the import of an export; what was gathered of another one is thrown away.
func (sh *Shard) Import(export uint64) (*Import, error) { panic("unwritten") }

// Next is the number of the chunk that is wanted next.
func (im *Import) Next() uint32 { panic("unwritten") }

// Complete reports whether the last chunk is there.
func (im *Import) Complete() bool { panic("unwritten") }

// Put verifies and stores chunk Next(), and returns when it is on the disk. A chunk that is damaged, or of another export,
// is an error and changes nothing; failures of the disk are fatal.
func (im *Import) Put(data []byte) error { panic("unwritten") }

// Install replaces log, checkpoint and history of the shard by those of the complete import, and returns the new checkpoint.
// A crash anywhere leaves the old or, finished by the next Open, the new, never a mix. The hard state keeps its vote if its term
// is not below that of the checkpoint, and commits up to the checkpoint; the identity becomes Born.
func (im *Import) Install() (ledger.Meta, error) { panic("unwritten") }

// Discard throws away what was gathered.
func (im *Import) Discard() error { panic("unwritten") }

// Wipe removes everything of the shard from this disk, its identity too: the replica that was here is gone for good.
func (sh *Shard) Wipe() error { panic("unwritten") }

// Depth says how much Fsck reads.
type Depth int

const (
	// FsckQuick verifies the checkpoint: accounts, holds, totals, and every entry after it.
	FsckQuick Depth = iota + 1
	// FsckEntries also verifies every entry of the journal.
	FsckEntries
	// FsckAll also follows every index row into the journal, and compares every account with its statement.
	FsckAll
)

// Finding is something on the disk that is not as it should be.
type Finding struct {
	Shard  holdfast.ShardID
	Key    string // where, readable
	What   string
	Advice string
}

// Fsck reads and verifies; it repairs nothing. It stops after max findings per shard.
func (s *Store) Fsck(depth Depth, max int) ([]Finding, error) { panic("unwritten") }

const (
	kindMeta   = 'm'
	kindRanges = 'n'
)

type (
	persister  struct{}
	timeRanges struct{}
	readers    struct{}
)

func newReaders(*Store) *readers                       { return nil }
func (*readers) close()                                {}
func readMeta(key, value []byte) (*ledger.Meta, error) { panic("unwritten") }
func readRanges(key, value []byte) (timeRanges, error) { panic("unwritten") }
func (sh *Shard) resumeInstall() error                 { return nil }
func (s *Store) sweepStage() error                     { return nil }
