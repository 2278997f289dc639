package site

import (
	"context"
	"slices"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// crossing is a payment between shards on its way through one call: its depart is among the loads.
type crossing struct {
	payment transit.Payment
	at      int // its place among the outcomes
}

// land proposes what has departed to the shards of the payees, and makes one answer of the two. A caller whose deadline comes
// in between is told that the outcome is unknown; the courier brings the payment to its end.
func (s *Site) land(ctx context.Context, crossings []crossing, bulk bool, outcomes []holdfast.Outcome) {
	departs, lands := make([]holdfast.Outcome, len(crossings)), make([]holdfast.Outcome, len(crossings))
	var todo []int
	for i := range crossings {
		departs[i] = outcomes[crossings[i].at]
		if crossings[i].payment.Crosses() && departs[i].Status == holdfast.Done {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		s.landOnce(ctx, crossings, todo, bulk, lands)
		todo = slices.DeleteFunc(todo, func(i int) bool { return lands[i].Code != holdfast.CodeMoved })
		if len(todo) > 0 && !s.awaitMap(ctx) {
			break
		}
	}
	var refused []*transit.Payment
	for i := range crossings {
		c := &crossings[i]
		outcomes[c.at] = c.payment.Outcome(departs[i], lands[i])
		if c.payment.Pends() && departs[i].Status == holdfast.Done && lands[i].Status == holdfast.Refused {
			refused = append(refused, &c.payment)
		}
	}
	s.awaitSettles(ctx, refused)
}

// awaitSettles waits a moment until the records that refused payments have written at home are taken back: whoever hears that one was refused
// and reads them should see them as they are without it. They are refused either way.
func (s *Site) awaitSettles(ctx context.Context, list []*transit.Payment) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	var hurried []holdfast.ShardID
	for _, p := range list {
		if !slices.Contains(hurried, p.Home) {
			hurried = append(hurried, p.Home)
			s.hurryCourier(ctx, p.Home)
		}
	}
	for _, p := range list {
		s.awaitSettle(ctx, p)
	}
}

func (s *Site) awaitSettle(ctx context.Context, p *transit.Payment) {
	for settled := false; !settled; {
		err := s.Read(ctx, p.Home, shard.Stale, func(v *shard.View) (err error) {
			_, settled, err = v.Txn(p.SettleID())
			return err
		})
		if err != nil || !settled && !pause(ctx, settlePause) {
			return
		}
	}
}

// landOnce asks the shards that have the payees, as far as this site knows.
func (s *Site) landOnce(ctx context.Context, crossings []crossing, todo []int, bulk bool, lands []holdfast.Outcome) {
	var loads []load
	d := directory{s.ShardMap()}
	for _, i := range todo {
		p := &crossings[i].payment
		lands[i] = holdfast.Outcome{}
		to, whole, ok := transit.Land(p, d, s.lookup(ctx))
		if !ok {
			continue // the courier will find out
		}
		q := p.At(to)
		land := q.Land()
		if !whole {
			land = q.Refusal()
		}
		loads = add(loads, group{id: to, bulk: bulk}, &land, i, 1)
	}
	if len(loads) > 0 {
		s.carryAll(ctx, loads, lands)
	}
}
