package site

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
	"holdfast/shard"
)

func siteID(n int) holdfast.SiteID { return holdfast.SiteID(n) }

func certFile(dir string, n int, ext string) string {
	return filepath.Join(dir, fmt.Sprintf("site-%d.%s", n, ext))
}

// fleet is sites in one process, joined by real links over cables that can be cut.
type fleet struct {
	t       testing.TB
	net     *fault.Net
	configs map[holdfast.SiteID]Config
	edit    func(holdfast.SiteID, *Options) // before a site is opened; may be nil

	mu    sync.Mutex // guards sites
	sites map[holdfast.SiteID]*Site
	next  atomic.Uint64 // transaction ids
}

// newFleet starts sites with a one-way delay of 1 ms between them.
func newFleet(t testing.TB, sites, shards int) *fleet { return newFleetOn(t, sites, shards, 1) }

// newFleetOn starts sites joined by several carriers.
func newFleetOn(t testing.TB, sites, shards, carriers int) *fleet {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(sites, shards, carriers)
	f.run()
	return f
}

// run starts the sites as they are configured, until the test ends.
func (f *fleet) run() {
	f.t.Cleanup(func() {
		f.net.HealAll()
		for id := range f.configs {
			f.stop(id)
		}
		if err := f.net.Close(); err != nil {
			f.t.Error(err)
		}
	})
	for id := range f.configs {
		f.start(id)
	}
	f.ready()
}

func (f *fleet) configure(sites, shards, carriers int) {
	f.t.Helper()
	certs := certificates(f.t, "test", sites+3) // some for sites that come later
	for n := 1; n <= sites; n++ {
		c := Embedded(filepath.Join(f.t.TempDir(), "data"), "127.0.0.1:8080")
		c.Site, c.Name, c.Cluster, c.Shards = siteID(n), fmt.Sprint("site-", n), "test", shards
		c.Store.CacheBytes, c.Store.ReserveBytes = 8<<20, 1<<20
		c.Timing.Request = Duration(MaxRequest) // however slow the machine or its disk is, what can be answered is
		if sites > 1 {
			c.Link = Link{
				CA: filepath.Join(certs, "ca.pem"), Cert: certFile(certs, n, "pem"), Key: certFile(certs, n, "key"),
			}
			for range carriers {
				c.Link.Listen = append(c.Link.Listen, freeAddress(f.t))
			}
		}
		f.configs[c.Site] = c
	}
	for from, c := range f.configs {
		for to, peer := range f.configs {
			if from == to {
				continue
			}
			c.Peers = append(c.Peers, Peer{Site: to, Name: peer.Name, Addresses: f.lay(from, to, peer.Link.Listen)})
		}
		f.configs[from] = c
	}
}

// lay joins two sites by a cable on every carrier.
func (f *fleet) lay(from, to holdfast.SiteID, targets []string) (addresses []string) {
	f.t.Helper()
	for carrier, target := range targets {
		address, err := f.net.Lay(fault.Route{From: from, To: to, Carrier: carrier}, "", target)
		if err != nil {
			f.t.Fatal(err)
		}
		addresses = append(addresses, address)
	}
	return addresses
}

// freeAddress is where a site of a test will listen. Connections come from 127.0.0.1, and could take its port there before the site
// does; so it is at another loopback address, where the system has more than one.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (f *fleet) start(id holdfast.SiteID) *Site {
	f.t.Helper()
	options := Options{Version: "test", OnFatal: func(err error) { f.t.Errorf("site %d: fatal: %v", id, err) }}
	if testing.Verbose() {
		options.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if f.edit != nil {
		f.edit(id, &options)
	}
	s, err := Open(f.configs[id], options)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sites[id] = s
	return s
}

func (f *fleet) stop(id holdfast.SiteID) {
	f.t.Helper()
	s := f.site(id)
	if s == nil {
		return
	}
	if err := s.Stop(context.Background()); err != nil {
		f.t.Errorf("site %d does not stop: %v", id, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sites, id)
}

func (f *fleet) site(id holdfast.SiteID) *Site {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sites[id]
}

// all are the sites that run.
func (f *fleet) all() []*Site {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*Site
	for n := 1; n <= len(f.configs); n++ {
		if s := f.sites[siteID(n)]; s != nil {
			list = append(list, s)
		}
	}
	return list
}

// patience is for what must happen. It is never waited for when it does.
const patience = 2 * time.Minute

// eventually looks until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

func (f *fleet) ready() {
	f.t.Helper()
	for _, s := range f.all() {
		eventually(f.t, fmt.Sprintf("site %d is ready", s.cfg.Site), func() bool { return s.Ready() == nil })
	}
}

// leader is who leads a shard, as a majority of the running sites says.
func (f *fleet) leader(id holdfast.ShardID) (leader holdfast.SiteID) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("a leader of shard %d", id), func() bool {
		votes := map[holdfast.SiteID]int{}
		for _, s := range f.all() {
			l := s.board.seat(id).leader
			if votes[l]++; l != 0 && votes[l] > len(f.configs)/2 {
				leader = l
				return true
			}
		}
		return false
	})
	return leader
}

// other is a running site that is not among but.
func (f *fleet) other(but ...holdfast.SiteID) *Site {
	f.t.Helper()
next:
	for _, s := range f.all() {
		for _, b := range but {
			if s.cfg.Site == b {
				continue next
			}
		}
		return s
	}
	f.t.Fatal("no other site")
	return nil
}

func (f *fleet) id() (id holdfast.ID) {
	binary.BigEndian.PutUint64(id[8:], f.next.Add(1))
	return id
}

func account(t testing.TB, sequence uint32, slot holdfast.Slot) holdfast.AccountID {
	t.Helper()
	owner, err := holdfast.NewOwner(sequence, slot)
	if err != nil {
		t.Fatal(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset("CNY")}
}

func (f *fleet) open(accounts ...holdfast.AccountID) holdfast.Txn {
	t := holdfast.Txn{ID: f.id()}
	for _, a := range accounts {
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a})
	}
	return t
}

func (f *fleet) pay(from, to holdfast.AccountID, amount holdfast.Amount) holdfast.Txn {
	return holdfast.Txn{ID: f.id(), Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: from, Credit: to, Amount: amount}}}
}

func submit(t testing.TB, s *Site, txn holdfast.Txn) holdfast.Outcome {
	t.Helper()
	outcomes, err := s.Submit(context.Background(), []holdfast.Txn{txn}, false)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0]
}

// mustDo submits a transaction, as a client does: what an election has kept from being decided is sent again with the same id.
func (f *fleet) mustDo(s *Site, txn holdfast.Txn) (o holdfast.Outcome) {
	f.t.Helper()
	f.until("a transaction is done", func() (string, bool) {
		o = submit(f.t, s, txn)
		if o.Status != holdfast.Done && !elects(o) {
			f.t.Fatalf("through site %d: %s %s %s", s.cfg.Site, o.Status, o.Code, o.Field)
		}
		return fmt.Sprintf("site %d: %+v", s.cfg.Site, o), o.Status == holdfast.Done
	})
	return o
}

// elects reports whether an outcome is one that an election may give, which any moment of a slow machine may bring: whoever asks again
// with the same id gets another one.
func elects(o holdfast.Outcome) bool {
	return o.Status == holdfast.Unknown || o.Status == holdfast.NotExecuted &&
		slices.Contains([]holdfast.Code{holdfast.CodeNoLeader, holdfast.CodeNoQuorum, holdfast.CodeDeadline}, o.Code)
}

func balance(t testing.TB, s *Site, id holdfast.AccountID) (sum holdfast.Amount, err error) {
	t.Helper()
	err = s.Read(context.Background(), s.ShardOfAccount(id), shard.Linearizable, func(v *shard.View) error {
		a, ok := v.Account(id)
		if !ok {
			return errors.New("no such account")
		}
		sum = a.Balance()
		return nil
	})
	return sum, err
}

// mustHold insists on the first answer. While a leader is being elected there is none.
func (f *fleet) mustHold(s *Site, id holdfast.AccountID, want holdfast.Amount) {
	f.t.Helper()
	f.until("a balance is answered", func() (string, bool) {
		got, err := balance(f.t, s, id)
		if err == nil && got != want {
			f.t.Fatalf("site %d: balance %d, want %d", s.cfg.Site, got, want)
		}
		return fmt.Sprintf("site %d: %v", s.cfg.Site, err), err == nil
	})
}

// audit is asked of every site; all have to agree with all others.
func (f *fleet) audit() {
	f.t.Helper()
	for _, s := range f.all() {
		eventually(f.t, fmt.Sprintf("site %d reaches all others", s.cfg.Site), func() bool {
			for _, st := range s.Sites(context.Background()) {
				if !st.Reachable {
					return false
				}
			}
			return true
		})
		f.audited(s, len(s.ShardIDs())*(len(f.configs)-1))
	}
}

// unheard is the problem of an audit whose site has heard no majority for a moment: of payments between shards nothing is known then.
func unheard(problem string) bool {
	return strings.HasPrefix(problem, "payments between shards could not be compared")
}

// audited insists that the first audit which had all answers finds nothing.
func (f *fleet) audited(s *Site, compared int) {
	f.t.Helper()
	f.until("an audit has all answers", func() (string, bool) {
		a, err := s.Audit(context.Background())
		whole := err == nil && len(a.Shards) == len(s.ShardIDs()) && a.Compared == compared && !slices.ContainsFunc(a.Problems, unheard)
		if whole && !a.OK() || err == nil && len(a.Shards) == len(s.ShardIDs()) && !(a.Agree && a.Balanced) {
			f.t.Fatalf("site %d: audit %+v", s.cfg.Site, a)
		}
		return fmt.Sprintf("site %d: %+v, %v", s.cfg.Site, a, err), whole
	})
}
