package store

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets a database compact one thing at a time, because it shares the machine with payments; and nothing before the first
// checkpoint: what a crash left to be done must not take from a site that comes back what it needs to be ready. It is what Pebble
// calls a CompactionScheduler, and the handle of the grants that it gives.
//
// Pebble may hold a lock of its own when it calls TrySchedule. No lock is held when Pebble is called.
type compactions struct {
	mu      sync.Mutex
	db      pebble.DBForCompaction // nil: it is not open
	turn    sync.Cond              // somebody stopped asking
	settled bool
	running int
	asking  bool // somebody asks the database whether it has something to do
	closed  bool
}

func newCompactions() *compactions {
	c := &compactions{}
	c.turn.L = &c.mu
	return c
}

func (c *compactions) Register(_ int, db pebble.DBForCompaction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.db = db
}

// Unregister waits until nobody calls the database any more.
func (c *compactions) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.asking {
		c.turn.Wait()
	}
}

func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.free() {
		return false, nil
	}
	c.running++
	return true, c
}

func (c *compactions) free() bool { return c.db != nil && c.settled && !c.closed && c.running == 0 }

// settle ends the time in which nothing is compacted.
func (c *compactions) settle() {
	c.mu.Lock()
	before := c.settled
	c.settled = true
	c.mu.Unlock()
	if !before {
		c.grant()
	}
}

// Done ends a compaction.
func (c *compactions) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.grant()
}

// grant has the database start what it has been waiting to do. Those who ask take turns, so that none relies on an answer that was
// given too early.
func (c *compactions) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.asking {
		c.turn.Wait()
	}
	if !c.free() {
		return
	}
	c.asking = true
	c.mu.Unlock()
	waits, _ := c.db.GetWaitingCompaction()
	accepted := waits && c.db.Schedule(c)
	c.mu.Lock()
	if accepted {
		c.running++ // it may be done already: then this is its other half
	}
	c.asking = false
	c.turn.Broadcast()
}

// Concurrency does not vary, and what compactions cost is nobody's business here.

func (c *compactions) UpdateGetAllowedWithoutPermission()                {}
func (c *compactions) Started()                                          {}
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
