package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"holdfast"
	"holdfast/backoffice"
	"holdfast/drill"
	"holdfast/httpapi"
	"holdfast/pay"
	"holdfast/site"
)

const (
	settleTrades  = 1_000_000
	settleCallers = 256
	settleTries   = 40
	bytesPerTrade = 6_000 // on the disks of three sites on this machine, with what is not compacted yet
	settlePoll    = 50 * time.Millisecond
	// settlePatience is how long a settlement may take before the bench gives up: ten times what it should.
	settlePatience = 10 * time.Minute
)

// settlement is a fleet whose site 1 leads in this process, with a cashier on its books and the HTTP API in front, so that trades can be loaded
// as of another day and the settlement be started when everything is measured that comes before.
type settlement struct {
	*market
	o       *Options
	site    *site.Site
	cashier *pay.Cashier
	api     *http.Server
	day     time.Time     // whose trades are settled: its midnight
	ahead   time.Duration // by which the clock of whoever settles it is
	trades  int
}

// paySettle measures the settlement of a day of many merchants beside payments at half load, and what those payments take before and during it.
func paySettle(ctx context.Context, o *Options) (r Result, err error) {
	s := &settlement{market: &market{shards: 1}, o: o, trades: cmp.Or(o.Transfers, settleTrades)}
	if err := needSpace(o.Dir, int64(s.trades)*bytesPerTrade); err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return r, fmt.Errorf("make a directory for the sites: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop, err := s.start(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return r, err
	}
	if err := s.fill(ctx, cmp.Or(o.Merchants, manyMerchants), cmp.Or(o.Customers, fewCustomers)); err != nil {
		return r, err
	}
	return s.measure(ctx)
}

// start brings the fleet up, with site 1 in this process and leading, and its HTTP API.
func (s *settlement) start(ctx context.Context, dir string) (stop func() error, err error) {
	nothing := func() error { return nil }
	fleet, err := drill.StartBare(ctx, s.o.Program, dir, drill.BareOptions{Sites: paySites, Shards: 1, Payments: true, Except: 1})
	if err != nil {
		return nothing, err
	}
	s.fleet = fleet
	cfg := fleet.Config(1)
	lead := &committer{o: s.o, sites: paySites, shards: 1}
	if stop, err = lead.open(ctx, cfg, site.Options{}, fleet.Close); err != nil {
		return stop, err
	}
	s.site = lead.site
	if s.cashier, err = cashierOf(s.site); err != nil {
		return stop, err
	}
	l, err := net.Listen("tcp", cfg.HTTP.Listen)
	if err != nil {
		return stop, fmt.Errorf("listen for HTTP: %w", err)
	}
	s.api = httpapi.NewServer(httpapi.New(s.site, httpapi.Options{
		Keys: cfg.GuardKeys(), Registry: s.site.Registry(), Deadline: cfg.Timing.Request.Std(), Payments: &httpapi.Commerce{Cashier: s.cashier},
	}), slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(l) }()
	down := stop
	stop = func() error {
		for _, c := range s.clients {
			c.Close()
		}
		closed := s.api.Close()
		<-served
		return errors.Join(closed, down())
	}
	return stop, s.call(fleet)
}

// cashierOf is a cashier on the books of a site. Its keys are of chance: nothing here is sealed at one site and read at another.
func cashierOf(s *site.Site) (*pay.Cashier, error) {
	keys := make([]byte, 64)
	if _, err := rand.Read(keys); err != nil {
		return nil, err
	}
	platform, err := site.OwnerOf(0)
	if err != nil {
		return nil, err
	}
	return pay.New(pay.Config{
		Books: s.Books(), AliasKey: keys[:32], CodeKey: keys[32:], Bank: platform, OwnerOf: site.OwnerOf, Day: time.UTC, Zone: time.LoadLocation,
	})
}

// fill makes merchants, customers with money, and the trades of the day.
func (s *settlement) fill(ctx context.Context, merchants, customers int) error {
	s.settleAhead(time.Now())
	s.o.Say(fmt.Sprintf("registering %d merchants and %d customers", merchants, customers))
	began := time.Now()
	if err := s.people(merchants, customers); err != nil {
		return err
	}
	early := holdfast.TimeOf(s.day.Add(time.Hour))
	err := each(ctx, merchants, settleCallers, func(ctx context.Context, i int) error {
		ask := pay.MerchantAsk{
			Owner: s.merchants[i], Name: "a tea shop", Zone: "UTC", Assets: []holdfast.Asset{yuan}, Fee: pay.FeePlan{BasisPoints: payFee},
		}
		account := pay.BankAccount{Number: fmt.Sprintf("62220200%011d", i), Name: "a tea shop"}
		return errors.Join(
			s.insist(ctx, func() error { _, err := s.cashier.RegisterMerchant(ctx, ask, early); return err }),
			s.insist(ctx, func() error { return s.cashier.PutAccount(ctx, s.merchants[i], "", account, early) }))
	})
	if err == nil {
		err = each(ctx, customers, settleCallers, func(ctx context.Context, i int) error {
			ask := pay.CustomerAsk{Owner: s.customers[i], Assets: []holdfast.Asset{yuan}}
			return s.insist(ctx, func() error { _, err := s.cashier.RegisterCustomer(ctx, ask, early); return err })
		})
	}
	if err == nil {
		err = s.fund(func(t *holdfast.Txn) error {
			return s.insist(ctx, func() error {
				if o, err := s.site.Books().Submit(ctx, t); err != nil || o.Status != holdfast.Done {
					return &pay.Unavailable{Err: fmt.Errorf("%s (%s): %w", o.Status, o.Code, err)}
				}
				return nil
			})
		})
	}
	if err != nil {
		return fmt.Errorf("register merchants and customers: %w", err)
	}
	s.o.Say(fmt.Sprintf("paying %d trades of %s", s.trades, s.day.Format(time.DateOnly)))
	step := 20 * time.Hour / time.Duration(s.trades)
	err = each(ctx, s.trades, min(settleCallers, customers), func(ctx context.Context, n int) error {
		ask := pay.TradeAsk{Merchant: s.merchants[n%merchants], OutTradeNo: fmt.Sprintf("A%010d", n), TradeOffer: pay.TradeOffer{
			Amount: payAmount, Asset: yuan, Subject: "a pot of tea",
		}}
		now := holdfast.TimeOf(s.day.Add(2*time.Hour + time.Duration(n)*step))
		return s.insist(ctx, func() error { _, err := s.cashier.PayNew(ctx, ask, s.customers[n%customers], now); return err })
	})
	s.loaded = time.Since(began)
	if err != nil {
		return fmt.Errorf("pay the trades of the day: %w", err)
	}
	return nil
}

// settleAhead chooses the day, which is tomorrow, and how far ahead of the time the clock of whoever settles it is: half an hour after it can be. The other
// sites settle days as well when they come to lead, and one that is over already would be settled, or closed, while its trades are being loaded.
func (s *settlement) settleAhead(now time.Time) {
	y, m, d := now.UTC().Date()
	s.day = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	s.ahead = s.day.AddDate(0, 0, 1).Add(pay.SettleLag + 30*time.Minute).Sub(now)
}

// again reports whether an error of the domain is one after which the same is asked for again.
func again(err error) bool {
	var not *pay.Unavailable
	var unknown *pay.Pending
	return errors.As(err, &not) || errors.As(err, &unknown)
}

// insist does something again that was not done, or of which nobody knows whether it was: it is the same thing each time.
func (s *settlement) insist(ctx context.Context, do func() error) (err error) {
	for n := range settleTries {
		if err = do(); !again(err) {
			return err
		}
		// Ever longer, and each of many callers another time: all of them asking again at once would keep the sites from coming to themselves.
		most := min(settlePoll<<min(n, 5), time.Second)
		pause(ctx, most/2+time.Duration(mathrand.Int64N(int64(most))))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

// measure pays at half load, then beside the settlement.
func (s *settlement) measure(ctx context.Context) (r Result, err error) {
	program := s.o.Program
	pause(ctx, settleRest)
	best, err := s.callers(ctx, program, Callers{AtOnce: min(s.o.Callers, 128), Length: s.o.Length / 2}, nil)
	if err != nil {
		return r, err
	}
	half := min(best.Rate, payGoal) / 2
	s.o.Say(fmt.Sprintf("%.0f payments a second; now at %.0f", best.Rate, half))
	before, err := s.callers(ctx, program, Callers{PerSecond: half, Length: s.o.Length, Seed: 1000}, nil)
	if err != nil {
		return r, err
	}
	b50, b99 := times(before.Waits).quantiles()
	s.o.Say(fmt.Sprintf("half of them within %.1f ms, 99 %% within %.1f ms, %d failed; settling", b50, b99, before.Failed))
	during, took, err := s.beside(ctx, half)
	if err != nil {
		return r, err
	}
	p50, p99 := times(during.Waits).quantiles()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	r = Result{PerS: rate(s.trades, took), P50: p50, P99: p99, Seconds: seconds(took), Config: s.config(map[string]any{
		"trades": s.trades, "day": s.day.Format(time.DateOnly), "latency_of": "a payment beside the settlement, open-loop, from when it was due",
		"p50_before_ms": b50, "p99_before_ms": b99, "p99_growth": math.Round(100*p99/max(b99, 0.001)) / 100, "half_load_per_s": half, "full_load_per_s": best.Rate,
		"half_load_payments": len(during.Waits), "half_load_failed": during.Failed, "half_load_failed_before": before.Failed,
		"heap_mb": memory.HeapInuse >> 20,
	})}
	r.Config["layout"] = "site 1, which leads, in this process, 2 as processes and the load generator as one on this machine; mutual TLS between sites, HTTP on " +
		"loopback; callers spread over all sites; settled as serve does"
	if err := errors.Join(s.settled(ctx, &r), s.look(ctx, &r)); err != nil {
		return r, err
	}
	return r, s.files(ctx, &r)
}

// settleRest lets the sites finish what loading has left them to do.
const settleRest = 3 * time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// beside settles the day while payments go on, and returns how they went and how long the settlement took.
func (s *settlement) beside(ctx context.Context, perSecond float64) (paid *Called, took time.Duration, err error) {
	office, err := backoffice.New(backoffice.Config{
		Cashier: s.cashier, Books: s.site.Books(), Now: func() time.Time { return time.Now().Add(s.ahead) }, Random: mathrand.Float64, Settle: &backoffice.SettleConfig{},
	})
	if err != nil {
		return nil, 0, err
	}
	working, stop := context.WithTimeout(ctx, settlePatience)
	defer stop()
	var ran sync.WaitGroup
	settled := make(chan struct{})
	began := time.Now()
	var end error
	ran.Go(func() { office.Run(working) })
	ran.Go(func() {
		defer close(settled)
		end = s.watch(working, stop)
		took = time.Since(began)
	})
	paid, err = s.callers(ctx, s.o.Program, Callers{PerSecond: perSecond, Length: settlePatience, Seed: 2000}, settled)
	stop()
	ran.Wait()
	return paid, took, errors.Join(err, end, ctx.Err())
}

// files writes the statement files of the day, as they are fetched, of some merchants one after the other.
func (s *settlement) files(ctx context.Context, r *Result) error {
	var size counter
	began := time.Now()
	n := min(len(s.merchants), settleFiles)
	for _, m := range s.merchants[:n] {
		if err := s.cashier.StatementFile(ctx, m, s.day.Format(time.DateOnly), &size); err != nil {
			return err
		}
	}
	r.Config["statement_file_ms"], r.Config["statement_file_bytes"] = math.Round(100*float64(time.Since(began).Milliseconds())/float64(n))/100, int(size)/n
	return nil
}

const settleFiles = 100

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// watch waits until no merchant is left whose day is to be settled, and calls done then or when it has to give up.
func (s *settlement) watch(ctx context.Context, done func()) error {
	defer done()
	due := pay.SettleIndex(holdfast.TimeOf(s.day.AddDate(0, 0, 1).Add(pay.SettleLag)))
	for {
		list, err := s.site.Books().ByIndex(ctx, due, "", 1)
		if err == nil && len(list) == 0 {
			return nil
		}
		select {
		case <-time.After(settlePoll):
		case <-ctx.Done():
			return fmt.Errorf("the day was not settled within %v: %w", settlePatience, errors.Join(context.Cause(ctx), err))
		}
	}
}

// settled compares what was settled with the trades that were loaded: to the last minor unit.
func (s *settlement) settled(ctx context.Context, r *Result) error {
	sums := make([]pay.Settled, len(s.merchants))
	err := each(ctx, len(s.merchants), settleCallers, func(ctx context.Context, i int) error {
		list, err := s.cashier.SettledDay(ctx, s.merchants[i], s.day.Format(time.DateOnly))
		for _, v := range list {
			sums[i].Payments += v.Payments
			sums[i].Paid += v.Paid
			sums[i].Payout += v.Payout
		}
		return err
	})
	var all pay.Settled
	for i := range sums {
		all.Payments += sums[i].Payments
		all.Paid += sums[i].Paid
		all.Payout += sums[i].Payout
	}
	plan := pay.FeePlan{BasisPoints: payFee}
	n := holdfast.Amount(s.trades)
	want := n * (payAmount - plan.Fee(payAmount))
	r.Config["settled_payments"], r.Config["paid_out"] = all.Payments, all.Payout
	if err == nil && (int(all.Payments) != s.trades || all.Paid != n*payAmount || all.Payout != want) {
		err = fmt.Errorf("%d payments of %d were settled, %d paid and %d paid out; want %d payments, %d and %d",
			all.Payments, s.trades, all.Paid, all.Payout, s.trades, n*payAmount, want)
	}
	return err
}
