package pay

import (
	"cmp"
	"context"
	"errors"
	"time"

	"holdfast"
)

// late is a payment that may have come too late or twice: its caller was told that nobody knows, or those concerned could not be told at once. It is due
// until it is known what has come of it, and both sides have been told if it was nothing.
type late struct {
	Payer      holdfast.Owner
	Merchant   holdfast.Owner
	OutTradeNo string
	AuthNo     string // it was to be paid from this authorisation
	Asset      holdfast.Asset
	Amount     holdfast.Amount
	At         holdfast.Time
	Subject    string // of the trade that was to be paid: the one that there is may have none
}

const kindLate = "late"

func (*late) kind() (byte, byte) { return 70, 1 }

func (v *late) layout(c *coder) {
	number(c, &v.Payer)
	number(c, &v.Merchant)
	text(c, &v.OutTradeNo)
	text(c, &v.AuthNo)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	signed(c, &v.At)
	c.tail(func() bool { return v.Subject != "" }, func() { text(c, &v.Subject) })
}

// lateAfter is when it is looked what has come of it.
const lateAfter = 30 * time.Second

func (p *payment) late() late {
	v := &p.sent
	return late{p.payer, v.Merchant, v.OutTradeNo, p.authNo, v.Asset, v.Amount, p.now, v.Subject}
}

// tellBoth tells buyer and merchant of a payment that came too late or twice: by the rules of the ledger the money that it held is back where
// it was. What it says is true without being written; if it cannot be written now it is due.
func (p *payment) tellBoth(ctx context.Context) {
	a, v := p.late(), p.trade
	if p.tellLate(ctx, &a, &v) != nil {
		p.watch(ctx, a)
	}
}

// watch writes down that a payment is to be looked after: with the payer, or if that cannot be with the merchant. One of their shards may be why nobody
// knows; if neither can write, what has come of it is seen in the trade and in the wallet alone.
func (c *Cashier) watch(ctx context.Context, a late) {
	do := func(ctx context.Context) {
		for _, o := range []holdfast.Owner{a.Payer, a.Merchant} {
			d := draft{at: a.At}
			d.put(lateKey(o, &a), 0, &a, minute(dueIndex, a.At+holdfast.Time(lateAfter)))
			if err := c.submit(ctx, &d); err == nil || errors.Is(err, errAgain) { // errAgain: it is there
				return
			}
		}
	}
	if c.Aside == nil {
		do(ctx)
	} else {
		c.Aside(do)
	}
}

// Returned writes down that a payment is to be looked after which goes back, because the shard of its merchant has refused it: t is the transaction. Whoever
// brings payments between shards to their end calls it before he gives the money back, so that both sides are told even if the process that took the payment has died.
// Any number of calls do no harm, nor do those for what is no payment of a trade.
func (c *Cashier) Returned(ctx context.Context, t *holdfast.Txn, now holdfast.Time) error {
	a, ok := lateOf(t)
	if !ok {
		return nil
	}
	d := draft{at: now}
	d.put(lateKey(a.Payer, &a), 0, &a, minute(dueIndex, now+holdfast.Time(lateAfter)))
	if err := c.submit(ctx, &d); err != nil && err != errAgain { // errAgain: it is there
		return settled(err)
	}
	return nil
}

// lateOf reads off a transaction which trade it was to pay, from the receipt that it writes for the payer.
func lateOf(t *holdfast.Txn) (a late, ok bool) {
	for i := range t.Records {
		o, kind, rest, known := cutKey(t.Records[i].Key)
		var r Receipt
		switch {
		case known && kind == kindFreeze:
			a.AuthNo = rest
		case known && kind == kindReceipt && unpack(t.Records[i].Key, t.Records[i].Body, &r) == nil && (r.Kind == ReceiptPaid || r.Kind == ReceiptPaidFrozen):
			ok = true
			a.Payer, a.Merchant, a.OutTradeNo, a.Asset, a.Amount, a.At, a.Subject = o, r.Other, r.Number, r.Asset, -r.Amount, r.Time, r.Text
		}
	}
	return a, ok
}

// lateKey is the key of a late payment with the payer or the merchant.
func lateKey(o holdfast.Owner, a *late) string {
	return keyOf(o, kindLate, stamped(a.At, a.Payer.String(), a.Merchant.String(), a.OutTradeNo))
}

// dueLate finds out what has come of a payment, tells both sides if somebody else was faster, and forgets it.
func (c *Cashier) dueLate(ctx context.Context, key string, now holdfast.Time) error {
	var a late
	version, err := c.load(ctx, key, &a)
	if err != nil || version == 0 {
		return settled(err)
	}
	// The payer's record first: when it does not say that the payment is under way, the trade says what has come of it.
	if err := c.decidedLate(ctx, &a); err != nil {
		return err
	}
	v, _, err := c.readTrade(ctx, a.Merchant, a.OutTradeNo, now)
	if err != nil {
		return settled(err)
	}
	if v.Payer != a.Payer && (v.Payer != 0 || v.Status == StatusClosed) {
		if err := c.tellLate(ctx, &a, &v); err != nil {
			return err
		}
	}
	return c.remove(ctx, key, &late{}, now)
}

// decidedLate reports as an error that a payment is still under way.
func (c *Cashier) decidedLate(ctx context.Context, a *late) error {
	var last, want uint64
	var err error
	if a.AuthNo != "" {
		var f freeze
		_, err = c.load(ctx, keyOf(a.Payer, kindFreeze, a.AuthNo), &f)
		last, want = f.Last, spread(kindTrade, a.OutTradeNo)
	} else {
		var u Usage
		_, err = c.load(ctx, keyOf(a.Payer, kindWallet, a.Asset.String()), &u)
		last, want = u.For, spread(kindTrade+a.Merchant.String()+a.OutTradeNo)
	}
	if err == errUnderWay && last != want {
		return nil // another one is, so this one is not
	}
	return settled(err)
}

// tellLate writes the merchant's event and the payer's receipt, each with one key for ever, so that it is written once.
func (c *Cashier) tellLate(ctx context.Context, a *late, v *Trade) error {
	e := v.event(EventNotPaid, a.Amount)
	if v.Asset != a.Asset { // a number that was cancelled before there was a trade, or somebody else's trade in another currency
		e.Asset, e.Total, e.Refunded = a.Asset, a.Amount, 0
	}
	e.Subject = cmp.Or(e.Subject, a.Subject)
	e.Time, e.Other, e.Merchant = a.At, a.Payer, a.Merchant
	e.Key = keyOf(a.Merchant, kindEvent, stamped(a.At, "late", a.Payer.String(), a.OutTradeNo))
	d := draft{at: a.At}
	d.put(e.Key, 0, &e, EventIndex(e.Time))
	d.events = append(d.events, &e)
	if err := c.once(ctx, &d, &Event{}); err != nil {
		return err
	}
	d = draft{at: a.At}
	d.receipt(a.Payer, Receipt{
		Kind: ReceiptNotPaid, Asset: a.Asset, Amount: a.Amount, Other: a.Merchant, Number: a.OutTradeNo, Text: e.Subject,
	}, a.Merchant.String(), "not paid")
	return c.once(ctx, &d, &Receipt{})
}

// once writes a document that has one key for ever, unless it is there.
func (c *Cashier) once(ctx context.Context, d *draft, doc document) error {
	return c.again(ctx, func() error {
		if had, err := c.load(ctx, d.Records[0].Key, doc); err != nil || had > 0 {
			return err
		}
		return c.submit(ctx, d)
	})
}
