package portal

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"holdfast/page/pagetest"
)

var allPages = []string{
	"/portal", "/portal/trades", "/portal/trades?by=number", "/portal/trades/T-1", "/portal/trades/W-1", "/portal/trades/E-1", "/portal/trades/S-1", "/portal/trades/T-1/refund",
	"/portal/trades/T-1/refunds/n-1?amount=1", "/portal/settlements", "/portal/settlements/2026-11-26", "/portal/settlements/2026-11-25", "/portal/bank", "/portal/deliveries", "/portal/deliveries/" + aDelivery,
	"/portal/webhooks", "/portal/apps", "/portal/apps/" + appID, "/portal/apps/" + appID + "/signature", "/portal/keys", "/portal/people", "/portal/people/aaaaaaaa", "/portal/shops", "/portal/shops/east", "/portal/start",
}

// TestPagesAreWhole: every page comes, in both languages, with no key of a word in it, and nothing that a customer wrote is markup.
func TestPagesAreWhole(t *testing.T) {
	t.Parallel()
	d := desk(t, newPlatform(t), manage)
	for _, lang := range []string{"en", "zh-CN"} {
		d.In(lang)
		for _, path := range allPages {
			body := d.Page(path, "<h1", "!<b>no</b>", "!<50 g>", "!%!(", "!ZgotmplZ")
			if m := regexp.MustCompile(`>(state|event|sig|title|nav|code|product|kind|mode|payout|delivery|right|held|refund)-[a-z._-]+<`).FindString(body); m != "" {
				t.Errorf("%s in %s: %s has no words", path, lang, m)
			}
			if strings.Contains(body, buyerNo) && !strings.Contains(path, "/deliveries/") {
				t.Errorf("%s shows the whole number of the buyer", path)
			}
		}
	}
}

func TestToday(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, look)
	d.Page("/portal", "Tea &amp; House", "100.00 CNY", "payments: 2", "2.00 CNY", "refunds: 1", "0.59 CNY", "97.41 CNY", "9,741.00 CNY", "Deliveries that were not taken", "2026-11-28 00:00:00", "2026-11-26", "27.82 CNY")
	f.mu.Lock()
	f.events = append(f.events, eventJSON(4, "trade.paid", "T-4", 100, 0, 100)) // each event is read and counted once
	f.mu.Unlock()
	d.Page("/portal", "101.00 CNY", "payments: 3", "T-4")
	d.Now = now.Add(16 * 60 * 60 * 1e9) // another day in the merchant's zone begins with nothing
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	d.Page("/portal", "Nothing has been paid yet today", "!101.00 CNY")
	f.say("GET /v1/events", "503 unavailable")
	if w := d.Get("/portal"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without events: %d", w.Code)
	}
}

func TestTrades(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, look)
	d.Page("/portal/trades", "T-1", "&#43;88.00 CNY", "−2.00 CNY", "2026-11-27 09:00:00")
	d.Page("/portal/trades?kind=refund.", "T-2", "!T-1<")
	d.Page("/portal/trades?day=2026-11-20", "nothing of that kind") // all of the events are later
	d.Page("/portal/trades?by=number", "W-1", "waiting for payment", "cursor=W-1")
	for query, want := range map[string]string{"T-1": "/portal/trades/T-1", "2026112722001400000000000001": "/portal/trades/T-1"} {
		if w := d.Get("/portal/trades?q=" + query); w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
			t.Errorf("%s: %d %s", query, w.Code, w.Header().Get("Location"))
		}
	}
	if w := d.Get("/portal/trades?q=T-"); !strings.Contains(w.Body.String(), "These begin with it") || strings.Contains(w.Body.String(), "W-1") {
		t.Errorf("those that begin with T-: %d %s", w.Code, w.Body)
	}
	if w := d.Get("/portal/trades?q=X"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "No trade has this number") {
		t.Errorf("nothing begins with X: %d", w.Code)
	}
	if w := d.Get("/portal/trades/X"); w.Code != http.StatusNotFound {
		t.Errorf("no such trade: %d", w.Code)
	}
	d.Page("/portal/trades/T-1", "88.00 CNY", "2088********0025", "87.47 CNY", "What has happened", "!href=\"/portal/trades/T-1/refund\"") // who looks may do nothing
	d = desk(t, f, work)
	d.Page("/portal/trades/T-1", "href=\"/portal/trades/T-1/refund\"", "/cancel\"", "!/ship\"", "!/close\"", "!/split\"")
	d.Page("/portal/trades/W-1", "/close\"", "/cancel\"", "!/refund\"")
	d.Page("/portal/trades/E-1", "/ship\"", "held: to be shipped", "2026-12-01 08:00:00")
	d.Page("/portal/trades/S-1", "/split\"", "Held until it is split")
}

// hidden are the values of the hidden fields of a form, and sure.
func hidden(body string) (pairs []string) {
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(body[strings.Index(body, "<main"):strings.Index(body, "</main>")], -1) {
		pairs = append(pairs, m[1], strings.NewReplacer("&#43;", "+", "&#34;", `"`, "&amp;", "&").Replace(m[2]))
	}
	return pairs
}

func leads(t *testing.T, w *httptest.ResponseRecorder, to string) {
	t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
		t.Fatalf("%d to %q, want %q: %s", w.Code, w.Header().Get("Location"), to, w.Body)
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, work)
	form := d.Page("/portal/trades/T-1/refund", `value="88.00"`, "88.00 CNY")
	number := hidden(form)[1]
	for amount, want := range map[string]string{"": "Give an amount", "0": "Give an amount", "-1": "Give an amount", "1.234": "Give an amount", "88.01": "At most 88.00 CNY"} {
		w := d.Post("/portal/trades/T-1/refund", "number", number, "amount", amount, "reason", "cold")
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), `value="cold"`) {
			t.Errorf("%q: %d %s", amount, w.Code, w.Body)
		}
	}
	w := d.Post("/portal/trades/T-1/refund", "number", number, "amount", "２０．００", "reason", "it & was cold")
	pagetest.Says(t, w.Body.String(), "Confirm the refund", "20.00 CNY", "68.00 CNY", "2088********0025", "Give 20.00 CNY back", "it &amp; was cold")
	if f.count() != 0 {
		t.Fatal("the API was asked before anybody has confirmed")
	}
	fields := hidden(w.Body.String())
	for range 2 { // sent twice it is the same request
		leads(t, d.Post("/portal/trades/T-1/refund", fields...), "/portal/trades/T-1?done=refund")
		if a := f.last(); a.path != "/v1/refunds" || a.body["out_request_no"] != number || a.body["amount"] != 2000.0 || a.body["reason"] != "it & was cold" {
			t.Errorf("asked: %+v", a)
		}
	}
	d.Page("/portal/trades/T-1?done=refund", "the buyer has the money back", "partly refunded", number, "−20.00 CNY", "68.00 CNY")

	f.say("POST /v1/refunds", "422 seller-balance-not-enough")
	w = d.Post("/portal/trades/T-1/refund", fields...)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Your balance is not enough") {
		t.Errorf("refused: %d %s", w.Code, w.Body)
	}
	d.In("zh-CN")
	pagetest.Says(t, d.Post("/portal/trades/T-1/refund", fields...).Body.String(), "账户余额不足以退款", "没有做任何改动")
	d.In("en")
	if w := d.Get("/portal/trades/W-1/refund"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "not paid") {
		t.Errorf("of a trade that is not paid: %d %s", w.Code, w.Body)
	}
}

// TestRefundOfWhichNobodyKnows: the page says that we are finding out, never that it has failed, and the same number is sent again.
func TestRefundOfWhichNobodyKnows(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, work)
	f.say("POST /v1/refunds", "409 outcome-unknown")
	f.say("POST /v1/refunds", "504 outcome-unknown")
	fields := []string{"number", "n-1", "amount", "20", "sure", "yes"}
	watch := "/portal/trades/T-1/refunds/n-1?amount=20"
	leads(t, d.Post("/portal/trades/T-1/refund", fields...), watch)
	f.say("GET /v1/refunds/"+shopOwner.String()+"/T-1/{number}", "504 outcome-unknown")
	d.Page(watch, "We are finding out", "Send it again", `data-live="/portal/trades/T-1/refunds/n-1/live?amount=20"`, "!fail")
	f.mu.Lock()
	delete(f.says, "GET /v1/refunds/"+shopOwner.String()+"/T-1/{number}")
	delete(f.says, "POST /v1/refunds")
	f.mu.Unlock()
	body := d.Page(watch, "Nothing has been given back so far")
	leads(t, d.Post("/portal/trades/T-1/refund", hidden(body)...), "/portal/trades/T-1?done=refund")
	if a := f.last(); a.body["out_request_no"] != "n-1" || a.body["amount"] != 2000.0 {
		t.Errorf("sent again: %+v", a)
	}
	d.Page(watch, "Refunded", "20.00 CNY", "!Send it again")
}

func TestTradesAreEnded(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, work)
	for _, row := range []struct{ path, to, asked, says string }{
		{"/portal/trades/W-1/close", "/portal/trades/W-1?done=close", "/v1/trades/" + shopOwner.String() + "/W-1/close", "cannot pay it any more"},
		{"/portal/trades/T-1/cancel", "/portal/trades/T-1?done=cancel", "/v1/trades/" + shopOwner.String() + "/T-1/cancel", "88.00 CNY"},
	} {
		f.forget()
		w := d.Post(row.path, "number", "n-2")
		pagetest.Says(t, w.Body.String(), row.says)
		if f.count() != 0 {
			t.Errorf("%s was asked before it was confirmed", row.path)
		}
		leads(t, d.Post(row.path, append(hidden(w.Body.String()), "sure", "yes")...), row.to)
		if a := f.last(); a.path != row.asked || a.number != "n-2" {
			t.Errorf("%s: asked %+v", row.path, a)
		}
	}
	w := d.Post("/portal/trades/E-1/ship", "days", "7")
	pagetest.Says(t, w.Body.String(), "7 days")
	leads(t, d.Post("/portal/trades/E-1/ship", append(hidden(w.Body.String()), "sure", "yes")...), "/portal/trades/E-1?done=ship")
	if a := f.last(); a.body["within_s"] != 7*24*3600.0 {
		t.Errorf("shipped: %+v", a)
	}
	if w := d.Post("/portal/trades/E-1/ship", "days", "9"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("nine days: %d", w.Code)
	}
	w = d.Post("/portal/trades/S-1/split", "number", "n-3", "to", buyerNo, "amount", "20", "text", "for the cup", "finish", "yes")
	pagetest.Says(t, w.Body.String(), "20.00 CNY", buyerNo, "67.47 CNY", "nothing can be split any more")
	leads(t, d.Post("/portal/trades/S-1/split", append(hidden(w.Body.String()), "sure", "yes")...), "/portal/trades/S-1?done=split")
	if a := f.last(); a.body["out_request_no"] != "n-3" || a.body["finish"] != true || len(a.body["shares"].([]any)) != 1 {
		t.Errorf("split: %+v", a)
	}
	for to, amount := range map[string]string{"123": "1", buyerNo: "99", "": "1"} {
		if w := d.Post("/portal/trades/S-1/split", "number", "n-4", "to", to, "amount", amount); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "split-error") {
			t.Errorf("%s %s: %d", to, amount, w.Code)
		}
	}
	f.say("POST /v1/trades/"+shopOwner.String()+"/{no}/{what}", "504 outcome-unknown")
	w = d.Post("/portal/trades/W-1/close", "number", "n-5", "sure", "yes")
	if w.Code != http.StatusAccepted {
		t.Errorf("unknown: %d", w.Code)
	}
	pagetest.Says(t, w.Body.String(), "We are finding out", `value="n-5"`, `action="/portal/trades/W-1/close"`)
}

func TestSettlements(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, look)
	d.Page("/portal/settlements", "2026-11-26", "30.00 CNY", "27.82 CNY", "before=2026-10-28")
	d.Page("/portal/settlements?before=2026-11-26", "Nothing was settled")
	d.Page("/portal/settlements/2026-11-26", "sent to the bank", "No bank account is known", "2026-11-26-CNY", "−0.18 CNY")
	d.Page("/portal/settlements/2026-11-25", "has not been settled")
	w := d.Get("/portal/settlements/2026-11-26/statement.csv")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "time,kind\r\n") || !strings.Contains(w.Header().Get("Content-Disposition"), "statement-"+shopOwner.String()+"-2026-11-26.csv") {
		t.Errorf("statement: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, day := range []string{"yesterday", "2026-11-28"} {
		if w := d.Get("/portal/settlements/" + day + "/statement.csv"); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", day, w.Code)
		}
	}
	d.Page("/portal/bank", "0.6 %", "···· 4242", "365 days", "!action=\"/portal/bank\"")
	d = desk(t, f, manage)
	leads(t, d.Post("/portal/bank", "name", "main", "holder", "Tea House", "account", "6222 0000 0000 0001"), "/portal/bank?done=bank")
	if a := f.last(); a.body["number"] != "6222000000000001" || a.body["holder"] != "Tea House" || a.body["name"] != "main" {
		t.Errorf("bank account: %+v", a)
	}
	f.say("POST /v1/merchants/"+shopOwner.String()+"/bank-accounts", "422 field-invalid")
	if w := d.Post("/portal/bank", "name", "main", "holder", "Tea House", "account", "1"); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "write both as the bank does") {
		t.Errorf("a bad account: %d %s", w.Code, w.Body)
	}
	w = d.Post("/portal/bank/main/remove")
	leads(t, d.Post("/portal/bank/main/remove", append(hidden(w.Body.String()), "sure", "yes")...), "/portal/bank?done=removed")
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, look)
	d.Page("/portal/deliveries", "is tried again", "taken", "https://shop.example/hooks", "Notice of the gateway", "HTTP 500")
	d.Page("/portal/deliveries?show=failing", "is tried again", "!HTTP 200")
	d.Page("/portal/deliveries/"+aDelivery, "answered with 500", "&lt;b&gt;no", "webhook-signature", "trade.paid", "/portal/trades/T-1", "!/redeliver")
	d = desk(t, f, work)
	d.Page("/portal/deliveries/"+aDelivery, "/redeliver")
	leads(t, d.Post("/portal/deliveries/"+aDelivery+"/redeliver", "number", "n-6"), "/portal/deliveries/"+aDelivery+"?done=redeliver")
	if a := f.last(); !strings.HasSuffix(a.path, "/redeliver") || a.number != "n-6" {
		t.Errorf("asked: %+v", a)
	}
	f.say("POST /v1/webhooks/"+shopOwner.String()+"/deliveries/{id}/redeliver", "404 endpoint-unknown")
	if w := d.Post("/portal/deliveries/" + aDelivery + "/redeliver"); !strings.Contains(w.Body.String(), "There is no such receiver") {
		t.Errorf("to one that was removed: %d %s", w.Code, w.Body)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, manage)
	w := d.Post("/portal/webhooks", "number", "n-7", "url", "https://shop.example/new", "type", "trade.paid", "type", "refund.done", "type", "nonsense")
	pagetest.Says(t, w.Body.String(), "whsec_new", "cannot be shown again")
	if a := f.last(); a.number != "n-7" || a.body["url"] != "https://shop.example/new" || len(a.body["types"].([]any)) != 2 {
		t.Errorf("added: %+v", a)
	}
	f.forget()
	if w := d.Post("/portal/webhooks", "number", "n-8", "url", "shop.example", "type", "refund.done"); w.Code != http.StatusUnprocessableEntity || f.count() != 0 || !strings.Contains(w.Body.String(), `value="refund.done" checked`) {
		t.Errorf("no address: %d %s", w.Code, w.Body)
	}
	f.say("POST /v1/webhooks", "504 outcome-unknown")
	w = d.Post("/portal/webhooks", "number", "n-9", "url", "https://shop.example/new", "type", "trade.paid")
	pagetest.Says(t, w.Body.String(), "We are finding out", `name="number" value="n-9"`, `name="url" value="https://shop.example/new"`, `name="type" value="trade.paid"`)
	base := "/portal/webhooks/" + hookID
	leads(t, d.Post(base+"/types"), "/portal/webhooks?done=changed")
	if a := f.last(); len(a.body["types"].([]any)) != 0 {
		t.Errorf("all types: %+v", a)
	}
	for op, off := range map[string]bool{"pause": true, "resume": false} {
		leads(t, d.Post(base+"/"+op), "/portal/webhooks?done=changed")
		if a := f.last(); a.body["disabled"] != off {
			t.Errorf("%s: %+v", op, a)
		}
	}
	w = d.Post(base + "/rotate")
	fields := append(hidden(w.Body.String()), "sure", "yes")
	first := d.Post(base+"/rotate", fields...)
	number := f.last().number
	d.Post(base+"/rotate", fields...)
	if f.last().number != number || number == "" || !strings.Contains(first.Body.String(), "whsec_other") {
		t.Errorf("rotated with %q, and again with %q: %s", number, f.last().number, first.Body)
	}
	w = d.Post(base + "/remove")
	leads(t, d.Post(base+"/remove", append(hidden(w.Body.String()), "sure", "yes")...), "/portal/webhooks?done=removed")
}

func TestKeysAndPeople(t *testing.T) {
	t.Parallel()
	f := newPlatform(t)
	d := desk(t, f, manage)
	w := d.Post("/portal/keys", "number", "n-10", "name", "the till")
	pagetest.Says(t, w.Body.String(), "hfm_secret")
	if a := f.last(); a.number != "n-10" || a.body["name"] != "the till" {
		t.Errorf("issued: %+v", a)
	}
	if w := d.Post("/portal/keys", "number", "n-11", "name", ""); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("without a name: %d", w.Code)
	}
	f.say("POST /v1/merchants/"+shopOwner.String()+"/keys", "422 too-many")
	pagetest.Says(t, d.Post("/portal/keys", "number", "n-12", "name", "x").Body.String(), "remove one first")
	w = d.Post("/portal/keys/k3wz2v5q/revoke")
	pagetest.Says(t, w.Body.String(), "till server")
	leads(t, d.Post("/portal/keys/k3wz2v5q/revoke", append(hidden(w.Body.String()), "sure", "yes")...), "/portal/keys?done=revoke")

	leads(t, d.Post("/portal/people", "login", "lina@tea.example", "name", "Lina", "right", work), "/portal/people/aaaaaaaa?done=person")
	if a := f.last(); a.body["login"] != "lina@tea.example" || a.body["right"] != work {
		t.Errorf("added: %+v", a)
	}
	if w := d.Post("/portal/people", "login", "lina", "right", work); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("no address: %d", w.Code)
	}
	f.say("POST /v1/merchants/"+shopOwner.String()+"/people", "409 login-taken")
	pagetest.Says(t, d.Post("/portal/people", "login", "lina@tea.example", "right", work).Body.String(), "Somebody has this address already", `value="lina@tea.example"`)
	w = d.Post("/portal/people/aaaaaaaa/invite", "number", "n-13")
	pagetest.Says(t, w.Body.String(), "hfi_invited", "/invitation", "2026-11-28 18:00:00")
	if a := f.last(); a.number != "n-13" {
		t.Errorf("invited: %+v", a)
	}
	leads(t, d.Post("/portal/people/aaaaaaaa", "name", "Lin", "right", look), "/portal/people/aaaaaaaa?done=changed")
	for op, to := range map[string]string{"end": "/portal/people/aaaaaaaa?done=end", "remove": "/portal/people?done=removed"} {
		w = d.Post("/portal/people/aaaaaaaa/" + op)
		leads(t, d.Post("/portal/people/aaaaaaaa/"+op, append(hidden(w.Body.String()), "sure", "yes")...), to)
	}
	d.Page("/portal/people/me", "!/remove\"")
	if w := d.Post("/portal/people/me/remove", "sure", "yes"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("themselves: %d", w.Code)
	}
	leads(t, d.Post("/portal/shops", "id", "west", "name", "West gate", "tills", "t1, t2，t3"), "/portal/shops/west?done=shop")
	if a := f.last(); len(a.body["tills"].([]any)) != 3 {
		t.Errorf("shop: %+v", a)
	}
	if w := d.Post("/portal/shops", "id", "west gate"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a bad id: %d", w.Code)
	}
}

// TestRights: what somebody may not do is not offered, and refused in words when it is posted all the same; and the API has the last word.
func TestRights(t *testing.T) {
	t.Parallel()
	posts := map[string][]string{
		work: {"/portal/trades/T-1/refund", "/portal/trades/T-1/close", "/portal/trades/T-1/cancel", "/portal/trades/E-1/ship", "/portal/trades/S-1/split", "/portal/deliveries/" + aDelivery + "/redeliver"},
		manage: {
			"/portal/bank", "/portal/bank/main/remove", "/portal/webhooks", "/portal/webhooks/" + hookID + "/pause", "/portal/webhooks/" + hookID + "/types", "/portal/webhooks/" + hookID + "/rotate",
			"/portal/webhooks/" + hookID + "/remove", "/portal/apps/" + appID + "/key", "/portal/apps/" + appID + "/notify", "/portal/apps/" + appID + "/disable", "/portal/keys", "/portal/keys/k/revoke", "/portal/people",
			"/portal/people/aaaaaaaa", "/portal/people/aaaaaaaa/invite", "/portal/people/aaaaaaaa/end", "/portal/people/aaaaaaaa/remove", "/portal/shops",
		},
	}
	for _, right := range []string{look, work} {
		f := newPlatform(t)
		d := desk(t, f, right)
		for needs, list := range posts {
			if right == needs {
				continue
			}
			for _, path := range list {
				if w := d.Post(path, "sure", "yes", "number", "n-1"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "This needs the right to "+needs) {
					t.Errorf("who may %s posts %s: %d %.300s", right, path, w.Code, w.Body)
				}
			}
			if right == work && needs == work {
				break
			}
		}
		if f.count() != 0 {
			t.Errorf("who may %s has changed something: %+v", right, f.asked)
		}
		for _, path := range allPages {
			w := d.Get(path)
			only := strings.HasPrefix(path, "/portal/keys") || strings.HasPrefix(path, "/portal/people") || right == look && strings.HasSuffix(path, "/refund")
			if (w.Code == http.StatusForbidden) != only {
				t.Errorf("who may %s looks at %s: %d", right, path, w.Code)
			}
			for _, m := range regexp.MustCompile(`<form method="post" action="(/portal/[^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
				if right == look && !strings.HasSuffix(m[1], "/signature") || strings.HasPrefix(m[1], "/portal/webhooks") || strings.HasPrefix(m[1], "/portal/bank") {
					t.Errorf("who may %s is offered %s on %s", right, m[1], path)
				}
			}
		}
	}
	f := newPlatform(t)
	d := desk(t, f, work)
	f.say("POST /v1/refunds", "403 forbidden")
	if w := d.Post("/portal/trades/T-1/refund", "number", "n-1", "amount", "1", "sure", "yes"); w.Code != http.StatusForbidden {
		t.Errorf("the API forbids: %d", w.Code)
	}
	f.say("POST /v1/refunds", "401 unauthenticated")
	if w := d.Post("/portal/trades/T-1/refund", "number", "n-1", "amount", "1", "sure", "yes"); w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/sign-in?") {
		t.Errorf("the session has ended: %d %s", w.Code, w.Header().Get("Location"))
	}
}
