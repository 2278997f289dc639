package store

import (
	"encoding/binary"
	"fmt"

	"holdfast"
)

// Every key of both databases starts with the shard, two bytes big-endian, and one byte that says what it is. The letters and
// what follows them are on disks: see FORMAT.md.
const (
	kindEntry    = 'e' // log: index
	kindHard     = 'h' // log
	kindIdentity = 'i' // log
	kindInstall  = 'j' // log: a checkpoint is being installed
)

const keyHead = 3 // shard and kind

// appendKey appends the head of a key.
func appendKey(b []byte, shard holdfast.ShardID, kind byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(shard)), kind)
}

func shardKey(shard holdfast.ShardID, kind byte) []byte {
	return appendKey(make([]byte, 0, keyHead), shard, kind)
}

func entryKey(b []byte, shard holdfast.ShardID, index uint64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(b, shard, kindEntry), index)
}

// shardOf reads the shard of a key.
func shardOf(key []byte) holdfast.ShardID { return holdfast.ShardID(binary.BigEndian.Uint16(key)) }

// keyText shows a key for an error text: shard, kind, the rest in hexadecimal. Long rests are cut.
func keyText(key []byte) string {
	if len(key) < keyHead {
		return fmt.Sprintf("%x", key)
	}
	return fmt.Sprintf("%d/%c/%.40x", shardOf(key), key[2], key[keyHead:])
}

// indexOf reads the index of an entry's key.
func indexOf(key []byte) (uint64, error) {
	if len(key) != keyHead+8 {
		return 0, &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: "the key of an entry has a wrong length"}
	}
	return binary.BigEndian.Uint64(key[keyHead:]), nil
}
