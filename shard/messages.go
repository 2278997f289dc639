package shard

import (
	"strings"

	"holdfast"
)

// outboxPage is how many messages are looked at under the lock that payments need.
const outboxPage = 256

// Messages returns up to max messages of callers with a Seq above after that nobody has acknowledged, in order; of one topic, or of all
// when it is empty. Those of the platform are left out.
func (v *View) Messages(topic string, after uint64, max int) (list []holdfast.Queued) {
	for len(list) < max {
		page := v.Outbox(after, outboxPage)
		for i := range page {
			if q := &page[i]; len(list) < max && ofCallers(q) && (topic == "" || q.Topic == topic) {
				list = append(list, *q)
			}
		}
		if len(page) < outboxPage {
			break
		}
		after = page[outboxPage-1].Seq
	}
	return list
}

// Acknowledgeable reports whether a caller may acknowledge a message: it is one of callers, or has been and is gone. What it says of a
// number that has been given stays true for ever, but for a platform's message, which its courier acknowledges. A number that has
// not been given may become that of a payment between shards.
func (v *View) Acknowledgeable(seq uint64) bool {
	if seq == 0 || seq >= v.Meta().NextSeq {
		return false
	}
	list := v.Outbox(seq-1, 1)
	return len(list) == 0 || list[0].Seq != seq || ofCallers(&list[0])
}

func ofCallers(q *holdfast.Queued) bool { return !strings.HasPrefix(q.Topic, holdfast.ReservedPrefix) }
