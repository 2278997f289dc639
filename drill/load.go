package drill

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

const (
	// payDeadline is how long a payment may take. Beyond it the caller goes home not knowing.
	payDeadline = 2 * time.Second
	// probeEvery is the distance between two probes of a shard, and maxProbes how many there are in a second of all shards of three sites
	// together: on a small machine more of them would be the load that they measure. On one that has fewer than usualCores to give
	// there are fewer in proportion.
	probeEvery = 5 * time.Millisecond
	maxProbes  = 400
	usualCores = 2
	// readEvery is the distance between two linearizable reads of a shard, and maxReads the same as maxProbes.
	readEvery = 20 * time.Millisecond
	maxReads  = 100
	// maxUnderWay bounds the payments that wait for an answer. At the deadline of 2 s it is reached at 8,000 payments a second
	// that nobody answers.
	maxUnderWay = 16_384
	// settleTime is how long a transaction that the load stands on may take. It is asked for again until then.
	settleTime = time.Minute
)

// load is all the callers there are.
type load struct {
	clients []*client.Client // one for each site that is nearest
	book    *book
	clock   func() time.Duration
	room    chan struct{} // bounds what is under way
	work    sync.WaitGroup
	market  *world // nil: orders are plain transfers
	deals   deals
}

func newLoad(f *fleet, b *book, clock func() time.Duration) (*load, error) {
	l := &load{book: b, clock: clock, room: make(chan struct{}, maxUnderWay)}
	for i := range f.sites {
		c, err := f.connectFrom(i)
		if err != nil {
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		c.Close()
	}
}

// settle makes the transactions that the load stands on, one after another. Any that is not done is an error; one that has no decision, as
// at the deadline of a payment while a leader is being elected, is asked for again with the same id.
func (l *load) settle(ctx context.Context, w *world, txns []holdfast.Txn) error {
	for i := range txns {
		t := &txns[i]
		called := l.clock()
		out, err := l.clients[0].Submit(ctx, *t)
		for undecided(out) && l.clock()-called < settleTime && rest(ctx, pollPause) == nil {
			out, err = l.clients[0].Submit(ctx, *t)
		}
		if out.Status != holdfast.Done {
			return errors.Join(fmt.Errorf("open and fund accounts: %s (%s)", out.Status, out.Code), err)
		}
		shard := w.cast(t.Accounts[0].ID).id
		now := l.clock()
		// Outside of what is measured: the load has not begun.
		s := Sample{Shard: shard, Kind: Prepared, Due: called, Ended: now, Status: out.Status}
		p := page{sample: s, txn: t, called: called}
		p.answered(out)
		l.book.write(p, nil)
	}
	return nil
}

func undecided(o holdfast.Outcome) bool {
	return o.Status == holdfast.Unknown || o.Status == holdfast.NotExecuted
}

// replay makes every errand when it is due, whether or not those before have been answered. It returns when the last has been
// sent; [load.wait] waits for the answers.
func (l *load) replay(ctx context.Context, errands iter.Seq[errand]) error {
	awaited := map[int]chan holdfast.Status{} // answers that a refund will ask for, by number of the order
	for e := range errands {
		if err := rest(ctx, e.due-l.clock()); err != nil {
			return err
		}
		if err := l.enter(ctx); err != nil {
			return err
		}
		if e.first {
			clear(awaited) // a new round of the list: no refund asks for an order of the last
		}
		order, mine := awaited[e.after], chan holdfast.Status(nil)
		if e.refunded {
			mine = make(chan holdfast.Status, 1)
			awaited[e.number] = mine
		}
		l.work.Go(func() {
			defer l.leave()
			status := l.run(ctx, &e, order)
			if mine != nil {
				mine <- status
			}
		})
	}
	return nil
}

func (l *load) enter(ctx context.Context) error {
	select {
	case l.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *load) leave() { <-l.room }

// run makes one errand and returns what was answered. A refund waits for the answer to its order, as a shop would, and is due
// from then; if the order was not paid there is nothing to refund.
func (l *load) run(ctx context.Context, e *errand, order chan holdfast.Status) holdfast.Status {
	due := e.due
	if order != nil {
		select {
		case status := <-order:
			order <- status // for the next refund of the same order
			if status != holdfast.Done {
				return holdfast.NotExecuted
			}
		case <-ctx.Done():
			return holdfast.NotExecuted
		}
		due = max(due, l.clockIfLater(e.due))
	}
	s := Sample{Shard: e.shard, Kind: Replayed, Due: due, Crosses: l.book.crosses != nil && l.book.crosses(e.transfer.Debit, e.transfer.Credit)}
	c := l.clients[e.number%len(l.clients)]
	if l.market != nil {
		return l.trade(ctx, c, l.market.deal(e), s)
	}
	return l.pay(ctx, c, &e.transfer, s)
}

// clockIfLater is the moment since which a waiting refund is due: its own time, unless waiting took noticeably long.
func (l *load) clockIfLater(due time.Duration) time.Duration {
	const noticeable = 2 * time.Millisecond
	if now := l.clock(); now-due > noticeable {
		return now
	}
	return due
}

// pay makes one payment and writes the answer down.
func (l *load) pay(ctx context.Context, c *client.Client, t *holdfast.Transfer, s Sample) holdfast.Status {
	ctx, cancel := context.WithTimeout(ctx, payDeadline-(l.clock()-s.Due))
	defer cancel()
	called := l.clock()
	out, err := c.Pay(ctx, *t)
	s.Ended = l.clock()
	p := page{sample: s, payment: paymentOf(t), called: called}
	p.answered(out)
	l.book.write(p, err)
	return out.Status
}

// pace is when something is done for a shard again and again: first, after a while, and from then on at a distance.
type pace struct{ phase, step time.Duration }

// paceOf is that of shard k (from 0) of a fleet: the least distance, or as much more as keeps the sum of all shards at most a second, of
// three sites; every message of an entry goes to each follower, so of five it is half. The shards take turns, so that what is sent is
// spread over time. One shard is looked at as closely whatever the machine.
func (o *Options) paceOf(k int, least time.Duration, most int) pace {
	bears := float64(most)
	if o.Shards > 1 {
		bears *= min(1, o.Cores/usualCores)
	}
	if o.peopled { // who pay as well
		bears /= 2
	}
	step := max(least, time.Duration(float64(o.Shards*(o.Sites-1))/(2*bears)*float64(time.Second)))
	return pace{phase: time.Duration(k) * step / time.Duration(o.Shards), step: step}
}

// probeGap is the distance between two probes of a shard, and so the resolution of pauses. A pause lasts from the last
// acknowledgement before it to the first one after it: rarer probes make one longer by a gap at most, and never shorter.
func (o *Options) probeGap() time.Duration { return o.paceOf(0, probeEvery, maxProbes).step }

// probe sends one penny to the till of a shard at its pace until the context until ends; the answers may come later.
func (l *load) probe(ctx, until context.Context, c *shardCast, at pace, id func() holdfast.ID) {
	l.every(until, at, func(n int, due time.Duration) {
		t := probePayment(c, n, id())
		l.pay(ctx, l.clients[0], &t, Sample{Shard: c.id, Kind: Probed, Due: due})
	})
}

// probePayment is the n-th penny for the till of a shard.
func probePayment(c *shardCast, n int, id holdfast.ID) holdfast.Transfer {
	return holdfast.Transfer{
		ID: id, Kind: holdfast.Immediate, Debit: c.payers[n%len(c.payers)], Credit: c.till, Amount: 1, Code: codeProbe,
	}
}

// read reads the accounts of the probes, linearizably, until the context until ends.
func (l *load) read(ctx, until context.Context, c *shardCast, at pace) {
	accounts := append([]holdfast.AccountID{c.till}, c.payers...)
	if l.book.crosses == nil {
		accounts = append(accounts, c.merchant) // with several shards it is paid from elsewhere, which is no part of the shard's order
	}
	l.every(until, at, func(n int, due time.Duration) {
		l.readOne(ctx, l.clients[n%len(l.clients)], c, accounts[n%len(accounts)], due)
	})
}

func (l *load) readOne(ctx context.Context, from *client.Client, c *shardCast, id holdfast.AccountID, due time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, payDeadline)
	defer cancel()
	called := l.clock()
	a, err := from.Account(ctx, id)
	s := Sample{Shard: c.id, Kind: ReadBack, Due: due, Ended: l.clock(), Status: holdfast.Done}
	if err != nil {
		s.Status = holdfast.Unknown
	}
	if n := l.book.nomads; n.has(id) {
		a = n.grossed(a, c)
	}
	l.book.write(page{sample: s, read: &check.Read{Account: a, Found: true}, called: called}, err)
}

// every calls do, each time in a goroutine, at a steady pace until the context ends. A beat that comes late is made up for:
// the pace is that of the clock, not of the answers.
func (l *load) every(until context.Context, p pace, do func(n int, due time.Duration)) {
	first := l.clock() + p.phase
	for n := 0; ; n++ {
		due := first + time.Duration(n)*p.step
		if rest(until, due-l.clock()) != nil || l.enter(until) != nil {
			return
		}
		l.work.Go(func() {
			defer l.leave()
			do(n, due)
		})
	}
}

// wait waits until everything that was sent has been answered or is past its deadline.
func (l *load) wait() { l.work.Wait() }

// sampled is what continuous sampling has found so far.
type sampled struct {
	Looked, Lost, Altered, Doubled int
	named                          []string // the first of what is wrong, by id
}

// sampler looks acknowledged payments up again while everything goes on: by turns one of those that were acknowledged last, which a
// leader that has not heard of its successor would not have, and any other.
type sampler struct {
	clients []*client.Client // that are asked by turns: one for each site that is nearest
	book    *book
	clock   func() time.Duration
	rand    *rand.Rand

	mu    sync.Mutex
	found sampled
}

const (
	sampleEvery = 50 * time.Millisecond
	// lately is how many pages at the end of the book are new: those of a quarter of a second, about.
	lately = 128
)

func (s *sampler) watch(ctx context.Context) {
	for n := 0; rest(ctx, sampleEvery) == nil; n++ {
		pages := lately
		if n%2 == 1 {
			pages = 0
		}
		if p, ok := s.book.some(pages, s.rand.IntN); ok {
			s.look(ctx, s.clients[n/2%len(s.clients)].Txn, &p)
		}
	}
}

// look asks for one payment. A question without an answer is no finding: the reconciliation asks again.
func (s *sampler) look(ctx context.Context, ask func(context.Context, holdfast.ID) (client.Txn, error), p *page) {
	ctx, cancel := context.WithTimeout(ctx, payDeadline)
	defer cancel()
	called := s.clock()
	t, err := ask(ctx, p.id())
	if err != nil && !client.IsNotFound(err) {
		return
	}
	s.write(p, called, err == nil && t.Outcome.Status == holdfast.Done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Looked++
	switch {
	case err != nil:
		s.found.Lost++
		s.found.name(p, "not found")
	case t.Outcome.Position != p.position:
		s.found.Doubled++
		s.found.name(p, fmt.Sprintf("acknowledged at %d/%d and found at %d/%d", p.position.Index, p.position.Ord, t.Outcome.Index, t.Outcome.Ord))
	default:
		if field := check.Difference(p.content(), content(&t)); field != "" {
			s.found.Altered++
			s.found.name(p, "another "+field)
		}
	}
}

// write puts the answer into the book, to be put in order with all others. What goes from one shard to another is in the order of two.
func (s *sampler) write(p *page, called time.Duration, found bool) {
	if s.book.crossing(p) {
		return
	}
	asked := Sample{Shard: p.sample.Shard, Kind: LookedUp, Due: called, Ended: s.clock(), Status: holdfast.Done}
	s.book.write(page{sample: asked, called: called, read: &check.Read{Txn: p.id(), Found: found}}, nil)
}

func (s *sampled) name(p *page, what string) {
	const most = 5
	if len(s.named) < most {
		s.named = append(s.named, fmt.Sprintf("%s: %s", p.id(), what))
	}
}

// reasons says what is wrong. A payment that is there in the end, and was not found after it had been acknowledged, breaks a promise as
// well: reads are linearizable.
func (s *sampled) reasons() (out []string) {
	for _, x := range []struct {
		n    int
		what string
	}{{s.Lost, "not found"}, {s.Altered, "altered"}, {s.Doubled, "at another place of the log"}} {
		if x.n > 0 {
			out = append(out, fmt.Sprintf("%s, while the load ran, of %s by id", plural(x.n, "acknowledged payment")+" "+x.what, plural(s.Looked, "look-up")))
		}
	}
	return append(out, s.named...)
}

func (s *sampled) check() Check {
	return Check{
		Name: "What was acknowledged is found at once", OK: s.Lost+s.Altered+s.Doubled == 0,
		Detail: fmt.Sprintf("%s looked up by id while the load ran: %d not found, %d altered, %d doubled", thousands(int64(s.Looked)), s.Lost, s.Altered, s.Doubled),
	}
}

func (s *sampler) result() sampled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// content is a transaction as a site gives it back, in the form in which it was sent. Accounts it opened are not part of it.
func content(t *client.Txn) *holdfast.Txn {
	out := &holdfast.Txn{ID: t.Outcome.ID}
	for i := range t.Transfers {
		out.Transfers = append(out.Transfers, t.Transfers[i].Transfer)
	}
	return out
}
