package site

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// TestTheAuditComparesJoinedShardsTogether: what was sent to one of the shards that slots have moved between may have landed in another of
// them, and in no other shard.
func TestTheAuditComparesJoinedShardsTogether(t *testing.T) {
	gbp := holdfast.MustAsset("GBP")
	joined := joinedShards{}
	joined.join(4, 2)
	joined.join(1, 4)
	sent := transitAccounts{
		holdfast.InTransit(1, 2, gbp): {CreditsPosted: 70}, holdfast.InTransit(1, 3, gbp): {CreditsPosted: 30, CreditsPending: 5},
	}
	for _, row := range []struct {
		at2, at3, at4 holdfast.Amount
		want          string
	}{
		{70, 30, 0, ""},
		{10, 35, 60, ""},
		{10, 30, 50, "shard 1 has sent 70 GBP to shards [1 2 4] together, and only 60 have landed"},
		{10, 40, 50, "shard 1 has sent 70 GBP to shards [1 2 4] together, and only 60 have landed\n40 GBP of shard 1 have landed in shard 3; it sent 30 there and holds 5"},
		{20, 20, 60, "80 GBP of shard 1 have landed in shards [1 2 4] together; it sent 70 there and holds 0\nshard 1 has sent 30 GBP to shard 3, and only 20 have landed"},
	} {
		landed := transitAccounts{
			holdfast.InTransit(2, 1, gbp): {DebitsPosted: row.at2}, holdfast.InTransit(3, 1, gbp): {DebitsPosted: row.at3},
			holdfast.InTransit(4, 1, gbp): {DebitsPosted: row.at4},
		}
		a := Audit{Balanced: true}
		a.compareTransit([3]transitAccounts{sent, landed, sent}, joined)
		if got := strings.Join(a.Problems, "\n"); got != row.want || a.Balanced != (row.want == "") {
			t.Errorf("%+v: %t, %q; want %q", row, a.Balanced, got, row.want)
		}
	}
}

// TestErrorsThatCancelAfterAMove: money that was sent to one shard and never landed, and as much that landed in another and was never sent.
// Slots have moved between other shards than these.
func TestErrorsThatCancelAfterAMove(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(1, 3, 1)
	t.Cleanup(func() {
		f.stop(1)
		_ = f.net.Close()
	})
	s, ctx := f.start(1), context.Background()
	f.ready()
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	audit := func() (a Audit) {
		eventually(t, "an audit", func() bool {
			var err error
			a, err = s.Audit(ctx)
			return err == nil
		})
		return a
	}
	if a := audit(); !a.OK() {
		t.Fatalf("before: %v", a.Problems)
	}
	gbp := holdfast.MustAsset("GBP")
	for _, x := range []struct {
		at            holdfast.ShardID
		debit, credit holdfast.AccountID
	}{
		{1, holdfast.Moving(1, 2, gbp), holdfast.InTransit(1, 2, gbp)},
		{3, holdfast.InTransit(3, 1, gbp), holdfast.Moving(3, 1, gbp)},
	} {
		txn := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{ID: f.id(), Kind: holdfast.Immediate, Debit: x.debit, Credit: x.credit, Amount: 10}}}
		for _, id := range []holdfast.AccountID{x.debit, x.credit} {
			txn.Accounts = append(txn.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
		}
		out, err := s.proposeOwn(ctx, x.at, &txn)
		if err != nil || out.Status != holdfast.Done {
			t.Fatalf("shard %d: %v, %v", x.at, out, err)
		}
	}
	a := audit()
	got := strings.Join(a.Problems, "\n")
	want := "shard 1 has sent 10 GBP to shards [1 2] together, and only 0 have landed\n10 GBP of shard 1 have landed in shard 3; it sent 0 there and holds 0"
	if a.Balanced || got != want {
		t.Errorf("%t, %q; want %q", a.Balanced, got, want)
	}
}

// TestAMoveUnderWayJoins: what lands in the other shard before the map says so is no error.
func TestAMoveUnderWayJoins(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 3)
	s, ctx := f.site(1), context.Background()
	defer f.still()()
	f.until("a slot is marked", func() (string, bool) {
		err := f.tryMove(s, 10, 2)
		return fmt.Sprint(err), err == nil || refused(err, "on its way already")
	})
	f.until("who is joined", func() (string, bool) {
		joined, err := s.joinedNow(ctx, s.ShardIDs(), asOfNow)
		return fmt.Sprint(joined, err), err == nil && fmt.Sprint(joined.with(1), joined.with(3)) == "[1 2] [3]"
	})
}
