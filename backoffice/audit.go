package backoffice

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/pay"
)

// AuditConfig says how accounts are compared with documents. Zero values mean what stands behind the colon.
type AuditConfig struct {
	Books pay.AuditBooks // as they are at this site: nobody else is asked
	// Every is how long to rest after everybody has been audited: an hour. The first time is after a sixth of that: what begins has other things to do.
	Every time.Duration
	// Rest is for how many times as long as a page took to rest after it: 20. So it takes a twentieth of one processor at most.
	Rest int
	// Page is how many owners and currencies are looked at between two rests: 1000.
	Page int
}

// auditor compares, round after round, what every account of the shards that this site leads holds with what the documents of its owner say. What
// it finds is exact, and nothing that could pass: it is an error in the log each time it is seen, and a number that an alarm can watch.
type auditor struct {
	office *Office
	cfg    AuditConfig

	audited     prometheus.Counter
	differences atomic.Int64 // of the last round, or of this one if there are more already
	undecided   atomic.Int64
	rounds      prometheus.Counter
}

func openAudit(o *Office) (part, error) {
	if o.cfg.Audit == nil {
		return nil, nil
	}
	a := &auditor{office: o, cfg: *o.cfg.Audit}
	a.cfg.Every, a.cfg.Rest, a.cfg.Page = cmp.Or(a.cfg.Every, time.Hour), cmp.Or(a.cfg.Rest, 20), cmp.Or(a.cfg.Page, 1000)
	a.audited = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_payments_audited_total", Help: "Wallets and purses of merchants, one currency each, that were compared with all documents of their owners.",
	})
	a.rounds = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_payments_audit_rounds_total", Help: "How often everybody in the shards that this site leads has been audited.",
	})
	of := func(n *atomic.Int64) func() float64 { return func() float64 { return float64(n.Load()) } }
	return a, o.register(a.audited, a.rounds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "holdfast_payments_audit_differences", Help: "Accounts that do not hold what the documents of their owner say. Must be 0.",
		}, of(&a.differences)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "holdfast_payments_audit_undecided", Help: "Purses that could not be audited in the last round, because payments went on each time they were read.",
		}, of(&a.undecided)))
}

func (a *auditor) run(ctx context.Context) {
	for rest := a.cfg.Every / 6; pause(ctx, rest); rest = a.cfg.Every {
		if a.round(ctx) {
			a.rounds.Inc()
		}
	}
}

// round audits everybody once and reports whether it came to the end.
func (a *auditor) round(ctx context.Context) (whole bool) {
	var differences, undecided int64
	for after := (pay.Purse{}); ; {
		began := a.office.cfg.Now()
		page, next, err := a.page(ctx, after)
		if err != nil || ctx.Err() != nil {
			if ctx.Err() == nil {
				a.office.cfg.Logger.Warn("payments could not be audited", "error", err)
			}
			return false
		}
		differences, undecided = differences+int64(len(page.Differences)), undecided+int64(len(page.Undecided))
		a.differences.Store(max(a.differences.Load(), differences))
		a.tell(&page, int(differences))
		if after = next; after == (pay.Purse{}) {
			a.differences.Store(differences)
			a.undecided.Store(undecided)
			return true
		}
		if !pause(ctx, time.Duration(a.cfg.Rest)*a.office.cfg.Now().Sub(began)) {
			return false
		}
	}
}

// page audits those of the next purses that are in shards which this site leads.
func (a *auditor) page(ctx context.Context, after pay.Purse) (page pay.AuditPage, next pay.Purse, err error) {
	list, err := a.cfg.Books.Purses(ctx, after, a.cfg.Page)
	if err != nil {
		return page, next, err
	}
	if len(list) == a.cfg.Page {
		next = list[len(list)-1]
	}
	led := list[:0]
	for _, p := range list {
		if a.office.cfg.Books.Leads(p.Owner) {
			led = append(led, p)
		}
	}
	return a.office.cfg.Cashier.AuditPurses(ctx, a.cfg.Books, led), next, nil
}

// mostTold is how many differences of a round are in the log; the metric counts all.
const mostTold = 100

// tell logs what a page found; found is how many differences there are in this round with those of the page.
func (a *auditor) tell(page *pay.AuditPage, found int) {
	a.audited.Add(float64(page.Customers + page.Merchants + page.Strangers))
	room := max(0, mostTold-(found-len(page.Differences)))
	for _, d := range page.Differences[:min(room, len(page.Differences))] {
		a.office.cfg.Logger.Error("an account does not hold what the documents of its owner say: see holdfast audit",
			"account", d.Account.String(), "ledger", int64(d.Ledger), "documents", int64(d.Documents))
	}
	for _, u := range page.Undecided {
		a.office.cfg.Logger.Debug("a purse could not be audited in this round", "owner", u.Owner.String(), "asset", u.Asset.String(), "error", u.Why)
	}
}
