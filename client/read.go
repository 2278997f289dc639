package client

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"holdfast"
)

// fetch asks and decodes the answer into v.
func (c *Client) fetch(ctx context.Context, q *request, v any) error {
	a, _, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	if a.problem || a.status >= http.StatusBadRequest {
		return problemError(&a)
	}
	if x := a.signature; x != nil && c.signed != nil {
		x.Site, x.Method, x.Target = a.site.base, q.method, q.path
		c.signed(*x)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("site %s: the answer to %s %s cannot be read: %w", a.site.base, q.method, q.path, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, v any) error {
	return c.fetch(ctx, &request{method: http.MethodGet, path: path}, v)
}

// IsNotFound reports whether an error says that the thing asked for does not exist.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// IssueOwner makes a fresh owner number.
func (c *Client) IssueOwner(ctx context.Context) (holdfast.Owner, error) {
	var v struct {
		Owner string `json:"owner"`
	}
	q := &request{method: http.MethodPost, path: "/v1/owners", key: c.NewID().String(), body: []byte("{}"), pace: pacePay}
	if err := c.fetch(ctx, q, &v); err != nil {
		return 0, err
	}
	return holdfast.ParseOwner(v.Owner)
}

type wireAccount struct {
	ID             holdfast.AccountID `json:"id"`
	Limit          string             `json:"limit"`
	Frozen         bool               `json:"frozen"`
	Closed         bool               `json:"closed"`
	Code           uint32             `json:"code"`
	Ref            holdfast.Ref       `json:"ref"`
	Opened         time.Time          `json:"opened"`
	DebitsPosted   holdfast.Amount    `json:"debits_posted"`
	CreditsPosted  holdfast.Amount    `json:"credits_posted"`
	DebitsPending  holdfast.Amount    `json:"debits_pending"`
	CreditsPending holdfast.Amount    `json:"credits_pending"`
}

func (w *wireAccount) account() (holdfast.Account, error) {
	limit, err := holdfast.ParseLimit(w.Limit)
	a := holdfast.Account{
		ID: w.ID, Limit: limit, Code: w.Code, Ref: w.Ref, Opened: holdfast.TimeOf(w.Opened),
		DebitsPosted: w.DebitsPosted, CreditsPosted: w.CreditsPosted, DebitsPending: w.DebitsPending, CreditsPending: w.CreditsPending,
	}
	if w.Frozen {
		a.Flags |= holdfast.Frozen
	}
	if w.Closed {
		a.Flags |= holdfast.Closed
	}
	return a, err
}

// Account reads an account as it is now, linearizably.
func (c *Client) Account(ctx context.Context, id holdfast.AccountID) (holdfast.Account, error) {
	return c.account(ctx, id, "")
}

// StaleAccount reads an account from whatever site answers first, possibly a moment behind.
func (c *Client) StaleAccount(ctx context.Context, id holdfast.AccountID) (holdfast.Account, error) {
	return c.account(ctx, id, "?consistency=stale")
}

// BalanceAt reads an account as it was at a past moment.
func (c *Client) BalanceAt(ctx context.Context, id holdfast.AccountID, at time.Time) (holdfast.Account, error) {
	return c.account(ctx, id, "?at="+url.QueryEscape(at.UTC().Format(time.RFC3339Nano)))
}

func (c *Client) account(ctx context.Context, id holdfast.AccountID, query string) (holdfast.Account, error) {
	var w wireAccount
	if err := c.get(ctx, accountPath(id)+query, &w); err != nil {
		return holdfast.Account{}, err
	}
	return w.account()
}

func accountPath(id holdfast.AccountID) string { return "/v1/accounts/" + id.String() }

type wireTransfer struct {
	ID       optional[holdfast.ID]        `json:"id"`
	Kind     string                       `json:"kind"`
	Debit    optional[holdfast.AccountID] `json:"debit"`
	Credit   optional[holdfast.AccountID] `json:"credit"`
	Amount   holdfast.Amount              `json:"amount"`
	Hold     optional[holdfast.ID]        `json:"hold"`
	TimeoutS int64                        `json:"timeout_s"`
	Code     uint32                       `json:"code"`
	Ref      holdfast.Ref                 `json:"ref"`
}

// optional is a text form whose absence, or "", is the zero value.
type optional[T any] struct{ v T }

func (o *optional[T]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	return any(&o.v).(encoding.TextUnmarshaler).UnmarshalText(text)
}

func (w *wireTransfer) transfer() (holdfast.Transfer, error) {
	t := holdfast.Transfer{
		ID: w.ID.v, Debit: w.Debit.v, Credit: w.Credit.v, Amount: w.Amount, Hold: w.Hold.v,
		Timeout: time.Duration(w.TimeoutS) * time.Second, Code: w.Code, Ref: w.Ref,
	}
	if w.Kind == "" { // a line of an account that was opened, frozen, thawed or closed
		return t, nil
	}
	for k := holdfast.Immediate; k <= holdfast.Expire; k++ {
		if k.String() == w.Kind {
			t.Kind = k
			return t, nil
		}
	}
	return t, fmt.Errorf("transfer %s is of the kind %.20q, which is not known: is this client older than the site?", t.ID, w.Kind)
}

type wireMovement struct {
	wireTransfer
	Txn   holdfast.ID      `json:"transaction"`
	Leg   *holdfast.Leg    `json:"leg"`
	Time  time.Time        `json:"time"`
	Shard holdfast.ShardID `json:"shard"`
	Index uint64           `json:"index"`
}

func (w *wireMovement) movement() (Movement, error) {
	t, err := w.transfer()
	m := Movement{Transfer: t, Txn: w.Txn, Leg: holdfast.NoLeg, Time: w.Time, Shard: w.Shard, Index: w.Index}
	if w.Leg != nil {
		m.Leg = *w.Leg
	}
	return m, err
}

type wireLine struct {
	wireMovement
	DebitsPosted   holdfast.Amount `json:"debits_posted"`
	CreditsPosted  holdfast.Amount `json:"credits_posted"`
	DebitsPending  holdfast.Amount `json:"debits_pending"`
	CreditsPending holdfast.Amount `json:"credits_pending"`
}

// MaxPage is the most lines a page of a statement can have.
const MaxPage = 1000

// StatementPage reads one page of at most limit lines, newest first, from a cursor ("" for the newest).
func (c *Client) StatementPage(ctx context.Context, id holdfast.AccountID, cursor string, limit int) (Page, error) {
	var w wirePage
	if err := c.get(ctx, accountPath(id)+"/statement?"+pageQuery(cursor, limit).Encode(), &w); err != nil {
		return Page{}, err
	}
	return w.page()
}

type wirePage struct {
	Lines []wireLine `json:"lines"`
	Next  string     `json:"next"`
}

// DecodePage reads the body of an answer to [Client.StatementPage] that was kept.
func DecodePage(body []byte) (Page, error) {
	var w wirePage
	if err := json.Unmarshal(body, &w); err != nil {
		return Page{}, fmt.Errorf("page of a statement: %w", err)
	}
	return w.page()
}

func (w *wirePage) page() (Page, error) {
	p := Page{Lines: make([]Line, len(w.Lines)), Next: w.Next}
	for i := range w.Lines {
		l := &w.Lines[i]
		m, err := l.movement()
		if err != nil {
			return Page{}, err
		}
		p.Lines[i] = Line{m, l.DebitsPosted, l.CreditsPosted, l.DebitsPending, l.CreditsPending}
	}
	return p, nil
}

// Statement yields all lines of an account, newest first, page by page. It ends after the first error.
func (c *Client) Statement(ctx context.Context, id holdfast.AccountID) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, err := c.StatementPage(ctx, id, cursor, MaxPage)
			if err != nil {
				yield(Line{}, err)
				return
			}
			for i := range page.Lines {
				if !yield(page.Lines[i], nil) {
					return
				}
			}
			cursor = page.Next
		}
	}
}

type wireHold struct {
	ID      holdfast.ID        `json:"id"`
	Debit   holdfast.AccountID `json:"debit"`
	Credit  holdfast.AccountID `json:"credit"`
	Amount  holdfast.Amount    `json:"amount"`
	State   string             `json:"state"`
	Opened  time.Time          `json:"opened"`
	Expires time.Time          `json:"expires"`
}

// HoldsPage reads one page of at most limit (1-[MaxPage]) open holds of an account, newest first, from a cursor ("" for the newest).
// next is the cursor of the next page, "" on the last one; a page may have fewer holds than its limit although there is a next.
func (c *Client) HoldsPage(ctx context.Context, id holdfast.AccountID, cursor string, limit int) (list []Hold, next string, err error) {
	var w struct {
		Holds []wireHold `json:"holds"`
		Next  string     `json:"next"`
	}
	if err := c.get(ctx, accountPath(id)+"/holds?"+pageQuery(cursor, limit).Encode(), &w); err != nil {
		return nil, "", err
	}
	list = make([]Hold, len(w.Holds))
	for i := range w.Holds {
		list[i] = Hold(w.Holds[i])
	}
	return list, w.Next, nil
}

func pageQuery(cursor string, limit int) url.Values {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

// Holds lists all open holds of an account, newest first.
func (c *Client) Holds(ctx context.Context, id holdfast.AccountID) ([]Hold, error) {
	return allPages(func(cursor string) ([]Hold, string, error) { return c.HoldsPage(ctx, id, cursor, MaxPage) })
}

// allPages puts pages together.
func allPages[T any](page func(cursor string) ([]T, string, error)) (all []T, err error) {
	for cursor, first := "", true; first || cursor != ""; first = false {
		var list []T
		if list, cursor, err = page(cursor); err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// HoldByID reads one hold, open or not.
func (c *Client) HoldByID(ctx context.Context, hold HoldName) (Hold, error) {
	var w wireHold
	query, path := url.Values{}, "/v1/holds/"+hold.ID.String()
	for name, id := range map[string]holdfast.AccountID{"debit": hold.Debit, "credit": hold.Credit} {
		if id != (holdfast.AccountID{}) {
			query.Set(name, id.String())
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	err := c.get(ctx, path, &w)
	return Hold(w), err
}

// Txn reads what became of a transaction. [IsNotFound] tells that the id was never decided (up to the moment of asking).
func (c *Client) Txn(ctx context.Context, id holdfast.ID) (Txn, error) {
	var w wireTxn
	if err := c.get(ctx, "/v1/transactions/"+id.String(), &w); err != nil {
		return Txn{}, err
	}
	return w.txn(id)
}

type wireTxn struct {
	Outcome struct {
		wireOutcome
		Shard holdfast.ShardID `json:"shard"`
	} `json:"outcome"`
	Transaction struct {
		Transfers []wireTransfer `json:"transfers"`
	} `json:"transaction"`
}

// DecodeTxn reads the body of an answer to [Client.Txn] that was kept.
func DecodeTxn(id holdfast.ID, body []byte) (Txn, error) {
	var w wireTxn
	if err := json.Unmarshal(body, &w); err != nil {
		return Txn{}, fmt.Errorf("transaction: %w", err)
	}
	return w.txn(id)
}

func (w *wireTxn) txn(id holdfast.ID) (Txn, error) {
	o, err := w.Outcome.outcome()
	t := Txn{Outcome: o, Shard: w.Outcome.Shard}
	for i := range w.Transaction.Transfers {
		leg, wrong := w.Transaction.Transfers[i].transfer()
		err = errors.Join(err, wrong)
		if leg.ID.IsZero() {
			leg.ID = id
		}
		t.Transfers = append(t.Transfers, Movement{
			Transfer: leg, Txn: id, Leg: holdfast.Leg(i), Time: o.Time.Std(), Shard: t.Shard, Index: o.Index,
		})
	}
	return t, err
}

// Transfer reads one transfer by its id.
func (c *Client) Transfer(ctx context.Context, id holdfast.ID) (Movement, error) {
	var w wireMovement
	if err := c.get(ctx, "/v1/transfers/"+id.String(), &w); err != nil {
		return Movement{}, err
	}
	return w.movement()
}

// TransfersByRef lists all transfers with a reference, newest first.
func (c *Client) TransfersByRef(ctx context.Context, ref holdfast.Ref) ([]Movement, error) {
	return allPages(func(cursor string) ([]Movement, string, error) {
		return c.TransfersByRefPage(ctx, ref, cursor, MaxPage)
	})
}

// TransfersByRefPage reads one page of at most limit (1-[MaxPage]) transfers with a reference, newest first, from a cursor ("" for the
// newest). next is the cursor of the next page, "" on the last one.
func (c *Client) TransfersByRefPage(ctx context.Context, ref holdfast.Ref, cursor string, limit int) (list []Movement, next string, err error) {
	return c.transfersPage(ctx, "ref", ref.String(), cursor, limit)
}

// TransfersOf lists all transfers that were made for a business document of the payments of people, newest first: of a trade its payment, refunds,
// releases and shares. record is its key; see [TradeKey] and its like.
func (c *Client) TransfersOf(ctx context.Context, record string) ([]Movement, error) {
	return allPages(func(cursor string) ([]Movement, string, error) {
		return c.transfersPage(ctx, "record", record, cursor, MaxPage)
	})
}

// TradeKey is the key of the document of a trade.
func TradeKey(merchant holdfast.Owner, outTradeNo string) string {
	return holdfast.OwnedKey(merchant, "trade/"+outTradeNo)
}

// SentKey is the key of the document of a transfer that a person has sent.
func SentKey(from holdfast.Owner, number string) string {
	return holdfast.OwnedKey(from, "transfer/"+number)
}

// TopUpKey is the key of the document of a top-up.
func TopUpKey(customer holdfast.Owner, number string) string {
	return holdfast.OwnedKey(customer, "topup/"+number)
}

// FreezeKey is the key of the document of what an authorisation has frozen; authNo is the number of the platform.
func FreezeKey(payer holdfast.Owner, authNo string) string {
	return holdfast.OwnedKey(payer, "freeze/"+authNo)
}

// PayoutKey is the key of the document of a withdrawal or a payout.
func PayoutKey(p *Payout) string {
	kind := "withdraw/"
	if p.Kind == "settlement" {
		kind = "payout/"
	}
	return holdfast.OwnedKey(p.Owner, kind+p.Number)
}

func (c *Client) transfersPage(ctx context.Context, by, what, cursor string, limit int) (list []Movement, next string, err error) {
	query := pageQuery(cursor, limit)
	query.Set(by, what)
	var w struct {
		Transfers []wireMovement `json:"transfers"`
		Next      string         `json:"next"`
	}
	if err := c.get(ctx, "/v1/transfers?"+query.Encode(), &w); err != nil {
		return nil, "", err
	}
	list = make([]Movement, len(w.Transfers))
	for i := range w.Transfers {
		if list[i], err = w.Transfers[i].movement(); err != nil {
			return nil, "", err
		}
	}
	return list, w.Next, nil
}

// Sites lists the sites of the fleet as the answering site sees them.
func (c *Client) Sites(ctx context.Context) ([]Site, error) {
	var w struct {
		Sites []Site `json:"sites"`
	}
	err := c.get(ctx, "/v1/sites", &w)
	return w.Sites, err
}

// Shards lists the shards as the answering site sees them.
func (c *Client) Shards(ctx context.Context) ([]Shard, error) {
	m, err := c.ShardMap(ctx)
	return m.Shards, err
}

// Survival asks a site what would happen now if something failed.
func (c *Client) Survival(ctx context.Context) (s Survival, err error) {
	return s, c.get(ctx, "/v1/survival", &s)
}

// HandOver asks for the leadership of a shard to move to a site, and returns when it has.
func (c *Client) HandOver(ctx context.Context, shard holdfast.ShardID, to holdfast.SiteID) error {
	q := &request{
		method: http.MethodPost, path: fmt.Sprintf("/v1/shards/%d/leader", shard), key: c.NewID().String(),
		body: fmt.Appendf(nil, `{"site":%d}`, to), alone: true,
	}
	return c.fetch(ctx, q, new(struct{}))
}

// Audit asks a site to check its books. For every site, make one client per site.
func (c *Client) Audit(ctx context.Context) (Audit, error) {
	var a Audit
	err := c.fetch(ctx, &request{method: http.MethodGet, path: "/v1/audit", alone: true}, &a)
	return a, err
}

// Ready reports whether a site is ready to take payments; the error says why not. It asks once.
func (c *Client) Ready(ctx context.Context) error {
	return c.fetch(ctx, &request{method: http.MethodGet, path: "/readyz", once: true}, new(struct{}))
}
