package store

import "holdfast"

// AppendEntry appends the stored form of an entry, checksum included: the value of its key. The simulator's model disk keeps
// the same bytes as the real one.
func AppendEntry(b []byte, shard holdfast.ShardID, e *Entry) []byte {
	at := len(b)
	b = append(b, make([]byte, entryHead+len(e.Data))...)
	putEntry(b[at:], shard, e)
	return b
}

// DecodeEntry verifies and decodes the stored form of the entry at index; [ErrCorrupt] says what is wrong with it.
func DecodeEntry(shard holdfast.ShardID, index uint64, value []byte) (Entry, error) {
	return readEntry(shard, index, value)
}
