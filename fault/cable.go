package fault

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Direction is a set of directions of a [Cable].
type Direction uint8

const (
	// Forward is from the side that dials to the target.
	Forward Direction = 1 << iota
	// Backward is from the target to the side that dials.
	Backward
	// Both is the whole cable.
	Both = Forward | Backward
)

// maxConns bounds the connections of one cable. Above it the cable takes no more: they wait in the kernel's queue, and
// beyond that their SYNs are lost, as on a line that is down.
const maxConns = 4096

// dialTimeout bounds the dial to the target, which is on this machine or near it.
const dialTimeout = 2 * time.Second

// CableStats counts since the cable was laid.
type CableStats struct {
	Forward  uint64    // bytes delivered to the target
	Backward uint64    // bytes delivered to the side that dials
	Sent     uint64    // bytes taken from either side, whatever became of them: what a line is paid for
	Held     int64     // bytes inside the cable now, both directions: under way, or waiting for a heal
	Accepted uint64    // connections taken
	Open     int       // connections that exist now, those included that have not reached the target yet
	Refused  uint64    // connections that the target did not take
	Cut      Direction // what is cut now
}

// Cable relays TCP connections from its own address to a target. It keeps the order of bytes, delays them by the
// propagation delay of their direction, has no bandwidth limit of its own, and holds at most some megabytes per connection
// and direction, so that a slow reader is felt by the writer as it would be on a real line. A new connection costs its side
// the round trip that the TCP handshake would.
type Cable struct {
	name, target string
	listener     *net.TCPListener
	line         atomic.Pointer[line]
	room         chan struct{} // one token per connection
	pacer        *pacer
	ownPacer     bool // it ends with the cable
	goroutines   sync.WaitGroup

	lots     lots
	bytes    [2]atomic.Uint64
	delayed  [2]atomic.Uint64 // times that something was lost and sent again
	cuts     [2]atomic.Uint64
	sent     atomic.Uint64
	held     atomic.Int64
	accepted atomic.Uint64
	refused  atomic.Uint64
	tardy    atomic.Int64 // the longest that bytes left later than they were due, in nanoseconds, since somebody asked

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

// line is the state of the fibre. It is replaced as a whole, never changed.
type line struct {
	cut    Direction
	delay  [2]time.Duration
	healed [2]time.Time // what stood before a cut starts to travel again here
	losses [2]losses
}

// NewCable listens on listen ("127.0.0.1:0" picks a port) and relays to target; delay is the one-way propagation delay of
// both directions, so that a round trip takes twice as long. The name is for error texts.
func NewCable(name, listen, target string, delay time.Duration) (*Cable, error) {
	p, err := newPacer()
	if err != nil {
		return nil, fmt.Errorf("cable %s: %w", name, err)
	}
	c, err := newCable(name, listen, target, delay, p)
	if err != nil {
		p.close()
		return nil, err
	}
	c.ownPacer = true
	return c, nil
}

// newCable is NewCable with a pacer that the caller owns.
func newCable(name, listen, target string, delay time.Duration, p *pacer) (*Cable, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("cable %s: %w", name, err)
	}
	c := &Cable{
		name: name, target: target, listener: l.(*net.TCPListener), pacer: p,
		room: make(chan struct{}, maxConns), conns: map[*conn]struct{}{},
	}
	c.line.Store(&line{delay: [2]time.Duration{delay, delay}})
	c.goroutines.Go(c.accept)
	return c, nil
}

// Name is what NewCable was given.
func (c *Cable) Name() string { return c.name }

// Addr is the address to dial instead of the target.
func (c *Cable) Addr() string { return c.listener.Addr().String() }

// Target is the address the cable leads to.
func (c *Cable) Target() string { return c.target }

// Cut stops the bytes of the given directions, silently: connections stay open, what was under way stays in the cable, and
// new connections are taken but lead nowhere. When Cut returns, no byte leaves the cable any more. Cutting what is cut
// changes nothing.
func (c *Cable) Cut(d Direction) {
	c.change(func(l *line) {
		for i := range c.cuts {
			if d&^l.cut&(1<<i) != 0 {
				c.cuts[i].Add(1)
			}
		}
		l.cut |= d & Both
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for cn := range c.conns {
		cn.halt(d)
	}
}

// Heal lets everything flow again, in order: what stood in the cable needs the propagation delay from now. Connections
// opened during the cut reach the target now, unless whoever dialled has given up.
func (c *Cable) Heal() { c.Mend(Both) }

// Mend heals only the given directions.
func (c *Cable) Mend(d Direction) {
	now := time.Now()
	c.change(func(l *line) {
		for i := range l.healed {
			if l.cut&d&(1<<i) != 0 {
				l.healed[i] = now
			}
		}
		l.cut &^= d
	})
}

// SetDelay changes the one-way propagation delays; bytes that are under way keep their order.
func (c *Cable) SetDelay(forward, backward time.Duration) {
	c.change(func(l *line) { l.delay = [2]time.Duration{forward, backward} })
}

// Lossy makes the given directions lose a share (0 to 1) of what is sent from now on; share 0 ends it. A relay that ends TCP
// cannot lose bytes, and an application above TCP never sees any lost: it sees the stream stand still until the lost segment
// has been sent again. So that is what happens here: with the probability share, bytes that enter the cable at one moment (a
// write, or what the kernel made of several) come out later by late, or by 3 or 7 times late when what is sent again is lost
// too, as TCP doubles its time-out; and everything behind them on the same connection waits for them. The time-out of
// Linux is 200 ms more than the round trip at first, that of a loss which later segments show about one round trip. The seed
// decides which bytes are hit.
func (c *Cable) Lossy(d Direction, share float64, late time.Duration, seed uint64) {
	c.lots.seed(seed)
	c.change(func(l *line) {
		for i := range l.losses {
			if d&(1<<i) != 0 {
				l.losses[i] = losses{share, late}
			}
		}
	})
}

// Stats may be called at any time.
func (c *Cable) Stats() CableStats {
	c.mu.Lock()
	open := len(c.conns)
	c.mu.Unlock()
	return CableStats{
		Forward: c.bytes[0].Load(), Backward: c.bytes[1].Load(), Sent: c.sent.Load(), Held: c.held.Load(), Accepted: c.accepted.Load(),
		Open: open, Refused: c.refused.Load(), Cut: c.line.Load().cut,
	}
}

// Tardy is the longest that bytes which were due had to wait for this process to be given a processor, since the last call. No fibre
// does that: whoever judges by what came over the cable has to know.
func (c *Cable) Tardy() time.Duration { return time.Duration(c.tardy.Swap(0)) }

// woke notes how late somebody woke up to let bytes out.
func (c *Cable) woke(late time.Duration) {
	for {
		worst := c.tardy.Load()
		if int64(late) <= worst || c.tardy.CompareAndSwap(worst, int64(late)) {
			return
		}
	}
}

// Close resets every connection, stops listening and waits for all goroutines of the cable. Closing twice is no error.
func (c *Cable) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	for cn := range c.conns {
		cn.close(reset)
	}
	c.mu.Unlock()
	var err error
	if first {
		err = c.listener.Close()
	}
	c.goroutines.Wait()
	if c.ownPacer {
		c.pacer.close()
	}
	if err != nil {
		return fmt.Errorf("cable %s: %w", c.name, err)
	}
	return nil
}

// change replaces the state of the line and tells every connection.
func (c *Cable) change(edit func(*line)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.line.Load()
	edit(&next)
	c.line.Store(&next)
	for cn := range c.conns {
		cn.kick()
	}
}

func (c *Cable) accept() {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		near, err := c.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files: the ones who dial wait, as in a congested network
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c.room <- struct{}{}
		cn := newConn(c, near)
		if !c.add(cn) {
			cn.close(reset)
			return
		}
		conns.Go(func() {
			cn.run()
			c.remove(cn)
			<-c.room
		})
	}
}

func (c *Cable) add(cn *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.accepted.Add(1)
	c.conns[cn] = struct{}{}
	return true
}

func (c *Cable) remove(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, cn)
}

// leaves says when bytes that entered direction i at the time in may leave the cable, and false while the cable is cut.
func (l *line) leaves(i int, in time.Time) (time.Time, bool) {
	if healed := l.healed[i]; healed.After(in) {
		in = healed
	}
	return in.Add(l.delay[i]), l.cut&(1<<i) == 0
}
