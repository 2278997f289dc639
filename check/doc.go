// Package check judges what a fleet did, from what its clients wrote down and what its sites answer afterwards. It has
// no network, no disk, and no clock but the deadline of a search; simulator, drills and tests use the same judge.
//
//   - [Reconcile] compares every acknowledgement with what a surviving site says now: lost, duplicated, altered.
//   - [Books], [Limits], [Agree] and [Balances] check the state of replicas: double entry, limits, equal digests, and that the
//     sums of every account are exactly those of the acknowledged payments.
//   - [History.Linearizable] checks that payments and reads could have happened one after another, each at one moment between
//     its call and its answer. An outcome that is unknown may have happened at any time after the call, or never.
//
// Nothing here repairs or forgives: a check that cannot be decided says so instead of passing.
package check
