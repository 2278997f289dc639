package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/link"
	"holdfast/shard"
)

// caller is the part of a link that forwarding needs.
type caller interface {
	// Call is link.Link.Call; its errors say whether the call may have been executed.
	Call(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error)
}

// follower has this site's own replica tell what becomes of a request that goes to another: see shard.Host.Follow, whose ticket
// goes with the request. Ticket 0: it cannot be told.
type follower func(to holdfast.SiteID, id holdfast.ShardID, count int, settle func([]holdfast.Outcome)) (t shard.Ticket, done func())

// followHere is the follower of a site. Another one that does not know tickets gets none.
func (s *Site) followHere(to holdfast.SiteID, id holdfast.ShardID, count int, settle func([]holdfast.Outcome)) (shard.Ticket, func()) {
	if s.knows(to, knowsTickets) {
		return s.host.Follow(id, count, settle)
	}
	return 0, func() {}
}

// knows reports whether the release of another site, as it has said of itself, knows something.
func (s *Site) knows(site holdfast.SiteID, what byte) bool {
	peer := s.watch.peer(site)
	if peer == nil {
		return false
	}
	p := peer.latest.Load()
	return p != nil && p.knows&what != 0
}

// parcel is a group of one Submit on its way to another site. Whoever wins the change from waiting decides: the lane takes
// it (then it may be executed), or its owner leaves (then it never is).
type parcel struct {
	group
	bytes int
	until time.Time
	state atomic.Uint32
	done  chan answer // one place: the first answer counts, and nobody waits for an owner that has left
}

const (
	parcelWaiting uint32 = iota
	parcelTaken
	parcelLeft
)

func (p *parcel) take() bool  { return p.state.CompareAndSwap(parcelWaiting, parcelTaken) }
func (p *parcel) leave() bool { return p.state.CompareAndSwap(parcelWaiting, parcelLeft) }

// Bounds of one call. Together with the parcel that exceeds them they stay below link.MaxPayload.
const (
	callTxns  = holdfast.MaxLegs
	callBytes = 4 << 20
)

// lane is the way of one class of transactions to one other site. What gathers while all calls are under way travels
// together in the next one: a call costs the same for one payment as for a hundred. Its fields below mu are guarded by it.
type lane struct {
	to     holdfast.SiteID
	link   caller
	follow follower
	knows  func(to holdfast.SiteID, what byte) bool // what its release knows
	bound  int                                      // bytes queued

	wake chan struct{} // one place per worker
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	queue []*parcel
	bytes int
}

func newLane(to holdfast.SiteID, l caller, follow follower, knows func(holdfast.SiteID, byte) bool, calls, bound int) *lane {
	n := &lane{to: to, link: l, follow: follow, knows: knows, bound: bound, wake: make(chan struct{}, calls), stop: make(chan struct{})}
	for range calls {
		n.done.Go(n.work)
	}
	return n
}

// close ends the workers; parcels that are still queued are answered with ErrStopping.
func (n *lane) close() {
	close(n.stop)
	n.done.Wait()
	for parcels := n.next(); len(parcels) > 0; parcels = n.next() {
		deliver(parcels, failed(len(parcels), shard.ErrStopping))
	}
}

// put queues a parcel, or refuses it when too much is waiting.
func (n *lane) put(p *parcel) error {
	n.mu.Lock()
	full := n.bytes+p.bytes > n.bound
	if !full {
		n.queue = append(n.queue, p)
		n.bytes += p.bytes
	}
	n.mu.Unlock()
	if full {
		return shard.ErrOverloaded
	}
	select {
	case n.wake <- struct{}{}:
	default: // every worker has been woken already, and each looks again before it rests
	}
	return nil
}

func (n *lane) work() {
	for {
		select {
		case <-n.stop:
			return
		case <-n.wake:
		}
		for parcels := n.next(); len(parcels) > 0; parcels = n.next() {
			deliver(parcels, n.call(parcels))
			if n.stopped() {
				return
			}
		}
	}
}

func (n *lane) stopped() bool {
	select {
	case <-n.stop:
		return true
	default:
		return false
	}
}

// next takes what fits into one call off the queue, leaving out parcels whose owners have left, or wait no longer.
func (n *lane) next() []*parcel {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	var taken []*parcel
	txns, bytes, seen := 0, 0, 0
	for _, p := range n.queue {
		if len(taken) > 0 && (txns+p.Count() > callTxns || bytes+p.bytes > callBytes) {
			break
		}
		seen++
		n.bytes -= p.bytes
		switch {
		case !p.take():
		case !now.Before(p.until): // its owner is about to find out
			p.answer(answer{err: shard.ErrTimeout})
		default:
			taken = append(taken, p)
			txns += p.Count()
			bytes += p.bytes
		}
	}
	rest := copy(n.queue, n.queue[seen:])
	clear(n.queue[rest:])
	n.queue = n.queue[:rest]
	return taken
}

// call sends the parcels as one request, all that go to one shard as one group, and splits the answers again.
func (n *lane) call(parcels []*parcel) []answer {
	groups, of := merge(parcels)
	for i := range groups {
		defer n.listen(groups, i, parcels, of)()
	}
	var until time.Time
	size, timed := 1+len(groups)*groupHead, n.knows != nil && n.knows(n.to, knowsLeft)
	for _, g := range groups {
		size += len(g.Body)
		if g.until.After(until) {
			until = g.until
		}
	}
	request := append(make([]byte, 0, size), wireVersion)
	for _, g := range groups {
		if timed {
			g.left = max(time.Until(g.until), time.Millisecond)
		}
		request = appendGroup(request, g)
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	response, err := n.link.Call(ctx, n.to, methodSubmit, request)
	if err != nil {
		return failed(len(parcels), callError(err))
	}
	return split(parcels, of, readAnswers(response, groups))
}

// listen has a group answered by this site's own replica as well, which may know first. Bulk is in no hurry, and stands in several entries.
func (n *lane) listen(groups []group, i int, parcels []*parcel, of []int) (done func()) {
	g := &groups[i]
	if g.bulk || n.follow == nil {
		return func() {}
	}
	g.Origin.Ticket, done = n.follow(n.to, g.id, g.Count(), func(outcomes []holdfast.Outcome) {
		for k, p := range parcels {
			if of[k] == i {
				n := p.Count()
				p.answer(answer{outcomes: outcomes[:n:n]})
				outcomes = outcomes[n:]
			}
		}
	})
	return done
}

// Bounds up to which parcels are put together. A replica takes what is larger for bulk, which waits behind payments that
// come one by one; payments that only happen to travel together must not become that.
const (
	groupTxns  = 64
	groupBytes = 32 << 10
	// groupSpan is how far the ends of what its callers wait may be apart: a group is proposed as long as any of them waits.
	groupSpan = 100 * time.Millisecond
)

// merge puts parcels for the same shard and class, whose owners wait about as long, together into groups; of says which group each parcel went
// into.
func merge(parcels []*parcel) (groups []group, of []int) {
	of = make([]int, len(parcels))
	for i, p := range parcels {
		g := len(groups) - 1
		for g >= 0 && !groups[g].takes(p) {
			g--
		}
		if g < 0 || groups[g].Count()+p.Count() > groupTxns || len(groups[g].Body)+len(p.Body) > groupBytes {
			groups, g = append(groups, group{id: p.id, away: p.away, bulk: p.bulk, until: p.until}), len(groups)
		}
		groups[g].join(&p.Batch)
		of[i] = g
	}
	return groups, of
}

// takes reports whether a parcel belongs to a group.
func (g *group) takes(p *parcel) bool {
	return g.id == p.id && g.bulk == p.bulk && g.away == p.away && g.until.Sub(p.until).Abs() <= groupSpan/2
}

// join adds the transactions of another batch behind those of the group. A batch that comes first is not copied.
func (g *group) join(b *shard.Batch) {
	if g.Count() == 0 {
		g.Body, g.Ends = b.Body[:len(b.Body):len(b.Body)], b.Ends[:len(b.Ends):len(b.Ends)]
		return
	}
	offset := uint32(len(g.Body))
	g.Body = append(g.Body, b.Body...)
	for _, end := range b.Ends {
		g.Ends = append(g.Ends, offset+end)
	}
}

// split gives each parcel its part of the answer to its group.
func split(parcels []*parcel, of []int, answers []answer) []answer {
	out := make([]answer, len(parcels))
	for i, p := range parcels {
		a := &answers[of[i]]
		if a.err != nil {
			out[i].err = a.err
			continue
		}
		n := p.Count()
		out[i].outcomes, a.outcomes = a.outcomes[:n:n], a.outcomes[n:]
	}
	return out
}

func failed(n int, err error) []answer {
	answers := make([]answer, n)
	for i := range answers {
		answers[i].err = err
	}
	return answers
}

func deliver(parcels []*parcel, answers []answer) {
	for i, p := range parcels {
		p.answer(answers[i])
	}
}

// answer gives an answer to the owner of a parcel, unless one is waiting for him already: of two the second says the same, or less.
func (p *parcel) answer(a answer) {
	select {
	case p.done <- a:
	default:
	}
}

// errUnreachable says that a parcel never left this site: try again when something has changed.
var errUnreachable = errors.New("the leader's site cannot be reached just now")

// callError is the one table from the errors of a call to what they mean for the transactions in it.
func callError(err error) error {
	switch {
	case errors.Is(err, link.ErrUnreachable), errors.Is(err, link.ErrClosed):
		return errUnreachable
	case errors.Is(err, link.ErrBusy):
		return shard.ErrOverloaded
	case errors.Is(err, link.ErrTooLarge):
		return fmt.Errorf("forwarding: %w", err) // our own bounds keep this from happening; nothing was executed
	}
	if remote, ok := errors.AsType[*link.RemoteError](err); ok && remote.Code == codeNotExecuted {
		return errUnreachable
	}
	return shard.ErrLost // sent, or nobody can say: it may have been executed
}

// codeNotExecuted goes with errors of a handler that found out before anything was proposed.
const codeNotExecuted = 1

// notExecuted marks an error of a handler as one after which nothing was executed.
type notExecuted struct{ error }

// LinkCode implements link.Coder.
func (notExecuted) LinkCode() uint16 { return codeNotExecuted }
