package ledger

import (
	"testing"
	"time"

	"holdfast"
)

// TestPrecedenceOfMalformed spoils a good transaction in two ways at once: the smaller code must be the answer, whatever
// the order of the fields.
func TestPrecedenceOfMalformed(t *testing.T) {
	type spoiler struct {
		code  holdfast.Code
		spoil func(t *holdfast.Txn)
	}
	// Each spoiler touches fields of its own, so that two of them do not undo each other.
	spoilers := []spoiler{
		{holdfast.CodeTxnTooLarge, func(t *holdfast.Txn) { t.Acks = make([]uint64, holdfast.MaxLegs+1) }},
		{holdfast.CodeIDMissing, func(t *holdfast.Txn) { t.ID = holdfast.ID{} }},
		{holdfast.CodeIDRepeated, func(t *holdfast.Txn) { t.Transfers[1].ID = t.Transfers[0].ID }},
		{holdfast.CodeKindInvalid, func(t *holdfast.Txn) { t.Accounts[0].Op = 0 }},
		{holdfast.CodeAccountInvalid, func(t *holdfast.Txn) { t.Accounts[0].ID.Asset = 0 }},
		{holdfast.CodeAmountInvalid, func(t *holdfast.Txn) { t.Transfers[0].Amount = -1 }},
		{holdfast.CodeSameAccount, func(t *holdfast.Txn) { t.Transfers[1].Debit = t.Transfers[1].Credit }},
		{holdfast.CodeAssetMismatch, func(t *holdfast.Txn) { t.Transfers[2].Debit = testAccount(1) }},
		{holdfast.CodeHoldInvalid, func(t *holdfast.Txn) { t.Transfers[0].Hold = testID(99) }},
		{holdfast.CodeTimeoutInvalid, func(t *holdfast.Txn) { t.Transfers[0].Timeout = -time.Second }},
		{holdfast.CodeLimitInvalid, func(t *holdfast.Txn) { t.Accounts[1].Limit = 77 }},
		{holdfast.CodeRecordInvalid, func(t *holdfast.Txn) { t.Records[0].Key = "" }},
		{holdfast.CodeMessageInvalid, func(t *holdfast.Txn) { t.Messages[0].To = 0 }},
		{holdfast.CodeExpireReserved, func(t *holdfast.Txn) { t.Transfers[3].Kind = holdfast.Expire }},
		{holdfast.CodeIDReserved, func(t *holdfast.Txn) { t.Transfers[2].ID = t.Transfers[2].ID.Shadow() }},
		{holdfast.CodeRecordReserved, func(t *holdfast.Txn) { t.Records[0].Key = holdfast.ReservedPrefix + "x" }},
	}
	for i, a := range spoilers {
		for _, b := range spoilers[i:] {
			txn := wholesome()
			b.spoil(&txn)
			a.spoil(&txn)
			if code, field := Check(&txn); code != a.code {
				t.Errorf("%s and %s: got %s in field %q", a.code, b.code, code, field)
			}
		}
	}
}

func wholesome() holdfast.Txn {
	move := func(id int) holdfast.Transfer {
		return holdfast.Transfer{ID: testID(id), Kind: holdfast.Immediate, Debit: testAccount(2), Credit: testAccount(4), Amount: 5}
	}
	return holdfast.Txn{
		ID: testID(1),
		Accounts: []holdfast.AccountChange{
			{Op: holdfast.OpenAccount, ID: testAccount(2)}, {Op: holdfast.OpenAccount, ID: testAccount(4)},
		},
		Transfers: []holdfast.Transfer{move(11), move(12), move(13), {ID: testID(14), Kind: holdfast.Void, Hold: testID(15)}},
		Records:   []holdfast.RecordChange{{Key: "k"}},
		Messages:  []holdfast.Message{{To: 1, Topic: "t"}},
	}
}

func TestWholesome(t *testing.T) {
	txn := wholesome()
	if code, field := Check(&txn); code != holdfast.CodeOK {
		t.Fatalf("%s %s", code, field)
	}
	expiry := ExpiryTxn(testID(15))
	if code, field := Check(&expiry); code != holdfast.CodeExpireReserved || field != "id" {
		t.Errorf("an expiry from outside: %s %s", code, field)
	}
	if code, field := CheckLogged(&expiry); code != holdfast.CodeOK {
		t.Errorf("an expiry by the leader: %s %s", code, field)
	}
}

// TestPrecedenceOfTransfers tries all combinations of what can be wrong with the two accounts and the amount.
func TestPrecedenceOfTransfers(t *testing.T) {
	type condition struct {
		code  holdfast.Code
		debit bool // it is about the debit account
		apply func(a *account)
	}
	conditions := []condition{
		{holdfast.CodeDebitClosed, true, func(a *account) { a.flags |= holdfast.Closed }},
		{holdfast.CodeCreditClosed, false, func(a *account) { a.flags |= holdfast.Closed }},
		{holdfast.CodeDebitFrozen, true, func(a *account) { a.flags |= holdfast.Frozen }},
		{holdfast.CodeCreditFrozen, false, func(a *account) { a.flags |= holdfast.Frozen }},
		{holdfast.CodeOverflow, true, func(a *account) { a.debitsPosted, a.debitsPending = 1<<62, 1<<62-1 }},
		{holdfast.CodeOverflow, false, func(a *account) { a.creditsPosted = 1<<63 - 1 }},
		{holdfast.CodeExceedsCredits, true, func(a *account) { a.limit = holdfast.LimitDebits }},
		{holdfast.CodeExceedsDebits, false, func(a *account) { a.limit = holdfast.LimitCredits }},
	}
	for set := range 1 << len(conditions) {
		var debit, credit account
		want := holdfast.CodeOK
		for i, c := range conditions {
			if set>>i&1 == 0 {
				continue
			}
			if c.debit {
				c.apply(&debit)
			} else {
				c.apply(&credit)
			}
			want = smaller(want, c.code)
		}
		if got := admit(&debit, &credit, 1, holdfast.Closed|holdfast.Frozen); got != want {
			t.Errorf("conditions %08b: got %s, want %s", set, got, want)
		}
		if got := admit(nil, &credit, 1, holdfast.Closed|holdfast.Frozen); got != holdfast.CodeDebitMissing {
			t.Errorf("conditions %08b and no debit account: got %s", set, got)
		}
		if got := admit(&debit, nil, 1, holdfast.Closed|holdfast.Frozen); got != holdfast.CodeCreditMissing {
			t.Errorf("conditions %08b and no credit account: got %s", set, got)
		}
	}
}
