package wallet

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/page"
)

const (
	statementLines = 20
	statementReads = 100 // at once, when one currency is asked for
	statementPages = 5   // of those, for one page
)

// statement is a page of what came and went.
type statement struct {
	Lines      []line
	Currencies []string // there are wallets in several
	Currency   string   // of the lines; "": all
	Cursor     string
	Next       string
}

func (w *wallet) showStatement(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q := r.URL.Query()
	s := statement{Cursor: q.Get("cursor")}
	states, err := w.API.Wallets(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	for _, x := range states {
		s.Currencies = append(s.Currencies, x.Asset.String())
		if x.Asset.String() == q.Get("currency") {
			s.Currency = x.Asset.String()
		}
	}
	list, next, err := w.statementOf(ctx, v, s.Cursor, s.Currency)
	if err != nil {
		return page.Failed(v, r, err)
	}
	s.Lines, s.Next = w.lines(ctx, v, list), next
	return page.Answer{Template: "statement", Body: s}
}

// statementOf reads the next lines in a currency. Of a long statement with few of them it reads a part, and next goes on after that: then there may be
// fewer lines than on a page.
func (w *wallet) statementOf(ctx context.Context, v *page.View, cursor, currency string) (list []client.Receipt, next string, err error) {
	if currency == "" {
		return w.API.Receipts(ctx, v.Owner(), cursor, statementLines)
	}
	for range statementPages {
		some, next, err := w.API.Receipts(ctx, v.Owner(), cursor, statementReads)
		if err != nil {
			return nil, "", err
		}
		for i := range some {
			if some[i].Asset.String() != currency {
				continue
			}
			if list = append(list, some[i]); len(list) == statementLines && (i+1 < len(some) || next != "") {
				return list, some[i].Receipt, nil
			}
		}
		if next == "" {
			return list, "", nil
		}
		cursor = next
	}
	return list, cursor, nil
}
