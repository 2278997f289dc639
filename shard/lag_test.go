package shard

import (
	"testing"
	"time"
)

func TestLagJudgesAProcess(t *testing.T) {
	every := func(period, late time.Duration, n int) func(*Care) time.Duration {
		return func(c *Care) (now time.Duration) {
			for range n {
				now += period
				c.Late(now, late)
			}
			return now
		}
	}
	for _, row := range []struct {
		name    string
		do      func(c *Care) (now time.Duration)
		starved bool
	}{
		{"never late", every(10*ms, 0, 1000), false},
		{"always a little late, as on a busy machine", every(50*ms, 29*ms, 1000), false},
		{"stopped for four fifths of the time", every(100*ms, 80*ms, 20), true},
		{"the same for less than a second", every(100*ms, 80*ms, 9), false},
		{"late now and then", every(400*ms, 100*ms, 100), false},
		{"stopped once for long", every(20*time.Second, 10*time.Second, 3), false},
		{"starved, and then hardly", func(c *Care) time.Duration {
			now := every(100*ms, 80*ms, 20)(c)
			c.Look(1, now)
			for range 30 { // a third of the share at which it began: still too much to be over
				now += 100 * ms
				c.Late(now, 30*ms)
			}
			return now
		}, true},
		{"starved a while ago", func(c *Care) time.Duration {
			now := every(100*ms, 80*ms, 20)(c)
			c.Look(1, now)
			return now + 9*time.Second
		}, false},
	} {
		c := NewCare(CareBounds{})
		got := c.Look(1, row.do(c))
		if got.Starved != row.starved || !got.Well || got.Starved != c.Asks(got, time.Hour) {
			t.Errorf("%s: %+v; want starved %t", row.name, got, row.starved)
		}
	}
}

func TestHearingJudgesCarriers(t *testing.T) {
	for _, row := range []struct {
		name          string
		others, badly int
		deaf          bool
	}{
		{"all are heard well", 2, 0, false},
		{"one of two badly: a majority is left", 2, 1, false},
		{"both badly", 2, 2, true},
		{"two of four badly", 4, 2, false},
		{"three of four badly", 4, 3, true},
		{"the only other one", 1, 1, true},
		{"alone", 0, 0, false},
	} {
		c, now := NewCare(CareBounds{}), time.Duration(0)
		for ; now < lossTime; now += lossTime / 10 {
			c.Hears(now, row.others, row.badly)
			if got := c.Look(1, now); got.Deaf {
				t.Errorf("%s: after %v %+v", row.name, now, got)
			}
		}
		c.Hears(now, row.others, row.badly)
		if got := c.Look(1, now); got.Deaf != row.deaf {
			t.Errorf("%s: after %v %+v", row.name, now, got)
		}
		for over := now + lossOver; now < over; now += lossTime / 10 {
			c.Hears(now, row.others, 0)
			if got := c.Look(1, now); got.Deaf != row.deaf {
				t.Errorf("%s: heard well for a moment: %+v", row.name, got)
			}
		}
		c.Hears(now, row.others, 0)
		if got := c.Look(1, now); got.Deaf || got.Well == row.deaf {
			t.Errorf("%s: when all are heard well again: %+v", row.name, got)
		}
	}
}

// TestHearingCountsOverAWindow: of a carrier that loses frames some round trips are quick, and a connection that is made anew is bad once.
func TestHearingCountsOverAWindow(t *testing.T) {
	const look = 250 * time.Millisecond
	for _, row := range []struct {
		name string
		bad  func(i int) bool // at the i-th look
		deaf bool
	}{
		{"three of four looks", func(i int) bool { return i%4 != 0 }, true},
		{"two of three looks", func(i int) bool { return i%3 != 0 }, true},
		{"one of four looks", func(i int) bool { return i%4 == 0 }, false},
		{"for two seconds, once", func(i int) bool { return i > 40 && i <= 48 }, false},
		{"looked at once, and then not for a minute", func(i int) bool { return i == 0 }, false},
	} {
		c := NewCare(CareBounds{})
		was := false
		for i := range 120 {
			badly := 0
			if row.bad(i) {
				badly = 2
			}
			now := time.Duration(i) * look
			c.Hears(now, 2, badly)
			was = c.Look(1, now).Deaf
			if was && !row.deaf {
				t.Fatalf("%s: deaf after %v", row.name, now)
			}
		}
		if was != row.deaf {
			t.Errorf("%s: deaf %t at the end", row.name, was)
		}
		if c.Look(1, time.Hour); !row.deaf && !c.Calm(time.Hour) {
			t.Errorf("%s: still watched after it", row.name)
		}
	}
}

// TestWorseThanOthersIsNotWell: a site that has given something up because it was starved is not well until it was not for the cool-down.
func TestWorseThanOthersIsNotWell(t *testing.T) {
	c, now := NewCare(CareBounds{}), time.Duration(0)
	starve := func(n int) {
		for range n {
			now += 100 * ms
			c.Late(now, 80*ms)
			c.Look(1, now)
		}
	}
	starve(20)
	node := NodeStatus{Followers: []Progress{{Member: Member{Replica: 20, Site: 2, Role: Voter}, UpToDate: true}}}
	if own := c.Look(1, now); !own.Well || c.Decide(1, own, node, []Health{{Site: 2, Well: true}}, now).To != 20 {
		t.Fatalf("%+v hands nothing over", own)
	}
	starve(200) // for as long as it lasts
	if c.Look(1, now).Well {
		t.Error("it is well while it is starved")
	}
	now += lagWindow
	c.Look(1, now)
	for _, row := range []struct {
		after time.Duration
		well  bool
	}{{7900 * ms, false}, {10 * time.Second, true}} {
		if got := c.Look(1, now+row.after); got.Well != row.well {
			t.Errorf("%v later: %+v", row.after, got)
		}
	}
}

// TestStarvedWithoutALeadershipIsNotWell: one that has lost what it led in an election says so, if another one is better off.
func TestStarvedWithoutALeadershipIsNotWell(t *testing.T) {
	for _, row := range []struct {
		lost time.Duration // by the other
		well bool
	}{{0, false}, {700 * ms, true}} {
		c, now := NewCare(CareBounds{}), time.Duration(0)
		for range 20 {
			now += 100 * ms
			c.Late(now, 80*ms)
		}
		c.Compare(c.Look(1, now), []Health{{Site: 2, Well: true, Lost: row.lost}}, now)
		if got := c.Look(1, now); got.Well != row.well {
			t.Errorf("another one has lost %v: %+v", row.lost, got)
		}
	}
}

// TestSickLeaderHandsOver: one that is starved or deaf does, and is not offered anything for a while; when all are, nobody moves.
func TestSickLeaderHandsOver(t *testing.T) {
	starve := func(h *Host) { h.late(80 * ms) }
	deafen := func(h *Host) { h.Hears(2, 2) }
	one := func(h *Host) { h.Hears(2, 1) }
	for _, row := range []struct {
		name         string
		sick, others func(*Host)
		goes, well   bool
	}{
		{"starved", starve, func(*Host) {}, true, false},
		{"all are starved", starve, starve, false, true},
		{"the others are starved a little less", starve, func(h *Host) { h.late(40 * ms) }, false, true},
		{"deaf", deafen, one, true, false},
		{"all are deaf", deafen, deafen, false, false},
		{"one cable is bad", one, one, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, 3, nil, func(f *fleet) {
				mustDone(f, f.pay(openTxn(1, 1, 2)))
				first := f.leader()
				n := uint64(1)
				for range 60 { // six seconds, for which an idle shard sleeps some of the time
					row.sick(f.host(first))
					for _, site := range others(f, first) {
						row.others(f.host(site))
					}
					time.Sleep(100 * ms) // bubble time
				}
				if went := f.leader() != first; went != row.goes || saw(f, first, EventYields) != row.goes {
					t.Fatalf("the leadership went elsewhere: %v, want %v", went, row.goes)
				}
				if well := f.host(first).Well(); well != row.well {
					t.Errorf("the site that was sick is well: %v", well)
				}
				n++
				mustDone(f, f.pay(payTxn(n, 1, 2, 1)))
				f.agree()
			})
		})
	}
}
