package site

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/shard"
)

// unsettling counts what callers propose to the first shard, and keeps couriers from settling anything there until it is told to let them.
type unsettling struct {
	proposer
	asked   atomic.Int64
	settles atomic.Bool
}

func (u *unsettling) Submit(ctx context.Context, id holdfast.ShardID, bulk bool, txns shard.Batch) ([]holdfast.Outcome, error) {
	switch {
	case id == 1 && !bulk:
		u.asked.Add(int64(len(txns.Ends)))
	case id == 1 && !u.settles.Load():
		return nil, shard.ErrOverloaded
	}
	return u.proposer.Submit(ctx, id, bulk, txns)
}

// unsettled is a fleet of one site in which nothing is settled, and a record that a payment has left pending.
func unsettled(t *testing.T) (f *fleet, u *unsettling, payer, payee holdfast.AccountID, key string) {
	u = &unsettling{}
	f, payer, payee = crossingFleet(t, 1)
	s := f.site(1)
	f.settled()
	u.proposer = s.proposer
	s.proposer = u
	key = holdfast.OwnedKey(payer.Owner, "limit")
	pay := f.pay(payer, payee, 10)
	pay.Records = []holdfast.RecordChange{{Key: key, Body: []byte("first")}}
	f.mustDo(s, pay)
	if r, found, err := s.Books().Record(context.Background(), key); err != nil || !found || r.Pending == nil {
		t.Fatalf("%+v, %v, %v", r, found, err)
	}
	u.asked.Store(0)
	return f, u, payer, payee, key
}

func write(f *fleet, key, body string) holdfast.Txn {
	return holdfast.Txn{ID: f.id(), Records: []holdfast.RecordChange{{Key: key, Expect: holdfast.AnyVersion, Body: []byte(body)}}}
}

// TestPendingRecordsAreWaitedForBesideTheReplica: while a payment cannot be settled, those who want to write what it has left pending do not ask
// the log again and again; when it is settled they are all answered, though each of them may have to wait for the one before.
func TestPendingRecordsAreWaitedForBesideTheReplica(t *testing.T) {
	t.Parallel()
	f, u, payer, payee, key := unsettled(t)
	s, ctx := f.site(1), context.Background()
	const callers = 12
	outcomes := make([]holdfast.Outcome, callers)
	var waiting sync.WaitGroup
	for i := range callers {
		txn := write(f, key, fmt.Sprint(i))
		if i%2 == 0 { // these leave it pending again
			txn.Transfers = f.pay(payer, payee, 1).Transfers
		}
		waiting.Go(func() {
			for began := time.Now(); time.Since(began) < patience; {
				o, err := s.Books().Submit(ctx, &txn)
				if outcomes[i] = o; err == nil && o.Status == holdfast.Done || !elects(o) && !isPending(o) {
					return
				}
			}
		})
	}
	began := time.Now()
	eventually(t, "all have asked", func() bool { return u.asked.Load() >= callers })
	time.Sleep(600 * time.Millisecond) // in which each of them used to ask ten times
	for range 50 {                     // nobody who reads it waits, or asks the log
		if r, _, err := s.Books().Record(ctx, key); err != nil || r.Pending == nil || string(r.Body) != "first" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if asked := u.asked.Load(); asked > callers*(2+int64(time.Since(began)/pendingMost)) {
		t.Errorf("%d callers asked the log %d times in %v", callers, asked, time.Since(began))
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	late := write(f, key, "late")
	if o, err := s.Books().Submit(short, &late); !elects(o) && (err == nil || !isPending(o)) {
		t.Errorf("at its deadline: %+v, %v", o, err)
	}
	u.settles.Store(true)
	waiting.Wait()
	for i, o := range outcomes {
		if o.Status != holdfast.Done {
			t.Errorf("caller %d: %+v", i, o)
		}
	}
	t.Logf("the log was asked %d times", u.asked.Load())
	f.settled()
	if r, _, err := s.Books().Record(ctx, key); err != nil || r.Version != 1+callers || r.Pending != nil {
		t.Errorf("%+v, %v", r, err)
	}
	s.pendings.mu.Lock()
	if len(s.pendings.waiting) > 0 {
		t.Errorf("%d still wait", len(s.pendings.waiting))
	}
	s.pendings.mu.Unlock()
	f.audit()
}

// TestABatchIsAnsweredInTime: neither one transaction of it that meets a pending record, nor many refused ones that nobody settles, hold its
// answers back up to the deadline.
func TestABatchIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	f, u, payer, payee, key := unsettled(t)
	s, nobody := f.site(1), account(t, 7, 950)
	list := []holdfast.Txn{f.pay(payer, account(t, 3, 20), 1), write(f, key, "again"), f.pay(payer, account(t, 3, 20), 2)}
	for i := range 8 {
		pay := f.pay(payer, nobody, 1) // refused away
		pay.Records = []holdfast.RecordChange{{Key: holdfast.OwnedKey(payer.Owner, fmt.Sprint("note/", i)), Body: []byte("x")}}
		list = append(list, pay)
	}
	began := time.Now()
	outcomes, err := s.Submit(context.Background(), list, false)
	if took := time.Since(began); err != nil || took > 5*time.Second {
		t.Errorf("it took %v, %v", took, err)
	}
	for i, o := range outcomes {
		want := holdfast.Outcome{Status: holdfast.Refused, Code: holdfast.CodeCreditMissing}
		switch i {
		case 0, 2:
			want.Status, want.Code = holdfast.Done, holdfast.CodeOK
		case 1:
			want.Status, want.Code = holdfast.NotExecuted, holdfast.CodeRecordPending
		}
		if o.ID != list[i].ID || o.Status != want.Status || o.Code != want.Code {
			t.Errorf("%d: %+v", i, o)
		}
	}

	u.settles.Store(true)
	list = nil
	for i := range 8 { // each has to wait for the one before
		pay := f.pay(payer, payee, 1)
		pay.Records = write(f, key, fmt.Sprint(i)).Records
		list = append(list, pay)
	}
	f.until("all of one call that write one record", func() (string, bool) {
		outcomes, err := s.Submit(context.Background(), list, false)
		for _, o := range outcomes {
			if o.Status != holdfast.Done {
				return fmt.Sprintf("%+v, %v", o, err), false
			}
		}
		return "", true
	})
	f.settled()
	if r, _, err := s.Books().Record(context.Background(), key); err != nil || r.Version != 9 {
		t.Errorf("%+v, %v", r, err)
	}
	f.audit()
}

// TestAnOldMapMisplacesNothing: a site whose map does not know of a move yet finds that records of several owners fit together, or that they did
// when they were written.
func TestAnOldMapMisplacesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 3)
	s, ctx := f.site(1), context.Background()
	nomad, far, third := account(t, 1, 10).Owner, account(t, 2, 900).Owner, account(t, 3, 500).Owner
	old := s.ShardMap()
	if old.ShardOf(10) != 1 || old.ShardOf(900) != 3 || old.ShardOf(500) != 2 {
		t.Fatal(old.Stretches())
	}
	forget := func() { s.shardMap.Store(old) }
	both := func(owners ...holdfast.Owner) (x holdfast.Txn) {
		x.ID = f.id()
		for _, o := range owners {
			x.Records = append(x.Records, holdfast.RecordChange{Key: holdfast.OwnedKey(o, x.ID.String()), Body: []byte("x")})
		}
		return x
	}
	is := func(what string, x holdfast.Txn, status holdfast.Status, replay bool) {
		t.Helper()
		if o := submit(t, s, x); o.Status != status || o.Replay != replay || status == holdfast.NotExecuted && o.Code != holdfast.CodeShardMismatch {
			t.Errorf("%s: %+v", what, o)
		}
	}
	first, second, third3 := both(nomad, far), both(nomad, far), both(nomad, third)
	is("nothing has moved", first, holdfast.NotExecuted, false)
	f.moveSlots(s, 3, SlotRange{10, 10})
	f.awaitMove(10, 1, 3)
	now := s.ShardMap()
	forget()
	is("an old map, and it fits", first, holdfast.Done, false)
	forget()
	is("an old map, and it was done elsewhere", first, holdfast.Done, true)
	forget()
	is("an old map, and it fits nowhere", third3, holdfast.NotExecuted, false)
	s.shardMap.Store(now)
	f.moveSlots(s, 2, SlotRange{900, 900})
	f.awaitMove(900, 3, 2)
	forget()
	is("it fitted when it was done", first, holdfast.Done, true)
	forget()
	is("it does not fit any more", second, holdfast.NotExecuted, false)
	for i, o := range []holdfast.Owner{nomad, far} {
		if r, found, err := s.Books().Record(ctx, first.Records[i].Key); err != nil || !found || r.Version != 1 {
			t.Errorf("of %s: %+v, %v, %v", o, r, found, err)
		}
	}
}

// lost has the answer to every proposal lost.
type lost struct{}

func (lost) Submit(context.Context, holdfast.ShardID, bool, shard.Batch) ([]holdfast.Outcome, error) {
	return nil, shard.ErrLost
}

// TestBooksSayThatTheyDoNotKnow: an unknown outcome is told as one, and not as an error, after which nothing was executed.
func TestBooksSayThatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	f, payer, payee := crossingFleet(t, 1)
	s := f.site(1)
	s.proposer = lost{}
	for _, to := range []holdfast.AccountID{payee, account(t, 3, 20)} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		pay := f.pay(payer, to, 1)
		o, err := s.Books().Submit(ctx, &pay)
		cancel()
		if err != nil || o.ID != pay.ID || o.Status != holdfast.Unknown || o.Code != holdfast.CodeUnknown {
			t.Errorf("%+v, %v", o, err)
		}
	}
}
