package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSurvival(t *testing.T) {
	status, h, body := ask(t, newTestAPI(&fake{}), "GET", "/v1/survival", readerKey, "")
	if p := problemIn(t, h, body); status != 503 || p.Code != "not-ready" || !strings.Contains(p.Detail, "again in a second") {
		t.Errorf("before anything is worked out: %d %s", status, body)
	}
	status, _, body = ask(t, newTestAPI(&fake{forecast: true}), "GET", "/v1/survival", readerKey, "")
	var s survivalBody
	if err := json.Unmarshal([]byte(body), &s); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if s.Survives || s.Weakest != "without site-1: shard 1 would stop" || len(s.Losses) != 1 {
		t.Errorf("%s", body)
	}
	const loss = `{"loss":"site","sites":[1],"survives":false,"stops":[1],"moves":[{"shard":2,"from":1,"to":[2,3]}],"pause_ms":0,"worst_pause_ms":0,"loads":[]}`
	const transit = `"transit":{"fits":false,"compared_at":"1970-01-01T00:00:02Z","overdue":false,"site":2,"differs":"shard 1 has sent too much",` +
		`"differs_since":"1970-01-01T00:00:03Z"}`
	for _, want := range []string{loss, transit} {
		if !strings.Contains(body, want) {
			t.Errorf("%s does not have %s", body, want)
		}
	}
}
