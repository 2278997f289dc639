package site

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

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

// ShardOfKey is the shard of a record that belongs to no owner, and whose transaction had no account either. Slots take such records nowhere when
// they move: the map that the fleet was born with says for ever where they are.
func (s *Site) ShardOfKey(key string) holdfast.ShardID {
	h := fnv.New64a()
	h.Write([]byte(key)) // never fails
	return s.founding.Load().ShardOf(holdfast.Slot(h.Sum64() % holdfast.Slots))
}

// ShardIDs lists all shards, as far as this site knows. One that is being born is not among them.
func (s *Site) ShardIDs() []holdfast.ShardID { return shardIDs(s.extent.Load().now) }

// eachShard asks shards at once, and joins the errors of those that fail.
func eachShard(ids []holdfast.ShardID, ask func(i int, id holdfast.ShardID) error) error {
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			if err := ask(i, id); err != nil {
				errs[i] = fmt.Errorf("shard %d: %w", id, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// seatIDs lists all shards that have a place here, one that is being born among them.
func (s *Site) seatIDs() []holdfast.ShardID { return shardIDs(s.extent.Load().seats) }

func shardIDs(n int) []holdfast.ShardID {
	ids := make([]holdfast.ShardID, n)
	for i := range ids {
		ids[i] = holdfast.ShardID(i + 1)
	}
	return ids
}

// place says where a well-formed transaction belongs: to the shard of its accounts and of the owners of its records, to two of them if it can
// cross, or, without any, to that of its hold, then that of its other records. That it fits nowhere is only said by the newest map: by an
// older one it may have been asked for, and done, at another site.
func (s *Site) place(ctx context.Context, t *holdfast.Txn) (p transit.Payment, code holdfast.Code, field string) {
	if s.extent.Load().now == 1 {
		return transit.Payment{Home: 1, Txn: t}, holdfast.CodeOK, ""
	}
	p, code, field = s.placeKnown(ctx, t)
	if code != holdfast.CodeShardMismatch || len(t.Accounts)+len(t.Transfers) == 0 && !transit.OfOwners(t) { // the others are never moved
		return p, code, field
	}
	if err := s.newestMap(ctx); err != nil {
		s.log.Debug("whether a transaction fits nowhere could not be looked up", "err", err)
		return p, unplaced(err), ""
	}
	return s.placeKnown(ctx, t)
}

// unplaced is the code of a transaction whose place could not be looked up. Nothing was proposed by that.
func unplaced(err error) holdfast.Code {
	if _, code := shard.OutcomeOf(err); code != holdfast.CodeUnknown {
		return code
	}
	return holdfast.CodeNoLeader
}

// newestMap takes over the map, and what is decided of slots on their way, as they are at some moment of the call.
func (s *Site) newestMap(ctx context.Context) error {
	if err := s.learnMap(ctx); err != nil {
		return err
	}
	err := eachShard(s.ShardIDs(), func(_ int, id holdfast.ShardID) error {
		return s.Read(ctx, id, shard.Linearizable, func(*shard.View) error { return nil })
	})
	return errors.Join(err, s.foresee(ctx))
}

// placeKnown places a transaction by the map that this site has.
func (s *Site) placeKnown(ctx context.Context, t *holdfast.Txn) (p transit.Payment, code holdfast.Code, field string) {
	var failed error
	holdsOf := func(end *holdfast.Transfer) []transit.Held {
		list, err := s.findHolds(ctx, end, shard.Linearizable)
		if err != nil {
			failed = err
		}
		return list
	}
	known, d := true, directory{s.ShardMap()}
	if len(d.been) > 0 || endsHold(t) {
		p, code, field, known = transit.Route(t, d, remembered(holdsOf), s.lookup(ctx))
	} else { // nobody has ever moved
		p, code, field = transit.Make(t, d.ShardOf, holdsOf)
	}
	if known && len(d.been) > 0 {
		if q, found, sure := transit.Anywhere(t, code, s.ShardIDs(), remembered(holdsOf), s.lookup(ctx)); found {
			p, code, field = q, holdfast.CodeOK, ""
		} else {
			known = sure
		}
	}
	if !known && failed == nil {
		failed = shard.ErrNoQuorum
	}
	if failed != nil {
		return p, unplaced(failed), field
	}
	if code == holdfast.CodeOK && p.Home == 0 {
		p.Home, code, field = s.placeRecords(t)
	}
	return p, code, field
}

func endsHold(t *holdfast.Txn) bool {
	return slices.ContainsFunc(t.Transfers, func(l holdfast.Transfer) bool { return !l.Hold.IsZero() })
}

// remembered asks once for the holds of each transfer.
func remembered(holdsOf transit.HoldsOf) transit.HoldsOf {
	known := map[holdfast.Transfer][]transit.Held{}
	return func(end *holdfast.Transfer) []transit.Held {
		list, asked := known[*end]
		if !asked {
			list = holdsOf(end)
			known[*end] = list
		}
		return list
	}
}

// findHolds looks in all shards for the holds that a post or void can mean: first in what is known here, because a hold that is there
// once is there for ever, or its shard says where it has gone. If none of them has the accounts that it names there may be others: a
// linearizable search asks the leaders then. It fails when there may be one in a shard that could not be read.
func (s *Site) findHolds(ctx context.Context, end *holdfast.Transfer, mode shard.ReadMode) ([]transit.Held, error) {
	known := func() ([]transit.Held, error) { return s.holdsKnown(ctx, end.Hold) }
	if mode == shard.Stale {
		list, err := known()
		if transit.Fits(list, end) {
			err = nil
		}
		return list, err
	}
	return seekHolds(end, [][]holdfast.ShardID{s.holders(end), s.ShardIDs()}, known, func(ids []holdfast.ShardID) error {
		return eachShard(ids, func(_ int, id holdfast.ShardID) error {
			return s.Read(ctx, id, shard.Linearizable, func(*shard.View) error { return nil })
		})
	})
}

// holders are the shards that can have a hold of the payer whom the end of one names: where his slot is, and where it has been. nil: it
// names nobody.
func (s *Site) holders(end *holdfast.Transfer) (ids []holdfast.ShardID) {
	if end.Debit == (holdfast.AccountID{}) {
		return nil
	}
	m, of := s.ShardMap(), end.Debit.Owner.Slot()
	ids = append(ids, m.ShardOf(of))
	for _, o := range m.been[of] {
		if !slices.Contains(ids, o.Shard) {
			ids = append(ids, o.Shard)
		}
	}
	return ids
}

// seekHolds has the replicas here catch up with some shards after others, until a hold is known that fits. Whatever shards are caught up
// with, the list is of all that is known: the end of a hold may have been decided where another one of its id is.
func seekHolds(
	end *holdfast.Transfer, steps [][]holdfast.ShardID, known func() ([]transit.Held, error), catchUp func([]holdfast.ShardID) error,
) ([]transit.Held, error) {
	list, err := known()
	for _, ids := range steps {
		if transit.Fits(list, end) {
			return list, nil
		}
		if len(ids) == 0 {
			continue
		}
		late := catchUp(ids)
		list, err = known()
		err = errors.Join(late, err)
	}
	if transit.Fits(list, end) {
		return list, nil
	}
	return list, err
}

// holdsKnown are the holds of an id that this site's replicas know.
func (s *Site) holdsKnown(ctx context.Context, id holdfast.ID) (list []transit.Held, err error) {
	list = transit.FindHolds(s.ShardIDs(), func(at holdfast.ShardID) (there []transit.Held) {
		failed := s.Read(ctx, at, shard.Stale, func(v *shard.View) (err error) {
			there, err = holdsIn(v, at, id)
			return err
		})
		if failed != nil {
			err = fmt.Errorf("shard %d: %w", at, failed)
			return nil
		}
		return there
	})
	return list, err
}

// holdsIn looks for the holds of an id in one shard: one that crosses or has moved has a record, any other stands under its own id.
func holdsIn(v *shard.View, at holdfast.ShardID, id holdfast.ID) (list []transit.Held, err error) {
	written, err := transit.ReadHolds(id, v.Record)
	if err != nil {
		return nil, err
	}
	for i := range written {
		held := written[i].Held
		if held.Home == at {
			_, state, _, err := v.Hold(held.ID(id))
			if err != nil {
				return nil, err
			}
			held.Ended = hasEnded(state)
		}
		list = append(list, held)
	}
	h, state, found, err := v.Hold(id)
	if found && state != ledger.HoldMoved {
		list = append(list, transit.Held{
			Home: at, Away: at, Debit: h.Debit, Payee: h.Credit, Amount: h.Amount, Ended: hasEnded(state),
		})
	}
	return list, err
}

// hasEnded reports a state that stays.
func hasEnded(s ledger.HoldState) bool { return s > ledger.HoldOpen && s < ledger.HoldMoved }

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
