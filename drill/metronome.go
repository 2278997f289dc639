package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"time"
)

// A drill that compares how long callers waited while something was broken with how long they waited before has to know when the
// machine itself stood still. All sites, cables and callers of a drill share one disk and a few processors, and there are moments, on a
// virtual machine most of all, in which neither does anything for tens of milliseconds. Everybody who pays just then waits, broken
// carriers or none.

// metronome does again and again what every payment needs of the machine and nothing else: it waits for its moment, and brings a few
// bytes to the disk of the sites. It sends nothing over any cable. A beat that comes late shows that the machine stood still.
type metronome struct {
	file  *os.File
	clock func() time.Duration

	mu   sync.Mutex
	late []Stall

	took [usualBeats]time.Duration // of the last beats, a ring; watch only
	n    int                       // beats so far; watch only
}

// Stall is a stretch of the load in which the machine stood still.
type Stall struct{ From, Until time.Duration }

const (
	beatEvery = 10 * time.Millisecond
	// stallLeast is how late a beat is that shows a stall. A machine that is busy and lets everybody run has beats that are 5 to 8 ms late
	// all the time, and who pays there waits for nothing in particular.
	stallLeast = 10 * time.Millisecond
	// stallTimes is how many times later than usual just then it is as well: a disk that is slow for a minute does not stand still.
	stallTimes = 3
	usualBeats = 300 // that say what is usual: three seconds
)

func newMetronome(dir string, clock func() time.Duration) (*metronome, error) {
	f, err := os.Create(filepath.Join(dir, "metronome"))
	if err != nil {
		return nil, fmt.Errorf("make a file to see whether the disk stands still: %w", err)
	}
	m := &metronome{file: f, clock: clock}
	if err := m.beat(); err != nil { // the file gets its length before it matters
		_ = f.Close()
		return nil, err
	}
	return m, nil
}

func (m *metronome) beat() error {
	if _, err := m.file.WriteAt(make([]byte, 512), 0); err != nil {
		return err
	}
	return syncData(m.file)
}

// watch beats until the context ends. A nil metronome does nothing. A disk that fails is somebody else's finding: the sites stop.
func (m *metronome) watch(ctx context.Context) {
	if m == nil {
		return
	}
	for due := m.clock(); rest(ctx, due-m.clock()) == nil; {
		if m.beat() != nil {
			return
		}
		done := m.clock()
		if m.stands(done - due) {
			m.mu.Lock()
			m.late = append(m.late, Stall{due, done})
			m.mu.Unlock()
		}
		due = max(due+beatEvery, done)
	}
}

// stands takes in how late a beat was, and reports whether that is a stall.
func (m *metronome) stands(late time.Duration) bool {
	m.took[m.n%usualBeats] = late
	m.n++
	if late < stallLeast {
		return false
	}
	last := slices.Clone(m.took[:min(m.n, usualBeats)])
	slices.Sort(last)
	return late >= stallTimes*Quantile(last, 0.5)
}

// stalls tells when the machine stood still, in order of time.
func (m *metronome) stalls() []Stall {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.late)
}

func (m *metronome) close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// shadows are the times in which somebody waited for the machine, apart from each other and in order: while it stood still, and as
// long again, while what had gathered was worked off.
func shadows(stalls []Stall) (list []span) {
	for _, s := range stalls {
		until := s.Until + (s.Until - s.From)
		if n := len(list); n > 0 && s.From <= list[n-1].until {
			list[n-1].until = max(list[n-1].until, until)
			continue
		}
		list = append(list, span{s.From, until})
	}
	return list
}

// touched reports whether a stretch of time has anything in common with one of a list that is in order.
func touched(list []span, in span) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].until > in.from })
	return i < len(list) && list[i].from < in.until
}

// stalled is for how long the machine stood still within a stretch of time.
func stalled(stalls []Stall, in span) (sum time.Duration) {
	for _, s := range stalls {
		sum += max(0, min(s.Until, in.until)-max(s.From, in.from))
	}
	return sum
}
