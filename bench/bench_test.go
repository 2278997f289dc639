package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/guard"
	"holdfast/httpapi"
	"holdfast/pay"
	"holdfast/shard"
	"holdfast/site"
)

// mustRun runs a bench with sizes that a test can afford, and looks at the form that other programs rely on.
func mustRun(t *testing.T, name string, o Options) []Result {
	t.Helper()
	o.Dir = t.TempDir()
	if err := o.Check(name); err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var form struct {
		Bench   string `json:"bench"`
		Cores   int    `json:"cores"`
		Results []map[string]any
	}
	if err := json.Unmarshal(text, &form); err != nil || form.Bench != name || form.Cores < 1 || len(form.Results) != len(report.Results) {
		t.Fatalf("%v: %s", err, text)
	}
	for _, r := range form.Results {
		for _, field := range []string{"name", "per_s", "p50_ms", "p99_ms", "seconds", "config"} {
			if _, ok := r[field]; !ok {
				t.Errorf("a result of %s has no %q: %s", name, field, text)
			}
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("bench %s leaves %v behind, %v", name, left, err)
	}
	return report.Results
}

func TestLedger(t *testing.T) {
	list := mustRun(t, "ledger", Options{Only: []string{"apply-10k", "apply-hot"}, Transfers: 2 * batchSize})
	if len(list) != 2 || list[0].Name != "apply-10k" || list[1].Name != "apply-hot" {
		t.Fatalf("%+v", list)
	}
	for _, r := range list {
		if r.PerS <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Config["transfers"] != 2*batchSize {
			t.Errorf("%+v", r)
		}
	}
}

func TestCommit(t *testing.T) {
	list := mustRun(t, "commit", Options{
		Only: []string{"1-site-batch", "1-site-single", "1-site-mixed"}, Transfers: 3 * batchSize, Length: time.Second, Callers: 8,
	})
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	for _, r := range list {
		if r.PerS <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Seconds <= 0 || r.Config["sampled"] == 0 || r.Config["found"] != r.Config["sampled"] {
			t.Errorf("%+v", r)
		}
	}
	if n := list[0].Config["transfers"].(int); n < 3*batchSize || n%batchSize != 0 {
		t.Errorf("%d transfers were counted, want at least %d in whole batches", n, 3*batchSize)
	}
}

// commits is a committer at a site in this process, with accounts and some payments.
func commits(t *testing.T) *committer {
	t.Helper()
	c := &committer{o: &Options{Callers: 1, Length: time.Second}, sites: 1, cast: newCast(100), every: 100}
	stop, err := c.open(t.Context(), site.Embedded(filepath.Join(t.TempDir(), "data"), "127.0.0.1:0"), site.Options{}, func() error { return nil })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.fund(t.Context()); err != nil {
		t.Fatal(err)
	}
	var begun atomic.Int64
	sent, _, err := c.bulk(t.Context(), func() bool { return begun.Add(1) <= 3 })
	if err != nil || sent == 0 || len(c.sample) < 10 {
		t.Fatalf("%d sent, %d in the sample, %v", sent, len(c.sample), err)
	}
	return c
}

// A check that cannot fail proves nothing: an id that was never paid, and one that was paid with something else, are found out
// by whoever looks.
func TestALostPaymentIsFoundOut(t *testing.T) {
	c := commits(t)
	h := &historian{committer: c, o: &Options{Say: func(string) {}}}
	looks := map[string]func(context.Context) error{
		"commit":  func(ctx context.Context) error { return c.verify(ctx, &Result{Config: map[string]any{}}) },
		"history": h.lookups,
	}
	for name, look := range looks {
		if err := look(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := h.missing(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := slices.Clone(c.sample)
	for plant, spoil := range map[string]func(p *paid){
		"lost":     func(p *paid) { p.id[15] ^= 1 },
		"altered":  func(p *paid) { p.amount++ },
		"diverted": func(p *paid) { p.credit = c.cast.bank },
	} {
		c.sample = slices.Clone(whole)
		spoil(&c.sample[len(whole)/2])
		for name, look := range looks {
			if err := look(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint(len(whole))) {
				t.Errorf("%s does not see that a payment is %s: %v", name, plant, err)
			}
		}
	}
	c.sample = whole
	err := h.look(t.Context(), "history-missing", 1, 0, func(v *shard.View, _ int) (bool, error) {
		_, ok, err := v.Txn(whole[0].id)
		return ok, err
	})
	if err == nil {
		t.Error("an id that must not be there was found, and nobody says so")
	}
}

// A victim tells what it has acknowledged; a site that comes back without a part of that is found out.
func TestARestartIsChecked(t *testing.T) {
	key, secret, err := guard.NewKey("bench", guard.Operator, [guard.KeyEntropy]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := site.Embedded(filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	cfg.Keys = []site.APIKey{{Name: key.Name, Role: key.Role, SHA256: key.Hash}}
	heard := live(t, cfg, Victim{Accounts: 50, Entries: 400})
	if heard.index-heard.checkpoint < 400 || len(heard.paid) < 400 || len(heard.balances) == 0 || heard.since < 400 {
		t.Fatalf("%d entries since the checkpoint, %d payments, %d balances were told of, want 400 entries of one payment each",
			heard.index-heard.checkpoint, heard.since, len(heard.balances))
	}
	g := &ground{pays: asks(t, cfg, secret)}
	r := &Result{Config: map[string]any{}}
	if err := g.check(t.Context(), heard, r); err != nil {
		t.Fatal(err)
	}
	if r.Config["accounts_after"] != 51 || r.Config["found"] != r.Config["sampled"] || r.Config["balances_right"] != len(heard.balances) {
		t.Errorf("%+v", r.Config)
	}
	for plant, spoil := range map[string]func(*told){
		"lost":           func(x *told) { x.paid[len(x.paid)-1].ID[15] ^= 1 },
		"altered":        func(x *told) { x.paid[len(x.paid)-1].Amount++ },
		"other balances": func(x *told) { x.balances[0].Credits++ },
	} {
		worse := told{paid: slices.Clone(heard.paid), balances: slices.Clone(heard.balances)}
		spoil(&worse)
		if err := g.check(t.Context(), worse, r); err == nil {
			t.Errorf("nobody sees: %s", plant)
		}
	}
}

// TestNoCheckpointWhileTheLogIsFilled: one that came all the same would be measured as a restart from a short log. No bound of a replica
// may be left at what it is by default.
func TestNoCheckpointWhileTheLogIsFilled(t *testing.T) {
	v := reflect.ValueOf(noCheckpoints)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; strings.HasPrefix(name, "Seal") && v.Field(i).IsZero() {
			t.Errorf("a victim that makes no checkpoints leaves %s at its default", name)
		}
	}
	for _, x := range []struct {
		victim Victim
		told   told
		whole  bool
	}{
		{Victim{Entries: 1000}, told{checkpoint: 50, index: 1050}, true},
		{Victim{Entries: 1000}, told{checkpoint: 50, index: 1090}, true},
		{Victim{Entries: 1000}, told{checkpoint: 51, index: 1050}, false},
		{Victim{Entries: 1000}, told{checkpoint: 742, index: 1050}, false},
		{Victim{Entries: 1000}, told{checkpoint: 1060, index: 1050}, false},
		{Victim{}, told{checkpoint: 1000, index: 1001}, true}, // it makes batches, with checkpoints
	} {
		if err := x.victim.filled(&x.told); (err == nil) != x.whole {
			t.Errorf("%d entries wanted, checkpoint at %d of %d: %v", x.victim.Entries, x.told.checkpoint, x.told.index, err)
		}
	}
}

// live has a victim open its accounts and do its work in this process, and hears what it tells until it would be killed.
func live(t *testing.T, cfg site.Config, v Victim) (heard told) {
	t.Helper()
	for _, open := range []bool{true, false} {
		v.Open = open
		orders, end := io.Pipe()
		in, out := io.Pipe()
		lived := make(chan error, 1)
		go func() {
			err := v.Live(t.Context(), cfg, orders, out)
			lived <- err
			_ = out.Close() // never fails
		}()
		killed, err := heard.listen(in, v, 0, end.Close)
		if err != nil || killed == open {
			t.Fatalf("killed: %t, %v", killed, err)
		}
		if err := <-lived; err != nil {
			t.Fatal(err)
		}
	}
	return heard
}

// asks brings a site up and gives a client of it.
func asks(t *testing.T, cfg site.Config, secret guard.Secret) *client.Client {
	t.Helper()
	s, err := site.Open(cfg, site.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(httpapi.New(s, httpapi.Options{Keys: cfg.GuardKeys(), Registry: s.Registry(), Deadline: 10 * time.Second}))
	c, err := client.New(client.Config{Sites: []string{server.URL}, Key: secret.Reveal(), Timeout: 20 * time.Second, Hedge: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// What a victim said last may be cut off by its death; what it said before counts.
func TestListenToTheKilled(t *testing.T) {
	var said bytes.Buffer
	said.WriteString(`{"checkpoint":7}` + "\n" + `{"index":9,"payments":3,"ready":true}` + "\n")
	for n := range 40 {
		fmt.Fprintf(&said, `{"index":%d,"payments":1}`+"\n", 10+n)
	}
	said.WriteString(`{"index":50,"pay`)
	var x told
	kills := 0
	killed, err := x.listen(&said, Victim{Entries: 1}, 0, func() error { kills++; return nil })
	if err != nil || !killed || kills != 1 || x.checkpoint != 7 || x.index != 49 || x.since != 43 {
		t.Errorf("killed %t (%d times), heard %+v, %v", killed, kills, x, err)
	}
	if _, err := new(told).listen(strings.NewReader("what?"), Victim{}, 0, nil); err == nil {
		t.Error("nonsense was taken for tidings")
	}
}

func TestProbesAreSplitByCheckpoints(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1000 + ms)) }
	const msec = time.Millisecond
	made := []shard.CheckpointMade{{Began: at(100), Took: 50 * msec, Seal: 2 * msec, Forget: msec}, {Began: at(300), Took: 10 * msec, Waited: 30 * msec}}
	probes := []probe{
		{at(90), 5 * msec},   // over before
		{at(95), 4 * msec},   // under way when the segment was cut
		{at(120), msec},      // within
		{at(150), 7 * msec},  // due before the end
		{at(152), 9 * msec},  // due after it
		{at(290), 40 * msec}, // around the second
	}
	during, beside := split(probes, made)
	if want := (times{4 * msec, msec, 7 * msec, 40 * msec}); !slices.Equal(during, want) {
		t.Errorf("during: %v, want %v", during, want)
	}
	if want := (times{5 * msec, 9 * msec}); !slices.Equal(beside, want) {
		t.Errorf("beside: %v, want %v", beside, want)
	}
	c := new(historian).pauses(probes, made)
	if c["checkpoints"] != 2 || c["checkpoint_ms"] != 30.0 || c["stop_to_cut_ms_max"] != 2.0 || c["stop_store_behind_ms_max"] != 30.0 {
		t.Errorf("%v", c)
	}
}

func TestMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := sizeOf(dir); err != nil || n < 100_000 || n > 200_000 {
		t.Errorf("%d bytes, %v; want a little more than 100,000", n, err)
	}
	if _, err := chill(dir); err != nil {
		t.Error(err)
	}
	if err := needSpace(dir, 1); err != nil {
		t.Error(err)
	}
	if err := needSpace(dir, 1<<60); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("a disk of an exabyte, or a refusal that does not say what to do: %v", err)
	}
	if _, err := os.Stat("/proc/self/status"); err == nil {
		if m := memoryOf(os.Getpid()); m.resident < 1<<20 || m.peak < m.resident || others() == "" {
			t.Errorf("%+v, load %q", m, others())
		}
		for used := processorOf(os.Getpid()); processorOf(os.Getpid()) == used; { // until the clock of the system has moved on
		}
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []Options{{Only: []string{"nothing"}}, {Transfers: -1}, {Accounts: 3}, {Accounts: mostAccounts + 1}, {Entries: -1}} {
		if bad.Check("restart") == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	if err := (&Options{Only: []string{"restart"}, Accounts: 100, Entries: 100}).Check("restart"); err != nil {
		t.Error(err)
	}
	report, err := Run(t.Context(), "history", Options{Transfers: 1 << 50, Dir: t.TempDir()})
	if err == nil || len(report.Results) != 0 {
		t.Errorf("a history that fits no disk is begun: %+v, %v", report, err)
	}
}

// The day that is settled is not over for anybody but whoever settles it, and can be settled since half an hour for him.
func TestSettleAhead(t *testing.T) {
	for hour := range 48 {
		now := time.Date(2026, 12, 30, hour, 59, 0, 0, time.UTC)
		s := &settlement{}
		s.settleAhead(now)
		if !s.day.After(now) || now.Add(s.ahead).Sub(s.day.AddDate(0, 0, 1).Add(pay.SettleLag)) != 30*time.Minute {
			t.Errorf("at %v: %v, %v ahead", now, s.day, s.ahead)
		}
	}
}
