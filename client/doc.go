// Package client is the Go client of Holdfast's native API. It speaks to all sites of a fleet at once and hides their
// failures: a payment keeps its id on every attempt, so it may be sent to several sites and still happens at most once.
//
// A request goes to the nearest site that answers. If no byte of an answer has come within [Config.Hedge], the same request
// with the same id goes to the next site as well; a refused connection, a 503 or a 504 moves on at once. The first definite
// answer wins, and the others are not waited for. A site that failed or was slow is asked last for a while, then tried again
// with one request at a time.
//
// Asking again has a budget, earned by answers: a fleet that is slow because it is busy is asked a tenth more, not three times as much.
// Whoever is told that too much is under way, and has nothing left to ask with, has that answer at once.
//
// What comes back is honest:
//
//	Done, Refused   a site said so, and the log of a majority holds it
//	NotExecuted     every attempt was answered with "not executed", or never left this machine
//	Unknown         the deadline is over, and at least one attempt may have been executed: ask again with the same id
//
// What people pay with (customers, wallets, trades, transfers from person to person) goes the same way: each request has a number, or names
// what it is about, and is done once however often it is asked for. A call that returns no error was done, an [*Error] says why it was not, and
// an error that wraps [ErrUnknown] that nobody knows: make the same call again.
//
// Only [holdfast.Unknown] needs the same id again; the other three are final. Errors are [*Error] where a site answered with
// a problem document (RFC 9457), and wrapped errors of the network where none answered.
package client
