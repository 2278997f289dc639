package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"holdfast"
)

// effect is one transaction at the place in the log that its outcome claims, with the time in which it must have happened:
// after the first attempt was sent, before the first definite answer came.
type effect struct {
	call      *call
	from, to  int64
	latest    int64 // the latest moment, given all effects after it
	earliest  int64 // the earliest moment, given all effects before it
	ambiguous bool
}

// version is what an account, or the decision about an id, was from effect number `after` on (0: from the start).
type version struct {
	after int
	sums  [accountSlots]int64
}

// witness takes the positions in the log as the order and proves that it fits all times and answers, or says why not. All
// groups share one log, so this proves the whole history at once.
func (j *judge) witness() Verdict {
	effects, ok := j.effects()
	if !ok {
		return Verdict{Explanation: "the outcomes do not claim an order"}
	}
	if i := timeline(effects); i >= 0 {
		return Verdict{Explanation: "the log has it too late for its answer: " + effects[i].call.describe()}
	}
	versions, bad := j.replay(effects)
	if bad != nil {
		return Verdict{Explanation: "in the order of the log this answer is wrong: " + bad.describe()}
	}
	if bad := j.place(effects, versions); bad != nil {
		return Verdict{Explanation: "in the order of the log this read is wrong: " + bad.describe()}
	}
	return Verdict{OK: true, Explanation: fmt.Sprintf("the order of the log explains all %d operations", len(j.calls))}
}

// effects lists the decided transactions in the order of the log. ok is false when positions are missing or contradict.
func (j *judge) effects() (list []*effect, ok bool) {
	byID := map[holdfast.ID]*effect{}
	for _, c := range j.calls {
		if c.op.Read != nil {
			continue
		}
		e := byID[c.op.Txn.ID]
		if e == nil {
			e = &effect{from: math.MaxInt64, to: math.MaxInt64}
			byID[c.op.Txn.ID] = e
			list = append(list, e)
		}
		e.add(c)
	}
	list = slices.DeleteFunc(list, func(e *effect) bool { return e.call == nil })
	for _, e := range list {
		if e.ambiguous || e.call.op.Outcome.Position == (holdfast.Position{}) {
			return nil, false
		}
	}
	slices.SortFunc(list, func(a, b *effect) int {
		p, q := a.call.op.Outcome.Position, b.call.op.Outcome.Position
		return cmp.Or(cmp.Compare(p.Index, q.Index), cmp.Compare(p.Ord, q.Ord))
	})
	return list, true
}

// add takes one attempt into account. Attempts without a definite answer only widen the time.
func (e *effect) add(c *call) {
	e.from = min(e.from, c.op.Call)
	if c.op.Outcome.Status == holdfast.Unknown {
		return
	}
	e.to = min(e.to, c.op.Return)
	if e.call == nil {
		e.call = c
		return
	}
	first, o := &e.call.op.Outcome, &c.op.Outcome
	e.ambiguous = e.ambiguous || first.Status != o.Status || first.Position != o.Position
}

// timeline computes the window of every effect and returns the first that has none, or -1.
func timeline(effects []*effect) int {
	last := int64(math.MinInt64)
	for i, e := range effects {
		last = max(last, e.from)
		if e.earliest = last; last > e.to {
			return i
		}
	}
	next := int64(math.MaxInt64)
	for i := len(effects) - 1; i >= 0; i-- {
		next = min(next, effects[i].to)
		effects[i].latest = next
	}
	return -1
}

// replay applies all effects in order and keeps the versions of every account that is read.
func (j *judge) replay(effects []*effect) (map[*call][]version, *call) {
	states := make([][]int64, len(j.groups))
	for i, g := range j.groups {
		states[i] = slices.Clone(g.initial)
	}
	watch := j.watched()
	versions := map[[2]int][]version{}
	for at, wide := range watch {
		versions[at] = []version{versionOf(0, states[at[0]][at[1]:at[1]+wide])}
	}
	for i, e := range effects {
		state := states[e.call.group]
		if !e.call.advance(state) {
			return nil, e.call
		}
		for _, slot := range append(e.call.touches(state), e.call.txn) {
			at := [2]int{e.call.group, slot}
			if wide := watch[at]; wide > 0 {
				versions[at] = append(versions[at], versionOf(i+1, state[slot:slot+wide]))
			}
		}
	}
	byRead := map[*call][]version{}
	for _, c := range j.calls {
		if c.op.Read != nil {
			byRead[c] = versions[[2]int{c.group, c.read}]
		}
	}
	return byRead, nil
}

func versionOf(after int, slots []int64) version {
	v := version{after: after}
	copy(v.sums[:], slots)
	return v
}

// watched are the slots that are read, and how many slots belong together there.
func (j *judge) watched() map[[2]int]int {
	out := map[[2]int]int{}
	for _, c := range j.calls {
		switch {
		case c.op.Read == nil:
		case c.op.Read.Txn.IsZero():
			out[[2]int{c.group, c.read}] = accountSlots
		default:
			out[[2]int{c.group, c.read}] = 1
		}
	}
	return out
}

// touches lists the accounts that the call may have changed.
func (c *call) touches(state []int64) []int {
	var out []int
	for _, o := range c.opens {
		out = append(out, o.account)
	}
	for i := range c.legs {
		l := &c.legs[i]
		if l.debit >= 0 {
			out = append(out, l.debit, l.credit)
		} else if h := state[l.hold : l.hold+holdSlots]; h[0] != 0 {
			out = append(out, int(h[1]), int(h[2]))
		}
	}
	return out
}

// place finds for every read a place between two effects at which it is right. Taking the earliest place for every read, in
// the order of their calls, is best: what a read demands of later ones is only that they are not placed before it.
func (j *judge) place(effects []*effect, versions map[*call][]version) *call {
	reads := slices.DeleteFunc(slices.Clone(j.calls), func(c *call) bool { return c.op.Read == nil })
	slices.SortStableFunc(reads, func(a, b *call) int { return cmp.Compare(a.op.Call, b.op.Call) })
	returned := slices.Clone(reads)
	slices.SortStableFunc(returned, func(a, b *call) int { return cmp.Compare(a.op.Return, b.op.Return) })
	placed, floor, done := map[*call]int{}, 0, 0
	for _, r := range reads {
		for ; done < len(returned) && returned[done].op.Return < r.op.Call; done++ {
			floor = max(floor, placed[returned[done]])
		}
		at, ok := placeRead(r, effects, versions[r], floor)
		if !ok {
			return r
		}
		placed[r] = at
	}
	return nil
}

// placeRead gives the smallest number of effects, not below floor, after which the read is right and within its time.
func placeRead(r *call, effects []*effect, versions []version, floor int) (int, bool) {
	low := sort.Search(len(effects), func(i int) bool { return effects[i].latest >= r.op.Call })
	high := sort.Search(len(effects), func(i int) bool { return effects[i].earliest > r.op.Return })
	low = max(low, floor)
	for i := range versions {
		v := &versions[i]
		end := len(effects)
		if i+1 < len(versions) {
			end = versions[i+1].after - 1
		}
		at := max(low, v.after)
		if at > min(high, end) {
			continue
		}
		if probe := (call{op: r.op, read: 0}); probe.reads(v.sums[:]) {
			return at, true
		}
	}
	return 0, false
}
