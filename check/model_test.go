package check

import (
	"math/rand/v2"
	"slices"
	"testing"

	"holdfast"
)

// TestAdvanceIsStepInPlace draws calls over a few accounts, holds and ids, many of which cannot be done, and wants both ways of
// taking them to agree on the answer and on the whole state.
func TestAdvanceIsStepInPlace(t *testing.T) {
	const accounts, holds, ids = 3, 4, 50
	rng := rand.New(rand.NewPCG(1, 2))
	account := func() int { return rng.IntN(accounts) * accountSlots }
	hold := func() int { return accounts*accountSlots + rng.IntN(holds)*holdSlots }
	outcomes := []Op{
		{Outcome: holdfast.Outcome{Status: holdfast.Done}},
		{Outcome: holdfast.Outcome{Status: holdfast.Unknown}},
		{Outcome: holdfast.Outcome{Status: holdfast.Refused, Code: holdfast.CodeExceedsCredits}},
		{Outcome: holdfast.Outcome{Status: holdfast.Refused, Code: holdfast.CodeDebitFrozen}},
	}
	draw := func() *call {
		c := &call{op: &outcomes[rng.IntN(len(outcomes))], read: -1, txn: accounts*accountSlots + holds*holdSlots + rng.IntN(ids)}
		if rng.IntN(4) == 0 {
			c.opens = []open{{account(), holdfast.Limit(rng.IntN(3))}}
		}
		for range 1 + rng.IntN(2) {
			l := leg{kind: holdfast.Kind(1 + rng.IntN(4)), debit: -1, credit: -1, amount: int64(rng.IntN(30)), hold: hold()}
			if l.kind <= holdfast.Hold {
				l.debit, l.credit = account(), account()
			}
			c.legs = append(c.legs, l)
		}
		return c
	}
	done := map[int64]int{}
	for range 400 {
		state := make([]int64, accounts*accountSlots+holds*holdSlots+ids)
		for i := range accounts { // open, and with something to spend
			state[i*accountSlots], state[i*accountSlots+creditsPosted] = 1+int64(rng.IntN(3)), 100
		}
		for range 60 {
			c, before := draw(), slices.Clone(state)
			want, next := c.step(before)
			if got := c.advance(state); got != want || !slices.Equal(state, next) {
				t.Fatalf("from %v, %+v: in place %v and %v, as a copy %v and %v", before, c, got, state, want, next)
			}
			done[state[c.txn]]++
		}
	}
	if done[decidedDone] < 1000 || done[decidedRefused] < 1000 {
		t.Errorf("%v: one side was hardly tried", done)
	}
}
