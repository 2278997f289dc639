package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// searchBody is what was found of what somebody has typed.
type searchBody struct {
	Query string
	Hits  []hit
	Asked bool
}

// hit is something with that number.
type hit struct{ Kind, Name, Link string } // Kind is a key of words

// search finds whatever has a number: a transfer, a transaction, an account, an owner, a trade. One hit is shown at once.
func (p *pages) search(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	b := searchBody{Query: q, Asked: q != ""}
	if len(q) > 200 {
		b.Query = q[:200]
		return page.Answer{Template: "search", Body: b}
	}
	hits, err := p.find(ctx, q)
	if err != nil {
		return page.Failed(v, r, err)
	}
	if len(hits) == 1 {
		return page.Answer{Redirect: hits[0].Link}
	}
	b.Hits = hits
	return page.Answer{Template: "search", Body: b}
}

func (p *pages) find(ctx context.Context, q string) (hits []hit, err error) {
	if id, bad := holdfast.ParseID(q); bad == nil {
		return p.findID(ctx, id)
	}
	if id, bad := holdfast.ParseAccountID(q); bad == nil {
		return []hit{{"account", q, "/console/accounts/" + url.PathEscape(id.String())}}, nil
	}
	if owner, bad := holdfast.ParseOwner(q); bad == nil {
		return p.findOwner(ctx, owner)
	}
	if len(q) == tradeNoDigits && strings.Trim(q, "0123456789") == "" {
		t, err := p.API.FindTrade(ctx, q)
		if client.IsNotFound(err) {
			return nil, nil
		}
		return []hit{{"trade", q, "/console/search?q=" + t.Payer.String()}}, err
	}
	return nil, nil
}

const tradeNoDigits = 28

// findID asks what has an id: it can be a transfer and its transaction at once.
func (p *pages) findID(ctx context.Context, id holdfast.ID) (hits []hit, err error) {
	if _, err := p.API.Transfer(ctx, id); err == nil {
		hits = append(hits, hit{"transfer", id.String(), "/console/transfers/" + id.String()})
	} else if !client.IsNotFound(err) {
		return nil, err
	}
	if x, err := p.API.Txn(ctx, id); err == nil {
		if len(x.Transfers) != 1 || x.Transfers[0].ID != id { // else it is what the transfer shows already
			hits = append(hits, hit{"transaction", id.String(), "/console/transactions/" + id.String()})
		}
	} else if !client.IsNotFound(err) {
		return nil, err
	}
	list, err := p.API.TransfersByRef(ctx, holdfast.Ref(id))
	if err != nil && !client.IsNotFound(err) {
		return nil, err
	}
	for i := range list {
		hits = append(hits, hit{"transfer", list[i].ID.String(), "/console/transfers/" + list[i].ID.String()})
	}
	return hits, nil
}

// findOwner lists the accounts that an owner has, of those that owners usually have.
func (p *pages) findOwner(ctx context.Context, owner holdfast.Owner) (hits []hit, err error) {
	wallets, err := p.API.Wallets(ctx, owner)
	if err != nil && !absent(err) {
		return nil, err
	}
	for _, w := range wallets {
		id := fmt.Sprintf("%s.wallet.%s", owner, w.Asset)
		hits = append(hits, hit{"account", id, "/console/accounts/" + id})
	}
	return hits, nil
}

// absent reports whether something is not there, or cannot be: payments are switched off.
func absent(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest)
}

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
