package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/backoffice"
	"holdfast/bank"
	"holdfast/bank/testbank"
	"holdfast/pay"
	"holdfast/pay/paytest"
	"holdfast/site"
)

// payer is a platform with one customer who has money, in memory, and an office that speaks with a bank as a configuration says.
type payer struct {
	t        *testing.T
	cashier  *pay.Cashier
	books    *paytest.Books
	customer holdfast.Owner
}

func newPayer(t *testing.T) *payer {
	t.Helper()
	c := &payer{t: t, books: paytest.New(1)}
	var err error
	if c.customer, err = site.OwnerOf(1); err != nil {
		t.Fatal(err)
	}
	c.cashier, err = pay.New(pay.Config{
		Books: c.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: platformOwner(), OwnerOf: site.OwnerOf, Day: time.UTC,
		Zone: time.LoadLocation, Wait: waitForPending,
	})
	if err != nil {
		t.Fatal(err)
	}
	cny, now := holdfast.MustAsset("CNY"), holdfast.TimeOf(time.Now())
	_, registered := c.cashier.RegisterCustomer(t.Context(), pay.CustomerAsk{Owner: c.customer, Assets: []holdfast.Asset{cny}}, now)
	_, asked := c.cashier.TopUp(t.Context(), pay.TopUpAsk{Owner: c.customer, Number: "T", Asset: cny, Amount: 50_000}, now)
	opened := c.cashier.OpenBank(t.Context(), now, cny)
	_, came := c.cashier.ToppedUp(t.Context(), c.customer, "T", "by hand", now)
	if err := errors.Join(registered, asked, opened, came); err != nil {
		t.Fatal(err)
	}
	return c
}

// open runs an office until stop is called.
func (c *payer) open(b *site.Bank) (stop func()) {
	c.t.Helper()
	cfg, err := bankOf(b, c.cashier, time.Now, func(file, why string) { c.t.Errorf("%s was set aside: %s", file, why) })
	if err != nil {
		c.t.Fatal(err)
	}
	cfg.Resolver = bank.Config{MaxFollow: 300 * time.Millisecond}
	o, err := backoffice.New(backoffice.Config{Cashier: c.cashier, Books: c.books, Now: time.Now, Random: rand.Float64, Banks: []backoffice.BankConfig{cfg}})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { o.Run(ctx) })
	return func() { cancel(); ended.Wait() }
}

func (c *payer) withdraw(n int) pay.BankOrder {
	c.t.Helper()
	ask := pay.TopUpAsk{
		Owner: c.customer, Number: fmt.Sprint("W", n), Asset: holdfast.MustAsset("CNY"), Amount: 100,
		Account: &pay.BankAccount{Number: "6222020000000000026", Name: "Tea"},
	}
	if _, err := c.cashier.Withdraw(c.t.Context(), ask, holdfast.TimeOf(time.Now())); err != nil {
		c.t.Fatal(err)
	}
	return pay.BankOrder{Owner: c.customer, Number: ask.Number}
}

// done waits until the bank has paid.
func (c *payer) done(ctx context.Context, b pay.BankOrder) {
	c.t.Helper()
	var o pay.Order
	for o.Status != pay.OrderDone {
		var err error
		if o, err = c.cashier.QueryBankOrder(ctx, b); err != nil && ctx.Err() == nil {
			c.t.Fatal(err)
		}
		if !waits(ctx, 20*time.Millisecond) {
			c.t.Fatalf("withdrawal %s is %s", b.Number, o.Status)
		}
	}
}

func waits(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// TestBankFilesBetweenProcesses: the test bank is a process that gets and gives files; it is killed with files in its hands, the platform is stopped with
// orders handed over, and each withdrawal is paid once. A platform with another directory hands nothing over.
func TestBankFilesBetweenProcesses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	for _, name := range []string{"ours", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b := &bankProcess{t: t, dir: filepath.Join(dir, "journal"), files: dir}
	b.start(ctx)
	c := newPayer(t)
	cfg := site.Bank{
		Name: "test", Exchange: filepath.Join(dir, "ours"), Outbox: filepath.Join(dir, "in"), Inbox: filepath.Join(dir, "out"), Account: testAccount,
		Initiator: "Holdfast", Asset: "CNY", Late: site.Duration(10 * time.Minute), Zone: "UTC", Poll: site.Duration(time.Minute), Rescan: site.Duration(200 * time.Millisecond),
	}
	stop := c.open(&cfg)
	first := c.withdraw(1)
	c.done(ctx, first)
	b.kill()
	second := c.withdraw(2)
	for handed := false; !handed && waits(ctx, 20*time.Millisecond); {
		list, err := os.ReadDir(cfg.Outbox)
		handed = err == nil && len(list) > 0
	}
	stop()
	b.start(ctx) // it takes the file while the platform is away
	for taken := false; !taken && waits(ctx, 20*time.Millisecond); {
		list, err := os.ReadDir(cfg.Outbox)
		taken = err == nil && len(list) == 0
	}
	elsewhere := cfg
	elsewhere.Exchange = filepath.Join(dir, "other")
	wrong, err := bankOf(&elsewhere, c.cashier, time.Now, func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if a := wrong.Connector.Ask(ctx, second.EndToEnd()); a.State != bank.Unknown || !strings.Contains(a.Detail, "mount the same one at every site") {
		t.Errorf("with another directory: %+v", a)
	}
	defer c.open(&cfg)()
	c.done(ctx, second)
	var state testbank.State
	b.tell("GET", "/control/state", "", &state)
	if got := state.Accounts[0].Balance; got != 100_000-200 {
		t.Errorf("the account has %d after two withdrawals of 100", got)
	}
	b.kill()
}
