// Package link carries frames between sites, over every carrier that two sites share, with mutual TLS 1.3 and a failure
// detector. It knows nothing of consensus or payments: it moves bytes for a shard (lossy, [Link.Send]) and calls of a named
// method ([Link.Call]), and says for every call that failed whether it may have been executed.
package link
