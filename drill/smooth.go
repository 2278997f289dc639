package drill

import (
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// Smoothness is how little of broken carriers anybody noticed.
type Smoothness struct {
	P50, P99 time.Duration // of payments while nothing was broken
	Faults   []CarrierWait
	// Bytes that the sites sent over all carriers for a payment, and what one carrier alone took for one, both in this very run; 0:
	// not measured. See [bytesPerPayment].
	All, Alone float64
}

// CarrierWait is how long callers waited while a carrier was broken and just after.
type CarrierWait struct {
	Fault    int // its place in the list of all
	Payments int
	P50, P99 time.Duration
}

const (
	// riseBound is how much longer 99 of 100 may wait while a carrier is broken.
	riseBound = 5 * time.Millisecond
	// warmUp is left out of what counts as normal: connections are opened, and callers wait a little longer.
	warmUp = time.Second
	// afterHeal still belongs to a fault: carriers are dialled, and what stood in them comes out. What it costs must not pass for
	// normal.
	afterHeal = 500 * time.Millisecond
	// afterCut a carrier that is cut is known to be: until then much is sent over it that nobody will get.
	afterCut = 500 * time.Millisecond
)

// costBound is how many times the bytes of one carrier a fleet with so many may send.
func costBound(carriers int) float64 { return float64(carriers) + 0.1 }

// Rise is how much longer 99 of 100 waited in a fault than while nothing was broken; below 0: shorter.
func (s *Smoothness) Rise(w *CarrierWait) time.Duration { return w.P99 - s.P99 }

// Worst is the largest rise of all faults.
func (s *Smoothness) Worst() (worst time.Duration) {
	for i := range s.Faults {
		if rise := s.Rise(&s.Faults[i]); i == 0 || rise > worst {
			worst = rise
		}
	}
	return worst
}

// Cost is how many times the bytes of one carrier alone all carriers took; 0: not measured.
func (s *Smoothness) Cost() float64 {
	if s.Alone == 0 {
		return 0
	}
	return s.All / s.Alone
}

// smoothness measures a run in which carriers were broken; nil: none was. Payments belong to the moment at which they were due, so
// one that waits through a whole fault is counted in it.
func smoothness(faults []Fault, samples []Sample, reads []Reading, end time.Duration) *Smoothness {
	if !slices.ContainsFunc(faults, func(f Fault) bool { return f.ofCarrier() }) {
		return nil
	}
	out := &Smoothness{}
	normal := quiet(faults, end)
	var calm []time.Duration
	waits := make([][]time.Duration, len(faults))
	for i := range samples {
		s := &samples[i]
		if !s.Kind.payment() || s.Status != holdfast.Done {
			continue
		}
		if slices.ContainsFunc(normal, func(n span) bool { return n.has(s.Due) }) {
			calm = append(calm, s.Latency())
		}
		for k := range faults {
			if faults[k].ofCarrier() && faults[k].felt(end).has(s.Due) {
				waits[k] = append(waits[k], s.Latency())
			}
		}
	}
	slices.Sort(calm)
	out.P50, out.P99 = Quantile(calm, 0.5), Quantile(calm, 0.99)
	for k := range faults {
		if slices.Sort(waits[k]); faults[k].ofCarrier() {
			out.Faults = append(out.Faults, CarrierWait{k, len(waits[k]), Quantile(waits[k], 0.5), Quantile(waits[k], 0.99)})
		}
	}
	out.All, out.Alone = bytesPerPayment(faults, samples, reads, end)
	return out
}

// felt is the time in which somebody may notice a fault.
func (f *Fault) felt(end time.Duration) span {
	if f.Healed == 0 {
		return span{f.At, end}
	}
	return span{f.At, f.Healed + afterHeal}
}

// quiet lists the times in which nothing is broken, between the faults.
func quiet(faults []Fault, end time.Duration) (list []span) {
	from := warmUp
	for i := range faults {
		if faults[i].At > from {
			list = append(list, span{from, faults[i].At})
		}
		from = max(from, faults[i].felt(end).until)
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
		if s.Rise(w) > riseBound {
			out = append(out, fmt.Sprintf("%s of %s: 99 of 100 waited %.1f ms, %.1f ms longer than while nothing was broken; %v pass",
				f.Kind, f.Target, millis(w.P99), millis(s.Rise(w)), riseBound))
		}
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

// disturbed tells of every shard that was led anew while a carrier was broken.
func disturbed(faults []Fault, reigns []Reign, end time.Duration) (out []string) {
	for i := range faults {
		if !faults[i].ofCarrier() {
			continue
		}
		for _, r := range anew(reigns, faults[i].felt(end)) {
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
