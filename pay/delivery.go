package pay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"holdfast"
)

// Delivery is what became of telling a merchant of an event at one address. It is written after an attempt, never before: an event without one has
// not been told there, or nobody knows that it has.
type Delivery struct {
	Merchant holdfast.Owner // no part of the body
	Event    string         // the stamp of the event; no part of the body
	Target   string         // [NoticeTarget], or the id of an endpoint; no part of the body
	Version  uint64         // of the record; 0: there is none yet

	Kind     EventKind // of the event
	Attempts uint32
	Begun    holdfast.Time // the first attempt
	At       holdfast.Time // the last one
	Took     time.Duration
	Status   uint32        // HTTP status of the last answer; 0: there was none
	Answer   string        // its first bytes, at most [MaxAnswer]
	Why      string        // it did not take the event, for people
	Next     holdfast.Time // when it is tried again; 0: not any more
	Done     bool          // it has the event
	Again    uint32        // how many attempts there had been when somebody asked for one more: the schedule counts those since
}

const (
	// NoticeTarget is the Notify address of an event, which gets notices of the gateway.
	NoticeTarget = "notice"
	// MaxAnswer is how much of an answer is kept, in bytes.
	MaxAnswer = 256

	kindDelivery = "delivery"
	maxTarget    = 32
)

func (*Delivery) kind() (byte, byte) { return 41, 1 }

func (v *Delivery) layout(c *coder) {
	number(c, &v.Kind)
	number(c, &v.Attempts)
	signed(c, &v.Begun)
	signed(c, &v.At)
	signed(c, &v.Took)
	number(c, &v.Status)
	text(c, &v.Answer)
	text(c, &v.Why)
	signed(c, &v.Next)
	flag(c, &v.Done)
	number(c, &v.Again)
}

// ID names the delivery among those of its merchant: the stamp of the event, a colon, the target.
func (v *Delivery) ID() string { return v.Event + ":" + v.Target }

// deliveryKey turns the time of an event's stamp around, so that the latest come first.
func deliveryKey(merchant holdfast.Owner, event, target string) (string, error) {
	turned, ok := turn(event)
	if !ok || target == "" || validNumber(target, "") != nil || len(target) > maxTarget {
		return "", refuse(DeliveryUnknown, "delivery")
	}
	return keyOf(merchant, kindDelivery, turned, target), nil
}

// turn inverts the time at the beginning of a stamp.
func turn(stamp string) (string, bool) {
	at, err := strconv.ParseUint(stamp[:min(len(stamp), 16)], 16, 64)
	if err != nil || len(stamp) != 33 || stamp[16] != '-' {
		return "", false
	}
	if _, err := strconv.ParseUint(stamp[17:], 16, 64); err != nil {
		return "", false
	}
	return fmt.Sprintf("%016x", ^at) + stamp[16:], true
}

// ReadDelivery reads the record of a delivery.
func ReadDelivery(r *holdfast.Record) (v Delivery, err error) {
	o, kind, rest, _ := cutKey(r.Key)
	turned, target, _ := strings.Cut(rest, "/")
	stamp, ok := turn(turned)
	if !ok || kind != kindDelivery {
		return v, &Unavailable{Err: fmt.Errorf("%w: %.60q is not the key of a delivery", ErrCorrupt, r.Key)}
	}
	if err := unpack(r.Key, r.Body, &v); err != nil {
		return v, &Unavailable{Err: err}
	}
	v.Merchant, v.Event, v.Target, v.Version = o, stamp, target, r.Version
	return v, nil
}

// ToldIndex is the index key of all deliveries of the events of the [Stretch] of at: what is in [EventIndex] and not in this has not been told.
func ToldIndex(at holdfast.Time) string { return stretch(toldIndex, at) }

// RetryIndex is the index key of the deliveries that are due in the [Stretch] of at.
func RetryIndex(at holdfast.Time) string { return stretch(retryIndex, at) }

// EventTime is the time of the event that is told.
func (v *Delivery) EventTime() holdfast.Time {
	at, err := strconv.ParseUint(v.Event[:min(len(v.Event), 16)], 16, 64)
	if err != nil || at > math.MaxInt64 {
		return 0
	}
	return holdfast.Time(at)
}

// add adds the delivery to a transaction, over the version that was read.
func (v *Delivery) add(d *draft) error {
	key, err := deliveryKey(v.Merchant, v.Event, v.Target)
	if err != nil {
		return err
	}
	v.Answer, v.Why = cut(v.Answer, MaxAnswer), cut(v.Why, maxWhy)
	index := []string{ToldIndex(v.EventTime())}
	if v.Next > 0 {
		index = append(index, RetryIndex(v.Next))
	}
	d.put(key, v.Version, v, index...)
	return nil
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

// Attempted records attempts of one merchant, at most 64, each as it is after it: Attempts counts it, and Version is what was known before. They
// are one transaction. When somebody else has recorded an attempt at the same delivery meanwhile, both count: what one of them has
// delivered is delivered, and otherwise it is due when the earlier of them says. now is the same when it is asked for again.
func (c *Cashier) Attempted(ctx context.Context, list []Delivery, now holdfast.Time) error {
	if len(list) == 0 {
		return nil
	}
	d := draft{at: now}
	for i := range list {
		if err := list[i].add(&d); err != nil {
			return err
		}
	}
	err := c.submit(ctx, &d)
	if !errors.Is(err, errAgain) && !errors.Is(err, errUnderWay) {
		return explain(err)
	}
	for i := range list {
		if err := c.again(ctx, func() error { return c.attempted(ctx, list[i], now) }); err != nil {
			return err
		}
	}
	return nil
}

// attempted records one attempt over whatever is there.
func (c *Cashier) attempted(ctx context.Context, v Delivery, now holdfast.Time) error {
	key, err := deliveryKey(v.Merchant, v.Event, v.Target)
	if err != nil {
		return err
	}
	var had Delivery
	version, err := c.load(ctx, key, &had)
	if err != nil {
		return err
	}
	if had.At == v.At && had.Took == v.Took && had.Status == v.Status && had.Why == v.Why {
		return nil // it stands there: the answer to writing it was lost
	}
	if version != v.Version {
		v.join(&had)
	}
	v.Version = version
	d := draft{at: now}
	if err := v.add(&d); err != nil {
		return err
	}
	return c.submit(ctx, &d)
}

// join adds what others have recorded meanwhile.
func (v *Delivery) join(had *Delivery) {
	v.Attempts = max(v.Attempts, had.Attempts+1)
	if had.Begun > 0 {
		v.Begun = min(v.Begun, had.Begun)
	}
	switch {
	case v.Done || had.Done:
		v.Done, v.Next = true, 0
	case v.Next == 0 || had.Next == 0:
		v.Next = max(v.Next, had.Next)
	default:
		v.Next = min(v.Next, had.Next)
	}
}

// Deliveries lists up to max deliveries of a merchant, those of the latest events first, from the one after the key on ("": from the latest). next
// is the key to go on after; "": that was all.
func (c *Cashier) Deliveries(ctx context.Context, merchant holdfast.Owner, after string, max int) (list []Delivery, next string, err error) {
	records, err := c.Books.Records(ctx, keyOf(merchant, kindDelivery, ""), after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		v, err := ReadDelivery(&records[i])
		if err != nil {
			return nil, "", err
		}
		list, next = append(list, v), records[i].Key
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}

// Delivery returns one delivery by its ID.
func (c *Cashier) Delivery(ctx context.Context, merchant holdfast.Owner, id string) (v Delivery, err error) {
	event, target, _ := strings.Cut(id, ":")
	key, err := deliveryKey(merchant, event, target)
	if err != nil {
		return v, err
	}
	v.Version, err = c.must(ctx, key, &v, refuse(DeliveryUnknown, "delivery"))
	v.Merchant, v.Event, v.Target = merchant, event, target
	return v, settled(err)
}

// EventOf returns an event of a merchant by its stamp. One whose payment is under way is Unavailable.
func (c *Cashier) EventOf(ctx context.Context, merchant holdfast.Owner, stamp string) (e Event, err error) {
	if _, ok := turn(stamp); !ok {
		return e, refuse(EventUnknown, "event")
	}
	key := keyOf(merchant, kindEvent, stamp)
	_, err = c.must(ctx, key, &e, refuse(EventUnknown, "event"))
	e.Merchant, e.Key = merchant, key
	return e, settled(err)
}

// Redeliver has an event told once more, whatever became of it before; id is that of a delivery. Its schedule of attempts begins anew when this
// one fails. An endpoint can be told of any event of its merchant, also of one from before it was made.
func (c *Cashier) Redeliver(ctx context.Context, merchant holdfast.Owner, id string, now holdfast.Time) (v Delivery, err error) {
	event, target, _ := strings.Cut(id, ":")
	key, err := deliveryKey(merchant, event, target)
	if err != nil {
		return v, err
	}
	e, err := c.EventOf(ctx, merchant, event)
	if err != nil {
		return v, err
	}
	if target != NoticeTarget {
		if _, err := c.Endpoint(ctx, merchant, target); err != nil {
			return v, err
		}
	} else if e.Notify == "" {
		return v, refuse(DeliveryUnknown, "delivery")
	}
	err = c.again(ctx, func() error {
		v = Delivery{Merchant: merchant, Event: event, Target: target, Kind: e.Kind}
		version, err := c.load(ctx, key, &v)
		if err != nil {
			return err
		}
		v.Version = version
		if !v.Done && v.Next > 0 && v.Next <= now {
			return nil // it is due already
		}
		v.Done, v.Next, v.Again = false, now, v.Attempts
		d := draft{at: now}
		if err := v.add(&d); err != nil {
			return err
		}
		if err := c.submit(ctx, &d); err != nil {
			return err
		}
		v.Version = version + 1
		return nil
	})
	return v, err
}
