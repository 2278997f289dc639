package slot

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/ledger"
	"holdfast/transit"
)

// world is a few shards with a real ledger, a courier and a mover each, sites with maps of any age, and a network in which every
// proposal and every answer can be lost, repeated and overtaken.
type world struct {
	t       *rapid.T
	now     holdfast.Time
	shards  []*home
	charts  []chart // versions of the shard map; the last is true
	oldest  int     // the oldest that a site may still have
	letters []letter
	asked   []*holdfast.Txn
	told    map[holdfast.ID]holdfast.Outcome
	// answered are those that were told something that stays, if only that nothing can be done.
	answered map[holdfast.ID]bool
	papers   map[string]holdfast.Record // as they were last written, wherever
	moves    int
	calm     bool // nothing is lost any more
	page     int  // accounts in a page
	chunk    int  // records compared at a time
	putOff   bool // something met a record that was pending
	stats    *stats
}

type stats struct{ moved, redirected, holds, again, refused, frozen, papers, carried, takenBack int }

// home is one shard: its leader, and the replica that the others see, which lags behind.
type home struct {
	state, seen *ledger.State
	log         journal
	courier     *transit.Courier
	mover       *Mover
}

// chart is a version of the shard map.
type chart struct {
	at      [slotsUsed]holdfast.ShardID
	origins [slotsUsed][]transit.Origin
}

func (c *chart) ShardOf(o holdfast.Owner) holdfast.ShardID { return c.at[o.Slot()] }

func (c *chart) Origins(slot holdfast.Slot) []transit.Origin {
	if slot >= slotsUsed {
		return nil
	}
	return c.origins[slot]
}

// letter is a proposal to a shard, and what becomes of its answer.
type letter struct {
	to      holdfast.ShardID
	txn     holdfast.Txn
	answer  func(holdfast.Outcome)
	several bool // a depart of several transfers: which shard is its home depends on where all its owners are
}

const (
	testShards = 3
	slotsUsed  = 5
)

var (
	wallets = []string{"a", "b", "c"}
	cny     = holdfast.MustAsset("CNY")
)

func id(n int) holdfast.ID { return holdfast.IDOf(0x0190f3c6_2a3b_7c4d, 0x8e5f_000000000000|uint64(n)) }

func account(slot int, purpose string) holdfast.AccountID {
	owner, err := holdfast.NewOwner(7, holdfast.Slot(slot))
	if err != nil {
		panic(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose(purpose), Asset: cny}
}

func newWorld(t *rapid.T, s *stats) *world {
	w := &world{t: t, now: 1e9, told: map[holdfast.ID]holdfast.Outcome{}, answered: map[holdfast.ID]bool{}, papers: map[string]holdfast.Record{}, stats: s}
	w.page = rapid.SampledFrom([]int{1, 3, 0}).Draw(t, "page")
	w.chunk = rapid.SampledFrom([]int{1, 2, 0}).Draw(t, "chunk")
	var first chart
	for slot := range slotsUsed {
		first.at[slot] = holdfast.ShardID(slot%testShards + 1)
	}
	w.charts = []chart{first}
	for i := range testShards {
		w.shards = append(w.shards, &home{state: ledger.New(), seen: ledger.New()})
		w.crash(holdfast.ShardID(i + 1))
	}
	for slot := range slotsUsed {
		w.open(slot)
	}
	return w
}

// open gives every wallet of a slot some money; wallet "c" takes no more than it is owed, so that some lands are refused.
func (w *world) open(slot int) {
	t := holdfast.Txn{ID: id(900 + slot)}
	bank := account(slot, "bank")
	t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: bank})
	for i, purpose := range wallets {
		a, limit := account(slot, purpose), holdfast.LimitDebits
		if purpose == "c" {
			limit = holdfast.LimitCredits
		}
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a, Limit: limit, Code: uint32(slot)})
		leg := holdfast.Transfer{ID: id(910 + 10*slot + i), Kind: holdfast.Immediate, Debit: bank, Credit: a, Amount: 50}
		if purpose == "c" {
			leg.Debit, leg.Credit, leg.Amount = a, bank, 20
		}
		t.Transfers = append(t.Transfers, leg)
	}
	if o := w.apply(w.charts[0].at[slot], t); o.Status != holdfast.Done {
		w.t.Fatalf("opening slot %d: %+v", slot, o)
	}
}

func (w *world) shard(s holdfast.ShardID) *home { return w.shards[s-1] }

func (w *world) chart() *chart { return &w.charts[len(w.charts)-1] }

// crash loses what the driver of a shard knows.
func (w *world) crash(s holdfast.ShardID) {
	h := w.shard(s)
	h.courier = transit.NewCourier(transit.CourierConfig{Home: s, Grace: 50e6, Wait: 400e6, InFlight: 2})
	h.mover = New(Config{Shard: s, Ebb: 200e6, Pause: 100e6, Wait: 400e6, Page: w.page, Chunk: w.chunk})
}

// journal is the log of a shard. No segment is ever forgotten, so nothing else is asked of it.
type journal [][]byte

func (journal) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }

func (journal) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }

func (j journal) Entry(index uint64) ([]byte, error) { return j[index-1], nil }

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
	w.written(s, &t, &o)
	if o.Status == holdfast.NotExecuted && o.Code != holdfast.CodeMoved && o.Code != holdfast.CodeRecordPending {
		w.t.Fatalf("shard %d: %s is malformed in the log: %s %s\n%+v", s, t.ID, o.Code, o.Field, t)
	}
	if _, err := h.state.Recount(); err != nil {
		w.t.Fatalf("shard %d, after %s: %v", s, t.ID, err)
	}
	w.auditTransit()
	return o
}

// auditTransit compares, for every shard, what it has sent with what has landed anywhere.
func (w *world) auditTransit() {
	for h := range holdfast.ShardID(testShards) {
		var sent, held, came holdfast.Amount
		for a := range holdfast.ShardID(testShards) {
			out, _ := w.shard(h + 1).state.Account(holdfast.InTransit(h+1, a+1, cny))
			in, _ := w.shard(a + 1).state.Account(holdfast.InTransit(a+1, h+1, cny))
			sent, held, came = sent+out.CreditsPosted, held+out.CreditsPending, came+in.DebitsPosted
		}
		if sent > came || came > sent+held {
			w.t.Fatalf("shard %d has sent %d and holds %d more, and %d have landed", h+1, sent, held, came)
		}
	}
}

// catchUp lets the replicas that others see of a shard apply some of its log.
func (w *world) catchUp(s holdfast.ShardID, entries int) {
	h := w.shard(s)
	for ; entries > 0; entries-- {
		index, _ := h.seen.Applied()
		if index == uint64(len(h.log)) {
			return
		}
		if _, err := h.seen.Apply(index+1, h.log[index], h.log, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// view is what drivers see who stand at the leader of a shard.
type view struct {
	*world
	at holdfast.ShardID
}

func (v view) state(s holdfast.ShardID) *ledger.State {
	if s == v.at {
		return v.shard(s).state
	}
	return v.shard(s).seen
}

func (v view) ShardOf(o holdfast.Owner) holdfast.ShardID   { return v.chart().ShardOf(o) }
func (v view) Origins(slot holdfast.Slot) []transit.Origin { return v.chart().Origins(slot) }

func (v view) Outbox(after uint64, max int) []holdfast.Queued {
	return v.state(v.at).Outbox(after, max)
}
func (v view) Places(p *transit.Payment) []holdfast.ShardID          { return p.Places(v) }
func (v view) State(s holdfast.ShardID, fn func(*ledger.State)) bool { fn(v.state(s)); return true }

func (v view) Whereto(p *transit.Payment) (holdfast.ShardID, bool, bool) {
	return transit.Land(p, v, v.lookup)
}

func (v view) Record(s holdfast.ShardID, key string) (holdfast.Record, bool, bool) {
	row, found := v.state(s).RecentRecord(key)
	return row.Record, found && !row.Deleted, true
}

func (v view) Records(s holdfast.ShardID, slot holdfast.Slot, after string, max int) ([]holdfast.Record, bool) {
	return v.state(s).RecentOwned(slot, holdfast.OwnedPrefix, after, max), true
}

func (v view) Decided(s holdfast.ShardID, id holdfast.ID) (*holdfast.Txn, holdfast.Outcome, bool) {
	trace, found := v.state(s).FindRecent(id)
	if !found {
		return nil, holdfast.Outcome{}, false
	}
	_, t, err := ledger.TxnAt(v.shard(s).log[trace.Index-1], trace.Ord)
	if err != nil {
		v.t.Fatal(err)
	}
	o := holdfast.Outcome{ID: id, Status: holdfast.Done, Code: trace.Code, Leg: trace.Leg, Position: trace.Position}
	if trace.Code != holdfast.CodeOK {
		o.Status = holdfast.Refused
	}
	return t, o, t.ID == id
}

// lookup asks a replica that has applied enough.
func (v view) lookup(o transit.Origin, id holdfast.ID) (*holdfast.Txn, bool, bool) {
	if o.Index == 0 {
		v.catchUp(o.Shard, 1<<20) // whoever asks waits for it
	}
	if index, _ := v.state(o.Shard).Applied(); index < o.Index {
		return nil, false, false
	}
	t, _, found := v.Decided(o.Shard, id)
	return t, found, true
}

// site is who takes a request: it has some map, and sees what others see.
func (w *world) site(t *holdfast.Txn) (view, transit.Directory) {
	n := len(w.charts) - 1
	if !w.calm && len(t.Transfers) < 2 {
		n = rapid.IntRange(w.oldest, n).Draw(w.t, "map")
	}
	return view{w, 0}, &w.charts[n]
}

func (v view) holdsOf(end *holdfast.Transfer) []transit.Held {
	return transit.FindHolds([]holdfast.ShardID{1, 2, 3}, func(at holdfast.ShardID) []transit.Held { return v.holdsIn(at, end.Hold) })
}

func (v view) holdsIn(at holdfast.ShardID, hold holdfast.ID) (list []transit.Held) {
	ended := func(s ledger.HoldState) bool { return s > ledger.HoldOpen && s < ledger.HoldMoved }
	written, err := transit.ReadHolds(hold, func(key string) (holdfast.Record, bool, error) {
		r, found, _ := v.Record(at, key)
		return r, found, nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	for i := range written {
		held := written[i].Held
		trace, found := v.state(at).FindRecent(held.ID(hold))
		held.Ended = found && ended(trace.Hold)
		list = append(list, held)
	}
	trace, found := v.state(at).FindRecent(hold)
	if !found || trace.Hold == ledger.NotHold || trace.Hold == ledger.HoldMoved {
		return list
	}
	_, t, err := ledger.TxnAt(v.shard(at).log[trace.Index-1], trace.Ord)
	if err != nil {
		v.t.Fatal(err)
	}
	leg := t.Transfers[trace.Leg%holdfast.NoLeg]
	return append(list, transit.Held{Home: at, Away: at, Debit: leg.Debit, Payee: leg.Credit, Amount: leg.Amount, Ended: ended(trace.Hold)})
}

// submit is one attempt of a site; it may die in between.
func (w *world) submit(t *holdfast.Txn) {
	v, d := w.site(t)
	p, code, _, ok := transit.Route(t, d, v.holdsOf, v.lookup)
	if ok {
		if q, found, sure := transit.Anywhere(t, code, []holdfast.ShardID{1, 2, 3}, v.holdsOf, v.lookup); !sure {
			return
		} else if found {
			p, code = q, holdfast.CodeOK
		}
	}
	if ok && code == holdfast.CodeOK {
		w.depart(t, p)
	}
	w.answered[t.ID] = w.answered[t.ID] || code != holdfast.CodeOK
}

func (w *world) depart(t *holdfast.Txn, p transit.Payment) {
	w.letters = append(w.letters, letter{p.Home, p.Depart(), func(depart holdfast.Outcome) {
		v, _ := w.site(t)
		if w.calm {
			w.catchUp(p.Home, 1<<20)
		}
		if q, again, ok := transit.Taken(t, p.Home, &depart, v.holdsOf, v.lookup); again || !ok {
			if !ok {
				return
			}
			w.stats.again++
			w.depart(t, q)
			return
		}
		if !p.Crosses() || depart.Status != holdfast.Done {
			w.tell(t, p.Departed(depart))
			return
		}
		w.land(t, p, depart)
	}, len(t.Transfers) > 1})
}

func (w *world) land(t *holdfast.Txn, p transit.Payment, depart holdfast.Outcome) {
	v, d := w.site(t)
	to, whole, ok := transit.Land(&p, d, v.lookup)
	if !ok {
		return
	}
	if to != p.Away {
		w.stats.redirected++
	}
	w.landAt(t, p, depart, to, whole)
}

func (w *world) landAt(t *holdfast.Txn, p transit.Payment, depart holdfast.Outcome, to holdfast.ShardID, whole bool) {
	q := p.At(to)
	land := q.Land()
	if !whole {
		land = q.Refusal()
	}
	w.letters = append(w.letters, letter{to, land, func(land holdfast.Outcome) {
		w.tell(t, p.Outcome(depart, land))
		if land.Code == holdfast.CodeIDTaken && whole { // perhaps it was refused in the other form
			w.landAt(t, p, depart, to, false)
		}
		w.shard(p.Home).courier.Landed(w.now, p.Txn.ID, land)
	}, false})
}

// tell checks an answer against those before it: what is certain stays.
func (w *world) tell(t *holdfast.Txn, o holdfast.Outcome) {
	w.putOff = w.putOff || o.Code == holdfast.CodeRecordPending
	if o.Status != holdfast.Done && o.Status != holdfast.Refused {
		return
	}
	w.answered[t.ID] = true
	if o.Code == holdfast.CodeIDTaken || o.Code == holdfast.CodeTransferIDTaken {
		return
	}
	before, ok := w.told[t.ID]
	if ok && (before.Status != o.Status || before.Code != o.Code) {
		w.t.Fatalf("%s was answered %+v, and now %+v", t.ID, before, o)
	}
	if testing.Verbose() {
		w.t.Logf("told: %s is %s (%s)%s", t.ID.String()[19:], o.Status, o.Code, describe(t))
	}
	w.told[t.ID] = o
}

// deliver brings a letter to its shard, perhaps once more later, and perhaps loses its answer.
func (w *world) deliver(i int, again, lost bool) {
	l := w.letters[i]
	if !again {
		w.letters = slices.Delete(w.letters, i, i+1)
	}
	o := w.apply(l.to, l.txn)
	if testing.Verbose() {
		w.t.Logf("shard %d: %s is %s (%s %v)%s", l.to, l.txn.ID.String()[19:], o.Status, o.Code, o.Replay, describe(&l.txn))
	}
	if !lost {
		l.answer(o)
	}
}

// step lets the courier and the mover of a shard work.
func (w *world) step(s holdfast.ShardID) {
	h, v := w.shard(s), view{w, s}
	courier, mover := h.courier, h.mover
	work := courier.Step(w.now, v)
	for _, b := range work.Lands {
		for _, p := range b.List {
			w.letters = append(w.letters, letter{b.To, p.Txn, func(o holdfast.Outcome) { courier.Landed(w.now, p.Payment, o) }, false})
		}
	}
	for _, p := range work.Settles {
		w.letters = append(w.letters, letter{s, p.Txn, func(o holdfast.Outcome) { courier.Settled(w.now, p.Payment, o) }, false})
	}
	todo := mover.Step(w.now, v)
	if p := todo.Proposal; p != nil {
		w.letters = append(w.letters, letter{p.To, p.Txn, func(o holdfast.Outcome) { mover.Answered(w.now, p, o) }, false})
	}
	if f := todo.Flip; f != nil {
		w.flip(f)
	}
	if err := mover.Err(); err != nil {
		w.t.Fatalf("the mover of shard %d: %v", s, err)
	}
}

func (w *world) flip(f *Flip) {
	next := *w.chart()
	if next.at[f.Slot] == f.To {
		return
	}
	next.at[f.Slot], next.origins[f.Slot] = f.To, f.Origins
	w.charts = append(w.charts, next)
	w.stats.moved++
	// The other rule of time: a depart of several transfers that was made by the old map is not late.
	w.letters = slices.DeleteFunc(w.letters, func(l letter) bool { return l.several })
}

// mark begins a move. No copy of a request lives as long as two moves: that is the one rule of time.
func (w *world) mark(slot int, to holdfast.ShardID) {
	from := w.chart().at[slot]
	if len(w.chart().origins[slot]) > 0 {
		w.letters, w.oldest = nil, len(w.charts)-1
	}
	w.moves++
	move := func(holdfast.Slot) holdfast.ID { return id(5000 + w.moves) }
	if t, _, ok := Mark(view{w, from}, []holdfast.Slot{holdfast.Slot(slot)}, from, to, move); ok {
		w.letters = append(w.letters, letter{from, t, func(holdfast.Outcome) {}, false})
	}
}

func (w *world) unmark(slot int) {
	from := w.chart().at[slot]
	if t, _, ok := Unmark(view{w, from}, []holdfast.Slot{holdfast.Slot(slot)}, from); ok {
		w.letters = append(w.letters, letter{from, t, func(holdfast.Outcome) {}, false})
	}
}

// busy tells what is not over.
func (w *world) busy() string {
	for i, h := range w.shards {
		if list := h.state.Outbox(0, 1); len(list) > 0 {
			p, _ := transit.Read(list[0].Body)
			v := view{w, holdfast.ShardID(i + 1)}
			to, whole, ok := v.Whereto(&p)
			return fmt.Sprintf("shard %d has a message of %s left, to land in %d (%v %v) of %v: %v %+v", i+1, list[0].Txn, to, whole, ok, p.Places(v), h.courier.Err(), p.Txn)
		}
		g, _ := h.state.Gates()
		for _, slot := range g.Slots() {
			if g.Of(slot) != ledger.GateGone {
				return fmt.Sprintf("slot %d of shard %d has gate %d (%v)", slot, i+1, g.Of(slot), h.mover.Err())
			}
		}
	}
	return ""
}

// finish stops the faults: everything must come to its end within some rounds.
func (w *world) finish() {
	w.calm, w.letters = true, nil
	for range len(w.asked) + 1 { // as often as one can end the hold of another that was not there before
		w.askAll()
	}
	w.settle()
	clear(w.answered)
	w.askAll()
	w.settle()
	if what := w.busy(); what != "" {
		w.t.Fatal(what)
	}
	for _, t := range w.asked {
		if !w.answered[t.ID] {
			w.t.Fatalf("%s has no answer: %+v", t.ID, t)
		}
	}
	w.compareWithTold()
	w.compareMoving()
	w.compareRecords()
}

// paper is the key of a record of the owner in a slot.
func paper(slot, n int) string { return holdfast.OwnedKey(account(slot, "a").Owner, strconv.Itoa(n)) }

// papersEach is how many records the owner in a slot has: one more than are compared at a time, of which a few change.
const papersEach = 3

// written follows what a log does to records: a version never comes twice with another content, wherever its owner is, and what is done
// counts on from the last version that was acknowledged anywhere.
func (w *world) written(s holdfast.ShardID, t *holdfast.Txn, o *holdfast.Outcome) {
	if o.Status != holdfast.Done || o.Replay || ledger.OfMove(t) {
		return
	}
	for i := range t.Records {
		c := &t.Records[i]
		if holdfast.OwnerOfKey(c.Key) == 0 {
			continue
		}
		row, _ := w.shard(s).state.RecentRecord(c.Key)
		before, there := w.papers[c.Key]
		switch {
		case c.Op == holdfast.RecordKeep && row.Version == before.Version && string(row.Body) == string(before.Body):
		case row.Deleted && c.Op != holdfast.RecordTakeBack:
			w.t.Fatalf("%s is not there after it was written: %+v", c.Key, row)
		case !row.Deleted && row.Version != before.Version+1:
			w.t.Fatalf("%s has version %d in shard %d after %s, and was at version %d (%v)", c.Key, row.Version, s, t.ID, before.Version, there)
		}
		if w.papers[c.Key] = row.Record; row.Deleted {
			delete(w.papers, c.Key)
		}
		if c.Op == holdfast.RecordTakeBack {
			w.stats.takenBack++
		}
	}
}

// compareRecords: every record is once in the fleet, where its owner is now, as it was last written; what a payment has written is there if
// it is done, and nothing else.
func (w *world) compareRecords() {
	for s := range holdfast.ShardID(testShards) {
		for slot := range slotsUsed {
			for _, r := range w.shard(s+1).state.RecentOwned(holdfast.Slot(slot), holdfast.OwnedPrefix, "", 1000) {
				if w.chart().at[slot] != s+1 {
					w.t.Fatalf("%s is left in shard %d: %+v", r.Key, s+1, r)
				}
				if len(w.chart().origins[slot]) > 0 {
					w.stats.carried++
				}
			}
		}
	}
	want := map[string]int{}
	for _, t := range w.asked {
		if o := w.told[t.ID]; o.Status == holdfast.Done {
			for i := range t.Records {
				want[t.Records[i].Key]++
				w.stats.papers++
			}
		}
	}
	for slot := range slotsUsed {
		for n := range papersEach {
			key := paper(slot, n)
			last := w.papers[key]
			row, found := w.shard(w.chart().at[slot]).state.RecentRecord(key)
			if found != (last.Version > 0) && !row.Deleted || found && !row.Deleted && (row.Version != last.Version ||
				row.Changed != last.Changed || string(row.Body) != string(last.Body) || !slices.Equal(row.Index, last.Index) || row.Pending != nil) {
				w.t.Fatalf("%s is %+v in shard %d, and was last %+v", key, row, w.chart().at[slot], last)
			}
			if lines := strings.Count(string(row.Body), ";"); lines != want[key] {
				w.t.Fatalf("%s has %d lines, the answers add up to %d: %s", key, lines, want[key], row.Body)
			}
		}
	}
}

func (w *world) settle() {
	for round := 0; round < 10 || w.busy() != "" && round < 300; round++ {
		w.now += 50e6
		for s := range holdfast.ShardID(testShards) {
			w.catchUp(s+1, 1<<20)
			w.step(s + 1)
		}
		w.deliverAll()
	}
}

func (w *world) deliverAll() {
	for len(w.letters) > 0 {
		w.deliver(0, false, false)
		for s := range holdfast.ShardID(testShards) {
			w.catchUp(s+1, 1<<20)
		}
	}
}

func (w *world) askAll() {
	for _, t := range w.asked {
		for again := true; again; {
			w.putOff = false
			w.submit(t)
			w.deliverAll()
			if again = w.putOff; again {
				w.settle()
			}
		}
	}
}

// compareWithTold: every payment that was told to be done is there once, wherever its owners are now, and one that was told to
// be refused is not there; and nothing is left where they have been.
func (w *world) compareWithTold() {
	want := map[holdfast.AccountID]holdfast.Amount{}
	pending := map[holdfast.AccountID]holdfast.Amount{}
	for _, t := range w.asked {
		o, ok := w.told[t.ID]
		switch {
		case ok && o.Status == holdfast.Done:
			w.expect(t, want, pending)
		case ok && w.departed(t):
			w.expectGone(t, pending)
		}
	}
	for slot := range slotsUsed {
		for purpose, start := range map[string]holdfast.Amount{"a": 50, "b": 50, "c": -20, "bank": -80} {
			name := account(slot, purpose)
			for s := range holdfast.ShardID(testShards) {
				a, open := w.shard(s + 1).state.Account(name)
				if a.Flags != 0 && s+1 == w.chart().at[slot] && len(w.chart().origins[slot]) > 0 {
					w.stats.frozen++
				}
				wanted, held := want[name]+start, pending[name]
				if s+1 != w.chart().at[slot] {
					wanted, held = 0, 0
				} else if !open || a.Code != 0 && a.Code != uint32(slot) {
					w.t.Fatalf("%s is not in shard %d: %+v", name, s+1, a)
				}
				if a.Balance() != wanted || a.DebitsPending != held {
					w.t.Fatalf("slot %d, %s in shard %d has %d and %d on hold, the answers add up to %d and %d", slot, name, s+1,
						a.Balance(), a.DebitsPending, wanted, held)
				}
			}
		}
	}
}

// departed tells whether a payment was done at home, whatever became of it away.
func (w *world) departed(t *holdfast.Txn) bool {
	return slices.ContainsFunc(w.shards, func(h *home) bool {
		trace, found := h.state.FindRecent(t.ID)
		return found && trace.Code == holdfast.CodeOK
	})
}

// expectGone: the holds that a payment was to post are gone when it departed and did not land.
func (w *world) expectGone(t *holdfast.Txn, pending map[holdfast.AccountID]holdfast.Amount) {
	for i := range t.Transfers {
		if t.Transfers[i].Kind == holdfast.Post {
			h := w.holdAsked(t.Transfers[i].Hold)
			pending[h.Debit] -= h.Amount
		}
	}
}

// expect adds up what a transaction that is done has moved and holds.
func (w *world) expect(t *holdfast.Txn, want, pending map[holdfast.AccountID]holdfast.Amount) {
	for i := range t.Transfers {
		l := t.Transfers[i]
		switch l.Kind {
		case holdfast.Hold:
			pending[l.Debit] += l.Amount
			w.stats.holds++
		case holdfast.Immediate:
			want[l.Debit] -= l.Amount
			want[l.Credit] += l.Amount
		default:
			h := w.holdAsked(l.Hold)
			pending[h.Debit] -= h.Amount
			if l.Kind == holdfast.Void {
				continue
			}
			if l.Amount == 0 {
				l.Amount = h.Amount
			}
			want[h.Debit] -= l.Amount
			want[h.Credit] += l.Amount
		}
	}
}

func (w *world) holdAsked(hold holdfast.ID) holdfast.Transfer {
	for _, t := range w.asked {
		for k := range t.Transfers {
			if t.TransferID(k) == hold && t.Transfers[k].Kind == holdfast.Hold {
				return t.Transfers[k]
			}
		}
	}
	w.t.Fatalf("the hold %s is nowhere", hold)
	return holdfast.Transfer{}
}

// compareMoving: what has left one shard has come to the other.
func (w *world) compareMoving() {
	for a := range holdfast.ShardID(testShards) {
		for b := range a {
			x, _ := w.shard(a + 1).state.Account(holdfast.Moving(a+1, b+1, cny))
			y, _ := w.shard(b + 1).state.Account(holdfast.Moving(b+1, a+1, cny))
			if x.Balance()+y.Balance() != 0 {
				w.t.Fatalf("between shards %d and %d: %d went and %d came", a+1, b+1, x.Balance(), y.Balance())
			}
		}
	}
}

// draw makes a transaction of one to three legs between all wallets.
func (w *world) draw() *holdfast.Txn {
	pick := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }
	n := len(w.asked) + 1
	t := &holdfast.Txn{ID: id(n)}
	if pick(12, "account") == 0 {
		op := []holdfast.AccountOp{holdfast.FreezeAccount, holdfast.ThawAccount, holdfast.ThawAccount, holdfast.CloseAccount}[pick(4, "op")]
		t.Accounts = []holdfast.AccountChange{{Op: op, ID: account(pick(slotsUsed, "slot"), wallets[pick(len(wallets), "wallet")])}}
		return t
	}
	defer w.drawRecords(t, pick)
	if pick(8, "records") == 0 {
		return t
	}
	legs := 1 + pick(6, "legs")/3
	from, to := pick(slotsUsed, "from"), pick(slotsUsed, "to")
	holds := pick(3, "kind") == 0
	for i := range legs {
		wallet := func(s int, what string) holdfast.AccountID { return account(s, wallets[pick(len(wallets), what)]) }
		leg := holdfast.Transfer{Kind: holdfast.Immediate, Amount: holdfast.Amount(1 + pick(30, "amount"))}
		a, b := from, to
		switch pick(6, "way") {
		case 0:
			b = from
		case 1:
			a = to
		case 2:
			b = pick(slotsUsed, "other")
		}
		leg.Debit, leg.Credit = wallet(a, "debit"), wallet(b, "credit")
		if leg.Debit == leg.Credit {
			leg.Credit = account(b, "bank")
		}
		if holds {
			leg.Kind = holdfast.Hold
			if pick(8, "timeout") == 0 {
				leg.Timeout = 400 * 24 * time.Hour
			}
		} else if pick(3, "end") == 0 && n > 1 {
			leg = w.drawEnd(pick)
		}
		if legs > 1 {
			leg.ID = id(1000*n + i)
		}
		t.Transfers = append(t.Transfers, leg)
	}
	return t
}

// drawRecords adds what a transaction writes about owners: a line in a record of one of those whom it pays from or to, mostly, which has to
// be as it was last written.
func (w *world) drawRecords(t *holdfast.Txn, pick func(int, string) int) {
	if len(t.Transfers) > 0 && pick(2, "records with it") == 0 {
		return
	}
	taken := map[string]bool{}
	for range 1 + pick(3, "papers") {
		slot := pick(slotsUsed, "of slot")
		if n := len(t.Transfers); n > 0 && pick(6, "of a stranger") > 0 {
			leg := &t.Transfers[pick(n, "of leg")]
			side := []holdfast.AccountID{leg.Debit, leg.Credit}[pick(2, "side")]
			if side.Owner != 0 {
				slot = int(side.Owner.Slot())
			}
		}
		key := paper(slot, pick(papersEach, "paper"))
		if taken[key] {
			continue
		}
		taken[key] = true
		r := w.papers[key]
		if pick(6, "need") == 0 {
			t.Preconditions = append(t.Preconditions, holdfast.Precondition{Key: key, Version: r.Version})
			continue
		}
		body := fmt.Sprintf("%s%s;", r.Body, t.ID.String()[19:])
		t.Records = append(t.Records, holdfast.RecordChange{Key: key, Expect: r.Version, Body: []byte(body), Index: []string{"all"}})
	}
}

func (w *world) drawEnd(pick func(int, string) int) holdfast.Transfer {
	other := w.asked[pick(len(w.asked), "transaction")]
	if len(other.Transfers) == 0 {
		return holdfast.Transfer{Kind: holdfast.Void, Hold: other.ID}
	}
	leg := holdfast.Transfer{Kind: holdfast.Post, Hold: other.TransferID(pick(len(other.Transfers), "leg"))}
	if pick(3, "void") == 0 {
		leg.Kind = holdfast.Void
	} else {
		leg.Amount = holdfast.Amount(pick(12, "part"))
	}
	return leg
}

// run is one random life of a world.
func run(rt *rapid.T, s *stats) {
	w := newWorld(rt, s)
	chance := func(n int, what string) bool { return rapid.IntRange(1, n).Draw(w.t, what) == 1 }
	anyShard := func() holdfast.ShardID { return holdfast.ShardID(rapid.IntRange(1, testShards).Draw(w.t, "shard")) }
	anySlot := func() int { return rapid.IntRange(0, slotsUsed-1).Draw(w.t, "slot") }
	pay := func() {
		x := w.draw()
		if code, _ := ledger.Check(x); code == holdfast.CodeOK {
			w.asked = append(w.asked, x)
			w.submit(x)
		}
	}
	deliver := func() {
		if n := len(w.letters); n > 0 {
			w.deliver(max(0, n-1-rapid.IntRange(0, n-1).Draw(w.t, "letter")), chance(6, "again"), chance(6, "lost"))
		}
	}
	work := func() {
		w.now += holdfast.Time(rapid.IntRange(1, 60).Draw(w.t, "ms")) * 1e6
		s := anyShard()
		w.catchUp(s, rapid.IntRange(0, 20).Draw(w.t, "entries"))
		w.step(s)
		deliver()
	}
	actions := map[string]func(){
		"pay": pay, "pay more": pay, "deliver": deliver, "deliver more": deliver, "work": work, "work on": work, "work harder": work,
		"go on": func() {
			for range 10 {
				work()
			}
		},
		"ask again": func() {
			if len(w.asked) > 0 {
				w.submit(w.asked[rapid.IntRange(0, len(w.asked)-1).Draw(w.t, "which")])
			}
		},
		"lose": func() {
			if i := len(w.letters) - 1; i >= 0 && chance(3, "lose") {
				w.letters = w.letters[:i]
			}
		},
		"crash": func() { w.crash(anyShard()) },
		"move":  func() { w.mark(anySlot(), anyShard()) },
		"stay": func() {
			if chance(4, "stay") {
				w.unmark(anySlot())
			}
		},
	}
	wrapped := map[string]func(*rapid.T){}
	for name, do := range actions {
		wrapped[name] = func(rt *rapid.T) { w.t = rt; do() }
	}
	rt.Repeat(wrapped)
	w.t = rt
	w.finish()
	for _, o := range w.told {
		if o.Status == holdfast.Refused {
			s.refused++
		}
	}
}

// TestMovesLoseNothing: whatever is lost, repeated, overtaken and forgotten, and however old the maps of sites are, answers stay
// what they were, both books balance after every transaction, and in the end every payment is there once, where its owners are.
func TestMovesLoseNothing(t *testing.T) {
	var s stats
	seed := flag.Lookup("rapid.seed").Value
	first, err := strconv.ParseUint(seed.String(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Set(seed.String())
	for n := range uint64(20) { // a hundred schedules each; some things happen in one of a hundred
		if first > 0 { // else each draws its own
			if err := seed.Set(strconv.FormatUint(first+n<<32, 10)); err != nil {
				t.Fatal(err)
			}
		}
		rapid.Check(t, func(rt *rapid.T) { run(rt, &s) })
		if s.triedAll() {
			t.Logf("%+v", s)
			return
		}
	}
	t.Errorf("something was never tried: %+v", s)
}

func (s *stats) triedAll() bool {
	return s.moved > 0 && s.redirected > 0 && s.holds > 0 && s.again > 0 && s.frozen > 0 && s.papers > 0 && s.carried > 0 && s.takenBack > 0
}

// describe tells what of a move is in a transaction.
func describe(t *holdfast.Txn) (text string) {
	for i := range t.Transfers {
		l := &t.Transfers[i]
		text += fmt.Sprintf("; %s %d", l.Kind, l.Amount)
		if l.Debit.Owner != 0 {
			text += fmt.Sprintf(" %d%s>%d%s as %s", l.Debit.Owner.Slot(), l.Debit.Purpose, l.Credit.Owner.Slot(), l.Credit.Purpose, t.TransferID(i).String()[19:])
		}
		if !l.Hold.IsZero() {
			text += " of " + l.Hold.String()[19:]
		}
	}
	for _, p := range t.Preconditions {
		text += fmt.Sprintf(" need %s at %d", p.Key, p.Version)
	}
	for _, r := range t.Records {
		if holdfast.OwnerOfKey(r.Key) != 0 {
			text += fmt.Sprintf(" write %s op %d at %d, %q", r.Key, r.Op, r.Expect, r.Body)
		}
		if g, err := ledger.ReadGates(r.Body); r.Key == ledger.GatesKey && err == nil {
			for _, slot := range g.Slots() {
				text += fmt.Sprintf(" gate of %d: %d", slot, g.Of(slot))
			}
		}
		if n, err := ReadNote(r.Body); err == nil {
			text += fmt.Sprintf(" %s: stage %d", r.Key, n.Stage)
		}
	}
	return text
}
