package transit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"holdfast"
	"holdfast/ledger"
)

// Topic is that of the messages by which a payment stands in the outbox of its home shard.
const Topic = holdfast.ReservedPrefix + "transit"

// MaxUnderWay is how many messages a home shard may have under way to one other shard. A depart beyond it is refused as
// overloaded: not executed.
const MaxUnderWay = 1 << 16

// ErrMessage is wrapped by every error about bytes that this package would not have written.
var ErrMessage = errors.New("not a message of a payment between shards")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
}

// The body of a message, version 1. All numbers are big-endian.
//
//	version   1   = 1
//	home      2   shard
//	away      2   shard
//	legs      4   how many
//	leg           of each transfer:
//	  class   1   2 cross, 1 local, 3 far, 4 claim, 7 collect
//	  claim  48   (and collect) debit 20, credit 20, amount 8: what the hold says and the transfer may leave out
//	txn           the caller's transaction, in the encoding of package ledger
//
// In version 2, when records of owners or preconditions on them go with it, this follows:
//
//	side      1   of each precondition, then of each record: 0 home, 1 away
//
// The classes are written down and not found again by the shard map, which may have changed when the message is read.
const (
	messageVersion     = 1
	accompaniedVersion = 2
)

const (
	messageHeader = 1 + 2 + 2 + 4
	claimBytes    = 2*holdfast.AccountIDBytes + 8
)

func (p *Payment) append(b []byte) []byte {
	version := byte(messageVersion)
	if p.with.any() {
		version = accompaniedVersion
	}
	b = append(b, version)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Home))
	b = binary.BigEndian.AppendUint16(b, uint16(p.Away))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.legs)))
	for i := range p.legs {
		l := &p.legs[i]
		b = append(b, byte(l.class))
		if l.class.posts() {
			b = l.credit.Append(l.debit.Append(b))
			b = binary.BigEndian.AppendUint64(b, uint64(l.amount))
		}
	}
	b = ledger.AppendTxn(b, p.Txn)
	for _, sides := range [][]bool{p.with.preconditions, p.with.records} {
		for _, away := range sides {
			side := byte(0)
			if away {
				side = 1
			}
			b = append(b, side)
		}
	}
	return b
}

// size is the length of the body.
func (p *Payment) size() int { return len(p.append(nil)) }

// Read reads the body of a message of Topic. What it returns has the Land and Settle of the payment that wrote it.
func Read(body []byte) (Payment, error) {
	if len(body) < messageHeader || body[0] != messageVersion && body[0] != accompaniedVersion {
		return Payment{}, bad("%d bytes that do not start with version %d or %d", len(body), messageVersion, accompaniedVersion)
	}
	p := Payment{
		Home: holdfast.ShardID(binary.BigEndian.Uint16(body[1:])), Away: holdfast.ShardID(binary.BigEndian.Uint16(body[3:])),
		Txn: &holdfast.Txn{},
	}
	n, rest := binary.BigEndian.Uint32(body[5:]), body[messageHeader:]
	if p.Home == 0 || p.Home > holdfast.MaxShards || p.Away == 0 || p.Away > holdfast.MaxShards || p.Home == p.Away || n > holdfast.MaxLegs {
		return Payment{}, bad("from shard %d to shard %d with %d transfers", p.Home, p.Away, n)
	}
	p.legs = make([]leg, 0, min(int(n), len(rest)))
	for range n {
		l, after, err := readLeg(rest)
		if err != nil {
			return Payment{}, err
		}
		p.legs, rest = append(p.legs, l), after
	}
	rest, err := ledger.ReadTxn(rest, p.Txn)
	if err != nil {
		return Payment{}, bad("%v", err)
	}
	if body[0] == accompaniedVersion {
		rest, err = p.with.read(rest, p.Txn)
	}
	switch {
	case err != nil:
		return Payment{}, err
	case len(rest) > 0:
		return Payment{}, bad("%d bytes follow it", len(rest))
	}
	return p, p.complete()
}

// read reads the sides of what goes with a payment, of which there has to be something.
func (c *company) read(b []byte, t *holdfast.Txn) (rest []byte, err error) {
	n := len(t.Preconditions) + len(t.Records)
	if n == 0 || len(b) < n {
		return nil, bad("%d bytes for the sides of %d preconditions and records", len(b), n)
	}
	for i, side := range b[:n] {
		if side > 1 {
			return nil, bad("side %d", side)
		}
		list := &c.preconditions
		if i >= len(t.Preconditions) {
			list = &c.records
		}
		*list = append(*list, side == 1)
	}
	return b[n:], nil
}

func readLeg(b []byte) (l leg, rest []byte, err error) {
	if len(b) == 0 {
		return l, nil, bad("it ends among its transfers")
	}
	l.class, b = class(b[0]), b[1:]
	switch l.class {
	case local, cross, far:
		return l, b, nil
	case claim, collect:
		if len(b) < claimBytes {
			return l, nil, bad("%d bytes for the hold of a post", len(b))
		}
		l.debit, l.credit = holdfast.AccountIDOf(b), holdfast.AccountIDOf(b[holdfast.AccountIDBytes:])
		l.amount = holdfast.Amount(binary.BigEndian.Uint64(b[2*holdfast.AccountIDBytes:]))
		return l, b[claimBytes:], nil
	}
	return l, nil, bad("class %d of a transfer", l.class)
}

// complete fills the legs from the transaction, and reports what in it nobody would have sent.
func (p *Payment) complete() error {
	if code, field := ledger.Check(p.Txn); code != holdfast.CodeOK {
		return bad("transaction %s is malformed: %s %s", p.Txn.ID, code, field)
	}
	if field := p.ill(); field != "" || len(p.Txn.Transfers) != len(p.legs) {
		return bad("transaction %s has %d transfers, and %d are described %s", p.Txn.ID, len(p.Txn.Transfers), len(p.legs), field)
	}
	lands := false
	for i := range p.legs {
		t, l := &p.Txn.Transfers[i], &p.legs[i]
		if want := kindOf(l.class); t.Kind != want {
			return bad("transfer %d of %s is of kind %s and class %d", i, p.Txn.ID, t.Kind, l.class)
		}
		l.away = p.Away
		if !l.class.posts() {
			l.debit, l.credit, l.amount = t.Debit, t.Credit, t.Amount
		} else if l.debit.Check() != nil || l.credit.Check() != nil || l.debit.Asset != l.credit.Asset || l.amount <= 0 {
			return bad("transfer %d of %s posts %d from %s to %s", i, p.Txn.ID, l.amount, l.debit, l.credit)
		}
		lands = lands || l.class.landing()
	}
	if !lands {
		return bad("nothing of %s lands", p.Txn.ID)
	}
	return nil
}

// ill is the first field of what a payment cannot have with it.
func (p *Payment) ill() string {
	t := p.Txn
	switch {
	case len(t.Accounts)+len(t.Messages)+len(t.Acks) > 0:
		return "accounts, messages or acks"
	case len(t.Preconditions) != len(p.with.preconditions):
		return "preconditions"
	case len(t.Records) != len(p.with.records):
		return "records"
	}
	for i := range t.Preconditions {
		if holdfast.OwnerOfKey(t.Preconditions[i].Key) == 0 {
			return name("preconditions", i, "key")
		}
	}
	for i := range t.Records {
		if holdfast.OwnerOfKey(t.Records[i].Key) == 0 || t.Records[i].Delete && !p.with.records[i] {
			return name("records", i, "key")
		}
	}
	return ""
}

func kindOf(c class) holdfast.Kind {
	if c.posts() {
		return holdfast.Post
	}
	return holdfast.Immediate
}

// Held is what a post or void has to know of the hold that it ends.
type Held struct {
	Home   holdfast.ShardID // where the hold is
	Away   holdfast.ShardID // where its payee is; Home when the hold does not cross
	Debit  holdfast.AccountID
	Payee  holdfast.AccountID
	Amount holdfast.Amount
	// Vow says that the hold was made to cross, although its payee may have come home since. It is set for every hold that has
	// a record.
	Vow bool
	// As is the id under which the hold stands in the ledger of Home; zero: the shadow of its id. A hold that has moved with its
	// payer has another one in every shard.
	As holdfast.ID
	// Ended says that Home has decided how it ended. It is not in the record: whoever looks for a hold looks there as well, and
	// false means nothing.
	Ended bool
}

// ID is the id in the ledger of Home of a hold that has a record.
func (h *Held) ID(hold holdfast.ID) holdfast.ID {
	if h.As.IsZero() {
		return hold.Shadow()
	}
	return h.As
}

// vowed reports a hold that was made to cross.
func (h *Held) vowed() bool { return h.Vow || h.Home != h.Away }

// HeldKey is the key of the record, in the home shard, that names the payee of a hold that crosses; hold is the id that the
// caller gave it. The record is written with the hold and never deleted, so that a post can be asked for again. When the
// hold moves to another shard with its payer, the record in the shard that it left is changed and names that one as Home. A hold without such a record is one of a single shard, under its own id.
func HeldKey(hold holdfast.ID) string { return Topic + "/hold/" + hold.String() }

// HeldKeyOf is the key of record n, from 0, of a shard about holds that go by one id. Nearly always there is none but the first,
// [HeldKey]: more come about when an id was used twice, and owners have moved since. Each record goes on speaking of the same hold, and
// there are no gaps between them.
func HeldKeyOf(hold holdfast.ID, n int) string {
	if n == 0 {
		return HeldKey(hold)
	}
	return HeldKey(hold) + "/" + strconv.Itoa(n)
}

// Written is a record of a hold, and where it stands.
type Written struct {
	Held
	Key     string
	Version uint64
}

// ReadHolds reads all records of a shard about holds that go by one id.
func ReadHolds(hold holdfast.ID, record func(key string) (r holdfast.Record, found bool, err error)) (list []Written, err error) {
	for {
		key := HeldKeyOf(hold, len(list))
		r, found, err := record(key)
		if err != nil || !found {
			return list, err
		}
		held, err := ReadHeld(r.Body)
		if err != nil {
			return list, err
		}
		list = append(list, Written{held, key, r.Version})
	}
}

// The body of that record: version 1, home 2, away 2, debit 20, payee 20, amount 8; in version 2 also the id in the ledger, 16;
// big-endian. Version 1 is that of holds which have never moved.
const (
	heldBytes   = 1 + 2 + 2 + 2*holdfast.AccountIDBytes + 8
	heldVersion = 2
)

func (p *Payment) record(i int) holdfast.RecordChange {
	l := &p.legs[i]
	h := Held{Home: p.Home, Away: l.away, Debit: l.debit, Payee: l.credit, Amount: l.amount}
	return holdfast.RecordChange{Key: HeldKey(p.Txn.TransferID(i)), Body: h.Body()}
}

// Body is the body of the record.
func (h *Held) Body() []byte {
	b := append(make([]byte, 0, heldBytes+len(h.As)), messageVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Home))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Away))
	b = h.Payee.Append(h.Debit.Append(b))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Amount))
	if !h.As.IsZero() {
		b[0] = heldVersion
		b = append(b, h.As[:]...)
	}
	return b
}

// ReadHeld reads the body of the record of [HeldKey].
func ReadHeld(body []byte) (h Held, err error) {
	moved := len(body) == heldBytes+len(h.As) && body[0] == heldVersion
	if !moved && (len(body) != heldBytes || body[0] != messageVersion) {
		return h, bad("a record of %d bytes for a hold", len(body))
	}
	h.Home, h.Away = holdfast.ShardID(binary.BigEndian.Uint16(body[1:])), holdfast.ShardID(binary.BigEndian.Uint16(body[3:]))
	h.Debit, h.Payee = holdfast.AccountIDOf(body[5:]), holdfast.AccountIDOf(body[5+holdfast.AccountIDBytes:])
	h.Amount = holdfast.Amount(binary.BigEndian.Uint64(body[5+2*holdfast.AccountIDBytes:]))
	h.Vow = true
	if moved {
		h.As = holdfast.ID(body[heldBytes:])
	}
	return h, nil
}
