package sim

import (
	"fmt"
	"slices"

	"holdfast"
	"holdfast/transit"
)

// What is true of payments between shards, told from the logs alone: the twins of both shards, at what is committed so far. A
// land is committed after its depart and before its settle, so that the two prefixes fit together at every moment.

// onTheWay is a message that is not acknowledged, with the depart that sent it and the land that has to come of it.
type onTheWay struct {
	*message
	depart *holdfast.Txn
	land   holdfast.Txn
}

// landed is what the log of the away shard says about a payment; nil: nothing yet. taken: the id is that of something else
// there, for ever, so that it never lands.
func (x *crossings) landed(m *onTheWay) (p *past, taken bool) {
	p = x.f.oracle(m.To).twin.ids[m.land.ID]
	if p != nil && (p.leg || !sameTxn(p.txn, &m.land)) {
		return nil, true
	}
	return p, false
}

// audit looks at everything that an entry of a shard can have changed.
func (x *crossings) audit(o *oracle) {
	if x.f.nomads != nil {
		x.f.nomads.audit(o)
		return
	}
	x.take(o)
	x.acknowledged(o)
	for i := range x.f.shards {
		if other := holdfast.ShardID(i + 1); other != o.shard {
			x.pair(o.shard, other)
			x.pair(other, o.shard)
		}
	}
}

// take takes over new messages of a shard.
func (x *crossings) take(o *oracle) {
	i := o.shard - 1
	for ; x.read[i] < len(o.twin.outbox); x.read[i]++ {
		m := o.twin.outbox[x.read[i]]
		if m.Topic == transit.Topic {
			p, err := transit.Read(m.Body)
			if err != nil {
				o.fail("transit", "message %d: %v", m.Seq, err)
				continue
			}
			x.ways[i] = append(x.ways[i], &onTheWay{&m, o.twin.ids[m.Txn].txn, p.Land()})
		}
	}
}

// acknowledged checks the end of every message: the away shard has decided, and the holds ended as it said. Until then they
// are open.
func (x *crossings) acknowledged(o *oracle) {
	i := o.shard - 1
	x.ways[i] = slices.DeleteFunc(x.ways[i], func(m *onTheWay) bool {
		if o.twin.outbox[m.Seq-1].acked == 0 {
			x.holdsAre(o, m, open)
			return false
		}
		land, taken := x.landed(m)
		switch {
		case land == nil && !taken:
			o.fail("transit", "payment %s is settled, and shard %d has decided nothing", m.Txn, m.To)
		case !taken && land.outcome.Status == holdfast.Done:
			x.holdsAre(o, m, posted)
			x.f.stats.Crossed++
		default:
			x.holdsAre(o, m, voided)
			x.f.stats.CrossRefused++
		}
		return true
	})
}

// forget drops messages that are acknowledged.
func (x *crossings) forget(o *oracle) {
	i := o.shard - 1
	x.ways[i] = slices.DeleteFunc(x.ways[i], func(m *onTheWay) bool { return o.twin.outbox[m.Seq-1].acked != 0 })
}

func (x *crossings) holdsAre(o *oracle, m *onTheWay, want holdState) {
	names := [...]string{open: "open", posted: "posted", voided: "voided", expired: "expired", elsewhere: "elsewhere"}
	for i := range m.depart.Transfers {
		if m.depart.Transfers[i].Kind != holdfast.Hold {
			continue
		}
		if got := o.twin.holds[m.depart.TransferID(i)].now().state; got != want {
			o.fail("transit", "hold %s of payment %s to shard %d is %s, right is %s", m.depart.TransferID(i), m.Txn, m.To, names[got], names[want])
		}
	}
}

// pair checks an ordered pair of shards. What is posted at home and what came away differ by exactly the messages whose land is
// in the log; and what is pending covers all that is under way.
func (x *crossings) pair(home, away holdfast.ShardID) {
	h, a := x.f.oracle(home), x.f.oracle(away)
	sent, came := h.twin.sums(holdfast.InTransit(home, away, assets[0])), a.twin.sums(holdfast.InTransit(away, home, assets[0]))
	var under, landed holdfast.Amount
	for _, m := range x.ways[home-1] {
		if m.To != away {
			continue
		}
		amount := leaving(m, sent.ID)
		under += amount
		land, _ := x.landed(m)
		if land == nil || land.outcome.Status != holdfast.Done {
			continue
		}
		landed += amount
		if got := arriving(land.txn, came.ID); got != amount {
			a.fail("transit", "payment %s holds %d in shard %d, and lands %d", m.Txn, amount, home, got)
		}
	}
	if sent.CreditsPosted+landed != came.DebitsPosted || came.DebitsPosted > sent.CreditsPosted+sent.CreditsPending || under > sent.CreditsPending {
		h.fail("transit", "to shard %d: %d posted, %d pending, %d came there; %d are under way, %d of them have landed",
			away, sent.CreditsPosted, sent.CreditsPending, came.DebitsPosted, under, landed)
	}
}

// sums is an account as it stands; one that was never opened has none.
func (w *twin) sums(id holdfast.AccountID) holdfast.Account {
	if l := w.accounts[id]; l != nil {
		return l.now()
	}
	return holdfast.Account{ID: id}
}

func leaving(m *onTheWay, through holdfast.AccountID) (sum holdfast.Amount) {
	for i := range m.depart.Transfers {
		if t := &m.depart.Transfers[i]; t.Kind == holdfast.Hold && t.Credit == through {
			sum += t.Amount
		}
	}
	return sum
}

func arriving(land *holdfast.Txn, through holdfast.AccountID) (sum holdfast.Amount) {
	for i := range land.Transfers {
		if t := &land.Transfers[i]; t.Debit == through {
			sum += t.Amount
		}
	}
	return sum
}

// heard checks what a payer was told at the moment it hears it, and reports whether it is definite.
func (x *crossings) heard(c *crossing, o *holdfast.Outcome) bool {
	h := x.f.oracle(c.Home)
	if o.Status != holdfast.Done && o.Status != holdfast.Refused {
		return false
	}
	if what := x.untrue(c, o); what != "" {
		h.fail("crossing", "%s was answered %s (%s): %s", c.Txn.ID, o.Status, o.Code, what)
	}
	if !c.told {
		c.told = true
		x.count(c, o)
	}
	return true
}

func (x *crossings) count(c *crossing, o *holdfast.Outcome) {
	s := &x.f.stats
	switch {
	case o.Status == holdfast.Refused:
		s.Refused++
	case c.Crosses() && c.Txn.Transfers[0].Kind == holdfast.Post:
		s.CrossPosts++
	case !c.Crosses():
		s.CrossHolds++
	}
	if o.Status == holdfast.Done {
		s.Acknowledged++
	}
}

// untrue says what of an answer is not in the logs.
func (x *crossings) untrue(c *crossing, o *holdfast.Outcome) string {
	depart := x.f.oracle(c.Home).twin.ids[c.Txn.ID]
	want, wantLand := c.Depart(), c.Land()
	var land *past
	if c.Crosses() {
		land = x.f.oracle(c.Away).twin.ids[c.LandID()]
	}
	if land != nil && (land.leg || !sameTxn(land.txn, &wantLand)) {
		land = nil
	}
	switch {
	case o.Code == holdfast.CodeIDTaken || o.Code == holdfast.CodeTransferIDTaken: // not remembered
		if land != nil {
			return "the land is in the log"
		}
		return ""
	case depart == nil:
		return "it never departed"
	case !sameTxn(depart.txn, &want):
		return "something else departed"
	case depart.outcome.Position != o.Position:
		return fmt.Sprintf("it departed at %d/%d, not at %d/%d", depart.outcome.Index, depart.outcome.Ord, o.Index, o.Ord)
	case depart.outcome.Status != holdfast.Done || !c.Crosses():
		if depart.outcome.Status != o.Status || depart.outcome.Code != o.Code {
			return fmt.Sprintf("home says %s (%s)", depart.outcome.Status, depart.outcome.Code)
		}
		return ""
	}
	switch {
	case land == nil:
		return "it never landed"
	case land.outcome.Status != o.Status || land.outcome.Code != o.Code:
		return fmt.Sprintf("away says %s (%s)", land.outcome.Status, land.outcome.Code)
	case land.outcome.Time != o.Time:
		return fmt.Sprintf("it landed at %s, not at %s", land.outcome.Time, o.Time)
	}
	return ""
}

// finish compares the ends when nothing moves any more: what is pending in transit belongs to holds that wait for their payee.
func (x *crossings) finish() {
	if x.f.nomads != nil {
		x.f.nomads.finish()
		return
	}
	for i, o := range x.f.shards {
		waiting := map[holdfast.AccountID]holdfast.Amount{}
		for _, id := range o.twin.holdIDs {
			if h := o.twin.holds[id].now(); h.state == open {
				waiting[h.transfer.Credit] += h.transfer.Amount
			}
		}
		for k := range x.f.shards {
			home, away := holdfast.ShardID(i+1), holdfast.ShardID(k+1)
			sent := o.twin.sums(holdfast.InTransit(home, away, assets[0]))
			came := x.f.oracle(away).twin.sums(holdfast.InTransit(away, home, assets[0]))
			if home != away && (sent.CreditsPosted != came.DebitsPosted || sent.CreditsPending != waiting[sent.ID]) {
				o.fail("transit", "in the end: %d posted and %d came to shard %d; %d pending, %d of open holds",
					sent.CreditsPosted, came.DebitsPosted, away, sent.CreditsPending, waiting[sent.ID])
			}
		}
	}
}
