package site

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	domain "holdfast/pay"
)

// BenchmarkPayNew makes trades and pays them at once, 256 callers at three sites in one process: of one shard, and of eight.
func BenchmarkPayNew(b *testing.B) {
	for _, shards := range []int{1, 8} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) { benchmarkPayNew(b, shards) })
	}
}

func benchmarkPayNew(b *testing.B, shards int) {
	f := newFleet(b, 3, shards)
	f.mustDo(f.site(1), f.open(account(b, 1, 10)))
	const merchants, customers, callers = 50, 512, 256
	owner := func(n int) holdfast.Owner {
		o, err := OwnerOf(uint32(n))
		if err != nil {
			b.Fatal(err)
		}
		return o
	}
	cny, ctx := holdfast.MustAsset("CNY"), context.Background()
	now := func() holdfast.Time { return holdfast.TimeOf(time.Now()) }
	var all []*domain.Cashier
	for _, s := range f.all() {
		all = append(all, f.cashier(s, OwnerOf, owner(0)))
	}
	must := func(_ any, err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(nil, all[0].OpenBank(ctx, now(), cny))
	for i := range merchants {
		must(insist(all, 0, func(c *domain.Cashier) (domain.Merchant, error) {
			return c.RegisterMerchant(ctx, domain.MerchantAsk{Owner: owner(1 + i), Name: "tea", Zone: "UTC", Assets: []holdfast.Asset{cny}, Fee: domain.FeePlan{BasisPoints: 60}}, now())
		}))
	}
	for i := range customers {
		o := owner(1 + merchants + i)
		must(insist(all, 0, func(c *domain.Cashier) (domain.Customer, error) {
			return c.RegisterCustomer(ctx, domain.CustomerAsk{Owner: o, Assets: []holdfast.Asset{cny}}, now())
		}))
		must(insist(all, 0, func(c *domain.Cashier) (domain.Order, error) {
			return c.TopUp(ctx, domain.TopUpAsk{Owner: o, Number: "1", Asset: cny, Amount: 1_000_000_000}, now())
		}))
		must(insist(all, 0, func(c *domain.Cashier) (domain.Order, error) { return c.ToppedUp(ctx, o, "1", "b1", now()) }))
	}
	var next, failed atomic.Int64
	b.SetParallelism(callers / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			n := int(next.Add(1))
			ask := domain.TradeAsk{
				Merchant: owner(1 + n%merchants), OutTradeNo: fmt.Sprint("B", n),
				TradeOffer: domain.TradeOffer{Amount: 100, Asset: cny, Subject: "tea"},
			}
			if _, err := all[n%3].PayNew(ctx, ask, owner(1+merchants+n%customers), now()); err != nil && failed.Add(1) == 1 {
				b.Log(err)
			}
		}
	})
	b.ReportMetric(float64(failed.Load())/float64(b.N), "failed/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pay/s")
}
