package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/testbank"
	"holdfast/bank/wire"
)

const testAccount = "6222020000000000018"

var (
	paymentsLine = regexp.MustCompile(`payments  (\S+)`)
	controlLine  = regexp.MustCompile(`control   (\S+)`)
)

// bankProcess is a test bank as a process of its own.
type bankProcess struct {
	t       *testing.T
	dir     string
	files   string // where files are exchanged; "": nowhere
	cmd     *exec.Cmd
	control string
	wire    *wire.Connector
}

func (b *bankProcess) start(ctx context.Context) {
	b.t.Helper()
	program, err := exec.LookPath("holdfast")
	if err != nil {
		b.t.Fatal(err)
	}
	heard := newListener("control ")
	b.cmd = exec.CommandContext(ctx, program, "testbank", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--data", b.dir, "--account", testAccount+":CNY:100000", "--files", b.files)
	b.cmd.Stdout, b.cmd.Stderr = heard, heard
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	select {
	case <-heard.done:
	case <-ctx.Done():
		b.t.Fatalf("the bank is not ready:\n%s", heard)
	}
	b.control = controlLine.FindStringSubmatch(heard.String())[1]
	b.wire, err = wire.New(wire.Config{
		URL: paymentsLine.FindStringSubmatch(heard.String())[1], Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Initiator: "Holdfast", Terms: bank.Terms{Late: 10 * time.Minute},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// kill ends the process as a power cut does; the bank has no say.
func (b *bankProcess) kill() {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	_ = b.cmd.Wait() // killed
}

func (b *bankProcess) tell(method, path, body string, into any) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.control+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestTestBankSurvivesKill: killed between its journal and its answer, the bank knows after a restart what it has done, and does it once.
func TestTestBankSurvivesKill(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b := &bankProcess{t: t, dir: t.TempDir()}
	b.start(ctx)
	account, err := bank.ParseAccount(testAccount)
	if err != nil {
		t.Fatal(err)
	}
	order := func(id string) *bank.Instruction {
		return &bank.Instruction{
			ID: id, Amount: 100, Asset: holdfast.MustAsset("CNY"), From: account, To: account, Name: "x", Sent: holdfast.Time(time.Now().UnixNano()),
		}
	}
	for n := range 3 {
		id := fmt.Sprint("KILL", n)
		b.tell("PUT", "/control/faults", `{"reply_ms":600000}`, nil)
		answered := make(chan bank.Answer, 1)
		go func() { answered <- b.wire.Send(ctx, order(id)) }()
		var truth testbank.Truth
		for truth.Booked == 0 && ctx.Err() == nil {
			b.tell("GET", "/control/payments?id="+id, "", &truth)
		}
		b.kill()
		if a := <-answered; a.State != bank.Unknown {
			t.Errorf("a bank that was killed before it answered has answered %+v", a)
		}
		b.start(ctx)
		b.tell("PUT", "/control/faults", `{}`, nil)
		if a := b.wire.Ask(ctx, id); a.State != bank.Done {
			t.Errorf("after the restart the bank says of the payment %+v", a)
		}
		if a := b.wire.Send(ctx, order(id)); a.State != bank.Done {
			t.Errorf("sent again, the payment is %+v", a)
		}
		if b.tell("GET", "/control/payments?id="+id, "", &truth); truth.Booked != 1 {
			t.Errorf("the payment was booked %d times", truth.Booked)
		}
	}
	var state testbank.State
	b.tell("GET", "/control/state", "", &state)
	if got := state.Accounts[0].Balance; got != 100_000-300 {
		t.Errorf("the account has %d", got)
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Wait(); err != nil {
		t.Errorf("the bank was asked to stop: %v", err)
	}
}
