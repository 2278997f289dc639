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
	if !strings.Contains(body, loss) {
		t.Errorf("%s does not have %s", body, loss)
	}
}
