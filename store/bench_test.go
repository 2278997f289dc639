package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

// cpu returns the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(Options{Dir: b.TempDir(), FS: vfs.Default, OnFatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { mustClose(b, s) })
	return s
}

// BenchmarkPersist persists segments of 256k transfers over 10,000 accounts with ids that grow with time. us/transfer is
// processor time of the whole process while persisting, compactions included as far as they fall into it.
func BenchmarkPersist(b *testing.B) {
	for _, sorted := range []bool{true, false} {
		b.Run(fmt.Sprintf("sorted=%v", sorted), func(b *testing.B) { benchPersist(b, sorted) })
	}
}

func benchPersist(b *testing.B, sorted bool) {
	const transfers, batch = 256 << 10, 8192
	w := newWorld(b, benchStore(b), 1)
	w.openAccounts(10_000)
	w.checkpoint()
	var spent time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		g := fill(w, transfers, batch, sorted)
		before := cpu()
		b.StartTimer()
		if err := w.sh.Persist(g); err != nil {
			b.Fatal(err)
		}
		spent += cpu() - before
		w.state.Forget(g)
	}
	b.StopTimer()
	b.ReportMetric(float64(spent.Nanoseconds())/1e3/float64(b.N*transfers), "cpu-us/transfer")
	m := w.s.state.Metrics()
	b.ReportMetric(float64(m.Total().TablesIngested), "ingested")
	b.ReportMetric(float64(m.Compact.Duration.Nanoseconds())/1e3/float64(b.N*transfers), "compact-us/transfer")
	b.ReportMetric(float64(m.DiskSpaceUsage())/float64(b.N*transfers), "B/transfer")
	b.Logf("%s", m.String())
}

func fill(w *world, transfers, batch int, sorted bool) *ledger.Segment {
	for n := 0; n < transfers; n += batch {
		txns := make([]*holdfast.Txn, batch)
		for i := range txns {
			txns[i] = w.pay(w.newID(sorted))
			w.now += 2500 // 400,000 a second
		}
		w.done(txns...)
	}
	w.ids = w.ids[:0]
	return w.seal()
}
