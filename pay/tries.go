package pay

import (
	"hash/maphash"
	"sync"
	"time"

	"holdfast"
)

// Tries bounds how many wrong secrets one party may send to one site: atOnce of them, then one more each time that every has passed. It costs honest
// people nothing.
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

// Bounds of [CodeTries].
const (
	NamedTries = 5 // wrong codes that name one customer, at one merchant
	NamedEvery = time.Minute
	PartyTries = 100 // wrong codes at one merchant, whomever they name
	PartyEvery = 3 * time.Second
	// A right code pays for a share of a wrong one: where many people pay, more of them show a code that is over.
	rightShare = 5
)

// CodeTries bounds the wrong payment codes that come to one merchant, over all the ways in that lead to one [Cashier]: those that name one customer,
// and all together. Whoever guesses has three in a hundred million tries for each phone of a customer. Five at once and one a minute of a
// customer, and twenty a minute of a merchant who sells nothing, make that years; and nobody can stop a merchant who sells, nor a customer elsewhere.
type CodeTries struct{ named, party *Tries }

// NewCodeTries makes the bounds. The seed has to be one that nobody outside knows.
func NewCodeTries(seed maphash.Seed) *CodeTries {
	return &CodeTries{NewTries(seed, NamedTries, NamedEvery), NewTries(seed, PartyTries, PartyEvery)}
}

// codeTry is one code that somebody has shown to a merchant, from when it is counted until it is known what it was. The zero one is not counted.
type codeTry struct {
	of              *CodeTries
	merchant, payer holdfast.Owner
	now             holdfast.Time
}

// take counts a code before it is looked at, so that many at once count as well; false: nothing of it may be looked at. A nil one bounds nothing.
func (t *CodeTries) take(merchant, payer holdfast.Owner, now holdfast.Time) (codeTry, bool) {
	if t == nil {
		return codeTry{}, true
	}
	x := codeTry{t, merchant, payer, now}
	if t.party.Wait(merchant.String(), now) > 0 || !t.named.Take(x.name(), now) {
		return codeTry{}, false
	}
	return x, true
}

func (x *codeTry) name() string { return x.merchant.String() + x.payer.String() }

// nobody counts a code that names no customer there could be.
func (t *CodeTries) nobody(merchant holdfast.Owner, now holdfast.Time) {
	if t != nil {
		t.party.Tried(merchant.String(), now)
	}
}

// ends says what a code was, once: by the error it came to in the end. A wrong one stays counted, and is counted against the merchant as well. Any
// other was no guess, or nobody could look at it. fresh tells that it has paid something new, which makes up for a share of a wrong one: a right code that
// pays nothing does not, or whoever guesses would show his own in between.
func (x *codeTry) ends(err error, fresh bool) {
	t := x.of
	if t == nil {
		return
	}
	x.of = nil
	if refused(err) == CodeWrong {
		t.party.Tried(x.merchant.String(), x.now)
		return
	}
	t.named.GiveBack(x.name(), x.now)
	if fresh {
		t.party.giveBack(x.merchant.String(), x.now, rightShare)
	}
}

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
func (t *Tries) GiveBack(party string, now holdfast.Time) { t.giveBack(party, now, 1) }

// giveBack takes back a share of the count of a try.
func (t *Tries) giveBack(party string, now holdfast.Time, share int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(party)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = max(*cell-t.every/holdfast.Time(share), now)
	}
}

// Wait is how long a party has to wait before its next try; 0: not at all. It counts nothing.
func (t *Tries) Wait(party string, now holdfast.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Duration(t.wait(party, now))
}

// Tried counts a wrong code. Many that were under way at once keep nobody waiting for longer than the bound's own time.
func (t *Tries) Tried(party string, now holdfast.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.find(party)
	for _, cell := range []*holdfast.Time{a, b} {
		*cell = min(max(*cell, now)+t.every, max(*cell, now+holdfast.Time(2*t.atOnce-1)*t.every))
	}
}
