package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/transit"
)

// TestASplitSaysWhatIsNext has one row per thing that a split does or waits for.
func TestASplitSaysWhatIsNext(t *testing.T) {
	x := shardSplit{Format: splitFormat, Plan: "abc", From: 1, To: 3, Home: 2, Slots: []SlotRange{{10, 12}}, Stage: splitOrdered}
	note := func(of holdfast.Slot, stage slot.Stage) *slot.Note {
		return &slot.Note{Move: x.moveOf(of), Stage: stage, Other: 3}
	}
	foreign := &slot.Note{Move: holdfast.ID{1}, Stage: slot.Leaving, Other: 2}
	for _, row := range []struct {
		name  string
		stage splitStage
		edit  func(*splitNow)
		kind  splitKind
		slots string
		end   splitStage
		says  string
	}{
		{"the shard is being born", splitOrdered, func(n *splitNow) { unborn(n, &x, nil) }, splitWait, "[]", "", "shard 3 is being born"},
		{"its birth was given up", splitOrdered, func(n *splitNow) { unborn(n, &x, nil); n.shardMap.birth = nil }, splitClose, "[]", splitGivenUp, ""},
		{"another one is born with that number", splitOrdered, func(n *splitNow) { unborn(n, &x, nil); n.shardMap.birth.ID = "split-x" }, splitClose, "[]", splitGivenUp, ""},
		{"unwanted, no founders", splitUnwanted, func(n *splitNow) { unborn(n, &x, nil) }, splitAbandon, "[]", splitGivenUp, ""},
		{"unwanted, it has founders", splitUnwanted, func(n *splitNow) { unborn(n, &x, []founder{{1, 7}}) }, splitClose, "[]", splitGivenUp, ""},
		{"it is born", splitOrdered, func(*splitNow) {}, splitMark, "[10 11 12]", "", ""},
		{"a slot was moved elsewhere", splitOrdered, func(n *splitNow) { n.shardMap.slots[11] = 2 }, splitMark, "[10 12]", "", ""},
		{"a slot is on its way", splitOrdered, func(n *splitNow) {
			n.slots[1] = slotAt{slot: 11, note: foreign, leaving: true, waits: "slot 11 is on its way"}
		}, splitWait, "[]", "", "slot 11 is on its way"},
		{"the order was marked", splitOrdered, func(n *splitNow) {
			for i := range n.slots {
				n.slots[i].note, n.slots[i].leaving, n.slots[i].waits = note(n.slots[i].slot, slot.Leaving), true, "on its way"
			}
		}, splitWatch, "[]", "", ""},
		{"all slots were moved elsewhere", splitOrdered, func(n *splitNow) { n.shardMap.slots[10], n.shardMap.slots[11], n.shardMap.slots[12] = 2, 2, 2 }, splitWatch, "[]", "", ""},
		{"slots move", splitMoving, func(n *splitNow) { n.slots[2].leaving, n.shardMap.slots[10] = true, 3 }, splitWait, "[]", "", "1 of 3 slots have come; 1 are on their way"},
		{"all have come", splitMoving, func(n *splitNow) { n.shardMap.slots[10], n.shardMap.slots[11], n.shardMap.slots[12] = 3, 3, 3 }, splitClose, "[]", splitDone, ""},
		{"unwanted, nothing is marked", splitUnwanted, func(*splitNow) {}, splitClose, "[]", splitGivenUp, ""},
		{"unwanted, some move", splitUnwanted, func(n *splitNow) {
			n.shardMap.slots[10], n.slots[0].note = 3, note(10, slot.Gone)
			n.slots[1].note, n.slots[1].leaving, n.slots[1].decided = note(11, slot.Leaving), true, true
			n.slots[2].note, n.slots[2].leaving = note(12, slot.Leaving), true
		}, splitStay, "[12]", "", ""},
		{"unwanted, one is decided and one put back", splitUnwanted, func(n *splitNow) {
			n.slots[1].note, n.slots[1].leaving, n.slots[1].decided = note(11, slot.Leaving), true, true
			n.slots[2].note, n.slots[2].leaving = note(12, slot.Unwanted), true
		}, splitWait, "[]", "", "2 are on their way"},
		{"unwanted, a slot moves by another order", splitUnwanted, func(n *splitNow) { n.slots[1].note, n.slots[1].leaving = foreign, true }, splitWait, "[]", "", "1 are on their way"},
		{"over", splitDone, func(*splitNow) {}, splitWait, "[]", "", ""},
	} {
		now := &splitNow{shardMap: newShardMap(3, []holdfast.SiteID{1, 2, 3})}
		for _, of := range x.list() {
			now.slots = append(now.slots, slotAt{slot: of})
		}
		row.edit(now)
		if got := x.at(row.stage).next(now); got.kind != row.kind || fmt.Sprint(got.slots) != row.slots || got.stage != row.end || !strings.Contains(got.why, row.says) {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
}

// unborn is the fleet before the birth of the split has ended.
func unborn(n *splitNow, x *shardSplit, founders []founder) {
	m := newShardMap(2, []holdfast.SiteID{1, 2, 3}).announced(x.birthID())
	m.birth.Founders = founders
	n.shardMap = m
}

func TestSlotsAreHalvedByWhatTheyDo(t *testing.T) {
	ten := []holdfast.Slot{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, row := range []struct {
		name    string
		weights map[holdfast.Slot]float64
		want    string
	}{
		{"nobody does anything", nil, "[5 6 7 8 9]"},
		{"all do the same", map[holdfast.Slot]float64{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1}, "[5 6 7 8 9]"},
		{"the last ones do most", map[holdfast.Slot]float64{7: 10, 8: 10, 9: 20}, "[9]"},
		{"the first one does half", map[holdfast.Slot]float64{0: 9, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1}, "[0]"},
		{"one does all", map[holdfast.Slot]float64{1: 50}, "[5 6 7 8 9]"},
	} {
		if got := halve(ten, func(s holdfast.Slot) float64 { return row.weights[s] }); fmt.Sprint(got) != row.want {
			t.Errorf("%s: %v, want %s", row.name, got, row.want)
		}
	}
}

// splitOfThree is what a plan to split the first of three shards at three sites is made from.
func splitOfThree() *splitFacts {
	f := &splitFacts{slotFacts: *slotsOfThree(), from: 1, per: &slotCounts{}, splitters: map[holdfast.SiteID]bool{1: true, 2: true, 3: true}}
	f.roster = &Roster{Version: 2}
	for id := range holdfast.SiteID(3) {
		f.roster.put(ListedSite{Site: id + 1, Name: fmt.Sprint("site-", id+1), Role: RoleVoter})
		f.picture.sites[id].rate = 300
	}
	f.rates = map[holdfast.Slot]float64{10: 30, 40: 40, 300: 50, 900: 1000}
	f.per[10], f.per[300] = slotContent{accounts: 40, holds: 4, most: 3}, slotContent{accounts: 7, holds: 2, most: 1}
	return f
}

func TestASplitPlanSaysWhatWouldHappen(t *testing.T) {
	p, err := splitOfThree().plan()
	if err != nil {
		t.Fatal(err)
	}
	// Slots 167-333 have 50 of the 120 that are measured in slots 0-333, and none of the cuts is more even.
	if p.From != 1 || p.To != 4 || inWords(p.Slots) != "167-333" || p.Accounts != 7 || p.Holds != 2 || p.Share < 0.41 || p.Share > 0.42 {
		t.Errorf("%+v", p)
	}
	if p.Home != 2 || p.HomeName != "site-2" || fmt.Sprint(p.Founders) != "[1 2 3]" {
		t.Errorf("at home at %d (%s), founded by %v: not where the shard that is split is", p.Home, p.HomeName, p.Founders)
	}
	from, to := p.Shards[0], p.Shards[1]
	if from.Slots != [2]int{334, 167} || to.Slots != [2]int{0, 167} || from.Rate != [2]float64{300, 175} || to.Rate != [2]float64{0, 125} || to.Leader != 2 || to.Home != 2 {
		t.Errorf("from %+v, to %+v", from, to)
	}
	if l := p.Loads; len(l) != 3 || l[0].Now != 300 || l[0].After != 175 || l[1].After != 425 || l[1].Shards != 2 || l[2].After != 300 {
		t.Errorf("loads %+v", l)
	}
	for name, st := range map[string]Strength{"before": p.Before, "during": p.During, "after": p.After} {
		if len(st.Survives) != 3 || len(st.Stops) != 0 || st.Majority != 2 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if p.Pause <= 50*time.Millisecond || p.Birth <= 500*time.Millisecond || p.Takes <= p.Birth+167*p.Pause {
		t.Errorf("pause %s, birth %s, takes %s", p.Pause, p.Birth, p.Takes)
	}
	again := splitOfThree() // what is ordered is what was shown, whatever is measured meanwhile
	again.asked, again.rates = slotsOf(p.Slots), nil
	if q, err := again.plan(); err != nil || q.ID != p.ID || inWords(q.Slots) != "167-333" {
		t.Errorf("the same slots have another plan: %+v, %v", q, err)
	}
	for name, edit := range map[string]func(*splitFacts){
		"another map": func(f *splitFacts) { f.shardMap.Version++ }, "another list": func(f *splitFacts) { f.roster.Version++ },
		"other slots": func(f *splitFacts) { f.asked = []holdfast.Slot{1} }, "another home": func(f *splitFacts) { f.home = 3 },
	} {
		f := splitOfThree()
		f.asked = slotsOf(p.Slots)
		edit(f)
		if q, err := f.plan(); err != nil || q.ID == p.ID {
			t.Errorf("%s has the same plan: %v", name, err)
		}
	}
	busy := splitOfThree()
	busy.gates.Set(20, ledger.GateMarked) // and so it may not be chosen
	if q, err := busy.plan(); err != nil || inWords(q.Slots) != "0-19, 21-166" {
		t.Errorf("a slot that cannot move: %+v, %v", q.Slots, err)
	}
}

func slotsOf(ranges []SlotRange) []holdfast.Slot {
	list, _ := slotList(ranges)
	return list
}

func TestASplitPlanWarns(t *testing.T) {
	for says, edit := range map[string]func(*splitFacts){
		"slot 40 alone has 92 % of what the owners of shard 1 do": func(f *splitFacts) { f.rates[40] = 900 },
		"shard 3 has no slot": func(f *splitFacts) {
			for i := range f.shardMap.slots {
				f.shardMap.slots[i] = min(2, f.shardMap.slots[i])
			}
		},
		"both shards would be led from site-1": func(f *splitFacts) { f.home = 1 },
	} {
		f := splitOfThree()
		edit(f)
		if p, err := f.plan(); err != nil || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, says) }) {
			t.Errorf("it does not say %q: %q, %v", says, p.Notes, err)
		}
	}
}

func TestASplitPlanRefuses(t *testing.T) {
	for says, edit := range map[string]func(*splitFacts){
		"shard 2 is being split already, plan xyz":      func(f *splitFacts) { f.splits = []shardSplit{{Plan: "xyz", From: 2}} },
		"site 3 does not know how to split shards":      func(f *splitFacts) { f.splitters[3] = false },
		"site 2 does not answer":                        func(f *splitFacts) { f.unborn = refuse("site 2 does not answer") },
		"site 9 has no vote in this fleet":              func(f *splitFacts) { f.home = 9 },
		"slot 900 is in shard 3, not in shard 1":        func(f *splitFacts) { f.asked = []holdfast.Slot{1, 900} },
		"these are all slots of shard 1":                func(f *splitFacts) { f.asked = slotsOf([]SlotRange{{0, 333}}) },
		"slot 10 has come to shard 1 a moment ago":      func(f *splitFacts) { f.asked, f.came[10] = []holdfast.Slot{10}, f.now.Add(-time.Second) },
		"shard 1 has fewer than two slots":              func(f *splitFacts) { onlySlot(f) },
		"slots of shard 1 are on their way":             func(f *splitFacts) { onTheirWay(f) },
		"site 3 does not know how to move slots":        func(f *splitFacts) { f.able[3] = false },
		"shard 1 has no leader that answers":            func(f *splitFacts) { f.shards[0].known = false },
		"site 3 holds the books of another fleet":       func(f *splitFacts) { f.sites[2].trouble = "holds the books of another fleet" },
		"a change of sites is under way: retire site 2": func(f *splitFacts) { f.roster.Change = &SiteChange{Kind: SiteRetire, Site: 2} },
	} {
		f := splitOfThree()
		edit(f)
		if p, err := f.plan(); !refused(err, says) {
			t.Errorf("%s: %+v, %v", says, p, err)
		}
	}
}

func onlySlot(f *splitFacts) {
	for of := range f.shardMap.slots {
		if of > 0 {
			f.shardMap.slots[of] = 2
		}
	}
}

func onTheirWay(f *splitFacts) {
	for of := range holdfast.Slot(333) {
		f.gates.Set(of, ledger.GateMarked)
	}
}

// split plans and orders a split through a site, until it is taken.
func (f *fleet) split(through holdfast.SiteID, q SplitRequest) SplitPlan {
	f.t.Helper()
	ctx := context.Background()
	return ordered(f, "a split", func() (SplitPlan, string, error) {
		p, err := f.site(through).PlanSplit(ctx, q)
		return p, p.ID, err
	}, func(id string) error { return f.site(through).ApplySplit(ctx, q, id) })
}

// splitOver waits until every site that runs says that a split is over.
func (f *fleet) splitOver(plan string) (st SplitStatus) {
	f.t.Helper()
	f.until("the split is over", func() (string, bool) {
		for _, s := range f.all() {
			list, err := s.ShardSplits(context.Background())
			i := slices.IndexFunc(list, func(x SplitStatus) bool { return x.Plan == plan })
			if err != nil || i < 0 || !list[i].Over() {
				return fmt.Sprintf("site %d: %+v, %v", s.cfg.Site, list, err), false
			}
			st = list[i]
		}
		return "", true
	})
	return st
}

// TestAShardIsSplitUnderLoad: a shard is born and gets a half of the slots of another one while their owners pay and are paid; no request
// fails, nothing is lost, doubled or left behind, and everything is there after a restart.
func TestAShardIsSplitUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s := f.site(1)
	goes, with, stays, far, bank := account(t, 1, 480), account(t, 2, 485), account(t, 3, 20), account(t, 4, 900), account(t, 5, 21)
	f.mustDo(s, f.open(goes, with, stays, bank))
	f.mustDo(s, f.open(far))
	for _, to := range []holdfast.AccountID{goes, with, stays, far} {
		f.mustDo(s, f.pay(bank, to, 100_000))
	}
	hold := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Hold, Debit: goes, Credit: stays, Amount: 500, Timeout: time.Hour}}}
	f.mustDo(s, hold)
	all := []*traffic{
		{f: f, from: goes, to: with},
		{f: f, from: with, to: stays},
		{f: f, from: stays, to: goes},
		{f: f, from: goes, to: far},
		{f: f, from: far, to: with},
		{f: f, from: bank, to: stays},
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, x := range all {
		running.Go(func() { x.run(stop) })
	}
	home := s.ShardMap().Home(1)
	began := time.Now()
	p := f.split(2, SplitRequest{Shard: 1, Slots: []SlotRange{{470, 499}}})
	if p.To != 3 || p.Home == home || p.Accounts != 2 || p.Holds == 0 {
		t.Errorf("the plan: %+v", p)
	}
	for _, at := range f.all() { // whoever gives the order again hears that it stands
		f.until("the order stands", func() (string, bool) {
			err := at.ApplySplit(t.Context(), SplitRequest{Shard: 1, Slots: p.Slots}, p.ID)
			return fmt.Sprintf("site %d: %v", at.cfg.Site, err), err == nil
		})
	}
	if _, err := s.PlanSplit(t.Context(), SplitRequest{Shard: 2}); err == nil {
		t.Error("two splits at once are planned")
	}
	st := f.splitOver(p.ID)
	t.Logf("from the order to the end of %d slots: %s", st.Of, time.Since(began))
	close(stop)
	running.Wait()
	if st.State != SplitDone || st.Moved != 30 || st.Of != 30 || st.From != 1 || st.To != 3 {
		t.Errorf("%+v", st)
	}
	for _, x := range all {
		if len(x.wrong) > 0 || x.done == 0 {
			t.Errorf("%s to %s: %d done; %+v", x.from, x.to, x.done, x.wrong)
		}
		t.Logf("%s to %s: %d done, %d asked again, the longest gap was %s", x.from, x.to, x.done, x.again, x.gap)
	}
	f.mustDo(f.site(2), holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: hold.ID, Amount: 400}}})
	f.settled()
	f.restart()
	s = f.site(3)
	paid := func(i int) holdfast.Amount { return holdfast.Amount(all[i].done) }
	f.mustHold(s, goes, 100_000-400-paid(0)+paid(2)-paid(3))
	f.mustHold(s, with, 100_000+paid(0)-paid(1)+paid(4))
	f.mustHold(s, stays, 100_000+400+paid(1)-paid(2)+paid(5))
	f.mustHold(s, far, 100_000+paid(3)-paid(4))
	for _, at := range f.all() {
		if m := at.ShardMap(); m.ShardOf(470) != 3 || m.ShardOf(499) != 3 || m.ShardOf(469) != 1 || m.Home(3) != p.Home {
			t.Errorf("site %d: slots 469, 470, 499 in %d, %d, %d; shard 3 at home at %d", at.cfg.Site, m.ShardOf(469), m.ShardOf(470), m.ShardOf(499), m.Home(3))
		}
	}
	f.until("ordered once more when it is over", func() (string, bool) {
		err := s.ApplySplit(t.Context(), SplitRequest{Shard: 1, Slots: p.Slots}, p.ID)
		return fmt.Sprint(err), err == nil
	})
	f.until("what is over is not given up", func() (string, bool) {
		_, err := s.CancelSplit(t.Context(), 1)
		if err == nil {
			t.Fatal("a split that is over was given up")
		}
		return fmt.Sprint(err), refused(err, "no split of shard 1 is under way")
	})
	f.oneList(3)
	f.audit()
}

// TestASplitSurvivesItsDrivers: whoever leads the first shard, or the shard that is split, is stopped again and again.
func TestASplitSurvivesItsDrivers(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 2)
	goes, stays := account(t, 1, 480), account(t, 2, 20)
	f.mustDo(f.site(1), f.open(goes, stays))
	p := f.split(1, SplitRequest{Shard: 1, Slots: []SlotRange{{470, 499}}})
	for _, seen := range []func(m *ShardMap) bool{
		func(*ShardMap) bool { return true }, // at once
		func(m *ShardMap) bool { return m.has(3) || m.birth != nil && m.birth.Founders != nil },
		func(m *ShardMap) bool { return m.has(3) },
		func(m *ShardMap) bool { return m.ShardOf(470) == 3 },
		func(m *ShardMap) bool { return m.ShardOf(475) == 3 },
	} {
		driver := f.leader(mapShard)
		f.until("it is so far", func() (string, bool) { m := f.site(driver).ShardMap(); return fmt.Sprint(m.Homes, m.birth), seen(m) })
		f.stop(driver)
		f.mustDoSoon(f.other(driver), f.pay(goes, stays, 1))
		f.start(driver)
		f.ready()
	}
	if st := f.splitOver(p.ID); st.State != SplitDone || st.Moved != 30 {
		t.Errorf("%+v", st)
	}
	f.settled()
	f.mustHold(f.site(1), stays, 5)
	f.audit()
}

// mustDoSoon submits a transaction until it is done: an election may be under way.
func (f *fleet) mustDoSoon(s *Site, t holdfast.Txn) {
	f.t.Helper()
	f.until("it is done", func() (string, bool) {
		out, err := s.Submit(context.Background(), []holdfast.Txn{t}, false)
		return fmt.Sprint(out, err), err == nil && out[0].Status == holdfast.Done
	})
}

// orderByHand writes an order while one site is down: it waits for that one.
func (f *fleet) orderByHand(down holdfast.SiteID, x *shardSplit) {
	f.t.Helper()
	f.stop(down)
	f.until("an order is written", func() (string, bool) {
		s := f.other(down)
		m, err := s.readMap(context.Background(), shard.Linearizable)
		if err == nil {
			_, err = s.announceBirth(context.Background(), m, &Roster{}, x.birthID(), x.change())
		}
		return fmt.Sprint(err), err == nil || errors.Is(err, ErrMapChanged)
	})
}

// TestASplitIsGivenUpBeforeTheBirth: nothing is left of it, and another one can be ordered.
func TestASplitIsGivenUpBeforeTheBirth(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	x := &shardSplit{Format: splitFormat, Plan: "abc", From: 1, To: 3, Home: 2, Slots: []SlotRange{{470, 499}}, Stage: splitOrdered}
	f.orderByHand(3, x)
	f.until("every site says what it waits for", func() (string, bool) {
		for _, s := range f.all() {
			list, err := s.ShardSplits(t.Context())
			if err != nil || len(list) != 1 || list[0].State != SplitBirth || !strings.Contains(list[0].Doing, "site 3 does not answer") {
				return fmt.Sprint(list, err), false
			}
		}
		return "", true
	})
	f.until("it is given up", func() (string, bool) {
		st, err := f.site(2).CancelSplit(t.Context(), 1)
		return fmt.Sprint(err), err == nil && st.State == SplitStays || refused(err, "no split of shard 1 is under way")
	})
	if st := f.splitOver("abc"); st.State != SplitGivenUp || st.Moved != 0 {
		t.Errorf("%+v", st)
	}
	f.until("nothing is left in the map", func() (string, bool) {
		m := f.site(1).ShardMap()
		return fmt.Sprintf("%+v, %v", m.birth, m.Homes), m.birth == nil && len(m.Homes) == 2
	})
	f.start(3)
	f.ready()
	p := f.split(1, SplitRequest{Shard: 1, Slots: []SlotRange{{499, 499}}})
	if st := f.splitOver(p.ID); st.State != SplitDone || st.To != 3 || st.Moved != 1 {
		t.Errorf("the next one: %+v", st)
	}
	f.audit()
}

// TestASplitIsGivenUpWhileSlotsMove: the shard is there, and the slots stay where they are.
func TestASplitIsGivenUpWhileSlotsMove(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 2)
	s, ctx := f.site(1), context.Background()
	goes, stays := account(t, 1, 480), account(t, 2, 20)
	f.mustDo(s, f.open(goes, stays))
	// A message that nobody can read keeps every slot of its shard from shutting.
	stray := holdfast.Txn{ID: f.id(), Messages: []holdfast.Message{{To: 2, Topic: transit.Topic, Body: []byte("?")}}}
	if out, err := s.proposeOwn(ctx, 1, &stray); err != nil || out.Status != holdfast.Done {
		t.Fatalf("%+v, %v", out, err)
	}
	p := f.split(1, SplitRequest{Shard: 1, Slots: []SlotRange{{470, 499}}})
	eventually(t, "slots are on their way", func() bool { return len(s.SlotMoves(ctx)) > 0 })
	if st, err := s.CancelSplit(ctx, 1); err != nil || st.State != SplitStays || st.To != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	if st := f.splitOver(p.ID); st.State != SplitGivenUp || st.Moved != 0 || st.Of != 30 {
		t.Errorf("%+v", st)
	}
	if moves := s.SlotMoves(ctx); len(moves) > 0 || s.ShardMap().ShardOf(480) != 1 || len(s.ShardIDs()) != 3 {
		t.Errorf("%+v, slot 480 in shard %d of %d", moves, s.ShardMap().ShardOf(480), len(s.ShardIDs()))
	}
	if err := s.ApplySplit(ctx, SplitRequest{Shard: 1, Slots: p.Slots}, p.ID); err != nil || len(s.SlotMoves(ctx)) > 0 {
		t.Errorf("an order that was given up, again: %v, %+v", err, s.SlotMoves(ctx))
	}
	q, err := s.PlanSplit(ctx, SplitRequest{Shard: 2})
	if err != nil || q.To != 4 || !slices.ContainsFunc(q.Notes, func(n string) bool { return strings.Contains(n, "shard 3 has no slot") }) {
		t.Errorf("%+v, %v", q, err)
	}
	f.mustDo(s, f.pay(goes, stays, 7))
}

// TestAGivenUpSplitIsFenced: what its driver has made before it was given up, and proposes when it is over, marks nothing.
func TestAGivenUpSplitIsFenced(t *testing.T) {
	f := newFleet(t, 1, 2)
	s, ctx := f.site(1), context.Background()
	f.addShard(1, "third")
	f.born(3)
	x := &shardSplit{Format: splitFormat, Plan: "abc", From: 1, To: 3, Home: 1, Slots: []SlotRange{{470, 499}}, Stage: splitUnwanted}
	mark, _, ok := slot.Mark(moveView{s, ctx, directory{s.ShardMap()}}, x.list(), 1, 3, x.moveOf)
	if !ok {
		t.Fatal("slots that are open cannot be marked")
	}
	order := holdfast.Txn{ID: f.id(), Records: []holdfast.RecordChange{x.change()}}
	if out, err := s.proposeOwn(ctx, mapShard, &order); err != nil || out.Status != holdfast.Done {
		t.Fatalf("%+v, %v", out, err)
	}
	if st := f.splitOver("abc"); st.State != SplitGivenUp {
		t.Errorf("%+v", st)
	}
	if out, err := s.proposeOwn(ctx, 1, &mark); err != nil || out.Status != holdfast.Refused || len(s.SlotMoves(ctx)) > 0 {
		t.Errorf("slots are marked behind the end of the order: %+v, %v, %+v", out, err, s.SlotMoves(ctx))
	}
}

// TestARecordOfASplitThatIsNotRead: of a newer release.
func TestARecordOfASplitThatIsNotRead(t *testing.T) {
	for _, body := range []string{`{"format":2,"plan":"abc"}`, `{}`, `x`} {
		if x, err := readSplit(&holdfast.Record{Key: splitKey("abc"), Version: 3, Body: []byte(body)}); err == nil {
			t.Errorf("%s: %+v", body, x)
		}
	}
	x := shardSplit{Format: splitFormat, Plan: "abc", From: 1, To: 3, Slots: []SlotRange{{1, 2}}, Stage: splitMoving, version: 3}
	c := x.change()
	if back, err := readSplit(&holdfast.Record{Key: c.Key, Version: 3, Body: c.Body}); err != nil || fmt.Sprint(back) != fmt.Sprint(x) || len(c.Index) != 2 {
		t.Errorf("%+v, %v, index %v", back, err, c.Index)
	}
	if c := x.at(splitDone).change(); len(c.Index) != 1 {
		t.Errorf("one that is over is found by %v", c.Index)
	}
}
