package desk

import (
	"context"
	"fmt"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// offer is what a merchant asks for, in the terms of pay.
func (d *Desk) offer(who alipay.Caller, t *alipay.OrderTerms) (pay.TradeAsk, error) {
	ask := pay.TradeAsk{
		Merchant: who.Merchant, OutTradeNo: t.OutTradeNo, Until: holdfast.TimeOf(t.Expires),
		TradeOffer: pay.TradeOffer{
			Amount: t.Total, Asset: cny, Subject: t.Subject, Body: t.Body, Passback: t.Passback, Shop: t.Place.Store, Till: t.Place.Terminal,
			Clerk: t.Place.Operator, App: who.App.ID, Notify: t.NotifyURL,
		},
	}
	return ask, d.seller(who, t.Seller)
}

// seller checks that a seller who is named is the one for whom the app asks.
func (d *Desk) seller(who alipay.Caller, named string) error {
	if named == "" || named == who.Merchant.String() {
		return nil
	}
	if _, err := holdfast.ParseOwner(named); err != nil {
		return refusal("ACQ.SELLER_NOT_EXIST")
	}
	return refusal("ACQ.PARTNER_ERROR")
}

// Pay implements alipay.Trades.
func (d *Desk) Pay(ctx context.Context, who alipay.Caller, r alipay.PayRequest) (a alipay.PayAnswer, err error) {
	ask, err := d.offer(who, &r.OrderTerms)
	if err != nil {
		return a, err
	}
	var v pay.Trade
	if r.AuthNo != "" {
		v, err = d.payFrozen(ctx, who, &r, ask)
	} else {
		v, err = d.cashier.PayByCode(ctx, ask, r.AuthCode.Reveal(), at(who))
	}
	if err != nil && r.AuthNo == "" {
		return a, trading.single(err)
	}
	if err != nil {
		return a, trading.tell(err)
	}
	return alipay.PayAnswer{
		TradeNo: v.TradeNo, OutTradeNo: v.OutTradeNo, Buyer: d.customer(who.App.ID, v.Payer), Total: v.Amount, Receipt: v.Amount, BuyerPaid: v.Amount,
		PaidAt: clocked(v.Paid), Funds: funds(v.Amount), StoreName: d.storeName(ctx, &v),
	}, nil
}

// storeName is for the customer's eyes: the payment is done whether it is found or not.
func (d *Desk) storeName(ctx context.Context, v *pay.Trade) string {
	if v.Shop == "" {
		return ""
	}
	s, err := d.cashier.Shop(ctx, v.Merchant, v.Shop, "")
	if err != nil {
		return ""
	}
	return s.Name
}

// payFrozen pays out of a hold.
func (d *Desk) payFrozen(ctx context.Context, who alipay.Caller, r *alipay.PayRequest, ask pay.TradeAsk) (v pay.Trade, err error) {
	order, err := d.cashier.OwnAuth(ctx, who.Merchant, r.AuthNo)
	if err != nil {
		return v, err
	}
	hold, err := d.cashier.QueryAuth(ctx, who.Merchant, order, at(who))
	if err != nil {
		return v, err
	}
	if r.Buyer != "" && hold.Payer != 0 && r.Buyer != hold.Payer.String() {
		return v, refusal("ACQ.AUTH_NO_ERROR", "预授权号错误 (the money of this auth_no was frozen by another customer than buyer_id)")
	}
	v, err = d.cashier.PayFrozen(ctx, ask, order, r.Complete, at(who))
	code := why(err)
	switch {
	case code == "":
		return v, err
	case r.Complete && code != pay.TradeDiffers && v.Paid > 0 && v.AuthNo == hold.AuthNo:
		// The payment is made, and only the rest is not released: that is not "nothing was executed", and so no refusal any more.
		return v, fmt.Errorf("paid out of a hold, whose rest is not released: %v", err)
	case code == pay.AuthTooMuch || code == pay.AuthStateWrong:
		return v, overHold(hold.Status, err)
	}
	return v, err
}

// overHold tells of a hold that is over in the words there are for that.
func overHold(s pay.AuthStatus, err error) error {
	switch s {
	case pay.AuthClosed:
		return refusal("ACQ.AUTH_ORDER_HAS_CLOSED")
	case pay.AuthFinish:
		return refusal("ACQ.AUTH_ORDER_HAS_FINISHED")
	}
	return err
}

// Precreate implements alipay.Trades.
func (d *Desk) Precreate(ctx context.Context, who alipay.Caller, r alipay.PrecreateRequest) (a alipay.PrecreateAnswer, err error) {
	ask, err := d.offer(who, &r.OrderTerms)
	if err != nil {
		return a, err
	}
	v, token, err := d.cashier.PrecreateUntil(ctx, ask, holdfast.TimeOf(r.CodeExpires), at(who))
	if err != nil {
		return a, trading.tell(err)
	}
	return alipay.PrecreateAnswer{OutTradeNo: v.OutTradeNo, QRCode: d.public + "/q/" + token}, nil
}

// Create implements alipay.Trades.
func (d *Desk) Create(ctx context.Context, who alipay.Caller, r alipay.CreateRequest) (a alipay.CreateAnswer, err error) {
	ask, err := d.offer(who, &r.OrderTerms)
	if err != nil {
		return a, err
	}
	if ask.Buyer, err = d.buyer(ctx, who, &r); err != nil {
		return a, trading.tell(err)
	}
	v, err := d.cashier.Create(ctx, ask, at(who))
	if err != nil {
		return a, trading.tell(err)
	}
	return alipay.CreateAnswer{TradeNo: v.TradeNo, OutTradeNo: v.OutTradeNo}, nil
}

// buyer finds the customer for whom a trade is made.
func (d *Desk) buyer(ctx context.Context, who alipay.Caller, r *alipay.CreateRequest) (o holdfast.Owner, err error) {
	switch {
	case r.BuyerID != "":
		o, err = d.someone(ctx, who, byNumber, r.BuyerID, "ACQ.BUYER_NOT_EXIST")
	case r.BuyerOpenID != "":
		o, err = d.someone(ctx, who, byOpenID, r.BuyerOpenID, "ACQ.OPEN_ID_NOT_TINY_APP")
	default:
		o, err = d.someone(ctx, who, byAlias, r.BuyerLogonID, "ACQ.BUYER_NOT_EXIST")
	}
	if err == nil && o != who.Merchant { // who pays himself is told so
		_, err = d.cashier.Customer(ctx, o)
	}
	return o, err
}

// entries are the kinds of visits.
var entries = map[alipay.Entry]pay.Entry{alipay.Page: pay.EntryPage, alipay.Wap: pay.EntryWap, alipay.InApp: pay.EntryApp}

// Open implements alipay.Trades.
func (d *Desk) Open(ctx context.Context, who alipay.Caller, r alipay.OpenRequest) (a alipay.OpenAnswer, err error) {
	ask, err := d.offer(who, &r.OrderTerms)
	if err != nil {
		return a, err
	}
	v, visit, err := d.cashier.Enter(ctx, ask, pay.Visit{
		Entry: entries[r.Entry], App: who.App.ID, AuthApp: who.AuthApp, Return: r.ReturnURL, Quit: r.QuitURL,
	}, at(who))
	if err != nil {
		return a, trading.tell(err)
	}
	return alipay.OpenAnswer{TradeNo: v.TradeNo, OutTradeNo: v.OutTradeNo, Total: v.Amount, Cashier: d.public + "/cashier/" + visit.Token}, nil
}

// number is the merchant's number of the trade that is meant.
func (d *Desk) number(ctx context.Context, who alipay.Caller, ref alipay.TradeRef) (string, error) {
	if ref.TradeNo == "" {
		return ref.OutTradeNo, nil
	}
	return d.cashier.OwnTrade(ctx, who.Merchant, ref.TradeNo)
}

// toChange is the number of a trade that is to be changed. Amounts at the gateway are yuan: a trade of another currency, which the native API
// makes, is none that it knows, or 1.23 would refund dollars.
func (d *Desk) toChange(ctx context.Context, who alipay.Caller, ref alipay.TradeRef) (string, error) {
	n, err := d.number(ctx, who, ref)
	if err != nil {
		return n, err
	}
	v, err := d.cashier.Query(ctx, who.Merchant, n, at(who))
	if err == nil && other(v.Asset) {
		return n, foreign
	}
	if why(err) == pay.TradeUnknown {
		err = nil // each method has its own way with that
	}
	return n, err
}

// other reports a currency that the gateway does not know. A number that was cancelled before there was a trade has none.
func other(a holdfast.Asset) bool { return a != cny && a != 0 }

var foreign = refusal("ACQ.TRADE_NOT_EXIST", "交易不存在 (this trade is not in CNY: use the native API)")

// hidden reports that nobody has opened the QR code of a trade yet: for the merchant there is none so far.
func hidden(v *pay.Trade) bool { return v.Status == pay.StatusWaiting && v.ByCode && !v.Opened }

// Query implements alipay.Trades.
func (d *Desk) Query(ctx context.Context, who alipay.Caller, ref alipay.TradeRef) (a alipay.Trade, err error) {
	n, err := d.number(ctx, who, ref)
	if err != nil {
		return a, trading.tell(err)
	}
	v, err := d.cashier.Query(ctx, who.Merchant, n, at(who))
	if err == nil && other(v.Asset) {
		err = foreign
	}
	if err == nil && hidden(&v) {
		err = refusal("ACQ.TRADE_NOT_EXIST", "交易不存在 (nobody has opened the QR code of this order yet)")
	}
	if err != nil {
		return a, trading.tell(err)
	}
	a = alipay.Trade{
		TradeNo: v.TradeNo, OutTradeNo: v.OutTradeNo, Status: v.Status.String(), Total: v.Amount, PaidAt: clocked(v.Paid),
		Place: alipay.Place{Store: v.Shop, Terminal: v.Till, Operator: v.Clerk},
	}
	if v.Payer != 0 {
		a.Buyer, a.BuyerType = d.customer(who.App.ID, v.Payer), "PRIVATE"
		a.Receipt, a.BuyerPaid, a.Funds = v.Amount, v.Amount, funds(v.Amount)
	}
	return a, nil
}

// Cancel implements alipay.Trades.
func (d *Desk) Cancel(ctx context.Context, who alipay.Caller, r alipay.CancelRequest) (a alipay.CancelAnswer, err error) {
	n, err := d.toChange(ctx, who, r.TradeRef)
	if why(err) == pay.TradeUnknown {
		return a, nil // nothing to close: a number of the platform that leads to no trade of this merchant never will
	}
	if err != nil {
		return a, refunding.tell(err)
	}
	v, did, err := d.cashier.Cancel(ctx, who.Merchant, n, at(who))
	if err != nil {
		return a, refunding.tell(err)
	}
	a = alipay.CancelAnswer{TradeNo: v.TradeNo, OutTradeNo: n}
	switch {
	case did == pay.CancelledRefunded:
		a.Action = "refund"
	case did == pay.CancelledClosed && (v.Opened || !v.ByCode):
		a.Action = "close"
	default:
		a.TradeNo = ""
	}
	return a, nil
}

// Close implements alipay.Trades.
func (d *Desk) Close(ctx context.Context, who alipay.Caller, r alipay.CloseRequest) (a alipay.CloseAnswer, err error) {
	n, err := d.toChange(ctx, who, r.TradeRef)
	if err != nil {
		return a, closing.tell(err)
	}
	v, err := d.cashier.Close(ctx, who.Merchant, n, at(who))
	if err != nil {
		return a, closing.tell(err)
	}
	return alipay.CloseAnswer{TradeNo: v.TradeNo, OutTradeNo: n}, nil
}

// Refund implements alipay.Trades.
func (d *Desk) Refund(ctx context.Context, who alipay.Caller, r alipay.RefundRequest) (a alipay.RefundAnswer, err error) {
	n, err := d.toChange(ctx, who, r.TradeRef)
	if err != nil {
		return a, refunding.tell(err)
	}
	if r.RequestNo == "" {
		if err := d.whole(ctx, who, n, r.Amount); err != nil {
			return a, refunding.tell(err)
		}
		r.RequestNo = n
	}
	v, done, err := d.cashier.Refund(ctx, pay.RefundAsk{
		Merchant: who.Merchant, OutTradeNo: n, Number: r.RequestNo, Amount: r.Amount, Reason: r.Reason, Clerk: r.Place.Operator,
	}, at(who))
	if err != nil {
		return a, refunding.single(err)
	}
	a = alipay.RefundAnswer{
		TradeNo: v.TradeNo, OutTradeNo: n, Buyer: d.customer(who.App.ID, v.Payer), Moved: !done.Again, Refunded: v.Refunded, SentBack: done.Amount,
		PaidAt: clocked(done.At),
	}
	if r.Detail {
		a.Funds = funds(done.Amount)
	}
	return a, nil
}

// whole checks that a refund without a number of its own is one of all that was paid.
func (d *Desk) whole(ctx context.Context, who alipay.Caller, n string, amount holdfast.Amount) error {
	v, err := d.cashier.Query(ctx, who.Merchant, n, at(who))
	if err == nil && v.Payer != 0 && amount != v.Amount {
		err = refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "部分退款缺少请求号 (this is a part of the trade: send out_request_no)")
	}
	return err
}

// RefundQuery implements alipay.Trades.
func (d *Desk) RefundQuery(ctx context.Context, who alipay.Caller, r alipay.RefundQueryRequest) (a alipay.RefundQueryAnswer, err error) {
	n, err := d.number(ctx, who, r.TradeRef)
	if err != nil {
		return a, refunding.tell(err)
	}
	v, done, found, err := d.cashier.QueryRefund(ctx, who.Merchant, n, r.RequestNo, at(who))
	if err == nil && other(v.Asset) {
		return a, foreign
	}
	if err == nil && !found && r.RequestNo == v.OutTradeNo { // by which bills and notices name the refund of a cancel or dispute
		done, found, err = d.cashier.QueryCancel(ctx, who.Merchant, n)
	}
	if err != nil || !found {
		return a, refunding.tell(err)
	}
	a = alipay.RefundQueryAnswer{
		Found: true, TradeNo: v.TradeNo, OutTradeNo: n, RequestNo: r.RequestNo, Total: v.Amount, Amount: done.Amount, Reason: done.Reason,
	}
	if r.WithTime {
		a.PaidAt = clocked(done.At)
	}
	if r.Detail {
		a.Funds = funds(done.Amount)
	}
	return a, nil
}
