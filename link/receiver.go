package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

const (
	ackBytes    = 128 << 10            // the peer is told at least this often what we have taken
	ackTime     = 5 * time.Millisecond // and this often while bulk comes
	ackSlowly   = 4                    // times as rarely while nothing else does: it is on all carriers, and only kept until then
	slabBytes   = 32 << 10
	slabLargest = 2 << 10
)

// reader cuts a stream into frames. The payload of a frame is valid until the next one is read.
type reader struct {
	from       io.Reader
	heard      func()       // told whenever bytes came; may be nil
	idle       func() error // asked before waiting for more; may be nil
	buf        []byte
	start, end int
}

func newReader(from io.Reader, heard func()) *reader {
	return &reader{from: from, heard: heard, buf: make([]byte, 2*bufferBytes)}
}

// next returns the next frame; errors are errBadFrame or those of the stream.
func (r *reader) next() (frame, error) {
	for {
		f, size, err := parseFrame(r.buf[r.start:r.end])
		if err != nil {
			return frame{}, err
		}
		if size > 0 {
			r.start += size
			return f, nil
		}
		if err := r.fill(); err != nil {
			return frame{}, err
		}
	}
}

// fill reads what there is.
func (r *reader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.idle != nil {
		if err := r.idle(); err != nil {
			return err
		}
	}
	n, err := r.from.Read(r.buf[r.end:]) // never empty: a frame is shorter than the buffer
	r.end += n
	if n > 0 && r.heard != nil {
		r.heard()
	}
	if n == 0 {
		return err
	}
	return nil
}

// receiver is one connection that a peer has dialled. Its goroutine belongs to the link.
type receiver struct {
	path  *path
	conn  *conn
	in    *reader
	from  *incarnation
	quiet atomic.Int32 // ticks since the last byte

	now      time.Duration // when bytes came last
	read     uint64        // bytes of frames taken
	reported uint64        // of these, told to the peer
	owes     bool          // something has come that the peer keeps until it is told
	pongAt   time.Duration // when it was told
	hurry    bool          // bulk has been taken since
	parts    assembler
	slab     []byte
}

// run takes frames until the connection ends and says why.
func (r *receiver) run() error {
	r.in.idle = r.acknowledge
	for {
		f, err := r.in.next()
		if err != nil {
			return err
		}
		size := uint64(headerBytes + len(f.payload))
		r.path.received.frames.Add(1)
		r.path.received.bytes.Add(size)
		stamp, err := r.take(f)
		if err != nil {
			return err
		}
		r.read += size
		if stamp != 0 || r.read-r.reported >= ackBytes {
			if err := r.pong(stamp); err != nil {
				return err
			}
		}
	}
}

func (r *receiver) heard() {
	r.quiet.Store(0)
	r.now = r.path.heardNow()
}

// acknowledge tells the peer what we have taken before we wait for more: at once for bulk, because the peer moves it to another
// carrier when this one stalls; now and then while a long frame is coming; rarely for the rest, of which each frame would otherwise cause
// another one, on every carrier.
func (r *receiver) acknowledge() error {
	due := r.now - r.pongAt
	if r.in.end > r.in.start && due >= ackTime || r.owes && r.read > r.reported && (r.hurry || due >= ackSlowly*ackTime) {
		return r.pong(0)
	}
	return nil
}

// take does what a frame asks for. It returns the stamp of a ping.
func (r *receiver) take(f frame) (stamp uint64, err error) {
	switch f.kind {
	case kindVoid, kindRaft, kindCall, kindReply:
		return 0, r.takeMessage(f)
	case kindPing:
		if len(f.payload) != pingBytes {
			return 0, fmt.Errorf("%w: a ping of %d bytes", errBadFrame, len(f.payload))
		}
		return binary.BigEndian.Uint64(f.payload), nil
	}
	return 0, fmt.Errorf("%w: kind %d from the side that dialled", errBadFrame, f.kind)
}

// takeMessage hands a message over when it is complete and new.
func (r *receiver) takeMessage(f frame) error {
	in := &r.from.lanes[f.lane]
	r.owes = r.owes || f.lane != laneControl // what is urgent is not kept over there, and not waited for
	if f.lane == laneBulk {
		r.hurry = true
	}
	if f.lane != laneControl && in.had(f.seq) { // cheaply: long ones are not even put together
		r.parts.breakOff(f.lane)
		if f.flags&flagLast != 0 {
			r.path.peer.duplicates.Add(1)
			r.see(in, f)
		}
		return nil
	}
	payload, whole, err := r.parts.add(f)
	if err != nil || !whole {
		return err
	}
	if f.flags == flagWhole { // a long one has memory of its own already
		payload = r.keep(payload, f.kind)
	}
	r.see(in, f)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.fresh(f) {
		r.path.peer.duplicates.Add(1)
		return nil
	}
	return r.deliver(f, payload)
}

// see counts a message of a lane that all carriers should bring.
func (r *receiver) see(in *intake, f frame) {
	if p := r.path.peer; f.lane != laneBulk && len(p.paths) > 1 {
		in.seen.note(r.path.carrier, f.seq, r.now, p.link.timing.Ping)
	}
}

// deliver hands a message over, under the lock of its lane.
func (r *receiver) deliver(f frame, payload []byte) error {
	p := r.path.peer
	switch f.kind {
	case kindVoid:
		return nil
	case kindCall:
		return p.serve(payload)
	case kindReply:
		return p.answered(payload)
	default:
		p.link.handler.Receive(p.site, f.shard, payload)
		return nil
	}
}

// keep copies a payload out of the reader. Small ones for shards, which live for moments, share a slab: that spares most
// allocations.
func (r *receiver) keep(payload []byte, k kind) []byte {
	n := len(payload)
	if n > slabLargest || k != kindRaft {
		return slices.Clone(payload)
	}
	if n > len(r.slab) {
		r.slab = make([]byte, slabBytes)
	}
	kept := r.slab[:n:n]
	r.slab = r.slab[n:]
	copy(kept, payload)
	return kept
}

// pong answers a ping, if there was one, and says what we have taken. The side that dialled always reads, so this hardly ever waits.
func (r *receiver) pong(stamp uint64) error {
	var out [headerBytes + pongBytes]byte
	var body [pongBytes]byte
	binary.BigEndian.PutUint64(body[:], stamp)
	binary.BigEndian.PutUint64(body[8:], r.read)
	r.reported, r.pongAt, r.hurry, r.owes = r.read, r.now, false, false
	if err := r.conn.SetWriteDeadline(time.Now().Add(r.path.peer.link.timing.Silence)); err != nil {
		return err
	}
	_, err := r.conn.Write(appendFrame(out[:0], frame{kind: kindPong, flags: flagWhole}, nil, body[:]))
	return err
}

// tick closes the connection when the peer, which pings all the time, has not been heard for long.
func (r *receiver) tick() {
	if r.quiet.Add(1) > 2*r.path.maxQuiet() && !r.conn.unread() {
		r.conn.close()
	}
}
