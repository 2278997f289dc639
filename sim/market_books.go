package sim

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/pay"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/transit"
)

// call is one call of a domain at a site. The domain waits where it is, as it does in a real process; here it is a coroutine, which gives the
// run back to the events whenever it waits for the fleet. Only one of all runs at any moment, and only an event goes on with one, so that
// nothing but the seed decides. It implements [pay.Books] as site.Books does: the same steps, on the replicas of the simulated site.
type call struct {
	m      *market
	p      *process
	life   int
	until  time.Duration // the deadline of the request
	turn   int           // of waiting: who wakes an older one is too late
	maybe  bool          // an attempt of the transaction under way may have been executed
	dead   bool          // the process is gone, or the run is over: nothing that comes counts
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	answer func(error)
	err    error
}

// till is what a call of the domain finds at a site.
type till struct {
	*pay.Cashier
	ctx context.Context
	now holdfast.Time // by the clock of the site
}

// How long a request may take, an attempt of a proposal or read is waited for, and the pauses between two.
const (
	callFor      = 2500 * time.Millisecond
	attemptFor   = 450 * time.Millisecond
	attemptPause = 15 * time.Millisecond
	settlePause  = 8 * time.Millisecond
	settleWait   = 500 * time.Millisecond
	mapPause     = 10 * time.Millisecond
)

var (
	errLate = errors.New("the time of the request is over")
	errGone = errors.New("the process is gone")
)

// trade lets the domain do something at this site. Nobody answers when the process ends before.
func (p *process) trade(do func(*till) error, answer func(error)) {
	m := p.f.market
	c := &call{m: m, p: p, life: p.life, until: p.f.e.now + callFor, answer: answer}
	t := &till{m.cashier(c), context.Background(), p.own()}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if what := recover(); what != nil {
				p.f.e.fail("panic", "%v\n%s", what, stack())
			}
		}()
		c.yield = yield
		c.err = do(t)
	})
	m.calls = append(m.calls, c)
	m.stats.Calls++
	c.resume()
}

// resume goes on with the coroutine until it waits again, or has ended.
func (c *call) resume() {
	if _, waits := c.next(); waits {
		return
	}
	c.m.calls = slices.DeleteFunc(c.m.calls, func(x *call) bool { return x == c })
	if !c.dead {
		c.answer(c.err)
	}
}

// end unwinds a call that nobody will go on with.
func (c *call) end() {
	c.turn++
	c.stop()
}

// await begins something and waits until it wakes the call, for d at most. It is false when it did not.
func (c *call) await(d time.Duration, begin func(wake func())) (woken bool) {
	if c.dead {
		return false
	}
	c.turn++
	turn := c.turn
	goOn := func() {
		if c.turn == turn {
			c.resume()
		}
	}
	c.p.after(d, goOn)
	begin(func() {
		if c.turn == turn && c.p.up && c.p.life == c.life {
			woken = true
			c.p.after(0, goOn)
		}
	})
	c.dead = !c.yield(struct{}{})
	c.turn++
	return woken && !c.dead
}

func (c *call) pause(d time.Duration) { c.await(d, func(func()) {}) }

func (c *call) late() bool { return c.dead || c.m.f.e.now >= c.until }

// why is the error of what ends without an answer.
func (c *call) why() error {
	if c.dead {
		return errGone
	}
	return errLate
}

// wait implements pay.Config.Wait.
func (c *call) wait(_ context.Context, n int) error {
	c.m.stats.Waited++
	c.pause(time.Duration(n) * 5 * time.Millisecond)
	if c.late() {
		return c.why()
	}
	return nil
}

// read calls use with this site's replica of a shard when it has everything that was committed when read was called.
func (c *call) read(at holdfast.ShardID, use func(*replica)) error {
	for ; !c.late(); c.pause(attemptPause) {
		r := c.p.replicas[at-1]
		if r.core == nil || r.out {
			continue
		}
		core := r.core
		var failed error
		answered := c.await(attemptFor, func(wake func()) {
			core.Read(&shard.ReadRequest{Answer: func(q *shard.ReadRequest) {
				failed = q.Err
				wake()
			}})
			r.pump()
		})
		if answered && failed == nil && r.core == core && !r.out && !r.machine.Doubted() {
			use(r)
			return nil
		}
	}
	return c.why()
}

// places is the shard map that the site has.
func (c *call) places() transit.Directory {
	if c.m.f.nomads == nil {
		return settlers{c.m.f.crossings}
	}
	return c.p.route()
}

// settlers is the map of a fleet in which nobody moves.
type settlers struct{ x *crossings }

func (s settlers) ShardOf(o holdfast.Owner) holdfast.ShardID { return s.x.shardOf(o) }
func (settlers) Origins(holdfast.Slot) []transit.Origin      { return nil }

// gates are those of a shard as a replica has them.
func (r *replica) gates() (g ledger.Gates, err error) {
	known := false
	r.machine.State(func(s *ledger.State) { g, known = s.Gates() })
	if known {
		return g, nil
	}
	rec, found, err := r.record(ledger.GatesKey)
	if err != nil || !found {
		return g, err
	}
	return ledger.ReadGates(rec.Body)
}

// note is what a shard knows of the moves of a slot.
func (r *replica) note(of holdfast.Slot) (note slot.Note, found bool, err error) {
	rec, found, err := r.record(ledger.NoteKey(of))
	if err != nil || !found {
		return note, false, err
	}
	note, err = slot.ReadNote(rec.Body)
	return note, err == nil, err
}

// readOwner calls use with a replica of the shard where an owner is served at that moment, whatever the map of this site says. use may be called
// several times; what it did the last time counts.
func (c *call) readOwner(o holdfast.Owner, use func(*replica) error) error {
	at, of := c.places().ShardOf(o), o.Slot()
	if c.m.f.nomads == nil {
		var failed error
		return first(c.read(at, func(r *replica) { failed = use(r) }), &failed)
	}
	for range 8 {
		next, err := c.readAt(at, of, use)
		if err != nil || next == 0 {
			return err
		}
		c.m.stats.SentOn++
		at = next
	}
	return errLate
}

func first(err error, then *error) error {
	if err != nil {
		return err
	}
	return *then
}

// readAt reads in a shard that may have a slot; next is where to go on, 0: use has seen what there is.
func (c *call) readAt(at holdfast.ShardID, of holdfast.Slot, use func(*replica) error) (next holdfast.ShardID, err error) {
	var gate ledger.Gate
	var here slot.Note
	var failed error
	err = c.read(at, func(r *replica) {
		var gates ledger.Gates
		if gates, failed = r.gates(); failed != nil {
			return
		}
		if gate = gates.Of(of); gate != ledger.GateOpen {
			if here, _, failed = r.note(of); failed != nil {
				return
			}
		}
		if gate != ledger.GateGone && gate != ledger.GateArriving {
			failed = use(r)
		}
	})
	switch err = first(err, &failed); {
	case err != nil:
		return 0, err
	case gate == ledger.GateGone || gate == ledger.GateArriving:
		return here.Other, nil
	case gate != ledger.GateShut:
		return 0, nil
	}
	// Nobody is served while the slot is shut, until the other shard has decided that it is there.
	err = c.read(here.Other, func(r *replica) {
		there, found, err := r.note(of)
		if failed = err; found && there.Move == here.Move && there.Stage == slot.Here {
			next = here.Other
		}
	})
	return next, first(err, &failed)
}

// Record implements pay.Books.
func (c *call) Record(_ context.Context, key string) (rec holdfast.Record, found bool, err error) {
	err = c.readOwner(holdfast.OwnerOfKey(key), func(r *replica) (err error) {
		rec, found, err = r.record(key)
		return err
	})
	return rec, found && err == nil, err
}

// Glance implements pay.Glancer: what the site's own replica has, if it has one now.
func (c *call) Glance(_ context.Context, key string) (rec holdfast.Record, found bool, err error) {
	r := c.p.replicas[c.places().ShardOf(holdfast.OwnerOfKey(key))-1]
	if r.core == nil || r.out || r.machine.Doubted() {
		return rec, false, errLate
	}
	return r.record(key)
}

// listed are the records of an owner whose keys begin with prefix, as a replica has them.
func (r *replica) listed(prefix, after string, max int) (list []holdfast.Record, err error) {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return nil, err
	}
	if model, is := r.volume.(*volume); is {
		return model.ownedRecords(r.machine, owner.Slot(), prefix, after, max), nil
	}
	err = r.machine.Look(func(v *shard.View) (err error) {
		list, err = v.Listed(prefix, after, max)
		return err
	})
	return list, err
}

// Records implements pay.Books.
func (c *call) Records(_ context.Context, prefix, after string, max int) (list []holdfast.Record, err error) {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return nil, err
	}
	err = c.readOwner(owner, func(r *replica) (err error) {
		list, err = r.listed(prefix, after, max)
		return err
	})
	return list, err
}

// ByIndex implements pay.Books. Nobody in a market works through what is due.
func (c *call) ByIndex(context.Context, string, string, int) ([]holdfast.Record, error) {
	return nil, errors.New("the simulated sites list by no index")
}

// Account implements pay.Books.
func (c *call) Account(_ context.Context, id holdfast.AccountID) (a holdfast.Account, found bool, err error) {
	err = c.readOwner(id.Owner, func(r *replica) error {
		r.machine.State(func(s *ledger.State) { a, found = s.Account(id) })
		return nil
	})
	return a, found && err == nil, err
}

// Submit implements pay.Books.
func (c *call) Submit(_ context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	c.maybe = false
	o := c.submit(t)
	for n := 0; (o.Code == holdfast.CodeMoved || o.Code == holdfast.CodeRecordPending) && !c.late(); n++ {
		c.pause(settlePause << min(n, 3))
		o = c.submit(t)
	}
	switch {
	case c.dead:
		return holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}, nil
	case o.Status == holdfast.NotExecuted && c.maybe:
		return holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}, nil
	case o.Status == holdfast.NotExecuted:
		return o, errors.New("not executed: " + o.Code.String() + " " + o.Field)
	}
	return o, nil
}

func notExecuted(t *holdfast.Txn, code holdfast.Code, field string) holdfast.Outcome {
	return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: code, Field: field, Leg: holdfast.NoLeg}
}

// submit asks the shards that have the owners, as far as the site knows.
func (c *call) submit(t *holdfast.Txn) holdfast.Outcome {
	if code, field := ledger.Check(t); code != holdfast.CodeOK {
		return notExecuted(t, code, field)
	}
	pay, code, field, known := c.place(t)
	switch {
	case !known:
		return notExecuted(t, holdfast.CodeNoLeader, "")
	case code != holdfast.CodeOK:
		return notExecuted(t, code, field)
	}
	depart := pay.Depart()
	d := c.propose(pay.Home, &depart)
	if d.Code != holdfast.CodeIDTaken || c.m.f.nomads == nil {
		return c.land(t, pay, d)
	}
	again, known, ok := transit.Taken(t, pay.Home, &d, noHolds, c.lookup)
	if !ok {
		return holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}
	}
	if known {
		depart = again.Depart()
		return c.land(t, again, c.propose(again.Home, &depart))
	}
	return pay.Departed(d)
}

// noHolds: the domain ends no holds.
func noHolds(*holdfast.Transfer) []transit.Held { return nil }

// place says where a transaction belongs. known is false when that cannot be told just now.
func (c *call) place(t *holdfast.Txn) (p transit.Payment, code holdfast.Code, field string, known bool) {
	d := c.places()
	if c.m.f.nomads == nil {
		p, code, field = transit.Make(t, d.ShardOf, noHolds)
		return p, code, field, true
	}
	if p, code, field, known = transit.Route(t, d, noHolds, c.lookup); !known {
		return p, code, field, false
	}
	var all []holdfast.ShardID
	for i := range c.m.f.shards {
		all = append(all, holdfast.ShardID(i+1))
	}
	q, found, sure := transit.Anywhere(t, code, all, noHolds, c.lookup)
	if found {
		return q, holdfast.CodeOK, "", true
	}
	return p, code, field, sure
}

// lookup implements transit.Lookup.
func (c *call) lookup(o transit.Origin, id holdfast.ID) (stored *holdfast.Txn, found, ok bool) {
	look := func(r *replica) {
		if index, _ := r.machine.Applied(); index >= o.Index {
			stored, _, found = sight{r}.Decided(o.Shard, id)
			ok = true
		}
	}
	if r := c.p.replicas[o.Shard-1]; o.Index > 0 && r.core != nil && !r.out {
		if look(r); ok {
			return stored, found, ok
		}
	}
	failed := c.read(o.Shard, look)
	return stored, found, ok && failed == nil
}

// propose brings a transaction to the leader of a shard, again and again with the same id, until the answer is definite or the time is over.
func (c *call) propose(at holdfast.ShardID, t *holdfast.Txn) holdfast.Outcome {
	for ; !c.late(); c.pause(attemptPause << c.m.f.e.rng.IntN(4)) {
		var got holdfast.Outcome
		if !c.await(attemptFor, func(wake func()) {
			c.p.submit(at, t, shard.Origin{}, func(o holdfast.Outcome) {
				got = o
				wake()
			})
		}) {
			c.maybe = true
			continue
		}
		c.p.f.e.note(uint64(got.Status), uint64(got.Code), got.Index)
		switch {
		case got.Status == holdfast.Done || got.Status == holdfast.Refused:
			return got
		case got.Status == holdfast.Unknown:
			c.maybe = true
		case got.Code == holdfast.CodeMoved:
			c.pause(mapPause)
			c.p.heardMoved(&got)
			return got
		case got.Code != holdfast.CodeNoLeader && (got.Code == holdfast.CodeRecordPending || !c.maybe):
			return got
		}
	}
	if c.maybe {
		return holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}
	}
	return notExecuted(t, holdfast.CodeNoLeader, "")
}

// land proposes what has departed to the shard of the payees, and makes one answer of the two.
func (c *call) land(t *holdfast.Txn, pay transit.Payment, d holdfast.Outcome) holdfast.Outcome {
	if d.Status != holdfast.Done || !pay.Crosses() {
		return pay.Departed(d)
	}
	var l holdfast.Outcome
	for !c.late() {
		to, whole, ok := transit.Land(&pay, c.places(), c.lookup)
		if !ok {
			break
		}
		q := pay.At(to)
		land := q.Land()
		if !whole {
			land = q.Refusal()
		}
		if l = c.propose(to, &land); l.Code != holdfast.CodeMoved {
			break
		}
	}
	if c.dead {
		return pay.Outcome(d, holdfast.Outcome{})
	}
	home := c.p.replicas[pay.Home-1]
	if home.courier != nil {
		home.courier.Landed(c.p.clock(), t.ID, l)
	}
	if pay.Pends() && l.Status == holdfast.Refused {
		c.m.stats.TakenBack++
		c.awaitSettle(&pay)
	}
	return pay.Outcome(d, l)
}

// awaitSettle waits a moment until the records that a refused payment has written at home are taken back.
func (c *call) awaitSettle(pay *transit.Payment) {
	for until := c.m.f.e.now + settleWait; !c.late() && c.m.f.e.now < until; c.pause(settlePause) {
		r := c.p.replicas[pay.Home-1]
		if r.core == nil || r.out {
			return
		}
		if _, _, settled := (sight{r}).Decided(pay.Home, pay.SettleID()); settled {
			return
		}
	}
}
