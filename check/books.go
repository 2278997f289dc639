package check

import (
	"fmt"
	"iter"
	"slices"

	"holdfast"
)

// Books checks double entry: per asset, over all the accounts given, posted debits equal posted credits and pending debits
// equal pending credits. The sums are taken in 128 bits, so that nothing can wrap around and look balanced.
func Books(accounts iter.Seq[holdfast.Account]) []Finding {
	sums := map[holdfast.Asset]*trial{}
	for a := range accounts {
		t := sums[a.ID.Asset]
		if t == nil {
			t = new(trial)
			sums[a.ID.Asset] = t
		}
		t.posted.add(a.DebitsPosted, a.CreditsPosted)
		t.pending.add(a.DebitsPending, a.CreditsPending)
	}
	var out []Finding
	for _, asset := range sortedKeys(sums) {
		out = sums[asset].findings(out, asset)
	}
	return out
}

type trial struct{ posted, pending gap }

// gap is debits less credits, exact: the difference of two sums of 63-bit numbers in two limbs of 32 bits and more.
type gap struct{ high, low int64 }

func (g *gap) add(debit, credit holdfast.Amount) {
	g.high += int64(debit>>32) - int64(credit>>32)
	g.low += int64(debit&0xffffffff) - int64(credit&0xffffffff)
}

func (g *gap) zero() bool { return g.low%(1<<32) == 0 && g.high+g.low>>32 == 0 }

func (t *trial) findings(out []Finding, asset holdfast.Asset) []Finding {
	if !t.posted.zero() {
		out = append(out, Finding{What: fmt.Sprintf("%s: posted debits less posted credits is %d*2^32%+d, not 0", asset, t.posted.high, t.posted.low)})
	}
	if !t.pending.zero() {
		out = append(out, Finding{What: fmt.Sprintf("%s: pending debits less pending credits is %d*2^32%+d, not 0", asset, t.pending.high, t.pending.low)})
	}
	return out
}

// Limits checks that no account is beyond its limit, open holds counted as if posted, and that no sum is negative.
func Limits(accounts iter.Seq[holdfast.Account]) []Finding {
	var out []Finding
	for a := range accounts {
		if what := overLimit(&a); what != "" {
			out = append(out, Finding{What: what})
		}
	}
	return out
}

func overLimit(a *holdfast.Account) string {
	switch {
	case a.DebitsPosted < 0 || a.CreditsPosted < 0 || a.DebitsPending < 0 || a.CreditsPending < 0:
		return fmt.Sprintf("%s: a sum is negative: %s", a.ID, sums(a))
	case a.Limit == holdfast.LimitDebits && a.CreditsPosted-a.DebitsPosted < a.DebitsPending:
		return fmt.Sprintf("%s: debits exceed credits: %s", a.ID, sums(a))
	case a.Limit == holdfast.LimitCredits && a.DebitsPosted-a.CreditsPosted < a.CreditsPending:
		return fmt.Sprintf("%s: credits exceed debits: %s", a.ID, sums(a))
	}
	return ""
}

func sums(a *holdfast.Account) string {
	return fmt.Sprintf("debits %d+%d, credits %d+%d (posted+pending)", a.DebitsPosted, a.DebitsPending, a.CreditsPosted, a.CreditsPending)
}

// Digest is what one replica says about its state.
type Digest struct {
	Site   holdfast.SiteID
	Shard  holdfast.ShardID
	Index  uint64 // applied
	Digest uint64
}

// Agree finds replicas of the same shard that have applied the same index and have a different digest. Replicas at different
// indexes cannot be compared: wait until nothing is in flight, or compare digests at the same index.
func Agree(digests []Digest) []Finding {
	type point struct {
		shard holdfast.ShardID
		index uint64
	}
	first := map[point]Digest{}
	var out []Finding
	for _, d := range digests {
		at := point{d.Shard, d.Index}
		f, seen := first[at]
		if !seen {
			first[at] = d
			continue
		}
		if f.Digest != d.Digest {
			out = append(out, Finding{What: fmt.Sprintf("shard %d at index %d: site %d has digest %016x, site %d has %016x",
				d.Shard, d.Index, f.Site, f.Digest, d.Site, d.Digest)})
		}
	}
	return out
}

// Balances checks that the sums of every account are exactly those of the transactions given on top of where it started: a
// payment applied twice, applied in part or swallowed shows here even if every look-up by id is in order.
//
// done is all that has happened since start (Report.Done, contents included, in any order). now gives an account as the site
// answers it. Accounts that others use as well must not be asked about: leave them out of only; nil means all that occur.
// Holds that can expire are taken as still open unless done names their end; expired lists those that have expired.
func Balances(start []holdfast.Account, done []Found, expired []holdfast.ID, only []holdfast.AccountID, now func(holdfast.AccountID) (holdfast.Account, bool, error)) ([]Finding, error) {
	want, findings := expected(start, done, expired)
	if only == nil {
		only = slices.SortedFunc(keys(want), compareAccounts)
	}
	for _, id := range only {
		got, ok, err := now(id)
		if err != nil {
			return findings, fmt.Errorf("read account %s: %w", id, err)
		}
		w := want[id]
		if w == nil {
			w = &holdfast.Account{ID: id}
		}
		if !ok {
			if sums(w) != sums(&holdfast.Account{}) {
				findings = append(findings, Finding{What: fmt.Sprintf("%s: no such account, expected %s", id, sums(w))})
			}
			continue
		}
		if sums(w) != sums(&got) {
			findings = append(findings, Finding{What: fmt.Sprintf("%s: %s, expected %s", id, sums(&got), sums(w))})
		}
	}
	return findings, nil
}

// expected adds everything up: holds first, because transactions come in any order.
func expected(start []holdfast.Account, done []Found, expired []holdfast.ID) (map[holdfast.AccountID]*holdfast.Account, []Finding) {
	e := expectation{accounts: map[holdfast.AccountID]*holdfast.Account{}, holds: map[holdfast.ID]*holdfast.Transfer{}}
	for _, a := range start {
		e.accounts[a.ID] = &a
	}
	e.legs(done, func(t *holdfast.Transfer) {
		switch t.Kind {
		case holdfast.Hold:
			e.holds[t.ID] = t
			e.pend(t, t.Amount)
		case holdfast.Immediate:
			e.post(t, t.Amount)
		}
	})
	e.legs(done, func(t *holdfast.Transfer) {
		if t.Kind >= holdfast.Post {
			e.close(t.ID, t.Hold, t.Kind, t.Amount)
		}
	})
	for _, id := range expired {
		e.close(id, id, holdfast.Expire, 0)
	}
	return e.accounts, e.findings
}

type expectation struct {
	accounts map[holdfast.AccountID]*holdfast.Account
	holds    map[holdfast.ID]*holdfast.Transfer
	findings []Finding
}

// legs visits all legs, each with the id under which it is known.
func (e *expectation) legs(done []Found, visit func(*holdfast.Transfer)) {
	for _, f := range done {
		if f.Txn == nil {
			continue
		}
		for i := range f.Txn.Transfers {
			t := f.Txn.Transfers[i]
			t.ID = f.Txn.TransferID(i)
			visit(&t)
		}
	}
}

func (e *expectation) account(id holdfast.AccountID) *holdfast.Account {
	a := e.accounts[id]
	if a == nil {
		a = &holdfast.Account{ID: id}
		e.accounts[id] = a
	}
	return a
}

func (e *expectation) post(t *holdfast.Transfer, amount holdfast.Amount) {
	e.account(t.Debit).DebitsPosted += amount
	e.account(t.Credit).CreditsPosted += amount
}

func (e *expectation) pend(t *holdfast.Transfer, amount holdfast.Amount) {
	e.account(t.Debit).DebitsPending += amount
	e.account(t.Credit).CreditsPending += amount
}

// close ends a hold. A second end of one hold is a finding in itself. A hold made before start is not known here: its end
// cannot be added up, so start must come after all holds have ended, or hold none.
func (e *expectation) close(id, holdID holdfast.ID, kind holdfast.Kind, amount holdfast.Amount) {
	h := e.holds[holdID]
	if h == nil {
		e.findings = append(e.findings, Finding{id, fmt.Sprintf("%s of hold %s, which is not there or has ended before", kind, holdID)})
		return
	}
	delete(e.holds, holdID)
	e.pend(h, -h.Amount)
	if kind != holdfast.Post {
		return
	}
	if amount == 0 {
		amount = h.Amount
	}
	e.post(h, amount)
}
