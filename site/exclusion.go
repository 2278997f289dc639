package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast"
	"holdfast/shard"
	"holdfast/slot"
)

// A change of sites and moves of slots exclude each other. Whoever moves slots of a shard sees both shards in the replicas of his own site: a
// change that takes the site out of one of them while it leads the other blinds him, and if a slot is shut just then its owners wait until
// the change has come to the shard that he leads, behind a whole copy.
//
// Both sides look at the other before they order. What was ordered at the same moment is told apart by the change: it takes nobody out
// of a shard, and gives nobody a first vote, before it has put a fence into every shard, behind which an order to move slots that was made
// without knowing of the change is refused, and before the moves that came in before the fence are over. The fence is an entry in the log of
// each shard, so it stands whoever drives the change afterwards; a driver who cannot know that it stands puts it there once more.

// motion is what keeps a change of sites from beginning.
type motion struct {
	splits []shardSplit
	moves  []SlotMove
}

// motion looks for splits, and for slots on their way in shards that have a leader.
func (s *Site) motion(ctx context.Context, shards []shardNow) (m motion, err error) {
	if m.splits, err = s.splitsBy(ctx, openSplitIndex, shard.Linearizable); err != nil {
		return m, err
	}
	found := make([][]SlotMove, len(shards))
	err = eachShard(shardsOf(shards), func(i int, id holdfast.ShardID) (err error) {
		if !shards[i].known {
			return nil // nothing can be planned then, and that is said elsewhere
		}
		found[i], err = s.movesNow(ctx, id)
		return err
	})
	return motion{m.splits, slices.Concat(found...)}, err
}

// movesNow lists the slots that leave a shard, as of now.
func (s *Site) movesNow(ctx context.Context, id holdfast.ShardID) ([]SlotMove, error) {
	if err := s.Read(ctx, id, shard.Linearizable, func(*shard.View) error { return nil }); err != nil {
		return nil, err
	}
	list, err := s.movesOf(ctx, id)
	if err == nil && len(list) > 0 {
		list[0].Why = s.askWhy(ctx, id)
	}
	return list, err
}

// bars says what is waited for, and how to get out; "": nothing is.
func (m *motion) bars() string {
	if len(m.splits) > 0 {
		x := &m.splits[0]
		return fmt.Sprintf("shard %d is being split: wait for its end, or give it up by holdfast shard split %d --cancel", x.From, x.From)
	}
	if len(m.moves) == 0 {
		return ""
	}
	var slots []SlotRange
	decided := true
	for _, x := range m.moves {
		slots, decided = append(slots, x.Slots), decided && x.Stage == StageSettles
	}
	x := &m.moves[0]
	text := fmt.Sprintf("slots %s are on their way, the first from shard %d to shard %d: wait for their end (holdfast status)", inWords(slots), x.From, x.To)
	if !decided {
		text += ", or give up what is not decided by holdfast shard stay " + strings.ReplaceAll(inWords(slots), " ", "")
	}
	if x.Why != "" {
		text += fmt.Sprintf("; they do not go on: %s; another site that leads shard %d may go on with them (POST /v1/shards/%[2]d/leader)", x.Why, x.From)
	}
	return text
}

// blinds reports the first step of a change after which some site that leads a shard may lack another one: it takes a site out, or gives one
// that comes its first vote. Whatever slots do is over by then. Later steps have nothing to look for, and what an earlier release has let in
// must not be waited for: it may be over only with the change.
func (r *Roster) blinds(m move, shards []shardNow) bool {
	begun := func(done func(shardNow) bool) bool {
		return slices.ContainsFunc(shards, func(s shardNow) bool { return s.known && done(s) })
	}
	switch {
	case m.kind == movePromote && m.instead == 0:
		return !begun(func(s shardNow) bool { x := s.at(m.site); return x != nil && x.votes })
	case m.kind != moveRemove && m.kind != movePromote:
		return false
	}
	for _, leaving := range r.with(RoleLeaving) {
		if begun(func(s shardNow) bool { return s.at(leaving) == nil }) {
			return false
		}
	}
	return true
}

// excludeMoves holds such a step back until no slot is on its way, nor can begin to be.
func (s *Site) excludeMoves(ctx context.Context, r *Roster, m move, shards []shardNow) move {
	if !r.blinds(m, shards) {
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	if why := s.stillMoving(ctx, r.Change.Plan, shards); why != "" {
		return move{kind: moveWait, why: why}
	}
	return m
}

// stillMoving says what a change has to wait for; "": the fence stands in every shard, and no slot is on its way.
func (s *Site) stillMoving(ctx context.Context, plan string, shards []shardNow) string {
	for i := range shards {
		if !shards[i].known { // it may be the one that slots leave
			return fmt.Sprintf("shard %d: its leader does not answer", shards[i].shard)
		}
	}
	var unfenced error
	if s.fleet.fenced != plan {
		unfenced = eachShard(shardsOf(shards), func(_ int, id holdfast.ShardID) error { return s.fence(ctx, id) })
		if unfenced == nil {
			s.fleet.fenced = plan
		}
	}
	now, err := s.motion(ctx, shards)
	if why := now.bars(); why != "" { // while slots move quickly a fence comes too late again and again
		return why
	}
	if err = errors.Join(unfenced, err); err != nil {
		return fmt.Sprintf("whether slots move is not known: %v; another site that leads shard %d may find out (POST /v1/shards/%[2]d/leader)", err, mapShard)
	}
	return ""
}

// fence has a shard refuse what was made from an older look at its slots.
func (s *Site) fence(ctx context.Context, id holdfast.ShardID) error {
	if err := s.Read(ctx, id, shard.Linearizable, func(*shard.View) error { return nil }); err != nil {
		return err
	}
	t, ok := slot.Fence(moveView{s, ctx, directory{s.ShardMap()}}, id)
	if !ok {
		return fmt.Errorf("shard %d cannot be read here", id)
	}
	return s.proposeTo(ctx, id, &t)
}

// stillMoves refuses slots that are to begin to move when a change of sites was ordered meanwhile. It is asked between the making of that
// transaction and its proposal: a change that is ordered later puts its fence between the two.
func (s *Site) stillMoves(ctx context.Context) error {
	r, err := s.readRosterHere(ctx, shard.Linearizable)
	if err == nil && r.Change != nil {
		err = refuse("a change of sites is under way: %s site %d; wait for its end (holdfast site list)", r.Change.Kind, r.Change.Site)
	}
	return err
}
