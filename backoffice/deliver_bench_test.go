package backoffice

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/webhook"
)

// BenchmarkDeliverEvents tells merchants of events: from the hint over HTTP on this machine to the record of each delivery on a real ledger. The
// receivers' work is in it.
func BenchmarkDeliverEvents(b *testing.B) {
	for _, merchants := range []int{1, 100} {
		b.Run(fmt.Sprint("merchants=", merchants), func(b *testing.B) { deliverEvents(b, merchants) })
	}
}

func deliverEvents(b *testing.B, merchants int) {
	var got atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got.Add(1)
	}))
	defer receiver.Close()
	s := newStreet(b, uint32(merchants))
	port := portOf(b, receiver.URL)
	ctx := context.Background()
	for n := range uint32(merchants) {
		list, err := s.cashier.Endpoints(ctx, ownerOf(1+n))
		s.must(err)
		to := fmt.Sprintf("http://127.0.0.1:%s/%d", port, n)
		_, err = s.cashier.ChangeEndpoint(ctx, ownerOf(1+n), list[0].ID, pay.EndpointChange{URL: &to}, s.now())
		s.must(err)
	}
	poster := webhook.NewPoster(webhook.Addresses{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true}, 10*time.Second, nil, time.Now)
	defer poster.Close()
	o, err := New(Config{
		Cashier: s.cashier, Books: s.books, Now: time.Now, Random: func() float64 { return 0 }, Deliver: &DeliverConfig{Poster: poster},
	})
	s.must(err)
	events := make([]*pay.Event, b.N)
	for i := range events {
		events[i] = benchEvent(i, ownerOf(uint32(1+i%merchants)))
	}
	stop := run(o)
	defer stop()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range events {
		for i-int(got.Load()) > max(200, 20*merchants) { // no more than their lanes take: what does not fit is left to the sweep
			time.Sleep(time.Millisecond)
		}
		o.Told(events[i])
	}
	for got.Load() < int64(b.N) || o.deliver.measure.waiting() > 0 {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	for n := range uint32(merchants) {
		for _, v := range s.deliveries(1 + n) {
			if !v.Done || v.Attempts != 1 {
				b.Fatalf("%+v", v)
			}
		}
	}
	if want := int64(b.N); got.Load() != want {
		b.Errorf("%d deliveries of %d events", got.Load(), want)
	}
}

// benchEvent is an event as the cashier would hint at it; the books know nothing of it, so that no payment is measured.
func benchEvent(n int, merchant holdfast.Owner) *pay.Event {
	at := holdfast.TimeOf(time.Now()) + holdfast.Time(n)
	return &pay.Event{
		Kind: pay.EventPaid, Time: at, Merchant: merchant, Key: holdfast.OwnedKey(merchant, fmt.Sprintf("event/%016x-%016x", uint64(at), n)),
		OutTradeNo: fmt.Sprint(n), TradeNo: "2026112700000001000000000001", Subject: "tea", Asset: cny, Status: pay.StatusSuccess, Total: 100, Amount: 100,
		Created: at, Paid: at,
	}
}

func portOf(b *testing.B, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	return u.Port()
}
