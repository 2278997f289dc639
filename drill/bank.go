package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"holdfast/site"
)

// bankAccount is the platform's own account at the bank of a drill, and bankAsset its currency: that of the recorded orders.
const (
	bankAccount = "6222020000000000018"
	bankAsset   = "GBP"
	bankName    = "testbank"
	bankFloat   = "100000000000"   // what is on it when the drill begins, in pence: the money that the customers have
	bankLate    = 20 * time.Second // its cut-off for late messages
)

// testBank is the bank of a drill: a process of its own, with a journal, that can be told to misbehave.
type testBank struct {
	proc    *process
	url     string // for the sites
	control string // base URL where it is told to misbehave
}

// openTills gives the fleet the keys of payments of people, the same at every site, and lets notices go to this machine.
func (f *fleet) openTills(program string, configs []site.Config) error {
	keys := filepath.Join(f.dir, "payment-keys.toml")
	if out, err := exec.Command(program, "payment-keys", keys).CombinedOutput(); err != nil {
		return fmt.Errorf("make the keys of payments: %w: %s", err, out)
	}
	for i := range configs {
		c := &configs[i]
		c.Payments.Keys, c.Payments.Zone = keys, "Europe/London"
		c.Payments.Public = "http://" + c.HTTP.Listen
		c.Payments.NotifyNetworks = []string{"127.0.0.0/8"}
	}
	return nil
}

// openShop gives the fleet what payments of people need: the keys, and a bank, which it starts. counter: customers have to do with it too.
func (f *fleet) openShop(program string, configs []site.Config, counter bool) error {
	if err := f.openTills(program, configs); err != nil {
		return err
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	f.bank = &testBank{url: "http://" + ports[0], control: "http://" + ports[1], proc: &process{
		spawn: f.spawn, program: program, logFile: filepath.Join(f.dir, "bank.log"), args: []string{
			"testbank", "--listen", ports[0], "--control", ports[1], "--data", filepath.Join(f.dir, "bank"),
			"--account", bankAccount + ":" + bankAsset + ":" + bankFloat, "--late", bankLate.String(),
		},
	}}
	for i := range configs {
		configs[i].Banks = []site.Bank{{
			Name: bankName, URL: f.bank.url, Account: bankAccount, Initiator: "Holdfast drill", Asset: bankAsset,
			Late: site.Duration(bankLate), ClockStep: site.Duration(time.Second),
		}}
	}
	if counter {
		f.openCounter(configs)
	}
	return f.bank.proc.start()
}

// close ends the bank, if there is one.
func (b *testBank) close() error {
	if b == nil || !b.proc.running() {
		return nil
	}
	return b.proc.kill()
}

// misbehave tells the bank what to do wrong from now on; see testbank.Faults. Nothing: it is a good bank.
func (b *testBank) misbehave(ctx context.Context, faults map[string]any) error {
	if faults == nil {
		faults = map[string]any{}
	}
	return b.tell(ctx, http.MethodPut, "/control/faults", faults, nil)
}

// tell speaks with the bank's control until it listens: it may have been started a moment ago.
func (b *testBank) tell(ctx context.Context, method, path string, body, answer any) error {
	return b.tellOf(ctx, "", method, path, body, answer)
}

// tellOf is tell about one account; "": none.
func (b *testBank) tellOf(ctx context.Context, account, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := b.tellOnce(ctx, account, method, path, body, answer)
		var refused *bankRefused
		if err == nil || errors.As(err, &refused) {
			return err
		}
		if gone := rest(ctx, pollPause); gone != nil {
			return fmt.Errorf("tell the bank: %w", errors.Join(gone, err))
		}
	}
}

// bankRefused is an answer of the bank's control that is no success.
type bankRefused struct{ said string }

func (e *bankRefused) Error() string { return "the bank's control says " + e.said }

func (b *testBank) tellOnce(ctx context.Context, account, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, b.control+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if account != "" {
		r.Header.Set("Account", account)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return &bankRefused{fmt.Sprintf("%s: %.300s", resp.Status, said)}
	case answer == nil:
		return nil
	}
	return json.Unmarshal(said, answer)
}
