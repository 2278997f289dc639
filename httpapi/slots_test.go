package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast/site"
)

func TestSlotsArePlannedOrderedAndKept(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	move := `{"slots":[{"from":300,"to":349},{"from":7,"to":7}],"to":2}`
	status, _, body := ask(t, api, "POST", "/v1/slots/plan", operatorKey, move)
	for _, says := range []string{`"plan":"def"`, `"accounts":7`, `"pause_ms":90`, `"slots":500,"slots_after":450`, `"per_s":30,"after_per_s":20`} {
		if status != 200 || !strings.Contains(body, says) {
			t.Errorf("%d %s does not say %s", status, body, says)
		}
	}
	want := site.SlotRequest{Slots: []site.SlotRange{{From: 300, To: 349}, {From: 7, To: 7}}, To: 2}
	if fmt.Sprint(f.slots) != fmt.Sprint(want) {
		t.Errorf("asked for %+v, want %+v", f.slots, want)
	}
	order := strings.Replace(move, `"to":2}`, `"to":3,"plan":"def"}`, 1)
	if status, _, body := ask(t, api, "POST", "/v1/slots/apply", operatorKey, order); status != 200 || strings.TrimSpace(body) != `{"plan":"def","ordered":true}` || f.slots.To != 3 {
		t.Errorf("%d %s, asked for %+v", status, body, f.slots)
	}
	stay := `{"slots":[{"from":7,"to":9}]}`
	if status, _, body := ask(t, api, "POST", "/v1/slots/stay", operatorKey, stay); status != 200 || strings.TrimSpace(body) != `{"slots":[{"from":7,"to":9}],"failed":[]}` {
		t.Errorf("%d %s", status, body)
	}
	f.notKept = []site.SlotsNotKept{{Shard: 2, Slots: []site.SlotRange{{From: 410, To: 411}}, Why: errors.New("no leader")}, {Shard: 3, Unknown: true, Why: site.ErrUnknown}}
	_, _, body = ask(t, api, "POST", "/v1/slots/stay", operatorKey, stay)
	if !strings.Contains(body, `{"shard":2,"slots":[{"from":410,"to":411}],"outcome":"not-executed","detail":"no leader"}`) || !strings.Contains(body, `{"shard":3,"slots":[],"outcome":"unknown",`) {
		t.Errorf("two shards that could not be asked: %s", body)
	}
	f.notKept = nil
	for path, text := range map[string]string{"/v1/slots/plan": move, "/v1/slots/apply": order, "/v1/slots/stay": stay} {
		if status, _, _ := ask(t, api, "POST", path, tellerKey, text); status != 403 {
			t.Errorf("a teller at %s: %d", path, status)
		}
	}
	status, _, body = ask(t, api, "GET", "/v1/shards", readerKey, "")
	if status != 200 || !strings.Contains(body, `"moves":[{"slots":{"from":10,"to":12},"from":1,"to":2,"stage":"copies","why":"it waits"}]`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestSlotOrdersThatMakeNoSense(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	for text, field := range map[string]string{
		`{"slots":[{"from":0,"to":1000}],"to":2,"plan":"x"}`: "slots[0].to", `{"slots":[],"to":0}`: "to", `{"slots":[{"from":1,"to":1}],"to":2}`: "plan",
		`{"slots":[{"first":1}],"to":2,"plan":"x"}`: "slots[0].first", `{"slot":1}`: "slot",
	} {
		status, h, body := ask(t, api, "POST", "/v1/slots/apply", operatorKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s", text, status, body)
		}
	}
	for err, code := range map[error]string{site.PlanRefused{Why: "slot 7 is on its way already"}: "not-now", site.ErrPlanStale: "plan-stale"} {
		f.plan = fmt.Errorf("through site 2: %w", err)
		for path, text := range map[string]string{
			"/v1/slots/plan": `{"slots":[{"from":7,"to":7}],"to":2}`, "/v1/slots/apply": `{"slots":[{"from":7,"to":7}],"to":2,"plan":"x"}`,
			"/v1/slots/stay": `{"slots":[{"from":7,"to":7}]}`,
		} {
			status, h, body := ask(t, api, "POST", path, operatorKey, text)
			if p := problemIn(t, h, body); status != 409 || p.Code != code || code == "not-now" && !strings.Contains(p.Detail, "slot 7 is on its way already") {
				t.Errorf("%s, %v: %d %s", path, err, status, body)
			}
		}
	}
}
