package pay

import (
	"context"
	"fmt"
	"slices"

	"holdfast"
)

// Share is what somebody else gets of a trade: a customer into his wallet, a merchant into his settlement account.
type Share struct {
	To     holdfast.Owner
	Amount holdfast.Amount
	Text   string
	Paid   bool // no part of the request

	purpose holdfast.Purpose // of the receiver's account
}

// SplitAsk splits a paid trade.
type SplitAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	Number     string // unique for the merchant
	Shares     []Share
	Finish     bool // what is left belongs to the merchant; nothing can be split any more
}

// MaxShares is how many receivers one request may have.
const MaxShares = 5

func (a *SplitAsk) kind() (byte, byte) { return 13, 1 }

func (a *SplitAsk) layout(c *coder) {
	text(c, &a.OutTradeNo)
	list(c, &a.Shares, MaxShares, func(s *Share) {
		number(c, &s.To)
		signed(c, &s.Amount)
		text(c, &s.Text)
		number(c, &s.purpose)
	})
	flag(c, &a.Finish)
}

func (a *SplitAsk) check() (total holdfast.Amount, err error) {
	if err := validNumber(a.Number, "out_request_no"); err != nil {
		return 0, err
	}
	if len(a.Shares) > MaxShares {
		return 0, refuse(TooMany, "royalty_parameters")
	}
	if len(a.Shares) == 0 && !a.Finish {
		return 0, refuse(FieldInvalid, "royalty_parameters")
	}
	for i := range a.Shares {
		s := &a.Shares[i]
		if err := first(validAmount(s.Amount, "amount"), validLines(s.Text, "desc", 1000)); err != nil {
			return 0, err
		}
		if s.To == a.Merchant {
			return 0, refuse(ReceiverInvalid, "trans_in")
		}
		total += s.Amount
	}
	return total, nil
}

// Split gives shares of a paid trade to others. The first transaction sets the money of all shares aside and remembers the request; then
// each share is paid in one of its own, since the receivers live anywhere. Whatever interrupts that, asking again with the same number pays
// what is not paid yet, and nothing twice.
func (c *Cashier) Split(ctx context.Context, ask SplitAsk, now holdfast.Time) (v Trade, done SplitAsk, err error) {
	total, err := ask.check()
	if err != nil {
		return v, done, err
	}
	ask.Shares = slices.Clone(ask.Shares)
	err = c.again(ctx, func() error {
		v, done, err = c.setAside(ctx, &ask, total, now)
		return err
	})
	if err != nil {
		return v, done, err
	}
	for i := range done.Shares {
		if err := c.again(ctx, func() error { return c.share(ctx, &v, &done, i, now) }); err != nil {
			return v, done, err
		}
	}
	return v, done, nil
}

// setAside is the first transaction of a split.
func (c *Cashier) setAside(ctx context.Context, ask *SplitAsk, total holdfast.Amount, now holdfast.Time) (v Trade, done SplitAsk, err error) {
	key := keyOf(ask.Merchant, kindSplit, ask.Number)
	had, err := c.load(ctx, key, &done)
	if err != nil {
		return v, done, err
	}
	done.Merchant, done.Number = ask.Merchant, ask.Number
	v, version, err := c.existing(ctx, ask.Merchant, ask.OutTradeNo, now)
	if err != nil {
		return v, done, err
	}
	if had > 0 {
		if field := done.differs(ask); field != "" {
			return v, done, refuse(RequestDiffers, field)
		}
		return v, done, nil
	}
	if err := c.receivers(ctx, ask, v.Asset); err != nil {
		return v, done, err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	e, err := v.split(&d, total, ask.Finish)
	if err == nil && total > 0 {
		_, err = c.free(ctx, &d, v.Merchant, "merchant")
	}
	if err != nil {
		return v, done, c.unlessSince(ctx, key, 0, err)
	}
	e.Number = ask.Number
	d.put(key, 0, ask)
	v.save(&d, version)
	if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
		return v, done, err
	}
	return v, *ask, c.submit(ctx, &d)
}

// differs names the first thing in which two requests with one number are not the same; "": they are.
func (a *SplitAsk) differs(b *SplitAsk) string {
	switch {
	case a.OutTradeNo != b.OutTradeNo:
		return "out_trade_no"
	case a.Finish != b.Finish:
		return "finish"
	case !slices.EqualFunc(a.Shares, b.Shares, func(x, y Share) bool { return x.To == y.To && x.Amount == y.Amount && x.Text == y.Text }):
		return "royalty_parameters"
	}
	return ""
}

// receivers finds the account of each receiver.
func (c *Cashier) receivers(ctx context.Context, ask *SplitAsk, asset holdfast.Asset) error {
	for i := range ask.Shares {
		s := &ask.Shares[i]
		for _, p := range []holdfast.Purpose{Wallet, Settlement} {
			_, found, err := c.Books.Account(ctx, account(s.To, p, asset))
			if err != nil {
				return &Unavailable{Err: err}
			}
			if found {
				s.purpose = p
				break
			}
		}
		if s.purpose == 0 {
			return refuse(ReceiverInvalid, "trans_in")
		}
	}
	return nil
}

// split sets the money of shares aside, on the account where that of trades to be split is kept already.
func (v *Trade) split(d *draft, total holdfast.Amount, finish bool) (e Event, err error) {
	if v.Status, err = v.Status.after(ActSplit); err != nil {
		return e, err
	}
	left := v.Amount - v.FeeTaken - v.Shared - (v.Refunded - v.FeeBack)
	switch {
	case v.Mode == Protected && v.Protection != Ended:
		return e, refuse(EscrowStatus, "")
	case v.SplitEnded:
		return e, refuse(SplitFinished, "")
	case total > left || v.Mode == Split && total > v.Kept:
		return e, refuse(SplitTooMuch, "amount")
	}
	v.Shared += total
	e = v.event(EventSplit, total)
	if v.Mode == Split {
		v.Kept -= total
	} else {
		d.move(v.account(Settlement), v.account(Royalty), total)
		e.Effect = -total
	}
	if finish {
		d.move(v.account(Royalty), v.account(Settlement), v.Kept)
		e.Effect += v.Kept
		v.Kept, v.SplitEnded = 0, true
		if total == 0 {
			e.Kind, e.Amount = EventSplitFinished, e.Effect
		}
	}
	return e, nil
}

// paidShare remembers that a share has been paid.
type paidShare struct{ At holdfast.Time }

func (*paidShare) kind() (byte, byte) { return 14, 1 }

func (v *paidShare) layout(c *coder) { signed(c, &v.At) }

// share pays one share.
func (c *Cashier) share(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	s := &ask.Shares[i]
	key := keyOf(ask.Merchant, kindShare, ask.Number, fmt.Sprint(i))
	had, err := c.load(ctx, key, &paidShare{})
	if err == errUnderWay {
		return errOwn
	}
	if err != nil {
		return err
	}
	if s.Paid = had > 0; s.Paid {
		return nil
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	d.put(key, 0, &paidShare{now})
	d.move(v.account(Royalty), account(s.To, s.purpose, v.Asset), s.Amount)
	if err := c.arrive(ctx, &d, account(s.To, s.purpose, v.Asset), Receipt{
		Kind: ReceiptShare, Asset: v.Asset, Amount: s.Amount, Other: v.Merchant, Number: v.OutTradeNo, Text: s.Text,
	}, v.Merchant.String(), ask.Number, fmt.Sprint(i)); err != nil {
		return err
	}
	if err := c.submit(ctx, &d); err != nil {
		return err
	}
	s.Paid = true
	return nil
}

// arrive adds what the receiver of money is told: a customer gets a receipt, a merchant an event that is a row of his statement.
func (c *Cashier) arrive(ctx context.Context, d *draft, to holdfast.AccountID, r Receipt, parts ...string) error {
	if to.Purpose == Wallet {
		d.receipt(to.Owner, r, parts...)
		return nil
	}
	var m Merchant
	if _, err := c.must(ctx, keyOf(to.Owner, kindMerchant), &m, refuse(ReceiverInvalid, "trans_in")); err != nil {
		return err
	}
	return c.tell(d, to.Owner, m.Zone, Event{
		Kind: EventTransferred, Asset: r.Asset, Amount: r.Amount, Effect: r.Amount, Other: r.Other, Number: r.Number, Subject: r.Text,
	})
}
