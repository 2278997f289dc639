package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
)

// Commerce is what the API needs to offer the payments that people use. All but Cashier may be left out.
type Commerce struct {
	Cashier *pay.Cashier
	// Porter lets people in; nil: nobody can sign in here.
	Porter *signin.Porter
	// EvenWait is how long a wrong sign-in takes at least, so that nobody learns from its time who there is; 0: 300 ms.
	EvenWait time.Duration
	// Now is the clock, nil: [time.Now]; Random gives secrets and tokens, nil: that of crypto/rand.
	Now    func() time.Time
	Random io.Reader
	// Endpoint checks an address to which events of a merchant are to be posted; the error says what to do. nil: every address is taken.
	Endpoint func(url string) error
	// Pages is the base URL of the pages that customers open (the cashier's), without a slash at its end; "": there are none.
	Pages string
	// NewAppKey makes the platform's key pair for an app of a merchant: the private key (DER), and the public one (PEM) that the merchant
	// checks answers with. nil: apps cannot be registered here.
	NewAppKey func(random io.Reader) (private []byte, public string, err error)
	// Estimate says when a bank will have taken a withdrawal or payout. nil: nothing is said.
	Estimate func(ctx context.Context, b pay.BankOrder, o pay.Order) (PayoutEstimate, error)
	// TopUpTo is the platform's account to which customers bring money of a currency; nil: there is none. nil itself: nothing is said.
	TopUpTo func(asset holdfast.Asset) *BankDetails
	// Ordered is called when there is something new for a bank: an order, one that is recalled, or an account that orders have waited for. It must
	// not wait. nil: whoever speaks with the banks finds it by itself, later.
	Ordered func()
	// Banks says how the work with each bank is doing. nil: there are none.
	Banks func(ctx context.Context) ([]BankState, error)
	// Difference names what is different in a case, and says what to do about it. nil: nothing is said.
	Difference func(v *pay.Case) (name, toDo string)
	// Audited are the books as an audit reads them. nil: payments cannot be audited here.
	Audited pay.AuditBooks
	// Here are the books as the replicas of this site have them, which ask nobody: whoever asks whether a payment is safe is looked up there when nobody
	// can be asked. nil: they are turned away then.
	Here pay.Books
}

// ordered tells whoever speaks with the banks that there is something new.
func (c *Commerce) ordered() {
	if c.Ordered != nil {
		c.Ordered()
	}
}

func (c *Commerce) now() holdfast.Time {
	if c.Now == nil {
		return holdfast.TimeOf(time.Now())
	}
	return holdfast.TimeOf(c.Now())
}

// fill fills b with random bytes.
func (c *Commerce) fill(b []byte) error {
	_, err := io.ReadFull(c.source(), b)
	return err
}

func (c *Commerce) source() io.Reader {
	if c.Random == nil {
		return rand.Reader
	}
	return c.Random
}

// till is one request to the payments: the cashier, and the time that it is for all of the request.
type till struct {
	*Commerce
	*pay.Cashier
	api *api
	x   *exchange
	at  holdfast.Time
	// wrote tells that the request has changed something, or may have when a step of it fails: then nobody can say that nothing was executed.
	wrote bool
	// done tells that a change which is not the last thing of its request was made: what refuses the rest of it refuses a part.
	done bool
	// key is the Idempotency-Key as the number of a request, "" when none was sent. One that is no UUID is turned into one, together with the
	// name of the API key.
	key string
}

// atTill makes a handler of what is done with the payments. The errors of package pay become problems; see [till.problem].
func (a *api) atTill(do func(ctx context.Context, t *till) error) handler {
	return func(ctx context.Context, x *exchange) error {
		t, err := a.till(x)
		if err != nil {
			return err
		}
		return t.problem(do(ctx, t))
	}
}

// till opens the payments for a request.
func (a *api) till(x *exchange) (*till, error) {
	if a.commerce == nil {
		return nil, edgePaymentsOff.problem("")
	}
	t := &till{api: a, Commerce: a.commerce, Cashier: a.commerce.Cashier, x: x, at: a.commerce.now()}
	if key := x.r.Header.Get(idempotencyHeader); key != "" && x.r.Method == http.MethodPost {
		id, err := guard.RequestID(x.who, key)
		if err != nil {
			return nil, edgeMalformed.field(idempotencyHeader, "%s", err.Error())
		}
		t.key = id.String()
	}
	return t, nil
}

// number is the number of a request: that of the body, or the Idempotency-Key where the body has none.
func (t *till) number(inBody, member string) (string, error) {
	switch {
	case inBody != "":
		return inBody, nil
	case t.key == "":
		return "", edgeMalformed.field(member, "the request has no number: send a fresh one as %s, or an Idempotency-Key header, and the same one when you ask again", member)
	}
	return t.key, nil
}

// payStatuses is the one table from the refusals of package pay to HTTP. Every code has a row.
//
//	400  malformed: it can never be done
//	404  there is no such thing
//	409  it contradicts something that is there and may change
//	422  it asks for too much, or for something that has to be there first
var payStatuses = map[pay.Code]int{
	pay.AmountInvalid:  http.StatusBadRequest,
	pay.NumberInvalid:  http.StatusBadRequest,
	pay.FieldInvalid:   http.StatusBadRequest,
	pay.AssetInvalid:   http.StatusUnprocessableEntity,
	pay.TimeInvalid:    http.StatusBadRequest,
	pay.TooMany:        http.StatusConflict,
	pay.OwnerNotIssued: http.StatusBadRequest,
	pay.AliasInvalid:   http.StatusBadRequest,
	pay.AliasTaken:     http.StatusConflict,
	pay.AliasUnknown:   http.StatusNotFound,

	pay.CustomerUnknown:  http.StatusNotFound,
	pay.CustomerExists:   http.StatusConflict,
	pay.WalletMissing:    http.StatusUnprocessableEntity,
	pay.WalletBlocked:    http.StatusConflict,
	pay.BalanceNotEnough: http.StatusUnprocessableEntity,
	pay.LimitPayment:     http.StatusUnprocessableEntity,
	pay.LimitDay:         http.StatusUnprocessableEntity,
	pay.LimitMonth:       http.StatusUnprocessableEntity,

	pay.MerchantUnknown: http.StatusNotFound,
	pay.MerchantExists:  http.StatusConflict,
	pay.AppUnknown:      http.StatusNotFound,
	pay.ShopUnknown:     http.StatusNotFound,
	pay.SellerBlocked:   http.StatusConflict,
	pay.SellerBalance:   http.StatusUnprocessableEntity,
	pay.SellerIsBuyer:   http.StatusUnprocessableEntity,

	pay.TradeUnknown:       http.StatusNotFound,
	pay.TradeDiffers:       http.StatusConflict,
	pay.BuyerDiffers:       http.StatusConflict,
	pay.TradePaid:          http.StatusConflict,
	pay.TradeClosed:        http.StatusConflict,
	pay.TradeFinished:      http.StatusConflict,
	pay.TradeNotPaid:       http.StatusConflict,
	pay.TradeStatus:        http.StatusConflict,
	pay.TradeExpired:       http.StatusConflict,
	pay.RefundTooMuch:      http.StatusUnprocessableEntity,
	pay.RequestDiffers:     http.StatusConflict,
	pay.SplitTooMuch:       http.StatusUnprocessableEntity,
	pay.SplitFinished:      http.StatusConflict,
	pay.ReceiverInvalid:    http.StatusUnprocessableEntity,
	pay.NotEscrow:          http.StatusConflict,
	pay.EscrowStatus:       http.StatusConflict,
	pay.EscrowDisputed:     http.StatusConflict,
	pay.EscrowTooMuch:      http.StatusUnprocessableEntity,
	pay.CodeWrong:          http.StatusUnprocessableEntity,
	pay.TooManyCodes:       http.StatusTooManyRequests,
	pay.CodeUsed:           http.StatusConflict,
	pay.TokenUnknown:       http.StatusNotFound,
	pay.TradeTokenConflict: http.StatusConflict,
	pay.KeyRevoked:         http.StatusConflict,

	pay.AuthUnknown:      http.StatusNotFound,
	pay.AuthStateWrong:   http.StatusConflict,
	pay.AuthTooMuch:      http.StatusUnprocessableEntity,
	pay.AuthPayerDiffers: http.StatusConflict,
	pay.PayeeUnknown:     http.StatusUnprocessableEntity,
	pay.PayeeIsPayer:     http.StatusUnprocessableEntity,
	pay.PayeeBlocked:     http.StatusConflict,

	pay.OrderUnknown:    http.StatusNotFound,
	pay.OrderStateWrong: http.StatusConflict,
	pay.DayNotOver:      http.StatusConflict,
	pay.EventUnknown:    http.StatusNotFound,
	pay.LedgerRefused:   http.StatusUnprocessableEntity,

	pay.GrantUnknown:     http.StatusNotFound,
	pay.GrantExpired:     http.StatusConflict,
	pay.GrantReplaced:    http.StatusConflict,
	pay.GrantOfOther:     http.StatusConflict,
	pay.CaseUnknown:      http.StatusNotFound,
	pay.CaseClosedBefore: http.StatusConflict,
	pay.EndpointUnknown:  http.StatusNotFound,
	pay.DeliveryUnknown:  http.StatusNotFound,
}

// edgePaymentsOff, edgeTooBusy: see edgeCodes.
var (
	edgePaymentsOff = edgeCode{"payments-off", http.StatusNotFound, "This site was started without payments: configure its keys for payments (holdfast serve says how), or ask a site that has them."}
	edgeTooBusy     = edgeCode{"records-busy", http.StatusTooManyRequests, "Not executed: others change the same records all the time. Ask again with the same numbers."}
)

// problem turns an error of package pay into what the caller is told. What is asked for with a number is done at most once, whatever he is told.
func (t *till) problem(err error) error {
	if err == nil {
		return nil
	}
	var refusal *pay.Refusal
	var pending *pay.Pending
	var unavailable *pay.Unavailable
	var soon *signin.TooSoon
	switch {
	case errors.As(err, &soon):
		return tooSoon(soon)
	case errors.As(err, &refusal) && t.done:
		return outcomeUnknown(err) // "refused" would deny what was done
	case errors.As(err, &refusal):
		return t.refused(refusal)
	case errors.As(err, &pending):
		p := outcomeUnknown(err)
		p.ID = idText(pending.ID)
		return p
	case errors.As(err, &unavailable):
		p := t.unavailable(unavailable)
		if t.wrote && p.Status == http.StatusTooManyRequests { // which says that nothing was executed
			p = edgeUnavailable.problem("")
		}
		p.cause = err
		switch {
		case t.wrote:
			p.Outcome = holdfast.Unknown.String()
		case t.x.r.Method == http.MethodPost:
			p.Outcome = holdfast.NotExecuted.String()
		}
		return p
	}
	return err
}

// outcomeUnknown tells to ask again: that does what is not done yet, or says what has become of it.
func outcomeUnknown(why error) *Problem {
	p := problemOfCode(holdfast.CodeUnknown)
	p.Detail = "The outcome is not known yet. Ask again with the same numbers: it is done at most once."
	p.Outcome, p.cause = holdfast.Unknown.String(), why
	return p
}

// did notes that a change that is not the last thing of its request was made.
func (t *till) did(err error) error {
	t.done = t.done || err == nil
	t.wrote = t.wrote || t.done
	return err
}

func (t *till) refused(r *pay.Refusal) *Problem {
	name := string(r.Code)
	status, known := refusalStatus(r.Code)
	if !known {
		status = http.StatusUnprocessableEntity
	}
	p := &Problem{Type: docsOf(name), Title: inWords(name), Status: status, Code: name, Detail: r.Text, Field: r.Field}
	if r.Field == "owner" && t.x.r.PathValue("id") != "" {
		p.Field = "id"
	}
	if t.x.r.Method == http.MethodPost {
		p.Outcome = holdfast.Refused.String()
	}
	if r.Code == pay.TooManyCodes {
		p.retryAfter, p.Outcome = pay.NamedEvery, holdfast.NotExecuted.String()
	}
	return p
}

// unavailable is the problem of a call that did nothing.
func (t *till) unavailable(u *pay.Unavailable) *Problem {
	switch {
	case u.Code != holdfast.CodeOK:
		return problemOfCode(u.Code)
	case errors.Is(u.Err, pay.ErrBusy):
		return edgeTooBusy.problem("")
	case errors.Is(u.Err, pay.ErrCorrupt):
		return edgeInternal.problem("")
	case errors.Is(u.Err, context.DeadlineExceeded), errors.Is(u.Err, context.Canceled):
		return edgeUnavailable.problem("")
	}
	var p *Problem
	if errors.As(t.api.unanswered(u.Err), &p) {
		return p
	}
	return problemOfCode(holdfast.CodeRecordPending) // the one reason that is pay's own
}

// NumberIn documents the parameters of requests to the payments.
type NumberIn struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"The number of the request where its body has none, and otherwise nothing: a UUID, or any other text, which is turned into one together with the name of the API key. The same numbers again are the same request, which is done at most once: send them when you ask again, and never for anything else" example:"0190f3c6-2a3b-7c4d-8e5f-001122334455"`
	DeadlineIn
}

// PathOwner documents a path that names a customer or merchant.
type PathOwner struct {
	ID string `path:"id" doc:"16 digits: from POST /v1/owners" example:"2088000000010420"`
}

// PathTrade documents a path that names a trade.
type PathTrade struct {
	Merchant   string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	OutTradeNo string `path:"out_trade_no" maxLength:"64" doc:"The merchant's number"`
}

// PageIn documents the parameters of lists that go on after a cursor.
type PageIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Lines on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the first page"`
	DeadlineIn
}

// TradeBody is a trade, as it stands.
type TradeBody struct {
	Merchant      string `json:"merchant" doc:"16 digits" example:"2088000000010420"`
	OutTradeNo    string `json:"out_trade_no" doc:"The merchant's number"`
	TradeNo       string `json:"trade_no" doc:"The platform's number: 28 digits"`
	Status        string `json:"status" enum:"WAIT_BUYER_PAY,TRADE_SUCCESS,TRADE_FINISHED,TRADE_CLOSED"`
	Mode          string `json:"mode" enum:"plain,escrow,split" doc:"Where the money of a payment goes: to the merchant; to the platform, until the buyer confirms; or less the fee to the platform, until the shares have been given"`
	Amount        int64  `json:"amount" doc:"In minor units"`
	Asset         string `json:"asset" example:"CNY"`
	Subject       string `json:"subject,omitempty"`
	Body          string `json:"body,omitempty"`
	Passback      string `json:"passback,omitempty"`
	Shop          string `json:"shop,omitempty"`
	Till          string `json:"till,omitempty"`
	Clerk         string `json:"clerk,omitempty"`
	App           string `json:"app,omitempty" doc:"Id of the app that made it"`
	Buyer         string `json:"buyer,omitempty" doc:"Who alone may pay"`
	Payer         string `json:"payer,omitempty" doc:"Who has paid"`
	Authorisation string `json:"authorisation,omitempty" doc:"Number of the authorisation that it was paid from"`
	Opened        bool   `json:"opened,omitempty" doc:"Of one made for a QR code: the buyer has seen it"`
	Fee           int64  `json:"fee" doc:"All that was taken, in minor units"`
	FeeReturned   int64  `json:"fee_returned" doc:"Of that, given back"`
	Refunded      int64  `json:"refunded"`
	Shared        int64  `json:"shared" doc:"Given to others, or set aside for them"`
	Held          int64  `json:"held" doc:"What the platform still holds: in escrow, or until the split is finished"`
	Released      int64  `json:"released" doc:"What has left escrow for the merchant, fee included"`
	Protection    string `json:"protection,omitempty" enum:"held,shipped,disputed,ended" doc:"Of a paid trade under escrow"`
	Deadline      string `json:"deadline,omitempty" format:"date-time" doc:"Of one that is held: until then the merchant has to ship, or the buyer has his money back. Of a shipped one: then the merchant gets the money"`
	Created       string `json:"created" format:"date-time"`
	PayUntil      string `json:"pay_until,omitempty" format:"date-time"`
	Paid          string `json:"paid,omitempty" format:"date-time"`
	Closed        string `json:"closed,omitempty" format:"date-time"`
	RefundUntil   string `json:"refund_until,omitempty" format:"date-time" doc:"Of a paid one: then it is finished"`
}

var modeNames = [...]string{"plain", "escrow", "split"}

func tradeBodyOf(v *pay.Trade) TradeBody {
	b := TradeBody{
		Merchant: v.Merchant.String(), OutTradeNo: v.OutTradeNo, TradeNo: v.TradeNo, Status: v.Status.String(), Mode: modeNames[v.Mode],
		Amount: int64(v.Amount), Asset: assetText(v.Asset), Subject: v.Subject, Body: v.Body, Passback: v.Passback, Shop: v.Shop, Till: v.Till,
		Clerk: v.Clerk, App: v.App, Buyer: ownerText(v.Buyer), Payer: ownerText(v.Payer), Authorisation: v.AuthNo, Opened: v.Opened,
		Fee: int64(v.FeeTaken), FeeReturned: int64(v.FeeBack), Refunded: int64(v.Refunded), Shared: int64(v.Shared - v.ShareBack), Held: int64(v.Kept),
		Released: int64(v.Released), Protection: v.Protection.String(), Deadline: timeText(v.Deadline), Created: timeText(v.Created),
		PayUntil: timeText(v.Until), Paid: timeText(v.Paid), Closed: timeText(v.Closed),
	}
	if v.Payer != 0 { // until it is paid it says how long after the payment
		b.RefundUntil = timeText(v.RefundUntil)
	}
	return b
}

// sendTrade answers with a trade.
func (t *till) sendTrade(v *pay.Trade) error { return t.x.sendJSON(http.StatusOK, tradeBodyOf(v)) }

// timeText is "" for no time.
func timeText(t holdfast.Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// ownerText is "" for nobody.
func ownerText(o holdfast.Owner) string {
	if o == 0 {
		return ""
	}
	return o.String()
}

// assetText is "" for none: a trade that was cancelled before it was made has none.
func assetText(a holdfast.Asset) string {
	if !a.Valid() {
		return ""
	}
	return a.String()
}

// pathOwner is the customer or merchant that the path names.
func (x *exchange) pathOwner(name string) (holdfast.Owner, error) {
	o, err := holdfast.ParseOwner(x.r.PathValue(name))
	if err != nil {
		return 0, edgeMalformed.field(name, "%v", err)
	}
	return o, nil
}

// pathAsset is the asset that the path names.
func (x *exchange) pathAsset(name string) (holdfast.Asset, error) {
	asset, err := holdfast.ParseAsset(x.r.PathValue(name))
	if err != nil {
		return 0, edgeMalformed.field(name, "%v", err)
	}
	return asset, nil
}

// pathTrade is the trade that the path names.
func (x *exchange) pathTrade() (merchant holdfast.Owner, outTradeNo string, err error) {
	merchant, err = x.pathOwner("merchant")
	return merchant, x.r.PathValue("out_trade_no"), err
}

// owner reads an owner number.
func (s *scanner) owner() holdfast.Owner { return parsed(s, holdfast.ParseOwner) }

// asset reads the name of an asset.
func (s *scanner) asset() holdfast.Asset { return parsed(s, holdfast.ParseAsset) }

// amount reads money in minor units; package pay judges what is too little or too much.
func (s *scanner) amount() holdfast.Amount { return holdfast.Amount(s.integer(-maxMoney, maxMoney)) }

// maxMoney is the largest number that all readers of JSON read exactly.
const maxMoney = 1<<53 - 1

// words reads a text of the caller; package pay judges what is too long.
func (s *scanner) words() string { return s.string(maxWords) }

const maxWords = 4096

// commerceRoutes are the operations of the payments.
func (a *api) commerceRoutes(r *router) {
	a.customerRoutes(r)
	a.sellerRoutes(r)
}
