package drill

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// Smoothness is how little of broken carriers anybody noticed.
type Smoothness struct {
	P50, P99 time.Duration // of payments while nothing was broken
	Quiet    Range         // of the 99 of 100 of each stretch in which nothing was broken: what the machine does by itself
	Faults   []CarrierWait
	Kinds    []KindWait
	// Bytes that the sites sent over all carriers for a payment, and what one carrier alone took for one, both in this very run; 0:
	// not measured. See [bytesPerPayment].
	All, Alone float64
	// The share of the time in which the machine stood still, while nothing was broken and in the faults: see [metronome]. Who paid
	// then is left out of all waits.
	StoodCalm, StoodFaults float64
}

// CarrierWait is how long callers waited while a carrier was broken and just after.
type CarrierWait struct {
	Fault    int // its place in the list of all
	Payments int
	P50, P99 time.Duration
}

// KindWait is how long callers waited in all faults of one kind.
type KindWait struct {
	Kind     string
	Faults   int
	Payments int
	P50, P99 time.Duration
}

// Range is the least and the greatest of some lengths of time.
type Range struct{ Least, Most time.Duration }

const (
	// riseBound is how much longer 99 of 100 may wait while a carrier is broken.
	riseBound = 5 * time.Millisecond
	// warmUp is left out of what counts as normal: connections are opened, and callers wait a little longer.
	warmUp = time.Second
	// afterHeal still belongs to a fault: carriers are dialled, and what stood in them comes out. What it costs must not pass for
	// normal.
	afterHeal = 500 * time.Millisecond
	// standMore is by how much more of the time than twice the usual the machine may stand still in the faults. A single hiccup of the disk
	// takes a share of this of the shortest run.
	standMore = 0.05
	// afterCut a carrier that is cut is known to be: until then much is sent over it that nobody will get.
	afterCut = 500 * time.Millisecond
)

// costBound is how many times the bytes of one carrier a fleet with so many may send.
func costBound(carriers int) float64 { return float64(carriers) + 0.1 }

// Rise is how much longer 99 of 100 waited than while nothing was broken; below 0: shorter.
func (s *Smoothness) Rise(p99 time.Duration) time.Duration { return p99 - s.P99 }

// Worst is the largest rise of those that are judged.
func (s *Smoothness) Worst() (worst time.Duration) {
	for i, k := range s.judged() {
		if rise := s.Rise(k.P99); i == 0 || rise > worst {
			worst = rise
		}
	}
	return worst
}

// judged are the kinds of faults whose waits are compared: those that a run has several of. What a broken carrier does to callers it
// does in each of them; a disk or a neighbour that stops this machine for 30 ms hits one, and would be most of the slowest
// hundredth of two seconds. The single cut of the other scenarios is there to measure bytes.
func (s *Smoothness) judged() (list []KindWait) {
	for _, k := range s.Kinds {
		if k.Faults > 1 || len(s.Kinds) == 1 {
			list = append(list, k)
		}
	}
	return list
}

// Cost is how many times the bytes of one carrier alone all carriers took; 0: not measured.
func (s *Smoothness) Cost() float64 {
	if s.Alone == 0 {
		return 0
	}
	return s.All / s.Alone
}

// smoothness measures a run in which carriers were broken; nil: none was.
func smoothness(faults []Fault, samples []Sample, reads []Reading, stalls []Stall, end time.Duration) *Smoothness {
	if !slices.ContainsFunc(faults, func(f Fault) bool { return f.ofCarrier() }) {
		return nil
	}
	out := &Smoothness{}
	w := sortWaits(faults, samples, stalls, end)
	all := sorted(w.calm...)
	out.P50, out.P99 = Quantile(all, 0.5), Quantile(all, 0.99)
	for i := range w.calm {
		if high := Quantile(sorted(w.calm[i]), 0.99); high > 0 {
			out.Quiet.Most = max(out.Quiet.Most, high)
			out.Quiet.Least = min(cmp.Or(out.Quiet.Least, high), high)
		}
	}
	out.sum(faults, w.faults)
	out.All, out.Alone = bytesPerPayment(faults, samples, reads, end)
	out.StoodCalm, out.StoodFaults = w.stood(faults, stalls, end)
	return out
}

// waiting is how long callers waited, by what was broken when they came: one that waits through a whole fault is counted in it. Who
// waited for the machine itself is left out, whatever was broken.
type waiting struct {
	normal []span
	calm   [][]time.Duration // of each stretch of normal
	faults [][]time.Duration // of each fault
	left   []int             // how many of each fault are left out
}

func sortWaits(faults []Fault, samples []Sample, stalls []Stall, end time.Duration) *waiting {
	w := &waiting{normal: quiet(faults, end), faults: make([][]time.Duration, len(faults)), left: make([]int, len(faults))}
	w.calm = make([][]time.Duration, len(w.normal))
	dark := shadows(stalls)
	for i := range samples {
		s := &samples[i]
		if !s.Kind.payment() || s.Status != holdfast.Done {
			continue
		}
		hidden := touched(dark, span{s.Due, s.Ended})
		if k := slices.IndexFunc(w.normal, func(n span) bool { return n.has(s.Due) }); k >= 0 && !hidden {
			w.calm[k] = append(w.calm[k], s.Latency())
		}
		for k := range faults {
			switch {
			case !faults[k].ofCarrier() || !felt(faults, k, end).has(s.Due):
			case hidden:
				w.left[k]++
			default:
				w.faults[k] = append(w.faults[k], s.Latency())
			}
		}
	}
	return w
}

// stood is which share of the time the machine stood still, while nothing was broken and while a carrier was.
func (w *waiting) stood(faults []Fault, stalls []Stall, end time.Duration) (calm, broken float64) {
	share := func(list []span) float64 {
		var still, all time.Duration
		for _, s := range list {
			still, all = still+stalled(stalls, s), all+s.until-s.from
		}
		return float64(still) / float64(max(all, 1))
	}
	var hurt []span
	for k := range faults {
		if faults[k].ofCarrier() {
			hurt = append(hurt, felt(faults, k, end))
		}
	}
	return share(w.normal), share(hurt)
}

// sum takes in the waits in each fault.
func (s *Smoothness) sum(faults []Fault, waits [][]time.Duration) {
	kinds := map[string][][]time.Duration{}
	var order []string
	for k := range faults {
		if !faults[k].ofCarrier() {
			continue
		}
		w := sorted(waits[k])
		s.Faults = append(s.Faults, CarrierWait{k, len(w), Quantile(w, 0.5), Quantile(w, 0.99)})
		if kind := faults[k].Kind; kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[faults[k].Kind] = append(kinds[faults[k].Kind], w)
	}
	for _, kind := range order {
		w := sorted(kinds[kind]...)
		s.Kinds = append(s.Kinds, KindWait{kind, len(kinds[kind]), len(w), Quantile(w, 0.5), Quantile(w, 0.99)})
	}
}

func sorted(lists ...[]time.Duration) []time.Duration {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

// felt is the time in which somebody may notice a fault, and no other.
func felt(faults []Fault, i int, end time.Duration) span {
	if i+1 < len(faults) {
		end = faults[i+1].At
	}
	if healed := faults[i].Healed; healed != 0 {
		end = min(end, healed+afterHeal)
	}
	return span{faults[i].At, end}
}

// quiet lists the times in which nothing is broken, between the faults.
func quiet(faults []Fault, end time.Duration) (list []span) {
	from := warmUp
	for i := range faults {
		if faults[i].At > from {
			list = append(list, span{from, faults[i].At})
		}
		from = max(from, felt(faults, i, end).until)
	}
	if end > from {
		list = append(list, span{from, end})
	}
	return list
}

// bytesPerPayment compares all carriers with one, in one run and under one load. While all but one are cut everywhere, what goes
// over the one that is left is what one carrier alone takes: every frame once, heartbeats and answers included. Outside of such
// times, all that is handed to any carrier counts, whole or broken: every copy of a frame, what is sent again, dialling anew. To
// compare carriers of a whole fleet with each other would say nothing: small frames are on each of them, so two carriers could
// never be found to take more than twice what the busier one takes.
func bytesPerPayment(faults []Fault, samples []Sample, reads []Reading, end time.Duration) (all, alone float64) {
	var one, every tallied
	from := warmUp
	for i := range faults {
		f := &faults[i]
		if !f.ofCarrier() { // other leaders, sites that catch up: nothing of that can be compared with what was before
			end = min(end, f.At)
			break
		}
		if f.round > 0 && !f.alone { // a round in which no carrier is alone: the load may be another by then
			end = min(end, f.At)
			break
		}
		if f.alone && f.Healed > 0 {
			one.add(reads, samples, span{f.At + afterCut, f.Healed}, true)
			every.add(reads, samples, span{from, f.At}, false)
			from = f.Healed
		}
	}
	every.add(reads, samples, span{from, end}, false)
	return every.each(), one.each()
}

// tallied is bytes and the payments they were sent for.
type tallied struct {
	bytes    uint64
	payments int
}

func (t *tallied) add(reads []Reading, samples []Sample, within span, busiest bool) {
	bytes, between := sent(reads, within)
	if len(bytes) == 0 {
		return
	}
	for _, n := range bytes {
		if !busiest {
			t.bytes += n
		}
	}
	if busiest {
		t.bytes += slices.Max(bytes)
	}
	for i := range samples {
		if s := &samples[i]; s.Kind.payment() && s.Status == holdfast.Done && between.has(s.Ended) {
			t.payments++
		}
	}
}

func (t *tallied) each() float64 {
	if t.payments == 0 {
		return 0
	}
	return float64(t.bytes) / float64(t.payments)
}

// reasons says what somebody could have noticed.
func (s *Smoothness) reasons(faults []Fault, carriers int) (out []string) {
	for i := range s.Faults {
		w := &s.Faults[i]
		f := &faults[w.Fault]
		if w.Payments == 0 {
			out = append(out, fmt.Sprintf("%s of %s: nobody paid meanwhile, so nothing is measured", f.Kind, f.Target))
		}
	}
	for _, k := range s.judged() {
		if s.Rise(k.P99) > riseBound {
			out = append(out, fmt.Sprintf("%s: 99 of 100 waited at most %.1f ms, %.1f ms longer than while nothing was broken; %v pass%s",
				k.Kind, millis(k.P99), millis(s.Rise(k.P99)), riseBound, s.restless()))
		}
	}
	if s.StoodFaults > 2*s.StoodCalm+standMore {
		out = append(out, fmt.Sprintf("the machine stood still for %.1f %% of the time in which a carrier was broken, and for %.1f %% of that in which nothing was: "+
			"that may be what the fault does, and who waited for it was left out", 100*s.StoodFaults, 100*s.StoodCalm))
	}
	if carriers != 2 {
		return out
	}
	switch cost := s.Cost(); {
	case cost == 0:
		out = append(out, "what one carrier alone takes was not measured")
	case cost > costBound(carriers):
		out = append(out, fmt.Sprintf("%d carriers took %.2f times the bytes of one alone (%.0f and %.0f for a payment); %.1f times pass",
			carriers, cost, s.All, s.Alone, costBound(carriers)))
	}
	return out
}

// restless says so when the machine alone varies by more than what is to be seen: then the drill cannot tell, and fails all the same.
func (s *Smoothness) restless() string {
	if s.Quiet.Most-s.Quiet.Least <= riseBound {
		return ""
	}
	return fmt.Sprintf(" (this machine alone varies by more: %.1f to %.1f ms from stretch to stretch while nothing was broken)", millis(s.Quiet.Least), millis(s.Quiet.Most))
}

// disturbed tells of every shard that was led anew while a carrier was broken.
func disturbed(faults []Fault, reigns []Reign, end time.Duration) (out []string) {
	for i := range faults {
		if !faults[i].ofCarrier() {
			continue
		}
		for _, r := range anew(reigns, felt(faults, i, end)) {
			out = append(out, fmt.Sprintf("%s of %s: an election that nobody wanted: shard %d was led by %s from %.1f s on, in term %d",
				faults[i].Kind, faults[i].Target, r.Shard, SiteName(r.Site), r.From.Seconds(), r.Term))
		}
	}
	return out
}

// anew lists reigns that began within a span and were not the first of their shard. The same site elected again counts: its
// payments waited.
func anew(reigns []Reign, within span) (list []Reign) {
	seen := map[holdfast.ShardID]bool{}
	for _, r := range reigns {
		if seen[r.Shard] && within.has(r.From) {
			list = append(list, r)
		}
		seen[r.Shard] = true
	}
	return list
}
