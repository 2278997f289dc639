package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

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
