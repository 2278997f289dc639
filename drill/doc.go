// Package drill breaks a running fleet on purpose and proves what became of the payments: load, faults, checks, verdict,
// evidence, in one call.
//
// A drill starts real processes ("holdfast serve --config"), one per site, joined by cables (one process more) that it can cut
// without a word to anybody. It replays recorded orders through the Go client, open-loop: a payment is sent when it is due,
// whether or not the one before has been answered, and its latency counts from then. Beside that it probes every shard with
// one payment every 20 ms (of one or two shards every 5 ms), which is what the pause is measured with. Every answer is written down. When the faults are over it
// asks every site for every payment, compares balances with what the data says to the penny, audits the books, compares
// the replicas and checks that the answers could have happened in one order. While the load runs it looks acknowledged payments up by
// id: what is not found then breaks a promise, although it may be there in the end.
//
// A fault is looked at itself, with other means than those by which it is done (seen.go): one that was not seen to happen proves
// nothing, and fails the drill.
//
// Drills of carriers (carriers.go) break one of several. They compare, within one run, what callers waited while it was broken with
// what they waited while nothing was, and the bytes of all carriers with those of one alone (smooth.go, meter.go). Before a loss the
// fleet is asked what it would do, and held to it (forecast.go). parts.go cuts off several sites at once, stranded.go has the clients
// that are on the wrong side then, and contest.go compares the link with what else could carry messages over two carriers.
//
// scenario.go is the list of faults, measure.go what is measured and how, result.go the verdict, series.go the sum of several
// runs; these are pure. fleet.go has the processes, cables.go the cables, busy.go what takes processor time from them, load.go
// the clients, book.go what they wrote down, reconcile.go and reading.go the proof, report.go the page for people.
package drill
