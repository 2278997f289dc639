package pay

import (
	"context"

	"holdfast"
)

// TransferAsk sends money to somebody else.
type TransferAsk struct {
	From   holdfast.Owner
	Number string // unique for the payer
	To     holdfast.Owner
	Asset  holdfast.Asset
	Amount holdfast.Amount
	Text   string // at most 1,024 bytes
	// Business: the payer is a merchant, who pays from his settlement account and has no limits; the payee gets it into his wallet either way.
	Business bool
	// Class is under which name of a product and scene it is known where it was asked for; a query may name it. At most 64 bytes.
	Class string
}

// Order is a transfer, top-up, withdrawal or payout.
type Order struct {
	Number  string // no part of the body
	Status  OrderStatus
	Asset   holdfast.Asset
	Amount  holdfast.Amount
	Other   holdfast.Owner // the payee of a transfer
	Text    string         // of a transfer; of a payout the day
	At      holdfast.Time  // when it was asked for
	Changed holdfast.Time
	Bank    string // what the bank calls it, or the reason it gave

	// Of withdrawals and payouts. To is whom to pay, sealed; "": not known yet, so that it waits. Via is the bank that it was sent to first,
	// and no other one is asked about it; Sent is the moment of the last attempt, 0: there was none.
	To, Via  string
	Sent     holdfast.Time
	Recalled bool   // its owner wants the money back: it is not sent any more
	Accepted bool   // the bank has said that it has it
	Doubtful bool   // the bank has contradicted itself about it
	Last     uint64 // a hash of the last [BankChange]

	Class string // of a transfer: see [TransferAsk]

	Until holdfast.Time // of a top-up: for how long its money is waited for; 0: for ever, as a release before this one did
}

// OrderStatus is how far an order has come. The numbers are in records: append, never renumber.
type OrderStatus uint8

// States of an order.
const (
	NoOrder       OrderStatus = iota
	OrderWaiting              // asked for; nothing has been sent to a bank
	OrderSent                 // a bank has been asked, and its answer is not known
	OrderDone                 // the money has arrived
	OrderReturned             // the bank refused, and the money is back; of a top-up: it will not come
	OrderExpired              // of a top-up: the money has not come in time. If it comes all the same, the top-up is done
	orderStatuses
)

var orderStatusNames = [orderStatuses]string{"", "waiting", "sent", "done", "returned", "expired"}

// String names the state.
func (s OrderStatus) String() string {
	if s < orderStatuses {
		return orderStatusNames[s]
	}
	return "invalid"
}

func (*Order) kind() (byte, byte) { return 15, 2 }

func (v *Order) layout(c *coder) {
	number(c, &v.Status)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	number(c, &v.Other)
	text(c, &v.Text)
	signed(c, &v.At)
	signed(c, &v.Changed)
	text(c, &v.Bank)
	text(c, &v.To)
	text(c, &v.Via)
	signed(c, &v.Sent)
	flag(c, &v.Recalled)
	flag(c, &v.Accepted)
	flag(c, &v.Doubtful)
	number(c, &v.Last)
	c.tail(func() bool { return v.Class != "" || v.Until != 0 }, func() {
		text(c, &v.Class)
		c.tail(func() bool { return v.Until != 0 }, func() { signed(c, &v.Until) })
	})
}

// differs names the first thing in which a transfer that is asked for is another one than this; "": they are the same.
func (v *Order) differs(ask *TransferAsk) string {
	switch {
	case v.Other != ask.To:
		return "to"
	case v.Amount != ask.Amount:
		return "amount"
	case v.Asset != ask.Asset:
		return "asset"
	case v.Text != ask.Text:
		return "text"
	case v.Class != ask.Class:
		return "class"
	}
	return ""
}

// Transfer sends money from one wallet to another. The same number is answered as the first time.
func (c *Cashier) Transfer(ctx context.Context, ask TransferAsk, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(ask.Number, "number"), validAmount(ask.Amount, "amount"), validText(ask.Text, "text", 1024), validText(ask.Class, "class", 64)); err != nil {
		return o, err
	}
	if ask.From == ask.To {
		return o, refuse(PayeeIsPayer, "to")
	}
	key := keyOf(ask.From, kindTransfer, ask.Number)
	err = c.again(ctx, func() error {
		o = Order{}
		had, err := c.own(ctx, key, &o)
		o.Number = ask.Number
		switch {
		case err != nil:
			return err
		case had > 0 && o.differs(&ask) != "":
			return refuse(RequestDiffers, o.differs(&ask))
		case had > 0:
			return nil
		}
		o = Order{
			Number: ask.Number, Status: OrderDone, Asset: ask.Asset, Amount: ask.Amount, Other: ask.To, Text: ask.Text, At: now, Changed: now,
			Class: ask.Class,
		}
		return c.transfer(ctx, &ask, &o, key, now)
	})
	return o, err
}

func (c *Cashier) transfer(ctx context.Context, ask *TransferAsk, o *Order, key string, now holdfast.Time) error {
	d := draft{at: now, code: moveTransfer, ref: refOf(key)}
	from := account(ask.From, Wallet, ask.Asset)
	if ask.Business {
		from.Purpose = Settlement
		zone, err := c.free(ctx, &d, ask.From, "from")
		if err != nil {
			return c.unlessSince(ctx, key, 0, err)
		}
		err = c.tell(&d, ask.From, zone, Event{
			Kind: EventTransferred, Asset: ask.Asset, Amount: ask.Amount, Effect: -ask.Amount, Other: ask.To, Number: ask.Number, Subject: ask.Text,
		})
		if err != nil {
			return err
		}
		d.put(keyOf(ask.From, kindNo, TransferNo(ask.From, ask.Number, now)), 0, &pointer{To: toTransfer, OutTradeNo: ask.Number})
	} else {
		if err := c.spending(ctx, &d, from, ask.Amount, key); err != nil {
			return c.unlessSince(ctx, key, 0, err)
		}
		d.receipt(ask.From, Receipt{Kind: ReceiptSent, Asset: ask.Asset, Amount: -ask.Amount, Other: ask.To, Number: ask.Number, Text: ask.Text})
	}
	d.put(key, 0, o)
	d.receipt(ask.To, Receipt{
		Kind: ReceiptReceived, Asset: ask.Asset, Amount: ask.Amount, Other: ask.From, Number: ask.Number, Text: ask.Text,
	}, ask.From.String())
	d.move(from, account(ask.To, Wallet, ask.Asset), ask.Amount)
	return c.submit(ctx, &d)
}

// TransferTo is Transfer to whoever has an alias.
func (c *Cashier) TransferTo(ctx context.Context, ask TransferAsk, alias string, now holdfast.Time) (o Order, err error) {
	if ask.To, err = c.FindAlias(ctx, alias); err != nil {
		return o, err
	}
	return c.Transfer(ctx, ask, now)
}

// QueryTransfer returns a transfer. One that is under way is Pending.
func (c *Cashier) QueryTransfer(ctx context.Context, from holdfast.Owner, n string) (Order, error) {
	return c.order(ctx, from, kindTransfer, n)
}

// order reads an order.
func (c *Cashier) order(ctx context.Context, o holdfast.Owner, kind, n string) (Order, error) {
	v := Order{Number: n}
	if err := validNumber(n, "number"); err != nil {
		return v, err
	}
	err := c.again(ctx, func() error {
		v = Order{Number: n}
		had, err := c.own(ctx, keyOf(o, kind, n), &v)
		if err == nil && had == 0 {
			err = refuse(OrderUnknown, "number")
		}
		return err
	})
	if err != nil {
		return Order{Number: n}, err
	}
	return v, nil
}
