package backoffice

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// shops registers merchants in Shanghai, each with one trade that is paid.
func (w *bankWorld) shops(n int) (list []holdfast.Owner) {
	w.t.Helper()
	for i := range n {
		o := ownerOf(uint32(200 + i))
		_, err := w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{
			Owner: o, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}, Fee: pay.FeePlan{BasisPoints: 100},
		}, w.now())
		must(w.t, err)
		ask := pay.TradeAsk{Merchant: o, OutTradeNo: "1", TradeOffer: pay.TradeOffer{Amount: 1000, Asset: cny, Subject: "tea"}}
		_, err = w.cashier.PayNew(w.ctx, ask, w.customers[i%len(w.customers)], w.now())
		must(w.t, err)
		list = append(list, o)
	}
	return list
}

// settled is how many of them have been settled for the first day.
func (w *bankWorld) settled(merchants []holdfast.Owner) (n int) {
	w.t.Helper()
	for _, o := range merchants {
		list, err := w.cashier.SettledDay(w.ctx, o, "2000-01-01")
		must(w.t, err)
		for _, v := range list {
			n++
			if v.Payments != 1 || v.Payout != 990 {
				w.t.Errorf("%+v", v)
			}
		}
	}
	return n
}

func onlySettle(c *Config) { c.Banks, c.Settle = nil, &SettleConfig{} }

// dayIsOver is when the first day can be settled in Shanghai: five past four in the afternoon.
const dayIsOver = 16*time.Hour + pay.SettleLag

// TestAPassThatFailsIsTriedAgainSoon: a moment without majority, in the middle of a pass, costs a second or two and not a whole turn; and while
// it lasts, not every merchant is tried.
func TestAPassThatFailsIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		merchants := w.shops(100)
		var asked, away atomic.Int64
		w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
			if n := asked.Add(1); n > 20 && away.Load() == 0 {
				away.Store(time.Now().UnixNano())
			}
			if at := away.Load(); at > 0 && time.Since(time.Unix(0, at)) < 2*time.Second {
				return paytest.Gone
			}
			return paytest.NoFault
		}
		time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(dayIsOver)))
		w.open(true, onlySettle)
		time.Sleep(1500 * time.Millisecond)
		if n := w.settled(merchants); n == 0 || n == len(merchants) || asked.Load() > 150 {
			t.Errorf("%d are settled while there is no majority, after %d attempts", n, asked.Load())
		}
		time.Sleep(4 * time.Second)
		if n := w.settled(merchants); n != len(merchants) {
			t.Errorf("%d of %d are settled after it came back", n, len(merchants))
		}
		w.stop()
	})
}

// TestAFailureThatLastsIsTriedEverMoreSeldom: one merchant whose day cannot be settled keeps nobody waiting, and is tried again, but not all the time.
func TestAFailureThatLastsIsTriedEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		merchants := w.shops(3)
		var mu sync.Mutex
		tried := 0
		bad := "o/" + merchants[0].String()
		w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
			mu.Lock()
			defer mu.Unlock()
			for i := range x.Records {
				if len(x.Records[i].Key) > len(bad) && x.Records[i].Key[:len(bad)] == bad {
					tried++
					return paytest.Overloaded
				}
			}
			return paytest.NoFault
		}
		time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(dayIsOver)))
		w.open(true, onlySettle)
		time.Sleep(10 * time.Minute)
		if n := w.settled(merchants[1:]); n != 2 {
			t.Errorf("%d of 2 others are settled", n)
		}
		mu.Lock()
		if tried < 20 || tried > 130 {
			t.Errorf("it was tried %d times in ten minutes", tried)
		}
		mu.Unlock()
		w.books.Fault = nil
		time.Sleep(20 * time.Second)
		if n := w.settled(merchants[:1]); n != 1 {
			t.Error("it was not tried again")
		}
		w.stop()
	})
}

// TestWhoComesToLeadLooksAtWhatIsBehind: what a leader before has left undone days ago is settled as soon as another site leads, not within the hour.
func TestWhoComesToLeadLooksAtWhatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		merchants := w.shops(5)
		_, leads := w.open(false, onlySettle)
		time.Sleep(3*24*time.Hour + time.Minute)
		if n := w.settled(merchants); n != 0 {
			t.Fatalf("%d are settled by a site that leads nothing", n)
		}
		leads.Store(true)
		time.Sleep(2500 * time.Millisecond)
		if n := w.settled(merchants); n != len(merchants) {
			t.Errorf("%d of %d are settled by who has come to lead", n, len(merchants))
		}
		w.stop()
	})
}

// TestAClockThatJumps: days that are over when a clock is set are settled at once, and none is forgotten when it is set back.
func TestAClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		merchants := w.shops(3)
		var ahead atomic.Int64
		w.open(true, func(c *Config) {
			onlySettle(c)
			c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		time.Sleep(time.Minute)
		ahead.Store(int64(40 * time.Hour))
		time.Sleep(2 * time.Second)
		if n := w.settled(merchants); n != 3 {
			t.Errorf("%d of 3 are settled when the clock was set", n)
		}
		ahead.Store(0)
		more := w.shops(4)[3:]
		time.Sleep(dayIsOver + time.Minute)
		if n := w.settled(more); n != 1 {
			t.Error("nobody is settled after the clock was set back")
		}
		w.stop()
	})
}

// busyBooks take longer for a commit the more there are at once, above a number that they bear.
type busyBooks struct {
	Books
	inside, most atomic.Int64
	bears        int64
}

func (b *busyBooks) Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	n := b.inside.Add(1)
	defer b.inside.Add(-1)
	for m := b.most.Load(); n > m && !b.most.CompareAndSwap(m, n); m = b.most.Load() {
	}
	time.Sleep(4*time.Millisecond + time.Duration(max(0, n-b.bears))*4*time.Millisecond)
	return b.Books.Submit(ctx, t)
}

// TestSettlementTakesWhatPaymentsLeave: as many merchants at once as commits bear, and no more.
func TestSettlementTakesWhatPaymentsLeave(t *testing.T) {
	for _, v := range []struct {
		bears   int64
		most    int64         // at once, at any moment
		atLeast int64         // at its best
		within  time.Duration // all of them
	}{
		{bears: 1000, most: 16, atLeast: 16, within: time.Second},
		{bears: 4, most: 10, atLeast: 4, within: 3 * time.Second},
		{bears: 0, most: 6, atLeast: 2, within: 6 * time.Second},
	} {
		t.Run(fmt.Sprint(v.bears), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBankWorld(t, 1)
				merchants := w.shops(300)
				busy := &busyBooks{bears: v.bears}
				time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(dayIsOver)))
				w.open(true, func(c *Config) {
					onlySettle(c)
					cashier := *c.Cashier
					busy.Books = c.Books
					cashier.Books = busy
					c.Cashier = &cashier
				})
				time.Sleep(v.within)
				if n := w.settled(merchants); n != len(merchants) {
					t.Errorf("%d of %d are settled within %v", n, len(merchants), v.within)
				}
				if n := busy.most.Load(); n > v.most || n < v.atLeast {
					t.Errorf("there were up to %d commits at once, want %d to %d", n, v.atLeast, v.most)
				}
				w.stop()
			})
		})
	}
}
