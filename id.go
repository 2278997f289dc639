package holdfast

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// ID is the 128-bit identity of a transaction or a transfer: any UUID (RFC 9562) other than the nil one.
type ID [16]byte

// Ref is 128 bits of the caller's own reference (an order number, a foreign key). The ledger stores it, indexes it and
// never interprets it. The zero Ref means "none".
type Ref [16]byte

// NewID makes a UUIDv7 (RFC 9562 section 5.7) from a time and ten random bytes. Ids made one after another sort nearly in
// order, which keeps the index of ids cheap.
func NewID(at Time, random [10]byte) ID {
	var id ID
	ms := uint64(at) / 1e6
	id[0], id[1], id[2] = byte(ms>>40), byte(ms>>32), byte(ms>>24)
	id[3], id[4], id[5] = byte(ms>>16), byte(ms>>8), byte(ms)
	copy(id[6:], random[:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether the id is the nil UUID, which no transaction may have.
func (id ID) IsZero() bool { return id == ID{} }

// Words returns the id as two big-endian 64-bit words; their order is the order of the ids.
func (id ID) Words() (hi, lo uint64) {
	return binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
}

// IDOf is the inverse of [ID.Words].
func IDOf(hi, lo uint64) ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id
}

// Hash spreads the id over 64 bits, for hash tables. It is not a cryptographic hash.
func (id ID) Hash() uint64 {
	hi, lo := id.Words()
	return mix(hi, lo)
}

// String gives the 36-character text form.
func (id ID) String() string { return uuidText([16]byte(id)) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; the errors are those of [ParseID].
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// ParseID reads the 36-character text form of a UUID, in either case. The nil UUID is an error.
func ParseID(text string) (ID, error) {
	b, err := parseUUID(text)
	if err != nil {
		return ID{}, err
	}
	if b == [16]byte{} {
		return ID{}, fmt.Errorf("id %q is the nil UUID: send a random one, for example a UUIDv7", text)
	}
	return ID(b), nil
}

// IsZero reports whether there is no reference.
func (r Ref) IsZero() bool { return r == Ref{} }

// String gives the reference as a UUID text, or "" when there is none.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return uuidText([16]byte(r))
}

// MarshalText implements encoding.TextMarshaler.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; "" is the zero Ref.
func (r *Ref) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Ref{}
		return nil
	}
	b, err := parseUUID(string(text))
	*r = Ref(b)
	return err
}

func uuidText(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func parseUUID(text string) (b [16]byte, err error) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return b, fmt.Errorf("%.40q is not a UUID: want the form 0190f3c6-2a3b-7c4d-8e5f-001122334455", text)
	}
	digits := text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36]
	if _, err := hex.Decode(b[:], []byte(digits)); err != nil {
		return [16]byte{}, fmt.Errorf("%.40q is not a UUID: it has a character that is no hexadecimal digit", text)
	}
	return b, nil
}
