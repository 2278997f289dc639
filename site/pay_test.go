package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"holdfast"
	domain "holdfast/pay"
)

// cashier is the domain of payments beside a site.
func (f *fleet) cashier(s *Site, owners func(n uint32) (holdfast.Owner, error), bank holdfast.Owner) *domain.Cashier {
	f.t.Helper()
	c, err := domain.New(domain.Config{
		Books: s.Books(), AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: bank, OwnerOf: owners, Day: time.UTC,
		Zone: func(string) (*time.Location, error) { return time.UTC, nil },
		Wait: func(ctx context.Context, n int) error {
			select {
			case <-time.After(time.Duration(n) * 10 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// insist asks again, through the next cashier each time, while nobody knows or nothing was executed. It is how callers are to ask.
func insist[T any](all []*domain.Cashier, n int, ask func(c *domain.Cashier) (T, error)) (v T, err error) {
	for began := time.Now(); time.Since(began) < patience; n++ {
		v, err = ask(all[n%len(all)])
		_, pending := errors.AsType[*domain.Pending](err)
		_, unavailable := errors.AsType[*domain.Unavailable](err)
		if !pending && !unavailable {
			return v, err
		}
	}
	return v, err
}

// TestTradesThroughTheLossOfASite: customers pay a merchant of another shard, and of their own, through all sites; half way one of the sites
// is stopped. Every trade that was acknowledged is there, once, and so are the refunds; accounts say what the records say.
func TestTradesThroughTheLossOfASite(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.mustDo(f.site(1), f.open(account(t, 1, 10)))
	owners := func(n uint32) (holdfast.Owner, error) {
		return holdfast.NewOwner(n, holdfast.Slot(n*300%holdfast.Slots))
	}
	owner := func(n uint32) holdfast.Owner {
		o, err := owners(n)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	const asset, money, price, payers, each = "CNY", 100_000, 1_000, 4, 6
	cny := holdfast.MustAsset(asset)
	var all []*domain.Cashier
	for _, s := range f.all() {
		all = append(all, f.cashier(s, owners, owner(100)))
	}
	ctx := context.Background()
	now := func() holdfast.Time { return holdfast.TimeOf(time.Now()) }
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("bank", all[0].OpenBank(ctx, now(), cny))
	merchant := owner(1)
	_, err := insist(all, 0, func(c *domain.Cashier) (domain.Merchant, error) {
		return c.RegisterMerchant(ctx, domain.MerchantAsk{Owner: merchant, Name: "tea", Zone: "UTC", Assets: []holdfast.Asset{cny}, Fee: domain.FeePlan{BasisPoints: 60}}, now())
	})
	must("merchant", err)
	for i := range uint32(payers) {
		o := owner(2 + i)
		_, err := insist(all, 0, func(c *domain.Cashier) (domain.Customer, error) {
			return c.RegisterCustomer(ctx, domain.CustomerAsk{Owner: o, Aliases: []string{fmt.Sprintf("+86 139 0000 000%d", i)}, Assets: []holdfast.Asset{cny}}, now())
		})
		must("customer", err)
		_, err = insist(all, 0, func(c *domain.Cashier) (domain.Order, error) {
			return c.TopUp(ctx, domain.TopUpAsk{Owner: o, Number: "1", Asset: cny, Amount: money}, now())
		})
		must("top-up", err)
		_, err = insist(all, 0, func(c *domain.Cashier) (domain.Order, error) { return c.ToppedUp(ctx, o, "1", "b1", now()) })
		must("money from the bank", err)
	}
	var paying sync.WaitGroup
	half := make(chan struct{})
	var once sync.Once
	for i := range uint32(payers) {
		paying.Go(func() {
			for n := range each {
				if n == each/2 {
					once.Do(func() { close(half) })
				}
				number := fmt.Sprintf("T-%d-%d", i, n)
				ask := domain.TradeAsk{Merchant: merchant, OutTradeNo: number, TradeOffer: domain.TradeOffer{Amount: price, Asset: cny, Subject: "tea"}}
				v, err := insist(all, n+int(i), func(c *domain.Cashier) (domain.Trade, error) { return c.PayNew(ctx, ask, owner(2+i), now()) })
				if err != nil || v.Status != domain.StatusSuccess {
					t.Errorf("%s: %v, %v", number, v.Status, err)
				}
				if n%3 > 0 {
					continue
				}
				_, err = insist(all, n+int(i)+1, func(c *domain.Cashier) (domain.Trade, error) {
					v, _, err := c.Refund(ctx, domain.RefundAsk{Merchant: merchant, OutTradeNo: number, Number: "R", Amount: price / 4}, now())
					return v, err
				})
				if err != nil {
					t.Errorf("refund of %s: %v", number, err)
				}
			}
		})
	}
	<-half
	f.stop(3)
	paying.Wait()
	for i := range uint32(payers) {
		for n := range each {
			number, back := fmt.Sprintf("T-%d-%d", i, n), holdfast.Amount(0)
			if n%3 == 0 {
				back = price / 4
			}
			v, err := insist(all[:2], n, func(c *domain.Cashier) (domain.Trade, error) { return c.Query(ctx, merchant, number, now()) })
			if err != nil || v.Payer != owner(2+i) || v.Refunded != back || v.Amount != price {
				t.Errorf("%s afterwards: %+v, %v", number, v, err)
			}
		}
		w, err := insist(all[:2], 0, func(c *domain.Cashier) ([]domain.Difference, error) { return c.AuditCustomer(ctx, owner(2+i), cny) })
		if err != nil || len(w) > 0 {
			t.Errorf("accounts of customer %d: %v, %v", i, w, err)
		}
		a, _, err := f.site(1).Books().Account(ctx, holdfast.AccountID{Owner: owner(2 + i), Purpose: holdfast.MustPurpose("wallet"), Asset: cny})
		if want := holdfast.Amount(money - each*price + 2*price/4); err != nil || a.Balance() != want {
			t.Errorf("customer %d has %d, want %d, %v", i, a.Balance(), want, err)
		}
	}
	w, err := insist(all[:2], 0, func(c *domain.Cashier) ([]domain.Difference, error) { return c.AuditMerchant(ctx, merchant, cny) })
	if err != nil || len(w) > 0 {
		t.Errorf("accounts of the merchant: %v, %v", w, err)
	}
	for _, s := range f.all()[:2] { // each by its own replicas
		books := pursesOf{s.BooksHere()}
		customers, merchants := 0, 0
		for after, first := (domain.Purse{}), true; first || after != (domain.Purse{}); first = false {
			page, err := all[0].Audit(ctx, books, after, 2)
			if err != nil || len(page.Differences)+len(page.Undecided) > 0 {
				t.Fatalf("the audit: %+v, %v", page, err)
			}
			customers, merchants, after = customers+page.Customers, merchants+page.Merchants, page.Next
		}
		if customers != payers+1 || merchants != 1 { // the wallet that the test itself has opened is one
			t.Errorf("%d customers and %d merchants were audited", customers, merchants)
		}
	}
	f.start(3) // it has to learn all that happened meanwhile
	f.audit()
}

// pursesOf are books with who is in them.
type pursesOf struct{ Books }

func (b pursesOf) Purses(ctx context.Context, after domain.Purse, max int) (list []domain.Purse, err error) {
	ids, err := b.Books.Purses(ctx, domain.Keeps, holdfast.AccountID{Owner: after.Owner, Asset: after.Asset}, max)
	for _, id := range ids {
		list = append(list, domain.Purse{Owner: id.Owner, Asset: id.Asset})
	}
	return list, err
}
