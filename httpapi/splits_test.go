package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/site"
)

func TestSplitsArePlannedOrderedAndGivenUp(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	status, _, body := ask(t, api, "POST", "/v1/shards/2/split/plan", operatorKey, `{}`)
	for _, says := range []string{
		`"plan":"fed"`, `"slots":[{"from":500,"to":665}]`, `"from":2,"to":4`, `"pause_ms":80`, `"home":3,"home_name":"beijing","founders":[1,2,3],"share":0.5`,
		`"loads":[{"site":3,"name":"beijing","homes":2,"per_s":10,"after_per_s":25,`, `"birth_ms":600`,
	} {
		if status != 200 || !strings.Contains(body, says) {
			t.Errorf("%d %s does not say %s", status, body, says)
		}
	}
	if fmt.Sprint(f.split) != fmt.Sprint(site.SplitRequest{Shard: 2}) {
		t.Errorf("asked for %+v", f.split)
	}
	order := `{"slots":[{"from":500,"to":665}],"home":3,"plan":"fed"}`
	want := site.SplitRequest{Shard: 2, Slots: []site.SlotRange{{From: 500, To: 665}}, Home: 3}
	status, _, body = ask(t, api, "POST", "/v1/shards/2/split/apply", operatorKey, order)
	if status != 200 || strings.TrimSpace(body) != `{"plan":"fed","ordered":true}` || fmt.Sprint(f.split) != fmt.Sprint(want) {
		t.Errorf("%d %s, asked for %+v", status, body, f.split)
	}
	status, _, body = ask(t, api, "POST", "/v1/shards/2/split/cancel", operatorKey, `{}`)
	if status != 200 || !strings.Contains(body, `"from":2,"to":4`) || !strings.Contains(body, `"state":"stays"`) {
		t.Errorf("%d %s", status, body)
	}
	status, _, body = ask(t, api, "GET", "/v1/shards", readerKey, "")
	says := `"splits":[{"plan":"fed","from":2,"to":4,"home":3,"slots":[{"from":500,"to":665}],"state":"birth","doing":"waits: site 3 does not answer","moved":0,"of":166}]`
	if status != 200 || !strings.Contains(body, says) {
		t.Errorf("%d %s", status, body)
	}
}

func TestSplitOrdersThatMakeNoSense(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	paths := map[string]string{
		"/v1/shards/2/split/plan": `{}`, "/v1/shards/2/split/apply": `{"slots":[{"from":7,"to":7}],"plan":"x"}`, "/v1/shards/2/split/cancel": `{}`,
	}
	for path, text := range paths {
		if status, _, _ := ask(t, api, "POST", path, tellerKey, text); status != 403 {
			t.Errorf("a teller at %s: %d", path, status)
		}
		bad := strings.Replace(path, "/2/", "/two/", 1)
		if status, h, body := ask(t, api, "POST", bad, operatorKey, text); status != 400 || problemIn(t, h, body).Field != "id" {
			t.Errorf("%s: %d %s", bad, status, body)
		}
		for err, code := range map[error]string{site.PlanRefused{Why: "shard 2 is being split already"}: "not-now", site.ErrPlanStale: "plan-stale"} {
			f.plan = fmt.Errorf("through site 2: %w", err)
			status, h, body := ask(t, api, "POST", path, operatorKey, text)
			if p := problemIn(t, h, body); status != 409 || p.Code != code || code == "not-now" && !strings.Contains(p.Detail, "shard 2 is being split already") {
				t.Errorf("%s, %v: %d %s", path, err, status, body)
			}
		}
		f.plan = nil
	}
	for text, field := range map[string]string{
		`{"slots":[{"from":1,"to":1}]}`: "plan", `{"plan":"x"}`: "slots", `{"slots":[{"from":1,"to":1000}],"plan":"x"}`: "slots[0].to", `{"home":0}`: "home", `{"to":4}`: "to",
	} {
		status, h, body := ask(t, api, "POST", "/v1/shards/2/split/apply", operatorKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s", text, status, body)
		}
	}
}
