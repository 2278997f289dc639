package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	controlBatch     = 4 // buffers that leave with one flush, per lane
	interactiveBatch = 4
	bulkBatch        = 1 // so that nothing waits for more than this much bulk

	// The bytes that may be under way on a connection before bulk has to wait for the peer to have read them: without such
	// a bound megabytes gather in the kernels, and a heartbeat queues behind them.
	// Measured in three pairs of runs, round trips of 0, 10 and 30 ms, both cores busy otherwise: 1 MiB and 400 MiB/s carried
	// about 1.5 times as much above 0 ms, and the p99 of heartbeats was mostly 1 to 3 times as late (once it was earlier). On
	// a quiet machine the p99 did not differ.
	windowBase  = 512 << 10
	windowSpeed = 256 << 20 // bytes per second that the window must not slow down
	windowMax   = 32 << 20
)

var (
	errSilent    = errors.New("no sign of life")
	errRestarted = errors.New("the peer's process has been started anew")
	errBroken    = fmt.Errorf("connection broke: %w", ErrUnreachable)
	errExpired   = errors.New("the certificate that the peer has shown has ended: it needs a new one, or its authority does")
	errFull      = fmt.Errorf("send queue is full: %w", ErrBusy)
)

// sender is one established connection that this site has dialled. Two goroutines belong to it, both owned by the path that
// dialled: one writes what waits, the other reads pongs.
type sender struct {
	path    *path
	conn    *conn
	to      *incarnation  // whom it leads to
	gone    chan struct{} // closed when both goroutines have ended
	in      *reader       // pongs
	quiet   atomic.Int32  // pings since the last sign of life
	heardAt atomic.Int64  // when bytes came last
	stalled atomic.Bool   // it answers late, and another carrier does not: nothing but what is urgent is written

	mu       sync.Mutex
	work     sync.Cond // on mu: the writer waits
	control  queue
	at       [lanes]uint64 // its places in the backlogs of the peer
	flight   []mark        // what has left and the peer has not said that it has; oldest first
	written  uint64        // bytes of frames taken by the writer
	received uint64        // of these, taken by the peer as far as we know
	minRTT   time.Duration // smallest round trip on this connection
	draining bool          // nothing more will come: end the stream when nothing is queued
	cause    error         // why the connection is closed; nil while it is open
	wait                   // for a pong
}

// mark says that the frames of a backlog before a place are among the bytes written so far.
type mark struct {
	written uint64
	from    *backlog
	at      uint64
}

func newSender(p *path, c *conn) *sender {
	l := p.peer.link
	s := &sender{path: p, conn: c, gone: make(chan struct{}), control: queue{pool: &l.pool, limit: l.limits.Control}}
	s.work.L = &s.mu
	s.in = newReader(c, s.heard)
	return s
}

// push queues an urgent message, or says why not: errBroken or errFull.
func (s *sender) push(m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil || s.draining {
		return errBroken
	}
	if !s.control.fits(m) {
		s.path.dropped.Add(1)
		return errFull
	}
	s.control.push(m)
	s.work.Signal()
	return nil
}

// wake makes the writer look at the backlogs.
func (s *sender) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work.Signal()
}

// run serves the connection until it breaks and says why.
func (s *sender) run() error {
	var both sync.WaitGroup
	both.Go(s.write)
	both.Go(s.read)
	both.Wait()
	close(s.gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path.dropped.Add(s.control.drop()) // nobody will send these
	return s.cause
}

// close ends the connection; the first cause is the one that counts.
func (s *sender) close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
		s.conn.close()
		s.work.Broadcast()
	}
}

// write sends what waits, batch after batch.
func (s *sender) write() {
	var batch []piece
	for {
		if batch = s.take(batch[:0]); len(batch) == 0 {
			return
		}
		err := s.writeBatch(batch)
		for _, p := range batch {
			p.release(&s.path.peer.link.pool)
		}
		clear(batch)
		if err != nil {
			s.close(fmt.Errorf("write: %w", err))
			return
		}
	}
}

func (s *sender) writeBatch(batch []piece) error {
	for _, p := range batch {
		if _, err := s.conn.Write(p.b); err != nil {
			return err
		}
		s.path.sent.bytes.Add(uint64(len(p.b)))
		s.path.sent.frames.Add(countFrames(p.b))
	}
	return s.conn.flush()
}

// take waits for something to write. An empty batch means that the connection is closed.
func (s *sender) take(batch []piece) []piece {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.cause == nil {
		batch = s.control.take(batch, controlBatch)
		for _, p := range batch {
			s.written += uint64(len(p.b))
		}
		if !s.stalled.Load() {
			batch = s.takeFrom(s.path.peer.small, batch, interactiveBatch)
			batch = s.takeBulk(batch)
		}
		if len(batch) > 0 {
			return batch
		}
		if s.draining && s.queuedLocked() == 0 {
			s.conn.end()
			return nil
		}
		s.work.Wait()
	}
	return nil
}

// takeFrom adds at most n pieces of a backlog to the batch. What the peer has got meanwhile over another carrier is left out.
func (s *sender) takeFrom(q *backlog, batch []piece, n int) []piece {
	small := s.path.peer.small.reached(s.at[laneInteractive])
	for range n {
		p, ok := q.take(s.at[q.lane], small)
		if !ok {
			break
		}
		s.at[q.lane] = p.end
		s.written += uint64(len(p.b))
		s.flight = append(s.flight, mark{s.written, q, p.end})
		batch = append(batch, p)
	}
	return batch
}

// takeBulk adds bulk to the batch when this is the connection for it, unless too much is under way already.
func (s *sender) takeBulk(batch []piece) []piece {
	if s.path.peer.bulkOn.Load() != s || s.written-s.received > s.window() {
		return batch
	}
	n := len(batch)
	batch = s.takeFrom(s.path.peer.large, batch, bulkBatch)
	if len(batch) > n {
		s.expect(s.path.peer.link.since(), s.written)
	}
	return batch
}

// window is how many bytes may be under way for bulk to be added: what a fast line carries in a round trip, and some more.
func (s *sender) window() uint64 {
	return uint64(min(windowBase+windowSpeed*s.minRTT/time.Second, windowMax))
}

// drain lets what is queued leave and ends the stream after it. The peer reads all of it, and then closes: then the sender is
// gone.
func (s *sender) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.work.Signal()
}

// queued is the number of bytes that wait.
func (s *sender) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queuedLocked()
}

func (s *sender) queuedLocked() int {
	n := s.control.bytes + s.path.peer.small.waiting(s.at[laneInteractive])
	if s.path.peer.bulkOn.Load() == s {
		n += s.path.peer.large.waiting(s.at[laneBulk])
	}
	return n
}

// read takes the pongs of the peer.
func (s *sender) read() {
	for {
		f, err := s.in.next()
		if err == nil && (f.kind != kindPong || len(f.payload) != pongBytes) {
			err = fmt.Errorf("%w: kind %d from the side that accepted", errBadFrame, f.kind)
		}
		if err != nil {
			s.close(fmt.Errorf("read: %w", err))
			return
		}
		s.pong(binary.BigEndian.Uint64(f.payload), binary.BigEndian.Uint64(f.payload[8:]))
	}
}

func (s *sender) heard() {
	s.quiet.Store(0)
	s.heardAt.Store(int64(s.path.heardNow()))
}

// pong notes the round trip, and what the peer has.
func (s *sender) pong(stamp, received uint64) {
	now := s.path.peer.link.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	if stamp != 0 {
		s.path.observe(now - time.Duration(stamp))
		s.minRTT = min(s.minRTT, now-time.Duration(stamp))
	}
	if received > s.received && received <= s.written {
		s.received = received
		s.landed()
	}
	if late := s.answered(now, time.Duration(stamp), s.received); late > s.path.patience() {
		s.path.observe(min(late, 2*s.path.patience())) // so that a carrier that is often late is trusted less, or waited for longer
	}
	if s.stalled.Swap(false) || s.queuedLocked() > 0 { // at rest a pong has nobody wake for nothing
		s.work.Signal()
	}
}

// landed tells the backlogs what the peer has.
func (s *sender) landed() {
	n := 0
	for ; n < len(s.flight) && s.flight[n].written <= s.received; n++ {
		if next := n + 1; next == len(s.flight) || s.flight[next].written > s.received || s.flight[next].from != s.flight[n].from {
			s.flight[n].from.acked(s.flight[n].at)
		}
	}
	s.flight = slices.Delete(s.flight, 0, n)
}

// tick sends a ping and gives the connection up after too many without a sign of life. Pings are counted, not time, and what
// waits in the kernel counts as heard, so that a process that was stopped or is starved itself does not blame the peer.
func (s *sender) tick() {
	if s.quiet.Add(1) > s.path.maxQuiet() {
		if !s.conn.unread() {
			s.close(errSilent)
			return
		}
		s.quiet.Store(0)
	}
	s.ping()
}

// ping asks for a pong.
func (s *sender) ping() {
	now := s.path.peer.link.since()
	var stamp [pingBytes]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(now))
	if s.push(&message{kind: kindPing, lane: laneControl, head: stamp[:]}) == nil { // a full queue is counted, and means no pong
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pinged(now)
	}
}

// conn is a TLS connection that writes in batches: what Write encrypts is gathered until flush.
type conn struct {
	net.Conn // TLS
	batch    *batchConn
	until    time.Time // when the certificate of the peer ends, or its authority's
}

// expired reports whether a connection would not be made any more, because what the peer has shown is not good any more.
func (c *conn) expired(now time.Time) bool { return now.After(c.until) }

// close closes at once; TLS would wait to say good-bye on a line that may be dead.
func (c *conn) close() { _ = c.batch.Conn.Close() }

// end ends the stream we write; the other direction stays open. Should it fail, the connection is gone anyway.
func (c *conn) end() {
	if tcp, ok := c.batch.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// unread reports whether the kernel holds bytes that nobody has read yet.
func (c *conn) unread() bool {
	raw, err := c.batch.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting = err == nil && n > 0
	})
	return err == nil && waiting
}

func (c *conn) flush() error { return c.batch.flush() }
