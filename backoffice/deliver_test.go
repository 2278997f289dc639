package backoffice

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
	"holdfast/webhook"
)

var cny = holdfast.MustAsset("CNY")

// street is merchants, each with an endpoint at a host of his own, and a buyer, on books of several shards; and what came to those hosts.
type street struct {
	t       testing.TB
	books   *paytest.Books
	cashier *pay.Cashier
	buyer   holdfast.Owner
	paid    int

	mu    sync.Mutex
	hosts map[string]func(ctx context.Context, x webhook.Post) webhook.Answer // nil: takes everything
	got   []arrival
}

type arrival struct {
	host, event string // its webhook-id, or out_trade_no of a notice
	at          time.Time
	post        webhook.Post
}

func ownerOf(n uint32) holdfast.Owner {
	o, err := holdfast.NewOwner(n, holdfast.Slot(n%holdfast.Slots))
	if err != nil {
		panic(err)
	}
	return o
}

func newStreet(t testing.TB, merchants uint32) *street {
	s := &street{t: t, books: paytest.New(3), buyer: ownerOf(500), hosts: map[string]func(context.Context, webhook.Post) webhook.Answer{}}
	zone := time.FixedZone("Asia/Shanghai", 8*3600)
	var err error
	s.cashier, err = pay.New(pay.Config{
		Books: s.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: ownerOf(900), Day: zone,
		OwnerOf: func(n uint32) (holdfast.Owner, error) { return ownerOf(n), nil },
		Zone:    func(string) (*time.Location, error) { return zone, nil },
	})
	s.must(err)
	ctx := context.Background()
	s.must(s.cashier.OpenBank(ctx, s.now(), cny))
	_, err = s.cashier.RegisterCustomer(ctx, pay.CustomerAsk{Owner: s.buyer, Assets: []holdfast.Asset{cny}}, s.now())
	s.must(err)
	_, err = s.cashier.TopUp(ctx, pay.TopUpAsk{Owner: s.buyer, Number: "1", Asset: cny, Amount: 1_000_000_000}, s.now())
	s.must(err)
	_, err = s.cashier.ToppedUp(ctx, s.buyer, "1", "b", s.now())
	s.must(err)
	for n := range merchants {
		m := ownerOf(1 + n)
		_, err := s.cashier.RegisterMerchant(ctx, pay.MerchantAsk{Owner: m, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}}, s.now())
		s.must(err)
		_, _, err = s.cashier.NewEndpoint(ctx, pay.EndpointAsk{
			Merchant: m, Number: "1", URL: "https://" + hostName(m) + "/hook?token=x", Secret: secret(1).Text(), Nonce: [pay.NonceBytes]byte{byte(n)},
		}, s.now())
		s.must(err)
	}
	return s
}

func hostName(m holdfast.Owner) string { return fmt.Sprintf("shop%d.example", m.Sequence()) }

func secret(n byte) webhook.Secret {
	s, err := webhook.NewSecret(strings.NewReader(strings.Repeat(string(rune('a'+n)), 32)))
	if err != nil {
		panic(err)
	}
	return s
}

func (s *street) now() holdfast.Time { return holdfast.TimeOf(time.Now()) }

func (s *street) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// pay makes a paid trade of a merchant, and so one event.
func (s *street) pay(n uint32, notify string) pay.Trade {
	s.t.Helper()
	s.paid++
	v, err := s.cashier.PayNew(context.Background(), pay.TradeAsk{
		Merchant: ownerOf(n), OutTradeNo: fmt.Sprintf("T%d", s.paid),
		TradeOffer: pay.TradeOffer{Amount: 100, Asset: cny, Subject: "tea", Notify: notify},
	}, s.buyer, s.now())
	s.must(err)
	return v
}

// Post is the world outside.
func (s *street) Post(ctx context.Context, x webhook.Post) webhook.Answer {
	host := hostOf(x.URL)
	event := x.Header.Get(webhook.HeaderID)
	if event == "" {
		event = string(x.Body)
	}
	s.mu.Lock()
	s.got = append(s.got, arrival{host, event, time.Now(), x})
	how := s.hosts[host]
	s.mu.Unlock()
	begun := time.Now()
	a := webhook.Answer{Status: 200, Taken: true, Body: []byte("thanks")}
	if how != nil {
		a = how(ctx, x)
	}
	a.At, a.Took = begun, time.Since(begun)
	return a
}

// dead never answers.
func dead(ctx context.Context, _ webhook.Post) webhook.Answer {
	select {
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
	}
	return webhook.Answer{Late: true, Why: "late"}
}

// failing refuses some deliveries, with a status, before it takes one.
func failing(times, status int) func(context.Context, webhook.Post) webhook.Answer {
	var mu sync.Mutex
	return func(context.Context, webhook.Post) webhook.Answer {
		mu.Lock()
		defer mu.Unlock()
		if times--; times >= 0 {
			return webhook.Answer{Status: status, Why: "refused", Gone: status == http.StatusGone, Body: []byte(strings.Repeat("no ", 200))}
		}
		return webhook.Answer{Status: 200, Taken: true}
	}
}

// arrivals counts what came to a host, by event.
func (s *street) arrivals(host string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, a := range s.got {
		if a.host == host {
			n[a.event]++
		}
	}
	return n
}

// arrived is everything that came, in order.
func (s *street) arrived() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// NoticeOf makes a notice that is its out_trade_no; what is closed is not told.
func (s *street) NoticeOf(_ context.Context, e *pay.Event) (url, form string, ok bool, err error) {
	return e.Notify, e.OutTradeNo, e.Kind != pay.EventClosed, nil
}

func (s *street) office(books Books) *Office {
	s.t.Helper()
	o, err := New(Config{
		Cashier: s.cashier, Books: books, Now: time.Now, Random: func() float64 { return 0 }, Registry: prometheus.NewRegistry(),
		Deliver: &DeliverConfig{
			Poster: s, Notices: s, Accepted: func(status int, _ []byte) bool { return status == 200 },
			Wait: func(n int) (time.Duration, bool) { return 4 * time.Minute, n < 3 },
		},
	})
	s.must(err)
	return o
}

// run runs offices; the function returned stops them and waits.
func run(list ...*Office) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, o := range list {
		all.Go(func() { o.Run(ctx) })
	}
	return func() { cancel(); all.Wait() }
}

// deliveries are all of a merchant, latest event first.
func (s *street) deliveries(n uint32) []pay.Delivery {
	s.t.Helper()
	list, _, err := s.cashier.Deliveries(context.Background(), ownerOf(n), "", 1000)
	s.must(err)
	return list
}

// wants checks that some events came to a host, each at least and at most so many times.
func (s *street) wants(host string, events, least, most int) {
	s.t.Helper()
	got := s.arrivals(host)
	for event, n := range got {
		if n < least || n > most {
			s.t.Errorf("%s came to %s %d times", event, host, n)
		}
	}
	if len(got) != events {
		s.t.Errorf("%d events came to %s, want %d", len(got), host, events)
	}
}

func TestToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 2)
		o := s.office(s.books)
		s.cashier.Told = o.Told
		defer run(o)()
		v := s.pay(1, "https://cb.example/n")
		time.Sleep(100 * time.Millisecond)
		s.wants("shop1.example", 1, 1, 1)
		s.wants("cb.example", 1, 1, 1)
		list := s.deliveries(1)
		if len(list) != 2 || !list[0].Done || !list[1].Done || list[0].Attempts != 1 || list[0].Status != 200 || list[0].Next != 0 {
			t.Fatalf("recorded as %+v", list)
		}
		var x arrival
		for _, a := range s.arrived() {
			if a.host == "shop1.example" {
				x = a
			}
		}
		h := x.post.Header
		err := webhook.Verify(secret(1), h.Get(webhook.HeaderID), h.Get(webhook.HeaderTimestamp), h.Get(webhook.HeaderSignature), x.post.Body, time.Now())
		if err != nil {
			t.Error(err)
		}
		var e Event
		s.must(json.Unmarshal(x.post.Body, &e))
		if e.Type != "trade.paid" || e.ID != h.Get(webhook.HeaderID) || e.Data.OutTradeNo != v.OutTradeNo || e.Data.Amount != 100 || e.Data.Asset != "CNY" ||
			e.Data.Merchant != ownerOf(1).String() || e.Data.Other != s.buyer.String() || e.Data.Status != "TRADE_SUCCESS" || e.Data.Paid == nil {
			t.Errorf("%s", x.post.Body)
		}
		_, err = s.cashier.Close(context.Background(), ownerOf(1), s.open(1, "https://cb.example/n"), s.now())
		s.must(err)
		time.Sleep(25*time.Hour + time.Minute) // all sweeps go over it
		s.wants("shop1.example", 2, 1, 1)
		s.wants("cb.example", 1, 1, 1) // of what is closed there is no notice
		if got := len(s.deliveries(1)); got != 3 {
			t.Errorf("%d deliveries", got)
		}
		if m := o.deliver.measure; m.waiting() != 0 || m.behind() > 5 || m.oldest() != 0 {
			t.Errorf("%v waiting, %v s behind", m.waiting(), m.behind())
		}
	})
}

// open makes a trade that nobody has paid.
func (s *street) open(n uint32, notify string) string {
	s.t.Helper()
	s.paid++
	v, err := s.cashier.Create(context.Background(), pay.TradeAsk{
		Merchant: ownerOf(n), OutTradeNo: fmt.Sprintf("T%d", s.paid),
		TradeOffer: pay.TradeOffer{Amount: 100, Asset: cny, Subject: "tea", Notify: notify},
	}, s.now())
	s.must(err)
	return v.OutTradeNo
}

// TestLostHints: without any hint everything is found, also what is written long after the time it has, and what is not decided is not told.
func TestLostHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 3)
		var stuck atomic.Bool
		s.books.Fault = func(x *holdfast.Txn) paytest.Fault {
			if stuck.Load() && len(x.Transfers) > 0 {
				return paytest.Stuck
			}
			return paytest.NoFault
		}
		defer run(s.office(s.books))()
		for range 600 { // more than a page
			s.pay(1, "")
		}
		s.pay(3, "")
		time.Sleep(2 * time.Minute)
		s.wants("shop1.example", 600, 1, 1)
		s.wants("shop3.example", 1, 1, 1)
		trade := s.pay(3, "")
		stuck.Store(true)
		ctx := context.Background()
		late := pay.TradeAsk{Merchant: ownerOf(1), OutTradeNo: "late", TradeOffer: pay.TradeOffer{Amount: 100, Asset: cny, Subject: "tea"}}
		if _, err := s.cashier.PayNew(ctx, late, s.buyer, s.now()); err == nil {
			t.Fatal("a payment that is stuck is done")
		}
		stuck.Store(false)
		time.Sleep(5 * time.Minute)
		s.wants("shop1.example", 600, 1, 1)
		s.books.Deliver()
		stuck.Store(true)
		refund := pay.RefundAsk{Merchant: ownerOf(3), OutTradeNo: trade.OutTradeNo, Number: "R", Amount: 10}
		if _, _, err := s.cashier.Refund(ctx, refund, s.now()); err == nil {
			t.Fatal("a refund that is stuck is done")
		}
		stuck.Store(false)
		time.Sleep(5 * time.Minute)
		s.wants("shop3.example", 2, 1, 1) // the refund is not decided
		s.books.Deliver()
		time.Sleep(10 * time.Minute)
		s.wants("shop1.example", 601, 1, 1)
		s.wants("shop3.example", 3, 1, 1)
	})
}

// TestADeadReceiver: it delays nobody else, neither other merchants nor another endpoint of its own, holds up no sweep, and gets everything when it
// is back.
func TestADeadReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 2)
		o := s.office(s.books)
		s.cashier.Told = o.Told
		ctx := context.Background()
		_, _, err := s.cashier.NewEndpoint(ctx, pay.EndpointAsk{Merchant: ownerOf(1), Number: "2", URL: "https://other.example/", Secret: secret(2).Text()}, s.now())
		s.must(err)
		s.hosts["shop1.example"] = dead
		defer run(o)()
		for range 400 {
			s.pay(1, "")
			s.pay(2, "")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		s.wants("shop2.example", 400, 1, 1)
		s.wants("other.example", 400, 1, 1)
		s.mu.Lock()
		for _, a := range s.got {
			if a.host != "shop1.example" && a.at.Sub(eventTime(a.event).Std()) > time.Second {
				t.Errorf("%s came to %s after %v", a.event, a.host, a.at.Sub(eventTime(a.event).Std()))
			}
		}
		s.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if behind := o.deliver.measure.behind(); behind > 60 {
			t.Errorf("the sweep is %v s behind", behind)
		}
		s.mu.Lock()
		s.hosts["shop1.example"] = nil
		s.mu.Unlock()
		time.Sleep(3 * time.Hour)
		s.wants("shop1.example", 400, 1, 10)
		for _, v := range s.deliveries(1) {
			if !v.Done || v.Next != 0 {
				t.Fatalf("%+v", v)
			}
		}
	})
}

func eventTime(id string) holdfast.Time {
	v := pay.Delivery{Event: id[len(id)-33:]}
	return v.EventTime()
}

// TestRetries: each kind of target has its schedule; one that is never taken is given up; what is given up can be asked for once more.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 1)
		s.hosts["shop1.example"] = failing(3, 500)
		s.hosts["cb.example"] = failing(4, 404)
		o := s.office(s.books)
		s.cashier.Told = o.Told
		defer run(o)()
		begun := time.Now()
		s.pay(1, "https://cb.example/n")
		time.Sleep(3 * time.Hour)
		var at []time.Duration
		for _, a := range s.arrived() {
			if a.host == "shop1.example" {
				at = append(at, a.at.Sub(begun))
			}
		}
		for i, want := range []time.Duration{0, 5 * time.Second, 5*time.Minute + 5*time.Second, 35*time.Minute + 5*time.Second} {
			if i >= len(at) || at[i] < want || at[i] > want+20*time.Second {
				t.Fatalf("tried after %v", at)
			}
		}
		s.wants("shop1.example", 1, 4, 4)
		s.wants("cb.example", 1, 3, 3)
		for _, v := range s.deliveries(1) {
			if v.Target != pay.NoticeTarget {
				if !v.Done || v.Attempts != 4 || v.Why != "" {
					t.Errorf("%+v", v)
				}
				continue
			}
			if v.Done || v.Next != 0 || v.Attempts != 3 || v.Status != 404 || len(v.Answer) != pay.MaxAnswer || v.Why != "refused" {
				t.Errorf("%+v", v)
			}
			_, err := s.cashier.Redeliver(context.Background(), ownerOf(1), v.ID(), s.now())
			s.must(err)
		}
		time.Sleep(10 * time.Minute) // one more fails, the next is taken
		s.wants("cb.example", 1, 5, 5)
		if list := s.deliveries(1); len(list) != 2 || !list[0].Done || !list[1].Done {
			t.Errorf("%+v", list)
		}
	})
}

// TestGone: a receiver who answers 410 gets nothing any more, and its owner sees why; when it is enabled again it gets what happens then.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 1)
		s.hosts["shop1.example"] = failing(1, http.StatusGone)
		o := s.office(s.books)
		s.cashier.Told = o.Told
		defer run(o)()
		ctx := context.Background()
		s.pay(1, "")
		time.Sleep(time.Second)
		s.pay(1, "")
		time.Sleep(time.Hour)
		s.wants("shop1.example", 1, 1, 1)
		list, err := s.cashier.Endpoints(ctx, ownerOf(1))
		s.must(err)
		if !list[0].Off || !strings.Contains(list[0].Why, "410") {
			t.Errorf("%+v", list[0])
		}
		on := false
		_, err = s.cashier.ChangeEndpoint(ctx, ownerOf(1), list[0].ID, pay.EndpointChange{Off: &on}, s.now())
		s.must(err)
		time.Sleep(time.Minute)
		s.pay(1, "")
		time.Sleep(3*time.Hour + 10*time.Minute)
		s.wants("shop1.example", 2, 1, 1)
	})
}

// TestASecretChanges: both secrets sign for a day, then only the new one.
func TestASecretChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 1)
		ctx := context.Background()
		list, err := s.cashier.Endpoints(ctx, ownerOf(1))
		s.must(err)
		_, _, err = s.cashier.RotateSecret(ctx, pay.RotateAsk{Merchant: ownerOf(1), ID: list[0].ID, Number: "n", Secret: secret(2).Text(), Nonce: [pay.NonceBytes]byte{9}}, s.now())
		s.must(err)
		for _, want := range [][2]bool{{true, true}, {false, true}} {
			o := s.office(s.books)
			s.cashier.Told = o.Told
			stop := run(o)
			s.pay(1, "")
			time.Sleep(time.Second)
			stop()
			x := s.arrived()[len(s.got)-1].post
			for n, good := range want {
				err := webhook.Verify(secret(byte(n+1)), x.Header.Get(webhook.HeaderID), x.Header.Get(webhook.HeaderTimestamp),
					x.Header.Get(webhook.HeaderSignature), x.Body, time.Now())
				if (err == nil) != good {
					t.Errorf("secret %d: %v", n+1, err)
				}
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// TestRestart: an office that was stopped while it delivered goes on where it was, also after longer than a fresh one would look back.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 2)
		s.hosts["shop2.example"] = func(context.Context, webhook.Post) webhook.Answer {
			time.Sleep(time.Second)
			return webhook.Answer{Status: 200, Taken: true}
		}
		first := s.office(s.books)
		s.cashier.Told = first.Told
		stop := run(first)
		time.Sleep(5 * time.Minute)
		for range 40 {
			s.pay(2, "")
		}
		time.Sleep(2500 * time.Millisecond)
		stop()
		some := len(s.arrivals("shop2.example"))
		if some == 0 || some == 40 {
			t.Fatalf("%d were delivered before the stop", some)
		}
		s.cashier.Told = nil
		s.pay(1, "") // while there is no office
		time.Sleep(7 * time.Hour)
		defer run(s.office(s.books))()
		time.Sleep(3 * time.Minute)
		s.wants("shop2.example", 40, 1, 2)
		s.wants("shop1.example", 1, 1, 1)
	})
}

// TestTwoOffices: while two offices take themselves for leaders, and hear of everything, each event comes once or twice, and then it is over.
func TestTwoOffices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 2)
		s.hosts["shop2.example"] = failing(7, 503)
		one, two := s.office(s.books), s.office(s.books)
		s.cashier.Told = func(e *pay.Event) { one.Told(e); two.Told(e) }
		defer run(one, two)()
		for range 20 {
			s.pay(1, "")
			s.pay(2, "")
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Hour)
		s.wants("shop1.example", 20, 1, 2)
		s.wants("shop2.example", 20, 1, 9)
		for n := range uint32(2) {
			for _, v := range s.deliveries(n + 1) {
				if !v.Done || v.Next != 0 || int(v.Attempts) < 1 {
					t.Errorf("%+v", v)
				}
			}
		}
	})
}

// half leads some shards only.
type half struct {
	*paytest.Books
	led []holdfast.ShardID
}

func (h half) Led() []holdfast.ShardID { return h.led }

// TestEachSiteItsPart: an office sweeps what its site leads and nothing else; what a shard has that is led by nobody is told when it is led again.
func TestEachSiteItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 3) // in shards 2, 3 and 1
		one, two := s.office(half{s.books, []holdfast.ShardID{1}}), s.office(half{s.books, []holdfast.ShardID{2}})
		stop := run(one, two)
		for n := range uint32(3) {
			s.pay(n+1, "")
		}
		time.Sleep(5 * time.Minute)
		s.wants("shop1.example", 1, 1, 1)
		s.wants("shop2.example", 0, 1, 1)
		s.wants("shop3.example", 1, 1, 1)
		stop()
		defer run(s.office(half{s.books, []holdfast.ShardID{3}}))()
		time.Sleep(2 * time.Minute)
		s.wants("shop2.example", 1, 1, 1)
	})
}

// TestRecordsThatFail: what cannot be recorded is recorded when it can, and nothing is lost for it.
func TestRecordsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, 1)
		o := s.office(s.books)
		s.cashier.Told = o.Told
		var mu sync.Mutex
		faults := []paytest.Fault{paytest.AnswerLost, paytest.NotProposed, paytest.Overloaded, paytest.Gone, paytest.AnswerLost}
		s.books.Fault = func(x *holdfast.Txn) (f paytest.Fault) {
			mu.Lock()
			defer mu.Unlock()
			if len(x.Transfers) > 0 || len(faults) == 0 {
				return paytest.NoFault
			}
			f, faults = faults[0], faults[1:]
			return f
		}
		defer run(o)()
		for range 5 {
			s.pay(1, "")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		s.wants("shop1.example", 5, 1, 1)
		for _, v := range s.deliveries(1) {
			if !v.Done || v.Attempts != 1 {
				t.Errorf("%+v", v)
			}
		}
	})
}
