package holdfast

import (
	"strconv"
	"strings"
)

// MaxShards is how many shards a fleet can have: each has at least one slot.
const MaxShards = Slots

// ReservedPrefix begins the keys of records and the topics of messages that are the platform's own: the shard map, the owner
// numbers, payments between shards. Callers can read such records, and write neither.
const ReservedPrefix = "holdfast/"

// shadowBit is the second bit of the variant of a UUID (RFC 9562, section 4.1), which is never set in those of that standard.
const shadowBit = 0x40

// Shadow is the id under which something that belongs to the payment of this id stands in the log of a shard: what a payment
// between shards holds at home and lands away. It sorts beside the id. Callers cannot use such ids, so nobody takes the
// shadow of a payment to come, and nobody posts or voids a hold whose id is one.
func (id ID) Shadow() ID {
	id[8] |= shadowBit
	return id
}

// Unshadow is the inverse of [ID.Shadow]: the id that callers know.
func (id ID) Unshadow() ID {
	id[8] &^= shadowBit
	return id
}

// IsShadow reports whether the id is one that [ID.Shadow] could have returned.
func (id ID) IsShadow() bool { return id[8]&shadowBit != 0 }

// ownVersion stands in place of the version of a UUID in ids that the platform makes of others; RFC 9562 defines 1 to 8.
const ownVersion = 0xf0

// Own turns an id made by the platform itself (a hash of something) into one that no caller's id and no shadow of one is. The
// first six bytes are those of the id it belongs to, so that the two sort near each other.
func (id ID) Own(beside ID) ID {
	copy(id[:6], beside[:6])
	id[6] = id[6]&0x0f | ownVersion
	return id.Unshadow()
}

// Reserved reports whether the id is one that callers may not use: a shadow, or one of [ID.Own].
func (id ID) Reserved() bool { return id.IsShadow() || id[6]&0xf0 == ownVersion }

const (
	transitPurpose = "transit-"
	movingPurpose  = "moving-"
)

// InTransit is the account of shard at through which its payments to and from shard other pass: its credits are what was sent
// there, its debits what came from there. The owner is the shard itself: sequence 0, with the number of the shard in place of
// the slot (MaxShards is 0). Such an account has no limit, and callers may not name it.
func InTransit(at, other ShardID, asset Asset) AccountID {
	return between(transitPurpose, at, other, asset)
}

// InTransit tells whether the account is one of [InTransit], and of which shards.
func (id AccountID) InTransit() (at, other ShardID, ok bool) { return id.between(transitPurpose) }

// Moving is the account of shard at through which the balances of slots pass that move between it and shard other. It is like
// those of [InTransit] in everything else.
func Moving(at, other ShardID, asset Asset) AccountID {
	return between(movingPurpose, at, other, asset)
}

// Moving tells whether the account is one of [Moving], and of which shards.
func (id AccountID) Moving() (at, other ShardID, ok bool) { return id.between(movingPurpose) }

// OfShard reports whether the account belongs to a shard itself and not to an owner who could move: callers may not name it.
func (id AccountID) OfShard() bool {
	_, _, transit := id.InTransit()
	_, _, moving := id.Moving()
	return transit || moving
}

func between(purpose string, at, other ShardID, asset Asset) AccountID {
	return AccountID{
		Owner:   must(NewOwner(0, Slot(at%MaxShards))),
		Purpose: must(ParsePurpose(purpose + strconv.Itoa(int(other)))),
		Asset:   asset,
	}
}

func (id AccountID) between(purpose string) (at, other ShardID, ok bool) {
	if id.Owner.Sequence() != 0 || id.Owner.Check() != nil {
		return 0, 0, false
	}
	digits, ok := strings.CutPrefix(id.Purpose.String(), purpose)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > MaxShards || strconv.Itoa(n) != digits {
		return 0, 0, false
	}
	at = ShardID(id.Owner.Slot())
	if at == 0 {
		at = MaxShards
	}
	return at, ShardID(n), true
}
