package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast"
	"holdfast/ledger"
)

// An answer about a past moment must never change. Time stamps rise strictly along the log, so the past up to a moment is final, at a
// replica, once it has applied an entry that is stamped with that moment or later. Until then an entry may come that is stamped before it:
// one that is stamped and not on disk yet, or the next one of a leader whose clock is behind that of the site which was asked. Who
// wants to know waits until the leader has put an entry behind the moment: the next payment, or an empty entry when there is none.

// NotFinalError says that entries stamped up to At may still come: the replica has applied those up to Until.
type NotFinalError struct {
	At, Until holdfast.Time
}

func (e NotFinalError) Error() string {
	return fmt.Sprintf("what had happened by %s is not final here: this replica knows everything up to %s", e.At, e.Until)
}

// ErrYetToCome: the leader's clock has not reached the moment, so that nobody knows what will have happened by then.
var ErrYetToCome = errors.New("that moment has not come yet by the clock of the site that leads the shard")

// maxAhead is how far beyond the leader's clock a moment may be that is asked for: clocks of sites differ a little, and the leader stamps
// so far ahead of its own.
const maxAhead = holdfast.Time(500e6)

// final reports that no later entry can be stamped up to t.
func final(s *ledger.State, t holdfast.Time) error {
	if _, last := s.Applied(); t > last && !PlantedOpenPast {
		return NotFinalError{At: t, Until: last}
	}
	return nil
}

// Final returns nil when nothing that comes later can be stamped up to t, and otherwise a [NotFinalError].
func (m *Machine) Final(t holdfast.Time) (err error) {
	m.State(func(s *ledger.State) { err = final(s, t) })
	return err
}

// Final is [Machine.Final]: what a view answers about t, after it, never changes.
func (v *View) Final(t holdfast.Time) error { return v.machine.Final(t) }

// PastRequest waits until the past up to At is final at the leader. Answer is called once, and must not block: with Err nil a read that
// begins now sees all that ever will be stamped up to At. Err is [ErrYetToCome], or says that this replica cannot tell.
type PastRequest struct {
	At     holdfast.Time
	Answer func(*PastRequest)
	Err    error
	ticks  int // waited
}

// pastDesk holds the moments that are asked for. One entry serves all that wait, and there is one under way at a time, so that
// questions cost as much as a single caller that pays. Owned by [Replica].
type pastDesk struct {
	waiting  []*PastRequest
	applied  holdfast.Time // the last stamp that is applied
	accepted holdfast.Time // as leader: the last stamp that the log took
	sent     holdfast.Time // as leader: that of the last empty entry
	limit    int           // ticks
}

// answer gives an answer to those that are over, and keeps the others.
func (d *pastDesk) answer(over func(*PastRequest) (bool, error)) {
	keep := d.waiting[:0]
	for _, q := range d.waiting {
		done, err := over(q)
		if !done {
			keep = append(keep, q)
			continue
		}
		q.Err = err
		q.Answer(q)
	}
	clear(d.waiting[len(keep):])
	d.waiting = keep
}

func (d *pastDesk) advance(last holdfast.Time) {
	d.applied = max(d.applied, last)
	d.answer(func(q *PastRequest) (bool, error) { return q.At <= d.applied, nil })
}

func (d *pastDesk) tick() {
	d.answer(func(q *PastRequest) (bool, error) {
		q.ticks++
		return q.ticks > d.limit, ErrNoQuorum
	})
}

// refuse answers everything. What was accepted in an office that is over says nothing in the next.
func (d *pastDesk) refuse(err error) {
	d.answer(func(*PastRequest) (bool, error) { return true, err })
	d.accepted, d.sent = 0, 0
}

// wanted is the latest moment that somebody waits for and that nothing under way will bring; 0: there is none.
func (d *pastDesk) wanted(now holdfast.Time) (t holdfast.Time) {
	d.answer(func(q *PastRequest) (bool, error) { return q.At > now+maxAhead, ErrYetToCome })
	if d.sent > d.applied {
		return 0 // one at a time: those that wait share the next
	}
	for _, q := range d.waiting {
		t = max(t, q.At)
	}
	if t <= d.accepted {
		return 0
	}
	return t
}

// ClosePast queues a request; it is answered from within Output, Applied, Tick.
func (r *Replica) ClosePast(q *PastRequest) {
	r.past.waiting = append(r.past.waiting, q)
	r.past.advance(0)
}

// closePast proposes an empty entry behind the moments that are asked for, unless a payment that is under way is behind them already.
func (r *Replica) closePast(now holdfast.Time) error {
	if len(r.past.waiting) == 0 {
		return nil
	}
	t := r.past.wanted(now)
	if t == 0 {
		return nil
	}
	stamp := r.stamp(max(now, t), 1)
	err := r.Propose(ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindNoop, Nonce: r.nonce(), Time: stamp}))
	if errors.As(err, new(NotLeaderError)) || errors.Is(err, ErrOverloaded) {
		return nil // they wait for the next turn, or until they have waited too long
	}
	if err == nil {
		r.past.accepted, r.past.sent = stamp, stamp
	}
	return err
}

// maxMailPasts bounds the requests that wait for the consensus goroutine.
const maxMailPasts = 4096

func (b *inbox) past(q *PastRequest) error {
	b.mu.Lock()
	full := len(b.mail.pasts) >= maxMailPasts
	if !full {
		b.mail.pasts = append(b.mail.pasts, q)
	}
	b.mu.Unlock()
	if full {
		return ErrOverloaded
	}
	b.wake.set()
	return nil
}

// closePast waits until the past up to t is final at this replica, which leads.
func (s *seat) closePast(ctx context.Context, t holdfast.Time) error {
	if s.life.Load() == nil {
		return s.absent()
	}
	done := make(chan error, 1)
	if err := s.inbox.past(&PastRequest{At: t, Answer: func(q *PastRequest) { done <- q.Err }}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the past of shard %d: %w: %w", s.id, ErrNoQuorum, ctx.Err())
	case <-s.host.ctx.Done():
		return ErrStopping
	}
}

// ClosePast makes the past of a shard up to t final: after it no entry that is stamped up to t can come, and every linearizable
// [Host.Read] sees those that there are. Any site may be asked; the leader writes at most one entry for it, and none when somebody pays. The
// errors say why it cannot be done now; [ErrYetToCome]: ask again when t is past.
func (h *Host) ClosePast(ctx context.Context, shard holdfast.ShardID, t holdfast.Time) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	lead := s.lead.Load()
	switch {
	case lead.Self:
		return s.closePast(ctx, t)
	case lead.Site == 0 || h.config.Call == nil:
		return NotLeaderError{Shard: shard}
	}
	answer, err := s.ask(ctx, lead.Site, methodPast, binary.BigEndian.AppendUint64(appendShard(nil, s.id), uint64(t)))
	switch {
	case err != nil:
		return fmt.Errorf("the past of shard %d: %w: site %d: %w", shard, ErrNoQuorum, lead.Site, err)
	case len(answer) == 1 && answer[0] == pastYetToCome:
		return ErrYetToCome
	}
	return nil
}

// The answers to methodPast; all else is an error of the call.
const (
	pastClosed byte = iota
	pastYetToCome
)

func (s *seat) servePast(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) != 8 {
		return nil, fmt.Errorf("%s: %w", methodPast, errShortCall)
	}
	err := s.closePast(ctx, holdfast.Time(binary.BigEndian.Uint64(payload)))
	if errors.Is(err, ErrYetToCome) {
		return []byte{pastYetToCome}, nil
	}
	return []byte{pastClosed}, err
}
