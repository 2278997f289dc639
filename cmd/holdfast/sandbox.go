package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
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
	Merchant          holdfast.Owner `json:"merchant,string"`
	Buyer             holdfast.Owner `json:"buyer,string"`
	BuyerDevice       string         `json:"buyer_device"`           // file with the secret of the buyer's phone, hexadecimal
	Friend            holdfast.Owner `json:"friend,string"`          // another customer
	APIKey            string         `json:"api_key"`                // of the native API
	BankControl       string         `json:"bank_control,omitempty"` // where the test bank is told to misbehave
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

// code is what the buyer's phone shows at a time.
func (s *sandbox) code(now time.Time) (string, error) {
	text, err := os.ReadFile(s.BuyerDevice)
	if err != nil {
		return "", fmt.Errorf("the buyer's phone: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != pay.SecretBytes {
		return "", fmt.Errorf("the buyer's phone: %s has no secret of %d hexadecimal digits", s.BuyerDevice, 2*pay.SecretBytes)
	}
	return pay.PaymentCode(s.Buyer, secret, holdfast.TimeOf(now)), nil
}

// box is a sandbox while its site runs. A nil one is none.
type box struct {
	file string
	key  guard.Secret
	bank *sandboxBank
}

// openSandbox starts the test bank and configures the site for it, if --sandbox was given.
func (f *serveFlags) openSandbox(ctx context.Context, cfg *site.Config) (_ *box, err error) {
	if !f.sandbox {
		return nil, nil
	}
	b := &box{file: f.sandboxFile}
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
	if b.bank, err = startSandboxBank(ctx, filepath.Join(filepath.Dir(b.file), "bank")); err != nil {
		return nil, err
	}
	cfg.Keys = append(cfg.Keys, site.APIKey{Name: key.Name, Role: key.Role, SHA256: key.Hash})
	cfg.Banks = append(cfg.Banks, b.bank.section())
	cfg.Payments.NotifyNetworks = append(cfg.Payments.NotifyNetworks, "127.0.0.0/8", "::1/128") // the developer's own machine
	cfg.Payments.NotifyPlain = true
	return b, nil
}

// fill makes what is in it, through the API at url.
func (b *box) fill(ctx context.Context, url string) (s sandbox, err error) {
	if b == nil {
		return s, nil
	}
	return makeSandbox(ctx, url, b.key.Reveal(), b.file, b.bank)
}

func (b *box) close() {
	if b != nil {
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
		Short: "Print the payment code that the buyer's phone shows now",
		Long: `Print the 18 digits that the phone of the sandbox's buyer shows now: the auth_code of alipay.trade.pay. The phone needs no network for that. They
change each minute, are good for another one before and after, and pay once.`,
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
			fmt.Fprintln(cmd.OutOrStdout(), code)
			return nil
		},
	}
	sandboxFlag(cmd, &file)
	return cmd
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
