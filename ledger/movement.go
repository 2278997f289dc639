package ledger

import (
	"fmt"

	"holdfast"
)

// movement is what one leg does to its two accounts: it adds to what is posted and to what is pending, on the debit side
// of the one and the credit side of the other.
type movement struct {
	posted  holdfast.Amount // not negative
	pending holdfast.Amount // negative when a hold is closed
}

func (m *movement) apply(debit, credit *account) {
	debit.debitsPosted += m.posted
	debit.debitsPending += m.pending
	credit.creditsPosted += m.posted
	credit.creditsPending += m.pending
}

// moved keeps the trial balance.
func (s *State) moved(asset holdfast.Asset, m *movement) {
	t := s.totals.of(asset)
	t.DebitsPosted.add(m.posted)
	t.CreditsPosted.add(m.posted)
	if m.pending >= 0 {
		t.DebitsPending.add(m.pending)
		t.CreditsPending.add(m.pending)
	} else {
		t.DebitsPending.sub(-m.pending)
		t.CreditsPending.sub(-m.pending)
	}
	s.transfers++
}

// admit says what stands against moving or holding an amount, in order of precedence. nil is an account that does not exist;
// barring are the flags that count.
func admit(debit, credit *account, amount holdfast.Amount, barring holdfast.Flags) holdfast.Code {
	switch {
	case debit == nil:
		return holdfast.CodeDebitMissing
	case credit == nil:
		return holdfast.CodeCreditMissing
	case (debit.flags|credit.flags)&barring != 0:
		return barred(debit, credit)
	case !fits(debit.debitsPosted, debit.debitsPending, amount) || !fits(credit.creditsPosted, credit.creditsPending, amount):
		return holdfast.CodeOverflow
	case !debit.withinLimit(amount, 0):
		return holdfast.CodeExceedsCredits
	case !credit.withinLimit(0, amount):
		return holdfast.CodeExceedsDebits
	}
	return holdfast.CodeOK
}

func barred(debit, credit *account) holdfast.Code {
	switch {
	case debit.flags&holdfast.Closed != 0:
		return holdfast.CodeDebitClosed
	case credit.flags&holdfast.Closed != 0:
		return holdfast.CodeCreditClosed
	case debit.flags&holdfast.Frozen != 0:
		return holdfast.CodeDebitFrozen
	}
	return holdfast.CodeCreditFrozen
}

// fits reports whether posted, pending and amount together stay within 63 bits. Posting a hold moves from pending to posted,
// so it cannot overflow later.
func fits(posted, pending, amount holdfast.Amount) bool {
	sum, ok := posted.Add(pending)
	if !ok {
		return false
	}
	_, ok = sum.Add(amount)
	return ok
}

// mustHold panics when an account is in a state that no sequence of transactions may lead to.
func (a *account) mustHold(index uint64) {
	if plantedHoldNotInLimit() || plantedOverPost() || plantedLegsNotAtomic() {
		return // the simulator has to find it
	}
	if a.debitsPosted < 0 || a.creditsPosted < 0 || a.debitsPending < 0 || a.creditsPending < 0 || !a.keepsLimit() {
		panic(fmt.Sprintf("ledger: entry %d leaves account %s, limit %q, with debits %d + %d pending and credits %d + %d pending",
			index, a.id(), a.limit, a.debitsPosted, a.debitsPending, a.creditsPosted, a.creditsPending))
	}
}
