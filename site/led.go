package site

import (
	"cmp"
	"context"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// Work in the background (telling merchants, ending what is due) is shared among the sites by who leads: each goes through what the shards
// have that it leads at that moment. It is a way to share, and no lock: while a leadership or a slot changes hands two sites may both have
// something, or for a moment neither, so whatever is done by it has to be harmless twice, and found again later. So it is enough to read what the
// replica here has applied: a leader has applied what it has acknowledged. Asking the others each time would cost a round trip and keep
// shards awake that have nothing to do.

// Led lists the shards that this site leads now, as far as it knows.
func (b Books) Led() (list []holdfast.ShardID) {
	for _, id := range b.site.ShardIDs() {
		if b.site.host.Leader(id).Self {
			list = append(list, id)
		}
	}
	return list
}

// Leads reports whether this site leads the shard of an owner, as far as it knows.
func (b Books) Leads(o holdfast.Owner) bool { return b.site.host.Leader(b.site.ShardOf(o)).Self }

// ShardByIndex lists the records of owners that carry an index key and are served by a shard, with a key above after, at most max, in the order
// of keys, as the replica here knows them. A slot that is on its way to another shard is listed where it is leaving until it has gone.
func (b Books) ShardByIndex(ctx context.Context, id holdfast.ShardID, index, after string, max int) (list []holdfast.Record, err error) {
	for len(list) < max {
		var page []holdfast.Record
		var gates ledger.Gates
		err := b.site.Read(ctx, id, shard.Stale, func(v *shard.View) (err error) {
			if page, err = v.Records(index, after, max); err == nil {
				gates, err = gatesOf(v)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		more := len(page) == max
		if more {
			after = page[max-1].Key
		}
		list = append(list, slices.DeleteFunc(page, func(r holdfast.Record) bool { return !servedHere(gates, r.Key) })...)
		if !more {
			break
		}
	}
	return list[:min(max, len(list))], nil
}

// servedHere reports whether the record of an owner is served by the shard with these gates.
func servedHere(gates ledger.Gates, key string) bool {
	o := holdfast.OwnerOfKey(key)
	if o == 0 {
		return false
	}
	return serves(gates, o)
}

// LedByIndex is [Books.ShardByIndex] for all shards that this site leads now.
func (b Books) LedByIndex(ctx context.Context, index, after string, max int) (list []holdfast.Record, err error) {
	for _, id := range b.Led() {
		page, err := b.ShardByIndex(ctx, id, index, after, max)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
	}
	slices.SortStableFunc(list, func(x, y holdfast.Record) int { return cmp.Compare(x.Key, y.Key) })
	list = slices.CompactFunc(list, func(x, y holdfast.Record) bool { return x.Key == y.Key })
	return list[:min(max, len(list))], nil
}
