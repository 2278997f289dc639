package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

const testShard = holdfast.ShardID(3)

// deaths counts how often a store under test has died.
type deaths struct{ atomic.Int32 }

func testOptions(fs vfs.FS, died *deaths) Options {
	return Options{
		Dir: "data", FS: fs, CacheBytes: 8 << 20, MemTableBytes: 256 << 10, TailBytes: 8 << 10, ChunkBytes: 2 << 10,
		OnFatal: func(error) { died.Add(1) },
	}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// world drives one shard as its host would: entries into the log, through the ledger, and from there into segments.
type world struct {
	t     testing.TB
	s     *Store
	sh    *Shard
	state *ledger.State
	rng   *rand.Rand
	index uint64
	now   holdfast.Time
	out   []holdfast.Outcome

	accounts []holdfast.AccountID
	ids      []holdfast.ID // of all transactions so far
}

func newWorld(t testing.TB, s *Store, seed uint64) *world {
	return &world{t: t, s: s, sh: s.Shard(testShard), state: ledger.New(), rng: rand.New(rand.NewPCG(seed, 1)), now: 1_700_000_000_000_000_000}
}

var cny = holdfast.MustAsset("CNY")

func accountID(n int) holdfast.AccountID {
	owner, err := holdfast.NewOwner(uint32(n), holdfast.Slot(n%holdfast.Slots))
	if err != nil {
		panic(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose("wallet"), Asset: cny}
}

// newID makes a UUIDv7 of now, or any UUID when sorted is false.
func (w *world) newID(sorted bool) holdfast.ID {
	var random [10]byte
	binary.LittleEndian.PutUint64(random[:], w.rng.Uint64())
	binary.LittleEndian.PutUint16(random[8:], uint16(w.rng.Uint64()))
	id := holdfast.NewID(w.now, random)
	if !sorted {
		binary.LittleEndian.PutUint64(id[:], w.rng.Uint64())
		id[6] = id[6]&0x0f | 0x40
	}
	return id
}

// entry encodes transactions as the leader would. It advances the clock.
func (w *world) entry(txns ...*holdfast.Txn) []byte {
	w.now += holdfast.Time(1_000_000)
	b := ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: w.now, Count: uint32(len(txns))})
	for _, txn := range txns {
		b = ledger.AppendTxn(b, txn)
		w.ids = append(w.ids, txn.ID)
	}
	w.now += holdfast.Time(len(txns))
	return b
}

// run writes the transactions as one entry and applies it.
func (w *world) run(txns ...*holdfast.Txn) []holdfast.Outcome {
	w.t.Helper()
	data := w.entry(txns...)
	w.index++
	if err := w.s.Write([]Write{{Shard: testShard, Entries: []Entry{{Index: w.index, Term: 1, Data: data}}, Sync: true}}); err != nil {
		w.t.Fatal(err)
	}
	return w.apply(w.index, data)
}

func (w *world) apply(index uint64, data []byte) []holdfast.Outcome {
	w.t.Helper()
	var err error
	if w.out, err = w.state.Apply(index, data, w.sh, w.out[:0]); err != nil {
		w.t.Fatalf("applying entry %d: %v", index, err)
	}
	return w.out
}

// done is run for what must be done.
func (w *world) done(txns ...*holdfast.Txn) {
	w.t.Helper()
	for _, o := range w.run(txns...) {
		if o.Status != holdfast.Done {
			w.t.Fatalf("transaction %s: %s %s leg %d %s", o.ID, o.Status, o.Code, o.Leg, o.Field)
		}
	}
}

func (w *world) openAccounts(n int) {
	w.t.Helper()
	for len(w.accounts) < n {
		txn := &holdfast.Txn{ID: w.newID(true)}
		for i := 0; i < 1000 && len(w.accounts) < n; i++ {
			id := accountID(len(w.accounts))
			w.accounts = append(w.accounts, id)
			txn.Accounts = append(txn.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
		}
		w.done(txn)
	}
}

// pay is a plain payment between two accounts that differ.
func (w *world) pay(id holdfast.ID) *holdfast.Txn {
	from := w.rng.IntN(len(w.accounts))
	to := (from + 1 + w.rng.IntN(len(w.accounts)-1)) % len(w.accounts)
	return &holdfast.Txn{ID: id, Transfers: []holdfast.Transfer{{
		Kind: holdfast.Immediate, Debit: w.accounts[from], Credit: w.accounts[to], Amount: holdfast.Amount(1 + w.rng.IntN(10_000)),
	}}}
}

// seal closes the open segment as the shard does.
func (w *world) seal() *ledger.Segment {
	g := w.state.Seal()
	g.Meta.Term = 1
	g.Meta.Members = []byte("members")
	return g
}

// checkpoint persists and forgets what has gathered.
func (w *world) checkpoint() {
	w.t.Helper()
	g := w.seal()
	if err := w.sh.Persist(g); err != nil {
		w.t.Fatalf("persisting: %v", err)
	}
	w.state.Forget(g)
}

// restart loads the checkpoint and replays the journal after it, as a host does.
func (w *world) restart(s *Store) {
	w.t.Helper()
	w.s, w.sh = s, s.Shard(testShard)
	w.state = must[*ledger.State](w.t)(w.sh.Load())
	index, _ := w.state.Applied()
	for i := index + 1; i <= w.sh.LastIndex(); i++ {
		w.apply(i, must[[]byte](w.t)(w.sh.Entry(i)))
	}
	w.index = w.sh.LastIndex()
}

func digestText(s *ledger.State) string {
	index, now := s.Applied()
	return fmt.Sprintf("%d %d %016x %v", index, now, s.Digest(), s.Totals())
}

func testRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// testID is any id that carries no time.
func testID(n uint64) (id holdfast.ID) {
	binary.BigEndian.PutUint64(id[8:], n)
	id[6] = 0x40
	return id
}
