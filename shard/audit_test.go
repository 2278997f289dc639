package shard

import (
	"strings"
	"testing"

	"holdfast"
	"holdfast/ledger"
)

// TestAuditAddsUpHolds shows the comparison of pending sums with open holds a right account and a wrong one.
func TestAuditAddsUpHolds(t *testing.T) {
	bank := holdfast.AccountID{Owner: 2088000000010000, Purpose: holdfast.MustPurpose("bank"), Asset: holdfast.MustAsset("CNY")}
	shop := holdfast.AccountID{Owner: 2088000000020108, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")}
	txn := holdfast.Txn{
		ID:       holdfast.ID{1},
		Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: bank}, {Op: holdfast.OpenAccount, ID: shop}},
		Transfers: []holdfast.Transfer{
			{ID: holdfast.ID{2}, Kind: holdfast.Hold, Debit: bank, Credit: shop, Amount: 30},
			{ID: holdfast.ID{3}, Kind: holdfast.Hold, Debit: bank, Credit: shop, Amount: 12},
		},
	}
	data := ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: 1, Count: 1})
	state := ledger.New()
	outcomes, err := state.Apply(1, ledger.AppendTxn(data, &txn), noPast{}, nil)
	if err != nil || outcomes[0].Status != holdfast.Done {
		t.Fatalf("Apply = %+v, %v", outcomes, err)
	}
	for _, id := range []holdfast.AccountID{bank, shop} {
		acc, _ := state.Account(id)
		if fault := auditHolds(state, &acc); fault != "" {
			t.Errorf("a right account is blamed: %s", fault)
		}
		acc.DebitsPending++
		if fault := auditHolds(state, &acc); !strings.Contains(fault, "come to") {
			t.Errorf("a wrong account of %v passes: %q", id, fault)
		}
	}
}

type noPast struct{}

func (noPast) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }
func (noPast) Entry(uint64) ([]byte, error)                 { return nil, nil }
func (noPast) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }
