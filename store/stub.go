package store

import "holdfast"

// Depth says how much Fsck reads.
type Depth int

const (
	// FsckQuick verifies the checkpoint: accounts, holds, totals, and every entry after it.
	FsckQuick Depth = iota + 1
	// FsckEntries also verifies every entry of the journal.
	FsckEntries
	// FsckAll also follows every index row into the journal, and compares every account with its statement.
	FsckAll
)

// Finding is something on the disk that is not as it should be.
type Finding struct {
	Shard  holdfast.ShardID
	Key    string // where, readable
	What   string
	Advice string
}

// Fsck reads and verifies; it repairs nothing. It stops after max findings per shard.
func (s *Store) Fsck(depth Depth, max int) ([]Finding, error) { panic("unwritten") }
