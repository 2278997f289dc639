package pay

import (
	"context"

	"holdfast"
)

// TopUps lists the top-ups of a customer by number, as the lists of a merchant are: see [Cashier.Trades].
func (c *Cashier) TopUps(ctx context.Context, o holdfast.Owner, after string, max int) (list []Order, next string, err error) {
	return c.orders(ctx, o, kindTopUp, after, max)
}

// Withdrawals lists the withdrawals of a customer by number.
func (c *Cashier) Withdrawals(ctx context.Context, o holdfast.Owner, after string, max int) (list []Order, next string, err error) {
	return c.orders(ctx, o, kindWithdraw, after, max)
}

func (c *Cashier) orders(ctx context.Context, o holdfast.Owner, kind, after string, max int) (list []Order, next string, err error) {
	prefix := keyOf(o, kind, "")
	next, err = c.listed(ctx, prefix, after, max, func(rest string, body []byte) error {
		v := Order{Number: rest}
		err := unpack(prefix+rest, body, &v)
		list = append(list, v)
		return err
	})
	return list, next, err
}
