package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
	"holdfast/page"
	"holdfast/page/pagetest"
)

// drillDesk is an operator's console before a site at which drills are run, of which the test says how they stand.
type drillDesk struct {
	*pagetest.Desk
	off bool

	mu      sync.Mutex
	run     client.DrillRun // guarded by mu
	started []client.DrillOrder
	busy    bool
	stopped int
}

var drillRunID = holdfast.NewID(1_800_000_000_000_000_000, [10]byte{7})

func newDrillDesk(t *testing.T) *drillDesk {
	d := &drillDesk{run: client.DrillRun{
		ID: drillRunID, Drill: "site-cut", Seed: 7, By: "operator:wei", State: "running", Started: time.Now().Add(-10 * time.Second), Until: time.Now().Add(time.Minute), Takes: 40,
		Now: &client.DrillNow{
			Phase: "comparing the replicas", Paying: true, Elapsed: 6, Length: 14, Payments: client.DrillPayments{Attempted: 3000, Acknowledged: 2987, Unknown: 1}, P50: 4, P99: 190,
			Rates: []float64{400, 380, 0, 410}, Sites: []client.DrillSite{{Name: "Hangzhou", State: "cut off", Leads: 0}, {Name: "Shanghai", Leads: 5}},
			Carriers: []client.DrillCarrier{{Rate: 91000}, {State: "lossy", Rate: 12}}, Faults: []client.DrillFault{{Kind: "site-cut", Target: "hangzhou", At: 4200, Pause: 187.4, Failed: 0}},
		},
		Lines: []client.DrillLine{{At: time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC), Text: "starting 3 sites <now>"}},
	}}
	mux := http.NewServeMux()
	on := func(do func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.off {
				pagetest.Problem(w, http.StatusNotFound, "drills-off", "This site runs no drills.")
				return
			}
			do(w, r)
		}
	}
	mux.HandleFunc("GET /v1/drills", on(func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, map[string]any{"drills": []client.Drill{
			{Name: "demo", Story: "Customers pay.", Load: 30, Takes: 50, Sites: 3, Shards: 8, Carriers: 2, Bound: 1000},
			{Name: "site-cut", Story: "Every cable goes silent.", Load: 14, Takes: 40, Sites: 3, Shards: 8, Carriers: 2, Bound: 500},
			{Name: "unheard-of", Story: "Something new.", Load: 14, Takes: 40, Sites: 3, Shards: 8, Carriers: 2, Bound: 500},
			{Name: "pay-through-site-cut", Story: "People pay.", Load: 14, Takes: 40, Sites: 3, Shards: 8, Carriers: 2, Bound: 500, Missing: "Node is missing"},
		}})
	}))
	mux.HandleFunc("GET /v1/drill-runs", on(func(w http.ResponseWriter, _ *http.Request) {
		pagetest.JSON(w, map[string]any{"runs": []client.DrillRun{d.run}})
	}))
	mux.HandleFunc("POST /v1/drill-runs", on(func(w http.ResponseWriter, r *http.Request) {
		o := client.DrillOrder{}
		_ = json.NewDecoder(r.Body).Decode(&o)
		o.ID, _ = holdfast.ParseID(r.Header.Get("Idempotency-Key"))
		if d.busy {
			pagetest.Problem(w, http.StatusConflict, "drill-busy", "Another drill is under way.")
			return
		}
		d.started = append(d.started, o)
		d.run.ID = o.ID
		pagetest.JSON(w, d.run)
	}))
	mux.HandleFunc("GET /v1/drill-runs/{run}", on(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("run") != d.run.ID.String() {
			pagetest.Problem(w, http.StatusNotFound, "not-found", "This site has no such run.")
			return
		}
		pagetest.JSON(w, d.run)
	}))
	mux.HandleFunc("POST /v1/drill-runs/{run}/stop", on(func(w http.ResponseWriter, _ *http.Request) {
		d.stopped++
		pagetest.JSON(w, d.run)
	}))
	d.Desk = pagetest.NewDesk(t, Area(), client.Here{As: "operator", Person: "wei", Role: "operator"}, mux)
	return d
}

// become changes how the run stands.
func (d *drillDesk) become(change func(r *client.DrillRun)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.run)
}

func (d *drillDesk) over() {
	d.become(func(r *client.DrillRun) {
		r.State, r.Verdict, r.Ended, r.Report = "done", "pass", r.Started.Add(41*time.Second), reportOfTest("pass")
		r.Checks = []client.DrillCheck{{Name: "The books balance", Detail: "debits equal credits at 3 sites", OK: true}, {Name: "Something new", OK: true}}
	})
}

func reportOfTest(verdict string) *client.DrillReport {
	return &client.DrillReport{
		Scenario: "site-cut", Seed: 7, Sites: 3, Shards: 8, Carriers: 2, RTT: 10, Payments: client.DrillPayments{Attempted: 12400, Acknowledged: 12345, Refused: 55},
		BooksBalanced: true, ReplicasAgree: true, Linearizable: true, Latency: client.DrillLatency{P50: 4.2, P99: 61, P999: 190, Max: 210},
		Faults:  []client.DrillFault{{Kind: "site-cut", Target: "hangzhou+shanghai:inbound", At: 4200, Healed: 9100, Pause: 187.4, Changes: 3}},
		Verdict: verdict, Reasons: []string{},
	}
}

func TestDrillsPage(t *testing.T) {
	d := newDrillDesk(t)
	d.Page("/console/drills", "site-cut", "Every cable goes silent.", "It cannot be run on this machine.", "A drill is under way:", "/console/drills/"+drillRunID.String(), "Under way", "<bdi>wei</bdi>", "!enable = true", "!<bdi>operator:")
	d.Page("/console/drills/start?drill=site-cut", "Start 3 sites as processes, with 8 shards and 2 carriers", "payments pause for 500 ms at most", `name="number" value="`, `value="1"`)
	d.Page("/console/drills/start?drill=pay-through-site-cut", "Node is missing", `!<button type="submit">Start`)
	if w := d.Get("/console/drills/start?drill=nonsense"); w.Code != http.StatusNotFound {
		t.Errorf("a drill that nobody knows: %d", w.Code)
	}
	d.In("zh-CN")
	d.Page("/console/drills", "领导站点的所有线路悄然中断", `<span lang="en">Something new.</span>`, "进行中")
	d.off = true
	d.Page("/console/drills", "演练没有开启", "enable = true", "holdfast serve --sandbox", "查看已有的报告文件", "!选择一个演练")
}

func TestDrillIsStartedAndStopped(t *testing.T) {
	d := newDrillDesk(t)
	number := drillRunID.String()
	w := d.Post("/console/drills/start", "drill", "site-cut", "number", number, "site", "", "seed", "9")
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/console/drills/"+number+"?") {
		t.Fatalf("%d to %q: %s", w.Code, to, w.Body)
	}
	if len(d.started) != 1 || d.started[0] != (client.DrillOrder{ID: drillRunID, Drill: "site-cut", Seed: 9}) {
		t.Errorf("ordered %+v", d.started)
	}
	d.Page(w.Header().Get("Location"), "Under way", "Every cable goes silent.")
	for _, seed := range []string{"x", "-1", "99999999999999999999"} {
		w := d.Post("/console/drills/start", "drill", "site-cut", "number", number, "site", "", "seed", seed)
		pagetest.Says(t, w.Body.String(), "A seed is a whole number.", `value="`+seed+`"`)
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("seed %s: %d", seed, w.Code)
		}
	}
	for _, form := range [][]string{{"drill", "site-cut", "site", ""}, {"drill", "site-cut", "number", number, "site", "atlantis"}} {
		if w := d.Post("/console/drills/start", form...); w.Code != http.StatusBadRequest {
			t.Errorf("%v: %d", form, w.Code)
		}
	}
	d.busy = true
	w = d.Post("/console/drills/start", "drill", "site-cut", "number", number, "site", "")
	pagetest.Says(t, w.Body.String(), "Another drill is under way at this site.", `role="alert"`)
	if w.Code != http.StatusConflict || len(d.started) != 1 {
		t.Errorf("while another one is under way: %d, ordered %+v", w.Code, d.started)
	}
	w = d.Post("/console/drills/" + number + "/stop")
	if w.Code != http.StatusSeeOther || d.stopped != 1 {
		t.Errorf("stop: %d, asked %d times", w.Code, d.stopped)
	}
}

func TestDrillRunPage(t *testing.T) {
	d := newDrillDesk(t)
	path := "/console/drills/" + drillRunID.String()
	d.Page(path, `data-live="`+path+"/live", "2,987", "Hangzhou", "cut off", "payments are made, and things break", "carrier 2", "starting 3 sites &lt;now&gt;", "4.2 – lasts", "187 ms", path+"/stop", `lang="en"`)
	d.In("zh-CN")
	d.become(func(r *client.DrillRun) { r.Now.Paying = false })
	d.Page(path, "比较各个副本", "已隔离", "站点隔离", "4.2 – 持续中")
	d.over()
	d.Page(path, "通过", "12,345", "账本平衡", `<span lang="en">Something new</span>`, "hangzhou, shanghai (收不到)", "（上限 500 毫秒）", "!data-live", "!/stop")
	d.In("en")
	body := d.Page(path, "12,345 payments were acknowledged, and every one of them is at all 3 sites, once and unaltered.", "187 ms", "4.2 – 9.1", "holdfast drill run site-cut --seed 7 --report site-cut.html", "seed=7", "!What was found")
	if at := strings.Index(body, "Passed"); at < 0 || at > strings.Index(body, "What was broken") || strings.Index(body, "What was broken") > strings.Index(body, "What was proved") {
		t.Error("the verdict does not come first")
	}

	w := d.Get(path + "/report.json")
	list, err := client.ReadDrillReports(w.Body.Bytes())
	if err != nil || list[0].Payments.Acknowledged != 12345 || !strings.Contains(w.Header().Get("Content-Disposition"), "site-cut-7.json") {
		t.Errorf("%v %v %s", w.Header(), err, w.Body)
	}

	d.become(func(r *client.DrillRun) {
		r.Verdict, r.Report = "fail", reportOfTest("fail")
		r.Report.Lost, r.Report.BooksBalanced, r.Report.Reasons, r.Report.Faults[0].Pause = 1, false, []string{"1 payment is <lost>"}, 900
		r.Checks = nil
	})
	d.Page(path, "Failed", "Not every promise was kept", "1 payment is &lt;lost&gt;", "do not use this version", "It is not proved that the books balance.", "Payments paused for longer than may be.", "!Another promise", "not kept:")
	d.become(func(r *client.DrillRun) {
		r.State, r.Verdict, r.Report, r.Why = "broken", "", nil, "exit status 3: no disk"
	})
	d.Page(path, "Could not be carried out", "exit status 3: no disk", "no report")
	if w := d.Get(path + "/report.json"); w.Code != http.StatusNotFound {
		t.Errorf("a report that is not there: %d", w.Code)
	}
	other := holdfast.NewID(1, [10]byte{9}).String()
	for _, gone := range []string{"/console/drills/" + other, "/console/drills/last", "/console/drills/" + other + "/report.json"} {
		w := d.Get(gone)
		pagetest.Says(t, w.Body.String(), "There is no such run")
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", gone, w.Code)
		}
	}
}

// upload sends a file.
func (d *drillDesk) upload(t *testing.T, text string) *httptest.ResponseRecorder {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	f, err := m.CreateFormFile("report", "site-<cut>.json")
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err != nil || m.Close() != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/console/drills/read", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("Cookie", "holdfast_session="+d.Token)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	d.Pages.ServeHTTP(w, r)
	return w
}

func TestReportFromAFile(t *testing.T) {
	d := newDrillDesk(t)
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	w := d.upload(t, text(reportOfTest("pass")))
	pagetest.Says(t, w.Body.String(), "site-&lt;cut&gt;.json", "Passed", "12,345", "The books balance", "!passed</strong>")
	if w.Code != http.StatusOK {
		t.Error(w.Code)
	}
	var many []client.DrillReport
	for i := range 300 { // more than a page of forms may have
		r := *reportOfTest("pass")
		r.Seed = uint64(i)
		if i%50 == 49 {
			r.Verdict, r.Reasons = "fail", []string{fmt.Sprintf("reason %d", i)}
		}
		many = append(many, r)
	}
	file := text(map[string]any{"results": many, "summaries": []any{}})
	if len(file) < 64<<10 {
		t.Fatalf("a file of %d bytes proves little", len(file))
	}
	w = d.upload(t, file)
	pagetest.Says(t, w.Body.String(), "294 of 300 passed", "200 more are not listed", "reason 49", "reason 249", "!reason 299")
	if w.Code != http.StatusOK || w.Body.Len() > pagetest.Heaviest {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
	for file, want := range map[string]string{
		"": "There was no file", "hello": "no report of a drill", `{"a":1}`: "no report of a drill", strings.Repeat(" ", maxReports+1): "longer than 512 KB",
		strings.Repeat("x", 2*maxReports): "longer than 512 KB", `<script>alert(1)</script>`: "!<script>alert",
	} {
		w := d.upload(t, file)
		pagetest.Says(t, w.Body.String(), want)
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%.20s: %d", file, w.Code)
		}
	}
	if w := d.Post("/console/drills/read"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a form without a file: %d", w.Code)
	}
	if w := d.Post("/console/drills/start", "drill", strings.Repeat("x", 20<<10)); w.Code != http.StatusBadRequest {
		t.Errorf("a long form that brings no file: %d", w.Code)
	}
}

// TestDrillsAreKnownInChinese: what drills say of themselves, as far as it does not change, is there in Chinese.
func TestDrillsAreKnownInChinese(t *testing.T) {
	for _, s := range append(drill.Scenarios(), drill.Demo()) {
		if drillStories["story-"+s.Name].In(page.Chinese) == "" {
			t.Errorf("the drill %s has no story", s.Name)
		}
	}
	for _, d := range []drill.Damage{
		drill.CutOff, drill.Parted, drill.Muted, drill.Deafened, drill.Killed, drill.Frozen, drill.Restarting,
		drill.CarrierCut, drill.CarrierPair, drill.CarrierMuted, drill.CarrierLossy, drill.CarrierFlaps,
	} {
		if w := drillWords["damage-"+string(d)]; w.In(page.Chinese) == "" {
			t.Errorf("what is %q has no word", d)
		}
	}
}

// TestDrillInABrowser chooses a drill, starts it, watches it come to its report, and reads one from a file.
func TestDrillInABrowser(t *testing.T) {
	tab := pagetest.Browser(t).Tab(t, pagetest.Look{Lang: "en", Width: 1440})
	d := newDrillDesk(t)
	site, _ := d.Serve()
	tab.Do(pagetest.Go(site+"/console/drills"), pagetest.Shown("h1", "Drills"), tab.Sound("drills"),
		pagetest.Click(`a[href$="drill=site-cut"]`), pagetest.Shown("h1", "site-cut"), tab.Sound("drill"),
		pagetest.Click(`form[action="/console/drills/start"] button`), pagetest.Shown("#drill", "2,987"), tab.Sound("drill-runs"))
	d.become(func(r *client.DrillRun) { r.Now.Payments.Acknowledged = 5432 })
	tab.Do(pagetest.Shown("#drill", "5,432"))
	tab.Look(390, false)
	tab.Do(pagetest.Click(`button[lang="zh-CN"]`), pagetest.Shown("#drill", "正在付款"), tab.Sound("drill-runs-phone-zh"))
	d.over() // the report comes without reloading, and then the page is left alone
	tab.Do(pagetest.Shown("#drill", "账本平衡"), tab.Sound("drill-passed-phone-zh"))
	tab.Look(1440, true)
	if shown := pagetest.Eval[string](tab, `getComputedStyle(document.querySelector(".stop")).display`); shown != "none" {
		t.Errorf("a drill that is over can be stopped: %s", shown)
	}
	tab.Do(tab.Sound("drill-passed-zh-dark"), pagetest.Click(`button[lang="en"]`), pagetest.Shown("#drill", "once and unaltered"))
	d.become(func(r *client.DrillRun) {
		r.Verdict, r.Report = "fail", reportOfTest("fail")
		r.Report.Lost, r.Report.Reasons = 1, []string{"1 acknowledged payment is not in the books of Shanghai"}
	})
	tab.Look(390, true)
	tab.Do(pagetest.Go(tab.At()), pagetest.Shown("#drill", "do not use this version"), tab.Sound("drill-failed-phone-dark"),
		pagetest.Go(site+"/console/drills"), pagetest.Shown("h1", "Drills"), tab.Sound("drills-phone-dark"))
}

// TestDrillsOfSeveralSites: the operator chooses among the sites that run drills, and a run is found wherever it was done.
func TestDrillsOfSeveralSites(t *testing.T) {
	off, on, silent := newDrillDesk(t), newDrillDesk(t), httptest.NewServer(http.NotFoundHandler())
	off.off = true
	silent.Close()
	c, err := client.New(client.Config{Sites: []string{off.API.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	d := &drillDesk{Desk: on.Desk}
	d.Pages, err = page.New(page.Config{API: c, Direct: off.API.Config.Handler, Areas: []page.Area{Area()}, Places: func() []page.Place {
		return []page.Place{{Name: "shenzhen", URL: silent.URL}, {Name: "shanghai", URL: on.API.URL}, {Name: "hangzhou", URL: off.API.URL, Self: true}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Pages.Close)
	d.Page("/console/drills", "<bdi>shenzhen</bdi> does not answer: its drills are not listed.", "<bdi>shanghai</bdi>", "Every cable goes silent.", "!Drills are off")
	d.Page("/console/drills/start?drill=site-cut", `name="site" value="shanghai"`, "!hangzhou</option>")
	path := "/console/drills/" + drillRunID.String()
	d.Page(path, path+"/live?at=shanghai", path+"/stop?at=shanghai")
	w := d.Post("/console/drills/start", "drill", "site-cut", "number", drillRunID.String(), "site", "shanghai")
	if to := w.Header().Get("Location"); to != path+"?at=shanghai" || len(on.started) != 1 {
		t.Errorf("%d to %q, ordered %+v", w.Code, to, on.started)
	}
	w = d.Post("/console/drills/start", "drill", "site-cut", "number", drillRunID.String(), "site", "hangzhou")
	pagetest.Says(t, w.Body.String(), "This site runs no drills.")
	if w := d.Get(path + "?at=hangzhou"); w.Code != http.StatusNotFound {
		t.Errorf("a run of another site: %d", w.Code)
	}
	if w := d.Get("/console/drills/" + holdfast.NewID(1, [10]byte{1}).String()); w.Code != http.StatusNotFound {
		t.Errorf("a run of no site: %d", w.Code)
	}
}
