package httpapi

import (
	"math"

	"holdfast"
	"holdfast/site"
)

// SiteRequestBody is what an operator wants of the sites.
type SiteRequestBody struct {
	Kind      string   `json:"kind" enum:"add,replace,retire,promote,demote" doc:"replace: the new site takes the place of another, in one change of members a shard; promote: a learner gets its vote; demote: a voter loses it, and stays as a learner"`
	Site      uint16   `json:"site" doc:"Number of the site that comes, is retired, or gets or loses its vote"`
	Old       uint16   `json:"old,omitempty" doc:"replace: number of the site that goes"`
	Name      string   `json:"name,omitempty" doc:"Of the site that comes" example:"beijing"`
	City      string   `json:"city,omitempty" doc:"Of the site that comes: sites of one city are expected to fail together once" example:"beijing"`
	HTTP      string   `json:"http,omitempty" doc:"Base URL of its API"`
	Addresses []string `json:"addresses,omitempty" doc:"Where the other sites reach the one that comes: one address per carrier"`
	Learner   bool     `json:"learner,omitempty" doc:"add: it holds a copy and has no vote"`
}

type siteApplyBody struct {
	SiteRequestBody
	Plan string `json:"plan" doc:"Id of the plan that was looked at"`
}

type sitePlanBody struct {
	Plan   string         `json:"plan" doc:"What apply asks for: it holds for this request as long as nothing has changed"`
	List   uint64         `json:"list_version" doc:"Of the list of sites that it is made for"`
	Map    uint64         `json:"map_version" doc:"Of the shard map that it is made for"`
	Before strengthBody   `json:"before"`
	Steps  []planStepBody `json:"steps" doc:"In this order, one after the other"`
	After  strengthBody   `json:"after"`
	Loads  []planLoadBody `json:"loads" doc:"What each site leads, and would lead"`
	Copy   uint64         `json:"copy_bytes" doc:"That the site that comes has to fetch, about"`
	Notes  []string       `json:"notes" doc:"What to know before going on"`
}

type strengthBody struct {
	Voters   []uint16 `json:"voters" doc:"Of a shard; when the shards differ, of the one with the fewest"`
	Outgoing []uint16 `json:"outgoing" doc:"Voters whose majority is needed as well, while a vote passes from one site to another"`
	Majority int      `json:"majority" doc:"How many of the voters have to store a payment"`
	Survives []string `json:"survives" doc:"Sites and cities, each of which may be lost alone"`
	Stops    []string `json:"stops" doc:"Sites and cities whose loss alone would stop a shard"`
}

type planStepBody struct {
	Shard  uint16       `json:"shard"`
	Text   string       `json:"text"`
	Copy   uint64       `json:"copy_bytes"`
	During strengthBody `json:"during"`
	After  strengthBody `json:"after"`
}

type planLoadBody struct {
	Site   uint16  `json:"site"`
	Name   string  `json:"name"`
	Homes  int     `json:"homes" doc:"Shards that will be at home there"`
	Now    float64 `json:"per_s" doc:"Transactions a second that it leads now"`
	After  float64 `json:"after_per_s" doc:"That it would lead"`
	Peak   float64 `json:"measured_per_s" doc:"The most that it was ever measured to lead"`
	Copies float64 `json:"stored_per_s" doc:"That it would store, whoever leads"`
}

type siteChangeBody struct {
	Plan  string `json:"plan"`
	Kind  string `json:"kind" enum:"add,replace,retire,promote,demote"`
	Site  uint16 `json:"site"`
	Old   uint16 `json:"old,omitempty"`
	Doing string `json:"doing" doc:"What is done just now, or waited for; empty when the site that drives it does not answer"`
	Done  int    `json:"done" doc:"Shards that are as they should be"`
	Of    int    `json:"of"`
}

var (
	siteRequestMembers = []string{"kind", "site", "old", "name", "city", "http", "addresses", "learner"}
	siteApplyMembers   = append(siteRequestMembers[:len(siteRequestMembers):len(siteRequestMembers)], "plan")
)

// Bounds of texts that name a site; the site itself is stricter.
const (
	maxSiteText  = 200
	maxAddresses = site.MaxCarriers
)

// siteRequest reads what an operator wants of the sites, and the plan if it is to be applied.
func siteRequest(known []string) func(*exchange) (site.SiteRequest, string, error) {
	return func(x *exchange) (q site.SiteRequest, plan string, err error) {
		err = x.object(known, func(s *scanner, name string) {
			switch name {
			case "kind":
				q.Kind = s.string(maxSiteText)
			case "site":
				q.Site = holdfast.SiteID(s.integer(1, math.MaxUint16))
			case "old":
				q.Old = holdfast.SiteID(s.integer(1, math.MaxUint16))
			case "name":
				q.Name = s.string(maxSiteText)
			case "city":
				q.City = s.string(maxSiteText)
			case "http":
				q.HTTP = s.string(maxSiteText)
			case "addresses":
				for range s.elements(maxAddresses) {
					q.Addresses = append(q.Addresses, s.string(maxSiteText))
				}
			case "learner":
				q.Learner = s.boolean()
			case "plan":
				plan = s.string(maxSiteText)
			}
		})
		return q, plan, err
	}
}

func sitePlanBodyOf(p *site.SitePlan) any {
	b := sitePlanBody{
		Plan: p.ID, List: p.Roster, Map: p.Map, Before: strengthBodyOf(&p.Before), After: strengthBodyOf(&p.After), Copy: p.Copy,
		Steps: []planStepBody{}, Loads: planLoadBodies(p.Loads), Notes: append([]string{}, p.Notes...),
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		b.Steps = append(b.Steps, planStepBody{uint16(s.Shard), s.Text, s.Copy, strengthBodyOf(&s.During), strengthBodyOf(&s.After)})
	}
	return b
}

func planLoadBodies(loads []site.PlannedLoad) []planLoadBody {
	list := []planLoadBody{}
	for _, l := range loads {
		list = append(list, planLoadBody{uint16(l.Site), l.Name, l.Shards, l.Now, l.After, l.Peak, l.Copies})
	}
	return list
}

func strengthBodyOf(s *site.Strength) strengthBody {
	return strengthBody{
		numbers(s.Voters), numbers(s.Outgoing), s.Majority, append([]string{}, s.Survives...), append([]string{}, s.Stops...),
	}
}

func siteChangeBodyOf(c *site.SiteChangeStatus) *siteChangeBody {
	if c == nil {
		return nil
	}
	return &siteChangeBody{c.Plan, c.Kind, uint16(c.Site), uint16(c.Old), c.Doing, c.Done, c.Of}
}
