// Package ledger is the double-entry state machine of one shard: log entries go in, outcomes and effects come out. It is
// pure: no I/O, clock, randomness or goroutine, so that the same log gives the same state on every replica, in every
// simulation and after every restart.
//
// # An entry
//
// [State.Apply] takes one entry of the replicated log, which holds any number of transactions (see entry.go for the bytes).
// Each transaction is judged in this order, and the first thing found wrong is its answer:
//
//  1. Is it well-formed? See [Check]; whoever accepts a transaction has asked already.
//  2. Is its id known? Then every field is compared with the original: the same content is answered as the first time
//     (Replay), a different one is refused and the first field that differs is named. Refusals are remembered as well: a
//     payment refused for lack of money stays refused under its id when the money has arrived. Not remembered are id
//     conflicts themselves and CodeHoldNotDue, after which the leader asks again by the same id.
//  3. Does it touch a slot that this shard does not serve (gates.go)? Then it is answered CodeMoved, which is not executed and
//     not remembered.
//  4. Are the ids of its legs new?
//  5. Preconditions, and the versions that its records expect.
//  6. Account changes, in order, each seeing those before it.
//  7. Transfers, in order, each seeing what came before it in the transaction. Within one leg the smallest code answers.
//
// Only when everything has passed does anything change.
//
// # Memory
//
// In memory are all accounts, open holds and undelivered messages, and of history only the recent part: what Apply did since
// the open [Segment] began, and sealed segments that the store does not have yet. Older history is asked of [Past]. A
// segment is sealed in constant time, persisted by another goroutine while Apply goes on, and then forgotten.
//
// # Concurrency
//
// One goroutine at a time may call the methods of a State that change it (Apply, Seal, Forget, Restore...). All others only
// read and may run side by side, but not beside those. A sealed Segment may be read by anyone at any time.
package ledger
