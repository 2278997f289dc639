package site

import (
	"context"
	"fmt"
	"hash/fnv"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/transit"
)

// ShardOf is the shard of an owner.
func (s *Site) ShardOf(o holdfast.Owner) holdfast.ShardID { return s.ShardMap().ShardOf(o.Slot()) }

// ShardOfAccount is the shard that has an account: that of its owner, but for those through which payments between shards,
// and balances of owners who move, pass.
func (s *Site) ShardOfAccount(id holdfast.AccountID) holdfast.ShardID {
	at, _, ok := id.InTransit()
	if !ok {
		at, _, ok = id.Moving()
	}
	if ok && int(at) <= s.extent.Load().now {
		return at
	}
	return s.ShardOf(id.Owner)
}

// ShardOfKey is the shard of a record whose transaction had no account, and so no owner. Slots take such records nowhere when
// they move: the map that the fleet was born with says for ever where they are.
func (s *Site) ShardOfKey(key string) holdfast.ShardID {
	h := fnv.New64a()
	h.Write([]byte(key)) // never fails
	return s.founding.Load().ShardOf(holdfast.Slot(h.Sum64() % holdfast.Slots))
}

// ShardIDs lists all shards, as far as this site knows. One that is being born is not among them.
func (s *Site) ShardIDs() []holdfast.ShardID { return shardIDs(s.extent.Load().now) }

// seatIDs lists all shards that have a place here, one that is being born among them.
func (s *Site) seatIDs() []holdfast.ShardID { return shardIDs(s.extent.Load().seats) }

func shardIDs(n int) []holdfast.ShardID {
	ids := make([]holdfast.ShardID, n)
	for i := range ids {
		ids[i] = holdfast.ShardID(i + 1)
	}
	return ids
}

// place says where a well-formed transaction belongs: to the shard of its accounts, to two of them if it can cross, or, without
// accounts, to that of its hold, then that of its records.
func (s *Site) place(ctx context.Context, t *holdfast.Txn) (p transit.Payment, code holdfast.Code, field string) {
	if s.extent.Load().now == 1 {
		return transit.Payment{Home: 1, Txn: t}, holdfast.CodeOK, ""
	}
	var failed error
	holdOf := func(id holdfast.ID) (transit.Held, bool) {
		held, found, err := s.findHold(ctx, id)
		if err != nil {
			failed = err
		}
		return held, found
	}
	known, d := true, directory{s.ShardMap()}
	if len(d.been) > 0 {
		p, code, field, known = transit.Route(t, d, holdOf, s.lookup(ctx))
	} else { // nobody has ever moved
		p, code, field = transit.Make(t, d.ShardOf, holdOf)
	}
	if !known && failed == nil {
		failed = shard.ErrNoQuorum
	}
	if failed != nil {
		if _, code = shard.OutcomeOf(failed); code == holdfast.CodeUnknown { // nothing was proposed by a look-up
			code = holdfast.CodeNoLeader
		}
		return p, code, field
	}
	if code == holdfast.CodeOK && p.Home == 0 {
		p.Home, code, field = s.placeRecords(t)
	}
	return p, code, field
}

// findHold looks for a hold in all shards: first in what is known here, because a hold that is there once is there for ever, or
// its shard says where it has gone.
func (s *Site) findHold(ctx context.Context, id holdfast.ID) (held transit.Held, found bool, err error) {
	for _, mode := range []shard.ReadMode{shard.Stale, shard.Linearizable} {
		if held, found, err = s.findHoldBy(ctx, id, mode); found {
			return held, true, nil
		}
	}
	return held, false, err
}

func (s *Site) findHoldBy(ctx context.Context, id holdfast.ID, mode shard.ReadMode) (held transit.Held, found bool, err error) {
	held, found = transit.FindHeld(s.ShardIDs(), func(at holdfast.ShardID) (h transit.Held, there bool) {
		failed := s.Read(ctx, at, mode, func(v *shard.View) (err error) {
			h, there, err = heldIn(v, at, id)
			return err
		})
		if failed != nil {
			err = failed
		}
		return h, there && failed == nil
	})
	return held, found, err
}

// heldIn looks for a hold in one shard: one that crosses or has moved has a record, any other stands under its own id.
func heldIn(v *shard.View, at holdfast.ShardID, id holdfast.ID) (transit.Held, bool, error) {
	r, found, err := v.Record(transit.HeldKey(id))
	if err != nil {
		return transit.Held{}, false, err
	}
	if found {
		held, err := transit.ReadHeld(r.Body)
		if err == nil && held.Home == at {
			var state ledger.HoldState
			_, state, _, err = v.Hold(held.ID(id))
			held.Ended = state > ledger.HoldOpen && state < ledger.HoldMoved
		}
		return held, err == nil, err
	}
	h, state, found, err := v.Hold(id)
	return transit.Held{Home: at, Away: at, Debit: h.Debit, Payee: h.Credit, Amount: h.Amount}, found && state != ledger.HoldMoved, err
}

func (s *Site) placeRecords(t *holdfast.Txn) (at holdfast.ShardID, code holdfast.Code, field string) {
	if s.sure() != nil {
		return 0, holdfast.CodeNoLeader, "" // nobody could say yet which shard has them
	}
	fits := func(key string) bool {
		id := s.ShardOfKey(key)
		if at == 0 {
			at = id
		}
		return at == id
	}
	for i := range t.Preconditions {
		if !fits(t.Preconditions[i].Key) {
			return 0, holdfast.CodeShardMismatch, fmt.Sprintf("preconditions[%d].key", i)
		}
	}
	for i := range t.Records {
		if !fits(t.Records[i].Key) {
			return 0, holdfast.CodeShardMismatch, fmt.Sprintf("records[%d].key", i)
		}
	}
	return max(at, 1), holdfast.CodeOK, "" // messages alone go through the first shard
}
