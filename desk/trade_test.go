package desk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func TestPayByCode(t *testing.T) {
	w := newWorld(t)
	for n := range w.customers { // of another shard, and of the merchant's
		number := "A" + string(rune('0'+n))
		ask := w.payment(n, number, "9.90", "time_expire", w.now.Add(5*time.Minute).In(gmt8).Format(time.DateTime), "store_id", "s1", "terminal_id", "t1", "operator_id", "o1", "seller_id", w.merchants[0].String())
		a := w.done("alipay.trade.pay", ask)
		buyer := w.customers[n].String()
		w.is(a, "out_trade_no", number, "total_amount", "9.90", "receipt_amount", "9.90", "buyer_pay_amount", "9.90", "buyer_user_id", buyer,
			"buyer_logon_id", buyer[:4]+"****"+buyer[12:], "store_name", "茶馆", "gmt_payment", w.now.Format(time.DateTime),
			"fund_bill_list", "[map[amount:9.90 fund_channel:ALIPAYACCOUNT]]")
		if o, ok := w.desk.names.owner(w.apps[0], a.text("buyer_open_id")); !ok || o != w.customers[n] {
			t.Errorf("open id %q is %v", a.text("buyer_open_id"), o)
		}
		again := w.done("alipay.trade.pay", ask) // the same, when the code is used
		w.is(again, "trade_no", a.text("trade_no"), "gmt_payment", a.text("gmt_payment"))
		w.now = w.now.Add(10 * time.Minute) // and when it is over
		w.is(w.done("alipay.trade.pay", ask), "trade_no", a.text("trade_no"))
		q := w.done("alipay.trade.query", map[string]any{"trade_no": a.text("trade_no")})
		w.is(q, "out_trade_no", number, "trade_status", "TRADE_SUCCESS", "buyer_user_id", buyer, "store_id", "s1", "terminal_id", "t1",
			"buyer_user_type", "PRIVATE", "send_pay_date", a.text("gmt_payment"))
		if got := w.balance(w.customers[n]).Available; got != startMoney-990 {
			t.Errorf("the customer has %d", got)
		}
	}
	w.audit()
}

func TestPayIsRefused(t *testing.T) {
	w := newWorld(t)
	w.done("alipay.trade.pay", w.payment(0, "P", "9.90"))
	used := w.payment(0, "U1", "0.01")
	w.done("alipay.trade.pay", used)
	w.refused("ACQ.PAYMENT_AUTH_CODE_INVALID", "alipay.trade.pay", with(used, "out_trade_no", "U2"))
	w.must(w.cashier.SetLimits(w.ctx, w.customers[1], cny, pay.Limits{Day: 1000}, w.tick()))
	w.done("alipay.trade.close", func() map[string]any {
		w.done("alipay.trade.create", map[string]any{"out_trade_no": "C", "total_amount": 1, "subject": "茶", "buyer_id": w.customers[0].String()})
		return map[string]any{"out_trade_no": "C"}
	}())
	w.done("alipay.trade.create", map[string]any{"out_trade_no": "B", "total_amount": 1, "subject": "茶", "buyer_id": w.customers[0].String()})
	for _, row := range []struct {
		sub            string
		by             int
		number, amount string
		more           []any
	}{
		{"ACQ.CONTEXT_INCONSISTENT", 0, "P", "9.91", nil},
		{"ACQ.CONTEXT_INCONSISTENT", 0, "P", "9.90", []any{"subject", "coffee"}},
		{"ACQ.TRADE_HAS_SUCCESS", 1, "P", "9.90", nil},
		{"ACQ.TRADE_HAS_CLOSE", 0, "C", "1.00", nil},
		{"ACQ.TRADE_BUYER_NOT_MATCH", 1, "B", "1.00", nil},
		{"ACQ.BUYER_BALANCE_NOT_ENOUGH", 0, "R", "5000.00", nil},
		{"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", 1, "R", "10.01", nil},
		{"ACQ.PAYMENT_AUTH_CODE_INVALID", 0, "U2", "0.01", []any{"auth_code", used["auth_code"]}},
		{"ACQ.PAYMENT_AUTH_CODE_INVALID", 0, "R", "1.00", []any{"auth_code", "280000000312345678"}},
		{"ACQ.PAYMENT_AUTH_CODE_INVALID", 0, "R", "1.00", []any{"auth_code", "fp" + strings.Repeat("a", 33)}},
		{"ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", 0, "R", "1.00", []any{"time_expire", w.now.Add(10 * time.Second).In(gmt8).Format(time.DateTime)}},
		{"ACQ.SELLER_NOT_EXIST", 0, "R", "1.00", []any{"seller_id", "2088"}},
		{"ACQ.PARTNER_ERROR", 0, "R", "1.00", []any{"seller_id", w.merchants[1].String()}},
	} {
		a := w.refused(row.sub, "alipay.trade.pay", w.payment(row.by, row.number, row.amount, row.more...))
		w.is(a, "out_trade_no", row.number)
	}
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.query", map[string]any{"out_trade_no": "R"})
	w.must(w.cashier.SetBlocked(w.ctx, w.customers[0], cny, true, w.tick()))
	w.refused("ACQ.BUYER_ENABLE_STATUS_FORBID", "alipay.trade.pay", w.payment(0, "R", "1.00"))
	w.must(w.cashier.BlockMerchant(w.ctx, w.merchants[0], true, w.tick()))
	w.refused("ACQ.SELLER_BEEN_BLOCKED", "alipay.trade.pay", w.payment(1, "R", "1.00"))
	w.audit()
}

// TestLostAnswers: whatever is lost on the way, the merchant is told that nobody knows, a query tells the truth, and repeating does it once.
func TestLostAnswers(t *testing.T) {
	for _, fault := range []paytest.Fault{paytest.AnswerLost, paytest.NotProposed, paytest.Gone, paytest.Overloaded, paytest.Stuck} {
		w := newWorld(t)
		ask := w.payment(0, "L", "9.90")
		w.faulty(fault)
		w.unknown("alipay.trade.pay", ask)
		if fault == paytest.Stuck {
			w.unknown("alipay.trade.pay", ask) // still not decided
			w.books.Deliver()
		}
		query := map[string]any{"out_trade_no": "L"}
		paid := fault == paytest.AnswerLost || fault == paytest.Stuck
		if paid {
			w.is(w.done("alipay.trade.query", query), "trade_status", "TRADE_SUCCESS")
		} else {
			w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.query", query)
		}
		w.done("alipay.trade.pay", ask)
		refund := map[string]any{"out_trade_no": "L", "refund_amount": "4.00", "out_request_no": "R"}
		w.faulty(fault)
		w.unknown("alipay.trade.refund", refund)
		w.books.Deliver()
		status := ""
		if paid {
			status = "REFUND_SUCCESS"
		}
		w.is(w.done("alipay.trade.fastpay.refund.query", map[string]any{"out_trade_no": "L", "out_request_no": "R"}), "refund_status", status)
		moved := map[bool]string{true: "N", false: "Y"}[paid]
		w.is(w.done("alipay.trade.refund", refund), "refund_fee", "4.00", "fund_change", moved)
		w.faulty(fault)
		w.is(w.unknown("alipay.trade.cancel", query), "retry_flag", "Y")
		w.books.Deliver()
		w.is(w.done("alipay.trade.cancel", query), "action", "refund", "retry_flag", "N")
		w.is(w.done("alipay.trade.query", query), "trade_status", "TRADE_CLOSED")
		if got := w.balance(w.customers[0]).Available; got != startMoney {
			t.Errorf("fault %d: the customer has %d", fault, got)
		}
		w.audit()
	}
}

func TestPrecreate(t *testing.T) {
	w := newWorld(t)
	ask := map[string]any{"out_trade_no": "Q", "total_amount": "9.90", "subject": strings.Repeat("茶", 256), "qr_code_timeout_express": "30m"}
	query := map[string]any{"out_trade_no": "Q"}
	code := w.done("alipay.trade.precreate", ask).text("qr_code")
	w.is(w.done("alipay.trade.precreate", ask), "qr_code", code)
	token, ok := strings.CutPrefix(code, "https://pay.example/q/")
	if !ok {
		t.Fatal(code)
	}
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.query", query)
	v, err := w.cashier.Open(w.ctx, token, w.tick())
	w.must(err)
	w.is(w.done("alipay.trade.query", query), "trade_status", "WAIT_BUYER_PAY", "receipt_amount", "0.00", "send_pay_date", "", "buyer_user_id", "")
	_, err = w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: v.Merchant, OutTradeNo: "Q", Payer: w.customers[0]}, w.tick())
	w.must(err)
	w.is(w.done("alipay.trade.query", query), "trade_status", "TRADE_SUCCESS")
	w.refused("ACQ.TRADE_HAS_SUCCESS", "alipay.trade.precreate", ask)
	w.refused("ACQ.CONTEXT_INCONSISTENT", "alipay.trade.precreate", with(ask, "total_amount", "9.91"))

	ask["out_trade_no"] = "Q2"
	token = strings.TrimPrefix(w.done("alipay.trade.precreate", ask).text("qr_code"), "https://pay.example/q/")
	w.is(w.done("alipay.trade.cancel", map[string]any{"out_trade_no": "Q2"}), "action", "", "trade_no", "", "out_trade_no", "Q2", "retry_flag", "N")
	if v, err = w.cashier.Open(w.ctx, token, w.tick()); err != nil || v.Status != pay.StatusClosed {
		t.Errorf("what was cancelled is %v, %v", v.Status, err)
	}
	w.refused("ACQ.TRADE_HAS_CLOSE", "alipay.trade.precreate", ask)
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	me := w.customers[0]
	ask := map[string]any{"out_trade_no": "C", "total_amount": "9.90", "subject": "茶", "buyer_id": me.String()}
	no := w.done("alipay.trade.create", ask).text("trade_no")
	for _, names := range []map[string]any{
		ask, with(ask, "buyer_id", nil, "buyer_open_id", w.desk.names.of(w.apps[0], me)), with(ask, "buyer_id", nil, "buyer_logon_id", "+86 139 0000 0000"),
	} {
		w.is(w.done("alipay.trade.create", names), "trade_no", no, "out_trade_no", "C")
	}
	w.is(w.done("alipay.trade.query", map[string]any{"out_trade_no": "C"}), "trade_status", "WAIT_BUYER_PAY", "buyer_user_id", "", "buyer_user_type", "")
	w.refused("ACQ.TRADE_BUYER_NOT_MATCH", "alipay.trade.create", with(ask, "buyer_id", w.customers[1].String()))
	w.refused("ACQ.CONTEXT_INCONSISTENT", "alipay.trade.create", with(ask, "total_amount", "1.00"))
	ask["out_trade_no"] = "D"
	w.refused("ACQ.BUYER_NOT_EXIST", "alipay.trade.create", with(ask, "buyer_id", owner(77).String()))
	w.refused("ACQ.BUYER_NOT_EXIST", "alipay.trade.create", with(ask, "buyer_id", "2088"))
	w.refused("ACQ.BUYER_NOT_EXIST", "alipay.trade.create", with(ask, "buyer_id", nil, "buyer_logon_id", "nobody@example.com"))
	w.refused("ACQ.OPEN_ID_NOT_TINY_APP", "alipay.trade.create", with(ask, "buyer_id", nil, "buyer_open_id", w.desk.names.of(w.apps[1], me)))
	w.refused("ACQ.BUYER_SELLER_EQUAL", "alipay.trade.create", with(ask, "buyer_id", w.merchants[0].String()))
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for method, row := range map[string]struct {
		product string
		entry   pay.Entry
	}{"alipay.trade.page.pay": {"FAST_INSTANT_TRADE_PAY", pay.EntryPage}, "alipay.trade.wap.pay": {"QUICK_WAP_WAY", pay.EntryWap}} {
		ask := map[string]any{"out_trade_no": method, "total_amount": "9.90", "subject": "茶", "product_code": row.product}
		if row.entry == pay.EntryWap {
			ask["quit_url"] = "https://shop.example/quit"
		}
		top := map[string]string{"return_url": "https://shop.example/back?x=1"}
		rec := w.post(w.request(method, ask, top))
		token, ok := strings.CutPrefix(rec.Header().Get("Location"), "https://pay.example/cashier/")
		if !ok {
			t.Fatalf("%s: %d %s", method, rec.Code, rec.Body)
		}
		if again := w.post(w.request(method, ask, top)).Header().Get("Location"); !strings.HasSuffix(again, token) {
			t.Errorf("loaded again: %s", again)
		}
		visit, err := w.cashier.Visit(w.ctx, token)
		w.must(err)
		if visit.Entry != row.entry || visit.Return != top["return_url"] || visit.App != w.apps[0] || visit.AuthApp != w.apps[0] {
			t.Errorf("%+v", visit)
		}
		if back, err := w.desk.Return(w.ctx, visit); back != "" || err != nil {
			t.Errorf("back before it is paid: %q, %v", back, err)
		}
		_, err = w.cashier.Pay(w.ctx, pay.PayAsk{Merchant: visit.Merchant, OutTradeNo: visit.OutTradeNo, Payer: w.customers[0]}, w.tick())
		w.must(err)
		back, err := w.desk.Return(w.ctx, visit)
		w.must(err)
		form := checkSigned(t, back[strings.IndexByte(back, '?')+1:], "x")
		if !strings.HasPrefix(back, "https://shop.example/back?") || form.Get("method") != method+".return" || form.Get("total_amount") != "9.90" ||
			form.Get("x") != "1" || form.Get("seller_id") != w.merchants[0].String() || form.Get("out_trade_no") != method {
			t.Errorf("back to %s", back)
		}
		rec = w.post(w.request(method, ask, top))
		if rec.Header().Get("Location") != "" || !strings.Contains(rec.Body.String(), "ACQ.TRADE_HAS_SUCCESS") {
			t.Errorf("%s again: %d %s", method, rec.Code, rec.Body)
		}
	}
	a := w.done("alipay.trade.app.pay", map[string]any{"out_trade_no": "app", "total_amount": "9.90", "subject": "茶"})
	if !strings.HasPrefix(a.text("cashier_url"), "https://pay.example/cashier/") || a.text("trade_no") == "" {
		t.Errorf("%v", a)
	}
}

func TestCancelAndClose(t *testing.T) {
	w := newWorld(t)
	unknown := map[string]any{"out_trade_no": "X"}
	w.is(w.done("alipay.trade.cancel", unknown), "action", "", "trade_no", "", "out_trade_no", "X", "retry_flag", "N")
	w.is(w.done("alipay.trade.cancel", unknown), "action", "", "trade_no", "")
	w.refused("ACQ.TRADE_HAS_CLOSE", "alipay.trade.pay", w.payment(0, "X", "9.90"))
	w.is(w.done("alipay.trade.cancel", map[string]any{"trade_no": strings.Repeat("1", 28)}), "action", "", "trade_no", "")
	w.is(w.done("alipay.trade.query", unknown), "trade_status", "TRADE_CLOSED")

	create := map[string]any{"out_trade_no": "W", "total_amount": "9.90", "subject": "茶", "buyer_id": w.customers[0].String()}
	no := w.done("alipay.trade.create", create).text("trade_no")
	for range 2 {
		w.is(w.done("alipay.trade.cancel", map[string]any{"trade_no": no}), "action", "close", "trade_no", no, "out_trade_no", "W")
	}
	paid := w.done("alipay.trade.pay", w.payment(0, "P", "9.90"))
	for range 2 {
		w.is(w.done("alipay.trade.cancel", map[string]any{"out_trade_no": "P"}), "action", "refund", "trade_no", paid.text("trade_no"))
	}
	w.is(w.done("alipay.trade.query", map[string]any{"out_trade_no": "P"}), "trade_status", "TRADE_CLOSED", "receipt_amount", "9.90")
	if got := w.balance(w.customers[0]).Available; got != startMoney {
		t.Errorf("the customer has %d", got)
	}

	create["out_trade_no"] = "K"
	no = w.done("alipay.trade.create", create).text("trade_no")
	w.is(w.done("alipay.trade.close", map[string]any{"trade_no": no}), "trade_no", no, "out_trade_no", "K")
	w.refused("ACQ.REASON_TRADE_STATUS_INVALID", "alipay.trade.close", map[string]any{"trade_no": no})
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.close", map[string]any{"out_trade_no": "none"})
	w.done("alipay.trade.pay", w.payment(0, "S", "9.90"))
	w.refused("ACQ.REASON_TRADE_STATUS_INVALID", "alipay.trade.close", map[string]any{"out_trade_no": "S"})
	w.done("alipay.fund.trans.uni.transfer", w.transfer("all", "9.80"))
	w.is(w.refused("ACQ.SELLER_BALANCE_NOT_ENOUGH", "alipay.trade.cancel", map[string]any{"out_trade_no": "S"}), "retry_flag", "N")
	w.now = w.now.AddDate(1, 0, 1)
	w.refused("ACQ.TRADE_HAS_FINISHED", "alipay.trade.cancel", map[string]any{"out_trade_no": "S"})
	w.is(w.done("alipay.trade.query", map[string]any{"out_trade_no": "S"}), "trade_status", "TRADE_FINISHED")
	w.audit()
}

func TestRefunds(t *testing.T) {
	w := newWorld(t)
	no := w.done("alipay.trade.pay", w.payment(0, "A", "10.00")).text("trade_no")
	part := map[string]any{
		"out_trade_no": "A", "refund_amount": "3.00", "out_request_no": "R1", "refund_reason": strings.Repeat("坏", 256),
		"query_options": []string{"refund_detail_item_list"},
	}
	a := w.done("alipay.trade.refund", part)
	w.is(a, "fund_change", "Y", "refund_fee", "3.00", "send_back_fee", "3.00", "trade_no", no, "buyer_user_id", w.customers[0].String())
	w.is(w.done("alipay.trade.refund", part), "fund_change", "N", "refund_fee", "3.00", "gmt_refund_pay", a.text("gmt_refund_pay"))
	w.refused("ACQ.DISCORDANT_REPEAT_REQUEST", "alipay.trade.refund", with(part, "refund_amount", "3.01"))
	w.refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "alipay.trade.refund", with(part, "refund_amount", "7.01", "out_request_no", "R2"))
	w.refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "alipay.trade.refund", with(part, "refund_amount", "7.00", "out_request_no", nil))
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.refund", with(part, "out_trade_no", "none"))
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.refund", with(part, "trade_no", no[:27]+"x"))

	query := map[string]any{"trade_no": no, "out_request_no": "R1", "query_options": []string{"gmt_refund_pay", "refund_detail_item_list"}}
	w.is(w.done("alipay.trade.fastpay.refund.query", query), "refund_status", "REFUND_SUCCESS", "refund_amount", "3.00", "total_amount", "10.00",
		"refund_reason", strings.Repeat("坏", 256), "gmt_refund_pay", a.text("gmt_refund_pay"), "out_trade_no", "A")
	w.is(w.done("alipay.trade.fastpay.refund.query", with(query, "out_request_no", "R9")), "refund_status", "", "trade_no", "")
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.fastpay.refund.query", with(query, "trade_no", nil, "out_trade_no", "none"))

	w.is(w.done("alipay.trade.refund", with(part, "refund_amount", "7.00", "out_request_no", "R2")), "refund_fee", "10.00", "fund_change", "Y")
	w.is(w.done("alipay.trade.query", map[string]any{"trade_no": no}), "trade_status", "TRADE_CLOSED")
	w.refused("ACQ.TRADE_HAS_CLOSE", "alipay.trade.refund", with(part, "refund_amount", "0.01", "out_request_no", "R3"))
	w.is(w.done("alipay.trade.refund", part), "fund_change", "N", "refund_fee", "10.00")

	w.done("alipay.trade.pay", w.payment(0, "W", "10.00"))
	whole := map[string]any{"out_trade_no": "W", "refund_amount": "10.00"}
	w.is(w.done("alipay.trade.refund", whole), "fund_change", "Y", "refund_fee", "10.00")
	w.is(w.done("alipay.trade.refund", whole), "fund_change", "N", "refund_fee", "10.00")
	w.is(w.done("alipay.trade.fastpay.refund.query", map[string]any{"out_trade_no": "W", "out_request_no": "W"}), "refund_amount", "10.00")

	w.done("alipay.trade.create", map[string]any{"out_trade_no": "N", "total_amount": "1.00", "subject": "茶", "buyer_id": w.customers[0].String()})
	w.refused("ACQ.TRADE_STATUS_ERROR", "alipay.trade.refund", map[string]any{"out_trade_no": "N", "refund_amount": "1.00", "out_request_no": "R"})
	w.refused("ACQ.TRADE_STATUS_ERROR", "alipay.trade.refund", map[string]any{"out_trade_no": "N", "refund_amount": "0.50"})
	w.audit()
}

func TestSettle(t *testing.T) {
	w := newWorld(t)
	no := w.done("alipay.trade.pay", w.payment(0, "A", "100.00")).text("trade_no")
	share := func(pairs ...any) map[string]any {
		return with(map[string]any{"trans_in": w.customers[1].String(), "amount": "1.00"}, pairs...)
	}
	split := func(request string, shares ...any) map[string]any {
		return map[string]any{"out_request_no": request, "trade_no": no, "royalty_parameters": shares}
	}
	ask := split("S1", share(), share("trans_in_type", "loginName", "trans_in", "+8613900000002", "amount", nil, "amount_percentage", 10),
		share("trans_in_type", "openId", "trans_in", w.desk.names.of(w.apps[0], w.customers[1])), share("trans_in", w.merchants[1].String()))
	a := w.done("alipay.trade.order.settle", ask)
	w.is(w.done("alipay.trade.order.settle", ask), "trade_no", no, "settle_no", a.text("settle_no"))
	if one, two := w.balance(w.customers[1]).Available, w.balance(w.customers[2]).Available; one != startMoney+200 || two != startMoney+1000 {
		t.Errorf("the receivers have %d and %d", one, two)
	}
	for _, row := range []struct {
		sub string
		biz map[string]any
	}{
		{"ACQ.DISCORDANT_REPEAT_REQUEST", split("S1", share())},
		{"ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", split("S2", share("amount", "90.00"))},
		{"ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", with(split("S2", share("amount", nil, "amount_percentage", 1)), "trade_no", w.done("alipay.trade.pay", w.payment(0, "tiny", "0.01")).text("trade_no"))},
		{"ACQ.ROYALTY_ACCOUNT_NOT_EXIST", split("S2", share("trans_in", "2088"))},
		{"ACQ.ROYALTY_RECEIVER_INVALID", split("S2", share("trans_in", owner(77).String()))},
		{"ACQ.ROYALTY_RECEIVER_INVALID", split("S2", share("trans_in", "6222", "trans_in_type", "cardAliasNo"))},
		{"ACQ.ROYALTY_ACCOUNTS_EQUAL", split("S2", share("trans_in", w.merchants[0].String()))},
		{"ACQ.ROYALTY_ACCOUNT_NOT_EXIST", split("S2", share("trans_out", w.customers[0].String()))},
		{"ACQ.ROYALTY_ACCOUNT_NOT_EXIST", split("S2", share("trans_in", "nobody@example.com", "trans_in_type", "loginName"))},
		{"ACQ.NOT_SUPPORT_ROYALTY", split("S2", share("royalty_type", "replenish"))},
		{"ACQ.TRADE_NOT_EXIST", with(split("S2", share()), "trade_no", "1")},
	} {
		w.refused(row.sub, "alipay.trade.order.settle", row.biz)
	}
	w.done("alipay.trade.order.settle", split("S3", share("trans_out", w.merchants[0].String())))
	w.done("alipay.trade.order.settle", map[string]any{"out_request_no": "S4", "trade_no": no, "extend_params": map[string]any{"royalty_finish": "true"}})
	w.refused("ACQ.ALREADY_FINISH_ALLOC", "alipay.trade.order.settle", split("S5", share()))
	w.audit()
}

// TestAShareThatIsNotPaid: the money of all shares is set aside before, so that is no refusal, the same request says the same, and the share is paid
// later by itself. What is not known yet is no success.
func TestAShareThatIsNotPaid(t *testing.T) {
	w := newWorld(t)
	no := w.done("alipay.trade.pay", w.payment(0, "A", "100.00")).text("trade_no")
	ask := map[string]any{"out_request_no": "S1", "trade_no": no, "royalty_parameters": []any{map[string]any{"trans_in": w.customers[1].String(), "amount": 1}}}
	wallet := holdfast.AccountID{Owner: w.customers[1], Purpose: pay.Wallet, Asset: cny}
	w.books.Change(holdfast.FreezeAccount, wallet)
	w.faulty(paytest.AnswerLost)
	w.unknown("alipay.trade.order.settle", ask)
	a := w.done("alipay.trade.order.settle", ask)
	w.is(w.done("alipay.trade.order.settle", ask), "settle_no", a.text("settle_no"), "trade_no", no)
	w.books.Change(holdfast.ThawAccount, wallet)
	for range 10 {
		w.now = w.now.Add(time.Minute)
		list, err := w.cashier.ListDue(w.ctx, holdfast.TimeOf(w.now), "", 10)
		w.must(err)
		for _, due := range list {
			w.must(w.cashier.RunDue(w.ctx, due, w.tick()))
		}
	}
	if got := w.balance(w.customers[1]).Available; got != startMoney+100 {
		t.Errorf("the receiver has %d", got)
	}
	w.done("alipay.fund.trans.uni.transfer", w.transfer("all", "98.40"))
	w.refused("ACQ.TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH", "alipay.trade.order.settle", with(ask, "out_request_no", "S2"))
	w.audit()
}

// TestTheRefundOfACancelIsFoundByTheOrderNumber: that is what bills and notices call it. A trade that was not cancelled has no such refund.
func TestTheRefundOfACancelIsFoundByTheOrderNumber(t *testing.T) {
	w := newWorld(t)
	const method = "alipay.trade.fastpay.refund.query"
	w.done("alipay.trade.pay", w.payment(0, "A", "10.00"))
	query := map[string]any{"out_trade_no": "A", "out_request_no": "A"}
	w.is(w.done(method, query), "out_trade_no", "", "refund_status", "")
	no := w.done("alipay.trade.cancel", map[string]any{"out_trade_no": "A"}).text("trade_no")
	w.is(w.done(method, query), "out_trade_no", "A", "out_request_no", "A", "refund_amount", "10.00", "total_amount", "10.00", "refund_status", "REFUND_SUCCESS")
	w.is(w.done(method, map[string]any{"trade_no": no, "out_request_no": "A"}), "out_trade_no", "A", "refund_status", "REFUND_SUCCESS")
	w.is(w.done(method, with(query, "out_request_no", "B")), "out_trade_no", "", "refund_status", "")

	ask := pay.TradeAsk{Merchant: w.merchants[0], OutTradeNo: "E", TradeOffer: pay.TradeOffer{Amount: 1000, Asset: cny, Mode: pay.Protected, Subject: "茶"}}
	_, err := w.cashier.PayNew(w.ctx, ask, w.customers[0], w.tick())
	w.must(err)
	escrow := pay.EscrowAsk{Merchant: w.merchants[0], OutTradeNo: "E", By: w.customers[0]}
	_, err = w.cashier.Dispute(w.ctx, escrow, w.tick())
	w.must(err)
	_, err = w.cashier.Decide(w.ctx, escrow, 250, w.tick())
	w.must(err)
	w.is(w.done(method, map[string]any{"out_trade_no": "E", "out_request_no": "E"}), "refund_amount", "7.50", "refund_status", "REFUND_SUCCESS")
}

// TestWrongCodesHaveALimit: whoever guesses the code of a customer is stopped, with right ones of this customer as well, and nobody else is.
func TestWrongCodesHaveALimit(t *testing.T) {
	w := newWorld(t)
	for n := range 2 * pay.NamedTries { // right ones are not counted
		w.done("alipay.trade.pay", w.payment(0, fmt.Sprint("right", n), "0.01"))
	}
	pay1, other := w.payment(0, "A", "1.00"), w.payment(1, "B", "1.00")
	pay1["auth_code"] = pay.PaymentCode(w.customers[0], w.secret[:], holdfast.TimeOf(w.now)) // of the same minute as the other
	hold := map[string]any{
		"auth_code": pay1["auth_code"], "auth_code_type": "bar_code", "out_order_no": "H", "out_request_no": "H", "order_title": "x", "amount": "1.00",
		"product_code": "PRE_AUTH",
	}
	for n := range pay.NamedTries {
		wrong := fmt.Sprintf("28%08d123456%02d", w.customers[0].Sequence(), n)
		w.refused("ACQ.PAYMENT_AUTH_CODE_INVALID", "alipay.trade.pay", with(pay1, "out_trade_no", fmt.Sprint("wrong", n), "auth_code", wrong))
	}
	w.is(w.refused("isv.app-call-limited", "alipay.trade.pay", pay1), "code", "40005")
	w.is(w.refused("isv.app-call-limited", "alipay.fund.auth.order.freeze", hold), "code", "40005")
	w.refused("ACQ.TRADE_NOT_EXIST", "alipay.trade.query", map[string]any{"out_trade_no": "A"}) // nothing was executed
	w.done("alipay.trade.pay", other)
	w.done("alipay.trade.pay", w.payment(0, "A", "1.00")) // a minute later
	w.audit()
}

// TestWhatWasNotExecutedIsToldAsThat: others change the wallet each time before the payment comes. Nothing was executed, so it is not told as unknown.
func TestWhatWasNotExecutedIsToldAsThat(t *testing.T) {
	w := newWorld(t)
	w.done("alipay.trade.pay", w.payment(0, "A", "10.00"))
	inside := false
	w.books.Meanwhile = func(*holdfast.Txn) {
		if inside {
			return
		}
		inside = true
		w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Payment: holdfast.Amount(w.now.UnixNano())%1e6 + 5000}, w.tick()))
		w.must(w.cashier.SetFee(w.ctx, w.merchants[0], pay.FeePlan{BasisPoints: 60}, w.tick()))
		inside = false
	}
	ask := w.payment(0, "B", "1.00")
	a := w.refused("isv.app-call-limited", "alipay.trade.pay", ask)
	w.is(a, "code", "40005")
	w.books.Meanwhile = nil
	w.is(w.done("alipay.trade.pay", ask), "receipt_amount", "1.00")
	w.audit()
}
