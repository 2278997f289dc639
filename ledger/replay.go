package ledger

import (
	"bytes"
	"fmt"

	"holdfast"
)

// originals finds the encodings of transactions that were applied before. It keeps the place of the last one found, since
// the transactions of a batch that is sent again follow each other in the log as well.
type originals struct {
	index uint64
	time  holdfast.Time
	ord   uint32
	rest  []byte // from transaction ord on
	txn   holdfast.Txn
}

// original returns the encoding and the time of the transaction at a position.
func (s *State) original(at holdfast.Position) (raw []byte, t holdfast.Time, err error) {
	c := &s.cur.cache
	if c.index != at.Index || c.ord > at.Ord {
		if err := s.openOriginal(at.Index); err != nil {
			return nil, 0, err
		}
	}
	for ; c.ord < at.Ord; c.ord++ {
		if c.rest, err = skipTxn(c.rest, &c.txn); err != nil {
			return nil, 0, fmt.Errorf("entry %d, transaction %d: %w", at.Index, c.ord, err)
		}
	}
	rest, err := skipTxn(c.rest, &c.txn)
	if err != nil {
		return nil, 0, fmt.Errorf("entry %d, transaction %d: %w", at.Index, at.Ord, err)
	}
	return c.rest[:len(c.rest)-len(rest)], c.time + holdfast.Time(at.Ord), nil
}

func (s *State) openOriginal(index uint64) (err error) {
	data := s.cur.data
	if index != s.cur.index {
		if data, err = s.cur.past.Entry(index); err != nil {
			return fmt.Errorf("read entry %d again: %w", index, err)
		}
	}
	h, body, err := ReadEntry(data)
	if err != nil {
		return fmt.Errorf("read entry %d again: %w", index, err)
	}
	s.cur.cache = originals{index: index, time: h.Time, rest: body}
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
