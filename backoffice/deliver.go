package backoffice

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/webhook"
)

// DeliverConfig is how merchants are told.
type DeliverConfig struct {
	// Poster makes the attempts: a webhook.Poster, each of whose attempts takes at most Pool.Within.
	Poster interface {
		Post(ctx context.Context, x webhook.Post) webhook.Answer
	}
	Pool webhook.PoolConfig
	// Notices makes the notices of the gateway; nil: there are none. Accepted judges an answer to one, and Wait tells when it is tried again after
	// so many attempts: false, not any more.
	Notices  Notices
	Accepted func(status int, body []byte) bool
	Wait     func(attempts int) (wait time.Duration, more bool)
}

// Notices makes the notice of an event. ok is false when the gateway does not tell events of its kind.
type Notices interface {
	NoticeOf(ctx context.Context, e *pay.Event) (url, form string, ok bool, err error)
}

const (
	maxHints   = 16 << 10 // events that wait to be looked at
	hintHands  = 8        // look at them
	maxInHand  = 64 << 10 // deliveries that wait in lanes, are under way or are being recorded
	maxIdle    = 32 << 10 // of the latest that turned out to be nothing, twice
	laneAiling = 16       // deliveries that wait for a receiver who ails
	staleHint  = 15 * time.Second
	ailingFrom = 3                // attempts in a row that were not answered: the receiver counts as ailing
	probeEvery = 30 * time.Second // and is tried again
	freeHolds  = 5 * time.Minute  // after an event: until then an attempt that was not made is none
	maxAiling  = 4096
)

// ailment is that a receiver does not answer, or not soon. Attempts that would only wait for him are not made (held), and nothing else has to wait
// until they have been. In the first minutes after an event they come again when he is tried; later they count as failed ones, so that a
// receiver who never comes back is given up at last.
type ailment struct {
	unanswered int // in a row
	last       time.Time
}

// job is one event on its way to one target.
type job struct {
	name     jobName
	event    *pay.Event
	held     bool         // the attempt was not made, because the receiver does not answer
	had      pay.Delivery // as recorded before; Version 0: not at all
	to       *target      // nil: a notice
	receiver string       // whose lane it is in; "": none
	since    time.Time    // it was due, or heard of
	hint     bool

	// What the attempt came to when there was none: there is nothing to deliver, or the platform could not make what is delivered.
	nothing, unmade bool
}

type jobName struct {
	merchant      holdfast.Owner
	event, target string
}

// verdict is what became of handing a job in.
type verdict uint8

const (
	taken   verdict = iota // it is in hand, and will be recorded
	inHand                 // it was already
	noRoom                 // later
	nothing                // the gateway has no notice for it
)

// deliverer tells merchants what has happened. What has to be told stands in records: events without a delivery, and deliveries that are due. A
// hint saves the time until those are looked through (sweep).
type deliverer struct {
	*Office
	DeliverConfig
	hints   chan *pay.Event
	known   *register
	books   *recorder
	measure *deliverMetrics
	dropped atomic.Uint64 // hints

	pool *webhook.Pool // while it runs

	mu     sync.Mutex
	jobs   map[jobName]*job
	ailing map[string]ailment  // receivers who did not answer the last attempt, or took long
	idle   [2]map[jobName]bool // what turned out to be nothing to deliver, the latest first
	behind map[string]float64  // seconds, of each sweep
}

func openDeliver(o *Office) (part, error) {
	c := o.cfg.Deliver
	if c == nil {
		return nil, nil
	}
	if c.Poster == nil {
		return nil, errors.New("the Poster has to be given")
	}
	if c.Notices != nil && (c.Accepted == nil || c.Wait == nil) {
		return nil, errors.New("with Notices, Accepted and Wait must be given")
	}
	d := &deliverer{
		Office: o, DeliverConfig: *c, hints: make(chan *pay.Event, maxHints),
		jobs: map[jobName]*job{}, ailing: map[string]ailment{}, idle: [2]map[jobName]bool{{}, {}}, behind: map[string]float64{},
	}
	d.Pool.Within, d.Pool.Queue = cmp.Or(d.Pool.Within, 10*time.Second), cmp.Or(d.Pool.Queue, 256)
	d.known, d.books = newRegister(o), newRecorder(o)
	d.measure = newDeliverMetrics(d)
	if err := o.register(d.measure.all()...); err != nil {
		return nil, err
	}
	o.deliver = d
	return d, nil
}

// Told is a hint that an event has happened: [pay.Config].Told. It may come from any site's cashier, whoever leads the merchant's shard: this office
// tries to deliver it at once, and whoever leads finds it later if that came to nothing. It never blocks.
func (o *Office) Told(e *pay.Event) {
	o.forget.told(e)
	if d := o.deliver; d != nil {
		select {
		case d.hints <- e:
		default:
			d.dropped.Add(1)
		}
	}
}

// run delivers until the context ends. What is under way then is given up and found again; what has been answered is still recorded.
func (d *deliverer) run(ctx context.Context) {
	d.pool = webhook.NewPool(d.Pool)
	d.books.start()
	var all sync.WaitGroup
	for range hintHands {
		all.Go(func() { d.takeHints(ctx) })
	}
	all.Go(func() { d.sweepAll(ctx) })
	all.Wait()
	d.pool.Close()
	d.books.stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.jobs)
}

func (d *deliverer) takeHints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-d.hints:
			jobs, err := d.jobsOf(ctx, e)
			if err != nil {
				continue // whoever sweeps finds it
			}
			for _, j := range jobs {
				j.hint = true
				d.hand(j)
			}
		}
	}
}

// jobsOf are all deliveries of an event, as if none had been made.
func (d *deliverer) jobsOf(ctx context.Context, e *pay.Event) (list []*job, err error) {
	if e.Notify != "" && d.Notices != nil {
		list = append(list, d.job(e, pay.NoticeTarget, nil))
	}
	if !e.Kind.Public() {
		return list, nil
	}
	targets, err := d.known.of(ctx, e.Merchant)
	for _, t := range targets {
		if t.Wants(e) {
			list = append(list, d.job(e, t.ID, t))
		}
	}
	return list, err
}

func (d *deliverer) job(e *pay.Event, name string, to *target) *job {
	j := &job{name: jobName{e.Merchant, e.Stamp(), name}, event: e, to: to, since: d.cfg.Now()}
	j.had = pay.Delivery{Merchant: e.Merchant, Event: j.name.event, Target: name, Kind: e.Kind}
	return j
}

// lane is one of a merchant and a host, so that nobody has to wait for somebody else's receiver.
func (j *job) lane() string {
	if j.to != nil {
		return j.name.merchant.String() + " " + j.to.host
	}
	return j.name.merchant.String() + " " + hostOf(j.event.Notify)
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return ""
}

// hand takes a job in hand, unless it is already, or there is no room.
func (d *deliverer) hand(j *job) verdict {
	d.mu.Lock()
	if d.jobs[j.name] != nil {
		d.mu.Unlock()
		return inHand
	}
	if d.idle[0][j.name] || d.idle[1][j.name] {
		d.mu.Unlock()
		return nothing
	}
	if len(d.jobs) >= maxInHand {
		d.mu.Unlock()
		return noRoom
	}
	d.jobs[j.name] = j
	d.mu.Unlock()
	j.receiver = j.lane()
	if d.held(j) {
		j.held = true
		d.record(j, d.holding())
		return taken
	}
	x := webhook.Parcel{Receiver: j.receiver, Done: func(a webhook.Answer) { d.answered(j, a) }}
	x.Post = func(ctx context.Context) webhook.Answer { return d.post(ctx, j) }
	if !d.pool.Offer(x) {
		d.release(j)
		return noRoom
	}
	return taken
}

// held reports whether an attempt would only wait for a receiver who does not answer, or not soon.
func (d *deliverer) held(j *job) bool {
	d.mu.Lock()
	a, ails := d.ailing[j.receiver]
	d.mu.Unlock()
	switch {
	case !ails:
		return false
	case a.unanswered >= ailingFrom && d.cfg.Now().Sub(a.last) < probeEvery:
		return true
	}
	return d.Pool.Queue-d.pool.Room(j.receiver) > laneAiling
}

func (d *deliverer) holding() webhook.Answer {
	d.measure.held.Inc()
	return webhook.Answer{At: d.cfg.Now(), Why: "it was not tried: the receiver does not answer, and is tried with other events now and then"}
}

// release forgets a job: it is recorded, or somebody will find it again.
func (d *deliverer) release(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.jobs, j.name)
}

// post makes one attempt.
func (d *deliverer) post(ctx context.Context, j *job) webhook.Answer {
	if j.hint && d.cfg.Now().Sub(j.since) > staleHint && !d.cfg.Books.Leads(j.name.merchant) {
		j.nothing = true // whoever leads has found it
		return webhook.Answer{}
	}
	if d.held(j) {
		j.unmade, j.held = true, true
		return d.holding()
	}
	x, err := d.letter(ctx, j)
	switch {
	case err != nil:
		d.cfg.Logger.Warn("an event could not be put into words", "merchant", j.name.merchant.String(), "event", j.name.event, "error", err)
		j.unmade = true
		return webhook.Answer{At: d.cfg.Now(), Why: "the platform could not make the notice; it tries again"}
	case j.nothing:
		return webhook.Answer{}
	}
	return d.Poster.Post(ctx, x)
}

// letter is what is posted.
func (d *deliverer) letter(ctx context.Context, j *job) (x webhook.Post, err error) {
	if j.to == nil {
		address, form, ok, err := d.Notices.NoticeOf(ctx, j.event)
		if err == nil && !ok {
			j.nothing = true
			d.noteIdle(j)
		}
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}, "User-Agent": {userAgent}}
		return webhook.Post{URL: address, Header: header, Body: []byte(form), Accept: d.Accepted}, err
	}
	body, err := bodyOf(j.event)
	if err != nil {
		return x, err
	}
	at, id := d.cfg.Now(), EventID(j.event)
	return webhook.Post{URL: j.to.URL, Body: body, Header: http.Header{
		"Content-Type":          {"application/json"},
		"User-Agent":            {userAgent},
		webhook.HeaderID:        {id},
		webhook.HeaderTimestamp: {strconv.FormatInt(at.Unix(), 10)},
		webhook.HeaderSignature: {webhook.Sign(j.to.secrets, id, at, body)},
	}}, nil
}

// noteIdle notes that the gateway has no notice for an event.
func (d *deliverer) noteIdle(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle[0]) >= maxIdle {
		d.idle = [2]map[jobName]bool{{}, d.idle[0]} // what is forgotten is asked again
	}
	d.idle[0][j.name] = true
}

const userAgent = "Holdfast"

// answered takes the answer to an attempt.
func (d *deliverer) answered(j *job, a webhook.Answer) {
	if j.nothing {
		d.release(j)
		return
	}
	if !j.unmade {
		d.judge(j.receiver, &a)
		d.measure.count(j, &a)
	}
	if a.Gone && j.to != nil {
		d.disable(j)
	}
	d.record(j, a)
}

// judge notes how a receiver has taken an attempt.
func (d *deliverer) judge(receiver string, a *webhook.Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	had, ails := d.ailing[receiver]
	switch {
	case a.Status != 0 && a.Took <= d.Pool.Within/2:
		delete(d.ailing, receiver)
	case a.Status != 0:
		d.ailing[receiver] = ailment{last: d.cfg.Now()}
	case ails || len(d.ailing) < maxAiling:
		d.ailing[receiver] = ailment{had.unanswered + 1, d.cfg.Now()}
	}
}

// disable ends deliveries to an endpoint whose receiver wants none any more.
func (d *deliverer) disable(j *job) {
	ctx, cancel := context.WithTimeout(context.Background(), recordWithin)
	defer cancel()
	off := true
	x := pay.EndpointChange{Off: &off, Why: "Its receiver answered 410 Gone."}
	if _, err := d.cfg.Cashier.ChangeEndpoint(ctx, j.name.merchant, j.to.ID, x, d.now()); err != nil {
		d.cfg.Logger.Warn("an endpoint that is gone could not be disabled; it will answer the same again",
			"merchant", j.name.merchant.String(), "endpoint", j.to.ID, "error", err)
	}
	d.known.forget(j.name.merchant)
}

// record notes an attempt, and has the job released when it stands there.
func (d *deliverer) record(j *job, a webhook.Answer) {
	v := j.had
	free := j.held && d.cfg.Now().Sub(j.event.Time.Std()) < freeHolds
	if !free {
		v.Attempts++
	}
	v.At, v.Took, v.Status, v.Answer, v.Why = holdfast.TimeOf(a.At), a.Took, uint32(a.Status), string(a.Body), a.Why
	if v.Begun == 0 {
		v.Begun = v.At
	}
	v.Done, v.Next = a.Taken, 0
	switch {
	case free:
		v.Next = holdfast.TimeOf(d.cfg.Now().Add(probeEvery + time.Duration(d.cfg.Random()*float64(probeEvery)/10)))
	case !a.Taken && !(a.Gone && j.to != nil):
		v.Next = d.next(j, v.Attempts-v.Again)
	}
	if !v.Done && v.Next == 0 {
		d.measure.givenUp.Inc()
	}
	d.books.put(v, func() { d.release(j) })
}

// next is when a delivery is tried again after so many attempts; 0: not any more.
func (d *deliverer) next(j *job, attempts uint32) holdfast.Time {
	now := d.cfg.Now()
	if j.to != nil {
		if again, more := webhook.Next(int(attempts), now, d.cfg.Random()); more {
			return holdfast.TimeOf(again)
		}
		return 0
	}
	if wait, more := d.Wait(int(attempts)); more {
		return holdfast.TimeOf(now.Add(wait))
	}
	return 0
}

// end records that a delivery is not tried any more.
func (d *deliverer) end(had pay.Delivery, why string) {
	j := &job{name: jobName{had.Merchant, had.Event, had.Target}, had: had}
	d.mu.Lock()
	taken := d.jobs[j.name] != nil
	if !taken {
		d.jobs[j.name] = j
	}
	d.mu.Unlock()
	if taken {
		return
	}
	had.Next, had.Why = 0, why
	d.measure.givenUp.Inc()
	d.books.put(had, func() { d.release(j) })
}

// isInHand reports whether a delivery is in hand.
func (d *deliverer) isInHand(name jobName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.jobs[name] != nil
}
