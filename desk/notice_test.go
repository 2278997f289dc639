package desk

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// checkSigned verifies a notice or return as merchants do: over all but sign, sign_type and what is not ours.
func checkSigned(t *testing.T, form, not string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if v.Get(name) == "" {
			t.Errorf("%s is empty", name)
		}
		if name != "sign" && name != "sign_type" && name != not {
			parts = append(parts, name+"="+v.Get(name))
		}
	}
	sign, err := base64.StdEncoding.DecodeString(v.Get("sign"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "&")))
	if err := rsa.VerifyPKCS1v15(&platformKey().PublicKey, crypto.SHA256, sum[:], sign); err != nil {
		t.Errorf("the signature of %s does not fit", form)
	}
	return v
}

func (w *world) events(kind pay.EventKind) (list []pay.Event) {
	w.Helper()
	all, err := w.cashier.Events(w.ctx, w.merchants[0], "", 100)
	w.must(err)
	for _, e := range all {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

func TestTradeNotices(t *testing.T) {
	w := newWorld(t)
	paid := w.done("alipay.trade.pay", w.payment(0, "A", "10.00", "body", "绿茶", "passback_params", "a%3D1"), map[string]string{"notify_url": "https://shop.example/cb"})
	e := w.events(pay.EventPaid)[0]
	to, form, ok, err := w.desk.NoticeOf(w.ctx, &e)
	if err != nil || !ok || to != "https://shop.example/cb" {
		t.Fatalf("%q, %v, %v", to, ok, err)
	}
	f := checkSigned(t, form, "")
	for name, want := range map[string]string{
		"notify_type": "trade_status_sync", "trade_no": paid.text("trade_no"), "out_trade_no": "A", "trade_status": "TRADE_SUCCESS", "total_amount": "10.00",
		"receipt_amount": "10.00", "buyer_id": w.customers[0].String(), "seller_id": w.merchants[0].String(), "subject": "茶", "body": "绿茶",
		"passback_params": "a%3D1", "gmt_payment": paid.text("gmt_payment"), "app_id": w.apps[0], "auth_app_id": w.apps[0], "refund_fee": "", "gmt_close": "",
		"fund_bill_list": `[{"amount":"10.00","fundChannel":"ALIPAYACCOUNT"}]`, "notify_time": paid.text("gmt_payment"),
	} {
		if f.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, f.Get(name), want)
		}
	}
	w.now = w.now.Add(time.Hour)
	if _, again, _, err := w.desk.NoticeOf(w.ctx, &e); err != nil || again != form {
		t.Errorf("told again, it says %s", again)
	}

	w.done("alipay.trade.refund", map[string]any{"out_trade_no": "A", "refund_amount": "4.00", "out_request_no": "R1"})
	w.done("alipay.trade.cancel", map[string]any{"out_trade_no": "A"})
	refunds := w.events(pay.EventRefunded)
	if _, _, ok, err := w.desk.NoticeOf(w.ctx, &refunds[0]); ok || err != nil {
		t.Errorf("a refund is told to who did not ask: %v %v", ok, err)
	}
	w.apps[0] = w.app(w.merchants[0], "all", pay.PermitRefundNotice, pay.PermitClosedNotice)
	for i, want := range []map[string]string{
		{"out_biz_no": "R1", "refund_fee": "4.00", "trade_status": "TRADE_SUCCESS", "gmt_close": ""},
		{"out_biz_no": "A", "refund_fee": "10.00", "trade_status": "TRADE_CLOSED", "gmt_close": w.now.Format(time.DateTime)},
	} {
		refunds[i].App = w.apps[0]
		_, form, ok, err := w.desk.NoticeOf(w.ctx, &refunds[i])
		f := checkSigned(t, form, "")
		for name, value := range want {
			if f.Get(name) != value || !ok || err != nil {
				t.Errorf("%s is %q, want %q (%v)", name, f.Get(name), value, err)
			}
		}
	}
	w.done("alipay.trade.create", map[string]any{"out_trade_no": "C", "total_amount": "1.00", "subject": "茶", "buyer_id": w.customers[0].String()})
	w.done("alipay.trade.close", map[string]any{"out_trade_no": "C"})
	_, form, ok, err = w.desk.NoticeOf(w.ctx, &w.events(pay.EventClosed)[0])
	if f := checkSigned(t, form, ""); !ok || err != nil || f.Get("trade_status") != "TRADE_CLOSED" || f.Get("buyer_id") != "" || f.Get("receipt_amount") != "0.00" {
		t.Errorf("%s %v", form, err)
	}
	w.must(w.cashier.BlockMerchant(w.ctx, w.merchants[0], false, w.tick()))
	e.Notify = ""
	if _, _, ok, err := w.desk.NoticeOf(w.ctx, &e); ok || err != nil {
		t.Errorf("nobody is told, but %v %v", ok, err)
	}
	e.Notify, e.Kind = to, pay.EventSplit
	if _, _, ok, err := w.desk.NoticeOf(w.ctx, &e); ok || err != nil {
		t.Errorf("a split is told: %v %v", ok, err)
	}
}

func TestHoldNotices(t *testing.T) {
	w := newWorld(t)
	a := w.done("alipay.fund.auth.order.freeze", map[string]any{
		"auth_code": w.code(0), "auth_code_type": "bar_code", "out_order_no": "H", "out_request_no": "F1", "order_title": "押金", "amount": "5.00",
	})
	u := w.done("alipay.fund.auth.order.unfreeze", map[string]any{"auth_no": a.text("auth_no"), "out_request_no": "U1", "amount": "2.00", "remark": "x"})
	for kind, want := range map[pay.EventKind]map[string]string{
		pay.EventFrozen:   {"notify_type": "fund_auth_freeze", "operation_id": a.text("operation_id"), "amount": "5.00", "out_request_no": "F1"},
		pay.EventUnfrozen: {"notify_type": "fund_auth_unfreeze", "operation_id": u.text("operation_id"), "amount": "2.00", "out_request_no": "U1"},
	} {
		_, form, ok, err := w.desk.NoticeOf(w.ctx, &w.events(kind)[0])
		w.must(err)
		f := checkSigned(t, form, "")
		want["auth_no"], want["rest_amount"], want["total_freeze_amount"], want["payer_user_id"] = a.text("auth_no"), "3.00", "5.00", w.customers[0].String()
		for name, value := range want {
			if f.Get(name) != value || !ok {
				t.Errorf("%s is %q, want %q", name, f.Get(name), value)
			}
		}
	}
}

// TestWhatAPaymentReleasesHasItsNumber: the rest of a hold that a last payment releases is told, and asked for, under the number that the merchant gave the payment;
// what the end of its time releases under that of the hold.
func TestWhatAPaymentReleasesHasItsNumber(t *testing.T) {
	w := newWorld(t)
	const query = "alipay.fund.auth.operation.detail.query"
	hold := func(order string) string {
		w.now = w.now.Add(time.Minute) // for another code
		return w.done("alipay.fund.auth.order.freeze", map[string]any{
			"auth_code": w.code(0), "auth_code_type": "bar_code", "out_order_no": order, "out_request_no": "F" + order, "order_title": "押金", "amount": "5.00",
		}).text("auth_no")
	}
	ended, paid := hold("H1"), hold("H2")
	w.done("alipay.trade.pay", map[string]any{
		"out_trade_no": "T1", "total_amount": "1.00", "subject": "房", "product_code": "PRE_AUTH", "auth_no": paid, "auth_confirm_mode": "COMPLETE",
	})
	w.now = w.now.Add(31 * 24 * time.Hour)
	for back := range time.Duration(4) {
		list, err := w.cashier.ListDue(w.ctx, holdfast.TimeOf(w.now.Add(-24*time.Hour-back*time.Minute)), "", 10)
		w.must(err)
		for _, due := range list {
			w.must(w.cashier.RunDue(w.ctx, due, w.tick()))
		}
	}
	events := w.events(pay.EventUnfrozen)
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []map[string]string{
		{"auth_no": paid, "out_request_no": "T1", "out_order_no": "H2", "amount": "4.00"}, {"auth_no": ended, "out_request_no": "H1", "out_order_no": "H1", "amount": "5.00"},
	} {
		_, form, ok, err := w.desk.NoticeOf(w.ctx, &events[i])
		w.must(err)
		f := checkSigned(t, form, "")
		for name, value := range want {
			if f.Get(name) != value || !ok {
				t.Errorf("%s is %q, want %q", name, f.Get(name), value)
			}
		}
		if events[i].Known() != want["out_request_no"] {
			t.Errorf("the event tells %q", events[i].Known())
		}
		for _, by := range []string{"operation_id", "out_request_no"} {
			a := w.done(query, map[string]any{"auth_no": want["auth_no"], by: f.Get(by)})
			w.is(a, "operation_type", "UNFREEZE", "out_request_no", want["out_request_no"], "amount", want["amount"], "operation_id", f.Get("operation_id"))
		}
	}
}

// TestNoticesAreVerified: an id counts from its event on, since a receiver may ask during the first attempt, which is written down after it; for its
// merchant, and for as long as it is told again. That of an event that nobody is told of does not.
func TestNoticesAreVerified(t *testing.T) {
	w := newWorld(t)
	w.done("alipay.trade.pay", w.payment(0, "A", "10.00"))
	e := w.events(pay.EventPaid)[0]
	_, form, _, err := w.desk.NoticeOf(w.ctx, &e)
	w.must(err)
	id := checkSigned(t, form, "").Get("notify_id")
	verify := func(partner, id string) string {
		rec := httptest.NewRecorder()
		w.gateway.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/gateway.do?service=notify_verify&partner="+partner+"&notify_id="+id, nil))
		return rec.Body.String()
	}
	m := w.merchants[0].String()
	if got := verify(m, id); got != "true" {
		t.Errorf("while it is sent for the first time: %s", got)
	}
	w.sent(&e)
	for _, row := range [][3]string{{m, id, "true"}, {w.merchants[1].String(), id, "false"}, {m, id[:31] + "x", "false"}, {m, "x", "false"}, {"x", id, "false"}} {
		if got := verify(row[0], row[1]); got != row[2] {
			t.Errorf("%v: %s", row, got)
		}
	}
	w.now = w.now.Add(48 * time.Hour)
	if got := verify(m, id); got != "false" {
		t.Errorf("two days later: %s", got)
	}
}

func TestBills(t *testing.T) {
	w := newWorld(t)
	const method = "alipay.data.dataservice.bill.downloadurl.query"
	w.done("alipay.trade.pay", w.payment(0, "A", "10.00", "store_id", "s1", "terminal_id", "t1", "operator_id", "o1"))
	w.done("alipay.trade.refund", map[string]any{"out_trade_no": "A", "refund_amount": "4.00", "out_request_no": "R1"})
	w.done("alipay.fund.trans.uni.transfer", w.transfer("B", "1.00"))
	w.done("alipay.trade.cancel", map[string]any{"out_trade_no": "none"})
	fetch := func(address string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		w.desk.BillHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(address, "https://pay.example"), nil))
		return rec
	}
	w.refused("BILL_NOT_EXIST", method, map[string]any{"bill_type": "trade", "bill_date": "2026-11-27"})
	w.now = time.Date(2026, 11, 28, 0, 4, 0, 0, gmt8)
	w.refused("BILL_NOT_EXIST", method, map[string]any{"bill_type": "trade", "bill_date": "2026-11-27"})
	w.now = time.Date(2026, 12, 1, 1, 0, 0, 0, gmt8)
	for _, day := range []string{"2026-11-27", "2026-11"} {
		a := w.done(method, map[string]any{"bill_type": "trade", "bill_date": day})
		w.is(a, "bill_file_code", "")
		address := a.text("bill_download_url")
		rec := fetch(address)
		archive, err := zip.NewReader(bytes.NewReader(rec.Body.Bytes()), int64(rec.Body.Len()))
		if err != nil || rec.Code != 200 || len(archive.File) != 2 {
			t.Fatalf("%d %s %v", rec.Code, address, err)
		}
		file, err := archive.File[0].Open()
		w.must(err)
		text, err := io.ReadAll(file)
		w.must(err)
		rows := 0
		for line := range strings.SplitSeq(string(text), "\r\n") {
			if cells := strings.Split(line, ","); len(cells) == 25 && strings.Trim(cells[1], "\t") == "A" {
				want := [][]string{{"10.00", "10.00", "", "-0.06"}, {"-4.00", "-4.00", "R1", "0.02"}}[rows]
				got := []string{cells[11], cells[12], strings.Trim(cells[21], "\t"), cells[22]}
				if !slices.Equal(got, want) || strings.Trim(cells[6], "\t") != "s1" || !strings.Contains(cells[10], "****") {
					t.Errorf("%s: %q", day, cells)
				}
				rows++
			}
		}
		if rows != 2 {
			t.Errorf("%s has %d rows:\n%s", day, rows, text)
		}
		for _, bad := range []string{strings.Replace(address, w.merchants[0].String(), w.merchants[1].String(), 1), strings.Replace(address, "until=", "until=9", 1), address + "0", "/bills/x"} {
			if rec := fetch(bad); rec.Code != http.StatusForbidden {
				t.Errorf("%s: %d", bad, rec.Code)
			}
		}
		w.now = w.now.Add(31 * time.Second)
		if rec := fetch(address); rec.Code != http.StatusGone {
			t.Errorf("too old: %d", rec.Code)
		}
	}
	empty := w.done(method, map[string]any{"bill_type": "trade", "bill_date": "2026-11-28"})
	w.is(empty, "bill_file_code", "EMPTY_DATA_WITH_BILL_FILE")
	if rec := fetch(empty.text("bill_download_url")); rec.Code != 200 {
		t.Errorf("an empty bill: %d", rec.Code)
	}
	w.refused("TYPE_NOT_SUPPORTED", method, map[string]any{"bill_type": "signcustomer", "bill_date": "2026-11-27"})
	w.refused("TYPE_NOT_SUPPORTED", method, map[string]any{"bill_type": "trade", "bill_date": "2026-11-27", "smid": "x"})
	w.refused("BILL_DATE_BEFORE_REGISTRATION", method, map[string]any{"bill_type": "trade", "bill_date": "2026-11-26"})
	w.refused("BILL_NOT_EXIST", method, map[string]any{"bill_type": "trade", "bill_date": "2019-11-26"})
}

// TestABillThatCannotBeFinishedIsCutOff: a row that is not decided makes no bill that looks whole, and too many bills at once wait.
func TestABillThatCannotBeFinishedIsCutOff(t *testing.T) {
	w := newWorld(t)
	const method = "alipay.data.dataservice.bill.downloadurl.query"
	w.done("alipay.trade.pay", w.payment(0, "A", "10.00"))
	day := w.now
	w.now = day.AddDate(0, 0, 1)
	ask := map[string]any{"bill_type": "trade", "bill_date": day.Format(time.DateOnly)}
	address := strings.TrimPrefix(w.done(method, ask).text("bill_download_url"), "https://pay.example")
	fetch := func() (rec *httptest.ResponseRecorder, cut bool) {
		rec = httptest.NewRecorder()
		defer func() { cut = recover() == http.ErrAbortHandler }()
		w.desk.BillHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, address, nil))
		return rec, false
	}
	for range maxBills {
		w.desk.bills <- struct{}{}
	}
	if rec, _ := fetch(); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("with too many at once: %d", rec.Code)
	}
	for range maxBills {
		<-w.desk.bills
	}
	late := w.now
	w.now = day
	w.faulty(paytest.Stuck)
	w.unknown("alipay.trade.refund", map[string]any{"out_trade_no": "A", "refund_amount": "4.00", "out_request_no": "R1"})
	w.now = late
	if rec, cut := fetch(); !cut {
		t.Errorf("a bill with a row that is not decided: %d, %d bytes", rec.Code, rec.Body.Len())
	}
	w.books.Deliver()
	if rec, cut := fetch(); cut || rec.Code != http.StatusOK || len(w.desk.bills) != 0 {
		t.Errorf("and when it is decided: %d", rec.Code)
	}
}

// sent notes that the notice of an event has been sent.
func (w *world) sent(e *pay.Event) {
	w.Helper()
	w.must(w.cashier.Attempted(w.ctx, []pay.Delivery{{
		Merchant: e.Merchant, Event: e.Stamp(), Target: pay.NoticeTarget, Kind: e.Kind, Attempts: 1, Begun: w.tick(), At: w.tick(), Status: 500,
	}}, w.tick()))
}
