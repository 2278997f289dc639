// Package store keeps one site's replicas on disk, in two Pebble databases: "log" holds the entries of the replicated log
// (which are the journal of all transactions, kept for ever), hard states and identities, with a synced write-ahead log;
// "state" holds checkpoints and the history indexes, which only ever point into the journal, and is written by ingesting
// whole tables, never by single writes. The package knows nothing of Raft beyond the words term, vote and commit.
//
// Two promises carry everything else. What [Store.Write] with Sync or [Shard.Persist] has answered is on the disk. And after the
// first failed write or fsync the store is dead: every later call answers [ErrFatal], because nobody can know what the page
// cache still holds; the process has to stop and recover from what the disk really has, through the same code as always.
//
// Formats are in FORMAT.md, choices in DESIGN.md.
package store
