package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"holdfast"
)

// HardState is what a replica must never forget about an election.
type HardState struct{ Term, Vote, Commit uint64 }

// Entry is one entry of the replicated log. Type is the shard's business.
type Entry struct {
	Index, Term uint64
	Type        uint8
	Data        []byte
}

// Identity is who this disk is. The zero Identity is that of an empty (or wiped) disk.
type Identity struct {
	Replica uint64 // random, never used twice; 0: none yet
	Born    bool   // the replica is a member, or was: an original one or by installing a checkpoint
	Birth   []byte // the shard's own: the first members, for a replica that has no checkpoint yet
}

const (
	formatEntry    = 1
	formatHard     = 1
	formatIdentity = 1

	entryHead    = 14 // version, type, term, crc
	hardBytes    = 1 + 3*8 + 4
	identityHead = 1 + 8 + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entryCRC covers where the entry stands as well as what it says: an intact entry in the wrong place is a wrong entry.
func entryCRC(shard holdfast.ShardID, e *Entry) uint32 {
	var head [20]byte
	binary.BigEndian.PutUint16(head[0:], uint16(shard))
	binary.BigEndian.PutUint64(head[2:], e.Index)
	binary.BigEndian.PutUint64(head[10:], e.Term)
	head[18], head[19] = formatEntry, e.Type
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, e.Data)
}

// putEntry writes the value of an entry into b, which has entryHead+len(e.Data) bytes.
func putEntry(b []byte, shard holdfast.ShardID, e *Entry) {
	b[0], b[1] = formatEntry, e.Type
	binary.LittleEndian.PutUint64(b[2:], e.Term)
	binary.LittleEndian.PutUint32(b[10:], entryCRC(shard, e))
	copy(b[entryHead:], e.Data)
}

// readEntry decodes and verifies the value of the entry at index. Data is a copy.
func readEntry(shard holdfast.ShardID, index uint64, value []byte) (Entry, error) {
	bad := func(format string, args ...any) (Entry, error) {
		return Entry{}, &ErrCorrupt{Shard: shard, Index: index, Key: entryKey(nil, shard, index), What: fmt.Sprintf(format, args...)}
	}
	if len(value) < entryHead {
		return bad("an entry of %d bytes is shorter than its head", len(value))
	}
	if value[0] != formatEntry {
		return bad("entry format %d is unknown to this version, which knows 1 to %d", value[0], formatEntry)
	}
	e := Entry{Index: index, Type: value[1], Term: binary.LittleEndian.Uint64(value[2:])}
	e.Data = value[entryHead:]
	want := binary.LittleEndian.Uint32(value[10:])
	if got := entryCRC(shard, &e); got != want && !PlantedTornTailAccepted {
		return bad("checksum %08x of an entry of %d bytes is not the stored %08x", got, len(value), want)
	}
	e.Data = append(make([]byte, 0, len(e.Data)), e.Data...)
	return e, nil
}

// sealed appends the checksum of b, under the key it is to stand at.
func sealed(key, b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b))
}

// unsealed checks and strips what sealed appended, and checks the format byte.
func unsealed(key, b []byte, format byte) ([]byte, error) {
	bad := func(what string, args ...any) ([]byte, error) {
		return nil, &ErrCorrupt{Shard: shardOf(key), Key: append([]byte(nil), key...), What: fmt.Sprintf(what, args...)}
	}
	if len(b) < 5 {
		return bad("a value of %d bytes is too short", len(b))
	}
	body, want := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if got := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body); got != want {
		return bad("checksum %08x is not the stored %08x", got, want)
	}
	if body[0] != format {
		return bad("format %d is unknown to this version, which knows %d", body[0], format)
	}
	return body[1:], nil
}

func appendHard(key []byte, h HardState) []byte {
	b := append(make([]byte, 0, hardBytes), formatHard)
	b = binary.LittleEndian.AppendUint64(b, h.Term)
	b = binary.LittleEndian.AppendUint64(b, h.Vote)
	return sealed(key, binary.LittleEndian.AppendUint64(b, h.Commit))
}

func readHard(key, value []byte) (HardState, error) {
	b, err := unsealed(key, value, formatHard)
	if err != nil {
		return HardState{}, err
	}
	if len(b) != 3*8 {
		return HardState{}, &ErrCorrupt{Shard: shardOf(key), Key: key, What: fmt.Sprintf("a hard state of %d bytes", len(b))}
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return HardState{Term: word(0), Vote: word(1), Commit: word(2)}, nil
}

func appendIdentity(key []byte, id Identity) []byte {
	b := append(make([]byte, 0, identityHead+len(id.Birth)+4), formatIdentity)
	b = binary.LittleEndian.AppendUint64(b, id.Replica)
	born := byte(0)
	if id.Born {
		born = 1
	}
	return sealed(key, append(append(b, born), id.Birth...))
}

func readIdentity(key, value []byte) (Identity, error) {
	b, err := unsealed(key, value, formatIdentity)
	if err != nil {
		return Identity{}, err
	}
	if len(b) < identityHead-1 {
		return Identity{}, &ErrCorrupt{Shard: shardOf(key), Key: key, What: fmt.Sprintf("an identity of %d bytes", len(b))}
	}
	id := Identity{Replica: binary.LittleEndian.Uint64(b), Born: b[8] == 1}
	if len(b) > identityHead-1 {
		id.Birth = append([]byte(nil), b[identityHead-1:]...)
	}
	return id, nil
}
