package testbank

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"holdfast"
	"holdfast/bank/iso20022"
)

// firstDay has the number 1 among statements: each account has one a day, so that one that is missing can be seen.
var firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// statement writes the camt.053 of an account and a day; that of a day which is not over has an interim balance instead of a closing one.
// What is wrong with it is as the faults say.
func (b *Bank) statement(w io.Writer, number string, day time.Time) error {
	var made *sheet
	if err := b.locked(func() (n uint64, err error) {
		made, err = b.sheet(number, day)
		return b.journal.last(), err
	}); err != nil {
		return err
	}
	s, err := iso20022.NewStatementWriter(w, made.head.ID, made.at, &made.head)
	if err != nil {
		return err
	}
	for i := range made.lines {
		if err := s.Line(&made.lines[i]); err != nil {
			return err
		}
	}
	return s.Close()
}

// sheet is a statement that is ready to be written.
type sheet struct {
	head  iso20022.StatementHead
	lines []iso20022.Line
	at    time.Time
}

func (b *Bank) sheet(number string, day time.Time) (*sheet, error) {
	now := b.now()
	a := b.accounts[number]
	today := b.day(now)
	switch {
	case a == nil:
		return nil, fmt.Errorf("%w: no such account", ErrNo)
	case day.Before(firstDay) || day.After(today):
		return nil, fmt.Errorf("%w: there are statements from %s to %s", ErrNo, iso20022.DayText(firstDay), iso20022.DayText(today))
	}
	opening := a.opened
	var lines []iso20022.Line
	for i := range a.lines {
		switch l := &a.lines[i].Line; {
		case l.Day.Before(day):
			opening += l.Amount
		case l.Day.Equal(day):
			lines = append(lines, b.misstate(l)...)
		}
	}
	lines = append(lines, b.invented(a, day)...)
	s := &sheet{at: now, lines: lines}
	return s, s.fill(a, day, opening, day.Equal(today))
}

// misstate is a line as the statement has it.
func (b *Bank) misstate(l *iso20022.Line) []iso20022.Line {
	f := &b.faults
	if l.EndToEnd == "" || marked(f, "omit", l.EndToEnd, f.Omit) {
		if l.EndToEnd == "" {
			return []iso20022.Line{*l}
		}
		return nil
	}
	c := *l
	if marked(f, "alter", l.EndToEnd, f.Alter) {
		c.Amount++
	}
	if marked(f, "double", l.EndToEnd, f.Double) {
		again := c
		again.BankRef += "X"
		return []iso20022.Line{c, again}
	}
	return []iso20022.Line{c}
}

func (b *Bank) invented(a *book, day time.Time) (lines []iso20022.Line) {
	for i := range b.faults.Invent {
		id := fmt.Sprintf("INVENTED-%s-%d", iso20022.DayText(day), i+1)
		lines = append(lines, iso20022.Line{EndToEnd: id, BankRef: "X" + id, Amount: -holdfast.Amount(100 * (i + 1)), Asset: a.Asset, Day: day})
	}
	return lines
}

// fill makes the head. Its balances follow from the lines: a bank that lies adds up all the same.
func (s *sheet) fill(a *book, day time.Time, opening holdfast.Amount, interim bool) error {
	closing := opening
	for i := range s.lines {
		closing += s.lines[i].Amount
	}
	id, err := iso20022.AccountIDOf(a.Number)
	if err != nil {
		return err
	}
	last := iso20022.Closing
	if interim {
		last = iso20022.Interim
	}
	n := int(day.Sub(firstDay)/(24*time.Hour)) + 1
	s.head = iso20022.StatementHead{
		ID: "TBS" + day.Format("20060102") + "-" + strconv.FormatInt(s.at.UnixMilli(), 36), Sequence: strconv.Itoa(n), Created: iso20022.TimeText(s.at),
		Account: iso20022.StatementAccount{ID: id, Currency: a.Currency},
		Summary: &iso20022.Summary{All: &iso20022.Totals{Count: strconv.Itoa(len(s.lines))}},
	}
	for _, b := range []struct {
		which  string
		amount holdfast.Amount
	}{{iso20022.Opening, opening}, {last, closing}} {
		balance, err := iso20022.BalanceOf(b.which, b.amount, a.Asset, day)
		if err != nil {
			return err
		}
		s.head.Balances = append(s.head.Balances, balance)
	}
	return nil
}

// maxDeposits is how many deposits one notification has at most.
const maxDeposits = 500

// deposits is the camt.054 of what came into an account after a number.
func (b *Bank) deposits(number string, after uint64, most int) (*iso20022.Notification, error) {
	var lines []iso20022.Line
	var at time.Time
	upTo := after
	if err := b.locked(func() (uint64, error) {
		at = b.now()
		a := b.accounts[number]
		if a == nil {
			return 0, fmt.Errorf("%w: no such account", ErrNo)
		}
		for i := after; i < uint64(len(a.deposits)) && len(lines) < min(most, maxDeposits); i++ {
			lines = append(lines, a.lines[a.deposits[i]].Line)
			upTo = i + 1
		}
		return b.journal.last(), nil
	}); err != nil {
		return nil, err
	}
	return iso20022.NewNotification(fmt.Sprintf("TBN%d-%d", at.UnixMilli(), upTo), at, number, upTo, lines)
}
