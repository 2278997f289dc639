package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
)

func TestBudget(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var b budget
	spend := func() (n int) {
		for b.take(now, false) {
			n++
		}
		return n
	}
	if got := spend(); got != budgetLeast {
		t.Errorf("%d attempts at once of one who is new, want %d", got, budgetLeast)
	}
	for range int(2/budgetPerAnswer) + 1 {
		b.earn(now)
	}
	if got := spend(); got != 2 {
		t.Errorf("answers earned %d attempts, want 2", got)
	}
	now = now.Add(time.Second)
	if got := spend(); got != budgetPerSecond {
		t.Errorf("a second earned %d attempts, want %d", got, budgetPerSecond)
	}
	for range 10 * budgetMost {
		b.earn(now)
	}
	if got := spend(); got != budgetMost {
		t.Errorf("%d attempts at once after %d answers, want %d", got, 10*budgetMost, budgetMost)
	}
	now = now.Add(time.Hour)
	for range 500 {
		b.earn(now)
	}
	now = now.Add(time.Second)
	b.earn(now)
	now = now.Add(time.Hour) // all is earned back
	if got := spend(); got < budgetLeast || got > 250 {
		t.Errorf("%d attempts at once by one who was answered 500 times in the last second", got)
	}
	if b.any(now, false) || !b.any(now, true) {
		t.Errorf("what is left for calls known not to be executed: %t; for those that may have been: %t", b.any(now, false), b.any(now, true))
	}
	kept := 0
	for b.take(now, true) {
		kept++
	}
	if most := b.most(now); kept != most/budgetKept {
		t.Errorf("%d attempts are left for calls that may have been executed, want %d", kept, most/budgetKept)
	}
}

// A fleet in which too much is under way says so. Callers who ask again, as often as they can within their deadlines, must not become the
// greater part of the load.
func TestCallersOfAnOverloadedFleetDoNotAddToTheLoad(t *testing.T) {
	inBubble(t, "refused", func(t *testing.T) { overloadedFleet(t, problem(429, "overloaded", "not-executed")) })
	inBubble(t, "late", func(t *testing.T) {
		overloadedFleet(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(1500 * time.Millisecond) // bubble time
			problem(422, "exceeds-credits", "refused")(w, r)
		})
	})
}

func overloadedFleet(t *testing.T, answer http.HandlerFunc) {
	var urls []*testSite
	for range 3 {
		urls = append(urls, newSiteNear(t, answer))
	}
	c := newTestClient(t, Config{}, urls...)
	const callers = 3000 // in 6 s
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			pay := testTransfer
			pay.ID = c.NewID()
			_, _ = c.Pay(t.Context(), pay) // whatever is said: how often it was asked is what counts
		})
		time.Sleep(2 * time.Millisecond) // bubble time
	}
	all.Wait()
	again := int(c.Stats().Attempts) - callers
	const burst, seconds = 200, 10 // half of what is answered in a second, and as long as the last of them may wait
	if most := callers/10 + burst + seconds*budgetPerSecond; again > most+most/5 {
		t.Errorf("%d calls were asked %d times more than once, at most %d is right", callers, again, most)
	}
}

// While no site has a majority, callers try again and again, and each is told at once that nothing was begun. When a majority is back, each of them
// gets its answer within its deadline.
func TestALackOfMajorityUsesNothingUp(t *testing.T) {
	inBubble(t, "back after 600 ms", func(t *testing.T) {
		back := time.Now().Add(600 * time.Millisecond)
		site := func(w http.ResponseWriter, r *http.Request) {
			if time.Now().Before(back) {
				problem(503, "no-quorum", "not-executed")(w, r)
				return
			}
			problem(422, "exceeds-credits", "refused")(w, r)
		}
		c := newTestClient(t, Config{}, newSiteNear(t, site), newSiteNear(t, site), newSiteNear(t, site))
		const callers = 300 // three times what may be asked again at once
		var all sync.WaitGroup
		var unanswered atomic.Int32
		for range callers {
			all.Go(func() {
				pay := testTransfer
				pay.ID = c.NewID()
				if o, err := c.Pay(t.Context(), pay); err != nil || o.Status != holdfast.Refused {
					unanswered.Add(1)
				}
			})
			time.Sleep(2 * time.Millisecond) // bubble time
		}
		all.Wait()
		if n := unanswered.Load(); n > 0 {
			t.Errorf("%d of %d calls had no answer 1.4 s after a majority was back", n, callers)
		}
	})
}

// While nothing can be reached at all, callers try again and again, and burden nobody. When a site is there again, each of them gets
// its answer: what they tried in vain must not have used up what they may ask.
func TestAnOutageOfEverythingUsesNothingUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.77:0") // where no connection takes the port meanwhile
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0") // not every system has more than one loopback address
	}
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := New(Config{Sites: []string{"http://" + address}, Hedge: -1, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const callers = 2000
	errs := make(chan error, callers)
	for range callers {
		go func() {
			pay := testTransfer
			pay.ID = c.NewID()
			_, err := c.Pay(t.Context(), pay)
			errs <- err
		}()
	}
	for end := time.Now().Add(time.Minute / 2); c.Stats().Attempts < 3*callers; runtime.Gosched() { // more than the budget, were it asked
		if time.Now().After(end) {
			t.Fatalf("%d attempts of %d callers: they do not try again", c.Stats().Attempts, callers)
		}
	}
	c.budget.mu.Lock()
	spent := c.budget.spent
	c.budget.mu.Unlock()
	if spent > budgetLeast/2 {
		t.Errorf("%d attempts that reached nobody have used up %.0f of %d that may be asked again", c.Stats().Attempts, spent, budgetLeast)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(problem(422, "exceeds-credits", "refused"))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	late := 0
	for range callers {
		if err := <-errs; err != nil {
			late++
		}
	}
	if late > callers/25 { // a very slow machine does not serve all of them in time
		t.Errorf("%d of %d callers got no answer within half a minute of the end of an outage", late, callers)
	}
}
