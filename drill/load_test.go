package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// sampledBook is a book with one acknowledged payment, and who looks it up.
func sampledBook(t *testing.T) (*sampler, *page) {
	t.Helper()
	w := testWorld(t, 1)
	e := w.errand(7, holdfast.ID{7})
	p := page{sample: Sample{Shard: 1, Due: ms, Ended: 2 * ms}, payment: paymentOf(&e.transfer), called: ms}
	p.answered(holdfast.Outcome{ID: holdfast.ID{7}, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: 9, Position: holdfast.Position{Index: 3, Ord: 2}})
	s := &sampler{book: newBook(), clock: func() time.Duration { return 5 * ms }, rand: rand.New(rand.NewPCG(1, 1))}
	s.book.write(p, nil)
	return s, &p
}

// present is what a site answers that has the payment of a page.
func present(p *page) client.Txn {
	return client.Txn{Outcome: p.outcome(), Transfers: []client.Movement{{Transfer: p.payment.transfer()}}}
}

// What a look-up does not find while the load runs fails the drill, whatever is there in the end.
func TestWhatSamplingFindsIsJudged(t *testing.T) {
	notFound := &client.Error{Status: 404}
	for name, x := range map[string]struct {
		change func(*client.Txn)
		err    error
		want   string // among the reasons; "": none
		looked int
	}{
		"there":         {nil, nil, "", 1},
		"no answer":     {nil, errors.New("late"), "", 0},
		"not found":     {nil, notFound, "1 acknowledged payment not found, while the load ran, of 1 look-up by id", 1},
		"another place": {func(f *client.Txn) { f.Outcome.Index++ }, nil, "1 acknowledged payment at another place of the log, while", 1},
		"another sum":   {func(f *client.Txn) { f.Transfers[0].Amount++ }, nil, "1 acknowledged payment altered, while", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := sampledBook(t)
			s.look(t.Context(), func(_ context.Context, id holdfast.ID) (client.Txn, error) {
				if id != p.id() {
					t.Errorf("asked for %s", id)
				}
				if x.err != nil {
					return client.Txn{}, x.err
				}
				found := present(p)
				if x.change != nil {
					x.change(&found)
				}
				return found, nil
			}, p)
			r := &run{scenario: mustFind(t, "site-cut"), o: Defaults(), book: s.book, sampler: s}
			e := &Evidence{Length: time.Second}
			res := Result{Payments: Payments{Acknowledged: 1}, BooksBalanced: true, ReplicasAgree: true, Linearizable: true}
			res.judge(time.Second, r.findings(e, &prover{}, nil))
			reasons := strings.Join(res.Reasons, "\n")
			if res.Passed() != (x.want == "") || !strings.Contains(reasons, x.want) || x.want != "" && !strings.Contains(reasons, p.id().String()) {
				t.Errorf("verdict %s: %s", res.Verdict, reasons)
			}
			if found := s.result(); found.Looked != x.looked || found.check().OK != (x.want == "") {
				t.Errorf("%+v", found)
			}
		})
	}
}

func mustFind(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A few are named, and all are counted.
func TestSamplingNamesAFew(t *testing.T) {
	s := sampled{}
	for i := range byte(9) {
		s.Looked, s.Lost = s.Looked+1, s.Lost+1
		s.name(&page{payment: payment{id: holdfast.ID{i + 1}}}, "not found")
	}
	if got := s.reasons(); len(got) != 6 || !strings.HasPrefix(got[0], "9 acknowledged payments not found") {
		t.Errorf("%q", got)
	}
}

// What was looked up is in the order that all answers have to fit: who does not see what was acknowledged, or sees it and then does not,
// fits none.
func TestLookUpsArePutInOrder(t *testing.T) {
	for _, found := range []bool{true, false} {
		s, p := sampledBook(t)
		s.write(p, 4*ms, found)
		fund := &holdfast.Txn{ID: holdfast.ID{1}}
		for _, a := range []holdfast.AccountID{p.payment.debit, p.payment.credit} {
			fund.Accounts = append(fund.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a})
		}
		funded := page{sample: Sample{Shard: 1, Kind: Prepared, Ended: ms / 2}, txn: fund}
		funded.answered(holdfast.Outcome{ID: fund.ID, Status: holdfast.Done, Leg: holdfast.NoLeg, Position: holdfast.Position{Index: 1}})
		s.book.write(funded, nil)
		h, _ := s.book.histories([]holdfast.ShardID{1}, nil, time.Second, 100)
		if v := h[0].Linearizable(time.Minute); v.OK != found || len(h[0].Ops) != 3 {
			t.Errorf("found %v: %+v, %d operations", found, v, len(h[0].Ops))
		}
	}
}

// A payment between shards is in the order of two logs, and a look-up of it in that of none.
func TestLookUpsBetweenShardsAreNotPutInOrder(t *testing.T) {
	s, p := sampledBook(t)
	s.book.crosses = func(holdfast.AccountID, holdfast.AccountID) bool { return true }
	s.write(p, 4*ms, false)
	if all, _ := s.book.samples(0); len(all) != 1 {
		t.Errorf("%d pages", len(all))
	}
}

// The newest pages are looked up as often as all others together: only they tell of a leader that does not know of its successor.
func TestSomeOfTheNewest(t *testing.T) {
	b := newBook()
	for i := range 1000 {
		b.write(written(holdfast.Done, byte(i)), nil)
	}
	asked := 0
	pick := func(n int) int { asked = n; return n - 1 }
	if p, ok := b.some(lately, pick); !ok || asked != lately || p.id() != (holdfast.ID{byte(999 & 0xff)}) {
		t.Errorf("of %d: %v %v", asked, p.id(), ok)
	}
	if _, ok := b.some(0, pick); !ok || asked != 1000 {
		t.Errorf("of %d of all", asked)
	}
}

// What the load stands on is asked for again, with the same id, while it has no decision: a drill must not end because somebody was being
// elected when it began.
func TestWhatTheLoadStandsOnIsAskedForAgain(t *testing.T) {
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("Idempotency-Key")
		if asked[id]++; asked[id] < 5 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusGatewayTimeout)
			fmt.Fprint(w, `{"code":"outcome-unknown","outcome":"unknown"}`)
			return
		}
		fmt.Fprintf(w, `{"id":%q,"status":"done","code":"ok","time":"2015-05-27T09:00:00Z","shard":1,"index":7}`, id)
	}))
	defer server.Close()
	c, err := client.New(client.Config{Sites: []string{server.URL}, Hedge: -1, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	l := &load{clients: []*client.Client{c}, book: newBook(), clock: func() time.Duration { return time.Since(began) }}
	cast := newShardCast(0, 1)
	txn := holdfast.Txn{ID: holdfast.ID{7}, Accounts: []holdfast.AccountChange{open(cast.bank, holdfast.LimitNone)}}
	if err := l.settle(t.Context(), &world{shards: []shardCast{cast}}, []holdfast.Txn{txn}); err != nil {
		t.Error(err)
	}
	if len(asked) != 1 || asked[txn.ID.String()] < 5 {
		t.Errorf("asked for %v", asked)
	}
}
