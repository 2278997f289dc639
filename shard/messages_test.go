package shard

import (
	"slices"
	"testing"

	"holdfast"
)

// TestMessagesOfCallers are read and acknowledged by callers; those of the platform are its own business.
func TestMessagesOfCallers(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		txn := payTxn(2, 1, 2, 1)
		txn.Messages = []holdfast.Message{
			{To: 1, Topic: "receipts", Body: []byte("one")}, {To: 1, Topic: holdfast.ReservedPrefix + "transit"}, {To: 1, Topic: "alarms"},
		}
		for n := range uint64(outboxPage) { // so that what is last is on another page
			txn.Messages = append(txn.Messages, holdfast.Message{To: 1, Topic: "receipts", Body: []byte{byte(n)}})
		}
		mustDone(f, f.pay(txn))
		last := uint64(len(txn.Messages))
		look(f, func(v *View) {
			seqs := func(list []holdfast.Queued) (seqs []uint64) {
				for i := range list {
					seqs = append(seqs, list[i].Seq)
				}
				return seqs
			}
			if got := seqs(v.Messages("", 0, 3)); !slices.Equal(got, []uint64{1, 3, 4}) {
				t.Errorf("the first messages of callers are %v", got)
			}
			if got := v.Messages("receipts", 0, 1000); len(got) != outboxPage+1 || got[len(got)-1].Seq != last {
				t.Errorf("%d receipts, want %d", len(got), outboxPage+1)
			}
			if got := seqs(v.Messages("receipts", last-1, 10)); !slices.Equal(got, []uint64{last}) {
				t.Errorf("behind %d there are %v", last-1, got)
			}
		})
		may := func(want map[uint64]bool) {
			look(f, func(v *View) {
				for seq, ok := range want {
					if v.Acknowledgeable(seq) != ok {
						t.Errorf("message %d may be acknowledged: %t, want %t", seq, !ok, ok)
					}
				}
			})
		}
		may(map[uint64]bool{0: false, 1: true, 2: false, 3: true, last: true, last + 1: false})
		mustDone(f, f.pay(holdfast.Txn{ID: testID(3), Acks: []uint64{1, last}}))
		may(map[uint64]bool{1: true, 2: false, last: true, last + 1: false})
	})
}
