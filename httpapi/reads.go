package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/site"
)

const defaultPage = 100

// unanswered is what a caller is told when the site could not look.
func (a *api) unanswered(err error) error {
	var p *Problem
	var ambiguous site.AmbiguousHoldError
	switch {
	case errors.As(err, &p):
		return err
	case errors.As(err, &ambiguous):
		p = problemOfCode(holdfast.CodeHoldAmbiguous)
		p.Field = ambiguous.Missing
	case errors.As(err, new(shard.NotFinalError)):
		p = edgeNotFinal.problem(fmt.Sprintf("%s: leave out consistency=stale, or ask for an earlier moment", err))
	case errors.Is(err, shard.ErrYetToCome):
		p = edgeNotFinal.problem(fmt.Sprintf("%s: ask again when it has, and compare the clocks of the sites (holdfast doctor)", err))
	case errors.Is(err, site.ErrNotReady):
		p = edgeNotReady.problem("")
	case errors.Is(err, context.DeadlineExceeded):
		p = edgeUnavailable.problem("")
	default:
		status, code := shard.OutcomeOf(err)
		if status != holdfast.NotExecuted {
			return err // a fault of this site: internal
		}
		p = problemOfCode(code)
	}
	p.cause = err
	return p
}

// query holds the parameters of a URL: each at most once, none unknown.
type query url.Values

// query reads the parameters that the document declares for the operation.
func (e *endpoint) query(r *http.Request) (query, error) {
	if r.URL.RawQuery == "" || e.free { // whoever probes or scrapes may add what he likes
		return nil, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, edgeMalformed.field("query", "the query of the URL cannot be read: %v", err)
	}
	for name, v := range values {
		if !slices.Contains(e.params, name) {
			return nil, edgeMalformed.field(printable(name), "there is no such parameter here: known are %s", cmp.Or(strings.Join(e.params, ", "), "none"))
		}
		if len(v) > 1 {
			return nil, edgeMalformed.field(name, "the parameter is given twice: send it once")
		}
	}
	return query(values), nil
}

func (q query) get(name string) string { return url.Values(q).Get(name) }

// mode is how new the answer has to be: linearizable, unless the caller takes a stale one.
func (q query) mode() (shard.ReadMode, error) {
	switch v := q.get("consistency"); v {
	case "", "linearizable":
		return shard.Linearizable, nil
	case "stale":
		return shard.Stale, nil
	default:
		return 0, edgeMalformed.field("consistency", "%s is not one of linearizable, stale", printable(v))
	}
}

func (q query) limit() (int, error) {
	text := q.get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > shard.MaxLines {
		return 0, edgeMalformed.field("limit", "a page has 1 to %d lines", shard.MaxLines)
	}
	return n, nil
}

func (q query) at() (t time.Time, given bool, err error) {
	text := q.get("at")
	if text == "" {
		return t, false, nil
	}
	t, err = time.Parse(time.RFC3339Nano, text)
	switch {
	case err == nil && t.After(time.Now()):
		return t, true, edgeMalformed.field("at", "the moment is yet to come, and what will have been paid by then is not known: leave it out for now")
	case err != nil || t.Year() < 1969 || holdfast.TimeOf(t) <= 0: // 0 means "now" further down; before 1678 there is no Time
		return t, true, edgeMalformed.field("at", "the moment is a time of RFC 3339 after the begin of 1970 (UTC), for example 2015-05-27T09:00:00Z")
	}
	return t, true, nil
}

// account is one that a parameter names; the zero one if it is left out.
func (q query) account(name string) (id holdfast.AccountID, err error) {
	text := q.get(name)
	if text == "" {
		return id, nil
	}
	if id, err = holdfast.ParseAccountID(text); err != nil {
		p := problemOfCode(holdfast.CodeAccountInvalid)
		p.Field, p.Detail = name, err.Error()
		return id, p
	}
	return id, nil
}

// pathAccount is the account that the path names.
func (x *exchange) pathAccount() (holdfast.AccountID, error) {
	id, err := holdfast.ParseAccountID(x.r.PathValue("id"))
	if err != nil {
		p := problemOfCode(holdfast.CodeAccountInvalid)
		p.Field, p.Detail = "id", err.Error()
		return id, p
	}
	return id, nil
}

func (x *exchange) pathID() (holdfast.ID, error) {
	id, err := holdfast.ParseID(x.r.PathValue("id"))
	if err != nil {
		return id, edgeMalformed.field("id", "%s", err.Error())
	}
	return id, nil
}

// emptyBody accepts no body, or an object without members.
func (x *exchange) emptyBody() error {
	text, err := x.body()
	if err != nil || strings.TrimSpace(text) == "" {
		return err
	}
	s := newScanner(text)
	s.eachMember([]string{"(none)"}, func(string) bool { return true })
	return s.end()
}

type ownerBody struct {
	Owner string `json:"owner" doc:"16 digits; slot and check digit are part of it" example:"2088000000010000"`
}

func (a *api) postOwner(ctx context.Context, x *exchange) error {
	if err := x.emptyBody(); err != nil {
		return err
	}
	owner, err := a.site.IssueOwner(ctx)
	if err != nil {
		return a.unanswered(err)
	}
	return x.sendJSON(http.StatusCreated, ownerBody{owner.String()})
}

type accountBody struct {
	ID     string `json:"id" doc:"<owner>.<purpose>.<asset>"`
	Limit  string `json:"limit" enum:"none,debits,credits"`
	Frozen bool   `json:"frozen" doc:"Takes no new transfers"`
	Closed bool   `json:"closed" doc:"Takes nothing any more"`
	Code   uint32 `json:"code" format:"int64" maximum:"4294967295"`
	Ref    string `json:"ref,omitempty" format:"uuid"`
	Opened string `json:"opened" format:"date-time"`
	At     string `json:"at,omitempty" format:"date-time" doc:"The past moment that was asked for"`
	SumsBody
	Available int64 `json:"available" doc:"What can be spent: balance less debits pending"`
}

// SumsBody are the four sums of an account, in minor units, and its balance.
type SumsBody struct {
	DebitsPosted   int64 `json:"debits_posted"`
	CreditsPosted  int64 `json:"credits_posted"`
	DebitsPending  int64 `json:"debits_pending" doc:"Open holds on the debit side"`
	CreditsPending int64 `json:"credits_pending" doc:"Open holds on the credit side"`
	Balance        int64 `json:"balance" doc:"Credits posted less debits posted, in minor units"`
}

func accountBodyOf(a *holdfast.Account) accountBody {
	return accountBody{
		ID: a.ID.String(), Limit: a.Limit.String(), Frozen: a.Flags&holdfast.Frozen != 0, Closed: a.Flags&holdfast.Closed != 0,
		Code: a.Code, Ref: a.Ref.String(), Opened: a.Opened.String(), Available: int64(a.Available()),
		SumsBody: SumsBody{
			int64(a.DebitsPosted), int64(a.CreditsPosted), int64(a.DebitsPending), int64(a.CreditsPending), int64(a.Balance()),
		},
	}
}

// getAccount answers with a balance: now, or as it was.
func (a *api) getAccount(ctx context.Context, x *exchange) error {
	id, err := x.pathAccount()
	if err != nil {
		return err
	}
	q := x.query
	mode, err := q.mode()
	if err != nil {
		return err
	}
	at, past, err := q.at()
	if err != nil {
		return err
	}
	account, err := a.accountOf(ctx, x, id, mode, at, past)
	if err != nil {
		return err
	}
	body := accountBodyOf(&account)
	if past {
		body.At = momentText(at)
	}
	return x.sendJSON(http.StatusOK, body)
}

// look reads the shard that has an account. What is not found is a problem, 404.
func (a *api) look(
	ctx context.Context, x *exchange, id holdfast.AccountID, mode shard.ReadMode, fn func(site.Stay, *shard.View) (bool, error),
) error {
	found := false
	err := a.site.ReadAccount(ctx, id, mode, func(stay site.Stay, v *shard.View) (err error) {
		x.shard = stay.Shard
		found, err = fn(stay, v)
		return err
	})
	switch {
	case err != nil:
		return a.unanswered(err)
	case !found:
		return nothingFound()
	}
	return nil
}

// lookIn reads shards one after another until one has what is asked for. An id alone does not tell its shard. While one of them cannot be
// read nobody knows that there is nothing.
func (a *api) lookIn(
	ctx context.Context, x *exchange, ids []holdfast.ShardID, mode shard.ReadMode, fn func(*shard.View) (bool, error),
) error {
	var unread error
	for _, id := range ids {
		found := false
		x.shard = id
		err := a.site.Read(ctx, id, mode, func(v *shard.View) (err error) {
			found, err = fn(v)
			return err
		})
		switch {
		case err == nil && found:
			return nil
		case errors.Is(err, shard.ErrOutOfService): // only this site's replica: the others may have it
			unread = err
		case err != nil:
			return a.unanswered(err)
		}
	}
	if unread != nil {
		return a.unanswered(unread)
	}
	return nothingFound()
}

// notOpenYet is said of an account as of a moment before it was opened.
func notOpenYet(opened holdfast.Time) error {
	return edgeNotFound.field("at", "The account was opened at %s, after the moment asked for: there was no balance yet.", opened)
}

func nothingFound() error {
	return edgeNotFound.problem("Nothing is known under this id: check it, and ask for accounts by owner.purpose.asset, for all else by its UUID.")
}

type statementBody struct {
	Account string     `json:"account"`
	Lines   []lineBody `json:"lines" doc:"Newest first"`
	Next    string     `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

type lineBody struct {
	MovementBody
	Side string `json:"side" enum:"debit,credit,change" doc:"Side of this account; change: it was opened, frozen, thawed or closed"`
	SumsBody
}

func (a *api) getStatement(ctx context.Context, x *exchange) error {
	id, err := x.pathAccount()
	if err != nil {
		return err
	}
	q := x.query
	mode, err := q.mode()
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	cursor, err := readCursor(q.get("cursor"))
	if err != nil {
		return err
	}
	lines, next, err := a.statementOf(ctx, x, id, mode, cursor, limit)
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, statementBody{Account: id.String(), Lines: lines, Next: cursorText(next)})
}

var sides = map[ledger.RowKind]string{ledger.RowChange: "change", ledger.RowDebit: "debit", ledger.RowCredit: "credit"}

func (a *api) lineOf(ctx context.Context, v *shard.View, id holdfast.ShardID, l *shard.Line) (lineBody, error) {
	b := lineBody{Side: sides[l.Kind], SumsBody: SumsBody{
		int64(l.DebitsPosted), int64(l.CreditsPosted), int64(l.DebitsPending), int64(l.CreditsPending), int64(l.CreditsPosted - l.DebitsPosted),
	}}
	b.place(l.Txn.ID, l.Time, id, l.Index)
	if l.Transfer != nil {
		m, err := a.movementIn(ctx, v, l.Txn, l.Leg)
		if err != nil {
			return b, err
		}
		b.Transaction = m.txn.String()
		if err := b.fill(v, &m); err != nil {
			return b, err
		}
	}
	return b, nil
}

// Cursors are opaque to callers: the time of the last line and how many with that time were shown.
func cursorText(c shard.Cursor) string {
	if c == (shard.Cursor{}) {
		return ""
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(c.Time))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, c.Skip))
}

// maxSkip is how many lines of one time an account can have: one transaction may change it as an account and by a transfer, as often as
// its lists are long.
const maxSkip = 2 * holdfast.MaxLegs

func readCursor(text string) (shard.Cursor, error) {
	if text == "" {
		return shard.Cursor{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 12 || binary.BigEndian.Uint64(b)>>63 != 0 || binary.BigEndian.Uint32(b[8:]) > maxSkip {
		return shard.Cursor{}, edgeMalformed.field("cursor", "this is no cursor: send the \"next\" of the page before, unchanged")
	}
	return shard.Cursor{Time: holdfast.Time(binary.BigEndian.Uint64(b)), Skip: binary.BigEndian.Uint32(b[8:])}, nil
}

// MovementBody is a transfer as it stands in the journal.
type MovementBody struct {
	TransferBody
	Transaction string `json:"transaction" format:"uuid" doc:"The transaction it was part of"`
	Leg         *int   `json:"leg,omitempty" doc:"Its number within the transaction, from 0"`
	Time        string `json:"time" format:"date-time"`
	Shard       uint16 `json:"shard"`
	Index       uint64 `json:"index" doc:"Place in the log of the shard"`
}

func (b *MovementBody) place(txn holdfast.ID, t holdfast.Time, id holdfast.ShardID, index uint64) {
	b.Transaction, b.Time, b.Shard, b.Index = txn.String(), t.String(), uint16(id), index
}

// fill writes down what moved.
func (b *MovementBody) fill(v *shard.View, m *movement) error {
	if err := m.complete(v); err != nil {
		return err
	}
	b.TransferBody = transferBodyOf(&m.transfer)
	b.Leg = new(int(m.leg))
	return nil
}

func (a *api) movementOf(ctx context.Context, v *shard.View, id holdfast.ShardID, f *shard.FoundTransfer) (b MovementBody, err error) {
	m, err := a.movementIn(ctx, v, f.Txn, f.Leg)
	if err != nil {
		return b, err
	}
	b.place(m.txn, f.Outcome.Time, id, f.Outcome.Index)
	return b, b.fill(v, &m)
}

func (a *api) getTransfer(ctx context.Context, x *exchange) error {
	id, err := x.pathID()
	if err != nil {
		return err
	}
	debit, err := x.query.account("debit")
	if err != nil {
		return err
	}
	var body MovementBody
	err = a.lookUp(ctx, x, func(v *shard.View) (bool, error) {
		list, err := findTransfers(v, id)
		for i := range list {
			if body, err = a.movementOf(ctx, v, x.shard, &list[i]); err != nil {
				return false, err
			}
			if debit == (holdfast.AccountID{}) || body.Debit == debit.String() {
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return err
	}
	return x.sendJSON(http.StatusOK, body)
}

// lookUp reads all shards, linearizably unless the caller says otherwise, until one has what is asked for.
func (a *api) lookUp(ctx context.Context, x *exchange, fn func(*shard.View) (bool, error)) error {
	mode, err := x.query.mode()
	if err != nil {
		return err
	}
	return a.lookIn(ctx, x, a.site.ShardIDs(), mode, fn)
}

type decidedBody struct {
	Outcome     outcomeBody     `json:"outcome"`
	Transaction TransactionBody `json:"transaction" doc:"What was asked for"`
}

func (a *api) getTransaction(ctx context.Context, x *exchange) error {
	id, err := x.pathID()
	if err != nil {
		return err
	}
	debit, err := x.query.account("debit")
	if err != nil {
		return err
	}
	var f shard.Found
	err = a.lookUp(ctx, x, func(v *shard.View) (found bool, err error) {
		if f, found, err = v.Txn(id); err != nil || !found || debit == (holdfast.AccountID{}) {
			return found, err
		}
		return a.concerns(ctx, v, f.Txn, debit)
	})
	if err != nil {
		return err
	}
	t, o, err := a.decidedIn(ctx, f, shard.Linearizable)
	if err != nil {
		return a.unanswered(err)
	}
	if o.Shard = 0; decided(&o) {
		o.Shard = x.shard
	}
	return x.sendJSON(http.StatusOK, decidedBody{outcomeBodyOf(&o), bodyOf(t)})
}

// concerns reports whether a transaction of a shard takes from an account, or changes it.
func (a *api) concerns(ctx context.Context, v *shard.View, t *holdfast.Txn, id holdfast.AccountID) (bool, error) {
	for i := range t.Accounts {
		if t.Accounts[i].ID == id {
			return true, nil
		}
	}
	for n := range t.Transfers {
		m, err := a.movementIn(ctx, v, t, holdfast.Leg(n))
		if err == nil {
			err = m.complete(v)
		}
		if err != nil || m.transfer.Debit == id {
			return err == nil, err
		}
	}
	return false, nil
}

type holdBody struct {
	ID      string `json:"id" format:"uuid"`
	Debit   string `json:"debit"`
	Credit  string `json:"credit"`
	Amount  int64  `json:"amount" doc:"What was reserved, in minor units"`
	State   string `json:"state" enum:"open,posted,voided,expired"`
	Opened  string `json:"opened" format:"date-time"`
	Expires string `json:"expires,omitempty" format:"date-time" doc:"Left out: never, or it is not open any more"`
	Code    uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295"`
	Ref     string `json:"ref,omitempty" format:"uuid"`
	Shard   uint16 `json:"shard"`
}

var holdStates = map[ledger.HoldState]string{
	ledger.HoldOpen: "open", ledger.HoldPosted: "posted", ledger.HoldVoided: "voided", ledger.HoldExpired: "expired",
	ledger.HoldMoved: "moved",
}

func holdBodyOf(h *ledger.OpenHold, state ledger.HoldState, id holdfast.ShardID) holdBody {
	b := holdBody{
		ID: h.ID.String(), Debit: h.Debit.String(), Credit: h.Credit.String(), Amount: int64(h.Amount), State: holdStates[state],
		Opened: h.Time.String(), Code: h.Code, Ref: h.Ref.String(), Shard: uint16(id),
	}
	if h.Due != 0 {
		b.Expires = h.Due.String()
	}
	return b
}

func (a *api) getHold(ctx context.Context, x *exchange) error {
	id, err := x.pathID()
	if err != nil {
		return err
	}
	q := x.query
	mode, err := q.mode()
	if err != nil {
		return err
	}
	name := site.HoldName{ID: id}
	if name.Debit, err = q.account("debit"); err != nil {
		return err
	}
	if name.Credit, err = q.account("credit"); err != nil {
		return err
	}
	h, found, err := a.site.Hold(ctx, name, mode)
	switch x.shard = h.Shard; {
	case err != nil:
		return a.unanswered(err)
	case !found:
		return nothingFound()
	}
	return x.sendJSON(http.StatusOK, holdBodyOf(&h.OpenHold, h.State, h.Shard))
}
