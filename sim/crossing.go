package sim

import (
	"fmt"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/transit"
)

// crossings is everything about payments between shards in a run: who sends them, who brings them to their end, and what is
// true of them. A fleet of one shard has none.
type crossings struct {
	f      *fleet
	config transit.CourierConfig
	payers []*payer
	used   []*crossing
	held   map[holdfast.ID]transit.Held // holds that cross, as far as payers know
	holds  []holdfast.ID
	ways   [][]*onTheWay // by home shard, from 0: messages that are not acknowledged
	read   []int         // by home shard: how much of its outbox is in ways, or was
}

// crossing is one payment between shards, or a hold that waits to become one.
type crossing struct {
	transit.Payment
	told bool // somebody was told what became of it
}

// payer does one thing after the other between two shards, and asks again by the same id until it knows what became of it;
// or it goes away in the middle and never asks.
type payer struct {
	*crossings
	n       int
	x       *crossing
	attempt int
	busy    bool
}

func newCrossings(f *fleet) *crossings {
	rng, shards := f.e.rng, len(f.shards)
	ms := holdfast.Time(time.Millisecond)
	x := &crossings{f: f, held: map[holdfast.ID]transit.Held{}, ways: make([][]*onTheWay, shards), read: make([]int, shards)}
	x.config = transit.CourierConfig{
		Grace: pick(rng, []holdfast.Time{60 * ms, 300 * ms, 900 * ms}), Look: 20 * ms, Pause: 50 * ms, MaxPause: 800 * ms,
		Wait: 700 * ms, InFlight: pick(rng, []int{2, 20}),
	}
	for i := range 1 + rng.IntN(3) {
		if f.options.Slots {
			break // they know of one map only
		}
		x.payers = append(x.payers, &payer{crossings: x, n: 3001 + i})
	}
	for i, o := range f.shards {
		f.worlds[i].foreign = true
		o.after = func() { x.audit(o) }
	}
	return x
}

func (x *crossings) start() {
	for _, p := range x.payers {
		x.f.e.after(x.f.e.between(400*time.Millisecond, 1200*time.Millisecond), p.next)
	}
}

// shardOf is the shard map of the worlds.
func (x *crossings) shardOf(o holdfast.Owner) holdfast.ShardID {
	return holdfast.ShardID(int(o.Slot())%len(x.f.shards) + 1)
}

func (x *crossings) holdsOf(end *holdfast.Transfer) []transit.Held {
	if h, ok := x.held[end.Hold]; ok {
		return []transit.Held{h}
	}
	return nil
}

// draw makes a transaction between two shards.
func (x *crossings) draw() *holdfast.Txn {
	rng, shards := x.f.e.rng, len(x.f.shards)
	from := rng.IntN(shards)
	home, away := x.f.worlds[from], x.f.worlds[(from+1+rng.IntN(shards-1))%shards]
	t := &holdfast.Txn{ID: home.id()}
	switch n := rng.IntN(100); {
	case n < 20:
		x.drawLegs(t, home, away)
	case n < 34:
		leg := x.leg(home, away)
		leg.Kind = holdfast.Hold
		if rng.IntN(2) == 0 {
			leg.Timeout = time.Duration(300+rng.IntN(2500)) * time.Millisecond
		}
		t.Transfers = []holdfast.Transfer{leg}
		x.holds = append(x.holds, t.ID)
		x.held[t.ID] = transit.Held{Home: home.shard, Away: away.shard, Debit: leg.Debit, Payee: leg.Credit, Amount: leg.Amount}
	case n < 50 && len(x.holds) > 0:
		leg := holdfast.Transfer{Kind: holdfast.Post, Hold: pick(rng, x.holds[max(0, len(x.holds)-4):])}
		switch rng.IntN(3) {
		case 0:
			leg.Kind = holdfast.Void
		case 1:
			leg.Amount = holdfast.Amount(1 + rng.IntN(60))
		}
		t.Transfers = []holdfast.Transfer{leg}
	default:
		t.Transfers = []holdfast.Transfer{x.leg(home, away)}
	}
	x.reuse(t, home.shard)
	return t
}

// reuse gives some transactions the id of one that another shard remembers: ids meet in the shard where both land, or not at all.
func (x *crossings) reuse(t *holdfast.Txn, home holdfast.ShardID) {
	if len(x.used) == 0 || t.Transfers[0].Kind != holdfast.Immediate || x.f.e.rng.IntN(12) > 0 {
		return
	}
	other := pick(x.f.e.rng, x.used[max(0, len(x.used)-6):])
	for _, u := range x.used {
		if u.Txn.ID == other.Txn.ID && u.Home == home {
			return // not twice from one shard: which of the two is the first would be anybody's guess
		}
	}
	t.ID = other.Txn.ID
}

// leg is a transfer to a payee who mostly takes it: a loan takes what it is owed, and the spare may not be open.
func (x *crossings) leg(home, away *world) holdfast.Transfer {
	rng := x.f.e.rng
	t := holdfast.Transfer{Kind: holdfast.Immediate, Debit: pick(rng, home.wallets), Credit: pick(rng, away.wallets), Amount: home.amount()}
	switch rng.IntN(8) {
	case 0:
		t.Credit = away.loans[0]
	case 1:
		t.Credit = away.spare[0]
	case 2:
		t.Debit = home.bank
	}
	return t
}

// drawLegs is a payment with a fee at home and a share that the payee passes on, in any order.
func (x *crossings) drawLegs(t *holdfast.Txn, home, away *world) {
	rng := x.f.e.rng
	t.Transfers = append(t.Transfers, x.leg(home, away), home.payment(), away.payment(), x.leg(home, away))
	rng.Shuffle(len(t.Transfers), func(i, j int) { t.Transfers[i], t.Transfers[j] = t.Transfers[j], t.Transfers[i] })
	t.Transfers = t.Transfers[:2+rng.IntN(3)]
	for i := range t.Transfers {
		t.Transfers[i].ID = home.id()
	}
}

// next begins something new, or stops when the faults are over.
func (p *payer) next() {
	p.attempt++
	p.busy = !p.f.closing
	if !p.busy {
		return
	}
	p.x = nil
	p.f.e.after(p.f.e.between(0, 3*p.f.think), func() {
		if p.f.closing {
			p.busy = false
			return
		}
		t := p.draw()
		payment, code, field := transit.Make(t, p.shardOf, p.holdsOf)
		if code != holdfast.CodeOK || ledgerRefuses(t) {
			p.f.e.logf("payer %d: %s cannot cross (%s %s)", p.n, short(t.ID), code, field)
			p.next()
			return
		}
		p.x = &crossing{Payment: payment}
		p.used = append(p.used, p.x)
		p.send()
	})
}

func ledgerRefuses(t *holdfast.Txn) bool {
	code, _ := ledger.Check(t)
	return code != holdfast.CodeOK
}

// send makes one attempt at a site drawn anew.
func (p *payer) send() {
	p.attempt++
	attempt, x, site := p.attempt, p.x, p.f.anySite()
	p.f.sending(x.Txn.ID)
	p.f.e.logf("payer %d asks site %d for %s, from shard %d to %d", p.n, site.site, describe(x.Txn), x.Home, x.Away)
	p.f.net.rpc(0, site.site, func() {
		site.pay(&x.Payment, func(o holdfast.Outcome) {
			p.f.net.rpc(site.site, 0, func() { p.answered(attempt, x, site.site, o) })
		})
	})
	if p.f.e.chance(0.07) {
		p.f.e.logf("payer %d is gone", p.n)
		p.next()
		return
	}
	p.f.e.after(p.f.e.between(300*time.Millisecond, 1500*time.Millisecond), func() {
		if p.attempt == attempt && p.busy {
			p.f.stats.Unknown++
			p.send()
		}
	})
}

// answered takes an answer. One to an older attempt is checked all the same.
func (p *payer) answered(attempt int, x *crossing, at holdfast.SiteID, o holdfast.Outcome) {
	p.f.e.logf("payer %d hears from site %d: %s is %s (%s) %d/%d replay %v", p.n, at, short(x.Txn.ID), o.Status, o.Code, o.Index, o.Ord, o.Replay)
	p.f.e.note(uint64(o.Status), uint64(o.Code), o.Index)
	definite := p.heard(x, &o)
	if p.x != x || p.attempt != attempt || !p.busy {
		return
	}
	if definite {
		p.next()
		return
	}
	p.attempt++
	again := p.attempt
	p.f.e.after(p.f.e.between(5*time.Millisecond, 150*time.Millisecond), func() {
		if p.attempt == again && p.busy {
			p.send()
		}
	})
}

// pay is the site that takes the request: it proposes the depart and then the land, and may lose interest in between.
func (p *process) pay(x *transit.Payment, answer func(holdfast.Outcome)) {
	life, leaves, depart := p.life, p.f.e.chance(0.12), x.Depart()
	alive := func() bool { return p.up && p.life == life }
	p.submit(x.Home, &depart, shard.Origin{}, func(d holdfast.Outcome) {
		if !alive() {
			return
		}
		if d.Status != holdfast.Done || !x.Crosses() {
			answer(x.Departed(d))
			return
		}
		if leaves {
			return
		}
		land := x.Land()
		p.submit(x.Away, &land, shard.Origin{}, func(l holdfast.Outcome) {
			if !alive() {
				return
			}
			if r := p.replicas[x.Home-1]; r.courier != nil {
				r.courier.Landed(p.clock(), x.Txn.ID, l)
			}
			answer(x.Outcome(d, l))
		})
	})
}

// carryOn lets the courier of a shard work while this replica leads it. What it knows ends with the leadership.
func (r *replica) carryOn() {
	x := r.p.f.crossings
	if x == nil {
		return
	}
	if !r.core.Leader().Self {
		r.courier, r.mover = nil, nil
		return
	}
	if r.courier == nil {
		config := x.config
		config.Home = r.shard
		r.courier = transit.NewCourier(config)
	}
	courier := r.courier
	work := courier.Step(r.p.clock(), sight{r})
	for _, b := range work.Lands {
		for _, l := range b.List {
			r.p.f.stats.CourierLands++
			r.propose(courier, b.To, l, courier.Landed)
		}
	}
	for _, s := range work.Settles {
		r.p.f.stats.Settles++
		r.propose(courier, r.shard, s, courier.Settled)
	}
	r.carrySlots()
	if err := courier.Err(); err != nil {
		x.f.oracle(r.shard).fail("courier", "site %d: %v", r.p.site, err)
	}
}

func (r *replica) propose(c *transit.Courier, to holdfast.ShardID, l transit.Proposal, heard func(holdfast.Time, holdfast.ID, holdfast.Outcome)) {
	r.p.f.e.logf("site %d: the courier of shard %d asks shard %d for %s", r.p.site, r.shard, to, describe(&l.Txn))
	life := r.p.life
	r.p.submit(to, &l.Txn, shard.Origin{}, func(o holdfast.Outcome) {
		if r.p.up && r.p.life == life && r.courier == c {
			r.p.f.e.logf("site %d: the courier of shard %d hears: %s is %s (%s %s)", r.p.site, r.shard, short(l.Txn.ID), o.Status, o.Code, o.Field)
			heard(r.p.clock(), l.Payment, o)
		}
	})
}

// sight is what a courier sees: the replicas of its own site.
type sight struct{ r *replica }

func (s sight) Outbox(after uint64, max int) (list []holdfast.Queued) {
	s.r.machine.State(func(state *ledger.State) { list = state.Outbox(after, max) })
	return list
}

func (s sight) Decided(at holdfast.ShardID, id holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool) {
	var none holdfast.Outcome
	r := s.r.p.replicas[at-1]
	if r.core == nil || r.out {
		return nil, none, false
	}
	trace, found := r.trace(id)
	if !found {
		return nil, none, false
	}
	data, err := r.volume.Entry(trace.Index)
	if err != nil {
		return nil, none, false
	}
	h, txn, err := ledger.TxnAt(data, trace.Ord)
	if err != nil || txn.ID != id {
		return nil, none, false
	}
	o := holdfast.Outcome{
		ID: id, Status: holdfast.Done, Code: trace.Code, Leg: holdfast.NoLeg, Replay: true,
		Time: h.Time + holdfast.Time(trace.Ord), Position: trace.Position,
	}
	if trace.Code != holdfast.CodeOK {
		o.Status, o.Leg = holdfast.Refused, trace.Leg
	}
	return txn, o, true
}

// trace is what a replica remembers of an id.
func (r *replica) trace(id holdfast.ID) (trace ledger.Trace, found bool) {
	r.machine.State(func(state *ledger.State) { trace, found = state.FindRecent(id) })
	if found {
		return trace, true
	}
	trace, found, err := r.volume.Find(id)
	return trace, found && err == nil
}

func (s sight) Places(p *transit.Payment) []holdfast.ShardID {
	if s.r.p.f.nomads == nil {
		return []holdfast.ShardID{p.Away}
	}
	return p.Places(s.r.p.route())
}

func (s sight) Whereto(p *transit.Payment) (to holdfast.ShardID, whole, ok bool) {
	if s.r.p.f.nomads == nil {
		return p.Away, true, true
	}
	v := s.r.p.route()
	return transit.Land(p, v, v.lookup)
}

// unsettled says what has not come to its end yet.
func (x *crossings) unsettled() string {
	if x == nil {
		return ""
	}
	for _, p := range x.payers {
		switch {
		case p.busy && p.x != nil:
			return fmt.Sprintf("payer %d waits for an answer: %s", p.n, describe(p.x.Txn))
		case p.busy:
			return fmt.Sprintf("payer %d thinks", p.n)
		}
	}
	for i, list := range x.ways {
		if len(list) > 0 {
			return fmt.Sprintf("shard %d has %d messages under way, the first of %s to shard %d", i+1, len(list), short(list[0].Txn), list[0].To)
		}
	}
	return ""
}
