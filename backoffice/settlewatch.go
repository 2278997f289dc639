package backoffice

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/pay"
)

// settleWatch tells how far settlement is behind. It looks at what is left in the lists, and not at what the settler believes: one that has stopped
// working does not count what it leaves undone.
type settleWatch struct {
	office *Office
	oldest atomic.Int64 // the beginning of the oldest hour in which a day could have been settled and was not, Unix seconds; 0: there is none
}

const (
	watchEvery  = time.Minute
	watchLately = 48 * time.Hour      // looked at each time
	watchWhole  = 31 * 24 * time.Hour // every hour
)

func openSettleWatch(o *Office) (part, error) {
	if o.cfg.Settle == nil || o.cfg.Registry == nil {
		return nil, nil
	}
	w := &settleWatch{office: o}
	return w, o.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "holdfast_settlement_behind_days",
		Help: "For how many days the oldest day of a merchant has been ready that is not settled, in the shards led here, as of a minute ago; 0: none is late.",
	}, w.behind))
}

func (w *settleWatch) behind() float64 {
	oldest := w.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return w.office.cfg.Now().Sub(time.Unix(oldest, 0).Add(time.Hour)).Hours() / 24
}

func (w *settleWatch) run(ctx context.Context) {
	var whole time.Time
	for pause(ctx, watchEvery) {
		now, back := w.office.cfg.Now(), watchLately
		if now.Sub(whole) >= time.Hour {
			whole, back = now, watchWhole
		}
		w.look(ctx, now, back)
	}
}

// look goes through the hours before this one, the oldest first. One that was left over from before is looked at in any case.
func (w *settleWatch) look(ctx context.Context, now time.Time, back time.Duration) {
	from := now.Add(-back).Truncate(time.Hour)
	if known := w.oldest.Load(); known != 0 && time.Unix(known, 0).Before(from) {
		from = time.Unix(known, 0)
	}
	for at := from; at.Before(now.Truncate(time.Hour)); at = at.Add(time.Hour) {
		list, err := w.office.cfg.Books.LedByIndex(ctx, pay.SettleIndex(holdfast.TimeOf(at)), "", 1)
		if err != nil {
			return // as far as is known it stays as it was
		}
		if len(list) > 0 {
			w.oldest.Store(at.Unix())
			return
		}
	}
	w.oldest.Store(0)
}
