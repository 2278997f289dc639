package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

func TestASplitPlanIsTold(t *testing.T) {
	o := splitOrder{shard: 2}
	three := client.Strength{Majority: 2, Survives: []string{"hangzhou", "shanghai"}}
	p := client.SplitPlan{
		SlotPlan: client.SlotPlan{
			Plan: "1f2e3d4c5b6a", Map: 4, Slots: []client.SlotRange{{From: 500, To: 665}}, From: 2, To: 4, Accounts: 1200, Holds: 30,
			Before: three, During: three, After: three, Shards: []client.PlannedShard{
				{Shard: 2, LeaderName: "hangzhou", Slots: 333, SlotsAfter: 167, Accounts: 9000, AccountsAfter: 7800, Rate: 300, RateAfter: 150},
				{Shard: 4, LeaderName: "beijing", SlotsAfter: 166, AccountsAfter: 1200, RateAfter: 150},
			}, Pause: 90, Worst: 280, Notes: []string{"the 166 slots move one after the other: each owner waits once"},
		},
		Home: 3, HomeName: "beijing", Founders: []holdfast.SiteID{1, 2, 3}, Share: 0.5, Birth: 600, Takes: 31_000,
		Loads: []client.PlannedLoad{{Site: 3, Name: "beijing", Homes: 2, Now: 100, After: 250, Peak: 900}},
	}
	var b strings.Builder
	o.tell(&b, &p)
	for _, says := range []string{
		"shard 4 is born, at home at beijing, voted for by sites [1 2 3]", "slots 500-665 go to it from shard 2: 1200 accounts with 30 open holds, 50 %",
		"333 > 167", "0 > 166", "300 > 150", "while a slot moves: shards 1, 2 and 4", "The birth takes about 600ms, everything about 31s",
		"about 90 ms, at worst 280 ms", "NOTE: the 166 slots move", "beijing               2          100         250               900",
		"To go on: holdfast shard split 2 --slots 500-665 --apply 1f2e3d4c5b6a\n",
	} {
		if !strings.Contains(b.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, b.String())
		}
	}
	o.q.Home = 3
	b.Reset()
	if o.tell(&b, &p); !strings.Contains(b.String(), "--slots 500-665 --home 3 --apply 1f2e3d4c5b6a\n") {
		t.Errorf("what was asked for is left out:\n%s", b.String())
	}
}

func TestSplitsOfACommandLine(t *testing.T) {
	for _, row := range []struct {
		shard string
		order splitOrder
		says  string
	}{
		{"zero", splitOrder{}, "is no number of a shard"},
		{"0", splitOrder{}, "is no number of a shard"},
		{"2", splitOrder{planned: planned{apply: "x"}}, "name the slots that the plan has shown"},
		{"2", splitOrder{slots: "9-8"}, "like 7 or 300-349"},
		{"2", splitOrder{cancel: true, planned: planned{apply: "x"}}, "no other flag but --wait"},
		{"2", splitOrder{planned: planned{wait: time.Second}}, "--wait goes with --apply or --cancel"},
	} {
		if err := row.order.read(row.shard); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%+v: %v, want %q", row.order, err, row.says)
		}
	}
	for _, o := range []splitOrder{{}, {slots: "1-2"}, {slots: "1-2", planned: planned{apply: "x", wait: time.Second}}, {cancel: true, planned: planned{wait: time.Second}}} {
		if err := o.read("2"); err != nil || o.shard != 2 || o.slots != "" && inWords(o.q.Slots) != "1-2" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestShardIsSplitByProcesses splits a shard of three real sites under payments with the commands that an operator has, and gives another
// split up: no request fails, and the books are right.
func TestShardIsSplitByProcesses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFleetOf(ctx, t)
	f.configure(1, 2, 3)
	f.configure(2, 1, 3)
	f.configure(3, 1, 2)
	for n := 1; n <= 3; n++ {
		f.start(n)
	}
	f.ready(1, 2, 3)
	a, b, c := walletIn(t, 1, 10), walletIn(t, 2, 12), walletIn(t, 3, 900)
	for _, id := range []holdfast.AccountID{a, b, c} {
		if o, err := f.client(1, 2).OpenAccount(ctx, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id}); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	x := &till{stop: make(chan struct{})}
	t.Cleanup(x.halt)
	x.pay(ctx, f.client(1, 2, 3), a, b)
	x.pay(ctx, f.client(2, 3, 1), b, c)
	x.pay(ctx, f.client(3, 1, 2), c, a)

	for says, args := range map[string][]string{
		"there is no shard 9: this fleet has 2":       {"shard", "split", "9"},
		"slot 600 is in shard 2, not in shard 1":      {"shard", "split", "1", "--slots", "600"},
		"these are all slots of shard 1":              {"shard", "split", "1", "--slots", "0-499"},
		"site 7 has no vote in this fleet":            {"shard", "split", "1", "--home", "7"},
		"no split of shard 1 is under way":            {"shard", "split", "1", "--cancel"},
		"the fleet has changed since the plan":        {"shard", "split", "1", "--slots", "8-15", "--apply", "0123456789ab"},
		"--slots, as the plan says it in its last li": {"shard", "split", "1", "--apply", "0123456789ab"},
	} {
		f.refused(says, f.url(1), args...)
	}
	p := f.splits(f.urls(2, 1), 1, "8-15", "--wait", "90s")
	if p.From != 1 || p.To != 3 || len(p.Founders) != 3 || p.Home == 0 || p.Accounts != 2 {
		t.Errorf("the plan: %+v", p)
	}
	f.until("every site shows three shards", func() error {
		for n := 1; n <= 3; n++ {
			m, err := f.client(n).ShardMap(ctx)
			if err != nil || len(m.Shards) != 3 || inWords(m.Shards[2].Slots) != "8-15" || m.Shards[2].Home != p.Home {
				return fmt.Errorf("site %d: %+v, %w", n, m, err)
			}
		}
		return nil
	})
	f.splits(f.urls(3, 1), 2, "890-999")
	f.until("a split is given up", func() error { // by whom one of the two sites does not know yet, or cannot tell
		out, errs, err := f.command(f.urls(1, 2), "shard", "split", "2", "--cancel", "--wait", "90s")
		if err == nil && !strings.Contains(out, "It is over: ") {
			t.Errorf("giving a split up:\n%s%s", out, errs)
		}
		if err != nil {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		return nil
	})
	x.halt()
	if len(x.bad) > 0 || len(x.done) == 0 {
		t.Errorf("%d payments were done, %d requests failed: %v", len(x.done), len(x.bad), x.bad[:min(len(x.bad), 5)])
	}
	t.Logf("%d payments, %d failed requests", len(x.done), len(x.bad))
	for n := 1; n <= 3; n++ {
		f.booksAreRight(n)
	}
}

// splits plans and orders a split, as an operator does; a plan that cannot be made yet is made again.
func (f *fleetOf) splits(through string, shard int, slots string, more ...string) (p client.SplitPlan) {
	f.t.Helper()
	args := []string{"shard", "split", fmt.Sprint(shard), "--slots", slots}
	f.until(strings.Join(args, " "), func() error {
		out, errs, err := f.command(through, append(args, "--json", "-")...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, errs)
		}
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			f.t.Fatalf("%v: %s", err, out)
		}
		if out, errs, err = f.command(through, append(append(args, "--apply", p.Plan), more...)...); err != nil {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		if len(more) > 0 && !strings.Contains(out, fmt.Sprintf("It is done: slots %s are in shard %d.", slots, p.To)) {
			f.t.Errorf("%s said:\n%s%s", strings.Join(args, " "), out, errs)
		}
		return nil
	})
	return p
}
