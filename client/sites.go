package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"holdfast"
)

// Fleet is the list of sites, and a change of it that is under way.
type Fleet struct {
	List   uint64      `json:"list_version"` // 0: it was never changed
	Change *SiteChange `json:"change"`       // nil: none is under way
	Sites  []Site      `json:"sites"`
}

// SiteChange is a change of the list of sites that is under way.
type SiteChange struct {
	Plan  string          `json:"plan"`
	Kind  string          `json:"kind"` // add, replace, retire, promote, demote
	Site  holdfast.SiteID `json:"site"`
	Old   holdfast.SiteID `json:"old"`
	Doing string          `json:"doing"` // what is done just now, or waited for; "": nobody could tell
	Done  int             `json:"done"`  // shards that are as they should be
	Of    int             `json:"of"`
}

// SiteRequest is what an operator wants of the sites. Name, City, HTTP and Addresses are those of the site that comes.
type SiteRequest struct {
	Kind      string          `json:"kind"` // add, replace, retire, promote, demote
	Site      holdfast.SiteID `json:"site"` // that comes, is retired, or gets or loses its vote
	Old       holdfast.SiteID `json:"old,omitempty"`
	Name      string          `json:"name,omitempty"`
	City      string          `json:"city,omitempty"`
	HTTP      string          `json:"http,omitempty"`
	Addresses []string        `json:"addresses,omitempty"` // where the others reach it, one per carrier
	Learner   bool            `json:"learner,omitempty"`   // it holds a copy and has no vote
}

// Site is the entry of a site; nil: it is not on the list.
func (f *Fleet) Site(id holdfast.SiteID) *Site {
	for i := range f.Sites {
		if f.Sites[i].Site == id {
			return &f.Sites[i]
		}
	}
	return nil
}

// Settled reports whether the list is as a request has asked for, and no change is under way. A site that was asked for the list may not
// have heard of the order yet: then it is not.
func (f *Fleet) Settled(q SiteRequest) bool {
	at := f.Site(q.Site)
	switch {
	case f.Change != nil:
		return false
	case q.Kind == "retire":
		return at == nil
	case q.Kind == "promote":
		return at != nil && at.Role == "voter"
	case q.Kind == "demote":
		return at != nil && at.Role == "learner"
	}
	return at != nil && (q.Old == 0 || f.Site(q.Old) == nil)
}

// SitePlan is what a change would do.
type SitePlan struct {
	Plan   string        `json:"plan"` // what ApplySites asks for
	List   uint64        `json:"list_version"`
	Map    uint64        `json:"map_version"`
	Before Strength      `json:"before"`
	Steps  []PlanStep    `json:"steps"`
	After  Strength      `json:"after"`
	Loads  []PlannedLoad `json:"loads"`
	Copy   uint64        `json:"copy_bytes"`
	Notes  []string      `json:"notes"`
}

// Strength is what the voters of the shards can stand.
type Strength struct {
	Voters   []holdfast.SiteID `json:"voters"`
	Outgoing []holdfast.SiteID `json:"outgoing"` // whose majority is needed as well, while a vote passes on
	Majority int               `json:"majority"`
	Survives []string          `json:"survives"` // sites and cities, each of which may be lost alone
	Stops    []string          `json:"stops"`    // those whose loss alone would stop a shard
}

// PlanStep is one step of a plan.
type PlanStep struct {
	Shard  holdfast.ShardID `json:"shard"`
	Text   string           `json:"text"`
	Copy   uint64           `json:"copy_bytes"`
	During Strength         `json:"during"`
	After  Strength         `json:"after"`
}

// PlannedLoad is what a site leads now and would lead.
type PlannedLoad struct {
	Site   holdfast.SiteID `json:"site"`
	Name   string          `json:"name"`
	Homes  int             `json:"homes"` // shards that will be at home there
	Now    float64         `json:"per_s"`
	After  float64         `json:"after_per_s"`
	Peak   float64         `json:"measured_per_s"` // the most it was measured to lead
	Copies float64         `json:"stored_per_s"`   // that it would store, whoever leads
}

// Fleet asks for the list of sites.
func (c *Client) Fleet(ctx context.Context) (f Fleet, err error) {
	return f, c.get(ctx, "/v1/sites", &f)
}

// PlanSites asks what a change of sites would do. It changes nothing. An *Error with the code not-now says why it is refused.
func (c *Client) PlanSites(ctx context.Context, q SiteRequest) (p SitePlan, err error) {
	return p, c.post(ctx, "/v1/sites/plan", q, &p)
}

// ApplySites orders what a plan has shown, and returns when the order stands in the log; Fleet tells how far it is. An *Error with
// the code plan-stale says that something has changed since. Ordering the same plan again is done and changes nothing.
func (c *Client) ApplySites(ctx context.Context, q SiteRequest, plan string) error {
	return c.post(ctx, "/v1/sites/apply", struct {
		SiteRequest
		Plan string `json:"plan"`
	}{q, plan}, new(struct{}))
}

// Rebuild has the replica of a shard wiped at the one site of this client, so that it joins again: only when that can lose nothing,
// unless force. It asks once.
func (c *Client) Rebuild(ctx context.Context, shard holdfast.ShardID, force bool) error {
	if len(c.sites) != 1 {
		return errors.New("a replica is rebuilt at one site: make a client of that site alone")
	}
	q := &request{
		method: http.MethodPost, path: fmt.Sprintf("/v1/shards/%d/rebuild", shard), key: c.NewID().String(),
		body: fmt.Appendf(nil, `{"force":%t}`, force), alone: true, once: true,
	}
	return c.fetch(ctx, q, new(struct{}))
}

// Trust decides, at the one site of this client, that the state of its replica of a shard is right, when replicas differ and no majority
// has the same. It asks once.
func (c *Client) Trust(ctx context.Context, shard holdfast.ShardID) error {
	if len(c.sites) != 1 {
		return errors.New("the replica of one site is trusted: make a client of that site alone")
	}
	q := &request{
		method: http.MethodPost, path: fmt.Sprintf("/v1/shards/%d/trust", shard), key: c.NewID().String(), body: []byte(`{}`), alone: true, once: true,
	}
	return c.fetch(ctx, q, new(struct{}))
}

// post sends what takes long by its nature and may be repeated.
func (c *Client) post(ctx context.Context, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.fetch(ctx, &request{method: http.MethodPost, path: path, key: c.NewID().String(), body: text, alone: true}, v)
}
