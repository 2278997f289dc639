package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/drill"
	"holdfast/shard"
	"holdfast/site"
)

var commitCases = []kase{
	{name: "1-site-batch", run: commitCase(1, false, (*committer).batches)},
	{name: "1-site-single", run: commitCase(1, false, (*committer).singles)},
	{name: "3-site-batch", run: commitCase(3, false, (*committer).batches)},
	{name: "3-site-single", run: commitCase(3, false, (*committer).singles)},
	{name: "3-site-hot", run: commitCase(3, true, (*committer).batches)},
	{name: "1-site-hot", extra: true, run: commitCase(1, true, (*committer).batches)},
	{name: "3-site-hot-single", extra: true, run: commitCase(3, true, (*committer).singles)},
	{name: "1-site-mixed", extra: true, run: commitCase(1, false, (*committer).mixed)},
	{name: "3-site-mixed", extra: true, run: commitCase(3, false, (*committer).mixed)},
}

const (
	commitAccounts  = 10_000
	commitTransfers = 20_000_000
	batchers        = 4      // callers of batches: enough to have one on its way to disk, one being made, and one waiting
	sampleEvery     = 997    // every so manieth id is looked up in the end
	sampleMost      = 70_000 // at most so many
	mixedPerSecond  = 500
)

// committer is a fleet, and callers in the process of the site that leads.
type committer struct {
	o      *Options
	hot    bool
	sites  int
	shards int // 0: one
	site   *site.Site
	cast   *cast
	again  atomic.Int64  // transactions that were proposed once more
	last   atomic.Uint64 // the newest log entry that something acknowledged stands in
	mu     sync.Mutex
	sample []paid
	// patience is how long to go on with transactions that have no decision; 0: 10 s.
	patience time.Duration
	every    int // every so manieth payment of a batch goes into the sample
}

// paid is a payment that was acknowledged: what has to be found under its id.
type paid struct {
	id            holdfast.ID
	debit, credit holdfast.AccountID
	amount        holdfast.Amount
}

func paidBy(t *holdfast.Txn) paid {
	leg := &t.Transfers[0]
	return paid{t.ID, leg.Debit, leg.Credit, leg.Amount}
}

// is reports whether what was found under the id is what was acknowledged.
func (p *paid) is(f *shard.Found) bool {
	return f.Outcome.Status == holdfast.Done && len(f.Txn.Transfers) == 1 && paidBy(f.Txn) == *p
}

func commitCase(sites int, hot bool, measure func(*committer, context.Context) (Result, error)) func(context.Context, *Options) (Result, error) {
	return func(ctx context.Context, o *Options) (r Result, err error) {
		dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
		if err != nil {
			return r, fmt.Errorf("make a directory for the sites: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		shards := max(1, o.Shards)
		c := &committer{o: o, hot: hot, sites: sites, shards: shards, cast: newCasts(commitAccounts, shards), every: sampleEvery}
		stop, err := c.start(ctx, dir)
		defer func() { err = errors.Join(err, stop()) }()
		if err != nil {
			return r, err
		}
		if err := c.fund(ctx); err != nil {
			return r, err
		}
		if r, err = measure(c, ctx); err != nil {
			return r, err
		}
		return r, c.verify(ctx, &r)
	}
}

// start brings the fleet up, with site 1 in this process and leading.
func (c *committer) start(ctx context.Context, dir string) (stop func() error, err error) {
	nothing := func() error { return nil }
	cfg := site.Embedded(filepath.Join(dir, "site"), "127.0.0.1:0")
	cfg.Shards = max(1, c.shards)
	if c.sites > 1 {
		fleet, err := drill.StartBare(ctx, c.o.Program, dir, drill.BareOptions{Sites: c.sites, Shards: c.shards, Except: 1})
		if err != nil {
			return nothing, err
		}
		cfg, nothing = fleet.Config(1), fleet.Close
	}
	return c.open(ctx, cfg, site.Options{}, nothing)
}

// open brings the site up in this process. stop also ends what after ends.
func (c *committer) open(ctx context.Context, cfg site.Config, o site.Options, after func() error) (stop func() error, err error) {
	fatal := func(err error) { slog.Error("the site must not go on", "error", err); os.Exit(1) }
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	o.Version, o.Logger, o.OnFatal = "bench", logger, fatal
	if c.site, err = site.Open(cfg, o); err != nil {
		return after, err
	}
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return errors.Join(c.site.Stop(ctx), after())
	}
	if err := c.site.Start(ctx); err != nil {
		return stop, err
	}
	return stop, c.lead(ctx)
}

// lead waits until the fleet is ready, and has this site lead; of several shards, each site those that are at home there.
func (c *committer) lead(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := c.site.Ready()
		if err == nil {
			err = c.place(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the site does not lead: %w", err)
		}
	}
}

// place sends the leadership of each shard to where it belongs.
func (c *committer) place(ctx context.Context) error {
	for _, s := range c.site.Shards(ctx) {
		home := s.Home
		if c.shards <= 1 {
			home = 1
		}
		if s.Leader == home {
			continue
		}
		if err := c.site.HandOver(ctx, s.Shard, home); err != nil {
			return err
		}
	}
	return nil
}

func (c *committer) fund(ctx context.Context) (err error) {
	c.cast.funding(newGenerator(c.cast, false, 99), func(t *holdfast.Txn) bool {
		err = c.submit(ctx, []holdfast.Txn{*t}, true)
		return err == nil
	})
	return err
}

// submit proposes transactions and insists on all being done. Those without a decision (on a machine that is busy with other
// things a site may not hear the others for a moment) are proposed again with the same ids, as a client does; that is
// counted, and its time is part of the result.
func (c *committer) submit(ctx context.Context, txns []holdfast.Txn, bulk bool) error {
	patience := cmp.Or(c.patience, 10*time.Second)
	for began := time.Now(); ; {
		left, err := c.once(ctx, txns, bulk)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("%d of %d transactions had no decision within %v", len(left), len(txns), patience)
		}
		c.again.Add(int64(len(left)))
		txns = left
		time.Sleep(10 * time.Millisecond)
	}
}

// once proposes transactions, and returns those without a decision. A refusal is an error.
func (c *committer) once(ctx context.Context, txns []holdfast.Txn, bulk bool) (left []holdfast.Txn, err error) {
	outcomes, err := c.site.Submit(ctx, txns, bulk)
	if err != nil {
		return nil, err
	}
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case o.Status == holdfast.Refused || o.Code.Malformed():
			return nil, fmt.Errorf("transaction %d of %d: %s (%s)", i+1, len(txns), o.Status, o.Code)
		case o.Status != holdfast.Done:
			left = append(left, txns[i])
		default:
			c.saw(o.Position.Index)
		}
	}
	return left, ctx.Err()
}

func (c *committer) saw(index uint64) {
	for last := c.last.Load(); last < index && !c.last.CompareAndSwap(last, index); last = c.last.Load() {
	}
}

func (c *committer) remember(t *holdfast.Txn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sample) < sampleMost {
		c.sample = append(c.sample, paidBy(t))
	}
}

// batches commits batches of 8,000 transfers, a few at a time, until the number is reached.
func (c *committer) batches(ctx context.Context) (Result, error) {
	want := int64(cmp.Or(c.o.Transfers, commitTransfers))
	var done atomic.Int64
	more := func() bool { return done.Add(batchSize) <= want+batchSize*batchers && done.Load() <= want+batchSize }
	began := time.Now()
	sent, waits, err := c.bulk(ctx, more)
	took := time.Since(began)
	p50, p99 := waits.quantiles()
	return Result{PerS: rate(sent, took), P50: p50, P99: p99, Seconds: seconds(took), Config: c.config(map[string]any{
		"transfers": sent, "per_batch": batchSize, "callers": batchers, "latency_of": "a batch",
	})}, err
}

// bulk has the callers of batches go on while more says so.
func (c *committer) bulk(ctx context.Context, more func() bool) (sent int, waits times, err error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	for i := range uint64(batchers) {
		group.Go(func() {
			g := newGenerator(c.cast, c.hot, i+1)
			for more() && ctx.Err() == nil {
				// Fresh memory for every batch: the site may hold on to what it was given.
				txns, legs := make([]holdfast.Txn, batchSize), make([]holdfast.Transfer, batchSize)
				g.batch(txns, legs)
				began := time.Now()
				failed := c.submit(ctx, txns, true)
				mu.Lock()
				sent, waits, err = sent+batchSize, append(waits, time.Since(began)), errors.Join(err, failed)
				mu.Unlock()
				if failed != nil {
					return
				}
				for j := int(i); j < batchSize; j += c.every {
					c.remember(&txns[j])
				}
			}
		})
	}
	group.Wait()
	return sent, waits, errors.Join(err, ctx.Err())
}

// singles commits one payment per call from many callers.
func (c *committer) singles(ctx context.Context) (Result, error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	var waits times
	var errs error
	ctx, cancel := context.WithTimeout(ctx, c.o.Length+20*time.Second)
	defer cancel()
	began := time.Now()
	for i := range c.o.Callers {
		group.Go(func() {
			mine, err := c.caller(ctx, newGenerator(c.cast, c.hot, uint64(i)+1), began.Add(c.o.Length))
			mu.Lock()
			defer mu.Unlock()
			waits, errs = append(waits, mine...), errors.Join(errs, err)
		})
	}
	group.Wait()
	took := time.Since(began)
	sent := len(waits)
	p50, p99 := waits.quantiles()
	return Result{PerS: rate(sent, took), P50: p50, P99: p99, Seconds: seconds(took), Config: c.config(map[string]any{
		"transfers": sent, "per_call": 1, "callers": c.o.Callers, "latency_of": "a payment",
	})}, errs
}

func (c *committer) caller(ctx context.Context, g *generator, until time.Time) (waits times, err error) {
	txns, legs := make([]holdfast.Txn, 1), make([]holdfast.Transfer, 1)
	for n := 0; time.Now().Before(until); n++ {
		g.batch(txns, legs)
		began := time.Now()
		if err := c.submit(ctx, txns, false); err != nil {
			return waits, err
		}
		waits = append(waits, time.Since(began))
		if n%101 == 0 {
			c.remember(&txns[0])
		}
	}
	return waits, nil
}

// mixed sends 500 single payments a second, each when it is due, beside batches that take all they can get.
func (c *committer) mixed(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.o.Length+20*time.Second)
	defer cancel()
	began := time.Now()
	until := began.Add(c.o.Length)
	var group sync.WaitGroup
	var sent int
	var bulkErr error
	group.Go(func() { sent, _, bulkErr = c.bulk(ctx, func() bool { return time.Now().Before(until) }) })
	probes, err := c.steady(ctx, began, until, time.Second/mixedPerSecond)
	group.Wait()
	took := time.Since(began)
	waits := waitsOf(probes)
	p50, p99 := waits.quantiles()
	return Result{PerS: rate(sent, took), P50: p50, P99: p99, Seconds: seconds(took), Config: c.config(map[string]any{
		"bulk_transfers": sent, "per_batch": batchSize, "bulk_callers": batchers,
		"singles": len(waits), "singles_per_s": mixedPerSecond, "latency_of": "a single payment, from when it was due",
	})}, errors.Join(bulkErr, err)
}

// probe is a single payment: when it was due, and how long after that it was acknowledged.
type probe struct {
	due  time.Time
	wait time.Duration
}

func waitsOf(probes []probe) times {
	all := make(times, len(probes))
	for i, p := range probes {
		all[i] = p.wait
	}
	return all
}

// steady sends a single payment each step, when it is due.
func (c *committer) steady(ctx context.Context, began, until time.Time, step time.Duration) (probes []probe, errs error) {
	g := newGenerator(c.cast, false, 1000)
	var group sync.WaitGroup
	var mu sync.Mutex
	for due := began; due.Before(until) && ctx.Err() == nil; due = due.Add(step) {
		time.Sleep(time.Until(due))
		txns, legs := make([]holdfast.Txn, 1), make([]holdfast.Transfer, 1)
		g.batch(txns, legs)
		group.Go(func() {
			err := c.submit(ctx, txns, false)
			mu.Lock()
			defer mu.Unlock()
			probes, errs = append(probes, probe{due, time.Since(due)}), errors.Join(errs, err)
		})
	}
	group.Wait()
	return probes, errs
}

func (c *committer) config(more map[string]any) map[string]any {
	more["sites"], more["accounts"], more["shards"], more["fsync"] = c.sites, commitAccounts, max(1, c.shards), true
	more["hot_credit_account"], more["proposed_again"] = c.hot, c.again.Load()
	switch {
	case c.shards > 1 && c.sites > 1:
		more["layout"] = "3 processes on this machine, mutual TLS on loopback, no delay; leaders spread over the sites, the callers run inside the process of site 1; payer and payee in one shard, drawn for each payment"
	case c.sites > 1:
		more["layout"] = "3 processes on this machine, mutual TLS on loopback, no delay; the callers run inside the process of site 1, which leads"
	default:
		more["layout"] = "1 site, callers inside its process"
	}
	return more
}

// look counts those payments of a shard that are there as they were acknowledged.
func (c *committer) look(ctx context.Context, id holdfast.ShardID, list []paid) (found int, err error) {
	for part := range slices.Chunk(list, 500) {
		err = c.site.Read(ctx, id, shard.Linearizable, func(v *shard.View) error {
			for i := range part {
				f, ok, err := v.Txn(part[i].id)
				if err != nil {
					return fmt.Errorf("look up %s: %w", part[i].id, err)
				}
				if ok && part[i].is(&f) {
					found++
				}
			}
			return nil
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// verify looks the sample of ids up, and says how many are there.
func (c *committer) verify(ctx context.Context, r *Result) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	began := time.Now()
	found := 0
	byShard := map[holdfast.ShardID][]paid{}
	for _, p := range c.sample {
		id := shardOf(p.debit, max(1, c.shards))
		byShard[id] = append(byShard[id], p)
	}
	for id, list := range byShard {
		n, err := c.look(ctx, id, list)
		if found += n; err != nil {
			return err
		}
	}
	r.Config["sampled"], r.Config["found"] = len(c.sample), found
	r.Config["lookup_us"] = math.Round(float64(time.Since(began).Microseconds()) / float64(max(1, len(c.sample))))
	if found != len(c.sample) {
		return fmt.Errorf("%d of %d payments that were acknowledged are not there as they were", len(c.sample)-found, len(c.sample))
	}
	return nil
}
