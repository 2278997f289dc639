package link

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

// takeAll reads, as a connection at a place would, everything there is.
func takeAll(t *testing.T, q *backlog, at uint64) (frames []frame) {
	t.Helper()
	for {
		p, ok := q.take(at, math.MaxUint64)
		if !ok {
			return frames
		}
		at = p.end
		for rest := bytes.Clone(p.b); len(rest) > 0; {
			f, n, err := parseFrame(rest)
			if err != nil || n == 0 {
				t.Fatalf("frame: %v", err)
			}
			frames = append(frames, f)
			rest = rest[n:]
		}
		p.release(q.pool)
	}
}

func sequences(frames []frame) (all []uint64) {
	for _, f := range frames {
		all = append(all, f.seq)
	}
	return all
}

func addAll(t *testing.T, q *backlog, sizes ...int) (ends []uint64) {
	t.Helper()
	for _, size := range sizes {
		if err := q.add(&message{kind: kindRaft, shard: 1, body: pattern(size, byte(size))}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, q.end)
	}
	return ends
}

func TestBacklogStartsWhereThePeerIs(t *testing.T) {
	q := newBacklog(&pool{}, laneBulk, 1<<20)
	ends := addAll(t, q, 100, 2*maxChunk, 100)
	want := func(what string, at uint64, first uint64, n int) {
		t.Helper()
		got := takeAll(t, q, at)
		if len(got) != n || n > 0 && (got[0].seq != first || got[0].flags&flagFirst == 0) {
			t.Errorf("%s: frames %v, want %d from the start of message %d", what, sequences(got), n, first)
		}
	}
	want("a connection that is new", 0, 1, 1+3+1)
	want("one that has written the first", ends[0], 2, 3+1)
	q.acked(ends[0])
	want("a new one after the first was acknowledged", 0, 2, 3+1)
	q.acked(ends[0] + maxChunk + headerBytes)
	want("a new one when half of the second was acknowledged", 0, 2, 3+1)
	q.acked(ends[1])
	want("one that is behind what was acknowledged", ends[0], 3, 1)
	if !q.holds(1, false) || q.holds(1, true) || q.holds(2, false) {
		t.Error("what has left and is not acknowledged counts only while it may be overtaken")
	}
	q.acked(ends[2])
	want("everything was acknowledged", 0, 0, 0)
	if q.holds(1, false) || !q.empty() || len(q.parts) != 0 || len(q.last) != 0 {
		t.Errorf("something is left: %d buffers", len(q.parts))
	}
}

// TestBacklogKeepsWhatIsBeingWritten acknowledges, over another carrier, what a slow connection is still writing.
func TestBacklogKeepsWhatIsBeingWritten(t *testing.T) {
	q := newBacklog(&pool{}, laneInteractive, 1<<20)
	addAll(t, q, 100)
	slow, _ := q.take(0, math.MaxUint64)
	was := bytes.Clone(slow.b)
	q.acked(q.end)
	for i := range 4 {
		addAll(t, q, 3000+i)
	}
	if !bytes.Equal(slow.b, was) {
		t.Error("the buffer was used again while it was being written")
	}
	slow.release(q.pool)
	if got := sequences(takeAll(t, q, slow.end)); len(got) != 4 || got[0] != 2 {
		t.Errorf("after it: %v, want 2 to 5", got)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	q := newBacklog(&pool{}, laneBulk, 1<<20)
	addAll(t, q, 2<<20) // alone, it may be above the limit
	if err := q.add(&message{kind: kindRaft, body: []byte("x")}); !errors.Is(err, ErrBusy) {
		t.Errorf("a full backlog took more: %v", err)
	}
	takeAll(t, q, 0)
	if err := q.add(&message{kind: kindRaft, body: []byte("x")}); !errors.Is(err, ErrBusy) {
		t.Errorf("what has left and is not acknowledged does not count: %v", err)
	}
	if q.drop() != 0 {
		t.Error("nothing was unsent")
	}
	addAll(t, q, 10)
	if n := q.drop(); n == 0 || !q.empty() {
		t.Errorf("dropped %d unsent bytes", n)
	}
}

// TestBulkDoesNotOvertake has so many small messages before a large one of the same shard that they do not leave at once, and
// more behind it: the large one leaves after the former, and is not kept back by the latter.
func TestBulkDoesNotOvertake(t *testing.T) {
	l := &Link{limits: Limits{}.withDefaults(), creds: &Credentials{}}
	p := newPeer(l, 2, []string{"x"}, 0)
	s := newSender(p.paths[0], nil)
	s.minRTT = time.Second // the window holds all of it
	live := []*sender{s}
	p.live.Store(&live)
	size := func(n int) *message {
		return &message{kind: kindRaft, lane: laneInteractive, shard: 1, body: make([]byte, n)}
	}
	const before = 3 * interactiveBatch
	for range before {
		p.send(size(maxChunk))
	}
	p.send(size(2 * maxChunk))
	for range before {
		m := size(maxChunk)
		m.shard = 2
		p.send(m)
	}
	small := 0
	for round := 0; s.queued() > 0; round++ {
		for _, piece := range s.take(nil) {
			f, _, err := parseFrame(piece.b)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case f.lane == laneInteractive:
				small++
			case small < before:
				t.Errorf("round %d: a large message leaves after %d of the %d small ones that were sent before it", round, small, before)
			case small == 2*before && f.flags&flagFirst != 0:
				t.Error("the large message waited for everything that was sent behind it")
			}
			piece.release(&l.pool)
		}
	}
}
