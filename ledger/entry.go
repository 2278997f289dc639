package ledger

import "holdfast"

// EntryKind says what a log entry holds. The numbers are in logs: append, never renumber.
type EntryKind uint8

const (
	// KindTxns is Count transactions.
	KindTxns EntryKind = iota + 1
	// KindDigest is the digest of an earlier state, to be compared; see [AppendDigest].
	KindDigest
	// KindNoop changes nothing but the time.
	KindNoop
)

// HeaderBytes is the length of an encoded [Header].
const HeaderBytes = 32

// Header begins every entry. Transaction i of an entry has the time Time+i.
type Header struct {
	Kind  EntryKind
	Nonce [16]byte // of whoever proposed it, to recognise its own entry
	Time  holdfast.Time
	Count uint32 // transactions; 0 for other kinds
}

// AppendHeader appends the encoded header. The encoded transactions follow it, one after the other.
func AppendHeader(b []byte, h Header) []byte { panic("unwritten") }

// ReadEntry splits an entry into its header and the rest. It checks the header only.
func ReadEntry(data []byte) (h Header, body []byte, err error) { panic("unwritten") }

// AppendDigest appends a whole entry of KindDigest, which says: after applying index the digest was digest.
// index and digest are those of [State.Checked]; index 0 compares nothing.
func AppendDigest(b []byte, nonce [16]byte, t holdfast.Time, index, digest uint64) []byte {
	panic("unwritten")
}

// AppendTxn appends the encoded transaction. The encoding is canonical: two transactions have the same bytes when, and only
// when, all their fields are equal (nil and empty slices are).
func AppendTxn(b []byte, t *holdfast.Txn) []byte { panic("unwritten") }

// ReadTxn decodes the transaction at the start of body into t, reusing the room of t.Transfers, and returns what follows it.
// Record and message bodies alias body. Anything that AppendTxn would not have written is an error.
func ReadTxn(body []byte, t *holdfast.Txn) (rest []byte, err error) { panic("unwritten") }

// TxnAt decodes transaction ord, counted from 0, of an entry.
func TxnAt(data []byte, ord uint32) (Header, *holdfast.Txn, error) { panic("unwritten") }

// AppendOutcome appends the encoded outcome.
func AppendOutcome(b []byte, o *holdfast.Outcome) []byte { panic("unwritten") }

// ReadOutcome decodes the outcome at the start of body into o and returns what follows it.
func ReadOutcome(body []byte, o *holdfast.Outcome) (rest []byte, err error) { panic("unwritten") }

// Check reports what makes a transaction malformed, whatever the state of the shard: the smallest code that applies and the
// field at fault, or CodeOK. Whoever accepts a transaction calls it before the log.
func Check(t *holdfast.Txn) (code holdfast.Code, field string) { panic("unwritten") }

// ExpiryTxn is the transaction by which the leader of a shard expires a hold. Its id follows from the hold's, so that
// proposing it twice is harmless, and callers cannot take it: [Check] refuses such ids.
func ExpiryTxn(hold holdfast.ID) holdfast.Txn { panic("unwritten") }
