package holdfast

import "time"

// Bounds of one transaction. A transaction beyond them is refused before it reaches the log.
const (
	MaxLegs        = 8000     // transfers in one transaction, and transactions in one batch
	MaxRecordKey   = 200      // bytes
	MaxRecordBody  = 64 << 10 // bytes
	MaxIndexKeys   = 16       // per record
	MaxTxnBytes    = 2 << 20  // encoded
	MaxHoldTimeout = 400 * 24 * time.Hour
)

// Kind says what a transfer does.
type Kind uint8

const (
	// Immediate moves the amount at once.
	Immediate Kind = iota + 1
	// Hold reserves the amount on both accounts until it is posted, voided or expires.
	Hold
	// Post turns a hold, or a part of it, into a movement; what is left of the hold is released.
	Post
	// Void releases a hold.
	Void
	// Expire releases a hold whose time is over. Only the leader of the shard proposes it.
	Expire
)

// Transfer moves an amount of one asset from the debit account to the credit account, or does so in two steps.
type Transfer struct {
	ID     ID   // unique among all transfers and transactions of the shard; zero in the only leg of a Txn means the Txn's id
	Kind   Kind //
	Debit  AccountID
	Credit AccountID
	Amount Amount // > 0; for Post 0 means the whole hold; for Void and Expire 0

	// Hold is the id of the hold that Post, Void or Expire refers to; zero otherwise. Those three may leave Debit and
	// Credit zero; when given they must be those of the hold.
	Hold ID
	// Timeout is how long after its Time a Hold expires; 0 means never. At most MaxHoldTimeout. Only for Hold.
	Timeout time.Duration

	Code uint32
	Ref  Ref
}

// AccountOp says what an [AccountChange] does.
type AccountOp uint8

const (
	// OpenAccount makes the account. Opening one that exists with the same Limit, Code and Ref changes nothing and is done.
	OpenAccount AccountOp = iota + 1
	// FreezeAccount sets Frozen; ThawAccount clears it. Repeating is done.
	FreezeAccount
	ThawAccount
	// CloseAccount sets Closed, for ever. Refused while there is a balance or an open hold.
	CloseAccount
)

// AccountChange opens, freezes, thaws or closes one account. Limit, Code and Ref are for OpenAccount only.
type AccountChange struct {
	Op    AccountOp
	ID    AccountID
	Limit Limit
	Code  uint32
	Ref   Ref
}

// AnyVersion as an expected version means: whatever is there, even nothing.
const AnyVersion = ^uint64(0)

// Precondition is that a record has exactly this version (0: does not exist).
type Precondition struct {
	Key     string
	Version uint64
}

// RecordChange writes one business document. Its version becomes the old version plus one. A deleted record leaves no version behind:
// written again it starts at 1, and Expect cannot tell its second life from the first. Who needs that marks it as deleted in its body.
type RecordChange struct {
	Key    string
	Expect uint64   // the version it must have now; 0: it must not exist; AnyVersion: no condition
	Index  []string // keys under which it can be found, replacing those it had
	Body   []byte
	Delete bool // Body and Index must be empty
}

// Record is a business document as it stands.
type Record struct {
	Key     string
	Version uint64
	Index   []string
	Body    []byte
	Changed Time
	// Pending is set while a payment to another shard that wrote this is under way: it may yet be taken back, and until it is decided nobody
	// else can change the record, or rely on its version.
	Pending *PendingChange
}

// Message is put into the outbox of the shard, atomically with everything else in its transaction.
type Message struct {
	To    ShardID
	Topic string
	Body  []byte
}

// Queued is a message in the outbox. Seq counts from 1 within the shard that sends it.
type Queued struct {
	Seq  uint64
	Txn  ID
	Time Time
	Message
}

// Txn is what is proposed to a shard: all of it happens or none. The order of evaluation is the order of the fields.
type Txn struct {
	ID            ID
	Preconditions []Precondition
	Accounts      []AccountChange
	Transfers     []Transfer
	Records       []RecordChange
	Messages      []Message
	Acks          []uint64 // outbox sequence numbers that have been delivered and can be forgotten; unknown ones are no error
}

// Leg is the number of a transfer within its transaction, from 0. NoLeg stands for the transaction as a whole.
type Leg uint16

// NoLeg is the Leg of the transaction itself.
const NoLeg Leg = 0xffff

// ShardID numbers the shards of a fleet from 1.
type ShardID uint16

// SiteID is the number of a site, from 1, fixed by the configuration of the fleet for ever.
type SiteID uint16

// Position is a place in the log of a shard: which entry, and which transaction in it, from 0.
type Position struct {
	Index uint64
	Ord   uint32
}

// TransferID returns the id of leg i: its own, or the transaction's for a single leg without one.
func (t *Txn) TransferID(i int) ID {
	if id := t.Transfers[i].ID; !id.IsZero() {
		return id
	}
	return t.ID
}

// String names the kind as the API does.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

var kindNames = [...]string{"", "immediate", "hold", "post", "void", "expire"}
