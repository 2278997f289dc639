package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/ledger"
)

// What moving slots to another shard would do: which accounts and holds go, what each shard would carry, what has to work meanwhile,
// and how long owners would wait. This file decides; slotorder.go gathers and writes.

// SlotRange is slots one after the other, both ends included.
type SlotRange struct {
	From holdfast.Slot `json:"from"`
	To   holdfast.Slot `json:"to"`
}

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

// slotList are the slots of some ranges, in order, each once.
func slotList(ranges []SlotRange) ([]holdfast.Slot, error) {
	var wanted [holdfast.Slots]bool
	for _, r := range ranges {
		if r.From > r.To || r.To >= holdfast.Slots {
			return nil, refuse("slots %d-%d are not slots one after the other within 0-%d", r.From, r.To, holdfast.Slots-1)
		}
		for slot := r.From; slot <= r.To; slot++ {
			wanted[slot] = true
		}
	}
	var list []holdfast.Slot
	for slot := range wanted {
		if wanted[slot] {
			list = append(list, holdfast.Slot(slot))
		}
	}
	if len(list) == 0 {
		return nil, refuse("no slot is named: a slot is the digits 13 to 15 of an owner number")
	}
	return list, nil
}

// rangesOf puts slots that follow each other together.
func rangesOf(slots []holdfast.Slot) (list []SlotRange) {
	for _, slot := range slots {
		if n := len(list); n > 0 && list[n-1].To+1 == slot {
			list[n-1].To = slot
			continue
		}
		list = append(list, SlotRange{slot, slot})
	}
	return list
}

func inWords(ranges []SlotRange) string {
	all := make([]string, len(ranges))
	for i, r := range ranges {
		all[i] = r.String()
	}
	return strings.Join(all, ", ")
}

// SlotPlan is what moving slots would do.
type SlotPlan struct {
	ID       string // of this request, at this version of the map: what apply asks for
	Map      uint64
	Slots    []SlotRange
	From, To holdfast.ShardID
	Accounts int // that move
	Holds    int // open ones of payers that move
	Shards   []PlannedShard
	Before   Strength // what the owners of these slots need now
	During   Strength // while one of them is on its way
	After    Strength
	Copying  time.Duration // about; payments go on meanwhile
	Pause    time.Duration // of the owners of one slot, about
	Worst    time.Duration // a pause that nobody should wonder about
	Notes    []string      // what an operator should know before going on
}

// PlannedShard is one of the two shards, now and after. Rates are transactions a second as they were measured a moment ago.
type PlannedShard struct {
	Shard    holdfast.ShardID
	Leader   holdfast.SiteID
	Home     holdfast.SiteID
	Name     string // of the site that leads
	Slots    [2]int // now, after
	Accounts [2]int
	Holds    [2]int
	Rate     [2]float64
}

// slotFacts is what a plan is made from.
type slotFacts struct {
	slots    []holdfast.Slot
	to       holdfast.ShardID
	shardMap *ShardMap
	roster   *Roster
	shards   []shardNow // all of them
	sites    []siteNow
	able     map[holdfast.SiteID]bool // of the sites that answer: it knows how to move slots
	gates    ledger.Gates             // of the shard where the slots are
	came     map[holdfast.Slot]time.Time
	now      time.Time
	settle   time.Duration // how long a slot that has come stays
	metas    map[holdfast.ShardID]ledger.Meta
	content  slotContent
	rates    map[holdfast.Slot]float64 // transactions of callers a second that touch a slot
	picture  *picture
	trip     time.Duration // the longest round trip that is measured
}

// slotContent counts what is in the slots that are to move.
type slotContent struct {
	accounts int
	holds    int // by payer
	most     int // of one slot: accounts with open holds
}

// slotCounts is what is in each slot of a shard.
type slotCounts [holdfast.Slots]slotContent

func (c *slotCounts) of(slots []holdfast.Slot) (sum slotContent) {
	for _, slot := range slots {
		sum.accounts += c[slot].accounts
		sum.holds += c[slot].holds
		sum.most = max(sum.most, c[slot].most)
	}
	return sum
}

// slotPlanID binds a request to the version of the map it was made for.
func slotPlanID(slots []holdfast.Slot, to holdfast.ShardID, mapped uint64) string {
	b, err := json.Marshal(struct {
		SlotRequest
		Map uint64
	}{SlotRequest{rangesOf(slots), to}, mapped})
	if err != nil {
		panic(err) // numbers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// moveOf is the id of the move of a slot by a plan: whoever orders the plan again means the same move.
func moveOf(plan string, slot holdfast.Slot) holdfast.ID {
	sum := sha256.Sum256(fmt.Appendf(nil, "holdfast slot move %s %d", plan, slot))
	return holdfast.ID(sum[:16])
}

// source is the shard where the slots are. It refuses what makes no sense for this map.
func (m *ShardMap) source(slots []holdfast.Slot, to holdfast.ShardID) (holdfast.ShardID, error) {
	in := map[holdfast.ShardID][]holdfast.Slot{}
	for _, slot := range slots {
		in[m.ShardOf(slot)] = append(in[m.ShardOf(slot)], slot)
	}
	if there := in[to]; len(there) > 0 {
		return 0, refuse("slots %s are in shard %d already", inWords(rangesOf(there)), to)
	}
	if len(in) > 1 {
		var all []string
		for _, id := range slices.Sorted(maps.Keys(in)) {
			all = append(all, fmt.Sprintf("%s in shard %d", inWords(rangesOf(in[id])), id))
		}
		return 0, refuse("these slots are in several shards: %s; move those of each shard by an order of its own", strings.Join(all, ", "))
	}
	return m.ShardOf(slots[0]), nil
}

// plan works out what a request would do, or why it is refused.
func (f *slotFacts) plan() (p SlotPlan, err error) {
	from, err := f.shardMap.source(f.slots, f.to)
	if err != nil {
		return p, err
	}
	if err := f.fit(from); err != nil {
		return p, err
	}
	p = SlotPlan{
		ID: slotPlanID(f.slots, f.to, f.shardMap.Version), Map: f.shardMap.Version, Slots: rangesOf(f.slots), From: from, To: f.to,
		Accounts: f.content.accounts, Holds: f.content.holds,
		Before: f.needs(from), During: f.needs(from, f.to, mapShard), After: f.needs(f.to),
	}
	share := f.share(from)
	p.Shards = []PlannedShard{f.planned(from, share, -1), f.planned(f.to, share, 1)}
	p.Copying, p.Pause, p.Worst = f.times()
	p.Notes = f.notes(&p)
	return p, nil
}

// fit refuses what cannot be done now.
func (f *slotFacts) fit(from holdfast.ShardID) error {
	if c := f.roster.Change; c != nil {
		return refuse("a change of sites is under way: %s site %d; wait for its end (holdfast site list)", c.Kind, c.Site)
	}
	for _, s := range f.sites {
		switch {
		case s.trouble != "":
			return refuse("site %d %s", s.site, s.trouble)
		case s.answers && !f.able[s.site]:
			return refuse("site %d does not know how to move slots: upgrade it first", s.site)
		}
	}
	for _, id := range []holdfast.ShardID{from, f.to, mapShard} {
		if s := f.shard(id); s == nil || !s.known {
			return refuse("shard %d has no leader that answers", id)
		}
	}
	if !f.shardMap.fitsMoved(f.slots, f.to) {
		return refuse("the shard map has no room for where these slots have been (%d bytes in all): move fewer, or slots that lie side by side and have not moved before", mapRoom)
	}
	for _, slot := range f.slots {
		if err := f.waits(slot, from); err != nil {
			return err
		}
	}
	return nil
}

// waits refuses a slot that cannot leave its shard yet.
func (f *slotFacts) waits(slot holdfast.Slot, from holdfast.ShardID) error {
	if f.gates.Of(slot) != ledger.GateOpen {
		return refuse("slot %d is on its way already: holdfast status shows how far it is", slot)
	}
	if came, lately := f.came[slot]; lately {
		if left := f.settle - f.now.Sub(came); left > 0 {
			return refuse("slot %d has come to shard %d a moment ago, and stays until no old request can be under way any more: try again in %v",
				slot, from, left.Round(time.Second)+time.Second)
		}
	}
	return nil
}

func (f *slotFacts) shard(id holdfast.ShardID) *shardNow {
	for i := range f.shards {
		if f.shards[i].shard == id {
			return &f.shards[i]
		}
	}
	return nil
}

// needs says what may be lost while all of some shards are needed.
func (f *slotFacts) needs(ids ...holdfast.ShardID) Strength {
	var list []shardNow
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		list = append(list, *f.shard(id))
	}
	of := planFacts{picture: f.picture}
	return of.strength(list)
}

// share is how much of what its owners do in a shard the slots are about. Where nobody does anything, it is their share of the accounts.
func (f *slotFacts) share(from holdfast.ShardID) float64 {
	moving, all := 0.0, 0.0
	for slot, rate := range f.rates {
		if f.shardMap.ShardOf(slot) == from {
			all += rate
		}
	}
	for _, slot := range f.slots {
		moving += f.rates[slot]
	}
	if all > 0 {
		return moving / all
	}
	if n := f.metas[from].Accounts; n > 0 {
		return min(1, float64(f.content.accounts)/float64(n))
	}
	return 0
}

// planned is what becomes of one of the shards: sign is -1 where the slots go away, and 1 where they come.
func (f *slotFacts) planned(id holdfast.ShardID, share float64, sign int) PlannedShard {
	now := f.shard(id)
	p := PlannedShard{Shard: id, Leader: now.leader, Home: f.shardMap.Home(id), Name: f.picture.name(now.leader)}
	for slot := range holdfast.Slot(holdfast.Slots) {
		if f.shardMap.ShardOf(slot) == id {
			p.Slots[0]++
		}
	}
	meta := f.metas[id]
	p.Slots[1] = p.Slots[0] + sign*len(f.slots)
	p.Accounts = [2]int{int(meta.Accounts), max(0, int(meta.Accounts)+sign*f.content.accounts)}
	p.Holds = [2]int{int(meta.Holds), max(0, int(meta.Holds)+sign*f.content.holds)}
	moves := share * f.rate(f.shardMap.ShardOf(f.slots[0]))
	p.Rate = [2]float64{f.rate(id), max(0, f.rate(id)+float64(sign)*moves)}
	return p
}

func (f *slotFacts) rate(id holdfast.ShardID) float64 {
	for i := range f.picture.shards {
		if f.picture.shards[i].shard == id {
			return f.picture.shards[i].rate
		}
	}
	return 0
}

// What a move takes beside round trips, as measured: a page of 512 accounts, and the looks and writes of a slot that is shut.
const (
	pageAccounts = 512
	pageTime     = 20 * time.Millisecond
	shutTime     = 40 * time.Millisecond
	ebbTime      = 100 * time.Millisecond // for payments that have left, before a later attempt is made
)

// times says how long copying takes, and how long the owners of one slot wait. While it is shut there are: the entry that shuts it, what has
// changed since, its holds, the entry that decides, and the map; those for another shard go to its leader first. Payments to
// other shards wait from a little before.
func (f *slotFacts) times() (copying, pause, worst time.Duration) {
	trip := max(f.trip, time.Millisecond)
	pages := (f.content.accounts + pageAccounts - 1) / pageAccounts
	copying = time.Duration(max(pages, len(f.slots))) * (2*trip + pageTime)
	last := 1 + (f.content.most+pageAccounts-1)/pageAccounts
	pause = time.Duration(1+2*last+2+2)*trip + shutTime + time.Duration(last-1)*pageTime
	return copying, pause, 2*pause + ebbTime
}

// notes are what an operator should know.
func (f *slotFacts) notes(p *SlotPlan) (list []string) {
	for _, s := range f.sites {
		if !s.answers {
			list = append(list, fmt.Sprintf("site %d does not answer: a release that does not know how to move slots must not start there again", s.site))
		}
	}
	for _, name := range p.During.Stops {
		if !slices.Contains(p.Before.Stops, name) {
			list = append(list, fmt.Sprintf("while a slot is shut, the loss of %s would stop its owners, which it would not now", name))
		}
	}
	if a, b := p.Shards[0], p.Shards[1]; a.Leader != b.Leader {
		list = append(list, fmt.Sprintf("these owners are led from %s now, and from %s then", a.Name, b.Name))
	}
	if len(f.slots) > 1 {
		list = append(list, fmt.Sprintf("the %d slots move one after the other: each owner waits once", len(f.slots)))
	}
	if p.Shards[0].Slots[1] == 0 {
		list = append(list, fmt.Sprintf("shard %d would have no slot left: it keeps its history and answers for it", p.From))
	}
	return list
}
