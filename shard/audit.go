package shard

import (
	"context"
	"fmt"
	"iter"
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
	a, next, stop := v.beginAudit()
	defer stop()
	count := map[holdfast.Asset]*ledger.AssetTotal{}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return Audit{}, fmt.Errorf("audit: %w", err)
		}
		var slice []auditAccount
		slice, more = v.auditSlice(a.Time, next)
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

func (v *View) beginAudit() (a Audit, next func() (holdfast.Account, bool), stop func()) {
	v.State(func(s *ledger.State) {
		meta := s.Meta()
		a = Audit{Index: meta.Index, Time: meta.Time, Digest: meta.Digest, Accounts: meta.Accounts, Holds: meta.Holds, Totals: s.Totals()}
		next, stop = iter.Pull(s.Accounts())
	})
	return a, next, stop
}

// auditSlice copies some accounts. Accounts are never moved and only ever appended, so the iteration survives the lock.
func (v *View) auditSlice(since holdfast.Time, next func() (holdfast.Account, bool)) (list []auditAccount, more bool) {
	v.State(func(s *ledger.State) {
		for more = true; more && len(list) < auditSlice; {
			var acc holdfast.Account
			if acc, more = next(); !more || acc.Opened > since {
				continue
			}
			rows := s.RecentRows(acc.ID, 0, 1)
			list = append(list, auditAccount{acc, len(rows) > 0 && rows[0].Time > since, auditHolds(s, &acc)})
		}
	})
	return list, more
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
