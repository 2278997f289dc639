package desk

import (
	"strings"
	"testing"
	"time"

	"holdfast/pay"
	"holdfast/pay/paytest"
)

func (w *world) transfer(number, amount string, more ...any) map[string]any {
	return with(map[string]any{
		"out_biz_no": number, "trans_amount": amount, "product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER", "order_title": "wages",
		"payee_info": map[string]any{"identity": w.customers[1].String(), "identity_type": "ALIPAY_USER_ID"},
	}, more...)
}

func TestTransfers(t *testing.T) {
	w := newWorld(t)
	const method = "alipay.fund.trans.uni.transfer"
	w.done("alipay.trade.pay", w.payment(0, "A", "100.00"))
	a := w.done(method, w.transfer("B1", "12.34"))
	w.is(a, "status", "SUCCESS", "out_biz_no", "B1", "trans_date", w.now.Format(time.DateTime))
	w.now = w.now.Add(time.Hour)
	w.is(w.done(method, w.transfer("B1", "12.34")), "order_id", a.text("order_id"), "trans_date", a.text("trans_date"))
	payee := func(kind, id string) map[string]any {
		return map[string]any{"identity": id, "identity_type": kind, "name": "王"}
	}
	w.done(method, w.transfer("B2", "1", "payee_info", payee("ALIPAY_LOGON_ID", "+8613900000001")))
	w.done(method, w.transfer("B3", "1", "payee_info", payee("ALIPAY_OPEN_ID", w.desk.names.of(w.apps[0], w.customers[1])), "order_title", strings.Repeat("工", 128)))
	if got := w.balance(w.customers[1]).Available; got != startMoney+1434 {
		t.Errorf("the payee has %d", got)
	}
	for _, row := range []struct {
		sub string
		biz map[string]any
	}{
		{"PAYMENT_INFO_INCONSISTENCY", w.transfer("B1", "12.35")},
		{"PAYER_BALANCE_NOT_ENOUGH", w.transfer("B9", "1000.00")},
		{"PAYEE_NOT_EXIST", w.transfer("B9", "1", "payee_info", payee("ALIPAY_USER_ID", owner(77).String()))},
		{"PAYEE_NOT_EXIST", w.transfer("B9", "1", "payee_info", payee("ALIPAY_USER_ID", "2088"))},
		{"PAYEE_NOT_EXIST", w.transfer("B9", "1", "payee_info", payee("ALIPAY_LOGON_ID", "x"))},
		{"PAYEE_NOT_EXIST", w.transfer("B9", "1", "payee_info", payee("ALIPAY_OPEN_ID", "x"))},
		{"PAYER_PAYEE_CANNOT_SAME", w.transfer("B9", "1", "payee_info", payee("ALIPAY_USER_ID", w.merchants[0].String()))},
		{"PRODUCT_NOT_SIGN", w.transfer("B9", "1", "payee_info", payee("BANKCARD_ACCOUNT", "6222"))},
		{"PRODUCT_NOT_SIGN", w.transfer("B9", "1", "biz_scene", "PERSONAL_COLLECTION")},
	} {
		w.refused(row.sub, method, row.biz)
	}
	const query = "alipay.fund.trans.common.query"
	for _, by := range []map[string]any{
		{"out_biz_no": "B1", "product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"},
		{"order_id": a.text("order_id")},
		{"pay_fund_order_id": a.text("pay_fund_order_id")},
	} {
		w.is(w.done(query, by), "out_biz_no", "B1", "order_id", a.text("order_id"), "status", "SUCCESS", "trans_amount", "12.34", "pay_date", a.text("trans_date"))
	}
	w.refused("ORDER_NOT_EXIST", query, map[string]any{"order_id": "1"})
	w.refused("ORDER_NOT_EXIST", query, map[string]any{"out_biz_no": "B9", "product_code": "x", "biz_scene": "x"})
	w.refused("NO_ORDER_PERMISSION", query, map[string]any{"order_id": a.text("order_id")}, map[string]string{"app_id": w.apps[1]})

	lost := w.transfer("B5", "2.00")
	w.faulty(paytest.AnswerLost)
	w.unknown(method, lost)
	w.is(w.done(query, map[string]any{"out_biz_no": "B5", "product_code": "x", "biz_scene": "x"}), "status", "SUCCESS")
	w.done(method, lost)
	if got := w.balance(w.customers[1]).Available; got != startMoney+1634 {
		t.Errorf("the payee has %d", got)
	}
	w.audit()
}

func TestBalance(t *testing.T) {
	w := newWorld(t)
	const method = "alipay.fund.account.query"
	w.done("alipay.trade.pay", w.payment(0, "A", "100.00"))
	_, err := w.cashier.PayNew(w.ctx, pay.TradeAsk{
		Merchant: w.merchants[0], OutTradeNo: "E", TradeOffer: pay.TradeOffer{Amount: 500, Asset: cny, Mode: pay.Protected, Subject: "x"},
	}, w.customers[0], w.tick())
	w.must(err)
	for _, biz := range []map[string]any{
		{},
		{"alipay_user_id": w.merchants[0].String(), "account_type": "ACCTRANS_ACCOUNT"},
		{"alipay_open_id": w.desk.names.of(w.apps[0], w.merchants[0])},
	} {
		w.is(w.done(method, biz), "available_amount", "99.40", "freeze_amount", "5.00")
	}
	w.refused("NO_PERMISSION_ACCOUNT", method, map[string]any{"alipay_user_id": w.customers[0].String()})
	w.refused("NO_PERMISSION_ACCOUNT", method, map[string]any{"alipay_open_id": "x"})
	w.refused("ALIPAY_ACCOUNT_NOT_EXIST", method, map[string]any{"account_type": "TRUSTEESHIP_ACCOUNT"})
}

func TestHolds(t *testing.T) {
	w := newWorld(t)
	const freeze, unfreeze, query = "alipay.fund.auth.order.freeze", "alipay.fund.auth.order.unfreeze", "alipay.fund.auth.operation.detail.query"
	me := w.customers[0].String()
	ask := func(n int, order string, more ...any) map[string]any {
		return with(map[string]any{
			"auth_code": w.code(n), "auth_code_type": "bar_code", "out_order_no": order, "out_request_no": "F1", "order_title": "押金", "amount": "500.00",
		}, more...)
	}
	first := ask(0, "H")
	a := w.done(freeze, first)
	w.is(a, "status", "SUCCESS", "amount", "500.00", "payer_user_id", me, "out_order_no", "H", "out_request_no", "F1")
	again := w.done(freeze, first)
	w.is(again, "auth_no", a.text("auth_no"), "operation_id", a.text("operation_id"), "gmt_trans", a.text("gmt_trans"))
	w.is(w.done(freeze, ask(0, "H")), "auth_no", a.text("auth_no"))
	w.refused("UNIQUE_VIOLATION", freeze, ask(0, "H", "amount", "500.01"))
	w.refused("FREEZE_ALREADY_SUCCESS", freeze, ask(1, "H"))
	w.refused("MONEY_NOT_ENOUGH", freeze, ask(0, "I", "amount", "999.00"))
	w.refused("PAYMENT_AUTH_CODE_INVALID", freeze, ask(0, "J", "auth_code", "280000000312345678"))
	w.refused("PAYEE_NOT_EXIST", freeze, ask(0, "J", "payee_user_id", w.merchants[1].String()))
	w.done(freeze, ask(1, "J", "payee_user_id", w.merchants[0].String()))
	w.refused("MONEY_NOT_ENOUGH", freeze, ask(1, "I", "amount", "999.00")) // another customer may try, and the first one again
	w.refused("MONEY_NOT_ENOUGH", freeze, ask(0, "I", "amount", "999.00"))
	if b := w.balance(w.customers[0]); b.Frozen != 50_000 || b.Available != startMoney-50_000 {
		t.Errorf("%+v", b)
	}

	no := a.text("auth_no")
	release := map[string]any{"auth_no": no, "out_request_no": "U1", "amount": "100.00", "remark": "back"}
	u := w.done(unfreeze, release)
	w.is(w.done(unfreeze, release), "operation_id", u.text("operation_id"), "amount", "100.00", "status", "SUCCESS")
	w.refused("UNIQUE_VIOLATION", unfreeze, with(release, "amount", "100.01"))
	w.refused("UNIQUE_VIOLATION", unfreeze, with(release, "out_request_no", "F1"))
	w.refused("REQUEST_AMOUNT_EXCEED", unfreeze, with(release, "amount", "400.01", "out_request_no", "U2"))
	w.refused("AUTH_ORDER_NOT_EXIST", unfreeze, with(release, "auth_no", "1"))

	pre := func(number, amount string, more ...any) map[string]any {
		return with(map[string]any{"out_trade_no": number, "total_amount": amount, "subject": "房", "product_code": "PRE_AUTH", "auth_no": no}, more...)
	}
	paid := w.done("alipay.trade.pay", pre("T1", "150.00", "buyer_id", me))
	w.is(w.done("alipay.trade.pay", pre("T1", "150.00")), "trade_no", paid.text("trade_no"), "buyer_user_id", me)
	w.refused("ACQ.AUTH_AMOUNT_NOT_ENOUGH", "alipay.trade.pay", pre("T2", "250.01"))
	w.refused("ACQ.AUTH_NO_ERROR", "alipay.trade.pay", pre("T2", "1.00", "buyer_id", w.customers[1].String()))
	w.refused("ACQ.AUTH_NO_ERROR", "alipay.trade.pay", pre("T2", "1.00", "auth_no", paid.text("trade_no")))
	w.refused("ACQ.CONTEXT_INCONSISTENT", "alipay.trade.pay", pre("T1", "1.00"))

	state := w.done(query, map[string]any{"out_order_no": "H", "out_request_no": "F1"})
	w.is(state, "order_status", "AUTHORIZED", "total_freeze_amount", "500.00", "rest_amount", "250.00", "total_pay_amount", "150.00",
		"operation_type", "FREEZE", "amount", "500.00", "status", "SUCCESS", "payer_user_id", me, "order_title", "押金")
	for _, by := range []map[string]any{{"auth_no": no, "operation_id": u.text("operation_id")}, {"auth_no": no, "out_request_no": "U1"}} {
		w.is(w.done(query, by), "operation_type", "UNFREEZE", "amount", "100.00", "out_request_no", "U1", "operation_id", u.text("operation_id"))
	}
	w.is(w.done(query, map[string]any{"auth_no": no, "operation_id": a.text("operation_id")}), "operation_type", "FREEZE", "out_request_no", "F1")
	w.is(w.done(query, map[string]any{"out_order_no": "I", "out_request_no": "F1"}), "order_status", "INIT", "status", "INIT", "total_freeze_amount", "0.00", "payer_user_id", "")
	w.refused("AUTH_OPERATION_NOT_EXIST", query, map[string]any{"auth_no": no, "operation_id": "1"})
	w.refused("AUTH_OPERATION_NOT_EXIST", query, map[string]any{"auth_no": no, "out_request_no": "none"})
	w.refused("AUTH_ORDER_NOT_EXIST", query, map[string]any{"out_order_no": "none", "operation_id": "1"})

	last := pre("T3", "50.00", "auth_confirm_mode", "COMPLETE")
	w.faulty(paytest.AnswerLost)
	w.unknown("alipay.trade.pay", last)
	w.done("alipay.trade.pay", last)
	if b := w.balance(w.customers[0]); b.Frozen != 0 || b.Available != startMoney-20_000 {
		t.Errorf("%+v", b)
	}
	w.is(w.done(query, map[string]any{"auth_no": no, "out_request_no": "F1"}), "order_status", "FINISH", "rest_amount", "0.00", "total_pay_amount", "200.00")
	w.refused("ACQ.AUTH_ORDER_HAS_FINISHED", "alipay.trade.pay", pre("T4", "1.00"))
	w.refused("ORDER_ALREADY_FINISH", unfreeze, with(release, "out_request_no", "U3"))
	w.now = w.now.Add(time.Hour)
	w.refused("ORDER_ALREADY_CLOSED", freeze, with(ask(0, "I", "amount", "999.00"), "auth_code", w.code(1)))
	w.audit()
}
