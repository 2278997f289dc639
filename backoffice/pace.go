package backoffice

import (
	"context"
	"sync"
	"time"

	"holdfast"
	"holdfast/pay"
)

// pace lets work in the background have as much at once as payments beside it bear. What it goes by is how long commits take: every few
// seconds it does one thing at a time for a moment, which tells how long they take without it, and between these it takes on more for as
// long as they do not take much longer than that, and less when they do.
type pace struct {
	most int
	now  func() time.Time

	mu     sync.Mutex
	inside int
	limit  float64
	freed  chan struct{}

	probing int           // commits still to be timed with one thing at a time
	probed  time.Time     // when that was last
	usual   time.Duration // a commit takes when there is one thing at a time
	recent  time.Duration // and has taken lately
	since   int           // commits since the limit was last changed
}

const (
	paceProbe   = 8               // commits that tell how long one takes
	paceAnew    = 5 * time.Second // between probes
	paceSmooth  = 16              // how many commits recent is made of, roughly
	paceSlack   = time.Millisecond
	paceFew     = 4 // at once are not too many, unless commits take very much longer
	paceVery    = 4 // times as long
	paceRestMax = 50 * time.Millisecond
)

func newPace(most int, now func() time.Time) *pace {
	return &pace{most: max(1, most), now: now, limit: 1, freed: make(chan struct{}, 1), probing: paceProbe}
}

// target is how long a commit may take before there is too much at once. On a machine that is busy with other things commits take now this long and
// now that long, so it is not the first one that takes longer that counts, nor a little.
func (p *pace) target() time.Duration {
	if p.limit <= paceFew {
		return paceVery*p.usual + paceSlack
	}
	return 2*p.usual + paceSlack
}

// took counts a commit.
func (p *pace) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := p.now(); {
	case p.probing > 0 && p.inside > 1:
		return // those of before are still under way
	case p.probing > 0:
		if p.probing == paceProbe {
			p.usual = d
		}
		p.usual += (d - p.usual) / time.Duration(paceProbe-p.probing+1) // their mean
		if p.probing--; p.probing == 0 {
			p.recent, p.probed, p.since = p.usual, now, 0
			p.limit = max(p.limit, min(paceFew, float64(p.most)))
		}
		return
	case now.Sub(p.probed) >= paceAnew:
		p.probing = paceProbe
		return
	}
	p.recent += (d - p.recent) / paceSmooth
	if p.since++; p.since < max(paceSmooth, int(p.limit)) {
		return
	}
	p.since = 0
	if p.recent > p.target() {
		p.limit = max(1, p.limit*3/4)
	} else {
		p.limit = min(float64(p.most), p.limit+1)
	}
}

// enter waits for its turn; false: the context has ended. One goroutine calls it.
func (p *pace) enter(ctx context.Context) bool {
	for {
		p.mu.Lock()
		limit := int(p.limit)
		if p.probing > 0 {
			limit = 1
		}
		rest := time.Duration(0)
		if limit == 1 && p.probing == 0 && p.recent > p.target() {
			rest = min(p.recent, paceRestMax) // even one at a time is much just now
		}
		free := p.inside < limit
		if free {
			p.inside++
		}
		p.mu.Unlock()
		switch {
		case free && (rest == 0 || pause(ctx, rest)):
			return ctx.Err() == nil
		case free:
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.freed:
		}
	}
}

func (p *pace) leave() {
	p.mu.Lock()
	p.inside--
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// timed are books whose commits are timed.
type timed struct {
	pay.Books
	pace *pace
}

// Submit implements pay.Books. What was not decided tells nothing about commits: it has come back at once, or at the deadline.
func (b timed) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	begun := b.pace.now()
	o, err := b.Books.Submit(ctx, t)
	if err == nil && (o.Status == holdfast.Done || o.Status == holdfast.Refused) {
		b.pace.took(b.pace.now().Sub(begun))
	}
	return o, err
}

// paced does something with every element of a list, with as many at once as the pace allows, until the context ends or stop says so.
func paced[T any](ctx context.Context, p *pace, list []T, stop func() bool, do func(*T)) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range list {
		if stop() || !p.enter(ctx) {
			return
		}
		all.Go(func() {
			defer p.leave()
			do(&list[i])
		})
	}
}
