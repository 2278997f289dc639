package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
)

// This file gathers what plans for splits are made from, orders them and gives them up, carries them out beside the leader of the first
// shard, and tells how far they are.

// splits is what a site keeps of the splits that it drives.
type splits struct {
	doing atomic.Pointer[splitAt]
}

// splitAt is a split under way, as its driver sees it.
type splitAt struct {
	Plan  string `json:"plan"`
	Doing string `json:"doing"`
}

// splitKey is the record of the order that follows a plan.
func splitKey(plan string) string { return holdfast.ReservedPrefix + "split/" + plan }

// Splits are found by these: all there ever were, and those that are under way.
const (
	splitIndex     = holdfast.ReservedPrefix + "splits"
	openSplitIndex = holdfast.ReservedPrefix + "splits/open"
)

// maxSplits is how many are listed: each bears a shard, or was given up.
const maxSplits = 1000

// change is the record of an order, written over the version that it was read from.
func (x *shardSplit) change() holdfast.RecordChange {
	body, err := json.Marshal(x)
	if err != nil {
		panic(err) // text and numbers only
	}
	c := holdfast.RecordChange{Key: splitKey(x.Plan), Expect: x.version, Body: body, Index: []string{splitIndex}}
	if !x.over() {
		c.Index = append(c.Index, openSplitIndex)
	}
	return c
}

// readSplit reads what change has written.
func readSplit(r *holdfast.Record) (x shardSplit, err error) {
	if err = json.Unmarshal(r.Body, &x); err == nil && x.Format != splitFormat {
		err = fmt.Errorf("format %d, and this release knows %d: upgrade this site", x.Format, splitFormat)
	}
	if err != nil {
		return x, fmt.Errorf("record %s, version %d: %w", r.Key, r.Version, err)
	}
	x.version = r.Version
	return x, nil
}

// splitsBy lists orders by an index, in order of their plans.
func (s *Site) splitsBy(ctx context.Context, index string, mode shard.ReadMode) (list []shardSplit, err error) {
	err = s.Read(ctx, mapShard, mode, func(v *shard.View) error {
		records, err := v.Records(index, "", maxSplits)
		for i := range records {
			x, bad := readSplit(&records[i])
			if bad != nil {
				return bad
			}
			list = append(list, x)
		}
		return err
	})
	return list, err
}

// splitOf is the order that follows a plan; nil: there is none.
func (s *Site) splitOf(ctx context.Context, plan string) (found *shardSplit, err error) {
	err = s.Read(ctx, mapShard, shard.Linearizable, func(v *shard.View) error {
		r, there, err := v.Record(splitKey(plan))
		if err != nil || !there {
			return err
		}
		x, err := readSplit(&r)
		found = &x
		return err
	})
	return found, err
}

// PlanSplit works out what splitting a shard would do. It changes nothing. The error is a [PlanRefused], or why nothing could be worked out.
func (s *Site) PlanSplit(ctx context.Context, q SplitRequest) (SplitPlan, error) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	f, err := s.splitFacts(ctx, q)
	if err != nil {
		return SplitPlan{}, err
	}
	return f.plan()
}

// ApplySplit orders what a plan has shown; the request has to name the slots of the plan. It returns when the order stands in the log of the
// first shard. From then on the fleet carries it out by itself; [Site.ShardSplits] tells how far it is. [ErrPlanStale]: the map has changed
// since the plan was made. A plan that was ordered already may be ordered again.
func (s *Site) ApplySplit(ctx context.Context, q SplitRequest, plan string) error {
	if err := s.known(mapShard); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	if x, err := s.splitOf(ctx, plan); x != nil || err != nil {
		return err
	}
	f, err := s.splitFacts(ctx, q)
	if err != nil {
		return err
	}
	m, r := f.shardMap, f.roster // as they are: a plan is made for the map as it will be
	p, err := f.plan()
	if err != nil {
		return err
	}
	if p.ID != plan {
		return ErrPlanStale
	}
	x := &shardSplit{Format: splitFormat, Plan: p.ID, From: p.From, To: p.To, Home: p.Home, Slots: p.Slots, Stage: splitOrdered}
	_, err = s.announceBirth(ctx, m, r, x.birthID(), x.change())
	if errors.Is(err, ErrMapChanged) { // or somebody else has given the same order just now
		if x, err := s.splitOf(ctx, plan); x != nil || err != nil {
			return err
		}
		return ErrPlanStale
	}
	return err
}

// splitFacts gathers what a plan is made from.
func (s *Site) splitFacts(ctx context.Context, q SplitRequest) (f *splitFacts, err error) {
	f = &splitFacts{from: q.Shard, home: q.Home, splitters: map[holdfast.SiteID]bool{}}
	f.slotFacts = slotFacts{
		now: time.Now(), settle: s.settles(), metas: map[holdfast.ShardID]ledger.Meta{}, able: map[holdfast.SiteID]bool{},
	}
	if len(q.Slots) > 0 {
		if f.asked, err = slotList(q.Slots); err != nil {
			return nil, err
		}
	}
	m, err := s.mapNow(ctx)
	if err != nil {
		return nil, err
	}
	if f.shardMap = m; !m.has(f.from) {
		return nil, refuse("there is no shard %d: this fleet has %d", f.from, len(m.Homes))
	}
	if f.roster, err = s.listed(ctx); err != nil {
		return nil, err
	}
	if f.splits, err = s.splitsBy(ctx, openSplitIndex, shard.Linearizable); err != nil {
		return nil, err
	}
	f.unborn = s.birthAllowed(ctx, m, f.roster)
	var abouts map[holdfast.SiteID]aboutAnswer
	f.shards, f.sites, abouts = s.fleetNow(ctx, f.roster)
	for id, a := range abouts {
		f.able[id], f.splitters[id] = a.Moves >= movesFormat, a.Splits >= splitFormat
	}
	f.picture, f.trip = s.paint(s.askVitals(ctx)), s.longestTrip()
	f.rates = s.askSlotRates(ctx)
	have, _ := slotList([]SlotRange{{0, holdfast.Slots - 1}})
	have = slices.DeleteFunc(have, func(x holdfast.Slot) bool { return m.ShardOf(x) != f.from })
	if err := s.readSlots(ctx, &f.slotFacts, f.from, have); err != nil {
		return nil, err
	}
	f.per, err = s.countSlots(ctx, f.from, have)
	return f, err
}

// CancelSplit gives up the split of a shard that is under way, as far as that is possible still. While the founders of the new shard are not
// named, nothing is left of it. Later that shard is born, and the slots stay whose moves are not decided; those that have come to it are
// there, and can be moved back. It returns how far the split is; the fleet does the rest by itself.
func (s *Site) CancelSplit(ctx context.Context, from holdfast.ShardID) (SplitStatus, error) {
	if err := s.known(mapShard); err != nil {
		return SplitStatus{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	for {
		list, err := s.splitsBy(ctx, openSplitIndex, shard.Linearizable)
		if err != nil {
			return SplitStatus{}, err
		}
		i := slices.IndexFunc(list, func(x shardSplit) bool { return x.From == from })
		if i < 0 {
			return SplitStatus{}, refuse("no split of shard %d is under way: slots that have moved go back by holdfast shard move", from)
		}
		if list[i].Stage == splitUnwanted {
			return s.splitStatus(ctx, &list[i]), nil
		}
		err = s.writeSplit(ctx, list[i].at(splitUnwanted))
		if errors.Is(err, errSplitChanged) {
			continue
		}
		list[i].Stage = splitUnwanted
		return s.splitStatus(ctx, &list[i]), err
	}
}

// errSplitChanged says that an order has come further since it was read. Nothing was changed.
var errSplitChanged = errors.New("the order has come further meanwhile")

// writeSplit writes an order over the version that it was read from.
func (s *Site) writeSplit(ctx context.Context, x *shardSplit) error {
	t := holdfast.Txn{ID: freshID(time.Now()), Records: []holdfast.RecordChange{x.change()}}
	out, err := s.proposeOwn(ctx, mapShard, &t)
	switch {
	case err != nil || out.Status == holdfast.Done:
		return err
	case outdated(out.Code):
		return errSplitChanged
	}
	return fmt.Errorf("the order was not heard of: %s (%s); give it again", out.Status, out.Code)
}

// driveSplits does the next step of each split that is under way, beside the leader of the first shard. busy: there is one.
func (s *Site) driveSplits(ctx context.Context) (busy bool) {
	if !s.host.Leader(mapShard).Self {
		s.splits.doing.Store(nil)
		return false
	}
	list, err := s.splitsBy(ctx, openSplitIndex, shard.Stale)
	if err != nil {
		s.log.Debug("orders to split shards could not be read here", "err", err)
		return false
	}
	if len(list) == 0 {
		s.splits.doing.Store(nil)
	}
	for i := range list {
		s.driveSplit(ctx, &list[i])
	}
	return len(list) > 0
}

func (s *Site) driveSplit(ctx context.Context, x *shardSplit) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	what, err := s.splitStep(ctx, x)
	at := &splitAt{Plan: x.Plan, Doing: what}
	if err != nil {
		at.Doing += " (not yet: " + err.Error() + ")"
	}
	if old := s.splits.doing.Swap(at); old == nil || *old != *at {
		s.log.Info("split of a shard", "shard", x.From, "plan", x.Plan, "doing", at.Doing)
	}
}

// splitStep gathers what is known, and does what is to be done. An error is no harm: the step comes up again.
func (s *Site) splitStep(ctx context.Context, x *shardSplit) (what string, err error) {
	now, err := s.splitNow(ctx, x)
	if err != nil {
		return "looks at the slots", err
	}
	next := x.next(now)
	switch next.kind {
	case splitMark:
		what, err = fmt.Sprintf("orders %d slots to move to shard %d", len(next.slots), x.To), s.markSlots(ctx, x, now.shardMap, next.slots)
	case splitWatch:
		return "slots move", s.writeSplit(ctx, x.at(splitMoving))
	case splitStay:
		what = fmt.Sprintf("asks %d slots to stay", len(next.slots))
		_, err = s.unmark(ctx, now.shardMap, x.From, next.slots)
	case splitAbandon:
		what = "gives the birth up"
		err = s.writeMapWith(ctx, now.shardMap.abandoned(), holdfast.Txn{Records: []holdfast.RecordChange{x.at(splitGivenUp).change()}})
	case splitClose:
		return s.closeSplit(ctx, x, now, next)
	default:
		return next.why, nil
	}
	if err == nil {
		s.event(Event{Kind: EventShardStep, Shard: x.To, Site: s.cfg.Site, Detail: what})
	}
	return what, err
}

// markSlots begins the moves. The order may have been given up since it was read, and whoever does that changes afterwards what the
// transaction is made from: it is made first, and then the order is read once more.
func (s *Site) markSlots(ctx context.Context, x *shardSplit, m *ShardMap, slots []holdfast.Slot) error {
	t, blocked, ok := slot.Mark(moveView{s, ctx, directory{m}}, slots, x.From, x.To, x.moveOf)
	if !ok {
		return fmt.Errorf("slot %d is on its way, or has not quite come", blocked)
	}
	switch now, err := s.splitOf(ctx, x.Plan); {
	case err != nil:
		return err
	case now == nil || now.version != x.version:
		return errSplitChanged
	}
	return s.proposeTo(ctx, x.From, &t)
}

// proposeTo proposes a transaction of a split to a shard. One that was made from an older look is no error: it is made anew.
func (s *Site) proposeTo(ctx context.Context, id holdfast.ShardID, t *holdfast.Txn) error {
	out, err := s.proposeOwn(ctx, id, t)
	if err == nil && out.Status != holdfast.Done {
		err = fmt.Errorf("shard %d: %s (%s)", id, out.Status, out.Code)
	}
	return err
}

// closeSplit ends an order. One that was given up ends only behind a fence: what its driver of before has made, and not proposed yet, would
// mark slots afterwards.
func (s *Site) closeSplit(ctx context.Context, x *shardSplit, now *splitNow, next splitMove) (what string, err error) {
	if what = "ends"; x.Stage == splitUnwanted && now.shardMap.has(x.To) { // before that there was nowhere to move
		t, ok := slot.Fence(moveView{s, ctx, directory{now.shardMap}}, x.From)
		if !ok {
			return what, fmt.Errorf("shard %d cannot be read here", x.From)
		}
		if err := s.proposeTo(ctx, x.From, &t); err != nil {
			return what, err
		}
		if now, err = s.splitNow(ctx, x); err != nil {
			return what, err
		}
		if next = x.next(now); next.kind != splitClose {
			return "slots were marked meanwhile", nil
		}
	}
	end := x.at(next.stage)
	end.Moved = next.moved
	if err := s.writeSplit(ctx, end); err != nil {
		return what, err
	}
	text := fmt.Sprintf("shard %d was split: %d of %d slots are in shard %d now", x.From, end.Moved, len(x.list()), x.To)
	if end.Stage == splitGivenUp {
		text = fmt.Sprintf("the split of shard %d was given up: %d of %d slots are in shard %d", x.From, end.Moved, len(x.list()), x.To)
	}
	s.event(Event{Kind: EventSplit, Shard: x.From, Site: s.cfg.Site, Detail: text})
	return what, nil
}

// list are the slots of an order, in order.
func (x *shardSplit) list() []holdfast.Slot {
	list, _ := slotList(x.Slots) // it was checked before it was ordered
	return list
}

// splitNow looks at everything a step is worked out from.
func (s *Site) splitNow(ctx context.Context, x *shardSplit) (now *splitNow, err error) {
	now = &splitNow{}
	if now.shardMap, err = s.readMap(ctx, shard.Linearizable); err != nil || !now.shardMap.has(x.To) {
		return now, err
	}
	f := &slotFacts{now: time.Now(), settle: s.settles(), to: x.To, shardMap: now.shardMap, metas: map[holdfast.ShardID]ledger.Meta{}}
	slots := x.list()
	known := slots // whose notes are needed; while slots move their gates say enough
	if x.Stage == splitMoving {
		known = nil
	}
	if err := s.readSlots(ctx, f, x.From, known); err != nil {
		return nil, err
	}
	for _, of := range slots {
		gate := f.gates.Of(of)
		at := slotAt{slot: of, leaving: gate == ledger.GateMarked || gate == ledger.GateEbbing || gate == ledger.GateShut}
		if err := f.waits(of, x.From); err != nil {
			at.waits = err.Error()
		}
		if known != nil {
			if err := s.noteSlot(ctx, x, &at); err != nil {
				return nil, err
			}
		}
		now.slots = append(now.slots, at)
	}
	// The map once more, behind the gates: a slot that is not on its way any more stands in it where it is.
	now.shardMap, err = s.readMap(ctx, shard.Linearizable)
	return now, err
}

// noteSlot reads what the shards know of the move of a slot.
func (s *Site) noteSlot(ctx context.Context, x *shardSplit, at *slotAt) (err error) {
	if at.note, _, err = s.noteOf(ctx, x.From, at.slot, shard.Stale); err != nil || !at.ours(x) {
		return err
	}
	there, _, err := s.noteOf(ctx, x.To, at.slot, shard.Stale)
	at.decided = err == nil && there != nil && there.Move == at.note.Move && there.Stage == slot.Here
	return err
}

// homeOfBirth is where the shard of a birth is wanted; 0: nobody has said.
func (s *Site) homeOfBirth(ctx context.Context, b *birth) (home holdfast.SiteID, err error) {
	plan, ours := strings.CutPrefix(b.ID, splitBirth)
	if !ours {
		return 0, nil
	}
	err = s.Read(ctx, mapShard, shard.Stale, func(v *shard.View) error {
		r, there, err := v.Record(splitKey(plan))
		if err != nil || !there {
			return err
		}
		x, err := readSplit(&r)
		home = x.Home
		return err
	})
	return home, err
}

// SplitState is how far a split is.
type SplitState string

// States of a split.
const (
	SplitBirth   SplitState = "birth"    // the new shard is being born
	SplitMoves   SplitState = "moves"    // its slots are on their way
	SplitStays   SplitState = "stays"    // it is being given up
	SplitDone    SplitState = "done"     // what was ordered has been done
	SplitGivenUp SplitState = "given-up" // it is over, and was given up
)

// SplitStatus is a split that was ordered.
type SplitStatus struct {
	Plan     string
	From, To holdfast.ShardID
	Home     holdfast.SiteID // of the new shard
	Slots    []SlotRange
	State    SplitState
	Doing    string // while it is under way: what is done just now, or waited for; "": its driver does not answer
	Moved    int    // slots that are in the new shard
	Of       int
}

// Over reports that nothing happens any more.
func (s *SplitStatus) Over() bool { return s.State == SplitDone || s.State == SplitGivenUp }

// ShardSplits tells of every split that was ordered, in order of the new shards, as far as this site knows.
func (s *Site) ShardSplits(ctx context.Context) (list []SplitStatus, err error) {
	if !s.running.Load() {
		return nil, ErrNotReady
	}
	all, err := s.splitsBy(ctx, splitIndex, shard.Stale)
	for i := range all {
		list = append(list, s.splitStatus(ctx, &all[i]))
	}
	slices.SortStableFunc(list, func(a, b SplitStatus) int { return int(a.To) - int(b.To) })
	return list, err
}

func (s *Site) splitStatus(ctx context.Context, x *shardSplit) SplitStatus {
	slots, m := x.list(), s.ShardMap()
	st := SplitStatus{Plan: x.Plan, From: x.From, To: x.To, Home: x.Home, Slots: x.Slots, Of: len(slots), Moved: x.Moved, State: SplitMoves}
	switch x.Stage {
	case splitDone:
		st.State = SplitDone
	case splitGivenUp:
		st.State = SplitGivenUp
	case splitUnwanted:
		st.State = SplitStays
	case splitOrdered:
		st.State = SplitBirth
	}
	if x.over() {
		return st
	}
	if st.State == SplitBirth && m.has(x.To) {
		st.State = SplitMoves
	}
	for _, of := range slots {
		if m.ShardOf(of) == x.To {
			st.Moved++
		}
	}
	st.Doing = s.askDoing(ctx, x, m)
	return st
}

// askDoing asks the driver of a split what it does.
func (s *Site) askDoing(ctx context.Context, x *shardSplit, m *ShardMap) string {
	if b := m.birth; b != nil && b.ID == x.birthID() && x.Stage != splitUnwanted {
		return s.birthNow(ctx, b).Doing
	}
	at := s.splits.doing.Load()
	if leader := s.board.seat(mapShard).leader; at == nil && leader != 0 && leader != s.cfg.Site {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
		defer cancel()
		at, _ = askJSON[*splitAt](ctx, s, leader, methodSplitAt, struct{}{}) // without an answer there is none
	}
	if at == nil || at.Plan != x.Plan {
		return ""
	}
	return at.Doing
}
