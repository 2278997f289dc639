package drill

import (
	"cmp"
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
	kind    string // "carrier", "cable", "site", "sites", "city"; "": the fleet says nothing of such a fault
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

// foretelling is what came of asking for the forecast of a loss.
type foretelling struct {
	asked    loss             // kind "": nobody asked
	forecast *client.Forecast // nil: nothing came in time
	why      string           // nothing did
}

// foretell asks what a loss would do, and waits for a forecast that knows of the last heal: an older one speaks of another fleet, and a
// fleet that has just started says nothing before it knows itself. The rounds of a drill of carriers after the first follow each other
// too fast for that, and what they lose was foretold in the first.
func (s *stage) foretell(ctx context.Context, l loss) foretelling {
	if l.kind == "" || s.round > 0 {
		return foretelling{}
	}
	ctx, cancel := context.WithTimeout(ctx, pictureTime)
	defer cancel()
	t := foretelling{asked: l}
	for {
		answer, err := s.whole().own.Survival(ctx)
		at := slices.IndexFunc(answer.Losses, func(f client.Forecast) bool { return l.is(&f) })
		switch {
		case err != nil && ctx.Err() == nil:
			t.why = fmt.Sprintf("the fleet did not say what would happen: %v", err)
		case err != nil: // the last question was cut off; why counts what was heard before
			t.why = cmp.Or(t.why, "the fleet did not answer in time")
		case answer.At.Sub(s.mended()) <= pictureAge:
			t.why = "what it says is older than the last heal"
		case at < 0:
			t.why = fmt.Sprintf("no line of its forecast is about %s", l.words())
		default:
			t.forecast, t.why = &answer.Losses[at], ""
			return t
		}
		if rest(ctx, 5*pollPause) != nil {
			return t
		}
	}
}

// words name a loss, for people.
func (l *loss) words() string {
	var names []string
	for _, id := range l.sites {
		names = append(names, SiteName(id))
	}
	words := strings.TrimSpace(fmt.Sprintf("the loss of the %s %s", l.kind, strings.Join(names, " and ")))
	if l.carrier > 0 {
		words += fmt.Sprintf(", carrier %d", l.carrier)
	}
	return words
}

// unforetold tells of every loss that was asked for and not foretold: there was nothing to hold the facts against.
func unforetold(faults []Fault) (out []string) {
	for i := range faults {
		if f := &faults[i]; f.told.asked.kind != "" && f.Foretold == nil {
			out = append(out, fmt.Sprintf("%s of %s was not foretold within %v: %s", f.Kind, f.Target, pictureTime, f.told.why))
		}
	}
	return out
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
	Allowed  time.Duration // what the longest pause of the shard that came closest to it, or went farthest beyond it, was allowed to be
	Missed   []string      // pauses that were longer than foretold and allowed for, in words
	Loads    []LoadShare
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

// LoadShare is the share of all payments that a site was said to lead after a loss, and that it led.
type LoadShare struct {
	Site           holdfast.SiteID
	Foretold, Fact float64
}

// facts are what a forecast is held against.
type facts struct {
	reigns  []Reign
	samples []Sample
	stalls  []Stall
	gap     time.Duration // between two probes of a shard
	end     time.Duration
}

// compare holds the forecast of a fault against the facts. pauses are those of the fault.
func compare(i int, f *Fault, pauses []ShardPause, known *facts) *Comparison {
	if f.Foretold == nil {
		return nil
	}
	reigns, samples := known.reigns, known.samples
	until := f.Healed
	if until == 0 {
		until = known.end
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
			c.judgePause(f, &p, known)
		}
		c.Fates = append(c.Fates, fate)
	}
	c.Loads = loadShares(f, span{f.At + (until-f.At)/2, until}, known)
	return c
}

// probeHedge is how long a probe that met the site which was lost waits before it asks another one; see client.Config.
const probeHedge = 50 * time.Millisecond

// judgePause holds the pause of a shard that moved against what was foretold at most. That is about one good election: one that had to be
// repeated, as the terms tell, may take as long each time. A pause is measured from probe to probe, and one that went to a site which
// was lost asks again, as often as it meets one; and nobody can foretell a machine that stands still, nor what it has to work off afterwards.
func (c *Comparison) judgePause(f *Fault, p *ShardPause, known *facts) {
	if c.Worst == 0 {
		return // nothing was said of a pause: that it moves at all is a surprise
	}
	stood := stalled(known.stalls, span{f.At, f.At + p.Pause})
	allowed := c.Worst*time.Duration(campaigns(known.reigns, p.Shard, f.At, f.At+p.Pause)) + known.gap + time.Duration(max(len(f.lost()), 1))*probeHedge + 2*stood
	if c.Allowed == 0 || p.Pause-allowed > c.Moved-c.Allowed {
		c.Allowed = allowed
	}
	if p.Pause > allowed {
		c.Missed = append(c.Missed, fmt.Sprintf("shard %d paused for %.0f ms; foretold were at most %.0f ms, with what is allowed for %.0f ms",
			p.Shard, millis(p.Pause), millis(c.Worst), millis(allowed)))
	}
}

// campaigns are how many elections a shard needed to get its next leader, as the terms tell; 1 when it is not known.
func campaigns(reigns []Reign, shard holdfast.ShardID, at, until time.Duration) uint64 {
	var before uint64
	for _, r := range reigns {
		switch {
		case r.Shard != shard:
		case r.From < at:
			before = r.Term
		case r.From <= until && before > 0:
			return max(1, r.Term-before)
		}
	}
	return 1
}

// loadShares compares who was said to lead how much with who led it: shares, because a forecast counts entries in logs, of which an
// order from shard to shard is several. Nobody can foretell who wins an election, so no share is judged; who may is, in the fates.
func loadShares(f *Fault, within span, known *facts) (list []LoadShare) {
	said, did := 0.0, 0.0
	fact := map[holdfast.SiteID]float64{}
	for i := range known.samples {
		if s := &known.samples[i]; s.Kind.payment() && s.Status == holdfast.Done && within.has(s.Ended) {
			fact[ledBy(known.reigns, s.Shard, s.Ended)]++
			did++
		}
	}
	for _, l := range f.Foretold.Loads {
		said += l.Rate
	}
	if said == 0 || did == 0 {
		return nil
	}
	for _, l := range f.Foretold.Loads {
		list = append(list, LoadShare{l.Site, l.Rate / said, fact[l.Site] / did})
	}
	return list
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

// reasons says which forecasts were wrong. That a shard keeps a majority, or does not, is a promise; who leads it then, and after how long, are
// ones only where the scenario is about that: elsewhere a machine with too much to do may have elected somebody in between.
func (c *Comparison) reasons(f *Fault, strict bool) (out []string) {
	for _, fate := range c.Fates {
		stop := fate.Foretold == "stops" || fate.Fact == "stopped"
		if !fate.Right && (stop || strict) {
			out = append(out, fmt.Sprintf("%s of %s: of shard %d it was foretold that it %s; it %s", f.Kind, f.Target, fate.Shard, fate.Foretold, fate.Fact))
		}
	}
	for _, what := range c.Missed {
		if strict {
			out = append(out, fmt.Sprintf("%s of %s: forecast missed: %s", f.Kind, f.Target, what))
		}
	}
	return out
}

// Grouped puts shards of which the same was said into one line: those it was right of, and those it was not.
func (c *Comparison) Grouped() (list []FateGroup) {
	for _, fate := range c.Fates {
		at := slices.IndexFunc(list, func(g FateGroup) bool { return g.Foretold == fate.Foretold && g.Right == fate.Right })
		if at < 0 {
			at = len(list)
			list = append(list, FateGroup{Foretold: fate.Foretold, Right: fate.Right})
		}
		list[at].fates = append(list[at].fates, fate)
	}
	return list
}

// FateGroup is shards of which the same was foretold, rightly or not.
type FateGroup struct {
	Foretold string
	Right    bool
	fates    []Fate
}

// Shards lists them, for people.
func (g *FateGroup) Shards() string { return shardList(g.fates) }

// Names lists the shards with what they are.
func (g *FateGroup) Names() string {
	if len(g.fates) == 1 {
		return "shard " + g.Shards()
	}
	return "shards " + g.Shards()
}

// Fact is what became of them, in words; where it differs, with the shards.
func (g *FateGroup) Fact() string {
	by := map[string][]Fate{}
	var order []string
	for _, fate := range g.fates {
		if by[fate.Fact] == nil {
			order = append(order, fate.Fact)
		}
		by[fate.Fact] = append(by[fate.Fact], fate)
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, fact := range order {
		order[i] = fmt.Sprintf("%s (%s)", fact, shardList(by[fact]))
	}
	return strings.Join(order, ", ")
}

func shardList(fates []Fate) string {
	ids := make([]holdfast.ShardID, len(fates))
	for i := range fates {
		ids[i] = fates[i].Shard
	}
	return numbers(ids)
}

// numbers lists shards in order, three and more in a row as from-to.
func numbers(ids []holdfast.ShardID) string {
	var all []string
	for i := 0; i < len(ids); {
		end := i + 1
		for end < len(ids) && ids[end] == ids[end-1]+1 {
			end++
		}
		if end-i > 2 {
			all = append(all, fmt.Sprintf("%d-%d", ids[i], ids[end-1]))
		} else {
			end = i + 1
			all = append(all, fmt.Sprint(ids[i]))
		}
		i = end
	}
	return strings.Join(all, ", ")
}
