package store

import (
	"flag"
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

// BenchmarkWriteBulk writes entries of 900 kB, synced, as a saturating batch load does.
func BenchmarkWriteBulk(b *testing.B) {
	s := benchStore(b)
	data := make([]byte, 900<<10)
	before := cpu()
	b.SetBytes(int64(len(data)))
	for i := range b.N {
		e := Entry{Index: uint64(i) + 1, Term: 1, Data: data}
		if err := s.Write([]Write{{Shard: testShard, Entries: []Entry{e}, Sync: true}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N*len(data)), "cpu-ns/B")
	m := s.log.Metrics()
	b.ReportMetric(float64(m.Compact.Duration.Nanoseconds())/float64(b.N*len(data)), "compact-ns/B")
	b.ReportMetric(float64(m.DiskSpaceUsage())/float64(b.N*len(data)), "disk-B/B")
}

// BenchmarkWriteSmall writes entries of 200 bytes, each with its fsync, as a single caller does.
func BenchmarkWriteSmall(b *testing.B) {
	s := benchStore(b)
	data := make([]byte, 200)
	for i := range b.N {
		e := Entry{Index: uint64(i) + 1, Term: 1, Data: data}
		if err := s.Write([]Write{{Shard: testShard, Hard: &HardState{Commit: uint64(i)}, Entries: []Entry{e}, Sync: true}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsync/s")
}

// BenchmarkPromise is what the witness adds to a synced write: a statement of eight shards, and its share of the fsyncs.
func BenchmarkPromise(b *testing.B) {
	s := benchStore(b)
	shards := make([]promise, 8)
	for i := range shards {
		shards[i] = promise{shard: holdfast.ShardID(i + 1), index: 1 << 30, term: 5}
	}
	syncs := 0
	for range b.N {
		before := s.witness.synced
		if err := s.witness.promise(false, shards...); err != nil {
			b.Fatal(err)
		}
		if s.witness.synced != before {
			syncs++
		}
	}
	b.ReportMetric(float64(syncs)/b.Elapsed().Seconds(), "fsync/s")
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(max(1, syncs)), "ms-between-fsyncs")
}

// BenchmarkLoad loads a checkpoint; -accounts says of how many accounts.
func BenchmarkLoad(b *testing.B) {
	s := benchStore(b)
	w := newWorld(b, s, 1)
	for len(w.accounts) < *loadAccounts {
		w.openAccounts(min(len(w.accounts)+500_000, *loadAccounts))
		w.checkpoint()
	}
	b.ResetTimer()
	for range b.N {
		if _, err := w.sh.Load(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N**loadAccounts), "ns/account")
}

var loadAccounts = flag.Int("accounts", 100_000, "accounts of BenchmarkLoad")

// BenchmarkFind looks ids up among four segments of 256k: used ones, and new ones of both shapes.
func BenchmarkFind(b *testing.B) {
	for _, sorted := range []bool{true, false} {
		w := newWorld(b, benchStore(b), 1)
		w.openAccounts(1000)
		var used []holdfast.ID
		for range 4 {
			for range 32 {
				txns := make([]*holdfast.Txn, 8192)
				for i := range txns {
					txns[i] = w.pay(w.newID(sorted))
					w.now += 2500
				}
				w.done(txns...)
			}
			used = append(used, w.ids...)
			w.ids = w.ids[:0]
			w.checkpoint()
		}
		for name, next := range map[string]func(i int) holdfast.ID{
			"used": func(int) holdfast.ID { return used[w.rng.IntN(len(used))] },
			"new":  func(int) holdfast.ID { w.now += 2500; return w.newID(sorted) },
		} {
			b.Run(fmt.Sprintf("sorted=%v/%s", sorted, name), func(b *testing.B) {
				for i := range b.N {
					if _, found, err := w.sh.Find(next(i)); err != nil || found != (name == "used") {
						b.Fatal(found, err)
					}
				}
			})
		}
	}
}
