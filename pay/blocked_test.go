package pay_test

import (
	"fmt"
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

// TestABlockedMerchantGivesNothingAway: neither by a transfer nor by a split, nor by one that is decided while somebody blocks him. What was done before
// is answered as the first time, and buyers get their money back.
func TestABlockedMerchantGivesNothingAway(t *testing.T) {
	w := newWorld(t)
	shop, b := w.merchants[0], w.customers[1]
	w.must(w.payNew(func(a *pay.TradeAsk) { a.OutTradeNo, a.Amount = "rich", 50_000 }))
	w.plain("S", pay.Split)
	transfer := func(n string) error {
		return only(w.cashier.Transfer(w.ctx, pay.TransferAsk{From: shop, Number: n, To: b, Asset: cny, Amount: 5, Business: true}, w.tick()))
	}
	split := func(n string) error {
		return two(w.cashier.Split(w.ctx, pay.SplitAsk{Merchant: shop, OutTradeNo: "S", Number: n, Shares: []pay.Share{{To: b, Amount: 10}}}, w.tick()))
	}
	block := func(blocked bool) { w.must(w.cashier.BlockMerchant(w.ctx, shop, blocked, w.tick())) }
	w.must(transfer("1"))
	w.must(split("1"))
	block(true)
	had := w.money(shop, pay.Settlement)
	w.refused(pay.SellerBlocked, transfer("2"))
	w.refused(pay.SellerBlocked, split("2"))
	w.must(transfer("1"))
	w.must(split("1"))
	for n, do := range []func(string) error{transfer, split} {
		block(false)
		w.books.Meanwhile = func(*holdfast.Txn) {
			w.books.Meanwhile = nil
			block(true)
		}
		w.refused(pay.SellerBlocked, do(fmt.Sprint("late", n)))
	}
	if got := w.money(shop, pay.Settlement); got != had {
		t.Errorf("his account has %d instead of %d", got, had)
	}
	w.must(two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: shop, OutTradeNo: "rich", Number: "R", Amount: 100}, w.tick())))
	w.audit()
}
