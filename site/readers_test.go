package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// TestReadersFollowAMoveAsItGoesOn: whoever reads an account linearizably, through any site and at any moment of a move, sees all that was
// acknowledged before, and never what a shard is only putting in order.
func TestReadersFollowAMoveAsItGoesOn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s, ctx := f.site(1), context.Background()
	nomad, bank := account(t, 1, 10), account(t, 2, 10)
	f.mustDo(s, f.open(nomad, bank))
	hold := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Hold, Debit: bank, Credit: nomad, Amount: 9}}}
	f.mustDo(s, hold)

	var acked, reads atomic.Int64 // acked: what is on the nomad's account for certain
	payments := traffic{f: f, from: bank, to: nomad}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if o := payments.one(0); o.Status != holdfast.Done {
				t.Errorf("%+v", o)
				return
			}
			acked.Add(1)
		}
	})
	for _, at := range f.all() {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := holdfast.Amount(acked.Load())
				var got, payer holdfast.Account
				err := at.ReadAccount(ctx, nomad, shard.Linearizable, func(_ Stay, v *shard.View) error {
					got, _ = v.Account(nomad)
					payer, _ = v.Account(bank) // which has a hold
					return nil
				})
				if electing(err) {
					continue // nothing was read
				}
				if err != nil || got.Balance() < least || payer.Balance() > -least || payer.DebitsPending != 9 {
					t.Errorf("through site %d: %+v, %+v, %v; %d were acknowledged", at.cfg.Site, got, payer, err, least)
					return
				}
				reads.Add(1)
			}
		})
	}
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	close(stop)
	running.Wait()
	if reads.Load() == 0 {
		t.Error("nobody has read")
	}
	// A site that has not heard of the move asks where the slot was, and is sent on.
	old := f.site(3)
	f.until("an answer", func() (string, bool) {
		old.shardMap.Store(old.founding.Load())
		err := old.ReadAccount(ctx, nomad, shard.Linearizable, func(stay Stay, v *shard.View) error {
			a, _ := v.Account(nomad)
			if stay.Shard != 2 || len(stay.Origins) != 1 || stay.Origins[0].Shard != 1 || a.Balance() != holdfast.Amount(acked.Load()) {
				t.Errorf("%+v, %+v; %d were acknowledged", stay, a, acked.Load())
			}
			return nil
		})
		return fmt.Sprint(err), err == nil
	})
	var h HoldNow
	var found bool
	f.until("an answer about the hold", func() (string, bool) {
		var err error
		h, found, err = f.site(2).Hold(ctx, HoldName{ID: hold.ID}, shard.Linearizable)
		return fmt.Sprint(err), err == nil
	})
	if !found || h.Shard != 2 || h.State != ledger.HoldOpen || h.Debit != bank || h.Credit != nomad || h.ID != hold.ID {
		t.Errorf("%+v, %t", h, found)
	}
}

// electing reports whether a read ended without an answer as an election may end one.
func electing(err error) bool {
	return errors.Is(err, shard.ErrNoQuorum) || errors.Is(err, shard.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)
}
