package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/checkout"
	"holdfast/client"
)

// TestSandboxLives: what somebody sees who looks into a sandbox in its first minute, and that a restart makes nothing of it twice.
func TestSandboxLives(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	file := filepath.Join(dir, "holdfast-data", "sandbox", sandboxName)
	stop := serveSandbox(ctx, t, dir, true)
	s, err := readSandbox(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Sites: []string{s.HTTP}, Key: s.APIKey})
	if err != nil {
		t.Fatal(err)
	}
	lastTwoDays(ctx, t, c, &s)
	told(ctx, t, c, s.Merchant)
	twoTaps(ctx, t, c, &s)
	before := streetOf(t, dir)
	c.Close()
	stop()

	stop = serveSandbox(ctx, t, dir, true)
	defer stop()
	again, err := readSandbox(file)
	if err != nil || again.Merchant != s.Merchant || again.Buyer != s.Buyer {
		t.Fatalf("after a restart it is another one: %+v and %+v, %v", s, again, err)
	}
	after := streetOf(t, dir)
	if after.Next < before.Next || len(after.Merchants) != len(before.Merchants) || after.Customers[0].ID != before.Customers[0].ID || after.Merchants[0].Hook != before.Merchants[0].Hook {
		t.Errorf("after a restart the street is another one: %+v and %+v", before, after)
	}
	if c, err = client.New(client.Config{Sites: []string{again.HTTP}, Key: again.APIKey}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	lastTwoDays(ctx, t, c, &again)
	told(ctx, t, c, s.Merchant)
	if hooks, err := c.Webhooks(ctx, s.Merchant); err != nil || len(hooks) != 1 || hooks[0].Disabled {
		t.Errorf("the tea shop is told at %+v, %v", hooks, err)
	}
}

// streetFile is what the test reads of it.
type streetFile struct {
	Merchants []struct {
		ID   holdfast.Owner `json:"id"`
		Hook string         `json:"hook"`
	} `json:"merchants"`
	Customers []struct {
		ID holdfast.Owner `json:"id"`
	} `json:"customers"`
	Next int `json:"next"`
}

func streetOf(t *testing.T, dir string) (s streetFile) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "holdfast-data", "sandbox", streetName))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil || len(s.Merchants) == 0 || len(s.Customers) == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// lastTwoDays: each was settled and paid out, the buyer has receipts of them, in order, and the bank and the ledger say the same.
func lastTwoDays(ctx context.Context, t *testing.T, c *client.Client, s *sandbox) {
	t.Helper()
	list, _, err := c.Settlements(ctx, s.Merchant, "", client.MaxPage)
	if err != nil || len(list) < 2 {
		t.Fatalf("the tea shop has %d settlements, %v", len(list), err)
	}
	for i := range list {
		p, err := c.Payout(ctx, s.Merchant, list[i].Order)
		if err != nil || p.Status != "done" || list[i].Payments == 0 || p.Amount != list[i].Payout {
			t.Errorf("settlement %+v is paid out as %+v, %v", list[i], p, err)
		}
	}
	receipts, _, err := c.Receipts(ctx, s.Buyer, "", client.MaxPage)
	days := map[string]bool{}
	for i := range receipts {
		days[receipts[i].Time.In(beijing).Format(time.DateOnly)] = true
		if i > 0 && receipts[i].Time.After(receipts[i-1].Time) {
			t.Errorf("receipts %d and %d are not in their order: %v and %v", i-1, i, receipts[i-1].Time, receipts[i].Time)
		}
	}
	if err != nil || len(days) < 2 || len(receipts) < 8 {
		t.Errorf("the buyer has %d receipts of %d days, %v", len(receipts), len(days), err)
	}
	if cases, _, err := c.Cases(ctx, "", client.MaxPage); err != nil || len(cases) > 0 {
		t.Errorf("bank and ledger differ: %+v, %v", cases, err)
	}
	if late := receipts[0].Time; time.Since(late) < 0 {
		t.Errorf("the last receipt is of %v", late)
	}
}

// told waits until the tea shop is told of something that happens now.
func told(ctx context.Context, t *testing.T, c *client.Client, merchant holdfast.Owner) {
	t.Helper()
	began := time.Now()
	for {
		cursor, list, err := "", []client.Delivery(nil), error(nil)
		for {
			if list, cursor, err = c.Deliveries(ctx, merchant, cursor, client.MaxPage); err != nil {
				t.Fatalf("nothing is told: %v", err)
			}
			for i := range list {
				if list[i].Done && list[i].Last.After(began) {
					return
				}
			}
			if cursor == "" {
				break
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// twoTaps: the page of something to pay offers to sign in; whoever has pays it by one form, of our own page, and only once.
func twoTaps(ctx context.Context, t *testing.T, c *client.Client, s *sandbox) {
	t.Helper()
	p := s.People[0]
	in, err := c.SignIn(ctx, client.Credentials{As: p.As, Login: p.Login, Password: p.Password})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, session, origin string) (status int, page string) {
		form := url.Values{"from": {s.Buyer.String()}}.Encode()
		r, err := http.NewRequestWithContext(ctx, method, strings.Replace(s.Try, "/q/", "/cashier/", 1)+"?lang=en", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if session != "" {
			r.AddCookie(&http.Cookie{Name: checkout.SessionCookie, Value: session})
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(text)
	}
	if status, page := ask(http.MethodGet, "", ""); status != 200 || !strings.Contains(page, "Sign in and pay") {
		t.Errorf("%d: %s", status, page)
	}
	if status, page := ask(http.MethodGet, in.Token, ""); status != 200 || !strings.Contains(page, "Pay CNY 88.00</button>") || !strings.Contains(page, `value="`+s.Buyer.String()) {
		t.Errorf("%d: %s", status, page)
	}
	before, err := c.Wallet(ctx, s.Buyer, yuan)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(http.MethodPost, in.Token, "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a form of another page is answered with %d", status)
	}
	for range 2 {
		if status, page := ask(http.MethodPost, in.Token, s.HTTP); status != http.StatusSeeOther {
			t.Errorf("%d: %s", status, page)
		}
	}
	if after, err := c.Wallet(ctx, s.Buyer, yuan); err != nil || after.Available != before.Available-8800 {
		t.Errorf("the buyer had %d and has %d, %v", before.Available, after.Available, err)
	}
	if status, page := ask(http.MethodGet, in.Token, ""); status != 200 || !strings.Contains(page, "<h1>Paid</h1>") {
		t.Errorf("%d: %s", status, page)
	}
}
