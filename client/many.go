package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"holdfast"
)

// SubmitMany proposes up to holdfast.MaxLegs transactions, each with an ID of its own, each decided by itself. Outcomes are in
// the order of the transactions. It goes to the bulk queue, which never stands before single payments. What a site could
// not do of them, for a reason of its own, is asked of the next one. The error is nil when there is a last word on each of
// them; otherwise it says why there is none, and every outcome has the status that can honestly be given.
func (c *Client) SubmitMany(ctx context.Context, txns []holdfast.Txn) ([]holdfast.Outcome, error) {
	b := newBatch(txns)
	for i := range txns {
		if txns[i].ID.IsZero() {
			return b.outcomes, fmt.Errorf("transaction %d has no id: give it one, so that it can be asked for again", i)
		}
	}
	q, err := b.request()
	if err != nil {
		return b.outcomes, err
	}
	a, maybe, err := c.do(ctx, q)
	switch {
	case err != nil:
	case a.status != http.StatusOK:
		err = problemError(&a)
	case b.unclear != nil:
		maybe, err = true, b.unclear
	}
	for i := range b.outcomes {
		if b.pending[i] {
			b.unlessExecuted(i, maybe)
		}
	}
	return b.outcomes, err
}

// batch is what is known of transactions that were proposed together.
type batch struct {
	txns     []holdfast.Txn
	outcomes []holdfast.Outcome
	pending  []bool // there is no last word on it: a site is still to be asked
	unsure   []bool // a site said that it may have been executed
	unclear  error  // why an answer could not be understood
}

func newBatch(txns []holdfast.Txn) *batch {
	n := len(txns)
	b := &batch{txns: txns, outcomes: make([]holdfast.Outcome, n), pending: make([]bool, n), unsure: make([]bool, n)}
	for i := range txns {
		b.outcomes[i], b.pending[i] = notSent(txns[i].ID), true
	}
	return b
}

// request asks for all that is pending.
func (b *batch) request() (*request, error) {
	part := make([]int, 0, len(b.txns))
	txns := make([]holdfast.Txn, 0, len(b.txns))
	for i := range b.txns {
		if b.pending[i] {
			part, txns = append(part, i), append(txns, b.txns[i])
		}
	}
	body, err := appendTxns(make([]byte, 0, 256*len(txns)+32), txns)
	if err != nil {
		return nil, err
	}
	q := &request{method: http.MethodPost, path: "/v1/transactions", body: body, pace: paceBulk}
	q.rest = func(a answer, maybe bool) (*request, error) { return b.take(part, &a, maybe) }
	return q, nil
}

// take takes in the answer to a part of the batch. It returns what is left to ask another site for, and why; nil: the
// answer is the last word. maybe tells whether another attempt may have been executed.
func (b *batch) take(part []int, a *answer, maybe bool) (*request, error) {
	if a.status != http.StatusOK {
		return nil, nil
	}
	list, err := b.read(part, a.body)
	if err != nil {
		b.unclear = err
		return nil, nil
	}
	var why error
	for k, i := range part {
		b.settle(i, &list[k], maybe)
		if b.pending[i] && why == nil {
			code := list[k].Code
			why = &Error{Status: a.status, Code: code.String(), Detail: code.Advice(), Field: list[k].Field, Site: a.site.base}
		}
	}
	if why == nil { // every later request asked for less than this one
		return nil, nil
	}
	q, err := b.request()
	if err != nil {
		b.unclear = err // it was written before: cannot be
		return nil, nil
	}
	return q, why
}

// settle takes in one outcome. A decision is the last word, whenever it comes. What is wrong with the transaction itself is
// one too. What lies with the site is not.
func (b *batch) settle(i int, o *holdfast.Outcome, maybe bool) {
	switch {
	case o.Status == holdfast.Done || o.Status == holdfast.Refused:
		b.outcomes[i], b.pending[i] = *o, false
	case !b.pending[i]:
	case o.Status == holdfast.Unknown || o.Code >= holdfast.CodeNoQuorum:
		b.outcomes[i] = *o
		b.unsure[i] = b.unsure[i] || o.Status == holdfast.Unknown
	default:
		b.outcomes[i], b.pending[i] = *o, false
		b.unlessExecuted(i, maybe)
	}
}

// unlessExecuted makes the outcome of what was not decided one that can honestly be given.
func (b *batch) unlessExecuted(i int, maybe bool) {
	if maybe || b.unsure[i] {
		b.outcomes[i] = unclear(b.txns[i].ID)
	}
}

// read reads the outcomes of a part of the batch.
func (b *batch) read(part []int, body []byte) ([]holdfast.Outcome, error) {
	var list struct {
		Outcomes []wireOutcome `json:"outcomes"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("the outcomes cannot be read: %w", err)
	}
	if len(list.Outcomes) != len(part) {
		return nil, fmt.Errorf("%d outcomes came back for %d transactions", len(list.Outcomes), len(part))
	}
	outcomes := make([]holdfast.Outcome, len(part))
	for k, i := range part {
		o, err := list.Outcomes[k].outcome()
		if err != nil {
			return nil, fmt.Errorf("outcome %d: %w", i, err)
		}
		if o.ID != b.txns[i].ID {
			return nil, fmt.Errorf("outcome %d is of %s, not of %s", i, o.ID, b.txns[i].ID)
		}
		outcomes[k] = o
	}
	return outcomes, nil
}
