package drill

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/check"
)

// page is one request in the book: what was asked, what was answered, and when.
type page struct {
	sample   Sample
	txn      *holdfast.Txn // as sent; nil for a read
	read     *check.Read
	outcome  holdfast.Outcome
	called   time.Duration // when it was sent: after it was due, if the generator was late
	returned time.Duration
}

// book is where the load clients write every answer down. Everything the verdict says is worked out from it.
type book struct {
	mu    sync.Mutex
	pages []page
	why   map[string]int // what was said instead of an answer, and how often
}

func newBook(room int) *book {
	return &book{pages: make([]page, 0, room), why: map[string]int{}}
}

// write adds a page, in the order of the answers. err is why there was no decision; nil otherwise.
func (b *book) write(p page, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages = append(b.pages, p)
	if err != nil && len(b.why) < 100 {
		b.why[err.Error()]++
	}
}

// shift moves everything written so far into the past: the clock of the book has been set anew.
func (b *book) shift(by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.pages {
		p := &b.pages[i]
		p.called, p.returned = p.called-by, p.returned-by
		p.sample.Due, p.sample.Ended = p.sample.Due-by, p.sample.Ended-by
	}
}

// samples gives what was measured.
func (b *book) samples() []Sample {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Sample, len(b.pages))
	for i := range b.pages {
		out[i] = b.pages[i].sample
	}
	return out
}

// acks gives every answer to a payment as check wants it. Opening accounts is not compared: a site answers with transfers.
func (b *book) acks() (all []check.Ack) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.pages {
		p := &b.pages[i]
		if p.txn == nil {
			continue
		}
		sent := &holdfast.Txn{ID: p.txn.ID, Transfers: p.txn.Transfers}
		all = append(all, check.Ack{ID: p.txn.ID, Txn: sent, Outcome: p.outcome, At: holdfast.Time(p.returned)})
	}
	return all
}

// histories gives what happened in each shard, as callers saw it. What they did not get to know has been settled by asking
// afterwards: settled has the outcome of every transaction that is in the books. One of those was executed at some moment
// between its call and the end; one that is not there did nothing.
func (b *book) histories(shards []holdfast.ShardID, settled map[holdfast.ID]holdfast.Outcome, end time.Duration) []check.History {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]check.History, len(shards))
	for i := range b.pages {
		p := &b.pages[i]
		op := check.Op{Client: i, Call: int64(p.called), Return: int64(p.returned), Txn: p.txn, Outcome: p.outcome, Read: p.read}
		if p.read == nil && p.outcome.Status == holdfast.Unknown {
			op.Outcome, op.Return = settled[p.txn.ID], int64(end)
			if op.Outcome.Status != holdfast.Done {
				continue
			}
		}
		if p.read != nil && p.sample.Status != holdfast.Done {
			continue
		}
		h := &out[slices.Index(shards, p.sample.Shard)]
		h.Ops = append(h.Ops, op)
	}
	return out
}

// contents gives what was sent under each id.
func (b *book) contents() map[holdfast.ID]*holdfast.Txn {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := make(map[holdfast.ID]*holdfast.Txn, len(b.pages))
	for i := range b.pages {
		if t := b.pages[i].txn; t != nil {
			sent[t.ID] = t
		}
	}
	return sent
}

// since gives the samples that ended after a moment; pages are in the order of their ends, or nearly.
func (b *book) since(from time.Duration) (out []Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.pages) - 1; i >= 0 && b.pages[i].sample.Ended >= from; i-- {
		out = append(out, b.pages[i].sample)
	}
	return out
}

// some gives an acknowledged payment chosen by pick, which maps n to a number below it; false when there is none there.
func (b *book) some(pick func(n int) int) (page, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pages) == 0 {
		return page{}, false
	}
	p := b.pages[pick(len(b.pages))]
	return p, p.txn != nil && p.outcome.Status == holdfast.Done
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
