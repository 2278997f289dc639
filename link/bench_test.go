package link

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
)

// counter is a handler that only counts.
type counter struct{ frames, bytes atomic.Int64 }

func (c *counter) Receive(_ holdfast.SiteID, _ holdfast.ShardID, payload []byte) {
	c.frames.Add(1)
	c.bytes.Add(int64(len(payload)))
}

func (c *counter) Serve(_ context.Context, _ holdfast.SiteID, _ string, payload []byte) ([]byte, error) {
	return payload, nil
}

// benchPair starts two sites without cables between them, and returns the first with the handler of the second.
func benchPair(b *testing.B) (*Link, *counter) {
	b.Helper()
	f := &fleet{t: b, ca: newCA(b, "demo")}
	addresses := map[holdfast.SiteID][]string{1: {freePort(b)}, 2: {freePort(b)}}
	var links [2]*Link
	var at [2]*counter
	for i := range links {
		site, other := holdfast.SiteID(i+1), holdfast.SiteID(2-i)
		at[i] = &counter{}
		l, err := New(Config{
			Site: site, Listen: addresses[site], Peers: map[holdfast.SiteID][]string{other: addresses[other]},
			Credentials: f.credentials(f.ca, site), Handler: at[i],
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		links[i] = l
	}
	eventually(b, "the sites are connected", func() bool { return links[0].Peers()[0].Up && links[1].Peers()[0].Up })
	return links[0], at[1]
}

// pour sends n payloads as fast as they get through, none dropped, with at most ahead of them under way.
func pour(b *testing.B, l *Link, to *counter, payload []byte, n, ahead int64) {
	b.Helper()
	for i := range n {
		for i-to.frames.Load() >= ahead {
			runtime.Gosched()
		}
		l.Send(2, 1, payload)
	}
	eventually(b, "all have arrived", func() bool { return to.frames.Load() == n })
}

func BenchmarkSmallFrames(b *testing.B) {
	l, to := benchPair(b)
	payload := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	pour(b, l, to, payload, int64(b.N), 20_000)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

func BenchmarkBulk(b *testing.B) {
	l, to := benchPair(b)
	payload := make([]byte, 1<<20)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	pour(b, l, to, payload, int64(b.N), 16)
}

func BenchmarkCall(b *testing.B) {
	l, _ := benchPair(b)
	payload := make([]byte, 100)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
			if _, err := l.Call(ctx, 2, "echo", payload); err != nil {
				b.Error(err)
			}
			cancel()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
