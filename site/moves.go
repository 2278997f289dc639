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
	done sync.WaitGroup
	stir stir // an entry was applied, somebody leads, or there is a new map

	mu      sync.Mutex      // guards what follows
	ctx     context.Context // nil: not started, or stopped
	cancel  context.CancelFunc
	carters []*carter                   // of the shards whose movers run, in order
	shut    map[holdfast.Slot]time.Time // slots of shards led from here, since when their owners wait

	stuck   stuck
	looking sync.Mutex // whoever holds it looks at the map for all who wait for a new one
}

// carter is who moves the slots of one shard.
type carter struct {
	shard holdfast.ShardID
	wake  stir
	idle  atomic.Pointer[moveMark] // where it found nothing to do; nil: it has to look
}

// moveMark is a state of a shard as its leader sees it.
type moveMark struct{ term, applied uint64 }

const (
	moveIdle     = 20 * time.Millisecond // between two looks whether a slot is to move
	moveBusy     = 2 * time.Millisecond  // between two looks while one does
	slotMoveWait = 3 * time.Second       // for an answer
	lookAfter    = 3 * time.Millisecond  // after an answer "moved"
	looksAgain   = 8                     // before the same shard is asked once more
)

func (s *Site) startMoves(context.Context) error {
	s.moves.mu.Lock()
	s.moves.ctx, s.moves.cancel = context.WithCancel(context.Background())
	ctx := s.moves.ctx
	s.moves.mu.Unlock()
	s.moves.done.Go(func() { s.wakeMovers(ctx) })
	s.moveAll()
	return nil
}

// moveAll starts the movers of shards that have none yet. A single shard needs none: there is nowhere to go.
func (s *Site) moveAll() {
	m := &s.moves
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := s.ShardIDs()
	if m.ctx == nil || len(ids) == 1 {
		return
	}
	ctx := m.ctx
	for _, id := range ids[min(len(m.carters), len(ids)):] {
		c := &carter{shard: id, wake: newStir()}
		m.carters = append(m.carters, c)
		m.done.Go(func() { s.runMoves(ctx, c) })
	}
}

func (s *Site) stopMoves(context.Context) error {
	s.moves.mu.Lock()
	s.moves.cancel()
	s.moves.ctx = nil
	s.moves.mu.Unlock()
	s.moves.done.Wait()
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
		for _, c := range s.moves.all() {
			now, leads := s.moveMark(c.shard)
			if idle := c.idle.Load(); leads && (idle == nil || *idle != now) {
				c.wake.set()
			}
		}
	}
}

// all lists those whose movers run.
func (m *moves) all() []*carter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.carters)
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
			s.moves.stuck.note(c.shard, nil)
			continue
		}
		if mover == nil || term != now.term {
			mover, term, told = slot.New(slot.Config{Shard: c.shard, Wait: holdfast.Time(2 * slotMoveWait)}), now.term, nil
		}
		if pause, idle := s.stepMove(ctx, c.shard, mover); idle {
			c.idle.Store(&now) // as it was before the step: what came meanwhile is looked at
		} else {
			c.idle.Store(nil)
			timer.Reset(pause)
		}
		err := mover.Err()
		s.moves.stuck.note(c.shard, err)
		if err != nil && told == nil {
			s.event(Event{Kind: EventSlotStuck, Shard: c.shard, Detail: err.Error()})
		}
		told = err
	}
}

// stepMove does what is due, and says how long to wait until the next step. idle: there is none until the shard has changed.
func (s *Site) stepMove(ctx context.Context, id holdfast.ShardID, mover *slot.Mover) (pause time.Duration, idle bool) {
	v := moveView{s, ctx, directory{s.ShardMap().record()}}
	work := mover.Step(s.courierTime(), v)
	busy, idle := s.watchGates(v, id)
	if work.Proposal == nil && work.Flip == nil {
		if busy {
			return moveBusy, false
		}
		return moveIdle, idle
	}
	var both sync.WaitGroup
	began := time.Now()
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
	return s.restAfter(v, id, work.Proposal, time.Since(began)), false
}

// restAfter leaves the processors to payments after a page for which nobody waits: as long as it took when accounts are copied, and
// twice that when what has moved away is cleared.
func (s *Site) restAfter(v moveView, id holdfast.ShardID, p *slot.Proposal, took time.Duration) time.Duration {
	const few = 64
	if p == nil {
		return moveBusy // a map that could not be written is tried again
	}
	if max(len(p.Txn.Transfers), len(p.Txn.Records)) < few {
		return 0
	}
	if p.To == id {
		return 2 * took
	}
	var gates ledger.Gates
	v.State(id, func(state *ledger.State) { gates, _ = state.Gates() })
	for _, slot := range gates.Slots() {
		if gates.Of(slot) == ledger.GateShut {
			return 0
		}
	}
	return took
}

// watchGates reports that a slot is leaving; or that none is, and none arrives, so that there is nothing to do until an entry of this shard
// says otherwise: one that arrives may be given up by an entry of another. It notes since when owners wait, and has what has left for
// other shards brought to its end soon: until then the slot cannot be shut.
func (s *Site) watchGates(v moveView, id holdfast.ShardID) (busy, idle bool) {
	gates, idle := v.gates(id)
	for _, slot := range gates.Slots() {
		switch gate := gates.Of(slot); gate {
		case ledger.GateArriving:
			idle = false
		case ledger.GateMarked, ledger.GateEbbing, ledger.GateShut:
			busy, idle = true, false
			s.moves.note(slot, gate)
			if gate == ledger.GateEbbing {
				s.hurryCourier(v.ctx, id)
			}
		}
	}
	return busy, idle
}

// gates are those of a shard; ok is false when it cannot be read just now.
func (v moveView) gates(id holdfast.ShardID) (gates ledger.Gates, ok bool) {
	known := false
	v.State(id, func(state *ledger.State) { gates, known = state.Gates() })
	if known {
		return gates, true
	}
	r, found, ok := v.Record(id, ledger.GatesKey) // as after a restart, until a payment comes
	if !ok || !found {
		return gates, ok
	}
	gates, err := ledger.ReadGates(r.Body)
	return gates, err == nil
}

// note remembers since when a slot is shut.
func (m *moves) note(slot holdfast.Slot, gate ledger.Gate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut == nil {
		m.shut = map[holdfast.Slot]time.Time{}
	}
	_, known := m.shut[slot]
	switch {
	case gate != ledger.GateShut:
		delete(m.shut, slot)
	case !known:
		m.shut[slot] = time.Now()
	}
}

// waited is how long a slot was shut, in words.
func (m *moves) waited(slot holdfast.Slot) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, known := m.shut[slot]
	if !known { // somebody else shut it
		return ""
	}
	delete(m.shut, slot)
	return fmt.Sprintf("; its owners waited for about %d ms", time.Since(since).Milliseconds())
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
		err = s.writeMap(ctx, old.with(f))
		if err == nil {
			s.event(Event{Kind: EventSlotMoved, Shard: f.To, Site: s.cfg.Site, Detail: fmt.Sprintf("slot %d is in shard %d now, and was in shard %d%s",
				f.Slot, f.To, old.ShardOf(f.Slot), s.moves.waited(f.Slot))})
		}
		if !errors.Is(err, ErrMapChanged) {
			return err
		}
	}
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

// Records implements slot.View.
func (v moveView) Records(at holdfast.ShardID, of holdfast.Slot, after string, max int) (list []holdfast.Record, ok bool) {
	err := v.site.host.Read(v.ctx, at, shard.Stale, func(view *shard.View) (err error) {
		list, err = view.Owned(of, after, max)
		return err
	})
	return list, err == nil
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

// with is the map when a slot has moved.
func (m *ShardMap) with(f *slot.Flip) *ShardMap {
	next := *m
	next.written, next.been = nil, map[holdfast.Slot][]transit.Origin{}
	for slot, list := range m.been {
		next.been[slot] = list
	}
	next.slots[f.Slot], next.been[f.Slot] = f.To, f.Origins
	return &next
}

// foresee uses the map as it will be for slots whose move is decided, as the replicas here tell: owners who wait need not wait until it is
// written. A newer map takes the place of this one, whatever it says.
func (s *Site) foresee(ctx context.Context) error {
	m := s.ShardMap()
	next := m
	for _, id := range s.ShardIDs() {
		var gates ledger.Gates
		err := s.Read(ctx, id, shard.Stale, func(v *shard.View) error {
			v.State(func(state *ledger.State) { gates, _ = state.Gates() })
			return nil
		})
		if err != nil {
			return err
		}
		for _, of := range gates.Slots() {
			gate := gates.Of(of)
			if m.ShardOf(of) != id || gate != ledger.GateShut && gate != ledger.GateGone {
				continue
			}
			f, err := s.decided(ctx, id, of)
			if err != nil {
				return err
			}
			if f != nil {
				next = next.with(f)
			}
		}
	}
	if next != m {
		next.written = m.record()
		s.shardMap.CompareAndSwap(m, next)
	}
	return nil
}

// decided is what the map will say of a slot that leaves a shard; nil: that is not decided, as far as is known here.
func (s *Site) decided(ctx context.Context, from holdfast.ShardID, of holdfast.Slot) (*slot.Flip, error) {
	here, _, err := s.noteOf(ctx, from, of, shard.Stale)
	if err != nil || here == nil {
		return nil, err
	}
	there, _, err := s.noteOf(ctx, here.Other, of, shard.Stale)
	if err != nil || there == nil || there.Move != here.Move || there.Stage != slot.Here {
		return nil, err
	}
	return &slot.Flip{Slot: of, To: here.Other, Origins: there.Origins}, nil
}

// awaitMap waits until this site knows of a new map, but not for long: a slot may also be served again where it was. One of those
// who wait looks for all. false: there is no time left.
func (s *Site) awaitMap(ctx context.Context) bool {
	known := s.ShardMap()
	ticker := time.NewTicker(lookAfter)
	defer ticker.Stop()
	for range looksAgain {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		if s.moves.looking.TryLock() {
			if err := errors.Join(s.refreshMap(ctx), s.foresee(ctx)); err != nil && ctx.Err() == nil {
				s.log.Debug("the shard map could not be read here", "err", err)
			}
			s.moves.looking.Unlock()
		}
		if s.ShardMap() != known {
			break
		}
	}
	return ctx.Err() == nil
}

// lookAgain says which transactions of those that were answered "moved", or "record-pending", are to be asked for again: when there is time to go
// where their owners are, or what was under way is settled.
func (s *Site) lookAgain(ctx context.Context, txns []holdfast.Txn, outcomes []holdfast.Outcome, waiting *delays) (again []int) {
	pending := false
	for i := range outcomes {
		pending = pending || isPending(outcomes[i])
		if isMoved(outcomes[i]) {
			again = append(again, i)
		}
	}
	switch {
	case len(again) > 0 && !s.awaitMap(ctx):
		return nil
	case len(again) == 0 && pending:
		return waiting.await(ctx, s, txns, outcomes)
	}
	return again
}

const (
	settlePause = 8 * time.Millisecond
	settleWait  = 500 * time.Millisecond // of a caller whose payment was refused, until its records are taken back
)

// pause is false when there is no time left.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func isMoved(o holdfast.Outcome) bool { return o.Code == holdfast.CodeMoved }

func isPending(o holdfast.Outcome) bool { return o.Code == holdfast.CodeRecordPending }

// resubmit asks once more for some transactions, with the same ids.
func (s *Site) resubmit(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome, at []int) {
	again, got := make([]holdfast.Txn, len(at)), make([]holdfast.Outcome, len(at))
	for i, from := range at {
		again[i] = txns[from]
	}
	s.submitOnce(ctx, again, bulk, got)
	for i, o := range got {
		outcomes[at[i]] = o
	}
}

// reconsider looks at what was refused because its id is taken: since owners have moved, the same payment may stand there in
// another form. Then it is asked for in that.
func (s *Site) reconsider(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) {
	var failed error
	holdsOf := func(end *holdfast.Transfer) []transit.Held {
		list, err := s.findHolds(ctx, end, shard.Linearizable)
		failed = errors.Join(failed, err)
		return list
	}
	for i := range outcomes {
		if outcomes[i].Code != holdfast.CodeIDTaken {
			continue
		}
		p, code, _ := s.place(ctx, &txns[i])
		if code != holdfast.CodeOK {
			continue
		}
		failed = nil
		q, again, ok := transit.Taken(&txns[i], p.Home, &outcomes[i], holdsOf, s.lookup(ctx))
		switch {
		case !ok || !again && failed != nil: // it may be the same payment: not all holds could be seen
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
