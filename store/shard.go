package store

import (
	"errors"
	"fmt"
	"sync"

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
	last     uint64 // index of the last entry
	tail     tail
	meta     *ledger.Meta // of the checkpoint; nil: none yet. Replaced, never changed
	known    timeRanges   // of persisted ids that carry a time. Replaced, never changed
	readers  *readers     // of the current checkpoint

	persist persister // belongs to whoever calls Persist
}

var _ ledger.Past = (*Shard)(nil)

func newShard(s *Store, id holdfast.ShardID) *Shard {
	return &Shard{id: id, store: s, tail: tail{bound: s.opts.TailBytes}, readers: newReaders(s)}
}

// openShards finds every shard that has anything in either database, finishes interrupted installations, and reads it.
func (s *Store) openShards() error {
	for _, db := range []*pebble.DB{s.log, s.state} {
		if err := s.discover(db); err != nil {
			return err
		}
	}
	for _, id := range s.Shards() {
		if err := s.Shard(id).open(); err != nil {
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
	if err := iter.Close(); err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	return nil
}

func (sh *Shard) open() error {
	if err := sh.resumeInstall(); err != nil {
		return err
	}
	return sh.reload()
}

// reload reads from the disk everything that is kept in memory about the shard. Opening and installing both end here.
func (sh *Shard) reload() error {
	hard, err := readSmall(sh, sh.store.log, kindHard, readHard)
	if err != nil {
		return err
	}
	identity, err := readSmall(sh, sh.store.log, kindIdentity, readIdentity)
	if err != nil {
		return err
	}
	meta, err := readSmall(sh, sh.store.state, kindMeta, readMeta)
	if err != nil {
		return err
	}
	known, err := readSmall(sh, sh.store.state, kindRanges, readRanges)
	if err != nil {
		return err
	}
	last, err := sh.lastOnDisk()
	if err != nil {
		return err
	}
	if meta != nil && meta.Index > last {
		return &ErrCorrupt{
			Shard: sh.id, Index: last + 1,
			What: fmt.Sprintf("the journal ends at %d, before the checkpoint at %d", last, meta.Index),
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.hard, sh.identity, sh.meta, sh.known, sh.last = hard, identity, meta, known, last
	sh.tail = tail{bound: sh.store.opts.TailBytes}
	sh.readers.close()
	sh.readers = newReaders(sh.store)
	return nil
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

// settled is the index of the checkpoint; entries up to it are committed and never change.
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
