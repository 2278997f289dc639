package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestSplitsArePlannedAppliedAndGivenUp(t *testing.T) {
	var asked []string
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Context().Value(bodyOf{}).(string))
		}
		switch r.URL.Path {
		case "/v1/shards":
			io.WriteString(w, `{"map_version":9,"shards":[],"moves":[],"splits":[{"plan":"abc","from":2,"to":4,"state":"moves","doing":"d","moved":3,"of":166},{"plan":"old","state":"done"}]}`)
		case "/v1/shards/2/split/plan":
			io.WriteString(w, `{"plan":"abc","map_version":9,"from":2,"to":4,"slots":[{"from":500,"to":665}],"home":3,"home_name":"beijing","founders":[1,2,3],"share":0.5,"loads":[{"site":3,"after_per_s":25}],"takes_ms":9000}`)
		case "/v1/shards/2/split/cancel":
			io.WriteString(w, `{"plan":"abc","from":2,"to":4,"state":"stays","moved":3,"of":166}`)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"code":"plan-stale","status":409,"detail":"look again"}`)
		}
	})
	c, err := New(Config{Sites: []string{s.URL}, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := c.PlanSplit(t.Context(), 2, SplitRequest{})
	if err != nil || p.Plan != "abc" || p.To != 4 || p.Home != 3 || p.HomeName != "beijing" || len(p.Founders) != 3 || p.Loads[0].After != 25 || p.Takes != 9000 {
		t.Errorf("%+v, %v", p, err)
	}
	var e *Error
	if err := c.ApplySplit(t.Context(), 2, SplitRequest{Slots: p.Slots}, p.Plan); !errors.As(err, &e) || e.Code != "plan-stale" {
		t.Errorf("a plan that is stale: %v", err)
	}
	m, err := c.ShardMap(t.Context())
	if err != nil || len(m.Splits) != 2 || m.Splits[0].Over() || m.Splits[0].Moved != 3 || m.Splits[0].Doing != "d" || !m.Splits[1].Over() {
		t.Errorf("%+v, %v", m, err)
	}
	if x, err := c.CancelSplit(t.Context(), 2); err != nil || x.State != "stays" || x.To != 4 || x.Of != 166 {
		t.Errorf("%+v, %v", x, err)
	}
	want := `[POST /v1/shards/2/split/plan {} POST /v1/shards/2/split/apply {"slots":[{"from":500,"to":665}],"plan":"abc"} GET /v1/shards  ` +
		`POST /v1/shards/2/split/cancel {}]`
	if got := fmt.Sprint(asked); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}
