package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/store"
)

// fleet is some hosts in one process, joined by a network of goroutines that can be cut. Run it in a synctest bubble.
type fleet struct {
	t     *testing.T
	sites []holdfast.SiteID
	tune  func(*HostConfig, *store.Options)

	mu    sync.Mutex
	nodes map[holdfast.SiteID]*node
	cut   map[[2]holdfast.SiteID]bool
	stop  chan struct{}
	wg    sync.WaitGroup
	pipes map[[2]holdfast.SiteID]chan packet     // guarded by mu once sites run
	heard func(holdfast.SiteID, Event)           // hears every event; nil: nobody does
	wind  func() (lost bool, late time.Duration) // what the network does to a message; nil: nothing
}

type node struct {
	host   *Host
	store  *store.Store
	fs     vfs.FS
	events []Event
	fatal  error
	dead   atomic.Bool // crashed: what it still does, nobody hears
}

type packet struct {
	shard   holdfast.ShardID
	payload []byte
}

const testShard = holdfast.ShardID(1)

func newFleet(t *testing.T, n int, tune func(*HostConfig, *store.Options)) *fleet {
	f := &fleet{
		t: t, tune: tune, nodes: map[holdfast.SiteID]*node{}, cut: map[[2]holdfast.SiteID]bool{},
		stop: make(chan struct{}), pipes: map[[2]holdfast.SiteID]chan packet{},
	}
	for i := range n {
		f.sites = append(f.sites, holdfast.SiteID(i+1))
	}
	for _, a := range f.sites {
		for _, b := range f.sites {
			f.pipe(a, b)
		}
	}
	for _, s := range f.sites {
		f.start(s, vfs.NewMem())
	}
	return f
}

// pipe carries messages from a to b in half a millisecond.
func (f *fleet) pipe(a, b holdfast.SiteID) {
	ch := make(chan packet, 4096)
	f.pipes[[2]holdfast.SiteID{a, b}] = ch
	f.wg.Go(func() {
		for {
			select {
			case p := <-ch:
				lost, late := f.weather()
				time.Sleep(500*time.Microsecond + late) // bubble time
				if lost {
					continue
				}
				if n := f.reach(a, b); n != nil {
					n.host.Receive(a, p.shard, p.payload)
				}
			case <-f.stop:
				return
			}
		}
	})
}

func (f *fleet) weather() (lost bool, late time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wind == nil {
		return false, 0
	}
	return f.wind()
}

// reach is the node at b if a can reach it.
func (f *fleet) reach(a, b holdfast.SiteID) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut[[2]holdfast.SiteID{a, b}] || f.nodes[b] == nil || f.nodes[b].host == nil {
		return nil
	}
	return f.nodes[b]
}

var errCut = errors.New("the cable is cut")

func (f *fleet) call(from holdfast.SiteID) func(context.Context, holdfast.SiteID, string, []byte) ([]byte, error) {
	return func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
		n := f.reach(from, to)
		if n == nil {
			return nil, errCut
		}
		answer, err := n.host.Serve(ctx, from, method, payload)
		if f.reach(to, from) == nil {
			return nil, errCut
		}
		return answer, err
	}
}

func (f *fleet) start(id holdfast.SiteID, fs vfs.FS) {
	f.t.Helper()
	n := &node{fs: fs}
	fatal := func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		n.fatal = err
	}
	so := store.Options{Dir: "data", FS: fs, OnFatal: fatal, ReserveBytes: 1, CacheBytes: 8 << 20, MemTableBytes: 4 << 20}
	hc := HostConfig{
		Site: id, Sites: f.sites, Shards: []holdfast.ShardID{testShard}, OnFatal: fatal, Call: f.call(id),
		Send: func(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
			if n.dead.Load() {
				return
			}
			f.mu.Lock()
			pipe := f.pipes[[2]holdfast.SiteID{id, to}]
			f.mu.Unlock()
			select {
			case pipe <- packet{shard, payload}:
			default:
			}
		},
		OnEvent: func(e Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			n.events = append(n.events, e)
			if f.heard != nil {
				f.heard(id, e)
			}
		},
	}
	if f.tune != nil {
		f.tune(&hc, &so)
	}
	var err error
	if n.store, err = store.Open(so); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	hc.Store = n.store
	if n.host, err = NewHost(hc); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	f.mu.Lock()
	f.nodes[id] = n
	f.mu.Unlock()
	n.host.Start()
}

// kill ends a site and returns its disk.
func (f *fleet) kill(id holdfast.SiteID) vfs.FS {
	f.t.Helper()
	f.mu.Lock()
	n := f.nodes[id]
	f.nodes[id] = nil
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.host.Stop(ctx); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	if err := n.store.Close(); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	return n.fs
}

// crash ends a site as a power cut does, and returns what is on its disk: all that was fsynced and any part of the rest. Its
// goroutines are stopped only after that, and can reach nobody.
func (f *fleet) crash(id holdfast.SiteID, rng *rand.Rand) vfs.FS {
	f.t.Helper()
	f.mu.Lock()
	n := f.nodes[id]
	f.nodes[id] = nil
	f.mu.Unlock()
	n.dead.Store(true)
	left := n.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.host.Stop(ctx); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	if err := n.store.Close(); err != nil {
		f.t.Fatalf("site %d: %v", id, err)
	}
	return left
}

func (f *fleet) close() {
	for _, id := range f.sites {
		if f.nodes[id] != nil {
			f.kill(id)
		}
	}
	close(f.stop)
	f.wg.Wait()
}

// isolate cuts all cables of a site, or heals them.
func (f *fleet) isolate(id holdfast.SiteID, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.sites {
		if other != id {
			f.cut[[2]holdfast.SiteID{id, other}] = cut
			f.cut[[2]holdfast.SiteID{other, id}] = cut
		}
	}
}

func (f *fleet) host(id holdfast.SiteID) *Host {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[id] == nil {
		return nil
	}
	return f.nodes[id].host
}

// leader waits until one of the sites leads and the others that can hear it agree.
func (f *fleet) leader(among ...holdfast.SiteID) holdfast.SiteID {
	f.t.Helper()
	if len(among) == 0 {
		among = f.sites
	}
	var found holdfast.SiteID
	f.until("a leader among "+fmt.Sprint(among), func() bool {
		for _, id := range among {
			if h := f.host(id); h != nil && h.Leader(testShard).Self {
				found = id
				return true
			}
		}
		return false
	})
	return found
}

// until lets bubble time pass until cond holds.
func (f *fleet) until(what string, cond func() bool) {
	f.t.Helper()
	for range 6000 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond) // bubble time
	}
	f.t.Fatalf("a minute has passed without %s", what)
}

// pay submits through whatever site leads until the outcome is known, as the site layer does: always the same id.
func (f *fleet) pay(t holdfast.Txn, among ...holdfast.SiteID) holdfast.Outcome {
	f.t.Helper()
	var b Batch
	b.Add(&t)
	for range 200 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		out, err := f.host(f.leader(among...)).Submit(ctx, testShard, false, b)
		cancel()
		if err == nil {
			return out[0]
		}
		time.Sleep(20 * time.Millisecond) // bubble time
	}
	f.t.Fatalf("transaction %s has no outcome", t.ID)
	return holdfast.Outcome{}
}

func (f *fleet) balance(site holdfast.SiteID, id holdfast.AccountID, mode ReadMode) (holdfast.Amount, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var sum holdfast.Amount
	err := f.host(site).Read(ctx, testShard, mode, func(v *View) error {
		a, _ := v.Account(id)
		sum = a.Balance()
		return nil
	})
	return sum, err
}

// agree waits until all sites have applied the same, and compares their digests.
func (f *fleet) agree() {
	f.t.Helper()
	f.until("all sites at the same entry", func() bool {
		first := uint64(0)
		for _, id := range f.sites {
			h := f.host(id)
			if h == nil || h.at(testShard).life.Load() == nil {
				return false
			}
			index, _ := h.at(testShard).life.Load().machine.Digest()
			if first == 0 {
				first = index
			}
			if index != first || index == 0 {
				return false
			}
		}
		return true
	})
	var want uint64
	for i, id := range f.sites {
		_, digest := f.host(id).at(testShard).life.Load().machine.Digest()
		if i == 0 {
			want = digest
		}
		if digest != want {
			f.t.Fatalf("digest of site %d is %x, that of site %d is %x", id, digest, f.sites[0], want)
		}
	}
}

func testOwner(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, 42)
	if err != nil {
		panic(err)
	}
	return o
}

func testAccount(n uint32) holdfast.AccountID {
	return holdfast.AccountID{Owner: testOwner(n), Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")}
}

// testID numbers ids so that they rise, as those of real clients do.
func testID(n uint64) holdfast.ID {
	return holdfast.NewID(holdfast.Time(1.8e18+int64(n)*1e6), [10]byte(binary.BigEndian.AppendUint64([]byte{0, 0}, n)))
}

func openTxn(n uint64, accounts ...uint32) holdfast.Txn {
	t := holdfast.Txn{ID: testID(n)}
	for _, a := range accounts {
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: testAccount(a)})
	}
	return t
}

func payTxn(n uint64, from, to uint32, amount holdfast.Amount) holdfast.Txn {
	return holdfast.Txn{ID: testID(n), Transfers: []holdfast.Transfer{{
		Kind: holdfast.Immediate, Debit: testAccount(from), Credit: testAccount(to), Amount: amount,
	}}}
}

// oneOfFive measures until a time is within a bound. The library draws election time-outs, and now and then two that are the same: votes
// are split then, and another round follows. Not five times in a row.
func oneOfFive(t *testing.T, what string, bound time.Duration, measure func() time.Duration) {
	t.Helper()
	var all []time.Duration
	for range 5 {
		took := measure()
		if took <= bound {
			return
		}
		all = append(all, took)
	}
	t.Errorf("%s took %v, want at most %v", what, all, bound)
}

func bubble(t *testing.T, n int, tune func(*HostConfig, *store.Options), test func(f *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, n, tune)
		defer f.close()
		test(f)
	})
}
