package pay

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"holdfast"
)

// find tells where a number of the platform leads. The numbers of trades and authorisations look alike, and stand in one place: which it is, is
// written there.
func (c *Cashier) find(ctx context.Context, no string, to pointed, unknown error) (o holdfast.Owner, n string, err error) {
	o, ok := tradeOwner(no[:min(len(no), 28)])
	if !ok || strings.Trim(no, "0123456789") != "" {
		return 0, "", unknown
	}
	var v pointer
	_, err = c.must(ctx, keyOf(o, kindNo, no), &v, unknown)
	if err == nil && v.To != to {
		err = unknown
	}
	return o, v.OutTradeNo, settled(err)
}

// OwnTrade tells the merchant's number of his trade with this trade_no. One of somebody else is as unknown as one that there is not.
func (c *Cashier) OwnTrade(ctx context.Context, merchant holdfast.Owner, no string) (outTradeNo string, err error) {
	o, outTradeNo, err := c.FindTrade(ctx, no)
	if err == nil && o != merchant {
		err = refuse(TradeUnknown, "trade_no")
	}
	return outTradeNo, err
}

// OwnAuth tells the merchant's number of his authorisation with this auth_no.
func (c *Cashier) OwnAuth(ctx context.Context, merchant holdfast.Owner, no string) (outOrderNo string, err error) {
	o, outOrderNo, err := c.FindAuth(ctx, no)
	if err == nil && o != merchant {
		err = refuse(AuthUnknown, "auth_no")
	}
	return outOrderNo, err
}

// TransferNo is the platform's number of a merchant's transfer: 32 digits, the date, the merchant, and 13 digits of a hash.
func TransferNo(o holdfast.Owner, n string, at holdfast.Time) string {
	no := tradeNo(o, n, at)
	return fmt.Sprintf("%s%013d", no[:19], spread("transfer "+n, no[:8])%10_000_000_000_000)
}

// FindTransfer tells whose transfer has a number of the platform, and which.
func (c *Cashier) FindTransfer(ctx context.Context, no string) (from holdfast.Owner, n string, err error) {
	return c.find(ctx, no, toTransfer, refuse(OrderUnknown, "order_id"))
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

// QuerySplit returns a split whose money has been set aside, with what has become of its shares; found is false when there is none of this number.
func (c *Cashier) QuerySplit(ctx context.Context, merchant holdfast.Owner, request string) (ask SplitAsk, found bool, err error) {
	if err := validNumber(request, "out_request_no"); err != nil {
		return ask, false, err
	}
	version, err := c.load(ctx, keyOf(merchant, kindSplit, request), &ask)
	if ask.Merchant, ask.Number = merchant, request; err != nil || version == 0 {
		return ask, false, settled(err)
	}
	for i := range ask.Shares {
		err := c.again(ctx, func() error {
			_, err := c.ended(ctx, ask.shareKey(i), &ask.Shares[i])
			return err
		})
		if err != nil {
			return ask, true, err
		}
	}
	return ask, true, nil
}

// QueryCancel is [Cashier.QueryRefund] for a refund that has no number which a merchant could send: that of a cancel, of a trade that was not shipped in
// time, or of a decided dispute.
func (c *Cashier) QueryCancel(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (r Refund, found bool, err error) {
	for _, n := range []string{cancelNumber, unshippedNumber, decidedNumber} {
		if r, found, err = c.refundOf(ctx, merchant, outTradeNo, n); err != nil || found {
			break
		}
	}
	return r, found, err
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
