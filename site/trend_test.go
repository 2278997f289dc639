package site

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
)

// A quantile is told as the end of its bucket: never less than what was measured, and at most a quarter more.
func TestTrendBucketsHoldWhatTheySay(t *testing.T) {
	for us := int64(1); us < 10_000_000; us += 1 + us/37 {
		d := time.Duration(us) * time.Microsecond
		told := trendBound(trendBucket(d))
		if told <= d || us >= 1<<trendLeast && told > d*5/4+time.Microsecond {
			t.Fatalf("%v is told as %v", d, told)
		}
	}
}

func TestTrendSumsUpWhatCallersMet(t *testing.T) {
	var x trend
	second := func(elections uint64, majority bool, calls ...time.Duration) {
		for _, took := range calls {
			x.observe([]holdfast.Outcome{{Status: holdfast.Done}}, took)
		}
		x.sample(trendSample{at: time.Unix(int64(x.n+1), 0), waiting: int64(x.n), majority: majority}, elections)
	}
	second(3, true, time.Millisecond, time.Millisecond, time.Millisecond, 80*time.Millisecond)
	x.observe([]holdfast.Outcome{{Status: holdfast.Refused}, {Status: holdfast.NotExecuted}, {}}, 2*time.Second)
	second(3, false)
	second(5, true, 10*time.Millisecond)

	want := []TrendPoint{
		{
			At: time.Unix(2, 0), Seconds: 2, Done: 4, Refused: 1, Unfit: 1, Unknown: 1, Elections: 3, Waiting: 1,
			P50: trendBound(trendBucket(time.Millisecond)), P99: trendBound(trendBucket(2 * time.Second)),
		},
		{
			At: time.Unix(3, 0), Seconds: 1, Done: 1, Elections: 2, Waiting: 2, Majority: true,
			P50: trendBound(trendBucket(10 * time.Millisecond)), P99: trendBound(trendBucket(10 * time.Millisecond)),
		},
	}
	if diff := cmp.Diff(want, x.points(10, 2)); diff != "" {
		t.Error(diff)
	}
}

// After an hour the oldest is forgotten; steps stay where they were, so that a point never changes.
func TestTrendKeepsAnHour(t *testing.T) {
	var x trend
	for i := range trendSeconds + 5 {
		x.observe(make([]holdfast.Outcome, 1), time.Millisecond)
		x.sample(trendSample{at: time.Unix(int64(i+1), 0)}, 0)
	}
	points := x.points(trendSeconds, 60)
	var calls uint64
	for i, p := range points {
		calls += p.Unknown
		if p.At.Unix()%60 != 0 && i < len(points)-1 {
			t.Errorf("step %d ends at second %d", i, p.At.Unix())
		}
	}
	if len(points) != 61 || calls != uint64(trendSeconds) || points[0].Seconds != 55 {
		t.Errorf("%d points with %d calls, the first of %d seconds", len(points), calls, points[0].Seconds)
	}
}
