package client

import (
	"context"
	"fmt"

	"holdfast"
)

// SplitRequest is what an operator wants: a shard that is to be split.
type SplitRequest struct {
	Slots []SlotRange     `json:"slots,omitempty"` // that go to the new shard; none: the plan chooses. Applying it needs those of the plan
	Home  holdfast.SiteID `json:"home,omitempty"`  // of the new shard; 0: the plan chooses
}

// SplitPlan is what splitting a shard would do: a shard To is born, and slots move to it from shard From.
type SplitPlan struct {
	SlotPlan
	Home     holdfast.SiteID   `json:"home"` // of the new shard
	HomeName string            `json:"home_name"`
	Founders []holdfast.SiteID `json:"founders"` // who vote in it
	Share    float64           `json:"share"`    // of what the owners of the shard do, how much is about the slots that go
	Loads    []PlannedLoad     `json:"loads"`
	Birth    float64           `json:"birth_ms"` // about how long it takes until the new shard is there
	Takes    float64           `json:"takes_ms"` // about how long everything takes
}

// ShardSplit is a split that was ordered.
type ShardSplit struct {
	Plan  string           `json:"plan"`
	From  holdfast.ShardID `json:"from"`
	To    holdfast.ShardID `json:"to"`   // that is born
	Home  holdfast.SiteID  `json:"home"` // of that
	Slots []SlotRange      `json:"slots"`
	State string           `json:"state"` // birth, moves, stays (being given up), done, given-up
	Doing string           `json:"doing"` // what is done just now, or waited for; "": nobody could tell, or it is over
	Moved int              `json:"moved"` // slots that are in the new shard
	Of    int              `json:"of"`
}

// Over reports that nothing happens any more.
func (s *ShardSplit) Over() bool { return s.State == "done" || s.State == "given-up" }

// PlanSplit asks what splitting a shard would do. It changes nothing. An *Error with the code not-now says why it is refused.
func (c *Client) PlanSplit(ctx context.Context, shard holdfast.ShardID, q SplitRequest) (p SplitPlan, err error) {
	return p, c.post(ctx, fmt.Sprintf("/v1/shards/%d/split/plan", shard), q, &p)
}

// ApplySplit orders what a plan has shown: the request names the slots of the plan. It returns when the order stands in the log; ShardMap
// tells how far it is. An *Error with the code plan-stale says that something has changed since. Ordering the same plan again is done
// and changes nothing.
func (c *Client) ApplySplit(ctx context.Context, shard holdfast.ShardID, q SplitRequest, plan string) error {
	return c.post(ctx, fmt.Sprintf("/v1/shards/%d/split/apply", shard), struct {
		SplitRequest
		Plan string `json:"plan"`
	}{q, plan}, new(struct{}))
}

// CancelSplit gives the split of a shard up, as far as that is possible still, and returns how far it is: the fleet does the rest by itself.
func (c *Client) CancelSplit(ctx context.Context, shard holdfast.ShardID) (s ShardSplit, err error) {
	return s, c.post(ctx, fmt.Sprintf("/v1/shards/%d/split/cancel", shard), struct{}{}, &s)
}
