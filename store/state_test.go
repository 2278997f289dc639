package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"holdfast"
	"holdfast/ledger"
)

// model is everything the ledger ever put into segments, in plain maps.
type model struct {
	rows    map[holdfast.AccountID][]ledger.Row
	traces  map[holdfast.ID]ledger.Trace
	refs    map[holdfast.Ref][]ledger.RefRow
	records map[string]holdfast.Record
	holds   map[holdfast.ID]ledger.OpenHold
	outbox  map[uint64]holdfast.Queued
}

func newModel() *model {
	return &model{
		map[holdfast.AccountID][]ledger.Row{},
		map[holdfast.ID]ledger.Trace{},
		map[holdfast.Ref][]ledger.RefRow{},
		map[string]holdfast.Record{},
		map[holdfast.ID]ledger.OpenHold{},
		map[uint64]holdfast.Queued{},
	}
}

func (m *model) add(g *ledger.Segment) {
	for _, r := range g.Rows {
		id := g.Account(r.Account).ID
		r.Account, r.Prev = 0, 0
		m.rows[id] = append(m.rows[id], r)
	}
	for _, r := range g.IDs {
		m.traces[r.ID] = r.Trace
	}
	for _, r := range g.Refs {
		r.Prev = 0
		m.refs[r.Ref] = append(m.refs[r.Ref], r)
	}
	for _, r := range g.Records {
		m.records[r.Key] = r.Record
		if r.Deleted {
			delete(m.records, r.Key)
		}
	}
	for _, h := range g.Opened {
		m.holds[h.ID] = h
	}
	for _, id := range g.Closed {
		delete(m.holds, id)
	}
	for _, q := range g.Queued {
		m.outbox[q.Seq] = q
	}
	for _, seq := range g.Acked {
		delete(m.outbox, seq)
	}
}

// checkpoint persists what has gathered and tells the model.
func (m *model) checkpoint(w *world) {
	w.t.Helper()
	g := w.seal()
	if err := w.sh.Persist(g); err != nil {
		w.t.Fatal(err)
	}
	w.state.Forget(g)
	m.add(g)
}

// compare asks the store for everything the model knows.
func (m *model) compare(t *testing.T, sh *Shard) {
	t.Helper()
	for id, want := range m.traces {
		got, found, err := sh.Find(id)
		if err != nil || !found || got != want {
			t.Fatalf("id %s: found %v, %v, %s", id, found, err, cmp.Diff(want, got))
		}
	}
	for id, rows := range m.rows {
		m.compareStatement(t, sh, id, rows)
	}
	for ref, rows := range m.refs {
		want := slices.Clone(rows)
		slices.Reverse(want)
		if diff := cmp.Diff(want, must[[]ledger.RefRow](t)(sh.ByRef(ref, ledger.Place{}, 1000))); diff != "" {
			t.Fatalf("reference %s: %s", ref, diff)
		}
		for i, row := range want {
			got := must[[]ledger.RefRow](t)(sh.ByRef(ref, ledger.Place{Position: row.Position, Leg: row.Leg}, 3))
			if diff := cmp.Diff(want[i+1:min(i+4, len(want))], got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("reference %s, before row %d: %s", ref, i, diff)
			}
		}
	}
	m.compareRecords(t, sh)
	m.compareOwned(t, sh)
	holds := map[holdfast.ID]ledger.OpenHold{}
	if err := sh.OpenHolds(func(h *ledger.OpenHold) bool { holds[h.ID] = *h; return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.holds, holds); diff != "" {
		t.Fatalf("open holds: %s", diff)
	}
	outbox := map[uint64]holdfast.Queued{}
	for _, q := range must[[]holdfast.Queued](t)(sh.Outbox(0, 1<<20)) {
		outbox[q.Seq] = q
	}
	if diff := cmp.Diff(m.outbox, outbox, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("outbox: %s", diff)
	}
}

func (m *model) compareStatement(t *testing.T, sh *Shard, id holdfast.AccountID, rows []ledger.Row) {
	t.Helper()
	var got []ledger.Row
	for before := holdfast.Time(0); ; {
		page := must[[]ledger.Row](t)(sh.Statement(id, before, 7))
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		before = page[len(page)-1].Time
	}
	slices.Reverse(got)
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Fatalf("statement of %s: %s", id, diff)
	}
	for i := range rows {
		for _, at := range []holdfast.Time{rows[i].Time, rows[i].Time + 1, rows[i].Time - 1} {
			want, wantFound := rowAt(rows, at)
			got, found, err := sh.BalanceAt(id, at)
			if err != nil || found != wantFound || got != want {
				t.Fatalf("balance of %s at %d: %v %v, %s", id, at, found, err, cmp.Diff(want, got))
			}
		}
	}
}

func rowAt(rows []ledger.Row, t holdfast.Time) (ledger.Row, bool) {
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].Time <= t {
			return rows[i], true
		}
	}
	return ledger.Row{}, false
}

func (m *model) compareRecords(t *testing.T, sh *Shard) {
	t.Helper()
	byIndex := map[string][]holdfast.Record{}
	for key, want := range m.records {
		got, found, err := sh.Record(key)
		if err != nil || !found {
			t.Fatalf("record %q: %v %v", key, found, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("record %q: %s", key, diff)
		}
		for _, index := range want.Index {
			byIndex[index] = append(byIndex[index], want)
		}
	}
	for _, index := range indexKeys {
		want := byIndex[index]
		slices.SortFunc(want, func(a, b holdfast.Record) int { return compareText(a.Key, b.Key) })
		var got []holdfast.Record
		for after := ""; ; {
			page := must[[]holdfast.Record](t)(sh.Records(index, after, 2))
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Key
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("records under %q: %s", index, diff)
		}
	}
}

// compareOwned lists the records of owners slot by slot, and those of each owner by the beginning of their keys.
func (m *model) compareOwned(t *testing.T, sh *Shard) {
	t.Helper()
	for slot := range holdfast.Slot(ownedSlots) {
		for _, prefix := range []string{holdfast.OwnedPrefix, holdfast.OwnedKey(testOwner(0, slot), ""), holdfast.OwnedKey(testOwner(1, slot), "a/")} {
			var want, got []holdfast.Record
			for key, r := range m.records {
				if owner := holdfast.OwnerOfKey(key); owner != 0 && owner.Slot() == slot && strings.HasPrefix(key, prefix) {
					want = append(want, r)
				}
			}
			slices.SortFunc(want, func(a, b holdfast.Record) int { return compareText(a.Key, b.Key) })
			for after := ""; ; {
				page := must[[]holdfast.Record](t)(sh.OwnedRecords(slot, prefix, after, 2))
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				after = page[len(page)-1].Key
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("records of slot %d under %q: %s", slot, prefix, diff)
			}
		}
	}
}

const ownedSlots = 3

func testOwner(n uint32, slot holdfast.Slot) holdfast.Owner {
	owner, err := holdfast.NewOwner(n, slot)
	if err != nil {
		panic(err)
	}
	return owner
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// indexKeys are hostile: one is the beginning of another, and some have zero and 0xff bytes.
var indexKeys = []string{"", "a", "ab", "a\x00", "a\x00\x01", "a\x00\xff", "\xff\xff", "a\xff"}

// anything makes a random transaction of every kind there is.
func (w *world) anything(open []holdfast.ID) *holdfast.Txn {
	txn := w.pay(w.newID(w.rng.IntN(4) > 0))
	leg := &txn.Transfers[0]
	if w.rng.IntN(3) == 0 {
		leg.Ref = holdfast.Ref{15: byte(1 + w.rng.IntN(4))}
	}
	switch w.rng.IntN(8) {
	case 0:
		leg.Kind, leg.Timeout = holdfast.Hold, time.Duration(w.rng.IntN(2))*time.Hour
	case 1, 2:
		if len(open) > 0 {
			*leg = holdfast.Transfer{Kind: holdfast.Post, Hold: open[w.rng.IntN(len(open))]}
			if w.rng.IntN(2) == 0 {
				leg.Kind = holdfast.Void
			}
		}
	case 3:
		for range 1 + w.rng.IntN(5) {
			more := w.pay(w.newID(true)).Transfers[0]
			more.ID = w.newID(w.rng.IntN(2) == 0)
			txn.Transfers = append(txn.Transfers, more)
		}
		leg.ID = w.newID(true)
	case 4:
		txn.Records = []holdfast.RecordChange{w.recordChange()}
	case 5:
		txn.Messages = []holdfast.Message{{To: 2, Topic: "t", Body: []byte{byte(w.rng.IntN(256))}}}
	case 6:
		txn.Acks = []uint64{uint64(1 + w.rng.IntN(20))}
	}
	return txn
}

func (w *world) recordChange() holdfast.RecordChange {
	r := holdfast.RecordChange{Key: fmt.Sprintf("record\x00%d", w.rng.IntN(12)), Expect: holdfast.AnyVersion}
	owned := w.rng.IntN(2) == 0
	if owned {
		r.Key = holdfast.OwnedKey(testOwner(w.rng.Uint32N(2), holdfast.Slot(w.rng.IntN(ownedSlots))), fmt.Sprintf("%c/%d", 'a'+w.rng.IntN(2), w.rng.IntN(3)))
	}
	switch w.rng.IntN(8) {
	case 0, 1:
		r.Delete = true
		return r
	case 2, 3:
		if owned {
			r.Op = holdfast.RecordPend // nothing ends it: the next change is put off
		}
	}
	r.Body = make([]byte, w.rng.IntN(50))
	for _, i := range w.rng.Perm(len(indexKeys) - 1)[:w.rng.IntN(4)] {
		r.Index = append(r.Index, indexKeys[i+1])
	}
	return r
}

// TestHistoryAgainstModel runs everything a ledger can do through many segments, with restarts, and compares all of the
// history each time.
func TestHistoryAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, new(deaths))
		w := newWorld(t, mustOpen(t, o), seed)
		m := newModel()
		w.openAccounts(8)
		for range 12 {
			for range w.rng.IntN(12) {
				txns := make([]*holdfast.Txn, 1+w.rng.IntN(20))
				for i := range txns {
					txns[i] = w.anything(openIDs(m))
				}
				w.run(txns...)
			}
			m.checkpoint(w)
			if w.rng.IntN(3) == 0 {
				want := digestText(w.state)
				crashed := fs.CrashClone(vfs.CrashCloneCfg{})
				mustClose(t, w.s)
				fs = crashed
				w.restart(mustOpen(t, o2(o, fs)))
				if got := digestText(w.state); got != want {
					t.Fatalf("seed %d: after the restart the state is %s, was %s", seed, got, want)
				}
			}
		}
		m.compare(t, w.sh)
		mustClose(t, w.s)
	}
}

func openIDs(m *model) []holdfast.ID {
	return sortedKeys(m.holds, func(a, b holdfast.ID) int { return slices.Compare(a[:], b[:]) })
}

// TestRestartReplaysTheJournal crashes between checkpoints: the checkpoint and the journal after it give the same state.
func TestRestartReplaysTheJournal(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	w := newWorld(t, mustOpen(t, o), 1)
	w.openAccounts(20)
	for i := range 60 {
		w.run(w.anything(nil), w.anything(nil))
		if i%25 == 24 {
			w.checkpoint()
		}
	}
	want := digestText(w.state)
	w.restart(mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{}))))
	if got := digestText(w.state); got != want {
		t.Errorf("after the crash %s, before %s", got, want)
	}
	meta, ok := w.sh.Meta()
	if !ok || meta.Index == 0 || meta.Term != 1 || string(meta.Members) != "members" {
		t.Errorf("meta %v %+v", ok, meta)
	}
	if first := w.sh.FirstIndex(); first != 1 {
		t.Errorf("first index %d, want 1: far fewer entries than are kept", first)
	}
}

func TestFirstIndexFollowsTheCheckpoint(t *testing.T) {
	o := testOptions(vfs.NewMem(), new(deaths))
	o.KeepEntries = 5
	w := newWorld(t, mustOpen(t, o), 1)
	w.openAccounts(2)
	for range 20 {
		w.done(w.pay(w.newID(true)))
	}
	w.checkpoint()
	first := w.sh.FirstIndex()
	if first != w.index-4 {
		t.Fatalf("first index %d with the checkpoint at %d and 5 to keep", first, w.index)
	}
	if _, err := w.sh.Term(first - 1); err != nil {
		t.Errorf("the term just before the first entry is needed: %v", err)
	}
	if _, err := w.sh.Term(first - 2); err == nil {
		t.Error("a term before that is given")
	}
	if _, err := w.sh.Entries(first-1, first+1, 1000); err == nil {
		t.Error("entries before the first are given")
	}
	if data := must[[]byte](t)(w.sh.Entry(1)); len(data) == 0 {
		t.Error("the journal has no entry 1")
	}
}

// TestThousandsOfIDs persists ids of both shapes in many segments, with stragglers and clocks that are ahead, and looks every one
// of them up, and as many that were never used.
func TestThousandsOfIDs(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	w := newWorld(t, mustOpen(t, o), 4)
	w.openAccounts(10)
	for range 10 {
		late := w.newID(true)
		for range 4 {
			txns := make([]*holdfast.Txn, 100)
			for i := range txns {
				txns[i] = w.pay(w.newID(i%3 != 0))
			}
			w.now += holdfast.Time(time.Second)
			ahead := w.now
			w.now += holdfast.Time(w.rng.IntN(100)) * holdfast.Time(time.Hour)
			txns[7].ID = w.newID(true)
			w.now = ahead
			w.done(txns...)
		}
		w.checkpoint()
		w.done(w.pay(late))
	}
	w.checkpoint()
	mustClose(t, w.s)
	w.restart(mustOpen(t, o2(o, fs.CrashClone(vfs.CrashCloneCfg{}))))
	if len(w.ids) < 4000 {
		t.Fatalf("only %d ids", len(w.ids))
	}
	for _, id := range w.ids {
		trace, found, err := w.sh.Find(id)
		if err != nil || !found {
			t.Fatalf("id %s: %v %v", id, found, err)
		}
		_, txn, err := ledger.TxnAt(must[[]byte](t)(w.sh.Entry(trace.Index)), trace.Ord)
		if err != nil || txn.ID != id {
			t.Fatalf("id %s points to another transaction: %v", id, err)
		}
	}
	for i := range 2000 {
		id := w.newID(i%2 == 0)
		w.now += holdfast.Time(w.rng.IntN(int(time.Second)))
		if _, found, err := w.sh.Find(id); err != nil || found {
			t.Fatalf("id %s was never used: %v %v", id, found, err)
		}
	}
}

// TestHotAccountInOneTransaction has more rows of one Time than a block and a page take: they stay together.
func TestHotAccountInOneTransaction(t *testing.T) {
	w := newWorld(t, mustOpen(t, testOptions(vfs.NewMem(), new(deaths))), 4)
	w.openAccounts(3)
	m := newModel()
	for range 3 {
		txn := &holdfast.Txn{ID: w.newID(true)}
		for range 2000 {
			leg := w.pay(w.newID(true)).Transfers[0]
			leg.ID, leg.Credit, leg.Debit = w.newID(true), w.accounts[0], w.accounts[1+w.rng.IntN(2)]
			txn.Transfers = append(txn.Transfers, leg)
		}
		w.done(txn, w.pay(w.newID(true)))
	}
	m.checkpoint(w)
	rows := must[[]ledger.Row](t)(w.sh.Statement(w.accounts[0], 0, 10))
	if len(rows) < 2000 || len(rows) > 2010 {
		t.Errorf("a page of 10 has %d rows, want the whole of one transaction", len(rows))
	}
	for id, want := range m.rows {
		got := must[[]ledger.Row](t)(w.sh.Statement(id, 0, 1<<20))
		slices.Reverse(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("statement of %s: %s", id, diff)
		}
	}
}

func TestRangesAgainstSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all timeRanges
		seen := map[uint64]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "segments") {
			times := rapid.SliceOfN(rapid.Uint64Range(0, 50_000_000), 0, 200).Draw(t, "times")
			slices.Sort(times)
			var segment timeRanges
			for _, ms := range times {
				segment = segment.note(ms)
				seen[ms] = true
			}
			all = all.join(segment)
			key := shardKey(1, kindRanges)
			back, err := readRanges(key, appendRanges(key, all))
			if err != nil || !slices.Equal(back, all) {
				t.Fatalf("%v becomes %v, %v", all, back, err)
			}
		}
		if len(all) > maxRanges {
			t.Fatalf("%d ranges", len(all))
		}
		for ms := range seen {
			if !all.covers(ms) {
				t.Fatalf("%d is not covered by %v", ms, all)
			}
		}
		for i := range all {
			if all[i].from > all[i].to || i > 0 && all[i].from <= all[i-1].to {
				t.Fatalf("not sorted: %v", all)
			}
			if all.covers(all[i].to+1) && (i+1 == len(all) || all[i+1].from > all[i].to+1) {
				t.Fatalf("%d is covered by %v", all[i].to+1, all)
			}
		}
	})
}

// TestDamagedTableIsNamed flips one byte in every table of the state: reading finds it and says which shard.
func TestDamagedTableIsNamed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, new(deaths))
	w := newWorld(t, mustOpen(t, o), 4)
	w.openAccounts(50)
	for range 10 {
		w.done(w.pay(w.newID(false)))
	}
	w.checkpoint()
	mustClose(t, w.s)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range must[[]string](t)(fs.List("data/state")) {
		if len(name) < 4 || name[len(name)-4:] != ".sst" {
			continue
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		flipByte(t, clone, "data/state/"+name, rng)
		if err := readEverything(o2(o, clone), w); err == nil {
			t.Errorf("the damage in %s was not noticed", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// flipByte damages the first block of a file, which is always data.
func flipByte(t *testing.T, fs vfs.FS, path string, rng *rand.Rand) {
	t.Helper()
	data := must[[]byte](t)(readFile(fs, path))
	data[rng.IntN(20)+20] ^= 0x10
	file := must[vfs.File](t)(fs.Create(path, vfs.WriteCategoryUnspecified))
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func readEverything(o Options, w *world) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	sh := s.Shard(testShard)
	if _, err := sh.Load(); err != nil {
		return err
	}
	for _, id := range w.ids {
		if _, _, err := sh.Find(id); err != nil {
			return err
		}
	}
	for _, id := range w.accounts {
		if _, err := sh.Statement(id, 0, 100); err != nil {
			return err
		}
	}
	return nil
}
