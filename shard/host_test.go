package shard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

func mustBalance(f *fleet, site holdfast.SiteID, account uint32, want holdfast.Amount) {
	f.t.Helper()
	got, err := f.balance(site, testAccount(account), Linearizable)
	for n := 0; n < 100 && errors.Is(err, ErrNoQuorum); n++ { // a site that has just come back says so until it hears the leader
		time.Sleep(20 * time.Millisecond) // bubble time
		got, err = f.balance(site, testAccount(account), Linearizable)
	}
	if got != want || err != nil {
		f.t.Fatalf("balance of account %d at site %d is %d, %v; want %d", account, site, got, err, want)
	}
}

func mustDone(f *fleet, o holdfast.Outcome) {
	f.t.Helper()
	if o.Status != holdfast.Done {
		f.t.Fatalf("outcome %+v, want done", o)
	}
}

func TestOneSiteRestarts(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		mustDone(f, f.pay(payTxn(2, 1, 2, 100)))
		mustBalance(f, 1, 2, 100)
		f.start(1, f.kill(1))
		f.leader()
		mustBalance(f, 1, 2, 100)
		if o := f.pay(payTxn(2, 1, 2, 100)); !o.Replay || o.Status != holdfast.Done {
			t.Fatalf("the same id after a restart: %+v, want a replay", o)
		}
		mustBalance(f, 1, 2, 100)
	})
}

func TestEverySiteReads(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(20) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
			for _, id := range f.sites { // what was acknowledged is seen at once, everywhere
				mustBalance(f, id, 2, holdfast.Amount(n+1))
			}
		}
		f.agree()
	})
}

func TestLeaderDies(t *testing.T) {
	oneOfFive(t, "the pause", 500*time.Millisecond, func() (pause time.Duration) {
		bubble(t, 3, nil, func(f *fleet) {
			mustDone(f, f.pay(openTxn(1, 1, 2)))
			mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
			old := f.leader()
			fs := f.kill(old)
			began := time.Now()
			mustDone(f, f.pay(payTxn(3, 1, 2, 7)))
			pause = time.Since(began)
			f.start(old, fs)
			mustBalance(f, old, 2, 14)
			f.agree()
		})
		return pause
	})
}

func TestLeaderIsCutOff(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		old := f.leader()
		h := f.host(old)
		f.isolate(old, true)
		var b Batch
		txn := payTxn(2, 1, 2, 5)
		b.Add(&txn)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := h.Submit(ctx, testShard, false, b); !errors.Is(err, ErrLost) {
			t.Fatalf("a payment into a minority: %v, want ErrLost", err)
		}
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Fatalf("the answer took %v, want two election time-outs at most", took)
		}
		if _, err := h.Submit(ctx, testShard, false, b); !errors.As(err, new(NotLeaderError)) {
			t.Fatalf("a second payment: %v, want NotLeaderError", err)
		}
		began = time.Now()
		if _, err := f.balance(old, testAccount(2), Linearizable); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("a read: %v, want ErrNoQuorum", err)
		}
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Fatalf("the read's refusal took %v, want 300 ms at most", took)
		}
		if _, err := f.balance(old, testAccount(2), Stale); err != nil {
			t.Fatalf("a stale read: %v", err)
		}
		others := others(f, old)
		mustDone(f, f.pay(txn, others...)) // the same id again, elsewhere
		f.isolate(old, false)
		mustBalance(f, old, 2, 5)
		f.agree()
	})
}

func others(f *fleet, but holdfast.SiteID) (list []holdfast.SiteID) {
	for _, id := range f.sites {
		if id != but {
			list = append(list, id)
		}
	}
	return list
}

func TestHandOver(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(6) {
			from := f.leader()
			to := others(f, from)[n%2]
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			began := time.Now()
			err := f.host(from).HandOver(ctx, testShard, to)
			cancel()
			if err != nil || time.Since(began) > 100*time.Millisecond {
				t.Fatalf("hand-over from %d to %d: %v after %v", from, to, err, time.Since(began))
			}
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
		}
		f.agree()
	})
}

// TestALapsedHandOverIsAskedForAgain: the successor hears nothing at first. Payments go on meanwhile; when it is back it leads, and nobody has
// to ask a second time.
func TestALapsedHandOverIsAskedForAgain(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		from := f.leader()
		to := others(f, from)[0]
		f.isolate(to, true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- f.host(from).HandOver(ctx, testShard, to) }()
		time.Sleep(time.Second) // bubble time
		for n := range uint64(20) {
			began := time.Now()
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1), from))
			if took := time.Since(began); took > 50*time.Millisecond { // bubble time: nothing but the pipes takes any
				t.Errorf("a payment took %v while the successor was away", took)
			}
			time.Sleep(17 * time.Millisecond) // bubble time
		}
		select {
		case err := <-done:
			t.Fatalf("handed over to a site that hears nothing: %v", err)
		default:
		}
		f.isolate(to, false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if now := f.leader(); now != to {
			t.Errorf("site %d leads, want %d", now, to)
		}
		mustDone(f, f.pay(payTxn(100, 1, 2, 1)))
		f.agree()
	})
}

// TestAHandOverEndsWhenAnotherLeads: an election has given the shard to a third site meanwhile, and that is said at once.
func TestAHandOverEndsWhenAnotherLeads(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		from := f.leader()
		rest := others(f, from)
		f.isolate(rest[0], true)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- f.host(from).HandOver(ctx, testShard, rest[0]) }()
		time.Sleep(time.Second) // bubble time
		mustDone(f, f.pay(payTxn(2, 1, 2, 1), from))
		if err := f.host(from).HandOver(ctx, testShard, rest[1]); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.As(err, new(NotLeaderError)) {
			t.Errorf("another site leads: %v", err)
		}
	})
}

// smallWindow makes checkpoints often and keeps nearly nothing of the log for followers.
func smallWindow(h *HostConfig, s *store.Options) {
	h.Machine = MachineConfig{SealRows: 20, SealAge: holdfast.Time(time.Second)}
	s.KeepEntries = 5
	s.ChunkBytes = 1 << 10
}

func TestFollowerFetchesCheckpoint(t *testing.T) {
	bubble(t, 3, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		lead := f.leader()
		away := others(f, lead)[0]
		f.isolate(away, true)
		for n := range uint64(200) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1), others(f, away)...))
		}
		time.Sleep(3 * time.Second) // bubble time: until checkpoints have moved on
		f.isolate(away, false)
		f.agree()
		mustBalance(f, away, 2, 200)
		if !saw(f, away, EventInstalled) {
			t.Fatal("the follower caught up without a checkpoint: the test tests nothing")
		}
		mustDone(f, f.pay(payTxn(300, 1, 2, 1)))
		f.start(away, f.kill(away))
		f.agree()
		mustBalance(f, away, 2, 201)
	})
}

// A payment that is sent again changes nothing and makes no row, and yet its entry has to be replayed after a crash.
// TestManyBytesMakeACheckpoint: rows of any size are bounded by what they weigh, not by how many they are.
func TestManyBytesMakeACheckpoint(t *testing.T) {
	tune := func(h *HostConfig, _ *store.Options) {
		h.Machine.SealBytes, h.Machine.SealAge = 4096, holdfast.Time(time.Hour)
	}
	bubble(t, 1, tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(200) {
			mustDone(f, f.pay(payTxn(2+n, 1, 2, 1)))
		}
		f.until("a checkpoint", func() bool { return f.host(1).Status()[0].Checkpoint > 0 })
	})
}

// TestACheckpointWaitsForSpace, and the site goes on: an engine that runs out of space would end it.
func TestACheckpointWaitsForSpace(t *testing.T) {
	var disk *sickDisk
	tune := func(h *HostConfig, s *store.Options) {
		h.Machine.SealBytes, h.Machine.SealAge = 4096, holdfast.Time(time.Hour)
		disk = newSickDisk(s.FS)
		s.FS = disk
	}
	bubble(t, 1, tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		disk.full.Store(true)
		var b Batch
		for n := range uint64(200) { // until the full disk has been noticed
			txn := payTxn(2+n, 1, 2, 1)
			b.Add(&txn)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := f.host(1).Submit(ctx, testShard, true, b); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // bubble time
		if st := f.host(1).Status()[0]; st.Checkpoint > 0 || st.OutOfService != nil {
			t.Fatalf("a checkpoint at %d on a full disk, or %v", st.Checkpoint, st.OutOfService)
		}
		disk.full.Store(false)
		f.until("a checkpoint", func() bool { return f.host(1).Status()[0].Checkpoint > 0 })
	})
}

// TestABoundMayBeAsLargeAsANumber: it says "never", also while the log is replayed, when each bound counts four times.
func TestABoundMayBeAsLargeAsANumber(t *testing.T) {
	never := MachineConfig{SealRows: math.MaxInt, SealAge: math.MaxInt64, SealEntries: math.MaxUint64, SealBytes: math.MaxInt}
	m := &Machine{config: never, applied: 1 << 40, bytes: 1 << 50}
	if m.large(1<<40, 1) || m.large(1<<40, whileReplaying) {
		t.Error("a segment is too large for a bound that no segment reaches")
	}
	m.config = MachineConfig{SealRows: 10, SealEntries: 1 << 41, SealBytes: 1 << 51}
	if !m.large(40, whileReplaying) || m.large(39, whileReplaying) || !m.large(10, 1) || m.large(9, 1) {
		t.Error("10 rows, or four times as many, is not where it becomes too large")
	}
}

func TestEntriesThatChangeNothingMakeACheckpoint(t *testing.T) {
	rare := func(h *HostConfig, _ *store.Options) {
		h.Machine = MachineConfig{SealAge: holdfast.Time(time.Hour), SealEntries: 50}
	}
	bubble(t, 1, rare, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for range 200 {
			mustDone(f, f.pay(payTxn(2, 1, 2, 1)))
		}
		f.until("a checkpoint", func() bool {
			st := f.host(1).Status()[0]
			return st.Checkpoint > 0 && st.Applied-st.Checkpoint < 100
		})
		f.start(1, f.kill(1))
		f.leader()
		mustBalance(f, 1, 2, 1)
	})
}

func saw(f *fleet, id holdfast.SiteID, kind EventKind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.nodes[id].events {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

func TestWipedDiskJoinsAgain(t *testing.T) {
	for name, tune := range map[string]func(*HostConfig, *store.Options){"by log": nil, "by checkpoint": smallWindow} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, tune, func(f *fleet) {
				mustDone(f, f.pay(openTxn(1, 1, 2)))
				for n := range uint64(50) {
					mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
				}
				wiped := others(f, f.leader())[0]
				before := f.host(wiped).Status()[0].Node.Replica
				f.kill(wiped)
				f.start(wiped, vfs.NewMem())
				f.until("the new replica to vote", func() bool { return votes(f, f.leader(), wiped, before) })
				mustDone(f, f.pay(payTxn(100, 1, 2, 1)))
				f.agree()
				mustBalance(f, wiped, 2, 51)
				gone := others(f, wiped)[0]
				f.kill(gone) // now the new replica is needed for a majority
				mustDone(f, f.pay(payTxn(101, 1, 2, 1), others(f, gone)...))
			})
		})
	}
}

// votes reports that the leader's members have one voter at a site, and not the one it had.
func votes(f *fleet, leader, site holdfast.SiteID, old ReplicaID) bool {
	st := f.host(leader).Status()[0]
	found := false
	for _, m := range st.Members {
		if m.Replica == old {
			return false
		}
		if m.Site == site && m.Role == Voter {
			found = true
		}
	}
	return found
}

func TestAllDieAtOnce(t *testing.T) {
	bubble(t, 3, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(100) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
		}
		f.agree()
		disks := map[holdfast.SiteID]vfs.FS{}
		for _, id := range f.sites {
			disks[id] = f.kill(id)
		}
		for _, id := range f.sites {
			f.start(id, disks[id])
		}
		f.leader()
		f.agree()
		for _, id := range f.sites {
			mustBalance(f, id, 2, 100)
		}
		if o := f.pay(payTxn(50, 1, 2, 1)); !o.Replay {
			t.Fatalf("an id from before: %+v, want a replay", o)
		}
	})
}

func TestCorruptReplicaIsRebuilt(t *testing.T) {
	bubble(t, 3, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(30) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
		}
		sick := others(f, f.leader())[0]
		before := f.host(sick).Status()[0].Node.Replica
		f.host(sick).at(testShard).life.Load().fail(&store.ErrCorrupt{Shard: testShard, Index: 3, What: "test"})
		f.until("the rebuilt replica to vote", func() bool { return votes(f, f.leader(), sick, before) })
		mustDone(f, f.pay(payTxn(100, 1, 2, 1)))
		f.agree()
		mustBalance(f, sick, 2, 31)
		if !saw(f, sick, EventCorrupt) {
			t.Error("nobody was told")
		}
	})
}

// TestCorruptReplicaWaitsForTheOthers: as long as one of three is gone, the corrupt disk may hold the second copy of a payment.
func TestCorruptReplicaWaitsForTheOthers(t *testing.T) {
	bubble(t, 3, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		sick := others(f, f.leader())[0]
		dead := others(f, sick)[0]
		if dead == f.leader() {
			dead = others(f, sick)[1]
		}
		disk := f.kill(dead)
		mustDone(f, f.pay(payTxn(2, 1, 2, 7))) // on the disks of the leader and of the one that is about to be corrupt
		before := f.host(sick).Status()[0].Node.Replica
		f.host(sick).at(testShard).life.Load().fail(&store.ErrCorrupt{Shard: testShard, Index: 3, What: "test"})
		f.until("the corrupt replica to say what it waits for", func() bool { return f.host(sick).Status()[0].Waits != "" })
		time.Sleep(10 * time.Second) // bubble time: it must not change its mind
		st := f.host(sick).Status()[0]
		if got := ReplicaID(f.host(sick).config.Store.Shard(testShard).Identity().Replica); got != before || st.OutOfService == nil {
			t.Fatalf("replica %x became %x while one of three was gone; out of service: %v", before, got, st.OutOfService)
		}
		if want := fmt.Sprintf("site %d does not answer", dead); !strings.Contains(st.Waits+st.OutOfService.Error(), want) || !saw(f, sick, EventWaits) {
			t.Errorf("it says %q and %q, want %q", st.Waits, st.OutOfService, want)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := f.host(sick).Rebuild(ctx, testShard, false); !errors.Is(err, ErrNotSafe) {
			t.Fatalf("a rebuild without force: %v, want ErrNotSafe", err)
		}
		f.start(dead, disk)
		f.until("the rebuilt replica to vote", func() bool { return votes(f, f.leader(), sick, before) })
		mustBalance(f, sick, 2, 7)
		f.agree()
		if f.host(sick).Status()[0].Waits != "" || f.host(sick).Status()[0].OutOfService != nil || !saw(f, sick, EventWiped) {
			t.Errorf("after the rebuild: %+v", f.host(sick).Status()[0])
		}
	})
}

// TestTwoCorruptReplicas: neither may forget; an operator who gives one of them up brings the shard no majority back, but one
// whose disk was good after all does.
func TestTwoCorruptReplicas(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
		f.agree() // a follower may not be born yet when the others have acknowledged
		sick := others(f, f.leader())
		f.isolate(sick[0], true) // or the first may hear of the second that it is well, a moment before it is not, and rightly forget
		for _, id := range sick {
			f.host(id).at(testShard).life.Load().fail(&store.ErrCorrupt{Shard: testShard, Index: 3, What: "test"})
		}
		for _, id := range sick {
			f.until("both to wait", func() bool { return f.host(id).Status()[0].Waits != "" })
		}
		f.isolate(sick[0], false)
		time.Sleep(10 * time.Second) // bubble time
		for _, id := range sick {
			if saw(f, id, EventWiped) {
				t.Fatalf("site %d was wiped while another was corrupt", id)
			}
		}
		before := f.host(sick[1]).config.Store.Shard(testShard).Identity().Replica
		f.start(sick[0], f.kill(sick[0])) // its disk is readable again
		f.until("the other one to vote under a new identity", func() bool { return votes(f, f.leader(), sick[1], ReplicaID(before)) })
		mustBalance(f, sick[1], 2, 7)
		f.agree()
	})
}

func TestRebuild(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree() // a follower hears of the commit later
		one := others(f, f.leader())[0]
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		before := f.host(one).Status()[0].Node.Replica
		if err := f.host(one).Rebuild(ctx, testShard, false); err != nil {
			t.Fatalf("a rebuild while both others are well: %v", err)
		}
		f.until("the rebuilt replica to vote", func() bool { return votes(f, f.leader(), one, before) })
		f.agree()

		f.host(one).at(testShard).life.Load().fail(ledger.ErrDigest{Index: 3, Ours: 1, Theirs: 2})
		f.until("the differing replica to be out", func() bool { return f.host(one).Status()[0].OutOfService != nil })
		time.Sleep(5 * time.Second) // bubble time
		before = ReplicaID(f.host(one).config.Store.Shard(testShard).Identity().Replica)
		if err := f.host(one).Rebuild(ctx, testShard, false); err != nil {
			t.Fatalf("a rebuild of a differing replica: %v", err)
		}
		f.until("the rebuilt replica to vote", func() bool { return votes(f, f.leader(), one, before) })

		dead := others(f, one)[0]
		if dead == f.leader() {
			dead = others(f, one)[1]
		}
		f.kill(dead)
		before = ReplicaID(f.host(one).config.Store.Shard(testShard).Identity().Replica)
		if err := f.host(one).Rebuild(ctx, testShard, false); !errors.Is(err, ErrNotSafe) {
			t.Fatalf("a rebuild while one of three is gone: %v, want ErrNotSafe", err)
		}
		mustDone(f, f.pay(payTxn(9, 1, 2, 1), others(f, dead)...)) // it goes on serving
		if err := f.host(one).Rebuild(ctx, testShard, true); err != nil {
			t.Fatalf("a rebuild with force: %v", err)
		}
		f.until("a new identity", func() bool {
			now := f.host(one).config.Store.Shard(testShard).Identity().Replica
			return now != 0 && ReplicaID(now) != before
		})
	})
}

func TestDifferingReplicaLeavesService(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		sick := f.leader()
		f.host(sick).at(testShard).life.Load().fail(ledger.ErrDigest{Index: 3, Ours: 1, Theirs: 2})
		f.until("the sick replica to be out", func() bool { return f.host(sick).Status()[0].OutOfService != nil })
		if _, err := f.balance(sick, testAccount(2), Stale); !errors.Is(err, ErrOutOfService) {
			t.Errorf("even a stale read: %v, want ErrOutOfService", err)
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 1), others(f, sick)...))
		if !saw(f, sick, EventOutOfService) {
			t.Error("nobody was told")
		}
		if f.host(sick).Leader(testShard).Self {
			t.Error("it still leads")
		}
	})
}

// TestDigestsAreCompared makes a state differ and waits for the log to find it.
func TestDigestsAreCompared(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		sick := others(f, f.leader())[0]
		f.agree() // before this it may not have begun
		m := f.host(sick).at(testShard).life.Load().machine
		m.mu.Lock()
		other := ledger.New() // a state that has seen as many entries, and other ones
		for n := uint64(1); n <= m.applied; n++ {
			if _, err := other.Apply(n, nil, m.disk, nil); err != nil {
				t.Fatal(err)
			}
		}
		m.state = other
		m.mu.Unlock()
		for n := range uint64(40) {
			mustDone(f, f.pay(openTxn(n+10, uint32(n)+10), others(f, sick)...))
			time.Sleep(100 * time.Millisecond) // bubble time
		}
		if f.host(sick).Status()[0].OutOfService == nil {
			t.Error("a state that differs was not found in four seconds")
		}
	})
}

func TestBulkBesideSingles(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		var b Batch
		for n := range uint64(8000) {
			txn := payTxn(n+2, 1, 2, 1)
			b.Add(&txn)
		}
		out, err := f.host(1).Submit(context.Background(), testShard, true, b)
		if err != nil || len(out) != 8000 {
			t.Fatalf("%d outcomes, %v", len(out), err)
		}
		for i, o := range out {
			if o.Status != holdfast.Done || o.ID != testID(uint64(i)+2) {
				t.Fatalf("outcome %d: %+v", i, o)
			}
		}
		mustBalance(f, 1, 2, 8000)
	})
}

// When the store is behind, bulk waits before it has taken the last place for a segment: somebody at a till must not wait for
// a checkpoint.
func TestBulkWaitsForTheStoreBeforeSinglesDo(t *testing.T) {
	release := make(chan struct{})
	stuck := func(h *HostConfig, _ *store.Options) {
		h.Machine = MachineConfig{SealRows: 1000, SealAge: holdfast.Time(time.Hour), MaxSealed: 6}
		h.OnCheckpoint = func(CheckpointMade) { <-release }
	}
	bubble(t, 1, stuck, func(f *fleet) {
		release = make(chan struct{}) // in the bubble
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		h := f.host(f.leader())
		var group sync.WaitGroup
		for n := range uint64(20) {
			group.Go(func() {
				var b Batch
				for i := range uint64(1000) {
					txn := payTxn(10_000+1000*n+i, 1, 2, 1)
					b.Add(&txn)
				}
				if _, err := h.Submit(context.Background(), testShard, true, b); err != nil {
					t.Errorf("batch %d: %v", n, err)
				}
			})
		}
		time.Sleep(time.Second) // bubble time: bulk has gone as far as it goes
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for n := range uint64(50) {
			var b Batch
			txn := payTxn(100+n, 1, 2, 1)
			b.Add(&txn)
			if _, err := h.Submit(ctx, testShard, false, b); err != nil {
				t.Errorf("single payment %d: %v", n, err)
				break
			}
		}
		if st := h.Status()[0]; st.WaitingBulks == 0 || st.Sealed >= 6 {
			t.Errorf("%d batches wait, %d segments: the test tests nothing", st.WaitingBulks, st.Sealed)
		}
		close(release)
		group.Wait()
		mustBalance(f, 1, 2, 20_050)
	})
}

func TestHoldsExpire(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		hold := payTxn(2, 1, 2, 5)
		hold.Transfers[0].Kind, hold.Transfers[0].Timeout = holdfast.Hold, 2*time.Second
		mustDone(f, f.pay(hold))
		time.Sleep(3 * time.Second) // bubble time
		for _, id := range f.sites {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			err := f.host(id).Read(ctx, testShard, Linearizable, func(v *View) error {
				if _, state, ok, err := v.Hold(testID(2)); state != ledger.HoldExpired || !ok || err != nil {
					t.Errorf("hold at site %d is %s, %t, %v; want expired", id, state, ok, err)
				}
				return nil
			})
			cancel()
			if err != nil {
				t.Error(err)
			}
		}
	})
}
