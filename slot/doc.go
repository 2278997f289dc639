// Package slot moves a slot to another shard while payments run. docs/decisions/0011-moving-slots.md says how and why; the words
// are those of that page. All state of a move stands in the logs of the two shards: the gate of the slot (ledger.Gates) and a
// [Note] about it in each. [Mover] is the step function beside the leader of the shard that the slot leaves; it compares what
// the two shards have, says what to propose next, and may be forgotten at any time.
package slot
