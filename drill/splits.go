package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
)

// A shard is split while the load runs, by the orders that an operator has: plan, look, apply.

// splitTime is how long a split may take: on a busy machine everything does.
const splitTime = 2 * time.Minute

// errGivenUp says that a split is over and did not do what was ordered.
var errGivenUp = errors.New("it was given up")

// split orders a split, does something else meanwhile, and waits until every site says that it is done.
func (s *stage) split(ctx context.Context, meanwhile func(ctx context.Context, c *client.Client, plan string) error) error {
	ctx, cancel := context.WithTimeout(ctx, splitTime)
	defer cancel()
	c, err := s.fleet.connectFrom(0)
	if err != nil {
		return err
	}
	defer c.Close()
	n := s.nomads
	q := client.SplitRequest{Slots: []client.SlotRange{n.slots}}
	var p client.SplitPlan
	plan := func() (id string, err error) {
		p, err = c.PlanSplit(ctx, n.from, q)
		return p.Plan, err
	}
	fault := s.begin("shard-split", fmt.Sprintf("shard %d, slots %s to shard %d", n.from, n.slots, n.to))
	was, err := s.place(ctx, n.slots.From)
	s.see(fault, err, func(x *sighting) { x.was, x.must = was, inShard(n.to) })
	if err := ordered(ctx, plan, func(id string) error { return c.ApplySplit(ctx, n.from, q, id) }); err != nil {
		return fmt.Errorf("split shard %d: %w", n.from, err)
	}
	if p.To != n.to || p.Home == s.throne.leader(n.from) {
		return fmt.Errorf("the plan lets shard %d be born at home at %s: not another shard at another site", p.To, p.HomeName)
	}
	if err := meanwhile(ctx, c, p.Plan); err != nil {
		return err
	}
	for _, m := range s.fleet.sites {
		if err := insist(ctx, func() error { return splitAt(ctx, m.own, p.Plan, 1) }); err != nil {
			return fmt.Errorf("shard %d is not split, as %s says: %w", n.from, m.name, err)
		}
	}
	s.healed(fault)
	is, err := s.place(ctx, n.slots.To)
	s.see(fault, err, func(x *sighting) { x.is = is })
	return nil
}

// splitAt reports by an error that a site does not see so great a share of the slots of a split in the new shard yet, or, of all of them,
// that something is left to do.
func splitAt(ctx context.Context, c *client.Client, plan string, share float64) error {
	m, err := c.ShardMap(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(m.Splits, func(x client.ShardSplit) bool { return x.Plan == plan })
	if i < 0 {
		return errUnderWay
	}
	switch x := &m.Splits[i]; {
	case x.Over() && x.Moved < x.Of:
		return fmt.Errorf("%w: %d of %d slots have come", errGivenUp, x.Moved, x.Of)
	case !x.Over() && (share >= 1 || float64(x.Moved) < share*float64(x.Of)):
		return fmt.Errorf("%w: %s, %d of %d slots have come; %s", errUnderWay, x.State, x.Moved, x.Of, x.Doing)
	}
	return nil
}

func playShardSplit(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	return s.split(ctx, func(context.Context, *client.Client, string) error { return nil })
}

// killedFor is how long a site stays away that is killed while its shard is split.
const killedFor = 3 * time.Second

// playShardSplitKill kills the site that leads the shard when a third of the slots have come.
func playShardSplitKill(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	return s.split(ctx, func(ctx context.Context, c *client.Client, plan string) error {
		if err := insist(ctx, func() error { return splitAt(ctx, c, plan, 1.0/3) }); err != nil {
			return err
		}
		return s.killLeader(ctx, s.nomads.from)
	})
}

// killLeader kills the site that leads a shard, and starts it again a while later.
func (s *stage) killLeader(ctx context.Context, id holdfast.ShardID) error {
	leader := s.throne.leader(id)
	if leader == 0 {
		return errNoLeader
	}
	m := s.fleet.site(leader)
	i := s.begin("site-kill", strings.ToLower(m.name))
	look := s.lookAt(i, nil, leader)
	if err := s.kill(ctx, m); err != nil {
		return err
	}
	if err := rest(ctx, killedFor); err != nil {
		return err
	}
	if err := s.revive(ctx, m); err != nil {
		return err
	}
	s.healed(i)
	look.over()
	return nil
}
