// Package clerk drives the resolver of a bank: it carries out what [bank.Resolver] wants done, with deadlines, and gives it the orders that are
// open. All it knows stands in memory and is made anew from the orders.
package clerk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"holdfast"
	"holdfast/bank"
)

// Config says for which bank a clerk works, and how. Zero values mean what stands behind the colon.
type Config struct {
	Bank      string // its name, for the log
	Connector bank.Connector
	Orders    bank.Orders
	Resolver  bank.Config // Terms are taken from the connector
	Random    func() uint64
	// Timeout is how long one question to the bank, or one change, may take: 15 s. It has to be below Resolver.Wait.
	Timeout time.Duration
	// Rescan is how often the open orders are listed from the start, for those that a list has missed or nobody has told of: 30 s.
	Rescan time.Duration
	Log    *slog.Logger // nil: none
}

// Clerk brings the orders of one bank to their end for as long as it runs.
type Clerk struct {
	config  Config
	wake    chan struct{}
	results chan func(holdfast.Time)

	mu       sync.Mutex // of resolver
	resolver *bank.Resolver

	after   string    // owned by Run: where the list of open orders goes on
	scan    time.Time // owned by Run: when it begins from the start again
	listing bool      // owned by Run
	more    bool      // owned by Run: the list has not come to its end
	began   time.Time // owned by Run: when it began from the start
	woken   bool      // owned by Run: there is something new, which may stand anywhere in the list
	may     time.Time // owned by Run: when it may begin from the start again for that
	low     int       // so much room makes it worth while to list more
}

// page is how many orders are listed at once.
const page = 500

// New makes a clerk.
func New(c Config) (*Clerk, error) {
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.Rescan = cmp.Or(c.Rescan, 30*time.Second)
	c.Resolver.Terms = c.Connector.Terms()
	c.Resolver.Wait = cmp.Or(c.Resolver.Wait, time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch t := c.Resolver.Terms; {
	case c.Timeout >= c.Resolver.Wait:
		return nil, fmt.Errorf("bank %s: a question may take %v and counts as unanswered after %v: it has to be the other way round", c.Bank, c.Timeout, c.Resolver.Wait)
	case t.Late <= c.Timeout || t.Step < 0:
		return nil, fmt.Errorf("bank %s: it takes messages for %v only, which is not more than the %v that one may take", c.Bank, t.Late, c.Timeout)
	}
	r := bank.NewResolver(c.Resolver, c.Random)
	return &Clerk{config: c, wake: make(chan struct{}, 1), results: make(chan func(holdfast.Time), 64), resolver: r, low: max(1, r.Room()/4)}, nil
}

// Wake tells the clerk that there are new orders, so that it lists them. It never waits.
func (c *Clerk) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Tell gives the clerk an order as it stands, a new or a recalled one, so that it need not list it. It never waits: a clerk that has too much
// to do finds the order when it lists all again.
func (c *Clerk) Tell(o bank.Order) {
	select {
	case c.results <- func(at holdfast.Time) { c.resolver.Add(at, o) }:
	default:
		c.Wake()
	}
}

// Alive tells the clerk that the bank has answered somebody else. It never waits.
func (c *Clerk) Alive() {
	select {
	case c.results <- c.resolver.Alive:
	default:
	}
}

// Estimate says when an order with so many before it will be taken; [Clerk.Ahead] tells how many those are.
func (c *Clerk) Estimate(ahead int) bank.Estimate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolver.Estimate(now(), ahead)
}

// EstimateFor says when an order will be taken, as it stands; one that is not made yet has the key "\xff" and nothing else.
func (c *Clerk) EstimateFor(o *bank.Order) bank.Estimate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolver.EstimateFor(now(), o)
}

// Ahead is how many of the orders that the clerk knows, and the bank is to take, come before the one with this key.
func (c *Clerk) Ahead(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolver.Ahead(key)
}

// Standing is how the orders that the clerk knows are doing.
func (c *Clerk) Standing() bank.Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolver.Standing()
}

// Remember has the clerk begin with what another one has learnt; see [bank.Resolver.Remember].
func (c *Clerk) Remember(rate float64, since holdfast.Time, round time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resolver.Remember(now(), rate, since, round)
}

// Ramp is what it takes until a bank that has been down gets as many orders at once as before.
func (c *Clerk) Ramp() bank.Ramp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolver.Ramp()
}

func now() holdfast.Time { return holdfast.Time(time.Now().UnixNano()) }

// Run works until ctx ends, and waits for what it has begun.
func (c *Clerk) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		c.list(ctx, &under)
		timer.Reset(c.step(ctx, &under))
		select {
		case <-ctx.Done():
		case do := <-c.results:
			c.tell(do)
		case <-c.wake:
			c.woken = true
		case <-timer.C:
		}
	}
}

// tell passes an answer on, and all others that wait.
func (c *Clerk) tell(do func(holdfast.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for do != nil {
		do(now())
		select {
		case do = <-c.results:
		default:
			do = nil
		}
	}
}

// step asks the resolver what to do, begins it, and tells how long there is nothing else.
func (c *Clerk) step(ctx context.Context, under *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	at := now()
	w := c.resolver.Step(at)
	c.mu.Unlock()
	for _, t := range w.Tasks {
		under.Go(func() { c.do(ctx, t) })
	}
	rest := time.Until(c.scan)
	if c.anew() {
		rest = min(rest, time.Until(c.may))
	}
	if w.Next != 0 {
		rest = min(rest, time.Duration(w.Next-at))
	}
	if len(w.Tasks) > 0 && w.Next != 0 && w.Next <= at {
		return 0
	}
	return max(rest, time.Millisecond) // nothing that is measured here is worth more turns than that
}

// do carries out one task, and reports what came of it.
func (c *Clerk) do(ctx context.Context, t bank.Task) {
	call, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var report func(holdfast.Time)
	switch {
	case t.Record != nil:
		o, err := c.config.Orders.Record(call, *t.Record)
		c.note(t.Record, err)
		report = func(at holdfast.Time) { c.resolver.Recorded(at, t.Token, o, err) }
	case t.Send != nil:
		a := c.config.Connector.Send(call, t.Send)
		c.silence(t.Send.ID, a)
		report = func(at holdfast.Time) { c.resolver.Answered(at, t.Token, a) }
	default:
		a := c.config.Connector.Ask(call, t.Ask)
		c.silence(t.Ask, a)
		report = func(at holdfast.Time) { c.resolver.Answered(at, t.Token, a) }
	}
	select {
	case c.results <- report:
	case <-ctx.Done(): // forgotten: the next clerk asks again
	}
}

func (c *Clerk) note(change *bank.Change, err error) {
	switch {
	case err != nil && !errors.Is(err, bank.ErrChanged):
		c.config.Log.Warn("a change of an order may not have been written down", "bank", c.config.Bank, "order", change.ID, "change", change.Kind.String(), "error", err)
	case err == nil && change.Kind == bank.Doubting:
		c.config.Log.Error("the bank contradicts itself about an order", "bank", c.config.Bank, "order", change.ID, "why", change.Reason)
	}
}

func (c *Clerk) silence(id string, a bank.Answer) {
	if a.State == bank.Unknown {
		c.config.Log.Info("no answer from the bank", "bank", c.config.Bank, "order", id, "why", a.Detail)
	}
}

// wakeGap is the least time between two lists from the start of which nothing but new orders is the reason; a tenth of the time at most goes into them.
const wakeGap = 300 * time.Millisecond

// anew reports whether the list has to begin from the start because of what is new. One that has not come to its end comes to that first.
func (c *Clerk) anew() bool { return c.woken && !c.more && !c.listing }

// list fetches open orders, a page at a time: from the start every Rescan and soon after something new, and further on when there is room again.
func (c *Clerk) list(ctx context.Context, under *sync.WaitGroup) {
	c.mu.Lock()
	room := c.resolver.Room()
	c.mu.Unlock()
	at := time.Now()
	again := !at.Before(c.scan) || c.anew() && !at.Before(c.may)
	if c.listing || !again && (!c.more || room < c.low) {
		return
	}
	if again {
		c.after, c.scan, c.began, c.woken = "", at.Add(c.config.Rescan), at, false
	}
	c.listing = true
	after := c.after
	under.Go(func() { c.fetch(ctx, after) })
}

func (c *Clerk) fetch(ctx context.Context, after string) {
	call, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	list, err := c.config.Orders.Open(call, after, page)
	if err != nil && ctx.Err() == nil {
		c.config.Log.Warn("the open orders could not be listed", "bank", c.config.Bank, "error", err)
	}
	select {
	case c.results <- func(at holdfast.Time) { c.listed(at, list, err) }:
	case <-ctx.Done():
	}
}

// listed runs in the goroutine of Run.
func (c *Clerk) listed(at holdfast.Time, list []bank.Order, err error) {
	c.listing = false
	c.more = err == nil && len(list) == page
	c.may = c.began.Add(max(wakeGap, 10*time.Since(c.began)))
	for _, o := range list {
		if !c.resolver.Add(at, o) {
			c.more = true
			return
		}
		c.after = o.Key
	}
}
