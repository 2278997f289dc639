package clerk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/testbank"
	"holdfast/bank/wire"
)

const (
	ours    = "6222020000000000018"
	opening = 1_000_000_00
	late    = 10 * time.Minute
)

// inProcess carries requests to a handler as a network would, without one.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if recover() != nil {
			answer, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return w.Result(), nil
}

// shelf keeps orders in memory. Its answers get lost, before or after what was to be written is written.
type shelf struct {
	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	orders map[string]bank.Order
	ended  map[string]bank.Change
	last   map[string]bank.Change // by id: the last change that was written
	listed func()                 // told of every list from the start; nil: nobody
}

var errLost = errors.New("no answer")

func (s *shelf) dice(share float64) bool { return !s.calm && s.random.Float64() < share }

func (s *shelf) Open(_ context.Context, after string, max int) ([]bank.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listed != nil && after == "" {
		s.listed()
	}
	if s.dice(0.1) {
		return nil, errLost
	}
	var list []bank.Order
	for _, o := range s.orders {
		if o.Key > after {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b bank.Order) int { return cmp.Compare(a.Key, b.Key) })
	return list[:min(len(list), max)], nil
}

func (s *shelf) Record(ctx context.Context, c bank.Change) (bank.Order, error) {
	s.mu.Lock()
	slow := time.Duration(0)
	if s.dice(0.1) {
		slow = time.Duration(s.random.IntN(20_000)) * time.Millisecond
	}
	s.mu.Unlock()
	time.Sleep(slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dice(0.1) {
		return bank.Order{}, errLost
	}
	o, err := s.write(c)
	if s.dice(0.1) {
		return bank.Order{}, errLost
	}
	return o, err
}

func (s *shelf) write(c bank.Change) (bank.Order, error) {
	o, open := s.orders[c.ID]
	if s.last[c.ID] == c { // come again
		return o, nil
	}
	if !open || o.Version != c.Version {
		return o, bank.ErrChanged
	}
	o, ended := o.Apply(&c)
	s.last[c.ID] = c
	if ended {
		delete(s.orders, c.ID)
		s.ended[c.ID] = c
		return o, nil
	}
	s.orders[c.ID] = o
	return o, nil
}

func (s *shelf) recall(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, open := s.orders[id]; open {
		o.Recalled = true
		o.Version++
		s.orders[id] = o
	}
}

// order is an open order as it stands; end is how one ended.
func (s *shelf) order(id string) bank.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[id]
}

func (s *shelf) end(id string) (bank.Change, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ended := s.ended[id]
	return c, ended
}

func (s *shelf) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

func (s *shelf) put(n int, amount holdfast.Amount, to string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("HF%06d", n)
	s.orders[id] = bank.Order{Key: id, Version: 1, Instruction: bank.Instruction{
		ID: id, Amount: amount, Asset: holdfast.MustAsset("CNY"), From: account(ours), To: account(to), Name: "李雷",
	}}
	return id
}

func account(number string) bank.Account {
	a, err := bank.ParseAccount(number)
	if err != nil {
		panic(err)
	}
	return a
}

// world is a bank, a shelf of orders, and clerks that come and go.
type world struct {
	t      testing.TB
	random *rand.Rand
	bank   *testbank.Bank
	shelf  *shelf
	wire   *wire.Connector
	stop   func()
	clerk  *Clerk
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	b, err := testbank.Open(testbank.Options{Late: late})
	must(t, err)
	must(t, b.OpenAccount(testbank.Account{Number: ours, Currency: "CNY", Balance: opening}))
	w := &world{t: t, bank: b, random: rand.New(rand.NewPCG(seed, 1)), stop: func() {}}
	w.shelf = &shelf{
		random: rand.New(rand.NewPCG(seed, 2)), orders: map[string]bank.Order{}, ended: map[string]bank.Change{}, last: map[string]bank.Change{},
	}
	w.wire, err = wire.New(wire.Config{
		URL: "http://127.0.0.1/", Client: &http.Client{Transport: inProcess{b.Payments()}}, Initiator: "Holdfast", Terms: bank.Terms{Late: late, Step: time.Second},
	})
	must(t, err)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start begins a clerk; stop ends all that were begun.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c, err := New(Config{
		Bank: "test", Connector: w.wire, Orders: w.shelf, Random: rand.New(rand.NewPCG(w.random.Uint64(), 3)).Uint64, Rescan: 10 * time.Second,
		Resolver: bank.Config{InFlight: 4, MaxFollow: time.Minute, Window: 16},
	})
	must(w.t, err)
	var ended sync.WaitGroup
	ended.Go(func() { c.Run(ctx) })
	before := w.stop
	w.clerk, w.stop = c, func() { before(); cancel(); ended.Wait() }
}

// trouble is what goes wrong for a while.
func (w *world) trouble(seed uint64) testbank.Faults {
	r := w.random
	f := testbank.Faults{
		Seed: seed, LoseRequests: r.Float64() / 2, LoseReplies: r.Float64() / 2, Twice: r.Float64(), Hold: r.Float64() / 4, HoldMS: r.Int64N(30 * 60_000),
		SlowMS: r.Int64N(20_000), SettleMS: r.Int64N(120_000), Strict: r.IntN(2) == 0,
		Reject: map[string]string{"REJECTED": "AC04"}, Bounce: map[string]string{"BOUNCED": "AC06"}, Late: map[string]int64{"LATE": 3 * 3600_000},
	}
	if r.IntN(4) == 0 {
		f.Down = []string{"refuse", "hang", "error"}[r.IntN(3)]
	}
	return f
}

// run is a life of some orders: trouble, restarts and recalls, and then a bank that is well.
func (w *world) run(seed uint64) (complaints []string) {
	ids := map[string]bool{}
	for phase := range 6 {
		must(w.t, w.bank.SetFaults(w.trouble(seed)))
		for range 4 {
			n := len(ids)
			to := []string{"GOOD", "GOOD", "REJECTED", "BOUNCED", "LATE"}[w.random.IntN(5)]
			ids[w.shelf.put(n, holdfast.Amount(1+w.random.IntN(100_000)), to)] = true
		}
		if phase == 0 || w.random.IntN(3) == 0 {
			w.stop()
			w.stop = func() {}
			w.start()
		}
		if w.random.IntN(4) == 0 {
			w.start() // a second one at the same time
		}
		w.clerk.Wake()
		time.Sleep(time.Duration(w.random.IntN(15*60)) * time.Second)
		for id := range sorted(ids) {
			if w.random.IntN(6) == 0 {
				w.shelf.recall(id)
			}
		}
	}
	well := w.trouble(seed)
	must(w.t, w.bank.SetFaults(testbank.Faults{Reject: well.Reject, Bounce: well.Bounce, Strict: well.Strict}))
	w.shelf.mu.Lock()
	w.shelf.calm = true
	w.shelf.mu.Unlock()
	for range 24 * 60 {
		if time.Sleep(time.Minute); w.shelf.left() == 0 {
			break
		}
	}
	w.stop()
	time.Sleep(24 * time.Hour) // whatever is still on its way arrives, and whatever is accepted is settled
	return w.judge(ids)
}

func sorted(ids map[string]bool) func(func(string) bool) {
	list := []string{}
	for id := range ids {
		list = append(list, id)
	}
	slices.Sort(list)
	return func(yield func(string) bool) {
		for _, id := range list {
			if !yield(id) {
				return
			}
		}
	}
}

// judge compares the ends of the orders with what the bank has done.
func (w *world) judge(ids map[string]bool) (complaints []string) {
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	paid := holdfast.Amount(0)
	for id := range sorted(ids) {
		truth, err := w.bank.Truth(id)
		must(w.t, err)
		end, ended := w.shelf.end(id)
		want := 0
		if ended && end.Kind == bank.Paid {
			want = 1
		}
		switch {
		case !ended:
			complain("%s has not ended: %+v; the bank has it as %+v", id, w.shelf.order(id), truth)
		case truth.Booked != want:
			complain("%s ended as %v and the bank has booked it %d times (%s)", id, end.Kind, truth.Booked, truth.Status)
		case end.Kind == bank.Refused && end.Reason == "":
			complain("%s is refused, and nobody says why", id)
		}
	}
	state, err := w.bank.State()
	must(w.t, err)
	body := w.statements()
	for id := range ids {
		if n := strings.Count(body, "<EndToEndId>"+id+"</EndToEndId>"); n > 1 {
			complain("%s stands in the statements %d times", id, n)
		}
	}
	for _, l := range w.lines(body) {
		if !ids[l.ID] {
			complain("the bank has booked %d under the id %s, which nobody has", l.Amount, l.ID)
		}
		paid += l.Amount
	}
	if got := state.Accounts[0].Balance; got != opening+paid {
		complain("the bank has %d, and its statements come to %d", got, opening+paid)
	}
	return complaints
}

// statements are those of all days of the run, one behind the other.
func (w *world) statements() string {
	var all strings.Builder
	for day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); !day.After(time.Now()); day = day.AddDate(0, 0, 1) {
		body, err := w.wire.Statement(context.Background(), account(ours), day)
		must(w.t, err)
		_, err = io.Copy(&all, body)
		must(w.t, err)
		all.WriteByte(0)
	}
	return all.String()
}

func (w *world) lines(body string) (all []bank.Item) {
	for text := range strings.SplitSeq(strings.TrimSuffix(body, "\x00"), "\x00") {
		items, book, err := wire.StatementItems(strings.NewReader(text))
		must(w.t, err)
		for item, err := range items {
			must(w.t, err)
			all = append(all, item)
		}
		if sum, _ := book.Opening.Add(book.Sum); sum != book.Closing {
			w.t.Errorf("statement %s: %d + %d is not %d", book.ID, book.Opening, book.Sum, book.Closing)
		}
	}
	return all
}

const seeds = 12

// TestEveryOrderEndsAsTheBankSays: whatever gets lost, held back, doubled or restarted, no order is paid twice, none is given back that was
// or will be paid, and every one ends when the bank is well again.
func TestEveryOrderEndsAsTheBankSays(t *testing.T) {
	kinds := map[bank.Kind]int{}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			for _, complaint := range w.run(seed) {
				t.Errorf("seed %d: %s", seed, complaint)
			}
			for _, c := range w.shelf.ended {
				kinds[c.Kind]++
			}
		})
	}
	for _, k := range []bank.Kind{bank.Paid, bank.Refused, bank.NotExecuted} {
		if kinds[k] < seeds/2 {
			t.Errorf("only %d orders of %d lives ended as %v: these lives try too little", kinds[k], seeds, k)
		}
	}
}

// TestBankDown: while the bank is down orders wait and are told when to expect what, few questions are asked, and when it is back all are paid.
func TestBankDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.shelf.calm = true
		asked := &counting{next: w.bank.Payments()}
		var err error
		w.wire, err = wire.New(wire.Config{
			URL: "http://127.0.0.1", Client: &http.Client{Transport: inProcess{asked}}, Initiator: "Holdfast", Terms: bank.Terms{Late: late},
		})
		must(t, err)
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 100}))
		for n := range 200 {
			w.shelf.put(n, 100, "GOOD")
		}
		w.start()
		time.Sleep(20 * time.Second)
		must(t, w.bank.SetFaults(testbank.Faults{Down: "hang"}))
		for n := 200; n < 212; n++ {
			w.clerk.Tell(w.shelf.order(w.shelf.put(n, 100, "GOOD")))
		}
		time.Sleep(2 * time.Minute)
		before := asked.n.Load()
		time.Sleep(time.Hour)
		if n := asked.n.Load() - before; n > 120 {
			t.Errorf("a bank that is down was asked %d times in an hour", n)
		}
		e := w.clerk.Estimate(w.clerk.Ahead("HF000211"))
		switch {
		case !e.Down || !e.Known || e.Ahead < 11 || e.Rate < 1:
			t.Errorf("the estimate is %+v", e)
		case e.Likely < time.Hour || e.Soonest > time.Minute || time.Duration(now()-e.Since) < time.Hour:
			t.Errorf("after an hour of outage the estimate is %+v", e)
		}
		must(t, w.bank.SetFaults(testbank.Faults{SlowMS: 100}))
		time.Sleep(2 * time.Minute)
		if left := w.shelf.left(); left != 0 {
			t.Errorf("%d orders are left two minutes after the bank came back", left)
		}
		if e := w.clerk.Estimate(0); e.Down {
			t.Errorf("the bank is back, and the estimate is %+v", e)
		}
		w.stop()
	})
}

// TestRecalledInAnOutage: what was never sent is given back at once, though the bank is down; what may have been sent waits for the bank's
// word, and for its cut-off.
func TestRecalledInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.shelf.calm = true
		must(t, w.bank.SetFaults(testbank.Faults{LoseRequests: 1}))
		sent := w.shelf.put(0, 100, "GOOD")
		w.start()
		time.Sleep(30 * time.Second) // the bank counts as down
		fresh := w.shelf.put(1, 100, "GOOD")
		w.shelf.recall(fresh)
		w.shelf.recall(sent)
		w.clerk.Tell(w.shelf.order(fresh))
		time.Sleep(time.Second)
		if end, _ := w.shelf.end(fresh); end.Kind != bank.NotExecuted {
			t.Errorf("the order that was never sent has the end %v", end.Kind)
		}
		must(t, w.bank.SetFaults(testbank.Faults{}))
		time.Sleep(late / 2)
		if end, ended := w.shelf.end(sent); ended {
			t.Errorf("the order whose message may still arrive ended as %v", end.Kind)
		}
		time.Sleep(late)
		if end, _ := w.shelf.end(sent); end.Kind != bank.NotExecuted {
			t.Errorf("after the cut-off the order has the end %v", end.Kind)
		}
		w.stop()
	})
}

// held is the life of an order whose message is under way for five minutes, while its owner wants the money back and the bank says that it
// has never heard of it.
func (w *world) held() []string {
	w.shelf.calm = true
	must(w.t, w.bank.SetFaults(testbank.Faults{Hold: 1, HoldMS: 300_000}))
	id := w.shelf.put(0, 100, "GOOD")
	w.start()
	time.Sleep(10 * time.Second)
	w.shelf.recall(id)
	w.clerk.Tell(w.shelf.order(id))
	time.Sleep(time.Hour)
	w.stop()
	return w.judge(map[string]bool{id: true})
}

// TestHeldMessage: it arrives, and the order is paid.
func TestHeldMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for _, complaint := range w.held() {
			t.Error(complaint)
		}
		if end, _ := w.shelf.end("HF000000"); end.Kind != bank.Paid {
			t.Errorf("the order ended as %v", end.Kind)
		}
	})
}

type counting struct {
	next http.Handler
	n    atomic.Int64
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.n.Add(1)
	c.next.ServeHTTP(w, r)
}

// TestWakeFindsNewOrders: an order is sent soon after the clerk was woken, wherever it stands in the list; woken all the time, he does not list all
// the time.
func TestWakeFindsNewOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.shelf.calm = true
		lists := 0
		w.shelf.listed = func() { lists++ }
		w.start()
		for n := 9; n > 5; n-- {
			time.Sleep(time.Second)
			id := w.shelf.put(n, 100, "GOOD")
			w.clerk.Wake()
			time.Sleep(time.Second)
			if c, ended := w.shelf.end(id); !ended || c.Kind != bank.Paid {
				t.Errorf("a second after the clerk was woken, order %d is %+v", n, w.shelf.order(id))
			}
		}
		lists = 0
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			w.clerk.Wake()
		}
		if lists > 5 {
			t.Errorf("woken 100 times in a second, the clerk has listed all %d times", lists)
		}
		w.stop()
	})
}
