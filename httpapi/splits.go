package httpapi

import (
	"context"
	"math"
	"net/http"

	"holdfast"
	"holdfast/site"
)

type splitRequestBody struct {
	Slots []slotsBody `json:"slots,omitempty" doc:"That go to the new shard; left out of a plan: about half of what the owners of the shard do. The slot of an owner number is its digits 13 to 15"`
	Home  uint16      `json:"home,omitempty" doc:"Site where the new shard is at home; left out: another one than that of the shard, where the fewest are"`
}

type splitApplyBody struct {
	Slots []slotsBody `json:"slots" doc:"Those of the plan"`
	Home  uint16      `json:"home,omitempty" doc:"If it was given for the plan"`
	Plan  string      `json:"plan" doc:"Id of the plan that was looked at"`
}

type splitPlanBody struct {
	SlotPlanBody
	Home     uint16         `json:"home" doc:"Site where the new shard, to, will be at home"`
	HomeName string         `json:"home_name"`
	Founders []uint16       `json:"founders" doc:"Sites that vote in it from its first moment"`
	Share    float64        `json:"share" doc:"Of what the owners of the shard do, how much is about the slots that go: 0 to 1"`
	Loads    []planLoadBody `json:"loads" doc:"What each site leads, and would lead"`
	Birth    float64        `json:"birth_ms" doc:"About how long it takes until the new shard is there"`
	Takes    float64        `json:"takes_ms" doc:"About how long everything takes; payments go on"`
}

type splitBody struct {
	Plan  string      `json:"plan"`
	From  uint16      `json:"from" doc:"Shard that is split"`
	To    uint16      `json:"to" doc:"Shard that is born"`
	Home  uint16      `json:"home" doc:"Site where that is at home"`
	Slots []slotsBody `json:"slots" doc:"That go from the one to the other"`
	State string      `json:"state" enum:"birth,moves,stays,done,given-up" doc:"birth: the new shard is being born. moves: its slots are on their way. stays: it is being given up. done: what was ordered has been done. given-up: it is over, and was given up"`
	Doing string      `json:"doing" doc:"What is done just now, or waited for; empty when the site that drives it does not answer, and when it is over"`
	Moved int         `json:"moved" doc:"Slots that are in the new shard"`
	Of    int         `json:"of"`
}

var (
	splitRequestMembers = []string{"slots", "home"}
	splitApplyMembers   = []string{"slots", "home", "plan"}
)

// splitRequest reads which shard an operator means, which of its slots are to go and where to, and the plan if it is to be applied.
func (x *exchange) splitRequest(known []string) (q site.SplitRequest, plan string, err error) {
	if q.Shard, err = x.pathShard(); err != nil {
		return q, "", err
	}
	text, err := x.body()
	if err != nil {
		return q, "", err
	}
	s := newScanner(text)
	for name := range s.members(known) {
		switch name {
		case "slots":
			for range s.elements(holdfast.Slots) {
				q.Slots = append(q.Slots, s.slotRange())
			}
		case "home":
			q.Home = holdfast.SiteID(s.integer(1, math.MaxUint16))
		case "plan":
			plan = s.string(maxSiteText)
		}
	}
	return q, plan, s.end()
}

// postSplitPlan shows what splitting a shard would do.
func (a *api) postSplitPlan(ctx context.Context, x *exchange) error {
	q, _, err := x.splitRequest(splitRequestMembers)
	if err != nil {
		return err
	}
	p, err := a.site.PlanSplit(ctx, q)
	if err != nil {
		return a.notPlanned(err)
	}
	return x.sendJSON(http.StatusOK, splitPlanBodyOf(&p))
}

// postSplitApply orders what a plan has shown.
func (a *api) postSplitApply(ctx context.Context, x *exchange) error {
	q, plan, err := x.splitRequest(splitApplyMembers)
	switch {
	case err != nil:
		return err
	case plan == "":
		return edgeMalformed.field("plan", "name the plan that you have looked at: POST /v1/shards/{id}/split/plan makes one")
	case len(q.Slots) == 0:
		return edgeMalformed.field("slots", "name the slots that the plan has shown: what is ordered is what was looked at")
	}
	if err := a.site.ApplySplit(ctx, q, plan); err != nil {
		return a.notPlanned(err)
	}
	return x.sendJSON(http.StatusOK, slotOrderedBody{plan, true})
}

// postSplitCancel gives a split up.
func (a *api) postSplitCancel(ctx context.Context, x *exchange) error {
	q, _, err := x.splitRequest(nil)
	if err != nil {
		return err
	}
	st, err := a.site.CancelSplit(ctx, q.Shard)
	if err != nil {
		return a.notPlanned(err)
	}
	return x.sendJSON(http.StatusOK, splitBodyOf(&st))
}

func splitPlanBodyOf(p *site.SplitPlan) splitPlanBody {
	b := splitPlanBody{
		SlotPlanBody: slotPlanBodyOf(&p.SlotPlan), Home: uint16(p.Home), HomeName: p.HomeName, Founders: numbers(p.Founders), Share: p.Share,
		Loads: []planLoadBody{}, Birth: wholeMillis(p.Birth), Takes: wholeMillis(p.Takes),
	}
	for _, l := range p.Loads {
		b.Loads = append(b.Loads, planLoadBody{uint16(l.Site), l.Name, l.Shards, l.Now, l.After, l.Peak, l.Copies})
	}
	return b
}

func splitBodyOf(s *site.SplitStatus) splitBody {
	return splitBody{s.Plan, uint16(s.From), uint16(s.To), uint16(s.Home), slotsBodies(s.Slots), string(s.State), s.Doing, s.Moved, s.Of}
}

// splits lists what was ordered, for the shard map.
func (a *api) splits(ctx context.Context) []splitBody {
	list := []splitBody{}
	all, err := a.site.ShardSplits(ctx)
	if err != nil { // the replica of the first shard here cannot be read just now: others know
		return list
	}
	for i := range all {
		list = append(list, splitBodyOf(&all[i]))
	}
	return list
}
