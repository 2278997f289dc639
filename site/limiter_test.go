package site

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/shard"
)

// narrow is a leader that takes the same time for each payment, one after the other, whether its caller still waits or not.
type narrow struct {
	scripted
	each  atomic.Int64 // ns
	queue chan chan struct{}
	over  atomic.Bool // what still waits is dropped
}

func (n *narrow) work() {
	for done := range n.queue {
		if !n.over.Load() {
			time.Sleep(time.Duration(n.each.Load())) // bubble time
		}
		close(done)
	}
}

func (n *narrow) close() {
	n.over.Store(true)
	close(n.queue)
	synctest.Wait()
	time.Sleep(time.Duration(n.each.Load())) // bubble time: it may be in the midst of one
}

func (n *narrow) Submit(ctx context.Context, _ holdfast.ShardID, _ bool, b shard.Batch) ([]holdfast.Outcome, error) {
	done := make(chan struct{})
	n.queue <- done
	select {
	case <-done:
		return n.done(b), nil
	case <-ctx.Done():
		return nil, shard.ErrLost
	}
}

// tide is a stretch of open-loop load on a site, and what its callers were told.
type tide struct {
	t   *testing.T
	all sync.WaitGroup

	mu     sync.Mutex // guards what follows
	told   map[holdfast.Code]int
	late   time.Duration // the longest wait of one who was paid
	turned time.Duration // and of one who was turned away
}

// pay lets payments come at a distance for a while, each with a deadline of its own.
func pay(t *testing.T, s *Site, fl *fleet, length, each time.Duration) *tide {
	d := &tide{t: t, told: map[holdfast.Code]int{}}
	for range int(length / each) {
		txn := fl.open(account(t, 1, 1))
		d.all.Go(func() {
			begun := time.Now()
			d.note(submit(t, s, txn), time.Since(begun))
		})
		time.Sleep(each) // bubble time
	}
	return d
}

func (d *tide) note(o holdfast.Outcome, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told[o.Code]++
	switch o.Code {
	case holdfast.CodeOK:
		d.late = max(d.late, took)
	case holdfast.CodeOverloaded:
		d.turned = max(d.turned, took)
	}
}

// wait waits until all have been told.
func (d *tide) wait() *tide {
	d.all.Wait()
	return d
}

func (d *tide) onlyPaid() bool { return len(d.told) == 1 && d.told[holdfast.CodeOK] > 0 }

// onNarrow is a site whose shard is led here, by a leader that takes so long for each payment.
func onNarrow(t *testing.T, each time.Duration, test func(s *Site, n *narrow, fl *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		n := &narrow{queue: make(chan chan struct{}, 1<<16)}
		n.each.Store(int64(each))
		go n.work()
		defer n.close()
		s := stage(t, &n.scripted)
		defer closeLanes(s)
		s.proposer = n
		test(s, n, &fleet{})
	})
}

// Three times as much as a leader can take comes for five seconds: nearly as much is paid as it can take, whoever is not paid is told at once
// that nothing was executed, and a second after it, all is as it was before.
func TestAFloodIsTurnedAwayAndLeavesNothingBehind(t *testing.T) {
	onNarrow(t, 5*time.Millisecond, func(s *Site, _ *narrow, fl *fleet) { // 200 a second
		lead(s, 1, 1)
		if before := pay(t, s, fl, 2*time.Second, 7*time.Millisecond).wait(); !before.onlyPaid() {
			t.Errorf("before the flood: %v", before.told)
		}
		begins := pay(t, s, fl, limiterBrief+time.Second, 5*time.Millisecond/3) // nobody knows yet whether it will last
		flood := pay(t, s, fl, 5*time.Second-limiterBrief-time.Second, 5*time.Millisecond/3)
		time.Sleep(500 * time.Millisecond) // bubble time
		after := pay(t, s, fl, 5*time.Second, 7*time.Millisecond).wait()
		begins.wait()
		flood.wait()
		for code, n := range begins.told {
			flood.told[code] += n
		}
		flood.late = max(flood.late, begins.late)
		if paid := flood.told[holdfast.CodeOK]; paid < 800 {
			t.Errorf("of 1000 that can be paid in 5 s %d were paid in the flood: %v", paid, flood.told)
		}
		if flood.told[holdfast.CodeUnknown]+flood.told[holdfast.CodeDeadline] > 0 {
			t.Errorf("some were not told: %v", flood.told)
		}
		if flood.late > 1500*time.Millisecond || flood.turned > 10*time.Millisecond {
			t.Errorf("in the flood one was paid after %s, and one turned away after %s", flood.late, flood.turned)
		}
		if !after.onlyPaid() || after.late > 100*time.Millisecond {
			t.Errorf("after the flood: %v, the longest wait %s", after.told, after.late)
		}
	})
}

// A leader answers a thirtieth of what it did, and after a moment another one leads: nobody is turned away, some wait.
func TestABriefJamIsWaitedOut(t *testing.T) {
	onNarrow(t, 5*time.Millisecond, func(s *Site, n *narrow, fl *fleet) {
		lead(s, 1, 1)
		const usual = 25 * time.Millisecond
		pay(t, s, fl, time.Second, usual).wait()
		n.each.Store(int64(150 * time.Millisecond))
		jam := pay(t, s, fl, 1500*time.Millisecond, usual)
		n.each.Store(int64(5 * time.Millisecond))
		pay(t, s, fl, time.Second, usual).wait()
		if jam.wait(); !jam.onlyPaid() || jam.late > 1900*time.Millisecond {
			t.Errorf("in a jam of 1.5 s: %v, the longest wait %s", jam.told, jam.late)
		}
	})
}

// A leader is starved for three seconds: a tenth of its speed is left, and the load is what it always was, which it could just take. When that
// is over everybody is paid again within a second.
func TestAStarvedLeaderIsAsBeforeASecondLater(t *testing.T) {
	onNarrow(t, 5*time.Millisecond, func(s *Site, n *narrow, fl *fleet) {
		lead(s, 1, 1)
		const usual = 5700 * time.Microsecond // 88 % of what it can take
		pay(t, s, fl, time.Second, usual)
		n.each.Store(int64(50 * time.Millisecond))
		pay(t, s, fl, 3*time.Second, usual)
		n.each.Store(int64(5 * time.Millisecond))
		pay(t, s, fl, time.Second, usual)
		if after := pay(t, s, fl, 5*time.Second, usual).wait(); !after.onlyPaid() || after.late > 100*time.Millisecond {
			t.Errorf("a second after it was starved: %v, the longest wait %s", after.told, after.late)
		}
	})
}

// An election is no flood: whoever waited for it is let in, all at once, and so is what comes with them.
func TestWhoWaitedForAnElectionIsNotTurnedAway(t *testing.T) {
	onNarrow(t, 100*time.Microsecond, func(s *Site, _ *narrow, fl *fleet) {
		time.AfterFunc(1500*time.Millisecond, func() { lead(s, 1, 1) }) // bubble time
		if all := pay(t, s, fl, 3*time.Second, time.Millisecond).wait(); all.told[holdfast.CodeOK] != 3000 {
			t.Errorf("%v, want all 3000 paid", all.told)
		}
	})
}

// What has departed lands whatever else is under way: nothing that was begun is turned away.
func TestWhatWasBegunIsNotTurnedAway(t *testing.T) {
	onNarrow(t, 5*time.Millisecond, func(s *Site, _ *narrow, fl *fleet) {
		lead(s, 1, 1)
		time.AfterFunc(3*time.Second, func() { // bubble time: in the midst of it
			txn := fl.open(account(t, 1, 1))
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if _, err := s.propose(ctx, add(nil, group{id: 1}, &txn, 0, 1)[0].group); err != nil {
				t.Errorf("a land in a flood: %v", err)
			}
			g := add(nil, group{id: 1, begins: true}, &txn, 0, 1)[0].group
			p := proposal{site: s, ctx: ctx, group: g, maybe: true, seat: s.board.seat(1), majority: s.watch.majority.Load()}
			if _, err := p.attempt(); err != nil {
				t.Errorf("a payment that may have been executed is asked for in a flood: %v", err)
			}
		})
		if flood := pay(t, s, fl, 5*time.Second, time.Millisecond).wait(); flood.told[holdfast.CodeOverloaded] == 0 {
			t.Errorf("no flood: %v", flood.told)
		}
	})
}

func TestLimiter(t *testing.T) {
	const ms = time.Millisecond
	l, now := &limiter{target: 100 * ms}, time.Duration(0)
	enter := func(n int) (in int) {
		for range n {
			if l.enter(now, time.Second) == letIn {
				in++
			}
		}
		return in
	}
	// answers come one a millisecond, each after so long.
	answers := func(n int, took time.Duration) {
		for range n {
			now += ms
			l.leave(now, took)
		}
	}
	if got := enter(1000); got != 1000 {
		t.Fatalf("%d of 1000 were let in at the beginning", got)
	}
	answers(400, 20*ms)
	if l.limit != 0 {
		t.Errorf("answers are quick, however many are under way, and the limit is %v", l.limit)
	}
	l.inside = 90
	for range 40 {
		answers(10, 90*ms)
		enter(10)
	}
	if l.limit != 0 {
		t.Errorf("no more are under way than are answered in time, and the limit is %v", l.limit)
	}
	l.inside = 120
	answers(450, 40*ms)
	if l.limit != 0 {
		t.Errorf("a fifth more than are answered in time are under way, and the limit is %v", l.limit)
	}
	l.inside = 900
	answers(210, 40*ms)
	if l.limit != 0 {
		t.Errorf("it is the first moment in which so many are under way, and the limit is %v", l.limit)
	}
	answers(200, 40*ms)
	if l.limit < 70 || l.limit > 80 {
		t.Errorf("100 are answered in time, of which 75 are to be let in while the queue stands, and the limit is %v", l.limit)
	}
	l.inside = 1000
	answers(800, 200*ms)
	if l.limit < 70 || l.limit > 80 {
		t.Errorf("the limit is %v when answers are late, want 75", l.limit)
	}
	if got := enter(10); got != 0 {
		t.Errorf("%d of 10 were let in with 200 under way", got)
	}
	l.inside = 20
	if l.enter(now, 150*ms) == letIn || l.enter(now, time.Second) != letIn {
		t.Error("one who will not be there for the answer was let in, or one who will was not")
	}
	before := l.limit
	enter(100)
	answers(210, 20*ms)
	if l.limit <= before {
		t.Errorf("answers are quick, somebody was turned away, and the limit stays at %v", l.limit)
	}
	for range 2 * limiterCalm {
		enter(10)
		answers(10, 20*ms)
		now += limiterLonger
	}
	if l.limit != 0 || enter(500) != 500 {
		t.Errorf("nobody was turned away for long, and the limit is %v", l.limit)
	}
}

// A leader whose disk has become slow answers nobody for a moment, and then as many as before, later: nobody is turned away, for all of them are answered in
// time.
func TestLimiterLeavesASlowDiskAlone(t *testing.T) {
	const ms = time.Millisecond
	l, now := &limiter{target: 500 * ms}, time.Duration(0)
	var under []time.Duration // when those under way came
	for range 4000 {          // one each 2.5 ms, answered in groups of 150 ms of which two are under way
		if now += 2500 * time.Microsecond; l.enter(now, 2*time.Second) != letIn {
			t.Fatalf("turned away after %s, with %d under way and a limit of %v", now, l.inside, l.limit)
		}
		under = append(under, now)
		if now > 2*time.Second && now%(150*ms) != 0 {
			continue
		}
		ready := now
		if now > 2*time.Second {
			ready -= 150 * ms
		}
		for len(under) > 0 && under[0] <= ready {
			l.leave(now, now-under[0]+ms)
			under = under[1:]
		}
	}
}

// A limit after which nobody came for a minute, because another site led, is over, and the next one begins as the first did.
func TestLimiterForgetsAJam(t *testing.T) {
	const ms = time.Millisecond
	l, now := &limiter{target: 100 * ms}, time.Duration(0)
	// come lets some come, and one answer, each 25 ms for a second.
	come := func(n int, took time.Duration) {
		for range 40 {
			for range n {
				l.enter(now, time.Second)
			}
			now += 25 * ms
			l.leave(now, took)
		}
	}
	come(50, 400*ms)
	if l.limit == 0 || l.enter(now, time.Second) != waitTurn {
		t.Fatalf("in the first jam the limit is %v, since %v of %v", l.limit, l.began, now)
	}
	now, l.inside = now+time.Minute, 0
	come(1, 10*ms) // it leads again, and all is well
	come(50, 400*ms)
	if l.limit == 0 || l.enter(now, time.Second) != waitTurn {
		t.Errorf("in the next jam the limit is %v, since %v of %v", l.limit, l.began, now)
	}
}

// However slow the answers are, some are let in: nothing would be learnt otherwise.
func TestLimiterLetsSomeInAlways(t *testing.T) {
	l, now := &limiter{target: time.Millisecond}, time.Duration(0)
	for range 100 {
		in := 0
		for in < 100 && l.enter(now, time.Second) == letIn {
			in++
		}
		if in < limiterLeast {
			t.Fatalf("only %d were let in at %s", in, now)
		}
		for range 20 { // somebody comes all the time
			now += 100 * time.Millisecond
			if l.enter(now, time.Second) == letIn {
				in++
			}
		}
		for range in {
			l.leave(now, 2*time.Second)
		}
	}
	if l.limit != limiterLeast {
		t.Errorf("the limit is %v, and every answer takes 2000 times as long as it may", l.limit)
	}
}

// A slow answer in a quiet hour says nothing about how many can be answered: the crowd that comes after it is let in.
func TestLimiterLetsACrowdInAfterAQuietHour(t *testing.T) {
	l, now := &limiter{target: 100 * time.Millisecond}, time.Duration(0)
	enter := func(n int) (in int) {
		for range n {
			if l.enter(now, time.Second) == letIn {
				in++
			}
		}
		return in
	}
	for _, quiet := range []time.Duration{time.Hour, time.Minute, 600 * time.Millisecond} {
		now += quiet
		enter(1)
		now += time.Second
		l.leave(now, time.Second)
		if in := enter(200); in != 200 {
			t.Fatalf("%d of 200 were let in after one slow answer", in)
		}
		for i := range 200 { // each of them is slower than all are on a good day, and quick enough
			now += time.Millisecond
			l.leave(now, time.Duration(30+i/4)*time.Millisecond)
		}
		now += quiet
		if in := enter(200); in != 200 {
			t.Fatalf("%d of 200 were let in after a crowd that was answered in time", in)
		}
		for range 200 {
			now += time.Millisecond
			l.leave(now, 30*time.Millisecond)
		}
	}
}
