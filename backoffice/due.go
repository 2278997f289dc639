package backoffice

import (
	"cmp"
	"context"
	"time"

	"holdfast"
	"holdfast/pay"
)

// DueConfig says how what is due is ended: trades that nobody has paid, buyers who have not confirmed, freezes that a merchant has not been told
// of. Zero values mean what stands behind the colon.
type DueConfig struct {
	AtOnce int           // 4
	Every  time.Duration // how often it is looked: 5 s
	// Again is how often the last two hours are gone through once more, for what could not be ended and what another site has left undone: 5 min.
	Again time.Duration
	// Back is how far back is looked at the start and every six hours: 31 days.
	Back time.Duration
}

// duties ends what is due in the shards that this site leads, minute by minute. What has been ended is in no list any more, so a minute can be
// gone through any number of times.
type duties struct {
	office  *Office
	cfg     DueConfig
	results results
	behind  backlog
}

func openDue(o *Office) (part, error) {
	if o.cfg.Due == nil {
		return nil, nil
	}
	d := &duties{office: o, cfg: *o.cfg.Due}
	d.cfg.AtOnce = cmp.Or(d.cfg.AtOnce, 4)
	d.cfg.Every = cmp.Or(d.cfg.Every, 5*time.Second)
	d.cfg.Again = cmp.Or(d.cfg.Again, 5*time.Minute)
	d.cfg.Back = cmp.Or(d.cfg.Back, 31*24*time.Hour)
	return d, d.measure()
}

const (
	dueLately = 2 * time.Hour
	dueWhole  = 6 * time.Hour
	duePage   = 500
	dueRest   = time.Millisecond // between minutes that are long over, which are mostly empty
)

func (d *duties) run(ctx context.Context) {
	var whole, again time.Time
	last := d.office.cfg.Now()
	for {
		now := d.office.cfg.Now()
		from := last.Add(-time.Minute)
		switch {
		case now.Sub(whole) >= dueWhole:
			whole, again, from = now, now, now.Add(-d.cfg.Back)
		case now.Sub(again) >= d.cfg.Again:
			again, from = now, now.Add(-dueLately)
		}
		// The latest first: they are what somebody may be waiting for.
		for at := now; !at.Before(from) && ctx.Err() == nil; at = at.Add(-time.Minute) {
			d.minute(ctx, holdfast.TimeOf(at))
			if now.Sub(at) > dueLately {
				pause(ctx, dueRest)
			}
		}
		d.behind.looked(from)
		if last = now; !pause(ctx, d.cfg.Every) {
			return
		}
	}
}

// minute ends what is due in the minute of at and whose time has come.
func (d *duties) minute(ctx context.Context, at holdfast.Time) {
	index, after := pay.DueIndex(at), ""
	for {
		list, err := d.office.cfg.Books.LedByIndex(ctx, index, after, duePage)
		if err != nil {
			d.office.cfg.Logger.Warn("what is due could not be listed", "error", err)
			return
		}
		each(ctx, d.cfg.AtOnce, list, func(r *holdfast.Record) {
			due, ok := pay.DueOf(r)
			if !ok {
				return
			}
			err := d.office.cfg.Cashier.RunDue(ctx, due, d.office.now())
			switch {
			case err == nil:
				d.results.done.Inc()
			case ctx.Err() == nil:
				d.results.failed.Inc()
				d.behind.left(at.Std())
				d.office.cfg.Logger.Info("something that is due could not be ended yet", "owner", holdfast.OwnerOfKey(r.Key).String(), "error", err)
			}
		})
		if len(list) < duePage || ctx.Err() != nil {
			return
		}
		after = list[len(list)-1].Key
	}
}
