package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) customerMoneyRoutes(r *router) {
	add[topUpIn, jsonOut[topUpBody]](r, operation{
		name: "announce-top-up", method: post, path: "/v1/customers/{id}/top-ups", tag: tagCustomers, summary: "Announce money that a customer brings from a bank",
		text: "It moves nothing: the wallet is credited when the bank reports the money. The money is waited for until the time that the answer names; when it comes later, " +
			"the wallet is credited all the same. The same number again is answered as the first time.",
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postTopUp),
	})
	add[readTopUpIn, jsonOut[topUpBody]](r, operation{
		name: "read-top-up", method: get, path: "/v1/customers/{id}/top-ups/{number}", tag: tagCustomers, summary: "Read how far a top-up is",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getTopUp),
	})
	add[payoutIn, jsonOut[payoutBody]](r, operation{
		name: "withdraw", method: post, path: "/v1/payouts", tag: tagCustomers, summary: "Send money from a customer's wallet to their bank",
		text: "It leaves the wallet now and counts against the limits; the bank is asked afterwards, as often as needed, and pays at most once. When it refuses, " +
			"the money comes back. The same number again is answered as the first time, with how far it is.",
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postPayout),
	})
	add[readPayoutIn, jsonOut[payoutBody]](r, operation{
		name: "read-payout", method: get, path: "/v1/payouts/{owner}/{number}", tag: tagCustomers, summary: "Read how far a withdrawal of a customer or a payout of a merchant is",
		text:   "The number of a merchant's payout, which a settlement makes, is <day>-<asset>.",
		action: guard.ReadMoney, sellers: true, buyers: true, handle: a.atTill(getPayout),
	})
	add[readOrderIn, jsonOut[sentBody]](r, operation{
		name: "read-sent-transfer", method: get, path: "/v1/customers/{id}/transfers/{number}", tag: tagCustomers, summary: "Read a transfer that a customer has sent",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getSent),
	})
	add[customerStatementIn, jsonOut[receiptsBody]](r, operation{
		name: "customer-statement", method: get, path: "/v1/customers/{id}/statement", tag: tagCustomers, summary: "Page through what came and went, latest first",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getReceipts),
	})
	add[readReceiptIn, jsonOut[ReceiptBody]](r, operation{
		name: "read-receipt", method: get, path: "/v1/customers/{id}/receipts/{receipt}", tag: tagCustomers, summary: "Read one line of a customer's statement",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getReceipt),
	})
}

type topUpIn struct {
	NumberIn
	PathOwner
	Body moneyBody
}

type moneyBody struct {
	Number string `json:"number,omitempty" maxLength:"64" doc:"A fresh one of this customer. May be left out when the Idempotency-Key header is sent"`
	Asset  string `json:"asset" example:"CNY"`
	Amount int64  `json:"amount" minimum:"1" maximum:"10000000000" doc:"In minor units: 1250 is CNY 12.50"`
}

var moneyMembers = []string{"number", "asset", "amount"}

func (s *scanner) moneyMember(name string, ask *pay.TopUpAsk) {
	switch name {
	case "number":
		ask.Number = s.words()
	case "asset":
		ask.Asset = s.asset()
	case "amount":
		ask.Amount = s.amount()
	}
}

// PathNumber documents a path that names an order.
type PathNumber struct {
	Number string `path:"number" maxLength:"64" doc:"That it was asked for with"`
}

type readTopUpIn struct {
	PathOwner
	PathNumber
	DeadlineIn
}

type readOrderIn struct {
	PathOwner
	PathNumber
	DeadlineIn
}

type topUpBody struct {
	Owner     string `json:"owner" doc:"The customer"`
	Number    string `json:"number"`
	Status    string `json:"status" enum:"waiting,done,returned,expired" doc:"waiting: for the bank to report the money. returned: it will not come. expired: it has not come by the time in until; if it comes all the same, the wallet is credited and this is done"`
	Asset     string `json:"asset" example:"CNY"`
	Amount    int64  `json:"amount"`
	Asked     string `json:"asked" format:"date-time"`
	Since     string `json:"since" format:"date-time" doc:"When it came to this status"`
	Until     string `json:"until,omitempty" format:"date-time" doc:"For how long the money is waited for"`
	Reference string `json:"reference" doc:"What the customer writes into the text of the bank transfer, so that the money finds the wallet"`
	Bank      string `json:"bank,omitempty" doc:"What the bank calls the payment that brought it"`
	Reason    string `json:"reason,omitempty" doc:"Why it will not come"`

	PayTo *BankDetails `json:"pay_to,omitempty" doc:"Where to the bank transfer goes, of one that waits; left out where no bank of the platform takes this currency"`
}

func (t *till) topUpBodyOf(owner holdfast.Owner, o *pay.Order) topUpBody {
	b := topUpBody{
		Owner: owner.String(), Number: o.Number, Status: o.Status.String(), Asset: assetText(o.Asset), Amount: int64(o.Amount),
		Asked: timeText(o.At), Since: timeText(o.Changed), Reference: pay.TopUpReference(owner, o.Number),
	}
	if o.Until != 0 {
		b.Until = timeText(o.Until)
	}
	b.Bank, b.Reason = bankWords(o)
	if t.TopUpTo != nil && o.Status == pay.OrderWaiting {
		b.PayTo = t.TopUpTo(o.Asset)
	}
	return b
}

// bankWords are what the bank calls an order, or why it was returned.
func bankWords(o *pay.Order) (bank, reason string) {
	if o.Status == pay.OrderReturned || o.Status == pay.OrderExpired {
		return "", o.Bank
	}
	return o.Bank, ""
}

func postTopUp(ctx context.Context, t *till) (err error) {
	var ask pay.TopUpAsk
	if ask.Owner, err = t.x.pathMine("id"); err != nil {
		return err
	}
	if err := t.x.object(moneyMembers, func(s *scanner, name string) { s.moneyMember(name, &ask) }); err != nil {
		return err
	}
	if err := t.money(&ask); err != nil {
		return err
	}
	o, err := t.TopUp(ctx, ask, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, t.topUpBodyOf(ask.Owner, &o))
}

// money completes what is asked with the number of the request.
func (t *till) money(ask *pay.TopUpAsk) (err error) {
	if ask.Asset == 0 {
		return edgeMalformed.field("asset", "name the currency, for example CNY")
	}
	ask.Number, err = t.number(ask.Number, "number")
	return err
}

func getTopUp(ctx context.Context, t *till) error {
	owner, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	o, err := t.QueryTopUp(ctx, owner, t.x.r.PathValue("number"))
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, t.topUpBodyOf(owner, &o))
}

type payoutIn struct {
	NumberIn
	Body withdrawBody
}

type withdrawBody struct {
	Owner   string     `json:"owner,omitempty" doc:"The customer. May be left out with a session of the customer" example:"2088000000010420"`
	Number  string     `json:"number,omitempty" maxLength:"64" doc:"A fresh one of this customer. May be left out when the Idempotency-Key header is sent"`
	Asset   string     `json:"asset" example:"CNY"`
	Amount  int64      `json:"amount" minimum:"1" maximum:"10000000000" doc:"In minor units: 1250 is CNY 12.50"`
	To      string     `json:"to,omitempty" maxLength:"64" doc:"Name of the bank account to pay to, of those that are kept; main if left out. While none is known it waits"`
	Account *PayToBody `json:"account,omitempty" doc:"In place of to: a bank account for this time"`
}

var withdrawMembers = []string{"owner", "number", "asset", "amount", "to", "account"}

// PathPayout documents a path that names a withdrawal or payout.
type PathPayout struct {
	Owner string `path:"owner" doc:"The customer or merchant: 16 digits" example:"2088000000010420"`
	PathNumber
}

type readPayoutIn struct {
	PathPayout
	DeadlineIn
}

type payoutBody struct {
	Owner        string        `json:"owner" doc:"The customer or merchant"`
	Kind         string        `json:"kind" enum:"withdrawal,settlement" doc:"A customer's, or a merchant's that a settlement made"`
	Number       string        `json:"number"`
	Status       string        `json:"status" enum:"waiting,sent,done,returned" doc:"waiting: nothing was sent to a bank yet. sent: a bank has been asked, and its answer is not known. returned: the bank has refused, and the money is back"`
	Asset        string        `json:"asset" example:"CNY"`
	Amount       int64         `json:"amount"`
	Asked        string        `json:"asked" format:"date-time"`
	Since        string        `json:"since" format:"date-time" doc:"When it came to this status"`
	Recalled     bool          `json:"recalled,omitempty" doc:"Its owner wants the money back: it is not sent any more"`
	NeedsAccount bool          `json:"needs_account,omitempty" doc:"It waits until its owner has told a bank account"`
	Attempted    string        `json:"attempted,omitempty" format:"date-time" doc:"When a bank was asked last"`
	Accepted     bool          `json:"accepted,omitempty" doc:"The bank has said that it has it"`
	Doubtful     bool          `json:"doubtful,omitempty" doc:"The bank has contradicted itself about it: somebody looks into it"`
	Bank         string        `json:"bank,omitempty" doc:"What the bank calls the payment"`
	Reason       string        `json:"reason,omitempty" doc:"Why it was returned"`
	Estimate     *EstimateBody `json:"estimate,omitempty" doc:"Of one that waits, when something can be said"`
}

func payoutBodyOf(b pay.BankOrder, o *pay.Order) payoutBody {
	v := payoutBody{
		Owner: b.Owner.String(), Kind: "withdrawal", Number: o.Number, Status: o.Status.String(), Asset: assetText(o.Asset), Amount: int64(o.Amount),
		Asked: timeText(o.At), Since: timeText(o.Changed), Recalled: o.Recalled, NeedsAccount: o.To == "" && o.Status < pay.OrderDone,
		Attempted: timeText(o.Sent), Accepted: o.Accepted, Doubtful: o.Doubtful,
	}
	if b.Payout {
		v.Kind = "settlement"
	}
	v.Bank, v.Reason = bankWords(o)
	return v
}

func postPayout(ctx context.Context, t *till) error {
	var ask pay.TopUpAsk
	err := t.x.object(withdrawMembers, func(s *scanner, name string) {
		switch name {
		case "owner":
			ask.Owner = s.owner()
		case "to":
			ask.To = s.words()
		case "account":
			ask.Account = s.payTo()
		default:
			s.moneyMember(name, &ask)
		}
	})
	switch {
	case err != nil:
		return err
	case ask.To != "" && ask.Account != nil:
		return edgeMalformed.field("to", "say where to pay it, by \"to\" or by \"account\"")
	}
	if ask.Owner, err = t.x.buyerOr(ask.Owner, "owner", "name the customer whose money it is"); err != nil {
		return err
	}
	if err := t.money(&ask); err != nil {
		return err
	}
	o, err := t.Withdraw(ctx, ask, t.at)
	if err != nil {
		return accountFault(err, "account.number", "account.holder")
	}
	t.ordered()
	return t.sendPayout(ctx, pay.BankOrder{Owner: ask.Owner, Number: ask.Number}, &o)
}

// sendPayout answers with an order, and what can be said of it while it waits.
func (t *till) sendPayout(ctx context.Context, b pay.BankOrder, o *pay.Order) error {
	v := payoutBodyOf(b, o)
	v.Estimate = t.estimate(ctx, b, o)
	return t.x.sendJSON(http.StatusOK, v)
}

func getPayout(ctx context.Context, t *till) error {
	b, o, err := t.payout(ctx)
	if err != nil {
		return err
	}
	return t.sendPayout(ctx, b, &o)
}

// payout finds the withdrawal or payout that the path names. No owner has both under one number: those of a settlement begin with a day, and
// customers have no settlements.
func (t *till) payout(ctx context.Context) (b pay.BankOrder, o pay.Order, err error) {
	b.Number = t.x.r.PathValue("number")
	if b.Owner, err = t.x.pathOwner("owner"); err != nil {
		return b, o, err
	}
	if err := t.x.actsFor(b.Owner); err != nil {
		return b, o, err
	}
	var none *pay.Refusal
	if o, err = t.QueryBankOrder(ctx, b); errors.As(err, &none) && none.Code == pay.OrderUnknown {
		b.Payout = true
		o, err = t.QueryBankOrder(ctx, b)
	}
	return b, o, err
}

// SendBody is a transfer from one person to another.
type SendBody struct {
	From     string `json:"from,omitempty" doc:"Who pays. May be left out with a session of the customer" example:"2088000000010420"`
	To       string `json:"to,omitempty" doc:"Who receives it, into the wallet"`
	ToAlias  string `json:"to_alias,omitempty" doc:"In place of to: a phone number or an e-mail address of the payee"`
	Number   string `json:"number,omitempty" maxLength:"64" doc:"A fresh one of the payer. May be left out when the Idempotency-Key header is sent"`
	Asset    string `json:"asset" example:"CNY"`
	Amount   int64  `json:"amount" minimum:"1" maximum:"10000000000" doc:"In minor units: 1250 is CNY 12.50"`
	Text     string `json:"text,omitempty" maxLength:"256" doc:"What it is for; both see it"`
	Business bool   `json:"business,omitempty" doc:"The payer is a merchant, who pays what he has earned"`
}

var sendMembers = []string{"from", "to", "to_alias", "number", "asset", "amount", "text", "business"}

type sentBody struct {
	From   string `json:"from"`
	Number string `json:"number"`
	Status string `json:"status" enum:"done"`
	To     string `json:"to"`
	Asset  string `json:"asset" example:"CNY"`
	Amount int64  `json:"amount"`
	Text   string `json:"text,omitempty"`
	Time   string `json:"time" format:"date-time"`
}

func sentBodyOf(from holdfast.Owner, o *pay.Order) sentBody {
	return sentBody{from.String(), o.Number, o.Status.String(), ownerText(o.Other), assetText(o.Asset), int64(o.Amount), o.Text, timeText(o.At)}
}

// sending is what POST /v1/transfers asks for when it names people and not accounts.
type sending struct {
	pay.TransferAsk
	alias string
}

func (s *scanner) sendMember(name string, v *sending) {
	switch name {
	case "from":
		v.From = s.owner()
	case "to":
		v.To = s.owner()
	case "to_alias":
		v.alias = s.string(maxAlias)
	case "number":
		v.Number = s.words()
	case "asset":
		v.Asset = s.asset()
	case "text":
		v.Text = s.words()
	case "business":
		v.Business = s.boolean()
	}
}

// eitherMembers are those of a transfer between accounts, and of one between people.
var eitherMembers = append(transferMembers[:len(transferMembers):len(transferMembers)], "from", "to", "to_alias", "number", "asset", "text", "business")

// readEither reads the body of POST /v1/transfers: a transfer between accounts, or between people; then people is true. They are told apart by
// their members.
func readEither(text string) (t holdfast.Transfer, v sending, people bool, err error) {
	s := newScanner(text)
	t.Kind = holdfast.Immediate
	accounts := ""
	for name := range s.members(eitherMembers) {
		switch name {
		case "amount":
			t.Amount = s.wholeAmount()
		case "from", "to", "to_alias", "number", "asset", "text", "business":
			people = true
			s.sendMember(name, &v)
		default:
			accounts = name
			s.transferMember(name, &t)
		}
	}
	if people && accounts != "" {
		s.failAt("%q is of a transfer between accounts, \"from\" and \"to\" of one between people: send one of them", accounts)
	}
	v.Amount = t.Amount
	return t, v, people, s.end()
}

// send moves money from one person to another.
func (a *api) send(ctx context.Context, x *exchange, v sending) error {
	return a.atTill(func(ctx context.Context, t *till) (err error) {
		if v.From, err = t.x.buyerOr(v.From, "from", "name who pays"); err != nil {
			return err
		}
		switch {
		case v.Business && x.buyer != 0:
			return edgeForbidden.field("business", "A customer pays from the wallet: leave it out.")
		case (v.To == 0) == (v.alias == ""):
			return edgeMalformed.field("to", "name who receives it, by \"to\" or by \"to_alias\"")
		case v.Asset == 0:
			return edgeMalformed.field("asset", "name the currency, for example CNY")
		}
		if v.Number, err = t.number(v.Number, "number"); err != nil {
			return err
		}
		var o pay.Order
		if v.alias != "" {
			if err := t.mayName(x.buyer); err != nil {
				return err
			}
			o, err = t.TransferTo(ctx, v.TransferAsk, v.alias, t.at)
			if err == nil {
				t.api.aliases.GiveBack(x.buyer.String(), t.at)
			}
		} else {
			o, err = t.Transfer(ctx, v.TransferAsk, t.at)
		}
		if err != nil {
			return err
		}
		return t.x.sendJSON(http.StatusOK, sentBodyOf(v.From, &o))
	})(ctx, x)
}

// Bounds on the phone numbers and e-mail addresses to which a customer's session sends nothing in the end: who tries many wants to know which are customers.
const (
	aliasTries = 20
	aliasEvery = time.Minute
)

var edgeManyAliases = edgeCode{"too-many-aliases", http.StatusTooManyRequests, "Not executed: too many phone numbers or e-mail addresses were tried to which nothing was sent. Wait for as long as Retry-After says, or name who receives it by number."}

// mayName counts an alias that a session names, or says that there were too many. API keys are those of programs that have their own bounds.
func (t *till) mayName(buyer holdfast.Owner) error {
	if buyer == 0 || t.api.aliases.Take(buyer.String(), t.at) {
		return nil
	}
	p := edgeManyAliases.problem("")
	p.retryAfter, p.Outcome = aliasEvery, holdfast.NotExecuted.String()
	return p
}

func getSent(ctx context.Context, t *till) error {
	from, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	o, err := t.QueryTransfer(ctx, from, t.x.r.PathValue("number"))
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, sentBodyOf(from, &o))
}

type customerStatementIn struct {
	PathOwner
	PageIn
}

type readReceiptIn struct {
	PathOwner
	Receipt string `path:"receipt" maxLength:"33" doc:"The receipt of a line of the statement"`
	DeadlineIn
}

type receiptsBody struct {
	Receipts []ReceiptBody `json:"receipts" doc:"Latest first"`
	Next     string        `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

// ReceiptBody is a line of a customer's statement.
type ReceiptBody struct {
	Receipt   string `json:"receipt" doc:"Its name"`
	Kind      string `json:"kind" enum:"paid,refunded,frozen,unfrozen,paid-frozen,sent,received,topped-up,withdrawn,withdrawal-returned,share,not-paid,share-missed,top-up-expired" doc:"paid-frozen: from what was frozen, the wallet has no part in it. not-paid: a payment that came too late or twice, the money stayed in the wallet. share-missed: a share of a trade that the wallet could not take, and that went back. top-up-expired: money that was announced and has not come in time"`
	Time      string `json:"time" format:"date-time"`
	Asset     string `json:"asset" example:"CNY"`
	Amount    int64  `json:"amount" doc:"In minor units. Above 0: came into the wallet; below: left it"`
	Other     string `json:"other,omitempty" doc:"Who it came from or went to; left out: a bank"`
	Number    string `json:"number,omitempty" doc:"Of the trade, refund, transfer or order"`
	Text      string `json:"text,omitempty" doc:"What it was for"`
	Undecided bool   `json:"undecided,omitempty" doc:"The payment is under way, and may yet be taken back"`
}

func receiptBodyOf(l *pay.Line) ReceiptBody {
	return ReceiptBody{
		l.Name, l.Kind.String(), timeText(l.Time), assetText(l.Asset), int64(l.Amount), ownerText(l.Other), l.Number, l.Text, l.Undecided,
	}
}

func getReceipts(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	limit, err := t.x.query.limit()
	if err != nil {
		return err
	}
	cursor := t.x.query.get("cursor")
	if cursor != "" && !pay.LineName(cursor) {
		return edgeMalformed.field("cursor", "the cursor is not one of this list: send the next of the page before")
	}
	if cursor == "" { // a list of nobody's is not an empty one
		if _, err := t.Customer(ctx, o); err != nil {
			return err
		}
	}
	list, next, err := t.Lines(ctx, o, cursor, limit)
	if err != nil {
		return err
	}
	b := receiptsBody{Receipts: make([]ReceiptBody, len(list)), Next: next}
	for i := range list {
		b.Receipts[i] = receiptBodyOf(&list[i])
	}
	return t.x.sendJSON(http.StatusOK, b)
}

func getReceipt(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	l, found, err := t.Line(ctx, o, t.x.r.PathValue("receipt"))
	switch {
	case err != nil:
		return err
	case !found:
		return edgeNotFound.field("receipt", "This customer has no such receipt: the statement lists those there are.")
	}
	return t.x.sendJSON(http.StatusOK, receiptBodyOf(&l))
}
