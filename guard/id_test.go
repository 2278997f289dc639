package guard

import (
	"testing"

	"holdfast"
	"holdfast/ledger"
)

// The ledger keeps ids of one form for itself. No idempotency key may be turned into one of them, and guard must mean the same form.
func TestNoKeyGivesAnIDOfThePlatform(t *testing.T) {
	own := ledger.ExpiryTxn(holdfast.ID{1}).ID
	kept := callers(own)
	if own == kept {
		t.Fatalf("the id of an expiry, %s, could come from a key", own)
	}
	for id, good := range map[holdfast.ID]bool{own: false, kept: true} {
		code, _ := ledger.Check(&holdfast.Txn{ID: id, Records: []holdfast.RecordChange{{Key: "trade/1"}}})
		if (code != holdfast.CodeExpireReserved) != good {
			t.Errorf("%s: the ledger says %s; want a good id: %t", id, code, good)
		}
	}
	other := own
	other[3]++
	if callers(other) != other {
		t.Errorf("%s was changed, and need not be", other)
	}
}
