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
	ackBytes    = 128 << 10 // the peer is told at least this often how far we have read
	slabBytes   = 32 << 10
	slabLargest = 2 << 10
)

// reader cuts a stream into frames. The payload of a frame is valid until the next one is read.
type reader struct {
	from       io.Reader
	heard      func() // told whenever bytes came; may be nil
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
		if r.start > 0 {
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		}
		n, err := r.from.Read(r.buf[r.end:]) // never empty: a frame is shorter than the buffer
		r.end += n
		if n > 0 && r.heard != nil {
			r.heard()
		}
		if n == 0 && err != nil {
			return frame{}, err
		}
	}
}

// receiver is one connection that a peer has dialled. Its goroutine belongs to the link.
type receiver struct {
	path  *path
	conn  *conn
	in    *reader
	from  *incarnation
	quiet atomic.Int32 // ticks since the last byte

	read     uint64 // bytes of frames
	reported uint64 // of these, told to the peer
	parts    assembler
	slab     []byte
}

// run takes frames until the connection ends and says why.
func (r *receiver) run() error {
	for {
		f, err := r.in.next()
		if err != nil {
			return err
		}
		size := uint64(headerBytes + len(f.payload))
		r.read += size
		r.path.received.frames.Add(1)
		r.path.received.bytes.Add(size)
		if err := r.take(f); err != nil {
			return err
		}
		if r.read-r.reported >= ackBytes {
			if err := r.pong(0); err != nil {
				return err
			}
		}
	}
}

func (r *receiver) heard() {
	r.quiet.Store(0)
	r.path.heardNow()
}

// take does what a frame asks for.
func (r *receiver) take(f frame) error {
	switch f.kind {
	case kindVoid:
		return nil
	case kindPing:
		if len(f.payload) != pingBytes {
			return fmt.Errorf("%w: a ping of %d bytes", errBadFrame, len(f.payload))
		}
		return r.pong(binary.BigEndian.Uint64(f.payload))
	case kindRaft, kindCall, kindReply:
	default:
		return fmt.Errorf("%w: kind %d from the side that dialled", errBadFrame, f.kind)
	}
	payload, whole, err := r.parts.add(f)
	if err != nil || !whole {
		return err
	}
	p := r.path.peer
	if !r.from.fresh(f.lane, f.seq) {
		p.duplicates.Add(1)
		return nil
	}
	if f.flags == flagWhole { // a long one has memory of its own already
		payload = r.keep(payload, f.kind)
	}
	switch f.kind {
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

// pong answers a ping and says how far we have read. The side that dialled always reads, so this hardly ever waits.
func (r *receiver) pong(stamp uint64) error {
	var out [headerBytes + pongBytes]byte
	var body [pongBytes]byte
	binary.BigEndian.PutUint64(body[:], stamp)
	binary.BigEndian.PutUint64(body[8:], r.read)
	r.reported = r.read
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
