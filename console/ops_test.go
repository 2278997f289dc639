package console

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
	"holdfast/page/pagetest"
)

const (
	anna     = "2088000000010018"
	teaHouse = "2088000000020025"
	transfer = "019ac5b0-7c1e-7cc3-98c4-dc0c0c07398f"
	txnID    = "019ac5b0-7c1e-7cc3-98c4-dc0c0c073990"
	tradeNo  = "2026112722001400000000010018"
)

// office is an API of a fleet of three sites that does payments, as a test wants it.
type office struct {
	*pagetest.Desk
	t *testing.T

	mu    sync.Mutex
	did   []string // what was ordered: path and body; guarded by mu
	moves string   // guarded by mu
	say   map[string]string
	fail  map[string]fault // by method and path
	url   string
}

type fault struct {
	status       int
	code, detail string
}

// newOffice has somebody of a role look. Whatever is ordered by a reader is refused, as the API does.
func newOffice(t *testing.T, role string) *office {
	o := &office{t: t, say: map[string]string{}, fail: map[string]fault{}, moves: "[]"}
	maps := func(list map[string]string) {
		for k, v := range list {
			o.say[k] = v
		}
	}
	maps(officeFleet)
	maps(officeMoney)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { o.answer(w, r, role) })
	o.Desk = pagetest.NewDesk(t, Area(), client.Here{As: "operator", Person: "ops", Role: role}, mux)
	o.Now = time.Date(2026, 11, 27, 10, 0, 1, 0, time.UTC)
	o.url = o.API.URL
	return o
}

// hasty has the pages give up soon: a client goes on asking a site that says that it does not know.
func (o *office) hasty() {
	c := must(client.New(client.Config{Sites: []string{o.url}, Timeout: 300 * time.Millisecond}))
	o.t.Cleanup(c.Close)
	o.Pages = must(page.New(page.Config{API: c, Direct: http.NotFoundHandler(), Areas: []page.Area{Area()}, Deadline: 800 * time.Millisecond}))
	o.t.Cleanup(o.Pages.Close)
}

// asks are those that change nothing although they are sent by POST.
var asks = []string{"/plan", "/v1/aliases/find"}

// forOperators are the lists that only an operator may see.
var forOperators = []string{"/v1/operators", "/v1/reconciliation/doubtful", "/v1/reconciliation/deposits"}

func (o *office) answer(w http.ResponseWriter, r *http.Request, role string) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	defer o.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	if f, ok := o.fail[what]; ok {
		pagetest.Problem(w, f.status, f.code, f.detail)
		return
	}
	order := r.Method == http.MethodPost && !slices.ContainsFunc(asks, func(s string) bool { return strings.HasSuffix(r.URL.Path, s) })
	planning := strings.HasSuffix(r.URL.Path, "/plan")
	if role != "operator" && (order || planning || slices.Contains(forOperators, r.URL.Path)) || role == "reader" && strings.HasSuffix(r.URL.Path, "/people") {
		pagetest.Problem(w, http.StatusForbidden, "forbidden", "The role of this API key does not allow it.")
		return
	}
	if order {
		o.did = append(o.did, r.URL.Path+" "+string(body))
	}
	text, ok := o.say[what]
	if q := r.URL.Query(); !ok && len(q) > 0 {
		for _, name := range []string{"ref", "record", "trade_no"} {
			if q.Get(name) != "" {
				text, ok = o.say[what+"?"+name+"="+q.Get(name)]
			}
		}
	}
	if !ok && order {
		text, ok = "{}", true
	}
	if !ok {
		pagetest.Problem(w, http.StatusNotFound, "not-found", "There is no "+r.URL.Path+".")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, strings.NewReplacer("URL", o.url, "MOVES", o.moves).Replace(text))
}

// ordered is what was ordered since it was asked last.
func (o *office) ordered() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.did
	o.did = nil
	return strings.Join(list, "\n")
}

func (o *office) failing(what string, status int, code, detail string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if status == 0 {
		delete(o.fail, what)
		return
	}
	o.fail[what] = fault{status, code, detail}
}

// leads checks where a form leads.
func (o *office) leads(w *httptest.ResponseRecorder, to string) {
	o.t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
		o.t.Errorf("%d to %q, not to %q: %s", w.Code, w.Header().Get("Location"), to, w.Body)
	}
}

// says checks the status of a page and what it says.
func (o *office) says(w *httptest.ResponseRecorder, status int, want ...string) {
	o.t.Helper()
	if w.Code != status {
		o.t.Errorf("%d, not %d: %s", w.Code, status, w.Body)
	}
	pagetest.Says(o.t, w.Body.String(), want...)
}

var officeFleet = map[string]string{
	"GET /v1/sites": `{"list_version":4,"sites":[{"site":1,"name":"hangzhou","self":true,"http":"URL","reachable":true,"ready":true,"digest_ok":true,"leads":[1],"role":"voter","carriers":[]},` +
		`{"site":2,"name":"shanghai","http":"URL","reachable":true,"ready":true,"digest_ok":true,"leads":[2],"role":"voter","carriers":[]},` +
		`{"site":3,"name":"shenzhen","http":"","reachable":false,"digest_ok":true,"role":"voter","carriers":[]}]}`,
	"GET /v1/shards": `{"map_version":7,"shards":[` +
		`{"shard":1,"leader":1,"home":1,"slots":[{"from":0,"to":499}],"commit":5000,"applied":4999,"in_service":true,"digest_ok":true,"accounts":31,"holds":2,"log_first":100,"log_last":5001,` +
		`"members":[{"site":1,"match":5001},{"site":2,"match":5000,"lag":1},{"site":3,"match":10,"lag":4991}]},` +
		`{"shard":2,"leader":2,"home":3,"slots":[{"from":500,"to":999}],"commit":70,"applied":70,"in_service":true,"digest_ok":true,"accounts":3,"members":[{"site":1},{"site":2},{"site":3,"learner":true}]}],` +
		`"moves":MOVES,"splits":[{"plan":"aa","from":1,"to":3,"home":2,"slots":[{"from":10,"to":19}],"state":"moves","moved":4,"of":10}]}`,
	"GET /v1/trend":    `{"site":1,"name":"hangzhou","step_s":300,"points":[{"at":"2026-11-27T09:55:00Z","seconds":300,"done":600,"p50_ms":3,"p99_ms":9.26,"waiting":4,"elections":1,"disk_write_ms":1.5,"disk_free_bytes":107374182400,"majority":true}]}`,
	"GET /v1/survival": `{"at":"2026-11-27T10:00:00Z","survives":true,"weakest":"","losses":[]}`,
	"POST /v1/slots/plan": `{"plan":"1f2e3d4c5b6a","map_version":7,"slots":[{"from":300,"to":349}],"from":1,"to":2,"accounts":12,"holds":1,` +
		`"shards":[{"shard":1,"leader":1,"leader_name":"hangzhou","slots":500,"slots_after":450,"accounts":31,"accounts_after":19},{"shard":2,"leader":2,"leader_name":"shanghai","slots":500,"slots_after":550}],` +
		`"before":{"voters":[1,2,3],"majority":2,"survives":["hangzhou","shanghai"],"stops":[]},"during":{"voters":[1,2,3],"majority":2,"survives":["shenzhen"],"stops":["hangzhou"]},` +
		`"after":{"voters":[1,2,3],"majority":2,"survives":["hangzhou"],"stops":[]},"copying_ms":1500,"pause_ms":40,"worst_pause_ms":90,"notes":["shard 2 leads away from home <b>"]}`,
	"POST /v1/shards/1/split/plan": `{"plan":"5b6a","map_version":7,"slots":[{"from":250,"to":499}],"from":1,"to":3,"home":2,"home_name":"shanghai","founders":[1,2,3],"share":0.5,"birth_ms":300,"takes_ms":9000,` +
		`"loads":[{"site":2,"name":"shanghai","homes":2,"per_s":10,"after_per_s":20,"measured_per_s":900}],"before":{"voters":[1,2,3],"majority":2},"during":{"voters":[1,2,3],"majority":2},"after":{"voters":[1,2,3],"majority":2},"shards":[],"notes":[]}`,
	"POST /v1/sites/plan": `{"plan":"77aa","list_version":4,"map_version":7,"copy_bytes":1073741824,"before":{"voters":[1,2,3],"majority":2,"survives":["hangzhou"]},"after":{"voters":[1,2,4],"majority":2},` +
		`"steps":[{"shard":1,"text":"site 4 copies the shard","copy_bytes":1073741824,"during":{"voters":[1,2,4],"outgoing":[1,2,3],"majority":2,"survives":["shanghai"],"stops":["hangzhou"]},"after":{"voters":[1,2,4],"majority":2}}],` +
		`"loads":[{"site":4,"name":"beijing","homes":1,"per_s":0,"after_per_s":5,"measured_per_s":0,"stored_per_s":30}],"notes":[]}`,
	"POST /v1/slots/stay": `{"slots":[{"from":300,"to":349}],"failed":[]}`,
}

var officeMoney = map[string]string{
	"GET /v1/trades/" + teaHouse + "/T-1":      tradeText("TRADE_SUCCESS", ""),
	"GET /v1/trades/" + teaHouse + "/D-1":      tradeText("TRADE_SUCCESS", "disputed"),
	"GET /v1/trades?trade_no=" + tradeNo:       `{"trades":[` + tradeText("TRADE_SUCCESS", "") + `]}`,
	"GET /v1/trades":                           `{"trades":[` + tradeText("TRADE_SUCCESS", "") + `],"next":"more-trades"}`,
	"GET /v1/refunds":                          `{"refunds":[{"merchant":"` + teaHouse + `","out_trade_no":"T-1","out_request_no":"R-1","amount":100,"fee_returned":1,"reason":"cold <i>tea</i>","time":"2026-11-27T09:59:00Z"}]}`,
	"GET /v1/refunds/" + teaHouse + "/T-1/R-1": `{"merchant":"` + teaHouse + `","out_trade_no":"T-1","out_request_no":"R-1","amount":100}`,
	"GET /v1/transfers?record=o/" + teaHouse + "/trade/T-1": `{"transfers":[` + movementText("0", 2, "2026-11-27T09:59:00Z", teaHouse+".settlement.CNY", anna+".wallet.CNY", 100) + "," +
		movementText("f", 1, "2026-11-27T09:58:00Z", anna+".wallet.CNY", teaHouse+".settlement.CNY", 1990) + `]}`,
	"GET /v1/transfers?record=o/" + anna + "/withdraw/W-1": `{"transfers":[]}`,
	"GET /v1/transfers/" + transfer:                        movementText("f", 1, "2026-11-27T09:58:00Z", anna+".wallet.CNY", teaHouse+".settlement.CNY", 1990),
	"GET /v1/transactions/" + txnID: `{"outcome":{"id":"` + txnID + `","status":"done","code":"ok","time":"2026-11-27T09:58:00Z","index":4321,"shard":1},"transaction":{"transfers":[` +
		movementText("f", 1, "2026-11-27T09:58:00Z", anna+".wallet.CNY", teaHouse+".settlement.CNY", 1990) + `]}}`,
	"GET /v1/transfers?ref=" + transfer:                                           `{"transfers":[]}`,
	"GET /v1/authorisations/" + teaHouse + "/A-1":                                 `{"merchant":"` + teaHouse + `","out_order_no":"A-1","auth_no":"2026112700002001000000010018","status":"AUTHORIZED","title":"room","asset":"CNY","amount":30000,"rest":20000,"paid":10000,"payer":"` + anna + `"}`,
	"GET /v1/transfers?record=o/" + anna + "/freeze/2026112700002001000000010018": `{"transfers":[]}`,
	"GET /v1/customers/" + anna:                                                   `{"id":"` + anna + `","registered":"2026-11-01T08:00:00Z","aliases":2,"devices":[{"device":1}]}`,
	"GET /v1/customers/" + anna + "/wallets":                                      `{"wallets":[{"asset":"CNY","blocked":false,"limits":{"payment":50000,"day":100000},"spent_day":1990,"spent_month":1990},{"asset":"JPY","blocked":true,"limits":{}}]}`,
	"GET /v1/customers/" + anna + "/wallets/CNY":                                  `{"asset":"CNY","blocked":false,"limits":{"payment":50000,"day":100000},"spent_day":1990,"available":808010,"frozen":0,"outgoing":700}`,
	"GET /v1/customers/" + anna + "/wallets/JPY":                                  `{"asset":"JPY","blocked":true,"limits":{},"available":1234}`,
	"GET /v1/customers/" + anna + "/statement":                                    `{"receipts":[{"receipt":"r","kind":"paid","time":"2026-11-27T09:58:00Z","asset":"CNY","amount":-1990,"other":"` + teaHouse + `","number":"T-1","text":"tea"}],"next":"more-receipts"}`,
	"GET /v1/customers/" + anna + "/bank-accounts":                                `{"bank_accounts":[{"name":"main","tail":"1234"}]}`,
	"GET /v1/customers/" + anna + "/top-ups/U-1":                                  `{"owner":"` + anna + `","number":"U-1","status":"done","asset":"CNY","amount":5000,"reference":"ref-77","bank":"b-1"}`,
	"GET /v1/transfers?record=o/" + anna + "/topup/U-1":                           `{"transfers":[]}`,
	"GET /v1/customers/" + anna + "/transfers/S-1":                                `{"from":"` + anna + `","number":"S-1","status":"done","to":"` + teaHouse + `","asset":"CNY","amount":5,"text":"thanks"}`,
	"GET /v1/transfers?record=o/" + anna + "/transfer/S-1":                        `{"transfers":[]}`,
	"POST /v1/customers/" + anna + "/invitation":                                  `{"invitation":"hfi_secret_invitation","until":"2026-11-28T10:00:00Z"}`,
	"POST /v1/aliases/find":                                                       `{"id":"` + anna + `"}`,
	"GET /v1/merchants/" + teaHouse:                                               `{"id":"` + teaHouse + `","name":"茶 House","zone":"Asia/Shanghai","fee":{"basis_points":60},"refund_days":365,"blocked":false,"registered":"2026-11-01T08:00:00Z"}`,
	"GET /v1/merchants/" + teaHouse + "/balances/CNY":                             `{"asset":"CNY","settlement":188000,"escrow":5,"royalty":6,"outgoing":7,"fees":8}`,
	"GET /v1/merchants/" + teaHouse + "/shops":                                    `{"shops":[{"id":"s1","name":"West Lake","tills":["1"]}]}`,
	"GET /v1/merchants/" + teaHouse + "/apps":                                     `{"apps":[{"id":"2021000000000001","permissions":["pay"],"disabled":true}]}`,
	"GET /v1/merchants/" + teaHouse + "/keys":                                     `{"keys":[{"id":"k1","name":"till"}]}`,
	"GET /v1/merchants/" + teaHouse + "/people":                                   `{"people":[{"person":"p1","name":"Mei","login":"m…@tea.example","right":"manage"}]}`,
	"GET /v1/merchants/" + teaHouse + "/bank-accounts":                            `{"bank_accounts":[]}`,
	"GET /v1/webhooks":                                                            `{"endpoints":[{"id":"w1","url":"https://tea.example/hook","disabled":true,"why":"it has not answered for a week"}]}`,
	"GET /v1/settlements":                                                         `{"settlements":[` + settlementText + `],"next":"more-days"}`,
	"GET /v1/settlements/" + teaHouse + "/2026-11-26":                             `{"settlements":[` + settlementText + `]}`,
	"GET /v1/payouts/" + anna + "/W-1": `{"owner":"` + anna + `","kind":"withdrawal","number":"W-1","status":"sent","asset":"CNY","amount":700,"asked":"2026-11-27T09:00:00Z","doubtful":true,` +
		`"estimate":{"bank":"icbc","ahead":3,"bank_down":true,"bank_down_since":"2026-11-27T09:30:00Z","soonest_s":90,"likely_s":7200}}`,
	"GET /v1/payouts/" + anna + "/W-2":                              `{"owner":"` + anna + `","kind":"withdrawal","number":"W-2","status":"waiting","asset":"CNY","amount":700}`,
	"GET /v1/operators":                                             `{"people":[{"person":"ops","role":"operator","password":true,"passkeys":1},{"person":"lena","role":"reader"}]}`,
	"POST /v1/operators/lena/invitation":                            `{"invitation":"hfi_for_lena","until":"2026-11-28T10:00:00Z"}`,
	"GET /v1/banks":                                                 `{"banks":[{"bank":"icbc","assets":["CNY"],"down":true,"down_since":"2026-11-27T09:45:00Z","waiting":12,"unknown":2,"unknown_since":"2026-11-27T09:40:00Z","accepted":3,"doubtful":1,"said":"2026-11-27T10:00:00Z"}]}`,
	"GET /v1/reconciliation/doubtful":                               `{"payouts":[{"owner":"` + anna + `","kind":"withdrawal","number":"W-1","status":"sent","asset":"CNY","amount":700,"doubtful":true}]}`,
	"GET /v1/reconciliation/deposits":                               `{"deposits":[{"id":"d1","bank":"icbc","ref":"b-9","asset":"CNY","amount":8800,"text":"for Anna <3","status":"unassigned","why":"no reference"}]}`,
	"GET /v1/reconciliation/cases":                                  `{"cases":[` + caseText + `],"next":"more-cases"}`,
	"GET /v1/reconciliation/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718": caseText,
}

const settlementText = `{"merchant":"` + teaHouse + `","day":"2026-11-26","asset":"CNY","payments":9,"paid":19000,"fees":114,"net":18886,"payout":18886,"order":"2026-11-26-CNY"}`

const caseText = `{"id":"3f1c0a9be1d24be0a1b2c3d4e5f60718","account":"icbc CNY","key":"e-1","kind":1,"difference":"amounts differ","to_do":"Ask the bank.","asset":"CNY","amount":5,` +
	`"progress":"open","notes":[{"time":"2026-11-27T09:00:00Z","by":"lena","progress":"open","why":"looking"}],"ledger":{"id":"e-1","amount":700,"asset":"CNY","open":true},"since":"2026-11-26T00:00:00Z"}`

func tradeText(status, protection string) string {
	return `{"merchant":"` + teaHouse + `","out_trade_no":"T-1","trade_no":"` + tradeNo + `","status":"` + status + `","mode":"plain","amount":1990,"asset":"CNY","subject":"Longjing <b>tea</b>","payer":"` + anna +
		`","fee":12,"refunded":100,"held":1990,"protection":"` + protection + `","created":"2026-11-27T09:57:00Z","paid":"2026-11-27T09:58:00Z"}`
}

// movementText is a transfer: the last digit of its id, what it is for, when, from where to where.
func movementText(last string, code int, at, from, to string, n int) string {
	return fmt.Sprintf(`{"id":"%s%s","kind":"immediate","debit":"%s","credit":"%s","amount":%d,"code":%d,"transaction":"%s","leg":0,"time":"%s","shard":1,"index":4321}`,
		transfer[:len(transfer)-1], last, from, to, n, code, txnID, at)
}

func TestSearch(t *testing.T) {
	o := newOffice(t, "reader")
	o.Page("/console/search", `method="post" action="/console/search"`, teaHouse+" T-20261127-0001")
	for q, to := range map[string]string{
		teaHouse + " T-1":                      "/console/trades/" + teaHouse + "/T-1",
		teaHouse + "/T-1":                      "/console/trades/" + teaHouse + "/T-1",
		teaHouse + "　，T-1":                     "/console/trades/" + teaHouse + "/T-1", // as Chinese keyboards separate
		tradeNo:                                "/console/trades/" + teaHouse + "/T-1",
		teaHouse + " T-1 R-1":                  "/console/trades/" + teaHouse + "/T-1#refund-R-1",
		teaHouse + " A-1":                      "/console/authorisations/" + teaHouse + "/A-1",
		teaHouse + " 2026-11-26":               "/console/settlements/" + teaHouse + "/2026-11-26",
		anna + " W-1":                          "/console/payouts/" + anna + "/W-1",
		anna + " U-1":                          "/console/top-ups/" + anna + "/U-1",
		anna + " S-1":                          "/console/sent/" + anna + "/S-1",
		anna:                                   "/console/owners/" + anna,
		anna + ".wallet.CNY":                   "/console/accounts/" + anna + ".wallet.CNY",
		transfer:                               "/console/transfers/" + transfer,
		txnID:                                  "/console/transactions/" + txnID,
		"+86 138-0000-0000":                    "/console/owners/" + anna,
		"+8613800000000":                       "/console/owners/" + anna,
		"anna@example.com":                     "/console/owners/" + anna,
		"3f1c0a9be1d24be0a1b2c3d4e5f60718":     "/console/money/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718",
		teaHouse + " nothing":                  "",
		"a b c d":                              "",
		"2088000000010019":                     "", // a digit is wrong
		teaHouse + " T-9 R-9":                  "",
		"019ac5b0-7c1e-7cc3-98c4-dc0c0c073111": "",
	} {
		w := o.Post("/console/search", "q", " "+q+" ")
		if to != "" {
			o.leads(w, to)
			continue
		}
		if o.says(w, http.StatusOK, "Nothing was found"); t.Failed() {
			t.Fatal(q)
		}
	}
	o.says(o.Post("/console/search", "q", strings.Repeat("x", 400)), http.StatusUnprocessableEntity)
	o.says(o.Post("/console/search"), http.StatusOK, "!Nothing was found")
	o.hasty()
	o.failing("POST /v1/aliases/find", http.StatusTooManyRequests, "too-many-tries", "Wait.")
	o.says(o.Post("/console/search", "q", "anna@example.com"), http.StatusTooManyRequests, "asked too often", "!Nothing was found")
	o.failing("GET /v1/trades/"+teaHouse+"/T-1", http.StatusLocked, "locked", "")
	o.says(o.Post("/console/search", "q", teaHouse+" T-1"), http.StatusServiceUnavailable, "No site answers")
	if did := o.ordered(); did != "" {
		t.Errorf("ordered %s", did)
	}
}

// From a trade one comes to its transfers, to the log entry, and to the sites that hold it.
func TestWalkFromATradeToTheLog(t *testing.T) {
	o := newOffice(t, "reader")
	body := o.Page("/console/trades/"+teaHouse+"/T-1", "19.90 CNY", "Paid", "Longjing &lt;b&gt;tea&lt;/b&gt;", `href="/console/owners/`+anna, `href="/console/transfers/`+transfer, "4321 of shard 1",
		"Payment", "Refund", `id="refund-R-1"`, "cold &lt;i&gt;tea&lt;/i&gt;", "!Decide the dispute")
	if strings.Index(body, ">Payment<") > strings.LastIndex(body, ">Refund<") {
		t.Error("what came first does not stand first")
	}
	o.Page("/console/transfers/"+transfer, "Log entry 4321", "hangzhou", "has it", "shenzhen", "not known")
	o.failing("GET /v1/transfers", http.StatusLocked, "locked", "")
	o.Page("/console/trades/"+teaHouse+"/T-1", "cannot be read just now", "19.90 CNY")
	o.says(o.Get("/console/trades/"+teaHouse+"/T-9"), http.StatusNotFound, "nothing of that name")
	o.says(o.Get("/console/trades/17/T-9"), http.StatusNotFound)
	for path, says := range map[string]string{
		"authorisations/" + teaHouse + "/A-1":     "200.00 CNY",
		"settlements/" + teaHouse + "/2026-11-26": "188.86 CNY",
		"top-ups/" + anna + "/U-1":                "ref-77",
		"sent/" + anna + "/S-1":                   "thanks",
		"payouts/" + anna + "/W-1":                "icbc pays it, after 3 others; it has not answered since 2026-11-27 09:30:00; if it answers from now on, in about 90 s; if it is silent as long again, in about 2 h",
	} {
		o.Page("/console/"+path, says)
	}
	o.failing("GET /v1/customers/"+anna+"/transfers/S-1", http.StatusConflict, "outcome-unknown", "Ask again.")
	o.Page("/console/sent/"+anna+"/S-1", "Nobody can say yet", "Under way")
	o.In("zh-CN")
	o.failing("GET /v1/transfers", 0, "", "")
	o.Page("/console/trades/"+teaHouse+"/T-1", "已付款", "资金流向", "第 4321 条，分片 1")
}

func TestADisputeIsDecided(t *testing.T) {
	path := "/console/trades/" + teaHouse + "/D-1"
	o := newOffice(t, "operator")
	o.Page(path, `href="/console/trades/`+teaHouse+`/T-1/decide"`)
	o.Page(path+"/decide", "For the merchant", "19.90 CNY")
	o.says(o.Post(path+"/decide", "amount", "20.00"), http.StatusUnprocessableEntity, "between 0 and 19.90 CNY")
	o.says(o.Post(path+"/decide", "amount", "x"), http.StatusUnprocessableEntity, "between 0 and 19.90 CNY")
	o.says(o.Post(path+"/decide", "amount", "9.90"), http.StatusOK, "9.90 CNY", "10.00 CNY", `name="sure" value="yes"`)
	if did := o.ordered(); did != "" {
		t.Errorf("before anybody was sure: %s", did)
	}
	o.leads(o.Post(path+"/decide", "amount", "9.90", "sure", "yes"), "/console/trades/"+teaHouse+"/T-1?done=decided")
	if did := o.ordered(); !strings.Contains(did, `"to_merchant":990`) {
		t.Error(did)
	}
	o.says(o.Get("/console/trades/"+teaHouse+"/T-1/decide"), http.StatusConflict, "no dispute")
}

func TestShardMap(t *testing.T) {
	o := newOffice(t, "operator")
	o.moves = `[{"slots":{"from":300,"to":349},"from":1,"to":2,"stage":"copies","why":"site 3 is <slow>"},{"slots":{"from":7,"to":7},"from":1,"to":2,"stage":"settles"}]`
	body := o.Page("/console/shards", "0–499", "500–999", "hangzhou", "away from home", ">5000<", "copies; payments go on", "site 3 is &lt;slow&gt;",
		`href="/console/shards/stay?slots=300-349"`, "!slots=7", `href="/console/shards/cancel?shard=1"`, "4 of 10 slots have come", `data-live="/console/shards/live"`, "1 → 2", "has a copy, no vote")
	// The picture says what the table says, and what moves is marked.
	if n := strings.Count(body, `class="going"`); n != 2 {
		t.Errorf("%d bars are going", n)
	}
	if !strings.Contains(body, "Shard 1: 0–499. Shard 2: 500–999.") {
		t.Error("the picture has no words")
	}
	o.In("zh-CN")
	o.Page("/console/shards", "槽位图", "复制中，付款照常")
	reader := newOffice(t, "reader")
	reader.Page("/console/shards", "change nothing", "!<select", "!/console/shards/stay")
}

func TestSlotPicture(t *testing.T) {
	m := client.ShardMap{
		Shards: []client.Shard{{Shard: 9, Slots: []client.SlotRange{{From: 0, To: 149}, {From: 160, To: 998}}}, {Shard: 2, Slots: []client.SlotRange{{From: 150, To: 159}}}},
		Moves:  []client.SlotMove{{Slots: client.SlotRange{From: 95, To: 104}, From: 9, To: 2}},
	}
	pic := drawSlots(&m)
	var covered int
	seen := map[holdfast.ShardID]int{}
	for _, row := range pic.Rows {
		end := slotLabel
		for _, b := range row.Bars {
			if b.X < end || b.X+b.W > pic.Width {
				t.Errorf("row %s: a bar at %d of %d", row.Label, b.X, b.W)
			}
			end = b.X + b.W
			covered += b.W / slotWidth
			seen[b.Shard] += b.W / slotWidth
		}
	}
	if covered != 999 || seen[2] != 10 || len(pic.Rows) != 10 || len(pic.Rows[0].Bars) != 2 || pic.Rows[0].Bars[1].To != 2 || pic.Rows[9].Bars[0].W != 99*slotWidth {
		t.Errorf("%d slots are covered: %+v", covered, pic.Rows)
	}
}

func TestReadSlots(t *testing.T) {
	for text, want := range map[string]string{"7": "7", "7, 300-349": "7,300-349", "７": "", "7，300–349": "7,300-349", "1000": "", "9-3": "", "": "", "-": "", "1,,2": ""} {
		list, ok := readSlots(text)
		if got := slotsField(list); ok != (want != "") || got != want {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

func TestSlotsAreMoved(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/shards/move", "!Apply this plan")
	query := "/console/shards/move?slots=300-349&to=2"
	o.Page(query, "Slots 300–349 go from shard 1 to shard 2.", "12 accounts, 1 open holds", "about 1.5 s", "about 40 ms, at worst 90 ms", "500 → 450", "hangzhou, shanghai, shenzhen",
		"shard 2 leads away from home &lt;b&gt;", `name="plan" value="1f2e3d4c5b6a"`, `name="slots" value="300-349"`, "Apply this plan", "!ordered")
	if did := o.ordered(); did != "" {
		t.Errorf("a preview has ordered %s", did)
	}
	o.leads(o.Post("/console/shards/move", "slots", "300-349", "to", "2", "plan", "1f2e3d4c5b6a"), "/console/shards?done=ordered")
	if did := o.ordered(); did != `/v1/slots/apply {"slots":[{"from":300,"to":349}],"to":2,"plan":"1f2e3d4c5b6a"}` {
		t.Error(did)
	}
	o.Page("/console/shards?done=ordered", "It is ordered")
	o.says(o.Get("/console/shards/move?slots=1200&to=2"), http.StatusUnprocessableEntity, "These are no slots", "!Apply this plan")
	o.says(o.Get("/console/shards/move?slots=1&to=x"), http.StatusUnprocessableEntity, "Choose a shard")
	o.says(o.Post("/console/shards/move", "slots", "300-349", "to", "2"), http.StatusUnprocessableEntity, "Preview the plan first")

	// The fleet has changed since the plan was made: there is a new one, and nothing was ordered.
	o.failing("POST /v1/slots/apply", http.StatusConflict, "plan-stale", "Nothing was done: make a new plan.")
	w := o.Post("/console/shards/move", "slots", "300-349", "to", "2", "plan", "old")
	o.says(w, http.StatusConflict, "the fleet has changed since that plan was made", "This is a new plan", `name="plan" value="1f2e3d4c5b6a"`)
	// Nobody knows: the same plan is offered again, for it is done once.
	o.hasty()
	o.failing("POST /v1/slots/apply", http.StatusGatewayTimeout, "outcome-unknown", "Ask again.")
	w = o.Post("/console/shards/move", "slots", "300-349", "to", "2", "plan", "old")
	o.says(w, http.StatusGatewayTimeout, "done at most once", `name="plan" value="old"`)
	o.failing("POST /v1/slots/plan", http.StatusConflict, "not-now", "slot 300 has come too lately")
	o.says(o.Get(query), http.StatusConflict, "cannot be done just now", "slot 300 has come too lately", "!Apply this plan")
	o.In("zh-CN")
	o.says(o.Get(query), http.StatusConflict, "现在不能这样做", "slot 300 has come too lately")
}

func TestShardsAreSplitAndSitesChange(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/shards/split?shard=1&slots=&home=", "Shard 3 is born, at home at shanghai; slots 250–499 go to it from shard 1.", "about 50 %", "the birth about 300 ms, everything about 9.0 s",
		`name="slots" value="250-499"`, `name="plan" value="5b6a"`, "!name=\"home\" value=")
	o.leads(o.Post("/console/shards/split", "shard", "1", "slots", "250-499", "plan", "5b6a"), "/console/shards?done=ordered")
	if did := o.ordered(); did != `/v1/shards/1/split/apply {"slots":[{"from":250,"to":499}],"plan":"5b6a"}` {
		t.Error(did)
	}
	for _, bad := range []string{"shard=x", "shard=1&slots=x", "shard=1&home=x"} {
		o.says(o.Get("/console/shards/split?"+bad), http.StatusUnprocessableEntity, `class="problem"`)
	}

	o.Page("/console/shards/sites", "Add a site", "Number of the new site")
	add := url.Values{"kind": {"add"}, "site": {"4"}, "name": {"beijing"}, "city": {"beijing"}, "addresses": {"10.0.0.4:7001\r\n10.1.0.4:7001\r\n"}, "learner": {"yes"}}
	o.Page("/console/shards/sites?"+add.Encode(), "Site beijing is added.", "1 GiB", "site 4 copies the shard", "hangzhou, shanghai, shenzhen</bdi> → <bdi>hangzhou, shanghai, beijing", "Stores, a second", `name="plan" value="77aa"`)
	pairs := []string{"plan", "77aa"}
	for k, v := range add {
		pairs = append(pairs, k, v[0])
	}
	o.leads(o.Post("/console/shards/sites", pairs...), "/console/shards?done=ordered")
	if did := o.ordered(); !strings.Contains(did, `"addresses":["10.0.0.4:7001","10.1.0.4:7001"],"learner":true`) {
		t.Error(did)
	}
	for query, says := range map[string]string{
		"kind=retire&site=3": "Site shenzhen is retired for good", "kind=promote&site=3": "gets its vote", "kind=demote&site=3": "keeps its copy",
		"kind=replace&old=3&site=6&name=xian&addresses=10.0.0.6:7001": "Site shenzhen is replaced by xian",
	} {
		o.Page("/console/shards/sites?"+query, says)
	}
	for _, bad := range []string{"kind=add&site=4", "kind=replace&site=4&name=x&addresses=y", "kind=explode&site=4", "kind=add&site=x"} {
		o.says(o.Get("/console/shards/sites?"+bad), http.StatusUnprocessableEntity, `class="problem"`)
	}
}

func TestLeadersAndWhatIsGivenUp(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/shards/leader?shard=1&to=2", "hangzhou", "shanghai", "lacks 1 entries", "No request fails")
	o.leads(o.Post("/console/shards/leader", "shard", "1", "to", "2"), "/console/shards?done=handed-over")
	if did := o.ordered(); !strings.HasPrefix(did, "/v1/shards/1/leader ") || !strings.Contains(did, `2`) {
		t.Error(did)
	}
	o.failing("POST /v1/shards/1/leader", http.StatusConflict, "not-now", "site 2 lacks 5 entries")
	o.says(o.Post("/console/shards/leader", "shard", "1", "to", "2"), http.StatusConflict, "cannot be done just now", "site 2 lacks 5 entries")
	o.says(o.Get("/console/shards/leader?shard=9&to=2"), http.StatusUnprocessableEntity, "Choose a shard")
	o.says(o.Get("/console/shards/leader?shard=1&to=9"), http.StatusUnprocessableEntity, "Choose a site")

	o.Page("/console/shards/stay?slots=300-349", "300–349")
	o.leads(o.Post("/console/shards/stay", "slots", "300-349"), "/console/shards?done=stays")
	if did := o.ordered(); did != `/v1/slots/stay {"slots":[{"from":300,"to":349}]}` {
		t.Error(did)
	}
	o.say["POST /v1/slots/stay"] = `{"slots":[{"from":300,"to":310}],"failed":[{"shard":2,"slots":[{"from":311,"to":349}],"outcome":"unknown","detail":"no leader"}]}`
	o.says(o.Post("/console/shards/stay", "slots", "300-349"), http.StatusGatewayTimeout, "Slots 300–310 stay. Slots 311–349 could not be asked", "no leader", `value="311-349"`)
	o.says(o.Get("/console/shards/stay?slots=x"), http.StatusUnprocessableEntity, "These are no slots")

	o.Page("/console/shards/cancel?shard=1", "4 of 10 slots")
	o.leads(o.Post("/console/shards/cancel", "shard", "1"), "/console/shards?done=cancelled")
	o.says(o.Get("/console/shards/cancel?shard=2"), http.StatusConflict, "No split of this shard")
}

// Who may only look sees no buttons, and is refused in words whatever they send.
func TestReadersChangeNothing(t *testing.T) {
	o := newOffice(t, "reader")
	for _, path := range []string{
		"/console/shards/leader?shard=1&to=2", "/console/shards/stay?slots=1", "/console/owners/" + anna + "/do/block-wallet?asset=CNY",
		"/console/owners/" + teaHouse + "/do/block", "/console/owners/" + anna + "/limits/CNY", "/console/people/lena/do/remove", "/console/trades/" + teaHouse + "/D-1/decide",
	} {
		if w := o.Get(path); strings.Contains(w.Body.String(), `<form method="post" action="/console`) {
			t.Errorf("%s has a form", path)
		}
	}
	for path, pairs := range map[string][]string{
		"/console/shards/move":                                  {"slots", "1", "to", "2", "plan", "x"},
		"/console/shards/split":                                 {"shard", "1", "slots", "1", "plan", "x"},
		"/console/shards/sites":                                 {"kind", "retire", "site", "3", "plan", "x"},
		"/console/shards/leader":                                {"shard", "1", "to", "2"},
		"/console/shards/stay":                                  {"slots", "1"},
		"/console/shards/cancel":                                {"shard", "1"},
		"/console/owners/" + anna + "/do/block-wallet":          {"asset", "CNY"},
		"/console/owners/" + teaHouse + "/do/block":             nil,
		"/console/owners/" + anna + "/do/end-sessions":          nil,
		"/console/owners/" + anna + "/limits/CNY":               {"day", "5"},
		"/console/owners/" + anna + "/invite":                   nil,
		"/console/people":                                       {"name", "x", "role", "reader"},
		"/console/people/lena/do/remove":                        nil,
		"/console/people/lena/invite":                           nil,
		"/console/money/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718": {"do", "close", "why", "x"},
		"/console/money/deposits/d1":                            {"owner", anna, "sure", "yes"},
		"/console/payouts/" + anna + "/W-1/decide":              {"paid", "no", "why", "x", "sure", "yes"},
		"/console/trades/" + teaHouse + "/D-1/decide":           {"amount", "1", "sure", "yes"},
	} {
		w := o.Post(path, pairs...)
		o.says(w, http.StatusForbidden, "may not see this")
	}
	o.says(o.Get("/console/people"), http.StatusForbidden, "The role of this API key does not allow it.")
	o.says(o.Get("/console/shards/move?slots=1&to=2"), http.StatusForbidden)
	o.Page("/console/money", "icbc", "Your role may not see this", "amounts differ", "!d1")
	o.Page("/console/owners/"+teaHouse, "Your role may not see: People of the merchant", "!Block")
	o.Page("/console/owners/"+anna, "!Block", "!Invite", "8,080.10 CNY")
	if did := o.ordered(); did != "" {
		t.Errorf("ordered %s", did)
	}
}

func TestOwners(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/owners/"+anna, "8,080.10 CNY", "1,234 JPY", "blocked", "500.00 CNY", "no limit", "7.00 CNY", `href="/console/accounts/`+anna+`.wallet.CNY"`,
		`href="/console/trades/`+teaHouse+`/T-1"`, "?receipts=more-receipts", "… 1234", "do/block-wallet?asset=CNY", "do/unblock-wallet?asset=JPY", "Invite")
	o.Page("/console/owners/"+teaHouse, "茶 House", "Asia/Shanghai", "60 basis points", "1,880.00 CNY", "West Lake", "2021000000000001", "m…@tea.example", "2026-11-26", "188.86 CNY",
		"it has not answered for a week", "?trades=more-trades", "?settlements=more-days", `name="person" value="p1"`)
	unknown := must(holdfast.NewOwner(3, 3)).String()
	o.says(o.Get("/console/owners/"+unknown), http.StatusNotFound, "no such customer or merchant", unknown)
	o.says(o.Get("/console/owners/17"), http.StatusNotFound)
	o.failing("GET /v1/customers/"+anna+"/statement", http.StatusLocked, "locked", "")
	o.Page("/console/owners/"+anna, "Could not be read just now: Statement", "8,080.10 CNY")

	for _, row := range []struct{ act, query, says, done, did string }{
		{"block-wallet", "asset=CNY", "money can still come in", "wallet-blocked", "/v1/customers/" + anna + "/wallets/CNY/block {}"},
		{"unblock-wallet", "asset=JPY", "It can pay again", "wallet-unblocked", "/v1/customers/" + anna + "/wallets/JPY/unblock {}"},
		{"end-sessions", "", "signed out everywhere", "sessions-ended", "/v1/customers/" + anna + "/sessions/end {}"},
		{"end-sessions", "person=p1", "p1", "sessions-ended", "/v1/merchants/" + anna + "/people/p1/sessions/end {}"},
		{"block", "", "No new trades", "merchant-blocked", "/v1/merchants/" + anna + `/block {"blocked":true}`},
		{"unblock", "", "New trades can be made again", "merchant-unblocked", "/v1/merchants/" + anna + `/block {"blocked":false}`},
	} {
		path := "/console/owners/" + anna + "/do/" + row.act
		o.Page(path+"?"+row.query, row.says, `action="`+path+`"`)
		name, value, _ := strings.Cut(row.query, "=")
		o.leads(o.Post(path, name, value), "/console/owners/"+anna+"?done="+row.done)
		if did := o.ordered(); did != row.did {
			t.Errorf("%s: %s", row.act, did)
		}
		o.failing("GET /v1/customers/"+anna+"/statement", 0, "", "")
		o.Page("/console/owners/"+anna+"?done="+row.done, `class="well"`)
	}
	o.says(o.Get("/console/owners/"+anna+"/do/explode"), http.StatusNotFound)
	o.says(o.Get("/console/owners/"+anna+"/do/block-wallet"), http.StatusNotFound)
	o.failing("POST /v1/customers/"+anna+"/wallets/EUR/block", http.StatusNotFound, "wallet-missing", "There is no wallet.")
	o.says(o.Post("/console/owners/"+anna+"/do/block-wallet", "asset", "EUR"), http.StatusNotFound, "no wallet in that currency")

	limits := "/console/owners/" + anna + "/limits/CNY"
	o.Page(limits, `value="500.00"`, `value="1,000.00"`)
	o.leads(o.Post(limits, "payment", "1,234.5", "day", "", "month", "２０"), "/console/owners/"+anna+"?done=limits-set")
	if did := o.ordered(); did != "/v1/customers/"+anna+`/wallets/CNY/limits {"payment":123450,"month":2000}` {
		t.Error(did)
	}
	o.says(o.Post(limits, "day", "many"), http.StatusUnprocessableEntity, "Limit for a day: this is no amount", `value="many"`)

	// An invitation is in the page alone: not in an address, and not there a second time.
	w := o.Post("/console/owners/" + anna + "/invite")
	o.says(w, http.StatusOK, "hfi_secret_invitation", "2026-11-28 10:00:00")
	if w.Header().Get("Location") != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Error(w.Header())
	}
	o.Page("/console/owners/"+anna, "!hfi_secret")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOperators(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/people", "lena", "no password yet", "(you)", `action="/console/people/lena/invite"`)
	o.leads(o.Post("/console/people", "name", " mei ", "role", "teller"), "/console/people?done=operator-added")
	if did := o.ordered(); did != `/v1/operators {"name":"mei","role":"teller"}` {
		t.Error(did)
	}
	o.says(o.Post("/console/people", "name", "", "role", "teller"), http.StatusUnprocessableEntity, "Give a name")
	o.says(o.Post("/console/people", "name", "x", "role", "king"), http.StatusUnprocessableEntity, "choose a role")
	o.failing("POST /v1/operators", http.StatusUnprocessableEntity, "field-invalid", "a name is letters")
	o.says(o.Post("/console/people", "name", "<x>", "role", "reader"), http.StatusUnprocessableEntity, "a name is letters", `value="&lt;x&gt;"`)
	o.Page("/console/people/lena/do/role?role=teller", "Teller", `name="role" value="teller"`)
	o.says(o.Get("/console/people/lena/do/role?role=king"), http.StatusNotFound)
	o.Page("/console/people/ops/do/remove", "That is you")
	for act, row := range map[string][3]string{
		"role":         {"role", "operator-role", `/v1/operators/lena {"role":"teller"}`},
		"end-sessions": {"x", "sessions-ended", "/v1/operators/lena/sessions/end {}"},
		"remove":       {"x", "operator-removed", "/v1/operators/lena/remove {}"},
	} {
		o.leads(o.Post("/console/people/lena/do/"+act, row[0], "teller"), "/console/people?done="+row[1])
		if did := o.ordered(); did != row[2] {
			t.Errorf("%s: %s", act, did)
		}
	}
	o.says(o.Post("/console/people/lena/do/explode"), http.StatusNotFound)
	o.says(o.Post("/console/people/lena/invite"), http.StatusOK, "hfi_for_lena")
}

func TestBanksAndMoney(t *testing.T) {
	o := newOffice(t, "operator")
	o.Page("/console/money", "icbc", "has not answered for 15 min", "the oldest for 20 min", ">12<", "7.00 CNY", "88.00 CNY", "for Anna &lt;3", `href="/console/money/deposits/d1"`, "amounts differ", "?cases=more-cases",
		`href="/console/payouts/`+anna+`/W-1"`)
	id := "/console/money/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718"
	o.Page(id, "Ask the bank.", "looking", "lena", "an order that has not ended", "Nothing")
	o.says(o.Post(id, "do", "close", "why", " "), http.StatusUnprocessableEntity, "Say why")
	o.says(o.Post(id, "do", "burn", "why", "x"), http.StatusBadRequest)
	for do, done := range map[string]string{"explain": "case-explained", "close": "case-closed"} {
		o.leads(o.Post(id, "do", do, "why", "booked twice"), id+"?done="+done)
		if did := o.ordered(); did != "/v1/reconciliation/cases/3f1c0a9be1d24be0a1b2c3d4e5f60718/"+do+` {"why":"booked twice"}` {
			t.Error(did)
		}
	}

	pay := "/console/payouts/" + anna + "/W-1"
	o.Page(pay, "Doubtful", pay+"/decide")
	o.Page(pay+"/decide", "Has the bank paid it?")
	for _, row := range [][]string{{"Say whether"}, {"Give what the bank calls", "paid", "yes"}, {"Say who has said", "paid", "no", "bank", "b"}} {
		o.says(o.Post(pay+"/decide", row[1:]...), http.StatusUnprocessableEntity, row[0])
	}
	o.says(o.Post(pay+"/decide", "paid", "no", "why", "Ms Li"), http.StatusOK, "the money is lost", "Ms Li")
	if did := o.ordered(); did != "" {
		t.Errorf("before anybody was sure: %s", did)
	}
	o.leads(o.Post(pay+"/decide", "paid", "no", "why", "Ms Li", "sure", "yes"), pay+"?done=decided")
	o.leads(o.Post(pay+"/decide", "paid", "yes", "bank", "b-5", "sure", "yes"), pay+"?done=decided")
	if did := o.ordered(); !regexp.MustCompile(`(?s)decide .*"paid":false.*"why":"Ms Li".*decide .*"bank":"b-5"`).MatchString(did) {
		t.Error(did)
	}
	o.says(o.Get("/console/payouts/"+anna+"/W-2/decide"), http.StatusConflict, "It is not doubtful")

	dep := "/console/money/deposits/d1"
	o.Page(dep, "88.00 CNY", "no reference")
	o.says(o.Post(dep, "owner", "123"), http.StatusUnprocessableEntity, "no number of a customer")
	o.says(o.Post(dep, "owner", teaHouse), http.StatusNotFound, `class="problem"`)
	o.says(o.Post(dep, "owner", anna), http.StatusOK, "88.00 CNY goes into the wallet of customer "+anna)
	if did := o.ordered(); did != "" {
		t.Errorf("before anybody was sure: %s", did)
	}
	o.leads(o.Post(dep, "owner", anna, "sure", "yes"), "/console/money?done=assigned")
	if did := o.ordered(); did != `/v1/reconciliation/deposits/d1/assign {"to":"`+anna+`"}` {
		t.Error(did)
	}
	o.says(o.Get("/console/money/deposits/d2"), http.StatusNotFound)
	o.failing("GET /v1/banks", http.StatusNotFound, "payments-off", "")
	o.Page("/console/money", "does no payments")
}

func TestTheHourAsATable(t *testing.T) {
	o := newOffice(t, "reader")
	o.Page("/console/hour", "hangzhou", "shanghai", "09:55:00", ">2.0<", ">3.0<", ">9.3<", ">1.5<", "100 GiB", "silent")
	// Conditions of banks are told beside those of the fleet, with what to do.
	o.Page("/console", `href="/console/hour"`, "A bank does not answer", "it has contradicted itself about 1 orders", "see docs/runbooks/banks.md")
}

// What the templates make of what the API says has words: kinds of receipts, stages, statuses.
func TestWordsForWhatTheAPISays(t *testing.T) {
	var keys []string
	add := func(prefix string, names ...string) {
		for _, n := range names {
			keys = append(keys, prefix+n)
		}
	}
	add("receipt-", "paid", "refunded", "frozen", "unfrozen", "paid-frozen", "sent", "received", "topped-up", "withdrawn", "withdrawal-returned", "share", "not-paid", "share-missed")
	add("status-", "WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED", "INIT", "AUTHORIZED", "FINISH", "CLOSED", "waiting", "sent", "done", "returned")
	add("stage-", "waits", "copies", "drains", "shut", "settles", "stays")
	add("split-", "birth", "moves", "stays", "done", "given-up")
	add("protection-", "held", "shipped", "disputed", "ended")
	add("case-", "open", "explained", "closed")
	add("payout-", "withdrawal", "settlement")
	add("right-", "look", "work", "manage")
	add("kind-", "trade", "authorisation", "payout", "top-up", "sent", "settlement", "refund", "case", "owner", "account", "transfer", "transaction")
	add("unit-", "s", "min", "h", "d")
	add("need-", "before", "during", "after")
	for _, w := range codeWords {
		keys = append(keys, w)
	}
	for _, r := range roles {
		keys = append(keys, "role-"+r, "role-"+r+"-is")
	}
	for _, k := range changeKinds {
		keys = append(keys, "sites-"+k, "plan-"+k+"-said")
	}
	asked := []string{"leader", "stay", "cancel"}
	for _, a := range ownerActs {
		asked, keys = append(asked, a.ask), append(keys, "done-"+a.done)
	}
	for _, a := range personActs {
		asked, keys = append(asked, a.ask), append(keys, "done-"+a.done)
	}
	for _, a := range asked {
		keys = append(keys, "ask-"+a, "ask-"+a+"-is", "ask-"+a+"-do")
	}
	add("title-plan-", "move", "split", "sites")
	add("done-", "ordered", "handed-over", "stays", "cancelled", "decided", "assigned", "case-explained", "case-closed", "limits-set", "operator-added")
	add("list-", "wallets", "receipts", "bank-accounts", "trades", "settlements", "shops", "apps", "people", "keys", "webhooks", "balances")
	pagetest.CheckWords(t, Area(), []string{"shards", "hour", "invited", "people", "banks", "case", "deposit", "limits"}, keys...)
	// A format has the same verbs in both languages.
	verbs := regexp.MustCompile(`%[.0-9]*[a-z%]`)
	for key, w := range Area().Words {
		if a, b := verbs.FindAllString(w[0], -1), verbs.FindAllString(w[1], -1); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %v and %v", key, a, b)
		}
	}
	for k := range words {
		if _, twice := moreWords[k]; twice {
			t.Errorf("%q is written down twice", k)
		}
	}
}

// The API that the tests make up is read as the real one is: what the client writes comes back.
func TestTheOfficeSpeaksAsTheAPI(t *testing.T) {
	for what, text := range officeMoney {
		if !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", what, text)
		}
	}
	for what, text := range officeFleet {
		if !json.Valid([]byte(strings.ReplaceAll(text, "MOVES", "[]"))) {
			t.Errorf("%s: %s", what, text)
		}
	}
}
