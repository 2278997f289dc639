package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
)

// TestSandbox does what the README tells a merchant's developer, word for word but for the port, and again after a restart: the first signed
// payment, a code, the official SDK, and a payment that cannot be made. What the test bank brought is there.
func TestSandbox(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	binary, err := exec.LookPath("holdfast")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "holdfast")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "holdfast-data", "sandbox", sandboxName)
	stop := serveSandbox(ctx, t, dir, false)
	out := inDir(ctx, t, dir, nil, "bash", "-e", "-c", shellOf(t, "sandbox"))
	for _, want := range []string{"Signed (RSA2", `"alipay_trade_pay_response":{"code":"10000"`, "The platform's signature is right", "Paid: 8.88 yuan"} {
		if !strings.Contains(out, want) {
			t.Errorf("the first payment does not say %q:\n%s", want, out)
		}
	}
	if code := strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]); len(code) != 18 || !strings.HasPrefix(code, "28") {
		t.Errorf("the payment code is %q", code)
	}
	first, err := readSandbox(file)
	if err != nil {
		t.Fatal(err)
	}
	refused(ctx, t, binary, file)
	stop()

	stop = serveSandbox(ctx, t, dir, false) // everything is there again
	defer stop()
	second, err := readSandbox(file)
	if err != nil || second.Merchant != first.Merchant || second.AppID != first.AppID || second.Buyer != first.Buyer {
		t.Errorf("after a restart the sandbox is another one: %+v and %+v, %v", first, second, err)
	}
	balance(ctx, t, &second)
	people(ctx, t, dir, &second)
	node(ctx, t, dir)
	firstTrade(ctx, t, dir, &second)
	audited(ctx, t, &second)
}

// serveSandbox runs the sandbox until it says that it is ready.
func serveSandbox(ctx context.Context, t *testing.T, dir string, replay bool) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "holdfast", "serve", "--sandbox", fmt.Sprintf("--replay=%v", replay), "--listen", "127.0.0.1:0", "--rehearse", "trouble.toml")
	cmd.Dir = dir
	heard := newListener("Ctrl-C stops it")
	cmd.Stdout, cmd.Stderr = heard, heard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard.done:
	case <-ctx.Done():
		t.Fatalf("the sandbox was not ready:\n%s", heard)
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, heard)
		}
	}
}

func inDir(ctx context.Context, t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// people: everybody whom the sandbox has can sign in, and the commands let others.
func people(ctx context.Context, t *testing.T, dir string, s *sandbox) {
	t.Helper()
	anybody, err := client.New(client.Config{Sites: []string{s.HTTP}})
	if err != nil {
		t.Fatal(err)
	}
	defer anybody.Close()
	for _, p := range s.People {
		if in, err := anybody.SignIn(ctx, client.Credentials{As: p.As, Login: p.Login, Password: p.Password}); err != nil || in.As != p.As {
			t.Errorf("%s %s: %+v %v", p.As, p.Login, in, err)
		}
	}
	env := []string{"HOLDFAST_SITE=" + s.HTTP, "HOLDFAST_KEY=" + s.APIKey}
	holdfast := func(args ...string) string {
		return inDir(ctx, t, dir, env, "holdfast", append([]string{"person"}, args...)...)
	}
	invitation := func(out string) string { return out[strings.Index(out, "hfi_"):][:73] }
	merchant := s.Merchant.String()
	holdfast("add", "merchant", merchant, "--login", "bo@tea.example", "--right", "work", "--json", "bo.json")
	text, err := os.ReadFile(filepath.Join(dir, "bo.json"))
	var bo invited
	if err == nil {
		err = json.Unmarshal(text, &bo)
	}
	if err != nil || bo.As != "merchant" || bo.Invitation == "" {
		t.Fatalf("added: %s %v", text, err)
	}
	again := invitation(holdfast("invite", "merchant", merchant, "--id", bo.Person))
	const password = "nine mountains of rice"
	cmd := exec.CommandContext(ctx, "holdfast", "person", "password", "--site", s.HTTP)
	cmd.Stdin = strings.NewReader(again + "\n" + password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "sign in as merchant") || strings.Contains(string(out), password) {
		t.Errorf("%v: %s", err, out)
	}
	if in, err := anybody.SignIn(ctx, client.Credentials{As: "merchant", Login: "bo@tea.example", Password: password}); err != nil || in.Right != "work" {
		t.Errorf("%+v %v", in, err)
	}
	if out := holdfast("list", "--merchant", merchant); !strings.Contains(out, bo.Person) || strings.Contains(out, "bo@") {
		t.Errorf("listed: %s", out)
	}
	holdfast("remove", "merchant", merchant, "--id", bo.Person)
	if out := holdfast("list", "--merchant", merchant); strings.Contains(out, bo.Person) {
		t.Errorf("listed after he was taken away: %s", out)
	}
	invitation(holdfast("invite", "customer", s.Friend.String()))
}

// refused: more than the buyer has is refused, and the command says so and fails.
func refused(ctx context.Context, t *testing.T, binary, file string) {
	t.Helper()
	out, err := exec.CommandContext(ctx, binary, "sandbox", "pay", "--file", file, "--amount", "999999.00").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "ACQ.BUYER_BALANCE_NOT_ENOUGH") {
		t.Errorf("a payment of more than there is: %v\n%s", err, out)
	}
}

// node runs the README's program with the official SDK, where that is installed.
func node(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	modules, err := filepath.Abs("../../alipay/testdata/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "alipay-sdk")); err != nil {
		if os.Getenv("HOLDFAST_WITHOUT_NODE_SDK") == "" {
			t.Errorf("the official SDK is not installed: make sdk installs it (%v)", err)
		}
		t.Log("without the official SDK: the README's program did not run")
		return
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pay.mjs"), []byte(blockOf(t, "node", "js")), 0o600); err != nil {
		t.Fatal(err)
	}
	out := inDir(ctx, t, dir, nil, "node", "pay.mjs")
	if strings.Count(out, "code: '10000'") != 2 || !strings.Contains(out, "TRADE_SUCCESS") {
		t.Errorf("the official SDK says:\n%s", out)
	}
	everyMethod(ctx, t, dir)
}

// everyMethod lets the official SDK go through all methods, good and bad, by both protocols: today's, and tomorrow those of bills.
func everyMethod(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("../../alipay/testdata/node/real.mjs")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "real.mjs"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"real.mjs", filepath.Join("holdfast-data", "sandbox", sandboxName), filepath.Join("bin", "holdfast"), "m"}
	seen := map[string]map[string]bool{}
	note := func(out string) {
		var done map[string][]string
		if err := json.Unmarshal([]byte(out), &done); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		for kind, methods := range done {
			for _, m := range methods {
				if seen[kind] == nil {
					seen[kind] = map[string]bool{}
				}
				seen[kind][m] = true
			}
		}
	}
	note(inDir(ctx, t, dir, nil, "node", args...))
	const settled = 10 * time.Minute // after midnight nothing of the day can come any more
	now := time.Now()
	local := now.In(beijing)
	ahead := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, beijing).Add(settled).Sub(now)
	if err := os.WriteFile(filepath.Join(dir, "trouble.toml"), fmt.Appendf(nil, "clock_ahead = %q\n", ahead), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * clockFor)
	note(inDir(ctx, t, dir, []string{fmt.Sprintf("AHEAD_MS=%d", ahead.Milliseconds())}, "node", append(args, "bills")...))
	const methods, pages = 21, 3 // the pages have no v3
	if len(seen["good"]) != methods || len(seen["bad"]) != methods || len(seen["v3"]) != methods-pages {
		t.Errorf("%d methods were done, %d refused, %d done in v3; want %d, %d, %d: %v", len(seen["good"]), len(seen["bad"]), len(seen["v3"]), methods, methods, methods-pages, seen)
	}
}

// audited: whatever the methods of the gateway have done, every account holds what the documents say; and a fen that an operator moves in the ledger
// itself, past the payments, is found.
func audited(ctx context.Context, t *testing.T, s *sandbox) {
	t.Helper()
	audit := func(key string) (int, string) {
		cmd := exec.CommandContext(ctx, "holdfast", "audit", "--site", s.HTTP)
		cmd.Env = append(os.Environ(), keyVariable+"="+key)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	code, out := audit(s.APIKey)
	if code != 0 || !strings.Contains(out, "payments: 2 wallets of customers and") || !strings.Contains(out, "holds what the documents say") {
		t.Errorf("the audit ends with %d:\n%s", code, out)
	}
	c, err := client.New(client.Config{Sites: []string{s.HTTP}, Key: s.APIKey})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	of := func(o holdfast.Owner) holdfast.AccountID {
		return holdfast.AccountID{Owner: o, Purpose: pay.Wallet, Asset: yuan}
	}
	theft := holdfast.Transfer{ID: c.NewID(), Kind: holdfast.Immediate, Debit: of(s.Buyer), Credit: of(s.Friend), Amount: 1}
	if o, err := c.Pay(ctx, theft); err != nil || o.Status != holdfast.Done {
		t.Fatalf("an operator may move money in the ledger: %+v, %v", o, err)
	}
	code, out = audit(s.APIKey)
	for o, change := range map[holdfast.Owner]string{s.Buyer: "-1", s.Friend: "+1"} {
		if want := "DIFFERENCE: " + of(o).String(); code != exitFailed || !strings.Contains(out, want) || !strings.Contains(out, ": "+change+"\n") {
			t.Errorf("the audit ends with %d, and does not say %q and %s:\n%s", code, want, change, out)
		}
	}
}

// balance: the buyer has what the bank brought less what was paid.
func balance(ctx context.Context, t *testing.T, s *sandbox) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/v1/customers/"+s.Buyer.String()+"/wallets/CNY", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.APIKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var v struct{ Available int64 }
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.Available != sandboxMoney-888 {
		t.Errorf("the buyer has %d fen, %v: he brought %d and paid 888", v.Available, err, sandboxMoney)
	}
}
