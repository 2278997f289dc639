package alipay

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

var testNotice = TradeNotice{
	NoticeHead: NoticeHead{ID: "n1", Time: testNow, AppID: appID, AuthAppID: appID},
	TradeNo:    tradeNo, OutTradeNo: "A1", Status: TradeSuccess, Total: 990, Receipt: 990, BuyerPaid: 990, Buyer: customer, Seller: merchant,
	Subject: "茶 a+b 100%", Passback: "a%3Db", Created: testNow, PaidAt: paidAt, Funds: []FundBill{{"ALIPAYACCOUNT", 490}, {"BANKCARD", 500}},
}

var testHold = HoldNotice{
	NoticeHead: testNotice.NoticeHead, AuthNo: "A1", OutOrderNo: "H1", OperationID: "O1", RequestNo: "Q1", Amount: 500, Status: "SUCCESS",
	Frozen: 500, Rest: 500, Payer: customer, Created: testNow, At: testNow,
}

// verifiedForm decodes a notice and verifies it as a merchant would: without sign and sign_type, no empty parameter, each once.
func verifiedForm(t *testing.T, form string, kind SignType) url.Values {
	t.Helper()
	v, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, values := range v {
		if len(values) != 1 || values[0] == "" {
			t.Errorf("%s = %q", name, values)
		}
		if name != "sign" && name != "sign_type" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name+"="+v.Get(name))
	}
	if !kind.verify(&platformKey().PublicKey, []byte(strings.Join(pairs, "&")), v.Get("sign")) {
		t.Errorf("the signature does not fit: %s", form)
	}
	return v
}

func TestTradeNotice(t *testing.T) {
	for _, kind := range []SignType{RSA2, RSA} {
		v := verifiedForm(t, must(testNotice.Form(platformKey(), kind)), kind)
		for name, want := range map[string]string{
			"notify_type": "trade_status_sync", "notify_time": "2026-11-22 12:01:30", "notify_id": "n1", "sign_type": string(kind), "charset": "utf-8",
			"trade_status": "TRADE_SUCCESS", "total_amount": "9.90", "seller_id": merchant.String(), "subject": "茶 a+b 100%", "passback_params": "a%3Db",
			"gmt_payment": "2026-11-22 12:01:25", "buyer_id": buyer,
			"fund_bill_list": `[{"amount":"4.90","fundChannel":"ALIPAYACCOUNT"},{"amount":"5.00","fundChannel":"BANKCARD"}]`,
		} {
			if v.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, v.Get(name), want)
			}
		}
		for _, absent := range []string{"body", "gmt_close", "refund_fee", "buyer_open_id"} {
			if v.Has(absent) {
				t.Errorf("%s is sent", absent)
			}
		}
	}
	n := testNotice
	n.Refund = &RefundPart{"R1", 300, testNow}
	if v := verifiedForm(t, must(n.Form(platformKey(), RSA2)), RSA2); v.Get("refund_fee") != "3.00" || v.Get("out_biz_no") != "R1" || v.Get("gmt_refund") == "" {
		t.Errorf("%v", v)
	}
}

func TestHoldNotice(t *testing.T) {
	v := verifiedForm(t, must(testHold.Form(platformKey(), RSA2)), RSA2)
	if v.Get("notify_type") != "fund_auth_freeze" || v.Get("operation_type") != "FREEZE" || v.Get("rest_amount") != "5.00" || v.Get("total_pay_amount") != "0.00" {
		t.Errorf("%v", v)
	}
	n := testHold
	n.Unfreeze = true
	if v := verifiedForm(t, must(n.Form(platformKey(), RSA2)), RSA2); v.Get("notify_type") != "fund_auth_unfreeze" || v.Get("operation_type") != "UNFREEZE" {
		t.Errorf("%v", v)
	}
}

func TestNoticeSchedule(t *testing.T) {
	var all []string
	var total time.Duration
	for n := 1; ; n++ {
		wait, more := NoticeWait(n)
		if !more {
			break
		}
		all, total = append(all, wait.String()), total+wait
	}
	if got := strings.Join(all, " "); got != "4m0s 10m0s 10m0s 1h0m0s 2h0m0s 6h0m0s 15h0m0s" || total > noticeLife {
		t.Errorf("%s, %v", got, total)
	}
	if _, more := NoticeWait(0); more {
		t.Error("a notice that was never sent waits")
	}
	for body, want := range map[string]bool{"success": true, "success\n": false, "SUCCESS": false, "fail": false, "": false} {
		if NoticeAccepted(200, []byte(body)) != want || NoticeAccepted(302, []byte(body)) {
			t.Errorf("%q", body)
		}
	}
}

var testReturn = Return{Entry: Page, AppID: appID, AuthAppID: appID, Seller: merchant, TradeNo: tradeNo, OutTradeNo: "A1", Total: 990, At: testNow}

func TestReturnURL(t *testing.T) {
	address := must(ReturnURL(platformKey(), RSA2, "https://shop.example/back?shop=1&out_trade_no=mine&a=b%20c#end", testReturn))
	u := must(url.Parse(address))
	if u.Fragment != "end" || !strings.HasPrefix(address, "https://shop.example/back?shop=1&a=b%20c&charset=utf-8&out_trade_no=A1&method=alipay.trade.page.pay.return&") {
		t.Error(address)
	}
	own := u.Query()
	own.Del("shop")
	own.Del("a")
	v := verifiedForm(t, own.Encode(), RSA2)
	if v.Get("total_amount") != "9.90" || v.Get("seller_id") != merchant.String() || v.Get("timestamp") != "2026-11-22 12:01:30" || v.Has("passback_params") {
		t.Errorf("%v", v)
	}
	r := testReturn
	r.Entry = Wap
	if address = must(ReturnURL(platformKey(), RSA2, "https://shop.example/back", r)); !strings.Contains(address, "alipay.trade.wap.pay.return") {
		t.Error(address)
	}
}
