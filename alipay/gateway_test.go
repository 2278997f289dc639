package alipay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
)

// checkEnvelope cuts the signed text out as SDKs do, by punctuation, verifies it and looks for some text in it.
func checkEnvelope(t testing.TB, body, root string, contains ...string) (inner string) {
	t.Helper()
	rest, ok := strings.CutPrefix(body, `{"`+root+`":`)
	at := strings.LastIndex(rest, `,"sign":"`)
	if !ok || at < 0 || !strings.HasSuffix(rest, `"}`) {
		t.Fatalf("no compact envelope of %s: %s", root, body)
	}
	inner = rest[:at]
	if !json.Valid([]byte(inner)) || strings.Count(body, `"sign"`) != 1 {
		t.Fatalf("inner object: %s", inner)
	}
	signature := rest[at+len(`,"sign":"`) : len(rest)-2]
	if !RSA2.verify(&platformKey().PublicKey, []byte(inner), signature) && !RSA.verify(&platformKey().PublicKey, []byte(inner), signature) {
		t.Errorf("the signature does not fit: %s", body)
	}
	for _, text := range contains {
		if !strings.Contains(inner, text) {
			t.Errorf("%s\ndoes not have\n%s", inner, text)
		}
	}
	return inner
}

// signedQuery are the parameters of a call, signed, after a change.
func signedQuery(method, biz string, change func(url.Values)) url.Values {
	v := url.Values{
		"method": {method}, "app_id": {appID}, "charset": {"utf-8"}, "version": {"1.0"}, "sign_type": {"RSA2"},
		"timestamp": {"2026-11-22 12:01:24"}, "biz_content": {biz},
	}
	if change != nil {
		change(v)
	}
	if v.Has("sign") {
		return v
	}
	p := params{}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p = append(p, param{name, v.Get(name)})
	}
	kind := RSA2
	if v.Get("sign_type") == "RSA" {
		kind = RSA
	}
	v.Set("sign", must(kind.sign(appKey(), p.signedText(nil, false))))
	return v
}

// ask sends a call in the form that smartwalle and others use: everything in the body.
func ask(g *Gateway, method, biz string, change func(url.Values)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, post("", signedQuery(method, biz, change).Encode()))
	return w
}

func rootOf(method string) string { return strings.ReplaceAll(method, ".", "_") + "_response" }

const order = `"out_trade_no":"A1","total_amount":"9.90","subject":"茶"`

// TestEveryMethod: what is asked arrives typed, and what is answered is on the wire to the letter. The refusal is one that the desk made.
func TestEveryMethod(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, gmt8) }
	terms := func(product string, wait time.Duration) OrderTerms {
		return OrderTerms{
			OutTradeNo: "A1", Total: 990, Subject: "茶", Product: product, NotifyURL: "https://shop.example/default", Expires: testNow.Add(wait),
		}
	}
	const buyerOut = `"buyer_user_id":"2088000000020000","buyer_logon_id":"138****0001",`
	const amounts = `"total_amount":"9.90","receipt_amount":"9.90","buyer_pay_amount":"9.90","point_amount":"0.00","invoice_amount":"9.90",`
	const funds = `"fund_bill_list":[{"fund_channel":"ALIPAYACCOUNT","amount":"9.90"}]`
	for _, row := range []struct {
		method, biz string
		want        any
		answer      string // the members after code and msg
		refusable   string // the same, such that the desk refuses it
		refusal     string
		topLevel    url.Values
	}{
		{
			"alipay.trade.pay", `{` + order + `,"auth_code":"281234567890123456"}`,
			PayRequest{OrderTerms: terms(faceToFace, 3*time.Hour), AuthCode: NewSecret("281234567890123456"), Scene: "bar_code"},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1",` + buyerOut + amounts + `"gmt_payment":"2026-11-22 12:01:25",` + funds + `,"store_name":"茶"`,
			`{"out_trade_no":"R:ACQ.BUYER_BALANCE_NOT_ENOUGH","total_amount":1,"subject":"x","auth_code":"281234567890123456"}`, "ACQ.BUYER_BALANCE_NOT_ENOUGH", nil,
		},
		{
			"alipay.trade.precreate", `{` + order + `,"timeout_express":"90m","store_id":"s1","goods_detail":[{"goods_id":"g","goods_name":"tea","quantity":2,"price":4.95}]}`,
			PrecreateRequest{OrderTerms: func() OrderTerms {
				o := terms(faceToFace, 90*time.Minute)
				o.Explicit, o.Place.Store, o.Goods = true, "s1", []Goods{{"g", "tea", 2, 495}}
				return o
			}(), CodeExpires: testNow.Add(90 * time.Minute)},
			`"out_trade_no":"A1","qr_code":"https://pay.example/q/abc"`,
			`{"out_trade_no":"R:ACQ.TRADE_HAS_CLOSE","total_amount":"1.00","subject":"x"}`, "ACQ.TRADE_HAS_CLOSE", nil,
		},
		{
			"alipay.trade.create", `{` + order + `,"buyer_id":"2088000000020000","product_code":"JSAPI_PAY"}`,
			CreateRequest{OrderTerms: terms("JSAPI_PAY", maxWait), BuyerID: buyer},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1"`,
			`{"out_trade_no":"R:ACQ.BUYER_NOT_EXIST","total_amount":"1.00","subject":"x","buyer_id":"2088"}`, "ACQ.BUYER_NOT_EXIST", nil,
		},
		{
			"alipay.trade.app.pay", `{` + order + `}`,
			OpenRequest{OrderTerms: terms("QUICK_MSECURITY_PAY", maxWait), Entry: InApp},
			`"out_trade_no":"A1","trade_no":"` + tradeNo + `","total_amount":"9.90","cashier_url":"` + payURL + `"`,
			`{"out_trade_no":"R:ACQ.TRADE_HAS_SUCCESS","total_amount":"1.00","subject":"x"}`, "ACQ.TRADE_HAS_SUCCESS", nil,
		},
		{
			"alipay.trade.query", `{"out_trade_no":"A1","query_options":["fund_bill_list"]}`,
			TradeRef{OutTradeNo: "A1"},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1",` + buyerOut + `"trade_status":"TRADE_SUCCESS",` + amounts +
				`"send_pay_date":"2026-11-22 12:01:25","store_id":"s1",` + funds + `,"buyer_user_type":"PRIVATE"`,
			`{"trade_no":"R:ACQ.TRADE_NOT_EXIST","out_trade_no":"loses"}`, "ACQ.TRADE_NOT_EXIST", nil,
		},
		{
			"alipay.trade.cancel", `{"out_trade_no":"A1"}`,
			CancelRequest{TradeRef{OutTradeNo: "A1"}, "https://shop.example/default"},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1","retry_flag":"N","action":"refund"`,
			`{"out_trade_no":"R:ACQ.TRADE_HAS_FINISHED"}`, "ACQ.TRADE_HAS_FINISHED", nil,
		},
		{
			"alipay.trade.close", `{"trade_no":"A1","operator_id":"o"}`,
			CloseRequest{TradeRef{TradeNo: "A1"}, "o", "https://shop.example/default"},
			`"trade_no":"` + tradeNo + `","out_trade_no":""`,
			`{"out_trade_no":"R:ACQ.REASON_TRADE_STATUS_INVALID"}`, "ACQ.REASON_TRADE_STATUS_INVALID", nil,
		},
		{
			"alipay.trade.refund", `{"out_trade_no":"A1","refund_amount":1,"out_request_no":"Q1","refund_reason":"broken","query_options":["refund_detail_item_list"]}`,
			RefundRequest{TradeRef: TradeRef{OutTradeNo: "A1"}, Amount: 100, RequestNo: "Q1", Reason: "broken", NotifyURL: "https://shop.example/default", Detail: true},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1",` + buyerOut + `"fund_change":"Y","refund_fee":"3.00","gmt_refund_pay":"2026-11-22 12:01:25"`,
			`{"out_trade_no":"R:ACQ.SELLER_BALANCE_NOT_ENOUGH","refund_amount":"1.00"}`, "ACQ.SELLER_BALANCE_NOT_ENOUGH", nil,
		},
		{
			"alipay.trade.fastpay.refund.query", `{"out_trade_no":"A1","out_request_no":"Q1","query_options":["gmt_refund_pay"]}`,
			RefundQueryRequest{TradeRef{OutTradeNo: "A1"}, "Q1", false, true},
			`"trade_no":"` + tradeNo + `","out_trade_no":"A1","out_request_no":"Q1","total_amount":"9.90","refund_amount":"1.00","refund_status":"REFUND_SUCCESS"`,
			`{"out_trade_no":"R:ACQ.TRADE_NOT_EXIST","out_request_no":"Q1"}`, "ACQ.TRADE_NOT_EXIST", nil,
		},
		{
			"alipay.trade.order.settle", `{"out_request_no":"Q1","trade_no":"T1","royalty_parameters":[{"trans_in":"2088","amount":1.5},{"trans_in":"2089","amount_percentage":"10"}],"extend_params":{"royalty_finish":"true"}}`,
			SettleRequest{RequestNo: "Q1", TradeNo: "T1", Finish: true, Shares: []Share{
				{OutType: "userId", In: "2088", InType: "userId", Amount: 150, Type: "transfer"},
				{OutType: "userId", In: "2089", InType: "userId", Percent: 10, Type: "transfer"},
			}},
			`"trade_no":"T1","settle_no":"S1"`,
			`{"out_request_no":"R:ACQ.ALLOC_AMOUNT_VALIDATE_ERROR","trade_no":"T1","royalty_parameters":[{"trans_in":"2088","amount":"1"}]}`, "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", nil,
		},
		{
			"alipay.fund.trans.uni.transfer", `{"out_biz_no":"B1","trans_amount":"12.34","product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER","payee_info":{"identity":"2088","identity_type":"ALIPAY_USER_ID"},"order_title":"wages"}`,
			TransferRequest{
				OutBizNo: "B1", Amount: 1234, Product: "TRANS_ACCOUNT_NO_PWD", Scene: "DIRECT_TRANSFER", Payee: "2088", PayeeType: "ALIPAY_USER_ID",
				Title: "wages", NotifyURL: "https://shop.example/default",
			},
			`"out_biz_no":"B1","order_id":"T1","pay_fund_order_id":"F1","status":"SUCCESS","trans_date":"2026-11-22 12:01:25"`,
			`{"out_biz_no":"R:PAYEE_NOT_EXIST","trans_amount":"1","product_code":"STD_RED_PACKET","biz_scene":"DIRECT_TRANSFER","payee_info":"{\"identity\":\"2088\",\"identity_type\":\"ALIPAY_USER_ID\"}"}`, "PAYEE_NOT_EXIST", nil,
		},
		{
			"alipay.fund.trans.common.query", `{"out_biz_no":"B1","product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER"}`,
			TransferQueryRequest{OutBizNo: "B1", Product: "TRANS_ACCOUNT_NO_PWD", Scene: "DIRECT_TRANSFER"},
			`"order_id":"T1","pay_fund_order_id":"F1","out_biz_no":"B1","status":"SUCCESS","trans_amount":"12.34","pay_date":"2026-11-22 12:01:25","order_fee":"0.00"`,
			`{"order_id":"R:ORDER_NOT_EXIST","out_biz_no":"loses"}`, "ORDER_NOT_EXIST", nil,
		},
		{
			"alipay.fund.account.query", `{"alipay_user_id":"2088"}`,
			BalanceRequest{UserID: "2088", AccountType: "ACCTRANS_ACCOUNT"},
			`"available_amount":"1234.56","freeze_amount":"0.05"`,
			`{"alipay_user_id":"R:NO_PERMISSION_ACCOUNT"}`, "NO_PERMISSION_ACCOUNT", nil,
		},
		{
			"alipay.fund.auth.order.freeze", `{"auth_code":"281234567890123456","auth_code_type":"bar_code","out_order_no":"H1","out_request_no":"Q1","order_title":"押金","amount":"5"}`,
			FreezeRequest{
				AuthCode: NewSecret("281234567890123456"), CodeType: "bar_code", OutOrderNo: "H1", RequestNo: "Q1", Title: "押金", Amount: 500,
				Product: preAuth, Expires: testNow.Add(15 * time.Minute), NotifyURL: "https://shop.example/default",
			},
			`"auth_no":"A1","out_order_no":"H1","operation_id":"O1","out_request_no":"Q1","amount":"5.00","status":"SUCCESS","gmt_trans":"2026-11-22 12:01:25",` +
				`"payer_user_id":"2088000000020000","payer_logon_id":"138****0001"`,
			`{"auth_code":"281234567890123456","auth_code_type":"bar_code","out_order_no":"R:MONEY_NOT_ENOUGH","out_request_no":"Q1","order_title":"x","amount":"5"}`, "MONEY_NOT_ENOUGH", nil,
		},
		{
			"alipay.fund.auth.order.unfreeze", `{"auth_no":"A1","out_request_no":"Q2","amount":"5.00","remark":"back"}`,
			UnfreezeRequest{"A1", "Q2", 500, "back", "https://shop.example/default"},
			`"auth_no":"A1","out_order_no":"H1","operation_id":"O2","out_request_no":"Q2","amount":"5.00","status":"SUCCESS","gmt_trans":"2026-11-22 12:01:25"`,
			`{"auth_no":"A1","out_request_no":"R:REQUEST_AMOUNT_EXCEED","amount":"5.00","remark":"x"}`, "REQUEST_AMOUNT_EXCEED", nil,
		},
		{
			"alipay.fund.auth.operation.detail.query", `{"out_order_no":"H1","out_request_no":"Q1"}`,
			AuthQueryRequest{OutOrderNo: "H1", RequestNo: "Q1"},
			`"auth_no":"A1","out_order_no":"H1","order_title":"hotel","order_status":"AUTHORIZED","rest_amount":"4.00","total_freeze_amount":"5.00","total_pay_amount":"1.00",` +
				`"operation_id":"O1","out_request_no":"Q1","operation_type":"FREEZE","amount":"5.00","status":"SUCCESS","payer_user_id":"2088000000020000",` +
				`"payer_logon_id":"138****0001","gmt_create":"2026-11-22 12:01:25","gmt_trans":"2026-11-22 12:01:25"`,
			`{"auth_no":"R:AUTH_ORDER_NOT_EXIST","operation_id":"O1"}`, "AUTH_ORDER_NOT_EXIST", nil,
		},
		{
			"alipay.data.dataservice.bill.downloadurl.query", `{"bill_type":"trade","bill_date":"2026-11-21"}`,
			BillURLRequest{Type: "trade", Day: day(21)},
			`"bill_download_url":"https://pay.example/bill/x"`,
			`{"bill_type":"trade","bill_date":"2026-10","smid":"R:NO_BILL_DATA"}`, "NO_BILL_DATA", nil,
		},
		{
			"alipay.user.info.share", "",
			UserInfoRequest{NewSecret("tok")},
			`"user_id":"2088000000020000","nick_name":"小王","gender":"F","is_certified":"T","user_type":"2","user_status":"T"`,
			"", "aop.auth-token-time-out",
			url.Values{"auth_token": {"tok"}},
		},
	} {
		t.Run(row.method, func(t *testing.T) {
			g, d := newGateway(t, nil)
			change := func(v url.Values) { maps.Copy(v, row.topLevel) }
			w := ask(g, row.method, row.biz, change)
			inner := checkEnvelope(t, w.Body.String(), rootOf(row.method))
			if want := `{"code":"10000","msg":"Success",` + row.answer + `}`; w.Code != 200 || inner != want {
				t.Errorf("%d\n%s\nwant\n%s", w.Code, inner, want)
			}
			if diff := cmp.Diff(row.want, d.last, cmp.AllowUnexported(Secret{})); diff != "" {
				t.Error(diff)
			}
			if d.who.Merchant != merchant || d.who.AuthApp != appID || !d.who.Now.Equal(testNow) || len(d.who.Trace) != 32 || w.Header().Get("trace_id") != d.who.Trace {
				t.Errorf("caller %+v, trace %q", d.who, w.Header().Get("trace_id"))
			}
			if row.topLevel != nil {
				change = func(v url.Values) { v.Set("auth_token", "R:"+row.refusal) }
			}
			w = ask(g, row.method, row.refusable, change)
			fail := failureOf(refuse(row.refusal))
			checkEnvelope(t, w.Body.String(), rootOf(row.method), `"code":"`+fail.code+`"`, `"sub_code":"`+row.refusal+`"`, `"sub_msg":"`+fail.text+`"`)
			// Without any parameter it is refused by the gateway, in the words of its family, unless nothing is needed.
			m := g.index.byName[row.method]
			body := ask(g, row.method, "{}", nil).Body.String()
			if row.method != "alipay.fund.account.query" && row.topLevel == nil && !strings.Contains(body, `"sub_code":"`+m.invalid+`","sub_msg":"参数无效 (`) {
				t.Errorf("without parameters: %s", body)
			}
		})
	}
}

func TestOAuthToken(t *testing.T) {
	const method = "alipay.system.oauth.token"
	g, d := newGateway(t, nil)
	w := ask(g, method, "", func(v url.Values) { v.Set("grant_type", "authorization_code"); v.Set("code", "c0de") })
	inner := checkEnvelope(t, w.Body.String(), "alipay_system_oauth_token_response")
	const want = `{"access_token":"access-1","auth_start":"2026-11-22 12:01:25","expires_in":1296000,"re_expires_in":2592000,"refresh_token":"refresh-1","user_id":"2088000000020000"}`
	if inner != want || d.last.(OAuthTokenRequest).Code.Reveal() != "c0de" {
		t.Errorf("%s, and the desk got %+v", inner, d.last)
	}
	for refusal, change := range map[string]url.Values{
		"isv.grant-type-invalid":     {"grant_type": {"password"}},
		"isv.code-invalid":           {"grant_type": {"authorization_code"}},
		"isv.refresh-token-invalid":  {"grant_type": {"refresh_token"}},
		"isv.refresh-token-time-out": {"grant_type": {"refresh_token"}, "refresh_token": {"R:isv.refresh-token-time-out"}},
	} {
		w := ask(g, method, "", func(v url.Values) { maps.Copy(v, change) })
		checkEnvelope(t, w.Body.String(), "error_response", `"code":"40002"`, `"sub_code":"`+refusal+`"`)
	}
	// In v3 the parameters are members of the body.
	w = askV3(g, "POST", "/v3/alipay/system/oauth/token", `{"grant_type":"authorization_code","code":"x"}`, nil)
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = askV3(g, "POST", "/v3/alipay/user/info/share?auth_token=tok", "", nil)
	if w.Code != 200 || d.last.(UserInfoRequest).Token.Reveal() != "tok" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestOrderOfChecks: each row breaks one thing more than those below it leave whole, so the first check speaks.
func TestOrderOfChecks(t *testing.T) {
	const method = "alipay.trade.query"
	good := `{"out_trade_no":"A1"}`
	no := func(name string) func(url.Values) { return func(v url.Values) { v.Del(name) } }
	set := func(pairs ...string) func(url.Values) {
		return func(v url.Values) {
			for i := 0; i < len(pairs); i += 2 {
				v.Set(pairs[i], pairs[i+1])
			}
		}
	}
	for _, row := range []struct {
		name, root, code, sub string
		change                func(url.Values)
		app                   func(*App)
	}{
		{"no method", "error_response", "40001", "isv.missing-method", no("method"), nil},
		{"unusable method", "error_response", "40002", "isv.invalid-method", set("method", `a"b`), nil},
		{"no app", rootOf(method), "40001", "isv.missing-app-id", no("app_id"), nil},
		{"wrong app, signature absent", rootOf(method), "40002", "isv.invalid-app-id", set("app_id", "2", "sign", ""), nil},
		{"app disabled, no sign_type", rootOf(method), "40002", "isv.invalid-app-id", no("sign_type"), func(a *App) { a.Enabled = false }},
		{"no sign_type, no key", rootOf(method), "40001", "isv.missing-signature-type", no("sign_type"), func(a *App) { a.Key = nil }},
		{"no sign", rootOf(method), "40001", "isv.missing-signature", set("sign", ""), nil},
		{"no timestamp", rootOf(method), "40001", "isv.missing-timestamp", no("timestamp"), nil},
		{"no version", rootOf(method), "40001", "isv.missing-version", no("version"), nil},
		{"sign_type", rootOf(method), "40002", "isv.invalid-signature-type", set("sign_type", "MD5"), nil},
		{"charset", rootOf(method), "40002", "isv.invalid-charset", set("charset", "GBK"), nil},
		{"version", rootOf(method), "40002", "isv.invalid-version", set("version", "2.0"), nil},
		{"timestamp", rootOf(method), "40002", "isv.invalid-timestamp", set("timestamp", "2026-11-22T12:01:24"), nil},
		{"timestamp with a fraction", rootOf(method), "40002", "isv.invalid-timestamp", set("timestamp", "2026-11-22 12:01:24.5"), nil},
		{"timestamp a day and a second old", rootOf(method), "40002", "isv.invalid-timestamp", set("timestamp", "2026-11-21 12:01:29"), nil},
		{"format", rootOf(method), "40002", "isv.invalid-format", set("format", "XML"), nil},
		{"no public key, wrong signature", rootOf(method), "40003", "isv.missing-signature-config", set("sign", "AAAA"), func(a *App) { a.Key = nil }},
		{"wrong signature, no such method", "alipay_trade_nothing_response", "40002", "isv.invalid-signature", set("sign", "AAAA", "method", "alipay.trade.nothing"), nil},
		{"no such method", "alipay_trade_nothing_response", "40002", "isv.invalid-method", set("method", "alipay.trade.nothing"), nil},
		{"no permission, no JSON", rootOf(method), "40006", "isv.insufficient-isv-permissions", set("biz_content", "{"), func(a *App) { a.Products = Bill }},
		{"wrong token", rootOf(method), "20001", "aop.invalid-app-auth-token", set("app_auth_token", "x"), nil},
		{"encrypted", rootOf(method), "40003", "isv.decryption-error-unknown", set("encrypt_type", "AES"), nil},
		{"no JSON", rootOf(method), "40002", "isv.illegal-json", set("biz_content", `{"out_trade_no":"A1"`), nil},
		{"no object", rootOf(method), "40002", "isv.illegal-json", set("biz_content", `["A1"]`), nil},
		{"a member twice", rootOf(method), "40002", "isv.illegal-json", set("biz_content", `{"out_trade_no":"A1","out_trade_no":"A2"}`), nil},
		{"more than JSON", rootOf(method), "40002", "isv.illegal-json", set("biz_content", good+`{}`), nil},
		{"notify_url", rootOf(method), "40002", "isv.invalid-parameter", set("notify_url", "ftp://shop.example"), nil},
		{"business", rootOf(method), "40004", "ACQ.INVALID_PARAMETER", set("biz_content", "{}"), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			g, d := newGateway(t, nil)
			if row.app != nil {
				row.app(&d.app)
			}
			w := ask(g, method, good, row.change)
			if w.Code != 200 || d.last != nil {
				t.Errorf("status %d, the desk got %+v", w.Code, d.last)
			}
			fail := failureOf(refuse(row.sub))
			checkEnvelope(t, w.Body.String(), row.root, `"code":"`+row.code+`","msg":"`+messages[row.code]+`","sub_code":"`+row.sub+`"`)
			if fail.code != row.code {
				t.Errorf("%s is %s in the table", row.sub, fail.code)
			}
		})
	}
	// What is tolerated.
	for name, change := range map[string]func(url.Values){
		"format in small letters":       set("format", "json"),
		"charset in capitals":           set("charset", "UTF-8"),
		"eight hours behind, as in UTC": set("timestamp", "2026-11-22 04:01:24"),
		"one hour ahead, as in Tokyo":   set("timestamp", "2026-11-22 13:01:24"),
		"unknown parameters":            set("ws_service_url", "x", "terminal_type", "web", "alipay_sdk", "any", "app_cert_sn", "0123"),
		"SHA-1":                         set("sign_type", "RSA"),
		"an empty value":                set("notify_url", ""),
	} {
		g, _ := newGateway(t, nil)
		checkEnvelope(t, ask(g, method, good, change).Body.String(), rootOf(method), `"code":"10000"`)
		_ = name
	}
}

func TestQueryAndBodyAreOneList(t *testing.T) {
	g, _ := newGateway(t, nil)
	const method, biz = "alipay.trade.query", `{"out_trade_no":"A 1+"}`
	v := signedQuery(method, `{"out_trade_no":"A1","x":"a b+c%"}`, nil)
	all := v.Encode()
	split := func(inQuery ...string) *http.Request {
		q, b := url.Values{}, url.Values{}
		for name := range v {
			if slices.Contains(inQuery, name) {
				q.Set(name, v.Get(name))
			} else {
				b.Set(name, v.Get(name))
			}
		}
		return post(q.Encode(), b.Encode())
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for name := range v {
		if err := parts.WriteField(name, v.Get(name)); err != nil {
			t.Fatal(err)
		}
	}
	file, _ := parts.CreateFormFile("image", "a.png")
	_, _ = file.Write([]byte{1, 2, 255})
	parts.Close()
	upload := httptest.NewRequest(http.MethodPost, "/gateway.do", &form)
	upload.Header.Set("Content-Type", parts.FormDataContentType())
	for name, r := range map[string]*http.Request{
		"query only":          httptest.NewRequest(http.MethodGet, "/gateway.do?"+all, nil),
		"blanks as %20":       httptest.NewRequest(http.MethodGet, "/gateway.do?"+strings.ReplaceAll(all, "+", "%20"), nil),
		"body only":           post("", all),
		"public in the query": split("method", "app_id", "charset", "version", "sign_type", "timestamp", "sign"),
		"charset twice":       post("charset=utf-8", all),
		"multipart":           upload,
	} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"code":"10000"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	for name, r := range map[string]*http.Request{
		"twice and different": post("charset=GBK", all),
		"too many":            post("", all+strings.Repeat("&a=b", maxParams)),
		"too large":           post("", all+"&x="+strings.Repeat("x", MaxBody)),
		"a name too long":     post("", all+"&"+strings.Repeat("x", maxName+1)+"=1"),
		"no encoding":         post("", all+"&x=%zz"),
		"no name":             post("", all+"&=x"),
	} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"code":"40002"`) || !strings.Contains(w.Body.String(), `"isv.invalid-parameter"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, post("", all+"&x=%ff"))
	checkEnvelope(t, w.Body.String(), rootOf(method), "isv.invalid-charset")
	_ = biz
}

// TestThirdOutcome: unknown is told as unknown, within the deadline, and never as refused. What the desk said stays here.
func TestThirdOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		g, _ := newGateway(t, func(c *Config) { c.Observe = func(e Event) { events = append(events, e) } })
		const pay = "alipay.trade.pay"
		biz := func(no string) string {
			return `{"out_trade_no":"` + no + `","total_amount":"1","subject":"x","auth_code":"281234567890123456"}`
		}
		began := time.Now()
		for no, sub := range map[string]string{"U:1": "isp.unknow-error", "S:1": "aop.unknow-error", "X:1": "isp.unknow-error"} {
			w := ask(g, pay, biz(no), nil)
			checkEnvelope(t, w.Body.String(), rootOf(pay), `"code":"20000","msg":"Service Currently Unavailable","sub_code":"`+sub+`"`, `"out_trade_no":"`+no+`"`)
			if strings.Contains(w.Body.String(), "majority") || strings.Contains(w.Body.String(), "receipt_amount") {
				t.Errorf("%s says more than is known: %s", no, w.Body)
			}
		}
		if took := time.Since(began); took != 3500*time.Millisecond {
			t.Errorf("the slow desk was waited for for %v", took)
		}
		checkEnvelope(t, ask(g, "alipay.trade.cancel", `{"out_trade_no":"U:2"}`, nil).Body.String(), rootOf("alipay.trade.cancel"), `"code":"20000"`, `"retry_flag":"Y"`)
		checkEnvelope(t, ask(g, "alipay.trade.query", "{}", func(v url.Values) { v.Set("app_id", "down") }).Body.String(), rootOf("alipay.trade.query"), `"code":"20000"`)
		for _, e := range events {
			if e.Code != codeUnknown || e.Err == nil || strings.Contains(fmt.Sprintf("%+v", e), "281234567890123456") {
				t.Errorf("event %+v", e)
			}
		}
		if len(events) != 5 {
			t.Errorf("%d events", len(events))
		}
	})
}

func TestPendingAndRefusedPayments(t *testing.T) {
	g, _ := newGateway(t, nil)
	const pay = "alipay.trade.pay"
	const rest = `","total_amount":"1.00","subject":"x","auth_code":"281234567890123456"}`
	w := ask(g, pay, `{"out_trade_no":"P:1`+rest, nil)
	checkEnvelope(t, w.Body.String(), rootOf(pay), `{"code":"10003","msg":" order success pay inprocess","trade_no":"`+tradeNo+`"`, `"receipt_amount":"0.00","buyer_pay_amount":"0.00"`)
	w = ask(g, pay, `{"out_trade_no":"R:ACQ.PAYMENT_FAIL`+rest, nil)
	checkEnvelope(t, w.Body.String(), rootOf(pay), `"out_trade_no":"R:ACQ.PAYMENT_FAIL","receipt_amount":"0.00","buyer_pay_amount":"0.00"`)
	freeze := `{"auth_code":"281234567890123456","auth_code_type":"bar_code","out_order_no":"P:1","out_request_no":"Q1","order_title":"x","amount":"5"}`
	w = ask(g, "alipay.fund.auth.order.freeze", freeze, nil)
	checkEnvelope(t, w.Body.String(), rootOf("alipay.fund.auth.order.freeze"), `"code":"10003"`, `"status":"INIT"`)
	if w = askV3(g, "POST", "/v3/alipay/trade/pay", `{"out_trade_no":"P:1`+rest, nil); w.Code != 202 || !strings.Contains(w.Body.String(), `"trade_no"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = ask(g, "alipay.trade.cancel", `{"out_trade_no":"nobody"}`, nil)
	checkEnvelope(t, w.Body.String(), rootOf("alipay.trade.cancel"), `"msg":"Success","out_trade_no":"nobody","retry_flag":"N"}`)
	checkEnvelope(t, ask(g, "alipay.trade.cancel", `{}`, nil).Body.String(), rootOf("alipay.trade.cancel"), `"code":"40004"`, `"retry_flag":"N"`)
	w = ask(g, "alipay.trade.fastpay.refund.query", `{"out_trade_no":"A1","out_request_no":"nobody"}`, nil)
	if inner := checkEnvelope(t, w.Body.String(), rootOf("alipay.trade.fastpay.refund.query")); inner != `{"code":"10000","msg":"Success"}` {
		t.Error(inner)
	}
}

// TestStrictParameters: whatever is wrong is named, and nothing of it is repeated.
func TestStrictParameters(t *testing.T) {
	g, d := newGateway(t, nil)
	long := func(n int) string { return strings.Repeat("汉", n) }
	pay := func(more string) [2]string {
		return [2]string{"alipay.trade.pay", `{"out_trade_no":"A1","total_amount":"1.00","subject":"x","auth_code":"281234567890123456"` + more + `}`}
	}
	precreate := func(fields string) [2]string { return [2]string{"alipay.trade.precreate", `{` + fields + `}`} }
	const no, total, subject = `"out_trade_no":"A1"`, `,"total_amount":"1.00"`, `,"subject":"x"`
	for _, row := range []struct {
		call     [2]string
		sub, say string // "": it is taken
	}{
		{precreate(no + total + `,"subject":"` + long(256) + `"`), "", ""},
		{precreate(no + total + `,"subject":"` + long(257) + `"`), "ACQ.INVALID_PARAMETER", "subject is longer than 256 characters"},
		{precreate(no + total + `,"subject":"a/b"`), "ACQ.INVALID_PARAMETER", "subject must not contain / = or &"},
		{precreate(no + total + `,"subject":""`), "ACQ.INVALID_PARAMETER", "subject is missing"},
		{precreate(no + total + `,"subject":null`), "ACQ.INVALID_PARAMETER", "subject is missing"},
		{precreate(no + total + `,"subject":true`), "ACQ.INVALID_PARAMETER", "subject has to be text"},
		{precreate(`"out_trade_no":"` + strings.Repeat("a", 64) + `"` + total + subject), "", ""},
		{precreate(`"out_trade_no":"` + strings.Repeat("a", 65) + `"` + total + subject), "ACQ.INVALID_PARAMETER", "out_trade_no is longer than 64"},
		{precreate(`"out_trade_no":"订单"` + total + subject), "ACQ.INVALID_PARAMETER", "letters, digits and underscores"},
		{precreate(`"out_trade_no":20150320` + total + subject), "", ""},
		{precreate(no + subject + `,"total_amount":"0.01"`), "", ""},
		{precreate(no + subject + `,"total_amount":100000000`), "", ""},
		{precreate(no + subject + `,"total_amount":"100000000.01"`), "ACQ.TOTAL_FEE_EXCEED", "0.01 and 100000000"},
		{precreate(no + subject + `,"total_amount":0`), "ACQ.TOTAL_FEE_EXCEED", "0.01 and 100000000"},
		{precreate(no + subject + `,"total_amount":-1`), "ACQ.INVALID_PARAMETER", "at most two decimals"},
		{precreate(no + subject + `,"total_amount":"1.001"`), "ACQ.INVALID_PARAMETER", "at most two decimals"},
		{precreate(no + subject + `,"total_amount":1e2`), "ACQ.INVALID_PARAMETER", "at most two decimals"},
		{precreate(no + subject + `,"total_amount":" 1"`), "ACQ.INVALID_PARAMETER", "at most two decimals"},
		{precreate(no + subject), "ACQ.INVALID_PARAMETER", "total_amount is missing"},
		{precreate(no + total + subject + `,"timeout_express":"1.5h"`), "ACQ.INVALID_PARAMETER", "timeout_express has to be 1m to 15d"},
		{precreate(no + total + subject + `,"timeout_express":"16d"`), "ACQ.INVALID_PARAMETER", "timeout_express has to be 1m to 15d"},
		{precreate(no + total + subject + `,"timeout_express":"m"`), "ACQ.INVALID_PARAMETER", "timeout_express has to be 1m to 15d"},
		{precreate(no + total + subject + `,"timeout_express":"1c"`), "", ""},
		{precreate(no + total + subject + `,"time_expire":"2026-11-22 12:01:00"`), "", ""}, // it may come again
		{precreate(no + total + subject + `,"time_expire":"2026-12-22 12:01:00"`), "ACQ.INVALID_PARAMETER", "15 days from now"},
		{precreate(no + total + subject + `,"time_expire":"tomorrow"`), "ACQ.INVALID_PARAMETER", "yyyy-MM-dd HH:mm:ss"},
		{precreate(no + total + subject + `,"goods_detail":{}`), "ACQ.INVALID_PARAMETER", "goods_detail has to be an array"},
		{precreate(no + total + subject + `,"goods_detail":[{"goods_id":"g","quantity":1.5}]`), "ACQ.INVALID_PARAMETER", "quantity has to be a whole number"},
		{precreate(no + total + subject + `,"product_code":"OTHER"`), "ACQ.INVALID_PARAMETER", "product_code has to be one of"},
		{precreate(no + total + subject + `,"passback_params":"` + long(513) + `"`), "ACQ.INVALID_PARAMETER", "passback_params is longer"},
		{precreate(no + total + subject + `,"unheard_of":{"a":[1,2]}`), "", ""},
		{precreate(no + total + subject + `,"trans_currency":"CNY","royalty_info":null,"settle_info":{},"sub_merchant":""`), "", ""},
		{precreate(no + total + subject + `,"trans_currency":"USD"`), "ACQ.INVALID_PARAMETER", "trans_currency has to be one of CNY"},
		{pay(`,"settle_currency":"HKD"`), "ACQ.INVALID_PARAMETER", "settle_currency has to be one of CNY"},
		{pay(`,"royalty_info":{"royalty_type":"ROYALTY"}`), "ACQ.INVALID_PARAMETER", "royalty_info is not offered here, and the request was not executed"},
		{pay(`,"settle_info":{"settle_detail_infos":[{}]}`), "ACQ.INVALID_PARAMETER", "settle_info is not offered"},
		{[2]string{"alipay.trade.refund", `{` + no + `,"refund_amount":"1","refund_royalty_parameters":[{"trans_out":"2088"}]}`}, "ACQ.INVALID_PARAMETER", "refund_royalty_parameters is not offered"},
		{[2]string{"alipay.trade.refund", `{` + no + `,"refund_amount":"1","refund_currency":"USD"}`}, "ACQ.INVALID_PARAMETER", "refund_currency has to be one of CNY"},
		{pay(`,"scene":"wave_code"`), "ACQ.INVALID_PARAMETER", "bar_code, security_code"},
		{pay(`,"product_code":"PRE_AUTH"`), "ACQ.INVALID_PARAMETER", "auth_no is missing"},
		{pay(`,"product_code":"PRE_AUTH","auth_no":"A1","auth_confirm_mode":"COMPLETE"`), "", ""},
		{[2]string{"alipay.trade.pay", `{` + no + total + subject + `}`}, "ACQ.INVALID_PARAMETER", "auth_code is missing"},
		{[2]string{"alipay.trade.pay", `{` + no + total + subject + `,"auth_code":"311234567890123456"}`}, "ACQ.PAYMENT_AUTH_CODE_INVALID", "scan the one"},
		{[2]string{"alipay.trade.pay", `{` + no + total + subject + `,"auth_code":"fp` + strings.Repeat("a", 33) + `"}`}, "", ""},
		{[2]string{"alipay.trade.refund", `{` + no + `,"refund_amount":"0"}`}, "ACQ.REFUND_FEE_ERROR", "above 0"},
		{[2]string{"alipay.trade.refund", `{` + no + `,"refund_amount":"1","query_options":"x"}`}, "ACQ.INVALID_PARAMETER", "query_options has to be an array"},
		{[2]string{"alipay.trade.query", `{}`}, "ACQ.INVALID_PARAMETER", "out_trade_no or trade_no is missing"},
		{[2]string{"alipay.trade.create", `{` + no + total + subject + `}`}, "ACQ.INVALID_PARAMETER", "buyer_id is missing"},
		{[2]string{"alipay.trade.order.settle", `{"out_request_no":"Q","trade_no":"T","royalty_parameters":[{"trans_in":"2088","amount":"1","amount_percentage":5}]}`}, "ACQ.INVALID_PARAMETER", "both given"},
		{[2]string{"alipay.trade.order.settle", `{"out_request_no":"Q","trade_no":"T","royalty_parameters":[{"trans_in":"2088","amount_percentage":101}]}`}, "ACQ.INVALID_PARAMETER", "1 to 100"},
		{[2]string{"alipay.trade.order.settle", `{"out_request_no":"Q","trade_no":"T","royalty_parameters":[{},{},{},{},{},{}]}`}, "ACQ.INVALID_PARAMETER", "more than 5"},
		{[2]string{"alipay.trade.order.settle", `{"out_request_no":"Q","trade_no":"T"}`}, "ACQ.INVALID_PARAMETER", "royalty_parameters is missing"},
		{transfer("0.09", `"identity_type":"ALIPAY_USER_ID"`), "EXCEED_LIMIT_SM_MIN_AMOUNT", "0.10"},
		{transfer("100000000.01", `"identity_type":"ALIPAY_USER_ID"`), "EXCEED_LIMIT_SM_AMOUNT", ""},
		{transfer("1", `"identity_type":"ALIPAY_LOGON_ID"`), "INVALID_PARAMETER", "name is missing"},
		{transfer("1", `"identity_type":"PASSPORT"`), "INVALID_PARAMETER", "identity_type has to be one of"},
		{[2]string{"alipay.fund.trans.common.query", `{"out_biz_no":"B1"}`}, "INVALID_PARAMETER", "product_code is missing"},
		{freeze(long(50), "5"), "", ""},
		{freeze(long(51), "5"), "ILLEGAL_ARGUMENT", "100 letters or 50 Han"},
		{freeze("x", "0"), "ILLEGAL_ARGUMENT", "0.01 to 100000000.00"},
		{bill("trade", "2026-11-21"), "", ""},
		{bill("trade", "2026-11-22"), "BILL_NOT_EXIST", ""},
		{bill("trade", "2026-10"), "", ""},
		{bill("trade", "2026-11"), "BILL_NOT_EXIST", ""},
		{bill("trade", "2026-13-01"), "INVAILID_ARGUMENTS", "yyyy-MM-dd"},
		{bill("tax", "2026-11-21"), "INVAILID_ARGUMENTS", "bill_type has to be one of"},
	} {
		d.last = nil
		body := ask(g, row.call[0], row.call[1], nil).Body.String()
		if row.sub == "" {
			if !strings.Contains(body, `"code":"10000"`) || d.last == nil {
				t.Errorf("%s\n%s", row.call, body)
			}
			continue
		}
		if inner := checkEnvelope(t, body, rootOf(row.call[0]), `"code":"40004"`, `"sub_code":"`+row.sub+`"`, row.say); d.last != nil || strings.Contains(inner, "281234567890123456") {
			t.Errorf("%s\n%s\nand the desk got %+v", row.call, inner, d.last)
		}
	}
}

func transfer(amount, identity string) [2]string {
	return [2]string{
		"alipay.fund.trans.uni.transfer",
		`{"out_biz_no":"B1","trans_amount":"` + amount + `","product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER","payee_info":{"identity":"2088",` + identity + `}}`,
	}
}

func freeze(title, amount string) [2]string {
	return [2]string{
		"alipay.fund.auth.order.freeze",
		`{"auth_code":"281234567890123456","auth_code_type":"bar_code","out_order_no":"H1","out_request_no":"Q1","order_title":"` + title + `","amount":"` + amount + `"}`,
	}
}

func bill(kind, date string) [2]string {
	return [2]string{"alipay.data.dataservice.bill.downloadurl.query", `{"bill_type":"` + kind + `","bill_date":"` + date + `"}`}
}

func TestPages(t *testing.T) {
	g, d := newGateway(t, nil)
	const method = "alipay.trade.page.pay"
	biz := `{` + order + `,"product_code":"FAST_INSTANT_TRADE_PAY"}`
	back := func(address string) func(url.Values) { return func(v url.Values) { v.Set("return_url", address) } }
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gateway.do?"+signedQuery(method, biz, back("https://shop.example/back?a=1")).Encode(), nil))
	if w.Code != http.StatusFound || w.Header().Get("Location") != payURL {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if r := d.last.(OpenRequest); r.Entry != Page || r.ReturnURL != "https://shop.example/back?a=1" || r.Expires.Sub(testNow) != maxWait {
		t.Errorf("%+v", r)
	}
	if w = ask(g, method, biz, nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != payURL {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	wap := `{` + order + `,"product_code":"QUICK_WAP_WAY","quit_url":"https://shop.example/quit"}`
	if w = ask(g, "alipay.trade.wap.pay", wap, nil); w.Code != http.StatusSeeOther || d.last.(OpenRequest).QuitURL != "https://shop.example/quit" || d.last.(OpenRequest).Entry != Wap {
		t.Errorf("%d, the desk got %+v", w.Code, d.last)
	}
	for name, row := range map[string]struct {
		biz    string
		change func(url.Values)
		say    string
	}{
		"signature":         {biz, func(v url.Values) { v.Set("sign", "AAAA"); v.Set("return_url", "https://evil.example") }, "isv.invalid-signature"},
		"refused":           {strings.Replace(biz, "A1", "R:ACQ.TRADE_HAS_SUCCESS", 1), back("https://shop.example/back"), "ACQ.TRADE_HAS_SUCCESS"},
		"unknown":           {strings.Replace(biz, "A1", "U:1", 1), back("https://shop.example/back"), "isp.unknow-error"},
		"return_url":        {biz, back("javascript:alert(1)"), "isv.invalid-parameter"},
		"method in it":      {biz, back("https://shop.example/?method=x"), "isv.suspected-attack"},
		"markup in a value": {strings.Replace(biz, `"9.90"`, `"<script>"`, 1), nil, "total_amount has to be an amount"},
	} {
		w := ask(g, method, row.biz, row.change)
		body := w.Body.String()
		if w.Code != 200 || w.Header().Get("Location") != "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") ||
			!strings.Contains(body, row.say) || strings.Contains(body, "<script") || strings.Contains(body, ".example") {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), body)
		}
	}
}

// askV3 sends a signed call of v3.
func askV3(g *Gateway, method, uri, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	auth := fmt.Sprintf("app_id=%s,nonce=%s,timestamp=%d,expired_seconds=120", appID, g.token(), testNow.UnixMilli())
	r := httptest.NewRequest(method, uri, strings.NewReader(body))
	signature := must(RSA2.sign(appKey(), signedV3(auth, method, uri, []byte(body), "")))
	r.Header.Set("Authorization", scheme+auth+",sign="+signature)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestV3(t *testing.T) {
	g, d := newGateway(t, nil)
	w := askV3(g, "POST", "/v3/alipay/trade/refund", `{"out_trade_no":"A1","refund_amount":"1.00","out_request_no":"Q","notify_url":"https://shop.example/cb"}`, nil)
	const want = `{"trade_no":"` + tradeNo + `","out_trade_no":"A1","buyer_user_id":"2088000000020000","buyer_logon_id":"138****0001","fund_change":"Y","refund_fee":"3.00","gmt_refund_pay":"2026-11-22 12:01:25"}`
	if w.Code != 200 || w.Body.String() != want || d.last.(RefundRequest).NotifyURL != "https://shop.example/cb" {
		t.Errorf("%d %s, the desk got %+v", w.Code, w.Body, d.last)
	}
	w = askV3(g, "GET", "/v3/alipay/data/dataservice/bill/downloadurl/query?bill_type=trade&bill_date=2026-11-21", "", nil)
	if w.Code != 200 || w.Body.String() != `{"bill_download_url":"https://pay.example/bill/x"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	replace := func(old, by string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, by, 1))
		}
	}
	stamp := strconv.FormatInt(testNow.UnixMilli(), 10)
	for _, row := range []struct {
		name, body string
		change     func(*http.Request)
		status     int
		code       string
		signed     bool
	}{
		{"no authorization", "", header("Authorization", ""), 400, "missing-timestamp", false},
		{"no sign", "", header("Authorization", scheme+"app_id=1"), 400, "missing-signature", false},
		{"wrong app", "", replace(appID, "1"), 400, "invalid-app-id", false},
		{"old", "", replace(stamp, strconv.FormatInt(testNow.Add(-11*time.Minute).UnixMilli(), 10)), 400, "illegal-timestamp", false},
		{"signature", "", replace("expired_seconds=120", "expired_seconds=900"), 401, "invalid-signature", false},
		{"token", "", header("alipay-app-auth-token", "TOK"), 401, "invalid-signature", false},
		{"encrypted", "", header("alipay-encrypt-type", "AES"), 400, "decryption-error-unknown", true},
		{"JSON", `{`, nil, 400, "illegal-json", true},
		{"business", `{"out_trade_no":"R:ACQ.TRADE_NOT_EXIST"}`, nil, 400, "ACQ.TRADE_NOT_EXIST", true},
		{"parameter", `{}`, nil, 400, "ACQ.INVALID_PARAMETER", true},
		{"unknown", `{"out_trade_no":"U:1"}`, nil, 500, "unknow-error", true},
		{"notify_url", `{"out_trade_no":"A1","notify_url":"shop"}`, nil, 400, "invalid-parameter", true},
	} {
		w := askV3(g, "POST", "/v3/alipay/trade/query", row.body, row.change)
		var problem struct {
			Code, Message string
			Links         []struct{ Link, Desc string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != row.status || problem.Code != row.code || problem.Message == "" || problem.Links == nil {
			t.Errorf("%s: %d %s %v", row.name, w.Code, w.Body, err)
		}
		if got := w.Header().Get("alipay-signature") != ""; got != row.signed {
			t.Errorf("%s: signed is %v", row.name, got)
		}
	}
	for _, row := range [][2]string{{"GET", "/v3/alipay/trade/query"}, {"POST", "/v3/alipay/trade/page/pay"}, {"POST", "/v3/x"}} {
		if w := askV3(g, row[0], row[1], "", nil); w.Code != 404 || !strings.Contains(w.Body.String(), `"invalid-method"`) {
			t.Errorf("%v: %d %s", row, w.Code, w.Body)
		}
	}
	d.app.Products = Bill
	if w := askV3(g, "POST", "/v3/alipay/trade/query", `{"out_trade_no":"A1"}`, nil); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestEachPaymentNeedsItsProduct: trade.pay is open to two products, and neither pays in the other's way.
func TestEachPaymentNeedsItsProduct(t *testing.T) {
	g, d := newGateway(t, nil)
	for _, row := range []struct {
		has   Products
		more  string
		taken bool
	}{
		{FaceToFace, "", true},
		{PreAuth, "", false},
		{FaceToFace, `,"product_code":"PRE_AUTH","auth_no":"H1"`, false},
		{PreAuth, `,"product_code":"PRE_AUTH","auth_no":"H1"`, true},
	} {
		d.app.Products, d.last = row.has, nil
		body := ask(g, "alipay.trade.pay", `{`+order+`,"auth_code":"281234567890123456"`+row.more+`}`, nil).Body.String()
		if (d.last != nil) != row.taken || strings.Contains(body, "ACQ.ACCESS_FORBIDDEN") == row.taken {
			t.Errorf("%b %s: %s", row.has, row.more, body)
		}
	}
}

func TestNoticeVerify(t *testing.T) {
	g, _ := newGateway(t, nil)
	for _, row := range []struct {
		partner, id string
		status      int
		body        string
	}{
		{merchant.String(), "n1", 200, "true"},
		{merchant.String(), "n2", 200, "false"},
		{merchant.String(), "old", 200, "false"},
		{merchant.String(), "", 200, "false"},
		{must(holdfast.NewOwner(2, 42)).String(), "n1", 200, "false"},
		{"2088", "n1", 200, "false"},
		{merchant.String(), "down", 503, "not known now, ask again"},
	} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gateway.do?service=notify_verify&partner="+row.partner+"&notify_id="+row.id, nil))
		if w.Code != row.status || w.Body.String() != row.body {
			t.Errorf("%+v: %d %s", row, w.Code, w.Body)
		}
	}
}

// TestAFloodIsTurnedAway: calls beyond the limit are refused, and nothing of them reaches the desk.
func TestAFloodIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGateway(t, func(c *Config) { c.Calls = 1 })
		done := make(chan string)
		slow := `{"out_trade_no":"S:1"}`
		go func() { done <- ask(g, "alipay.trade.query", slow, nil).Body.String() }()
		synctest.Wait()
		body := ask(g, "alipay.trade.query", `{"out_trade_no":"A1"}`, nil).Body.String()
		checkEnvelope(t, body, rootOf("alipay.trade.query"), `"code":"40005"`, `"sub_code":"isv.app-call-limited"`)
		checkEnvelope(t, <-done, rootOf("alipay.trade.query"), `"code":"20000"`)
		checkEnvelope(t, ask(g, "alipay.trade.query", `{"out_trade_no":"A1"}`, nil).Body.String(), rootOf("alipay.trade.query"), `"code":"10000"`)
	})
}

// TestRefusalsOfStrangersAreSignedOnce: a flood of requests without a signature must not cost one each.
func TestRefusalsOfStrangersAreSignedOnce(t *testing.T) {
	g, _ := newGateway(t, nil)
	for range 20 {
		ask(g, "alipay.trade.query", "{}", func(v url.Values) { v.Set("sign", "AAAA") })
		ask(g, "alipay.trade.pay", "{}", func(v url.Values) { v.Set("app_id", "1"); v.Set("sign", "AAAA") })
	}
	if len(g.stamps.known) != 2 {
		t.Errorf("%d signatures were made", len(g.stamps.known))
	}
	for i := range maxStamps + 10 {
		g.stamps.known[stampKey{text: strconv.Itoa(i)}] = "x"
	}
	_, err := g.stamps.sign(platformKey(), RSA2, []byte("one more"))
	if err != nil || len(g.stamps.known) != 1 {
		t.Errorf("%d are kept, %v", len(g.stamps.known), err)
	}
}

func TestNonces(t *testing.T) {
	var n nonces
	at := testNow
	for i, row := range []struct {
		nonce string
		after time.Duration
		new   bool
	}{
		{"a", 0, true}, {"a", 0, false}, {"b", 0, true}, {"a", clockSkew, false}, {"c", 3 * clockSkew / 2, true}, {"c", clockSkew, false}, {"a", 10 * clockSkew, true},
	} {
		if at = at.Add(row.after); n.take(row.nonce, at) != row.new {
			t.Errorf("row %d: new is %v", i, !row.new)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	s := NewSecret("281234567890123456")
	text, _ := json.Marshal(PayRequest{AuthCode: s})
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", PayRequest{AuthCode: s}, s, s, s), string(text), s.LogValue().String()} {
		if strings.Contains(shown, "2812345") {
			t.Errorf("shown: %s", shown)
		}
	}
	if s.Reveal() != "281234567890123456" {
		t.Error("lost")
	}
}

func TestKeys(t *testing.T) {
	v := known()
	bareText := strings.Join(strings.Split(strings.TrimSpace(v.AppPublic), "\n")[1:8], "")
	bareText = strings.TrimSuffix(bareText, "-----END PUBLIC KEY-----")
	for _, text := range []string{v.AppPublic, bareText, bareText + "\n", "\n " + v.AppPublic} {
		key, err := ParsePublicKey(text)
		if err != nil || !key.Equal(&appKey().PublicKey) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	if text, err := FormatPublicKey(&platformKey().PublicKey); err != nil || text != v.PlatformPublic {
		t.Errorf("%s %v", text, err)
	}
	for text, say := range map[string]string{
		v.AppPrivate: "a PUBLIC KEY is needed", "": "no public key", "AAAA": "no public key", "%": "neither PEM nor Base64",
		"-----BEGIN PUBLIC KEY-----\nAA": "damaged", strings.Repeat("A", 5000): "longer than 4 KiB",
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=": "an RSA key",
	} {
		if _, err := ParsePublicKey(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestConfig(t *testing.T) {
	d := newFake()
	for _, c := range []Config{{}, {Desk: d, Apps: d}, {Desk: d, Apps: d, Key: platformKey(), Timeout: 5 * time.Second}, {Desk: d, Apps: d, Key: platformKey(), Calls: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestEverySubCodeSaysWhatToDo: a code of the gateway itself has to have the outer code that its prefix promises.
func TestEverySubCodeSaysWhatToDo(t *testing.T) {
	for name, s := range subCodes {
		if messages[s.code] == "" || !strings.Contains(s.text, "(") || !strings.HasSuffix(s.text, ")") {
			t.Errorf("%s: %+v", name, s)
		}
		if own := strings.HasPrefix(name, "isv.") || strings.HasPrefix(name, "aop.") || strings.HasPrefix(name, "isp."); own == (s.code == codeBusiness) {
			t.Errorf("%s is %s", name, s.code)
		}
	}
	r := &Refusal{SubCode: "ACQ.NEW", Text: "text"}
	if f := failureOf(fmt.Errorf("pay: %w", r)); f != (failure{"40004", "ACQ.NEW", "text"}) {
		t.Errorf("%+v", f)
	}
	if f := failureOf(context.DeadlineExceeded); f.subCode != subCodeLate {
		t.Errorf("%+v", f)
	}
	if f := failureOf(errors.New("x")); f.subCode != subCodeUnknown || f.code != "20000" {
		t.Errorf("%+v", f)
	}
}

func TestTheTableIsWhole(t *testing.T) {
	want := strings.Fields(`trade.pay trade.precreate trade.create trade.page.pay trade.wap.pay trade.app.pay trade.query trade.cancel trade.close trade.refund
		trade.fastpay.refund.query trade.order.settle fund.trans.uni.transfer fund.trans.common.query fund.account.query fund.auth.order.freeze
		fund.auth.order.unfreeze fund.auth.operation.detail.query data.dataservice.bill.downloadurl.query system.oauth.token user.info.share`)
	if len(methods) != len(want) {
		t.Errorf("%d methods, want %d", len(methods), len(want))
	}
	ix := newIndex()
	for _, name := range want {
		m := ix.byName["alipay."+name]
		if m == nil || m.products == 0 || m.run == nil || subCodes[m.invalid].text == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if paths := V3Paths(); len(paths) != 18 || paths[0] != "GET /v3/alipay/data/dataservice/bill/downloadurl/query" {
		t.Errorf("%q", paths)
	}
}

// Who says which app he is gets answers signed with the key that he knows, whatever else is missing.
func TestAnswersWithoutAMethodAreSignedForTheApp(t *testing.T) {
	g, _ := newGateway(t, func(c *Config) { c.Key = appKey() }) // another one than the platform's for the app
	w := ask(g, "alipay.trade.query", "{}", func(v url.Values) { v.Del("method") })
	checkEnvelope(t, w.Body.String(), "error_response", `"sub_code":"isv.missing-method"`)
}
