package client

import (
	"net"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var b budget
	for i := range budgetMost {
		if !b.take(now) {
			t.Fatalf("empty after %d attempts", i)
		}
	}
	if b.take(now) {
		t.Fatal("more than the most was taken at once")
	}
	for range int(2 / budgetPerAnswer) {
		b.earn()
	}
	earned := 0
	for b.take(now) {
		earned++
	}
	if earned != 2 {
		t.Errorf("answers earned %d attempts, want 2", earned)
	}
	got := 0
	for later := now.Add(time.Second); b.take(later); {
		got++
	}
	if got != budgetPerSecond {
		t.Errorf("a second earned %d attempts, want %d", got, budgetPerSecond)
	}
	got = 0
	for later := now.Add(time.Hour); b.take(later); {
		got++
	}
	if got != budgetMost {
		t.Errorf("an hour earned %d attempts, want %d", got, budgetMost)
	}
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
	if spent > budgetMost/10 {
		t.Errorf("%d attempts that reached nobody have used up %.0f of %d that may be asked again", c.Stats().Attempts, spent, budgetMost)
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
