package ledger

import "holdfast"

// Past is history that is no longer in memory. Package store implements it. Every error is one of the disk: the state that
// met it is of no use any more and the replica must stop.
type Past interface {
	// Find tells where an id of a transaction or transfer was used; the last row written for an id counts.
	Find(id holdfast.ID) (Trace, bool, error)
	// Entry returns the data of a log entry that has been applied. The ledger does not keep or change it.
	Entry(index uint64) ([]byte, error)
	// Record returns a record as of the last persisted segment.
	Record(key string) (holdfast.Record, bool, error)
}

// Trace is what is remembered of an id: where in the log it was used, and what came of it.
type Trace struct {
	holdfast.Position
	// Leg is the leg that has this id; NoLeg when it is the id of the transaction, and of its only leg if that has none of
	// its own. Where Code is not CodeOK the id is that of a refused transaction, and Leg the leg that Code speaks of.
	Leg  holdfast.Leg
	Code holdfast.Code // CodeOK, or why it was refused
	Hold HoldState
}

// HoldState is what became of a hold. The numbers are on disks: append, never renumber.
type HoldState uint8

const (
	NotHold HoldState = iota // the id is not that of a hold
	HoldOpen
	HoldPosted
	HoldVoided
	HoldExpired
	HoldMoved // with its payer to another shard, or into another form: what ends it is not known here
)

// String names the state as the API does.
func (h HoldState) String() string {
	if int(h) < len(holdStateNames) {
		return holdStateNames[h]
	}
	return "invalid"
}

var holdStateNames = [...]string{"none", "open", "posted", "voided", "expired", "moved"}

// OpenHold is an amount reserved on two accounts.
type OpenHold struct {
	ID holdfast.ID
	holdfast.Position
	Leg    holdfast.Leg // as in [Trace]
	Debit  holdfast.AccountID
	Credit holdfast.AccountID
	Amount holdfast.Amount
	Time   holdfast.Time
	Due    holdfast.Time // from when on it can expire; 0: never
	Code   uint32
	Ref    holdfast.Ref
}
