package httpapi

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// crossingBank is a bank of two shards, with a shop in the other one.
func crossingBank(t *testing.T) (b *bank, far holdfast.AccountID) {
	b = newBank(t, 2)
	far = account(must(holdfast.NewOwner(9, 900)), "wallet")
	b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: far, Limit: holdfast.LimitDebits}))
	return b, far
}

// settle waits until nothing of alice is under way.
func (b *bank) settle() {
	b.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if a, err := b.Account(b.T.Context(), b.alice); err == nil && a.DebitsPending == 0 {
			return
		}
	}
	b.Fatal("after 20 s alice's payments are still under way")
}

// TestACrossingIsShownAsOnePayment: whoever asks sees payer, payee and the id of the caller, in both shards, by every way.
func TestACrossingIsShownAsOnePayment(t *testing.T) {
	b, far := crossingBank(t)
	pay := b.transfer(b.alice, far, 1250)
	pay.Ref, pay.Code = holdfast.Ref{7}, 42
	out := b.done(b.Pay(t.Context(), pay))
	check := func(how string, m client.Movement, txn holdfast.ID) {
		t.Helper()
		if m.Debit != b.alice || m.Credit != far || m.Amount != 1250 || m.Txn != txn {
			t.Errorf("%s: %+v", how, m)
		}
	}
	found, err := b.Txn(t.Context(), pay.ID)
	if err != nil || found.Outcome.Status != holdfast.Done || found.Outcome.Position != out.Position || len(found.Transfers) != 1 {
		t.Fatalf("the transaction: %+v, %v", found, err)
	}
	if x := found.Transfers[0]; x.Debit != b.alice || x.Credit != far || x.Kind != holdfast.Immediate || x.Ref != pay.Ref {
		t.Errorf("the transaction's transfer: %+v", x)
	}
	one, err := b.Transfer(t.Context(), pay.ID)
	if err != nil || one.ID != pay.ID || one.Kind != holdfast.Immediate {
		t.Errorf("by id: %+v, %v", one, err)
	}
	check("by id", one, pay.ID)
	list, err := b.TransfersByRef(t.Context(), pay.Ref)
	if err != nil || len(list) != 1 {
		t.Fatalf("by reference: %+v, %v", list, err)
	}
	check("by reference", list[0], pay.ID)
	b.settle()
	page, err := b.StatementPage(t.Context(), far, "", 10)
	if err != nil || len(page.Lines) != 2 {
		t.Fatalf("statement of the payee: %+v, %v", page, err)
	}
	check("statement of the payee", page.Lines[0].Movement, pay.ID)
	page, err = b.StatementPage(t.Context(), b.alice, "", 10)
	if err != nil || len(page.Lines) < 2 {
		t.Fatalf("statement of the payer: %+v, %v", page, err)
	}
	if end := page.Lines[0]; end.Kind != holdfast.Post || end.Hold != pay.ID || end.DebitsPosted != 1250 || end.DebitsPending != 0 {
		t.Errorf("the end at the payer: %+v", end)
	}
	check("the end at the payer", page.Lines[0].Movement, page.Lines[0].Txn)
	check("the begin at the payer", page.Lines[1].Movement, pay.ID)
}

func TestARefusedCrossingIsNoTransfer(t *testing.T) {
	b, far := crossingBank(t)
	nobody := account(must(holdfast.NewOwner(9, 950)), "wallet")
	pay := b.transfer(b.alice, nobody, 5)
	b.refused(holdfast.CodeCreditMissing)(b.Pay(t.Context(), pay))
	found, err := b.Txn(t.Context(), pay.ID)
	if err != nil || found.Outcome.Status != holdfast.Refused || found.Outcome.Code != holdfast.CodeCreditMissing || found.Transfers[0].Credit != nobody {
		t.Errorf("%+v, %v", found, err)
	}
	if m, err := b.Transfer(t.Context(), pay.ID); !client.IsNotFound(err) {
		t.Errorf("a transfer that moved nothing is shown: %+v, %v", m, err)
	}
	b.settle()
	if a, err := b.Account(t.Context(), b.alice); err != nil || a.Available() != 10000 {
		t.Errorf("alice has %+v, %v", a, err)
	}
	b.done(b.Pay(t.Context(), b.transfer(b.alice, far, 5)))
}

func TestAHoldThatCrossesIsShownAsItsCallerMadeIt(t *testing.T) {
	b, far := crossingBank(t)
	hold := b.transfer(b.alice, far, 3000)
	hold.Timeout = time.Hour
	b.done(b.Hold(t.Context(), hold))
	h, err := b.HoldByID(t.Context(), hold.ID)
	if err != nil || h.ID != hold.ID || h.Debit != b.alice || h.Credit != far || h.Amount != 3000 {
		t.Errorf("%+v, %v", h, err)
	}
	list, err := b.Holds(t.Context(), b.alice)
	if err != nil || len(list) != 1 || list[0].ID != hold.ID || list[0].Credit != far {
		t.Errorf("holds of alice: %+v, %v", list, err)
	}
	id := b.NewID()
	b.done(b.Post(t.Context(), id, hold.ID, 2000))
	b.holdIs(hold, "posted") // whether its payment is settled at home or not
	given := b.transfer(b.alice, far, 10)
	given.Timeout = time.Hour
	b.done(b.Hold(t.Context(), given))
	b.holdIs(given, "open")
	b.done(b.Void(t.Context(), b.NewID(), given.ID))
	b.holdIs(given, "voided")
	m, err := b.Transfer(t.Context(), id)
	if err != nil || m.Debit != b.alice || m.Credit != far || m.Amount != 2000 || m.Hold != hold.ID {
		t.Errorf("the post: %+v, %v", m, err)
	}
	b.settle()
	b.holdIs(hold, "posted")
	b.holdIs(given, "voided")
	if a, err := b.Account(t.Context(), b.alice); err != nil || a.Available() != 8000 {
		t.Errorf("alice has %+v, %v", a, err)
	}
	audit, err := b.Audit(t.Context())
	if err != nil || !audit.OK {
		t.Errorf("%+v, %v", audit, err)
	}
}
