package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// postTransactions takes one transaction, or many that are independent of each other.
func (a *api) postTransactions(ctx context.Context, x *exchange) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	sub, err := readSubmission(text)
	if err != nil {
		return err
	}
	for i := range sub.txns {
		if err := guard.Authorise(x.who, guard.Needs(&sub.txns[i])); err != nil {
			return err
		}
	}
	if sub.many {
		if x.r.Header.Get(idempotencyHeader) != "" {
			return edgeMalformed.field(idempotencyHeader, "each transaction of a batch has an id of its own: leave the header out, and give every one its \"id\"")
		}
		return a.submitMany(ctx, x, sub.txns)
	}
	if sub.txns[0].ID, err = x.requestID(sub.txns[0].ID); err != nil {
		return err
	}
	return a.submit(ctx, x, sub.txns)
}

// payment is a transaction of one transfer in one piece of memory. It is not reused: it may still be waiting in a queue when
// its caller has been told that the outcome is unknown.
type payment struct {
	txn [1]holdfast.Txn
	leg [1]holdfast.Transfer
}

// postTransfer is the shortest way to pay: one transfer, of any kind, between accounts, or one from one person to another.
func (a *api) postTransfer(ctx context.Context, x *exchange) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	p := new(payment)
	t, v, people, err := readEither(text)
	switch {
	case err != nil:
		return err
	case people:
		return a.send(ctx, x, v)
	case x.buyer != 0:
		return edgeForbidden.problem("A customer moves money between people, by \"from\" and \"to\", and not between accounts.")
	}
	p.leg[0] = t
	return a.submitTransfer(ctx, x, p)
}

var holdMembers = []string{"id", "debit", "credit", "amount", "timeout_s", "code", "ref"}

// postHold reserves an amount.
func (a *api) postHold(ctx context.Context, x *exchange) error {
	return a.pay(ctx, x, holdfast.Hold, holdMembers)
}

func (a *api) pay(ctx context.Context, x *exchange, kind holdfast.Kind, known []string) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	p := new(payment)
	if p.leg[0], err = readTransfer(text, kind, known); err != nil {
		return err
	}
	return a.submitTransfer(ctx, x, p)
}

// submitTransfer proposes the one transfer of p under the id of the request, which is also the transfer's.
func (a *api) submitTransfer(ctx context.Context, x *exchange, p *payment) (err error) {
	p.txn[0].Transfers = p.leg[:]
	if p.txn[0].ID, err = x.requestID(p.leg[0].ID); err != nil {
		return err
	}
	p.leg[0].ID = holdfast.ID{}
	return inBody(a.submit(ctx, x, p.txn[:]), "transfers[0].")
}

// inBody names the field at fault as it stands in the body of the request: the caller did not write a whole transaction.
func inBody(err error, prefix string) error {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		p.Field = strings.TrimPrefix(p.Field, prefix)
	}
	return err
}

var (
	settleMembers = []string{"id", "amount", "debit", "credit", "code", "ref"}
	voidMembers   = []string{"id", "debit", "credit", "code", "ref"}
)

// postHoldPost turns a hold, or a part of it, into a movement.
func (a *api) postHoldPost(ctx context.Context, x *exchange) error {
	return a.settle(ctx, x, holdfast.Post, settleMembers)
}

// postHoldVoid releases a hold.
func (a *api) postHoldVoid(ctx context.Context, x *exchange) error {
	return a.settle(ctx, x, holdfast.Void, voidMembers)
}

func (a *api) settle(ctx context.Context, x *exchange, kind holdfast.Kind, known []string) error {
	hold, err := x.pathID()
	if err != nil {
		return err
	}
	text, err := x.body()
	if err != nil {
		return err
	}
	p := &payment{leg: [1]holdfast.Transfer{{Kind: kind}}}
	if strings.TrimSpace(text) != "" {
		if p.leg[0], err = readTransfer(text, kind, known); err != nil {
			return err
		}
	}
	p.leg[0].Hold = hold
	return a.submitTransfer(ctx, x, p)
}

var openMembers = []string{"id", "limit", "code", "ref"}

// postAccount opens an account.
func (a *api) postAccount(ctx context.Context, x *exchange) error {
	text, err := x.body()
	if err != nil {
		return err
	}
	change, err := readAccountOp(text, openMembers)
	if err != nil {
		return err
	}
	return a.changeAccount(ctx, x, change)
}

// restrict freezes, thaws or closes the account of the path.
func (a *api) restrict(op holdfast.AccountOp) handler {
	return func(ctx context.Context, x *exchange) error {
		id, err := x.pathAccount()
		if err != nil {
			return err
		}
		if err := x.emptyBody(); err != nil {
			return err
		}
		return a.changeAccount(ctx, x, holdfast.AccountChange{Op: op, ID: id})
	}
}

// changeAccount proposes a change of one account. Repeating such a change does no harm, so the key may be left out.
func (a *api) changeAccount(ctx context.Context, x *exchange, change holdfast.AccountChange) error {
	id := newID()
	if x.r.Header.Get(idempotencyHeader) != "" {
		var err error
		if id, err = x.requestID(holdfast.ID{}); err != nil {
			return err
		}
	}
	return inBody(a.submit(ctx, x, []holdfast.Txn{{ID: id, Accounts: []holdfast.AccountChange{change}}}), "accounts[0].")
}

// mayBypass refuses transactions that touch the money or the records of payments of people, unless the caller may go past them. A site without such
// payments has none.
func (a *api) mayBypass(x *exchange, txns []holdfast.Txn) error {
	if a.commerce == nil {
		return nil
	}
	for i := range txns {
		if touchesPayments(&txns[i]) {
			return guard.Authorise(x.who, guard.BypassPayments)
		}
	}
	return nil
}

func touchesPayments(t *holdfast.Txn) bool {
	for i := range t.Transfers {
		if pay.Keeps(t.Transfers[i].Debit.Purpose) || pay.Keeps(t.Transfers[i].Credit.Purpose) {
			return true
		}
	}
	for i := range t.Records {
		if strings.HasPrefix(t.Records[i].Key, holdfast.OwnedPrefix) {
			return true
		}
	}
	return false
}

// submit proposes one transaction and answers with what became of it.
func (a *api) submit(ctx context.Context, x *exchange, txns []holdfast.Txn) error {
	if err := a.mayBypass(x, txns); err != nil {
		return err
	}
	x.count, x.id = 1, txns[0].ID
	outcomes, err := a.site.Submit(ctx, txns, false)
	if err != nil {
		return fmt.Errorf("submit %s: %w", x.id, err)
	}
	o := &outcomes[0]
	x.code, x.shard, x.index = o.Code.String(), o.Shard, o.Index
	if o.Status != holdfast.Done {
		return problemOfOutcome(o)
	}
	x.out = appendOutcome(x.out[:0], o)
	return x.sendRaw(statusOf(o), jsonType)
}

// submitMany proposes independent transactions behind single payments, and answers with all their outcomes.
func (a *api) submitMany(ctx context.Context, x *exchange, txns []holdfast.Txn) error {
	if err := a.mayBypass(x, txns); err != nil {
		return err
	}
	if len(txns) == 0 {
		return edgeMalformed.field("transactions", "the list is empty: send at least one transaction")
	}
	for i := range txns {
		if txns[i].ID.IsZero() {
			p := problemOfCode(holdfast.CodeIDMissing)
			p.Field, p.Outcome = fmt.Sprintf("transactions[%d].id", i), holdfast.NotExecuted.String()
			return p
		}
	}
	x.count, x.id = len(txns), txns[0].ID
	outcomes, err := a.site.Submit(ctx, txns, true)
	if err != nil {
		return fmt.Errorf("submit %d transactions from %s on: %w", len(txns), x.id, err)
	}
	x.code, x.shard, x.index = outcomes[0].Code.String(), outcomes[0].Shard, outcomes[0].Index
	if p := undecided(outcomes); p != nil {
		return p
	}
	x.out = appendOutcomes(x.out[:0], outcomes)
	return x.sendRaw(http.StatusOK, jsonType)
}

// undecided is the problem of a batch of which nothing at all was decided, for one and the same reason that lies with this
// site: the caller can then treat it as it would a single payment, and go to another site.
func undecided(outcomes []holdfast.Outcome) *Problem {
	first := &outcomes[0]
	if decided(first) || first.Code < holdfast.CodeNoQuorum {
		return nil
	}
	for i := range outcomes {
		if outcomes[i].Status != first.Status || outcomes[i].Code != first.Code {
			return nil
		}
	}
	p := problemOfCode(first.Code)
	p.Outcome = first.Status.String()
	return p
}

func newID() holdfast.ID {
	var random [10]byte
	rand.Read(random[:]) // never fails: crypto/rand
	return holdfast.NewID(holdfast.TimeOf(time.Now()), random)
}
