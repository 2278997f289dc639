package transit

import (
	"slices"

	"holdfast"
)

// Records of owners, and preconditions on them, travel with a payment: those of owners of the home shard are part of the depart, those of
// owners of the away shard part of the land. What the depart writes is pending until the settle, which keeps it or takes it back.
// docs/decisions/0017-records-of-owners.md says what anybody may see in between.

// company says of the preconditions and records of a payment that crosses which of them belong to the away shard. It is written down with
// the message and not found again by the shard map.
type company struct {
	preconditions, records []bool
}

// accompany divides what goes with a payment between its two shards, and returns the first field that belongs to neither, or cannot go.
func (r *router) accompany(p *Payment) (field string) {
	t := r.txn
	switch {
	case len(t.Accounts) > 0:
		return name("accounts", 0, "id")
	case len(t.Messages) > 0:
		return name("messages", 0, "topic")
	case len(t.Acks) > 0:
		return "acks"
	}
	for i := range t.Preconditions {
		away, ok := r.side(t.Preconditions[i].Key, p)
		if !ok {
			return name("preconditions", i, "key")
		}
		p.with.preconditions = append(p.with.preconditions, away)
	}
	for i := range t.Records {
		away, ok := r.side(t.Records[i].Key, p)
		switch {
		case !ok:
			return name("records", i, "key")
		case !away && t.Records[i].Delete:
			return name("records", i, "delete") // nothing would be left to take back
		}
		p.with.records = append(p.with.records, away)
	}
	return ""
}

func (r *router) side(key string, p *Payment) (away, ok bool) {
	owner := holdfast.OwnerOfKey(key)
	if owner == 0 {
		return false, false
	}
	at := r.shardOf(owner)
	return at != p.Home, at == p.Home || at == p.Away
}

// stray is the first record or precondition of an owner who is in another shard than that where all of it is done; home 0 becomes the shard
// of the first owner. "": there is none.
func stray(t *holdfast.Txn, shardOf ShardOf, home *holdfast.ShardID) (field string) {
	here := func(key string) bool {
		owner := holdfast.OwnerOfKey(key)
		if owner == 0 {
			return true
		}
		at := shardOf(owner)
		if *home == 0 {
			*home = at
		}
		return at == *home
	}
	for i := range t.Preconditions {
		if !here(t.Preconditions[i].Key) {
			return name("preconditions", i, "key")
		}
	}
	for i := range t.Records {
		if !here(t.Records[i].Key) {
			return name("records", i, "key")
		}
	}
	return ""
}

// any reports that something goes with the payment.
func (c *company) any() bool { return len(c.preconditions)+len(c.records) > 0 }

// of lists the owners on one side of whom something goes with the payment.
func (p *Payment) company(away bool) (list []holdfast.Owner) {
	for i, is := range p.with.preconditions {
		if is == away {
			list = append(list, holdfast.OwnerOfKey(p.Txn.Preconditions[i].Key))
		}
	}
	for i, is := range p.with.records {
		if is == away {
			list = append(list, holdfast.OwnerOfKey(p.Txn.Records[i].Key))
		}
	}
	return list
}

// lands reports that something goes with the land.
func (c *company) lands() bool {
	return slices.Contains(c.preconditions, true) || slices.Contains(c.records, true)
}

// join adds what goes with one side of a payment to its depart or its land.
func (p *Payment) join(t *holdfast.Txn, away bool) {
	for i, is := range p.with.preconditions {
		if is == away && !(away && plantedLandUnversioned()) {
			t.Preconditions = append(t.Preconditions, p.Txn.Preconditions[i])
		}
	}
	for i, is := range p.with.records {
		if is != away {
			continue
		}
		c := p.Txn.Records[i]
		if !away {
			c.Op = holdfast.RecordPend
		} else if plantedLandUnversioned() {
			c.Expect = holdfast.AnyVersion
		}
		t.Records = append(t.Records, c)
	}
}

// end adds to a settle what becomes of the records that the depart has written.
func (p *Payment) end(t *holdfast.Txn, fate Fate) {
	op := holdfast.RecordKeep
	if fate == Refused && !plantedRecordsStand() {
		op = holdfast.RecordTakeBack
	}
	for i, away := range p.with.records {
		if !away {
			t.Records = append(t.Records, holdfast.RecordChange{
				Key: p.Txn.Records[i].Key, Expect: holdfast.AnyVersion, Op: op, Payment: p.Txn.ID,
			})
		}
	}
}

// Pends reports that the payment has written records at home that are pending until it is settled.
func (p *Payment) Pends() bool { return p.Crosses() && slices.Contains(p.with.records, false) }

// nth is the caller's number of the element that is number n of those which went to one side.
func nth(sides []bool, away bool, n int) int {
	for i, is := range sides {
		if is != away {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return n
}
