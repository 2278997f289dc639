package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// The first question that has no answer ends the asking: each of the others would wait as long, and say the same.
func TestStatusEndsWithTheFirstQuestionUnanswered(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer site.Close()
	c, err := client.New(client.Config{Sites: []string{site.URL}, Key: "any"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = askStatus(t.Context(), c)
	mu.Lock()
	defer mu.Unlock()
	if err == nil || !slices.Equal(asked, []string{"/v1/sites"}) {
		t.Errorf("asked %q: %v", asked, err)
	}
}

// An audit that compared nothing passes only where there is nothing to compare with.
func TestAnAuditThatComparedNothing(t *testing.T) {
	for _, c := range []struct {
		compared, sites int
		ok              bool
	}{{0, 1, true}, {0, 3, false}, {2, 3, true}} {
		a := client.Audit{OK: true, Compared: c.compared}
		if unproved(&a, c.sites); a.OK != c.ok || (len(a.Problems) == 0) != c.ok {
			t.Errorf("%d compared, %d sites: ok %v, problems %q", c.compared, c.sites, a.OK, a.Problems)
		}
	}
}

// What does not fit between shards, or was not compared for too long, is a condition of the fleet: status says so, and ends with 1.
func TestStatusTellsOfPaymentsBetweenShards(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		transit string // in the answer of the site
		ok      bool
		says    string
	}{
		{"", true, ""},
		{`,"transit":{"fits":true,"compared_at":"2026-11-27T10:00:00Z","overdue":false,"site":2}`, true, "fit: compared 2026-11-27 10:00:00 UTC, by shanghai."},
		{`,"transit":{"fits":false,"overdue":false}`, true, "were not compared yet"},
		{
			`,"transit":{"fits":false,"compared_at":"2026-11-27T10:00:00Z","overdue":false,"differs":"shard 1 has sent too much","differs_since":"2026-11-27T09:00:00Z"}`, false,
			"DO NOT FIT, since 2026-11-27 09:00:00 UTC: shard 1 has sent too much.",
		},
		{
			`,"transit":{"fits":true,"compared_at":"2026-11-27T10:00:00Z","overdue":true,"trouble":"shard 3: no leader"}`, false,
			"WERE NOT COMPARED since 2026-11-27 10:00:00 UTC. shard 3: no leader",
		},
		{`,"transit":{"fits":false,"overdue":true}`, false, "WERE NOT COMPARED since this site started"},
	} {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, map[string]string{
				"/v1/sites": `{"sites":[{"site":2,"name":"shanghai","role":"voter","reachable":true,"ready":true,"digest_ok":true}]}`, "/v1/shards": `{"shards":[]}`, "/v1/banks": `{"banks":[]}`,
				"/v1/survival": `{"at":"2026-11-27T10:00:01Z","survives":true,"losses":[]` + row.transit + `}`,
			}[r.URL.Path])
		}))
		defer site.Close()
		c, err := client.New(client.Config{Sites: []string{site.URL}, Key: "any"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := askStatus(t.Context(), c)
		if err != nil || s.OK != row.ok || s.Survival.At != at.Add(time.Second) {
			t.Errorf("%s: ok %t, %v", row.transit, s.OK, err)
		}
		var told strings.Builder
		tellTransit(&told, s.Survival.Transit, map[holdfast.SiteID]string{2: "shanghai"})
		if !strings.Contains(told.String(), row.says) || row.says == "" && told.Len() > 0 {
			t.Errorf("%s: %q", row.transit, &told)
		}
	}
}
