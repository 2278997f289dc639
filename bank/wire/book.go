package wire

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/iso20022"
)

// StatementItems reads a camt.053 with one statement as one side of a reconciliation, in the order of the bank's book: sort it with
// [bank.SortItems]. It takes the memory of one entry. What the statement says besides is complete when its items have been read to the end.
func StatementItems(r io.Reader) (bank.Items, *bank.Statement, error) {
	s, err := iso20022.NewStatementReader(r)
	if err != nil {
		return nil, nil, err
	}
	head, err := s.Next()
	if err == io.EOF {
		err = errors.New("the message has no statement")
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := statementOf(head)
	if err != nil {
		return nil, nil, fmt.Errorf("statement %s: %w", head.ID, err)
	}
	return func(yield func(bank.Item, error) bool) {
		for l, err := range s.Lines() {
			var item bank.Item
			if err == nil {
				item, err = itemOf(&l, head.ID)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
		b.Sum, b.Count = s.Sum()
		if _, err := s.Next(); err != io.EOF {
			if err == nil {
				err = errors.New("the message has more than one statement: have the bank send one a file")
			}
			yield(bank.Item{}, err)
		}
	}, b, nil
}

func statementOf(h *iso20022.StatementHead) (*bank.Statement, error) {
	b := &bank.Statement{ID: h.ID}
	var err error
	if b.Account, err = bank.ParseAccount(h.Account.ID.Text()); err != nil {
		return nil, err
	}
	if h.Sequence != "" {
		if b.Sequence, err = strconv.ParseUint(h.Sequence, 10, 63); err != nil {
			return nil, err
		}
	}
	var opened, closed bool
	b.Opening, b.Asset, opened = h.Balance(iso20022.Opening)
	var asset holdfast.Asset
	which := iso20022.Closing
	if b.Closing, asset, closed = h.Balance(which); !closed {
		which = iso20022.Interim
		b.Closing, asset, closed = h.Balance(which)
		b.Interim = true
	}
	if !opened || !closed || asset != b.Asset {
		return nil, errors.New("it has no opening and closing balance of one currency")
	}
	day, err := h.Day(which)
	b.Day = holdfast.Time(day.UnixNano())
	return b, err
}

func itemOf(l *iso20022.Line, where string) (bank.Item, error) {
	i := bank.Item{ID: l.EndToEnd, Ref: l.BankRef, Amount: l.Amount, Asset: l.Asset, Note: where}
	if !l.Day.IsZero() {
		i.Day = holdfast.Time(l.Day.UnixNano())
	}
	if i.ID == "" && i.Ref == "" {
		return i, errors.New("an entry has neither an end-to-end id nor a reference of the bank: nobody could tell it from others")
	}
	if l.Other != "" {
		var err error
		if i.Other, err = bank.ParseAccount(l.Other); err != nil {
			return i, fmt.Errorf("entry %s: %w", l.BankRef, err)
		}
	}
	return i, nil
}
