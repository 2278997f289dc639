package desk

import (
	"context"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// now is the moment, where no caller says it.
func (d *Desk) now() holdfast.Time { return holdfast.TimeOf(d.clock()) }

// NoticeOf is the notice by which a merchant is told of an event: where it goes, and the signed form to post. ok is false when this event is not
// told through the gateway: nobody gave an address, or it is not one of those that merchants are told of. Payments and holds are; trades that were closed
// unpaid and refunds are if the app asked for it.
//
// The same event has the same notice each time, but for what the trade or hold has come to meanwhile.
func (d *Desk) NoticeOf(ctx context.Context, e *pay.Event) (url, form string, ok bool, err error) {
	if e.Notify == "" || e.App == "" || e.Asset != cny || !slices.Contains(toldKinds, e.Kind) {
		return "", "", false, nil
	}
	k, found, err := d.app(ctx, e.App)
	if err != nil || !found || !k.wants(e.Kind) {
		return "", "", false, err
	}
	head, err := d.head(ctx, e, k.app)
	if err != nil {
		return "", "", false, err
	}
	if e.Kind == pay.EventFrozen || e.Kind == pay.EventUnfrozen {
		form, err = d.holdNotice(ctx, e, k.app, head)
	} else {
		form, err = d.tradeNotice(ctx, e, k.app, head)
	}
	return e.Notify, form, err == nil, err
}

// toldKinds are the events that are told through the gateway.
var toldKinds = []pay.EventKind{pay.EventPaid, pay.EventFrozen, pay.EventUnfrozen, pay.EventClosed, pay.EventRefunded}

// wants reports whether an app is told of a kind of event.
func (k *knownApp) wants(kind pay.EventKind) bool {
	switch kind {
	case pay.EventClosed:
		return slices.Contains(k.as.Permissions, pay.PermitClosedNotice)
	case pay.EventRefunded:
		return slices.Contains(k.as.Permissions, pay.PermitRefundNotice)
	}
	return true
}

// head is what all notices have. The time is that of the event, so that every delivery says the same.
func (d *Desk) head(ctx context.Context, e *pay.Event, a *alipay.App) (alipay.NoticeHead, error) {
	h := alipay.NoticeHead{ID: noticeID(e), Time: clocked(e.Time), AppID: a.ID, AuthAppID: a.ID}
	if a.Merchant == e.Merchant {
		return h, nil
	}
	m, found, err := d.cashier.MandateOf(ctx, e.Merchant, a.ID)
	if found {
		h.AuthAppID = m.OwnApp
	}
	return h, err
}

func (d *Desk) tradeNotice(ctx context.Context, e *pay.Event, a *alipay.App, head alipay.NoticeHead) (string, error) {
	v, err := d.cashier.Query(ctx, e.Merchant, e.OutTradeNo, d.now()) // for what the event does not carry
	if err != nil {
		return "", err
	}
	n := alipay.TradeNotice{
		NoticeHead: head, TradeNo: e.TradeNo, OutTradeNo: e.OutTradeNo, Status: e.Status.String(), Total: e.Total, Seller: e.Merchant,
		Subject: e.Subject, Body: v.Body, Passback: e.Passback, Created: clocked(e.Created), PaidAt: clocked(e.Paid),
	}
	if e.Paid != 0 || e.Kind == pay.EventPaid {
		n.Receipt, n.BuyerPaid, n.Buyer, n.Funds = e.Total, e.Total, d.customer(a.ID, e.Other), funds(e.Total)
	}
	if e.Status == pay.StatusClosed {
		n.ClosedAt = clocked(e.Time)
	}
	if e.Kind == pay.EventRefunded {
		n.Refund = &alipay.RefundPart{RequestNo: e.Known(), Refunded: e.Refunded, At: clocked(e.Time)}
	}
	return n.Form(a.Platform, alipay.RSA2)
}

func (d *Desk) holdNotice(ctx context.Context, e *pay.Event, a *alipay.App, head alipay.NoticeHead) (string, error) {
	v, err := d.cashier.QueryAuth(ctx, e.Merchant, e.OutTradeNo, d.now())
	if err != nil {
		return "", err
	}
	return alipay.HoldNotice{
		NoticeHead: head, Unfreeze: e.Kind == pay.EventUnfrozen, AuthNo: v.AuthNo, OutOrderNo: v.OutOrderNo, OperationID: operationID(v.AuthNo, e.Number),
		RequestNo: e.Known(), Amount: e.Amount, Status: "SUCCESS", Frozen: v.Amount, Paid: v.Paid, Rest: v.Rest, Payer: d.customer(a.ID, e.Other),
		Created: clocked(v.Created), At: clocked(e.Time),
	}.Form(a.Platform, alipay.RSA2)
}

// noticeID is the stamp of the event without its hyphen: with the merchant it names the event and its delivery, which one read finds.
func noticeID(e *pay.Event) string { return strings.Replace(e.Stamp(), "-", "", 1) }

// NoticeSent implements alipay.Desk: one read of the delivery says it.
func (d *Desk) NoticeSent(ctx context.Context, merchant holdfast.Owner, notice string) (first time.Time, found bool, err error) {
	if len(notice) != 32 {
		return time.Time{}, false, nil
	}
	e, err := d.cashier.EventOf(ctx, merchant, notice[:16]+"-"+notice[16:])
	if why(err) == pay.EventUnknown || err == nil && e.Notify == "" {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	delivery := pay.Delivery{Event: e.Stamp(), Target: pay.NoticeTarget}
	v, err := d.cashier.Delivery(ctx, merchant, delivery.ID())
	if why(err) == pay.DeliveryUnknown {
		return clocked(e.Time), true, nil // an attempt is written down after it, and the receiver may well ask during the first
	}
	return clocked(v.Begun), err == nil, err
}

// Return is the address to which the browser of a visit goes when the trade is paid, with the signed parameters that merchants show; "" when
// there is none, or the trade is not paid.
func (d *Desk) Return(ctx context.Context, visit pay.Visit) (string, error) {
	if visit.Return == "" {
		return "", nil
	}
	v, err := d.cashier.Query(ctx, visit.Merchant, visit.OutTradeNo, d.now())
	if err != nil || v.Payer == 0 {
		return "", err
	}
	k, found, err := d.app(ctx, visit.App)
	if err != nil || !found {
		return "", err
	}
	entry := alipay.Page
	if visit.Entry == pay.EntryWap {
		entry = alipay.Wap
	}
	return alipay.ReturnURL(k.app.Platform, alipay.RSA2, visit.Return, alipay.Return{
		Entry: entry, AppID: visit.App, AuthAppID: visit.AuthApp, Seller: visit.Merchant, TradeNo: v.TradeNo, OutTradeNo: v.OutTradeNo,
		Total: v.Amount, At: d.clock(),
	})
}
