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
	shed     int           // turned away since then
	calm     int           // intervals in a row in which nobody was
	doomed   time.Duration // who has less than this left cannot be answered in time; 0: nobody knows
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
	// limiterSign is the share of the target that everybody has to wait before it counts that more are under way than will be answered in
	// time: a flood is noticed while its queue grows, and not when those who came last have no chance any more.
	limiterSign = 4
	// limiterCalm is after how many intervals without a refusal the limit is lifted.
	limiterCalm = 5
)

// enter lets a payment in that has so much time left, or says that it had better not be begun. Who was let in has to leave.
func (l *limiter) enter(now, left time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(now)
	full := l.limit > 0 && (float64(l.inside) >= l.limit || left < l.doomed)
	if full && l.inside >= limiterLeast {
		l.shed++
		return false
	}
	l.inside++
	return true
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
		l.limit, l.before, l.lasted = 0, 0, 0
	case l.answered == 0: // nor is this one: there may have been an election
		l.before, l.lasted = 0, 0
	default:
		l.adapt(span)
		l.before, l.lasted = l.answered, span
	}
	l.since, l.answered, l.least, l.shed = now, 0, 0, 0
}

func (l *limiter) adapt(span time.Duration) {
	l.calm++
	if l.shed > 0 {
		l.calm = 0
	}
	inTime := float64(l.answered+l.before) * float64(l.target) / float64(span+l.lasted) // of two intervals: answers come in groups
	late := l.least > l.target || l.least > l.target/limiterSign && float64(l.inside) > inTime
	switch {
	case late && l.answered < limiterEnough && l.inside < limiterMany: // one slow answer or two are no queue
	case late:
		l.limit, l.doomed, l.calm = max(limiterLeast, limiterDrain*inTime), l.least, 0
	case l.calm >= limiterCalm:
		l.limit = 0
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
