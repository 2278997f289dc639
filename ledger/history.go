package ledger

import (
	"fmt"
	"slices"
	"strings"

	"holdfast"
)

// The recent past: the open segment and those sealed but not forgotten, from the newest to the oldest. What is found in
// a newer one overrides the older ones, and any of them overrides Past.

// unforgotten yields the segments in memory, the newest first.
func (s *State) unforgotten(yield func(*Segment) bool) {
	if !yield(s.open) {
		return
	}
	for i := len(s.sealed) - 1; i >= 0; i-- {
		if !yield(s.sealed[i]) {
			return
		}
	}
}

// Pending is how much has gathered in the open segment: rows, ids, records and messages. The caller seals by it.
func (s *State) Pending() int { return s.open.size() }

// Seal closes the open segment and begins a new one, in constant time. The caller fills in Meta.Term and Meta.Members
// before handing it on, and calls Forget when the store has it.
func (s *State) Seal() *Segment {
	g := s.open
	g.Meta = s.Meta()
	g.hot, g.rest = s.accounts.hot.view(), s.accounts.rest.view()
	s.sealed = append(s.sealed, g)
	s.open, s.spare = s.spare, nil
	if s.open == nil {
		s.open = NewSpare(g)
	}
	s.open.firstRow = g.firstRow + uint64(len(g.Rows))
	g.plant()
	return g
}

// NewSpare makes an empty segment with room for as much as another. Megabytes are cleared for it: whoever can does it beside
// the payments, and hands it to [State.Spare].
func NewSpare(like *Segment) *Segment { return newSegment(0, like) }

// Spare takes the segment that the next Seal will open.
func (s *State) Spare(g *Segment) { s.spare = g }

// Forget drops the oldest sealed segment, which must be g: from now on Past knows it. g itself stays readable.
func (s *State) Forget(g *Segment) {
	if len(s.sealed) == 0 || s.sealed[0] != g {
		panic(fmt.Sprintf("ledger: segment up to entry %d is forgotten out of order; %d are sealed", g.Meta.Index, len(s.sealed)))
	}
	s.sealed = slices.Delete(s.sealed, 0, 1)
	s.forgotten = g.Meta.Index
}

// Forgotten is the last entry of the newest segment that was forgotten; 0: none was. Who reads memory and Past, and finds it
// unchanged in between, has missed nothing.
func (s *State) Forgotten() uint64 { return s.forgotten }

// FindRecent tells where an id was used, if that is not forgotten yet.
func (s *State) FindRecent(id holdfast.ID) (Trace, bool) {
	tag := tagOf(id.Hash())
	for g := range s.unforgotten {
		if row := g.findID(id, tag); row != nil {
			return row.Trace, true
		}
	}
	return Trace{}, false
}

// find tells where an id was used, however long ago.
func (s *State) find(id holdfast.ID, tag uint32) (Trace, bool, error) {
	if row := s.open.findID(id, tag); row != nil {
		return row.Trace, true, nil
	}
	if plantedForgetDedupe() || plantedLandForgotten() && id.IsShadow() {
		return Trace{}, false, nil
	}
	for i := len(s.sealed) - 1; i >= 0; i-- {
		if row := s.sealed[i].findID(id, tag); row != nil {
			return row.Trace, true, nil
		}
	}
	t, ok, err := s.cur.past.Find(id)
	if err != nil {
		return t, false, fmt.Errorf("look up id %s: %w", id, err)
	}
	return t, ok, nil
}

// write appends a row with the account as it is now.
func (s *State) write(ordinal uint32, a *account, kind RowKind, leg holdfast.Leg) {
	g := s.open
	n := g.firstRow + uint64(len(g.Rows))
	var prev uint32
	if last := a.lastRow(); last >= s.firstRow() {
		prev = uint32(n - last)
	}
	a.setLastRow(n)
	g.Rows = append(g.Rows, Row{
		Account: ordinal, Prev: prev, Time: s.cur.time, Index: s.cur.index, Ord: s.cur.ord, Leg: leg, Kind: kind, Flags: a.flags,
		DebitsPosted: a.debitsPosted, CreditsPosted: a.creditsPosted,
		DebitsPending: a.debitsPending, CreditsPending: a.creditsPending,
	})
	s.digest.row(a, &g.Rows[len(g.Rows)-1])
}

// firstRow is the number of the oldest row in memory.
func (s *State) firstRow() uint64 {
	if len(s.sealed) > 0 {
		return s.sealed[0].firstRow
	}
	return s.open.firstRow
}

// row returns the row of a number not below firstRow.
func (s *State) row(n uint64) *Row {
	for g := range s.unforgotten {
		if n >= g.firstRow {
			return &g.Rows[n-g.firstRow]
		}
	}
	panic(fmt.Sprintf("ledger: row %d is forgotten, the oldest is %d", n, s.firstRow()))
}

// RecentRows returns up to max rows of an account that are not forgotten yet and older than before (0: all), newest first.
func (s *State) RecentRows(id holdfast.AccountID, before holdfast.Time, max int) []Row {
	ordinal, ok := s.accounts.find(&id, id.Hash())
	if !ok {
		return nil
	}
	var rows []Row
	n, oldest := s.accounts.hot.at(ordinal).lastRow(), s.firstRow()
	for n >= oldest && len(rows) < max {
		r := s.row(n)
		if before == 0 || r.Time < before {
			rows = append(rows, *r)
		}
		if r.Prev == 0 {
			break
		}
		n -= uint64(r.Prev)
	}
	return rows
}

// RecentByRef returns up to max transfers with a reference before a place (zero: all) that are not forgotten yet, newest first.
func (s *State) RecentByRef(ref holdfast.Ref, before Place, max int) []RefRow {
	var rows []RefRow
	tag := tagOf(holdfast.ID(ref).Hash())
	for g := range s.unforgotten {
		n, _ := g.lastRef(ref, tag)
		for ; n != 0 && len(rows) < max; n = g.Refs[n-1].Prev {
			if r := &g.Refs[n-1]; before == (Place{}) || (Place{r.Position, r.Leg}).Compare(before) < 0 {
				rows = append(rows, *r)
			}
		}
	}
	return rows
}

// RecentRecord returns a record that has changed and is not forgotten yet. Deleted ones are found too.
func (s *State) RecentRecord(key string) (RecordRow, bool) {
	if row := s.recent(key); row != nil {
		return *row, true
	}
	return RecordRow{}, false
}

func (s *State) recent(key string) *RecordRow {
	for g := range s.unforgotten {
		if i, ok := g.byKey[key]; ok {
			return &g.Records[i]
		}
	}
	return nil
}

// RecentByIndex returns up to max records that have changed, are not forgotten yet and carry the index key, with a Key
// above after, in order of Key. A record of the store for which RecentRecord finds a newer version does not count any more.
func (s *State) RecentByIndex(index, after string, max int) []holdfast.Record {
	var page []holdfast.Record
	for g := range s.unforgotten {
		for _, i := range g.byIndex[index] {
			row := &g.Records[i]
			if row.Key <= after || len(page) == max && (max == 0 || row.Key >= page[max-1].Key) {
				continue
			}
			at, twice := slices.BinarySearchFunc(page, row.Key, compareKey)
			if twice || !slices.Contains(row.Index, index) || s.recent(row.Key) != row {
				continue
			}
			page = slices.Insert(page[:min(len(page), max-1)], at, row.Record)
		}
	}
	return page
}

// RecentOwned returns up to max records of the owners of a slot that have changed and are not forgotten yet, whose Key begins with prefix
// and is above after, in order of Key. Of the store's the same holds as of those of RecentByIndex.
func (s *State) RecentOwned(slot holdfast.Slot, prefix, after string, max int) []holdfast.Record {
	var page []*RecordRow
	for g := range s.unforgotten {
		for _, i := range g.bySlot[slot] {
			row := &g.Records[i]
			if row.Deleted || row.Key <= after || !strings.HasPrefix(row.Key, prefix) ||
				len(page) == max && (max == 0 || row.Key >= page[max-1].Key) || s.recent(row.Key) != row {
				continue
			}
			at, _ := slices.BinarySearchFunc(page, row.Key, func(r *RecordRow, key string) int { return strings.Compare(r.Key, key) })
			page = slices.Insert(page[:min(len(page), max-1)], at, row)
		}
	}
	list := make([]holdfast.Record, len(page))
	for i, row := range page {
		list[i] = row.Record
	}
	return list
}

func compareKey(r holdfast.Record, key string) int { return strings.Compare(r.Key, key) }
