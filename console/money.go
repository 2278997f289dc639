package console

import (
	"holdfast"
	"holdfast/client"
)

// Outcome is the key of the word for what became of a transaction.
func (moneyBody) Outcome(o holdfast.Outcome) string {
	switch o.Status {
	case holdfast.Done:
		return "money-done"
	case holdfast.Refused, holdfast.NotExecuted:
		return "money-refused"
	}
	return "money-unknown"
}

// Moved reports whether a line of a statement is about money: others are about the account itself.
func (accountBody) Moved(l client.Line) bool { return l.Leg != holdfast.NoLeg }

// Other is the account at the other end of a movement.
func (b accountBody) Other(l client.Line) string {
	switch {
	case l.Debit.String() != b.ID:
		return l.Debit.String()
	case l.Credit.String() != b.ID:
		return l.Credit.String()
	}
	return ""
}

// Signed is what a movement adds to the balance of an account.
func (b accountBody) Signed(l client.Line) string {
	if l.Debit.String() == b.ID {
		return amount(-l.Amount, l.Debit.Asset)
	}
	return "+" + amount(l.Amount, l.Credit.Asset)
}

func amount(n holdfast.Amount, asset holdfast.Asset) string {
	return holdfast.FormatMinor(n, asset) + " " + asset.String()
}
