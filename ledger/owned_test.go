package ledger

import (
	"fmt"
	"slices"
	"testing"

	"holdfast"
)

// TestOwnedKeys: a key that begins like those of owners and names none is refused where callers come in, with the place.
func TestOwnedKeys(t *testing.T) {
	owner := testAccount(0).Owner
	good := holdfast.OwnedKey(owner, "trade/1")
	for key, want := range map[string]holdfast.Code{
		good: holdfast.CodeOK, "o": holdfast.CodeOK, "other/1": holdfast.CodeOK, "o/": holdfast.CodeRecordInvalid,
		"o/17/x": holdfast.CodeRecordInvalid, "o/2088000000010421/x": holdfast.CodeRecordInvalid,
		"o/" + owner.String(): holdfast.CodeRecordInvalid, "o/" + owner.String() + "/": holdfast.CodeRecordInvalid,
		"o/" + owner.String() + "x/1": holdfast.CodeRecordInvalid, "o/+" + owner.String()[1:] + "/x": holdfast.CodeRecordInvalid,
	} {
		put := holdfast.Txn{ID: testID(1), Records: []holdfast.RecordChange{{Key: key}}}
		if code, field := Check(&put); code != want || code != 0 && field != "records[0].key" {
			t.Errorf("writing %q: %s %s, want %s", key, code, field, want)
		}
		need := holdfast.Txn{ID: testID(1), Preconditions: []holdfast.Precondition{{Key: key}}, Records: []holdfast.RecordChange{{Key: "k"}}}
		if code, field := Check(&need); code != want || code != 0 && field != "preconditions[0].key" {
			t.Errorf("needing %q: %s %s, want %s", key, code, field, want)
		}
		if code, field := CheckLogged(&put); code != holdfast.CodeOK {
			t.Errorf("%q in a log: %s %s", key, code, field)
		}
	}
	if got := holdfast.OwnerOfKey(good); got != owner || holdfast.OwnerOfKey("o/17/x") != 0 {
		t.Errorf("%s belongs to %s", good, got)
	}
}

// TestRecordOpsAreThePlatforms: from outside nobody carries, pends, keeps or takes back; and in a log nothing without a meaning stands.
func TestRecordOpsAreThePlatforms(t *testing.T) {
	key := ownedKey(0)
	note := holdfast.RecordChange{Key: NoteKey(42), Expect: holdfast.AnyVersion}
	for name, c := range map[string]struct {
		change holdfast.RecordChange
		move   bool
		logged bool
	}{
		"carry":              {holdfast.RecordChange{Op: holdfast.RecordCarry, Version: 7, Changed: 9}, true, true},
		"carry by a payment": {holdfast.RecordChange{Op: holdfast.RecordCarry, Version: 7, Changed: 9}, false, false},
		"carry no version":   {holdfast.RecordChange{Op: holdfast.RecordCarry, Changed: 9}, true, false},
		"pend":               {holdfast.RecordChange{Op: holdfast.RecordPend}, false, true},
		"pend a deletion":    {holdfast.RecordChange{Op: holdfast.RecordPend, Delete: true}, false, false},
		"keep":               {holdfast.RecordChange{Op: holdfast.RecordKeep, Expect: holdfast.AnyVersion, Payment: testID(2)}, false, true},
		"keep of nobody":     {holdfast.RecordChange{Op: holdfast.RecordKeep, Expect: holdfast.AnyVersion}, false, false},
		"take back a body":   {holdfast.RecordChange{Op: holdfast.RecordTakeBack, Expect: holdfast.AnyVersion, Payment: testID(2), Body: []byte("x")}, false, false},
		"a version":          {holdfast.RecordChange{Version: 7}, true, false},
		"an op too many":     {holdfast.RecordChange{Op: holdfast.RecordOps}, true, false},
	} {
		c.change.Key = key
		txn := holdfast.Txn{ID: testID(1), Records: []holdfast.RecordChange{c.change}}
		if c.move {
			txn.Records = append(txn.Records, note)
		}
		if code, _ := CheckLogged(&txn); (code == holdfast.CodeOK) != c.logged {
			t.Errorf("%s: in a log it is %s", name, code)
		}
		txn.Records = txn.Records[:1]
		if code, field := Check(&txn); code != holdfast.CodeRecordReserved || field != "records[0].op" {
			t.Errorf("%s: from outside it is %s %s", name, code, field)
		}
	}
}

// TestTrail: while a slot is on its way its changes are known from the entry on that a reader has seen, and a trail that has forgotten says so.
func TestTrail(t *testing.T) {
	w := newWorld(t)
	gate := func(g Gate) {
		var table Gates
		table.Set(42, g)
		w.apply(holdfast.Txn{ID: testID(int(w.index) + 1), Records: []holdfast.RecordChange{{Key: GatesKey, Expect: holdfast.AnyVersion, Body: AppendGates(nil, &table)}}})
	}
	put := func(key string) uint64 {
		w.apply(holdfast.Txn{ID: testID(int(w.index) + 1), Records: []holdfast.RecordChange{{Key: key, Expect: holdfast.AnyVersion, Body: []byte("x")}}})
		return w.index
	}
	trail := func(after uint64) string {
		keys, index, whole := w.state.Trail(42, after)
		return fmt.Sprint(len(keys), index, whole)
	}
	put(ownedKey(0))
	if got := trail(w.index - 1); got != fmt.Sprint(0, w.index, false) {
		t.Errorf("of a slot that stays: %s", got)
	}
	gate(GateMarked)
	marked := w.index
	first := put(ownedKey(0))
	put(ownedKey(6)) // of the other slot
	put("k1")
	last := put(ownedKey(0))
	for after, want := range map[uint64]int{marked: 2, first: 1, last: 0} {
		if got := trail(after); got != fmt.Sprint(want, w.index, true) {
			t.Errorf("after entry %d: %s, want %d changes", after, got, want)
		}
	}
	if got := trail(marked - 1); got != fmt.Sprint(0, w.index, false) {
		t.Errorf("before it was marked: %s", got)
	}
	for w.state.trails[42].list = slices.Grow(w.state.trails[42].list, maxTrail); len(w.state.trails[42].list) < maxTrail; {
		w.state.trails[42].list = append(w.state.trails[42].list, step{last, "k"})
	}
	put(ownedKey(0))
	if got := trail(first); got != fmt.Sprint(0, w.index, false) {
		t.Errorf("of what is forgotten: %s", got)
	}
	if got := trail(last); got != fmt.Sprint(1, w.index, true) {
		t.Errorf("of what is not: %s", got)
	}
	gate(GateGone)
	if w.state.trails[42] != nil {
		t.Error("a slot that has gone is followed")
	}
}

// TestRecentOwned lists the records of a slot by prefix, in pages, from several segments.
func TestRecentOwned(t *testing.T) {
	w := newWorld(t)
	key := func(account int, rest string) string { return holdfast.OwnedKey(testAccount(account).Owner, rest) }
	n := 0
	write := func(key string, remove bool) {
		n++
		w.apply(holdfast.Txn{ID: testID(n), Records: []holdfast.RecordChange{{Key: key, Expect: holdfast.AnyVersion, Delete: remove}}})
	}
	for i, rest := range []string{"t/3", "t/1", "u/1", "t/2", "t/4"} {
		write(key(0, rest), false)
		write(key(2, rest), false)
		write(key(6, rest), false)
		if i%2 == 0 {
			w.seal()
		}
	}
	write(key(0, "t/2"), true)
	prefix := holdfast.OwnedPrefix + testAccount(0).Owner.String() + "/t/"
	var got []string
	for after := ""; ; {
		page := w.state.RecentOwned(42, prefix, after, 2)
		for _, r := range page {
			got = append(got, r.Key)
			after = r.Key
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []string{key(0, "t/1"), key(0, "t/3"), key(0, "t/4")}; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if all := w.state.RecentOwned(42, holdfast.OwnedPrefix, "", 100); len(all) != 9 {
		t.Errorf("the slot has %d records, want 9", len(all))
	}
}
