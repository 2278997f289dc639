package store

import (
	"encoding/binary"
	"fmt"

	"holdfast"
	"holdfast/ledger"
)

// Formats of values in the state database. Each value starts with its format, except those of ids and blocks, which are so
// many that the format of all of them is in the meta.
const (
	formatMeta    = 1
	formatRanges  = 1
	formatAccount = 1
	formatHold    = 1
	formatRecord  = 1
	formatQueued  = 1

	formatPending = 2 // of a record that a payment under way has written
)

// unpacker reads packed fields one after the other; the first that is not there makes it bad for good.
type unpacker struct {
	b   []byte
	bad bool
}

func (u *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.b, u.bad = nil, true
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) varint() int64 {
	v := u.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (u *unpacker) byte() byte {
	if len(u.b) == 0 {
		u.bad = true
		return 0
	}
	c := u.b[0]
	u.b = u.b[1:]
	return c
}

// take returns the next n bytes, which alias the input.
func (u *unpacker) take(n int) []byte {
	if n < 0 || n > len(u.b) {
		u.b, u.bad = nil, true
		return nil
	}
	out := u.b[:n:n]
	u.b = u.b[n:]
	return out
}

// text returns a copy of a counted string of bytes.
func (u *unpacker) text() string { return string(u.take(u.count())) }

func (u *unpacker) blob() []byte {
	if b := u.take(u.count()); len(b) > 0 {
		return append([]byte(nil), b...)
	}
	return nil
}

// count reads a number of things of at least one byte each, which therefore cannot be above the bytes left.
func (u *unpacker) count() int {
	n := u.uvarint()
	if n > uint64(len(u.b)) {
		u.b, u.bad = nil, true
		return 0
	}
	return int(n)
}

func (u *unpacker) word() (w [16]byte) {
	copy(w[:], u.take(16))
	return w
}

func (u *unpacker) account() holdfast.AccountID {
	if b := u.take(holdfast.AccountIDBytes); b != nil {
		return holdfast.AccountIDOf(b)
	}
	return holdfast.AccountID{}
}

func (u *unpacker) amount() holdfast.Amount { return holdfast.Amount(u.uvarint()) }

// done answers an error when the value was too short, too long or of another format.
func (u *unpacker) done(key []byte, what string) error {
	if !u.bad && len(u.b) == 0 {
		return nil
	}
	return &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: "cannot decode " + what}
}

func unpack(value []byte, format byte) unpacker {
	u := unpacker{b: value}
	if u.byte() != format {
		u.b, u.bad = nil, true
	}
	return u
}

func appendVarint(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v)<<1^uint64(v>>63))
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// A trace: a byte (hold state in bits 0-2, "a leg follows" in bit 3, "a code follows" in bit 4), index, ord, leg, code.
const (
	traceHold = 0x07
	traceLeg  = 0x08
	traceCode = 0x10
)

func appendTrace(b []byte, t *ledger.Trace) []byte {
	head := byte(t.Hold)
	if t.Leg != holdfast.NoLeg {
		head |= traceLeg
	}
	if t.Code != holdfast.CodeOK {
		head |= traceCode
	}
	b = append(b, head)
	b = binary.AppendUvarint(b, t.Index)
	b = binary.AppendUvarint(b, uint64(t.Ord))
	if head&traceLeg != 0 {
		b = binary.AppendUvarint(b, uint64(t.Leg))
	}
	if head&traceCode != 0 {
		b = binary.AppendUvarint(b, uint64(t.Code))
	}
	return b
}

func readTrace(key, value []byte) (ledger.Trace, error) {
	u := unpacker{b: value}
	head := u.byte()
	t := ledger.Trace{Leg: holdfast.NoLeg, Hold: ledger.HoldState(head & traceHold)}
	t.Index, t.Ord = u.uvarint(), uint32(u.uvarint())
	if head&traceLeg != 0 {
		t.Leg = holdfast.Leg(u.uvarint())
	}
	if head&traceCode != 0 {
		t.Code = holdfast.Code(u.uvarint())
	}
	return t, u.done(key, "the trace of an id")
}

func appendAccount(b []byte, a *holdfast.Account) []byte {
	b = append(b, formatAccount, byte(a.Limit), byte(a.Flags))
	b = binary.AppendUvarint(b, uint64(a.Code))
	if a.Ref.IsZero() {
		b = append(b, 0)
	} else {
		b = append(append(b, 1), a.Ref[:]...)
	}
	b = binary.AppendUvarint(b, uint64(a.Opened))
	for _, sum := range [...]holdfast.Amount{a.DebitsPosted, a.CreditsPosted, a.DebitsPending, a.CreditsPending} {
		b = binary.AppendUvarint(b, uint64(sum))
	}
	return b
}

func readAccount(key, value []byte, a *holdfast.Account) error {
	if len(key) != keyHead+holdfast.AccountIDBytes {
		return &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: "the key of an account has a wrong length"}
	}
	u := unpack(value, formatAccount)
	*a = holdfast.Account{ID: holdfast.AccountIDOf(key[keyHead:])}
	a.Limit, a.Flags, a.Code = holdfast.Limit(u.byte()), holdfast.Flags(u.byte()), uint32(u.uvarint())
	if u.byte() == 1 {
		a.Ref = u.word()
	}
	a.Opened = holdfast.Time(u.uvarint())
	a.DebitsPosted, a.CreditsPosted = u.amount(), u.amount()
	a.DebitsPending, a.CreditsPending = u.amount(), u.amount()
	return u.done(key, "an account")
}

func appendHold(b []byte, h *ledger.OpenHold) []byte {
	b = append(b, formatHold)
	b = appendPlace(b, h.Position, h.Leg)
	b = h.Credit.Append(h.Debit.Append(b))
	for _, n := range [...]uint64{uint64(h.Amount), uint64(h.Time), uint64(h.Due), uint64(h.Code)} {
		b = binary.AppendUvarint(b, n)
	}
	return append(b, h.Ref[:]...)
}

func readHold(key, value []byte) (ledger.OpenHold, error) {
	u := unpack(value, formatHold)
	h := ledger.OpenHold{}
	copy(h.ID[:], key[keyHead:])
	h.Position, h.Leg = readPlace(&u)
	h.Debit, h.Credit = u.account(), u.account()
	h.Amount, h.Time, h.Due, h.Code = u.amount(), holdfast.Time(u.uvarint()), holdfast.Time(u.uvarint()), uint32(u.uvarint())
	h.Ref = u.word()
	return h, u.done(key, "an open hold")
}

func appendPlace(b []byte, p holdfast.Position, leg holdfast.Leg) []byte {
	b = binary.AppendUvarint(b, p.Index)
	b = binary.AppendUvarint(b, uint64(p.Ord))
	return binary.AppendUvarint(b, uint64(leg))
}

func readPlace(u *unpacker) (p holdfast.Position, leg holdfast.Leg) {
	p.Index, p.Ord = u.uvarint(), uint32(u.uvarint())
	return p, holdfast.Leg(u.uvarint())
}

func appendRecord(b []byte, r *holdfast.Record) []byte {
	if r.Pending == nil {
		return appendDocument(append(b, formatRecord), r)
	}
	b = append(appendDocument(append(b, formatPending), r), r.Pending.Payment[:]...)
	if r.Pending.Before == nil {
		return append(b, 0)
	}
	return appendDocument(append(b, 1), r.Pending.Before)
}

func appendDocument(b []byte, r *holdfast.Record) []byte {
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendUvarint(b, uint64(r.Changed))
	b = binary.AppendUvarint(b, uint64(len(r.Index)))
	for _, index := range r.Index {
		b = appendText(b, index)
	}
	return appendText(b, r.Body)
}

func readRecord(key, value []byte) (holdfast.Record, error) {
	format := byte(formatRecord)
	if len(value) > 0 && value[0] == formatPending {
		format = formatPending
	}
	u := unpack(value, format)
	r := u.document(recordName(key))
	if format == formatPending {
		r.Pending = &holdfast.PendingChange{Payment: u.word()}
		switch u.byte() {
		case 0:
		case 1:
			before := u.document(r.Key)
			r.Pending.Before = &before
		default:
			u.bad = true
		}
	}
	return r, u.done(key, "a record")
}

func (u *unpacker) document(name string) holdfast.Record {
	r := holdfast.Record{Key: name, Version: u.uvarint(), Changed: holdfast.Time(u.uvarint())}
	for n := u.count(); n > 0 && !u.bad; n-- {
		r.Index = append(r.Index, u.text())
	}
	r.Body = u.blob()
	return r
}

func appendQueued(b []byte, q *holdfast.Queued) []byte {
	b = append(append(b, formatQueued), q.Txn[:]...)
	b = binary.AppendUvarint(b, uint64(q.Time))
	b = binary.AppendUvarint(b, uint64(q.To))
	return appendText(appendText(b, q.Topic), q.Body)
}

func readQueued(key, value []byte) (holdfast.Queued, error) {
	if len(key) != keyHead+8 {
		return holdfast.Queued{}, &ErrCorrupt{
			Shard: shardOf(key), Key: append([]byte(nil), key...), What: "the key of a message has a wrong length",
		}
	}
	u := unpack(value, formatQueued)
	q := holdfast.Queued{Seq: binary.BigEndian.Uint64(key[keyHead:]), Txn: u.word(), Time: holdfast.Time(u.uvarint())}
	q.To, q.Topic, q.Body = holdfast.ShardID(u.uvarint()), u.text(), u.blob()
	return q, u.done(key, "a message")
}

// appendMeta writes the meta of a checkpoint, under its own checksum: everything else is found through it.
func appendMeta(key []byte, m *ledger.Meta) []byte {
	b := []byte{formatMeta}
	for _, n := range [...]uint64{
		m.Index, m.Term, uint64(m.Time), m.Digest, m.CheckedIndex, m.CheckedDigest,
		m.Accounts, m.Holds, m.Txns, m.Transfers, m.NextSeq, uint64(len(m.Totals)),
	} {
		b = binary.AppendUvarint(b, n)
	}
	for i := range m.Totals {
		t := &m.Totals[i]
		b = binary.AppendUvarint(b, uint64(t.Asset))
		b = binary.AppendUvarint(b, t.Accounts)
		for _, sum := range [...]ledger.Sum{t.DebitsPosted, t.CreditsPosted, t.DebitsPending, t.CreditsPending} {
			b = binary.AppendUvarint(binary.AppendUvarint(b, sum.Hi), sum.Lo)
		}
	}
	return sealed(key, appendText(b, m.Members))
}

func readMeta(key, value []byte) (*ledger.Meta, error) {
	b, err := unsealed(key, value, formatMeta)
	if err != nil {
		return nil, fmt.Errorf("the meta of the checkpoint: %w", err)
	}
	u := unpacker{b: b}
	m := &ledger.Meta{Index: u.uvarint(), Term: u.uvarint(), Time: holdfast.Time(u.uvarint()), Digest: u.uvarint()}
	m.CheckedIndex, m.CheckedDigest = u.uvarint(), u.uvarint()
	m.Accounts, m.Holds, m.Txns, m.Transfers, m.NextSeq = u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint()
	sum := func() ledger.Sum { return ledger.Sum{Hi: u.uvarint(), Lo: u.uvarint()} }
	for n := u.count(); n > 0 && !u.bad; n-- {
		t := ledger.AssetTotal{Asset: holdfast.Asset(u.uvarint()), Accounts: u.uvarint()}
		t.DebitsPosted, t.CreditsPosted, t.DebitsPending, t.CreditsPending = sum(), sum(), sum(), sum()
		m.Totals = append(m.Totals, t)
	}
	m.Members = u.blob()
	return m, u.done(key, "the meta of the checkpoint")
}

// readRef decodes a row of the references, which is mostly key.
func readRef(key, value []byte) (ledger.RefRow, error) {
	if len(key) != refKeyBytes || len(value) != 16 {
		return ledger.RefRow{}, &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: "cannot decode a reference"}
	}
	rest := key[keyHead+16:]
	row := ledger.RefRow{Ref: holdfast.Ref(key[keyHead : keyHead+16]), ID: holdfast.ID(value)}
	row.Index, row.Ord = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[8:])
	row.Leg = holdfast.Leg(binary.BigEndian.Uint16(rest[12:]))
	return row, nil
}
