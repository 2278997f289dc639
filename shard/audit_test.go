package shard

import (
	"context"
	"strings"
	"testing"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
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

// turning is a context that does something when it is asked for the second time whether it is over.
type turning struct {
	context.Context
	asked int
	do    func()
}

func (c *turning) Err() error {
	if c.asked++; c.asked == 2 {
		c.do()
	}
	return c.Context.Err()
}

// TestAuditBesidePayments pays from an account that has been counted to one that has not, and has the lines of that leave
// memory before the audit comes to the second: it must still be counted as it stood.
func TestAuditBesidePayments(t *testing.T) {
	rows := func(h *HostConfig, _ *store.Options) { h.Machine = MachineConfig{SealRows: 1} }
	bubble(t, 1, rows, func(f *fleet) {
		for n := uint32(1); n <= auditSlice+200; n += 200 {
			var some []uint32
			for i := range uint32(200) {
				some = append(some, n+i)
			}
			mustDone(f, f.pay(openTxn(uint64(n), some...)))
		}
		look(f, func(v *View) {
			ctx := &turning{Context: context.Background(), do: func() {
				mustDone(f, f.pay(payTxn(5000, 1, auditSlice+100, 40)))
				f.until("the payment in a checkpoint", func() bool {
					kept := 0
					v.State(func(s *ledger.State) { kept = len(s.RecentRows(testAccount(auditSlice+100), 0, 1)) })
					return kept == 0
				})
			}}
			audit, err := v.Audit(ctx)
			if err != nil || len(audit.Faults) > 0 || audit.Accounts != auditSlice+200 || ctx.asked < 2 {
				t.Errorf("%+v, %v", audit, err)
			}
		})
	})
}

type noPast struct{}

func (noPast) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }
func (noPast) Entry(uint64) ([]byte, error)                 { return nil, nil }
func (noPast) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }
