package site

import (
	"context"

	"holdfast"
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
	var loads []load
	for i := range crossings {
		p := &crossings[i].payment
		departs[i] = outcomes[crossings[i].at]
		if p.Crosses() && departs[i].Status == holdfast.Done {
			land := p.Land()
			loads = add(loads, group{id: p.Away, bulk: bulk}, &land, i, 1)
		}
	}
	if len(loads) > 0 {
		s.carryAll(ctx, loads, lands)
	}
	for i := range crossings {
		c := &crossings[i]
		outcomes[c.at] = c.payment.Outcome(departs[i], lands[i])
	}
}
