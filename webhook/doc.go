// Package webhook brings events to the people who asked for them: it signs a body in the way of Standard Webhooks, posts it to an
// address on the open internet and nowhere else, and sees to it that a receiver who is slow or dead delays nobody but himself.
//
// It knows nothing of payments, and keeps nothing: whoever uses it has the events in its own records, hands over what is due, and
// writes down what [Pool] says became of each attempt. What is lost in a crash is due again, so a receiver may get an event twice, by
// the same id.
//
// # Lanes
//
// A [Pool] has a bounded number of posts under way. Each receiver has a lane: a bounded queue, and at most [PoolConfig.PerReceiver] posts at
// once; one who was never heard of, or let the last post run into its deadline, has one at a time until he answers in time. Lanes take
// turns, and a part of all posts is for receivers who answer. So a thousand events for somebody who never does wait in his lane, hold one of the
// posts, and everybody else's go on.
package webhook
