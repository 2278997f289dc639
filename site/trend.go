package site

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// TrendKept is how far back [Site.Trend] remembers.
const TrendKept = time.Hour

// Trend is how this site did, step by step, oldest first. It begins with the start of the process, at most [TrendKept] ago, and ends with the
// last whole second. Nobody has stored it: it is for people who look at what is going on.
type Trend struct {
	Site   holdfast.SiteID
	Name   string
	Step   time.Duration
	Points []TrendPoint
}

// TrendPoint is what happened in one step of a [Trend], or how things stood at its end.
type TrendPoint struct {
	At      time.Time // its end
	Seconds int       // that it covers; the last step may be shorter

	Done    uint64 // transactions that callers brought to this site and that were executed
	Refused uint64 // refused for what they ask for
	Unfit   uint64 // not executed for what the fleet could not do just then: no majority, too busy ...
	Unknown uint64 // without an answer at their deadline

	P50, P99 time.Duration // from the call to the outcome of all its transactions, to within a fifth; 0: there were no calls

	Elections uint64 // of all shards, as seen here
	Waiting   int64  // transactions under way, at the end
	DiskWrite time.Duration
	DiskFree  uint64 // bytes
	Majority  bool   // heard throughout
}

// trend takes one sample a second.
type trend struct {
	counts trendCounts // since the start
	took   [trendBuckets]atomic.Uint64

	mu   sync.Mutex
	ring []trendSample // guarded by mu; the sample of second n is at n % trendSeconds
	n    int           // guarded by mu; samples ever taken

	// The sampler's goroutine only:
	before struct {
		counts    [4]uint64
		took      [trendBuckets]uint64
		elections uint64
	}

	cancel context.CancelFunc
	done   sync.WaitGroup
}

const (
	trendSeconds = int(TrendKept / time.Second)
	// Four buckets for each doubling from 2^trendLeast microseconds on: a bucket is at most a quarter wider than where it begins.
	trendLeast   = 5
	trendBuckets = 4 * 19
)

type trendCounts [4]atomic.Uint64

// Indices of trendCounts.
const (
	trendDone = iota
	trendRefused
	trendUnfit
	trendUnknown
)

type trendSample struct {
	at        time.Time
	counts    [4]uint32
	took      [trendBuckets]uint16 // saturates
	elections uint32
	waiting   int64
	write     time.Duration
	free      uint64
	majority  bool
}

// observe notes one call. It runs on the way of a payment: a handful of additions.
func (t *trend) observe(outcomes []holdfast.Outcome, took time.Duration) {
	var counts [4]uint64
	for i := range outcomes {
		counts[trendOf(&outcomes[i])]++
	}
	for i, n := range counts {
		if n > 0 {
			t.counts[i].Add(n)
		}
	}
	t.took[trendBucket(took)].Add(1)
}

func trendOf(o *holdfast.Outcome) int {
	switch o.Status {
	case holdfast.Done:
		return trendDone
	case holdfast.Refused:
		return trendRefused
	case holdfast.NotExecuted:
		return trendUnfit
	default:
		return trendUnknown
	}
}

// trendBucket finds the bucket of a duration: the exponent, and the two bits after the first.
func trendBucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	exponent := bits.Len64(us) - 1
	if exponent < trendLeast {
		return 0
	}
	return min(4*(exponent-trendLeast)+int(us>>(exponent-2)&3), trendBuckets-1)
}

// trendBound is where a bucket ends.
func trendBound(bucket int) time.Duration {
	exponent, quarter := bucket/4+trendLeast, bucket%4
	return time.Duration(uint64(quarter+5)<<(exponent-2)) * time.Microsecond
}

// sample takes in the second that ends now.
func (t *trend) sample(s trendSample, elections uint64) {
	for i := range t.counts {
		n := t.counts[i].Load()
		s.counts[i] = uint32(min(n-t.before.counts[i], 1<<32-1))
		t.before.counts[i] = n
	}
	for i := range t.took {
		n := t.took[i].Load()
		s.took[i] = uint16(min(n-t.before.took[i], 1<<16-1))
		t.before.took[i] = n
	}
	if elections >= t.before.elections { // less: a shard has gone
		s.elections = uint32(elections - t.before.elections)
	}
	t.before.elections = elections

	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ring) < trendSeconds {
		t.ring = append(t.ring, s)
	} else {
		t.ring[t.n%trendSeconds] = s
	}
	t.n++
}

// points puts the samples of the last while together, so many seconds to a step.
func (t *trend) points(last, step int) []TrendPoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := min(len(t.ring), last)
	points := make([]TrendPoint, 0, have/step+1)
	// Steps begin at multiples of themselves, so that a point does not change when somebody asks again a second later.
	for i := t.n - have; i < t.n; {
		end := min((i/step+1)*step, t.n)
		points = append(points, t.point(i, end))
		i = end
	}
	return points
}

// point sums up samples; mu is held.
func (t *trend) point(from, to int) TrendPoint {
	p := TrendPoint{Seconds: to - from, Majority: true}
	var took [trendBuckets]uint64
	var calls uint64
	for i := from; i < to; i++ {
		s := &t.ring[i%trendSeconds]
		p.Done += uint64(s.counts[trendDone])
		p.Refused += uint64(s.counts[trendRefused])
		p.Unfit += uint64(s.counts[trendUnfit])
		p.Unknown += uint64(s.counts[trendUnknown])
		p.Elections += uint64(s.elections)
		p.Majority = p.Majority && s.majority
		p.At, p.Waiting, p.DiskFree = s.at, s.waiting, s.free
		p.DiskWrite = max(p.DiskWrite, s.write)
		for b, n := range s.took {
			took[b] += uint64(n)
			calls += uint64(n)
		}
	}
	p.P50, p.P99 = trendQuantile(&took, calls, 50), trendQuantile(&took, calls, 99)
	return p
}

// trendQuantile is the end of the bucket in which the slowest of the fastest so many percent is.
func trendQuantile(took *[trendBuckets]uint64, calls, percent uint64) time.Duration {
	if calls == 0 {
		return 0
	}
	rank, seen := (calls*percent+99)/100, uint64(0)
	for b, n := range took {
		if seen += n; seen >= rank {
			return trendBound(b)
		}
	}
	return trendBound(trendBuckets - 1)
}

// Trend tells how this site did in the last while, at most [TrendKept], with so much time in each point, at least a second.
func (s *Site) Trend(last, step time.Duration) Trend {
	step = max(step.Truncate(time.Second), time.Second)
	last = min(max(last, step), TrendKept)
	return Trend{
		Site: s.cfg.Site, Name: s.cfg.Name, Step: step,
		Points: s.trend.points(int(last/time.Second), int(step/time.Second)),
	}
}

func (s *Site) startTrend(context.Context) error {
	var ctx context.Context
	ctx, s.trend.cancel = context.WithCancel(context.Background())
	s.trend.done.Go(func() { s.keepTrend(ctx) })
	return nil
}

func (s *Site) stopTrend(context.Context) error {
	s.trend.cancel()
	s.trend.done.Wait()
	return nil
}

func (s *Site) keepTrend(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.sampleTrend()
		}
	}
}

func (s *Site) sampleTrend() {
	var elections uint64
	for id := range s.extent.Load().now {
		elections += s.board.elections(holdfast.ShardID(id + 1))
	}
	_, free := s.disk.look(s.store)
	s.trend.sample(trendSample{
		at: time.Now(), waiting: s.gate.inside.Load(), write: s.host.Health().Median, free: free,
		majority: s.watch.majority.Load().heard,
	}, elections)
}
