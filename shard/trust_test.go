package shard

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// astray makes the disk of a site that is down that of a replica which has applied the log and forgotten one entry of it: all checksums
// are right, and its checkpoint is not that of the others. It ends before the next digest entry, so that the rest of the log finds it.
func astray(f *fleet, disk vfs.FS, forgets uint64) {
	f.t.Helper()
	s, err := store.Open(store.Options{Dir: "data", FS: disk, OnFatal: func(error) {}, ReserveBytes: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	sh := s.Shard(testShard)
	m, err := LoadMachine(MachineConfig{}, sh)
	if err != nil {
		f.t.Fatal(err)
	}
	for index, _ := m.Applied(); index < sh.LastIndex(); index++ {
		list, err := sh.Entries(index+1, index+2, 1<<20)
		if err != nil {
			f.t.Fatal(err)
		}
		e := list[0]
		if e.Index > forgets && digestEntry(e) {
			break
		}
		if e.Index == forgets {
			e.Data = nil
		}
		if _, err := m.Apply(e, nil); err != nil {
			f.t.Fatal(err)
		}
	}
	m.NeedCheckpoint()
	g := m.Seal(holdfast.TimeOf(time.Now()))
	if g == nil || g.Meta.Index < forgets {
		f.t.Fatalf("no checkpoint of a state that has forgotten entry %d: the test tests nothing", forgets)
	}
	if err := errors.Join(sh.Persist(g), s.Close()); err != nil {
		f.t.Fatal(err)
	}
}

func digestEntry(e Entry) bool {
	if len(e.Data) == 0 {
		return false
	}
	h, _, err := ledger.ReadEntry(e.Data)
	return err == nil && h.Kind == ledger.KindDigest
}

// strays pays, lets digests follow, and stops all sites. The sites that are named have forgotten one payment each, and no two the same.
// It returns the disks.
func strays(f *fleet, wrong ...holdfast.SiteID) map[holdfast.SiteID]vfs.FS {
	f.t.Helper()
	mustDone(f, f.pay(openTxn(1, 1, 2)))
	forgets := map[holdfast.SiteID]uint64{}
	for n, id := range wrong {
		o := f.pay(payTxn(uint64(n)+2, 1, 2, holdfast.Amount(n)+1))
		mustDone(f, o)
		forgets[id] = o.Index
	}
	time.Sleep(2500 * time.Millisecond) // bubble time: until two digests are in the log
	mustDone(f, f.pay(payTxn(90, 1, 2, 100)))
	f.agree()
	disks := map[holdfast.SiteID]vfs.FS{}
	for _, id := range f.sites {
		disks[id] = f.kill(id)
	}
	for id, index := range forgets {
		astray(f, disks[id], index)
	}
	return disks
}

// rare makes no checkpoint by itself.
func rare(h *HostConfig, _ *store.Options) { h.Machine.SealAge = holdfast.Time(time.Hour) }

func untilOut(f *fleet, ids ...holdfast.SiteID) {
	f.t.Helper()
	for _, id := range ids {
		f.until("a site out of service", func() bool { return outOfService(f, id) != nil })
	}
}

func trust(f *fleet, id holdfast.SiteID) {
	f.t.Helper()
	if err := f.host(id).Trust(testShard); err != nil {
		f.t.Fatal(err)
	}
	f.leader(id)
}

// serves: payments go on at the site that was trusted, for a time in which the others ask it many times.
func serves(f *fleet, id holdfast.SiteID, n uint64) {
	f.t.Helper()
	for i := range uint64(5) {
		mustDone(f, f.pay(payTxn(n+i, 1, 2, 1), id))
		time.Sleep(time.Second) // bubble time
	}
	if err := outOfService(f, id); err != nil {
		f.t.Fatalf("the trusted one is out of service: %v", err)
	}
}

// TestTrustHoldsOverARestart: until another replica was rebuilt from the trusted one, nobody else can serve.
func TestTrustHoldsOverARestart(t *testing.T) {
	bubble(t, 2, rare, func(f *fleet) {
		disks := strays(f, 1)
		for id, disk := range disks {
			f.start(id, disk)
		}
		untilOut(f, 1, 2)
		trust(f, 2)
		serves(f, 2, 100)
		f.start(2, f.kill(2)) // before it has made a checkpoint: it replays what was decided
		serves(f, 2, 200)
		f.start(1, f.kill(1)) // and now the one that differs: it may lead for a moment
		f.leader(2)
		serves(f, 2, 300)
		a, b := f.kill(1), f.kill(2)
		f.start(1, a)
		f.start(2, b)
		serves(f, 2, 400)
		if outOfService(f, 1) == nil {
			t.Error("the one that differs is in service")
		}
		mustBalance(f, 2, 2, 121)
	})
}

// TestTrustHoldsForWhoeverComesBack: a voter that was down when it was decided finds nobody in doubt because of it.
func TestTrustHoldsForWhoeverComesBack(t *testing.T) {
	bubble(t, 3, rare, func(f *fleet) {
		disks := strays(f, 1, 2)
		f.start(1, disks[1])
		f.start(3, disks[3])
		untilOut(f, 1, 3)
		trust(f, 3)
		serves(f, 3, 100)
		f.start(2, disks[2])
		untilOut(f, 2)
		serves(f, 3, 200)
		f.start(3, f.kill(3))
		serves(f, 3, 300)

		before := f.host(1).Status()[0].Node.Replica
		if err := f.host(1).Rebuild(context.Background(), testShard, false); !errors.Is(err, ErrNotSafe) {
			t.Errorf("a rebuild without force while nobody else has the right state: %v, want ErrNotSafe", err)
		}
		f.until("the order with force to be taken", func() bool { // it goes on from its disk after the refusal, which takes a moment
			return f.host(1).Rebuild(context.Background(), testShard, true) == nil
		})
		f.until("the rebuilt replica to vote", func() bool { return votes(f, 3, 1, before) })
		f.until("the verdict on the last one", func() bool { return f.host(2).at(testShard).out.Load() != nil })
		before = ReplicaID(f.host(2).config.Store.Shard(testShard).Identity().Replica)
		f.until("the order without force to be taken", func() bool { // the rebuilt one may have to ask once who is right
			return f.host(2).Rebuild(context.Background(), testShard, false) == nil
		})
		f.until("all to vote", func() bool { return votes(f, f.leader(), 2, before) })
		f.agree()
		for _, id := range f.sites {
			mustBalance(f, id, 2, 118)
			if err := outOfService(f, id); err != nil {
				t.Errorf("site %d is out of service at the end: %v", id, err)
			}
		}
	})
}

// TestAThirdSiteSettlesIt: of two voters none may be wiped. A third one learns from the trusted one, whatever is in the log, and is the
// majority with it.
func TestAThirdSiteSettlesIt(t *testing.T) {
	bubble(t, 2, rare, func(f *fleet) {
		for id, disk := range strays(f, 1) {
			f.start(id, disk)
		}
		untilOut(f, 1, 2)
		trust(f, 2)
		f.newcomer(3)
		f.admit(3)
		f.until("the newcomer to have learnt who is right", func() bool {
			_, err := f.balance(3, testAccount(2), Stale)
			return err == nil && outOfService(f, 3) == nil
		})
		serves(f, 2, 100)
		f.obey(Order{Kind: OrderPromote, Site: 3})
		f.until("the third vote", func() bool { return f.roleAt(3) == Voter })
		f.until("the verdict on the other one", func() bool { return f.host(1).at(testShard).out.Load() != nil })
		before := ReplicaID(f.host(1).config.Store.Shard(testShard).Identity().Replica)
		f.until("the order without force to be taken", func() bool {
			return f.host(1).Rebuild(context.Background(), testShard, false) == nil
		})
		f.until("all to vote", func() bool { return votes(f, f.leader(), 1, before) })
		f.agree()
		for _, id := range f.sites {
			mustBalance(f, id, 2, 106)
		}
	})
}

// TestAMajorityIsStrongerThanTrust: somebody has decided for the wrong one while a third site was away. When that comes back, two of three
// have another state, and the one that was trusted hears it although it knew that one of them differs.
func TestAMajorityIsStrongerThanTrust(t *testing.T) {
	bubble(t, 3, rare, func(f *fleet) {
		disks := strays(f, 1)
		f.start(1, disks[1])
		f.start(2, disks[2])
		untilOut(f, 1, 2)
		trust(f, 1)
		serves(f, 1, 100)
		f.start(3, disks[3])
		f.until("the verdict on the one that was trusted", func() bool { return f.host(1).at(testShard).out.Load() != nil })
		mustDone(f, f.pay(payTxn(200, 1, 2, 1), 2, 3))
		for _, id := range []holdfast.SiteID{2, 3} {
			f.until("those that are right in service", func() bool { return outOfService(f, id) == nil })
			mustBalance(f, id, 2, 107)
		}
	})
}

// TestOnlyOneIsTrusted: two that serve with two states would answer two things.
func TestOnlyOneIsTrusted(t *testing.T) {
	bubble(t, 2, rare, func(f *fleet) {
		for id, disk := range strays(f, 1) {
			f.start(id, disk)
		}
		untilOut(f, 1, 2)
		trust(f, 2)
		if err := f.host(1).Trust(testShard); !errors.Is(err, ErrDecided) || outOfService(f, 1) == nil {
			t.Errorf("the second one is trusted as well: %v", err)
		}
		serves(f, 2, 100)
	})
}

// TestNothingIsInstalledForADoubt that came while it was fetched: its sender may be the one that is wrong, and did not know.
func TestNothingIsInstalledForADoubt(t *testing.T) {
	var deaf, held atomic.Bool // nobody answers who is right; the last chunk is on its way
	var on atomic.Pointer[chan struct{}]
	tune := func(h *HostConfig, s *store.Options) {
		smallWindow(h, s)
		call := h.Call
		h.Call = func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
			if method == methodOpinion && deaf.Load() {
				return nil, errCut
			}
			answer, err := call(ctx, to, method, payload)
			if wait := on.Load(); method == methodPart && err == nil && answer[0] == 1 && wait != nil {
				held.Store(true)
				<-*wait
			}
			return answer, err
		}
	}
	bubble(t, 3, tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		time.Sleep(2500 * time.Millisecond) // bubble time: until there is a digest
		f.agree()
		away := others(f, f.leader())[0]
		m := f.host(away).at(testShard).life.Load().machine
		f.isolate(away, true)
		for n := range uint64(100) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1), others(f, away)...))
		}
		time.Sleep(3 * time.Second) // bubble time: until checkpoints have moved on
		wait := make(chan struct{})
		on.Store(&wait)
		f.isolate(away, false)
		f.until("the last chunk", held.Load)
		deaf.Store(true)
		m.mu.Lock()
		p := m.record.points[len(m.record.points)-1]
		m.doubt(ledger.ErrDigest{Index: p.Index, Ours: p.Digest, Theirs: p.Digest + 1})
		m.mu.Unlock()
		on.Store(nil)
		close(wait)
		time.Sleep(500 * time.Millisecond) // bubble time
		if saw(f, away, EventInstalled) || !m.Doubted() {
			t.Error("a replica in doubt takes what another has, who was not asked")
		}
		deaf.Store(false)
		f.agree()
		mustBalance(f, away, 2, 100)
		if !saw(f, away, EventInstalled) {
			t.Error("it was not fetched again")
		}
	})
}

// TestTrustOfAnotherStateIsVoid: what was trusted was a fault in memory that the restart has mended.
func TestTrustOfAnotherStateIsVoid(t *testing.T) {
	bubble(t, 2, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		sick := f.leader()
		good := others(f, sick)[0]
		alter(f, sick)
		prod(f, 1000, "both out of service", func() bool { return outOfService(f, sick) != nil && outOfService(f, good) != nil })
		trust(f, sick)
		f.start(sick, f.kill(sick))
		f.until("both in service again", func() bool { return outOfService(f, sick) == nil && outOfService(f, good) == nil })
		mustDone(f, f.pay(openTxn(2, 3)))
		f.agree()
	})
}

// TestAReplicaThatWasMendedIsHeard: it was wrong once, and what it says now may be about somebody else's fault.
func TestAReplicaThatWasMendedIsHeard(t *testing.T) {
	three := NewMembers([]Member{{Replica: 1, Site: 1}, {Replica: 2, Site: 2}, {Replica: 3, Site: 3}})
	for name, mended := range map[string]bool{"it is as it was": false, "it was mended": true} {
		m := &Machine{config: MachineConfig{}.withDefaults(), state: ledger.New(), members: three}
		apply := func(says uint64) Point {
			t.Helper()
			index, digest := m.state.Checked()
			data := ledger.AppendDigest(nil, Nonce{}, holdfast.Time(10+index), index, digest+says)
			if _, err := m.Apply(Entry{Index: m.applied + 1, Term: 1, Data: data}, nil); err != nil {
				t.Fatal(err)
			}
			return m.record.points[len(m.record.points)-1]
		}
		apply(0)
		at := apply(0)
		apply(1)
		right := Opinion{Site: 2, Replica: 2, Points: []Point{at}}
		wrong := Opinion{Site: 3, Replica: 3, Points: []Point{{at.Index, at.Digest + 1}}}
		if v, _ := m.Judge(1, 1, []Opinion{right, wrong}); v != Right {
			t.Fatal(v)
		}
		later, last := apply(0), apply(0)
		if !mended {
			later.Digest++
		}
		wrong.Points = []Point{later, {last.Index, last.Digest + 1}}
		if m.Hear(&wrong); m.Doubted() != mended {
			t.Errorf("%s: in doubt %t", name, m.Doubted())
		}
	}
}

// TestADoubtAgainstADecisionIsOver at once when it can only come from those about whom it was decided.
func TestADoubtAgainstADecisionIsOver(t *testing.T) {
	two := NewMembers([]Member{{Replica: 1, Site: 1}, {Replica: 2, Site: 2}})
	differs := Opinion{Site: 2, Replica: 2, Points: []Point{{7, 71}, {9, 91}}}
	mended := Opinion{Site: 2, Replica: 2, Points: []Point{{7, 70}, {9, 91}}}
	for _, x := range []struct {
		what    string
		trusted Point
		others  []Opinion
		want    Verdict
	}{
		{"nobody has decided", Point{}, []Opinion{differs}, Undecided},
		{"the other one differs as it did", Point{7, 70}, []Opinion{differs}, Right},
		{"the other one does not answer", Point{7, 70}, nil, Undecided},
		{"the other one had the same state then", Point{7, 70}, []Opinion{mended}, Undecided},
	} {
		m := &Machine{members: two, record: record{points: []Point{{7, 70}, {9, 90}}, trusted: x.trusted}}
		m.doubt(ledger.ErrDigest{Index: 9, Ours: 90, Theirs: 91})
		if got, _ := m.Judge(1, 1, x.others); got != x.want || m.Doubted() == (got == Right) {
			t.Errorf("%s: %d, in doubt %t; want %d", x.what, got, m.Doubted(), x.want)
		}
	}
}

func TestDecisionsAreStored(t *testing.T) {
	m := &Machine{}
	m.record = record{since: 7, cause: ledger.ErrDigest{Index: 7, Ours: 70, Theirs: 71}, points: []Point{{7, 70}}}
	if _, unsaved := m.Decision(5); unsaved {
		t.Error("nothing was decided, and there is something to store")
	}
	m.Believe([]Opinion{{Site: 2, Replica: 22, Points: []Point{{7, 71}}}})
	b, unsaved := m.Decision(5)
	if _, again := m.Decision(5); !unsaved || again {
		t.Fatalf("to be stored %t, and once more %t", unsaved, again)
	}
	for _, x := range []struct {
		what  string
		id    ReplicaID
		has   []Point
		holds bool
	}{
		{"the same state", 5, []Point{{7, 70}, {9, 90}}, true},
		{"a later checkpoint", 5, []Point{{9, 90}}, true},
		{"another state", 5, []Point{{7, 71}}, false},
		{"another replica", 6, []Point{{7, 70}}, false},
	} {
		m := &Machine{record: record{points: x.has}}
		if err := m.Recall(b, x.id); err != nil {
			t.Fatal(err)
		}
		if holds := m.record.trusted == (Point{7, 70}) && m.record.wrong[22] == 7; holds != x.holds || m.record.unsaved {
			t.Errorf("%s: the decision holds %t, to be stored %t", x.what, holds, m.record.unsaved)
		}
	}
	for n := 1; n < len(b); n++ {
		if err := new(Machine).Recall(b[:n], 5); err == nil && n != trustHead {
			t.Errorf("%d bytes of %d were taken for a decision", n, len(b))
		}
	}
}
