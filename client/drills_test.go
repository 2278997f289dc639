package client

import (
	"strings"
	"testing"
)

const oneReport = `{"scenario":"site-cut","seed":7,"sites":3,"shards":8,"carriers":2,"rtt_ms":10,"input":"uci-502","payments":{"attempted":9,"acknowledged":8,"refused":1,` +
	`"unknown_at_deadline":0},"lost":0,"duplicated":0,"altered":0,"books_balanced":true,"replicas_agree":true,"linearizable":true,"latency_ms":{"p50":3,"p99":9,"p999":99,"max":190},` +
	`"faults":[{"kind":"site-cut","target":"hangzhou","at_ms":4000,"healed_at_ms":9000,"pause_ms":187.5,"failed_requests":1,"leader_changes":3}],"verdict":"fail","reasons":["one failed"]}`

func TestReadDrillReports(t *testing.T) {
	for text, want := range map[string]int{
		oneReport: 1, " " + oneReport + "\n": 1, "[" + oneReport + "," + oneReport + "]": 2,
		`{"results":[` + oneReport + `],"summaries":[{"scenario":"site-cut","runs":1}]}`: 1,
	} {
		list, err := ReadDrillReports([]byte(text))
		if err != nil || len(list) != want {
			t.Errorf("%.60s: %d reports, %v", text, len(list), err)
			continue
		}
		if r := &list[0]; r.Passed() || r.Pause() != 187.5 || r.FailedRequests() != 1 || r.Payments.Acknowledged != 8 || r.Latency.Max != 190 {
			t.Errorf("%.60s: %+v", text, r)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "[]": "no report in it", `{"results":[],"summaries":[]}`: "no report in it", "{}": "no scenario", oneReport + "x": "follows", "null": "no scenario",
		strings.Replace(oneReport, `"fail"`, `"maybe"`, 1): "no verdict", `{"results":[{"color":1}]}`: "color", `{"scenario":"x","secret":1}`: "secret",
		"%PDF-1.7": "no report of a drill", `"pass"`: "no report of a drill", strings.Replace(oneReport, `"lost":0`, `"lost":"0"`, 1): "lost",
	} {
		if _, err := ReadDrillReports([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want an error with %q", text, err, want)
		}
	}
}

func TestDrillsAreStartedAtOneSite(t *testing.T) {
	c := newTestClient(t, Config{Sites: []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}})
	if _, err := c.StartDrill(t.Context(), DrillOrder{Drill: "site-cut"}); err == nil || !strings.Contains(err.Error(), "that site alone") {
		t.Error(err)
	}
	if _, err := c.StopDrill(t.Context(), c.NewID()); err == nil || !strings.Contains(err.Error(), "that site alone") {
		t.Error(err)
	}
}
