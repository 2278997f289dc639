package shard

import (
	"slices"
	"testing"
	"time"

	"holdfast"
)

// TestALogIsSearchedByTime finds each transaction by its time, and none between them, over restarts, after which the log has entries without a time.
func TestALogIsSearchedByTime(t *testing.T) {
	bubble(t, 1, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		var list []holdfast.Outcome
		for n := range uint64(24) {
			time.Sleep(time.Millisecond) // so that nothing is stamped one nanosecond beside
			o := f.pay(payTxn(n+2, 1, 2, 1))
			mustDone(f, o)
			if list = append(list, o); n%8 == 7 {
				f.start(1, f.kill(1))
			}
		}
		time.Sleep(time.Millisecond)
		mustDone(f, f.pay(payTxn(100, 1, 2, 1)))
		look(f, func(v *View) {
			for i, o := range list {
				txn, at, found, err := v.WrittenAt(o.Time)
				if err != nil || !found || txn.ID != o.ID || at != o.Position {
					t.Errorf("payment %d: %v at %+v, %t, %v; want %s at %+v", i, txn, at, found, err, o.ID, o.Position)
				}
				for _, none := range []holdfast.Time{o.Time - 1, o.Time + 1} {
					if txn, _, found, err := v.WrittenAt(none); found || err != nil {
						t.Errorf("beside payment %d: %+v, %v", i, txn, err)
					}
				}
				e, err := v.Logged(o.Index)
				if err != nil || !e.Committed || e.Term == 0 || e.Index != o.Index || e.Hash == [32]byte{} {
					t.Errorf("entry %d: %+v, %v", o.Index, e, err)
				}
			}
			for _, none := range []holdfast.Time{0, 1, list[len(list)-1].Time + 1e15} {
				if _, _, found, err := v.WrittenAt(none); found || err != nil {
					t.Errorf("at %d: %t, %v", none, found, err)
				}
			}
			last, _ := v.Applied()
			if _, err := v.Logged(last + 1000); err == nil {
				t.Error("an entry that is not there was read")
			}
			v.Unapplied(func(txn *holdfast.Txn, _ holdfast.Time, _ holdfast.Position) bool {
				t.Errorf("%s is applied", txn.ID)
				return true
			})
			if !slices.Equal(v.Voters(), []holdfast.SiteID{1}) {
				t.Errorf("voters %v", v.Voters())
			}
		})
	})
}
