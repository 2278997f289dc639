package ledger

import (
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast"
)

// world is one ledger under test with everything that it must agree with: the model, a second State that never seals, and a
// store that is asked for what has been forgotten. After every step all of it is compared.
type world struct {
	t        tester
	state    *State
	straight *State // same log, never sealed, restarted or forgotten
	model    *model
	store    *memory
	index    uint64
	time     holdfast.Time
	unsaved  []*Segment
}

func newWorld(t tester) *world {
	return &world{t: t, state: New(), straight: New(), model: newModel(), store: newMemory(), time: 1_000_000_000}
}

// apply puts the transactions into one entry.
func (w *world) apply(txns ...holdfast.Txn) []holdfast.Outcome {
	w.t.Helper()
	w.index++
	w.time++
	data := AppendHeader(nil, Header{Kind: KindTxns, Time: w.time, Count: uint32(len(txns))})
	var want []holdfast.Outcome
	for i := range txns {
		data = AppendTxn(data, &txns[i])
		at := holdfast.Position{Index: w.index, Ord: uint32(i)}
		want = append(want, w.model.apply(&txns[i], w.time+holdfast.Time(i), at))
	}
	w.time += holdfast.Time(len(txns)) - 1
	got := w.commit(data)
	if d := cmp.Diff(want, got); d != "" {
		w.t.Fatalf("entry %d: outcomes differ from the model's (-model +ledger):\n%s\ntransactions: %+v", w.index, d, txns)
	}
	w.check()
	return got
}

// commit applies an entry to both states. Its bytes are destroyed afterwards: the ledger may not have kept them.
func (w *world) commit(data []byte) []holdfast.Outcome {
	w.t.Helper()
	w.store.log[w.index] = slices.Clone(data)
	got, err := w.state.Apply(w.index, data, w.store, nil)
	must(w.t, err)
	again, err := w.straight.Apply(w.index, data, w.store, nil)
	must(w.t, err)
	clear(data)
	if d := cmp.Diff(again, got); d != "" {
		w.t.Fatalf("entry %d: outcomes depend on sealing:\n%s", w.index, d)
	}
	return got
}

func (w *world) seal() { w.unsaved = append(w.unsaved, w.state.Seal()) }

// forget persists the oldest sealed segment and forgets it.
func (w *world) forget() {
	if len(w.unsaved) == 0 {
		return
	}
	w.store.persist(w.unsaved[0])
	w.state.Forget(w.unsaved[0])
	w.unsaved = w.unsaved[1:]
}

// restart loses the memory.
func (w *world) restart() {
	w.t.Helper()
	w.state, w.unsaved = w.store.load(w.t, w.index), nil
}

func (w *world) noop() {
	w.t.Helper()
	w.index++
	w.time++
	w.commit(AppendHeader(nil, Header{Kind: KindNoop, Time: w.time}))
	w.check()
}

// compare puts a digest entry into the log.
func (w *world) compare() {
	w.t.Helper()
	w.index++
	w.time++
	index, digest := w.straight.Checked()
	w.commit(AppendDigest(nil, [16]byte{}, w.time, index, digest))
	w.check()
}

func (w *world) check() {
	w.t.Helper()
	if a, b := w.state.Meta(), w.straight.Meta(); !cmp.Equal(a, b) {
		w.t.Fatalf("entry %d: differs from the state that never sealed:\n%s", w.index, cmp.Diff(b, a))
	}
	if index, time := w.state.Applied(); index != w.index || time != w.time {
		w.t.Fatalf("applied %d at %d, want %d at %d", index, time, w.index, w.time)
	}
	if _, err := w.state.Recount(); err != nil {
		w.t.Fatalf("entry %d: %v", w.index, err)
	}
	w.checkAccounts()
	w.checkHolds()
	w.checkDocuments()
	w.checkIDs()
	w.checkRefs()
}

func (w *world) differ(what string, model, ledger any) {
	w.t.Helper()
	if d := cmp.Diff(model, ledger, cmpopts.EquateEmpty()); d != "" {
		w.t.Fatalf("entry %d: %s differ from the model's (-model +ledger):\n%s", w.index, what, d)
	}
}

func (w *world) checkAccounts() {
	w.t.Helper()
	accounts := map[holdfast.AccountID]holdfast.Account{}
	for a := range w.state.Accounts() {
		accounts[a.ID] = a
		if one, ok := w.state.Account(a.ID); !ok || one != a {
			w.t.Fatalf("account %s by itself is %+v, %v", a.ID, one, ok)
		}
		w.checkRows(&a)
	}
	w.differ("accounts", w.model.accounts, accounts)
}

// checkRows compares the chain of an account's rows with all rows in memory, and its last row with the account.
func (w *world) checkRows(a *holdfast.Account) {
	w.t.Helper()
	ordinal, _ := w.state.accounts.find(&a.ID, a.ID.Hash())
	var all []Row
	for g := range w.state.unforgotten {
		for i := len(g.Rows) - 1; i >= 0; i-- {
			if g.Rows[i].Account == ordinal {
				all = append(all, g.Rows[i])
			}
		}
	}
	w.differ("rows", all, w.state.RecentRows(a.ID, 0, 1<<30))
	if len(all) == 0 {
		all = w.store.rows[a.ID]
		slices.Reverse(all)
		defer slices.Reverse(all)
	}
	last := all[0]
	if last.DebitsPosted != a.DebitsPosted || last.CreditsPosted != a.CreditsPosted || last.Flags != a.Flags ||
		last.DebitsPending != a.DebitsPending || last.CreditsPending != a.CreditsPending {
		w.t.Fatalf("last row %+v of account %+v", last, a)
	}
}

func (w *world) checkHolds() {
	w.t.Helper()
	open := w.model.openHolds()
	var due []holdfast.ID
	byAccount := map[holdfast.AccountID]int{}
	for id, want := range open {
		if got, ok := w.state.Hold(id); !ok || got != want {
			w.t.Fatalf("hold %s is %+v, %v, want %+v", id, got, ok, want)
		}
		if want.Due != 0 && want.Due <= w.time {
			due = append(due, id)
		}
		byAccount[want.Debit]++
		byAccount[want.Credit]++
	}
	got := w.state.DueHolds(w.time, 1<<30)
	slices.SortFunc(due, compareIDs)
	slices.SortFunc(got, compareIDs)
	w.differ("due holds", due, got)
	for a := range w.state.Accounts() {
		holds := w.state.HoldsOf(a.ID, 1<<30)
		for _, h := range holds {
			if h.Debit != a.ID && h.Credit != a.ID || open[h.ID] != h {
				w.t.Fatalf("account %s lists hold %+v", a.ID, h)
			}
		}
		place := func(h OpenHold) Place { return Place{h.Position, h.Leg} }
		if !slices.IsSortedFunc(holds, func(p, q OpenHold) int { return place(q).Compare(place(p)) }) {
			w.t.Fatalf("account %s lists its holds in another order: %+v", a.ID, holds)
		}
		var pages []OpenHold
		for from := (Place{}); ; from = place(pages[len(pages)-1]) {
			walk := HoldWalk{Account: a.ID, Before: from, Max: 3}
			for w.state.WalkHolds(&walk) {
			}
			if pages = append(pages, walk.Found...); len(walk.Found) == 0 {
				break
			}
		}
		w.differ("pages of holds", holds, pages)
		if len(holds) != byAccount[a.ID] {
			w.t.Fatalf("account %s has %d holds, want %d", a.ID, len(holds), byAccount[a.ID])
		}
	}
}

func compareIDs(a, b holdfast.ID) int { return slices.Compare(a[:], b[:]) }

// checkDocuments merges memory with the store as a reader would.
func (w *world) checkDocuments() {
	w.t.Helper()
	records := maps.Clone(w.store.records)
	byIndex := map[string][]holdfast.Record{}
	for _, g := range append(slices.Clone(w.state.sealed), w.state.open) {
		for i := range g.Records {
			if r := &g.Records[i]; r.Deleted {
				delete(records, r.Key)
			} else {
				records[r.Key] = r.Record
			}
		}
	}
	w.differ("records", w.model.records, records)
	for _, key := range slices.Sorted(maps.Keys(records)) {
		for _, index := range records[key].Index {
			byIndex[index] = append(byIndex[index], records[key])
		}
	}
	for _, index := range []string{"i1", "i2", "i3"} {
		w.differ("records by index", byIndex[index], w.byIndex(index))
	}
	var outbox []holdfast.Queued
	for _, seq := range slices.Sorted(maps.Keys(w.model.outbox)) {
		outbox = append(outbox, w.model.outbox[seq])
	}
	w.differ("outbox", outbox, w.state.Outbox(0, 1<<30))
}

func (w *world) byIndex(index string) []holdfast.Record {
	merged := map[string]holdfast.Record{}
	for key := range w.store.index[index] {
		if _, newer := w.state.RecentRecord(key); !newer {
			merged[key] = w.store.records[key]
		}
	}
	for _, r := range w.state.RecentByIndex(index, "", 1<<30) {
		merged[r.Key] = r
	}
	var records []holdfast.Record
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		records = append(records, merged[key])
	}
	return records
}

// checkIDs asks for every id that was ever used.
func (w *world) checkIDs() {
	w.t.Helper()
	for id, u := range w.model.used {
		trace, ok := w.state.FindRecent(id)
		if !ok {
			trace, ok = w.store.ids[id]
		}
		state := w.model.holds[id].state
		switch {
		case !ok || trace.Hold != state || trace.Code != u.outcome.Code:
			w.t.Fatalf("id %s is remembered as %+v, %v, want %+v with hold %s", id, trace, ok, u, state)
		case !u.leg && trace.Position != u.outcome.Position:
			w.t.Fatalf("id %s is at %+v, want %+v", id, trace.Position, u.outcome.Position)
		}
	}
}

// checkRefs looks for every transfer by its reference.
func (w *world) checkRefs() {
	w.t.Helper()
	want := map[holdfast.Ref]int{}
	for _, u := range w.model.used {
		for i := range u.txn.Transfers {
			if leg := &u.txn.Transfers[i]; u.outcome.Status == holdfast.Done && !leg.Ref.IsZero() {
				want[leg.Ref]++
			}
		}
	}
	for ref, count := range want {
		var recent []RefRow
		for g := range w.state.unforgotten {
			for i := len(g.Refs) - 1; i >= 0; i-- {
				if g.Refs[i].Ref == ref {
					recent = append(recent, g.Refs[i])
				}
			}
		}
		w.differ("transfers by reference", recent, w.state.RecentByRef(ref, Place{}, 1<<30))
		for _, row := range w.store.refs {
			if row.Ref == ref {
				count--
			}
		}
		if count != len(recent) {
			w.t.Fatalf("reference %s finds %d recent transfers, want %d", ref, len(recent), count)
		}
	}
}
