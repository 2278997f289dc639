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

// TestWhichClockIsBelieved has one line per situation: what the others say is ahead of ours by so much, ours has jumped by so much, and
// by how much the time that is stamped with has jumped.
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
		"five, and two have jumped with it": {[]time.Duration{time.Hour, 0, 0, time.Hour}, time.Hour, time.Hour, 0},
		"five, and one has jumped with it":  {[]time.Duration{time.Hour, 0, 0, 0}, time.Hour, 0, time.Hour},
	} {
		c := NewClock()
		if got := c.Now(start, 0); got != start {
			t.Errorf("%s: nobody else is heard, and the time is %s", name, got)
		}
		for i, ahead := range row.others {
			c.Heard(holdfast.SiteID(i+2), start+holdfast.Time(s+ahead), s)
		}
		want := start + holdfast.Time(3*s+row.want)
		if got := c.Now(start+holdfast.Time(3*s+row.jump), 3*s); got != want || c.Beyond() != row.beyond {
			t.Errorf("%s: the time is %s, %v ahead of the median; want %s, %v", name, got, c.Beyond(), want, row.beyond)
		}
	}
}

func TestAClockIsBelievedAgain(t *testing.T) {
	const start = holdfast.Time(1.8e18)
	c := NewClock()
	c.Now(start, 0)
	for site := range holdfast.SiteID(2) {
		c.Heard(site+2, start, 0)
	}
	if c.Now(start+holdfast.Time(time.Hour), time.Second); c.Beyond() == 0 {
		t.Fatal("an hour ahead is believed")
	}
	if got := c.Now(start+2e9, 2*time.Second); got != start+2e9 || c.Beyond() != 0 {
		t.Errorf("the clock was set right, and the time is %s, %v beyond", got, c.Beyond())
	}
	c.Only([]holdfast.SiteID{1})
	if got := c.Now(start+holdfast.Time(time.Hour), 3*time.Second); got != start+holdfast.Time(time.Hour) {
		t.Errorf("alone, and the time is %s", got)
	}
}

// TestALeaderWhoseClockRunsAway neither expires holds nor stamps the future, says so, and gives its leadership away.
func TestALeaderWhoseClockRunsAway(t *testing.T) {
	var ahead [4]atomic.Int64
	tune := func(h *HostConfig, _ *store.Options) {
		site := h.Site
		h.Wall = func() holdfast.Time { return holdfast.TimeOf(time.Now()) + holdfast.Time(ahead[site].Load()) }
	}
	bubble(t, 3, tune, func(f *fleet) {
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
