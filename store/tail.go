package store

import "fmt"

// tail is the most recent entries of one shard in memory, without a gap and bounded in bytes. Entries own their data: nobody
// writes into it after it was handed to the store.
type tail struct {
	entries []Entry
	bytes   int
	bound   int
}

// entryOverhead is what an Entry costs beside its data.
const entryOverhead = 48

// first is the index of the oldest entry held; 0 when there is none.
func (t *tail) first() uint64 {
	if len(t.entries) == 0 {
		return 0
	}
	return t.entries[0].Index
}

// get returns the entry at index, if it is held.
func (t *tail) get(index uint64) (*Entry, bool) {
	first := t.first()
	if first == 0 || index < first || index-first >= uint64(len(t.entries)) {
		return nil, false
	}
	return &t.entries[index-first], true
}

// put appends entries, dropping what stood from the first of them on, and then the oldest beyond the bound.
func (t *tail) put(entries []Entry) {
	t.cut(entries[0].Index)
	if n := len(t.entries); n > 0 && t.entries[n-1].Index+1 != entries[0].Index {
		panic(fmt.Sprintf("store: tail ends at %d and is to be followed by %d", t.entries[n-1].Index, entries[0].Index))
	}
	for i := range entries {
		t.bytes += len(entries[i].Data) + entryOverhead
	}
	t.entries = append(t.entries, entries...)
	t.trim()
}

// cut drops the entries from index on.
func (t *tail) cut(index uint64) {
	n := len(t.entries)
	for n > 0 && t.entries[n-1].Index >= index {
		n--
		t.bytes -= len(t.entries[n].Data) + entryOverhead
	}
	clear(t.entries[n:])
	t.entries = t.entries[:n]
}

// trim drops the oldest beyond the bound, keeping at least one. The slice moves when half of it would be waste, by append.
func (t *tail) trim() {
	drop := 0
	for drop < len(t.entries)-1 && t.bytes > t.bound {
		t.bytes -= len(t.entries[drop].Data) + entryOverhead
		t.entries[drop] = Entry{}
		drop++
	}
	t.entries = t.entries[drop:]
}
