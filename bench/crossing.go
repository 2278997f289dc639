package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
)

var crossingCases = []kase{{name: "3-site-crossing", several: crossing}}

const (
	crossingShards = 8
	crossingTrip   = 10 * time.Millisecond
	// crossingCallers are few: it is about how long a payment takes, not about how many there can be.
	crossingCallers = 6
	crossingWallets = 800
)

// crossing measures how long a payment from one shard to another takes, in round trips between the sites, beside one within a shard.
func crossing(ctx context.Context, o *Options) (list []Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the sites: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shards := o.Shards
	if shards < 2 {
		shards = crossingShards
	}
	fleet, err := drill.StartBare(ctx, o.Program, dir, drill.BareOptions{Sites: idleSites, Shards: shards, RTT: crossingTrip})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	x := &crosser{shop: shop{cast: newCasts(crossingWallets, shards)}, leader: map[holdfast.ShardID]holdfast.SiteID{}, shards: shards}
	for i := range idleSites {
		c, err := client.New(client.Config{Sites: fleet.URLs(i), Key: fleet.Key(), Timeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		defer c.Close()
		x.clients = append(x.clients, c)
	}
	settle, cancel := context.WithTimeout(ctx, idlePatience)
	defer cancel()
	if err := fleet.Settle(settle); err != nil {
		return nil, err
	}
	if err := x.fund(ctx); err != nil {
		return nil, err
	}
	for _, across := range []bool{false, true} {
		r, err := x.measure(ctx, o.Length, across)
		if err != nil {
			return list, err
		}
		list = append(list, r)
	}
	return list, nil
}

// crosser pays between shards, knowing who leads them.
type crosser struct {
	shop
	shards int
	leader map[holdfast.ShardID]holdfast.SiteID
}

// crossed is one payment: how many of its shards were led from another site than the one it was sent to, and how long it took.
type crossed struct {
	elsewhere int
	took      time.Duration
}

func (x *crosser) measure(ctx context.Context, length time.Duration, across bool) (r Result, err error) {
	shards, err := x.clients[0].Shards(ctx)
	if err != nil {
		return r, fmt.Errorf("ask who leads: %w", err)
	}
	for i := range shards {
		x.leader[shards[i].Shard] = shards[i].Leader
	}
	var all []crossed
	var mu sync.Mutex
	var callers sync.WaitGroup
	until := time.Now().Add(length)
	for i := range crossingCallers {
		callers.Go(func() {
			g := newGenerator(x.cast, false, uint64(i)+1)
			for time.Now().Before(until) && ctx.Err() == nil {
				one, failed := x.pay(ctx, g, i%len(x.clients), across)
				mu.Lock()
				all, err = append(all, one), errors.Join(err, failed)
				mu.Unlock()
				if failed != nil {
					return
				}
			}
		})
	}
	callers.Wait()
	return x.result(all, length, across), errors.Join(err, ctx.Err())
}

// pay makes one payment at a site and waits for its answer.
func (x *crosser) pay(ctx context.Context, g *generator, at int, across bool) (one crossed, err error) {
	casts := append([]*cast{x.cast}, x.cast.others...)
	from := g.random.IntN(len(casts))
	to := from
	if across {
		to = (from + 1 + g.random.IntN(len(casts)-1)) % len(casts)
	}
	pick := func(k int) holdfast.AccountID { return casts[k].wallets[g.random.IntN(len(casts[k].wallets))] }
	t := holdfast.Transfer{ID: g.id(), Kind: holdfast.Immediate, Debit: pick(from), Credit: pick(to), Amount: 1, Code: 1}
	for t.Credit == t.Debit {
		t.Credit = pick(to)
	}
	for _, k := range slices.Compact([]int{from, to}) {
		if x.leader[holdfast.ShardID(k+1)] != holdfast.SiteID(at+1) {
			one.elsewhere++
		}
	}
	began := time.Now()
	out, err := x.clients[at].Pay(ctx, t)
	one.took = time.Since(began)
	if err == nil && out.Status != holdfast.Done {
		err = fmt.Errorf("a payment: %s (%s)", out.Status, out.Code)
	}
	return one, err
}

func (x *crosser) result(all []crossed, length time.Duration, across bool) Result {
	name, what := "within", "a payment within one shard"
	if across {
		name, what = "crossing", "a payment from one shard to another"
	}
	var whole times
	by := map[int]times{}
	for _, one := range all {
		whole, by[one.elsewhere] = append(whole, one.took), append(by[one.elsewhere], one.took)
	}
	trips := func(ms float64) float64 { return math.Round(100*ms/float64(crossingTrip.Milliseconds())) / 100 }
	each := map[string]any{}
	for n, list := range by {
		p50, _ := list.quantiles()
		each[fmt.Sprint(n)] = map[string]any{"payments": len(list), "p50_ms": p50, "p50_round_trips": trips(p50)}
	}
	p50, p99 := whole.quantiles()
	return Result{Name: "3-site-" + name, PerS: rate(len(all), length), P50: p50, P99: p99, Seconds: seconds(length), Config: map[string]any{
		"sites": idleSites, "shards": x.shards, "rtt_ms": crossingTrip.Milliseconds(), "callers": crossingCallers, "payments": len(all),
		"p50_round_trips": trips(p50), "by_leaders_elsewhere": each, "latency_of": what,
		"layout": "3 processes on this machine, joined by cables with a delay; HTTP callers at every site, no delay to the site that they call",
	}}
}
