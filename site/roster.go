package site

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"holdfast"
)

// The list of the fleet's sites is a record in the log of the first shard, beside the shard map. It says who belongs to the fleet,
// how each is reached, and what each is to be in every shard: it is the target. What each is, stands in the logs of the shards.
// Decision 0010 says why.

// rosterRecord is the record that holds the list. Without it the list follows from the configuration.
const rosterRecord = holdfast.ReservedPrefix + "sites"

// rosterFormat is the version of the text form. A site that reads another one keeps the list it has and says so.
const rosterFormat = 1

// SiteRole is what a site is to be in every shard.
type SiteRole string

const (
	// RoleVoter sites hold a copy that counts.
	RoleVoter SiteRole = "voter"
	// RoleLearner sites hold a copy that does not count: no payment waits for it, and it saves none.
	RoleLearner SiteRole = "learner"
	// RoleLeaving sites are on their way out; when they are out of every shard they are taken off the list.
	RoleLeaving SiteRole = "leaving"
)

// ListedSite is a site of the fleet.
type ListedSite struct {
	Site      holdfast.SiteID `json:"site"`
	Name      string          `json:"name"`
	City      string          `json:"city,omitempty"`
	HTTP      string          `json:"http,omitempty"`
	Addresses []string        `json:"addresses"` // where the others reach it, one per carrier; "" for one that it has not
	Role      SiteRole        `json:"role"`
}

// SiteChange is a change of the list that is under way.
type SiteChange struct {
	Plan string          `json:"plan"`
	Kind string          `json:"kind"` // "add", "replace", "retire", "promote", "demote"
	Site holdfast.SiteID `json:"site"` // that comes, is retired, or gets or loses its vote
	Old  holdfast.SiteID `json:"old,omitempty"`
}

// Roster is the list. It is immutable; changes make a new one.
type Roster struct {
	Version uint64 // of the record; 0: nobody has changed anything, and the list follows from the configuration
	Least   int    // voters that every shard keeps, whatever is ordered
	Sites   []ListedSite
	Change  *SiteChange // nil: none is under way
	Last    string      // plan of the latest change that is over, so that whoever asks for it once more hears that it was done
}

// fewVoters is how many voters a fleet keeps when nothing else is said: with two, the next cable that is cut stops payments.
const fewVoters = 3

// rosterText is the form in the record.
type rosterText struct {
	Format int          `json:"format"`
	Least  int          `json:"least"`
	Sites  []ListedSite `json:"sites"`
	Change *SiteChange  `json:"change,omitempty"`
	Last   string       `json:"last,omitempty"`
}

func (r *Roster) encode() []byte {
	b, err := json.Marshal(rosterText{rosterFormat, r.Least, r.Sites, r.Change, r.Last})
	if err != nil {
		panic(err) // text and numbers only
	}
	return b
}

// readRoster reads a record written by encode.
func readRoster(body []byte, version uint64) (*Roster, error) {
	var text rosterText
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&text); err != nil {
		return nil, fmt.Errorf("record %s, version %d: %w", rosterRecord, version, err)
	}
	if text.Format != rosterFormat {
		return nil, fmt.Errorf("record %s, version %d has format %d, this release knows %d: upgrade this site", rosterRecord, version, text.Format, rosterFormat)
	}
	r := &Roster{Version: version, Least: text.Least, Sites: text.Sites, Change: text.Change, Last: text.Last}
	for i := range r.Sites {
		if s := &r.Sites[i]; s.Site == 0 || i > 0 && s.Site <= r.Sites[i-1].Site {
			return nil, fmt.Errorf("record %s, version %d: site %d is not in order", rosterRecord, version, s.Site)
		}
	}
	return r, nil
}

// find is the entry of a site, nil when it is not listed.
func (r *Roster) find(id holdfast.SiteID) *ListedSite {
	for i := range r.Sites {
		if r.Sites[i].Site == id {
			return &r.Sites[i]
		}
	}
	return nil
}

// role is what a site is to be; one that is not listed is to be gone.
func (r *Roster) role(id holdfast.SiteID) SiteRole {
	if s := r.find(id); s != nil {
		return s.Role
	}
	return RoleLeaving
}

// with are the sites of a role, in order of number.
func (r *Roster) with(role SiteRole) (list []holdfast.SiteID) {
	for _, s := range r.Sites {
		if s.Role == role {
			list = append(list, s.Site)
		}
	}
	return list
}

// clone is a copy that may be changed.
func (r *Roster) clone() *Roster {
	next := *r
	next.Sites = slices.Clone(r.Sites)
	return &next
}

// put enters a site, in order of number.
func (r *Roster) put(s ListedSite) {
	i, found := slices.BinarySearchFunc(r.Sites, s.Site, func(x ListedSite, id holdfast.SiteID) int { return int(x.Site) - int(id) })
	if found {
		r.Sites[i] = s
		return
	}
	r.Sites = slices.Insert(r.Sites, i, s)
}

// finished is the list when the change under way is over: who left is gone, and a fleet that has grown to three voters keeps them.
func (r *Roster) finished() *Roster {
	next := r.clone()
	next.Sites = slices.DeleteFunc(next.Sites, func(s ListedSite) bool { return s.Role == RoleLeaving })
	next.Least = max(next.Least, min(fewVoters, len(next.with(RoleVoter))))
	if next.Change != nil {
		next.Change, next.Last = nil, next.Change.Plan
	}
	return next
}

// peersOf are the other sites as the site of this configuration reaches them. Its own configuration knows best how to reach a site
// that it names; the others it reaches as the list says.
func (r *Roster) peersOf(c *Config) (list []Peer) {
	for _, s := range r.Sites {
		if s.Site == c.Site {
			continue
		}
		p := Peer{Site: s.Site, Name: s.Name, HTTP: s.HTTP, Addresses: s.Addresses}
		for _, named := range c.Peers {
			if named.Site == s.Site {
				p.Addresses, p.HTTP = named.Addresses, cmp.Or(named.HTTP, s.HTTP)
			}
		}
		list = append(list, p)
	}
	return list
}

// spread gives every voter its share of the homes: a shard that is at home at a site that is no voter gets the one with the fewest,
// and while one has two more than another, it gives one up. No other home moves.
func (r *Roster) spread(homes []holdfast.SiteID) []holdfast.SiteID {
	homes = slices.Clone(homes)
	voters := r.with(RoleVoter)
	if len(voters) == 0 {
		return homes
	}
	count := map[holdfast.SiteID]int{}
	for _, h := range homes {
		count[h]++
	}
	fewest := func() holdfast.SiteID {
		return slices.MinFunc(voters, func(a, b holdfast.SiteID) int { return count[a] - count[b] })
	}
	for i, h := range homes {
		if !slices.Contains(voters, h) {
			homes[i] = fewest()
			count[homes[i]]++
		}
	}
	for i := len(homes) - 1; i >= 0; i-- {
		if to := fewest(); count[homes[i]] > count[to]+1 {
			count[homes[i]]--
			homes[i] = to
			count[to]++
		}
	}
	return homes
}
