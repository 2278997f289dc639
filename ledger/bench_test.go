package ledger

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"holdfast"
)

const (
	benchBatch = 8000
	benchSeal  = 256 << 10 // rows, ids and so on, after which a segment is sealed
)

// noPast is a store that has nothing and says so at once, as one with a filter does for new ids.
type noPast struct{}

func (noPast) Find(holdfast.ID) (Trace, bool, error)        { return Trace{}, false, nil }
func (noPast) Entry(uint64) ([]byte, error)                 { return nil, errNoEntry }
func (noPast) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }

// feeder makes entries of single transfers between accounts chosen at random, or all to one merchant.
type feeder struct {
	accounts []holdfast.AccountID
	hot      bool
	random   *rand.Rand
	time     holdfast.Time
	data     []byte
}

func newFeeder(accounts int, hot bool) *feeder {
	f := &feeder{hot: hot, random: rand.New(rand.NewPCG(1, 2)), time: 1_700_000_000_000_000_000}
	wallet, cny := holdfast.MustPurpose("wallet"), holdfast.MustAsset("CNY")
	f.accounts = make([]holdfast.AccountID, accounts)
	for i := range f.accounts {
		owner, err := holdfast.NewOwner(uint32(i), holdfast.Slot(i%holdfast.Slots))
		if err != nil {
			panic(err)
		}
		f.accounts[i] = holdfast.AccountID{Owner: owner, Purpose: wallet, Asset: cny}
	}
	return f
}

// restore gives every account money enough.
func (f *feeder) restore(b tester) *State {
	s := New()
	each := holdfast.Amount(1e12)
	total := AssetTotal{Asset: holdfast.MustAsset("CNY"), Accounts: uint64(len(f.accounts))}
	s.RestoreMeta(Meta{Accounts: uint64(len(f.accounts)), NextSeq: 1})
	for i, id := range f.accounts {
		a := holdfast.Account{ID: id, Limit: holdfast.LimitDebits, CreditsPosted: each}
		if i == 0 {
			a.Limit, a.CreditsPosted, a.DebitsPosted = holdfast.LimitNone, 0, each*holdfast.Amount(len(f.accounts)-1)
		}
		total.CreditsPosted.add(a.CreditsPosted)
		total.DebitsPosted.add(a.DebitsPosted)
		if err := s.RestoreAccount(&a); err != nil {
			b.Fatal(err)
		}
	}
	s.restoring.Totals = []AssetTotal{total}
	if err := s.Restored(); err != nil {
		b.Fatal(err)
	}
	return s
}

func (f *feeder) entry() []byte {
	f.time += 4_000_000
	b := AppendHeader(f.data[:0], Header{Kind: KindTxns, Time: f.time, Count: benchBatch})
	t := holdfast.Txn{Transfers: make([]holdfast.Transfer, 1)}
	for i := range benchBatch {
		var random [10]byte
		binary.LittleEndian.PutUint64(random[2:], f.random.Uint64())
		t.ID = holdfast.NewID(f.time+holdfast.Time(i), random)
		debit := f.random.IntN(len(f.accounts)-1) + 1
		credit := f.random.IntN(len(f.accounts))
		if f.hot || credit == debit {
			credit = 0
		}
		t.Transfers[0] = holdfast.Transfer{
			Kind: holdfast.Immediate, Debit: f.accounts[debit], Credit: f.accounts[credit], Amount: holdfast.Amount(1 + i%100), Code: 7,
		}
		b = AppendTxn(b, &t)
	}
	f.data = b
	return b
}

func benchmarkApply(b *testing.B, accounts int, hot bool) {
	f := newFeeder(accounts, hot)
	before := heap()
	s := f.restore(b)
	size := heap() - before
	var out []holdfast.Outcome
	var err error
	b.ResetTimer()
	for done := 0; done < b.N; done += benchBatch {
		b.StopTimer()
		data := f.entry()
		b.StartTimer()
		out, err = s.Apply(s.index+1, data, noPast{}, out[:0])
		if err != nil {
			b.Fatal(err)
		}
		if s.Pending() >= benchSeal {
			s.Seal()
			if len(s.sealed) > 1 { // the store is one segment behind
				s.Forget(s.sealed[0])
			}
		}
	}
	b.StopTimer()
	for i := range out {
		if out[i].Status != holdfast.Done {
			b.Fatalf("%+v", out[i])
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
	b.ReportMetric(float64(size)/float64(accounts), "B/account")
}

// trades makes an entry of payments as package pay makes them: two transfers, five records, two preconditions.
func (f *feeder) trades(n int) []byte {
	f.time += 4_000_000
	b := AppendHeader(f.data[:0], Header{Kind: KindTxns, Time: f.time, Count: uint32(n)})
	body := make([]byte, 180)
	for i := range n {
		var random [10]byte
		binary.LittleEndian.PutUint64(random[2:], f.random.Uint64())
		at := f.time + holdfast.Time(i)
		t := holdfast.Txn{ID: holdfast.NewID(at, random)}
		from, to := f.accounts[f.random.IntN(len(f.accounts)-1)+1], f.accounts[0]
		for k := range 2 {
			random[0]++
			t.Transfers = append(t.Transfers, holdfast.Transfer{
				ID: holdfast.NewID(at, random), Kind: holdfast.Immediate, Debit: from, Credit: to, Amount: holdfast.Amount(1 + k), Code: 1,
			})
		}
		key := func(o holdfast.Owner, kind string) string {
			return fmt.Sprintf("%s%s/%s/%x", holdfast.OwnedPrefix, o, kind, random)
		}
		t.Preconditions = []holdfast.Precondition{{Key: key(to.Owner, "merchant")}, {Key: key(to.Owner, "day")}}
		t.Records = []holdfast.RecordChange{
			{Key: key(from.Owner, "wallet"), Body: body[:40]},
			{Key: key(from.Owner, "receipt"), Body: body[:80]},
			{Key: key(to.Owner, "trade"), Body: body},
			{Key: key(to.Owner, "no"), Body: body[:20]},
			{Key: key(to.Owner, "event"), Body: body, Index: []string{fmt.Sprintf("event/%d", f.time/1e9)}},
		}
		b = AppendTxn(b, &t)
	}
	f.data = b
	return b
}

// BenchmarkApplyTrades applies payments of people, thirty in an entry.
func BenchmarkApplyTrades(b *testing.B) {
	const batch = 30
	f := newFeeder(10_000, false)
	s := f.restore(b)
	var out []holdfast.Outcome
	var err error
	var longest time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		b.StopTimer()
		data := f.trades(batch)
		b.StartTimer()
		began := time.Now()
		if out, err = s.Apply(s.index+1, data, noPast{}, out[:0]); err != nil || out[0].Status != holdfast.Done {
			b.Fatal(out, err)
		}
		longest = max(longest, time.Since(began))
		if s.Pending() >= benchSeal {
			b.StopTimer()
			s.Spare(NewSpare(s.open))
			b.StartTimer()
			s.Seal()
			if len(s.sealed) > 1 {
				s.Forget(s.sealed[0])
			}
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "us-longest")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkApply10k(b *testing.B) { benchmarkApply(b, 10_000, false) }
func BenchmarkApplyHot(b *testing.B) { benchmarkApply(b, 10_000, true) }
func BenchmarkApply10m(b *testing.B) { benchmarkApply(b, 10_000_000, false) }

// BenchmarkCheck is what accepting a payment costs before the log.
func BenchmarkCheck(b *testing.B) {
	txn := sampleTxns()[0]
	for b.Loop() {
		if code, _ := Check(&txn); code != holdfast.CodeOK {
			b.Fatal(code)
		}
	}
}

// BenchmarkGeneral is a payment with a fee: two legs with ids of their own.
func BenchmarkGeneral(b *testing.B) {
	f := newFeeder(10_000, false)
	s := f.restore(b)
	var out []holdfast.Outcome
	var err error
	for done := 0; done < b.N; done += benchBatch {
		b.StopTimer()
		f.time += benchBatch
		data := AppendHeader(nil, Header{Kind: KindTxns, Time: f.time, Count: benchBatch})
		for i := range benchBatch {
			at := f.random.IntN(len(f.accounts)-2) + 1
			leg := holdfast.Transfer{Kind: holdfast.Immediate, Debit: f.accounts[at], Credit: f.accounts[at+1], Amount: 100}
			fee := holdfast.Transfer{Kind: holdfast.Immediate, Debit: f.accounts[at+1], Credit: f.accounts[0], Amount: 1}
			leg.ID, fee.ID = testID(1<<40+3*(done+i)), testID(1<<40+3*(done+i)+1)
			t := holdfast.Txn{ID: testID(1<<40 + 3*(done+i) + 2), Transfers: []holdfast.Transfer{leg, fee}}
			data = AppendTxn(data, &t)
		}
		b.StartTimer()
		if out, err = s.Apply(s.index+1, data, noPast{}, out[:0]); err != nil {
			b.Fatal(err)
		}
		if s.Pending() >= benchSeal {
			s.Forget(s.Seal())
		}
	}
	if o := out[len(out)-1]; o.Status != holdfast.Done {
		b.Fatalf("%+v", o)
	}
}

// BenchmarkReplay sends a whole batch again, backwards.
func BenchmarkReplay(b *testing.B) {
	f := newFeeder(10_000, false)
	s, store := f.restore(b), newMemory()
	first := f.entry()
	store.log[1] = append([]byte(nil), first...)
	_, err := s.Apply(1, first, store, nil)
	must(b, err)
	_, body, err := ReadEntry(store.log[1])
	must(b, err)
	size := plainBytes(body)
	var out []holdfast.Outcome
	for done := 0; done < b.N; done += benchBatch {
		b.StopTimer()
		f.time += benchBatch
		again := AppendHeader(nil, Header{Kind: KindTxns, Time: f.time, Count: benchBatch})
		for at := len(body) - size; at >= 0; at -= size {
			again = append(again, body[at:at+size]...)
		}
		b.StartTimer()
		out, err = s.Apply(s.index+1, again, store, out[:0])
		must(b, err)
	}
	if !out[0].Replay || out[0].Status != holdfast.Done {
		b.Fatalf("%+v", out[0])
	}
}
