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
// were before the transaction. A record that is pending says neither what it is nor what it will be: before anything else that is the answer.
func (s *State) judgeRecords(t *holdfast.Txn) (worst holdfast.Code, err error) {
	for i := range t.Preconditions {
		p := &t.Preconditions[i]
		r, exists, err := s.record(p.Key)
		if err != nil {
			return 0, err
		}
		if pending(&r, nil) {
			return holdfast.CodeRecordPending, nil
		}
		worst = smaller(worst, judgeVersion(p.Version, r.Version, exists))
	}
	for i := range t.Records {
		c := &t.Records[i]
		r, exists, err := s.record(c.Key)
		if err != nil {
			return 0, err
		}
		if pending(&r, c) {
			return holdfast.CodeRecordPending, nil
		}
		worst = smaller(worst, judgeVersion(c.Expect, r.Version, exists))
		if ends(c) && r.Pending == nil {
			worst = smaller(worst, holdfast.CodeRecordVersionMismatch)
		}
		s.judgement.records = append(s.judgement.records, plannedRecord{r, exists})
	}
	return worst, nil
}

// ends reports a change that ends what a payment has left pending.
func ends(c *holdfast.RecordChange) bool {
	return c.Op == holdfast.RecordKeep || c.Op == holdfast.RecordTakeBack
}

// pending reports whether a record waits for the end of a payment that is not the one which a change (nil: none) brings to its end.
func pending(r *holdfast.Record, c *holdfast.RecordChange) bool {
	return r.Pending != nil && !(c != nil && ends(c) && c.Payment == r.Pending.Payment) && !plantedPendingIgnored()
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
		row := s.changedRecord(t.ID, c, p)
		s.commitRecord(c, row)
		if c.Key == GatesKey {
			s.commitGates(c.Body)
		}
	}
}

// changedRecord is the record as a change leaves it. One that is made again after it was deleted starts at version 1 again.
func (s *State) changedRecord(txn holdfast.ID, c *holdfast.RecordChange, p *plannedRecord) (row RecordRow) {
	row = RecordRow{Record: holdfast.Record{Key: c.Key, Changed: s.cur.time}, Deleted: c.Delete}
	if p.exists {
		row.Version, row.OldIndex = p.old.Version, p.old.Index
	}
	row.Version++
	if !c.Delete {
		row.Index, row.Body = slices.Clone(c.Index), bytes.Clone(c.Body)
	}
	switch c.Op {
	case holdfast.RecordCarry:
		row.Version, row.Changed = c.Version, c.Changed
	case holdfast.RecordPend:
		row.Pending = &holdfast.PendingChange{Payment: txn}
		if p.exists {
			before := p.old
			row.Pending.Before = &before
		}
	case holdfast.RecordKeep:
		row.Record = p.old
		row.Pending = nil
	case holdfast.RecordTakeBack:
		if before := p.old.Pending.Before; before != nil {
			row.Index, row.Body = before.Index, before.Body
		} else {
			row.Deleted = true
		}
	}
	return row
}

// commitRecord writes the new version over the one that the segment has, or adds it.
func (s *State) commitRecord(c *holdfast.RecordChange, row RecordRow) {
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
	if owner := holdfast.OwnerOfKey(c.Key); owner != 0 {
		if !again {
			g.bySlot[owner.Slot()] = append(g.bySlot[owner.Slot()], i)
		}
		s.follow(owner.Slot(), c.Key)
	}
	s.digestRecord(&row)
	if c.Op != holdfast.RecordWrite {
		s.digest.words(uint64(c.Op), uint64(row.Changed))
		s.digest.id(c.Payment, uint64(len(c.Key)))
	}
}

// commitGates takes over a new table; CheckLogged has read it.
func (s *State) commitGates(body []byte) {
	g, err := ReadGates(body)
	if err != nil {
		panic(fmt.Sprintf("ledger: entry %d has a table of gates that does not read: %v", s.cur.index, err))
	}
	s.gates = g
	s.followGates(s.cur.index)
}

func (s *State) digestRecord(row *RecordRow) {
	text(&s.digest, row.Key)
	s.digest.words(row.Version, uint64(len(row.Index)))
	for _, key := range row.Index {
		text(&s.digest, key)
	}
	text(&s.digest, row.Body)
}
