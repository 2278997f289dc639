package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"holdfast"
	"holdfast/ledger"
)

// Load builds the state of the checkpoint in memory: accounts, open holds, outbox. Without a checkpoint it is the empty
// state. What the log holds after the checkpoint is for the caller to apply. The ledger checks that accounts, holds and totals
// agree with each other; when they do not, the error is an [ErrCorrupt].
func (sh *Shard) Load() (state *ledger.State, err error) {
	if err := sh.usable(); err != nil {
		return nil, err
	}
	snapshot := sh.store.state.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	meta, err := readSmall(sh, snapshot, kindMeta, readMeta)
	if err != nil {
		return nil, err
	}
	state = ledger.New()
	if meta == nil {
		return state, nil
	}
	state.RestoreMeta(*meta)
	room := provider{}
	defer room.end()
	if meta.Accounts >= manyAccounts {
		state.Reserve(room.provide)
	}
	if err := sh.restore(snapshot, state, meta.Accounts); err != nil {
		return nil, fmt.Errorf("loading the checkpoint of shard %d at %d: %w", sh.id, meta.Index, err)
	}
	if err := state.Restored(); err != nil {
		return nil, &ErrCorrupt{Shard: sh.id, What: "the checkpoint contradicts itself", Err: err}
	}
	return state, nil
}

// manyAccounts are worth more than one core.
const manyAccounts = 100_000

func (sh *Shard) restore(r pebble.Reader, state *ledger.State, accounts uint64) error {
	if err := sh.restoreAccounts(r, state, accounts); err != nil {
		return err
	}
	var failed error
	err := sh.scanHolds(r, func(h *ledger.OpenHold) bool {
		failed = state.RestoreHold(h)
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return sh.scan(r, shardKey(sh.id, kindOutbox), shardKey(sh.id, kindOutbox+1), func(key, value []byte) error {
		q, err := readQueued(key, value)
		if err != nil {
			return err
		}
		return state.RestoreOutbox(q)
	})
}

// restoreAccounts reads and decodes on some cores while another fills the memory: with millions of accounts it is the longest
// part of a start. Few accounts come in the order of their ids; that of many is whatever it is, and no one else ever sees it.
func (sh *Shard) restoreAccounts(r pebble.Reader, state *ledger.State, accounts uint64) error {
	ranges := []accountRange{sh.allAccounts()}
	readers := 1
	if accounts >= manyAccounts {
		var err error
		if ranges, err = sh.accountRanges(r); err != nil {
			return err
		}
		readers = min(runtime.GOMAXPROCS(0), maxReaders)
	}
	read := newAccountReaders(sh, r, ranges)
	for range readers {
		read.done.Go(read.run)
	}
	go func() {
		read.done.Wait()
		close(read.full)
	}()
	var failed error
	for part := range read.full {
		for i := range part {
			if failed == nil {
				failed = state.RestoreAccount(&part[i])
			}
		}
		read.empty <- part[:0]
	}
	return errors.Join(read.err, failed)
}

const (
	maxReaders   = 4
	accountParts = 2 * maxReaders // on their way from the readers
	accountsPart = 1024           // in one
)

// accountReaders share the ranges: whoever is done with one takes the next.
type accountReaders struct {
	shard       *Shard
	from        pebble.Reader
	empty, full chan []holdfast.Account
	done        sync.WaitGroup

	mu     sync.Mutex
	ranges []accountRange
	err    error
}

// accountRange is from a key up to but without another.
type accountRange struct{ lo, hi []byte }

func (sh *Shard) allAccounts() accountRange {
	return accountRange{shardKey(sh.id, kindAccount), shardKey(sh.id, kindAccount+1)}
}

func newAccountReaders(sh *Shard, r pebble.Reader, ranges []accountRange) *accountReaders {
	a := &accountReaders{
		shard: sh, from: r, ranges: ranges,
		empty: make(chan []holdfast.Account, accountParts), full: make(chan []holdfast.Account, accountParts),
	}
	for range accountParts {
		a.empty <- make([]holdfast.Account, 0, accountsPart)
	}
	return a
}

// run ends when there is no range left, or when any reader had an error.
func (a *accountReaders) run() {
	for {
		next, ok := a.next()
		if !ok {
			return
		}
		part := <-a.empty
		err := a.shard.scanAccounts(a.from, next, func(x *holdfast.Account) error {
			if part = append(part, *x); len(part) == accountsPart {
				a.full <- part
				part = <-a.empty
			}
			return nil
		})
		a.full <- part
		a.fail(err)
	}
}

func (a *accountReaders) next() (next accountRange, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ranges) == 0 || a.err != nil {
		return next, false
	}
	next, a.ranges = a.ranges[0], a.ranges[1:]
	return next, true
}

func (a *accountReaders) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = errors.Join(a.err, err)
}

// accountRanges cuts the accounts into ranges of owners, equally wide between the first and the last. Numbers of owners are given
// out in rows, so most of them will be about equally full.
func (sh *Shard) accountRanges(r pebble.Reader) ([]accountRange, error) {
	const n = 64
	all := sh.allAccounts()
	first, last, err := sh.outermost(r, all)
	if err != nil {
		return nil, err
	}
	var list []accountRange
	lo := all.lo
	for i := range uint64(n) {
		next := binary.BigEndian.AppendUint64(shardKey(sh.id, kindAccount), first+(last-first)/n*(i+1))
		list = append(list, accountRange{lo, next})
		lo = next
	}
	list[n-1].hi = all.hi
	return list, nil
}

// outermost are the first and the last owner of the accounts in a range.
func (sh *Shard) outermost(r pebble.Reader, within accountRange) (first, last uint64, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: within.lo, UpperBound: within.hi})
	if err != nil {
		return 0, 0, sh.readError(0, nil, err)
	}
	if it.First() && len(it.Key()) >= keyHead+8 {
		first = binary.BigEndian.Uint64(it.Key()[keyHead:])
	}
	if it.Last() && len(it.Key()) >= keyHead+8 {
		last = binary.BigEndian.Uint64(it.Key()[keyHead:])
	}
	return first, max(first, last), sh.closed(it)
}

// scanAccounts calls use with every account of a range of the checkpoint in the order of their ids. The account is reused.
func (sh *Shard) scanAccounts(r pebble.Reader, within accountRange, use func(*holdfast.Account) error) error {
	a := new(holdfast.Account)
	return sh.scan(r, within.lo, within.hi, func(key, value []byte) error {
		if err := readAccount(key, value, a); err != nil {
			return err
		}
		return use(a)
	})
}
