package client

import (
	"sync"
	"time"
)

// budget bounds what is asked more than once: hedges and repetitions. A fleet that is slow because it is busy would get
// several times the load from callers who ask again, and stay busy for ever. A full budget lets every call of a fail-over move
// on to another site at once; an empty one fills with the answers that come, so that what is asked again stays a share
// of what is answered.
type budget struct {
	mu     sync.Mutex
	spent  float64 // attempts that have not been earned back
	filled time.Time
}

const (
	budgetMost      = 1000 // attempts that can be made at once
	budgetPerSecond = 100  // earned by waiting
	budgetPerAnswer = 0.25 // earned by an answer
	// budgetPause is how long a call waits that has nothing left to ask with.
	budgetPause = 50 * time.Millisecond
)

// take spends one attempt, and reports whether there was one.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent = max(0, b.spent-now.Sub(b.filled).Seconds()*budgetPerSecond); b.filled.IsZero() {
		b.spent = 0
	}
	b.filled = now
	if b.spent > budgetMost-1 {
		return false
	}
	b.spent++
	return true
}

// earn is for a final answer. It must not cost a payment much: nothing is done while nothing is spent.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-budgetPerAnswer)
}
