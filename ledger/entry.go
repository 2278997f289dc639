package ledger

import (
	"encoding/binary"
	"math"

	"holdfast"
)

// The log entry, version 1. All numbers are big-endian; "uvarint" is that of encoding/binary, in its shortest form; a
// string is a uvarint length and its bytes.
//
//	header       32 bytes:
//	  version    1   = 1
//	  kind       1   EntryKind
//	  reserved   2   = 0
//	  nonce     16
//	  time       8   nanoseconds since 1970 UTC, of the first transaction; > 0
//	  count      4   transactions; 0 for other kinds
//	body, by kind:
//	  txns       count transactions, see txncodec.go
//	  digest     index 8, digest 8
//	  noop       nothing
//
// New kinds and new bits are appended; what an old byte means never changes. A version that does not know a bit stops
// instead of guessing.
const formatVersion = 1

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

const digestBytes = 16

// Header begins every entry. Transaction i of an entry has the time Time+i.
type Header struct {
	Kind  EntryKind
	Nonce [16]byte // of whoever proposed it, to recognise its own entry
	Time  holdfast.Time
	Count uint32 // transactions; 0 for other kinds
}

// AppendHeader appends the encoded header. The encoded transactions follow it, one after the other.
func AppendHeader(b []byte, h Header) []byte {
	b = append(b, formatVersion, byte(h.Kind), 0, 0)
	b = append(b, h.Nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	return binary.BigEndian.AppendUint32(b, h.Count)
}

// ReadEntry splits an entry into its header and the rest. It checks the header only.
func ReadEntry(data []byte) (h Header, body []byte, err error) {
	if len(data) < HeaderBytes {
		return h, nil, corrupt("entry of %d bytes is shorter than its header", len(data))
	}
	if data[0] != formatVersion || data[2] != 0 || data[3] != 0 {
		return h, nil, corrupt("entry starts with % x: version %d is the only one known here", data[:4], formatVersion)
	}
	h.Kind = EntryKind(data[1])
	copy(h.Nonce[:], data[4:])
	h.Time = holdfast.Time(binary.BigEndian.Uint64(data[20:]))
	h.Count = binary.BigEndian.Uint32(data[28:])
	return h, data[HeaderBytes:], h.check()
}

func (h *Header) check() error {
	switch {
	case h.Kind < KindTxns || h.Kind > KindNoop:
		return corrupt("entry kind %d is not known here", h.Kind)
	case h.Kind != KindTxns && h.Count != 0:
		return corrupt("entry of kind %d counts %d transactions, not 0", h.Kind, h.Count)
	case h.Kind == KindTxns && h.Count == 0:
		return corrupt("entry of transactions has none")
	case h.Time <= 0 || h.Time > math.MaxInt64-holdfast.Time(holdfast.MaxHoldTimeout)-holdfast.Time(h.Count):
		return corrupt("entry has the time %d", int64(h.Time))
	}
	return nil
}

// AppendDigest appends a whole entry of KindDigest, which says: after applying index the digest was digest.
// index and digest are those of [State.Checked]; index 0 compares nothing.
func AppendDigest(b []byte, nonce [16]byte, t holdfast.Time, index, digest uint64) []byte {
	b = AppendHeader(b, Header{Kind: KindDigest, Nonce: nonce, Time: t})
	b = binary.BigEndian.AppendUint64(b, index)
	return binary.BigEndian.AppendUint64(b, digest)
}

func readDigest(body []byte) (index, digest uint64, err error) {
	if len(body) != digestBytes {
		return 0, 0, corrupt("digest entry has a body of %d bytes, not %d", len(body), digestBytes)
	}
	return binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:]), nil
}

// TxnAt decodes transaction ord, counted from 0, of an entry.
func TxnAt(data []byte, ord uint32) (Header, *holdfast.Txn, error) {
	h, body, err := ReadEntry(data)
	if err != nil {
		return h, nil, err
	}
	if ord >= h.Count {
		return h, nil, corrupt("entry has %d transactions: there is no number %d", h.Count, ord)
	}
	t := new(holdfast.Txn)
	for range ord {
		if body, err = skipTxn(body, t); err != nil {
			return h, nil, err
		}
	}
	_, err = ReadTxn(body, t)
	return h, t, err
}

// skipTxn returns what follows the transaction at the start of body; scratch may be overwritten.
func skipTxn(body []byte, scratch *holdfast.Txn) ([]byte, error) {
	if n := plainBytes(body); n > 0 {
		return body[n:], nil
	}
	return ReadTxn(body, scratch)
}
