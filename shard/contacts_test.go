package shard

import (
	"slices"
	"testing"
	"time"

	"holdfast"
)

// TestContactsTellWhoIsCutOff: of a site that does not answer, only one that others reach is missing, and only after a while.
func TestContactsTellWhoIsCutOff(t *testing.T) {
	type sites = []holdfast.SiteID
	const steady = steadyTime + time.Second
	for _, row := range []struct {
		name          string
		silent        time.Duration // for how long site 3 has been, after it answered for long
		told          map[holdfast.SiteID]sites
		held, missing sites
	}{
		{"all answer", 0, map[holdfast.SiteID]sites{2: {1, 3}, 3: {1, 2}}, sites{2, 3}, nil},
		{"one has just fallen silent", severedTime - ms, map[holdfast.SiteID]sites{2: {1, 3}}, sites{2, 3}, nil},
		{"one is silent, and another one has it", severedTime, map[holdfast.SiteID]sites{2: {1, 3}}, sites{2}, sites{3}},
		{"one is silent, and nobody has it", severedTime, map[holdfast.SiteID]sites{2: {1}}, sites{2}, nil},
		{"who is silent says what it will", severedTime, map[holdfast.SiteID]sites{3: {1, 2, 3}}, sites{2}, nil},
	} {
		c := NewContacts()
		c.Note(0, 2, true)
		c.Note(0, 3, true)
		now := steady + row.silent
		if row.silent > 0 {
			c.Note(steady, 3, false)
		}
		got := c.Look(now, func(id holdfast.SiteID) []holdfast.SiteID { return row.told[id] })
		if !slices.Equal(got.Held, row.held) || !slices.Equal(got.Missing, row.missing) {
			t.Errorf("%s: %+v; want held %v, missing %v", row.name, got, row.held, row.missing)
		}
	}
}

// TestContactsAreSteadyAfterAWhile: one that comes back is told of later than it is held.
func TestContactsAreSteadyAfterAWhile(t *testing.T) {
	c, nobody := NewContacts(), func(holdfast.SiteID) []holdfast.SiteID { return nil }
	c.Note(0, 2, false)
	c.Note(time.Second, 2, true)
	for _, row := range []struct {
		now          time.Duration
		steady, held int
	}{{time.Second, 0, 1}, {time.Second + steadyTime - ms, 0, 1}, {time.Second + steadyTime, 1, 1}} {
		if got := c.Look(row.now, nobody); len(got.Steady) != row.steady || len(got.Held) != row.held {
			t.Errorf("at %v: %+v; want %d steady, %d held", row.now, got, row.steady, row.held)
		}
	}
	c.Keep(nil)
	if got := c.Look(time.Hour, nobody); len(got.Held) > 0 {
		t.Errorf("a site that is gone is kept: %+v", got)
	}
}

// TestNarrowIsNotWellAfterItGaveUp: not while it lasts, nor for the cool-down; and a relapse within five minutes begins that anew.
func TestNarrowIsNotWellAfterItGaveUp(t *testing.T) {
	c, cut := NewCare(CareBounds{}), Reach{Held: []holdfast.SiteID{2}, Missing: []holdfast.SiteID{3}}
	whole := Reach{Held: []holdfast.SiteID{2, 3}}
	node := NodeStatus{Followers: []Progress{
		{Member: Member{Replica: 20, Site: 2, Role: Voter}, UpToDate: true}, {Member: Member{Replica: 30, Site: 3, Role: Voter}, UpToDate: true},
	}}
	c.Reaches(cut)
	own := c.Look(1, 0)
	if !own.Well || !c.Asks(own, 0) || c.Asks(own, yieldPause-ms) {
		t.Fatalf("%+v does not ask, or asks too often", own)
	}
	if got := c.Decide(1, own, node, []Health{{Site: 2, Well: true, Reach: []holdfast.SiteID{1, 3}}}, 0); got.To != 20 {
		t.Fatalf("%+v", got)
	}
	for _, row := range []struct {
		name  string
		at    time.Duration
		reach Reach
		well  bool
	}{
		{"an hour later it lasts", time.Hour, cut, false},
		{"it is over", time.Hour + time.Second, whole, false},
		{"a relapse", time.Hour + 9*time.Second, cut, false},
		{"over again", time.Hour + 10*time.Second, whole, false},
		{"nearly", time.Hour + 19*time.Second - ms, whole, false},
		{"well", time.Hour + 19*time.Second, whole, true},
		{"a relapse when it was well", time.Hour + 30*time.Second, cut, false},
		{"over once more", time.Hour + 31*time.Second, whole, false},
		{"narrow long after, and nobody was better", 2 * time.Hour, cut, true},
	} {
		c.Reaches(row.reach)
		if got := c.Look(1, row.at); got.Well != row.well {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
}
