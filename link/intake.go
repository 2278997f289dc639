package link

import (
	"sync"
	"time"
)

// incarnation is one life of a peer's process, with what has been received of it.
type incarnation struct {
	id    uint64
	lanes [lanes]intake
	loss  lossMeter
}

func newIncarnation(id uint64, carriers int) *incarnation {
	i := &incarnation{id: id, loss: lossMeter{samples: make([][lossSeconds]loss, carriers)}}
	for l := range i.lanes {
		i.lanes[l].seen.carriers = make([]tally, carriers)
	}
	return i
}

// intake takes each message of a lane once, whatever carriers bring it.
type intake struct {
	mu     sync.Mutex // held while a message is handed over, so that two carriers keep the order
	urgent window     // of laneControl, which has no order
	top    uint64     // of the other lanes: the last sequence taken. What is not above it has been taken, or never will be

	seen sightings
}

// had reports whether a message of an ordered lane has been taken already.
func (in *intake) had(seq uint64) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return seq != 0 && seq <= in.top
}

// fresh reports, under mu, whether a message is new, and takes it. One without a sequence always is.
func (in *intake) fresh(f frame) bool {
	switch {
	case f.lane == laneControl:
		return in.urgent.fresh(f.seq)
	case f.seq == 0:
		return true
	case f.seq <= in.top:
		return false
	}
	in.top = f.seq
	return true
}

// sightings counts which carrier brought which messages of a lane that all should bring.
type sightings struct {
	mu       sync.Mutex
	begun    bool
	carriers []tally
	history  [16]moment // a ring
	newest   int        // in history
}

// moment says up to which sequence messages had come at some time.
type moment struct {
	time time.Duration
	top  uint64
}

// tally counts what one carrier brought.
type tally struct {
	last   uint64 // largest sequence
	came   uint64
	late   uint64 // of these, more than the patience behind another carrier
	missed uint64 // another carrier brought them, this one went on without
}

// note counts a message that a carrier brought.
func (s *sightings) note(carrier int, seq uint64, now, patience time.Duration) {
	if seq == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun { // this process may be younger than the peer's
		s.begun = true
		for i := range s.carriers {
			s.carriers[i].last = seq - 1
		}
	}
	t := &s.carriers[carrier]
	switch {
	case seq > t.last:
		t.missed += seq - t.last - 1
		t.last = seq
	case t.missed > 0: // urgent messages may change places
		t.missed--
	}
	t.came++
	if seq <= s.before(now-patience) {
		t.late++
	}
	s.remember(moment{now, seq}, patience/8)
}

// remember notes, under mu, that messages up to a sequence have come.
func (s *sightings) remember(m moment, apart time.Duration) {
	if newest := &s.history[s.newest]; m.top > newest.top && m.time-newest.time >= apart {
		s.newest = (s.newest + 1) % len(s.history)
		s.history[s.newest] = m
	}
}

// before is the largest sequence known, under mu, to have come before a time; 0 when that is too long ago.
func (s *sightings) before(t time.Duration) uint64 {
	for i := range s.history {
		if m := &s.history[(s.newest+len(s.history)-i)%len(s.history)]; m.time <= t {
			return m.top
		}
	}
	return 0
}

// loss is what one carrier should have brought because another one did, and what of it came late or never.
type loss struct{ all, missed, late uint64 }

// of sums up what a carrier did in a lane.
func (s *sightings) of(carrier int, now, patience time.Duration) loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.carriers[carrier]
	if due := s.before(now - patience); due > t.last { // it has been silent while another was not
		t.missed += due - t.last
	}
	return loss{all: t.came + t.missed, missed: t.missed, late: t.late}
}

// lossOf sums up what a carrier did in the lanes that all carriers share. Lateness is judged by the patience.
func (i *incarnation) lossOf(carrier int, now, patience time.Duration) loss {
	a := i.lanes[laneControl].seen.of(carrier, now, patience)
	b := i.lanes[laneInteractive].seen.of(carrier, now, patience)
	return loss{all: a.all + b.all, missed: a.missed + b.missed, late: a.late + b.late}
}

// lossMeter keeps the sums of the last seconds.
type lossMeter struct {
	mu      sync.Mutex
	samples [][lossSeconds]loss // by carrier, rings
	oldest  int
}

const lossSeconds = 8

func (i *incarnation) sampleLoss(now, patience time.Duration) {
	m := &i.loss
	m.mu.Lock()
	defer m.mu.Unlock()
	for carrier := range m.samples {
		m.samples[carrier][m.oldest] = i.lossOf(carrier, now, patience)
	}
	m.oldest = (m.oldest + 1) % lossSeconds
}

// share is the share of a carrier's messages that came late or never since the oldest sample.
func (m *lossMeter) share(carrier int, now loss) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.samples[carrier][m.oldest]
	bad, oldBad := now.missed+now.late, old.missed+old.late
	if now.all <= old.all || bad <= oldBad {
		return 0
	}
	return min(float64(bad-oldBad)/float64(now.all-old.all), 1)
}
