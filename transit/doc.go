// Package transit carries payments between shards: it says what is proposed to which shard, what the answers mean, and when
// the courier tries again. It is pure: no I/O, clock, randomness or goroutine. docs/decisions/0008-between-shards.md says why
// it is done this way.
//
// # A payment in three transactions
//
// [Make] looks at a caller's transaction X and says where it belongs. When its money goes from its home shard to another, the
// away shard, there are
//
//	depart   home, id X                   holds the amounts, in favour of the in-transit account for the away shard, and puts
//	                                      the payment into the outbox: [Payment.Depart]
//	land     away, the shadow of X        debits the in-transit account for the home shard and credits the payee, or is
//	                                      refused and remembered as that: [Payment.Land]
//	settle   home, an id made of X        posts the holds if it landed or voids them if not, and takes the message off the
//	                                      outbox: [Payment.Settle]
//
// The payment has happened when the land is in the log of the away shard. [Payment.Outcome] makes one answer of two.
//
// # What may be lost and repeated
//
// Every one of the three has one id and one content for ever, so each may be proposed any number of times, by anybody, in any
// order of arrival: the logs do each at most once and answer repetitions as the first time. A land is proposed only after its
// depart is known to be done, a settle only after a land is known to be decided. Everything else may be lost: answers,
// proposals, the courier with all it knows. As long as the message is in the outbox a courier begins anew with it.
//
// Unknown is never taken for refused. Only the log of the away shard refuses a land: that a replica has not found it, that
// nobody answered, that it was not executed, all prove nothing.
package transit
