package checkout

import (
	"hash/maphash"
	"sync"
	"time"

	"holdfast"
)

// tries bounds how many wrong codes one token takes at this site: five at once, then one a minute. Whoever guesses would need a hundred million
// for a third of a customer who is known to him (see pay); this makes it centuries per token, and costs honest people nothing.
//
// A cell holds when the tries counted in it will have been forgotten, as the generic cell rate algorithm has it. Each token has one cell in each
// of two rows, and what counts is the emptier one: the memory is fixed, nothing is ever thrown out to make room, and who shares one
// cell with a busy token still has the other. Which cells those are nobody outside can find out.
type tries struct {
	mu    sync.Mutex
	seed  maphash.Seed
	cells [2][1 << 14]holdfast.Time
}

const (
	triesAtOnce = 5
	triesEvery  = holdfast.Time(time.Minute)
)

func newTries() *tries { return &tries{seed: maphash.MakeSeed()} }

func (t *tries) find(token string) (a, b *holdfast.Time) {
	h := maphash.String(t.seed, token)
	return &t.cells[0][h%uint64(len(t.cells[0]))], &t.cells[1][h>>32%uint64(len(t.cells[1]))]
}

// take counts a try before it is made, so that many at once count as well; false: there have been too many wrong ones.
func (t *tries) take(token string, now holdfast.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(token)
	if max(min(*a, *b), now)-now > (triesAtOnce-1)*triesEvery {
		return false
	}
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = max(*cell, now) + triesEvery
	}
	return true
}

// giveBack takes back the count of a try that was no wrong code.
func (t *tries) giveBack(token string, now holdfast.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(token)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = max(*cell-triesEvery, now)
	}
}
