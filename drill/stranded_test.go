package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/guard"
)

// What a client on the wrong side is told must be honest, and soon.
func TestTheWrongSideIsJudged(t *testing.T) {
	f := &Fault{At: time.Second, Healed: 3 * time.Second}
	no := func(due, took time.Duration) strandedAnswer {
		return strandedAnswer{due, due + took, holdfast.NotExecuted, "no-quorum"}
	}
	paid := func(due, took time.Duration) strandedAnswer {
		return strandedAnswer{due, due + took, holdfast.Done, "paid"}
	}
	for _, c := range []struct {
		name   string
		answer strandedAnswer
		reason string // "" passes
	}{
		{"at once", no(1500*ms, 2*ms), ""},
		{"at the bound", no(1500*ms, 300*ms), ""},
		{"too late", no(1500*ms, 301*ms), "had no honest answer within 300ms; the longest took 301 ms"},
		{"under way at the cut", no(800*ms, 499*ms), ""},
		{"under way at the cut, too late", no(800*ms, 501*ms), "no honest answer"},
		{"no answer at all", strandedAnswer{1100 * ms, 1200 * ms, holdfast.Unknown, "no answer"}, "no honest answer"},
		{"under way at the cut and paid", paid(990*ms, 20*ms), ""},
		{"paid", paid(1100*ms, 20*ms), "1 payments were acknowledged on the side without a majority"},
		{"paid after the heal", paid(2900*ms, 200*ms), ""},
	} {
		s := &stranded{answers: []strandedAnswer{c.answer}}
		got := strings.Join(s.found(f).reasons(), "; ")
		if (got == "") != (c.reason == "") || !strings.Contains(got, c.reason) {
			t.Errorf("%s: %q, want %q", c.name, got, c.reason)
		}
	}
	before := &stranded{answers: []strandedAnswer{no(100*ms, ms), no(3*time.Second, ms)}}
	if got := before.found(f).reasons(); len(got) != 1 || !strings.Contains(got[0], "nothing is proved") {
		t.Errorf("answers from outside of the cut: %q", got)
	}
}

// What is sent is a payment as any program would send it, and the book has it as what it was answered with.
func TestStrandedClientsSpeakPlainHTTP(t *testing.T) {
	answers := []struct {
		status int
		body   string
	}{
		{http.StatusServiceUnavailable, `{"code":"no-quorum","outcome":"not-executed"}`},
		{http.StatusGatewayTimeout, `{"code":"outcome-unknown","outcome":"unknown"}`},
		{http.StatusCreated, `{"status":"done"}`},
		{http.StatusBadGateway, `<html>`},
	}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/transfers" || r.Header.Get("Idempotency-Key") == "" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		w.WriteHeader(answers[n].status)
		fmt.Fprint(w, answers[n].body)
		n++
	}))
	defer server.Close()
	_, key, err := guard.NewKey("drill", guard.Operator, entropy(rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		t.Fatal(err)
	}
	b := newBook()
	cast := newShardCast(0, 1)
	s := newStranded(&load{book: b, clock: func() time.Duration { return 0 }}, &world{shards: []shardCast{cast}}, key)
	for i := range answers {
		transfer := probePayment(&cast, i, holdfast.ID{15: byte(i + 1)})
		s.pay(context.Background(), &member{url: server.URL}, 1, &transfer, 0)
	}
	for i, want := range []holdfast.Status{holdfast.NotExecuted, holdfast.Unknown, holdfast.Unknown, holdfast.Unknown} {
		p := b.at(i)
		if p.sample.Status != want || p.sample.Kind != WrongSide || p.sample.failed() || p.id().IsZero() {
			t.Errorf("answer %d: %+v, want %v", i, p.sample, want)
		}
	}
	for i, want := range []string{"no-quorum", "outcome-unknown", "paid", "status 502 without a code"} {
		if s.answers[i].code != want {
			t.Errorf("answer %d: %q, want %q", i, s.answers[i].code, want)
		}
	}
}
