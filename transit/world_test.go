package transit

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/ledger"
)

// world is a few shards with a real ledger each, a courier each, and a network in which every proposal and every answer can be
// lost, repeated and overtaken.
type world struct {
	t       *rapid.T
	now     holdfast.Time
	shards  []*home
	letters []letter // proposals on their way, in any order
	asked   []*holdfast.Txn
	told    map[holdfast.ID]holdfast.Outcome // what a caller was told for certain
	sent    map[holdfast.ID]*Payment         // by the caller's id, as first planned
	blind   bool                             // replicas have not heard of anything
}

// home is one shard.
type home struct {
	state   *ledger.State
	log     journal
	courier *Courier
	decided map[holdfast.ID]decision
}

type decision struct {
	txn     holdfast.Txn
	outcome holdfast.Outcome
}

// letter is a proposal to a shard, and what becomes of its answer.
type letter struct {
	to     holdfast.ShardID
	txn    holdfast.Txn
	answer func(holdfast.Outcome)
}

const testShards = 3

var wallets = []string{"a", "b", "c"}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: 1e9, told: map[holdfast.ID]holdfast.Outcome{}, sent: map[holdfast.ID]*Payment{}}
	for i := range testShards {
		w.shards = append(w.shards, &home{state: ledger.New(), decided: map[holdfast.ID]decision{}})
		w.crash(holdfast.ShardID(i + 1))
		w.open(holdfast.ShardID(i + 1))
	}
	return w
}

// open gives every wallet of a shard some money; wallet "c" takes no more than it is owed, so that some lands are refused.
func (w *world) open(s holdfast.ShardID) {
	t := holdfast.Txn{ID: id(900 + int(s))}
	name := func(purpose string) holdfast.AccountID { return account(fmt.Sprintf("%d%s", s, purpose)) }
	t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: name("bank")})
	for i, purpose := range wallets {
		limit := holdfast.LimitDebits
		if purpose == "c" {
			limit = holdfast.LimitCredits
		}
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: name(purpose), Limit: limit})
		leg := holdfast.Transfer{ID: id(910 + 10*int(s) + i), Kind: holdfast.Immediate, Debit: name("bank"), Credit: name(purpose), Amount: 50}
		if purpose == "c" {
			leg.Debit, leg.Credit, leg.Amount = leg.Credit, leg.Debit, 20
		}
		t.Transfers = append(t.Transfers, leg)
	}
	if o := w.apply(s, t); o.Status != holdfast.Done {
		w.t.Fatalf("opening shard %d: %+v", s, o)
	}
}

func (w *world) shard(s holdfast.ShardID) *home { return w.shards[s-1] }

func (w *world) crash(s holdfast.ShardID) {
	w.shard(s).courier = NewCourier(CourierConfig{Home: s, Grace: 50e6, Wait: 400e6, InFlight: 2})
}

// apply puts one transaction into the log of a shard.
func (w *world) apply(s holdfast.ShardID, t holdfast.Txn) holdfast.Outcome {
	h := w.shard(s)
	w.now++
	index, last := h.state.Applied()
	entry := ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: max(w.now, last+1), Count: 1})
	h.log = append(h.log, ledger.AppendTxn(entry, &t))
	out, err := h.state.Apply(index+1, h.log[index], h.log, nil)
	if err != nil {
		w.t.Fatalf("shard %d: %v", s, err)
	}
	o := out[0]
	if o.Status == holdfast.NotExecuted {
		w.t.Fatalf("shard %d: %s is malformed in the log: %s %s\n%+v", s, t.ID, o.Code, o.Field, t)
	}
	if !o.Replay && o.Code != holdfast.CodeIDTaken && o.Code != holdfast.CodeTransferIDTaken {
		h.decided[t.ID] = decision{t, o}
	}
	w.audit()
	return o
}

// journal is the log of a shard. No segment is ever forgotten, so nothing else is asked of it.
type journal [][]byte

func (journal) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }

func (journal) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }

func (j journal) Entry(index uint64) ([]byte, error) { return j[index-1], nil }

// audit checks the invariant of every ordered pair: what was sent and has landed stands at both ends, but for the messages on
// their way, to the last minor unit.
func (w *world) audit() {
	for h := range holdfast.ShardID(testShards) {
		for a := range holdfast.ShardID(testShards) {
			if h != a && len(w.shards) == testShards {
				w.auditPair(h+1, a+1)
			}
		}
	}
}

func (w *world) auditPair(h, a holdfast.ShardID) {
	var landed, waiting holdfast.Amount
	for _, q := range w.shard(h).state.Outbox(0, 1<<20) {
		p, err := Read(q.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.Away != a {
			continue
		}
		amount := crossing(&p)
		waiting += amount
		if d, ok := w.shard(a).decided[p.LandID()]; ok && p.IsLand(&d.txn) && d.outcome.Status == holdfast.Done {
			landed += amount
		}
	}
	cny := holdfast.MustAsset("CNY")
	sent, _ := w.shard(h).state.Account(holdfast.InTransit(h, a, cny))
	came, _ := w.shard(a).state.Account(holdfast.InTransit(a, h, cny))
	if sent.CreditsPosted+landed != came.DebitsPosted || came.DebitsPosted > sent.CreditsPosted+sent.CreditsPending || sent.CreditsPending < waiting {
		w.t.Fatalf("from shard %d to %d: %d posted and %d pending at home, %d came, %d are on their way and %d of them have landed",
			h, a, sent.CreditsPosted, sent.CreditsPending, came.DebitsPosted, waiting, landed)
	}
}

func crossing(p *Payment) (sum holdfast.Amount) {
	for i := range p.legs {
		if c := p.legs[i].class; c == cross || c == claim {
			sum += p.legs[i].amount
		}
	}
	return sum
}

// Outbox and Decided make a View of a shard: what its own replicas know, or nothing of the others while they are blind.
type view struct {
	*world
	at holdfast.ShardID
}

func (v view) Outbox(after uint64, max int) []holdfast.Queued {
	return v.shard(v.at).state.Outbox(after, max)
}

func (v view) Decided(s holdfast.ShardID, id holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool) {
	d, ok := v.shard(s).decided[id]
	return &d.txn, d.outcome, ok && !v.blind
}

func (view) Places(p *Payment) []holdfast.ShardID { return []holdfast.ShardID{p.Away} }

func (view) Whereto(p *Payment) (holdfast.ShardID, bool, bool) { return p.Away, true, true }

// holdsOf looks where a site would: for holds of that id, and for the records of those that cross.
func (w *world) holdsOf(end *holdfast.Transfer) (list []Held) {
	for i, h := range w.shards {
		written, err := ReadHolds(end.Hold, func(key string) (holdfast.Record, bool, error) {
			r, found := h.state.RecentRecord(key)
			return r.Record, found, nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range written {
			list = append(list, r.Held)
		}
		if trace, ok := h.state.FindRecent(end.Hold); ok && trace.Hold != ledger.NotHold {
			_, t, err := ledger.TxnAt(h.log[trace.Index-1], trace.Ord)
			if err != nil {
				w.t.Fatal(err)
			}
			at, leg := holdfast.ShardID(i+1), t.Transfers[trace.Leg%holdfast.NoLeg]
			list = append(list, Held{Home: at, Away: at, Debit: leg.Debit, Payee: leg.Credit, Amount: leg.Amount})
		}
	}
	return list
}

// submit is the site that took a request: it proposes the depart and, when that is done, the land; it may die in between.
func (w *world) submit(t *holdfast.Txn) {
	if code, field := ledger.Check(t); code != holdfast.CodeOK {
		w.t.Fatalf("%+v is malformed: %s %s", t, code, field)
	}
	p, code, _ := Make(t, shardOf, w.holdsOf)
	if code != holdfast.CodeOK {
		return
	}
	w.letters = append(w.letters, letter{p.Home, p.Depart(), func(depart holdfast.Outcome) {
		if !p.Crosses() || depart.Status != holdfast.Done {
			w.tell(&p, p.Departed(depart))
			return
		}
		w.letters = append(w.letters, letter{p.Away, p.Land(), func(land holdfast.Outcome) {
			w.tell(&p, p.Outcome(depart, land))
			w.shard(p.Home).courier.Landed(w.now, p.Txn.ID, land)
		}})
	}})
}

// tell checks an answer against those before it: what is certain stays.
func (w *world) tell(p *Payment, o holdfast.Outcome) {
	if o.Status == holdfast.Unknown || o.Code == holdfast.CodeIDTaken || o.Code == holdfast.CodeTransferIDTaken {
		return
	}
	before, ok := w.told[p.Txn.ID]
	if ok && (before.Status != o.Status || before.Code != o.Code || before.Leg != o.Leg || before.Position != o.Position) {
		w.t.Fatalf("%s was answered %+v, and now %+v", p.Txn.ID, before, o)
	}
	w.told[p.Txn.ID] = o
	if w.sent[p.Txn.ID] == nil {
		w.sent[p.Txn.ID] = p
	}
}

// deliver brings a letter to its shard, perhaps once more later, and perhaps loses its answer.
func (w *world) deliver(i int, again, lost bool) {
	l := w.letters[i]
	if !again {
		w.letters = append(w.letters[:i:i], w.letters[i+1:]...)
	}
	if o := w.apply(l.to, l.txn); !lost {
		l.answer(o)
	}
}

// step lets the courier of a shard work.
func (w *world) step(s holdfast.ShardID) {
	h := w.shard(s)
	courier := h.courier
	work := courier.Step(w.now, view{w, s})
	for _, b := range work.Lands {
		for _, p := range b.List {
			w.letters = append(w.letters, letter{b.To, p.Txn, func(o holdfast.Outcome) { courier.Landed(w.now, p.Payment, o) }})
		}
	}
	for _, p := range work.Settles {
		w.letters = append(w.letters, letter{s, p.Txn, func(o holdfast.Outcome) { courier.Settled(w.now, p.Payment, o) }})
	}
}

// finish stops the faults: everything must be settled within a few rounds.
func (w *world) finish() {
	w.blind = false
	for range len(w.asked) { // as often as one can end the hold of another that was not there before
		w.askAll()
	}
	for range 100 {
		w.now += 50e6
		for s := range holdfast.ShardID(testShards) {
			w.step(s + 1)
		}
		for len(w.letters) > 0 {
			w.deliver(0, false, false)
		}
	}
	for i, h := range w.shards {
		if list := h.state.Outbox(0, 10); len(list) > 0 {
			w.t.Fatalf("shard %d has %d messages left, the first of %s", i+1, len(list), list[0].Txn)
		}
		if err := h.courier.Err(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.askAll()
	w.compareWithTold()
}

// askAll asks once more for everything, and every answer comes.
func (w *world) askAll() {
	for _, t := range w.asked {
		w.submit(t)
	}
	for len(w.letters) > 0 {
		w.deliver(0, false, false)
	}
}

// compareWithTold: every payment that was told to be done is whole, and one that was told to be refused is absent.
func (w *world) compareWithTold() {
	want := map[holdfast.AccountID]holdfast.Amount{}
	for txn, o := range w.told {
		p := w.sent[txn]
		if o.Status != holdfast.Done {
			continue
		}
		for i := range p.Txn.Transfers {
			l, kind := p.Txn.Transfers[i], p.Txn.Transfers[i].Kind
			if kind == holdfast.Post {
				held := w.holds(p, i)
				l.Debit, l.Credit = held.Debit, held.Payee
				if l.Amount == 0 {
					l.Amount = held.Amount
				}
			}
			if kind == holdfast.Immediate || kind == holdfast.Post {
				want[l.Debit] -= l.Amount
				want[l.Credit] += l.Amount
			}
		}
	}
	for s := range holdfast.ShardID(testShards) {
		for purpose, start := range map[string]holdfast.Amount{"a": 50, "b": 50, "c": -20} {
			a, _ := w.shard(s + 1).state.Account(account(fmt.Sprintf("%d%s", s+1, purpose)))
			if got := a.Balance() - start; got != want[a.ID] {
				w.t.Fatalf("%s has moved by %d, the answers add up to %d", a.ID, got, want[a.ID])
			}
		}
	}
}

// holds is the hold that a post refers to, in whichever form.
func (w *world) holds(p *Payment, i int) Held {
	hold := p.Txn.Transfers[i].Hold
	if list := w.holdsOf(&p.Txn.Transfers[i]); len(list) > 0 && list[0].Home != list[0].Away {
		return list[0]
	}
	for _, t := range w.asked {
		for k := range t.Transfers {
			if t.TransferID(k) == hold && t.Transfers[k].Kind == holdfast.Hold {
				return Held{Debit: t.Transfers[k].Debit, Payee: t.Transfers[k].Credit, Amount: t.Transfers[k].Amount}
			}
		}
	}
	w.t.Fatalf("the hold %s is nowhere", hold)
	return Held{}
}

// draw makes a transaction of one to three legs, between all wallets; ids are few, so that they meet.
func (w *world) draw() *holdfast.Txn {
	pick := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }
	n := len(w.asked) + 1
	t := &holdfast.Txn{ID: id(n)}
	legs := 1 + pick(3, "legs")
	home, away := 1+pick(testShards, "home"), 1+pick(testShards, "away")
	holds := pick(4, "kind") == 0
	for i := range legs {
		wallet := func(s int, what string) holdfast.AccountID {
			return account(fmt.Sprintf("%d%s", s, wallets[pick(len(wallets), what)]))
		}
		leg := holdfast.Transfer{Kind: holdfast.Immediate, Amount: holdfast.Amount(1 + pick(30, "amount"))}
		from, to := home, away
		switch pick(6, "way") {
		case 0:
			to = home
		case 1:
			from = away
		}
		leg.Debit, leg.Credit = wallet(from, "debit"), wallet(to, "credit")
		if leg.Debit == leg.Credit {
			leg.Credit = account(fmt.Sprintf("%dbank", to))
		}
		if holds {
			leg.Kind = holdfast.Hold
		} else if pick(5, "end") == 0 && n > 1 {
			leg = w.drawEnd(pick)
		}
		if legs > 1 {
			leg.ID = id(1000*n + i)
		}
		t.Transfers = append(t.Transfers, leg)
	}
	return t
}

func (w *world) drawEnd(pick func(int, string) int) holdfast.Transfer {
	other := w.asked[pick(len(w.asked), "transaction")]
	leg := holdfast.Transfer{Kind: holdfast.Post, Hold: other.TransferID(pick(len(other.Transfers), "leg"))}
	if pick(3, "void") == 0 {
		leg.Kind = holdfast.Void
	} else {
		leg.Amount = holdfast.Amount(pick(12, "part"))
	}
	return leg
}

// TestMoneyIsConserved: whatever is lost, repeated, overtaken and forgotten, the invariant of every pair holds after every
// transaction of every log, answers stay what they were, and in the end every payment is whole or absent.
func TestMoneyIsConserved(t *testing.T) {
	var stats struct{ crossed, refused int }
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		anyShard := func() holdfast.ShardID { return holdfast.ShardID(rapid.IntRange(1, testShards).Draw(w.t, "shard")) }
		chance := func(n int, what string) bool { return rapid.IntRange(1, n).Draw(w.t, what) == 1 }
		rt.Repeat(map[string]func(*rapid.T){
			"pay": func(rt *rapid.T) {
				w.t = rt
				x := w.draw()
				w.asked = append(w.asked, x)
				w.submit(x)
			},
			"ask again": func(rt *rapid.T) {
				w.t = rt
				if len(w.asked) > 0 {
					w.submit(w.asked[rapid.IntRange(0, len(w.asked)-1).Draw(rt, "which")])
				}
			},
			"deliver": func(rt *rapid.T) {
				w.t = rt
				if len(w.letters) > 0 {
					w.deliver(rapid.IntRange(0, len(w.letters)-1).Draw(rt, "letter"), chance(4, "again"), chance(3, "lost"))
				}
			},
			"lose": func(rt *rapid.T) {
				w.t = rt
				if i := len(w.letters) - 1; i >= 0 && chance(3, "lose") {
					w.letters = w.letters[:i]
				}
			},
			"step": func(rt *rapid.T) {
				w.t = rt
				w.now += holdfast.Time(rapid.IntRange(1, 100).Draw(rt, "ms")) * 1e6
				w.step(anyShard())
			},
			"crash": func(rt *rapid.T) {
				w.t = rt
				w.crash(anyShard())
			},
			"blind": func(rt *rapid.T) { w.blind = !w.blind },
		})
		w.t = rt
		w.finish()
		for txn, o := range w.told {
			if p := w.sent[txn]; p.Crosses() && o.Status == holdfast.Done {
				stats.crossed++
			} else if p.Crosses() {
				stats.refused++
			}
		}
	})
	t.Logf("%+v", stats)
	if stats.crossed == 0 || stats.refused == 0 {
		t.Error("no payment crossed, or none was refused: nothing was tried")
	}
}
