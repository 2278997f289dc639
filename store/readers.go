package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// readers lends iterators over the state database as of one checkpoint. Making one costs more than a look-up does, so a few
// are kept until the next checkpoint replaces them all; they hold old tables on the disk no longer than that.
type readers struct {
	store *Store

	mu     sync.Mutex
	idle   []*pebble.Iterator
	closed bool
}

const idleReaders = 8

func newReaders(s *Store) *readers { return &readers{store: s} }

// with calls use with an iterator nobody else uses, and puts it back. An error of the iterator comes first: use has only seen
// "nothing there".
func (sh *Shard) with(use func(it *pebble.Iterator) error) error {
	if err := sh.usable(); err != nil {
		return err
	}
	sh.mu.RLock()
	r := sh.readers
	sh.mu.RUnlock()
	it, err := r.get()
	if err != nil {
		return sh.readError(0, nil, err)
	}
	err = use(it)
	if broken := it.Error(); broken != nil {
		return errors.Join(sh.readError(0, nil, broken), it.Close())
	}
	return errors.Join(err, r.put(it))
}

func (r *readers) get() (*pebble.Iterator, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		it := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return it, nil
	}
	if r.store.closed.Load() {
		return nil, ErrClosed
	}
	it, err := r.store.state.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, fmt.Errorf("opening an iterator: %w", err)
	}
	return it, nil
}

func (r *readers) put(it *pebble.Iterator) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && len(r.idle) < idleReaders {
		r.idle = append(r.idle, it)
		return nil
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("closing an iterator: %w", err)
	}
	return nil
}

// close gives up the idle iterators; those lent out close when they come back.
func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, it := range r.idle {
		_ = it.Close() // it has been checked for errors after every use
	}
	r.idle = nil
}
