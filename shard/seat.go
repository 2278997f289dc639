package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/store"
)

// seat is the place of one shard's replica at this site. Its consensus goroutine (run) takes the replica from birth through
// one life after another: a life ends when a checkpoint was installed, when its disk was wiped, or for good.
type seat struct {
	host      *Host
	id        holdfast.ShardID
	shard     *store.Shard
	intake    *Intake
	forwarded *Forwarded
	inbox     inbox
	lead      atomic.Pointer[Leadership]
	changed   broadcast     // of lead, or of declined
	declined  atomic.Uint64 // how many times another replica did not want to lead
	life      atomic.Pointer[life]
	out       atomic.Pointer[error]  // why it is out of service
	doubted   atomic.Bool            // it was said that the replica is out of service because of a doubt
	judged    broadcast              // a doubt was settled, or could not be
	keeping   sync.Mutex             // held while a decision is stored
	waits     atomic.Pointer[string] // what it waits for before it wipes its disk; nil: nothing
	corrupt   atomic.Bool            // it is out of service because of its disk
	orders    chan *rebuildOrder     // for a replica out of service
	status    atomic.Pointer[ShardStatus]
	refuses   atomic.Bool          // the disk is full, and nobody else can lead
	ticks     signal               // from the host's clock; none while it sleeps
	rest      atomic.Pointer[Rest] // nil: it is awake; written by the consensus goroutine
	steps     atomic.Bool          // the consensus goroutine is at work just now
	late      int                  // the host's clock: ticks in which it was at work although it is asleep
	pulling   atomic.Bool
	joining   atomic.Bool

	later    bool                    // it is born in a running fleet: see Host.AddShard
	founders atomic.Pointer[Members] // of a shard that is born later, as the fleet has decided; nil: not told
	foretold signal                  // founders were told

	requests sync.Pool // of *call
	readings sync.Pool // of *reading

	announce *Offer            // consensus goroutine: whom to tell that a checkpoint was installed
	spoilt   []holdfast.SiteID // consensus goroutine: whose checkpoints contradicted themselves since the last that was installed
	pulls    sync.WaitGroup
	stopPull context.CancelFunc // consensus goroutine: ends the pull under way; nil: there was none
	silent   []holdfast.SiteID  // whoever has pulling: sites that did not say how large their checkpoint is
	short    atomic.Pointer[shortage]
}

func newSeat(h *Host, id holdfast.ShardID) *seat {
	s := &seat{host: h, id: id, shard: h.config.Store.Shard(id), intake: h.newIntake(), forwarded: NewForwarded(), orders: make(chan *rebuildOrder), foretold: newSignal()}
	s.inbox.wake, s.ticks = newSignal(), newSignal()
	s.lead.Store(&Leadership{})
	s.requests.New = func() any { return newCall() }
	s.readings.New = func() any { return newReading() }
	return s
}

// newIntake makes an intake that knows when the callers of this host go.
func (h *Host) newIntake() *Intake {
	in := NewIntake()
	in.clock = func() int64 { return int64(time.Since(h.epoch)) }
	return in
}

// inbox is what others leave for the consensus goroutine.
type inbox struct {
	wake  signal
	mu    sync.Mutex // guards what follows
	mail  mail
	bytes int
}

type mail struct {
	messages []inMessage
	reads    []*ReadRequest
	pasts    []*PastRequest
	calls    []control
	pulled   *pulled
	beat     *heardBeat // the latest
}

type inMessage struct {
	from    holdfast.SiteID
	payload []byte
}

type control struct {
	do   func(*Replica) error
	done chan error
}

// Bounds of an inbox. Messages beyond them are dropped, as by a network; the others are refused.
const (
	maxMailBytes = 64 << 20
	maxMailReads = 64 << 10
	maxMailCalls = 256
)

func (b *inbox) message(from holdfast.SiteID, payload []byte) {
	b.mu.Lock()
	if b.bytes < maxMailBytes {
		b.bytes += len(payload) + 64
		b.mail.messages = append(b.mail.messages, inMessage{from, payload})
	}
	b.mu.Unlock()
	b.wake.set()
}

func (b *inbox) read(q *ReadRequest) error {
	b.mu.Lock()
	full := len(b.mail.reads) >= maxMailReads
	if !full {
		b.mail.reads = append(b.mail.reads, q)
	}
	b.mu.Unlock()
	if full {
		return ErrOverloaded
	}
	b.wake.set()
	return nil
}

func (b *inbox) call(c control) error {
	b.mu.Lock()
	full := len(b.mail.calls) >= maxMailCalls
	if !full {
		b.mail.calls = append(b.mail.calls, c)
	}
	b.mu.Unlock()
	if full {
		return ErrOverloaded
	}
	b.wake.set()
	return nil
}

func (b *inbox) heard(beat *heardBeat) {
	b.mu.Lock()
	b.mail.beat = beat
	b.mu.Unlock()
	b.wake.set()
}

func (b *inbox) arrived(p *pulled) {
	b.mu.Lock()
	b.mail.pulled = p
	b.mu.Unlock()
	b.wake.set()
}

func (b *inbox) take() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mail
	b.mail, b.bytes = mail{}, 0
	return m
}

// call is a Request with a channel to wait on, for reuse.
type call struct {
	Request
	done chan struct{}
}

func newCall() *call {
	c := &call{done: make(chan struct{}, 1)}
	c.Answer = func(*Request) { c.done <- struct{}{} }
	return c
}

// reading is a ReadRequest with a channel to wait on, for reuse.
type reading struct {
	ReadRequest
	done chan struct{}
}

func newReading() *reading {
	r := &reading{done: make(chan struct{}, 1)}
	r.Answer = func(*ReadRequest) { r.done <- struct{}{} }
	return r
}

// submit queues a batch and waits. Only a call that has its outcomes is reused: then every part of it was proposed and applied,
// and nobody holds it any more. One that is given up may still be answered, and one that failed may still stand in a queue.
func (s *seat) submit(ctx context.Context, bulk bool, b Batch) ([]holdfast.Outcome, error) {
	c := s.requests.Get().(*call)
	c.Batch, c.Bulk, c.Until = b, bulk, 0
	if until, ok := ctx.Deadline(); ok {
		c.Until = max(1, int64(until.Sub(s.host.epoch)))
	}
	if err := s.intake.Put(&c.Request); err != nil {
		return nil, err
	}
	s.inbox.wake.set()
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.Withdraw() {
			return nil, fmt.Errorf("shard %d: %w", s.id, ErrTimeout)
		}
		select {
		case <-c.done: // answered at the last moment
		default:
			return nil, fmt.Errorf("shard %d: %w", s.id, ErrLost)
		}
	}
	if errors.Is(c.Err, ErrTimeout) {
		return nil, fmt.Errorf("shard %d: %w", s.id, ErrTimeout)
	}
	if c.Err != nil {
		return nil, c.Err
	}
	outcomes := c.Outcomes
	c.reset()
	s.requests.Put(c)
	return outcomes, nil
}

// reset makes an answered request ready for another use.
func (r *Request) reset() {
	r.Batch, r.Outcomes, r.Err, r.next = Batch{}, nil, nil, 0
	r.open, r.whole, r.settled = 0, false, false
	r.state.Store(requestQueued)
}

// confirm waits until what is applied here is new enough for a linearizable read.
func (s *seat) confirm(ctx context.Context) error {
	if s.life.Load() == nil {
		return s.absent()
	}
	q := s.readings.Get().(*reading)
	if err := s.inbox.read(&q.ReadRequest); err != nil {
		return err
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return fmt.Errorf("read of shard %d: %w: %w", s.id, ErrNoQuorum, ctx.Err())
	}
	err := q.Err
	q.Err, q.ticks, q.index = nil, 0, 0
	s.readings.Put(q)
	return err
}

// absent is why there is no replica to ask.
func (s *seat) absent() error {
	if out := s.out.Load(); out != nil {
		return fmt.Errorf("shard %d: %w: %w", s.id, ErrOutOfService, *out)
	}
	if doubt := s.doubt(); doubt != nil {
		return fmt.Errorf("shard %d: %w: %w", s.id, ErrOutOfService, *doubt)
	}
	if s.host.ctx.Err() != nil {
		return ErrStopping
	}
	return fmt.Errorf("shard %d is not ready here: %w", s.id, ErrNoQuorum)
}

func (s *seat) notLeading(lead *Leadership) error {
	if s.life.Load() == nil && (s.out.Load() != nil || s.host.ctx.Err() != nil) {
		return s.absent()
	}
	return NotLeaderError{Shard: s.id, Leader: lead.Site}
}

// do runs fn on the consensus goroutine.
func (s *seat) do(ctx context.Context, fn func(*Replica) error) error {
	if s.life.Load() == nil {
		return s.absent()
	}
	c := control{do: fn, done: make(chan error, 1)}
	if err := s.inbox.call(c); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("shard %d: %w", s.id, ctx.Err())
	case <-s.host.ctx.Done():
		return ErrStopping
	}
}

// run is the consensus goroutine.
func (s *seat) run() {
	for {
		err := s.live()
		s.quiet(err)
		if s.host.ctx.Err() != nil {
			s.intake.Close(ErrStopping)
			s.refuseMail(ErrStopping)
			return
		}
		if err != nil && !s.survive(err) {
			return
		}
	}
}

// quiet takes the replica off the stage between lives.
func (s *seat) quiet(err error) {
	s.life.Store(nil)
	s.rest.Store(nil)
	s.host.unlist(s.id)
	s.judged.send()
	s.setLead(Leadership{})
	s.intake.Refuse(NotLeaderError{Shard: s.id})
	s.refuseMail(ErrNoQuorum)
	if err != nil && !errors.Is(err, errStopped) {
		s.host.config.Logger.Error("replica stopped", "shard", s.id, "err", err)
	}
}

func (s *seat) refuseMail(err error) {
	s.inbox.take().refuse(err)
}

func (m mail) refuse(err error) {
	for _, q := range m.reads {
		q.Err = err
		q.Answer(q)
	}
	for _, q := range m.pasts {
		q.Err = err
		q.Answer(q)
	}
	for _, c := range m.calls {
		c.done <- err
	}
}

func (s *seat) setLead(now Leadership) {
	if old := s.lead.Swap(&now); *old != now {
		s.refuses.Store(false) // Decide says it anew
		s.changed.send()
		s.host.config.OnEvent(Event{Kind: EventLeader, Shard: s.id, Leader: now})
	}
}

// survive decides what a failed life means: the process stops, or the replica leaves service and perhaps begins again. It
// reports whether there is another life.
func (s *seat) survive(err error) bool {
	if order := (*rebuildOrder)(nil); errors.As(err, &order) {
		return s.obey(order)
	}
	switch ConditionOf(err) {
	case Corrupt:
		return s.condemned(err)
	case Differs:
		s.host.config.OnEvent(Event{
			Kind: EventOutOfService, Shard: s.id, Err: err,
			Text: "the replica has taken itself out of service and keeps its data: copy the data directory, start the site again, and if it " +
				"differs still, order it to be rebuilt",
		})
		return s.outOfService(err, false)
	default:
		s.host.die(fmt.Errorf("shard %d: %w", s.id, err))
	}
	return false
}

// alone reports that nobody else could teach this replica what its disk has lost.
func (s *seat) alone() bool { return len(s.host.peers()) < 2 }

// identify makes sure that the disk has an identity, on disk before anybody hears of it.
func (s *seat) identify() (store.Identity, error) {
	id := s.shard.Identity()
	if id.Replica != 0 {
		return id, nil
	}
	random, err := s.random()
	if err != nil {
		return id, err
	}
	id = store.Identity{Replica: uint64(NewReplicaID(random, s.host.config.Site))}
	if err := s.shard.SetIdentity(id); err != nil {
		return id, fmt.Errorf("writing the identity of shard %d: %w", s.id, err)
	}
	return id, nil
}

func (s *seat) random() ([8]byte, error) { return randomFrom(s.host.config.Random) }

func randomFrom(r io.Reader) (b [8]byte, err error) {
	if _, err = io.ReadFull(r, b[:]); err != nil {
		return b, fmt.Errorf("random bytes: %w", err)
	}
	return b, nil
}

// errStopped ends a life because the host stops.
var errStopped = errors.New("the host is stopping")

// birth returns when this replica has members to begin with.
func (s *seat) birth() error {
	for {
		id, err := s.identify()
		if err != nil {
			return err
		}
		if id.Born {
			return nil
		}
		self := Report{Site: s.host.config.Site, Replica: ReplicaID(id.Replica)}
		born := s.decide(self)
		if born.Kind != BirthWait {
			id.Born, id.Birth = true, born.Founders.Append(nil)
			s.host.config.OnEvent(Event{Kind: EventBorn, Shard: s.id, Text: born.Kind.String()})
			return s.shard.SetIdentity(id)
		}
		s.refuseMail(ErrNoQuorum)
		select {
		case <-time.After(s.birthPause()):
		case <-s.foretold:
		case <-s.host.ctx.Done():
			return errStopped
		}
	}
}

// report is what this site says about itself.
func (s *seat) report() (Report, error) {
	id := s.shard.Identity()
	r := Report{Site: s.host.config.Site, Replica: ReplicaID(id.Replica), Born: id.Born}
	if !id.Born {
		return r, nil
	}
	from, err := CheckpointOf(s.shard)
	r.Members = from.Members
	return r, err
}

// askReports asks all other sites at once. A site that is not there yet gives no report, and without it nothing is decided.
func (s *seat) askReports() []Report {
	var list []Report
	s.askOthers(methodBirth, appendShard(nil, s.id), func(site holdfast.SiteID, answer []byte) {
		if r, err := ParseReport(answer); err == nil && r.Site == site {
			list = append(list, r)
		}
	})
	return list
}

// askOthers asks all other sites at once, and gives the answers that come within a second to took, one after the other.
func (s *seat) askOthers(method string, payload []byte, took func(from holdfast.SiteID, answer []byte)) {
	ctx, cancel := context.WithTimeout(s.host.ctx, time.Second)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, site := range s.host.peers() {
		if site == s.host.config.Site {
			continue
		}
		wg.Go(func() {
			answer, err := s.host.config.Call(ctx, site, method, payload)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took(site, answer)
		})
	}
	wg.Wait()
}

func (s *seat) describe() ShardStatus {
	var st ShardStatus
	if p := s.status.Load(); p != nil {
		st = *p
	}
	st.Shard = s.id
	st.Node.Leader = *s.lead.Load()
	if out := s.out.Load(); out != nil {
		st.OutOfService = *out
	} else if doubt := s.doubt(); doubt != nil {
		st.OutOfService = *doubt
	}
	if waits := s.waits.Load(); waits != nil {
		st.Waits = *waits
	}
	if l := s.life.Load(); l != nil {
		st.Sealed = l.machine.Sealed()
	}
	st.WaitingSingles, st.WaitingBulks = s.intake.Waiting()
	st.Pulling, st.Asleep = s.pulling.Load(), s.rest.Load() != nil
	st.NoSpace = s.short.Load().text()
	return st
}
