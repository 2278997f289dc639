package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTrend(t *testing.T) {
	api := newTestAPI(&fake{})
	status, _, body := ask(t, api, "GET", "/v1/trend?seconds=120&step=60", readerKey, "")
	const want = `{"site":1,"name":"hangzhou","step_s":60,"points":[{"at":"1970-01-01T00:01:00Z","seconds":120,"done":5,"refused":1,"not_executed":0,` +
		`"unknown":0,"p50_ms":3,"p99_ms":9,"elections":0,"waiting":0,"disk_write_ms":0,"disk_free_bytes":0,"majority":true}]}`
	if status != 200 || strings.TrimSpace(body) != want {
		t.Errorf("%d %s", status, body)
	}
	for _, wrong := range []string{"seconds=0", "seconds=3601", "step=x", "step=601", "step=-1"} {
		status, h, body := ask(t, api, "GET", "/v1/trend?"+wrong, readerKey, "")
		if p := problemIn(t, h, body); status != 400 || !strings.HasPrefix(p.Detail, "give a whole number from 1 to ") {
			t.Errorf("%s: %d %s", wrong, status, body)
		}
	}
}

func TestJournal(t *testing.T) {
	api := newTestAPI(&fake{})
	status, _, body := ask(t, api, "GET", "/v1/journal?after=41", readerKey, "")
	var j journalBody
	if err := json.Unmarshal([]byte(body), &j); status != 200 || err != nil || j.Last != 42 || len(j.Events) != 1 || j.Events[0].Kind != "leader" {
		t.Errorf("%d %s: %v", status, body, err)
	}
	if status, _, body := ask(t, api, "GET", "/v1/journal?after=soon", readerKey, ""); status != 400 || !strings.Contains(body, "number of an event") {
		t.Errorf("%d %s", status, body)
	}
}
