package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the API's own.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r *prometheus.Registry, inflight func() float64) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdfast_http_requests_total", Help: "Requests answered, by operation and HTTP status.",
		}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holdfast_http_request_seconds", Help: "Time from the header of a request to its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10},
		}, []string{"operation"}),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "holdfast_http_requests_in_flight", Help: "Requests that are being worked on.",
	}, inflight)
	r.MustRegister(m.requests, m.seconds, gauge)
	return m
}

// endpointMetrics are those of one operation, looked up once.
type endpointMetrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Observer
}

func (m *metrics) of(operation string) *endpointMetrics {
	return &endpointMetrics{
		requests: m.requests.MustCurryWith(prometheus.Labels{"operation": operation}),
		seconds:  m.seconds.WithLabelValues(operation),
	}
}

func (m *endpointMetrics) observe(status int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.seconds.Observe(took.Seconds())
}
