package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/site"
)

func TestSitePlanAndApply(t *testing.T) {
	f := &fake{}
	api := newTestAPI(f)
	add := `{"kind":"add","site":4,"name":"beijing","city":"north","http":"http://10.0.0.4:8080","addresses":["10.0.0.4:7001",""],"learner":true}`
	status, _, body := ask(t, api, "POST", "/v1/sites/plan", operatorKey, add)
	if status != 200 || !strings.Contains(body, `"plan":"abc"`) || !strings.Contains(body, `"text":"beijing gets a vote"`) {
		t.Errorf("%d %s", status, body)
	}
	want := site.SiteRequest{Kind: "add", Site: 4, Name: "beijing", City: "north", HTTP: "http://10.0.0.4:8080", Addresses: []string{"10.0.0.4:7001", ""}, Learner: true}
	if fmt.Sprint(f.asked) != fmt.Sprint(want) {
		t.Errorf("asked for %+v, want %+v", f.asked, want)
	}
	replace := `{"kind":"replace","site":4,"old":3,"name":"beijing","addresses":["10.0.0.4:7001"],"plan":"abc"}`
	if status, _, body := ask(t, api, "POST", "/v1/sites/apply", operatorKey, replace); status != 200 || strings.TrimSpace(body) != `{"plan":"abc","ordered":true}` || f.asked.Old != 3 {
		t.Errorf("%d %s, asked for %+v", status, body, f.asked)
	}
	for _, kind := range []string{"promote", "demote"} {
		status, _, body := ask(t, api, "POST", "/v1/sites/plan", operatorKey, fmt.Sprintf(`{"kind":%q,"site":4}`, kind))
		if want := (site.SiteRequest{Kind: kind, Site: 4}); status != 200 || fmt.Sprint(f.asked) != fmt.Sprint(want) {
			t.Errorf("%d %s: asked for %+v, want %+v", status, body, f.asked, want)
		}
	}
	for path, text := range map[string]string{"/v1/sites/plan": add, "/v1/sites/apply": replace} {
		if status, _, _ := ask(t, api, "POST", path, tellerKey, text); status != 403 {
			t.Errorf("a teller at %s: %d", path, status)
		}
	}
	for text, field := range map[string]string{
		`{"kind":"add","site":0}`: "site", `{"kind":1}`: "kind", `{"addresses":"10.0.0.4:7001"}`: "addresses", `{"kind":"retire","site":4}`: "plan",
		`{"kind":"retire","site":4,"when":"now"}`: "when",
	} {
		status, h, body := ask(t, api, "POST", "/v1/sites/apply", operatorKey, text)
		if p := problemIn(t, h, body); status != 400 || p.Field != field {
			t.Errorf("%s: %d %s", text, status, body)
		}
	}
	for err, code := range map[error]string{site.PlanRefused{Why: "number 4 is in use"}: "not-now", site.ErrPlanStale: "plan-stale"} {
		f.plan = fmt.Errorf("through site 2: %w", err)
		status, h, body := ask(t, api, "POST", "/v1/sites/apply", operatorKey, replace)
		if p := problemIn(t, h, body); status != 409 || p.Code != code || code == "not-now" && !strings.Contains(p.Detail, "number 4 is in use") {
			t.Errorf("%v: %d %s", err, status, body)
		}
	}
	f.plan = fmt.Errorf("the list of sites: %w", site.ErrUnknown)
	for path, text := range map[string]string{"/v1/sites/apply": replace, "/v1/slots/apply": bodies["/v1/slots/apply"], "/v1/slots/stay": bodies["/v1/slots/stay"]} {
		status, h, body := ask(t, api, "POST", path, operatorKey, text)
		if p := problemIn(t, h, body); status != 504 || p.Code != "outcome-unknown" || p.Outcome != "unknown" {
			t.Errorf("%s, and nobody knows: %d %s", path, status, body)
		}
	}
	status, _, body = ask(t, api, "GET", "/v1/sites", readerKey, "")
	if status != 200 || !strings.Contains(body, `"list_version":3`) || !strings.Contains(body, `"doing":"waits"`) {
		t.Errorf("%d %s", status, body)
	}
}
