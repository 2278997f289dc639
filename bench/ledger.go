package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/ledger"
)

var ledgerCases = []kase{
	{name: "apply-10k", run: func(ctx context.Context, o *Options) (Result, error) { return apply(ctx, o, 10_000, 20_000_000, false) }},
	{name: "apply-10m", run: func(ctx context.Context, o *Options) (Result, error) {
		return apply(ctx, o, 10_000_000, 10_000_000, false)
	}},
	{name: "apply-hot", run: func(ctx context.Context, o *Options) (Result, error) { return apply(ctx, o, 10_000, 20_000_000, true) }},
}

const (
	batchSize = 8000
	// sealAt is how much gathers before a segment is sealed and handed to the store, which is one segment behind.
	sealAt = 256 << 10
)

// noPast is a store that has never seen an id, and says so at once: that is what one with a filter does with new ids.
type noPast struct{}

var errNoPast = errors.New("this bench has no store")

func (noPast) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }

func (noPast) Entry(uint64) ([]byte, error) { return nil, errNoPast }

func (noPast) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }

// applier drives a ledger state as a replica does, without a log.
type applier struct {
	state  *ledger.State
	index  uint64
	clock  holdfast.Time
	data   []byte
	out    []holdfast.Outcome
	sealed *ledger.Segment
}

// entry encodes transactions as a log entry.
func (a *applier) entry(txns []holdfast.Txn) {
	a.clock += holdfast.Time(batchSize)
	a.data = ledger.AppendHeader(a.data[:0], ledger.Header{Kind: ledger.KindTxns, Time: a.clock, Count: uint32(len(txns))})
	for i := range txns {
		a.data = ledger.AppendTxn(a.data, &txns[i])
	}
}

// apply applies the entry and gives how long that took. Outcomes other than done are an error: refusals are cheaper.
func (a *applier) apply() (took time.Duration, err error) {
	a.index++
	began := time.Now()
	a.out, err = a.state.Apply(a.index, a.data, noPast{}, a.out[:0])
	if a.state.Pending() >= sealAt {
		segment := a.state.Seal()
		if a.sealed != nil {
			a.state.Forget(a.sealed)
		}
		a.sealed = segment
	}
	took = time.Since(began)
	for i := range a.out {
		if a.out[i].Status != holdfast.Done && err == nil {
			err = fmt.Errorf("a transfer was not done: %s", a.out[i].Code)
		}
	}
	return took, err
}

// apply measures the ledger alone, on one core: decoding an entry, every check, money, ids and statement rows. Making the
// entries is not part of it.
func apply(ctx context.Context, o *Options, accounts, transfers int, hot bool) (Result, error) {
	c := newCast(accounts)
	g := newGenerator(c, hot, 1)
	a := &applier{state: ledger.New(), clock: g.now()}
	var err error
	c.funding(g, func(t *holdfast.Txn) bool {
		a.entry([]holdfast.Txn{*t})
		_, err = a.apply()
		return err == nil && ctx.Err() == nil
	})
	if err := errors.Join(err, ctx.Err()); err != nil {
		return Result{}, fmt.Errorf("open accounts: %w", err)
	}
	transfers = cmp.Or(o.Transfers, transfers)
	txns, legs := make([]holdfast.Txn, batchSize), make([]holdfast.Transfer, batchSize)
	var all times
	var total time.Duration
	done := 0
	for ; done < transfers && ctx.Err() == nil; done += batchSize {
		g.batch(txns, legs)
		a.entry(txns)
		took, err := a.apply()
		if err != nil {
			return Result{}, err
		}
		all, total = append(all, took), total+took
	}
	p50, p99 := all.quantiles()
	return Result{PerS: rate(done, total), P50: p50, P99: p99, Seconds: seconds(total), Config: map[string]any{
		"accounts": accounts, "transfers": done, "per_entry": batchSize, "threads": 1, "latency_of": "an entry", "hot_credit_account": hot,
	}}, ctx.Err()
}
