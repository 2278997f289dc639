package shard

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/check"
	"holdfast/ledger"
)

// TestHostsInAStorm runs the goroutines of three hosts on the real store, which package sim does not: in virtual time, on a
// network that loses and delays, with disks that forget in a crash what was not fsynced, under hand-overs, partitions and
// crashes. Then everything that clients were told is judged. Which goroutine runs first is not drawn from the seed: a failure
// names its seed, but need not come again with it.
func TestHostsInAStorm(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	var total stormCount
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			bubble(t, 0, smallWindow, func(f *fleet) { total.add(runStorm(f, uint64(seed+1))) })
		})
	}
	t.Logf("%+v", total)
	if total.crashes == 0 || total.cuts == 0 || total.handOvers == 0 || total.reads == 0 || total.unknown == 0 && seeds > 2 {
		t.Errorf("%+v: something was never tried", total)
	}
}

type stormCount struct{ crashes, cuts, handOvers, done, refused, unknown, replays, reads int }

func (c *stormCount) add(o stormCount) {
	c.crashes += o.crashes
	c.cuts += o.cuts
	c.handOvers += o.handOvers
	c.done += o.done
	c.refused += o.refused
	c.unknown += o.unknown
	c.replays += o.replays
	c.reads += o.reads
}

// storm is one run: the fleet, what clients wrote down, and the accounts that they all use.
type storm struct {
	*fleet
	rng *rand.Rand // of the faults

	log   sync.Mutex // guards what follows
	count stormCount
	acks  []check.Ack
	ops   []check.Op
	next  uint64
	notes []string
}

const stormAccounts = 5

func runStorm(f *fleet, seed uint64) stormCount {
	s := &storm{fleet: f, rng: rand.New(rand.NewPCG(seed, 1)), next: 1}
	gusts := rand.New(rand.NewPCG(seed, 2))
	f.wind = func() (bool, time.Duration) {
		late := time.Duration(gusts.IntN(1000)) * time.Microsecond
		if gusts.IntN(100) == 0 {
			late += time.Duration(gusts.IntN(100)) * time.Millisecond
		}
		return gusts.IntN(50) == 0, late
	}
	f.heard = func(id holdfast.SiteID, e Event) {
		s.note("site %d: event %d, leader %+v, %s %v", id, e.Kind, e.Leader, e.Text, e.Err)
	}
	f.found(3)
	opening := openTxn(s.number(), 0, 1, 2, 3, 4)
	for i := range opening.Accounts {
		if i > 0 {
			opening.Accounts[i].Limit = holdfast.LimitDebits
		}
	}
	s.settle(0, s.rng, &opening)
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() { s.client(ctx, c+1, rand.New(rand.NewPCG(seed, uint64(c)+10))) })
	}
	for range 16 {
		time.Sleep(time.Duration(s.rng.IntN(400)) * time.Millisecond) // bubble time
		s.fault()
	}
	f.mu.Lock()
	f.wind = nil
	f.mu.Unlock()
	stop()
	clients.Wait()
	s.judge()
	return s.count
}

// found starts the sites, each on a disk that can crash.
func (f *fleet) found(n int) {
	for i := range n {
		f.sites = append(f.sites, holdfast.SiteID(i+1))
	}
	for _, a := range f.sites {
		for _, b := range f.sites {
			f.pipe(a, b)
		}
	}
	for _, id := range f.sites {
		f.start(id, vfs.NewCrashableMem())
	}
}

// fault does one bad thing and ends it.
func (s *storm) fault() {
	id := s.sites[s.rng.IntN(len(s.sites))]
	last := time.Duration(20+s.rng.IntN(600)) * time.Millisecond
	switch s.rng.IntN(4) {
	case 0:
		s.log.Lock()
		s.count.cuts++
		s.log.Unlock()
		s.note("site %d is cut off for %s", id, last)
		s.isolate(id, true)
		time.Sleep(last) // bubble time
		s.isolate(id, false)
	case 1:
		s.handOver(id)
	case 2: // all at once: what only one of them had synced is gone with it
		for _, id := range s.sites {
			s.restart(id, 0)
		}
	default:
		s.restart(id, last)
	}
}

func (s *storm) restart(id holdfast.SiteID, after time.Duration) {
	s.log.Lock()
	s.count.crashes++
	s.log.Unlock()
	before := s.nodes[id].store.Shard(testShard)
	hard, last := before.Hard(), before.LastIndex() // what has been synced by now
	disk := s.crash(id, s.rng)
	time.Sleep(after) // bubble time
	s.start(id, disk)
	back := s.nodes[id].store.Shard(testShard)
	s.note("site %d had %+v and a log to %d, and comes back with %+v and a log to %d", id, hard, last, back.Hard(), back.LastIndex())
}

// note writes down what happened, for a run that fails: it need not come again.
func (s *storm) note(format string, args ...any) {
	s.log.Lock()
	defer s.log.Unlock()
	s.notes = append(s.notes, time.Now().Format("05.000000 ")+fmt.Sprintf(format, args...))
}

func (s *storm) handOver(to holdfast.SiteID) {
	for _, id := range s.sites {
		if h := s.host(id); h != nil && id != to && h.Leader(testShard).Self {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			err := h.HandOver(ctx, testShard, to) // may fail: the network loses messages
			cancel()
			if err == nil {
				s.log.Lock()
				s.count.handOvers++
				s.log.Unlock()
			}
			return
		}
	}
}

func (s *storm) number() uint64 {
	s.log.Lock()
	defer s.log.Unlock()
	s.next++
	return s.next
}

// client pays and reads, one after the other, until the storm is over.
func (s *storm) client(ctx context.Context, n int, rng *rand.Rand) {
	for ctx.Err() == nil {
		if rng.IntN(4) == 0 {
			s.read(n, rng)
			continue
		}
		from, to := uint32(rng.IntN(stormAccounts)), uint32(rng.IntN(stormAccounts-1))
		if to >= from {
			to++
		}
		txn := payTxn(s.number(), from, to, holdfast.Amount(1+rng.IntN(60)))
		s.settle(n, rng, &txn)
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond) // bubble time
	}
}

// settle sends a transaction, always by the same id, to one site after the other until it knows what became of it. Now and then
// it gives one up that was never answered otherwise than by "not executed": that must never happen then.
func (s *storm) settle(client int, rng *rand.Rand, txn *holdfast.Txn) {
	called, unsure := time.Now(), client == 0 // the accounts have to be opened
	for time.Since(called) < time.Minute {    // bubble time
		site := s.sites[rng.IntN(len(s.sites))]
		o, asked := s.attempt(site, txn)
		s.log.Lock()
		if asked {
			s.acks = append(s.acks, check.Ack{ID: txn.ID, Txn: txn, Outcome: o, At: holdfast.TimeOf(time.Now()), Site: site})
		}
		s.log.Unlock()
		if asked && (o.Status == holdfast.Done || o.Status == holdfast.Refused) {
			s.settled(check.Op{Client: client, Call: called.UnixNano(), Return: time.Now().UnixNano(), Txn: txn, Outcome: o})
			return
		}
		switch {
		case asked && o.Status == holdfast.Unknown:
			unsure = true
			s.log.Lock()
			s.count.unknown++
			s.log.Unlock()
		case asked && !unsure && rng.IntN(4) == 0:
			return
		}
		time.Sleep(time.Duration(5+rng.IntN(40)) * time.Millisecond) // bubble time
	}
	s.t.Errorf("client %d: nobody has settled transaction %s in a minute", client, txn.ID)
}

// attempt is one call. The answer of a site that crashes before its client has it is lost.
func (s *storm) attempt(site holdfast.SiteID, txn *holdfast.Txn) (o holdfast.Outcome, asked bool) {
	s.mu.Lock()
	n := s.nodes[site]
	s.mu.Unlock()
	if n == nil {
		return o, false
	}
	var b Batch
	b.Add(txn)
	ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
	defer cancel()
	out, err := n.host.Submit(ctx, testShard, false, b)
	switch {
	case n.dead.Load():
		return holdfast.Outcome{ID: txn.ID, Status: holdfast.Unknown, Leg: holdfast.NoLeg}, true
	case err != nil:
		status, code := OutcomeOf(err)
		return holdfast.Outcome{ID: txn.ID, Status: status, Code: code, Leg: holdfast.NoLeg}, true
	}
	return out[0], true
}

func (s *storm) settled(op check.Op) {
	s.note("client %d: %s is %s at %d, replay %t", op.Client, op.Txn.ID, op.Outcome.Status, op.Outcome.Index, op.Outcome.Replay)
	s.log.Lock()
	defer s.log.Unlock()
	s.ops = append(s.ops, op)
	switch {
	case op.Outcome.Replay:
		s.count.replays++
	case op.Outcome.Status == holdfast.Done:
		s.count.done++
	default:
		s.count.refused++
	}
}

// read reads one account linearizably at any site.
func (s *storm) read(client int, rng *rand.Rand) {
	site, id := s.sites[rng.IntN(len(s.sites))], testAccount(uint32(rng.IntN(stormAccounts)))
	s.mu.Lock()
	n := s.nodes[site]
	s.mu.Unlock()
	called := time.Now()
	err := errCut
	got := &check.Read{Account: holdfast.Account{ID: id}}
	if n != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		defer cancel()
		err = n.host.Read(ctx, testShard, Linearizable, func(v *View) error {
			v.State(func(state *ledger.State) {
				got.Index, _ = state.Applied()
				if a, ok := state.Account(id); ok {
					got.Account, got.Found = a, true
				}
			})
			return nil
		})
	}
	if err != nil || n.dead.Load() {
		time.Sleep(time.Duration(5+rng.IntN(40)) * time.Millisecond) // bubble time
		return
	}
	s.log.Lock()
	defer s.log.Unlock()
	s.count.reads++
	s.ops = append(s.ops, check.Op{Client: client, Call: called.UnixNano(), Return: time.Now().UnixNano(), Read: got})
}

// judge compares what clients were told with what every site answers now, and looks for an order that explains all of it.
func (s *storm) judge() {
	defer func() {
		if s.t.Failed() {
			s.t.Logf("what happened:\n%s", strings.Join(s.notes, "\n"))
		}
	}()
	// What is committed and not applied anywhere is still to come: only a payment of the next leader shows that all of it has.
	last := payTxn(s.number(), 0, 1, 1)
	s.settle(0, s.rng, &last)
	s.agree()
	for _, id := range s.sites {
		if n := s.nodes[id]; n.fatal != nil {
			s.t.Errorf("site %d stopped: %v", id, n.fatal)
		}
		machine := s.host(id).at(testShard).life.Load().machine
		if err := machine.Look(func(v *View) error { return s.reconcile(id, v) }); err != nil {
			s.t.Errorf("site %d: %v", id, err)
		}
	}
	h := check.History{Ops: s.ops}
	if v := h.Linearizable(5 * time.Second); !v.OK {
		s.t.Errorf("no order explains %d operations: %s", len(s.ops), v.Explanation)
	}
}

func (s *storm) reconcile(site holdfast.SiteID, v *View) error {
	report, err := check.Reconcile(s.acks, func(id holdfast.ID) (check.Found, bool, error) {
		f, ok, err := v.Txn(id)
		return check.Found{Txn: f.Txn, Outcome: f.Outcome}, ok, err
	})
	if err != nil {
		return err
	}
	if !report.OK() {
		s.t.Errorf("site %d: %s", site, &report)
	}
	v.State(func(state *ledger.State) {
		for _, judge := range []func(iter.Seq[holdfast.Account]) []check.Finding{check.Books, check.Limits} {
			if found := judge(state.Accounts()); len(found) > 0 {
				s.t.Errorf("site %d: %s", site, found[0])
			}
		}
	})
	return nil
}
