package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/store"
)

// disk is the model of one site's disk. What is written is visible at once and safe only after a sync; a crash keeps a prefix
// of what was not synced, the last piece of it possibly torn in the middle. It holds entries in the encoding of package store,
// so that what tells a torn entry from a whole one is the real checksum.
type disk struct {
	e       *engine
	volumes []*volume // by shard, from 0
	pending []batch   // written and not synced, oldest first
	keep    uint64    // entries behind the checkpoint that followers are served from the log
	dead    error     // after a failed fsync every call fails
	full    bool
}

// batch is what was written at once: whole after a crash, or not there at all.
type batch struct {
	shard   holdfast.ShardID
	hard    *store.HardState
	entries []store.Entry
}

// content is what a replica has written: once as it is visible, once as it is safe.
type content struct {
	hard    store.HardState
	entries []store.Entry // all from index 1
}

// volume is the replica of one shard on a disk. It implements shard.Disk.
type volume struct {
	disk          *disk
	shard         holdfast.ShardID
	identity      store.Identity
	visible, safe content
	checkpoint    *checkpoint
}

// checkpoint is the state as of an index and the history up to there. It is replaced, never changed, so that an export of it
// stays what it was.
type checkpoint struct {
	meta     ledger.Meta
	accounts []holdfast.Account // in order of opening
	holds    []ledger.OpenHold
	outbox   []holdfast.Queued
	ids      map[holdfast.ID]ledger.Trace
	records  map[string]holdfast.Record
}

var errDisk = errors.New("model disk: fsync failed")

func newDisk(e *engine, shards int, keep uint64) *disk {
	d := &disk{e: e, keep: keep}
	for i := range shards {
		d.volumes = append(d.volumes, &volume{disk: d, shard: holdfast.ShardID(i + 1), checkpoint: &checkpoint{}})
	}
	return d
}

// write makes the batches visible, in order.
func (d *disk) write(batches []batch) error {
	if d.dead != nil {
		return d.dead
	}
	for _, b := range batches {
		d.volumes[b.shard-1].visible.put(&b)
		ends(d.e, &b, d.volumes[b.shard-1])
	}
	d.pending = append(d.pending, batches...)
	return nil
}

// put does to the content what the batch says.
func (c *content) put(b *batch) {
	if b.hard != nil {
		c.hard = *b.hard
	}
	if len(b.entries) == 0 {
		return
	}
	first := b.entries[0].Index
	if first > uint64(len(c.entries))+1 {
		panic(fmt.Sprintf("model disk: shard %d: entries from %d on, but the log ends at %d", b.shard, first, len(c.entries)))
	}
	if last := uint64(len(c.entries)); first <= last {
		old := c.entries
		c.entries = append(old[:first-1:first-1], b.entries...) // a copy: the old slice may be in an export
		if end := first - 1 + uint64(len(b.entries)); store.PlantedTailKept && end < last {
			c.entries = append(c.entries, old[end:]...)
		}
		return
	}
	c.entries = append(c.entries, b.entries...)
}

// share gives a copy of the content that may be appended to without the two disturbing each other.
func (c *content) share() content { return content{c.hard, slices.Clip(c.entries)} }

func (d *disk) open() error { return nil }

func (d *disk) close() {}

func (d *disk) volume(i int) volumeOf { return d.volumes[i] }

// written is how many batches have been written so far and not synced.
func (d *disk) written() int { return len(d.pending) }

// sync makes the oldest n batches safe.
func (d *disk) sync(n int) {
	n = min(n, len(d.pending))
	for i := range n {
		d.volumes[d.pending[i].shard-1].safe.put(&d.pending[i])
	}
	d.pending = slices.Delete(d.pending, 0, n)
}

// safe is how far the safe log of a volume reaches.
func (d *disk) safe(i int) uint64 { return uint64(len(d.volumes[i].safe.entries)) }

func (d *disk) safeHard(i int) store.HardState { return d.volumes[i].safe.hard }

func (d *disk) known(i int) uint64 {
	return max(d.volumes[i].safe.hard.Commit, d.volumes[i].checkpoint.meta.Index)
}

// fail is a failed fsync: nobody knows what is on the platters, and nothing is promised any more.
func (d *disk) fail() { d.dead = errDisk }

func (d *disk) fill(full bool) { d.full = full }

// crash forgets what was not synced, but for a prefix: whole is how many batches happen to have reached the platters, tear how
// many bytes of the next one (modulo its length). It reports whether something was torn.
func (d *disk) crash(whole, tear int) (torn bool) {
	var b *batch
	ok := false
	if torn = whole < len(d.pending) && tear > 0; torn {
		b, ok = tornBatch(&d.pending[whole], tear) // before sync, which moves the batches up
	}
	d.sync(whole)
	if ok {
		d.volumes[b.shard-1].safe.put(b)
	}
	d.pending, d.dead = nil, nil
	for _, v := range d.volumes {
		v.visible = v.safe.share()
	}
	return torn
}

// tornBatch is what recovery makes of a batch of which only some bytes were written, the rest being zeros. Checksums tell: a
// batch with one bad entry is as if it had never been written.
func tornBatch(b *batch, tear int) (*batch, bool) {
	if len(b.entries) == 0 {
		return nil, false
	}
	out := &batch{shard: b.shard, hard: b.hard}
	total := 0
	var values [][]byte
	for i := range b.entries {
		values = append(values, store.AppendEntry(nil, b.shard, &b.entries[i]))
		total += len(values[i])
	}
	left := tear % total
	for i, value := range values {
		if left < len(value) {
			clear(value[left:])
		}
		left = max(0, left-len(value))
		e, err := store.DecodeEntry(b.shard, b.entries[i].Index, value)
		if err != nil {
			return nil, false
		}
		if e.Term == 0 { // all zeros: not even a careless reader takes that for an entry
			break
		}
		out.entries = append(out.entries, e)
	}
	return out, len(out.entries) > 0
}

// wipe is a new disk in the place of the old one.
func (d *disk) wipe() {
	full := d.full
	*d = *newDisk(d.e, len(d.volumes), d.keep)
	d.full = full
	for _, v := range d.volumes {
		v.disk = d
	}
}

// Hard implements shard.Disk.
func (v *volume) Hard() store.HardState { return v.visible.hard }

// FirstIndex implements shard.Disk.
func (v *volume) FirstIndex() uint64 {
	if settled := v.checkpoint.meta.Index; settled > v.disk.keep {
		return settled - v.disk.keep + 1
	}
	return 1
}

// LastIndex implements shard.Disk.
func (v *volume) LastIndex() uint64 { return uint64(len(v.visible.entries)) }

// Term implements shard.Disk.
func (v *volume) Term(index uint64) (uint64, error) {
	switch {
	case index == 0:
		return 0, nil
	case index+1 < v.FirstIndex():
		return 0, store.ErrCompacted
	case index > v.LastIndex():
		return 0, store.ErrUnavailable
	}
	return v.visible.entries[index-1].Term, nil
}

// Entries implements shard.Disk.
func (v *volume) Entries(lo, hi, maxBytes uint64) ([]store.Entry, error) {
	switch {
	case lo < v.FirstIndex():
		return nil, store.ErrCompacted
	case hi > v.LastIndex()+1:
		return nil, store.ErrUnavailable
	}
	var size uint64
	end := lo
	for ; end < hi; end++ {
		if size += uint64(len(v.visible.entries[end-1].Data)); size > maxBytes && end > lo {
			break
		}
	}
	return slices.Clone(v.visible.entries[lo-1 : end-1]), nil
}

// Entry implements shard.Disk.
func (v *volume) Entry(index uint64) ([]byte, error) {
	if index == 0 || index > v.LastIndex() {
		return nil, fmt.Errorf("model disk: shard %d, entry %d: %w", v.shard, index, store.ErrUnavailable)
	}
	return v.visible.entries[index-1].Data, nil
}

// Find implements shard.Disk.
func (v *volume) Find(id holdfast.ID) (ledger.Trace, bool, error) {
	t, ok := v.checkpoint.ids[id]
	return t, ok, v.disk.dead
}

// Record implements shard.Disk.
func (v *volume) Record(key string) (holdfast.Record, bool, error) {
	r, ok := v.checkpoint.records[key]
	return r, ok, v.disk.dead
}

// ownedRecords are the records of the owners of a slot whose keys begin with prefix, of a machine on this disk.
func (v *volume) ownedRecords(m *shard.Machine, slot holdfast.Slot, prefix, after string, max int) (list []holdfast.Record) {
	m.State(func(s *ledger.State) {
		list = s.RecentOwned(slot, prefix, after, max)
		for key, r := range v.checkpoint.records {
			if key <= after || !strings.HasPrefix(key, prefix) {
				continue
			}
			if _, newer := s.RecentRecord(key); !newer && holdfast.OwnerOfKey(key).Slot() == slot {
				list = append(list, r)
			}
		}
	})
	slices.SortFunc(list, func(a, b holdfast.Record) int { return strings.Compare(a.Key, b.Key) })
	return list[:min(max, len(list))]
}

// Identity implements shard.Disk.
func (v *volume) Identity() store.Identity { return v.identity }

// SetIdentity implements shard.Disk. It is synced, and with it everything written before.
func (v *volume) SetIdentity(id store.Identity) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	v.disk.sync(len(v.disk.pending))
	v.identity = id
	return nil
}

// Meta implements shard.Disk.
func (v *volume) Meta() (ledger.Meta, bool) { return v.checkpoint.meta, v.checkpoint.meta.Index > 0 }

// Load implements shard.Disk.
func (v *volume) Load() (*ledger.State, error) {
	c, s := v.checkpoint, ledger.New()
	if c.meta.Index == 0 {
		return s, nil
	}
	s.RestoreMeta(c.meta)
	for i := range c.accounts {
		a := c.accounts[i]
		if err := s.RestoreAccount(&a); err != nil {
			return nil, err
		}
	}
	for i := range c.holds {
		h := c.holds[i]
		if err := s.RestoreHold(&h); err != nil {
			return nil, err
		}
	}
	for _, q := range c.outbox {
		if err := s.RestoreOutbox(q); err != nil {
			return nil, err
		}
	}
	return s, s.Restored()
}

// Persist implements shard.Disk.
func (v *volume) Persist(g *ledger.Segment) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	v.checkpoint = v.checkpoint.with(g)
	return nil
}

// with is the checkpoint after one more segment.
func (c *checkpoint) with(g *ledger.Segment) *checkpoint {
	n := &checkpoint{
		meta: g.Meta, accounts: slices.Clone(c.accounts), ids: maps.Clone(c.ids), records: maps.Clone(c.records),
	}
	n.addRows(g)
	n.holds = append(slices.Clone(c.holds), g.Opened...)
	n.holds = slices.DeleteFunc(n.holds, func(h ledger.OpenHold) bool { return slices.Contains(g.Closed, h.ID) })
	n.outbox = append(slices.Clone(c.outbox), g.Queued...)
	n.outbox = slices.DeleteFunc(n.outbox, func(q holdfast.Queued) bool { return slices.Contains(g.Acked, q.Seq) })
	n.addIDs(g)
	return n
}

func (c *checkpoint) addRows(g *ledger.Segment) {
	where := make(map[holdfast.AccountID]int, len(c.accounts))
	for i := range c.accounts {
		where[c.accounts[i].ID] = i
	}
	for i := range g.Rows {
		r := &g.Rows[i]
		a := g.Account(r.Account)
		at, ok := where[a.ID]
		if !ok {
			at = len(c.accounts)
			where[a.ID] = at
			c.accounts = append(c.accounts, a)
		}
		a.Flags = r.Flags
		a.DebitsPosted, a.CreditsPosted = r.DebitsPosted, r.CreditsPosted
		a.DebitsPending, a.CreditsPending = r.DebitsPending, r.CreditsPending
		c.accounts[at] = a
	}
}

func (c *checkpoint) addIDs(g *ledger.Segment) {
	if c.ids == nil {
		c.ids, c.records = map[holdfast.ID]ledger.Trace{}, map[string]holdfast.Record{}
	}
	for i := range g.IDs {
		if !store.PlantedIDForgotten {
			c.ids[g.IDs[i].ID] = g.IDs[i].Trace
		}
	}
	for i := range g.Records {
		r := &g.Records[i]
		if r.Deleted {
			delete(c.records, r.Key)
		} else {
			c.records[r.Key] = r.Record
		}
	}
}

// rot moves one unit from one account to another in the stored checkpoint, so that no limit shows it. It is false when there is none yet.
func (v *volume) rot() bool {
	c := *v.checkpoint
	c.accounts = slices.Clone(c.accounts)
	var rich []int
	for i := range c.accounts {
		if a := &c.accounts[i]; a.CreditsPosted > 1 && a.ID.Asset == c.accounts[0].ID.Asset && a.Flags == 0 &&
			(a.Limit == holdfast.LimitNone || a.Limit == holdfast.LimitDebits && a.Available() > 0) {
			rich = append(rich, i)
		}
	}
	if len(rich) < 2 {
		return false
	}
	c.accounts[rich[0]].CreditsPosted++
	c.accounts[rich[1]].CreditsPosted--
	v.checkpoint = &c
	return true
}

// copied is a consistent copy of a volume: the checkpoint and the log up to it.
type copied struct {
	checkpoint *checkpoint
	entries    []store.Entry
}

func (c copied) meta() ledger.Meta { return c.checkpoint.meta }

func (v *volume) export() (export, error) {
	c := v.checkpoint
	return copied{c, v.visible.entries[:c.meta.Index:c.meta.Index]}, v.disk.dead
}

func (v *volume) forget() error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	v.disk.pending = slices.DeleteFunc(v.disk.pending, func(b batch) bool { return b.shard == v.shard })
	*v = volume{disk: v.disk, shard: v.shard, checkpoint: &checkpoint{}}
	return nil
}

func (v *volume) gather(export) error {
	if v.disk.full {
		return &store.ErrNoSpace{Need: 1}
	}
	return v.disk.dead
}

// install replaces everything but the identity, atomically.
func (v *volume) install(from export) error {
	if v.disk.dead != nil {
		return v.disk.dead
	}
	x := from.(copied)
	v.disk.pending = slices.DeleteFunc(v.disk.pending, func(b batch) bool { return b.shard == v.shard })
	v.visible.entries = x.entries
	v.safe = v.visible.share()
	v.checkpoint = x.checkpoint
	v.identity.Born = true
	return nil
}
