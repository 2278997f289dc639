package alipay

import (
	"crypto/rsa"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// NoticeType is the content type of a notice.
const NoticeType = "application/x-www-form-urlencoded;charset=utf-8"

// MaxNoticeReply is how much of a reply has to be read to know whether it is "success", in bytes.
const MaxNoticeReply = 64

// notifyWaits are the times between one delivery of a notice and the next.
var notifyWaits = []time.Duration{4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour}

// NoticeWait returns how long to wait after so many deliveries (1 or more) that were not accepted; more is false when it is given up: after
// the eighth.
func NoticeWait(deliveries int) (wait time.Duration, more bool) {
	if deliveries < 1 || deliveries > len(notifyWaits) {
		return 0, false
	}
	return notifyWaits[deliveries-1], true
}

// NoticeAccepted reports whether the merchant has taken a notice: status 200 and the seven characters success. Redirects must not be
// followed. What he answered is not kept.
func NoticeAccepted(status int, body []byte) bool {
	return status == 200 && string(body) == "success"
}

// NoticeHead is what all notices have. ID stays the same on every delivery of one notice; Time is that of the first.
type NoticeHead struct {
	ID               string
	Time             time.Time
	AppID, AuthAppID string
}

func (h NoticeHead) params(kind SignType, noticeType string) params {
	return params{
		{"notify_time", clockText(h.Time)},
		{"notify_type", noticeType},
		{"notify_id", h.ID},
		{"app_id", h.AppID},
		{"auth_app_id", h.AuthAppID},
		{"charset", "utf-8"},
		{"version", "1.0"},
		{"sign_type", string(kind)},
	}
}

// TradeNotice tells that the state of a trade has changed, or that it was refunded. Times that are zero and texts that are empty are not sent.
type TradeNotice struct {
	NoticeHead
	TradeNo, OutTradeNo       string
	Status                    string
	Total, Receipt, BuyerPaid holdfast.Amount
	Buyer                     Customer
	Seller                    holdfast.Owner
	Subject, Body, Passback   string
	Created, PaidAt, ClosedAt time.Time
	Funds                     []FundBill
	Refund                    *RefundPart
}

// RefundPart is what a notice says of a refund.
type RefundPart struct {
	RequestNo string
	Refunded  holdfast.Amount // of the trade, all refunds together
	At        time.Time
}

// Form is the body to send: signed, each parameter once, none of them empty.
func (n TradeNotice) Form(key *rsa.PrivateKey, kind SignType) (string, error) {
	p := n.params(kind, "trade_status_sync")
	p = append(
		p, param{"trade_no", n.TradeNo}, param{"out_trade_no", n.OutTradeNo}, param{"trade_status", n.Status},
		param{"total_amount", Yuan(n.Total)}, param{"receipt_amount", Yuan(n.Receipt)}, param{"buyer_pay_amount", Yuan(n.BuyerPaid)},
		param{"invoice_amount", Yuan(n.BuyerPaid)}, param{"point_amount", Yuan(0)},
		param{"buyer_id", n.Buyer.UserID}, param{"buyer_open_id", n.Buyer.OpenID}, param{"buyer_logon_id", n.Buyer.LogonID},
		param{"seller_id", n.Seller.String()}, param{"subject", n.Subject}, param{"body", n.Body}, param{"passback_params", n.Passback},
		param{"gmt_create", timeText(n.Created)}, param{"gmt_payment", timeText(n.PaidAt)}, param{"gmt_close", timeText(n.ClosedAt)},
		param{"fund_bill_list", fundsText(n.Funds)},
	)
	if r := n.Refund; r != nil {
		p = append(p, param{"out_biz_no", r.RequestNo}, param{"refund_fee", Yuan(r.Refunded)}, param{"gmt_refund", timeText(r.At)})
	}
	return signedForm(key, kind, p)
}

// HoldNotice tells of an operation on a hold.
type HoldNotice struct {
	NoticeHead
	Unfreeze               bool // else a freeze
	AuthNo, OutOrderNo     string
	OperationID, RequestNo string
	Amount                 holdfast.Amount
	Status                 string
	Frozen, Paid, Rest     holdfast.Amount
	Payer                  Customer
	Created, At            time.Time
}

// Form is the body to send.
func (n HoldNotice) Form(key *rsa.PrivateKey, kind SignType) (string, error) {
	noticeType, operation := "fund_auth_freeze", "FREEZE"
	if n.Unfreeze {
		noticeType, operation = "fund_auth_unfreeze", "UNFREEZE"
	}
	return signedForm(key, kind, append(
		n.params(kind, noticeType),
		param{"auth_no", n.AuthNo}, param{"out_order_no", n.OutOrderNo}, param{"operation_id", n.OperationID},
		param{"operation_type", operation}, param{"out_request_no", n.RequestNo}, param{"amount", Yuan(n.Amount)}, param{"status", n.Status},
		param{"total_freeze_amount", Yuan(n.Frozen)}, param{"total_pay_amount", Yuan(n.Paid)}, param{"rest_amount", Yuan(n.Rest)},
		param{"payer_user_id", n.Payer.UserID}, param{"payer_logon_id", n.Payer.LogonID},
		param{"gmt_create", timeText(n.Created)}, param{"gmt_trans", timeText(n.At)},
	))
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return clockText(t)
}

// fundsText is JSON in a parameter; here its names are written the other way.
func fundsText(all []FundBill) string {
	if len(all) == 0 {
		return ""
	}
	a := &answer{[]byte("[")}
	for i, f := range all {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		one := newAnswer(a.b)
		one.amount("amount", f.Amount)
		one.text("fundChannel", f.Channel)
		a.b = one.end()
	}
	return string(append(a.b, ']'))
}

func signedForm(key *rsa.PrivateKey, kind SignType, p params) (string, error) {
	p, err := signNotice(key, kind, p)
	if err != nil {
		return "", err
	}
	return p.form(), nil
}

// signNotice drops what is empty, because clients disagree on whether that is signed, and appends the signature. It covers neither sign
// nor sign_type, unlike that of a request.
func signNotice(key *rsa.PrivateKey, kind SignType, p params) (params, error) {
	p = slices.DeleteFunc(p, func(one param) bool { return one.value == "" })
	sorted := slices.Clone(p)
	slices.SortFunc(sorted, func(a, b param) int { return strings.Compare(a.name, b.name) })
	signature, err := kind.sign(key, sorted.signedText(nil, false, "sign", "sign_type"))
	if err != nil {
		return nil, err
	}
	return append(p, param{"sign", signature}), nil
}

func (p params) has(name string) bool {
	return slices.ContainsFunc(p, func(one param) bool { return one.name == name })
}
