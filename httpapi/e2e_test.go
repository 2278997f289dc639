package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast"
	"holdfast/client"
	"holdfast/site"
)

// Everything that the client can write is read by the API as it was meant.
func TestClientAndScannerAgree(t *testing.T) {
	sub, err := readSubmission(whole)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	server := httptest.NewServer(asDocumented(t, newTestAPI(f)))
	defer server.Close()
	c := newClient(t, server.URL, operatorKey)
	if o, err := c.Submit(t.Context(), sub.txns[0]); err != nil || o.Time != decidedAt {
		t.Fatalf("%+v %v", o, err)
	}
	if diff := cmp.Diff(sub.txns, f.txns, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	twin := sub.txns[0]
	twin.ID = c.NewID()
	outcomes, err := c.SubmitMany(t.Context(), []holdfast.Txn{sub.txns[0], twin})
	if err != nil || len(outcomes) != 2 || outcomes[1].ID != twin.ID || !f.bulk {
		t.Fatalf("%+v %v", outcomes, err)
	}
	if diff := cmp.Diff([]holdfast.Txn{sub.txns[0], twin}, f.txns, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func newClient(t *testing.T, url, key string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Sites: []string{url}, Key: key, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// nobody is an account that is not open.
var nobody = account(must(holdfast.NewOwner(4, 0)), "wallet")

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newRealSite is one embedded site behind the API.
func newRealSite(t *testing.T, shards int) (url string) {
	cfg := site.Embedded(t.TempDir(), "127.0.0.1:0")
	cfg.Shards, cfg.Timing.Request = shards, site.Duration(site.MaxRequest) // however slow the disk is
	s, err := site.Open(cfg, site.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(asDocumented(t, New(s, Options{Keys: testKeys, Registry: s.Registry(), Version: "test"})))
	server.Config = NewServer(server.Config.Handler, nil)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

func account(owner holdfast.Owner, purpose string) holdfast.AccountID {
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose(purpose), Asset: holdfast.MustAsset("CNY")}
}

// bank is three accounts on a real site: the bank's, and two wallets.
type bank struct {
	*testing.T
	*client.Client
	url               string
	cash, alice, shop holdfast.AccountID
}

func newBank(t *testing.T, shards int) *bank {
	url := newRealSite(t, shards)
	b := &bank{T: t, Client: newClient(t, url, operatorKey), url: url}
	b.cash, b.alice, b.shop = account(2088000000010000, "bank"), account(2088000000020108, "wallet"), account(2088000000030206, "wallet")
	for id, limit := range map[holdfast.AccountID]holdfast.Limit{b.cash: holdfast.LimitNone, b.alice: holdfast.LimitDebits, b.shop: holdfast.LimitDebits} {
		b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: id, Limit: limit, Code: 7}))
	}
	b.done(b.Pay(t.Context(), b.transfer(b.cash, b.alice, 10000)))
	return b
}

func (b *bank) transfer(debit, credit holdfast.AccountID, amount holdfast.Amount) holdfast.Transfer {
	return holdfast.Transfer{ID: b.NewID(), Kind: holdfast.Immediate, Debit: debit, Credit: credit, Amount: amount}
}

func (b *bank) done(o holdfast.Outcome, err error) holdfast.Outcome {
	b.Helper()
	if err != nil || o.Status != holdfast.Done {
		b.Fatalf("%+v %v", o, err)
	}
	return o
}

func (b *bank) refused(code holdfast.Code) func(o holdfast.Outcome, err error) {
	b.Helper()
	return func(o holdfast.Outcome, err error) {
		b.Helper()
		if err != nil || o.Status != holdfast.Refused || o.Code != code {
			b.Errorf("%+v %v, want %s", o, err, code)
		}
	}
}

func (b *bank) holds(id holdfast.AccountID, balance, available holdfast.Amount) {
	b.Helper()
	a, err := b.Account(b.Context(), id)
	if err != nil || a.Balance() != balance || a.Available() != available {
		b.Errorf("%s has %d, available %d, %v; want %d, %d", id, a.Balance(), a.Available(), err, balance, available)
	}
}

func TestPaymentsOnARealSite(t *testing.T) {
	b := newBank(t, 1)
	pay := b.transfer(b.alice, b.shop, 1250)
	pay.Ref, pay.Code = holdfast.Ref(b.NewID()), 42
	first := b.done(b.Pay(t.Context(), pay))
	again := b.done(b.Pay(t.Context(), pay))
	if again.Replay = false; again != first || first.Index == 0 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	other := pay
	other.Amount++
	o, err := b.Pay(t.Context(), other)
	if b.refused(holdfast.CodeIDTaken)(o, err); o.Field != "amount" {
		t.Errorf("field %q", o.Field)
	}
	b.refused(holdfast.CodeExceedsCredits)(b.Pay(t.Context(), b.transfer(b.alice, b.shop, 8751)))
	b.refused(holdfast.CodeCreditMissing)(b.Pay(t.Context(), b.transfer(b.alice, nobody, 1)))
	b.holds(b.alice, 8750, 8750)

	m, err := b.Transfer(t.Context(), pay.ID)
	if err != nil || m.Txn != pay.ID || m.Leg != 0 || m.Index != first.Index || m.Shard != 1 || m.Time != first.Time.Std() {
		t.Errorf("%+v %v", m, err)
	}
	if diff := cmp.Diff(pay, m.Transfer); diff != "" {
		t.Error(diff)
	}
	txn, err := b.Txn(t.Context(), pay.ID)
	if err != nil || txn.Outcome.Time != first.Time || len(txn.Transfers) != 1 || txn.Transfers[0].Amount != 1250 {
		t.Errorf("%+v %v", txn, err)
	}
	list, err := b.TransfersByRef(t.Context(), pay.Ref)
	if err != nil || len(list) != 1 || list[0].ID != pay.ID {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := b.Txn(t.Context(), b.NewID()); !client.IsNotFound(err) {
		t.Errorf("a transaction that never was: %v", err)
	}
	past, err := b.BalanceAt(t.Context(), b.alice, (first.Time - 1).Std())
	if err != nil || past.Balance() != 10000 {
		t.Errorf("%+v %v", past, err)
	}
	if _, err := b.BalanceAt(t.Context(), b.alice, time.Unix(1e9, 0)); !client.IsNotFound(err) || !strings.Contains(err.Error(), "was opened at") {
		t.Errorf("before it was opened: %v", err)
	}
}

// TestThePastDoesNotChange asks for moments that have just been, while others pay, and asks for them again when all is over.
func TestThePastDoesNotChange(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		b := newBank(t, shards)
		var payers sync.WaitGroup
		var over atomic.Bool
		for range 8 {
			payers.Go(func() {
				for !over.Load() {
					if o, err := b.Pay(b.Context(), b.transfer(b.cash, b.shop, 1)); err != nil || o.Status != holdfast.Done {
						b.Errorf("%+v %v", o, err)
						return
					}
				}
			})
		}
		type answer struct {
			at      time.Time
			balance holdfast.Amount
		}
		var answers []answer
		for range 300 {
			at := time.Now()
			a, err := b.BalanceAt(t.Context(), b.shop, at)
			if err != nil {
				t.Error(err)
				break
			}
			answers = append(answers, answer{at, a.Balance()})
		}
		over.Store(true)
		payers.Wait()
		changed := 0
		for _, first := range answers {
			if again, err := b.BalanceAt(t.Context(), b.shop, first.at); err != nil || again.Balance() != first.balance {
				changed++
			}
		}
		if changed > 0 {
			t.Errorf("%d shards: %d of %d answers about a past moment changed afterwards", shards, changed, len(answers))
		}
		if last := answers[len(answers)-1]; last.balance == 0 {
			t.Error("nobody has paid: the test tests nothing")
		}
	}
}

func TestHoldsOnARealSite(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		b := newBank(t, shards)
		hold := b.transfer(b.alice, b.shop, 3000)
		hold.Timeout = time.Hour
		b.done(b.Hold(t.Context(), hold))
		b.holds(b.alice, 10000, 7000)
		h, err := b.HoldByID(t.Context(), client.HoldOf(hold))
		if err != nil || h.State != "open" || h.Amount != 3000 || h.Debit != b.alice || h.Expires.Sub(h.Opened) != time.Hour {
			t.Errorf("%+v %v", h, err)
		}
		if list, err := b.Holds(t.Context(), b.alice); err != nil || len(list) != 1 || list[0] != h {
			t.Errorf("%+v %v", list, err)
		}
		b.refused(holdfast.CodeHoldExceeded)(b.Post(t.Context(), holdfast.ID{}, client.HoldOf(hold), 3001))
		b.done(b.Post(t.Context(), holdfast.ID{}, client.HoldOf(hold), 2000))
		b.holds(b.alice, 8000, 8000)
		b.refused(holdfast.CodeHoldPosted)(b.Void(t.Context(), holdfast.ID{}, client.HoldOf(hold)))
		if h, err = b.HoldByID(t.Context(), client.HoldOf(hold)); err != nil || h.State != "posted" || !h.Expires.IsZero() {
			t.Errorf("%+v %v", h, err)
		}
		second := b.transfer(b.alice, b.shop, 500)
		b.done(b.Hold(t.Context(), second))
		b.done(b.Void(t.Context(), holdfast.ID{}, client.HoldOf(second)))
		b.holds(b.alice, 8000, 8000)
		third := b.transfer(b.alice, b.shop, 700)
		b.done(b.Hold(t.Context(), third))
		post := b.done(b.Post(t.Context(), holdfast.ID{}, client.HoldOf(third), 0))
		m, err := b.Transfer(t.Context(), post.ID)
		if err != nil || m.Kind != holdfast.Post || m.Hold != third.ID || m.Debit != b.alice || m.Credit != b.shop || m.Amount != 700 {
			t.Errorf("%+v %v", m, err)
		}
	}
}

func TestStatementOnARealSite(t *testing.T) {
	b := newBank(t, 1)
	var txns []holdfast.Txn
	for range 25 {
		txns = append(txns, holdfast.Txn{ID: b.NewID(), Transfers: []holdfast.Transfer{
			{ID: b.NewID(), Kind: holdfast.Immediate, Debit: b.alice, Credit: b.shop, Amount: 10},
			{ID: b.NewID(), Kind: holdfast.Immediate, Debit: b.shop, Credit: b.alice, Amount: 3},
		}})
	}
	outcomes, err := b.SubmitMany(t.Context(), txns)
	if err != nil {
		t.Fatal(err)
	}
	var lines []client.Line
	pages := 0
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := b.StatementPage(t.Context(), b.alice, cursor, 7)
		if err != nil || len(page.Lines) > 7 {
			t.Fatalf("%d lines %v", len(page.Lines), err)
		}
		lines, cursor = append(lines, page.Lines...), page.Next
		pages++
	}
	if len(lines) != 52 || pages != 8 { // opened, funded, 25 times two legs
		t.Fatalf("%d lines on %d pages", len(lines), pages)
	}
	newest := lines[0]
	if newest.Txn != txns[24].ID || newest.Leg != 1 || newest.ID != txns[24].Transfers[1].ID || newest.Index != outcomes[24].Index || newest.Balance() != 10000-25*7 {
		t.Errorf("%+v", newest)
	}
	if opened := lines[51]; opened.Leg != holdfast.NoLeg || opened.Kind != 0 || opened.Balance() != 0 {
		t.Errorf("%+v", opened)
	}
	var all []client.Line
	for l, err := range b.Statement(t.Context(), b.alice) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if !reflect.DeepEqual(all, lines) {
		t.Error("one page after another is not the same as all at once")
	}
	if _, err := b.StatementPage(t.Context(), nobody, "", 10); !client.IsNotFound(err) {
		t.Errorf("an account that is not there: %v", err)
	}
}

func TestAccountsOnARealSite(t *testing.T) {
	b := newBank(t, 1)
	b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: b.alice, Limit: holdfast.LimitDebits, Code: 7}))
	b.refused(holdfast.CodeAccountExists)(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: b.alice, Limit: holdfast.LimitNone, Code: 7}))
	b.done(b.Freeze(t.Context(), b.alice))
	b.refused(holdfast.CodeDebitFrozen)(b.Pay(t.Context(), b.transfer(b.alice, b.shop, 1)))
	if a, err := b.Account(t.Context(), b.alice); err != nil || a.Flags != holdfast.Frozen || a.Code != 7 || a.Limit != holdfast.LimitDebits {
		t.Errorf("%+v %v", a, err)
	}
	b.done(b.Thaw(t.Context(), b.alice))
	b.refused(holdfast.CodeAccountNotEmpty)(b.CloseAccount(t.Context(), b.alice))
	b.done(b.CloseAccount(t.Context(), b.shop))
	if a, err := b.StaleAccount(t.Context(), b.shop); err != nil || a.Flags&holdfast.Closed == 0 {
		t.Errorf("%+v %v", a, err)
	}
	seen := map[holdfast.Owner]bool{}
	for range 5 {
		owner, err := b.IssueOwner(t.Context())
		if err != nil || owner.Check() != nil || seen[owner] {
			t.Fatalf("owner %s %v", owner, err)
		}
		seen[owner] = true
	}
}

func TestRecordsOnARealSite(t *testing.T) {
	b := newBank(t, 1)
	key := "trade/1 ü"
	write := func(expect uint64, body string) (holdfast.Outcome, error) {
		return b.Submit(t.Context(), holdfast.Txn{
			Records:   []holdfast.RecordChange{{Key: key, Expect: expect, Index: []string{"buyer/1"}, Body: []byte(body)}},
			Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: b.alice, Credit: b.shop, Amount: 1}},
		})
	}
	first := b.done(write(0, "new"))
	b.refused(holdfast.CodeRecordExists)(write(0, "new"))
	b.done(write(1, "\x00\xff"))
	b.refused(holdfast.CodeRecordVersionMismatch)(write(1, "late"))
	r, err := b.Record(t.Context(), key)
	if err != nil || r.Version != 2 || string(r.Body) != "\x00\xff" || r.Changed <= first.Time || len(r.Index) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	b.holds(b.shop, 2, 2)
}

func TestMessagesOnARealSite(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		b := newBank(t, shards)
		till := account(b.cash.Owner, "till")
		b.done(b.OpenAccount(t.Context(), holdfast.AccountChange{ID: till, Limit: holdfast.LimitNone}))
		send := func(topic, body string) holdfast.Outcome {
			return b.done(b.Submit(t.Context(), holdfast.Txn{
				Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: b.cash, Credit: till, Amount: 1}},
				Messages:  []holdfast.Message{{To: 1, Topic: topic, Body: []byte(body)}},
			}))
		}
		first := send("receipts", "one")
		send("alarms", "two")
		last := send("receipts", "\x00\xff")
		m, err := b.Transfer(t.Context(), first.ID)
		if err != nil {
			t.Fatal(err)
		}
		at := m.Shard
		page, next, err := b.Messages(t.Context(), at, "receipts", 0, 1)
		if err != nil || len(page) != 1 || next != page[0].Seq || page[0].Txn != first.ID || page[0].Time != first.Time || page[0].Topic != "receipts" || string(page[0].Body) != "one" {
			t.Fatalf("%d shards: %+v, next %d, %v", shards, page, next, err)
		}
		rest, end, err := b.Messages(t.Context(), at, "receipts", next, 1)
		if err != nil || len(rest) != 1 || end != 0 || rest[0].Txn != last.ID || string(rest[0].Body) != "\x00\xff" {
			t.Fatalf("%d shards: %+v, next %d, %v", shards, rest, end, err)
		}
		b.done(b.Acknowledge(t.Context(), at, page[0].Seq, rest[0].Seq))
		b.done(b.Acknowledge(t.Context(), at, page[0].Seq)) // once more is no error
		left, _, err := b.Messages(t.Context(), at, "", 0, 100)
		if err != nil || len(left) != 1 || left[0].Topic != "alarms" {
			t.Errorf("%d shards: left are %+v, %v", shards, left, err)
		}
		if o, err := b.Acknowledge(t.Context(), at, left[0].Seq, left[0].Seq+1000); !client.IsNotFound(err) {
			t.Errorf("%d shards: a number that no message has: %+v %v", shards, o, err)
		}
		if left, _, err := b.Messages(t.Context(), at, "", 0, 100); err != nil || len(left) != 1 {
			t.Errorf("%d shards: left are %+v, %v after an acknowledgement that was refused", shards, left, err)
		}
	}
}

func TestFleetOnARealSite(t *testing.T) {
	b := newBank(t, 1)
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	audit, err := b.Audit(t.Context())
	if err != nil || !audit.OK || !audit.Balanced || len(audit.Shards) != 1 || audit.Shards[0].Accounts != 3 || len(audit.Shards[0].Assets) != 1 {
		t.Errorf("%+v %v", audit, err)
	}
	if a := audit.Shards[0].Assets[0]; a.Asset != "CNY" || a.DebitsPosted != 10000 || a.CreditsPosted != 10000 {
		t.Errorf("%+v", a)
	}
	sites, err := b.Sites(t.Context())
	if err != nil || len(sites) != 1 || !sites[0].Self || !sites[0].Ready || len(sites[0].Leads) != 1 {
		t.Errorf("%+v %v", sites, err)
	}
	shards, err := b.Shards(t.Context())
	if err != nil || len(shards) != 1 || shards[0].Leader != 1 || shards[0].Accounts != 3 || len(shards[0].Members) != 1 || len(shards[0].Digest) != 16 {
		t.Errorf("%+v %v", shards, err)
	}
	if err := b.HandOver(t.Context(), 1, 1); err != nil {
		t.Error(err)
	}
	var e *client.Error
	if err := b.HandOver(t.Context(), 9, 1); !errors.As(err, &e) || e.Status != http.StatusNotFound {
		t.Errorf("a shard that is not there: %v", err)
	}
}

// The curl commands of the README send these bodies.
func TestBodiesOfTheQuickStart(t *testing.T) {
	url := newRealSite(t, 1)
	const hold = "0190f3c6-2a3b-7c4d-8e5f-001122334455"
	for _, row := range []struct {
		path, key, body string
		status          int
		says            string
	}{
		{"/v1/accounts", "", `{"id":"2088000000010000.bank.CNY","limit":"none"}`, 201, `"status":"done"`},
		{"/v1/accounts", "", `{"id":"2088000000020108.wallet.CNY","limit":"debits"}`, 201, `"status":"done"`},
		{"/v1/accounts", "", `{"id":"2088000000030206.wallet.CNY","limit":"debits"}`, 201, `"status":"done"`},
		{"/v1/transfers", "top-up-1", `{"debit":"2088000000010000.bank.CNY","credit":"2088000000020108.wallet.CNY","amount":10000}`, 201, `"replay":false`},
		{"/v1/transfers", "order-4711", onePayment, 201, `"replay":false`},
		{"/v1/transfers", "order-4711", onePayment, 200, `"replay":true`},
		{"/v1/transfers", "order-4711", strings.Replace(onePayment, "1250", "1251", 1), 409, `"code":"id-taken"`},
		{"/v1/holds", hold, `{"debit":"2088000000020108.wallet.CNY","credit":"2088000000030206.wallet.CNY","amount":3000,"timeout_s":3600}`, 201, `"id":"` + hold},
		{"/v1/holds/" + hold + "/post", "capture-4712", `{"amount":2000}`, 201, `"status":"done"`},
		{"/v1/transfers", "order-4713", `{"debit":"2088000000020108.wallet.CNY","credit":"2088000000030206.wallet.CNY","amount":6751}`, 422, `"code":"exceeds-credits"`},
		{"/v1/transfers", "order-4714", `{"debit":"2088000000020108.wallet.CNY","credit":"2088000000030206.wallet.CNY"}`, 400, `"field":"amount"`},
		{"/v1/holds", "hold-4715", `{"debit":"2088000000020108.wallet.CNY","credit":"2088000000030206.wallet.CNY","amount":1,"timeout_s":9223372036}`, 400, `"field":"timeout_s"`},
		{"/v1/accounts/2088000000020108.wallet.CNY", "", "", 200, `"balance":6750,"available":6750`},
		{"/v1/accounts/2088000000020108.wallet.CNY/statement", "", "", 200, `"kind":"post"`},
		{"/v1/audit", "", "", 200, `"ok":true`},
	} {
		method := http.MethodPost
		if row.body == "" {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url+row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+operatorKey)
		if row.key != "" {
			r.Header.Set("Idempotency-Key", row.key)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != row.status || !strings.Contains(body.String(), row.says) || !json.Valid(body.Bytes()) {
			t.Errorf("%s %s: %d %s\nwant %d with %s", row.path, row.body, resp.StatusCode, body.String(), row.status, row.says)
		}
	}
}

// TestListsArePaged: whatever the size of the pages, all transfers with a reference and all open holds are seen once, newest first.
func TestListsArePaged(t *testing.T) {
	b, far := crossingBank(t)
	ref := holdfast.Ref(b.NewID())
	b.done(b.Pay(t.Context(), b.transfer(b.cash, far, 1000)))
	for i := range 9 {
		from, to := b.alice, b.shop
		if i%3 == 1 {
			from, to = far, b.shop // of the other shard
		}
		pay, hold := b.transfer(from, to, 5), b.transfer(b.alice, b.shop, 7)
		pay.Ref = ref
		b.done(b.Pay(t.Context(), pay))
		b.done(b.Hold(t.Context(), hold))
	}
	b.done(b.Hold(t.Context(), b.transfer(b.alice, far, 7)))
	b.settleTo(10 * 7)
	transfers := func(limit int) (all []client.Movement) {
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, next, err := b.TransfersByRefPage(t.Context(), ref, cursor, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d transfers on a page of %d, %v", len(page), limit, err)
			}
			all, cursor = append(all, page...), next
		}
		return all
	}
	holds := func(limit int) (all []client.Hold) {
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, next, err := b.HoldsPage(t.Context(), b.alice, cursor, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d holds on a page of %d, %v", len(page), limit, err)
			}
			all, cursor = append(all, page...), next
		}
		return all
	}
	wantTransfers, err := b.TransfersByRef(t.Context(), ref)
	if err != nil || len(wantTransfers) != 9 {
		t.Fatalf("%d transfers, %v", len(wantTransfers), err)
	}
	wantHolds, err := b.Holds(t.Context(), b.alice)
	if err != nil || len(wantHolds) != 10 {
		t.Fatalf("%d holds, %v", len(wantHolds), err)
	}
	for i := 1; i < 9; i++ {
		if wantTransfers[i].Time.After(wantTransfers[i-1].Time) || wantHolds[i].Opened.After(wantHolds[i-1].Opened) {
			t.Errorf("line %d is newer than the one before", i)
		}
	}
	for limit := 1; limit <= 11; limit++ {
		if diff := cmp.Diff(wantTransfers, transfers(limit)); diff != "" {
			t.Errorf("transfers, %d on a page: %s", limit, diff)
		}
		if diff := cmp.Diff(wantHolds, holds(limit)); diff != "" {
			t.Errorf("holds, %d on a page: %s", limit, diff)
		}
	}
}

func TestRecordsAreFoundByAnIndexKey(t *testing.T) {
	b := newBank(t, 3)
	write := func(key string, expect uint64, index ...string) holdfast.RecordChange {
		return holdfast.RecordChange{Key: key, Expect: expect, Index: index, Body: []byte("body of " + key)}
	}
	all := []holdfast.RecordChange{
		write("trade/1", 0, "buyer/1", "open"), write("trade/2", 0, "buyer/2"), write("trade/3", 0, "buyer/1"), write("trade/4", 0, "open"),
		write("trade/5 ü&=", 0, "buyer/1"), write("trade/6", 0, "buyer/1"),
	}
	for _, r := range all {
		b.done(b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{r}}))
	}
	b.done(b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{write("trade/3", 1, "buyer/2")}}))
	b.done(b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{{Key: "trade/6", Expect: 1, Delete: true}}}))
	find := func(index string, limit int) (keys []string) {
		for after, first := "", true; first || after != ""; first = false {
			page, next, err := b.RecordsPage(t.Context(), index, after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d records, %v", len(page), err)
			}
			for _, r := range page {
				if string(r.Body) != "body of "+r.Key {
					t.Errorf("%s has the body %q", r.Key, r.Body)
				}
				keys = append(keys, r.Key)
			}
			after = next
		}
		return keys
	}
	for index, want := range map[string][]string{
		"buyer/1": {"trade/1", "trade/5 ü&="}, "buyer/2": {"trade/2", "trade/3"}, "open": {"trade/1", "trade/4"}, "buyer/3": nil,
	} {
		for _, limit := range []int{1, 2, 1000} {
			if diff := cmp.Diff(want, find(index, limit)); diff != "" {
				t.Errorf("%s, %d on a page: %s", index, limit, diff)
			}
		}
	}
	var keys []string
	for r, err := range b.Records(t.Context(), "open") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Key)
	}
	if diff := cmp.Diff([]string{"trade/1", "trade/4"}, keys); diff != "" {
		t.Error(diff)
	}

	owner, err := holdfast.NewOwner(77, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{"trade/2", "trade/1", "refund/1", "trade/3"} {
		b.done(b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{write(holdfast.OwnedKey(owner, rest), 0, "owned")}}))
	}
	keys = nil
	for r, err := range b.RecordsByPrefix(t.Context(), holdfast.OwnedKey(owner, "trade/")) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Key[len(holdfast.OwnedKey(owner, "")):])
	}
	if diff := cmp.Diff([]string{"trade/1", "trade/2", "trade/3"}, keys); diff != "" {
		t.Error(diff)
	}
	page, next, err := b.RecordsByPrefixPage(t.Context(), holdfast.OwnedKey(owner, ""), holdfast.OwnedKey(owner, "refund/1"), 2)
	if err != nil || len(page) != 2 || next != holdfast.OwnedKey(owner, "trade/2") || len(find("owned", 3)) != 4 {
		t.Errorf("a page of %d, then after %q, %v", len(page), next, err)
	}
	if r, err := b.Record(t.Context(), holdfast.OwnedKey(owner, "trade/3")); err != nil || r.Version != 1 || r.Pending != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAPageKeepsRecordsOfOneKeyTogether(t *testing.T) {
	a, b, c := holdfast.Record{Key: "a"}, holdfast.Record{Key: "b"}, holdfast.Record{Key: "c"}
	if p := recordPage([]holdfast.Record{b, c, a, b}, 2); len(p.Records) != 3 || p.Next != "b" {
		t.Errorf("%+v", p)
	}
	if p := recordPage([]holdfast.Record{a, b, b}, 2); len(p.Records) != 3 || p.Next != "" {
		t.Errorf("%+v", p)
	}
}

// TestARecordMadeAgainStartsAtVersion1: who deletes a record gives up what expect protects against. The document says so.
func TestARecordMadeAgainStartsAtVersion1(t *testing.T) {
	b := newBank(t, 1)
	write := func(expect uint64, body string) (holdfast.Outcome, error) {
		return b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{{Key: "trade/1", Expect: expect, Body: []byte(body)}}})
	}
	b.done(write(0, "first"))
	b.done(b.Submit(t.Context(), holdfast.Txn{Records: []holdfast.RecordChange{{Key: "trade/1", Expect: 1, Delete: true}}}))
	b.done(write(0, "second"))
	if r, err := b.Record(t.Context(), "trade/1"); err != nil || r.Version != 1 || string(r.Body) != "second" {
		t.Errorf("%+v, %v", r, err)
	}
	b.done(write(1, "third")) // whoever has read the first one succeeds as well
	b.refused(holdfast.CodeRecordVersionMismatch)(write(1, "fourth"))
}
