package check

import (
	"time"

	"holdfast"
)

// Op is one operation as its client saw it: either a transaction (Txn set) or a read (Read set).
type Op struct {
	Client int
	Call   int64 // when it was sent, on any clock that never goes back and is the same for all clients of the history
	Return int64 // when the answer came, same clock; ignored when the outcome is unknown

	Txn     *holdfast.Txn
	Outcome holdfast.Outcome // NotExecuted operations did nothing and are left out of the judgement

	Read *Read
}

// Read is a linearizable read of one account, or of one transaction by its id. A read that failed or that asked for stale data does not
// belong in a history.
type Read struct {
	Account holdfast.Account // ID and the four sums are compared
	Txn     holdfast.ID      // not zero: of this transaction; Found says that it was there, and done
	Found   bool
	Index   uint64 // applied index that the answer speaks of; 0 when not known. It is believed only if it fits.
}

// History is what all clients of one shard did and saw. Start is the accounts as they stood before the first operation.
type History struct {
	Start []holdfast.Account
	Ops   []Op
}

// Verdict is the result of [History.Linearizable].
type Verdict struct {
	OK          bool
	Undecided   bool   // the search did not end within the timeout: neither good nor bad. OK is false.
	Explanation string // which operations of which accounts cannot be put in order; how it was decided
}

// Linearizable decides whether all operations could have happened one after another, each at one moment between its call and
// its answer, with the answers that were given.
//
// First the order that the outcomes themselves claim (their positions in the log) is tried: if it is consistent with the
// real times and all answers, that is a proof, found in linear time. Only if not, Porcupine searches for any other order,
// separately for every group of accounts that payments connect; that may take up to timeout.
//
// Operations it understands: opening accounts; immediate transfers, holds, posts and voids with the limits of accounts; reads of
// accounts and of transactions by id. A read that finds a transaction which is not in the history fits no order.
// A hold with a timeout ends by a transaction of the leader: add that as an operation of its own, called when the hold is due.
// A refusal is judged when it is about money or holds, and otherwise believed, since freezing and records are not modelled.
func (h *History) Linearizable(timeout time.Duration) Verdict {
	j := newJudge(h)
	claimed := j.witness()
	if claimed.OK {
		return claimed
	}
	found := j.search(timeout)
	if found.Undecided {
		found.Explanation += "; " + claimed.Explanation
	}
	return found
}
