package site

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
)

// This file gathers what plans for slots are made from, orders moves and gives them up, and tells how far they are.

// movesFormat says which moves of slots this release can take part in. A release that leaves it out knows none.
const movesFormat = 1

// PlanSlots works out what moving slots would do. It changes nothing. The error is a [PlanRefused], or why nothing could be worked out.
func (s *Site) PlanSlots(ctx context.Context, q SlotRequest) (SlotPlan, error) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	f, err := s.slotFacts(ctx, q)
	if err != nil {
		return SlotPlan{}, err
	}
	return f.plan()
}

// ApplySlots orders what a plan has shown: it returns when the order stands in the log of the shard where the slots are. From then on
// the fleet moves them by itself, one after the other; [Site.SlotMoves] tells how far that is. [ErrPlanStale]: the map or something about
// the slots has changed since the plan was made. A plan that was ordered already may be ordered again.
func (s *Site) ApplySlots(ctx context.Context, q SlotRequest, plan string) error {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	slots, err := slotList(q.Slots)
	if err != nil {
		return err
	}
	if done, err := s.slotsOrdered(ctx, slots, plan); done || err != nil {
		return err
	}
	f, err := s.slotFacts(ctx, q)
	if err != nil {
		return err
	}
	p, err := f.plan()
	if err != nil {
		return err
	}
	if p.ID != plan {
		return ErrPlanStale
	}
	move := func(slot holdfast.Slot) holdfast.ID { return moveOf(plan, slot) }
	t, blocked, ok := slot.Mark(moveView{s, ctx, directory{f.shardMap}}, slots, p.From, p.To, move)
	if !ok {
		return refuse("slot %d is on its way, or has not quite come: holdfast status shows how far it is", blocked)
	}
	if err := s.stillMoves(ctx); err != nil {
		return err
	}
	out, err := s.proposeOwn(ctx, p.From, &t)
	switch {
	case err != nil || out.Status == holdfast.Done:
		return err
	case out.Status == holdfast.Refused:
		return ErrPlanStale
	}
	return unwritten("the order", out)
}

// slotsOrdered reports whether a plan was ordered: the shard where a slot is or was remembers its last move.
func (s *Site) slotsOrdered(ctx context.Context, slots []holdfast.Slot, plan string) (bool, error) {
	m, err := s.mapNow(ctx)
	if err != nil {
		return false, err
	}
	first := slots[0]
	at := []holdfast.ShardID{m.ShardOf(first)}
	for _, o := range m.been[first] {
		at = append(at, o.Shard)
	}
	for _, id := range at {
		note, _, err := s.noteOf(ctx, id, first, shard.Linearizable)
		if err != nil {
			return false, err
		}
		if note != nil && note.Move == moveOf(plan, first) {
			return true, nil
		}
	}
	return false, nil
}

func (s *Site) mapNow(ctx context.Context) (*ShardMap, error) {
	if err := s.known(mapShard); err != nil {
		return nil, err
	}
	return s.readMap(ctx, shard.Linearizable)
}

// noteOf is what a shard knows of the last move of a slot, and when it was written; nil: nothing.
func (s *Site) noteOf(ctx context.Context, id holdfast.ShardID, of holdfast.Slot, mode shard.ReadMode) (note *slot.Note, at holdfast.Time, err error) {
	err = s.Read(ctx, id, mode, func(v *shard.View) error {
		r, found, err := v.Record(ledger.NoteKey(of))
		if err != nil || !found {
			return err
		}
		n, err := slot.ReadNote(r.Body)
		note, at = &n, r.Changed
		return err
	})
	return note, at, err
}

// settleLeast is how long a slot that has come stays at least: longer than a request may live that its caller gave the most time.
const settleLeast = MaxRequest * 3 / 2

// settles is how long a slot that has come to a shard stays there: until no request that was made for where it was can be under way.
func (s *Site) settles() time.Duration { return max(10*s.cfg.Timing.Request.Std(), settleLeast) }

// slotFacts gathers what a plan is made from.
func (s *Site) slotFacts(ctx context.Context, q SlotRequest) (f *slotFacts, err error) {
	f = &slotFacts{to: q.To, now: time.Now(), settle: s.settles(), metas: map[holdfast.ShardID]ledger.Meta{}}
	if f.slots, err = slotList(q.Slots); err != nil {
		return nil, err
	}
	if f.shardMap, err = s.mapNow(ctx); err != nil {
		return nil, err
	}
	if !f.shardMap.has(q.To) {
		return nil, refuse("there is no shard %d: this fleet has %d", q.To, len(f.shardMap.Homes))
	}
	from, err := f.shardMap.source(f.slots, f.to)
	if err != nil {
		return nil, err
	}
	if f.roster, err = s.readRosterHere(ctx, shard.Linearizable); err != nil {
		return nil, err
	}
	var abouts map[holdfast.SiteID]aboutAnswer
	f.shards, f.sites, abouts = s.fleetNow(ctx, f.roster)
	f.able = map[holdfast.SiteID]bool{}
	for id, a := range abouts {
		f.able[id] = a.Moves >= movesFormat
	}
	f.picture, f.trip = s.paint(s.askVitals(ctx)), s.longestTrip()
	f.rates = s.askSlotRates(ctx)
	if err := s.readSlots(ctx, f, from, f.slots); err != nil {
		return nil, err
	}
	counts, err := s.countSlots(ctx, from, f.slots)
	if err != nil {
		return nil, err
	}
	f.content = counts.of(f.slots)
	return f, nil
}

// readSlots looks at the two shards, if there are two yet. What is read after the first question is at least as new as that.
func (s *Site) readSlots(ctx context.Context, f *slotFacts, from holdfast.ShardID, slots []holdfast.Slot) error {
	for _, id := range []holdfast.ShardID{from, f.to} {
		if !f.shardMap.has(id) {
			continue
		}
		err := s.Read(ctx, id, shard.Linearizable, func(v *shard.View) error {
			f.metas[id] = v.Meta()
			r, found, err := v.Record(ledger.GatesKey)
			if id == from && found && err == nil {
				f.gates, err = ledger.ReadGates(r.Body)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	f.came = map[holdfast.Slot]time.Time{}
	for _, slot := range slots {
		if len(f.shardMap.been[slot]) == 0 {
			continue
		}
		note, at, err := s.noteOf(ctx, from, slot, shard.Stale)
		if err != nil {
			return err
		}
		if note != nil {
			f.came[slot] = at.Std()
		}
	}
	return nil
}

// countSlots counts accounts and holds, a slice at a time, because payments wait meanwhile.
func (s *Site) countSlots(ctx context.Context, from holdfast.ShardID, slots []holdfast.Slot) (counts *slotCounts, err error) {
	var wanted [holdfast.Slots]bool
	for _, slot := range slots {
		wanted[slot] = true
	}
	const slice = 1000
	counts = new(slotCounts)
	return counts, s.Read(ctx, from, shard.Stale, func(v *shard.View) error {
		for next, done := uint32(0), false; !done && ctx.Err() == nil; {
			v.State(func(state *ledger.State) {
				next, done = state.Owned(next, slice, func(id holdfast.AccountID) {
					if !wanted[id.Owner.Slot()] {
						return
					}
					c := &counts[id.Owner.Slot()]
					c.accounts++
					if n := payersHolds(state, id); n > 0 {
						c.holds += n
						c.most++
					}
				})
			})
		}
		return ctx.Err()
	})
}

// payersHolds counts the open holds of which an account is the payer.
func payersHolds(state *ledger.State, id holdfast.AccountID) (n int) {
	if a, ok := state.Account(id); !ok || a.DebitsPending == 0 {
		return 0
	}
	for _, h := range state.HoldsOf(id, 1<<20) {
		if h.Debit == id {
			n++
		}
	}
	return n
}

// longestTrip is the longest round trip to another site, as measured here.
func (s *Site) longestTrip() (trip time.Duration) {
	if s.link == nil {
		return 0
	}
	for _, p := range s.link.Peers() {
		trip = max(trip, p.RTT)
	}
	return trip
}

// SlotsKept is what became of an order to give moves up. Each shard is asked by itself, so it may be done in some and not in others.
type SlotsKept struct {
	Slots  []SlotRange    // that were on their way and will stay where they are
	Failed []SlotsNotKept // by shard: it could not be asked; asking again does no harm
}

// SlotsNotKept are slots of one shard that were to stay.
type SlotsNotKept struct {
	Shard   holdfast.ShardID
	Slots   []SlotRange
	Unknown bool // their moves may have been given up
	Why     error
}

// KeepSlots gives up moves of slots that are on their way and not decided yet, and says which will stay where they are, and which could not
// be asked for. A slot whose move is decided goes on. It refuses when there is nothing to give up; an error means that nothing is known to
// have been given up.
func (s *Site) KeepSlots(ctx context.Context, ranges []SlotRange) (done SlotsKept, err error) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	slots, err := slotList(ranges)
	if err != nil {
		return done, err
	}
	m, err := s.mapNow(ctx)
	if err != nil {
		return done, err
	}
	done = keepEach(m, slots, func(id holdfast.ShardID, list []holdfast.Slot) ([]holdfast.Slot, error) {
		return s.unmark(ctx, m, id, list)
	})
	for _, x := range done.Failed {
		s.log.Warn("moves of slots could not be given up", "shard", x.Shard, "slots", inWords(x.Slots), "err", x.Why)
	}
	switch {
	case len(done.Slots) > 0:
		return done, nil
	case len(done.Failed) > 0:
		var all []error
		for _, x := range done.Failed {
			all = append(all, fmt.Errorf("shard %d: %w", x.Shard, x.Why))
		}
		return done, errors.Join(all...)
	}
	return done, refuse("no move of slots %s can be given up: none is under way, or it is decided and goes on (holdfast status shows it)", inWords(rangesOf(slots)))
}

// keepEach asks every shard for its slots, in order. One that fails keeps nobody from asking the next.
func keepEach(m *ShardMap, slots []holdfast.Slot, unmark func(holdfast.ShardID, []holdfast.Slot) ([]holdfast.Slot, error)) (done SlotsKept) {
	in := map[holdfast.ShardID][]holdfast.Slot{}
	for _, slot := range slots {
		in[m.ShardOf(slot)] = append(in[m.ShardOf(slot)], slot)
	}
	var kept []holdfast.Slot
	for _, id := range slices.Sorted(maps.Keys(in)) {
		stay, err := unmark(id, in[id])
		if err != nil {
			unknown := errors.Is(err, ErrUnknown) || errors.Is(err, shard.ErrLost)
			done.Failed = append(done.Failed, SlotsNotKept{id, rangesOf(in[id]), unknown, err})
		}
		kept = append(kept, stay...)
	}
	slices.Sort(kept)
	done.Slots = rangesOf(kept)
	return done
}

// unmark asks a shard to let its slots stay. The mover changes the same records: what was made of an older look is made anew.
func (s *Site) unmark(ctx context.Context, m *ShardMap, from holdfast.ShardID, slots []holdfast.Slot) ([]holdfast.Slot, error) {
	for {
		if err := s.Read(ctx, from, shard.Linearizable, func(*shard.View) error { return nil }); err != nil {
			return nil, err
		}
		t, stay, ok := slot.Unmark(moveView{s, ctx, directory{m}}, slots, from)
		if !ok {
			return nil, nil
		}
		out, err := s.proposeOwn(ctx, from, &t)
		switch {
		case err != nil:
			return nil, err
		case out.Status == holdfast.Done:
			return stay, nil
		case out.Status != holdfast.Refused:
			return nil, unwritten("the order", out)
		}
	}
}

// SlotMove is slots on their way from one shard to another.
type SlotMove struct {
	Slots    SlotRange
	From, To holdfast.ShardID
	Stage    SlotStage
	Why      string // it does not go on; "": nothing is known to keep it
}

// SlotStage is how far a move is.
type SlotStage string

// Stages of a move, in their order. From StageSettles on it cannot be given up any more.
const (
	StageWaits   SlotStage = "waits"   // another slot of its shard is moving
	StageCopies  SlotStage = "copies"  // accounts are copied, payments go on
	StageDrains  SlotStage = "drains"  // what has left for other shards has to arrive; no more leaves
	StageShut    SlotStage = "shut"    // owners wait
	StageSettles SlotStage = "settles" // it is decided: holds and balances are put in order
	StageStays   SlotStage = "stays"   // it was given up, and is put back
)

// SlotMoves lists the slots that are on their way, as this site knows.
func (s *Site) SlotMoves(ctx context.Context) (list []SlotMove) {
	if !s.running.Load() {
		return nil
	}
	for _, id := range s.ShardIDs() {
		of, err := s.movesOf(ctx, id)
		if err != nil {
			continue // this site's replica cannot be read: others know
		}
		if len(of) > 0 {
			of[0].Why = s.askWhy(ctx, id)
		}
		list = append(list, of...)
	}
	return list
}

// movesOf lists the slots that leave a shard.
func (s *Site) movesOf(ctx context.Context, id holdfast.ShardID) (list []SlotMove, err error) {
	var gates ledger.Gates
	err = s.Read(ctx, id, shard.Stale, func(v *shard.View) error {
		r, found, err := v.Record(ledger.GatesKey)
		if err == nil && found {
			gates, err = ledger.ReadGates(r.Body)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	busy := false
	for _, slot := range gates.Slots() {
		gate := gates.Of(slot)
		if gate != ledger.GateMarked && gate != ledger.GateEbbing && gate != ledger.GateShut {
			continue
		}
		note, _, err := s.noteOf(ctx, id, slot, shard.Stale)
		if err != nil {
			return nil, err
		}
		if note == nil {
			continue
		}
		x := SlotMove{Slots: SlotRange{slot, slot}, From: id, To: note.Other, Stage: s.stageOf(ctx, slot, gate, note, busy)}
		busy = true
		if n := len(list) - 1; n >= 0 && list[n].Slots.To+1 == slot && list[n].To == x.To && list[n].Stage == x.Stage {
			list[n].Slots.To = slot
			continue
		}
		list = append(list, x)
	}
	return list, nil
}

// stageOf tells how far the move of a slot is; busy: another one of its shard comes first.
func (s *Site) stageOf(ctx context.Context, of holdfast.Slot, gate ledger.Gate, note *slot.Note, busy bool) SlotStage {
	there, _, err := s.noteOf(ctx, note.Other, of, shard.Stale)
	decided := err == nil && there != nil && there.Move == note.Move && there.Stage == slot.Here
	switch {
	case decided:
		return StageSettles
	case note.Stage == slot.Unwanted:
		return StageStays
	case gate == ledger.GateShut:
		return StageShut
	case gate == ledger.GateEbbing:
		return StageDrains
	case busy:
		return StageWaits
	}
	return StageCopies
}

// stuck says why the first slot that leaves a shard does not go on.
type stuck struct {
	mu  sync.Mutex
	why map[holdfast.ShardID]string
}

func (k *stuck) note(id holdfast.ShardID, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.why == nil {
		k.why = map[holdfast.ShardID]string{}
	}
	delete(k.why, id)
	if err != nil {
		k.why[id] = err.Error()
	}
}

func (k *stuck) get(id holdfast.ShardID) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.why[id]
}

type stuckRequest struct {
	Shard holdfast.ShardID `json:"shard"`
}

type stuckAnswer struct {
	Why string `json:"why"`
}

// askWhy asks the site that moves the slots of a shard.
func (s *Site) askWhy(ctx context.Context, id holdfast.ShardID) string {
	switch leader := s.board.seat(id).leader; leader {
	case 0:
		return "its shard has no leader"
	case s.cfg.Site:
		return s.moves.stuck.get(id)
	default:
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
		defer cancel()
		a, err := askJSON[stuckAnswer](ctx, s, leader, methodStuck, stuckRequest{id})
		if err != nil {
			return fmt.Sprintf("site %d, which moves it, does not answer", leader)
		}
		return a.Why
	}
}
