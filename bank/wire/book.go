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

// Book is what a statement said besides its entries, complete when its items have been read to the end.
type Book struct {
	ID       string // of the statement
	Account  bank.Account
	Sequence uint64 // 0: the bank does not number them
	Asset    holdfast.Asset
	Opening  holdfast.Amount
	Closing  holdfast.Amount
	Interim  bool            // the day is not over: Closing is the balance so far
	Sum      holdfast.Amount // of the entries
	Count    int
}

// StatementItems reads a camt.053 with one statement as one side of a reconciliation, in the order of the bank's book: sort it with
// [bank.SortItems]. It takes the memory of one entry.
func StatementItems(r io.Reader) (bank.Items, *Book, error) {
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
	b := &Book{ID: head.ID}
	if err := b.head(head); err != nil {
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

func (b *Book) head(h *iso20022.StatementHead) (err error) {
	if b.Account, err = bank.ParseAccount(h.Account.ID.Text()); err != nil {
		return err
	}
	if h.Sequence != "" {
		if b.Sequence, err = strconv.ParseUint(h.Sequence, 10, 63); err != nil {
			return err
		}
	}
	var opened, closed bool
	b.Opening, b.Asset, opened = h.Balance(iso20022.Opening)
	var asset holdfast.Asset
	if b.Closing, asset, closed = h.Balance(iso20022.Closing); !closed {
		b.Closing, asset, closed = h.Balance(iso20022.Interim)
		b.Interim = true
	}
	if !opened || !closed || asset != b.Asset {
		return errors.New("it has no opening and closing balance of one currency")
	}
	return nil
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
