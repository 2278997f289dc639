// Package paytest is the books that tests of payments are done on: real ledgers, one per shard, in memory, between which money and records
// travel as they do between real shards, and with faults that a test asks for. It is not for production: nothing is durable, and nothing is
// replicated.
package paytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"holdfast"
	"holdfast/ledger"
)

// Fault is what goes wrong with one Submit.
type Fault uint8

// Faults.
const (
	NoFault     Fault = iota
	AnswerLost        // it is done or refused, and the answer is unknown
	NotProposed       // the answer is unknown, and it will never be
	Overloaded        // not executed, and says so
	Gone              // an error instead of an answer; not executed
	Stuck             // between two shards: departed, not landed, and the answer is unknown; see Deliver
	Unsettled         // between two shards: landed or refused and answered, but what departed is settled only by Deliver
)

// Books implements pay.Books. Any number of goroutines may use it.
type Books struct {
	// Fault tells what goes wrong with the next Submit; nil: nothing. Meanwhile is called before a Submit is looked at; nil: nothing happens.
	// Both may be set between calls only.
	Fault     func(t *holdfast.Txn) Fault
	Meanwhile func(t *holdfast.Txn)
	// Late tells whether a Glance sees a record as it was before it was written last; nil: never.
	Late func(key string) bool

	mu      sync.Mutex
	now     holdfast.Time
	shards  []*shard
	keys    []string // of all records there have ever been, sorted
	pending map[string]*holdfast.PendingChange
	seen    map[holdfast.ID]*crossing
	before  map[string]*holdfast.Record // what each record was before it was written last; nil: it was not there
	reads   int
}

type shard struct {
	state *ledger.State
	log   journal
}

// journal is the log of a shard. Nothing is ever forgotten, so nothing else is asked of it.
type journal [][]byte

func (journal) Find(holdfast.ID) (ledger.Trace, bool, error) { return ledger.Trace{}, false, nil }

func (journal) Record(string) (holdfast.Record, bool, error) { return holdfast.Record{}, false, nil }

func (j journal) Entry(index uint64) ([]byte, error) { return j[index-1], nil }

// crossing is a transaction between two shards.
type crossing struct {
	txn        holdfast.Txn
	home, away int
	legs       [2][]holdfast.Leg // of the caller, by leg of the depart and of the land
	outcome    holdfast.Outcome  // Unknown until it has landed or been refused
	unsettled  bool              // it has, and its traces at home are still there
}

// New makes empty books of some shards; the slot of an owner says in which he is.
func New(shards int) *Books {
	b := &Books{pending: map[string]*holdfast.PendingChange{}, seen: map[holdfast.ID]*crossing{}, before: map[string]*holdfast.Record{}}
	for range shards {
		b.shards = append(b.shards, &shard{state: ledger.New()})
	}
	return b
}

// ErrGone is the error of Gone.
var ErrGone = errors.New("the shard cannot be reached")

// Reads is how many reads there have been since the last call.
func (b *Books) Reads() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.reads
	b.reads = 0
	return n
}

func (b *Books) shardOf(o holdfast.Owner) int { return int(o.Slot()) % len(b.shards) }

func (b *Books) shardOfKey(key string) int {
	o, err := holdfast.RecordOwner(key)
	if err != nil || o == 0 {
		panic(fmt.Sprintf("paytest: record %q belongs to nobody", key))
	}
	return b.shardOf(o)
}

// Record implements pay.Books.
func (b *Books) Record(_ context.Context, key string) (holdfast.Record, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	r, found := b.record(key)
	return r, found, nil
}

// Glance implements pay.Glancer. It counts as no read.
func (b *Books) Glance(_ context.Context, key string) (holdfast.Record, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, written := b.before[key]; written && b.Late != nil && b.Late(key) {
		if old == nil {
			return holdfast.Record{}, false, nil
		}
		return *old, true, nil
	}
	r, found := b.record(key)
	return r, found, nil
}

func (b *Books) record(key string) (holdfast.Record, bool) {
	row, found := b.shards[b.shardOfKey(key)].state.RecentRecord(key)
	if !found || row.Deleted {
		return holdfast.Record{}, false
	}
	row.Record.Pending = b.pending[key]
	return row.Record, true
}

// Records implements pay.Books.
func (b *Books) Records(_ context.Context, prefix, after string, max int) (list []holdfast.Record, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	i, _ := slices.BinarySearch(b.keys, prefix)
	for ; i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix) && len(list) < max; i++ {
		if r, found := b.record(b.keys[i]); found && r.Key > after {
			list = append(list, r)
		}
	}
	return list, nil
}

// ByIndex implements pay.Books.
func (b *Books) ByIndex(_ context.Context, index, after string, max int) (list []holdfast.Record, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	for _, s := range b.shards {
		for _, r := range s.state.RecentByIndex(index, after, max) {
			r.Pending = b.pending[r.Key]
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(x, y holdfast.Record) int { return strings.Compare(x.Key, y.Key) })
	return list[:min(len(list), max)], nil
}

// Led lists all shards: these books are at one place, which leads everything.
func (b *Books) Led() (list []holdfast.ShardID) {
	for i := range b.shards {
		list = append(list, holdfast.ShardID(i+1))
	}
	return list
}

// Leads reports true.
func (b *Books) Leads(holdfast.Owner) bool { return true }

// LedByIndex is ByIndex.
func (b *Books) LedByIndex(ctx context.Context, index, after string, max int) ([]holdfast.Record, error) {
	return b.ByIndex(ctx, index, after, max)
}

// ShardByIndex lists the records of one shard that carry an index key.
func (b *Books) ShardByIndex(_ context.Context, id holdfast.ShardID, index, after string, max int) ([]holdfast.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	list := b.shards[id-1].state.RecentByIndex(index, after, max)
	for i := range list {
		list[i].Pending = b.pending[list[i].Key]
	}
	return list, nil
}

// Account implements pay.Books.
func (b *Books) Account(_ context.Context, id holdfast.AccountID) (holdfast.Account, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	a, found := b.shards[b.shardOf(id.Owner)].state.Account(id)
	return a, found, nil
}

// Submit implements pay.Books.
func (b *Books) Submit(_ context.Context, t *holdfast.Txn) (holdfast.Outcome, error) {
	if b.Meanwhile != nil {
		b.Meanwhile(t)
	}
	fault := NoFault
	if b.Fault != nil {
		fault = b.Fault(t)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	unknown := holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}
	switch fault {
	case NotProposed:
		return unknown, nil
	case Overloaded:
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: holdfast.CodeOverloaded, Leg: holdfast.NoLeg}, nil
	case Gone:
		return holdfast.Outcome{}, ErrGone
	}
	b.remember(t)
	o := b.submit(t, fault)
	if fault == AnswerLost && o.Status != holdfast.NotExecuted {
		return unknown, nil
	}
	return o, nil
}

// remember keeps what the records of a transaction are before it, for glances that are late. One that writes nothing, in the end, makes glances
// later than they could be in no other way: they see what is there.
func (b *Books) remember(t *holdfast.Txn) {
	for i := range t.Records {
		key := t.Records[i].Key
		if r, found := b.record(key); found {
			b.before[key] = &r
		} else {
			b.before[key] = nil
		}
	}
}

func (b *Books) submit(t *holdfast.Txn, fault Fault) holdfast.Outcome {
	if code, field := ledger.Check(t); code != holdfast.CodeOK {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: code, Field: field, Leg: holdfast.NoLeg}
	}
	if x := b.seen[t.ID]; x != nil {
		if !bytes.Equal(ledger.AppendTxn(nil, t), ledger.AppendTxn(nil, &x.txn)) {
			return holdfast.Outcome{ID: t.ID, Status: holdfast.Refused, Code: holdfast.CodeIDTaken, Leg: holdfast.NoLeg}
		}
		b.finish(x)
		return x.outcome
	}
	home, away, ok := b.ends(t)
	if !ok {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: holdfast.CodeShardMismatch, Leg: holdfast.NoLeg}
	}
	if b.waits(t, home) {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: 210, Leg: holdfast.NoLeg}
	}
	if home == away {
		return b.apply(home, *t)
	}
	x := &crossing{txn: *t, home: home, away: away, outcome: holdfast.Outcome{ID: t.ID, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}}
	if o := b.depart(x); o.Status != holdfast.Done {
		o.Leg = caller(x.legs[0], o.Leg)
		return o
	}
	b.seen[t.ID] = x
	if fault == Unsettled {
		b.land(x)
		x.unsettled = true
	} else if fault != Stuck {
		b.finish(x)
	}
	return x.outcome
}

func caller(legs []holdfast.Leg, n holdfast.Leg) holdfast.Leg {
	if int(n) < len(legs) {
		return legs[n]
	}
	return holdfast.NoLeg
}

// ends finds the two shards of a transaction, and that nothing is elsewhere or goes the other way.
func (b *Books) ends(t *holdfast.Txn) (home, away int, ok bool) {
	at := map[int]bool{}
	home, away = -1, -1
	for _, l := range t.Transfers {
		d, c := b.shardOf(l.Debit.Owner), b.shardOf(l.Credit.Owner)
		at[d], at[c] = true, true
		if d != c && home < 0 {
			home, away = d, c
		}
		if d != c && (d != home || c != away) {
			return 0, 0, false
		}
	}
	for _, a := range t.Accounts {
		at[b.shardOf(a.ID.Owner)] = true
	}
	for _, r := range t.Records {
		at[b.shardOfKey(r.Key)] = true
	}
	for _, p := range t.Preconditions {
		at[b.shardOfKey(p.Key)] = true
	}
	if home < 0 {
		for s := range at {
			return s, s, len(at) == 1
		}
	}
	return home, away, len(at) == 2 && len(t.Accounts) == 0
}

// waits reports that a record of one side of the transaction waits for the end of a payment.
func (b *Books) waits(t *holdfast.Txn, side int) bool {
	var keys []string
	for _, r := range t.Records {
		keys = append(keys, r.Key)
	}
	for _, p := range t.Preconditions {
		keys = append(keys, p.Key)
	}
	return slices.ContainsFunc(keys, func(key string) bool { return b.shardOfKey(key) == side && b.pending[key] != nil })
}

// depart holds the money and writes the records of the payers' side, until it has landed or been refused.
func (b *Books) depart(x *crossing) holdfast.Outcome {
	d := holdfast.Txn{ID: x.txn.ID}
	for i, l := range x.txn.Transfers {
		if b.shardOf(l.Debit.Owner) != x.home {
			continue
		}
		if b.shardOf(l.Credit.Owner) != x.home {
			l.Credit = transit(x.home, x.away, l.Debit.Asset)
			openOnce(&d, l.Credit)
		}
		l.ID, l.Kind = x.txn.TransferID(i).Shadow(), holdfast.Hold
		d.Transfers = append(d.Transfers, l)
		x.legs[0] = append(x.legs[0], holdfast.Leg(i))
	}
	b.accompany(&d, x, x.home)
	before := map[string]*holdfast.Record{}
	for _, r := range d.Records {
		if had, found := b.record(r.Key); found {
			before[r.Key] = &had
		}
	}
	o := b.apply(x.home, d)
	if o.Status == holdfast.Done {
		for _, r := range d.Records {
			b.pending[r.Key] = &holdfast.PendingChange{Payment: x.txn.ID, Before: before[r.Key]}
		}
	}
	return o
}

func (b *Books) accompany(d *holdfast.Txn, x *crossing, side int) {
	for _, r := range x.txn.Records {
		if b.shardOfKey(r.Key) == side {
			d.Records = append(d.Records, r)
		}
	}
	for _, p := range x.txn.Preconditions {
		if b.shardOfKey(p.Key) == side {
			d.Preconditions = append(d.Preconditions, p)
		}
	}
}

func transit(at, other int, asset holdfast.Asset) holdfast.AccountID {
	return holdfast.InTransit(holdfast.ShardID(at+1), holdfast.ShardID(other+1), asset)
}

func openOnce(t *holdfast.Txn, id holdfast.AccountID) {
	if !slices.ContainsFunc(t.Accounts, func(a holdfast.AccountChange) bool { return a.ID == id }) {
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
	}
}

// finish lands what has departed, or finds it refused, and settles it.
func (b *Books) finish(x *crossing) {
	if x.outcome.Status == holdfast.Unknown {
		b.land(x)
	} else if !x.unsettled {
		return
	}
	x.unsettled = false
	b.settle(x)
}

func (b *Books) land(x *crossing) {
	land := holdfast.Txn{ID: x.txn.ID.Shadow()}
	for i, l := range x.txn.Transfers {
		if b.shardOf(l.Credit.Owner) != x.away {
			continue
		}
		if b.shardOf(l.Debit.Owner) != x.away {
			l.Debit = transit(x.away, x.home, l.Debit.Asset)
			openOnce(&land, l.Debit)
		}
		if l.ID = x.txn.TransferID(i).Shadow(); l.ID == land.ID {
			l.ID = holdfast.ID{}
		}
		land.Transfers = append(land.Transfers, l)
		x.legs[1] = append(x.legs[1], holdfast.Leg(i))
	}
	b.accompany(&land, x, x.away)
	if b.waits(&land, x.away) { // a land does not wait: it is refused, and remembered as that
		land.Preconditions = append(land.Preconditions, holdfast.Precondition{Key: holdfast.OwnedKey(x.txn.Transfers[0].Credit.Owner, "pending"), Version: 1})
	}
	o := b.apply(x.away, land)
	if o.Status == holdfast.NotExecuted {
		panic(fmt.Sprintf("paytest: a land was not executed: %v %s", o.Code, o.Field))
	}
	o.ID, o.Leg = x.txn.ID, caller(x.legs[1], o.Leg)
	x.outcome = o
}

// settle posts the holds and keeps the records, or voids them and takes those back.
func (b *Books) settle(x *crossing) {
	s := holdfast.Txn{ID: made("settle", x.txn.ID)}
	landed := x.outcome.Status == holdfast.Done
	for _, leg := range x.legs[0] {
		id := x.txn.TransferID(int(leg))
		l := holdfast.Transfer{ID: made("settle leg", id), Kind: holdfast.Post, Hold: id.Shadow()}
		if !landed {
			l.Kind = holdfast.Void
		}
		s.Transfers = append(s.Transfers, l)
	}
	for _, r := range x.txn.Records {
		change := b.pending[r.Key]
		if b.shardOfKey(r.Key) != x.home || change == nil || change.Payment != x.txn.ID {
			continue
		}
		delete(b.pending, r.Key)
		if landed {
			continue
		}
		back := holdfast.RecordChange{Key: r.Key, Expect: holdfast.AnyVersion, Delete: change.Before == nil}
		if change.Before != nil {
			back.Index, back.Body = change.Before.Index, change.Before.Body
		}
		s.Records = append(s.Records, back)
	}
	if o := b.apply(x.home, s); o.Status != holdfast.Done {
		panic(fmt.Sprintf("paytest: a settle was not done: %v", o.Code))
	}
}

func made(use string, id holdfast.ID) holdfast.ID {
	sum := sha256.Sum256(append([]byte(use), id[:]...))
	return holdfast.ID(sum[:16]).Own(id)
}

// Deliver finishes everything that is stuck between two shards, as couriers do.
func (b *Books) Deliver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.seen {
		b.finish(x)
	}
}

// apply puts one transaction into the log of a shard.
func (b *Books) apply(n int, t holdfast.Txn) holdfast.Outcome {
	s := b.shards[n]
	b.now++
	index, last := s.state.Applied()
	entry := ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: max(b.now, last+1), Count: 1})
	s.log = append(s.log, ledger.AppendTxn(entry, &t))
	out, err := s.state.Apply(index+1, s.log[index], s.log, nil)
	if err != nil {
		panic(fmt.Sprintf("paytest: shard %d: %v", n, err))
	}
	if out[0].Status == holdfast.Done {
		for _, r := range t.Records {
			if i, found := slices.BinarySearch(b.keys, r.Key); !found {
				b.keys = slices.Insert(b.keys, i, strings.Clone(r.Key))
			}
		}
	}
	return out[0]
}

// Change puts a change of an account into the log of its shard: a test freezes a payee with it.
func (b *Books) Change(op holdfast.AccountOp, id holdfast.AccountID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now++
	t := holdfast.Txn{ID: made(fmt.Sprint("change ", b.now), holdfast.ID{}), Accounts: []holdfast.AccountChange{{Op: op, ID: id}}}
	if o := b.apply(b.shardOf(id.Owner), t); o.Status != holdfast.Done {
		panic(fmt.Sprintf("paytest: account %s: %v", id, o.Code))
	}
}

// Money is the sum of the balances of all accounts of an asset but those of purposes left out, over all shards, in-transit accounts included.
func (b *Books) Money(asset holdfast.Asset, without ...holdfast.Purpose) (sum holdfast.Amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.shards {
		for a := range s.state.Accounts() {
			if a.ID.Asset == asset && !slices.Contains(without, a.ID.Purpose) {
				sum += a.Balance()
			}
		}
	}
	return sum
}
