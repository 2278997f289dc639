package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// crossingBank is a bank of two shards, with a shop in the other one.
func crossingBank(t *testing.T) (b *bank, far holdfast.AccountID) {
	b = newBank(t, 2)
	far = account(must(holdfast.NewOwner(9, 900)), "wallet")
	b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: far, Limit: holdfast.LimitDebits}))
	return b, far
}

// settle waits until nothing of alice is under way.
func (b *bank) settle() {
	b.Helper()
	b.settleTo(0)
}

// TestACrossingIsShownAsOnePayment: whoever asks sees payer, payee and the id of the caller, in both shards, by every way.
func TestACrossingIsShownAsOnePayment(t *testing.T) {
	t.Parallel()
	b, far := crossingBank(t)
	pay := b.transfer(b.alice, far, 1250)
	pay.Ref, pay.Code = holdfast.Ref{7}, 42
	out := b.done(b.Pay(t.Context(), pay))
	check := func(how string, m client.Movement, txn holdfast.ID) {
		t.Helper()
		if m.Debit != b.alice || m.Credit != far || m.Amount != 1250 || m.Txn != txn {
			t.Errorf("%s: %+v", how, m)
		}
	}
	found, err := b.Txn(t.Context(), pay.ID)
	if err != nil || found.Outcome.Status != holdfast.Done || found.Outcome.Position != out.Position || len(found.Transfers) != 1 {
		t.Fatalf("the transaction: %+v, %v", found, err)
	}
	if x := found.Transfers[0]; x.Debit != b.alice || x.Credit != far || x.Kind != holdfast.Immediate || x.Ref != pay.Ref {
		t.Errorf("the transaction's transfer: %+v", x)
	}
	one, err := b.Transfer(t.Context(), pay.ID)
	if err != nil || one.ID != pay.ID || one.Kind != holdfast.Immediate {
		t.Errorf("by id: %+v, %v", one, err)
	}
	check("by id", one, pay.ID)
	list, err := b.TransfersByRef(t.Context(), pay.Ref)
	if err != nil || len(list) != 1 {
		t.Fatalf("by reference: %+v, %v", list, err)
	}
	check("by reference", list[0], pay.ID)
	b.settle()
	page, err := b.StatementPage(t.Context(), far, "", 10)
	if err != nil || len(page.Lines) != 2 {
		t.Fatalf("statement of the payee: %+v, %v", page, err)
	}
	check("statement of the payee", page.Lines[0].Movement, pay.ID)
	page, err = b.StatementPage(t.Context(), b.alice, "", 10)
	if err != nil || len(page.Lines) < 2 {
		t.Fatalf("statement of the payer: %+v, %v", page, err)
	}
	if end := page.Lines[0]; end.Kind != holdfast.Post || end.Hold != pay.ID || end.DebitsPosted != 1250 || end.DebitsPending != 0 {
		t.Errorf("the end at the payer: %+v", end)
	}
	check("the end at the payer", page.Lines[0].Movement, page.Lines[0].Txn)
	check("the begin at the payer", page.Lines[1].Movement, pay.ID)
}

func TestARefusedCrossingIsNoTransfer(t *testing.T) {
	t.Parallel()
	b, far := crossingBank(t)
	nobody := account(must(holdfast.NewOwner(9, 950)), "wallet")
	pay := b.transfer(b.alice, nobody, 5)
	b.refused(holdfast.CodeCreditMissing)(b.Pay(t.Context(), pay))
	found, err := b.Txn(t.Context(), pay.ID)
	if err != nil || found.Outcome.Status != holdfast.Refused || found.Outcome.Code != holdfast.CodeCreditMissing || found.Transfers[0].Credit != nobody {
		t.Errorf("%+v, %v", found, err)
	}
	if m, err := b.Transfer(t.Context(), pay.ID); !client.IsNotFound(err) {
		t.Errorf("a transfer that moved nothing is shown: %+v, %v", m, err)
	}
	b.settle()
	if a, err := b.Account(t.Context(), b.alice); err != nil || a.Available() != 10000 {
		t.Errorf("alice has %+v, %v", a, err)
	}
	b.done(b.Pay(t.Context(), b.transfer(b.alice, far, 5)))
}

func TestAHoldThatCrossesIsShownAsItsCallerMadeIt(t *testing.T) {
	t.Parallel()
	b, far := crossingBank(t)
	hold := b.transfer(b.alice, far, 3000)
	hold.Timeout = time.Hour
	b.done(b.Hold(t.Context(), hold))
	h, err := b.HoldByID(t.Context(), client.HoldName{ID: hold.ID})
	if err != nil || h.ID != hold.ID || h.Debit != b.alice || h.Credit != far || h.Amount != 3000 {
		t.Errorf("%+v, %v", h, err)
	}
	list, err := b.Holds(t.Context(), b.alice)
	if err != nil || len(list) != 1 || list[0].ID != hold.ID || list[0].Credit != far {
		t.Errorf("holds of alice: %+v, %v", list, err)
	}
	id := b.NewID()
	b.done(b.Post(t.Context(), id, client.HoldName{ID: hold.ID}, 2000))
	b.holdIs(hold, "posted") // whether its payment is settled at home or not
	given := b.transfer(b.alice, far, 10)
	given.Timeout = time.Hour
	b.done(b.Hold(t.Context(), given))
	b.holdIs(given, "open")
	b.done(b.Void(t.Context(), b.NewID(), client.HoldOf(given)))
	b.holdIs(given, "voided")
	m, err := b.Transfer(t.Context(), id)
	if err != nil || m.Debit != b.alice || m.Credit != far || m.Amount != 2000 || m.Hold != hold.ID {
		t.Errorf("the post: %+v, %v", m, err)
	}
	b.settle()
	b.holdIs(hold, "posted")
	b.holdIs(given, "voided")
	if a, err := b.Account(t.Context(), b.alice); err != nil || a.Available() != 8000 {
		t.Errorf("alice has %+v, %v", a, err)
	}
	audit, err := b.Audit(t.Context())
	if err != nil || !audit.OK {
		t.Errorf("%+v, %v", audit, err)
	}
}

// said is an answer as it came: an outcome, a problem document, or something that was read.
type said struct {
	HTTP    int
	Code    string
	Field   string
	Shard   holdfast.ShardID
	Index   uint64
	Debit   string
	Credit  string
	Amount  int64
	State   string
	Outcome answered
}

// answered is an outcome in an answer that has more, or only the word of a problem document.
type answered struct {
	Status string
	Code   string
	Shard  holdfast.ShardID
}

func (o *answered) UnmarshalJSON(b []byte) error {
	type plain answered
	if b[0] == '"' {
		return json.Unmarshal(b, &o.Status)
	}
	return json.Unmarshal(b, (*plain)(o))
}

// shard is that of the answer, or of the outcome in it.
func (a *said) shard() holdfast.ShardID { return max(a.Shard, a.Outcome.Shard) }

// ask sends a request as a caller without the Go client does.
func (b *bank) ask(path, key, body string) (a said) {
	b.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(b.T.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+operatorKey)
	if key != "" {
		r.Header.Set(idempotencyHeader, key)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		b.Fatalf("%s: %v", text, err)
	}
	a.HTTP = answer.StatusCode
	return a
}

// TestAnOutcomeNamesTheShardThatDecided, whatever the transaction says of its accounts.
func TestAnOutcomeNamesTheShardThatDecided(t *testing.T) {
	t.Parallel()
	b, far := crossingBank(t)
	b.done(b.Pay(t.Context(), b.transfer(b.cash, far, 1000)))
	b.settle()
	hold := func(from holdfast.AccountID) string {
		h := b.transfer(from, b.shop, 100)
		b.done(b.Hold(t.Context(), h))
		return "/v1/holds/" + h.ID.String()
	}
	ours, theirs := hold(b.alice), hold(far)
	for _, c := range []struct {
		path, body string
		status     int
		shard      holdfast.ShardID
	}{
		{ours + "/post", `{"debit":"` + far.String() + `"}`, 422, 1}, // which is wrong: hold-mismatch
		{ours + "/post", `{"amount":101}`, 422, 1},
		{ours + "/post", `{}`, 201, 1},
		{theirs + "/post", `{"amount":101}`, 422, 2},
		{theirs + "/void", `{}`, 201, 2},
		{theirs + "/void", `{"debit":"` + far.String() + `"}`, 409, 2},
		{"/v1/transfers", `{"debit":"` + far.String() + `","credit":"` + b.shop.String() + `","amount":5}`, 201, 2},
		{"/v1/transfers", `{"debit":"` + b.alice.String() + `","credit":"` + nobodyFar.String() + `","amount":5}`, 422, 1},
		{"/v1/accounts/" + far.String() + "/freeze", `{}`, 201, 2},
	} {
		a := b.ask(c.path, b.NewID().String(), c.body)
		if a.HTTP != c.status || a.Shard != c.shard || a.Index == 0 {
			t.Errorf("%s %s: %+v, want %d and shard %d", c.path, c.body, a, c.status, c.shard)
		}
	}
	id := b.NewID()
	message := `{"id":"` + id.String() + `","messages":[{"to":1,"topic":"a"}]}`
	if a := b.ask("/v1/transactions", id.String(), message); a.HTTP != 201 || a.Shard == 0 {
		t.Errorf("a transaction that is only a message: %+v, want the shard where it is to be read", a)
	}
}

// nobodyFar is an account of the second shard that is not open.
var nobodyFar = account(must(holdfast.NewOwner(9, 950)), "wallet")
