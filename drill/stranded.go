package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/site"
)

// Stranded is what clients were told that can reach no site but those on the wrong side of a cut.
type Stranded struct {
	Asked   int           // payments that they sent
	Honest  int           // of which they were told in time that they were not executed, or that the outcome is not known
	Late    int           // of which they were told nothing in time
	Paid    int           // that were acknowledged although no majority could be reached
	Longest time.Duration // until an answer
	Codes   map[string]int
	Within  time.Duration // how long an answer may take
}

// strandedEvery is the distance between two payments of a client.
const strandedEvery = 20 * time.Millisecond

// stranded are clients without a choice. They do not use the client of the API, which asks again until its deadline: what they wait
// for is the first answer.
type stranded struct {
	load   *load
	shards []shardCast
	key    guard.Secret
	http   *http.Client

	mu      sync.Mutex
	answers []strandedAnswer
}

type strandedAnswer struct {
	due, ended time.Duration
	status     holdfast.Status
	code       string
}

func newStranded(l *load, w *world, key guard.Secret) *stranded {
	return &stranded{load: l, shards: w.shards, key: key, http: &http.Client{Timeout: payDeadline, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// ask has a client at each of the sites pay until the context ends.
func (s *stranded) ask(ctx, until context.Context, sites []*member, id func() holdfast.ID) {
	var clients sync.WaitGroup
	var ids sync.Mutex
	for _, m := range sites {
		clients.Go(func() {
			s.load.every(until, pace{step: strandedEvery}, func(n int, due time.Duration) {
				c := &s.shards[n%len(s.shards)]
				ids.Lock()
				t := probePayment(c, n, id())
				ids.Unlock()
				s.pay(ctx, m, c.id, &t, due)
			})
		})
	}
	clients.Wait()
}

// pay sends one payment and writes down what the site says. The book has it as a payment like any other: what was not executed must
// not be there in the end.
func (s *stranded) pay(ctx context.Context, m *member, shard holdfast.ShardID, t *holdfast.Transfer, due time.Duration) {
	called := s.load.clock()
	status, code := s.send(ctx, m, t)
	ended := s.load.clock()
	s.mu.Lock()
	s.answers = append(s.answers, strandedAnswer{due, ended, status, code})
	s.mu.Unlock()
	out := holdfast.Outcome{ID: t.ID, Status: status, Leg: holdfast.NoLeg}
	if status != holdfast.NotExecuted { // the book settles it by asking
		out.Status, out.Code = holdfast.Unknown, holdfast.CodeUnknown
	}
	p := page{sample: Sample{Shard: shard, Kind: WrongSide, Due: due, Ended: ended}, payment: paymentOf(t), called: called}
	p.answered(out)
	s.load.book.write(p, nil)
}

func (s *stranded) send(ctx context.Context, m *member, t *holdfast.Transfer) (holdfast.Status, string) {
	body := fmt.Sprintf(`{"debit":%q,"credit":%q,"amount":%d,"code":%d}`, t.Debit, t.Credit, t.Amount, t.Code)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/transfers", strings.NewReader(body))
	if err != nil {
		return holdfast.NotExecuted, err.Error()
	}
	q.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	q.Header.Set("Idempotency-Key", t.ID.String())
	q.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(q)
	if err != nil {
		return holdfast.Unknown, "no answer"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	var said struct {
		Code    string `json:"code"`
		Outcome string `json:"outcome"`
	}
	switch {
	case err != nil:
		return holdfast.Unknown, "no answer"
	case resp.StatusCode < http.StatusMultipleChoices:
		return holdfast.Done, "paid"
	case json.Unmarshal(text, &said) != nil || said.Code == "":
		return holdfast.Unknown, fmt.Sprintf("status %d without a code", resp.StatusCode)
	case said.Outcome == "not-executed":
		return holdfast.NotExecuted, said.Code
	}
	return holdfast.Unknown, said.Code
}

// found judges the answers given between a cut and its heal. A payment that was under way when it was cut counts from the cut.
func (s *stranded) found(f *Fault) *Stranded {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &Stranded{Codes: map[string]int{}, Within: site.HonestWithin}
	for _, a := range s.answers {
		if a.ended < f.At || a.due >= f.Healed {
			continue
		}
		out.Asked++
		out.Codes[a.code]++
		took := a.ended - max(a.due, f.At)
		out.Longest = max(out.Longest, took)
		switch {
		case a.status == holdfast.Done && a.due >= f.At && a.ended < f.Healed:
			out.Paid++
		case took > out.Within || a.code == "no answer":
			out.Late++
		default:
			out.Honest++
		}
	}
	return out
}

func (s *Stranded) reasons() (out []string) {
	if s.Asked == 0 {
		out = append(out, "no client on the wrong side asked for anything: nothing is proved about them")
	}
	if s.Paid > 0 {
		out = append(out, fmt.Sprintf("%d payments were acknowledged on the side without a majority", s.Paid))
	}
	if s.Late > 0 {
		out = append(out, fmt.Sprintf("%d of %d clients on the wrong side had no honest answer within %v; the longest took %.0f ms", s.Late, s.Asked, s.Within, millis(s.Longest)))
	}
	return out
}
