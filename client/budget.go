package client

import (
	"sync"
	"time"
)

// budget bounds what is asked more than once: hedges and repetitions. A fleet that is slow because it is busy would get
// several times the load from callers who ask again, and stay busy for ever. An empty budget fills with the answers that come,
// so that what is asked again stays a tenth of what is answered. A full one lets every call that is under way at a fail-over move
// on to another site at once: about as many as are answered in half a second, while all was well. (Calls that come later begin at a site
// that is well, and ask once.)
type budget struct {
	mu     sync.Mutex
	spent  float64 // attempts that have not been earned back
	filled time.Time

	second   time.Time // when counting began
	answered int       // since then
	usual    int       // in the second before
}

const (
	budgetLeast     = 100  // attempts that can be made at once, by whoever has not asked much yet
	budgetMost      = 1000 // and by anybody
	budgetPerSecond = 10   // earned by waiting
	budgetPerAnswer = 0.1  // earned by an answer
	budgetKept      = 4    // of what can be made at once, a quarter more is for calls of which nobody knows whether they were executed
	// budgetPause is how long a call waits that has nothing left to ask with.
	budgetPause = 50 * time.Millisecond
)

// take spends one attempt, and reports whether there was one. unsure: the call may have been executed, and no site is at work with it. What is kept
// back for those goes to nobody else: in an outage the hedges of all calls would spend what these need to learn how they ended.
func (b *budget) take(now time.Time, unsure bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent = max(0, b.spent-now.Sub(b.filled).Seconds()*budgetPerSecond); b.filled.IsZero() {
		b.spent = 0
	}
	b.filled = now
	if b.spent > float64(b.limit(now, unsure)-1) {
		return false
	}
	b.spent++
	return true
}

// any reports whether an attempt is left to spend, for a call of which it is known that nothing was executed or for one that is unsure.
func (b *budget) any(now time.Time, unsure bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent-now.Sub(b.filled).Seconds()*budgetPerSecond <= float64(b.limit(now, unsure)-1)
}

// limit is how many attempts can be made at once, with what is kept back for calls that may have been executed.
func (b *budget) limit(now time.Time, unsure bool) int {
	most := b.most(now)
	if unsure {
		most += most / budgetKept
	}
	return most
}

// most is how many attempts can be made at once.
func (b *budget) most(now time.Time) int {
	b.turn(now)
	return min(max(budgetLeast, b.usual/2, b.answered/2), budgetMost)
}

// turn begins to count anew when a second is over. One in which little was answered takes half of what was usual away: it may have been a
// fail-over, which must not cost the calls of the next one.
func (b *budget) turn(now time.Time) {
	switch passed := now.Sub(b.second); {
	case passed < time.Second:
		return
	case passed < 2*time.Second:
		b.usual = max(b.answered, b.usual/2)
	default: // nobody asked for a while
		b.usual = b.answered
	}
	b.second, b.answered = now, 0
}

// earn is for a final answer. It must not cost a payment much.
func (b *budget) earn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	b.answered++
	b.spent = max(0, b.spent-budgetPerAnswer)
}
