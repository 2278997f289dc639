package slot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast"
	"holdfast/transit"
)

// Stage is how far a move is, as one of its two shards knows. The numbers are in logs: append, never renumber.
type Stage uint8

const (
	// Leaving: the slot is here and is to go. The gate says how far that is.
	Leaving Stage = iota + 1
	// Unwanted: as Leaving, and somebody wants it to stay after all.
	Unwanted
	// Stayed: the move was given up.
	Stayed
	// Gone: it has moved away, and nothing of it is left here.
	Gone
	// Arriving: it is being copied here.
	Arriving
	// Here: it has come. This is what decides a move.
	Here
	// Quit: it will not come; what was copied is being put back.
	Quit

	stages
)

// Note is what a shard knows of the last move of a slot: the body of the record ledger.NoteKey.
type Note struct {
	Move  holdfast.ID
	Stage Stage
	Other holdfast.ShardID // where it goes, or where it comes from
	// Origins are the shards where the slot has been before it came to this one, oldest first, each once.
	Origins []transit.Origin
	// Asked is the version of the other shard's note that asked this one to take the slot; 0 in that other one.
	Asked uint64
}

// ErrNote is wrapped by every error about bytes that this package would not have written.
var ErrNote = errors.New("not a note about a slot")

// The body, version 1: version 1, move 16, stage 1, other 2, asked 8, count of origins 2, and of each origin shard 2 and index 8;
// big-endian.
const (
	noteVersion = 1
	noteBytes   = 1 + 16 + 1 + 2 + 8 + 2
	originBytes = 2 + 8
)

// Append appends the body of the record.
func (n *Note) Append(b []byte) []byte {
	b = append(append(b, noteVersion), n.Move[:]...)
	b = binary.BigEndian.AppendUint16(append(b, byte(n.Stage)), uint16(n.Other))
	b = binary.BigEndian.AppendUint64(b, n.Asked)
	b = binary.BigEndian.AppendUint16(b, uint16(len(n.Origins)))
	for _, o := range n.Origins {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(b, uint16(o.Shard)), o.Index)
	}
	return b
}

// ReadNote reads what Append has written, and nothing else.
func ReadNote(body []byte) (n Note, err error) {
	if len(body) < noteBytes || body[0] != noteVersion {
		return n, fmt.Errorf("%w: %d bytes that do not start with version %d", ErrNote, len(body), noteVersion)
	}
	n.Move, n.Stage = holdfast.ID(body[1:17]), Stage(body[17])
	n.Other = holdfast.ShardID(binary.BigEndian.Uint16(body[18:]))
	n.Asked = binary.BigEndian.Uint64(body[20:])
	count, rest := int(binary.BigEndian.Uint16(body[28:])), body[noteBytes:]
	if n.Stage == 0 || n.Stage >= stages || n.Other == 0 || n.Other > holdfast.MaxShards || len(rest) != count*originBytes {
		return Note{}, fmt.Errorf("%w: stage %d, shard %d, and %d bytes for %d origins", ErrNote, n.Stage, n.Other, len(rest), count)
	}
	for ; len(rest) > 0; rest = rest[originBytes:] {
		o := transit.Origin{Shard: holdfast.ShardID(binary.BigEndian.Uint16(rest)), Index: binary.BigEndian.Uint64(rest[2:])}
		n.Origins = append(n.Origins, o)
	}
	return n, nil
}

// Leave adds a shard to the places where a slot has been: its latest stay counts.
func Leave(origins []transit.Origin, at holdfast.ShardID, index uint64) (list []transit.Origin) {
	for _, o := range origins {
		if o.Shard != at {
			list = append(list, o)
		}
	}
	return append(list, transit.Origin{Shard: at, Index: index})
}
