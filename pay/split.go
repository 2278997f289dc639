package pay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// Share is what somebody else gets of a trade: a customer into his wallet, a merchant into his settlement account.
type Share struct {
	To     holdfast.Owner
	Amount holdfast.Amount
	Text   string
	Paid   bool // no part of the request
	Back   bool // no part of the request: nobody could take it, and the merchant has it back

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

// splitAgain is how long a share that its receiver cannot take at present waits before it is tried again.
const splitAgain = holdfast.Time(10 * time.Minute)

// splitFirst is when a split is due for the first time: when its request has long been answered, which would otherwise meet what is due.
const splitFirst = holdfast.Time(2 * time.Minute)

// Split gives shares of a paid trade to others. The first transaction sets the money of all shares aside and remembers the request; then
// each share is paid in one of its own, since the receivers live anywhere. Whatever interrupts that, asking again with the same number pays
// what is not paid yet, and nothing twice; and until all is done the split is due, see [Cashier.RunDue]. A receiver who cannot take his share
// does not stop the others: done says which are paid. If he never can, the merchant gets it back.
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
	if err == nil {
		_, err = c.payShares(ctx, &v, &done, now)
	}
	return v, done, err
}

// payShares pays what is not paid yet. waiting is a refusal that may end: a share is tried again later. The error is the first other one, of
// a share of which nobody knows whether it is paid.
func (c *Cashier) payShares(ctx context.Context, v *Trade, ask *SplitAsk, now holdfast.Time) (waiting, err error) {
	for i := range ask.Shares {
		never := false
		failed := c.again(ctx, func() error {
			err := c.share(ctx, v, ask, i, now)
			never = hopeless(err)
			return err
		})
		if never {
			failed = c.again(ctx, func() error { return c.shareBack(ctx, v, ask, i, now) })
		}
		switch {
		case refused(failed) != "":
			waiting = failed
		case err == nil:
			err = failed
		}
	}
	if err != nil || waiting != nil || len(ask.Shares) == 0 {
		return waiting, err
	}
	return nil, c.again(ctx, func() error { return c.endSplit(ctx, v, ask, now) })
}

// hopeless reports whether the receiver of a share will never take it: his account is not there, or is closed.
func hopeless(err error) bool {
	var d *denied
	if asDenied(err, &d) {
		return d.outcome.Code == holdfast.CodeCreditMissing || d.outcome.Code == holdfast.CodeCreditClosed
	}
	return refused(err) == ReceiverInvalid
}

// dueSplit goes on with a split that is due, and puts it off if a receiver still cannot take his share.
func (c *Cashier) dueSplit(ctx context.Context, merchant holdfast.Owner, number string, now holdfast.Time) error {
	key := keyOf(merchant, kindSplit, number)
	ask := SplitAsk{}
	version, err := c.must(ctx, key, &ask, refuse(RequestDiffers, "out_request_no"))
	if err != nil {
		return settled(err)
	}
	ask.Merchant, ask.Number = merchant, number
	v, err := c.Query(ctx, merchant, ask.OutTradeNo, now)
	if err != nil {
		return err
	}
	waiting, err := c.payShares(ctx, &v, &ask, now)
	if err != nil || waiting == nil {
		return err
	}
	d := draft{at: now}
	d.put(key, version, &ask, minute(dueIndex, now+splitAgain))
	if err := c.submit(ctx, &d); err != nil && err != errAgain { // errAgain: somebody else has put it off, or ended it
		return settled(err)
	}
	return fmt.Errorf("a share waits for its receiver: %w", waiting)
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
		if !done.same(ask) {
			return v, done, refuse(RequestDiffers, "")
		}
		return v, done, nil
	}
	if err := c.receivers(ctx, ask, v.Asset); err != nil {
		return v, done, err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	e, err := v.split(&d, total, ask.Finish)
	if err != nil {
		return v, done, c.unlessSince(ctx, key, 0, err)
	}
	e.Number = ask.Number
	var due []string
	if len(ask.Shares) > 0 { // told when the shares are paid; until then only where the money is
		e.Kind, e.Notify, due = EventSetAside, "", []string{minute(dueIndex, now+splitFirst)}
	}
	d.put(key, 0, ask, due...)
	v.save(&d, version)
	if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
		return v, done, err
	}
	return v, *ask, c.submit(ctx, &d)
}

func (a *SplitAsk) same(b *SplitAsk) bool {
	return a.OutTradeNo == b.OutTradeNo && a.Finish == b.Finish &&
		slices.EqualFunc(a.Shares, b.Shares, func(x, y Share) bool { return x.To == y.To && x.Amount == y.Amount })
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

// paidShare remembers that a share has been paid, or was given back to the merchant. Under the name "told" of a split: that it has ended.
type paidShare struct {
	At   holdfast.Time
	Back bool
}

func (*paidShare) kind() (byte, byte) { return 14, 1 }

// layout has the flag only where it is set: at first there was none.
func (v *paidShare) layout(c *coder) {
	signed(c, &v.At)
	if c.reading && len(c.b) == 0 || !c.reading && !v.Back {
		return
	}
	if flag(c, &v.Back); !v.Back {
		c.fail("a share is given back or has no flag")
	}
}

// ended loads what has become of a share.
func (c *Cashier) ended(ctx context.Context, key string, s *Share) (bool, error) {
	var p paidShare
	had, err := c.load(ctx, key, &p)
	if err == errUnderWay {
		return false, &Pending{}
	}
	if err == nil && had > 0 {
		s.Paid, s.Back = !p.Back, p.Back
	}
	return had > 0, err
}

// shareBack gives a share that nobody can take to the merchant. It has the key of the payment, so that only one of them can be.
func (c *Cashier) shareBack(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	s := &ask.Shares[i]
	key := keyOf(ask.Merchant, kindShare, ask.Number, fmt.Sprint(i))
	if was, err := c.ended(ctx, key, s); was || err != nil {
		return err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	d.put(key, 0, &paidShare{At: now, Back: true})
	d.move(v.account(Royalty), v.account(Settlement), s.Amount)
	e := v.event(EventShareBack, s.Amount)
	e.Number, e.Other, e.Effect, e.Notify = ask.Number, s.To, s.Amount, ""
	if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
		return err
	}
	if err := c.submit(ctx, &d); err != nil {
		return err
	}
	s.Back = true
	return nil
}

// endSplit tells the merchant that all shares are paid or given back, and takes the split from what is due.
func (c *Cashier) endSplit(ctx context.Context, v *Trade, ask *SplitAsk, now holdfast.Time) error {
	told := keyOf(ask.Merchant, kindShare, ask.Number, "told")
	key := keyOf(ask.Merchant, kindSplit, ask.Number)
	if had, err := c.load(ctx, told, &paidShare{}); had > 0 || err != nil {
		return err
	}
	version, err := c.must(ctx, key, &SplitAsk{}, refuse(RequestDiffers, "out_request_no"))
	if err != nil {
		return err
	}
	var paid holdfast.Amount
	for i := range ask.Shares {
		if ask.Shares[i].Paid {
			paid += ask.Shares[i].Amount
		}
	}
	d := draft{at: now}
	d.put(key, version, ask)
	d.put(told, 0, &paidShare{At: now})
	if paid > 0 { // otherwise all that has happened was told share by share
		e := v.event(EventSplit, paid)
		e.Number = ask.Number
		if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
			return err
		}
	}
	return c.submit(ctx, &d)
}

// share pays one share.
func (c *Cashier) share(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	s := &ask.Shares[i]
	key := keyOf(ask.Merchant, kindShare, ask.Number, fmt.Sprint(i))
	if was, err := c.ended(ctx, key, s); was || err != nil {
		return err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	d.put(key, 0, &paidShare{At: now})
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
