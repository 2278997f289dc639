package pay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// BenchmarkSettle settles a day of 100 merchants with 100 trades each: what the domain itself costs, without replication and disks.
func BenchmarkSettle(b *testing.B) {
	const merchants, trades = 100, 100
	ctx, settled := context.Background(), 0
	for b.Loop() {
		b.StopTimer()
		books, cashier, at := soldOut(b, merchants, trades)
		books.Reads()
		b.StartTimer()
		for hour := range holdfast.Time(48) {
			list, err := books.ByIndex(ctx, pay.SettleIndex(at+hour*3600e9), "", merchants)
			if err != nil {
				b.Fatal(err)
			}
			for i := range list {
				n, err := cashier.SettleNext(ctx, &list[i], at+holdfast.Time(48*time.Hour))
				if err != nil {
					b.Fatal(err)
				}
				settled += n
			}
		}
		b.ReportMetric(float64(books.Reads())/merchants, "reads/merchant")
	}
	b.ReportMetric(float64(settled*trades)/2/b.Elapsed().Seconds(), "trades/s") // each has two days, and trades on one
}

// soldOut is a day of merchants and trades.
func soldOut(b *testing.B, merchants, trades int) (*paytest.Books, *pay.Cashier, holdfast.Time) {
	ctx := context.Background()
	books := paytest.New(1)
	at := holdfast.TimeOf(time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC))
	cashier, err := pay.New(pay.Config{
		Books: books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: owner(1), Day: time.UTC,
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return owner(n), nil },
		Zone:    func(name string) (*time.Location, error) { return zone(name), nil },
	})
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(err)
	must(cashier.OpenBank(ctx, at, cny))
	payer := owner(2)
	must(only(cashier.RegisterCustomer(ctx, pay.CustomerAsk{Owner: payer, Assets: []holdfast.Asset{cny}}, at)))
	must(only(cashier.TopUp(ctx, pay.TopUpAsk{Owner: payer, Number: "T", Asset: cny, Amount: 1e9}, at)))
	must(only(cashier.ToppedUp(ctx, payer, "T", "B", at)))
	now := at
	for m := range merchants {
		o := owner(uint32(10 + m))
		must(only(cashier.RegisterMerchant(ctx, pay.MerchantAsk{Owner: o, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 60}}, at)))
		must(cashier.PutAccount(ctx, o, "", pay.BankAccount{Number: fmt.Sprint("ACCOUNT", m), Name: "shop"}, at))
		for n := range trades {
			now += 1e6
			must(only(cashier.PayNew(ctx, pay.TradeAsk{
				Merchant: o, OutTradeNo: fmt.Sprint("T", n), TradeOffer: pay.TradeOffer{Amount: 1000, Asset: cny, Subject: "a cup of tea", Notify: "https://shop.example/told"},
			}, payer, now)))
		}
	}
	return books, cashier, at
}
