package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/link"
	"holdfast/shard"
)

// scripted is the rest of the fleet: it answers each attempt as a test says.
type scripted struct {
	mu    sync.Mutex
	here  []func(context.Context) error                  // attempts at this site's own replica
	there []func(context.Context, holdfast.SiteID) error // attempts at other sites
	log   []string
	ids   []holdfast.ID // of all attempts
}

func (f *scripted) Submit(ctx context.Context, id holdfast.ShardID, bulk bool, b shard.Batch) ([]holdfast.Outcome, error) {
	f.mu.Lock()
	f.log = append(f.log, "here")
	var next func(context.Context) error
	if len(f.here) > 0 {
		next, f.here = f.here[0], f.here[1:]
	}
	f.mu.Unlock()
	if next != nil {
		if err := next(ctx); err != nil {
			return nil, err
		}
	}
	return f.done(b), nil
}

func (f *scripted) Call(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	groups, err := readGroups(payload)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.log = append(f.log, fmt.Sprint("site ", to))
	var next func(context.Context, holdfast.SiteID) error
	if len(f.there) > 0 {
		next, f.there = f.there[0], f.there[1:]
	}
	f.mu.Unlock()
	if next != nil {
		err = next(ctx, to)
	}
	if err != nil && (errors.Is(err, link.ErrUnreachable) || errors.Is(err, link.ErrNoAnswer) || errors.Is(err, link.ErrBusy)) {
		return nil, err
	}
	response := []byte{wireVersion}
	for _, g := range groups {
		if err != nil {
			response = appendAnswer(response, answer{err: err})
			continue
		}
		response = appendAnswer(response, answer{outcomes: f.done(g.Batch)})
	}
	return response, nil
}

func (f *scripted) done(b shard.Batch) []holdfast.Outcome {
	var list []holdfast.Outcome
	var t holdfast.Txn
	for rest := b.Body; len(rest) > 0; {
		var err error
		if rest, err = ledger.ReadTxn(rest, &t); err != nil {
			panic(err)
		}
		list = append(list, holdfast.Outcome{ID: t.ID, Status: holdfast.Done, Leg: holdfast.NoLeg})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range list {
		f.ids = append(f.ids, o.ID)
	}
	return list
}

// stage is site 1 of three, whose parts are scripted. Run it in a bubble.
func stage(t *testing.T, f *scripted) *Site {
	t.Helper()
	c := Embedded(t.TempDir(), "127.0.0.1:8080")
	s, err := Open(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Peers = []Peer{{Site: 2}, {Site: 3}}
	s.watch = newWatch(s.cfg.Peers, s.cfg.Timing.QuorumSilence.Std())
	s.watch.turned = s.majorityTurned
	s.watch.turn(true)
	s.proposer = f
	lanes := map[laneKey]*lane{}
	for _, to := range []holdfast.SiteID{2, 3} {
		for _, bulk := range []bool{false, true} {
			lanes[laneKey{to, bulk}] = newLane(to, f, nil, nil, 2, 1<<20)
		}
	}
	s.lanes.Store(&lanes)
	s.gate.open()
	s.running.Store(true)
	return s
}

func closeLanes(s *Site) {
	for _, l := range *s.lanes.Load() {
		l.close()
	}
}

func lead(s *Site, leader holdfast.SiteID, term uint64) { s.board.own(1, leader, term) }

func TestPropose(t *testing.T) {
	hang := func(ctx context.Context, _ holdfast.SiteID) error { <-ctx.Done(); return link.ErrNoAnswer }
	rows := []struct {
		name   string
		leader holdfast.SiteID
		here   []func(context.Context) error
		there  []func(context.Context, holdfast.SiteID) error
		during func(*Site) // after a second
		status holdfast.Status
		code   holdfast.Code
		log    string
		took   time.Duration // at most
	}{
		{name: "here", leader: 1, status: holdfast.Done, log: "[here]"},
		{name: "forwarded", leader: 2, status: holdfast.Done, log: "[site 2]"},
		{
			name: "pointed elsewhere", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(shard.NotLeaderError{Leader: 3})},
			status: holdfast.Done, log: "[site 2 site 3]", took: 2 * time.Millisecond,
		},
		{
			name: "pointed here", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(shard.NotLeaderError{Leader: 1})},
			status: holdfast.Done, log: "[site 2 here]", took: 2 * time.Millisecond,
		},
		{
			name: "no answer, asked again", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(link.ErrNoAnswer)},
			status: holdfast.Done, log: "[site 2 site 2]", took: 15 * time.Millisecond,
		},
		{
			name: "lost here, asked again", leader: 1, here: []func(context.Context) error{func(context.Context) error { return shard.ErrLost }},
			status: holdfast.Done, log: "[here here]", took: 15 * time.Millisecond,
		},
		{
			name: "stopping", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(shard.ErrStopping)},
			status: holdfast.Done, log: "[site 2 site 2]", took: 15 * time.Millisecond,
		},
		{
			name: "overloaded", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(shard.ErrOverloaded)},
			status: holdfast.NotExecuted, code: holdfast.CodeOverloaded, log: "[site 2]",
		},
		{
			name: "link busy", leader: 2, there: []func(context.Context, holdfast.SiteID) error{answers(link.ErrBusy)},
			status: holdfast.NotExecuted, code: holdfast.CodeOverloaded, log: "[site 2]",
		},
		{
			name: "disk full", leader: 1, here: []func(context.Context) error{func(context.Context) error { return shard.ErrDiskFull }},
			status: holdfast.NotExecuted, code: holdfast.CodeDiskFull, log: "[here]",
		},
		{
			name: "lost, then overloaded: may have been executed, so asked again", leader: 2,
			there:  []func(context.Context, holdfast.SiteID) error{answers(shard.ErrLost), answers(shard.ErrOverloaded)},
			status: holdfast.Done, log: "[site 2 site 2 site 2]", took: 30 * time.Millisecond,
		},
		{
			name: "the deadline passes in the queue here", leader: 1,
			here:   []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return shard.ErrTimeout }},
			status: holdfast.NotExecuted, code: holdfast.CodeDeadline, log: "[here]", took: 2 * time.Second,
		},
		{name: "no leader", status: holdfast.NotExecuted, code: holdfast.CodeNoLeader, log: "[]", took: 2 * time.Second},
		{
			name: "elected meanwhile", during: func(s *Site) { lead(s, 3, 7) },
			status: holdfast.Done, log: "[site 3]", took: time.Second,
		},
		{
			name: "the leader falls silent and another is elected", leader: 2, there: []func(context.Context, holdfast.SiteID) error{hang},
			during: func(s *Site) { lead(s, 3, 7) }, status: holdfast.Done, log: "[site 2 site 3]", took: 1020 * time.Millisecond,
		},
		{
			name: "the leader falls silent for good", leader: 2, there: []func(context.Context, holdfast.SiteID) error{hang},
			status: holdfast.Unknown, code: holdfast.CodeUnknown, log: "[site 2]", took: 2 * time.Second,
		},
		{
			name: "majority lost while forwarded", leader: 2, there: []func(context.Context, holdfast.SiteID) error{hang},
			during: func(s *Site) { s.watch.turn(false) }, status: holdfast.Unknown, code: holdfast.CodeUnknown, log: "[site 2]", took: time.Second,
		},
		{
			name: "majority lost while proposed here", leader: 1,
			here:   []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return shard.ErrLost }},
			during: func(s *Site) { s.watch.turn(false) }, status: holdfast.Unknown, code: holdfast.CodeUnknown, log: "[here]", took: time.Second,
		},
		{
			name: "majority lost while queued here", leader: 1,
			here:   []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return shard.ErrTimeout }},
			during: func(s *Site) { s.watch.turn(false) }, status: holdfast.NotExecuted, code: holdfast.CodeNoQuorum, log: "[here]", took: time.Second,
		},
		{
			name: "majority lost while there is no leader", during: func(s *Site) { s.watch.turn(false) },
			status: holdfast.NotExecuted, code: holdfast.CodeNoQuorum, log: "[]", took: time.Second,
		},
		{
			name: "unreachable to the end", leader: 2, there: unreachable(1000),
			status: holdfast.NotExecuted, code: holdfast.CodeNoLeader, took: 2 * time.Second,
		},
		{name: "a leader that nobody has configured", leader: 9, status: holdfast.NotExecuted, code: holdfast.CodeNoLeader, log: "[]", took: 2 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &scripted{here: row.here, there: row.there}
				s := stage(t, f)
				lead(s, row.leader, 5)
				if row.during != nil {
					time.AfterFunc(time.Second, func() { row.during(s) }) // bubble time
				}
				txn := (&fleet{}).open(account(t, 1, 1))
				begun := time.Now()
				o := submit(t, s, txn)
				took := time.Since(begun)
				if o.Status != row.status || o.Code != row.code || o.ID != txn.ID {
					t.Errorf("%s %s, want %s %s", o.Status, o.Code, row.status, row.code)
				}
				closeLanes(s) // a call that was given up may still run
				if row.log != "" && fmt.Sprint(f.log) != row.log {
					t.Errorf("asked %v, want %s", f.log, row.log)
				}
				if took > row.took {
					t.Errorf("took %s, at most %s is right", took, row.took)
				}
			})
		})
	}
}

func answers(err error) func(context.Context, holdfast.SiteID) error {
	return func(context.Context, holdfast.SiteID) error { return err }
}

func unreachable(n int) (list []func(context.Context, holdfast.SiteID) error) {
	for range n {
		list = append(list, answers(link.ErrUnreachable))
	}
	return list
}

// What gathers while calls are under way travels together, in order, and each gets its own answer.
func TestLanePutsParcelsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		release := make(chan struct{})
		f := &scripted{}
		hold := func(ctx context.Context, _ holdfast.SiteID) error { <-release; return nil }
		f.there = []func(context.Context, holdfast.SiteID) error{hold, hold}
		l := newLane(2, callFunc(func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
			groups, err := readGroups(payload)
			if err != nil {
				t.Error(err)
			}
			n := 0
			for _, g := range groups {
				n += g.Count()
				if g.Count() > groupTxns {
					t.Errorf("a group of %d counts as bulk", g.Count())
				}
			}
			f.mu.Lock()
			sizes = append(sizes, n)
			f.mu.Unlock()
			return f.Call(ctx, to, method, payload)
		}), nil, nil, 2, 1<<20)
		var parcels []*parcel
		fl := &fleet{}
		for i := range 102 {
			p := &parcel{group: group{id: 1}, until: time.Now().Add(time.Second), done: make(chan answer, 1)}
			txn := fl.open(account(t, uint32(i), 1))
			p.Add(&txn)
			p.bytes = len(p.Body)
			parcels = append(parcels, p)
			if err := l.put(p); err != nil {
				t.Fatal(err)
			}
			if i < 2 {
				synctest.Wait() // the first two are under way
			}
		}
		if !parcels[50].leave() {
			t.Error("a parcel that waits cannot leave")
		}
		if parcels[0].leave() {
			t.Error("a parcel that is under way left")
		}
		close(release)
		for i, p := range parcels {
			if i == 50 {
				continue
			}
			var want holdfast.Txn
			if _, err := ledger.ReadTxn(p.Body, &want); err != nil {
				t.Fatal(err)
			}
			if a := <-p.done; a.err != nil || len(a.outcomes) != 1 || a.outcomes[0].ID != want.ID {
				t.Errorf("parcel %d: %+v", i, a)
			}
		}
		l.close()
		if fmt.Sprint(sizes) != "[1 1 99]" {
			t.Errorf("calls of %v transactions, want 1, 1 and all the rest", sizes)
		}
	})
}

// The replica here may know before the leader's answer comes, or alone: each parcel of a group gets its part of the first.
func TestLaneTakesTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, calls := make(chan struct{}), make(chan []group, 2)
		leader := callFunc(func(ctx context.Context, _ holdfast.SiteID, _ string, payload []byte) ([]byte, error) {
			groups, err := readGroups(payload)
			if err != nil {
				t.Error(err)
			}
			calls <- groups
			<-stop
			return nil, link.ErrNoAnswer
		})
		settled := map[shard.Ticket]func([]holdfast.Outcome){}
		follow := func(_ holdfast.SiteID, _ holdfast.ShardID, count int, settle func([]holdfast.Outcome)) (shard.Ticket, func()) {
			ticket := shard.Ticket(10 + count)
			settled[ticket] = settle
			return ticket, func() { delete(settled, ticket) }
		}
		l := newLane(2, leader, follow, nil, 1, 1<<20)
		put := func(n int) *parcel {
			p := &parcel{group: groupOf(t, 1, false, n), until: time.Now().Add(time.Second), done: make(chan answer, 1)}
			p.bytes = len(p.Body)
			if err := l.put(p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		alone := put(1)
		if g := <-calls; len(g) != 1 || g[0].Origin.Ticket != 11 {
			t.Fatalf("the first call has %+v", g)
		}
		two, three := put(2), put(3)
		stop <- struct{}{}
		if a := <-alone.done; !errors.Is(a.err, shard.ErrLost) {
			t.Errorf("nobody has answered, and the first call has %+v", a)
		}
		if g := <-calls; len(g) != 1 || g[0].Origin.Ticket != 15 {
			t.Fatalf("the second call has %+v", g)
		}
		var list []holdfast.Outcome
		for i := range 5 {
			list = append(list, holdfast.Outcome{ID: holdfast.ID{byte(i)}})
		}
		settled[15](list)
		for _, x := range []struct {
			p    *parcel
			want []holdfast.Outcome
		}{{two, list[:2]}, {three, list[2:]}} {
			if a := <-x.p.done; a.err != nil || !slices.Equal(a.outcomes, x.want) {
				t.Errorf("%+v, want %+v", a, x.want)
			}
		}
		settled[15](list) // the lane must not wait for anybody to take a second answer
		close(stop)
		l.close()
		if len(settled) != 0 {
			t.Errorf("%d tickets are left", len(settled))
		}
	})
}

type callFunc func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error)

func (f callFunc) Call(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	return f(ctx, to, method, payload)
}

func TestLaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		l := newLane(2, callFunc(func(context.Context, holdfast.SiteID, string, []byte) ([]byte, error) {
			<-stop
			return nil, link.ErrNoAnswer
		}), nil, nil, 1, 100)
		put := func() (*parcel, error) {
			p := &parcel{group: group{id: 1}, bytes: 40, until: time.Now().Add(time.Second), done: make(chan answer, 1)}
			return p, l.put(p)
		}
		under, err := put()
		synctest.Wait()
		a, errA := put()
		b, errB := put()
		if _, errC := put(); err != nil || errA != nil || errB != nil || !errors.Is(errC, shard.ErrOverloaded) {
			t.Errorf("%v %v %v %v, want the last overloaded", err, errA, errB, errC)
		}
		go func() { close(stop) }()
		l.close()
		if x := <-under.done; !errors.Is(x.err, shard.ErrLost) {
			t.Errorf("a call without an answer: %v", x.err)
		}
		for _, p := range []*parcel{a, b} {
			if x := <-p.done; !errors.Is(x.err, shard.ErrStopping) && !errors.Is(x.err, shard.ErrLost) {
				t.Errorf("a parcel in a lane that closes: %v", x.err)
			}
		}
	})
}

func TestOverloadedWhenTooMuchIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stage(t, &scripted{})
		defer closeLanes(s)
		s.cfg.Limits.Pending = 1
		done := make(chan holdfast.Outcome, 1)
		fl := &fleet{}
		waiting, late := fl.open(account(t, 1, 1)), fl.open(account(t, 1, 1))
		go func() { done <- submit(t, s, waiting) }() // there is no leader yet
		synctest.Wait()
		if o := submit(t, s, late); o.Status != holdfast.NotExecuted || o.Code != holdfast.CodeOverloaded {
			t.Errorf("above the limit: %s %s", o.Status, o.Code)
		}
		lead(s, 1, 1)
		if o := <-done; o.Status != holdfast.Done {
			t.Errorf("the one that waited: %s %s", o.Status, o.Code)
		}
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		if g.enter(1) {
			t.Error("a gate is open before it is opened")
		}
		g.open()
		if !g.enter(3) {
			t.Fatal("an open gate is shut")
		}
		closed := make(chan error, 1)
		go func() { closed <- g.close(context.Background()) }()
		synctest.Wait()
		if g.enter(1) {
			t.Error("somebody entered while the gate closes")
		}
		g.leave(2)
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed with somebody inside")
		default:
		}
		g.leave(1)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		late, cancel := context.WithCancel(context.Background())
		cancel()
		other := newGate()
		other.open()
		other.enter(1)
		if err := other.close(late); err == nil {
			t.Error("closed without waiting")
		}
	})
}

func TestBoard(t *testing.T) {
	b := newBoard(2)
	leader := func(id holdfast.ShardID, want holdfast.SiteID, term uint64) {
		t.Helper()
		if s := b.seat(id); s.leader != want || s.term != term {
			t.Errorf("shard %d: site %d leads in term %d, want %d, %d", id, s.leader, s.term, want, term)
		}
	}
	first := b.seat(1)
	b.own(1, 2, 5)
	leader(1, 2, 5)
	select {
	case <-first.changed:
	default:
		t.Error("nobody was told of the change")
	}
	if b.own(1, 2, 5) {
		t.Error("the same again is a change")
	}
	b.heard(3, map[holdfast.ShardID]uint64{1: 4, 2: 9})
	leader(1, 2, 5) // an older term
	leader(2, 3, 9) // our replica knows nothing
	b.own(2, 0, 9)
	leader(2, 3, 9) // our replica has lost sight of a leader who still says it leads
	b.own(2, 0, 10)
	leader(2, 0, 10) // there was an election since
	b.heard(3, map[holdfast.ShardID]uint64{2: 11})
	leader(2, 3, 11)
	b.heard(3, nil)
	leader(2, 0, 10)
	b.own(2, 3, 11) // heard of already
	if one, two := b.elections(1), b.elections(2); one != 1 || two != 2 {
		t.Errorf("%d and %d elections were seen, want 1 and 2: a term without a leader is none, and one is counted once", one, two)
	}
}

// A site hears a majority as long as enough sites answer, and notices silence within a tenth of it.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		silent := map[holdfast.SiteID]bool{}
		begun := time.Now()
		var told []string
		tell := func(what string) { told = append(told, fmt.Sprint(time.Since(begun).Milliseconds(), " ", what)) }
		w := newWatch([]Peer{{Site: 2}, {Site: 3}}, 200*time.Millisecond)
		w.link = callFunc(func(ctx context.Context, to holdfast.SiteID, _ string, b []byte) ([]byte, error) {
			mu.Lock()
			quiet := silent[to]
			mu.Unlock()
			if quiet {
				<-ctx.Done()
				return nil, link.ErrNoAnswer
			}
			return b, nil
		})
		w.self = func() pulse { return pulse{version: "v"} }
		w.heard = func(holdfast.SiteID, pulse) {}
		w.lost = func(id holdfast.SiteID) { mu.Lock(); tell(fmt.Sprint("lost ", id)); mu.Unlock() }
		w.back = func(holdfast.SiteID) {}
		w.turned = func(heard bool) { mu.Lock(); tell(fmt.Sprint("majority ", heard)); mu.Unlock() }
		time.Sleep(time.Millisecond) // bubble time: so that the clock of the process is not at zero
		w.start()
		set := func(at time.Duration, id holdfast.SiteID, quiet bool) {
			time.Sleep(at - time.Since(begun)) // bubble time
			mu.Lock()
			silent[id] = quiet
			mu.Unlock()
		}
		set(1010*time.Millisecond, 2, true)
		set(2010*time.Millisecond, 3, true)
		set(3010*time.Millisecond, 2, false)
		time.Sleep(time.Second) // bubble time
		w.stop()
		want := "[1 majority true 1221 lost 2 2221 lost 3 2221 majority false 3041 majority true]"
		if got := fmt.Sprint(told); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// Payments that wait for the same leader travel together, and each group says how long its callers wait: there nothing is proposed for those
// who have gone, only because others in the same call still wait. A site of an earlier release is not told.
func TestEachGroupHasTheTimeOfItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, release := range []byte{0, knowsLeft} {
			calls := make(chan []group, 2)
			hold := make(chan struct{})
			l := newLane(2, callFunc(func(ctx context.Context, _ holdfast.SiteID, _ string, payload []byte) ([]byte, error) {
				groups, err := readGroups(payload)
				if err != nil {
					t.Error(err)
				}
				calls <- groups
				<-hold
				return nil, link.ErrNoAnswer
			}), nil, func(_ holdfast.SiteID, what byte) bool { return release&what != 0 }, 1, 1<<20)
			for i, left := range []time.Duration{time.Second, 300 * time.Millisecond, 2 * time.Second, 320 * time.Millisecond, 10 * time.Millisecond} {
				p := &parcel{group: groupOf(t, 1, false, 1), until: time.Now().Add(left), done: make(chan answer, 1)}
				if err := l.put(p); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					synctest.Wait() // it is under way, and the rest gathers
				}
			}
			<-calls
			time.Sleep(20 * time.Millisecond) // bubble time: the last one is late
			go func() { hold <- struct{}{} }()
			got := ""
			for _, g := range <-calls {
				got += fmt.Sprint(g.Count(), " ", g.left, ", ")
			}
			want := "2 280ms, 1 1.98s, "
			if release == 0 {
				want = "2 0s, 1 0s, "
			}
			if got != want {
				t.Errorf("groups %s want %s", got, want)
			}
			close(hold)
			l.close()
		}
	})
}

// A leader does not go on for longer than the callers of a group wait, however long those of the call do.
func TestAGroupIsServedForAsLongAsItsCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stage(t, &scripted{here: []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return shard.ErrTimeout }}})
		defer closeLanes(s)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		g := groupOf(t, 1, false, 1)
		g.left = 300 * time.Millisecond
		begun := time.Now()
		a := s.serveGroup(ctx, g)
		if took := time.Since(begun); !errors.Is(a.err, shard.ErrTimeout) || took != g.left {
			t.Errorf("%v after %s, want it to end after %s", a.err, took, g.left)
		}
	})
}
