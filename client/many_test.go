package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
)

// lists answers a batch: of each transaction what the function says of its id.
func lists(t *testing.T, says func(id string) (status, code string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := r.Context().Value(bodyOf{}).(string)
		var ids []string
		for i, id := range idsIn(t, body) {
			status, code := says(id)
			ids = append(ids, fmt.Sprintf(`{"id":%q,"status":%q,"code":%q,"index":%d}`, id, status, code, i))
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"outcomes":[`+strings.Join(ids, ",")+`]}`)
	}
}

type bodyOf struct{}

func idsIn(t *testing.T, body string) (ids []string) {
	var list struct {
		Transactions []struct {
			ID string `json:"id"`
		} `json:"transactions"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	for _, one := range list.Transactions {
		ids = append(ids, one.ID)
	}
	return ids
}

func makeTxns(c *Client, n int) (txns []holdfast.Txn, ids []string) {
	for range n {
		txns = append(txns, holdfast.Txn{ID: c.NewID(), Transfers: []holdfast.Transfer{testTransfer}})
		ids = append(ids, txns[len(txns)-1].ID.String())
	}
	return txns, ids
}

func done(string) (string, string) { return "done", "ok" }

// What a site could not do of a batch is asked of the next one, and only that.
func TestManyAsksOnForWhatASiteCouldNotDo(t *testing.T) {
	first, second := newSiteFor(t, nil), newSiteFor(t, lists(t, done))
	c := newTestClient(t, Config{Hedge: -1, Timeout: 10 * time.Second}, first, second)
	codes := []string{"ok", "no-quorum", "no-leader", "exceeds-credits", "overloaded", "stopping", "disk-full", "out-of-service", "outcome-unknown", "amount-invalid"}
	txns, ids := makeTxns(c, len(codes))
	first.become(lists(t, func(id string) (string, string) {
		code := codes[slices.Index(ids, id)]
		return map[string]string{"ok": "done", "exceeds-credits": "refused", "outcome-unknown": "unknown"}[code] + map[bool]string{true: "not-executed"}[!slices.Contains([]string{"ok", "exceeds-credits", "outcome-unknown"}, code)], code
	}))
	outcomes, err := c.SubmitMany(t.Context(), txns)
	if err != nil {
		t.Fatal(err)
	}
	var again []string
	for i, o := range outcomes {
		want := holdfast.Done
		switch codes[i] {
		case "exceeds-credits":
			want = holdfast.Refused
		case "amount-invalid":
			want = holdfast.NotExecuted
		case "ok":
		default:
			again = append(again, ids[i])
		}
		if o.ID != txns[i].ID || o.Status != want {
			t.Errorf("%s: %+v, want %s", codes[i], o, want)
		}
	}
	if len(first.asked()) != 1 || len(second.asked()) != 1 || !slices.Equal(idsIn(t, second.bodies[0]), again) {
		t.Errorf("the first site was asked %q, the second %q", first.bodies, second.bodies)
	}
}

// At the deadline an element is unknown if any attempt may have executed it.
func TestManyAtTheDeadline(t *testing.T) {
	says := func(status, code string) func(string) (string, string) {
		return func(string) (string, string) { return status, code }
	}
	for name, row := range map[string]struct {
		first, second http.HandlerFunc
		status        holdfast.Status
		code          holdfast.Code
	}{
		"not executed":       {lists(t, says("not-executed", "overloaded")), lists(t, says("not-executed", "no-leader")), holdfast.NotExecuted, holdfast.CodeNoLeader},
		"unknown once":       {lists(t, says("unknown", "outcome-unknown")), lists(t, says("not-executed", "no-leader")), holdfast.Unknown, holdfast.CodeUnknown},
		"dropped":            {drops, lists(t, says("not-executed", "no-leader")), holdfast.Unknown, holdfast.CodeUnknown},
		"then refused entry": {lists(t, says("unknown", "outcome-unknown")), problem(401, "unauthenticated", ""), holdfast.Unknown, holdfast.CodeUnknown},
		"then no entry":      {lists(t, says("not-executed", "stopping")), problem(401, "unauthenticated", ""), holdfast.NotExecuted, holdfast.CodeStopping},
		"then malformed":     {lists(t, says("unknown", "outcome-unknown")), lists(t, says("not-executed", "amount-invalid")), holdfast.Unknown, holdfast.CodeUnknown},
		"then nonsense":      {lists(t, says("not-executed", "stopping")), func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }, holdfast.Unknown, holdfast.CodeUnknown},
	} {
		inBubble(t, name, func(t *testing.T) {
			first, second := newSiteNear(t, row.first), newSiteNear(t, row.second)
			c := newTestClient(t, Config{Hedge: -1, Timeout: 300 * time.Millisecond}, first, second)
			txns, _ := makeTxns(c, 2)
			outcomes, err := c.SubmitMany(t.Context(), txns)
			for i, o := range outcomes {
				if o.ID != txns[i].ID || o.Status != row.status || o.Code != row.code {
					t.Errorf("%+v %v", o, err)
				}
			}
			if err == nil && name != "then malformed" {
				t.Error("no error says why there is no decision")
			}
			if n := len(first.asked()) + len(second.asked()); n > 20 {
				t.Errorf("%d attempts in 300 ms", n)
			}
		})
	}
}

// An answer to the whole batch that comes after another site was asked for the rest still counts.
func TestManyTakesALateAnswer(t *testing.T) {
	rest := make(chan struct{})
	slow, quick := newSiteFor(t, nil), newSiteFor(t, nil)
	c := newTestClient(t, Config{Hedge: 5 * time.Millisecond, Timeout: 10 * time.Second}, slow, quick)
	txns, ids := makeTxns(c, 3)
	all := lists(t, done)
	slow.become(func(w http.ResponseWriter, r *http.Request) {
		<-rest
		all(w, r)
	})
	asked := 0
	quick.become(lists(t, func(id string) (string, string) {
		if asked++; asked == len(ids)+1 {
			close(rest)
		}
		if id == ids[0] {
			return "done", "ok"
		}
		return "not-executed", "no-leader"
	}))
	outcomes, err := c.SubmitMany(t.Context(), txns)
	for i, o := range outcomes {
		if o.ID != txns[i].ID || o.Status != holdfast.Done {
			t.Errorf("%+v %v", o, err)
		}
	}
}
