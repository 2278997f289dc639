package pay

import (
	"context"
	"fmt"
	"time"

	"holdfast"
)

// Event is something that a merchant has to be told, and a row of his statement. It is written in the transaction that makes it happen.
type Event struct {
	Kind     EventKind
	Time     holdfast.Time
	Merchant holdfast.Owner // no part of the body
	Key      string         // of the record; no part of the body

	OutTradeNo, TradeNo string         // of the trade; of an authorisation its numbers
	Number              string         // of the refund, split or order
	Subject             string         //
	Shop, Till, Clerk   string         //
	Passback            string         // as the merchant gave it
	App                 string         // id of the app that made the trade
	Asset               holdfast.Asset // of all amounts
	Status              Status         // of the trade, afterwards
	Total               holdfast.Amount
	Amount              holdfast.Amount // of this event, above 0
	Fee                 holdfast.Amount // taken (above 0) or given back (below)
	Refunded            holdfast.Amount // all in all, afterwards
	Effect              holdfast.Amount // on the settlement account: what is paid out is the sum of these
	Other               holdfast.Owner  // the buyer, receiver ...
	Created, Paid       holdfast.Time   // of the trade

	Notify   string        // address; "": nobody is told
	Attempts uint32        // of telling
	Next     holdfast.Time // when to tell (again); 0: told, given up, or nobody to tell
	Told     bool
}

// EventKind says what has happened. The numbers are in records: append, never renumber.
type EventKind uint8

// Kinds of events.
const (
	EventPaid EventKind = iota + 1
	EventClosed
	EventRefunded
	EventShipped
	EventReleased
	EventDisputed
	EventSplit
	EventSplitFinished
	EventNotPaid // a payment that came too late, or twice: its money went back
	EventFrozen
	EventUnfrozen
	EventSettled
	EventPaidOut
	EventPayoutReturned
	EventTransferred
	eventKinds
)

var eventNames = [eventKinds]string{
	"", "paid", "closed", "refunded", "shipped", "released", "disputed", "split", "split-finished", "not-paid",
	"frozen", "unfrozen", "settled", "paid-out", "payout-returned", "transferred",
}

// String names the kind.
func (k EventKind) String() string {
	if k < eventKinds {
		return eventNames[k]
	}
	return "invalid"
}

func (*Event) kind() (byte, byte) { return 9, 1 }

func (v *Event) layout(c *coder) {
	number(c, &v.Kind)
	signed(c, &v.Time)
	for _, s := range []*string{&v.OutTradeNo, &v.TradeNo, &v.Number, &v.Subject, &v.Shop, &v.Till, &v.Clerk, &v.Passback, &v.App, &v.Notify} {
		text(c, s)
	}
	number(c, &v.Asset)
	number(c, &v.Status)
	for _, a := range []*holdfast.Amount{&v.Total, &v.Amount, &v.Fee, &v.Refunded, &v.Effect} {
		signed(c, a)
	}
	number(c, &v.Other)
	signed(c, &v.Created)
	signed(c, &v.Paid)
	number(c, &v.Attempts)
	signed(c, &v.Next)
	flag(c, &v.Told)
}

// tell adds an event of a merchant to a transaction, as a row of the day that it is in his time zone: the transaction depends on that day not
// being closed, so that no row can come behind a settlement.
func (c *Cashier) tell(d *draft, merchant holdfast.Owner, zone string, e Event) error {
	e.Time = d.at
	var index []string
	if e.Notify != "" {
		e.Next = d.at
		index = []string{minute(eventIndex, e.Next)}
	}
	day, err := c.dayOf(zone, d.at)
	if err != nil {
		return err
	}
	if !plantedDayOpen() {
		d.need(keyOf(merchant, kindDay, day), 0)
	}
	key := stamped(d.at, e.Kind.String(), e.OutTradeNo, e.Number, fmt.Sprint(len(d.Records), e.Other, e.Amount))
	d.put(keyOf(merchant, kindEvent, key), 0, &e, index...)
	return nil
}

// dayOf is the day that it is at a time in a zone, as 2006-01-02.
func (c *Cashier) dayOf(zone string, at holdfast.Time) (string, error) {
	z, err := c.Zone(zone)
	if err != nil {
		return "", &Unavailable{Err: fmt.Errorf("time zone of a merchant: %w", err)}
	}
	return at.Std().In(z).Format(time.DateOnly), nil
}

// readEvent reads the record of an event.
func readEvent(r *holdfast.Record) (e Event, err error) {
	if err = unpack(r.Key, r.Body, &e); err != nil {
		return e, &Unavailable{Err: err}
	}
	o, err := holdfast.RecordOwner(r.Key)
	if err != nil {
		return e, &Unavailable{Err: err}
	}
	e.Merchant, e.Key = o, r.Key
	return e, nil
}

// Events lists up to max events of a merchant in the order of time, from the one after the key on. Those of payments under way are left
// out, and end the list: they come, or never do.
func (c *Cashier) Events(ctx context.Context, merchant holdfast.Owner, after string, max int) (list []Event, err error) {
	records, err := c.Books.Records(ctx, keyOf(merchant, kindEvent, ""), after, max)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		if records[i].Pending != nil {
			break
		}
		e, err := readEvent(&records[i])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// DueEvents lists up to max events that are to be told in the minute of at, in the order of their keys, from the one after the key on. Whoever
// delivers goes from minute to minute, and begins two days back after a restart: what has been told is not in any list.
func (c *Cashier) DueEvents(ctx context.Context, at holdfast.Time, after string, max int) (list []Event, err error) {
	records, err := c.Books.ByIndex(ctx, minute(eventIndex, at), after, max)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		if records[i].Pending != nil {
			continue
		}
		e, err := readEvent(&records[i])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// noticeGaps is when an event is told again, after how many attempts.
var noticeGaps = [...]time.Duration{
	4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour,
}

// NextNotice is how long after attempt n (from 1) the next one comes; false: there is none.
func NextNotice(n uint32) (time.Duration, bool) {
	if n == 0 || int(n) > len(noticeGaps) {
		return 0, false
	}
	return noticeGaps[n-1], true
}

// Attempted records an attempt to tell an event: the first that was told ends it, a failed one is tried again after gap; 0: given up.
func (c *Cashier) Attempted(ctx context.Context, key string, told bool, gap time.Duration, now holdfast.Time) (e Event, err error) {
	err = c.again(ctx, func() error {
		version, err := c.must(ctx, key, &e, refuse(EventUnknown, "event"))
		if err != nil || e.Told {
			return err
		}
		e.Attempts++
		e.Told, e.Next = told, 0
		var index []string
		if !told && gap > 0 {
			e.Next = now + holdfast.Time(gap)
			index = []string{minute(eventIndex, e.Next)}
		}
		d := draft{at: now}
		d.put(key, version, &e, index...)
		return c.submit(ctx, &d)
	})
	e.Key = key
	return e, err
}

// Redeliver has an event told once more, whatever became of it before.
func (c *Cashier) Redeliver(ctx context.Context, key string, now holdfast.Time) error {
	return c.again(ctx, func() error {
		var e Event
		version, err := c.must(ctx, key, &e, refuse(EventUnknown, "event"))
		if err != nil {
			return err
		}
		if e.Notify == "" {
			return refuse(EventUnknown, "notify")
		}
		e.Told, e.Next = false, now
		d := draft{at: now}
		d.put(key, version, &e, minute(eventIndex, now))
		return c.submit(ctx, &d)
	})
}
