package bank

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"time"

	"holdfast"
)

// Config says how patient a [Resolver] is. Zero values mean what stands behind the colon.
type Config struct {
	Terms Terms
	// InFlight is how many questions to the bank may be under way: 64.
	InFlight int
	// Pause is how long an order rests after an attempt that told nothing; it doubles up to MaxPause: 1 s, 1 min.
	Pause, MaxPause time.Duration
	// MaxFollow is how long an order that the bank has accepted rests at most between questions; they begin with Pause: 10 min.
	MaxFollow time.Duration
	// Wait is how long a task may go unanswered before it counts as one without an answer: 1 min. Whoever carries tasks out gives up earlier.
	Wait time.Duration
	// Trip is how many questions in a row must come to nothing for the bank to count as down: 5. It is then asked after Probe, and ever more
	// seldom up to MaxProbe: 1 s, 30 s.
	Trip            int
	Probe, MaxProbe time.Duration
	// Window is how many orders the resolver may know at once: 65,536. At most half of them are such that the bank has accepted and not
	// settled, so that these do not keep new ones waiting. What is beyond waits where it is written down.
	Window int
}

func (c Config) withDefaults() Config {
	c.InFlight = cmp.Or(c.InFlight, 64)
	c.Pause = cmp.Or(c.Pause, time.Second)
	c.MaxPause = cmp.Or(c.MaxPause, time.Minute)
	c.MaxFollow = cmp.Or(c.MaxFollow, 10*time.Minute)
	c.Wait = cmp.Or(c.Wait, time.Minute)
	c.Trip = cmp.Or(c.Trip, 5)
	c.Probe = cmp.Or(c.Probe, time.Second)
	c.MaxProbe = cmp.Or(c.MaxProbe, 30*time.Second)
	c.Window = cmp.Or(c.Window, 65_536)
	return c
}

// Task is one thing to be done; the field that is set says what. It is answered by one call of Recorded or Answered with its Token.
type Task struct {
	Token  uint64
	Record *Change
	Send   *Instruction
	Ask    string
}

// Work is what a resolver wants done now.
type Work struct {
	Tasks []Task
	// Next is when to call Step again at the latest; 0: after the next answer or order.
	Next holdfast.Time
}

// Resolver brings the orders of one bank to their end, as a step function: inputs are the time, orders and answers; output is what to
// write down, send and ask. What it knows it may forget at any time: a new one that is given the open orders goes on. It is not safe for
// concurrent use.
type Resolver struct {
	config Config
	random func() uint64
	gate   gate
	meter  meter
	sure   meter // as it was when the bank answered last
	orders map[string]*item
	under  map[uint64]*item // by token
	calls  schedule         // who waits to speak to the bank so that it takes him
	others schedule         // who waits to speak to it for another reason: he has been recalled, say
	timers schedule         // who waits for something else
	talks  int              // questions under way, and orders being written down as sent
	fresh  int              // orders that the bank is to take, and has not taken as far as is known
	taken  int              // those that it has accepted
	busy   bool             // since the last step one of the fresh ones was under way, or was due and had to wait
	token  uint64
	round  holdfast.Time // what one order takes, from writing it down to the answer: a mean of the last ones
}

// stage is what an item is in the middle of.
type stage uint8

const (
	resting   stage = iota // until due, then the bank is asked or sent to
	recording              // a change is being written down, or is to be again at due
	sendable               // written down, to be sent at once
	sending
	asking
)

// item is one order with what the resolver is doing about it.
type item struct {
	order  Order
	stage  stage
	resend bool // the bank has never heard of it: to be sent again
	change *Change
	due    holdfast.Time
	pause  holdfast.Time
	began  holdfast.Time // to speak to the bank
	token  uint64        // of the task under way; 0: none
	talks  bool          // it counts in Resolver.talks
	probe  bool          // by it a bank is tried that is down
	home   *schedule
	index  int
}

// NewResolver makes a resolver that knows no orders. random is a source of random numbers, for jitter only.
func NewResolver(c Config, random func() uint64) *Resolver {
	r := &Resolver{config: c.withDefaults(), random: random, orders: map[string]*item{}, under: map[uint64]*item{}}
	r.gate = newGate(&r.config)
	return r
}

// Room is how many more orders the resolver can take.
func (r *Resolver) Room() int { return r.config.Window - len(r.orders) }

// Known is how many orders the resolver knows.
func (r *Resolver) Known() int { return len(r.orders) }

// Standing is how the orders of a bank are doing, all together.
type Standing struct {
	Waiting  int           // that the bank is to take, and has not taken as far as is known
	Accepted int           // that it has accepted and not settled
	Unknown  int           // of those that wait, how many have been sent: the bank may have done them
	Oldest   string        // the smallest key of the unknown ones: of the one that was made first
	Doubtful int           // that the bank has contradicted itself about: people have to look at them
	Down     bool          // the last question to the bank came to nothing, or the last ones did
	Since    holdfast.Time // since when, if Down
}

// Standing counts the orders that the resolver knows.
func (r *Resolver) Standing() (s Standing) {
	s.Waiting, s.Accepted, s.Down = r.fresh, r.taken, r.gate.silent > 0
	if s.Down {
		s.Since = r.gate.first
	}
	for _, it := range r.orders {
		switch o := &it.order; {
		case o.Doubtful:
			s.Doubtful++
		case o.Sent != 0 && !o.Accepted:
			if s.Unknown++; s.Oldest == "" || o.Key < s.Oldest {
				s.Oldest = o.Key
			}
		}
	}
	return s
}

// Remember has the resolver begin with what another one has learnt that did this work before: how many orders a second the bank takes, 0 if that is
// not known, since when it has not answered, 0 if it does, and what one order takes. What it learns itself soon counts for more.
func (r *Resolver) Remember(now holdfast.Time, rate float64, since holdfast.Time, round time.Duration) {
	r.round = nanos(round)
	r.meter = meter{orders: rate * meterLeast, seconds: meterLeast, last: now}
	if rate <= 0 {
		r.meter = meter{last: now}
	}
	r.sure = r.meter
	if since != 0 {
		r.gate.silent, r.gate.first = 1, since
	}
}

// Alive tells the resolver that the bank has answered somebody else: one that counts as down is then asked at once.
func (r *Resolver) Alive(now holdfast.Time) { r.gate.alive(now) }

// Ahead is how many orders that the bank is to take come before the one with this key. Recalled ones and those that people have to look at are not
// sent any more, and keep nobody waiting.
func (r *Resolver) Ahead(key string) (n int) {
	for _, it := range r.orders {
		if it.order.waits() && it.order.Key < key {
			n++
		}
	}
	return n
}

// Add tells the resolver of an open order, as it stands. One that it knows already it takes over if the version is higher and nothing is
// being done about it. False means that there is no room: all that come later are for another time.
func (r *Resolver) Add(now holdfast.Time, o Order) bool {
	if it := r.orders[o.ID]; it != nil {
		if o.Version > it.order.Version && it.stage == resting {
			r.renew(it, o)
			r.rest(it, min(it.due, now+jitter(nanos(r.config.Pause), r.random)))
		}
		return true
	}
	switch {
	case r.Room() <= 0:
		return false
	case o.Accepted && r.crowded():
		return true // not now; it is listed again
	}
	it := &item{order: o}
	r.orders[o.ID] = it
	r.count(&o, 1)
	r.rest(it, now)
	return true
}

// crowded: those that only wait to be settled have their half of the window.
func (r *Resolver) crowded() bool { return r.taken >= r.config.Window/2 }

// renew takes an order over as it stands.
func (r *Resolver) renew(it *item, o Order) {
	if it.order.waits() && o.Accepted {
		r.meter.orders++
		r.sure.orders++
	}
	r.count(&it.order, -1)
	it.order = o
	r.count(&o, 1)
}

// count keeps the numbers of orders that wait and that are accepted.
func (r *Resolver) count(o *Order, by int) {
	switch {
	case o.Accepted:
		r.taken += by
	case o.waits():
		r.fresh += by
	}
}

func (r *Resolver) drop(it *item) {
	r.hangUp(it)
	it.leave()
	delete(r.under, it.token)
	r.count(&it.order, -1)
	delete(r.orders, it.order.ID)
}

func (r *Resolver) hangUp(it *item) {
	if it.talks {
		it.talks = false
		r.talks--
	}
	if it.probe {
		it.probe = false
		r.gate.over()
	}
}

// rest lets an order wait until due. One that was never sent and is not to be sent is given back without asking anybody.
func (r *Resolver) rest(it *item, due holdfast.Time) {
	r.hangUp(it)
	it.stage, it.due, it.change = resting, due, nil
	if it.order.Recalled && it.order.Sent == 0 {
		r.write(it, due, NotExecuted, "")
		return
	}
	if it.order.waits() {
		it.enter(&r.calls)
	} else {
		it.enter(&r.others)
	}
}

// turn is the order whose turn it is to speak to the bank, now or later; nil: nobody wants to.
func (r *Resolver) turn() *item {
	switch {
	case len(r.calls) == 0 && len(r.others) == 0:
		return nil
	case len(r.others) == 0 || len(r.calls) > 0 && r.calls[0].before(r.others[0]):
		return r.calls[0]
	}
	return r.others[0]
}

// again lets it wait for its pause, and longer the next time.
func (r *Resolver) again(it *item, now holdfast.Time, most time.Duration) {
	it.pause = min(max(it.pause, nanos(r.config.Pause)), nanos(most))
	due := now + jitter(it.pause, r.random)
	it.pause *= 2
	r.rest(it, due)
}

// write lets a change be written down.
func (r *Resolver) write(it *item, now holdfast.Time, k Kind, reason string) {
	it.change = &Change{ID: it.order.ID, Key: it.order.Key, Version: it.order.Version, Kind: k, At: now, Reason: reason}
	it.stage, it.due = recording, now
	it.enter(&r.timers)
}

// maxTasks is how many tasks one step hands out.
const maxTasks = 512

// Step says what to do now.
func (r *Resolver) Step(now holdfast.Time) Work {
	r.meter.advance(now, r.busy)
	var w Work
	for it := r.turn(); it != nil && it.due <= now && len(w.Tasks) < maxTasks && r.gate.may(now, r.talks); it = r.turn() {
		r.call(now, it, &w)
	}
	for len(r.timers) > 0 && r.timers[0].due <= now && len(w.Tasks) < maxTasks {
		r.timer(now, r.timers[0], &w)
	}
	// One that rests for a while has nothing to do with how fast the bank is. All fresh ones that do not rest are under way.
	r.busy = !r.gate.down && (r.fresh > len(r.calls) || len(r.calls) > 0 && r.calls[0].due <= now)
	w.Next = r.next(now)
	return w
}

func (r *Resolver) next(now holdfast.Time) holdfast.Time {
	var next holdfast.Time
	sooner := func(at holdfast.Time) {
		if next == 0 || at < next {
			next = max(at, now)
		}
	}
	if len(r.timers) > 0 {
		sooner(r.timers[0].due)
	}
	if it := r.turn(); it != nil {
		switch at := it.due; {
		case r.gate.down && !r.gate.probing:
			sooner(max(at, r.gate.probeAt))
		case !r.gate.down && r.talks < r.gate.limit:
			sooner(at)
		}
	}
	return next
}

// timer does what an order waits for that is not the bank.
func (r *Resolver) timer(now holdfast.Time, it *item, w *Work) {
	switch it.stage {
	case recording: // for the first time, or again: it was not answered
		r.hand(now, it, w, Task{Record: it.change})
	case sendable:
		it.stage = sending
		i := it.order.Instruction
		if it.resend && plantedFreshID() {
			i.ID = fmt.Sprint(i.ID, "-", now)
		}
		it.resend = false
		r.hand(now, it, w, Task{Send: &i})
	default: // sent or asked, and no answer at all
		r.heard(now, it, false)
		r.nothing(now, it)
	}
}

// call lets an order speak to the bank.
func (r *Resolver) call(now holdfast.Time, it *item, w *Work) {
	it.talks, it.began = true, now
	r.talks++
	it.probe = r.gate.probe()
	if it.order.Sent != 0 && (!it.resend || it.order.Recalled) {
		it.stage, it.resend = asking, false
		r.hand(now, it, w, Task{Ask: it.order.ID})
		return
	}
	if plantedUnrecorded() {
		it.order.Instruction.Sent = now
		it.stage = sendable
		it.enter(&r.timers)
		return
	}
	// The attempt is written down before anything leaves: what is not written down was not sent.
	r.write(it, now, Sending, "")
}

// hand puts a task out; without an answer it comes back after Wait.
func (r *Resolver) hand(now holdfast.Time, it *item, w *Work, t Task) {
	delete(r.under, it.token)
	r.token++
	it.token, t.Token = r.token, r.token
	r.under[it.token] = it
	it.due = now + nanos(r.config.Wait)
	it.enter(&r.timers)
	w.Tasks = append(w.Tasks, t)
}

// waiter is who waits for the answer to a task; nil if nobody does any more.
func (r *Resolver) waiter(token uint64) *item {
	it := r.under[token]
	if it != nil {
		delete(r.under, token)
		it.token = 0
	}
	return it
}

// Recorded tells what became of a change that was to be written down, as [Orders].Record has returned it.
func (r *Resolver) Recorded(now holdfast.Time, token uint64, o Order, err error) {
	it := r.waiter(token)
	switch {
	case it == nil || it.stage != recording:
	case errors.Is(err, ErrChanged) && o.ID == "":
		r.drop(it) // somebody else has ended it
	case errors.Is(err, ErrChanged):
		r.renew(it, o)
		r.rest(it, now)
	case err != nil: // nobody knows: the same again
		it.due = now + jitter(nanos(r.config.Pause), r.random)
		it.enter(&r.timers)
	default:
		r.written(now, it, o)
	}
}

// written goes on after a change that is written down.
func (r *Resolver) written(now holdfast.Time, it *item, o Order) {
	kind := it.change.Kind
	it.change = nil
	if kind.Ends() {
		if kind != NotExecuted {
			taken := it.order
			taken.Accepted = true
			r.renew(it, taken)
		}
		r.drop(it)
		return
	}
	r.renew(it, o)
	switch kind {
	case Sending:
		it.stage, it.due = sendable, now
		it.enter(&r.timers)
	case Accepting:
		if it.pause = 0; r.taken > r.config.Window/2 {
			r.drop(it) // it is listed again
			return
		}
		r.again(it, now, r.config.MaxFollow)
	default:
		r.again(it, now, r.config.MaxFollow)
	}
}

// Answered tells what the bank has answered.
func (r *Resolver) Answered(now holdfast.Time, token uint64, a Answer) {
	it := r.waiter(token)
	if it == nil || it.stage != sending && it.stage != asking {
		return
	}
	sent := it.stage == sending
	alive := a.Alive || a.State != Unknown
	if alive {
		r.took(now - it.began)
	}
	r.heard(now, it, alive)
	r.hangUp(it)
	switch {
	case a.State == Pending && plantedAcceptedPaid():
		r.end(now, it, Paid, a)
	case a.State == Pending:
		r.accepted(now, it, a)
	case a.State == Done:
		r.end(now, it, Paid, a)
	case a.State == Rejected && sent && !plantedDuplicateRefused():
		// It may be about this message only, as when the bank calls it a duplicate: what became of the payment it tells when it is asked.
		it.pause = 0
		r.again(it, now, r.config.Pause)
	case a.State == Rejected:
		r.end(now, it, Refused, a)
	case a.State == NeverHeard && !sent:
		r.neverHeard(now, it, a)
	case a.State == Conflict:
		r.doubt(now, it, "the bank has another payment under this id")
	case sent && plantedUnknownRefused():
		r.end(now, it, Refused, a)
	default:
		r.nothing(now, it)
	}
}

// roundShare is the weight of one order in the mean of what they take.
const roundShare = 8

// took notes how long one order has taken.
func (r *Resolver) took(d holdfast.Time) {
	if r.round == 0 {
		r.round = d
		return
	}
	r.round += (max(d, 0) - r.round) / roundShare
}

// heard tells gate and meter whether the bank has answered. The time between its last answer and an outage says nothing about how fast it is.
func (r *Resolver) heard(now holdfast.Time, it *item, alive bool) {
	was := r.gate.down
	r.gate.heard(now, alive, it.probe, r.random)
	switch {
	case alive:
		r.meter.advance(now, r.busy)
		r.sure = r.meter
	case r.gate.down && !was:
		r.meter.orders, r.meter.seconds = r.sure.orders, r.sure.seconds
		r.busy = false
	}
}

// nothing is known: the order may be at the bank or not.
func (r *Resolver) nothing(now holdfast.Time, it *item) {
	r.hangUp(it)
	r.again(it, now, r.config.MaxPause)
}

func (r *Resolver) end(now holdfast.Time, it *item, k Kind, a Answer) {
	r.write(it, now, k, a.Reason)
	it.change.Ref = a.Ref
}

func (r *Resolver) accepted(now holdfast.Time, it *item, a Answer) {
	if it.order.Accepted {
		r.again(it, now, r.config.MaxFollow)
		return
	}
	r.end(now, it, Accepting, a)
}

// neverHeard: it is lost, or still on its way, or the bank has forgotten it.
func (r *Resolver) neverHeard(now holdfast.Time, it *item, a Answer) {
	last := it.order.cutOff(r.config.Terms)
	switch {
	case it.order.Accepted:
		// Sending it again would be safe only if the bank had not lost what it did under this id.
		r.doubt(now, it, "the bank has accepted it before and says now that it has never heard of it")
	case !it.order.Recalled:
		// The pause has grown while the bank said nothing. It speaks now, and the order need not wait for that: it grows on if that comes to nothing too.
		it.resend = true
		r.rest(it, now+jitter(nanos(r.config.Pause), r.random))
	case a.At > last || plantedNeverHeardTrusted():
		r.end(now, it, NotExecuted, a)
	default:
		r.again(it, now, r.config.MaxPause)
	}
}

func (r *Resolver) doubt(now holdfast.Time, it *item, why string) {
	if it.order.Doubtful {
		r.again(it, now, r.config.MaxFollow)
		return
	}
	r.write(it, now, Doubting, why)
}

// schedule is a heap of items by when they are due.
type schedule []*item

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].before(s[j]) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	it := x.(*item)
	it.index = len(*s)
	*s = append(*s, it)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	it := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return it
}

func (it *item) before(other *item) bool {
	if it.due != other.due {
		return it.due < other.due
	}
	return it.order.Key < other.order.Key
}

// enter puts the item into a schedule, out of the one it is in.
func (it *item) enter(s *schedule) {
	it.leave()
	heap.Push(s, it)
	it.home = s
}

func (it *item) leave() {
	if it.home != nil {
		heap.Remove(it.home, it.index)
		it.home = nil
	}
}
