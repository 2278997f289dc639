// Package bank is the side of the platform that faces banks: orders to pay money out, what became of them, and what the bank's book says.
// It is pure: no clock, no randomness, no I/O; package clerk drives it.
//
// A bank is not a shard. It may not answer, answer twice, answer hours later, and its book may say something else than its answers. What
// must never happen is that money goes out twice, or that it goes out although the customer has it back. Both come from taking "unknown" for
// "failed", so nothing here does.
//
// [Connector] is what a bank can be asked, with the contract about unknown outcomes. [Orders] is where the orders are written down: package
// pay implements it. [Resolver] is a step function between the two: it sends, asks until it knows, and has the end of each order written
// down. [Reconcile] compares the bank's book with the ledger, item by item, and keeps a list of differences for people to work through.
//
// # The life of an order
//
// An order has an end-to-end id that never changes; the bank does at most one payment under it. Before each attempt the moment is
// written down ([Sending]) and travels in the message, and the bank takes no message that is older than its cut-off ([Terms].Late). So:
//
//   - Without an answer, the bank is asked. It says pending, done or rejected; or it has never heard of the id, and then the order is
//     sent again, with the same id.
//   - "Never heard of it" says nothing about a message that may still be under way. It is believed only of an order that is not to be sent any
//     more ([Order].Recalled), and only when the bank says so at a time, by its own clock, at which it would not take the last message any
//     more. No two clocks are compared: the bank's clock says when it would refuse, and when it looked.
//   - An order that was never sent, as the record says, can be given back at once; what is not recorded was not sent.
//   - A rejection in the answer to a message may be about that message only ("duplicate"). It is believed when the bank, asked, says
//     rejected too.
//   - What contradicts what the bank has said before ends nothing. The order is marked as doubtful, for people, and is asked about
//     further on.
//
// Two resolvers at work on the same orders do no harm: what they write has the version of the order as its condition, and what they send
// has the same id.
package bank
