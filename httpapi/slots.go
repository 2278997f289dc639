package httpapi

import (
	"context"
	"math"
	"net/http"
	"time"

	"holdfast"
	"holdfast/site"
)

// SlotRequestBody is what an operator wants of slots.
type SlotRequestBody struct {
	Slots []slotsBody `json:"slots" doc:"That are to move, all of one shard: the slot of an owner number is its digits 13 to 15"`
	To    uint16      `json:"to" doc:"Number of the shard where they are to be"`
}

type slotApplyBody struct {
	SlotRequestBody
	Plan string `json:"plan" doc:"Id of the plan that was looked at"`
}

type slotStayBody struct {
	Slots []slotsBody `json:"slots" doc:"Whose moves are given up; those that are not under way are left out of account"`
}

type slotKeptBody struct {
	Slots  []slotsBody        `json:"slots" doc:"That were on their way and stay. One whose move was decided meanwhile goes on: /v1/shards shows it"`
	Failed []slotsNotKeptBody `json:"failed" doc:"Each shard is asked by itself: those that could not be. Ask again for their slots"`
}

type slotsNotKeptBody struct {
	Shard   uint16      `json:"shard"`
	Slots   []slotsBody `json:"slots" doc:"That are in the shard and were to stay"`
	Outcome string      `json:"outcome" enum:"not-executed,unknown" doc:"unknown: their moves may have been given up"`
	Detail  string      `json:"detail"`
}

type SlotPlanBody struct {
	Plan     string          `json:"plan" doc:"What apply asks for: it holds for this request as long as the shard map has not changed"`
	Map      uint64          `json:"map_version" doc:"Of the shard map that it is made for"`
	Slots    []slotsBody     `json:"slots"`
	From     uint16          `json:"from" doc:"Shard where they are"`
	To       uint16          `json:"to" doc:"Shard where they are to be"`
	Accounts int             `json:"accounts" doc:"That move"`
	Holds    int             `json:"holds" doc:"Open ones, of payers that move"`
	Shards   []slotShardBody `json:"shards" doc:"The two, now and after"`
	Before   strengthBody    `json:"before" doc:"What the owners need now"`
	During   strengthBody    `json:"during" doc:"While one of the slots is on its way: a majority of each of the two shards and of the first one"`
	After    strengthBody    `json:"after"`
	Copying  float64         `json:"copying_ms" doc:"About how long accounts are copied; payments go on"`
	Pause    float64         `json:"pause_ms" doc:"About how long the owners of one slot wait"`
	Worst    float64         `json:"worst_pause_ms"`
	Notes    []string        `json:"notes" doc:"What to know before going on"`
}

type slotShardBody struct {
	Shard         uint16  `json:"shard"`
	Leader        uint16  `json:"leader"`
	LeaderName    string  `json:"leader_name"`
	Home          uint16  `json:"home"`
	Slots         int     `json:"slots"`
	SlotsAfter    int     `json:"slots_after"`
	Accounts      int     `json:"accounts"`
	AccountsAfter int     `json:"accounts_after"`
	Holds         int     `json:"holds"`
	HoldsAfter    int     `json:"holds_after"`
	Rate          float64 `json:"per_s" doc:"Transactions a second, measured"`
	RateAfter     float64 `json:"after_per_s" doc:"By the share that these slots have of what owners do in the shard"`
}

type slotMoveBody struct {
	Slots slotsBody `json:"slots"`
	From  uint16    `json:"from" doc:"Shard that they leave"`
	To    uint16    `json:"to"`
	Stage string    `json:"stage" enum:"waits,copies,drains,shut,settles,stays" doc:"waits: for another slot of its shard. copies: payments go on. drains: what has left for other shards has to arrive. shut: its owners wait. settles: it is decided, and cannot be given up any more. stays: it was given up, and is put back"`
	Why   string    `json:"why" doc:"What keeps it from going on; empty: nothing that is known"`
}

var (
	slotRequestMembers = []string{"slots", "to"}
	slotApplyMembers   = []string{"slots", "to", "plan"}
	slotStayMembers    = []string{"slots"}
	slotRangeMembers   = []string{"from", "to"}
)

// slotRequest reads which slots an operator means, where they are to be, and the plan if it is to be applied.
func slotRequest(known []string) func(*exchange) (site.SlotRequest, string, error) {
	return func(x *exchange) (q site.SlotRequest, plan string, err error) {
		err = x.object(known, func(s *scanner, name string) {
			switch name {
			case "slots":
				q.Slots = s.slotRanges()
			case "to":
				q.To = holdfast.ShardID(s.integer(1, math.MaxUint16))
			case "plan":
				plan = s.string(maxSiteText)
			}
		})
		return q, plan, err
	}
}

func (s *scanner) slotRanges() (list []site.SlotRange) {
	for range s.elements(holdfast.Slots) {
		list = append(list, s.slotRange())
	}
	return list
}

func (s *scanner) slotRange() (r site.SlotRange) {
	for name := range s.members(slotRangeMembers) {
		switch slot := holdfast.Slot(s.integer(0, holdfast.Slots-1)); name {
		case "from":
			r.From = slot
		case "to":
			r.To = slot
		}
	}
	return r
}

// postSlotStay gives moves up.
func (a *api) postSlotStay(ctx context.Context, x *exchange) error {
	q, _, err := slotRequest(slotStayMembers)(x)
	if err != nil {
		return err
	}
	kept, err := a.site.KeepSlots(ctx, q.Slots)
	if err != nil {
		return a.notPlanned(err)
	}
	b := slotKeptBody{slotsBodies(kept.Slots), []slotsNotKeptBody{}}
	for _, f := range kept.Failed {
		outcome := holdfast.NotExecuted.String()
		if f.Unknown {
			outcome = holdfast.Unknown.String()
		}
		b.Failed = append(b.Failed, slotsNotKeptBody{uint16(f.Shard), slotsBodies(f.Slots), outcome, f.Why.Error()})
	}
	return x.sendJSON(http.StatusOK, b)
}

func slotsBodies(ranges []site.SlotRange) []slotsBody {
	list := make([]slotsBody, len(ranges))
	for i, r := range ranges {
		list[i] = slotsBody{uint16(r.From), uint16(r.To)}
	}
	return list
}

func slotPlanBodyOf(p *site.SlotPlan) SlotPlanBody {
	b := SlotPlanBody{
		Plan: p.ID, Map: p.Map, Slots: slotsBodies(p.Slots), From: uint16(p.From), To: uint16(p.To), Accounts: p.Accounts, Holds: p.Holds,
		Shards: []slotShardBody{}, Before: strengthBodyOf(&p.Before), During: strengthBodyOf(&p.During), After: strengthBodyOf(&p.After),
		Copying: wholeMillis(p.Copying), Pause: wholeMillis(p.Pause), Worst: wholeMillis(p.Worst), Notes: append([]string{}, p.Notes...),
	}
	for i := range p.Shards {
		s := &p.Shards[i]
		b.Shards = append(b.Shards, slotShardBody{
			uint16(s.Shard), uint16(s.Leader), s.Name, uint16(s.Home), s.Slots[0], s.Slots[1], s.Accounts[0], s.Accounts[1],
			s.Holds[0], s.Holds[1], s.Rate[0], s.Rate[1],
		})
	}
	return b
}

// wholeMillis is for what is known about: digits behind the point would promise too much.
func wholeMillis(d time.Duration) float64 { return math.Round(milliseconds(d)) }

// moves lists what is on its way, for the shard map.
func (a *api) moves(ctx context.Context) []slotMoveBody {
	list := []slotMoveBody{}
	for _, m := range a.site.SlotMoves(ctx) {
		list = append(list, slotMoveBody{slotsBody{uint16(m.Slots.From), uint16(m.Slots.To)}, uint16(m.From), uint16(m.To), string(m.Stage), m.Why})
	}
	return list
}
