package link

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holdfast"
)

// counter is a handler that only counts.
type counter struct {
	frames, bytes atomic.Int64
	ahead         chan struct{} // when set, one is taken out for each frame
}

func (c *counter) Receive(_ holdfast.SiteID, _ holdfast.ShardID, payload []byte) {
	c.frames.Add(1)
	c.bytes.Add(int64(len(payload)))
	if c.ahead != nil {
		<-c.ahead
	}
}

func (c *counter) Serve(_ context.Context, _ holdfast.SiteID, _ string, payload []byte) ([]byte, error) {
	return payload, nil
}

// benchPair starts two sites without cables between them, and returns the first with the handler of the second.
func benchPair(b *testing.B, carriers int) (*Link, *counter) {
	b.Helper()
	f := &fleet{t: b, ca: newCA(b, "demo")}
	addresses := map[holdfast.SiteID][]string{}
	for range carriers {
		addresses[1] = append(addresses[1], freePort(b))
		addresses[2] = append(addresses[2], freePort(b))
	}
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
	eventually(b, "the sites are connected", func() bool {
		up := 0
		for _, l := range links {
			for _, c := range l.Peers()[0].Carriers {
				if c.Up {
					up++
				}
			}
		}
		return up == 2*carriers
	})
	return links[0], at[1]
}

// pour sends n payloads as fast as they get through, none dropped, with at most ahead of them under way.
func pour(b *testing.B, l *Link, to *counter, payload []byte, n, ahead int64) {
	b.Helper()
	to.ahead = make(chan struct{}, ahead)
	for range n {
		to.ahead <- struct{}{}
		l.Send(2, 1, payload)
	}
	eventually(b, "all have arrived", func() bool { return to.frames.Load() == n })
}

// over runs a benchmark over one carrier and over two, and reports the processor time of both ends beside the time that passed.
func over(b *testing.B, run func(b *testing.B, l *Link, to *counter)) {
	for carriers := 1; carriers <= 2; carriers++ {
		b.Run(fmt.Sprintf("carriers=%d", carriers), func(b *testing.B) {
			l, to := benchPair(b, carriers)
			b.ReportAllocs()
			before := processorTime(b)
			b.ResetTimer()
			run(b, l, to)
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSmallFrames(b *testing.B) {
	payload := make([]byte, 100)
	over(b, func(b *testing.B, l *Link, to *counter) { pour(b, l, to, payload, int64(b.N), 20_000) })
}

func BenchmarkBulk(b *testing.B) {
	payload := make([]byte, 1<<20)
	over(b, func(b *testing.B, l *Link, to *counter) {
		b.SetBytes(int64(len(payload)))
		pour(b, l, to, payload, int64(b.N), 16)
	})
}

func BenchmarkCall(b *testing.B) {
	payload := make([]byte, 100)
	over(b, func(b *testing.B, l *Link, _ *counter) {
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
	})
}
