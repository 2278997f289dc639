package ledger

import (
	"bytes"
	"fmt"
	"slices"

	"holdfast"
)

// plannedRecord is the record that a change replaces.
type plannedRecord struct {
	old    holdfast.Record
	exists bool
}

// record returns a record as it stands, however old.
func (s *State) record(key string) (r holdfast.Record, exists bool, err error) {
	if row := s.recent(key); row != nil {
		return row.Record, !row.Deleted, nil
	}
	r, exists, err = s.cur.past.Record(key)
	if err != nil {
		return r, false, fmt.Errorf("look up a record: %w", err)
	}
	return r, exists, nil
}

// judgeRecords checks all versions: the preconditions, and what the changes expect. Both are about the records as they
// were before the transaction.
func (s *State) judgeRecords(t *holdfast.Txn) (worst holdfast.Code, err error) {
	for i := range t.Preconditions {
		p := &t.Preconditions[i]
		r, exists, err := s.record(p.Key)
		if err != nil {
			return 0, err
		}
		worst = smaller(worst, judgeVersion(p.Version, r.Version, exists))
	}
	for i := range t.Records {
		c := &t.Records[i]
		r, exists, err := s.record(c.Key)
		if err != nil {
			return 0, err
		}
		worst = smaller(worst, judgeVersion(c.Expect, r.Version, exists))
		s.judgement.records = append(s.judgement.records, plannedRecord{r, exists})
	}
	return worst, nil
}

// smaller is the code that takes precedence; CodeOK gives way to every other.
func smaller(a, b holdfast.Code) holdfast.Code {
	if a == holdfast.CodeOK || b != holdfast.CodeOK && b < a {
		return b
	}
	return a
}

func judgeVersion(want, version uint64, exists bool) holdfast.Code {
	switch {
	case want == holdfast.AnyVersion:
		return holdfast.CodeOK
	case exists && want == 0:
		return holdfast.CodeRecordExists
	case !exists && want != 0:
		return holdfast.CodeRecordMissing
	case exists && version != want:
		return holdfast.CodeRecordVersionMismatch
	}
	return holdfast.CodeOK
}

func (s *State) commitRecords(t *holdfast.Txn) {
	for i := range t.Records {
		c, p := &t.Records[i], &s.judgement.records[i]
		if c.Delete && !p.exists {
			continue
		}
		s.commitRecord(c, p)
		if c.Key == GatesKey {
			s.commitGates(c.Body)
		}
	}
}

// commitRecord writes the new version over the one that the segment has, or adds it. A record that is made again after it
// was deleted starts at version 1 again.
func (s *State) commitRecord(c *holdfast.RecordChange, p *plannedRecord) {
	row := RecordRow{Record: holdfast.Record{Key: c.Key, Changed: s.cur.time}, Deleted: c.Delete}
	if p.exists {
		row.Version, row.OldIndex = p.old.Version, p.old.Index
	}
	row.Version++
	if !c.Delete {
		row.Index, row.Body = slices.Clone(c.Index), bytes.Clone(c.Body)
	}
	g := s.open
	i, again := g.byKey[c.Key]
	var listed []string
	if again {
		listed, row.OldIndex = g.Records[i].Index, g.Records[i].OldIndex
		g.Records[i] = row
	} else {
		i = uint32(len(g.Records))
		g.Records = append(g.Records, row)
		g.byKey[c.Key] = i
	}
	for _, key := range row.Index {
		if !slices.Contains(listed, key) {
			g.byIndex[key] = append(g.byIndex[key], i)
		}
	}
	s.digestRecord(&row)
}

// commitGates takes over a new table; CheckLogged has read it.
func (s *State) commitGates(body []byte) {
	g, err := ReadGates(body)
	if err != nil {
		panic(fmt.Sprintf("ledger: entry %d has a table of gates that does not read: %v", s.cur.index, err))
	}
	s.gates = g
}

func (s *State) digestRecord(row *RecordRow) {
	text(&s.digest, row.Key)
	s.digest.words(row.Version, uint64(len(row.Index)))
	for _, key := range row.Index {
		text(&s.digest, key)
	}
	text(&s.digest, row.Body)
}
