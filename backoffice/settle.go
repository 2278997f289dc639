package backoffice

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/pay"
)

// SettleConfig says how the days of merchants are settled. Zero values mean what stands behind the colon.
type SettleConfig struct {
	AtOnce int           // merchants at once: 4. More is faster, and payments wait longer meanwhile
	Every  time.Duration // how often it is looked whose day is over: 15 s
	// Back is how far back is looked for days that nobody has settled, at the start and every hour: 31 days. The platform may have stood still so long.
	Back time.Duration
}

// settler settles the days of the merchants in the shards that this site leads, each when it is over where the merchant is. What is to be done
// stands in records that are listed by the hour in which it can be done, and moves to another hour in the end; so nothing has to be remembered.
type settler struct {
	office *Office
	cfg    SettleConfig
	days   atomic.Int64 // settled so far
}

func openSettle(o *Office) (part, error) {
	if o.cfg.Settle == nil {
		return nil, nil
	}
	s := &settler{office: o, cfg: *o.cfg.Settle}
	s.cfg.AtOnce = cmp.Or(s.cfg.AtOnce, 4)
	s.cfg.Every = cmp.Or(s.cfg.Every, 15*time.Second)
	s.cfg.Back = cmp.Or(s.cfg.Back, 31*24*time.Hour)
	return s, nil
}

// recentHours are looked at each time; the ones before once an hour.
const recentHours = 3

func (s *settler) run(ctx context.Context) {
	var whole time.Time
	for {
		now := s.office.cfg.Now()
		back := recentHours * time.Hour
		if now.Sub(whole) >= time.Hour {
			whole, back = now, s.cfg.Back
		}
		for at := now.Add(-back); !at.After(now) && ctx.Err() == nil; at = at.Add(time.Hour) {
			s.hour(ctx, holdfast.TimeOf(at))
		}
		if !pause(ctx, s.cfg.Every) {
			return
		}
	}
}

const settlePage = 500

// hour settles all whose next day can be settled in the hour of at.
func (s *settler) hour(ctx context.Context, at holdfast.Time) {
	index, after := pay.SettleIndex(at), ""
	began, before, failed := s.office.cfg.Now(), s.days.Load(), atomic.Int64{}
	for {
		list, err := s.office.cfg.Books.LedByIndex(ctx, index, after, settlePage)
		if err != nil {
			s.office.cfg.Logger.Warn("merchants whose day is over could not be listed", "error", err)
			return
		}
		each(ctx, s.cfg.AtOnce, list, func(r *holdfast.Record) {
			n, err := s.office.cfg.Cashier.SettleNext(ctx, r, s.office.now())
			s.days.Add(int64(n))
			if err != nil && ctx.Err() == nil {
				failed.Add(1)
				s.office.cfg.Logger.Info("a day could not be settled yet", "merchant", holdfast.OwnerOfKey(r.Key).String(), "error", err)
			}
		})
		if len(list) < settlePage || ctx.Err() != nil {
			break
		}
		after = list[len(list)-1].Key
	}
	if days := s.days.Load() - before; days+failed.Load() > 0 {
		s.office.cfg.Logger.Info("days were settled", "days", days, "failed", failed.Load(), "took", s.office.cfg.Now().Sub(began))
	}
	if s.days.Load() > before {
		s.office.WakeBanks()
	}
}
