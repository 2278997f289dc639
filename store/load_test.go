package store

import (
	"bytes"
	"errors"
	"testing"

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
