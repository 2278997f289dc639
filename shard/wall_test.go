package shard

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// TestWhichClockIsBelieved has one line per situation: all clocks agree at first, then those of the others jump by so much and ours by so
// much, and the time that is stamped with by so much.
func TestWhichClockIsBelieved(t *testing.T) {
	const start, s = holdfast.Time(1.8e18), time.Second
	for name, row := range map[string]struct {
		others []time.Duration
		jump   time.Duration
		want   time.Duration
		beyond time.Duration
	}{
		"alone":                             {nil, time.Hour, time.Hour, 0},
		"it stands":                         {[]time.Duration{0, 0}, 0, 0, 0},
		"a small step":                      {[]time.Duration{0, 0}, 4 * s, 4 * s, 0},
		"it jumps ahead":                    {[]time.Duration{0, 0}, time.Hour, 0, time.Hour},
		"it jumps back":                     {[]time.Duration{0, 0}, -time.Hour, -time.Hour, 0},
		"all jump":                          {[]time.Duration{time.Hour, time.Hour}, time.Hour, time.Hour, 0},
		"another has jumped":                {[]time.Duration{time.Hour, 0}, 0, 0, 0},
		"another is behind, of three":       {[]time.Duration{-time.Hour, 0}, 0, 0, 0},
		"one other, and it jumps":           {[]time.Duration{0}, time.Hour, 0, time.Hour},
		"one other, and that is behind":     {[]time.Duration{-time.Hour}, 0, 0, 0},
		"two others, and both are behind":   {[]time.Duration{-time.Hour, -time.Hour}, 0, -time.Hour, time.Hour},
		"four, and one has jumped with it":  {[]time.Duration{time.Hour, 0, 0}, time.Hour, 0, time.Hour},
		"five, and two have jumped with it": {[]time.Duration{time.Hour, 0, 0, time.Hour}, time.Hour, time.Hour, 0},
		"five, and one has jumped with it":  {[]time.Duration{time.Hour, 0, 0, 0}, time.Hour, 0, time.Hour},
	} {
		c := NewClock()
		for i := range row.others {
			c.Heard(holdfast.SiteID(i+2), start, 0, 0)
		}
		if got := c.Now(start, 0); got != start || c.Beyond() != 0 {
			t.Errorf("%s: all agree, and the time is %s, %v ahead", name, got, c.Beyond())
		}
		for i, ahead := range row.others {
			c.Heard(holdfast.SiteID(i+2), start+holdfast.Time(s+ahead), s, s)
		}
		want := start + holdfast.Time(3*s+row.want)
		if got := c.Now(start+holdfast.Time(3*s+row.jump), 3*s); got != want || c.Beyond() != row.beyond {
			t.Errorf("%s: the time is %s, %v ahead of the median; want %s, %v", name, got, c.Beyond(), want, row.beyond)
		}
	}
}

// TestTheClockAfterAStart: nobody knows then how the clock of this site has stood to those of the others.
func TestTheClockAfterAStart(t *testing.T) {
	const start, hour = holdfast.Time(1.8e18), holdfast.Time(time.Hour)
	for name, row := range map[string]struct {
		others []holdfast.Time
		want   holdfast.Time
	}{
		"nobody is heard":                    {nil, hour},
		"one, and this clock is ahead of it": {[]holdfast.Time{0}, 0},
		"one, and this clock is behind it":   {[]holdfast.Time{2 * hour}, hour},
		"two, and this clock is ahead":       {[]holdfast.Time{0, 0}, 0},
		"two, and one of them agrees":        {[]holdfast.Time{0, hour}, hour},
	} {
		c := NewClock()
		if got := c.Now(start+hour, 0); got != start+hour {
			t.Errorf("%s: alone, and the time is %s", name, got)
		}
		for i, ahead := range row.others {
			c.Heard(holdfast.SiteID(i+2), start+ahead, 0, 0)
		}
		if got := c.Now(start+hour, 0); got != start+row.want {
			t.Errorf("%s: the time is %s, want %s", name, got, start+row.want)
		}
	}
}

func TestAClockIsBelievedAgain(t *testing.T) {
	const start = holdfast.Time(1.8e18)
	c := NewClock()
	for site := range holdfast.SiteID(2) {
		c.Heard(site+2, start, 0, 0)
	}
	if c.Now(start+holdfast.Time(time.Hour), time.Second); c.Beyond() == 0 {
		t.Fatal("an hour ahead is believed")
	}
	if got := c.Now(start+2e9, 2*time.Second); got != start+2e9 || c.Beyond() != 0 {
		t.Errorf("the clock was set right, and the time is %s, %v beyond", got, c.Beyond())
	}
	later := clockKept + time.Second
	if got := c.Now(start+holdfast.Time(later), later); got != start+holdfast.Time(later) || c.Beyond() != 0 {
		t.Errorf("nobody was heard for %v, and the time is %s", later, got)
	}
	if got := c.Now(start+holdfast.Time(time.Hour), later); got != start+holdfast.Time(later) || c.Beyond() == 0 {
		t.Errorf("it jumps while nobody is heard, and the time is %s", got)
	}
	c.Heard(2, start+holdfast.Time(time.Hour), later, later)
	if got := c.Now(start+holdfast.Time(time.Hour), later); got != start+holdfast.Time(time.Hour) || c.Beyond() != 0 {
		t.Errorf("another agrees that it is later, and the time is %s", got)
	}
}

// TestAnOldClockSaysNothing: a process that was stopped finds beats that were sent long ago.
func TestAnOldClockSaysNothing(t *testing.T) {
	const start = holdfast.Time(1.8e18)
	c := NewClock()
	c.Heard(2, start, 0, 10*time.Second)
	c.Heard(3, start, 0, 10*time.Second)
	if got := c.Now(start+10e9, 10*time.Second); got != start+10e9 || c.Beyond() != 0 {
		t.Errorf("the time is %s, %v ahead of clocks that were read up to ten seconds ago", got, c.Beyond())
	}
}

// TestBeatsCarryTheClock: one that says nothing of it, or has it from an earlier beat, gives none; and a release that does not know of
// it takes the clock for a shard that it does not have.
func TestBeatsCarryTheClock(t *testing.T) {
	a, b := NewBeats(BeatConfig{Site: 1, Life: 11}), NewBeats(BeatConfig{Site: 2, Life: 22})
	b.Tick()
	a.led[7] = ledAsleep{from: 1, term: 2, commit: 3, with: []Member{{Replica: 9, Site: 2}}}
	for i, wall := range []holdfast.Time{0, 1.8e18, 0, 1.9e18} {
		a.Tick()
		a.Wall = wall
		beat := a.Beat(2)
		list, err := b.Hear(1, beat)
		if err != nil || list[7].Commit != 3 || len(list) != 1 {
			t.Fatalf("beat %d: %v, %v", i, list, err)
		}
		if old, err := readSlumbers(beat[beatHead:]); err != nil || beat[1]&beatLists != 0 && old[7].Commit != 3 {
			t.Errorf("beat %d says %v (%v) to a release that knows nothing of clocks", i, old, err)
		}
		if got, _ := b.TheirWall(1); got != wall {
			t.Errorf("beat %d says that the clock is %s, it is %s", i, got, wall)
		}
		if got, _ := b.TheirWall(1); got != 0 {
			t.Errorf("beat %d is heard twice", i)
		}
		if i >= 1 { // from then on a knows that its list is known
			a.Hear(2, b.Beat(1)) //nolint:errcheck // made a moment ago
		}
		b.Tick()
	}
	a.Tick()
	if _, err := b.Hear(1, append(a.Beat(2)[:beatHead], 1)); err == nil {
		t.Error("a beat whose clock is cut short is understood")
	}
}

// wallsAhead is by how much the clock of each site runs ahead, in nanoseconds.
type wallsAhead [4]atomic.Int64

func (ahead *wallsAhead) tune(h *HostConfig, _ *store.Options) {
	site := h.Site
	h.Wall = func() holdfast.Time { return holdfast.TimeOf(time.Now()) + holdfast.Time(ahead[site].Load()) }
}

// TestALeaderWhoseClockRunsAway neither expires holds nor stamps the future, says so, and gives its leadership away.
func TestALeaderWhoseClockRunsAway(t *testing.T) {
	var ahead wallsAhead
	bubble(t, 3, ahead.tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		hold := holdfast.Txn{ID: testID(2), Transfers: []holdfast.Transfer{{
			Kind: holdfast.Hold, Debit: testAccount(1), Credit: testAccount(2), Amount: 5, Timeout: time.Minute,
		}}}
		mustDone(f, f.pay(hold))
		time.Sleep(2 * time.Second) // bubble time: until the clocks have been asked for
		old := f.leader()
		ahead[old].Store(int64(time.Hour))
		o := f.pay(payTxn(3, 1, 2, 1))
		if mustDone(f, o); o.Time > now()+clockBound {
			t.Fatalf("a payment is stamped %s, by a clock that is an hour ahead", o.Time)
		}
		f.until("another leader", func() bool { return f.leader() != old })
		if !saw(f, old, EventClock) {
			t.Error("nobody was told that the clock is wrong")
		}
		time.Sleep(5 * time.Second) // bubble time
		if f.leader() == old {
			t.Error("the leadership has come back to a site with a wrong clock")
		}
		err := f.host(f.leader()).Read(context.Background(), testShard, Linearizable, func(v *View) error {
			if _, state, _, err := v.Hold(testID(2)); err != nil || state != ledger.HoldOpen {
				t.Errorf("the hold is %v, %v: its minute is not over", state, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if o := f.pay(payTxn(4, 1, 2, 1)); o.Status != holdfast.Done || o.Time > now() {
			t.Errorf("%+v at %s", o, now())
		}
		f.agree()
	})
}

// TestASleepingShardLeavesASiteWhoseClockRunsAway: nothing has to be stamped for that.
func TestASleepingShardLeavesASiteWhoseClockRunsAway(t *testing.T) {
	var ahead wallsAhead
	bubble(t, 3, ahead.tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		old := f.leader()
		ahead[old].Store(int64(time.Hour))
		f.until("another leader", func() bool { return f.leader() != old })
		f.asleep(f.sites...)
		if !saw(f, old, EventClock) {
			t.Error("nobody was told that the clock is wrong")
		}
		ahead[old].Store(0)
		time.Sleep(3 * time.Second) // bubble time
		f.asleep(f.sites...)
		if o := f.pay(payTxn(2, 1, 2, 1)); o.Status != holdfast.Done || o.Time > now()+clockBound {
			t.Errorf("%+v at %s", o, now())
		}
		f.agree()
	})
}

// TestALeaderThatIsUnsureOfTheTimeWaits: neither payments nor questions about the past nor digests are stamped before another clock is heard,
// or has not been for so long that nobody will tell it.
func TestALeaderThatIsUnsureOfTheTimeWaits(t *testing.T) {
	for _, heard := range []bool{true, false} {
		d := newDesk(t)
		d.replica.SetUnsure(true)
		d.lead()
		a := d.submit(1, false)
		d.replica.ClosePast(&PastRequest{At: d.now + 1, Answer: func(*PastRequest) {}})
		d.output()
		d.must(d.replica.Upkeep(Upkeep{DigestDue: true}, d.now))
		d.output()
		if len(d.writes) > 0 {
			t.Fatalf("%d writes of a leader that does not know the time", len(d.writes))
		}
		if heard {
			d.replica.SetUnsure(false)
		}
		for range unsureTicks + 1 {
			if !heard {
				d.must(d.replica.Tick(d.now))
			}
		}
		d.output()
		d.store()
		a.want(t, nil)
	}
}
