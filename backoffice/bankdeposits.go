package backoffice

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"holdfast"
	"holdfast/bank"
	"holdfast/pay"
)

const (
	depositPage  = 200
	depositsLeft = 1000 // deposits that could not be booked yet; at so many no more are read
	depositsOnce = 8    // booked at once
)

// deposits is how far the deposits of one account have been read. All of it can be made anew from the number that the platform remembers.
type deposits struct {
	desk    *desk
	asset   holdfast.Asset
	account bank.Account
	loaded  bool
	warned  string         // what went wrong last time: it is said once
	next    uint64         // the number to ask for next
	left    []bank.Deposit // read, and not booked yet
	saved   uint64
}

// readDeposits books what the bank has brought, for as long as it runs.
func (d *desk) readDeposits(ctx context.Context, asset holdfast.Asset) {
	r := deposits{desk: d, asset: asset, account: d.cfg.Accounts[asset]}
	for {
		more, err := r.turn(ctx)
		r.say(ctx, err)
		if !more && !pause(ctx, d.cfg.Poll) || ctx.Err() != nil {
			return
		}
	}
}

// say logs what goes wrong when that changes.
func (r *deposits) say(ctx context.Context, err error) {
	switch {
	case err == nil:
		r.warned = ""
	case ctx.Err() == nil && err.Error() != r.warned:
		r.warned = err.Error()
		r.desk.log.Warn("what has come in could not all be booked; it is tried again", "asset", r.asset.String(), "left", len(r.left), "error", err)
	}
}

// turn books what was left over and one page more; more tells that there may be another one at once.
func (r *deposits) turn(ctx context.Context) (more bool, err error) {
	cashier := r.desk.office.cfg.Cashier
	if !r.loaded {
		if err = cashier.OpenBank(ctx, r.desk.office.now(), r.asset); err != nil { // what comes from the bank comes from this account
			return false, err
		}
		if r.saved, err = cashier.DepositsSeen(ctx, r.desk.cfg.Name, r.asset); err != nil {
			return false, err
		}
		r.next, r.loaded = r.saved, true
	}
	failed := r.book(ctx, r.left)
	if len(r.left) < depositsLeft {
		ask, cancel := context.WithTimeout(ctx, r.desk.cfg.Timeout)
		page, next, asked := r.desk.cfg.Deposits.Deposits(ask, r.account, r.next, depositPage)
		cancel()
		if asked != nil {
			return false, errors.Join(failed, asked)
		}
		if c := r.desk.running(); c != nil {
			c.Alive()
		}
		before := len(r.left)
		failed = errors.Join(failed, r.book(ctx, page))
		r.next, more = next, len(page) == depositPage && len(r.left) == before
	}
	return more, errors.Join(failed, r.save(ctx))
}

// save remembers the number up to which everything has been booked.
func (r *deposits) save(ctx context.Context) error {
	done := r.next
	for i := range r.left {
		done = min(done, r.left[i].Seq-1)
	}
	if done == r.saved {
		return nil
	}
	err := r.desk.office.cfg.Cashier.SetDepositsSeen(ctx, r.desk.cfg.Name, r.asset, done, r.desk.office.now())
	if err == nil {
		r.saved = done
	}
	return err
}

// book books deposits, some at once. Those that could not be booked are left for the next turn, and do not keep the others waiting; the error is that of
// the last of them.
func (r *deposits) book(ctx context.Context, list []bank.Deposit) (failed error) {
	var mu sync.Mutex
	left := map[uint64]bool{}
	for wave := range waves(list) {
		each(ctx, depositsOnce, wave, func(in *bank.Deposit) {
			if err := r.bookOne(ctx, in); err != nil {
				mu.Lock()
				defer mu.Unlock()
				left[in.Seq], failed = true, err
			}
		})
	}
	known := map[uint64]bool{}
	var rest []bank.Deposit
	for _, in := range append(r.left, list...) {
		tried := contains(list, in.Seq)
		if !known[in.Seq] && (left[in.Seq] || !tried || ctx.Err() != nil) {
			known[in.Seq] = true
			rest = append(rest, in)
		}
	}
	r.left = rest
	return failed
}

// waves are deposits that can be booked at once: of those that name one top-up the first comes first.
func waves(list []bank.Deposit) iter.Seq[[]bank.Deposit] {
	return func(yield func([]bank.Deposit) bool) {
		for rest := list; len(rest) > 0; {
			var wave, later []bank.Deposit
			named := map[string]bool{}
			for i := range rest {
				reference := pay.FindReference(rest[i].Text)
				if reference != "" && named[reference] {
					later = append(later, rest[i])
					continue
				}
				named[reference] = true
				wave = append(wave, rest[i])
			}
			if !yield(wave) {
				return
			}
			rest = later
		}
	}
}

func contains(list []bank.Deposit, seq uint64) bool {
	for i := range list {
		if list[i].Seq == seq {
			return true
		}
	}
	return false
}

func (r *deposits) bookOne(ctx context.Context, in *bank.Deposit) error {
	d := pay.Deposit{
		Via: r.desk.cfg.Name, Ref: in.Ref, Asset: in.Asset, Amount: in.Amount, EndToEnd: clip(in.EndToEnd),
		Text: strings.ToValidUTF8(in.Text[:min(len(in.Text), 1024)], ""), From: in.From.Reveal(),
	}
	v, err := r.desk.office.cfg.Cashier.Deposited(ctx, d, r.desk.office.now())
	if refused := (*pay.Refusal)(nil); errors.As(err, &refused) && refused.Code != pay.RequestDiffers {
		// What stands beside the amount cannot be kept as it is. Without it the money is booked all the same, and somebody assigns it.
		d.EndToEnd, d.Text, d.From = "", "", ""
		v, err = r.desk.office.cfg.Cashier.Deposited(ctx, d, r.desk.office.now())
	}
	if err == nil && v.Status == pay.DepositUnassigned {
		r.desk.log.Info("a deposit has to be assigned by somebody", "deposit", v.ID, "asset", v.Asset.String(), "why", v.Why)
	}
	return err
}

// each calls do with every element of a list, with so many at once, until the context ends.
func each[T any](ctx context.Context, atOnce int, list []T, do func(*T)) {
	var all sync.WaitGroup
	defer all.Wait()
	free := make(chan struct{}, atOnce)
	for i := range list {
		select {
		case <-ctx.Done():
			return
		case free <- struct{}{}:
		}
		all.Go(func() {
			defer func() { <-free }()
			do(&list[i])
		})
	}
}
