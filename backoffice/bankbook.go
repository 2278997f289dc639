package backoffice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/wire"
	"holdfast/pay"
)

// What one comparison keeps in memory at most, for an account and a day.
const (
	bookItems = 500_000 // items of either side
	bookCases = 50_000
	bookPage  = 500
	bookOnce  = 8 // records that are marked as found at once
	// offDays is for how many days an order that was given back is looked for in the bank's book.
	offDays = 30
)

// reconcile compares the bank's book of each day with the ledger, as soon as there can be a statement.
func (d *desk) reconcile(ctx context.Context) {
	tell := func(asset holdfast.Asset, err error) {
		if err != nil && ctx.Err() == nil {
			d.log.Warn("the bank's book could not be compared", "asset", asset.String(), "error", err)
		}
	}
	for looked := (time.Time{}); ; {
		late := d.office.cfg.Now().Sub(looked) >= lateEvery
		for _, asset := range d.cfg.assets() {
			tell(asset, d.catchUp(ctx, asset))
			if late {
				tell(asset, d.catchLate(ctx, asset))
			}
		}
		if late {
			looked = d.office.cfg.Now()
		}
		if !pause(ctx, d.cfg.Retry) {
			return
		}
	}
}

// lateEvery is how often it is asked for the statements of days that were passed over.
const lateEvery = time.Hour

// catchLate compares days that were passed over because the bank had no statement of them, and has now.
func (d *desk) catchLate(ctx context.Context, asset holdfast.Asset) error {
	had, err := d.office.cfg.Cashier.Compared(ctx, d.cfg.Name, asset)
	if err != nil {
		return err
	}
	var failed error
	for _, text := range had.Without() {
		day, err := time.Parse(time.DateOnly, text)
		if err == nil {
			_, err = d.compare(ctx, asset, day, true)
		}
		if err != nil && !errors.Is(err, bank.ErrNoStatement) {
			failed = cmp.Or(failed, fmt.Errorf("%s, late: %w", text, err)) // the others are compared all the same
		}
	}
	return failed
}

// catchUp compares all days that are over and have not been compared.
func (d *desk) catchUp(ctx context.Context, asset holdfast.Asset) error {
	for {
		before, err := d.office.cfg.Cashier.Compared(ctx, d.cfg.Name, asset)
		if err != nil {
			return err
		}
		last := d.dayOf(d.office.cfg.Now().Add(-d.cfg.Lag)).AddDate(0, 0, -1)
		day := last
		if before.Day != "" {
			done, err := time.Parse(time.DateOnly, before.Day)
			if err != nil {
				return fmt.Errorf("the day that was compared last: %w", err)
			}
			day = done.AddDate(0, 0, 1)
		}
		if day.After(last) {
			return nil
		}
		if err := d.compareFrom(ctx, asset, day, last); err != nil {
			return fmt.Errorf("%s: %w", day.Format(time.DateOnly), err)
		}
	}
}

// daysWithout is how many days without a statement are passed over at most: the longest holidays on which no bank works are shorter.
const daysWithout = 14

// compareFrom compares the first day from one on of which the bank has a statement. Days of which it has none are passed over as soon as there is a later
// one: a bank that does not work on a day has nothing to say of it. Had it lost the statement, the next one would not go on from the one
// before, and what it had would be missing: both are cases. If it comes after all, it is compared then; see catchLate.
func (d *desk) compareFrom(ctx context.Context, asset holdfast.Asset, day, last time.Time) error {
	_, none := d.compare(ctx, asset, day, false)
	for n := 1; n <= daysWithout && errors.Is(none, bank.ErrNoStatement); n++ {
		later := day.AddDate(0, 0, n)
		if later.After(last) {
			break
		}
		if _, err := d.compare(ctx, asset, later, false); !errors.Is(err, bank.ErrNoStatement) {
			return err
		}
	}
	return none
}

// dayOf is the day that it is for the bank, as the midnight of that date in UTC: days are dates here, whatever the zone.
func (d *desk) dayOf(t time.Time) time.Time {
	y, m, day := t.In(d.cfg.Zone).Date()
	return time.Date(y, m, day, 0, 0, 0, 0, time.UTC)
}

// comparison is one statement of one account.
type comparison struct {
	desk    *desk
	ctx     context.Context
	asset   holdfast.Asset
	day     time.Time
	round   bank.Round
	cases   map[string]bank.Case
	byKey   map[string][]string // records of the ledger by what items are compared by
	ledger  []bank.Item
	book    []bank.Item
	state   *bank.Statement
	matched map[string]string // records that need not be brought again, and the day of the statement in which they were found
}

// compare compares one day. Everything it writes it writes alike when it is run again. A late day is one before others that have been compared: what its
// statement does not have, theirs were to have, and nothing new is said of it.
func (d *desk) compare(ctx context.Context, asset holdfast.Asset, day time.Time, late bool) (bank.Report, error) {
	c := &comparison{
		desk: d, ctx: ctx, asset: asset, day: day, cases: map[string]bank.Case{}, byKey: map[string][]string{}, matched: map[string]string{},
		round: bank.Round{
			Account: d.cfg.Name + "/" + asset.String(), Day: holdfast.TimeOf(day), Now: d.office.now(), Grace: holdfast.Time(24 * time.Hour),
		},
	}
	steps := []func() error{c.readCases, c.readBook, c.readLedger}
	if late {
		steps = append(steps, c.onlyInBook)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return bank.Report{}, err
		}
	}
	r, err := bank.Reconcile(c.round, items(c.ledger), items(c.book), c.sorted(), c)
	if err == nil {
		err = c.checkStatement()
	}
	if err == nil {
		err = c.mark()
	}
	if err != nil {
		return r, err
	}
	d.log.Info("the bank's book of a day was compared", "asset", asset.String(), "day", c.dayText(0), "late", late, "matched", r.Matched, "found", r.Found,
		"new", r.New, "gone", r.Gone, "open", r.Open, "not_yet", r.NotYet)
	if !late {
		d.metrics.compared(d, asset, &r)
	}
	return r, d.office.cfg.Cashier.SetCompared(ctx, d.cfg.Name, asset, pay.Compared{
		Day: c.dayText(0), Sequence: c.state.Sequence, Opening: c.state.Opening, Closing: c.state.Closing,
		Matched: uint64(r.Matched), Found: uint64(r.Found),
	}, d.office.now())
}

// onlyInBook leaves of the ledger's side what the bank's side has as well.
func (c *comparison) onlyInBook() error {
	book := map[string]bool{}
	for i := range c.book {
		book[cmp.Or(c.book[i].ID, c.book[i].Ref)] = true
	}
	c.ledger = slices.DeleteFunc(c.ledger, func(i bank.Item) bool { return !book[cmp.Or(i.ID, i.Ref)] })
	return nil
}

// checkStatement looks whether the statement adds up and goes on from the one before; and whether the one after, if it was there first, goes on from it.
func (c *comparison) checkStatement() error {
	had, err := c.desk.office.cfg.Cashier.Compared(c.ctx, c.desk.cfg.Name, c.asset)
	if err != nil {
		return err
	}
	before, after := had.Beside(c.dayText(0))
	if len(had.Days) == 0 && had.Day != "" && had.Day < c.dayText(0) { // of a release that remembered no days
		before = &pay.ComparedDay{Sequence: had.Sequence, Closing: had.Closing}
	}
	if err := bank.CheckStatement(c.round, c.state, statementOf(before), c.find, c); err != nil || after == nil {
		return err
	}
	day, err := time.Parse(time.DateOnly, after.Day)
	if err != nil {
		return fmt.Errorf("the day that was compared: %w", err)
	}
	next := c.round
	next.Day = holdfast.TimeOf(day)
	return bank.CheckOrder(next, statementOf(after), c.state, c.find, c)
}

func statementOf(d *pay.ComparedDay) *bank.Statement {
	if d == nil {
		return nil
	}
	return &bank.Statement{Sequence: d.Sequence, Opening: d.Opening, Closing: d.Closing}
}

func items(list []bank.Item) bank.Items {
	return func(yield func(bank.Item, error) bool) {
		for _, i := range list {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (c *comparison) readCases() error {
	after := ""
	for {
		list, next, err := c.desk.office.cfg.Cashier.CasesOf(c.ctx, c.round.Account, after, bookPage)
		if err != nil {
			return err
		}
		for i := range list {
			b, err := bankCase(&list[i])
			if err != nil {
				return err
			}
			c.cases[b.ID] = b
		}
		if len(c.cases) > bookCases {
			return fmt.Errorf("there are more than %d cases: close those that nothing more is done about", bookCases)
		}
		if after = next; after == "" {
			return nil
		}
	}
}

// sorted are the cases in the order of their keys.
func (c *comparison) sorted() bank.Cases {
	var list []bank.Case
	for _, v := range c.cases {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b bank.Case) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Kind, b.Kind)) })
	return func(yield func(bank.Case, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (c *comparison) find(id string) (bank.Case, bool, error) {
	if v, ok := c.cases[id]; ok {
		return v, true, nil
	}
	v, err := c.desk.office.cfg.Cashier.Case(c.ctx, id)
	if refused := (*pay.Refusal)(nil); errors.As(err, &refused) {
		return bank.Case{}, false, nil
	}
	if err != nil {
		return bank.Case{}, false, err
	}
	b, err := bankCase(&v)
	return b, err == nil, err
}

// readBook reads the statement, and adds what earlier ones had and the ledger had not: the ledger may have it by now.
func (c *comparison) readBook() error {
	account := c.desk.cfg.Accounts[c.asset]
	body, err := c.desk.cfg.Statement(c.ctx, account, c.day)
	if err != nil {
		return err
	}
	defer body.Close()
	list, s, err := wire.StatementItems(body)
	if err != nil {
		return fmt.Errorf("the statement: %w", err)
	}
	if s.Account != account || s.Asset != c.asset {
		return errors.New("the statement is of another account")
	}
	for i, err := range list {
		switch {
		case err != nil:
			return fmt.Errorf("the statement: %w", err)
		case len(c.book) == bookItems:
			return fmt.Errorf("the statement has more than %d entries", bookItems)
		}
		c.book = append(c.book, theirs(i))
	}
	switch day := s.Day.Std().UTC().Format(time.DateOnly); {
	case day != c.day.Format(time.DateOnly):
		return fmt.Errorf("the statement is of %s", day)
	case s.Interim:
		return errors.New("the statement is not final yet")
	}
	c.state = s
	for _, v := range c.cases {
		again := v.Kind == bank.NotInLedger || v.Kind == bank.BookedThoughOpen
		if again && v.Progress != bank.Closed && v.Bank != nil && v.Bank.Note != s.ID {
			c.book = append(c.book, *v.Bank)
		}
	}
	slices.SortStableFunc(c.book, bank.CompareItems)
	return nil
}

// theirs is an item of the bank's book as it is compared: ids that others have chosen tell nothing, so the bank's reference stands for them.
func theirs(i bank.Item) bank.Item {
	if i.Ref != "" && !pay.OurEndToEnd(i.ID) {
		i.ID = ""
	}
	return i
}

// readLedger reads what the ledger has and no statement before had: open orders first, since one that ends meanwhile is then there twice and not
// missing, and what this day's statement was found to have, if this was begun before.
func (c *comparison) readLedger() error {
	found := map[string]pay.BookItem{}
	if err := c.readOpen(found); err != nil {
		return err
	}
	for _, day := range []string{"", c.day.Format(time.DateOnly)} {
		after := ""
		for {
			list, next, err := c.desk.office.cfg.Cashier.Booked(c.ctx, c.desk.cfg.Name, c.asset, day, after, bookPage)
			if err != nil {
				return err
			}
			for _, i := range list {
				found[i.Key] = i
			}
			if len(found) > bookItems {
				return fmt.Errorf("the ledger has more than %d items that are not found in the bank's book", bookItems)
			}
			if after = next; after == "" {
				break
			}
		}
	}
	old := holdfast.TimeOf(c.day.AddDate(0, 0, -offDays))
	for _, i := range found {
		item, err := c.ours(&i)
		if err != nil {
			return err
		}
		if i.Off && item.Day < old {
			c.matched[i.Key] = c.dayText(0) // the bank has not paid it, and will not
		}
		c.ledger = append(c.ledger, item)
		key := cmp.Or(item.ID, item.Ref)
		c.byKey[key] = append(c.byKey[key], i.Key)
	}
	slices.SortStableFunc(c.ledger, bank.CompareItems)
	return nil
}

func (c *comparison) readOpen(found map[string]pay.BookItem) error {
	after := ""
	for {
		list, next, err := c.desk.office.cfg.Cashier.OpenOrders(c.ctx, after, bookPage)
		if err != nil {
			return err
		}
		for i := range list {
			if o := &list[i]; o.Order.Via == c.desk.cfg.Name && o.Order.Asset == c.asset {
				found[o.Key()] = o.BookItem()
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
}

func (c *comparison) ours(i *pay.BookItem) (bank.Item, error) {
	item := bank.Item{
		ID: i.ID, Ref: i.Ref, Amount: i.Amount, Asset: i.Asset, Day: holdfast.TimeOf(c.desk.dayOf(i.At.Std())), Open: i.Open, Off: i.Off, Note: i.Key,
	}
	if i.Other == "" {
		return item, nil
	}
	var err error
	item.Other, err = bank.ParseAccount(i.Other)
	return item, err
}

// Case implements bank.Sink. An item that is on the list with both sides is not looked for any more; people have it.
func (c *comparison) Case(v bank.Case) error {
	if v.Ledger != nil && v.Bank != nil && !v.Ledger.Open {
		for _, key := range c.byKey[cmp.Or(v.Ledger.ID, v.Ledger.Ref)] {
			c.matched[key] = c.dayText(v.Bank.Day)
		}
	}
	return c.desk.office.cfg.Cashier.PutCase(c.ctx, payCase(&v, c.asset), c.round.Now)
}

// Match implements bank.Sink.
func (c *comparison) Match(ledger, book bank.Item) error {
	c.matched[ledger.Note] = c.dayText(book.Day)
	return nil
}

// dayText is the day of an item of the bank's book: that of an earlier statement for one that is looked at again.
func (c *comparison) dayText(day holdfast.Time) string {
	if day == 0 {
		return c.day.Format(time.DateOnly)
	}
	return day.Std().UTC().Format(time.DateOnly)
}

// mark notes of the records of what was found that they need not be brought again.
func (c *comparison) mark() error {
	var keys []string
	for key := range c.matched {
		keys = append(keys, key)
	}
	var mu sync.Mutex
	var failed error
	each(c.ctx, bookOnce, keys, func(key *string) {
		if err := c.desk.office.cfg.Cashier.Matched(c.ctx, *key, c.matched[*key], c.desk.office.now()); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = err
		}
	})
	return cmp.Or(failed, c.ctx.Err())
}

// Cases of the bank package and of the records are the same, field by field.
func bankCase(v *pay.Case) (b bank.Case, err error) {
	b = bank.Case{
		ID: v.ID, Account: v.Account, Key: v.Key, Kind: bank.Difference(v.Kind), Count: int(v.Count), Amount: v.Amount, Progress: bank.Progress(v.Progress),
		Why: v.Why, Seen: v.Seen, Since: v.Since, Closed: v.Closed, ByItself: v.ByItself,
	}
	if b.Ledger, err = bankSide(v.Ledger); err == nil {
		b.Bank, err = bankSide(v.Bank)
	}
	return b, err
}

func bankSide(s *pay.CaseSide) (*bank.Item, error) {
	if s == nil {
		return nil, nil
	}
	i := &bank.Item{ID: s.ID, Ref: s.Ref, Amount: s.Amount, Asset: s.Asset, Day: s.Day, Open: s.Open, Off: s.Off, Note: s.Note}
	if s.Other == "" {
		return i, nil
	}
	var err error
	i.Other, err = bank.ParseAccount(s.Other)
	return i, err
}

func payCase(b *bank.Case, asset holdfast.Asset) pay.Case {
	return pay.Case{
		ID: b.ID, Account: b.Account, Key: strings.ToValidUTF8(b.Key, "?"), Kind: uint8(b.Kind), Count: uint32(b.Count), Asset: asset, Amount: b.Amount,
		Ledger: paySide(b.Ledger), Bank: paySide(b.Bank), Progress: pay.CaseProgress(b.Progress), Why: b.Why, Seen: b.Seen, Since: b.Since,
		Closed: b.Closed, ByItself: b.ByItself,
	}
}

func paySide(i *bank.Item) *pay.CaseSide {
	if i == nil {
		return nil
	}
	return &pay.CaseSide{
		ID: i.ID, Ref: i.Ref, Amount: i.Amount, Asset: i.Asset, Day: i.Day, Other: i.Other.Reveal(), Open: i.Open, Off: i.Off, Note: i.Note,
	}
}

// DescribeCase names the difference of a case, as it is shown, and says what to do about it.
func DescribeCase(v *pay.Case) (name, todo string) {
	return bank.Difference(v.Kind).String(), bank.Difference(v.Kind).ToDo()
}
