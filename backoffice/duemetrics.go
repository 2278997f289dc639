package backoffice

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backlog is since when work stands in a list whose time has come and which could not be done: the earliest of what the last look at everything has
// found, and of what looks at a part have found since.
type backlog struct {
	mu      sync.Mutex
	since   time.Time // zero: nothing
	looking time.Time // what the look under way has found
}

// left notes that something of that moment could not be done.
func (b *backlog) left(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.looking.IsZero() || at.Before(b.looking) {
		b.looking = at
	}
}

// looked ends a look that began at from. What lies before that was not looked at, and stays as it was known.
func (b *backlog) looked(from time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() || !b.since.Before(from) || !b.looking.IsZero() && b.looking.Before(b.since) {
		b.since = b.looking
	}
	b.looking = time.Time{}
}

// age is for how long the oldest has waited, in seconds; 0: nothing waits.
func (b *backlog) age(now time.Time) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return 0
	}
	return max(0, now.Sub(b.since).Seconds())
}

// results are counters of what was done and what could not be done yet.
type results struct{ done, failed prometheus.Counter }

func newResults(name, help string) (r results, all prometheus.Collector) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
	return results{v.WithLabelValues("done"), v.WithLabelValues("failed")}, v
}

func behindGauge(name, help string, o *Office, b *backlog, unit float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return b.age(o.cfg.Now()) / unit })
}

func (d *duties) measure() error {
	var all prometheus.Collector
	d.results, all = newResults("holdfast_due_looks_total", "Looks at trades, freezes and deadlines whose minute has come, here: done, or failed, and then they are looked at again.")
	return d.office.register(all, behindGauge("holdfast_due_behind_seconds",
		"For how long the oldest item has been due that could not be ended, in shards led here; 0: there is none.", d.office, &d.behind, 1))
}
