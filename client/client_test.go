package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
)

// book is a ledger that a fleet of test sites shares: what happens once, and what is a replay.
type book struct {
	mu   sync.Mutex
	seen map[string]int // by id: how often it was asked for
}

func (b *book) outcome(id string) (status int, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[id]++
	replay := b.seen[id] > 1
	status = http.StatusCreated
	if replay {
		status = http.StatusOK
	}
	return status, fmt.Sprintf(`{"id":%q,"status":"done","code":"ok","replay":%t,"time":"2015-05-27T09:00:00.123456789Z","shard":1,"index":7,"detail":"Done."}`, id, replay)
}

// testSite is a site whose answers a test decides.
type testSite struct {
	*httptest.Server
	pipes  *pipes // nil: it listens on the loopback
	mu     sync.Mutex
	handle http.HandlerFunc // guarded by mu
	keys   []string         // guarded by mu: idempotency keys in the order they came
	bodies []string         // guarded by mu
}

func newSiteFor(t *testing.T, handle http.HandlerFunc) *testSite {
	s := newTestSite(t, handle)
	s.Server.Start()
	return s
}

func newTestSite(t *testing.T, handle http.HandlerFunc) *testSite {
	s := &testSite{handle: handle}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		if r.URL.Path != "/readyz" {
			s.keys, s.bodies = append(s.keys, r.Header.Get("Idempotency-Key")), append(s.bodies, string(body))
		}
		handle := s.handle
		s.mu.Unlock()
		handle(w, r.WithContext(context.WithValue(r.Context(), bodyOf{}, string(body))))
	}))
	t.Cleanup(s.Server.Close)
	return s
}

func (s *testSite) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.keys...)
}

func (s *testSite) become(handle http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

// pays answers as a healthy site does.
func (b *book) pays(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		io.WriteString(w, `{"ok":true}`)
		return
	}
	status, body := b.outcome(r.Header.Get("Idempotency-Key"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// problem answers with a problem document.
func problem(status int, code, outcome string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"/docs#%s","title":"","status":%d,"code":%q,"detail":"advice","outcome":%q,"id":%q,"leg":0,"time":"2015-05-27T09:00:00Z","index":9}`,
			code, status, code, outcome, r.Header.Get("Idempotency-Key"))
	}
}

// hangs answers nothing until the caller leaves or the test ends.
func hangs(t *testing.T) http.HandlerFunc {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}
}

// drops closes the connection when it has read the request.
func drops(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

func newTestClient(t *testing.T, cfg Config, sites ...*testSite) *Client {
	for _, s := range sites {
		cfg.Sites = append(cfg.Sites, s.URL)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		if s.pipes != nil {
			c.sites[i].connect = s.pipes.connect
		}
	}
	t.Cleanup(c.Close)
	return c
}

var testTransfer = holdfast.Transfer{
	Kind:   holdfast.Immediate,
	Debit:  holdfast.AccountID{Owner: 2088000000020108, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")},
	Credit: holdfast.AccountID{Owner: 2088000000030206, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")},
	Amount: 1250,
}

// nobody is a site that does not listen. Its port is below those that the system hands out, so that nobody gets it meanwhile.
func nobody() *testSite { return &testSite{Server: &httptest.Server{URL: "http://127.0.0.1:1"}} }

// underWay reports whether some attempt that no site answered with a decision was not taken in: a call has ended before.
func (c *Client) underWay() bool {
	st := c.Stats()
	return st.Attempts != st.Failures
}

func newBook() *book { return &book{seen: map[string]int{}} }

func TestPayment(t *testing.T) {
	b := newBook()
	s := newSiteFor(t, b.pays)
	c := newTestClient(t, Config{Key: "hf_test"}, s)
	for range 3 { // the second one finds a connection open
		o, err := c.Pay(t.Context(), testTransfer)
		if err != nil || o.Status != holdfast.Done || o.Replay || o.Index != 7 || o.Leg != holdfast.NoLeg || o.Time.String() != "2015-05-27T09:00:00.123456789Z" {
			t.Fatalf("%+v %v", o, err)
		}
	}
	want := `{"debit":"2088000000020108.wallet.CNY","credit":"2088000000030206.wallet.CNY","amount":1250}`
	if s.bodies[0] != want {
		t.Errorf("sent %s, want %s", s.bodies[0], want)
	}
	if st := c.Stats(); st.Requests != 3 || st.Attempts != 3 || st.Hedges+st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

// Whatever the first site does, the payment is done by the second, once, under one id.
func TestSecondSiteTakesOver(t *testing.T) {
	for name, first := range map[string]func(t *testing.T, b *book) http.HandlerFunc{
		"hangs": func(t *testing.T, _ *book) http.HandlerFunc { return hangs(t) },
		"drops": func(*testing.T, *book) http.HandlerFunc { return drops },
		"no quorum": func(*testing.T, *book) http.HandlerFunc {
			return problem(503, "no-quorum", "not-executed", "Retry-After", "1")
		},
		"stopping":  func(*testing.T, *book) http.HandlerFunc { return problem(503, "stopping", "not-executed") },
		"disk full": func(*testing.T, *book) http.HandlerFunc { return problem(507, "disk-full", "not-executed") },
		"deadline":  func(*testing.T, *book) http.HandlerFunc { return problem(503, "deadline", "not-executed") },
		"overloaded": func(*testing.T, *book) http.HandlerFunc {
			return problem(429, "overloaded", "not-executed", "Retry-After", "1")
		},
		"unknown":  func(*testing.T, *book) http.HandlerFunc { return problem(504, "outcome-unknown", "unknown") },
		"internal": func(*testing.T, *book) http.HandlerFunc { return problem(500, "internal", "") },
		"a proxy's error": func(*testing.T, *book) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<h1>Bad Gateway", http.StatusBadGateway) }
		},
		"half an answer": func(*testing.T, *book) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, `{"id":`)
				drops(w, r)
			}
		},
		"executes, and is then cut off": func(_ *testing.T, b *book) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				b.outcome(r.Header.Get("Idempotency-Key"))
				drops(w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			sick, well := newSiteFor(t, nil), newSiteFor(t, nil)
			reached := make(chan struct{})
			sick.become(func(w http.ResponseWriter, r *http.Request) {
				close(reached)
				first(t, b)(w, r)
			})
			well.become(func(w http.ResponseWriter, r *http.Request) {
				<-reached // however slow the machine is, the first site is asked before the second answers
				b.pays(w, r)
			})
			hedge := never // only an answer, or a broken connection, makes the client go on
			if name == "hangs" {
				hedge = 5 * time.Millisecond
			}
			c := newTestClient(t, Config{Hedge: hedge, Timeout: 10 * time.Second}, sick, well)
			o, err := c.Pay(t.Context(), testTransfer)
			if err != nil || o.Status != holdfast.Done {
				t.Fatalf("%+v %v", o, err)
			}
			for _, s := range []*testSite{sick, well} {
				for i, key := range s.asked() {
					if key != o.ID.String() || s.bodies[i] != well.bodies[0] {
						t.Errorf("attempt with the id %s and the body %s, want %s", key, s.bodies[i], o.ID)
					}
				}
			}
			if n := len(sick.asked()); n != 1 {
				t.Errorf("the first site was asked %d times", n)
			}
			if st := c.Stats(); st.Requests != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	b := newBook()
	gone, well := nobody(), newSiteFor(t, b.pays)
	c := newTestClient(t, Config{Hedge: -1, Timeout: 10 * time.Second}, gone, well)
	if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done || o.Replay {
		t.Errorf("%+v %v", o, err)
	}
	alone := newTestClient(t, Config{Timeout: 500 * time.Millisecond}, gone)
	o, err := alone.Pay(t.Context(), testTransfer)
	for alone.underWay() { // when the deadline came, and nobody can know what becomes of it
		o, err = alone.Pay(t.Context(), testTransfer)
	}
	if o.Status != holdfast.NotExecuted || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("nobody there: %+v %v", o, err)
	}
}

// Both sites answer in the end: the caller gets one outcome, and the payment was done once.
func TestHedgeReportsOnce(t *testing.T) {
	b := newBook()
	hold, answered := make(chan struct{}), make(chan struct{})
	slow := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		<-hold
		b.pays(w, r)
		close(answered)
	})
	well := newSiteFor(t, b.pays)
	c := newTestClient(t, Config{Hedge: 5 * time.Millisecond, Timeout: 10 * time.Second}, slow, well)
	o, err := c.Pay(t.Context(), testTransfer)
	close(hold)
	<-answered
	if err != nil || o.Status != holdfast.Done || o.Replay {
		t.Fatalf("%+v %v", o, err)
	}
	if b.seen[o.ID.String()] != 2 || len(b.seen) != 1 {
		t.Errorf("the ledger saw %v", b.seen)
	}
	if st := c.Stats(); st.Requests != 1 || st.Attempts != 2 || st.Hedges != 1 {
		t.Errorf("%+v", st)
	}
}

func TestOutcomesThatAreNotDone(t *testing.T) {
	for name, row := range map[string]struct {
		site   http.HandlerFunc
		status holdfast.Status
		code   holdfast.Code
		fails  bool
	}{
		"refused":           {problem(422, "exceeds-credits", "refused"), holdfast.Refused, holdfast.CodeExceedsCredits, false},
		"id taken":          {problem(409, "id-taken", "refused"), holdfast.Refused, holdfast.CodeIDTaken, false},
		"malformed":         {problem(400, "amount-invalid", "not-executed"), holdfast.NotExecuted, holdfast.CodeAmountInvalid, true},
		"no key":            {problem(401, "unauthenticated", ""), holdfast.NotExecuted, holdfast.CodeNoLeader, true},
		"no quorum for all": {problem(503, "no-quorum", "not-executed"), holdfast.NotExecuted, holdfast.CodeNoQuorum, true},
		"overloaded":        {problem(429, "overloaded", "not-executed", "Retry-After", "3600"), holdfast.NotExecuted, holdfast.CodeOverloaded, true},
		"deadline":          {problem(503, "deadline", "not-executed"), holdfast.NotExecuted, holdfast.CodeDeadline, true},
		"unknown":           {problem(504, "outcome-unknown", "unknown"), holdfast.Unknown, holdfast.CodeUnknown, true},
		"dropped":           {drops, holdfast.Unknown, holdfast.CodeUnknown, true},
		"hangs":             {nil, holdfast.Unknown, holdfast.CodeUnknown, true},
		"nonsense":          {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }, holdfast.Unknown, holdfast.CodeUnknown, true},
	} {
		inBubble(t, name, func(t *testing.T) {
			if row.site == nil {
				row.site = hangs(t)
			}
			c := newTestClient(t, Config{Hedge: 10 * time.Millisecond, Timeout: time.Second}, newSiteNear(t, row.site))
			id := c.NewID()
			pay := testTransfer
			pay.ID = id
			o, err := c.Pay(t.Context(), pay)
			if o.Status != row.status || o.Code != row.code || (err != nil) != row.fails || o.ID != id {
				t.Errorf("%+v %v", o, err)
			}
			var e *Error
			if row.status == holdfast.NotExecuted && (!errors.As(err, &e) || e.Detail != "advice") {
				t.Errorf("the error %v does not tell what the site said", err)
			}
		})
	}
}

// An attempt that nobody answered makes the outcome unknown, whatever another site says about itself.
func TestUnknownIsNotOverruledByNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, Config{Hedge: 5 * time.Millisecond, Timeout: 150 * time.Millisecond},
			newSiteNear(t, hangs(t)), newSiteNear(t, problem(503, "no-quorum", "not-executed")))
		if o, err := c.Pay(t.Context(), testTransfer); o.Status != holdfast.Unknown || err == nil {
			t.Errorf("%+v %v", o, err)
		}
	})
}

func TestSiteThatHangsIsAskedLastUntilItIsWell(t *testing.T) {
	synctest.Test(t, siteThatHangsIsAskedLastUntilItIsWell)
}

func siteThatHangsIsAskedLastUntilItIsWell(t *testing.T) {
	b := newBook()
	first, second := newSiteNear(t, hangs(t)), newSiteNear(t, b.pays)
	c := newTestClient(t, Config{Hedge: 200 * time.Millisecond, Timeout: 10 * time.Second}, first, second)
	pay := func() {
		t.Helper()
		if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v %v", o, err)
		}
	}
	pay()
	pay()
	pay()
	if n := len(first.asked()); n != 1 {
		t.Errorf("the hanging site was asked to pay %d times", n)
	}
	first.become(b.pays)
	for start := time.Now(); len(first.asked()) == 1; pay() {
		time.Sleep(time.Millisecond) // bubble time
		if time.Since(start) > 10*time.Second {
			t.Fatal("the site is well and not asked again")
		}
	}
	before := len(second.asked())
	pay()
	if len(second.asked()) != before {
		t.Error("the nearest site is well and another one is asked")
	}
}

func TestConnectionsThatTheSiteClosed(t *testing.T) {
	b := newBook()
	s := newSiteFor(t, b.pays)
	c := newTestClient(t, Config{Timeout: 10 * time.Second}, s)
	for range 3 {
		o, err := c.Pay(t.Context(), testTransfer)
		if err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v %v", o, err)
		}
		s.CloseClientConnections()
	}
}

func TestAnswerTwice(t *testing.T) {
	b := newBook()
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, body := b.outcome(r.Header.Get("Idempotency-Key"))
		answer := fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		io.WriteString(conn, answer+answer)
	})
	c := newTestClient(t, Config{Timeout: 10 * time.Second}, s)
	for range 3 {
		if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done || o.Replay {
			t.Fatalf("%+v %v", o, err)
		}
	}
}

func TestCancelledCallerIsToldUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSiteFor(t, nil)
	hang := hangs(t)
	s.become(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		hang(w, r)
	})
	c := newTestClient(t, Config{Timeout: time.Hour, Hedge: -1}, s)
	o, err := c.Pay(ctx, testTransfer)
	if o.Status != holdfast.Unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := c.Pay(ctx, testTransfer); o.Status != holdfast.NotExecuted || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before it was sent: %+v %v", o, err)
	}
	s.CloseClientConnections()
}

func TestReadyAsksOnce(t *testing.T) {
	s := newSiteFor(t, problem(503, "not-ready", ""))
	c := newTestClient(t, Config{Timeout: time.Hour}, s)
	var e *Error
	if err := c.Ready(t.Context()); !errors.As(err, &e) || e.Code != "not-ready" {
		t.Errorf("%v", err)
	}
	s.become(newBook().pays)
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBook()
	fleet := []*testSite{newSiteFor(t, b.pays), newSiteFor(t, b.pays), newSiteFor(t, b.pays)}
	c := newTestClient(t, Config{Timeout: 10 * time.Second}, fleet...)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if o, err := c.Pay(context.Background(), testTransfer); err != nil || o.Status != holdfast.Done {
					t.Errorf("%+v %v", o, err)
				}
			}
		})
	}
	wg.Wait()
	if len(b.seen) != 320 {
		t.Errorf("%d payments were done", len(b.seen))
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, cfg := range []Config{
		{}, {Sites: []string{"127.0.0.1:8080"}}, {Sites: []string{"ftp://x"}}, {Sites: []string{"http://x/v1"}}, {Sites: []string{"http://x"}, Key: "a\nb"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func BenchmarkPay(b *testing.B) {
	book := newBook()
	s := httptest.NewServer(http.HandlerFunc(book.pays))
	defer s.Close()
	c, err := New(Config{Sites: []string{s.URL}, Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if o, err := c.Pay(context.Background(), testTransfer); err != nil || o.Status != holdfast.Done {
				b.Errorf("%+v %v", o, err)
			}
		}
	})
}
