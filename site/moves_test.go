package site

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// traffic pays without a break, as clients do, and notes what went wrong and the longest time between two payments that were done. A move
// of slots or a birth must fail nothing; an election, which a slow machine brings at any moment, may: what it fails is asked again.
type traffic struct {
	f     *fleet
	from  holdfast.AccountID
	to    holdfast.AccountID
	done  int
	again int // attempts that an election has cost
	gap   time.Duration
	wrong []holdfast.Outcome
}

func (x *traffic) run(stop <-chan struct{}) {
	last := time.Now()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if o := x.one(n); o.Status != holdfast.Done {
			x.wrong = append(x.wrong, o)
			continue
		}
		x.done++
		x.gap = max(x.gap, time.Since(last))
		last = time.Now()
	}
}

// one makes one payment, through one site after the other while an election keeps it from being decided.
func (x *traffic) one(n int) (o holdfast.Outcome) {
	pay := x.f.pay(x.from, x.to, 1)
	for began := time.Now(); time.Since(began) < patience; n++ {
		outcomes, err := x.f.all()[n%len(x.f.all())].Submit(context.Background(), []holdfast.Txn{pay}, false)
		if err != nil {
			return holdfast.Outcome{ID: pay.ID, Field: err.Error()}
		}
		if o = outcomes[0]; !elects(o) {
			break
		}
		x.again++
	}
	return o
}

// awaitMove waits until every site knows that a slot is in a shard, and nothing of it is left in another.
func (f *fleet) awaitMove(slot holdfast.Slot, from, to holdfast.ShardID) {
	f.t.Helper()
	eventually(f.t, "the slot has moved", func() bool {
		for _, s := range f.all() {
			gone := false
			err := s.Read(context.Background(), from, shard.Linearizable, func(v *shard.View) error {
				v.State(func(state *ledger.State) {
					g, _ := state.Gates()
					gone = g.Of(slot) == ledger.GateGone
				})
				return nil
			})
			if err != nil || !gone || s.ShardMap().ShardOf(slot) != to {
				return false
			}
		}
		return true
	})
}

// moveSlots orders a move as an operator does: plan, look, apply.
func (f *fleet) moveSlots(s *Site, to holdfast.ShardID, slots ...SlotRange) SlotPlan {
	f.t.Helper()
	q := SlotRequest{Slots: slots, To: to}
	ctx := context.Background()
	return ordered(f, fmt.Sprintf("the move of %v", slots), func() (SlotPlan, string, error) {
		p, err := s.PlanSlots(ctx, q)
		return p, p.ID, err
	}, func(id string) error { return s.ApplySlots(ctx, q, id) })
}

// tryMove orders the move of one slot, if that is possible now.
func (f *fleet) tryMove(s *Site, slot holdfast.Slot, to holdfast.ShardID) error {
	q := SlotRequest{Slots: []SlotRange{{slot, slot}}, To: to}
	p, err := s.PlanSlots(context.Background(), q)
	if err == nil {
		err = s.ApplySlots(context.Background(), q, p.ID)
	}
	return err
}

func refused(err error, why string) bool {
	var r PlanRefused
	return errors.As(err, &r) && strings.Contains(r.Why, why)
}

// TestASlotMovesUnderLoad: its owners pay and are paid while it moves, no request fails, and nothing is lost, doubled or left
// behind. How long they waited is told.
func TestASlotMovesUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	s := f.site(1)
	nomad, spouse := account(t, 1, 10), account(t, 2, 10)   // in the slot that moves
	neighbour, far := account(t, 3, 20), account(t, 4, 900) // who stay in shards 1 and 2
	bank := account(t, 5, 20)
	f.mustDo(s, f.open(nomad, spouse))
	f.mustDo(s, f.open(neighbour))
	f.mustDo(s, f.open(far))
	f.mustDo(s, f.open(bank))
	for _, to := range []holdfast.AccountID{nomad, spouse, neighbour, far} {
		f.mustDo(s, f.pay(bank, to, 100_000))
	}
	early := f.pay(nomad, neighbour, 7)
	first := f.mustDo(s, early)
	hold := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{
		{Kind: holdfast.Hold, Debit: nomad, Credit: neighbour, Amount: 500, Timeout: time.Hour},
	}}
	f.mustDo(s, hold)

	all := []*traffic{
		{f: f, from: nomad, to: spouse},
		{f: f, from: nomad, to: neighbour},
		{f: f, from: neighbour, to: nomad},
		{f: f, from: nomad, to: far},
		{f: f, from: far, to: nomad},
		{f: f, from: bank, to: neighbour},
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, x := range all {
		running.Go(func() { x.run(stop) })
	}
	f.moveSlots(s, 2, SlotRange{10, 10})
	f.awaitMove(10, 1, 2)
	close(stop)
	running.Wait()
	for _, x := range all {
		if len(x.wrong) > 0 || x.done == 0 {
			t.Errorf("%s to %s: %d done; %+v", x.from, x.to, x.done, x.wrong)
		}
		t.Logf("%s to %s: %d done, %d asked again, the longest gap was %s", x.from, x.to, x.done, x.again, x.gap)
	}
	for _, again := range f.all() {
		if o := f.mustDo(again, early); !o.Replay || o.Position != first.Position {
			t.Errorf("a payment of before the move, through site %d again: %+v, first it was %+v", again.cfg.Site, o, first)
		}
	}
	post := holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: hold.ID, Amount: 400}}}
	f.mustDo(f.site(2), post)
	f.settled()
	paid := func(i int) holdfast.Amount { return holdfast.Amount(all[i].done) }
	f.mustHold(s, nomad, 100_000-7-400-paid(0)-paid(1)+paid(2)-paid(3)+paid(4))
	f.mustHold(s, spouse, 100_000+paid(0))
	f.mustHold(s, neighbour, 100_000+7+400+paid(1)-paid(2)+paid(5))
	f.mustHold(s, far, 100_000+paid(3)-paid(4))
	f.audit()
	back := SlotRequest{Slots: []SlotRange{{10, 10}}, To: 1}
	if _, err := s.PlanSlots(context.Background(), back); !refused(err, "has come to shard 2 a moment ago") {
		t.Errorf("it moves back at once: %v", err)
	}
}

// rest waits until every shard sleeps at every site.
func (f *fleet) rest() {
	f.t.Helper()
	f.until("all shards sleep", func() (string, bool) {
		for _, s := range f.all() {
			for _, st := range s.host.Status() {
				if !st.Asleep {
					return fmt.Sprintf("site %d, shard %d is awake, led by site %d", s.cfg.Site, st.Shard, st.Node.Leader.Site), false
				}
			}
		}
		return "", true
	})
}

// TestASlotMovesInAFleetAtRest: nothing is paid, all shards sleep, and couriers and movers wait. A shard that is born gets its own; the order
// wakes the mover, at whichever site it is given; and a payment out of the new shard is brought to its end.
func TestASlotMovesInAFleetAtRest(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 2)
	nomad, neighbour := account(t, 1, 10), account(t, 2, 20)
	bank := account(t, 3, 20)
	f.mustDo(f.site(1), f.open(nomad))
	f.mustDo(f.site(1), f.open(neighbour, bank))
	f.mustDo(f.site(1), f.pay(bank, nomad, 1000))
	f.settled()
	f.rest()
	f.addShard(2, "at-rest")
	f.born(3)
	f.rest()
	f.moveSlots(f.site(2), 3, SlotRange{10, 10})
	f.awaitMove(10, 1, 3)
	f.rest()
	f.mustDo(f.site(3), f.pay(nomad, neighbour, 300))
	f.settled()
	f.rest()
	f.moveSlots(f.site(3), 2, SlotRange{20, 20})
	f.awaitMove(20, 1, 2)
	f.mustHold(f.site(1), nomad, 700)
	f.mustHold(f.site(1), neighbour, 300)
	f.audit()
}
