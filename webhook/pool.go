package webhook

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// PoolConfig are the bounds of a pool. Zero takes what stands behind.
type PoolConfig struct {
	UnderWay    int // posts at once, of all receivers; 256
	PerReceiver int // posts at once to one receiver who answers in time; 8
	Queue       int // events that wait in the lane of one receiver; 256
	Lanes       int // receivers that are remembered; those with events that wait or are under way always are; 4096
	// Within is after how long the caller's post gives up, and a receiver counts as slow when it took half of it; 10 s.
	Within time.Duration
}

// Parcel is an event on its way to a receiver.
type Parcel struct {
	Receiver string // whose lane it takes
	// Post makes one attempt, and returns what became of it. It ends when the context does. It is called on a goroutine of the pool.
	Post func(ctx context.Context) Answer
	// Done takes the answer. It is called once on the same goroutine, unless the pool was closed before Post was.
	Done func(Answer)
}

// Pool posts for many receivers at once. It is safe for concurrent use.
type Pool struct {
	cfg    PoolConfig
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu       sync.Mutex
	lanes    map[string]*lane
	turns    []*lane // lanes with something that may begin, each once
	underWay int
	closed   bool
}

type lane struct {
	queue    []Parcel
	underWay int
	how      habit
	waits    bool // it is in turns
}

// habit is how the receiver of a lane took the last post.
type habit uint8

const (
	unknown habit = iota
	prompt
	slow
)

// NewPool makes a pool. Close it.
func NewPool(c PoolConfig) *Pool {
	c.UnderWay, c.PerReceiver = cmp.Or(c.UnderWay, 256), cmp.Or(c.PerReceiver, 8)
	c.Queue, c.Lanes = cmp.Or(c.Queue, 256), cmp.Or(c.Lanes, 4096)
	c.Within = cmp.Or(c.Within, 10*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{cfg: c, ctx: ctx, cancel: cancel, lanes: map[string]*lane{}}
}

// Close ends the posts under way and forgets what waits: it is due again for whoever takes it up.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.lanes, p.turns = map[string]*lane{}, nil
	p.mu.Unlock()
	p.cancel()
	p.all.Wait()
}

// Room is how many events more the lane of a receiver takes now.
func (p *Pool) Room(receiver string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[receiver]
	switch {
	case p.closed || l == nil && !p.roomForLane():
		return 0
	case l == nil:
		return p.cfg.Queue
	}
	return p.cfg.Queue - len(l.queue)
}

// roomForLane reports whether there can be one lane more; one with nothing to do is forgotten for it.
func (p *Pool) roomForLane() bool {
	if len(p.lanes) < p.cfg.Lanes {
		return true
	}
	for name, l := range p.lanes {
		if len(l.queue) == 0 && l.underWay == 0 {
			delete(p.lanes, name)
			return true
		}
	}
	return false
}

// Offer puts an event into the lane of its receiver. False: there is no room, or the pool is closed; offer it later.
func (p *Pool) Offer(x Parcel) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[x.Receiver]
	if p.closed || l == nil && !p.roomForLane() || l != nil && len(l.queue) >= p.cfg.Queue {
		return false
	}
	if l == nil {
		l = &lane{}
		p.lanes[x.Receiver] = l
	}
	l.queue = append(l.queue, x)
	p.queueUp(l)
	p.begin()
	return true
}

// Waiting is how many events wait, and how many posts are under way.
func (p *Pool) Waiting() (waiting, underWay int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		waiting += len(l.queue)
	}
	return waiting, p.underWay
}

// may is how many posts the lane may have under way.
func (p *Pool) may(l *lane) int {
	if l.how == prompt {
		return p.cfg.PerReceiver
	}
	return 1
}

// ceiling is how many posts of all receivers may be under way for the lane to begin one more. However many receivers are slow, or have
// never been heard of, those who answer go on; and those who were never heard of get a turn beside the slow ones.
func (p *Pool) ceiling(l *lane) int {
	all := p.cfg.UnderWay
	switch l.how {
	case prompt:
		return all
	case unknown:
		return max(1, all*3/4)
	default:
		return max(1, all/2)
	}
}

func (p *Pool) queueUp(l *lane) {
	if !l.waits && len(l.queue) > 0 && l.underWay < p.may(l) {
		l.waits = true
		p.turns = append(p.turns, l)
	}
}

// begin starts what may start, a post of each lane in turn.
func (p *Pool) begin() {
	for passed := 0; p.underWay < p.cfg.UnderWay && passed < len(p.turns); {
		l := p.turns[0]
		p.turns = p.turns[1:]
		if p.underWay >= p.ceiling(l) {
			p.turns = append(p.turns, l)
			passed++
			continue
		}
		l.waits = false
		x := l.queue[0]
		l.queue[0] = Parcel{}
		l.queue = l.queue[1:]
		l.underWay++
		p.underWay++
		p.queueUp(l)
		p.all.Go(func() { p.run(l, x) })
	}
}

func (p *Pool) run(l *lane, x Parcel) {
	begun := time.Now()
	answer := x.Post(p.ctx)
	how := prompt
	if answer.Late || time.Since(begun) > p.cfg.Within/2 {
		how = slow
	}
	if p.ctx.Err() == nil {
		x.Done(answer)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underWay--
	l.underWay--
	l.how = how
	if p.closed {
		return
	}
	p.queueUp(l)
	p.begin()
}
