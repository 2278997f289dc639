// Package pay is the payments that people use, on top of accounts and records: customers with wallets and limits, merchants with
// shops and fees, trades with refunds, escrow, pre-authorisation, codes shown in a shop, payments from wallet to wallet, top-ups,
// withdrawals, and the settlement of a day. It is pure: no HTTP, Raft, disk, clock or randomness. docs/decisions/0019-payments.md says
// why it is done this way.
//
// # How everything is done
//
// [Cashier] reads what it needs through [Books], decides, and submits one transaction with the versions of all records that the decision
// rests on. When one of them has changed meanwhile, it reads and decides again, a bounded number of times. Money and documents change
// together or not at all, in one shard or between two, so there is no state to repair after a crash:
//
//   - A trade lives with its merchant, the limits and receipts of a customer with the customer. The payment changes both at once. The
//     version of the trade decides which of two payments counts; what the other one held goes back by itself.
//   - The id of a transaction is a hash of its content. Proposing it twice is one proposal; two different answers to the same question can
//     never both happen, because they expect the same versions.
//   - Each number that a merchant or customer gives to a request is a part of a key of its own kind, so that no two kinds can collide.
//
// # Answers
//
// An operation that returns no error has happened, now or before. The errors are [Refusal] (it has not happened and will not; the code
// and the text say what to do), [Pending] (nobody knows yet: ask again) and [Unavailable] (this call did nothing). Everything may be asked
// again with the same numbers.
//
// # Linearizable reads
//
// A payment of an existing trade reads the trade, the merchant, who may have been blocked since, and the payer's wallet record: 3. One that
// makes its trade reads the merchant and the wallet record: 2. With a code from a phone the customer's record comes on top: 4 and 3. A refund
// reads the trade and the refund: 2. A transfer reads the order and the wallet record: 2, and 1 more by alias. The balance is never read: the
// ledger judges it.
package pay
