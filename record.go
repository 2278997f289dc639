package holdfast

import (
	"fmt"
	"strings"
)

// OwnedPrefix begins the keys of records that belong to an owner: "o/", the 16 digits of his number, "/", and at least one byte more. Such a
// record is where the accounts of its owner are. Every other record is where it was first written, for ever.
const OwnedPrefix = "o/"

const (
	ownerDigits = 16
	ownedHead   = len(OwnedPrefix) + ownerDigits + 1
)

// OwnedKey is the key of a record of an owner; rest is what follows his number and the slash.
func OwnedKey(o Owner, rest string) string { return OwnedPrefix + o.String() + "/" + rest }

// RecordOwner tells to whom the record of a key belongs; 0: to nobody. A key that begins with [OwnedPrefix] and is not of that form is an error.
func RecordOwner(key string) (Owner, error) {
	if !strings.HasPrefix(key, OwnedPrefix) {
		return 0, nil
	}
	o, err := OwnerOfPrefix(key)
	if err == nil && len(key) == ownedHead {
		err = fmt.Errorf("the key %q ends where the name of a record should begin", key)
	}
	if err != nil {
		return 0, err
	}
	return o, nil
}

// OwnerOfPrefix tells whose records begin with a prefix: it has to name one owner, and so begins with [OwnedPrefix], his number and a slash.
func OwnerOfPrefix(prefix string) (Owner, error) {
	if len(prefix) < ownedHead || !strings.HasPrefix(prefix, OwnedPrefix) || prefix[ownedHead-1] != '/' {
		return 0, fmt.Errorf("%.40q does not begin with %s, an owner number of %d digits and a slash", prefix, OwnedPrefix, ownerDigits)
	}
	o, err := ParseOwner(prefix[len(OwnedPrefix) : ownedHead-1])
	if err != nil {
		return 0, err
	}
	return o, nil
}

// OwnerOfKey is [RecordOwner] for keys that have been checked: one that is malformed belongs to nobody.
func OwnerOfKey(key string) Owner {
	if len(key) <= ownedHead || key[0] != OwnedPrefix[0] || key[1] != OwnedPrefix[1] {
		return 0
	}
	o, _ := RecordOwner(key)
	return o
}

// RecordOp says what a [RecordChange] does. All but RecordWrite are the platform's own. The numbers are in logs: append, never renumber.
type RecordOp uint8

const (
	// RecordWrite writes the record, or deletes it.
	RecordWrite RecordOp = iota
	// RecordCarry writes it with the Version and Changed that it had in another shard, from where it moves with its owner.
	RecordCarry
	// RecordPend writes it on behalf of a payment to another shard that is under way: it is [Record.Pending] until one of the next two.
	RecordPend
	// RecordKeep ends that: the Payment has landed, and the record stays as it was written.
	RecordKeep
	// RecordTakeBack ends it when the Payment was refused: the record gets the body and index keys that it had before, as a new version, or
	// goes away if there was none.
	RecordTakeBack

	RecordOps
)

// PendingChange is that a payment to another shard which is under way has written a record.
type PendingChange struct {
	Payment ID
	Before  *Record // what the record will be again, as a new version, when the payment is refused; nil: it will not be there
}
