package site

import (
	"fmt"
	"math"
	"slices"

	"holdfast"
	"holdfast/slot"
)

// A shard is split by the birth of another one, to which then some of its slots move. The order stands in a record in the log of the first
// shard. This file says what an order is and what is to be done next: a step function that remembers nothing. splitorder.go gathers what it
// works on and does what it says, splitplan.go shows an operator what would happen. Decision 0015 says why.

// shardSplit is an order to split a shard: the body of its record.
type shardSplit struct {
	Format int              `json:"format"`
	Plan   string           `json:"plan"` // that it follows
	From   holdfast.ShardID `json:"from"`
	To     holdfast.ShardID `json:"to"` // that is born
	Home   holdfast.SiteID  `json:"home"`
	Slots  []SlotRange      `json:"slots"` // that go from the one to the other
	Stage  splitStage       `json:"stage"`
	Moved  int              `json:"moved,omitempty"` // when it is over: how many have come

	version uint64 // of the record
}

// splitFormat is the version of the record, and of what a site has to know to carry such an order out. A release that leaves it out knows none.
const splitFormat = 1

// splitStage is how far an order is, as its record says. The names are in logs: add, never rename.
type splitStage string

const (
	splitOrdered  splitStage = "ordered"  // the new shard is being born, or its slots are not marked yet
	splitMoving   splitStage = "moving"   // they are marked
	splitUnwanted splitStage = "unwanted" // it is to be given up as far as that is possible
	splitDone     splitStage = "done"
	splitGivenUp  splitStage = "given-up"
)

// over reports that nothing is left to do.
func (x *shardSplit) over() bool { return x.Stage == splitDone || x.Stage == splitGivenUp }

// birthID is the id of the order by which its shard is born.
func (x *shardSplit) birthID() string { return splitBirth + x.Plan }

// splitBirth is what ids of such orders begin with.
const splitBirth = "split-"

// moveOf is the id of the move of one of its slots.
func (x *shardSplit) moveOf(s holdfast.Slot) holdfast.ID { return moveOf(x.Plan, s) }

// at is the order when it has come to another stage.
func (x *shardSplit) at(stage splitStage) *shardSplit {
	next := *x
	next.Stage = stage
	return &next
}

// splitNow is what the next step is worked out from. Slots are those of the order; what they are is known only once the shard is born.
type splitNow struct {
	shardMap *ShardMap
	slots    []slotAt
}

// slotAt is how one slot stands in the shard that it is to leave.
type slotAt struct {
	slot    holdfast.Slot
	note    *slot.Note // of its last move; nil: it has never moved
	leaving bool       // a move is under way, and not over
	decided bool       // as far as is known, the other shard has it
	waits   string     // why it cannot be marked now; "": it can
}

// ours reports that its last move is the one of this order.
func (s *slotAt) ours(x *shardSplit) bool { return s.note != nil && s.note.Move == x.moveOf(s.slot) }

// splitKind says what an order needs next.
type splitKind uint8

const (
	splitWait    splitKind = iota // why says for what
	splitMark                     // the slots can be marked
	splitWatch                    // they are
	splitStay                     // the slots are asked to stay
	splitAbandon                  // the birth is given up, and with it the order
	splitClose                    // it is over: stage says how
)

// splitMove is the next step.
type splitMove struct {
	kind  splitKind
	slots []holdfast.Slot
	stage splitStage
	moved int
	why   string
}

func splitWaits(format string, args ...any) splitMove {
	return splitMove{why: fmt.Sprintf(format, args...)}
}

// next works out what to do.
func (x *shardSplit) next(now *splitNow) splitMove {
	switch m := now.shardMap; {
	case x.over():
		return splitMove{}
	case !m.has(x.To) && (m.birth == nil || m.birth.ID != x.birthID()):
		return splitMove{kind: splitClose, stage: splitGivenUp} // its birth was given up
	case !m.has(x.To) && x.Stage == splitUnwanted && m.birth.Founders == nil:
		return splitMove{kind: splitAbandon, stage: splitGivenUp}
	case !m.has(x.To) && x.Stage == splitUnwanted: // the birth goes on; nothing will move to it
		return splitMove{kind: splitClose, stage: splitGivenUp}
	case !m.has(x.To):
		return splitWaits("shard %d is being born", x.To)
	}
	switch x.Stage {
	case splitOrdered:
		return x.mark(now)
	case splitUnwanted:
		return x.stay(now)
	}
	return x.watch(now, splitDone)
}

// mark begins the moves of all slots that are still where the plan has found them. Those that somebody has moved elsewhere meanwhile are
// left alone; those that are on their way are waited for, because they may come back.
func (x *shardSplit) mark(now *splitNow) splitMove {
	var list []holdfast.Slot
	for i := range now.slots {
		switch s := &now.slots[i]; {
		case s.ours(x) || now.shardMap.ShardOf(s.slot) != x.From:
		case s.waits != "":
			return splitWaits("%s", s.waits)
		default:
			list = append(list, s.slot)
		}
	}
	switch {
	case len(list) == 0:
		return splitMove{kind: splitWatch}
	case !now.shardMap.fitsMoved(list, x.To):
		return splitWaits("the shard map has no room for where these slots have been (%d bytes in all): give the split up", mapRoom)
	}
	return splitMove{kind: splitMark, slots: list}
}

// stay asks the slots to stay whose moves are not decided. The rest goes on.
func (x *shardSplit) stay(now *splitNow) splitMove {
	var list []holdfast.Slot
	for i := range now.slots {
		if s := &now.slots[i]; s.ours(x) && s.leaving && s.note.Stage == slot.Leaving && !s.decided {
			list = append(list, s.slot)
		}
	}
	if len(list) > 0 {
		return splitMove{kind: splitStay, slots: list}
	}
	return x.watch(now, splitGivenUp)
}

// watch waits for the end of the moves.
func (x *shardSplit) watch(now *splitNow, end splitStage) splitMove {
	var left []holdfast.Slot
	moved := 0
	for i := range now.slots {
		s := &now.slots[i]
		if s.leaving {
			left = append(left, s.slot)
		}
		if now.shardMap.ShardOf(s.slot) == x.To {
			moved++
		}
	}
	if len(left) > 0 {
		return splitWaits("%d of %d slots have come; %d are on their way", moved, len(now.slots), len(left))
	}
	return splitMove{kind: splitClose, stage: end, moved: moved}
}

// evenSlots is what it is worth to divide the slots evenly as well, against the load: that of a minute says little about that of a year.
const evenSlots = 0.1

// halve cuts slots in two parts, one after the other, so that the weights of both are as equal as can be, and returns the part that has
// fewer of them: it costs less to move.
func halve(list []holdfast.Slot, weight func(holdfast.Slot) float64) []holdfast.Slot {
	total, left := 0.0, 0.0
	for _, s := range list {
		total += weight(s)
	}
	best, least := len(list)/2, math.Inf(1)
	for i := 1; i < len(list); i++ {
		left += weight(list[i-1])
		cost := evenSlots * math.Abs(float64(i)/float64(len(list))-0.5)
		if total > 0 {
			cost += math.Abs(left/total - 0.5)
		}
		if cost < least {
			best, least = i, cost
		}
	}
	if 2*best < len(list) {
		return list[:best]
	}
	return list[best:]
}

// homeFor is where a shard is at home that takes slots from another one: not where that is, if there is a choice, and where the fewest are.
func (m *ShardMap) homeFor(from holdfast.ShardID, r *Roster) holdfast.SiteID {
	voters := r.with(RoleVoter)
	if others := slices.DeleteFunc(slices.Clone(voters), func(id holdfast.SiteID) bool { return id == m.Home(from) }); len(others) > 0 {
		voters = others
	}
	count := map[holdfast.SiteID]int{}
	for _, h := range m.Homes {
		count[h]++
	}
	return slices.MinFunc(voters, func(a, b holdfast.SiteID) int { return count[a] - count[b] })
}
