package slot

import (
	"bytes"
	"cmp"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// papers compares the records of the owners of a slot in two shards. There may be far more of them than can be looked at while anybody
// waits. So all are compared once, while the slot is served; afterwards those that have changed since in either shard, as the two ledgers
// tell (ledger.State.Trail). What differs, or may, stays in todo until it is seen to be the same: whoever wrote it, and whatever became of a
// page. Without a memory, or when a ledger has forgotten what changed, it begins again.
type papers struct {
	begun  bool
	whole  bool // all have been compared once
	after  string
	todo   map[string]bool
	pulled [2]uint64 // the entries of the two shards up to which changes are in todo
}

const (
	manyRecords = 128       // compared at a time, unless the configuration says otherwise
	chunks      = 32        // and so many times in one step
	pageBytes   = 256 << 10 // of records in one page
	doubts      = 1 << 13   // in todo, before the comparison goes on
)

// pull takes over what has changed. false: a shard cannot be read just now.
func (c *papers) pull(v View, slot holdfast.Slot, shards [2]holdfast.ShardID) bool {
	var keys [2][]string
	var to [2]uint64
	known := c.begun
	for i, at := range shards {
		if !v.State(at, func(s *ledger.State) {
			var whole bool
			keys[i], to[i], whole = s.Trail(slot, c.pulled[i])
			known = known && whole
		}) {
			return false
		}
	}
	if !known { // from here on
		*c = papers{begun: true, todo: map[string]bool{}}
	} else if !plantedChangesLeft() {
		for _, key := range append(keys[0], keys[1]...) {
			c.todo[key] = true
		}
	}
	c.pulled = to
	return true
}

// compare goes on with the comparison of all. false: a shard cannot be read just now.
func (c *papers) compare(v View, slot holdfast.Slot, shards [2]holdfast.ShardID, chunk int) bool {
	for n := 0; n < chunks && !c.whole && len(c.todo) < doubts; n++ {
		var lists [2][]holdfast.Record
		end := ""
		for i, at := range shards {
			var ok bool
			if lists[i], ok = v.Records(at, slot, c.after, chunk); !ok {
				return false
			}
			if n := len(lists[i]); n == chunk && (end == "" || lists[i][n-1].Key < end) {
				end = lists[i][n-1].Key
			}
		}
		c.doubt(lists[0], lists[1], end)
		c.after, c.whole = end, end == ""
	}
	return true
}

// doubt notes what differs between two lists in the order of keys, up to the key end, or to their ends.
func (c *papers) doubt(here, there []holdfast.Record, end string) {
	for len(here)+len(there) > 0 {
		var a, b *holdfast.Record
		switch {
		case len(there) == 0 || len(here) > 0 && here[0].Key < there[0].Key:
			a = &here[0]
		case len(here) == 0 || there[0].Key < here[0].Key:
			b = &there[0]
		default:
			a, b = &here[0], &there[0]
		}
		key := ""
		if a != nil {
			key, here = a.Key, here[1:]
		}
		if b != nil {
			key, there = b.Key, there[1:]
		}
		if end != "" && key > end {
			return
		}
		if !same(a, b) {
			c.todo[key] = true
		}
	}
}

// same reports whether a record (nil: there is none) needs nothing to be what it is in the shard that it leaves.
func same(here, there *holdfast.Record) bool {
	if here == nil || there == nil {
		return here == there
	}
	return here.Version == there.Version && here.Changed == there.Changed && here.Pending == nil && there.Pending == nil &&
		slices.Equal(here.Index, there.Index) && bytes.Equal(here.Body, there.Body)
}

// papersOf adds to a page what the other shard lacks of records, or has too many. false: a shard cannot be read just now.
func (m *Mover) papersOf(v View, p *page, here, there *standing) bool {
	c, shards := &m.papers, [2]holdfast.ShardID{here.shard, there.shard}
	if !c.pull(v, here.slot, shards) || !c.compare(v, here.slot, shards, m.config.Chunk) {
		return false
	}
	size := 0
	for _, key := range sorted(c.todo) {
		if p.full() || size >= pageBytes {
			p.left = true
			break
		}
		a, ok1 := record(v, here.shard, key)
		b, ok2 := record(v, there.shard, key)
		switch {
		case !ok1 || !ok2:
			return false
		case same(a, b):
			delete(c.todo, key)
			continue
		case a != nil && a.Pending != nil: // it is decided before the slot can shut
			p.left = p.left || here.gate() == ledger.GateShut
			continue
		}
		change := holdfast.RecordChange{Key: key, Expect: holdfast.AnyVersion, Delete: true}
		if a != nil {
			change = holdfast.RecordChange{
				Key: key, Expect: holdfast.AnyVersion, Index: a.Index, Body: a.Body,
				Op: holdfast.RecordCarry, Version: a.Version, Changed: a.Changed,
			}
			if plantedVersionsAnew() {
				change.Op, change.Version, change.Changed = holdfast.RecordWrite, 0, 0
			}
		}
		p.txn.Records = append(p.txn.Records, change)
		p.papers++
		p.n++
		size += len(change.Body) + len(key) + len(change.Index)*holdfast.MaxRecordKey
	}
	p.left = p.left || !c.whole
	return true
}

func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys
}

// record is a record of a shard, nil if there is none; ok is false when that cannot be told just now.
func record(v View, at holdfast.ShardID, key string) (*holdfast.Record, bool) {
	r, found, ok := v.Record(at, key)
	if !found || !ok {
		return nil, ok
	}
	return &r, true
}

// discard adds to a page that records of the slot go away, where it is not served any more. whole is true when none is left.
func discard(v View, p *page, at holdfast.ShardID, slot holdfast.Slot, chunk int) (whole, ok bool) {
	if plantedRecordsKept() {
		return true, true
	}
	for after := ""; !p.full(); {
		list, ok := v.Records(at, slot, after, chunk)
		if !ok {
			return false, false
		}
		for i := range list {
			p.txn.Records = append(p.txn.Records, holdfast.RecordChange{Key: list[i].Key, Expect: list[i].Version, Delete: true})
			p.papers++
			p.n++
			after = list[i].Key
		}
		if len(list) < chunk {
			return true, true
		}
	}
	return false, true
}
