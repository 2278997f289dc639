package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"holdfast"
	"holdfast/ledger"
)

// Shard is one replica on this disk: its part of the log, its checkpoint and its history. Reads may run beside each other and
// beside writes; Persist, Load, Install and Wipe of one shard are called one at a time.
type Shard struct {
	id    holdfast.ShardID
	store *Store

	mu       sync.RWMutex // guards what follows, up to the blank line; never held during I/O
	hard     HardState
	identity Identity
	trust    []byte // replaced, never changed
	last     uint64 // index of the last entry
	tail     tail
	meta     *ledger.Meta // of the checkpoint; nil: none yet. Replaced, never changed
	known    timeRanges   // of persisted ids that carry a time. Replaced, never changed
	readers  *readers     // of the current checkpoint

	damage atomic.Pointer[ErrCorrupt] // what was found corrupt; nil: nothing so far

	persist persister // belongs to whoever calls Persist

	importing sync.Mutex // guards gathers; taken before Import.mu, never while it is held
	gathers   *Import    // the import that is under way since this start; nil: none
}

var _ ledger.Past = (*Shard)(nil)

func newShard(s *Store, id holdfast.ShardID) *Shard {
	return &Shard{id: id, store: s, tail: tail{bound: s.opts.TailBytes}, readers: newReaders(s)}
}

// Damage is what has been found corrupt of this replica, by opening it, reading it or in the background; nil: nothing so far. A
// damaged replica answers [ErrCorrupt] to everything that reads or checkpoints, takes no identity, and can only be wiped.
func (sh *Shard) Damage() error {
	if d := sh.damage.Load(); d != nil {
		return d
	}
	return nil
}

// usable answers why the replica cannot be read: the store is dead or the replica damaged.
func (sh *Shard) usable() error {
	if err := sh.store.alive(); err != nil {
		return err
	}
	return sh.Damage()
}

// note remembers the damage in an error, if there is any, and gives the error back.
func (sh *Shard) note(err error) error {
	if corrupt := (*ErrCorrupt)(nil); errors.As(err, &corrupt) {
		sh.damage.CompareAndSwap(nil, corrupt)
	}
	return err
}

// openShards finds every shard that has anything in either database, finishes interrupted installations, and reads it. A
// shard that cannot be read is damaged, which is no reason not to open the others.
func (s *Store) openShards() error {
	for _, db := range []*pebble.DB{s.log, s.state} {
		if err := s.discover(db); err != nil {
			return err
		}
	}
	for _, id := range s.Shards() {
		if err := s.Shard(id).open(); err != nil && s.Shard(id).Damage() == nil {
			return err
		}
	}
	return s.sweepStage()
}

// discover names the shards that have keys in db, by one seek per shard.
func (s *Store) discover(db *pebble.DB) error {
	iter, err := db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	for ok := iter.First(); ok; {
		id := shardOf(iter.Key())
		s.Shard(id)
		if id == ^holdfast.ShardID(0) {
			break
		}
		ok = iter.SeekGE(shardKey(id+1, 0))
	}
	err = iter.Close()
	if pebble.IsCorruptionError(err) {
		// Which shards lie behind the damage is not known: every one that is asked for from now on may be among them.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unlisted = &ErrCorrupt{What: "the list of shards cannot be read", Err: err}
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	return nil
}

func (sh *Shard) open() error {
	if err := sh.resumeInstall(); err != nil {
		return sh.note(err)
	}
	if err := sh.note(sh.reload()); err != nil {
		return err
	}
	return sh.note(sh.lost())
}

// reload reads from the disk everything that is kept in memory about the shard. Opening and installing both end here.
func (sh *Shard) reload() error {
	hard, err := readSmall(sh, sh.store.log, kindHard, readHard)
	identity, err2 := readSmall(sh, sh.store.log, kindIdentity, readIdentity)
	meta, err3 := readSmall(sh, sh.store.state, kindMeta, readMeta)
	known, err4 := readSmall(sh, sh.store.state, kindRanges, readRanges)
	last, err5 := sh.lastOnDisk()
	trust, err6 := readSmall(sh, sh.store.log, kindTrust, readTrust)
	if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
		sh.know(hard, identity, nil, nil, 0)
		return err
	}
	sh.know(hard, identity, meta, known, last)
	sh.decide(trust)
	if meta != nil && meta.Index > last {
		return &ErrCorrupt{
			Shard: sh.id, Index: last + 1,
			What: fmt.Sprintf("the journal ends at %d, before the checkpoint at %d", last, meta.Index),
		}
	}
	return nil
}

// know sets what is kept in memory.
func (sh *Shard) know(hard HardState, identity Identity, meta *ledger.Meta, known timeRanges, last uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.hard, sh.identity, sh.meta, sh.known, sh.last = hard, identity, meta, known, last
	sh.tail = tail{bound: sh.store.opts.TailBytes}
	sh.readers.close()
	sh.readers = newReaders(sh.store)
}

// readSmall reads and decodes one of the shard's single keys; the zero T when there is none.
func readSmall[T any](sh *Shard, db pebble.Reader, kind byte, decode func(key, value []byte) (T, error)) (T, error) {
	var zero T
	key := shardKey(sh.id, kind)
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return zero, nil
	}
	if err != nil {
		return zero, sh.readError(0, key, err)
	}
	t, err := decode(key, value)
	return t, errors.Join(err, closer.Close())
}

// lastOnDisk finds the last entry and verifies it; 0 when there is none.
func (sh *Shard) lastOnDisk() (uint64, error) {
	iter, err := sh.store.log.NewIter(&pebble.IterOptions{
		LowerBound: shardKey(sh.id, kindEntry), UpperBound: shardKey(sh.id, kindEntry+1),
	})
	if err != nil {
		return 0, sh.readError(0, nil, err)
	}
	if !iter.Last() {
		return 0, sh.closed(iter)
	}
	index, err := indexOf(iter.Key())
	if err == nil {
		_, err = sh.entryAt(index, iter)
	}
	return index, errors.Join(err, sh.closed(iter))
}

// settled is the index of the checkpoint; entries up to it are committed and never change. The caller holds mu.
func (sh *Shard) settled() uint64 {
	if sh.meta == nil {
		return 0
	}
	return sh.meta.Index
}

// Meta returns that of the checkpoint, and false when there is none yet. The caller must not change what it points to.
func (sh *Shard) Meta() (ledger.Meta, bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if sh.meta == nil {
		return ledger.Meta{}, false
	}
	return *sh.meta, true
}

func (sh *Shard) dropReaders() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.readers.close()
}
