package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// tradeRoutes are what a merchant does with his trades.
func (a *api) tradeRoutes(r *router) {
	add[tradeAskIn, jsonOut[madeTradeBody]](r, operation{
		name: "create-trade", method: post, path: "/v1/trades", tag: tagTrades, summary: "Make a trade, and pay it if it is said how",
		text: "With none of payer, payment_code, authorisation and qr it waits for its buyer. With payer it is paid from his wallet in the same " +
			"transaction, with payment_code from that of the customer who shows the code, with authorisation from what a customer has frozen. With qr the " +
			"answer has a token for a QR code; asking again gives another one. out_trade_no is unique for the merchant for ever; the same trade " +
			"again is answered as it stands. With the key of a merchant payer may not be sent.",
		action: guard.MoveMoney, sellers: true, ok: created, handle: a.atTill(postTrade),
	})
	add[tradesIn, jsonOut[tradesBody]](r, operation{
		name: "find-trades", method: get, path: "/v1/trades", tag: tagTrades, summary: "Page through the trades of a merchant by out_trade_no, or find one by the platform's number",
		text:   "A trade that a payment under way is about to change is listed as it was before: read it by itself to see what becomes of it. Events (/v1/events) are in the order of time.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getTrades),
	})
	add[tradeIn, jsonOut[TradeBody]](r, operation{
		name: "read-trade", method: get, path: "/v1/trades/{merchant}/{out_trade_no}", tag: tagTrades, summary: "Read a trade as it stands",
		text:   "What it says is true, whatever a caller was told before.",
		action: guard.ReadMoney, sellers: true, buyers: true, handle: a.atTill(getTrade),
	})
	add[tradeChangeIn, jsonOut[TradeBody]](r, operation{
		name: "close-trade", method: post, path: "/v1/trades/{merchant}/{out_trade_no}/close", tag: tagTrades, summary: "End a trade that has not been paid",
		text:   "A payment of it that is under way goes back. One that has been paid is refused: cancel or refund it. Closing once more is refused as trade-status-error.",
		action: guard.MoveMoney, sellers: true, handle: a.atTill(postTradeClose),
	})
	add[tradeChangeIn, jsonOut[cancelledBody]](r, operation{
		name: "cancel-trade", method: post, path: "/v1/trades/{merchant}/{out_trade_no}/cancel", tag: tagTrades, summary: "Make sure that a trade is not paid, whatever has become of it",
		text:   "For a merchant who does not know whether he was paid: what waits is closed, what has been paid is given back, and a number that nobody has used is used up. " + againDone,
		action: guard.MoveMoney, sellers: true, handle: a.atTill(postTradeCancel),
	})
	add[splitTradeIn, jsonOut[splitDoneBody]](r, operation{
		name: "split-trade", method: post, path: "/v1/trades/{merchant}/{out_trade_no}/splits", tag: tagTrades, summary: "Give shares of a paid trade to others",
		text: "At most five receivers at once, customers or merchants. The money of all shares is set aside first, then each is paid. A receiver who cannot take his share stops " +
			"nobody else: if his account is closed, the share comes back at once; if it is blocked, payment is tried again by itself for seven days before it does. Whatever " +
			"interrupts that, the same request again pays what is not paid yet and nothing twice, and says what has become of each share. With finish what is left belongs to the merchant, and nothing can be split any more.",
		action: guard.MoveMoney, sellers: true, handle: a.atTill(postTradeSplit),
	})
}

type tradeAskIn struct {
	NumberIn
	Body tradeAskBody
}

type tradeAskBody struct {
	Merchant      string `json:"merchant,omitempty" doc:"16 digits; may be left out with a key of the merchant" example:"2088000000010420"`
	OutTradeNo    string `json:"out_trade_no,omitempty" maxLength:"64" doc:"The merchant's number: letters, digits, . _ : -. The Idempotency-Key if left out"`
	Amount        int64  `json:"amount" doc:"In minor units: 1 to 10000000000"`
	Asset         string `json:"asset" example:"CNY"`
	Mode          string `json:"mode,omitempty" enum:"plain,escrow,split" doc:"Where the money of a payment goes: to the merchant (plain, if left out); to the platform, until the buyer confirms; or less the fee to the platform, until the shares have been given"`
	Subject       string `json:"subject" maxLength:"256" doc:"What is sold; no control characters"`
	Body          string `json:"body,omitempty" maxLength:"400" doc:"More about it; of control characters tabs and ends of lines only"`
	Passback      string `json:"passback,omitempty" maxLength:"512" doc:"Comes back in events; of control characters tabs and ends of lines only"`
	Buyer         string `json:"buyer,omitempty" doc:"The customer who alone may pay, 16 digits; anybody if left out"`
	Shop          string `json:"shop,omitempty" maxLength:"64"`
	Till          string `json:"till,omitempty" maxLength:"64"`
	Clerk         string `json:"clerk,omitempty" maxLength:"64"`
	App           string `json:"app,omitempty" doc:"Id of the merchant's app whose key signs the notices"`
	Notify        string `json:"notify,omitempty" doc:"Address for the notices of this trade, with app; at most 256 bytes"`
	PayUntil      string `json:"pay_until,omitempty" format:"date-time" doc:"The end of the time to pay, 1 minute to 15 days from now; 3 hours for trades of a shop and 15 days for others if left out"`
	Payer         string `json:"payer,omitempty" doc:"The customer who pays at once from his wallet, 16 digits"`
	PaymentCode   string `json:"payment_code,omitempty" doc:"The 18 digits that a customer shows: he pays at once"`
	Authorisation string `json:"authorisation,omitempty" doc:"The out_order_no of an authorisation of this merchant: paid at once from what is frozen"`
	Complete      bool   `json:"complete,omitempty" doc:"With authorisation: what is left of it is released afterwards"`
	QR            bool   `json:"qr,omitempty" doc:"Answer with a token for a QR code that a customer opens and pays"`
}

// madeTradeBody documents what appendTrade writes; a test holds the two together.
type madeTradeBody struct {
	TradeBody
	Token string `json:"token,omitempty" doc:"For the QR code: whoever has it can see the trade and pay it, for two hours"`
	QR    string `json:"qr,omitempty" doc:"What the QR code says: the address of the page that opens the trade; left out where the site has no pages"`
}

// tradeAsk is a trade to be made, and how it is to be paid.
type tradeAsk struct {
	pay.TradeAsk
	payer         holdfast.Owner
	code          string
	authorisation string
	complete, qr  bool
}

var tradeAskMembers = []string{
	"merchant", "out_trade_no", "amount", "asset", "mode", "subject", "body", "passback", "buyer", "shop", "till", "clerk", "app", "notify",
	"pay_until", "payer", "payment_code", "authorisation", "complete", "qr",
}

// readTradeAsk reads the body of the most frequent of all requests: by hand, without reflection.
func readTradeAsk(text string, ask *tradeAsk) error {
	s := newScanner(text)
	for name := range s.members(tradeAskMembers) {
		switch name {
		case "merchant":
			ask.Merchant = s.owner()
		case "amount":
			ask.Amount = s.amount()
		case "asset":
			ask.Asset = s.asset()
		case "mode":
			ask.Mode = s.mode()
		case "buyer":
			ask.Buyer = s.owner()
		case "pay_until":
			ask.Until = s.moment()
		case "payer":
			ask.payer = s.owner()
		case "complete":
			ask.complete = s.boolean()
		case "qr":
			ask.qr = s.boolean()
		default:
			*ask.text(name) = s.words()
		}
	}
	return s.end()
}

// text is where a member goes that is a text.
func (ask *tradeAsk) text(name string) *string {
	switch name {
	case "out_trade_no":
		return &ask.OutTradeNo
	case "subject":
		return &ask.Subject
	case "body":
		return &ask.Body
	case "passback":
		return &ask.Passback
	case "shop":
		return &ask.Shop
	case "till":
		return &ask.Till
	case "clerk":
		return &ask.Clerk
	case "app":
		return &ask.App
	case "notify":
		return &ask.Notify
	case "payment_code":
		return &ask.code
	}
	return &ask.authorisation
}

// mode reads the mode of a trade.
func (s *scanner) mode() pay.Mode {
	text := s.string(maxName)
	for m, name := range modeNames {
		if s.fault != nil || text == name {
			return pay.Mode(m)
		}
	}
	s.fail("%s is not one of %s", printable(text), strings.Join(modeNames[:], ", "))
	return 0
}

// moment reads a time of RFC 3339.
func (s *scanner) moment() holdfast.Time {
	return parsed(s, func(text string) (holdfast.Time, error) {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || t.Year() < 1971 || t.Year() > 2200 {
			return 0, errors.New("a time is one of RFC 3339, for example 2026-11-27T09:00:00Z")
		}
		return holdfast.TimeOf(t), nil
	})
}

func postTrade(ctx context.Context, t *till) error {
	text, err := t.x.body()
	if err != nil {
		return err
	}
	var ask tradeAsk
	if err := readTradeAsk(text, &ask); err != nil {
		return err
	}
	if err := t.admitTrade(ctx, &ask); err != nil {
		return err
	}
	v, token, err := t.makeTrade(ctx, &ask)
	if err != nil {
		return err
	}
	t.x.out = t.appendMadeTrade(t.x.out[:0], &v, token)
	return t.x.sendRaw(t.madeNow(v.Created, v.Paid), jsonType)
}

// madeNow is 201 when one of the times says that this request did it, and 200 when it had been done before.
func (t *till) madeNow(times ...holdfast.Time) int {
	for _, at := range times {
		if at == t.at {
			return http.StatusCreated
		}
	}
	return http.StatusOK
}

// admitTrade checks what package pay cannot: who asks, and what of the request does not go together.
func (t *till) admitTrade(ctx context.Context, ask *tradeAsk) (err error) {
	if ask.Merchant, err = t.bodyMerchant(ask.Merchant); err != nil {
		return err
	}
	if err := t.x.platformOnly("payer", ask.payer != 0); err != nil {
		return err
	}
	ways := 0
	for _, way := range [...]bool{ask.payer != 0, ask.code != "", ask.authorisation != "", ask.qr} {
		if way {
			ways++
		}
	}
	switch {
	case ways > 1:
		return edgeMalformed.field("payer", "send one of payer, payment_code, authorisation and qr: a trade is paid in one way")
	case ask.complete && ask.authorisation == "":
		return edgeMalformed.field("complete", "complete is about an authorisation: name it, or leave complete out")
	}
	if ask.OutTradeNo, err = t.number(ask.OutTradeNo, "out_trade_no"); err != nil {
		return err
	}
	if ask.Notify != "" && ask.Asset != yuan {
		return edgeMalformed.field("notify", "notices of the gateway are about CNY alone: leave it out, and register an endpoint for events (POST /v1/webhooks)")
	}
	return t.checkNotices(ctx, ask.Merchant, ask.App, ask.Notify)
}

// yuan is the currency of the gateway, and of its notices.
var yuan = holdfast.MustAsset("CNY")

// checkNotices checks where notices are to go, and whose key is to sign them.
func (t *till) checkNotices(ctx context.Context, merchant holdfast.Owner, app, notify string) error {
	if app == "" && notify != "" {
		return edgeMalformed.field("notify", "nothing could sign the notices: send app as well, the id of an app of the merchant (POST /v1/merchants/{id}/apps makes one), or leave notify out and register an endpoint for events (POST /v1/webhooks)")
	}
	if err := t.checkApp(ctx, merchant, app); err != nil {
		return err
	}
	return t.checkAddress("notify", notify)
}

// checkApp checks that an app that is named is one of the merchant, and is there: an order with any other would have notices that nobody sends.
func (t *till) checkApp(ctx context.Context, merchant holdfast.Owner, app string) error {
	if app == "" {
		return nil
	}
	var refused *pay.Refusal
	of, ok := pay.AppOwner(app)
	if ok && of == merchant {
		_, err := t.App(ctx, app)
		if !errors.As(err, &refused) {
			return err
		}
	}
	return edgeMalformed.field("app", "this is no app of the merchant: send the id of one of his (POST /v1/merchants/{id}/apps makes one), or leave app and notify out")
}

// checkAddress checks where something is to be posted to.
func (t *till) checkAddress(field, url string) error {
	if url != "" && t.Commerce.Endpoint != nil {
		if err := t.Commerce.Endpoint(url); err != nil {
			return edgeMalformed.field(field, "%v", err)
		}
	}
	return nil
}

func (t *till) makeTrade(ctx context.Context, ask *tradeAsk) (v pay.Trade, token string, err error) {
	switch {
	case ask.payer != 0:
		v, err = t.PayNew(ctx, ask.TradeAsk, ask.payer, t.at)
	case ask.code != "":
		v, err = t.PayByCode(ctx, ask.TradeAsk, ask.code, t.at)
		err = renamed(err, "auth_code", "payment_code")
	case ask.authorisation != "":
		t.wrote = ask.complete // it may be paid when releasing the rest fails
		v, err = t.PayFrozen(ctx, ask.TradeAsk, ask.authorisation, ask.complete, t.at)
		err = renamed(renamed(renamed(err, "auth_no", "authorisation"), "out_order_no", "authorisation"), "total_amount", "amount")
	case ask.qr:
		var random [pay.TokenBytes]byte
		if err := t.fill(random[:]); err != nil {
			return v, "", err
		}
		v, token, err = t.Precreate(ctx, ask.TradeAsk, random, t.at)
	default:
		v, err = t.Create(ctx, ask.TradeAsk, t.at)
	}
	return v, token, renamed(err, "time_expire", "pay_until")
}

// renamed gives the field of a refusal the name that it has in the body of a request here.
func renamed(err error, field, here string) error {
	if r, ok := err.(*pay.Refusal); ok && r.Field == field { // as package pay returns it, unwrapped
		return &pay.Refusal{Code: r.Code, Field: here, Text: r.Text}
	}
	return err
}

type tradesIn struct {
	MerchantIn
	TradeNo string `query:"trade_no" maxLength:"28" doc:"The platform's number: the answer has that trade only"`
	PageIn
}

type tradesBody struct {
	Trades []TradeBody `json:"trades" doc:"In the order of their numbers"`
	Next   string      `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

type tradeIn struct {
	PathTrade
	DeadlineIn
}

type tradeChangeIn struct {
	NumberIn
	PathTrade
}

// page are the parameters of a list that goes on after a number.
func (x *exchange) page() (after string, limit int, err error) {
	if limit, err = x.query.limit(); err != nil {
		return "", 0, err
	}
	after = x.query.get("cursor")
	const inNumbers = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._:~/-"
	if strings.Trim(after, inNumbers) != "" || len(after) > holdfast.MaxRecordKey {
		return "", 0, badCursor()
	}
	return after, limit, nil
}

func getTrades(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	if no := t.x.query.get("trade_no"); no != "" {
		return t.findTrade(ctx, no)
	}
	merchant, err := t.queryMerchant()
	if err != nil {
		return err
	}
	list, next, err := t.Trades(ctx, merchant, after, limit, t.at)
	if err != nil {
		return err
	}
	body := tradesBody{Trades: []TradeBody{}, Next: next}
	for i := range list {
		body.Trades = append(body.Trades, tradeBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func (t *till) findTrade(ctx context.Context, no string) error {
	merchant, outTradeNo, err := t.FindTrade(ctx, no)
	if err != nil {
		return err
	}
	if err := t.x.actsFor(merchant); err != nil {
		return err
	}
	v, err := t.Query(ctx, merchant, outTradeNo, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, tradesBody{Trades: []TradeBody{tradeBodyOf(&v)}})
}

// ownTrade is the trade that the path names, for its merchant's key as well.
func (t *till) ownTrade() (merchant holdfast.Owner, outTradeNo string, err error) {
	merchant, err = t.pathMerchant("merchant")
	return merchant, t.x.r.PathValue("out_trade_no"), err
}

func getTrade(ctx context.Context, t *till) error {
	find := t.ownTrade
	if t.x.buyer != 0 {
		find = t.x.pathTrade // the trade says whose it is
	}
	merchant, outTradeNo, err := find()
	if err != nil {
		return err
	}
	v, err := t.Query(ctx, merchant, outTradeNo, t.at)
	var none *pay.Refusal
	if t.x.buyer != 0 && (errors.As(err, &none) || err == nil && t.x.buyer != v.Payer && t.x.buyer != v.Buyer) {
		return edgeForbidden.problem("The session may only be used for trades that the customer has paid, or that are for nobody else.")
	}
	if err != nil {
		return err
	}
	return t.sendTrade(&v)
}

func postTradeClose(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	merchant, outTradeNo, err := t.ownTrade()
	if err != nil {
		return err
	}
	v, err := t.Close(ctx, merchant, outTradeNo, t.at)
	if err != nil {
		return err
	}
	return t.sendTrade(&v)
}

type cancelledBody struct {
	TradeBody
	Cancelled string `json:"cancelled" enum:"nothing,closed,refunded" doc:"What was done: nothing, because there was no trade, and its number is used up; it was closed; or what was left of it has been given back"`
}

var cancelledNames = [...]string{"nothing", "closed", "refunded"}

func postTradeCancel(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	merchant, outTradeNo, err := t.ownTrade()
	if err != nil {
		return err
	}
	v, did, err := t.Cancel(ctx, merchant, outTradeNo, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, cancelledBody{tradeBodyOf(&v), cancelledNames[did]})
}

type splitTradeIn struct {
	NumberIn
	PathTrade
	Body splitTradeBody
}

type splitTradeBody struct {
	OutRequestNo string      `json:"out_request_no,omitempty" maxLength:"64" doc:"Number of the request, unique for the merchant. The Idempotency-Key if left out"`
	Shares       []shareBody `json:"shares,omitempty" maxItems:"5"`
	Finish       bool        `json:"finish,omitempty" doc:"What is left belongs to the merchant: nothing can be split any more"`
}

type shareBody struct {
	To     string `json:"to" doc:"A customer or merchant, 16 digits"`
	Amount int64  `json:"amount" doc:"In minor units"`
	Text   string `json:"text,omitempty" maxLength:"1000" doc:"What it is for; of control characters tabs and ends of lines only"`
}

type splitDoneBody struct {
	Trade        TradeBody       `json:"trade"`
	OutRequestNo string          `json:"out_request_no"`
	Shares       []paidShareBody `json:"shares"`
}

type paidShareBody struct {
	To     string `json:"to"`
	Amount int64  `json:"amount"`
	Text   string `json:"text,omitempty"`
	Paid   bool   `json:"paid"`
	Back   bool   `json:"returned,omitempty" doc:"Its receiver could not take it: it has come back. Neither paid nor returned: it is tried again by itself"`
}

var (
	splitTradeMembers = []string{"out_request_no", "shares", "finish"}
	shareMembers      = []string{"to", "amount", "text"}
)

func (x *exchange) splitAsk() (ask pay.SplitAsk, err error) {
	err = x.object(splitTradeMembers, func(s *scanner, name string) {
		switch name {
		case "out_request_no":
			ask.Number = s.words()
		case "finish":
			ask.Finish = s.boolean()
		case "shares":
			for range s.elements(maxList) {
				ask.Shares = append(ask.Shares, s.share())
			}
		}
	})
	return ask, err
}

func (s *scanner) share() (v pay.Share) {
	for name := range s.members(shareMembers) {
		switch name {
		case "to":
			v.To = s.owner()
		case "amount":
			v.Amount = s.amount()
		case "text":
			v.Text = s.words()
		}
	}
	return v
}

func postTradeSplit(ctx context.Context, t *till) error {
	ask, err := t.x.splitAsk()
	if err != nil {
		return err
	}
	if ask.Merchant, ask.OutTradeNo, err = t.ownTrade(); err != nil {
		return err
	}
	if ask.Number, err = t.number(ask.Number, "out_request_no"); err != nil {
		return err
	}
	t.wrote = true // it takes several steps, and may stop behind any of them
	v, done, err := t.Split(ctx, ask, t.at)
	if err != nil {
		return renamed(renamed(err, "trans_in", "shares"), "royalty_parameters", "shares")
	}
	body := splitDoneBody{Trade: tradeBodyOf(&v), OutRequestNo: done.Number, Shares: []paidShareBody{}}
	for _, s := range done.Shares {
		body.Shares = append(body.Shares, paidShareBody{s.To.String(), int64(s.Amount), s.Text, s.Paid, s.Back})
	}
	return t.x.sendJSON(http.StatusOK, body)
}

// appendMadeTrade writes a trade, and the token of its QR code if there is one.
func (t *till) appendMadeTrade(b []byte, v *pay.Trade, token string) []byte {
	b = appendTrade(b, v)
	if token == "" {
		return b
	}
	b = append(append(b[:len(b)-1], `,"token":"`...), token...)
	b = append(b, '"')
	if t.Pages != "" {
		b = appendText(append(b, `,"qr":`...), t.Pages+"/q/"+token)
	}
	return append(b, '}')
}

// appendTrade writes what tradeBodyOf says, without reflection: it is the answer to every payment of a trade.
func appendTrade(b []byte, v *pay.Trade) []byte {
	b = strconv.AppendUint(append(b, `{"merchant":"`...), uint64(v.Merchant), 10)
	b = append(append(b, `","out_trade_no":"`...), v.OutTradeNo...) // both numbers have no byte that needs an escape
	b = append(append(b, `","trade_no":"`...), v.TradeNo...)
	b = append(append(b, `","status":"`...), v.Status.String()...)
	b = append(append(b, `","mode":"`...), modeNames[v.Mode]...)
	b = strconv.AppendInt(append(b, `","amount":`...), int64(v.Amount), 10)
	b = append(append(append(b, `,"asset":"`...), assetText(v.Asset)...), '"')
	for _, m := range [...]struct{ name, text string }{
		{`,"subject":`, v.Subject},
		{`,"body":`, v.Body},
		{`,"passback":`, v.Passback},
		{`,"shop":`, v.Shop},
		{`,"till":`, v.Till},
		{`,"clerk":`, v.Clerk},
		{`,"app":`, v.App},
		{`,"authorisation":`, v.AuthNo},
		{`,"protection":`, v.Protection.String()},
	} {
		if m.text != "" {
			b = appendText(append(b, m.name...), m.text)
		}
	}
	b = appendOwner(b, `,"buyer":"`, v.Buyer)
	b = appendOwner(b, `,"payer":"`, v.Payer)
	if v.Opened {
		b = append(b, `,"opened":true`...)
	}
	for _, m := range [...]struct {
		name  string
		money holdfast.Amount
	}{
		{`,"fee":`, v.FeeTaken},
		{`,"fee_returned":`, v.FeeBack},
		{`,"refunded":`, v.Refunded},
		{`,"shared":`, v.Shared - v.ShareBack},
		{`,"held":`, v.Kept},
		{`,"released":`, v.Released},
	} {
		b = strconv.AppendInt(append(b, m.name...), int64(m.money), 10)
	}
	return append(appendTradeTimes(b, v), '}')
}

func appendTradeTimes(b []byte, v *pay.Trade) []byte {
	refunds := v.RefundUntil
	if v.Payer == 0 { // until it is paid it says how long after the payment
		refunds = 0
	}
	for _, m := range [...]struct {
		name string
		at   holdfast.Time
	}{
		{`,"created":"`, v.Created},
		{`,"pay_until":"`, v.Until},
		{`,"paid":"`, v.Paid},
		{`,"closed":"`, v.Closed},
		{`,"deadline":"`, v.Deadline},
		{`,"refund_until":"`, refunds},
	} {
		if m.at != 0 {
			b = append(appendTime(append(b, m.name...), m.at), '"')
		}
	}
	return b
}

// appendOwner writes an owner behind the beginning of his member; 0 is left out.
func appendOwner(b []byte, member string, o holdfast.Owner) []byte {
	if o == 0 {
		return b
	}
	return append(strconv.AppendUint(append(b, member...), uint64(o), 10), '"')
}

// appendText writes a JSON string of any text, also one of a caller.
func appendText(b []byte, text string) []byte {
	ascii := true
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c == '"' || c == '\\' {
			return appendAnyText(b, text)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(text) {
		return appendAnyText(b, text)
	}
	return append(append(append(b, '"'), text...), '"')
}

func appendAnyText(b []byte, text string) []byte {
	if quoted, err := json.Marshal(text); err == nil { // a string has no way to fail
		return append(b, quoted...)
	}
	return append(b, `""`...)
}
