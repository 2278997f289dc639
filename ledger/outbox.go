package ledger

import (
	"cmp"
	"slices"

	"holdfast"
)

// outbox holds the messages that have not been acknowledged, in order of Seq. One that is acknowledged out of order leaves
// a gap, which is closed when half of the list is gaps.
type outbox struct {
	list []queued
	gaps int
	size int    // bytes of the messages
	next uint64 // Seq of the next message
}

type queued struct {
	holdfast.Queued
	gone bool
}

func (o *outbox) add(q holdfast.Queued) {
	o.list = append(o.list, queued{Queued: q})
	o.size += len(q.Topic) + len(q.Body)
}

// at returns the place of the first message with a Seq of at least seq.
func (o *outbox) at(seq uint64) int {
	i, _ := slices.BinarySearchFunc(o.list, seq, func(q queued, seq uint64) int { return cmp.Compare(q.Seq, seq) })
	return i
}

func (o *outbox) has(seq uint64) bool {
	i := o.at(seq)
	return i < len(o.list) && o.list[i].Seq == seq && !o.list[i].gone
}

// remove drops a message that the outbox has.
func (o *outbox) remove(seq uint64) {
	q := &o.list[o.at(seq)]
	o.size -= len(q.Topic) + len(q.Body)
	*q = queued{Queued: holdfast.Queued{Seq: seq}, gone: true}
	if o.gaps++; 2*o.gaps >= len(o.list) {
		o.list = slices.DeleteFunc(o.list, func(q queued) bool { return q.gone })
		o.gaps = 0
	}
}

// OutboxSize is how many messages are undelivered, and how many bytes they have.
func (s *State) OutboxSize() (messages, bytes int) {
	return len(s.outbox.list) - s.outbox.gaps, s.outbox.size
}

// Outbox returns up to max undelivered messages with a Seq above after, in order.
func (s *State) Outbox(after uint64, max int) []holdfast.Queued {
	var out []holdfast.Queued
	for i := s.outbox.at(after); i < len(s.outbox.list) && len(out) < max; i++ {
		if q := &s.outbox.list[i]; !q.gone && q.Seq > after {
			out = append(out, q.Queued)
		}
	}
	return out
}
