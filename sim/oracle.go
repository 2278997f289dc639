package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/ledger"
	"holdfast/shard"
)

// oracle knows what is true of one shard: the log as the first replica that learned of a commit had it, and a twin of the
// ledger that has applied it. Every replica, every answer and every read is compared with it.
type oracle struct {
	e        *engine
	stats    *Stats
	shard    holdfast.ShardID
	log      []truth // by index, from 1
	twin     *twin
	confs    []*config                       // all that ever held, from the founders on
	ballots  map[candidacy][]shard.ReplicaID // votes that reached a candidate
	unwanted map[holdfast.SiteID]bool        // sites whose replica the operator wants out
	conf     uint64                          // index of the last change of members
	terms    map[uint64]shard.ReplicaID      // who led
	written  map[end]uint32                  // checksum of every entry that anybody ever wrote
	promised map[shard.ReplicaID]*promise    // what every replica there ever was has told others about its disk
	chosen   uint64                          // up to where somebody has taken the log for committed
	last     holdfast.Time                   // the last stamp
	never    map[holdfast.ID]bool            // abandoned after nothing but "not executed": must not be in the log
	acks     []check.Ack
	blind    bool           // a replica was made to differ on purpose: what follows from that is no finding
	pledged  holdfast.Time  // the latest moment that was answered for: no entry may still come that is stamped up to it
	pace     *holdfast.Time // how far ahead the clock of a site was, of those that have not run away
	floor    uint64         // what the next read must have seen: everything that anybody was told
	ops      []check.Op
	after    func() // called when an entry is in the log; nil: there is nothing to do
}

// truth is one committed entry and what it did.
type truth struct {
	entry    shard.Entry
	outcomes []holdfast.Outcome
	touched  []holdfast.AccountID
	last     holdfast.Time // the last stamp in it; 0: it has none
	digest   uint64        // of the first replica that applied it
	applied  bool
}

func newOracle(e *engine, id holdfast.ShardID, stats *Stats) *oracle {
	return &oracle{e: e, stats: stats, shard: id, twin: newTwin(), terms: map[uint64]shard.ReplicaID{}, never: map[holdfast.ID]bool{}, promised: map[shard.ReplicaID]*promise{}, ballots: map[candidacy][]shard.ReplicaID{}, unwanted: map[holdfast.SiteID]bool{}, written: map[end]uint32{}}
}

func (o *oracle) fail(invariant, format string, args ...any) {
	if o.blind {
		return
	}
	o.e.fail(invariant, "shard %d: %s", o.shard, fmt.Sprintf(format, args...))
}

// leads checks that a term has one leader.
func (o *oracle) leads(term uint64, id shard.ReplicaID) {
	if other, ok := o.terms[term]; ok && other != id {
		o.fail("one-leader", "term %d is led by replica %x and by replica %x", term, other, id)
	}
	o.terms[term] = id
}

// committed checks an entry that a replica says is committed against what others said, and applies it to the twin if it is new.
func (o *oracle) committed(at holdfast.SiteID, e shard.Entry) {
	if e.Index <= uint64(len(o.log)) {
		if have := &o.log[e.Index-1].entry; have.Term != e.Term || have.Type != e.Type || !bytes.Equal(have.Data, e.Data) {
			o.fail("committed", "entry %d at site %d is of term %d (%d bytes), and was committed as of term %d (%d bytes)",
				e.Index, at, e.Term, len(e.Data), have.Term, len(have.Data))
		}
		return
	}
	if e.Index != uint64(len(o.log))+1 {
		o.fail("committed", "site %d commits entry %d, and nobody has committed %d", at, e.Index, len(o.log)+1)
		return
	}
	t := truth{entry: e}
	if e.Type == shard.EntryNormal && len(e.Data) > 0 {
		o.replay(&t)
	}
	if e.Type != shard.EntryNormal {
		o.changed(at, e)
	}
	o.log = append(o.log, t)
	if o.after != nil {
		o.after()
	}
}

// replay lets the twin decide the transactions of an entry.
func (o *oracle) replay(t *truth) {
	h, body, err := ledger.ReadEntry(t.entry.Data)
	if err != nil {
		o.fail("codec", "entry %d does not decode: %v", t.entry.Index, err)
		return
	}
	if h.Time <= o.last {
		o.fail("time", "entry %d is stamped %s, not after %s", t.entry.Index, h.Time, o.last)
	}
	o.keepsPledge(t.entry.Index, h.Time)
	if fast := h.Time - holdfast.Time(epoch+o.e.now); fast > *o.pace+mostAhead {
		o.fail("clock", "entry %d is stamped %s ahead, and no clock but one that had run away was ever more than %s", t.entry.Index, time.Duration(fast), time.Duration(*o.pace))
	}
	o.last = h.Time + holdfast.Time(max(h.Count, 1)) - 1
	t.last = o.last
	if h.Kind != ledger.KindTxns {
		return
	}
	for ord := range h.Count {
		txn := &holdfast.Txn{}
		if body, err = ledger.ReadTxn(body, txn); err != nil {
			o.fail("codec", "transaction %d of entry %d does not decode: %v", ord, t.entry.Index, err)
			return
		}
		if o.never[txn.ID] {
			o.fail("phantom", "transaction %s was answered \"not executed\", and is entry %d/%d", txn.ID, t.entry.Index, ord)
		}
		t.outcomes = append(t.outcomes, o.twin.apply(t.entry.Index, ord, h.Time+holdfast.Time(ord), txn))
		t.touched = o.twin.touched(t.touched, txn)
		if last := &t.outcomes[ord]; last.Status == holdfast.Done && txn.Transfers != nil && txn.Transfers[0].Kind == holdfast.Expire {
			o.stats.Expired++
		}
	}
	if bad := o.twin.unsound(t.touched); bad != "" {
		o.fail("books", "after entry %d: %s", t.entry.Index, bad)
	}
}

// applied compares what a replica made of an entry with what the twin made of it.
func (o *oracle) applied(at holdfast.SiteID, done *shard.Applied, index, digest uint64, account func(holdfast.AccountID) (holdfast.Account, bool)) {
	if done.Index > uint64(len(o.log)) {
		o.fail("committed", "site %d has applied entry %d, which is not committed", at, done.Index)
		return
	}
	t := &o.log[done.Index-1]
	if len(done.Outcomes) != len(t.outcomes) {
		o.fail("outcome", "entry %d has %d outcomes at site %d, %d are right", done.Index, len(done.Outcomes), at, len(t.outcomes))
		return
	}
	for i := range t.outcomes {
		if what := differs(&done.Outcomes[i], &t.outcomes[i]); what != "" {
			o.fail(broken(&done.Outcomes[i], &t.outcomes[i]), "entry %d/%d at site %d: %s", done.Index, i, at, what)
			return
		}
	}
	if !t.applied {
		t.applied, t.digest = true, digest
	} else if t.digest != digest {
		o.fail("digest", "after entry %d site %d has digest %016x, another has %016x", done.Index, at, digest, t.digest)
	}
	for _, id := range t.touched {
		o.compareAccount(at, index, id, account)
	}
}

// broken names the promise that a wrong outcome breaks.
func broken(got, want *holdfast.Outcome) string {
	done := got.Status == holdfast.Done && want.Status == holdfast.Refused
	switch {
	case got.Replay != want.Replay:
		return "replay" // the same id did two things, or was remembered without having been there
	case done && (want.Code == holdfast.CodeExceedsCredits || want.Code == holdfast.CodeExceedsDebits):
		return "limit"
	case done && slices.Contains(holdCodes, want.Code):
		return "hold"
	}
	return "outcome"
}

// holdCodes refuse the end of a hold.
var holdCodes = []holdfast.Code{
	holdfast.CodeHoldMissing, holdfast.CodeNotAHold, holdfast.CodeHoldPosted, holdfast.CodeHoldVoided, holdfast.CodeHoldExpired,
	holdfast.CodeHoldMismatch, holdfast.CodeHoldExceeded, holdfast.CodeHoldNotDue,
}

// differs compares an outcome with the right one. Which field of a taken id differs is the ledger's own choice of words.
func differs(got, want *holdfast.Outcome) string {
	g, w := *got, *want
	if w.Code == holdfast.CodeIDTaken {
		g.Field, g.Leg, g.Time, g.Position = "", w.Leg, w.Time, w.Position
	}
	if w.Code == holdfast.CodeTransferIDTaken || w.Code < holdfast.CodeHoldMissing {
		g.Leg, g.Field = w.Leg, ""
	}
	if g == w {
		return ""
	}
	return fmt.Sprintf("%s (%s, leg %d, replay %v, %s, %d/%d %s), right is %s (%s, leg %d, replay %v, %s, %d/%d)",
		g.Status, g.Code, g.Leg, g.Replay, g.Time, g.Index, g.Ord, g.Field, w.Status, w.Code, w.Leg, w.Replay, w.Time, w.Index, w.Ord)
}

func (o *oracle) compareAccount(at holdfast.SiteID, index uint64, id holdfast.AccountID, account func(holdfast.AccountID) (holdfast.Account, bool)) {
	got, found := account(id)
	l := o.twin.accounts[id]
	if l == nil {
		if found {
			o.fail("account", "at index %d site %d has account %s, which was never opened", index, at, id)
		}
		return
	}
	want, exists := l.at(index)
	if found != exists || got != want {
		o.fail("account", "at index %d site %d has %s as %+v (%v), right is %+v (%v)", index, at, id, got, found, want, exists)
	}
}

// whole compares a replica's complete state with the twin as it was at the same index: after every start, every installed
// checkpoint, and at the end.
func (o *oracle) whole(at holdfast.SiteID, s *ledger.State) {
	index, _ := s.Applied()
	n := 0
	for a := range s.Accounts() {
		n++
		o.compareAccount(at, index, a.ID, s.Account)
	}
	for _, id := range o.twin.order {
		o.compareAccount(at, index, id, s.Account)
	}
	if f := append(check.Books(s.Accounts()), check.Limits(s.Accounts())...); len(f) > 0 {
		o.fail("books", "at index %d site %d: %s", index, at, f[0])
	}
	if _, err := s.Recount(); err != nil {
		o.fail("books", "at index %d site %d: %v", index, at, err)
	}
	o.compareHolds(at, index, s)
	if got, want := s.Outbox(0, 1<<20), o.twin.pendingMessages(index); !slices.EqualFunc(got, want, sameQueued) {
		o.fail("outbox", "at index %d site %d has %d messages %v, right are %d %v", index, at, len(got), seqs(got), len(want), seqs(want))
	}
	if index > 0 && index <= uint64(len(o.log)) {
		if t := &o.log[index-1]; t.applied && t.digest != s.Digest() {
			o.fail("digest", "after a start at index %d site %d has digest %016x, right is %016x", index, at, s.Digest(), t.digest)
		}
	}
}

func seqs(list []holdfast.Queued) (out []uint64) {
	for i := range list {
		out = append(out, list[i].Seq)
	}
	return out
}

func sameQueued(a, b holdfast.Queued) bool {
	return a.Seq == b.Seq && a.Txn == b.Txn && a.Time == b.Time && a.To == b.To && a.Topic == b.Topic && bytes.Equal(a.Body, b.Body)
}

// persisted compares what a checkpoint on a disk says with the twin as it was at that index, before anybody has to start from it.
func (o *oracle) persisted(at holdfast.SiteID, c *checkpoint) {
	index := c.meta.Index
	for i := range c.accounts {
		a := c.accounts[i]
		if want, ok := o.twin.account(a.ID, index); !ok || a != want {
			o.fail("checkpoint", "the checkpoint at %d of site %d has %s as %+v, right is %+v (%v)", index, at, a.ID, a, want, ok)
			return
		}
	}
	held := map[holdfast.ID]bool{}
	for i := range c.holds {
		held[c.holds[i].ID] = true
	}
	for _, id := range o.twin.holdIDs {
		if want, ok := o.twin.holds[id].at(index); held[id] != (ok && want.state == open) {
			o.fail("checkpoint", "the checkpoint at %d of site %d has hold %s open: %v", index, at, id, held[id])
			return
		}
	}
	if want := o.twin.pendingMessages(index); !slices.EqualFunc(c.outbox, want, sameQueued) {
		o.fail("checkpoint", "the checkpoint at %d of site %d has messages %v, right are %v", index, at, seqs(c.outbox), seqs(want))
	}
}

func (w *twin) account(id holdfast.AccountID, index uint64) (a holdfast.Account, ok bool) {
	if l := w.accounts[id]; l != nil {
		return l.at(index)
	}
	return a, false
}

func (o *oracle) compareHolds(at holdfast.SiteID, index uint64, s *ledger.State) {
	for _, id := range o.twin.holdIDs {
		got, found := s.Hold(id)
		want, exists := o.twin.holds[id].at(index)
		exists = exists && want.state == open
		if found != exists {
			o.fail("hold", "at index %d site %d has hold %s open: %v, right is %v", index, at, id, found, exists)
			return
		}
		if t := &want.transfer; found && (got.Amount != t.Amount || got.Debit != t.Debit || got.Credit != t.Credit || got.Due != want.due) {
			o.fail("hold", "at index %d site %d has hold %s as %+v, right is %+v", index, at, id, got, want)
			return
		}
	}
}

// ends checks that a log ends with what was written to it last.
func ends(e *engine, b *batch, log shard.Log) {
	if n := len(b.entries); n > 0 && log.LastIndex() != b.entries[n-1].Index {
		e.fail("log", "shard %d: the log was written to up to entry %d and ends at %d", b.shard, b.entries[n-1].Index, log.LastIndex())
	}
}

// wrote checks that entries of one index and term are the same at all replicas.
func (o *oracle) wrote(at holdfast.SiteID, list []shard.Entry) {
	for i := range list {
		e := &list[i]
		sum, key := crc32.ChecksumIEEE(e.Data), end{e.Term, e.Index}
		if was, ok := o.written[key]; ok && was != sum {
			o.fail("log", "site %d writes another entry %d of term %d than was written before", at, e.Index, e.Term)
		}
		o.written[key] = sum
	}
}

// wellFormed checks the log that a replica starts from: terms never fall, and every entry is the one that was written.
func (o *oracle) wellFormed(at holdfast.SiteID, log shard.Log) {
	first, limit := log.FirstIndex(), log.LastIndex()+1
	for first < limit {
		list, err := log.Entries(first, limit, math.MaxUint64)
		if err != nil {
			o.fail("log", "site %d cannot read entries %d to %d: %v", at, first, limit-1, err)
			return
		}
		for i := range list {
			e := &list[i]
			if i > 0 && e.Term < list[i-1].Term {
				o.fail("log", "site %d starts with entry %d of term %d behind one of term %d", at, e.Index, e.Term, list[i-1].Term)
			}
			if sum, ok := o.written[end{e.Term, e.Index}]; ok && sum != crc32.ChecksumIEEE(e.Data) {
				o.fail("log", "site %d starts with another entry %d of term %d than was written", at, e.Index, e.Term)
			}
		}
		first += uint64(len(list))
	}
}

// records compares what a replica answers for its records.
func (o *oracle) records(at holdfast.SiteID, index uint64, record func(key string) (holdfast.Record, bool, error)) {
	for _, key := range o.twin.keys {
		got, found, err := record(key)
		if err != nil {
			o.fail("record", "record %s at site %d: %v", key, at, err)
			return
		}
		want, _ := o.twin.records[key].at(index)
		if found != (want.Version > 0) || found && !sameRecord(&got, &want) {
			o.fail("record", "at index %d site %d has record %s as %+v (%v), right is %+v", index, at, key, got, found, want)
			return
		}
	}
}

func sameRecord(a, b *holdfast.Record) bool {
	if p, q := a.Pending, b.Pending; p != q {
		if p == nil || q == nil || p.Payment != q.Payment || (p.Before == nil) != (q.Before == nil) {
			return false
		}
		if p.Before != nil && !sameRecord(p.Before, q.Before) {
			return false
		}
	}
	return a.Key == b.Key && a.Version == b.Version && a.Changed == b.Changed && slices.Equal(a.Index, b.Index) && bytes.Equal(a.Body, b.Body)
}

// answered checks an answer that reached a client, at the moment it does.
func (o *oracle) answered(at holdfast.SiteID, t *holdfast.Txn, got holdfast.Outcome) {
	o.acks = append(o.acks, check.Ack{ID: t.ID, Txn: t, Outcome: got, At: holdfast.Time(o.e.now), Site: at})
	if got.Status != holdfast.Done && got.Status != holdfast.Refused {
		return
	}
	if got.ID != t.ID {
		o.fail("answer", "asked for %s, answered for %s", t.ID, got.ID)
		return
	}
	if got.Code == holdfast.CodeIDTaken || got.Code == holdfast.CodeTransferIDTaken || got.Code == holdfast.CodeHoldNotDue {
		return // not remembered: compared when it was applied
	}
	p := o.twin.ids[t.ID]
	if p == nil || p.leg {
		o.fail("lost", "transaction %s was answered %s (%s) at %d/%d, and is not in the committed log", t.ID, got.Status, got.Code, got.Index, got.Ord)
		return
	}
	want := p.outcome
	want.Replay = got.Replay
	if what := differs(&got, &want); what != "" {
		o.fail("answer", "transaction %s: answered %s", t.ID, what)
	}
	if d := check.Difference(t, p.txn); d != "" {
		o.fail("altered", "transaction %s: %s", t.ID, d)
	}
	o.floor = max(o.floor, got.Index)
}

// abandoned notes a transaction that nobody asks about any more because it was "not executed". A leg of another one may have its id.
func (o *oracle) abandoned(id holdfast.ID) {
	if p := o.twin.ids[id]; p != nil && !p.leg {
		o.fail("phantom", "transaction %s was answered \"not executed\", and is in the log", id)
	}
	o.never[id] = true
}

// read checks a linearizable read of an account: nothing older than what anybody had been told when it was asked, and exactly
// what was true at the index it speaks of.
func (o *oracle) read(at holdfast.SiteID, floor, index uint64, id holdfast.AccountID, got holdfast.Account, found bool) {
	if index < floor {
		o.fail("stale-read", "site %d answers a read as of index %d, and entry %d had been acknowledged before it was asked", at, index, floor)
	}
	o.compareAccount(at, index, id, func(holdfast.AccountID) (holdfast.Account, bool) { return got, found })
}

// touched adds the accounts that a transaction names, directly or by a hold.
func (w *twin) touched(list []holdfast.AccountID, t *holdfast.Txn) []holdfast.AccountID {
	add := func(id holdfast.AccountID) {
		if id != (holdfast.AccountID{}) && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for i := range t.Accounts {
		add(t.Accounts[i].ID)
	}
	for i := range t.Transfers {
		add(t.Transfers[i].Debit)
		add(t.Transfers[i].Credit)
		if l := w.holds[t.Transfers[i].Hold]; l != nil {
			add(l.now().transfer.Debit)
			add(l.now().transfer.Credit)
		}
	}
	return list
}

// unsound checks the twin itself: limits of the accounts given, and double entry over all.
func (w *twin) unsound(touched []holdfast.AccountID) string {
	accounts := func(yield func(holdfast.Account) bool) {
		for _, id := range touched {
			if l := w.accounts[id]; l != nil && !yield(l.now()) {
				return
			}
		}
	}
	if f := check.Limits(accounts); len(f) > 0 {
		return f[0].String()
	}
	var posted, pending holdfast.Amount
	for _, id := range w.order {
		a := w.accounts[id].now()
		posted += a.DebitsPosted - a.CreditsPosted
		pending += a.DebitsPending - a.CreditsPending
	}
	if posted != 0 || pending != 0 {
		return fmt.Sprintf("debits less credits: %d posted, %d pending", posted, pending)
	}
	return ""
}

// finish reconciles everything that clients were told with the twin, and looks for an order that explains the history.
func (o *oracle) finish(f *fleet) {
	report, err := check.Reconcile(o.acks, func(id holdfast.ID) (check.Found, bool, error) {
		p := o.twin.ids[id]
		if p == nil || p.leg {
			return check.Found{}, false, nil
		}
		return check.Found{Txn: p.txn, Outcome: p.outcome}, true, nil
	})
	if err != nil || len(report.Lost)+len(report.Duplicated)+len(report.Altered) > 0 {
		o.fail("reconcile", "%v %s", err, &report)
	}
	h := o.history(f)
	if v := h.Linearizable(linearizableWithin); !v.OK { // undecided counts: the order of the log should have explained it
		o.fail("linearizable", "%s", v.Explanation)
	}
	if len(o.log)%searchOneIn == 0 { // drawn by the run itself, so that the run repeats itself
		h, open := beginning(h, searchOps)
		if open > searchOpen {
			return
		}
		if v := h.Linearizable(searchWithin); !v.OK && !v.Undecided {
			o.fail("linearizable", "%s", v.Explanation)
		}
	}
}

const (
	linearizableWithin = 2 * time.Second        // of real time
	searchWithin       = 300 * time.Millisecond // for the search without positions; undecided by then is no finding
	searchOneIn        = 20
	searchOps          = 40
	searchOpen         = 8 // each operation without an answer doubles the search
)

// history is all that clients did and saw, and what happened without anybody hearing of it: transactions whose answers were
// lost, and expiries.
func (o *oracle) history(f *fleet) check.History {
	h := check.History{Ops: slices.Clone(o.ops)}
	heard := map[holdfast.ID]bool{}
	for i := range h.Ops {
		if t := h.Ops[i].Txn; t != nil && h.Ops[i].Outcome.Code != holdfast.CodeIDTaken {
			heard[t.ID] = true
		}
	}
	for i := range o.log {
		for _, out := range o.log[i].outcomes {
			p := o.twin.ids[out.ID]
			if out.Replay || heard[out.ID] || p == nil || p.outcome.Position != out.Position {
				continue
			}
			op := check.Op{Call: math.MinInt64, Return: math.MaxInt64, Txn: p.txn, Outcome: out}
			if s := f.sent[out.ID]; s != nil {
				op.Call = int64(s.first)
			}
			h.Ops = append(h.Ops, op)
		}
	}
	return h
}

// beginning is the history as it was known after its first n answers, without the positions: only a search can order it.
// open is how many operations have no answer.
func beginning(h check.History, n int) (out check.History, open int) {
	ops := slices.Clone(h.Ops)
	slices.SortStableFunc(ops, func(a, b check.Op) int { return cmp.Compare(a.Return, b.Return) })
	for i, op := range ops {
		op.Outcome.Position = holdfast.Position{}
		switch {
		case i < n && op.Return < math.MaxInt64:
		case n > 0 && n <= len(ops) && op.Call > ops[n-1].Return || op.Read != nil:
			continue
		default:
			op.Outcome.Status = holdfast.Unknown
			open++
		}
		out.Ops = append(out.Ops, op)
	}
	return out, open
}
