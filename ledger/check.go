package ledger

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"holdfast"
)

// Check reports what makes a transaction of a caller malformed, whatever the state of the shard: the smallest code that
// applies and the field at fault, or CodeOK. Whoever accepts one from outside calls it before the log. What the platform
// itself proposes (expiries, and the transactions of package transit) is not given to it: that is how the two are told apart.
func Check(t *holdfast.Txn) (code holdfast.Code, field string) {
	c := checker{outside: true}
	c.txn(t)
	return c.code, c.field
}

// CheckLogged is Check for what may stand in the log: the platform's own transactions as well, which expire holds and carry
// payments between shards.
func CheckLogged(t *holdfast.Txn) (code holdfast.Code, field string) {
	var c checker
	c.txn(t)
	return c.code, c.field
}

// checker keeps the smallest code noted so far; of equal codes the first.
type checker struct {
	outside bool
	code    holdfast.Code
	field   string
}

// note records a fault in field name of element i of a list (i < 0: of the transaction itself).
func (c *checker) note(code holdfast.Code, list string, i int, name string) {
	if c.code != 0 && c.code <= code {
		return
	}
	c.code, c.field = code, fieldName(list, i, name)
}

func fieldName(list string, i int, name string) string {
	switch {
	case i < 0:
		return list
	case name == "":
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d].%s", list, i, name)
}

func (c *checker) txn(t *holdfast.Txn) {
	c.size(t)
	if c.code != 0 {
		return // all other codes are larger, and the lists may be huge
	}
	c.ids(t)
	for i := range t.Preconditions {
		c.key(t.Preconditions[i].Key, "preconditions", i, "key")
		c.owned(t.Preconditions[i].Key, "preconditions", i)
	}
	for i := range t.Accounts {
		c.account(&t.Accounts[i], i)
	}
	for i := range t.Transfers {
		c.transfer(&t.Transfers[i], i)
	}
	c.records(t)
	for i := range t.Messages {
		c.message(&t.Messages[i], i)
	}
}

func (c *checker) size(t *holdfast.Txn) {
	names := [...]string{"preconditions", "accounts", "transfers", "records", "messages", "acks"}
	total := 0
	for i, n := range counts(t) {
		if n > holdfast.MaxLegs {
			c.note(holdfast.CodeTxnTooLarge, names[i], -1, "")
		}
		total += n
	}
	switch {
	case total == len(t.Preconditions):
		c.note(holdfast.CodeTxnEmpty, "", -1, "")
	case c.code == 0 && txnBytes(t) > holdfast.MaxTxnBytes:
		c.note(holdfast.CodeTxnTooLarge, "", -1, "")
	}
}

func (c *checker) ids(t *holdfast.Txn) {
	c.id(t.ID, "id", -1, "")
	for i := range t.Transfers {
		if id := t.Transfers[i].ID; !id.IsZero() || len(t.Transfers) > 1 {
			c.id(id, "transfers", i, "id")
		}
	}
	if i := firstRepeated(t); i >= 0 {
		c.note(holdfast.CodeIDRepeated, "transfers", i, "id")
	}
}

func (c *checker) id(id holdfast.ID, list string, i int, name string) {
	if id.IsZero() {
		c.note(holdfast.CodeIDMissing, list, i, name)
	}
	if c.outside && isExpiryID(id) {
		c.note(holdfast.CodeExpireReserved, list, i, name)
	}
	c.own(id, list, i, name)
}

// own notes an id that only the platform itself may use.
func (c *checker) own(id holdfast.ID, list string, i int, name string) {
	if c.outside && id.Reserved() {
		c.note(holdfast.CodeIDReserved, list, i, name)
	}
}

// few is how many elements are compared each with each before a map pays.
const few = 16

// firstRepeated is the first leg whose id is that of the transaction or of a leg before it; -1: none.
func firstRepeated(t *holdfast.Txn) int {
	if len(t.Transfers) > few {
		return firstRepeatedOfMany(t)
	}
	for i := range t.Transfers {
		id := t.Transfers[i].ID
		if id.IsZero() {
			continue
		}
		if id == t.ID {
			return i
		}
		for j := range i {
			if t.Transfers[j].ID == id {
				return i
			}
		}
	}
	return -1
}

func firstRepeatedOfMany(t *holdfast.Txn) int {
	seen := make(map[holdfast.ID]struct{}, len(t.Transfers)+1)
	seen[t.ID] = struct{}{}
	for i := range t.Transfers {
		id := t.Transfers[i].ID
		if _, ok := seen[id]; ok && !id.IsZero() {
			return i
		}
		seen[id] = struct{}{}
	}
	return -1
}

func (c *checker) account(a *holdfast.AccountChange, i int) {
	if a.Op < holdfast.OpenAccount || a.Op > holdfast.CloseAccount {
		c.note(holdfast.CodeKindInvalid, "accounts", i, "op")
	}
	if a.ID.Check() != nil || c.outside && a.ID.OfShard() {
		c.note(holdfast.CodeAccountInvalid, "accounts", i, "id")
	}
	open := a.Op == holdfast.OpenAccount
	if a.Limit > holdfast.LimitCredits || !open && a.Limit != 0 {
		c.note(holdfast.CodeLimitInvalid, "accounts", i, "limit")
	}
	if !open && a.Code != 0 {
		c.note(holdfast.CodeLimitInvalid, "accounts", i, "code")
	}
	if !open && !a.Ref.IsZero() {
		c.note(holdfast.CodeLimitInvalid, "accounts", i, "ref")
	}
}

func (c *checker) transfer(t *holdfast.Transfer, i int) {
	if t.Kind < holdfast.Immediate || t.Kind > holdfast.Expire {
		c.note(holdfast.CodeKindInvalid, "transfers", i, "kind")
		return // what the other fields should be depends on it
	}
	first := t.Kind == holdfast.Immediate || t.Kind == holdfast.Hold
	c.side(t.Debit, first, i, "debit")
	c.side(t.Credit, first, i, "credit")
	c.amount(t, i)
	if both := t.Debit != (holdfast.AccountID{}) && t.Credit != (holdfast.AccountID{}); both {
		if t.Debit == t.Credit {
			c.note(holdfast.CodeSameAccount, "transfers", i, "credit")
		}
		if t.Debit.Asset != t.Credit.Asset {
			c.note(holdfast.CodeAssetMismatch, "transfers", i, "credit")
		}
	}
	if t.Hold.IsZero() != first {
		c.note(holdfast.CodeHoldInvalid, "transfers", i, "hold")
	}
	c.own(t.Hold, "transfers", i, "hold")
	if t.Timeout < 0 || t.Timeout > holdfast.MaxHoldTimeout || t.Timeout != 0 && t.Kind != holdfast.Hold {
		c.note(holdfast.CodeTimeoutInvalid, "transfers", i, "timeout_s")
	}
	if c.outside && t.Kind == holdfast.Expire {
		c.note(holdfast.CodeExpireReserved, "transfers", i, "kind")
	}
}

// side checks one of the two accounts of a leg. One that already was in the log is not checked again: an id that is not
// valid cannot have been opened, so it is answered as missing.
func (c *checker) side(id holdfast.AccountID, needed bool, i int, name string) {
	if id == (holdfast.AccountID{}) {
		if needed {
			c.note(holdfast.CodeAccountInvalid, "transfers", i, name)
		}
		return
	}
	if c.outside && (id.Check() != nil || id.OfShard()) {
		c.note(holdfast.CodeAccountInvalid, "transfers", i, name)
	}
}

func (c *checker) amount(t *holdfast.Transfer, i int) {
	var ok bool
	switch t.Kind {
	case holdfast.Immediate, holdfast.Hold:
		ok = t.Amount > 0
	case holdfast.Post:
		ok = t.Amount >= 0
	default:
		ok = t.Amount == 0
	}
	if !ok {
		c.note(holdfast.CodeAmountInvalid, "transfers", i, "amount")
	}
}

func (c *checker) key(key, list string, i int, name string) {
	if len(key) == 0 || len(key) > holdfast.MaxRecordKey {
		c.note(holdfast.CodeRecordInvalid, list, i, name)
	}
	if c.outside && strings.HasPrefix(key, holdfast.ReservedPrefix) {
		c.note(holdfast.CodeRecordReserved, list, i, name)
	}
}

// owned notes the key of a record that begins like those of owners and names none: it would belong to nobody, where its writer believes
// that it goes with an owner. In logs of earlier releases there may be such keys.
func (c *checker) owned(key, list string, i int) {
	if _, err := holdfast.RecordOwner(key); c.outside && err != nil {
		c.note(holdfast.CodeRecordInvalid, list, i, "key")
	}
}

func (c *checker) records(t *holdfast.Txn) {
	move := OfMove(t)
	for i := range t.Records {
		r := &t.Records[i]
		c.key(r.Key, "records", i, "key")
		c.owned(r.Key, "records", i)
		c.recordOp(r, i, move)
		if len(r.Index) > holdfast.MaxIndexKeys || r.Delete && len(r.Index) > 0 {
			c.note(holdfast.CodeRecordInvalid, "records", i, "index")
		}
		for j, key := range r.Index {
			c.key(key, "records", i, "index")
			for _, other := range r.Index[:j] {
				if key == other {
					c.note(holdfast.CodeRecordInvalid, "records", i, "index")
				}
			}
		}
		if len(r.Body) > holdfast.MaxRecordBody || r.Delete && len(r.Body) > 0 {
			c.note(holdfast.CodeRecordInvalid, "records", i, "body")
		}
	}
	if i := firstRepeatedKey(t.Records); i >= 0 {
		c.note(holdfast.CodeRecordInvalid, "records", i, "key")
	}
	c.gates(t.Records)
}

// recordOp notes what only the platform does with records, from outside; and what has no meaning.
func (c *checker) recordOp(r *holdfast.RecordChange, i int, move bool) {
	carried, paid := r.Op == holdfast.RecordCarry, r.Op == holdfast.RecordKeep || r.Op == holdfast.RecordTakeBack
	switch {
	case r.Op == holdfast.RecordWrite && r.Version == 0 && r.Changed == 0 && r.Payment.IsZero():
	case c.outside:
		c.note(holdfast.CodeRecordReserved, "records", i, "op")
	case r.Op >= holdfast.RecordOps || r.Op == holdfast.RecordWrite || holdfast.OwnerOfKey(r.Key) == 0 || r.Delete,
		carried != (r.Version != 0) || !carried && r.Changed != 0 || carried && !move,
		paid == r.Payment.IsZero() || paid && (len(r.Body)+len(r.Index) > 0 || r.Expect != holdfast.AnyVersion):
		c.note(holdfast.CodeRecordInvalid, "records", i, "op")
	}
}

// firstRepeatedKey is the first record that changes a key for the second time; -1: none.
func firstRepeatedKey(records []holdfast.RecordChange) int {
	if len(records) < 2 {
		return -1
	}
	seen := make(map[string]struct{}, len(records))
	for i := range records {
		if _, ok := seen[records[i].Key]; ok {
			return i
		}
		seen[records[i].Key] = struct{}{}
	}
	return -1
}

// maxTopic is the longest topic of a message, in bytes.
const maxTopic = 200

func (c *checker) message(m *holdfast.Message, i int) {
	if m.To == 0 {
		c.note(holdfast.CodeMessageInvalid, "messages", i, "to")
	}
	if len(m.Topic) == 0 || len(m.Topic) > maxTopic || c.outside && strings.HasPrefix(m.Topic, holdfast.ReservedPrefix) {
		c.note(holdfast.CodeMessageInvalid, "messages", i, "topic")
	}
	if len(m.Body) > holdfast.MaxRecordBody {
		c.note(holdfast.CodeMessageInvalid, "messages", i, "body")
	}
}

// Ids of expiries are UUIDs of version 8 (RFC 9562 section 5.8) that start with these bytes.
var expiryPrefix = [4]byte{'e', 'x', 'p', 'i'}

func isExpiryID(id holdfast.ID) bool {
	return [4]byte(id[:4]) == expiryPrefix && id[6]>>4 == 8 && id[8]>>6 == 2
}

// ExpiryTxn is the transaction by which the leader of a shard expires a hold. Its id follows from the hold's, so that
// proposing it twice is harmless, and callers cannot take it: [Check] refuses such ids.
func ExpiryTxn(hold holdfast.ID) holdfast.Txn {
	sum := sha256.Sum256(append([]byte("holdfast expiry of "), hold[:]...))
	id := holdfast.ID(sum[:16])
	copy(id[:], expiryPrefix[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return holdfast.Txn{ID: id, Transfers: []holdfast.Transfer{{Kind: holdfast.Expire, Hold: hold}}}
}
