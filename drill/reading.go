package drill

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

// reading compares the whole book with what one site says now. It reads the statements of those who are paid in the load,
// which come from the journal with every field and show what is there twice; and it asks by id for what is not on them, and
// for a sample of what is.
//
// It goes through each statement and the book side by side, both from the newest payment to the oldest, in windows of so many
// lines: of a long load there are millions, and three sites are read at once.
type reading struct {
	book  *book
	ask   func(ctx context.Context, id holdfast.ID) answer
	lines func(ctx context.Context, account holdfast.AccountID, cursor string) (client.Page, error)
	paid  []holdfast.AccountID // whose statements together have everything but the opening of accounts
	every int                  // one in so many is asked for by id as well
	count int

	again   map[holdfast.ID][]int            // further answers to what was acknowledged, of which nobody can be sure alone
	strays  map[holdfast.ID]*client.Line     // on a statement, and not where the book has them acknowledged
	settled map[holdfast.ID]holdfast.Outcome // unknown in the book, and done
	totals  totals
	report  check.Report // without its Done
}

// pagesPerWindow statement pages are compared at a time.
const pagesPerWindow = 20

func newReading(b *book, site *client.Client, paid []holdfast.AccountID) *reading {
	return &reading{
		book: b, paid: paid, every: max(1, b.size()/sampleByID),
		ask: func(ctx context.Context, id holdfast.ID) answer { return lookUp(ctx, site, id) },
		lines: func(ctx context.Context, account holdfast.AccountID, cursor string) (client.Page, error) {
			return retried(ctx, func(ctx context.Context) (client.Page, error) {
				return site.StatementPage(ctx, account, cursor, client.MaxPage)
			})
		},
		again: map[holdfast.ID][]int{}, strays: map[holdfast.ID]*client.Line{}, settled: map[holdfast.ID]holdfast.Outcome{},
		totals: totals{accounts: map[holdfast.AccountID]*holdfast.Account{}},
	}
}

// all compares everything. Nobody may write into the book meanwhile.
func (r *reading) all(ctx context.Context) error {
	acked, rest := r.sorted()
	for _, account := range r.paid {
		if err := r.statement(ctx, account, acked[account]); err != nil {
			return err
		}
	}
	// What was not acknowledged may be anywhere on the statements, or nowhere: what was left over says it.
	err := r.compare(ctx, rest, r.strays)
	r.twice(rest)
	return err
}

// sorted gives the numbers of the acknowledged payments of each who is paid, newest first, and of all else that was sent.
func (r *reading) sorted() (acked map[holdfast.AccountID][]int, rest []int) {
	acked = make(map[holdfast.AccountID][]int, len(r.paid))
	for _, account := range r.paid {
		acked[account] = nil
	}
	for i, p := range r.book.each(0) {
		switch {
		case !p.sent():
			continue
		case p.txn == nil && p.sample.Status == holdfast.Done:
			if account, known := p.payment.side(acked); known && (account == p.payment.credit || !r.book.crossing(p)) {
				acked[account] = append(acked[account], i)
				continue
			}
		}
		rest = append(rest, i)
	}
	rest = r.regroup(rest)
	for _, numbers := range acked {
		slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(r.book.at(b).time, r.book.at(a).time) })
	}
	return acked, rest
}

// regroup takes those out of the rest that were acknowledged at another attempt: all answers to one id are judged together.
func (r *reading) regroup(rest []int) []int {
	at := make(map[holdfast.ID][]int, len(rest))
	here := make(map[int]bool, len(rest)) // a payment that crosses is acknowledged and in the rest: it is not its own other attempt
	for _, n := range rest {
		here[n] = true
		if p := r.book.at(n); p.txn == nil {
			at[p.id()] = append(at[p.id()], n)
		}
	}
	for i, p := range r.book.each(0) {
		if p.txn == nil && p.sample.Status == holdfast.Done && at[p.id()] != nil && !here[i] {
			r.again[p.id()] = at[p.id()]
		}
	}
	return slices.DeleteFunc(rest, func(n int) bool { return r.again[r.book.at(n).id()] != nil })
}

// side is the account of the payment whose statement is read.
func (p *payment) side(paid map[holdfast.AccountID][]int) (holdfast.AccountID, bool) {
	if _, ok := paid[p.credit]; ok {
		return p.credit, true
	}
	_, ok := paid[p.debit]
	return p.debit, ok
}

// statement compares the acknowledged payments of an account, newest first, with its statement.
func (r *reading) statement(ctx context.Context, account holdfast.AccountID, acked []int) error {
	for cursor, more := "", true; more; {
		lines, next, err := r.window(ctx, account, cursor)
		if err != nil {
			return err
		}
		cursor, more = next, next != ""
		// The payments that must be on these lines: all, when there are no further ones.
		n := len(acked)
		if more {
			oldest := oldestOf(lines)
			n, _ = slices.BinarySearchFunc(acked, oldest, func(i int, at holdfast.Time) int {
				if r.book.at(i).time >= at {
					return -1
				}
				return 1
			})
		}
		if err := r.compare(ctx, acked[:n], lines); err != nil {
			return err
		}
		acked = acked[n:]
	}
	return nil
}

// window reads some pages of a statement.
func (r *reading) window(ctx context.Context, account holdfast.AccountID, cursor string) (lines map[holdfast.ID]*client.Line, next string, err error) {
	lines = map[holdfast.ID]*client.Line{}
	for range pagesPerWindow {
		page, err := r.lines(ctx, account, cursor)
		if err != nil {
			return nil, "", fmt.Errorf("read the statement of %s: %w", account, err)
		}
		for i := range page.Lines {
			line := &page.Lines[i]
			if line.Kind == 0 {
				continue // the line of the opening of the account
			}
			if line.Debit == account && r.crosses(&line.Transfer) {
				continue // it was held and then posted here; it happened at the payee
			}
			if lines[line.Txn] != nil {
				r.report.Duplicated = append(r.report.Duplicated, check.Finding{ID: line.Txn, What: fmt.Sprintf("it is on the statement of %s twice", account)})
			}
			lines[line.Txn] = line
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	return lines, cursor, nil
}

// crosses reports a transfer from one shard to another.
func (r *reading) crosses(t *holdfast.Transfer) bool {
	return r.book.crosses != nil && r.book.crosses(t.Debit, t.Credit)
}

func oldestOf(lines map[holdfast.ID]*client.Line) holdfast.Time {
	oldest := holdfast.Time(1<<63 - 1)
	for _, line := range lines {
		oldest = min(oldest, holdfast.TimeOf(line.Time))
	}
	return oldest
}

// compare holds pages against lines, and asks by id for what is on none of them and for a sample of what is. The lines that
// belong to no page stay for later.
func (r *reading) compare(ctx context.Context, numbers []int, lines map[holdfast.ID]*client.Line) error {
	acks := make([]check.Ack, 0, len(numbers))
	sent := make(map[holdfast.ID]check.Ack, len(numbers))
	var asked []holdfast.ID
	for _, n := range numbers {
		ack := r.book.at(n).ack()
		acks = append(acks, ack)
		if _, twice := sent[ack.ID]; twice {
			continue
		}
		sent[ack.ID] = ack
		for _, n := range r.again[ack.ID] {
			acks = append(acks, r.book.at(n).ack())
		}
		if r.count++; lines[ack.ID] == nil || r.count%r.every == 0 {
			asked = append(asked, ack.ID)
		}
	}
	answers := askAll(asked, func(id holdfast.ID) answer { return r.ask(ctx, id) })
	byID := make(map[holdfast.ID]*answer, len(asked))
	for i, id := range asked {
		byID[id] = &answers[i]
	}
	report, err := check.Reconcile(acks, func(id holdfast.ID) (check.Found, bool, error) {
		if a := byID[id]; a != nil {
			return a.found, a.ok, a.err
		}
		line := lines[id]
		outcome := outcomeOf(line, sent[id].Outcome)
		if acked := sent[id].Outcome; r.crosses(&line.Transfer) && outcome.Time == acked.Time {
			outcome.Position = acked.Position // that of the payer's shard; the line is from the payee's
		}
		return check.Found{Txn: &holdfast.Txn{ID: id, Transfers: []holdfast.Transfer{line.Transfer}}, Outcome: outcome}, true, nil
	})
	for id, line := range lines {
		if _, mine := sent[id]; !mine {
			r.strays[id] = line
		}
	}
	r.take(&report, sent)
	return err
}

// take adds up a report on some of the pages.
func (r *reading) take(part *check.Report, sent map[holdfast.ID]check.Ack) {
	for i := range part.Done {
		o := part.Done[i].Outcome
		ack := sent[o.ID]
		r.totals.add(ack.Txn)
		if ack.Outcome.Status == holdfast.Unknown {
			r.settled[o.ID] = o
		}
	}
	t := &r.report
	t.Attempted, t.Acknowledged, t.Refused = t.Attempted+part.Attempted, t.Acknowledged+part.Acknowledged, t.Refused+part.Refused
	t.NotExecuted, t.Unknown, t.SettledDone = t.NotExecuted+part.NotExecuted, t.Unknown+part.Unknown, t.SettledDone+part.SettledDone
	t.Lost, t.Duplicated = append(t.Lost, part.Lost...), append(t.Duplicated, part.Duplicated...)
	t.Altered, t.Phantom = append(t.Altered, part.Altered...), append(t.Phantom, part.Phantom...)
}

// twice finds lines of payments that were acknowledged at another place of the statement: they happened again. What nobody
// sent at all is what the audit finds, by what moved.
func (r *reading) twice(rest []int) {
	for _, n := range rest {
		delete(r.strays, r.book.at(n).id())
	}
	if len(r.strays) == 0 {
		return
	}
	for _, p := range r.book.each(0) {
		if line := r.strays[p.id()]; line != nil && line.Index != p.position.Index {
			r.report.Duplicated = append(r.report.Duplicated, check.Finding{
				ID: p.id(), What: fmt.Sprintf("acknowledged at %d/%d, and on a statement at %d as well", p.position.Index, p.position.Ord, line.Index),
			})
		}
	}
}

// totals are what every account must have, and what moved in all.
type totals struct {
	accounts map[holdfast.AccountID]*holdfast.Account
	moved    holdfast.Amount
}

// add adds what is done. All transfers of a drill are immediate.
func (t *totals) add(txn *holdfast.Txn) {
	for i := range txn.Transfers {
		x := &txn.Transfers[i]
		t.account(x.Debit).DebitsPosted += x.Amount
		t.account(x.Credit).CreditsPosted += x.Amount
		t.moved += x.Amount
	}
}

func (t *totals) account(id holdfast.AccountID) *holdfast.Account {
	a := t.accounts[id]
	if a == nil {
		a = &holdfast.Account{ID: id}
		t.accounts[id] = a
	}
	return a
}
