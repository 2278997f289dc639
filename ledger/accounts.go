package ledger

import (
	"unsafe"

	"holdfast"
)

// account is the part of an account that a transfer needs: one cache line, no pointers.
type account struct {
	debitsPosted   holdfast.Amount
	creditsPosted  holdfast.Amount
	debitsPending  holdfast.Amount
	creditsPending holdfast.Amount

	owner   holdfast.Owner
	purpose holdfast.Purpose
	asset   holdfast.Asset

	firstHold uint32 // head of its list of open holds, plus 1
	rowLow    uint32 // number of its last row: see lastRow
	rowHigh   uint16
	limit     holdfast.Limit
	flags     holdfast.Flags
}

// accountRest is the part that is seldom needed and never changes.
type accountRest struct {
	ref    holdfast.Ref
	opened holdfast.Time
	code   uint32
}

func (a *account) id() holdfast.AccountID {
	return holdfast.AccountID{Owner: a.owner, Purpose: a.purpose, Asset: a.asset}
}

func (a *account) is(id *holdfast.AccountID) bool {
	return a.owner == id.Owner && a.purpose == id.Purpose && a.asset == id.Asset
}

// lastRow is the number of the last row written for the account by this process; 0: none. Rows are numbered from 1, in
// 48 bits: years at full speed.
func (a *account) lastRow() uint64 { return uint64(a.rowHigh)<<32 | uint64(a.rowLow) }

func (a *account) setLastRow(n uint64) { a.rowLow, a.rowHigh = uint32(n), uint16(n>>32) }

func (a *account) empty() bool {
	return a.debitsPosted == a.creditsPosted && a.debitsPending == 0 && a.creditsPending == 0
}

// withinLimit reports whether the account keeps its rule with so much more on either side. Open holds count.
func (a *account) withinLimit(debit, credit holdfast.Amount) bool {
	pendingDebits, pendingCredits := a.debitsPending, a.creditsPending
	if plantedHoldNotInLimit() {
		pendingDebits, pendingCredits = 0, 0
	}
	switch a.limit {
	case holdfast.LimitDebits:
		return pendingDebits+a.debitsPosted+debit <= a.creditsPosted
	case holdfast.LimitCredits:
		return pendingCredits+a.creditsPosted+credit <= a.debitsPosted
	}
	return true
}

// keepsLimit says the same of the account as it is, in other words: the two must agree.
func (a *account) keepsLimit() bool {
	debits, credits := a.debitsPosted+a.debitsPending, a.creditsPosted+a.creditsPending
	return (a.limit != holdfast.LimitDebits || debits <= a.creditsPosted) &&
		(a.limit != holdfast.LimitCredits || credits <= a.debitsPosted)
}

func (a *account) export(rest *accountRest) holdfast.Account {
	return holdfast.Account{
		ID: a.id(), Limit: a.limit, Flags: a.flags, Code: rest.code, Ref: rest.ref, Opened: rest.opened,
		DebitsPosted: a.debitsPosted, CreditsPosted: a.creditsPosted,
		DebitsPending: a.debitsPending, CreditsPending: a.creditsPending,
	}
}

// accounts are numbered in the order in which they came; the number, the ordinal, is known to this replica only. None is
// ever removed: closed ones stay to be refused.
type accounts struct {
	hot   pages[account]
	rest  pages[accountRest]
	index accountIndex
}

// accountIndex finds ordinals by id. It consists of parts so that growing one takes microseconds, even with millions of
// accounts.
type accountIndex [256]table

func (x *accountIndex) part(hash uint64) *table { return &x[hash>>56] }

// find returns the ordinal of an account; hash is that of the id.
func (c *accounts) find(id *holdfast.AccountID, hash uint64) (ordinal uint32, ok bool) {
	part, tag := c.index.part(hash), tagOf(hash)
	for n, i := part.seek(tag, tag); n != 0; n, i = part.seek(tag, i+1) {
		if c.hot.at(n - 1).is(id) {
			return n - 1, true
		}
	}
	return 0, false
}

// add makes an account that find did not find.
func (c *accounts) add(a account, rest accountRest) (ordinal uint32) {
	ordinal = c.addUnindexed(a, rest)
	hash := a.id().Hash()
	c.index.part(hash).add(tagOf(hash), ordinal+1)
	return ordinal
}

// addUnindexed adds an account that cannot be found before indexAll.
func (c *accounts) addUnindexed(a account, rest accountRest) (ordinal uint32) {
	ordinal, hot := c.hot.add()
	_, cold := c.rest.add()
	*hot, *cold = a, rest
	return ordinal
}

// indexAll makes the index of all accounts, of which none may be in it. It goes from part to part, so that it works within
// the cache: one by one in the order in which they came would take five times as long. If an account is there twice it is
// returned. provide, if there is one, hears of the memory that it takes.
func (c *accounts) indexAll(provide func([][]byte)) (twice *account) {
	var ends [len(accountIndex{}) + 1]uint32
	for i := range c.hot.len {
		ends[c.hot.at(i).id().Hash()>>56+1]++
	}
	sorted := make([]uint64, c.hot.len)
	c.index.reserve(&ends, provide)
	for i := range c.index {
		ends[i+1] += ends[i]
	}
	for i := range c.hot.len {
		hash := c.hot.at(i).id().Hash()
		place := &ends[hash>>56]
		sorted[*place] = uint64(tagOf(hash))<<32 | uint64(i+1)
		*place++
	}
	start := uint32(0)
	for i := range c.index {
		if twice = c.indexPart(&c.index[i], sorted[start:ends[i]]); twice != nil {
			return twice
		}
		start = ends[i]
	}
	return nil
}

// reserve gives every empty part i room for counts[i+1] numbers, in one piece of memory for all: it comes faster than many.
func (x *accountIndex) reserve(counts *[len(accountIndex{}) + 1]uint32, provide func([][]byte)) {
	size := 0
	for i := range x {
		size += roomFor(counts[i+1])
	}
	room := make([]uint64, size)
	if provide != nil {
		provide([][]byte{unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 8*size)})
	}
	for i := range x {
		n := roomFor(counts[i+1])
		x[i].slots, room = room[:n:n], room[n:]
	}
}

func (c *accounts) indexPart(part *table, sorted []uint64) (twice *account) {
	for _, e := range sorted {
		tag, n := uint32(e>>32), uint32(e)
		for other, i := part.seek(tag, tag); other != 0; other, i = part.seek(tag, i+1) {
			if a := c.hot.at(n - 1); c.hot.at(other-1).id() == a.id() {
				return a
			}
		}
		part.add(tag, n)
	}
	return nil
}
