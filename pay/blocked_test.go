package pay_test

import (
	"testing"

	"holdfast"
	"holdfast/pay"
)

// TestABlockedMerchantIsNotPaid: not by any way to pay, also when the trade was made before he was blocked, or while he is. What was paid before is
// answered as the first time.
func TestABlockedMerchantIsNotPaid(t *testing.T) {
	ways := map[string]func(*world) error{
		"wallet": func(w *world) error {
			return only(w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: w.merchants[0], OutTradeNo: "W", Payer: w.customers[0]}, w.tick()))
		},
		"made again": func(w *world) error {
			return only(w.cashier.PayNew(w.ctx, w.offer(0, "W", 1000, pay.Plain), w.customers[0], w.tick()))
		},
		"code of a new trade": func(w *world) error {
			return only(w.cashier.PayByCode(w.ctx, w.offer(0, "W", 1000, pay.Plain), w.code(0), w.tick()))
		},
		"code": func(w *world) error { return only(w.payWithCode("W", w.code(0))) },
		"frozen": func(w *world) error {
			return only(w.cashier.PayFrozen(w.ctx, w.offer(0, "W", 1000, pay.Plain), "F", false, w.tick()))
		},
	}
	for name, pays := range ways {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.auth("F", 1000)
			w.waiting("W")
			w.must(only(w.cashier.PayNew(w.ctx, w.offer(0, "before", 10, pay.Plain), w.customers[0], w.tick())))
			blocked := false
			w.books.Meanwhile = func(*holdfast.Txn) { // when the payment has been decided and not been written
				if !blocked {
					blocked = true
					w.must(w.cashier.BlockMerchant(w.ctx, w.merchants[0], true, w.tick()))
				}
			}
			w.refused(pay.SellerBlocked, pays(w))
			w.books.Meanwhile = nil
			w.refused(pay.SellerBlocked, pays(w))
			w.must(only(w.cashier.PayNew(w.ctx, w.offer(0, "before", 10, pay.Plain), w.customers[0], w.tick())))
			w.must(w.cashier.BlockMerchant(w.ctx, w.merchants[0], false, w.tick()))
			w.must(pays(w))
			w.audit()
		})
	}
}
