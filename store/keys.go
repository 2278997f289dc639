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
	kindLost     = 'd' // log: something was lost that had been promised
	kindTrust    = 'v' // log: what somebody has decided about the state

	kindAccount  = 'a' // state: account
	kindBlock    = 'b' // state: account, Time of the first row
	kindRef      = 'f' // state: reference, index, ord, leg
	kindOpenHold = 'h' // state: id
	kindIndex    = 'k' // state: index key (escaped), record key
	kindMeta     = 'm' // state
	kindRanges   = 'n' // state
	kindOutbox   = 'o' // state: sequence number
	kindRecord   = 'r' // state: record key, of records that belong to no owner
	kindOwned    = 's' // state: slot, record key, of those that belong to one
	kindID       = 't' // state: id; last, so that rising ids are above everything else of their shard
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

func idKey(b []byte, shard holdfast.ShardID, id *holdfast.ID) []byte {
	return append(appendKey(b, shard, kindID), id[:]...)
}

func holdKey(b []byte, shard holdfast.ShardID, id *holdfast.ID) []byte {
	return append(appendKey(b, shard, kindOpenHold), id[:]...)
}

func accountKey(b []byte, shard holdfast.ShardID, id holdfast.AccountID) []byte {
	return id.Append(appendKey(b, shard, kindAccount))
}

func outboxKey(b []byte, shard holdfast.ShardID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(b, shard, kindOutbox), seq)
}

// recordKey is where a record is: those of the owners of a slot stand together, because together they move.
func recordKey(b []byte, shard holdfast.ShardID, key string) []byte {
	if owner := holdfast.OwnerOfKey(key); owner != 0 {
		return append(slotKey(b, shard, owner.Slot()), key...)
	}
	return append(appendKey(b, shard, kindRecord), key...)
}

func slotKey(b []byte, shard holdfast.ShardID, slot holdfast.Slot) []byte {
	return binary.BigEndian.AppendUint16(appendKey(b, shard, kindOwned), uint16(slot))
}

// recordName is the key of a record, out of that of its row.
func recordName(key []byte) string {
	if key[2] == kindOwned {
		return string(key[min(ownedHead, len(key)):])
	}
	return string(key[keyHead:])
}

const ownedHead = keyHead + 2

const refKeyBytes = keyHead + 16 + 8 + 4 + 2

func refKey(b []byte, shard holdfast.ShardID, ref holdfast.Ref, p holdfast.Position, leg holdfast.Leg) []byte {
	b = append(appendKey(b, shard, kindRef), ref[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Index)
	b = binary.BigEndian.AppendUint32(b, p.Ord)
	return binary.BigEndian.AppendUint16(b, uint16(leg))
}

// indexPrefix is what all keys of records under an index key begin with. A zero byte within the index key is written as
// 00 ff and 00 01 ends it, so that no index key is the beginning of another.
func indexPrefix(b []byte, shard holdfast.ShardID, index string) []byte {
	b = appendKey(b, shard, kindIndex)
	for i := range len(index) {
		if b = append(b, index[i]); index[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0, 1)
}
