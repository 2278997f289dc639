// Package shard is one replicated state machine: etcd's raft.RawNode, the ledger and the store, joined by step functions that
// have no goroutine, clock or I/O ([Node], [Replica], [Machine]) and a thin driver that has nothing else ([Host]).
//
// # What an event means for the outcome
//
// A transaction is done or refused only when the log says so here. Everything else is "not executed", when it is certain that
// it never entered the log, or "unknown", which asking again by the same id settles. [OutcomeOf] is this table in code; the
// tests of outcome_test.go have one case per row.
//
//	event                                                       error                outcome
//	-----                                                       -----                -------
//	entry with the caller's nonce applied here                  none                 done or refused, as the ledger says
//	entry at the expected index, another nonce                  none yet             goes on waiting: that is somebody else's entry
//	raft.ErrProposalDropped, not leader                         NotLeaderError       not executed
//	raft.ErrProposalDropped, handing over                       NotLeaderError       not executed
//	raft.ErrProposalDropped, uncommitted log too large          ErrOverloaded        not executed
//	queue full                                                  ErrOverloaded        not executed
//	leadership lost before the proposal                         NotLeaderError       not executed
//	leadership lost after the proposal                          ErrLost              unknown
//	part of a batch proposed, then leadership lost              ErrLost              unknown, all of it
//	no majority: CheckQuorum ends the leadership                ErrLost              unknown
//	deadline before the proposal                                ErrTimeout           not executed (code deadline)
//	deadline after the proposal                                 ErrLost              unknown
//	disk nearly full                                            ErrDiskFull          not executed
//	replica out of service (digest differs, disk corrupt)       ErrOutOfService      not executed; what was proposed: unknown
//	host stopping before the proposal (as raft.ErrStopped)      ErrStopping          not executed
//	host stopping, or the disk failed, after the proposal       ErrLost              unknown
//	no leader, or no majority, for a read                       ErrNoQuorum          nothing happened
//	shard not here                                              ErrNoShard           not executed
//	raft.ErrStepPeerNotFound, ErrStepLocalMsg                   none                 a stranger's message: ignored
//	raft.ErrCompacted while sending                             none                 the follower is offered a checkpoint
//	raft.ErrUnavailable: the log lacks what it has acknowledged ErrInvariant         fatal: what was proposed is unknown
//	raft.ErrSnapOutOfDate, or whatever else the library does
//	not expect of its storage (ours gives none of it)           ErrInvariant         fatal: what was proposed is unknown
//	any other error                                             itself               unknown: what nobody classified may have happened
package shard
