package guard

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"holdfast"
)

// MaxIdempotencyKey is the longest idempotency key, in bytes.
const MaxIdempotencyKey = 255

// RequestID turns the idempotency key of a request into the id of its transaction. A UUID is taken as it is. Any other
// text of 1 to MaxIdempotencyKey printable ASCII characters is hashed together with the principal's name into a UUIDv8
// (RFC 9562 section 5.8), so that two callers who number their requests 1, 2, 3 never meet.
func RequestID(p Principal, key string) (holdfast.ID, error) {
	if id, err := holdfast.ParseID(key); err == nil {
		return id, nil
	}
	if err := checkIdempotencyKey(key); err != nil {
		return holdfast.ID{}, err
	}
	// Every part has its length before it: no two pairs of (name, key) hash the same bytes.
	b := append([]byte(nil), "holdfast request id 1\n"...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(p.Name))), p.Name...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(key))), key...)
	sum := sha256.Sum256(b)
	id := holdfast.ID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return callers(id), nil
}

// callers keeps out of the ids that are the platform's own: without it, one key in four thousand millions would never be good.
func callers(id holdfast.ID) holdfast.ID {
	if string(id[:4]) == expiryPrefix {
		id[0] ^= 0x80
	}
	return id
}

// expiryPrefix begins the ids of expiries, which callers cannot take (ledger.ExpiryTxn).
const expiryPrefix = "expi"

func checkIdempotencyKey(key string) error {
	switch {
	case key == nilUUID:
		return fmt.Errorf("the nil UUID is no idempotency key: send a random one")
	case len(key) == 0 || len(key) > MaxIdempotencyKey:
		return fmt.Errorf("an idempotency key has 1-%d characters, not %d", MaxIdempotencyKey, len(key))
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return fmt.Errorf("an idempotency key is printable ASCII: character %d is not", i+1)
		}
	}
	return nil
}

const nilUUID = "00000000-0000-0000-0000-000000000000"
