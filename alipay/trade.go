package alipay

import (
	"errors"
	"time"
	"unicode/utf8"

	"holdfast"
)

// The products whose names stand in requests.
const (
	faceToFace     = "FACE_TO_FACE_PAYMENT"
	preAuth        = "PRE_AUTH"
	preAuthOnline  = "PRE_AUTH_ONLINE"
	defaultInStore = 3 * time.Hour
	maxCodeLife    = 2 * time.Hour
	maxGoods       = 500
	maxShares      = 5
)

// terms reads what all methods that begin a trade agree on.
func (f *fields) terms(byDefault time.Duration, products ...string) OrderTerms {
	t := OrderTerms{
		OutTradeNo: f.needNumber("out_trade_no", 64),
		Total:      f.needMoney("total_amount", 1, maxAmount, "ACQ.TOTAL_FEE_EXCEED", "ACQ.TOTAL_FEE_EXCEED"),
		Subject:    f.subject(),
		Body:       f.text("body", 128),
		Product:    f.oneOf("product_code", products...),
		Seller:     f.number("seller_id", 28),
		Passback:   f.text("passback_params", 512),
		NotifyURL:  f.notify,
		Place:      f.place(),
		Goods:      f.goods(),
	}
	t.Expires, t.Explicit = f.expires(byDefault, "timeout_express")
	f.oneOf("trans_currency", "CNY")
	f.oneOf("settle_currency", "CNY")
	f.none("royalty_info", "settle_info", "sub_merchant", "agreement_params")
	return t
}

func (f *fields) subject() string {
	text := f.need("subject", 256)
	for _, c := range []byte(text) {
		if c == '/' || c == '=' || c == '&' {
			f.fail("subject", "must not contain / = or &")
			break
		}
	}
	return text
}

func (f *fields) place() Place {
	return Place{Store: f.text("store_id", 32), Terminal: f.text("terminal_id", 32), Operator: f.text("operator_id", 28)}
}

func (f *fields) goods() (all []Goods) {
	f.each("goods_detail", maxGoods, func(f *fields) {
		price, _ := f.money("price")
		all = append(all, Goods{f.need("goods_id", 64), f.text("goods_name", 256), f.whole("quantity", 0, 1_000_000_000), price})
	})
	return all
}

func readPay(f *fields) PayRequest {
	r := PayRequest{OrderTerms: f.terms(defaultInStore, faceToFace, preAuth, preAuthOnline)}
	r.Scene = f.oneOf("scene", "bar_code", "security_code")
	r.Buyer = f.number("buyer_id", 28)
	r.Complete = f.oneOf("auth_confirm_mode", "NOT_COMPLETE", "COMPLETE") == "COMPLETE"
	// The method is permitted by either product; each kind of payment by its own.
	needs := FaceToFace
	if r.Product != faceToFace {
		needs = PreAuth
	}
	if f.products&needs == 0 {
		f.refuse("ACQ.ACCESS_FORBIDDEN")
	}
	if r.Product != faceToFace {
		r.AuthNo = f.needNumber("auth_no", 64)
		return r
	}
	r.AuthCode = f.paymentCode("ACQ.PAYMENT_AUTH_CODE_INVALID")
	return r
}

// paymentCode reads what the customer showed. Whatever cannot be a code is refused like one that is used.
func (f *fields) paymentCode(refusal string) Secret {
	code := f.scalar("auth_code")
	switch {
	case code == "":
		f.fail("auth_code", "is missing: scan the code that the customer shows")
	case !isPaymentCode(code):
		f.refuse(refusal)
	}
	return NewSecret(code)
}

// isPaymentCode: 16-24 digits beginning with 25 to 30, or a face token of 35 characters.
func isPaymentCode(code string) bool {
	if len(code) == 35 && code[:2] == "fp" {
		return true
	}
	return len(code) >= 16 && len(code) <= 24 && digits(code) && code[:2] >= "25" && code[:2] <= "30"
}

func writePay(a *answer, p PayAnswer) result {
	a.some("trade_no", p.TradeNo)
	a.some("out_trade_no", p.OutTradeNo)
	a.buyer(p.Buyer)
	paid := p.BuyerPaid
	receipt := p.Receipt
	if p.Pending {
		paid, receipt = 0, 0
	}
	a.amount("total_amount", p.Total)
	a.paid(receipt, paid)
	if p.Pending {
		return result{pending: true}
	}
	a.time("gmt_payment", p.PaidAt)
	a.funds("fund_bill_list", p.Funds)
	a.some("store_name", p.StoreName)
	return result{}
}

// refusedPay writes what a refused payment tells at Alipay too: the order, and that nothing was paid.
func refusedPay(a *answer, r PayRequest, err error) {
	a.some("out_trade_no", r.OutTradeNo)
	if refused := new(Refusal); errors.As(err, &refused) {
		a.paid(0, 0)
	}
}

// buyer writes who paid, as the merchant may know him.
func (a *answer) buyer(c Customer) {
	a.some("buyer_user_id", c.UserID)
	a.some("buyer_open_id", c.OpenID)
	a.some("buyer_logon_id", c.LogonID)
}

// paid writes the four amounts of a payment. There are no points here, and invoices are for all that the buyer paid.
func (a *answer) paid(receipt, byBuyer holdfast.Amount) {
	a.amount("receipt_amount", receipt)
	a.amount("buyer_pay_amount", byBuyer)
	a.amount("point_amount", 0)
	a.amount("invoice_amount", byBuyer)
}

func (a *answer) funds(name string, all []FundBill) {
	if len(all) == 0 {
		return
	}
	list(a, name, all, func(a *answer, f FundBill) {
		a.text("fund_channel", f.Channel)
		a.amount("amount", f.Amount)
	})
}

func readPrecreate(f *fields) PrecreateRequest {
	r := PrecreateRequest{OrderTerms: f.terms(defaultInStore, faceToFace, "QR_CODE_OFFLINE")}
	life := maxCodeLife
	if wait, ok := f.wait("qr_code_timeout_express"); ok {
		life = min(life, wait)
	}
	r.CodeExpires = f.now.Add(life)
	if r.Expires.Before(r.CodeExpires) {
		r.CodeExpires = r.Expires
	}
	return r
}

func writePrecreate(a *answer, p PrecreateAnswer) result {
	a.text("out_trade_no", p.OutTradeNo)
	a.text("qr_code", p.QRCode)
	return result{}
}

func readCreate(f *fields) CreateRequest {
	r := CreateRequest{OrderTerms: f.terms(maxWait, faceToFace, "JSAPI_PAY")}
	r.BuyerID = f.number("buyer_id", 28)
	if r.BuyerOpenID = f.text("op_buyer_open_id", 128); r.BuyerOpenID == "" {
		r.BuyerOpenID = f.text("buyer_open_id", 128)
	}
	if r.Product == faceToFace && !r.Explicit {
		r.Expires = f.now.Add(defaultInStore)
	}
	r.BuyerLogonID = f.text("buyer_logon_id", 100)
	if r.BuyerID == "" && r.BuyerOpenID == "" && r.BuyerLogonID == "" {
		f.fail("buyer_id", "is missing: buyer_open_id or buyer_logon_id would do as well")
	}
	return r
}

func writeCreate(a *answer, c CreateAnswer) result {
	a.text("trade_no", c.TradeNo)
	a.text("out_trade_no", c.OutTradeNo)
	return result{}
}

func readPage(f *fields) OpenRequest {
	f.needOneOf("product_code", "FAST_INSTANT_TRADE_PAY")
	r := OpenRequest{OrderTerms: f.terms(maxWait, "FAST_INSTANT_TRADE_PAY"), Entry: Page, ReturnURL: f.back}
	f.whole("qr_pay_mode", 0, 4)
	f.whole("qrcode_width", 1, 10_000)
	f.oneOf("integration_type", "PCWEB", "ALIAPP")
	return r
}

func readWap(f *fields) OpenRequest {
	f.needOneOf("product_code", "QUICK_WAP_WAY")
	return OpenRequest{OrderTerms: f.terms(maxWait, "QUICK_WAP_WAY"), Entry: Wap, ReturnURL: f.back, QuitURL: f.address("quit_url")}
}

func readApp(f *fields) OpenRequest {
	return OpenRequest{OrderTerms: f.terms(maxWait, "QUICK_MSECURITY_PAY"), Entry: InApp, ReturnURL: f.back}
}

// writeOpen: a browser follows the redirect, an app reads the same address.
func writeOpen(a *answer, o OpenAnswer) result {
	a.text("out_trade_no", o.OutTradeNo)
	a.some("trade_no", o.TradeNo)
	a.amount("total_amount", o.Total)
	a.text("cashier_url", o.Cashier)
	return result{redirect: o.Cashier}
}

func readRef(f *fields) TradeRef {
	f.asks("")
	return f.ref()
}

func writeTrade(a *answer, t Trade) result {
	a.text("trade_no", t.TradeNo)
	a.text("out_trade_no", t.OutTradeNo)
	a.buyer(t.Buyer)
	a.text("trade_status", t.Status)
	a.amount("total_amount", t.Total)
	a.paid(t.Receipt, t.BuyerPaid)
	a.time("send_pay_date", t.PaidAt)
	a.some("store_id", t.Place.Store)
	a.some("terminal_id", t.Place.Terminal)
	a.funds("fund_bill_list", t.Funds)
	a.some("buyer_user_type", t.BuyerType)
	return result{}
}

func readCancel(f *fields) CancelRequest {
	return CancelRequest{TradeRef: f.ref(), NotifyURL: f.notify}
}

func writeCancel(a *answer, c CancelAnswer) result {
	a.some("trade_no", c.TradeNo)
	a.some("out_trade_no", c.OutTradeNo)
	a.text("retry_flag", "N")
	a.some("action", c.Action)
	return result{}
}

// refusedCancel tells whether asking again could help: yes unless it was refused for good.
func refusedCancel(a *answer, r CancelRequest, err error) {
	a.some("trade_no", r.TradeNo)
	a.some("out_trade_no", r.OutTradeNo)
	refused := new(Refusal)
	if errors.As(err, &refused) && refused.SubCode != "ACQ.SYSTEM_ERROR" && refused.SubCode != "AQC.SYSTEM_ERROR" {
		a.text("retry_flag", "N")
		return
	}
	a.text("retry_flag", "Y")
}

func readClose(f *fields) CloseRequest {
	return CloseRequest{TradeRef: f.ref(), Operator: f.text("operator_id", 28), NotifyURL: f.notify}
}

func writeClose(a *answer, c CloseAnswer) result {
	a.text("trade_no", c.TradeNo)
	a.text("out_trade_no", c.OutTradeNo)
	return result{}
}

func readRefund(f *fields) RefundRequest {
	f.oneOf("refund_currency", "CNY")
	f.none("refund_royalty_parameters")
	return RefundRequest{
		TradeRef:  f.ref(),
		Amount:    f.needMoney("refund_amount", 1, maxAmount, "ACQ.REFUND_FEE_ERROR", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"),
		RequestNo: f.number("out_request_no", 64),
		Reason:    f.text("refund_reason", 256),
		Place:     f.place(),
		NotifyURL: f.notify,
		Detail:    f.asks("refund_detail_item_list"),
	}
}

func writeRefund(a *answer, r RefundAnswer) result {
	a.text("trade_no", r.TradeNo)
	a.text("out_trade_no", r.OutTradeNo)
	a.buyer(r.Buyer)
	if r.Moved {
		a.text("fund_change", "Y")
	} else {
		a.text("fund_change", "N")
	}
	a.amount("refund_fee", r.Refunded)
	a.time("gmt_refund_pay", r.PaidAt)
	if len(r.Funds) > 0 {
		a.amount("send_back_fee", r.SentBack)
		a.funds("refund_detail_item_list", r.Funds)
	}
	return result{}
}

func readRefundQuery(f *fields) RefundQueryRequest {
	return RefundQueryRequest{
		TradeRef: f.ref(), RequestNo: f.needNumber("out_request_no", 64),
		Detail: f.asks("refund_detail_item_list"), WithTime: f.asks("gmt_refund_pay"),
	}
}

// writeRefundQuery leaves everything out of the answer for a request number that nobody knows: that is how merchants tell.
func writeRefundQuery(a *answer, r RefundQueryAnswer) result {
	if !r.Found {
		return result{}
	}
	a.text("trade_no", r.TradeNo)
	a.text("out_trade_no", r.OutTradeNo)
	a.text("out_request_no", r.RequestNo)
	a.some("refund_reason", r.Reason)
	a.amount("total_amount", r.Total)
	a.amount("refund_amount", r.Amount)
	a.text("refund_status", "REFUND_SUCCESS")
	a.time("gmt_refund_pay", r.PaidAt)
	if len(r.Funds) > 0 {
		a.amount("send_back_fee", r.Amount)
		a.funds("refund_detail_item_list", r.Funds)
	}
	return result{}
}

func readSettle(f *fields) SettleRequest {
	r := SettleRequest{
		RequestNo: f.needNumber("out_request_no", 64), TradeNo: f.needNumber("trade_no", 64),
		Operator: f.text("operator_id", 64), Async: f.oneOf("royalty_mode", "sync", "async") == "async",
	}
	if extend, ok := f.object("extend_params"); ok {
		r.Finish = extend.flag("royalty_finish")
		if extend.err != nil && f.err == nil {
			f.err = extend.err
		}
	}
	f.each("royalty_parameters", maxShares, func(f *fields) { r.Shares = append(r.Shares, readShare(f)) })
	if len(r.Shares) == 0 && !r.Finish {
		f.fail("royalty_parameters", "is missing: give at least one receiver, or extend_params.royalty_finish")
	}
	return r
}

func readShare(f *fields) Share {
	s := Share{
		Out: f.text("trans_out", 64), OutType: f.oneOf("trans_out_type", "userId", "loginName", "openId"),
		In: f.need("trans_in", 128), InType: f.oneOf("trans_in_type", "userId", "loginName", "openId", "cardAliasNo"),
		Percent: f.whole("amount_percentage", 1, 100), Type: f.oneOf("royalty_type", "transfer", "replenish"), Desc: f.text("desc", 1000),
	}
	amount, given := f.money("amount")
	switch {
	case given && s.Percent != 0:
		f.fail("amount", "and amount_percentage are both given: give one")
	case !given && s.Percent == 0:
		f.fail("amount", "is missing: amount_percentage would do as well")
	case given && (amount < 1 || amount > maxAmount):
		f.refuse("ACQ.ALLOC_AMOUNT_VALIDATE_ERROR")
	}
	s.Amount = amount
	return s
}

// titleUnits counts a Han letter and its like as two, as titles of holds are measured: 100 letters or 50 Han.
func titleUnits(text string) (n int) {
	for _, r := range text {
		if n++; utf8.RuneLen(r) > 2 {
			n++
		}
	}
	return n
}

func writeSettle(a *answer, s SettleAnswer) result {
	a.text("trade_no", s.TradeNo)
	a.text("settle_no", s.SettleNo)
	return result{}
}
