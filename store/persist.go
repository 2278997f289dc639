package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"holdfast"
	"holdfast/ledger"
)

// persister turns segments into tables. Its buffers are kept from one segment to the next.
type persister struct {
	ids    []sortID
	slot   []uint32 // of each row: which account group it belongs to
	groups []group
	order  []uint32 // numbers of rows, group by group
	key    []byte
	value  []byte
	times  timeRanges // of the ids of this segment
	none   ledger.Row // what the first row of a block is the difference to
}

// sortID is an id as two words, and the number of its row.
type sortID struct {
	hi, lo uint64
	row    uint32
}

// group is the rows of one account within a segment.
type group struct {
	id      holdfast.AccountID
	ordinal uint32
	count   uint32
	end     uint32 // in order; while filling: the next place
}

// Persist makes a sealed segment durable: all its effects and its Meta, which becomes the checkpoint, or nothing. It sorts
// and writes tables and takes them over in one step; after it has answered nil, [Shard.Find] and the others know all of it,
// and the ledger may forget the segment. It is meant to run in the background of payments. Segments come in the order of
// the log, and only with entries that this disk has; others are a bug of the caller and panic. Errors are fatal, but for
// [ErrCorrupt] of a replica known to be damaged.
func (sh *Shard) Persist(g *ledger.Segment) error {
	if err := sh.usable(); err != nil {
		return err
	}
	sh.checkSegment(g)
	// The checkpoint must not be on the disk before its journal is, even if nobody has asked for that to be synced.
	if err := sh.store.log.LogData(nil, pebble.Sync); err != nil {
		return sh.store.die(fmt.Errorf("syncing the log of shard %d before its checkpoint: %w", sh.id, err))
	}
	p := &sh.persist
	known := p.knownAfter(sh, g)
	paths, err := p.build(sh, g, known)
	if err != nil {
		return sh.store.die(fmt.Errorf("writing the checkpoint of shard %d at %d: %w", sh.id, g.Meta.Index, err))
	}
	// The commit point: before it a restart loads the old checkpoint and applies the journal after it, from here on the new.
	if err := sh.store.ingest(sh.store.state, paths); err != nil {
		return sh.store.die(fmt.Errorf("taking over the checkpoint of shard %d at %d: %w", sh.id, g.Meta.Index, err))
	}
	if err := sh.store.promise(false); err != nil {
		return err
	}
	sh.publish(&g.Meta, known)
	for _, c := range sh.store.compactions {
		c.settle()
	}
	return sh.store.expireExports()
}

func (sh *Shard) checkSegment(g *ledger.Segment) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if g.Meta.Index < sh.settled() || g.Meta.Index > sh.last {
		panic(fmt.Sprintf("store: shard %d: a segment up to %d, but the checkpoint is at %d and the log ends at %d",
			sh.id, g.Meta.Index, sh.settled(), sh.last))
	}
}

// publish lets readers see the new checkpoint.
func (sh *Shard) publish(meta *ledger.Meta, known timeRanges) {
	copied := *meta
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.meta, sh.known = &copied, known
	sh.readers.close()
	sh.readers = newReaders(sh.store)
}

func (s *Store) ingest(db *pebble.DB, paths []string) error {
	if PlantedSplitCheckpoint && len(paths) > 1 {
		if err := db.Ingest(context.Background(), paths[len(paths)-1:]); err != nil {
			return err
		}
		paths = paths[:len(paths)-1]
	}
	return db.Ingest(context.Background(), paths)
}

// build writes all tables of a segment, in the order of their keys: accounts, blocks, the small ones, ids.
func (p *persister) build(sh *Shard, g *ledger.Segment, known timeRanges) ([]string, error) {
	prefix := sh.store.stagePath(fmt.Sprintf("segment-%d-%d", sh.id, g.Meta.Index))
	p.group(g)
	accounts := newTables(sh.store, prefix+"-a")
	blocks := newTables(sh.store, prefix+"-b")
	p.accounts(sh.id, g, accounts, blocks)
	small := newTables(sh.store, prefix+"-m")
	p.small(sh.id, g, known, small)
	ids := newTables(sh.store, prefix+"-t")
	p.writeIDs(sh, g, ids)
	var paths []string
	for _, t := range []*tables{accounts, blocks, ids, small} {
		made, err := t.close()
		if err != nil {
			return nil, err
		}
		paths = append(paths, made...)
	}
	return paths, nil
}

// group sorts the rows by account, without comparing: rows of one account are chained by Prev.
func (p *persister) group(g *ledger.Segment) {
	p.slot = slices.Grow(p.slot[:0], len(g.Rows))[:len(g.Rows)]
	p.groups = p.groups[:0]
	for i := range g.Rows {
		r := &g.Rows[i]
		slot := uint32(len(p.groups))
		if r.Prev > 0 && int(r.Prev) <= i {
			slot = p.slot[i-int(r.Prev)]
			if p.groups[slot].ordinal != r.Account {
				panic(fmt.Sprintf("store: row %d of account %d follows one of account %d", i, r.Account, p.groups[slot].ordinal))
			}
		} else {
			p.groups = append(p.groups, group{ordinal: r.Account})
		}
		p.slot[i] = slot
		p.groups[slot].count++
	}
	var at uint32
	for i := range p.groups {
		p.groups[i].end = at
		at += p.groups[i].count
	}
	p.order = slices.Grow(p.order[:0], len(g.Rows))[:len(g.Rows)]
	for i, slot := range p.slot {
		p.order[p.groups[slot].end] = uint32(i)
		p.groups[slot].end++
	}
}

// accounts writes the image of every account that changed, and the blocks of its statement.
func (p *persister) accounts(shard holdfast.ShardID, g *ledger.Segment, images, blocks *tables) {
	if len(g.Rows) == 0 {
		return
	}
	for i := range p.groups {
		p.groups[i].id = g.Account(p.groups[i].ordinal).ID
	}
	slices.SortFunc(p.groups, func(a, b group) int { return compareAccounts(&a.id, &b.id) })
	images.open(false)
	blocks.open(false)
	for i := range p.groups {
		group := &p.groups[i]
		rows := p.order[group.end-group.count : group.end]
		p.image(shard, g, group, &g.Rows[rows[len(rows)-1]], images)
		p.blocks(shard, g, group.id, rows, blocks)
	}
}

// compareAccounts orders as the binary forms do.
func compareAccounts(a, b *holdfast.AccountID) int {
	if c := cmp.Compare(a.Owner, b.Owner); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Purpose, b.Purpose); c != 0 {
		return c
	}
	return cmp.Compare(a.Asset, b.Asset)
}

func (p *persister) image(shard holdfast.ShardID, g *ledger.Segment, group *group, last *ledger.Row, t *tables) {
	a := g.Account(group.ordinal)
	a.Flags = last.Flags
	a.DebitsPosted, a.CreditsPosted = last.DebitsPosted, last.CreditsPosted
	a.DebitsPending, a.CreditsPending = last.DebitsPending, last.CreditsPending
	if t.size > tableBytes {
		t.open(false)
	}
	p.key, p.value = accountKey(p.key[:0], shard, a.ID), appendAccount(p.value[:0], &a)
	t.set(p.key, p.value)
}

func (p *persister) blocks(shard holdfast.ShardID, g *ledger.Segment, id holdfast.AccountID, rows []uint32, t *tables) {
	if t.size > tableBytes {
		t.open(false)
	}
	var prev *ledger.Row
	count := 0
	for _, n := range rows {
		r := &g.Rows[n]
		if prev != nil && (count >= blockRows || len(p.value) >= blockBytes) && r.Time != prev.Time {
			t.set(p.key, p.value)
			prev = nil
		}
		if prev == nil {
			p.key, p.value, count = blockKey(p.key[:0], shard, id, r.Time), p.value[:0], 0
			p.none = ledger.Row{Time: r.Time}
			prev = &p.none
		}
		p.value = appendRow(p.value, prev, r)
		prev = r
		count++
	}
	t.set(p.key, p.value)
}

// small writes what is usually little into one table: references, holds, record indexes, meta, outbox, records.
func (p *persister) small(shard holdfast.ShardID, g *ledger.Segment, known timeRanges, t *tables) {
	t.open(true)
	p.refs(shard, g.Refs, t)
	p.holds(shard, g, t)
	p.indexes(shard, g.Records, t)
	key := shardKey(shard, kindMeta)
	t.set(key, appendMeta(key, &g.Meta))
	key = shardKey(shard, kindRanges)
	t.set(key, appendRanges(key, known))
	p.outbox(shard, g, t)
	p.records(shard, g.Records, t)
}

func (p *persister) refs(shard holdfast.ShardID, rows []ledger.RefRow, t *tables) {
	sorted := make([]*ledger.RefRow, len(rows))
	for i := range rows {
		sorted[i] = &rows[i]
	}
	// The rows are in the order of the log already, so a stable sort by reference leaves them as the keys want them.
	slices.SortStableFunc(sorted, func(a, b *ledger.RefRow) int { return bytes.Compare(a.Ref[:], b.Ref[:]) })
	for _, r := range sorted {
		p.key = refKey(p.key[:0], shard, r.Ref, r.Position, r.Leg)
		t.set(p.key, r.ID[:])
	}
}

// holds writes the opened and deletes the closed ones; one opened and closed within the segment was never on the disk, and
// is not there after it.
func (p *persister) holds(shard holdfast.ShardID, g *ledger.Segment, t *tables) {
	if len(g.Opened)+len(g.Closed) == 0 {
		return
	}
	final := make(map[holdfast.ID]*ledger.OpenHold, len(g.Opened)+len(g.Closed))
	for i := range g.Opened {
		final[g.Opened[i].ID] = &g.Opened[i]
	}
	for _, id := range g.Closed {
		final[id] = nil
	}
	for _, id := range sortedKeys(final, func(a, b holdfast.ID) int { return bytes.Compare(a[:], b[:]) }) {
		p.key = holdKey(p.key[:0], shard, &id)
		if h := final[id]; h != nil {
			p.value = appendHold(p.value[:0], h)
			t.set(p.key, p.value)
		} else {
			t.del(p.key)
		}
	}
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

// indexes writes the index keys that the records have now and deletes those they have no more.
func (p *persister) indexes(shard holdfast.ShardID, rows []ledger.RecordRow, t *tables) {
	if len(rows) == 0 {
		return
	}
	final := map[string]bool{} // key: whether it stays
	for i := range rows {
		for _, index := range rows[i].OldIndex {
			final[string(append(indexPrefix(nil, shard, index), rows[i].Key...))] = false
		}
	}
	for i := range rows {
		for _, index := range rows[i].Index {
			final[string(append(indexPrefix(nil, shard, index), rows[i].Key...))] = true
		}
	}
	for _, key := range sortedKeys(final, cmp.Compare[string]) {
		if final[key] {
			t.set([]byte(key), nil)
		} else {
			t.del([]byte(key))
		}
	}
}

func (p *persister) outbox(shard holdfast.ShardID, g *ledger.Segment, t *tables) {
	if len(g.Queued)+len(g.Acked) == 0 {
		return
	}
	final := make(map[uint64]*holdfast.Queued, len(g.Queued)+len(g.Acked))
	for i := range g.Queued {
		final[g.Queued[i].Seq] = &g.Queued[i]
	}
	for _, seq := range g.Acked {
		final[seq] = nil
	}
	for _, seq := range sortedKeys(final, cmp.Compare[uint64]) {
		p.key = outboxKey(p.key[:0], shard, seq)
		if q := final[seq]; q != nil {
			p.value = appendQueued(p.value[:0], q)
			t.set(p.key, p.value)
		} else {
			t.del(p.key)
		}
	}
}

func (p *persister) records(shard holdfast.ShardID, rows []ledger.RecordRow, t *tables) {
	// Those of no owner come first, the others slot by slot. To read an owner off a key takes much longer than to compare: once for each row.
	type placed struct {
		place int
		row   *ledger.RecordRow
	}
	sorted := make([]placed, len(rows))
	for i := range rows {
		sorted[i].row = &rows[i]
		if owner := holdfast.OwnerOfKey(rows[i].Key); owner != 0 {
			sorted[i].place = 1 + int(owner.Slot())
		}
	}
	slices.SortFunc(sorted, func(a, b placed) int {
		if a.place != b.place {
			return cmp.Compare(a.place, b.place)
		}
		return cmp.Compare(a.row.Key, b.row.Key)
	})
	for i := range sorted {
		r := sorted[i].row
		if t.size > tableBytes {
			t.open(true)
		}
		p.key = recordKey(p.key[:0], shard, r.Key)
		if r.Deleted {
			t.del(p.key)
			continue
		}
		p.value = appendRecord(p.value[:0], &r.Record)
		t.set(p.key, p.value)
	}
}

// knownAfter sorts the ids and returns the times of all ids that will be on the disk.
func (p *persister) knownAfter(sh *Shard, g *ledger.Segment) timeRanges {
	p.ids = slices.Grow(p.ids[:0], len(g.IDs))[:len(g.IDs)]
	for i := range g.IDs {
		hi, lo := g.IDs[i].ID.Words()
		p.ids[i] = sortID{hi, lo, uint32(i)}
	}
	sortIDs(p.ids)
	p.times = p.times[:0]
	for i := range p.ids {
		if ms, ok := p.ids[i].time(); ok {
			p.times = p.times.note(ms)
		}
	}
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.known.join(p.times)
}

func (s *sortID) time() (ms uint64, ok bool) { return s.hi >> 16, s.hi>>12&15 == 7 && s.lo>>62 == 2 }

// sortIDs orders by id, and rows of one id by age.
func sortIDs(ids []sortID) {
	slices.SortFunc(ids, func(a, b sortID) int {
		switch {
		case a.hi != b.hi:
			return cmp.Compare(a.hi, b.hi)
		case a.lo != b.lo:
			return cmp.Compare(a.lo, b.lo)
		}
		return cmp.Compare(a.row, b.row)
	})
}

// writeIDs writes one key per id, the last row of each. Ids from times that no earlier segment reached get tables of their own:
// these overlap nothing, so the engine puts them at the bottom at once and never touches them again. Only stragglers
// and ids that carry no time are ever compacted.
func (p *persister) writeIDs(sh *Shard, g *ledger.Segment, t *tables) {
	if len(p.ids) == 0 || PlantedIDForgotten {
		return
	}
	sh.mu.RLock()
	known := sh.known
	sh.mu.RUnlock()
	p.key = appendKey(p.key[:0], sh.id, kindID)
	was, cuts := -1, 0
	for i := range p.ids {
		id := &p.ids[i]
		if i+1 < len(p.ids) && p.ids[i+1].hi == id.hi && p.ids[i+1].lo == id.lo {
			continue // rewritten later in the segment
		}
		if class := id.class(known); class != was && cuts < maxIDTables || t.size > tableBytes {
			t.open(true)
			was = class
			cuts++
		}
		p.key = binary.BigEndian.AppendUint64(p.key[:keyHead], id.hi)
		p.key = binary.BigEndian.AppendUint64(p.key, id.lo)
		p.value = appendTrace(p.value[:0], &g.IDs[id.row].Trace)
		t.set(p.key, p.value)
	}
}

// maxIDTables bounds how often a segment's ids are divided between tables.
const maxIDTables = 8

// class tells ids of new times (1) from stragglers and those without a time (0).
func (s *sortID) class(known timeRanges) int {
	if ms, ok := s.time(); ok && !known.covers(ms) {
		return 1
	}
	return 0
}
