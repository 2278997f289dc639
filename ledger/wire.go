package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast"
)

// ErrCorrupt is wrapped by every error about bytes that this package would not have written.
var ErrCorrupt = errors.New("corrupt ledger data")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// reader takes fields off the front of b. After the first error it returns zeros and keeps that error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt(format, args...)
	}
	r.b = nil
}

func (r *reader) take(n int, what string) []byte {
	if len(r.b) < n {
		r.fail("%s needs %d bytes, %d are left", what, n, len(r.b))
		return nil
	}
	field := r.b[:n:n]
	r.b = r.b[n:]
	return field
}

func (r *reader) u8(what string) byte {
	if f := r.take(1, what); f != nil {
		return f[0]
	}
	return 0
}

func (r *reader) u16(what string) uint16 {
	if f := r.take(2, what); f != nil {
		return binary.BigEndian.Uint16(f)
	}
	return 0
}

func (r *reader) u32(what string) uint32 {
	if f := r.take(4, what); f != nil {
		return binary.BigEndian.Uint32(f)
	}
	return 0
}

func (r *reader) u64(what string) uint64 {
	if f := r.take(8, what); f != nil {
		return binary.BigEndian.Uint64(f)
	}
	return 0
}

func (r *reader) id(what string) (id holdfast.ID) {
	copy(id[:], r.take(len(id), what))
	return id
}

func (r *reader) ref(what string) (ref holdfast.Ref) {
	copy(ref[:], r.take(len(ref), what))
	return ref
}

func (r *reader) account(what string) (id holdfast.AccountID) {
	if f := r.take(holdfast.AccountIDBytes, what); f != nil {
		id = holdfast.AccountIDOf(f)
	}
	return id
}

// uvarint accepts the shortest form only, so that every number has one encoding.
func (r *reader) uvarint(what string) uint64 {
	n, size := binary.Uvarint(r.b)
	switch {
	case size <= 0:
		r.fail("%s is not a whole variable-length number", what)
		return 0
	case size > 1 && r.b[size-1] == 0:
		r.fail("%s is not in its shortest form", what)
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads how many elements follow.
func (r *reader) count(bound int, what string) int {
	n := r.uvarint(what)
	if n > uint64(bound) {
		r.fail("%s is %d, above %d", what, n, bound)
		return 0
	}
	return int(n)
}

// bytes reads a length and that many bytes, which alias the input; nil when there are none.
func (r *reader) bytes(what string) []byte {
	n := r.uvarint(what)
	if n > uint64(len(r.b)) {
		r.fail("%s has a length of %d bytes, %d are left", what, n, len(r.b))
		return nil
	}
	if n == 0 {
		return nil
	}
	return r.take(int(n), what)
}

func (r *reader) string(what string) string { return string(r.bytes(what)) }

// bits reads a byte in which only the bits of known may be set.
func (r *reader) bits(known byte, what string) byte {
	b := r.u8(what)
	if b&^known != 0 {
		r.fail("%s are %08b: bits outside %08b are not known to this version", what, b, known)
	}
	return b
}

func appendBytes[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

func uvarintBytes(n uint64) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
