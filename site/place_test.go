package site

import (
	"errors"
	"fmt"
	"testing"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// TestHoldsAreSoughtWhereTheyCanBe counts the shards whose leaders are asked before the end of a hold is made that this site has not heard of
// yet, or that is nowhere.
func TestHoldsAreSoughtWhereTheyCanBe(t *testing.T) {
	payer, other := account(t, 1, 10), account(t, 2, 500)
	all := shardIDs(8)
	held := transit.Held{Home: 3, Away: 3, Debit: payer, Payee: other, Amount: 5}
	for _, row := range []struct {
		name   string
		end    holdfast.Transfer
		near   []holdfast.ShardID
		at     holdfast.ShardID // where the hold comes to light when it is asked; 0: it is known from the beginning, 9: it is nowhere
		asks   int
		failed error
	}{
		{name: "known", end: holdfast.Transfer{}, at: 0, asks: 0},
		{name: "named", end: holdfast.Transfer{Debit: payer}, near: []holdfast.ShardID{3}, at: 3, asks: 1},
		{name: "named, and the payer has moved to where this map does not say", end: holdfast.Transfer{Debit: payer}, near: []holdfast.ShardID{2}, at: 3, asks: 9},
		{name: "not named", at: 3, asks: 8},
		{name: "nowhere", end: holdfast.Transfer{Debit: payer}, near: []holdfast.ShardID{3}, at: 9, asks: 9},
		{name: "another payer's", end: holdfast.Transfer{Debit: other}, near: []holdfast.ShardID{4}, at: 0, asks: 9},
		{name: "nowhere that could be read", at: 9, asks: 8, failed: shard.ErrOutOfService},
		{name: "here, whatever could not be read", at: 3, asks: 8, failed: shard.ErrOutOfService},
	} {
		asks, seen := 0, row.at == 0
		known := func() ([]transit.Held, error) {
			if !seen {
				return nil, row.failed
			}
			return []transit.Held{held}, row.failed
		}
		list, err := seekHolds(&row.end, [][]holdfast.ShardID{row.near, all}, known, func(ids []holdfast.ShardID) error {
			for _, id := range ids {
				asks, seen = asks+1, seen || id == row.at
			}
			return row.failed
		})
		if asks != row.asks {
			t.Errorf("%s: %d shards were asked, want %d", row.name, asks, row.asks)
		}
		if fits := transit.Fits(list, &row.end); fits != (row.name != "another payer's" && row.at != 9) || errors.Is(err, shard.ErrOutOfService) != (row.failed != nil && !fits) {
			t.Errorf("%s: %v, %v", row.name, list, err)
		}
	}
}

// TestAHoldThatCannotBeLookedForIsNotMissing: while the replica of a shard is out of service here, nobody at this site knows that a hold
// does not exist. One that is known elsewhere is found and ended all the same.
func TestAHoldThatCannotBeLookedForIsNotMissing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.ready()
	s := f.other(f.leader(1))
	a, b := account(t, 1, 600), account(t, 2, 700)
	f.mustDo(s, f.open(a, b))
	there := holdfast.Transfer{ID: f.id(), Kind: holdfast.Hold, Debit: a, Credit: b, Amount: 5}
	f.mustDo(s, holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{there}})
	f.doubt(s, 1)
	ctx := t.Context()
	for what, name := range map[string]HoldName{"any": {ID: f.id()}, "of a payer of shard 2": {ID: f.id(), Debit: a}} {
		for _, mode := range []shard.ReadMode{shard.Stale, shard.Linearizable} {
			if _, found, err := s.Hold(ctx, name, mode); found || !errors.Is(err, shard.ErrOutOfService) {
				t.Errorf("%s: found %t, %v", what, found, err)
			}
		}
	}
	end := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{ID: f.id(), Kind: holdfast.Void, Hold: f.id()}}}
	if o := submit(t, s, end); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeOutOfService && o.Code != holdfast.CodeNoQuorum {
		t.Errorf("a void of a hold that nobody here can look for: %s %s", o.Status, o.Code)
	}
	f.until("the hold of the other shard", func() (string, bool) {
		h, found, err := s.Hold(ctx, HoldName{ID: there.ID, Debit: a}, shard.Stale)
		return fmt.Sprintf("%+v, %t, %v", h, found, err), err == nil && found && h.Shard == 2
	})
	f.net.HealAll()
	f.until("the replica back in service", func() (string, bool) { return fmt.Sprint(s.Ready()), s.Ready() == nil })
	f.until("the answer that there is none", func() (string, bool) {
		_, found, err := s.Hold(ctx, HoldName{ID: f.id()}, shard.Linearizable)
		return fmt.Sprint(found, err), err == nil && !found
	})
}

// doubt takes a site's replica of a shard out of service: another replica says that it has another digest, and nobody else can be asked
// before the cables are whole again.
func (f *fleet) doubt(s *Site, id holdfast.ShardID) {
	f.t.Helper()
	from := f.other(s.cfg.Site).cfg.Site
	var d digests
	f.until("a digest entry", func() (string, bool) {
		var err error
		d, err = s.digests(f.t.Context(), id)
		return fmt.Sprint(d, err), err == nil && d.checkedIndex > 0
	})
	other := shard.Opinion{Site: from, Replica: shard.ReplicaID(f.replicaFor(from, id)), Points: []shard.Point{{Index: d.checkedIndex, Digest: d.checked + 1}}}
	f.net.CutSite(s.cfg.Site)
	if _, err := s.host.Serve(f.t.Context(), from, "shard.opinion", other.Append([]byte{0, byte(id)})); err != nil {
		f.t.Fatal(err)
	}
	f.until("the replica out of service", func() (string, bool) {
		return fmt.Sprint(s.Ready()), errors.Is(s.Ready(), shard.ErrOutOfService)
	})
}
