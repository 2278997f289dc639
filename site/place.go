package site

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"holdfast"
	"holdfast/shard"
)

// ShardOf is the shard of an owner.
func (s *Site) ShardOf(o holdfast.Owner) holdfast.ShardID { return s.ShardMap().ShardOf(o.Slot()) }

// ShardOfKey is the shard of a record whose transaction had no account, and so no owner.
func (s *Site) ShardOfKey(key string) holdfast.ShardID {
	h := fnv.New64a()
	h.Write([]byte(key)) // never fails
	return s.ShardMap().ShardOf(holdfast.Slot(h.Sum64() % holdfast.Slots))
}

// ShardIDs lists all shards.
func (s *Site) ShardIDs() []holdfast.ShardID {
	ids := make([]holdfast.ShardID, s.cfg.Shards)
	for i := range ids {
		ids[i] = holdfast.ShardID(i + 1)
	}
	return ids
}

// place finds the shard of a well-formed transaction. All its owners have to be in one shard; without owners it is that of
// its hold, then that of its records.
func (s *Site) place(ctx context.Context, t *holdfast.Txn) (holdfast.ShardID, holdfast.Code, string) {
	if s.cfg.Shards == 1 {
		return 1, holdfast.CodeOK, ""
	}
	if id, field, ok := s.placeOwners(t); !ok {
		return 0, holdfast.CodeShardMismatch, field
	} else if id != 0 {
		return id, holdfast.CodeOK, ""
	}
	for i := range t.Transfers {
		if hold := t.Transfers[i].Hold; !hold.IsZero() {
			id, code := s.placeHold(ctx, hold)
			return id, code, fmt.Sprintf("transfers[%d].hold", i)
		}
	}
	return s.placeRecords(t)
}

// placeOwners is the shard of all accounts that the transaction names; 0 when it names none. field is the first that is not
// where the others are.
func (s *Site) placeOwners(t *holdfast.Txn) (at holdfast.ShardID, field string, ok bool) {
	fits := func(a holdfast.AccountID) bool {
		if a.Owner == 0 {
			return true
		}
		id := s.ShardOf(a.Owner)
		if at == 0 {
			at = id
		}
		return at == id
	}
	for i := range t.Accounts {
		if !fits(t.Accounts[i].ID) {
			return 0, fmt.Sprintf("accounts[%d].id", i), false
		}
	}
	for i := range t.Transfers {
		if !fits(t.Transfers[i].Debit) {
			return 0, fmt.Sprintf("transfers[%d].debit", i), false
		}
		if !fits(t.Transfers[i].Credit) {
			return 0, fmt.Sprintf("transfers[%d].credit", i), false
		}
	}
	return at, "", true
}

// errFound ends the search for a hold.
var errFound = errors.New("found")

// placeHold looks for a hold in all shards. A hold that is nowhere is refused here and not in a shard, because there is no
// shard that would remember the refusal and see the hold when it is made.
func (s *Site) placeHold(ctx context.Context, hold holdfast.ID) (holdfast.ShardID, holdfast.Code) {
	for _, id := range s.ShardIDs() {
		err := s.Read(ctx, id, shard.Linearizable, func(v *shard.View) error {
			_, _, found, err := v.Hold(hold)
			if err == nil && found {
				err = errFound
			}
			return err
		})
		if errors.Is(err, errFound) {
			return id, holdfast.CodeOK
		}
		if err != nil {
			_, code := shard.OutcomeOf(err)
			if code == holdfast.CodeUnknown { // nothing was proposed by a look-up
				code = holdfast.CodeNoLeader
			}
			return 0, code
		}
	}
	return 0, holdfast.CodeHoldMissing
}

func (s *Site) placeRecords(t *holdfast.Txn) (at holdfast.ShardID, code holdfast.Code, field string) {
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
