package shard

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// look runs fn on the only site's view.
func look(f *fleet, fn func(*View)) {
	f.t.Helper()
	if err := f.host(f.leader()).Read(context.Background(), testShard, Linearizable, func(v *View) error { fn(v); return nil }); err != nil {
		f.t.Fatal(err)
	}
}

// TestViewJoinsMemoryAndStore asks the same questions with everything in memory, with a part of it, and with all in the store.
func TestViewJoinsMemoryAndStore(t *testing.T) {
	bubble(t, 1, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		var times []holdfast.Time
		for n := range uint64(60) {
			txn := payTxn(n+2, 1, 2, holdfast.Amount(n+1))
			txn.Transfers[0].Ref = holdfast.Ref{7}
			txn.Records = []holdfast.RecordChange{{Key: fmt.Sprintf("order-%03d", n), Index: []string{"open"}, Body: []byte{byte(n)}}, {Key: ownedKey(n, fmt.Sprintf("order/%03d", n))}}
			o := f.pay(txn)
			mustDone(f, o)
			times = append(times, o.Time)
			if n%7 == 0 {
				look(f, func(v *View) { checkView(t, v, times) })
			}
		}
		time.Sleep(3 * time.Second) // bubble time: until all of it is in the store
		look(f, func(v *View) { checkView(t, v, times) })
		f.start(1, f.kill(1))
		look(f, func(v *View) { checkView(t, v, times) })
	})
}

func checkView(t *testing.T, v *View, times []holdfast.Time) {
	t.Helper()
	n := len(times)
	checkStatement(t, v, times)
	checkRecords(t, v, n)
	checkOwned(t, v, n)
	sum := holdfast.Amount(0)
	for i, at := range times {
		sum += holdfast.Amount(i + 1)
		a, ok, err := v.AccountAt(testAccount(2), at)
		if err != nil || !ok || a.Balance() != sum {
			t.Fatalf("balance at payment %d: %d, %t, %v; want %d", i, a.Balance(), ok, err, sum)
		}
		found, ok, err := v.Transfer(testID(uint64(i) + 2))
		if err != nil || !ok || found.Transfer.Amount != holdfast.Amount(i+1) || found.Outcome.Time != at {
			t.Fatalf("transfer %d: %+v, %t, %v", i, found, ok, err)
		}
	}
	if _, ok, err := v.AccountAt(testAccount(2), 1); ok || err != nil {
		t.Fatalf("balance before the account was opened: %t, %v", ok, err)
	}
	refs, next, err := v.ByRef(holdfast.Ref{7}, ledger.Place{}, 1000)
	if err != nil || len(refs) != n || refs[0].Transfer.Amount != holdfast.Amount(n) || next != (ledger.Place{}) {
		t.Fatalf("%d transfers by reference, %v; want %d", len(refs), err, n)
	}
	for _, page := range []int{1, 7, n} {
		var got []FoundTransfer
		for from, first := (ledger.Place{}), true; first || from != (ledger.Place{}); first = false {
			var part []FoundTransfer
			if part, from, err = v.ByRef(holdfast.Ref{7}, from, page); err != nil || len(part) > page {
				t.Fatalf("%d transfers on a page of %d, %v", len(part), page, err)
			}
			got = append(got, part...)
		}
		if !slices.EqualFunc(refs, got, func(p, q FoundTransfer) bool { return p.Outcome.Position == q.Outcome.Position && p.Leg == q.Leg }) {
			t.Fatalf("transfers by reference in pages of %d: %d, and not those of one page", page, len(got))
		}
	}
	audit, err := v.Audit(context.Background())
	if err != nil || len(audit.Faults) > 0 || audit.Accounts != 2 {
		t.Fatalf("audit: %+v, %v", audit, err)
	}
}

// checkStatement turns pages of four lines.
func checkStatement(t *testing.T, v *View, times []holdfast.Time) {
	t.Helper()
	var got []holdfast.Time
	for cursor, page := (Cursor{}), 0; page == 0 || cursor != (Cursor{}); page++ {
		lines, next, err := v.Statement(testAccount(2), cursor, 4)
		if err != nil || len(lines) > 4 {
			t.Fatalf("page %d: %d lines, %v", page, len(lines), err)
		}
		for _, l := range lines {
			if l.Transfer != nil {
				got = append(got, l.Time)
			}
		}
		cursor = next
	}
	slices.Reverse(got)
	if diff := cmp.Diff(times, got); diff != "" {
		t.Fatalf("statement: %s", diff)
	}
}

// ownedKey is that of a record of one of two owners in one slot.
func ownedKey(n uint64, rest string) string {
	owner, err := holdfast.NewOwner(uint32(n%2), 7)
	if err != nil {
		panic(err)
	}
	return holdfast.OwnedKey(owner, rest)
}

// checkOwned lists the records of one owner, and those of both in the slot, at once and in pages.
func checkOwned(t *testing.T, v *View, n int) {
	t.Helper()
	for what, c := range map[string]struct {
		want int
		list func(after string, max int) ([]holdfast.Record, error)
	}{
		"an owner": {(n + 1) / 2, func(after string, max int) ([]holdfast.Record, error) {
			return v.Listed(ownedKey(0, "order/"), after, max)
		}},
		"a slot": {n, func(after string, max int) ([]holdfast.Record, error) { return v.Owned(7, after, max) }},
		"nobody": {0, func(after string, max int) ([]holdfast.Record, error) {
			return v.Listed(ownedKey(0, "refund/"), after, max)
		}},
	} {
		list, err := c.list("", 1000)
		if err != nil || len(list) != c.want {
			t.Fatalf("%d records of %s, %v; want %d", len(list), what, err, c.want)
		}
		var paged []holdfast.Record
		for after, more := "", true; more; {
			page, err := c.list(after, 7)
			if err != nil {
				t.Fatal(err)
			}
			if paged, more = append(paged, page...), len(page) == 7; more {
				after = page[6].Key
			}
		}
		if diff := cmp.Diff(list, paged); diff != "" {
			t.Fatalf("records of %s by pages of 7: %s", what, diff)
		}
	}
	if _, err := v.Listed("o/17/", "", 7); err == nil {
		t.Fatal("the records of nobody are listed")
	}
}

func checkRecords(t *testing.T, v *View, n int) {
	t.Helper()
	list, err := v.Records("open", "", 1000)
	if err != nil || len(list) != n {
		t.Fatalf("%d records, %v; want %d", len(list), err, n)
	}
	var paged []holdfast.Record
	for after := ""; ; {
		page, err := v.Records("open", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		paged = append(paged, page...)
		if len(page) < 7 {
			break
		}
		after = page[6].Key
	}
	if diff := cmp.Diff(list, paged); diff != "" {
		t.Fatalf("records by pages of 7: %s", diff)
	}
}

// Records are listed as of one moment, while they are made, changed and deleted, and while checkpoints take them from memory to disk.
// A list that was put together of two moments has been taken for a corrupt disk.
func TestRecordsAreListedAsOfOneMoment(t *testing.T) {
	f := newFleet(t, 1, func(hc *HostConfig, _ *store.Options) { hc.Machine.SealRows = 1 })
	defer f.close()
	mustDone(f, f.pay(openTxn(1, 1, 2)))
	const docs = 200
	change := func(n int) holdfast.Txn {
		x := holdfast.Txn{ID: testID(uint64(10 + n))}
		for i := range docs {
			c := holdfast.RecordChange{Key: fmt.Sprintf("doc-%04d", i), Expect: holdfast.AnyVersion, Delete: n%3 == 2}
			if !c.Delete {
				c.Index, c.Body = []string{"ix"}, fmt.Append(nil, n)
			}
			x.Records = append(x.Records, c)
		}
		return x
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		reads := 0
		defer func() { done <- reads }()
		for ; ; reads++ {
			select {
			case <-stop:
				return
			default:
			}
			var list []holdfast.Record
			err := f.host(1).Read(context.Background(), testShard, Stale, func(v *View) (err error) {
				list, err = v.Records("ix", "", 2*docs)
				return err
			})
			whole := len(list) == 0 || len(list) == docs
			for i := range list {
				whole = whole && string(list[i].Body) == string(list[0].Body)
			}
			if err != nil || !whole {
				t.Errorf("read %d: %d records, not of one moment, or %v", reads, len(list), err)
				return
			}
		}
	}()
	for n := range 90 {
		mustDone(f, f.pay(change(n)))
	}
	close(stop)
	if reads := <-done; reads < 10 {
		t.Errorf("only %d reads: nothing was tried", reads)
	}
	if s := f.host(1).Status()[0]; s.OutOfService != nil {
		t.Error(s.OutOfService)
	}
}
