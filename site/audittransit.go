package site

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"holdfast"
	"holdfast/shard"
)

// auditTransit compares what each shard has sent to each other one with what has landed there. Payments go on meanwhile, so it
// reads home, then away, then home again, each time after the one before: what was sent for good before the first look has
// landed by the second, and what has landed by then is held or sent by the third.
func (s *Site) auditTransit(ctx context.Context, a *Audit) error {
	if s.extent.Load().now == 1 {
		return nil
	}
	looks, err := s.transitLooks(ctx)
	if err != nil {
		a.problem("payments between shards could not be compared: %v", err)
		return ctx.Err()
	}
	before, landed, after := looks[0], looks[1], looks[2]
	if len(s.ShardMap().been) > 0 {
		a.judgeHomes(before, landed, after)
		return nil
	}
	pairs := map[holdfast.AccountID]bool{} // by the account at home, whether or not it is there
	for id := range after {
		pairs[id] = true
	}
	for id := range landed {
		away, home, _ := id.InTransit()
		pairs[holdfast.InTransit(home, away, id.Asset)] = true
	}
	for _, id := range slices.SortedFunc(maps.Keys(pairs), byShards) {
		home, away, _ := id.InTransit()
		now, there := after[id], landed[holdfast.InTransit(away, home, id.Asset)]
		if now.CreditsPosted == 0 && now.CreditsPending == 0 && there.DebitsPosted == 0 {
			continue // opened for what came the other way
		}
		one := TransitAudit{home, away, id.Asset, now.CreditsPosted, now.CreditsPending, there.DebitsPosted}
		a.judgeTransit(before[id], &one)
	}
	return nil
}

// transitLooks looks three times at the accounts of all shards. Which shards there are is asked before and after: one that is born,
// and gets its first slot meanwhile, is not to be missing in one of the looks.
func (s *Site) transitLooks(ctx context.Context) (looks [3]map[holdfast.AccountID]holdfast.Account, err error) {
	for {
		if err := s.learnMap(ctx); err != nil {
			return looks, err
		}
		ids := s.ShardIDs()
		for i := range looks {
			if looks[i], err = s.transitAccounts(ctx, ids); err != nil {
				return looks, err
			}
		}
		if err := s.learnMap(ctx); err != nil || len(s.ShardIDs()) == len(ids) {
			return looks, err
		}
	}
}

// judgeHomes compares, for each shard, what it has sent with what has landed anywhere: when slots move, a payment may land where
// its payee has gone, and not where it was sent. Away is 0 in what it tells.
func (a *Audit) judgeHomes(before, landed, after map[holdfast.AccountID]holdfast.Account) {
	type line struct {
		home  holdfast.ShardID
		asset holdfast.Asset
	}
	var lines []line
	sent, first := map[line]*TransitAudit{}, map[line]holdfast.Account{}
	of := func(home holdfast.ShardID, asset holdfast.Asset) *TransitAudit {
		l := line{home, asset}
		if sent[l] == nil {
			sent[l], lines = &TransitAudit{Home: home, Asset: asset}, append(lines, l)
		}
		return sent[l]
	}
	for _, id := range slices.SortedFunc(maps.Keys(after), byShards) {
		home, _, _ := id.InTransit()
		t := of(home, id.Asset)
		t.Sent, t.Held = t.Sent+after[id].CreditsPosted, t.Held+after[id].CreditsPending
		sum, was := first[line{home, id.Asset}], before[id]
		sum.CreditsPosted, sum.CreditsPending = sum.CreditsPosted+was.CreditsPosted, sum.CreditsPending+was.CreditsPending
		first[line{home, id.Asset}] = sum
	}
	for _, id := range slices.SortedFunc(maps.Keys(landed), byShards) {
		_, home, _ := id.InTransit()
		of(home, id.Asset).Landed += landed[id].DebitsPosted
	}
	for _, l := range lines {
		a.judgeTransit(first[l], sent[l])
	}
}

// byShards orders in-transit accounts by home, away and asset.
func byShards(a, b holdfast.AccountID) int {
	aHome, aAway, _ := a.InTransit()
	bHome, bAway, _ := b.InTransit()
	return cmp.Or(cmp.Compare(aHome, bHome), cmp.Compare(aAway, bAway), cmp.Compare(a.Asset, b.Asset))
}

// judgeTransit compares one pair. before is the account at home at the first look.
func (a *Audit) judgeTransit(before holdfast.Account, t *TransitAudit) {
	a.Transit = append(a.Transit, *t)
	away := fmt.Sprintf("shard %d", t.Away)
	if t.Away == 0 {
		away = "the other shards together"
	}
	quiet := before.CreditsPosted == t.Sent && before.CreditsPending == 0 && t.Held == 0
	switch {
	case t.Landed < before.CreditsPosted:
		a.problem("shard %d has sent %d %s to %s, and only %d have landed", t.Home, before.CreditsPosted, t.Asset, away, t.Landed)
	case t.Landed > t.Sent+t.Held, quiet && t.Landed != t.Sent:
		a.problem("%d %s of shard %d have landed in %s; it sent %d there and holds %d", t.Landed, t.Asset, t.Home, away, t.Sent, t.Held)
	default:
		return
	}
	a.Balanced = false
}

// transitAccounts reads all accounts that payments between these shards pass through, each shard as of now.
func (s *Site) transitAccounts(ctx context.Context, ids []holdfast.ShardID) (map[holdfast.AccountID]holdfast.Account, error) {
	all := map[holdfast.AccountID]holdfast.Account{}
	for _, at := range ids {
		err := s.Read(ctx, at, shard.Linearizable, func(v *shard.View) error {
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
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", at, err)
		}
	}
	return all, nil
}
