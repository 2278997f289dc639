package backoffice

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/exchange"
	"holdfast/bank/testbank"
	"holdfast/pay"
)

// filed is a connector of files with the test bank, which calls its directories from its own side.
func (w *bankWorld) filed(dir string) *exchange.Connector {
	w.t.Helper()
	account, err := bank.ParseAccount(platformAccount)
	must(w.t, err)
	c, err := exchange.New(exchange.Config{
		Dir: filepath.Join(dir, "platform"), Outbox: filepath.Join(dir, "in"), Inbox: filepath.Join(dir, "out"), Accounts: []bank.Account{account},
		Initiator: "Holdfast", Terms: bank.Terms{Late: bankCutOff, Step: time.Second},
		Aside: func(file, why string) { w.t.Errorf("%s was set aside: %s", file, why) },
	})
	must(w.t, err)
	return c
}

// TestTheBankGetsFiles: payouts and withdrawals go to the bank as files and its answers come as files, deposits and the book of the day by
// statements; the platform stops and starts, the bank is away for a while, two sites are in charge at once: each order is paid once.
func TestTheBankGetsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, "platform"), 0o700))
		time.Sleep(25 * time.Hour) // the bank has a day before, of which there is a statement
		must(t, w.bank.Exchange(dir))
		by := func(c *Config) {
			files := w.filed(dir)
			b := &c.Banks[0]
			b.Connector, b.Deposits, b.Statement, b.Poll = files, files, files.Statement, time.Minute
			b.Resolver.MaxFollow = 5 * time.Minute
		}
		exchanged := func(d time.Duration) {
			t.Helper()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Second) {
				must(t, w.bank.Exchange(dir))
			}
		}
		must(t, w.bank.SetFaults(testbank.Faults{Reject: map[string]string{"CLOSED": "AC04"}}))
		w.open(true, by)
		a := w.withdraw(w.customers[0], "W1", 1000, "6222020000000000026")
		b := w.withdraw(w.customers[1], "W2", 2000, "CLOSED")
		exchanged(10 * time.Minute)
		if x, y := w.order(a), w.order(b); x.Status != pay.OrderDone || y.Status != pay.OrderReturned {
			t.Errorf("withdrawals: %s and %s", x.Status, y.Status)
		}
		// The platform goes down with an order handed over, and the bank takes it meanwhile.
		c := w.withdraw(w.customers[2], "W3", 3000, "6222020000000000026")
		time.Sleep(time.Minute)
		w.stop()
		w.stop = func() {}
		exchanged(time.Minute)
		w.open(true, by)
		w.open(true, by)
		exchanged(10 * time.Minute)
		d := w.withdraw(w.customers[3], "W4", 4000, "6222020000000000026")
		exchanged(10 * time.Minute)
		if x, y := w.order(c), w.order(d); x.Status != pay.OrderDone || y.Status != pay.OrderDone {
			t.Errorf("withdrawals across a restart, and with two at once: %s and %s", x.Status, y.Status)
		}
		// What comes in is known when the statement of the day has come, and then the books agree.
		_, err := w.cashier.TopUp(w.ctx, pay.TopUpAsk{Owner: w.customers[0], Number: "T", Asset: cny, Amount: 700}, w.now())
		must(t, err)
		must(t, w.bank.Credit(testbank.TopUp{Key: "1", Account: platformAccount, Amount: 700, Text: "for " + pay.TopUpReference(w.customers[0], "T")}))
		exchanged(26 * time.Hour)
		if got, want := w.money(w.customers[0], pay.Wallet), holdfast.Amount(customerMoney-1000+700); got != want {
			t.Errorf("the wallet holds %d, want %d", got, want)
		}
		compared, err := w.cashier.Compared(w.ctx, "test", cny)
		must(t, err)
		if list := w.cases(); compared.Day != "2000-01-02" || compared.Matched != 4 || len(list) > 0 {
			t.Errorf("compared %+v, cases %v", compared, list)
		}
		w.stop()
		taken, err := os.ReadDir(filepath.Join(dir, "done"))
		must(t, err)
		orders := 0
		for _, f := range taken {
			if strings.HasPrefix(f.Name(), "HF") {
				orders++
			}
		}
		if orders != 4 {
			t.Errorf("the bank got %d files for 4 orders: %v", orders, taken)
		}
		w.audit(w.startMoney())
	})
}
