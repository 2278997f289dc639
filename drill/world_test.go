package drill

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"holdfast"
	"holdfast/retail"
)

func testWorld(t *testing.T, shards int) *world {
	t.Helper()
	trade, err := retail.Load()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(trade, shards)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func testIDs() func() holdfast.ID {
	return ids(rand.New(rand.NewPCG(1, 1)), time.Unix(1_700_000_000, 0))
}

// Every errand is due within the load, in order, and a refund comes after its order; with several shards most go
// from one to another.
func TestPlan(t *testing.T) {
	for _, shards := range []int{1, 3, 8} {
		w := testWorld(t, shards)
		n := len(w.trade.Events) + 500 // more than there are: the list begins anew
		plan := slices.Collect(w.plan(n, 30*time.Second, testIDs()))
		seen, crossing := map[holdfast.ID]bool{}, 0
		for i, e := range plan {
			switch {
			case e.due < 0 || e.due >= 30*time.Second || i > 0 && e.due < plan[i-1].due:
				t.Fatalf("errand %d is due at %v", i, e.due)
			case seen[e.transfer.ID]:
				t.Fatalf("errand %d has an id that was used before", i)
			case (e.transfer.Code == codeRefund) != (e.after >= 0):
				t.Fatalf("errand %d has code %d and comes after %d", i, e.transfer.Code, e.after)
			case e.after >= 0 && (e.after >= i || plan[e.after].transfer.Debit != e.transfer.Credit):
				t.Fatalf("errand %d refunds %d, which it does not follow or which another customer paid", i, e.after)
			case e.number != i || e.first != (i%len(w.trade.Events) == 0):
				t.Fatalf("errand %d has number %d and begins a round: %v", i, e.number, e.first)
			case e.after >= 0 && !plan[e.after].refunded:
				t.Fatalf("errand %d refunds %d, which does not know of it", i, e.after)
			case w.cast(e.transfer.Debit).id != e.shard:
				t.Fatalf("errand %d is of shard %d, and its payer is not", i, e.shard)
			}
			seen[e.transfer.ID] = true
			if w.crosses(e.transfer.Debit, e.transfer.Credit) {
				crossing++
			}
		}
		if share := float64(crossing) / float64(n); shards == 1 && crossing > 0 || shards > 1 && share < 0.5 {
			t.Errorf("of %d errands in %d shards %d cross", n, shards, crossing)
		}
	}
}

// Whoever is funded can pay every order, and has nothing left but what is refunded.
func TestFundingIsWhatTheOrdersCost(t *testing.T) {
	w := testWorld(t, 2)
	balance := map[holdfast.AccountID]holdfast.Amount{}
	opened := map[holdfast.AccountID]bool{}
	for _, txn := range w.funding(1, testIDs()) {
		for _, a := range txn.Accounts {
			if opened[a.ID] {
				t.Fatalf("%s is opened twice", a.ID)
			}
			opened[a.ID] = true
		}
		for _, l := range txn.Transfers {
			balance[l.Credit] += l.Amount
		}
	}
	for e := range w.plan(len(w.trade.Events), time.Second, testIDs()) {
		if e.transfer.Code == codeOrder {
			balance[e.transfer.Debit] -= e.transfer.Amount
		}
		if !opened[e.transfer.Debit] || !opened[e.transfer.Credit] {
			t.Fatalf("a party of %s has no account", e.transfer.ID)
		}
	}
	for name, id := range w.customers {
		if balance[id] != 0 {
			t.Errorf("customer %q has %d left", name, balance[id])
		}
	}
}

// The same seed gives the same ids, so that a run can be found again in logs.
func TestIDsAreThoseOfTheSeed(t *testing.T) {
	a, b := testIDs(), testIDs()
	last := holdfast.ID{}
	for range 1000 {
		id := a()
		if id != b() {
			t.Fatal("two generators of one seed differ")
		}
		if hi, _ := id.Words(); id == last || hi < firstWord(last) {
			t.Fatalf("%s does not sort after %s", id, last)
		}
		last = id
	}
}

func firstWord(id holdfast.ID) uint64 {
	hi, _ := id.Words()
	return hi >> 16 << 16 // the clock; what follows is random
}

// Two cables' worth of round trips must fit into the time after which a leader is suspected, and the bound grows with it.
func TestElectionTimeFollowsTheDistance(t *testing.T) {
	for rtt, want := range map[time.Duration]int{0: 10, 10 * ms: 10, 25 * ms: 10, 30 * ms: 12, 100 * ms: 40} {
		if got := electionTicks(rtt, 10*ms, 10); got != want {
			t.Errorf("%v: %d ticks, want %d", rtt, got, want)
		}
	}
	s, err := Find("site-cut")
	if err != nil {
		t.Fatal(err)
	}
	if near, far := s.Bound(10*ms), s.Bound(100*ms); near != 500*ms || far != 2000*ms {
		t.Errorf("bounds %v and %v", near, far)
	}
}

func TestScenariosAreThePromisedOnes(t *testing.T) {
	want := []string{
		"site-cut", "site-kill", "site-stop", "one-way-cut", "sick-leader", "sick-disk", "sick-link", "sick-answers", "sick-relapse", "leader-handover", "rolling-restart", "all-kill", "site-add", "site-replace", "site-learner", "site-promote", "slot-move", "shard-split", "shard-split-kill", "busy-machine",
		"carrier-cut", "carrier-cut-pair", "carrier-one-way", "carrier-lossy", "carrier-flap",
		"two-sites-of-five", "minority-side", "city-cut", "forecast",
		"pay-through-site-cut", "code-replay", "webhook-receiver-down", "bank-down", "bank-lies",
	}
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("scenarios %q, want %q", got, want)
	}
	for _, s := range Scenarios() {
		o := Defaults()
		s.Fit(&o, func(string) bool { return false })
		if err := o.Check(&s); err != nil || s.Story == "" || s.bound == 0 {
			t.Errorf("%s cannot be run with its own defaults: %v; %q, %v", s.Name, err, s.Story, s.bound)
		}
	}
	if _, err := Find("nothing"); err == nil {
		t.Error("a scenario that is none was found")
	}
}

// What a scenario needs is its default; less than that is refused, since it would be another fault than it says.
func TestScenariosHaveNeeds(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"carrier-cut":       func(o *Options) { o.Carriers = 1 },
		"carrier-flap":      func(o *Options) { o.Carriers = 1 },
		"forecast":          func(o *Options) { o.Carriers = 1 },
		"two-sites-of-five": func(o *Options) { o.Sites = 3 },
		"city-cut":          func(o *Options) { o.Sites = 3 },
	} {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Defaults()
		s.Fit(&o, func(string) bool { return false })
		change(&o)
		if o.Check(&s) == nil {
			t.Errorf("%s: nothing was found wrong with %+v", name, o)
		}
		asked := Defaults()
		asked.Sites, asked.Carriers = 5, 4
		if s.Fit(&asked, func(string) bool { return true }); asked.Sites != 5 || asked.Carriers != 4 {
			t.Errorf("%s: what was asked for became %+v", name, asked)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	s, good := Scenarios()[0], Defaults()
	if err := good.Check(&s); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"sites":    func(o *Options) { o.Sites = 4 },
		"shards":   func(o *Options) { o.Shards = 0 },
		"carriers": func(o *Options) { o.Carriers = 9 },
		"rate":     func(o *Options) { o.Rate = -1 },
		"length":   func(o *Options) { o.Load = time.Second },
		"rtt":      func(o *Options) { o.RTT = time.Second },
		"visitors": func(o *Options) { o.Visitors = &Visitors{} }, // nobody can sign in
	} {
		o := Defaults()
		change(&o)
		if o.Check(&s) == nil {
			t.Errorf("%s: nothing was found wrong with %+v", name, o)
		}
	}
}
