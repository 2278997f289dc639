package site

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
	"holdfast/link"
	"holdfast/shard"
)

// sickFleet is three sites whose disks can be made slow, with short times until a site that was sick is trusted again.
func sickFleet(t *testing.T, coolDown, home time.Duration) (f *fleet, slow map[holdfast.SiteID]*atomic.Int64) {
	f = &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(3, 3, 1)
	slow = map[holdfast.SiteID]*atomic.Int64{1: {}, 2: {}, 3: {}}
	f.edit = func(id holdfast.SiteID, o *Options) {
		o.Care = shard.CareBounds{CoolDown: coolDown}
		o.OnWrite = func(time.Duration, int) { time.Sleep(time.Duration(slow[id].Load())) }
	}
	t.Cleanup(func() {
		f.net.HealAll()
		for id := range f.configs {
			f.stop(id)
		}
		if err := f.net.Close(); err != nil {
			t.Error(err)
		}
	})
	for id, c := range f.configs {
		c.Timing.Home = Duration(home)
		f.configs[id] = c
		f.start(id)
	}
	f.ready()
	return f, slow
}

// wentHome counts how often a shard was sent home to a site.
func (f *fleet) wentHome(id holdfast.ShardID, home holdfast.SiteID) (n int) {
	for _, s := range f.all() {
		for _, e := range s.Events(0) {
			if e.Kind == EventHome && e.Shard == id && e.Site == home {
				n++
			}
		}
	}
	return n
}

// long leaves a test out of the short ones, where the race detector is: it waits for most of its time, or works for most of it, for what other
// tests have raced for.
func long(t *testing.T) {
	if testing.Short() {
		t.Skip("other tests race for the same")
	}
}

// TestASickDiskKeepsALeaderAway: a site with a slow disk gives up what it leads, gets nothing back while it is sick, is led home to when it
// was well for a while, and after a relapse when it was well for twice as long.
func TestASickDiskKeepsALeaderAway(t *testing.T) {
	long(t)
	t.Parallel()
	const coolDown, home = 500 * time.Millisecond, time.Second
	f, slow := sickFleet(t, coolDown, home)
	a, b := account(t, 1, 400), account(t, 2, 401) // of shard 2, which is at home at site 2
	f.mustDo(f.site(1), f.open(a, b))
	eventually(t, "shard 2 is led from its home", func() bool { return f.site(1).board.seat(2).leader == 2 })
	st := f.stream(a, b, 4)
	for round, need := range []time.Duration{home, 2 * home} {
		slow[2].Store(int64(150 * time.Millisecond))
		eventually(t, "the sick leader hands over", func() bool { return f.site(1).board.seat(2).leader%2 == 1 })
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
			st.more(1)
			if f.site(1).board.seat(2).leader == 2 {
				t.Fatalf("round %d: the shard was sent home to the sick disk", round)
			}
		}
		slow[2].Store(0)
		well := time.Now()
		eventually(t, "the leadership is home again", func() bool { return f.site(1).board.seat(2).leader == 2 })
		if after := time.Since(well); after < coolDown+need {
			t.Errorf("round %d: home %v after it was well again, sooner than %v", round, after, coolDown+need)
		}
	}
	st.end()
	eventually(t, "they say that it went home", func() bool { return f.wentHome(2, 2) >= 2 })
	if !slices.ContainsFunc(f.site(2).Events(0), func(e Event) bool { return e.Kind == EventYields }) {
		t.Error("nobody was told why")
	}
}

// TestHeirsAreWell: a site that stops gives its leaderships to one that is well, if there is one.
func TestHeirsAreWell(t *testing.T) {
	f, _ := sickFleet(t, time.Hour, time.Hour)
	leader := f.leader(1)
	s := f.site(leader)
	sick, other := leader%3+1, (leader+1)%3+1
	p := s.watch.peer(sick)
	eventually(t, "two heirs", func() bool { return len(s.heirs(1)) == 2 })
	eventually(t, "the sick one is the last", func() bool {
		word := *p.latest.Load()
		word.unwell = true
		p.latest.Store(&word) // as its next pulse would say, until one comes that says otherwise
		return slices.Equal(s.heirs(1), []holdfast.SiteID{other, sick}) && !s.wellPeer(sick)
	})
}

func TestHeardBadly(t *testing.T) {
	const ms = time.Millisecond
	carriers := func(list ...link.CarrierStatus) link.PeerStatus { return link.PeerStatus{Up: true, Carriers: list} }
	good, bad := link.CarrierStatus{Up: true, RTT: 12 * ms, MinRTT: 10 * ms}, link.CarrierStatus{Up: true, RTT: 120 * ms, MinRTT: 10 * ms}
	silent := carriers(bad)
	silent.Silence = time.Second
	for name, row := range map[string]struct {
		peer link.PeerStatus
		want bool
	}{
		"well":                             {carriers(good, good), false},
		"one carrier is bad":               {carriers(good, bad), false},
		"both are":                         {carriers(bad, bad), true},
		"one is, the other is down":        {carriers(bad, link.CarrierStatus{}), true},
		"far away, and not much slower":    {carriers(link.CarrierStatus{Up: true, RTT: 350 * ms, MinRTT: 200 * ms}), false},
		"near, and slowed by busy machine": {carriers(link.CarrierStatus{Up: true, RTT: 60 * ms, MinRTT: ms}), false},
		"silent":                           {silent, false},
		"down":                             {link.PeerStatus{Carriers: []link.CarrierStatus{{}, {}}}, false},
	} {
		if got := heardBadly(&row.peer); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestALossySiteKnowsIt: when everything that one site sends and hears comes late on both carriers, it knows, leads nothing, and the others
// are well.
func TestALossySiteKnowsIt(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleetOn(t, 3, 3, 2)
	ofTwo := func(r fault.Route) bool { return r.From == 2 || r.To == 2 }
	f.net.LossyWhere(ofTwo, 0.3, 200*time.Millisecond, 1)
	eventually(t, "the lossy site knows it", func() bool { return !f.site(2).host.Well() })
	eventually(t, "others lead everything", func() bool {
		led := f.leaders(f.site(1))
		return !slices.Contains(led, 2) && !slices.Contains(led, 0)
	})
	if !f.site(1).host.Well() || !f.site(3).host.Well() {
		t.Error("the others say that they are not well")
	}
	f.net.LossyWhere(ofTwo, 0, 0, 1)
}

// TestACutPairIsLedByTheThird: a leader that one of two others does not reach any more, in one direction, hands over to the one that is
// reached by all, and gets it back when it was whole for a while.
func TestACutPairIsLedByTheThird(t *testing.T) {
	long(t)
	t.Parallel()
	f, _ := sickFleet(t, time.Second, time.Second)
	for _, id := range []holdfast.SiteID{1, 2, 3} {
		eventually(t, "all say that they reach all", func() bool { return len(f.site(id).reach.told()) == 2 })
	}
	const first, deaf, third = 1, 2, 3
	eventually(t, "shard 1 is led from its home", func() bool { return f.site(first).board.seat(1).leader == first })
	f.net.CutWhere(func(r fault.Route) bool { return r.From == first && r.To == deaf })
	eventually(t, "the third leads", func() bool { return f.site(third).board.seat(1).leader == third && !f.site(first).host.Well() })
	f.net.HealAll()
	eventually(t, "it leads again", func() bool { return f.site(first).board.seat(1).leader == first && f.site(first).host.Well() })
}
