package ledger

import (
	"fmt"

	"holdfast"
)

// ErrDigest says that this replica's state was not the one that the proposer of a digest entry had, or that another replica has.
// One of the two is wrong; which, only a majority of the replicas can tell.
type ErrDigest struct {
	Index  uint64 // the entry after which the digests differ
	Ours   uint64
	Theirs uint64
}

// Error names the entry and both digests.
func (e ErrDigest) Error() string {
	return fmt.Sprintf("state differs from that of another replica: digest after entry %d is %016x here and %016x there",
		e.Index, e.Ours, e.Theirs)
}

// current is the entry that is being applied, and the transaction of it.
type current struct {
	past  Past
	index uint64
	start holdfast.Time // of the entry
	data  []byte
	own   bool // the transaction is one that gates and frozen accounts do not stop
	ord   uint32
	time  holdfast.Time // of the transaction
}

// Apply applies one log entry and appends one outcome per transaction of it to out. Indexes must rise by one; times must
// rise. Empty data is an entry without meaning for the ledger (raft's own): only the index moves. data is not kept.
//
// An error means that the entry cannot be understood, or that the past cannot be read. The state may then be half changed and
// must be thrown away. A digest that differs is no error, see [State.TakeDifference]: the entry is in the log for ever, and the
// replicas that are right must get past it as well.
func (s *State) Apply(index uint64, data []byte, past Past, out []holdfast.Outcome) ([]holdfast.Outcome, error) {
	if index != s.index+1 {
		return out, fmt.Errorf("entry %d cannot follow entry %d", index, s.index)
	}
	if len(data) == 0 {
		s.index = index
		return out, nil
	}
	h, body, err := ReadEntry(data)
	if err != nil {
		return out, fmt.Errorf("entry %d: %w", index, err)
	}
	if h.Time <= s.time {
		return out, fmt.Errorf("entry %d has the time %s, not after %s: the leader's clock must only go forward", index, h.Time, s.time)
	}
	s.cur = current{past: past, index: index, start: h.Time, data: data}
	if err = s.loadGates(); err == nil {
		out, err = s.applyBody(&h, body, out)
	}
	s.cur, s.originals.index, s.originals.body = current{}, 0, nil
	if err != nil {
		return out, fmt.Errorf("entry %d: %w", index, err)
	}
	s.index = index
	s.time = h.Time + max(0, holdfast.Time(h.Count)-1)
	return out, nil
}

func (s *State) applyBody(h *Header, body []byte, out []holdfast.Outcome) ([]holdfast.Outcome, error) {
	switch h.Kind {
	case KindTxns:
		return s.applyTxns(h.Count, body, out)
	case KindDigest:
		return out, s.applyDigest(body)
	}
	if len(body) != 0 {
		return out, corrupt("entry of kind %d has a body of %d bytes, not 0", h.Kind, len(body))
	}
	return out, nil
}

// applyDigest compares with what was saved at the digest entry before. A proposal that speaks of an older one, made by a
// leader that had not applied the last, compares nothing.
//
// Whether the digests are the same or not, nothing but what was checked depends on the entry.
func (s *State) applyDigest(body []byte) error {
	index, theirs, err := readDigest(body)
	if err != nil {
		return err
	}
	if index != 0 && index == s.checkedIndex && theirs != s.checkedDigest && !plantedDigestIgnored() {
		s.difference = ErrDigest{Index: index, Ours: s.checkedDigest, Theirs: theirs}
	}
	s.checkedIndex, s.checkedDigest = s.cur.index, uint64(s.digest)
	return nil
}

// applyTxns alternates between runs of plain transactions and single ones of the general form.
func (s *State) applyTxns(count uint32, body []byte, out []holdfast.Outcome) ([]holdfast.Outcome, error) {
	for ord := uint32(0); ord < count; {
		run := s.lookAhead(body, count-ord)
		for i := range run {
			s.begin(ord)
			p := &run[i]
			if err := s.applyPlain(p, body[:p.size], &out); err != nil {
				return out, err
			}
			body = body[p.size:]
			ord++
		}
		if len(run) > 0 {
			continue
		}
		s.begin(ord)
		rest, err := ReadTxn(body, &s.txn)
		if err != nil {
			return out, fmt.Errorf("transaction %d: %w", ord, err)
		}
		if err := s.applyGeneral(&s.txn, body[:len(body)-len(rest)], &out); err != nil {
			return out, err
		}
		body = rest
		ord++
	}
	if len(body) != 0 {
		return out, corrupt("%d bytes follow the last of %d transactions", len(body), count)
	}
	return out, nil
}

func (s *State) begin(ord uint32) {
	s.cur.ord = ord
	s.cur.time = s.cur.start + holdfast.Time(ord)
}

func (s *State) position() holdfast.Position {
	return holdfast.Position{Index: s.cur.index, Ord: s.cur.ord}
}

// refuse answers with a code without remembering it.
func (s *State) refuse(id holdfast.ID, code holdfast.Code, leg holdfast.Leg, field string) holdfast.Outcome {
	return holdfast.Outcome{
		ID: id, Status: holdfast.Refused, Code: code, Leg: leg, Field: field, Time: s.cur.time, Position: s.position(),
	}
}

// decide answers with a code, CodeOK or a refusal, and remembers it. Nothing of a transaction that was not well-formed
// or whose ids were taken comes here, and not CodeHoldNotDue: those leave no trace.
func (s *State) decide(id holdfast.ID, tag uint32, code holdfast.Code, leg holdfast.Leg, state HoldState) holdfast.Outcome {
	o := s.refuse(id, code, leg, "")
	if code == holdfast.CodeOK {
		o.Status = holdfast.Done
	} else if plantedRefusalForgotten() {
		return o
	}
	s.open.addID(id, tag, Trace{Position: o.Position, Leg: leg, Code: code, Hold: state})
	s.digest.id(id, uint64(s.cur.time)^uint64(code)<<48^uint64(leg)<<32^uint64(state)<<24)
	return o
}
