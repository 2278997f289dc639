package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/shard"
)

// addShard orders a birth through a site, until it is taken.
func (f *fleet) addShard(through holdfast.SiteID, id string) (at holdfast.ShardID) {
	f.t.Helper()
	f.until("a birth is ordered", func() (string, bool) {
		s := f.site(through)
		err := s.learnMap(context.Background())
		if err == nil {
			at, err = s.AddShard(context.Background(), id, s.ShardMapVersion())
		}
		return fmt.Sprint(err), err == nil
	})
	return at
}

// born waits until every site that runs has a shard in its map, a replica that is at work, and is ready.
func (f *fleet) born(id holdfast.ShardID) {
	f.t.Helper()
	f.until(fmt.Sprintf("shard %d is born", id), func() (string, bool) {
		for _, s := range f.all() {
			births, _ := s.ShardBirths(context.Background())
			if !s.ShardMap().has(id) || s.Ready() != nil || s.board.seat(id).leader == 0 {
				return fmt.Sprintf("site %d: %+v, %v, %+v", s.cfg.Site, s.ShardMap().Homes, s.Ready(), births), false
			}
		}
		return "", true
	})
}

// oneList makes sure that all replicas of a shard have the same founders.
func (f *fleet) oneList(id holdfast.ShardID) {
	f.t.Helper()
	lists := map[uint64]bool{}
	for _, s := range f.all() {
		r, err := s.host.Report(id)
		if err != nil || !r.Born {
			f.t.Errorf("site %d, shard %d: %+v, %v", s.cfg.Site, id, r, err)
		}
		lists[foundedBy(r.Members)] = true
	}
	if len(lists) != 1 {
		f.t.Errorf("shard %d has %d lists of founders", id, len(lists))
	}
}

// vote reports whether a site votes in every shard, as who it is now, by what every site knows. That some replica of the site votes is
// not enough: it may be the one that its disk held before it was wiped.
func (f *fleet) vote(at holdfast.SiteID) (string, bool) {
	for _, s := range f.all() {
		for _, st := range s.host.Status() {
			own, err := f.site(at).host.Report(st.Shard)
			if err != nil {
				return err.Error(), false
			}
			i := slices.IndexFunc(st.Members, func(m shard.Member) bool { return m.Site == at && m.Role&shard.Voter != 0 })
			if i < 0 || st.Members[i].Replica != own.Replica || len(voters(s)) != 3 {
				return fmt.Sprintf("site %d, shard %d: %+v, and the replica is %x", s.cfg.Site, st.Shard, st.Members, own.Replica), false
			}
		}
	}
	return "", true
}

// restart stops all sites and starts them again.
func (f *fleet) restart() {
	f.t.Helper()
	for id := range f.configs {
		f.stop(id)
	}
	for id := range f.configs {
		f.start(id)
	}
	f.ready()
}

// TestAShardIsBornUnderLoad: while payments go on a shard is born, a slot moves to it, and its owners pay across all three; no request
// fails. An order that is repeated gives the same shard, and everything is there after a restart.
func TestAShardIsBornUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s := f.site(1)
	nomad, spouse, neighbour, far, bank := account(t, 1, 10), account(t, 2, 10), account(t, 3, 20), account(t, 4, 900), account(t, 5, 20)
	f.mustDo(s, f.open(nomad, spouse))
	f.mustDo(s, f.open(neighbour, bank))
	f.mustDo(s, f.open(far))
	for _, to := range []holdfast.AccountID{nomad, spouse, neighbour, far} {
		f.mustDo(s, f.pay(bank, to, 100_000))
	}
	all := []*traffic{
		{f: f, from: nomad, to: spouse},
		{f: f, from: nomad, to: neighbour},
		{f: f, from: neighbour, to: nomad},
		{f: f, from: nomad, to: far},
		{f: f, from: far, to: nomad},
		{f: f, from: bank, to: neighbour},
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, x := range all {
		running.Go(func() { x.run(stop) })
	}
	version := s.ShardMapVersion()
	began := time.Now()
	if at := f.addShard(2, "split-1"); at != 3 {
		t.Errorf("the third shard is number %d", at)
	}
	f.born(3)
	t.Logf("from the order until every site can use the shard: %s", time.Since(began))
	f.oneList(3)
	f.until("the same order again", func() (string, bool) {
		at, err := f.site(3).AddShard(t.Context(), "split-1", version)
		if err == nil && at != 3 {
			t.Fatalf("the same order again: shard %d", at)
		}
		return fmt.Sprint(err), err == nil
	})
	f.moveSlots(s, 3, SlotRange{10, 10})
	f.awaitMove(10, 1, 3)
	before := f.applied(3)
	eventually(t, "some payments in the new shard", func() bool { return f.applied(3) > before+50 })
	close(stop)
	running.Wait()
	for _, x := range all {
		if len(x.wrong) > 0 || x.done == 0 {
			t.Errorf("%s to %s: %d done; %+v", x.from, x.to, x.done, x.wrong)
		}
		t.Logf("%s to %s: %d done, %d asked again, the longest gap was %s", x.from, x.to, x.done, x.again, x.gap)
	}
	f.settled()
	f.restart()
	s = f.site(2)
	paid := func(i int) holdfast.Amount { return holdfast.Amount(all[i].done) }
	f.mustHold(s, nomad, 100_000-paid(0)-paid(1)+paid(2)-paid(3)+paid(4))
	f.mustHold(s, spouse, 100_000+paid(0))
	f.mustHold(s, neighbour, 100_000+paid(1)-paid(2)+paid(5))
	f.mustHold(s, far, 100_000+paid(3)-paid(4))
	f.born(3)
	f.oneList(3)
	f.audit()
	f.checkStatus()
	births, err := s.ShardBirths(t.Context())
	if err != nil || len(births) != 1 || births[0].ID != "split-1" || births[0].Shard != 3 || births[0].State != BirthDone || len(births[0].Founders) != 3 {
		t.Errorf("births: %+v, %v", births, err)
	}
	if at := f.addShard(1, "split-2"); at != 4 {
		t.Errorf("the fourth shard is number %d", at)
	}
	f.born(4)
}

// applied is how far a shard is at the first site.
func (f *fleet) applied(id holdfast.ShardID) (index uint64) {
	_ = f.site(1).host.Read(context.Background(), id, shard.Stale, func(v *shard.View) error {
		index, _ = v.Applied()
		return nil
	})
	return index
}

// TestABirthSurvivesItsDriver: whoever leads the first shard is stopped again and again while shards are born.
func TestABirthSurvivesItsDriver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 1)
	a, b := account(t, 1, 10), account(t, 2, 400)
	f.mustDo(f.site(1), f.open(a, b))
	for round := range 3 {
		driver := f.leader(mapShard)
		at := f.addShard(driver, fmt.Sprint("birth-", round))
		if int(at) != round+2 {
			t.Fatalf("shard %d was ordered, want %d", at, round+2)
		}
		if round == 1 { // between naming and the end, as well as one can meet it
			f.until("founders, or the end", func() (string, bool) {
				m := f.site(driver).ShardMap()
				return fmt.Sprint(m.birth), m.has(at) || m.birth != nil && m.birth.Founders != nil
			})
		}
		f.stop(driver)
		other := f.other(driver)
		f.until("another leads", func() (string, bool) {
			l := other.board.seat(mapShard).leader
			return fmt.Sprint(l), l != 0 && l != driver
		})
		f.start(driver)
		f.born(at)
		f.oneList(at)
	}
	f.restart()
	f.born(4)
	f.mustDo(f.site(3), f.pay(a, b, 1))
	was := f.replicaFor(2, 4)
	f.until("a replica of it is rebuilt", func() (string, bool) {
		err := f.site(2).Rebuild(context.Background(), 4, false)
		return fmt.Sprint(err), err == nil
	})
	f.until("it votes again", func() (string, bool) {
		now := f.replicaFor(2, 4)
		list := f.site(2).host.Status()[3].Members
		return fmt.Sprint(now, list), now != was && len(list) == 3 && slices.Contains(list, shard.Member{Replica: shard.ReplicaID(now), Site: 2, Role: shard.Voter})
	})
	f.born(4)
	f.oneList(4)
	f.audit()
}

// byHand stops one site and announces a birth through another, which then waits for the site that is missing.
func (f *fleet) byHand(down, through holdfast.SiteID, id string) {
	f.t.Helper()
	f.stop(down)
	s := f.site(through)
	f.until("a birth is announced", func() (string, bool) {
		err := s.learnMap(context.Background())
		if err == nil {
			err = s.writeMap(context.Background(), s.ShardMap().announced(id))
		}
		return fmt.Sprint(err), err == nil
	})
}

// replicaFor waits until a site has an identity for a shard.
func (f *fleet) replicaFor(at holdfast.SiteID, id holdfast.ShardID) (replica uint64) {
	f.t.Helper()
	f.until("an identity", func() (string, bool) {
		r, err := f.site(at).host.Report(id)
		replica = uint64(r.Replica)
		return fmt.Sprint(r, err), err == nil && replica != 0
	})
	return replica
}

// TestASiteIsDownDuringABirth: before the founders are named it is waited for, and the birth can be given up; when they are named the
// others go on, and it begins when it is back: as a voter with its disk, without a vote with another one.
func TestASiteIsDownDuringABirth(t *testing.T) {
	long(t)
	t.Parallel()
	for _, wiped := range []bool{false, true} {
		t.Run(fmt.Sprint("wiped ", wiped), func(t *testing.T) {
			f := newFleet(t, 3, 2)
			a, b := account(t, 1, 10), account(t, 2, 11)
			f.mustDo(f.site(1), f.open(a, b))

			f.byHand(2, 1, "too-early") // 1 and 3 make room
			f.until("site 2 is missed", func() (string, bool) {
				list, err := f.site(3).ShardBirths(t.Context())
				return fmt.Sprint(list, err), err == nil && len(list) == 1 && list[0].State == BirthPreparing && strings.Contains(list[0].Doing, "waits: site 2 does not answer")
			})
			third := f.replicaFor(3, 3)
			f.mustDo(f.site(3), f.pay(a, b, 1))
			f.until("a site of a fleet in which a birth waits is ready", func() (string, bool) {
				err := f.site(3).Ready()
				return fmt.Sprint(err), err == nil
			})
			f.until("it is given up", func() (string, bool) {
				err := f.site(3).CancelShard(t.Context(), "too-early")
				return fmt.Sprint(err), err == nil || errors.As(err, new(PlanRefused))
			})
			f.until("what is given up is not given up again", func() (string, bool) {
				err := f.site(3).CancelShard(t.Context(), "too-early")
				return fmt.Sprint(err), errors.As(err, new(PlanRefused))
			})
			f.start(2)
			f.ready()

			f.byHand(3, 1, "named") // 3 keeps its identity on its disk
			founders := []founder{{1, f.replicaFor(1, 3)}, {2, f.replicaFor(2, 3)}, {3, third}}
			f.until("the founders are named", func() (string, bool) {
				err := f.site(1).learnMap(t.Context())
				if err == nil {
					err = f.site(1).writeMap(t.Context(), f.site(1).ShardMap().foundedWith(founders))
				}
				return fmt.Sprint(err), err == nil
			})
			f.born(3)
			if wiped {
				if err := os.RemoveAll(f.configs[3].Data); err != nil {
					t.Fatal(err)
				}
			}
			f.start(3)
			f.born(3)
			f.oneList(3)
			if now := f.replicaFor(3, 3); (now == third) == wiped {
				t.Errorf("wiped: %t; its identity was %x and is %x", wiped, third, now)
			}
			f.until("site 3 votes in every shard, and all know it", func() (string, bool) { return f.vote(3) })
			how := shard.BirthAdopt
			if wiped {
				how = shard.BirthJoin
			}
			if !slices.ContainsFunc(f.site(3).Events(0), func(e Event) bool {
				return e.Shard == 3 && (e.Kind == EventBorn && e.Detail == how.String() || e.Kind == EventRejoin && wiped)
			}) {
				t.Errorf("site 3 did not begin by %s: %+v", how, f.site(3).Events(0))
			}
			f.stop(1) // the other two carry it
			f.until("a payment without site 1", func() (string, bool) {
				o := submit(t, f.site(3), f.pay(a, b, 1))
				return fmt.Sprint(o), o.Status == holdfast.Done
			})
			f.start(1)
			f.ready()
			f.audit()
		})
	}
}

// TestABirthIsRefused: what makes no sense now, and what nobody may order beside it.
func TestABirthIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s := f.site(1)
	refused := func(want string) {
		t.Helper()
		f.until(want, func() (string, bool) {
			_, err := s.AddShard(t.Context(), "order", s.ShardMapVersion())
			return fmt.Sprint(err), errors.As(err, new(PlanRefused)) && strings.Contains(err.Error(), want)
		})
	}
	never := func(what string, order func() error, as func(error) bool) { // which an election answers with another error
		t.Helper()
		f.until(what+" is refused", func() (string, bool) {
			err := order()
			if err == nil {
				t.Fatalf("%s was taken", what)
			}
			return fmt.Sprint(err), as(err)
		})
	}
	unplanned := func(err error) bool { return errors.As(err, new(PlanRefused)) }
	never("an order from another map", func() error { _, err := s.AddShard(t.Context(), "order", 7); return err },
		func(err error) bool { return errors.Is(err, ErrMapChanged) })
	never("an order with a bad id", func() error { _, err := s.AddShard(t.Context(), "No Such/Name", 0); return err }, unplanned)
	never("a move to a shard that is not there", func() error { return f.tryMove(s, 10, 3) }, unplanned)
	f.byHand(3, 1, "other")
	refused("shard 3 is being born already, by order other")
	never("a move to a shard that is not born", func() error { return f.tryMove(s, 10, 3) }, unplanned)
	never("a change of sites beside it", func() error { _, err := s.PlanSites(t.Context(), f.request(SiteRetire, 2, 0)); return err },
		func(err error) bool { return unplanned(err) && strings.Contains(err.Error(), "shard 3 is being born") })
	f.until("it is given up", func() (string, bool) {
		err := s.CancelShard(t.Context(), "other")
		return fmt.Sprint(err), err == nil
	})
	refused("site 3 does not answer")
	f.start(3)
	f.ready()
	old := (&aboutAnswer{Site: 2, Shards: make([]replicaAbout, 2)}).baby(2, 3)
	if !strings.Contains(old.trouble, "does not know how shards are born") {
		t.Errorf("a site of an older release: %+v", old)
	}
	m, r := newShardMap(MaxShards, s.sites()), s.configuredRoster()
	if err := s.birthAllowed(t.Context(), m, r); !errors.As(err, new(PlanRefused)) {
		t.Errorf("one shard too many: %v", err)
	}
	r.Change = &SiteChange{Kind: SiteAdd, Site: 4}
	if err := s.birthAllowed(t.Context(), newShardMap(2, s.sites()), r); !errors.As(err, new(PlanRefused)) {
		t.Errorf("beside a change of sites: %v", err)
	}
	if at := f.addShard(2, "order"); at != 3 {
		t.Errorf("at last shard %d was ordered", at)
	}
	f.born(3)
}

// TestASiteJoinsAGrownFleet: its configuration may say how many shards there are now, or how many there were; afterwards so may that of
// the others.
func TestASiteJoinsAGrownFleet(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.addShard(1, "grow")
	f.born(3)
	f.newcomers(4, 5, 6)
	five := f.configs[5]
	five.Shards = 3
	f.configs[5] = five
	for _, n := range []int{4, 5} {
		f.start(siteID(n))
		f.change(1, f.request(SiteAdd, n, 0))
	}
	f.until("five voters in three shards", func() (string, bool) {
		s := f.site(5)
		return fmt.Sprint(voters(s), s.Ready()), fmt.Sprint(voters(s)) == "[1 2 3 4 5]" && s.Ready() == nil && len(s.ShardIDs()) == 3 && s.extent.Load().first == 2
	})
	f.start(6)
	learn := f.request(SiteAdd, 6, 0)
	learn.Learner = true
	f.change(1, learn)
	f.addShard(5, "grow-more") // the next shard is founded by all five, and copied by the sixth
	f.born(4)
	for _, s := range f.all() {
		f.until("it is a member everywhere", func() (string, bool) {
			r, err := s.host.Report(4)
			six := slices.ContainsFunc(s.host.Status()[3].Members, func(m shard.Member) bool { return m.Site == 6 && m.Role == shard.Learner })
			return fmt.Sprint(r, err), err == nil && len(r.Members.Founders) == 5 && six
		})
	}
	for n, shards := range map[holdfast.SiteID]int{2: 4, 3: 3} {
		c := f.configs[n]
		c.Shards = shards
		f.configs[n] = c
		f.stop(n)
		f.start(n)
	}
	f.born(4)
	for _, shards := range []int{1, 5} {
		wrong := f.configs[2]
		wrong.Shards = shards
		f.stop(2)
		s, err := Open(wrong, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is not that of this configuration") {
			t.Errorf("%d shards in the configuration of a site of four, two at first: %v", shards, err)
		}
		f.start(2)
	}
	f.ready()
	f.audit()
}

// TestAFleetOfOneGetsShards: it has no others to ask, and nothing crosses before the second shard is there.
func TestAFleetOfOneGetsShards(t *testing.T) {
	f := newFleet(t, 1, 1)
	s := f.site(1)
	a, b, c := account(t, 1, 10), account(t, 2, 10), account(t, 3, 20)
	f.mustDo(s, f.open(a, b, c))
	f.mustDo(s, f.pay(c, a, 70))
	f.addShard(1, "second")
	f.born(2)
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	f.mustDo(s, f.pay(a, b, 5))
	f.mustDo(s, f.pay(a, c, 7))
	f.settled()
	f.restart()
	s = f.site(1)
	f.born(2)
	f.mustHold(s, a, 58)
	f.mustHold(s, c, -63)
	f.audit()
}
