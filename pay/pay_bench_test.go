package pay_test

import (
	"context"
	"fmt"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// done are books on which everything that is submitted is said to be done, and nothing is.
type done struct{ *paytest.Books }

func (done) Submit(_ context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	return holdfast.Outcome{ID: t.ID, Status: holdfast.Done, Leg: holdfast.NoLeg}, nil
}

// BenchmarkPay is what the domain itself costs: reading, deciding and building one payment that is made and paid at once.
func BenchmarkPay(b *testing.B) {
	w := newWorld(b)
	config := w.cashier.Config
	config.Books = done{w.books}
	c, err := pay.New(config)
	w.must(err)
	code := pay.PaymentCode(w.customers[0], w.secret[:], w.now)
	for name, do := range map[string]func(pay.TradeAsk) error{
		"wallet": func(ask pay.TradeAsk) error { return only(c.PayNew(w.ctx, ask, w.customers[0], w.now)) },
		"code":   func(ask pay.TradeAsk) error { return only(c.PayByCode(w.ctx, ask, code, w.now)) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				w.must(do(w.offer(0, fmt.Sprintf("B%010d", n), 100, pay.Plain)))
			}
		})
	}
}
