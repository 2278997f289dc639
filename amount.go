package holdfast

import (
	"math/bits"
	"strconv"
	"time"
)

// Amount is a quantity of one asset in its minor units (ISO 4217: 1 = one fen, one penny). Never a float.
type Amount int64

// Add returns a+b, and false when the sum does not fit into 63 bits.
func (a Amount) Add(b Amount) (Amount, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// Sub returns a-b, and false when the difference does not fit into 63 bits.
func (a Amount) Sub(b Amount) (Amount, bool) {
	diff := a - b
	return diff, (diff < a) == (b > 0)
}

// String gives the plain integer, for example "1250".
func (a Amount) String() string { return strconv.FormatInt(int64(a), 10) }

// Time is an instant in nanoseconds since the Unix epoch, UTC. The leader of a shard stamps it; within one shard no two
// transactions carry the same Time.
type Time int64

// Bounds of what [TimeOf] returns: 1678-01-01 and 2262-01-01. A Time reaches three months further on each side, so a day or a delay may be added.
const (
	FirstTime Time = -9_214_560_000 * 1e9
	LastTime  Time = 9_214_646_400 * 1e9
)

// TimeOf converts a time.Time. One before [FirstTime] or after [LastTime] becomes that bound.
func TimeOf(t time.Time) Time {
	switch s := t.Unix(); {
	case s < int64(FirstTime/1e9):
		return FirstTime
	case s >= int64(LastTime/1e9):
		return LastTime
	}
	return Time(t.UnixNano())
}

// Std converts to a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// String gives RFC 3339 with nanoseconds, in UTC.
func (t Time) String() string { return t.Std().Format(time.RFC3339Nano) }

// mix folds two words into one well-spread word (the folded multiply of wyhash, by Wang Yi).
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}
