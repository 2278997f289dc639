package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"holdfast/httpapi"
)

// TestCases works through the list as somebody at a command line does, against a site that answers as the API does.
func TestCases(t *testing.T) {
	const id = "3f1c0a9be1d24be0a1b2c3d4e5f60718"
	var mu sync.Mutex
	v := httpapi.CaseBody{
		ID: id, Account: "icbc/CNY", Key: "HF1", Kind: 5, Name: "booked-twice", ToDo: "Have the others taken back.", Count: 2, Asset: "CNY", Amount: -500, Progress: "open",
		Ledger: &httpapi.CaseSideBody{ID: "HF1", Amount: -500, Asset: "CNY"}, Bank: &httpapi.CaseSideBody{ID: "HF1", Ref: "B7", Amount: -500, Asset: "CNY", Day: "2026-11-26T00:00:00Z"},
		Since: "2026-11-27T01:00:00Z",
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		var said struct{ Why string }
		_ = json.Unmarshal(body, &said)
		var answer any = v
		switch path := strings.TrimPrefix(r.URL.Path, "/v1/reconciliation/cases"); {
		case r.Method == http.MethodGet && path == "":
			answer = map[string]any{"cases": []httpapi.CaseBody{v}}
		case r.Method == http.MethodPost && path == "/"+id+"/explain":
			v.Progress, v.Why = "explained", said.Why
		case r.Method == http.MethodPost && path == "/"+id+"/close":
			v.Progress, v.Why, v.Closed = "closed", said.Why, "2026-11-27T09:00:00Z"
		case path != "/"+id:
			http.NotFound(w, r)
			return
		}
		if said.Why != "" {
			v.Notes = append(v.Notes, httpapi.CaseNote{Time: "2026-11-27T09:00:00Z", By: "ann", Progress: v.Progress, Why: said.Why})
			answer = v
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer site.Close()
	t.Setenv(keyVariable, "any")
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := newRoot()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append(append([]string{"cases"}, args...), "--site", site.URL))
		err := cmd.Execute()
		return out.String(), err
	}
	for _, x := range []struct {
		args []string
		want []string
	}{
		{[]string{"list"}, []string{id, "icbc/CNY", "booked-twice", "-500 CNY", "open", "2026-11-27"}},
		{[]string{"show", id}, []string{"ledger  -500 CNY, id HF1", "bank    -500 CNY on 2026-11-26, id HF1, reference B7", "Have the others taken back."}},
		{[]string{"explain", id, "--why", "asked the bank"}, []string{"explained since", "ann: asked the bank (explained)", "Have the others"}},
		{[]string{"close", id, "--why", "taken back"}, []string{"ann: asked the bank (explained)", "ann: taken back (closed)", "Closed at 2026-11-27T09:00:00Z."}},
	} {
		text, err := run(x.args...)
		for _, want := range x.want {
			if err != nil || !strings.Contains(text, want) {
				t.Errorf("cases %v says nothing of %q: %v\n%s", x.args, want, err, text)
			}
		}
	}
	if _, err := run("close", id); err == nil || !strings.Contains(err.Error(), "--why") {
		t.Errorf("closed without a reason: %v", err)
	}
	if _, err := run("show", "other"); err == nil {
		t.Error("a case that is not there was shown")
	}
}
