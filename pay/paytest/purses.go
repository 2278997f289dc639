package paytest

import (
	"cmp"
	"context"
	"slices"

	"holdfast/pay"
)

// Audited are the books as an audit reads them.
func (b *Books) Audited() pay.AuditBooks { return audited{b} }

type audited struct{ *Books }

// Purses implements pay.AuditBooks.
func (b audited) Purses(_ context.Context, after pay.Purse, max int) (list []pay.Purse, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	order := func(x, y pay.Purse) int { return cmp.Or(cmp.Compare(x.Owner, y.Owner), cmp.Compare(x.Asset, y.Asset)) }
	for _, s := range b.shards {
		for a := range s.state.Accounts() {
			if p := (pay.Purse{Owner: a.ID.Owner, Asset: a.ID.Asset}); !a.ID.OfShard() && pay.Keeps(a.ID.Purpose) && order(p, after) > 0 {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, order)
	list = slices.Compact(list)
	return list[:min(max, len(list))], nil
}
