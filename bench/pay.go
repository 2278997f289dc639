package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
	"holdfast/site"
)

var payCases = []kase{
	{name: "3-site-pay", run: func(ctx context.Context, o *Options) (Result, error) {
		return payTrades(ctx, o, fewMerchants, fewCustomers)
	}},
	{name: "3-site-gateway", run: payGateway},
	{name: "3-site-pay-many", run: func(ctx context.Context, o *Options) (Result, error) {
		return payTrades(ctx, o, manyMerchants, manyCustomers)
	}},
	{name: "settle", run: paySettle},
	{name: "webhooks", run: payWebhooks},
}

const (
	paySites = 3
	// payGoal is the rate of payments of people that three sites on two cores have to carry; latency is measured at half of it.
	payGoal = 3000.0

	fewMerchants, fewCustomers   = 100, 5_000
	manyMerchants, manyCustomers = 10_000, 1_000_000
	mostPeople                   = 20_000_000 // merchants and customers: what fits into the memory of a large machine

	payMoney   = holdfast.Amount(100_000_000_000) // in each wallet: enough for any number of payments
	payAmount  = holdfast.Amount(1_00)            // of a payment; the fee is taken of it
	payFee     = 60                               // basis points
	tradePaid  = "TRADE_SUCCESS"
	settlers   = 128 // who register merchants and customers at once
	lookEvery  = 97  // every so manieth trade is looked up in the end
	lookAtMost = 2000
)

// market is a fleet with merchants who sell and customers who have money.
type market struct {
	fleet     *drill.Bare
	clients   []*client.Client
	shards    int
	merchants []holdfast.Owner
	customers []holdfast.Owner
	number    atomic.Uint64 // of the last trade
	paid      atomic.Uint64 // trades that were acknowledged
	loaded    time.Duration // how long it took to register everybody

	failure atomic.Value // the first one at half load, as a text

	mu     sync.Mutex
	sample []client.NewTrade // that were acknowledged as paid
}

// openMarket starts three sites as processes and registers everybody through the API. stop ends everything, also after an error.
func openMarket(ctx context.Context, o *Options, merchants, customers int) (m *market, stop func() error, err error) {
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return nil, func() error { return nil }, fmt.Errorf("make a directory for the sites: %w", err)
	}
	m = &market{shards: max(1, o.Shards)}
	stop = func() error {
		for _, c := range m.clients {
			c.Close()
		}
		if m.fleet != nil {
			err = m.fleet.Close()
		} else {
			err = nil
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	if m.fleet, err = drill.StartBare(ctx, o.Program, dir, drill.BareOptions{Sites: paySites, Shards: m.shards, Payments: true}); err != nil {
		return m, stop, err
	}
	if err := m.call(m.fleet); err != nil {
		return m, stop, err
	}
	o.Say(fmt.Sprintf("registering %d merchants and %d customers", merchants, customers))
	return m, stop, m.load(ctx, merchants, customers)
}

// call makes a client for each site: callers are spread over all of them.
func (m *market) call(fleet *drill.Bare) error {
	for i := range paySites {
		c, err := client.New(client.Config{Sites: fleet.URLs(i), Key: fleet.Key(), Timeout: 10 * time.Second})
		if err != nil {
			return err
		}
		m.clients = append(m.clients, c)
	}
	return nil
}

// people numbers merchants first and then customers, as the platform numbers owners.
func (m *market) people(merchants, customers int) error {
	for n := range merchants + customers {
		o, err := site.OwnerOf(uint32(n + 1))
		if err != nil {
			return err
		}
		if n < merchants {
			m.merchants = append(m.merchants, o)
		} else {
			m.customers = append(m.customers, o)
		}
	}
	return nil
}

// load registers everybody, and gives each customer money.
func (m *market) load(ctx context.Context, merchants, customers int) error {
	began := time.Now()
	if err := m.people(merchants, customers); err != nil {
		return err
	}
	err := each(ctx, len(m.merchants), settlers, func(ctx context.Context, i int) error {
		_, err := m.at(i).RegisterMerchant(ctx, client.NewMerchant{
			ID: m.merchants[i], Name: "a tea shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{yuan}, Fee: client.Fee{BasisPoints: payFee},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("register a merchant: %w", err)
	}
	if err := m.registerCustomers(ctx); err != nil {
		return fmt.Errorf("register customers: %w", err)
	}
	err = m.fund(func(t *holdfast.Txn) error {
		out, err := m.clients[0].Submit(ctx, *t)
		if err == nil && out.Status != holdfast.Done {
			err = fmt.Errorf("%s (%s)", out.Status, out.Code)
		}
		return err
	})
	m.loaded = time.Since(began)
	return err
}

func (m *market) at(i int) *client.Client { return m.clients[i%len(m.clients)] }

// fund gives every customer money out of an account without a limit, one in each shard, as a bank would: many with each transaction.
func (m *market) fund(submit func(*holdfast.Txn) error) error {
	byShard := map[holdfast.ShardID][]holdfast.AccountID{}
	for _, o := range m.customers {
		w := holdfast.AccountID{Owner: o, Purpose: holdfast.MustPurpose("wallet"), Asset: yuan}
		id := shardOf(w, m.shards)
		byShard[id] = append(byShard[id], w)
	}
	g := newGenerator(nil, false, 99)
	for id, wallets := range byShard {
		source := account(firstSlot(int(id)-1, m.shards), 0, "bank")
		t := holdfast.Txn{ID: g.id(), Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: source, Limit: holdfast.LimitNone}}}
		for some := range slices.Chunk(wallets, perFunding) {
			for _, w := range some {
				t.Transfers = append(t.Transfers, holdfast.Transfer{ID: g.id(), Kind: holdfast.Immediate, Debit: source, Credit: w, Amount: payMoney})
			}
			if err := submit(&t); err != nil {
				return fmt.Errorf("fill wallets: %w", err)
			}
			t = holdfast.Txn{ID: g.id()}
		}
	}
	return nil
}

// trade makes up a trade between a merchant and a customer of chance.
func (m *market) trade(r *rand.Rand) client.NewTrade {
	return client.NewTrade{
		Merchant: m.merchants[r.IntN(len(m.merchants))], OutTradeNo: fmt.Sprintf("B%010d", m.number.Add(1)), Amount: payAmount, Asset: yuan,
		Subject: "a pot of tea", Payer: m.customers[r.IntN(len(m.customers))],
	}
}

// pay makes a trade and pays it in one request.
func (m *market) pay(ctx context.Context, i int, t client.NewTrade) error {
	v, err := m.at(i).CreateTrade(ctx, t)
	if err != nil {
		return err
	}
	return m.remember(t, v.Status)
}

// remember keeps some of the trades that were acknowledged. One that was not paid is an error.
func (m *market) remember(t client.NewTrade, status string) error {
	if status != tradePaid {
		return fmt.Errorf("trade %s was answered %s, want %s", t.OutTradeNo, status, tradePaid)
	}
	if m.paid.Add(1)%lookEvery == 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.sample) < lookAtMost {
			m.sample = append(m.sample, t)
		}
	}
	return nil
}

// look looks the sample up: each trade has to be there as it was acknowledged.
func (m *market) look(ctx context.Context, r *Result) error {
	var found atomic.Int64
	err := each(ctx, len(m.sample), settlers, func(ctx context.Context, i int) error {
		want := &m.sample[i]
		v, err := m.at(i+1).Trade(ctx, want.Merchant, want.OutTradeNo)
		if err != nil || v.Status != tradePaid || v.Payer != want.Payer || v.Amount != want.Amount {
			return fmt.Errorf("trade %s of %s was acknowledged as paid by %s and stands as %q of %s: %w",
				want.OutTradeNo, want.Merchant, want.Payer, v.Status, v.Payer, err)
		}
		found.Add(1)
		return nil
	})
	r.Config["sampled"], r.Config["found"] = len(m.sample), found.Load()
	return err
}

// closed has callers that pay again as soon as they are answered.
func (m *market) closed(ctx context.Context, callers int, length time.Duration) (perSecond float64, waits times, err error) {
	return closedLoop(ctx, callers, length, func(i int) call {
		r := rand.New(rand.NewPCG(uint64(i), 11))
		return func(ctx context.Context) error { return m.pay(ctx, i, m.trade(r)) }
	})
}

// open pays when it is due.
func (m *market) open(ctx context.Context, perSecond float64, length time.Duration) (waits times, failed int, err error) {
	r := rand.New(rand.NewPCG(1000, 11))
	return openLoop(ctx, perSecond, length, func(n int) call {
		t := m.trade(r)
		return func(ctx context.Context) error {
			err := m.pay(ctx, n, t)
			if err != nil {
				m.failure.CompareAndSwap(nil, err.Error())
			}
			return err
		}
	})
}

// payTrades measures trades that are made and paid from a wallet by one request each.
func payTrades(ctx context.Context, o *Options, merchants, customers int) (r Result, err error) {
	m, stop, err := openMarket(ctx, o, cmp.Or(o.Merchants, merchants), cmp.Or(o.Customers, customers))
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return r, err
	}
	rested, err := m.rest(ctx)
	if err != nil {
		return r, err
	}
	sync, err := syncTimes(o.Dir)
	if err != nil {
		return r, err
	}
	callers := min(o.Callers, 128)
	work := workOf(m.fleet)
	full, done, err := m.closed(ctx, callers, o.Length)
	if err != nil {
		return r, err
	}
	used := work.per(len(done))
	half := min(full, payGoal) / 2
	o.Say(fmt.Sprintf("%.0f payments a second; now at %.0f", full, half))
	work = workOf(m.fleet)
	waits, failed, err := m.open(ctx, half, o.Length)
	if err != nil {
		return r, err
	}
	usedAtHalf := work.per(len(waits))
	p50, p99 := waits.quantiles()
	r = Result{PerS: full, P50: p50, P99: p99, Seconds: seconds(o.Length), Config: m.config(map[string]any{
		"callers": callers, "latency_of": "a trade made and paid at half of 3,000/s, or of per_s if that is less, open-loop, from when it was due",
		"half_load_per_s": half, "half_load_payments": len(waits), "half_load_failed": failed,
		"cpu_us_each": used, "half_load_cpu_us_each": usedAtHalf, "fsync_ms": sync, "rest_s": seconds(rested), "load_average": others(),
	})}
	if text := m.failure.Load(); text != nil {
		r.Config["half_load_failure"] = text
	}
	return r, m.look(ctx, &r)
}

func (m *market) config(more map[string]any) map[string]any {
	c := map[string]any{
		"sites": paySites, "shards": m.shards, "merchants": len(m.merchants), "customers": len(m.customers), "load_s": seconds(m.loaded), "fsync": true,
		"layout": "3 processes and the load generator on this machine; mutual TLS between sites, HTTP on loopback; callers spread over all sites",
	}
	for name, v := range more {
		c[name] = v
	}
	return c
}
