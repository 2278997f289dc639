package pay

import (
	"hash/maphash"
	"sync"
	"time"

	"holdfast"
)

// Tries bounds how many wrong payment codes one party may send to one site: atOnce of them, then one more each time that every has passed. Whoever
// guesses would need a hundred million for a third of a customer who is known to him; this makes it a matter of years, and costs honest people nothing.
//
// A cell holds when the tries counted in it will have been forgotten, as the generic cell rate algorithm has it. Each party has one cell in each
// of two rows, and what counts is the emptier one: the memory is fixed, nothing is ever thrown out to make room, and who shares one
// cell with a busy party still has the other. Which cells those are nobody outside can find out.
type Tries struct {
	mu     sync.Mutex
	seed   maphash.Seed
	atOnce int
	every  holdfast.Time
	cells  [2][1 << 14]holdfast.Time
}

// Bounds for apps and API keys, behind which there are many customers who mistype: twenty wrong codes a minute.
const (
	PartyTries = 20
	PartyEvery = time.Minute / PartyTries
)

// NewTries makes a bound of its own. The seed has to be one that nobody outside knows.
func NewTries(seed maphash.Seed, atOnce int, every time.Duration) *Tries {
	return &Tries{seed: seed, atOnce: atOnce, every: holdfast.Time(every)}
}

func (t *Tries) find(party string) (a, b *holdfast.Time) {
	h := maphash.String(t.seed, party)
	return &t.cells[0][h%uint64(len(t.cells[0]))], &t.cells[1][h>>32%uint64(len(t.cells[1]))]
}

// wait is how long until the next try; 0: it may be made.
func (t *Tries) wait(party string, now holdfast.Time) holdfast.Time {
	a, b := t.find(party)
	return max(min(*a, *b)-now-holdfast.Time(t.atOnce-1)*t.every, 0)
}

// Take counts a try before it is made, so that many at once count as well; false: there have been too many wrong ones. It is for a party that makes
// one try at a time: those that are under way are counted as wrong.
func (t *Tries) Take(party string, now holdfast.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wait(party, now) > 0 {
		return false
	}
	a, b := t.find(party)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = max(*cell, now) + t.every
	}
	return true
}

// GiveBack takes back the count of a try that was no wrong code.
func (t *Tries) GiveBack(party string, now holdfast.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(party)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = max(*cell-t.every, now)
	}
}

// Wait is how long a party has to wait before its next try; 0: not at all. It counts nothing.
func (t *Tries) Wait(party string, now holdfast.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Duration(t.wait(party, now))
}

// Tried counts a try that has been made, if it was a wrong code. Many that were under way at once keep nobody waiting for longer than the bound's
// own time.
func (t *Tries) Tried(party string, err error, now holdfast.Time) {
	if r, ok := err.(*Refusal); !ok || r.Code != CodeWrong { // as this package returns it, unwrapped
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(party)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = min(max(*cell, now)+t.every, max(*cell, now+holdfast.Time(2*t.atOnce-1)*t.every))
	}
}
