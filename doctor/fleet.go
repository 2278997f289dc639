package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// Fleet is what a running fleet says of itself.
type Fleet struct {
	Sites    []client.Site
	Shards   []client.Shard
	Survival client.Survival
	// Clocks is what each site's clock said, minus ours, to the second ([RFC 9110], section 6.6.1); sites that did not answer are missing.
	//
	// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
	Clocks map[holdfast.SiteID]time.Duration
	// Unasked are the sites that could not be asked themselves, and why: what only they know is missing.
	Unasked map[holdfast.SiteID]string
	// Views are what the other sites that answered see of the fleet: the carriers between two of them nobody else knows.
	Views map[holdfast.SiteID][]client.Site
	// Banks is how the work with each bank is doing, and Differences how many of those between their books and the ledger nobody has explained.
	Banks       []client.Bank
	Differences int
	// RoundTrip is that of the configuration; 0: no configuration was given.
	RoundTrip time.Duration
}

const (
	clockDiffers = 2 * time.Second
	lossMuch     = 0.01
	silentLong   = 2 * time.Second
	lagMuch      = 10_000 // entries
)

// roleLearner is the role of a site that holds a copy without a vote.
const roleLearner = "learner"

// ExamineFleet says what is wrong with a running fleet.
func ExamineFleet(x *Fleet, now time.Time) []Finding {
	var f findings
	for i := range x.Sites {
		f.site(x, &x.Sites[i], now)
	}
	f.views(x, now)
	for i := range x.Shards {
		f.shard(&x.Shards[i], len(x.Sites) == 1)
	}
	f.where = "fleet"
	f.versions(x)
	f.clocks(x)
	f.unasked(x)
	f.banks(x, now)
	if len(x.Sites) == 1 {
		f.add(Advice, "site-single", "run three sites or more before real money is in it, see the README", "there is one site: without it nobody can pay")
		return f.list
	}
	f.survival(x)
	f.transit(x)
	return f.list
}

func (f *findings) site(x *Fleet, s *client.Site, now time.Time) {
	g := findings{where: siteName(s.Site, s.Name)}
	defer func() { f.list = append(f.list, g.list...) }()
	if !s.Reachable && s.Role == roleLearner {
		g.add(Warning, "learner-unreachable", "bring it back, or retire it (holdfast site retire): payments do not need it",
			"it does not answer the site that was asked; it holds a copy without a vote, which grows old")
		return
	}
	if !s.Reachable {
		g.add(Critical, "site-unreachable", "see docs/runbooks: is its process running, are its carriers up?", "it does not answer the site that was asked")
		return
	}
	if !s.Ready {
		g.add(Warning, "site-not-ready", "wait if it has just started; otherwise its log says what it waits for", "it takes no requests")
	}
	if !s.DigestOK {
		g.add(Critical, "replica-differs", "keep its data; see docs/runbooks", "a replica there has computed something else than the others, and left service")
	}
	if s.DiskFull {
		g.add(Critical, "disk-low", "make room there", "its disk is full: it takes no new payments, %d MiB are free", s.DiskFree>>20)
	}
	g.liveDisk(s)
	if !s.Self && len(s.Carriers) > 0 {
		g.live(x, s, now)
	}
}

// liveDisk looks at what a site says of its own disk while it works.
func (f *findings) liveDisk(s *client.Site) {
	const do = "look at the disk and at what else writes to it; the site hands its leaderships to one whose disk is well"
	took := time.Duration(s.DiskWrite * float64(time.Millisecond))
	switch {
	case !s.Self:
	case s.DiskSick:
		f.add(Critical, "disk-sick", do, "a write to its disk hangs, or they take too long to lead on: half of the last took %v or more", took)
	case took > diskSlow:
		f.add(Warning, "disk-slow", do, "half of the synced writes of the last two seconds took %v or more; a payment waits for two of them", took)
	}
}

// views looks at the carriers as each of the other sites sees them.
func (f *findings) views(x *Fleet, now time.Time) {
	names := map[holdfast.SiteID]string{}
	for i := range x.Sites {
		names[x.Sites[i].Site] = x.Sites[i].Name
	}
	for _, from := range slices.Sorted(maps.Keys(x.Views)) {
		for i := range x.Views[from] {
			if s := &x.Views[from][i]; s.Self {
				g := findings{where: siteName(from, names[from])}
				g.liveDisk(s)
				f.list = append(f.list, g.list...)
			}
			if s := &x.Views[from][i]; !s.Self && s.Reachable && len(s.Carriers) > 0 {
				g := findings{where: siteName(from, names[from]) + ", way to " + siteName(s.Site, s.Name)}
				g.live(x, s, now)
				f.list = append(f.list, g.list...)
			}
		}
	}
}

// unasked says what was not looked at: a clock that nobody could ask for is no clock that is right.
func (f *findings) unasked(x *Fleet) {
	for i := range x.Sites {
		s := &x.Sites[i]
		if why, is := x.Unasked[s.Site]; is && s.Reachable {
			f.add(Warning, "site-unasked", "give the [[peer]] of that site an http that can be reached from here, or run doctor there",
				"%s could not be asked itself: %s; its clock and its carriers were not looked at", siteName(s.Site, s.Name), why)
		}
	}
}

// live looks at the carriers between the site that answers and another.
func (f *findings) live(x *Fleet, s *client.Site, now time.Time) {
	up, shared := 0, 0
	for i := range s.Carriers {
		c := &s.Carriers[i]
		if c.Address == "" {
			continue // the two do not share it
		}
		shared++
		if c.Connected && now.Sub(c.LastHeard) < silentLong {
			up++
		} else {
			f.add(Warning, "carrier-silent", "call the company that runs it; payments go on by the other carriers", "nothing comes by carrier %d (%s)", i+1, c.Address)
		}
		if c.Loss > lossMuch {
			f.add(Warning, "carrier-lossy", "call the company that runs it", "carrier %d (%s) brings %.0f%% late or not at all", i+1, c.Address, 100*c.Loss)
		}
	}
	if shared == 1 || up == 1 {
		f.add(Warning, "carrier-single", "give the two sites a second carrier, of another company and through another street",
			"one carrier is up: when it is cut, the site is cut off from the one that says so")
	}
	addresses := make([]string, len(s.Carriers))
	for i := range s.Carriers {
		addresses[i] = s.Carriers[i].Address
	}
	f.shared("it", addresses)
	if rtt := time.Duration(s.RoundTrip * float64(time.Millisecond)); x.RoundTrip > 0 && rtt > 2*x.RoundTrip && s.Role != roleLearner { // nobody waits for that
		f.add(Warning, "round-trip", "set timing.round_trip to what is measured on a normal day; the other times are checked against it",
			"it is %v away, and the configuration says %v", rtt.Round(time.Microsecond), x.RoundTrip)
	}
}

func (f *findings) shard(s *client.Shard, single bool) {
	g := findings{where: fmt.Sprintf("shard %d", s.Shard)}
	if s.Leader == 0 {
		g.add(Critical, "no-leader", "see what the sites say: a majority of its replicas has to reach each other", "nobody leads it: its owners cannot pay")
	}
	if !s.InService {
		g.add(Critical, "replica-out-of-service", "see docs/runbooks; holdfast fsck names what is damaged", "the replica of the site that was asked has left service: %s", s.Reason)
	} else if s.Reason != "" {
		g.add(Warning, "replica-behind", "nothing if it is on its way; if it waits, do what it says", "the replica of the site that was asked is no help to the others: %s", s.Reason)
	}
	voters := 0
	for _, m := range s.Members {
		if !m.Learner {
			voters++
		}
		if m.Lag > lagMuch {
			g.add(Warning, "replica-lags", "it catches up by itself if its disk and carriers can; see carrier and disk findings",
				"site %d is %d entries behind", m.Site, m.Lag)
		}
	}
	if voters > 0 && voters < 3 && !single {
		g.add(Critical, "voters-few", "add replicas: holdfast site add, or holdfast site replace", "it has %d voters: the loss of one stops it", voters)
	}
	f.list = append(f.list, g.list...)
}

func (f *findings) versions(x *Fleet) {
	by := map[string][]string{}
	for i := range x.Sites {
		if s := &x.Sites[i]; s.Version != "" {
			by[s.Version] = append(by[s.Version], s.Name)
		}
	}
	if len(by) < 2 {
		return
	}
	var text []string
	for _, v := range slices.Sorted(maps.Keys(by)) {
		text = append(text, fmt.Sprintf("%s at %s", v, strings.Join(by[v], ", ")))
	}
	f.add(Warning, "versions-mixed", "end the upgrade: one version everywhere", "%s", strings.Join(text, "; "))
}

func (f *findings) clocks(x *Fleet) {
	if len(x.Clocks) == 0 {
		return
	}
	names := map[holdfast.SiteID]string{}
	for i := range x.Sites {
		names[x.Sites[i].Site] = x.Sites[i].Name
	}
	ids := slices.Sorted(maps.Keys(x.Clocks))
	low, high := ids[0], ids[0]
	for _, id := range ids {
		if x.Clocks[id] < x.Clocks[low] {
			low = id
		}
		if x.Clocks[id] > x.Clocks[high] {
			high = id
		}
	}
	if gap := x.Clocks[high] - x.Clocks[low]; gap > clockDiffers {
		f.add(Warning, "clocks-differ", "run chrony or another NTP client on every site",
			"the clock of %s is %v ahead of that of %s: payments would be stamped late after a change of leader",
			siteName(high, names[high]), gap.Round(time.Second), siteName(low, names[low]))
	}
}

// cities are how many different ones there are voters in.
func cities(sites []client.Site) int {
	in := map[string]bool{}
	for i := range sites {
		if s := &sites[i]; s.City != "" && s.Role != roleLearner {
			in[s.City] = true
		}
	}
	return len(in)
}

// transit repeats what the fleet itself says of the money between its shards.
func (f *findings) transit(x *Fleet) {
	const do = "see docs/runbooks/transit-differs.md"
	switch t := x.Survival.Transit; {
	case t.Well():
	case t.Differs != "":
		f.add(Critical, "transit-differs", do, "payments between shards do not fit: %s", t.Differs)
	case t.Compared.IsZero():
		f.add(Warning, "transit-unknown", do, "payments between shards have never been compared: %s", cmp.Or(t.Trouble, "it is not known why"))
	default:
		f.add(Warning, "transit-unknown", do, "payments between shards were compared last at %s: %s", t.Compared.UTC().Format(time.RFC3339),
			cmp.Or(t.Trouble, "it is not known why"))
	}
}

// survival repeats what the fleet itself expects of each single loss. Two sites at once are more than a fleet of three is made for; and
// no fleet in two cities survives the larger one: there it is worth a word, and no alarm, as in holdfast status.
func (f *findings) survival(x *Fleet) {
	for i := range x.Survival.Losses {
		l := &x.Survival.Losses[i]
		single := l.Loss != "sites"
		switch {
		case l.Survives || !single:
		case l.Loss == "city" && (x.Survival.Survives || cities(x.Sites) < 3):
			f.add(Advice, "city-not-survived", "spread the sites over three cities, no more than two of five in each",
				"without %s: %s", l.Name(nil), l.Breaks)
		default:
			f.add(Critical, "loss-not-survived", "see holdfast status for the whole list", "without %s: %s", l.Name(nil), l.Breaks)
		}
		for _, s := range l.Loads {
			if single && s.Peak > 0 && s.Rate > s.Peak {
				f.add(Warning, "capacity-missing", "add capacity there, or spread the leaders",
					"without %s, site %d would carry %.0f payments a second, and has been measured to carry %.0f", l.Name(nil), s.Site, s.Rate, s.Peak)
			}
		}
	}
}
