package shard

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// post counts what the sites of a fleet send each other.
type post struct {
	mu    sync.Mutex
	beats int
	other int
}

func (p *post) count(shard holdfast.ShardID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if shard == beatShard {
		p.beats++
	} else {
		p.other++
	}
}

func (p *post) reset() (beats, other int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	beats, other = p.beats, p.other
	p.beats, p.other = 0, 0
	return beats, other
}

// counted makes every site send through p.
func (p *post) counted(c *HostConfig, _ *store.Options) {
	send := c.Send
	c.Send = func(to holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
		p.count(shard)
		send(to, shard, payload)
	}
}

// asleep waits until the shard sleeps at these sites.
func (f *fleet) asleep(sites ...holdfast.SiteID) {
	f.t.Helper()
	f.until("a shard that sleeps everywhere", func() bool {
		return !slices.ContainsFunc(sites, func(id holdfast.SiteID) bool { return !f.host(id).Status()[0].Asleep })
	})
}

func TestAShardWithNothingToDoSendsNothing(t *testing.T) {
	p := &post{}
	bubble(t, 3, p.counted, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		p.reset()
		time.Sleep(10 * time.Second) // bubble time
		f.asleep(f.sites...)
		if beats, other := p.reset(); other > 0 || beats > 3*2*10*50+6 {
			t.Errorf("%d beats and %d other messages in ten seconds, want 3,000 and none", beats, other)
		}
		began := time.Now()
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the first payment after the sleep took %v", took)
		}
		for _, id := range f.sites {
			mustBalance(f, id, 2, 7)
		}
		f.asleep(f.sites...)
		f.agree()
	})
}

// TestSleepDelaysNoElection compares fleets that sleep with such as never do: in virtual time, so that the machine has no part in it.
func TestSleepDelaysNoElection(t *testing.T) {
	loss := func(sleepTicks int) (elected, resigned time.Duration) {
		bubble(t, 3, func(c *HostConfig, _ *store.Options) { c.Replica.SleepTicks = sleepTicks }, func(f *fleet) {
			mustDone(f, f.pay(openTxn(1, 1, 2)))
			if sleepTicks >= 0 {
				f.asleep(f.sites...)
			} else {
				time.Sleep(3 * time.Second) // bubble time
			}
			old := f.leader()
			others := slices.DeleteFunc(slices.Clone(f.sites), func(id holdfast.SiteID) bool { return id == old })
			began := time.Now()
			f.isolate(old, true)
			f.leader(others...)
			elected = time.Since(began)
			f.until("the old leader gives up", func() bool { return !f.host(old).Leader(testShard).Self })
			resigned = time.Since(began)
			mustDone(f, f.pay(payTxn(2, 1, 2, 7), others...))
			f.isolate(old, false)
			f.asleepUnless(sleepTicks < 0)
			f.agree()
		})
		return elected, resigned
	}
	oneOfFive(t, "how much longer half of the elections took where the shard slept", 50*time.Millisecond, func() time.Duration {
		var slept, woke, late []time.Duration
		for range 15 {
			e, r := loss(0)
			slept, late = append(slept, e), append(late, r)
			e, _ = loss(-1)
			woke = append(woke, e)
		}
		for _, list := range [][]time.Duration{slept, woke, late} {
			slices.Sort(list)
		}
		t.Logf("elected asleep %v\nelected awake %v\nresigned asleep %v", slept, woke, late)
		if late[14] > 300*time.Millisecond {
			t.Errorf("a leader that was cut off in its sleep gave up after %v", late[14])
		}
		return slept[7] - woke[7] // two medians of a spread of 100 ms
	})
}

func (f *fleet) asleepUnless(never bool) {
	if !never {
		f.asleep(f.sites...)
	}
}

// TestASleepingLeaderHearsNothing: its beats arrive, and no others come to it.
func TestASleepingLeaderHearsNothing(t *testing.T) {
	for _, deaf := range []bool{true, false} {
		bubble(t, 3, nil, func(f *fleet) {
			mustDone(f, f.pay(openTxn(1, 1, 2)))
			f.asleep(f.sites...)
			old := f.leader()
			f.mu.Lock()
			for _, other := range f.sites {
				way := [2]holdfast.SiteID{old, other}
				if deaf {
					way = [2]holdfast.SiteID{other, old}
				}
				f.cut[way] = other != old
			}
			f.mu.Unlock()
			began := time.Now()
			f.until("another leader", func() bool {
				return slices.ContainsFunc(f.sites, func(id holdfast.SiteID) bool { return id != old && f.host(id).Leader(testShard).Self })
			})
			if took := time.Since(began); took > time.Second {
				t.Errorf("deaf %v: another site led after %v", deaf, took)
			}
		})
	}
}

func TestAFollowerComesBackWhileTheOthersSleep(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		lead := f.leader()
		back := f.sites[int(lead)%3]
		term := f.host(lead).Leader(testShard).Term
		fs := f.kill(back)
		time.Sleep(20 * time.Millisecond) // bubble time: too short for anybody to notice
		f.start(back, fs)
		f.asleep(f.sites...)
		if now := f.host(lead).Leader(testShard); now.Term != term || !now.Self {
			t.Errorf("site %d led term %d before, and now %+v", lead, term, now)
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
		mustBalance(f, back, 2, 7)
	})
}

// TestALeaderCutOffInItsSleepReadsNothingAlone: a read at a leader that slept asks a majority, as any other.
func TestALeaderCutOffInItsSleepReadsNothingAlone(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		old := f.leader()
		rest := others(f, old)
		mustBalance(f, rest[0], 2, 0) // a follower that sleeps reads at once
		f.asleep(f.sites...)
		f.isolate(old, true)
		if got, err := f.balance(old, testAccount(2), Linearizable); err == nil {
			t.Errorf("it reads %d, and nobody can tell whether that is so", got)
		}
		f.leader(rest...)
		mustDone(f, f.pay(payTxn(2, 1, 2, 7), rest...))
		if got, err := f.balance(old, testAccount(2), Linearizable); err == nil {
			t.Errorf("it reads %d, after another one led", got)
		}
		f.isolate(old, false)
		f.asleep(f.sites...)
		mustBalance(f, old, 2, 7)
	})
}

// TestMembersChangeWhileAShardSleeps: a disk that is replaced comes to a fleet that sleeps, and is waited for.
func TestMembersChangeWhileAShardSleeps(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		wiped := others(f, f.leader())[0]
		before := f.host(wiped).Status()[0].Node.Replica
		f.kill(wiped)
		f.start(wiped, vfs.NewMem())
		f.asleep(f.sites...)
		if !votes(f, f.leader(), wiped, before) {
			t.Error("the shard sleeps, and its new replica does not vote")
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
		mustBalance(f, wiped, 2, 7)
	})
}

func TestAHoldExpiresInASleepingShard(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		hold := payTxn(2, 1, 2, 7)
		hold.Transfers[0].Kind, hold.Transfers[0].Timeout = holdfast.Hold, 20*time.Second
		mustDone(f, f.pay(hold))
		began := time.Now()
		f.asleep(f.sites...)
		pending := func() (sum holdfast.Amount) {
			_ = f.host(f.leader()).Read(context.Background(), testShard, Stale, func(v *View) error {
				a, _ := v.Account(testAccount(1))
				sum = a.DebitsPending
				return nil
			})
			return sum
		}
		if pending() != 7 {
			t.Fatalf("%d are held, want 7", pending())
		}
		f.until("the hold expires", func() bool { return pending() == 0 })
		if took := time.Since(began); took < 19*time.Second || took > 20500*time.Millisecond {
			t.Errorf("a hold of 20 s expired after %v", took)
		}
	})
}

func TestBeatsSayWhatHolds(t *testing.T) {
	a, b := NewBeats(BeatConfig{Site: 1, Life: 11}), NewBeats(BeatConfig{Site: 2, Life: 22})
	tell := func(from, to *Beats) map[holdfast.ShardID]Slumber {
		t.Helper()
		from.Tick()
		list, err := to.Hear(from.config.Site, from.Beat(to.config.Site))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	a.led[3] = ledAsleep{from: 1, term: 5, commit: 9, with: []Member{{Replica: 2, Site: 2}, {Replica: 7, Site: 4}}}
	a.epoch++
	want := Slumber{Shard: 3, From: 1, To: 2, Term: 5, Commit: 9}
	if list := tell(a, b); list[3] != want || len(list) != 1 {
		t.Errorf("the first beat says %v, want %v", list, want)
	}
	tell(b, a)
	a.Tick()
	short := a.Beat(2)
	if len(short) != beatHead {
		t.Errorf("a list that the other has is sent again: %d bytes", len(short))
	}
	if list, err := b.Hear(1, short); err != nil || list[3] != want {
		t.Errorf("a beat without the list says %v, %v", list, err)
	}
	if list, err := b.Hear(1, short); err != nil || list != nil {
		t.Errorf("a beat that comes again says %v, %v", list, err)
	}
	a.Unlist(3)
	a.Tick()
	lost := a.Beat(2)
	if list := tell(a, b); len(list) != 0 {
		t.Errorf("a shard that woke is still said to sleep: %v", list)
	}
	if list, _ := b.Hear(1, lost); list != nil {
		t.Errorf("a beat that was overtaken says %v", list)
	}
	again := NewBeats(BeatConfig{Site: 1, Life: 12})
	again.epoch = b.peer(1).epoch
	if list := tell(again, b); len(list) != 0 || b.peer(1).life != 12 {
		t.Errorf("a new process is taken for the old one: %v", list)
	}
	for _, bad := range [][]byte{nil, short[:beatHead-1], append(bytes.Clone(lost), 1), append([]byte{9}, short[1:]...)} {
		if _, err := b.Hear(1, bad); err == nil {
			t.Errorf("%d bytes are taken for a beat", len(bad))
		}
	}
}

// A beat that confirms beats of an earlier start of this process confirms nothing, whatever numbers the new ones have come to.
func TestABeatOfAnEarlierLifeConfirmsNothing(t *testing.T) {
	old, b := NewBeats(BeatConfig{Site: 1, Life: 11}), NewBeats(BeatConfig{Site: 2, Life: 22})
	for range 5 {
		old.Tick()
		b.Tick()
		_, _ = b.Hear(1, old.Beat(2))
	}
	again := NewBeats(BeatConfig{Site: 1, Life: 12})
	for range 5 {
		again.Tick()
		b.Tick()
		if _, err := again.Hear(2, b.Beat(1)); err != nil {
			t.Fatal(err)
		}
	}
	if again.unheard(2) != never || again.peer(2).knows != 0 || again.silence(2) != 0 {
		t.Errorf("site 2 has heard the beat before %d ticks, and list %d, of a process that it has not heard", again.unheard(2), again.peer(2).knows)
	}
	_, _ = b.Hear(1, again.Beat(2))
	_, _ = again.Hear(2, b.Beat(1))
	b.Tick()
	_, _ = again.Hear(2, b.Beat(1))
	if again.unheard(2) != 0 {
		t.Errorf("now it has, and unheard is %d", again.unheard(2))
	}
}

// sleeper is one of three replicas of a shard, asleep, with what its site knows of the one that leads.
func sleeper(t *testing.T) (*desk, *Beats, *Rest) {
	t.Helper()
	d := &desk{T: t, log: &memoryLog{entries: make([]Entry, 1)}, now: 1e18}
	founders := NewMembers([]Member{{Replica: 1, Site: 1}, {Replica: 2, Site: 2}, {Replica: 3, Site: 3}})
	var err error
	d.replica, err = NewReplica(ReplicaConfig{
		Node:   NodeConfig{Shard: 1, Replica: 1, Log: d.log, Checkpoint: Checkpoint{Members: founders}},
		Intake: NewIntake(), Answers: NewAnswers(),
	}, 0)
	d.must(err)
	lead, b := NewBeats(BeatConfig{Site: 2, Life: 22}), NewBeats(BeatConfig{Site: 1, Life: 11})
	lead.led[1] = ledAsleep{from: 2, term: 1, with: []Member{{Replica: 1, Site: 1}}}
	lead.Tick()
	b.Tick()
	list, err := b.Hear(2, lead.Beat(1))
	d.must(err)
	d.must(d.replica.Hear(2, list[1]))
	d.output()
	d.store()
	d.must(d.replica.Tick(d.now))
	d.output()
	rest, err := b.Doze(1, d.replica)
	d.must(err)
	d.output()
	if rest == nil {
		t.Fatalf("it does not sleep: %+v", d.replica.Leader())
	}
	return d, b, rest
}

// A follower that wakes because its leader has spoken has heard it just now, however long no beat has come.
func TestALeaderThatSpeaksIsNotSilent(t *testing.T) {
	for range 20 { // election time-outs are random
		d, b, rest := sleeper(t)
		for range b.doubtAfter() - 1 {
			b.Tick()
		}
		if !b.Keeps(rest) || !b.Late(rest) {
			t.Fatal("it sleeps until a beat is in doubt, and looks closer when one is missing")
		}
		m := &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(1)), Commit: new(uint64(0))}
		payload, err := proto.Marshal(m)
		d.must(err)
		d.must(d.replica.Step(2, append([]byte{payloadVersion}, payload...)))
		if !d.replica.Stirred() {
			t.Fatal("a heartbeat of its own wakes no follower: its leader is awake")
		}
		b.Rouse(d.replica, rest)
		for n := range b.config.ElectionTicks - 1 {
			d.must(d.replica.Tick(d.now))
			if d.output(); d.replica.Leader().Leader != 2 {
				t.Fatalf("it suspects its leader %d ticks after it spoke", n+1)
			}
		}
	}
}

// One that wakes because no beat comes suspects its leader as soon as if it had been awake.
func TestASleeperThatHearsNothingIsNotLate(t *testing.T) {
	for range 20 {
		d, b, rest := sleeper(t)
		silent := 0
		for ; b.Keeps(rest); silent++ {
			b.Tick()
		}
		if silent != b.doubtAfter() {
			t.Fatalf("it wakes after %d ticks, want %d", silent, b.doubtAfter())
		}
		b.Rouse(d.replica, rest)
		for d.replica.Leader().Leader == 2 {
			d.must(d.replica.Tick(d.now))
			d.output()
			silent++
		}
		if most := 2 * b.config.ElectionTicks; silent < b.config.ElectionTicks || silent > most {
			t.Errorf("it suspects its leader after %d ticks, want %d to %d", silent, b.config.ElectionTicks, most)
		}
	}
}

// TestASleepingLeaderLearnsThatAReplicaIsOut: what its site's beats vouch for is that all replicas there are at work.
func TestASleepingLeaderLearnsThatAReplicaIsOut(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.asleep(f.sites...)
		sick := others(f, f.leader())[0]
		f.host(sick).at(testShard).life.Load().fail(ledger.ErrDigest{Index: 1})
		f.until("a leader that is awake and misses the replica", func() bool {
			st := f.host(f.leader()).Status()[0]
			return !st.Asleep && slices.ContainsFunc(st.Node.Followers, func(p Progress) bool { return p.Site == sick && !p.Active })
		})
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
	})
}

func TestBeatsTellSilence(t *testing.T) {
	a, b := NewBeats(BeatConfig{Site: 1, Life: 11}), NewBeats(BeatConfig{Site: 2, Life: 22})
	if a.unheard(2) != never || a.silence(2) != never {
		t.Error("a site that was never heard is not silent")
	}
	for range 2 {
		a.Tick()
		b.Tick()
		_, _ = b.Hear(1, a.Beat(2))
		_, _ = a.Hear(2, b.Beat(1))
	}
	if a.silence(2) != 0 || a.unheard(2) > 1 {
		t.Errorf("silence %d, unheard %d, right after a beat", a.silence(2), a.unheard(2))
	}
	for range 9 { // a is not heard any more, and hears
		a.Tick()
		b.Tick()
		_, _ = a.Hear(2, b.Beat(1))
	}
	if a.silence(2) != 0 || a.unheard(2) < 9 {
		t.Errorf("silence %d, unheard %d: nobody has heard it for 9 ticks", a.silence(2), a.unheard(2))
	}
}

// A beat speaks to one disk: to another one at the same site, which has less in its log, it must say nothing.
func TestABeatForAnotherDiskIsNotHeard(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		lead := f.leader()
		seat := f.host(f.sites[int(lead)%3]).at(testShard)
		if err := seat.do(context.Background(), func(r *Replica) error {
			now := r.Leader()
			word := Slumber{Shard: testShard, From: now.Leader, To: r.Node.config.Replica + 1, Term: now.Term, Commit: 1 << 40}
			return r.Hear(lead, word)
		}); err != nil {
			t.Fatal(err)
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 7)))
		f.agree()
	})
}
