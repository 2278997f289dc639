package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
)

var httpCases = []kase{{name: "3-site-payment", run: httpPayments}}

const httpSites = 3

// httpGoal is the rate that three sites on two cores have to carry; latency is measured at half of it, so that runs on machines
// of different speed say the same.
const httpGoal = 6000.0

// httpPayments measures one payment per request through the Go client: how many a second closed-loop callers get through,
// and then how long a payment takes at half of that, each sent when it is due.
func httpPayments(ctx context.Context, o *Options) (r Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return r, fmt.Errorf("make a directory for the sites: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shards := max(1, o.Shards)
	fleet, err := drill.StartBare(ctx, o.Program, dir, drill.BareOptions{Sites: httpSites, Shards: shards})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	h := &shop{cast: newCasts(commitAccounts, shards)}
	for i := range httpSites {
		c, err := client.New(client.Config{Sites: fleet.URLs(i), Key: fleet.Key(), Timeout: 10 * time.Second})
		if err != nil {
			return r, err
		}
		defer c.Close()
		h.clients = append(h.clients, c)
	}
	if err := h.fund(ctx); err != nil {
		return r, err
	}
	callers := min(o.Callers, 128)
	full, _, err := h.closed(ctx, callers, o.Length)
	if err != nil {
		return r, err
	}
	half := min(full, httpGoal) / 2
	o.Say(fmt.Sprintf("3-site-payment: %.0f a second; now at %.0f", full, half))
	waits, failed, err := h.open(ctx, half, o.Length)
	p50, p99 := waits.quantiles()
	return Result{PerS: full, P50: p50, P99: p99, Seconds: seconds(o.Length), Config: map[string]any{
		"sites": httpSites, "shards": shards, "accounts": commitAccounts, "callers": callers, "fsync": true,
		"layout":     "3 processes and the load generator on this machine; mutual TLS between sites, HTTP on loopback; callers spread over all sites",
		"latency_of": "a payment at half of 6,000/s, or of per_s if that is less, open-loop, from when it was due", "half_load_per_s": half,
		"half_load_payments": len(waits), "half_load_failed": failed,
	}}, err
}

// shop pays over HTTP.
type shop struct {
	cast    *cast
	clients []*client.Client
}

func (h *shop) fund(ctx context.Context) (err error) {
	h.cast.funding(newGenerator(h.cast, false, 99), func(t *holdfast.Txn) bool {
		var out holdfast.Outcome
		if out, err = h.clients[0].Submit(ctx, *t); err == nil && out.Status != holdfast.Done {
			err = fmt.Errorf("open accounts: %s (%s)", out.Status, out.Code)
		}
		return err == nil
	})
	return err
}

func (h *shop) pay(ctx context.Context, i int, t holdfast.Transfer) error {
	out, err := h.clients[i%len(h.clients)].Pay(ctx, t)
	if err == nil && out.Status != holdfast.Done {
		err = fmt.Errorf("%s (%s)", out.Status, out.Code)
	}
	return err
}

// closed has callers that pay again as soon as they are answered.
func (h *shop) closed(ctx context.Context, callers int, length time.Duration) (perSecond float64, waits times, err error) {
	return closedLoop(ctx, callers, length, func(i int) call {
		g := newGenerator(h.cast, false, uint64(i)+1)
		return func(ctx context.Context) error {
			var t holdfast.Transfer
			g.pay(&t)
			return h.pay(ctx, i, t)
		}
	})
}

// open sends payments when they are due, whether or not those before have been answered.
func (h *shop) open(ctx context.Context, perSecond float64, length time.Duration) (waits times, failed int, err error) {
	g := newGenerator(h.cast, false, 1000)
	return openLoop(ctx, perSecond, length, func(n int) call {
		var t holdfast.Transfer
		g.pay(&t)
		return func(ctx context.Context) error { return h.pay(ctx, n, t) }
	})
}
