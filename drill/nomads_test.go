package drill

import (
	"strings"
	"testing"
	"time"

	"holdfast"
)

// nomadWorld is a world of three shards with a slot that moves.
func nomadWorld(t *testing.T) *world {
	t.Helper()
	w := testWorld(t, 3)
	if err := w.settleNomads(false); err != nil {
		t.Fatal(err)
	}
	return w
}

// The slot that moves has the cast of its shard, many others, and a way to other shards; and it leaves a shard that has not the map.
func TestNomadsAreInOneSlot(t *testing.T) {
	w := nomadWorld(t)
	n := w.nomads
	if n.from != 2 || n.to != 3 || len(n.savers) != manySavers || len(n.payers) != wanderers || len(n.shops) != 2 {
		t.Fatalf("from %d to %d, %d savers, %d payers, %d shops", n.from, n.to, len(n.savers), len(n.payers), len(n.shops))
	}
	cast := &w.shards[n.from-1]
	for _, a := range append(append([]holdfast.AccountID{cast.till, cast.merchant, cast.bank}, cast.payers...), append(n.savers, n.payers...)...) {
		if !n.has(a) || w.cast(a).id != n.from {
			t.Errorf("%s is in slot %d of shard %d", a, a.Owner.Slot(), w.cast(a).id)
		}
	}
	for _, shop := range n.shops {
		if n.has(shop) || !w.crosses(n.payers[0], shop) {
			t.Errorf("%s does not take payments from another shard", shop)
		}
	}
	if w.crosses(cast.payers[0], cast.till) {
		t.Error("a probe within the slot never crosses")
	}
	granted := map[holdfast.AccountID]bool{}
	for _, g := range w.grants(cast, 1) {
		granted[g.to] = true
	}
	if !granted[n.savers[0]] || !granted[n.payers[3]] {
		t.Error("those who move have nothing")
	}
}

// What is compared of accounts whose sums begin anew is their balance.
func TestAccountsThatMovedAreComparedByBalance(t *testing.T) {
	w := nomadWorld(t)
	c := &w.shards[1]
	moved := holdfast.Account{ID: c.payers[0], CreditsPosted: probeFund - 70, DebitsPosted: 30} // 70 were paid before the move
	if a := w.nomads.grossed(moved, c); a.CreditsPosted != probeFund || a.DebitsPosted != 100 {
		t.Errorf("a payer: %+v", a)
	}
	if a := w.nomads.grossed(holdfast.Account{ID: c.till, CreditsPosted: 100}, c); a.CreditsPosted != 100 || a.DebitsPosted != 0 {
		t.Errorf("the till: %+v", a)
	}
	if a := netted(holdfast.Account{DebitsPosted: 7, CreditsPosted: 2}); a.DebitsPosted != 5 || a.CreditsPosted != 0 {
		t.Errorf("below zero: %+v", a)
	}
}

// The pause of a slot's owner is the longest stretch in which it has asked and is not answered, whatever others are; waits are those of all
// payments that the move could have touched.
func TestWandering(t *testing.T) {
	w := nomadWorld(t)
	c := &w.shards[1]
	b := newBook()
	b.nomads = w.nomads
	next := byte(0)
	paid := func(kind SampleKind, from, to holdfast.AccountID, due, ended time.Duration) {
		next++
		s := Sample{Shard: c.id, Kind: kind, Due: due, Ended: ended, Status: holdfast.Done}
		b.write(page{sample: s, payment: payment{id: holdfast.ID{next}, debit: from, credit: to, amount: 1}}, nil)
	}
	const ms = time.Millisecond
	for at := 0 * ms; at < 1000*ms; at += 40 * ms {
		paid(Probed, c.payers[0], c.till, at, at+10*ms)
		if at < 400*ms || at >= 640*ms {
			paid(Probed, c.payers[1], c.till, at, at+10*ms)
		} else {
			paid(Probed, c.payers[1], c.till, at, 650*ms)
		}
	}
	paid(Probed, c.payers[3], c.till, 310*ms, 320*ms)
	paid(Probed, c.payers[3], c.till, 780*ms, 790*ms) // who does not ask does not wait
	paid(Replayed, c.payers[2], c.merchant, 500*ms, 590*ms)
	paid(Replayed, w.nomads.payers[0], w.nomads.shops[0], 500*ms, 700*ms)
	paid(Replayed, c.payers[2], c.merchant, 100*ms, 299*ms) // before the move
	paid(Replayed, w.shards[0].payers[0], w.shards[0].till, 500*ms, 900*ms)
	f := Fault{Kind: "slot-move", Target: "slot 334 to shard 3", At: 300 * ms, Healed: 800 * ms}
	x := b.wandering(w.nomads, &f)
	if x.Pause != 250*ms || x.Within != 250*ms || x.Across != 200*ms || x.Owners != 7 {
		t.Errorf("%+v", x)
	}
	if out := x.reasons(&f, moveBound); len(out) != 1 || out[0] != "slot-move of slot 334 to shard 3: a pause of 250 ms for one of its owners, above the bound of 200 ms" {
		t.Errorf("%q", out)
	}
	if out := x.reasons(&f, 300*ms); out != nil {
		t.Errorf("%q", out)
	}
}

func TestUnansweredStretches(t *testing.T) {
	at := func(due, ended time.Duration, status holdfast.Status) Sample {
		return Sample{Due: due, Ended: ended, Status: status}
	}
	const done, lost = holdfast.Done, holdfast.Unknown
	for name, row := range map[string]struct {
		list []Sample
		want time.Duration
	}{
		"none":                              {nil, 0},
		"asked seldom":                      {[]Sample{at(10, 12, done), at(60, 63, done)}, 3},
		"answered out of order":             {[]Sample{at(10, 40, done), at(20, 22, done)}, 18},
		"one by one while others stay open": {[]Sample{at(10, 30, done), at(11, 31, done), at(12, 32, done)}, 20},
		"lost, and the next one is done":    {[]Sample{at(10, 50, lost), at(55, 57, done)}, 47},
		"nothing was done":                  {[]Sample{at(10, 80, lost)}, 70},
		"before the window":                 {[]Sample{at(0, 4, done), at(60, 61, done)}, 1},
		"behind it":                         {[]Sample{at(10, 11, done), at(90, 99, done)}, 1},
		"into it, and beyond":               {[]Sample{at(0, 15, done), at(75, 95, done)}, 20},
	} {
		if got := unanswered(row.list, 5, 80); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

// A shard that is split gives half of its slots away, with its cast, to a shard that is not there yet; and many owners are in each of them.
func TestNomadsOfASplit(t *testing.T) {
	w := testWorld(t, 3)
	if err := w.settleNomads(true); err != nil {
		t.Fatal(err)
	}
	n := w.nomads
	if n.from != 2 || n.to != 4 || n.slots.String() != "334-499" || n.count() != 166 || len(n.savers) != manySavers {
		t.Fatalf("slots %s, %d of them, go from %d to %d with %d savers", n.slots, n.count(), n.from, n.to, len(n.savers))
	}
	in := map[holdfast.Slot]int{}
	for _, a := range append(n.savers, n.payers...) {
		if in[a.Owner.Slot()]++; !n.has(a) || w.cast(a).id != n.from {
			t.Errorf("%s is in slot %d of shard %d", a, a.Owner.Slot(), w.cast(a).id)
		}
	}
	if c := &w.shards[1]; len(in) != 166 || !n.has(c.till) || !n.has(c.merchant) || !n.has(c.payers[7]) {
		t.Errorf("owners are in %d slots; the till is in slot %d", len(in), c.till.Owner.Slot())
	}
	c := &w.shards[1]
	for _, a := range []holdfast.AccountID{n.savers[manySavers-1], n.payers[3], w.shards[0].till} {
		if !w.crosses(a, c.till) || !w.crosses(c.till, a) {
			t.Errorf("%s and the till are in two shards for a while", a)
		}
	}
	if w.crosses(c.payers[0], c.till) {
		t.Error("a probe within a slot never crosses")
	}
	f := Fault{Kind: "shard-split", Target: "shard 2"}
	x := Wandering{Slots: 166, Owners: 12, Asked: 1000, Pause: 90 * time.Millisecond}
	if got := x.remark(); !strings.HasPrefix(got, "12 owners of the 166 slots that moved, one after the other, asked for 1,000 payments meanwhile: the longest pause") || x.reasons(&f, moveBound) != nil {
		t.Errorf("%q", got)
	}
}
