package ledger

import (
	"errors"
	"maps"
	"slices"

	"holdfast"
)

var errNoEntry = errors.New("no such entry")

// memory is a store that keeps everything in maps: Past, and the tables from which a State is restored.
type memory struct {
	log      map[uint64][]byte
	meta     Meta
	ids      map[holdfast.ID]Trace
	accounts map[holdfast.AccountID]holdfast.Account
	holds    map[holdfast.ID]OpenHold
	records  map[string]holdfast.Record
	index    map[string]map[string]bool
	refs     []RefRow
	outbox   map[uint64]holdfast.Queued
	rows     map[holdfast.AccountID][]Row
}

func newMemory() *memory {
	return &memory{
		log: map[uint64][]byte{}, meta: Meta{NextSeq: 1}, ids: map[holdfast.ID]Trace{},
		accounts: map[holdfast.AccountID]holdfast.Account{}, holds: map[holdfast.ID]OpenHold{},
		records: map[string]holdfast.Record{}, index: map[string]map[string]bool{}, outbox: map[uint64]holdfast.Queued{},
		rows: map[holdfast.AccountID][]Row{},
	}
}

func (m *memory) Find(id holdfast.ID) (Trace, bool, error) {
	t, ok := m.ids[id]
	return t, ok, nil
}

func (m *memory) Entry(index uint64) ([]byte, error) {
	if data, ok := m.log[index]; ok {
		return data, nil
	}
	return nil, errNoEntry
}

func (m *memory) Record(key string) (holdfast.Record, bool, error) {
	r, ok := m.records[key]
	return r, ok, nil
}

// persist takes a segment in, in the order that Segment prescribes.
func (m *memory) persist(g *Segment) {
	m.meta = g.Meta
	for _, row := range g.IDs {
		m.ids[row.ID] = row.Trace
	}
	for _, row := range g.Rows {
		a := g.Account(row.Account)
		a.Flags, a.DebitsPosted, a.CreditsPosted = row.Flags, row.DebitsPosted, row.CreditsPosted
		a.DebitsPending, a.CreditsPending = row.DebitsPending, row.CreditsPending
		m.accounts[a.ID] = a
		m.rows[a.ID] = append(m.rows[a.ID], row)
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
	m.refs = append(m.refs, g.Refs...)
	for i := range g.Records {
		m.persistRecord(&g.Records[i])
	}
}

func (m *memory) persistRecord(row *RecordRow) {
	for _, key := range row.OldIndex {
		delete(m.index[key], row.Key)
	}
	if row.Deleted {
		delete(m.records, row.Key)
		return
	}
	m.records[row.Key] = row.Record
	for _, key := range row.Index {
		if m.index[key] == nil {
			m.index[key] = map[string]bool{}
		}
		m.index[key][row.Key] = true
	}
}

// load restores a State from the tables, and replays the log after them.
func (m *memory) load(t tester, upTo uint64) *State {
	t.Helper()
	s := New()
	s.RestoreMeta(m.meta)
	for _, a := range m.accounts {
		must(t, s.RestoreAccount(&a))
	}
	for _, h := range m.holds {
		must(t, s.RestoreHold(&h))
	}
	for _, seq := range slices.Sorted(maps.Keys(m.outbox)) {
		must(t, s.RestoreOutbox(m.outbox[seq]))
	}
	must(t, s.Restored())
	for i := m.meta.Index + 1; i <= upTo; i++ {
		_, err := s.Apply(i, m.log[i], m, nil)
		must(t, err)
	}
	return s
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
