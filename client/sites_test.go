package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestSitesArePlannedAndApplied(t *testing.T) {
	var asked []string
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Context().Value(bodyOf{}).(string))
		}
		switch r.URL.Path {
		case "/v1/sites":
			io.WriteString(w, `{"list_version":3,"change":{"plan":"abc","kind":"add","site":4,"doing":"waits","done":1,"of":8},"sites":[{"site":1,"role":"voter","city":"north"}]}`)
		case "/v1/sites/plan":
			io.WriteString(w, `{"plan":"abc","list_version":3,"map_version":7,"before":{"voters":[1,2,3],"majority":2},"steps":[{"shard":1,"text":"x","copy_bytes":5}],"after":{"voters":[1,2,3,4],"majority":3},"copy_bytes":5,"notes":["n"]}`)
		case "/v1/sites/apply":
			io.WriteString(w, `{"plan":"abc","ordered":true}`)
		case "/v1/shards/3/trust":
			io.WriteString(w, `{"shard":3,"trusted":true}`)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"code":"not-now","status":409,"detail":"site 3 does not answer"}`)
		}
	})
	c, err := New(Config{Sites: []string{s.URL}, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	f, err := c.Fleet(ctx)
	if err != nil || f.List != 3 || f.Change == nil || f.Change.Doing != "waits" || f.Change.Of != 8 || f.Sites[0].City != "north" || f.Sites[0].Role != "voter" {
		t.Errorf("%+v, %v", f, err)
	}
	q := SiteRequest{Kind: "replace", Site: 4, Old: 3, Name: "beijing", Addresses: []string{"10.0.0.4:7001"}}
	p, err := c.PlanSites(ctx, q)
	if err != nil || p.Plan != "abc" || p.After.Majority != 3 || p.Steps[0].Copy != 5 || p.Map != 7 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := c.ApplySites(ctx, q, p.Plan); err != nil {
		t.Error(err)
	}
	if err := c.Rebuild(ctx, 2, true); err == nil || !strings.Contains(err.Error(), "site 3 does not answer") {
		t.Errorf("a rebuild that is refused: %v", err)
	}
	if err := c.Trust(ctx, 3); err != nil {
		t.Error(err)
	}
	want := `[GET /v1/sites  POST /v1/sites/plan {"kind":"replace","site":4,"old":3,"name":"beijing","addresses":["10.0.0.4:7001"]} ` +
		`POST /v1/sites/apply {"kind":"replace","site":4,"old":3,"name":"beijing","addresses":["10.0.0.4:7001"],"plan":"abc"} POST /v1/shards/2/rebuild {"force":true} POST /v1/shards/3/trust {}]`
	if got := fmt.Sprint(asked); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
	two, err := New(Config{Sites: []string{s.URL, "http://127.0.0.1:1"}, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if err := two.Rebuild(ctx, 2, false); err == nil || len(asked) != 5 {
		t.Errorf("a rebuild at any of two sites: %v, asked %d times", err, len(asked))
	}
}
