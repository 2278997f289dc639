package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// fleet is the whole fleet, put together from what each site says of itself and of the others.
type fleet struct {
	At       time.Time
	Sites    []siteNow
	Cables   []cable
	Shards   []client.Shard
	Survival client.Survival
	Foretold bool // Survival is known
	Banks    []client.Bank
	Change   *client.SiteChange
	Events   []client.JournalEvent // of the site that was asked, the latest first
}

// siteNow is a site as it is now.
type siteNow struct {
	client.Site
	Spoke  bool    // it has answered itself
	Rate   float64 // transactions a second that callers bring to it; of the last seconds
	P99    float64 // milliseconds
	Wait   int64   // transactions under way
	Others map[holdfast.SiteID]client.Site
}

// How things stand, for the eye: also the names of classes, and of words ("state-up" ...).
const (
	stateUp      = "up"
	stateWeak    = "weak"    // late, lossy, not ready
	stateDown    = "down"    // it does not answer
	stateUnknown = "unknown" // nobody can tell
)

// State is how a site stands.
func (s *siteNow) State() string {
	switch {
	case !s.Spoke && !s.Reachable:
		return stateDown
	case !s.Ready || s.DiskSick || s.DiskFull || !s.DigestOK:
		return stateWeak
	}
	return stateUp
}

// Label is what it is called.
func (s *siteNow) Label() string { return siteName(&s.Site) }

// cable is one carrier between two sites.
type cable struct {
	A, B      holdfast.SiteID
	Carrier   int // from 1
	State     string
	RoundTrip float64 // milliseconds; 0: not known
	Loss      float64
}

// lossy is the share of lost messages from which a carrier is called weak.
const lossy = 0.02

// look asks every site how things are. The error is that nobody answers.
func (p *pages) look(ctx context.Context) (*fleet, error) {
	f := &fleet{At: p.Now()}
	all, err := p.API.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	f.Change = all.Change
	f.Sites = make([]siteNow, len(all.Sites))
	var work sync.WaitGroup
	for i := range all.Sites {
		f.Sites[i] = siteNow{Site: all.Sites[i], Spoke: all.Sites[i].Self}
		work.Go(func() { p.ask(ctx, &f.Sites[i]) })
	}
	work.Go(func() { f.Banks, _ = p.API.Banks(ctx) })   // none in a fleet without payments
	work.Go(func() { f.Shards, _ = p.API.Shards(ctx) }) // what is missing is shown as not known
	work.Go(func() {
		var err error
		f.Survival, err = p.API.Survival(ctx)
		f.Foretold = err == nil
	})
	work.Wait()
	f.Cables = cables(f.Sites)
	return f, nil
}

// ask asks a site about itself, and takes what it says for better than what others say of it.
func (p *pages) ask(ctx context.Context, s *siteNow) {
	if s.HTTP == "" {
		return
	}
	c, err := p.Only(s.HTTP)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, page.AskOne)
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() {
		own, err := c.Fleet(ctx)
		if err != nil {
			return
		}
		s.Others = map[holdfast.SiteID]client.Site{}
		for _, o := range own.Sites {
			if o.Self && o.Site == s.Site.Site {
				trip, role, city := s.RoundTrip, s.Role, s.City
				s.Site, s.Spoke = o, true
				s.RoundTrip, s.Role, s.City = trip, cmp.Or(role, o.Role), cmp.Or(city, o.City)
			}
			s.Others[o.Site] = o
		}
	})
	var rate, p99 float64
	var wait int64
	work.Go(func() {
		t, err := c.Trend(ctx, rateOver, time.Second)
		if err == nil {
			rate, p99, wait = summary(t.Points)
		}
	})
	work.Wait()
	s.Rate, s.P99, s.Wait = rate, p99, wait
}

// rateOver is the time over which the rate of a site is taken.
const rateOver = 3 * time.Second

func summary(points []client.TrendPoint) (rate, p99 float64, wait int64) {
	var done uint64
	seconds := 0
	for _, x := range points {
		done += x.Done
		seconds += x.Seconds
		p99, wait = max(p99, x.P99), x.Waiting
	}
	if seconds > 0 {
		rate = float64(done) / float64(seconds)
	}
	return rate, p99, wait
}

// cables puts together what the two ends of each cable say. One end that finds it broken is enough.
func cables(sites []siteNow) []cable {
	var list []cable
	for i := range sites {
		for j := i + 1; j < len(sites); j++ {
			a, b := &sites[i], &sites[j]
			ab, toB := a.Others[b.Site.Site]
			ba, toA := b.Others[a.Site.Site]
			n := max(len(ab.Carriers), len(ba.Carriers))
			for k := range n {
				c := cable{A: a.Site.Site, B: b.Site.Site, Carrier: k + 1, State: stateUnknown}
				if toB && k < len(ab.Carriers) {
					c.take(&ab.Carriers[k])
				}
				if toA && k < len(ba.Carriers) {
					c.take(&ba.Carriers[k])
				}
				list = append(list, c)
			}
			if n == 0 { // neither says anything of the other
				list = append(list, cable{A: a.Site.Site, B: b.Site.Site, Carrier: 1, State: stateUnknown})
			}
		}
	}
	return list
}

var worse = []string{stateUnknown, stateUp, stateWeak, stateDown}

func (c *cable) take(x *client.Carrier) {
	state := stateUp
	switch {
	case !x.Connected:
		state = stateDown
	case x.Stalled || x.Loss >= lossy:
		state = stateWeak
	}
	if slices.Index(worse, state) > slices.Index(worse, c.State) {
		c.State = state
	}
	c.RoundTrip, c.Loss = max(c.RoundTrip, x.RoundTrip), max(c.Loss, x.Loss)
}

func siteName(s *client.Site) string { return cmp.Or(s.Name, fmt.Sprintf("site %d", s.Site)) }
