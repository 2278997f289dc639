package shard

import (
	"fmt"
	"testing"
	"time"

	"holdfast"
)

// homingStory is what happens to site 2, which this site keeps shard 4 for, second by second: "+" it is well, "-" it is not,
// and a digit is where shard 4 must go home.
func TestHomingWaitsForASiteToBeWell(t *testing.T) {
	const patience = 4 * time.Second
	rows := []struct {
		name  string
		story string // one letter a second: w well, x not; a capital W: well, and the shard goes home in this second
	}{
		{"never seen to fail: after a second", "wW"},
		{"not well: not at all", "xxxxxxxxxxxx"},
		{"failed once: after the patience", "wWxwwwwW"},
		{"failed while waiting: begins anew, twice as long", "wWxwwxwwwwwwwwW"},
		{"fails again and again: twice as long each time", "wWxwxwxwwwwwwwwwwwwwwwwW"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			h := NewHoming(patience, time.Millisecond)
			for i, letter := range row.story {
				now := time.Duration(i) * time.Second
				h.Note(now, 2, letter != 'x')
				_, moved := h.Move(now, []Guest{{Shard: 4, Home: 2, UpToDate: true}})
				if want := letter == 'W'; moved != want {
					t.Fatalf("second %d of %s: moved %v, want %v", i, row.story, moved, want)
				}
			}
		})
	}
}

func TestHomingForgivesAfterACalmTime(t *testing.T) {
	const patience = 4 * time.Second
	h := NewHoming(patience, 0)
	h.Note(0, 2, false)
	h.Note(time.Second, 2, true)
	failed := time.Second + calm
	h.Note(failed, 2, false)
	h.Note(failed+1, 2, true)
	if h.Trusted(failed+patience, 2) || !h.Trusted(failed+1+patience, 2) {
		t.Errorf("after a calm time the patience must be %v again", patience)
	}
}

// TestHomingTakesOneFailureForOne: a site that comes back may be taken for well until it is heard what it says of itself now.
func TestHomingTakesOneFailureForOne(t *testing.T) {
	const patience = 4 * time.Second
	for _, row := range []struct{ glimpse, need time.Duration }{{glimpse / 2, patience}, {glimpse, 2 * patience}} {
		h := NewHoming(patience, 0)
		h.Note(0, 2, true)
		now := 10 * time.Second
		h.Note(now, 2, false)
		h.Note(now+time.Second, 2, true)
		h.Note(now+time.Second+row.glimpse, 2, false)
		back := now + 5*time.Second
		h.Note(back, 2, true)
		if h.Trusted(back+row.need-1, 2) || !h.Trusted(back+row.need, 2) {
			t.Errorf("well for %v in between: not trusted after %v", row.glimpse, row.need)
		}
	}
}

func TestHomingMovesOneAfterTheOther(t *testing.T) {
	h := NewHoming(0, 500*time.Millisecond)
	for _, site := range []holdfast.SiteID{2, 3} {
		h.Note(0, site, true)
	}
	guests := []Guest{{1, 2, true}, {2, 3, false}, {3, 3, true}}
	var moves []string
	for now := time.Duration(0); now <= 2*time.Second; now += 100 * time.Millisecond {
		g, ok := h.Move(now, guests)
		if !ok {
			continue
		}
		moves = append(moves, fmt.Sprintf("%v: shard %d", now, g.Shard))
		guests = guests[:0:0]
		if g.Shard == 1 {
			guests = []Guest{{2, 3, false}, {3, 3, true}}
		}
	}
	if got, want := fmt.Sprint(moves), "[0s: shard 1 500ms: shard 3]"; got != want {
		t.Errorf("moves %s, want %s: one at a time, and none to a replica that is behind", got, want)
	}
}
