package site

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
	"holdfast/shard"
	"holdfast/slot"
)

// still stops all movers: slots that are marked stay where they are, as when a shard that is needed cannot be read.
func (f *fleet) still() (again func()) {
	ctx, stopped := context.Background(), f.all()
	for _, s := range stopped {
		if err := s.stopMoves(ctx); err != nil {
			f.t.Fatal(err)
		}
		s.moves.mu.Lock()
		s.moves.carters = nil
		s.moves.mu.Unlock()
	}
	return func() {
		for _, s := range stopped { // a site that has come meanwhile has started its own
			if err := s.startMoves(ctx); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// TestSlotsThatMoveBarAChangeOfSites, and a change of sites bars slots from moving: whoever asks hears what is under way and how to get out.
func TestSlotsThatMoveBarAChangeOfSites(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 4, 2)
	s, ctx := f.site(1), context.Background()
	retire := f.request(SiteRetire, 4, 0)
	var plan SitePlan
	f.until("a plan", func() (string, bool) {
		p, err := s.PlanSites(ctx, retire)
		plan = p
		return fmt.Sprint(err), err == nil
	})
	again := f.still()
	f.until("a slot is marked", func() (string, bool) {
		err := f.tryMove(s, 10, 2)
		return fmt.Sprint(err), err == nil || refused(err, "on its way already")
	})
	for what, ask := range map[string]func() error{
		"plan":  func() error { _, err := s.PlanSites(ctx, retire); return err },
		"apply": func() error { return s.ApplySites(ctx, retire, plan.ID) },
	} {
		if err := ask(); !refused(err, "slots 10 are on their way, the first from shard 1 to shard 2") || !refused(err, "holdfast shard stay 10") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.KeepSlots(ctx, []SlotRange{{10, 10}}); err != nil {
		t.Errorf("the way out that was named: %v", err)
	}
	again()
	f.until("the change, when the move was given up", func() (string, bool) {
		p, err := s.PlanSites(ctx, retire)
		if err == nil {
			err = s.ApplySites(ctx, retire, p.ID)
		}
		return fmt.Sprint(err), err == nil
	})
	f.until("the end of the change", func() (string, bool) {
		err := f.tryMove(s, 11, 2)
		if err == nil { // it has to be over by now
			r, bad := s.readRosterHere(ctx, shard.Linearizable)
			if bad == nil && r.Change != nil {
				t.Fatal("a slot began to move while sites change")
			}
		}
		return fmt.Sprintf("%+v, %v", s.SiteChange(ctx), err), err == nil
	})
}

// TestAChangeOfSitesWaitsForSlots that were ordered to move at the same moment, before it takes anybody out, and locks out those whose
// order was made before the change and comes later.
func TestAChangeOfSitesWaitsForSlots(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 4, 2)
	s, ctx := f.site(1), context.Background()
	again := f.still()
	f.until("a slot is marked", func() (string, bool) {
		err := f.tryMove(s, 10, 2)
		return fmt.Sprint(err), err == nil || refused(err, "on its way already")
	})
	late, _, ok := slot.Mark(moveView{s, ctx, directory{s.ShardMap()}}, []holdfast.Slot{20}, 1, 2, func(of holdfast.Slot) holdfast.ID { return moveOf("late", of) })
	if !ok {
		t.Fatal("no second slot could be marked")
	}
	f.until("the change is written, as if nothing had moved when it was planned", func() (string, bool) {
		err := f.leaves(4, "race")
		return fmt.Sprint(err), err == nil
	})
	f.until("the change waits", func() (string, bool) {
		st := s.SiteChange(ctx)
		return fmt.Sprintf("%+v", st), st != nil && strings.Contains(st.Doing, "waits: slots 10 are on their way")
	})
	if got := voters(s); fmt.Sprint(got) != "[1 2 3 4]" {
		t.Errorf("somebody was taken out meanwhile: %v", got)
	}
	f.until("the order that comes late is refused", func() (string, bool) {
		out, err := s.proposeOwn(ctx, 1, &late)
		if err == nil && out.Status == holdfast.Done {
			t.Fatal("a slot began to move behind the fence")
		}
		return fmt.Sprint(out, err), err == nil && outdated(out.Code)
	})
	again()
	f.until("the end of the move, and then of the change", func() (string, bool) {
		if s.ShardMap().ShardOf(10) != 2 && fmt.Sprint(voters(s)) == "[1 2 3]" {
			t.Fatal("site 4 was taken out before the slot had moved")
		}
		r := s.Roster()
		return fmt.Sprintf("%+v", s.SiteChange(ctx)), r.Version > 1 && r.Change == nil && fmt.Sprint(voters(s)) == "[1 2 3]"
	})
}

// leaves writes a list by which a site is to leave, whatever stands against it.
func (f *fleet) leaves(id holdfast.SiteID, plan string) error {
	s, ctx := f.site(1), context.Background()
	r, err := s.listed(ctx)
	if err != nil || r.Change != nil {
		return err
	}
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	r = r.clone()
	r.Least, r.Change = 3, &SiteChange{Kind: SiteRetire, Site: id, Plan: plan}
	for i := range r.Sites {
		x := &r.Sites[i]
		x.City, x.Addresses, x.Role = "x", f.configs[x.Site].Link.Listen, RoleVoter
		if x.Site == id {
			x.Role = RoleLeaving
		}
	}
	return s.writeRoster(ctx, r, m)
}

// TestAHomeDoesNotComeBehindTheListOfSites: a site that is to leave has given its homes away, and gets none by an order that was made before.
func TestAHomeDoesNotComeBehindTheListOfSites(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 4, 2)
	s, ctx := f.site(1), context.Background()
	eventually(t, "homes that stay when site 4 leaves", func() bool { return s.SetHome(ctx, 1, 2) == nil && s.SetHome(ctx, 2, 3) == nil })
	var m *ShardMap
	var r *Roster
	f.until("the map and the list", func() (string, bool) {
		old, err := s.readMap(ctx, shard.Linearizable)
		if err == nil {
			m = old
			r, err = s.readRosterHere(ctx, shard.Linearizable)
		}
		return fmt.Sprint(err), err == nil
	})
	f.until("site 4 is to leave, which the map does not say", func() (string, bool) {
		err := f.leaves(4, "leaves")
		return fmt.Sprint(err), err == nil
	})
	f.until("the home is refused", func() (string, bool) {
		err := s.setHome(ctx, m, r, 2, 4)
		if err == nil {
			t.Fatal("a shard is at home at a site that is to leave")
		}
		now, bad := s.readMap(ctx, shard.Linearizable)
		if bad == nil && now.Version != m.Version {
			t.Fatalf("the map has version %d now, and had %d: this proves nothing", now.Version, m.Version)
		}
		return fmt.Sprint(err, bad), bad == nil && errors.Is(err, ErrMapChanged)
	})
}

func TestASplitBarsAChangeOfSites(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s, ctx := f.site(1), context.Background()
	again := f.still()
	f.split(1, SplitRequest{Shard: 1, Slots: []SlotRange{{0, 3}}})
	f.until("the shard is born", func() (string, bool) {
		m, err := s.readMap(ctx, shard.Linearizable)
		return fmt.Sprint(err), err == nil && m.has(3)
	})
	f.newcomers(4)
	f.start(4)
	f.until("the refusal", func() (string, bool) {
		_, err := s.PlanSites(ctx, f.request(SiteAdd, 4, 0))
		return fmt.Sprint(err), refused(err, "shard 1 is being split") && refused(err, "holdfast shard split 1 --cancel")
	})
	again()
}

func TestABlindingStep(t *testing.T) {
	r := &Roster{Change: &SiteChange{Site: 4}, Sites: []ListedSite{{Site: 1, Role: RoleVoter}, {Site: 2, Role: RoleVoter}, {Site: 3, Role: RoleLeaving}}}
	whole := shardNow{shard: 1, known: true, members: []memberNow{{site: 1, votes: true}, {site: 2, votes: true}, {site: 3, votes: true}}}
	begun := shardNow{shard: 2, known: true, members: []memberNow{{site: 1, votes: true}, {site: 2, votes: true}}}
	comes := shardNow{shard: 1, known: true, members: append([]memberNow{{site: 4}}, whole.members...)}
	came := shardNow{shard: 2, known: true, members: append([]memberNow{{site: 4, votes: true}}, whole.members...)}
	for _, row := range []struct {
		m      move
		shards []shardNow
		want   bool
	}{
		{move{kind: moveRemove, site: 3}, []shardNow{whole, whole}, true},
		{move{kind: movePromote, site: 2, instead: 3}, []shardNow{whole}, true},
		{move{kind: movePromote, site: 4}, []shardNow{comes, comes}, true},
		{move{kind: movePromote, site: 4}, []shardNow{comes, came}, false},
		{move{kind: moveAdmit, site: 2}, []shardNow{whole}, false},
		{move{kind: moveHandOver, site: 2}, []shardNow{whole}, false},
		{move{kind: moveRemove, site: 3}, []shardNow{whole, begun}, false},
		{move{kind: moveRemove, site: 3}, []shardNow{whole, {shard: 2}}, true},
	} {
		if got := r.blinds(row.m, row.shards); got != row.want {
			t.Errorf("%+v with %d shards: %t", row.m, len(row.shards), got)
		}
	}
}

// TestASplitKeepsToTheTimeOfSlots: a slot that has come stays as long before a split as before any other move, however short requests are.
func TestASplitKeepsToTheTimeOfSlots(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(1, 2, 1)
	c := f.configs[1]
	c.Timing.Request = Duration(time.Second)
	f.configs[1] = c
	t.Cleanup(func() {
		f.stop(1)
		_ = f.net.Close()
	})
	f.start(1)
	f.ready()
	s, ctx := f.site(1), context.Background()
	eventually(t, "the facts of a split", func() bool {
		of, err := s.splitFacts(ctx, SplitRequest{Shard: 1})
		if err == nil && of.settle != settleLeast {
			t.Fatalf("a slot stays for %s before a split, and for %s otherwise", of.settle, settleLeast)
		}
		return err == nil
	})
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	var left time.Duration
	eventually(t, "the slot as a split sees it", func() bool {
		now, err := s.splitNow(ctx, &shardSplit{From: 2, To: 1, Stage: splitOrdered, Slots: []SlotRange{{10, 10}}})
		if err != nil || now.slots[0].waits == "" {
			return false
		}
		_, text, _ := strings.Cut(now.slots[0].waits, "try again in ")
		left, err = time.ParseDuration(text)
		return err == nil
	})
	if left < 5*time.Second || left > settleLeast+time.Second {
		t.Errorf("it stays for %s more", left)
	}
}
