package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast"
)

// Submit proposes one transaction; a zero ID is replaced by a new one. The outcome's Status is the answer. The error is nil
// when the transaction was done or refused; otherwise it says why there is no decision, and Outcome has the ID to ask again
// with: NotExecuted with an [*Error] or a network error, or Unknown at the deadline.
//
// Outcome.Replay may be set although the caller asked once: then an earlier attempt of the same call was done, and its
// answer was lost.
func (c *Client) Submit(ctx context.Context, t holdfast.Txn) (holdfast.Outcome, error) {
	t.ID = c.idOr(t.ID)
	body, err := appendTxn(make([]byte, 0, 512), &t)
	if err != nil {
		return notSent(t.ID), err
	}
	return c.propose(ctx, t.ID, "/v1/transactions", body)
}

// Pay proposes a transaction of one transfer, of any kind, through the shortest path. Results are those of Submit.
func (c *Client) Pay(ctx context.Context, t holdfast.Transfer) (holdfast.Outcome, error) {
	id := c.idOr(t.ID)
	t.ID = holdfast.ID{} // the transaction's
	body, err := appendTransfer(make([]byte, 0, 256), &t)
	if err != nil {
		return notSent(id), err
	}
	return c.propose(ctx, id, "/v1/transfers", body)
}

// OpenAccount opens one account; Op need not be set. Opening the same once more is done.
func (c *Client) OpenAccount(ctx context.Context, a holdfast.AccountChange) (holdfast.Outcome, error) {
	a.Op = holdfast.OpenAccount
	return c.changeAccount(ctx, a)
}

// Freeze stops new transfers of an account. Repeating is done.
func (c *Client) Freeze(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	return c.changeAccount(ctx, holdfast.AccountChange{Op: holdfast.FreezeAccount, ID: id})
}

// Thaw ends a freeze. Repeating is done.
func (c *Client) Thaw(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	return c.changeAccount(ctx, holdfast.AccountChange{Op: holdfast.ThawAccount, ID: id})
}

// CloseAccount closes an empty account for ever.
func (c *Client) CloseAccount(ctx context.Context, id holdfast.AccountID) (holdfast.Outcome, error) {
	return c.changeAccount(ctx, holdfast.AccountChange{Op: holdfast.CloseAccount, ID: id})
}

func (c *Client) changeAccount(ctx context.Context, a holdfast.AccountChange) (holdfast.Outcome, error) {
	return c.Submit(ctx, holdfast.Txn{Accounts: []holdfast.AccountChange{a}})
}

// Hold reserves an amount: a transfer of kind Hold; Kind need not be set. The transfer's ID is the hold's.
func (c *Client) Hold(ctx context.Context, t holdfast.Transfer) (holdfast.Outcome, error) {
	t.Kind = holdfast.Hold
	return c.Pay(ctx, t)
}

// HoldName is what is said of a hold that is to be read or ended: its id, and its accounts. Any of these may be left out. The debit account
// tells the shard that has the hold: a site that has not heard of it yet then asks that one, and not all. Where an id was used for several holds the
// accounts tell which is meant, and without them the answer is holdfast.CodeHoldAmbiguous.
type HoldName struct {
	ID            holdfast.ID
	Debit, Credit holdfast.AccountID
}

// HoldOf is the name of the hold that a transfer has made; its ID has to be set.
func HoldOf(t holdfast.Transfer) HoldName { return HoldName{t.ID, t.Debit, t.Credit} }

// Post turns a hold into a movement, under an id of its own (zero: a new one). Amount 0 is the whole hold.
func (c *Client) Post(ctx context.Context, id holdfast.ID, hold HoldName, amount holdfast.Amount) (holdfast.Outcome, error) {
	return c.Pay(ctx, holdfast.Transfer{ID: id, Kind: holdfast.Post, Hold: hold.ID, Debit: hold.Debit, Credit: hold.Credit, Amount: amount})
}

// Void releases a hold, under an id of its own (zero: a new one).
func (c *Client) Void(ctx context.Context, id holdfast.ID, hold HoldName) (holdfast.Outcome, error) {
	return c.Pay(ctx, holdfast.Transfer{ID: id, Kind: holdfast.Void, Hold: hold.ID, Debit: hold.Debit, Credit: hold.Credit})
}

// propose sends one transaction and makes an outcome of whatever comes back.
func (c *Client) propose(ctx context.Context, id holdfast.ID, path string, body []byte) (holdfast.Outcome, error) {
	a, maybe, err := c.do(ctx, &request{method: http.MethodPost, path: path, key: id.String(), body: body, pace: pacePay})
	if err == nil {
		o, err := readProposed(id, &a)
		if maybe && o.Status == holdfast.NotExecuted {
			o = unclear(id)
		}
		return o, err
	}
	o := notSent(id)
	var problem *Error
	if errors.As(err, &problem) {
		if code, unknown := holdfast.ParseCode(problem.Code); unknown == nil {
			o.Code = code
		}
	}
	if maybe {
		o.Status, o.Code = holdfast.Unknown, holdfast.CodeUnknown
	}
	return o, err
}

// notSent is the outcome of what never entered a log: no site could be reached, or none could take it.
func notSent(id holdfast.ID) holdfast.Outcome {
	return holdfast.Outcome{ID: id, Status: holdfast.NotExecuted, Code: holdfast.CodeNoLeader, Leg: holdfast.NoLeg}
}

// wireOutcome is an outcome as a site writes it, or the part of a problem document that speaks of one.
type wireOutcome struct {
	ID      string          `json:"id"`
	Status  json.RawMessage `json:"status"`  // an outcome's word, or a problem's number
	Outcome string          `json:"outcome"` // a problem's word
	Code    string          `json:"code"`
	Leg     *uint16         `json:"leg"`
	Field   string          `json:"field"`
	Replay  bool            `json:"replay"`
	Time    time.Time       `json:"time"`
	Index   uint64          `json:"index"`
}

var statusWords = map[string]holdfast.Status{
	`"done"`: holdfast.Done, `"refused"`: holdfast.Refused, `"unknown"`: holdfast.Unknown, `"not-executed"`: holdfast.NotExecuted,
}

// readProposed reads the final answer to one transaction.
func readProposed(id holdfast.ID, a *answer) (holdfast.Outcome, error) {
	var w wireOutcome
	if err := json.Unmarshal(a.body, &w); err != nil {
		return unclear(id), fmt.Errorf("site %s answered %d with what is no outcome: %w", a.site.base, a.status, err)
	}
	if a.problem {
		if w.Outcome == holdfast.Unknown.String() {
			return unclear(id), problemError(a)
		}
		if w.Outcome != holdfast.Refused.String() {
			o := notSent(id)
			if code, err := holdfast.ParseCode(w.Code); err == nil {
				o.Code = code
			}
			o.Field = w.Field
			return o, problemError(a)
		}
		w.Status = json.RawMessage(`"` + w.Outcome + `"`)
	}
	o, err := w.outcome()
	if err != nil || o.ID != id {
		return unclear(id), fmt.Errorf("site %s answered with an outcome of %.40q that cannot be read: %w", a.site.base, w.ID, err)
	}
	return o, nil
}

func unclear(id holdfast.ID) holdfast.Outcome {
	return holdfast.Outcome{ID: id, Status: holdfast.Unknown, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}
}

func (w *wireOutcome) outcome() (o holdfast.Outcome, err error) {
	if o.ID, err = holdfast.ParseID(w.ID); err != nil {
		return o, err
	}
	status, known := statusWords[string(w.Status)]
	if !known {
		return o, fmt.Errorf("status %.20q is not known: is this client older than the site?", w.Status)
	}
	if o.Code, err = holdfast.ParseCode(w.Code); err != nil {
		return o, err
	}
	o.Status, o.Field, o.Replay, o.Index, o.Leg = status, w.Field, w.Replay, w.Index, holdfast.NoLeg
	if w.Leg != nil {
		o.Leg = holdfast.Leg(*w.Leg)
	}
	if !w.Time.IsZero() {
		o.Time = holdfast.TimeOf(w.Time)
	}
	return o, nil
}

// problemError is the error of an answer that is a problem document, or should be one.
func problemError(a *answer) error {
	var p struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Field  string `json:"field"`
	}
	e := &Error{Status: a.status, Code: "no-problem-document", Site: a.site.base, RetryAfter: a.retryAfter}
	if !a.problem || json.Unmarshal(a.body, &p) != nil {
		e.Detail = "The answer is not one of Holdfast: is this the base URL of a site?"
		return e
	}
	e.Code, e.Detail, e.Field = p.Code, p.Detail, p.Field
	return e
}
