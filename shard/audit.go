package shard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast"
	"holdfast/ledger"
)

// Audit is what recounting all accounts found. Everything is as of the entry Index, whatever was paid during the recount.
type Audit struct {
	Index    uint64
	Time     holdfast.Time
	Digest   uint64
	Accounts uint64
	Holds    uint64 // open
	Totals   []ledger.AssetTotal
	// Faults says what does not balance; empty: the books are right.
	Faults []string
	Took   time.Duration
}

// Accounts looked at under one lock, which takes well below a millisecond, and how many faults are told.
const (
	auditSlice = 1000
	maxFaults  = 20
)

// Audit recounts all accounts and compares: debits with credits, the sums with the trial balance that every transfer keeps up
// to date, what is pending with the open holds, every account with its limit. Payments go on meanwhile: the lock is held for slices of accounts, and an account
// that has changed since the audit began is counted as it stood then, by its statement.
func (v *View) Audit(ctx context.Context) (Audit, error) {
	began := time.Now()
	a, row := v.beginAudit()
	count := map[holdfast.Asset]*ledger.AssetTotal{}
	slice := make([]auditAccount, 0, auditSlice)
	for from, more := uint32(0), true; more; more = from > 0 {
		if err := ctx.Err(); err != nil {
			return Audit{}, fmt.Errorf("audit: %w", err)
		}
		slice, from = v.auditSlice(a.Time, row, from, slice[:0])
		for i := range slice {
			if err := v.auditAccount(&a, &slice[i], count); err != nil {
				return Audit{}, err
			}
		}
	}
	a.compare(count)
	a.Took = time.Since(began)
	return a, nil
}

type auditAccount struct {
	holdfast.Account
	changed bool   // since the audit began
	fault   string // what its open holds do not come to
}

// beginAudit notes how things stand, and the number of the next row: accounts whose newest row is not below it have changed since.
func (v *View) beginAudit() (a Audit, row uint64) {
	v.State(func(s *ledger.State) {
		meta := s.Meta()
		a = Audit{Index: meta.Index, Time: meta.Time, Digest: meta.Digest, Accounts: meta.Accounts, Holds: meta.Holds, Totals: s.Totals()}
		row = s.NextRow()
	})
	return a, row
}

// auditSlice copies some accounts. Accounts are only ever appended, so their numbers survive the lock. Whether one has changed
// is told by the number of its newest row, which stays with it when the row itself goes to the store in the meantime.
func (v *View) auditSlice(since holdfast.Time, row uint64, from uint32, list []auditAccount) (_ []auditAccount, next uint32) {
	v.State(func(s *ledger.State) {
		next = s.AccountsFrom(from, auditSlice, row, func(acc holdfast.Account, changed bool) {
			if acc.Opened <= since {
				list = append(list, auditAccount{acc, changed, auditHolds(s, &acc)})
			}
		})
	})
	return list, next
}

// auditedHolds bounds how many open holds of one account are added up under the lock; an account with more is believed.
const auditedHolds = 1000

// auditHolds compares what is pending on an account with its open holds, both as they stand now.
func auditHolds(s *ledger.State, acc *holdfast.Account) string {
	if acc.DebitsPending == 0 && acc.CreditsPending == 0 {
		return ""
	}
	holds := s.HoldsOf(acc.ID, auditedHolds)
	if len(holds) == auditedHolds {
		return ""
	}
	var debits, credits holdfast.Amount
	for i := range holds {
		if holds[i].Debit == acc.ID {
			debits += holds[i].Amount
		} else {
			credits += holds[i].Amount
		}
	}
	if debits == acc.DebitsPending && credits == acc.CreditsPending {
		return ""
	}
	return fmt.Sprintf("account %s has %d and %d pending, its open holds come to %d and %d (debits, credits)",
		acc.ID, acc.DebitsPending, acc.CreditsPending, debits, credits)
}

func (v *View) auditAccount(a *Audit, acc *auditAccount, count map[holdfast.Asset]*ledger.AssetTotal) error {
	if acc.fault != "" {
		a.fault("%s", acc.fault)
	}
	if acc.changed {
		then, ok, err := v.AccountAt(acc.ID, a.Time)
		if err != nil {
			return fmt.Errorf("audit of %s: %w", acc.ID, err)
		}
		if !ok {
			a.fault("account %s has changed, and no line says how it stood at %s", acc.ID, a.Time)
			return nil
		}
		acc.Account = then
	}
	t := count[acc.ID.Asset]
	if t == nil {
		t = &ledger.AssetTotal{Asset: acc.ID.Asset}
		count[acc.ID.Asset] = t
	}
	t.Accounts++
	t.DebitsPosted = plus(t.DebitsPosted, acc.DebitsPosted)
	t.CreditsPosted = plus(t.CreditsPosted, acc.CreditsPosted)
	t.DebitsPending = plus(t.DebitsPending, acc.DebitsPending)
	t.CreditsPending = plus(t.CreditsPending, acc.CreditsPending)
	a.checkLimit(&acc.Account)
	return nil
}

func plus(s ledger.Sum, a holdfast.Amount) ledger.Sum {
	lo := s.Lo + uint64(a)
	if lo < s.Lo {
		s.Hi++
	}
	s.Lo = lo
	return s
}

func (a *Audit) checkLimit(acc *holdfast.Account) {
	debits, credits := acc.DebitsPosted+acc.DebitsPending, acc.CreditsPosted+acc.CreditsPending
	if acc.Limit == holdfast.LimitDebits && debits > acc.CreditsPosted ||
		acc.Limit == holdfast.LimitCredits && credits > acc.DebitsPosted {
		a.fault("account %s passes its limit %q: debits %d, credits %d, holds included", acc.ID, acc.Limit, debits, credits)
	}
}

func (a *Audit) fault(format string, args ...any) {
	if len(a.Faults) < maxFaults {
		a.Faults = append(a.Faults, fmt.Sprintf(format, args...))
	}
}

// compare holds what was counted against what was kept.
func (a *Audit) compare(count map[holdfast.Asset]*ledger.AssetTotal) {
	var counted []ledger.AssetTotal
	for _, t := range count {
		counted = append(counted, *t)
	}
	slices.SortFunc(counted, func(x, y ledger.AssetTotal) int { return int(int64(x.Asset) - int64(y.Asset)) })
	for i := range counted {
		if !counted[i].Balanced() {
			a.fault("books of %s do not balance: %+v", counted[i].Asset, counted[i])
		}
	}
	if !slices.Equal(counted, a.Totals) {
		a.fault("trial balance was kept as %+v, the accounts come to %+v", a.Totals, counted)
	}
}
