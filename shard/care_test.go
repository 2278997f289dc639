package shard

import (
	"context"
	"errors"
	"path"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"holdfast"
	"holdfast/store"
)

const ms = time.Millisecond

// wrote lets a disk make n writes that take so long each, one after the other.
func wrote(c *Care, from time.Duration, n int, took time.Duration) time.Duration {
	for range n {
		c.WriteBegins(from, 100)
		from += took
		c.WriteEnds(from)
	}
	return from
}

func TestCareJudgesADisk(t *testing.T) {
	for _, row := range []struct {
		name       string
		do         func(c *Care) (now time.Duration)
		full, sick bool
		well       bool
	}{
		{"nothing written", func(*Care) time.Duration { return time.Hour }, false, false, true},
		{"fast writes", func(c *Care) time.Duration { return wrote(c, 0, 100, ms) }, false, false, true},
		{"some slow ones among fast ones", func(c *Care) time.Duration { return wrote(c, wrote(c, 0, 20, ms), 9, 120*ms) }, false, false, true},
		{"most are slow", func(c *Care) time.Duration { return wrote(c, wrote(c, 0, 9, ms), 10, 60*ms) }, false, true, false},
		{"too few to tell", func(c *Care) time.Duration { return wrote(c, 0, 4, 140*ms) }, false, false, true},
		{"one hangs", func(c *Care) time.Duration { c.WriteBegins(0, 100); return 401 * ms }, false, true, false},
		{"one takes long, and is not done", func(c *Care) time.Duration { c.WriteBegins(0, 100); return 399 * ms }, false, false, true},
		{"a large one", func(c *Care) time.Duration { c.WriteBegins(0, 64<<20); return 1100 * ms }, false, false, true},
		{"a large one hangs", func(c *Care) time.Duration { c.WriteBegins(0, 64<<20); return 1450 * ms }, false, true, false},
		{
			"one seems to hang, and the process did not run",
			func(c *Care) time.Duration { c.Look(1, 10*ms); c.WriteBegins(20*ms, 100); return 900 * ms },
			false, false, true,
		},
		{
			"one hangs while the process runs",
			func(c *Care) time.Duration {
				c.WriteBegins(20*ms, 100)
				for now := 10 * ms; now < 430*ms; now += 25 * ms {
					c.Look(1, now)
				}
				return 440 * ms
			},
			false, true, false,
		},
		{"full", func(c *Care) time.Duration { c.Space(true); return 0 }, true, false, false},
		{
			"slow a while ago",
			func(c *Care) time.Duration {
				now := wrote(c, 0, 10, 60*ms)
				c.Look(1, now)
				return wrote(c, now, 100, ms) + 9*time.Second
			},
			false, false, false,
		},
		{"slow long ago", func(c *Care) time.Duration {
			now := wrote(c, 0, 10, 60*ms)
			c.Look(1, now)
			return now + 10*time.Second
		}, false, false, true},
		{"full a while ago", func(c *Care) time.Duration { c.Space(true); c.Look(1, 0); c.Space(false); return 9 * time.Second }, false, false, false},
	} {
		c := NewCare(CareBounds{})
		if got := c.Look(1, row.do(c)); got.Full != row.full || got.Sick != row.sick || got.Well != row.well {
			t.Errorf("%s: %+v; want full %t, sick %t, well %t", row.name, got, row.full, row.sick, row.well)
		}
	}
}

func TestCareDecides(t *testing.T) {
	follower := func(site holdfast.SiteID) Progress {
		return Progress{Member: Member{Replica: ReplicaID(10 * site), Site: site, Role: Voter}, UpToDate: true}
	}
	behind := follower(2)
	behind.UpToDate = false
	learner := follower(2)
	learner.Role = Learner
	both := []Progress{follower(1), follower(2), follower(3)}
	two := []Progress{follower(2), follower(3)} // of a leader at site 1
	good := func(site holdfast.SiteID, median time.Duration) Health {
		return Health{Site: site, Well: true, Median: median}
	}
	full, sick, slow := Health{Site: 1, Full: true}, Health{Site: 1, Sick: true, Median: 60 * ms}, Health{Site: 1, Median: 30 * ms}
	starved, deaf := Health{Site: 1, Starved: true, Lost: 800 * ms}, Health{Site: 1, Deaf: true}
	hangs := Health{Site: 1, Sick: true, Hangs: true, Median: ms, Slowest: 160 * ms}
	slowly := Health{Site: 3, Well: true, Median: ms, Slowest: 54 * ms}
	unheard, err := ParseHealth(Health{Site: 3, Well: true, Median: ms}.Append(nil)[:12])
	if err != nil {
		t.Fatal(err)
	}
	narrow := Health{Site: 1, Narrow: true} // does not reach 3, see below
	reaching := func(site holdfast.SiteID, reach ...holdfast.SiteID) Health {
		return Health{Site: site, Well: true, Reach: reach}
	}
	ahead := []Progress{follower(1), follower(2), follower(3)}
	ahead[2].Match++
	before := []Progress{follower(1), follower(2), follower(3)}
	for _, row := range []struct {
		name      string
		own       Health
		followers []Progress
		others    []Health
		to        ReplicaID
		refuse    bool
	}{
		{"starved, and one is not", starved, both, []Health{{Site: 2, Well: true, Lost: 210 * ms}, {Site: 3, Well: true, Lost: 200 * ms}}, 30, false},
		{"starved, and the others nearly as much", starved, both, []Health{{Site: 2, Well: true, Lost: 300 * ms}, {Site: 3, Well: true, Lost: 700 * ms}}, 0, true},
		{"starved, and so are the others", starved, both, []Health{{Site: 2, Starved: true}, {Site: 3, Starved: true}}, 0, true},
		{"deaf, and one is not", deaf, both, []Health{{Site: 2, Deaf: true}, good(3, ms)}, 30, false},
		{"deaf, and so are the others", deaf, both, []Health{{Site: 2, Deaf: true}, {Site: 3, Deaf: true}}, 0, true},
		{"full, and two could lead: the faster one", full, both, []Health{good(2, 2*ms), good(3, ms)}, 30, false},
		{"sick, and one could lead", sick, both, []Health{good(2, 2*ms), {Site: 3, Sick: true}}, 20, false},
		{"sick, and the others are not much faster", sick, both, []Health{good(2, 20*ms), good(3, 40*ms)}, 0, true},
		{"sick, and the others have hardly written", sick, both, []Health{good(2, 0), good(3, 0)}, 0, true},
		{"a write hangs, and one goes on storing", hangs, ahead, []Health{good(2, ms), good(3, 2*ms)}, 30, false},
		{"a write hangs, and one goes on storing slowly", hangs, ahead, []Health{good(2, ms), slowly}, 0, true},
		{"a write hangs, and one that goes on storing is of an earlier version", hangs, ahead, []Health{good(2, ms), unheard}, 0, true},
		{"a write hangs, and nobody stores anything", hangs, both, []Health{good(2, ms), good(3, ms)}, 0, true},
		{"full, and so are the others", full, both, []Health{{Site: 2, Full: true}, {Site: 3, Full: true}}, 0, true},
		{"full, and the others were until lately", full, both, []Health{{Site: 2}, {Site: 3}}, 0, true},
		{"full, and nobody answers", full, both, nil, 0, true},
		{"full, and the only good one is behind: it will be there soon", full, []Progress{behind, follower(3)}, []Health{good(2, ms)}, 0, false},
		{"full, and the only good one has no vote", full, []Progress{learner}, []Health{good(2, ms)}, 0, true},
		{"slow, and all are", slow, both, []Health{good(2, 29*ms), good(3, 4*ms)}, 0, true},
		{"slow, and another is ten times as fast", slow, both, []Health{good(2, 29*ms), good(3, 2*ms)}, 30, false},
		{"slow, and nobody knows how fast the others are", slow, both, []Health{good(2, 0), good(3, 0)}, 0, true},
		{"narrow, and one reaches all", narrow, two, []Health{reaching(2, 1, 3)}, 20, false},
		{"narrow, and the other reaches as few", narrow, two, []Health{reaching(2, 1)}, 0, true},
		{"narrow, and nobody says what it reaches", narrow, two, []Health{good(2, ms)}, 0, true},
		{"narrow, and the one that reaches all is not well", narrow, two, []Health{{Site: 2, Reach: []holdfast.SiteID{1, 3}}}, 0, true},
		{"reaches all, and so does another", good(1, ms), two, []Health{reaching(2, 1, 3)}, 0, true},
		{"sick, and the slower of two reaches more", sick, two, []Health{{Site: 2, Well: true, Median: 2 * ms, Reach: []holdfast.SiteID{1, 3}}, {Site: 3, Well: true, Median: ms, Reach: []holdfast.SiteID{1}}}, 20, false},
		{"well", good(1, ms), both, []Health{good(2, ms/100), good(3, ms)}, 0, true},
	} {
		c := NewCare(CareBounds{})
		c.Reaches(Reach{Held: []holdfast.SiteID{2}})
		if row.own.Hangs {
			c.Decide(1, row.own, NodeStatus{Followers: before}, row.others, 0)
		}
		if got := c.Decide(1, row.own, NodeStatus{Followers: row.followers}, row.others, time.Second); got.To != row.to || got.Refuse != row.refuse {
			t.Errorf("%s: %+v; want %d, refuse %t", row.name, got, row.to, row.refuse)
		}
	}
}

// TestCareDoesNotFlap: one try a second, and new work is not kept waiting for ever.
func TestCareDoesNotFlap(t *testing.T) {
	c := NewCare(CareBounds{})
	c.Space(true)
	own := c.Look(1, 0)
	node := NodeStatus{Followers: []Progress{{Member: Member{Replica: 20, Site: 2, Role: Voter}, UpToDate: true}}}
	others := []Health{{Site: 2, Well: true}}
	asked, tried, refused := 0, 0, time.Duration(0)
	for now := time.Duration(0); now < 4*time.Second; now += 25 * ms {
		if !c.Asks(own, now) {
			continue
		}
		asked++
		y := c.Decide(1, own, node, others, now)
		if y.To != 0 {
			tried++
		}
		if y.Refuse && refused == 0 {
			refused = now
		}
	}
	if asked != 16 || tried != 4 || refused < 3*time.Second || refused > 3500*ms {
		t.Errorf("asked %d times, tried %d times, refused after %v; want 16, 4, and after 3 s", asked, tried, refused)
	}
}

func TestHealthTravels(t *testing.T) {
	for _, want := range []Health{{Site: 3}, {Site: 2, Full: true, Sick: true, Hangs: true, Median: 7 * ms, Slowest: 160 * ms, Lost: 900 * ms, Starved: true, Deaf: true, Reach: []holdfast.SiteID{1, 300}}, {Site: 1, Well: true}} {
		if got, err := ParseHealth(want.Append(nil)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := ParseHealth(nil); err == nil {
		t.Error("nothing was read as a health")
	}
}

// sickDisk is a disk that can be slow and full. The witness of the store is spared: whoever syncs it keeps its lock, another one may wait for
// that, and as long as one waits for a lock no time passes in a bubble.
type sickDisk struct {
	vfs.FS
	delay atomic.Int64 // of each sync, in nanoseconds
	full  atomic.Bool
}

func newSickDisk(fs vfs.FS) *sickDisk {
	d := &sickDisk{}
	d.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		syncs := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if syncs && path.Base(op.Path) != "witness" {
			time.Sleep(time.Duration(d.delay.Load())) // bubble time
		}
		return nil
	}))
	return d
}

func (d *sickDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.full.Load() {
		return vfs.DiskUsage{AvailBytes: 0, TotalBytes: 1 << 40}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40}, nil
}

// onSickDisks runs a test in a fleet of three whose disks can be slow and full.
func onSickDisks(t *testing.T, test func(f *fleet, disks map[holdfast.SiteID]*sickDisk)) {
	disks := map[holdfast.SiteID]*sickDisk{}
	tune := func(h *HostConfig, s *store.Options) {
		disks[h.Site] = newSickDisk(s.FS)
		s.FS = disks[h.Site]
	}
	bubble(t, 3, tune, func(f *fleet) { test(f, disks) })
}

func TestFullLeaderHandsOver(t *testing.T) {
	onSickDisks(t, func(f *fleet, disks map[holdfast.SiteID]*sickDisk) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		first := f.leader()
		full := others(f, first)[0]
		disks[full].full.Store(true)
		time.Sleep(2 * time.Second) // bubble time: until it has been noticed
		disks[first].full.Store(true)
		n := uint64(1)
		mayPay := func() {
			var b Batch
			n++
			txn := payTxn(n, 1, 2, 1)
			b.Add(&txn)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if _, err := f.host(first).Submit(ctx, testShard, false, b); errors.Is(err, ErrDiskFull) {
				t.Fatalf("refused although site %d has space", others(f, full)[1])
			}
			time.Sleep(5 * ms) // bubble time
		}
		for f.host(first).Leader(testShard).Self {
			mayPay()
		}
		second := f.leader()
		if second == full || second == first {
			t.Fatalf("site %d leads, and its disk is full", second)
		}
		mustDone(f, f.pay(payTxn(10_000, 1, 2, 1)))
		if !saw(f, first, EventYields) {
			t.Error("nobody was told why")
		}
		disks[second].full.Store(true)
		var err error
		f.until("the refusal when all are full", func() bool {
			var b Batch
			n++
			txn := payTxn(n, 1, 2, 1)
			b.Add(&txn)
			_, err = f.host(f.leader()).Submit(context.Background(), testShard, false, b)
			return errors.Is(err, ErrDiskFull)
		})
		disks[first].full.Store(false)
		f.until("the one with space to lead", func() bool { return f.host(first).Leader(testShard).Self })
		mustDone(f, f.pay(payTxn(20_000, 1, 2, 1)))
		f.agree()
	})
}

func TestSlowLeaderHandsOver(t *testing.T) {
	for name, delay := range map[string]time.Duration{"hangs": 2 * time.Second, "slow": 80 * ms, "slower than the others": 30 * ms} {
		t.Run(name, func(t *testing.T) {
			onSickDisks(t, func(f *fleet, disks map[holdfast.SiteID]*sickDisk) {
				for _, d := range disks {
					d.delay.Store(int64(ms))
				}
				mustDone(f, f.pay(openTxn(1, 1, 2)))
				sick := f.leader()
				disks[sick].delay.Store(int64(delay))
				n := uint64(1)
				pay := func() {
					n++
					mustDone(f, f.pay(payTxn(n, 1, 2, 1)))
				}
				for began := time.Now(); f.host(sick).Leader(testShard).Self; pay() {
					if time.Since(began) > 5*time.Second {
						t.Fatal("the leader with the slow disk still leads after five seconds")
					}
				}
				if !saw(f, sick, EventYields) {
					t.Error("nobody was told why")
				}
				disks[sick].delay.Store(int64(ms))
				next := f.leader()
				for began := time.Now(); time.Since(began) < 5*time.Second; pay() {
					if now := f.leader(); now != next {
						t.Fatalf("leadership went on from %d to %d", next, now)
					}
				}
				// The leader dies within the cool-down: the other healthy one takes over, as long as there is one.
				third := others(f, sick)[0]
				if third == next {
					third = others(f, sick)[1]
				}
				disk := f.kill(next)
				if now := f.leader(); now != third {
					t.Errorf("site %d leads, want %d: the disk of site %d was slow until lately", now, third, sick)
				}
				pay()
				f.start(next, disk)
				f.agree()
			})
		})
	}
}

// TestReluctantLeadsWhenNobodyElseCan: one that should not lead does when the others are gone or cannot.
// TestLeaderStaysWhenAllDisksHang: disks that hang together, as those of one array do, are no reason for an election, which would only
// wait for them as well.
func TestLeaderStaysWhenAllDisksHang(t *testing.T) {
	onSickDisks(t, func(f *fleet, disks map[holdfast.SiteID]*sickDisk) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		first := f.leader()
		n := uint64(1)
		for round := range 5 {
			var payments sync.WaitGroup
			during := func(length time.Duration) {
				for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(10 * ms) { // bubble time
					n++
					txn := payTxn(n, 1, 2, 1)
					payments.Go(func() { mustDone(f, f.pay(txn)) })
				}
			}
			disks[first].delay.Store(int64(800 * ms))
			during(60 * ms)
			for _, site := range others(f, first) {
				disks[site].delay.Store(int64(700 * ms)) // they will not have noticed when the leader asks them
			}
			during(700 * ms)
			for _, d := range disks {
				d.delay.Store(int64(ms))
			}
			payments.Wait()
			during(15 * time.Second) // until the disks count as well again
			payments.Wait()
			if now := f.leader(); now != first {
				t.Fatalf("after %d times site %d leads and no longer site %d", round+1, now, first)
			}
		}
		if saw(f, first, EventYields) {
			t.Error("the leader wanted to hand over")
		}
	})
}

func TestReluctantLeadsWhenNobodyElseCan(t *testing.T) {
	oneOfFive(t, "the time without a leader", 600*ms, func() (took time.Duration) {
		onSickDisks(t, func(f *fleet, disks map[holdfast.SiteID]*sickDisk) {
			mustDone(f, f.pay(openTxn(1, 1, 2)))
			for _, d := range disks {
				d.full.Store(true)
			}
			time.Sleep(2 * time.Second) // bubble time: until it has been noticed
			old := f.leader()
			f.kill(old)
			began := time.Now()
			f.leader()
			took = time.Since(began)
		})
		return took
	})
}
