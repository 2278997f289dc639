package site

import (
	"sync"
	"time"

	"holdfast"
)

// limiter bounds the new payments that are under way from here to the leaders at one site, while more come than those answer in time. A
// queue that stands is no use to anybody: whoever is at its end gives up before it is his turn, and the work that is done for him keeps
// all others waiting, so that every answer comes too late for as long as the load lasts, and after it. What comes in vain is refused at
// once instead, before anything was executed, which costs a hundredth of a payment.
//
// How long answers take, and how many come, is all that it goes by: it cannot know what is short (processor, disk, cables, a hot shard), nor
// how much of it there is. As CoDel does, it looks at the shortest wait of an interval: a burst, as after an election, is over before the
// interval, and only in a queue that stands does everybody wait. Then as many are let in as would have been answered within the target at
// the rate of that interval (Little's law). While some are turned away and answers are quick, it lets in half as many more each time.
//
// Only answers count, so waiting for an election is no sign of a queue. It is safe for concurrent use. Times are those of one clock.
type limiter struct {
	target time.Duration // that answers may take while everything is well

	mu       sync.Mutex // guards what follows
	inside   int
	limit    float64 // of inside; 0: none
	since    time.Duration
	answered int           // since then
	before   int           // and in the interval before, which
	lasted   time.Duration // was so long
	least    time.Duration // the shortest wait since then
	shed     int           // turned away, or told to wait, since then
	calm     int           // intervals in a row in which nobody was
	late     int           // intervals in a row with a queue
	doomed   time.Duration // who has less than this left cannot be answered in time; 0: nobody knows
	began    time.Duration // when the limit was set of which ended is the end, or which is in force
	ended    time.Duration
}

const (
	// limiterInterval is how long answers are looked at before the limit changes, and limiterLonger how long if there are fewer than
	// limiterEnough.
	limiterInterval = 200 * time.Millisecond
	limiterLonger   = 500 * time.Millisecond
	limiterEnough   = 5
	limiterQuiet    = time.Second
	// limiterMany under way are a queue, however few answers there are to go by.
	limiterMany = 16
	// limiterLeast are always let in: without answers nothing would be learnt.
	limiterLeast = 4
	// limiterDrain is the share of what would be answered in time that is let in while the queue stands, so that it becomes shorter.
	limiterDrain  = 0.75
	limiterGrowth = 1.5
	// limiterSign is the share of the target that everybody has to wait before it counts that so many are under way that they will be answered
	// after limiterFar times the target: a flood is noticed while its queue grows, and not when those who came last have no chance any more.
	limiterSign = 4
	limiterFar  = 1.5
	// limiterStands is for how many intervals in a row there has to be a queue for it to stand. A leader whose disk has just become slow answers
	// late, and few in the first moment, but it answers all.
	limiterStands = 2
	// limiterBrief is for how long who is over the limit may wait for his turn: a leader whose disk has become slow has handed over by then, after two seconds. A
	// flood lasts longer, and who comes later is turned away at once. For limiterAgain after its end a limit counts as the same.
	limiterBrief = 2500 * time.Millisecond
	limiterAgain = 5 * time.Second
	// limiterCalm is after how many intervals without a refusal the limit is lifted.
	limiterCalm = 5
)

// passage is what becomes of one who wants to enter.
type passage uint8

const (
	letIn      passage = iota // and has to leave
	waitTurn                  // come again in a moment
	turnedAway                // it had better not be begun
)

// enter lets a payment in that has so much time left, or says what it is to do instead.
func (l *limiter) enter(now, left time.Duration) passage {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(now)
	if l.limit == 0 || l.inside < limiterLeast || float64(l.inside) < l.limit && left >= l.doomed {
		l.inside++
		return letIn
	}
	if l.shed++; now-l.began < limiterBrief { // also one who is late for this leader: another one may lead in a moment
		return waitTurn
	}
	return turnedAway
}

// leave takes in how long the answer took; 0: there was none.
func (l *limiter) leave(now, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
	if took > 0 {
		if l.answered++; l.answered == 1 || took < l.least {
			l.least = took
		}
	}
	l.roll(now)
}

// roll ends an interval when it has been long enough.
func (l *limiter) roll(now time.Duration) {
	span := now - l.since
	if span < limiterInterval || span < limiterLonger && l.answered < limiterEnough {
		return
	}
	l.doomed = 0
	switch {
	case span > limiterQuiet: // nobody came: no measure of how many can be answered
		if l.limit > 0 {
			l.ended = l.since // nobody has come since then
		}
		l.limit, l.before, l.lasted, l.late = 0, 0, 0, 0
	case l.answered == 0: // nor is this one: there may have been an election
		l.before, l.lasted = 0, 0
	default:
		l.adapt(now, span)
		l.before, l.lasted = l.answered, span
	}
	l.since, l.answered, l.least, l.shed = now, 0, 0, 0
}

func (l *limiter) adapt(now, span time.Duration) {
	l.calm++
	if l.shed > 0 {
		l.calm = 0
	}
	inTime := float64(l.answered+l.before) * float64(l.target) / float64(span+l.lasted) // of two intervals: answers come in groups
	late := l.least > l.target || l.least > l.target/limiterSign && float64(l.inside) > limiterFar*inTime
	if late && (l.answered >= limiterEnough || l.inside >= limiterMany) { // one slow answer or two are no queue
		l.late++
	} else {
		l.late = 0
	}
	switch {
	case l.late >= limiterStands, l.late > 0 && l.limit > 0:
		if l.limit == 0 && (l.ended == 0 || now-l.ended > limiterAgain) {
			l.began = now
		}
		l.limit, l.doomed, l.calm = max(limiterLeast, limiterDrain*inTime), l.least, 0
	case l.calm >= limiterCalm && l.limit > 0:
		l.limit, l.ended = 0, now
	case l.limit > 0 && l.shed > 0 && l.least < l.target/2:
		l.limit *= limiterGrowth
	}
}

// bound is how many payments may be under way; 0: no bound is needed.
func (l *limiter) bound() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// limiters has one for each site that leads something.
type limiters struct{ bySite sync.Map } // holdfast.SiteID to *limiter

func (s *Site) limiter(leader holdfast.SiteID) *limiter {
	if l, ok := s.limiters.bySite.Load(leader); ok {
		return l.(*limiter)
	}
	l, _ := s.limiters.bySite.LoadOrStore(leader, &limiter{target: s.cfg.Timing.patience()})
	return l.(*limiter)
}

// patience is how long the answer to a proposal may take before it is a sign of a queue that stands: a quarter of what callers wait, so
// that a payment from one shard to another, which takes two, is answered in time, and more than sites that are far apart need.
func (t Timing) patience() time.Duration {
	return max(t.Request.Std()/4, 8*t.RoundTrip.Std())
}
