package backoffice

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/bank"
)

// bankMetrics are what one can see of the work with banks. What stands in a clerk is told by the site that it runs at, and by no other.
type bankMetrics struct {
	office *Office
	banks  *banks
	calls  *prometheus.CounterVec
	ends   *prometheus.CounterVec
	known  *prometheus.HistogramVec
	differ *prometheus.GaugeVec
	stated *prometheus.GaugeVec
}

func newBankMetrics(o *Office) *bankMetrics {
	return &bankMetrics{
		office: o,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdfast_bank_calls_total",
			Help: "Questions and messages to a bank: send, ask, deposits or statement; by what came of it. unknown: no answer, or none that says anything.",
		}, []string{"bank", "call", "result"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdfast_bank_orders_ended_total", Help: "Orders to a bank that have come to their end: paid, refused by the bank, or given back because it has never heard of them.",
		}, []string{"bank", "end"}),
		known: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holdfast_bank_known_seconds", Help: "From the order to the moment at which it is known what became of it.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400},
		}, []string{"bank"}),
		differ: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "holdfast_bank_differences", Help: "Differences between the bank's book of the day that was compared last and the ledger, explained ones included.",
		}, []string{"bank", "asset"}),
		stated: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "holdfast_bank_compared_timestamp_seconds", Help: "When the bank's book of a day was compared with the ledger last, by this site.",
		}, []string{"bank", "asset"}),
	}
}

func (m *bankMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.ends, m.known, m.differ, m.stated, (*bankQueues)(m)}
}

// ended counts an order that has come to its end; made is when it was ordered.
func (m *bankMetrics) ended(d *desk, c *bank.Change, made holdfast.Time) {
	m.ends.WithLabelValues(d.cfg.Name, label(c.Kind.String())).Inc()
	if made != 0 {
		m.known.WithLabelValues(d.cfg.Name).Observe(max(0, time.Duration(m.office.now()-made)).Seconds())
	}
}

// compared notes what a comparison has found.
func (m *bankMetrics) compared(d *desk, asset holdfast.Asset, r *bank.Report) {
	m.differ.WithLabelValues(d.cfg.Name, asset.String()).Set(float64(r.Found))
	m.stated.WithLabelValues(d.cfg.Name, asset.String()).Set(float64(m.office.now()) / 1e9)
}

// label is a name as values of labels are written.
func label(name string) string { return strings.ReplaceAll(name, " ", "-") }

// measure puts counters around what the desk asks its bank.
func (d *desk) measure() {
	count := func(call, result string) { d.metrics.calls.WithLabelValues(d.cfg.Name, call, label(result)).Inc() }
	d.cfg.Connector = counted{d.cfg.Connector, count}
	if d.cfg.Deposits != nil {
		d.cfg.Deposits = countedDeposits{d.cfg.Deposits, count}
	}
	if fetch := d.cfg.Statement; fetch != nil {
		d.cfg.Statement = func(ctx context.Context, account bank.Account, day time.Time) (io.ReadCloser, error) {
			body, err := fetch(ctx, account, day)
			count("statement", resultOf(err))
			return body, err
		}
	}
}

func resultOf(err error) string {
	if err != nil {
		return bank.Unknown.String()
	}
	return bank.Done.String()
}

type counted struct {
	bank.Connector
	count func(call, result string)
}

// Send implements bank.Connector.
func (c counted) Send(ctx context.Context, i *bank.Instruction) bank.Answer {
	a := c.Connector.Send(ctx, i)
	c.count("send", a.State.String())
	return a
}

// Ask implements bank.Connector.
func (c counted) Ask(ctx context.Context, id string) bank.Answer {
	a := c.Connector.Ask(ctx, id)
	c.count("ask", a.State.String())
	return a
}

type countedDeposits struct {
	from  bank.Deposits
	count func(call, result string)
}

// Deposits implements bank.Deposits.
func (c countedDeposits) Deposits(ctx context.Context, account bank.Account, after uint64, most int) ([]bank.Deposit, uint64, error) {
	list, next, err := c.from.Deposits(ctx, account, after, most)
	c.count("deposits", resultOf(err))
	return list, next, err
}

// bankQueues tells how many orders are with each clerk that runs here.
type bankQueues bankMetrics

var (
	descBankOrders = prometheus.NewDesc("holdfast_bank_orders",
		"Open orders to a bank. waiting: it is to take them. unknown: those of them that have been sent. accepted: it has not settled them. doubtful: people have to look.",
		[]string{"bank", "state"}, nil)
	descBankOldest = prometheus.NewDesc("holdfast_bank_oldest_unknown_seconds", "How long ago the oldest order was made that has been sent to the bank and whose outcome is not known; 0: there is none.", []string{"bank"}, nil)
	descBankDown   = prometheus.NewDesc("holdfast_bank_silent_seconds", "For how long the bank has not answered; 0: it does.", []string{"bank"}, nil)
)

// Describe implements prometheus.Collector.
func (q *bankQueues) Describe(ch chan<- *prometheus.Desc) {
	ch <- descBankOrders
	ch <- descBankOldest
	ch <- descBankDown
}

// Collect implements prometheus.Collector.
func (q *bankQueues) Collect(ch chan<- prometheus.Metric) {
	now := q.office.now()
	for _, d := range q.banks.list {
		c := d.running()
		if c == nil {
			continue
		}
		tell := func(desc *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{d.cfg.Name}, labels...)...)
		}
		s := c.Standing()
		tell(descBankOrders, float64(s.Waiting), "waiting")
		tell(descBankOrders, float64(s.Unknown), "unknown")
		tell(descBankOrders, float64(s.Accepted), "accepted")
		tell(descBankOrders, float64(s.Doubtful), "doubtful")
		tell(descBankOldest, ago(now, madeAt(s.Oldest)))
		tell(descBankDown, ago(now, s.Since))
	}
}

// ago is how many seconds a moment is back; 0 for none.
func ago(now, at holdfast.Time) float64 {
	if at == 0 {
		return 0
	}
	return max(0, time.Duration(now-at).Seconds())
}

// madeAt is when the order with a key was made; 0 for no key.
func madeAt(key string) holdfast.Time {
	if len(key) < keyHead {
		return 0
	}
	n, err := strconv.ParseUint(key[:keyHead-1], 16, 64)
	if err != nil {
		return 0
	}
	return holdfast.Time(n)
}
