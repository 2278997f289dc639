package site

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
)

// readMode tells how the audit reads a shard.
type readMode func(holdfast.ShardID) shard.ReadMode

// asOfNow is for those who have asked for an audit, and wait for it.
func asOfNow(holdfast.ShardID) shard.ReadMode { return shard.Linearizable }

// auditTransit compares what each shard has sent to each other one with what has landed there. Payments go on meanwhile, so it
// reads home, then away, then home again, each time after the one before: what was sent for good before the first look has
// landed by the second, and what has landed by then is held or sent by the third.
//
// A payment may land where its payee has gone, and not where it was sent. So shards between which slots have moved are compared together, as
// one away shard: nothing finer could be proved of them, because the account in which a payment lands does not tell where it was sent.
func (s *Site) auditTransit(ctx context.Context, a *Audit) error {
	if s.extent.Load().now == 1 {
		return nil
	}
	looks, joined, err := s.transitLooks(ctx, asOfNow)
	if err != nil {
		a.problem("payments between shards could not be compared: %v", err)
		return ctx.Err()
	}
	a.compareTransit(looks, joined)
	return nil
}

// compareTransit compares, for each home, each group of away shards, and each asset.
func (a *Audit) compareTransit(looks [3]transitAccounts, joined joinedShards) {
	type line struct {
		home, away holdfast.ShardID
		asset      holdfast.Asset
	}
	before, landed, after := looks[0], looks[1], looks[2]
	first, now := map[line]holdfast.Amount{}, map[line]*TransitAudit{}
	of := func(home, away holdfast.ShardID, asset holdfast.Asset) (line, *TransitAudit) {
		l := line{home, joined.first(away), asset}
		if now[l] == nil {
			now[l] = &TransitAudit{Home: home, Away: away, Asset: asset}
			if among := joined.with(away); len(among) > 1 {
				now[l].Away, now[l].Among = 0, among
			}
		}
		return l, now[l]
	}
	for id := range before {
		home, away, _ := id.InTransit()
		l, _ := of(home, away, id.Asset)
		first[l] += before[id].CreditsPosted
	}
	for id := range after {
		home, away, _ := id.InTransit()
		_, t := of(home, away, id.Asset)
		t.Sent, t.Held = t.Sent+after[id].CreditsPosted, t.Held+after[id].CreditsPending
	}
	for id := range landed {
		away, home, _ := id.InTransit()
		_, t := of(home, away, id.Asset)
		t.Landed += landed[id].DebitsPosted
	}
	for _, l := range slices.SortedFunc(maps.Keys(now), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.home, b.home), cmp.Compare(a.away, b.away), cmp.Compare(a.asset, b.asset))
	}) {
		if t := now[l]; t.Sent != 0 || t.Held != 0 || t.Landed != 0 { // else opened for what came the other way
			a.judgeTransit(first[l], t)
		}
	}
}

// joinedShards tells which shards slots have moved between: each but the first of a group names another one of it.
type joinedShards map[holdfast.ShardID]holdfast.ShardID

// first stands for the group of a shard.
func (j joinedShards) first(id holdfast.ShardID) holdfast.ShardID {
	for j[id] != 0 {
		id = j[id]
	}
	return id
}

func (j joinedShards) join(a, b holdfast.ShardID) {
	if a, b = j.first(a), j.first(b); a != b {
		j[max(a, b)] = min(a, b)
	}
}

// with lists the group of a shard, in order.
func (j joinedShards) with(id holdfast.ShardID) (list []holdfast.ShardID) {
	first := j.first(id)
	list = append(list, first)
	for other := range j {
		if j.first(other) == first {
			list = append(list, other)
		}
	}
	slices.Sort(list)
	return list
}

// transitLooks looks three times at the accounts of all shards, and then asks where slots have moved: what has landed in another shard than
// it was sent to did so by a move that is known by then. Which shards there are is asked before and after: one that is born, and gets its
// first slot meanwhile, is not to be missing in one of the looks.
func (s *Site) transitLooks(ctx context.Context, mode readMode) (looks [3]transitAccounts, joined joinedShards, err error) {
	for {
		if err := s.learnMap(ctx); err != nil {
			return looks, nil, err
		}
		ids := s.ShardIDs()
		for i := range looks {
			if looks[i], err = s.transitAccounts(ctx, ids, mode); err != nil {
				return looks, nil, err
			}
		}
		if joined, err = s.joinedNow(ctx, ids, mode); err != nil || len(s.ShardIDs()) == len(ids) {
			return looks, joined, err
		}
	}
}

// joinedNow reads the moves that are under way before the map, which names those that are over: one that ends meanwhile is seen once at least.
func (s *Site) joinedNow(ctx context.Context, ids []holdfast.ShardID, mode readMode) (joinedShards, error) {
	joined := joinedShards{}
	err := s.lookAt(ctx, ids, mode, func(at holdfast.ShardID, v *shard.View) error { return joinMoving(joined, at, v) })
	if err != nil {
		return nil, err
	}
	if err := s.learnMap(ctx); err != nil {
		return nil, err
	}
	m := s.ShardMap()
	for of, origins := range m.been {
		for _, o := range origins {
			joined.join(o.Shard, m.ShardOf(of))
		}
	}
	return joined, nil
}

// joinMoving joins a shard with those that slots are on their way to.
func joinMoving(joined joinedShards, at holdfast.ShardID, v *shard.View) error {
	r, found, err := v.Record(ledger.GatesKey)
	if err != nil || !found {
		return err
	}
	gates, err := ledger.ReadGates(r.Body)
	if err != nil {
		return err
	}
	for _, of := range gates.Slots() {
		if gates.Of(of) == ledger.GateGone {
			continue // the map says so
		}
		r, found, err := v.Record(ledger.NoteKey(of))
		if err != nil || !found {
			return err
		}
		note, err := slot.ReadNote(r.Body)
		if err != nil {
			return err
		}
		joined.join(at, note.Other)
	}
	return nil
}

// judgeTransit judges one line. before is what was sent for good at the first look.
func (a *Audit) judgeTransit(before holdfast.Amount, t *TransitAudit) {
	away := fmt.Sprintf("shard %d", t.Away)
	if len(t.Among) > 0 {
		away = fmt.Sprintf("shards %v together", t.Among)
	}
	switch {
	case t.Landed < before:
		t.Problem = fmt.Sprintf("shard %d has sent %d %s to %s, and only %d have landed", t.Home, before, t.Asset, away, t.Landed)
	case t.Landed > t.Sent+t.Held:
		t.Problem = fmt.Sprintf("%d %s of shard %d have landed in %s; it sent %d there and holds %d", t.Landed, t.Asset, t.Home, away, t.Sent, t.Held)
	}
	a.Transit = append(a.Transit, *t)
	if t.Problem != "" {
		a.problem("%s", t.Problem)
		a.Balanced = false
	}
}

// transitAccounts are the accounts that payments between shards pass through.
type transitAccounts map[holdfast.AccountID]holdfast.Account

// transitAccounts reads those of all these shards.
func (s *Site) transitAccounts(ctx context.Context, ids []holdfast.ShardID, mode readMode) (transitAccounts, error) {
	all := transitAccounts{}
	return all, s.lookAt(ctx, ids, mode, func(at holdfast.ShardID, v *shard.View) error {
		trial := v.Trial()
		for _, other := range ids {
			for i := range trial {
				id := holdfast.InTransit(at, other, trial[i].Asset)
				if account, ok := v.Account(id); ok {
					all[id] = account
				}
			}
		}
		return nil
	})
}

// looksAtOnce is how many shards are asked at once: with one after the other, 256 of them that are led far away would take longer than a look
// may, and with all at once a look would be a burst.
const looksAtOnce = 8

// lookAt reads all these shards, in no order, but calls fn for one at a time.
func (s *Site) lookAt(ctx context.Context, ids []holdfast.ShardID, mode readMode, fn func(holdfast.ShardID, *shard.View) error) error {
	var mu sync.Mutex
	for some := range slices.Chunk(ids, looksAtOnce) {
		errs := make([]error, len(some))
		var asking sync.WaitGroup
		for i, at := range some {
			asking.Go(func() {
				err := s.Read(ctx, at, mode(at), func(v *shard.View) error {
					mu.Lock()
					defer mu.Unlock()
					return fn(at, v)
				})
				if err != nil {
					errs[i] = fmt.Errorf("shard %d: %w", at, err)
				}
			})
		}
		asking.Wait()
		if err := cmp.Or(errs...); err != nil {
			return err
		}
	}
	return nil
}
