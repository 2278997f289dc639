package pay

import (
	"context"

	"holdfast"
)

// BankOrder names an order that has to do with a bank.
type BankOrder struct {
	Owner  holdfast.Owner
	Payout bool   // of a merchant, made by a settlement; otherwise a customer's withdrawal
	Number string // the customer's number, or of a payout "<day>-<asset>"
}

func (b *BankOrder) key() string {
	if b.Payout {
		return keyOf(b.Owner, kindPayout, b.Number)
	}
	return keyOf(b.Owner, kindWithdraw, b.Number)
}

// TopUpAsk announces money that a customer brings from a bank, or sends some there.
type TopUpAsk struct {
	Owner  holdfast.Owner
	Number string // unique for the customer and kind
	Asset  holdfast.Asset
	Amount holdfast.Amount
}

func (a *TopUpAsk) check() error {
	return first(validNumber(a.Number, "number"), validAmount(a.Amount, "amount"))
}

// TopUp notes that a customer brings money from a bank. It moves nothing; see ToppedUp.
func (c *Cashier) TopUp(ctx context.Context, ask TopUpAsk, now holdfast.Time) (o Order, err error) {
	if err := ask.check(); err != nil {
		return o, err
	}
	key := keyOf(ask.Owner, kindTopUp, ask.Number)
	err = c.again(ctx, func() error {
		o = Order{Number: ask.Number}
		had, err := c.load(ctx, key, &o)
		if err != nil || had > 0 {
			return first(err, o.same(&ask))
		}
		if _, err := c.must(ctx, keyOf(ask.Owner, kindWallet, ask.Asset.String()), &Usage{}, refuse(WalletMissing, "asset")); err != nil {
			return err
		}
		o = Order{Number: ask.Number, Status: OrderWaiting, Asset: ask.Asset, Amount: ask.Amount, At: now, Changed: now}
		d := draft{at: now}
		d.put(key, 0, &o, bankIndex+"/topup")
		return c.submit(ctx, &d)
	})
	return o, err
}

func (o *Order) same(ask *TopUpAsk) error {
	if o.Asset != ask.Asset || o.Amount != ask.Amount {
		return refuse(RequestDiffers, "")
	}
	return nil
}

// ToppedUp books the money of a top-up that the bank has brought; bank is the bank's own number for it. Asking again is harmless.
func (c *Cashier) ToppedUp(ctx context.Context, owner holdfast.Owner, n, bank string, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(n, "number"), validText(bank, "bank", 128)); err != nil {
		return o, err
	}
	key := keyOf(owner, kindTopUp, n)
	err = c.again(ctx, func() error {
		o = Order{Number: n}
		version, err := c.must(ctx, key, &o, refuse(OrderUnknown, "number"))
		if err != nil || o.Status == OrderDone {
			return err
		}
		if o.Status != OrderWaiting {
			return refuse(OrderStateWrong, "")
		}
		o.Status, o.Changed, o.Bank = OrderDone, now, bank
		d := draft{at: now, code: moveTopUp, ref: refOf(key)}
		d.put(key, version, &o)
		d.receipt(owner, Receipt{Kind: ReceiptToppedUp, Asset: o.Asset, Amount: o.Amount, Number: n})
		d.move(account(c.Bank, BankMoney, o.Asset), account(owner, Wallet, o.Asset), o.Amount)
		return c.submit(ctx, &d)
	})
	return o, err
}

// TopUpFailed ends a top-up whose money will not come.
func (c *Cashier) TopUpFailed(ctx context.Context, owner holdfast.Owner, n, why string, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(n, "number"), validText(why, "why", 128)); err != nil {
		return o, err
	}
	key := keyOf(owner, kindTopUp, n)
	err = c.again(ctx, func() error {
		o = Order{Number: n}
		version, err := c.must(ctx, key, &o, refuse(OrderUnknown, "number"))
		if err != nil || o.Status == OrderReturned {
			return err
		}
		if o.Status != OrderWaiting {
			return refuse(OrderStateWrong, "")
		}
		o.Status, o.Changed, o.Bank = OrderReturned, now, why
		d := draft{at: now}
		d.put(key, version, &o)
		return c.submit(ctx, &d)
	})
	return o, err
}

// QueryTopUp returns a top-up.
func (c *Cashier) QueryTopUp(ctx context.Context, owner holdfast.Owner, n string) (Order, error) {
	o, err := c.order(ctx, owner, kindTopUp, n)
	return o, err
}

// Withdraw takes money out of a wallet, to be sent to the customer's bank. Until the bank's answer is known it stands on an account of the
// customer that he cannot spend from. It counts against his limits.
func (c *Cashier) Withdraw(ctx context.Context, ask TopUpAsk, now holdfast.Time) (o Order, err error) {
	if err := ask.check(); err != nil {
		return o, err
	}
	key := keyOf(ask.Owner, kindWithdraw, ask.Number)
	err = c.again(ctx, func() error {
		o = Order{Number: ask.Number}
		had, err := c.load(ctx, key, &o)
		if err == errUnderWay {
			return &Pending{}
		}
		if err != nil || had > 0 {
			return first(err, o.same(&ask))
		}
		o = Order{Number: ask.Number, Status: OrderWaiting, Asset: ask.Asset, Amount: ask.Amount, At: now, Changed: now}
		d := draft{at: now, code: moveWithdraw, ref: refOf(key)}
		from := account(ask.Owner, Wallet, ask.Asset)
		if err := c.spending(ctx, &d, from, ask.Amount, key); err != nil {
			return c.unlessSince(ctx, key, 0, err)
		}
		d.put(key, 0, &o, bankIndex+"/waiting")
		d.receipt(ask.Owner, Receipt{Kind: ReceiptWithdrawn, Asset: ask.Asset, Amount: -ask.Amount, Number: ask.Number})
		d.move(from, account(ask.Owner, Outgoing, ask.Asset), ask.Amount)
		return c.submit(ctx, &d)
	})
	return o, err
}

// BankOrders lists up to max withdrawals and payouts of all owners that are waiting, or that have been sent and not answered, from the one
// after the key on.
func (c *Cashier) BankOrders(ctx context.Context, sent bool, after string, max int) (list []BankOrder, next string, err error) {
	index := bankIndex + "/waiting"
	if sent {
		index = bankIndex + "/sent"
	}
	records, err := c.Books.ByIndex(ctx, index, after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		next = records[i].Key
		o, kind, rest, ok := cutKey(next)
		if ok && records[i].Pending == nil {
			list = append(list, BankOrder{Owner: o, Payout: kind == kindPayout, Number: rest})
		}
	}
	return list, next, nil
}

// QueryBankOrder returns a withdrawal or payout. One whose end is under way is Pending.
func (c *Cashier) QueryBankOrder(ctx context.Context, b BankOrder) (Order, error) {
	kind := kindWithdraw
	if b.Payout {
		kind = kindPayout
	}
	return c.order(ctx, b.Owner, kind, b.Number)
}

// Sent notes that the bank is about to be asked. Whoever asks it does so afterwards: an order that has not been noted has not been sent.
func (c *Cashier) Sent(ctx context.Context, b BankOrder, now holdfast.Time) (Order, error) {
	return c.answer(ctx, b, OrderSent, "", now)
}

// PaidOut notes that the bank has paid; bank is the bank's own number for it. The money leaves the platform's books.
func (c *Cashier) PaidOut(ctx context.Context, b BankOrder, bank string, now holdfast.Time) (Order, error) {
	return c.answer(ctx, b, OrderDone, bank, now)
}

// PayoutReturned notes that the bank has not paid and never will. The money is given back to its owner.
func (c *Cashier) PayoutReturned(ctx context.Context, b BankOrder, why string, now holdfast.Time) (Order, error) {
	return c.answer(ctx, b, OrderReturned, why, now)
}

// answer brings an order to its next state.
func (c *Cashier) answer(ctx context.Context, b BankOrder, next OrderStatus, bank string, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(b.Number, "number"), validText(bank, "bank", 128)); err != nil {
		return o, err
	}
	err = c.again(ctx, func() error {
		o = Order{Number: b.Number}
		version, err := c.must(ctx, b.key(), &o, refuse(OrderUnknown, "number"))
		switch {
		case err == errUnderWay && o.Status == next:
			return &Pending{}
		case err != nil || o.Status == next:
			return err
		case o.Status >= OrderDone:
			return refuse(OrderStateWrong, "")
		}
		o.Status, o.Changed, o.Bank = next, now, bank
		d := draft{at: now, code: movePayout, ref: refOf(b.key())}
		var index []string
		switch next {
		case OrderSent:
			index = []string{bankIndex + "/sent"}
		case OrderDone:
			d.move(account(b.Owner, Outgoing, o.Asset), account(c.Bank, BankMoney, o.Asset), o.Amount)
		}
		d.put(b.key(), version, &o, index...)
		if err := c.answered(ctx, &d, &b, &o); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return o, err
}

// answered adds what the owner is told of the end of an order, and the money that goes back.
func (c *Cashier) answered(ctx context.Context, d *draft, b *BankOrder, o *Order) error {
	returned := o.Status == OrderReturned
	if !returned && (!b.Payout || o.Status == OrderSent) {
		return nil
	}
	if !b.Payout {
		d.code = moveReturn
		d.move(account(b.Owner, Outgoing, o.Asset), account(b.Owner, Wallet, o.Asset), o.Amount)
		d.receipt(b.Owner, Receipt{Kind: ReceiptWithdrawalReturned, Asset: o.Asset, Amount: o.Amount, Number: o.Number, Text: o.Bank})
		return nil
	}
	var m Merchant
	if _, err := c.must(ctx, keyOf(b.Owner, kindMerchant), &m, refuse(MerchantUnknown, "")); err != nil {
		return err
	}
	e := Event{Kind: EventPaidOut, Asset: o.Asset, Amount: o.Amount, Number: o.Number}
	if returned {
		d.code = moveReturn
		d.move(account(b.Owner, Outgoing, o.Asset), account(b.Owner, Settlement, o.Asset), o.Amount)
		e.Kind, e.Effect = EventPayoutReturned, o.Amount
	}
	return c.tell(d, b.Owner, m.Zone, e)
}

// OpenBank opens the platform's account at the bank in some currencies.
func (c *Cashier) OpenBank(ctx context.Context, now holdfast.Time, assets ...holdfast.Asset) error {
	d := draft{at: now}
	for _, asset := range assets {
		d.open(account(c.Bank, BankMoney, asset), holdfast.LimitNone)
	}
	return c.again(ctx, func() error { return c.submit(ctx, &d) })
}
