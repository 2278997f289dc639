package ledger

import (
	"math/bits"

	"holdfast"
)

// Sum is a total over many accounts: 128 bits, because each account's sums may have 63.
type Sum struct{ Hi, Lo uint64 }

// AssetTotal is one line of the trial balance: the sums over all accounts of an asset, in its minor units.
type AssetTotal struct {
	Asset          holdfast.Asset
	Accounts       uint64
	DebitsPosted   Sum
	CreditsPosted  Sum
	DebitsPending  Sum
	CreditsPending Sum
}

// Balanced reports whether debits equal credits, posted and pending.
func (t *AssetTotal) Balanced() bool {
	return t.DebitsPosted == t.CreditsPosted && t.DebitsPending == t.CreditsPending
}

// String gives the sum in decimal.
func (s Sum) String() string { panic("unwritten") }

func (s *Sum) add(a holdfast.Amount) {
	var carry uint64
	s.Lo, carry = bits.Add64(s.Lo, uint64(a), 0)
	s.Hi += carry
}
