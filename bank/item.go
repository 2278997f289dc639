package bank

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"holdfast"
)

// Item is one movement on an account at a bank, as one of the two sides has it. It is compared by ID; where a side has no end-to-end id, Ref
// stands for it, as in "ref:B000000017".
type Item struct {
	ID     string          // end-to-end id
	Ref    string          // the bank's own reference; "" on the ledger's side if the bank has not told one
	Amount holdfast.Amount // above 0 where money came in, below 0 where it went out
	Asset  holdfast.Asset
	Day    holdfast.Time // the beginning of the day of booking, or on which booking is expected; 0: not known
	Other  Account       // on the other side; zero: not known
	Open   bool          // on the ledger's side: an order whose end is not known
	Off    bool          // on the ledger's side: an order that ended without being paid
	Note   string        // where to look: for the ledger's side the record's key, for the bank's the statement's id
}

// key is what items are sorted by.
func (i *Item) key() string {
	if i.ID != "" {
		return i.ID
	}
	return "ref:" + i.Ref
}

// CompareItems is the order in which both sides of a reconciliation come.
func CompareItems(a, b Item) int {
	return cmp.Or(cmp.Compare(a.key(), b.key()), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Amount, b.Amount))
}

// Difference says how the two sides differ. The numbers are stored: only add.
type Difference uint8

const (
	// NotAtBank: the ledger has it as paid or received, and the bank's book does not have it although it should by now.
	NotAtBank Difference = iota + 1
	// NotInLedger: the bank's book has it, and the ledger nothing.
	NotInLedger
	// OtherAmount: amount, currency or direction differ.
	OtherAmount
	// OtherAccount: the money went to another account than it was meant for.
	OtherAccount
	// BookedTwice: the bank's book has it more than once.
	BookedTwice
	// LedgerTwice: the ledger has it more than once.
	LedgerTwice
	// BookedThoughOff: the bank has paid what it said it had rejected, or had never heard of. The customer has the money twice.
	BookedThoughOff
	// BookedThoughOpen: the bank has paid, and the order still waits for its word.
	BookedThoughOpen
	// BalanceWrong: the statement's entries do not lead from its opening balance to its closing balance.
	BalanceWrong
	// StatementMissing: the opening balance or number of the statement does not go on from the one before.
	StatementMissing
	// Returned: the bank has booked it and booked it back.
	Returned
)

var differences = [...]struct{ name, todo string }{
	NotAtBank:        {"not-at-bank", "Ask the bank about the payment by its end-to-end id. If it was never carried out, its answer was wrong: have it corrected or paid, and tell the customer."},
	NotInLedger:      {"not-in-ledger", "Find out whose it is by the text and the bank's reference. Credit it to its owner, or have the bank take it back."},
	OtherAmount:      {"other-amount", "Compare both with the message that was sent. The bank corrects its entry, or the difference is booked in the ledger."},
	OtherAccount:     {"other-account", "The bank has paid somebody else. Have it recall the payment, and tell the customer."},
	BookedTwice:      {"booked-twice", "The bank has paid more than once under one id, which it may not. Have the others taken back."},
	LedgerTwice:      {"ledger-twice", "The ledger counts one movement of the bank more than once. Find out which is right, and reverse the other."},
	BookedThoughOff:  {"booked-though-off", "The customer has got his money back and the bank has paid as well. Have the bank recall the payment, or debit the customer."},
	BookedThoughOpen: {"booked-though-open", "Nothing, if the order ends as paid by itself. If it still waits tomorrow, ask the bank why its answer is not its book."},
	BalanceWrong:     {"balance-wrong", "The statement contradicts itself: an entry is missing or altered. Ask the bank for it again."},
	StatementMissing: {"statement-missing", "A statement between this one and the one before is missing. Fetch it from the bank, and reconcile it."},
	Returned:         {"returned", "The bank has paid, and the money has come back, as when the account of the creditor was closed. Give it back to the customer who had it withdrawn."},
}

// String gives the name, as it is stored and shown.
func (d Difference) String() string {
	if d > 0 && int(d) < len(differences) {
		return differences[d].name
	}
	return fmt.Sprintf("difference(%d)", uint8(d))
}

// ToDo says in a sentence or two what to do about such a difference.
func (d Difference) ToDo() string {
	if d > 0 && int(d) < len(differences) {
		return differences[d].todo
	}
	return ""
}

// ParseDifference reads the name.
func ParseDifference(name string) (Difference, error) {
	for i := range differences {
		if i > 0 && differences[i].name == name {
			return Difference(i), nil
		}
	}
	return 0, fmt.Errorf("no difference is called %.40q", name)
}

// Progress is how far a piece of work is.
type Progress uint8

const (
	// Waiting: nobody has explained it yet.
	Waiting Progress = iota + 1
	// Explained: somebody has said why it is so and what is under way; the difference is still there.
	Explained
	// Closed: the difference is gone, or somebody has decided that nothing more is done about it.
	Closed
)

var progressNames = [...]string{"", "open", "explained", "closed"}

// String gives "open", "explained" or "closed".
func (p Progress) String() string {
	if p > 0 && int(p) < len(progressNames) {
		return progressNames[p]
	}
	return fmt.Sprintf("progress(%d)", uint8(p))
}

// Case is one difference on the list of work. Its ID is made of the account, the key and the kind of difference, so that reconciling again
// finds the same case and not another one.
type Case struct {
	ID       string // 32 hexadecimal digits
	Account  string // a name for the platform's account at the bank; not its number
	Key      string // end-to-end id, or "ref:" and the bank's reference, or "statement:" and a day
	Kind     Difference
	Ledger   *Item           // as the ledger has it; nil if it has not
	Bank     *Item           // as the bank's book has it; nil if it has not
	Count    int             // how many times the side has it that has it more than once; else 0
	Amount   holdfast.Amount // what is at stake: by how much the bank's book is above the ledger, in minor units of the bank's asset
	Progress Progress
	Why      string // an explanation that somebody has given, or what closed it
	Seen     holdfast.Time
	Since    holdfast.Time // when it was first found
	Closed   holdfast.Time // when it was closed, or 0
	ByItself bool          // closed because a later reconciliation found the two sides in agreement
}

func caseID(account, key string, kind Difference) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "holdfast difference 1\x00%s\x00%s\x00%d", account, key, kind))
	return hex.EncodeToString(sum[:16])
}
