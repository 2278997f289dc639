package httpapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"holdfast"
)

// fakeDrills run nothing.
type fakeDrills struct {
	order DrillOrder
	runs  []DrillRun
	err   error
}

const uuid9 = "0190f3c6-2a3b-7c4d-8e5f-000000000009"

func (f *fakeDrills) Known() []Drill {
	return []Drill{{Name: "site-cut", Story: "Silence.", Load: 14, Takes: 40, Sites: 3, Shards: 8, Carriers: 2, Bound: 500}}
}

func (f *fakeDrills) Start(o DrillOrder) (DrillRun, bool, error) {
	if f.err != nil {
		return DrillRun{}, false, f.err
	}
	fresh := f.order.ID != o.ID
	f.order = o
	return DrillRun{ID: o.ID.String(), Drill: o.Drill, Seed: o.Seed, By: o.By, State: "running", Started: decidedAt.String(), Until: decidedAt.String(), Takes: 40}, fresh, nil
}

func (f *fakeDrills) Runs() []DrillRun { return f.runs }

func (f *fakeDrills) Run(id string) (DrillRun, bool) {
	return DrillRun{
		ID: id, Drill: "site-cut", Seed: 1, By: "ops", State: "done", Started: decidedAt.String(), Ended: decidedAt.String(), Until: decidedAt.String(), Verdict: "pass",
		Now: &DrillNow{Phase: "over", Rates: []float64{1}, Sites: []DrillSite{{Name: "Hangzhou"}}, Carriers: []DrillCarrier{{}}, Faults: []DrillFault{{}}}, Lines: []DrillLine{{decidedAt.String(), "x"}},
		Checks: []DrillCheck{{"The books balance", "all of them", true}}, Report: &DrillReport{Faults: []DrillFault{{}}, Verdict: "pass", Reasons: []string{}},
	}, id == uuid9
}

func (f *fakeDrills) Stop(id string) (DrillRun, bool) {
	run, ok := f.Run(id)
	run.State = "stopping"
	return run, ok
}

func newDrillAPI(f *fakeDrills) Options { return Options{Keys: testKeys, Version: "test", Drills: f} }

func TestDrillsAreForOperators(t *testing.T) {
	api := New(&fake{}, newDrillAPI(&fakeDrills{}))
	for _, row := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/drills", "", 200},
		{"GET", "/v1/drill-runs", "", 200},
		{"POST", "/v1/drill-runs", `{"drill":"site-cut"}`, 201},
		{"GET", "/v1/drill-runs/" + uuid9, "", 200},
		{"GET", "/v1/drill-runs/" + uuid1, "", 404},
		{"GET", "/v1/drill-runs/last", "", 400},
		{"POST", "/v1/drill-runs/" + uuid9 + "/stop", "", 200},
		{"POST", "/v1/drill-runs/" + uuid1 + "/stop", "", 404},
	} {
		for _, who := range []struct {
			key  string
			want int
		}{{"", 401}, {readerKey, 403}, {tellerKey, 403}, {operatorKey, row.want}} {
			if status, _, body := ask(t, api, row.method, row.path, who.key, row.body); status != who.want {
				t.Errorf("%s %s: %d %s, want %d", row.method, row.path, status, body, who.want)
			}
		}
	}
}

func TestDrillsThatAreOffSayHowToTurnThemOn(t *testing.T) {
	api := newTestAPI(&fake{})
	for _, row := range [][3]string{{"GET", "/v1/drills"}, {"GET", "/v1/drill-runs"}, {"POST", "/v1/drill-runs", `{"drill":"site-cut"}`}, {"GET", "/v1/drill-runs/" + uuid9}} {
		status, h, body := ask(t, api, row[0], row[1], operatorKey, row[2])
		p := problemIn(t, h, body)
		if status != 404 || p.Code != "drills-off" || !strings.Contains(p.Detail, "enable = true below [drills]") {
			t.Errorf("%s %s: %d %s", row[0], row[1], status, body)
		}
	}
}

func TestADrillIsStartedOnceForAKey(t *testing.T) {
	f := &fakeDrills{}
	api := New(&fake{}, newDrillAPI(f))
	start := func(body string, headers ...string) (int, DrillRun, string) {
		status, _, text := ask(t, api, "POST", "/v1/drill-runs", operatorKey, body, headers...)
		var run DrillRun
		if err := json.Unmarshal([]byte(text), &run); err != nil {
			t.Fatal(err)
		}
		return status, run, text
	}
	status, run, text := start(`{"drill":"site-cut","seed":7}`, "Idempotency-Key", uuid9)
	if status != 201 || run.ID != uuid9 || f.order.Seed != 7 || f.order.Drill != "site-cut" || f.order.By == "" {
		t.Errorf("%d %s: ordered %+v", status, text, f.order)
	}
	if status, run, text := start(`{"drill":"site-cut","seed":7}`, "Idempotency-Key", uuid9); status != 200 || run.ID != uuid9 {
		t.Errorf("again: %d %s", status, text)
	}
	_, one, _ := start(`{"drill":"site-cut"}`)
	if _, two, _ := start(`{"drill":"site-cut"}`); one.ID == two.ID || one.Seed != 1 {
		t.Errorf("two orders without a key are the runs %q and %q, seed %d", one.ID, two.ID, one.Seed)
	}
}

func TestWhyADrillIsNotStarted(t *testing.T) {
	for _, row := range []struct {
		body   string
		err    error
		status int
		code   string
		says   string
	}{
		{`{"drill":"x"}`, ErrNoDrill, 400, "malformed", "no drill is called"},
		{`{"drill":"site-cut"}`, ErrDrillBusy, 409, "drill-busy", "stop it"},
		{`{"drill":"site-cut"}`, ErrDrillOther, 409, holdfast.CodeIDTaken.String(), ""},
		{`{"drill":"site-cut"}`, ErrDrillsClosed, 503, "not-ready", "in a moment"},
		{`{"drill":"site-cut"}`, errors.New("no such program"), 409, "not-now", "no such program"},
		{`{}`, nil, 400, "malformed", "name the drill"},
		{`{"drill":"site-cut","seed":-1}`, nil, 400, "malformed", "seed"},
		{`{"drill":"site-cut","seed":9007199254740992}`, nil, 400, "malformed", "seed"},
		{`{"drill":"site-cut","rate":1}`, nil, 400, "malformed", "rate"},
	} {
		status, h, body := ask(t, New(&fake{}, newDrillAPI(&fakeDrills{err: row.err})), "POST", "/v1/drill-runs", operatorKey, row.body)
		p := problemIn(t, h, body)
		if status != row.status || p.Code != row.code || !strings.Contains(body, row.says) || p.Outcome != "not-executed" {
			t.Errorf("%s, %v: %d %s", row.body, row.err, status, body)
		}
	}
}
