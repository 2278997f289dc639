package drill

import (
	"context"
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
	s := &Snapshot{Scenario: r.scenario.Name, Length: r.o.Load}
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
	found := r.sampler.result()
	s.Looked, s.Lost, s.Altered, s.Doubled = found.Looked, found.Lost, found.Altered, found.Doubled
	samples := r.book.samples()
	s.Payments = count(samples)
	s.Rates = rates(samples, s.Elapsed)
	s.P50, s.P99 = recent(samples, s.Elapsed)
	s.Faults = v.faults(samples, s.Elapsed)
	return s
}

// faults measures the faults so far, with the clock as the end of the last window.
func (v *viewer) faults(samples []Sample, now time.Duration) (out []FaultView) {
	faults := v.run.stage.history()
	var shards []holdfast.ShardID
	for i := range v.run.world.shards {
		shards = append(shards, v.run.world.shards[i].id)
	}
	for i, x := range effects(faults, samples, nil, shards, now) {
		out = append(out, FaultView{faults[i], x.pause, x.failed})
	}
	return out
}

// rates counts acknowledged payments in steps of half a second up to now, as payments a second.
func rates(samples []Sample, now time.Duration) []float64 {
	last := int(now / rateStep)
	first := max(0, last-rateSteps)
	if last <= first {
		return nil
	}
	out := make([]float64, last-first)
	for i := range samples {
		s := &samples[i]
		step := int(s.Ended / rateStep)
		if s.Kind.payment() && s.Status == holdfast.Done && step >= first && step < last {
			out[step-first] += float64(time.Second / rateStep)
		}
	}
	return out
}

// recent gives the median and the 99th percentile of what was acknowledged within the last second.
func recent(samples []Sample, now time.Duration) (p50, p99 time.Duration) {
	var all []time.Duration
	for i := range samples {
		s := &samples[i]
		if s.Kind.payment() && s.Status == holdfast.Done && s.Ended > now-time.Second {
			all = append(all, s.Latency())
		}
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
