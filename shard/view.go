package shard

import (
	"cmp"
	"fmt"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// View answers questions about a shard, from memory and from the store. Every method answers as of one moment not before the
// one that the read was confirmed for; two calls may see two moments. Only memory is read under the lock that payments need:
// what the disk holds is read after it, which misses nothing, because a segment is on disk before memory forgets it. Errors
// are the disk's.
type View struct {
	machine *Machine
	history History
	bodies  *bodies
}

// Look runs fn on a view of what is applied. It fails when the disk under the machine has no history, as in the simulator's model.
func (m *Machine) Look(fn func(*View) error) error {
	history, ok := m.disk.(History)
	if !ok {
		return fmt.Errorf("the disk %T has no history to look at", m.disk)
	}
	return fn(&View{machine: m, history: history, bodies: m.bodies})
}

// State runs fn on the state in memory, under the lock that payments need: it must take microseconds and keep nothing.
func (m *Machine) State(fn func(*ledger.State)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	fn(m.state)
}

// State is [Machine.State].
func (v *View) State(fn func(*ledger.State)) { v.machine.State(fn) }

// Applied is the last applied index and the last time stamp in it.
func (v *View) Applied() (index uint64, t holdfast.Time) { return v.machine.Applied() }

// Meta counts what there is; see [ledger.Meta].
func (v *View) Meta() (meta ledger.Meta) {
	v.State(func(s *ledger.State) { meta = s.Meta() })
	return meta
}

// Account returns an account as it stands.
func (v *View) Account(id holdfast.AccountID) (a holdfast.Account, ok bool) {
	v.State(func(s *ledger.State) { a, ok = s.Account(id) })
	return a, ok
}

// AccountAt returns an account as it stood at t; false when it was not open yet. It answers only what will never change: the error is a
// [NotFinalError] as long as something stamped up to t may still come.
func (v *View) AccountAt(id holdfast.AccountID, t holdfast.Time) (holdfast.Account, bool, error) {
	var a holdfast.Account
	var known bool
	var open error
	var rows []ledger.Row
	v.State(func(s *ledger.State) {
		if open = final(s, t); open != nil {
			return
		}
		if a, known = s.Account(id); known {
			rows = s.RecentRows(id, t+1, 1)
		}
	})
	if !known || a.Opened > t {
		return holdfast.Account{}, false, open
	}
	if len(rows) > 0 {
		return withRow(a, &rows[0]), true, nil
	}
	row, ok, err := v.history.BalanceAt(id, t)
	if err != nil || !ok {
		return holdfast.Account{}, false, err
	}
	return withRow(a, &row), true, nil
}

func withRow(a holdfast.Account, r *ledger.Row) holdfast.Account {
	a.Flags = r.Flags
	a.DebitsPosted, a.CreditsPosted = r.DebitsPosted, r.CreditsPosted
	a.DebitsPending, a.CreditsPending = r.DebitsPending, r.CreditsPending
	return a
}

// Cursor is where the next page of a statement begins. The zero Cursor begins with the newest line.
type Cursor struct {
	Time holdfast.Time // of the last line that was returned
	Skip uint32        // how many lines with that Time were returned already
}

// Line is one change of an account: who changed it, and the account after it. What moved is in Transfer.
type Line struct {
	ledger.Row
	Txn      *holdfast.Txn
	Transfer *holdfast.Transfer // nil for a line of an account change
}

// MaxLines bounds one page of a statement.
const MaxLines = 1000

// Statement returns up to max lines of an account, newest first, and the cursor of the next page; the zero Cursor when there
// is none. Lines that come while somebody turns pages do not disturb those that follow.
func (v *View) Statement(id holdfast.AccountID, from Cursor, max int) ([]Line, Cursor, error) {
	max = min(max, MaxLines)
	before := holdfast.Time(0)
	if from.Time > 0 {
		before = from.Time + 1
	}
	rows, err := v.rows(id, before, max+int(from.Skip)+1)
	if err != nil {
		return nil, Cursor{}, err
	}
	rows = rows[min(int(from.Skip), len(rows)):]
	more := len(rows) > max
	rows = rows[:min(max, len(rows))]
	lines, err := v.lines(rows)
	if err != nil || !more {
		return lines, Cursor{}, err
	}
	return lines, from.after(rows), nil
}

// after is the cursor behind rows.
func (c Cursor) after(rows []ledger.Row) Cursor {
	next := Cursor{Time: rows[len(rows)-1].Time}
	for i := len(rows) - 1; i >= 0 && rows[i].Time == next.Time; i-- {
		next.Skip++
	}
	if next.Time == c.Time {
		next.Skip += c.Skip
	}
	return next
}

// rows merges memory and store, newest first.
func (v *View) rows(id holdfast.AccountID, before holdfast.Time, max int) ([]ledger.Row, error) {
	var rows []ledger.Row
	var now holdfast.Time
	v.State(func(s *ledger.State) {
		rows = s.RecentRows(id, before, max)
		_, now = s.Applied()
	})
	if len(rows) >= max {
		return rows, nil
	}
	older := before // what the store gained since the look at memory must not come in
	if older == 0 || older > now+1 {
		older = now + 1
	}
	if len(rows) > 0 {
		older = rows[len(rows)-1].Time
	}
	stored, err := v.history.Statement(id, older, max-len(rows))
	if err != nil {
		return nil, fmt.Errorf("statement of %s: %w", id, err)
	}
	return append(rows, stored...), nil
}

func (v *View) lines(rows []ledger.Row) ([]Line, error) {
	lines := make([]Line, len(rows))
	for i, r := range rows {
		t, _, err := v.bodies.txn(r.Position())
		if err != nil {
			return nil, err
		}
		lines[i] = Line{Row: r, Txn: t}
		if r.Kind != ledger.RowChange && int(r.Leg) < len(t.Transfers) {
			lines[i].Transfer = &t.Transfers[r.Leg]
		}
	}
	return lines, nil
}

// trace finds where an id was used.
func (v *View) trace(id holdfast.ID) (trace ledger.Trace, ok bool, err error) {
	v.State(func(s *ledger.State) { trace, ok = s.FindRecent(id) })
	if ok {
		return trace, true, nil
	}
	return v.history.Find(id)
}

// Found is a transaction in the journal and what became of it.
type Found struct {
	Txn     *holdfast.Txn
	Outcome holdfast.Outcome
}

// Txn looks a transaction up by its id.
func (v *View) Txn(id holdfast.ID) (Found, bool, error) {
	trace, ok, err := v.trace(id)
	if err != nil || !ok {
		return Found{}, false, err
	}
	f, err := v.found(trace)
	if err != nil || f.Txn.ID != id {
		return Found{}, false, err
	}
	return f, true, nil
}

func (v *View) found(trace ledger.Trace) (Found, error) {
	t, at, err := v.bodies.txn(trace.Position)
	if err != nil {
		return Found{}, err
	}
	o := holdfast.Outcome{ID: t.ID, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: at, Position: trace.Position}
	if trace.Code != holdfast.CodeOK {
		o.Status, o.Code, o.Leg = holdfast.Refused, trace.Code, trace.Leg
	}
	return Found{Txn: t, Outcome: o}, nil
}

// FoundTransfer is one leg of a transaction that was done.
type FoundTransfer struct {
	Found
	Leg      holdfast.Leg
	Transfer *holdfast.Transfer
	Hold     ledger.HoldState // what became of it, when it is a hold
}

// Transfer looks a transfer up by its id. Transfers of refused transactions are not found: nothing moved.
func (v *View) Transfer(id holdfast.ID) (FoundTransfer, bool, error) {
	trace, ok, err := v.trace(id)
	if err != nil || !ok || trace.Code != holdfast.CodeOK {
		return FoundTransfer{}, false, err
	}
	f, err := v.found(trace)
	if err != nil {
		return FoundTransfer{}, false, err
	}
	leg := trace.Leg
	if leg == holdfast.NoLeg {
		leg = 0
	}
	if int(leg) >= len(f.Txn.Transfers) || f.Txn.TransferID(int(leg)) != id {
		return FoundTransfer{}, false, nil
	}
	return FoundTransfer{Found: f, Leg: leg, Transfer: &f.Txn.Transfers[leg], Hold: trace.Hold}, true, nil
}

// Hold returns a hold, open or closed, and what became of it. For a closed one Due is zero.
func (v *View) Hold(id holdfast.ID) (ledger.OpenHold, ledger.HoldState, bool, error) {
	var h ledger.OpenHold
	var open bool
	v.State(func(s *ledger.State) { h, open = s.Hold(id) })
	if open {
		return h, ledger.HoldOpen, true, nil
	}
	f, ok, err := v.Transfer(id)
	if err != nil || !ok || f.Hold == ledger.NotHold {
		return h, ledger.NotHold, false, err
	}
	t := f.Transfer
	return ledger.OpenHold{
		ID: id, Position: f.Outcome.Position, Leg: f.Leg, Debit: t.Debit, Credit: t.Credit, Amount: t.Amount,
		Time: f.Outcome.Time, Code: t.Code, Ref: t.Ref,
	}, f.Hold, true, nil
}

// Holds returns up to max open holds of an account that stand before a place (zero: all), newest first, and the place to go on from;
// the zero Place when there are no more.
func (v *View) Holds(id holdfast.AccountID, before ledger.Place, max int) (list []ledger.OpenHold, next ledger.Place) {
	walk := ledger.HoldWalk{Account: id, Before: before, Max: max + 1}
	for more := true; more; {
		v.State(func(s *ledger.State) { more = s.WalkHolds(&walk) })
	}
	if list = walk.Found; len(list) > max {
		list = list[:max]
		next = ledger.Place{Position: list[max-1].Position, Leg: list[max-1].Leg}
	}
	return list, next
}

// ByRef returns up to max transfers that carry a reference and stand before a place (zero: all), newest first, and the place to go on
// from; the zero Place when there are no more.
func (v *View) ByRef(ref holdfast.Ref, before ledger.Place, max int) (list []FoundTransfer, next ledger.Place, err error) {
	var rows []ledger.RefRow
	v.State(func(s *ledger.State) { rows = s.RecentByRef(ref, before, max+1) })
	if len(rows) <= max {
		stored, err := v.history.ByRef(ref, before, max+1)
		if err != nil {
			return nil, next, fmt.Errorf("transfers with a reference: %w", err)
		}
		rows = mergeRefs(rows, stored, max+1)
	}
	if len(rows) > max {
		rows = rows[:max]
		next = ledger.Place{Position: rows[max-1].Position, Leg: rows[max-1].Leg}
	}
	list = make([]FoundTransfer, 0, len(rows))
	for _, r := range rows {
		f, ok, err := v.Transfer(r.ID)
		if err != nil {
			return nil, next, err
		}
		if ok {
			list = append(list, f)
		}
	}
	return list, next, nil
}

// mergeRefs puts both together, newest first; a row may be in both.
func mergeRefs(a, b []ledger.RefRow, max int) []ledger.RefRow {
	rows := append(slices.Clone(a), b...)
	slices.SortFunc(rows, func(x, y ledger.RefRow) int {
		return cmp.Or(cmp.Compare(y.Index, x.Index), cmp.Compare(y.Ord, x.Ord), cmp.Compare(y.Leg, x.Leg))
	})
	rows = slices.CompactFunc(rows, func(x, y ledger.RefRow) bool { return x.ID == y.ID })
	return rows[:min(max, len(rows))]
}

// Record returns a business document as it stands.
func (v *View) Record(key string) (holdfast.Record, bool, error) {
	var row ledger.RecordRow
	var recent bool
	v.State(func(s *ledger.State) { row, recent = s.RecentRecord(key) })
	if recent {
		return row.Record, !row.Deleted, nil
	}
	return v.history.Record(key)
}

// Records returns up to max records that carry an index key, with a Key above after, in order of Key.
func (v *View) Records(index, after string, max int) ([]holdfast.Record, error) {
	list, err := v.records(recordSearch{
		stored: func(after string, max int) ([]holdfast.Record, error) { return v.history.Records(index, after, max) },
		recent: func(s *ledger.State, after string, max int) []holdfast.Record {
			return s.RecentByIndex(index, after, max)
		},
	}, after, max)
	if err != nil {
		return nil, fmt.Errorf("records of an index: %w", err)
	}
	return list, nil
}

// Listed returns up to max records of an owner whose Key begins with prefix (see [holdfast.OwnerOfPrefix]) and is above after, in order of
// Key.
func (v *View) Listed(prefix, after string, max int) ([]holdfast.Record, error) {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return nil, err
	}
	return v.owned(owner.Slot(), prefix, after, max)
}

// Owned is Listed for all records of the owners of a slot.
func (v *View) Owned(slot holdfast.Slot, after string, max int) ([]holdfast.Record, error) {
	return v.owned(slot, holdfast.OwnedPrefix, after, max)
}

func (v *View) owned(slot holdfast.Slot, prefix, after string, max int) ([]holdfast.Record, error) {
	list, err := v.records(recordSearch{
		stored: func(after string, max int) ([]holdfast.Record, error) {
			return v.history.OwnedRecords(slot, prefix, after, max)
		},
		recent: func(s *ledger.State, after string, max int) []holdfast.Record {
			return s.RecentOwned(slot, prefix, after, max)
		},
	}, after, max)
	if err != nil {
		return nil, fmt.Errorf("records of owners: %w", err)
	}
	return list, nil
}

// recordSearch finds records above a Key, up to so many, in order of Key: those on the disk as of the checkpoint, and those that have
// changed since.
type recordSearch struct {
	stored func(after string, max int) ([]holdfast.Record, error)
	recent func(s *ledger.State, after string, max int) []holdfast.Record
}

func (v *View) records(find recordSearch, after string, max int) (list []holdfast.Record, err error) {
	for len(list) < max {
		page, end, err := v.recordPage(find, after, max)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if end == "" {
			break
		}
		after = end
	}
	return list[:min(max, len(list))], nil
}

// pageTries is how often a page is read beside the payments before they have to wait for it.
const pageTries = 8

// recordPage reads one page of memory and disk together. What memory forgets in between could be missed, or be found as it was
// before: then both are read again.
func (v *View) recordPage(find recordSearch, after string, max int) (page []holdfast.Record, end string, err error) {
	var before uint64
	v.State(func(s *ledger.State) { before = s.Forgotten() })
	for range pageTries {
		stored, err := find.stored(after, max)
		if err != nil {
			return nil, "", err
		}
		now := before
		v.State(func(s *ledger.State) {
			if now = s.Forgotten(); now == before {
				page, end = mergeRecords(s, find.recent(s, after, max), stored, max)
			}
		})
		if now == before {
			return page, end, nil
		}
		before = now
	}
	v.State(func(s *ledger.State) {
		var stored []holdfast.Record
		if stored, err = find.stored(after, max); err == nil {
			page, end = mergeRecords(s, find.recent(s, after, max), stored, max)
		}
	})
	return page, end, err
}

// mergeRecords drops what memory knows better, and stops where a full page of either side ends: behind it the other side may
// have more. end is where to go on, "" when everything has been seen.
func mergeRecords(s *ledger.State, page, stored []holdfast.Record, max int) (merged []holdfast.Record, end string) {
	for _, list := range [][]holdfast.Record{page, stored} {
		if len(list) == max && (end == "" || list[max-1].Key < end) {
			end = list[max-1].Key
		}
	}
	for _, r := range stored {
		if _, newer := s.RecentRecord(r.Key); !newer {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b holdfast.Record) int { return cmp.Compare(a.Key, b.Key) })
	if end != "" {
		page = slices.DeleteFunc(page, func(r holdfast.Record) bool { return r.Key > end })
	}
	return page, end
}

// Outbox returns up to max undelivered messages with a Seq above after, in order.
func (v *View) Outbox(after uint64, max int) (list []holdfast.Queued) {
	v.State(func(s *ledger.State) { list = s.Outbox(after, max) })
	return list
}

// Trial is the trial balance as it is kept.
func (v *View) Trial() (list []ledger.AssetTotal) {
	v.State(func(s *ledger.State) { list = s.Totals() })
	return list
}
