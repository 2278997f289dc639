package drill

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
)

// Owners who move: one slot, with busy owners and many others, goes to a shard that is led from another site, and comes back.

// nomads are the owners of the slots that move, besides the cast of their shard, which is in the first of these slots, and its customers.
type nomads struct {
	slots    client.SlotRange
	from, to holdfast.ShardID
	savers   []holdfast.AccountID // many, in whose accounts nothing happens
	payers   []holdfast.AccountID // who pay owners of other shards all the time
	shops    []holdfast.AccountID // of those
}

const (
	manySavers     = 5000
	saverSequence  = 100_000
	wandererNumber = 50
	wanderers      = 4
	wanderEvery    = 10 * time.Millisecond // between two payments from the slot that moves to other shards
	savings        = holdfast.Amount(100)
)

// settleNomads puts the owners into the world who are to move, from the shard before the last one, which is not the one that has the map if
// there are three. Those in the slot of its cast go to the last shard; when it is split, those in the first half of its slots go to a
// shard that is not there yet.
func (w *world) settleNomads(split bool) error {
	k := max(0, len(w.shards)-2)
	from, to := &w.shards[k], &w.shards[len(w.shards)-1]
	first := from.till.Owner.Slot()
	n := &nomads{slots: client.SlotRange{From: first, To: first}, from: from.id, to: to.id, shops: []holdfast.AccountID{w.shards[0].merchant, to.merchant}}
	if w.shards[0].id == from.id {
		n.shops = n.shops[1:]
	}
	if split {
		end := firstSlot(k+1, len(w.shards))
		n.slots.To, n.to = first+(end-first)/2-1, to.id+1
	}
	add := func(list *[]holdfast.AccountID, sequence uint32, many int) error {
		for i := range many {
			owner, err := holdfast.NewOwner(sequence+uint32(i), first+holdfast.Slot(i*n.count()/many))
			if err != nil {
				return err
			}
			*list = append(*list, holdfast.AccountID{Owner: owner, Purpose: wallet, Asset: pounds})
		}
		return nil
	}
	if err := add(&n.savers, saverSequence, manySavers); err != nil {
		return err
	}
	w.nomads = n
	return add(&n.payers, wandererNumber, wanderers)
}

// has reports whether an account is in a slot that moves.
func (n *nomads) has(a holdfast.AccountID) bool {
	return n != nil && n.slots.From <= a.Owner.Slot() && a.Owner.Slot() <= n.slots.To
}

// count is how many slots move.
func (n *nomads) count() int { return int(n.slots.To-n.slots.From) + 1 }

func (n *nomads) grants() (all []grant) {
	for _, a := range n.savers {
		all = append(all, grant{a, savings})
	}
	for _, a := range n.payers {
		all = append(all, grant{a, probeFund})
	}
	return all
}

// wander pays from the slot that moves to other shards until the context until ends.
func (l *load) wander(ctx, until context.Context, n *nomads, id func() holdfast.ID) {
	l.every(until, pace{step: wanderEvery}, func(i int, due time.Duration) {
		t := holdfast.Transfer{
			ID: id(), Kind: holdfast.Immediate, Debit: n.payers[i%len(n.payers)], Credit: n.shops[i%len(n.shops)], Amount: 1, Code: codeWander,
		}
		l.pay(ctx, l.clients[i%len(l.clients)], &t, Sample{Shard: n.from, Kind: Replayed, Due: due})
	})
}

// netted is an account by its balance alone: when a slot moves, balances go along and sums begin anew.
func netted(a holdfast.Account) holdfast.Account {
	out := holdfast.Account{ID: a.ID, Limit: a.Limit, DebitsPending: a.DebitsPending, CreditsPending: a.CreditsPending}
	if b := a.Balance(); b < 0 {
		out.DebitsPosted = -b
	} else {
		out.CreditsPosted = b
	}
	return out
}

// grossed gives back the sums of an account that is only ever paid, or only ever pays once it was funded.
func (n *nomads) grossed(a holdfast.Account, c *shardCast) holdfast.Account {
	out := netted(a)
	if a.ID != c.till {
		out.DebitsPosted, out.CreditsPosted = probeFund-a.Balance(), probeFund
	}
	return out
}

// moveSlot orders a move as an operator does, and waits until every site says that it is over. Only then is the plan made that says
// that the slot may go: one that has come a moment ago stays for a while.
func (s *stage) moveSlot(ctx context.Context, slot holdfast.Slot, to holdfast.ShardID) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	c, err := s.fleet.connectFrom(0)
	if err != nil {
		return err
	}
	defer c.Close()
	q := client.SlotRequest{Slots: []client.SlotRange{{From: slot, To: slot}}, To: to}
	fault := -1
	plan := func() (string, error) {
		p, err := c.PlanSlots(ctx, q)
		if err != nil {
			return "", err
		}
		if fault < 0 {
			fault = s.begin("slot-move", fmt.Sprintf("slot %d to shard %d", slot, to))
			was, err := s.place(ctx, slot)
			s.see(fault, err, func(x *sighting) { x.was, x.must = was, inShard(to) })
		}
		return p.Plan, nil
	}
	if err := ordered(ctx, plan, func(id string) error { return c.ApplySlots(ctx, q, id) }); err != nil {
		return fmt.Errorf("move slot %d to shard %d: %w", slot, to, err)
	}
	for _, m := range s.fleet.sites {
		if err := insist(ctx, func() error { return there(ctx, m, slot, to) }); err != nil {
			return fmt.Errorf("slot %d does not come to shard %d, as %s says: %w", slot, to, m.name, err)
		}
	}
	s.healed(fault)
	is, err := s.place(ctx, slot)
	s.see(fault, err, func(x *sighting) { x.is = is })
	return nil
}

// there reports by an error that a site does not see a slot in a shard yet, or something of its move is left to do.
func there(ctx context.Context, m *member, slot holdfast.Slot, to holdfast.ShardID) error {
	now, err := m.own.ShardMap(ctx)
	if err != nil {
		return err
	}
	if len(now.Moves) > 0 {
		return fmt.Errorf("%w: %s, %s", errUnderWay, now.Moves[0].Stage, now.Moves[0].Why)
	}
	for _, s := range now.Shards {
		for _, r := range s.Slots {
			if s.Shard == to && r.From <= slot && slot <= r.To {
				return nil
			}
		}
	}
	return errUnderWay
}

func playSlotMove(ctx context.Context, s *stage) error {
	n := s.nomads
	if err := s.until(ctx, 0.12); err != nil {
		return err
	}
	if err := s.moveSlot(ctx, n.slots.From, n.to); err != nil {
		return err
	}
	if err := s.until(ctx, 0.8); err != nil {
		return err
	}
	return s.moveSlot(ctx, n.slots.From, n.from)
}

// Wandering is how long the owners of a slot waited while it moved, by every answer that they got.
type Wandering struct {
	Fault  int
	Slots  int           // that moved
	Owners int           // that asked for something meanwhile
	Asked  int           // payments
	Pause  time.Duration // the longest stretch in which one of those who probe had asked and was not answered at all
	Within time.Duration // the longest wait of one of them for a payment to another owner of the slot
	Across time.Duration // and to or from owners who were elsewhere
}

// wandering measures the moves among the faults.
func (r *run) wandering(faults []Fault) (list []Wandering) {
	if r.world.nomads == nil {
		return nil
	}
	for i := range faults {
		if w := r.book.wandering(r.world.nomads, &faults[i]); w.Asked > 0 {
			w.Fault, w.Slots = i, r.world.nomads.count()
			list = append(list, w)
		}
	}
	return list
}

// wandering looks at the payments of a slot that were asked for before a move was over, and answered after it had begun.
func (b *book) wandering(n *nomads, f *Fault) (w Wandering) {
	b.mu.Lock()
	defer b.mu.Unlock()
	owners, probes := map[holdfast.Owner]bool{}, map[holdfast.Owner][]Sample{}
	for _, p := range b.each(0) {
		if p.sample.Kind == Probed && n.has(p.payment.debit) {
			probes[p.payment.debit.Owner] = append(probes[p.payment.debit.Owner], p.sample)
		}
		debit, credit := n.has(p.payment.debit), n.has(p.payment.credit)
		if p.payment.id.IsZero() || !debit && !credit || !p.sample.Kind.payment() || p.sample.Due > f.Healed || p.sample.Ended < f.At {
			continue
		}
		w.Asked++
		if debit {
			owners[p.payment.debit.Owner] = true
		}
		if credit {
			owners[p.payment.credit.Owner] = true
		}
		if debit && credit {
			w.Within = max(w.Within, p.sample.Latency())
		} else {
			w.Across = max(w.Across, p.sample.Latency())
		}
	}
	for _, list := range probes {
		w.Pause = max(w.Pause, unanswered(list, f.At, f.Healed))
	}
	w.Owners = len(owners)
	return w
}

// unanswered is the longest stretch, of those that touch the window from-until, in which an owner had asked for something and was not told
// that anything is done. How often he asks does not count: the more shards there are, the more seldom each of their owners probes. That no
// pause is missed in between is for the pause of the shard to tell, which all of them probe.
func unanswered(list []Sample, from, until time.Duration) (longest time.Duration) {
	slices.SortFunc(list, func(a, b Sample) int { return cmp.Compare(a.Ended, b.Ended) })
	asked := make([]time.Duration, len(list)+1) // the first of those that are open when the one before has ended
	asked[len(list)] = math.MaxInt64
	for i := len(list) - 1; i >= 0; i-- {
		asked[i] = min(list[i].Due, asked[i+1])
	}
	since := asked[0]
	for i := range list {
		if list[i].Status != holdfast.Done {
			continue
		}
		if ended := list[i].Ended; ended >= from && since <= until {
			longest = max(longest, ended-since)
		}
		since = max(list[i].Ended, asked[i+1])
	}
	return max(longest, until-since)
}

func (w *Wandering) reasons(f *Fault, bound time.Duration) (out []string) {
	if w.Pause > bound {
		out = append(out, fmt.Sprintf("%s of %s: a pause of %.0f ms for one of its owners, above the bound of %.0f ms", f.Kind, f.Target, millis(w.Pause), millis(bound)))
	}
	return out
}

func (w *Wandering) remark() string {
	what := "the slot asked for %s payments while it moved"
	if w.Slots > 1 {
		what = fmt.Sprintf("the %d slots that moved, one after the other, asked for %%s payments meanwhile", w.Slots)
	}
	return fmt.Sprintf("%d owners of "+what+": the longest pause of one of them %.0f ms; the longest wait for a payment among them %.0f ms, to or from others %.0f ms",
		w.Owners, thousands(int64(w.Asked)), millis(w.Pause), millis(w.Within), millis(w.Across))
}
