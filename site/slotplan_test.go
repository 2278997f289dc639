package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/transit"
)

// slotsOfThree is what a plan for slots is made from in a fleet of three sites and three shards, each led from one of them.
func slotsOfThree(slots ...holdfast.Slot) *slotFacts {
	f := &slotFacts{
		slots: slots, to: 2, shardMap: newShardMap(3, []holdfast.SiteID{1, 2, 3}), roster: &Roster{},
		able: map[holdfast.SiteID]bool{1: true, 2: true, 3: true}, came: map[holdfast.Slot]time.Time{}, now: time.Unix(1000, 0),
		settle: 20 * time.Second, trip: 10 * time.Millisecond, picture: &picture{carriers: 1},
		metas:   map[holdfast.ShardID]ledger.Meta{1: {Accounts: 100, Holds: 10}, 2: {Accounts: 50}},
		content: slotContent{accounts: 40, holds: 4, most: 3},
		rates:   map[holdfast.Slot]float64{10: 30, 11: 60, 900: 1000},
	}
	f.shardMap.Version = 7
	for id := range holdfast.SiteID(3) {
		s := siteFacts{site: id + 1, name: fmt.Sprint("site-", id+1), works: true, fit: true, reaches: map[holdfast.SiteID][]string{}}
		for other := range holdfast.SiteID(3) {
			s.reaches[other+1] = []string{"up"}
		}
		f.picture.sites = append(f.picture.sites, s)
		f.picture.shards = append(f.picture.shards, shardFacts{shard: holdfast.ShardID(id + 1), rate: 300})
		f.sites = append(f.sites, siteNow{site: id + 1, answers: true})
		now := shardNow{shard: holdfast.ShardID(id + 1), known: true, leader: id + 1}
		for member := range holdfast.SiteID(3) {
			now.members = append(now.members, memberNow{site: member + 1, votes: true, fit: true})
		}
		f.shards = append(f.shards, now)
	}
	return f
}

func TestASlotPlanSaysWhatWouldHappen(t *testing.T) {
	p, err := slotsOfThree(10).plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.From != 1 || p.To != 2 || p.Map != 7 || p.Accounts != 40 || p.Holds != 4 || inWords(p.Slots) != "10" {
		t.Errorf("%+v", p)
	}
	from, to := p.Shards[0], p.Shards[1]
	if from.Slots != [2]int{334, 333} || to.Slots != [2]int{333, 334} || from.Accounts != [2]int{100, 60} || to.Accounts != [2]int{50, 90} {
		t.Errorf("from %+v, to %+v", from, to)
	}
	if from.Holds != [2]int{10, 6} || to.Holds != [2]int{0, 4} {
		t.Errorf("from %+v, to %+v", from, to)
	}
	// A third of what owners do in shard 1 is about slot 10: what it leads goes down by a third of 300.
	if from.Rate != [2]float64{300, 200} || to.Rate != [2]float64{300, 400} || from.Name != "site-1" || to.Leader != 2 {
		t.Errorf("from %+v, to %+v", from, to)
	}
	for name, st := range map[string]Strength{"before": p.Before, "during": p.During, "after": p.After} {
		if len(st.Survives) != 3 || len(st.Stops) != 0 || st.Majority != 2 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if p.Pause <= 50*time.Millisecond || p.Worst <= p.Pause || p.Copying <= 0 {
		t.Errorf("copying %s, pause %s, at worst %s", p.Copying, p.Pause, p.Worst)
	}
	if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "led from site-1 now, and from site-2 then") }) {
		t.Errorf("notes %q", p.Notes)
	}
	more, err := slotsOfThree(10, 11).plan()
	if err != nil || more.ID == p.ID {
		t.Errorf("another request has the same plan: %v", err)
	}
	later := slotsOfThree(10)
	later.shardMap.Version = 8
	if q, err := later.plan(); err != nil || q.ID == p.ID {
		t.Errorf("the same request for another map has the same plan: %v", err)
	}
	if q, err := slotsOfThree(10).plan(); err != nil || q.ID != p.ID {
		t.Errorf("the same request for the same map has another plan: %v", err)
	}
}

// TestASlotPlanCountsWhatHasToWork: a shard that would not survive a loss shows while the slot needs it too.
func TestASlotPlanCountsWhatHasToWork(t *testing.T) {
	f := slotsOfThree(10)
	f.shards[1].members[2].votes = false // shard 2 has two voters
	p, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Before.Stops) != 0 || len(p.During.Stops) != 2 || len(p.After.Stops) != 2 {
		t.Errorf("before %+v, during %+v, after %+v", p.Before, p.During, p.After)
	}
	if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "while a slot is shut, the loss of site-1") }) {
		t.Errorf("notes %q", p.Notes)
	}
}

func TestASlotPlanRefuses(t *testing.T) {
	rows := []struct {
		why   string
		slots []holdfast.Slot
		spoil func(*slotFacts)
	}{
		{"slots 400 are in shard 2 already", []holdfast.Slot{400}, nil},
		{"10 in shard 1, 900 in shard 3", []holdfast.Slot{10, 900}, nil},
		{"a change of sites is under way: add site 4", nil, func(f *slotFacts) { f.roster = &Roster{Change: &SiteChange{Kind: SiteAdd, Site: 4}} }},
		{"site 3 does not know how to move slots", nil, func(f *slotFacts) { f.able[3] = false }},
		{"site 3 holds the books of another fleet", nil, func(f *slotFacts) { f.sites[2].trouble = "holds the books of another fleet" }},
		{"shard 2 has no leader that answers", nil, func(f *slotFacts) { f.shards[1].known = false }},
		{"slot 10 is on its way already", nil, func(f *slotFacts) { f.gates.Set(10, ledger.GateMarked) }},
		{"slot 10 has come to shard 1 a moment ago", nil, func(f *slotFacts) { f.came[10] = f.now.Add(-19 * time.Second) }},
	}
	for _, row := range rows {
		if row.slots == nil {
			row.slots = []holdfast.Slot{10}
		}
		f := slotsOfThree(row.slots...)
		if row.spoil != nil {
			row.spoil(f)
		}
		if p, err := f.plan(); !refused(err, row.why) {
			t.Errorf("%s: %+v, %v", row.why, p, err)
		}
	}
	f := slotsOfThree(10)
	f.came[10] = f.now.Add(-21 * time.Second)
	f.sites[2].answers, f.able[3] = false, false
	p, err := f.plan()
	if err != nil || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "site 3 does not answer") }) {
		t.Errorf("a site that is down: %+v, %v", p, err)
	}
}

func TestSlotsAreNamedOnce(t *testing.T) {
	list, err := slotList([]SlotRange{{7, 9}, {8, 10}, {2, 2}})
	if err != nil || fmt.Sprint(list) != "[2 7 8 9 10]" || inWords(rangesOf(list)) != "2, 7-10" {
		t.Errorf("%v, %v", list, err)
	}
	for _, bad := range [][]SlotRange{nil, {{9, 8}}, {{0, 1000}}} {
		if list, err := slotList(bad); !refused(err, "slot") {
			t.Errorf("%v: %v, %v", bad, list, err)
		}
	}
}

func TestSlotRatesFollowWhatIsPaid(t *testing.T) {
	var m slotMeter
	pay := holdfast.Txn{Transfers: []holdfast.Transfer{{Debit: account(t, 1, 10), Credit: account(t, 2, 900)}}}
	for second := range 60 {
		for range 20 {
			m.count(&pay)
		}
		m.tick(time.Duration(second+1) * time.Second)
	}
	if now := *m.rates.Load(); now[10] < 19.9 || now[10] > 20.1 || now[900] != now[10] || len(now) != 2 {
		t.Errorf("%v", now)
	}
	for second := range 60 {
		m.tick(time.Duration(second+61) * time.Second)
	}
	if now := *m.rates.Load(); len(now) != 0 {
		t.Errorf("a minute after the last payment: %v", now)
	}
}

// TestSlotsMoveByPlan: what was shown is done, once; a plan of before is refused; a move that is not wanted any more ends.
func TestSlotsMoveByPlan(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s, ctx := f.site(1), context.Background()
	nomad, other := account(t, 1, 10), account(t, 2, 11)
	f.mustDo(s, f.open(nomad, other))
	f.mustDo(s, f.pay(nomad, other, 5))
	q := SlotRequest{Slots: []SlotRange{{10, 11}}, To: 2}
	var p SlotPlan
	eventually(t, "the sites have heard of each other", func() bool {
		var err error
		p, err = s.PlanSlots(ctx, q)
		return err == nil && len(p.Before.Survives) == 3
	})
	if p.Accounts != 2 || p.From != 1 {
		t.Fatalf("%+v", p)
	}
	f.until("a plan that nobody made is refused", func() (string, bool) {
		err := s.ApplySlots(ctx, q, "0123456789ab")
		if err == nil {
			t.Fatal("a plan that nobody made was applied")
		}
		return fmt.Sprint(err), errors.Is(err, ErrPlanStale)
	})
	for _, at := range f.all() { // whoever asks again hears that it is ordered, wherever the slots are by then
		f.until("it is ordered", func() (string, bool) {
			err := at.ApplySlots(ctx, q, p.ID)
			return fmt.Sprintf("through site %d: %v", at.cfg.Site, err), err == nil
		})
	}
	f.awaitMove(10, 1, 2)
	f.awaitMove(11, 1, 2)
	f.until("ordered once more when it is done", func() (string, bool) {
		err := s.ApplySlots(ctx, q, p.ID)
		return fmt.Sprint(err), err == nil
	})
	if o := s.ShardMap().been[10]; len(o) != 1 || o[0].Shard != 1 {
		t.Errorf("slot 10 was in %+v", o)
	}
	if moves := s.SlotMoves(ctx); len(moves) != 0 {
		t.Errorf("still under way: %+v", moves)
	}
	f.mustHold(s, nomad, -5)
	f.until("two events say that a slot has moved", func() (string, bool) {
		told := 0
		for _, at := range f.all() {
			for _, e := range at.Events(0) {
				if e.Kind == EventSlotMoved && e.Shard == 2 {
					told++
				}
			}
		}
		return fmt.Sprint(told), told >= 2
	})
	stale := SlotRequest{Slots: []SlotRange{{20, 20}}, To: 2}
	var old SlotPlan
	f.until("a plan", func() (string, bool) {
		var err error
		old, err = s.PlanSlots(ctx, stale)
		return fmt.Sprint(err), err == nil
	})
	home := otherThan(s.ShardMap().Home(2))
	f.until("a home is set", func() (string, bool) {
		err := s.SetHome(ctx, 2, home)
		return fmt.Sprint(err), err == nil
	})
	f.until("the map has changed since the plan was made", func() (string, bool) {
		err := s.ApplySlots(ctx, stale, old.ID)
		if err == nil {
			t.Fatal("a plan of an old map was applied")
		}
		return fmt.Sprint(err), errors.Is(err, ErrPlanStale)
	})
	f.audit()
}

func otherThan(id holdfast.SiteID) holdfast.SiteID { return id%3 + 1 }

// TestOneShardThatFailsIsTold: of an order to several shards what was done is told, and what was not, and of what nobody knows.
func TestOneShardThatFailsIsTold(t *testing.T) {
	m := &ShardMap{Homes: []holdfast.SiteID{1, 2, 3}}
	for slot := range m.slots {
		m.slots[slot] = holdfast.ShardID(1 + slot/400)
	}
	var asked []holdfast.ShardID
	done := keepEach(m, []holdfast.Slot{10, 11, 410, 810, 811}, func(id holdfast.ShardID, list []holdfast.Slot) ([]holdfast.Slot, error) {
		asked = append(asked, id)
		switch id {
		case 1:
			return nil, fmt.Errorf("the order: %w", ErrUnknown)
		case 2:
			return nil, shard.ErrNoQuorum
		}
		return list[:1], nil
	})
	if fmt.Sprint(asked) != "[1 2 3]" || inWords(done.Slots) != "810" || len(done.Failed) != 2 {
		t.Fatalf("asked %v: %+v", asked, done)
	}
	for i, want := range []SlotsNotKept{{1, []SlotRange{{10, 11}}, true, ErrUnknown}, {2, []SlotRange{{410, 410}}, false, shard.ErrNoQuorum}} {
		if got := done.Failed[i]; got.Shard != want.Shard || inWords(got.Slots) != inWords(want.Slots) || got.Unknown != want.Unknown || !errors.Is(got.Why, want.Why) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestAMoveIsGivenUp: a slot whose payments wait for a shard that cannot take them does not shut; its move is given up, it stays where it
// is, and nothing is left of it in the other shard.
func TestAMoveIsGivenUp(t *testing.T) {
	f := newFleet(t, 1, 3)
	s, ctx := f.site(1), context.Background()
	nomad, peer := account(t, 1, 10), account(t, 2, 20)
	f.mustDo(s, f.open(nomad))
	f.mustDo(s, f.open(peer))
	if _, err := s.KeepSlots(ctx, []SlotRange{{0, 999}}); !refused(err, "none is under way") {
		t.Errorf("nothing is under way: %v", err)
	}
	// A message that nobody can read may be of a payment of the slot: it keeps every slot of its shard from shutting.
	stray := holdfast.Txn{ID: f.id(), Messages: []holdfast.Message{{To: 3, Topic: transit.Topic, Body: []byte("?")}}}
	if out, err := s.proposeOwn(ctx, 1, &stray); err != nil || out.Status != holdfast.Done {
		t.Fatalf("%+v, %v", out, err)
	}
	p := f.moveSlots(s, 2, SlotRange{10, 10})
	eventually(t, "the move is under way", func() bool { return len(s.SlotMoves(ctx)) == 1 })
	if m := s.SlotMoves(ctx)[0]; m.From != 1 || m.To != 2 || m.Slots.From != 10 {
		t.Errorf("%+v", m)
	}
	if _, err := s.PlanSlots(ctx, SlotRequest{Slots: []SlotRange{{10, 10}}, To: 3}); !refused(err, "on its way already") {
		t.Errorf("it is on its way: %v", err)
	}
	kept, err := s.KeepSlots(ctx, []SlotRange{{5, 15}})
	if err != nil || inWords(kept.Slots) != "10" || len(kept.Failed) != 0 {
		t.Errorf("%+v, %v", kept, err)
	}
	eventually(t, "nothing of the move is left", func() bool { return len(s.SlotMoves(ctx)) == 0 })
	if s.ShardMap().ShardOf(10) != 1 {
		t.Error("the slot has moved")
	}
	if err := s.ApplySlots(ctx, SlotRequest{Slots: []SlotRange{{10, 10}}, To: 2}, p.ID); err != nil {
		t.Errorf("the order of before, again: %v", err)
	}
	if len(s.SlotMoves(ctx)) != 0 {
		t.Error("an order that was given up has begun again")
	}
	f.mustDo(s, f.pay(nomad, peer, 7))
	f.mustHold(s, nomad, -7)
}
