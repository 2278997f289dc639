package shard

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/store"
)

const benchAccounts = 10_000

// benchHost is one site on the real disk, with accounts.
func benchHost(b *testing.B) *Host {
	b.Helper()
	st, err := store.Open(store.Options{Dir: b.TempDir(), OnFatal: func(err error) { b.Error(err) }, ReserveBytes: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	h, err := NewHost(HostConfig{
		Site: 1, Sites: []holdfast.SiteID{1}, Shards: []holdfast.ShardID{testShard}, Store: st,
		Send: func(holdfast.SiteID, holdfast.ShardID, []byte) {}, OnFatal: func(err error) { b.Error(err) },
	})
	if err != nil {
		b.Fatal(err)
	}
	h.Start()
	b.Cleanup(func() {
		if err := h.Stop(context.Background()); err != nil {
			b.Error(err)
		}
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	for !h.Leader(testShard).Self {
		<-h.LeaderChanged(testShard)
	}
	openAccounts(b, h)
	return h
}

func openAccounts(b *testing.B, h *Host) {
	b.Helper()
	var batch Batch
	for first := uint32(0); first < benchAccounts; first += 1000 {
		var accounts []uint32
		for a := first; a < first+1000; a++ {
			accounts = append(accounts, a)
		}
		t := openTxn(uint64(first)+1, accounts...)
		batch.Add(&t)
	}
	out, err := h.Submit(context.Background(), testShard, true, batch)
	if err != nil || out[0].Status != holdfast.Done {
		b.Fatalf("opening accounts: %v, %+v", err, out)
	}
}

// payments makes random payments with rising ids.
type payments struct {
	r        *rand.Rand
	accounts []holdfast.AccountID
	n        *atomic.Uint64
}

func newPayments(seed uint64, n *atomic.Uint64) *payments {
	p := &payments{r: rand.New(rand.NewPCG(seed, 1)), n: n}
	for a := range uint32(benchAccounts) {
		p.accounts = append(p.accounts, testAccount(a))
	}
	return p
}

func (p *payments) next() holdfast.Txn {
	from := p.r.IntN(benchAccounts)
	to := (from + 1 + p.r.IntN(benchAccounts-1)) % benchAccounts
	return holdfast.Txn{
		ID: holdfast.NewID(holdfast.TimeOf(time.Now()), [10]byte(binary.BigEndian.AppendUint64([]byte{0, 0}, p.n.Add(1)))),
		Transfers: []holdfast.Transfer{{
			Kind: holdfast.Immediate, Debit: p.accounts[from], Credit: p.accounts[to], Amount: 1,
		}},
	}
}

func reportLatency(b *testing.B, took []time.Duration, count int, elapsed time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(count)/elapsed.Seconds(), "payments/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// pay submits one payment.
func (p *payments) pay(b *testing.B, h *Host) time.Duration {
	t := p.next()
	var batch Batch
	batch.Add(&t)
	began := time.Now()
	out, err := h.Submit(context.Background(), testShard, false, batch)
	if err != nil || out[0].Status != holdfast.Done {
		b.Errorf("payment: %v, %+v", err, out)
	}
	return time.Since(began)
}

func BenchmarkHostSingle256(b *testing.B) { benchSingles(b, benchHost(b), 256) }

func benchSingles(b *testing.B, h *Host, callers int) {
	b.Helper()
	var n atomic.Uint64
	var mu sync.Mutex
	var all []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	for c := range callers {
		wg.Go(func() {
			p := newPayments(uint64(c), &n)
			var took []time.Duration
			for left.Add(-1) >= 0 {
				took = append(took, p.pay(b, h))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	wg.Wait()
	reportLatency(b, all, b.N, time.Since(began))
}

// bulk saturates a host with batches from callers until stop is closed; it counts what was done.
func bulk(b *testing.B, h *Host, callers int, n *atomic.Uint64, more func() bool, done *atomic.Int64) *sync.WaitGroup {
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			p := newPayments(uint64(c)+1000, n)
			for more() {
				var batch Batch
				for range holdfast.MaxLegs {
					t := p.next()
					batch.Add(&t)
				}
				out, err := h.Submit(context.Background(), testShard, true, batch)
				if err != nil || out[0].Status != holdfast.Done {
					b.Errorf("batch: %v", err)
				}
				done.Add(int64(len(out)))
			}
		})
	}
	return &wg
}

// BenchmarkHostBatch counts batches of 8,000 in b.N.
func BenchmarkHostBatch(b *testing.B) {
	h := benchHost(b)
	var n atomic.Uint64
	var left, done atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	began := time.Now()
	bulk(b, h, 4, &n, func() bool { return left.Add(-1) >= 0 }, &done).Wait()
	b.ReportMetric(float64(done.Load())/time.Since(began).Seconds(), "transfers/s")
}

// BenchmarkHostSingleBesideBulk is 500 single payments a second, b.N in all, beside batches that saturate the host.
func BenchmarkHostSingleBesideBulk(b *testing.B) {
	h := benchHost(b)
	var n atomic.Uint64
	var done atomic.Int64
	var stop atomic.Bool
	load := bulk(b, h, 4, &n, func() bool { return !stop.Load() }, &done)
	b.ResetTimer()
	began := time.Now()
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	p := newPayments(1, &n)
	for i := range b.N {
		time.Sleep(time.Until(began.Add(time.Duration(i) * 2 * time.Millisecond)))
		t := p.next()
		wg.Go(func() {
			var batch Batch
			batch.Add(&t)
			at := time.Now()
			if _, err := h.Submit(context.Background(), testShard, false, batch); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(at)
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	stop.Store(true)
	load.Wait()
	reportLatency(b, took, b.N, elapsed)
	b.ReportMetric(float64(done.Load())/elapsed.Seconds(), "bulk/s")
}

// BenchmarkThreeHostsSingle256 is three hosts in one process on real disks, joined by channels, with 256 callers at the leader.
func BenchmarkThreeHostsSingle256(b *testing.B) {
	hosts := map[holdfast.SiteID]*Host{}
	sites := []holdfast.SiteID{1, 2, 3}
	var up atomic.Bool
	for _, id := range sites {
		st, err := store.Open(store.Options{Dir: b.TempDir(), OnFatal: func(err error) { b.Error(err) }, ReserveBytes: 1 << 20})
		if err != nil {
			b.Fatal(err)
		}
		hosts[id], err = NewHost(HostConfig{
			Site: id, Sites: sites, Shards: []holdfast.ShardID{testShard}, Store: st, OnFatal: func(err error) { b.Error(err) },
			Send: func(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
				if up.Load() {
					hosts[to].Receive(id, shard, payload)
				}
			},
			Call: func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
				return hosts[to].Serve(ctx, id, method, payload)
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			up.Store(false)
			_ = hosts[id].Stop(context.Background())
			_ = st.Close()
		})
	}
	up.Store(true)
	for _, id := range sites {
		hosts[id].Start()
	}
	lead := waitForLeader(hosts)
	openAccounts(b, lead)
	benchSingles(b, lead, 256)
}

func waitForLeader(hosts map[holdfast.SiteID]*Host) *Host {
	for {
		for _, h := range hosts {
			if h.Leader(testShard).Self {
				return h
			}
		}
		<-hosts[1].LeaderChanged(testShard)
	}
}
