package site

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// Record returns a record of an owner from where the owner is served; see [holdfast.RecordOwner] for its key. The errors are those of
// [Site.ReadOwner].
func (s *Site) Record(ctx context.Context, key string, mode shard.ReadMode) (r holdfast.Record, found bool, err error) {
	owner, err := ownerOf(key)
	if err != nil {
		return r, false, err
	}
	err = s.ReadOwner(ctx, owner, mode, func(_ Stay, v *shard.View) (err error) {
		r, found, err = v.Record(key)
		return err
	})
	return r, found && err == nil, err
}

// Records lists up to max records of all shards that carry an index key, with a Key above after, in order of Key. Those of an owner are
// listed once, each as it was where the owner was served at some moment of the call, whatever moves meanwhile. Others may be in several
// shards under one key: then all of them are listed, and those of the last key in any case, so that the next page can begin after it.
func (s *Site) Records(ctx context.Context, index, after string, max int, mode shard.ReadMode) (list []holdfast.Record, err error) {
	for len(list) < max {
		page, end, err := s.recordsOnce(ctx, index, after, max, mode)
		if err != nil {
			return nil, err
		}
		if list = append(list, page...); end == "" {
			break
		}
		after = end
	}
	end := min(max, len(list))
	for end > 0 && end < len(list) && list[end].Key == list[end-1].Key {
		end++
	}
	return list[:end], nil
}

// recordsOnce lists all records up to the Key end; "": there are no more. While no slot has ever moved it asks every shard once. Otherwise a
// slot may have been seen in neither of two shards: where it was going before it came, and where it was after it had left. It has come
// when all are asked again, and stays.
func (s *Site) recordsOnce(ctx context.Context, index, after string, max int, mode shard.ReadMode) (page []holdfast.Record, end string, err error) {
	x := listing{owned: map[string]holdfast.Record{}, doubtful: map[string]bool{}}
	for range 2 {
		x.others = nil
		for _, id := range s.ShardIDs() {
			if err := s.Read(ctx, id, mode, func(v *shard.View) error { return x.add(v, index, after, max) }); err != nil {
				return nil, "", err
			}
		}
		if !x.moved {
			break
		}
	}
	for key := range x.doubtful {
		r, found, err := s.Record(ctx, key, mode)
		if err != nil {
			return nil, "", err
		}
		if delete(x.owned, key); found && slices.Contains(r.Index, index) {
			x.owned[key] = r
		}
	}
	page = append(slices.Collect(maps.Values(x.owned)), x.others...)
	slices.SortStableFunc(page, func(a, b holdfast.Record) int { return cmp.Compare(a.Key, b.Key) })
	if x.end != "" {
		page = slices.DeleteFunc(page, func(r holdfast.Record) bool { return r.Key > x.end })
	}
	return page, x.end, nil
}

// listing is what several shards have under an index key.
type listing struct {
	owned    map[string]holdfast.Record
	doubtful map[string]bool   // keys of owned that have to be read by themselves
	others   []holdfast.Record // that belong to no owner
	end      string            // up to which all shards have told everything; "": to the end
	moved    bool              // some slot has, or is about to
}

func (x *listing) add(v *shard.View, index, after string, max int) error {
	before, err := gatesOf(v)
	if err != nil {
		return err
	}
	list, err := v.Records(index, after, max)
	if err != nil {
		return err
	}
	gates, err := gatesOf(v)
	if err != nil {
		return err
	}
	x.moved = x.moved || len(gates.Slots()) > 0
	if len(list) == max && (x.end == "" || list[max-1].Key < x.end) {
		x.end = list[max-1].Key
	}
	for _, r := range list {
		owner := holdfast.OwnerOfKey(r.Key)
		if owner == 0 {
			x.others = append(x.others, r)
			continue
		}
		x.copy(r, before.Of(owner.Slot()), gates.Of(owner.Slot()))
	}
	return nil
}

// copy takes what a shard has of a record of an owner, whose slot had these gates there before and after it was read. Where the slot is
// served it is the record; elsewhere it is a copy that has not come or has not been cleared.
func (x *listing) copy(r holdfast.Record, before, after ledger.Gate) {
	seen, twice := x.owned[r.Key]
	switch {
	case after == ledger.GateGone || before == ledger.GateArriving:
		return
	case after == ledger.GateShut: // the other shard may have decided
		if twice && !x.doubtful[r.Key] {
			return // and has, or had not yet
		}
		x.doubtful[r.Key] = true
	case twice && !x.doubtful[r.Key] && (seen.Version != r.Version || seen.Changed != r.Changed):
		x.doubtful[r.Key] = true // it has moved, or changed, between the two looks
	default:
		delete(x.doubtful, r.Key)
	}
	x.owned[r.Key] = r
}
