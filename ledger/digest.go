package ledger

import (
	"encoding/binary"
	"math/bits"

	"holdfast"
)

// digest is a chain over all effects in the order in which they happen: each step folds the effect into what came before.
// It finds replicas that have drifted apart; it does not withstand somebody who looks for collisions. Ordinals and other
// things that only this replica knows stay out of it.
type digest uint64

// fold mixes two words into one (the folded multiply of wyhash, by Wang Yi).
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x2d358dccaa6c78a5, b^0x8bb84b93962eacc9)
	return hi ^ lo
}

func (d *digest) words(a, b uint64) {
	*d = digest(fold(uint64(*d)^a, b^bits.RotateLeft64(uint64(*d), 32)))
}

// row folds in an account as it is after a change; only the last multiplication has to wait for the digest.
func (d *digest) row(a *account, r *Row) {
	what := uint64(r.Kind) | uint64(r.Flags)<<8 | uint64(r.Leg)<<16 | uint64(a.limit)<<32
	posted := fold(uint64(a.debitsPosted), bits.RotateLeft64(uint64(a.creditsPosted), 32)^what)
	pending := fold(uint64(a.debitsPending), bits.RotateLeft64(uint64(a.creditsPending), 32))
	who := fold(uint64(a.owner), uint64(a.purpose)^uint64(a.asset))
	d.words(posted, pending^bits.RotateLeft64(who, 16))
}

func (d *digest) id(id holdfast.ID, what uint64) {
	hi, lo := id.Words()
	d.words(fold(hi, lo), what)
}

// text folds in a string or bytes of any length, which ends where it ends.
func text[T string | []byte](d *digest, b T) {
	n := uint64(len(b))
	var word [8]byte
	for len(b) > 0 {
		clear(word[:])
		b = b[copy(word[:], b):]
		d.words(binary.LittleEndian.Uint64(word[:]), n)
	}
	d.words(n, 0x7465787400000000)
}
