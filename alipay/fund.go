package alipay

import (
	"time"

	"holdfast"
)

// The smallest transfer: 0.10 yuan, or 0.01 for a red packet.
const minTransfer holdfast.Amount = 10

func readTransfer(f *fields) TransferRequest {
	r := TransferRequest{
		OutBizNo:  f.needNumber("out_biz_no", 64),
		Product:   f.needOneOf("product_code", "TRANS_ACCOUNT_NO_PWD", "STD_RED_PACKET", "TRANS_BANKCARD_NO_PWD"),
		Scene:     f.needOneOf("biz_scene", "DIRECT_TRANSFER", "PERSONAL_COLLECTION"),
		Title:     f.text("order_title", 128),
		Remark:    f.text("remark", 200),
		Passback:  f.text("passback_params", 512),
		NotifyURL: f.notify,
	}
	least := minTransfer
	if r.Product == "STD_RED_PACKET" {
		least = 1
	}
	r.Amount = f.needMoney("trans_amount", least, maxAmount, "EXCEED_LIMIT_SM_MIN_AMOUNT", "EXCEED_LIMIT_SM_AMOUNT")
	r.BusinessTag = f.text("business_params", 2000)
	f.payee(&r)
	return r
}

func (f *fields) payee(r *TransferRequest) {
	p, ok := f.object("payee_info")
	if !ok {
		f.fail("payee_info", "is missing")
		return
	}
	r.Payee = p.need("identity", 64)
	r.PayeeType = p.needOneOf("identity_type", "ALIPAY_USER_ID", "ALIPAY_LOGON_ID", "ALIPAY_OPEN_ID", "BANKCARD_ACCOUNT")
	if r.PayeeName = p.text("name", 128); r.PayeeName == "" && r.PayeeType == "ALIPAY_LOGON_ID" {
		p.fail("name", "is missing: it is needed with ALIPAY_LOGON_ID")
	}
	if p.err != nil && f.err == nil {
		f.err = p.err
	}
}

func writeTransfer(a *answer, t TransferAnswer) result {
	a.text("out_biz_no", t.OutBizNo)
	a.text("order_id", t.OrderID)
	a.text("pay_fund_order_id", t.FundOrderID)
	a.text("status", t.Status)
	a.time("trans_date", t.At)
	return result{}
}

// readTransferQuery: pay_fund_order_id is stronger than order_id, and that than out_biz_no.
func readTransferQuery(f *fields) TransferQueryRequest {
	if n := f.number("pay_fund_order_id", 64); n != "" {
		return TransferQueryRequest{FundOrderID: n}
	}
	if n := f.number("order_id", 64); n != "" {
		return TransferQueryRequest{OrderID: n}
	}
	n := f.number("out_biz_no", 64)
	if n == "" {
		f.fail("out_biz_no", "is missing: order_id or pay_fund_order_id would do as well")
	}
	return TransferQueryRequest{OutBizNo: n, Product: f.need("product_code", 64), Scene: f.need("biz_scene", 64)}
}

func writeTransferQuery(a *answer, t TransferQueryAnswer) result {
	a.text("order_id", t.OrderID)
	a.some("pay_fund_order_id", t.FundOrderID)
	a.some("out_biz_no", t.OutBizNo)
	a.text("status", t.Status)
	if t.Status == "SUCCESS" {
		a.amount("trans_amount", t.Amount)
	}
	a.time("pay_date", t.At)
	a.time("arrival_time_end", t.Arrives)
	a.amount("order_fee", t.Fee)
	a.some("error_code", t.ErrorCode)
	a.some("fail_reason", t.FailReason)
	a.some("passback_params", t.Passback)
	return result{}
}

func readBalance(f *fields) BalanceRequest {
	return BalanceRequest{
		UserID: f.number("alipay_user_id", 28), OpenID: f.text("alipay_open_id", 128),
		AccountType: f.oneOf("account_type", "ACCTRANS_ACCOUNT", "TRUSTEESHIP_ACCOUNT"),
	}
}

func writeBalance(a *answer, b BalanceAnswer) result {
	a.amount("available_amount", b.Available)
	a.amount("freeze_amount", b.Frozen)
	return result{}
}

// defaultHold is how long a hold waits for the customer to agree.
const defaultHold = 15 * time.Minute

func readFreeze(f *fields) FreezeRequest {
	r := FreezeRequest{
		AuthCode:   f.paymentCode("PAYMENT_AUTH_CODE_INVALID"),
		CodeType:   f.needOneOf("auth_code_type", "bar_code", "security_code"),
		OutOrderNo: f.needNumber("out_order_no", 64),
		RequestNo:  f.needNumber("out_request_no", 64),
		Title:      f.title("order_title"),
		Amount:     f.holdAmount(),
		PayeeUser:  f.number("payee_user_id", 28),
		PayeeLogon: f.text("payee_logon_id", 100),
		Product:    f.oneOf("product_code", preAuth, preAuthOnline),
		NotifyURL:  f.notify,
	}
	f.oneOf("trans_currency", "CNY")
	r.Expires, r.Explicit = f.expires(defaultHold, "pay_timeout", "timeout_express")
	return r
}

func (f *fields) title(name string) string {
	text := f.need(name, 100)
	if titleUnits(text) > 100 {
		f.fail(name, "is longer than 100 letters or 50 Han characters")
	}
	return text
}

func (f *fields) holdAmount() holdfast.Amount {
	fen, found := f.money("amount")
	if !found || fen < 1 || fen > maxAmount {
		f.fail("amount", "has to be 0.01 to 100000000.00")
	}
	return fen
}

func writeFreeze(a *answer, h HoldAnswer) result {
	writeUnfreeze(a, h)
	a.some("payer_user_id", h.Payer.UserID)
	a.some("payer_open_id", h.Payer.OpenID)
	a.some("payer_logon_id", h.Payer.LogonID)
	return result{pending: h.Status == "INIT"}
}

func readUnfreeze(f *fields) UnfreezeRequest {
	return UnfreezeRequest{
		AuthNo: f.needNumber("auth_no", 64), RequestNo: f.needNumber("out_request_no", 64),
		Amount: f.holdAmount(), Remark: f.title("remark"), NotifyURL: f.notify,
	}
}

func writeUnfreeze(a *answer, h HoldAnswer) result {
	a.text("auth_no", h.AuthNo)
	a.text("out_order_no", h.OutOrderNo)
	a.text("operation_id", h.OperationID)
	a.text("out_request_no", h.RequestNo)
	a.amount("amount", h.Amount)
	a.text("status", h.Status)
	a.time("gmt_trans", h.At)
	return result{}
}

// readAuthQuery: the platform's own numbers are stronger than the merchant's, as with trades.
func readAuthQuery(f *fields) AuthQueryRequest {
	r := AuthQueryRequest{AuthNo: f.number("auth_no", 64), OperationID: f.number("operation_id", 64)}
	if r.AuthNo == "" {
		if r.OutOrderNo = f.number("out_order_no", 64); r.OutOrderNo == "" {
			f.fail("auth_no", "is missing: out_order_no would do as well")
		}
	}
	if r.OperationID == "" {
		if r.RequestNo = f.number("out_request_no", 64); r.RequestNo == "" {
			f.fail("operation_id", "is missing: out_request_no would do as well")
		}
	}
	return r
}

func writeAuthQuery(a *answer, h AuthQueryAnswer) result {
	a.text("auth_no", h.AuthNo)
	a.text("out_order_no", h.OutOrderNo)
	a.some("order_title", h.Title)
	a.text("order_status", h.OrderStatus)
	a.amount("rest_amount", h.Rest)
	a.amount("total_freeze_amount", h.Frozen)
	a.amount("total_pay_amount", h.Paid)
	a.text("operation_id", h.OperationID)
	a.text("out_request_no", h.RequestNo)
	a.text("operation_type", h.OperationType)
	a.amount("amount", h.Amount)
	a.text("status", h.Status)
	a.some("payer_user_id", h.Payer.UserID)
	a.some("payer_open_id", h.Payer.OpenID)
	a.some("payer_logon_id", h.Payer.LogonID)
	a.time("gmt_create", h.Created)
	a.time("gmt_trans", h.At)
	return result{}
}
