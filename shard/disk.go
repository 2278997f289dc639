package shard

import (
	"go.etcd.io/raft/v3/raftpb"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// Entry is one entry of the replicated log; its Type is one of the constants below.
type Entry = store.Entry

// HardState is what a replica must never forget about an election.
type HardState = store.HardState

// Types of entries, as they stand in logs.
const (
	EntryNormal  = uint8(raftpb.EntryNormal)       // data for the ledger; empty: the start of a term
	EntryMembers = uint8(raftpb.EntryConfChangeV2) // a change of membership
	entryOldConf = uint8(raftpb.EntryConfChange)   // the library's older form of it, never proposed by us
)

// Log is what consensus reads back. Reads may run beside one writer. What is written is visible at once, so that the log here
// may be ahead of what Stored has reported; the library copes with that. *store.Shard is one.
type Log interface {
	// Hard is what was written last; zero on an empty disk.
	Hard() HardState
	// FirstIndex is the oldest entry that followers are served; below it they are offered a checkpoint.
	FirstIndex() uint64
	// LastIndex is 0 for an empty log, and at least the index of the checkpoint.
	LastIndex() uint64
	// Term of an entry from FirstIndex()-1 on; Term(0) is 0. Errors: store.ErrCompacted, store.ErrUnavailable, or the disk's.
	Term(index uint64) (uint64, error)
	// Entries from lo up to but without hi, as many as fit into maxBytes and at least one. Errors as for Term.
	Entries(lo, hi, maxBytes uint64) ([]Entry, error)
}

// Disk is all that one replica keeps on its disk. *store.Shard is one, and so is the model disk of the simulator. An error is
// final: *store.ErrCorrupt condemns the replica, anything else the process.
type Disk interface {
	Log
	ledger.Past
	// Identity is who this replica is; zero on an empty or wiped disk.
	Identity() store.Identity
	// SetIdentity is synced.
	SetIdentity(store.Identity) error
	// Meta describes the checkpoint; false when there is none.
	Meta() (ledger.Meta, bool)
	// Load returns the state as of the checkpoint; ledger.New() when there is none.
	Load() (*ledger.State, error)
	// Persist makes the segment part of the checkpoint, atomically. Segments come in order.
	Persist(*ledger.Segment) error
}

// Checkpoint is a place in the log up to which the effects are on disk, and the members there.
type Checkpoint struct {
	Index   uint64
	Term    uint64
	Members Members
}

// CheckpointOf reads what a replica starts from: its checkpoint, or the founders it was born with.
func CheckpointOf(d Disk) (Checkpoint, error) {
	meta, ok := d.Meta()
	blob := meta.Members
	if !ok {
		blob = d.Identity().Birth
	}
	members, err := ParseMembers(blob)
	return Checkpoint{Index: meta.Index, Term: meta.Term, Members: members}, err
}

// History is what reads need of a disk besides: the past that is not in memory any more. *store.Shard is one.
type History interface {
	Disk
	// Logged returns an entry of the log, however old, as it was written.
	Logged(index uint64) (Entry, error)
	// Statement returns rows of an account older than before (0: all), newest first, without tearing a transaction apart.
	Statement(account holdfast.AccountID, before holdfast.Time, max int) ([]ledger.Row, error)
	// BalanceAt returns the newest row of an account at or before t.
	BalanceAt(account holdfast.AccountID, t holdfast.Time) (ledger.Row, bool, error)
	// ByRef returns transfers that carry ref and stand before a place (zero: all), newest first.
	ByRef(ref holdfast.Ref, before ledger.Place, max int) ([]ledger.RefRow, error)
	// Records returns records that carry the index key, with a Key above after, in order of Key.
	Records(index, after string, max int) ([]holdfast.Record, error)
	// OwnedRecords returns records of the owners of a slot whose Key begins with prefix and is above after, in order of Key.
	OwnedRecords(slot holdfast.Slot, prefix, after string, max int) ([]holdfast.Record, error)
}

var _ History = (*store.Shard)(nil)
