package site

import (
	"context"
	"fmt"

	"holdfast"
	"holdfast/shard"
)

// Books is a site as a domain sees it: records and accounts of owners, wherever they are, and transactions. All reads are linearizable, go
// to where the owner is served at that moment, and end within timing.request if ctx has no deadline. Their errors are those of package
// shard: nothing is known then.
type Books struct {
	site *Site
	mode shard.ReadMode
}

// Books are the books of the fleet, read and written through this site.
func (s *Site) Books() Books { return Books{site: s} }

// BooksHere are [Site.Books] as the replicas at this site know them: reads ask nobody and wake nothing, and may be of the past; two of one owner,
// one after the other, are of two moments in this order.
func (s *Site) BooksHere() Books { return Books{s, shard.Stale} }

// NotExecutedError is that a transaction was not executed: it can be asked for again with the same id, unless its code says that it is
// malformed.
type NotExecutedError struct{ Outcome holdfast.Outcome }

func (e NotExecutedError) Error() string {
	if e.Outcome.Field != "" {
		return fmt.Sprintf("transaction %s was not executed: %s in %s", e.Outcome.ID, e.Outcome.Code, e.Outcome.Field)
	}
	return fmt.Sprintf("transaction %s was not executed: %s", e.Outcome.ID, e.Outcome.Code)
}

// ownerOf is the owner of a record that has to have one.
func ownerOf(key string) (holdfast.Owner, error) {
	owner, err := holdfast.RecordOwner(key)
	switch {
	case err != nil:
		return 0, err
	case owner == 0:
		return 0, fmt.Errorf("the record %q belongs to no owner: its key has to begin with %s and an owner number", key, holdfast.OwnedPrefix)
	}
	return owner, nil
}

// Record returns the record with this key, which belongs to an owner; found is false when there is none. While a payment to another shard
// that wrote it is under way it is Pending.
func (b Books) Record(ctx context.Context, key string) (r holdfast.Record, found bool, err error) {
	return b.site.Record(ctx, key, b.mode)
}

// Glance returns a record as the replicas of this site have it, without asking anybody: see pay.Glancer.
func (b Books) Glance(ctx context.Context, key string) (r holdfast.Record, found bool, err error) {
	return b.site.Record(ctx, key, shard.Stale)
}

// Records lists records whose keys begin with prefix, which names one owner (holdfast.OwnerOfPrefix), with a key above after, at most max,
// in the order of keys.
func (b Books) Records(ctx context.Context, prefix, after string, max int) (list []holdfast.Record, err error) {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return nil, err
	}
	err = b.site.ReadOwner(ctx, owner, b.mode, func(_ Stay, v *shard.View) (err error) {
		list, err = v.Listed(prefix, after, max)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// ByIndex lists the records that carry an index key, of all owners, with a key above after, at most max, in the order of keys. Each is as it
// was at some moment of the call; they are not all as of one.
func (b Books) ByIndex(ctx context.Context, index, after string, max int) ([]holdfast.Record, error) {
	list, err := b.site.Records(ctx, index, after, max, b.mode)
	return list[:min(max, len(list))], err
}

// Account returns an account as it stands; found is false when it was never opened.
func (b Books) Account(ctx context.Context, id holdfast.AccountID) (a holdfast.Account, found bool, err error) {
	err = b.site.ReadAccount(ctx, id, b.mode, func(_ Stay, v *shard.View) error {
		a, found = v.Account(id)
		return nil
	})
	return a, found && err == nil, err
}

// Submit proposes the transaction as [Site.Submit] does and returns its outcome: done, refused with a code, or unknown, and never anything
// else without an error. A [NotExecutedError], with its outcome beside it, says that it was not executed.
func (b Books) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	outcomes, err := b.site.Submit(ctx, []holdfast.Txn{*t}, false)
	if err != nil {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Leg: holdfast.NoLeg}, err
	}
	if o := outcomes[0]; o.Status == holdfast.NotExecuted {
		return o, NotExecutedError{o}
	}
	return outcomes[0], nil
}
