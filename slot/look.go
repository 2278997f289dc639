package slot

import (
	"crypto/sha256"

	"holdfast"
	"holdfast/ledger"
	"holdfast/transit"
)

// View is what a mover can see from where it stands: the replicas of its own site, which has one of every shard, and the shard
// map. What it shows of the shard that the slot leaves is at least as new as what the leader had applied when it was asked to
// step; what it shows of others may be old, but does not go back from one Step to the next.
type View interface {
	transit.Directory
	// State runs fn on the state of a shard; false: it cannot be read just now. fn takes microseconds, because payments wait
	// for it, and keeps nothing.
	State(at holdfast.ShardID, fn func(*ledger.State)) bool
	// Record returns a record; ok is false when the shard cannot be read just now.
	Record(at holdfast.ShardID, key string) (r holdfast.Record, found, ok bool)
	// Records returns up to max records of the owners of a slot, with a Key above after, in order of Key.
	Records(at holdfast.ShardID, slot holdfast.Slot, after string, max int) (list []holdfast.Record, ok bool)
}

// standing is the records about a slot in one shard.
type standing struct {
	shard holdfast.ShardID
	slot  holdfast.Slot
	gates ledger.Gates
	note  Note
	// Versions of the two records: what a change is made from. 0: there is none.
	gatesVersion, noteVersion uint64
}

// look reads them, the note first: what is read of the state behind it is at least as new.
func look(v View, at holdfast.ShardID, slot holdfast.Slot) (s standing, ok bool) {
	s.shard, s.slot = at, slot
	r, found, ok := v.Record(at, ledger.NoteKey(slot))
	if !ok {
		return s, false
	}
	var err error
	if found {
		if s.note, err = ReadNote(r.Body); err != nil {
			return s, false
		}
		s.noteVersion = r.Version
	}
	if r, found, ok = v.Record(at, ledger.GatesKey); !ok {
		return s, false
	}
	if found {
		if s.gates, err = ledger.ReadGates(r.Body); err != nil {
			return s, false
		}
		s.gatesVersion = r.Version
	}
	return s, true
}

func (s *standing) gate() ledger.Gate { return s.gates.Of(s.slot) }

// of reports whether the note is about a move, and at one of the stages.
func (s *standing) of(move holdfast.ID, list ...Stage) bool {
	for _, stage := range list {
		if s.noteVersion > 0 && s.note.Move == move && s.note.Stage == stage {
			return true
		}
	}
	return false
}

// change is the records that make a stage of another: gate and note, if neither has changed meanwhile.
func (s *standing) change(gate ledger.Gate, note Note) []holdfast.RecordChange {
	next := *s
	next.gates.Set(s.slot, gate)
	return []holdfast.RecordChange{next.gated(), s.noted(note)}
}

// gated is the table of gates as it is to be, if it has not changed since it was read.
func (s *standing) gated() holdfast.RecordChange {
	return holdfast.RecordChange{Key: ledger.GatesKey, Expect: s.gatesVersion, Body: ledger.AppendGates(nil, &s.gates)}
}

// noted is a new note, if the old one has not changed since it was read.
func (s *standing) noted(note Note) holdfast.RecordChange {
	return holdfast.RecordChange{Key: ledger.NoteKey(s.slot), Expect: s.noteVersion, Body: note.Append(nil)}
}

// touch is the note once more: whatever else was made from the same look is refused.
func (s *standing) touch() holdfast.RecordChange {
	c := holdfast.RecordChange{Key: ledger.NoteKey(s.slot), Expect: s.noteVersion, Body: s.note.Append(nil)}
	if plantedPageAgain() {
		c.Expect = holdfast.AnyVersion
	}
	return c
}

// contents compares what two shards have of a slot, or looks at one. It remembers which accounts the slot has in the shard that
// it leaves: none ever goes away.
type contents struct {
	slot holdfast.Slot
	ids  []holdfast.AccountID
	next uint32 // how far the accounts of the shard have been looked through
	at   int    // where in ids the next comparison begins
	move holdfast.ID
}

// slice is how many accounts are looked at while payments wait.
const slice = 1000

// gather finds accounts that are new since the last time.
func (c *contents) gather(v View, at holdfast.ShardID) bool {
	for done := false; !done; {
		if !v.State(at, func(s *ledger.State) {
			c.next, done = s.SlotAccounts(c.slot, c.next, slice, func(id holdfast.AccountID) { c.ids = append(c.ids, id) })
		}) {
			return false
		}
	}
	return true
}

// pair is an account in the shard that it leaves and, if it is there, in the other one.
type pair struct {
	from, to holdfast.Account
	there    bool
	holds    []ledger.OpenHold // in the shard that it leaves, on either side; those of its debit side have to be in both
	missing  []ledger.OpenHold // of those of its debit side the ones that the other shard has not
}

// each calls use for all accounts of the slot, with up to so many holds of each, from where the last call stopped on, until it
// returns false. whole is true when all have been seen.
func (c *contents) each(v View, from, to holdfast.ShardID, holds int, use func(*pair) bool) (whole, ok bool) {
	pairs := make([]pair, 0, slice)
	for seen := 0; seen < len(c.ids); {
		n := min(slice, len(c.ids)-seen, len(c.ids)-c.at)
		pairs = pairs[:n]
		part := c.ids[c.at : c.at+n]
		if !v.State(from, func(s *ledger.State) {
			for i, id := range part {
				pairs[i] = pair{}
				pairs[i].from, _ = s.Account(id)
				if a := &pairs[i].from; a.DebitsPending+a.CreditsPending > 0 {
					pairs[i].holds = s.HoldsOf(id, holds)
				}
			}
		}) || to != 0 && !v.State(to, func(s *ledger.State) { complete(s, c.move, part, pairs) }) {
			return false, false
		}
		for i := range pairs {
			if !use(&pairs[i]) {
				return false, true
			}
			seen++
			c.at = (c.at + 1) % len(c.ids)
		}
	}
	return true, true
}

func complete(s *ledger.State, move holdfast.ID, part []holdfast.AccountID, pairs []pair) {
	for i, id := range part {
		p := &pairs[i]
		p.to, p.there = s.Account(id)
		for _, h := range p.holds {
			if h.Debit != id {
				continue
			}
			if _, there := s.Hold(moved(move, h.ID)); !there {
				p.missing = append(p.missing, h)
			}
		}
	}
}

// moved is the id of a hold in the shard to which it moves with its payer, or in which it takes on another form when its payee
// moves: another one in every move, so that it may come back.
func moved(move, hold holdfast.ID) holdfast.ID {
	sum := sha256.Sum256(append(append([]byte("holdfast slot hold "), move[:]...), hold[:]...))
	return holdfast.ID(sum[:16]).Own(hold)
}

// NameKey is the key of the record that says which hold one is that has moved: its id as callers know it.
func NameKey(moved holdfast.ID) string { return ledger.GatesKey + "/hold/" + moved.String() }
