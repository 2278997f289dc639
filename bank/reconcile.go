package bank

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"holdfast"
)

// Items is one side of a reconciliation: its items in the order of [CompareItems]. An error ends it. See [SortItems] for those that
// come in another order.
type Items = iter.Seq2[Item, error]

// Cases lists the cases of an account that are not closed, and those that somebody has closed though the difference was there, in the order
// of their keys.
type Cases = iter.Seq2[Case, error]

// Round is one run of a reconciliation.
type Round struct {
	Account string        // a name for the platform's account at the bank
	Day     holdfast.Time // the beginning of the day of the statement
	Now     holdfast.Time
	// Grace is how long after its day an item of the ledger may be missing in the bank's book without being a difference; 0: none.
	Grace holdfast.Time
}

// Sink takes what a reconciliation finds. An error ends it; it can be run again from the start, since everything that is put has its own id.
type Sink interface {
	// Case puts a case: a new one, or one that has changed.
	Case(c Case) error
	// Match reports an item that both sides have alike, so that the ledger's side need not bring it again.
	Match(ledger, bank Item) error
}

// Report counts what a reconciliation has found.
type Report struct {
	Matched   int // items that both sides have alike
	NotYet    int // items of the ledger that the bank's book need not have yet
	Open      int // orders whose end is not known, and which the bank's book does not have
	Found     int // differences, new or known
	New       int // of these, the ones that were found for the first time
	Gone      int // cases that have closed by themselves
	BankSum   holdfast.Amount
	LedgerSum holdfast.Amount // of what matched or should have
}

// Reconcile compares two sides and the list of cases, all sorted by key, item by item; it keeps no more in memory than the items of one key,
// of which it takes at most 1,000 a side. What the bank's statement has to contain is that of the ledger: items whose day, and the grace, is
// over. The bank's side is one statement, or all of several.
func Reconcile(r Round, ledger, bank Items, cases Cases, to Sink) (Report, error) {
	m := merge{round: r, sink: to}
	l, stopL := iter.Pull2(ledger)
	defer stopL()
	b, stopB := iter.Pull2(bank)
	defer stopB()
	c, stopC := iter.Pull2(cases)
	defer stopC()
	m.ledger, m.bank = side{next: l}, side{next: b}
	m.cases = known{next: c}
	err := m.run()
	return m.report, err
}

// maxSame is how many items of one key are looked at.
const maxSame = 1000

// side hands out the items of one key after the other.
type side struct {
	next  func() (Item, error, bool)
	head  *Item
	ended bool
	last  string
}

func (s *side) peek() (key string, ok bool, err error) {
	if s.head == nil && !s.ended {
		item, err, ok := s.next()
		switch {
		case !ok:
			s.ended = true
		case err != nil:
			return "", false, err
		case item.key() < s.last:
			return "", false, fmt.Errorf("item %.60q comes after %.60q: the items are not sorted", item.key(), s.last)
		default:
			s.head, s.last = &item, item.key()
		}
	}
	if s.head == nil {
		return "", false, nil
	}
	return s.head.key(), true, nil
}

func (s *side) take(key string) ([]Item, error) {
	var same []Item
	for {
		k, ok, err := s.peek()
		if err != nil || !ok || k != key {
			return same, err
		}
		if len(same) == maxSame {
			return nil, fmt.Errorf("%.60q is there more than %d times", key, maxSame)
		}
		same = append(same, *s.head)
		s.head = nil
	}
}

// known hands out the cases of one key after the other.
type known struct {
	next  func() (Case, error, bool)
	head  *Case
	ended bool
	last  string
}

func (k *known) peek() (key string, ok bool, err error) {
	if k.head == nil && !k.ended {
		c, err, ok := k.next()
		switch {
		case !ok:
			k.ended = true
		case err != nil:
			return "", false, err
		case c.Key < k.last:
			return "", false, errors.New("the cases are not sorted by key")
		default:
			k.head, k.last = &c, c.Key
		}
	}
	if k.head == nil {
		return "", false, nil
	}
	return k.head.Key, true, nil
}

func (k *known) take(key string) (map[Difference]Case, error) {
	same := map[Difference]Case{}
	for {
		at, ok, err := k.peek()
		if err != nil || !ok || at != key {
			return same, err
		}
		same[k.head.Kind] = *k.head
		k.head = nil
	}
}

type merge struct {
	round  Round
	sink   Sink
	ledger side
	bank   side
	cases  known
	report Report
}

func (m *merge) run() error {
	for {
		key, ok, err := m.least()
		if err != nil || !ok {
			return err
		}
		ours, err := m.ledger.take(key)
		if err != nil {
			return fmt.Errorf("the ledger's side: %w", err)
		}
		theirs, err := m.bank.take(key)
		if err != nil {
			return fmt.Errorf("the bank's side: %w", err)
		}
		old, err := m.cases.take(key)
		if err != nil {
			return err
		}
		if err := m.compare(key, ours, theirs, old); err != nil {
			return err
		}
	}
}

// least is the smallest key that any of the three has.
func (m *merge) least() (least string, found bool, err error) {
	for _, peek := range []func() (string, bool, error){m.ledger.peek, m.bank.peek, m.cases.peek} {
		key, ok, err := peek()
		if err != nil {
			return "", false, err
		}
		if ok && (!found || key < least) {
			least, found = key, true
		}
	}
	return least, found, nil
}

// compare looks at everything that has one key.
func (m *merge) compare(key string, ours, theirs []Item, old map[Difference]Case) error {
	var ok bool
	if m.report.BankSum, ok = m.report.BankSum.Add(sum(theirs)); !ok {
		return errors.New("the bank's side adds up to more than the largest amount there is")
	}
	found := m.differences(key, ours, theirs)
	for _, c := range found {
		m.report.Found++
		before, known := old[c.Kind]
		delete(old, c.Kind)
		if !known {
			m.report.New++
		}
		if next, changed := c.since(before, known, m.round.Now); changed {
			if err := m.sink.Case(next); err != nil {
				return err
			}
		}
	}
	if len(found) == 0 && len(ours) > 0 && len(theirs) > 0 {
		m.report.Matched++
		if err := m.sink.Match(ours[0], theirs[0]); err != nil {
			return err
		}
	}
	return m.closeGone(old, len(ours)+len(theirs) > 0)
}

// closeGone closes cases whose difference is no more. Where neither side says anything about the key, as when today's statement
// has no part of yesterday's case, nothing is known that was not known before.
func (m *merge) closeGone(old map[Difference]Case, told bool) error {
	if !told {
		return nil
	}
	for kind := range Difference(len(differences)) {
		c, ok := old[kind]
		if !ok || c.Progress == Closed {
			continue
		}
		m.report.Gone++
		c.Progress, c.Closed, c.ByItself = Closed, m.round.Now, true
		if err := m.sink.Case(c); err != nil {
			return err
		}
	}
	return nil
}

// since is a difference as it goes on the list, where it was before or not. Whoever has explained or closed it has done so for what
// was then to be seen: if anything else is to be seen now, it is open again.
func (c Case) since(before Case, known bool, now holdfast.Time) (next Case, changed bool) {
	c.Seen, c.Since, c.Progress = now, now, Waiting
	if !known {
		return c, true
	}
	c.Since = before.Since
	if same(before.Ledger, c.Ledger) && same(before.Bank, c.Bank) && before.Count == c.Count && !before.ByItself {
		return before, false
	}
	return c, true
}

func same(a, b *Item) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Ref == b.Ref && a.Amount == b.Amount && a.Asset == b.Asset && a.Other == b.Other && a.Open == b.Open && a.Off == b.Off
}

// differences are those between what the two sides have of one key.
func (m *merge) differences(key string, ours, theirs []Item) []Case {
	made := func(kind Difference, l, b *Item, count int, amount holdfast.Amount) Case {
		return Case{
			ID: caseID(m.round.Account, key, kind), Account: m.round.Account, Key: key, Kind: kind, Ledger: l, Bank: b, Count: count, Amount: amount,
		}
	}
	var found []Case
	switch {
	case len(theirs) == 0:
		return m.missing(ours, made)
	case len(theirs) > 1 && sum(theirs) == 0 && !plantedTwiceIsOnce():
		return append(found, made(Returned, first(ours), &theirs[1], len(theirs), -sum(ours[:min(len(ours), 1)])))
	case len(ours) == 0:
		found = append(found, made(NotInLedger, nil, &theirs[0], 0, theirs[0].Amount))
	default:
		m.count(&ours[0])
		found = differ(&ours[0], &theirs[0], made)
	}
	if n := len(theirs); n > 1 && !plantedTwiceIsOnce() {
		found = append(found, made(BookedTwice, first(ours), &theirs[1], n, sum(theirs[1:])))
	}
	if n := len(ours); n > 1 {
		found = append(found, made(LedgerTwice, &ours[1], &theirs[0], n, -sum(ours[1:])))
	}
	return found
}

// count adds up what the ledger has; sums are for people, and one that does not fit stays as it was.
func (m *merge) count(o *Item) {
	if total, ok := m.report.LedgerSum.Add(o.Amount); ok {
		m.report.LedgerSum = total
	}
}

type caseMaker func(kind Difference, l, b *Item, count int, amount holdfast.Amount) Case

// missing is what the ledger has and the bank's book has not.
func (m *merge) missing(ours []Item, made caseMaker) []Case {
	if len(ours) == 0 {
		return nil
	}
	switch o := &ours[0]; {
	case o.Off:
		return nil // as it should be
	case o.Open:
		m.report.Open++
		return nil
	case o.Day+m.round.Grace > m.round.Day:
		m.report.NotYet++
		return nil
	default:
		m.count(o)
		return []Case{made(NotAtBank, o, nil, 0, -o.Amount)}
	}
}

// differ compares one item of each side.
func differ(l, b *Item, made caseMaker) (found []Case) {
	delta, _ := b.Amount.Sub(l.Amount)
	switch {
	case plantedSumsOnly():
	case l.Off:
		found = append(found, made(BookedThoughOff, l, b, 0, b.Amount))
	case l.Open:
		found = append(found, made(BookedThoughOpen, l, b, 0, b.Amount))
	case l.Asset != b.Asset:
		found = append(found, made(OtherAmount, l, b, 0, b.Amount))
	case l.Amount != b.Amount:
		found = append(found, made(OtherAmount, l, b, 0, delta))
	}
	if l.Other != (Account{}) && b.Other != (Account{}) && l.Other != b.Other {
		found = append(found, made(OtherAccount, l, b, 0, b.Amount))
	}
	return found
}

func first(items []Item) *Item {
	if len(items) == 0 {
		return nil
	}
	return &items[0]
}

// sum is that of at most maxSame items of one key. One that does not fit is none.
func sum(items []Item) (total holdfast.Amount) {
	for i := range items {
		var ok bool
		if total, ok = total.Add(items[i].Amount); !ok {
			return math.MaxInt64
		}
	}
	return total
}
