package site

import (
	"context"
	"sync/atomic"
	"testing"

	"holdfast"
)

// BenchmarkForward pays through a site that does not lead, from many callers at once, over a real link.
func BenchmarkForward(b *testing.B) { benchmarkSingles(b, 3, false) }

// BenchmarkLeader pays through the site that leads.
func BenchmarkLeader(b *testing.B) { benchmarkSingles(b, 3, true) }

// BenchmarkAlone pays at a fleet of one.
func BenchmarkAlone(b *testing.B) { benchmarkSingles(b, 1, true) }

func benchmarkSingles(b *testing.B, sites int, atLeader bool) {
	f := newFleet(b, sites, 1)
	x, y := account(b, 1, 1), account(b, 2, 2)
	f.mustDo(f.site(1), f.open(x, y))
	leader := f.leader(1)
	s := f.site(leader)
	if !atLeader {
		s = f.other(leader)
	}
	var notDone atomic.Int64
	b.SetParallelism(128)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			outcomes, err := s.Submit(context.Background(), []holdfast.Txn{f.pay(x, y, 1)}, false)
			if err != nil || outcomes[0].Status != holdfast.Done {
				notDone.Add(1)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
	if n := notDone.Load(); n > 0 {
		b.Errorf("%d of %d payments were not done", n, b.N)
	}
	for _, e := range s.Events(0) {
		if e.Kind == EventAlone {
			b.Logf("%+v", e)
		}
	}
}
