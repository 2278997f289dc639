package transit

import (
	"errors"
	"slices"
	"testing"

	"holdfast"
)

// desk is a View that tests fill by hand.
type desk struct {
	outbox  []holdfast.Queued
	decided map[holdfast.ID]decision
	looks   int
}

func (d *desk) Outbox(after uint64, max int) []holdfast.Queued {
	i := slices.IndexFunc(d.outbox, func(q holdfast.Queued) bool { return q.Seq > after })
	if i < 0 {
		return nil
	}
	return d.outbox[i:min(len(d.outbox), i+max)]
}

func (d *desk) Decided(_ holdfast.ShardID, id holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool) {
	d.looks++
	x, ok := d.decided[id]
	return &x.txn, x.outcome, ok
}

func (*desk) Places(p *Payment) []holdfast.ShardID { return []holdfast.ShardID{p.Away} }

func (*desk) Whereto(p *Payment) (holdfast.ShardID, bool, bool) { return p.Away, true, true }

// send puts payment n, from shard 1, into the outbox.
func (d *desk) send(n int, text string) Payment {
	p, code, field := Make(txn(n, text), shardOf, noHold)
	if code != holdfast.CodeOK || !p.Crosses() {
		panic(text + " " + code.String() + field)
	}
	depart := p.Depart()
	d.outbox = append(d.outbox, holdfast.Queued{Seq: uint64(n), Txn: p.Txn.ID, Message: depart.Messages[0]})
	return p
}

func (d *desk) ack(seq uint64) {
	d.outbox = slices.DeleteFunc(d.outbox, func(q holdfast.Queued) bool { return q.Seq == seq })
}

const ms = holdfast.Time(1e6)

func testCourier() (*Courier, *desk) {
	c := NewCourier(CourierConfig{Home: 1, Grace: 1000 * ms, Look: 20 * ms, Pause: 100 * ms, MaxPause: 800 * ms, Wait: 5000 * ms, InFlight: 3})
	return c, &desk{decided: map[holdfast.ID]decision{}}
}

func landsOf(w Work) (n int) {
	for _, b := range w.Lands {
		n += len(b.List)
	}
	return n
}

// TestGrace: until the grace is over the courier only looks, ever more seldom; then it lands what nobody has landed.
func TestGrace(t *testing.T) {
	c, d := testCourier()
	p := d.send(1, "1a>2b 5")
	var looked []holdfast.Time
	for now := ms; now < 1001*ms; now += ms {
		before := d.looks
		if w := c.Step(now, d); landsOf(w)+len(w.Settles) > 0 {
			t.Fatalf("after %d: %+v", now/ms, w)
		}
		if d.looks > before {
			looked = append(looked, now/ms)
		}
	}
	if want := []holdfast.Time{21, 41, 81, 161, 321, 641}; !slices.Equal(looked, want) {
		t.Errorf("looked at %v ms, want %v", looked, want)
	}
	w := c.Step(1001*ms, d)
	if landsOf(w) != 1 || w.Lands[0].To != 2 || w.Lands[0].List[0].Payment != id(1) {
		t.Fatalf("after the grace: %+v", w)
	}
	want := p.Land()
	same(t, "the land", &w.Lands[0].List[0].Txn, &want)
}

// TestSeenIsEnough: a land that is there is settled without another proposal, at the next look.
func TestSeenIsEnough(t *testing.T) {
	for _, o := range []holdfast.Outcome{done(5), refused(holdfast.CodeCreditMissing, 0, "")} {
		c, d := testCourier()
		p := d.send(1, "1a>2b 5")
		c.Step(ms, d)
		d.decided[p.LandID()] = decision{p.Land(), o}
		w := c.Step(21*ms, d)
		if landsOf(w) != 0 || len(w.Settles) != 1 {
			t.Fatalf("%s: %+v", o.Status, w)
		}
		want := p.Settle(FateOf(&o), 1)
		same(t, "the settle", &w.Settles[0].Txn, &want)
		if w = c.Step(30*ms, d); len(w.Settles) != 0 {
			t.Errorf("%s: settled twice: %+v", o.Status, w)
		}
		c.Settled(40*ms, id(1), done(9))
		if c.UnderWay(2) != 0 || landsOf(c.Step(9000*ms, d)) != 0 {
			t.Errorf("%s: it is not over when it is settled", o.Status)
		}
	}
}

// TestAnothersLandProvesNothing: the same caller's id was used for a payment from a third shard, which landed. That of this
// shard has to ask for itself.
func TestAnothersLandProvesNothing(t *testing.T) {
	c, d := testCourier()
	p := d.send(1, "1a>2b 5")
	other, _, _ := Make(txn(1, "3a>2b 5"), shardOf, noHold)
	d.decided[p.LandID()] = decision{other.Land(), done(5)}
	c.Step(ms, d)
	if w := c.Step(500*ms, d); len(w.Settles) > 0 {
		t.Fatalf("settled by the land of another: %+v", w)
	}
	c.Step(1001*ms, d)
	c.Landed(1010*ms, id(1), refused(holdfast.CodeIDTaken, holdfast.NoLeg, "transfers"))
	w := c.Step(1010*ms, d)
	if len(w.Settles) != 1 || w.Settles[0].Txn.Transfers[0].Kind != holdfast.Void {
		t.Errorf("after the refusal: %+v", w)
	}
}

// TestUnansweredIsTriedAgain with growing pauses, whatever it was that was not an answer.
func TestUnansweredIsTriedAgain(t *testing.T) {
	for _, o := range []holdfast.Outcome{not(holdfast.Unknown, holdfast.CodeUnknown), not(holdfast.NotExecuted, holdfast.CodeNoLeader), not(holdfast.NotExecuted, holdfast.CodeAmountInvalid)} {
		c, d := testCourier()
		d.send(1, "1a>2b 5")
		var landed []holdfast.Time
		for now := ms; now < 4500*ms; now += ms {
			w := c.Step(now, d)
			if len(w.Settles) > 0 {
				t.Fatalf("%s (%s) was taken for a fate: %+v", o.Status, o.Code, w)
			}
			if landsOf(w) > 0 {
				landed = append(landed, now/ms)
				c.Landed(now, id(1), o)
			}
		}
		if want := []holdfast.Time{1001, 1101, 1301, 1701, 2501, 3301, 4101}; !slices.Equal(landed, want) {
			t.Errorf("%s: landed at %v ms, want %v", o.Status, landed, want)
		}
	}
}

// TestSilence: a proposal that nobody answers counts as unanswered after a while, for lands and settles alike.
func TestSilence(t *testing.T) {
	c, d := testCourier()
	d.send(1, "1a>2b 5")
	c.Step(ms, d)
	var lands, settles []holdfast.Time
	for now := 1001 * ms; now < 20000*ms; now += ms {
		w := c.Step(now, d)
		if landsOf(w) > 0 {
			lands = append(lands, now/ms)
			if len(lands) == 2 {
				c.Landed(now, id(1), done(3))
			}
		}
		if len(w.Settles) > 0 {
			settles = append(settles, now/ms)
		}
	}
	if want := []holdfast.Time{1001, 6101}; !slices.Equal(lands, want) {
		t.Errorf("landed at %v ms, want %v", lands, want)
	}
	if want := []holdfast.Time{6102, 11202, 16402}; !slices.Equal(settles, want) {
		t.Errorf("settled at %v ms, want %v", settles, want)
	}
}

// TestBoundedInFlight: a shard that does not answer holds up its own payments and no others.
func TestBoundedInFlight(t *testing.T) {
	c, d := testCourier()
	for n := 1; n <= 10; n++ {
		d.send(n, "1a>2b 5")
	}
	for n := 11; n <= 14; n++ {
		d.send(n, "1a>3b 5")
	}
	c.Step(ms, d)
	w := c.Step(1001*ms, d)
	if len(w.Lands) != 2 || w.Lands[0].To != 2 || len(w.Lands[0].List) != 3 || w.Lands[1].To != 3 || len(w.Lands[1].List) != 3 {
		t.Fatalf("first: %+v", w)
	}
	for _, p := range w.Lands[1].List {
		c.Landed(1002*ms, p.Payment, done(4))
	}
	w = c.Step(1002*ms, d)
	if len(w.Lands) != 1 || w.Lands[0].To != 3 || len(w.Lands[0].List) != 1 || w.Lands[0].List[0].Payment != id(14) || len(w.Settles) != 3 {
		t.Fatalf("then: %+v", w)
	}
	if c.UnderWay(2) != 10 || c.UnderWay(3) != 4 {
		t.Errorf("%d and %d are under way", c.UnderWay(2), c.UnderWay(3))
	}
}

// TestSettledBySomebodyElse: what is no longer in the outbox is forgotten, however much there is.
func TestSettledBySomebodyElse(t *testing.T) {
	c, d := testCourier()
	const many = 3000
	for n := 1; n <= many; n++ {
		d.send(n, "1a>2b 5")
	}
	for i := range 12 {
		c.Step(ms+holdfast.Time(i), d)
	}
	if c.UnderWay(2) != many {
		t.Fatalf("%d of %d are known", c.UnderWay(2), many)
	}
	kept := 0
	for n := uint64(1); n <= many; n++ {
		if n%7 == 0 {
			kept++
			continue
		}
		d.ack(n)
	}
	for i := range 12 {
		c.Step(2*ms+holdfast.Time(i), d)
	}
	if c.UnderWay(2) != kept || len(c.parcels)-c.gone != kept || len(c.parcels) > 2*kept+1 || len(c.byID) != kept {
		t.Errorf("%d are under way, %d are right; %d in the list, %d gone", c.UnderWay(2), kept, len(c.parcels), c.gone)
	}
}

// TestOtherMessages: what is not for a courier is left alone; what cannot be read is reported and holds up nobody.
func TestOtherMessages(t *testing.T) {
	c, d := testCourier()
	d.outbox = append(d.outbox, holdfast.Queued{Seq: 1, Message: holdfast.Message{To: 2, Topic: "webhook", Body: []byte("x")}})
	d.send(2, "1a>2b 5")
	c.Step(ms, d)
	if c.Err() != nil || c.UnderWay(2) != 1 {
		t.Fatalf("%v, %d under way", c.Err(), c.UnderWay(2))
	}
	p := d.send(3, "2a>1b 5") // from another shard
	d.outbox = append(d.outbox, holdfast.Queued{Seq: 4, Txn: id(4), Message: holdfast.Message{To: 2, Topic: Topic, Body: []byte("x")}})
	d.send(5, "1a>2b 5")
	c.Step(2*ms, d)
	if !errors.Is(c.Err(), ErrMessage) || c.UnderWay(2) != 2 || c.UnderWay(p.Away) != 0 {
		t.Errorf("%v, %d under way", c.Err(), c.UnderWay(2))
	}
}

// TestNextIsWhenSomethingHappens: whoever sleeps until Next misses nothing.
func TestNextIsWhenSomethingHappens(t *testing.T) {
	every, everyDesk := testCourier()
	lazy, lazyDesk := testCourier()
	for n := 1; n <= 5; n++ {
		everyDesk.send(n, "1a>2b 5")
		lazyDesk.send(n, "1a>2b 5")
	}
	next := holdfast.Time(0)
	for now := ms; now < 9000*ms; now += ms {
		w := every.Step(now, everyDesk)
		if now < next {
			if landsOf(w)+len(w.Settles) > 0 && next-now > 20*ms {
				t.Fatalf("at %d ms %+v, and the next step is due at %d", now/ms, w, next/ms)
			}
			continue
		}
		next = lazy.Step(now, lazyDesk).Next
		if next <= now {
			t.Fatalf("at %d ms the next step is due at %d", now/ms, next/ms)
		}
	}
	if empty, nothing := testCourier(); empty.Step(ms, nothing).Next != 0 {
		t.Error("an empty outbox is looked at again before it has something new")
	}
}
