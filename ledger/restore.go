package ledger

import (
	"errors"
	"fmt"
	"slices"

	"holdfast"
)

// Loading a checkpoint: RestoreMeta, then accounts, then holds and outbox, then Restored. Whatever does not fit is an error
// about the checkpoint: the replica must be rebuilt from the others.

// RestoreMeta begins the loading of a checkpoint into a new State.
func (s *State) RestoreMeta(m Meta) {
	s.restoring = &m
	s.index, s.time, s.digest = m.Index, m.Time, digest(m.Digest)
	s.checkedIndex, s.checkedDigest = m.CheckedIndex, m.CheckedDigest
	s.txns, s.transfers = m.Txns, m.Transfers
	s.outbox.next = m.NextSeq
	s.gatesKnown = false
}

// Reserve makes room at once for the accounts that the Meta counts. Memory that the system has never given out comes page by page,
// each at the price of an interruption; provide is told early which memory will be written, so that it may have the system bring it
// beside the loading, in this order. It must neither read nor write it. Calling Reserve is optional; it comes right after RestoreMeta.
func (s *State) Reserve(provide func(memory [][]byte)) {
	n := s.restoring.Accounts
	if n > maxReserved {
		return // no such fleet: let the loading find out what is wrong
	}
	s.provide = provide
	hot, rest := s.accounts.hot.reserve(n), s.accounts.rest.reserve(n)
	var both [][]byte
	for i := range hot { // as they will be filled
		both = append(both, hot[i], rest[i])
	}
	provide(both)
}

const maxReserved = 1 << 30

// RestoreAccount adds an account of the checkpoint; all accounts come before the first hold. One that is there twice is found
// by RestoreHold or Restored.
func (s *State) RestoreAccount(a *holdfast.Account) error {
	if s.indexed {
		return fmt.Errorf("checkpoint %d: account %s comes after the first hold", s.index, a.ID)
	}
	hot := account{
		debitsPosted: a.DebitsPosted, creditsPosted: a.CreditsPosted, debitsPending: a.DebitsPending, creditsPending: a.CreditsPending,
		owner: a.ID.Owner, purpose: a.ID.Purpose, asset: a.ID.Asset, limit: a.Limit, flags: a.Flags,
	}
	s.accounts.addUnindexed(hot, accountRest{ref: a.Ref, opened: a.Opened, code: a.Code})
	s.totals.of(hot.asset).count(&hot)
	return nil
}

// restoreIndex runs once, when all accounts are there.
func (s *State) restoreIndex() error {
	if s.indexed {
		return nil
	}
	s.indexed = true
	if twice := s.accounts.indexAll(s.provide); twice != nil {
		return fmt.Errorf("checkpoint %d has account %s twice", s.index, twice.id())
	}
	return nil
}

// RestoreHold adds an open hold of the checkpoint. Its accounts have been restored, with its amount in their sums.
func (s *State) RestoreHold(h *OpenHold) error {
	if err := s.restoreIndex(); err != nil {
		return err
	}
	debit, ok := s.accounts.find(&h.Debit, h.Debit.Hash())
	if !ok {
		return fmt.Errorf("checkpoint %d has hold %s, but not its debit account %s", s.index, h.ID, h.Debit)
	}
	credit, ok := s.accounts.find(&h.Credit, h.Credit.Hash())
	if !ok {
		return fmt.Errorf("checkpoint %d has hold %s, but not its credit account %s", s.index, h.ID, h.Credit)
	}
	if _, twice := s.holds.find(h.ID); twice || debit == credit {
		return fmt.Errorf("checkpoint %d has hold %s twice, or with one account on both sides", s.index, h.ID)
	}
	s.holds.add(hold{
		id: h.ID, ref: h.Ref, index: h.Index, ord: h.Ord, leg: h.Leg, time: h.Time, due: h.Due, amount: h.Amount, code: h.Code,
		debit: debit, credit: credit,
	})
	return nil
}

// RestoreOutbox adds an undelivered message of the checkpoint, in order of Seq.
func (s *State) RestoreOutbox(q holdfast.Queued) error {
	last := uint64(0)
	if n := len(s.outbox.list); n > 0 {
		last = s.outbox.list[n-1].Seq
	}
	if q.Seq <= last || q.Seq >= s.outbox.next {
		return fmt.Errorf("checkpoint %d has message %d after message %d; the next one is to be %d",
			s.index, q.Seq, last, s.outbox.next)
	}
	s.outbox.add(q)
	return nil
}

// Restored ends the loading: it checks that accounts, holds and totals agree with each other and with the Meta.
func (s *State) Restored() error {
	m := s.restoring
	if m == nil {
		return errors.New("no checkpoint is being restored: call RestoreMeta first")
	}
	s.restoring, s.provide = nil, nil
	if err := s.restoreIndex(); err != nil {
		return err
	}
	accounts, holds := uint64(s.accounts.hot.len), uint64(len(s.holds.byID))
	if accounts != m.Accounts || holds != m.Holds {
		return fmt.Errorf("checkpoint %d has %d accounts and %d open holds, it should have %d and %d",
			m.Index, accounts, holds, m.Accounts, m.Holds)
	}
	s.holds.linkAll(&s.accounts)
	totals, err := s.Recount()
	if err != nil {
		return fmt.Errorf("checkpoint %d: %w", m.Index, err)
	}
	if !slices.Equal(totals, m.Totals) {
		return fmt.Errorf("checkpoint %d comes to the trial balance %+v, it should be %+v", m.Index, totals, m.Totals)
	}
	return nil
}
