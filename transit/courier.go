package transit

import (
	"cmp"
	"fmt"
	"slices"

	"holdfast"
)

// CourierConfig says how patient a [Courier] is. Times are nanoseconds.
type CourierConfig struct {
	Home holdfast.ShardID
	// Grace is how long a message is left to the site that took the request, from when this courier first saw it, before the
	// courier proposes the land itself; 0: 1 s. Until then it only looks whether it is there.
	Grace holdfast.Time
	// Look is how long after it was first seen a land is first looked for; the pauses between looks double. 0: 20 ms.
	Look holdfast.Time
	// Pause is how long to wait after an attempt that brought no answer; it doubles up to MaxPause. 0: 100 ms, 10 s.
	Pause, MaxPause holdfast.Time
	// Wait is how long an attempt may go unanswered before it counts as one without an answer; 0: 5 s.
	Wait holdfast.Time
	// InFlight is how many lands may be proposed to one away shard and unanswered, and how many settles to home; 0: 512.
	InFlight int
}

func (c CourierConfig) withDefaults() CourierConfig {
	c.Grace = cmp.Or(c.Grace, 1e9)
	c.Look = cmp.Or(c.Look, 20e6)
	c.Pause = cmp.Or(c.Pause, 100e6)
	c.MaxPause = cmp.Or(c.MaxPause, 10e9)
	c.Wait = cmp.Or(c.Wait, 5e9)
	c.InFlight = cmp.Or(c.InFlight, 512)
	return c
}

// View is what a courier can see from where it stands, without asking anybody over the network. What it shows may be old: a
// message that was settled long ago, a land that is not there yet. A courier believes only what can never change again.
type View interface {
	// Outbox returns up to max messages of the home shard that are not acknowledged and have a Seq above after, in order.
	Outbox(after uint64, max int) []holdfast.Queued
	// Decided looks for a transaction by its id in the log of a shard, as far as it is known here: its content and what became
	// of it. False means nothing at all.
	Decided(at holdfast.ShardID, id holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool)
	// Places are the shards where a payment may have landed: its Away, where its payees have been since, and where they are.
	Places(p *Payment) []holdfast.ShardID
	// Whereto is the shard to ask for the land now: it has the payees, and no place where they have been before has decided or
	// can decide any more. whole is false when the payees are in several shards; then it is the shard of the first, to be asked
	// for the refusal. ok is false when that cannot be told just now.
	Whereto(p *Payment) (to holdfast.ShardID, whole, ok bool)
}

// Proposal is something to be proposed to a shard.
type Proposal struct {
	Payment holdfast.ID // the caller's id, by which its answer is reported to the courier
	Txn     holdfast.Txn
	Caller  *holdfast.Txn // of a settle: the payment as its caller gave it, to be read only
}

// Batch is proposals for one shard.
type Batch struct {
	To   holdfast.ShardID
	List []Proposal
}

// Work is what a courier wants done now. Each proposal should be answered by one call of Landed or Settled; one that never is
// counts as unanswered after Wait.
type Work struct {
	Lands   []Batch // by away shard, in order of their numbers
	Settles []Proposal
	// Next is when to call Step again at the latest; 0: when the outbox has something new.
	Next holdfast.Time
}

// Courier brings the messages of one home shard to their end, as a step function: inputs are the time, a [View], and answers;
// output is what to propose. It stands beside the leader of the home shard. What it knows it may forget at any time, by a
// crash or a change of leaders: a new courier begins with the outbox and does again what is harmless to repeat. Two at once
// do no harm either. The outbox of a View may be old, but may not go back from one Step to the next: a replica that starts
// anew gets a new courier. It is not safe for concurrent use.
type Courier struct {
	config  CourierConfig
	parcels []*parcel // in order of seq; nil fields of those that are gone
	gone    int
	byID    map[holdfast.ID]*parcel
	seen    uint64 // messages up to here were taken over
	swept   uint64 // how far the last look went for those that somebody else has settled
	under   map[holdfast.ShardID]int
	broken  error
}

type stage uint8

const (
	finding  stage = iota // the fate is not known
	landing               // a land is proposed
	knowing               // the fate is known
	settling              // a settle is proposed
)

// parcel is one message on its way.
type parcel struct {
	seq     uint64
	payment Payment
	stage   stage
	fate    Fate
	due     holdfast.Time // when to do something about it
	pause   holdfast.Time // before the next attempt after that
	land    holdfast.Time // from when on the courier lands it itself
	gone    bool
}

// NewCourier makes a courier that knows nothing.
func NewCourier(c CourierConfig) *Courier {
	return &Courier{config: c.withDefaults(), byID: map[holdfast.ID]*parcel{}, under: map[holdfast.ShardID]int{}}
}

// Bounds of one step.
const (
	maxTaken = 1024 // messages taken over
	maxSwept = 512  // messages looked at whether they are still there
)

// UnderWay is how many messages to a shard are known and not settled, to be held against [MaxUnderWay].
func (c *Courier) UnderWay(to holdfast.ShardID) int { return c.under[to] }

// Err reports a message that cannot be read, if there was one. It stays in the outbox; all others go on.
func (c *Courier) Err() error { return c.broken }

// Step says what to do now.
func (c *Courier) Step(now holdfast.Time, v View) Work {
	c.take(now, v)
	c.sweep(v)
	var w Work
	lands, settles := c.inFlight()
	for _, p := range c.parcels {
		if p.gone || p.due > now {
			continue
		}
		if p.stage == landing || p.stage == settling {
			c.again(now, p) // never answered
			continue
		}
		if p.stage == finding {
			c.look(now, p, v)
		}
		switch {
		case p.stage == finding && now >= p.land && lands[p.payment.Away] < c.config.InFlight:
			to, whole, ok := v.Whereto(&p.payment)
			if !ok {
				p.due = now + c.config.Look
				continue
			}
			lands[p.payment.Away]++
			p.stage, p.due, p.pause = landing, now+c.config.Wait, max(p.pause, c.config.Pause)
			q := p.payment.At(to)
			land := q.Land()
			if !whole {
				land = q.Refusal()
			}
			plantFreshLand(&land, now)
			w.add(to, Proposal{Payment: p.payment.Txn.ID, Txn: land})
		case p.stage == knowing && settles < c.config.InFlight:
			settles++
			p.stage, p.due = settling, now+c.config.Wait
			w.Settles = append(w.Settles, Proposal{p.payment.Txn.ID, p.payment.Settle(p.fate, p.seq), p.payment.Txn})
		}
	}
	slices.SortFunc(w.Lands, func(a, b Batch) int { return cmp.Compare(a.To, b.To) })
	w.Next = c.next(now)
	return w
}

func (w *Work) add(to holdfast.ShardID, p Proposal) {
	i := slices.IndexFunc(w.Lands, func(b Batch) bool { return b.To == to })
	if i < 0 {
		w.Lands, i = append(w.Lands, Batch{To: to}), len(w.Lands)
	}
	w.Lands[i].List = append(w.Lands[i].List, p)
}

// take takes over messages that are new to this courier.
func (c *Courier) take(now holdfast.Time, v View) {
	for _, q := range v.Outbox(c.seen, maxTaken) {
		c.seen = q.Seq
		if q.Topic != Topic {
			continue
		}
		payment, err := Read(q.Body)
		if err == nil && (payment.Home != c.config.Home || payment.Away != q.To || payment.Txn.ID != q.Txn) {
			err = bad("it speaks of %s from shard %d to %d", payment.Txn.ID, payment.Home, payment.Away)
		}
		if err != nil {
			c.broken = fmt.Errorf("message %d of shard %d, sent by %s: %w", q.Seq, c.config.Home, q.Txn, err)
			continue
		}
		p := &parcel{seq: q.Seq, payment: payment, due: now + c.config.Look, pause: c.config.Look, land: now + c.config.Grace}
		c.parcels, c.byID[payment.Txn.ID] = append(c.parcels, p), p
		c.under[payment.Away]++
	}
}

// sweep forgets messages that are no longer in the outbox: somebody else has settled them. It looks at a stretch in each step.
func (c *Courier) sweep(v View) {
	first, _ := slices.BinarySearchFunc(c.parcels, c.swept+1, func(p *parcel, seq uint64) int { return cmp.Compare(p.seq, seq) })
	if first == len(c.parcels) {
		c.swept, first = 0, 0
	}
	list := v.Outbox(c.swept, maxSwept)
	end := c.seen
	if len(list) == maxSwept {
		end = min(end, list[maxSwept-1].Seq)
	}
	for _, p := range c.parcels[first:] {
		if p.seq > end {
			break
		}
		_, there := slices.BinarySearchFunc(list, p.seq, func(q holdfast.Queued, seq uint64) int { return cmp.Compare(q.Seq, seq) })
		if !there {
			c.drop(p)
		}
	}
	if c.swept = end; end == c.seen {
		c.swept = 0
	}
	c.compact()
}

func (c *Courier) drop(p *parcel) {
	if p.gone {
		return
	}
	p.gone = true
	c.gone++
	c.under[p.payment.Away]--
	delete(c.byID, p.payment.Txn.ID)
}

func (c *Courier) compact() {
	if 2*c.gone > len(c.parcels) {
		c.parcels = slices.DeleteFunc(c.parcels, func(p *parcel) bool { return p.gone })
		c.gone = 0
	}
}

func (c *Courier) inFlight() (lands map[holdfast.ShardID]int, settles int) {
	lands = map[holdfast.ShardID]int{}
	for _, p := range c.parcels {
		switch {
		case p.gone:
		case p.stage == landing:
			lands[p.payment.Away]++
		case p.stage == settling:
			settles++
		}
	}
	return lands, settles
}

// look asks what can be seen from here; what is not seen will be looked for again, ever more seldom, until it is time to land.
func (c *Courier) look(now holdfast.Time, p *parcel, v View) {
	anything := false
	for _, at := range v.Places(&p.payment) {
		q := p.payment.At(at)
		txn, o, found := v.Decided(at, q.LandID())
		if found && q.IsLand(txn) {
			c.learn(now, p, &o)
			return
		}
		anything = anything || found
	}
	switch {
	case !anything && plantedNotFoundRefused():
		p.stage, p.fate = knowing, Refused
	case now < p.land:
		p.due = min(now+p.pause, p.land)
		p.pause *= 2
		if p.due == p.land {
			p.pause = c.config.Pause
		}
	}
}

func (c *Courier) learn(now holdfast.Time, p *parcel, land *holdfast.Outcome) {
	if fate := FateOf(land); fate != Open {
		p.stage, p.fate, p.due, p.pause = knowing, fate, now, c.config.Pause
	}
}

// Hurry has every land whose fate is not known looked for in the next step: somebody waits until nothing is under way.
func (c *Courier) Hurry(now holdfast.Time) {
	for _, p := range c.parcels {
		if p != nil && !p.gone && p.stage == finding && now < p.land {
			p.due, p.pause = now, c.config.Look
		}
	}
}

// Landed takes the answer to a land: to one of this courier, or what the site that took the request tells. An answer about a
// payment that is not known here, or that is settled, is no error.
func (c *Courier) Landed(now holdfast.Time, payment holdfast.ID, land holdfast.Outcome) {
	p := c.byID[payment]
	if p == nil || p.stage > landing {
		return
	}
	c.learn(now, p, &land)
	if p.stage == landing {
		c.again(now, p)
	}
}

// Settled takes the answer to a settle.
func (c *Courier) Settled(now holdfast.Time, payment holdfast.ID, settle holdfast.Outcome) {
	p := c.byID[payment]
	switch {
	case p == nil || p.stage != settling:
	case settle.Status == holdfast.Done:
		c.drop(p)
	case settle.Status == holdfast.Refused:
		c.broken = fmt.Errorf("message %d of shard %d: the settle of payment %s is refused (%s)", p.seq, c.config.Home, payment, settle.Code)
		c.again(now, p)
	default:
		c.again(now, p)
	}
}

// again puts an attempt without an answer off.
func (c *Courier) again(now holdfast.Time, p *parcel) {
	p.stage = p.stage - 1
	p.due = now + p.pause
	p.pause = min(2*p.pause, c.config.MaxPause)
}

// next is the earliest moment at which something is due.
func (c *Courier) next(now holdfast.Time) (at holdfast.Time) {
	for _, p := range c.parcels {
		if p.gone {
			continue
		}
		if due := max(p.due, now+c.config.Look); at == 0 || due < at {
			at = due
		}
	}
	return at
}
