// Package site is the process of one data centre: its configuration, its replicas of every shard, its links to the other
// sites, and the way of a request to the leader of its shard.
//
// Any site takes any request. Requests travel to the data: a transaction whose leader is elsewhere is forwarded once; one
// that meets an election waits for the new leader within its deadline and goes on with the same ids, so that a fail-over
// is a short delay and not an error. A site that hears no majority says so within [HonestWithin] and never pretends.
//
// Where the words are: config.go is the file an operator writes, start.go the ordered list of what a site is made of,
// birth.go how an empty disk finds its place, submit.go and forward.go the way of a payment, audit.go the proof.
package site
