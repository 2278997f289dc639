package drill

import (
	"context"
	"slices"
	"sync"
	"time"
)

// meter reads how many bytes the sites send over each carrier, while the load runs.
type meter struct {
	cables *cables
	clock  func() time.Duration

	mu    sync.Mutex
	reads []Reading
}

// Reading is a state of the meters of all carriers. It counts what the sites hand to a line, whatever becomes of it: what is lost
// was paid for. Bytes are those of TCP's payload, TLS and repetitions of the link included, without the headers of packets.
type Reading struct {
	At   time.Duration // since the start of the load
	Sent []uint64      // bytes since the cables were laid, by carrier

	// Tardy is the longest that bytes left a cable later than they were due, since the reading before: for so long the cables had no
	// processor, and for the sites everything was cut.
	Tardy time.Duration
}

const meterEvery = 100 * time.Millisecond

// watch reads until the context ends. Cables that do not answer are somebody else's finding.
func (m *meter) watch(ctx context.Context) {
	for rest(ctx, meterEvery) == nil {
		sent, tardy, err := m.cables.stats()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.reads = append(m.reads, Reading{m.clock(), sent, tardy})
		m.mu.Unlock()
	}
}

func (m *meter) history() []Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.reads)
}

// rates is how many bytes a second went over each carrier lately.
func (m *meter) rates(carriers int) []float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]float64, carriers)
	const steps = 5
	if len(m.reads) <= steps {
		return out
	}
	a, b := &m.reads[len(m.reads)-1-steps], &m.reads[len(m.reads)-1]
	for i := range min(carriers, len(a.Sent)) {
		out[i] = float64(b.Sent[i]-a.Sent[i]) / (b.At - a.At).Seconds()
	}
	return out
}

// span is a stretch of the load.
type span struct{ from, until time.Duration }

func (s span) has(at time.Duration) bool { return at >= s.from && at < s.until }

// sent gives the bytes that went over each carrier in a span, between the first and the last reading in it, and when these were.
func sent(reads []Reading, within span) (bytes []uint64, between span) {
	first := slices.IndexFunc(reads, func(r Reading) bool { return within.has(r.At) })
	last := lastIndex(reads, func(r Reading) bool { return within.has(r.At) })
	if first < 0 || last <= first {
		return nil, span{}
	}
	for i := range reads[first].Sent {
		bytes = append(bytes, reads[last].Sent[i]-reads[first].Sent[i])
	}
	return bytes, span{reads[first].At, reads[last].At}
}

func lastIndex[T any](list []T, is func(T) bool) int {
	for i, v := range slices.Backward(list) {
		if is(v) {
			return i
		}
	}
	return -1
}
