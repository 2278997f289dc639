package backoffice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/pay"
)

// A sweep goes through the events of each stretch of time (pay.Stretch), some time after it has ended, and hands in what has no delivery. One is enough if all goes well.
// But an event may be written long after the time that it has (a payment to a shard without a majority), and a slot may come from a shard that
// is behind to one that is further. So each stretch is swept again, later and later. A stretch that is not finished when the next sweep comes to it
// is left to that one.
var sweepLags = []time.Duration{20 * time.Second, 10 * time.Minute, 3 * time.Hour, 24 * time.Hour}

// dueLags are the same for deliveries that are due: a stretch is looked through as soon as it begins, and once more for what came late.
var dueLags = []time.Duration{-pay.Stretch, time.Hour}

const (
	sweepBack    = 48 * time.Hour // what is older is given up, and before the first mark there is nothing
	sweepFresh   = time.Hour      // how far back an office begins where none has ever been
	sweepEvery   = time.Second
	sweepAtOnce  = 96 // stretches of each sweep in one step, when it is behind
	sweepPage    = 256
	sweepPause   = 2 * time.Second  // before a stretch that is not finished is looked at again; then longer
	sweepRest    = 15 * time.Second // before one is that has nothing left, and to which something may still come
	sweepLongest = time.Minute
	markEvery    = 30 * time.Second
	sweepAtATime = 4           // shards
	dueGrace     = time.Minute // after its end what is due in a stretch may still come
	retryReads   = 8           // events of deliveries that are due, read at once
	aStretch     = int64(pay.Stretch)
)

// sweepAll keeps a sweep going for each shard that this site leads.
func (d *deliverer) sweepAll(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	turns := make(chan struct{}, sweepAtATime)
	running := map[holdfast.ShardID]context.CancelFunc{}
	for {
		led := d.cfg.Books.Led()
		for id, stop := range running {
			if !slices.Contains(led, id) {
				stop()
				delete(running, id)
			}
		}
		for _, id := range led {
			if running[id] == nil {
				shard, stop := context.WithCancel(ctx)
				running[id] = stop
				all.Go(func() { (&sweep{deliverer: d, shard: id, turns: turns}).run(shard) })
			}
		}
		if !sleep(ctx, sweepEvery) {
			for _, stop := range running {
				stop()
			}
			return
		}
	}
}

// sweep goes through one shard.
type sweep struct {
	*deliverer
	shard  holdfast.ShardID
	turns  chan struct{}
	mark   pay.Mark
	marked time.Time
	rounds []*round // of each of sweepLags, and of what is due
}

// round is one sweep through time.
type round struct {
	lag  time.Duration
	wait time.Duration // how long after its end a stretch cannot be finished
	till time.Duration // how long after its end a stretch is left to the next round
	look func(ctx context.Context, stretch int64) (left int, err error)
	next int64           // the first stretch that was not begun
	open map[int64]*wait // stretches that were begun and are not finished
}

// wait is when a stretch is looked at again.
type wait struct {
	at    time.Time
	pause time.Duration
}

func (s *sweep) run(ctx context.Context) {
	name := fmt.Sprintf("deliver-%d", s.shard)
	defer func() {
		s.mu.Lock()
		delete(s.behind, name)
		s.mu.Unlock()
	}()
	for {
		select {
		case s.turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := s.step(ctx, name)
		<-s.turns
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("what is to be told could not be looked through", "shard", s.shard, "error", err)
			if !sleep(ctx, 2*sweepEvery) {
				return
			}
		}
		if !sleep(ctx, sweepEvery) {
			return
		}
	}
}

func (s *sweep) step(ctx context.Context, name string) error {
	if s.rounds == nil {
		if err := s.begin(ctx, name); err != nil {
			return err
		}
	}
	now := s.cfg.Now()
	for _, r := range s.rounds {
		if err := s.round(ctx, r, now); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.behind[name] = max(0, now.Sub(time.Unix(0, s.rounds[0].first()*aStretch)).Seconds()-pay.Stretch.Seconds()-sweepLags[0].Seconds())
	s.mu.Unlock()
	return s.remember(ctx, now)
}

// begin takes up where the last office that led the shard was; for a shard without a mark, which may just have been born, where
// the one furthest behind is, and not less than some time back.
func (s *sweep) begin(ctx context.Context, name string) error {
	mark, err := s.cfg.Cashier.Mark(ctx, name)
	if err != nil {
		return err
	}
	now, from := s.cfg.Now(), mark.Numbers
	if mark.Version == 0 {
		others, err := s.cfg.Cashier.Marks(ctx, "deliver-")
		if err != nil {
			return err
		}
		for _, m := range others {
			from = least(from, m.Numbers)
		}
	}
	var rounds []*round
	for i, lag := range sweepLags {
		rounds = append(rounds, &round{lag: lag, look: s.events, till: append(sweepLags, sweepBack)[i+1]})
	}
	for i, lag := range dueLags {
		rounds = append(rounds, &round{lag: lag, look: s.due, wait: dueGrace, till: append(dueLags, sweepBack)[i+1]})
	}
	for i, r := range rounds {
		r.open = map[int64]*wait{}
		r.next = now.Add(-r.lag-sweepFresh).UnixNano() / aStretch
		if len(from) > i && (mark.Version > 0 || from[i] < r.next) {
			r.next = max(from[i], now.Add(-sweepBack).UnixNano()/aStretch)
		}
	}
	s.mark, s.rounds, s.marked = mark, rounds, now
	return nil
}

func least(a, b []int64) []int64 {
	if len(a) != len(b) {
		return b
	}
	for i := range b {
		b[i] = min(a[i], b[i])
	}
	return b
}

// first is the first stretch that is not finished.
func (r *round) first() int64 {
	first := r.next
	for m := range r.open {
		first = min(first, m)
	}
	return first
}

// round looks at the stretches that it is time for, the oldest first.
func (s *sweep) round(ctx context.Context, r *round, now time.Time) error {
	for range sweepAtOnce {
		if now.UnixNano() < (r.next+1)*aStretch+int64(r.lag) {
			break
		}
		r.open[r.next] = &wait{}
		r.next++
	}
	var stretches []int64
	for m, w := range r.open {
		if !w.at.After(now) {
			stretches = append(stretches, m)
		}
	}
	slices.Sort(stretches)
	for _, m := range stretches {
		left, err := r.look(ctx, m)
		if err != nil {
			return err
		}
		end := time.Unix(0, (m+1)*aStretch)
		if over := now.After(end.Add(r.wait)); over && left == 0 || now.Sub(end) > r.till {
			if left > 0 && r.till == sweepBack {
				s.cfg.Logger.Error("events of two days ago are given up", "shard", s.shard, "until", end.UTC(), "events", left)
			}
			delete(r.open, m)
			continue
		}
		again := sweepPause
		if left == 0 && now.After(end) {
			again = sweepRest
		}
		r.open[m].again(s.cfg.Now(), max(again, 10*s.cfg.Now().Sub(now)), left)
	}
	return nil
}

// again is when a stretch that is not finished is looked at next: after least, and then less often.
func (w *wait) again(now time.Time, least time.Duration, left int) {
	if left == 0 {
		w.pause = 0 // it is not over yet
	}
	w.pause = max(least, min(2*w.pause, sweepLongest))
	w.at = now.Add(w.pause)
}

// remember writes how far the rounds have come.
func (s *sweep) remember(ctx context.Context, now time.Time) error {
	if now.Sub(s.marked) < markEvery {
		return nil
	}
	var numbers []int64
	for _, r := range s.rounds {
		numbers = append(numbers, r.first())
	}
	if slices.Equal(numbers, s.mark.Numbers) {
		return nil
	}
	m := s.mark
	m.Name, m.Numbers = fmt.Sprintf("deliver-%d", s.shard), numbers
	moved, err := s.cfg.Cashier.SetMark(ctx, &m, holdfast.TimeOf(now))
	if err != nil {
		return err
	}
	if !moved { // another office has led meanwhile, or does
		if m, err = s.cfg.Cashier.Mark(ctx, m.Name); err != nil {
			return err
		}
	}
	s.mark, s.marked = m, now
	return nil
}

// events hands in what has not been told of a stretch; left counts what is not recorded yet.
func (s *sweep) events(ctx context.Context, stretch int64) (left int, err error) {
	at := holdfast.Time(stretch * aStretch)
	told := toldList{sweep: s, index: pay.ToldIndex(at), set: map[holdfast.Owner]map[jobName]bool{}}
	for after := ""; ; {
		records, err := s.cfg.Books.ShardByIndex(ctx, s.shard, pay.EventIndex(at), after, sweepPage)
		if err != nil || len(records) == 0 {
			return left, err
		}
		var jobs []*job
		for i := range records {
			after = records[i].Key
			if records[i].Pending != nil {
				left++ // it comes, or never does
				continue
			}
			e, err := pay.ReadEvent(&records[i])
			if err != nil {
				s.cfg.Logger.Error("an event does not read, and is told to nobody", "key", after, "error", err)
				continue
			}
			list, err := s.jobsOf(ctx, &e)
			if err != nil {
				return left, err
			}
			jobs = append(jobs, list...)
		}
		n, err := s.missing(ctx, jobs, &told, holdfast.OwnerOfKey(after))
		if left += n; err != nil || len(records) < sweepPage {
			return left, err
		}
	}
}

// missing hands in the jobs that have not been done, of owners up to one.
func (s *sweep) missing(ctx context.Context, jobs []*job, told *toldList, upTo holdfast.Owner) (left int, err error) {
	if len(jobs) == 0 {
		return 0, nil
	}
	busy := make([]bool, len(jobs)) // before it is looked up what has been told: what is done meanwhile is in one or the other
	for i, j := range jobs {
		busy[i] = s.isInHand(j.name)
	}
	if err := told.read(ctx, jobs[0].name.merchant, upTo); err != nil {
		return 0, err
	}
	for i, j := range jobs {
		switch {
		case told.set[j.name.merchant][j.name]:
		case busy[i] || s.hand(j) != nothing:
			left++
		}
	}
	return left, nil
}

// toldList are the deliveries of the events of one stretch, read along with those: both come in the order of owners.
type toldList struct {
	*sweep
	index string
	after string
	set   map[holdfast.Owner]map[jobName]bool
	end   bool
}

// read reads on from an owner to the end of another, and forgets those before.
func (t *toldList) read(ctx context.Context, from, upTo holdfast.Owner) error {
	for o := range t.set {
		if o < from {
			delete(t.set, o)
		}
	}
	for !t.end && holdfast.OwnerOfKey(t.after) <= upTo {
		records, err := t.cfg.Books.ShardByIndex(ctx, t.shard, t.index, t.after, sweepPage)
		if err != nil {
			return err
		}
		for i := range records {
			t.after = records[i].Key
			v, err := pay.ReadDelivery(&records[i])
			if err != nil {
				t.cfg.Logger.Error("a delivery does not read, and is made again", "key", t.after, "error", err)
				continue
			}
			if t.set[v.Merchant] == nil {
				t.set[v.Merchant] = map[jobName]bool{}
			}
			t.set[v.Merchant][jobName{v.Merchant, v.Event, v.Target}] = true
		}
		t.end = len(records) < sweepPage
	}
	return nil
}

// due hands in the deliveries that are due in a stretch; left counts what is not recorded yet, and what is not due yet.
func (s *sweep) due(ctx context.Context, stretch int64) (left int, err error) {
	at := holdfast.Time(stretch * aStretch)
	for after := ""; ; {
		records, err := s.cfg.Books.ShardByIndex(ctx, s.shard, pay.RetryIndex(at), after, sweepPage)
		if err != nil || len(records) == 0 {
			return left, err
		}
		after = records[len(records)-1].Key
		n, err := s.retryAll(ctx, records)
		if left += n; err != nil || len(records) < sweepPage {
			return left, err
		}
	}
}

// retryAll hands in those of some deliveries that are due.
func (s *sweep) retryAll(ctx context.Context, records []holdfast.Record) (left int, err error) {
	now := s.now()
	var all sync.WaitGroup
	turns, failed := make(chan struct{}, retryReads), make(chan error, len(records))
	for i := range records {
		v, err := pay.ReadDelivery(&records[i])
		if err != nil {
			s.cfg.Logger.Error("a delivery does not read, and is not made again", "key", records[i].Key, "error", err)
			continue
		}
		if left++; v.Next > now || s.isInHand(jobName{v.Merchant, v.Event, v.Target}) {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if err := s.retry(ctx, v); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	return left, <-failed // nil: none has
}

// retry hands in a delivery that was tried before.
func (s *sweep) retry(ctx context.Context, v pay.Delivery) (err error) {
	var to *target
	if v.Target != pay.NoticeTarget {
		if to, err = s.known.one(ctx, v.Merchant, v.Target); err != nil {
			return err
		}
	}
	switch {
	case v.Target == pay.NoticeTarget && s.Notices == nil:
		return nil // an office that makes notices will come
	case v.Target != pay.NoticeTarget && to == nil:
		s.end(v, "The endpoint was removed or disabled.")
		return nil
	}
	e, err := s.cfg.Cashier.EventOf(ctx, v.Merchant, v.Event)
	if refusal := (*pay.Refusal)(nil); errors.As(err, &refusal) || errors.Is(err, pay.ErrCorrupt) {
		s.end(v, "The event cannot be read.")
		return nil
	}
	if err != nil {
		return err
	}
	j := s.job(&e, v.Target, to)
	j.had, j.since = v, v.Next.Std()
	if s.hand(j) == nothing {
		s.end(v, "The gateway has no notice for this event.")
	}
	return nil
}
