package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/scancode"
	"holdfast/site"
)

// sandboxName is the file that tells a merchant's developer everything about a sandbox, in its directory.
const sandboxName = "sandbox.json"

// sandbox is what the file says. Paths are absolute.
type sandbox struct {
	HTTP              string         `json:"http"`    // base URL of the native API
	Gateway           string         `json:"gateway"` // what an Alipay SDK takes as its gateway
	AppID             string         `json:"app_id"`
	AppPrivateKey     string         `json:"app_private_key"`     // file, PKCS #1, PEM: what SDKs take without further options
	PlatformPublicKey string         `json:"platform_public_key"` // file, PEM
	Merchant          holdfast.Owner `json:"merchant"`
	Buyer             holdfast.Owner `json:"buyer"`
	BuyerDevice       string         `json:"buyer_device"`           // file with the secrets of the buyer's phones, hexadecimal, a line each
	Friend            holdfast.Owner `json:"friend"`                 // another customer
	APIKey            string         `json:"api_key"`                // of the native API
	People            []sandboxUser  `json:"people"`                 // who can sign in
	BankControl       string         `json:"bank_control,omitempty"` // where the test bank is told to misbehave
	Try               string         `json:"try,omitempty"`          // a page on which something can be paid
}

// sandboxUser is somebody who can sign in: the buyer, somebody who manages the merchant, an operator.
type sandboxUser struct {
	As       string `json:"as"`
	Login    string `json:"login"`
	Password string `json:"password"`
}

// readSandbox reads the file of a sandbox.
func readSandbox(file string) (s sandbox, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("there is no %s: start the sandbox first with holdfast serve --sandbox, or say with --file where its file is", file)
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the file of the sandbox: %w", err)
	}
	return s, nil
}

// write puts the file there as a whole, readable by this user alone: it has keys.
func (s *sandbox) write(file string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(file+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write the file of the sandbox: %w", err)
	}
	return nil
}

// codeStep is how long a phone shows a code; the one before and the one after it count as well.
const codeStep = time.Minute

// code is a payment code of the buyer that has not been shown yet, if there is one. A code pays once, so whoever pays more often than once a minute needs
// another: of another phone, or of the minute that comes or has passed. What has been shown stands beside the secrets.
func (s *sandbox) code(now time.Time) (string, error) {
	text, err := os.ReadFile(s.BuyerDevice)
	if err != nil {
		return "", fmt.Errorf("the buyer's phones: %w", err)
	}
	var secrets [][]byte
	for line := range strings.FieldsSeq(string(text)) {
		secret, err := hex.DecodeString(line)
		if err != nil || len(secret) != pay.SecretBytes {
			return "", fmt.Errorf("the buyer's phones: %s has a line that is no secret of %d hexadecimal digits", s.BuyerDevice, 2*pay.SecretBytes)
		}
		secrets = append(secrets, secret)
	}
	shown, err := openShown(s.BuyerDevice + ".shown")
	if err != nil {
		return "", err
	}
	defer shown.close()
	for _, step := range []time.Duration{0, codeStep, -codeStep} {
		for _, secret := range secrets {
			code := pay.PaymentCode(s.Buyer, secret, holdfast.TimeOf(now.Add(step)))
			if !shown.has(code) {
				return code, shown.add(code)
			}
		}
	}
	return "", fmt.Errorf("all codes of the buyer's %d phones for this minute have been shown: wait a minute", len(secrets))
}

// shownCodes are the codes that have been shown lately, in a file that one process at a time has.
type shownCodes struct {
	file *os.File
	list []string
}

// mostShown is how many codes are remembered: more than are good at any time.
const mostShown = 64

func openShown(name string) (*shownCodes, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = lockFile(f)
	}
	if err != nil {
		return nil, fmt.Errorf("the codes that have been shown: %w", err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the codes that have been shown: %w", err), f.Close())
	}
	return &shownCodes{f, strings.Fields(string(text))}, nil
}

func (s *shownCodes) has(code string) bool { return slices.Contains(s.list, code) }

func (s *shownCodes) add(code string) error {
	s.list = append(s.list, code)
	s.list = s.list[max(0, len(s.list)-mostShown):]
	text := []byte(strings.Join(s.list, "\n") + "\n")
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("the codes that have been shown: %w", err)
	}
	if _, err := s.file.WriteAt(text, 0); err != nil {
		return fmt.Errorf("the codes that have been shown: %w", err)
	}
	return nil
}

func (s *shownCodes) close() { _ = s.file.Close() } // the lock goes with it

// box is a sandbox while its site runs. A nil one is none.
type box struct {
	file  string
	key   guard.Secret
	bank  *sandboxBank
	clock *sandboxClock
	alive *liveliness // nil: nothing goes on in it
}

// openSandbox starts the test bank and configures the site for it, if --sandbox was given.
func (f *serveFlags) openSandbox(ctx context.Context, cfg *site.Config, said io.Writer) (_ *box, err error) {
	if !f.sandbox {
		return nil, nil
	}
	b := &box{file: f.sandboxFile, clock: &sandboxClock{}}
	if b.file == "" {
		b.file = filepath.Join(f.data, "sandbox", sandboxName)
	}
	if err := os.MkdirAll(filepath.Dir(b.file), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the sandbox: %w", err)
	}
	key, secret, err := newAPIKey(sandboxKeyName, guard.Operator) // a new one each time: the old one is not stored
	if err != nil {
		return nil, err
	}
	b.key = secret
	b.clock.file = filepath.Join(filepath.Dir(b.file), "bank-clock.toml")
	if err := b.clock.set(0); err != nil { // of a start that was broken off
		return nil, err
	}
	if b.bank, err = startSandboxBank(ctx, filepath.Join(filepath.Dir(b.file), "bank"), b.clock.file); err != nil {
		return nil, err
	}
	if f.replay {
		b.alive = &liveliness{said: said}
	}
	cfg.Keys = append(cfg.Keys, site.APIKey{Name: key.Name, Role: key.Role, SHA256: key.Hash})
	cfg.Banks = append(cfg.Banks, b.bank.section())
	cfg.Payments.NotifyNetworks = append(cfg.Payments.NotifyNetworks, "127.0.0.0/8", "::1/128") // the developer's own machine
	cfg.Payments.NotifyPlain = true
	cfg.Drills.Enable = true
	return b, nil
}

// fill makes what is in it, through the API at url, and lets people buy in it.
func (b *box) fill(ctx context.Context, url string) (s sandbox, err error) {
	if b == nil {
		return s, nil
	}
	m := &sandboxMaker{file: b.file, bank: b.bank, clock: b.clock, alive: b.alive}
	if s, err = m.run(ctx, url, b.key.Reveal()); err == nil {
		b.alive.start()
	}
	return s, err
}

// now is the clock of the payments in the sandbox.
func (b *box) now(clock func() time.Time) func() time.Time {
	if b == nil {
		return clock
	}
	return b.clock.over(clock)
}

// quiet ends what goes on in the sandbox.
func (b *box) quiet() {
	if b != nil {
		b.alive.stop()
	}
}

func (b *box) close() {
	if b != nil {
		b.quiet()
		b.bank.stop()
	}
}

func newSandbox() *cobra.Command {
	return group("sandbox", "Use the example merchant and buyer of holdfast serve --sandbox",
		`Use what holdfast serve --sandbox has made: a merchant with an app and its keys, customers with money and phones, and a test bank. Everything a
developer needs to know is in its file, `+sandboxName+` in the data directory.`,
		newSandboxCode(), newSandboxPay())
}

func sandboxFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "file", filepath.Join("holdfast-data", "sandbox", sandboxName), "`FILE` of the sandbox")
}

func newSandboxCode() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "code",
		Short: "Print a fresh payment code of the buyer",
		Long: `Print 18 digits that a phone of the sandbox's buyer shows: the auth_code of alipay.trade.pay. A phone needs no network for that. They
change each minute, are good for another one before and after, and pay once; each call prints others, a dozen a minute at most.

On a terminal the bar code and the QR code are drawn below, as the phone shows them: they can be scanned off the screen.`,
		Example: "  holdfast sandbox code",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readSandbox(file)
			if err != nil {
				return err
			}
			code, err := s.code(time.Now())
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintln(w, code)
			if columns := screenWidth(w); columns > 0 {
				return drawCode(w, code, columns, os.Getenv("NO_COLOR") == "")
			}
			return nil
		},
	}
	sandboxFlag(cmd, &file)
	return cmd
}

// screenWidth is how many columns the terminal behind w has; 0: there is none.
func screenWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// drawCode shows a payment code as a phone does: the bar code and the QR code, for a scanner that is held before the screen. With colours they are
// white and black whatever those of the terminal are; without, it has to write light on dark.
func drawCode(w io.Writer, code string, columns int, colours bool) error {
	for _, draw := range []func(string) (*scancode.Code, error){scancode.Bars, scancode.QR} {
		c, err := draw(code)
		if err != nil {
			return err
		}
		lines := c.Lines()
		if wide := utf8.RuneCountInString(lines[0]); wide > columns {
			fmt.Fprintf(w, "\n(a picture of %d columns does not fit here)\n", wide)
			continue
		}
		fmt.Fprintln(w)
		for _, line := range lines {
			if colours {
				line = "\x1b[97;40m" + line + "\x1b[0m"
			}
			fmt.Fprintln(w, line)
		}
	}
	return nil
}

func newSandboxPay() *cobra.Command {
	var file, amount string
	cmd := &cobra.Command{
		Use:   "pay",
		Short: "Make a signed payment as the example merchant, and show what goes over the wire",
		Long: `Make one alipay.trade.pay as the example merchant: with the code that the buyer's phone shows now, signed with the key of the merchant's app. It
prints what is signed, the answer, and whether the platform's signature under it is right: what an SDK does, in the open.`,
		Example: "  holdfast sandbox pay --amount 8.88",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readSandbox(file)
			if err != nil {
				return err
			}
			return s.pay(cmd.Context(), cmd.OutOrStdout(), amount, time.Now())
		},
	}
	sandboxFlag(cmd, &file)
	cmd.Flags().StringVar(&amount, "amount", "8.88", "`YUAN` to pay")
	return cmd
}
