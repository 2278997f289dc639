package drill

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/check"
)

// page is one request in the book: what was asked, what was answered, and when. Books get long (half an hour of 2,000 payments
// a second is 4 million pages), so a page holds what cannot be worked out again, and no more: about 200 bytes.
type page struct {
	sample   Sample        // its Ended is when the answer came
	called   time.Duration // when it was sent: after it was due, if the generator was late
	payment  payment       // as sent; without an id it is none
	txn      *holdfast.Txn // as sent, where it was more than a payment: opening and funding accounts
	read     *check.Read
	position holdfast.Position
	time     holdfast.Time
	odd      *holdfast.Outcome // every answer but a plain Done, which is position and time
}

// payment is what the load varies of a transfer.
type payment struct {
	id            holdfast.ID
	debit, credit holdfast.AccountID
	amount        holdfast.Amount
	code          uint32
	ref           holdfast.Ref
}

func paymentOf(t *holdfast.Transfer) payment {
	return payment{t.ID, t.Debit, t.Credit, t.Amount, t.Code, t.Ref}
}

func (p *payment) transfer() holdfast.Transfer {
	return holdfast.Transfer{
		ID: p.id, Kind: holdfast.Immediate, Debit: p.debit, Credit: p.credit, Amount: p.amount, Code: p.code, Ref: p.ref,
	}
}

// answered notes an answer.
func (p *page) answered(o holdfast.Outcome) {
	p.sample.Status, p.position, p.time = o.Status, o.Position, o.Time
	if plain := (holdfast.Outcome{ID: o.ID, Status: holdfast.Done, Leg: o.Leg, Time: o.Time, Position: o.Position}); o != plain || o.Leg != holdfast.NoLeg {
		p.odd = &o
	}
}

// id of what was sent; zero for a read.
func (p *page) id() holdfast.ID {
	if p.txn != nil {
		return p.txn.ID
	}
	return p.payment.id
}

// sent reports a page about a transaction of the ledger: not a read, nor a trade, which is in a book of its own.
func (p *page) sent() bool { return p.read == nil && !p.id().IsZero() }

// content is what was sent; nil for a read.
func (p *page) content() *holdfast.Txn {
	if p.txn != nil || p.payment.id.IsZero() {
		return p.txn
	}
	return &holdfast.Txn{ID: p.payment.id, Transfers: []holdfast.Transfer{p.payment.transfer()}}
}

// outcome is the answer to what was sent.
func (p *page) outcome() holdfast.Outcome {
	if p.odd != nil {
		return *p.odd
	}
	return holdfast.Outcome{ID: p.id(), Status: p.sample.Status, Leg: holdfast.NoLeg, Time: p.time, Position: p.position}
}

// ack is the page as check wants it. Opening accounts is not compared: a site answers with transfers.
func (p *page) ack() check.Ack {
	sent := p.content()
	return check.Ack{
		ID: sent.ID, Txn: &holdfast.Txn{ID: sent.ID, Transfers: sent.Transfers}, Outcome: p.outcome(), At: holdfast.Time(p.sample.Ended),
	}
}

// pagesPerPart is how many pages of a book are together, so that a long book is never copied to grow.
const pagesPerPart = 1 << 13

// book is where the load clients write every answer down. Everything the verdict says is worked out from it.
type book struct {
	mu    sync.Mutex
	parts [][]page       // all full but the last
	why   map[string]int // what was said instead of an answer, and how often

	// crosses tells which payments go from one shard to another; nil: none does. Set before anything is written.
	crosses func(debit, credit holdfast.AccountID) bool
	nomads  *nomads // nil: nobody moves. Set before anything is written
}

func newBook() *book { return &book{why: map[string]int{}} }

// write adds a page, in the order of the answers. err is why there was no decision; nil otherwise.
func (b *book) write(p page, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.parts) - 1
	if last < 0 || len(b.parts[last]) == pagesPerPart {
		b.parts, last = append(b.parts, make([]page, 0, pagesPerPart)), last+1
	}
	b.parts[last] = append(b.parts[last], p)
	if err != nil && len(b.why) < 100 {
		b.why[err.Error()]++
	}
}

// size is the number of pages; b.mu is held.
func (b *book) size() int {
	if len(b.parts) == 0 {
		return 0
	}
	return (len(b.parts)-1)*pagesPerPart + len(b.parts[len(b.parts)-1])
}

// at is a page by its number; b.mu is held, or nobody writes any more.
func (b *book) at(i int) *page { return &b.parts[i/pagesPerPart][i%pagesPerPart] }

// each visits the pages from a number on; b.mu is held, or nobody writes any more.
func (b *book) each(from int) iter.Seq2[int, *page] {
	return func(yield func(int, *page) bool) {
		for i := from; i < b.size(); i++ {
			if !yield(i, b.at(i)) {
				return
			}
		}
	}
}

// shift moves everything written so far into the past: the clock of the book has been set anew.
func (b *book) shift(by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.each(0) {
		p.called, p.sample.Due, p.sample.Ended = p.called-by, p.sample.Due-by, p.sample.Ended-by
	}
}

// samples gives what was measured since a page on, and the number of the page that comes next.
func (b *book) samples(from int) (out []Sample, next int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out = make([]Sample, 0, b.size()-from)
	for _, p := range b.each(from) {
		out = append(out, p.sample)
	}
	return out, b.size()
}

// histories gives what happened in each shard, as callers saw it. What they did not get to know has been settled by asking
// afterwards: settled has the outcome of what of it is in the books. One of those was executed at some moment between its call
// and the end; one that is not there did nothing.
//
// Of a book that is longer than most operations they end with a moment, which is returned: with what was sent until then and
// what was read until then. None of these reads can have seen anything that was sent later, so they fit one order if all do.
func (b *book) histories(shards []holdfast.ShardID, settled map[holdfast.ID]holdfast.Outcome, end time.Duration, most int) ([]check.History, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size() > most {
		end = b.at(most - 1).called
	}
	out := make([]check.History, len(shards))
	for i, p := range b.each(0) {
		if b.crossing(p) || p.read == nil && !p.sent() {
			continue // it is in the order of two shards; what it did to whom is checked by balances and statements
		}
		if op, ok := p.op(i, settled, end); ok {
			if n := b.nomads; n != nil && n.from == p.sample.Shard {
				// What moved is in the order of two logs. Their times are in order too: a slot waits while it moves.
				op.Outcome.Position = holdfast.Position{Index: uint64(op.Outcome.Time)}
			}
			h := &out[slices.Index(shards, p.sample.Shard)]
			h.Ops = append(h.Ops, op)
		}
	}
	return out, end
}

// crossing reports a page about a payment from one shard to another.
func (b *book) crossing(p *page) bool {
	return b.crosses != nil && !p.payment.id.IsZero() && b.crosses(p.payment.debit, p.payment.credit)
}

// op is the operation of a page in a history that ends with a moment; false when it has no place there.
func (p *page) op(client int, settled map[holdfast.ID]holdfast.Outcome, end time.Duration) (check.Op, bool) {
	op := check.Op{Client: client, Call: int64(p.called), Return: int64(p.sample.Ended), Txn: p.content(), Read: p.read}
	if p.read != nil {
		return op, p.sample.Status == holdfast.Done && p.sample.Ended <= end
	}
	op.Outcome = p.outcome()
	if op.Outcome.Status == holdfast.Unknown {
		op.Outcome, op.Return = settled[op.Txn.ID], int64(max(end, p.sample.Ended))
	}
	return op, p.called <= end && (op.Outcome.Status == holdfast.Done || p.sample.Status != holdfast.Unknown)
}

// some gives an acknowledged payment chosen by pick, which maps n to a number below it, among so many of the last pages, or with 0
// among all; false when there is none there.
func (b *book) some(last int, pick func(n int) int) (page, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := b.size()
	if size == 0 {
		return page{}, false
	}
	if last == 0 || last > size {
		last = size
	}
	p := b.at(size - last + pick(last))
	return *p, !p.payment.id.IsZero() && p.sample.Status == holdfast.Done
}

// refusals tells which payments of the load were refused. Every account is there, open, and has what it will need, and a refund waits
// for its order: nothing stands against any of them.
func (b *book) refusals() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	codes := map[holdfast.Code]int{}
	for _, p := range b.each(0) {
		if p.sent() && p.sample.Kind.payment() && p.sample.Status == holdfast.Refused {
			codes[p.outcome().Code]++
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		out = append(out, fmt.Sprintf("%s refused although nothing stood against it: %s", plural(codes[code], "payment"), code))
	}
	return out
}

// excuses tells what was said instead of answers, most frequent first.
func (b *book) excuses() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	texts := slices.SortedFunc(maps.Keys(b.why), func(x, y string) int { return b.why[y] - b.why[x] })
	var out []string
	for _, t := range texts[:min(len(texts), 5)] {
		out = append(out, fmt.Sprintf("%d requests were not decided: %s", b.why[t], t))
	}
	return out
}
