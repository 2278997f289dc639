//go:build unix

package site

import (
	"context"
	"syscall"
	"testing"
	"time"

	"holdfast"
)

// BenchmarkTransitLook is one comparison of all payments in transit between 64 shards of three sites in which nothing happens: what it costs
// all three, in processor time, with shards that may sleep on, and with all of them asked for what is so now, which wakes them for seconds more.
func BenchmarkTransitLook(b *testing.B) {
	f := newFleet(b, 3, 64)
	var accounts []holdfast.AccountID
	for n := range 64 {
		accounts = append(accounts, account(b, uint32(n+1), holdfast.Slot(n*1000/64+1)))
	}
	for _, a := range accounts {
		f.mustDo(f.site(1), f.open(a))
	}
	for n := range accounts {
		f.mustDo(f.site(1), f.pay(accounts[n], accounts[(n+1)%64], 1))
	}
	s := f.site(f.leader(mapShard))
	for _, row := range []struct {
		name string
		mode readMode
	}{{"asleep", s.sleepersAsHere}, {"woken", asOfNow}} {
		b.Run(row.name, func(b *testing.B) {
			eventually(b, "everybody sleeps", func() bool { return s.auditMarks() != nil })
			before := processorTime(b)
			b.ResetTimer()
			for range b.N {
				if _, _, err := s.transitLooks(context.Background(), row.mode); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			eventually(b, "everybody sleeps again", func() bool { return s.auditMarks() != nil })
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
