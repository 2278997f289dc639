package client

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"holdfast"
)

// A number that is given goes with the request, as often as it is asked; without one each call has its own.
func TestWithNumber(t *testing.T) {
	var numbers []string
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		numbers = append(numbers, r.Header.Get("Idempotency-Key"))
		fmt.Fprint(w, `{}`)
	})
	c, err := New(Config{Sites: []string{s.URL}, Key: "its-own"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, ctx := range []context.Context{WithNumber(t.Context(), "n-1"), WithNumber(t.Context(), "n-1"), t.Context(), t.Context()} {
		if _, _, err := c.IssueMerchantKey(ctx, 2088000000010420, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if numbers[0] != "n-1" || numbers[1] != "n-1" || numbers[2] == "n-1" || numbers[2] == numbers[3] {
		t.Errorf("numbers: %q", numbers)
	}
	defer func() {
		if recover() == nil {
			t.Error("a number with a line break was taken")
		}
	}()
	WithNumber(t.Context(), "a\nb")
}

// One client acts for many people: each call is made with the key of its context, also what is asked of another site for the rest of a batch.
func TestWithKey(t *testing.T) {
	var keys []string
	b := book{seen: map[string]int{}}
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Authorization"))
		if (r.Header.Get("X-Passive") == "1") != (len(keys) == 2) {
			t.Errorf("call %d: X-Passive is %q", len(keys), r.Header.Get("X-Passive"))
		}
		if len(keys) == 3 { // of the batch, one is done and one has to be asked for again
			fmt.Fprint(w, `{"outcomes":[{"id":"00000000-0000-0000-0000-000000000001","status":"done","code":"ok","time":"2015-05-27T09:00:00Z","shard":1,"index":7},`+
				`{"id":"00000000-0000-0000-0000-000000000002","status":"not-executed","code":"overloaded"}]}`)
			return
		}
		if len(keys) == 4 {
			fmt.Fprint(w, `{"outcomes":[{"id":"00000000-0000-0000-0000-000000000002","status":"done","code":"ok","time":"2015-05-27T09:00:00Z","shard":1,"index":8}]}`)
			return
		}
		status, body := b.outcome(r.Header.Get("Idempotency-Key"))
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	c, err := New(Config{Sites: []string{s.URL}, Key: "its-own"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	alice := WithKey(t.Context(), "alices")
	if _, err := c.Pay(alice, holdfast.Transfer{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Pay(Passive(t.Context()), holdfast.Transfer{}); err != nil {
		t.Error(err)
	}
	if _, err := c.SubmitMany(alice, []holdfast.Txn{{ID: holdfast.ID{15: 1}}, {ID: holdfast.ID{15: 2}}}); err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(keys), "[Bearer alices Bearer its-own Bearer alices Bearer alices]"; got != want {
		t.Errorf("asked with %s, want %s", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("a key with a line break was taken")
		}
	}()
	WithKey(t.Context(), "a\r\nX: y")
}
