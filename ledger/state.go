package ledger

import (
	"iter"

	"holdfast"
)

// State is the state of one shard.
type State struct {
	index         uint64
	time          holdfast.Time
	digest        digest
	checkedIndex  uint64
	checkedDigest uint64
	difference    ErrDigest // found since it was asked for last; Index 0: none
	txns          uint64
	transfers     uint64

	accounts accounts
	holds    holds
	outbox   outbox
	totals   totals

	gates      Gates
	gatesKnown bool // false after a checkpoint was loaded, until the first entry

	trails map[holdfast.Slot]*trail // of slots on their way

	open   *Segment
	sealed []*Segment // the oldest first
	spare  *Segment   // to be opened next; nil: Seal makes one

	forgotten uint64 // the last entry that only Past knows

	restoring *Meta // between RestoreMeta and Restored
	indexed   bool  // the accounts of the checkpoint can be found
	provide   func(memory [][]byte)

	// Scratch, reused from one transaction to the next.
	cur       current
	originals originals
	txn       holdfast.Txn
	judgement judgement
	run       [runLength]planned
	sink      uint64
}

// New returns the state before the first log entry.
func New() *State {
	return &State{open: newSegment(1, nil), outbox: outbox{next: 1}, gatesKnown: true}
}

// Applied returns the last index applied and the last time given to a transaction.
func (s *State) Applied() (index uint64, t holdfast.Time) { return s.index, s.time }

// Digest is a running hash over all effects: replicas that applied the same log have the same.
func (s *State) Digest() uint64 { return uint64(s.digest) }

// Checked returns the last digest entry that was applied and the digest there: what the next digest entry should carry.
func (s *State) Checked() (index, digest uint64) { return s.checkedIndex, s.checkedDigest }

// TakeDifference returns the last difference that a digest entry has shown since the last call, and forgets it. It is a fact for
// whoever can ask the other replicas: the state goes on either way, with its own digest as the one that was checked.
func (s *State) TakeDifference() (d ErrDigest, found bool) {
	d, s.difference = s.difference, ErrDigest{}
	return d, d.Index != 0
}

// Meta returns what Seal would write now, less Term and Members.
func (s *State) Meta() Meta {
	return Meta{
		Index: s.index, Time: s.time, Digest: uint64(s.digest), CheckedIndex: s.checkedIndex, CheckedDigest: s.checkedDigest,
		Accounts: uint64(s.accounts.hot.len), Holds: uint64(len(s.holds.byID)), Txns: s.txns, Transfers: s.transfers,
		NextSeq: s.outbox.next, Totals: s.Totals(),
	}
}

// Account returns an account as it stands.
func (s *State) Account(id holdfast.AccountID) (holdfast.Account, bool) {
	ordinal, ok := s.accounts.find(&id, id.Hash())
	if !ok {
		return holdfast.Account{}, false
	}
	return s.accounts.hot.at(ordinal).export(s.accounts.rest.at(ordinal)), true
}

// NextRow is the number that the next row will have. Rows are numbered for the life of the process.
func (s *State) NextRow() uint64 { return s.open.firstRow + uint64(len(s.open.Rows)) }

// AccountsFrom calls use with up to max accounts, in the order in which they came to this replica, from the one with the
// number from on, and says whether each has changed since NextRow was row. It returns the number to go on from; 0: that was all.
func (s *State) AccountsFrom(from uint32, max int, row uint64, use func(a holdfast.Account, changed bool)) (next uint32) {
	end := min(from+uint32(max), s.accounts.hot.len)
	for i := from; i < end; i++ {
		a := s.accounts.hot.at(i)
		use(a.export(s.accounts.rest.at(i)), a.lastRow() >= row)
	}
	if end == s.accounts.hot.len {
		return 0
	}
	return end
}

// Accounts ranges over all accounts in the order in which they came to this replica.
func (s *State) Accounts() iter.Seq[holdfast.Account] {
	return func(yield func(holdfast.Account) bool) {
		for i := range s.accounts.hot.len {
			if !yield(s.accounts.hot.at(i).export(s.accounts.rest.at(i))) {
				return
			}
		}
	}
}
