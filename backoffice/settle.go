package backoffice

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/pay"
)

// SettleConfig says how the days of merchants are settled. Zero values mean what stands behind the colon.
type SettleConfig struct {
	// AtOnce is how many merchants are settled at once at most: 16. There are fewer when commits take longer than they do without.
	AtOnce int
	Every  time.Duration // how often it is looked whose day is over: 15 s
	// Back is how far back is looked for days that nobody has settled: in a shard as soon as this site leads it, and every hour: 31 days. The platform
	// may have stood still so long.
	Back time.Duration
}

// settler settles the days of the merchants in the shards that this site leads, each when it is over where the merchant is. What is to be done
// stands in records that are listed by the hour in which it can be done, and moves to another hour in the end; so nothing has to be remembered.
type settler struct {
	office  *Office
	cfg     SettleConfig
	cashier *pay.Cashier // whose commits the pace knows
	pace    *pace
	days    atomic.Int64 // settled so far

	// Owned by run. Times are of the machine's own clock, which does not go back; only clock is the office's.
	clock  time.Time                 // at the last look
	led    map[holdfast.ShardID]bool // as of the last look
	recent time.Time                 // when the last hours were looked at
	whole  time.Time                 // when all were
	behind []look                    // what could not be settled
	again  time.Time                 // when that is tried again
	wait   time.Duration             // between the last try and that one
}

func openSettle(o *Office) (part, error) {
	if o.cfg.Settle == nil {
		return nil, nil
	}
	s := &settler{office: o, cfg: *o.cfg.Settle}
	s.cfg.AtOnce = cmp.Or(s.cfg.AtOnce, 16)
	s.cfg.Every = cmp.Or(s.cfg.Every, 15*time.Second)
	s.cfg.Back = cmp.Or(s.cfg.Back, 31*24*time.Hour)
	s.pace = newPace(s.cfg.AtOnce, time.Now)
	cashier := *o.cfg.Cashier
	cashier.Books = timed{cashier.Books, s.pace}
	s.cashier = &cashier
	return s, nil
}

const (
	recentHours = 3           // are looked at each time; the ones before once an hour
	settleTurn  = time.Second // between looks whether there is anything to do
	settleAgain = time.Second // until what has failed is tried again, at first; then twice as long each time, up to Every
	settlePage  = 500
)

// look is an hour of a shard: whose day can be settled in it.
type look struct {
	shard holdfast.ShardID
	hour  int64 // since 1970
}

func (l look) index() string {
	return pay.SettleIndex(holdfast.Time(l.hour) * holdfast.Time(time.Hour))
}

func (s *settler) run(ctx context.Context) {
	for {
		if looks := s.due(time.Now(), s.office.cfg.Now()); len(looks) > 0 {
			s.failed(s.pass(ctx, looks))
		}
		if !pause(ctx, settleTurn) {
			return
		}
	}
}

// due are the hours to look at now, the earliest first: the last ones from time to time; all, now and then, when the clock has jumped, and in a shard
// that this site has come to lead, whose leader before may have left something undone; those in which something has failed, soon.
func (s *settler) due(now, clock time.Time) (looks []look) {
	led := map[holdfast.ShardID]bool{}
	lately, whole := now.Sub(s.recent) >= s.cfg.Every, now.Sub(s.whole) >= time.Hour || clock.Sub(s.clock).Abs() >= time.Hour
	s.clock = clock
	at := clock.Unix() / 3600
	for _, id := range s.office.cfg.Books.Led() {
		led[id] = true
		from := at + 1
		switch {
		case whole || !s.led[id]:
			from = at - int64(s.cfg.Back/time.Hour)
		case lately:
			from = at - recentHours
		}
		for hour := from; hour <= at; hour++ {
			looks = append(looks, look{id, hour})
		}
	}
	s.led = led
	if lately {
		s.recent = now
	}
	if whole {
		s.whole = now
	}
	if len(s.behind) > 0 && !now.Before(s.again) {
		for _, l := range s.behind {
			if led[l.shard] {
				looks = append(looks, l)
			}
		}
		s.behind = nil
	}
	slices.SortFunc(looks, func(a, b look) int { return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.shard, b.shard)) })
	return slices.Compact(looks)
}

// failed remembers what has to be tried again, and when: ever later for as long as something fails. Each site waits a little more or less.
func (s *settler) failed(list []look) {
	if len(list) == 0 && len(s.behind) == 0 {
		s.wait = 0
		return
	}
	if len(list) == 0 {
		return
	}
	s.wait = min(max(2*s.wait, settleAgain), s.cfg.Every)
	s.again = time.Now().Add(s.wait - time.Duration(s.office.cfg.Random()*float64(s.wait/4)))
	s.behind = append(s.behind, list...)
}

// pass settles all whose next day can be settled in these hours, and returns the hours in which something has failed.
func (s *settler) pass(ctx context.Context, looks []look) (failed []look) {
	began, before := s.office.cfg.Now(), s.days.Load()
	var wrong trouble
	for _, l := range looks {
		if ctx.Err() != nil {
			return nil
		}
		if n := wrong.count(); !s.hour(ctx, l, &wrong) || wrong.count() > n {
			failed = append(failed, l)
		}
	}
	if days := s.days.Load() - before; days > 0 || wrong.n > 0 {
		s.office.cfg.Logger.Info("days were settled", "days", days, "failed", wrong.n, "last_error", wrong.last, "took", s.office.cfg.Now().Sub(began))
	}
	if s.days.Load() > before {
		s.office.WakeBanks()
	}
	return failed
}

// trouble is what went wrong in a pass.
type trouble struct {
	mu    sync.Mutex
	n     int
	inRow int // without one that went well in between
	last  error
}

func (t *trouble) add(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.inRow = 0
		return
	}
	t.n, t.inRow, t.last = t.n+1, t.inRow+1, err
}

func (t *trouble) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// hopeless reports that so many have failed one after the other that the rest would fail as well.
func (t *trouble) hopeless() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inRow >= settleGivesUp
}

const settleGivesUp = 16

// hour settles all whose next day can be settled in an hour. done is false when not all could be listed, or it was no use to go on.
func (s *settler) hour(ctx context.Context, l look, wrong *trouble) (done bool) {
	wrong.add(nil) // another hour, another chance
	after := ""
	for {
		list, err := s.office.cfg.Books.ShardByIndex(ctx, l.shard, l.index(), after, settlePage)
		if err != nil {
			wrong.add(err)
			return false
		}
		paced(ctx, s.pace, list, wrong.hopeless, func(r *holdfast.Record) {
			n, err := s.cashier.SettleNext(ctx, r, s.office.now())
			s.days.Add(int64(n))
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				err = fmt.Errorf("merchant %s: %w", holdfast.OwnerOfKey(r.Key), err)
				s.office.cfg.Logger.Debug("a day could not be settled yet", "error", err)
			}
			wrong.add(err)
		})
		switch {
		case ctx.Err() != nil || wrong.hopeless():
			return false
		case len(list) < settlePage:
			return true
		}
		after = list[len(list)-1].Key
	}
}
