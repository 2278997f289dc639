package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/store"
)

// forget makes the books of a site that is down those of a program that has forgotten one entry of the log: all checksums are right, and
// its checkpoint is not that of the others. It ends before the next digest in the log, so that the start finds the difference. False: the
// site has made a checkpoint behind the entry, or no two digests follow, and nothing was changed.
func (f *fleetOf) forget(n int, index uint64) bool {
	f.t.Helper()
	s, err := store.Open(store.Options{Dir: f.configs[n].Data, OnFatal: func(error) {}, ReserveBytes: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			f.t.Error(err)
		}
	}()
	sh := s.Shard(1)
	m, err := shard.LoadMachine(shard.MachineConfig{}, sh)
	if err != nil {
		f.t.Fatal(err)
	}
	from, _ := m.Applied()
	if from >= index {
		return false
	}
	list, err := sh.Entries(from+1, sh.LastIndex()+1, 1<<30)
	if err != nil {
		f.t.Fatal(err)
	}
	var digests []int
	for i, e := range list {
		if e.Index > index && compares(e) {
			digests = append(digests, i)
		}
	}
	if len(digests) < 2 {
		return false
	}
	for _, e := range list[:digests[0]] {
		if e.Index == index {
			e.Data = nil
		}
		if _, err := m.Apply(e, nil); err != nil {
			f.t.Fatal(err)
		}
	}
	m.NeedCheckpoint()
	if err := sh.Persist(m.Seal(holdfast.TimeOf(time.Now()))); err != nil {
		f.t.Fatal(err)
	}
	return true
}

// compares reports whether an entry of the log is a digest.
func compares(e shard.Entry) bool {
	if len(e.Data) == 0 {
		return false
	}
	h, _, err := ledger.ReadEntry(e.Data)
	return err == nil && h.Kind == ledger.KindDigest
}

// payment pays through some sites until it is done, with one id, and returns where in the log it is.
func (f *fleetOf) payment(through *client.Client, pay holdfast.Transfer) uint64 {
	f.t.Helper()
	var o holdfast.Outcome
	f.until("a payment is done", func() (err error) {
		if o, err = through.Pay(f.ctx, pay); err == nil && o.Status != holdfast.Done {
			err = fmt.Errorf("%s %s", o.Status, o.Code)
		}
		return err
	})
	return o.Index
}

// order gives a command to a site until it is taken, and insists on what it says.
func (f *fleetOf) order(n int, says string, args ...string) {
	f.t.Helper()
	f.until(strings.Join(args, " "), func() error {
		out, errs, err := f.command(f.url(n), args...)
		if err == nil && !strings.Contains(out, says) {
			f.t.Errorf("holdfast %s says:\n%s%s", strings.Join(args, " "), out, errs)
		}
		if err != nil {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		return nil
	})
}

// reason waits until a site says why its replica of shard 1 is out of service.
func (f *fleetOf) reason(n int, want string) {
	f.t.Helper()
	c := f.client(n)
	f.until(fmt.Sprintf("site %d says: %s", n, want), func() error {
		list, err := c.Shards(f.ctx)
		if err == nil && (len(list) == 0 || !strings.Contains(list[0].Reason, want)) {
			err = fmt.Errorf("it says %+v", list)
		}
		return err
	})
}

// TestReplicasThatDifferAreDecidedByPeople follows the runbook for replicas that differ and have no majority, word by word, with real
// processes: three sites with three different states of a shard.
func TestReplicasThatDifferAreDecidedByPeople(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFleetOf(ctx, t)
	f.configure(1, 2, 3)
	f.configure(2, 1, 3)
	f.configure(3, 1, 2)
	for n := 1; n <= 3; n++ {
		f.start(n)
	}
	f.ready(1, 2, 3)
	all := f.client(1, 2, 3)
	a, b := walletIn(t, 1, 10), walletIn(t, 2, 20)
	for _, id := range []holdfast.AccountID{a, b} {
		if o, err := all.OpenAccount(ctx, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id}); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	sum := holdfast.Amount(0)
	pay := func(amount holdfast.Amount, through ...int) (index uint64) {
		t.Helper()
		sum += amount
		c := f.client(through...)
		return f.payment(c, holdfast.Transfer{ID: c.NewID(), Kind: holdfast.Immediate, Debit: a, Credit: b, Amount: amount})
	}
	for astray := false; !astray; { // again when a checkpoint came in between
		one, two := pay(1, 1, 2, 3), pay(2, 1, 2, 3)
		for began := time.Now(); time.Since(began) < 3*time.Second; { // a digest follows every second
			pay(4, 1, 2, 3)
		}
		for n := 1; n <= 3; n++ {
			f.end(n, syscall.SIGKILL)
		}
		astray = f.forget(1, one) && f.forget(2, two)
		for n := 1; n <= 3; n++ {
			f.start(n)
		}
	}

	const undecided = "no majority of the voters has told that it has one state or the other"
	for n := 1; n <= 3; n++ {
		f.reason(n, undecided)
	}
	try, stop := context.WithTimeout(ctx, 3*time.Second)
	early := holdfast.Transfer{ID: all.NewID(), Kind: holdfast.Immediate, Debit: a, Credit: b, Amount: 1000}
	o, err := all.Pay(try, early)
	stop()
	if err == nil && o.Status == holdfast.Done {
		t.Error("a payment was done while nobody knows who is right")
	}
	// While nobody has the right state a rebuild takes force, and the site goes on as before.
	f.refused("could lose acknowledged payments", f.url(1), "shard", "rebuild", "1")
	f.reason(1, undecided)

	f.order(3, "takes its state for the right one", "shard", "trust", "1")
	f.payment(f.client(3), early) // the same id: it is done now, once
	sum += early.Amount
	pay(8, 3)
	f.end(3, syscall.SIGKILL)
	f.start(3)
	pay(16, 3) // the decision is stored
	f.end(1, syscall.SIGTERM)
	f.start(1)
	f.reason(1, undecided)
	pay(32, 3) // and whoever comes back finds it

	f.order(1, "has forgotten what it had", "shard", "rebuild", "1", "--force")
	f.reason(2, "a majority of the voters has another state")
	pay(64, 3, 1)
	f.order(2, "has forgotten what it had", "shard", "rebuild", "1")
	f.ready(1, 2, 3)
	pay(128, 1, 2, 3)
	for n := 1; n <= 3; n++ {
		f.booksAreRight(n)
		if x, err := f.client(n).Account(ctx, b); err != nil || x.Balance() != sum {
			t.Errorf("site %d: %v, %v; want %v", n, x.Balance(), err, sum)
		}
	}
}
