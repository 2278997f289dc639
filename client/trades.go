package client

import (
	"context"
	"errors"
	"net/url"
	"time"

	"holdfast"
)

// NewTrade makes a trade. With none of Payer, PaymentCode, Authorisation and QR it waits for its buyer.
type NewTrade struct {
	Merchant      holdfast.Owner  `json:"merchant,omitzero"`      // may be left out with a key of the merchant
	OutTradeNo    string          `json:"out_trade_no,omitempty"` // the merchant's number, unique for ever; "": a new one
	Amount        holdfast.Amount `json:"amount"`
	Asset         holdfast.Asset  `json:"asset"`
	Mode          string          `json:"mode,omitempty"` // plain (""), escrow, split
	Subject       string          `json:"subject"`
	Body          string          `json:"body,omitempty"`
	Passback      string          `json:"passback,omitempty"` // comes back in events
	Buyer         holdfast.Owner  `json:"buyer,omitzero"`     // who alone may pay
	Shop          string          `json:"shop,omitempty"`
	Till          string          `json:"till,omitempty"`
	Clerk         string          `json:"clerk,omitempty"`
	App           string          `json:"app,omitempty"`          // whose key signs the notices
	Notify        string          `json:"notify,omitempty"`       // address for the notices
	PayUntil      time.Time       `json:"pay_until,omitzero"`     // 1 minute to 15 days from now
	Payer         holdfast.Owner  `json:"payer,omitzero"`         // pays at once, from his wallet
	PaymentCode   string          `json:"payment_code,omitempty"` // of a customer's phone: he pays at once
	Authorisation string          `json:"authorisation,omitempty"`
	Complete      bool            `json:"complete,omitempty"` // with Authorisation: the rest of it is released afterwards
	QR            bool            `json:"qr,omitempty"`       // make a token for a QR code
}

// MadeTrade is a trade, with what its QR code says if one was asked for.
type MadeTrade struct {
	Trade
	Token string `json:"token"`
	QR    string `json:"qr"` // address of the page; "" where there are none
}

// CreateTrade makes a trade, and pays it if it is said how. The same trade again is answered as it stands.
func (c *Client) CreateTrade(ctx context.Context, n NewTrade) (v MadeTrade, err error) {
	n.OutTradeNo = c.numberOr(n.OutTradeNo)
	err = c.order(ctx, "/v1/trades", n, &v)
	return v, err
}

// Trade reads a trade as it stands: what it says is true, whatever a call was answered before.
func (c *Client) Trade(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (v Trade, err error) {
	err = c.get(ctx, tradePath(merchant, outTradeNo, ""), &v)
	return v, err
}

type trades struct {
	Trades []Trade `json:"trades"`
	Next   string  `json:"next"`
}

// Trades reads a page of the trades of a merchant by OutTradeNo; see [Client.Receipts] for cursor and limit.
func (c *Client) Trades(ctx context.Context, merchant holdfast.Owner, cursor string, limit int) (list []Trade, next string, err error) {
	var v trades
	err = c.get(ctx, "/v1/trades"+pageOf(url.Values{"merchant": {merchant.String()}}, cursor, limit), &v)
	return v.Trades, v.Next, err
}

// FindTrade reads the trade with one of the platform's numbers.
func (c *Client) FindTrade(ctx context.Context, tradeNo string) (Trade, error) {
	var v trades
	if err := c.get(ctx, "/v1/trades?trade_no="+url.QueryEscape(tradeNo), &v); err != nil {
		return Trade{}, err
	}
	if len(v.Trades) != 1 {
		return Trade{}, errors.New("a number of a trade was answered without the trade: is this client older than the site?")
	}
	return v.Trades[0], nil
}

// CloseTrade ends a trade that has not been paid.
func (c *Client) CloseTrade(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (v Trade, err error) {
	err = c.order(ctx, tradePath(merchant, outTradeNo, "/close"), struct{}{}, &v)
	return v, err
}

// CancelledTrade is a trade that was cancelled, and what that has done: nothing, closed, refunded.
type CancelledTrade struct {
	Trade
	Cancelled string `json:"cancelled"`
}

// CancelTrade makes sure that the merchant is not paid, whatever has become of the trade. Repeating is done.
func (c *Client) CancelTrade(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (v CancelledTrade, err error) {
	err = c.order(ctx, tradePath(merchant, outTradeNo, "/cancel"), struct{}{}, &v)
	return v, err
}

// Share is what somebody else gets of a trade.
type Share struct {
	To     holdfast.Owner  `json:"to"`
	Amount holdfast.Amount `json:"amount"`
	Text   string          `json:"text,omitempty"`
	Paid   bool            `json:"paid,omitempty"`     // in answers
	Back   bool            `json:"returned,omitempty"` // in answers: its receiver could not take it. Neither of the two: it is tried again by itself
}

// NewSplit gives shares of a paid trade to others, at most five at once.
type NewSplit struct {
	Merchant     holdfast.Owner
	OutTradeNo   string
	OutRequestNo string // unique for the merchant; "": a new one
	Shares       []Share
	Finish       bool // what is left belongs to the merchant
}

// SplitTrade is a trade with the shares that one request has given.
type SplitTrade struct {
	Trade        Trade   `json:"trade"`
	OutRequestNo string  `json:"out_request_no"`
	Shares       []Share `json:"shares"`
}

// Split gives shares of a paid trade to others. The same request again pays what is not paid yet, and nothing twice, and says what has become of each
// share: one whose receiver is blocked is paid later by itself, or comes back.
func (c *Client) Split(ctx context.Context, n NewSplit) (v SplitTrade, err error) {
	type share struct {
		To     holdfast.Owner  `json:"to"`
		Amount holdfast.Amount `json:"amount"`
		Text   string          `json:"text,omitempty"`
	}
	body := struct {
		OutRequestNo string  `json:"out_request_no"`
		Shares       []share `json:"shares,omitempty"`
		Finish       bool    `json:"finish,omitempty"`
	}{OutRequestNo: c.numberOr(n.OutRequestNo), Finish: n.Finish}
	for _, s := range n.Shares {
		body.Shares = append(body.Shares, share{s.To, s.Amount, s.Text})
	}
	err = c.order(ctx, tradePath(n.Merchant, n.OutTradeNo, "/splits"), body, &v)
	return v, err
}

// NewRefund gives a part of a trade back to its buyer.
type NewRefund struct {
	Merchant     holdfast.Owner  `json:"merchant,omitzero"` // may be left out with a key of the merchant
	OutTradeNo   string          `json:"out_trade_no"`
	OutRequestNo string          `json:"out_request_no"` // unique for the trade; "": a new one
	Amount       holdfast.Amount `json:"amount"`
	Reason       string          `json:"reason,omitempty"`
	Clerk        string          `json:"clerk,omitempty"`
}

// Refund is a part of a trade that has been given back.
type Refund struct {
	Merchant     holdfast.Owner  `json:"merchant"`
	OutTradeNo   string          `json:"out_trade_no"`
	OutRequestNo string          `json:"out_request_no"`
	Amount       holdfast.Amount `json:"amount"`
	FeeReturned  holdfast.Amount `json:"fee_returned"` // to the merchant, with this refund
	Reason       string          `json:"reason"`
	Clerk        string          `json:"clerk"`
	Time         time.Time       `json:"time"`
	Trade        Trade           `json:"trade"` // as it stands now; not in lists
}

// Refund gives a part of a trade back. The same number with the same amount is answered as the first time.
func (c *Client) Refund(ctx context.Context, n NewRefund) (v Refund, err error) {
	n.OutRequestNo = c.numberOr(n.OutRequestNo)
	err = c.order(ctx, "/v1/refunds", n, &v)
	return v, err
}

// RefundOf reads a refund; see [IsNotFound].
func (c *Client) RefundOf(ctx context.Context, merchant holdfast.Owner, outTradeNo, outRequestNo string) (v Refund, err error) {
	err = c.get(ctx, pathOf("/v1/refunds/:merchant/:out_trade_no/:out_request_no", merchant.String(), outTradeNo, outRequestNo), &v)
	return v, err
}

// Refunds reads a page of the refunds of a trade, by number; see [Client.Receipts] for cursor and limit.
func (c *Client) Refunds(ctx context.Context, merchant holdfast.Owner, outTradeNo, cursor string, limit int) (list []Refund, next string, err error) {
	var v struct {
		Refunds []Refund `json:"refunds"`
		Next    string   `json:"next"`
	}
	q := url.Values{"merchant": {merchant.String()}, "out_trade_no": {outTradeNo}}
	err = c.get(ctx, "/v1/refunds"+pageOf(q, cursor, limit), &v)
	return v.Refunds, v.Next, err
}

// Escrow reads a trade under escrow; an [*Error] with the code escrow-none says that it is not under escrow.
func (c *Client) Escrow(ctx context.Context, merchant holdfast.Owner, outTradeNo string) (v Trade, err error) {
	err = c.get(ctx, escrowPath(merchant, outTradeNo, ""), &v)
	return v, err
}

func escrowPath(merchant holdfast.Owner, outTradeNo, what string) string {
	return pathOf("/v1/escrows/:merchant/:out_trade_no", merchant.String(), outTradeNo) + what
}

// Ship says that the merchant has shipped; the buyer has this long (1 hour to 90 days, whole seconds) to confirm or dispute.
func (c *Client) Ship(ctx context.Context, merchant holdfast.Owner, outTradeNo string, within time.Duration) (v Trade, err error) {
	body := struct {
		WithinS int64 `json:"within_s"`
	}{int64(within / time.Second)}
	err = c.order(ctx, escrowPath(merchant, outTradeNo, "/ship"), body, &v)
	return v, err
}

// ReleaseEscrow gives the merchant a part of what is held; total is what is to have been released all in all.
func (c *Client) ReleaseEscrow(ctx context.Context, merchant holdfast.Owner, outTradeNo string, total holdfast.Amount) (v Trade, err error) {
	body := struct {
		Total holdfast.Amount `json:"total"`
	}{total}
	err = c.order(ctx, escrowPath(merchant, outTradeNo, "/release"), body, &v)
	return v, err
}

// DecideEscrow ends a dispute: a part of what is held for the merchant, the rest back to the buyer.
func (c *Client) DecideEscrow(ctx context.Context, merchant holdfast.Owner, outTradeNo string, toMerchant holdfast.Amount) (v Trade, err error) {
	body := struct {
		ToMerchant holdfast.Amount `json:"to_merchant"`
	}{toMerchant}
	err = c.order(ctx, escrowPath(merchant, outTradeNo, "/decide"), body, &v)
	return v, err
}

// NewAuthorisation asks a customer to freeze money for a merchant.
type NewAuthorisation struct {
	Merchant     holdfast.Owner  `json:"merchant,omitzero"` // may be left out with a key of the merchant
	OutOrderNo   string          `json:"out_order_no"`      // the merchant's number, unique for him; "": a new one
	OutRequestNo string          `json:"out_request_no,omitempty"`
	Title        string          `json:"title,omitempty"`
	Amount       holdfast.Amount `json:"amount"`
	Asset        holdfast.Asset  `json:"asset"`
	Until        time.Time       `json:"until,omitzero"` // the end of the time to agree; zero: 15 minutes
	App          string          `json:"app,omitempty"`
	Notify       string          `json:"notify,omitempty"`
	PaymentCode  string          `json:"payment_code,omitempty"` // of a customer's phone: frozen at once
}

// OpenAuthorisation asks a customer to freeze money. The same request again is answered as it stands.
func (c *Client) OpenAuthorisation(ctx context.Context, n NewAuthorisation) (v Authorisation, err error) {
	n.OutOrderNo = c.numberOr(n.OutOrderNo)
	err = c.order(ctx, "/v1/authorisations", n, &v)
	return v, err
}

func authorisationPath(merchant holdfast.Owner, outOrderNo, what string) string {
	return pathOf("/v1/authorisations/:merchant/:out_order_no", merchant.String(), outOrderNo) + what
}

// Authorisation reads an authorisation as it stands.
func (c *Client) Authorisation(ctx context.Context, merchant holdfast.Owner, outOrderNo string) (v Authorisation, err error) {
	err = c.get(ctx, authorisationPath(merchant, outOrderNo, ""), &v)
	return v, err
}

// AuthorisationOperation is what one request has frozen or released.
type AuthorisationOperation struct {
	Authorisation Authorisation   `json:"authorisation"`
	OutRequestNo  string          `json:"out_request_no"`
	Kind          string          `json:"kind"` // freeze, unfreeze
	Amount        holdfast.Amount `json:"amount"`
	Remark        string          `json:"remark"`
	Time          time.Time       `json:"time"`
}

// AuthorisationOperation reads what one request has frozen or released; see [IsNotFound].
func (c *Client) AuthorisationOperation(ctx context.Context, merchant holdfast.Owner, outOrderNo, outRequestNo string) (v AuthorisationOperation, err error) {
	err = c.get(ctx, authorisationPath(merchant, outOrderNo, pathOf("/operations/:out_request_no", outRequestNo)), &v)
	return v, err
}

// Unfreeze releases a part of what is frozen, under a number of its own ("": a new one). The same number with the same amount is answered as
// the first time.
func (c *Client) Unfreeze(ctx context.Context, merchant holdfast.Owner, outOrderNo, outRequestNo string, amount holdfast.Amount) (v Authorisation, err error) {
	body := struct {
		OutRequestNo string          `json:"out_request_no"`
		Amount       holdfast.Amount `json:"amount"`
	}{c.numberOr(outRequestNo), amount}
	err = c.order(ctx, authorisationPath(merchant, outOrderNo, "/unfreeze"), body, &v)
	return v, err
}
