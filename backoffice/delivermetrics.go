package backoffice

import (
	"github.com/prometheus/client_golang/prometheus"

	"holdfast/webhook"
)

// deliverMetrics are what one can see of deliveries without looking into records.
type deliverMetrics struct {
	d        *deliverer
	attempts *prometheus.CounterVec
	givenUp  prometheus.Counter
	held     prometheus.Counter
	seconds  prometheus.Histogram
}

func newDeliverMetrics(d *deliverer) *deliverMetrics {
	m := &deliverMetrics{d: d}
	m.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_deliveries_total",
		Help: "Attempts to tell merchants of events: to an endpoint or as a notice of the gateway; taken, refused, or not answered in time.",
	}, []string{"to", "result"})
	m.held = m.attempts.WithLabelValues("any", "held")
	m.givenUp = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_deliveries_given_up_total", Help: "Deliveries that were not taken and are not tried any more.",
	})
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "holdfast_delivery_seconds", Help: "From the moment that a delivery was due, or heard of, to the answer to it.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})
	return m
}

func (m *deliverMetrics) all() []prometheus.Collector {
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	return []prometheus.Collector{
		m.attempts, m.givenUp, m.seconds,
		gauge("holdfast_deliveries_waiting", "Deliveries in hand: in lanes, under way, or being recorded.", m.waiting),
		gauge("holdfast_deliveries_oldest_seconds", "For how long the oldest delivery in hand has been due.", m.oldest),
		gauge("holdfast_deliveries_behind_seconds", "How late the sweep is that finds what has not been told: the latest of all shards led here.", m.behind),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "holdfast_delivery_hints_dropped_total", Help: "Events that came too fast to be told at once: the sweep finds them.",
		}, func() float64 { return float64(m.d.dropped.Load()) }),
	}
}

// count counts an attempt.
func (m *deliverMetrics) count(j *job, a *webhook.Answer) {
	to, result := "endpoint", "refused"
	if j.to == nil {
		to = "notice"
	}
	switch {
	case a.Taken:
		result = "taken"
	case a.Status == 0:
		result = "unanswered"
	}
	m.attempts.WithLabelValues(to, result).Inc()
	m.seconds.Observe(m.d.cfg.Now().Sub(j.since).Seconds())
}

func (m *deliverMetrics) waiting() float64 {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return float64(len(m.d.jobs))
}

func (m *deliverMetrics) oldest() (seconds float64) {
	now := m.d.cfg.Now()
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	for _, j := range m.d.jobs {
		if !j.since.IsZero() {
			seconds = max(seconds, now.Sub(j.since).Seconds())
		}
	}
	return seconds
}

func (m *deliverMetrics) behind() (seconds float64) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	for _, s := range m.d.behind {
		seconds = max(seconds, s)
	}
	return seconds
}
