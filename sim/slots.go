package sim

import (
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/transit"
)

// nomads is everything about slots that move in a run: their accounts, who pays from and to them by whatever map a site has, who
// moves them, and what is true in the end. The versions of the shard map are a list here and not a record: it is written by one
// event, and every site learns of it in its own time.
type nomads struct {
	f      *fleet
	config slot.Config
	slots  []holdfast.Slot
	charts []chart
	moved  map[holdfast.Slot]time.Duration // when the map was changed for it last, or its move began
	moves  int
	people []*traveller
	asked  []*trip
	byID   map[holdfast.ID]*trip
	holds  []*trip
	stats  SlotStats
}

// SlotStats counts what happened to slots that move.
type SlotStats struct {
	Marked, Moved, Stayed  int // moves wanted, decided, given up
	Asked, Told, Elsewhere int // payments of their owners, definite answers, answers "moved"
	Redirected, Remembered int // landed where the payee had gone; answered by a shard that the owner had left
}

// chart is a version of the shard map.
type chart struct {
	nomads *nomads
	at     map[holdfast.Slot]holdfast.ShardID
	been   map[holdfast.Slot][]transit.Origin
}

func (c *chart) ShardOf(o holdfast.Owner) holdfast.ShardID {
	if at, ok := c.at[o.Slot()]; ok {
		return at
	}
	return c.nomads.f.crossings.shardOf(o)
}

func (c *chart) Origins(s holdfast.Slot) []transit.Origin { return c.been[s] }

// trip is a caller's transaction, and what became of it.
type trip struct {
	txn  *holdfast.Txn
	told holdfast.Outcome
	done map[holdfast.ShardID]holdfast.ID // the shards where it, or its land, is done
}

const (
	firstNomad  = holdfast.Slot(600)
	nomadSlots  = 3
	restless    = 4 * time.Second // a slot stays for longer than any request lives
	nomadOpener = 4000
)

func newNomads(f *fleet) *nomads {
	ms := holdfast.Time(time.Millisecond)
	n := &nomads{
		f: f, moved: map[holdfast.Slot]time.Duration{}, byID: map[holdfast.ID]*trip{},
		config: slot.Config{Ebb: pick(f.e.rng, []holdfast.Time{40 * ms, 200 * ms}), Pause: 100 * ms, Wait: 700 * ms, Page: pick(f.e.rng, []int{1, 2, 0})},
	}
	first := chart{nomads: n, at: map[holdfast.Slot]holdfast.ShardID{}, been: map[holdfast.Slot][]transit.Origin{}}
	for i := range holdfast.Slot(nomadSlots) {
		n.slots = append(n.slots, firstNomad+i)
		first.at[firstNomad+i] = holdfast.ShardID(int(firstNomad+i)%len(f.shards) + 1)
	}
	n.charts = []chart{first}
	for i := range 2 + f.e.rng.IntN(3) {
		n.people = append(n.people, &traveller{nomads: n, n: nomadOpener + 1 + i})
	}
	return n
}

func (n *nomads) account(s holdfast.Slot, p holdfast.Purpose) holdfast.AccountID {
	return holdfast.AccountID{Owner: must(holdfast.NewOwner(77, s)), Purpose: p, Asset: assets[0]}
}

var (
	nomadPurposes = []holdfast.Purpose{walletPurpose, must(holdfast.ParsePurpose("purse")), loanPurpose}
	nomadStart    = map[holdfast.Purpose]holdfast.Amount{nomadPurposes[0]: 300, nomadPurposes[1]: 300, loanPurpose: -200, bankPurpose: -400}
)

// opening is the first transaction of a slot.
func (n *nomads) opening(s holdfast.Slot, w *world) *holdfast.Txn {
	t, bank := &holdfast.Txn{ID: w.id()}, n.account(s, bankPurpose)
	t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: bank})
	for _, p := range nomadPurposes {
		a, limit := n.account(s, p), holdfast.LimitDebits
		leg := holdfast.Transfer{ID: w.id(), Kind: holdfast.Immediate, Debit: bank, Credit: a, Amount: 300}
		if p == loanPurpose {
			limit, leg.Debit, leg.Credit, leg.Amount = holdfast.LimitCredits, a, bank, 200
		}
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a, Limit: limit, Code: uint32(s)})
		t.Transfers = append(t.Transfers, leg)
	}
	return t
}

func (n *nomads) start() {
	for i, s := range n.slots {
		at := n.charts[0].at[s]
		w := n.f.worlds[at-1]
		c := &client{f: n.f, n: nomadOpener + 100 + i, shard: at, txn: n.opening(s, w), busy: true, stubborn: true}
		n.f.clients = append(n.f.clients, c)
		n.f.e.after(300*time.Millisecond, c.send)
	}
	for _, p := range n.people {
		n.f.e.after(n.f.e.between(900*time.Millisecond, 1500*time.Millisecond), p.next)
	}
	n.f.e.after(1500*time.Millisecond, n.wander)
}

// wander wants a slot to move, now and then, and sometimes changes its mind.
func (n *nomads) wander() {
	if n.f.closing {
		return
	}
	n.f.e.after(n.f.e.between(200*time.Millisecond, 1500*time.Millisecond), n.wander)
	if b := n.f.births; b != nil && !b.grown {
		return // nothing moves to a shard that is not there
	}
	s := pick(n.f.e.rng, n.slots)
	from := n.now().at[s]
	r := n.leader(from)
	if r == nil || n.f.oracle(from).twin.accounts[n.account(s, bankPurpose)] == nil { // who opens it asks one shard only
		return
	}
	if last, ok := n.moved[s]; ok && n.f.e.now-last < restless {
		return
	}
	to := holdfast.ShardID(1 + (int(from)+n.f.e.rng.IntN(len(n.f.shards)-1))%len(n.f.shards))
	n.moves++
	move := n.f.worlds[0].id()
	if t, _, ok := slot.Mark(route{r.p, n.now()}, []holdfast.Slot{s}, from, to, func(holdfast.Slot) holdfast.ID { return move }); ok {
		n.moved[s] = n.f.e.now
		n.stats.Marked++
		n.f.e.logf("slot %d is to move from shard %d to %d", s, from, to)
		r.p.submit(from, &t, shard.Origin{}, func(holdfast.Outcome) {})
		if n.f.e.chance(0.3) {
			n.f.e.after(n.f.e.between(5*time.Millisecond, 120*time.Millisecond), func() { n.regret(s, from) })
		}
	}
}

// regret wants a slot to stay after all.
func (n *nomads) regret(s holdfast.Slot, from holdfast.ShardID) {
	r := n.leader(from)
	if r == nil {
		return
	}
	if t, _, ok := slot.Unmark(route{r.p, n.now()}, []holdfast.Slot{s}, from); ok {
		n.f.e.logf("slot %d is to stay in shard %d", s, from)
		r.p.submit(from, &t, shard.Origin{}, func(holdfast.Outcome) {})
	}
}

func (n *nomads) leader(s holdfast.ShardID) *replica {
	for _, p := range n.f.sites {
		if p.up {
			if r := p.replicas[s-1]; r.core != nil && !r.out && r.core.Leader().Self {
				return r
			}
		}
	}
	return nil
}

func (n *nomads) now() *chart { return &n.charts[len(n.charts)-1] }

// flip changes the map. Sites learn of it later.
func (n *nomads) flip(c *slot.Flip) {
	old := n.now()
	if old.at[c.Slot] == c.To {
		return
	}
	n.f.e.logf("slot %d is in shard %d now", c.Slot, c.To)
	next := chart{nomads: n, at: map[holdfast.Slot]holdfast.ShardID{}, been: map[holdfast.Slot][]transit.Origin{}}
	for _, s := range n.slots {
		next.at[s], next.been[s] = old.at[s], old.been[s]
	}
	next.at[c.Slot], next.been[c.Slot] = c.To, c.Origins
	n.charts = append(n.charts, next)
	n.moved[c.Slot] = n.f.e.now
	n.stats.Moved++
	version := len(n.charts) - 1
	for _, p := range n.f.sites {
		n.f.e.after(n.f.e.between(0, 600*time.Millisecond), func() { p.chart = max(p.chart, version) })
	}
}

// route is a shard map with the replicas of a site: what the site's couriers and movers see, and how it routes.
type route struct {
	p     *process
	chart *chart
}

func (v route) ShardOf(o holdfast.Owner) holdfast.ShardID { return v.chart.ShardOf(o) }
func (v route) Origins(s holdfast.Slot) []transit.Origin  { return v.chart.Origins(s) }
func (p *process) route() route                           { return route{p, &p.f.nomads.charts[p.chart]} }

func (v route) replica(at holdfast.ShardID) (r *replica, ok bool) {
	r = v.p.replicas[at-1]
	return r, r.core != nil && !r.out
}

// State implements slot.View.
func (v route) State(at holdfast.ShardID, fn func(*ledger.State)) bool {
	r, ok := v.replica(at)
	if ok {
		r.machine.State(fn)
	}
	return ok
}

// Records implements slot.View.
func (v route) Records(at holdfast.ShardID, of holdfast.Slot, after string, max int) (list []holdfast.Record, ok bool) {
	r, ok := v.replica(at)
	if !ok {
		return nil, false
	}
	if model, is := r.volume.(*volume); is {
		return model.ownedRecords(r.machine, of, holdfast.OwnedPrefix, after, max), true
	}
	failed := r.machine.Look(func(v *shard.View) (err error) {
		list, err = v.Owned(of, after, max)
		return err
	})
	return list, failed == nil
}

// Record implements slot.View.
func (v route) Record(at holdfast.ShardID, key string) (rec holdfast.Record, found, ok bool) {
	r, ok := v.replica(at)
	if !ok {
		return rec, false, false
	}
	rec, found, err := r.record(key)
	return rec, found, err == nil
}

// record is a record as the replica has it.
func (r *replica) record(key string) (rec holdfast.Record, found bool, err error) {
	var row ledger.RecordRow
	r.machine.State(func(s *ledger.State) { row, found = s.RecentRecord(key) })
	if found {
		return row.Record, !row.Deleted, nil
	}
	return r.volume.Record(key)
}

// lookup implements transit.Lookup. Index 0 is a linearizable read: this site's replica has to have everything that is committed.
func (v route) lookup(o transit.Origin, id holdfast.ID) (*holdfast.Txn, bool, bool) {
	r, ok := v.replica(o.Shard)
	if !ok {
		return nil, false, false
	}
	if o.Index == 0 {
		o.Index = uint64(len(v.p.f.oracle(o.Shard).log))
	}
	if index, _ := r.machine.Applied(); index < o.Index {
		return nil, false, false
	}
	t, _, found := sight{r}.Decided(o.Shard, id)
	return t, found, true
}

// holdsOf looks for holds in what the site knows.
func (v route) holdsOf(end *holdfast.Transfer) []transit.Held {
	var shards []holdfast.ShardID
	for i := range v.p.f.shards {
		shards = append(shards, holdfast.ShardID(i+1))
	}
	return transit.FindHolds(shards, func(at holdfast.ShardID) []transit.Held { return v.holdsIn(at, end.Hold) })
}

func (v route) holdsIn(at holdfast.ShardID, id holdfast.ID) (list []transit.Held) {
	r, ok := v.replica(at)
	if !ok {
		return nil
	}
	state := func(as holdfast.ID) ledger.HoldState {
		trace, _ := r.trace(as)
		return trace.Hold
	}
	ended := func(s ledger.HoldState) bool { return s > ledger.HoldOpen && s < ledger.HoldMoved }
	written, _ := transit.ReadHolds(id, func(key string) (holdfast.Record, bool, error) {
		r, found, _ := v.Record(at, key)
		return r, found, nil
	})
	for i := range written {
		held := written[i].Held
		held.Ended = ended(state(held.ID(id)))
		list = append(list, held)
	}
	t, o, found := sight{r}.Decided(at, id)
	if now := state(id); found && now != ledger.HoldMoved && o.Status == holdfast.Done && len(t.Transfers) == 1 && t.Transfers[0].Kind == holdfast.Hold && !t.Transfers[0].ID.IsShadow() {
		l := &t.Transfers[0]
		list = append(list, transit.Held{Home: at, Away: at, Debit: l.Debit, Payee: l.Credit, Amount: l.Amount, Ended: ended(now)})
	}
	return list
}

// serve is a site that takes a request, by the map it has.
func (p *process) serve(t *holdfast.Txn, answer func(holdfast.Outcome)) {
	later := func(code holdfast.Code) {
		answer(holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: code, Leg: holdfast.NoLeg})
	}
	v := p.route()
	pay, code, _, ok := transit.Route(t, v, v.holdsOf, v.lookup)
	if !ok || code != holdfast.CodeOK {
		later(holdfast.CodeNoLeader)
		return
	}
	if now := v.ShardOf(t.Transfers[0].Debit.Owner); t.Transfers[0].Hold.IsZero() && pay.Home != now {
		p.f.nomads.stats.Remembered++
	}
	p.begin(t, pay, answer)
}

func (p *process) begin(t *holdfast.Txn, pay transit.Payment, answer func(holdfast.Outcome)) {
	life, leaves, depart := p.life, p.f.e.chance(0.1), pay.Depart()
	p.submit(pay.Home, &depart, shard.Origin{}, func(d holdfast.Outcome) {
		if !p.up || p.life != life {
			return
		}
		p.heardMoved(&d)
		v := p.route()
		again, known, ok := transit.Taken(t, pay.Home, &d, v.holdsOf, v.lookup)
		switch {
		case !ok:
			answer(holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg})
		case known:
			p.begin(t, again, answer)
		case d.Status != holdfast.Done || !pay.Crosses():
			answer(pay.Departed(d))
		case !leaves:
			p.land(t, pay, d, true, answer)
		}
	})
}

// land proposes the land where the payees are, as far as the site knows.
func (p *process) land(t *holdfast.Txn, pay transit.Payment, d holdfast.Outcome, first bool, answer func(holdfast.Outcome)) {
	unknown := pay.Outcome(d, holdfast.Outcome{})
	v, life := p.route(), p.life
	to, whole, ok := transit.Land(&pay, v, v.lookup)
	if !ok {
		answer(unknown)
		return
	}
	q := pay.At(to)
	land := q.Land()
	if !whole {
		land = q.Refusal()
	}
	p.submit(to, &land, shard.Origin{}, func(l holdfast.Outcome) {
		if !p.up || p.life != life {
			return
		}
		p.heardMoved(&l)
		if l.Code == holdfast.CodeMoved && first {
			p.land(t, pay, d, false, answer)
			return
		}
		if to != pay.Away && l.Status == holdfast.Done {
			p.f.nomads.stats.Redirected++
		}
		if r := p.replicas[pay.Home-1]; r.courier != nil {
			r.courier.Landed(p.clock(), t.ID, l)
		}
		answer(pay.Outcome(d, l))
	})
}

// heardMoved makes a site look at the map again.
func (p *process) heardMoved(o *holdfast.Outcome) {
	if o.Code == holdfast.CodeMoved {
		p.f.nomads.stats.Elsewhere++
		p.chart = len(p.f.nomads.charts) - 1
	}
}

// carrySlots lets the mover of a shard work while this replica leads it. What it knows ends with the leadership.
func (r *replica) carrySlots() {
	n := r.p.f.nomads
	if n == nil {
		return
	}
	if !r.core.Leader().Self || !r.core.Ready() {
		r.mover = nil
		return
	}
	if r.mover == nil {
		config := n.config
		config.Shard = r.shard
		r.mover = slot.New(config)
	}
	mover := r.mover
	work := mover.Step(r.p.clock(), route{r.p, n.now()})
	if c := work.Flip; c != nil {
		n.flip(c)
	}
	if q := work.Proposal; q != nil {
		r.p.f.e.logf("site %d: the mover of shard %d asks shard %d for %s", r.p.site, r.shard, q.To, describe(&q.Txn))
		life := r.p.life
		r.p.submit(q.To, &q.Txn, shard.Origin{}, func(o holdfast.Outcome) {
			if r.p.up && r.p.life == life && r.mover == mover {
				mover.Answered(r.p.clock(), q, o)
			}
		})
	}
	if err := mover.Err(); err != nil {
		n.f.oracle(r.shard).fail("slot", "site %d: %v", r.p.site, err)
	}
}

// traveller does one thing after the other, from and to accounts that move, and asks again by the same id until it knows what
// became of it.
type traveller struct {
	*nomads
	n       int
	x       *trip
	attempt int
	busy    bool
}

func (p *traveller) next() {
	p.attempt++
	p.x, p.busy = nil, !p.f.closing
	if !p.busy {
		return
	}
	p.f.e.after(p.f.e.between(0, 2*p.f.think), func() {
		if p.f.closing {
			p.busy = false
			return
		}
		p.x = p.draw()
		p.asked = append(p.asked, p.x)
		p.byID[p.x.txn.ID] = p.x
		p.stats.Asked++
		p.send()
	})
}

// draw makes a payment between nomads, or between one of them and somebody who stays.
func (p *traveller) draw() *trip {
	rng := p.f.e.rng
	w := pick(rng, p.f.worlds)
	t := &holdfast.Txn{ID: w.id()}
	some := func() holdfast.AccountID { return p.account(pick(rng, p.slots), pick(rng, nomadPurposes)) }
	leg := holdfast.Transfer{Kind: holdfast.Immediate, Debit: some(), Credit: some(), Amount: w.amount()}
	switch rng.IntN(4) {
	case 0:
		leg.Credit = pick(rng, w.wallets)
	case 1:
		leg.Debit = pick(rng, w.wallets)
	}
	if leg.Debit == leg.Credit {
		leg.Credit = p.account(leg.Credit.Owner.Slot(), bankPurpose)
	}
	x := &trip{txn: t, done: map[holdfast.ShardID]holdfast.ID{}}
	switch n := rng.IntN(100); {
	case n < 30:
		leg.Kind = holdfast.Hold
		if rng.IntN(4) == 0 {
			leg.Timeout = time.Duration(800+rng.IntN(5000)) * time.Millisecond
		}
		p.holds = append(p.holds, x)
	case n < 55 && len(p.holds) > 0:
		h := pick(rng, p.holds[max(0, len(p.holds)-8):])
		leg = holdfast.Transfer{Kind: holdfast.Post, Hold: h.txn.ID}
		switch rng.IntN(4) {
		case 0:
			leg.Kind = holdfast.Void
		case 1:
			leg.Amount = holdfast.Amount(1 + rng.IntN(40))
		}
	}
	t.Transfers = []holdfast.Transfer{leg}
	return x
}

func (p *traveller) send() {
	p.attempt++
	attempt, x, site := p.attempt, p.x, p.f.anySite()
	p.f.e.logf("traveller %d asks site %d for %s", p.n, site.site, describe(x.txn))
	p.f.net.rpc(0, site.site, func() {
		site.serve(x.txn, func(o holdfast.Outcome) {
			p.f.net.rpc(site.site, 0, func() { p.answered(attempt, x, site.site, o) })
		})
	})
	p.f.e.after(p.f.e.between(300*time.Millisecond, 1200*time.Millisecond), func() {
		if p.attempt == attempt && p.busy {
			p.send()
		}
	})
}

func (p *traveller) answered(attempt int, x *trip, at holdfast.SiteID, o holdfast.Outcome) {
	p.f.e.logf("traveller %d hears from site %d: %s is %s (%s)", p.n, at, short(x.txn.ID), o.Status, o.Code)
	p.f.e.note(uint64(o.Status), uint64(o.Code))
	definite := o.Status == holdfast.Done || o.Status == holdfast.Refused
	if definite {
		p.heard(x, &o)
	}
	if p.x != x || p.attempt != attempt || !p.busy {
		return
	}
	if definite || o.Code == holdfast.CodeNoLeader && !x.txn.Transfers[0].Hold.IsZero() && p.f.e.chance(0.3) {
		p.next() // there may be no such hold
		return
	}
	p.attempt++
	again := p.attempt
	p.f.e.after(p.f.e.between(5*time.Millisecond, 120*time.Millisecond), func() {
		if p.attempt == again && p.busy {
			p.send()
		}
	})
}
