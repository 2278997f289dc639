package main

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"holdfast/client"
)

// firstTrade does what the getting-started page of a merchant says: it signs in, takes the program for the official SDK as the page shows it, runs it, and
// pays what it makes as a customer. The program sees the payment, and so does the page of the day.
func firstTrade(ctx context.Context, t *testing.T, dir string, s *sandbox) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Log("without the official SDK: the program of the portal did not run")
		return
	}
	key, err := os.ReadFile(filepath.Join(dir, s.AppPrivateKey))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "app-private-key.pem"), key, 0o600)
	}
	text := portalPage(ctx, t, s, "/portal/start")
	program := regexp.MustCompile(`(?s)<pre id="s-node"[^>]*>(.*?)</pre>`).FindStringSubmatch(text)
	if err != nil || program == nil {
		t.Fatalf("the page has no program (%v): %s", err, text)
	}
	if err := os.WriteFile(filepath.Join(dir, "first.mjs"), []byte(html.UnescapeString(program[1])), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", "first.mjs")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), "/q/") {
		t.Fatalf("the program prints %q, and not the address of the QR code", lines.Text())
	}
	number, err := payAsCustomer(ctx, s, path.Base(strings.TrimSpace(lines.Text())))
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if err := cmd.Wait(); err != nil || last != "TRADE_SUCCESS" {
		t.Errorf("the program ends with %q, %v", last, err)
	}
	for page, want := range map[string]string{"/portal": number, "/portal/trades/" + number: "88.00 CNY"} {
		if body := portalPage(ctx, t, s, page); !strings.Contains(body, want) {
			t.Errorf("%s does not show %s:\n%s", page, want, body)
		}
	}
}

// payAsCustomer opens a QR code as the buyer's wallet does, and pays it.
func payAsCustomer(ctx context.Context, s *sandbox, token string) (number string, err error) {
	c, err := client.New(client.Config{Sites: []string{s.HTTP}, Key: s.APIKey})
	if err != nil {
		return "", err
	}
	defer c.Close()
	opened, err := c.OpenCode(ctx, token)
	if err != nil {
		return "", err
	}
	_, err = c.PayTrade(ctx, s.Merchant, opened.OutTradeNo, s.Buyer)
	return opened.OutTradeNo, err
}

// portalPage is a page of the portal for who manages the sandbox's merchant.
func portalPage(ctx context.Context, t *testing.T, s *sandbox, address string) string {
	t.Helper()
	anybody, err := client.New(client.Config{Sites: []string{s.HTTP}})
	if err != nil {
		t.Fatal(err)
	}
	defer anybody.Close()
	var in client.SignedIn
	for _, p := range s.People {
		if p.As == "merchant" {
			in, err = anybody.SignIn(ctx, client.Credentials{As: p.As, Login: p.Login, Password: p.Password})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "holdfast_session", Value: in.Token})
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: %d %w: %s", address, answer.StatusCode, err, body))
	}
	return string(body)
}
