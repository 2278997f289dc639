package sim

import (
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/ledger"
	"holdfast/shard"
)

// client does one thing after the other at one shard and sends it again, by the same id, until it knows what became of it.
type client struct {
	f       *fleet
	n       int
	shard   holdfast.ShardID
	txn     *holdfast.Txn
	attempt int  // counts over the whole life: an answer to an older attempt is too late
	unsure  bool // some attempt of txn may have been executed
	busy    bool
	// stubborn clients give nothing up: without the opening transaction there would be nothing to see.
	stubborn bool
}

// next begins something new, or stops when the faults are over.
func (c *client) next() {
	if c.f.closing {
		c.busy = false
		return
	}
	c.busy, c.unsure, c.stubborn = true, false, false
	c.f.e.after(c.f.e.between(0, c.f.think), func() {
		if c.f.closing {
			c.busy = false
			return
		}
		if c.f.e.chance(0.25) {
			if c.f.e.chance(0.3) {
				c.readPast()
				return
			}
			c.read()
			return
		}
		c.txn = c.f.worlds[c.shard-1].next()
		if code, field := ledger.Check(c.txn); code != holdfast.CodeOK {
			c.f.e.logf("client %d: %s is malformed (%s %s)", c.n, c.txn.ID, code, field)
			c.next()
			return
		}
		c.send()
	})
}

// send makes one attempt at a site drawn anew.
func (c *client) send() {
	c.attempt++
	attempt, txn := c.attempt, c.txn
	answer := func(at holdfast.SiteID, o holdfast.Outcome) { c.answered(attempt, txn, at, o) }
	c.submit(txn, answer)
	if c.f.e.chance(c.f.impatience) { // a second copy, at another site, at the same time
		c.submit(txn, answer)
	}
	if c.f.e.chance(0.02) { // the id taken by something else
		other := c.f.worlds[c.shard-1].other(txn)
		c.unsure = true
		c.submit(other, func(at holdfast.SiteID, o holdfast.Outcome) {
			c.f.answered(c.shard, at, other, o, c.n, false)
		})
	}
	c.f.e.after(c.f.e.between(200*time.Millisecond, 1200*time.Millisecond), func() {
		if c.attempt == attempt && c.busy {
			c.unsure = true
			c.f.stats.Unknown++
			c.send()
		}
	})
}

func (c *client) submit(txn *holdfast.Txn, answer func(holdfast.SiteID, holdfast.Outcome)) {
	site := c.f.anySite()
	c.f.sending(txn.ID).copies++
	o := c.f.oracle(c.shard) // written down even if no answer ever comes
	o.acks = append(o.acks, check.Ack{ID: txn.ID, Txn: txn})
	c.f.e.logf("client %d asks site %d for %s", c.n, site.site, describe(txn))
	c.f.net.rpc(0, site.site, func() {
		site.submit(c.shard, txn, shard.Origin{}, func(o holdfast.Outcome) {
			c.f.net.rpc(site.site, 0, func() { answer(site.site, o) })
		})
	})
}

// answered takes the answer to an attempt. Answers to older attempts count as much, as long as the question stands.
func (c *client) answered(attempt int, txn *holdfast.Txn, at holdfast.SiteID, o holdfast.Outcome) {
	definite := c.f.answered(c.shard, at, txn, o, c.n, c.txn == txn && c.busy)
	if c.txn != txn || !c.busy {
		return
	}
	if definite {
		c.attempt++
		c.next()
		return
	}
	if o.Status == holdfast.Unknown {
		c.unsure = true
	}
	if attempt != c.attempt {
		return
	}
	if o.Status == holdfast.NotExecuted && !c.unsure && !c.stubborn && c.f.sending(txn.ID).copies == 1 && c.f.e.chance(0.2) {
		c.abandon()
		return
	}
	c.attempt++
	again := c.attempt
	c.f.e.after(c.f.e.between(5*time.Millisecond, 80*time.Millisecond), func() {
		if c.attempt == again && c.busy {
			c.send()
		}
	})
}

// abandon gives up something that was answered "not executed" at its only attempt: it must never happen.
func (c *client) abandon() {
	c.f.e.logf("client %d gives up %s", c.n, short(c.txn.ID))
	c.f.oracle(c.shard).abandoned(c.txn.ID)
	c.attempt++
	c.next()
}

// read reads an account, linearizably, at any site.
func (c *client) read() {
	w, o := c.f.worlds[c.shard-1], c.f.oracle(c.shard)
	id, site, floor := pick(w.rng, w.wallets), c.f.anySite(), o.floor
	c.attempt++
	attempt, called := c.attempt, c.f.e.now
	done := func() {
		if c.attempt == attempt {
			c.attempt++
			c.next()
		}
	}
	c.f.net.rpc(0, site.site, func() {
		site.read(c.shard, id, func(index uint64, a holdfast.Account, found bool, err error) {
			if err == nil { // judged when it is answered: an answer that is lost must be right as well
				c.f.stats.Reads++
				o.read(site.site, floor, index, id, a, found)
			}
			c.f.net.rpc(site.site, 0, func() {
				if err == nil {
					o.floor = max(o.floor, index)
					o.ops = append(o.ops, check.Op{
						Client: c.n, Call: int64(called), Return: int64(c.f.e.now), Read: &check.Read{Account: a, Found: found, Index: index},
					})
				}
				done()
			})
		})
	})
	c.f.e.after(500*time.Millisecond, done)
}

// rpc is a request or an answer over a connection: it may be lost or late, but never doubled.
func (n *network) rpc(from, to holdfast.SiteID, deliver func()) {
	if n.cut[from][to] || n.e.chance(n.loss/2) {
		return
	}
	if to > 0 {
		n.e.after(n.delay(), func() { n.arrive(to, deliver) })
		return
	}
	n.e.after(n.delay(), deliver)
}

// submit takes a transaction from a client or, forwarded, from another site.
func (p *process) submit(s holdfast.ShardID, txn *holdfast.Txn, from shard.Origin, answer func(holdfast.Outcome)) {
	refuse := func(status holdfast.Status, code holdfast.Code) {
		answer(holdfast.Outcome{ID: txn.ID, Status: status, Code: code, Leg: holdfast.NoLeg})
	}
	if !p.up {
		return // nobody is there: the caller waits for nothing
	}
	r := p.replicas[s-1]
	if r.core == nil || r.out || !r.core.Leader().Self {
		to := p.board(s)
		if to == 0 || from.Site != 0 {
			refuse(holdfast.NotExecuted, holdfast.CodeNoLeader)
			return
		}
		p.forward(to, s, txn, answer)
		return
	}
	if p.full && r.refuses {
		refuse(holdfast.NotExecuted, holdfast.CodeDiskFull)
		return
	}
	if p.full { // it will be somebody else's to do
		refuse(holdfast.NotExecuted, holdfast.CodeNoLeader)
		return
	}
	q := &shard.Request{Answer: func(q *shard.Request) {
		if q.Err != nil {
			refuse(shard.OutcomeOf(q.Err))
			return
		}
		answer(q.Outcomes[0])
	}}
	q.Batch.Add(txn)
	q.Batch.Origin = from
	if err := r.intake.Put(q); err != nil {
		refuse(shard.OutcomeOf(err))
		return
	}
	r.pump()
}

// board is the site that leads a shard, as this site knows: by its own replica, or by what the others say of themselves, whichever names
// the newer term. A replica that was removed goes on naming the leader it had last. 0: nobody is known.
func (p *process) board(s holdfast.ShardID) holdfast.SiteID {
	var best shard.Leadership
	if r := p.replicas[s-1]; r.core != nil && !r.out {
		if lead := r.core.Leader(); lead.Site != 0 && lead.Site != p.site {
			best = lead
		}
	}
	for _, other := range p.f.sites {
		r := other.replicas[s-1]
		if other == p || !other.up || r.core == nil || p.f.net.cut[other.site][p.site] {
			continue
		}
		if lead := r.core.Leader(); lead.Self && lead.Term > best.Term {
			best = lead
		}
	}
	return best.Site
}

// forward sends the request once to the site that leads, and the answer back. The replica here may have one earlier, which has to be the same.
func (p *process) forward(to holdfast.SiteID, s holdfast.ShardID, txn *holdfast.Txn, answer func(holdfast.Outcome)) {
	leader, life, origin := p.f.sites[to-1], p.life, shard.Origin{Site: p.site, Ticket: shard.Ticket(p.f.identity())}
	var early *holdfast.Outcome
	forwarded := shard.NewForwarded()
	if r := p.replicas[s-1]; r.core != nil && !r.out && !p.f.e.chance(0.1) { // a site of an earlier release has no tickets
		forwarded = r.forwarded
		forwarded.Add(origin.Ticket, 1, func(list []holdfast.Outcome) {
			early = &list[0]
			p.f.stats.Early++
			answer(list[0])
		})
	}
	p.f.net.rpc(p.site, to, func() {
		leader.submit(s, txn, origin, func(o holdfast.Outcome) {
			p.f.net.rpc(to, p.site, func() {
				switch {
				case !p.up || p.life != life:
				case early == nil:
					forwarded.Drop(origin.Ticket)
					answer(o)
				case (o.Status == holdfast.Done || o.Status == holdfast.Refused) && o != *early:
					p.f.oracle(s).fail("answer", "site %d has answered %s with %+v, and its leader with %+v", p.site, txn.ID, *early, o)
				}
			})
		})
	})
}

// haul is a client that sends batches of payments, never again and never asking what became of them: what it is told must be
// true all the same.
func (f *fleet) haul() {
	if f.closing {
		return
	}
	f.e.after(f.e.between(50*time.Millisecond, 800*time.Millisecond), f.haul)
	i, site := f.e.rng.IntN(len(f.worlds)), f.anySite()
	var txns []*holdfast.Txn
	for range 1 + f.e.rng.IntN(f.bulk) {
		t := &holdfast.Txn{ID: f.worlds[i].id(), Transfers: []holdfast.Transfer{f.worlds[i].payment()}}
		f.sending(t.ID).copies++
		f.shards[i].acks = append(f.shards[i].acks, check.Ack{ID: t.ID, Txn: t})
		txns = append(txns, t)
	}
	f.stats.Bulks++
	f.e.logf("the bulk client asks site %d for %d payments from %s on", site.site, len(txns), short(txns[0].ID))
	f.net.rpc(0, site.site, func() {
		site.submitBatch(f.shards[i].shard, txns, func(outcomes []holdfast.Outcome) {
			f.net.rpc(site.site, 0, func() { f.hauled(i, site.site, txns, outcomes) })
		})
	})
}

func (f *fleet) hauled(i int, at holdfast.SiteID, txns []*holdfast.Txn, outcomes []holdfast.Outcome) {
	for k, o := range outcomes {
		f.answered(f.shards[i].shard, at, txns[k], o, 2000, false)
		if o.Status == holdfast.NotExecuted {
			f.shards[i].abandoned(txns[k].ID)
		}
	}
}

// submitBatch takes a batch where the leader is, and nowhere else.
func (p *process) submitBatch(s holdfast.ShardID, txns []*holdfast.Txn, answer func([]holdfast.Outcome)) {
	r := p.replicas[s-1]
	if !p.up || r.core == nil || r.out || !r.core.Leader().Self || p.full {
		return
	}
	q := &shard.Request{Bulk: true, Answer: func(q *shard.Request) { answer(outcomesOf(q, txns)) }}
	for _, t := range txns {
		q.Batch.Add(t)
	}
	if q.Err = r.intake.Put(q); q.Err != nil {
		answer(outcomesOf(q, txns))
	}
	r.pump()
}

// outcomesOf is one outcome for each transaction, also when there is but one error for all.
func outcomesOf(q *shard.Request, txns []*holdfast.Txn) []holdfast.Outcome {
	if q.Err == nil {
		return q.Outcomes
	}
	status, code := shard.OutcomeOf(q.Err)
	var out []holdfast.Outcome
	for _, t := range txns {
		out = append(out, holdfast.Outcome{ID: t.ID, Status: status, Code: code, Leg: holdfast.NoLeg})
	}
	return out
}

// read answers a linearizable read from the state here.
func (p *process) read(s holdfast.ShardID, id holdfast.AccountID, answer func(index uint64, a holdfast.Account, found bool, err error)) {
	if !p.up {
		return
	}
	r := p.replicas[s-1]
	if r.core == nil || r.out {
		answer(0, holdfast.Account{}, false, shard.ErrOutOfService)
		return
	}
	life := p.life
	r.core.Read(&shard.ReadRequest{Answer: func(q *shard.ReadRequest) {
		if !p.up || p.life != life {
			return
		}
		if q.Err != nil {
			answer(0, holdfast.Account{}, false, q.Err)
			return
		}
		if r.machine.Doubted() {
			answer(0, holdfast.Account{}, false, shard.ErrOutOfService)
			return
		}
		r.machine.State(func(state *ledger.State) {
			index, _ := state.Applied()
			a, found := state.Account(id)
			answer(index, a, found, nil)
		})
	}})
	r.pump()
}
