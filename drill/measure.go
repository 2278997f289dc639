package drill

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// SampleKind says which load a request was part of.
type SampleKind uint8

const (
	// Replayed is a payment of the recorded orders.
	Replayed SampleKind = iota
	// Probed is one of the payments that measure pauses.
	Probed
	// ReadBack is a linearizable read. It is no payment, but its failure is a failed request.
	ReadBack
	// WrongSide is a payment at a site that a cut has left without a majority. It cannot be made, and is judged by how soon its
	// caller is told.
	WrongSide
	// Prepared is what the load stands on, and what is tried when it is over. Nothing is measured by it.
	Prepared
	// LookedUp is the look-up of an acknowledged payment by its id. It is judged by what was found.
	LookedUp
)

// payment reports whether the sample counts as one of the payments of the load.
func (k SampleKind) payment() bool { return k == Replayed || k == Probed }

// Sample is one request as its caller saw it. Times are since the start of the load.
type Sample struct {
	Shard  holdfast.ShardID
	Kind   SampleKind
	Due    time.Duration   // when it was to be sent: time spent waiting inside the load generator counts
	Ended  time.Duration   // when the answer came, or the deadline was over
	Status holdfast.Status // as the caller was told
	// Crosses: payer and payee are in different shards.
	Crosses bool
}

// Latency is how long its caller waited.
func (s *Sample) Latency() time.Duration { return s.Ended - s.Due }

// failed reports whether the request had no definite answer at its deadline. "Not executed" at the deadline counts: it is
// safe, but the person at the till got no payment.
func (s *Sample) failed() bool {
	return s.Kind != Prepared && s.Kind != WrongSide && (s.Status == holdfast.Unknown || s.Status == holdfast.NotExecuted)
}

// Fault is one thing that was broken on purpose. Its window lasts until the next fault begins, or the load ends.
type Fault struct {
	Kind   string
	Target string        // name of the site; several are joined by "+"; ":inbound" or ":outbound" follows in a one-way cut
	At     time.Duration // since the start of the load
	Healed time.Duration // 0 while it lasts

	Foretold *client.Forecast // what the fleet said about it just before; nil: nothing
	told     foretelling      // whether it was asked, and why it said nothing
	back     time.Duration    // from its heal until all carriers were in use again; 0: it was not measured
	alone    bool             // while it lasts, one carrier is left and no more
	round    int              // that it is part of, from 0
	seen     sighting         // that it has happened at all
}

// Reign is a stretch of time in which one site led a shard.
type Reign struct {
	Shard holdfast.ShardID
	Site  holdfast.SiteID
	Term  uint64
	From  time.Duration
}

// effect is what was measured in the window of one fault.
type effect struct {
	pause   time.Duration // the longest of any shard
	pauses  []ShardPause  // of each
	failed  int
	leaders int
}

// ShardPause is how long one shard acknowledged no probe in the window of a fault.
type ShardPause struct {
	Shard holdfast.ShardID
	Pause time.Duration
	Moved bool            // it got another leader
	From  holdfast.SiteID // who led it before; 0: not known
	To    holdfast.SiteID // who led it next; 0: nobody else did
	// Stayed: the fault took sites away, and the one that led it was none of them, so its owners should not have noticed.
	Stayed bool
	// Stood is how much of the pause is left out when it is judged, because the machine stood still.
	Stood time.Duration
}

const forever = time.Duration(math.MaxInt64)

// effects measures every fault, in their order. shards are the shards that were probed: one that never acknowledged a probe
// has paused for the whole window.
func effects(faults []Fault, samples []Sample, reigns []Reign, shards []holdfast.ShardID, sites int, end time.Duration) []effect {
	acks := acknowledged(samples, shards)
	out := make([]effect, len(faults))
	for i, f := range faults {
		until := windowOf(faults, i, end)
		for _, shard := range shards {
			p := ShardPause{
				Shard: shard, Pause: pause(within(acks[shard], until, end), f.At, until), Moved: moved(reigns, shard, f.At, until),
				From: ledBy(reigns, shard, f.At), To: heir(reigns, shard, f.At, until),
			}
			p.Stayed = f.spares(p.From, sites)
			out[i].pause, out[i].pauses = max(out[i].pause, p.Pause), append(out[i].pauses, p)
		}
		out[i].leaders = changes(reigns, f.At, until)
		if until == end { // what was sent within the load may fail after its end
			until = forever
		}
		out[i].failed = failures(samples, f.At, until)
	}
	return out
}

// windowOf is until when what happens is counted with a fault.
func windowOf(faults []Fault, i int, end time.Duration) time.Duration {
	if i+1 < len(faults) {
		return faults[i+1].At
	}
	return end
}

// acknowledged gives, for every shard, when its probes were acknowledged, in order of time.
func acknowledged(samples []Sample, shards []holdfast.ShardID) map[holdfast.ShardID][]time.Duration {
	acks := make(map[holdfast.ShardID][]time.Duration, len(shards))
	for _, shard := range shards {
		acks[shard] = nil
	}
	for i := range samples {
		if s := &samples[i]; s.Kind == Probed && s.Status == holdfast.Done {
			acks[s.Shard] = append(acks[s.Shard], s.Ended)
		}
	}
	for _, times := range acks {
		slices.Sort(times)
	}
	return acks
}

// within are the acknowledgements that count in a window: none of the window of the next fault, which has a stretch that began in this
// one to itself, whole.
func within(acks []time.Duration, until, end time.Duration) []time.Duration {
	if until == end {
		return acks
	}
	n, _ := slices.BinarySearch(acks, until)
	return acks[:n]
}

// pause is the longest stretch without an acknowledgement that touches the window from-until. A stretch that began before the
// fault counts from its beginning, and one that lasts beyond the window to its end: that is what a person waits. acks are
// sorted.
func pause(acks []time.Duration, from, until time.Duration) time.Duration {
	return longest(acks, from, until, func(s span) time.Duration { return s.until - s.from })
}

// longest is the same, of what each stretch is worth.
func longest(acks []time.Duration, from, until time.Duration, worth func(span) time.Duration) (found time.Duration) {
	first, _ := slices.BinarySearch(acks, from)
	last := from
	if first > 0 {
		last = acks[first-1]
	}
	for _, at := range acks[first:] {
		found = max(found, worth(span{last, at}))
		if last = at; at >= until {
			return found
		}
	}
	return max(found, worth(span{last, until}))
}

// failures counts the requests whose deadline passed within the window. Each is counted in one window only.
func failures(samples []Sample, from, until time.Duration) int {
	n := 0
	for i := range samples {
		if s := &samples[i]; s.failed() && s.Ended >= from && s.Ended < until {
			n++
		}
	}
	return n
}

// changes counts how often a shard got another leader within the window; reigns are in order of time.
func changes(reigns []Reign, from, until time.Duration) int {
	n := 0
	before := map[holdfast.ShardID]Reign{}
	for _, r := range reigns {
		old, known := before[r.Shard]
		before[r.Shard] = r
		if known && old.Site != r.Site && r.From >= from && r.From < until {
			n++
		}
	}
	return n
}

// moved reports whether a shard got another leader within the window.
func moved(reigns []Reign, shard holdfast.ShardID, from, until time.Duration) bool {
	var own []Reign
	for _, r := range reigns {
		if r.Shard == shard {
			own = append(own, r)
		}
	}
	return changes(own, from, until) > 0
}

// heir is the first other site that led a shard within the window; 0: there was none.
func heir(reigns []Reign, shard holdfast.ShardID, from, until time.Duration) holdfast.SiteID {
	before := ledBy(reigns, shard, from)
	for _, r := range reigns {
		if r.Shard == shard && r.From >= from && r.From < until && r.Site != before {
			return r.Site
		}
	}
	return 0
}

// pauseWords sums up the pauses of a fault, a sentence each: with several shards only those that were led from where it struck wait. tell
// says what there is to say of some of them.
func pauseWords(pauses []ShardPause, tell func([]ShardPause) string) []string {
	stayed := func(p ShardPause) bool { return p.Stayed }
	moved := func(p ShardPause) bool { return p.Moved }
	kept := func(p ShardPause) bool { return !p.Moved }
	_, spared := longestStay(pauses)
	switch {
	case len(pauses) < 2:
		return nil
	case spared:
		return inParts(pauses, tell, stayed, "owners led from what was lost", "owners led elsewhere")
	case !slices.ContainsFunc(pauses, moved):
		return []string{"no shard got another leader: " + tell(pauses)}
	case !slices.ContainsFunc(pauses, kept):
		return []string{"every shard got another leader: " + tell(pauses)}
	}
	return inParts(pauses, tell, kept, "owners whose shard got another leader", "all others")
}

// inParts tells of those shards that something was wrong with, and of those that were well.
func inParts(pauses []ShardPause, tell func([]ShardPause) string, well func(ShardPause) bool, ill, others string) (out []string) {
	bad := slices.DeleteFunc(slices.Clone(pauses), well)
	good := slices.DeleteFunc(slices.Clone(pauses), func(p ShardPause) bool { return !well(p) })
	if len(bad) > 0 {
		out = append(out, ill+": "+tell(bad))
	}
	return append(out, others+": "+tell(good))
}

// longestPause tells that of some shards.
func longestPause(pauses []ShardPause) string {
	longest := slices.MaxFunc(pauses, func(a, b ShardPause) int { return cmp.Compare(a.Pause, b.Pause) })
	return fmt.Sprintf("longest pause %.0f ms", millis(longest.Pause))
}

// everyPause tells that of each as well, when they are not too many.
func everyPause(pauses []ShardPause) string {
	const most = 16
	if len(pauses) > most {
		return longestPause(pauses)
	}
	var each []string
	for _, p := range pauses {
		each = append(each, fmt.Sprintf("%d: %.0f", p.Shard, millis(p.Pause)))
	}
	return fmt.Sprintf("%s (of shard %s)", longestPause(pauses), strings.Join(each, ", "))
}

// count adds up the payments by what their callers were told.
func count(samples []Sample) (p Payments) {
	for i := range samples {
		if !samples[i].Kind.payment() {
			continue
		}
		p.add(samples[i].Status)
	}
	return p
}

func (p *Payments) add(s holdfast.Status) {
	p.Attempted++
	switch s {
	case holdfast.Done:
		p.Acknowledged++
	case holdfast.Unknown:
		p.Unknown++
	default:
		p.Refused++
	}
}

// quantiles of what callers waited for an acknowledgement.
type quantiles struct{ p50, p99, p999, max time.Duration }

func anyPayment(*Sample) bool { return true }

func crossed(s *Sample) bool { return s.Crosses }

func latencies(samples []Sample, counts func(*Sample) bool) quantiles {
	var all []time.Duration
	for i := range samples {
		if samples[i].Status == holdfast.Done && samples[i].Kind.payment() && counts(&samples[i]) {
			all = append(all, samples[i].Latency())
		}
	}
	slices.Sort(all)
	return quantiles{Quantile(all, 0.5), Quantile(all, 0.99), Quantile(all, 0.999), Quantile(all, 1)}
}

// Quantile is the nearest-rank quantile of sorted values: the smallest value that a share q of all values does not exceed.
// Of nothing it is the zero value.
func Quantile[T cmp.Ordered](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// millis gives a length of time in milliseconds, rounded to hundredths: more digits would be noise.
func millis(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }
