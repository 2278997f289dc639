package ledger

// table finds numbers by hash: open addressing with linear probing, at most half full, without deletion. A slot is a tag
// (32 bits of the hash) and a number above 0; 0 is empty. The caller compares what the number stands for: a tag that
// matches is a hint. The place follows from the tag alone, so that growing touches nothing but the table.
type table struct {
	slots []uint64
	used  int
}

const tableMin = 16

// tagOf takes the half of a hash that accounts do not use to choose a part; see accountIndex.
func tagOf(hash uint64) uint32 { return uint32(hash) }

// seek returns the first number with the tag at slot i or after it, and its slot; n is 0 when there is none. A search
// starts with i = tag and goes on from i+1.
func (t *table) seek(tag, i uint32) (n, slot uint32) {
	mask := uint32(len(t.slots)) - 1
	if len(t.slots) == 0 {
		return 0, 0
	}
	for i &= mask; ; i = (i + 1) & mask {
		e := t.slots[i]
		if e == 0 {
			return 0, i
		}
		if uint32(e>>32) == tag {
			return uint32(e), i
		}
	}
}

// set changes the number in a slot that seek returned.
func (t *table) set(slot, n uint32) { t.slots[slot] = t.slots[slot]>>32<<32 | uint64(n) }

func (t *table) add(tag, n uint32) {
	if t.used >= len(t.slots)/2 {
		t.grow(max(tableMin, 2*len(t.slots)))
	}
	t.put(uint64(tag)<<32 | uint64(n))
	t.used++
}

func (t *table) put(e uint64) {
	mask := uint32(len(t.slots)) - 1
	i := uint32(e>>32) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = e
}

// roomFor is the size of a table that need not grow for n numbers.
func roomFor(n uint32) int {
	size := tableMin
	for size/2 < int(n) {
		size *= 2
	}
	return size
}

// grow makes room for size slots, a power of two.
func (t *table) grow(size int) {
	old := t.slots
	t.slots = make([]uint64, size)
	for _, e := range old {
		if e != 0 {
			t.put(e)
		}
	}
}

// touch reads the slot where a search for the tag begins, to have it in the cache when it is needed.
func (t *table) touch(tag uint32) uint64 {
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[tag&(uint32(len(t.slots))-1)]
}
