package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/site"
)

// Victim is a site that works until it is killed, for benches of restarts. It runs in a process of its own.
type Victim struct {
	Accounts int  // how many wallets there are
	Open     bool // make them, and a checkpoint of it, and end
	Entries  int  // make so many log entries of one payment each without any checkpoint, and then go on in small steps; 0: batches
}

// Tidings is one line of what a victim tells, as JSON: what was acknowledged, and what has to be right after its death.
type Tidings struct {
	Checkpoint uint64        `json:"checkpoint,omitempty"` // a checkpoint was made up to this entry
	Paid       []Receipt     `json:"paid,omitempty"`       // some of what was acknowledged
	Index      uint64        `json:"index,omitempty"`      // the last entry that was acknowledged
	Payments   int           `json:"payments,omitempty"`   // acknowledged since the line before
	Balances   []BalanceTold `json:"balances,omitempty"`   // of accounts that nobody touches any more
	Ready      bool          `json:"ready,omitempty"`      // it may be killed
}

// Receipt is an acknowledged payment.
type Receipt struct {
	ID     holdfast.ID     `json:"id"`
	Debit  string          `json:"debit"`
	Credit string          `json:"credit"`
	Amount holdfast.Amount `json:"amount"`
}

func receiptOf(t *holdfast.Txn) Receipt {
	p := paidBy(t)
	return Receipt{p.id, p.debit.String(), p.credit.String(), p.amount}
}

// BalanceTold is an account as it stood.
type BalanceTold struct {
	Account string          `json:"account"`
	Debits  holdfast.Amount `json:"debits"`
	Credits holdfast.Amount `json:"credits"`
}

// noCheckpoints has every bound there is: one that was forgotten once let a checkpoint come in the middle of the filling.
var noCheckpoints = shard.MachineConfig{SealRows: math.MaxInt, SealAge: math.MaxInt64, SealEntries: math.MaxUint64, SealBytes: math.MaxInt}

const (
	fewestAccounts = 10
	mostAccounts   = 50_000_000
	spared         = 2    // wallets that only move while the victim waits to be killed
	checkedMost    = 1000 // balances and ids that are compared
	entriesAtOnce  = 1000 // few enough to be done within the deadline of a request on a busy machine: what is sent again makes entries, too
	fundedAtOnce   = 8    // transactions of a thousand wallets each
)

// Live runs the victim on the configuration until orders ends, which it does with whoever gave them, or ctx does; one that only
// makes accounts ends when it has. Tidings go to out, a line each.
func (v *Victim) Live(ctx context.Context, cfg site.Config, orders io.Reader, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !v.Open { // which ends by itself, or when nobody reads its tidings
		go func() { // ends with the orders, or with the process
			_, _ = io.Copy(io.Discard, orders)
			cancel()
		}()
	}
	w := &witness{out: json.NewEncoder(out)}
	o := site.Options{OnCheckpoint: w.checkpoint}
	switch {
	case v.Open:
		o.Machine = shard.MachineConfig{SealAge: holdfast.Time(200 * time.Millisecond)} // nobody has to wait for the last checkpoint
	case v.Entries > 0:
		o.Machine = noCheckpoints
		o.Replica = shard.ReplicaConfig{BulkChunk: 1, BulksInFlight: 1024}
	}
	c := &committer{o: &Options{}, sites: 1, cast: newCast(v.Accounts), patience: 5 * time.Minute}
	stop, err := c.open(ctx, cfg, o, func() error { return nil })
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	from, err := c.checkpointed()
	if err == nil && from > 0 {
		err = w.tell(Tidings{Checkpoint: from})
	}
	if err != nil {
		return err
	}
	switch {
	case v.Open:
		return v.open(ctx, c, w)
	case v.Entries > 0:
		err = v.entries(ctx, c, w)
	default:
		err = v.batches(ctx, c, w)
	}
	if ctx.Err() != nil {
		return nil // told to end
	}
	return err
}

// checkpointed is the entry that the checkpoint of the site reaches to, as its metrics say; 0: there is none.
func (c *committer) checkpointed() (index uint64, err error) {
	families, err := c.site.Registry().Gather()
	if err != nil {
		return 0, fmt.Errorf("read the metrics of the site: %w", err)
	}
	for _, f := range families {
		if f.GetName() == "holdfast_shard_checkpoint_index" {
			index = uint64(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return index, nil
}

// witness writes tidings.
type witness struct {
	mu   sync.Mutex
	out  *json.Encoder
	last uint64 // checkpoint
	made chan struct{}
	err  error
}

func (w *witness) tell(t Tidings) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, w.out.Encode(t))
	return w.err
}

// checkpoint hears of a checkpoint.
func (w *witness) checkpoint(made shard.CheckpointMade) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = made.Index
	w.err = errors.Join(w.err, w.out.Encode(Tidings{Checkpoint: made.Index}))
	if w.made != nil {
		close(w.made)
		w.made = nil
	}
}

// await waits until an entry is in a checkpoint.
func (w *witness) await(ctx context.Context, index uint64) error {
	for {
		w.mu.Lock()
		done := w.last >= index
		if w.made == nil {
			w.made = make(chan struct{})
		}
		made := w.made
		w.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-made:
		case <-ctx.Done():
			return fmt.Errorf("waiting for entry %d to be in a checkpoint: %w", index, ctx.Err())
		}
	}
}

// open makes the accounts and waits until they are in a checkpoint.
func (v *Victim) open(ctx context.Context, c *committer, w *witness) error {
	var err error
	var txns []holdfast.Txn
	flush := func() {
		err = c.submit(ctx, txns, true)
		txns = nil
	}
	c.cast.funding(newGenerator(c.cast, false, 99), func(t *holdfast.Txn) bool {
		if txns = append(txns, *t); len(txns) == fundedAtOnce {
			flush()
		}
		return err == nil
	})
	if err == nil && len(txns) > 0 {
		flush()
	}
	if err != nil {
		return fmt.Errorf("open accounts: %w", err)
	}
	if err := w.await(ctx, c.last.Load()); err != nil {
		return err
	}
	return w.tell(Tidings{Index: c.last.Load(), Ready: true})
}

// entries makes log entries of one payment each, tells how things stand then, and pays on between two wallets that were
// left out until then.
func (v *Victim) entries(ctx context.Context, c *committer, w *witness) error {
	all := c.cast
	c.cast = &cast{bank: all.bank, wallets: all.wallets[spared:]}
	c.every = max(1, v.Entries/checkedMost)
	left := v.Entries
	var mu sync.Mutex
	next := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := min(left, entriesAtOnce)
		left -= n
		return n
	}
	var group sync.WaitGroup
	var errs error
	for i := range uint64(batchers) {
		group.Go(func() {
			g := newGenerator(c.cast, false, i+1)
			for n := next(); n > 0; n = next() {
				txns, legs := make([]holdfast.Txn, n), make([]holdfast.Transfer, n)
				g.batch(txns, legs)
				err := c.submit(ctx, txns, true)
				mu.Lock()
				errs = errors.Join(errs, err)
				mu.Unlock()
				if err != nil {
					return
				}
				for j := int(i); j < n; j += c.every {
					c.remember(&txns[j])
				}
			}
		})
	}
	group.Wait()
	if errs != nil {
		return errs
	}
	told := Tidings{Index: c.last.Load(), Payments: v.Entries, Ready: true}
	for i := range c.sample[:min(len(c.sample), checkedMost)] {
		p := &c.sample[i]
		told.Paid = append(told.Paid, Receipt{p.id, p.debit.String(), p.credit.String(), p.amount})
	}
	var err error
	if told.Balances, err = c.balances(ctx); err != nil {
		return err
	}
	if err := w.tell(told); err != nil {
		return err
	}
	c.cast = &cast{bank: all.bank, wallets: all.wallets[:spared]}
	return v.trickle(ctx, c, w)
}

// trickle pays one payment after another until somebody ends it.
func (v *Victim) trickle(ctx context.Context, c *committer, w *witness) error {
	g := newGenerator(c.cast, false, 1000)
	for ctx.Err() == nil {
		txns, legs := make([]holdfast.Txn, 1), make([]holdfast.Transfer, 1)
		g.batch(txns, legs)
		if err := c.submit(ctx, txns, false); err != nil {
			return err
		}
		if err := w.tell(Tidings{Paid: []Receipt{receiptOf(&txns[0])}, Index: c.last.Load(), Payments: 1}); err != nil {
			return err
		}
	}
	return nil
}

// balances of a sample of the wallets.
func (c *committer) balances(ctx context.Context) (list []BalanceTold, err error) {
	r := rand.New(rand.NewPCG(3, 7))
	err = c.site.Read(ctx, 1, shard.Linearizable, func(v *shard.View) error {
		for range min(checkedMost, len(c.cast.wallets)) {
			id := c.cast.wallets[r.IntN(len(c.cast.wallets))]
			a, ok := v.Account(id)
			if !ok {
				return fmt.Errorf("account %s is not there", id)
			}
			list = append(list, BalanceTold{id.String(), a.DebitsPosted, a.CreditsPosted})
		}
		return nil
	})
	return list, err
}

// batches commits batches as fast as it can until somebody ends it. It may be killed at any time after the first second.
func (v *Victim) batches(ctx context.Context, c *committer, w *witness) error {
	began := time.Now()
	var group sync.WaitGroup
	var mu sync.Mutex
	var errs error
	for i := range uint64(batchers) {
		group.Go(func() {
			g := newGenerator(c.cast, false, i+1)
			for ctx.Err() == nil {
				txns, legs := make([]holdfast.Txn, batchSize), make([]holdfast.Transfer, batchSize)
				g.batch(txns, legs)
				err := c.submit(ctx, txns, true)
				if err == nil {
					err = w.tell(Tidings{
						Paid: []Receipt{receiptOf(&txns[0]), receiptOf(&txns[batchSize-1])}, Index: c.last.Load(), Payments: batchSize,
						Ready: time.Since(began) > time.Second,
					})
				}
				if err != nil {
					mu.Lock()
					errs = errors.Join(errs, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	group.Wait()
	return errs
}
