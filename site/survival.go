package site

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// What would happen if something failed now: worked out from what the sites say of themselves and of the carriers between
// them. This file is arithmetic; forecast.go gathers what it works on.

// picture is the fleet as it is now.
type picture struct {
	sites    []siteFacts // in order of number
	shards   []shardFacts
	carriers int                     // that any two sites share
	ways     map[cable]bool          // that there are, up or down: two sites need not share every carrier
	election time.Duration           // the shortest time after which a silent leader is suspected
	trip     time.Duration           // the longest round trip, as configured: for ways of which none was measured
	trips    map[cable]time.Duration // as measured lately, of the carriers that are up
}

// cable is one carrier between two sites, the lower number first.
type cable struct {
	a, b    holdfast.SiteID
	carrier int // from 0
}

func cableOf(a, b holdfast.SiteID, carrier int) cable { return cable{min(a, b), max(a, b), carrier} }

// siteFacts is one site.
type siteFacts struct {
	site    holdfast.SiteID
	name    string
	city    string                       // "": not told
	works   bool                         // it answers and takes its part, so its vote counts
	fit     bool                         // and it is well enough to lead
	reaches map[holdfast.SiteID][]string // by peer: the address per carrier, "" where the carrier is down
	rate    float64                      // transactions a second that it leads
	peak    float64                      // the most it was ever measured to lead, in a second
}

// shardFacts is one shard.
type shardFacts struct {
	shard  holdfast.ShardID
	leader holdfast.SiteID // 0: none
	home   holdfast.SiteID
	voters []holdfast.SiteID
	// outgoing are the voters whose majority is needed as well while a joint change of members lasts.
	outgoing []holdfast.SiteID
	rate     float64 // transactions a second
}

// loss is what fails together.
type loss struct {
	kind    string // "carrier", "cable", "site", "sites", "city"
	city    string
	sites   []holdfast.SiteID
	carrier int // from 0; -1: none
}

// Forecast is what one loss would do.
type Forecast struct {
	Kind     string            // "carrier" everywhere, "cable" between two sites on one carrier, "site", "sites": two at once, "city": all in it
	City     string            // of a city
	Sites    []holdfast.SiteID // that are lost, or at the ends of the cable
	Carrier  int               // from 1; 0: the loss is of no carrier
	Survives bool              // every shard keeps a majority that reaches each other
	Stopped  []holdfast.ShardID
	Moves    []Move        // shards that would get another leader
	Pause    time.Duration // expected, of the shard among those that move of which the longest is; 0: none moves
	Worst    time.Duration // the longest pause of a good election
	Loads    []SiteLoad    // that the sites left would carry
	Breaks   string        // the first thing that would break, in words; "" nothing
}

// Move is a shard that would get another leader.
type Move struct {
	Shard holdfast.ShardID
	From  holdfast.SiteID
	To    []holdfast.SiteID // who could lead; the home first, if it is one of them
}

// SiteLoad is what a site would lead, against the most it was measured to lead.
type SiteLoad struct {
	Site holdfast.SiteID
	Rate float64 // transactions a second, on average over the elections that may come
	Peak float64
}

// losses lists every single loss, and every pair of sites.
func (p *picture) losses() (list []loss) {
	for c := range p.carriers {
		list = append(list, loss{kind: "carrier", carrier: c})
	}
	for i, a := range p.sites {
		for _, b := range p.sites[i+1:] {
			for c := range p.carriers {
				if !p.ways[cableOf(a.site, b.site, c)] {
					continue
				}
				list = append(list, loss{kind: "cable", sites: []holdfast.SiteID{a.site, b.site}, carrier: c})
			}
		}
	}
	for _, a := range p.sites {
		list = append(list, loss{kind: "site", sites: []holdfast.SiteID{a.site}, carrier: -1})
	}
	list = append(list, p.cityLosses()...)
	for i, a := range p.sites {
		for _, b := range p.sites[i+1:] {
			list = append(list, loss{kind: "sites", sites: []holdfast.SiteID{a.site, b.site}, carrier: -1})
		}
	}
	return list
}

// cityLosses lists every city with more than one site: that with one is the site.
func (p *picture) cityLosses() (list []loss) {
	in := map[string][]holdfast.SiteID{}
	for _, s := range p.sites {
		if s.city != "" {
			in[s.city] = append(in[s.city], s.site)
		}
	}
	for _, city := range slices.Sorted(maps.Keys(in)) {
		if len(in[city]) > 1 {
			list = append(list, loss{kind: "city", city: city, sites: in[city], carrier: -1})
		}
	}
	return list
}

// cities are how many different ones there are voters in: a copy without a vote in a third city saves no fleet.
func (p *picture) cities() int {
	in := map[string]bool{}
	for _, s := range p.sites {
		votes := slices.ContainsFunc(p.shards, func(x shardFacts) bool { return slices.Contains(x.voters, s.site) })
		in[s.city] = in[s.city] || s.city != "" && votes
	}
	maps.DeleteFunc(in, func(_ string, votes bool) bool { return !votes })
	return len(in)
}

// alive reports whether a site works after a loss. One that is starved, or has a slow disk, should not lead; it votes all the same.
func (l *loss) alive(s *siteFacts) bool {
	siteLost := (l.kind == "site" || l.kind == "sites" || l.kind == "city") && slices.Contains(l.sites, s.site)
	return s.works && !siteLost
}

// takes reports whether a loss cuts one carrier between two sites.
func (l *loss) takes(a, b holdfast.SiteID, carrier int) bool {
	return carrier == l.carrier && (l.kind == "carrier" || slices.Contains(l.sites, a) && slices.Contains(l.sites, b))
}

// joined reports whether two sites still reach each other, both ways, over some carrier.
func (p *picture) joined(l *loss, a, b *siteFacts) bool {
	if a == b {
		return true
	}
	for c := range p.carriers {
		if up(a, b.site, c) && up(b, a.site, c) && !l.takes(a.site, b.site, c) {
			return true
		}
	}
	return false
}

func up(a *siteFacts, to holdfast.SiteID, carrier int) bool {
	list := a.reaches[to]
	return carrier < len(list) && list[carrier] != ""
}

// whole reports whether nothing is missing: every site is fit, every two reach each other over every carrier, every shard is led.
func (p *picture) whole() bool {
	for i := range p.sites {
		a := &p.sites[i]
		if !a.fit {
			return false
		}
		for j := range p.sites[:i] {
			b := &p.sites[j]
			for c := range p.carriers {
				if p.ways[cableOf(a.site, b.site, c)] && (!up(a, b.site, c) || !up(b, a.site, c)) {
					return false
				}
			}
		}
	}
	return !slices.ContainsFunc(p.shards, func(s shardFacts) bool { return s.leader == 0 })
}

// candidates are the voters of a shard that would reach a majority of it, themselves included; of both its halves, if it has two.
func (p *picture) candidates(l *loss, s *shardFacts) (list []holdfast.SiteID) {
	for _, a := range p.voters(s.voters) {
		if p.reachesMost(l, a, s.voters) && (len(s.outgoing) == 0 || p.reachesMost(l, a, s.outgoing)) {
			list = append(list, a.site)
		}
	}
	slices.SortStableFunc(list, func(a, b holdfast.SiteID) int { return cmp.Compare(homeFirst(s, a), homeFirst(s, b)) })
	return list
}

// reachesMost reports whether a site would reach a majority of some others.
func (p *picture) reachesMost(l *loss, a *siteFacts, sites []holdfast.SiteID) bool {
	reached := 0
	for _, b := range p.voters(sites) {
		if l.alive(a) && l.alive(b) && p.joined(l, a, b) {
			reached++
		}
	}
	return reached > len(sites)/2
}

func homeFirst(s *shardFacts, site holdfast.SiteID) int {
	if site == s.home {
		return 0
	}
	return 1
}

func (p *picture) voters(sites []holdfast.SiteID) (list []*siteFacts) {
	for i := range p.sites {
		if slices.Contains(sites, p.sites[i].site) {
			list = append(list, &p.sites[i])
		}
	}
	return list
}

// forecast works out one loss.
func (p *picture) forecast(l loss) Forecast {
	f := Forecast{Kind: l.kind, City: l.city, Sites: l.sites, Carrier: l.carrier + 1, Survives: true}
	led, most := map[holdfast.SiteID]float64{}, map[holdfast.SiteID]float64{}
	for i := range p.shards {
		s := &p.shards[i]
		able := p.candidates(&l, s)
		switch {
		case len(able) == 0:
			f.Survives = false
			f.Stopped = append(f.Stopped, s.shard)
		case slices.Contains(able, s.leader):
			led[s.leader] += s.rate
			most[s.leader] += s.rate
		default:
			f.Moves = append(f.Moves, Move{s.shard, s.leader, able})
			expected, worst := p.pause(&l, s, able)
			f.Pause, f.Worst = max(f.Pause, expected), max(f.Worst, worst)
			for site, share := range shares(s, able) {
				led[site] += share * s.rate
				most[site] += s.rate
			}
		}
	}
	for i := range p.sites {
		if s := &p.sites[i]; l.alive(s) {
			f.Loads = append(f.Loads, SiteLoad{s.site, led[s.site], s.peak})
		}
	}
	f.Breaks = p.breaks(&l, &f, most)
	return f
}

// pause is how long a shard would wait for another leader, one of those that are able to: the expected time and that of the slowest good
// election. Silence is noticed after one to two election times, drawn at random by each follower, and the first of them campaigns; then come
// a round for PreVote, one for the vote and one for the first entry. Each is as likely as the next to be the first.
func (p *picture) pause(l *loss, s *shardFacts, able []holdfast.SiteID) (expected, worst time.Duration) {
	n := time.Duration(len(able))
	var sum, longest time.Duration
	for _, a := range p.voters(able) {
		round := p.round(l, a, s.voters)
		if len(s.outgoing) > 0 {
			round = max(round, p.round(l, a, s.outgoing))
		}
		sum += round
		longest = max(longest, round)
	}
	return p.election + p.election/(n+1) + 3*sum/n, 2*p.election + p.election/4 + 4*longest
}

// round is how long a site would wait for the answers of a majority of some sites, itself included if it is one of them: of those that would be
// left, the slower ones are not waited for.
func (p *picture) round(l *loss, a *siteFacts, sites []holdfast.SiteID) time.Duration {
	var trips []time.Duration
	for _, b := range p.voters(sites) {
		if l.alive(b) && p.joined(l, a, b) {
			trips = append(trips, p.tripBetween(l, a, b))
		}
	}
	slices.Sort(trips)
	if most := len(sites) / 2; most < len(trips) {
		return trips[most]
	}
	return p.trip
}

// tripBetween is the round trip between two sites on the best carrier that would be left to them.
func (p *picture) tripBetween(l *loss, a, b *siteFacts) time.Duration {
	if a == b {
		return 0
	}
	var best time.Duration
	for c := range p.carriers {
		trip := p.trips[cableOf(a.site, b.site, c)]
		if open := up(a, b.site, c) && up(b, a.site, c) && !l.takes(a.site, b.site, c); open && trip > 0 && (best == 0 || trip < best) {
			best = trip
		}
	}
	return cmp.Or(best, p.trip)
}

// shares are what each site is expected to get of a shard that has to move. It goes home when its home is left, whoever is elected first;
// otherwise it stays with whoever wins, and the first of them whose random wait is over does: each is as likely as the next.
func shares(s *shardFacts, able []holdfast.SiteID) map[holdfast.SiteID]float64 {
	if able[0] == s.home {
		return map[holdfast.SiteID]float64{s.home: 1}
	}
	all := map[holdfast.SiteID]float64{}
	for _, site := range able {
		all[site] = 1 / float64(len(able))
	}
	return all
}

// breaks names the first thing that would go wrong, the worst first. most is what each site would lead if it got every shard that it may get.
func (p *picture) breaks(l *loss, f *Forecast, most map[holdfast.SiteID]float64) string {
	if n := len(f.Stopped); n > 0 {
		return fmt.Sprintf("%s would stop: no majority of its sites would reach each other", shardList(f.Stopped))
	}
	for i := range p.sites {
		for j := range p.sites[i+1:] {
			a, b := &p.sites[i], &p.sites[i+1+j]
			if l.alive(a) && l.alive(b) && !p.joined(l, a, b) && p.joined(&loss{kind: "none", carrier: -1}, a, b) {
				return fmt.Sprintf("%s and %s would not reach each other: they would have no carrier left", a.name, b.name)
			}
		}
	}
	for _, s := range f.Loads {
		switch may := most[s.Site]; {
		case len(f.Moves) == 0:
		case s.Rate > s.Peak:
			return fmt.Sprintf("%s would lead %.0f transactions a second, and was never measured to lead more than %.0f", p.name(s.Site), s.Rate, s.Peak)
		case may > s.Peak:
			return fmt.Sprintf("%s could come to lead %.0f transactions a second, and was never measured to lead more than %.0f", p.name(s.Site), may, s.Peak)
		}
	}
	return ""
}

func (p *picture) name(id holdfast.SiteID) string {
	for i := range p.sites {
		if p.sites[i].site == id {
			return p.sites[i].name
		}
	}
	return fmt.Sprintf("site %d", id)
}

func shardList(ids []holdfast.ShardID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = fmt.Sprint(id)
	}
	if len(words) == 1 {
		return "shard " + words[0]
	}
	return "shards " + strings.Join(words, ", ")
}

// Survival is the answer to "what if".
type Survival struct {
	At        time.Time
	Survives  bool   // every single loss: of a carrier, a cable, a site
	Weakest   string // the first single loss that would not be survived, in words; "" none
	Forecasts []Forecast
	// Transit is whether the payments between shards fit; nil: there is one shard, and none.
	Transit *TransitCheck
}

// survive works out every loss. Pairs of sites are forecast too, and not held against the fleet: no fleet of three survives two.
// Nor is a city held against a fleet in fewer than three of them: it could not survive its larger one.
func (p *picture) survive(at time.Time) Survival {
	s := Survival{At: at, Survives: true}
	for _, l := range p.losses() {
		f := p.forecast(l)
		s.Forecasts = append(s.Forecasts, f)
		counts := l.kind != "sites" && (l.kind != "city" || p.cities() > 2)
		if counts && !f.Survives && s.Survives {
			s.Survives, s.Weakest = false, fmt.Sprintf("without %s: %s", p.describe(&f), f.Breaks)
		}
	}
	return s
}

// describe names a loss.
func (p *picture) describe(f *Forecast) string {
	names := make([]string, len(f.Sites))
	for i, id := range f.Sites {
		names[i] = p.name(id)
	}
	switch f.Kind {
	case "carrier":
		return fmt.Sprintf("carrier %d everywhere", f.Carrier)
	case "city":
		return "the city " + f.City
	case "cable":
		return fmt.Sprintf("the cable of carrier %d between %s and %s", f.Carrier, names[0], names[1])
	}
	return strings.Join(names, " and ")
}
