package shard

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"holdfast"
)

// Nonce marks an entry with its origin: a number of the process drawn at its start, and a count. Whoever waits for an entry
// recognises it by its nonce and by nothing else: the entry at the expected index may be another leader's.
type Nonce = [16]byte

// part is a stretch of transactions of one request within an entry.
type part struct {
	request *Request
	from    int // the first transaction, within the request
	count   int
}

// flight is an entry that was proposed and has not been applied.
type flight struct {
	parts   []part
	bulk    bool
	started holdfast.Time
}

// Answers connects proposed entries with the callers that wait for them. The consensus side expects and loses, the apply side
// settles: safe for concurrent use.
type Answers struct {
	mu      sync.Mutex
	flights map[Nonce]*flight
	order   []Nonce // oldest first; may hold nonces that are settled
	single  int
	bulk    int
	took    int64 // nanoseconds from proposal to outcome of the last bulk entry; 0: seen already
}

// NewAnswers makes an empty table.
func NewAnswers() *Answers { return &Answers{flights: map[Nonce]*flight{}} }

func (a *Answers) expect(nonce Nonce, f *flight) {
	for _, p := range f.parts {
		p.request.expectPart(p.from+p.count == p.request.Batch.Count())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flights[nonce] = f
	if PlantedAnyNonce {
		a.order = append(a.order, nonce)
	}
	a.count(f, 1)
}

func (a *Answers) count(f *flight, n int) {
	if f.bulk {
		a.bulk += n
		return
	}
	a.single += n
}

// busy reports whether an entry is under way that somebody waits for.
func (a *Answers) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.flights) > 0
}

// Settle hands the outcomes of an applied entry to those who wait for its nonce, if anybody does here.
func (a *Answers) Settle(nonce Nonce, outcomes []holdfast.Outcome, now holdfast.Time) {
	if PlantedAnyNonce {
		nonce, outcomes = a.next(outcomes)
	}
	f := a.take(nonce, now)
	if f == nil {
		return
	}
	at := 0
	for _, p := range f.parts {
		p.request.settlePart(p.from, outcomes[at:at+p.count:at+p.count])
		at += p.count
	}
}

// Abandon answers those who wait for the nonce of an applied entry, if anybody does here, that nobody can tell them its outcomes.
func (a *Answers) Abandon(nonce Nonce, now holdfast.Time) {
	if f := a.take(nonce, now); f != nil {
		f.fail(ErrLost)
	}
}

func (f *flight) fail(err error) {
	for _, p := range f.parts {
		p.request.fail(err)
	}
}

// waits reports whether somebody waits for an entry.
func (a *Answers) waits(nonce Nonce) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.flights[nonce] != nil || PlantedAnyNonce
}

// next is the planted mistake: whatever was applied is taken for the entry that has waited longest. Outcomes that are missing
// then are made up, as not known.
func (a *Answers) next(outcomes []holdfast.Outcome) (Nonce, []holdfast.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) == 0 {
		return Nonce{}, nil
	}
	nonce := a.order[0]
	a.order = a.order[1:]
	size := 0
	if f := a.flights[nonce]; f != nil {
		for _, p := range f.parts {
			size += p.count
		}
	}
	return nonce, append(slices.Clone(outcomes), make([]holdfast.Outcome, size)...)
}

func (a *Answers) take(nonce Nonce, now holdfast.Time) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flights[nonce]
	if f == nil {
		return nil
	}
	delete(a.flights, nonce)
	a.count(f, -1)
	if f.bulk {
		a.took = max(int64(now-f.started), 1)
	}
	return f
}

// drop forgets an entry that the log did not take after all, and answers nobody.
func (a *Answers) drop(nonce Nonce) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[nonce]; f != nil {
		delete(a.flights, nonce)
		a.count(f, -1)
	}
}

// lose answers everybody that waits: what was proposed may or may not happen, and this replica cannot tell any more.
func (a *Answers) lose(err error) {
	a.mu.Lock()
	var lost []*flight
	oldest := slices.SortedFunc(maps.Keys(a.flights), func(x, y Nonce) int { return bytes.Compare(x[:], y[:]) })
	for _, nonce := range oldest {
		lost = append(lost, a.flights[nonce])
	}
	clear(a.flights)
	a.order, a.single, a.bulk = nil, 0, 0
	a.mu.Unlock()
	for _, f := range lost {
		f.fail(err)
	}
}

// underway is how many entries of each class are proposed and not applied, and how long the last bulk entry took if nobody
// has asked since.
func (a *Answers) underway() (single, bulk int, took int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took, a.took = a.took, 0
	return a.single, a.bulk, took
}
