package client

import (
	"context"
	"fmt"

	"holdfast"
)

// SlotRange is slots one after the other, both ends included. The slot of an owner number is its digits 13 to 15.
type SlotRange struct {
	From holdfast.Slot `json:"from"`
	To   holdfast.Slot `json:"to"`
}

// String writes "300-349", or "300" for one slot.
func (r SlotRange) String() string {
	if r.From == r.To {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// SlotRequest is what an operator wants: slots that are in one shard, and the shard where they are to be.
type SlotRequest struct {
	Slots []SlotRange      `json:"slots"`
	To    holdfast.ShardID `json:"to"`
}

// SlotPlan is what moving slots would do.
type SlotPlan struct {
	Plan     string           `json:"plan"` // what ApplySlots asks for
	Map      uint64           `json:"map_version"`
	Slots    []SlotRange      `json:"slots"`
	From     holdfast.ShardID `json:"from"`
	To       holdfast.ShardID `json:"to"`
	Accounts int              `json:"accounts"` // that move
	Holds    int              `json:"holds"`    // open ones, of payers that move
	Shards   []PlannedShard   `json:"shards"`   // the two, now and after
	Before   Strength         `json:"before"`   // what the owners need now
	During   Strength         `json:"during"`   // while one of the slots is on its way
	After    Strength         `json:"after"`
	Copying  float64          `json:"copying_ms"` // about; payments go on
	Pause    float64          `json:"pause_ms"`   // of the owners of one slot, about
	Worst    float64          `json:"worst_pause_ms"`
	Notes    []string         `json:"notes"`
}

// PlannedShard is one of the two shards, now and after.
type PlannedShard struct {
	Shard         holdfast.ShardID `json:"shard"`
	Leader        holdfast.SiteID  `json:"leader"`
	LeaderName    string           `json:"leader_name"`
	Home          holdfast.SiteID  `json:"home"`
	Slots         int              `json:"slots"`
	SlotsAfter    int              `json:"slots_after"`
	Accounts      int              `json:"accounts"`
	AccountsAfter int              `json:"accounts_after"`
	Holds         int              `json:"holds"`
	HoldsAfter    int              `json:"holds_after"`
	Rate          float64          `json:"per_s"` // transactions a second, measured
	RateAfter     float64          `json:"after_per_s"`
}

// SlotMove is slots on their way from one shard to another.
type SlotMove struct {
	Slots SlotRange        `json:"slots"`
	From  holdfast.ShardID `json:"from"`
	To    holdfast.ShardID `json:"to"`
	Stage string           `json:"stage"` // waits, copies, drains, shut, settles (decided), stays (given up)
	Why   string           `json:"why"`   // what keeps it from going on; "": nothing that is known
}

// ShardMap is the shards as the answering site sees them, and what is on its way between them.
type ShardMap struct {
	Version uint64       `json:"map_version"` // 0: it was never changed
	Shards  []Shard      `json:"shards"`
	Moves   []SlotMove   `json:"moves"`
	Splits  []ShardSplit `json:"splits"` // that were ordered, those that are over too
}

// ShardMap asks for the shards and for the slots that move between them.
func (c *Client) ShardMap(ctx context.Context) (m ShardMap, err error) {
	return m, c.get(ctx, "/v1/shards", &m)
}

// PlanSlots asks what moving slots would do. It changes nothing. An *Error with the code not-now says why it is refused.
func (c *Client) PlanSlots(ctx context.Context, q SlotRequest) (p SlotPlan, err error) {
	return p, c.post(ctx, "/v1/slots/plan", q, &p)
}

// ApplySlots orders what a plan has shown, and returns when the order stands in the log; ShardMap tells how far it is. An *Error with
// the code plan-stale says that the map has changed since. Ordering the same plan again is done and changes nothing.
func (c *Client) ApplySlots(ctx context.Context, q SlotRequest, plan string) error {
	return c.post(ctx, "/v1/slots/apply", struct {
		SlotRequest
		Plan string `json:"plan"`
	}{q, plan}, new(struct{}))
}

// SlotsKept is what became of an order to give moves up. Each shard is asked by itself.
type SlotsKept struct {
	Slots  []SlotRange    `json:"slots"`  // that were on their way and stay
	Failed []SlotsNotKept `json:"failed"` // ask again for these
}

// SlotsNotKept are slots of a shard that could not be asked.
type SlotsNotKept struct {
	Shard   holdfast.ShardID `json:"shard"`
	Slots   []SlotRange      `json:"slots"`
	Outcome string           `json:"outcome"` // not-executed; or unknown: their moves may have been given up
	Detail  string           `json:"detail"`
}

// KeepSlots gives up moves that are not decided yet, and says which slots stay. Without an error some stay; of others it may have failed.
func (c *Client) KeepSlots(ctx context.Context, slots []SlotRange) (kept SlotsKept, err error) {
	return kept, c.post(ctx, "/v1/slots/stay", map[string]any{"slots": slots}, &kept)
}
