package store

import (
	"errors"
	"fmt"

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
	if err := sh.restore(snapshot, state); err != nil {
		return nil, fmt.Errorf("loading the checkpoint of shard %d at %d: %w", sh.id, meta.Index, err)
	}
	if err := state.Restored(); err != nil {
		return nil, &ErrCorrupt{Shard: sh.id, What: "the checkpoint contradicts itself", Err: err}
	}
	return state, nil
}

func (sh *Shard) restore(r pebble.Reader, state *ledger.State) error {
	if err := sh.restoreAccounts(r, state); err != nil {
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

// restoreAccounts reads and decodes on one core while another fills the memory: with millions of accounts it is the longest
// part of a start.
func (sh *Shard) restoreAccounts(r pebble.Reader, state *ledger.State) error {
	const parts, size = 4, 1024
	empty, full := make(chan []holdfast.Account, parts), make(chan []holdfast.Account, parts)
	for range parts {
		empty <- make([]holdfast.Account, 0, size)
	}
	var read error // set before full is closed
	go func() {    // ends before this method does: full is read to its end
		defer close(full)
		part := <-empty
		read = sh.scanAccounts(r, func(a *holdfast.Account) error {
			if part = append(part, *a); len(part) == size {
				full <- part
				part = <-empty
			}
			return nil
		})
		full <- part
	}()
	var failed error
	for part := range full {
		for i := range part {
			if failed == nil {
				failed = state.RestoreAccount(&part[i])
			}
		}
		empty <- part[:0]
	}
	return errors.Join(read, failed)
}

// scanAccounts calls use with every account of the checkpoint in the order of their ids. The account is reused.
func (sh *Shard) scanAccounts(r pebble.Reader, use func(*holdfast.Account) error) error {
	a := new(holdfast.Account)
	return sh.scan(r, shardKey(sh.id, kindAccount), shardKey(sh.id, kindAccount+1), func(key, value []byte) error {
		if err := readAccount(key, value, a); err != nil {
			return err
		}
		return use(a)
	})
}
