package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	hookMerchants = 20
	hookEach      = 10 // endpoints of a merchant: as many as he may have, each at a receiver of its own
	hookCustomers = 2_000
	// hookGoal deliveries a second have to be carried; how long one takes is measured at half of it.
	hookGoal    = 2000.0
	hookAhead   = 10 // deliveries under way for each endpoint, at most: no more than there is room for
	hookCallers = 64
	// hookPatience is how long the last delivery may take: what finds no room at first is found within two minutes.
	hookPatience = 150 * time.Second
)

// receivers are the endpoints of merchants: HTTP servers on this machine that take everything.
type receivers struct {
	list   []*http.Server
	urls   []string
	served sync.WaitGroup
	fresh  atomic.Int64 // deliveries, each counted once

	mu    sync.Mutex
	seen  map[string]bool // event and path
	twice int             // that came again
	took  times           // from the event to its delivery, since the last clear
}

// payWebhooks measures how many events a second are delivered, and how long that takes at half of it.
func payWebhooks(ctx context.Context, o *Options) (r Result, err error) {
	at := &receivers{seen: map[string]bool{}}
	defer func() { err = errors.Join(err, at.close()) }()
	if err := at.open(); err != nil {
		return r, err
	}
	m, stop, err := openMarket(ctx, o, cmp.Or(o.Merchants, hookMerchants), cmp.Or(o.Customers, hookCustomers))
	defer func() { err = errors.Join(err, stop()) }()
	if err == nil {
		err = at.subscribe(ctx, m)
	}
	if err != nil {
		return r, err
	}
	full, err := at.busy(ctx, m, o.Length)
	if err != nil {
		return r, err
	}
	half := min(full, hookGoal) / 2
	o.Say(fmt.Sprintf("%.0f deliveries a second; now at %.0f", full, half))
	at.clear()
	waits, failed, err := m.open(ctx, half/hookEach, o.Length)
	if err == nil {
		err = at.all(ctx, m)
	}
	took := at.clear()
	p50, p99 := took.quantiles()
	r = Result{PerS: full, P50: p50, P99: p99, Seconds: seconds(o.Length), Config: m.config(map[string]any{
		"endpoints": len(m.merchants) * hookEach, "receivers": len(at.urls), "deliveries": at.fresh.Load(), "delivered_twice": at.again(),
		"half_load_per_s": half, "half_load_payments": len(waits), "half_load_failed": failed, "half_load_deliveries": len(took),
		"latency_of": "an event at half of 2,000 deliveries a second, or of per_s if that is less: from its time until the receiver has it",
	})}
	return r, errors.Join(err, m.look(ctx, &r))
}

// open starts the receivers.
func (at *receivers) open() error {
	for range hookEach {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen for deliveries: %w", err)
		}
		s := &http.Server{Handler: at, ReadHeaderTimeout: 10 * time.Second}
		at.list, at.urls = append(at.list, s), append(at.urls, "http://"+l.Addr().String())
		at.served.Go(func() { _ = s.Serve(l) }) // it ends with Close
	}
	return nil
}

func (at *receivers) close() (err error) {
	for _, s := range at.list {
		err = errors.Join(err, s.Close())
	}
	at.served.Wait()
	return err
}

// ServeHTTP takes a delivery.
func (at *receivers) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	const most = 64 << 10
	var event struct {
		Time time.Time `json:"time"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most))
	if err != nil || json.Unmarshal(body, &event) != nil {
		return
	}
	took, name := time.Since(event.Time), r.Header.Get("webhook-id")+r.Host+r.URL.Path
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.seen[name] {
		at.twice++
		return
	}
	at.seen[name] = true
	at.took = append(at.took, took)
	at.fresh.Add(1)
}

func (at *receivers) clear() (took times) {
	at.mu.Lock()
	defer at.mu.Unlock()
	took, at.took = at.took, nil
	return took
}

func (at *receivers) again() int {
	at.mu.Lock()
	defer at.mu.Unlock()
	return at.twice
}

// subscribe gives each merchant an endpoint at every receiver, and waits until all are known to work.
func (at *receivers) subscribe(ctx context.Context, m *market) error {
	err := each(ctx, len(m.merchants), hookCallers, func(ctx context.Context, i int) error {
		for _, base := range at.urls {
			if _, _, err := m.at(i).CreateWebhook(ctx, m.merchants[i], base+"/"+m.merchants[i].String()); err != nil {
				return fmt.Errorf("make a webhook endpoint: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 13))
	for i := range m.merchants {
		t := m.trade(r)
		t.Merchant = m.merchants[i]
		if err := m.pay(ctx, i, t); err != nil {
			return err
		}
	}
	return at.all(ctx, m)
}

// busy pays as fast as events are delivered, and returns how many were delivered a second.
func (at *receivers) busy(ctx context.Context, m *market, length time.Duration) (perSecond float64, err error) {
	room := int64(hookAhead * hookEach * len(m.merchants))
	before, began := at.fresh.Load(), time.Now()
	var within atomic.Int64
	timer := time.AfterFunc(length, func() { within.Store(at.fresh.Load() - before) })
	defer timer.Stop()
	_, _, err = closedLoop(ctx, hookCallers, length, func(i int) call {
		r := rand.New(rand.NewPCG(uint64(i), 13))
		return func(ctx context.Context) error {
			for int64(m.paid.Load())*hookEach-at.fresh.Load() > room && time.Since(began) < length && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			return m.pay(ctx, i, m.trade(r))
		}
	})
	if err != nil {
		return 0, err
	}
	if err := at.all(ctx, m); err != nil {
		return 0, err
	}
	return rate(int(within.Load()), length), nil
}

// all waits until every event of a payment has been delivered everywhere.
func (at *receivers) all(ctx context.Context, m *market) error {
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	for {
		want := int64(m.paid.Load()) * hookEach
		if at.fresh.Load() >= want {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries of %d were made: %w", at.fresh.Load(), want, context.Cause(ctx))
		}
	}
}
