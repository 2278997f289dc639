package fault

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection through a cable: the accepted side (near), the dialled side (far), and a flow for each direction.
type conn struct {
	cable *Cable
	flows [2]*flow // forward, backward
	quit  chan struct{}

	mu        sync.Mutex
	near, far *net.TCPConn
	closed    bool
	ended     atomic.Int32 // flows whose end of stream has been delivered
}

func newConn(c *Cable, near *net.TCPConn) *conn {
	cn := &conn{cable: c, near: near, quit: make(chan struct{})}
	for i := range cn.flows {
		cn.flows[i] = newFlow(cn, i)
	}
	cn.flows[0].src, cn.flows[1].dst = near, near
	return cn
}

// run owns the goroutines of the connection and returns when they are gone.
func (cn *conn) run() {
	var all sync.WaitGroup
	defer all.Wait()
	defer cn.close(reset)
	forward, backward := cn.flows[0], cn.flows[1]
	opened := time.Now()
	all.Go(forward.fill)
	if !cn.connect(opened) {
		return
	}
	all.Go(backward.fill)
	var drains sync.WaitGroup
	drains.Go(forward.drain)
	drains.Go(backward.drain)
	drains.Wait()
}

// connect does what the three packets of TCP's handshake would do: the SYN has to travel to the target, its answer back.
// It reports whether there is a connection to carry.
func (cn *conn) connect(opened time.Time) bool {
	if !cn.travel(0, opened) || !cn.travel(1, time.Time{}) {
		return false
	}
	d := net.Dialer{Timeout: dialTimeout}
	far, err := d.Dial("tcp", cn.cable.target)
	if err != nil {
		cn.cable.refused.Add(1)
		cn.travel(1, time.Now())
		return false
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.far = far.(*net.TCPConn)
	if cn.closed {
		reset(cn.far)
		return false
	}
	cn.flows[0].dst, cn.flows[1].src = cn.far, cn.far
	delay := cn.cable.line.Load().delay
	cn.flows[0].hold(time.Now().Add(delay[1] + delay[0])) // nobody can send before the answer to his SYN is there
	return true
}

// travel waits until something that enters direction i at the time in has come out. It returns false when the cable is or
// was cut and whoever dialled has given up: then nothing of the connection ever reaches the target.
func (cn *conn) travel(i int, in time.Time) bool {
	f := cn.flows[0]
	for held := false; ; {
		out, whole := cn.cable.line.Load().leaves(i, in)
		held = held || !whole
		if held && f.over() {
			return false
		}
		wait := time.Until(out)
		if !whole {
			wait = neverDue
		}
		if wait <= 0 {
			return true
		}
		if !f.sleep(wait) {
			return false
		}
	}
}

// halt waits until nothing is being written in the given directions; the line is cut already.
func (cn *conn) halt(d Direction) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	for i, f := range cn.flows {
		if d&(1<<i) != 0 && f.dst != nil {
			f.halt()
		}
	}
}

// kick makes every waiting goroutine of the connection look again.
func (cn *conn) kick() {
	for _, f := range cn.flows {
		f.kick()
	}
}

// close ends the connection and all its goroutines; how closes each of the sockets.
func (cn *conn) close(how func(*net.TCPConn)) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.closed {
		return
	}
	cn.closed = true
	close(cn.quit)
	how(cn.near)
	if cn.far != nil {
		how(cn.far)
	}
	for _, f := range cn.flows {
		f.stop()
	}
}

// reset closes a socket so that the other end sees RST. Errors mean that it is gone already.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// finish closes a socket whose two directions have both ended; what the kernel still holds is sent.
func finish(c *net.TCPConn) { _ = c.Close() }
