package link

import (
	"encoding/binary"
	"slices"
	"sort"
	"sync"

	"holdfast"
)

// backlog is the frames of one lane that a peer is not known to have, in the order in which they were sent. It belongs to the
// peer, not to a connection: every connection has a place of its own in it, and begins at the oldest frame. Places count bytes
// since the start of the link. Memory is bounded by the limit, whatever any carrier does.
//
// One rule keeps the order, and loses nothing while one carrier works: a connection carries a frame only after every earlier
// one that the peer is not known to have. So whoever receives may drop a sequence that is not above the last one he took.
type backlog struct {
	pool  *pool
	lane  lane
	limit int // bytes

	numbering sync.Mutex // held while a message gets its sequence and is encoded; taken before mu

	mu    sync.Mutex
	seq   uint64
	parts []*buffer // oldest first, without a gap
	base  uint64    // the peer has everything before
	left  uint64    // everything before has left on some connection
	end   uint64
	calls []slot // requests that have not left
	long  []span // messages of more than one frame, the peer does not have all of which
	gates []gate // in laneBulk: what must have left before
	last  map[holdfast.ShardID]uint64
}

// span is where a message stands.
type span struct{ from, to uint64 }

// gate says that what begins at a place must not leave before small messages up to a place of theirs, which were sent before it.
type gate struct{ at, after uint64 }

// slot is a request, and where it begins.
type slot struct {
	call *call
	at   uint64
}

func newBacklog(pool *pool, l lane, limit int) *backlog {
	return &backlog{pool: pool, lane: l, limit: limit, last: map[holdfast.ShardID]uint64{}}
}

// add numbers and enters a message, or says why not. A large one is encoded before mu is taken: the connections need that lock.
func (q *backlog) add(m *message) error {
	q.numbering.Lock()
	defer q.numbering.Unlock()
	if !q.fits(m) {
		return errFull
	}
	f := frame{kind: m.kind, lane: q.lane, flags: flagWhole, shard: m.shard, seq: q.seq + 1}
	if len(m.head)+len(m.body) <= maxChunk {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.enter(m, func() { q.append(f, m.head, m.body) })
		return nil
	}
	parts := q.encode(f, m)
	q.mu.Lock()
	defer q.mu.Unlock()
	from := q.end
	q.enter(m, func() {
		for _, b := range parts {
			q.put(b)
		}
	})
	q.long = append(q.long, span{from, q.end})
	return nil
}

// fits reports whether the message can be entered; one that is larger than the limit fits into an empty backlog.
func (q *backlog) fits(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.end == q.base || q.end-q.base+uint64(len(m.head)+len(m.body)) <= uint64(q.limit)
}

// enter notes, under mu, a message whose frames are put in place by write.
func (q *backlog) enter(m *message, write func()) {
	q.seq++
	m.seq = q.seq
	if m.call != nil {
		q.calls = append(q.calls, slot{m.call, q.end})
	}
	if n := len(q.gates); q.lane == laneBulk && (n == 0 || q.gates[n-1].after < m.after) {
		q.gates = append(q.gates, gate{q.end, m.after})
	}
	write()
	if q.lane == laneBulk && m.kind == kindRaft {
		q.last[m.shard] = q.end
	}
}

// append encodes one frame into the last buffer, or a new one. What connections are writing from a buffer stands before.
func (q *backlog) append(f frame, head, body []byte) {
	size := headerBytes + len(head) + len(body)
	n := len(q.parts)
	if n == 0 || len(q.parts[n-1].b)+size > bufferBytes {
		q.put(q.pool.get())
		n = len(q.parts)
	}
	b := q.parts[n-1]
	b.b = appendFrame(b.b, f, head, body)
	q.end += uint64(size)
}

// put adds a buffer of whole frames at the end.
func (q *backlog) put(b *buffer) {
	b.at = q.end
	q.parts = append(q.parts, b)
	q.end += uint64(len(b.b))
}

// encode cuts a long message into frames, one per buffer.
func (q *backlog) encode(f frame, m *message) (parts []*buffer) {
	var first [4 + maxCallHead]byte // the length of all, and the head, which is never long
	binary.BigEndian.PutUint32(first[:], uint32(len(m.head)+len(m.body)))
	head := first[:4+copy(first[4:], m.head)]
	f.flags = flagFirst
	for body := m.body; ; {
		n := min(maxChunk-len(head), len(body))
		if n == len(body) {
			f.flags |= flagLast
		}
		b := q.pool.get()
		b.b = appendFrame(b.b, f, head, body[:n])
		parts = append(parts, b)
		if body = body[n:]; len(body) == 0 {
			return parts
		}
		f.flags, head = 0, nil
	}
}

// piece is some whole frames for a connection to write; release gives them back.
type piece struct {
	b      []byte
	end    uint64 // the place behind
	buffer *buffer
	from   *backlog // nil: the buffer is the connection's own
}

// take returns what comes next for a connection that has written everything before a place, and every small message before
// another: at most one buffer.
func (q *backlog) take(at, small uint64) (piece, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at = max(at, q.base)
	if at >= q.end {
		return piece{}, false
	}
	b := q.parts[sort.Search(len(q.parts), func(i int) bool { return q.parts[i].at > at })-1]
	end := b.at + uint64(len(b.b))
	for _, g := range q.gates[sort.Search(len(q.gates), func(i int) bool { return q.gates[i].at >= at }):] {
		if g.at >= end || g.after > small {
			end = min(end, g.at)
			break
		}
	}
	if end == at {
		return piece{}, false
	}
	p := piece{b: b.b[at-b.at : end-b.at], end: end, buffer: b, from: q}
	b.readers++
	q.depart(p.end)
	return p, true
}

// depart tells the calls before a place that they leave now, and blanks the requests of those that were withdrawn. Nobody has
// read those yet.
func (q *backlog) depart(until uint64) {
	n := 0
	for ; n < len(q.calls) && q.calls[n].at < until; n++ {
		s := q.calls[n]
		if !s.call.depart() {
			q.blank(s.at)
		}
	}
	q.calls = slices.Delete(q.calls, 0, n)
	q.left = max(q.left, until)
}

// blank makes the message that begins at a place mean nothing.
func (q *backlog) blank(at uint64) {
	for i := sort.Search(len(q.parts), func(i int) bool { return q.parts[i].at > at }) - 1; i < len(q.parts); i++ {
		b := q.parts[i]
		fr := b.b[max(at, b.at)-b.at:]
		fr = fr[:headerBytes+int(binary.BigEndian.Uint32(fr[4:]))]
		last := fr[9]&flagLast != 0
		fr[8] = byte(kindVoid)
		seal(fr)
		if last {
			return
		}
	}
}

// release gives a piece back when it has been written, or never will be.
func (p piece) release(pool *pool) {
	if p.from == nil {
		pool.put(p.buffer)
		return
	}
	p.from.mu.Lock()
	defer p.from.mu.Unlock()
	p.buffer.readers--
	p.from.free(p.buffer)
}

// free gives a buffer back that is out of the backlog and that nobody writes from.
func (q *backlog) free(b *buffer) {
	if b.out && b.readers == 0 {
		q.pool.put(b)
	}
}

// acked notes that the peer has everything before a place. A message that it does not have as a whole stays as a whole: on
// another connection it has to start again.
func (q *backlog) acked(until uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until <= q.base {
		return // another connection was first
	}
	n := 0
	for n < len(q.long) && q.long[n].to <= until {
		n++
	}
	q.long = slices.Delete(q.long, 0, n)
	if len(q.long) > 0 {
		until = min(until, q.long[0].from)
	}
	q.forget(until)
}

// forget lets go of everything before a place.
func (q *backlog) forget(until uint64) {
	q.base = max(q.base, until)
	n := 0
	for ; n < len(q.parts) && q.parts[n].at+uint64(len(q.parts[n].b)) <= q.base; n++ {
		q.parts[n].out = true
		q.free(q.parts[n])
	}
	q.parts = slices.Delete(q.parts, 0, n)
	q.gates = slices.Delete(q.gates, 0, sort.Search(len(q.gates), func(i int) bool { return q.gates[i].at >= q.base }))
	if q.base == q.end {
		clear(q.last)
	}
}

// drop empties the backlog because there is nobody to send it to, and returns the bytes that have left on no connection.
func (q *backlog) drop() (unsent uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	unsent = q.end - max(q.left, q.base)
	q.calls, q.long = nil, nil
	q.left = q.end
	q.forget(q.end)
	return unsent
}

// holds reports whether the peer may not have all messages of the shard. With departed, those that have left count as had: it
// is enough where what follows takes the same connection.
func (q *backlog) holds(shard holdfast.ShardID, departed bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := q.base
	if departed {
		from = max(from, q.left)
	}
	return from < q.end && q.last[shard] > from
}

// empty reports whether the peer has everything.
func (q *backlog) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.base == q.end
}

// reached is the place that a connection has reached: its own, or that of the peer when it has more.
func (q *backlog) reached(at uint64) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(at, q.base)
}

// tail is the place behind everything.
func (q *backlog) tail() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.end
}

// waiting is the bytes that a connection at a place has not written.
func (q *backlog) waiting(at uint64) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.end - max(at, q.base))
}
