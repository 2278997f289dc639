package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/transit"
)

// Submit proposes transactions and returns one outcome for each, in order. Transactions of one shard in one call share a
// log entry where they fit and are applied in order, but not as one: each is all or nothing by itself.
//
// A malformed transaction is not executed and does not stop the others. It returns when ctx ends at the latest, within
// timing.request if ctx has no deadline, and within [MaxRequest] in any case; what was proposed and not heard of since has
// the status Unknown. The error is nil but for a call that makes no sense: none or more than holdfast.MaxLegs transactions.
func (s *Site) Submit(ctx context.Context, txns []holdfast.Txn, bulk bool) ([]holdfast.Outcome, error) {
	if len(txns) == 0 || len(txns) > holdfast.MaxLegs {
		return nil, fmt.Errorf("a call has 1-%d transactions, not %d: split it", holdfast.MaxLegs, len(txns))
	}
	begun := time.Now()
	outcomes := make([]holdfast.Outcome, len(txns))
	if code := s.admit(len(txns)); code != holdfast.CodeOK {
		notExecutedAll(outcomes, txns, code)
	} else {
		s.submit(ctx, txns, bulk, outcomes)
		s.leave(len(txns))
	}
	took := time.Since(begun)
	s.metrics.requests(outcomes, took)
	s.trend.observe(outcomes, took)
	return outcomes, nil
}

// admit counts transactions in, or says why they cannot come in.
func (s *Site) admit(n int) holdfast.Code {
	fresh := s.gate.fresh()
	if !s.gate.enter(n) {
		if fresh {
			return holdfast.CodeStarting
		}
		return holdfast.CodeStopping
	}
	if s.gate.inside.Load() > int64(s.cfg.Limits.Pending) {
		s.gate.leave(n)
		return holdfast.CodeOverloaded
	}
	return holdfast.CodeOK
}

func (s *Site) leave(n int) { s.gate.leave(n) }

// load is what one Submit has for one shard: the transactions and where their outcomes belong.
type load struct {
	group
	at []int
}

func (s *Site) submit(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	s.submitOnce(ctx, txns, bulk, outcomes)
	var waiting delays
	defer s.pendings.drop(&waiting)
	for {
		again := s.lookAgain(ctx, txns, outcomes, &waiting)
		if len(again) == 0 {
			return
		}
		s.resubmit(ctx, txns, bulk, outcomes, again)
	}
}

// submitOnce asks the shards that have the owners as far as this site knows.
func (s *Site) submitOnce(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) {
	loads, crossings := s.sort(ctx, txns, bulk, outcomes)
	s.carryAll(ctx, loads, outcomes)
	if len(crossings) > 0 {
		s.land(ctx, crossings, bulk, outcomes)
	}
	if len(s.ShardMap().been) > 0 {
		s.reconsider(ctx, txns, bulk, outcomes)
	}
}

// carryAll brings loads to their shards, all shards at once, and what is of one shard in order.
func (s *Site) carryAll(ctx context.Context, loads []load, outcomes []holdfast.Outcome) {
	if len(loads) == 1 {
		s.carry(ctx, loads[0], outcomes)
		return
	}
	var all sync.WaitGroup
	for i, l := range loads {
		if first := slices.IndexFunc(loads, func(x load) bool { return x.id == l.id }); first < i {
			continue // carried by the goroutine of the first, so that one shard sees them in order
		}
		all.Go(func() {
			for _, same := range loads[i:] {
				if same.id == l.id {
					s.carry(ctx, same, outcomes)
				}
			}
		})
	}
	all.Wait()
}

// within gives a request the deadline of the configuration, unless it has its own, which counts up to [MaxRequest].
func (s *Site) within(ctx context.Context) (context.Context, context.CancelFunc) {
	own, ok := ctx.Deadline()
	switch most := time.Now().Add(MaxRequest); {
	case !ok:
		return context.WithTimeout(ctx, s.cfg.Timing.Request.Std())
	case own.After(most):
		return context.WithDeadline(ctx, most)
	}
	return ctx, func() {}
}

// sort answers what is malformed, and encodes the rest by shard: of payments between shards their depart.
func (s *Site) sort(ctx context.Context, txns []holdfast.Txn, bulk bool, outcomes []holdfast.Outcome) (loads []load, crossings []crossing) {
	for i := range txns {
		t := &txns[i]
		outcomes[i] = holdfast.Outcome{ID: t.ID, Leg: holdfast.NoLeg}
		code, field := ledger.Check(t)
		var p transit.Payment
		if code == holdfast.CodeOK {
			p, code, field = s.place(ctx, t)
		}
		if code == holdfast.CodeOK && len(t.Messages) > 0 {
			code, field = s.takesMessages(ctx, p.Home, t.Messages)
		}
		if code != holdfast.CodeOK {
			outcomes[i].Status, outcomes[i].Code, outcomes[i].Field = holdfast.NotExecuted, code, field
			continue
		}
		s.meter.count(t)
		if t = p.Txn; !p.Plain() {
			crossings = append(crossings, crossing{p, i})
			depart := p.Depart()
			t = &depart
		}
		loads = add(loads, group{id: p.Home, away: p.Away, bulk: bulk, begins: !bulk}, t, i, (len(txns)-i)/s.extent.Load().now+1)
	}
	return loads, crossings
}

// Bounds of an outbox for callers: messages that nobody takes stay in memory and in every checkpoint.
const (
	mostMessages     = 1 << 16
	mostMessageBytes = 64 << 20
)

// takesMessages says why a shard takes no further messages of callers: there is no shard that they could go to, or too many wait for somebody
// who reads and acknowledges them.
func (s *Site) takesMessages(ctx context.Context, home holdfast.ShardID, list []holdfast.Message) (holdfast.Code, string) {
	for i := range list {
		if to := list[i].To; to < 1 || int(to) > s.extent.Load().now {
			return holdfast.CodeMessageInvalid, fmt.Sprintf("messages[%d].to", i)
		}
	}
	full := false
	err := s.host.Read(ctx, home, shard.Stale, func(v *shard.View) error {
		v.State(func(state *ledger.State) {
			messages, bytes := state.OutboxSize()
			full = messages+len(list) > mostMessages || bytes > mostMessageBytes
		})
		return nil
	})
	if full && err == nil { // a replica that cannot be asked here is the leader's to judge
		return holdfast.CodeOutboxFull, "messages"
	}
	return holdfast.CodeOK, ""
}

// plainBytes is the room that a payment takes when it is encoded, in most cases.
const plainBytes = 128

// add encodes a transaction behind those of its shard. A load that is full for one call is followed by another.
// Room is made for as many as are expected. What departs to another shard, or does not, begins a load of its own: a leader
// refuses too much of the one and not of the other.
func add(loads []load, to group, t *holdfast.Txn, at, expected int) []load {
	i := len(loads) - 1
	for i >= 0 && loads[i].id != to.id {
		i--
	}
	if i < 0 || len(loads[i].Body) >= callBytes || loads[i].away != to.away {
		room := min(expected, callBytes/plainBytes)
		to.Batch = shard.Batch{Body: make([]byte, 0, room*plainBytes), Ends: make([]uint32, 0, room)}
		loads, i = append(loads, load{to, make([]int, 0, room)}), len(loads)
	}
	loads[i].Add(t)
	loads[i].at = append(loads[i].at, at)
	return loads
}

// carry brings a load to the leader of its shard and puts the outcomes where they belong.
func (s *Site) carry(ctx context.Context, l load, outcomes []holdfast.Outcome) {
	got, err := s.propose(ctx, l.group)
	if err == nil {
		for i, at := range l.at {
			outcomes[at] = decidedBy(l.id, got[i])
		}
		return
	}
	status, code := outcomeOf(err)
	for _, at := range l.at {
		outcomes[at].Status, outcomes[at].Code = status, code
	}
}

// decidedBy notes whose log a decision is in. Nothing else knows: where a hold is, or was when its end was asked for again, does not follow
// from the transaction.
func decidedBy(id holdfast.ShardID, o holdfast.Outcome) holdfast.Outcome {
	if o.Status == holdfast.Done || o.Status == holdfast.Refused || isPending(o) {
		o.Shard = id
	}
	return o
}

// errUnknown wraps the reason why nobody waits any longer for transactions that may have been proposed.
type errUnknown struct{ error }

// outcomeOf is the table from what ended a proposal to status and code: shard's, and what only a site can say.
func outcomeOf(err error) (holdfast.Status, holdfast.Code) {
	if _, proposed := errors.AsType[errUnknown](err); proposed {
		return holdfast.Unknown, holdfast.CodeUnknown
	}
	if errors.Is(err, errUnreachable) {
		return holdfast.NotExecuted, holdfast.CodeNoLeader
	}
	return shard.OutcomeOf(err)
}

func notExecutedAll(outcomes []holdfast.Outcome, txns []holdfast.Txn, code holdfast.Code) {
	for i := range outcomes {
		outcomes[i] = holdfast.Outcome{ID: txns[i].ID, Status: holdfast.NotExecuted, Code: code, Leg: holdfast.NoLeg}
	}
}
