package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadmeQuickStart does what the README tells a newcomer, word for word but for the port, and looks at the answers.
func TestReadmeQuickStart(t *testing.T) {
	t.Parallel() // it waits for others most of the time
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := quickStart(t, string(readme))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	binary, err := exec.LookPath("holdfast")
	if err != nil {
		t.Fatal(err)
	}
	address, key := startSite(ctx, t, binary)
	shell := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(script, "http://127.0.0.1:8080", address))
	shell.Env = append(os.Environ(), "HOLDFAST_KEY="+key)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the quick start failed: %v\n%s", err, out)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, want := range []string{
		`"status":"done"`, `"status":"done"`, `"status":"done"`, // three accounts
		`"replay":false`, `"replay":false`, `"replay":true`, // funded, paid, paid again
		`"0190f3c6-2a3b-7c4d-8e5f-001122334455","status":"done"`, `"status":"done"`, // held, posted
		`"balance":6750,"available":6750`, // 100.00 less 12.50 less 20.00
		`"amount":2000`, `"ok":true,"balanced":true`,
	} {
		if i >= len(answers) || !strings.Contains(answers[i], want) {
			t.Errorf("answer %d does not hold %s; the answers are:\n%s", i+1, want, out)
		}
	}
}

// quickStart cuts the shell block out of the README that follows the mark.
func quickStart(t *testing.T, readme string) string {
	_, rest, found := strings.Cut(readme, "<!-- quick-start:")
	_, rest, opened := strings.Cut(rest, "```sh\n")
	script, _, closed := strings.Cut(rest, "\n```")
	if !found || !opened || !closed {
		t.Fatal("the README has no quick start after its mark")
	}
	return script
}

var (
	addressLine = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	keyLine     = regexp.MustCompile(`export HOLDFAST_KEY=(hf_\S+)`)
)

// startSite runs `holdfast serve` on a free port until the test ends, and reads address and key from what it prints.
func startSite(ctx context.Context, t *testing.T, binary string) (address, key string) {
	serve := exec.CommandContext(ctx, binary, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait() // the process was told to stop: how it says so is another test's matter
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address == "" {
			address = addressLine.FindString(lines.Text())
		}
		if m := keyLine.FindStringSubmatch(lines.Text()); m != nil {
			return address, m[1]
		}
	}
	t.Fatal("serve ended without printing a key")
	return "", ""
}
