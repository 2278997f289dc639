package holdfast

import "fmt"

// Status is what became of a transaction.
type Status uint8

const (
	// Unknown is the zero value on purpose: nothing is done or refused until the log says so. Ask again by the same id.
	Unknown Status = iota
	// Done: it is in the log of a majority and has been applied.
	Done
	// Refused: it moved nothing. The refusal is remembered under its id, and the same transaction never will; only refusals that say that
	// an id was taken (id-taken, transfer-id-taken), or that a hold is not due, are judged again when they are asked again.
	Refused
	// NotExecuted: it never entered the log (malformed, overloaded, no majority). The same id may be sent again.
	NotExecuted
)

// String names the status as the API does.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

var statusNames = [...]string{"unknown", "done", "refused", "not-executed"}

// Outcome is the answer to one transaction.
type Outcome struct {
	ID       ID
	Status   Status
	Code     Code
	Leg      Leg     // the first leg that Code speaks of; NoLeg: the transaction as a whole
	Field    string  // for CodeIDTaken: the first field that differs; for a malformed one: the field at fault
	Replay   bool    // answered from memory: the transaction had been decided before
	Time     Time    // when it was decided; zero unless Done or Refused
	Position         // where in the log; zero unless Done or Refused
	Shard    ShardID // whose log that is, as package site fills it in; no part of what is logged or sent between sites
}

// Code is every reason there is, in order of precedence: where several apply, the smallest is the answer. The numbers are
// in logs and on disks: append within a group's gap, never renumber.
type Code uint16

const (
	// CodeOK is the code of what is done.
	CodeOK Code = 0

	// Malformed: found before the log, never remembered. Status NotExecuted.

	CodeTxnEmpty       Code = 10 // nothing in it
	CodeTxnTooLarge    Code = 11 // beyond MaxLegs, MaxTxnBytes or another bound
	CodeIDMissing      Code = 12
	CodeIDRepeated     Code = 13 // one id twice within the transaction
	CodeKindInvalid    Code = 14
	CodeAccountInvalid Code = 15 // owner, purpose or asset is not valid
	CodeAmountInvalid  Code = 16 // not above zero, or not zero where it must be
	CodeSameAccount    Code = 17 // debit and credit are one account
	CodeAssetMismatch  Code = 18 // debit and credit are of two assets
	CodeHoldInvalid    Code = 19 // Hold missing where needed, or given where it has no place
	CodeTimeoutInvalid Code = 20
	CodeLimitInvalid   Code = 21
	CodeRecordInvalid  Code = 22 // key, index or body beyond its bounds, or deleted with a body
	CodeMessageInvalid Code = 23
	CodeShardMismatch  Code = 24 // its accounts do not all belong to this shard
	CodeExpireReserved Code = 25 // only the leader expires holds
	CodeIDReserved     Code = 26 // an id that only the platform itself uses: see [ID.Reserved]
	CodeRecordReserved Code = 27 // the key begins with ReservedPrefix
	CodeHoldAmbiguous  Code = 28 // several holds go by this id, and the transfer does not say whose is meant

	// Identity: the id has a past with a different content. Nothing is remembered beyond what was. Status Refused.

	CodeIDTaken         Code = 40 // transaction id used before for something else; Field names the difference
	CodeTransferIDTaken Code = 41 // a leg's id used before

	// Preconditions and records.

	CodeRecordExists          Code = 60 // expected not to exist
	CodeRecordMissing         Code = 61 // expected to exist
	CodeRecordVersionMismatch Code = 62

	// Accounts.

	CodeAccountExists   Code = 80 // open, with other limit, code or ref
	CodeAccountMissing  Code = 81 // freeze, thaw, close
	CodeAccountClosed   Code = 82
	CodeAccountNotEmpty Code = 83 // close with a balance or a hold

	// Transfers, in the order in which they are checked.

	CodeHoldMissing    Code = 100 // no hold of that id
	CodeNotAHold       Code = 101 // the id is that of another kind of transfer
	CodeHoldPosted     Code = 102
	CodeHoldVoided     Code = 103
	CodeHoldExpired    Code = 104
	CodeHoldMismatch   Code = 105 // debit or credit given, and not that of the hold
	CodeHoldExceeded   Code = 106 // more than is held
	CodeHoldNotDue     Code = 107 // expire before its time
	CodeDebitMissing   Code = 120
	CodeCreditMissing  Code = 121
	CodeDebitClosed    Code = 122
	CodeCreditClosed   Code = 123
	CodeDebitFrozen    Code = 124
	CodeCreditFrozen   Code = 125
	CodeOverflow       Code = 126 // a sum would not fit into 63 bits
	CodeExceedsCredits Code = 127 // not enough money: limit "debits"
	CodeExceedsDebits  Code = 128 // limit "credits"

	// Never entered the log, or left no trace in it. Status NotExecuted: the same id may be sent again.

	CodeNoQuorum      Code = 200 // this site cannot reach a majority
	CodeOverloaded    Code = 201
	CodeDiskFull      Code = 202
	CodeNoLeader      Code = 203 // no leader within the deadline, and nothing was proposed
	CodeOutOfService  Code = 204 // this replica has taken itself out of service
	CodeStopping      Code = 205 // this site is shutting down, or has to stop
	CodeDeadline      Code = 206 // the deadline passed while it waited, and nothing was proposed
	CodeMoved         Code = 207 // the slot of an owner is moving to another shard, or has moved; decided by the log, and not remembered
	CodeStarting      Code = 208 // this site does not take requests yet
	CodeOutboxFull    Code = 209 // nobody acknowledges the messages of callers
	CodeRecordPending Code = 210 // a payment to another shard that is under way has written a record; decided by the log, and not remembered

	// CodeUnknown goes with Status Unknown: proposed, and not heard of since. Ask again by the same id.
	CodeUnknown Code = 250
)

// Malformed reports whether the code is found before the log.
func (c Code) Malformed() bool { return c >= CodeTxnEmpty && c < CodeIDTaken }

// String gives the stable name used by the API, for example "exceeds-credits".
func (c Code) String() string {
	if info, ok := codes[c]; ok {
		return info.name
	}
	return fmt.Sprintf("code-%d", uint16(c))
}

// Advice says in a sentence what the code means and what the caller can do. It holds nothing personal.
func (c Code) Advice() string { return codes[c].advice }

// Codes lists every code in order of precedence.
func Codes() []Code { return codeOrder }

// ParseCode is the inverse of [Code.String].
func ParseCode(name string) (Code, error) {
	for c, info := range codes {
		if info.name == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("no outcome code is called %.40q", name)
}
