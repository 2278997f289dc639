package fault

import (
	"slices"
	"testing"
	"time"
)

func TestSameSeedSameLosses(t *testing.T) {
	draw := func(seed uint64) (all []int) {
		var l lots
		l.seed(seed)
		for range 10_000 {
			all = append(all, l.losses(0.3))
		}
		return all
	}
	first := draw(1)
	if !slices.Equal(first, draw(1)) || slices.Equal(first, draw(2)) {
		t.Error("the seed does not decide, and decide alone, what is lost")
	}
	hit, twice := 0, 0
	for _, n := range first {
		hit += min(n, 1)
		twice += min(n/2, 1)
	}
	if hit < 2800 || hit > 3200 || twice < 750 || twice > 1050 || slices.Max(first) > maxDoublings {
		t.Errorf("of 10,000, %d were lost and %d of these again, want about 3,000 and 900", hit, twice)
	}
}

// Whoever judges by what comes over a cable can ask how late the cable itself was: the longest since it was asked before.
func TestTardyCables(t *testing.T) {
	c := &Cable{}
	for _, late := range []time.Duration{3, 7, 5} {
		c.woke(late * time.Millisecond)
	}
	if got := c.Tardy(); got != 7*time.Millisecond {
		t.Errorf("late by %v, want 7ms", got)
	}
	if got := c.Tardy(); got != 0 {
		t.Errorf("late by %v after nothing had happened since", got)
	}
}
