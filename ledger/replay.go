package ledger

import (
	"bytes"
	"fmt"

	"holdfast"
)

// originals finds the encodings of transactions that were applied before. It keeps the entry found last and where in it
// each transaction begins: those of a batch that is sent again stand together, in whatever order they come now.
type originals struct {
	index  uint64
	time   holdfast.Time
	body   []byte
	starts []int // of each transaction in body, and the end of the last
}

// original returns the encoding and the time of the transaction at a position.
func (s *State) original(at holdfast.Position) (raw []byte, t holdfast.Time, err error) {
	c := &s.originals
	if c.index != at.Index {
		if err := s.openOriginal(at.Index); err != nil {
			return nil, 0, fmt.Errorf("read entry %d again: %w", at.Index, err)
		}
	}
	if int(at.Ord)+1 >= len(c.starts) {
		return nil, 0, corrupt("entry %d has %d transactions: there is no number %d", at.Index, len(c.starts)-1, at.Ord)
	}
	return c.body[c.starts[at.Ord]:c.starts[at.Ord+1]], c.time + holdfast.Time(at.Ord), nil
}

func (s *State) openOriginal(index uint64) (err error) {
	data := s.cur.data
	if index != s.cur.index {
		if data, err = s.cur.past.Entry(index); err != nil {
			return err
		}
	}
	h, body, err := ReadEntry(data)
	if err != nil {
		return err
	}
	c := &s.originals
	*c = originals{time: h.Time, body: body, starts: append(c.starts[:0], 0)}
	var scratch holdfast.Txn
	for rest := body; len(c.starts) <= int(h.Count); c.starts = append(c.starts, len(body)-len(rest)) {
		if rest, err = skipTxn(rest, &scratch); err != nil {
			return fmt.Errorf("transaction %d: %w", len(c.starts)-1, err)
		}
	}
	c.index = index
	return nil
}

// replay answers a transaction whose id is known: as before when every field is the same, and otherwise with the first
// field that differs. err is that of the look-up.
func (s *State) replay(id holdfast.ID, trace Trace, raw []byte, out *[]holdfast.Outcome, err error) error {
	if err != nil {
		return err
	}
	if trace.Code == holdfast.CodeOK && trace.Leg != holdfast.NoLeg {
		*out = append(*out, s.refuse(id, holdfast.CodeIDTaken, holdfast.NoLeg, "id")) // it is that of a leg
		return nil
	}
	first, time, err := s.original(trace.Position)
	if err != nil {
		return err
	}
	field, err := difference(first, raw)
	if err != nil {
		return err
	}
	if field != "" {
		*out = append(*out, s.refuse(id, holdfast.CodeIDTaken, holdfast.NoLeg, field))
		return nil
	}
	o := holdfast.Outcome{
		ID: id, Status: holdfast.Done, Code: trace.Code, Leg: trace.Leg, Replay: true, Time: time, Position: trace.Position,
	}
	if trace.Code != holdfast.CodeOK {
		o.Status = holdfast.Refused
	}
	*out = append(*out, o)
	return nil
}

// difference compares two encodings. There is one encoding for each transaction, so only different ones are decoded.
func difference(first, second []byte) (field string, err error) {
	if bytes.Equal(first, second) {
		return "", nil
	}
	var a, b holdfast.Txn
	if _, err := ReadTxn(first, &a); err != nil {
		return "", err
	}
	if _, err := ReadTxn(second, &b); err != nil {
		return "", err
	}
	return firstDifference(&a, &b), nil
}
