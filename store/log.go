package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"holdfast"
)

// Write is what one shard wants on the disk.
type Write struct {
	Shard   holdfast.ShardID
	Hard    *HardState // nil: unchanged
	Entries []Entry    // without gaps; what stood from Entries[0].Index on is dropped. The store keeps Data: do not write into it
	Sync    bool       // the answer has to wait for the disk
}

// Write stores what all shards of the site want in one batch with at most one fsync; all of it is there after a crash, or
// none. Once it has answered nil, everything with Sync is on the disk. Any error is fatal ([ErrFatal]). Entries that would leave
// a gap or replace what a checkpoint covers are a bug of the caller, and panic.
func (s *Store) Write(writes []Write) error {
	if err := s.alive(); err != nil {
		return err
	}
	batch := s.log.NewBatchWithSize(batchBytes(writes))
	defer func() { _ = batch.Close() }() // only returns memory; Commit has reported what can fail
	sync := pebble.NoSync
	for i := range writes {
		if writes[i].Sync && !PlantedAckBeforeFsync {
			sync = pebble.Sync
		}
		if err := s.Shard(writes[i].Shard).addTo(batch, &writes[i]); err != nil {
			return s.die(fmt.Errorf("preparing a write to the log: %w", err))
		}
	}
	if PlantedTornTailAccepted {
		s.writeTorn(writes)
	}
	began, size := s.opts.Now(), batch.Len()
	// The commit point: from here on the entries count as this site's.
	if err := batch.Commit(sync); err != nil {
		return s.die(fmt.Errorf("writing the log: %w", err))
	}
	if err := s.alive(); err != nil { // the engine reports some failures only to its logger
		return err
	}
	promises := make([]promise, len(writes))
	for i := range writes {
		promises[i] = s.Shard(writes[i].Shard).wrote(&writes[i])
	}
	if sync == pebble.Sync {
		if err := s.promise(false, promises...); err != nil {
			return err
		}
	}
	s.opts.OnWrite(s.opts.Now().Sub(began), size)
	return nil
}

func batchBytes(writes []Write) int {
	n := 64
	for i := range writes {
		n += 2 * hardBytes
		for j := range writes[i].Entries {
			n += len(writes[i].Entries[j].Data) + 2*entryHead + 16
		}
	}
	return n
}

// addTo encodes w straight into the batch.
func (sh *Shard) addTo(batch *pebble.Batch, w *Write) error {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if w.Hard != nil {
		hard := *w.Hard
		if PlantedVoteNotPersisted {
			hard.Vote = 0
		}
		key := shardKey(sh.id, kindHard)
		if err := batch.Set(key, appendHard(key, hard), nil); err != nil {
			return err
		}
	}
	if len(w.Entries) == 0 {
		return nil
	}
	sh.checkAppend(w.Entries)
	for i := range w.Entries {
		e := &w.Entries[i]
		op := batch.SetDeferred(keyHead+8, entryHead+len(e.Data))
		entryKey(op.Key[:0], sh.id, e.Index)
		putEntry(op.Value, sh.id, e)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return sh.dropOld(batch, w.Entries[len(w.Entries)-1].Index+1)
}

// checkAppend panics with the numbers when entries do not continue the log, or would rewrite what is settled.
func (sh *Shard) checkAppend(entries []Entry) {
	first := entries[0].Index
	if settled := sh.settled(); first > sh.last+1 || first <= settled {
		panic(fmt.Sprintf("store: shard %d: entries from %d on, but the log ends at %d and the checkpoint covers %d",
			sh.id, first, sh.last, settled))
	}
	for i := range entries {
		if entries[i].Index != first+uint64(i) {
			panic(fmt.Sprintf("store: shard %d: entry %d follows entry %d", sh.id, entries[i].Index, first+uint64(i)-1))
		}
	}
}

// dropOld deletes what stands from index on, after entries before it were overwritten.
func (sh *Shard) dropOld(batch *pebble.Batch, index uint64) error {
	if index > sh.last || PlantedTailKept {
		return nil
	}
	return batch.DeleteRange(entryKey(nil, sh.id, index), entryKey(nil, sh.id, sh.last+1), nil)
}

// wrote follows in memory what is on the disk now, and answers where the shard stands.
func (sh *Shard) wrote(w *Write) promise {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if w.Hard != nil {
		sh.hard = *w.Hard
	}
	if n := len(w.Entries); n > 0 {
		sh.tail.put(w.Entries)
		sh.last = w.Entries[n-1].Index
	}
	return promise{shard: sh.id, index: sh.last, term: sh.hard.Term}
}

// writeTorn is a planted fault: the last entry is first written in part.
func (s *Store) writeTorn(writes []Write) {
	for i := range writes {
		n := len(writes[i].Entries)
		if n == 0 || len(writes[i].Entries[n-1].Data) < 2 {
			continue
		}
		torn := writes[i].Entries[n-1]
		torn.Data = torn.Data[:len(torn.Data)/2]
		value := make([]byte, entryHead+len(torn.Data))
		putEntry(value, writes[i].Shard, &torn)
		if err := s.log.Set(entryKey(nil, writes[i].Shard, torn.Index), value, pebble.Sync); err != nil {
			s.die(err)
		}
	}
}

// Hard returns the hard state as last written; zero when there is none.
func (sh *Shard) Hard() HardState {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.hard
}

// Identity returns who this replica is; zero on an empty disk.
func (sh *Shard) Identity() Identity {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.identity
}

// SetIdentity stores who this replica is, synced. Errors are fatal, except that a damaged replica answers [ErrCorrupt]: whoever
// it is now, it must not become someone else without being wiped.
func (sh *Shard) SetIdentity(id Identity) error {
	if err := sh.usable(); err != nil {
		return err
	}
	key := shardKey(sh.id, kindIdentity)
	if err := sh.store.log.Set(key, appendIdentity(key, id), pebble.Sync); err != nil {
		return sh.store.die(fmt.Errorf("writing the identity of shard %d: %w", sh.id, err))
	}
	if err := sh.store.promise(true, sh.standing()); err != nil {
		return err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.identity = id
	return nil
}

const formatTrust = 1

func appendTrust(key, trust []byte) []byte { return sealed(key, append([]byte{formatTrust}, trust...)) }

func readTrust(key, value []byte) ([]byte, error) {
	b, err := unsealed(key, value, formatTrust)
	return slices.Clone(b), err
}

// Trust returns what SetTrust was given last; nil when that was nothing, or was about a state that was wiped or replaced since. It must not
// be changed.
func (sh *Shard) Trust() []byte {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.trust
}

// SetTrust stores, synced, what somebody who answers for it has decided about the state of this replica. Errors are fatal, except
// that a damaged replica answers [ErrCorrupt].
func (sh *Shard) SetTrust(trust []byte) error {
	if err := sh.usable(); err != nil {
		return err
	}
	key := shardKey(sh.id, kindTrust)
	if err := sh.store.log.Set(key, appendTrust(key, trust), pebble.Sync); err != nil {
		return sh.store.die(fmt.Errorf("writing what was decided about shard %d: %w", sh.id, err))
	}
	if err := sh.store.promise(true, sh.standing()); err != nil {
		return err
	}
	sh.decide(slices.Clone(trust))
	return nil
}

func (sh *Shard) decide(trust []byte) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.trust = trust
}

// LastIndex is the index of the last entry; that of the checkpoint when there is none after it; 0 for an empty replica.
func (sh *Shard) LastIndex() uint64 {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.last
}

// FirstIndex is the oldest entry that followers are served from the log. [Shard.Entry] reads older ones as well.
func (sh *Shard) FirstIndex() uint64 {
	sh.mu.RLock()
	settled, keep := sh.settled(), sh.store.opts.KeepEntries
	sh.mu.RUnlock()
	if settled <= keep {
		return 1
	}
	return settled - keep + 1
}

// Term returns the term of the entry at index; that of 0 is 0. Older than FirstIndex()-1: [ErrCompacted]; beyond the end:
// [ErrUnavailable].
func (sh *Shard) Term(index uint64) (uint64, error) {
	if index == 0 {
		return 0, nil
	}
	if index+1 < sh.FirstIndex() {
		return 0, fmt.Errorf("shard %d, entry %d: %w", sh.id, index, ErrCompacted)
	}
	e, err := sh.entry(index)
	return e.Term, err
}

// Entries returns the entries from lo up to but without hi, as many as fit into maxBytes, but at least one. The errors are
// those of [Shard.Term] and [ErrCorrupt].
func (sh *Shard) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	if lo < sh.FirstIndex() {
		return nil, fmt.Errorf("shard %d, entries from %d on: %w", sh.id, lo, ErrCompacted)
	}
	if last := sh.LastIndex(); hi > last+1 {
		return nil, fmt.Errorf("shard %d, entries up to %d, the last is %d: %w", sh.id, hi-1, last, ErrUnavailable)
	}
	if lo >= hi {
		return nil, nil
	}
	limit := &sizeLimit{left: maxBytes}
	held := sh.fromTail(lo, hi, limit)
	if held != nil {
		return held, nil
	}
	return sh.fromDisk(lo, hi, limit)
}

// sizeLimit lets entries through up to a number of bytes, and the first one in any case.
type sizeLimit struct {
	left uint64
	any  bool
}

func (l *sizeLimit) admit(e *Entry) bool {
	size := uint64(len(e.Data) + entryHead)
	if l.any && size > l.left {
		return false
	}
	l.any = true
	l.left -= min(size, l.left)
	return true
}

// fromTail answers nil when the tail does not reach back to lo.
func (sh *Shard) fromTail(lo, hi uint64, limit *sizeLimit) []Entry {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	var out []Entry
	for i := lo; i < hi; i++ {
		e, ok := sh.tail.get(i)
		if !ok || !limit.admit(e) {
			break
		}
		out = append(out, *e)
	}
	return out
}

func (sh *Shard) fromDisk(lo, hi uint64, limit *sizeLimit) (out []Entry, err error) {
	err = sh.scanEntries(sh.store.log, lo, hi, func(e *Entry) bool {
		if !limit.admit(e) {
			return false
		}
		out = append(out, *e)
		return true
	})
	return out, err
}

// scanEntries verifies and yields the entries from lo to hi-1 in order until yield says no. A missing one is corruption.
func (sh *Shard) scanEntries(r pebble.Reader, lo, hi uint64, yield func(*Entry) bool) error {
	if err := sh.usable(); err != nil {
		return err
	}
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: entryKey(nil, sh.id, lo), UpperBound: entryKey(nil, sh.id, hi)})
	if err != nil {
		return sh.readError(lo, nil, err)
	}
	next := lo
	for ok := iter.First(); ok; ok = iter.Next() {
		e, err := sh.entryAt(next, iter)
		if err != nil {
			return errors.Join(err, iter.Close())
		}
		if !yield(&e) {
			return sh.closed(iter)
		}
		next++
	}
	if err := iter.Close(); err != nil {
		return sh.readError(next, nil, err)
	}
	if next < hi {
		return sh.missing(next)
	}
	return nil
}

// entryAt reads the entry under the iterator, which has to be the one at index.
func (sh *Shard) entryAt(index uint64, iter *pebble.Iterator) (Entry, error) {
	if string(iter.Key()) != string(entryKey(nil, sh.id, index)) {
		return Entry{}, sh.missing(index)
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return Entry{}, sh.readError(index, iter.Key(), err)
	}
	return readEntry(sh.id, index, value)
}

func (sh *Shard) missing(index uint64) error {
	return &ErrCorrupt{Shard: sh.id, Index: index, Key: entryKey(nil, sh.id, index), What: "the entry is missing within the log"}
}

// entry returns the entry at index, from memory or from the journal.
func (sh *Shard) entry(index uint64) (Entry, error) {
	if err := sh.store.alive(); err != nil {
		return Entry{}, err
	}
	sh.mu.RLock()
	held, ok := sh.tail.get(index)
	last := sh.last
	var e Entry
	if ok {
		e = *held
	}
	sh.mu.RUnlock()
	if ok {
		return e, nil
	}
	if index == 0 || index > last {
		return Entry{}, fmt.Errorf("shard %d, entry %d, the last is %d: %w", sh.id, index, last, ErrUnavailable)
	}
	if err := sh.usable(); err != nil {
		return Entry{}, err
	}
	return sh.entryFromDisk(index)
}

func (sh *Shard) entryFromDisk(index uint64) (Entry, error) {
	key := entryKey(nil, sh.id, index)
	value, closer, err := sh.store.log.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return Entry{}, sh.missing(index)
	}
	if err != nil {
		return Entry{}, sh.readError(index, key, err)
	}
	e, err := readEntry(sh.id, index, value)
	return e, errors.Join(err, closer.Close())
}

// Entry returns the data of the entry at index, however old: the log is the journal. The caller must not change it.
func (sh *Shard) Entry(index uint64) ([]byte, error) {
	e, err := sh.entry(index)
	return e.Data, err
}

// Logged returns the entry at index with its term, however old. The caller must not change its data.
func (sh *Shard) Logged(index uint64) (Entry, error) { return sh.entry(index) }

// readError turns an error of the engine into one that names the shard, and the corrupt place when it is that.
func (sh *Shard) readError(index uint64, key []byte, err error) error {
	if pebble.IsCorruptionError(err) {
		return &ErrCorrupt{
			Shard: sh.id, Index: index, Key: append([]byte(nil), key...),
			What: "the engine cannot read a table", Err: err,
		}
	}
	return fmt.Errorf("reading shard %d from the disk: %w", sh.id, err)
}

// closed closes an iterator that was stopped early.
func (sh *Shard) closed(iter *pebble.Iterator) error {
	if err := iter.Close(); err != nil {
		return sh.readError(0, nil, err)
	}
	return nil
}
