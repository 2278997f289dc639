package bank

import (
	"math"
	"math/bits"
	"time"

	"holdfast"
)

// gate is the breaker of one bank: how many questions may be under way, and whether the bank is taken to be down. A bank that is down gets
// one question at a time, ever more seldom; one that has come back gets few at first and twice as many with each round that is answered.
type gate struct {
	config   *Config
	limit    int
	silent   int           // questions without an answer in a row
	first    holdfast.Time // when the first of them came to nothing
	down     bool
	probing  bool
	probeAt  holdfast.Time
	pause    holdfast.Time
	answered int // since the limit was raised
}

func newGate(c *Config) gate { return gate{config: c, limit: c.InFlight} }

func (g *gate) may(now holdfast.Time, under int) bool {
	if g.down {
		return !g.probing && now >= g.probeAt
	}
	return under < g.limit
}

// probe tells whether the question that goes out now is the one by which a bank that is down is tried.
func (g *gate) probe() bool {
	g.probing = g.probing || g.down
	return g.down
}

// over is told when that question is over, whatever came of it, also if it was never put.
func (g *gate) over() { g.probing = false }

// alive is told that the bank has answered something else: one that is down is tried at once, and not when the pause is over.
func (g *gate) alive(now holdfast.Time) { g.probeAt = min(g.probeAt, now) }

// heard is told of what came of a question. Those that went out before the bank counted as down say nothing new when they come to nothing.
func (g *gate) heard(now holdfast.Time, alive, probe bool, random func() uint64) {
	switch {
	case !alive && g.down && !probe:
		return
	case !alive:
		g.nothing(now, random)
		return
	}
	g.silent = 0
	if g.down {
		g.down, g.limit, g.answered = false, 1, 0
		return
	}
	if g.answered++; g.answered >= g.limit && g.limit < g.config.InFlight {
		g.limit, g.answered = min(2*g.limit, g.config.InFlight), 0
	}
}

func (g *gate) nothing(now holdfast.Time, random func() uint64) {
	if g.silent == 0 {
		g.first = now
	}
	g.silent++
	switch {
	case g.down:
		g.pause = min(2*g.pause, nanos(g.config.MaxProbe))
	case g.silent >= g.config.Trip || g.limit == 1:
		g.down, g.pause = true, nanos(g.config.Probe)
	default:
		return
	}
	g.probeAt = now + jitter(g.pause, random)
}

// jitter spreads a pause over its second half, so that those who began together do not come back together.
func jitter(pause holdfast.Time, random func() uint64) holdfast.Time {
	half := pause / 2
	return half + holdfast.Time(random()%uint64(max(half, 1)))
}

func nanos(d time.Duration) holdfast.Time { return holdfast.Time(d) }

// meter measures how many orders a second a bank takes while it is up and orders wait that can be sent: both sums fade, so that it follows what is so now.
type meter struct {
	orders  float64
	seconds float64
	last    holdfast.Time
}

const (
	meterHalf  = 30.0 // seconds after which a measurement counts half
	meterLeast = 1.0  // seconds that must have been measured before a rate is told
)

func (m *meter) advance(now holdfast.Time, busy bool) {
	dt := float64(now-m.last) / 1e9
	if m.last = now; !busy || dt <= 0 {
		return
	}
	fade := math.Exp2(-dt / meterHalf)
	m.orders *= fade
	m.seconds = m.seconds*fade + dt
}

// rate is orders a second, 0 while it has not been measured.
func (m *meter) rate() float64 {
	if m.seconds < meterLeast {
		return 0
	}
	return m.orders / m.seconds
}

// Estimate is an honest word about when the bank will have taken an order. It is an estimate of what nobody knows, and says what it is made of.
type Estimate struct {
	Ahead int           // orders that come before this one
	Rate  float64       // orders a second that the bank took lately while it was up; 0: not measured yet
	Down  bool          // the last question to the bank came to nothing, or the last ones did
	Since holdfast.Time // since when, if Down
	// Soonest is how long it takes if the bank answers from now on; Likely, if an outage that has lasted for a while lasts as long again,
	// which of those whose length nobody knows beforehand half do. Both are 0 where Known is false: the rate has not been measured, or the order
	// waits for something that is not measured. Of a recalled order they are about when its money is free.
	Soonest, Likely time.Duration
	Known           bool
	ramp            Ramp
}

// maxEstimate is beyond what can be told: a longer time is told as this.
const maxEstimate = 30 * 24 * time.Hour

// Estimate says when an order with so many before it will be taken.
func (r *Resolver) Estimate(now holdfast.Time, ahead int) Estimate {
	if r.gate.silent > 0 { // the gate opens for a while yet, but nobody has heard of the bank since
		return EstimateOf(now, ahead, r.sure.rate(), r.gate.first, r.Ramp())
	}
	return EstimateOf(now, ahead, r.meter.rate(), 0, Ramp{})
}

// Ramp is what it takes until a bank that has been down gets as many orders at once as before.
type Ramp struct {
	Probe holdfast.Time // when it is asked next; 0: it gets as many as ever
	Round time.Duration // what one order takes, from writing it down to the answer
}

// Ramp is what it takes until the bank gets as many orders at once as before.
func (r *Resolver) Ramp() Ramp {
	w := Ramp{Round: time.Duration(r.round)}
	if r.gate.down {
		w.Probe = r.gate.probeAt
	}
	return w
}

// delay is how long it takes before an order with so many before it is sent, besides what the rate says: until the bank is asked, and then rounds of one,
// two, four and so on at a time.
func (w *Ramp) delay(now holdfast.Time, ahead int) time.Duration {
	if w.Probe == 0 {
		return 0
	}
	return max(0, time.Duration(w.Probe-now)) + time.Duration(bits.Len(uint(ahead+1)))*w.Round
}

// EstimateFor says when an order will be taken, as it stands; one that is not made yet has the key "\xff" and nothing else.
func (r *Resolver) EstimateFor(now holdfast.Time, o *Order) Estimate {
	e := r.Estimate(now, r.Ahead(o.Key)).For(now, o, r.config.Terms)
	if it := r.orders[o.ID]; it != nil && e.Known && it.stage == resting {
		rest := time.Duration(it.due - now) // the bank is not spoken to about it before
		e.Soonest, e.Likely = max(e.Soonest, rest), max(e.Likely, rest)
	}
	return e
}

// askedPause is how long an order rests, about, of which the bank has said that it has never heard, until it is sent again.
const askedPause = time.Second

// leastRecalled is how soon at best a recalled order ends whose cut-off is over: by the next question to the bank.
const leastRecalled = time.Second

// For makes the estimate of an order, as it stands, of one that is made of how many wait before it. A recalled order waits for nobody: it ends when
// the bank does not take its last attempt any more, which is Terms.Late and Terms.Step after that. One that the bank has accepted, or has
// contradicted itself about, waits for what nobody can measure.
func (e Estimate) For(now holdfast.Time, o *Order, t Terms) Estimate {
	switch {
	case o.waits() && e.Down && e.Known && o.Sent != 0:
		// The bank is asked about it before it is sent again.
		again := e.ramp.Round + askedPause
		e.Soonest, e.Likely = e.Soonest+again, e.Likely+again
		return e
	case o.waits():
		return e
	case o.Accepted || o.Doubtful:
		e.Ahead, e.Known, e.Soonest, e.Likely = 0, false, 0, 0
		return e
	}
	e.Ahead, e.Known, e.Soonest = 0, true, leastRecalled
	if o.Sent != 0 {
		e.Soonest = max(e.Soonest, time.Duration(o.cutOff(t)-now))
	}
	e.Likely = e.Soonest
	if e.Down && o.Sent != 0 {
		e.Likely = min(max(e.Likely, time.Duration(now-e.Since)), maxEstimate)
	}
	return e
}

// EstimateOf makes an estimate of what it rests on, for those who have been told: orders a second, 0 if not known, and since when the bank has not
// answered, 0 if it does; and of what it takes then to be as before.
func EstimateOf(now holdfast.Time, ahead int, rate float64, since holdfast.Time, ramp Ramp) Estimate {
	e := Estimate{Ahead: ahead, Rate: rate, Down: since != 0, Since: since, ramp: ramp}
	var outage float64
	if e.Down {
		outage = float64(now - e.Since)
	}
	if e.Known = e.Rate > 0; e.Known {
		drain := float64(ahead+1) / e.Rate * 1e9
		if e.Down {
			drain += float64(ramp.delay(now, min(ahead, 1<<20)))
		}
		e.Soonest = time.Duration(min(drain, float64(maxEstimate)))
		e.Likely = time.Duration(min(drain+outage, float64(maxEstimate)))
	}
	return e
}
