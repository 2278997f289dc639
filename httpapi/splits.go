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

// splitRequest reads which shard an operator means, which of its slots are to go and where to, and the plan if it is to be applied: then
// the slots are those that it has shown.
func splitRequest(known []string) func(*exchange) (site.SplitRequest, string, error) {
	return func(x *exchange) (q site.SplitRequest, plan string, err error) {
		if q.Shard, err = x.pathShard(); err != nil {
			return q, "", err
		}
		err = x.object(known, func(s *scanner, name string) {
			switch name {
			case "slots":
				q.Slots = s.slotRanges()
			case "home":
				q.Home = holdfast.SiteID(s.integer(1, math.MaxUint16))
			case "plan":
				plan = s.string(maxSiteText)
			}
		})
		if err == nil && plan != "" && len(q.Slots) == 0 {
			err = edgeMalformed.field("slots", "name the slots that the plan has shown: what is ordered is what was looked at")
		}
		return q, plan, err
	}
}

// postSplitCancel gives a split up.
func (a *api) postSplitCancel(ctx context.Context, x *exchange) error {
	q, _, err := splitRequest(nil)(x)
	if err != nil {
		return err
	}
	st, err := a.site.CancelSplit(ctx, q.Shard)
	if err != nil {
		return a.notPlanned(err)
	}
	return x.sendJSON(http.StatusOK, splitBodyOf(&st))
}

func splitPlanBodyOf(p *site.SplitPlan) any {
	return splitPlanBody{
		SlotPlanBody: slotPlanBodyOf(&p.SlotPlan), Home: uint16(p.Home), HomeName: p.HomeName, Founders: numbers(p.Founders), Share: p.Share,
		Loads: planLoadBodies(p.Loads), Birth: wholeMillis(p.Birth), Takes: wholeMillis(p.Takes),
	}
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
