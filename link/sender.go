package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"holdfast"
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
	errSilent = errors.New("no sign of life")
	errBroken = fmt.Errorf("connection broke: %w", ErrUnreachable)
	errFull   = fmt.Errorf("send queue is full: %w", ErrBusy)
)

// sender is one established connection that this site has dialled. Two goroutines belong to it, both owned by the path that
// dialled: one writes what is queued, the other reads pongs.
type sender struct {
	path  *path
	conn  *conn
	gone  chan struct{} // closed when both goroutines have ended
	in    *reader       // pongs
	quiet atomic.Int32  // pings since the last sign of life

	mu       sync.Mutex
	work     sync.Cond // on mu: the writer waits
	lanes    [lanes]queue
	bulkOf   map[holdfast.ShardID]uint64 // bytes of bulk that were ever queued, up to the last frame of the shard
	bulkIn   uint64                      // bytes of bulk ever queued
	bulkOut  uint64                      // of these, taken by the writer
	written  uint64                      // bytes of frames taken by the writer
	received uint64                      // of these, read by the peer as far as we know
	minRTT   time.Duration               // smallest round trip on this connection
	draining bool                        // nothing more will come: end the stream when nothing is queued
	cause    error                       // why the connection is closed; nil while it is open
}

func newSender(p *path, c *conn) *sender {
	s := &sender{path: p, conn: c, gone: make(chan struct{}), bulkOf: map[holdfast.ShardID]uint64{}}
	s.work.L = &s.mu
	s.in = newReader(c, s.heard)
	l := p.peer.link
	for i, limit := range [lanes]int{l.limits.Control, l.limits.Interactive, l.limits.Bulk} {
		s.lanes[i] = queue{pool: &l.pool, limit: limit}
	}
	return s
}

// push queues a message, or says why not: errBroken or errFull. A large one is encoded before the lock is taken: pings and
// heartbeats need that lock too.
func (s *sender) push(m *message) error {
	var large queue
	if m.lane == laneBulk {
		if err := s.room(m); err != nil {
			return err
		}
		large.pool = s.lanes[laneBulk].pool
		large.push(m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(m); err != nil {
		large.drop()
		return err
	}
	if m.lane == laneBulk {
		s.bulkIn += uint64(large.bytes)
		s.lanes[laneBulk].join(&large)
		if m.kind == kindRaft {
			s.bulkOf[m.shard] = s.bulkIn
		}
	} else {
		s.lanes[m.lane].push(m)
	}
	s.work.Signal()
	return nil
}

func (s *sender) room(m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked(m)
}

// roomLocked says whether the message can be queued now.
func (s *sender) roomLocked(m *message) error {
	if s.cause != nil || s.draining {
		return errBroken
	}
	if !s.lanes[m.lane].fits(m) {
		s.path.dropped.Add(1)
		return errFull
	}
	return nil
}

// holdsBulk reports whether bulk of the shard is still queued here, so that what follows must not overtake it.
func (s *sender) holdsBulk(shard holdfast.ShardID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bulkIn > s.bulkOut && s.bulkOf[shard] > s.bulkOut
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
	for i := range s.lanes { // nobody will send these
		s.path.dropped.Add(s.lanes[i].drop())
	}
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

// write sends what is queued, batch after batch.
func (s *sender) write() {
	var batch []*buffer
	for {
		if batch = s.take(batch[:0]); len(batch) == 0 {
			return
		}
		err := s.writeBatch(batch)
		for _, b := range batch {
			s.path.peer.link.pool.put(b)
		}
		if err != nil {
			s.close(fmt.Errorf("write: %w", err))
			return
		}
	}
}

func (s *sender) writeBatch(batch []*buffer) error {
	for _, b := range batch {
		if _, err := s.conn.Write(b.b); err != nil {
			return err
		}
		s.path.sent.bytes.Add(uint64(len(b.b)))
		s.path.sent.frames.Add(uint64(b.frames))
	}
	return s.conn.flush()
}

// take waits for something to write. An empty batch means that the connection is closed.
func (s *sender) take(batch []*buffer) []*buffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.cause == nil {
		batch = s.lanes[laneControl].take(batch, controlBatch)
		batch = s.lanes[laneInteractive].take(batch, interactiveBatch)
		batch = s.takeBulk(batch)
		if len(batch) > 0 {
			s.depart(batch)
			return batch
		}
		if s.draining && s.lanes[laneBulk].bytes == 0 {
			s.conn.end()
			return nil
		}
		s.work.Wait()
	}
	return nil
}

// takeBulk adds bulk to the batch, unless too much is under way already.
func (s *sender) takeBulk(batch []*buffer) []*buffer {
	if s.written-s.received > s.window() {
		return batch
	}
	n := len(batch)
	batch = s.lanes[laneBulk].take(batch, bulkBatch)
	for _, b := range batch[n:] {
		s.bulkOut += uint64(len(b.b))
	}
	if s.bulkOut == s.bulkIn {
		clear(s.bulkOf)
	}
	return batch
}

// window is how many bytes may be under way for bulk to be added: what a fast line carries in a round trip, and some more.
func (s *sender) window() uint64 {
	return uint64(min(windowBase+windowSpeed*s.minRTT/time.Second, windowMax))
}

func (s *sender) depart(batch []*buffer) {
	for _, b := range batch {
		b.depart()
		s.written += uint64(len(b.b))
	}
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
func (s *sender) queued() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lanes {
		n += s.lanes[i].bytes
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
	s.path.heardNow()
}

// pong notes the round trip, and how far the peer has read.
func (s *sender) pong(stamp, received uint64) {
	rtt := s.path.peer.link.since() - time.Duration(stamp)
	s.mu.Lock()
	defer s.mu.Unlock()
	if stamp != 0 {
		s.path.observe(rtt)
		s.minRTT = min(s.minRTT, rtt)
	}
	if received > s.received && received <= s.written {
		s.received = received
		s.work.Signal()
	}
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
	var stamp [pingBytes]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(s.path.peer.link.since()))
	_ = s.push(&message{kind: kindPing, lane: laneControl, head: stamp[:]}) // a full queue is counted, and means no pong
}

// conn is a TLS connection that writes in batches: what Write encrypts is gathered until flush.
type conn struct {
	net.Conn // TLS
	batch    *batchConn
}

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
