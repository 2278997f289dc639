package site

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

func TestVitalsThereAndBack(t *testing.T) {
	want := vitals{carriers: map[holdfast.SiteID]uint8{2: 3, 3: 1}, rates: map[holdfast.ShardID]float64{1: 12.5, 256: 0.25}, peak: 99}
	before := len(want.append(nil)) - len((&vitals{}).append(nil)) + len((&vitals{}).append(nil)[:1+2+2+8]) // what earlier releases send
	want.trips = map[holdfast.SiteID][]time.Duration{2: {10 * time.Millisecond, 30 * time.Millisecond}, 3: {0}}
	want.transit = transitWord{auditing: true, stamp: 7, compared: time.Second, differs: "shard 1", since: time.Minute, trouble: "none"}
	b := want.append(nil)
	got, err := readVitals(b)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for n := range b {
		old, err := readVitals(b[:n])
		if (err == nil) != (n == before) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
		if n == before && (old.peak != 99 || old.carriers[2] != 3 || len(old.trips) > 0 || old.transit.stamp != 0) {
			t.Errorf("of an earlier release: %+v", old)
		}
	}
}

func FuzzVitals(f *testing.F) {
	v := vitals{
		carriers: map[holdfast.SiteID]uint8{2: 3}, rates: map[holdfast.ShardID]float64{1: 1}, peak: 2,
		trips: map[holdfast.SiteID][]time.Duration{2: {time.Millisecond}}, transit: transitWord{stamp: 1, differs: "x"},
	}
	f.Add(v.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := readVitals(b)
		if err != nil {
			return
		}
		again, err := readVitals(v.append(nil))
		if err != nil || len(again.carriers) != len(v.carriers) || len(again.rates) != len(v.rates) || len(again.trips) != len(v.trips) ||
			again.transit.stamp != v.transit.stamp || again.transit.since != v.transit.since {
			t.Errorf("%+v cannot be written and read: %+v, %v", v, again, err)
		}
	})
}

// TestTheForecastSeesWhatIsLost: while all is well any single loss is survived; without one site no other loss is.
func TestTheForecastSeesWhatIsLost(t *testing.T) {
	began := time.Now()
	var f *fleet
	late := lateness(func() { f = newFleetOn(t, 3, 3, 2) })
	a, b := account(t, 1, 10), account(t, 2, 20)
	f.mustDo(f.site(1), f.open(a, b))
	weakest := ""
	survives := func(want bool) func() bool {
		return func() bool {
			now, known := f.site(1).Survival()
			weakest = now.Weakest
			return known && now.Survives == want && (want || now.Weakest != "")
		}
	}
	late = max(late, lateness(func() { eventually(t, "any single loss is survived", survives(true)) }))
	early := slices.ContainsFunc(f.site(1).Events(0), func(e Event) bool { return e.Kind == EventFragile })
	// A machine that stood still for as long as a silence may have lost a site that it knew.
	if early && time.Since(began) < settlingTime && late < 50*time.Millisecond {
		t.Error("a site that does not know its fleet yet has called it fragile")
	}
	eventually(t, "the forecast knows what is led where", func() bool {
		f.mustDo(f.site(1), f.pay(a, b, 1))
		now, _ := f.site(1).Survival()
		return slices.ContainsFunc(now.Forecasts, func(x Forecast) bool {
			return x.Kind == "site" && slices.ContainsFunc(x.Loads, func(l SiteLoad) bool { return l.Rate > 0 && l.Peak > 0 })
		})
	})
	f.stop(3)
	f.until("the loss of another site would not be survived", func() (string, bool) { // at first those that it led have no leader
		known := survives(false)()
		return weakest, known && weakest == "without site-1: shards 1, 2, 3 would stop: no majority of its sites would reach each other"
	})
	kinds := []EventKind{}
	for _, e := range f.site(1).Events(0) {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Contains(kinds, EventFragile) {
		t.Errorf("events %v: none says that the fleet has become fragile", kinds)
	}
}

// A site that has just started knows its fleet when it is whole. What is missing then is more likely still to come than lost; later, and
// once a whole fleet has been seen, it is missing.
func TestForecastsAreNotMadeTooEarly(t *testing.T) {
	for name, miss := range map[string]func(p *picture){
		"a site is not fit":                       func(p *picture) { p.sites[2].fit = false },
		"a carrier is not dialled from one side":  func(p *picture) { p.sites[1].reaches[3][0] = "" },
		"a site has not looked at its carriers":   func(p *picture) { p.sites[2].reaches = nil },
		"a shard has no leader that is known yet": func(p *picture) { p.shards[0].leader = 0 },
		"nothing": func(*picture) {},
	} {
		p := testPicture(3, 2, 2)
		miss(p)
		var f forecaster
		if got := f.knows(p, time.Second); got != (name == "nothing") {
			t.Errorf("%s is missing: known early: %v", name, got)
		}
		if !f.knows(p, settlingTime) {
			t.Errorf("%s is missing: not known in time", name)
		}
		f.latest.Store(&Survival{})
		if !f.knows(p, time.Second) {
			t.Errorf("%s is missing: it was known before", name)
		}
	}
	alone := testPicture(1, 0, 1)
	if !(&forecaster{}).knows(alone, 0) {
		t.Error("a fleet of one waits for somebody")
	}
}

// A peer that answers late is as it was, for a while.
func TestLateVitals(t *testing.T) {
	var f forecaster
	said := map[holdfast.SiteID]vitals{1: {peak: 1}, 2: {peak: 2}}
	f.keep(said, 10*time.Second)
	for after, known := range map[time.Duration]bool{time.Second: true, vitalsAge: true, vitalsAge + 1: false} {
		now := map[holdfast.SiteID]vitals{1: {peak: 9}}
		f.fill(now, 10*time.Second+after)
		if _, ok := now[2]; ok != known || now[1].peak != 9 {
			t.Errorf("after %v: %v", after, now)
		}
	}
}

// A fleet that was founded with cities knows them before anybody has changed its list of sites.
func TestTheForecastKnowsTheConfiguredCities(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(3, 2, 2)
	cities := map[holdfast.SiteID]string{1: "hangzhou", 2: "hangzhou", 3: "shanghai"}
	for id, c := range f.configs {
		c.City = cities[id]
		for i := range c.Peers {
			c.Peers[i].City = cities[c.Peers[i].Site]
		}
		f.configs[id] = c
	}
	f.run()
	for id := range cities {
		eventually(t, "the loss of the city is foretold", func() bool {
			now, _ := f.site(id).Survival()
			return slices.ContainsFunc(now.Forecasts, func(x Forecast) bool {
				return x.Kind == "city" && x.City == "hangzhou" && slices.Equal(x.Sites, []holdfast.SiteID{1, 2}) && !x.Survives
			})
		})
		for _, listed := range f.site(id).Sites(t.Context()) {
			if listed.City != cities[listed.Site] {
				t.Errorf("site %d says that site %d is in %q", id, listed.Site, listed.City)
			}
		}
	}
}

// Sites need not share every carrier: all of them come to one verdict all the same, and none dials what is not there.
func TestSitesWithUnequalCarriersAgree(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(3, 2, 2)
	for id, c := range f.configs {
		for i := range c.Peers {
			switch p := &c.Peers[i]; {
			case id == 3:
				p.Addresses = p.Addresses[:1]
			case p.Site == 3:
				p.Addresses[1] = ""
			}
		}
		if id == 3 {
			c.Link.Listen = c.Link.Listen[:1]
		}
		f.configs[id] = c
	}
	f.run()
	want := []string{"carrier [] 1", "carrier [] 2", "cable [1 2] 1", "cable [1 2] 2", "cable [1 3] 1", "cable [2 3] 1"}
	for id := range f.configs {
		eventually(t, "one verdict everywhere, on what there is", func() bool {
			now, _ := f.site(id).Survival()
			var lines []string
			for _, x := range now.Forecasts {
				if x.Carrier > 0 {
					lines = append(lines, fmt.Sprintf("%s %v %d", x.Kind, x.Sites, x.Carrier))
				}
			}
			return now.Survives && slices.Equal(lines, want)
		})
	}
	for _, p := range f.site(1).link.Peers() {
		if missing := &p.Carriers[1]; p.Site == 3 && (missing.Dials > 0 || missing.Loss > 0) {
			t.Errorf("the carrier that site 3 has not: %+v", missing)
		}
	}
}

// TestTheForecastMeasuresTheWays: the pause that a site foretells is that of the round trips which the sites have measured, and not of what the
// configuration says.
func TestTheForecastMeasuresTheWays(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(10 * time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(3, 1, 1)
	for id, c := range f.configs {
		c.Timing.RoundTrip = 0
		f.configs[id] = c
	}
	f.run()
	election := f.configs[1].Timing.Election()
	for _, s := range f.all() {
		f.until("the pause counts the round trips", func() (string, bool) {
			now, _ := s.Survival()
			for _, x := range now.Forecasts {
				if x.Kind == "site" && len(x.Moves) > 0 {
					return fmt.Sprintf("%+v", x), x.Pause >= election*4/3+3*20*time.Millisecond && x.Worst >= election*9/4+4*20*time.Millisecond
				}
			}
			return "no move is foretold", false
		})
	}
}
