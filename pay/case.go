package pay

import (
	"context"
	"time"

	"holdfast"
)

// BookItem is a movement on an account of the platform at a bank, as the ledger has it.
type BookItem struct {
	Key    string // of the record
	ID     string // end-to-end id; "" where the payer has chosen it, so that it tells nothing
	Ref    string // the bank's own
	Asset  holdfast.Asset
	Amount holdfast.Amount // above 0: came in; below: went out
	At     holdfast.Time   // when the ledger knew of it
	Other  string          // number of the account on the other side, "" if it is not known
	Open   bool            // an order that has been sent and has not ended
	Off    bool            // an order that has been sent and has ended without being paid
}

// Booked lists up to max items of an account at a bank that have not been found in the bank's book yet, or, with a day (2006-01-02), that have
// been found in the statement of that day; from the one after the key on. next is "" when that was all.
func (c *Cashier) Booked(ctx context.Context, via string, asset holdfast.Asset, day, after string, max int) (list []BookItem, next string, err error) {
	index := booked(via, asset)
	if day != "" {
		index = matched(via, asset, day)
	}
	records, err := c.Books.ByIndex(ctx, index, after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		r := &records[i]
		next = r.Key
		if r.Pending != nil {
			continue // it comes when it is decided
		}
		item, err := c.bookItem(r)
		if err != nil {
			return nil, "", &Unavailable{Err: err}
		}
		list = append(list, item)
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}

func (c *Cashier) bookItem(r *holdfast.Record) (item BookItem, err error) {
	if b, ok := BankOrderOf(r.Key); ok {
		var o Order
		if err := unpack(r.Key, r.Body, &o); err != nil {
			return item, err
		}
		open, err := c.opened(b, o, r.Version)
		return open.BookItem(), err
	}
	var v Deposit
	if err := unpack(r.Key, r.Body, &v); err != nil {
		return item, err
	}
	if err := c.unstored("", &v); err != nil {
		return item, err
	}
	item = BookItem{Key: r.Key, Ref: v.Ref, Asset: v.Asset, Amount: v.Amount, At: v.At, Other: v.From}
	if OurEndToEnd(v.EndToEnd) {
		item.ID = v.EndToEnd
	}
	return item, nil
}

// BookItem is the order as the ledger has it beside the bank's book.
func (o *OpenOrder) BookItem() BookItem {
	item := BookItem{
		Key: o.key(), ID: o.EndToEnd(), Asset: o.Order.Asset, Amount: -o.Order.Amount, At: o.Order.Changed, Other: o.Payee.Number,
		Open: o.Order.Status < OrderDone, Off: o.Order.Status == OrderReturned,
	}
	if o.Order.Status == OrderDone {
		item.Ref = o.Order.Bank
	}
	return item
}

// Matched notes of the record of an item that it has been found in the statement of a day, or that its difference is on the list of cases: it
// is not compared with other statements. An item that is not waiting to be found is left alone.
func (c *Cashier) Matched(ctx context.Context, key, day string, now holdfast.Time) error {
	return c.again(ctx, func() error {
		r, found, err := c.Books.Record(ctx, key)
		switch {
		case err != nil:
			return &Unavailable{Err: err}
		case !found:
			return nil
		case r.Pending != nil:
			return errUnderWay
		}
		index, moved := []string(nil), false
		for _, k := range r.Index {
			if rest, is := cutPrefix(k, bookedIndex); is {
				k, moved = matchedIndex+rest+"/"+day, true
			}
			index = append(index, k)
		}
		if !moved {
			return nil
		}
		d := draft{at: now}
		d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: r.Version, Index: index, Body: r.Body})
		return c.submit(ctx, &d)
	})
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

// Case is a difference between a bank's book and the ledger, on the list that people work through. What its numbers mean, and what it is found
// by, package bank says.
type Case struct {
	ID       string // 32 hexadecimal digits; no part of the body
	Account  string // of the platform: "<bank>/<asset>"
	Key      string // what both sides know the item by
	Kind     uint8
	Count    uint32
	Asset    holdfast.Asset
	Amount   holdfast.Amount // at stake
	Ledger   *CaseSide
	Bank     *CaseSide
	Progress CaseProgress
	Why      string     // what somebody has said about it
	Notes    []CaseNote // what was said about it, and done, by whom; the latest last. Package bank does not know them
	Seen     holdfast.Time
	Since    holdfast.Time
	Closed   holdfast.Time
	ByItself bool // closed because both sides agree now
}

// CaseNote is what somebody has said about a case.
type CaseNote struct {
	At       holdfast.Time
	By       string       // name of the API key
	Progress CaseProgress // of the case from then on
	Why      string
}

// maxCaseNotes is how many notes a case keeps: the latest.
const maxCaseNotes = 20

func (v *CaseNote) layout(c *coder) {
	signed(c, &v.At)
	text(c, &v.By)
	number(c, &v.Progress)
	text(c, &v.Why)
}

// note adds one, unless the same has been said last: it may be a request that has come again.
func (v *Case) note(n CaseNote) {
	if last := len(v.Notes) - 1; last >= 0 && v.Notes[last].By == n.By && v.Notes[last].Why == n.Why && v.Notes[last].Progress == n.Progress {
		return
	}
	v.Notes = append(v.Notes, n)
	v.Notes = v.Notes[max(0, len(v.Notes)-maxCaseNotes):]
}

// CaseProgress is how far a case is. The numbers are those of package bank.
type CaseProgress uint8

// How far a case is.
const (
	CaseOpen CaseProgress = iota + 1
	CaseExplained
	CaseClosed
)

// String names it.
func (p CaseProgress) String() string {
	if p >= CaseOpen && p <= CaseClosed {
		return [...]string{"open", "explained", "closed"}[p-CaseOpen]
	}
	return "invalid"
}

// CaseSide is an item as one side has it. Other, the number of an account, is sealed in the record.
type CaseSide struct {
	ID, Ref   string
	Amount    holdfast.Amount
	Asset     holdfast.Asset
	Day       holdfast.Time
	Other     string
	Open, Off bool
	Note      string // of the ledger's side the key of the record, of the bank's the id of the statement
}

func (v *CaseSide) layout(c *coder) {
	text(c, &v.ID)
	text(c, &v.Ref)
	signed(c, &v.Amount)
	number(c, &v.Asset)
	signed(c, &v.Day)
	text(c, &v.Other)
	flag(c, &v.Open)
	flag(c, &v.Off)
	text(c, &v.Note)
}

func (*Case) kind() (byte, byte) { return 64, 2 }

func (v *Case) layout(c *coder) {
	text(c, &v.Account)
	text(c, &v.Key)
	number(c, &v.Kind)
	number(c, &v.Count)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	for _, side := range []**CaseSide{&v.Ledger, &v.Bank} {
		has := *side != nil
		if flag(c, &has); !has {
			*side = nil
			continue
		}
		if *side == nil {
			*side = &CaseSide{}
		}
		(*side).layout(c)
	}
	number(c, &v.Progress)
	text(c, &v.Why)
	signed(c, &v.Seen)
	signed(c, &v.Since)
	signed(c, &v.Closed)
	flag(c, &v.ByItself)
	list(c, &v.Notes, maxCaseNotes, func(n *CaseNote) { n.layout(c) })
}

const (
	caseIndex = "pay/case/open"  // not closed
	casesOf   = "pay/case/list/" // by account: not closed, or closed by somebody though the difference was there
	useCase   = "case"
)

func (v *Case) index() (list []string) {
	if v.Progress != CaseClosed {
		list = append(list, caseIndex)
	}
	if v.Progress != CaseClosed || !v.ByItself {
		list = append(list, casesOf+v.Account)
	}
	return list
}

// sides has the account numbers of both sides sealed, or opened, in copies.
func (v *Case) sides(how func(string) (string, error)) error {
	for _, side := range []**CaseSide{&v.Ledger, &v.Bank} {
		if *side == nil || (*side).Other == "" {
			continue
		}
		s := **side
		var err error
		if s.Other, err = how(s.Other); err != nil {
			return err
		}
		*side = &s
	}
	return nil
}

func (c *Cashier) sealCase(v Case) *Case {
	_ = v.sides(func(s string) (string, error) { return c.seal(c.Bank, useCase, s), nil })
	return &v
}

func (c *Cashier) readCase(r *holdfast.Record) (v Case, err error) {
	if err = unpack(r.Key, r.Body, &v); err == nil {
		_, _, v.ID, _ = cutKey(r.Key)
		err = v.sides(func(s string) (string, error) { return c.openSealed(c.Bank, useCase, s) })
	}
	if err != nil {
		return v, &Unavailable{Err: err}
	}
	return v, nil
}

// PutCase puts a case on the list, or changes what is known of it; its notes stay.
func (c *Cashier) PutCase(ctx context.Context, v Case, now holdfast.Time) error {
	if err := first(validNumber(v.ID, "id"), validText(v.Key, "key", 160), validText(v.Why, "why", maxCaseWhy), validText(v.Account, "account", 64)); err != nil {
		return err
	}
	return c.again(ctx, func() error {
		var had Case
		version, err := c.load(ctx, keyOf(c.Bank, kindCase, v.ID), &had)
		if err != nil {
			return err
		}
		v.Notes = had.Notes
		d := draft{at: now}
		d.put(keyOf(c.Bank, kindCase, v.ID), version, c.sealCase(v), v.index()...)
		return c.submit(ctx, &d)
	})
}

const maxCaseWhy = 1000

// Case returns a case by its id.
func (c *Cashier) Case(ctx context.Context, id string) (v Case, err error) {
	if err := validNumber(id, "id"); err != nil {
		return v, err
	}
	r, err := c.row(ctx, keyOf(c.Bank, kindCase, id), &v, refuse(CaseUnknown, "id"))
	if err != nil {
		return v, settled(err)
	}
	return c.readCase(&r)
}

// Cases lists up to max cases that are not closed, from the one with the id after on; next is "" when that was all.
func (c *Cashier) Cases(ctx context.Context, after string, max int) (list []Case, next string, err error) {
	return c.listCases(ctx, caseIndex, after, max)
}

// CasesOf lists those of one account that a reconciliation has to know: not closed, or closed by somebody though the difference was there.
func (c *Cashier) CasesOf(ctx context.Context, account, after string, max int) (list []Case, next string, err error) {
	return c.listCases(ctx, casesOf+account, after, max)
}

func (c *Cashier) listCases(ctx context.Context, index, after string, max int) (list []Case, next string, err error) {
	if after != "" {
		after = keyOf(c.Bank, kindCase, after)
	}
	records, err := c.Books.ByIndex(ctx, index, after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		v, err := c.readCase(&records[i])
		if err != nil {
			return nil, "", err
		}
		list, next = append(list, v), v.ID
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}

// ExplainCase says why a difference is there and what is under way; by is who says so.
func (c *Cashier) ExplainCase(ctx context.Context, id, why, by string, now holdfast.Time) (Case, error) {
	return c.workCase(ctx, id, CaseNote{now, by, CaseExplained, why})
}

// CloseCase says why nothing more is done about a difference: what has resolved it. It comes again if something else is to be seen.
func (c *Cashier) CloseCase(ctx context.Context, id, why, by string, now holdfast.Time) (Case, error) {
	return c.workCase(ctx, id, CaseNote{now, by, CaseClosed, why})
}

func (c *Cashier) workCase(ctx context.Context, id string, n CaseNote) (v Case, err error) {
	why, to, now := n.Why, n.Progress, n.At
	if why == "" {
		return v, refuse(FieldInvalid, "why")
	}
	if err := first(validNumber(id, "id"), validText(why, "why", maxCaseWhy), validText(n.By, "by", 64)); err != nil {
		return v, err
	}
	key := keyOf(c.Bank, kindCase, id)
	err = c.again(ctx, func() error {
		r, err := c.row(ctx, key, &v, refuse(CaseUnknown, "id"))
		if err != nil {
			return err
		}
		if v.Progress == CaseClosed && to != CaseClosed {
			return refuse(CaseClosedBefore, "id")
		}
		v.Progress, v.Why = to, why
		v.note(n)
		if to == CaseClosed && v.Closed == 0 {
			v.Closed = now
		}
		d := draft{at: now}
		d.put(key, r.Version, &v, v.index()...)
		if err := c.submit(ctx, &d); err != nil {
			return err
		}
		v, err = c.readCase(&holdfast.Record{Key: key, Body: pack(&v)})
		return err
	})
	return v, err
}

// Compared is the last statement of an account that has been compared with the ledger.
type Compared struct {
	Day      string // 2006-01-02, in the bank's time zone
	Sequence uint64
	Closing  holdfast.Amount
	Matched  uint64
	Found    uint64 // differences
	At       holdfast.Time

	Opening holdfast.Amount
	Days    []ComparedDay // the last ones, oldest first, this one too
}

// ComparedDay is a day that has been compared, or passed over because there was no statement of it.
type ComparedDay struct {
	Day      string
	Without  bool // there was none; it may come yet
	Sequence uint64
	Opening  holdfast.Amount
	Closing  holdfast.Amount
}

// maxComparedDays is for how many days it is remembered whether they were compared: a statement that comes later than that is not waited for.
const maxComparedDays = 31

func (*Compared) kind() (byte, byte) { return 65, 1 }

func (v *Compared) layout(c *coder) {
	text(c, &v.Day)
	number(c, &v.Sequence)
	signed(c, &v.Closing)
	number(c, &v.Matched)
	number(c, &v.Found)
	signed(c, &v.At)
	c.tail(func() bool { return len(v.Days) > 0 }, func() {
		signed(c, &v.Opening)
		list(c, &v.Days, maxComparedDays, func(d *ComparedDay) {
			text(c, &d.Day)
			flag(c, &d.Without)
			number(c, &d.Sequence)
			signed(c, &d.Opening)
			signed(c, &d.Closing)
		})
	})
}

// Without lists the days that were passed over and may yet be compared, oldest first.
func (v *Compared) Without() (days []string) {
	for i := range v.Days {
		if v.Days[i].Without {
			days = append(days, v.Days[i].Day)
		}
	}
	return days
}

// Beside are the days with statements before and after one; nil: none is known.
func (v *Compared) Beside(day string) (before, after *ComparedDay) {
	for i := range v.Days {
		switch d := &v.Days[i]; {
		case d.Without:
		case d.Day < day:
			before = d
		case d.Day > day && after == nil:
			after = d
		}
	}
	return before, after
}

// add notes that the statement of a day has been compared. Days between the last one and this are those without a statement. It reports whether that
// changes anything.
func (v *Compared) add(n *Compared) (changed bool) {
	this := ComparedDay{Day: n.Day, Sequence: n.Sequence, Opening: n.Opening, Closing: n.Closing}
	if v.Day != "" && n.Day <= v.Day {
		for i := range v.Days {
			if v.Days[i].Day == n.Day && v.Days[i].Without {
				v.Days[i], changed = this, true
			}
		}
		return changed
	}
	days := append(v.Days, daysBetween(v.Day, n.Day)...)
	days = append(days, this)
	*v = Compared{
		Day: n.Day, Sequence: n.Sequence, Opening: n.Opening, Closing: n.Closing, Matched: n.Matched, Found: n.Found,
		Days: days[max(0, len(days)-maxComparedDays):],
	}
	return true
}

// daysBetween lists the days after one and before another; none if the first is "".
func daysBetween(from, to string) (list []ComparedDay) {
	day, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return nil
	}
	for range maxComparedDays {
		day = day.AddDate(0, 0, 1)
		text := day.Format(time.DateOnly)
		if text >= to {
			break
		}
		list = append(list, ComparedDay{Day: text, Without: true})
	}
	return list
}

// Compared returns it; Day is "" when none has been.
func (c *Cashier) Compared(ctx context.Context, via string, asset holdfast.Asset) (v Compared, err error) {
	_, err = c.load(ctx, keyOf(c.Bank, kindBook, via+"-"+asset.String()), &v)
	return v, settled(err)
}

// SetCompared remembers it; Days is no part of what is given. A day before the one that is remembered fills the place of one that was passed over, and
// changes nothing else.
func (c *Cashier) SetCompared(ctx context.Context, via string, asset holdfast.Asset, v Compared, now holdfast.Time) error {
	key := keyOf(c.Bank, kindBook, via+"-"+asset.String())
	return c.again(ctx, func() error {
		var had Compared
		version, err := c.load(ctx, key, &had)
		if err != nil || !had.add(&v) {
			return err
		}
		had.At = now
		d := draft{at: now}
		d.put(key, version, &had)
		return c.submit(ctx, &d)
	})
}
