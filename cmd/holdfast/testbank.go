package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/bank/testbank"
)

type testBankFlags struct {
	listen, control, data, zone, files string
	accounts                           []string
	cert, key, clientCA                string
	late                               time.Duration
	rehearse                           string
}

func newTestBank() *cobra.Command {
	var f testBankFlags
	cmd := &cobra.Command{
		Use:   "testbank",
		Short: "Run a bank that takes payments, writes statements, and misbehaves when it is told to",
		Long: `Run a bank for tests, drills and development: a process of its own that keeps a journal, so that it forgets nothing when it is
killed, and speaks ISO 20022: pain.001 and pacs.002 for payments, camt.053 for statements, camt.054 for what has come in.

It prints two addresses. At the first it is a bank:
  POST /v1/payments, GET /v1/payments?id=ID, GET /v1/statements?day=DAY, GET /v1/deposits?after=N (the last two with a header Account)
At the second, which should stay on this machine, it is told to misbehave, in JSON:
  PUT /control/faults        down, slow_ms, reply_ms, lose_requests, lose_replies, hold and hold_ms (looked at later), twice, strict, reject and
                             bounce (by account), settle_ms, late_ms (by account), omit, alter, double and invent (in statements only)
  POST /control/accounts     opens an account        POST /control/topups   money comes in, in minor units
  POST /control/release      settles what waits      POST /control/day      ends its day, so that there is a statement
  GET  /control/state, /control/payments?id=ID, /control/book (with a header Account)   what it has really done

With --files it also answers files: pain.001 put into DIR/in by renaming, pacs.002 and each morning the statements in DIR/out.`,
		Example: "  holdfast testbank --listen 127.0.0.1:9200 --control 127.0.0.1:9201 --data testbank-data --account 6222020000000000018:CNY:100000000",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runTestBank(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9200", "`ADDR` for customers; port 0 chooses one")
	flags.StringVar(&f.control, "control", "127.0.0.1:9201", "`ADDR` for telling it to misbehave; port 0 chooses one")
	flags.StringVar(&f.data, "data", "testbank-data", "`DIR` of its journal")
	flags.StringArrayVar(&f.accounts, "account", nil, "open `NUMBER:CURRENCY:BALANCE`, in minor units, if it is not there; several times for several")
	flags.DurationVar(&f.late, "late", 10*time.Minute, "take no message that was made longer ago than `D`")
	flags.StringVar(&f.zone, "zone", "UTC", "time `ZONE` of its days")
	flags.StringVar(&f.rehearse, "rehearse", "", "have the clock ahead as `FILE` says (clock_ahead), as with serve --rehearse")
	flags.StringVar(&f.files, "files", "", "exchange files in `DIR`")
	flags.StringVar(&f.cert, "tls-cert", "", "certificate `FILE` for HTTPS")
	flags.StringVar(&f.key, "tls-key", "", "key `FILE` of the certificate")
	flags.StringVar(&f.clientCA, "client-ca", "", "take only customers with a certificate of an authority in `FILE`")
	return cmd
}

func runTestBank(cmd *cobra.Command, f *testBankFlags) (err error) {
	zone, err := time.LoadLocation(f.zone)
	if err != nil {
		return badUsage(cmd, fmt.Errorf("--zone %s: want a name such as Asia/Shanghai", f.zone))
	}
	accounts, err := f.opened()
	if err != nil {
		return badUsage(cmd, err)
	}
	secure, scheme, err := f.tls()
	if err != nil {
		return badUsage(cmd, err)
	}
	trouble, err := newRehearsal(f.rehearse, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	b, err := testbank.Open(testbank.Options{Dir: f.data, Zone: zone, Late: f.late, Clock: trouble.ahead(time.Now)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, a := range accounts {
		if err := b.OpenAccount(a); err != nil {
			return err
		}
	}
	payments, control, err := listenTwice(f.listen, f.control)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "payments  %s://%s\ncontrol   http://%s\n", scheme, payments.Addr(), control.Addr())
	stop := exchangeFiles(cmd, b, f.files)
	defer stop()
	return b.Serve(cmd.Context(), payments, control, secure)
}

// opened reads --account.
func (f *testBankFlags) opened() (list []testbank.Account, err error) {
	for _, text := range f.accounts {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, errors.New("--account is NUMBER:CURRENCY:BALANCE, for example 6222020000000000018:CNY:100000000")
		}
		balance, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil || balance < 0 {
			return nil, fmt.Errorf("--account: balance %.30q is not a whole number of minor units", parts[2])
		}
		list = append(list, testbank.Account{Number: parts[0], Currency: parts[1], Balance: holdfast.Amount(balance)})
	}
	return list, nil
}

func (f *testBankFlags) tls() (c *tls.Config, scheme string, err error) {
	switch {
	case (f.cert == "") != (f.key == ""):
		return nil, "", errors.New("give both --tls-cert and --tls-key, or neither")
	case f.cert == "" && f.clientCA != "":
		return nil, "", errors.New("--client-ca is for HTTPS: give --tls-cert and --tls-key too")
	case f.cert == "":
		return nil, "http", nil
	}
	c, err = testbank.TLS(f.cert, f.key, f.clientCA)
	return c, "https", err
}

func listenTwice(first, second string) (a, b net.Listener, err error) {
	if a, err = net.Listen("tcp", first); err != nil {
		return nil, nil, fmt.Errorf("listen for customers: %w", err)
	}
	if b, err = net.Listen("tcp", second); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen for control: %w", err), a.Close())
	}
	return a, b, nil
}

// exchangeFiles looks for files from time to time until it is stopped.
func exchangeFiles(cmd *cobra.Command, b *testbank.Bank, dir string) (stop func()) {
	if dir == "" {
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if err := b.Exchange(dir); err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "holdfast testbank:", err)
			}
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() { close(over); <-ended }
}
