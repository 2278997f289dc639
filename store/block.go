package store

import (
	"encoding/binary"

	"holdfast"
	"holdfast/ledger"
)

// A statement block is consecutive rows of one account, packed as differences to the row before. Its key ends in the Time of its
// first row. Rows of one transaction are never divided between blocks, so Times tell blocks apart.
//
// Per row: a byte (kind in bits 0-1, "another entry" in bit 2, "leg and flags follow" in bit 3, which of the four sums changed
// in bits 4-7); the Time less that of the row before; for another entry the difference of Index, and Ord (within an entry Ord
// rises as Time does); leg+1 (0 for none) and flags, else both are 0; the differences of the sums that changed, zig-zag.
const (
	rowKind  = 0x03
	rowEntry = 0x04
	rowExtra = 0x08
	rowSums  = 4 // shift

	blockRows  = 512 // a block closes when it has this many rows ...
	blockBytes = 8 << 10
)

// appendRow packs r after prev; for the first row of a block prev is a zero Row with the Time of r.
func appendRow(b []byte, prev, r *ledger.Row) []byte {
	at := len(b)
	b = append(b, byte(r.Kind)&rowKind)
	step := uint64(r.Time - prev.Time)
	b = binary.AppendUvarint(b, step)
	if r.Index != prev.Index || uint64(r.Ord) != uint64(prev.Ord)+step {
		b[at] |= rowEntry
		b = binary.AppendUvarint(b, r.Index-prev.Index)
		b = binary.AppendUvarint(b, uint64(r.Ord))
	}
	if r.Leg != 0 || r.Flags != 0 {
		b[at] |= rowExtra
		b = append(binary.AppendUvarint(b, uint64(r.Leg+1)), byte(r.Flags))
	}
	if d := r.DebitsPosted - prev.DebitsPosted; d != 0 {
		b[at] |= 1 << rowSums
		b = appendVarint(b, int64(d))
	}
	if d := r.CreditsPosted - prev.CreditsPosted; d != 0 {
		b[at] |= 2 << rowSums
		b = appendVarint(b, int64(d))
	}
	if d := r.DebitsPending - prev.DebitsPending; d != 0 {
		b[at] |= 4 << rowSums
		b = appendVarint(b, int64(d))
	}
	if d := r.CreditsPending - prev.CreditsPending; d != 0 {
		b[at] |= 8 << rowSums
		b = appendVarint(b, int64(d))
	}
	return b
}

// readRow unpacks the row after prev, in place of it.
func readRow(u *unpacker, r *ledger.Row) {
	head := u.byte()
	r.Kind = ledger.RowKind(head & rowKind)
	step := u.uvarint()
	r.Time += holdfast.Time(step)
	r.Ord += uint32(step)
	if head&rowEntry != 0 {
		r.Index += u.uvarint()
		r.Ord = uint32(u.uvarint())
	}
	r.Leg, r.Flags = 0, 0
	if head&rowExtra != 0 {
		r.Leg = holdfast.Leg(u.uvarint() - 1)
		r.Flags = holdfast.Flags(u.byte())
	}
	sums := [...]*holdfast.Amount{&r.DebitsPosted, &r.CreditsPosted, &r.DebitsPending, &r.CreditsPending}
	for i, sum := range sums {
		if head&(1<<(rowSums+i)) != 0 {
			*sum += holdfast.Amount(u.varint())
		}
	}
}

// readBlock unpacks the rows of a block up to and including the Time last into rows.
func readBlock(key, value []byte, last holdfast.Time, rows []ledger.Row) ([]ledger.Row, error) {
	u := unpacker{b: value}
	r := ledger.Row{Time: blockTime(key)}
	for len(u.b) > 0 {
		readRow(&u, &r)
		if u.bad || r.Time > last {
			break
		}
		rows = append(rows, r)
	}
	if u.bad {
		return rows, u.done(key, "a block of a statement")
	}
	return rows, nil
}

func blockKey(b []byte, shard holdfast.ShardID, account holdfast.AccountID, first holdfast.Time) []byte {
	b = account.Append(appendKey(b, shard, kindBlock))
	return binary.BigEndian.AppendUint64(b, uint64(first))
}

const blockKeyBytes = keyHead + holdfast.AccountIDBytes + 8

func blockTime(key []byte) holdfast.Time {
	return holdfast.Time(binary.BigEndian.Uint64(key[blockKeyBytes-8:]))
}
