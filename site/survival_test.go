package site

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/shard"
)

// testPicture is a healthy fleet: every site reaches every other over every carrier, every shard has a voter everywhere.
func testPicture(sites, carriers, shards int) *picture {
	p := &picture{carriers: carriers, ways: map[cable]bool{}, election: 100 * time.Millisecond, trip: 10 * time.Millisecond}
	for n := 1; n <= sites; n++ {
		s := siteFacts{site: siteID(n), name: fmt.Sprintf("site-%d", n), works: true, fit: true, reaches: map[holdfast.SiteID][]string{}, peak: 500}
		for m := 1; m <= sites; m++ {
			if m != n {
				s.reaches[siteID(m)] = slices.Repeat([]string{"up"}, carriers)
				for c := range carriers {
					p.ways[cableOf(s.site, siteID(m), c)] = true
				}
			}
		}
		p.sites = append(p.sites, s)
	}
	for k := range shards {
		home := p.sites[k%sites].site
		f := shardFacts{shard: holdfast.ShardID(k + 1), leader: home, home: home, rate: 100}
		for i := range p.sites {
			f.voters = append(f.voters, p.sites[i].site)
		}
		p.shards = append(p.shards, f)
	}
	return p
}

// cutCarrier takes a carrier between two sites down.
func (p *picture) cutCarrier(a, b, carrier int) {
	p.sites[a-1].reaches[siteID(b)][carrier] = ""
	p.sites[b-1].reaches[siteID(a)][carrier] = ""
}

// told is a forecast in one line.
func told(f *Forecast) string {
	var moves []string
	for _, m := range f.Moves {
		moves = append(moves, fmt.Sprintf("%d:%d>%v", m.Shard, m.From, m.To))
	}
	return fmt.Sprintf("%s %v carrier %d: survives %v, stops %v, moves [%s], breaks %q", f.Kind, f.Sites, f.Carrier, f.Survives, f.Stopped,
		strings.Join(moves, " "), f.Breaks)
}

func TestSurvival(t *testing.T) {
	rows := []struct {
		name     string
		picture  func() *picture
		survives bool
		says     []string // lines that must be among the forecasts
	}{
		{"three sites, two carriers", func() *picture { return testPicture(3, 2, 3) }, true, []string{
			`carrier [] carrier 1: survives true, stops [], moves [], breaks ""`,
			`cable [1 2] carrier 2: survives true, stops [], moves [], breaks ""`,
			`site [1] carrier 0: survives true, stops [], moves [1:1>[2 3]], breaks ""`,
			`sites [1 2] carrier 0: survives false, stops [1 2 3], moves [], breaks "shards 1, 2, 3 would stop: no majority of its sites would reach each other"`,
		}},
		{"three sites, one carrier: it carries everything", func() *picture { return testPicture(3, 1, 1) }, false, []string{
			`carrier [] carrier 1: survives false, stops [1], moves [], breaks "shard 1 would stop: no majority of its sites would reach each other"`,
			`cable [1 2] carrier 1: survives true, stops [], moves [], breaks "site-1 and site-2 would not reach each other: they would have no carrier left"`,
		}},
		{"a site is down already", func() *picture {
			p := testPicture(3, 2, 1)
			p.sites[2].works, p.sites[2].fit = false, false
			return p
		}, false, []string{
			`site [2] carrier 0: survives false, stops [1], moves [], breaks "shard 1 would stop: no majority of its sites would reach each other"`,
			`site [3] carrier 0: survives true, stops [], moves [], breaks ""`,
		}},
		{"a site that is not fit to lead votes all the same", func() *picture {
			p := testPicture(3, 2, 1)
			p.sites[2].fit = false
			return p
		}, true, []string{
			`site [1] carrier 0: survives true, stops [], moves [1:1>[2 3]], breaks ""`,
			`site [2] carrier 0: survives true, stops [], moves [], breaks ""`,
		}},
		{"five sites survive any two", func() *picture { return testPicture(5, 2, 5) }, true, []string{
			`sites [1 2] carrier 0: survives true, stops [], moves [1:1>[3 4 5] 2:2>[3 4 5]], breaks ""`,
		}},
		{"one pair is down to one carrier, the leader has another follower", func() *picture {
			p := testPicture(3, 2, 1)
			p.cutCarrier(1, 2, 0)
			return p
		}, true, []string{
			`carrier [] carrier 2: survives true, stops [], moves [], breaks "site-1 and site-2 would not reach each other: they would have no carrier left"`,
		}},
		{"both cables of the leader are down to one carrier", func() *picture {
			p := testPicture(3, 2, 1)
			p.cutCarrier(1, 2, 0)
			p.cutCarrier(1, 3, 0)
			return p
		}, true, []string{
			`carrier [] carrier 2: survives true, stops [], moves [1:1>[2 3]], breaks "site-1 and site-2 would not reach each other: they would have no carrier left"`,
		}},
		{"a way that is open in one direction only is none", func() *picture {
			p := testPicture(3, 1, 1)
			p.sites[0].reaches[2][0] = ""
			p.sites[0].reaches[3][0] = ""
			return p
		}, false, []string{
			`site [2] carrier 0: survives false, stops [1], moves [], breaks "shard 1 would stop: no majority of its sites would reach each other"`,
		}},
		{"half of the load of the lost site is more than was ever measured", func() *picture {
			p := testPicture(3, 2, 3)
			p.shards[0].rate, p.sites[1].peak = 900, 500
			return p
		}, true, []string{
			`site [1] carrier 0: survives true, stops [], moves [1:1>[2 3]], breaks "site-2 would lead 550 transactions a second, and was never measured to lead more than 500"`,
		}},
		{"two majorities are needed while members change", func() *picture {
			p := testPicture(4, 2, 1)
			p.shards[0].voters, p.shards[0].outgoing = halves([]shard.Member{
				{Site: 1, Role: shard.Voter | shard.OldVoter},
				{Site: 2, Role: shard.Voter | shard.OldVoter},
				{Site: 3, Role: shard.OldVoter},
				{Site: 4, Role: shard.Voter},
			})
			p.sites[2].works, p.sites[2].fit = false, false
			return p
		}, false, []string{
			`site [2] carrier 0: survives false, stops [1], moves [], breaks "shard 1 would stop: no majority of its sites would reach each other"`,
			`site [4] carrier 0: survives true, stops [], moves [], breaks ""`,
		}},
		{"the load of the lost site is more than was ever measured", func() *picture {
			p := testPicture(3, 2, 3)
			p.shards[0].rate, p.sites[1].peak = 450, 500
			return p
		}, true, []string{
			`site [1] carrier 0: survives true, stops [], moves [1:1>[2 3]], breaks "site-2 could come to lead 550 transactions a second, and was never measured to lead more than 500"`,
		}},
		{"a learner in a third city makes no fleet of three cities", func() *picture {
			p := testPicture(4, 2, 1)
			p.shards[0].voters = p.shards[0].voters[:3]
			for i, city := range []string{"hangzhou", "hangzhou", "shanghai", "beijing"} {
				p.sites[i].city = city
			}
			return p
		}, true, []string{
			`city [1 2] carrier 0: survives false, stops [1], moves [], breaks "shard 1 would stop: no majority of its sites would reach each other"`,
			`site [4] carrier 0: survives true, stops [], moves [], breaks ""`,
			`sites [1 4] carrier 0: survives true, stops [], moves [1:1>[2 3]], breaks ""`,
		}},
		{"voters in three cities have to survive any", func() *picture {
			p := testPicture(4, 2, 1)
			for i, city := range []string{"hangzhou", "hangzhou", "shanghai", "beijing"} {
				p.sites[i].city = city
			}
			return p
		}, false, nil},
		{"the home of a shard is where it goes, when it is led elsewhere", func() *picture {
			p := testPicture(3, 2, 1)
			p.shards[0].leader, p.shards[0].home = 1, 3
			return p
		}, true, []string{
			`site [1] carrier 0: survives true, stops [], moves [1:1>[3 2]], breaks ""`,
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := row.picture().survive(time.Unix(0, 0))
			var lines []string
			for i := range s.Forecasts {
				lines = append(lines, told(&s.Forecasts[i]))
			}
			if s.Survives != row.survives || s.Survives == (s.Weakest != "") {
				t.Errorf("survives %v (%q), want %v", s.Survives, s.Weakest, row.survives)
			}
			for _, want := range row.says {
				if !slices.Contains(lines, want) {
					t.Errorf("no forecast says\n%s\nbut\n%s", want, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

// TestSurvivalCountsEveryLoss: each carrier, each cable, each site, each pair of sites, once.
func TestSurvivalCountsEveryLoss(t *testing.T) {
	for _, row := range []struct{ sites, carriers, want int }{{1, 0, 1}, {3, 1, 1 + 3 + 3 + 3}, {3, 2, 2 + 6 + 3 + 3}, {5, 3, 3 + 30 + 5 + 10}} {
		if got := len(testPicture(row.sites, row.carriers, 1).losses()); got != row.want {
			t.Errorf("%d sites, %d carriers: %d losses, want %d", row.sites, row.carriers, got, row.want)
		}
	}
}

// TestPausesOfLosses: what is foretold counts the round trips that were measured between those who would be left, over the carriers that would
// be left, and no further than to a majority.
func TestPausesOfLosses(t *testing.T) {
	const ms = time.Millisecond
	trip := func(p *picture, a, b int, trips ...time.Duration) {
		for c, d := range trips {
			p.trips[cableOf(siteID(a), siteID(b), c)] = d
		}
	}
	for _, row := range []struct {
		name            string
		sites, carriers int
		measured        func(p *picture)
		of              loss
		pause, worst    time.Duration
	}{
		{"nothing was measured: what is configured counts", 3, 1, nil, loss{kind: "site", sites: []holdfast.SiteID{1}}, 100*ms*4/3 + 30*ms, 225*ms + 40*ms},
		{"the way between the two that are left", 3, 1, func(p *picture) {
			trip(p, 1, 2, 1*ms)
			trip(p, 1, 3, 1*ms)
			trip(p, 2, 3, 30*ms)
		}, loss{kind: "site", sites: []holdfast.SiteID{1}}, 100*ms*4/3 + 90*ms, 225*ms + 120*ms},
		{
			"the best of two carriers", 3, 2, func(p *picture) { trip(p, 2, 3, 30*ms, 4*ms) },
			loss{kind: "site", sites: []holdfast.SiteID{1}},
			100*ms*4/3 + 12*ms, 225*ms + 16*ms,
		},
		{"of which one is down", 3, 2, func(p *picture) {
			trip(p, 2, 3, 30*ms, 4*ms)
			p.cutCarrier(2, 3, 1)
		}, loss{kind: "site", sites: []holdfast.SiteID{1}}, 100*ms*4/3 + 90*ms, 225*ms + 120*ms},
		{"a carrier that is lost does not count, nor does a leader that nobody reaches", 3, 2, func(p *picture) {
			trip(p, 2, 3, 30*ms, 4*ms)
			p.cutCarrier(1, 2, 0)
			p.cutCarrier(1, 3, 0)
		}, loss{kind: "carrier", carrier: 1}, 100*ms*4/3 + 90*ms, 225*ms + 120*ms},
		{"a majority of five, of which one is lost, is the two nearest of three others", 5, 1, func(p *picture) {
			for a := 2; a <= 5; a++ {
				for b := a + 1; b <= 5; b++ {
					trip(p, a, b, time.Duration(b-a)*10*ms) // 2: 10 20 30, 3: 10 10 20, 4: 20 10 10, 5: 30 20 10
				}
			}
		}, loss{kind: "site", sites: []holdfast.SiteID{1}}, 100*ms*6/5 + 3*(20+10+10+20)*ms/4, 225*ms + 80*ms},
		{"both majorities, while members change", 4, 1, func(p *picture) {
			p.shards[0].voters, p.shards[0].outgoing = []holdfast.SiteID{1, 2, 3}, []holdfast.SiteID{1, 2, 4}
			trip(p, 2, 3, 10*ms)
			trip(p, 2, 4, 50*ms)
			trip(p, 3, 4, 20*ms)
		}, loss{kind: "site", sites: []holdfast.SiteID{1}}, 100*ms*4/3 + 3*(50+20)*ms/2, 225*ms + 200*ms},
		{"nobody has to move", 3, 1, func(p *picture) { trip(p, 2, 3, 30*ms) }, loss{kind: "site", sites: []holdfast.SiteID{2}}, 0, 0},
	} {
		p := testPicture(row.sites, row.carriers, 1)
		p.trips = map[cable]time.Duration{}
		if row.measured != nil {
			row.measured(p)
		}
		if row.of.kind == "site" {
			row.of.carrier = -1
		}
		f := p.forecast(row.of)
		if off := max(f.Pause-row.pause, row.pause-f.Pause, f.Worst-row.worst, row.worst-f.Worst); off > time.Microsecond {
			t.Errorf("%s: pause %v, worst %v; want %v, %v", row.name, f.Pause, f.Worst, row.pause, row.worst)
		}
	}
}

// TestMeasuredTrips: of what the two ends have measured the longer counts, and what one of them does not know the other may.
func TestMeasuredTrips(t *testing.T) {
	const ms = time.Millisecond
	trips := measuredTrips(map[holdfast.SiteID]vitals{
		1: {trips: map[holdfast.SiteID][]time.Duration{2: {10 * ms, 0}}},
		2: {trips: map[holdfast.SiteID][]time.Duration{1: {12 * ms, 7 * ms}, 3: {0, 0}}},
		3: {},
	})
	if want := map[cable]time.Duration{{1, 2, 0}: 12 * ms, {1, 2, 1}: 7 * ms}; !maps.Equal(trips, want) {
		t.Errorf("%v, want %v", trips, want)
	}
}
