package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"holdfast"
)

// request is what is asked, the same for every site.
type request struct {
	method string
	path   string
	key    string // idempotency key
	as     string // the key of [WithKey]; "": that of the client
	still  bool   // [Passive]
	body   []byte
	pace   int  // which patience it is measured with
	alone  bool // no hedging: it takes long by its nature
	once   bool // any answer is final, also one that says "not now"
	// rest takes in an answer that would be final, and returns what to ask another site for instead of the whole, and why;
	// nil: nothing. maybe tells whether another attempt may have been executed. It is called by the caller's goroutine only.
	rest func(a answer, maybe bool) (*request, error)
}

// Requests that take about as long as each other share a pace.
const (
	paceRead = iota
	pacePay
	paceBulk
	paces
)

// answer is what a site said.
type answer struct {
	status     int
	problem    bool // body is a problem document
	retryAfter time.Duration
	body       []byte
	site       *site
	signature  *Signed // nil: the site signed nothing
}

// result is how one attempt ended.
type result struct {
	answer
	q     *request // what was asked
	err   error
	maybe bool // it may have been executed, or still be, whatever the answer says of itself
	stale bool // it was sent over a connection that broke, and then over another one
	took  time.Duration
}

// pace is how long answers of one kind take of late. Hedging starts at a multiple of it, so that a fleet that is slow
// because it is busy does not get twice the work.
type pace struct{ nanos atomic.Int64 }

const (
	paceShare = 16 // weight of one answer
	paceTimes = 4  // hedge after so many times the usual
)

// observe takes in how long an answer took; one of them at most doubles what is usual.
func (p *pace) observe(took time.Duration) {
	old := p.nanos.Load()
	p.nanos.Store(old + (min(int64(took), 2*old+int64(time.Millisecond))-old)/paceShare) // a lost update loses a sample
}

func (p *pace) usual() time.Duration { return time.Duration(p.nanos.Load()) }

// patience is how long an attempt may stay without an answer before another site is asked too.
func (c *Client) patience(q *request) time.Duration {
	if c.hedge < 0 || q.alone {
		return never
	}
	return max(c.hedge, min(paceTimes*c.paces[q.pace].usual(), c.timeout/4))
}

const (
	never = time.Duration(1<<63 - 1)
	// glance is how long the caller's own goroutine waits where there is no hedging, before it looks for cancellation.
	glance = 50 * time.Millisecond
)

// race is one call: attempts at several sites, until one of them gives a final answer.
type race struct {
	c        *Client
	q        *request
	deadline time.Time
	results  chan result // room for every attempt that can be under way, so that none ever blocks
	entries  []entry     // in the order of preference
	open     int         // attempts under way
	reached  bool        // an attempt has got as far as a site
	maybe    bool        // an attempt ended without telling whether it was executed
	last     error       // why the last attempt was not the last word
}

// entry is a site in a race.
type entry struct {
	site      *site
	tries     int
	open      bool
	refused   bool // nobody listens there, as the last attempt has found
	notBefore time.Time
	late      time.Time // while open: from then on it has had the time that anybody gets
}

// do asks until there is a final answer or the deadline is over. The second result tells whether an attempt may have been
// executed, or still be, that the answer or the error does not speak of: "not executed" then holds for one attempt only.
func (c *Client) do(ctx context.Context, q *request) (a answer, maybe bool, err error) {
	if err := ctx.Err(); err != nil {
		return answer{}, false, err
	}
	if as, given := ctx.Value(keyOfCall{}).(string); given {
		q.as = as
	}
	q.still = ctx.Value(passiveCall{}) != nil
	c.requests.Add(1)
	timeout := c.timeout
	if q.alone {
		timeout = max(timeout, aloneTimeout)
	}
	start := time.Now()
	r := race{c: c, q: q, deadline: start.Add(timeout)}
	if d, ok := ctx.Deadline(); ok && d.Before(r.deadline) {
		r.deadline = d
	}
	c.checkUp(start)
	first := c.nearest()
	if first == nil {
		return r.run(ctx, nil, nil)
	}
	l := first.unused()
	if l == nil {
		return r.run(ctx, nil, nil)
	}
	res, ended := c.quick(first, l, &r, start)
	switch ended {
	case stillWaiting:
		return r.run(ctx, &waiter{first, l, start}, nil)
	case lineBroke:
		r.maybe = res.maybe
		return r.run(ctx, nil, nil) // begins at the same site, over another connection
	}
	res.q = q
	if r.judge(&res) == final {
		return res.answer, res.maybe, nil
	}
	return r.run(ctx, nil, &res)
}

// waiter is an attempt that the caller's goroutine began and that has no answer yet.
type waiter struct {
	site  *site
	line  *line
	start time.Time
}

// aloneTimeout is the least deadline of what takes long by its nature.
const aloneTimeout = 10 * time.Second

// How the quick way ended.
type ending uint8

const (
	answered     ending = iota // or not, for good
	stillWaiting               // no answer until it was time to hedge: the connection goes on waiting for one
	lineBroke                  // the connection broke before an answer began, which says nothing about the site: it is replaced once
)

// quick is the common case in the caller's own goroutine, without a timer: the nearest site is healthy, a connection is
// open, the answer comes before it is time to hedge.
func (c *Client) quick(s *site, l *line, r *race, start time.Time) (res result, e ending) {
	c.attempts.Add(1)
	n, err := s.send(l, r.q, r.deadline)
	if err != nil {
		l.conn.Close()
		res, e = result{answer: answer{site: s}, err: err, maybe: n > 0}, lineBroke
		if isTimeout(err) {
			e = answered
		}
		return res, e
	}
	p := c.patience(r.q)
	if p == never {
		p = glance
	}
	until := start.Add(p)
	if until.After(r.deadline) {
		until = r.deadline
	}
	switch err = l.waitFor(until); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return result{}, stillWaiting
	case err != nil:
		l.conn.Close()
		return result{maybe: true}, lineBroke
	}
	return c.finish(s, l, r.deadline, start, nil), answered
}

// finish reads an answer that has begun, or takes note that none will come, and puts the connection back.
func (c *Client) finish(s *site, l *line, deadline, start time.Time, err error) result {
	res := result{answer: answer{site: s}, maybe: true}
	again := false
	if err == nil {
		res.answer, again, err = l.receive(deadline)
		res.site = s
	}
	res.took = time.Since(start)
	if err != nil {
		res.err = fmt.Errorf("site %s: %w", s.base, err)
	}
	if again {
		s.put(l)
	} else {
		l.conn.Close()
	}
	return res
}

// attempt is a whole attempt: connect, send, wait, read. A connection that the site had closed meanwhile is replaced once.
func (c *Client) attempt(s *site, q *request, deadline time.Time) result {
	c.attempts.Add(1)
	start := time.Now()
	l, maybe := s.unused(), false
	if l != nil {
		sent, err := c.ask(s, l, q, deadline)
		if err == nil || isTimeout(err) {
			return c.finish(s, l, deadline, start, err)
		}
		l.conn.Close() // closed while it was unused, most likely; the id is the same, so nothing can happen twice
		maybe = sent
	}
	ctx, cancel := context.WithDeadline(c.life, deadline)
	defer cancel()
	l, err := s.dial(ctx)
	if err != nil {
		return result{answer: answer{site: s}, err: err, maybe: maybe}
	}
	sent, err := c.ask(s, l, q, deadline)
	res := c.finish(s, l, deadline, start, err)
	if res.stale = maybe; err != nil {
		res.maybe = maybe || sent
	}
	return res
}

// breakOff closes a connection when the client is closed, until the function it returns is called.
func (c *Client) breakOff(l *line) (stop func() bool) {
	return context.AfterFunc(c.life, func() { l.conn.Close() })
}

// ask sends a request and waits until the answer begins; sent tells whether anything has left this machine.
func (c *Client) ask(s *site, l *line, q *request, deadline time.Time) (sent bool, err error) {
	defer c.breakOff(l)()
	n, err := s.send(l, q, deadline)
	if err == nil {
		err = l.waitFor(deadline)
	}
	return n > 0, err
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// run is the race proper. waiting is the connection to the first site if an attempt is under way there already; failed is
// how that attempt ended if it was not the last word.
func (r *race) run(ctx context.Context, waiting *waiter, failed *result) (answer, bool, error) {
	r.enter()
	next := time.Now()
	switch {
	case waiting != nil:
		r.adopt(waiting)
		if r.c.patience(r.q) == never {
			next = r.deadline
		}
	case failed != nil && r.turnedAway(failed):
		return failed.answer, r.maybe, nil
	case failed != nil:
		from := r.entry(failed.site)
		from.tries++
		r.setBack(from, failed, next)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next = r.start(next)
		if r.open == 0 && !next.Before(r.deadline) {
			return r.giveUp(ctx)
		}
		timer.Reset(time.Until(next))
		select {
		case res := <-r.results:
			if r.settle(&res) || r.turnedAway(&res) {
				return res.answer, r.maybe || r.open > 0, nil
			}
			if r.c.hasty && r.refused() {
				return answer{}, r.maybe, fmt.Errorf("%w: %w", ErrNobody, r.last)
			}
			next = time.Now()
		case <-timer.C:
			if !time.Now().Before(r.deadline) {
				return r.giveUp(ctx)
			}
		case <-ctx.Done():
			return r.giveUp(ctx)
		}
	}
}

// enter lists the sites: healthy ones first, each kind from near to far. Each is asked once what it is: it may change at any moment.
func (r *race) enter() {
	r.results = make(chan result, len(r.c.sites))
	var last []entry
	for _, s := range r.c.sites {
		if e := (entry{site: s}); s.sick() {
			last = append(last, e)
		} else {
			r.entries = append(r.entries, e)
		}
	}
	r.entries = append(r.entries, last...)
}

// adopt goes on waiting for an attempt that the caller's goroutine began.
func (r *race) adopt(w *waiter) {
	e := r.entry(w.site)
	e.tries, e.open, e.late = 1, true, time.Now() // the caller's goroutine has waited for as long as anybody gets
	r.open++
	q := r.q
	r.c.spawn(func() {
		defer r.c.breakOff(w.line)()
		res := r.c.finish(w.site, w.line, r.deadline, w.start, w.line.waitFor(r.deadline))
		res.q = q
		r.results <- res
	})
}

func (r *race) entry(s *site) *entry {
	i := slices.IndexFunc(r.entries, func(e entry) bool { return e.site == s })
	return &r.entries[i]
}

// start begins an attempt at the best site that is free, if it is time, and returns when it is time for the next one.
func (r *race) start(next time.Time) time.Time {
	now := time.Now()
	if now.Before(next) {
		return next
	}
	best, earliest := r.best(now)
	if best == nil {
		return earliest
	}
	if r.asked() && !r.c.budget.take(now, r.maybe && r.open == 0) {
		return now.Add(budgetPause)
	}
	best.tries++
	best.open = true
	if r.open++; r.open > 1 {
		r.c.hedges.Add(1)
	}
	s, q := best.site, r.q
	r.c.spawn(func() {
		res := r.c.attempt(s, q, r.deadline)
		res.q = q
		r.results <- res
	})
	best.late = r.deadline
	if p := r.patience(); p < r.deadline.Sub(now) {
		best.late = now.Add(p)
	}
	return best.late
}

// patience is how long the attempt that was begun last may stay without an answer. Where one has stayed so before it, something is wrong, and more than one
// site may be lost: then it is half as long each time.
func (r *race) patience() time.Duration {
	p := r.c.patience(r.q)
	if p == never {
		return p
	}
	return max(r.c.hedge, p>>max(r.open-1, 0))
}

// asked reports whether some site has, or may have, work with this call: what follows is asking again. While no site can be reached at
// all, or those that can have no majority, callers try again and again and burden nobody; that must not use up what they may ask when one can.
func (r *race) asked() bool { return r.reached || r.open > 0 }

// best is the site to ask now: of those that are not being asked, the one that was asked least. If there is none, the
// second result is when there may be one.
func (r *race) best(now time.Time) (best *entry, earliest time.Time) {
	earliest = r.deadline
	for i := range r.entries {
		e := &r.entries[i]
		switch {
		case e.open:
		case e.notBefore.After(now):
			if e.notBefore.Before(earliest) {
				earliest = e.notBefore
			}
		case best == nil || e.tries < best.tries:
			best = e
		}
	}
	return best, earliest
}

// settle takes a result in, and reports whether it is the last word.
func (r *race) settle(res *result) bool {
	r.open--
	from := r.entry(res.site)
	from.open = false
	now := time.Now()
	if r.judge(res) == final {
		r.lag(now)
		return true
	}
	r.setBack(from, res, now)
	return false
}

// judge tells whether a result is the last word. If it is that for a part of the request only, the race is for the rest.
func (r *race) judge(res *result) verdict {
	v := r.c.judge(res.q, res)
	r.maybe = r.maybe || res.maybe
	r.reached = r.reached || res.maybe || res.err == nil && !powerless(&res.answer)
	if v == goOn || res.q.rest == nil {
		return v
	}
	rest, why := res.q.rest(res.answer, r.maybe || r.open > 0)
	if rest == nil {
		return final
	}
	rest.as, rest.still = r.q.as, r.q.still
	r.q, res.err = rest, why
	return goOn
}

// turnedAway reports whether a site had too much to do, and nothing is left to ask another one with: then the caller had better know it
// now than at his deadline.
func (r *race) turnedAway(res *result) bool {
	return res.err == nil && res.status == http.StatusTooManyRequests && r.open == 0 && !r.c.budget.any(time.Now(), r.maybe)
}

// lag notes the sites that have not answered, although another one has, in the time after which others are asked. One that was asked a moment
// ago, as the last of a race mostly was, has shown nothing by losing it.
func (r *race) lag(now time.Time) {
	for i := range r.entries {
		if e := &r.entries[i]; e.open && !e.late.After(now) {
			e.site.bad(now)
		}
	}
}

// setBack keeps a site that did not give a final answer out of the race for a moment.
func (r *race) setBack(e *entry, res *result, now time.Time) {
	pause := min(pauseFirst<<min(e.tries-1, 10), pauseMost)
	switch {
	case res.status == http.StatusTooManyRequests:
		pause = max(pause, res.retryAfter)
	case res.err == nil && powerless(&res.answer): // asking costs no budget, and the site may serve others meanwhile
		pause = min(2*pauseFirst<<min(e.tries-1, 10), 2*pauseMost)
	}
	e.notBefore = now.Add(pause)
	e.refused = errors.Is(res.err, syscall.ECONNREFUSED)
	if r.last = res.err; r.last == nil {
		r.last = problemError(&res.answer)
	}
}

// refused reports whether nobody listens at any of the sites.
func (r *race) refused() bool {
	return !slices.ContainsFunc(r.entries, func(e entry) bool { return e.open || !e.refused })
}

const (
	pauseFirst = 20 * time.Millisecond
	pauseMost  = 200 * time.Millisecond
)

// giveUp ends the race without a final answer. Attempts that are under way may still be executed.
func (r *race) giveUp(ctx context.Context) (answer, bool, error) {
	err := ctx.Err()
	if err == nil {
		err = context.DeadlineExceeded
	}
	if r.last != nil {
		err = fmt.Errorf("%w; the last answer was: %w", err, r.last)
	}
	return answer{}, r.maybe || r.open > 0, err
}

// verdict is what a result means for the race.
type verdict bool

const (
	final verdict = true
	goOn  verdict = false
)

// judge tells whether a result is the last word, and remembers how the site did.
//
//	no answer, 5xx                   goes on; it may have been executed, unless the site says "not executed"
//	429                              goes on; not executed
//	everything else                  final; what it says is so
//
// That is about the last connection of the attempt. What was sent over one that broke before may have been executed.
func (c *Client) judge(q *request, res *result) verdict {
	now := time.Now()
	switch {
	case res.err != nil:
		c.failures.Add(1)
		res.site.bad(now)
		return goOn
	case res.status == http.StatusTooManyRequests:
		res.site.good()
		res.maybe = res.stale
	case res.status >= http.StatusInternalServerError:
		c.failures.Add(1)
		if res.status != http.StatusGatewayTimeout { // an election looks like this from every site
			res.site.bad(now)
		}
		res.maybe = res.stale || !saysNotExecuted(&res.answer)
	default:
		res.site.good()
		c.budget.earn(now)
		c.paces[q.pace].observe(res.took)
		res.maybe = res.stale
		return final
	}
	return verdict(q.once)
}

// saysNotExecuted reports whether a problem document says so.
func saysNotExecuted(a *answer) bool {
	var p struct {
		Outcome string `json:"outcome"`
	}
	return a.problem && json.Unmarshal(a.body, &p) == nil && p.Outcome == "not-executed"
}

// powerless reports whether an answer is that of a site which cannot reach a majority: it has not begun with the request.
func powerless(a *answer) bool {
	var p struct {
		Outcome string `json:"outcome"`
		Code    string `json:"code"`
	}
	return a.problem && a.status == http.StatusServiceUnavailable && json.Unmarshal(a.body, &p) == nil && p.Outcome == "not-executed" &&
		p.Code == holdfast.CodeNoQuorum.String()
}

// nearest is the first healthy site; nil: there is none.
func (c *Client) nearest() *site {
	for _, s := range c.sites {
		if !s.sick() {
			return s
		}
	}
	return nil
}

// checkUp asks the sick sites whose time is over how they are. It costs a payment nothing.
func (c *Client) checkUp(now time.Time) {
	for _, s := range c.sites {
		if s.due(now) && s.probing.CompareAndSwap(false, true) {
			c.spawn(func() {
				defer s.probing.Store(false)
				c.probe(s)
			})
		}
	}
}

const probeTimeout = 500 * time.Millisecond

// probe asks a sick site whether it is ready.
func (c *Client) probe(s *site) {
	q := &request{method: http.MethodGet, path: "/readyz", once: true}
	res := c.attempt(s, q, time.Now().Add(probeTimeout))
	if res.err == nil && res.status == http.StatusOK {
		s.good()
		return
	}
	s.bad(time.Now())
}
