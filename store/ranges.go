package store

import (
	"cmp"
	"encoding/binary"
	"slices"

	"holdfast"
)

// timeRanges are the stretches of time, in milliseconds, from which UUIDv7 ids have been persisted, sorted and apart. An id that
// carries a time outside all of them is surely new, which answers nearly every look-up of a payment without touching a
// table. A client whose clock is ahead makes a stretch of its own and spoils nothing.
type timeRanges []timeRange

type timeRange struct{ from, to uint64 } // both included

const (
	rangeGap  = 1000 // ids closer than this, in milliseconds, share a stretch
	maxRanges = 256
)

// idTime returns the milliseconds that a UUIDv7 carries; false for other ids.
func idTime(id *holdfast.ID) (ms uint64, ok bool) {
	ms = uint64(binary.BigEndian.Uint32(id[:]))<<16 | uint64(binary.BigEndian.Uint16(id[4:]))
	return ms, id[6]>>4 == 7 && id[8]>>6 == 2
}

// covers reports whether an id of that time may have been persisted.
func (r timeRanges) covers(ms uint64) bool {
	if n := len(r); n == 0 || ms > r[n-1].to {
		return false
	}
	i, _ := slices.BinarySearchFunc(r, ms, func(a timeRange, ms uint64) int {
		if a.to < ms {
			return -1
		}
		return 1
	})
	return i < len(r) && r[i].from <= ms
}

// note adds a time to ranges that are built in rising order.
func (r timeRanges) note(ms uint64) timeRanges {
	if n := len(r); n > 0 && ms <= r[n-1].to+rangeGap {
		r[n-1].to = max(r[n-1].to, ms)
		return r
	}
	return append(r, timeRange{ms, ms})
}

// join returns the union of both, with the narrowest gaps filled when there are too many.
func (r timeRanges) join(other timeRanges) timeRanges {
	all := slices.Concat(r, other)
	slices.SortFunc(all, func(a, b timeRange) int { return cmp.Compare(a.from, b.from) })
	out := all[:0]
	for _, next := range all {
		if n := len(out); n > 0 && next.from <= out[n-1].to+1 {
			out[n-1].to = max(out[n-1].to, next.to)
		} else {
			out = append(out, next)
		}
	}
	for len(out) > maxRanges {
		out = out.fillNarrowest()
	}
	return out
}

func (r timeRanges) fillNarrowest() timeRanges {
	best := 1
	for i := range r[1:] {
		if r[i+1].from-r[i].to < r[best].from-r[best-1].to {
			best = i + 1
		}
	}
	r[best-1].to = r[best].to
	return slices.Delete(r, best, best+1)
}

func appendRanges(key []byte, r timeRanges) []byte {
	b := []byte{formatRanges}
	var at uint64
	for _, a := range r {
		b = binary.AppendUvarint(binary.AppendUvarint(b, a.from-at), a.to-a.from)
		at = a.to
	}
	return sealed(key, b)
}

func readRanges(key, value []byte) (timeRanges, error) {
	b, err := unsealed(key, value, formatRanges)
	if err != nil {
		return nil, err
	}
	u := unpacker{b: b}
	var r timeRanges
	var at uint64
	for len(u.b) > 0 && !u.bad {
		from := at + u.uvarint()
		at = from + u.uvarint()
		r = append(r, timeRange{from, at})
	}
	return r, u.done(key, "the times of ids")
}
