package store

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

func TestFsckFindsNothingWhereNothingIs(t *testing.T) {
	w, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
	w.done(w.pay(w.newID(true)))
	if found := must[[]Finding](t)(w.s.Fsck(FsckAll, 100)); len(found) != 0 {
		t.Errorf("a healthy store has findings: %+v", found)
	}
}

// TestFsckNamesWhatIsWrong breaks one thing at a time.
func TestFsckNamesWhatIsWrong(t *testing.T) {
	first := accountID(0)
	for name, c := range map[string]struct {
		depth Depth
		spoil func(w *world) (db *pebble.DB, key, value []byte)
		key   string
		what  string
	}{
		"entry after the checkpoint": {FsckQuick, func(w *world) (*pebble.DB, []byte, []byte) {
			return w.s.log, entryKey(nil, testShard, w.index), []byte("nonsense that is long enough")
		}, "3/e/", "entry format"},
		"old entry": {FsckEntries, func(w *world) (*pebble.DB, []byte, []byte) {
			return w.s.log, entryKey(nil, testShard, 2), AppendEntry(nil, testShard, &Entry{Index: 3, Data: []byte("x")})
		}, "3/e/0000000000000002", "checksum"},
		"balance": {FsckQuick, func(w *world) (*pebble.DB, []byte, []byte) {
			return w.s.state, accountKey(nil, testShard, first), appendAccount(nil, &holdfast.Account{ID: first, DebitsPosted: 1})
		}, "", "contradicts itself"},
		"id": {FsckAll, func(w *world) (*pebble.DB, []byte, []byte) {
			id := testID(9)
			return w.s.state, idKey(nil, testShard, &id), appendTrace(nil, &ledger.Trace{Position: holdfast.Position{Index: 2}})
		}, "3/t/", "points to transaction 0 of entry 2"},
		"id beyond the end": {FsckAll, func(w *world) (*pebble.DB, []byte, []byte) {
			id := testID(9)
			return w.s.state, idKey(nil, testShard, &id), appendTrace(nil, &ledger.Trace{Position: holdfast.Position{Index: 1 << 40}})
		}, "3/e/", "beyond the checkpoint"},
		"reference": {FsckAll, func(w *world) (*pebble.DB, []byte, []byte) {
			return w.s.state, refKey(nil, testShard, holdfast.Ref{1}, holdfast.Position{Index: 2}, 0), make([]byte, 16)
		}, "3/f/", "has no such leg"},
		"statement": {FsckAll, func(w *world) (*pebble.DB, []byte, []byte) {
			_, now := w.state.Applied()
			row := ledger.Row{Time: now, Index: 7, Kind: ledger.RowDebit, DebitsPosted: 5}
			return w.s.state, blockKey(nil, testShard, first, now), appendRow(nil, &ledger.Row{Time: now}, &row)
		}, "3/a/", "differs from the last row"},
		"index of a record": {FsckAll, func(w *world) (*pebble.DB, []byte, []byte) {
			r := holdfast.Record{Key: "k", Version: 1, Index: []string{"no such"}}
			return w.s.state, recordKey(nil, testShard, "k"), appendRecord(nil, &r)
		}, "3/k/", "cannot be found"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, _ := source(t, testOptions(vfs.NewMem(), new(deaths)))
			db, key, value := c.spoil(w)
			if name == "entry after the checkpoint" {
				w.done(w.pay(w.newID(true)))
				key = entryKey(nil, testShard, w.index)
			}
			if err := db.Set(key, value, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
			w.sh.publish(w.sh.meta, w.sh.known) // readers see what was spoilt
			found := must[[]Finding](t)(w.s.Fsck(c.depth, 100))
			if len(found) == 0 || !strings.Contains(found[0].What, c.what) || !strings.HasPrefix(found[0].Key, c.key) || found[0].Advice == "" {
				t.Errorf("findings %+v, want %q at %q", found, c.what, c.key)
			}
			if c.depth > FsckQuick {
				if found := must[[]Finding](t)(w.s.Fsck(c.depth-1, 100)); len(found) != 0 {
					t.Errorf("one depth less finds it already: %+v", found)
				}
			}
		})
	}
}
