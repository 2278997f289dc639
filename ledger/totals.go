package ledger

import (
	"cmp"
	"fmt"
	"math/big"
	"math/bits"
	"slices"

	"holdfast"
)

// Sum is a total over many accounts: 128 bits, because each account's sums may have 63.
type Sum struct{ Hi, Lo uint64 }

// String gives the sum in decimal.
func (s Sum) String() string {
	n := new(big.Int).SetUint64(s.Hi)
	n.Lsh(n, 64)
	return n.Or(n, new(big.Int).SetUint64(s.Lo)).String()
}

func (s *Sum) add(a holdfast.Amount) {
	var carry uint64
	s.Lo, carry = bits.Add64(s.Lo, uint64(a), 0)
	s.Hi += carry
}

func (s *Sum) sub(a holdfast.Amount) {
	var borrow uint64
	s.Lo, borrow = bits.Sub64(s.Lo, uint64(a), 0)
	s.Hi -= borrow
}

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

// count adds an account with all that is on it.
func (t *AssetTotal) count(a *account) {
	t.Accounts++
	t.DebitsPosted.add(a.debitsPosted)
	t.CreditsPosted.add(a.creditsPosted)
	t.DebitsPending.add(a.debitsPending)
	t.CreditsPending.add(a.creditsPending)
}

// totals is the trial balance while it is being kept.
type totals struct {
	lines []AssetTotal
	at    map[holdfast.Asset]int
	last  int // the line used last: most transfers in a row are of one asset
}

// of returns the line of an asset, which it makes if need be. The pointer is valid until the next call.
func (t *totals) of(asset holdfast.Asset) *AssetTotal {
	if t.last < len(t.lines) && t.lines[t.last].Asset == asset {
		return &t.lines[t.last]
	}
	i, ok := t.at[asset]
	if !ok {
		if t.at == nil {
			t.at = make(map[holdfast.Asset]int)
		}
		i = len(t.lines)
		t.at[asset] = i
		t.lines = append(t.lines, AssetTotal{Asset: asset})
	}
	t.last = i
	return &t.lines[i]
}

// sorted is a copy in order of asset.
func (t *totals) sorted() []AssetTotal {
	lines := slices.Clone(t.lines)
	slices.SortFunc(lines, func(a, b AssetTotal) int { return cmp.Compare(a.Asset, b.Asset) })
	return lines
}

// Totals returns the trial balance, kept up to date by every transfer, sorted by asset.
func (s *State) Totals() []AssetTotal { return s.totals.sorted() }

// Recount computes the trial balance anew from all accounts, and from the open holds what must be pending on them. It is
// an error, with the numbers, when the books do not balance or differ from Totals. It takes seconds for 10 million accounts.
func (s *State) Recount() ([]AssetTotal, error) {
	var fresh totals
	pending := s.holds.pending()
	for i := range s.accounts.hot.len {
		a := s.accounts.hot.at(i)
		fresh.of(a.asset).count(a)
		if want := pending[i]; want != [2]holdfast.Amount{a.debitsPending, a.creditsPending} {
			return nil, fmt.Errorf("account %s has %d debits and %d credits pending, but its open holds come to %d and %d",
				a.id(), a.debitsPending, a.creditsPending, want[0], want[1])
		}
		if !a.keepsLimit() {
			return nil, fmt.Errorf("account %s passes its limit %q: debits %d + %d pending, credits %d + %d pending",
				a.id(), a.limit, a.debitsPosted, a.debitsPending, a.creditsPosted, a.creditsPending)
		}
	}
	lines := fresh.sorted()
	for i := range lines {
		if !lines[i].Balanced() {
			return lines, fmt.Errorf("books of %s do not balance: %+v", lines[i].Asset, lines[i])
		}
	}
	if kept := s.Totals(); !slices.Equal(lines, kept) {
		return lines, fmt.Errorf("trial balance was kept as %+v, the accounts come to %+v", kept, lines)
	}
	return lines, nil
}
