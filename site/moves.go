package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/transit"
)

// moves carries slots to other shards: for every shard one goroutine, which steps a slot.Mover while the shard is led from here. It
// is woken when there may be something to do: a fleet in which no slot moves pays nothing for those that could.
type moves struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	stir    stir
	carters []*carter
}

// carter is who moves the slots of one shard.
type carter struct {
	shard holdfast.ShardID
	wake  chan struct{}            // of one place
	idle  atomic.Pointer[moveMark] // where it found nothing to do; nil: it has to look
}

// moveMark is a state of a shard as its leader sees it.
type moveMark struct{ term, applied uint64 }

const (
	moveIdle     = 20 * time.Millisecond // between two looks whether a slot is to move
	moveBusy     = 2 * time.Millisecond  // between two looks while one does
	slotMoveWait = 3 * time.Second       // for an answer
	lookAfter    = 5 * time.Millisecond  // after an answer "moved"
)

func (s *Site) startMoves(context.Context) error {
	if s.cfg.Shards == 1 {
		return nil
	}
	var ctx context.Context
	ctx, s.moves.cancel = context.WithCancel(context.Background())
	for _, id := range s.ShardIDs() {
		c := &carter{shard: id, wake: make(chan struct{}, 1)}
		s.moves.carters = append(s.moves.carters, c)
		s.moves.done.Go(func() { s.runMoves(ctx, c) })
	}
	s.moves.done.Go(func() { s.wakeMovers(ctx) })
	return nil
}

func (s *Site) stopMoves(context.Context) error {
	if s.moves.cancel != nil {
		s.moves.cancel()
		s.moves.done.Wait()
	}
	return nil
}

// wakeMovers wakes those whose shard is led here and has changed since they found nothing to do.
func (s *Site) wakeMovers(ctx context.Context) {
	timer := time.NewTimer(moveIdle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !s.moves.stir.wait(ctx) {
			return
		}
		timer.Reset(moveIdle)
		for _, c := range s.moves.carters {
			now, leads := s.moveMark(c.shard)
			if idle := c.idle.Load(); !leads || idle != nil && *idle == now {
				continue
			}
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
}

func (s *Site) moveMark(id holdfast.ShardID) (m moveMark, leads bool) {
	lead := s.host.Leader(id)
	return moveMark{lead.Term, s.host.Applied(id)}, lead.Self
}

// runMoves steps the mover of a shard. Every reign gets a new one.
func (s *Site) runMoves(ctx context.Context, c *carter) {
	var mover *slot.Mover
	var term uint64
	var told error
	timer := time.NewTimer(moveIdle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		now, leads := s.moveMark(c.shard)
		if !leads {
			mover = nil
			continue
		}
		if mover == nil || term != now.term {
			mover, term, told = slot.New(slot.Config{Shard: c.shard, Wait: holdfast.Time(2 * slotMoveWait)}), now.term, nil
		}
		if pause := s.stepMove(ctx, c.shard, mover); pause > 0 {
			c.idle.Store(nil)
			timer.Reset(pause)
		} else {
			c.idle.Store(&now) // as it was before the step: what came meanwhile is looked at
		}
		if err := mover.Err(); err != nil && told == nil {
			told = err
			s.log.Warn("a slot does not move", "shard", c.shard, "err", err)
		}
	}
}

// stepMove does what is due, and says how long to wait until the next step; 0: until something has changed, for no slot of the shard
// has ever moved.
func (s *Site) stepMove(ctx context.Context, id holdfast.ShardID, mover *slot.Mover) time.Duration {
	v := moveView{s, ctx, directory{s.ShardMap()}}
	work := mover.Step(s.courierTime(), v)
	if work.Proposal == nil && work.Flip == nil {
		busy, ever := false, true
		v.State(id, func(state *ledger.State) { busy, ever = underWay(state) })
		switch {
		case busy:
			return moveBusy
		case ever:
			return moveIdle
		}
		return 0
	}
	var both sync.WaitGroup
	if f := work.Flip; f != nil {
		both.Go(func() {
			if err := s.flip(ctx, f); err != nil && ctx.Err() == nil {
				s.log.Warn("the shard map could not be changed", "slot", f.Slot, "err", err)
			}
		})
	}
	if p := work.Proposal; p != nil {
		both.Go(func() {
			with, cancel := context.WithTimeout(ctx, slotMoveWait)
			defer cancel()
			out, err := s.proposeOwn(with, p.To, &p.Txn)
			if err != nil {
				out = holdfast.Outcome{ID: p.Txn.ID}
			}
			mover.Answered(s.courierTime(), p, out)
		})
	}
	both.Wait()
	return moveBusy
}

// underWay reports that a slot is leaving, and whether any has ever moved.
func underWay(state *ledger.State) (leaves, ever bool) {
	g, _ := state.Gates()
	slots := g.Slots()
	return slices.ContainsFunc(slots, func(slot holdfast.Slot) bool {
		return g.Of(slot) == ledger.GateEbbing || g.Of(slot) == ledger.GateShut || g.Of(slot) == ledger.GateMarked
	}), len(slots) > 0
}

// flip writes into the map where a slot is now, unless it stands there.
func (s *Site) flip(ctx context.Context, f *slot.Flip) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	for mode := shard.Stale; ; mode = shard.Linearizable { // owners wait: what is known here is mostly the newest
		old, err := s.readMap(ctx, mode)
		if err != nil {
			return err
		}
		if old.ShardOf(f.Slot) == f.To {
			return s.refreshMap(ctx)
		}
		next := *old
		next.been = map[holdfast.Slot][]transit.Origin{}
		for slot, list := range old.been {
			next.been[slot] = list
		}
		next.slots[f.Slot], next.been[f.Slot] = f.To, f.Origins
		if err := s.writeMap(ctx, &next); !errors.Is(err, ErrMapChanged) {
			return err
		}
	}
}

// ErrSlotBusy says that a slot cannot move just now: it is moving, or has come too lately.
var ErrSlotBusy = errors.New("the slot is on its way already, or has not been where it is for long enough: try again later")

// MoveSlot begins the move of a slot to another shard, and returns when that is decided upon in the log; the move goes on by
// itself. The map of the fleet says when the slot has moved.
func (s *Site) MoveSlot(ctx context.Context, slotID holdfast.Slot, to holdfast.ShardID) error {
	if err := s.known(to); err != nil {
		return err
	}
	if slotID >= holdfast.Slots {
		return fmt.Errorf("slot %d is not within 0-%d", slotID, holdfast.Slots-1)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	from := m.ShardOf(slotID)
	if from == to {
		return fmt.Errorf("slot %d is in shard %d already", slotID, to)
	}
	var note holdfast.Record
	if err := s.Read(ctx, from, shard.Linearizable, func(v *shard.View) (err error) {
		note, _, err = v.Record(ledger.NoteKey(slotID))
		return err
	}); err != nil {
		return err
	}
	if age := holdfast.TimeOf(time.Now()) - note.Changed; len(m.been[slotID]) > 0 && age < holdfast.Time(10*s.cfg.Timing.Request.Std()) {
		return ErrSlotBusy // a copy of a request could live through both moves
	}
	t, ok := slot.Mark(moveView{s, ctx, directory{m}}, slotID, from, to, freshID(time.Now()))
	if !ok {
		return ErrSlotBusy
	}
	out, err := s.proposeOwn(ctx, from, &t)
	if err == nil && out.Status != holdfast.Done {
		err = fmt.Errorf("%w: %s (%s)", ErrSlotBusy, out.Status, out.Code)
	}
	return err
}

// moveView is what a mover sees: the replicas of this site, which has one of every shard.
type moveView struct {
	site *Site
	ctx  context.Context
	directory
}

// State implements slot.View.
func (v moveView) State(at holdfast.ShardID, fn func(*ledger.State)) bool {
	return v.site.host.Read(v.ctx, at, shard.Stale, func(view *shard.View) error {
		view.State(fn)
		return nil
	}) == nil
}

// Record implements slot.View.
func (v moveView) Record(at holdfast.ShardID, key string) (r holdfast.Record, found, ok bool) {
	err := v.site.host.Read(v.ctx, at, shard.Stale, func(view *shard.View) (err error) {
		r, found, err = view.Record(key)
		return err
	})
	return r, found, err == nil
}

// lookup asks this site's replica of a shard what it remembers, and waits for it to have applied enough.
func (s *Site) lookup(ctx context.Context) transit.Lookup {
	return func(o transit.Origin, id holdfast.ID) (stored *holdfast.Txn, found, ok bool) {
		modes := []shard.ReadMode{shard.Stale, shard.Linearizable}
		if o.Index == 0 {
			modes = modes[1:]
		}
		for _, mode := range modes {
			late := false
			err := s.Read(ctx, o.Shard, mode, func(v *shard.View) error {
				if index, _ := v.Applied(); index < o.Index {
					late = true
					return nil
				}
				f, there, err := v.Txn(id)
				stored, found = f.Txn, there
				return err
			})
			if err == nil && !late {
				return stored, found, true
			}
		}
		return nil, false, false
	}
}

// awaitMap waits a moment and looks at the map again; false: there is no time left.
func (s *Site) awaitMap(ctx context.Context) bool {
	timer := time.NewTimer(lookAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	if err := s.refreshMap(ctx); err != nil && ctx.Err() == nil {
		s.log.Debug("the shard map could not be read here", "err", err)
	}
	return ctx.Err() == nil
}

// lookAgain reports that some transactions were answered "moved" and there is time to go where their owners are.
func (s *Site) lookAgain(ctx context.Context, outcomes []holdfast.Outcome) bool {
	return slices.ContainsFunc(outcomes, isMoved) && s.awaitMap(ctx)
}

func isMoved(o holdfast.Outcome) bool { return o.Code == holdfast.CodeMoved }

// resubmit asks once more for what was answered "moved", with the same ids.
func (s *Site) resubmit(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) {
	var again []holdfast.Txn
	var at []int
	for i := range outcomes {
		if isMoved(outcomes[i]) {
			again, at = append(again, txns[i]), append(at, i)
		}
	}
	got := make([]holdfast.Outcome, len(again))
	s.submitOnce(ctx, again, bulk, got)
	for i, o := range got {
		outcomes[at[i]] = o
	}
}

// reconsider looks at what was refused because its id is taken: since owners have moved, the same payment may stand there in
// another form. Then it is asked for in that.
func (s *Site) reconsider(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) {
	holdOf := func(id holdfast.ID) (transit.Held, bool) {
		held, found, _ := s.findHold(ctx, id)
		return held, found
	}
	for i := range outcomes {
		if outcomes[i].Code != holdfast.CodeIDTaken {
			continue
		}
		p, code, _ := s.place(ctx, &txns[i])
		if code != holdfast.CodeOK {
			continue
		}
		q, again, ok := transit.Taken(&txns[i], p.Home, &outcomes[i], holdOf, s.lookup(ctx))
		switch {
		case !ok:
			outcomes[i].Status, outcomes[i].Code, outcomes[i].Field = holdfast.Unknown, holdfast.CodeUnknown, ""
		case again:
			depart := q.Depart()
			s.carry(ctx, add(nil, group{id: q.Home, bulk: bulk}, &depart, i, 1)[0], outcomes)
			if q.Crosses() {
				s.land(ctx, []crossing{{q, i}}, bulk, outcomes)
			}
		}
	}
}
