package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"holdfast"
)

func TestSlotsArePlannedAndApplied(t *testing.T) {
	var asked []string
	s := newSiteFor(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Context().Value(bodyOf{}).(string))
		}
		switch r.URL.Path {
		case "/v1/shards":
			io.WriteString(w, `{"map_version":9,"shards":[{"shard":1,"slots":[{"from":0,"to":499}]}],"moves":[{"slots":{"from":10,"to":12},"from":1,"to":2,"stage":"shut","why":"w"}]}`)
		case "/v1/slots/plan":
			io.WriteString(w, `{"plan":"abc","map_version":9,"from":1,"to":2,"accounts":5,"pause_ms":90,"shards":[{"shard":1,"slots":500,"slots_after":497,"after_per_s":3.5}],"during":{"majority":2},"notes":["n"]}`)
		case "/v1/slots/stay":
			io.WriteString(w, `{"slots":[{"from":10,"to":10}],"failed":[{"shard":2,"slots":[{"from":12,"to":12}],"outcome":"unknown","detail":"d"}]}`)
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
	m, err := c.ShardMap(t.Context())
	if err != nil || m.Version != 9 || m.Shards[0].Slots[0].To != 499 || len(m.Moves) != 1 || m.Moves[0].Stage != "shut" || m.Moves[0].Slots.String() != "10-12" {
		t.Errorf("%+v, %v", m, err)
	}
	q := SlotRequest{Slots: []SlotRange{{10, 12}}, To: 2}
	p, err := c.PlanSlots(t.Context(), q)
	if err != nil || p.Plan != "abc" || p.Accounts != 5 || p.Pause != 90 || p.Shards[0].SlotsAfter != 497 || p.Shards[0].RateAfter != 3.5 || p.During.Majority != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	var e *Error
	if err := c.ApplySlots(t.Context(), q, p.Plan); !errors.As(err, &e) || e.Code != "plan-stale" {
		t.Errorf("a plan that is stale: %v", err)
	}
	kept, err := c.KeepSlots(t.Context(), []SlotRange{{holdfast.Slot(5), 15}})
	if err != nil || fmt.Sprint(kept.Slots) != "[10]" || len(kept.Failed) != 1 || kept.Failed[0].Shard != 2 || kept.Failed[0].Outcome != "unknown" {
		t.Errorf("%+v, %v", kept, err)
	}
	want := `[GET /v1/shards  POST /v1/slots/plan {"slots":[{"from":10,"to":12}],"to":2} ` +
		`POST /v1/slots/apply {"slots":[{"from":10,"to":12}],"to":2,"plan":"abc"} POST /v1/slots/stay {"slots":[{"from":5,"to":15}]}]`
	if got := fmt.Sprint(asked); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}
