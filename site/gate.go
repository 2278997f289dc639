package site

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate counts what is under way and closes behind the last one. It is made shut.
type gate struct {
	inside   atomic.Int64
	closed   atomic.Bool
	used     atomic.Bool // it was open, or was shut for good before that
	draining atomic.Bool // somebody waits for empty
	once     sync.Once
	empty    chan struct{} // closed when nothing is inside any more
}

func newGate() *gate {
	g := &gate{empty: make(chan struct{})}
	g.closed.Store(true)
	return g
}

// open lets in. A gate is opened once, before it is used.
func (g *gate) open() {
	g.closed.Store(false)
	g.used.Store(true)
}

// fresh reports whether the gate is still to be opened. Asked before enter, it tells why enter lets nobody in.
func (g *gate) fresh() bool { return !g.used.Load() }

// shut lets nobody in any more and waits for nobody.
func (g *gate) shut() {
	g.used.Store(true)
	g.closed.Store(true)
}

// enter lets n in, unless the gate is closed. Counting before looking makes sure that close sees whoever got in.
func (g *gate) enter(n int) bool {
	g.inside.Add(int64(n))
	if g.closed.Load() {
		g.leave(n)
		return false
	}
	return true
}

func (g *gate) leave(n int) {
	if g.inside.Add(int64(-n)) == 0 && g.draining.Load() {
		g.once.Do(func() { close(g.empty) })
	}
}

// close lets nobody in any more and waits until nobody is inside, or ctx ends.
func (g *gate) close(ctx context.Context) error {
	g.inside.Add(1) // so that the last to leave comes after this
	g.shut()
	g.draining.Store(true)
	g.leave(1)
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cancels is a set of functions to be called when something is lost. It is sharded so that requests do not meet on one
// lock.
type cancels struct{ parts [16]cancelPart }

type cancelPart struct {
	mu   sync.Mutex
	next uint64
	set  map[uint64]context.CancelFunc
	_    [24]byte // its own cache line
}

var turn atomic.Uint32

// add puts a function into the set and returns the function that takes it out.
func (c *cancels) add(f context.CancelFunc) (remove func()) {
	p := &c.parts[turn.Add(1)%uint32(len(c.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == nil {
		p.set = map[uint64]context.CancelFunc{}
	}
	p.next++
	key := p.next
	p.set[key] = f
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.set, key)
	}
}

// call calls every function that is in the set.
func (c *cancels) call() {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		for _, f := range p.set {
			f()
		}
		p.mu.Unlock()
	}
}
