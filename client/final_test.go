package client

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
)

// An attempt that may have been executed is not undone by another site that says no to the same call.
func TestFinalAnswerKeepsWhatMayHaveBeenExecuted(t *testing.T) {
	for name, row := range map[string]struct {
		second http.HandlerFunc
		status holdfast.Status
		code   holdfast.Code
	}{
		"malformed":    {problem(400, "amount-invalid", "not-executed"), holdfast.Unknown, holdfast.CodeUnknown},
		"no key":       {problem(401, "unauthenticated", ""), holdfast.Unknown, holdfast.CodeUnknown},
		"forbidden":    {problem(403, "forbidden", ""), holdfast.Unknown, holdfast.CodeUnknown},
		"not now":      {problem(409, "not-now", ""), holdfast.Unknown, holdfast.CodeUnknown},
		"too large":    {problem(413, "body-too-large", ""), holdfast.Unknown, holdfast.CodeUnknown},
		"says unknown": {problem(409, "outcome-unknown", "unknown"), holdfast.Unknown, holdfast.CodeUnknown},
		"refused":      {problem(422, "exceeds-credits", "refused"), holdfast.Refused, holdfast.CodeExceedsCredits},
		"id taken":     {problem(409, "id-taken", "refused"), holdfast.Refused, holdfast.CodeIDTaken},
	} {
		for how, first := range map[string]func(t *testing.T) http.HandlerFunc{
			"dropped": func(*testing.T) http.HandlerFunc { return drops },
			"open":    hangs,
		} {
			t.Run(name+" after "+how, func(t *testing.T) {
				hedge := never
				if how == "open" {
					hedge = 5 * time.Millisecond
				}
				c := newTestClient(t, Config{Hedge: hedge, Timeout: 10 * time.Second}, newSiteFor(t, first(t)), newSiteFor(t, row.second))
				o, err := c.Pay(t.Context(), testTransfer)
				if o.Status != row.status || o.Code != row.code {
					t.Errorf("%+v %v", o, err)
				}
				if e := (*Error)(nil); row.status == holdfast.Unknown && !errors.As(err, &e) {
					t.Errorf("the error %v does not tell what the site said", err)
				}
			})
		}
	}
}

func TestManyKeepsWhatMayHaveBeenExecuted(t *testing.T) {
	c := newTestClient(t, Config{Hedge: -1, Timeout: 10 * time.Second}, newSiteFor(t, drops), newSiteFor(t, problem(413, "body-too-large", "")))
	outcomes, err := c.SubmitMany(t.Context(), []holdfast.Txn{{ID: c.NewID(), Transfers: []holdfast.Transfer{testTransfer}}})
	if outcomes[0].Status != holdfast.Unknown || outcomes[0].Code != holdfast.CodeUnknown || err == nil {
		t.Errorf("%+v %v", outcomes, err)
	}
}

// The first connection of an attempt breaks after the request was sent; what comes over the second one cannot undo it.
func TestSecondConnectionKeepsWhatMayHaveBeenExecuted(t *testing.T) {
	synctest.Test(t, secondConnectionKeepsWhatMayHaveBeenExecuted)
}

func secondConnectionKeepsWhatMayHaveBeenExecuted(t *testing.T) {
	for name, last := range map[string]http.HandlerFunc{
		"final":     problem(400, "amount-invalid", "not-executed"),
		"not final": problem(503, "no-quorum", "not-executed"),
	} {
		b := newBook()
		busy, second := newSiteNear(t, problem(429, "overloaded", "not-executed")), newSiteNear(t, b.pays)
		c := newTestClient(t, Config{Hedge: -1, Timeout: 500 * time.Millisecond}, busy, second)
		if o, err := c.Pay(t.Context(), testTransfer); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v %v", o, err)
		}
		var asked atomic.Int32
		second.become(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				b.pays(httpDiscard{}, r)
				drops(w, r)
				return
			}
			last(w, r)
		})
		if o, err := c.Pay(t.Context(), testTransfer); o.Status != holdfast.Unknown || err == nil {
			t.Errorf("%s: %+v %v", name, o, err)
		}
	}
}

// httpDiscard is an answer that is lost.
type httpDiscard struct{}

func (httpDiscard) Header() http.Header         { return http.Header{} }
func (httpDiscard) Write(b []byte) (int, error) { return len(b), nil }
func (httpDiscard) WriteHeader(int)             {}
