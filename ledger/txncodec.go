package ledger

import (
	"encoding/binary"
	"slices"
	"time"

	"holdfast"
)

// The transaction, in one of two forms. The first byte tells which.
//
// Plain: one immediate transfer without an id of its own, both accounts of one asset, and nothing else.
//
//	shape       1   1, plus 2 when it has a code, plus 4 when it has a reference
//	id         16
//	debit      20   owner 8, purpose 8, asset 4
//	credit     16   owner 8, purpose 8
//	amount      8
//	[code]      4   not 0
//	[ref]      16   not 0
//
// General: everything that is not plain.
//
//	shape       1   16
//	id         16
//	counts          six uvarints: preconditions, account changes, transfers, records, messages, acks
//	precondition    key string, version uvarint
//	account change  op 1, bits 1 (1 limit, 2 code, 4 ref), id 20, [limit 1], [code 4], [ref 16]
//	transfer        kind 1, bits 1 (1 id, 2 debit, 4 credit, 8 amount, 16 hold, 32 timeout, 64 code, 128 ref), then those
//	                that are not zero: 16, 20, 20, 8, 16, 8 (nanoseconds), 4, 16 bytes
//	record          bits 1 (1 delete, 2 carry, 4 pend, 8 keep, 16 take back), key string, expected version uvarint, count of index keys
//	                uvarint, those strings, body; to carry: version uvarint, changed 8; to keep or take back: payment 16
//	message         shard 2, topic string, body
//	ack             uvarint
//
// There is one encoding for every transaction, so that equal bytes mean equal transactions: ReadTxn refuses a zero field
// that is present, a longer number than needed, and the general form of a plain transaction.
const (
	shapePlain   = 0x01
	shapeCode    = 0x02
	shapeRef     = 0x04
	shapeGeneral = 0x10

	plainMinBytes = 1 + 16 + 20 + 16 + 8
)

// plain is a transaction of the plain form.
type plain struct {
	id     holdfast.ID
	debit  holdfast.AccountID
	credit holdfast.AccountID
	amount holdfast.Amount
	code   uint32
	ref    holdfast.Ref
}

func isPlain(t *holdfast.Txn) bool {
	if len(t.Transfers) != 1 || len(t.Preconditions)+len(t.Accounts)+len(t.Records)+len(t.Messages)+len(t.Acks) != 0 {
		return false
	}
	leg := &t.Transfers[0]
	return leg.Kind == holdfast.Immediate && leg.ID.IsZero() && leg.Hold.IsZero() && leg.Timeout == 0 &&
		leg.Debit.Asset == leg.Credit.Asset
}

// plainBytes is the length of the plain transaction at the start of b; 0 when there is none, or not all of it.
func plainBytes(b []byte) int {
	if len(b) < plainMinBytes || b[0]&shapePlain == 0 || b[0] > shapePlain|shapeCode|shapeRef {
		return 0
	}
	n := plainMinBytes + int(b[0]&shapeCode)*2 + int(b[0]&shapeRef)*4
	if len(b) < n {
		return 0
	}
	return n
}

// readPlain decodes a plain transaction, of which b holds exactly the bytes. It is false when a field that is
// present is zero.
func readPlain(b []byte, p *plain) (ok bool) {
	_ = b[plainMinBytes-1]
	p.id = holdfast.ID(b[1:17])
	p.debit = holdfast.AccountIDOf(b[17:37])
	p.credit.Owner = holdfast.Owner(binary.BigEndian.Uint64(b[37:]))
	p.credit.Purpose = holdfast.Purpose(binary.BigEndian.Uint64(b[45:]))
	p.credit.Asset = p.debit.Asset
	p.amount = holdfast.Amount(binary.BigEndian.Uint64(b[53:]))
	p.code, p.ref, ok = 0, holdfast.Ref{}, true
	rest := b[plainMinBytes:]
	if b[0]&shapeCode != 0 {
		p.code = binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		ok = p.code != 0
	}
	if b[0]&shapeRef != 0 {
		p.ref = holdfast.Ref(rest)
		ok = ok && !p.ref.IsZero()
	}
	return ok
}

func appendPlain(b []byte, t *holdfast.Txn) []byte {
	leg := &t.Transfers[0]
	b = append(b, shapePlain|bit(leg.Code != 0, shapeCode)|bit(!leg.Ref.IsZero(), shapeRef))
	b = append(b, t.ID[:]...)
	b = leg.Debit.Append(b)
	b = binary.BigEndian.AppendUint64(b, uint64(leg.Credit.Owner))
	b = binary.BigEndian.AppendUint64(b, uint64(leg.Credit.Purpose))
	b = binary.BigEndian.AppendUint64(b, uint64(leg.Amount))
	return appendCodeRef(b, leg.Code, leg.Ref)
}

func appendCodeRef(b []byte, code uint32, ref holdfast.Ref) []byte {
	if code != 0 {
		b = binary.BigEndian.AppendUint32(b, code)
	}
	if !ref.IsZero() {
		b = append(b, ref[:]...)
	}
	return b
}

// AppendTxn appends the encoded transaction. The encoding is canonical: two transactions have the same bytes when, and only
// when, all their fields are equal (nil and empty slices are).
func AppendTxn(b []byte, t *holdfast.Txn) []byte {
	if isPlain(t) {
		return appendPlain(b, t)
	}
	b = append(b, shapeGeneral)
	b = append(b, t.ID[:]...)
	for _, n := range counts(t) {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for i := range t.Preconditions {
		b = appendBytes(b, t.Preconditions[i].Key)
		b = binary.AppendUvarint(b, t.Preconditions[i].Version)
	}
	for i := range t.Accounts {
		b = appendAccountChange(b, &t.Accounts[i])
	}
	for i := range t.Transfers {
		b = appendTransfer(b, &t.Transfers[i])
	}
	for i := range t.Records {
		b = appendRecordChange(b, &t.Records[i])
	}
	for i := range t.Messages {
		b = binary.BigEndian.AppendUint16(b, uint16(t.Messages[i].To))
		b = appendBytes(b, t.Messages[i].Topic)
		b = appendBytes(b, t.Messages[i].Body)
	}
	for _, seq := range t.Acks {
		b = binary.AppendUvarint(b, seq)
	}
	return b
}

func counts(t *holdfast.Txn) [6]int {
	return [6]int{len(t.Preconditions), len(t.Accounts), len(t.Transfers), len(t.Records), len(t.Messages), len(t.Acks)}
}

// Bits of an account change.
const (
	changeLimit byte = 1 << iota
	changeCode
	changeRef
	changeBits = 1<<iota - 1
)

func appendAccountChange(b []byte, c *holdfast.AccountChange) []byte {
	b = append(b, byte(c.Op), bit(c.Limit != 0, changeLimit)|bit(c.Code != 0, changeCode)|bit(!c.Ref.IsZero(), changeRef))
	b = c.ID.Append(b)
	if c.Limit != 0 {
		b = append(b, byte(c.Limit))
	}
	return appendCodeRef(b, c.Code, c.Ref)
}

func (r *reader) accountChange() (c holdfast.AccountChange) {
	c.Op = holdfast.AccountOp(r.u8("account op"))
	bits := r.bits(changeBits, "bits of an account change")
	c.ID = r.account("account")
	if bits&changeLimit != 0 {
		c.Limit = holdfast.Limit(r.u8("limit"))
	}
	if bits&changeCode != 0 {
		c.Code = r.u32("account code")
	}
	if bits&changeRef != 0 {
		c.Ref = r.ref("account reference")
	}
	if bits != bit(c.Limit != 0, changeLimit)|bit(c.Code != 0, changeCode)|bit(!c.Ref.IsZero(), changeRef) {
		r.fail("an account change carries a field that is zero")
	}
	return c
}

// Bits of a transfer.
const (
	legID byte = 1 << iota
	legDebit
	legCredit
	legAmount
	legHold
	legTimeout
	legCode
	legRef
)

func legBits(t *holdfast.Transfer) byte {
	return bit(!t.ID.IsZero(), legID) | bit(t.Debit != holdfast.AccountID{}, legDebit) |
		bit(t.Credit != holdfast.AccountID{}, legCredit) | bit(t.Amount != 0, legAmount) | bit(!t.Hold.IsZero(), legHold) |
		bit(t.Timeout != 0, legTimeout) | bit(t.Code != 0, legCode) | bit(!t.Ref.IsZero(), legRef)
}

func appendTransfer(b []byte, t *holdfast.Transfer) []byte {
	bits := legBits(t)
	b = append(b, byte(t.Kind), bits)
	if bits&legID != 0 {
		b = append(b, t.ID[:]...)
	}
	if bits&legDebit != 0 {
		b = t.Debit.Append(b)
	}
	if bits&legCredit != 0 {
		b = t.Credit.Append(b)
	}
	if bits&legAmount != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Amount))
	}
	if bits&legHold != 0 {
		b = append(b, t.Hold[:]...)
	}
	if bits&legTimeout != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Timeout))
	}
	return appendCodeRef(b, t.Code, t.Ref)
}

func (r *reader) transfer(t *holdfast.Transfer) {
	*t = holdfast.Transfer{Kind: holdfast.Kind(r.u8("transfer kind"))}
	bits := r.u8("bits of a transfer")
	if bits&legID != 0 {
		t.ID = r.id("transfer id")
	}
	if bits&legDebit != 0 {
		t.Debit = r.account("debit account")
	}
	if bits&legCredit != 0 {
		t.Credit = r.account("credit account")
	}
	if bits&legAmount != 0 {
		t.Amount = holdfast.Amount(r.u64("amount"))
	}
	if bits&legHold != 0 {
		t.Hold = r.id("hold id")
	}
	if bits&legTimeout != 0 {
		t.Timeout = time.Duration(r.u64("timeout"))
	}
	if bits&legCode != 0 {
		t.Code = r.u32("transfer code")
	}
	if bits&legRef != 0 {
		t.Ref = r.ref("transfer reference")
	}
	if r.err == nil && bits != legBits(t) {
		r.fail("a transfer carries a field that is zero")
	}
}

// Bits of a record: one for deleting, and one for each RecordOp but RecordWrite.
const (
	recordDelete byte = 1 << iota
	recordCarry
	recordPend
	recordKeep
	recordTakeBack
	recordBits = 1<<iota - 1
)

// opBits are the bits of each RecordOp.
var opBits = [holdfast.RecordOps]byte{0, recordCarry, recordPend, recordKeep, recordTakeBack}

func appendRecordChange(b []byte, c *holdfast.RecordChange) []byte {
	b = append(b, bit(c.Delete, recordDelete)|opBits[min(c.Op, holdfast.RecordOps-1)])
	b = appendBytes(b, c.Key)
	b = binary.AppendUvarint(b, c.Expect)
	b = binary.AppendUvarint(b, uint64(len(c.Index)))
	for _, key := range c.Index {
		b = appendBytes(b, key)
	}
	b = appendBytes(b, c.Body)
	switch c.Op {
	case holdfast.RecordCarry:
		b = binary.AppendUvarint(b, c.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(c.Changed))
	case holdfast.RecordKeep, holdfast.RecordTakeBack:
		b = append(b, c.Payment[:]...)
	}
	return b
}

func (r *reader) recordChange() (c holdfast.RecordChange) {
	bits := r.bits(recordBits, "bits of a record")
	c.Delete = bits&recordDelete != 0
	op := slices.Index(opBits[:], bits&^recordDelete)
	if op < 0 {
		r.fail("bits of a record are %08b: it does several things at once", bits)
		return c
	}
	c.Op = holdfast.RecordOp(op)
	c.Key = r.string("record key")
	c.Expect = r.uvarint("expected version")
	for range r.count(holdfast.MaxIndexKeys, "count of index keys") {
		c.Index = append(c.Index, r.string("index key"))
	}
	c.Body = r.bytes("record body")
	switch c.Op {
	case holdfast.RecordCarry:
		c.Version, c.Changed = r.uvarint("carried version"), holdfast.Time(r.u64("time of a carried version"))
	case holdfast.RecordKeep, holdfast.RecordTakeBack:
		c.Payment = r.id("payment of a record")
	}
	return c
}

// ReadTxn decodes the transaction at the start of body into t, reusing the room of t.Transfers, and returns what follows it.
// Record and message bodies alias body. Anything that AppendTxn would not have written is an error, and so is a list longer
// than MaxLegs.
func ReadTxn(body []byte, t *holdfast.Txn) (rest []byte, err error) {
	*t = holdfast.Txn{Transfers: t.Transfers[:0]}
	if n := plainBytes(body); n > 0 {
		return body[n:], readPlainTxn(body[:n], t)
	}
	r := reader{b: body}
	if shape := r.u8("transaction"); shape != shapeGeneral && r.err == nil {
		return nil, corrupt("a transaction of %d bytes starts with %#02x: neither a whole plain nor a general one", len(body), shape)
	}
	r.general(t)
	if r.err == nil && isPlain(t) {
		r.fail("transaction %s is plain and not in the plain form", t.ID)
	}
	return r.b, r.err
}

func readPlainTxn(b []byte, t *holdfast.Txn) error {
	var p plain
	if !readPlain(b, &p) {
		return corrupt("transaction %s carries a field that is zero", p.id)
	}
	t.ID = p.id
	t.Transfers = append(t.Transfers, p.transfer())
	return nil
}

func (p *plain) transfer() holdfast.Transfer {
	return holdfast.Transfer{
		Kind: holdfast.Immediate, Debit: p.debit, Credit: p.credit, Amount: p.amount, Code: p.code, Ref: p.ref,
	}
}

// general reads everything after the shape. Lists grow as their elements are read: a count is not trusted with memory.
func (r *reader) general(t *holdfast.Txn) {
	t.ID = r.id("transaction id")
	var n [6]int
	for i := range n {
		n[i] = r.count(holdfast.MaxLegs, "count of a list")
	}
	for i := 0; i < n[0] && r.err == nil; i++ {
		p := holdfast.Precondition{Key: r.string("precondition key"), Version: r.uvarint("precondition version")}
		t.Preconditions = append(t.Preconditions, p)
	}
	for i := 0; i < n[1] && r.err == nil; i++ {
		t.Accounts = append(t.Accounts, r.accountChange())
	}
	for i := 0; i < n[2] && r.err == nil; i++ {
		t.Transfers = append(t.Transfers, holdfast.Transfer{})
		r.transfer(&t.Transfers[i])
	}
	for i := 0; i < n[3] && r.err == nil; i++ {
		t.Records = append(t.Records, r.recordChange())
	}
	for i := 0; i < n[4] && r.err == nil; i++ {
		m := holdfast.Message{To: holdfast.ShardID(r.u16("shard")), Topic: r.string("topic"), Body: r.bytes("message body")}
		t.Messages = append(t.Messages, m)
	}
	for i := 0; i < n[5] && r.err == nil; i++ {
		t.Acks = append(t.Acks, r.uvarint("ack"))
	}
}

// txnBytes is at least the length of the encoded transaction: exact but for accounts and transfers, taken at their longest.
func txnBytes(t *holdfast.Txn) int {
	size := 1 + 16
	for _, n := range counts(t) {
		size += uvarintBytes(uint64(n))
	}
	text := func(n int) int { return uvarintBytes(uint64(n)) + n }
	for i := range t.Preconditions {
		size += text(len(t.Preconditions[i].Key)) + uvarintBytes(t.Preconditions[i].Version)
	}
	size += len(t.Accounts) * accountChangeMaxBytes
	size += len(t.Transfers) * transferMaxBytes
	for i := range t.Records {
		c := &t.Records[i]
		size += 1 + text(len(c.Key)) + uvarintBytes(c.Expect) + uvarintBytes(uint64(len(c.Index))) + text(len(c.Body))
		switch c.Op {
		case holdfast.RecordCarry:
			size += uvarintBytes(c.Version) + 8
		case holdfast.RecordKeep, holdfast.RecordTakeBack:
			size += len(c.Payment)
		}
		for _, key := range c.Index {
			size += text(len(key))
		}
	}
	for i := range t.Messages {
		size += 2 + text(len(t.Messages[i].Topic)) + text(len(t.Messages[i].Body))
	}
	for _, seq := range t.Acks {
		size += uvarintBytes(seq)
	}
	return size
}

// The longest account change and transfer: 8,000 of the longest legs fit into MaxTxnBytes.
const (
	accountChangeMaxBytes = 2 + holdfast.AccountIDBytes + 1 + 4 + 16
	transferMaxBytes      = 2 + 16 + 2*holdfast.AccountIDBytes + 8 + 16 + 8 + 4 + 16
)
