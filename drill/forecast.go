package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// Before the drill breaks something, it asks the fleet what would happen; afterwards it holds the answer against what happened.

// loss names a line of the fleet's answer to "what if".
type loss struct {
	kind    string // "carrier", "cable", "site", "sites"; "": the fleet says nothing of such a fault
	sites   []holdfast.SiteID
	carrier int // from 1
}

// loss is what a fault of a carrier is to the fleet; of one that is not cut it says nothing.
func (c *carrierFault) loss() loss {
	switch c.kind {
	case "carrier-cut":
		return loss{kind: "carrier", carrier: c.carrier}
	case "carrier-cut-pair":
		return loss{"cable", c.ends, c.carrier}
	}
	return loss{}
}

// lossOf is the loss of one site or of two.
func lossOf(sites ...holdfast.SiteID) loss {
	switch len(sites) {
	case 1:
		return loss{kind: "site", sites: sites}
	case 2:
		return loss{kind: "sites", sites: sites}
	}
	return loss{}
}

func (l *loss) is(f *client.Forecast) bool {
	same := func(a, b []holdfast.SiteID) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	return f.Loss == l.kind && f.Carrier == l.carrier && same(f.Sites, l.sites)
}

const (
	// pictureAge is how old what the fleet knows of itself may be: each site looks once a second, and a carrier that is whole again
	// is dialled within 0.3 s.
	pictureAge = 1400 * time.Millisecond
	// pictureTime is how long a drill waits for it to have seen the last heal.
	pictureTime = 4 * time.Second
)

// foretell asks what a loss would do; nil when the fleet does not say, or does not yet know of the last heal: then it speaks of
// another fleet. A fleet that has just started says nothing before it knows itself. A scenario that is about forecasts waits for what
// it says next.
func (s *stage) foretell(ctx context.Context, l loss) *client.Forecast {
	if l.kind == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pictureTime)
	defer cancel()
	for {
		answer, err := s.whole().own.Survival(ctx)
		fresh := answer.At.Sub(s.mended()) > pictureAge
		if at := slices.IndexFunc(answer.Losses, func(f client.Forecast) bool { return l.is(&f) }); err == nil && at >= 0 && fresh {
			return &answer.Losses[at]
		}
		if !s.foretells || rest(ctx, 5*pollPause) != nil {
			return nil
		}
	}
}

// whole is a site that nothing is wrong with, and is none of those given.
func (s *stage) whole(not ...holdfast.SiteID) *member {
	for _, m := range s.fleet.sites {
		if s.fleet.state(m.id) == Whole && !slices.Contains(not, m.id) {
			return m
		}
	}
	return s.fleet.sites[0]
}

// Comparison is what was foretold of a fault, and what happened.
type Comparison struct {
	Fault    int // its place in the list of all
	Pause    time.Duration
	Worst    time.Duration // of a good election
	Moved    time.Duration // the longest pause of the shards that got another leader
	Fates    []Fate
	Stopped  int // shards of which it was said wrongly whether they stop
	Surprise int // shards that moved, or did not, or to where nobody had said
}

// Fate is that of one shard.
type Fate struct {
	Shard    holdfast.ShardID
	Foretold string
	Fact     string
	Right    bool
}

// compare holds the forecast of a fault against the facts. pauses are those of the fault, acks the acknowledged probes by shard.
func compare(i int, f *Fault, pauses []ShardPause, reigns []Reign, samples []Sample, end time.Duration) *Comparison {
	if f.Foretold == nil {
		return nil
	}
	until := f.Healed
	if until == 0 {
		until = end
	}
	millisecond := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	c := &Comparison{Fault: i, Pause: millisecond(f.Foretold.Pause), Worst: millisecond(f.Foretold.Worst)}
	for _, p := range pauses {
		before, after := ledBy(reigns, p.Shard, f.At), ledBy(reigns, p.Shard, until)
		works := worked(samples, p.Shard, span{f.At + (until-f.At)/2, until})
		stops := slices.Contains(f.Foretold.Stops, p.Shard)
		fate := Fate{Shard: p.Shard, Foretold: foretold(f.Foretold, p.Shard), Fact: fact(works, before, after), Right: true}
		switch expected := heirs(f.Foretold, p.Shard); {
		case works == stops:
			c.Stopped++
			fate.Right = false
		case stops:
		case before != after && !slices.Contains(expected, after), before == after && expected != nil:
			c.Surprise++
			fate.Right = false
		}
		if before != after && works {
			c.Moved = max(c.Moved, p.Pause)
		}
		c.Fates = append(c.Fates, fate)
	}
	return c
}

// ledBy is who led a shard at a moment, as far as was seen.
func ledBy(reigns []Reign, shard holdfast.ShardID, at time.Duration) (site holdfast.SiteID) {
	for _, r := range reigns {
		if r.Shard == shard && (r.From < at || site == 0) {
			site = r.Site
		}
	}
	return site
}

// worked reports whether a probe of the shard that was sent within a span was acknowledged within it.
func worked(samples []Sample, shard holdfast.ShardID, within span) bool {
	return slices.ContainsFunc(samples, func(s Sample) bool {
		return s.Kind == Probed && s.Shard == shard && s.Status == holdfast.Done && within.has(s.Due) && within.has(s.Ended)
	})
}

// heirs are who was said to be able to lead a shard after a loss; nil: it was said to keep its leader.
func heirs(f *client.Forecast, shard holdfast.ShardID) []holdfast.SiteID {
	for i := range f.Moves {
		if f.Moves[i].Shard == shard {
			return f.Moves[i].To
		}
	}
	return nil
}

func foretold(f *client.Forecast, shard holdfast.ShardID) string {
	if slices.Contains(f.Stops, shard) {
		return "stops"
	}
	var to []string
	for _, id := range heirs(f, shard) {
		to = append(to, SiteName(id))
	}
	if len(to) == 0 {
		return "keeps its leader"
	}
	return "moves to " + strings.Join(to, " or ")
}

func fact(works bool, before, after holdfast.SiteID) string {
	switch {
	case !works:
		return "stopped"
	case before != after:
		return "moved to " + SiteName(after)
	}
	return "kept its leader"
}

// reasons says which forecasts were wrong. That a shard keeps a majority, or does not, is a promise; who leads it then is one only
// where the scenario is about that: elsewhere a machine with too much to do may have elected somebody in between.
func (c *Comparison) reasons(f *Fault, strict bool) (out []string) {
	for _, fate := range c.Fates {
		stop := fate.Foretold == "stops" || fate.Fact == "stopped"
		if !fate.Right && (stop || strict) {
			out = append(out, fmt.Sprintf("%s of %s: of shard %d it was foretold that it %s; it %s", f.Kind, f.Target, fate.Shard, fate.Foretold, fate.Fact))
		}
	}
	return out
}

// Grouped puts shards of which the same was said, and the same became, into one line.
func (c *Comparison) Grouped() (list []FateGroup) {
	for _, fate := range c.Fates {
		at := slices.IndexFunc(list, func(g FateGroup) bool { return g.Foretold == fate.Foretold && g.Fact == fate.Fact })
		if at < 0 {
			at = len(list)
			list = append(list, FateGroup{Fate: fate})
		}
		list[at].Shards = append(list[at].Shards, fmt.Sprint(fate.Shard))
	}
	return list
}

// FateGroup is shards with one fate.
type FateGroup struct {
	Fate
	Shards []string
}

// Names lists the shards, for people.
func (g FateGroup) Names() string {
	if len(g.Shards) == 1 {
		return "shard " + g.Shards[0]
	}
	return "shards " + strings.Join(g.Shards, ", ")
}
