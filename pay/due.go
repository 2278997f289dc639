package pay

import (
	"context"
	"errors"
	"strings"

	"holdfast"
)

// Due is something that the time has come for: a trade whose time to pay is over, a buyer who has not confirmed, a merchant who has not been
// told of a freeze.
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

// RunDue does what is due. What has been done meanwhile, or is not due any more, is no error.
func (c *Cashier) RunDue(ctx context.Context, d Due, now holdfast.Time) (err error) {
	switch d.kind {
	case kindTrade:
		v, err := c.Query(ctx, d.of, d.rest, now)
		switch {
		case err != nil:
			return err
		case v.Status == StatusWaiting && now >= v.Until:
			_, err = c.Expire(ctx, d.of, d.rest, now)
		case v.Protection == Shipped && now >= v.Deadline:
			_, err = c.Lapse(ctx, EscrowAsk{Merchant: d.of, OutTradeNo: d.rest}, now)
		}
		return decided(err)
	case kindLate:
		return c.dueLate(ctx, d.Key, now)
	case kindFrozen:
		return c.tellFrozen(ctx, d.of, d.rest, now)
	}
	return nil
}

// decided drops a refusal: somebody else was faster.
func decided(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
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
