package ledger

import (
	"fmt"
	"iter"

	"holdfast"
)

// State is the state of one shard.
type State struct{}

// ErrDigest is returned by Apply when this replica's state was not the one that the proposer of a digest entry had. One of
// the two is wrong: the replica must take itself out of service, loudly.
type ErrDigest struct {
	Index  uint64 // the entry after which the digests differ
	Ours   uint64
	Theirs uint64
}

// Error names the entry and both digests.
func (e ErrDigest) Error() string {
	return fmt.Sprintf("state differs from the proposer's: digest after entry %d is %016x here and %016x there", e.Index, e.Ours, e.Theirs)
}

// New returns the state before the first log entry.
func New() *State { return &State{} }

// Apply applies one log entry and appends one outcome per transaction of it to out. Indexes must rise by one; times must
// rise. Empty data is an entry without meaning for the ledger (raft's own): only the index moves. data is not kept.
//
// An error means that the entry cannot be understood, that the past cannot be read, or [ErrDigest]. The state may then
// be half changed and must be thrown away.
func (s *State) Apply(index uint64, data []byte, past Past, out []holdfast.Outcome) ([]holdfast.Outcome, error) {
	panic("unwritten")
}

// Applied returns the last index applied and the last time given to a transaction.
func (s *State) Applied() (index uint64, t holdfast.Time) { panic("unwritten") }

// Digest is a running hash over all effects: replicas that applied the same log have the same.
func (s *State) Digest() uint64 { panic("unwritten") }

// Checked returns the last digest entry that was applied and the digest there: what the next digest entry should carry.
func (s *State) Checked() (index, digest uint64) { panic("unwritten") }

// Account returns an account as it stands.
func (s *State) Account(id holdfast.AccountID) (holdfast.Account, bool) { panic("unwritten") }

// Accounts ranges over all accounts in the order in which they came to this replica.
func (s *State) Accounts() iter.Seq[holdfast.Account] { panic("unwritten") }

// Meta returns what Seal would write now, less Term and Members.
func (s *State) Meta() Meta { panic("unwritten") }

// Hold returns an open hold.
func (s *State) Hold(id holdfast.ID) (OpenHold, bool) { panic("unwritten") }

// HoldsOf returns up to max open holds that have the account on either side, newest first.
func (s *State) HoldsOf(id holdfast.AccountID, max int) []OpenHold { panic("unwritten") }

// DueHolds returns up to max open holds that can expire at now; the earliest is among them.
func (s *State) DueHolds(now holdfast.Time, max int) []holdfast.ID { panic("unwritten") }

// Totals returns the trial balance, kept up to date by every transfer, sorted by asset.
func (s *State) Totals() []AssetTotal { panic("unwritten") }

// Recount computes the trial balance anew from all accounts, and from the open holds what must be pending on them. It is
// an error, with the numbers, when the books do not balance or differ from Totals. It takes seconds for 10 million accounts.
func (s *State) Recount() ([]AssetTotal, error) { panic("unwritten") }

// Outbox returns up to max undelivered messages with a Seq above after, in order.
func (s *State) Outbox(after uint64, max int) []holdfast.Queued { panic("unwritten") }

// FindRecent tells where an id was used, if that is not forgotten yet.
func (s *State) FindRecent(id holdfast.ID) (Trace, bool) { panic("unwritten") }

// RecentRows returns up to max rows of an account that are not forgotten yet and older than before (0: all), newest first.
func (s *State) RecentRows(id holdfast.AccountID, before holdfast.Time, max int) []Row {
	panic("unwritten")
}

// RecentByRef returns up to max transfers with a reference that are not forgotten yet, newest first.
func (s *State) RecentByRef(ref holdfast.Ref, max int) []RefRow { panic("unwritten") }

// RecentRecord returns a record that has changed and is not forgotten yet. Deleted ones are found too.
func (s *State) RecentRecord(key string) (RecordRow, bool) { panic("unwritten") }

// RecentByIndex returns up to max records that have changed, are not forgotten yet and carry the index key, with a Key
// above after, in order of Key. A record of the store for which RecentRecord finds a newer version does not count any more.
func (s *State) RecentByIndex(index, after string, max int) []holdfast.Record { panic("unwritten") }

// Pending is how much has gathered in the open segment: rows, ids, records and messages. The caller seals by it.
func (s *State) Pending() int { panic("unwritten") }

// Seal closes the open segment and begins a new one, in constant time. The caller fills in Meta.Term and Meta.Members
// before handing it on, and calls Forget when the store has it.
func (s *State) Seal() *Segment { panic("unwritten") }

// Forget drops the oldest sealed segment, which must be g: from now on Past knows it. g itself stays readable.
func (s *State) Forget(g *Segment) { panic("unwritten") }

// RestoreMeta begins the loading of a checkpoint into a new State.
func (s *State) RestoreMeta(m Meta) { panic("unwritten") }

// RestoreAccount adds an account of the checkpoint.
func (s *State) RestoreAccount(a *holdfast.Account) error { panic("unwritten") }

// RestoreHold adds an open hold of the checkpoint. Its accounts must have been restored; its amount is in their sums.
func (s *State) RestoreHold(h *OpenHold) error { panic("unwritten") }

// RestoreOutbox adds an undelivered message of the checkpoint, in order of Seq.
func (s *State) RestoreOutbox(q holdfast.Queued) error { panic("unwritten") }

// Restored ends the loading: it checks that accounts, holds and totals agree with each other and with the Meta.
func (s *State) Restored() error { panic("unwritten") }
