package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// What splitting a shard would do: which shard is born, where it would be led, which slots with how much of the load go to it, what has to
// work meanwhile, and how long owners would wait. The arithmetic is that of moving slots (slotplan.go), on the fleet as it will be.

// SplitRequest is what an operator wants. Slots and Home are left to the plan when they are not given; applying it needs the slots.
type SplitRequest struct {
	Shard holdfast.ShardID
	Slots []SlotRange     // that go to the new shard
	Home  holdfast.SiteID // of the new shard; 0: the plan chooses
}

// SplitPlan is what splitting a shard would do. The embedded plan is that of the moves into the shard that is born, To; its ID and Map are
// those of the split.
type SplitPlan struct {
	SlotPlan
	Home     holdfast.SiteID // of the shard that is born
	HomeName string
	Founders []holdfast.SiteID // who votes in it from its first moment
	Loads    []PlannedLoad
	Share    float64       // of what the owners of the shard do, how much is about the slots that go
	Birth    time.Duration // about how long it takes until the new shard is there
	Takes    time.Duration // about how long everything takes
}

// splitFacts is what a plan is made from: slotFacts of the map as it will be when the shard is born.
type splitFacts struct {
	slotFacts
	asked     []holdfast.Slot // nil: the plan chooses
	home      holdfast.SiteID // likewise 0
	from      holdfast.ShardID
	per       *slotCounts              // accounts and holds of every slot of the shard
	splits    []shardSplit             // that are under way
	splitters map[holdfast.SiteID]bool // of the sites that answer: it knows how to split shards
	unborn    error                    // why no shard can be born now
}

// splitPlanID binds a request to the versions it was made for.
func splitPlanID(q SplitRequest, mapped, roster uint64) string {
	b, err := json.Marshal(struct {
		Split       SplitRequest
		Map, Roster uint64
	}{q, mapped, roster})
	if err != nil {
		panic(err) // numbers only
	}
	sum := sha256.Sum256(append([]byte("holdfast split "), b...))
	return hex.EncodeToString(sum[:6])
}

// plan works out what a request would do, or why it is refused.
func (f *splitFacts) plan() (p SplitPlan, err error) {
	if err := f.allowed(); err != nil {
		return p, err
	}
	m, home := f.shardMap, f.home
	if home == 0 {
		home = m.homeFor(f.from, f.roster)
	}
	if !slices.Contains(f.roster.with(RoleVoter), home) {
		return p, refuse("site %d has no vote in this fleet: the new shard can be at home at one of %v", home, f.roster.with(RoleVoter))
	}
	if f.slots, err = f.choose(); err != nil {
		return p, err
	}
	f.content = f.per.of(f.slots)
	f.foresee(home)
	if p.SlotPlan, err = f.slotFacts.plan(); err != nil {
		return p, err
	}
	q := SplitRequest{Shard: f.from, Slots: p.Slots, Home: f.home}
	p.ID, p.Home, p.HomeName, p.Founders = splitPlanID(q, m.Version, f.roster.Version), home, f.picture.name(home), f.roster.with(RoleVoter)
	p.Share, p.Loads = f.share(f.from), f.loads(&p)
	p.Birth = birthTime + birthTrips*max(f.trip, time.Millisecond)
	p.Takes = p.Birth + p.Copying + time.Duration(len(f.slots))*p.Pause
	p.Notes = append(f.splitNotes(&p), p.Notes...)
	return p, nil
}

// allowed refuses what cannot be done now, whatever the slots.
func (f *splitFacts) allowed() error {
	for i := range f.splits {
		return refuse("shard %d is being split already, plan %s: wait for its end, or give it up (holdfast shard split %d --cancel)",
			f.splits[i].From, f.splits[i].Plan, f.splits[i].From)
	}
	for _, s := range f.sites {
		if s.answers && s.trouble == "" && !f.splitters[s.site] {
			return refuse("site %d does not know how to split shards: upgrade it first", s.site)
		}
	}
	return f.unborn
}

// choose is which slots go: those that were asked for, or about half of what the owners of the shard do. Without a request those that
// cannot move now stay.
func (f *splitFacts) choose() ([]holdfast.Slot, error) {
	var have []holdfast.Slot
	for s := range holdfast.Slot(holdfast.Slots) {
		if f.shardMap.ShardOf(s) == f.from {
			have = append(have, s)
		}
	}
	if len(have) < 2 {
		return nil, refuse("shard %d has fewer than two slots: there is nothing to divide", f.from)
	}
	if f.asked == nil {
		free := f.free(have)
		if len(free) < 2 {
			return nil, refuse("slots of shard %d are on their way, or have come a moment ago: try again later", f.from)
		}
		return halve(free, f.weight(free)), nil
	}
	for _, s := range f.asked {
		if in := f.shardMap.ShardOf(s); in != f.from {
			return nil, refuse("slot %d is in shard %d, not in shard %d: holdfast status shows which slots each shard has", s, in, f.from)
		}
	}
	if len(f.asked) == len(have) {
		return nil, refuse("these are all slots of shard %d: leave some of them there", f.from)
	}
	return f.asked, nil
}

// free are the slots of a list that can move now.
func (f *splitFacts) free(list []holdfast.Slot) []holdfast.Slot {
	return slices.DeleteFunc(slices.Clone(list), func(s holdfast.Slot) bool { return f.waits(s, f.from) != nil })
}

// weight is by what slots are divided: by what their owners do, as it was measured; where nobody does anything, by accounts.
func (f *splitFacts) weight(list []holdfast.Slot) func(holdfast.Slot) float64 {
	total := 0.0
	for _, s := range list {
		total += f.rates[s]
	}
	if total >= leastRate {
		return func(s holdfast.Slot) float64 { return f.rates[s] }
	}
	return func(s holdfast.Slot) float64 { return float64(f.per[s].accounts) }
}

// leastRate is how many transactions a second say something about a shard.
const leastRate = 1

// foresee puts the fleet in the state in which the slots move: with the new shard, led from home.
func (f *splitFacts) foresee(home holdfast.SiteID) {
	next := *f.shardMap
	next.Homes, next.birth = append(slices.Clone(next.Homes), home), nil
	f.shardMap, f.to = &next, holdfast.ShardID(len(next.Homes))
	born := shardNow{shard: f.to, known: true, leader: home}
	for _, s := range f.roster.Sites {
		if s.Role != RoleLeaving {
			born.members = append(born.members, memberNow{site: s.Site, votes: s.Role == RoleVoter, fit: true})
		}
	}
	f.shards = append(slices.Clone(f.shards), born)
}

// loads is what each site leads now and would lead: the share of the slots that go is led from another site.
func (f *splitFacts) loads(p *SplitPlan) (list []PlannedLoad) {
	goes := p.Shards[0].Rate[0] - p.Shards[0].Rate[1]
	for i := range f.picture.sites {
		s := &f.picture.sites[i]
		l := PlannedLoad{Site: s.site, Name: s.name, Now: s.rate, After: s.rate, Peak: s.peak}
		if s.site == p.Shards[0].Leader {
			l.After = max(0, l.After-goes)
		}
		if s.site == p.Home {
			l.After += goes
		}
		for _, home := range f.shardMap.Homes {
			if home == s.site {
				l.Shards++
			}
		}
		list = append(list, l)
	}
	return list
}

// What a birth takes beside round trips, as measured: most of it is the looks at the map every 250 ms.
const (
	birthTime  = 500 * time.Millisecond
	birthTrips = 10
)

// tooHot is the share of the load above which a slot is worth a word.
const tooHot = 0.5

// splitNotes are what an operator should know of a split, beside what there is to know of its moves.
func (f *splitFacts) splitNotes(p *SplitPlan) (list []string) {
	if now := f.shardMap.Home(f.from); p.Home == now {
		list = append(list, fmt.Sprintf("both shards would be led from %s: the split takes no load off it", p.HomeName))
	}
	for id := range f.shardMap.Homes {
		if id := holdfast.ShardID(id + 1); id != p.To && !slices.Contains(f.shardMap.slots[:], id) {
			list = append(list, fmt.Sprintf("shard %d has no slot: holdfast shard move would use it, and no shard had to be born", id))
		}
	}
	total, hot := 0.0, f.slots[0]
	for s, rate := range f.rates {
		if f.shardMap.ShardOf(s) != f.from {
			continue
		}
		if total += rate; rate > f.rates[hot] {
			hot = s
		}
	}
	if total >= leastRate && f.rates[hot] > tooHot*total {
		list = append(list, fmt.Sprintf("slot %d alone has %.0f %% of what the owners of shard %d do: no split divides that", hot, 100*f.rates[hot]/total, f.from))
	}
	return list
}
