// Package sim runs a whole fleet in one goroutine from one seed in virtual time: the real step functions of package shard and
// the real ledger, on a network that loses, doubles, reorders, delays and cuts, on disks that forget what was not fsynced, with
// processes that crash, clocks that jump, operators who replace, remove and take back sites, and clients who retry. After every step the invariants
// of the design are checked against an independent twin of the ledger; then the faults stop and everything must finish.
//
// Everything is drawn from the seed: the same seed gives the same trace, byte for byte. raft draws its election timeouts from
// crypto/rand.Reader, which is replaced while a run lasts: runs of one process come one after another.
package sim
