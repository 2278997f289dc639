package bank

import (
	"time"

	"holdfast"
)

// Statement is what the bank's book of a day says besides its entries.
type Statement struct {
	ID       string
	Account  Account
	Day      holdfast.Time // the beginning of the day
	Sequence uint64        // grows by one from statement to statement; 0: the bank does not number them
	Asset    holdfast.Asset
	Opening  holdfast.Amount
	Closing  holdfast.Amount
	Interim  bool            // the day is not over: Closing is the balance so far
	Sum      holdfast.Amount // of the entries
	Count    int             // of the entries
}

// CheckStatement looks whether a statement leads from its opening balance to its closing one, and goes on from the one before; before is nil
// for the first. What is wrong goes on the list of work, and what was wrong there and is not any more is closed. old finds the cases
// of before by their ids.
func CheckStatement(r Round, s, before *Statement, old func(id string) (Case, bool, error), to Sink) error {
	key := statementKey(r.Day)
	end, ok := s.Opening.Add(s.Sum)
	off, _ := s.Closing.Sub(end)
	if err := r.judge(key, BalanceWrong, !ok || off != 0, off, old, to); err != nil {
		return err
	}
	return CheckOrder(r, s, before, old, to)
}

// CheckOrder looks whether a statement goes on from the one before, as [CheckStatement] does.
func CheckOrder(r Round, s, before *Statement, old func(id string) (Case, bool, error), to Sink) error {
	if before == nil {
		return nil
	}
	key := statementKey(r.Day)
	gap, _ := s.Opening.Sub(before.Closing)
	missing := gap != 0 || s.Sequence != 0 && before.Sequence != 0 && s.Sequence != before.Sequence+1
	return r.judge(key, StatementMissing, missing, gap, old, to)
}

// statementKey is what a statement itself is known by on the list of cases.
func statementKey(day holdfast.Time) string {
	return "statement:" + day.Std().UTC().Format(time.DateOnly)
}

// judge puts one case of a statement on the list, or closes it.
func (r *Round) judge(key string, kind Difference, wrong bool, amount holdfast.Amount, old func(string) (Case, bool, error), to Sink) error {
	c := Case{ID: caseID(r.Account, key, kind), Account: r.Account, Key: key, Kind: kind, Amount: amount}
	before, known, err := old(c.ID)
	switch {
	case err != nil:
		return err
	case wrong:
		next, changed := c.since(before, known && before.Amount == amount, r.Now)
		if known {
			next.Since = before.Since
		}
		if !changed {
			return nil
		}
		return to.Case(next)
	case !known || before.Progress == Closed:
		return nil
	}
	before.Progress, before.Closed, before.ByItself = Closed, r.Now, true
	return to.Case(before)
}
