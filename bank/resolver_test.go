package bank

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"holdfast"
)

const second = holdfast.Time(1e9)

// hand plays both sides of a resolver by hand.
type hand struct {
	t   *testing.T
	r   *Resolver
	now holdfast.Time
}

func newHand(t *testing.T, c Config) *hand {
	c.Terms = Terms{Late: time.Minute, Step: time.Second}
	return &hand{t, NewResolver(c, func() uint64 { return 0 }), 1000 * second}
}

func order(n int) Order {
	id := fmt.Sprintf("HF%04d", n)
	return Order{Key: id, Version: 1, Instruction: Instruction{ID: id, Amount: 1, Asset: cny, From: here, To: here, Name: "x"}}
}

// step does what is due within so many seconds, and wants exactly one task.
func (h *hand) step(seconds holdfast.Time) Task {
	h.t.Helper()
	for end := h.now + seconds*second; ; {
		w := h.r.Step(h.now)
		switch {
		case len(w.Tasks) > 1:
			h.t.Fatalf("%d tasks, want one: %+v", len(w.Tasks), w.Tasks)
		case len(w.Tasks) == 1:
			return w.Tasks[0]
		case w.Next == 0 || w.Next > end:
			h.t.Fatalf("nothing to do within %d s", seconds)
		}
		h.now = max(h.now, w.Next)
	}
}

// records wants a change to be written down, and writes it.
func (h *hand) records(o Order, want Kind) Order {
	h.t.Helper()
	task := h.step(600)
	if task.Record == nil || task.Record.Kind != want || task.Record.Version != o.Version {
		h.t.Fatalf("want %v of version %d to be written, got %+v", want, o.Version, task)
	}
	next, _ := o.Apply(task.Record)
	h.r.Recorded(h.now, task.Token, next, nil)
	return next
}

func (h *hand) sends(o Order, a Answer) {
	h.t.Helper()
	task := h.step(600)
	if task.Send == nil || task.Send.ID != o.ID || task.Send.Sent != o.Sent {
		h.t.Fatalf("want %v to be sent, got %+v", o, task)
	}
	h.r.Answered(h.now, task.Token, a)
}

func (h *hand) asks(o Order, a Answer) {
	h.t.Helper()
	task := h.step(600)
	if task.Ask != o.ID {
		h.t.Fatalf("want to ask about %v, got %+v", o, task)
	}
	h.r.Answered(h.now, task.Token, a)
}

func (h *hand) ended() {
	h.t.Helper()
	if w := h.r.Step(h.now); h.r.Known() != 0 || len(w.Tasks) != 0 || w.Next != 0 || h.r.talks != 0 || h.r.fresh != 0 || h.r.taken != 0 || len(h.r.under) != 0 {
		h.t.Errorf("something is left: %+v, %+v", w, h.r)
	}
}

// TestWhatIsDone has the ways of one order, step by step.
func TestWhatIsDone(t *testing.T) {
	silence := Answer{}
	for name, play := range map[string]func(h *hand, o Order){
		"paid at once": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Done, Ref: "R"})
			h.records(o, Paid)
		},
		"accepted, and settled later": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Pending})
			o = h.records(o, Accepting)
			h.asks(o, Answer{State: Pending})
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"no answer, and it was paid": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, silence)
			h.asks(o, silence)
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"lost, and sent again": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, silence)
			h.asks(o, Answer{State: NeverHeard, At: h.now})
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"a rejection is asked about": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Rejected, Reason: "AM05"})
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"rejected": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Rejected, Reason: "AC04"})
			h.asks(o, Answer{State: Rejected, Reason: "AC04"})
			h.records(o, Refused)
		},
		"forgotten by the bank, after it was accepted": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Pending})
			o = h.records(o, Accepting)
			h.asks(o, Answer{State: NeverHeard, At: h.now + 1000*second})
			o = h.records(o, Doubting)
			for range 5 {
				h.asks(o, Answer{State: NeverHeard, At: h.now + 1000*second}) // and never sent again
			}
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"another payment has the id": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, Answer{State: Conflict})
			o = h.records(o, Doubting)
			h.asks(o, Answer{State: Conflict})
			h.asks(o, Answer{State: Rejected, Reason: "AC04"})
			h.records(o, Refused)
		},
		"the change may not be written": func(h *hand, o Order) {
			task := h.step(1)
			h.r.Recorded(h.now, task.Token, Order{}, errors.New("no answer"))
			again := h.step(10)
			if *again.Record != *task.Record {
				h.t.Errorf("%+v became %+v", task.Record, again.Record)
			}
			o, _ = o.Apply(again.Record)
			h.r.Recorded(h.now, again.Token, o, nil)
			h.sends(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"somebody else has sent it": func(h *hand, o Order) {
			task := h.step(1)
			o.Version, o.Sent = 7, h.now
			h.r.Recorded(h.now, task.Token, o, ErrChanged)
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
		"somebody else has ended it": func(h *hand, _ Order) {
			task := h.step(1)
			h.r.Recorded(h.now, task.Token, Order{}, ErrChanged)
		},
		"it was recalled before it was sent": func(h *hand, o Order) {
			task := h.step(1)
			o.Version, o.Recalled = 7, true
			h.r.Recorded(h.now, task.Token, o, ErrChanged)
			h.records(o, NotExecuted)
		},
		"recalled, and never heard of until the cut-off is over": func(h *hand, o Order) {
			o = h.records(o, Sending)
			h.sends(o, silence)
			o.Version, o.Recalled = 7, true
			h.r.Add(h.now, o)
			h.asks(o, Answer{State: NeverHeard, At: o.Sent})
			h.asks(o, Answer{State: NeverHeard, At: o.Sent + 61*second}) // not beyond what the bank's clock may go back
			h.asks(o, Answer{State: NeverHeard})                         // of no time at all
			h.asks(o, Answer{State: NeverHeard, At: o.Sent + 61*second + 1})
			h.records(o, NotExecuted)
		},
		"nobody answers the tasks": func(h *hand, o Order) {
			late := h.step(1)
			o = h.records(o, Sending)
			h.r.Recorded(h.now, late.Token, Order{}, ErrChanged) // too late to count
			unanswered := h.step(1)
			h.asks(o, silence)
			h.r.Answered(h.now, unanswered.Token, Answer{State: Done})
			h.asks(o, Answer{State: Done})
			h.records(o, Paid)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHand(t, Config{Trip: 100})
			if !h.r.Add(h.now, order(1)) {
				t.Fatal("there is no room")
			}
			play(h, order(1))
			h.ended()
		})
	}
}

// TestPausesGrow, up to their bound, and jitter takes at most half of each.
func TestPausesGrow(t *testing.T) {
	h := newHand(t, Config{Trip: 1000, Pause: time.Second, MaxPause: 8 * time.Second})
	h.r.Add(h.now, order(1))
	o := h.records(order(1), Sending)
	h.sends(o, Answer{})
	var pauses []int64
	for range 6 {
		before := h.now
		h.asks(o, Answer{})
		pauses = append(pauses, int64((h.now-before)/(second/10)))
	}
	if got := fmt.Sprint(pauses); got != "[5 10 20 40 40 40]" {
		t.Errorf("the pauses are %s tenths of a second", got)
	}
	for _, random := range []uint64{0, 1, 1 << 63, ^uint64(0)} {
		if p := jitter(1000, func() uint64 { return random }); p < 500 || p >= 1000 {
			t.Errorf("a pause of 1000 became %d", p)
		}
	}
}

// TestBounds: so many orders are known, so many questions are under way, and a bank that is down gets one at a time.
func TestBounds(t *testing.T) {
	h := newHand(t, Config{InFlight: 8, Window: 20, Trip: 3})
	for n := range 25 {
		if got := h.r.Add(h.now, order(n)); got != (n < 20) {
			t.Errorf("order %d was taken: %v", n, got)
		}
	}
	if h.r.Ahead("HF0005") != 5 {
		t.Errorf("%d come before the sixth", h.r.Ahead("HF0005"))
	}
	w := h.r.Step(h.now)
	if len(w.Tasks) != 8 {
		t.Fatalf("%d tasks", len(w.Tasks))
	}
	for i, task := range w.Tasks {
		o, _ := order(i).Apply(task.Record)
		h.r.Recorded(h.now, task.Token, o, nil)
	}
	for _, task := range h.r.Step(h.now).Tasks {
		h.r.Answered(h.now, task.Token, Answer{})
	}
	probes := []int{}
	for range 6 {
		w = h.r.Step(h.now)
		probes = append(probes, len(w.Tasks))
		for _, task := range w.Tasks {
			h.r.Answered(h.now, task.Token, Answer{})
		}
		h.now = max(h.now, w.Next)
	}
	if e := h.r.Estimate(h.now, 5); !e.Down || e.Since != 1000*second || e.Known {
		t.Errorf("the estimate is %+v", e)
	}
	for _, n := range probes {
		if n > 1 {
			t.Errorf("a bank that is down got these at a time: %v", probes)
		}
	}
	h.now += 100 * second
	most := 0
	for n := range 40 { // the bank is back: 1, 2, 4, 8 at a time
		w = h.r.Step(h.now)
		most = max(most, len(w.Tasks))
		if n < 2 && len(w.Tasks) > 1 {
			t.Errorf("a bank that has just come back got %d at once", len(w.Tasks))
		}
		for _, task := range w.Tasks {
			if task.Record != nil {
				o := h.r.orders[task.Record.ID].order
				o, _ = o.Apply(task.Record)
				h.r.Recorded(h.now, task.Token, o, nil)
				continue
			}
			h.r.Answered(h.now, task.Token, Answer{State: Pending})
		}
		if w.Next > h.now {
			h.now = w.Next
		}
	}
	if e := h.r.Estimate(h.now, 5); e.Down || h.r.gate.limit != 8 || most < 4 {
		t.Errorf("the bank is back: %+v, limit %d, at most %d at once", e, h.r.gate.limit, most)
	}
}

// TestProbeThatIsNotPut: while the bank is down, an order whose turn it was and which somebody else has taken gives the turn to the next.
func TestProbeThatIsNotPut(t *testing.T) {
	h := newHand(t, Config{Trip: 1})
	for n := range 4 {
		h.r.Add(h.now, order(n))
	}
	for _, task := range h.r.Step(h.now).Tasks {
		o, _ := h.r.orders[task.Record.ID].order.Apply(task.Record)
		h.r.Recorded(h.now, task.Token, o, nil)
	}
	tasks := h.r.Step(h.now).Tasks
	for _, task := range tasks[:3] {
		h.r.Answered(h.now, task.Token, Answer{})
	}
	if w := h.r.Step(h.now); len(w.Tasks) != 0 || !h.r.gate.down || h.r.gate.pause != second {
		t.Fatalf("three questions came to nothing, which is one bank that is down: %+v, %+v", w, h.r.gate)
	}
	h.r.Answered(h.now, tasks[3].Token, Answer{})
	h.r.Add(h.now, order(4))
	h.now += second
	probe := h.step(1)
	if probe.Record == nil {
		t.Fatalf("the order that was never sent comes first, not %+v", probe)
	}
	h.r.Recorded(h.now, probe.Token, Order{}, ErrChanged)
	if task := h.step(1); task.Ask == "" {
		t.Errorf("the next one is %+v", task)
	}
	if w := h.r.Step(h.now); len(w.Tasks) != 0 {
		t.Errorf("beside it there is %+v", w.Tasks)
	}
}

// TestEstimate: an outage of an hour is expected to last another, and the queue takes as long as the bank took for as many before.
func TestEstimate(t *testing.T) {
	h := newHand(t, Config{})
	if e := h.r.Estimate(h.now, 10); e.Known || e.Soonest != 0 || e.Likely != 0 {
		t.Errorf("before anything is measured: %+v", e)
	}
	h.r.meter.advance(h.now, false)
	for range 1000 {
		h.now += second / 10
		h.r.meter.advance(h.now, true)
		h.r.meter.orders++
	}
	if e := h.r.Estimate(h.now, 99); !e.Known || e.Rate < 9.5 || e.Rate > 10.5 || e.Soonest.Round(time.Second) != 10*time.Second || e.Likely != e.Soonest {
		t.Errorf("at ten a second: %+v", e)
	}
	h.r.heard(h.now, &item{}, true)
	for range 5 {
		h.r.heard(h.now, &item{}, false)
	}
	h.now += 3600 * second
	h.r.meter.advance(h.now, false)
	if e := h.r.Estimate(h.now, 99); !e.Down || e.Soonest.Round(time.Second) != 10*time.Second || e.Likely.Round(time.Second) != time.Hour+10*time.Second {
		t.Errorf("after an hour without the bank: %+v", e)
	}
	if e := h.r.Estimate(h.now, 1<<60); e.Soonest != maxEstimate || e.Likely != maxEstimate {
		t.Errorf("a queue without end: %+v", e)
	}
}

// TestAcceptedOrdersMakeRoom: what the bank has accepted and does not settle keeps at most half of the window from new orders.
func TestAcceptedOrdersMakeRoom(t *testing.T) {
	h := newHand(t, Config{Window: 10})
	for n := range 30 {
		o := order(n)
		o.Accepted, o.Sent = n < 20, h.now
		if got := h.r.Add(h.now, o); got != (n < 25) {
			t.Errorf("order %d was taken: %v", n, got)
		}
	}
	w := h.r.Step(h.now)
	if len(w.Tasks) != 10 || h.r.fresh != 5 || h.r.taken != 5 {
		t.Fatalf("%d tasks for %d and %d", len(w.Tasks), h.r.fresh, h.r.taken)
	}
	for _, task := range w.Tasks {
		h.r.Answered(h.now, task.Token, Answer{State: Pending})
	}
	for _, task := range h.r.Step(h.now).Tasks {
		o, _ := h.r.orders[task.Record.ID].order.Apply(task.Record)
		h.r.Recorded(h.now, task.Token, o, nil)
	}
	if h.r.Known() != 5 || h.r.taken != 5 || h.r.fresh != 0 || h.r.Room() != 5 {
		t.Errorf("%d are known, %d of them taken and %d not", h.r.Known(), h.r.taken, h.r.fresh)
	}
}

// pays takes an order through, at a bank that needs a second for it.
func (h *hand) pays(n int) {
	h.t.Helper()
	h.r.Add(h.now, order(n))
	o := h.records(order(n), Sending)
	task := h.step(1)
	h.now += second
	h.r.Answered(h.now, task.Token, Answer{State: Done})
	h.records(o, Paid)
}

// TestEstimateBesideARecalledOrder: a recalled order waits for the cut-off and says so, whatever the queue does; it keeps nobody waiting, and while it is
// asked about nothing is measured.
func TestEstimateBesideARecalledOrder(t *testing.T) {
	h := newHand(t, Config{MaxPause: 4 * time.Second})
	for n := range 5 {
		h.pays(n)
	}
	h.r.Add(h.now, order(10))
	o := h.records(order(10), Sending)
	h.sends(o, Answer{})
	o.Version, o.Recalled = 7, true
	h.r.Add(h.now, o)
	settled := order(11)
	settled.Accepted, settled.Sent = true, h.now // listed, and settled some time
	doubtful := order(12)
	doubtful.Doubtful, doubtful.Sent = true, h.now
	end := o.Sent + 61*second
	for asked := 0; h.now < end-5*second; asked++ {
		h.asks(o, Answer{State: NeverHeard, At: h.now})
		h.r.Step(h.now)
		left := time.Duration(end - h.now)
		if e := h.r.EstimateFor(h.now, &o); !e.Known || e.Ahead != 0 || e.Soonest != left || e.Likely != left || e.Down {
			t.Fatalf("after %d questions, %v before the cut-off, the recalled order is told %+v", asked, left, e)
		}
		next := order(20)
		if e := h.r.EstimateFor(h.now, &next); !e.Known || e.Ahead != 0 || e.Rate < 0.9 || e.Soonest.Round(time.Second) != time.Second {
			t.Fatalf("after %d questions an order beside is told %+v", asked, e)
		}
		for _, other := range []Order{settled, doubtful} {
			if e := h.r.EstimateFor(h.now, &other); e.Known || e.Ahead != 0 || e.Soonest != 0 {
				t.Fatalf("an order that does not wait to be taken is told %+v", e)
			}
		}
	}
	h.r.Add(h.now, settled)
	h.r.Add(h.now, doubtful)
	if n := h.r.Ahead("\xff"); n != 0 {
		t.Errorf("%d orders wait, of a recalled, an accepted and a doubtful one", n)
	}
	h.now = end + 20*second
	if e := h.r.EstimateFor(h.now, &o); e.Soonest != leastRecalled {
		t.Errorf("after the cut-off: %+v", e)
	}
	unsent := order(13)
	unsent.Recalled = true
	if e := h.r.EstimateFor(h.now, &unsent); !e.Known || e.Soonest != leastRecalled {
		t.Errorf("recalled before it was sent: %+v", e)
	}
	if e := EstimateOf(h.now, 3, 1, h.now-3600*second, Ramp{}).For(h.now, &o, h.r.config.Terms); e.Ahead != 0 || e.Soonest != leastRecalled || e.Likely != time.Hour {
		t.Errorf("in an outage of an hour: %+v", e)
	}
}

// TestSilenceIsToldAtOnce, long before the gate closes; what was measured before stands through the outage; and the next answer ends it.
func TestSilenceIsToldAtOnce(t *testing.T) {
	h := newHand(t, Config{Trip: 5, MaxPause: 4 * time.Second})
	for n := range 5 {
		h.pays(n)
	}
	h.r.Add(h.now, order(10))
	o := h.records(order(10), Sending)
	task := h.step(1)
	h.now += 15 * second // a question that hangs
	h.r.Answered(h.now, task.Token, Answer{})
	began := h.now
	next := order(20)
	for failed := 1; failed < 8; failed++ {
		if down := h.r.gate.down; down != (failed >= 5) {
			t.Fatalf("after %d questions the gate says %v", failed, down)
		}
		e, want := h.r.EstimateFor(h.now, &next), 2*time.Second
		if h.r.gate.down { // two rounds more of a second each, when the bank is asked again
			want += 2*time.Second + max(0, time.Duration(h.r.gate.probeAt-h.now))
		}
		if !e.Down || e.Since != began || !e.Known || e.Ahead != 1 || (e.Soonest-want).Abs() > time.Second/2 || e.Likely != e.Soonest+time.Duration(h.now-began) {
			t.Fatalf("after %d questions without an answer: %+v", failed, e)
		}
		task := h.step(600)
		h.now += 15 * second
		h.r.Answered(h.now, task.Token, Answer{})
	}
	h.asks(o, Answer{State: NeverHeard, At: h.now})
	if e := h.r.EstimateFor(h.now, &next); e.Down || e.Since != 0 || e.Soonest.Round(time.Second) != 2*time.Second {
		t.Errorf("the bank has answered: %+v", e)
	}
	if e := h.r.EstimateFor(h.now, &o); e.Soonest < time.Second {
		t.Errorf("an order that rests for a while is told %+v", e)
	}
}

// TestRestsAreNotMeasured: how long an order rests between attempts says nothing about how many orders the bank takes.
func TestRestsAreNotMeasured(t *testing.T) {
	h := newHand(t, Config{Trip: 100, Pause: 20 * time.Second})
	for n := range 5 {
		h.pays(n)
	}
	h.r.Add(h.now, order(10))
	o := h.records(order(10), Sending)
	h.sends(o, Answer{})
	for range 5 {
		h.asks(o, Answer{Alive: true}) // it is there, and does not know
	}
	h.r.Step(h.now)
	if e := h.r.Estimate(h.now, 0); e.Rate < 0.9 || e.Down {
		t.Errorf("after minutes in which an order rested: %+v", e)
	}
}

// TestRemember: a resolver that takes over tells what was known before, and soon what it has seen itself.
func TestRemember(t *testing.T) {
	h := newHand(t, Config{})
	h.r.Remember(h.now, 0, 0, 0)
	if e := h.r.Estimate(h.now, 9); e.Known || e.Down {
		t.Errorf("of nothing: %+v", e)
	}
	since := h.now - 60*second
	h.r.Remember(h.now, 10, since, 0)
	if e := h.r.Estimate(h.now, 99); !e.Known || !e.Down || e.Since != since || e.Soonest.Round(time.Second) != 10*time.Second || e.Likely.Round(time.Second) != 70*time.Second {
		t.Errorf("remembered: %+v", e)
	}
	h.r.heard(h.now, &item{}, true)
	for range 1000 {
		h.now += second / 10
		h.r.meter.advance(h.now, true)
	}
	if e := h.r.Estimate(h.now, 99); e.Down || e.Rate > 1 {
		t.Errorf("after a hundred seconds in which the bank took nothing: %+v", e)
	}
}

// TestStanding counts orders by how they are doing.
func TestStanding(t *testing.T) {
	h := newHand(t, Config{})
	for i, o := range []Order{{}, {Accepted: true}, {Doubtful: true}, {}, {Recalled: true}} {
		o.ID, o.Key, o.Version = fmt.Sprint("HF", i), fmt.Sprintf("%016x-x", 7-i), 1
		if i > 0 {
			o.Sent = h.now
		}
		h.r.Add(h.now, o)
	}
	want := Standing{Waiting: 2, Accepted: 1, Unknown: 2, Oldest: fmt.Sprintf("%016x-x", 3), Doubtful: 1}
	if got := h.r.Standing(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	h.r.heard(h.now, &item{}, false)
	if got := h.r.Standing(); !got.Down || got.Since != h.now {
		t.Errorf("a bank that has not answered: %+v", got)
	}
}

// TestAlive: a bank that counts as down is asked at once when it has answered somebody else, one question; and if that comes to nothing, it rests as before.
func TestAlive(t *testing.T) {
	h := newHand(t, Config{Trip: 1, Probe: time.Minute, MaxProbe: time.Hour})
	o := order(1)
	h.r.Add(h.now, o)
	o = h.records(o, Sending)
	h.sends(o, Answer{})
	h.now += 20 * second
	if w := h.r.Step(h.now); len(w.Tasks) != 0 || w.Next < h.now+5*second {
		t.Fatalf("while the bank is down there is %+v", w)
	}
	h.r.Alive(h.now)
	w := h.r.Step(h.now)
	if len(w.Tasks) != 1 || w.Tasks[0].Ask != o.ID {
		t.Fatalf("it has answered somebody else, and there is %+v", w)
	}
	h.r.Answered(h.now, w.Tasks[0].Token, Answer{})
	if w := h.r.Step(h.now); len(w.Tasks) != 0 || w.Next < h.now+30*second {
		t.Errorf("it is asked again too soon: %+v", w)
	}
}

// TestEstimateOfTheWayBack: a bank that has been down is asked when it is time, and gets one, two, four orders at a time: that is told too. What the bank has
// never heard of is sent again soon, however long it had to rest while nobody answered.
func TestEstimateOfTheWayBack(t *testing.T) {
	h := newHand(t, Config{Trip: 1, Probe: 40 * time.Second, MaxProbe: 40 * time.Second, MaxPause: time.Hour})
	o := order(1)
	h.r.Add(h.now, o)
	o = h.records(o, Sending)
	for range 8 { // the pause of the order grows to minutes
		task := h.step(3600)
		h.r.Answered(h.now, task.Token, Answer{})
	}
	h.r.Remember(h.now, 10, h.now-second, time.Second/2)
	wait := time.Duration(h.r.gate.probeAt - h.now)
	want := wait + 10*time.Second + 7*time.Second/2 // a hundred of them: seven rounds
	if e := h.r.Estimate(h.now, 99); (e.Soonest-want).Abs() > time.Millisecond || e.Likely != e.Soonest+time.Second {
		t.Errorf("the estimate is %+v, want %v", e, want)
	}
	fresh, sent := h.r.EstimateFor(h.now, &Order{Key: "\xff"}), h.r.Estimate(h.now, 1).For(h.now, &o, Terms{})
	if sent.Soonest != fresh.Soonest+time.Second/2+askedPause {
		t.Errorf("of one that has to be asked about first: %v; of a fresh one: %v", sent.Soonest, fresh.Soonest)
	}
	task := h.step(3600)
	h.r.Answered(h.now, task.Token, Answer{State: NeverHeard, Alive: true, At: h.now})
	if task := h.step(1); task.Record == nil || task.Record.Kind != Sending {
		t.Errorf("after the bank has said that it has never heard of it: %+v", task)
	}
}
