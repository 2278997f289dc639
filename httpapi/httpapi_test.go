package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/link"
	"holdfast/proof"
	"holdfast/shard"
	"holdfast/site"
)

func TestEveryCodeHasAnHTTPStatus(t *testing.T) {
	for _, code := range holdfast.Codes() {
		status, ok := statuses[code]
		want := 0
		switch {
		case code == holdfast.CodeOK:
			want = http.StatusCreated
		case code.Malformed():
			want = http.StatusBadRequest
		case code == holdfast.CodeUnknown:
			want = http.StatusGatewayTimeout
		case code == holdfast.CodeOverloaded, code == holdfast.CodeOutboxFull:
			want = http.StatusTooManyRequests
		case code == holdfast.CodeDiskFull:
			want = http.StatusInsufficientStorage
		case code >= holdfast.CodeNoQuorum:
			want = http.StatusServiceUnavailable
		}
		if refused := status == http.StatusConflict || status == http.StatusUnprocessableEntity; !ok || want != 0 && status != want || want == 0 && !refused {
			t.Errorf("%s has the status %d", code, status)
		}
		if again := retryAfter(status) > 0; again != (code >= holdfast.CodeNoQuorum && code != holdfast.CodeUnknown) {
			t.Errorf("%s: Retry-After given is %t", code, again)
		}
	}
	if len(statuses) != len(holdfast.Codes()) {
		t.Errorf("the table has %d rows for %d codes", len(statuses), len(holdfast.Codes()))
	}
}

func TestEveryCodeIsAnsweredAsAProblem(t *testing.T) {
	for _, code := range holdfast.Codes()[1:] {
		status := holdfast.Refused
		switch {
		case code == holdfast.CodeUnknown:
			status = holdfast.Unknown
		case code.Malformed() || code >= holdfast.CodeNoQuorum:
			status = holdfast.NotExecuted
		}
		f := &fake{submit: func(_ context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
			out := outcomesOf(txns, status, code)
			out[0].Leg, out[0].Field = 0, "amount"
			return out, nil
		}}
		got, h, body := ask(t, newTestAPI(f), "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
		p := problemIn(t, h, body)
		if got != statuses[code] || p.Status != got || p.Code != code.String() || p.Detail != code.Advice() || p.Outcome != status.String() ||
			p.ID != uuid1 || p.Field != "amount" || *p.Leg != 0 || p.Type != "/docs#"+code.String() {
			t.Errorf("%s: %d %s", code, got, body)
		}
		if decided := status == holdfast.Refused; decided != (p.Time != "") || decided != (p.Index == 123) {
			t.Errorf("%s: time and index in %s", code, body)
		}
		if (h.Get("Retry-After") != "") != (retryAfter(got) > 0) {
			t.Errorf("%s: Retry-After is %q", code, h.Get("Retry-After"))
		}
	}
}

func TestDoneIsExactly(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	status, h, body := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
	want := `{"id":"` + uuid1 + `","status":"done","code":"ok","replay":false,"time":"2015-05-27T09:00:00.123456789Z","shard":1,"index":123,"detail":"Done."}`
	if status != http.StatusCreated || body != want || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s\nwant 201 %s", status, body, want)
	}
	if txn := f.txns[0]; txn.ID.String() != uuid1 || !txn.Transfers[0].ID.IsZero() || txn.Transfers[0].Kind != holdfast.Immediate || f.bulk {
		t.Errorf("proposed %+v, bulk %t", txn, f.bulk)
	}
	f.submit = func(_ context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		out := outcomesOf(txns, holdfast.Done, holdfast.CodeOK)
		out[0].Replay = true
		return out, nil
	}
	status, _, body = ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
	if status != http.StatusOK || body != strings.Replace(want, "false", "true", 1) {
		t.Errorf("replay: %d %s", status, body)
	}
}

func TestOutcomeIsWrittenAsDocumented(t *testing.T) {
	for _, o := range []holdfast.Outcome{
		{Status: holdfast.Done, Leg: holdfast.NoLeg, Time: decidedAt, Position: holdfast.Position{Index: 1}},
		{Status: holdfast.Refused, Code: holdfast.CodeExceedsCredits, Leg: 3, Replay: true, Time: decidedAt, Position: holdfast.Position{Index: 7}},
		{Status: holdfast.NotExecuted, Code: holdfast.CodeRecordInvalid, Field: `records[0]."x"`, Leg: holdfast.NoLeg},
		{Status: holdfast.Unknown, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg},
	} {
		for _, o.Shard = range []holdfast.ShardID{0, 2} {
			want, err := json.Marshal(outcomeBodyOf(&o))
			if err != nil {
				t.Fatal(err)
			}
			if got := appendOutcome(nil, &o); string(got) != string(want) {
				t.Errorf("%s\nwant %s", got, want)
			}
		}
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	api := newTestAPI(&fake{})
	for _, row := range []struct {
		method, path, key, body string
		want                    int
		code                    string
	}{
		{"POST", "/v1/transfers", "", onePayment, 401, "unauthenticated"},
		{"POST", "/v1/transfers", "hf_short", onePayment, 401, "unauthenticated"},
		{"POST", "/v1/transfers", tellerKey[:40] + "zzzz", onePayment, 401, "unauthenticated"},
		{"POST", "/v1/transfers", readerKey, onePayment, 403, "forbidden"},
		{"POST", "/v1/transfers", tellerKey, onePayment, 201, ""},
		{"POST", "/v1/accounts/" + wallet + "/freeze", tellerKey, "", 403, "forbidden"},
		{"POST", "/v1/accounts/" + wallet + "/freeze", operatorKey, "", 201, ""},
		{"POST", "/v1/transactions", tellerKey, `{"accounts":[{"op":"freeze","id":"` + wallet + `"}]}`, 403, "forbidden"},
		{"POST", "/v1/transactions", tellerKey, `{"accounts":[{"op":"open","id":"` + wallet + `"}]}`, 201, ""},
		{"POST", "/v1/shards/1/leader", tellerKey, `{"site":2}`, 403, "forbidden"},
		{"POST", "/v1/shards/1/leader", operatorKey, `{"site":2}`, 200, ""},
		{"GET", "/v1/audit", readerKey, "", 200, ""},
		{"GET", "/v1/sites", "", "", 401, "unauthenticated"},
		{"GET", "/metrics", "", "", 401, "unauthenticated"}, // httptest's caller is not on this machine
		{"GET", "/metrics", readerKey, "", 200, ""},
		{"GET", "/livez", "", "", 200, ""},
		{"GET", "/readyz", "", "", 200, ""},
		{"GET", "/openapi.json", "", "", 200, ""},
		{"GET", "/docs", "", "", 200, ""},
		{"GET", "/v1/nothing", "", "", 404, "not-found"},
		{"DELETE", "/v1/transfers", tellerKey, "", 405, "method-not-allowed"},
	} {
		status, h, body := ask(t, api, row.method, row.path, row.key, row.body, "Idempotency-Key", uuid1)
		if status != row.want {
			t.Errorf("%s %s: %d %s, want %d", row.method, row.path, status, body, row.want)
		}
		if row.code != "" {
			if p := problemIn(t, h, body); p.Code != row.code {
				t.Errorf("%s %s: code %s, want %s", row.method, row.path, p.Code, row.code)
			}
		}
		if status == 401 && h.Get("WWW-Authenticate") == "" || status == 405 && h.Get("Allow") != "GET, POST" {
			t.Errorf("%s %s: headers %v", row.method, row.path, h)
		}
	}
}

func TestMetricsAreOpenToThisMachine(t *testing.T) {
	api := newTestAPI(&fake{})
	for peer, want := range map[string]int{"127.0.0.1:99": 200, "[::1]:99": 200, "[::ffff:127.0.0.1]:9": 200, "10.0.0.1:99": 401, "nonsense": 401} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %s: %d, want %d", peer, w.Code, want)
		}
	}
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:99"
	r.Header.Set("X-Forwarded-For", "10.0.0.1")
	w := httptest.NewRecorder()
	if api.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("through a proxy: %d, want 401", w.Code)
	}
}

func TestIDOfARequest(t *testing.T) {
	withID := strings.Replace(onePayment, "{", `{"id":"`+uuid1+`",`, 1)
	for _, row := range []struct{ name, body, key, want, code string }{
		{"header", onePayment, uuid1, uuid1, ""},
		{"body", withID, "", uuid1, ""},
		{"both the same", withID, uuid1, uuid1, ""},
		{"they differ", withID, uuid2, "", "id-mismatch"},
		{"neither", onePayment, "", "", "id-missing"},
		{"other shape", onePayment, "order-4711", "*", ""},
		{"too long", onePayment, strings.Repeat("x", 256), "", "malformed"},
		{"nil", onePayment, "00000000-0000-0000-0000-000000000000", "", "malformed"},
	} {
		for _, path := range []string{"/v1/transfers", "/v1/transactions"} {
			body := row.body
			if path == "/v1/transactions" {
				body = `{"transfers":[` + onePayment + `]}`
				if row.body == withID {
					body = strings.Replace(body, "{", `{"id":"`+uuid1+`",`, 1)
				}
			}
			f := &fake{}
			status, h, text := ask(t, newTestAPI(f), "POST", path, tellerKey, body, "Idempotency-Key", row.key)
			if row.code != "" {
				if p := problemIn(t, h, text); status != 400 || p.Code != row.code || p.Field != "Idempotency-Key" {
					t.Errorf("%s %s: %d %s", row.name, path, status, text)
				}
				continue
			}
			if status != 201 || row.want != "*" && f.txns[0].ID.String() != row.want {
				t.Errorf("%s %s: %d %s", row.name, path, status, text)
			}
		}
	}
}

func TestMany(t *testing.T) {
	one := func(id string) string { return `{"id":"` + id + `","transfers":[` + onePayment + `]}` }
	f := &fake{}
	api := newTestAPI(f)
	status, _, body := ask(t, api, "POST", "/v1/transactions", tellerKey, `{"transactions":[`+one(uuid1)+`,`+one(uuid2)+`]}`)
	var got outcomesBody
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || len(got.Outcomes) != 2 || got.Outcomes[1].ID != uuid2 || !f.bulk {
		t.Fatalf("%d %s %v", status, body, err)
	}
	f.submit = func(_ context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		return outcomesOf(txns, holdfast.NotExecuted, holdfast.CodeNoQuorum), nil
	}
	status, h, body := ask(t, api, "POST", "/v1/transactions", tellerKey, `{"transactions":[`+one(uuid1)+`,`+one(uuid2)+`]}`)
	if p := problemIn(t, h, body); status != 503 || p.Code != "no-quorum" || p.Outcome != "not-executed" {
		t.Errorf("nothing executed: %d %s", status, body)
	}
	for text, field := range map[string]string{
		`{"transactions":[{"transfers":[` + onePayment + `]}]}`: "transactions[0].id",
		`{"transactions":[]}`:                                    "transactions",
		`{"transactions":[],"transfers":[]}`:                     "",
		`{"transactions":[` + one(uuid1) + `,{"id":5}]}`:         "transactions[1].id",
		`{"transactions":[{"transactions":[]}]}`:                 "transactions[0].transactions",
		`{"transfers":[{"amount":1},{"amuont":2}],"records":[]}`: "transfers[1].amuont",
	} {
		status, h, body := ask(t, api, "POST", "/v1/transactions", tellerKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s, want the field %q", text, status, body, field)
		}
	}
}

// One key cannot name many transactions.
func TestManyWithAKeyAreRefused(t *testing.T) {
	f := &fake{}
	for _, key := range []string{uuid1, "order-4711"} {
		status, h, body := ask(t, newTestAPI(f), "POST", "/v1/transactions", tellerKey,
			`{"transactions":[{"id":"`+uuid1+`","transfers":[`+onePayment+`]}]}`, "Idempotency-Key", key)
		if p := problemIn(t, h, body); status != 400 || p.Code != "malformed" || p.Field != "Idempotency-Key" {
			t.Errorf("%d %s", status, body)
		}
	}
	if f.txns != nil {
		t.Errorf("proposed %+v", f.txns)
	}
}

// What can be repeated without harm needs no key; where there is a transaction, a key that is sent is its id.
func TestOptionalKeys(t *testing.T) {
	t.Parallel()
	for path, body := range map[string]string{
		"/v1/accounts": `{"id":"` + wallet + `"}`, "/v1/accounts/" + wallet + "/freeze": "", "/v1/accounts/" + wallet + "/thaw": "",
		"/v1/accounts/" + wallet + "/close": "", "/v1/owners": "", "/v1/shards/1/leader": `{"site":2}`, "/v1/shards/1/rebuild": `{}`, "/v1/shards/1/trust": `{}`,
		"/v1/sites/plan": `{"kind":"retire","site":4}`, "/v1/sites/apply": `{"kind":"retire","site":4,"plan":"abc"}`,
		"/v1/slots/plan": `{"slots":[{"from":1,"to":2}],"to":2}`, "/v1/slots/apply": `{"slots":[{"from":1,"to":2}],"to":2,"plan":"abc"}`,
		"/v1/slots/stay": `{"slots":[{"from":1,"to":2}]}`, "/v1/shards/1/split/plan": `{}`, "/v1/shards/1/split/cancel": `{}`,
		"/v1/shards/1/split/apply": `{"slots":[{"from":1,"to":2}],"plan":"abc"}`, "/v1/messages/acknowledge": `{"shard":1,"seqs":[1]}`,
	} {
		for _, key := range []string{"", uuid1} {
			f := &fake{}
			status, _, text := ask(t, newTestAPI(f), "POST", path, operatorKey, body, "Idempotency-Key", key)
			if status != 200 && status != 201 {
				t.Errorf("%s with the key %q: %d %s", path, key, status, text)
			}
			if len(f.txns) > 0 && (f.txns[0].ID.IsZero() || key != "" && f.txns[0].ID.String() != key) {
				t.Errorf("%s with the key %q: proposed as %s", path, key, f.txns[0].ID)
			}
		}
	}
	_, _, doc := ask(t, newTestAPI(&fake{}), "GET", "/openapi.json", "", "")
	for text, want := range map[string]int{"The Idempotency-Key is therefore optional": 5, "Idempotency-Key could name": 12, "a batch with an Idempotency-Key is refused": 1} {
		if got := strings.Count(doc, text); got != want {
			t.Errorf("the document says %q %d times, want %d", text, got, want)
		}
	}
}

func TestCallerWhoLeavesStopsNoWork(t *testing.T) {
	begun, left := make(chan struct{}), make(chan struct{})
	f := &fake{submit: func(ctx context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		close(begun)
		<-left
		if ctx.Err() != nil {
			t.Error("the work was cancelled with its caller")
		}
		if d, ok := ctx.Deadline(); !ok || d.IsZero() {
			t.Error("the work has no deadline")
		}
		return outcomesOf(txns, holdfast.Done, holdfast.CodeOK), nil
	}}
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/transfers", strings.NewReader(onePayment))
	r.Header.Set("Authorization", "Bearer "+tellerKey)
	r.Header.Set("Idempotency-Key", uuid1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		newTestAPI(f).ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-begun
	leave()
	close(left)
	<-done
}

func TestTooManyAtOnce(t *testing.T) {
	begun, leave := make(chan struct{}), make(chan struct{})
	f := &fake{submit: func(_ context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		close(begun)
		<-leave
		return outcomesOf(txns, holdfast.Done, holdfast.CodeOK), nil
	}}
	api := New(f, Options{Keys: testKeys, Limit: 1})
	done := make(chan int)
	go func() {
		status, _, _ := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
		done <- status
	}()
	<-begun
	status, h, body := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid2)
	if p := problemIn(t, h, body); status != 429 || p.Code != "overloaded" || p.Outcome != "not-executed" || h.Get("Retry-After") != "1" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := ask(t, api, "GET", "/livez", "", ""); status != 200 {
		t.Errorf("livez under load: %d %s", status, body)
	}
	close(leave)
	if status := <-done; status != 201 {
		t.Errorf("the first one: %d", status)
	}
}

func TestDeadlineHeader(t *testing.T) {
	api := newTestAPI(&fake{})
	for text, want := range map[string]int{"1": 201, "10000": 201, "10001": 400, "0": 400, "-5": 400, "2s": 400} {
		if status, _, body := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1, "X-Deadline-Ms", text); status != want {
			t.Errorf("X-Deadline-Ms %s: %d %s, want %d", text, status, body, want)
		}
	}
}

// A caller gets the time that he asks for, whatever the configuration; the configuration is for who does not ask.
func TestDeadlineOfARequest(t *testing.T) {
	var until time.Time
	f := &fake{submit: func(ctx context.Context, txns []holdfast.Txn, _ bool) ([]holdfast.Outcome, error) {
		until, _ = ctx.Deadline()
		return outcomesOf(txns, holdfast.Done, holdfast.CodeOK), nil
	}}
	for _, row := range []struct {
		configured time.Duration
		header     string
		want       time.Duration
	}{
		{0, "", 2 * time.Second},
		{6 * time.Second, "", 6 * time.Second},
		{2 * time.Second, "8000", 8 * time.Second},
		{6 * time.Second, "3000", 3 * time.Second},
		{time.Minute, "", MaxDeadline},
	} {
		api := New(f, Options{Keys: testKeys, Deadline: row.configured})
		before := time.Now()
		ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1, "X-Deadline-Ms", row.header)
		if most, least := until.Sub(before), time.Until(until); most < row.want || least > row.want {
			t.Errorf("configured to %v, asked for %q: between %v and %v, want %v", row.configured, row.header, least, most, row.want)
		}
	}
}

// Whatever is refused where a transaction was asked for says what became of it: nothing, unless this site failed.
func TestEveryRefusalOfATransactionTellsTheOutcome(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	tell := func(want, key, path, body string, headers ...string) {
		t.Helper()
		status, h, text := ask(t, api, "POST", path, key, body, headers...)
		if p := problemIn(t, h, text); p.Outcome != want {
			t.Errorf("%s %.60s: %d %s, want the outcome %q", path, body, status, text, want)
		}
	}
	for _, body := range []string{`{"debit":`, strings.Replace(onePayment, "1250", "1.0", 1), strings.Replace(onePayment, `"amount"`, `"amount":1,"amount"`, 1), "[]", "", strings.Repeat(" ", MaxBody+1)} {
		tell("not-executed", tellerKey, "/v1/transfers", body, "Idempotency-Key", uuid1)
		tell("not-executed", tellerKey, "/v1/holds", body, "Idempotency-Key", uuid1)
		tell("not-executed", operatorKey, "/v1/accounts", body, "Idempotency-Key", uuid1)
	}
	tell("not-executed", tellerKey, "/v1/transactions", `{"transactions":[]}`)
	tell("not-executed", tellerKey, "/v1/transactions", `{"transactions":[{"id":"`+uuid1+`"}]}`, "Idempotency-Key", uuid1)
	tell("not-executed", tellerKey, "/v1/transactions", `{"accounts":[{"op":"freeze","id":"`+wallet+`"}]}`, "Idempotency-Key", uuid1)
	tell("not-executed", readerKey, "/v1/transfers", onePayment, "Idempotency-Key", uuid1)
	tell("not-executed", "", "/v1/transfers", onePayment, "Idempotency-Key", uuid1)
	tell("not-executed", tellerKey, "/v1/transfers?x=1", onePayment, "Idempotency-Key", uuid1)
	tell("not-executed", tellerKey, "/v1/transfers", onePayment, "Idempotency-Key", uuid1, "X-Deadline-Ms", "0")
	tell("not-executed", tellerKey, "/v1/transfers", onePayment)
	tell("not-executed", operatorKey, "/v1/accounts/nonsense/freeze", "")
	tell("", operatorKey, "/v1/shards/1/leader", `{}`)
	f.submit = func(context.Context, []holdfast.Txn, bool) ([]holdfast.Outcome, error) {
		return nil, errors.New("a fault")
	}
	tell("unknown", tellerKey, "/v1/transfers", onePayment, "Idempotency-Key", uuid1)
	f.submit = func(context.Context, []holdfast.Txn, bool) ([]holdfast.Outcome, error) { panic("a bug") }
	tell("unknown", tellerKey, "/v1/transfers", onePayment, "Idempotency-Key", uuid1)
}

// Of two headers one would be ignored, and with it a protection that the caller believes in.
func TestHeadersAreGivenOnce(t *testing.T) {
	f := &fake{}
	for _, name := range []string{"Idempotency-Key", "X-Deadline-Ms"} {
		r := httptest.NewRequest(http.MethodPost, "/v1/transfers", strings.NewReader(onePayment))
		r.Header = http.Header{"Authorization": {"Bearer " + tellerKey}, "Idempotency-Key": {uuid1}, "X-Deadline-Ms": {"1000"}}
		r.Header.Add(name, "1001")
		w := httptest.NewRecorder()
		newTestAPI(f).ServeHTTP(w, r)
		if p := problemIn(t, w.Header(), w.Body.String()); w.Code != 400 || p.Field != name || p.Outcome != "not-executed" || f.txns != nil {
			t.Errorf("%s twice: %d %s", name, w.Code, w.Body)
		}
	}
}

// The mux would send whoever asks for such a path elsewhere, with a page for people.
func TestUncleanPathsAreNotFound(t *testing.T) {
	api := newTestAPI(&fake{})
	for _, path := range []string{"/v1//sites", "//v1/sites", "/v1/records/..", "/v1/records/.", "/v1/./sites", "/v1/x/../sites", "/v1/sites/"} {
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, "/", nil)
			r.URL = &url.URL{Path: path}
			r.Header.Set("Authorization", "Bearer "+operatorKey)
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			if p := problemIn(t, w.Header(), w.Body.String()); w.Code != 404 || p.Code != "not-found" {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	for path, want := range map[string]int{"/v1/sites": 200, "/": 404, "/v1/records/%2E%2E": 404, "/v1/records/a%2F%2Fb": 404} {
		status, h, body := ask(t, api, "GET", path, readerKey, "")
		if status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if p := (Problem{}); want == 404 && path != "/" {
			if p = problemIn(t, h, body); p.Field == "path" {
				t.Errorf("%s is refused as a path: %s", path, body)
			}
		}
	}
}

func TestFailuresStayInside(t *testing.T) {
	var log strings.Builder
	f := &fake{submit: func(context.Context, []holdfast.Txn, bool) ([]holdfast.Outcome, error) {
		return nil, errors.New("the secret reason")
	}}
	api := New(f, Options{Keys: testKeys, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	status, h, body := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
	if p := problemIn(t, h, body); status != 500 || p.Code != "internal" || strings.Contains(body, "secret") {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(log.String(), "the secret reason") {
		t.Errorf("the log does not have the reason: %s", log.String())
	}
	f.submit = func(context.Context, []holdfast.Txn, bool) ([]holdfast.Outcome, error) { panic("bug") }
	if status, _, _ := ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1); status != 500 {
		t.Errorf("a panic: %d", status)
	}
}

func TestEventTellsWhatHappenedAndNothingPersonal(t *testing.T) {
	var log strings.Builder
	timeless := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" { // digits by chance
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: timeless}))
	api := New(&fake{}, Options{Keys: testKeys, Logger: logger})
	ask(t, api, "POST", "/v1/transfers", tellerKey, onePayment, "Idempotency-Key", uuid1)
	for _, want := range []string{`"operation":"transfer"`, `"status":201`, `"id":"` + uuid1, `"code":"ok"`, `"shard":1`, `"index":123`, `"key":"test-teller"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in %s", want, log.String())
		}
	}
	for _, hidden := range []string{"2088", tellerKey, "1250"} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("%s is in %s", hidden, log.String())
		}
	}
}

func TestReadsThatCannotBeAnswered(t *testing.T) {
	for err, want := range map[error]int{
		shard.ErrNoQuorum: 503, shard.ErrOutOfService: 503, shard.ErrStopping: 503, context.DeadlineExceeded: 503, errors.New("disk"): 500, nil: 404,
		shard.NotFinalError{At: 2, Until: 1}: 409, shard.ErrYetToCome: 409,
	} {
		api := newTestAPI(&fake{read: err})
		for _, path := range []string{
			"/v1/accounts/" + wallet, "/v1/accounts/" + wallet + "/statement", "/v1/accounts/" + wallet + "/holds",
			"/v1/transfers/" + uuid1, "/v1/transactions/" + uuid1, "/v1/holds/" + uuid1, "/v1/records/a%2Fb",
		} {
			status, h, body := ask(t, api, "GET", path, readerKey, "")
			if p := problemIn(t, h, body); status != want || p.Status != want {
				t.Errorf("%v: %s: %d %s, want %d", err, path, status, body, want)
			}
		}
	}
}

// TestAnIdIsLookedForInEveryShardThatCanBeRead: while this site's replica of one of them is out of service, what is not in the others may be
// in that one.
func TestAnIdIsLookedForInEveryShardThatCanBeRead(t *testing.T) {
	a := &api{site: partly{&fake{}}}
	for _, row := range []struct {
		at   holdfast.ShardID // where it is; 0: nowhere
		want int
	}{{3, 0}, {2, http.StatusServiceUnavailable}, {0, http.StatusServiceUnavailable}} {
		x := &exchange{}
		err := a.lookIn(t.Context(), x, []holdfast.ShardID{1, 2, 3}, shard.Stale, func(*shard.View) (bool, error) { return x.shard == row.at, nil })
		var p *Problem
		if errors.As(err, &p); row.want == 0 && err != nil || row.want != 0 && (p == nil || p.Status != row.want) {
			t.Errorf("in shard %d: %v", row.at, err)
		}
	}
}

// partly is a site whose replica of shard 2 is out of service.
type partly struct{ *fake }

func (partly) Read(_ context.Context, id holdfast.ShardID, _ shard.ReadMode, fn func(*shard.View) error) error {
	if id == 2 {
		return shard.ErrOutOfService
	}
	return fn(nil)
}

func TestParametersAreReadStrictly(t *testing.T) {
	api := newTestAPI(&fake{})
	for path, field := range map[string]string{
		"/v1/accounts/nonsense":                               "id",
		"/v1/accounts/" + wallet + "?att=1":                   "att",
		"/v1/accounts/" + wallet + "?at=yesterday":            "at",
		"/v1/accounts/" + wallet + "?at=1&at=2":               "at",
		"/v1/accounts/" + wallet + "?at=1970-01-01T00:00:00Z": "at",
		"/v1/accounts/" + wallet + "?consistency=maybe":       "consistency",
		"/v1/accounts/" + wallet + "/statement?limit=0":       "limit",
		"/v1/accounts/" + wallet + "/statement?limit=1001":    "limit",
		"/v1/accounts/" + wallet + "/statement?cursor=zzz":    "cursor",
		"/v1/transfers":                                 "ref",
		"/v1/transfers?ref=17":                          "ref",
		"/v1/transfers/17":                              "id",
		"/v1/holds/" + uuid1 + "?x=%zz":                 "query",
		"/v1/records":                                   "index",
		"/v1/records?index=a&limit=-1":                  "limit",
		"/v1/records?prefix=k/":                         "prefix",
		"/v1/records?prefix=o/2088000000010421/":        "prefix",
		"/v1/records?prefix=o/&index=a":                 "prefix",
		"/v1/records/o%2F17%2Fx":                        "key",
		"/v1/messages":                                  "shard",
		"/v1/messages?shard=2":                          "shard",
		"/v1/messages?shard=x":                          "shard",
		"/v1/messages?shard=1&after=-1":                 "after",
		"/v1/messages?shard=1&limit=1001":               "limit",
		"/v1/records?index=" + strings.Repeat("x", 201): "index",
		"/v1/sites?x=1":                                 "x",
		"/v1/shards?consistency=stale":                  "consistency",
		"/v1/audit?nonsense=2":                          "nonsense",
		"/v1/survival?x":                                "x",
	} {
		status, h, body := ask(t, api, "GET", path, readerKey, "")
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s, want the field %q", path, status, body, field)
		}
	}
}

func TestHandOver(t *testing.T) {
	f := &fake{handOver: errors.New("site 2 has no voting replica")}
	api := newTestAPI(f)
	status, h, body := ask(t, api, "POST", "/v1/shards/1/leader", operatorKey, `{"site":2}`)
	if p := problemIn(t, h, body); status != 409 || p.Code != "not-now" || !strings.Contains(p.Detail, "site 2 has no voting replica") {
		t.Errorf("%d %s", status, body)
	}
	for _, unknown := range []error{site.ErrUnknown, shard.ErrLost, context.DeadlineExceeded} {
		f.handOver = fmt.Errorf("handing shard 1 over: %w", unknown)
		status, h, body := ask(t, api, "POST", "/v1/shards/1/leader", operatorKey, `{"site":2}`)
		if p := problemIn(t, h, body); status != 504 || p.Code != "outcome-unknown" || p.Outcome != "unknown" || !strings.Contains(p.Detail, "handing shard 1 over") {
			t.Errorf("%v: %d %s", unknown, status, body)
		}
	}
	f.handOver = nil
	if status, _, body := ask(t, api, "POST", "/v1/shards/1/leader", operatorKey, `{"site":2}`); status != 200 || strings.TrimSpace(body) != `{"shard":1,"leader":2}` {
		t.Errorf("%d %s", status, body)
	}
	for text, field := range map[string]string{`{}`: "site", `{"site":"2"}`: "site", `{"site":0}`: "site", `{"sites":2}`: "sites"} {
		status, h, body := ask(t, api, "POST", "/v1/shards/1/leader", operatorKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s", text, status, body)
		}
	}
}

func TestRebuild(t *testing.T) {
	f := &fake{rebuild: fmt.Errorf("shard 1: %w: site 3 does not answer", shard.ErrNotSafe)}
	api := newTestAPI(f)
	status, h, body := ask(t, api, "POST", "/v1/shards/1/rebuild", operatorKey, `{}`)
	if p := problemIn(t, h, body); status != 409 || p.Code != "not-now" || !strings.Contains(p.Detail, "site 3 does not answer") || f.forced {
		t.Errorf("%d %s, forced %t", status, body, f.forced)
	}
	f.rebuild = nil
	if status, _, body := ask(t, api, "POST", "/v1/shards/1/rebuild", operatorKey, `{"force":true}`); status != 200 || !f.forced {
		t.Errorf("with force: %d %s, forced %t", status, body, f.forced)
	}
	for text, field := range map[string]string{`{"force":"yes"}`: "force", `{"force":1}`: "force", `{"now":true}`: "now"} {
		status, h, body := ask(t, api, "POST", "/v1/shards/1/rebuild", operatorKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s", text, status, body)
		}
	}
	if status, _, _ := ask(t, api, "POST", "/v1/shards/1/rebuild", tellerKey, `{}`); status != 403 {
		t.Errorf("a teller: %d", status)
	}
}

func TestTrust(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	if status, _, body := ask(t, api, "POST", "/v1/shards/3/trust", operatorKey, `{}`); status != 200 || f.trusted != 3 {
		t.Errorf("%d %s, trusted %d", status, body, f.trusted)
	}
	if status, _, body := ask(t, api, "POST", "/v1/shards/3/trust", operatorKey, `{"force":true}`); status != 400 {
		t.Errorf("a member that there is not: %d %s", status, body)
	}
	f.trusted = 0
	if status, _, _ := ask(t, api, "POST", "/v1/shards/3/trust", tellerKey, `{}`); status != 403 || f.trusted != 0 {
		t.Errorf("a teller: %d", status)
	}
}

func TestNotReady(t *testing.T) {
	status, h, body := ask(t, newTestAPI(&fake{ready: errors.New("no majority")}), "GET", "/readyz", "", "")
	if p := problemIn(t, h, body); status != 503 || p.Code != "not-ready" || !strings.Contains(p.Detail, "no majority") {
		t.Errorf("%d %s", status, body)
	}
}

func TestDocument(t *testing.T) {
	_, h, body := ask(t, newTestAPI(&fake{}), "GET", "/openapi.json", "", "")
	var doc struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || h.Get("Content-Type") != "application/openapi+json" {
		t.Errorf("version %s, type %s", doc.OpenAPI, h.Get("Content-Type"))
	}
	operations := 0
	for _, item := range doc.Paths {
		operations += len(item)
	}
	if operations != 180 {
		t.Errorf("%d operations are documented", operations)
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("the schema %s is referred to and not there", ref[1])
		}
	}
	if strings.Contains(body, "ErrorModel") {
		t.Error("huma's own error is documented: nothing sends it")
	}
	for _, status := range []string{"200", "201", "default"} {
		if r := doc.Paths["/v1/transfers"]["post"]["responses"].(map[string]any)[status]; r == nil || r.(map[string]any)["content"] == nil {
			t.Errorf("POST /v1/transfers has no %s", status)
		}
	}
}

func TestDocsWorkOffline(t *testing.T) {
	_, h, body := ask(t, newTestAPI(&fake{}), "GET", "/docs", "", "")
	if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(body) || strings.Contains(body, "<script") || strings.Contains(body, "@import") {
		t.Error("the page wants something from elsewhere")
	}
	for _, code := range holdfast.Codes() {
		if !strings.Contains(body, `id="`+code.String()+`"`) {
			t.Errorf("%s is not explained", code)
		}
	}
	_, _, text := ask(t, newTestAPI(&fake{}), "GET", "/openapi.json", "", "")
	operations := regexp.MustCompile(`"operationId":"([^".]+)"`).FindAllStringSubmatch(text, -1)
	for _, m := range operations {
		if !strings.Contains(body, `id="op-`+m[1]+`"`) {
			t.Errorf("the operation %s is not on the page", m[1])
		}
	}
	if len(operations) < 100 {
		t.Errorf("%d operations were looked for", len(operations))
	}
	for _, want := range []string{"/v1/accounts/{id}/statement", "timeout_s", "Idempotency-Key", "Role: operator or higher."} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// TestAnswersAreSignedForWhoAsks, and for nobody else: a signature costs as much as a payment.
func TestAnswersAreSignedForWhoAsks(t *testing.T) {
	now := time.Now()
	ca, err := link.NewCA("test", now, 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.NewSiteCert(3, now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := link.NewCredentials(ca.Pair().Cert, pair, now)
	if err != nil {
		t.Fatal(err)
	}
	api := New(&fake{}, Options{Keys: testKeys, Signer: func() proof.Signer { return credentials }})
	get := func(target, ask string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+readerKey)
		if ask != "" {
			r.Header.Set(proof.HeaderAsk, ask)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w
	}
	w := get("/v1/records?index=%20y", proof.Ask)
	a, err := proof.Hear(http.MethodGet, "/v1/records?index=%20y", w.Code, w.Header(), w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if who, err := a.Verify(ca.Pair().Cert); err != nil || who.Site != 3 || w.Header().Get(proof.HeaderDigest) == "" {
		t.Errorf("%+v, %v", who, err)
	}
	if w := get("/v1/sites", ""); w.Header().Get(proof.HeaderSignature) != "" {
		t.Error("an answer was signed for nobody")
	}
}

// TestCursorsOfEveryPageAreRead: one transaction may change an account by each of its lists.
func TestCursorsOfEveryPageAreRead(t *testing.T) {
	for skip, ok := range map[uint32]bool{0: true, holdfast.MaxLegs + 1500: true, 2 * holdfast.MaxLegs: true, 2*holdfast.MaxLegs + 1: false} {
		want := shard.Cursor{Time: 7, Skip: skip}
		if got, err := readCursor(cursorText(want)); (err == nil) != ok || ok && got != want {
			t.Errorf("%+v, %v; want %+v, %t", got, err, want, ok)
		}
	}
}

func TestMarksOfEveryShardAreRead(t *testing.T) {
	var all []mark
	for id := range holdfast.ShardID(site.MaxShards) {
		all = append(all, mark{id + 1, ledger.Place{Position: holdfast.Position{Index: uint64(id) << 40, Ord: uint32(id)}, Leg: holdfast.Leg(id + 1)}})
	}
	for n := range len(all) + 1 {
		got, err := readMarks(marksText(all[:n]))
		if err != nil || !slices.Equal(got, all[:n]) {
			t.Fatalf("%d marks: %v, %v", n, got, err)
		}
	}
	for _, bad := range [][]mark{{all[1], all[0]}, {all[0], all[0]}, {{0, newestPlace}}, {{1, ledger.Place{}}}, append(all[:256:256], mark{300, newestPlace})} {
		if got, err := readMarks(marksText(bad)); err == nil {
			t.Errorf("%v was read as %v", bad, got)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(cursorText(shard.Cursor{Time: 7, Skip: 3}))
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := readCursor(text); err == nil && cursorText(c) != text && text != "" && c != (shard.Cursor{}) {
			t.Errorf("%q was read as %+v, which is %q", text, c, cursorText(c))
		}
	})
}

func TestBalancesOfTheFutureAreNotKnown(t *testing.T) {
	for text, ok := range map[string]bool{
		"2015-05-27T09:00:00Z": true, "2100-01-01T00:00:00Z": false, "1969-12-31T23:59:59Z": false, "noon": false,
		"1970-01-01T00:00:00.000000001Z": true, "1970-01-01T00:00:00Z": false, // the time 0 stands for none
		"1970-01-01T00:59:59+01:00": false, "1969-12-31T23:59:59-01:00": true, "0001-01-01T00:00:00Z": false,
	} {
		q := query{"at": {text}}
		if _, given, err := q.at(); !given || (err == nil) != ok {
			t.Errorf("%s: %v; want good: %t", text, err, ok)
		}
	}
	for _, text := range []string{"2262-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		if _, _, err := (query{"at": {text}}).at(); err == nil || !strings.Contains(err.Error(), "yet to come") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAcknowledgingIsReadStrictly(t *testing.T) {
	api := newTestAPI(&fake{})
	for body, field := range map[string]string{
		`{"seqs":[1]}`: "shard", `{"shard":2,"seqs":[1]}`: "shard", `{"shard":1}`: "seqs", `{"shard":1,"seqs":[]}`: "seqs",
		`{"shard":1,"seqs":[1,1]}`: "seqs", `{"shard":1,"seqs":[0]}`: "seqs[0]", `{"shard":1,"seqs":["1"]}`: "seqs[0]", `{"shard":1,"seq":1}`: "seq",
	} {
		status, h, text := ask(t, api, "POST", "/v1/messages/acknowledge", tellerKey, body)
		if p := problemIn(t, h, text); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s, want the field %s", body, status, text, field)
		}
	}
	for key, want := range map[string]int{readerKey: 403, tellerKey: 201} {
		if status, _, text := ask(t, api, "POST", "/v1/messages/acknowledge", key, `{"shard":1,"seqs":[3,1]}`); status != want {
			t.Errorf("%d %s, want %d", status, text, want)
		}
	}
	api = newTestAPI(&fake{read: fmt.Errorf("message 9: %w", site.ErrNoMessage)})
	status, h, text := ask(t, api, "POST", "/v1/messages/acknowledge", tellerKey, `{"shard":1,"seqs":[9]}`)
	if p := problemIn(t, h, text); status != 404 || p.Field != "seqs" {
		t.Errorf("a number that no message has: %d %s", status, text)
	}
}

// FuzzRequest sends any path, parameters, headers and body to the whole API: whatever comes in is answered in full, and what is
// refused is refused in the form that callers rely on. Nothing sent by a caller is an error of the server.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{
		"/v1/accounts/" + wallet, "/v1/accounts/" + wallet + "/statement", "/v1/transfers", "/v1/transactions", "/v1/holds", "/v1/holds/" + uuid1 + "/post",
		"/v1/records", "/v1/records/a%2Fb", "/v1/owners", "/v1/messages", "/v1/messages/acknowledge", "/v1/shards/1/leader", "/v1/shards/1/home", "/v1/sites", "/v1/sites/plan", "/v1/survival", "/readyz", "/metrics",
		"/v1/customers", "/v1/customers/" + must(ownerOf(2)).String() + "/statement", "/v1/payouts", "/v1/trades/" + must(ownerOf(1)).String() + "/T/pay",
	} {
		f.Add(byte(0), path, "at=2015-05-27T09:00:00Z", uuid1, "250ms", "{}")
		f.Add(byte(1), path, "consistency=stale&limit=1000", "", "0s", `{"transfers":[{"amount":1}]}`)
		f.Add(byte(2), path, "x=%zz", "\x00", "-1", "[")
	}
	methods := []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"}
	f.Fuzz(func(t *testing.T, method byte, path, query, id, deadline, body string) {
		target, err := url.Parse(path)
		if err != nil || target.Host != "" || !strings.HasPrefix(target.Path, "/") {
			t.Skip("no server would hand that on")
		}
		target.RawQuery = query
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", strings.NewReader(body))
		r.Method, r.URL = methods[int(method)%len(methods)], target
		r.Header = http.Header{"Authorization": {"Bearer " + operatorKey}, idempotencyHeader: {id}, deadlineHeader: {deadline}}
		w := httptest.NewRecorder()
		newTestAPI(&fake{}).ServeHTTP(w, r)
		switch kind := w.Header().Get("Content-Type"); {
		case w.Code == http.StatusInternalServerError:
			t.Errorf("%s %s: %d %s", r.Method, target, w.Code, w.Body)
		case kind == "application/problem+json":
			if p := problemIn(t, w.Header(), w.Body.String()); p.Status != w.Code || p.Title == "" || p.Type == "" {
				t.Errorf("%s %s: %d, %+v", r.Method, target, w.Code, p)
			}
		case w.Code >= http.StatusBadRequest:
			t.Errorf("%s %s: %d as %q: no problem document", r.Method, target, w.Code, kind)
		case strings.HasPrefix(kind, "application/json") && !json.Valid(w.Body.Bytes()):
			t.Errorf("%s %s: %s is no JSON", r.Method, target, w.Body)
		}
	})
}
