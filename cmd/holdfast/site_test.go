package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"holdfast"
	"holdfast/client"
	"holdfast/guard"
	"holdfast/link"
	"holdfast/site"
)

// fleetOf is real processes on this machine, ordered about with the program's own commands.
type fleetOf struct {
	t   *testing.T
	ctx context.Context
	dir string
	ca  *link.CA
	key string
	api site.APIKey
	env []string // of commands

	configs map[int]site.Config
	running map[int]*exec.Cmd
	logs    map[int]*listener
}

func newFleetOf(ctx context.Context, t *testing.T) *fleetOf {
	t.Helper()
	f := &fleetOf{t: t, ctx: ctx, dir: t.TempDir(), configs: map[int]site.Config{}, running: map[int]*exec.Cmd{}, logs: map[int]*listener{}}
	key, secret, err := guard.NewKey("test", guard.Operator, [guard.KeyEntropy]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	f.key, f.api = secret.Reveal(), site.APIKey{Name: key.Name, Role: key.Role, SHA256: key.Hash}
	if f.ca, err = link.NewCA("test", time.Now(), 72*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "ca.crt"), f.ca.Pair().Cert, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for n := range f.running {
			f.end(n, syscall.SIGKILL)
		}
		if t.Failed() {
			for n, log := range f.logs {
				text := log.String()
				t.Logf("site %d said last:\n%s", n, text[max(0, len(text)-3000):])
			}
		}
	})
	return f
}

// configure makes the configuration of a site that knows some others.
func (f *fleetOf) configure(n int, knows ...int) {
	f.t.Helper()
	pair, err := f.ca.NewSiteCert(holdfast.SiteID(n), time.Now(), 48*time.Hour)
	if err != nil {
		f.t.Fatal(err)
	}
	name := fmt.Sprint("site-", n)
	base := filepath.Join(f.dir, name)
	if err := link.WritePair(base+".crt", base+".key", pair); err != nil {
		f.t.Fatal(err)
	}
	c := site.Embedded(base, freeLoopback(f.t))
	c.Site, c.Name, c.Cluster, c.Shards, c.City = holdfast.SiteID(n), name, "test", 2, fmt.Sprint("city-", n)
	c.Link = site.Link{Listen: []string{freeLoopback(f.t)}, CA: filepath.Join(f.dir, "ca.crt"), Cert: base + ".crt", Key: base + ".key"}
	c.Keys = []site.APIKey{f.api}
	for _, other := range knows {
		c.Peers = append(c.Peers, site.Peer{Site: holdfast.SiteID(other), Name: fmt.Sprint("site-", other)})
	}
	f.configs[n] = c
}

// freeLoopback is an address for a site that listens later. Its port is below those that the kernel hands out by itself, because by
// then it could have become the other end of some connection; and no other call gets it.
func freeLoopback(t *testing.T) string {
	t.Helper()
	pid := os.Getpid()
	for port := 20_000 + taken.Add(1); port < 32_000; port = 20_000 + taken.Add(1) {
		address := fmt.Sprintf("127.%d.%d.%d:%d", 101+pid>>16%100, pid>>8&255, pid&255, port)
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

var taken atomic.Int32 // ports

func (f *fleetOf) start(n int) {
	f.t.Helper()
	c := f.configs[n]
	for i := range c.Peers {
		c.Peers[i].Addresses = f.configs[int(c.Peers[i].Site)].Link.Listen
	}
	text, err := toml.Marshal(c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.serve(n, string(text))
}

// serve starts a site with a configuration.
func (f *fleetOf) serve(n int, text string) {
	f.t.Helper()
	file := filepath.Join(f.dir, fmt.Sprintf("site-%d.toml", n))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("holdfast", "serve", "--config", file)
	f.logs[n] = newListener("never said")
	cmd.Stdout, cmd.Stderr = f.logs[n], f.logs[n]
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.running[n] = cmd
}

func (f *fleetOf) end(n int, how syscall.Signal) {
	f.t.Helper()
	cmd := f.running[n]
	delete(f.running, n)
	if err := cmd.Process.Signal(how); err != nil {
		f.t.Error(err)
	}
	if err := cmd.Wait(); err != nil && how != syscall.SIGKILL {
		f.t.Errorf("site %d: %v", n, err)
	}
}

func (f *fleetOf) url(n int) string { return "http://" + f.configs[n].HTTP.Listen }

func (f *fleetOf) urls(sites ...int) string {
	var list []string
	for _, n := range sites {
		list = append(list, f.url(n))
	}
	return strings.Join(list, ",")
}

func (f *fleetOf) client(sites ...int) *client.Client {
	f.t.Helper()
	// The deadline is generous: what is counted is what fails, not what is late on a busy machine.
	c, err := client.New(client.Config{Sites: strings.Split(f.urls(sites...), ","), Key: f.key, Timeout: time.Minute})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

func (f *fleetOf) ready(sites ...int) {
	f.t.Helper()
	for _, n := range sites {
		c := f.client(n)
		f.until(fmt.Sprintf("site %d is ready", n), func() error { return c.Ready(f.ctx) })
	}
}

func (f *fleetOf) until(what string, ok func() error) {
	f.t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond) // most of what is asked is a process
	defer ticker.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-f.ctx.Done():
			f.t.Fatalf("still not: %s: %v", what, err)
		}
	}
}

// command runs the program against some sites.
func (f *fleetOf) command(through string, args ...string) (out, errs string, err error) {
	cmd := exec.CommandContext(f.ctx, "holdfast", append(args, "--site", through)...)
	cmd.Env = append(os.Environ(), "HOLDFAST_KEY="+f.key)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// change plans, looks, and applies, as an operator does; a plan that became stale is made again.
func (f *fleetOf) change(through string, args ...string) (plan client.SitePlan) {
	f.t.Helper()
	f.until(strings.Join(args, " "), func() error {
		out, errs, err := f.command(through, append(args, "--json", "-")...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, errs)
		}
		if err := json.Unmarshal([]byte(out), &plan); err != nil {
			f.t.Fatalf("%v: %s", err, out)
		}
		if out, errs, err = f.command(through, append(args, "--apply", plan.Plan, "--wait", "90s")...); err != nil {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		if !strings.Contains(out, "It is done: every shard is as the list of sites wants it.") {
			f.t.Errorf("holdfast %s said:\n%s%s", strings.Join(args, " "), out, errs)
		}
		return nil
	})
	return plan
}

func (f *fleetOf) newcomer(kind string, old, n int) []string {
	c := f.configs[n]
	args := []string{"site", kind, fmt.Sprint(n), "--name", c.Name, "--city", c.City, "--http", f.url(n), "--address", c.Link.Listen[0]}
	if kind == "replace" {
		args[2] = fmt.Sprint(old)
		args = append(args, "--by", fmt.Sprint(n))
	}
	return args
}

// till pays from one account to another until it is halted, and writes down what it was told.
type till struct {
	stop chan struct{}
	wg   sync.WaitGroup
	once sync.Once

	mu   sync.Mutex
	done []holdfast.ID
	bad  []string
}

func (x *till) pay(ctx context.Context, c *client.Client, from, to holdfast.AccountID) {
	x.wg.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-x.stop:
				return
			case <-ticker.C:
			}
			o, err := c.Pay(ctx, holdfast.Transfer{ID: c.NewID(), Kind: holdfast.Immediate, Debit: from, Credit: to, Amount: 1})
			x.mu.Lock()
			if err == nil && o.Status == holdfast.Done {
				x.done = append(x.done, o.ID)
			} else {
				x.bad = append(x.bad, fmt.Sprintf("%s %s %v", o.Status, o.Code, err))
			}
			x.mu.Unlock()
		}
	})
}

func (x *till) halt() {
	x.once.Do(func() { close(x.stop) })
	x.wg.Wait()
}

// TestSitesOfProcesses grows a fleet of three real sites to five under payments, retires one, kills one and replaces it, all with the
// commands that an operator has: no request fails, and every payment that was acknowledged is where it should be.
func TestSitesOfProcesses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := newFleetOf(ctx, t)
	f.configure(1, 2, 3)
	f.configure(2, 1, 3)
	f.configure(3, 1, 2)
	f.configure(4, 1)
	f.configure(5, 2)
	f.configure(6, 4)
	for n := 1; n <= 3; n++ {
		f.start(n)
	}
	f.ready(1, 2, 3)

	a, b := walletIn(t, 1, 10), walletIn(t, 2, 900) // in two shards
	for _, id := range []holdfast.AccountID{a, b} {
		if o, err := f.client(1, 2).OpenAccount(ctx, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id}); err != nil || o.Status != holdfast.Done {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	x := &till{stop: make(chan struct{})}
	t.Cleanup(x.halt)
	x.pay(ctx, f.client(1, 2, 3), a, b)
	x.pay(ctx, f.client(2, 3, 1), b, a)
	x.pay(ctx, f.client(3, 1, 2), a, b) // nobody tells it that site 3 goes

	f.refused("2 voters would be left, and this fleet keeps 3", f.url(1), "site", "retire", "3")
	f.refused("does not reach site 4", f.url(1), f.newcomer("add", 0, 4)...)
	f.start(4)
	f.until("the carriers are known", func() error {
		out, errs, err := f.command(f.url(2), f.newcomer("add", 0, 4)...)
		if err == nil && strings.Contains(out, "any: site-1, site-2, site-3, site-4") && strings.Contains(out, "Nothing has been changed") {
			return nil
		}
		return fmt.Errorf("%w: %s%s", err, out, errs)
	})
	if p := f.change(f.urls(2, 1), f.newcomer("add", 0, 4)...); len(p.Steps) != 4 || p.After.Majority != 3 {
		t.Errorf("the plan: %+v", p)
	}
	f.start(5)
	f.change(f.urls(1, 2), f.newcomer("add", 0, 5)...)
	f.ready(4, 5)
	if _, errs, err := f.command(f.url(1), "site", "promote", "3"); err == nil || !strings.Contains(errs, "site-3 is a voter already") {
		t.Errorf("a voter is promoted: %v\n%s", err, errs)
	}
	if p := f.change(f.urls(4, 1), "site", "demote", "3"); p.Before.Majority != 3 || len(p.After.Voters) != 4 {
		t.Errorf("the plan: %+v", p)
	}
	f.until("every site says that site 3 has no vote", func() error {
		for _, n := range []int{1, 2, 3, 4, 5} {
			fleet, err := f.client(n).Fleet(ctx)
			if err != nil {
				return err
			}
			if at := fleet.Site(3); at == nil || at.Role != "learner" {
				return fmt.Errorf("site %d says %+v", n, at)
			}
		}
		return nil
	})
	if p := f.change(f.urls(2, 4), "site", "promote", "3"); p.Before.Majority != 3 || len(p.After.Voters) != 5 || p.Copy != 0 {
		t.Errorf("the plan: %+v", p)
	}
	f.change(f.urls(4, 1), "site", "retire", "3")
	f.end(5, syscall.SIGKILL)
	f.start(6)
	f.change(f.urls(1, 2), f.newcomer("replace", 5, 6)...)
	f.ready(1, 2, 4, 6)
	x.halt()

	if len(x.bad) > 0 || len(x.done) == 0 {
		t.Errorf("%d payments were done, %d requests failed: %v", len(x.done), len(x.bad), x.bad[:min(len(x.bad), 5)])
	}
	t.Logf("%d payments, %d failed requests", len(x.done), len(x.bad))
	f.judge(x, a, b)
	f.shown()
	f.until("a site that was retired says so of itself", func() error {
		err := f.client(3).Ready(ctx)
		if err == nil || !strings.Contains(err.Error(), "retired") {
			return fmt.Errorf("it says: %v", err)
		}
		return nil
	})
	f.end(3, syscall.SIGTERM)
}

// judge looks every acknowledged payment up, at every site, and has the books recounted.
func (f *fleetOf) judge(x *till, a, b holdfast.AccountID) {
	f.t.Helper()
	for _, n := range []int{1, 2, 4, 6} {
		c := f.client(n)
		for _, id := range x.done {
			if m, err := c.Transfer(f.ctx, id); err != nil || m.ID != id {
				f.t.Fatalf("site %d: payment %s: %+v, %v", n, id, m, err)
			}
		}
		f.until("the balances are settled", func() error { // a payment between shards may still be under way
			one, errOne := c.Account(f.ctx, a)
			two, errTwo := c.Account(f.ctx, b)
			if errOne != nil || errTwo != nil || one.Balance()+two.Balance() != 0 {
				return fmt.Errorf("site %d: balances %v and %v, %v %v", n, one.Balance(), two.Balance(), errOne, errTwo)
			}
			return nil
		})
		f.booksAreRight(n)
	}
}

// booksAreRight has a site audit the books until it has all answers: a payment between shards may still be under way, or an election.
func (f *fleetOf) booksAreRight(n int) {
	f.t.Helper()
	f.until(fmt.Sprintf("the books of site %d are right", n), func() error {
		out, errs, err := f.command(f.url(n), "audit")
		if err != nil {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		return nil
	})
}

// refused gives an order that must not be taken until it hears why: during an election there is another reason.
func (f *fleetOf) refused(says, through string, args ...string) {
	f.t.Helper()
	f.until(says, func() error {
		out, errs, err := f.command(through, args...)
		if err == nil {
			f.t.Fatalf("holdfast %s was taken:\n%s%s", strings.Join(args, " "), out, errs)
		}
		if !strings.Contains(errs, says) {
			return fmt.Errorf("%w: %s%s", err, out, errs)
		}
		return nil
	})
}

// shown insists on what an operator sees in the end.
func (f *fleetOf) shown() {
	f.t.Helper()
	var out string
	var fleet client.Fleet
	f.until("the list of sites", func() (err error) {
		if out, _, err = f.command(f.urls(1, 2), "site", "list", "--json", "-"); err == nil {
			err = json.Unmarshal([]byte(out), &fleet)
		}
		return err
	})
	var listed []int
	for _, s := range fleet.Sites {
		if listed = append(listed, int(s.Site)); s.Role != "voter" {
			f.t.Errorf("site %d is %q", s.Site, s.Role)
		}
	}
	if !slices.Equal(listed, []int{1, 2, 4, 6}) || fleet.Change != nil || fleet.List != 12 {
		f.t.Errorf("the list of sites: %s", out)
	}
	f.until("every shard has its members", func() error {
		shards, err := f.client(1).Shards(f.ctx)
		if err != nil {
			return err
		}
		for _, s := range shards {
			var voters []int
			for _, m := range s.Members {
				voters = append(voters, int(m.Site))
			}
			if slices.Sort(voters); !slices.Equal(voters, []int{1, 2, 4, 6}) {
				return fmt.Errorf("shard %d has members at %v", s.Shard, voters)
			}
		}
		return nil
	})
}

func walletIn(t *testing.T, sequence uint32, slot holdfast.Slot) holdfast.AccountID {
	t.Helper()
	owner, err := holdfast.NewOwner(sequence, slot)
	if err != nil {
		t.Fatal(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")}
}
