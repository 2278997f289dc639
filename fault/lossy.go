package fault

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// losses is how one direction of a line loses what is sent.
type losses struct {
	share float64
	late  time.Duration
}

// maxDoublings bounds how often in a row what is sent again is lost.
const maxDoublings = 3

// lots is the random source of a cable.
type lots struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (l *lots) seed(seed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rand = rand.New(rand.NewPCG(seed, 0))
}

// losses draws how often in a row something is lost.
func (l *lots) losses(share float64) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < maxDoublings && l.rand.Float64() < share {
		n++
	}
	return n
}

// late draws how much later than others the bytes come out that enter a direction now.
func (c *Cable) late(way int) time.Duration {
	l := c.line.Load().losses[way]
	if l.share <= 0 {
		return 0
	}
	return l.late * (1<<c.lots.losses(l.share) - 1)
}

// LossyWhere makes every flow for which match is true lossy, as [Cable.Lossy] says; share 0 ends it. Every cable draws lots of
// its own, which follow from the seed.
func (n *Net) LossyWhere(match func(flow Route) bool, share float64, late time.Duration, seed uint64) {
	n.each(match, func(c *Cable, d Direction) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.name)) // never fails
		c.Lossy(d, share, late, seed^h.Sum64())
	})
}

// Flap cuts and heals every flow for which match is true by turns, beginning with a cut, until the context ends. Then all of
// them are healed, and it returns.
func (n *Net) Flap(ctx context.Context, match func(flow Route) bool, down, up time.Duration) {
	turn := time.NewTimer(0)
	defer turn.Stop()
	defer n.HealWhere(match)
	for cut := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		if cut = !cut; cut {
			n.CutWhere(match)
			turn.Reset(down)
		} else {
			n.HealWhere(match)
			turn.Reset(up)
		}
	}
}
