package bench

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
)

var restartCases = []kase{{name: "restart", several: restarts}}

const (
	restartAccounts = 10_000_000
	restartEntries  = 1_000_000
	accountBytes    = 700 // on disk, for an account that is opened and funded, and a bit to spare
	entryBytes      = 800 // on disk, for a log entry of one payment
	readyWithin     = 5 * time.Minute
)

// ground is a data directory that a victim dies in and a real site comes back from.
type ground struct {
	o     *Options
	fleet *drill.Bare
	data  string
	pays  *client.Client
}

func newGround(ctx context.Context, o *Options, dir string) (*ground, error) {
	fleet, err := drill.StartBare(ctx, o.Program, dir, drill.BareOptions{Sites: 1, Shards: 1, Except: 1})
	if err != nil {
		return nil, err
	}
	g := &ground{o: o, fleet: fleet, data: fleet.Config(1).Data}
	g.pays, err = client.New(client.Config{Sites: fleet.URLs(0), Key: fleet.Key(), Timeout: time.Minute, Hedge: -1})
	if err != nil {
		return nil, errors.Join(err, fleet.Close())
	}
	return g, nil
}

func (g *ground) close() error {
	g.pays.Close()
	return g.fleet.Close()
}

// restarts measures how a site with many accounts comes back: after a crash under full load, and with a long log since its
// last checkpoint. What was acknowledged before, the trial balance and balances have to be right.
func restarts(ctx context.Context, o *Options) (list []Result, err error) {
	accounts, entries := cmp.Or(o.Accounts, restartAccounts), cmp.Or(o.Entries, restartEntries)
	if err := needSpace(o.Dir, int64(accounts)*accountBytes+int64(entries)*entryBytes+4<<30); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the site: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := newGround(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	o.Say(fmt.Sprintf("restart: opening %d accounts", accounts))
	if _, err := g.sacrifice(ctx, Victim{Accounts: accounts, Open: true}, 0); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name   string
		victim Victim
		length time.Duration
		log    string
	}{
		{"restart-crash", Victim{Accounts: accounts}, o.Length, "killed under full load in batches, with the thresholds of every site"},
		{"restart-entries", Victim{Accounts: accounts, Entries: entries}, 0, "no checkpoint since so many entries, one payment in each"},
	} {
		o.Say(c.name)
		r, err := g.restart(ctx, c.victim, c.length)
		if err != nil {
			return list, fmt.Errorf("%s: %w", c.name, err)
		}
		r.Name, r.Config["log"] = c.name, c.log
		list = append(list, r)
	}
	return list, nil
}

// restart kills a victim, starts a site in its place, and measures and checks that.
func (g *ground) restart(ctx context.Context, v Victim, length time.Duration) (Result, error) {
	told, err := g.sacrifice(ctx, v, length)
	if err == nil {
		err = v.filled(&told)
	}
	if err != nil {
		return Result{}, err
	}
	back, err := g.comeBack(ctx)
	defer func() { _ = g.fleet.Kill(1) }() // gone already, or about to be thrown away
	if err != nil {
		return Result{}, err
	}
	replayed := int(told.index - told.checkpoint)
	r := Result{PerS: rate(replayed, back.ready), Seconds: seconds(back.ready), Config: map[string]any{
		"accounts": v.Accounts, "entries": replayed, "payments": told.since, "sites": 1, "fsync": true, "killed": "SIGKILL, with payments under way",
		"files": back.files(), "ready_s": seconds(back.ready), "first_payment_s": seconds(back.paid),
		"rss_mib": mib(back.memory.resident), "rss_peak_mib": mib(back.memory.peak), "cpu_s": seconds(back.used), "load_average": back.load,
		"target": "10 million accounts and a million entries: ready in under 10 s, at most 3 GiB",
		"layout": "one process of this program, asked over HTTP",
	}}
	return r, g.check(ctx, told, &r)
}

// filled is an error when a checkpoint has come while the victim filled its log, or afterwards: then less is replayed than the case says,
// and its number would be too good.
func (v *Victim) filled(t *told) error {
	if left := int(t.index - t.checkpoint); v.Entries > 0 && left < v.Entries {
		return fmt.Errorf("the log is to hold %d entries since the last checkpoint when the site is killed, and holds %d: "+
			"a checkpoint came at entry %d of %d; nothing was measured", v.Entries, left, t.checkpoint, t.index)
	}
	return nil
}

// told is what a victim has told.
type told struct {
	checkpoint uint64
	index      uint64
	since      int // payments acknowledged after the last checkpoint that was heard of: about what is replayed
	paid       []Receipt
	balances   []BalanceTold
}

func (t *told) hear(line *Tidings) {
	if line.Checkpoint > 0 {
		t.checkpoint, t.since = line.Checkpoint, 0
	}
	t.index = max(t.index, line.Index)
	t.since += line.Payments
	t.paid = append(t.paid, line.Paid...)
	t.balances = append(t.balances, line.Balances...)
}

// sacrifice has a victim live, and kills it when it may be killed and has worked long enough. One that only opens accounts ends by
// itself.
func (g *ground) sacrifice(ctx context.Context, v Victim, length time.Duration) (t told, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.o.Program, "bench-site", "--config", g.fleet.ConfigFile(1),
		"--accounts", strconv.Itoa(v.Accounts), "--entries", strconv.Itoa(v.Entries), "--open="+strconv.FormatBool(v.Open))
	cmd.Stderr = os.Stderr
	orders, err := cmd.StdinPipe() // it ends with us, and with it the victim
	if err != nil {
		return t, fmt.Errorf("start the site that is killed later: %w", err)
	}
	defer orders.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, fmt.Errorf("start the site that is killed later: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return t, fmt.Errorf("start the site that is killed later: %w", err)
	}
	killed, err := t.listen(out, v, length, cmd.Process.Kill)
	ended := cmd.Wait()
	switch {
	case err != nil:
		return t, errors.Join(err, ctx.Err())
	case !killed && ended != nil:
		return t, fmt.Errorf("the site that was to be killed later ended by itself: %w", ended)
	case killed != !v.Open:
		return t, errors.New("the site that was to be killed later ended before that")
	}
	return t, ctx.Err()
}

// listen reads tidings until they end, and kills when the time has come. What was written before the end counts.
func (t *told) listen(out io.Reader, v Victim, length time.Duration, kill func() error) (killed bool, err error) {
	const trickled = 20 // payments one by one before the end
	began, after := time.Now(), 0
	ready := false
	for in := json.NewDecoder(bufio.NewReader(out)); ; {
		var line Tidings
		if err := in.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) || killed {
				return killed, nil // a last line may be cut off
			}
			return killed, fmt.Errorf("listen to the site that is killed later: %w", err)
		}
		t.hear(&line)
		ready = ready || line.Ready
		if ready {
			after++
		}
		if !v.Open && !killed && ready && after > trickled && time.Since(began) >= length {
			if err := kill(); err != nil {
				return false, fmt.Errorf("kill the site: %w", err)
			}
			killed = true
		}
	}
}

// back is a site that has come back.
type back struct {
	ready  time.Duration // from the start of the process until /readyz said so
	paid   time.Duration // until a payment was acknowledged
	cold   bool
	used   time.Duration // of the processor, until a payment was acknowledged
	load   string
	memory memory // once a payment was acknowledged; the peak is since the start of the process
}

func (b *back) files() string {
	if b.cold {
		return "not in the memory of the kernel: read from the disk"
	}
	return "in the memory of the kernel"
}

// comeBack starts the site and waits until it is of use.
func (g *ground) comeBack(ctx context.Context) (b back, err error) {
	if b.cold, err = chill(g.data); err != nil {
		return b, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	began := time.Now()
	if err := g.fleet.Start(1); err != nil {
		return b, err
	}
	if err := g.awaitReady(ctx); err != nil {
		return b, err
	}
	b.ready = time.Since(began)
	bank, wallet := account(0, 0, "bank"), account(0, 1, "wallet")
	out, err := g.pays.Pay(ctx, holdfast.Transfer{ID: g.pays.NewID(), Kind: holdfast.Immediate, Debit: bank, Credit: wallet, Amount: 1})
	if err != nil || out.Status != holdfast.Done {
		return b, fmt.Errorf("the first payment after the restart: %s (%s): %w", out.Status, out.Code, err)
	}
	b.paid, b.memory, b.used, b.load = time.Since(began), memoryOf(g.fleet.PID(1)), processorOf(g.fleet.PID(1)), others()
	return b, nil
}

func (g *ground) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.fleet.URLs(0)[0]+"/readyz", http.NoBody)
		if err != nil {
			return fmt.Errorf("ask whether the site is ready: %w", err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			err = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return err
			}
		}
		if ended := g.fleet.Ended(1); ended != nil {
			return ended
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the site was not ready in time: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// check compares what the site says now with what was acknowledged before it died.
func (g *ground) check(ctx context.Context, t told, r *Result) error {
	audit, err := g.pays.Audit(ctx)
	if err != nil {
		return fmt.Errorf("audit after the restart: %w", err)
	}
	if !audit.OK {
		return fmt.Errorf("the books are not right after the restart: %v", audit.Problems)
	}
	found, err := g.receipts(ctx, t.paid)
	if err != nil {
		return err
	}
	right, err := g.balances(ctx, t.balances)
	if err != nil {
		return err
	}
	c := r.Config
	c["books_balanced"], c["sampled"], c["found"] = audit.Balanced, len(found), count(found)
	c["balances_compared"], c["balances_right"] = len(t.balances), right
	for _, s := range audit.Shards {
		c["accounts_after"] = s.Accounts
	}
	if n := count(found); n != len(found) || right != len(t.balances) {
		return fmt.Errorf("%d of %d payments that were acknowledged are not there as they were, and %d of %d balances differ",
			len(found)-n, len(found), len(t.balances)-right, len(t.balances))
	}
	return nil
}

func count(all []bool) (n int) {
	for _, yes := range all {
		if yes {
			n++
		}
	}
	return n
}

// receipts looks acknowledged payments up, the last of them first, and says which are there as they were acknowledged.
func (g *ground) receipts(ctx context.Context, paid []Receipt) (found []bool, err error) {
	for _, p := range paid[max(0, len(paid)-checkedMost):] {
		t, err := g.pays.Txn(ctx, p.ID)
		if err != nil && !client.IsNotFound(err) {
			return nil, fmt.Errorf("look up %s: %w", p.ID, err)
		}
		found = append(found, err == nil && p.is(&t))
	}
	return found, nil
}

func (p *Receipt) is(t *client.Txn) bool {
	if t.Outcome.Status != holdfast.Done || len(t.Transfers) != 1 {
		return false
	}
	leg := &t.Transfers[0]
	return Receipt{leg.Txn, leg.Debit.String(), leg.Credit.String(), leg.Amount} == *p
}

func (g *ground) balances(ctx context.Context, list []BalanceTold) (right int, err error) {
	for _, b := range list {
		id, err := holdfast.ParseAccountID(b.Account)
		if err != nil {
			return right, err
		}
		a, err := g.pays.Account(ctx, id)
		if err != nil {
			return right, fmt.Errorf("read account %s: %w", id, err)
		}
		if a.DebitsPosted == b.Debits && a.CreditsPosted == b.Credits {
			right++
		}
	}
	return right, nil
}
