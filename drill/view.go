package drill

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast"
)

// Snapshot is a drill as it stands, for showing it while it goes on.
type Snapshot struct {
	Scenario string
	Phase    string        // what is going on, one line
	Changed  bool          // Phase is new since the last snapshot
	Running  bool          // the load is running
	Elapsed  time.Duration // since the start of the load
	Length   time.Duration // of the load as planned
	Sites    []SiteView
	Shards   int
	Carriers []CarrierView
	Payments Payments
	Looked   int // acknowledged payments that were looked up again so far
	Lost     int // of those
	Altered  int
	Doubled  int
	Rates    []float64     // acknowledged payments a second, one per half second, oldest first
	P50, P99 time.Duration // over the last second
	Faults   []FaultView   // those so far, the current one last
}

// SiteView is a site as the drill sees it.
type SiteView struct {
	ID     holdfast.SiteID
	Name   string
	Damage Damage
	Leads  int // shards
}

// FaultView is a fault and what it has cost so far.
type FaultView struct {
	Fault
	Pause  time.Duration
	Failed int

	Spared    bool          // sites were taken away, and some shards were led from others
	Elsewhere time.Duration // the longest pause of those

	pauses map[holdfast.ShardID]time.Duration // of each
}

// apart tells the pauses of shards that were led from a site which stayed from those of all.
func (f *FaultView) apart(reigns []Reign, sites int) {
	for shard, pause := range f.pauses {
		if f.spares(ledBy(reigns, shard, f.At), sites) {
			f.Spared, f.Elsewhere = true, max(f.Elsewhere, pause)
		}
	}
}

const (
	viewEvery = 100 * time.Millisecond
	rateStep  = 500 * time.Millisecond
	rateSteps = 120
)

// viewer makes snapshots and hands them to whoever watches, one at a time.
type viewer struct {
	run    *run
	cancel context.CancelFunc
	done   sync.WaitGroup

	tally tally // of the goroutine that shows
	pages int   // of the book that are in it

	mu      sync.Mutex
	phase   string
	changed bool
	finish  time.Duration // of the load; 0 while it runs
}

// startViewer starts showing. A nil viewer is of use, too: it shows nothing.
func startViewer(r *run) *viewer {
	ctx, cancel := context.WithCancel(context.Background())
	v := &viewer{run: r, cancel: cancel}
	if r.o.Watch != nil {
		v.done.Go(func() {
			for rest(ctx, viewEvery) == nil {
				r.o.Watch(v.snapshot())
			}
			r.o.Watch(v.snapshot())
		})
	}
	return v
}

func (v *viewer) stop() {
	if v != nil {
		v.cancel()
		v.done.Wait()
	}
}

func (v *viewer) say(phase string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.phase, v.changed = phase, true
}

// end marks the end of the load.
func (v *viewer) end(at time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.finish = at
}

func (v *viewer) length() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.finish
}

func (v *viewer) snapshot() *Snapshot {
	r := v.run
	s := &Snapshot{Scenario: r.scenario.Name, Length: r.o.Load, Shards: r.o.Shards}
	v.mu.Lock()
	s.Phase, s.Changed = v.phase, v.changed
	v.changed = false
	s.Running = r.zero.Load() > 0 && v.finish == 0
	if s.Elapsed = v.finish; s.Running {
		s.Elapsed = r.clock()
	}
	v.mu.Unlock()
	for _, m := range r.fleet.sites {
		s.Sites = append(s.Sites, SiteView{ID: m.id, Name: m.name, Damage: r.fleet.state(m.id), Leads: r.throne.leads(m.id)})
	}
	rates := r.meter.rates(r.o.Carriers)
	for i, d := range r.fleet.carrierStates() {
		s.Carriers = append(s.Carriers, CarrierView{d, rates[i]})
	}
	found := r.sampler.result()
	s.Looked, s.Lost, s.Altered, s.Doubled = found.Looked, found.Lost, found.Altered, found.Doubled
	fresh, next := r.book.samples(v.pages)
	v.pages = next
	v.tally.take(r.stage.history(), fresh)
	s.Payments = v.tally.payments
	s.Rates = v.tally.rates(s.Elapsed)
	s.P50, s.P99 = v.tally.recent(s.Elapsed)
	s.Faults = v.tally.seen(s.Elapsed)
	reigns := r.throne.history()
	for i := range s.Faults {
		s.Faults[i].apart(reigns, r.o.Sites)
	}
	return s
}

// tally counts what a viewer shows, as it comes: to count a long load anew ten times a second would be a load of its own. It is
// a little less exact than the result, which sees all answers at once and in order.
type tally struct {
	payments Payments
	steps    map[int]int                        // acknowledged, by half second; the last minute
	last     []Sample                           // acknowledged, of about the last second
	acked    map[holdfast.ShardID]time.Duration // when a probe of the shard was acknowledged last
	faults   []FaultView
}

// take adds what is new. A fault begins to count with the last acknowledgement before it.
func (t *tally) take(faults []Fault, fresh []Sample) {
	for i := range faults {
		if i == len(t.faults) {
			t.faults = append(t.faults, FaultView{pauses: map[holdfast.ShardID]time.Duration{}})
		}
		t.faults[i].Fault = faults[i]
	}
	if t.steps == nil {
		t.steps, t.acked = map[int]int{}, map[holdfast.ShardID]time.Duration{}
	}
	for i := range fresh {
		t.add(&fresh[i])
	}
}

func (t *tally) add(s *Sample) {
	if n := len(t.faults); n > 0 && s.failed() && s.Ended >= t.faults[n-1].At {
		t.faults[n-1].Failed++
	}
	if !s.Kind.payment() {
		return
	}
	t.payments.add(s.Status)
	if s.Status != holdfast.Done {
		return
	}
	t.steps[int(s.Ended/rateStep)]++
	t.last = append(t.last, *s)
	if s.Kind == Probed {
		if n := len(t.faults); n > 0 && s.Ended >= t.faults[n-1].At {
			t.faults[n-1].pauses[s.Shard] = max(t.faults[n-1].pauses[s.Shard], s.Ended-t.acked[s.Shard])
		}
		t.acked[s.Shard] = max(t.acked[s.Shard], s.Ended)
	}
}

// seen is the faults so far. What is silent just now counts as a pause that lasts.
func (t *tally) seen(now time.Duration) []FaultView {
	out := slices.Clone(t.faults)
	for i := range out {
		f := &out[i]
		f.pauses = maps.Clone(f.pauses)
		if i == len(out)-1 {
			for shard, at := range t.acked {
				f.pauses[shard] = max(f.pauses[shard], now-at)
			}
		}
		for _, pause := range f.pauses {
			f.Pause = max(f.Pause, pause)
		}
	}
	return out
}

// rates counts acknowledged payments in steps of half a second up to now, as payments a second.
func (t *tally) rates(now time.Duration) []float64 {
	last := int(now / rateStep)
	first := max(0, last-rateSteps)
	maps.DeleteFunc(t.steps, func(step, _ int) bool { return step < first })
	var out []float64
	for step := first; step < last; step++ {
		out = append(out, float64(t.steps[step])*float64(time.Second/rateStep))
	}
	return out
}

// recent gives the median and the 99th percentile of what was acknowledged within the last second.
func (t *tally) recent(now time.Duration) (p50, p99 time.Duration) {
	t.last = slices.DeleteFunc(t.last, func(s Sample) bool { return s.Ended <= now-time.Second })
	var all []time.Duration
	for i := range t.last {
		all = append(all, t.last[i].Latency())
	}
	slices.Sort(all)
	return Quantile(all, 0.5), Quantile(all, 0.99)
}

// leads counts the shards that a site leads.
func (t *throne) leads(id holdfast.SiteID) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.now {
		if r.Site == id {
			n++
		}
	}
	return n
}
