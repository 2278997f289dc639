package pay

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"holdfast"
)

// PayWithCode pays a trade that exists with the code that a customer shows or types. The code pays one trade, whoever asks where at the same
// time. Asking again after it has paid this trade is answered as the first time, with any code of that customer, also one that is over.
func (c *Cashier) PayWithCode(ctx context.Context, merchant holdfast.Owner, outTradeNo, code string, now holdfast.Time) (Trade, error) {
	s, err := c.check(ctx, merchant, code, now)
	if err != nil {
		v, err := c.paidByOwnerOf(ctx, merchant, outTradeNo, code, err, now)
		s.try.ends(err, false)
		return v, err
	}
	p := payment{Cashier: c, merchant: merchant, outTradeNo: outTradeNo, payer: s.payer, code: &s, now: now}
	v, err := p.do(ctx)
	s.try.ends(err, err == nil && v.Paid == now)
	return v, err
}

// paidByOwnerOf answers for a code that is not valid, or not any more: the trade may have been paid with it when it was. Only that the code
// names the payer is looked at, which whoever paid has shown before.
func (c *Cashier) paidByOwnerOf(ctx context.Context, merchant holdfast.Owner, outTradeNo, code string, why error, now holdfast.Time) (Trade, error) {
	if refused(why) == "" {
		return Trade{}, settled(why)
	}
	v, err := c.Query(ctx, merchant, outTradeNo, now)
	switch {
	case err != nil:
		return Trade{}, err
	case v.Payer != 0 && v.Status != StatusClosed && codeNames(code, v.Payer):
		return v, nil
	}
	return Trade{}, why
}

// codeNames reports whether a code, valid or not, is one of this customer.
func codeNames(code string, o holdfast.Owner) bool {
	rest, ok := strings.CutPrefix(code, codePrefix)
	if !ok || len(code) != codeDigits {
		return false
	}
	n, err := strconv.ParseUint(rest, 10, 64)
	return err == nil && uint32(n/codeModulus) == o.Sequence()
}

// UnderWay reports whether err is an [Unavailable] because another payment, which is not decided yet, has written one of the records: of the
// same wallet, say. This call has done nothing, and will do in a moment.
func UnderWay(err error) bool {
	var u *Unavailable
	return errors.As(err, &u) && (errors.Is(err, errUnderWay) || u.Code == holdfast.CodeRecordPending)
}
