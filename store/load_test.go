package store

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

// Many accounts are read on several cores, range by range; they come out as they went in, wherever their owners' numbers are.
func TestManyAccountsAreLoaded(t *testing.T) {
	died := new(deaths)
	o := testOptions(vfs.NewMem(), died)
	s := mustOpen(t, o)
	defer func() { mustClose(t, s) }()
	w := newWorld(t, s, 1)
	far := accountID(90_000_000)
	w.accounts = append(w.accounts, far)
	w.done(&holdfast.Txn{ID: w.newID(true), Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: far}}})
	w.openAccounts(manyAccounts + 3)
	for range 100 {
		w.done(w.pay(w.newID(true)))
	}
	w.checkpoint()
	before := digestText(w.state)
	w.restart(s)
	if after := digestText(w.state); after != before {
		t.Fatalf("loaded %s, it was %s", after, before)
	}
	for _, id := range w.accounts {
		if _, ok := w.state.Account(id); !ok {
			t.Fatalf("account %s is lost", id)
		}
	}
	for range 100 {
		w.done(w.pay(w.newID(true)))
	}

	key := append(shardKey(testShard, kindAccount), bytes.Repeat([]byte{0x7f}, 5)...)
	if err := s.state.Set(key, nil, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	var corrupt *ErrCorrupt
	if _, err := w.sh.Load(); !errors.As(err, &corrupt) || !bytes.Equal(corrupt.Key, key) {
		t.Errorf("a row that is no account is answered by %v", err)
	}
	if err := s.state.Delete(key, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	must[*ledger.State](t)(w.sh.Load())
}

// unsettle makes a store wait with its compactions as if it had just been opened. A store that is opened again before each checkpoint would
// not do instead: each checkpoint ends that time, and what is waiting is compacted at once.
func unsettle(s *Store) {
	for _, c := range s.compactions {
		c.mu.Lock()
		c.settled = false
		c.mu.Unlock()
	}
}

// What is left to be compacted after a crash waits until the site works again, and is done then.
func TestNothingIsCompactedBeforeTheFirstCheckpoint(t *testing.T) {
	o := testOptions(vfs.NewMem(), new(deaths))
	s := mustOpen(t, o)
	w := newWorld(t, s, 1)
	w.openAccounts(2000)
	segment := func() {
		for range 20 {
			w.done(w.pay(w.newID(false)))
		}
		w.checkpoint()
	}
	for range 30 {
		segment()
	}
	awaitCompaction(t, s)
	for s.state.Metrics().Compact.NumInProgress > 0 { // what is under way would go on
		time.Sleep(time.Millisecond)
	}
	unsettle(s) // from here on a backlog gathers
	for range 30 {
		g := w.seal()
		if err := w.sh.Persist(g); err != nil {
			t.Fatal(err)
		}
		w.state.Forget(g)
		unsettle(s)
		for range 20 {
			w.done(w.pay(w.newID(false)))
		}
	}
	mustClose(t, s)

	s = mustOpen(t, o)
	defer func() { mustClose(t, s) }()
	w.restart(s)
	if n := s.state.Metrics().Compact.Count; n > 0 {
		t.Errorf("%d compactions before the first checkpoint", n)
	}
	segment()
	awaitCompaction(t, s)
}

// awaitCompaction waits until something was compacted, which happens in the background.
func awaitCompaction(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); s.state.Metrics().Compact.Count == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is compacted")
		}
	}
}
