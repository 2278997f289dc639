package fault

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minRing  = 32 << 10
	maxRing  = 16 << 20  // what one direction of one connection holds: 1 GB/s at 16 ms
	maxRead  = 256 << 10 // bytes per system call
	maxWrite = 256 << 10 // so that a cut stops a writer who has fallen behind
	slack    = 30 * time.Microsecond
	mostOf   = 150 * time.Microsecond // see flow.grain
	neverDue = time.Duration(1<<63 - 1)
)

// flow is one direction of one connection: fill reads from src into a ring and marks when the bytes came in, drain takes
// them out when they are due and writes them to dst.
type flow struct {
	conn     *conn
	way      int // 0 forward, 1 backward
	src, dst *net.TCPConn
	wake     chan struct{} // capacity 1: look again
	writing  sync.Mutex    // held while bytes go to dst; taken before mu
	rung     atomic.Int64  // when the pacer was to wake it, which has done so since it looked; 0: it has not

	dueAt time.Time // when the pacer is to wake it
	place int       // in the pacer's heap, from 1; 0: it is not there. Both under the pacer's lock

	mu         sync.Mutex
	space      sync.Cond // on mu: fill waits for room
	ring       []byte    // length is a power of two
	head, tail uint64    // bytes taken out and put in since the start
	ready      uint64    // bytes that were due when drain last looked
	marks      []mark    // what is not ready yet, oldest first, from index first on
	first      int
	notBefore  time.Time
	end        ending // what comes after the last byte
	endAt      time.Time
	stopped    bool
}

// mark says that the bytes before end came in at the time in, and how much later than others they leave.
type mark struct {
	end  uint64
	in   time.Time
	late time.Duration
}

type ending uint8

const (
	endNone ending = iota
	endClose
	endReset
)

func newFlow(cn *conn, way int) *flow {
	f := &flow{conn: cn, way: way, wake: make(chan struct{}, 1), ring: make([]byte, minRing)}
	f.space.L = &f.mu
	return f
}

// fill moves bytes from src into the ring until src ends.
func (f *flow) fill() {
	for {
		room, ok := f.room()
		if !ok {
			return
		}
		n, err := f.src.Read(room)
		f.put(n, err)
		if err != nil {
			return
		}
	}
}

// room waits for free space and returns the longest piece of it that is contiguous. Only fill grows the ring, so a slice
// that drain is writing from stays what it is.
func (f *flow) room() ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.tail-f.head == uint64(len(f.ring)) && len(f.ring) == maxRing && !f.stopped {
		f.space.Wait()
	}
	if f.stopped {
		return nil, false
	}
	if f.tail == f.head { // empty, hence no marks: start where the whole ring is contiguous
		f.tail = (f.tail + uint64(len(f.ring)) - 1) &^ (uint64(len(f.ring)) - 1)
		f.head, f.ready = f.tail, f.tail
	}
	if used := int(f.tail - f.head); used > len(f.ring)/2 && len(f.ring) < maxRing {
		f.grow()
	}
	size := uint64(len(f.ring))
	at := f.tail & (size - 1)
	free := min(size-(f.tail-f.head), size-at, maxRead)
	return f.ring[at : at+free], true
}

func (f *flow) grow() {
	next := make([]byte, 2*len(f.ring))
	for at := f.head; at < f.tail; {
		piece := f.piece(at, f.tail)
		copy(next[at&uint64(len(next)-1):], piece)
		at += uint64(len(piece))
	}
	f.ring = next
}

// piece is the contiguous part of the ring from one position towards another, not beyond a wrap.
func (f *flow) piece(from, to uint64) []byte {
	size := uint64(len(f.ring))
	at := from & (size - 1)
	return f.ring[at:min(at+to-from, size)]
}

// put notes n bytes that have been read, and the end of the stream when err is not nil.
func (f *flow) put(n int, err error) {
	now := time.Now()
	f.mu.Lock()
	idle := f.first == len(f.marks) // otherwise drain has its timer set
	if n > 0 && !f.stopped {
		f.tail += uint64(n)
		f.conn.cable.held.Add(int64(n))
		f.conn.cable.sent.Add(uint64(n))
		f.note(mark{end: f.tail, in: now})
	}
	f.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF):
		f.finish(endClose, now)
	case err != nil:
		f.finish(endReset, now)
	case idle && n > 0:
		f.expect(now)
	}
}

// expect has drain woken for bytes that came in at a moment and are the only ones. Drain itself need not wake to find out when that is.
func (f *flow) expect(in time.Time) {
	f.mu.Lock()
	line := f.conn.cable.line.Load()
	out, whole := f.leaves(line, in)
	if f.first < len(f.marks) {
		out = out.Add(f.marks[f.first].late)
	}
	f.mu.Unlock()
	switch {
	case !whole: // a heal kicks
	case time.Until(out) <= slack:
		f.kick()
	default:
		f.conn.cable.pacer.at(f, out)
	}
}

// note appends a mark, or widens the last one when it is of nearly the same moment.
func (f *flow) note(m mark) {
	if last := len(f.marks) - 1; last >= f.first && m.in.Sub(f.marks[last].in) < slack {
		f.marks[last].end = m.end
		return
	}
	if m.late = f.conn.cable.late(f.way); m.late > 0 {
		f.conn.cable.delayed[f.way].Add(1)
	}
	if f.first > 0 && len(f.marks) == cap(f.marks) {
		f.marks = f.marks[:copy(f.marks, f.marks[f.first:])]
		f.first = 0
	}
	f.marks = append(f.marks, m)
}

// finish says how the stream ends; a reset replaces a close.
func (f *flow) finish(e ending, at time.Time) {
	f.mu.Lock()
	if e > f.end {
		f.end, f.endAt = e, at
	}
	f.mu.Unlock()
	f.kick()
}

// drain moves bytes from the ring to dst when they are due, then delivers the end of the stream. It returns when nothing
// can come any more in either direction.
func (f *flow) drain() {
	for {
		piece, wait, over := f.due()
		switch {
		case over:
			if f.deliverEnd() {
				return
			}
		case piece != nil:
			if !f.deliver(piece) {
				return
			}
		default:
			if !f.sleep(wait) {
				return
			}
		}
	}
}

// due returns the bytes that may leave now; or how long to wait; or that the end of the stream is to be delivered.
func (f *flow) due() (piece []byte, wait time.Duration, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := f.conn.cable.line.Load()
	if _, whole := f.leaves(line, time.Time{}); !whole || f.head == f.tail && f.end == endNone {
		return nil, neverDue, false
	}
	wait = f.advance(line, time.Now())
	if f.ready > f.head {
		return f.piece(f.head, min(f.ready, f.head+maxWrite)), 0, false
	}
	return nil, wait, f.head == f.tail && wait <= 0
}

// advance makes ready what is due, and returns how long the next mark, or after the last one the end, has to wait.
func (f *flow) advance(line *line, now time.Time) time.Duration {
	for ; f.first < len(f.marks); f.first++ {
		out, _ := f.leaves(line, f.marks[f.first].in)
		if wait := out.Add(f.marks[f.first].late).Sub(now); wait > f.grain() {
			return wait
		}
		f.ready = f.marks[f.first].end
	}
	f.marks, f.first = f.marks[:0], 0
	out, _ := f.leaves(line, f.endAt)
	return out.Sub(now)
}

// grain is how much earlier than they are due bytes may leave when the flow is awake: a thirty-second of the delay, and not much. What is
// nearly due at the same time then leaves at the same time, on all cables.
func (f *flow) grain() time.Duration {
	return max(slack, min(f.conn.cable.line.Load().delay[f.way]/32, mostOf))
}

func (f *flow) leaves(l *line, in time.Time) (time.Time, bool) {
	out, whole := l.leaves(f.way, in)
	if f.notBefore.After(out) {
		out = f.notBefore
	}
	return out, whole
}

// deliver writes a piece to dst. When dst is dead its sender hears of it the way a reset travels: through the other flow.
func (f *flow) deliver(piece []byte) bool {
	n, err := f.write(piece)
	f.mu.Lock()
	if !f.stopped {
		f.head += uint64(n)
		f.conn.cable.held.Add(-int64(n))
	}
	f.space.Signal()
	f.mu.Unlock()
	if err != nil {
		f.other().finish(endReset, time.Now())
	}
	return err == nil
}

// deliverEnd passes the end of the stream on and reports whether the flow is finished.
func (f *flow) deliverEnd() bool {
	f.mu.Lock()
	end := f.end
	f.end = endNone // of a close that is delivered here; a reset may still follow
	f.mu.Unlock()
	if end == endReset {
		f.conn.close(reset)
		return true
	}
	if err := f.dst.CloseWrite(); err != nil {
		f.other().finish(endReset, time.Now())
		return true
	}
	if f.conn.ended.Add(1) == 2 {
		f.conn.close(finish)
		return true
	}
	return false
}

// write writes what it can until the line is cut, which is no error.
func (f *flow) write(piece []byte) (int, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	if _, whole := f.conn.cable.line.Load().leaves(f.way, time.Time{}); !whole {
		return 0, nil
	}
	n, err := f.dst.Write(piece)
	f.conn.cable.bytes[f.way].Add(uint64(n)) // before a cut that waits for this write returns
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// halt ends a write that is under way, and waits for it. Errors of setting the deadline mean that dst is gone.
func (f *flow) halt() {
	_ = f.dst.SetWriteDeadline(time.Unix(1, 0))
	f.writing.Lock()
	defer f.writing.Unlock()
	_ = f.dst.SetWriteDeadline(time.Time{})
}

func (f *flow) other() *flow { return f.conn.flows[1-f.way] }

// sleep waits for a kick, at most d. It returns false when the connection is over.
func (f *flow) sleep(d time.Duration) bool {
	if d < neverDue {
		f.conn.cable.pacer.at(f, time.Now().Add(d))
	}
	select {
	case <-f.conn.quit:
		return false
	case <-f.wake:
	}
	if due := time.Duration(f.rung.Swap(0)); due != 0 {
		f.conn.cable.woke(time.Since(f.conn.cable.pacer.began) - due)
	}
	return true
}

func (f *flow) kick() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// hold keeps everything in the cable until a moment.
func (f *flow) hold(until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notBefore = until
}

// over reports whether src has ended.
func (f *flow) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end != endNone
}

// stop ends the flow, whatever it holds.
func (f *flow) stop() {
	f.mu.Lock()
	f.stopped = true
	f.conn.cable.held.Add(-int64(f.tail - f.head))
	f.head = f.tail
	f.space.Broadcast()
	f.mu.Unlock()
	f.conn.cable.pacer.forget(f)
}
