package ledger

import (
	"cmp"
	"strings"

	"holdfast"
)

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

// Place is where a transfer stands in the log; the zero Place is no transfer's.
type Place struct {
	holdfast.Position
	Leg holdfast.Leg
}

// Compare orders places as the log does.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Index, q.Index), cmp.Compare(p.Ord, q.Ord), cmp.Compare(p.Leg, q.Leg))
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

	firstRow uint64 // number of Rows[0]
	byID     table  // over IDs, the last row of each id
	byRef    table  // over Refs, the last row of each reference
	byKey    map[string]uint32
	byIndex  map[string][]uint32        // record rows that carry an index key, or did earlier; some twice
	bySlot   map[holdfast.Slot][]uint32 // record rows of owners
	hot      pages[account]
	rest     pages[accountRest]
}

// Account returns the unchanging part of the account that rows call ordinal: ID, Limit, Code, Ref, Opened. Its sums and
// flags are zero: those are in the rows.
func (g *Segment) Account(ordinal uint32) holdfast.Account {
	a, rest := g.hot.at(ordinal), g.rest.at(ordinal)
	return holdfast.Account{ID: a.id(), Limit: a.limit, Code: rest.code, Ref: rest.ref, Opened: rest.opened}
}

// What a row takes in a table at most, with its key and what the engine adds to it, but without the texts that have no fixed length.
const (
	tablesBytes  = 32 << 10 // of everything that is there once: heads and ends of tables, the Meta without its Totals
	idBytes      = 128
	changeBytes  = 288 // a row of a statement, a block that it is alone in, and the image of its account
	refBytes     = 128
	holdBytes    = 208
	recordBytes  = 128
	messageBytes = 128
	keyBytes     = 64 // a row without a value, or the end of one
	totalBytes   = 128
)

// Size is about how many bytes the segment takes on disk, rather too many than too few: whoever has no room for it must know that before
// the engine does.
func (g *Segment) Size() (n uint64) {
	n = tablesBytes + uint64(len(g.Meta.Members)+totalBytes*len(g.Meta.Totals))
	n += uint64(idBytes*len(g.IDs) + changeBytes*len(g.Rows) + refBytes*len(g.Refs))
	n += uint64(holdBytes*len(g.Opened) + keyBytes*(len(g.Closed)+len(g.Acked)))
	for i := range g.Records {
		n += g.Records[i].size()
	}
	for i := range g.Queued {
		n += messageBytes + uint64(len(g.Queued[i].Topic)+len(g.Queued[i].Body))
	}
	return n
}

// size counts the row of the record, and one of its own for each index key that it has or had, in which a zero byte takes two. Long keys
// count twice: the engine repeats some in the index of a table.
func (r *RecordRow) size() uint64 {
	n := recordBytes + 2*len(r.Key) + len(r.Body)
	for _, index := range r.Index {
		n += len(index) + indexBytes(r.Key, index)
	}
	for _, index := range r.OldIndex {
		n += indexBytes(r.Key, index)
	}
	if r.Pending != nil && r.Pending.Before != nil {
		n += recordBytes + len(r.Pending.Before.Body)
		for _, index := range r.Pending.Before.Index {
			n += len(index)
		}
	}
	return uint64(n)
}

func indexBytes(key, index string) int {
	return keyBytes + 2*(len(index)+strings.Count(index, "\x00")+len(key))
}

// newSegment opens a segment with a little more room than the one before it needed, so that it seldom has to move while it fills.
func newSegment(firstRow uint64, before *Segment) *Segment {
	g := &Segment{firstRow: firstRow, byIndex: map[string][]uint32{}, bySlot: map[holdfast.Slot][]uint32{}}
	if before == nil {
		g.byKey = map[string]uint32{}
		return g
	}
	records := len(before.Records) + len(before.Records)/8
	g.Records, g.byKey = make([]RecordRow, 0, records), make(map[string]uint32, records)
	g.IDs = make([]IDRow, 0, len(before.IDs)+len(before.IDs)/8)
	g.Rows = make([]Row, 0, len(before.Rows)+len(before.Rows)/8)
	g.Refs = make([]RefRow, 0, len(before.Refs)+len(before.Refs)/8)
	if n := len(before.byID.slots); before.byID.used > n/4 {
		g.byID.grow(n)
	}
	return g
}

func (g *Segment) size() int {
	return len(g.Rows) + len(g.IDs) + len(g.Records) + len(g.Queued) + len(g.Acked)
}

// findID returns the last row of an id.
func (g *Segment) findID(id holdfast.ID, tag uint32) *IDRow {
	for n, i := g.byID.seek(tag, tag); n != 0; n, i = g.byID.seek(tag, i+1) {
		if row := &g.IDs[n-1]; row.ID == id {
			return row
		}
	}
	return nil
}

// addID appends a row for an id that has none in the segment yet.
func (g *Segment) addID(id holdfast.ID, tag uint32, t Trace) {
	g.IDs = append(g.IDs, IDRow{id, t})
	g.byID.add(tag, uint32(len(g.IDs)))
}

// rewriteID appends a row that supersedes those before it.
func (g *Segment) rewriteID(id holdfast.ID, t Trace) {
	tag := tagOf(id.Hash())
	for n, i := g.byID.seek(tag, tag); n != 0; n, i = g.byID.seek(tag, i+1) {
		if g.IDs[n-1].ID == id {
			g.IDs = append(g.IDs, IDRow{id, t})
			g.byID.set(i, uint32(len(g.IDs)))
			return
		}
	}
	g.addID(id, tag, t)
}

func (g *Segment) addRef(row RefRow) {
	tag := tagOf(holdfast.ID(row.Ref).Hash())
	n, slot := g.lastRef(row.Ref, tag)
	row.Prev = n
	g.Refs = append(g.Refs, row)
	if n != 0 {
		g.byRef.set(slot, uint32(len(g.Refs)))
		return
	}
	g.byRef.add(tag, uint32(len(g.Refs)))
}

// lastRef returns the number, from 1, of the last row of a reference, and its slot; n is 0 when there is none.
func (g *Segment) lastRef(ref holdfast.Ref, tag uint32) (n, slot uint32) {
	for n, slot = g.byRef.seek(tag, tag); n != 0; n, slot = g.byRef.seek(tag, slot+1) {
		if g.Refs[n-1].Ref == ref {
			return n, slot
		}
	}
	return 0, 0
}
