package shard

import (
	"sync"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// signal wakes one goroutine; any number of calls before it looks count as one.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// broadcast wakes everybody who waits.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// diskQueue gathers the writes of all shards while the disk is busy with those before. It is bounded by what the shards' nodes
// hand out before they hear that it is stored.
type diskQueue struct {
	mu     sync.Mutex
	list   []diskWrite
	closed bool
	wake   signal
}

type diskWrite struct {
	life  *life
	write Write
}

func newDiskQueue() *diskQueue { return &diskQueue{wake: newSignal()} }

func (q *diskQueue) put(l *life, writes []Write) {
	if len(writes) == 0 {
		return
	}
	q.mu.Lock()
	for _, w := range writes {
		q.list = append(q.list, diskWrite{l, w})
	}
	q.mu.Unlock()
	q.wake.set()
}

func (q *diskQueue) take(room []diskWrite) (list []diskWrite, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, q.list = q.list, room[:0]
	return list, q.closed
}

func (q *diskQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake.set()
}

// writeLoop is the one goroutine that writes: everything that waits becomes one batch and one fsync.
func (h *Host) writeLoop() {
	var room []diskWrite
	for range h.disk.wake {
		list, closed := h.disk.take(room)
		if len(list) > 0 {
			h.tend(func(c *Care, now time.Duration) { c.WriteBegins(now, sizeOf(list)) })
			h.stir.set()
			if err := h.config.Store.Write(mergeWrites(list)); err != nil {
				h.die(err)
				return
			}
			h.tend(func(c *Care, now time.Duration) { c.WriteEnds(now) })
			for _, w := range list {
				w.life.seat.inbox.stored(w.life, w.write.Token)
			}
		}
		if closed {
			return
		}
		clear(list)
		room = list
	}
}

func sizeOf(list []diskWrite) (bytes int) {
	for _, w := range list {
		for i := range w.write.Entries {
			bytes += len(w.write.Entries[i].Data)
		}
	}
	return bytes
}

// mergeWrites makes one write per shard, because the store takes each shard's log as it stands before the batch.
func mergeWrites(list []diskWrite) []store.Write {
	var out []store.Write
	at := map[holdfast.ShardID]int{}
	for _, w := range list {
		id := w.life.seat.id
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, store.Write{Shard: id, Sync: true})
		}
		m := &out[i]
		if w.write.Hard != nil {
			m.Hard = w.write.Hard
		}
		m.Entries = follow(m.Entries, w.write.Entries)
	}
	return out
}

// follow appends entries, dropping from the earlier ones what they overwrite.
func follow(earlier, later []Entry) []Entry {
	if len(later) == 0 {
		return earlier
	}
	n := len(earlier)
	for n > 0 && earlier[n-1].Index >= later[0].Index {
		n--
	}
	return append(earlier[:n:n], later...)
}

// persistQueue holds sealed segments for the store. It is bounded by MachineConfig.MaxSealed of every shard.
type persistQueue struct {
	mu     sync.Mutex
	list   []sealedSegment
	closed bool
	wake   signal
}

type sealedSegment struct {
	life    *life
	segment *ledger.Segment
	took    time.Duration // to seal it
}

func newPersistQueue() *persistQueue { return &persistQueue{wake: newSignal()} }

func (q *persistQueue) put(l *life, g *ledger.Segment, took time.Duration) {
	q.mu.Lock()
	q.list = append(q.list, sealedSegment{l, g, took})
	q.mu.Unlock()
	q.wake.set()
}

func (q *persistQueue) next() (s sealedSegment, ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 || q.closed {
		return s, false, q.closed
	}
	s = q.list[0]
	q.list[0] = sealedSegment{}
	q.list = q.list[1:]
	return s, true, false
}

func (q *persistQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake.set()
}

// persistLoop is the one goroutine that makes checkpoints, beside the payments.
func (h *Host) persistLoop() {
	for range h.shelf.wake {
		for {
			s, ok, closed := h.shelf.next()
			if closed {
				return
			}
			if !ok {
				break
			}
			s.life.persist(s.segment, s.took)
		}
	}
}
