package pay

import (
	"context"
	"fmt"
	"time"

	"holdfast"
)

// EscrowAsk names a protected trade.
type EscrowAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	By         holdfast.Owner // who asks: the merchant for Ship, the buyer for Confirm and Dispute; not looked at otherwise

	decision holdfast.Amount // of Decide: what the merchant gets, and 1
}

// Bounds of the times that a [Config] gives: of the one to ship, of a freeze, and of the least one to confirm. A buyer has at most MaxProtection.
const (
	MinProtection = time.Hour
	MaxProtection = 90 * 24 * time.Hour
	MinEnd        = time.Hour
	MaxEnd        = 365 * 24 * time.Hour
)

// What a [Config] means that says nothing.
const (
	defaultShipWithin = 15 * 24 * time.Hour
	defaultFreezeFor  = 30 * 24 * time.Hour
	defaultProtection = 72 * time.Hour

	defaultTopUpWithin = 30 * 24 * time.Hour
)

// protect does one step of a protected trade.
func (c *Cashier) protect(ctx context.Context, ask EscrowAsk, s step, now holdfast.Time, how func(*Trade, *draft) (Event, error)) (v Trade, err error) {
	err = c.again(ctx, func() error {
		var version uint64
		if v, version, err = c.existing(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		// Before anything of the trade is answered: done before is no answer to somebody else.
		if (s == stepConfirm || s == stepDispute) && v.Payer != 0 && ask.By != v.Payer {
			v = Trade{}
			return refuse(BuyerDiffers, "by")
		}
		if s == stepDecide && v.Decision == ask.decision {
			return nil // done before
		}
		if v.Status, err = v.Status.after(ActProtect); err != nil {
			return err
		}
		had := v.Protection
		if v.Protection, err = had.after(s); err != nil {
			return err
		}
		if had == v.Protection {
			return nil // done before
		}
		d := draft{at: now, code: moveRelease}
		e, err := how(&v, &d)
		if err != nil {
			return err
		}
		v.save(&d, version)
		for i := range d.Transfers {
			d.Transfers[i].Ref = d.ref
		}
		if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return v, err
}

// long is a length of time for people.
func long(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0 && d > 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.String()
}

// unshippedNumber is the request number of the refund of what nobody has shipped; merchants cannot use it, because of its first character.
const unshippedNumber = "~unshipped"

// unshipped reports that the time to ship is over, and nobody has shipped.
func (v *Trade) unshipped(now holdfast.Time) bool {
	return v.Protection == Held && v.Deadline != 0 && now >= v.Deadline
}

// Unshipped gives the buyer back what is held of a trade that the merchant has not shipped within his time; whoever works through what is due calls
// it. To both sides it is a refund.
func (c *Cashier) Unshipped(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (Trade, error) {
	v, _, err := c.refund(ctx, RefundAsk{
		Merchant: merchant, OutTradeNo: outTradeNo, Number: unshippedNumber, Reason: "not shipped in time", unshipped: true,
	}, now)
	return v, err
}

// Ship notes that the merchant has shipped. From then on the buyer has the time to confirm or dispute; when it is over he has confirmed.
func (c *Cashier) Ship(ctx context.Context, ask EscrowAsk, within time.Duration, now holdfast.Time) (Trade, error) {
	if within < c.LeastProtection || within > MaxProtection {
		return Trade{}, &Refusal{Code: FieldInvalid, Field: "within", Text: fmt.Sprintf(
			"The buyer has to have between %s and %s to confirm or to dispute: send a time that is.", long(c.LeastProtection), long(MaxProtection))}
	}
	if ask.By != ask.Merchant {
		return Trade{}, refuse(FieldInvalid, "by")
	}
	return c.protect(ctx, ask, stepShip, now, func(v *Trade, _ *draft) (Event, error) {
		v.Deadline = now + holdfast.Time(within)
		return v.event(EventShipped, v.Kept), nil
	})
}

// Confirm gives the merchant the money: the buyer has got what he paid for.
func (c *Cashier) Confirm(ctx context.Context, ask EscrowAsk, now holdfast.Time) (Trade, error) {
	return c.protect(ctx, ask, stepConfirm, now, func(v *Trade, d *draft) (Event, error) {
		return v.release(d, v.Kept), nil
	})
}

// Lapse gives the merchant the money of a trade whose buyer has not spoken within his time; whoever works through what is due calls it.
func (c *Cashier) Lapse(ctx context.Context, ask EscrowAsk, now holdfast.Time) (Trade, error) {
	return c.protect(ctx, ask, stepLapse, now, func(v *Trade, d *draft) (Event, error) {
		if now < v.Deadline {
			return Event{}, refuse(EscrowStatus, "")
		}
		return v.release(d, v.Kept), nil
	})
}

// Dispute freezes what is held until the platform decides.
func (c *Cashier) Dispute(ctx context.Context, ask EscrowAsk, now holdfast.Time) (Trade, error) {
	return c.protect(ctx, ask, stepDispute, now, func(v *Trade, _ *draft) (Event, error) {
		return v.event(EventDisputed, v.Kept), nil
	})
}

// Decide ends a dispute: toMerchant of what is held (0: nothing) is released, the rest goes back to the buyer, in one transaction.
// The same decision again is answered as the first time.
func (c *Cashier) Decide(ctx context.Context, ask EscrowAsk, toMerchant holdfast.Amount, now holdfast.Time) (Trade, error) {
	if toMerchant < 0 || toMerchant > MaxAmount {
		return Trade{}, refuse(AmountInvalid, "to_merchant")
	}
	ask.decision = toMerchant + 1
	return c.protect(ctx, ask, stepDecide, now, func(v *Trade, d *draft) (Event, error) {
		v.Decision = ask.decision
		if toMerchant > v.Kept {
			return Event{}, refuse(EscrowTooMuch, "to_merchant")
		}
		back := v.Kept - toMerchant
		e := v.release(d, toMerchant)
		if back == 0 {
			return e, nil
		}
		d.move(v.account(Escrow), account(v.Payer, Wallet, v.Asset), back)
		v.Kept, v.Refunded, v.Protection = 0, v.Refunded+back, Ended
		if v.Refunded == v.Amount {
			var err error
			if v.Status, err = v.Status.after(ActRefundWhole); err != nil {
				return e, err
			}
			v.Closed = d.at
		}
		d.receipt(v.Payer, Receipt{
			Kind: ReceiptRefunded, Asset: v.Asset, Amount: back, Other: v.Merchant, Number: v.OutTradeNo, Text: v.Subject,
		}, v.Merchant.String(), "decided")
		e.Status, e.Refunded = v.Status, v.Refunded
		d.put(keyOf(v.Merchant, kindRefund, v.OutTradeNo, decidedNumber), 0, &Refund{Amount: back, At: d.at, Reason: decidedReason})
		refunded := v.event(EventRefunded, back)
		refunded.Number = decidedNumber
		return e, c.tell(d, v.Merchant, v.Zone, refunded)
	})
}

// decidedNumber is the request number of what a decided dispute gives back: a dispute of a trade is decided once. Merchants cannot use it, because of
// its first character.
const (
	decidedNumber = "~decided"
	decidedReason = "the dispute was decided"
)

// Release gives the merchant a part of what is held, before the buyer has confirmed the rest. total is what is to have been released all in all,
// so that asking again is harmless.
func (c *Cashier) Release(ctx context.Context, ask EscrowAsk, total holdfast.Amount, now holdfast.Time) (v Trade, err error) {
	if err := validAmount(total, "total"); err != nil {
		return v, err
	}
	err = c.again(ctx, func() error {
		var version uint64
		if v, version, err = c.existing(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		if _, err := v.Status.after(ActProtect); err != nil {
			return err
		}
		switch {
		case v.Protection == Unprotected:
			return refuse(NotEscrow, "")
		case v.Released >= total:
			return nil
		case v.Protection == Disputed:
			return refuse(EscrowDisputed, "")
		case total-v.Released > v.Kept:
			return refuse(EscrowTooMuch, "total")
		}
		d := draft{at: now, code: moveRelease, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
		e := v.release(&d, total-v.Released)
		v.save(&d, version)
		if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return v, err
}

// release gives the merchant an amount of what is held. The fee is that of all that has been released, less what was taken before, so that
// parts cost what the whole would.
func (v *Trade) release(d *draft, amount holdfast.Amount) Event {
	v.Released += amount
	fee := v.Fee.Fee(v.Released) - v.FeeTaken
	d.move(v.account(Escrow), v.account(Settlement), amount-fee)
	d.move(v.account(Escrow), v.account(Fees), fee)
	v.FeeTaken += fee
	if !plantedEscrowLeaks() {
		v.Kept -= amount
	}
	if v.Kept == 0 {
		v.Protection = Ended
	}
	e := v.event(EventReleased, amount)
	e.Number = fmt.Sprint(v.Released)
	e.Fee, e.Effect = fee, amount-fee
	return e
}
