package sim

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// engine is virtual time: a queue of things to do, each at its moment. Two at the same moment happen in the order in which
// they were put in, so that nothing but the seed decides.
type engine struct {
	now    time.Duration // since the start of the run
	seq    uint64
	queue  events
	rng    *rand.Rand
	trace  trace
	failed *failure
}

// failure is the first broken invariant; it ends the run.
type failure struct{ invariant, text string }

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

func newEngine(seed uint64, w io.Writer, on bool) engine {
	return engine{rng: rand.New(rand.NewPCG(seed, 0x401dfa57)), trace: trace{on: on, w: w, hash: fnvOffset}}
}

// after schedules something; a negative delay is none.
func (e *engine) after(d time.Duration, do func()) {
	e.seq++
	heap.Push(&e.queue, event{e.now + max(d, 0), e.seq, do})
}

// step does the next thing. It is false when there is none.
func (e *engine) step() bool {
	if len(e.queue) == 0 || e.failed != nil {
		return false
	}
	next := heap.Pop(&e.queue).(event)
	e.now = next.at
	e.note(uint64(next.at), next.seq)
	next.do()
	return true
}

// fail records the first broken invariant.
func (e *engine) fail(invariant, format string, args ...any) {
	if e.failed == nil {
		e.failed = &failure{invariant, fmt.Sprintf(format, args...)}
		e.logf("FAIL %s: %s", invariant, e.failed.text)
	}
}

// chance is true with the probability p.
func (e *engine) chance(p float64) bool { return e.rng.Float64() < p }

// between draws from low to high.
func (e *engine) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(e.rng.Int64N(int64(high-low)))
}

// trace is what happened, line by line, for people; and a hash over every event, for comparing runs. Lines are only made when
// somebody will read them: a run that fails is run again for its trace.
type trace struct {
	on   bool
	w    io.Writer
	hash uint64
	tail [traceTail]string
	n    int
	buf  []byte
}

const (
	traceTail = 60
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// logf adds a line. Lines must not depend on anything but the seed: no pointers, no maps, no real time.
func (e *engine) logf(format string, args ...any) {
	t := &e.trace
	if !t.on {
		return
	}
	t.buf = fmt.Appendf(t.buf[:0], "%12.3fms ", float64(e.now)/1e6)
	t.buf = fmt.Appendf(t.buf, format, args...)
	t.tail[t.n%traceTail] = string(t.buf)
	t.n++
	if t.w != nil {
		t.w.Write(append(t.buf, '\n')) //nolint:errcheck // a trace that cannot be written spoils no run
	}
}

// note adds words to the hash.
func (e *engine) note(words ...uint64) {
	for _, w := range words {
		e.trace.hash = (e.trace.hash ^ w) * fnvPrime
	}
}

func (t *trace) last() []string {
	var out []string
	for i := max(0, t.n-traceTail); i < t.n; i++ {
		out = append(out, t.tail[i%traceTail])
	}
	return out
}

// random is the seeded stand-in for crypto/rand.Reader during a run.
type random struct{ *rand.ChaCha8 }

func newRandom(seed uint64) random {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return random{rand.NewChaCha8(key)}
}
