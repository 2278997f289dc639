package link

import (
	"sync"

	"holdfast"
)

// message is what is to be sent: its payload is head followed by body. Both are copied.
type message struct {
	kind  kind
	lane  lane
	shard holdfast.ShardID
	seq   uint64
	head  []byte
	body  []byte
	call  *call  // of a kindCall
	after uint64 // in laneBulk: the place in the small backlog behind what was sent before
}

// buffer is some encoded frames, at most bufferBytes of them. Buffers come from the link's pool. One of a queue belongs to
// whoever holds it: first the queue, then the writer, which gives it back. The rest of the fields is for one of a backlog,
// whose lock guards them.
type buffer struct {
	b       []byte
	at      uint64 // the place of its first byte
	readers int    // connections that write from it
	out     bool   // of the backlog
}

// pool keeps buffers for all connections of a link.
type pool struct{ p sync.Pool }

func (p *pool) get() *buffer {
	if b, ok := p.p.Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, bufferBytes)}
}

func (p *pool) put(b *buffer) {
	*b = buffer{b: b.b[:0]}
	p.p.Put(b)
}

// queue is the urgent frames of one connection, in order. It is guarded by the lock of its sender.
type queue struct {
	pool    *pool
	limit   int // bytes
	buffers []*buffer
	bytes   int
}

// fits reports whether the message can be queued.
func (q *queue) fits(m *message) bool { return q.bytes+len(m.head)+len(m.body) <= q.limit }

// push encodes a message, which is never long, into the last buffer, or a new one.
func (q *queue) push(m *message) {
	size := headerBytes + len(m.head) + len(m.body)
	n := len(q.buffers)
	if n == 0 || len(q.buffers[n-1].b)+size > bufferBytes {
		q.buffers = append(q.buffers, q.pool.get())
		n++
	}
	b := q.buffers[n-1]
	b.b = appendFrame(b.b, frame{kind: m.kind, lane: m.lane, flags: flagWhole, shard: m.shard, seq: m.seq}, m.head, m.body)
	q.bytes += size
}

// drop empties the queue and returns how many frames were in it.
func (q *queue) drop() (frames uint64) {
	for _, b := range q.buffers {
		frames += countFrames(b.b)
		q.pool.put(b)
	}
	q.buffers, q.bytes = nil, 0
	return frames
}

// take moves the oldest buffers, at most n, to the batch.
func (q *queue) take(batch []piece, n int) []piece {
	n = min(n, len(q.buffers))
	for _, b := range q.buffers[:n] {
		q.bytes -= len(b.b)
		batch = append(batch, piece{b: b.b, buffer: b})
	}
	rest := copy(q.buffers, q.buffers[n:])
	clear(q.buffers[rest:])
	q.buffers = q.buffers[:rest]
	return batch
}
