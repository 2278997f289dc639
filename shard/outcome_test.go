package shard

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// TestOutcomes is the table of the package comment, row by row, as far as it is about what an error means.
func TestOutcomes(t *testing.T) {
	for _, row := range []struct {
		err    error
		status holdfast.Status
		code   holdfast.Code
	}{
		{NotLeaderError{Shard: 1, Leader: 2}, holdfast.NotExecuted, holdfast.CodeNoLeader},
		{NotLeaderError{Shard: 1}, holdfast.NotExecuted, holdfast.CodeNoLeader},
		{ErrOverloaded, holdfast.NotExecuted, holdfast.CodeOverloaded},
		{ErrTimeout, holdfast.NotExecuted, holdfast.CodeDeadline},
		{ErrDiskFull, holdfast.NotExecuted, holdfast.CodeDiskFull},
		{ErrOutOfService, holdfast.NotExecuted, holdfast.CodeOutOfService},
		{ErrStopping, holdfast.NotExecuted, holdfast.CodeStopping},
		{ErrNoQuorum, holdfast.NotExecuted, holdfast.CodeNoQuorum},
		{ErrNoShard, holdfast.NotExecuted, holdfast.CodeNoLeader},
		{ErrLost, holdfast.Unknown, holdfast.CodeUnknown},
		{errors.New("something new"), holdfast.Unknown, holdfast.CodeUnknown},
		{fmt.Errorf("%w: %w", ErrLost, ErrTimeout), holdfast.Unknown, holdfast.CodeUnknown}, // the worse of the two
	} {
		if s, c := OutcomeOf(fmt.Errorf("shard 1: %w", row.err)); s != row.status || c != row.code {
			t.Errorf("%v: %s, %s; want %s, %s", row.err, s, c, row.status, row.code)
		}
	}
}

func TestConditions(t *testing.T) {
	corrupt := &store.ErrCorrupt{Shard: 1, Index: 7, What: "test"}
	for _, row := range []struct {
		err  error
		want Condition
	}{
		{corrupt, Corrupt},
		{fmt.Errorf("%w: %w", store.ErrFatal, corrupt), Fatal}, // a dead store is not made alive by wiping
		{ledger.ErrDigest{Index: 7}, Differs},
		{store.ErrFatal, Fatal},
		{ErrInvariant, Fatal},
		{errors.New("anything"), Fatal},
	} {
		if got := ConditionOf(fmt.Errorf("context: %w", row.err)); got != row.want {
			t.Errorf("%v: condition %d, want %d", row.err, got, row.want)
		}
	}
}

// desk is a single voter without a disk: its entries can be proposed and never become durable until store is called.
type desk struct {
	*testing.T
	replica *Replica
	log     *memoryLog
	now     holdfast.Time
	commits []Entry
	writes  []Write
}

func newDesk(t *testing.T) *desk { return newDeskOn(t, func(l *memoryLog) Log { return l }) }

func newDeskOn(t *testing.T, disk func(*memoryLog) Log) *desk {
	d := &desk{T: t, log: &memoryLog{entries: make([]Entry, 1)}, now: 1e18}
	founders := NewMembers([]Member{{Replica: 1, Site: 1}})
	var err error
	d.replica, err = NewReplica(ReplicaConfig{
		Node:   NodeConfig{Shard: 1, Replica: 1, Log: disk(d.log), Checkpoint: Checkpoint{Members: founders}},
		Intake: NewIntake(), Answers: NewAnswers(),
	}, 0)
	d.must(err)
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) output() {
	d.Helper()
	for again := true; again; again = d.replica.HasOutput() {
		out, err := d.replica.Output(d.now)
		d.must(err)
		d.writes = append(d.writes, out.Writes...)
		d.commits = append(d.commits, out.Commits...)
	}
}

func (d *desk) store() {
	d.Helper()
	for len(d.writes) > 0 || len(d.commits) > 0 {
		for _, w := range d.writes {
			d.log.write(w)
			d.must(d.replica.Stored(w.Token))
		}
		d.writes = nil
		for _, e := range d.commits {
			if len(e.Data) > 0 {
				h, _, err := ledger.ReadEntry(e.Data)
				d.must(err)
				d.replica.config.Answers.Settle(h.Nonce, make([]holdfast.Outcome, h.Count), d.now)
			}
			d.must(d.replica.Applied(e.Index, 0))
		}
		d.commits = nil
		d.output()
	}
}

func (d *desk) lead() {
	d.Helper()
	d.must(d.replica.Campaign())
	d.output()
	d.store()
	if !d.replica.Ready() {
		d.Fatal("the only voter does not lead")
	}
}

func (d *desk) submit(txns int, bulk bool) *answered {
	a := &answered{}
	a.Bulk = bulk
	for n := range uint64(txns) {
		t := payTxn(n+1, 1, 2, 1)
		a.Batch.Add(&t)
	}
	a.Answer = func(*Request) { a.count++ }
	d.must(d.replica.config.Intake.Put(&a.Request))
	return a
}

type answered struct {
	Request
	count int
}

func (a *answered) want(t *testing.T, err error) {
	t.Helper()
	if a.count != 1 || !errors.Is(a.Err, err) || err == nil && len(a.Outcomes) != a.Batch.Count() {
		t.Errorf("answered %d times with %v and %d outcomes; want once with %v", a.count, a.Err, len(a.Outcomes), err)
	}
}

func TestAnsweredWhenApplied(t *testing.T) {
	d := newDesk(t)
	d.lead()
	a, b := d.submit(1, false), d.submit(3, false)
	d.output()
	if a.count != 0 {
		t.Error("answered before its entry was applied")
	}
	d.store()
	a.want(t, nil)
	b.want(t, nil)
}

func TestAnotherNonceAnswersNobody(t *testing.T) {
	d := newDesk(t)
	d.lead()
	a := d.submit(1, false)
	d.output()
	d.replica.config.Answers.Settle(Nonce{1, 2, 3}, make([]holdfast.Outcome, 1), d.now)
	if a.count != 0 {
		t.Error("an entry with another nonce was taken for its own")
	}
	d.store()
	a.want(t, nil)
}

func TestNotLeadingAnswersAtOnce(t *testing.T) {
	d := newDesk(t)
	a := d.submit(1, false)
	d.output()
	if a.count != 1 || !errors.As(a.Err, new(NotLeaderError)) {
		t.Errorf("answered %d times with %v, want NotLeaderError", a.count, a.Err)
	}
}

// lose makes the replica hear of a later term, as from a new leader.
func (d *desk) lose() {
	d.Helper()
	d.replica.led(Leadership{Term: 9})
}

func TestLeadershipLost(t *testing.T) {
	d := newDesk(t)
	d.lead()
	a := d.submit(1, false)
	d.output()
	waits := d.submit(1, false)
	d.lose()
	a.want(t, ErrLost)
	if !errors.As(waits.Err, new(NotLeaderError)) {
		t.Errorf("one that was not proposed: %v, want NotLeaderError", waits.Err)
	}
}

func TestLeadershipLostInTheMiddleOfABatch(t *testing.T) {
	d := newDesk(t)
	d.lead()
	d.replica.pace.chunk = 10
	a := d.submit(100, true)
	d.output() // two chunks are proposed
	if n := d.replica.config.Answers.bulk; n != 2 {
		t.Fatalf("%d bulk entries are under way, want 2", n)
	}
	d.lose()
	a.want(t, ErrLost)
	d.store() // what was proposed happens all the same, and answers nobody twice
	a.want(t, ErrLost)
}

func TestBatchInChunks(t *testing.T) {
	d := newDesk(t)
	d.lead()
	d.replica.pace.chunk = 10
	a := d.submit(95, true)
	d.output()
	d.store()
	a.want(t, nil)
}

// TestAnsweredIsProposedNoMore loses a batch whose rest still waits at the head of the queue.
func TestAnsweredIsProposedNoMore(t *testing.T) {
	d := newDesk(t)
	d.lead()
	d.replica.pace.chunk = 10
	a := d.submit(100, true)
	d.output() // two chunks are proposed
	d.replica.config.Answers.lose(ErrLost)
	proposed := d.replica.count
	next := d.submit(1, true)
	d.output()
	if n := d.replica.count - proposed; n != 1 {
		t.Errorf("%d entries were proposed after the loss, want that of the next batch only", n)
	}
	d.store()
	a.want(t, ErrLost)
	next.want(t, nil)
}

// TestRefusedStretchEndsTheBatch hands the leadership over between two stretches of a batch.
func TestRefusedStretchEndsTheBatch(t *testing.T) {
	d := newDesk(t)
	d.lead()
	d.replica.pace.chunk = 10
	a := d.submit(30, true)
	in := d.replica.config.Intake
	q := in.bulk.peek()
	q.claim()
	q.next = 10
	d.replica.config.Answers.expect(Nonce{1}, &flight{parts: []part{{request: q, count: 10}}, bulk: true})
	d.replica.config.Answers.drop(Nonce{1})
	q.dropped(ErrOverloaded)
	a.want(t, ErrOverloaded)
	proposed := d.replica.count
	d.output()
	if d.replica.count != proposed || in.bulk.len() != 0 {
		t.Errorf("%d stretches of an answered batch were proposed, %d batches wait", d.replica.count-proposed, in.bulk.len())
	}
	a.want(t, ErrOverloaded)
}

func TestStampsRise(t *testing.T) {
	d := newDesk(t)
	last := holdfast.Time(0)
	for _, now := range []holdfast.Time{100, 100, 50, 101, 1} {
		first := d.replica.stamp(now, 10)
		if first <= last {
			t.Errorf("stamp %d at %d follows %d", first, now, last)
		}
		last = first + 9
	}
}

func TestWithdrawn(t *testing.T) {
	d := newDesk(t)
	d.lead()
	a, b := d.submit(1, false), d.submit(1, false)
	if !a.Withdraw() {
		t.Fatal("a queued request could not be withdrawn")
	}
	d.output()
	d.store()
	b.want(t, nil)
	if a.count != 0 {
		t.Error("a withdrawn request was answered")
	}
	if b.Withdraw() {
		t.Error("a proposed request could be withdrawn")
	}
}

func TestQueueIsBounded(t *testing.T) {
	d := newDesk(t)
	for range maxBulks {
		d.submit(1, true)
	}
	txn := payTxn(1, 1, 2, 1)
	q := &Request{Bulk: true, Answer: func(*Request) {}}
	q.Batch.Add(&txn)
	if err := d.replica.config.Intake.Put(q); !errors.Is(err, ErrOverloaded) {
		t.Errorf("one more than fits: %v, want ErrOverloaded", err)
	}
}

func TestHostRefusals(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		f.leader()
		h := f.host(1)
		var b Batch
		txn := openTxn(1, 1)
		b.Add(&txn)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := h.Submit(ctx, 9, false, b); !errors.Is(err, ErrNoShard) {
			t.Errorf("another shard: %v", err)
		}
		h.full.Store(true)
		if _, err := h.Submit(ctx, testShard, false, b); !errors.Is(err, ErrDiskFull) {
			t.Errorf("full disk: %v", err)
		}
		h.full.Store(false)
		mustDone(f, f.pay(txn))
		if err := h.Stop(ctx); err != nil {
			t.Error(err)
		}
		if _, err := h.Submit(ctx, testShard, false, b); !errors.Is(err, ErrStopping) {
			t.Errorf("after Stop: %v", err)
		}
	})
}

func TestEntriesFitTheLink(t *testing.T) {
	var b Batch
	for range 40 {
		b.AddEncoded(make([]byte, holdfast.MaxTxnBytes))
	}
	for from, entries := 0, 0; from < b.Count(); entries++ {
		to := b.stretch(from, holdfast.MaxLegs)
		if size := b.Ends[to-1] - b.start(from); to <= from || size > maxBulkEntry {
			t.Fatalf("entry %d: transactions %d to %d have %d bytes", entries, from, to, size)
		}
		from = to
	}
}

// Nothing is proposed for a caller whose time is over, although he has not had his turn to withdraw it: he is told that nothing was executed.
func TestNothingIsProposedForCallersWhoHaveGone(t *testing.T) {
	d := newDesk(t)
	clock := int64(0)
	d.replica.config.Intake.clock = func() int64 { return clock }
	d.lead()
	told := map[uint64]error{}
	put := func(n uint64, until int64, bulk bool) {
		txn := openTxn(n, uint32(n))
		q := &Request{Until: until, Bulk: bulk}
		q.Batch.Add(&txn)
		q.Answer = func(q *Request) { told[n] = q.Err }
		d.must(d.replica.config.Intake.Put(q))
	}
	for _, bulk := range []bool{false, true} {
		base := uint64(10)
		if bulk {
			base = 20
		}
		put(base+1, clock+5, bulk)
		put(base+2, clock+50, bulk)
		put(base+3, 0, bulk)
		put(base+4, clock+10, bulk)
		clock += 10
		before := len(d.log.entries)
		d.output()
		d.store()
		proposed := 0
		for _, e := range d.log.entries[before:] {
			h, _, err := ledger.ReadEntry(e.Data)
			d.must(err)
			proposed += int(h.Count)
		}
		if proposed != 2 {
			t.Errorf("%d transactions were proposed, want those 2 that somebody waits for (bulk %t)", proposed, bulk)
		}
		for n, gone := range map[uint64]bool{1: true, 2: false, 3: false, 4: true} {
			if err := told[base+n]; errors.Is(err, ErrTimeout) != gone {
				t.Errorf("request %d was told %v (bulk %t)", base+n, err, bulk)
			}
		}
	}
}
