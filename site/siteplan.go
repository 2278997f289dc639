package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// What a change of sites would do, step by step: worked out by the same step function that carries it out (reconcile.go), on the
// same arithmetic that says what a loss would do now (survival.go). This file decides; siteorder.go gathers and writes.

// Kinds of a change of sites.
const (
	SiteAdd     = "add"
	SiteReplace = "replace"
	SiteRetire  = "retire"
	SitePromote = "promote" // a learner becomes a voter
	SiteDemote  = "demote"  // a voter becomes a learner
)

// SiteRequest is what an operator wants. Name, City, HTTP and Addresses are those of the site that comes.
type SiteRequest struct {
	Kind      string          `json:"kind"`
	Site      holdfast.SiteID `json:"site"`          // that comes, is retired, or gets or loses its vote
	Old       holdfast.SiteID `json:"old,omitempty"` // SiteReplace: that goes
	Name      string          `json:"name,omitempty"`
	City      string          `json:"city,omitempty"`
	HTTP      string          `json:"http,omitempty"`
	Addresses []string        `json:"addresses,omitempty"`
	Learner   bool            `json:"learner,omitempty"` // SiteAdd: it holds a copy and has no vote
}

// PlanRefused says why a change of sites is not possible now. Nothing was changed.
type PlanRefused struct{ Why string }

func (e PlanRefused) Error() string { return e.Why }

func refuse(format string, args ...any) error { return PlanRefused{fmt.Sprintf(format, args...)} }

// ErrPlanStale says that what a plan was made for has changed since. Nothing was changed.
var ErrPlanStale = errors.New("the fleet has changed since that plan was made, or the request is another one: look at a new plan")

// SitePlan is what a change would do.
type SitePlan struct {
	ID      string // of this request, at these versions: what apply asks for
	Roster  uint64 // version of the list of sites that it is made for
	Map     uint64 // and of the shard map
	Request SiteRequest
	Before  Strength
	Steps   []PlanStep
	After   Strength
	Loads   []PlannedLoad
	Copy    uint64   // bytes that the site that comes has to fetch, about
	Notes   []string // what an operator should know before going on
}

// Strength is what the voters of a shard can stand; of several shards the weakest.
type Strength struct {
	Voters   []holdfast.SiteID
	Outgoing []holdfast.SiteID // the voters that count as well while a joint change lasts
	Majority int
	Survives []string // single losses of a site or a city after which every shard goes on
	Stops    []string // and those after which some would not
}

// PlanStep is one step, and how the fleet stands when it is done.
type PlanStep struct {
	Shard  holdfast.ShardID
	Text   string
	Copy   uint64   // bytes
	During Strength // while the step lasts
	After  Strength
}

// PlannedLoad is what a site leads now and would lead, by what was measured a moment ago.
type PlannedLoad struct {
	Site   holdfast.SiteID
	Name   string
	Shards int // it is home of, after
	Now    float64
	After  float64
	Peak   float64 // the most it was measured to lead
	Copies float64 // transactions a second that it would store, led by whomever
}

// planFacts is what a plan is made from.
type planFacts struct {
	roster *Roster
	shards []shardNow
	sites  []siteNow
	homes  []holdfast.SiteID
	mapped uint64
	motion motion // of slots, which has to be over
	// reached says for each site that answers which carriers lead from it to the site that comes: an error text, or "".
	reached map[holdfast.SiteID][]string
	picture *picture
	bytes   uint64 // that a site stores
}

// planID binds a request to the versions it was made for.
func planID(q SiteRequest, roster, mapped uint64) string {
	b, err := json.Marshal(struct {
		SiteRequest
		Roster, Map uint64
	}{q, roster, mapped})
	if err != nil {
		panic(err) // text and numbers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// plan works out what a request would do, or why it is refused, and the list as it would be written.
func (f *planFacts) plan(q SiteRequest) (p SitePlan, target *Roster, err error) {
	if target, err = f.target(q); err != nil {
		return p, nil, err
	}
	p = SitePlan{ID: planID(q, f.roster.Version, f.mapped), Roster: f.roster.Version, Map: f.mapped, Request: q}
	target.Change.Plan = p.ID
	if why := f.motion.bars(); why != "" && f.roster.Change == nil { // an addition that does not come may be given up, whatever moves
		return p, nil, refuse("%s", why)
	}
	if err := f.fit(q, target); err != nil {
		return p, nil, err
	}
	f.add(target)
	p.Before = f.strength(f.shards)
	if p.Steps, err = f.steps(target); err != nil {
		return p, nil, err
	}
	p.After = p.Before
	if n := len(p.Steps); n > 0 {
		p.After = p.Steps[n-1].After
	}
	for _, s := range p.Steps {
		p.Copy += s.Copy
	}
	p.Loads, p.Notes = f.loads(target), f.notes(q, target, &p)
	return p, target, nil
}

// target is the list that a request asks for. It refuses what makes no sense for this list.
func (f *planFacts) target(q SiteRequest) (*Roster, error) {
	r := f.roster
	if c := r.Change; c != nil && !c.givenUpBy(q) {
		return nil, refuse("a change is under way already: %s site %d; wait for its end (holdfast site list), or, when the site that "+
			"is added or promoted does not come, retire that one", c.Kind, c.Site)
	}
	next := r.clone()
	next.Change = &SiteChange{Kind: q.Kind, Site: q.Site}
	goes := holdfast.SiteID(0)
	switch q.Kind {
	case SiteAdd, SiteReplace:
		if err := r.admits(q); err != nil {
			return nil, err
		}
		role := RoleVoter
		if q.Learner {
			role = RoleLearner
		}
		if q.Kind == SiteReplace {
			old := r.find(q.Old)
			if old == nil {
				return nil, refuse("site %d is not on the list of sites: there is nothing to replace", q.Old)
			}
			goes, role, next.Change.Old = q.Old, old.Role, q.Old
		}
		next.put(ListedSite{Site: q.Site, Name: q.Name, City: q.City, HTTP: q.HTTP, Addresses: q.Addresses, Role: role})
	case SiteRetire:
		goes = q.Site
	case SitePromote, SiteDemote:
		if err := next.turn(q); err != nil {
			return nil, err
		}
	default:
		return nil, refuse("%q is not one of add, replace, retire, promote, demote", q.Kind)
	}
	if goes != 0 {
		old := next.find(goes)
		if old == nil {
			return nil, refuse("site %d is not on the list of sites", goes)
		}
		old.Role = RoleLeaving
	}
	if n := len(next.with(RoleVoter)); n < r.Least && n < len(r.with(RoleVoter)) {
		return nil, refuse("%d voters would be left, and this fleet keeps %d: add a site first, or replace site %d by another", n, r.Least, q.leaves())
	}
	return next, nil
}

// givenUpBy reports whether a request gives the change under way up: the site that comes, or is to get its vote, does not.
func (c *SiteChange) givenUpBy(q SiteRequest) bool {
	if c.Site != q.Site {
		return false
	}
	return c.Kind == SiteAdd && q.Kind == SiteRetire || c.Kind == SitePromote && (q.Kind == SiteDemote || q.Kind == SiteRetire)
}

// leaves is the site that would not be a voter any more.
func (q *SiteRequest) leaves() holdfast.SiteID {
	if q.Kind == SiteReplace {
		return q.Old
	}
	return q.Site
}

// comes reports that a request names a site which is not on the list yet.
func (q *SiteRequest) comes() bool { return q.Kind == SiteAdd || q.Kind == SiteReplace }

// turn makes a learner a voter, or a voter a learner.
func (r *Roster) turn(q SiteRequest) error {
	s, from, to := r.find(q.Site), RoleLearner, RoleVoter
	if q.Kind == SiteDemote {
		from, to = RoleVoter, RoleLearner
	}
	switch {
	case s == nil:
		return refuse("site %d is not on the list of sites", q.Site)
	case s.Role != from:
		return refuse("%s is a %s already, or on its way out: only a %s can be made a %s", s.Name, s.Role, from, to)
	}
	s.Role = to
	return nil
}

// admits refuses a site that could not be told from another, or not be reached.
func (r *Roster) admits(q SiteRequest) error {
	if q.Site < 1 || q.Site > holdfast.SiteID(MaxPeers+1) {
		return refuse("site %d is not within 1-%d", q.Site, MaxPeers+1)
	}
	if len(r.Sites) > MaxPeers {
		return refuse("there are %d sites, and no fleet has more than %d", len(r.Sites), MaxPeers+1)
	}
	if s := r.find(q.Site); s != nil {
		return refuse("number %d is in use: it is %s", q.Site, s.Name)
	}
	if !plainName(q.Name, maxName) {
		return refuse("name %q is not 1-%d characters a-z, 0-9 and \"-\"", q.Name, maxName)
	}
	if q.City != "" && !plainName(q.City, maxName) {
		return refuse("city %q is not 1-%d characters a-z, 0-9 and \"-\"", q.City, maxName)
	}
	some := false
	for _, a := range q.Addresses {
		if some = some || a != ""; a != "" && !address(a, false) {
			return refuse("address %q is not of the form host:port", a)
		}
	}
	if !some {
		return refuse("no address is given: where do the other sites reach it?")
	}
	for _, s := range r.Sites {
		if s.Name == q.Name {
			return refuse("name %q is in use: it is site %d", q.Name, s.Site)
		}
		for _, a := range q.Addresses {
			if a != "" && slices.Contains(s.Addresses, a) {
				return refuse("address %s is in use: it is that of %s", a, s.Name)
			}
		}
	}
	return nil
}

// mends reports that a request takes a dead voter out for a live one. That is never the wrong thing to do while other voters are dead:
// there are as many voters before, meanwhile and after, and one more of them is at work. Any other change has to wait until all that stay are,
// or two sites that are dead for good would each be in the way of replacing the other.
func (f *planFacts) mends(q SiteRequest) bool {
	return q.Kind == SiteReplace && f.silent(q.Old)
}

// fit refuses what the sites could not do now.
func (f *planFacts) fit(q SiteRequest, target *Roster) error {
	mends := f.mends(q)
	for _, s := range f.sites {
		switch {
		case target.role(s.site) == RoleLeaving:
		case !s.answers && target.role(s.site) == RoleLearner: // nothing waits for it, and it learns of the list when it is back
		case !s.answers && mends: // it is dead as well, and learns of the list when it is back, or is the next to be replaced
		case !s.answers:
			return refuse("%s does not answer: bring it back or replace it first", f.name(s.site))
		case s.trouble != "":
			return refuse("%s %s", f.name(s.site), s.trouble)
		case s.answers && !s.turns && (q.Kind == SitePromote || q.Kind == SiteDemote):
			return refuse("%s does not know how sites get and lose their votes: upgrade it first", f.name(s.site))
		}
	}
	if q.comes() {
		if err := f.reachable(q); err != nil {
			return err
		}
	}
	for i := range f.shards {
		s := &f.shards[i]
		if !s.known {
			return refuse("shard %d has no leader that answers", s.shard)
		}
		if err := f.fitIn(s, q, target); err != nil {
			return err
		}
	}
	return nil
}

// fitIn refuses what one shard could not bear now.
func (f *planFacts) fitIn(s *shardNow, q SiteRequest, target *Roster) error {
	stay, fit, dead := 0, 0, 0
	for _, m := range s.members {
		if m.votes && target.role(m.site) == RoleVoter {
			stay++
			switch {
			case m.fit:
				fit++
			case f.silent(m.site):
				dead++
			}
		}
	}
	if f.mends(q) {
		if fit <= len(s.voters())/2 {
			return refuse("shard %d: only %d of its %d voters are at work: no change of its members could be agreed on", s.shard, fit, len(s.voters()))
		}
		stay -= dead
	}
	takes := q.Kind == SiteRetire || q.Kind == SiteDemote
	if voters := len(target.with(RoleVoter)); fit <= voters/2 && takes {
		return refuse("shard %d would have %d voters, and only %d of them are at work: it would stop", s.shard, voters, fit)
	}
	if !takes && fit < stay {
		return refuse("shard %d: only %d of the %d voters that stay are at work: wait until all are", s.shard, fit, stay)
	}
	if q.Kind != SitePromote {
		return nil
	}
	switch m := s.at(q.Site); {
	case m == nil:
		return refuse("shard %d: %s has no copy of it yet", s.shard, f.name(q.Site))
	case !m.fit:
		return refuse("shard %d: %s has not caught up: %d entries to go; a vote that lags would hold payments up", s.shard, f.name(q.Site), m.lag)
	}
	return nil
}

// reachable refuses a site that some other one could not reach at all.
func (f *planFacts) reachable(q SiteRequest) error {
	for _, s := range f.roster.Sites {
		list, asked := f.reached[s.Site]
		if !asked || s.Site == q.Old {
			continue
		}
		if !slices.Contains(list, "") {
			why := "it shares no carrier with it"
			if len(list) > 0 {
				why = list[0]
			}
			return refuse("%s does not reach site %d: %s", s.Name, q.Site, why)
		}
	}
	return nil
}

// silent reports a site that does not answer.
func (f *planFacts) silent(id holdfast.SiteID) bool {
	return slices.ContainsFunc(f.sites, func(s siteNow) bool { return s.site == id && !s.answers })
}

func (f *planFacts) name(id holdfast.SiteID) string {
	if s := f.roster.find(id); s != nil {
		return s.Name
	}
	return fmt.Sprintf("site %d", id)
}

// add enters the site that comes into the picture, as it is reached now.
func (f *planFacts) add(target *Roster) {
	for _, s := range target.Sites {
		i, known := slices.BinarySearchFunc(f.picture.sites, s.Site, func(x siteFacts, id holdfast.SiteID) int { return int(x.site) - int(id) })
		if known {
			f.picture.sites[i].name, f.picture.sites[i].city = s.Name, s.City
			continue
		}
		facts := siteFacts{site: s.Site, name: s.Name, city: s.City, works: true, fit: true, reaches: map[holdfast.SiteID][]string{}}
		for from, list := range f.reached {
			up := make([]string, len(list))
			for c, why := range list {
				if why == "" {
					up[c] = "up"
				}
			}
			facts.reaches[from] = up // TCP's handshake went both ways
			for j := range f.picture.sites {
				if f.picture.sites[j].site == from {
					f.picture.sites[j].reaches[s.Site] = up
				}
			}
		}
		f.picture.sites = slices.Insert(f.picture.sites, i, facts)
	}
}

// maxSteps is beyond any change: a step or three in each of 256 shards.
const maxSteps = 4 * MaxShards

// steps plays the change through: every step is what the step function says, done at once.
func (f *planFacts) steps(target *Roster) (list []PlanStep, err error) {
	shards := cloneShards(f.shards)
	for range maxSteps {
		m := target.next(shards, nil)
		if m.kind == moveFinish || m.kind == moveNone {
			return list, nil
		}
		if m.kind == moveWait {
			return nil, refuse("%s", m.why)
		}
		s := &shards[slices.IndexFunc(shards, func(s shardNow) bool { return s.shard == m.shard })]
		step := PlanStep{Shard: m.shard, Text: f.words(target, m)}
		before := s.voters()
		if m.kind == moveAdmit {
			step.Copy = f.bytes / uint64(max(len(shards), 1))
		}
		m.play(s)
		if m.kind == movePromote && m.instead != 0 {
			step.During = f.joint(shards, s.shard, before)
		} else {
			step.During = f.strength(shards)
		}
		step.After = f.strength(shards)
		list = append(list, step)
	}
	return nil, refuse("this change does not come to an end: it is a fault of this program")
}

// play changes a shard as a step does, once it has succeeded.
func (m *move) play(s *shardNow) {
	gone := m.instead
	switch m.kind {
	case moveDemote:
		s.at(m.site).votes = false
	case moveAdmit:
		s.members = append(s.members, memberNow{site: m.site, fit: true})
	case movePromote:
		s.at(m.site).votes = true
	case moveHandOver:
		s.leader = m.site
	case moveRemove:
		gone = m.site
	}
	if gone != 0 {
		s.members = slices.DeleteFunc(s.members, func(x memberNow) bool { return x.site == gone })
	}
}

func cloneShards(list []shardNow) []shardNow {
	list = slices.Clone(list)
	for i := range list {
		list[i].members = slices.Clone(list[i].members)
	}
	return list
}

// nameIn is the name of a site that may be new.
func (f *planFacts) nameIn(target *Roster, id holdfast.SiteID) string {
	if s := target.find(id); s != nil {
		return s.Name
	}
	return f.name(id)
}

// words say what a step does.
func (f *planFacts) words(target *Roster, m move) string {
	name := func(id holdfast.SiteID) string { return f.nameIn(target, id) }
	switch {
	case m.kind == moveAdmit:
		return name(m.site) + " copies the shard, without a vote"
	case m.kind == movePromote && m.instead != 0:
		return fmt.Sprintf("%s gets the vote of %s, in one change", name(m.site), name(m.instead))
	case m.kind == movePromote:
		return name(m.site) + " gets a vote"
	case m.kind == moveDemote:
		return name(m.site) + " loses its vote, and keeps its copy"
	case m.kind == moveHandOver:
		return name(m.site) + " takes the lead over"
	}
	return name(m.site) + " is taken out"
}

// strength says what the shards can stand as they are.
func (f *planFacts) strength(shards []shardNow) Strength { return f.joint(shards, 0, nil) }

// joint is strength while one shard counts former voters as well.
func (f *planFacts) joint(shards []shardNow, one holdfast.ShardID, outgoing []holdfast.SiteID) Strength {
	p := *f.picture
	p.shards = nil
	var st Strength
	for i := range shards {
		s := &shards[i]
		facts := shardFacts{shard: s.shard, leader: s.leader, voters: s.voters()}
		if s.shard == one {
			facts.outgoing, st.Outgoing = outgoing, outgoing
		}
		if st.Voters == nil || len(facts.voters) < len(st.Voters) || s.shard == one {
			st.Voters = facts.voters
		}
		p.shards = append(p.shards, facts)
	}
	st.Majority = len(st.Voters)/2 + 1
	voting := slices.Clone(outgoing)
	for i := range p.shards {
		voting = append(voting, p.shards[i].voters...)
	}
	for _, l := range p.losses() {
		if l.kind != "site" && l.kind != "city" || !slices.ContainsFunc(l.sites, func(id holdfast.SiteID) bool { return slices.Contains(voting, id) }) {
			continue
		}
		forecast := p.forecast(l)
		if name := p.describe(&forecast); forecast.Survives {
			st.Survives = append(st.Survives, name)
		} else {
			st.Stops = append(st.Stops, name)
		}
	}
	return st
}

// loads says who would lead what, when every leader is at home.
func (f *planFacts) loads(target *Roster) (list []PlannedLoad) {
	final := target.finished()
	homes, total := final.spread(f.homes), 0.0
	rates := map[holdfast.ShardID]float64{}
	for _, s := range f.picture.shards {
		rates[s.shard] = s.rate
		total += s.rate
	}
	for i := range f.picture.sites {
		s := &f.picture.sites[i]
		l := PlannedLoad{Site: s.site, Name: s.name, Now: s.rate, Peak: s.peak}
		if final.find(s.site) != nil {
			l.Copies = total
		}
		for k, home := range homes {
			if home == s.site {
				l.Shards++
				l.After += rates[holdfast.ShardID(k+1)]
			}
		}
		list = append(list, l)
	}
	return list
}

// notes are what an operator should know.
func (f *planFacts) notes(q SiteRequest, target *Roster, p *SitePlan) (list []string) {
	voters := len(target.with(RoleVoter))
	if was := len(f.roster.with(RoleVoter)); voters%2 == 0 && voters > was {
		list = append(list, fmt.Sprintf("%d voters stand the loss of %d, as %d do, and each payment has to be on one more disk: add another site",
			voters, (voters-1)/2, voters-1))
	}
	if target.role(q.Site) == RoleLearner {
		list = append(list, fmt.Sprintf("%s has no vote then: no payment waits for it, and none is saved by it; it answers reads, and passes on what is to be paid", f.nameIn(target, q.Site)))
	}
	for _, s := range p.Steps {
		lost := slices.DeleteFunc(slices.Concat(s.During.Stops, s.After.Stops), func(name string) bool { return slices.Contains(p.Before.Stops, name) })
		slices.Sort(lost)
		for _, name := range slices.Compact(lost) {
			text := fmt.Sprintf("from \"shard %d: %s\" on, the loss of %s would stop it, which it would not now", s.Shard, s.Text, name)
			if !slices.Contains(p.After.Stops, name) {
				text = fmt.Sprintf("during \"shard %d: %s\", the loss of %s would stop it", s.Shard, s.Text, name)
			}
			list = append(list, text)
		}
	}
	for from, carriers := range f.reached {
		for c, why := range carriers {
			if why != "" {
				list = append(list, fmt.Sprintf("%s does not reach site %d over carrier %d: %s", f.name(from), q.Site, c+1, why))
			}
		}
	}
	for _, s := range f.sites {
		if f.mends(q) && s.site != q.Old && !s.answers && target.role(s.site) == RoleVoter {
			list = append(list, fmt.Sprintf("%s does not answer either: replace it next, or bring it back", f.name(s.site)))
		}
		if q.Kind == SiteReplace && s.site == q.Old && s.answers {
			list = append(list, fmt.Sprintf("%s answers: it is replaced all the same; stop its process when the change is done", f.name(s.site)))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// siteChangeAt is a change under way, as its driver sees it.
type siteChangeAt struct {
	Change SiteChange `json:"change"`
	Doing  string     `json:"doing"`
	Done   int        `json:"done"` // shards
	Of     int        `json:"of"`
	At     time.Time  `json:"at"`
}
