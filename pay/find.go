package pay

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"holdfast"
)

// Numbers of the platform, and what they lead to. A trade_no and an auth_no look alike and are found in one place, but say by their digits which
// of the two they are.

// OwnTrade tells the merchant's number of his trade with this trade_no. One of somebody else is as unknown as one that there is not.
func (c *Cashier) OwnTrade(ctx context.Context, merchant holdfast.Owner, no string) (outTradeNo string, err error) {
	return c.own(ctx, merchant, no, "", refuse(TradeUnknown, "trade_no"))
}

// OwnAuth tells the merchant's number of his authorisation with this auth_no.
func (c *Cashier) OwnAuth(ctx context.Context, merchant holdfast.Owner, no string) (outOrderNo string, err error) {
	return c.own(ctx, merchant, no, authNumbers, refuse(AuthUnknown, "auth_no"))
}

// authNumbers stands before the number of an authorisation in the hash that its auth_no has.
const authNumbers = "auth "

func (c *Cashier) own(ctx context.Context, merchant holdfast.Owner, no, prefix string, unknown error) (string, error) {
	if o, ok := tradeOwner(no); !ok || o != merchant {
		return "", unknown
	}
	var v pointer
	_, err := c.must(ctx, keyOf(merchant, kindNo, no), &v, unknown)
	if err == nil && no[19:] != fmt.Sprintf("%09d", spread(prefix+v.OutTradeNo, no[:8])%1_000_000_000) {
		err = unknown
	}
	return v.OutTradeNo, settled(err)
}

// TransferNo is the platform's number of a merchant's transfer: 32 digits, the date, the merchant, and 13 digits of a hash.
func TransferNo(o holdfast.Owner, n string, at holdfast.Time) string {
	no := tradeNo(o, n, at)
	return fmt.Sprintf("%s%013d", no[:19], spread("transfer "+n, no[:8])%10_000_000_000_000)
}

// FindTransfer tells whose transfer has a number of the platform, and which.
func (c *Cashier) FindTransfer(ctx context.Context, no string) (from holdfast.Owner, n string, err error) {
	unknown := refuse(OrderUnknown, "order_id")
	if len(no) != 32 {
		return 0, "", unknown
	}
	from, ok := tradeOwner(no[:28])
	if !ok || strings.Trim(no, "0123456789") != "" {
		return 0, "", unknown
	}
	var v pointer
	_, err = c.must(ctx, keyOf(from, kindNo, no), &v, unknown)
	return from, v.OutTradeNo, settled(err)
}

// FindAuthOperation tells the request number of a freeze or unfreeze that match knows; "": there is none. An authorisation has few of them.
func (c *Cashier) FindAuthOperation(ctx context.Context, merchant holdfast.Owner, outOrderNo string, match func(request string) bool, now holdfast.Time) (request string, err error) {
	v, err := c.QueryAuth(ctx, merchant, outOrderNo, now)
	switch {
	case err != nil:
		return "", err
	case match(v.Request):
		return v.Request, nil
	case v.Payer == 0:
		return "", nil
	}
	prefix, after := operationKey(v.Payer, v.AuthNo, ""), ""
	for {
		records, err := c.Books.Records(ctx, prefix, after, rowPage)
		if err != nil {
			return "", &Unavailable{Err: err}
		}
		for i := range records {
			after = records[i].Key
			if request := after[len(prefix):]; match(request) {
				return request, nil
			}
		}
		if len(records) < rowPage {
			return "", nil
		}
	}
}

// HasSplit tells whether the money of a split has been set aside: what is missing of its shares is paid when it is asked for again.
func (c *Cashier) HasSplit(ctx context.Context, merchant holdfast.Owner, request string) (bool, error) {
	if err := validNumber(request, "out_request_no"); err != nil {
		return false, err
	}
	version, err := c.load(ctx, keyOf(merchant, kindSplit, request), &SplitAsk{})
	return version > 0, settled(err)
}

// EachRow is [Cashier.Rows] for whoever may have enough before the end.
func (c *Cashier) EachRow(ctx context.Context, merchant holdfast.Owner, from, until holdfast.Time) iter.Seq2[*Event, error] {
	prefix := keyOf(merchant, kindEvent, "")
	after, end := prefix+fmt.Sprintf("%016x", uint64(from)), prefix+fmt.Sprintf("%016x", uint64(until))
	return func(yield func(*Event, error) bool) {
		for {
			records, err := c.Books.Records(ctx, prefix, after, rowPage)
			if err != nil {
				yield(nil, &Unavailable{Err: err})
				return
			}
			for i := range records {
				if after = records[i].Key; after >= end {
					return
				}
				e, err := ReadEvent(&records[i])
				if err == nil && records[i].Pending != nil {
					err = &Unavailable{Err: errUnderWay}
				}
				if !yield(&e, err) || err != nil {
					return
				}
			}
			if len(records) < rowPage {
				return
			}
		}
	}
}

// EventByStamp returns an event of a merchant by what its key ends with; found is false when there is none, or not yet.
func (c *Cashier) EventByStamp(ctx context.Context, merchant holdfast.Owner, stamp string) (e Event, found bool, err error) {
	if len(stamp) != 33 || strings.Trim(stamp, "0123456789abcdef-") != "" {
		return e, false, nil
	}
	r, found, err := c.Books.Record(ctx, keyOf(merchant, kindEvent, stamp))
	if err != nil {
		return e, false, &Unavailable{Err: err}
	}
	if !found || r.Pending != nil {
		return e, false, nil
	}
	e, err = ReadEvent(&r)
	return e, err == nil, err
}
