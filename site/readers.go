package site

import (
	"context"
	"fmt"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/transit"
)

// Readers follow owners who have moved: to the shard that has them now, whatever this site's map says, and to those where they have been
// before for what happened there. What a move itself did (balances that are carried over, holds that are made anew) is no part of
// anybody's history.

// Stay is where an account is served.
type Stay struct {
	Shard   holdfast.ShardID
	Origins []transit.Origin // where its slot has been before, oldest first, each shard once
}

// maxHops bounds how often a reader is sent on. Each hop is a move; the last of them are linearizable.
const maxHops = 8

// ReadAccount calls fn with the books of the shard that has an account, as [Site.Read] does: linearizably that is the shard where the
// account is served at that moment, also when this site has not heard of its move yet. fn may be called several times; what it did
// the last time counts.
func (s *Site) ReadAccount(ctx context.Context, id holdfast.AccountID, mode shard.ReadMode, fn func(Stay, *shard.View) error) error {
	if id.OfShard() {
		at := s.ShardOfAccount(id)
		return s.Read(ctx, at, mode, func(v *shard.View) error { return fn(Stay{Shard: at}, v) })
	}
	return s.ReadOwner(ctx, id.Owner, mode, fn)
}

// ReadOwner is [Site.ReadAccount] for all that belongs to an owner: his accounts and his records.
func (s *Site) ReadOwner(ctx context.Context, owner holdfast.Owner, mode shard.ReadMode, fn func(Stay, *shard.View) error) error {
	at, of := s.ShardOf(owner), owner.Slot()
	if len(s.ShardMap().Homes) == 1 {
		return s.Read(ctx, at, mode, func(v *shard.View) error { return fn(Stay{Shard: at}, v) })
	}
	for hop := range maxHops {
		if hop >= maxHops/2 { // replicas here know of the move by halves
			mode = shard.Linearizable
		}
		moved := hop > 0 || len(s.ShardMap().been[of]) > 0
		next, err := s.readAt(ctx, at, of, mode, moved, fn)
		if err != nil || next == 0 {
			return err
		}
		at = next
	}
	return fmt.Errorf("owner %s was not found where he is said to be, %d times: %w", owner, maxHops, shard.ErrTimeout)
}

// readAt reads in a shard that may have a slot, which has moved before or not; next is where to go on, 0: fn has seen what there is.
func (s *Site) readAt(
	ctx context.Context, at holdfast.ShardID, of holdfast.Slot, mode shard.ReadMode, moved bool, fn func(Stay, *shard.View) error,
) (next holdfast.ShardID, err error) {
	var before, after serving
	err = s.Read(ctx, at, mode, func(v *shard.View) (err error) {
		if before, err = servingOf(v, of, moved); err != nil || before.elsewhere() {
			return err
		}
		if err = fn(Stay{at, before.origins}, v); err == nil {
			after, err = servingOf(v, of, false)
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case before.elsewhere():
		return before.other, nil
	case after.elsewhere():
		return after.other, nil
	case after.gate != ledger.GateShut:
		return 0, nil
	}
	// Nobody is served while the slot is shut, until the other shard has decided that it is there: then its books count, and these are
	// being cleared. What was read here before that decision was the latest there is.
	there, _, err := s.noteOf(ctx, after.other, of, mode)
	if err == nil && there != nil && there.Move == after.move && there.Stage == slot.Here {
		next = after.other
	}
	return next, err
}

// serving is what a shard says about serving a slot.
type serving struct {
	gate    ledger.Gate
	move    holdfast.ID
	other   holdfast.ShardID // of the last move
	origins []transit.Origin
}

// elsewhere reports that the slot is served by the other shard.
func (g *serving) elsewhere() bool { return g.gate == ledger.GateGone || g.gate == ledger.GateArriving }

// servingOf reads the note of a slot only if there is something to say: most slots have never moved, and looking for what is not
// there costs a look at the disk.
func servingOf(v *shard.View, of holdfast.Slot, moved bool) (g serving, err error) {
	gates, err := gatesOf(v)
	if err != nil {
		return g, err
	}
	if g.gate = gates.Of(of); g.gate == ledger.GateOpen && !moved {
		return g, nil
	}
	r, found, err := v.Record(ledger.NoteKey(of))
	if err != nil || !found {
		return g, err
	}
	note, err := slot.ReadNote(r.Body)
	g.move, g.other, g.origins = note.Move, note.Other, note.Origins
	return g, err
}

func gatesOf(v *shard.View) (gates ledger.Gates, err error) {
	known := false
	v.State(func(s *ledger.State) { gates, known = s.Gates() })
	if known {
		return gates, nil
	}
	r, found, err := v.Record(ledger.GatesKey)
	if err != nil || !found {
		return gates, err
	}
	return ledger.ReadGates(r.Body)
}

// ReadOrigin calls fn with the books of a shard where a slot has been, with all that ever happened to the slot there up to its last leave.
func (s *Site) ReadOrigin(ctx context.Context, o transit.Origin, fn func(*shard.View) error) error {
	for _, mode := range []shard.ReadMode{shard.Stale, shard.Linearizable} {
		late := false
		err := s.Read(ctx, o.Shard, mode, func(v *shard.View) error {
			index, _ := v.Applied()
			if late = index < o.Index; late {
				return nil
			}
			return fn(v)
		})
		if !late || err != nil {
			return err
		}
	}
	return fmt.Errorf("shard %d is not known here up to entry %d: %w", o.Shard, o.Index, shard.ErrTimeout)
}

// HoldNow is a hold as its caller knows it, wherever it is.
type HoldNow struct {
	ledger.OpenHold // under the id of its caller, from payer to payee
	State           ledger.HoldState
	Shard           holdfast.ShardID // that has it now, or where it ended
}

// HoldName is what a caller says of a hold that he asks for: its id, and, where several go by it, the accounts.
type HoldName struct {
	ID            holdfast.ID
	Debit, Credit holdfast.AccountID // zero: any
}

// AmbiguousHoldError says that several holds have a name: Missing is the account, "debit" or "credit", that would tell them apart.
type AmbiguousHoldError struct{ Missing string }

func (e AmbiguousHoldError) Error() string {
	return "several holds go by this id: name the " + e.Missing + " account of the one that you mean"
}

// Hold looks for a hold by its caller's id and follows it to where it has moved with its payer. It fails with [AmbiguousHoldError] when
// several have the name.
func (s *Site) Hold(ctx context.Context, name HoldName, mode shard.ReadMode) (h HoldNow, found bool, err error) {
	id, end := name.ID, holdfast.Transfer{Hold: name.ID, Debit: name.Debit, Credit: name.Credit}
	for range maxHops {
		list, err := s.findHolds(ctx, &end, mode)
		if !transit.Fits(list, &end) {
			return h, false, err
		}
		held, _, missing := transit.Meant(list, &end)
		if missing != "" {
			return h, false, AmbiguousHoldError{missing}
		}
		as := id
		if held.Vow {
			as = held.ID(id)
		}
		var paid *transit.Payment
		err = s.Read(ctx, held.Home, mode, func(v *shard.View) (err error) {
			if h.OpenHold, h.State, found, err = v.Hold(as); err != nil || !held.Vow || h.State != ledger.HoldVoided {
				return err
			}
			h.State, paid, err = ended(ctx, v, &h.OpenHold)
			return err
		})
		if err == nil && paid != nil {
			h.State, err = s.landedAs(ctx, paid, mode)
		}
		if err != nil {
			return h, false, err
		}
		if !found || h.State == ledger.HoldMoved { // it has moved since it was looked for here
			if err := s.Read(ctx, held.Home, shard.Linearizable, func(*shard.View) error { return nil }); err != nil {
				return h, false, err
			}
			continue
		}
		h.Shard, h.ID, h.Debit, h.Credit = held.Home, id, held.Debit, held.Payee
		if !held.As.IsZero() {
			h.Time, err = s.openedAt(ctx, id, h.Debit, h.Time)
		}
		return h, err == nil, err
	}
	return h, false, fmt.Errorf("hold %s was not found where it is said to be, %d times: %w", id, maxHops, shard.ErrTimeout)
}

// ended is what became of a hold that was made to cross, or has moved, and is voided: its post releases it and makes a payment in its
// place. While that is under way it is returned as well, because where it lands says what becomes of it.
func ended(ctx context.Context, v *shard.View, h *ledger.OpenHold) (ledger.HoldState, *transit.Payment, error) {
	t, leg, err := releaseOf(ctx, v, h)
	if err != nil || t == nil || int(leg)+1 >= len(t.Transfers) || !t.Transfers[leg].ID.Reserved() {
		return ledger.HoldVoided, nil, err // by its caller: what he asks for has an id of his own
	}
	post := &t.Transfers[leg+1]
	if post.Kind == holdfast.Immediate {
		return ledger.HoldPosted, nil, nil
	}
	_, state, _, err := v.Hold(post.ID)
	if err != nil || state != ledger.HoldOpen {
		return state, nil, err
	}
	p, err := transit.Original(t)
	return state, &p, err
}

// landedAs is what became of a hold whose post is under way to another shard.
func (s *Site) landedAs(ctx context.Context, p *transit.Payment, mode shard.ReadMode) (ledger.HoldState, error) {
	land, err := s.Landed(ctx, p, mode)
	switch {
	case err != nil:
		return ledger.HoldOpen, err
	case land.Status == holdfast.Done:
		return ledger.HoldPosted, nil
	case land.Status == holdfast.Refused:
		return ledger.HoldVoided, nil
	}
	return ledger.HoldOpen, nil
}

// releaseOf finds the transaction that voided a hold, and the leg of it that did, on the statement of its payer: from when it was opened on,
// in stretches that grow, because most holds end soon, whatever has happened since. nil: it is not there.
func releaseOf(ctx context.Context, v *shard.View, h *ledger.OpenHold) (*holdfast.Txn, holdfast.Leg, error) {
	_, now := v.Applied()
	for after, span := h.Time-1, holdfast.Time(time.Second); after < now; after, span = after+span, 2*span {
		from := shard.Cursor{Time: min(after+span, now)}
		for first := true; first || from != (shard.Cursor{}) && from.Time > after; first = false {
			const some = 64
			lines, next, err := v.Statement(h.Debit, from, some)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, 0, err
			}
			for i := range lines {
				if l := &lines[i]; l.Time > after && l.Transfer != nil && l.Transfer.Kind == holdfast.Void && l.Transfer.Hold == h.ID {
					return l.Txn, l.Leg, nil
				}
			}
			from = next
		}
	}
	return nil, 0, nil
}

// openedAt is when a hold that has moved was opened: where it began it stands under the id of its caller, or the shadow of that.
func (s *Site) openedAt(ctx context.Context, id holdfast.ID, payer holdfast.AccountID, opened holdfast.Time) (holdfast.Time, error) {
	for _, at := range s.ShardIDs() {
		err := s.Read(ctx, at, shard.Stale, func(v *shard.View) error {
			for _, as := range []holdfast.ID{id, id.Shadow()} {
				first, _, found, err := v.Hold(as)
				if err != nil {
					return err
				}
				if found && first.Debit == payer {
					opened = min(opened, first.Time)
				}
			}
			return nil
		})
		if err != nil {
			return opened, err
		}
	}
	return opened, nil
}

// CallersHold is the id by which its caller knows a hold that has the id as in a shard's books: another one when the hold crosses shards
// or has moved.
func CallersHold(v *shard.View, as holdfast.ID) (holdfast.ID, error) {
	if !as.Reserved() || as.IsShadow() {
		return as.Unshadow(), nil
	}
	r, found, err := v.Record(slot.NameKey(as))
	if err != nil || !found || len(r.Body) != len(as) {
		return as, err
	}
	return holdfast.ID(r.Body), nil
}

// Landed is what became of the land of a payment that crosses, wherever its payees were when it came; the zero Outcome: nothing is known.
// A land whose id another payment has taken leaves no trace where it was refused: that it was stands at home, once it is settled.
func (s *Site) Landed(ctx context.Context, p *transit.Payment, mode shard.ReadMode) (land holdfast.Outcome, err error) {
	if land, err = s.landedAway(ctx, p, mode); err != nil || !land.ID.IsZero() {
		return land, err
	}
	var voided holdfast.Time
	err = s.Read(ctx, p.Home, mode, func(v *shard.View) error {
		f, found, err := v.Txn(p.SettleID())
		if found && err == nil && f.Outcome.Status == holdfast.Done && transit.Voids(f.Txn) {
			voided = f.Outcome.Time
		}
		return err
	})
	if err != nil || voided == 0 {
		return land, err
	}
	// What was decided away, also since it was looked for, was decided before it was settled at home.
	if land, err = s.landedAway(ctx, p, shard.Linearizable); err != nil || !land.ID.IsZero() {
		return land, err
	}
	return holdfast.Outcome{
		ID: p.LandID(), Status: holdfast.Refused, Code: holdfast.CodeIDTaken, Leg: holdfast.NoLeg, Time: voided,
	}, nil
}

// landedAway is what became of a land, as the shards say in which it can have come; the zero Outcome: they know nothing of it.
func (s *Site) landedAway(ctx context.Context, p *transit.Payment, mode shard.ReadMode) (land holdfast.Outcome, err error) {
	d := directory{s.ShardMap()}
	for _, at := range p.Places(d) {
		q := p.At(at)
		err := s.Read(ctx, at, mode, func(v *shard.View) error {
			f, found, err := v.Txn(q.LandID())
			if found && err == nil && q.IsLand(f.Txn) {
				land = f.Outcome
			}
			return err
		})
		if err != nil || !land.ID.IsZero() {
			return land, err
		}
	}
	return land, nil
}
