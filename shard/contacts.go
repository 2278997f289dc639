package shard

import (
	"slices"
	"time"

	"holdfast"
)

const (
	// severedTime is for how long a site has to be silent until it counts as not reached. All that watch a site which dies notice it within
	// less: otherwise whoever notices first would take itself for the one that is cut off.
	severedTime = 750 * time.Millisecond
	// steadyTime is for how long one has to answer until it counts as reached, before those that do not reach it: sites that come back
	// are reached by one before the other.
	steadyTime = 3 * time.Second
)

// Contacts is which other sites answer one site. A site that leads and is not answered by all gives callers there no answers, although it
// commits with the others; one that is answered by more could lead for them all. It is a step function: now is any clock that does not
// jump. Not safe for concurrent use.
type Contacts struct {
	list map[holdfast.SiteID]contact
}

type contact struct {
	answers bool
	since   time.Duration // that it has been so
}

// NewContacts begins with nobody.
func NewContacts() *Contacts { return &Contacts{list: map[holdfast.SiteID]contact{}} }

// Note takes down whether a site answers, which takes the way there and the way back. To be called a few times a second, for each.
func (c *Contacts) Note(now time.Duration, site holdfast.SiteID, answers bool) {
	if old, known := c.list[site]; !known || old.answers != answers {
		c.list[site] = contact{answers, now}
	}
}

// Keep forgets all but these sites.
func (c *Contacts) Keep(sites []holdfast.SiteID) {
	for id := range c.list {
		if !slices.Contains(sites, id) {
			delete(c.list, id)
		}
	}
}

// Reach is what one moment shows of contacts.
type Reach struct {
	Steady  []holdfast.SiteID // have answered for some time: what the others are told
	Held    []holdfast.SiteID // answer, or did until a moment ago
	Missing []holdfast.SiteID // do not answer here, and another one that answers here says that it has them
}

// Look compares what is reached here with what others say that they reach, which is [Reach.Steady] of theirs.
func (c *Contacts) Look(now time.Duration, told func(holdfast.SiteID) []holdfast.SiteID) (r Reach) {
	var others []holdfast.SiteID
	for id, x := range c.list {
		switch {
		case x.answers && (now-x.since >= steadyTime || PlantedReachAtOnce):
			r.Steady = append(r.Steady, id)
			fallthrough
		case x.answers:
			others = append(others, told(id)...)
			fallthrough
		case now-x.since < severedTime:
			r.Held = append(r.Held, id)
		}
	}
	for id := range c.list {
		if !slices.Contains(r.Held, id) && slices.Contains(others, id) {
			r.Missing = append(r.Missing, id)
		}
	}
	slices.Sort(r.Steady)
	slices.Sort(r.Held)
	slices.Sort(r.Missing)
	return r
}
