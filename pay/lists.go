package pay

import (
	"context"
	"fmt"
	"strings"

	"holdfast"
)

// Lists of what a merchant has. Each gives up to max documents in the order of their numbers, from the one after a number on ("": from the
// first), and the number to go on after ("": that was all). What a payment under way has written is shown as it was before: it may yet be
// taken back, and a query tells when it is decided.

// listed calls use with each record under a prefix of keys, and with the rest of its key.
func (c *Cashier) listed(ctx context.Context, prefix, after string, max int, use func(rest string, body []byte) error) (next string, err error) {
	if after != "" {
		after = prefix + after
	}
	records, err := c.Books.Records(ctx, prefix, after, max+1)
	if err != nil {
		return "", &Unavailable{Err: err}
	}
	for i := range records[:min(max, len(records))] {
		r := &records[i]
		body := r.Body
		if r.Pending != nil {
			if r.Pending.Before == nil {
				continue
			}
			body = r.Pending.Before.Body
		}
		if err := use(r.Key[len(prefix):], body); err != nil {
			return "", &Unavailable{Err: err}
		}
	}
	if len(records) > max {
		next = records[max-1].Key[len(prefix):]
	}
	return next, nil
}

// Trades lists the trades of a merchant by out_trade_no.
func (c *Cashier) Trades(ctx context.Context, merchant holdfast.Owner, after string, max int, now holdfast.Time) (list []Trade, next string, err error) {
	prefix := keyOf(merchant, kindTrade, "")
	next, err = c.listed(ctx, prefix, after, max, func(rest string, body []byte) error {
		v := Trade{Merchant: merchant, OutTradeNo: rest}
		err := unpack(prefix+rest, body, &v)
		v.ripen(now)
		list = append(list, v)
		return err
	})
	return list, next, err
}

// NumberedRefund is a refund with the number of its request.
type NumberedRefund struct {
	Number string
	Refund
}

// Refunds lists the refunds of a trade by out_request_no.
func (c *Cashier) Refunds(ctx context.Context, merchant holdfast.Owner, outTradeNo, after string, max int) (list []NumberedRefund, next string, err error) {
	if err := validNumber(outTradeNo, "out_trade_no"); err != nil {
		return nil, "", err
	}
	prefix := keyOf(merchant, kindRefund, outTradeNo, "")
	next, err = c.listed(ctx, prefix, after, max, func(rest string, body []byte) error {
		v := NumberedRefund{Number: rest}
		err := unpack(prefix+rest, body, &v.Refund)
		list = append(list, v)
		return err
	})
	return list, next, err
}

// Apps lists the apps of a merchant by id; there are at most ten.
func (c *Cashier) Apps(ctx context.Context, merchant holdfast.Owner) (list []App, err error) {
	prefix := keyOf(merchant, kindApp, "")
	_, err = c.listed(ctx, prefix, "", maxApps, func(rest string, body []byte) error {
		v := App{ID: rest}
		err := unpack(prefix+rest, body, &v)
		list = append(list, v)
		return err
	})
	return list, err
}

const maxApps = 10

// DisableApp says whether the requests of an app are refused.
func (c *Cashier) DisableApp(ctx context.Context, id string, disabled bool, now holdfast.Time) (v App, err error) {
	o, ok := appOwner(id)
	if !ok {
		return v, refuse(AppUnknown, "app_id")
	}
	key := keyOf(o, kindApp, id)
	err = c.again(ctx, func() error {
		v = App{}
		version, err := c.must(ctx, key, &v, refuse(AppUnknown, "app_id"))
		if err != nil {
			return err
		}
		v.ID = id
		if v.Disabled == disabled {
			return nil
		}
		v.Disabled = disabled
		d := draft{at: now}
		d.put(key, version, &v)
		return c.submit(ctx, &d)
	})
	return v, err
}

// Shops lists the shops of a merchant by id.
func (c *Cashier) Shops(ctx context.Context, merchant holdfast.Owner, after string, max int) (list []Shop, next string, err error) {
	prefix := keyOf(merchant, kindShop, "")
	next, err = c.listed(ctx, prefix, after, max, func(rest string, body []byte) error {
		v := Shop{ID: rest}
		err := unpack(prefix+rest, body, &v)
		list = append(list, v)
		return err
	})
	return list, next, err
}

// Settlements lists what the days of a merchant came to that have been settled, by day and currency; after is "2006-01-02/CNY".
func (c *Cashier) Settlements(ctx context.Context, merchant holdfast.Owner, after string, max int) (list []Settled, next string, err error) {
	prefix := keyOf(merchant, kindSettled, "")
	next, err = c.listed(ctx, prefix, after, max, func(rest string, body []byte) error {
		day, asset, _ := strings.Cut(rest, "/")
		v := Settled{Day: day}
		var err error
		if v.Asset, err = holdfast.ParseAsset(asset); err != nil {
			return fmt.Errorf("%w: %.60q: %w", ErrCorrupt, rest, err)
		}
		err = unpack(prefix+rest, body, &v)
		list = append(list, v)
		return err
	})
	return list, next, err
}

// dayAssets is more currencies than a merchant has.
const dayAssets = 64

// SettledDay returns what a day of a merchant came to, by currency; none: it has not been settled.
func (c *Cashier) SettledDay(ctx context.Context, merchant holdfast.Owner, day string) (list []Settled, err error) {
	all, _, err := c.Settlements(ctx, merchant, day, dayAssets)
	for i := range all {
		if all[i].Day == day {
			list = append(list, all[i])
		}
	}
	return list, err
}

// MerchantBalance is the money of one merchant in one currency, in minor units.
type MerchantBalance struct {
	Settlement holdfast.Amount // earned, and paid out by the next settlement
	Escrow     holdfast.Amount // paid, and kept until the buyer confirms
	Royalty    holdfast.Amount // paid, and kept until it has been split
	Outgoing   holdfast.Amount // on its way to his bank
	Fees       holdfast.Amount // what the platform has earned with him
}

// MerchantBalance reads the accounts of a merchant, one after the other: each is as it stands when it is read.
func (c *Cashier) MerchantBalance(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) (b MerchantBalance, err error) {
	for _, row := range []struct {
		of   holdfast.Purpose
		into *holdfast.Amount
	}{{Settlement, &b.Settlement}, {Escrow, &b.Escrow}, {Royalty, &b.Royalty}, {Outgoing, &b.Outgoing}, {Fees, &b.Fees}} {
		a, found, err := c.Books.Account(ctx, account(o, row.of, asset))
		switch {
		case err != nil:
			return b, &Unavailable{Err: err}
		case !found:
			return b, refuse(AssetInvalid, "asset")
		}
		*row.into = a.Available()
	}
	return b, nil
}
