package drill

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// telling is the business of webhook-receiver-down: merchants are paid, and told so. The receiver of the first is down for a while, and that of the
// second is slow.
type telling struct {
	*bazaar
	receivers []*receiver
	errs      []error
}

// receiver is where a merchant is told of events, as he would write it.
type receiver struct {
	address string
	key     []byte // of the signatures
	slow    time.Duration

	server *http.Server // nil: it is down

	mu     sync.Mutex
	heard  map[string]time.Time // events by id, and when each came first
	times  int                  // deliveries
	forged int                  // of those, which were not signed as they have to be
}

const (
	tellEvery = 80 * time.Millisecond
	slowTell  = time.Second
	// The receiver is down for less than the time after which what it has not taken is sent again, so that all of that arrives soon.
	downFrom = 1500 * time.Millisecond
	downFor  = 3500 * time.Millisecond
	// tellTime is how long everything may take to arrive when the load is over. What nobody was reminded of, because the site that had made it was
	// cut off then, is found by going through the minute that it happened in, some 20 s after that has ended.
	tellTime   = 110 * time.Second
	promptTell = 2 * time.Second // from what happened to the first attempt, where nothing is broken
)

func openTelling(ctx context.Context, r *run) (_ business, err error) {
	m, err := newBazaar(ctx, r, stalls{sellers: 4, buyers: 13, money: 10_000_000})
	if err != nil {
		return nil, err
	}
	x := &telling{bazaar: m}
	for i, s := range m.sellers {
		to := &receiver{address: loopback() + ":0", heard: map[string]time.Time{}}
		if i == 1 {
			to.slow = slowTell
		}
		x.receivers = append(x.receivers, to)
		if err := to.open(); err != nil {
			return nil, err
		}
		_, secret, err := m.client.CreateWebhook(ctx, s.owner, "http://"+to.address+"/events")
		if err != nil {
			return nil, fmt.Errorf("register a webhook: %w", err)
		}
		if to.key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err != nil {
			return nil, fmt.Errorf("read the secret of a webhook: %w", err)
		}
	}
	return x, nil
}

func (r *receiver) open() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	r.address = l.Addr().String()
	server := &http.Server{Handler: r, ReadHeaderTimeout: patience}
	r.server = server
	go func() { _ = server.Serve(l) }() // until it is closed
	return nil
}

func (r *receiver) close() error {
	if r.server == nil {
		return nil
	}
	err := r.server.Close()
	r.server = nil
	return err
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id := q.Header.Get("Webhook-Id")
	r.mu.Lock()
	r.times++
	if signedBy(r.key, id, q.Header.Get("Webhook-Timestamp"), q.Header.Get("Webhook-Signature"), body) {
		if _, known := r.heard[id]; !known {
			r.heard[id] = now
		}
	} else {
		r.forged++
	}
	r.mu.Unlock()
	if rest(q.Context(), r.slow) == nil {
		w.WriteHeader(http.StatusNoContent)
	}
}

// signedBy checks a delivery as Standard Webhooks has it.
func signedBy(key []byte, id, timestamp, signatures string, body []byte) bool {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, timestamp, body)
	var said struct {
		ID string `json:"id"`
	}
	return slices.Contains(strings.Fields(signatures), "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil))) &&
		json.Unmarshal(body, &said) == nil && said.ID == id
}

func (x *telling) trade(ctx, until context.Context) {
	var work sync.WaitGroup
	work.Go(func() {
		err := rest(until, downFrom)
		if err == nil {
			err = errors.Join(x.receivers[0].close(), rest(ctx, downFor), x.receivers[0].open())
		}
		x.errs = append(x.errs, err)
	})
	for n := 0; rest(until, x.pace(tellEvery)) == nil; n++ {
		work.Go(func() {
			s, number := x.sellers[n%len(x.sellers)], fmt.Sprintf("told-%d", n)
			if x.payBy(ctx, s, number, holdfast.Amount(100+n), x.anyone(n).owner, "").Told == toldDone && n%3 == 0 {
				x.refund(ctx, s, number, "part", 10)
			}
		})
	}
	work.Wait()
}

// hearing is what one receiver was to be told, and was.
type hearing struct {
	missing, late []string
	slowest       time.Duration // of those that had to come promptly
}

// judgeHearing compares the events of a merchant with those that his receiver has heard of. prompt says which had to come promptly; nil: none. took is
// how long something took, without what the machine stood still.
func judgeHearing(events []client.Event, heard map[string]time.Time, prompt func(at time.Time) bool, took func(from, until time.Time) time.Duration) (out hearing) {
	for i := range events {
		e := &events[i]
		at, ok := heard[e.ID]
		switch {
		case !ok:
			out.missing = append(out.missing, e.ID)
		case prompt != nil && prompt(e.Time):
			long := took(e.Time, at)
			out.slowest = max(out.slowest, long)
			if long > promptTell {
				out.late = append(out.late, fmt.Sprintf("%s came after %d ms", e.ID, at.Sub(e.Time).Milliseconds()))
			}
		}
	}
	return out
}

func (r *receiver) sum() (heard map[string]time.Time, times, forged int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard = map[string]time.Time{}
	for id, at := range r.heard {
		heard[id] = at
	}
	return heard, r.times, r.forged
}

// events reads all that has happened to a merchant.
func (x *telling) events(ctx context.Context, s *vendor) (all []client.Event, err error) {
	for cursor := ""; ; {
		page, next, err := x.client.Events(ctx, s.owner, cursor, 0)
		if err != nil || len(page) == 0 || next == cursor {
			return append(all, page...), err
		}
		all, cursor = append(all, page...), next
	}
}

// again counts the events that had to be sent more than once to the receiver that was down.
func (x *telling) again(ctx context.Context) (n int, err error) {
	for cursor := ""; ; {
		page, next, err := x.client.Deliveries(ctx, x.sellers[0].owner, cursor, 0)
		for i := range page {
			if page[i].Attempts > 1 {
				n++
			}
		}
		if cursor = next; err != nil || next == "" {
			return n, err
		}
	}
}

func (x *telling) prove(ctx context.Context, p *prover) error {
	began := time.Now()
	zero := began.Add(-x.clock())
	broken := func(at time.Time) bool {
		return slices.ContainsFunc(x.faults(), func(f Fault) bool {
			return at.After(zero.Add(f.At-time.Second)) && at.Before(zero.Add(f.Healed+time.Second))
		})
	}
	dark := shadows(x.stalls())
	took := func(from, until time.Time) time.Duration { return lit(dark, span{from.Sub(zero), until.Sub(zero)}) }
	told, deliveries, forged, slowest := 0, 0, 0, time.Duration(0)
	var missing, late []string
	for i, s := range x.sellers {
		events, err := x.events(ctx, s)
		if err != nil {
			return fmt.Errorf("read what has happened to merchant %s: %w", s.owner, err)
		}
		var prompt func(time.Time) bool
		if i > 1 { // neither down nor slow
			prompt = func(at time.Time) bool { return !broken(at) }
		}
		for {
			heard, times, bad := x.receivers[i].sum()
			h := judgeHearing(events, heard, prompt, took)
			if len(h.missing) > 0 && time.Since(began) < tellTime && rest(ctx, 10*pollPause) == nil {
				continue
			}
			missing, late, slowest = append(missing, h.missing...), append(late, h.late...), max(slowest, h.slowest)
			told, deliveries, forged = told+len(events), deliveries+times, forged+bad
			break
		}
	}
	again, err := x.again(ctx)
	switch {
	case err != nil:
		return err
	case again == 0:
		p.findings = append(p.findings, "nothing was sent to the receiver that was down twice: that proves nothing")
	}
	p.findings = append(p.findings, late[:min(len(late), 5)]...)
	if len(missing) > 0 || forged > 0 || told == 0 {
		p.findings = append(p.findings, fmt.Sprintf("%d of %d events never arrived, %d deliveries were not signed as they have to be", len(missing), told, forged))
	}
	p.told = append(p.told, fmt.Sprintf("%s of %s arrived in %s; %d had to be sent again to the receiver that was down for %v",
		plural(told, "event"), plural(len(x.sellers), "merchant"), fmt.Sprintf("%d deliveries", deliveries), again, downFor))
	p.add("Merchants are told of everything", len(missing)+forged == 0 && told > 0, "%s, the last one there within %.1f s of the beginning of the proof: %d missing, %d not rightly signed",
		plural(told, "event"), time.Since(began).Seconds(), len(missing), forged)
	p.add("A receiver that is down or slow delays nobody else", len(late) == 0, "the others were told within %d ms while no site was cut off: %d later than %v", slowest.Milliseconds(), len(late), promptTell)
	return errors.Join(errors.Join(x.errs...), x.proveDeeds(ctx, p))
}

func (x *telling) close() error {
	var errs []error
	for _, r := range x.receivers {
		errs = append(errs, r.close())
	}
	x.client.Close()
	return errors.Join(errs...)
}
