package site

import (
	"cmp"
	"context"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// pursesUnderLock is how many accounts are looked at under one lock, which takes well below a millisecond.
const pursesUnderLock = 1000

// Purses lists owners and currencies in which there are accounts with one of some purposes: up to max above after, in the order of owners and then
// of currencies. The purpose in what it gives and takes is zero. It looks through all accounts of all shards, as the replicas here know them, for each
// page, because nothing keeps accounts in an order that outlives a restart; of three million it takes a tenth of a second. What an owner has is
// listed once, wherever his slot is on its way to.
func (b Books) Purses(ctx context.Context, keeps func(holdfast.Purpose) bool, after holdfast.AccountID, max int) ([]holdfast.AccountID, error) {
	l := purses{after: after, max: max, keeps: keeps}
	for _, id := range b.site.ShardIDs() {
		err := b.site.Read(ctx, id, shard.Stale, func(v *shard.View) error { return l.look(ctx, v) })
		if err != nil {
			return nil, err
		}
	}
	l.cut()
	return l.list, nil
}

// purses collects the first max of those above after.
type purses struct {
	after holdfast.AccountID
	max   int
	keeps func(holdfast.Purpose) bool
	list  []holdfast.AccountID
	full  bool // there are max, and the last of them is
	last  holdfast.AccountID
}

func byPurse(a, b holdfast.AccountID) int {
	return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Asset, b.Asset))
}

func (l *purses) look(ctx context.Context, v *shard.View) error {
	gates, err := gatesOf(v)
	if err != nil {
		return err
	}
	for from, done := uint32(0), false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.State(func(s *ledger.State) {
			from, done = s.Owned(from, pursesUnderLock, func(id holdfast.AccountID) { l.add(id, gates) })
		})
		if len(l.list) > 4*l.max+pursesUnderLock {
			l.cut()
		}
	}
	return nil
}

func (l *purses) add(id holdfast.AccountID, gates ledger.Gates) {
	if !l.keeps(id.Purpose) {
		return
	}
	id.Purpose = 0
	if l.full && byPurse(id, l.last) >= 0 || byPurse(id, l.after) <= 0 || !serves(gates, id.Owner) {
		return
	}
	l.list = append(l.list, id)
}

// cut leaves the first max.
func (l *purses) cut() {
	slices.SortFunc(l.list, byPurse)
	l.list = slices.Compact(l.list)
	if l.list = l.list[:min(l.max, len(l.list))]; len(l.list) == l.max {
		l.full, l.last = true, l.list[l.max-1]
	}
}

// serves reports whether the shard with these gates has what belongs to an owner, and not another one.
func serves(gates ledger.Gates, o holdfast.Owner) bool {
	gate := gates.Of(o.Slot())
	return gate != ledger.GateGone && gate != ledger.GateArriving
}
