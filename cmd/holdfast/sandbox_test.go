package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	stop := serveSandbox(ctx, t, dir)
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

	stop = serveSandbox(ctx, t, dir) // everything is there again
	defer stop()
	second, err := readSandbox(file)
	if err != nil || second.Merchant != first.Merchant || second.AppID != first.AppID || second.Buyer != first.Buyer {
		t.Errorf("after a restart the sandbox is another one: %+v and %+v, %v", first, second, err)
	}
	node(ctx, t, dir)
	balance(ctx, t, &second)
}

// serveSandbox runs the sandbox until it says that it is ready.
func serveSandbox(ctx context.Context, t *testing.T, dir string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "holdfast", "serve", "--sandbox", "--listen", "127.0.0.1:0")
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
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.Available != sandboxMoney-888 && v.Available != sandboxMoney-888-8800 {
		t.Errorf("the buyer has %d fen, %v: he brought %d and paid 888, and 8800 by SDK", v.Available, err, sandboxMoney)
	}
}
