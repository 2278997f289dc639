package pay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// Settled is what a day of a merchant came to in one currency, and what of it was paid out.
type Settled struct {
	Day      string         // 2006-01-02 in the merchant's time zone; no part of the body
	Asset    holdfast.Asset // no part of the body
	Payments uint32
	Paid     holdfast.Amount // by buyers, fees included; of protected trades what was released
	Fees     holdfast.Amount // taken, less given back
	Refunds  uint32
	Refunded holdfast.Amount
	Other    holdfast.Amount // shares, transfers, returned payouts: what came less what went
	Net      holdfast.Amount // the effect of all rows on the settlement account
	Carried  holdfast.Amount // left over from the days before
	Payout   holdfast.Amount // sent to the merchant's bank; 0: nothing to pay
	Order    string          // number of the payout; "": none
	At       holdfast.Time
}

func (*Settled) kind() (byte, byte) { return 19, 1 }

func (v *Settled) layout(c *coder) {
	number(c, &v.Payments)
	number(c, &v.Refunds)
	for _, a := range []*holdfast.Amount{&v.Paid, &v.Fees, &v.Refunded, &v.Other, &v.Net, &v.Carried, &v.Payout} {
		signed(c, a)
	}
	text(c, &v.Order)
	signed(c, &v.At)
}

// add counts a row by what it did to the settlement account, so that Paid - Fees - Refunded + Other is always Net: what is held of a trade is counted
// when it is released, and what is given back of what was held is not.
func (v *Settled) add(e *Event) {
	switch gross := e.Effect + e.Fee; {
	case gross == 0:
	case e.Kind == EventPaid || e.Kind == EventReleased:
		v.Payments++
		v.Paid += gross
	case e.Kind == EventRefunded:
		v.Refunds++
		v.Refunded -= gross
	default:
		v.Other += gross
	}
	v.Fees += e.Fee
	v.Net += e.Effect
}

// closedDay says that a day is over: no row of it can be written any more.
type closedDay struct{ At holdfast.Time }

func (*closedDay) kind() (byte, byte) { return 20, 1 }

func (v *closedDay) layout(c *coder) { signed(c, &v.At) }

// carry is what has been earned and not been paid out, of all days that are settled. Below zero: refunds were more than payments.
type carry struct{ Amount holdfast.Amount }

func (*carry) kind() (byte, byte) { return 21, 1 }

func (v *carry) layout(c *coder) { signed(c, &v.Amount) }

// SettleLag is how long after the end of a day it can be settled: whatever was asked for before has been decided by then, or is refused.
const SettleLag = 5 * time.Minute

const rowPage = 500

// Settle settles a day (2006-01-02, in his time zone) of a merchant in all currencies, with one payout each. First the day is closed: every
// transaction that writes a row depends on that not having happened, so the rows counted are all there will ever be. Then they are counted, and
// the payout is taken off the settlement account together with the record that it has been. Asking again with the same day pays nothing twice
// and returns what was settled.
func (c *Cashier) Settle(ctx context.Context, merchant holdfast.Owner, day string, now holdfast.Time) (list []Settled, err error) {
	m, err := c.Merchant(ctx, merchant)
	if err != nil {
		return nil, err
	}
	list, _, err = c.settle(ctx, merchant, &m, day, now, nil)
	return list, err
}

// settle settles a day. last, if it is not nil, adds something to the transaction of the last payout; with is true when that has been done, and it is
// part of it. It is not when there was nothing to settle, or when all of it had been settled before.
func (c *Cashier) settle(
	ctx context.Context, merchant holdfast.Owner, m *Merchant, day string, now holdfast.Time, last func(*draft) error,
) (list []Settled, with bool, err error) {
	from, until, err := c.DayBounds(m.Zone, day)
	if err != nil {
		return nil, false, err
	}
	if now < until+holdfast.Time(SettleLag) {
		return nil, false, refuse(DayNotOver, "day")
	}
	if err := c.closeDay(ctx, merchant, day, now); err != nil {
		return nil, false, err
	}
	list, err = c.count(ctx, merchant, from, until)
	if err != nil {
		return nil, false, err
	}
	for i := range list {
		v := &list[i]
		v.Day = day
		p := payOut{Cashier: c, merchant: merchant, m: m, Settled: v, now: now}
		if i == len(list)-1 {
			p.more = last
		}
		if err := c.again(ctx, func() error { return p.once(ctx) }); err != nil {
			return nil, false, err
		}
		with = p.more != nil && !p.before
	}
	return list, with, nil
}

// The days that can be named: those that every API knows, and whose moments fit into a Time whatever the zone.
const (
	firstYear = 1971
	lastYear  = 2200
)

// DayBounds are the first moment of a day (2006-01-02) in a time zone, and that of the next one. A day before 1971 or after 2200 is refused.
func (c *Cashier) DayBounds(zone, day string) (from, until holdfast.Time, err error) {
	z, err := c.Zone(zone)
	if err != nil {
		return 0, 0, &Unavailable{Err: fmt.Errorf("time zone of a merchant: %w", err)}
	}
	t, err := time.ParseInLocation(time.DateOnly, day, z)
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return 0, 0, &Refusal{
			Code: FieldInvalid, Field: "day", Text: "A day is written like 2026-11-27, and is one from 1971-01-01 to 2200-12-31: send one that is.",
		}
	}
	return holdfast.TimeOf(t), holdfast.TimeOf(t.AddDate(0, 0, 1)), nil
}

// closeDay does not look first: most days are closed once.
func (c *Cashier) closeDay(ctx context.Context, merchant holdfast.Owner, day string, now holdfast.Time) error {
	key, tried := keyOf(merchant, kindDay, day), false
	return c.again(ctx, func() error {
		if tried {
			had, err := c.load(ctx, key, &closedDay{})
			if err != nil || had > 0 {
				return err
			}
		}
		tried = true
		d := draft{at: now}
		d.put(key, 0, &closedDay{now})
		return c.submit(ctx, &d)
	})
}

// Rows calls use with every row of a merchant's statement in a stretch of time, in the order of time. One that is not decided yet is an error:
// its payment was under way when the day was closed.
func (c *Cashier) Rows(ctx context.Context, merchant holdfast.Owner, from, until holdfast.Time, use func(*Event)) error {
	prefix := keyOf(merchant, kindEvent, "")
	after, end := prefix+fmt.Sprintf("%016x", uint64(from)), prefix+fmt.Sprintf("%016x", uint64(until))
	for {
		records, err := c.Books.Records(ctx, prefix, after, rowPage)
		if err != nil {
			return &Unavailable{Err: err}
		}
		for i := range records {
			r := &records[i]
			switch {
			case r.Key >= end:
				return nil
			case r.Pending != nil:
				return &Unavailable{Err: errUnderWay}
			}
			e, err := ReadEvent(r)
			if err != nil {
				return err
			}
			if after = r.Key; e.Kind.row() {
				use(&e)
			}
		}
		if len(records) < rowPage {
			return nil
		}
	}
}

// count adds up the rows of a day by currency.
func (c *Cashier) count(ctx context.Context, merchant holdfast.Owner, from, until holdfast.Time) (list []Settled, err error) {
	byAsset := map[holdfast.Asset]*Settled{}
	err = c.Rows(ctx, merchant, from, until, func(e *Event) {
		if e.Kind == EventSettled || e.Asset == 0 {
			return
		}
		v := byAsset[e.Asset]
		if v == nil {
			v = &Settled{Asset: e.Asset}
			byAsset[e.Asset] = v
		}
		v.add(e)
	})
	for _, v := range byAsset {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(a, b Settled) int { return cmp.Compare(a.Asset, b.Asset) })
	return list, err
}

// payOut is the transaction of one day and currency.
type payOut struct {
	*Cashier
	merchant holdfast.Owner
	m        *Merchant
	*Settled
	now  holdfast.Time
	more func(*draft) error // adds what belongs into the same transaction; nil: nothing

	tried  bool // it may have been done before: look
	before bool // and has been
}

func (p *payOut) once(ctx context.Context) error {
	v, key, look := p.Settled, keyOf(p.merchant, kindSettled, p.Day, p.Asset.String()), p.tried
	p.tried = true
	if look {
		had, err := p.load(ctx, key, v)
		if p.before = had > 0; err != nil || p.before {
			return err
		}
	}
	var left carry
	carryKey := keyOf(p.merchant, kindCarry, v.Asset.String())
	version, err := p.load(ctx, carryKey, &left)
	if err != nil {
		return err
	}
	v.Carried, v.At, v.Order = left.Amount, p.now, ""
	v.Payout = max(0, left.Amount+v.Net)
	if look { // a refund of today may have taken some of it
		a, _, err := p.Books.Account(ctx, account(p.merchant, Settlement, v.Asset))
		if err != nil {
			return &Unavailable{Err: err}
		}
		v.Payout = min(v.Payout, max(0, a.Available()))
	}
	left.Amount += v.Net - v.Payout
	d := draft{at: p.now, code: movePayout, ref: refOf(key)}
	if v.Payout > 0 {
		if err := p.order(ctx, &d); err != nil {
			return err
		}
	}
	d.put(key, 0, v)
	d.put(carryKey, version, &left)
	err = p.tell(&d, p.merchant, p.m.Zone, Event{Kind: EventSettled, Asset: v.Asset, Amount: v.Payout, Fee: 0, Number: v.Day})
	if err == nil && p.more != nil {
		err = p.more(&d)
	}
	if err != nil {
		return err
	}
	err = p.submit(ctx, &d)
	if short := (*denied)(nil); asDenied(err, &short) && short.outcome.Code == holdfast.CodeExceedsCredits {
		return errAgain // a refund was faster: less can be paid out
	}
	return err
}

// order adds the order to the bank, and takes its money off the settlement account.
func (p *payOut) order(ctx context.Context, d *draft) (err error) {
	p.Order = strings.Join([]string{p.Day, p.Asset.String()}, "-")
	order := Order{Status: OrderWaiting, Asset: p.Asset, Amount: p.Payout, Text: p.Day, At: p.now, Changed: p.now}
	if order.To, err = p.payeeOf(ctx, p.merchant, accountName(p.m.Payee)); err != nil {
		return err
	}
	b := BankOrder{Owner: p.merchant, Payout: true, Number: p.Order}
	d.put(b.key(), 0, &order, order.index(&b)...)
	d.move(account(p.merchant, Settlement, p.Asset), account(p.merchant, Outgoing, p.Asset), p.Payout)
	return nil
}

// nextDay is the day of a merchant that is settled next. Its record is listed under the hour in which that can be done, so that a run
// looks at those only whose time has come, and at nobody twice.
type nextDay struct {
	Day string
	Due holdfast.Time // when it can be settled
}

func (*nextDay) kind() (byte, byte) { return 66, 1 }

func (v *nextDay) layout(c *coder) {
	text(c, &v.Day)
	signed(c, &v.Due)
}

// SettleIndex lists, for all merchants whose next day can be settled in the hour of at, a record; see [Cashier.SettleNext].
func SettleIndex(at holdfast.Time) string {
	return fmt.Sprintf("%s/%d", nextDayIndex, int64(at)/3600e9)
}

// planned adds to a transaction that a day of a merchant is settled next.
func (c *Cashier) planned(d *draft, merchant holdfast.Owner, zone, day string, version uint64) error {
	_, until, err := c.DayBounds(zone, day)
	if err != nil {
		return err
	}
	v := nextDay{day, until + holdfast.Time(SettleLag)}
	d.put(keyOf(merchant, kindNextDay, "settle"), version, &v, SettleIndex(v.Due))
	return nil
}

// firstDay plans the settlement of the day on which a merchant is registered.
func (c *Cashier) firstDay(d *draft, merchant holdfast.Owner, zone string) error {
	day, err := c.dayOf(zone, d.at)
	if err != nil {
		return err
	}
	return c.planned(d, merchant, zone, day, 0)
}

// SettleNext settles, one after the other, all days of a merchant whose time has come. r is the record that [SettleIndex] lists, as it was
// listed; one that somebody has moved on meanwhile is no error. It returns how many days it has settled.
func (c *Cashier) SettleNext(ctx context.Context, r *holdfast.Record, now holdfast.Time) (days int, err error) {
	merchant, kind, _, ok := cutKey(r.Key)
	if !ok || kind != kindNextDay {
		return 0, &Unavailable{Err: fmt.Errorf("%w: %.60q names no day", ErrCorrupt, r.Key)}
	}
	var next nextDay
	if err := unpack(r.Key, r.Body, &next); err != nil {
		return 0, &Unavailable{Err: err}
	}
	if now < next.Due {
		return 0, nil
	}
	m, err := c.Merchant(ctx, merchant)
	if err != nil {
		return 0, err
	}
	for version := r.Version; now >= next.Due; version++ {
		following, err := c.dayAfter(&m, next.Day)
		if err != nil {
			return days, err
		}
		plan := func(d *draft) error { return c.planned(d, merchant, m.Zone, following, version) }
		// The plan goes with the last payout. Had somebody else changed it, the payout would have been done as well, by him, and this one finds that out.
		_, with, err := c.settle(ctx, merchant, &m, next.Day, now, plan)
		if err != nil {
			return days, err
		}
		days++
		if !with {
			if moved, err := c.plan(ctx, now, plan); err != nil || !moved {
				return days, err
			}
		}
		d := draft{at: now}
		if err := plan(&d); err != nil {
			return days, err
		}
		if err := unpack(r.Key, d.Records[0].Body, &next); err != nil {
			return days, &Unavailable{Err: err}
		}
	}
	return days, nil
}

// plan writes which day is next by itself; moved is false when somebody else has.
func (c *Cashier) plan(ctx context.Context, now holdfast.Time, plan func(*draft) error) (moved bool, err error) {
	d := draft{at: now}
	if err := plan(&d); err != nil {
		return false, err
	}
	err = c.submit(ctx, &d)
	if errors.Is(err, errAgain) {
		return false, nil
	}
	return err == nil, explain(err)
}

// dayAfter is the day of a merchant after a day.
func (c *Cashier) dayAfter(m *Merchant, day string) (string, error) {
	_, until, err := c.DayBounds(m.Zone, day)
	if err != nil {
		return "", err
	}
	return c.dayOf(m.Zone, until)
}
