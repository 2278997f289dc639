package pay

import (
	"context"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// Due is something that the time has come for: a trade whose time to pay is over, a merchant who has not shipped, a buyer who has not confirmed, shares
// that are not paid, a freeze that has come to its end, a merchant who has not been told of one, a top-up whose money has not come.
type Due struct {
	Key  string
	kind string
	rest string // of the key
	of   holdfast.Owner
}

// ListDue lists up to max things that are due in the minute of at, in the order of their keys, from the one after the key on. Whoever works
// through them goes from minute to minute, and begins with the last one that he has finished.
func (c *Cashier) ListDue(ctx context.Context, at holdfast.Time, after string, max int) (list []Due, err error) {
	records, err := c.Books.ByIndex(ctx, minute(dueIndex, at), after, max)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		if d, ok := DueOf(&records[i]); ok {
			list = append(list, d)
		}
	}
	return list, nil
}

// DueIndex lists the records of what is due in the minute of at.
func DueIndex(at holdfast.Time) string { return minute(dueIndex, at) }

// DueOf is what is due by a record that [DueIndex] lists.
func DueOf(r *holdfast.Record) (Due, bool) {
	o, kind, rest, ok := cutKey(r.Key)
	return Due{r.Key, kind, rest, o}, ok
}

// RunDue does what is due. What has been done meanwhile, or is not due any more, is no error; a refusal of what still is is one.
func (c *Cashier) RunDue(ctx context.Context, d Due, now holdfast.Time) (err error) {
	switch d.kind {
	case kindTrade:
		if err = c.dueTrade(ctx, d.of, d.rest, now); refused(err) != "" {
			var v Trade
			return c.putOff(ctx, d.Key, &v, v.due, err, now)
		}
		return err
	case kindLate:
		return c.dueLate(ctx, d.Key, now)
	case kindFrozen:
		return c.tellFrozen(ctx, d.of, d.rest, now)
	case kindFreeze:
		if err = c.endFreeze(ctx, d.of, d.rest, now); refused(err) != "" {
			var v freeze
			return c.putOff(ctx, d.Key, &v, v.due, err, now)
		}
		return err
	case kindTopUp:
		return c.expireTopUp(ctx, d.of, d.rest, now)
	case kindSplit:
		return c.dueSplit(ctx, d.of, d.rest, now)
	}
	return nil
}

// dueTrade ends the time of a trade.
func (c *Cashier) dueTrade(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) error {
	v, err := c.Query(ctx, merchant, outTradeNo, now)
	switch {
	case err != nil:
		return err
	case v.Status == StatusWaiting && now >= v.Until:
		_, err = c.Expire(ctx, merchant, outTradeNo, now)
	case v.Protection == Shipped && now >= v.Deadline:
		_, err = c.Lapse(ctx, EscrowAsk{Merchant: merchant, OutTradeNo: outTradeNo}, now)
	case v.unshipped(now):
		_, err = c.Unshipped(ctx, merchant, outTradeNo, now)
	}
	return decided(err)
}

// dueAgain is how long something waits that could not be ended although it was due.
const dueAgain = holdfast.Time(24 * time.Hour)

// putOff lists what has been due for a day or more, and was refused, once more in a day: whoever works through what is due looks back for some weeks
// only, and an account may be blocked for longer. It returns the refusal.
func (c *Cashier) putOff(ctx context.Context, key string, v document, due func() holdfast.Time, why error, now holdfast.Time) error {
	version, err := c.load(ctx, key, v)
	if at := due(); err != nil || at == 0 || now < at+dueAgain {
		return why
	}
	d := draft{at: now}
	d.put(key, version, v, minute(dueIndex, now+dueAgain))
	if err := c.submit(ctx, &d); err != nil && err != errAgain {
		return settled(err)
	}
	return why
}

// faster are the refusals of a trade that was due and that somebody else has ended meanwhile, or changed so that it is not due any more.
var faster = []Code{TradePaid, TradeClosed, TradeFinished, TradeStatus, EscrowStatus, EscrowDisputed}

// decided drops a refusal that says that somebody else was faster. Any other means that the trade stays as it is although its time has come.
func decided(err error) error {
	if slices.Contains(faster, refused(err)) {
		return nil
	}
	return err
}

// cutKey takes the key of a record apart.
func cutKey(key string) (o holdfast.Owner, kind, rest string, ok bool) {
	o, err := holdfast.RecordOwner(key)
	if err != nil || o == 0 {
		return 0, "", "", false
	}
	kind, rest, ok = strings.Cut(key[len(keyOf(o, "")):], "/")
	return o, kind, rest, ok
}
