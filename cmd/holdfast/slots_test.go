package main

import (
	"strings"
	"testing"

	"holdfast/client"
)

func TestSlotsOfACommandLine(t *testing.T) {
	for text, want := range map[string]string{"7": "7", "7,300-349": "7,300-349", "0-999": "0-999", " 3 , 5-5": "3,5"} {
		if list, err := readSlots(text); err != nil || inWords(list) != want {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	for _, text := range []string{"", "x", "9-8", "1000", "1-1000", "-1", "1,,2"} {
		if list, err := readSlots(text); err == nil || !strings.Contains(err.Error(), "like 7 or 300-349") {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
}

func TestASlotPlanIsTold(t *testing.T) {
	o := slotOrder{q: client.SlotRequest{Slots: []client.SlotRange{{From: 300, To: 349}}, To: 2}}
	three := client.Strength{Majority: 2, Survives: []string{"hangzhou", "shanghai"}}
	var b strings.Builder
	o.tell(&b, &client.SlotPlan{
		Plan: "1f2e3d4c5b6a", Map: 4, Slots: o.q.Slots, From: 1, To: 2, Accounts: 1200, Holds: 30, Before: three, During: three, After: three,
		Shards: []client.PlannedShard{
			{Shard: 1, LeaderName: "hangzhou", Slots: 500, SlotsAfter: 450, Accounts: 9000, AccountsAfter: 7800, Rate: 300, RateAfter: 260},
			{Shard: 2, Slots: 500, SlotsAfter: 550},
		},
		Copying: 1234, Pause: 90, Worst: 280, Notes: []string{"these owners are led from hangzhou now, and from shanghai then"},
	})
	for _, says := range []string{
		"slots 300-349 go from shard 1 to shard 2, 1200 accounts with 30 open holds", "500 > 450", "9000 > 7800", "300 > 260", "nobody",
		"while a slot moves: shards 1, 1 and 2", "any: hangzhou, shanghai", "about 1.23s", "about 90 ms, at worst 280 ms",
		"NOTE: these owners are led from hangzhou now", "--apply 1f2e3d4c5b6a",
	} {
		if !strings.Contains(b.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, b.String())
		}
	}
}

func TestWhereSlotsAre(t *testing.T) {
	o := slotOrder{q: client.SlotRequest{Slots: []client.SlotRange{{From: 10, To: 12}}, To: 2}}
	m := client.ShardMap{Shards: []client.Shard{
		{Shard: 1, Slots: []client.SlotRange{{From: 0, To: 9}, {From: 12, To: 499}}},
		{Shard: 2, Slots: []client.SlotRange{{From: 10, To: 11}, {From: 500, To: 999}}},
	}, Moves: []client.SlotMove{{Slots: client.SlotRange{From: 12, To: 14}, From: 1, To: 2, Stage: "copies", Why: "w"}}}
	if o.there(&m) || !o.underWay(&m) {
		t.Error("slot 12 has not come yet, and is under way")
	}
	if text := movesInWords(m.Moves); text != "slots 12-14, from shard 1 to shard 2: accounts are copied, payments go on; w\n" {
		t.Errorf("%q", text)
	}
	m.Shards[1].Slots[0].To, m.Moves[0].Slots.From = 12, 13
	if !o.there(&m) || o.underWay(&m) {
		t.Error("all have come, and slot 13 is not among them")
	}
}
