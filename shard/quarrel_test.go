package shard

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

// alter gives a replica another state, as a fault in memory would. What the log adds later is the same as everywhere.
func alter(f *fleet, sick holdfast.SiteID) {
	f.t.Helper()
	m := f.host(sick).at(testShard).life.Load().machine
	m.mu.Lock()
	defer m.mu.Unlock()
	other := ledger.New() // a state that has seen as many entries, and other ones
	for n := uint64(1); n <= m.applied; n++ {
		if _, err := other.Apply(n, nil, m.disk, nil); err != nil {
			f.t.Fatal(err)
		}
	}
	m.state = other
}

func outOfService(f *fleet, id holdfast.SiteID) error { return f.host(id).Status()[0].OutOfService }

// told reports whether a site has given an event.
func told(f *fleet, id holdfast.SiteID, kind EventKind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.nodes[id].events, func(e Event) bool { return e.Kind == kind })
}

// prod keeps the log moving, so that digests differ and are compared, until cond holds. Outcomes do not matter.
func prod(f *fleet, from uint64, what string, cond func() bool) {
	f.t.Helper()
	for n := from; n < from+200; n++ {
		if cond() {
			return
		}
		var b Batch
		x := openTxn(n, uint32(n))
		b.Add(&x)
		for _, id := range f.sites {
			if h := f.host(id); h != nil && h.Leader(testShard).Self {
				ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
				_, _ = h.Submit(ctx, testShard, false, b)
				cancel()
			}
		}
		time.Sleep(100 * time.Millisecond) // bubble time
	}
	f.t.Fatalf("twenty seconds have passed without %s", what)
}

// TestLeaderThatDiffersGoes: the digest that a leader with another state proposes is in the log for ever. The leader has to go, and
// the followers have to go on, also after each restart.
func TestLeaderThatDiffersGoes(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		sick := f.leader()
		good := others(f, sick)
		alter(f, sick)
		prod(f, 1000, "the leader out of service", func() bool { return outOfService(f, sick) != nil })
		f.leader(good...)
		mustDone(f, f.pay(openTxn(2, 3), good...))
		for _, id := range good {
			if err := outOfService(f, id); err != nil {
				t.Errorf("site %d is right and out of service: %v", id, err)
			}
		}
		if !told(f, good[0], EventOthersDiffer) && !told(f, good[1], EventOthersDiffer) {
			t.Error("nobody has said that another replica differs")
		}

		disks := map[holdfast.SiteID]vfs.FS{}
		for _, id := range f.sites {
			disks[id] = f.kill(id)
		}
		for _, id := range f.sites {
			f.start(id, disks[id])
		}
		mustDone(f, f.pay(openTxn(3, 4)))
		f.agree() // what was on the disk of the first was right
		for _, id := range f.sites {
			if err := outOfService(f, id); err != nil {
				t.Errorf("site %d is out of service after a restart of all: %v", id, err)
			}
		}
	})
}

// TestFollowersOfABadLeaderStartAlone is the same without the leader coming back.
func TestFollowersOfABadLeaderStartAlone(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		sick := f.leader()
		good := others(f, sick)
		alter(f, sick)
		prod(f, 1000, "the leader out of service", func() bool { return outOfService(f, sick) != nil })
		f.leader(good...)
		f.kill(sick)
		disks := map[holdfast.SiteID]vfs.FS{}
		for _, id := range good {
			disks[id] = f.kill(id)
		}
		for _, id := range good {
			f.start(id, disks[id])
		}
		mustDone(f, f.pay(openTxn(2, 3), good...))
		for _, id := range good {
			f.until("site in service again", func() bool {
				_, err := f.balance(id, testAccount(1), Linearizable)
				return err == nil && outOfService(f, id) == nil
			})
		}
		f.sites = good
	})
}

// TestNobodyServesWithoutAMajority: one of three is down and the two that are left differ. Neither answers until the third is back; then the
// one that is right goes on.
func TestNobodyServesWithoutAMajority(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		sick := f.leader()
		good := others(f, sick)
		away := f.kill(good[1])
		alter(f, sick)
		prod(f, 1000, "both out of service", func() bool { return outOfService(f, sick) != nil && outOfService(f, good[0]) != nil })
		for _, id := range []holdfast.SiteID{sick, good[0]} {
			if _, err := f.balance(id, testAccount(1), Stale); !errors.Is(err, ErrOutOfService) {
				t.Errorf("site %d answers a read and does not know whether it is right: %v", id, err)
			}
		}
		f.start(good[1], away)
		f.until("the verdict of the third", func() bool { return outOfService(f, good[0]) == nil })
		f.leader(good...)
		mustDone(f, f.pay(openTxn(2, 3), good...))
		if outOfService(f, sick) == nil {
			t.Error("the replica that differs is in service")
		}
		if !told(f, good[0], EventBack) {
			t.Error("nobody has heard that the right one is back in service")
		}
	})
}

// TestTrustDecides: of two voters none is a majority. An operator names the one that is right, which then leads, and the other goes on voting.
func TestTrustDecides(t *testing.T) {
	bubble(t, 2, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.agree()
		sick := f.leader()
		good := others(f, sick)[0]
		alter(f, sick)
		prod(f, 1000, "both out of service", func() bool { return outOfService(f, sick) != nil && outOfService(f, good) != nil })
		if err := f.host(good).Trust(testShard); err != nil {
			t.Fatal(err)
		}
		f.leader(good)
		mustDone(f, f.pay(openTxn(2, 3), good))
		time.Sleep(5 * time.Second) // bubble time: some rounds of questions by the other one
		if err := outOfService(f, good); err != nil || outOfService(f, sick) == nil {
			t.Errorf("the trusted one: %v, the other one: %v", err, outOfService(f, sick))
		}
		mustBalance(f, good, 1, 0)
	})
}

func TestJudge(t *testing.T) {
	voter := func(n int) Member { return Member{Replica: ReplicaID(n), Site: holdfast.SiteID(n), Role: Voter} }
	three := Members{List: []Member{voter(1), voter(2), voter(3), {Replica: 4, Site: 4, Role: Learner}}}
	op := func(n int, points ...Point) Opinion {
		return Opinion{Site: holdfast.SiteID(n), Replica: ReplicaID(n), Points: points}
	}
	joint := Members{List: []Member{voter(1), {Replica: 2, Site: 2, Role: Voter | OldVoter}, {Replica: 3, Site: 3, Role: OldVoter}}}
	for _, x := range []struct {
		what    string
		members Members
		others  []Opinion
		want    Verdict
	}{
		{"nobody answers", three, nil, Undecided},
		{"one agrees", three, []Opinion{op(2, Point{20, 7})}, Right},
		{"one agrees before the difference only", three, []Opinion{op(2, Point{10, 5})}, Undecided},
		{"one differs", three, []Opinion{op(2, Point{20, 8})}, Undecided},
		{"one agrees, one differs", three, []Opinion{op(2, Point{20, 7}), op(3, Point{20, 8})}, Right},
		{"two differ in the same way", three, []Opinion{op(2, Point{20, 8}), op(3, Point{20, 8})}, Wrong},
		{"two differ in two ways", three, []Opinion{op(2, Point{20, 8}), op(3, Point{20, 9})}, Undecided},
		{"a learner agrees", three, []Opinion{op(4, Point{20, 7})}, Undecided},
		{"a stranger agrees", three, []Opinion{{Site: 2, Replica: 9, Points: []Point{{20, 7}}}}, Undecided},
		{"they do not meet", three, []Opinion{op(2, Point{30, 7})}, Undecided},
		{"one half agrees", joint, []Opinion{op(2, Point{20, 7})}, Undecided},
		{"both halves agree", joint, []Opinion{op(2, Point{20, 7}), op(3, Point{20, 7})}, Right},
	} {
		own := op(1, Point{10, 5}, Point{20, 7})
		if got := Judge(&own, 20, x.members, x.others); got != x.want {
			t.Errorf("%s: %d, want %d", x.what, got, x.want)
		}
	}
	own := op(1, Point{1, 9})
	if got := Judge(&own, 1, Members{List: []Member{voter(1)}}, nil); got != Right {
		t.Errorf("the only voter is %d, want right", got)
	}
}

func TestOpinionOnTheWire(t *testing.T) {
	want := Opinion{Site: 3, Replica: 77, Doubts: true, Points: []Point{{1, 2}, {1 << 60, 1<<64 - 1}}}
	b := want.Append(nil)
	if got, err := ParseOpinion(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(b) {
		if got, err := ParseOpinion(b[:n]); err == nil && n != opinionHead && n != opinionHead+pointBytes {
			t.Errorf("%d bytes of %d are read as %+v", n, len(b), got)
		}
	}
}

// TestAStateInDoubtIsKept: no checkpoint is made of it and nothing is proposed from it, memory stays bounded, and all that ends with the
// doubt.
func TestAStateInDoubtIsKept(t *testing.T) {
	three := NewMembers([]Member{{Replica: 1, Site: 1}, {Replica: 2, Site: 2}, {Replica: 3, Site: 3}})
	m := &Machine{config: MachineConfig{SealEntries: 1}.withDefaults(), state: ledger.New(), members: three}
	apply := func(says uint64) {
		t.Helper()
		index, digest := m.state.Checked()
		data := ledger.AppendDigest(nil, Nonce{}, holdfast.Time(10+index), index, digest+says)
		if _, err := m.Apply(Entry{Index: m.applied + 1, Term: 1, Data: data}, nil); err != nil {
			t.Fatal(err)
		}
	}
	apply(0)
	apply(0)
	if m.Doubted() {
		t.Fatal("in doubt, and nothing differs")
	}
	apply(1)
	if cause, ok := m.Doubt(); !ok || !m.Doubted() || cause.Index != 2 {
		t.Fatalf("doubt %v, %t after a digest that differs", cause, ok)
	}
	if m.Full() {
		t.Error("full before there is much")
	}
	apply(0)
	m.NeedCheckpoint()
	if g := m.Seal(1); g != nil {
		t.Errorf("a checkpoint at %d of a state in doubt", g.Meta.Index)
	}
	if !m.Full() {
		t.Error("not full with four times what a segment takes")
	}
	if u := m.Upkeep(100, true); u.DigestDue {
		t.Error("a state in doubt proposes its digest")
	}
	at2 := m.record.points[1]
	stranger := Opinion{Site: 2, Replica: 9, Points: []Point{at2}}
	if v, _ := m.Judge(1, 1, []Opinion{stranger}); v != Undecided || !m.Doubted() {
		t.Errorf("a stranger decides: %d", v)
	}
	agrees := Opinion{Site: 2, Replica: 2, Points: []Point{at2}}
	differs := Opinion{Site: 3, Replica: 3, Points: []Point{{at2.Index, at2.Digest + 1}}}
	if v, who := m.Judge(1, 1, []Opinion{agrees, differs}); v != Right || m.Doubted() || !slices.Equal(who, []holdfast.SiteID{3}) {
		t.Errorf("verdict %d, differ %v", v, who)
	}
	if m.Hear(&differs); m.Doubted() {
		t.Error("in doubt again because of one that is known to differ")
	}
	if m.Full() || m.Seal(2) == nil {
		t.Error("the doubt is over, and no checkpoint is made")
	}
	differs.Site, differs.Replica = 2, 2
	if m.Hear(&differs); !m.Doubted() {
		t.Error("another voter differs, and there is no doubt")
	}
}
