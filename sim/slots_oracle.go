package sim

import (
	"fmt"

	"holdfast"
	"holdfast/ledger"
	"holdfast/slot"
	"holdfast/transit"
)

// What is true of slots that move, told from the logs alone.

// heard checks an answer against those before it, and against the logs.
func (n *nomads) heard(x *trip, o *holdfast.Outcome) {
	h := n.f.shards[0]
	if was := x.told; was.Status != holdfast.Unknown && (was.Status != o.Status || was.Code != o.Code) {
		h.fail("nomad", "%s was answered %s (%s), and now %s (%s)", x.txn.ID, was.Status, was.Code, o.Status, o.Code)
	}
	if x.told.Status == holdfast.Unknown {
		n.stats.Told++
	}
	x.told = *o
	if home, landed := n.standing(x); o.Status == holdfast.Done && !landed {
		h.fail("nomad", "%s was answered done, and stands in shards %v of the logs without having happened", x.txn.ID, home)
	}
}

// standing says in which logs a transaction is done, and whether it has happened: a payment between shards when it has landed.
func (n *nomads) standing(x *trip) (homes []holdfast.ShardID, happened bool) {
	for _, o := range n.f.shards {
		p := o.twin.ids[x.txn.ID]
		if p == nil || p.leg || p.outcome.Status != holdfast.Done {
			continue
		}
		homes = append(homes, o.shard)
		if len(p.txn.Messages) == 0 {
			happened = true
			continue
		}
		pay, err := transit.Read(p.txn.Messages[0].Body)
		if err != nil {
			o.fail("nomad", "message of %s: %v", x.txn.ID, err)
			continue
		}
		happened = happened || n.landed(&pay)
	}
	return homes, happened
}

// landed looks for the land in all logs.
func (n *nomads) landed(pay *transit.Payment) bool {
	for _, o := range n.f.shards {
		q := pay.At(o.shard)
		land := q.Land()
		if p := o.twin.ids[land.ID]; p != nil && !p.leg && p.outcome.Status == holdfast.Done && sameTxn(p.txn, &land) {
			return true
		}
	}
	return false
}

// audit looks at the last entry of a shard: nothing is done in two logs.
func (n *nomads) audit(o *oracle) {
	n.f.crossings.take(o)
	n.f.crossings.forget(o)
	n.count(o)
	for _, out := range o.log[len(o.log)-1].outcomes {
		x := n.byID[out.ID.Unshadow()]
		if x == nil || out.Status != holdfast.Done || out.Replay {
			continue
		}
		if p := o.twin.ids[out.ID]; p == nil || p.leg {
			continue
		}
		for s, id := range x.done {
			if id == out.ID && s != o.shard {
				o.fail("nomad", "%s is done in shard %d, and was in shard %d before", out.ID, o.shard, s)
			}
		}
		x.done[o.shard] = out.ID
	}
	n.auditTransit()
}

// count notes moves that were given up.
func (n *nomads) count(o *oracle) {
	for _, s := range n.slots {
		l := o.twin.records[ledger.NoteKey(s)]
		if l == nil || l.index[len(l.index)-1] != o.twin.index || uint64(len(o.log)) != o.twin.index {
			continue
		}
		if note, err := slot.ReadNote(l.now().Body); err == nil && note.Stage == slot.Stayed {
			n.stats.Stayed++
		}
	}
}

// auditTransit compares, for every shard, what it has sent with what has landed anywhere.
func (n *nomads) auditTransit() {
	for _, h := range n.f.shards {
		var sent, held, came holdfast.Amount
		for _, a := range n.f.shards {
			out := h.twin.sums(holdfast.InTransit(h.shard, a.shard, assets[0]))
			sent, held = sent+out.CreditsPosted, held+out.CreditsPending
			came += a.twin.sums(holdfast.InTransit(a.shard, h.shard, assets[0])).DebitsPosted
		}
		if sent > came || came > sent+held {
			h.fail("transit", "%d were sent and %d more are held, and %d have landed", sent, held, came)
		}
	}
}

// unsettled says what has not come to its end yet.
func (n *nomads) unsettled() string {
	if n == nil {
		return ""
	}
	for _, p := range n.people {
		if p.busy && p.x != nil {
			return fmt.Sprintf("traveller %d waits for an answer: %s", p.n, describe(p.x.txn))
		}
		if p.busy {
			return fmt.Sprintf("traveller %d thinks", p.n)
		}
	}
	for _, o := range n.f.shards {
		for s := range holdfast.Slot(holdfast.Slots) {
			if g := o.twin.gate(s); g != 0 && g != ledger.GateGone {
				return fmt.Sprintf("slot %d of shard %d has gate %d", s, o.shard, g)
			}
		}
	}
	return ""
}

// finish adds up what has happened, and compares it with what the accounts have, where they are now.
func (n *nomads) finish() {
	want := map[holdfast.AccountID]holdfast.Amount{}
	for _, x := range n.asked {
		homes, happened := n.standing(x)
		if len(homes) > 1 {
			n.f.shards[0].fail("nomad", "%s is done in shards %v", x.txn.ID, homes)
		}
		if x.told.Status == holdfast.Refused && happened && x.told.Code != holdfast.CodeIDTaken {
			n.f.shards[0].fail("nomad", "%s was answered refused (%s), and has happened", x.txn.ID, x.told.Code)
		}
		l := x.txn.Transfers[0]
		switch {
		case !happened || l.Kind == holdfast.Hold || l.Kind == holdfast.Void:
			continue
		case l.Kind == holdfast.Post:
			h := n.byID[l.Hold].txn.Transfers[0]
			if l.Amount == 0 {
				l.Amount = h.Amount
			}
			l.Debit, l.Credit = h.Debit, h.Credit
		}
		want[l.Debit] -= l.Amount
		want[l.Credit] += l.Amount
	}
	for _, s := range n.slots {
		for p, start := range nomadStart {
			id := n.account(s, p)
			for _, o := range n.f.shards {
				a, wanted := o.twin.sums(id), want[id]+start
				if o.shard != n.now().at[s] {
					wanted = 0
					if a.DebitsPending+a.CreditsPending != 0 {
						o.fail("nomad", "%s has left, and %d and %d are on hold", id, a.DebitsPending, a.CreditsPending)
					}
				}
				if a.Balance() != wanted {
					o.fail("nomad", "%s has %d, and all that happened comes to %d (it is in shard %d)", id, a.Balance(), wanted, n.now().at[s])
				}
			}
		}
	}
	n.compareHolds()
	n.compareMoving()
}

// compareHolds: a hold that was told to be there is open in one place, or has ended in one.
func (n *nomads) compareHolds() {
	for _, x := range n.holds {
		if x.told.Status != holdfast.Done {
			continue
		}
		opens, ends := 0, 0
		for _, o := range n.f.shards {
			for _, id := range []holdfast.ID{x.txn.ID, x.txn.ID.Shadow(), heldAs(o, x.txn.ID)} {
				l := o.twin.holds[id]
				if l == nil {
					continue
				}
				switch l.now().state {
				case open:
					opens++
				case posted, voided, expired:
					ends++
				}
			}
		}
		if opens+ends != 1 {
			n.f.shards[0].fail("nomad", "hold %s is open in %d places, and has ended in %d", x.txn.ID, opens, ends)
		}
	}
}

// heldAs is the id that a hold has in a shard to which it has moved.
func heldAs(o *oracle, hold holdfast.ID) holdfast.ID {
	written, _ := transit.ReadHolds(hold, func(key string) (r holdfast.Record, found bool, err error) {
		l := o.twin.records[key]
		if l == nil {
			return r, false, nil
		}
		return holdfast.Record{Key: key, Body: l.now().Body}, true, nil
	})
	for i := range written {
		if written[i].Home == o.shard {
			return written[i].As
		}
	}
	return holdfast.ID{}
}

// compareMoving: what has left one shard has come to the other.
func (n *nomads) compareMoving() {
	for i, a := range n.f.shards {
		for _, b := range n.f.shards[:i] {
			x := a.twin.sums(holdfast.Moving(a.shard, b.shard, assets[0]))
			y := b.twin.sums(holdfast.Moving(b.shard, a.shard, assets[0]))
			if x.Balance()+y.Balance() != 0 {
				a.fail("nomad", "to and from shard %d: %d went and %d came", b.shard, x.Balance(), y.Balance())
			}
		}
	}
}
