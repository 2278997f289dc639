package link

import (
	"encoding/binary"
	"sync"

	"holdfast"
)

// message is what is to be sent: its payload is head followed by body. Both are copied into the queue.
type message struct {
	kind  kind
	lane  lane
	shard holdfast.ShardID
	seq   uint64
	head  []byte
	body  []byte
	call  *call // of a kindCall
}

// buffer is some encoded frames, at most bufferBytes of them. Buffers come from the link's pool; whoever holds one owns it:
// first the queue, then the writer, which gives it back.
type buffer struct {
	b      []byte
	frames int
	calls  []slot // requests in it
}

// slot is where a request stands in a buffer.
type slot struct {
	call *call
	at   int
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
	clear(b.calls)
	b.b, b.frames, b.calls = b.b[:0], 0, b.calls[:0]
	p.p.Put(b)
}

// queue is the frames of one lane of one connection, in order. It is guarded by the lock of its sender.
type queue struct {
	pool    *pool
	limit   int // bytes
	buffers []*buffer
	bytes   int
}

// fits reports whether the message can be queued; one that is larger than the limit fits into an empty queue.
func (q *queue) fits(m *message) bool {
	return q.bytes == 0 || q.bytes+len(m.head)+len(m.body) <= q.limit
}

// push encodes a message at the end of the queue.
func (q *queue) push(m *message) {
	f := frame{kind: m.kind, lane: m.lane, flags: flagWhole, shard: m.shard, seq: m.seq}
	total := len(m.head) + len(m.body)
	if total <= maxChunk {
		q.append(f, m.head, m.body, m.call)
		return
	}
	var first [4 + maxCallHead]byte // the length of all, and the head, which is never long
	binary.BigEndian.PutUint32(first[:], uint32(total))
	head := first[:4+copy(first[4:], m.head)]
	f.flags = flagFirst
	for body := m.body; ; {
		n := min(maxChunk-len(head), len(body))
		if n == len(body) {
			f.flags |= flagLast
		}
		q.append(f, head, body[:n], m.call)
		if body = body[n:]; len(body) == 0 {
			return
		}
		f.flags, head = 0, nil
	}
}

// append encodes one frame into the last buffer, or a new one.
func (q *queue) append(f frame, head, body []byte, c *call) {
	size := headerBytes + len(head) + len(body)
	var b *buffer
	if n := len(q.buffers); n > 0 {
		b = q.buffers[n-1]
	}
	if b == nil || len(b.b)+size > bufferBytes {
		b = q.pool.get()
		q.buffers = append(q.buffers, b)
	}
	if c != nil {
		b.calls = append(b.calls, slot{c, len(b.b)})
	}
	b.b = appendFrame(b.b, f, head, body)
	b.frames++
	q.bytes += size
}

// join moves everything of another queue to the end of this one.
func (q *queue) join(other *queue) {
	q.buffers = append(q.buffers, other.buffers...)
	q.bytes += other.bytes
	other.buffers, other.bytes = nil, 0
}

// drop empties the queue and returns how many frames were in it.
func (q *queue) drop() (frames uint64) {
	for _, b := range q.buffers {
		frames += uint64(b.frames)
		q.pool.put(b)
	}
	q.buffers, q.bytes = nil, 0
	return frames
}

// take moves the oldest buffers, at most n, to the batch.
func (q *queue) take(batch []*buffer, n int) []*buffer {
	n = min(n, len(q.buffers))
	for _, b := range q.buffers[:n] {
		q.bytes -= len(b.b)
		batch = append(batch, b)
	}
	rest := copy(q.buffers, q.buffers[n:])
	clear(q.buffers[rest:])
	q.buffers = q.buffers[:rest]
	return batch
}

// depart tells the calls of a buffer that they leave now, and blanks the requests of those that were withdrawn.
func (b *buffer) depart() {
	for _, s := range b.calls {
		if s.call.depart() {
			continue
		}
		fr := b.b[s.at:]
		fr = fr[:headerBytes+int(binary.BigEndian.Uint32(fr[4:]))]
		fr[8] = byte(kindVoid)
		seal(fr)
	}
}
