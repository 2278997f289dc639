package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/retail"
	"holdfast/site"
)

// What the sandbox has: a shop that sells tea in Hangzhou, two customers, and the platform's account at the test bank.
const (
	sandboxKeyName  = "sandbox"
	sandboxAccount  = "6222020000000000018"
	sandboxMoney    = 1_000_000 // what each customer brings, in fen
	sandboxBits     = 2048
	sandboxPatience = 90 * time.Second
)

var (
	yuan           = holdfast.MustAsset("CNY")
	sandboxAliases = [...]string{"+86 138 0000 0001", "+86 138 0000 0002"} // of buyer and friend
)

// sandboxBank is the test bank of a sandbox: a process of its own, which ends with this one.
type sandboxBank struct {
	cmd     *exec.Cmd
	ended   chan error
	url     string // for the platform
	control string // where it is told to misbehave
}

// startSandboxBank runs "holdfast testbank" with its journal in a directory.
func startSandboxBank(ctx context.Context, dir, clock string) (_ *sandboxBank, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the test bank: %w", err)
	}
	b := &sandboxBank{ended: make(chan error, 1)}
	b.cmd = exec.Command(program, "testbank", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--data", dir,
		"--account", sandboxAccount+":CNY:0", "--zone", "Asia/Shanghai", "--rehearse", clock)
	b.cmd.SysProcAttr = diesWithParent()
	said, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the test bank: %w", err)
	}
	var complaints bytes.Buffer
	b.cmd.Stderr = &complaints
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the test bank: %w", err)
	}
	addresses := make(chan error, 1)
	go func() {
		_, err := fmt.Fscanf(said, "payments %s\ncontrol %s\n", &b.url, &b.control)
		addresses <- err
		_, _ = io.Copy(io.Discard, said)
		b.ended <- b.cmd.Wait()
	}()
	select {
	case err = <-addresses:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(sandboxPatience):
		err = errors.New("it did not say where it listens")
	}
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("start the test bank: %w: %s", err, complaints.String())
	}
	return b, nil
}

// stop ends the bank; its journal is on disk.
func (b *sandboxBank) stop() {
	if b == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	<-b.ended
}

// credit lets money come into an account at the bank. The same key again is the same money.
func (b *sandboxBank) credit(ctx context.Context, key, text string, amount holdfast.Amount) error {
	body, err := json.Marshal(map[string]any{"key": key, "account": sandboxAccount, "amount": amount, "from": "6222020000000000026", "text": text})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.control+"/control/topups", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("bring money to the test bank: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("bring money to the test bank: %s: %s", resp.Status, bytes.TrimSpace(said))
	}
	return nil
}

// bankSection is how the platform reaches the bank.
func (b *sandboxBank) section() site.Bank {
	return site.Bank{
		Name: "testbank", URL: b.url, Account: sandboxAccount, Initiator: "Holdfast sandbox", Asset: "CNY", Zone: "Asia/Shanghai",
		Late: site.Duration(10 * time.Minute), ClockStep: site.Duration(time.Second), Poll: site.Duration(250 * time.Millisecond), Rescan: site.Duration(2 * time.Second),
	}
}

// sandboxMaker makes what is in a sandbox.
type sandboxMaker struct {
	file  string
	bank  *sandboxBank
	clock *sandboxClock
	alive *liveliness

	ctx context.Context
	c   *client.Client
	dir string
}

// run makes everything through the API, as any operator would, and says it in a file. What an earlier start has made stays. The client is closed when
// nothing goes on in the sandbox any more.
func (m *sandboxMaker) run(ctx context.Context, url, key string) (s sandbox, err error) {
	ctx, cancel := context.WithTimeout(ctx, sandboxPatience)
	defer cancel()
	if m.c, err = client.New(client.Config{Sites: []string{url}, Key: key}); err != nil {
		return s, err
	}
	m.ctx, m.dir = ctx, filepath.Dir(m.file)
	if m.alive == nil {
		defer m.c.Close()
	}
	s, err = readSandbox(m.file)
	if err != nil || m.known(&s) != nil {
		if s, err = m.anew(); err != nil {
			return s, fmt.Errorf("make the sandbox: %w", err)
		}
	} else if err = m.alive.open(m, &s); err != nil {
		return s, err
	}
	if s.People == nil {
		if err := m.people(&s); err != nil {
			return s, fmt.Errorf("make the people of the sandbox: %w", err)
		}
	}
	if s.Try, err = m.something(&s, url); err != nil {
		return s, fmt.Errorf("make something to pay: %w", err)
	}
	s.HTTP, s.Gateway, s.APIKey, s.BankControl = url, url+"/gateway.do", key, m.bank.control
	return s, s.write(m.file)
}

// anew makes a sandbox; one in which something goes on is made in the past, and lives two days before anybody looks.
func (m *sandboxMaker) anew() (s sandbox, err error) {
	if m.alive == nil {
		return m.make()
	}
	days := m.alive.days(time.Now())
	if err = m.clock.setBoth(days[0].opens); err == nil {
		s, err = m.make()
	}
	if err == nil {
		err = m.alive.open(m, &s)
	}
	if err == nil {
		err = m.alive.live(m, days)
	}
	return s, errors.Join(err, m.clock.set(0))
}

// something is the address of the page on which a pot of tea can be paid: as if the shop showed its QR code.
func (m *sandboxMaker) something(s *sandbox, url string) (string, error) {
	t, err := m.c.CreateTrade(m.ctx, client.NewTrade{
		Merchant: s.Merchant, OutTradeNo: "try-" + time.Now().UTC().Format("20060102-150405.000"), Amount: 8800, Asset: yuan, Subject: "Longjing, 50 g",
		Shop: "lakeside", Till: "till-1", QR: true,
	})
	return url + "/q/" + t.Token, err
}

// known looks whether what the file says is there.
func (m *sandboxMaker) known(s *sandbox) error {
	_, err := m.c.App(m.ctx, s.Merchant, s.AppID)
	if err == nil {
		_, err = m.c.Customer(m.ctx, s.Buyer)
	}
	for _, file := range []string{s.AppPrivateKey, s.PlatformPublicKey, s.BuyerDevice} {
		if err == nil {
			_, err = os.Stat(file)
		}
	}
	return err
}

func (m *sandboxMaker) make() (s sandbox, err error) {
	if s.Merchant, err = m.c.IssueOwner(m.ctx); err != nil {
		return s, err
	}
	_, err = m.c.RegisterMerchant(m.ctx, client.NewMerchant{
		ID: s.Merchant, Name: "West Lake Tea", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{yuan}, Fee: client.Fee{BasisPoints: 60},
	})
	if err != nil {
		return s, err
	}
	if _, err = m.c.PutShop(m.ctx, s.Merchant, client.Shop{ID: "lakeside", Name: "West Lake Tea, lakeside", Tills: []string{"till-1"}}); err != nil {
		return s, err
	}
	if err = m.app(&s); err != nil {
		return s, err
	}
	if s.Buyer, err = m.customer(0); err != nil {
		return s, err
	}
	if s.Friend, err = m.customer(1); err != nil {
		return s, err
	}
	return s, m.phone(&s)
}

// app makes the merchant's key pair, which stays here, and his app.
func (m *sandboxMaker) app(s *sandbox) error {
	key, err := rsa.GenerateKey(rand.Reader, sandboxBits)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	app, err := m.c.PutApp(m.ctx, s.Merchant, client.AppChange{
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), Permissions: []string{pay.PermitAll},
	})
	if err != nil {
		return err
	}
	s.AppID = app.ID
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if s.AppPrivateKey, err = m.keep("app-private-key.pem", private); err != nil {
		return err
	}
	s.PlatformPublicKey, err = m.keep("platform-public-key.pem", []byte(app.PlatformPublicKey))
	return err
}

// customer registers a customer, unless one has the alias already, and lets him bring money from the bank.
func (m *sandboxMaker) customer(n int) (o holdfast.Owner, err error) {
	o, err = m.c.FindAlias(m.ctx, sandboxAliases[n])
	if none, ok := errors.AsType[*client.Error](err); ok && none.Code == "alias-unknown" {
		if o, err = m.c.IssueOwner(m.ctx); err == nil {
			_, err = m.c.RegisterCustomer(m.ctx, client.NewCustomer{ID: o, Aliases: []string{sandboxAliases[n]}, Assets: []holdfast.Asset{yuan}})
		}
	}
	if err != nil {
		return o, err
	}
	const number = "first-money"
	if _, err = m.c.AnnounceTopUp(m.ctx, o, client.Money{Number: number, Asset: yuan, Amount: sandboxMoney}); err != nil {
		return o, err
	}
	reference := pay.TopUpReference(o, number)
	if err = m.bank.credit(m.ctx, "sandbox-"+reference, reference, sandboxMoney); err != nil {
		return o, err
	}
	for {
		t, err := m.c.TopUp(m.ctx, o, number)
		if err == nil && t.Status == "done" {
			return o, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-m.ctx.Done():
			return o, fmt.Errorf("the money that the buyer brings from the test bank has not arrived: %w", errors.Join(context.Cause(m.ctx), err))
		}
	}
}

// people lets the buyer, somebody who manages the merchant and an operator sign in, with passwords that are made up here: each is invited and accepts, as
// they would themselves.
func (m *sandboxMaker) people(s *sandbox) error {
	const operator = "wei"
	manager := "lina-" + s.Merchant.String()[4:12] + "@tea.example" // nobody signs in for two merchants
	p, err := m.c.AddPerson(m.ctx, s.Merchant, client.NewPerson{Login: manager, Name: "Li Na", Right: "manage"})
	if err == nil {
		_, err = m.c.AddOperator(m.ctx, operator, "operator")
	}
	if err != nil {
		return err
	}
	for _, u := range []struct {
		as, login string
		invite    func() (string, time.Time, error)
	}{
		{"customer", sandboxAliases[0], func() (string, time.Time, error) { return m.c.InviteCustomer(m.ctx, s.Buyer) }},
		{"merchant", manager, func() (string, time.Time, error) { return m.c.InvitePerson(m.ctx, s.Merchant, p.ID) }},
		{"operator", operator, func() (string, time.Time, error) { return m.c.InviteOperator(m.ctx, operator) }},
	} {
		invitation, _, err := u.invite()
		if err != nil {
			return err
		}
		password := strings.ToLower(rand.Text()[:16])
		if _, err := m.c.AcceptInvitation(m.ctx, client.Acceptance{Invitation: invitation, Password: password, How: client.How{Label: "sandbox"}}); err != nil {
			return err
		}
		s.People = append(s.People, sandboxUser{u.as, u.login, password})
	}
	return nil
}

// sandboxPhones is how many phones a customer can have.
const sandboxPhones = 4

// phone gives the buyer phones that show codes; those of a sandbox whose file is gone are taken away.
func (m *sandboxMaker) phone(s *sandbox) error {
	v, err := m.c.Customer(m.ctx, s.Buyer)
	for _, old := range v.Devices {
		if err == nil {
			_, err = m.c.RemoveDevice(m.ctx, s.Buyer, old.Number)
		}
	}
	var lines []byte
	for range sandboxPhones {
		var secret []byte
		if err == nil {
			_, secret, err = m.c.AddDevice(m.ctx, s.Buyer)
		}
		lines = fmt.Appendf(lines, "%x\n", secret)
	}
	if err != nil {
		return err
	}
	s.BuyerDevice, err = m.keep("buyer-device.key", lines)
	return err
}

// keep writes a file that nobody else can read, and returns where it is.
func (m *sandboxMaker) keep(name string, text []byte) (path string, err error) {
	if path, err = filepath.Abs(filepath.Join(m.dir, name)); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, text, 0o600)
}

// sandboxPages are where each kind of people goes on in a browser.
var sandboxPages = map[string]struct{ path, who string }{
	"customer": {"/wallet", "a buyer's wallet"},
	"merchant": {"/portal", "the tea shop's portal"},
	"operator": {"/console", "the operators' console"},
}

// greetSandbox tells a newcomer where to look, and a developer how to make the first payment.
func greetSandbox(w io.Writer, file string, s *sandbox, replays bool) {
	flag := ""
	if file != filepath.Join("holdfast-data", "sandbox", sandboxName) {
		flag = " --file " + file
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  The sandbox is ready: merchant %s with app %s, customers with money, a test bank.\n", s.Merchant, s.AppID)
	if replays {
		fmt.Fprintf(&b, "  People buy in it all the time, as recorded orders say (--replay=false leaves it quiet).\n  %s\n", retail.Attribution)
	}
	fmt.Fprintf(&b, "  Everything about it is in %s.\n\n  Look at it in a browser:\n\n", file)
	for _, p := range s.People {
		page := sandboxPages[p.As]
		fmt.Fprintf(&b, "    %-24s %s%s\n    %-24s as %s, password %s\n", page.who, s.HTTP, page.path, "", p.Login, p.Password)
	}
	fmt.Fprintf(&b, "    %-24s %s\n", "something to pay", s.Try)
	fmt.Fprintf(&b, "\n  For a program:\n\n    %-24s %s\n    %-24s %s/docs\n    %-24s %s/control/state\n\n",
		"gateway of an Alipay SDK", s.Gateway, "native API, and its docs", s.HTTP, "what the test bank knows", s.BankControl)
	fmt.Fprintf(&b, "  A first signed payment, in another terminal:\n\n    holdfast sandbox pay%s\n\n", flag)
	fmt.Fprintf(&b, "  A payment code of the buyer, for your own:\n\n    holdfast sandbox code%s\n\n  Ctrl-C stops it; what it has made is there again next time.\n", flag)
	_, _ = io.WriteString(w, b.String())
}
