package backoffice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/pay"
)

// Books are pay.Books, and what of them is this site's to look after. site.Books are; their method sets say what each does.
type Books interface {
	pay.Books
	// Led lists the shards that this site leads now, as far as it knows.
	Led() []holdfast.ShardID
	// Leads reports whether this site leads the shard of an owner.
	Leads(o holdfast.Owner) bool
	// LedByIndex lists the records of owners that carry an index key, in the shards that this site leads now, with a key above after, at most max,
	// in the order of keys.
	LedByIndex(ctx context.Context, index, after string, max int) ([]holdfast.Record, error)
	// ShardByIndex is LedByIndex for one shard, whoever leads it.
	ShardByIndex(ctx context.Context, id holdfast.ShardID, index, after string, max int) ([]holdfast.Record, error)
}

// Config is what an [Office] needs. A part whose configuration is missing is not run.
type Config struct {
	Cashier  *pay.Cashier
	Books    Books // of the Cashier
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: nothing is measured
	// Now is the clock of this site.
	Now func() time.Time
	// Random returns a number within [0, 1): it spreads what would be done together.
	Random func() float64

	// Deliver tells merchants what has happened; nil: nobody is told here.
	Deliver *DeliverConfig
	// Banks are those that money is paid out through, and comes from; none: withdrawals and payouts wait.
	Banks []BankConfig
	// Settle settles the days of merchants; nil: they are settled by hand only.
	Settle *SettleConfig
	// Due ends what is due; nil: nothing ends by itself.
	Due *DueConfig
	// Audit compares what accounts hold with what documents say; nil: nobody does without being asked.
	Audit *AuditConfig
}

// part is one kind of work. Its run returns when the context has ended and all that it started has, too.
type part interface{ run(ctx context.Context) }

// parts are all there are. open returns nil for a part that is not configured; it starts nothing.
var parts = []struct {
	name string
	open func(*Office) (part, error)
}{
	{"deliver", openDeliver},
	{"bank", openBanks},
	{"settle", openSettle},
	{"settle-watch", openSettleWatch},
	{"due", openDue},
	{"audit", openAudit},
	{"forget", openForget},
}

// Office does everything in the background that one site has to do.
type Office struct {
	cfg     Config
	running []part
	deliver *deliverer // nil: nobody is told here
	banks   *banks     // nil: there are none
	forget  *forgetter // nil: nothing is
}

// New makes an office; Run runs it.
func New(cfg Config) (*Office, error) {
	if cfg.Cashier == nil || cfg.Books == nil || cfg.Now == nil || cfg.Random == nil {
		return nil, errors.New("backoffice: Cashier, Books, Now and Random must be given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	o := &Office{cfg: cfg}
	for _, x := range parts {
		p, err := x.open(o)
		if err != nil {
			return nil, fmt.Errorf("backoffice: %s: %w", x.name, err)
		}
		if p != nil {
			o.running = append(o.running, p)
		}
	}
	return o, nil
}

// Run does all the work until the context ends, and returns when all parts have stopped.
func (o *Office) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range o.running {
		all.Go(func() { p.run(ctx) })
	}
	all.Wait()
}

// register adds collectors to the registry, if there is one.
func (o *Office) register(list ...prometheus.Collector) error {
	if o.cfg.Registry == nil {
		return nil
	}
	for _, c := range list {
		if err := o.cfg.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// now is the time of this site as records have it.
func (o *Office) now() holdfast.Time { return holdfast.TimeOf(o.cfg.Now()) }
