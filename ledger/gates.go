package ledger

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holdfast"
)

// GatesKey is the key of the record in which a shard says which slots it does not serve like the others, because they move to
// another shard or have moved. A shard without the record serves every slot that it is asked for. A transaction that writes
// this record, or one whose key goes on from it with "/", is the platform's own: it passes every gate, and accounts that are
// frozen do not stop it.
const GatesKey = holdfast.ReservedPrefix + "slots"

// NoteKey is the key of the record in which a shard keeps what it knows of the moves of a slot; see package slot.
func NoteKey(slot holdfast.Slot) string { return fmt.Sprintf("%s/%03d", GatesKey, slot) }

// Gate says how a shard serves a slot. The numbers are in logs: append, never renumber.
type Gate uint8

const (
	// GateOpen: as ever. It does not stand in the record.
	GateOpen Gate = iota
	// GateMarked: as ever, and somebody wants the slot to move.
	GateMarked
	// GateEbbing bars transactions of callers that touch the slot and carry messages: nothing departs any more.
	GateEbbing
	// GateShut bars all transactions of callers that touch the slot: it is on its way to another shard.
	GateShut
	// GateGone bars the same: it has moved away.
	GateGone
	// GateArriving bars the same: it is on its way here.
	GateArriving

	gates
)

// Gates is the table in the record. The zero Gates has every slot open.
type Gates struct {
	of  [holdfast.Slots]Gate
	any bool // some slot is not open
}

// Of is the gate of a slot.
func (g *Gates) Of(slot holdfast.Slot) Gate { return g.of[slot] }

// Set changes the gate of a slot.
func (g *Gates) Set(slot holdfast.Slot, to Gate) {
	g.of[slot] = to
	g.any = slices.ContainsFunc(g.of[:], func(x Gate) bool { return x != GateOpen })
}

// Slots lists those that are not open.
func (g *Gates) Slots() (list []holdfast.Slot) {
	for slot, gate := range g.of {
		if gate != GateOpen {
			list = append(list, holdfast.Slot(slot))
		}
	}
	return list
}

const gatesVersion = 1

// AppendGates appends the body of the record: version 1, then for each slot that is not open its number, 2 bytes big-endian, and
// its gate, 1 byte; in order of slots.
func AppendGates(b []byte, g *Gates) []byte {
	b = append(b, gatesVersion)
	for _, slot := range g.Slots() {
		b = append(binary.BigEndian.AppendUint16(b, uint16(slot)), byte(g.of[slot]))
	}
	return b
}

// ReadGates reads what AppendGates has written, and nothing else.
func ReadGates(body []byte) (g Gates, err error) {
	r := reader{b: body}
	if version := r.u8("gates"); version != gatesVersion && r.err == nil {
		r.fail("gates of version %d", version)
	}
	for next := 0; len(r.b) > 0; {
		slot, gate := int(r.u16("slot")), Gate(r.u8("gate"))
		if r.err != nil || slot < next || slot >= holdfast.Slots || gate == GateOpen || gate >= gates {
			r.fail("slot %d has gate %d, after slot %d", slot, gate, next-1)
			break
		}
		g.of[slot], g.any, next = gate, true, slot+1
	}
	return g, r.err
}

// gates notes a table of gates that does not read, or is taken away: the ledger would not know what to do.
func (c *checker) gates(records []holdfast.RecordChange) {
	for i := range records {
		if records[i].Key != GatesKey {
			continue
		}
		if _, err := ReadGates(records[i].Body); err != nil {
			c.note(holdfast.CodeRecordInvalid, "records", i, "body")
		}
	}
}

// Gates is the table as it stands. ok is false when nothing has been applied since a checkpoint was loaded: ask for the record.
func (s *State) Gates() (g Gates, ok bool) { return s.gates, s.gatesKnown }

// loadGates reads the table that belongs to a checkpoint, once.
func (s *State) loadGates() error {
	if s.gatesKnown {
		return nil
	}
	r, exists, err := s.record(GatesKey)
	if err == nil && exists {
		s.gates, err = ReadGates(r.Body)
	}
	s.gatesKnown = err == nil
	if s.gatesKnown {
		s.followGates(s.index)
	}
	return err
}

// OfMove reports a transaction of the platform's own that has to do with a move of slots. It passes gates and frozen accounts, and what it
// moves is not moved from anybody to anybody.
func OfMove(t *holdfast.Txn) bool {
	for i := range t.Records {
		if rest, ours := strings.CutPrefix(t.Records[i].Key, GatesKey); ours && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// bars reports whether transactions of callers that touch the account have to go elsewhere. Accounts of the shard itself never
// move: what stands in place of a slot in theirs is the number of the shard.
func (g *Gates) bars(id holdfast.AccountID, departs bool) bool {
	if !g.barsSlot(id.Owner.Slot(), departs, plantedGateLeaks()) {
		return false
	}
	return id.Owner != 0 && !id.OfShard() // what ends a hold may leave its accounts out
}

func (g *Gates) barsSlot(slot holdfast.Slot, departs, leaks bool) bool {
	gate := g.of[slot]
	return gate > GateMarked && (gate != GateEbbing || departs) && (gate != GateShut || !leaks)
}

// barsKey is bars for a record, and for a precondition on one.
func (g *Gates) barsKey(key string, departs bool) bool {
	owner := holdfast.OwnerOfKey(key)
	return owner != 0 && g.barsSlot(owner.Slot(), departs, plantedRecordLeaks())
}

func (g *Gates) barsRecords(t *holdfast.Txn, departs bool) bool {
	return slices.ContainsFunc(t.Preconditions, func(p holdfast.Precondition) bool { return g.barsKey(p.Key, departs) }) ||
		slices.ContainsFunc(t.Records, func(c holdfast.RecordChange) bool { return g.barsKey(c.Key, departs) })
}

// barred reports whether a transaction has to go to another shard. It has left no trace here, and must not leave one now.
func (s *State) barred(t *holdfast.Txn) (bool, error) {
	departs := len(t.Messages) > 0
	if s.gates.any && s.gates.barsRecords(t, departs) {
		return true, nil
	}
	for i := range t.Accounts {
		if s.gates.bars(t.Accounts[i].ID, departs) {
			return true, nil
		}
	}
	for i := range t.Transfers {
		leg := &t.Transfers[i]
		state := NotHold
		if !leg.Hold.IsZero() {
			var err error
			if state, err = s.stateOf(leg.Hold); err != nil {
				return false, err
			}
		}
		switch {
		case state == HoldMoved || state == HoldOpen && s.barredHold(leg.Hold, departs):
			return true, nil
		case state > HoldOpen: // how it ended is known here, wherever its accounts are now
		case s.gates.bars(leg.Debit, departs) || s.gates.bars(leg.Credit, departs):
			return true, nil
		}
	}
	return false, nil
}

// stateOf is the state of a hold; NotHold of any other id.
func (s *State) stateOf(hold holdfast.ID) (HoldState, error) {
	if _, open := s.holds.find(hold); open {
		return HoldOpen, nil
	}
	trace, known, err := s.find(hold, tagOf(hold.Hash()))
	if err != nil || !known || trace.Code != holdfast.CodeOK {
		return NotHold, err
	}
	return trace.Hold, nil
}

// barredHold looks at the accounts of an open hold.
func (s *State) barredHold(id holdfast.ID, departs bool) bool {
	n, _ := s.holds.find(id)
	h := s.holds.list.at(n)
	debit, credit := s.accounts.hot.at(h.debit), s.accounts.hot.at(h.credit)
	return s.gates.any && (s.gates.bars(debit.id(), departs) || s.gates.bars(credit.id(), departs))
}

// moved answers a transaction that belongs to another shard: not executed, and no trace.
func moved(id holdfast.ID) holdfast.Outcome {
	return holdfast.Outcome{ID: id, Status: holdfast.NotExecuted, Code: holdfast.CodeMoved, Leg: holdfast.NoLeg}
}

// SlotAccounts calls use with the accounts of a slot among the next max accounts from the one with the number from on, in the
// order in which they came to this replica. It returns the number to go on from; done: that was all there is now.
func (s *State) SlotAccounts(slot holdfast.Slot, from uint32, max int, use func(holdfast.AccountID)) (next uint32, done bool) {
	return s.Owned(from, max, func(id holdfast.AccountID) {
		if id.Owner.Slot() == slot {
			use(id)
		}
	})
}

// Owned calls use with the accounts of owners among the next max accounts from the one with the number from on, like
// [State.SlotAccounts].
func (s *State) Owned(from uint32, max int, use func(holdfast.AccountID)) (next uint32, done bool) {
	end := min(from+uint32(max), s.accounts.hot.len)
	for i := from; i < end; i++ {
		if id := s.accounts.hot.at(i).id(); !id.OfShard() {
			use(id)
		}
	}
	return end, end == s.accounts.hot.len
}
