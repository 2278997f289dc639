package pay_test

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// world is two merchants and three customers, each in a shard of its own but for the last customer, who shares that of the first merchant.
type world struct {
	t         fataler
	ctx       context.Context
	books     *paytest.Books
	cashier   *pay.Cashier
	now       holdfast.Time
	merchants []holdfast.Owner
	customers []holdfast.Owner
	bank      holdfast.Owner
	secret    [pay.SecretBytes]byte
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

var cny = holdfast.MustAsset("CNY")

// owner has the sequence as its slot as well.
func owner(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, holdfast.Slot(n%holdfast.Slots))
	if err != nil {
		panic(err)
	}
	return o
}

const startMoney = 100_000

func newWorld(t fataler) *world {
	w := &world{t: t, ctx: context.Background(), books: paytest.New(5), bank: owner(100), secret: [pay.SecretBytes]byte{1, 2, 3}}
	w.now = holdfast.TimeOf(time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC))
	var err error
	w.cashier, err = pay.New(pay.Config{
		Books: w.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: w.bank, Day: zone("Asia/Shanghai"),
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return owner(n), nil },
		Zone: func(name string) (*time.Location, error) {
			if name == "Asia/Shanghai" || name == "Asia/Tokyo" {
				return zone(name), nil
			}
			return nil, errors.New("no such zone")
		},
		Wait:  func(context.Context, int) error { return nil },
		Codes: pay.NewCodeTries(maphash.MakeSeed()),
	})
	w.must(err)
	w.must(w.cashier.OpenBank(w.ctx, w.now, cny))
	for i := range 2 {
		m := owner(uint32(1 + i))
		w.merchants = append(w.merchants, m)
		_, err := w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{
			Owner: m, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 60, Fixed: 1},
		}, w.tick())
		w.must(err)
	}
	for i := range 3 {
		o := owner(uint32(3 + i)) // 5 shards: slots 3, 4, 0
		if i == 2 {
			o = owner(6) // in the shard of merchant 1
		}
		w.customers = append(w.customers, o)
		w.register(o, fmt.Sprintf("+86 139 0000 000%d", i))
	}
	return w
}

// zone is one without daylight saving, so that no file of the machine is needed.
func zone(name string) *time.Location {
	hours := 8
	if name == "Asia/Tokyo" {
		hours = 9
	}
	return time.FixedZone(name, hours*3600)
}

func (w *world) register(o holdfast.Owner, alias string) {
	w.t.Helper()
	_, err := w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o, Aliases: []string{alias}, Assets: []holdfast.Asset{cny}}, w.tick())
	w.must(err)
	_, err = w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: o, Number: "start", Asset: cny, Amount: startMoney}, w.tick())
	w.must(err)
	_, err = w.cashier.ToppedUp(w.ctx, o, "start", "bank-1", w.tick())
	w.must(err)
	_, err = w.cashier.AddDevice(w.ctx, o, w.secret, [pay.NonceBytes]byte{byte(o)}, w.tick())
	w.must(err)
}

func (w *world) tick() holdfast.Time {
	w.now += 1e6
	return w.now
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected: %v", err)
	}
}

func (w *world) offer(n int, number string, amount holdfast.Amount, mode pay.Mode) pay.TradeAsk {
	return pay.TradeAsk{
		Merchant: w.merchants[n], OutTradeNo: number,
		TradeOffer: pay.TradeOffer{Amount: amount, Asset: cny, Mode: mode, Subject: "tea", Notify: "https://shop.example/cb"},
	}
}

func (w *world) balance(o holdfast.Owner) pay.Balance {
	w.t.Helper()
	b, err := w.cashier.Balance(w.ctx, o, cny)
	w.must(err)
	return b
}

func (w *world) money(o holdfast.Owner, p holdfast.Purpose) holdfast.Amount {
	a, _, _ := w.books.Account(w.ctx, holdfast.AccountID{Owner: o, Purpose: p, Asset: cny})
	return a.Available()
}

// audit checks that all money is somewhere, and that every account holds what the documents say.
func (w *world) audit() {
	w.t.Helper()
	w.books.Deliver()
	if sum := w.books.Money(cny); sum != 0 {
		w.t.Fatalf("%d minor units have come from nowhere", sum)
	}
	for _, m := range w.merchants {
		list, err := w.cashier.AuditMerchant(w.ctx, m, cny)
		w.must(err)
		for _, d := range list {
			w.t.Fatalf("merchant: %v", d)
		}
	}
	for _, o := range w.customers {
		list, err := w.cashier.AuditCustomer(w.ctx, o, cny)
		w.must(err)
		for _, d := range list {
			w.t.Fatalf("customer: %v", d)
		}
	}
}

// refusal is the code of a refusal; "" for no error, and something else for other errors.
func refusal(err error) pay.Code {
	var r *pay.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Code
	}
	return pay.Code("error: " + err.Error())
}

func (w *world) refused(want pay.Code, err error) {
	w.t.Helper()
	if got := refusal(err); got != want {
		w.t.Fatalf("got %q, want %q", got, want)
	}
}

func TestAPaymentAndItsRefunds(t *testing.T) {
	w := newWorld(t)
	for n, payer := range w.customers {
		number := fmt.Sprintf("A%d", n)
		ask := w.offer(0, number, 1000, pay.Plain)
		made, err := w.cashier.Create(w.ctx, ask, w.tick())
		w.must(err)
		if made.Status != pay.StatusWaiting || len(made.TradeNo) != 28 {
			t.Fatalf("created: %+v", made)
		}
		w.books.Reads()
		paid, err := w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: ask.Merchant, OutTradeNo: number, Payer: payer}, w.tick())
		w.must(err)
		if reads := w.books.Reads(); reads != 3 {
			t.Errorf("a payment of an existing trade took %d reads", reads)
		}
		if paid.Status != pay.StatusSuccess || paid.FeeTaken != 7 { // 0.6 % and 1
			t.Fatalf("paid: %+v", paid)
		}
		again, err := w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: ask.Merchant, OutTradeNo: number, Payer: payer}, w.tick())
		w.must(err)
		if again != paid {
			t.Fatalf("paid again: %+v, want %+v", again, paid)
		}
		if got := w.balance(payer).Available; got != startMoney-1000 {
			t.Fatalf("the payer has %d", got)
		}
		w.audit()
		ask2 := pay.RefundAsk{Merchant: ask.Merchant, OutTradeNo: number, Number: "R1", Amount: 300}
		v, r, err := w.cashier.Refund(w.ctx, ask2, w.tick())
		w.must(err)
		if v.Refunded != 300 || r.FeeBack != 2 || v.Status != pay.StatusSuccess {
			t.Fatalf("refunded: %+v %+v", v, r)
		}
		v, r, err = w.cashier.Refund(w.ctx, ask2, w.tick())
		w.must(err)
		if v.Refunded != 300 || !r.Again {
			t.Fatalf("refunded again: %+v %+v", v, r)
		}
		ask2.Number, ask2.Amount = "R2", 701
		_, _, err = w.cashier.Refund(w.ctx, ask2, w.tick())
		w.refused(pay.RefundTooMuch, err)
		ask2.Amount = 700
		v, r, err = w.cashier.Refund(w.ctx, ask2, w.tick())
		w.must(err)
		if v.Status != pay.StatusClosed || v.FeeBack != 7 || r.FeeBack != 5 {
			t.Fatalf("refunded whole: %+v %+v", v, r)
		}
		if got := w.balance(payer).Available; got != startMoney {
			t.Fatalf("the payer has %d back", got)
		}
		w.audit()
	}
}
