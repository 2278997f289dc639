package ledger

import "holdfast"

// Meta is what a checkpoint has to know besides its tables.
type Meta struct {
	Index   uint64        // the last log entry whose effects are in
	Term    uint64        // raft's term of that entry; filled in by the shard
	Time    holdfast.Time // the last one given to a transaction
	Digest  uint64        // of everything up to Index
	Members []byte        // opaque; filled in by the shard

	CheckedIndex  uint64 // the last digest entry applied, and the digest there
	CheckedDigest uint64

	Accounts  uint64 // how many there are
	Holds     uint64 // how many are open
	Txns      uint64 // done since the beginning
	Transfers uint64 // done since the beginning, legs of all kinds
	NextSeq   uint64 // of the next outbox message
	Totals    []AssetTotal
}

// IDRow is one use of an id. Of several rows with the same id the last counts: closing a hold rewrites its row.
type IDRow struct {
	ID holdfast.ID
	Trace
}

// RowKind says what a [Row] came from. The numbers are on disks: append, never renumber.
type RowKind uint8

const (
	// RowChange is an account opened, frozen, thawed or closed.
	RowChange RowKind = iota + 1
	// RowDebit is a leg that has this account on its debit side; RowCredit one that has it on the credit side.
	RowDebit
	RowCredit
)

// Row is an account after one change: a line of its statement. What moved is the difference to the line before.
type Row struct {
	Account uint32 // ordinal: see [Segment.Account]
	// Prev is how many rows before this one the account's previous row stands, possibly in an earlier segment; 0: there was
	// none in memory.
	Prev  uint32
	Time  holdfast.Time
	Index uint64
	Ord   uint32
	Leg   holdfast.Leg // NoLeg for RowChange
	Kind  RowKind
	Flags holdfast.Flags

	DebitsPosted   holdfast.Amount
	CreditsPosted  holdfast.Amount
	DebitsPending  holdfast.Amount
	CreditsPending holdfast.Amount
}

// Position returns where in the log the change stands.
func (r *Row) Position() holdfast.Position { return holdfast.Position{Index: r.Index, Ord: r.Ord} }

// RefRow is a transfer that carries a reference.
type RefRow struct {
	Ref  holdfast.Ref
	ID   holdfast.ID // of the transfer
	Prev uint32      // number, counted from 1, of the row before it in the segment with the same Ref; 0: none
	holdfast.Position
	Leg holdfast.Leg
}

// RecordRow is the last version of a record within a segment.
type RecordRow struct {
	holdfast.Record
	Deleted  bool     // then Index and Body are empty
	OldIndex []string // the index keys it had before the segment, to be removed
}

// Segment is the effects of a stretch of the log: what one checkpoint adds. Once sealed it is never written again, and
// may be read by any goroutine. Order of application: Opened before Closed, Queued before Acked.
type Segment struct {
	Meta    Meta
	IDs     []IDRow
	Rows    []Row
	Refs    []RefRow
	Records []RecordRow
	Opened  []OpenHold    // holds
	Closed  []holdfast.ID // holds
	Queued  []holdfast.Queued
	Acked   []uint64
}

// Account returns the unchanging part of the account that rows call ordinal: ID, Limit, Code, Ref, Opened. Its sums and
// flags are zero: those are in the rows.
func (g *Segment) Account(ordinal uint32) holdfast.Account { panic("unwritten") }
