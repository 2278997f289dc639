package console

import (
	"context"
	"net/http"
	"slices"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// moneyBody is a transfer or a transaction: where the money went, and where that stands.
type moneyBody struct {
	ID        string
	Txn       client.Txn
	Transfers []client.Movement
	One       bool // it is about one transfer
	Holders   []holder
	Complete  bool // every site that was asked has the entry
	Majority  bool
}

// holder is a site, and whether it has the entry of the log in which the money moved.
type holder struct {
	Name    string
	State   string
	Applied uint64 // the last entry that it has applied
}

func (p *pages) showTransfer(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	id, err := holdfast.ParseID(r.PathValue("id"))
	if err != nil {
		return page.NotFound(err.Error())
	}
	m, err := p.API.Transfer(ctx, id)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return p.showMoney(ctx, v, r, m.Txn, func(b *moneyBody) {
		b.One, b.ID = true, id.String()
		b.Transfers = slices.DeleteFunc(b.Transfers, func(x client.Movement) bool { return x.ID != id })
		if len(b.Transfers) == 0 {
			b.Transfers = []client.Movement{m}
		}
	})
}

func (p *pages) showTransaction(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	id, err := holdfast.ParseID(r.PathValue("id"))
	if err != nil {
		return page.NotFound(err.Error())
	}
	return p.showMoney(ctx, v, r, id, func(*moneyBody) {})
}

func (p *pages) showMoney(ctx context.Context, v *page.View, r *http.Request, id holdfast.ID, trim func(*moneyBody)) page.Answer {
	x, err := p.API.Txn(ctx, id)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := moneyBody{ID: id.String(), Txn: x, Transfers: slices.Clone(x.Transfers)}
	trim(&b)
	b.Holders = p.holders(ctx, x.Shard, x.Outcome.Index)
	have := 0
	for _, h := range b.Holders {
		if h.State == stateUp {
			have++
		}
	}
	b.Complete, b.Majority = have == len(b.Holders), 2*have > len(b.Holders)
	return page.Answer{Template: "money", Body: b}
}

// holders asks each site how far its replica of a shard has come.
func (p *pages) holders(ctx context.Context, id holdfast.ShardID, index uint64) []holder {
	all, err := p.API.Fleet(ctx)
	if err != nil {
		return nil
	}
	list := make([]holder, len(all.Sites))
	done := make(chan struct{}, len(all.Sites))
	for i, s := range all.Sites {
		list[i] = holder{Name: s.Name, State: stateUnknown}
		go func() {
			defer func() { done <- struct{}{} }()
			c, err := p.Only(s.HTTP)
			if err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, page.AskOne)
			defer cancel()
			shards, err := c.Shards(ctx)
			if err != nil {
				return
			}
			for j := range shards {
				if shards[j].Shard != id {
					continue
				}
				list[i].Applied, list[i].State = shards[j].Applied, stateDown
				if shards[j].Applied >= index {
					list[i].State = stateUp
				}
			}
		}()
	}
	for range all.Sites {
		<-done
	}
	return list
}

// accountBody is an account with its latest movements.
type accountBody struct {
	ID      string
	Account holdfast.Account
	Lines   []client.Line
	Next    string
	Cursor  string
}

func (p *pages) showAccount(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	id, err := holdfast.ParseAccountID(r.PathValue("id"))
	if err != nil {
		return page.NotFound(err.Error())
	}
	b := accountBody{ID: id.String(), Cursor: r.URL.Query().Get("cursor")}
	if b.Account, err = p.API.Account(ctx, id); err != nil {
		return page.Failed(v, r, err)
	}
	lines, err := p.API.StatementPage(ctx, id, b.Cursor, linesOnPage)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b.Lines, b.Next = lines.Lines, lines.Next
	return page.Answer{Template: "account", Body: b}
}

const linesOnPage = 50
