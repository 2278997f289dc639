package ledger

import (
	"encoding/binary"

	"holdfast"
)

// The outcome, for answers between sites (never on disk). All numbers are big-endian.
//
//	bits     1   1 replay, 2 leg, 4 place, 8 field
//	status   1
//	code     2
//	id      16
//	[leg]    2   not NoLeg
//	[place] 20   time 8, index 8, ord 4; not all zero
//	[field]      string, not empty
const (
	outcomeReplay byte = 1 << iota
	outcomeLeg
	outcomePlace
	outcomeField
	outcomeBits = 1<<iota - 1
)

func bitsOf(o *holdfast.Outcome) byte {
	return bit(o.Replay, outcomeReplay) | bit(o.Leg != holdfast.NoLeg, outcomeLeg) |
		bit(o.Time != 0 || o.Position != holdfast.Position{}, outcomePlace) | bit(o.Field != "", outcomeField)
}

// AppendOutcome appends the encoded outcome.
func AppendOutcome(b []byte, o *holdfast.Outcome) []byte {
	bits := bitsOf(o)
	b = append(b, bits, byte(o.Status))
	b = binary.BigEndian.AppendUint16(b, uint16(o.Code))
	b = append(b, o.ID[:]...)
	if bits&outcomeLeg != 0 {
		b = binary.BigEndian.AppendUint16(b, uint16(o.Leg))
	}
	if bits&outcomePlace != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(o.Time))
		b = binary.BigEndian.AppendUint64(b, o.Index)
		b = binary.BigEndian.AppendUint32(b, o.Ord)
	}
	if bits&outcomeField != 0 {
		b = appendBytes(b, o.Field)
	}
	return b
}

// ReadOutcome decodes the outcome at the start of body into o and returns what follows it.
func ReadOutcome(body []byte, o *holdfast.Outcome) (rest []byte, err error) {
	r := reader{b: body}
	bits := r.bits(outcomeBits, "bits of an outcome")
	*o = holdfast.Outcome{Status: holdfast.Status(r.u8("status")), Code: holdfast.Code(r.u16("code")), Leg: holdfast.NoLeg}
	o.ID = r.id("transaction id")
	o.Replay = bits&outcomeReplay != 0
	if bits&outcomeLeg != 0 {
		o.Leg = holdfast.Leg(r.u16("leg"))
	}
	if bits&outcomePlace != 0 {
		o.Time = holdfast.Time(r.u64("time"))
		o.Index, o.Ord = r.u64("index"), r.u32("ord")
	}
	if bits&outcomeField != 0 {
		o.Field = r.string("field")
	}
	if r.err == nil && bits != bitsOf(o) {
		r.fail("an outcome carries a field that is zero")
	}
	return r.b, r.err
}
