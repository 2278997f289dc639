package pay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// Event is something that a merchant is told, and a row of his statement. It is written in the transaction that makes it happen, and never
// changed: what became of telling it stands in a [Delivery].
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

	Notify string // address for the notice of the gateway; "": there is none
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
	EventShareBack   // a share that its receiver could not take: whose trade was split has it back
	EventShareMissed // the same, for the merchant whom it was meant for
	eventKinds
)

var eventNames = [eventKinds]string{
	"", "paid", "closed", "refunded", "shipped", "released", "disputed", "split", "split-finished", "not-paid",
	"frozen", "unfrozen", "settled", "paid-out", "payout-returned", "transferred", "share-back", "share-missed",
}

// String names the kind.
func (k EventKind) String() string {
	if k < eventKinds {
		return eventNames[k]
	}
	return "invalid"
}

var eventTypes = [eventKinds]string{
	"", "trade.paid", "trade.closed", "refund.done", "escrow.shipped", "escrow.released", "escrow.disputed", "split.done", "split.finished",
	"trade.not_paid", "authorisation.frozen", "authorisation.unfrozen", "settlement.done", "payout.paid", "payout.returned", "transfer.done",
	"split.returned", "split.missed",
}

// Type is the name that merchants know the kind by, such as "trade.paid": what it is about, and what has become of it.
func (k EventKind) Type() string {
	if k < eventKinds {
		return eventTypes[k]
	}
	return ""
}

// Public reports whether endpoints are told of the kind.
func (k EventKind) Public() bool { return k.Type() != "" }

// row reports whether an event of the kind is a row of the day that it is on. The others move none of the merchant's money, and he may be told of them when
// the day is closed already: what a closed day says stays as it is.
func (k EventKind) row() bool {
	return k != EventFrozen && k != EventUnfrozen && k != EventShareMissed && k != EventNotPaid
}

// EventKinds lists all kinds that endpoints are told of.
func EventKinds() (list []EventKind) {
	for k := EventKind(0); k < eventKinds; k++ {
		if k.Public() {
			list = append(list, k)
		}
	}
	return list
}

// KindOfType finds the kind with a Type.
func KindOfType(name string) (EventKind, bool) {
	k := slices.Index(eventTypes[:], name)
	return EventKind(max(k, 0)), k > 0
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
}

// tell adds an event of a merchant to a transaction, as a row of the day that it is in his time zone: the transaction depends on that day not
// being closed, so that no row can come behind a settlement.
func (c *Cashier) tell(d *draft, merchant holdfast.Owner, zone string, e Event) error {
	e.Time = d.at
	day, err := c.dayOf(zone, d.at)
	if err != nil {
		return err
	}
	if !plantedDayOpen() {
		d.need(keyOf(merchant, kindDay, day), 0)
	}
	stamp := stamped(d.at, e.Kind.String(), e.OutTradeNo, e.Number, fmt.Sprint(len(d.Records), e.Other, e.Amount))
	e.Merchant, e.Key = merchant, keyOf(merchant, kindEvent, stamp)
	d.put(e.Key, 0, &e, EventIndex(e.Time))
	d.events = append(d.events, &e)
	return nil
}

// EventIndex is the index key of all events of the [Stretch] of at. A payment between shards that cannot land at once may write its event long
// after the time that it has.
func EventIndex(at holdfast.Time) string { return stretch(eventIndex, at) }

// Known is Number as the merchant knows it: what the platform did by itself under a number of its own has that of what it was done for.
func (v *Event) Known() string { return knownNumber(v.Number, v.OutTradeNo) }

// knownNumber is a number that the merchant has given: of the payment that released what was left of an authorisation, or else of the trade or authorisation.
func knownNumber(n, of string) string {
	if trade, is := strings.CutPrefix(n, completeNumber); is {
		return trade
	}
	if strings.HasPrefix(n, "~") {
		return of
	}
	return n
}

// Stamp is what names the event among those of its merchant: its time and a hash, 33 characters that sort by time.
func (v *Event) Stamp() string { return strings.TrimPrefix(v.Key, keyOf(v.Merchant, kindEvent, "")) }

// dayOf is the day that it is at a time in a zone, as 2006-01-02.
func (c *Cashier) dayOf(zone string, at holdfast.Time) (string, error) {
	z, err := c.Zone(zone)
	if err != nil {
		return "", &Unavailable{Err: fmt.Errorf("time zone of a merchant: %w", err)}
	}
	return at.Std().In(z).Format(time.DateOnly), nil
}

// ReadEvent reads the record of an event. One that is Pending may yet be taken back: nobody is told of it.
func ReadEvent(r *holdfast.Record) (e Event, err error) {
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

// EventsFrom is the key to ask [Cashier.Events] with for those of at and later.
func EventsFrom(merchant holdfast.Owner, at holdfast.Time) string {
	return keyOf(merchant, kindEvent, fmt.Sprintf("%016x", uint64(at)))
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
		e, err := ReadEvent(&records[i])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
